"""The report as a reader gets it: one page, its tables, its manifest."""

import csv
import hashlib
import html.parser
import io
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from cohort.domain.errors import OutputError
from cohort.report import build_report
from cohort.report.build import report_files
from cohort.report.provenance import time_of_making

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(html.parser.HTMLParser):
    """Tags, ids, links and words of a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.ids, self.links, self.attributes, self.open, self.broken = Counter(), [], [], [], [], []
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags[tag] += 1
        self.attributes.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


@pytest.fixture(scope="session")
def files(any_results):
    return report_files(any_results, generated_at=datetime(2026, 3, 2, tzinfo=UTC))


@pytest.fixture(scope="session")
def text(files):
    return files["report.html"].decode()


@pytest.fixture(scope="session")
def page(text):
    return Page(text)


def test_the_page_needs_no_network(text):
    outside = re.sub(r"<[^>]*>", lambda tag: tag[0], text)
    assert not re.search(r"""(?:src|href|action|data|poster)\s*=\s*["']?\s*(?:https?:|//|ftp:)""", outside)
    assert not re.search(
        r"@import|@font-face|url\((?!#)|fetch\(|XMLHttpRequest|<link|<img|<iframe", outside.split("</style>")[0]
    )
    assert "xmlns" not in text


def test_the_page_is_well_formed_and_every_id_is_its_own(page):
    assert page.broken == []
    assert page.open == []
    assert [name for name, n in Counter(page.ids).items() if n > 1] == []


def test_every_link_leads_somewhere(page, files):
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else link in files, link


def test_every_heading_table_and_figure_has_an_anchor(page):
    sections = [a["id"] for tag, a in page.attributes if tag == "section"]
    figures = [a.get("id") for tag, a in page.attributes if tag == "figure"]
    assert len(sections) == 15
    assert all(figures)
    assert all(f"#{name}" in page.links for name in [*sections, *figures])


def test_every_drawing_says_its_finding(page):
    drawings = [a for tag, a in page.attributes if tag == "svg"]
    assert drawings
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert len(drawing["aria-label"]) > 30
        assert "nan" not in drawing["aria-label"].lower().split()


def test_every_table_has_its_csv_beside_it(page, files):
    tables = [
        a["id"].removeprefix("table-")
        for tag, a in page.attributes
        if tag == "figure" and "table" in a["class"].split()
    ]
    assert len(tables) > 8
    for name in tables:
        assert f"tables/{name}.csv" in files
        assert f"tables/{name}.csv" in page.links


def test_no_number_is_left_unwritten(page):
    words = " ".join(page.words).split()
    assert not {"nan", "NaN", "None", "inf", "NaT"} & {w.strip("().,;") for w in words} - {"None"}


def test_sections_stand_in_the_order_of_a_study(page):
    order = "question flow quality people incidence when where why risk beyond-first sensitivity literature review"
    assert [a["id"] for tag, a in page.attributes if tag == "section"] == [*order.split(), "methods", "record"]


def test_the_same_results_give_the_same_bytes(plausible, now):
    first, second = (report_files(plausible, generated_at=now) for _ in range(2))
    assert first == second


def test_small_counts_are_in_no_file_of_a_public_report(small, now):
    """Same-level refracture: 2 of 150 patients."""
    public, inside = (report_files(small, generated_at=now, internal=i) for i in (False, True))
    for name, content in public.items():
        if not name.endswith(".csv"):
            continue
        for row in csv.DictReader(io.StringIO(content.decode())):
            for column in ("n_events", "n_exposed_events", "n_sightings", "excluded_patients"):
                if row.get(column):
                    assert row[column] not in {"1", "2", "3", "4"}, (name, row)
    assert "too few to show" in public["report.html"].decode()
    assert "too few to show" not in inside["report.html"].decode()
    same = [r for r in csv.DictReader(io.StringIO(inside["tables/headline.csv"].decode())) if r["key"] == "same"]
    assert same[0]["n_events"] in {"1", "2", "3", "4"}


def test_a_withheld_estimate_does_not_come_back_beside_the_literature(small, now):
    """Same-level refracture: 2 of 150 patients."""
    files = report_files(small, generated_at=now)
    rows = list(csv.DictReader(io.StringIO(files["tables/review.csv"].decode())))
    assert {r["registry_estimate"] for r in rows if r["registry_outcome"] == "same"} == {""}
    assert {r["registry_estimate"] for r in rows if r["registry_outcome"] == "adjacent"} != {""}
    alike = list(csv.DictReader(io.StringIO(files["tables/literature.csv"].decode())))
    for name in ("estimate", "conf_high", "n_events", "n", "n_events_all", "ratio", "std_error"):
        assert {r[name] for r in alike if r["relation"] == "same"} == {""}, name
        assert "" not in {r[name] for r in alike if r["relation"] == "adjacent"}, name
    assert {r["note"] for r in alike if r["relation"] == "same"} == {"Too few to show."}
    assert all(r["published"] for r in alike)
    steps = list(csv.DictReader(io.StringIO(files["tables/gap_steps.csv"].decode())))
    for name in ("from_estimate", "to_estimate", "log_ratio", "percent", "n_events", "n_events_main"):
        assert {r[name] for r in steps if r["relation"] == "same"} == {""}, name
    assert {r["log_ratio"] for r in steps if r["relation"] == "adjacent"} != {""}


