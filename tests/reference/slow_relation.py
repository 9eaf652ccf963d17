"""A patient as plain values, and where a level lies among the treated ones (sections 2 and 4 of the rules)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd

from cohort.domain.study import StudyDefinition

Row = dict[str, Any]
ONE_DAY = timedelta(days=1)


# ---------------- plain values


def plain(value: Any) -> Any:
    """A missing value of any sort as None, a timestamp as a calendar date."""
    if value is None or pd.isna(value):
        return None
    return value.date() if isinstance(value, pd.Timestamp) else value


def rows_of(tables: Mapping[str, pd.DataFrame], name: str) -> list[Row]:
    if name not in tables:
        return []
    return [{key: plain(value) for key, value in row.items()} for row in tables[name].to_dict("records")]


@dataclass
class Augmentation:
    id: str
    level: str
    day: date | None  # None: before_index
    indication: str
    row: Row


@dataclass
class Sighting:
    id: str
    level: str
    day: date
    origin: str  # recorded, implied, imaging
    kind: str  # as taken in section 4: the registry's, or the judgement of section 5; "unjudged" without either
    last_clear: date | None = None
    symptomatic: str | None = None
    trauma: str | None = None
    repeat_of: str = ""
    kept: bool = False


@dataclass
class Patient:
    """One patient: the rows of every table, as plain values."""

    id: str
    row: Row
    augmentations: list[Augmentation]
    fractures: list[Row]
    imaging: list[Row]
    assessments: list[Row]
    excluded: list[Row]
    study: StudyDefinition
    spine: list[str] = field(default_factory=list)


def patients_of(tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> list[Patient]:
    """Every patient with its own rows, in the order of the patients table."""
    by_patient: dict[str, dict[str, list[Row]]] = {}
    names = ("augmentations", "fractures", "imaging", "assessments", "excluded_levels")
    patients = rows_of(tables, "patients")
    for row in patients:
        by_patient[row["patient_id"]] = {name: [] for name in names}
    for name in names:
        for row in rows_of(tables, name):
            by_patient[row["patient_id"]][name].append(row)
    found = []
    for row in patients:
        mine = by_patient[row["patient_id"]]
        patient = Patient(
            row["patient_id"], row, treated_vertebrae(mine["augmentations"]), mine["fractures"], mine["imaging"],
            mine["assessments"], mine["excluded_levels"], study,
        )  # fmt: skip
        patient.spine = spine_of(row)
        found.append(patient)
    return found


# ---------------- section 2: levels


def spine_of(row: Row) -> list[str]:
    """A patient with n_thoracic 13 has T13 between T12 and L1; with 11, T11 is followed by L1; n_lumbar 6 has L6
    between L5 and S1; 4 puts S1 next to L4."""
    n_thoracic = 12 if row.get("n_thoracic") is None else int(row["n_thoracic"])
    n_lumbar = 5 if row.get("n_lumbar") is None else int(row["n_lumbar"])
    cervical = [f"C{i}" for i in range(1, 8)]
    thoracic = [f"T{i}" for i in range(1, n_thoracic + 1)]
    lumbar = [f"L{i}" for i in range(1, n_lumbar + 1)]
    return [*cervical, *thoracic, *lumbar, "S1"]


# ---------------- section 4: relation


def treated_vertebrae(rows: list[Row]) -> list[Augmentation]:
    """Two augmentation rows of one level and day (or both before_index) are one treated vertebra, with the id,
    indication and columns of the row whose id sorts first as text."""
    chosen: dict[tuple[str, date | None], Row] = {}
    for row in rows:
        day = None if row["date_precision"] == "before_index" else row["date"]
        key = (row["level"], day)
        if key not in chosen or row["augmentation_id"] < chosen[key]["augmentation_id"]:
            chosen[key] = row
    return [
        # reading 22: a missing indication is a fracture, everywhere
        Augmentation(row["augmentation_id"], level, day, row["indication"] or "fracture", row)
        for (level, day), row in chosen.items()
    ]


def is_before(augmentation: Augmentation, day: date) -> bool:
    """With date_precision = before_index a level is in A on every day."""
    return augmentation.day is None or augmentation.day < day


def treated_before(patient: Patient, day: date) -> list[Augmentation]:
    """The treated set A is every level that the patient had augmented before day t."""
    return [augmentation for augmentation in patient.augmentations if is_before(augmentation, day)]


def levels_between(patient: Patient, one: str, other: str) -> int:
    """Neighbours follow the patient's own row."""
    return abs(patient.spine.index(one) - patient.spine.index(other))


