"""Each exposure has a model of its own, and every ratio says what it rests on."""

import numpy as np
import pandas as pd
import pytest

from cohort.pipeline import risk, under


@pytest.fixture(scope="module")
def hazards(cohort):
    return risk.hazards(cohort).frame


def test_every_relation_has_each_exposure_crude_and_adjusted(hazards):
    found = hazards.groupby(["outcome", "exposure"])["model"].apply(set)
    assert len(found) == 3 * len(risk.EXPOSURES)
    assert (found == {"crude", "adjusted"}).all()


def test_the_adjustment_set_is_the_one_the_study_declares(cohort, hazards):
    declared = cohort.study.models.adjustment
    for row in hazards[hazards["model"] == "adjusted"].itertuples():
        assert row.adjusted_for == ", ".join(declared[row.exposure])
        assert row.exposure not in declared[row.exposure]


def test_an_exposure_without_an_adjustment_set_is_crude_only(cohort):
    changed = under(cohort, cohort.study.with_("models", adjustment={"cleft": ("age",)}))
    frame = risk.hazards(changed).frame
    assert set(frame.loc[frame["model"] == "adjusted", "exposure"]) == {"cleft"}


def test_not_assessable_is_neither_yes_nor_no():
    coded = risk.coded(pd.DataFrame({"leak": pd.Categorical(["yes", "no", "not_assessable", None])}))
    np.testing.assert_array_equal(coded["leak"], [1.0, 0.0, np.nan, np.nan])


def test_few_events_for_many_parameters_are_said(hazards):
    thin = hazards[hazards["n_events"] < 10 * (1 + hazards["adjusted_for"].str.count(","))]
    assert thin["note"].str.contains("events for|parameters|patients only").all()


def test_odds_rest_on_patients_observed_from_their_first_treatment(cohort):
    frame = risk.odds(cohort).frame
    from_start = cohort.first_events("adjacent").frame.query("entry == 0")
    row = frame.query("outcome == 'adjacent' and exposure == 'corticosteroids' and model == 'crude'").iloc[0]
    assert row["n_known"] + row["n_lost"] == len(from_start)
    assert row["n_events"] == ((from_start["cause"] == 1) & (from_start["exit"] <= 365)).sum()
