"""Tables and forest plots of the literature recomputed: nothing small told, nothing filled in, nothing mixed."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from cohort.present import theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures import pooled as forest
from cohort.present.tables import pooled, reviewed
from cohort.present.tables.model import to_csv
from cohort.tables.results import Estimates
from cohort.tables.reviewed import Reviewed

CELL = {"relation": "adjacent", "tier": "unstated", "unit": "patient"}
OPEN, CLOSED = Disclosure(5, internal=True), Disclosure(5)


def share(events: float, n: float) -> dict[str, float]:
    p = events / n
    return {"n_events": events, "n": n, "estimate": p, "conf_low": p * 0.7, "conf_high": min(1.0, p * 1.4)}


def studies() -> pd.DataFrame:
    rows = [
        ("a2010", "Alpha AB et al. One. AJNR 2010", 2010.0, "fixed", 365.0, 12, 100),
        ("b2012", "Beta CD et al. Two. Spine 2012", 2012.0, "mean", 420.0, 20, 200),
        ("c", "Risk factors of new fractures after all kinds of treatment of women", np.nan, "none", np.nan, 30, 100),
    ]
    return pd.DataFrame(
        {
            **CELL, "study": key, "citation": citation, "year": year, "window_kind": kind, "window_days": days,
            "counts": "", "arm": "", "figures": 1, "derived": "", **share(events, n), "weight": 1 / 3,
            "shrunken": events / n, "source": "https://example.org", "confidence": "read in abstract",
        }
        for key, citation, year, kind, days, events, n in rows
    )  # fmt: skip


def together(n_studies: int, events: float, n: float, low: float = 0.05, high: float = 0.4) -> pd.DataFrame:
    shared = {**CELL, "n_studies": n_studies, "estimate": events / n, "study": ""}
    return pd.DataFrame(
        [
            {**shared, "row": "pooled", "n_events": events, "n_patients": n, "conf_low": 0.1, "conf_high": 0.25,
             "tau2": 0.2, "tau2_low": 0.1, "tau2_high": 0.9, "i2": 0.8, "i2_low": 0.5, "i2_high": 0.95},
            {**shared, "row": "prediction", "n_events": np.nan, "n_patients": np.nan, "conf_low": low,
             "conf_high": high},
        ]
    )  # fmt: skip


def found_of(events: float, n: float) -> Reviewed:
    """Three studies, and a registry with so many events in so many patients."""
    registry = {**CELL, "row": "registry", "study": "registry", "n_studies": 1, "weight": 0.25, "shrunken": 0.11,
                "n_patients": n, **{k: v for k, v in share(events, n).items() if k != "n"}}  # fmt: skip
    joined = pd.concat([pd.DataFrame([registry]), together(4, 62 + events, 400 + n)], ignore_index=True)
    toward = pd.DataFrame(
        [
            {**CELL, "row": "prior", "estimate": 0.15, "conf_low": 0.05, "conf_high": 0.4, "weight": 0.3, "note": ""},
            {**CELL, "row": "registry", **share(events, n), "weight": 0.7, "note": ""},
            {**CELL, "row": "shrunken", "estimate": 0.12, "conf_low": 0.07, "conf_high": 0.2, "weight": np.nan,
             "note": "the spread comes from only 3 studies"},
        ]
    ).drop(columns=["n_events", "n"])  # fmt: skip
    own = {**CELL, "outcome": "adjacent", "tier_counted": "clinical", "same_tier": "not stated", "window_days": 365.0,
           **share(events, n), "differs": "The registry counts to day 365.", "reason": ""}  # fmt: skip
    without = pd.DataFrame(
        {**CELL, "study": s, "estimate": e} for s, e in (("a2010", 0.18), ("b2012", 0.2), ("c", 0.1))
    )
    cells = pd.DataFrame([{**CELL, "n_studies": 3, "pooled": "yes"},
                          {**CELL, "tier": "clinical", "n_studies": 1, "pooled": "no"}])  # fmt: skip
    return Reviewed(
        cells=cells,
        studies=studies(),
        pooled=Estimates(together(3, 62, 400)),
        without_each=Estimates(without),
        notes=pd.DataFrame([{**CELL, "note": "Arms without a common patient were added together in a2010."}]),
        own=pd.DataFrame([own]),
        with_registry=Estimates(joined),
        toward=Estimates(toward),
    )


def tables_of(found: Reviewed, rule: Disclosure):
    kept = pooled.shown(found, rule)
    return [pooled.pooled(kept, rule), pooled.pooled_studies(kept, rule), pooled.toward(kept, rule)]


def words(table) -> str:
    cells = [f"{cell.text} {cell.interval}" for row in table.rows for cell in row.cells]
    return " ".join([table.caption, *cells, *table.footnotes, to_csv(table.data)])


# ---------------- the registry among the studies


@pytest.mark.parametrize(
    ("events", "n"),
    [(3, 117), (113, 117), (1, 1), (0, 3)],
    ids=["few events", "few without one", "one patient", "few patients"],
)
def test_a_small_registry_is_told_by_nothing_not_even_by_subtraction(events, n):
    """What is pooled with it, less what is pooled without it, would be the registry."""
    told = f"{62 + events:.0f} / {400 + n:.0f}"
    for table in tables_of(found_of(events, n), CLOSED):
        text = words(table)
        assert told not in text, table.key
        assert f"{events} / {n}" not in text, table.key
        assert not re.search(rf"\b{400 + n}\b", text), table.key
        assert "With this registry" not in text, table.key
        for name in ("n_patients", "n_events", "n"):
            if name in table.data:
                sums = {float(400 + n), *([float(62 + events)] if events else [])}
                assert not sums & set(table.data[name].astype(float).dropna())
        if "row" in table.data:
            assert not {"registry", "shrunken"} & set(table.data["row"])
    drawn = tables_of(found_of(events, n), CLOSED)[2]
    assert drawn.data["weight"].isna().all(), "the weight of the prior tells that of the registry"
    assert "withheld" in words(drawn)


def test_a_withheld_registry_is_neither_drawn_nor_said():
    kept = pooled.shown(found_of(3, 117), CLOSED)
    own = kept.own[kept.own["reason"] == ""]
    figure = forest.draw(kept.studies, kept.pooled.frame, kept.with_registry.frame, own)
    assert "registry" not in " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert "registry" not in forest.alt(kept.studies, kept.pooled.frame, kept.with_registry.frame, own)


def test_the_internal_edition_shows_a_small_registry():
    together_, each, drawn = tables_of(found_of(3, 117), OPEN)
    assert "65 / 517" in words(together_)
    assert "3 / 117" in words(each)
    assert drawn.data["row"].tolist() == ["prior", "registry", "shrunken"]


def test_a_registry_without_an_event_is_shown():
    together_, each, _ = tables_of(found_of(0, 117), CLOSED)
    assert "62 / 517" in words(together_)
    assert "0 / 117" in words(each)


def test_the_registry_stands_apart_from_the_studies():
    found = found_of(40, 400)
    figure = forest.draw(found.studies, found.pooled.frame, found.with_registry.frame, found.own)
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert [text for text in texts if "registry" in text] == ["This registry", "All 3 and this registry"]
    assert {text.get_fontsize() for ax in figure.axes for text in ax.texts} == {theme.SMALL}
    assert "62 / 400" in texts
    assert "102 / 800" in texts


@pytest.mark.parametrize(
    ("events", "said"),
    [(40, "inside that"), (10, "outside that;"), (17, "outside that, though its interval reaches in")],
)
def test_the_finding_says_where_the_registry_lies(events, said):
    found = found_of(events, 400)
    text = forest.alt(found.studies, found.pooled.frame, found.with_registry.frame, found.own)
    assert "3 studies from 10.0 to 30.0 %" in text
    assert "a new place is expected between 5.0 and 40.0 %" in text
    assert said in text


def test_no_studies_no_figure_and_no_tables():
    nothing = Reviewed()
    assert forest.draw(nothing.studies, nothing.pooled.frame, nothing.with_registry.frame, nothing.own) is None
    assert tables_of(nothing, CLOSED) == [None, None, None]
    assert reviewed.verdicts(nothing.audit) is None
    assert reviewed.recomputed(nothing.recomputed) is None
    assert reviewed.effects(nothing.effects) is None
    assert reviewed.reproduced(nothing) is None


# ---------------- studies


def test_studies_go_by_their_names_and_each_tells_how_it_was_read():
    together_, each, _ = tables_of(found_of(40, 400), CLOSED)
    assert "added together in Alpha 2010." in " ".join(together_.footnotes)
    assert "a2010" not in " ".join(together_.footnotes)
    assert {"source", "confidence"} <= set(each.data)
    assert set(each.data["confidence"]) == {"read in abstract", "own data"}
    assert "adjacent, by film and pain, share of patients: 1" in " ".join(together_.footnotes)


def test_a_window_that_is_not_given_stays_blank():
    each = tables_of(found_of(40, 400), CLOSED)[1]
    row = each.data[each.data["study"] == "c"].iloc[0]
    assert np.isnan(row["window_days"])
    assert "not stated" in words(each)
    assert to_csv(each.data).splitlines()[3].split(",")[5] == "", "no year is filled in"


def test_cells_are_never_put_together():
    one = found_of(40, 400)
    other = one.studies.assign(tier="radiographic")
    both = Reviewed(studies=pd.concat([one.studies, other], ignore_index=True), own=one.own)
    titles = [row.cells[0].text for row in pooled.pooled_studies(both, CLOSED).rows if row.kind == "group"]
    assert titles == [
        "Adjacent, definition not stated, share of patients",
        "Adjacent, by film, share of patients",
    ]


def test_a_name_cut_short_keeps_its_year():
    assert reviewed.study_name("Efficacy of annual zoledronic acid in patients", 2020.0, 24).endswith("… 2020")
    assert "nan" not in reviewed.study_name("Efficacy of annual zoledronic acid in patients", float("nan"))


# ---------------- audit and figures


def audit() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["S01", "S02", "S03"],
            "section": "Review",
            "statement": ["one", "two " * 60, "three"],
            "verdict": ["reproduced", "inconsistent", "inconsistent"],
            "also": ["", "reference does not match; not checkable", "reference does not match"],
            "reason": ["10 of 1,800 is 0.56 %.", "First. " + "Second " * 60, "It is 5.77 %."],
            "computed": "", "rests_on": "arithmetic", "source": "the review",
            "confidence": ["read in abstract", "title only", "read in abstract"],
        }
    )  # fmt: skip


def test_verdicts_add_up_to_the_statements():
    data = reviewed.verdicts(audit()).data.set_index("verdict")
    assert data["n_first"].sum() == 3
    assert data.loc["reference does not match", ["n_first", "n_also"]].tolist() == [0, 2]
    assert data.loc["not checkable", "statements_also"] == "S02"


def test_long_texts_are_cut_on_the_page_and_whole_in_the_csv():
    table = reviewed.statements(audit())
    shown = [cell.text for row in table.rows for cell in row.cells]
    assert max(map(len, shown)) <= 240
    assert "First." in shown
    assert table.data["reason"].str.len().max() > 400


def test_the_series_and_what_cannot_be_had_again_are_in_one_csv():
    figures = pd.DataFrame(
        {
            "study": ["a2010", "a2010", "quoted"], "study_key": ["a2010", "a2010", "review"],
            "part": ["", "beside", ""], "quantity": "q",
            "verdict": ["reproduced exactly", "within rounding", "reproduced exactly"], "reason": "r",
            "source": "s", "confidence": ["read in source", "read in abstract", "read in secondary"],
            "citation": ["Alpha AB et al. One", "Alpha AB et al. One", "Gamma EF et al. Review"],
            "year": [2010.0, 2010.0, 2017.0],
        }
    )  # fmt: skip
    left = pd.DataFrame({"study_key": ["z"], "quantity": ["q"], "reason": ["pooled over studies"], "source": ["s"],
                         "confidence": ["read in abstract"], "citation": ["Z"], "year": [np.nan]})  # fmt: skip
    table = reviewed.reproduced(Reviewed(reproduced=figures, not_reconstructed=left))
    lines = [[cell.text for cell in row.cells] for row in table.rows]
    assert lines[0] == ["Alpha 2010", "2", "1", "1", "0", "abstract"]
    assert lines[1][0] == "Gamma 2017, quoted series"
    assert lines[-1] == ["All", "3", "2", "1", "0", ""]
    assert table.data["verdict"].tolist()[-1] == "not reconstructable"
    assert "Pooled over studies: 1." in " ".join(table.footnotes)
