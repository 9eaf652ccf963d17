"""A figure of the review stands beside the registry's own with the reasons why the two compare, or do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort import literature
from cohort.domain.study import StudyDefinition
from cohort.literature.beside import COLUMNS
from cohort.tables.results import Estimates


@pytest.fixture
def compare(incidence, rates, proportions):
    def run(study: StudyDefinition | None = None, **changed: Estimates) -> pd.DataFrame:
        own = {"incidence": incidence, "rates": rates, "proportions": proportions, **changed}
        return literature.beside(study=study or StudyDefinition(), **own)

    return run


def row(frame: pd.DataFrame, text: str, study_key: str | None = None) -> pd.Series:
    found = frame[frame["quantity"].str.contains(text, regex=False)]
    if study_key is not None:
        found = found[found["study_key"] == study_key]
    assert len(found) == 1, text
    return found.iloc[0]


def test_the_columns_are_those_of_the_report(compare):
    frame = compare()
    assert tuple(frame.columns) == COLUMNS
    assert frame["comparable"].isin(["yes", "partly", "no"]).all()
    assert (frame["why"] != "").all()
    assert (frame["confidence"] != "").all()


def test_every_headline_stands_there_in_the_order_of_the_review_and_nothing_else(compare):
    frame, headlines = compare(), literature.headlines()
    assert frame["statement"].tolist() == headlines["statement"].tolist()
    assert frame["quantity"].str.extract(r"\((S\d\d), ")[0].tolist() == headlines["statement"].tolist()


def test_twelve_per_cent_of_patients_is_no_figure_of_patients(compare):
    stated = row(compare(), "(S07, as stated)")
    assert stated["comparable"] == "no"
    assert "misquoted: the source's percentage is of each adjacent vertebra" in stated["why"]


def test_a_share_of_vertebrae_stands_beside_a_rate_of_vertebrae_and_is_not_the_same_thing(compare):
    found = row(compare(), "adjacent vertebrae that fractured")
    assert (found["numerator"], found["denominator"], found["comparable"]) == (14, 116, "no")
    assert found["registry_estimate"] == pytest.approx(100 * (1 - np.exp(-0.060 * 365 / 365.25)))
    assert "vertebra without its time at risk" in found["why"]


def test_a_treated_vertebra_stands_beside_the_rate_of_treated_vertebrae(compare):
    found = row(compare(), "treated vertebrae that collapsed further")
    assert found["registry_estimate"] == pytest.approx(100 * (1 - np.exp(-0.012 * 365 / 365.25)))


def test_the_definition_decides_whether_same_level_figures_compare(compare):
    # A second augmentation is one step beyond a clinical refracture: the same quantity, seen later.
    assert row(compare(), "large series (S19, as stated)")["comparable"] == "partly"
    retreated = compare(StudyDefinition().with_("judgement", tier="retreated"))
    assert row(retreated, "large series (S19, as stated)")["comparable"] == "yes"
    radiographic = row(
        compare(StudyDefinition().with_("judgement", tier="radiographic")), "large series (S19, as stated)"
    )
    assert radiographic["comparable"] == "no"
    assert "a change on film, with or without pain" in radiographic["why"]


def test_another_window_than_the_review_s_is_said(compare):
    other = row(compare(StudyDefinition().with_("models", windows_days=(365,))), "large series (S19, as stated)")
    assert "The window is 730 days, the registry's 365 days." in other["why"]


def test_a_wider_reach_is_said(compare):
    found = row(compare(StudyDefinition().with_("relation", reach=2)), "(S07, as stated)")
    assert "up to 2 levels away" in found["why"]


def test_a_range_without_numbers_never_compares(compare):
    frame = compare()
    for statement in ("S02", "S17", "S18", "S35"):
        stated = frame[frame["quantity"].str.contains(f"({statement}, as stated)", regex=False)]
        assert (stated["comparable"] == "no").all()
        assert stated["why"].str.contains("without numerator and denominator").all()
        assert stated["registry_estimate"].notna().all()


def test_nine_of_ten_with_a_cleft_is_no_risk(compare):
    found = row(compare(), "cleft among same-level refractures, large series (S28, as stated)")
    assert (found["comparable"], found["registry_outcome"]) == ("no", "")
    assert np.isnan(found["registry_estimate"])
    assert found["wilson_low"] == pytest.approx(59.58, abs=0.005)


def test_settling_is_not_set_beside_refracture(compare):
    settling = compare()["event_level"] == "same (asymptomatic)"
    assert settling.sum() == 4
    assert (compare().loc[settling, "registry_outcome"] == "").all()


def test_any_level_is_read_from_the_composite_and_each_relation_from_its_own_curve(compare):
    frame = compare()
    assert row(frame, "upper end of the range (S02, as stated)")["registry_estimate"] == pytest.approx(18)
    assert row(frame, "lower end of the range (S17, as stated)")["registry_estimate"] == pytest.approx(1.5)


def test_a_registry_without_estimates_gets_no_numbers_and_no_comparison(compare, incidence, proportions):
    frame = compare(incidence=Estimates(incidence.frame.head(0)), proportions=Estimates(proportions.frame.head(0)))
    patients = frame[frame["unit"] == "patient"]
    assert patients["registry_estimate"].isna().all()
    assert (patients["comparable"] == "no").all()


def test_published_numbers_are_not_changed(compare):
    frame, headlines = compare(), literature.headlines()
    for name in ("percent", "numerator", "denominator", "wilson_low", "wilson_high", "confidence"):
        assert frame[name].equals(headlines[name]), name


def test_a_share_of_cases_stands_beside_the_registrys_own_share_and_says_it_is_no_risk(compare):
    shares = pd.DataFrame(
        {"share": ["cleft"], "n_events": [6], "n": [10], "estimate": [0.6], "conf_low": [0.31], "conf_high": [0.83]}
    )
    found = row(compare(shares=shares), "cleft among same-level refractures, large series (S28, as stated)")
    assert found["registry_estimate"] == pytest.approx(60)
    assert (found["registry_events"], found["registry_n"]) == (6, 10)
    assert found["comparable"] == "partly"
    assert "not a risk" in found["why"]
    without = row(compare(), "cleft among same-level refractures, large series (S28, as stated)")
    assert without["comparable"] == "no"
    assert np.isnan(without["registry_estimate"])
