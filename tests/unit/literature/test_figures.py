"""The published figures hold together: their arithmetic, their vocabularies, and nothing filled in."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from cohort.literature import tables
from cohort.literature.arithmetic import percent, wilson

ROWS = {"figures": 196, "effects": 88, "review_statements": 43, "codes": 89}

# Printed percentages that do not follow from the printed numbers: the source contradicts itself, and the row says so.
INCONSISTENT_IN_SOURCE = {
    "leak recorded in procedural dictation among CT leaks": (34, 62, 149),
    "leak detected on plain radiography among CT leaks": (50, 77, 149),
}


def test_every_published_row_is_there():
    for name, rows in ROWS.items():
        assert len(getattr(tables, name)()) == rows, name


def test_a_percentage_that_was_computed_is_reproduced_by_its_numerator_and_denominator():
    figures = tables.figures().query("percent_basis == 'computed'")
    again = percent(figures["numerator"], figures["denominator"])
    # Two decimals are kept; 1 of 32 is 3.125, which either rounding of a tie may give.
    assert np.abs(again - figures["percent"]).max() <= 0.005 + 1e-9


def test_a_percentage_that_was_printed_agrees_with_its_numbers_unless_the_row_says_otherwise():
    figures = tables.figures().query("percent_basis == 'printed' and numerator.notna() and denominator.notna()")
    off = np.abs(percent(figures["numerator"], figures["denominator"]) - figures["percent"]) > 0.5
    differs = figures[off].set_index("quantity")[["percent", "numerator", "denominator"]]
    assert {name: tuple(row) for name, row in differs.iterrows()} == INCONSISTENT_IN_SOURCE
    assert figures.loc[off, "note"].str.contains("INCONSISTENT|matches neither").all()


def test_every_wilson_interval_is_reproduced():
    figures = tables.figures().dropna(subset=["wilson_low"])
    assert len(figures) > 100
    low, high = proportion_confint(figures["numerator"], figures["denominator"], method="wilson")
    assert np.abs(100 * low - figures["wilson_low"]).max() <= 0.005 + 1e-9
    assert np.abs(100 * high - figures["wilson_high"]).max() <= 0.005 + 1e-9
    no_numbers = tables.figures()["numerator"].isna() | tables.figures()["denominator"].isna()
    assert tables.figures().loc[no_numbers, "wilson_low"].isna().all()


@pytest.mark.parametrize(("events", "n"), [(10, 1800), (6, 104), (9, 10), (6, 6), (0, 10), (14, 116), (1, 1)])
def test_our_wilson_interval_is_that_of_statsmodels(events, n):
    low, high = wilson(events, n)
    expected = proportion_confint(events, n, method="wilson")
    assert (low, high) == pytest.approx([100 * bound for bound in expected], abs=1e-10)


def test_no_denominator_no_percentage():
    assert np.isnan(percent([3, np.nan, 3], [0, 10, np.nan])).all()
    assert np.isnan(np.concatenate(wilson([3, np.nan, 3], [0, 10, np.nan]))).all()


def test_every_recomputed_percentage_of_the_review_follows_from_its_numbers():
    checked = 0
    for row in tables.review_statements().itertuples():
        text = row.percent_recomputed
        # "12.07 (=14/116 ...", "...; patients 10/26=38.5"
        claims = [(c, a, b) for c, a, b in re.findall(r"([\d.]+) \(=(\d+)/(\d+)", text)]
        claims += [(c, a, b) for a, b, c in re.findall(r"(\d+)/(\d+)=([\d.]+)", text)]
        if not claims and re.fullmatch(r"[\d.]+", text) and not np.isnan(row.numerator):
            claims = [(text, str(row.numerator), str(row.denominator))]
        for claimed, numerator, denominator in claims:
            decimals = len(claimed.partition(".")[2])
            assert float(claimed) == pytest.approx(
                percent(float(numerator), float(denominator)).item(), abs=0.5 * 10**-decimals + 1e-9
            ), row.id
            checked += 1
    assert checked >= 9


def test_every_headline_statement_of_the_review_is_covered():
    statements = tables.review_statements()
    on_refracture = statements["event_level"].isin(["any", "same", "adjacent", "remote", "same (asymptomatic)"])
    with_a_number = statements["percent_stated"].str.contains(r"\d") | statements["numerator"].notna()
    of_one_case = statements["section"].str.fullmatch(r"Case \d")
    expected = set(statements.loc[on_refracture & with_a_number & ~of_one_case, "id"])
    assert {"S02", "S07", "S08", "S09", "S17", "S18", "S19", "S28", "S31", "S35"} <= expected
    headlines = tables.headlines()
    assert set(headlines["statement"]) == expected
    assert set(headlines.loc[headlines["version"] == "as stated", "statement"]) == expected


def test_a_headline_as_stated_is_what_the_review_printed():
    stated = tables.review_statements().set_index("id")["percent_stated"]
    headlines = tables.headlines().query("version == 'as stated'").dropna(subset=["percent"])
    for row in headlines.itertuples():
        assert f"{row.percent:g}" in re.findall(r"[\d.]+", stated[row.statement]), row.statement


def test_twelve_per_cent_of_patients_is_fourteen_of_116_vertebrae():
    rows = tables.headlines().query("statement == 'S07'").set_index("unit")
    assert rows.loc["patient", "percent"].tolist() == [12, 50]
    assert rows.loc["adjacent vertebra", ["numerator", "denominator"]].tolist() == [14, 116]
    assert rows.loc["adjacent vertebra", "percent"] == pytest.approx(12.07, abs=0.005)


def test_one_to_two_per_cent_is_sixteen_of_1904():
    rows = tables.headlines().query("statement == 'S35' and version == 'recomputed'")
    assert rows["percent"].item() == pytest.approx(0.840, abs=0.0005)


def test_what_the_review_did_not_print_stays_missing():
    row = tables.headlines().query("statement == 'S31' and version == 'as stated'").iloc[0]
    assert (row["numerator"], row["denominator"]) == (6, 104)
    assert np.isnan(row["percent"])


def test_blanks_stay_blank():
    for name in tables.FILES:
        with tables.data_file(name).open("r", encoding="utf-8", newline="") as file:
            raw = list(csv.DictReader(file))
        loaded = tables._load(name)
        assert len(loaded) == len(raw)
        for column in raw[0]:
            blank = np.array([row[column] == "" for row in raw])
            missing = loaded[column].isna() | (loaded[column].astype(str) == "")
            assert (missing.to_numpy() == blank).all(), (name, column)


def test_every_figure_effect_code_and_definition_says_how_surely_it_was_read():
    for frame in (tables.figures(), tables.effects(), tables.codes(), tables.definitions(), tables.headlines()):
        assert (frame["confidence"] != "").all()


def test_a_figure_that_stands_beside_a_registry_is_of_a_patient_or_vertebra_and_has_a_window():
    known = tables.figures().merge(tables.figure_definitions(), on=["study_key", "quantity"], suffixes=("_printed", ""))
    placed = known[known["placed"] == "yes"]
    assert len(placed) == 30
    assert placed["event_level"].isin(["any", "same", "adjacent", "remote"]).all()
    assert placed["unit"].isin(["patient", "treated_vertebra"]).all()
    assert placed[["percent", "window_days"]].notna().all(axis=None)
    assert placed["tier"].isin(tables.TIERS).all()
    assert placed["basis"].isin(tables.BASES).all()
    assert (known.loc[known["placed"] == "no", "remark"] != "").all()


def test_every_headline_is_of_a_known_kind():
    headlines = tables.headlines()
    assert headlines["version"].isin(tables.VERSIONS).all()
    assert headlines["tier"].isin([*tables.TIERS, ""]).all()
    assert headlines["window_kind"].isin(tables.WINDOW_KINDS).all()
    assert headlines["basis"].isin(tables.BASES).all()
    assert (headlines["window_days"].isna() == (headlines["window_kind"] == "none")).all()
    assert (headlines["citation"].str.len() > 0).all()


def test_a_minimum_window_is_read_as_one():
    at_least = tables.figures().query("window_at_least")
    minimum = tables.figure_definitions().query("window_kind == 'minimum'")
    assert {"yang2019", "lincc2007"} == set(at_least["study_key"])
    assert {"yang2019", "lincc2007"} <= set(minimum["study_key"])


def test_each_definition_names_the_figure_it_produced():
    definitions = tables.definitions()
    named = definitions["study_key"] != ""
    assert len(definitions) == 18
    assert definitions.loc[named, "unit"].notna().all()
    rates = definitions["percent"].dropna()
    assert (rates.min(), rates.max()) == (0.56, 63.27)  # the definition makes the rate
