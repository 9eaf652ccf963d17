"""The parts of `cohort.risk_factors` on one synthetic registry against R (risk_factors.R), which reads the same rows.

`python tests/gold/test_risk_factors.py` writes the rows (data/risk_factors_*.csv) from their seed; from them the script
writes risk_factors.json.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cohort.domain.study import StudyDefinition
from cohort.pipeline.factors import drugs, effects, rare
from cohort.pipeline.factors.rows import Factor, rows_of
from cohort.pipeline.risk import Exposure

SAME_ALGORITHM = 1e-9  # both maximize one likelihood until nothing moves
SAME_RISK = 1e-8  # sums over hundreds of event times of two fits; asked for was 1e-6
ROOT_SEARCH = 1e-8  # limits by `uniroot` with its tolerance at 1e-13 on the scale of the logarithm
FISHER_STOPS = 4e-3  # fisher.test() stops its search for the limits early (docs/differences.md)
# Leaving each patient out agrees with our error by derivatives to first order only, less well the fewer events: 77 in
# the Cox models, 35 by the horizon in the logistic one. The derivatives themselves are held to 1e-8 in test_risks.py.
LEFT_OUT = {"cox": 0.05, "logistic_ipcw": 0.11}
RISKS = ("risk_all_exposed", "risk_none_exposed", "risk_difference", "risk_ratio")
HORIZON, CONTRAST = 365, (-3.5, -2.5)
KEPT = ("id", "cluster", "entry", "exit", "cause")
COVARIATES = ("cleft", "t_score", "corticosteroids", "anti_osteoporotic", "age", "female", "prior_fractures")
FACTORS = {
    "cleft": Factor(Exposure("cleft", "Cleft"), ("t_score", "corticosteroids", "age"), True, None),
    "t_score": Factor(Exposure("t_score", "T-score"), ("age", "female"), True, CONTRAST),
    "anti_osteoporotic": Factor(
        Exposure("anti_osteoporotic", "Drug"), ("t_score", "corticosteroids", "age", "prior_fractures"), True, None
    ),
}
BOTH = [(name, model) for name in FACTORS for model in ("crude", "adjusted")]


def export() -> None:
    """Write the rows: 300 patients, treated levels break nine times as often as usual, findings are lost at random."""
    from cohort.pipeline import prepare
    from cohort.synthetic import DEFAULT, simulate
    from cohort.tables.results import Registry

    parameters = replace(DEFAULT, role_treated=3.0, delayed_share=0.2, augmented_again=(0.2, 0.2, 0.2))
    tables = simulate(300, 2017, parameters=parameters)
    rng = np.random.default_rng(6)
    augmentations, patients = tables["augmentations"].copy(), tables["patients"].copy()
    augmentations.loc[rng.random(len(augmentations)) < 0.10, "cleft_before"] = None
    patients.loc[rng.random(len(patients)) < 0.05, "t_score"] = np.nan
    registry = Registry.of({**tables, "augmentations": augmentations, "patients": patients}, StudyDefinition())
    found = rows_of(prepare(registry), "same")
    for name in ("hazard", "units", "patients"):
        frame = getattr(found, name)[[*KEPT, *COVARIATES]].round(3)
        frame.to_csv(Path(__file__).parent / "data" / f"risk_factors_{name}.csv", index=False, lineterminator="\n")


@pytest.fixture(scope="module")
def gold(outputs):
    return outputs("risk_factors")


@pytest.fixture(scope="module")
def hazard(data):
    return data("risk_factors_hazard")


@pytest.fixture(scope="module")
def units(data):
    return data("risk_factors_units")


@pytest.fixture(scope="module")
def found(hazard, units):
    """The effects of each factor by both models of risk, indexed by model and measure."""
    return {
        (name, method): effects.effect_rows(factor, hazard, units, horizon=HORIZON, risk_model=method).set_index(
            ["model", "measure"]
        )
        for name, factor in FACTORS.items()
        for method in ("cox", "logistic_ipcw")
    }


@pytest.mark.parametrize(("name", "model"), BOTH)
def test_the_hazard_ratio_is_that_of_coxph_on_vertebrae_at_risk(name, model, found, gold, agree):
    """Limits are from t (several vertebrae a patient), so that coefficient and plain robust error are compared."""
    ours, theirs = found[name, "cox"].loc[(model, "hazard_ratio")], gold["cox"][name][model]
    agree(ours["coef"], theirs["coef"], SAME_ALGORITHM, "coef")
    agree(ours["std_error"], theirs["se"], SAME_ALGORITHM, "robust SE")
    for count in ("n_events", "n_units", "n_patients"):
        assert ours[count] == theirs[count], count
    assert ours["penalized"] == "no"


@pytest.mark.parametrize(("name", "model"), BOTH)
def test_the_subdistribution_hazard_ratio_is_that_of_finegray_and_coxph(name, model, found, gold, agree):
    ours, theirs = found[name, "cox"].loc[(model, "subdistribution_hazard_ratio")], gold["gray"][name][model]
    agree(ours["coef"], theirs["coef"], SAME_ALGORITHM, "coef")
    agree(ours["std_error"], theirs["se"], SAME_ALGORITHM, "robust SE")


@pytest.mark.parametrize("method", ["cox", "logistic_ipcw"])
@pytest.mark.parametrize(("name", "model"), BOTH)
def test_standardized_risks_are_means_of_what_r_predicts(name, model, method, found, gold, agree):
    theirs = gold["risk_cox" if method == "cox" else "risk_logistic"][name][model]
    ours = found[name, method].loc[model].loc[list(RISKS)]
    agree(ours["estimate"], theirs["estimate"], SAME_RISK, "risks")
    if name != "anti_osteoporotic":
        agree(ours["std_error"], theirs["jackknife"], LEFT_OUT[method], "SE against leaving patients out")


def test_the_risks_of_a_number_are_those_of_the_two_values_of_the_study(found):
    risk = found["t_score", "cox"].loc[("adjusted", "risk_difference")]
    assert (risk["contrast_from"], risk["contrast_to"]) == CONTRAST
    assert risk["estimate"] < 0, "denser bone, fewer refractures"


@pytest.fixture(scope="module")
def few(hazard, data):
    return {
        name: rare.rare_rows(FACTORS[name], hazard, data("risk_factors_patients"), horizon=HORIZON)
        for name in ("cleft", "anti_osteoporotic")
    }


@pytest.mark.parametrize("name", ["cleft", "anti_osteoporotic"])
def test_the_rate_ratio_of_vertebra_days_is_that_of_poisson_test(name, few, gold, agree):
    ours, theirs = few[name].query("measure == 'rate_ratio'").set_index("method"), gold["rates"][name]
    agree(ours["estimate"], [theirs["estimate"]] * 2, SAME_ALGORITHM)
    for method, key in (("exact", "exact"), ("mid-P", "mid_p")):
        agree(ours.loc[method, ["conf_low", "conf_high"]], theirs[key], ROOT_SEARCH, method)
    assert ours["n_events"].tolist() == [sum(theirs["events"])] * 2
    assert ours["n_exposed_events"].tolist() == [theirs["events"][0]] * 2


@pytest.mark.parametrize("name", ["cleft", "anti_osteoporotic"])
def test_the_odds_ratio_of_patients_is_that_of_fisher_test(name, few, gold, agree):
    ours, theirs = few[name].query("measure == 'odds_ratio'").set_index("method"), gold["odds"][name]
    agree(ours["estimate"], [theirs["estimate"]] * 2, ROOT_SEARCH)
    for method, key in (("exact", "exact"), ("mid-P", "mid_p")):
        agree(ours.loc[method, ["conf_low", "conf_high"]], theirs[key], ROOT_SEARCH, method)
    agree(ours.loc["exact", ["estimate", "conf_low", "conf_high"]], theirs["fisher"], FISHER_STOPS, "fisher.test")
    assert ours["n_units"].tolist() == [sum(theirs["table"])] * 2
    assert ours["note"].str.contains(f"{theirs['left_out']} lost before day {HORIZON} or entered late").all()


@pytest.fixture(scope="module")
def of_drug(hazard):
    return drugs.drug_rows(FACTORS["anti_osteoporotic"], hazard).set_index("analysis")


def test_a_landmark_asks_those_at_risk_by_what_they_took_on_the_day(of_drug, gold, agree):
    for day, theirs in gold["landmark"].items():
        ours = of_drug.loc["landmark stacked" if day == "stacked" else f"landmark day {day}"]
        agree(ours["coef"], theirs["coef"], SAME_ALGORITHM, f"coef, {day}")
        agree(ours["std_error"], theirs["se"], SAME_ALGORITHM, f"robust SE, {day}")
        if day != "stacked":
            assert (ours["n_units"], ours["n_events"]) == (theirs["n_units"], theirs["n_events"])


def test_a_lag_moves_the_use_of_the_patient_day_by_day(of_drug, gold, agree):
    """R moves a vector of days per patient: it knows no stretches of use, nor when a vertebra came to be at risk."""
    for lag, theirs in gold["lagged"].items():
        ours = of_drug.loc[f"lag {lag} days"]
        agree(ours["coef"], theirs["coef"], SAME_ALGORITHM, f"coef, {lag} days")
        agree(ours["std_error"], theirs["se"], SAME_ALGORITHM, f"robust SE, {lag} days")


def test_use_on_the_day_is_the_hazard_ratio_of_the_main_table(of_drug, found):
    main = found["anti_osteoporotic", "cox"].loc[("adjusted", "hazard_ratio")]
    assert of_drug.loc["current use", "estimate"] == main["estimate"]


if __name__ == "__main__":
    export()
    sys.exit()
