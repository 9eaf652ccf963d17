"""Odds ratios from few events: what the penalty gives, what it cannot, and what is said of it."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from cohort.domain.errors import EstimationError
from cohort.estimate import logistic
from cohort.estimate.firth import firth_logistic, fit_firth_logistic, penalized_odds
from cohort.estimate.profile import Point, highest, profiles

SHOWN = ["coef", "std_error", "conf_low", "conf_high", "statistic", "p_value"]


def two_by_two(exposed_events, exposed, other_events, others):
    broke = np.concatenate([np.arange(exposed) < exposed_events, np.arange(others) < other_events]).astype(int)
    return pd.DataFrame({"broke": broke, "cleft": np.repeat([1, 0], [exposed, others])})


def cohort(seed, n=80):
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(
        {"cleft": rng.integers(0, 2, n), "age": rng.normal(75, 8, n).round(1), "copies": rng.integers(1, 4, n)}
    )
    return d.assign(broke=(rng.random(n) < 0.05 + 0.15 * d["cleft"]).astype(int))


def fit(df, covariates=("cleft",), **options):
    return firth_logistic(df, outcome="broke", covariates=list(covariates), **options)


@pytest.mark.parametrize(
    "cells", [(3, 8, 0, 12), (0, 8, 3, 12), (8, 8, 3, 12), (8, 8, 0, 12), (1, 8, 0, 12), (4, 8, 3, 12)]
)
def test_of_a_two_by_two_table_the_penalty_is_half_a_patient_in_each_cell(cells):
    a, exposed, b, others = cells
    result = fit(two_by_two(*cells)).frame.set_index("term")
    ratio = (a + 0.5) * (others - b + 0.5) / ((exposed - a + 0.5) * (b + 0.5))
    assert result["estimate"]["cleft"] == pytest.approx(ratio, rel=1e-9)
    assert result["estimate"]["intercept"] == pytest.approx((b + 0.5) / (others - b + 0.5), rel=1e-9)
    p, q = (a + 0.5) / (exposed + 1), (b + 0.5) / (others + 1)
    error = np.sqrt(1 / (exposed * p * (1 - p)) + 1 / (others * q * (1 - q)))
    assert result["std_error"]["cleft"] == pytest.approx(error, rel=1e-9)
    assert (result["conf_low"] < result["estimate"]).all()
    assert (result["estimate"] < result["conf_high"]).all()
    assert np.isfinite(result[SHOWN]).all(axis=None)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ((0, 8, 3, 12), "no event among the exposed: finite by the penalty alone"),
        ((3, 8, 0, 12), "every event among the exposed: finite by the penalty alone"),
        ((8, 8, 3, 12), "no row without the event among the exposed: finite by the penalty alone"),
        ((4, 8, 12, 12), "every row without the event among the exposed: finite by the penalty alone"),
    ],
)
def test_a_ratio_that_only_the_penalty_keeps_finite_is_said(cells, words):
    assert words in fit(two_by_two(*cells)).frame["note"].iloc[1]


def test_a_limit_is_where_the_profile_has_fallen_by_half_a_chi_squared_quantile():
    """Of one covariate the profile is a maximum over the intercept alone, found by golden section."""
    d = two_by_two(3, 8, 1, 12)
    row = fit(d).frame.iloc[1]
    z, y = np.column_stack([np.ones(20), d["cleft"]]), d["broke"].to_numpy(float)
    height = penalized_odds(np.asfortranarray(z), y, np.ones(20))
    top = height(np.array([np.log(1.5 / 11.5), row["coef"]])).loglik
    for limit in (row["conf_low"], row["conf_high"]):
        found = optimize.minimize_scalar(lambda b, limit=limit: -height(np.array([b, np.log(limit)])).loglik, (-8, 3))
        assert 2 * (top + found.fun) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-8)


def test_with_many_events_it_is_logistic_regression():
    d = cohort(1, 4000)
    ours, plain = fit(d, ("cleft", "age")).frame, logistic(d, outcome="broke", covariates=["cleft", "age"]).frame
    np.testing.assert_allclose(ours["coef"], plain["coef"], rtol=0.02)
    np.testing.assert_allclose(ours["std_error"], plain["std_error"], rtol=0.01)


def test_frequency_weights_are_rows_repeated():
    d = cohort(2)
    one = fit(d, ("cleft", "age"), weight="copies", weight_kind="frequency")
    other = fit(d.loc[d.index.repeat(d["copies"])], ("cleft", "age"))
    for name in SHOWN:
        np.testing.assert_allclose(one.frame[name], other.frame[name], rtol=1e-7, atol=1e-9)
    for name in ("n_events", "n_exposed_events"):
        np.testing.assert_array_equal(one.frame[name], other.frame[name])
    assert one.settings["loglik"] == pytest.approx(other.settings["loglik"], rel=1e-12)
    assert one.settings["events_per_parameter"] == other.settings["events_per_parameter"]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 365.25), (-75.0, 0.001), (1e4, 1.0)])
def test_the_unit_of_a_covariate_changes_only_its_own_coefficient(shift, scale):
    d = cohort(3)
    one = fit(d, ("cleft", "age")).frame.set_index("term")
    other = fit(d.assign(age=(d["age"] + shift) * scale), ("cleft", "age")).frame.set_index("term")
    np.testing.assert_allclose(
        other.loc["cleft", SHOWN].astype(float), one.loc["cleft", SHOWN].astype(float), rtol=1e-6
    )
    assert other["coef"]["age"] * scale == pytest.approx(one["coef"]["age"], rel=1e-6)
    assert other["p_value"]["age"] == pytest.approx(one["p_value"]["age"], rel=1e-6)
    assert np.log(other["conf_high"]["age"]) * scale == pytest.approx(np.log(one["conf_high"]["age"]), rel=1e-6)


def test_exchanging_exposed_and_others_turns_the_interval_round():
    d = cohort(3)
    one = fit(d, ("cleft", "age")).frame.iloc[1]
    other = fit(d.assign(cleft=1 - d["cleft"]), ("cleft", "age")).frame.iloc[1]
    assert other["conf_low"] == pytest.approx(1 / one["conf_high"], rel=1e-7)
    assert other["conf_high"] == pytest.approx(1 / one["conf_low"], rel=1e-7)
    assert other["statistic"] == pytest.approx(-one["statistic"], rel=1e-7)


def test_row_order_changes_nothing():
    d = cohort(4)
    one, other = fit(d, ("cleft", "age")).frame, fit(d.sample(frac=1, random_state=1), ("cleft", "age")).frame
    np.testing.assert_allclose(one[SHOWN], other[SHOWN], rtol=1e-7)


def test_p_is_below_five_percent_just_where_the_interval_leaves_out_one():
    for seed in range(20):
        result = fit(cohort(seed, 60)).frame.iloc[1]
        assert (result["p_value"] < 0.05) == (result["conf_low"] > 1 or result["conf_high"] < 1)


@pytest.mark.parametrize("value", [0, 1])
def test_no_event_or_nothing_else_leaves_rows_that_say_so(value):
    result = fit(cohort(1).assign(broke=value), ("cleft", "age"))
    assert result.frame["term"].tolist() == ["intercept", "cleft", "age"]
    assert result.frame[SHOWN].isna().all(axis=None)
    assert result.frame["note"].str.endswith("nothing can be estimated").all()


def test_everyone_exposed_leaves_a_row_that_says_so_and_fits_the_rest():
    d = cohort(1)
    result = fit(d.assign(cleft=1), ("cleft", "age")).frame.set_index("term")
    assert result["note"]["cleft"].startswith("the same for everyone")
    assert np.isnan(result["estimate"]["cleft"])
    alone = fit(d, ("age",)).frame.set_index("term")
    assert result["conf_high"]["age"] == pytest.approx(alone["conf_high"]["age"], rel=1e-9)


def test_a_covariate_told_by_others_is_left_out_and_said():
    result = fit(cohort(1).assign(twice=lambda d: 2 * d["cleft"] + 1), ("cleft", "twice")).frame.set_index("term")
    assert result["note"]["twice"].startswith("told by the covariates before it")
    assert np.isnan(result["coef"]["twice"])
    assert np.isfinite(result["conf_high"]["cleft"])


def test_few_events_are_said_in_all_and_per_parameter():
    result = fit(two_by_two(3, 30, 1, 30).assign(age=np.arange(60) % 7), ("cleft", "age"))
    assert result.settings["events_per_parameter"] == 2
    assert result.frame["note"].str.contains("only 4 events; only 2.0 events per parameter").all()


def test_where_events_are_the_rule_those_without_are_what_is_few():
    result = fit(two_by_two(28, 30, 29, 30))
    assert result.settings["events_per_parameter"] == 3
    assert "only 3.0 events per parameter" in result.frame["note"].iloc[1]


def test_events_that_share_a_patient_are_said():
    d = cohort(2).assign(patient=lambda d: np.arange(len(d)) // 2)
    apart = d.assign(broke=(np.arange(len(d)) % 8 == 0).astype(int))
    together = d.assign(broke=(np.arange(len(d)) % 16 < 2).astype(int))
    assert "independent" not in fit(apart, cluster="patient").frame["note"].iloc[1]
    assert "10 events of 5 clusters count as independent" in fit(together, cluster="patient").frame["note"].iloc[1]
    assert fit(apart, cluster="patient").frame["n_patients"].iloc[0] == 40


def test_probability_weights_are_said_to_set_the_width_and_rows_of_weight_zero_are_out():
    d = cohort(5).assign(w=lambda d: np.where(np.arange(len(d)) % 5 == 0, 0.0, 1.5))
    result = fit(d, weight="w").frame
    assert "depends on the scale of the weights" in result["note"].iloc[1]
    assert result["n_units"].iloc[0] == 64


def test_missing_covariates_are_left_out_and_counted_by_name():
    d = cohort(5)
    d.loc[[0, 1, 2], "age"] = np.nan
    result = fit(d, ("cleft", "age"))
    assert result.settings["rows_left_out"] == 3
    assert result.settings["rows_missing"] == {"cleft": 0, "age": 3}
    np.testing.assert_allclose(result.frame["coef"], fit(d.dropna(), ("cleft", "age")).frame["coef"], rtol=1e-9)


def test_what_cannot_be_read_is_refused_in_a_sentence():
    with pytest.raises(EstimationError, match="whole numbers"):
        fit(cohort(1).assign(w=0.5), weight="w", weight_kind="frequency")
    with pytest.raises(EstimationError, match="negative in 80 rows"):
        fit(cohort(1).assign(w=-1.0), weight="w")
    with pytest.raises(EstimationError, match="confidence"):
        fit(cohort(1), confidence=95)


def test_a_wider_confidence_gives_a_wider_interval():
    d = two_by_two(3, 8, 0, 12)
    low, high = zip(
        *(fit(d, confidence=c).frame[["conf_low", "conf_high"]].iloc[1] for c in (0.5, 0.9, 0.99)), strict=True
    )
    assert list(low) == sorted(low, reverse=True)
    assert list(high) == sorted(high)


def test_a_profile_that_never_falls_far_enough_has_no_limits_and_says_so():
    """A likelihood that falls by one at most, where a limit of 95 % needs 1.92, and one of 80 % but 0.82."""

    def plateau(coef):
        score = -2 * coef / (1 + coef**2) ** 2
        return Point(
            -float(coef[0] ** 2 / (1 + coef[0] ** 2)), score, np.zeros(1), np.array([[2 / (1 + coef[0] ** 2) ** 2]])
        )

    top = highest(plateau, np.ones(1))
    found = profiles(plateau, top, np.ones(1), np.eye(1))
    assert np.isnan([found.low[0], found.high[0]]).all()
    assert [words.split(":")[0] for words in found.words[0]] == ["no lower limit", "no upper limit"]
    nearer = profiles(plateau, top, np.ones(1), np.eye(1), confidence=0.8)
    fall = nearer.high[0] ** 2 / (1 + nearer.high[0] ** 2)
    assert 2 * fall == pytest.approx(1.642374, abs=1e-6)
    assert nearer.words == [[]]


def test_the_arrays_behind_the_frame_can_be_fitted_alone():
    found, kept, loglik = fit_firth_logistic(np.array([[0.0], [0], [1], [1]]), np.array([0.0, 0, 0, 1]), np.ones(4))
    assert kept.all()
    assert found.estimate[1] == pytest.approx(np.log(5), rel=1e-9)
    assert np.isfinite(loglik)
