"""Odds ratios of the population, and how alike the rows of a patient are."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from cohort.domain.errors import EstimationError
from cohort.estimate import logistic
from cohort.estimate.gee import gee_logistic

SETTING = {"outcome": "broke", "covariates": ["leak", "age"], "cluster": "patient"}


@pytest.fixture(scope="module")
def vertebrae():
    rng = np.random.default_rng(5)
    patient = np.repeat(np.arange(120), rng.integers(1, 6, 120))
    n = len(patient)
    own = rng.normal(0, 1.2, 120)[patient]
    leak, age = rng.integers(0, 2, n), rng.normal(75, 8, n).round(1)
    broke = rng.random(n) < 1 / (1 + np.exp(1.3 - own - 0.7 * leak - 0.03 * (age - 75)))
    level = pd.Series(patient).groupby(patient).cumcount().to_numpy() + 10
    return pd.DataFrame({"patient": patient, "level": level, "leak": leak, "age": age, "broke": broke.astype(int)})


def columns(result):
    return result.frame[["coef", "std_error", "naive_std_error"]].to_numpy()


def test_taken_as_unlike_the_rows_give_the_odds_ratios_and_errors_of_logistic(vertebrae):
    ours = gee_logistic(vertebrae, structure="independence", **SETTING)
    plain = logistic(vertebrae, **SETTING)
    np.testing.assert_allclose(ours.frame[["coef", "std_error"]], plain.frame[["coef", "std_error"]], rtol=1e-9)
    assert np.isnan(ours.settings["alpha"])


def test_exchangeable_is_that_of_statsmodels_but_for_degrees_of_freedom(vertebrae):
    x = sm.add_constant(vertebrae[["leak", "age"]].to_numpy(float))
    theirs = sm.GEE(
        vertebrae["broke"].to_numpy(),
        x,
        groups=vertebrae["patient"].to_numpy(),
        family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Exchangeable(),
    ).fit()
    ours = gee_logistic(vertebrae, **SETTING)
    # statsmodels takes the number of covariates off the number of pairs, and so has a correlation larger by a hundredth
    np.testing.assert_allclose(ours.frame["coef"], theirs.params, rtol=5e-3)
    np.testing.assert_allclose(ours.frame["std_error"], theirs.bse, rtol=2e-3)
    assert ours.settings["alpha"] == pytest.approx(theirs.cov_struct.dep_params, rel=0.03)


@pytest.mark.parametrize("structure", ["independence", "exchangeable", "ar1"])
def test_the_order_of_rows_changes_nothing(structure, vertebrae):
    options = SETTING | {"structure": structure, "order": "level"}
    one = gee_logistic(vertebrae, **options)
    two = gee_logistic(vertebrae.sample(frac=1, random_state=3), **options)
    np.testing.assert_allclose(columns(two), columns(one), rtol=1e-8)


@pytest.mark.parametrize("structure", ["exchangeable", "ar1"])
def test_copying_every_patient_halves_the_variance(structure, vertebrae):
    options = SETTING | {"structure": structure, "order": "level"}
    one = gee_logistic(vertebrae, **options)
    two = gee_logistic(pd.concat([vertebrae, vertebrae.assign(patient=lambda d: d["patient"] + 1000)]), **options)
    np.testing.assert_allclose(columns(two), columns(one) / [1, np.sqrt(2), np.sqrt(2)], rtol=1e-8)


def test_only_distances_count_in_the_order(vertebrae):
    options = SETTING | {"structure": "ar1", "order": "level"}
    one = gee_logistic(vertebrae, **options)
    turned = gee_logistic(vertebrae.assign(level=lambda d: 90 - d["level"]), **options)
    np.testing.assert_allclose(columns(turned), columns(one), rtol=1e-8)
    wide = gee_logistic(vertebrae.assign(level=lambda d: 2 * d["level"]), **options)
    assert wide.settings["alpha"] == pytest.approx(np.sqrt(one.settings["alpha"]), rel=1e-6)
    np.testing.assert_allclose(columns(wide), columns(one), rtol=1e-6)


def test_two_rows_a_patient_are_alike_in_one_way_only(vertebrae):
    pairs = vertebrae.groupby("patient").head(2)
    one = gee_logistic(pairs, **SETTING)
    two = gee_logistic(pairs, structure="ar1", order="level", **SETTING)
    assert two.settings["alpha"] == pytest.approx(one.settings["alpha"], rel=1e-9)
    np.testing.assert_allclose(columns(two), columns(one), rtol=1e-9)


def test_a_weight_of_zero_leaves_a_row_out(vertebrae):
    weighted = vertebrae.assign(w=(vertebrae["level"] < 13).astype(float))
    one = gee_logistic(weighted, weight="w", **SETTING)
    two = gee_logistic(vertebrae[vertebrae["level"] < 13], **SETTING)
    np.testing.assert_allclose(columns(one), columns(two), rtol=1e-10)


def test_rows_with_missing_covariates_are_left_out_and_counted(vertebrae):
    holes = vertebrae.assign(age=vertebrae["age"].where(vertebrae.index % 7 != 0))
    result = gee_logistic(holes, **SETTING)
    assert result.settings["rows_missing"]["age"] == holes["age"].isna().sum()
    np.testing.assert_allclose(columns(result), columns(gee_logistic(holes.dropna(), **SETTING)), rtol=1e-10)


def test_below_twenty_patients_with_an_event_limits_come_from_t_and_are_wider(vertebrae):
    few = vertebrae[vertebrae["patient"] < 25]
    with_event = few.groupby("patient")["broke"].max().sum()
    assert 2 < with_event < 20
    ours, plain = gee_logistic(few, **SETTING), gee_logistic(few, small_sample="none", **SETTING)
    assert (ours.frame["df"] == with_event - 1).all()
    assert (ours.frame["std_error"] > plain.frame["std_error"]).all()
    assert ours.frame["note"].str.contains("jackknife").all()
    assert plain.frame["note"].str.contains("tends to be too small").all()


def test_one_step_without_a_patient_is_near_the_fit_without_it(vertebrae):
    few = vertebrae[vertebrae["patient"] < 40]
    whole = gee_logistic(few, small_sample="jackknife", structure="independence", **SETTING).frame
    left = np.array(
        [
            gee_logistic(few[few["patient"] != p], structure="independence", small_sample="none", **SETTING).frame[
                "coef"
            ]
            for p in few["patient"].unique()
        ]
    )
    jackknife = np.sqrt(((left - whole["coef"].to_numpy()) ** 2).sum(axis=0))
    np.testing.assert_allclose(whole["std_error"], jackknife, rtol=0.05)


def test_a_coefficient_that_rests_on_one_patient_has_no_error_and_says_so(vertebrae):
    few = vertebrae[vertebrae["patient"] < 25].assign(cleft=lambda d: 0)
    mixed = few.groupby("patient")["broke"].agg(["min", "max"])
    own = mixed.index[(mixed["min"] == 0) & (mixed["max"] == 1)][0]
    few.loc[few["patient"] == own, "cleft"] = 1
    result = gee_logistic(few, outcome="broke", covariates=["leak", "cleft"], cluster="patient").frame
    result = result.set_index("term")
    assert np.isnan(result["std_error"]["cleft"])
    assert "rests on one cluster" in result["note"]["cleft"]
    assert np.isfinite(result["std_error"]["leak"])
    assert np.isfinite(result["std_error"]["intercept"])


def test_separation_is_said_and_nothing_crashes(vertebrae):
    apart = vertebrae.assign(broke=vertebrae["broke"] * (vertebrae["leak"] == 0))
    result = gee_logistic(apart, **SETTING).frame.set_index("term")
    assert result["estimate"]["leak"] == 0
    assert "separates" in result["note"]["leak"]
    assert np.isnan(result["estimate"]["age"])
    assert "leave it out" in result["note"]["age"]


@pytest.mark.parametrize("value", [0, 1])
def test_no_event_or_nothing_else_leaves_rows_that_say_so(value, vertebrae):
    result = gee_logistic(vertebrae.assign(broke=value), **SETTING).frame
    assert result["estimate"].isna().all()
    assert result["note"].str.contains("nothing can be estimated").all()


def test_a_covariate_the_same_for_everyone_keeps_its_row(vertebrae):
    result = gee_logistic(vertebrae.assign(leak=1), **SETTING).frame.set_index("term")
    assert np.isnan(result["estimate"]["leak"])
    assert result["note"]["leak"].startswith("the same for everyone")
    assert np.isfinite(result["std_error"]["age"])


def test_a_single_patient_has_no_robust_error(vertebrae):
    one = vertebrae.assign(patient=1)
    result = gee_logistic(one, structure="independence", **SETTING).frame
    assert result["std_error"].isna().all()
    assert result["note"].str.contains("one cluster").all()


def test_one_row_a_patient_has_no_correlation_to_estimate(vertebrae):
    single = vertebrae.groupby("patient").head(1)
    result = gee_logistic(single, **SETTING)
    np.testing.assert_allclose(result.frame["coef"], logistic(single, **SETTING).frame["coef"], rtol=1e-9)
    assert result.settings["alpha"] == 0
    assert result.frame["note"].str.contains("no correlation").all()


def test_ar1_needs_an_order_of_whole_numbers_without_ties(vertebrae):
    with pytest.raises(EstimationError, match="needs `order`"):
        gee_logistic(vertebrae, structure="ar1", **SETTING)
    with pytest.raises(EstimationError, match="stand at the same 'level'"):
        gee_logistic(vertebrae.assign(level=3), structure="ar1", order="level", **SETTING)
    with pytest.raises(EstimationError, match="whole numbers"):
        gee_logistic(vertebrae, structure="ar1", order="age", **SETTING)
    with pytest.raises(EstimationError, match="structure must be one of"):
        gee_logistic(vertebrae, structure="unstructured", **SETTING)
