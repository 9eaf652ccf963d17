"""The section on risk factors as a reader gets it: every question answered or refused in words, nothing small told."""

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

import cohort as toolkit
from cohort.domain.errors import EstimationError
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.pipeline.factors import of_cohort
from cohort.present.disclosure import Disclosure
from cohort.report import factors, methods
from cohort.report.blocks import FigureBlock, Paragraph, TableBlock
from cohort.report.build import FIGURE_DATA, report_files
from cohort.report.page import Page
from cohort.synthetic import simulate
from cohort.tables.results import Estimates, Registry
from cohort.tables.risk_factors import RiskFactors

OUTCOMES = ("same", "adjacent", "remote")
QUICK = StudyDefinition().with_("models", imputations=2).with_("bias", draws=0)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SMALL = {"1", "2", "3", "4"}


def asked(registry, exposures):
    """Risk factors of every outcome that has somebody at risk."""
    ready = prepare(registry)
    parts = []
    for outcome in OUTCOMES:
        try:
            parts.append(of_cohort(ready, outcome, exposures))
        except EstimationError:
            continue
    return RiskFactors.together(parts)


@pytest.fixture(scope="module")
def found():
    """250 patients, every fourth cleft not assessable or not recorded."""
    tables = dict(simulate(250, 5))
    treated = tables["augmentations"].copy()
    cleft = treated["cleft_before"].astype("object")
    cleft[treated.index % 8 == 0] = None
    cleft[treated.index % 8 == 4] = "not_assessable"
    tables["augmentations"] = treated.assign(cleft_before=cleft.astype(treated["cleft_before"].dtype))
    return asked(Registry.of(tables, QUICK), ["cleft", "t_score", "anti_osteoporotic"])


@pytest.fixture(scope="module")
def four_patients():
    """The registry of four published cases, all of it allowed to be shown."""
    registry = toolkit.read("data/cases")
    quick = registry.study.with_("models", imputations=2).with_("bias", draws=0)
    return asked(replace(registry, study=quick), ["cleft", "t_score", "anti_osteoporotic"])


@pytest.fixture(scope="module")
def results(plausible, found):
    return replace(plausible, factors=found)


@pytest.fixture(scope="module")
def files(results):
    return report_files(results, generated_at=NOW)


@pytest.fixture(scope="module")
def section(files):
    page = files["report.html"].decode()
    return page[page.index('<section id="risk"') :].split("</section>")[0]


def blocks_of(results, minimum=5, internal=False):
    return factors.section(Page(results, Disclosure(minimum, internal), {})).blocks


def tables_of(blocks):
    return [block.table for block in blocks if isinstance(block, TableBlock)]


def figures_of(blocks):
    return [block for block in blocks if isinstance(block, FigureBlock)]


def words_of(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph))


def test_the_questions_come_first_then_effects_then_what_could_make_them_wrong(results):
    blocks = blocks_of(results)
    order = [block.key if isinstance(block, FigureBlock) else block.table.key
             for block in blocks if isinstance(block, (FigureBlock, TableBlock))]  # fmt: skip
    assert order[:2] == ["figure-adjustment", "adjustment"]
    for outcome in OUTCOMES:
        assert order.index(f"figure-forest-{outcome}") + 1 == order.index(f"effects_{outcome}")
    rest = ["effects_remote", "figure-factor-risks", "standardized_risks", "checks", "few_events", "missing_states",
            "missing_patterns", "imputed", "drugs", "e_values", "predictive", "logistic"]  # fmt: skip
    assert [name for name in order if name in rest] == rest
    assert "misclassified" in order
    assert "controls" in order
    assert "cox" not in order, "the hazard ratios stand among the effects"


def test_each_number_is_given_with_its_question(section):
    for words in (
        "The question of causes.",
        "The question of decisions",
        "names no cause",
        "Treatment follows fractures",
    ):
        assert words in section, words
    assert "predictive, not causal" in section


