"""Findings that are missing: drawn where they are, left alone where known, and nearer the truth than complete cases.

The large registry is simulated here, so that its truth is known: clefts are commoner in women, who break no more often
for it; and they are looked for in all women who broke, in few of the others. Sex is in no model of the outcome.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cohort import estimate
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.pipeline.factors import effects, missing, of_cohort
from cohort.pipeline.factors.rows import ROWS, Factor, factors_of, rows_of
from cohort.pipeline.risk import Exposure
from cohort.synthetic import DEFAULT, simulate
from cohort.tables.results import Registry

HOW = missing.Filling(draws=5, iterations=5, seed=7, log_odds=1.0, sd=0.5)
CLEFT = Factor(Exposure("cleft", "Cleft"), ("age",), True, None)
RATIO, HORIZON = 2.5, 365


@pytest.fixture(scope="module")
def whole():
    """2,500 patients with one vertebra each, nothing missing; hazards per day h (refracture) and d (death)."""
    rng = np.random.default_rng(11)
    n = 2500
    age = np.round(rng.normal(0.0, 1.0, n), 2)
    female = (rng.random(n) < 0.5).astype(float)
    cleft = (rng.random(n) < np.where(female == 1, 0.6, 0.15)).astype(float)
    hazard, death = 0.0003 * RATIO**cleft * np.exp(0.3 * age), 0.0003 * np.exp(0.5 * age)
    ends = np.ceil(
        np.column_stack([rng.exponential(1 / hazard), rng.exponential(1 / death), rng.uniform(200, 1200, n)])
    )
    exit_ = ends.min(axis=1).astype(int)
    cause = np.array([1, 2, 0])[ends.argmin(axis=1)]
    return pd.DataFrame(
        {
            "id": np.arange(n), "cluster": np.arange(n), "entry": 0, "exit": exit_, "cause": cause, "cleft": cleft,
            "age": age, "female": female, "h": hazard / RATIO**cleft, "d": death,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def recorded(whole):
    """A cleft was looked for in nine of ten women who broke, in three of ten men who did, in half of everyone else."""
    rng = np.random.default_rng(12)
    broke, female = whole["cause"] == 1, whole["female"] == 1
    looked = np.select([broke & female, broke], [0.9, 0.3], default=0.5)
    return whole.assign(cleft=whole["cleft"].where(rng.random(len(whole)) < looked))


def filled_of(units: pd.DataFrame, factors: list[Factor], how: missing.Filling = HOW) -> missing.Filled:
    return missing.Filled.of(units.drop(columns=["h", "d"], errors="ignore"), factors, how)


def imputed(units: pd.DataFrame, factor: Factor = CLEFT, how: missing.Filling = HOW, **options: str) -> pd.DataFrame:
    units = units.drop(columns=["h", "d"], errors="ignore")
    filled = missing.Filled.of(units, [factor], how)
    return missing.imputed_rows(units, [factor], filled, horizon=HORIZON, **options)


@pytest.fixture(scope="module")
def answers(recorded):
    return imputed(recorded).set_index(["measure", "analysis"])


def true_difference(whole: pd.DataFrame) -> float:
    """The mean over the patients of the risk with a cleft less that without: h (1 - exp(-(h + d) t)) / (h + d)."""
    risks = []
    for ratio in (1.0, RATIO):
        h, d = ratio * whole["h"], whole["d"]
        risks.append(float((h / (h + d) * (1 - np.exp(-(h + d) * HORIZON))).mean()))
    return risks[1] - risks[0]


def test_imputed_estimates_are_nearer_the_truth_than_complete_cases(answers, whole):
    for measure, truth in (("hazard_ratio", RATIO), ("risk_difference", true_difference(whole))):
        left, drawn = (answers.loc[(measure, name)] for name in (missing.COMPLETE, missing.IMPUTED))
        assert abs(drawn["estimate"] - truth) < abs(left["estimate"] - truth) / 2, measure
        assert drawn["conf_low"] < truth < drawn["conf_high"], measure
        assert not left["conf_low"] < truth < left["conf_high"], f"{measure}: what is left of the data misleads"


def test_imputed_data_know_less_than_whole_data_and_use_more_patients(answers, whole):
    drawn = answers.loc[("hazard_ratio", missing.IMPUTED)]
    of_all = effects.cox(whole, CLEFT.terms).frame.iloc[0]
    assert drawn["std_error"] > of_all["std_error"]
    assert 0 < drawn["fmi"] < 1
    assert drawn["n_units"] == len(whole) > answers.loc[("hazard_ratio", missing.COMPLETE), "n_units"]


def test_the_complete_cases_are_those_of_the_model_alone(answers, recorded):
    theirs = estimate.cox(recorded.dropna(subset=["cleft"]), CLEFT.terms, event="cause", of=1, **ROWS).frame.iloc[0]
    ours = answers.loc[("hazard_ratio", missing.COMPLETE)]
    assert ours[["estimate", "conf_low", "n_units"]].tolist() == theirs[["estimate", "conf_low", "n_units"]].tolist()


def test_shifts_say_what_if_those_not_looked_at_had_more_clefts_or_fewer(answers, recorded):
    assert answers.loc["hazard_ratio"].index.tolist() == [
        missing.COMPLETE, missing.IMPUTED, "shift -1", "shift +1"
    ]  # fmt: skip
    assert answers.loc["hazard_ratio", "n_fits"].tolist() == [1, 5, 2, 2]
    shares = []
    for shift in (-1.0, 1.0):
        filled = missing.Filled.of(recorded.drop(columns=["h", "d"]), [CLEFT], HOW, {"cleft": shift})
        shares.append(np.mean([frame["cleft"].mean() for frame in filled.frames]))
    middle = np.mean([frame["cleft"].mean() for frame in filled_of(recorded, [CLEFT]).frames])
    assert shares[0] < middle - 0.02
    assert shares[1] > middle + 0.02


def test_with_nothing_missing_nothing_is_imputed(whole):
    frame = imputed(whole)
    assert set(frame["analysis"]) == {missing.COMPLETE}
    assert frame["measure"].tolist() == ["hazard_ratio", "risk_difference", "risk_ratio"]


def test_a_missing_covariate_is_imputed_and_the_whole_exposure_is_not_shifted(whole):
    frame = imputed(whole.assign(age=whole["age"].where(whole.index % 5 > 0)))
    assert frame["analysis"].drop_duplicates().tolist() == [missing.COMPLETE, missing.IMPUTED]


def test_a_study_that_asks_for_no_shift_has_none(recorded):
    frame = imputed(recorded, how=replace(HOW, draws=2, log_odds=0.0))
    assert frame["analysis"].drop_duplicates().tolist() == [missing.COMPLETE, missing.IMPUTED]


def test_draws_are_the_same_every_time(recorded):
    first, again, more, other = (
        filled_of(recorded, [CLEFT], how).frames for how in (HOW, HOW, replace(HOW, draws=6), replace(HOW, seed=8))
    )
    for k in range(HOW.draws):
        pd.testing.assert_frame_equal(first[k], again[k])
        pd.testing.assert_frame_equal(first[k], more[k])
    assert not first[0]["cleft"].equals(other[0]["cleft"])
    assert not first[0]["cleft"].equals(first[1]["cleft"])


def test_what_is_known_is_not_touched_and_what_is_drawn_is_yes_or_no(recorded):
    known = recorded["cleft"].notna()
    for frame in filled_of(recorded, [CLEFT]).frames:
        assert frame["cleft"].isin([0.0, 1.0]).all()
        assert frame.loc[known, "cleft"].equals(recorded.loc[known, "cleft"])
        drawn = frame.loc[~known]
        assert drawn.loc[drawn["female"] == 1, "cleft"].mean() > drawn.loc[drawn["female"] == 0, "cleft"].mean() + 0.2


def test_few_events_are_no_ground_for_a_model_of_what_is_missing(recorded):
    kept = recorded["cause"].where((recorded["cause"] != 1) | (recorded["cause"].eq(1).cumsum() <= 4), 0)
    frame = imputed(recorded.assign(cause=kept))
    assert frame["note"].tolist() == ["nothing is imputed for 4 events"]
    assert frame["measure"].tolist() == ["hazard_ratio"]


def test_what_is_the_same_for_all_who_are_known_is_not_drawn(recorded):
    frame = imputed(recorded.assign(cleft=recorded["cleft"].where(recorded["cleft"] == 1)))
    assert frame["note"].tolist() == ["not imputed: cleft does not vary where it is known"]


def test_firths_ratios_are_pooled_where_the_study_asks_for_them(recorded):
    frame = imputed(recorded, how=replace(HOW, draws=2, log_odds=0.0), penalized="always")
    ratios = frame[frame["measure"] == "hazard_ratio"].set_index("analysis")
    assert set(ratios["method"]) == {"Firth"}
    complete = effects.firth_cox(recorded.dropna(subset=["cleft"]), CLEFT.terms).frame.iloc[0]
    assert ratios.loc[missing.COMPLETE, "estimate"] == complete["estimate"]
    assert ratios.loc[missing.IMPUTED, "n_fits"] == 2


def test_with_every_known_event_exposed_firths_ratio_is_pooled():
    """200 patients, 13 events, all with a cleft; of the rest one in four has one, one in three was not looked at."""
    n = 200
    number = np.arange(n)
    units = pd.DataFrame({"id": number, "cluster": number, "entry": 0, "exit": 400 + number, "age": number % 7})
    units["cause"] = (number % 16 == 0).astype(int)
    units["cleft"] = np.where(units["cause"] == 1, 1.0, (number % 4 == 1).astype(float))
    units.loc[(units["cause"] == 0) & (number % 3 == 0), "cleft"] = np.nan
    units["exit"] = units["exit"].where(units["cause"] == 0, 20 + number)
    ratios = imputed(units).query("measure == 'hazard_ratio'").set_index("analysis")
    assert ratios["method"].unique().tolist() == ["Firth"]
    assert np.isfinite(ratios.loc[[missing.COMPLETE, missing.IMPUTED], ["estimate", "conf_low"]].to_numpy()).all()


@pytest.fixture(scope="module")
def registry():
    """200 patients; one cleft of four was not looked for, and one T-score of five."""
    tables = simulate(200, 5, parameters=replace(DEFAULT, role_treated=3.0))
    rng = np.random.default_rng(1)
    augmentations, patients = tables["augmentations"].copy(), tables["patients"].copy()
    augmentations.loc[rng.random(len(augmentations)) < 0.25, "cleft_before"] = None
    patients.loc[rng.random(len(patients)) < 0.2, "t_score"] = np.nan
    study = StudyDefinition().with_("models", imputations=5).with_("bias", draws=0)
    return Registry.of({**tables, "augmentations": augmentations, "patients": patients}, study)


def test_one_call_gives_the_same_imputed_answers_every_time(registry):
    first, again = (of_cohort(prepare(registry), "same", ["cleft"]).imputed.frame for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first["analysis"].drop_duplicates().tolist() == [
        missing.COMPLETE, missing.IMPUTED, "shift -1", "shift +1"
    ]  # fmt: skip
    assert first["estimate"].notna().all()


def test_what_is_the_patients_is_drawn_once_for_all_vertebrae(registry):
    cohort = prepare(registry)
    rows = rows_of(cohort, "same")
    filled = missing.Filled.of(rows.units, factors_of(cohort, rows, ["cleft"]), HOW)
    lacking = rows.units.loc[rows.units["t_score"].isna(), "cluster"].value_counts()
    several = lacking.index[lacking > 1]
    assert len(several) > 5
    for frame in filled.frames:
        values = frame[frame["cluster"].isin(several)].groupby("cluster")[["t_score", "cleft"]].nunique()
        assert values["t_score"].eq(1).all()
        assert values["cleft"].gt(1).any(), "a cleft is the vertebra's"
