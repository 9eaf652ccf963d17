"""The report: one page, its tables and its manifest."""
