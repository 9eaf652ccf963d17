"""The four cases of the review, from raw tables to classified sightings: every event as the review tells it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cohort.atrisk import person_time
from cohort.domain.study import StudyDefinition, load_study
from cohort.intake import read
from cohort.refracture import classify

CASES = Path(__file__).resolve().parents[2] / "data" / "cases"

Story = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def registry():
    return read(CASES)


@pytest.fixture(scope="module")
def classified(registry):
    study: StudyDefinition = registry.study
    return classify(registry.tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk)


@pytest.fixture(scope="module")
def sighting(classified) -> Story:
    """One sighting by its id, with the day of the interval's start instead of a date, and plain text for empty."""
    frame = classified.sightings.set_index("fracture_id")

    def of(fracture_id: str) -> dict[str, Any]:
        row = frame.loc[fracture_id]
        told = {name: "" if pd.isna(value) else value for name, value in row.items()}
        clear = row["last_clear_date"]
        told["interval_days"] = "" if pd.isna(clear) else (row["date"] - clear).days
        return told

    return of


@pytest.fixture(scope="module")
def counted(classified) -> Callable[[str], list[tuple[str, str]]]:
    """The counted sightings of a case: id and level, in the order they were found, cranial first."""
    frame = classified.sightings

    def of(case: str) -> list[tuple[str, str]]:
        rows = frame[(frame["patient_id"] == case) & (frame["counted"] == "yes")]
        return [(row.fracture_id, f"{row.level} {row.relation}") for row in rows.itertuples()]

    return of


def tells(row: dict[str, Any], **expected: Any) -> bool:
    """Whether a sighting is what the review says; the message of a failure shows every difference."""
    differs = {name: (row[name], value) for name, value in expected.items() if row[name] != value}
    assert not differs, f"{row['level']} (found, expected): {differs}"
    return True


def test_every_row_of_the_cases_is_read(registry):
    assert registry.rejected.empty
    assert registry.accounting["rows_rejected"].sum() == 0
    assert registry["patients"]["patient_id"].tolist() == ["case1", "case2", "case3", "case4"]
    undated = registry["augmentations"].query("date_precision == 'before_index'")
    assert sorted(f"{row.patient_id} {row.level}" for row in undated.itertuples()) == [
        "case2 L1",
        "case2 T11",
        "case3 L1",
    ]


def test_case_1_the_treated_vertebra_collapses_and_its_healed_neighbour_breaks_anew(sighting, counted):
    # L4, inferior endplate; cement along the superior endplate only. MRI at four weeks, CT at six.
    assert counted("case1") == [("c1-w4-L3", "L3 adjacent"), ("c1-w4-L4", "L4 same")]
    assert tells(
        sighting("c1-w4-L4"), relation="same", distance=0, side="", sandwiched="no", augmentation_id="c1-index",
        treated_for="fracture", days_since=28, interval_days=28, relation_earliest="same", kind_judged="progression",
        mechanisms="endplate_unfilled", onset_unproven="no", trauma="no", symptomatic="yes",
    )  # fmt: skip
    # L3 had an old fracture of its superior endplate: healed, so that new edema is a new fracture and no repeat.
    assert tells(
        sighting("c1-w4-L3"), relation="adjacent", distance=1, side="cranial", sandwiched="no",
        augmentation_id="c1-index", days_since=28, interval_days=28, relation_earliest="adjacent", kind_judged="new",
        repeat_of="", mechanisms="",
    )  # fmt: skip
    assert tells(sighting("c1-prior:L3"), relation="before_treatment", not_counted_because="before_treatment")
    assert tells(sighting("c1-pre-L3"), relation="before_treatment", repeat_of="c1-prior:L3", kept="no")
    # The CT at six weeks shows the same two fractures further on, and the old one unchanged.
    assert tells(sighting("c1-w6-L4"), repeat_of="c1-w4-L4", not_counted_because="repeat", days_since=42)
    assert tells(sighting("c1-w6-L3"), repeat_of="c1-w4-L3", not_counted_because="repeat", days_since=42)
    assert tells(sighting("c1-w6-L3-old"), repeat_of="c1-w4-L3", not_counted_because="repeat")


def test_case_2_the_fracture_is_hardly_filled_and_cement_lies_in_the_disc(sighting, counted):
    # T11 and L1 were augmented before the registry began; the L4 fracture after a fall is remote to them.
    assert tells(
        sighting("c2-pre-L4"), relation="remote", distance=3, side="caudal", augmentation_id="c2-prior:L1",
        days_since="", counted="no", not_counted_because="not_after_entry",
    )  # fmt: skip
    assert counted("case2") == [("c2-w6-L4", "L4 same")]
    assert tells(
        sighting("c2-w6-L4"), relation="same", distance=0, side="", augmentation_id="c2-index", days_since=42,
        interval_days=42, relation_earliest="same", kind_judged="progression", trauma="no",
        mechanisms="underfilled_with_disc_leak",
    )  # fmt: skip


def test_case_3_the_cement_misses_the_fracture_and_the_vertebra_above_follows(sighting, counted, classified):
    assert tells(
        sighting("c3-pre-L4"), relation="remote", distance=3, side="caudal", not_counted_because="not_after_entry"
    )
    assert counted("case3") == [("c3-w5-L3", "L3 adjacent"), ("c3-w5-L4", "L4 same")]
    # Cement below a fractured superior endplate: the fracture was missed, and with it its endplate was not reached.
    assert tells(
        sighting("c3-w5-L4"), relation="same", distance=0, augmentation_id="c3-index", days_since=35, interval_days=35,
        kind_judged="progression", mechanisms="endplate_unfilled;fracture_missed",
    )  # fmt: skip
    assert tells(
        sighting("c3-w5-L3"), relation="adjacent", distance=1, side="cranial", sandwiched="no",
        augmentation_id="c3-index", days_since=35, interval_days=35, relation_earliest="adjacent", kind_judged="new",
    )  # fmt: skip
    # The second procedure within five weeks is a retreatment, not a stage of the first.
    augmentations = classified.augmentations.set_index("augmentation_id")
    again, first = augmentations.loc["c3-repeat"], augmentations.loc["c3-index"]
    assert 0 < (again["date"] - first["date"]).days <= 35
    assert (again["retreats"], again["cement"], pd.isna(again["staged_from"])) == ("yes", "bioactive", True)


