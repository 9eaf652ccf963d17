"""Rare events against R: brglm2, numerically maximized penalized likelihoods, and exact distributions summed in R."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cohort.estimate.exact import exact_odds_ratio, exact_rate_ratio, two_by_two, two_counts
from cohort.estimate.firth import firth_logistic
from cohort.estimate.firth_cox import firth_cox

INPUTS = json.loads((Path(__file__).parent / "firth.json").read_text())["inputs"]
THREE, BOTH = ["exposed", "age", "male"], ["leak", "age"]
BRGLM = 1e-9  # brglm2 is run to 1e-12
# firth.R climbs with numerical gradients: of the logistic likelihood on uncentred columns, which costs it digits
NUMERIC = {"logistic": 5e-8, "cox": 1e-9}
HEIGHT = 1e-8  # standard errors: limits and ratios rest on heights alone, which the numerical climb knows to its square
BFGS = 1e-4  # reference.json: profiles by optim's BFGS, which stops early
EXACT = 1e-12  # sums of the same probabilities
FISHER_STOPS = 5e-3  # fisher.test and mantelhaen.test search limits to 1e-4 of 1 / odds ratio


@pytest.fixture(scope="module")
def frames(data):
    sparse, clustered = data("sparse9of10"), data("clustered")
    all10 = sparse.copy()
    all10.loc[[699, 9], "event"] = [0, 1]
    return {
        "sparse": sparse,
        "all10": all10,
        "month": all10.assign(time=np.ceil(all10["time"] / 60) * 60),
        "endo": data("endometrial"),
        "clustered": clustered.assign(
            y=(clustered["cause"] == 1).astype(int),
            week=np.ceil(clustered["exit"] / 28) * 28,
            copies=1 + clustered["patient"] % 3,
        ),
    }


def same_fit(ours, gold, agree, what):
    frame, error, tolerance = ours.frame, np.array(gold["se"]), NUMERIC[what.split("_")[0]]
    agree(frame["coef"] / error, np.array(gold["coef"]) / error, tolerance, "coef")
    agree(frame["std_error"], error, tolerance, "standard error")
    for name, column in (("low", "conf_low"), ("high", "conf_high")):
        np.testing.assert_allclose(np.log(frame[column]) / error, np.array(gold[name]) / error, atol=HEIGHT, rtol=1e-8)
    np.testing.assert_allclose(frame["statistic"] ** 2, gold["lrt"], atol=HEIGHT, rtol=1e-8)
    agree(ours.settings["loglik"], gold["loglik"], 1e-12, "penalized log-likelihood")


@pytest.mark.parametrize(
    ("key", "frame", "outcome", "covariates", "options"),
    [
        ("logistic_9of10", "sparse", "event", THREE, {}),
        ("logistic_10of10", "all10", "event", THREE, {}),
        ("logistic_endo", "endo", "event", ["NV", "PI", "EH"], {}),
        ("logistic_weight", "clustered", "y", BOTH, {"weight": "w"}),
        ("logistic_copies", "clustered", "y", BOTH, {"weight": "copies", "weight_kind": "frequency"}),
    ],
)
def test_penalized_odds_ratios_are_those_found_numerically(
    key, frame, outcome, covariates, options, frames, outputs, agree
):
    ours = firth_logistic(frames[frame], outcome=outcome, covariates=covariates, **options)
    same_fit(ours, outputs("firth")[key], agree, key)


LATE, WEEK = ("clustered", "exit", BOTH, {"entry": "entry"}), ("clustered", "week", BOTH, {"entry": "entry"})


@pytest.mark.parametrize(
    ("key", "of", "options"),
    [
        ("cox_9of10", ("sparse", "time", THREE, {}), {}),
        ("cox_10of10_efron", ("month", "time", THREE, {}), {}),
        ("cox_10of10_breslow", ("month", "time", THREE, {}), {"ties": "breslow"}),
        ("cox_entry_efron", LATE, {}),
        ("cox_entry_breslow", LATE, {"ties": "breslow"}),
        ("cox_week_efron", WEEK, {}),
        ("cox_week_strata_efron", WEEK, {"strata": "site"}),
        ("cox_week_strata_weight_efron", WEEK, {"strata": "site", "weight": "w"}),
        ("cox_week_strata_weight_breslow", WEEK, {"strata": "site", "weight": "w", "ties": "breslow"}),
        ("cox_week_copies_efron", WEEK, {"weight": "copies", "weight_kind": "frequency"}),
    ],
)
def test_penalized_hazard_ratios_are_those_found_numerically_on_coxph(key, of, options, frames, outputs, agree):
    frame, exit_, covariates, entry = of
    event = "y" if frame == "clustered" else "event"
    ours = firth_cox(frames[frame], covariates, exit=exit_, event=event, **entry, **options)
    same_fit(ours, outputs("firth")[key], agree, key)


@pytest.mark.parametrize(
    ("key", "frame", "covariates"), [("firth_9of10", "sparse", THREE), ("firth_endo", "endo", ["NV", "PI", "EH"])]
)
def test_penalized_odds_ratios_are_those_of_brglm2(key, frame, covariates, frames, reference, agree):
    ours, gold = firth_logistic(frames[frame], outcome="event", covariates=covariates), reference[key]
    agree(ours.frame["coef"], list(gold["coef"].values()), BRGLM, "coef")
    agree(ours.frame["std_error"], gold["se"], BRGLM, "standard error")
    agree(ours.settings["loglik"], gold["ploglik"], BRGLM)
    agree(np.log(ours.frame[["conf_low", "conf_high"]].iloc[1]), gold["ci"], BFGS, "profile")
    agree(ours.frame["statistic"][1] ** 2, gold["lrt"], BFGS, "likelihood ratio")


def test_penalized_hazard_ratios_are_those_of_heinze_and_schemper(frames, reference, agree):
    ours = firth_cox(frames["sparse"], THREE, exit="time", event="event", ties="breslow")
    gold = reference["firthcox_9of10"]
    agree(ours.frame["coef"], list(gold["coef"].values()), 1e-6, "coef")
    agree(ours.frame["std_error"], gold["se"], 1e-6, "standard error")
    agree(np.log(ours.frame[["conf_low", "conf_high"]].iloc[0]), gold["ci"], 1e-6, "profile")
    agree(ours.settings["loglik"], gold["ploglik"], 1e-9)


def numbers(values):
    """JSON has no infinity: R's are written as words."""
    return np.array([float(str(value).replace("Inf", "inf")) for value in np.ravel(values)])


