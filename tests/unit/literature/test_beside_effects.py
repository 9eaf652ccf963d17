"""A published ratio beside the registry's own: what is set beside what, what differs, and when the two are divided."""

import math

import numpy as np
import pandas as pd
import pytest

from cohort.domain.study import StudyDefinition
from cohort.literature import effects
from cohort.literature.beside_effects import (
    COLUMNS,
    COMPARES,
    EXPOSURES,
    KEYS,
    STEP_WORDS,
    STEPS,
    UNLIKE,
    VOCABULARIES,
    beside_effects,
    effect_definitions,
    published_effects,
)
from cohort.pipeline.risk import COVARIATE_SCALE
from cohort.tables.compared import NO_ESTIMATE
from cohort.tables.results import Estimates

STUDY = StudyDefinition()
NONE = Estimates(pd.DataFrame())
CLEFT, LEAK, LOW_BMD = "preoperative intravertebral cleft", "bone cement leakage", "low lumbar BMD"


def own(*rows, **more):
    """Ratios of a registry: exposure, relation, model, estimate, low, high."""
    names = ["exposure", "outcome", "model", "estimate", "conf_low", "conf_high"]
    frame = pd.DataFrame(rows, columns=names).assign(adjusted_for="", n_events=40.0, n_patients=900.0, note="")
    return Estimates(frame.assign(**more))


def found(exposure, published=None, outcome=None, *, cox=NONE, logistic=NONE, study=STUDY, **frames):
    """The row of one published exposure."""
    table = beside_effects(cox, logistic, study, published=published, **frames)
    rows = table[(table["exposure"] == exposure) & (table["outcome"] == (outcome or table["outcome"]))]
    return rows.iloc[0]


def changed(exposure, **values):
    """The published effects with other values of one exposure."""
    frame = published_effects()
    for name, value in values.items():
        frame[name] = frame[name].mask(frame["exposure"] == exposure, value)
    return frame


def test_every_published_effect_has_a_definition_in_its_order():
    published, defined = effects(), effect_definitions()
    assert defined[list(KEYS)].to_numpy().tolist() == published[list(KEYS)].to_numpy().tolist()
    assert not defined.duplicated(list(KEYS)).any()


@pytest.mark.parametrize("column", list(VOCABULARIES))
def test_definitions_use_closed_words(column):
    assert set(effect_definitions()[column]) <= set(VOCABULARIES[column])


def test_every_word_for_what_stays_unlike_has_a_sentence_and_is_used():
    used = {code for text in effect_definitions()["unlike"] for code in text.split("; ") if code}
    assert used == set(UNLIKE)
    assert set(EXPOSURES) == set(VOCABULARIES["registry_exposure"]) - {""}


def test_an_effect_has_a_counterpart_or_a_reason_and_never_both():
    defined = effect_definitions()
    has = defined["registry_exposure"] != ""
    assert (has == (defined["no_counterpart"] == "")).all()
    assert defined.loc[has, ["relation", "direction", "contrast"]].ne("").all(axis=None)
    assert defined.loc[~has, ["direction", "contrast", "unlike"]].eq("").all(axis=None)
    assert defined.loc[~has, "per"].isna().all()


def test_a_ratio_is_per_unit_only_where_its_words_say_per():
    defined = effect_definitions()
    per_unit = defined["contrast"] == "per_unit"
    assert (per_unit == defined["per"].notna()).all()
    assert defined.loc[per_unit, "exposure"].str.contains(r"\(per ").all()
    assert set(defined.loc[per_unit, "registry_exposure"]) <= set(STEPS)
    # "age (years)" says in what age is counted, not between which ages the ratio is.
    assert defined.set_index("exposure").loc["age (years)", "contrast"].iloc[0] == "unstated"


def test_the_steps_are_those_of_the_models():
    assert {name: pytest.approx(1 / scale) for name, scale in COVARIATE_SCALE.items()}.items() <= STEPS.items()
    assert set(STEPS) == set(STEP_WORDS)


def test_nothing_is_invented():
    table, printed = beside_effects(NONE, NONE, STUDY), effects()
    assert list(table.columns) == list(COLUMNS)
    for ours, theirs in (("published", "estimate"), ("published_low", "ci_low"), ("published_high", "ci_high")):
        np.testing.assert_array_equal(table[ours], printed[theirs])
    np.testing.assert_array_equal(table["year"], printed["year"])
    assert table[["source", "confidence", "citation"]].ne("").all(axis=None)
    assert table[["estimate", "ratio", "n_events"]].isna().all(axis=None)
    assert set(table["compares"]) == {"no"}
    assert table["differs"].str.endswith(".").all()
    assert table["published_low"].isna().sum() == printed["ci_low"].isna().sum() > 0


