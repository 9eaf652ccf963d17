"""Reading the committed messy registry: every row is accounted for, every planted defect reported with its row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cohort.intake import read
from cohort.tables.schema import CANONICAL

SOURCE = Path(__file__).parents[2] / "data" / "synthetic"
DEFECTS = pd.read_csv(SOURCE / "defects.csv", dtype=str, keep_default_na=False).astype({"row": int})


@pytest.fixture(scope="module")
def registry():
    return read(SOURCE)


def test_accepted_and_rejected_rows_add_up_to_the_rows_read_in_every_table(registry):
    accounts = registry.accounting.set_index("table")
    assert set(accounts.index) == set(CANONICAL)
    assert (accounts["rows_accepted"] + accounts["rows_rejected"] == accounts["rows_read"]).all()
    assert (accounts["rows_read"] > 0).all()


@pytest.mark.parametrize(
    "defect", list(DEFECTS.itertuples()), ids=[f"{d.table}-{d.row}-{d.check}" for d in DEFECTS.itertuples()]
)
def test_each_planted_defect_is_reported_with_its_row(registry, defect):
    if defect.expected == "reject":
        found = registry.rejected
    else:
        found = registry.warnings[registry.warnings["outcome"] == defect.expected]
    found = found[(found["table"] == defect.table) & (found["row"].astype(int) == defect.row)]
    if defect.column:
        found = found[found["column"] == defect.column]
    assert len(found) == 1


def test_nothing_but_the_planted_defects_is_rejected_or_blanked(registry):
    planted = set(zip(DEFECTS["table"], DEFECTS["row"], strict=True))
    blanked = registry.warnings[registry.warnings["outcome"] == "blank"]
    for found in (registry.rejected, blanked):
        assert set(zip(found["table"], found["row"].astype(int), strict=True)) <= planted
