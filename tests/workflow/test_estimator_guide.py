"""The guide to the estimators names what exists, and nothing public is missing from it."""

import re
from pathlib import Path

import cohort
from cohort import estimate

GUIDE = (Path(__file__).parents[2] / "docs" / "estimators.md").read_text(encoding="utf-8")
TOOLS = {
    "exact_rate_ratio", "interval_bounds", "log_ratio", "logrank", "mean_time_in_states", "proportion", "quantile_time",
    "restricted_cubic_spline", "schoenfeld_residuals", "table_one", "time_transform", "wald_test",
}  # fmt: skip
ARGUMENTS = {"id", "cluster", "note", "settings", "entry", "exit", "small_sample", "help"}


def test_every_call_of_the_guide_exists():
    names = re.findall(r"`(?:cohort\.)?([a-z_]+)[`(]", GUIDE)
    assert not [name for name in names if not hasattr(cohort, name) and name not in ARGUMENTS]


def test_every_estimator_stands_in_the_guide_or_is_a_tool():
    assert not {name for name in estimate.__all__ if name not in GUIDE} - TOOLS
    assert set(estimate.__all__) <= set(cohort.__all__)