def test_a_ratio_of_ratios_worked_by_hand():
    """2.97 (1.93-4.57) and 2 (1-4): SE of logs 0.2199 and 0.3537, together 0.4164; 0.6734 times exp(-+0.8162)."""
    row = found(CLEFT, logistic=own(("cleft", "same", "crude", 2.0, 1.0, 4.0)))
    assert row[["ratio", "ratio_low", "ratio_high"]].tolist() == pytest.approx([0.6734, 0.2977, 1.5233], abs=2e-4)
    assert row["compares"] == "in part"
    assert row["note"] == ""
    assert row["differs"].startswith("Pooled over studies with different follow-up and definitions. The length of")


def test_intervals_of_another_level_are_brought_to_one():
    """The registry's 90 % interval has the same standard error as its 95 % one; the ratio has one at 90 %."""
    z90, error = 1.6448536269514722, math.log(4) / (2 * 1.959963984540054)
    at_90 = ("cleft", "same", "crude", 2.0, 2 * math.exp(-z90 * error), 2 * math.exp(z90 * error))
    study = StudyDefinition.model_validate({"models": {"confidence": 0.90}})
    row = found(CLEFT, logistic=own(at_90), study=study)
    reach = z90 * math.hypot(error, math.log(4.57 / 1.93) / (2 * 1.959963984540054))
    assert row["ratio_high"] == pytest.approx(row["ratio"] * math.exp(reach))


def test_the_same_ratio_without_anything_unlike_compares():
    plain = changed(CLEFT, meta_analysis=False, window_days="365", unlike="")
    row = found(CLEFT, plain, logistic=own(("cleft", "same", "crude", 2.0, 1.0, 4.0)))
    assert (row["compares"], row["differs"]) == ("yes", "")


def test_an_odds_ratio_is_never_divided_by_a_hazard_ratio():
    row = found(CLEFT, cox=own(("cleft", "same", "crude", 2.0, 1.0, 4.0)))
    assert row["registry_measure"] == "HR"
    assert row["compares"] == "in part"
    assert "The published one is an odds ratio, the registry's a hazard ratio." in row["differs"]
    assert math.isnan(row["ratio"])


def test_no_ratio_of_ratios_crosses_measures_refractures_adjustments_or_contrasts():
    rows = [
        (exposure, relation, model, 1.5, 1.0, 2.25)
        for exposure in ("cleft", "leak", "t_score", "age", "female", "corticosteroids", "anti_osteoporotic")
        for relation in ("same", "adjacent", "remote")
        for model in ("crude", "adjusted")
    ]
    table = beside_effects(own(*rows), own(*rows), STUDY)
    divided = table[table["ratio"].notna()]
    assert len(divided) > 0
    assert (divided["measure"] == divided["registry_measure"]).all()
    assert (divided["relation"] == divided["registry_relation"]).all()
    assert (
        divided["registry_model"] == divided["adjustment"].where(divided["adjustment"] == "crude", "adjusted")
    ).all()
    assert set(divided["contrast"]) <= {"yes_no", "per_unit"}
    assert set(divided["direction"]) <= {"as is", "inverted"}
    assert set(table["compares"]) <= set(COMPARES)


def test_the_odds_ratio_is_taken_for_one_and_the_hazard_ratio_for_the_other():
    ratios = own(("cleft", "same", "crude", 2.0, 1.0, 4.0))
    assert found(CLEFT, cox=ratios, logistic=ratios)["registry_measure"] == "OR"
    hazard = changed(CLEFT, measure="HR")
    assert found(CLEFT, hazard, cox=ratios, logistic=ratios)["registry_measure"] == "HR"


def test_crude_stands_with_crude_and_it_is_said_when_only_the_other_exists():
    both = own(("cleft", "same", "adjusted", 1.5, 1.0, 2.0), ("cleft", "same", "crude", 2.0, 1.0, 4.0))
    assert found(CLEFT, logistic=both)["registry_model"] == "crude"
    assert found(CLEFT, changed(CLEFT, adjustment="adjusted"), logistic=both)["registry_model"] == "adjusted"
    row = found(CLEFT, logistic=own(("cleft", "same", "adjusted", 1.5, 1.0, 2.0)))
    assert "The published one is crude; the registry has only the adjusted one." in row["differs"]
    assert math.isnan(row["ratio"])


def test_risk_ratios_of_the_factors_stand_beside_those_of_trials():
    effect = own(("anti_osteoporotic", "same", "adjusted", 0.5, 0.3, 0.8)).frame
    effect = effect.assign(measure="risk_ratio", unit="treated vertebra", contrast_from=np.nan, contrast_to=np.nan)
    of_level = "recompression of treated vertebra (same level)"
    row = found("annual zoledronate vs placebo", outcome=of_level, effects=Estimates(effect))
    assert (row["registry_measure"], row["registry_unit"]) == ("RR", "treated vertebra")
    assert row["ratio"] == pytest.approx(0.5 / 0.35)
    assert "Drawn by lot there; here not, and adjusted." in row["differs"]
    assert "Within 1096 days; here 365 days." in row["differs"]
    assert "One drug; here any anti-osteoporotic drug." in row["differs"]


