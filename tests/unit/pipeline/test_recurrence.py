"""Fractures that come back: counts and lost days of two patients worked out by hand, and what the clocks share."""

import numpy as np
import pandas as pd
import pytest

import cohort as toolkit
from cohort import atrisk, estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline import prepare, recurrence, risk

# A: L1 treated on day 0; L2 breaks on day 100 and T12 on day 200. B: L1 treated on day 0; dies on day 300.
# Both are followed to day 365.
PATIENTS = """patient_id,follow_up_end,death_date
A,2020-12-31,
B,2020-12-31,2020-10-27
"""
AUGMENTATIONS = """patient_id,date,level
A,2020-01-01,L1
B,2020-01-01,L1
"""
FRACTURES = """patient_id,date,level
A,2020-04-10,L2
A,2020-07-19,T12
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    (folder / "patients.csv").write_text(PATIENTS)
    (folder / "augmentations.csv").write_text(AUGMENTATIONS)
    (folder / "fractures.csv").write_text(FRACTURES)
    registry = toolkit.read(folder)
    study = registry.study.with_("models", windows_days=(150, 250, 365))
    return prepare(toolkit.Registry.of(registry.tables, study))


def without_fractures(two):
    tables = {**two.tables, "fractures": two.tables["fractures"].iloc[:0]}
    return prepare(toolkit.Registry.of(tables, two.study))


def test_the_mean_of_two_patients_counts_every_episode(two):
    found = recurrence.counts_of(two).frame.set_index(["outcome", "time"])
    assert found.loc["adjacent", "estimate"].tolist() == [0.5, 1.0, 1.0]
    assert found.loc["adjacent", "n_events"].tolist() == [1, 2, 2]
    assert found.loc["adjacent", "n_clusters_with_event"].tolist() == [1, 1, 1], "both are A's"
    assert found.loc["any", "estimate"].tolist() == [0.5, 1.0, 1.0]
    assert (found.loc[["same", "remote"], "estimate"] == 0).all()


def test_the_dead_stay_in_the_mean(two):
    """B dies on day 50: from then on each episode of the one who is left counts for half."""
    early = two.tables["patients"].assign(death_date=[pd.NaT, pd.Timestamp("2020-02-20")])
    done = prepare(toolkit.Registry.of({**two.tables, "patients": early}, two.study))
    counts = recurrence.counts_of(done).frame.set_index(["outcome", "time"])
    assert counts.loc[("any", 365), "estimate"] == 0.5 + 0.5


def test_the_curve_is_the_count_on_every_day_with_an_episode(two):
    curve = recurrence.count_curves(two).frame
    adjacent = curve[curve["outcome"] == "adjacent"]
    assert adjacent[["time", "estimate"]].values.tolist() == [[100, 0.5], [200, 1.0]]
    assert adjacent[["n_events_total", "n_clusters_total"]].values.tolist() == [[2, 1], [2, 1]]
    assert set(curve["outcome"]) == {"adjacent", "any"}, "no curve without an episode"


def test_without_an_episode_there_is_no_curve_and_every_count_is_zero(two):
    none = without_fractures(two)
    assert recurrence.count_curves(none).frame.empty
    assert recurrence.counts_of(none).frame["estimate"].tolist() == [0.0] * 12


def test_who_is_followed_is_followed_whatever_happened_before(two):
    found = recurrence.numbers_followed(two).set_index("time")["n_risk"]
    assert found.loc[[0, 183, 274, 365]].tolist() == [2, 2, 2, 0]


def test_days_lost_of_two_patients_add_up_to_the_year(two):
    found = recurrence.time_lost(two).frame.set_index("outcome")
    assert found.loc["event_free", "estimate"] == (100 + 300) / 2
    assert found.loc["adjacent", "estimate"] == 265 / 2
    assert found.loc["death", "estimate"] == 65 / 2
    assert found["estimate"].sum() == 365


def test_nobody_at_risk_is_told_in_a_sentence(two):
    nobody = toolkit.Registry.of({**two.tables, "augmentations": two.tables["augmentations"].iloc[:0]}, two.study)
    with pytest.raises(EstimationError, match="nothing to estimate"):
        recurrence.mean_counts(nobody)


@pytest.fixture(scope="module")
def hazards(cohort):
    return recurrence.recurrent_hazards(cohort)


def test_every_clock_has_one_model_of_each_exposure_with_its_own_adjustment_set(cohort, hazards):
    frame = hazards.frame
    assert frame.groupby("clock", sort=False)["exposure"].apply(list).tolist() == [
        [exposure.name for exposure in risk.EXPOSURES]
    ] * len(recurrence.CLOCKS)
    for row in frame.itertuples():
        assert row.adjusted_for == ", ".join(cohort.study.models.adjustment[row.exposure])


def test_every_clock_says_what_its_ratio_compares(hazards):
    assert set(hazards.settings["reads"]) == set(recurrence.CLOCKS)
    assert len(set(hazards.settings["reads"].values())) == len(recurrence.CLOCKS)
    assert "death" in hazards.settings["death"]


def test_an_exposure_without_an_adjustment_set_is_crude(cohort):
    study = cohort.study.with_("models", adjustment={"t_score": ("age",)})
    found = recurrence.recurrent_hazards(prepare(toolkit.Registry.of(cohort.tables, study))).frame
    assert found.groupby("exposure")["adjusted_for"].first().to_dict() == {
        exposure.name: "age" if exposure.name == "t_score" else "" for exposure in risk.EXPOSURES
    }


def test_the_clock_of_any_episode_is_cox_on_all_rows(cohort, hazards):
    """Andersen and Gill's model needs no estimator of its own."""
    process = atrisk.recurrent_rows(*cohort.stages, endpoint="composite")
    baseline = risk.coded(atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study))
    rows = process.frame.merge(baseline, on="patient_id", how="left")
    terms = ["t_score", *cohort.study.models.adjustment["t_score"]]
    fitted = estimate.cox(rows, covariates=terms, event="cause", of=1, **recurrence.ROWS).frame.iloc[0]
    ours = hazards.frame.set_index(["clock", "exposure"]).loc[("andersen_gill", "t_score")]
    for name in ("estimate", "conf_low", "conf_high", "n_events", "n_patients"):
        assert ours[name] == pytest.approx(fitted[name], rel=1e-12), name


