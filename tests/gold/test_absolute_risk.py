"""Incidence at given covariates against R's survfit of Cox models, cmprsk and riskRegression.

Where the algorithm is the same 1e-9 is expected; R's robust errors are central differences of step 1e-4 in the weight
of each patient (absolute_risk.R), good to about 1e-8.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cohort.estimate.absolute_risk import absolute_risk
from cohort.estimate.baseline_influence import CauseModel, ProfileHazard
from cohort.estimate.cox import fit_cox
from cohort.estimate.curves import kaplan_meier
from cohort.estimate.design import rows_of
from cohort.estimate.finegray import lingering_sets

SAME_ALGORITHM = 1e-9
BY_DIFFERENCES = 1e-7
LUNG, PBC = ["age", "sex", "ph_ecog"], ["age", "sexf", "lbili"]
AT = [5, 20, 40, 90, 150]
PROFILES = pd.DataFrame({"leak": [0, 1, 1], "age": [70, 70, 85]})
SITES = PROFILES.assign(site=["A", "C", "B"])
CLUSTERED = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient", "at": AT}


def by_day(frame, column, states=1):
    """Days x profiles x states, as R writes them."""
    return frame[column].to_numpy().reshape(len(PROFILES), len(AT), states).transpose(1, 0, 2)


SETTINGS = {
    "entry_efron": {},
    "entry_breslow": {"ties": "breslow"},
    "weight_efron": {"weight": "w"},
    "weight_breslow": {"weight": "w", "ties": "breslow"},
    "strata_efron": {"strata": "site", "profiles": SITES},
}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_competing_causes_and_their_robust_errors_are_those_of_r(name, outputs, data, agree):
    gold = outputs("absolute_risk")[name]
    ours = absolute_risk(
        data("clustered"), ["leak", "age"], **({"profiles": PROFILES, "of": None} | CLUSTERED | SETTINGS[name])
    ).frame
    agree(by_day(ours, "estimate", 3), gold["pstate"], SAME_ALGORITHM, name)
    agree(by_day(ours, "std_error", 3), gold["se"], BY_DIFFERENCES, f"{name} SE")


@pytest.mark.parametrize("weight", [None, "w"])
def test_with_breslow_survfit_of_one_multi_state_model_says_the_same(weight, outputs, data, agree):
    gold = outputs("absolute_risk")["multistate_weight_breslow" if weight else "multistate_breslow"]
    ours = absolute_risk(
        data("clustered"), ["leak", "age"], profiles=PROFILES, of=None, ties="breslow", weight=weight, **CLUSTERED
    ).frame
    agree(by_day(ours, "estimate", 3), gold["pstate"], SAME_ALGORITHM)


def test_with_efron_survfit_of_a_multi_state_model_is_not_that_of_its_causes(outputs):
    """It divides the events of a day by the mean of their risk sets; survfit of one cause, and we, add quotients."""
    gold = outputs("absolute_risk")
    apart = np.abs(np.array(gold["multistate_efron"]["pstate"]) / np.array(gold["entry_efron"]["pstate"]) - 1).max()
    assert 0.01 < apart < 0.02


def test_leaving_one_patient_out_at_a_time_gives_nearly_the_same_errors(outputs, data):
    """The jackknife is a little larger than its infinitesimal form: up to a tenth for the profile furthest out."""
    ours = absolute_risk(data("clustered"), ["leak", "age"], profiles=PROFILES, of=None, **CLUSTERED).frame
    np.testing.assert_allclose(
        by_day(ours, "std_error", 3), outputs("absolute_risk")["jackknife_efron"]["se"], rtol=0.12
    )


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("weight", [None, "w"])
def test_one_cause_has_the_survival_and_model_based_error_of_survfit(ties, weight, outputs, data, agree):
    gold = outputs("absolute_risk")[f"single_weight_{ties}" if weight else f"single_{ties}"]
    rows = data("clustered").assign(cause=lambda d: (d["cause"] == 1).astype(int))
    ours = absolute_risk(rows, ["leak", "age"], profiles=PROFILES, ties=ties, weight=weight, **CLUSTERED).frame
    agree(1 - by_day(ours, "estimate"), gold["surv"], SAME_ALGORITHM)
    agree(by_day(ours, "naive_std_error"), gold["se"], SAME_ALGORITHM)


def test_survival_of_a_public_model_is_that_of_survfit(reference, data, agree):
    gold = reference["lung_cox_pred"]
    ours = absolute_risk(
        data("lung"), LUNG, profiles=dict(zip(LUNG, (60, 1, 1), strict=True)), at=gold["time"], of=None,
        exit="time", cause="event",
    ).frame.query("outcome == 'event_free'")  # fmt: skip
    # coxph at its default stops a little early
    agree(ours["estimate"], gold["surv"], 1e-7)
    agree(ours["naive_std_error"], gold["se"], 1e-7)


def test_survival_of_every_patient_is_that_of_predict_risk(outputs, data, agree):
    """exp(-L) with Efron's baseline, as the fit; 225 profiles."""
    gold = outputs("absolute_risk")["lung_predict_risk"]
    rows = data("lung")
    ours = absolute_risk(rows, LUNG, profiles=rows[LUNG], at=gold["time"], exit="time", cause="event").frame
    agree(1 - ours["estimate"], gold["surv"], SAME_ALGORITHM)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("cause", [1, 2])
