"""Published figures counted in a registry as their studies counted, once more and slowly (docs/literature.md, "Like for
like"): who is in, from which day 0, until when, and which events count.

Plain Python on one patient at a time, as in `slow.py`, on whose sightings it stands; each function quotes the sentence
it follows, and "Reading:" says what was chosen where the words leave room. A figure is a row of
`cohort.literature.facts()` as a dict. What is counted: shares of patients, procedures, treated, adjacent and untreated
vertebrae, and of new fractures. Not here: curves, and the studies counted by film.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from slow import entry_day, exit_day, levels_at_risk
from slow_beyond import cleft, worse
from slow_relation import (
    ONE_DAY,
    Patient,
    Row,
    attributed_to,
    distance,
    relation,
    rows_of,
    treated_before,
    treated_levels,
)
from slow_rows import (
    Event,
    Followed,
    days_at_risk,
    has_undated,
    is_of,
    main_population,
    origin_of,
    procedure_days,
    retreatments,
)

import cohort.tables.drugs
from cohort.domain.study import StudyDefinition

Tables = Mapping[str, pd.DataFrame]
KNOWN_ARMS = (
    "technique", "n_levels", "cleft", "corticosteroids", "anti_osteoporotic", "sex", "age", "refractured",
)  # fmt: skip
NO_DRUG = {"drug_class": "", "action_days": ""}
EVERYBODY = ("all_treated", "all_enrolled", "at_risk")
# Levels from cement, where the quantity says more than adjacent or remote: beyond the first, within the second.
DISTANCES = {
    ("dir2024", "untreated vertebrae fractured, 2 segments away"): (1, 2),
    ("kimsh2004", "new fractures among vertebrae at risk (+-5 levels)"): (0, 5),
}


@dataclass
class Unit:
    """Somebody or something that is followed from its own day 0.

    first, last : the first and last day on which its event would count. observed_to : the patient's exit. films : the
    patient's, of whatever level.
    """

    patient: str
    day0: date
    first: date
    last: date
    observed_to: date
    events: list[date]
    films: list[date]


@dataclass(frozen=True)
class Count:
    """Units with the event and units counted, in the arm and without the restriction to it."""

    n_events: int
    n: int
    n_events_all: int
    n_all: int


# ---------------- which events count


def study_of(figure: Row, base: StudyDefinition) -> StudyDefinition:
    """The classification run again under that tier and reach. Adjacent is the next vertebra."""
    tier = figure["tier"] if figure["tier"] in ("radiographic", "clinical", "retreated") else base.judgement.tier
    reach = 1 if figure["relation"] in ("adjacent", "remote") else base.relation.reach
    return base.with_("judgement", tier=tier).with_("relation", reach=reach)


def is_painless(event: Event) -> bool:
    """ "symptomatic" leaves out fractures recorded as painless; those with nothing recorded count."""
    return event.sighting is not None and event.sighting.symptomatic == "no"


def counts(figure: Row, patient: Patient, event: Event) -> bool:
    """Relation; `counts` untreated leaves treated vertebrae out; tier clinical is with pain. Section 7: same is a
    vertebra treated for fracture, and any refracture counts where the relation is any."""
    if figure["tier"] == "clinical" and is_painless(event):
        return False
    near = DISTANCES.get((figure["study_key"], figure["quantity"]))
    if near is not None:
        away = distance(patient, event.level, treated_levels(patient, event.day))
        return near[0] < away <= near[1]
    if figure["relation"] == "any":
        return figure["counts"] != "untreated" or event.relation != "same"
    return is_of(event, figure["relation"])


def events_of(figure: Row, one: Followed) -> list[Event]:
    """Counted refractures; re-treated: the level augmented again."""
    if figure["tier"] == "retreated":
        exit_, entry = exit_day(one.patient), entry_day(one.patient)
        assert entry is not None
        return [event for event in retreatments(one) if entry < event.day <= exit_]
    return [event for event in one.counted if counts(figure, one.patient, event)]


def too_early(figure: Row, one: Followed) -> list[Event]:
    """First-event analyses leave out patients whose first refracture (of that relation) lies on or before entry."""
    if figure["tier"] == "retreated":
        entry = entry_day(one.patient)
        assert entry is not None
        return [event for event in retreatments(one) if event.day <= entry]
    return [event for event in one.early if counts(figure, one.patient, event)]


# ---------------- units, each from its own day 0


def films_of(one: Followed) -> list[date]:
    """Reading 36: shown by `imaging`, or by `imaging_studies` with both levels given. Reading: any level of the
    patient, for units of vertebrae too."""
    studies = {row["date"] for row in one.studies if row["first_level"] is not None and row["last_level"] is not None}
    return sorted({row["date"] for row in one.patient.imaging} | studies)


def unit_of(one: Followed, day0: date, days: list[date], events: list[Event]) -> Unit:
    """days : those on which an event of the unit would count."""
    found = [event.day for event in events if day0 < event.day <= days[-1]]
    return Unit(one.patient.id, day0, days[0], days[-1], exit_day(one.patient), found, films_of(one))


def patients_as_units(figure: Row, one: Followed) -> list[Unit]:
    """From the first dated augmentation (C1-L6); who has a before_index level has no known origin. Who came under
    observation after treatment is left out: a share needs all from day 0 on."""
    origin, patient = origin_of(one.patient), one.patient
    if origin is None or entry_day(patient) != origin or too_early(figure, one):
        return []
    return [unit_of(one, origin, [origin + ONE_DAY, exit_day(patient)], events_of(figure, one))]


def procedures_as_units(figure: Row, one: Followed) -> list[Unit]:
    """A patient and day of augmentation (of C1-L6): an event belongs to the clock (p, q], p its day and q the next
    procedure's. A known origin of its own is enough."""
    patient, entry, units = one.patient, entry_day(one.patient), []
    assert entry is not None
    days = procedure_days(patient)
    for number, day in enumerate(days):
        last = min([exit_day(patient), *days[number + 1 : number + 2]])
        early = [event for event in too_early(figure, one) if day < event.day <= last]
        if day < entry or last <= day or early:
            continue
        units.append(unit_of(one, day, [day + ONE_DAY, last], events_of(figure, one)))
    return units


