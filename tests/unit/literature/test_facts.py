"""A published figure has one definition, in closed words, and what a study cannot express of it is said."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cohort
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.literature import beside, definition_of, facts, figure_definitions, figures
from cohort.literature.facts import ARM_KEYS, NOT_AUGMENTED, VOCABULARIES, FigureDefinition
from cohort.literature.tables import as_printed, data_file

KEY = ["study_key", "quantity"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return facts()


def test_every_figure_has_exactly_one_definition():
    published, defined = figures(), figure_definitions()
    assert not published.duplicated(KEY).any()
    assert not defined.duplicated(KEY).any()
    assert sorted(map(tuple, published[KEY].to_numpy())) == sorted(map(tuple, defined[KEY].to_numpy()))
    assert len(defined) == 196


@pytest.mark.parametrize("column", VOCABULARIES)
def test_vocabularies_are_closed_and_every_word_is_used(column):
    assert set(figure_definitions()[column]) == set(VOCABULARIES[column])


def test_every_word_is_explained_beside_the_data():
    text = data_file("figures").parent.joinpath("README.md").read_text(encoding="utf-8")
    words = {word for vocabulary in VOCABULARIES.values() for word in vocabulary if word} - {"yes", "no"}
    assert {word for word in (*words, *VOCABULARIES, *ARM_KEYS, *NOT_AUGMENTED) if f"`{word}`" not in text} == set()


def test_an_arm_is_made_of_known_words():
    for arm in set(figure_definitions()["arm"]):
        for part in filter(None, arm.split("; ")):
            key, equals, value = part.partition("=")
            assert part in NOT_AUGMENTED or (key in ARM_KEYS and equals and value), arm


def test_the_relation_is_the_level_that_was_gathered(table):
    level = {"any (re-augmentation)": "any", "adjacent+remote": "any", "-": "none"}
    assert (table["event_level"].replace(level) == table["relation"]).all()
    together = table["event_level"] == "adjacent+remote"
    assert (table.loc[together, "counts"] == "untreated").all()


def test_only_a_fracture_of_any_level_says_which_vertebrae_count(table):
    assert ((table["relation"] == "any") == (table["counts"] != "")).all()


def test_only_what_refractures_has_a_tier(table):
    assert ((table["relation"] == "none") == (table["tier"] == "")).all()


def test_a_window_has_days_unless_the_days_are_a_time(table):
    times = table["kind"].isin(["mean_time", "time_range"])
    assert times.sum() == 8
    assert (table.loc[times, "window_days"].notna() & (table.loc[times, "window_kind"] == "none")).all()
    assert (table.loc[~times, "window_days"].isna() == (table.loc[~times, "window_kind"] == "none")).all()


def test_a_denominator_that_is_not_printed_is_not_there(table):
    no_denominator = table["denominator_rule"].isin(["not_printed", "none"])
    assert table.loc[no_denominator, "denominator"].isna().all()
    # Whose share it is can be told without how many they were.
    known_rule = table[~no_denominator & table["denominator"].isna()]
    assert set(known_rule["study_key"]) == {"dir2024", "kimsh2004", "jpn_mdv2022"}
    assert table.loc[table["kind"] == "count", "percent"].isna().all()
    assert table.loc[table["counting"] == "time", "numerator"].isna().all()


def test_a_printed_per_cent_stands_in_the_row_or_in_a_note_of_its_study(table):
    raw = as_printed("figures").set_index(KEY)
    for row in table[table["printed"] != ""].itertuples():
        if row.percent_basis == "printed":
            assert row.printed == raw.loc[(row.study_key, row.quantity), "percent"]
        else:
            notes = " ".join(table.loc[table["study_key"] == row.study_key, "note"])
            assert re.search(rf"(?<![\d.]){re.escape(row.printed)}\s?%", notes), row.quantity


def test_every_fact_says_where_it_was_read_and_how_surely(table):
    assert list(table.columns[-2:]) == ["source", "confidence"]
    assert (table[["source", "confidence"]] != "").all(axis=None)
    assert table["source"].notna().all()
    assert not (table["source"] == "same page").any()


def test_blanks_of_the_figures_stay_blank_in_the_facts(table):
    with data_file("figures").open("r", encoding="utf-8", newline="") as file:
        raw = list(csv.DictReader(file))
    for column in ("numerator", "denominator", "percent", "ci_low", "ci_high", "window_days", "doi", "note"):
        missing = table[column].isna() | (table[column].astype(str) == "")
        assert missing.tolist() == [row[column] == "" for row in raw], column


def test_every_figure_shown_beside_a_registry_says_where_it_comes_from(incidence, rates, proportions):
    alike = cohort.like_for_like(cohort.read(Path(__file__).parents[3] / "data" / "cases"))
    of_studies = alike.figures.frame[["citation", "source", "confidence"]]
    of_the_review = beside(incidence, rates, proportions, StudyDefinition())[["citation", "confidence"]]
    assert len(of_studies) > 70
    for shown in (of_studies, of_the_review, alike.steps[["source", "confidence"]]):
        assert shown.notna().all(axis=None)
        assert (shown != "").all(axis=None)


def test_a_definition_is_frozen_and_unknown_figures_are_refused():
    one = definition_of("lin2008", "refracture of cemented vertebra")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.tier = "clinical"
    with pytest.raises(DefinitionError, match="no published figure 'x'"):
        definition_of("lin2008", "x")


class TestAsAStudy:
    """What a study definition can say of a figure it says; the rest is said in words."""

    def test_tier_window_reach_and_people_become_settings(self):
        one = definition_of("zhangzj_pvp_pkp", "same-level refracture within 1 year, PKP")
        study = one.study(StudyDefinition())
        assert study.judgement.tier == "radiographic"
        assert study.models.windows_days == (365,)
        assert study.models.horizon_days == 365
        assert [(c.column, c.one_of) for c in study.population.criteria] == [("technique", ("kyphoplasty",))]
        adjacent = definition_of("multifidus2022", "symptomatic adjacent OVCF within one year")
        wide = StudyDefinition().with_("relation", reach=3)
        assert adjacent.study(wide).relation.reach == 1
        assert adjacent.study(wide).judgement.tier == "clinical"

    def test_what_is_not_stated_stays_as_the_study_has_it(self):
        base = StudyDefinition().with_("judgement", tier="retreated").with_("models", windows_days=(90,))
        study = definition_of("yoo2012", "new VCF after PVP").study(base)
        assert study.judgement.tier == "retreated"
        assert study.models.windows_days == (90,)

    def test_criteria_are_added_to_those_of_the_study(self):
        one = definition_of("balasub2018", "any subsequent fracture within 1 year of a fracture")
        base = StudyDefinition().with_("population", criteria=({"column": "t_score", "at_most": -2.5},))
        columns = [(c.column, c.at_least) for c in one.study(base).population.criteria]
        assert columns == [("t_score", None), ("sex", None), ("age", 65.0)]

    def test_a_mean_follow_up_is_no_window_of_a_study(self):
        one = definition_of("bmc2020_endplate", "recompression of augmented vertebra")
        assert "models.windows_days" not in one.settings()
        assert "window: a mean or median follow-up of 466 days is no end common to all" in one.not_mapped()

    def test_unit_arm_and_counting_are_said_in_words(self):
        one = definition_of("komemushi2006", "new fractures located adjacent")
        assert any(words.startswith("unit: counted by new fracture") for words in one.not_mapped())
        assert any(words.startswith("counting: every event") for words in one.not_mapped())
        arm = definition_of("sandwich", "adjacent fracture, sandwich constellation").not_mapped()
        assert "arm: sandwiched yes" in arm
        control = definition_of("klazen2010_vertos2", "new VCF incidence, conservative arm").not_mapped()
        assert "arm: not augmented" in control

    def test_every_figure_gives_a_valid_study_and_none_is_mapped_wholly_without_saying_so(self, table):
        base = StudyDefinition()
        names = [one.name for one in dataclasses.fields(FigureDefinition)]
        for row in table[names].to_dict("records"):
            one = FigureDefinition(**row)
            assert isinstance(one.study(base), StudyDefinition)
            assert one.not_mapped(), one.quantity
        like_for_like = definition_of("multifidus2022", "symptomatic adjacent OVCF within one year")
        assert [words.partition(":")[0] for words in like_for_like.not_mapped()] == ["denominator", "basis"]

    def test_an_age_that_is_no_bound_is_refused(self):
        one = definition_of("avf674_2024", "adjacent vertebral fracture after PVP/PKP")
        wrong = dataclasses.replace(one, arm="age=old")
        with pytest.raises(DefinitionError, match="age=65 or more"):
            wrong.settings()


def test_the_definition_holds_the_columns_of_the_file():
    names = [one.name for one in dataclasses.fields(FigureDefinition)]
    assert [name for name in names if name != "window_days"] == list(figure_definitions().columns)
    assert np.isnan(definition_of("yoo2012", "new VCF after PVP").window_days)
