"""The tables of the report: tidy frames in, printable tables and their CSV out."""