def treated_vertebrae_as_units(figure: Row, one: Followed) -> list[Unit]:
    """One augmentation of a vertebra at risk, for fracture: from its day to its first counted refracture, its next
    augmentation, death, exit; days off risk are cut out."""
    if figure["relation"] != "same":
        return cement_as_units(figure, one)
    patient, entry, units = one.patient, entry_day(one.patient), []
    assert entry is not None
    for augmentation in patient.augmentations:
        day, level = augmentation.day, augmentation.level
        if day is None or day < entry or augmentation.indication != "fracture" or level not in levels_at_risk(patient):
            continue
        again = [a.day for a in patient.augmentations if a.level == level and a.day is not None and a.day > day]
        last = min([exit_day(patient), *again])
        days = [at_risk for at_risk in days_at_risk(one, level) if day < at_risk <= last]
        if days:
            mine = [event for event in events_of(figure, one) if event.level == level]
            units.append(unit_of(one, day, days, mine))
    return units


def cement_as_units(figure: Row, one: Followed) -> list[Unit]:
    """Fractures next to (far from) a treated vertebra, by treated vertebra: those attributed to it.

    Reading: what is followed is its surroundings, so any indication and any level (S1 too) makes a unit, and treating
    the vertebra again does not end it.
    """
    patient, entry, units = one.patient, entry_day(one.patient), []
    assert entry is not None
    for augmentation in patient.augmentations:
        day = augmentation.day
        if day is not None and entry <= day < exit_day(patient):
            events = events_of(figure, one)
            mine = [e for e in events if attributed_to(patient, e.level, e.day) is augmentation]
            units.append(unit_of(one, day, [day + ONE_DAY, exit_day(patient)], mine))
    return units


def place(figure: Row, patient: Patient, level: str, day: date) -> bool:
    """Whether an untreated vertebra is one of those counted on a day: what section 4 would call a fracture found
    then."""
    treated = treated_levels(patient, day)
    if not treated or level in treated:
        return False
    near = DISTANCES.get((figure["study_key"], figure["quantity"]))
    if near is not None:
        return near[0] < distance(patient, level, treated) <= near[1]
    return figure["relation"] in ("any", relation(patient, level, treated))


def untreated_vertebrae_as_units(figure: Row, one: Followed) -> list[Unit]:
    """A vertebra at risk (T4 to the last lumbar) and not treated, from the session (of S1 too) that made it adjacent
    (remote, untreated) until it is so no longer, in days since the patient's first treatment. Patients with a
    before_index level have no known day 0."""
    patient, origin, units = one.patient, origin_of(one.patient), []
    if origin is None or entry_day(patient) != origin:
        return []
    sessions = sorted({a.day for a in patient.augmentations if a.day is not None})
    for level in levels_at_risk(patient):
        begins = [day for day in sessions if day >= origin and place(figure, patient, level, day + ONE_DAY)]
        if not begins:
            continue
        ends = [day for day in sessions if day > begins[0] and not place(figure, patient, level, day + ONE_DAY)]
        last = min([exit_day(patient), *ends])
        days = [at_risk for at_risk in days_at_risk(one, level) if begins[0] < at_risk <= last]
        if days:
            mine = [event for event in events_of(figure, one) if event.level == level]
            units.append(unit_of(one, origin, days, mine))
    return units


