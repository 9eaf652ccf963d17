"""Interval-censored times against R: survfit's Turnbull run to convergence, survreg, and likelihoods written out."""

import json
from pathlib import Path

import numpy as np
import pytest

from cohort.estimate.parametric import weibull
from cohort.estimate.turnbull import turnbull

SAME_MAXIMUM = 1e-9  # both run to convergence
SURVFIT_STOPS_EARLY = 1e-4  # its curve is left where it moves less than 5e-5
R_DIFFERENCES = 1e-7  # score and information by numerical differences


@pytest.fixture(scope="module")
def gold(outputs):
    return outputs("interval_censored")


def look(rows, day):
    """Looks every 14 or 28 days; every fifth unit's day is known: as in interval_censored.R."""
    step, known, happened = 14 * (1 + rows["unit"] % 2), rows["unit"] % 5 == 0, rows["cause"] == 1
    low = np.where(known, day, np.floor((day - 1) / step) * step)
    return rows.assign(
        low=np.where(happened, low, day), high=np.where(happened, np.where(known, day, low + step), np.inf)
    )


@pytest.fixture(scope="module")
def rows(data):
    """The example vertebrae, seen on certain days: from their own day 0, or with late entry."""
    d = data("clustered")
    start = look(d, d["exit"] - d["entry"])
    between = (start["low"] < start["high"]) & np.isfinite(start["high"])
    late = look(d, d["exit"])
    happened = d["cause"] == 1
    return {
        "looks": start,
        "left": start.assign(low=start["low"].where(~between, 0.0)),
        "days": d.assign(days=d["exit"] - d["entry"], event=happened.astype(int)),
        "late_days": d.assign(low=d["exit"], high=np.where(happened, d["exit"], np.inf)),
        "late_looks": late.assign(low=np.where(happened, np.maximum(late["low"], late["entry"]), late["low"])),
    }


@pytest.mark.parametrize(
    ("key", "query", "rel"),
    [
        ("lung", None, SAME_MAXIMUM),
        ("lung_em", None, SAME_MAXIMUM),
        ("lung_men", "sex == 1", SAME_MAXIMUM),
        ("lung_women", "sex == 2", SAME_MAXIMUM),
        ("lung_default", None, SURVFIT_STOPS_EARLY),
    ],
)
def test_turnbulls_curve_is_that_of_survfit(key, query, rel, gold, data, agree):
    d, theirs = data("lung_ic"), gold["turnbull"][key]
    d = d if query is None else d.query(query)
    ours = turnbull(d, lower="L", upper="R", at=theirs["time"], bootstrap=0)
    agree(ours.frame["estimate"], theirs["surv"], rel, key)
    if "loglik" in theirs:
        agree(ours.settings["loglik"][""], theirs["loglik"], 1e-12, "log-likelihood")


@pytest.mark.parametrize("key", ["looks", "looks_em", "looks_weighted", "looks_weighted_em"])
def test_known_days_and_weights_are_read_as_survfit_reads_them(key, gold, rows, agree):
    theirs = gold["turnbull"][key]
    weight = "w" if "weighted" in key else None
    ours = turnbull(rows["looks"], lower="low", upper="high", weight=weight, at=theirs["time"], bootstrap=0)
    agree(ours.frame["estimate"], theirs["surv"], SAME_MAXIMUM, key)


@pytest.mark.parametrize(
    ("key", "source", "lower", "upper"),
    [("lung_inside", "lung_ic", "L", "R"), ("looks_unknown", None, "low", "high")],
)
def test_a_day_within_an_interval_is_read_as_survfit_reads_it(key, source, lower, upper, gold, rows, data, agree):
    """Before the first look survfit, told nothing of day 0, puts all at the end of the interval; with day 0 as bound we
    take its middle as everywhere else, so the bound is left missing here."""
    theirs = gold["turnbull"][key]
    d = data(source) if source else rows["looks"].query("unit % 5 > 0")
    d = d.assign(**{lower: d[lower].where(d[lower] > 0)})
    ours = turnbull(d, lower=lower, upper=upper, at=theirs["time"], bootstrap=0).frame
    assert (ours["highest"] - ours["lowest"] > 1e-6).any()
    agree(ours["estimate"], theirs["surv"], SAME_MAXIMUM, key)


def same_model(ours, theirs, agree, rel=SAME_MAXIMUM):
    """In survreg's order: intercept, covariates, log scale."""
    size = len(theirs["coef"])
    table = ours.frame.iloc[:size]
    assert table["term"].iloc[0] == "(Intercept)"
    assert table["term"].iloc[-1] == "Log(scale)"
    agree(table["coef"], theirs["coef"], rel, "coef")
    agree(table["std_error"], theirs["se"], rel, "SE")
    if theirs.get("naive"):
        agree(table["naive_std_error"], theirs["naive"], rel, "naive SE")
    both = theirs["loglik"] if isinstance(theirs["loglik"], list) else [ours.settings["loglik"][0], theirs["loglik"]]
    agree(ours.settings["loglik"], both, 1e-11, "log-likelihood")
    assert ours.settings["converged"]


