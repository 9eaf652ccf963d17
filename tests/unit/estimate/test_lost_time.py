"""Days free and days lost: cohorts small enough to add up by hand, and what must hold for any."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.errors import EstimationError
from cohort.estimate.lost_time import time_lost

OPTIONS = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient"}
VALUES = ["estimate", "std_error", "conf_low", "conf_high"]
FEW = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10_000)


def test_without_loss_the_days_are_means_over_patients_and_the_error_that_of_a_mean():
    """Refracture on days 2 and 6, death on day 4, one free: by day 10 they lose 8, 4, 6 and 0 days."""
    d = pd.DataFrame({"exit": [2, 6, 4, 10], "cause": [1, 1, 2, 0]})
    result = time_lost(d, exit="exit", cause="cause", horizon=10, causes_named=["refracture", "death"]).frame
    result = result.set_index("outcome")
    assert result["estimate"].round(12).to_dict() == {"event_free": (2 + 6 + 4 + 10) / 4, "refracture": 3, "death": 1.5}
    lost = np.array([8, 4, 0, 0])
    assert result["std_error"]["refracture"] == pytest.approx(np.std(lost) / 2, rel=1e-12)
    assert result["n_events"].to_dict() == {"event_free": 3, "refracture": 2, "death": 1}
    assert result["unit"].tolist() == ["days"] * 3


def test_a_day_after_refracture_stays_lost_to_refracture():
    """Who dies after a refracture has lost no day to death: the first event decides, and later rows are none."""
    d = pd.DataFrame({"exit": [2, 10], "cause": [1, 2]})
    result = time_lost(d, exit="exit", cause="cause", horizon=10).frame.set_index("outcome")
    assert result["estimate"].to_dict() == {"event_free": 6, "1": 4, "2": 0}


@FEW
@given(seed=seeds, start=st.integers(0, 5), horizon=st.integers(6, 30))
def test_free_and_lost_days_add_to_the_days_there_are(vertebra_rows, seed, start, horizon):
    result = time_lost(vertebra_rows(seed, causes=3), horizon=horizon, start=start, **OPTIONS).frame
    assert result["estimate"].sum() == pytest.approx(horizon - start, rel=1e-12)
    limits = result[["conf_low", "conf_high"]].dropna().to_numpy()
    assert ((limits >= 0) & (limits <= horizon - start)).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_the_derivative_by_each_patients_weight(vertebra_rows, seed):
    d, eps = vertebra_rows(seed, n_patients=12).assign(w=1.0), 1e-5
    options = OPTIONS | {"weight": "w", "horizon": [15, 30], "start": 3}
    moved = [
        time_lost(d.assign(w=1 + eps * (d["patient"] == p)), **options).frame["estimate"]
        - time_lost(d.assign(w=1 - eps * (d["patient"] == p)), **options).frame["estimate"]
        for p in d["patient"].unique()
    ]
    numerical = np.sqrt(((np.array(moved) / (2 * eps)) ** 2).sum(axis=0))
    np.testing.assert_allclose(time_lost(d, **options).frame["std_error"], numerical, rtol=1e-5, atol=1e-6)


def test_order_splits_and_copies(vertebra_rows):
    d = vertebra_rows(6)
    whole = time_lost(d, horizon=25, **OPTIONS).frame
    shuffled = time_lost(d.sample(frac=1, random_state=1), horizon=25, **OPTIONS).frame
    np.testing.assert_allclose(shuffled[VALUES], whole[VALUES], rtol=1e-12)
    over = (d["entry"] < 9) & (d["exit"] > 9)
    split = pd.concat([d[over].assign(exit=9.0, cause=0), d.assign(entry=np.where(over, 9.0, d["entry"]))])
    parts = time_lost(split, horizon=25, **OPTIONS).frame
    np.testing.assert_allclose(parts[VALUES], whole[VALUES], rtol=1e-10)
    assert parts["n_units"].tolist() == whole["n_units"].tolist()
    apart = pd.concat([d.assign(unit=d["unit"] + 1000 * k, patient=d["patient"] + 1000 * k) for k in range(4)])
    together = apart.assign(patient=apart["patient"] % 1000)
    np.testing.assert_allclose(
        time_lost(apart, horizon=25, **OPTIONS).frame["std_error"] * 2, whole["std_error"], rtol=1e-10
    )
    np.testing.assert_allclose(
        time_lost(together, horizon=25, **OPTIONS).frame["std_error"], whole["std_error"], rtol=1e-10
    )


def test_a_frequency_is_that_many_patients(vertebra_rows):
    d = vertebra_rows(8).assign(w=lambda d: 1 + d["patient"] % 3)
    many = d.loc[d.index.repeat(d["w"])]
    copy = many.groupby("unit").cumcount()
    many = many.assign(unit=many["unit"] + 1000 * copy, patient=many["patient"] + 1000 * copy)
    one = time_lost(d, horizon=20, weight="w", weight_kind="frequency", **OPTIONS).frame
    for name in [*VALUES, "n_risk", "n_events"]:
        np.testing.assert_allclose(one[name], time_lost(many, horizon=20, **OPTIONS).frame[name], rtol=1e-9)


def test_a_horizon_beyond_the_follow_up_keeps_its_row_and_has_no_estimate():
    d = pd.DataFrame({"exit": [5, 9], "cause": [1, 0]})
    result = time_lost(d, exit="exit", cause="cause", horizon=[9, 10]).frame
    assert result.loc[result["time"] == 9, "estimate"].tolist() == [7, 2]
    beyond = result[result["time"] == 10]
    assert beyond[VALUES].isna().all(axis=None)
    assert beyond["note"].str.contains("last day of follow-up \\(day 9\\)").all()


def test_once_nobody_is_free_the_days_go_on_being_lost():
    d = pd.DataFrame({"exit": [5, 9], "cause": [1, 1]})
    assert time_lost(d, exit="exit", cause="cause", horizon=20).frame["estimate"].tolist() == [7, 13]


def test_a_cause_that_never_came_has_no_interval():
    d = pd.DataFrame({"exit": [5, 9, 9], "cause": [1, 0, 0]})
    result = time_lost(d, exit="exit", cause="cause", horizon=9, causes_named=["refracture", "death"]).frame
    death = result.set_index("outcome").loc["death"]
    assert death["estimate"] == 0
    assert death[["conf_low", "conf_high"]].isna().all()
    assert "no interval" in death["note"]


def test_days_before_anyone_is_at_risk_are_said_to_be_taken_as_free():
    d = pd.DataFrame({"entry": [30, 40], "exit": [60, 90], "cause": [1, 0]})
    result = time_lost(d, entry="entry", exit="exit", cause="cause", horizon=90).frame
    assert result["estimate"].tolist() == [75, 15]
    assert result["note"].str.contains("nobody was at risk before day 30").all()


def test_an_emptied_risk_set_before_late_entries_is_said():
    d = pd.DataFrame({"entry": [0, 2, 3], "exit": [1, 9, 9], "cause": [1, 0, 1]})
    result = time_lost(d, entry="entry", exit="exit", cause="cause", horizon=9).frame
    assert result["note"].str.contains("still to enter").all()


def test_log_limits_are_those_of_the_logarithm_and_no_longer_than_the_time_there_is():
    d = pd.DataFrame({"exit": [1, 1, 1, 10], "cause": [1, 1, 1, 0]})
    row = time_lost(d, exit="exit", cause="cause", horizon=10, conf_type="log").frame.iloc[1]
    assert row["conf_low"] == pytest.approx(
        row["estimate"] * np.exp(-1.959963984540054 * row["std_error"] / row["estimate"])
    )
    assert row["conf_high"] == 10


def test_a_single_patient_has_days_and_no_error():
    d = pd.DataFrame({"exit": [5], "cause": [1]})
    result = time_lost(d, exit="exit", cause="cause", horizon=8).frame
    assert result["estimate"].tolist() == [5, 3]
    assert result["std_error"].isna().all()
    assert result["note"].str.contains("one cluster").all()


def test_categories_name_the_causes():
    cause = pd.Categorical(["refracture", "none", "death"], categories=["none", "refracture", "death"])
    d = pd.DataFrame({"exit": [2, 9, 5], "cause": cause})
    assert time_lost(d, exit="exit", cause="cause", horizon=9).frame["outcome"].tolist() == [
        "event_free",
        "refracture",
        "death",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizon": 3, "start": 3}, "must come after day 3"),
        ({"horizon": np.nan}, "days asked for"),
        ({"horizon": 5, "causes_named": ["death"]}, "only 1 causes are named"),
        ({"horizon": 5, "conf_type": "log-log"}, "log or plain"),
        ({"horizon": 5, "by": "drug", "id": "id", "entry": "entry"}, "groups fixed at entry"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(options, words):
    d = pd.DataFrame({"id": [1, 1], "entry": [0, 5], "exit": [5, 9], "cause": [0, 2], "drug": ["a", "b"]})
    with pytest.raises(EstimationError, match=words):
        time_lost(d, exit="exit", cause="cause", **options)
