"""The report: one page, its tables and its manifest."""

from cohort.report.build import build_report
from cohort.report.explain import Story, explain
from cohort.report.publish import refuse_if_taken

__all__ = ["Story", "build_report", "explain", "refuse_if_taken"]