def test_a_ratio_of_few_events_does_not_come_back_beside_a_published_one(plausible, now):
    few = plausible.beside_effects.copy()
    few.loc[few["registry_relation"] == "same", "n_events"] = 2.0
    files = report_files(replace(plausible, beside_effects=few), generated_at=now)
    rows = list(csv.DictReader(io.StringIO(files["tables/published_ratios.csv"].decode())))
    for name in ("n_events", "estimate", "conf_high", "ratio", "compares"):
        assert {r[name] for r in rows if r["registry_relation"] == "same"} == {""}, name
        assert {r[name] for r in rows if r["registry_relation"] == "adjacent"} != {""}, name


def test_published_figures_counted_alike_are_told_with_what_still_differs(plausible, now):
    files = report_files(plausible, generated_at=now)
    text = files["report.html"].decode()
    section = text[text.index('id="literature"') :]
    for words in (
        "Published figures, and this registry counted alike",
        "From this registry&#39;s main figure to a published one",
        "[1] Films by plan also show more.",
        "Published ratios, and this registry&#39;s own",
    ):
        assert words in section
    assert {"figures/literature.svg", "figures/gap.svg", "figures/published-ratios.svg"} <= set(files)
    for name, count in (("literature", 6), ("gap_steps", 36), ("published_ratios", 88)):
        rows = list(csv.DictReader(io.StringIO(files[f"tables/{name}.csv"].decode())))
        assert len(rows) == count, name
        assert all(row["source"] and row["confidence"] for row in rows), name


def test_no_row_of_a_patient_and_no_row_number_is_in_a_public_report(plausible, now):
    public, inside = (report_files(plausible, generated_at=now, internal=i) for i in (False, True))
    assert not any(b"P-00817" in content for content in public.values())
    assert "tables/rejected_rows.csv" not in public
    assert b"12 80" in inside["tables/rejected_rows.csv"]
    assert b"Not for circulation" in inside["report.html"]


def test_data_cannot_write_the_page(hostile_files):
    text = hostile_files["report.html"].decode()
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Sons $x_1$" in text
    page = Page(text)
    assert page.tags["script"] == 1
    assert page.tags["b"] == 0
    cells = [c for row in csv.reader(io.StringIO(hostile_files["tables/table_one.csv"].decode())) for c in row]
    assert not [c for c in cells if c.startswith("=")]


@pytest.fixture(scope="session")
def hostile_files(hostile_results):
    return report_files(hostile_results, generated_at=datetime(2026, 3, 2, tzinfo=UTC))


def test_the_manifest_vouches_for_every_file(plausible, tmp_path, now):
    path = build_report(plausible, tmp_path / "report", generated_at=now)
    content = json.loads((path.parent / "manifest.json").read_text())
    on_disk = {str(p.relative_to(path.parent)) for p in path.parent.rglob("*") if p.is_file()}
    assert set(content["files"]) == on_disk - {"manifest.json"}
    for name, entry in content["files"].items():
        assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == entry["sha256"]
    assert content["made_by"] == "cohort report"
    assert content["generated_at"] == "2026-03-02T06:30:00Z"
    assert content["settings_sha256"] == plausible.registry.study.digest
    assert content["seeds"] == {"logistic.seed": 7}
    assert content["problems"] == {"reject": 37, "blank": 6, "warn": 21}
    assert content["inputs"][0]["sha256"] == "a3" * 32
    assert {"python", "pandas", "matplotlib", "vertebral-cohort"} <= set(content["versions"])


def test_folders_of_the_inputs_stay_private(plausible, now):
    inputs = plausible.registry.inputs.assign(source="/home/someone/private/patients.csv")
    results = replace(plausible, registry=replace(plausible.registry, inputs=inputs))
    assert not any(b"/home/someone" in content for content in report_files(results, generated_at=now).values())


def test_the_time_of_making_follows_source_date_epoch(monkeypatch, now):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert time_of_making() == datetime(1970, 1, 2, tzinfo=UTC)
    assert time_of_making(now) == now
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(OutputError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        time_of_making()


def test_methods_name_every_number_that_moves_a_figure(plausible, now):
    study = plausible.registry.study.with_("relation", staged_days=21, healing_days=77).with_("judgement", pain_days=33)
    results = replace(plausible, registry=replace(plausible.registry, study=study))
    text = " ".join(Page(report_files(results, generated_at=now)["report.html"].decode()).words)
    for words in ("within 21 days", "more than 77 days", "within 33 days", "90 days, 1 year and 2 years"):
        assert words in text


def test_a_missing_period_is_said(plausible, now):
    results = replace(plausible, period=(pd.NaT, pd.NaT))
    assert "period not known" in report_files(results, generated_at=now)["report.html"].decode()