def test_every_table_says_its_unit_denominator_and_window(results):
    for table in tables_of(blocks_of(results)):
        if table.key == "adjustment":  # a declaration, without a number
            continue
        for word in ("unit", "denominator"):
            assert word in table.caption.lower(), (table.key, word)
        assert re.search(r"window|within|follow-up", table.caption.lower()), table.key


def test_every_figure_says_its_finding_and_has_its_numbers(results, files):
    drawn = figures_of(blocks_of(results))
    assert len(drawn) == 5
    for figure in drawn:
        assert len(figure.alt) > 60
        assert "nan" not in figure.alt.lower().split()
        assert f"tables/{FIGURE_DATA[figure.key]}.csv" in files, figure.key


def test_small_counts_are_in_no_csv_of_the_section(results):
    hidden = 0
    for table in tables_of(blocks_of(results)):
        counted = [
            name for name in table.data if re.fullmatch(r"n_(patients|events|units|exposed_events)|.*_events", name)
        ]
        assert not SMALL & {str(value) for name in counted for value in table.data[name]}, table.key
        if "n_events" in table.data and "estimate" in table.data:
            few = table.data["n_events"] == "<5"
            hidden += int(few.sum())
            assert table.data.loc[few, "estimate"].isna().all(), table.key
    assert hidden, "the cohort has counts to hide"
    inside = [table.data for table in tables_of(blocks_of(results, internal=True))]
    assert any(SMALL & {str(int(v)) for v in data["n_events"].dropna()} for data in inside if "n_events" in data)


def test_the_events_of_each_side_are_told_by_nothing_in_the_section(results, section, files):
    """What stands in `effects` and in the two by two tables behind exact ratios never reaches the page or its files."""
    told = {"n_exposed_events", "exposed_events", "unexposed_events", "exposed_free", "unexposed_free", "person_time"}
    for table in tables_of(blocks_of(results)):
        if table.key != "logistic":
            assert not told & set(table.data), table.key
            assert not {"coef", "std_error", "naive_std_error", "statistic"} & set(table.data), table.key
    rows = list(csv.DictReader(io.StringIO(files["tables/few_events.csv"].decode())))
    rare = results.factors.rare.frame
    few = rare[
        (rare["n_exposed_events"] > 0) & (rare["n_exposed_events"] < 5) & rare["method"].isin(["exact", "mid-P"])
    ]
    assert len(few)
    pairs = set(zip(few["outcome"], few["exposure"], strict=True))
    shown = [r for r in rows if r["method"] in ("exact", "mid-P") and (r["outcome"], r["exposure"]) in pairs]
    assert shown
    assert {r["estimate"] for r in shown} == {""}


def test_a_hidden_risk_is_not_drawn_and_not_said(results):
    rare = results.factors.rare.frame.copy()
    cleft = (rare["exposure"] == "cleft") & (rare["outcome"] == "adjacent")
    rare.loc[cleft, "n_exposed_events"] = 2.0
    less = replace(results, factors=replace(results.factors, rare=Estimates(rare, results.factors.rare.settings)))
    risks = next(figure for figure in figures_of(blocks_of(less)) if figure.key == "figure-factor-risks")
    assert "Risks of too few events are not drawn." in risks.caption
    adjacent = risks.alt.split("Adjacent:")[1].split("Remote:")[0]
    assert "cleft" not in adjacent
    assert "T-score" in adjacent


def test_missing_is_told_apart_from_not_assessable(results):
    table = next(table for table in tables_of(blocks_of(results)) if table.key == "missing_states")
    mine = table.data[(table.data["term"] == "cleft") & (table.data["unit"] == "treated vertebra")]
    assert set(mine["state"]) == {"known", "not assessable", "missing"}
    assert (mine["n_units"].astype(int) > 0).all()
    assert "Neither is a no." in table.caption


def test_results_without_risk_factors_show_the_hazards_that_they_have(plausible):
    blocks = blocks_of(replace(plausible, factors=RiskFactors()))
    assert [table.key for table in tables_of(blocks)] == ["cox", "logistic"]
    assert {figure.key for figure in figures_of(blocks)} == {f"figure-forest-{name}" for name in OUTCOMES}