def table(cells):
    exposed_events, other_events, exposed_rest, other_rest = np.array(cells, dtype=float).reshape(-1, 4).T
    return two_by_two(exposed_events + exposed_rest, exposed_events, other_events + other_rest, other_events)


def counts(cells):
    events, time, other_events, other_time = np.array(cells, dtype=float).reshape(-1, 4).T
    return two_counts(time, events, other_time, other_events)


@pytest.mark.parametrize(
    ("group", "made"), [("odds", table), ("odds_strata", table), ("rates", counts), ("rates_strata", counts)]
)
def test_exact_ratios_are_those_summed_in_r(group, made, outputs, agree):
    for name, cells in INPUTS[group].items():
        ours, gold = made(cells), outputs("firth")[group][name]
        pairs = {
            "coef": ours.log_ratio(),
            "ci": ours.limits(0.025),
            "mid_p_ci": ours.limits(0.025, 0.5),
            "p": ours.as_unlikely(),
            "central_p": ours.doubled(),
            "mid_p": ours.doubled(0.5),
            "median": ours.median_unbiased(),
        }
        for key, value in pairs.items():
            np.testing.assert_allclose(
                np.ravel(value), numbers(gold[key]), rtol=EXACT, atol=1e-12, err_msg=f"{name} {key}"
            )


@pytest.mark.parametrize(
    ("key", "group", "made"),
    [("fisher_test", "odds", table), ("mantelhaen_test", "odds_strata", table), ("poisson_test", "rates", counts)],
)
def test_exact_p_values_are_those_of_r_and_limits_too_as_far_as_r_searches(key, group, made, outputs, agree):
    close = EXACT if key == "poisson_test" else FISHER_STOPS
    for name, cells in INPUTS[group].items():
        ours, gold = made(cells), outputs("firth")[key][name]
        agree(ours.as_unlikely(), gold["p"], EXACT, name)
        agree(np.exp(ours.limits(0.025)), numbers(gold["ci"]), close, name)
        agree(np.exp(ours.log_ratio()), numbers(gold["or"]), close, name)


def test_the_nine_of_ten_with_a_cleft_have_the_odds_ratio_of_fisher_test(frames, reference, agree):
    ours = exact_odds_ratio(frames["sparse"], outcome="event", exposure="exposed").frame.iloc[0]
    gold = reference["fisher"]
    agree(ours["p_value"], gold["p"], EXACT)
    agree(ours["estimate"], gold["or"], FISHER_STOPS)
    agree(ours[["conf_low", "conf_high"]], gold["ci"], FISHER_STOPS)


def test_fisher_test_stops_short_of_its_own_upper_limit(outputs):
    """At R's printed limit, 797.8, nine or fewer of the ten are more likely than 2.5 %; at ours they are just that."""
    nine = table([9, 1, 591, 1199])
    theirs = numbers(outputs("firth")["fisher_test"]["nine_of_ten"]["ci"])[1]
    assert nine.tails(np.log(theirs))[0] > 0.025 * 1.003
    assert nine.tails(nine.limits(0.025)[1])[0] == pytest.approx(0.025, rel=1e-10)


def test_rates_in_rows_are_the_counts_in_r(outputs, agree):
    events, time, other_events, other_time = INPUTS["rates"]["one"]
    df = pd.DataFrame({"cleft": [1, 1, 0], "n": [events - 2, 2, other_events], "years": [time - 50, 50, other_time]})
    ours = exact_rate_ratio(df, events="n", person_time="years", exposure="cleft").frame.iloc[0]
    gold = outputs("firth")["poisson_test"]["one"]
    agree(ours[["estimate", "p_value"]], [gold["or"], gold["p"]], EXACT)
    agree(ours[["conf_low", "conf_high"]], gold["ci"], EXACT)
