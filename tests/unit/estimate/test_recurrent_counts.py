"""The mean number of fractures per patient: worked by hand with a death and a gap, and what must hold for any rows."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen
from cohort.estimate.nelson_aalen import nelson_aalen
from cohort.estimate.recurrent_counts import mean_cumulative_count

OPTIONS = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit"}
CLUSTERED = OPTIONS | {"cluster": "patient"}
VALUES = ["estimate", "std_error", "conf_low", "conf_high"]


def table(text):
    lines = [line.split("|")[0].split() for line in text.strip().splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0]).apply(pd.to_numeric)


FOUR = table("""
unit entry exit cause
1    0     2    1     | fractures on day 2,
1    2     6    1     | again on day 6,
1    6     9    0     | and is then lost
2    0     4    2     | dies on day 4
3    0     3    1     | fractures on day 3, is out of sight,
3    5     9    0     | and comes back on day 5
4    0     9    0     | is seen throughout
""")


def recurrent_rows(seed, n_patients=30):
    """Vertebrae that fracture again and again until loss or death, one in four out of sight for a while."""
    rng, rows = np.random.default_rng(seed), []
    for patient in range(n_patients):
        for vertebra in range(rng.integers(1, 3)):
            day, end = int(rng.integers(0, 10)), int(rng.integers(20, 60))
            died, leak = int(rng.integers(0, 2)), int(rng.integers(0, 2))
            while day < end:
                stop = min(day + int(rng.integers(3, 40)), end)
                rows.append((patient * 10 + vertebra, patient, day, stop, 1 if stop < end else 2 * died, leak))
                day = stop + 4 * int(rng.random() < 0.25)
    return pd.DataFrame(rows, columns=["unit", "patient", "entry", "exit", "cause", "leak"])


def test_four_patients_worked_by_hand():
    """Day 2: 1 of 4. Day 3: 1 of 4. Day 4: one of three in sight dies, 2/3 alive. Day 6: 1 of 3, times 2/3."""
    result = mean_cumulative_count(FOUR, **OPTIONS).frame
    assert result["time"].tolist() == [2, 3, 6]
    np.testing.assert_allclose(result["estimate"], [1 / 4, 1 / 2, 1 / 2 + 2 / 3 * 1 / 3], rtol=1e-14)
    assert result["n_events"].tolist() == [1, 2, 3]
    assert result["n_risk"].tolist() == [4, 4, 3]
    assert result["n_units"].tolist() == [4, 4, 4]


def test_its_error_worked_by_hand_is_a_sum_over_patients():
    """By day 2 patient 1 is moved by (1 - 1/4) / 4, each other by -(1/4) / 4."""
    row = mean_cumulative_count(FOUR, at=2, **OPTIONS).frame.iloc[0]
    assert row["std_error"] == pytest.approx(np.sqrt((3 / 16) ** 2 + 3 / 16**2), rel=1e-12)
    normal = mean_cumulative_count(FOUR, at=2, small_sample="none", **OPTIONS).frame.iloc[0]
    assert normal["conf_high"] == pytest.approx(0.25 * np.exp(1.959963984540054 * row["std_error"] / 0.25))


def test_without_loss_the_mean_count_is_the_mean_of_the_counts():
    """Two fractures and death, one fracture, none: everyone known to day 10, so 3 / 3, and the error that of a mean."""
    d = table("""
    unit entry exit cause
    1    0     2    1
    1    2     4    1
    1    4     5    2
    2    0     7    1
    2    7     10   0
    3    0     10   0
    """)
    row = mean_cumulative_count(d, at=10, **OPTIONS).frame.iloc[0]
    assert row["estimate"] == pytest.approx(1, rel=1e-14)
    assert row["std_error"] == pytest.approx(np.std([2, 1, 0]) / np.sqrt(3), rel=1e-12)


def test_deaths_taken_as_losses_give_more_fractures_than_there_are():
    d = recurrent_rows(3)
    competing = mean_cumulative_count(d, at=40, **OPTIONS).frame["estimate"].iloc[0]
    censored = mean_cumulative_count(d, at=40, terminal=None, **OPTIONS).frame["estimate"].iloc[0]
    assert censored > competing


def test_where_all_are_seen_to_the_end_and_nobody_fractures_twice_it_is_the_incidence():
    """Only then: with losses the two use different risk sets, after a first fracture still in and already out."""
    first = pd.DataFrame({"unit": range(8), "exit": [2, 3, 3, 5, 6, 10, 10, 10], "cause": [1, 2, 1, 1, 2, 0, 0, 0]})
    rest = first[first["cause"] == 1].assign(entry=lambda d: d["exit"], exit=10, cause=[2, 0, 0])
    lives = pd.concat([first.assign(entry=0), rest])
    incidence = aalen_johansen(first, exit="exit", cause="cause", at=[2, 4, 10]).frame.query("outcome == '1'")
    counted = mean_cumulative_count(lives, at=[2, 4, 10], **OPTIONS).frame
    np.testing.assert_allclose(counted[["estimate", "std_error"]], incidence[["estimate", "std_error"]], rtol=1e-12)


def test_without_a_terminal_event_it_is_nelson_aalen():
    d = recurrent_rows(4).assign(event=lambda d: (d["cause"] == 1).astype(int))
    ours = mean_cumulative_count(d, terminal=None, **CLUSTERED).frame
    hazard = nelson_aalen(d, entry="entry", exit="exit", event="event", id="unit", cluster="patient").frame
    for name in [*VALUES, "time", "n_risk", "n_events"]:
        np.testing.assert_allclose(ours[name], hazard[name], rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_error_is_the_derivative_by_each_patients_weight(seed):
    d, eps = recurrent_rows(seed, n_patients=15).assign(w=1.0), 1e-5
    options = CLUSTERED | {"weight": "w", "at": [10, 25, 50]}
    moved = [
        mean_cumulative_count(d.assign(w=1 + eps * (d["patient"] == p)), **options).frame["estimate"]
        - mean_cumulative_count(d.assign(w=1 - eps * (d["patient"] == p)), **options).frame["estimate"]
        for p in d["patient"].unique()
    ]
    numerical = np.sqrt(((np.array(moved) / (2 * eps)) ** 2).sum(axis=0))
    np.testing.assert_allclose(mean_cumulative_count(d, **options).frame["std_error"], numerical, rtol=1e-6)


def test_order_splits_copies_and_frequencies():
    d = recurrent_rows(6)
    options = CLUSTERED | {"at": [10, 25, 50]}
    whole = mean_cumulative_count(d, **options).frame
    shuffled = mean_cumulative_count(d.sample(frac=1, random_state=1), **options).frame
    np.testing.assert_allclose(shuffled[VALUES], whole[VALUES], rtol=1e-11)
    over = (d["entry"] < 12) & (d["exit"] > 12)
    split = pd.concat([d[over].assign(exit=12, cause=0), d.assign(entry=np.where(over, 12, d["entry"]))])
    parts = mean_cumulative_count(split, **options).frame
    np.testing.assert_allclose(parts[[*VALUES, "n_risk", "n_units"]], whole[[*VALUES, "n_risk", "n_units"]], rtol=1e-10)
    apart = pd.concat([d.assign(unit=d["unit"] + 1000 * k, patient=d["patient"] + 1000 * k) for k in range(4)])
    many = mean_cumulative_count(apart, **options).frame
    np.testing.assert_allclose(many["std_error"] * 2, whole["std_error"], rtol=1e-10)
    counted = mean_cumulative_count(d.assign(w=4), weight="w", weight_kind="frequency", **options).frame
    for name in [*VALUES, "n_risk", "n_events"]:
        np.testing.assert_allclose(counted[name], many[name], rtol=1e-10)


def test_several_causes_may_be_counted_and_several_be_terminal():
    d = recurrent_rows(7)
    relabelled = d.assign(
        cause=d["cause"].map({0: 0, 1: 1, 2: 2}).where(d["unit"] % 2 == 0, d["cause"].map({0: 0, 1: 3, 2: 4}))
    )
    one = mean_cumulative_count(d, at=[30], **OPTIONS).frame
    two = mean_cumulative_count(relabelled, at=[30], of=(1, 3), terminal=(2, 4), **OPTIONS).frame
    np.testing.assert_allclose(one[VALUES], two[VALUES], rtol=1e-14)


def test_groups_each_have_their_own_count():
    d = recurrent_rows(8)
    both = mean_cumulative_count(d, at=[30], by="leak", **CLUSTERED).frame.set_index("stratum")
    alone = mean_cumulative_count(d[d["leak"] == 1], at=[30], **CLUSTERED).frame.iloc[0]
    np.testing.assert_allclose(both.loc["1", VALUES].astype(float), alone[VALUES].astype(float), rtol=1e-12)


def test_no_event_is_a_count_of_zero_without_interval():
    d = pd.DataFrame({"exit": [5, 6], "cause": [0, 2]})
    row = mean_cumulative_count(d, exit="exit", cause="cause", at=5).frame.iloc[0]
    assert row["estimate"] == 0
    assert row[["conf_low", "conf_high"]].isna().all()
    assert "no interval" in row["note"]


def test_a_single_patient_has_a_count_and_no_error():
    row = mean_cumulative_count(FOUR[FOUR["unit"] == 1], at=9, **OPTIONS).frame.iloc[0]
    assert row["estimate"] == 2
    assert np.isnan(row["std_error"])
    assert "one cluster" in row["note"]


def test_after_follow_up_the_count_stands_only_if_nobody_is_alive():
    d = pd.DataFrame({"unit": [1, 1, 2], "entry": [0, 2, 0], "exit": [2, 5, 6], "cause": [1, 2, 2]})
    assert mean_cumulative_count(d, at=30, **OPTIONS).frame["estimate"].tolist() == [0.5]
    lost = mean_cumulative_count(d.assign(cause=[1, 2, 0]), at=30, **OPTIONS).frame.iloc[0]
    assert np.isnan(lost["estimate"])
    assert "last day of follow-up (day 6)" in lost["note"]


def test_nobody_left_alive_while_others_are_still_to_enter_is_said():
    d = pd.DataFrame({"unit": [1, 2], "entry": [0, 3], "exit": [2, 6], "cause": [2, 1]})
    row = mean_cumulative_count(d, at=6, **OPTIONS).frame.iloc[0]
    assert row["estimate"] == 0
    assert "still to enter" in row["note"]


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"cause": [2, 1]}, {}, "1 ids have rows after their terminal event"),
        ({}, {"of": 2}, "must be different causes"),
        ({}, {"of": 0}, "none of them 0"),
        ({"leak": [0, 1]}, {"by": "leak"}, "groups fixed at entry"),
        ({"entry": [0, 3]}, {}, "overlap"),
    ],
)
def test_what_cannot_be_counted_is_told_in_a_sentence(change, options, words):
    d = pd.DataFrame({"unit": [1, 1], "entry": [0, 5], "exit": [5, 9], "cause": [1, 2], "leak": [1, 1]} | change)
    with pytest.raises(EstimationError, match=words):
        mean_cumulative_count(d, **OPTIONS, **options)
