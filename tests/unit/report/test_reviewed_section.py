"""The section on the literature as a reader gets it: verdicts, figures, pooled shares, and the registry apart."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

import cohort as toolkit
from cohort.pipeline import prepare
from cohort.pipeline.reviewed import of_cohort
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import to_csv
from cohort.report import reviewed
from cohort.report.blocks import FigureBlock, Paragraph, TableBlock
from cohort.report.page import Page
from cohort.synthetic import simulate
from cohort.tables.results import Registry
from cohort.tables.reviewed import Reviewed

TABLES = ["audit", "audit_statements", "recomputed", "recomputed_effects", "reproduced", "pooled", "pooled_studies",
          "toward_literature"]  # fmt: skip
FIGURES = ["figure-pooled-same", "figure-pooled-adjacent", "figure-pooled-any"]


@pytest.fixture(scope="module")
def found() -> Reviewed:
    return of_cohort(prepare(Registry.of(simulate(600, 11))))


def blocks_of(found: Reviewed, minimum: int = 5, internal: bool = False):
    page = Page(SimpleNamespace(reviewed=found), Disclosure(minimum, internal), {})
    return reviewed.section(page).blocks


def tables_of(blocks):
    return {block.table.key: block.table for block in blocks if isinstance(block, TableBlock)}


def figures_of(blocks):
    return {block.key: block for block in blocks if isinstance(block, FigureBlock)}


def test_verdicts_come_first_then_figures_then_what_pools(found):
    blocks = blocks_of(found)
    assert list(tables_of(blocks)) == TABLES
    assert list(figures_of(blocks)) == FIGURES
    order = [block.table.key if isinstance(block, TableBlock) else getattr(block, "key", "words") for block in blocks]
    assert order.index("reproduced") < order.index("figure-pooled-same") < order.index("pooled")


def test_every_table_says_its_unit_denominator_and_window_and_its_csv_where_each_figure_is_from(found):
    for table in tables_of(blocks_of(found)).values():
        for word in ("unit", "denominator", "window"):
            assert word in table.caption.lower(), (table.key, word)
        assert {"source", "confidence"} <= set(table.data), table.key
        assert (table.data[["source", "confidence"]].fillna("").astype(str) != "").all().all(), table.key


def test_the_numbers_of_the_review_and_of_the_figures_are_those_of_the_code(found):
    tables = tables_of(blocks_of(found))
    assert tables["audit"].data["n_first"].tolist() == [5, 15, 4, 12, 7]
    assert len(tables["audit_statements"].data) == 43
    assert [row.cells[0].text for row in tables["reproduced"].rows][-1] == "All"
    assert len(tables["reproduced"].data) == 141 + 73
    assert len(tables["recomputed"].rows) == 4


def test_blanks_stay_blank_in_every_csv(found):
    for table in tables_of(blocks_of(found)).values():
        assert not re.search(r"\b(nan|NaN|None|inf)\b", to_csv(table.data)), table.key


def test_every_forest_says_its_finding_and_never_mixes_definitions(found):
    for figure in figures_of(blocks_of(found)).values():
        assert "a new place is expected between" in figure.alt
        assert "pooled" in figure.alt
        assert ("by film" in figure.alt) != ("definition not stated" in figure.alt)
        sizes = [float(size) for size in re.findall(r"font: (?:bold )?([\d.]+)px", figure.svg)]
        assert min(sizes, default=8.0) >= 8.0


def test_a_small_registry_is_nowhere_in_the_public_section(found):
    own = found.own.copy()
    place = own.index[own["relation"] == "same"][0]
    few = float(own.loc[place, "n_events"])
    rule = int(few) + 1 if few else 5
    own.loc[place, "n_events"] = max(few, 1.0)
    n = f"{own.loc[place, 'n']:,.0f}"
    blocks = blocks_of(replace(found, own=own), minimum=rule)
    same = figures_of(blocks)["figure-pooled-same"]
    assert "registry" not in same.alt
    assert "too few patients or events to show" in same.caption
    tables = tables_of(blocks)
    joined = 308 + own.loc[place, "n_events"]
    for key in ("pooled", "pooled_studies", "toward_literature"):
        rows = tables[key].data[tables[key].data["relation"] == "same"]
        assert not {"registry", "shrunken"} & set(rows.get("row", []))
        assert "registry" not in set(rows.get("study", []))
        assert "yes" not in set(rows.get("with_registry", []))
        if "n_events" in rows:
            assert joined not in set(rows["n_events"].dropna())
    assert not any(f"/ {n}" in cell.text for cell in tables["pooled_studies"].rows[9].cells)
    inside = blocks_of(replace(found, own=own), minimum=rule, internal=True)
    assert "this registry" in figures_of(inside)["figure-pooled-same"].alt


@pytest.mark.parametrize("internal", [False, True])
def test_one_patient_without_events_still_gives_a_section(internal):
    tables = dict(simulate(60, 5))
    first = tables["patients"]["patient_id"].iloc[:1]
    one = {name: tables[name][tables[name]["patient_id"].isin(first)] for name in ("patients", "augmentations")}
    blocks = blocks_of(of_cohort(prepare(Registry.of(one))), internal=internal)
    assert list(tables_of(blocks)) == TABLES
    assert list(figures_of(blocks)) == FIGURES


def test_the_four_cases_give_a_section():
    blocks = blocks_of(of_cohort(prepare(toolkit.read("data/cases"))))
    assert all("registry" not in figure.alt for figure in figures_of(blocks).values())
    assert list(tables_of(blocks)) == TABLES


def test_results_without_the_literature_say_so():
    (only,) = blocks_of(Reviewed())
    assert isinstance(only, Paragraph)
    assert only.text == "The literature was not recomputed for these results."


def test_no_key_of_a_study_and_no_name_of_a_column_reaches_the_reader(found):
    blocks = blocks_of(found)
    texts = [block.text for block in blocks if isinstance(block, Paragraph)]
    texts += [f"{figure.title} {figure.caption} {figure.alt}" for figure in figures_of(blocks).values()]
    for table in tables_of(blocks).values():
        texts += [table.caption, *table.footnotes, *(cell.text for row in table.rows for cell in row.cells)]
    said = " ".join(texts)
    keys = set(found.studies["study"]) - {"sandwich"}  # a word of its own title
    assert not [key for key in keys if re.search(rf"\b{re.escape(key)}\b", said)]
    for name in ("treated_vertebra", "n_events", "conf_low", "within_days"):
        assert name not in said, name
    assert not re.search(r"\bnan\b", said)
