"""Numbers, tables and figures for people."""
