"""Few clusters and few events against R: coxph without one cluster at a time, clubSandwich, boot, survey."""

import numpy as np
import pytest

from cohort.estimate import aalen_johansen, cox, fine_gray, logistic, poisson
from cohort.estimate.bootstrap import bca_levels, percentiles
from cohort.estimate.rare_limits import beta_limits

SAME_ALGORITHM = 1e-9  # both sides climb until the coefficients stand still
LUNG = ["age", "sex", "ph_ecog"]


def few_events(data):
    rows = data("clustered").assign(days=lambda d: d["exit"] - d["entry"])
    event = ((rows["cause"] == 1) & (rows["patient"] % 4 == 0)).astype(int)
    return rows.assign(event=event, few=np.where(rows["cause"] == 1, event, rows["cause"]))


def same_limits(ours, gold, agree, rel=SAME_ALGORITHM):
    for name, theirs in {
        "coef": "coef",
        "corrected_std_error": "se",
        "df": "df",
        "conf_low": "low",
        "conf_high": "high",
        "p_value": "p",
    }.items():
        agree(ours.frame[name], np.broadcast_to(gold[theirs], len(ours.frame)), rel, name)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_eighteen_centres_are_left_out_one_at_a_time(ties, outputs, data, agree):
    ours = cox(data("lung"), LUNG, exit="time", event="event", cluster="inst", ties=ties)
    same_limits(ours, outputs("small_sample")[f"lung_{ties}"], agree)


def test_weighted_centres_are_left_out_one_at_a_time(outputs, data, agree):
    ours = cox(data("lung"), LUNG, exit="time", event="event", cluster="inst", weight="w")
    same_limits(ours, outputs("small_sample")["lung_weighted"], agree)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("entry_efron", {}),
        ("entry_breslow", {"ties": "breslow"}),
        ("entry_strata", {"strata": "site"}),
        ("entry_weighted", {"weight": "w"}),
    ],
)
def test_few_patients_with_an_event_are_left_out_and_the_others_enter_by_their_influence(
    key, options, outputs, data, agree
):
    ours = cox(
        few_events(data), ["leak", "age"], entry="entry", exit="exit", event="event", cluster="patient", **options
    )
    same_limits(ours, outputs("small_sample")[key], agree)


def test_a_patient_left_out_of_fine_and_grays_model_stays_in_its_weights(outputs, data, agree):
    ours = fine_gray(
        few_events(data), ["leak", "age"], entry="entry", exit="exit", cause="few", id="unit", cluster="patient"
    )
    same_limits(ours, outputs("small_sample")["finegray"], agree)


def test_cr2_and_its_degrees_of_freedom_are_those_of_club_sandwich(outputs, data, agree):
    rows, gold = few_events(data), outputs("small_sample")
    options = {"covariates": ["leak", "age"], "cluster": "patient", "small_sample": "cr2"}
    same_limits(logistic(rows, outcome="event", **options), gold["logistic"], agree)
    same_limits(logistic(rows, outcome="event", weight="w", **options), gold["logistic_weighted"], agree)
    same_limits(poisson(rows, events="event", person_time="days", **options), gold["poisson"], agree)


def test_by_default_degrees_of_freedom_are_not_more_than_patients_with_an_event_less_one(outputs, data, agree):
    rows, gold = few_events(data), outputs("small_sample")
    ours = logistic(rows, outcome="event", covariates=["leak", "age"], cluster="patient").frame
    agree(ours["corrected_std_error"], gold["logistic"]["se"], SAME_ALGORITHM)
    agree(ours["df"], np.minimum(gold["logistic"]["df"], gold["clusters_with_event"] - 1), SAME_ALGORITHM)


def test_limits_of_draws_are_those_of_boot_ci(outputs, agree):
    gold, levels = outputs("small_sample")["boot"], np.array([0.025, 0.975])
    draws = np.array(gold["t"])
    agree(percentiles(draws, levels), gold["percentile"], 1e-12)
    moved = bca_levels(draws, gold["t0"], np.array(gold["left_out"]), levels)
    agree(percentiles(draws, moved), gold["bca"], 1e-12)


def test_beta_limits_are_those_of_svyciprop(outputs, data, agree):
    """Which has no bound on the effective number, and a variance with G / (G - 1)."""
    gold = outputs("small_sample")["beta"]
    share, variance = np.array([gold["share"]]), np.array([gold["variance"]])
    nothing = np.zeros(1)
    ours = beta_limits(share, variance, nothing, np.inf, gold["units"], gold["clusters"], 0.95)
    agree(np.concatenate(ours), gold["limits"], SAME_ALGORITHM)
    rows = data("clustered").query("cause > 0")
    curve = aalen_johansen(rows, exit="exit", cause="cause", cluster="patient", at=[gold["by_day"]]).frame
    mine = curve[curve["outcome"] == "1"]
    agree(mine["estimate"], gold["share"], SAME_ALGORITHM)
    factor = gold["clusters"] / (gold["clusters"] - 1)
    agree(mine["std_error"] ** 2 * factor, gold["variance"], SAME_ALGORITHM)