def test_results_without_any_model_say_so(plausible):
    nothing = replace(plausible, factors=RiskFactors(), cox=Estimates(pd.DataFrame()))
    assert words_of(blocks_of(nothing)) == "No model was fitted: there are too few patients."
    assert tables_of(blocks_of(nothing)) == []


def test_four_patients_show_what_can_be_had_where_nothing_is_hidden(plausible, four_patients):
    """One crude ratio of the cases is finite; all the others say that they are not."""
    blocks = blocks_of(replace(plausible, factors=four_patients), minimum=0)
    table = next(table for table in tables_of(blocks) if table.key == "effects_same")
    texts = [cell.text for row in table.rows for cell in row.cells]
    assert "not estimable" in texts
    assert "9.00" in texts
    assert any("No complete row: nothing can be estimated." in note for note in table.footnotes)
    assert "No effect on remote refracture can be shown: there are too few events." in words_of(blocks)


def test_four_patients_have_a_section_in_words_where_small_counts_are_hidden(plausible, four_patients):
    results = replace(plausible, factors=four_patients)
    blocks = blocks_of(results)
    said = words_of(blocks)
    for outcome in ("same-level", "adjacent", "remote"):
        assert f"No effect on {outcome} refracture can be shown: there are too few events." in said
    assert [figure.key for figure in figures_of(blocks)] == ["figure-adjustment"]
    keys = {table.key for table in tables_of(blocks)}
    assert not keys & {
        "effects_same",
        "standardized_risks",
        "checks",
        "few_events",
        "imputed",
        "e_values",
        "predictive",
    }
    assert 'id="figure-adjustment"' in report_files(results, generated_at=NOW)["report.html"].decode()


def test_a_penalized_ratio_in_the_forest_says_so(results):
    frame = results.factors.effects.frame.copy()
    frame.loc[(frame["outcome"] == "remote") & (frame["measure"] == "hazard_ratio"), "penalized"] = "yes"
    changed = replace(results, factors=replace(results.factors, effects=Estimates(frame)))
    captions = {figure.key: figure.caption for figure in figures_of(blocks_of(changed))}
    assert "Some ratios are Firth's" in captions["figure-forest-remote"]
    assert "Firth" not in captions["figure-forest-same"]


def test_no_name_of_a_column_and_no_unwritten_number_reaches_the_reader(section):
    words = re.sub(r"<svg.*?</svg>|<[^>]*>|\S+\.csv", " ", section, flags=re.S)
    assert not re.search(r"\b(nan|inf|NaT)\b", words)
    for name in ("t_score", "anti_osteoporotic", "prior_fractures", "height_restoration", "risk_difference"):
        assert name not in words, name


# ---------------- methods


def said(study):
    return dict(methods.paragraphs(study))


def test_the_methods_say_the_settings_in_force():
    default = said(StudyDefinition())
    assert "20 completed data sets" in default["Missing findings"]
    assert "only where maximum likelihood has no finite value" in default["Few events"]
    assert "lags of 90 and 180 days" in default["Drugs"]
    assert (
        "height restoration 50 against 0 percentage points; T-score -2.5 against -3.5" in default["Standardized risks"]
    )
    assert "cleft 14 %, 64 % and 96 %" in default["Bias"]
    assert "told again 100 times" in default["Bias"]
    study = (
        StudyDefinition()
        .with_(
            "models",
            imputations=0,
            penalized="always",
            risk_model="logistic_ipcw",
            drug_lag_days=(0,),
            landmark_days=(),
        )
        .with_("bias", draws=0)
    )
    other = said(study)
    assert other["Missing findings"] == "Nothing was imputed under these settings."
    assert "The study file makes them the main ones." in other["Few events"]
    assert "from a logistic model at the horizon" in other["Standardized risks"]
    assert "lag" not in other["Drugs"]
    assert "Landmarks" not in other["Drugs"]
    assert "told again" not in other["Bias"]
