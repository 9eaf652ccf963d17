"""GEE, mixed logistic, negative binomial, observed over expected and standardized risks against R (risks.R)."""

import numpy as np
import pandas as pd
import pytest

from cohort.estimate.counts import negative_binomial
from cohort.estimate.gee import gee_logistic
from cohort.estimate.mixed import mixed_logistic
from cohort.estimate.standardized_models import logistic_arms
from cohort.estimate.standardized_ratio import byar_poisson, mid_p_poisson, observed_expected
from cohort.estimate.standardized_risk import standardized_risk

SAME_EQUATIONS = 1e-9  # both solved until nothing moves
GEEPACK_DEFAULT = 1e-4  # reference.json: geeglm at its default stops at a change of 1e-4
LME4_DEFAULT = 1e-4  # reference.json: glmer at its default optimizer
NUMERICAL_HESSIAN = 1e-4  # numDeriv on a deviance that lme4 itself solves by iteration
NUMERICAL_DERIVATIVE = 1e-8  # influence by central differences of the whole estimator


@pytest.fixture(scope="module")
def gold(outputs):
    return outputs("risks")


@pytest.fixture(scope="module")
def clustered(data):
    return data("clustered").assign(
        y=lambda d: (d["cause"] == 1).astype(int),
        visit=lambda d: d.groupby("patient").cumcount() + 1,
        days=lambda d: d["exit"] - d["entry"],
        old=lambda d: (d["age"] >= 74).astype(int),
    )


def same_gee(ours, theirs, agree, rel=SAME_EQUATIONS, naive=True):
    agree(ours.frame["coef"], list(theirs["coef"].values()), rel, "coef")
    agree(ours.frame["std_error"], theirs["se"], rel, "robust SE")
    if naive:
        agree(ours.frame["naive_std_error"], theirs["naive"], rel, "naive SE")
    agree(ours.settings["scale"], theirs["scale"], rel, "scale")
    if theirs["alpha"] != []:
        agree(ours.settings["alpha"], theirs["alpha"], rel, "alpha")


@pytest.mark.parametrize("structure", ["independence", "exchangeable", "ar1"])
def test_gee_is_geepack(structure, gold, data, clustered, agree):
    options = {"structure": structure, "small_sample": "none"}
    ohio = gee_logistic(data("ohio"), outcome="resp", covariates=["age", "smoke"], cluster="id", order="age", **options)
    same_gee(ohio, gold["gee"]["ohio"][structure], agree)
    options |= {"outcome": "y", "covariates": ["leak", "age"], "cluster": "patient", "order": "visit"}
    same_gee(gee_logistic(clustered, **options), gold["gee"]["clustered"][structure], agree)
    same_gee(gee_logistic(clustered, weight="w", **options), gold["gee"]["weighted"][structure], agree)


@pytest.mark.parametrize("structure", ["independence", "exchangeable", "ar1"])
def test_gee_is_geepack_at_its_default(structure, reference, data, agree):
    theirs = reference[f"ohio_gee_{structure}"]
    ours = gee_logistic(
        data("ohio"), outcome="resp", covariates=["age", "smoke"], cluster="id", order="age", structure=structure
    )
    same_gee(ours, theirs, agree, GEEPACK_DEFAULT, naive=False)


def test_a_visit_left_out_makes_its_neighbours_two_apart(gold, clustered, agree):
    gaps = clustered[(clustered["visit"] != 2) | (clustered["patient"] % 2 == 0)]
    options = {"outcome": "y", "covariates": ["leak", "age"], "cluster": "patient", "order": "visit"}
    ours = gee_logistic(gaps, structure="ar1", small_sample="none", **options)
    same_gee(ours, gold["gee"]["gaps_ar1"], agree)


def of_cbpp(data, points):
    herds = data("cbpp").assign(period=lambda d: pd.Categorical(d["period"]))
    return mixed_logistic(
        herds, events="incidence", n="size", covariates=["period"], cluster="herd", points=points
    ), "cbpp"


def of_ohio(data, points):
    return mixed_logistic(
        data("ohio"), outcome="resp", covariates=["age", "smoke"], cluster="id", points=points
    ), "ohio"


def loglik_of_lme4(settings):
    """With one point lme4 keeps the binomial coefficients; with several it is relative to the saturated model."""
    return settings["loglik"] - (0.0 if settings["points"] == 1 else settings["loglik_saturated"])


