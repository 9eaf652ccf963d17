"""The literature recomputed beside a registry: what is pooled is one thing, and the registry joins as it counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort import literature
from cohort.pipeline import Cohort, occurrence, prepare, reviewed
from cohort.synthetic import simulate
from cohort.tables.results import Registry
from cohort.tables.reviewed import Reviewed

CELL = ["relation", "tier", "unit"]


@pytest.fixture(scope="module")
def found(cohort) -> Reviewed:
    return reviewed.of_cohort(cohort)


def of(frame: pd.DataFrame, relation: str, **values: str) -> pd.DataFrame:
    rows = frame[frame["relation"] == relation]
    for name, value in values.items():
        rows = rows[rows[name] == value]
    return rows


def cut(tables, ids) -> Cohort:
    return prepare(
        Registry.of({name: frame[frame["patient_id"].isin(ids)].reset_index(drop=True) for name, frame in tables})
    )


def test_every_statement_figure_and_series_is_there(found):
    assert len(found.audit) == 43
    assert found.audit["verdict"].value_counts().to_dict() == {
        "inconsistent": 15, "reference does not match": 12, "not checkable": 7, "reproduced": 5, "units mixed": 4,
    }  # fmt: skip
    assert found.recomputed["verdict"].eq("differs").sum() == 2
    assert found.reproduced["study"].nunique() == 50
    # Every figure is either had again or has a reason.
    again = set(zip(found.reproduced["study_key"], found.reproduced["quantity"], strict=True))
    left = set(zip(found.not_reconstructed["study_key"], found.not_reconstructed["quantity"], strict=True))
    assert not again & left
    assert len(again | left) == len(literature.figures())
    assert (found.not_reconstructed["reason"] != "").all()


@pytest.mark.parametrize("name", ["audit", "recomputed", "effects", "reproduced", "not_reconstructed", "studies"])
def test_every_figure_says_where_and_how_surely_it_was_read(found, name):
    frame = getattr(found, name)
    assert (frame["source"].fillna("") != "").all()
    assert (frame["confidence"].fillna("") != "").all()


def test_what_was_not_published_stays_blank(found):
    published = literature.figures()
    ours = found.recomputed[found.recomputed["table"] == "figures"]
    for name in ("numerator", "denominator"):
        assert ours[name].isna().sum() == published[name].isna().sum()
    assert found.studies["window_days"].isna().sum() == (found.studies["window_kind"] == "none").sum() > 0
    assert found.studies["year"].isna().any()


def test_only_three_studies_or_more_of_one_relation_tier_and_unit_are_pooled(found):
    cells = found.cells.set_index(CELL)
    assert cells.loc[cells["pooled"] == "yes", "n_studies"].to_dict() == {
        ("same", "radiographic", "patient"): 8,
        ("adjacent", "unstated", "patient"): 8,
        ("any", "unstated", "patient"): 14,
    }
    assert (cells.loc[cells["pooled"] == "no", "n_studies"] < 3).all()
    assert found.studies.groupby(CELL)["study"].nunique().to_dict() == (
        cells.loc[cells["pooled"] == "yes", "n_studies"].to_dict()
    )
    assert not found.studies.duplicated([*CELL, "study"]).any(), "no patient counts twice"
    pooled = of(found.pooled.frame, "same", row="pooled").iloc[0]
    direct = literature.pool("same", "patient", "radiographic").pooled
    assert pooled["estimate"] == direct["estimate"]
    assert pooled[["n_events", "n_patients"]].tolist() == [308, 1666]


def test_the_registry_joins_as_with_registry_joins_it(found):
    own = of(found.own, "adjacent").iloc[0]
    theirs = literature.with_registry(
        literature.pool("adjacent", tier="unstated"), int(own["n_events"]), int(own["n"]), window_days=365
    )
    ours = of(found.with_registry.frame, "adjacent").set_index("row")
    for row, frame in (("pooled", theirs.pooled), ("prediction", theirs.prediction)):
        for name in ("estimate", "conf_low", "conf_high"):
            assert ours.loc[row, name] == pytest.approx(frame[name], rel=1e-9), (row, name)
    registry = theirs.estimates.frame.query("study == 'registry'").iloc[0]
    assert ours.loc["registry", "weight"] == pytest.approx(registry["weight"], rel=1e-9)


def test_the_registry_is_counted_as_the_studies_count(found, cohort):
    main = occurrence.proportions(cohort).frame.query("time == 365").set_index("outcome")
    for relation in ("adjacent", "any"):
        assert of(found.own, relation)[["n_events", "n"]].to_numpy().tolist() == [
            main.loc[relation, ["n_events", "n_patients"]].tolist()
        ]
    by_film = prepare(Registry.of(cohort.tables, cohort.study.with_("judgement", tier="radiographic")))
    film = occurrence.proportions(by_film).frame.query("time == 365").set_index("outcome")
    same = of(found.own, "same").iloc[0]
    assert same[["n_events", "n"]].tolist() == film.loc["same", ["n_events", "n_patients"]].tolist()
    assert (same["tier_counted"], same["same_tier"]) == ("radiographic", "yes")
    assert "not the registry's main definition" in same["differs"]


def test_what_the_registry_does_not_share_with_the_studies_is_said(found):
    assert "counts to day 365" in of(found.own, "adjacent")["differs"].iloc[0]
    assert "4 of 8 do not say how long" in of(found.own, "adjacent")["differs"].iloc[0]
    assert "do not say what it took" in of(found.own, "any")["differs"].iloc[0]
    assert "2 of the studies leave treated vertebrae out" in of(found.own, "any")["differs"].iloc[0]
    assert of(found.own, "any")["same_tier"].tolist() == ["not stated"]


def test_the_registry_is_drawn_toward_the_studies_without_it(found):
    own = of(found.own, "any").iloc[0]
    error = np.sqrt(own["estimate"] * (1 - own["estimate"]) / own["n"])
    theirs = literature.toward_literature(own["estimate"], error, literature.pool("any", tier="unstated")).frame
    ours = of(found.toward.frame, "any")
    assert ours["row"].tolist() == ["prior", "registry", "shrunken"]
    assert ours["estimate"].to_numpy() == pytest.approx(theirs["estimate"].to_numpy())
    assert ours["weight"].iloc[:2].sum() == pytest.approx(1.0)


def test_a_registry_without_any_refracture_joins_and_has_no_interval_of_its_own_when_drawn():
    tables = dict(simulate(60, 5))
    none = Registry.of({"patients": tables["patients"], "augmentations": tables["augmentations"].drop_duplicates(
        "patient_id")})  # fmt: skip
    found = reviewed.of_cohort(prepare(none))
    assert (found.own["n_events"] == 0).all()
    assert (found.with_registry.frame.query("row == 'registry'")["estimate"] == 0).all()
    drawn = found.toward.frame.set_index(["relation", "row"])
    for relation in ("same", "adjacent", "any"):
        assert 0 < drawn.loc[(relation, "shrunken"), "estimate"] < drawn.loc[(relation, "prior"), "estimate"]
        assert np.isnan(drawn.loc[(relation, "shrunken"), "conf_low"])
        assert "no event" in drawn.loc[(relation, "shrunken"), "note"]


def test_a_registry_of_one_patient_joins():
    tables = dict(simulate(60, 5))
    entered = cut(tables.items(), tables["patients"]["patient_id"].iloc[:1])
    found = reviewed.of_cohort(entered)
    assert found.own["n"].max() <= 1
    assert len(found.studies) == 30


def test_a_registry_that_nobody_was_followed_in_leaves_a_reason(cohort):
    nobody = occurrence.proportions(cohort)
    frame = nobody.frame.assign(n_events=0, n_patients=0)
    found = reviewed.of_cohort(cohort, type(nobody)(frame, nobody.settings))
    adjacent = of(found.own, "adjacent").iloc[0]
    assert adjacent["reason"] == "Nobody was followed to day 365 or fractured before it."
    assert of(found.with_registry.frame, "adjacent").empty
    assert of(found.toward.frame, "adjacent").empty


def test_the_literature_is_the_same_for_every_registry_and_changing_one_changes_no_other(cohort):
    first = reviewed.of_cohort(cohort)
    first.studies.loc[:, "n_events"] = -1.0
    first.pooled.frame.loc[:, "estimate"] = -1.0
    second = reviewed.of_cohort(cohort)
    assert (second.studies["n_events"] > 0).all()
    assert (second.pooled.frame["estimate"] > 0).all()