def test_a_model_that_cannot_be_fitted_says_why(cohort, monkeypatch):
    def refuses(*_, **__):
        raise EstimationError("No.")

    monkeypatch.setattr(estimate, "recurrent", refuses)
    frame = recurrence.recurrent_hazards(cohort).frame
    assert (frame["note"] == "No.").all()
    assert len(frame) == len(recurrence.CLOCKS) * len(risk.EXPOSURES)


def test_counts_and_hazards_rest_on_the_same_episodes(cohort, hazards):
    rows = atrisk.recurrent_rows(*cohort.stages, endpoint="composite").frame
    baseline = risk.coded(atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study))
    known = baseline.loc[baseline[["corticosteroids", "age", "female"]].notna().all(axis=1), "patient_id"]
    ours = hazards.frame.set_index(["clock", "exposure"])["n_events"]
    episodes = (rows["cause"] == 1) & rows["patient_id"].isin(known)
    for clock in ("andersen_gill", "pwp_total", "pwp_gap"):
        assert ours[clock, "corticosteroids"] == episodes.sum(), clock
    late = episodes & (rows["order"] >= recurrence.MAX_ORDER)
    assert ours["marginal", "corticosteroids"] == (episodes & ~late).sum(), "later episodes are left out"


def test_counts_are_no_fewer_than_who_had_one(cohort):
    found = recurrence.counts_of(cohort).frame
    assert (found["n_events"] >= found["n_clusters_with_event"]).all()
    by_time = found.pivot_table(index="time", columns="outcome", values="estimate")
    assert (np.diff(by_time.to_numpy(), axis=0) >= 0).all()
