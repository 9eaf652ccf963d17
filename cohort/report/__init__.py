"""The report: one page, its tables and its manifest."""

from cohort.report.build import build_report
from cohort.report.publish import refuse_if_taken

__all__ = ["build_report", "refuse_if_taken"]