@pytest.mark.parametrize("points", [1, 9, 25])
@pytest.mark.parametrize("fit", [of_cbpp, of_ohio])
def test_mixed_logistic_is_glmer_at_its_maximum(fit, points, gold, data, agree):
    ours, name = fit(data, points)
    theirs = gold["mixed"][name][f"agq{points}"]
    agree(ours.frame["coef"], list(theirs["coef"].values()), 1e-5, "coef")
    agree(ours.frame["std_error"], theirs["se"], NUMERICAL_HESSIAN, "SE")
    agree(ours.settings["sd"], theirs["sd"], 1e-5, "sd")
    agree(loglik_of_lme4(ours.settings), theirs["loglik"], 1e-7, "loglik")


@pytest.mark.parametrize(
    ("fit", "points", "rel", "rel_se"),
    [
        (of_cbpp, 9, LME4_DEFAULT, LME4_DEFAULT),
        (of_cbpp, 25, LME4_DEFAULT, LME4_DEFAULT),
        # With one point glmer's default stops 0.0003 of log-likelihood short, and its error is another by 1.3 %.
        (of_cbpp, 1, 5e-4, 1.5e-2),
        (of_ohio, 1, LME4_DEFAULT, 1e-3),
        (of_ohio, 9, LME4_DEFAULT, 1e-3),
        (of_ohio, 25, LME4_DEFAULT, 1e-3),
    ],
)
def test_mixed_logistic_is_glmer_at_its_default(fit, points, rel, rel_se, reference, data, agree):
    ours, name = fit(data, points)
    theirs = reference[f"{name}_glmer_agq{points}"]
    agree(ours.frame["coef"], list(theirs["coef"].values()), rel, "coef")
    agree(ours.frame["std_error"], theirs["se"], rel_se, "SE")
    agree(ours.settings["sd"], theirs["sd"], rel * 4, "sd")
    assert loglik_of_lme4(ours.settings) >= theirs["loglik"] - 1e-8
    agree(loglik_of_lme4(ours.settings), theirs["loglik"], 1e-5, "loglik")


@pytest.mark.parametrize(("name", "cluster"), [("patients", None), ("vertebrae", "patient")])
def test_negative_binomial_is_glm_nb_with_vcov_cl(name, cluster, gold, data, agree):
    rows = data("recurrent_vertebrae").assign(
        days=lambda d: d["exit"] - d["entry"], site=lambda d: pd.Categorical(d["site"])
    )
    of = "patient" if name == "patients" else "vertebra"
    first = {column: (column, "first") for column in ("leak", "age", "site") + (("patient",) if cluster else ())}
    counts = rows.groupby(of).agg(n=("event", "sum"), days=("days", "sum"), **first).reset_index()
    ours = negative_binomial(
        counts, events="n", person_time="days", covariates=["leak", "age", "site"], cluster=cluster
    )
    theirs = gold["negative_binomial"][name]
    agree(ours.frame["coef"], list(theirs["coef"].values()), SAME_EQUATIONS, "coef")
    agree(ours.frame["naive_std_error"], theirs["se_naive"], SAME_EQUATIONS, "model-based SE")
    if cluster:
        agree(ours.frame["std_error"], theirs["se"], SAME_EQUATIONS, "robust SE")
    alpha = ours.settings["alpha"]
    agree(1 / alpha, theirs["theta"], SAME_EQUATIONS, "theta")
    agree(ours.settings["alpha_std_error"] / alpha**2, theirs["se_theta"], 1e-8, "SE of theta")
    # glm.nb prints that of the step before the last.
    agree(ours.settings["alpha_std_error"] / alpha**2, theirs["se_theta_printed"], 1e-4, "SE as printed")
    agree(ours.settings["loglik"], theirs["loglik"], 1e-12, "loglik")
    agree(ours.settings["dispersion"], theirs["dispersion"], 1e-8, "dispersion")


def test_limits_of_observed_over_expected(gold, agree):
    for case in gold["observed_expected"]["limits"]:
        row = pd.DataFrame({"o": [case["observed"]], "t": [case["expected"]]})
        ours = observed_expected(row, events="o", person_time="t", by=None, standard=1.0).frame
        agree(ours[["conf_low", "conf_high"]], case["exact"], 1e-10, "exact: poisson.test")
        x = np.array([float(case["observed"])])
        agree(np.array(mid_p_poisson(x, 0.95)).ravel() / case["expected"], case["mid_p"], 1e-10, "mid-P: uniroot")
        agree(np.array(byar_poisson(x, 0.95)).ravel() / case["expected"], case["byar"], 1e-12, "Byar")


