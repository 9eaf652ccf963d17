"""Each exposure has a model of its own, and every ratio says what it rests on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cohort.pipeline import prepare, risk, under


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


def with_tables(cohort, **tables):
    changed = {name: table.reset_index(drop=True) for name, table in tables.items()}
    return prepare(replace(cohort.registry, tables=dict(cohort.tables) | changed))


def test_any_refracture_is_the_first_of_whatever_relation_and_death_before_it_is_none(cohort):
    frame = risk.odds_asked_by_others(cohort).frame
    rows = cohort.first_events("composite")
    from_start = rows.frame.query("entry == 0")
    refracture = from_start["cause"].isin([k for k, name in enumerate(rows.causes, 1) if name != "death"])
    row = frame.query("outcome == 'any' and exposure == 'age' and model == 'crude'").iloc[0]
    assert row["n_events"] == (refracture & (from_start["exit"] <= 365)).sum()
    assert row["n_known"] + row["n_lost"] == len(from_start)


def test_with_nobody_lost_the_odds_ratio_of_any_refracture_is_that_of_the_four_counts(cohort):
    rows = cohort.first_events("composite")
    death = rows.causes.index("death") + 1
    frame = rows.frame.query("entry == 0 and ((exit <= 365 and cause != 0) or exit >= 365)")
    kept = {
        name: table[table["patient_id"].isin(frame["patient_id"])]
        for name, table in cohort.tables.items()
        if "patient_id" in table
    }
    asked = risk.odds_asked_by_others(with_tables(cohort, **kept)).frame
    row = asked.query("outcome == 'any' and exposure == 'female' and model == 'crude'").iloc[0]
    sex = frame["patient_id"].map(cohort.tables["patients"].set_index("patient_id")["sex"])
    broke = (frame["exit"] <= 365) & (frame["cause"] != 0) & (frame["cause"] != death)
    a, b = ((sex == "female") & broke).sum(), ((sex == "female") & ~broke).sum()
    c, d = ((sex == "male") & broke).sum(), ((sex == "male") & ~broke).sum()
    assert min(a, b, c, d) > 0
    assert row["estimate"] == pytest.approx(a * d / (b * c), rel=1e-6)


def test_where_only_one_relation_breaks_any_refracture_is_of_that_relation(cohort):
    augmentations = cohort.tables["augmentations"]
    first = augmentations["date"] == augmentations.groupby("patient_id")["date"].transform("min")
    alone = with_tables(cohort, augmentations=augmentations[first])
    for _ in range(2):  # what is left out may have been why another did not count
        kept = alone.sightings.query("counted == 'yes' and relation == 'adjacent'")["fracture_id"]
        fractures = alone.tables["fractures"]
        alone = with_tables(alone, fractures=fractures[fractures["fracture_id"].isin(kept)])
    asked = risk.odds_asked_by_others(alone).frame
    every = asked[asked["outcome"] == "any"].merge(
        pd.concat([risk.odds(alone).frame, asked]).query("outcome == 'adjacent'"), on=["exposure", "model"]
    )
    assert len(every) == 6 * 2 + 5
    assert set(alone.sightings.loc[alone.sightings["counted"] == "yes", "relation"]) == {"adjacent"}
    np.testing.assert_allclose(every["estimate_x"], every["estimate_y"], rtol=1e-9)


def test_odds_rest_on_patients_observed_from_their_first_treatment(cohort):
    frame = risk.odds(cohort).frame
    from_start = cohort.first_events("adjacent").frame.query("entry == 0")
    row = frame.query("outcome == 'adjacent' and exposure == 'corticosteroids' and model == 'crude'").iloc[0]
    assert row["n_known"] + row["n_lost"] == len(from_start)
    assert row["n_events"] == ((from_start["cause"] == 1) & (from_start["exit"] <= 365)).sum()
