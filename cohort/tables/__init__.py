"""The schema of every table and the results that travel between stages."""
