"""Tables as printed, and their CSV."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from cohort.present.disclosure import Disclosure
from cohort.present.tables import model, occurrence, published, quality, risk


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "@SUM(A1)", "-2+3", "\tx", " =1", "\ufeff=1"])
def test_no_text_of_a_csv_is_a_formula(text):
    written = model.to_csv(pd.DataFrame({"a": [text], text: [1]}))
    for row in csv.reader(io.StringIO(written)):
        assert not any(cell.lstrip(" \ufeff").startswith(("=", "+", "@", "\t", "-")) for cell in row)


def test_numbers_of_a_csv_stay_numbers():
    frame = pd.DataFrame(
        {"x": [-1.5, np.nan, 3.0], "day": pd.to_datetime(["2020-02-01"] * 3), "b": [True, False, True]}
    )
    assert model.to_csv(frame).splitlines() == ["x,day,b", "-1.5,2020-02-01,yes", ",2020-02-01,no", "3,2020-02-01,yes"]


def test_a_public_csv_says_no_more_than_the_page(rates):
    rates["estimate"] = rates["estimate"] + 0.0001234
    outside = occurrence.rates_by_level(rates, Disclosure(5))
    inside = occurrence.rates_by_level(rates, Disclosure(5, internal=True))
    assert outside is not None
    assert inside is not None
    assert outside.data["estimate"].round(2).equals(outside.data["estimate"])
    assert not inside.data["estimate"].round(2).equals(inside.data["estimate"])


def test_levels_stand_in_the_order_of_the_spine(rates):
    table = occurrence.rates_by_level(rates.sample(frac=1, random_state=1), Disclosure(5))
    assert table is not None
    assert [r.cells[0].text for r in table.rows][:2] == ["T4", "T5"]
    assert table.rows[-1].cells[0].text == "L5"


def test_crude_and_adjusted_stand_side_by_side(models):
    table = risk.models(models, Disclosure(5), odds=False)
    assert table is not None
    cells = table.rows[1].cells
    assert (cells[2].text, cells[2].interval) == ("2.10", "(1.26-3.57)")
    assert (cells[5].text, cells[5].interval) == ("1.80", "(1.08-3.06)")
    assert cells[7].text == "T-score, age"


def test_rows_read_add_up_in_the_last_line():
    frame = pd.DataFrame(
        [("patients", 10, 9, 1), ("fractures", 20, 18, 2), ("imaging", 0, 0, 0)],
        columns=["table", "rows_read", "rows_accepted", "rows_rejected"],
    )
    table = quality.accounting(frame)
    assert table is not None
    assert [c.text for c in table.rows[-1].cells] == ["All tables", "30", "27", "3", "10.0"]
    assert len(table.rows) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda f: quality.accounting(f),
        lambda f: quality.problems(f),
        lambda f: occurrence.headline(f, Disclosure(5)),
        lambda f: risk.models(f, Disclosure(5), odds=False),
        lambda f: risk.sensitivity(f, Disclosure(5)),
        lambda f: published.review(f, Disclosure(5)),
    ],
)
def test_an_empty_frame_makes_no_table(make):
    assert make(pd.DataFrame()) is None


def test_monthly_curves_leave_out_what_may_not_be_drawn(curves):
    curves.loc[(curves["curve"] == "per_relation") & (curves["outcome"] == "same"), "n_events_total"] = 3
    monthly = occurrence.monthly(curves, Disclosure(5))
    kept = set(zip(monthly["curve"], monthly["outcome"], strict=True))
    assert ("per_relation", "same") not in kept
    assert ("per_relation", "adjacent") in kept


@pytest.mark.parametrize(("events", "n", "shown"), [(20, 40, True), (3, 40, False), (38, 40, False)])
def test_a_share_that_would_tell_of_fewer_than_five_is_not_shown_beside_the_literature(events, n, shown):
    frame = pd.DataFrame(
        {
            "registry_outcome": ["same"],
            "registry_estimate": [100 * events / n],
            "registry_low": [1.0],
            "registry_high": [99.0],
            "registry_events": [float(events)],
            "registry_n": [float(n)],
        }
    )
    assert published.shown_literature(frame, set(), Disclosure(5))["registry_estimate"].notna().tolist() == [shown]
    assert published.shown_literature(frame, set(), Disclosure(5, internal=True))["registry_n"].tolist() == [n]
