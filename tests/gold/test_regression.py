"""Logistic, inverse-probability-of-censoring weighted, Poisson, rates and exact intervals against R."""

import numpy as np
import pytest

from cohort.estimate import aalen_johansen, ipcw_logistic, logistic, poisson, proportion, rate, rate_by

TIGHT = 1e-8  # both sides converge until the coefficients stand still
R_STOPS_EARLY = 1e-7  # reference.json: glm at its default epsilon of 1e-8
ONE_STEP_BEHIND = 2e-6  # and its vcov() uses the weights of the step before the last


def same_regression(ours, gold, agree, robust="se"):
    agree(ours.frame["coef"], list(gold["coef"].values()), TIGHT, "coef")
    agree(ours.frame["naive_std_error"], gold["se_naive"], TIGHT, "naive SE")
    agree(ours.frame["std_error"], gold[robust], TIGHT, "robust SE")


@pytest.mark.parametrize("weight", [None, "w"])
def test_weighted_and_clustered_logistic(weight, outputs, data, agree):
    rows = data("clustered").assign(y=lambda d: (d["cause"] == 1).astype(int))
    ours = logistic(rows, outcome="y", covariates=["leak", "age"], cluster="patient", weight=weight)
    same_regression(
        ours, outputs("regression")["logistic_cluster" if weight is None else "logistic_weight_cluster"], agree
    )


@pytest.mark.parametrize(
    ("key", "horizon", "options"),
    [
        ("ipcw_40", 40, {}),
        ("ipcw_90", 90, {}),
        ("ipcw_90_by_site", 90, {"censoring_by": "site"}),
        ("ipcw_90_weighted", 90, {"weight": "w"}),
    ],
)
def test_odds_at_a_horizon_are_those_worked_by_hand_in_r(key, horizon, options, outputs, data, agree):
    gold = outputs("regression")[key]
    rows = data("clustered")
    ours = ipcw_logistic(
        rows,
        horizon=horizon,
        exit="exit",
        cause="cause",
        entry="entry",
        id="unit",
        cluster="patient",
        covariates=["leak", "age"],
        **options,
    )
    same_regression(ours, gold, agree)
    assert ours.frame["n_known"].iloc[0] == gold["n_known"]
    assert ours.frame["n_events"].iloc[0] == gold["n_events"]
    assert ours.settings["n_late_entry"] == (rows["entry"] > 0).sum()


def test_the_order_of_events_and_losses_on_one_day_matters(outputs):
    gold = outputs("regression")
    ours, other = gold["ipcw_90"], gold["ipcw_90_losses_first"]
    at_risk = 136  # units followed from the start
    assert ours["sum_weight"] == pytest.approx(at_risk, rel=1e-12)
    assert other["sum_weight"] != pytest.approx(at_risk, rel=1e-3)


def test_without_covariates_the_weighted_share_is_the_incidence_of_survfit(outputs, data, agree):
    gold = outputs("regression")
    odds = np.exp(gold["ipcw_90_intercept"]["coef"]["(Intercept)"])
    agree(odds / (1 + odds), gold["incidence_90"], 1e-10)
    rows = data("clustered").query("entry == 0")
    ours = aalen_johansen(rows, exit="exit", cause="cause", at=[90]).frame
    agree(ours.loc[ours["outcome"] == "1", "estimate"], gold["incidence_90"], 1e-10)


def test_poisson_with_clusters_is_glm_with_vcov_cl(outputs, data, agree):
    rows = data("clustered").assign(y=lambda d: (d["cause"] == 1).astype(int), days=lambda d: d["exit"] - d["entry"])
    ours = poisson(rows, events="y", person_time="days", covariates=["leak", "age"], cluster="patient")
    gold = outputs("regression")["poisson_cluster"]
    same_regression(ours, gold, agree)
    agree(ours.settings["loglik"], gold["loglik"], 1e-10)


def test_a_rate_over_patients_is_the_intercept_of_a_clustered_poisson_model(outputs, data, agree):
    rows = data("clustered").assign(y=lambda d: (d["cause"] == 1).astype(int), days=lambda d: d["exit"] - d["entry"])
    gold = outputs("regression")
    ours = rate(rows["y"], rows["days"], cluster=rows["patient"]).frame
    agree(ours["coef"] - np.log(365.25), list(gold["rate_cluster"]["coef"].values()), TIGHT)
    agree(ours["std_error"], gold["rate_cluster"]["se"], TIGHT)
    by_site = rate_by(rows, events="y", person_days="days", cluster="patient", by="site", per=1000).frame
    for site, theirs in gold["rate_by_site"].items():
        mine = by_site[by_site["site"] == site]
        agree(mine["coef"] - np.log(365.25), list(theirs["coef"].values()), TIGHT)
        agree(mine["std_error"], theirs["se"], TIGHT)
        assert mine["n_events"].iloc[0] == theirs["events"]


def test_mid_p_limits_are_those_solved_for_in_r(outputs, agree):
    for case in outputs("regression")["mid_p"]:
        # uniroot stops at the square root of its tolerance near a flat end
        agree(proportion(case["x"], case["n"], method="mid-p").frame[["conf_low", "conf_high"]], case["ci"], 1e-6)
