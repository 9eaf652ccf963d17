"""Rows for models, several procedures, splits, washout, last look and when it broke (section 7 of the rules), once
more and slowly: patient by patient and day by day.

Every row has patient_id, unit, entry, exit, cause and lower: days since the unit's origin, time at risk being
(entry, exit]; cause "" and lower NaN where nothing happened. As in `slow.py` each function quotes the sentence it
follows.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pandas as pd
from slow import (
    ANATOMY,
    ROLES,
    entry_day,
    exit_day,
    is_excluded,
    levels_at_risk,
    not_counted_because,
    off_risk_after,
    onset_unproven,
    retreats,
    role,
    sightings_of,
    staged_days_of,
)
from slow_judgement import film_of, finding_of
from slow_relation import (
    ONE_DAY,
    Augmentation,
    Patient,
    Row,
    Sighting,
    latest_augmentation,
    patients_of,
    relation,
    rows_of,
    treated_levels,
)
from slow_sightings import augmented_between, kind_taken, sessions, staged_from

from cohort.domain.study import StudyDefinition

Tables = Mapping[str, pd.DataFrame]
COLUMNS = ("patient_id", "unit", "entry", "exit", "cause", "lower")
RELATIONS = ("same", "adjacent", "remote")
AGE_CUTS = (65, 75, 85)
SINCE_CUTS = (30, 90, 365)


@dataclass
class Followed:
    """A patient with the studies that show its spine, its sightings, and those that are events or came too early."""

    patient: Patient
    studies: list[Row]
    sightings: list[Sighting]
    counted: list[Event] = field(default_factory=list)
    early: list[Event] = field(default_factory=list)


@dataclass
class Event:
    """A refracture, or a re-treatment (which has no sighting)."""

    day: date
    level: str
    relation: str
    treated_for: str
    sighting: Sighting | None = None


def followed(tables: Tables, study: StudyDefinition) -> list[Followed]:
    if study.at_risk.death_closes:
        raise NotImplementedError("the slow rows know no follow-up closed by a later death")
    studies: dict[str, list[Row]] = {}
    for row in rows_of(tables, "imaging_studies"):
        studies.setdefault(row["patient_id"], []).append(row)
    found = []
    for patient in patients_of(tables, study):
        one = Followed(patient, studies.get(patient.id, []), sightings_of(patient))
        one.counted, one.early = counted_events(one), early_events(one)
        found.append(one)
    return found


# ---------------- who


def is_left_out_as_incomplete(patient: Patient) -> bool:
    """Incomplete: left out of person-time and estimates by default (a setting)."""
    return patient.row["incomplete"] == "yes" and not patient.study.population.include_incomplete


def has_undated(patient: Patient) -> bool:
    """A patient with a before_index level (of C1-L6)."""
    return any(augmentation.day is None and augmentation.level != "S1" for augmentation in patient.augmentations)


def first_treated_a_tumour(patient: Patient) -> bool:
    """Patients whose first procedure treated any vertebra for tumour. Reading 26: the earliest session, S1 included;
    a treatment without a date is earlier than any."""
    if not patient.augmentations:
        return False
    first = min(augmentation.day or date.min for augmentation in patient.augmentations)
    return any(a.indication == "tumour" for a in patient.augmentations if (a.day or date.min) == first)


def has_time(patient: Patient) -> bool:
    """A patient with exit <= entry gives no time; one without follow-up neither."""
    entry = entry_day(patient)
    return entry is not None and exit_day(patient) > entry


def main_population(tables: Tables, study: StudyDefinition) -> list[Followed]:
    """The population is that of the main figures: not incomplete, with time at risk, outside the tumour stratum (a
    setting)."""
    if study.population.criteria:
        raise NotImplementedError("the slow rows know no criteria of eligibility")
    return [
        one
        for one in followed(tables, study)
        if not is_left_out_as_incomplete(one.patient)
        and has_time(one.patient)
        and (study.population.tumour_in_main or not first_treated_a_tumour(one.patient))
    ]


# ---------------- last look


def shown_on(one: Followed, level: str) -> set[date]:
    """Days on which an imaging study shows the level (first_level to last_level; reading 36: with both given), or a row
    of imaging measures it."""
    days = {row["date"] for row in one.patient.imaging if row["level"] == level}
    for row in one.studies:
        first, last = row["first_level"], row["last_level"]
        if first is None or last is None:
            continue
        if ANATOMY.index(first) <= ANATOMY.index(level) <= ANATOMY.index(last):
            days.add(row["date"])
    return days


def looked_at_on(one: Followed, level: str) -> set[date]:
    """A vertebra is looked at on a day when an imaging study of that day shows it, when a row of imaging measures
    it, when a recorded sighting in fractures names it, and when it is augmented. Only days in (entry, exit]."""
    days = shown_on(one, level)
    days |= {row["date"] for row in one.patient.fractures if row["level"] == level}
    days |= {a.day for a in one.patient.augmentations if a.level == level and a.day is not None}
    entry = entry_day(one.patient)
    return {day for day in days if entry is not None and entry < day <= exit_day(one.patient)}


def ends_with_last_look(patient: Patient) -> bool:
    return getattr(patient.study.at_risk, "exit_at", "follow_up") == "last_imaging"


def end_of_vertebra(one: Followed, level: str) -> date | None:
    """With last_imaging a vertebra is at risk no later than the last day in (entry, exit] on which it was looked at;
    one never looked at is not at risk at all."""
    if not ends_with_last_look(one.patient):
        return exit_day(one.patient)
    return max(looked_at_on(one, level), default=None)


def end_of_patient(one: Followed) -> date | None:
    """... and a patient no later than the last day on which any vertebra of the range at risk was, excluded that day or
    not."""
    if not ends_with_last_look(one.patient):
        return exit_day(one.patient)
    looks = {day for level in levels_at_risk(one.patient) for day in looked_at_on(one, level)}
    return max(looks, default=None)


def dies_on(patient: Patient, day: date) -> bool:
    """A death after follow_up_end is no event. With last_imaging death is no competing event but on that last day:
    the day asked about is always the last one."""
    return patient.row["death_date"] == day and day <= patient.row["follow_up_end"]


# ---------------- events


def as_event(patient: Patient, sighting: Sighting) -> Event:
    found = relation(patient, sighting.level, treated_levels(patient, sighting.day))
    latest = latest_augmentation(patient, sighting.level, sighting.day)
    return Event(sighting.day, sighting.level, found, latest.indication if latest else "", sighting)


def counted_events(one: Followed) -> list[Event]:
    """The counted sightings. Reading 41: count_unproven = false takes the unproven ones out."""
    patient = one.patient
    return [
        as_event(patient, sighting)
        for sighting in one.sightings
        if not not_counted_because(patient, sighting)
        and (patient.study.at_risk.count_unproven or not onset_unproven(patient, sighting))
    ]


def early_events(one: Followed) -> list[Event]:
    """Reading 23: a sighting of a vertebra in the range at risk that only came too early to count
    (not_after_entry)."""
    patient = one.patient
    return [
        as_event(patient, sighting)
        for sighting in one.sightings
        if not_counted_because(patient, sighting) == "not_after_entry"
        and sighting.level in levels_at_risk(patient)
        and not is_excluded(patient, sighting.level, sighting.day)
    ]


def retreatments(one: Followed) -> list[Event]:
    """Readings 10 and 35: an augmentation of a level already treated, for fracture (or no stated reason), that is not
    staged; only of levels in the range at risk."""
    found = []
    for augmentation in one.patient.augmentations:
        if retreats(one.patient, augmentation) and augmentation.level in levels_at_risk(one.patient):
            assert augmentation.day is not None
            found.append(Event(augmentation.day, augmentation.level, "same", augmentation.indication))
    return found


def is_of(event: Event, endpoint: str) -> bool:
    """Reading 25: endpoint `same` is a vertebra treated for fracture; in the composite a refracture of a vertebra
    treated for another reason has the cause same."""
    if endpoint == "composite":
        return True
    if endpoint == "same":
        return event.relation == "same" and event.treated_for == "fracture"
    return event.relation == endpoint


def events_of(one: Followed, endpoint: str) -> tuple[list[Event], list[Event]]:
    """The events of an endpoint in (entry, exit], and those on or before entry."""
    entry, exit_ = entry_day(one.patient), exit_day(one.patient)
    if entry is None:
        return [], []
    if endpoint == "retreated":
        found = retreatments(one)
        return [event for event in found if entry < event.day <= exit_], [e for e in found if e.day <= entry]
    return (
        [event for event in one.counted if is_of(event, endpoint)],
        [event for event in one.early if is_of(event, endpoint)],
    )


# ---------------- when it broke


def judging_film(patient: Patient, sighting: Sighting) -> date | None:
    """The day of the film that judged a sighting: one that meets a cell of section 5, where the registry has not
    judged."""
    if sighting.origin == "imaging":
        return sighting.day
    if not patient.study.judgement.enabled:
        return None
    if sighting.origin == "recorded":
        (row,) = [row for row in patient.fractures if row["fracture_id"] == sighting.id]
        if kind_taken(patient, row) != "unjudged":
            return None
    latest = latest_augmentation(patient, sighting.level, sighting.day)
    film = film_of(patient, sighting, latest) if latest is not None else None
    if latest is None or film is None or finding_of(patient, sighting.level, film, latest) is None:
        return None
    return film.day


def lower_of(one: Followed, event: Event, unit_entry: date) -> date:
    """The latest of the unit's entry (of the patient's entry for vertebrae in a role), of last_clear_date, and of the
    last day on which an imaging study or a row of imaging showed the level, before the sighting and before the film
    that judged it. A re-treatment is known to the day."""
    if event.sighting is None:
        return event.day - ONE_DAY
    days = [unit_entry]
    if event.sighting.last_clear is not None:
        days.append(event.sighting.last_clear)
    film = judging_film(one.patient, event.sighting)
    for day in shown_on(one, event.level):
        if day < event.day and (film is None or day < film):
            days.append(day)
    return max(days)


def earliest_lower(one: Followed, events: Iterable[Event], unit_entry: date) -> date:
    """Of several sightings on the day of the event the one with the earliest `lower` gives it."""
    return min(lower_of(one, event, unit_entry) for event in events)


# ---------------- rows of patients and procedures


def cause_of(events: list[Event], endpoint: str) -> str:
    """The composite has the causes same, adjacent, remote, `several` (first refractures of more than one relation
    found on one day)."""
    if endpoint != "composite":
        return endpoint
    found = {event.relation for event in events}
    return found.pop() if len(found) == 1 else "several"


def one_clock(one: Followed, unit: str, origin: date, ends_by: date | None, endpoint: str) -> list[Row]:
    """The row of one clock (origin, ends_by]: it ends at the first event of the endpoint, at ends_by, death or exit,
    begins no earlier than the patient's entry, and is left out when an event of the endpoint lies in it but on or
    before entry. An event found on the day of death comes before the death."""
    entry = entry_day(one.patient)
    assert entry is not None

    def is_in_clock(event: Event) -> bool:
        return origin < event.day and (ends_by is None or event.day <= ends_by)

    counted, early = events_of(one, endpoint)
    if any(is_in_clock(event) for event in early):
        return []
    start = max(origin, entry)
    counted = [event for event in counted if is_in_clock(event)]
    cause, lower = "", None
    end = end_of_patient(one)
    if counted:
        end = min(event.day for event in counted)
        first = [event for event in counted if event.day == end]
        cause, lower = cause_of(first, endpoint), earliest_lower(one, first, start)
    elif end is not None:
        end = end if ends_by is None else min(end, ends_by)
        cause = "death" if dies_on(one.patient, end) else ""
    if end is None or end <= start:
        return []
    return [row_of(one, unit, origin, start, end, cause, lower)]


def row_of(one: Followed, unit: str, origin: date, start: date, end: date, cause: str, lower: date | None) -> Row:
    return {
        "patient_id": one.patient.id,
        "unit": unit,
        "entry": (start - origin).days,
        "exit": (end - origin).days,
        "cause": cause,
        "lower": float("nan") if lower is None else float((lower - origin).days),
    }


def frame_of(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"entry": "int64", "exit": "int64", "lower": "float64"})


def procedure_days(patient: Patient) -> list[date]:
    """A patient and day of augmentation (of C1-L6): a procedure that treats S1 alone begins no clock and ends none."""
    return sorted({a.day for a in patient.augmentations if a.day is not None and a.level != "S1"})


def is_all_staged(patient: Patient, day: date) -> bool:
    """A procedure of whose augmentations (C1-L6) every one is staged; the first has nothing before it to finish."""
    if day == procedure_days(patient)[0]:
        return False
    here = [a for a in patient.augmentations if a.day == day and a.level != "S1"]
    return all(staged_from(patient, augmentation) is not None for augmentation in here)


def origin_of(patient: Patient) -> date | None:
    """The origin is the first dated augmentation (C1-L6). Patients with a before_index level have no known origin."""
    days = procedure_days(patient)
    return days[0] if days and not has_undated(patient) else None


def patient_clock(one: Followed, endpoint: str) -> list[Row]:
    """Time to the first counted event of the endpoint, death competing; other relations do not censor. First-event
    analyses leave out patients whose first refracture lies on or before entry (reading 23: of one relation those with
    one of that relation, the composite those with any), before the origin too (after a treatment of S1)."""
    origin = origin_of(one.patient)
    if origin is None or events_of(one, endpoint)[1]:
        return []
    return one_clock(one, one.patient.id, origin, None, endpoint)


def procedure_clocks(one: Followed, endpoint: str, merge_staged: bool) -> list[Row]:
    """An event belongs to the clock (p, q], p its day and q the next procedure's; one found on day q ends the clock of
    p. merge_staged: a procedure of whose augmentations every one is staged begins no clock and ends none."""
    days = procedure_days(one.patient)
    if merge_staged:
        days = [day for day in days if not is_all_staged(one.patient, day)]
    rows: list[Row] = []
    for number, day in enumerate(days):
        following = days[number + 1] if number + 1 < len(days) else None
        rows += one_clock(one, f"{one.patient.id}:{day.isoformat()}", day, following, endpoint)
    return rows


def first_clock(one: Followed, endpoint: str) -> list[Row]:
    """first_only: the first procedure's clock: follow-up ends at the next procedure. A first procedure without a date
    has no clock."""
    origin = origin_of(one.patient)
    following = [day for day in procedure_days(one.patient) if origin is not None and day > origin]
    if origin is None:
        return []
    unit = f"{one.patient.id}:{origin.isoformat()}"
    return one_clock(one, unit, origin, min(following, default=None), endpoint)


def patient_rows(tables: Tables, study: StudyDefinition, endpoint: str) -> pd.DataFrame:
    """One row per patient with a known origin."""
    return frame_of([row for one in main_population(tables, study) for row in patient_clock(one, endpoint)])


def procedure_rows(tables: Tables, study: StudyDefinition, endpoint: str, merge_staged: bool = False) -> pd.DataFrame:
    """One row per procedure."""
    people = main_population(tables, study)
    return frame_of([row for one in people for row in procedure_clocks(one, endpoint, merge_staged)])


# ---------------- days at risk of one vertebra


def days_at_risk(one: Followed, level: str) -> list[date]:
    """Day d is at risk when entry < d <= exit; less the days off risk (after a kept sighting, staged) and excluded
    ones."""
    patient, entry, end = one.patient, entry_day(one.patient), end_of_vertebra(one, level)
    if entry is None or end is None:
        return []
    off_risk = staged_days_of(patient, level)
    for sighting in one.sightings:
        if sighting.level == level and sighting.kept:
            off_risk |= off_risk_after(patient, sighting)
    excluded = any(row["level"] == level for row in patient.excluded)
    days, day = [], entry + ONE_DAY
    while day <= end:
        if day not in off_risk and not (excluded and is_excluded(patient, level, day)):
            days.append(day)
        day += ONE_DAY
    return days


def treated_vertebra_rows(tables: Tables, study: StudyDefinition, indication: str = "fracture") -> pd.DataFrame:
    """One unit per augmentation of a vertebra at risk for that indication: from its day to its first counted
    refracture, its next augmentation, death, exit. Days off risk are cut out, so a unit may have several rows."""
    rows: list[Row] = []
    for one in main_population(tables, study):
        for augmentation in one.patient.augmentations:
            if augmentation.day is not None and augmentation.indication == indication:
                rows += treated_vertebra(one, augmentation)
    return frame_of(rows)


def treated_vertebra(one: Followed, augmentation: Augmentation) -> list[Row]:
    origin, level, entry = augmentation.day, augmentation.level, entry_day(one.patient)
    assert origin is not None
    assert entry is not None
    if level not in levels_at_risk(one.patient):
        return []
    later = [a.day for a in one.patient.augmentations if a.level == level and a.day is not None and a.day > origin]
    next_one = min(later, default=date.max)
    events = [event for event in one.counted if event.level == level and origin < event.day <= next_one]
    early = [event for event in early_events(one) if event.level == level and origin < event.day <= next_one]
    if early or (origin <= entry and is_prevalent(one, level)):
        return []
    first = min((event.day for event in events), default=date.max)
    days = [day for day in days_at_risk(one, level) if origin < day <= min(next_one, first)]
    rows = []
    for run in runs(days):
        cause, lower = "", None
        if run[-1] == first:
            cause = "same"
            lower = earliest_lower(one, [event for event in events if event.day == first], max(origin, entry))
        elif dies_on(one.patient, run[-1]):
            cause = "death"
        rows.append(row_of(one, augmentation.id, origin, run[0] - ONE_DAY, run[-1], cause, lower))
    return rows


def runs(days: Sequence[date]) -> list[list[date]]:
    """Days in order, cut wherever one is missing."""
    found: list[list[date]] = []
    for day in days:
        if found and found[-1][-1] + ONE_DAY == day:
            found[-1].append(day)
        else:
            found.append([day])
    return found


# ---------------- vertebrae in a role, day by day


def roles_on(patient: Patient, level: str, days: Sequence[date]) -> list[str]:
    """The role on each day; it can change only where one more session lies before the day."""
    sessions_ = sorted(sessions(patient))
    known: dict[int, str] = {}
    found = []
    for day in days:
        sessions_so_far = bisect_left(sessions_, day)
        if sessions_so_far not in known:
            known[sessions_so_far] = role(patient, level, day)
        found.append(known[sessions_so_far])
    return found


def is_prevalent(one: Followed, level: str) -> bool:
    """Washout: a vertebra with a kept sighting on a day s, entry - washout_days < s <= entry, and not augmented since
    (on no day u, s <= u <= entry), is prevalent and left out."""
    entry = entry_day(one.patient)
    assert entry is not None
    washout = getattr(one.patient.study.at_risk, "washout_days", 0)
    return any(
        sighting.kept
        and sighting.level == level
        and entry - timedelta(days=washout) < sighting.day <= entry
        and not augmented_between(one.patient, level, sighting.day, entry + ONE_DAY)
        for sighting in one.sightings
    )


VERTEBRA_COLUMNS = ("patient_id", "unit", "level", "role", "date", "origin_known", "entry", "exit", "event", "lower")


def vertebra_days(tables: Tables, study: StudyDefinition, role: str) -> pd.DataFrame:
    """A vertebra in one role: one record per vertebra and day at risk, with whether an event happened that day
    (event 1 or 0). The day is (entry, exit] in days since the first dated augmentation (C1-L6) of the patient, NaN
    where there is none; origin_known is no for patients with a before_index level."""
    records = []
    for one in main_population(tables, study):
        patient, entry = one.patient, entry_day(one.patient)
        assert entry is not None
        origin = min(procedure_days(patient), default=None)
        known = "yes" if origin_of(patient) else "no"
        for level in levels_at_risk(patient):
            if is_prevalent(one, level):
                continue
            found = events_by_day(one, level)
            days = days_at_risk(one, level)
            for day, role_today in zip(days, roles_on(patient, level, days), strict=True):
                if role_today == role:
                    today = found.get(day, [])
                    exit_ = float("nan") if origin is None else (day - origin).days
                    lower = float("nan")
                    if today and origin is not None:
                        lower = (earliest_lower(one, today, entry) - origin).days
                    unit = f"{patient.id}:{level}"
                    records.append((patient.id, unit, level, role, day, known, exit_ - 1, exit_, len(today), lower))
    frame = pd.DataFrame(records, columns=list(VERTEBRA_COLUMNS))
    numbers = {"entry": "float64", "exit": "float64", "event": "int64", "lower": "float64"}
    return frame.astype({"date": "datetime64[ns]", **numbers})


def events_by_day(one: Followed, level: str) -> dict[date, list[Event]]:
    found: dict[date, list[Event]] = {}
    for event in one.counted:
        if event.level == level:
            found.setdefault(event.day, []).append(event)
    return found


# ---------------- splits


def birthday(born: date, age: int) -> date:
    """The a-th birthday (29 February: 1 March in other years)."""
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return date(born.year + age, 3, 1)


def day_of_age(patient: Patient, age: int) -> date | None:
    """The day on which the patient reaches an age. Where only age_at_index is known: the first augmentation's day +
    ceil((a - age) x 365.25). Who has neither has no age."""
    if patient.row["birth_date"] is not None:
        return birthday(patient.row["birth_date"], age)
    at_index, origin = patient.row["age_at_index"], origin_of(patient)
    if at_index is None or origin is None:
        return None
    return origin + timedelta(days=math.ceil((age - Decimal(str(at_index))) * Decimal("365.25")))


def age_labels(cuts: Sequence[int]) -> list[str]:
    """For 65, 75, 85: <65, 65-74, 75-84, >=85."""
    between = [f"{low}-{high - 1}" for low, high in pairwise(cuts)]
    return [f"<{cuts[0]}", *between, f">={cuts[-1]}"]


def age_on(patient: Patient, day: date, cuts: Sequence[int]) -> str:
    """Day d belongs to age a when the a-th birthday is on or before d."""
    return age_band([day_of_age(patient, cut) for cut in cuts], day, cuts)


def age_band(reached_on: Sequence[date | None], day: date, cuts: Sequence[int]) -> str:
    known = [reached for reached in reached_on if reached is not None]
    return age_labels(cuts)[sum(reached <= day for reached in known)] if known else "unknown"


def since_labels(cuts: Sequence[int]) -> list[str]:
    """For 30, 90, 365: 1-30, 31-90, 91-365, >365."""
    return [*(f"{low + 1}-{high}" for low, high in pairwise([0, *cuts])), f">{cuts[-1]}"]


def since_procedure_on(patient: Patient, day: date, cuts: Sequence[int]) -> str:
    """The band of days since the latest procedure that contains d - p, bands being (0, 30], (30, 90], (90, 365], (365,
    ...) by default."""
    before = [p for p in procedure_days(patient) if p < day]
    if not before:
        return "unknown"
    since = (day - before[-1]).days
    return since_labels(cuts)[sum(since > cut for cut in cuts)]


def person_time(
    tables: Tables,
    study: StudyDefinition,
    by: Sequence[str] = (),
    *,
    age_cuts: Sequence[int] = AGE_CUTS,
    since_cuts: Sequence[int] = SINCE_CUTS,
) -> pd.DataFrame:
    """Vertebra-days and events by level, role and the splits asked for: calendar_year, age, since_procedure. It covers
    all patients but incomplete ones."""
    total: dict[tuple, list[int]] = {}
    for one in followed(tables, study):
        patient, entry = one.patient, entry_day(one.patient)
        if is_left_out_as_incomplete(patient) or entry is None:
            continue
        reached_on = [day_of_age(patient, cut) for cut in age_cuts]
        labels: dict[date, tuple] = {}
        day = entry + ONE_DAY
        while day <= exit_day(patient):
            label = {
                "calendar_year": day.year,
                "age": age_band(reached_on, day, age_cuts),
                "since_procedure": since_procedure_on(patient, day, since_cuts),
            }
            labels[day] = tuple(label[split] for split in by)
            day += ONE_DAY
        for level in levels_at_risk(patient):
            found = events_by_day(one, level)
            days = days_at_risk(one, level)
            for day, role_today in zip(days, roles_on(patient, level, days), strict=True):
                cell = total.setdefault((ANATOMY.index(level), ROLES.index(role_today), *labels[day]), [0, 0])
                cell[0] += 1
                cell[1] += len(found.get(day, []))
    orders = {"age": [*age_labels(age_cuts), "unknown"], "since_procedure": [*since_labels(since_cuts), "unknown"]}

    def position(key: tuple) -> tuple:
        splits = zip(by, key[2:], strict=True)
        return (*key[:2], *(orders[split].index(label) if split in orders else label for split, label in splits))

    rows = [(ANATOMY[key[0]], ROLES[key[1]], *key[2:], *total[key]) for key in sorted(total, key=position)]
    return pd.DataFrame(rows, columns=["level", "role", *by, "vertebra_days", "events"])


# ---------------- several procedures


def policies(tables: Tables, study: StudyDefinition) -> pd.DataFrame:
    """Several procedures can be handled in four ways, shown side by side, per relation: first_only, gap (every
    procedure a new clock), gap_merged (the same with staged sessions merged), total (one clock per patient from the
    first procedure, whatever is done later: the main figure)."""
    people = main_population(tables, study)
    found = []
    for policy in ("first_only", "gap", "gap_merged", "total"):
        for endpoint in RELATIONS:
            rows: list[Row] = []
            for one in people:
                if policy == "first_only":
                    rows += first_clock(one, endpoint)
                elif policy == "total":
                    rows += patient_clock(one, endpoint)
                else:
                    rows += procedure_clocks(one, endpoint, policy == "gap_merged")
            found.append(
                {
                    "policy": policy,
                    "relation": endpoint,
                    "n_patients": len({row["patient_id"] for row in rows}),
                    "n_units": len({row["unit"] for row in rows}),
                    "n_events": sum(row["cause"] == endpoint for row in rows),
                    "person_days": sum(row["exit"] - row["entry"] for row in rows),
                }
            )
    return pd.DataFrame(found)