def test_case_4_a_remote_fracture_is_treated_and_fails_at_its_unfilled_cleft(sighting, counted):
    # T9, L3 and L4 were augmented ten months before the fall; L1 lies two levels above L3.
    assert counted("case4") == [("c4-pre-L1", "L1 remote"), ("c4-m3-L1", "L1 same")]
    assert tells(
        sighting("c4-pre-L1"), relation="remote", distance=2, side="cranial", sandwiched="no",
        augmentation_id="c4-prior:L3", days_since=305, relation_earliest="", trauma="yes", mechanisms="",
    )  # fmt: skip
    # The review names no film of L1 before the fall, so nothing proves when it broke.
    assert sighting("c4-pre-L1")["onset_unproven"] == "yes"
    assert tells(
        sighting("c4-m3-L1"), relation="same", distance=0, side="", augmentation_id="c4-index", days_since=91,
        interval_days=91, relation_earliest="same", kind_judged="progression", mechanisms="cleft_unfilled", trauma="no",
    )  # fmt: skip


def test_case_4_the_old_fracture_between_treated_vertebrae_is_no_event(sighting):
    assert tells(
        sighting("c4-m3-L2"), relation="adjacent", distance=1, side="both", sandwiched="yes", kind_judged="old",
        counted="no", not_counted_because="old", kept="no",
    )  # fmt: skip
    assert tells(sighting("c4-ct-L2"), repeat_of="c4-m3-L2", counted="no", not_counted_because="repeat")


@pytest.mark.parametrize(
    ("augmentation", "other_side", "event", "mechanisms"),
    [
        # The legend of Figure 2A has both endplates broken and cement at the superior one.
        (
            "c2-index",
            {"fracture_endplate": "both", "cement_endplate": "superior"},
            "c2-w6-L4",
            "endplate_unfilled;underfilled_with_disc_leak",
        ),
        # Whether cement touched the inferior endplate in case 3, or how little filled the cleft in case 4: no matter.
        ("c3-index", {"cement_endplate": "none"}, "c3-w5-L4", "endplate_unfilled;fracture_missed"),
        ("c4-index", {"cleft_filled": "none"}, "c4-m3-L1", "cleft_unfilled"),
    ],
)
def test_the_other_side_of_a_conflict_does_what_the_readme_says(registry, augmentation, other_side, event, mechanisms):
    tables, study = dict(registry.tables), registry.study
    changed = tables["augmentations"].copy()
    changed.loc[changed["augmentation_id"] == augmentation, list(other_side)] = list(other_side.values())
    tables["augmentations"] = changed
    again = classify(tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk)
    assert again.sightings.set_index("fracture_id").loc[event, "mechanisms"] == mechanisms


def test_case_1_without_the_word_new_the_edema_of_l3_would_be_its_old_fracture(registry):
    # A film alone cannot tell a healed fracture from a new one: the judgement `new` makes the event.
    tables, study = dict(registry.tables), registry.study
    unjudged = tables["fractures"].copy()
    unjudged.loc[unjudged["fracture_id"] == "c1-w4-L3", "kind"] = None
    tables["fractures"] = unjudged
    again = classify(tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk)
    row = again.sightings.set_index("fracture_id").loc["c1-w4-L3"]
    assert (row["repeat_of"], row["not_counted_because"]) == ("c1-prior:L3", "repeat")


def test_the_events_of_person_time_are_those_of_the_stories(registry, classified):
    # Four same-level refractures, two adjacent ones at L3, and the L1 fracture before it was treated.
    counts = person_time(registry.tables, classified.sightings, classified.augmentations, registry.study)
    events = counts[counts["events"] > 0]
    assert [(row.level, row.role, row.events) for row in events.itertuples()] == [
        ("L1", "treated", 1),
        ("L1", "remote", 1),
        ("L3", "adjacent", 2),
        ("L4", "treated", 3),
    ]


def test_nothing_is_implied_since_every_second_procedure_follows_a_film(classified):
    assert (classified.sightings["implied"] == "no").all()
    assert (classified.sightings["origin_of_row"] == "recorded").all()
    retreated = classified.augmentations.query("retreats == 'yes'")
    assert retreated["augmentation_id"].tolist() == ["c2-repeat", "c3-repeat", "c4-repeat"]
    assert retreated["staged_from"].isna().all()


def test_every_row_names_the_sentences_it_encodes():
    readme = (CASES / "README.md").read_text(encoding="utf-8").split("## Rows and their sentences")[1]
    tags = {"F"}.union(*(cell.split() for cell in re.findall(r"^\| ([^|]+) \|", readme, flags=re.MULTILINE)))
    for table in sorted(CASES.glob("*.csv")):
        basis = pd.read_csv(table, dtype=str)["basis"]
        assert basis.notna().all(), table.name
        assert set(" ".join(basis).split()) <= tags, table.name


def test_the_cases_use_the_default_rules():
    study, default = load_study(CASES / "study.toml"), StudyDefinition()
    assert (study.relation, study.judgement, study.at_risk) == (default.relation, default.judgement, default.at_risk)
