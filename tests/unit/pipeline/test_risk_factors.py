"""Risk factors: each exposure by its own set, what cannot be estimated says why, separation changes the main ratio."""

import numpy as np
import pandas as pd
import pytest

import cohort
from cohort.domain.errors import DefinitionError
from cohort.pipeline.factors import effects, rare
from cohort.pipeline.factors.rows import Factor, at_entry
from cohort.pipeline.risk import Exposure

CLEFT = Factor(Exposure("cleft", "Cleft"), ("age",), True, None)


@pytest.fixture(scope="module")
def four_patients():
    return cohort.read("data/cases")


def vertebrae(exposed_events, other_events, n=200):
    """Vertebrae of as many patients; the first half has a cleft, and its first ones refracture."""
    half = n // 2
    cause = np.zeros(n, dtype=int)
    cause[:exposed_events] = 1
    cause[half : half + other_events] = 1
    return pd.DataFrame(
        {
            "id": np.arange(n), "cluster": np.arange(n), "entry": 0, "cause": cause,
            "exit": 400 - np.arange(n) % 97 * 3,
            "cleft": (np.arange(n) < half).astype(float), "age": 7.0 + np.arange(n) % 13 / 10,
        }
    )  # fmt: skip


def test_an_outcome_that_is_none_is_refused_with_those_there_are(four_patients):
    with pytest.raises(DefinitionError, match="same, adjacent, remote"):
        cohort.risk_factors(four_patients, "anything")


def test_an_exposure_not_known_at_entry_is_refused(four_patients):
    with pytest.raises(DefinitionError, match="no covariate known at entry"):
        cohort.risk_factors(four_patients, "same", ["pain_after"])


def test_an_exposure_is_adjusted_for_its_own_declared_set_and_one_without_stays_crude(four_patients):
    found = cohort.risk_factors(four_patients, "same", ["leak", "n_levels"])
    sets = found.adjustment.groupby("exposure")["covariate"].agg(list).to_dict()
    assert sets == {"leak": ["cleft", "t_score", "age"], "n_levels": [""]}
    frame = found.effects.frame
    assert set(frame.loc[frame["exposure"] == "n_levels", "model"]) == {"crude"}


def test_four_patients_give_no_traceback_and_every_missing_ratio_says_why(four_patients):
    frame = cohort.risk_factors(four_patients, "same").effects.frame
    assert (frame.loc[frame["estimate"].isna(), "note"] != "").all()


def test_when_all_events_are_exposed_the_penalized_ratio_is_the_main_one():
    rows = vertebrae(8, 0)
    frame = effects.effect_rows(CLEFT, rows, rows, horizon=365)
    ratios = frame[frame["measure"] == "hazard_ratio"]
    assert ratios["penalized"].tolist() == ["yes", "yes"]
    assert np.isfinite(ratios["conf_high"]).all()


def test_with_events_on_both_sides_maximum_likelihood_is_the_main_one_unless_the_study_says_otherwise():
    rows = vertebrae(20, 8)
    for penalized, main in (("on_separation", "maximum likelihood"), ("always", "Firth")):
        frame = rare.rare_rows(CLEFT, rows, rows, horizon=365, penalized=penalized)
        assert set(frame.loc[frame["main"] == "yes", "method"]) == {main}


def test_rows_in_another_order_and_patients_of_other_names_change_nothing():
    rows = vertebrae(20, 8)
    other = rows.sample(frac=1.0, random_state=1).assign(cluster=lambda x: 999 - x["cluster"], id=lambda x: x["id"] + 7)
    columns = ["estimate", "conf_low", "conf_high"]
    first, second = (effects.effect_rows(CLEFT, frame, frame, horizon=300)[columns] for frame in (rows, other))
    np.testing.assert_allclose(first.to_numpy(float), second.to_numpy(float), rtol=1e-8)


def test_days_off_risk_stay_a_gap_when_rows_are_joined():
    days = pd.DataFrame(
        {"id": [1, 1, 1], "entry": [0, 5, 20], "exit": [5, 9, 30], "cause": [0, 0, 1], "drug": [0, 1, 1]}
    )
    joined = at_entry(days)
    assert joined[["entry", "exit", "cause", "drug"]].to_numpy().tolist() == [[0, 9, 0, 0], [20, 30, 1, 0]]