def distance(patient: Patient, level: str, treated: set[str]) -> int:
    """distance: levels to the nearest treated one (0, 1, ...)."""
    return min(levels_between(patient, level, other) for other in treated)


def relation(patient: Patient, level: str, treated: set[str]) -> str:
    """A empty: before_treatment. l in A: same. Otherwise l next to a level of A: adjacent (reach 1, a setting).
    Otherwise remote."""
    if not treated:
        return "before_treatment"
    if level in treated:
        return "same"
    if distance(patient, level, treated) <= patient.study.relation.reach:
        return "adjacent"
    return "remote"


def side(patient: Patient, level: str, treated: set[str]) -> str:
    """side: cranial (the fracture lies above its nearest treated level), caudal (below), both (as near to one above
    as to one below), empty for same. All empty before treatment."""
    if not treated or level in treated:
        return ""
    nearest = distance(patient, level, treated)
    here = patient.spine.index(level)
    sides = set()
    for other in treated:
        if levels_between(patient, level, other) == nearest:
            sides.add("cranial" if here < patient.spine.index(other) else "caudal")
    return "both" if len(sides) == 2 else sides.pop()


def sandwiched(patient: Patient, level: str, treated: set[str]) -> str:
    """sandwiched (yes/no): l untreated and both its direct neighbours in A, whatever the reach. All empty before
    treatment."""
    if not treated:
        return ""
    here = patient.spine.index(level)
    has_both_neighbours = 0 < here < len(patient.spine) - 1
    if level in treated or not has_both_neighbours:
        return "no"
    return "yes" if patient.spine[here - 1] in treated and patient.spine[here + 1] in treated else "no"


def attributed_to(patient: Patient, level: str, day: date) -> Augmentation | None:
    """augmentation_id: the augmentation it is attributed to: nearest level first, then the latest date
    (before_index ranks as the earliest date), then the more caudal level."""
    best: Augmentation | None = None
    best_rank: tuple[int, date, int] | None = None
    for augmentation in treated_before(patient, day):
        rank = (
            -levels_between(patient, level, augmentation.level),
            augmentation.day or date.min,
            patient.spine.index(augmentation.level),
        )
        if best_rank is None or rank > best_rank:
            best, best_rank = augmentation, rank
    return best


def latest_augmentation(patient: Patient, level: str, day: date) -> Augmentation | None:
    """The latest augmentation of this level before the day; a before_index one ranks as the earliest date."""
    mine = [augmentation for augmentation in treated_before(patient, day) if augmentation.level == level]
    return max(mine, key=lambda augmentation: augmentation.day or date.min) if mine else None


def treated_levels(patient: Patient, day: date) -> set[str]:
    return {augmentation.level for augmentation in treated_before(patient, day)}


def is_treated(patient: Patient, level: str, day: date) -> bool:
    return level in treated_levels(patient, day)


def days_since(augmentation: Augmentation | None, day: date) -> float:
    """days_since: from it to t (before_index: days_since empty)."""
    if augmentation is None or augmentation.day is None:
        return float("nan")
    return float((day - augmentation.day).days)


def relation_earliest(patient: Patient, sighting: Sighting) -> str:
    """relation_earliest: the relation on the day after last_clear_date, when that is given."""
    if sighting.last_clear is None:
        return ""
    return relation(patient, sighting.level, treated_levels(patient, sighting.last_clear + ONE_DAY))
