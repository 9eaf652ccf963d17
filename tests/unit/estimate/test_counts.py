"""Counts that vary more than chance allows, and those that do not."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from cohort.domain.errors import EstimationError
from cohort.estimate import poisson
from cohort.estimate.counts import loglik_of, negative_binomial

SETTING = {"events": "broke", "person_time": "days", "covariates": ["leak", "age"]}


@pytest.fixture(scope="module")
def patients():
    rng = np.random.default_rng(8)
    n = 300
    leak, age, days = rng.integers(0, 2, n), rng.normal(75, 8, n).round(1), rng.integers(50, 900, n)
    rate = 0.004 * np.exp(0.6 * leak + 0.02 * (age - 75)) * rng.gamma(1.25, 0.8, n)
    return pd.DataFrame(
        {"patient": np.arange(n) // 2, "leak": leak, "age": age, "days": days, "broke": rng.poisson(rate * days)}
    )


def test_the_maximum_is_that_of_statsmodels(patients):
    ours = negative_binomial(patients, **SETTING)
    x = sm.add_constant(patients[["leak", "age"]].to_numpy(float))
    theirs = sm.NegativeBinomial(patients["broke"].to_numpy(), x, exposure=patients["days"].to_numpy(float)).fit(
        start_params=[*ours.frame["coef"], ours.settings["alpha"]], method="newton", disp=0, tol=1e-12
    )
    np.testing.assert_allclose(ours.frame["coef"], theirs.params[:-1], rtol=1e-7)
    assert ours.settings["alpha"] == pytest.approx(theirs.params[-1], rel=1e-7)
    assert ours.settings["loglik"] == pytest.approx(theirs.llf, rel=1e-12)


def test_the_likelihood_of_small_alpha_runs_into_poissons():
    y, mean = np.array([0.0, 1, 5, 40]), np.array([0.5, 2, 4, 30])
    here = loglik_of(y, mean, 0.0)
    assert loglik_of(y, mean, 1e-9) == pytest.approx(here, abs=1e-6)
    slope = ((y - mean) ** 2 - y).sum() / 2
    assert (loglik_of(y, mean, 1e-6) - here) / 1e-6 == pytest.approx(slope, rel=1e-3)
    assert loglik_of(y, mean, 0.5) == pytest.approx(
        sum(
            np.log(1 / (1 + m / 2)) * 2 + k * np.log((m / 2) / (1 + m / 2)) + _coefficient(k)
            for k, m in zip(y, mean, strict=True)
        ),
        rel=1e-12,
    )


def _coefficient(k):
    return np.log(np.prod([(2 + i) / (1 + i) for i in range(int(k))])) if k else 0.0


def test_counts_that_vary_no_more_than_chance_give_the_rate_ratios_of_poisson(patients):
    even = patients.assign(broke=np.rint(patients["days"] * 0.01 * (1 + 0.5 * patients["leak"])).astype(int))
    ours, plain = negative_binomial(even, **SETTING), poisson(even, **SETTING)
    assert ours.settings["alpha"] == 0
    assert ours.settings["dispersion"] < 1
    assert ours.settings["alpha_p_value"] == 1.0
    assert ours.frame["note"].str.contains("no more than Poisson's").all()
    np.testing.assert_allclose(ours.frame["coef"], plain.frame["coef"], rtol=1e-9)
    np.testing.assert_allclose(ours.frame["std_error"], plain.frame["std_error"], rtol=1e-7)


def test_overdispersion_is_measured_and_widens_intervals(patients):
    ours, plain = negative_binomial(patients, **SETTING), poisson(patients, **SETTING)
    assert ours.settings["dispersion"] > 1.5
    assert ours.settings["dispersion_remaining"] == pytest.approx(1.0, abs=0.3)
    assert ours.settings["alpha_p_value"] < 1e-6
    assert (ours.frame["std_error"] > plain.frame["std_error"]).all()
    assert ours.settings["alpha"] == pytest.approx(0.8, abs=4 * ours.settings["alpha_std_error"])


def test_the_order_of_rows_changes_nothing(patients):
    one = negative_binomial(patients, cluster="patient", **SETTING)
    two = negative_binomial(patients.sample(frac=1, random_state=2), cluster="patient", **SETTING)
    np.testing.assert_allclose(two.frame[["coef", "std_error"]], one.frame[["coef", "std_error"]], rtol=1e-8)


def test_copying_within_patients_leaves_the_robust_error_and_shrinks_the_other(patients):
    one = negative_binomial(patients, cluster="patient", **SETTING).frame
    two = negative_binomial(pd.concat([patients, patients]), cluster="patient", **SETTING).frame
    np.testing.assert_allclose(two["coef"], one["coef"], rtol=1e-8)
    np.testing.assert_allclose(two["std_error"], one["std_error"], rtol=1e-8)
    np.testing.assert_allclose(two["naive_std_error"] * np.sqrt(2), one["naive_std_error"], rtol=1e-7)


def test_a_group_without_events_has_a_rate_ratio_of_zero_and_the_rest_is_still_fitted(patients):
    quiet = patients.assign(broke=patients["broke"] * (patients["leak"] == 0))
    result = negative_binomial(quiet, **SETTING).frame.set_index("term")
    alone = negative_binomial(quiet[quiet["leak"] == 0], **(SETTING | {"covariates": ["age"]})).frame.set_index("term")
    assert result["estimate"]["leak"] == 0
    assert "separates" in result["note"]["leak"]
    np.testing.assert_allclose(result["coef"]["age"], alone["coef"]["age"], rtol=1e-7)
    np.testing.assert_allclose(result["std_error"]["age"], alone["std_error"]["age"], rtol=1e-7)


def test_a_reference_group_without_events_has_no_rate_to_compare_with(patients):
    quiet = patients.assign(broke=patients["broke"] * patients["leak"])
    result = negative_binomial(quiet, **SETTING).frame.set_index("term")
    assert result["estimate"]["leak"] == np.inf
    assert result["estimate"]["intercept"] == 0
    alone = negative_binomial(quiet[quiet["leak"] == 1], **(SETTING | {"covariates": ["age"]})).frame.set_index("term")
    np.testing.assert_allclose(result["coef"]["age"], alone["coef"]["age"], rtol=1e-7)


def test_few_patients_with_an_event_have_limits_from_t(patients):
    few = patients.head(24)
    ours = negative_binomial(few, cluster="patient", **SETTING).frame
    plain = negative_binomial(few, cluster="patient", small_sample="none", **SETTING).frame
    assert (ours["df"] == few.groupby("patient")["broke"].max().gt(0).sum() - 1).all()
    assert (ours["std_error"] > plain["std_error"]).all()
    assert plain["note"].str.contains("tends to be too small").all()


def test_a_single_patient_has_no_robust_error(patients):
    result = negative_binomial(patients.assign(patient=1), cluster="patient", **SETTING).frame
    assert result["std_error"].isna().all()
    assert result["naive_std_error"].notna().all()


def test_no_event_one_event_and_missing_values(patients):
    none = negative_binomial(patients.assign(broke=0), **SETTING).frame
    assert none["estimate"].isna().all()
    assert none["note"].str.contains("no event").all()
    one = negative_binomial(patients.assign(broke=(patients.index == 4).astype(int)), **SETTING)
    assert one.frame["note"].str.contains("only 1 event").all()
    holes = patients.assign(age=patients["age"].where(patients.index % 9 != 0))
    result = negative_binomial(holes, **SETTING)
    assert result.settings["rows_left_out"] == holes["age"].isna().sum()
    np.testing.assert_allclose(
        result.frame["coef"], negative_binomial(holes.dropna(), **SETTING).frame["coef"], rtol=1e-9
    )


def test_rows_without_time_are_left_out_unless_they_hold_events(patients):
    more = pd.concat([patients, patients.head(3).assign(days=0, broke=0)])
    np.testing.assert_allclose(
        negative_binomial(more, **SETTING).frame["coef"],
        negative_binomial(patients, **SETTING).frame["coef"],
        rtol=1e-9,
    )
    with pytest.raises(EstimationError, match="events need time at risk"):
        negative_binomial(patients.assign(days=0), **SETTING)
    with pytest.raises(EstimationError, match="must hold counts"):
        negative_binomial(patients.assign(broke=0.5), **SETTING)
