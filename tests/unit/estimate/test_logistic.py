"""Odds ratios, at a horizon too, and what is said where they have none."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import ipcw_logistic, logistic, poisson
from cohort.estimate.ipcw import censoring_weights

TWO_BY_TWO = pd.DataFrame(
    {"leak": np.repeat([1, 1, 0, 0], [6, 4, 3, 17]), "broke": np.repeat([1, 0, 1, 0], [6, 4, 3, 17])}
)


def test_a_two_by_two_table_has_its_cross_product_and_woolfs_error():
    result = logistic(TWO_BY_TWO, outcome="broke", covariates=["leak"]).frame.set_index("term")
    assert result["estimate"]["leak"] == pytest.approx(6 * 17 / (4 * 3), rel=1e-10)
    assert result["std_error"]["leak"] == pytest.approx(np.sqrt(1 / 6 + 1 / 4 + 1 / 3 + 1 / 17), rel=1e-10)
    assert result["n_exposed_events"]["leak"] == 6


@pytest.mark.parametrize(
    ("exposed_broke", "other_broke", "ratio"), [(0, 3, 0.0), (6, 0, np.inf)], ids=["none exposed", "all exposed"]
)
def test_separation_is_said_and_the_rest_is_still_fitted(exposed_broke, other_broke, ratio):
    broke = np.concatenate([np.arange(10) < exposed_broke, np.arange(20) < other_broke]).astype(int)
    d = TWO_BY_TWO.assign(broke=broke, age=60 + (np.arange(30) * 7) % 23)
    result = logistic(d, outcome="broke", covariates=["leak", "age"]).frame.set_index("term")
    assert result["estimate"]["leak"] == ratio
    assert "separates" in result["note"]["leak"]
    among = d[d["leak"] == (1 if ratio == np.inf else 0)]
    alone = logistic(among, outcome="broke", covariates=["age"]).frame.set_index("term")
    assert result["coef"]["age"] == pytest.approx(alone["coef"]["age"], abs=1e-5)
    assert result["std_error"]["age"] == pytest.approx(alone["std_error"]["age"], rel=1e-4)


@pytest.mark.parametrize("value", [0, 1])
def test_no_event_or_nothing_else_leaves_rows_that_say_so(value):
    result = logistic(TWO_BY_TWO.assign(broke=value), outcome="broke", covariates=["leak"]).frame
    assert result["estimate"].isna().all()
    assert result["note"].str.endswith("nothing can be estimated").all()


def test_the_same_for_everyone_is_said():
    result = logistic(TWO_BY_TWO.assign(leak=1), outcome="broke", covariates=["leak"]).frame.set_index("term")
    assert result["note"]["leak"].startswith("the same for everyone")
    assert result["estimate"]["intercept"] == pytest.approx(9 / 21, rel=1e-10)


def test_losses_are_taken_up_by_those_still_seen_worked_by_hand():
    """Of four, one breaks on day 1, one is lost on day 2, so the two left stand for three: weight 3/2 each."""
    exit_, cause = np.array([1.0, 2, 8, 9]), np.array([1, 0, 0, 2])
    weights, known = censoring_weights(exit_, cause, 5.0, np.ones(4), np.zeros(4, np.int64))
    assert weights.tolist() == pytest.approx([1, 0, 1.5, 1.5])
    assert known.tolist() == [True, False, True, True]


def test_events_of_a_day_come_before_its_losses():
    """On day 2 one of two at risk breaks and the other is lost: who broke was never at risk of that loss."""
    weights, _ = censoring_weights(np.array([2.0, 2, 9]), np.array([1, 0, 0]), 5.0, np.ones(3), np.zeros(3, np.int64))
    assert weights.tolist() == pytest.approx([1, 0, 2])


def test_a_death_before_the_horizon_is_a_known_non_event():
    d = pd.DataFrame({"exit": [3, 4, 9, 9, 5, 9], "cause": [2, 1, 0, 0, 1, 0], "leak": [0, 1, 0, 1, 0, 1]})
    result = ipcw_logistic(d, horizon=8, exit="exit", cause="cause", covariates=["leak"])
    assert result.frame["n_known"].iloc[0] == 6
    assert result.frame["n_events"].iloc[0] == 2
    assert result.frame["estimate"].iloc[1] == pytest.approx(1.0, rel=1e-9)  # one of three either way


def test_followed_exactly_to_the_horizon_is_known_and_a_day_less_is_lost():
    d = pd.DataFrame({"exit": [8, 7, 3, 9, 9, 2], "cause": [0, 0, 1, 1, 0, 1], "leak": [0, 1, 0, 1, 0, 1]})
    result = ipcw_logistic(d, horizon=8, exit="exit", cause="cause", covariates=["leak"]).frame.iloc[0]
    assert (result["n_known"], result["n_lost"]) == (5, 1)


def test_rows_of_one_id_are_one_unit_with_its_first_covariates(vertebra_rows):
    d = vertebra_rows(3, n_patients=60).query("entry == 0")
    options = {"horizon": 20, "exit": "exit", "cause": "cause", "entry": "entry", "id": "unit", "cluster": "patient"}
    first = d.assign(exit=np.minimum(d["exit"], 6), cause=np.where(d["exit"] > 6, 0, d["cause"]))
    later = d[d["exit"] > 6].assign(entry=6.0, leak=lambda d: 1 - d["leak"])
    split = pd.concat([first, later])
    one = ipcw_logistic(d, covariates=["leak"], **options).frame
    two = ipcw_logistic(split, covariates=["leak"], **options).frame
    np.testing.assert_allclose(two["coef"], one["coef"], rtol=1e-10)
    np.testing.assert_allclose(two["std_error"], one["std_error"], rtol=1e-10)


def test_who_enters_late_is_left_out_and_counted(vertebra_rows):
    d = vertebra_rows(3, n_patients=60)
    result = ipcw_logistic(d, horizon=20, exit="exit", cause="cause", entry="entry", covariates=["leak"])
    assert result.settings["n_late_entry"] == (d["entry"] > 0).sum()


def test_a_rate_ratio_of_two_groups_is_the_ratio_of_their_rates():
    d = pd.DataFrame({"leak": [0, 0, 1, 1], "events": [2, 4, 5, 7], "days": [100, 200, 100, 100]})
    result = poisson(d, events="events", person_time="days", covariates=["leak"]).frame.set_index("term")
    assert result["estimate"]["intercept"] == pytest.approx(0.02, rel=1e-10)
    assert result["estimate"]["leak"] == pytest.approx(3.0, rel=1e-10)
    assert result["std_error"]["leak"] == pytest.approx(np.sqrt(1 / 6 + 1 / 12), rel=1e-10)


def test_a_group_without_events_has_a_rate_ratio_of_zero():
    d = pd.DataFrame({"leak": [0, 0, 1, 1], "events": [2, 4, 0, 0], "days": [100, 200, 100, 100]})
    result = poisson(d, events="events", person_time="days", covariates=["leak"]).frame.set_index("term")
    assert result["estimate"]["leak"] == 0
    assert result["estimate"]["intercept"] == pytest.approx(0.02, rel=1e-6)


def test_events_in_no_time_are_refused():
    d = pd.DataFrame({"leak": [0, 1], "events": [1, 1], "days": [0, 5]})
    with pytest.raises(EstimationError, match="events need time at risk"):
        poisson(d, events="events", person_time="days", covariates=["leak"])