UNITS = {
    "patient": patients_as_units,
    "procedure": procedures_as_units,
    "treated_vertebra": treated_vertebrae_as_units,
    "adjacent_vertebra": untreated_vertebrae_as_units,
    "untreated_vertebra": untreated_vertebrae_as_units,
}


# ---------------- until when, and who is counted


def window_of(figure: Row) -> int | None:
    days = figure["window_days"]
    return None if figure["window_kind"] == "none" or math.isnan(days) else int(days)


def is_counted(figure: Row, unit: Unit, *, films_are_recorded: bool) -> bool:
    """A fixed window: of those followed so long or broken before; of everybody where the source says so; of those with
    a film where it says imaged and the registry records any. A mean or longest follow-up, and no window: everybody
    treated. A least follow-up: those whose follow-up reached it, broken before or not.

    Readings: a vertebra at risk on no day of the window is not counted. Followed so long is at risk on that day or
    later, but a least follow-up is the patient's, which breaking or treating again does not end.
    """
    days = window_of(figure)
    if days is None:
        return True
    end = unit.day0 + timedelta(days=days)
    if unit.first > end:
        return False
    if figure["window_kind"] == "minimum":
        return unit.observed_to >= end
    if figure["window_kind"] != "fixed" or figure["denominator_rule"] in EVERYBODY or is_broken(figure, unit):
        return True
    if figure["denominator_rule"] == "imaged" and films_are_recorded:
        return unit.last >= end and any(unit.day0 < day <= end for day in unit.films)
    return unit.last >= end


def is_broken(figure: Row, unit: Unit) -> bool:
    """By that day; an event on the last day counts."""
    days = window_of(figure)
    end = date.max if days is None else unit.day0 + timedelta(days=days)
    return any(day <= end for day in unit.events)


def new_fractures(figure: Row, one: Followed) -> list[bool]:
    """Every new fracture, whenever it came: whether it is of the relation and came by the window's day.

    Readings: a new fracture is one of an untreated vertebra. Days are `days_since`, counted from the augmentation that
    it is attributed to; with a window one attributed to an undated augmentation is not counted, and who came under
    observation after the first treatment is left out: their early fractures were not seen.
    """
    found, days = [], window_of(figure)
    if days is not None and entry_day(one.patient) != origin_of(one.patient):
        return []
    for event in events_of({**figure, "relation": "any", "counts": "untreated"}, one):
        attributed = attributed_to(one.patient, event.level, event.day)
        assert attributed is not None
        if days is None:
            found.append(counts({**figure, "counts": "untreated"}, one.patient, event))
        elif attributed.day is not None:
            in_time = (event.day - attributed.day).days <= days
            found.append(in_time and counts({**figure, "counts": "untreated"}, one.patient, event))
    return found


# ---------------- what was known at entry


@cache
def drugs() -> dict[str, Row]:
    path = Path(cohort.tables.drugs.__file__).with_name("drugs.csv")
    with path.open(encoding="utf-8") as lines:
        return {row["drug"]: row for row in csv.DictReader(lines)}


def takes(patient: Patient, courses: list[Row], classes: tuple[str, ...]) -> bool:
    """Reading 27: courses with start <= entry < stop. A missing stop: to the end of the drug's duration, or of
    follow-up for daily drugs."""
    entry = entry_day(patient)
    assert entry is not None
    for row in courses:
        listed = drugs().get(row["drug"], NO_DRUG)
        stop = row["stop"]
        if stop is None and listed["action_days"]:
            stop = row["start"] + timedelta(days=int(listed["action_days"]))
        if stop is None:
            stop = exit_day(patient)
        if (row["drug_class"] or listed["drug_class"]) in classes and row["start"] <= entry < stop:
            return True
    return False