def test_public_data_give_what_survreg_gives(gold, data, agree):
    ours = weibull(data("lung_ic"), ["age", "sex"], lower="L", upper="R")
    same_model(ours, gold["weibull"]["lung"], agree)
    ours = weibull(data("veteran"), ["trt", "karno", "age"], exit="time", event="status")
    same_model(ours, gold["weibull"]["veteran"], agree)


def test_survreg_at_its_default_gives_the_same_to_its_own_tolerance(data, agree):
    """The values of survreg before it was told to go on: lung by looks, and veteran."""
    ours = weibull(data("lung_ic"), ["age", "sex"], lower="L", upper="R").frame
    agree(ours["coef"].iloc[:3], [6.29783278363345, -0.0115486268358994, 0.348528145781292], 1e-8)
    ours = weibull(data("veteran"), ["trt", "karno", "age"], exit="time", event="status").frame
    theirs = [2.76915974482406, -0.128840101071327, 0.0354158018934487, 0.000729837587417764]
    agree(ours["coef"].iloc[:4], theirs, 1e-8)


def test_clusters_of_known_days_give_what_survreg_gives(gold, rows, agree):
    ours = weibull(rows["days"], ["leak", "age"], exit="days", event="event", cluster="patient")
    same_model(ours, gold["weibull"]["days_cluster"], agree)


@pytest.mark.parametrize(
    ("key", "options"),
    [("looks", {}), ("looks_weight", {"weight": "w", "robust": False})],
)
def test_intervals_and_weights_give_what_survreg_gives(key, options, gold, rows, agree):
    ours = weibull(rows["looks"], ["leak", "age"], lower="low", upper="high", **options)
    same_model(ours, gold["weibull"][key], agree)


def test_categories_give_what_factors_give(gold, rows, agree):
    d = rows["looks"].assign(site=lambda d: d["site"].astype("category"))
    ours = weibull(d, ["site", "leak"], lower="low", upper="high")
    same_model(ours, gold["weibull"]["looks_site"], agree)


@pytest.mark.parametrize("weight", [None, "w"])
def test_clusters_of_what_was_found_at_the_first_look_give_what_survreg_gives(weight, gold, rows, agree):
    key = "left_cluster" if weight is None else "left_cluster_weight"
    ours = weibull(rows["left"], ["leak", "age"], lower="low", upper="high", weight=weight, cluster="patient")
    same_model(ours, gold["weibull"][key], agree)


@pytest.mark.parametrize(
    ("key", "source", "late", "weight"),
    [
        ("looks_cluster", "looks", False, None),
        ("looks_cluster_weight", "looks", False, "w"),
        ("late_way_of_left_cluster", "left", False, None),
        ("late_days", "late_days", True, None),
        ("late_looks", "late_looks", True, None),
        ("late_looks_weight", "late_looks", True, "w"),
    ],
)
def test_clusters_late_entry_and_weights_give_the_likelihood_written_out(key, source, late, weight, gold, rows, agree):
    ours = weibull(
        rows[source],
        ["leak", "age"],
        lower="low",
        upper="high",
        entry="entry" if late else None,
        weight=weight,
        cluster="patient",
    )
    same_model(ours, gold["weibull"][key], agree, R_DIFFERENCES)


def test_survregs_own_robust_error_of_intervals_is_not_the_sandwich(gold, rows):
    """Its residuals have the wrong sign in the log scale between two finite bounds, so that they do not add to zero."""
    theirs = gold["weibull"]["survreg_looks_cluster"]
    assert np.abs(gold["weibull"]["survreg_residual_sum"]).max() > 0.1
    ours = weibull(rows["looks"], ["leak", "age"], lower="low", upper="high", cluster="patient").frame
    ratio = np.array(theirs["se"]) / ours["std_error"].iloc[:4]
    assert ratio.round(3).tolist() == [1.0, 1.022, 0.998, 1.09]


def test_survregs_robust_error_forgets_the_weights(gold):
    theirs = gold["weibull"]["left_cluster_weight"]
    ratio = np.array(theirs["survreg_se"]) / np.array(theirs["se"])
    assert ratio.max() < 1


def test_the_share_free_of_a_profile_and_its_limits_follow_from_survreg(gold, data, agree):
    made = json.loads((Path(__file__).parent / "interval_censored.json").read_text())
    profiles = [{"age": 60, "sex": 1}, {"age": 75, "sex": 2}]
    ours = weibull(data("lung_ic"), ["age", "sex"], lower="L", upper="R", at=made["at_days"], profile=profiles).frame
    ours = ours[ours["measure"] == "survival"]
    for theirs, (_, mine) in zip(gold["weibull"]["lung_profiles"], ours.groupby("stratum", sort=False), strict=True):
        for name, column in {"estimate": "surv", "conf_low": "lower", "conf_high": "upper", "std_error": "se"}.items():
            agree(mine[name], theirs[column], SAME_MAXIMUM, column)