def test_a_hazard_ratio_of_the_factors_serves_where_the_report_asks_for_none():
    effect = own(("volume_ml", "any", "adjusted", 0.95, 0.9, 1.0)).frame.assign(measure="hazard_ratio", unit="x")
    row = found("total cement volume (per mL)", effects=Estimates(effect))
    assert row[["registry_measure", "estimate"]].tolist() == ["HR", 0.95]
    assert row["ratio"] == pytest.approx(0.95 / 0.91)
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]


def test_any_refracture_is_set_beside_every_episode_before_another_relation():
    episodes = own(("leak", "any", "adjusted", 1.6, 1.2, 2.1), clock="andersen_gill")
    near = own(("leak", "adjacent", "adjusted", 2.0, 1.4, 2.8), ("leak", "remote", "adjusted", 1.1, 0.8, 1.5))
    row = found("cement leakage into disc", logistic=near, recurrent=episodes)
    assert row[["registry_relation", "registry_measure"]].tolist() == ["any", "HR"]
    assert "Every refracture of a patient counts here" in row["differs"]
    row = found("cement leakage into disc", logistic=near)
    assert row[["registry_relation", "registry_measure", "compares"]].tolist() == ["adjacent", "OR", "in part"]
    assert "The registry has no ratio of any refracture; here of adjacent ones." in row["differs"]
    assert math.isnan(row["ratio"])


def test_other_clocks_of_recurrent_refracture_are_not_taken():
    episodes = own(("leak", "any", "adjusted", 1.6, 1.2, 2.1), clock="pwp_gap")
    assert found("cement leakage into disc", recurrent=episodes)["registry_measure"] == ""


def test_same_level_is_never_set_beside_another_level():
    row = found(CLEFT, logistic=own(("cleft", "adjacent", "crude", 2.0, 1.0, 4.0)))
    assert row["compares"] == "no"
    assert math.isnan(row["estimate"])


def test_vertebrae_next_to_a_treated_one_are_those_within_patients():
    rows = own(("x", "y", "crude", 8.0, 7.0, 9.0), ("x", "y", "level", 4.9, 4.2, 5.7))
    within = Estimates(rows.frame.assign(n_informative_events=200, n_informative_patients=150))
    row = found("1 segment from augmented vertebra", within=within)
    assert row[["registry_model", "estimate", "n_events", "n_patients"]].tolist() == ["adjusted", 4.9, 200, 150]
    assert row["ratio"] == pytest.approx(4.9 / 3.99)


def test_a_leak_of_any_kind_is_told_from_one_into_the_disc():
    leak = own(("leak", "adjacent", "adjusted", 2.5, 1.6, 3.9))
    any_kind = found(LEAK, outcome="adjacent fracture after PVA", logistic=leak)
    into_disc = found("cement leakage into disc", logistic=leak)
    assert "A leak of any kind; here one into the disc." in any_kind["differs"]
    assert "A leak of any kind" not in into_disc["differs"]


def test_the_general_population_is_told_from_the_augmented():
    row = found("glucocorticoid high use (DDD>90)", cox=own(("corticosteroids", "any", "adjusted", 2.0, 1.5, 2.7)))
    assert "Of the general population; here of augmented patients." in row["differs"]
    assert row["compares"] == "in part"


def test_without_a_printed_interval_the_ratio_has_none():
    row = found("glucocorticoid high use (DDD>90)", cox=own(("corticosteroids", "any", "adjusted", 2.0, 1.5, 2.7)))
    assert row["ratio"] == pytest.approx(2.0 / 2.43)
    assert math.isnan(row["ratio_low"])
    assert row["note"] == "No interval is printed, so the ratio of the two has none."


@pytest.mark.parametrize(
    ("values", "limits", "words"),
    [
        ({"ci_high": np.nan}, (1.0, 4.0), "No interval is printed"),
        ({"interval": "asymmetric"}, (1.0, 4.0), "not in the middle of its interval"),
        ({}, (1.0, np.inf), "The registry's interval has no end"),
        ({}, (np.nan, 4.0), "The registry's interval has no end"),
        ({}, (0.0, 4.0), "The registry's interval has no end"),
    ],
    ids=["one-sided", "asymmetric", "no upper end", "no lower end", "from nought"],
)
def test_an_interval_with_one_end_or_off_the_middle_gives_the_ratio_none(values, limits, words):
    row = found(CLEFT, changed(CLEFT, **values), logistic=own(("cleft", "same", "crude", 2.0, *limits)))
    assert row["ratio"] == pytest.approx(2.0 / 2.97)
    assert math.isnan(row["ratio_low"])
    assert math.isnan(row["ratio_high"])
    assert words in row["note"]


