"""Vertebrae of one patient against each other: coxph with strata(patient), and conditional logistic regression."""

import numpy as np
import pytest

from cohort.estimate.within import within_patient

SAME_ALGORITHM = 1e-9
ROWS = {"entry": "entry", "exit": "exit", "event": "event", "cluster": "patient"}


def clustered(data):
    return data("clustered").assign(event=lambda d: (d["cause"] == 1).astype(int), height=lambda d: d["unit"] * 7 % 5)


def recurrent_rows(data):
    return data("recurrent_vertebrae").assign(height=lambda d: d["vertebra"] * 7 % 5)


def same_model(ours, gold, agree, rel):
    frame = ours.frame
    assert frame["term"].tolist() == list(gold["coef"])
    agree(frame["coef"], list(gold["coef"].values()), rel, "coef")
    agree(frame["naive_std_error"], list(gold["se_naive"].values()), rel, "naive SE")
    agree(frame["std_error"], list(gold["se"].values()), rel, "SE")
    agree(ours.settings["loglik"], gold["loglik"], 1e-11, "log-likelihood")
    agree(ours.settings["score_statistic"], gold["score"], rel, "score test")
    assert frame["n_events"].iloc[0] == gold["nevent"]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_one_row_per_vertebra_is_coxph_stratified_by_patient(ties, outputs, data, agree):
    ours = within_patient(clustered(data), ["leak", "height"], id="unit", ties=ties, **ROWS)
    same_model(ours, outputs("within_patient")[f"clustered_{ties}"], agree, SAME_ALGORITHM)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("recurrent", {}),
        ("recurrent_robust", {"robust": True}),
        ("recurrent_weight", {"robust": True, "weight": "w"}),
    ],
)
def test_repeated_events_and_changing_covariates_with_either_variance(name, options, ties, outputs, data, agree):
    ours = within_patient(recurrent_rows(data), ["leak", "height", "drug"], id="vertebra", ties=ties, **options, **ROWS)
    same_model(ours, outputs("within_patient")[f"{name}_{ties}"], agree, SAME_ALGORITHM)


def test_patients_and_events_that_tell_are_those_counted_one_by_one(outputs, data):
    gold = outputs("within_patient")["informative"]
    made = {
        "clustered": within_patient(clustered(data), list(gold["clustered"]), id="unit", **ROWS),
        "recurrent": within_patient(recurrent_rows(data), list(gold["recurrent"]), id="vertebra", **ROWS),
    }
    for name, ours in made.items():
        frame = ours.frame.set_index("term")
        for term, counts in gold[name].items():
            assert frame["n_informative_events"][term] == counts["events"]
            assert frame["n_informative_patients"][term] == counts["patients"]


def test_with_one_event_time_per_patient_it_is_conditional_logistic_regression(outputs, data, agree):
    from statsmodels.discrete.conditional_models import ConditionalLogit

    gold = outputs("within_patient")["matched"]
    case = dict(zip(gold["unit"], gold["case"], strict=True))
    sets = clustered(data).assign(case=lambda d: d["unit"].map(case), day=1)
    ours = within_patient(sets, ["leak", "height"], exit="day", event="case", cluster="patient", id="unit")
    same_model(ours, gold["fit"], agree, SAME_ALGORITHM)
    # Sets without a case, or of cases only, tell nothing: statsmodels drops them with a warning.
    telling = sets[sets.groupby("patient")["case"].transform(lambda case: 0 < case.mean() < 1)]
    model = ConditionalLogit(
        telling["case"].to_numpy(), telling[["leak", "height"]].to_numpy(float), groups=telling["patient"].to_numpy()
    )
    theirs = model.fit(disp=False, method="newton", maxiter=50)
    # statsmodels takes its standard errors from a numerical second derivative
    np.testing.assert_allclose(ours.frame["coef"], theirs.params, rtol=1e-6)
    np.testing.assert_allclose(ours.frame["std_error"], theirs.bse, rtol=1e-5)
