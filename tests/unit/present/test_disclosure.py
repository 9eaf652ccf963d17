"""No small count is shown, and none can be worked out from what is shown."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.present.disclosure import Disclosure
from cohort.present.tables import occurrence, people, quality, risk

RULE = Disclosure(5)

CASES = [
    # counts, hidden, why
    ([3, 40, 12], [1, 0, 1], "the 3 would be the total less the others; the next smallest goes too"),
    ([40, 12, 9], [0, 0, 0], "nothing is small"),
    ([0, 3, 40], [0, 1, 1], "a zero is shown, and hiding it would protect nobody"),
    ([1, 1, 40], [1, 1, 1], "two hidden that sum to 2 must both be 1"),
    ([4, 4, 40, 50], [1, 1, 1, 0], "two hidden that sum to 8 must both be 4"),
    ([2, 3, 40], [1, 1, 0], "2 and 3, 1 and 4, ...: their sum does not tell"),
    ([3], [1], "the total itself is below the minimum"),
]


@pytest.mark.parametrize(("counts", "hidden", "why"), CASES)
def test_parts_of_a_known_total(counts, hidden, why):
    assert RULE.parts(counts).tolist() == [bool(h) for h in hidden], why


@given(st.lists(st.integers(0, 12), min_size=2, max_size=5))
def test_no_small_part_can_be_worked_out_from_its_total(counts):
    """Whoever knows the total, the shown parts and the rule is left with more than one value for each small part."""
    hidden = RULE.parts(counts)
    if not np.any(~hidden & (np.array(counts) > 0)):  # nothing is shown but zeros: only hiding the total could do more
        return
    places = np.flatnonzero(hidden)
    together = sum(counts[k] for k in places)
    small = [counts[k] < 5 for k in places]
    ranges = [range(1, 5) if s else range(5, together + 1) for s in small]
    solutions = [c for c in itertools.product(*ranges) if sum(c) == together]
    for k, is_small in enumerate(small):
        if is_small:
            assert len({c[k] for c in solutions}) > 1


def test_internal_editions_hide_nothing():
    inside = Disclosure(5, internal=True)
    assert not inside.parts([1, 2, 3]).any()
    assert inside.text(3) == "3"
    assert inside.sentence("3 of 40 events") == "3 of 40 events"


def test_a_note_does_not_tell_a_small_count():
    assert (
        RULE.sentence("2 of 40 counted refractures are implied.")
        == "fewer than 5 of 40 counted refractures are implied."
    )
    assert RULE.sentence("events in 3 patients only") == "events in fewer than 5 patients only"
    assert RULE.sentence("12 events for 4 parameters, T-score of 2.5") == "12 events for 4 parameters, T-score of 2.5"


def test_a_level_is_hidden_with_a_second_one_because_all_levels_are_known(rates):
    rates.loc[(rates["role"] == "treated") & (rates["level"] == "T4"), "n_events"] = 2
    hidden = pd.Series(occurrence.hidden_rates(rates, RULE), index=rates.index)
    treated = rates[hidden & (rates["role"] == "treated")]
    assert "T4" in set(treated["level"])
    assert len(treated) == 2
    table = occurrence.rates_by_level(rates, RULE)
    assert table is not None
    shown = {r.cells[0].text: (r.cells[1].text, r.cells[3].text) for r in table.rows}
    assert shown["T4"] == ("<5", "–")
    assert sorted(cell[0] for cell in shown.values())[-1] == "≥5"
    assert table.data.loc[table.data["n_events"] == "<5", "estimate"].isna().all()


def test_the_first_refractures_of_any_kind_are_parts_of_all():
    rows = [("same", 20), ("adjacent", 90), ("remote", 60), ("several", 2), ("any", 172), ("death", 40)]
    frame = pd.DataFrame(rows, columns=["outcome", "n_events"]).assign(curve="composite", time=365)
    hidden = dict(zip(frame["outcome"], occurrence.hidden_incidence(frame, RULE), strict=True))
    assert hidden == {"same": True, "adjacent": False, "remote": False, "several": True, "any": False, "death": False}


def test_the_second_sex_is_hidden_with_the_first():
    frame = pd.DataFrame(
        {
            "variable": "sex",
            "label": "Sex",
            "category": ["female", "male"],
            "unit": "patient",
            "kind": "category",
            "n": [97, 3],
            "denominator": 100,
            "mean": np.nan,
            "sd": np.nan,
            "median": np.nan,
            "q1": np.nan,
            "q3": np.nan,
            "n_missing": 0,
            "n_not_assessable": np.nan,
        }
    )
    table = people.table_one(frame, RULE)
    assert table is not None
    assert [r.cells[1].text for r in table.rows if r.indent] == ["≥5 / 100", "<5 / 100"]
    assert table.data["n"].tolist() == ["≥5", "<5"]


FLOWS = [
    # left out at each step, shown, boxes without a count
    ([0, 30, 12], ["", "30", "12"], []),
    ([0, 30, 2], ["", "≥5", "<5"], [1]),
    ([0, 2, 30, 3], ["", "<5", "30", "<5"], [1, 2]),
    ([0, 2, 0], ["", "<5", ""], [0]),
]


@pytest.mark.parametrize(("left_out", "shown", "without_count"), FLOWS)
def test_a_small_exclusion_cannot_be_read_off_the_boxes(left_out, shown, without_count):
    remaining = 500 - np.cumsum(left_out)
    frame = pd.DataFrame(
        {
            "step": range(1, len(left_out) + 1),
            "label": "step",
            "n_patients": remaining,
            "n_vertebrae": remaining * 2,
            "n_sightings": remaining,
            "excluded_patients": left_out,
            "reason": "",
        }
    )
    steps = people.flow_steps(frame, RULE)
    assert [s.excluded for s in steps] == shown
    assert [k for k, s in enumerate(steps) if s.patients == "–"] == without_count


def test_unexposed_events_are_counts_too(models):
    models["n_exposed_events"] = [28.0, 28.0, np.nan, np.nan]
    events, exposed = risk.hidden_models(models, RULE)
    assert not events.any()
    assert exposed.tolist() == [True, True, False, False]


def test_a_ratio_that_rests_on_few_events_is_not_shown(models):
    models["n_events"] = 4
    table = risk.models(models, RULE, odds=False)
    assert table is not None
    assert table.rows[1].cells[1].text == "<5 / 800"
    assert table.rows[1].cells[2].text == "–"
    assert table.data["estimate"].isna().all()


def test_what_a_hidden_ratio_could_be_had_from_is_hidden_too(models):
    few = models.assign(n_events=4, statistic=2.5, p_value=0.0124, df=2.0, corrected_std_error=0.4)
    table = risk.models(few, RULE, odds=False)
    assert table is not None
    assert table.data[["statistic", "p_value", "df", "corrected_std_error"]].isna().all(axis=None)


def test_degrees_of_freedom_do_not_tell_of_few_patients_with_the_event(models):
    """Six events in three patients: t has two degrees of freedom."""
    table = risk.models(models.assign(n_events=6, p_value=0.0124, df=2.0), RULE, odds=False)
    assert table is not None
    assert table.data["df"].isna().all()
    assert table.data["p_value"].notna().all()
    enough = risk.models(models.assign(n_events=40, df=24.0), RULE, odds=False)
    assert enough is not None
    assert (enough.data["df"] == 24).all()


def test_a_sentence_of_a_check_gives_no_identifier_away():
    frame = pd.DataFrame(
        [
            ("no_patient", "reject", "fractures", "patient_id", 1, "The patient id 'P-1' has no row in patients."),
            ("no_patient", "reject", "fractures", "patient_id", 1, "The patient id 'P-2' has no row in patients."),
        ],
        columns=["check", "outcome", "table", "column", "n_rows", "sentence"],
    )
    found = quality.summarised(frame)
    assert found["n_rows"].tolist() == [2]
    assert not found["sentence"].str.contains("P-").any()
