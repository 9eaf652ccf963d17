"""Small visible cohorts, and a second, slow engine that walks them day by day.

Tables are written with `|`; dates are whole days, day 0 being 2020-01-01; an empty cell is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cohort import atrisk
from cohort.domain import outcomes
from cohort.domain.study import StudyDefinition
from cohort.tables.results import CountingProcess
from cohort.tables.schema import CANONICAL, Column, Table, empty

EMPTY = {name: empty(spec) for name, spec in CANONICAL.items()}
DAY_0 = pd.Timestamp("2020-01-01")
YES_NO = Column("", "yes_no", "")
TEXT = Column("", "text", "")

STAGED_AND_RETREATS = (Column("staged_from", "date", ""), Column("retreats", "yes_no", ""))
SIGHTINGS = (
    Column("fracture_id", "id", ""),
    Column("patient_id", "id", ""),
    Column("date", "date", ""),
    Column("level", "level", ""),
    Column("relation", "vocabulary", "", vocabulary=outcomes.RELATIONS),
    Column("distance", "number", ""),
    Column("treated_for", "vocabulary", "", vocabulary=outcomes.INDICATIONS),
    Column("kind_judged", "vocabulary", "", vocabulary=outcomes.KINDS_JUDGED),
    Column("counted", "yes_no", ""),
    Column("onset_unproven", "yes_no", ""),
    Column("last_clear_date", "date", ""),
    Column("film_date", "date", ""),
    Column("judged_cell", "text", ""),
    Column("kept", "yes_no", ""),
    Column("not_counted_because", "vocabulary", "", vocabulary=outcomes.NOT_COUNTED),
)
SIGHTING_DEFAULTS = {"kind_judged": "unjudged", "counted": "yes", "onset_unproven": "no", "kept": "yes"}


def spine_of(n_thoracic: int = 12, n_lumbar: int = 5) -> list[str]:
    return [
        *(f"C{k}" for k in range(1, 8)),
        *(f"T{k}" for k in range(1, n_thoracic + 1)),
        *(f"L{k}" for k in range(1, n_lumbar + 1)),
        "S1",
    ]


def read(columns: tuple[Column, ...], text: str, defaults: Mapping[str, str] | None = None) -> pd.DataFrame:
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines() if line.strip()]
    frame = pd.DataFrame(lines[1:], columns=lines[0]) if lines else pd.DataFrame()
    return typed(columns, frame, defaults)


def typed(
    columns: tuple[Column, ...], written: pd.DataFrame, defaults: Mapping[str, str] | None = None
) -> pd.DataFrame:
    known = {column.name: column for column in columns}
    result = {}
    for name in [*known, *(extra for extra in written if extra not in known)]:
        column = known.get(name, TEXT)
        cells = [cell or (defaults or {}).get(name) for cell in written[name]] if name in written else None
        cells = cells if cells is not None else [(defaults or {}).get(name)] * len(written)
        if column.kind == "date":
            days = [np.nan if cell is None else float(cell) for cell in cells]
            result[name] = pd.Series(DAY_0 + pd.to_timedelta(days, unit="D"), dtype="datetime64[ns]")
        else:
            numbers = column.kind in ("number", "integer")
            values = [None if cell is None else float(cell) if numbers else cell for cell in cells]
            result[name] = pd.Series(values, dtype=column.dtype)
    return pd.DataFrame(result)


@dataclass(frozen=True)
class Case:
    """A small cohort with its sightings, and every function of the stage on it."""

    tables: dict[str, pd.DataFrame]
    sightings: pd.DataFrame
    augmentations: pd.DataFrame
    study: StudyDefinition

    def person_time(self, **options: Any) -> pd.DataFrame:
        return atrisk.person_time(self.tables, self.sightings, self.augmentations, self.study, **options)

    def days(self, **options: Any) -> dict[tuple[str, str], int]:
        """Vertebra-days by (level, role)."""
        frame = self.person_time(**options)
        return dict(zip(zip(frame["level"], frame["role"], strict=True), frame["vertebra_days"], strict=True))

    def events(self, **options: Any) -> dict[tuple[str, str], int]:
        frame = self.person_time(**options)
        frame = frame[frame["events"] > 0]
        return dict(zip(zip(frame["level"], frame["role"], strict=True), frame["events"], strict=True))

    def by_patient(self, **options: Any) -> pd.DataFrame:
        return atrisk.person_time_by_patient(self.tables, self.sightings, self.augmentations, self.study, **options)

    def follow_up(self) -> pd.DataFrame:
        return atrisk.follow_up_table(self.tables, self.augmentations, self.study)

    def first_events(self, endpoint: Any, **options: Any) -> CountingProcess:
        return atrisk.first_event_rows(
            self.tables, self.sightings, self.augmentations, self.study, endpoint=endpoint, **options
        )

    def first_left_out(self, endpoint: Any) -> dict[str, int]:
        frame = atrisk.first_event_left_out(
            self.tables, self.sightings, self.augmentations, self.study, endpoint=endpoint
        )
        return {reason: n for reason, n in zip(frame["reason"], frame["n_patients"], strict=True) if n}

    def vertebrae(self, role: Any) -> pd.DataFrame:
        return atrisk.vertebra_rows(self.tables, self.sightings, self.augmentations, self.study, role=role).frame

    def baseline(self) -> pd.DataFrame:
        return atrisk.baseline(self.tables, self.augmentations, self.study)


def make(
    *,
    patients: str | pd.DataFrame,
    augmentations: str | pd.DataFrame = "patient_id",
    sightings: str | pd.DataFrame = "patient_id",
    medications: str | pd.DataFrame = "patient_id",
    excluded_levels: str | pd.DataFrame = "patient_id",
    imaging: str = "patient_id",
    imaging_studies: str = "patient_id",
    study: StudyDefinition | None = None,
) -> Case:
    def table(spec: Table, text: str | pd.DataFrame, more: tuple[Column, ...] = ()) -> pd.DataFrame:
        columns = (*spec.columns, *more)
        return read(columns, text) if isinstance(text, str) else typed(columns, text)

    tables = dict(EMPTY)
    tables["patients"] = table(CANONICAL["patients"], patients)
    tables["medications"] = table(CANONICAL["medications"], medications)
    tables["excluded_levels"] = table(CANONICAL["excluded_levels"], excluded_levels)
    tables["imaging"] = table(CANONICAL["imaging"], imaging)
    tables["imaging_studies"] = table(CANONICAL["imaging_studies"], imaging_studies)
    augmented = table(CANONICAL["augmentations"], augmentations, STAGED_AND_RETREATS)
    tables["augmentations"] = augmented
    if isinstance(sightings, str):
        seen = read(SIGHTINGS, sightings, SIGHTING_DEFAULTS)
    else:
        seen = typed(SIGHTINGS, sightings, SIGHTING_DEFAULTS)
    return Case(tables, placed(seen, tables["patients"], augmented), augmented, study or StudyDefinition())


def placed(seen: pd.DataFrame, patients: pd.DataFrame, augmented: pd.DataFrame) -> pd.DataFrame:
    """Fill relation, distance and treated_for of each sighting, one by one."""
    walk = {row.patient_id: Walk(row, augmented) for row in patients.itertuples()}
    seen = seen.copy()
    for row in seen.itertuples():
        day = whole_day(row.date)
        relation, distance, treated_for = walk[row.patient_id].place(str(row.level), day)
        untold = row.counted != "yes" and row.kept == "yes" and pd.isna(row.not_counted_because)
        if untold and day <= walk[row.patient_id].entry:
            seen.loc[row.Index, "not_counted_because"] = "not_after_entry"
        seen.loc[row.Index, "relation"] = relation
        if distance is not None:
            seen.loc[row.Index, "distance"] = distance
        if treated_for is not None:
            seen.loc[row.Index, "treated_for"] = treated_for
    return seen


def whole_day(date: Any, missing: int | None = None) -> Any:
    return missing if pd.isna(date) else (date - DAY_0).days


EARLIEST = -10_000
LATEST = 100_000


class Walk:
    """One patient, day by day: plain loops over plain lists."""

    def __init__(self, patient: Any, augmented: pd.DataFrame) -> None:
        counts = [12 if pd.isna(patient.n_thoracic) else int(patient.n_thoracic)]
        counts += [5 if pd.isna(patient.n_lumbar) else int(patient.n_lumbar)]
        self.spine = spine_of(*counts)
        self.augmented = []
        for row in augmented[augmented["patient_id"] == patient.patient_id].itertuples():
            indication = "fracture" if pd.isna(row.indication) else row.indication
            day = whole_day(row.date, EARLIEST)
            self.augmented.append((day, str(row.level), indication, whole_day(row.staged_from)))
        death, end = whole_day(patient.death_date, LATEST), whole_day(patient.follow_up_end)
        dated = [day for day, level, *_ in self.augmented if day != EARLIEST and level != "S1"]
        undated = [day for day, level, *_ in self.augmented if day == EARLIEST and level != "S1"]
        enrolled = whole_day(patient.enrolled_on)
        self.exit = min(death, end)
        if undated and enrolled is not None:
            self.entry = enrolled
        elif dated:
            self.entry = max(min(dated), EARLIEST if enrolled is None else enrolled)
        else:
            self.entry = LATEST

    def latest(self, level: str, day: int) -> str | None:
        """Indication of the latest augmentation of a level before a day."""
        before = [(u, indication) for u, at, indication, _ in self.augmented if at == level and u < day]
        return max(before)[1] if before else None

    def place(self, level: str, day: int) -> tuple[str, int | None, str | None]:
        treated = [self.spine.index(at) for u, at, *_ in self.augmented if u < day]
        if not treated:
            return "before_treatment", None, None
        distance = min(abs(self.spine.index(level) - other) for other in treated)
        relation = "same" if distance == 0 else "adjacent" if distance == 1 else "remote"
        return relation, distance, self.latest(level, day)

    def role(self, level: str, day: int) -> str:
        relation, _, treated_for = self.place(level, day)
        if relation != "same":
            return relation
        return "treated" if treated_for == "fracture" else f"treated_{treated_for}"

    def off_risk(self, level: str, day: int, seen: list[Any], excluded: list[Any], healing_days: int) -> bool:
        augmented = [(u, p) for u, at, _, p in self.augmented if at == level]
        if any(p is not None and p < day <= u for u, p in augmented):
            return True
        for at, s, kept, _ in seen:
            if at == level and kept and s < day <= min([s + healing_days, *(u for u, _ in augmented if u >= s)]):
                return True
        return any(at == level and start < day <= stop for at, start, stop in excluded)

    def only_new_counts(self, level: str, day: int, seen: list[Any]) -> bool:
        """Whether an unjudged sighting here, on a day at risk, would be a repeat of an earlier one."""
        augmented = [u for u, at, *_ in self.augmented if at == level]
        return any(
            at == level and (kept or old) and s < day and not any(s <= u < day for u in augmented)
            for at, s, kept, old in seen
        )


def seen_by(case: Case, patient_id: str) -> list[tuple[str, int, bool, bool]]:
    """Level, day, kept, and old at an untreated level of each sighting of a patient."""
    rows = case.sightings[case.sightings["patient_id"] == patient_id]
    return [
        (
            str(row.level),
            whole_day(row.date),
            row.kept == "yes",
            row.kept != "yes" and row.kind_judged == "old" and row.relation != "same",
        )
        for row in rows.itertuples()
    ]


def excluded_of(case: Case, patient_id: str) -> list[tuple[str, int, int]]:
    rows = case.tables["excluded_levels"]
    rows = rows[rows["patient_id"] == patient_id]
    return [(str(r[1]), whole_day(r[3], EARLIEST * 2), whole_day(r[4], LATEST)) for r in rows.itertuples(index=False)]


@dataclass
class Slow:
    days: Counter[tuple[str, str, str]]
    healed: Counter[tuple[str, str, str]]
    off: int
    levels_times_days: int


def walk(case: Case) -> Slow:
    """Every patient, every vertebra, every day; the default range T4 to the last lumbar."""
    result = Slow(Counter(), Counter(), 0, 0)
    healing_days = case.study.relation.healing_days
    for patient in case.tables["patients"].itertuples():
        one = Walk(patient, case.augmentations)
        seen, excluded = seen_by(case, patient.patient_id), excluded_of(case, patient.patient_id)
        for level in one.spine[one.spine.index("T4") : -1]:
            for day in range(one.entry + 1, one.exit + 1):
                result.levels_times_days += 1
                if one.off_risk(level, day, seen, excluded, healing_days):
                    result.off += 1
                    continue
                cell = (patient.patient_id, level, one.role(level, day))
                result.days[cell] += 1
                result.healed[cell] += one.only_new_counts(level, day, seen)
    return result


def with_events(case: Case) -> Case:
    """Count every kept sighting that lies at risk, one per vertebra and day."""
    seen = case.sightings.copy()
    patients = {row.patient_id: Walk(row, case.augmentations) for row in case.tables["patients"].itertuples()}
    done: set[tuple[str, str, int]] = set()
    for row in case.sightings.itertuples():
        one, day, level = patients[row.patient_id], whole_day(row.date), str(row.level)
        at_risk = one.entry < day <= one.exit and level in one.spine[one.spine.index("T4") : -1]
        own, excluded = seen_by(case, row.patient_id), excluded_of(case, row.patient_id)
        at_risk = at_risk and not one.off_risk(level, day, own, excluded, case.study.relation.healing_days)
        if row.kept == "yes" and at_risk and (row.patient_id, level, day) not in done:
            done.add((row.patient_id, level, day))
            seen.loc[row.Index, "counted"] = "yes"
    return replace(case, sightings=seen)


@pytest.fixture(scope="session")
def cohort_of() -> Callable[..., Case]:
    return make


@pytest.fixture(scope="session")
def slow() -> Callable[[Case], Slow]:
    return walk


@pytest.fixture(scope="session")
def counting() -> Callable[[Case], Case]:
    return with_events