def corticosteroids(patient: Patient, courses: list[Row]) -> str | None:
    """Reading 28: where entry is the first augmentation and the patients column is filled, it decides; else dated
    courses for whoever has any."""
    column = patient.row["corticosteroids"]
    entry = entry_day(patient)
    if column is not None and entry == min(procedure_days(patient), default=None) and not has_undated(patient):
        return str(column)
    if any("corticosteroid" in (row["drug_class"], drugs().get(row["drug"], NO_DRUG)["drug_class"]) for row in courses):
        return "yes" if takes(patient, courses, ("corticosteroid",)) else "no"
    return column


def age(patient: Patient) -> float | None:
    """Age at the first augmentation, years."""
    born, origin = patient.row["birth_date"], origin_of(patient)
    if patient.row["age_at_index"] is not None:
        return float(patient.row["age_at_index"])
    return None if born is None or origin is None else (origin - born).days / 365.25


def known_at_entry(key: str, patient: Patient, courses: list[Row], medication_is_recorded: bool) -> Any:
    """What held on the first day at risk: augmentations up to the day of entry, courses current then. None: not
    recorded."""
    entry = entry_day(patient)
    assert entry is not None
    so_far = treated_before(patient, entry + ONE_DAY)
    if key == "technique":
        told = {a.row["technique"] for a in so_far} - {None}
        return None if not told else told.pop() if len(told) == 1 else "mixed"
    if key == "n_levels":
        return len({a.level for a in so_far})
    if key == "cleft":
        found = worse([cleft(a) for a in so_far])
        return None if found == "missing" else found
    if key == "corticosteroids":
        return corticosteroids(patient, courses)
    if key == "anti_osteoporotic":
        if not medication_is_recorded:
            return None
        return "yes" if takes(patient, courses, ("antiresorptive", "anabolic")) else "no"
    return patient.row["sex"] if key == "sex" else age(patient)


def fits(key: str, wanted: str, value: Any) -> bool:
    """A value that is not recorded or not assessable fails."""
    if value is None or value == "not_assessable":
        return False
    if key == "n_levels":
        return value == int(wanted)
    if key == "age":
        return value >= float(wanted.removesuffix(" or more"))
    return value == wanted


def arm_of(figure: Row) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in figure["arm"].split("; ") if part)
    return [(key, value) for key, _, value in pairs]


def is_told(figure: Row) -> bool:
    """Whether the words of its arm are among those followed here."""
    return all(key in KNOWN_ARMS and (key, value) != ("refractured", "adjacent") for key, value in arm_of(figure))


def in_arm(figure: Row, people: list[Followed], tables: Tables) -> set[str]:
    """An arm: those who were of it on the first day at risk; a restriction the registry has no record of is not
    made. refractured: only those with such a fracture; reading: of an untreated vertebra,
    as the figure itself counts them (symptomatic or not)."""
    if not figure["arm"]:
        return {one.patient.id for one in people}
    courses: dict[str, list[Row]] = {}
    for row in rows_of(tables, "medications"):
        courses.setdefault(row["patient_id"], []).append(row)
    kept = {one.patient.id for one in people}
    for key, wanted in arm_of(figure):
        if key == "refractured":
            such = {**figure, "relation": "any", "counts": "untreated", "quantity": ""}
            kept &= {one.patient.id for one in people if events_of(such, one)}
            continue
        values = {
            one.patient.id: known_at_entry(key, one.patient, courses.get(one.patient.id, []), bool(courses))
            for one in people
        }
        if any(value is not None for value in values.values()):
            kept &= {patient for patient, value in values.items() if fits(key, wanted, value)}
    return kept


# ---------------- together


def count(figure: Row, tables: Tables, base: StudyDefinition, known: dict[str, list[Followed]] | None = None) -> Count:
    """Numerator and denominator of one figure.

    known : the patients of the main figures by study definition, filled here, so that several figures share them.
    """
    study = study_of(figure, base)
    known = {} if known is None else known
    if study.digest not in known:
        known[study.digest] = main_population(tables, study)
    people = known[study.digest]
    films_are_recorded = len(tables["imaging"]) + len(tables["imaging_studies"]) > 0
    found: list[tuple[str, bool]] = []
    for one in people:
        if figure["unit"] == "new_fracture":
            found += [(one.patient.id, is_such) for is_such in new_fractures(figure, one)]
            continue
        for unit in UNITS[figure["unit"]](figure, one):
            if is_counted(figure, unit, films_are_recorded=films_are_recorded):
                found.append((unit.patient, is_broken(figure, unit)))
    arm = in_arm(figure, people, tables)
    mine = [is_such for patient, is_such in found if patient in arm]
    return Count(sum(mine), len(mine), sum(is_such for _, is_such in found), len(found))
