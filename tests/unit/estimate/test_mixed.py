"""Odds ratios within a patient: what quadrature, spread and population have to do with each other."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize

from cohort.domain.errors import EstimationError
from cohort.estimate import logistic
from cohort.estimate.gee import gee_logistic
from cohort.estimate.mixed import Binomials, mixed_logistic

SETTING = {"outcome": "broke", "covariates": ["leak"], "cluster": "patient"}


def cohort(seed=3, patients=60, spread=1.5):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(2, 6, patients))
    n = len(patient)
    own, leak, age = rng.normal(0, spread, patients)[patient], rng.integers(0, 2, n), rng.normal(75, 8, n).round(1)
    broke = rng.random(n) < 1 / (1 + np.exp(0.8 - own - 0.9 * leak))
    return pd.DataFrame({"patient": patient, "leak": leak, "age": age, "broke": broke.astype(int)})


@pytest.fixture(scope="module")
def vertebrae():
    return cohort()


def exact_loglik(d, intercept, slope, sd):
    """Each patient's integral by adaptive quadrature of scipy: no Hermite points, no modes."""
    total = 0.0
    for _, rows in d.groupby("patient"):
        y, x = rows["broke"].to_numpy(), rows["leak"].to_numpy()

        def density(u, y=y, x=x):
            eta = intercept + slope * x + sd * u
            return np.exp(np.sum(y * eta - np.logaddexp(0, eta)) - u**2 / 2) / np.sqrt(2 * np.pi)

        total += np.log(integrate.quad(density, -9, 9, epsabs=1e-13, epsrel=1e-11)[0])
    return total


def test_the_likelihood_is_the_integral_over_the_intercepts(vertebrae):
    result = mixed_logistic(vertebrae, points=25, **SETTING)
    a, b = result.frame["coef"]
    assert exact_loglik(vertebrae, a, b, result.settings["sd"]) == pytest.approx(result.settings["loglik"], rel=1e-9)
    around = [
        exact_loglik(vertebrae, a + i, b + j, result.settings["sd"] + k)
        for i, j, k in ([0.02, 0, 0], [-0.02, 0, 0], [0, 0.02, 0], [0, -0.02, 0], [0, 0, 0.02], [0, 0, -0.02])
    ]
    assert max(around) < result.settings["loglik"]


@pytest.mark.parametrize("points", [1, 3, 9])
def test_the_gradient_is_that_of_the_approximated_likelihood(points, vertebrae):
    d = vertebrae.sort_values("patient", kind="stable")
    z = np.column_stack([np.ones(len(d)), d["leak"]])
    data = Binomials(d["broke"].to_numpy(float), np.ones(len(d)), z, d["patient"].to_numpy())
    theta = np.array([-0.6, 0.7, 1.1])
    numeric = optimize.approx_fprime(theta, lambda t: data.evaluate(t[:2], t[2], points)[0], 1e-6)
    np.testing.assert_allclose(data.evaluate(theta[:2], theta[2], points)[1], numeric, rtol=1e-4, atol=1e-4)


def test_events_of_n_are_the_same_as_single_rows_but_for_their_order(vertebrae):
    together = vertebrae.groupby(["patient", "leak"])["broke"].agg(["sum", "count"]).reset_index()
    one = mixed_logistic(vertebrae, **SETTING)
    two = mixed_logistic(together, events="sum", n="count", covariates=["leak"], cluster="patient")
    np.testing.assert_allclose(two.frame["coef"], one.frame["coef"], rtol=1e-8)
    np.testing.assert_allclose(two.frame["std_error"], one.frame["std_error"], rtol=1e-6)
    assert two.settings["sd"] == pytest.approx(one.settings["sd"], rel=1e-8)
    assert two.frame["n_units"].iloc[0] == one.frame["n_units"].iloc[0]
    assert two.frame["n_exposed_events"].iloc[1] == one.frame["n_exposed_events"].iloc[1]


def test_the_order_of_rows_changes_nothing(vertebrae):
    one = mixed_logistic(vertebrae, outcome="broke", covariates=["leak", "age"], cluster="patient")
    mixed = vertebrae.sample(frac=1, random_state=1)
    two = mixed_logistic(mixed, outcome="broke", covariates=["leak", "age"], cluster="patient")
    np.testing.assert_allclose(two.frame["coef"], one.frame["coef"], rtol=1e-7)
    np.testing.assert_allclose(two.frame["std_error"], one.frame["std_error"], rtol=1e-5)


def test_copying_every_patient_halves_the_variance(vertebrae):
    one = mixed_logistic(vertebrae, **SETTING)
    copied = pd.concat([vertebrae, vertebrae.assign(patient=lambda d: d["patient"] + 500)])
    two = mixed_logistic(copied, **SETTING)
    np.testing.assert_allclose(two.frame["coef"], one.frame["coef"], rtol=1e-7)
    np.testing.assert_allclose(two.frame["std_error"] * np.sqrt(2), one.frame["std_error"], rtol=1e-5)