def test_the_product_limit_is_that_of_risk_regression(ties, cause, outputs, data, agree):
    gold = outputs("absolute_risk")[f"csc_{ties}_{cause}"]
    ours = absolute_risk(
        data("melanoma"), ["ulcer", "age", "logthick"], of=cause, ties=ties, product="limit", at=gold["time"],
        profiles={"ulcer": [0, 1], "age": [50, 70], "logthick": [0.5, 1.5]}, exit="time", cause="status",
    ).frame  # fmt: skip
    agree(ours["estimate"], gold["cif"], SAME_ALGORITHM)
    if ties == "breslow":
        # Its influence functions are those of exp(-L) where its estimate is the product limit; ours are exact.
        agree(ours["std_error"], gold["se"], 0.01)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_fine_gray_is_that_of_finegray_coxph_and_survfit(ties, outputs, data, agree):
    gold = outputs("absolute_risk")[f"finegray_{ties}"]
    ours = absolute_risk(
        data("clustered"), ["leak", "age"], profiles=PROFILES, method="fine_gray", ties=ties, **CLUSTERED
    ).frame
    agree(by_day(ours, "estimate"), gold["cif"], SAME_ALGORITHM)
    agree(by_day(ours, "std_error"), gold["se"], BY_DIFFERENCES)


def crr_sets(rows):
    """The risk sets of crr: on one day losses come with the events, so that who has one is at risk of being lost."""
    exit_, cause = rows["time"].to_numpy(float), rows["status"].to_numpy(np.int64)
    sets = lingering_sets(np.full(len(rows), -np.inf), exit_, cause, 2, np.ones(len(rows)))
    losses = kaplan_meier(rows.assign(lost=(cause == 0).astype(int)), exit="time", event="lost").frame
    curve = np.append(1.0, losses["estimate"])

    def before(days):
        return curve[np.searchsorted(losses["time"], days, side="left")]

    lingers = sets.per_share > 0
    per_share = np.where(lingers, 1.0 / before(exit_), 0.0)
    return replace(sets, share=before(sets.time), per_share=per_share)


def test_with_its_own_order_of_losses_the_incidence_is_that_of_crr(outputs, data, agree):
    rows, gold = data("pbc"), outputs("absolute_risk")["pbc_crr"]
    base = rows_of(rows, exit_="time", entry=None, weight=None, id_=None, cluster=None)
    x, died = rows[PBC].to_numpy(float), rows["status"].to_numpy() == 2
    model = CauseModel.of(fit_cox(x, died, base, ties="breslow", sets=crr_sets(rows)), np.arange(3), x)
    # crr stops 3e-9 short of the maximum, which is 1e-6 of the small coefficient of sex
    np.testing.assert_allclose(model.fit.coef, list(gold["coef"].values()), rtol=1e-9, atol=1e-8)
    for k, profile in enumerate(([50.0, 1.0, 1.0], [65.0, 0.0, 2.0])):
        hazard = ProfileHazard.of(model, np.array(profile))
        steps = np.searchsorted(model.fit.likelihood.sets.time, gold["time"], side="right")
        theirs = [row[k] for row in np.array(gold["cif"]).T]
        agree(-np.expm1(-np.append(0.0, np.cumsum(hazard.jump))[steps]), theirs, BY_DIFFERENCES)


def test_with_our_order_of_losses_crr_is_near(outputs, data):
    gold = outputs("absolute_risk")["pbc_crr"]
    ours = absolute_risk(
        data("pbc"), PBC, profiles={"age": [50, 65], "sexf": [1, 0], "lbili": [1, 2]}, at=gold["time"], of=2,
        exit="time", cause="status", method="fine_gray", ties="breslow",
    ).frame  # fmt: skip
    np.testing.assert_allclose(ours["estimate"], np.array(gold["cif"]).ravel(), rtol=1e-3)
