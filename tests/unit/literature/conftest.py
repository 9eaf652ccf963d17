"""A registry's own estimates, small enough to see."""

from __future__ import annotations

import pandas as pd
import pytest

from cohort.tables.results import Estimates

ONE_YEAR = {"same": 0.015, "adjacent": 0.12, "remote": 0.07, "any": 0.18}


@pytest.fixture
def incidence() -> Estimates:
    """Per-relation and composite curves at three windows; the composite's own `same` row must never be taken."""
    rows = [
        ("composite" if outcome == "any" else "per_relation", outcome, time, value * time / 365)
        for outcome, value in ONE_YEAR.items()
        for time in (90, 365, 730)
    ]
    rows += [("composite", "same", time, 0.5) for time in (90, 365, 730)]
    return _estimates(pd.DataFrame(rows, columns=["curve", "outcome", "time", "estimate"]))


@pytest.fixture
def proportions() -> Estimates:
    rows = [
        (outcome, time, value * time / 365 + 0.01) for outcome, value in ONE_YEAR.items() for time in (90, 365, 730)
    ]
    return _estimates(pd.DataFrame(rows, columns=["outcome", "time", "estimate"]))


@pytest.fixture
def rates() -> Estimates:
    """Per 1,000 vertebra-years, all levels together and one level that must not be taken for all."""
    rows = [
        ("vertebra", "", "treated", 12.0),
        ("vertebra", "", "adjacent", 60.0),
        ("vertebra", "L1", "adjacent", 999.0),
    ]
    return _estimates(pd.DataFrame(rows, columns=["unit", "level", "role", "estimate"]).assign(variant="main"))


def _estimates(frame: pd.DataFrame) -> Estimates:
    return Estimates(frame.assign(conf_low=0.8 * frame["estimate"], conf_high=1.2 * frame["estimate"]))