def test_observed_over_expected_with_clusters_is_a_poisson_model_with_that_offset(gold, clustered, agree):
    ours = observed_expected(
        clustered, events="y", person_time="days", by="site", strata=["old", "leak"], cluster="patient"
    ).frame
    for k, theirs in enumerate(gold["observed_expected"]["by_site"].values()):
        agree(ours["n_events"][k], theirs["observed"], 0)
        agree(ours["expected"][k], theirs["expected"], 1e-12, "expected")
        agree(ours["coef"][k], theirs["log_ratio"], 1e-10, "log ratio")
        agree(ours["std_error"][k], theirs["se"], 1e-10, "robust SE")


@pytest.mark.parametrize(
    ("key", "late", "options"),
    [
        ("logistic_40", False, {"horizon": 40}),
        ("logistic_90", False, {}),
        ("logistic_90_weighted", False, {"weight": "w"}),
        ("logistic_90_crude", False, {"covariates": []}),
        ("cox_90", False, {"method": "cox"}),
        ("cox_90_breslow", False, {"method": "cox", "ties": "breslow"}),
        ("cox_90_entry", True, {"method": "cox", "entry": "entry"}),
        ("cox_90_entry_weighted", True, {"method": "cox", "entry": "entry", "weight": "w"}),
    ],
)
def test_a_standardized_risk_is_that_by_hand_and_its_error_the_derivative_by_patient(
    key, late, options, gold, clustered, agree
):
    theirs = gold["standardized"][key]
    rows = clustered if late else clustered.query("entry == 0")
    options = {"covariates": ["age"], "horizon": 90} | options
    ours = standardized_risk(
        rows, "leak", exit="exit", cause="cause", id="unit", cluster="patient", conf_type="plain", **options
    ).frame
    agree([*ours["estimate"][:3], ours["coef"][3]], theirs["estimate"], SAME_EQUATIONS, "risks")
    agree(ours["std_error"], theirs["se"], NUMERICAL_DERIVATIVE, "SE")
    if theirs["jackknife"]:  # 68 patients: leaving one out whole is 3 to 7 % more
        np.testing.assert_allclose(ours["std_error"], theirs["jackknife"], rtol=0.07)
        assert (ours["std_error"] < np.array(theirs["jackknife"])).all()


def test_weights_taken_as_known_leave_out_what_the_losses_tell(gold, clustered, agree):
    from cohort.estimate.ipcw import censoring_weights

    rows = clustered.query("entry == 0")
    exit_, cause, n = rows["exit"].to_numpy(float), rows["cause"].to_numpy(), len(rows)
    weight, _ = censoring_weights(exit_, cause, 90.0, np.ones(n), np.zeros(n, np.int64))
    x = rows[["leak", "age"]].to_numpy(float)
    patient = np.unique(rows["patient"], return_inverse=True)[1]
    arms = logistic_arms(x, (cause == 1) & (exit_ <= 90), np.ones(n), weight, patient, None, ["leak", "age"])
    theirs = gold["standardized"]["logistic_90_known"]
    agree(np.sqrt((arms.influence**2).sum(axis=0))[::-1], theirs["se"][:2], NUMERICAL_DERIVATIVE)
    estimated = np.array(gold["standardized"]["logistic_90"]["se"])
    assert (estimated < np.array(theirs["se"])).all()


def test_standardized_cox_risks_are_those_of_risk_regression_but_for_the_share_of_a_day(gold, data):
    theirs = gold["standardized"]["ate_melanoma"]
    ours = standardized_risk(
        data("melanoma"),
        "ulcer",
        exit="time",
        cause="status",
        covariates=["age", "sexm"],
        horizon=1825,
        method="cox",
        ties="breslow",
    ).frame
    # ate() gives a day S(t-) dL, we (1 - exp(-dL)) of it: risks 0.2 to 0.6 % apart, errors 0.3 to 1.3 %.
    np.testing.assert_allclose(ours["estimate"][:2], theirs["risk"][::-1], rtol=0.01)
    np.testing.assert_allclose(ours["std_error"][:2], theirs["se"][::-1], rtol=0.02)
    np.testing.assert_allclose(ours["estimate"][2], theirs["difference"], rtol=0.01)
    np.testing.assert_allclose(ours["std_error"][2], theirs["difference_se"], rtol=0.02)
    np.testing.assert_allclose(ours["estimate"][3], theirs["ratio"], rtol=0.01)