@pytest.mark.parametrize("estimate", [np.nan, np.inf, 0.0])
def test_a_ratio_that_could_not_be_estimated_compares_with_nothing(estimate):
    row = found(CLEFT, logistic=own(("cleft", "same", "crude", estimate, np.nan, np.nan)))
    assert row["compares"] == "no"
    assert row["differs"].startswith(NO_ESTIMATE)
    assert math.isnan(row["ratio"])


def test_a_registry_without_the_exposure_says_so_and_why_there_is_no_counterpart():
    table = beside_effects(NONE, own(("leak", "same", "crude", 2.0, 1.0, 4.0)), STUDY).set_index("exposure")
    assert table.loc[CLEFT, "differs"] == "The registry's results hold no ratio of its own for a cleft."
    assert table.loc["outdoor activity", "differs"] == "Outdoor activity is no column of the registry."
    assert table.loc["OF classification", "differs"] == "No ratio: how far readers agree."
    assert table.loc["BKP vs VP", "registry_measure"] == ""


def test_low_density_is_turned_round_to_stand_beside_a_higher_t_score():
    row = found(LOW_BMD, logistic=own(("t_score", "adjacent", "crude", 0.7, 0.6, 0.9)))
    assert row["published"] == 8.2
    assert row["taken"] == pytest.approx(1 / 8.2)
    assert "Groups are compared there, here per SD: only the direction compares." in row["differs"]
    assert math.isnan(row["ratio"])


def test_sham_against_vertebroplasty_is_turned_round_with_its_limits():
    turned = changed("sham vs PVP", registry_exposure="cleft", direction="inverted", contrast="yes_no")
    row = found("sham vs PVP", turned, logistic=own(("cleft", "same", "crude", 0.2, 0.1, 0.4)))
    assert row[["taken", "taken_low", "taken_high"]].tolist() == pytest.approx([1 / 9.84, 1 / 23.73, 1 / 4.08])
    assert row["ratio"] == pytest.approx(0.2 * 9.84)
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]


def test_a_ratio_per_unit_is_taken_to_the_registrys_step_as_a_power():
    """1.43 (1.05-1.95) per year would be 1.43 to the tenth per ten years."""
    words = "baseline number of VCFs (per fracture)"
    per_year = changed(words, registry_exposure="age")
    row = found(words, per_year, logistic=own(("age", "any", "adjusted", 40.0, 20.0, 80.0)))
    assert row[["taken", "taken_low", "taken_high"]].tolist() == pytest.approx([1.43**10, 1.05**10, 1.95**10])
    assert row["ratio"] == pytest.approx(40 / 1.43**10)
    inverted = changed(words, registry_exposure="age", direction="inverted")
    row = found(words, inverted, logistic=own(("age", "any", "adjusted", 40.0, 20.0, 80.0)))
    assert row[["taken", "taken_low", "taken_high"]].tolist() == pytest.approx([1.43**-10, 1.95**-10, 1.05**-10])


def test_a_ratio_of_groups_is_left_as_it_is():
    row = found("age (>85 y as dichotomised)", logistic=own(("age", "adjacent", "crude", 1.4, 1.1, 1.8)))
    assert row["taken"] == row["published"] == 4.5
    assert "Groups are compared there, here per 10 years: only the direction compares." in row["differs"]
    assert math.isnan(row["ratio"])


def test_a_sex_whose_code_is_not_told_compares_with_nothing():
    row = found("sex code 1 vs 0", logistic=own(("female", "any", "crude", 1.2, 0.9, 1.6)))
    assert row["compares"] == "no"
    assert row["differs"].startswith("Which of the two is compared with the other is not stated.")
    assert math.isnan(row["taken"])
    assert math.isnan(row["ratio"])


def test_the_window_is_told_unless_it_is_the_horizon():
    disc = "intervertebral (disc) cement leakage"
    leak = own(("leak", "any", "adjusted", 2.0, 1.0, 4.0))
    assert "Within 730 days; here 365 days." in found(disc, logistic=leak)["differs"]
    two_years = StudyDefinition.model_validate({"models": {"horizon_days": 700}})
    assert "days; here" not in found(disc, logistic=leak, study=two_years)["differs"]


def test_the_comparison_stays_in_the_order_of_the_effects():
    table = beside_effects(NONE, NONE, STUDY)
    assert table[list(KEYS)].to_numpy().tolist() == effects()[list(KEYS)].to_numpy().tolist()