def test_the_scale_of_a_covariate_does_not_matter(vertebrae):
    setting = {"outcome": "broke", "covariates": ["leak", "age"], "cluster": "patient"}
    one = mixed_logistic(vertebrae, **setting)
    days = mixed_logistic(vertebrae.assign(age=vertebrae["age"] * 365.25), **setting)
    np.testing.assert_allclose(days.frame["coef"] * [1, 1, 365.25], one.frame["coef"], rtol=1e-6)
    np.testing.assert_allclose(days.frame["std_error"] * [1, 1, 365.25], one.frame["std_error"], rtol=1e-5)


def test_the_odds_ratio_of_the_population_lies_nearer_one_by_about_the_factor_said():
    d = cohort(seed=11, patients=1500, spread=1.5)
    within, among = mixed_logistic(d, **SETTING), gee_logistic(d, **SETTING)
    a, b = within.frame["coef"].iloc[1], among.frame["coef"].iloc[1]
    assert 0 < b < a
    assert b / a == pytest.approx(within.settings["marginal_factor"], rel=0.06)
    assert within.settings["sd"] == pytest.approx(1.5, abs=0.2)
    assert a == pytest.approx(0.9, abs=3 * within.frame["std_error"].iloc[1])
    assert within.settings["spread_p_value"] < 1e-10


def test_patients_who_do_not_differ_give_the_odds_ratios_of_logistic():
    d = pd.DataFrame({"patient": np.repeat(np.arange(20), 4), "leak": [0, 0, 1, 1] * 20, "broke": [0, 1, 1, 0] * 20})
    d.loc[:7, "broke"] = [0, 1, 1, 1, 0, 1, 1, 1]
    result, plain = mixed_logistic(d, **SETTING), logistic(d, **SETTING, robust=False)
    assert result.settings["sd"] == 0
    assert result.frame["note"].str.contains("no more than by chance").all()
    np.testing.assert_allclose(result.frame["coef"], plain.frame["coef"], rtol=1e-7)
    np.testing.assert_allclose(result.frame["std_error"], plain.frame["naive_std_error"], rtol=1e-6)
    assert result.settings["spread_p_value"] == 1.0


def test_patients_with_all_vertebrae_broken_or_none_have_a_spread_without_limit():
    d = pd.DataFrame({"patient": np.repeat(np.arange(30), 6), "leak": [0, 1, 0, 1, 1, 0] * 30})
    d["broke"] = (d["patient"] % 2).astype(int)
    result = mixed_logistic(d, **SETTING)
    assert result.frame["estimate"].isna().all()
    assert result.frame["note"].str.contains("nothing can be estimated").all()


def test_few_points_are_told_by_the_change_that_more_would_make():
    d = cohort(seed=4, spread=2.5)
    one, many = mixed_logistic(d, points=1, **SETTING), mixed_logistic(d, points=25, **SETTING)
    assert abs(one.settings["loglik_by_more_points"]) > 0.1
    assert abs(many.settings["loglik_by_more_points"]) < 1e-3


def test_separation_is_said_and_nothing_crashes(vertebrae):
    apart = vertebrae.assign(broke=vertebrae["broke"] * (vertebrae["leak"] == 0))
    result = mixed_logistic(apart, outcome="broke", covariates=["leak", "age"], cluster="patient")
    result = result.frame.set_index("term")
    assert result["estimate"]["leak"] == 0
    assert "separates" in result["note"]["leak"]
    assert np.isnan(result["estimate"]["age"])


@pytest.mark.parametrize("value", [0, 1])
def test_no_event_or_nothing_else_leaves_rows_that_say_so(value, vertebrae):
    result = mixed_logistic(vertebrae.assign(broke=value), **SETTING).frame
    assert result["estimate"].isna().all()
    assert result["note"].str.contains("nothing can be estimated").all()


def test_one_row_a_patient_tells_nothing_of_patients(vertebrae):
    result = mixed_logistic(vertebrae.groupby("patient").head(1), **SETTING).frame
    assert result["estimate"].isna().all()
    assert result["note"].str.contains("one row in every cluster").all()


def test_a_single_patient_and_missing_values_do_not_crash(vertebrae):
    one = mixed_logistic(vertebrae.assign(patient=1), **SETTING)
    assert one.settings["sd"] == 0
    holes = vertebrae.assign(leak=vertebrae["leak"].where(vertebrae.index % 5 != 0))
    result = mixed_logistic(holes, **SETTING)
    assert result.settings["rows_left_out"] == holes["leak"].isna().sum()
    dropped = mixed_logistic(holes.dropna(), **SETTING)
    np.testing.assert_allclose(result.frame["coef"], dropped.frame["coef"], rtol=1e-9)


def test_what_cannot_be_read_is_refused(vertebrae):
    with pytest.raises(EstimationError, match="odd number"):
        mixed_logistic(vertebrae, points=4, **SETTING)
    with pytest.raises(EstimationError, match="Give `outcome`"):
        mixed_logistic(vertebrae, covariates=["leak"], cluster="patient")
    with pytest.raises(EstimationError, match="no counts of events"):
        mixed_logistic(vertebrae.assign(n=0), events="broke", n="n", covariates=["leak"], cluster="patient")
