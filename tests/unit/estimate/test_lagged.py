"""Exposure moved along the days: worked by hand, row by row, and what must hold of any rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.lagged import lagged

NAMES = {"id": "patient", "entry": "entry", "exit": "exit", "event": "event"}


def rows(*parts):
    """patient, entry, exit, drug, event."""
    return pd.DataFrame(parts, columns=["patient", "entry", "exit", "drug", "event"])


def by_hand(frame):
    return frame[["patient", "entry", "exit", "drug", "event"]].to_numpy().tolist()


ONE_COURSE = ((1, 0, 30, 0, 0), (1, 30, 60, 1, 0), (1, 60, 200, 0, 1))


@pytest.mark.parametrize(
    ("lag", "duration", "expected", "why"),
    [
        (0, None, [[1, 0, 30, 0, 0], [1, 30, 60, 1, 0], [1, 60, 200, 0, 1]], "nothing is moved"),
        (20, None, [[1, 0, 30, 0, 0], [1, 30, 50, 0, 0], [1, 50, 60, 1, 0], [1, 60, 80, 1, 0], [1, 80, 200, 0, 1]],
         "both ends move by the lag: acting on (50, 80]"),
        (20, 0, [[1, 0, 30, 0, 0], [1, 30, 50, 0, 0], [1, 50, 60, 1, 0], [1, 60, 200, 0, 1]], "none after the stop"),
        (0, 90, [[1, 0, 30, 0, 0], [1, 30, 60, 1, 0], [1, 60, 150, 1, 0], [1, 150, 200, 0, 1]], "90 days beyond it"),
        (40, 0, [[1, 0, 30, 0, 0], [1, 30, 60, 0, 0], [1, 60, 200, 0, 1]], "stopped before it could act: never"),
        (170, None, [[1, 0, 30, 0, 0], [1, 30, 60, 0, 0], [1, 60, 200, 0, 1]], "acts after follow-up only"),
        (0, np.inf, [[1, 0, 30, 0, 0], [1, 30, 60, 1, 0], [1, 60, 200, 1, 1]], "once exposed, always exposed"),
        (30, None, [[1, 0, 30, 0, 0], [1, 30, 60, 0, 0], [1, 60, 90, 1, 0], [1, 90, 200, 0, 1]], "ends meet rows"),
    ],
)  # fmt: skip
def test_one_course(lag, duration, expected, why):
    found = lagged(rows(*ONE_COURSE), "drug", lag_days=lag, duration_days=duration, **NAMES)
    assert by_hand(found) == expected, why


def test_an_event_on_the_day_the_action_begins_is_not_exposed_and_the_day_after_is():
    """Time at risk is (entry, exit]: exposure counts from the day after start + lag."""
    on_the_day = rows((1, 0, 30, 0, 0), (1, 30, 50, 1, 1))
    day_after = rows((1, 0, 30, 0, 0), (1, 30, 51, 1, 1))
    assert by_hand(lagged(on_the_day, "drug", lag_days=20, **NAMES))[-1] == [1, 30, 50, 0, 1]
    assert by_hand(lagged(day_after, "drug", lag_days=20, **NAMES))[-2:] == [[1, 30, 50, 0, 0], [1, 50, 51, 1, 1]]


def test_courses_whose_actions_overlap_are_one():
    twice = rows((1, 0, 10, 1, 0), (1, 10, 20, 0, 0), (1, 20, 30, 1, 0), (1, 30, 99, 0, 0))
    found = lagged(twice, "drug", lag_days=5, duration_days=15, **NAMES)
    assert by_hand(found) == [
        [1, 0, 5, 0, 0], [1, 5, 10, 1, 0], [1, 10, 20, 1, 0], [1, 20, 30, 1, 0], [1, 30, 45, 1, 0], [1, 45, 99, 0, 0],
    ]  # fmt: skip


def test_splits_by_other_columns_do_not_begin_a_course_again():
    split = rows((1, 0, 30, 0, 0), (1, 30, 45, 1, 0), (1, 45, 60, 1, 0), (1, 60, 200, 0, 1))
    whole = rows(*ONE_COURSE)
    one, other = (lagged(d, "drug", lag_days=20, duration_days=90, **NAMES) for d in (split, whole))
    exposed = [(d["drug"] * (d["exit"] - d["entry"])).sum() for d in (one, other)]
    assert exposed == [100, 100]


def test_exposure_in_the_first_row_begins_there_or_was_established():
    users = rows((1, 0, 100, 1, 1), (2, 40, 100, 1, 1))
    begins = lagged(users, "drug", lag_days=30, **NAMES)
    assert by_hand(begins) == [[1, 0, 30, 0, 0], [1, 30, 100, 1, 1], [2, 40, 70, 0, 0], [2, 70, 100, 1, 1]]
    established = lagged(users, "drug", lag_days=30, prevalent="established", **NAMES)
    assert by_hand(established) == [[1, 0, 100, 1, 1], [2, 40, 100, 1, 1]]
    stops = rows((1, 0, 50, 1, 0), (1, 50, 200, 0, 0))
    assert by_hand(lagged(stops, "drug", lag_days=30, duration_days=10, prevalent="established", **NAMES)) == [
        [1, 0, 50, 1, 0], [1, 50, 60, 1, 0], [1, 60, 200, 0, 0],
    ]  # fmt: skip


def test_in_a_gap_the_last_value_holds():
    """Out of sight from day 50 to 80: on before and after is one course; off after it ended when that was seen."""
    goes_on = rows((1, 0, 20, 0, 0), (1, 20, 50, 1, 0), (1, 80, 120, 1, 0))
    assert by_hand(lagged(goes_on, "drug", lag_days=40, **NAMES)) == [
        [1, 0, 20, 0, 0], [1, 20, 50, 0, 0], [1, 80, 120, 1, 0],
    ]  # fmt: skip
    ended = rows((1, 0, 20, 0, 0), (1, 20, 50, 1, 0), (1, 80, 120, 0, 0))
    assert by_hand(lagged(ended, "drug", lag_days=0, duration_days=10, **NAMES))[-2:] == [
        [1, 80, 90, 1, 0], [1, 90, 120, 0, 0],
    ]  # fmt: skip


def test_two_drugs_are_moved_apart_and_rows_split_for_both():
    d = rows((1, 0, 10, 0, 0), (1, 10, 100, 1, 1)).assign(steroid=[1, 0])
    found = lagged(d, ["drug", "steroid"], lag_days=20, **NAMES)
    assert found[["entry", "exit", "drug", "steroid", "event"]].to_numpy().tolist() == [
        [0, 10, 0, 0, 0], [10, 20, 0, 0, 0], [20, 30, 0, 1, 0], [30, 100, 1, 0, 1],
    ]  # fmt: skip


def test_causes_categories_and_several_event_columns_stay_with_the_last_part():
    d = pd.DataFrame(
        {
            "patient": [1, 1],
            "entry": [0.0, 10.0],
            "exit": [10.0, 100.0],
            "drug": [False, True],
            "event": [0, 2],
            "kind": pd.Categorical(["none", "death"], ["none", "refracture", "death"]),
            "died": [False, True],
            "site": ["A", "A"],
        }
    )
    found = lagged(d, "drug", lag_days=20, **NAMES | {"event": ["event", "kind", "died"]})
    assert found["event"].tolist() == [0, 0, 2]
    assert found["kind"].astype(str).tolist() == ["none", "none", "death"]
    assert found["died"].tolist() == [False, False, True]
    assert found["kind"].cat.categories.tolist() == ["none", "refracture", "death"]
    assert found["site"].tolist() == ["A"] * 3
    assert found["exit"].dtype == np.float64


def test_whole_days_stay_whole_and_half_days_become_fractions():
    whole = lagged(rows(*ONE_COURSE), "drug", lag_days=20, **NAMES)
    assert whole[["entry", "exit", "drug"]].dtypes.astype(str).tolist() == ["int64"] * 3
    assert lagged(rows(*ONE_COURSE), "drug", lag_days=0.5, **NAMES)["exit"].dtype == np.float64


def test_a_patient_whose_drugs_are_unknown_stays_unknown():
    d = rows((1, 0, 10, 0, 0), (1, 10, 50, 1, 0), (2, 0, 50, np.nan, 1))
    found = lagged(d, "drug", lag_days=5, **NAMES)
    assert found["drug"].isna().tolist() == [False, False, False, True]
    with pytest.raises(EstimationError, match="missing in some rows of 1 units"):
        lagged(rows((1, 0, 10, 0, 0), (1, 10, 50, np.nan, 0)), "drug", lag_days=5, **NAMES)


def test_no_rows_and_nobody_exposed():
    nobody = rows((1, 0, 10, 0, 0), (1, 10, 50, 0, 1))
    assert by_hand(lagged(nobody, "drug", lag_days=5, **NAMES)) == by_hand(nobody)
    assert len(lagged(nobody[:0], "drug", lag_days=5, **NAMES)) == 0


@pytest.mark.parametrize(
    ("d", "options", "words"),
    [
        (rows((1, 0, 10, 2, 0)), {"lag_days": 5}, "must be 0 or 1"),
        (rows((1, 0, 10, 1, 0)).astype({"drug": "category"}), {"lag_days": 5}, "must hold 0 and 1"),
        (rows((1, 0, 10, 1, 0)), {"lag_days": -5}, "zero days or more"),
        (rows((1, 0, 10, 1, 0)), {"lag_days": 5, "duration_days": -1}, "zero days or more"),
        (rows((1, 0, 10, 1, 0)), {"lag_days": 5, "prevalent": "maybe"}, "begins or established"),
        (rows((1, 0, 10, 1, 0), (1, 5, 20, 1, 0)), {"lag_days": 5}, "may touch but not overlap"),
        (rows((1, 10, 10, 1, 0)), {"lag_days": 5}, "must be greater"),
    ],
)
def test_what_cannot_be_lagged_is_refused(d, options, words):
    with pytest.raises(EstimationError, match=words):
        lagged(d, "drug", **options, **NAMES)


def test_a_column_named_twice_or_absent_is_refused():
    with pytest.raises(EstimationError, match="once"):
        lagged(rows(*ONE_COURSE), ["drug", "drug"], lag_days=5, **NAMES)
    with pytest.raises(EstimationError, match="There is no column 'dose'"):
        lagged(rows(*ONE_COURSE), "dose", lag_days=5, **NAMES)


stays = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1), st.booleans()), min_size=1, max_size=5)
histories = st.lists(st.tuples(st.integers(0, 6), stays), min_size=1, max_size=4)


def of_histories(drawn):
    parts = []
    for patient, (entry, stays) in enumerate(drawn):
        day = entry
        for length, drug, gap in stays:
            day += 3 * gap
            parts.append((patient, day, day + length, drug, 0))
            day += length
    return rows(*parts)


@settings(max_examples=60, deadline=None)
@given(histories, st.integers(0, 12), st.one_of(st.none(), st.integers(0, 12)), st.integers(0, 5))
def test_every_day_is_exposed_if_a_course_acts_on_it_and_order_changes_nothing(drawn, lag, duration, seed):
    d = of_histories(drawn)
    found = lagged(d.sample(frac=1, random_state=seed), "drug", lag_days=lag, duration_days=duration, **NAMES)
    assert (found["exit"] - found["entry"]).sum() == (d["exit"] - d["entry"]).sum()
    for patient, own in d.groupby("patient"):
        starts, stops, before = [], [], 0
        for row in own.itertuples():
            if row.drug and not before:
                starts.append(row.entry)
            if before and not row.drug:
                stops.append(row.entry)
            before = row.drug
        stops += [np.inf] if before else []
        acting = [(a + lag, b + (lag if duration is None else duration)) for a, b in zip(starts, stops, strict=True)]
        for row in found[found["patient"] == patient].itertuples():
            for day in range(row.entry + 1, row.exit + 1):
                assert row.drug == any(a < day <= b for a, b in acting)


def test_late_effects_are_found_where_they_are():
    """Simulated: a drug that halves the hazard from 60 days after its start; unlagged, its first days dilute it."""
    rng = np.random.default_rng(8)
    n = 6000
    start = rng.integers(1, 300, n)
    first, second = rng.exponential(400, n), rng.exponential(800, n)
    dies = np.where(first <= start + 60, first, start + 60 + second)
    end = np.ceil(np.minimum(dies, 600)).astype(int)
    died = (dies <= 600).astype(int)
    before = pd.DataFrame({"patient": np.arange(n), "entry": 0, "exit": np.minimum(start, end), "drug": 0})
    before["event"] = np.where(end <= start, died, 0)
    after = pd.DataFrame({"patient": np.arange(n), "entry": start, "exit": end, "drug": 1, "event": died})[end > start]
    d = pd.concat([before, after])
    options = {"entry": "entry", "exit": "exit", "event": "event", "id": "patient"}
    plain = cox(d, ["drug"], **options).frame.iloc[0]
    moved = cox(lagged(d, "drug", lag_days=60, **NAMES), ["drug"], **options).frame.iloc[0]
    assert moved["conf_low"] < 0.5 < moved["conf_high"]
    assert plain["conf_low"] > 0.5
