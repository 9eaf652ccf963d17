"""The rules of classification and counting once more, in the slowest and most obvious way: the answer the toolkit
must give.

Plain Python on one patient at a time: dicts, lists, loops over levels and days, `datetime.date`. One function per
sentence of the rule (quoted as its docstring), nothing shared with the package but the names of the settings. Where
the words leave room, the numbered readings of `docs/readings.md` are followed (cited as "reading n").

`classify` gives the columns of `cohort classify`; text and yes/no columns hold str with "" for empty, `date` is
datetime64[ns], `distance` and `days_since` are float64 with NaN for empty. `person_time` gives the columns of
`cohort persontime`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import pandas as pd
from slow_judgement import imaging_sightings, judge
from slow_relation import (
    ONE_DAY,
    Augmentation,
    Patient,
    Row,
    Sighting,
    attributed_to,
    days_since,
    distance,
    is_treated,
    latest_augmentation,
    patients_of,
    relation,
    relation_earliest,
    rows_of,
    sandwiched,
    side,
    treated_before,
    treated_levels,
)
from slow_sightings import (
    augmented_between,
    implied_sightings,
    in_staged_window,
    is_no_refracture,
    mark_repeats,
    recorded_sightings,
    staged_from,
)

from cohort.domain.study import StudyDefinition

COLUMNS = (
    "fracture_id", "patient_id", "date", "level", "implied", "repeat_of", "relation", "distance", "side", "sandwiched",
    "augmentation_id", "treated_for", "days_since", "relation_earliest", "kind_judged", "counted",
    "not_counted_because", "onset_unproven",
)  # fmt: skip
ROLES = ("treated", "treated_prophylactic", "treated_tumour", "adjacent", "remote")
ANATOMY = tuple(
    [f"C{i}" for i in range(1, 8)] + [f"T{i}" for i in range(1, 14)] + [f"L{i}" for i in range(1, 7)] + ["S1"]
)


# ---------------- section 7: entry, exit, risk


def entry_day(patient: Patient) -> date | None:
    """Entry is the later of enrolled_on and the first dated augmentation (of C1-L6); for a patient with a
    before_index level (of C1-L6) entry is enrolled_on, and only where that is missing the first dated augmentation;
    a patient with no augmentation of C1-L6, or with a before_index one and neither date, has no follow-up."""
    starting = [augmentation for augmentation in patient.augmentations if augmentation.level != "S1"]
    dated = [augmentation.day for augmentation in starting if augmentation.day is not None]
    first = min(dated) if dated else None
    enrolled = patient.row["enrolled_on"]
    if not starting:
        return None
    if any(augmentation.day is None for augmentation in starting):
        return enrolled if enrolled is not None else first
    assert first is not None
    return first if enrolled is None else max(enrolled, first)


def exit_day(patient: Patient) -> date:
    """Exit is the earlier of death and follow_up_end."""
    death, end = patient.row["death_date"], patient.row["follow_up_end"]
    return end if death is None else min(death, end)


def levels_at_risk(patient: Patient) -> list[str]:
    """Vertebrae at risk: T4 down to the patient's last lumbar (a setting)."""
    settings = patient.study.at_risk
    last = settings.last_level or [level for level in patient.spine if level.startswith("L")][-1]
    return [
        level
        for level in patient.spine
        if ANATOMY.index(settings.first_level) <= ANATOMY.index(level) <= ANATOMY.index(last)
    ]


def is_excluded(patient: Patient, level: str, day: date) -> bool:
    """less excluded_levels in (from, to] (missing = always)."""
    for row in patient.excluded:
        if row["level"] != level:
            continue
        started = row["from"] is None or row["from"] < day
        ended = row["to"] is not None and day > row["to"]
        if started and not ended:
            return True
    return False


# ---------------- counted


def not_counted_because(patient: Patient, sighting: Sighting) -> str:
    """`counted` = yes when the sighting is a refracture at risk; otherwise not_counted_because gives the first that
    applies of: before_treatment, repeat, old, settling, asymptomatic_collapse, staged, not_after_entry, after_exit,
    outside_levels, excluded_level."""
    entry = entry_day(patient)
    if not treated_before(patient, sighting.day):
        return "before_treatment"
    if sighting.repeat_of:
        return "repeat"
    if sighting.kind == "old":
        return "old"
    if is_no_refracture(patient, sighting):
        return sighting.kind
    if in_staged_window(patient, sighting.level, sighting.day):
        return "staged"
    if entry is None or sighting.day <= entry:
        return "not_after_entry"
    if sighting.day > exit_day(patient):
        return "after_exit"
    if sighting.level not in levels_at_risk(patient):
        return "outside_levels"
    if is_excluded(patient, sighting.level, sighting.day):
        return "excluded_level"
    return ""


def onset_unproven(patient: Patient, sighting: Sighting) -> bool:
    """onset_unproven (yes/no): a recorded, counted, unjudged sighting without a clear film near enough: at a level
    in A, last_clear_date on or after its latest dated augmentation; elsewhere, and at a level with only a
    before_index one, no earlier than 30 days (a setting) before entry. No for every other sighting."""
    if sighting.origin != "recorded" or sighting.kind != "unjudged" or not_counted_because(patient, sighting):
        return False
    if sighting.last_clear is None:
        return True
    latest = latest_augmentation(patient, sighting.level, sighting.day)
    if latest is not None and latest.day is not None:
        return sighting.last_clear < latest.day
    entry = entry_day(patient)
    assert entry is not None  # it is counted
    return sighting.last_clear < entry - timedelta(days=patient.study.relation.onset_clear_days)


def sightings_of(patient: Patient) -> list[Sighting]:
    """Every sighting of a patient: recorded, implied, and met by imaging; judged; repeats marked."""
    sightings = recorded_sightings(patient) + implied_sightings(patient)
    if patient.study.judgement.enabled:
        for sighting in sightings:
            judge(patient, sighting)
        sightings += imaging_sightings(patient)
    mark_repeats(patient, sightings)
    return sightings


def described(patient: Patient, sighting: Sighting) -> Row:
    treated = treated_levels(patient, sighting.day)
    attributed = attributed_to(patient, sighting.level, sighting.day)
    because = not_counted_because(patient, sighting)
    same = sighting.level in treated
    return {
        "fracture_id": sighting.id,
        "patient_id": patient.id,
        "date": pd.Timestamp(sighting.day),
        "level": sighting.level,
        "implied": "yes" if sighting.origin == "implied" else "no",
        "repeat_of": sighting.repeat_of,
        "relation": relation(patient, sighting.level, treated),
        "distance": float(distance(patient, sighting.level, treated)) if treated else float("nan"),
        "side": side(patient, sighting.level, treated),
        "sandwiched": sandwiched(patient, sighting.level, treated),
        "augmentation_id": attributed.id if attributed else "",
        "treated_for": attributed.indication if attributed and same else "",
        "days_since": days_since(attributed, sighting.day),
        "relation_earliest": relation_earliest(patient, sighting),
        "kind_judged": sighting.kind,
        "counted": "no" if because else "yes",
        "not_counted_because": because,
        "onset_unproven": "yes" if onset_unproven(patient, sighting) else "no",
        "kept": "yes" if sighting.kept else "no",
        "origin_of_row": sighting.origin,
        "symptomatic": sighting.symptomatic or "",
        "trauma": sighting.trauma or "",
    }


BEYOND = ("kept", "origin_of_row", "symptomatic", "trauma")


def classify(tables: Mapping[str, pd.DataFrame], study: StudyDefinition, *, beyond: bool = False) -> pd.DataFrame:
    """cohort classify: one row per sighting; ordered by patient_id as text, date, spine, id as text.

    `beyond` adds kept, origin_of_row, symptomatic and trauma (the latter two with any `yes` of the same day taken).
    """
    found: list[tuple[tuple[str, date, int, str], Row]] = []
    for patient in patients_of(tables, study):
        for sighting in sightings_of(patient):
            key = (patient.id, sighting.day, patient.spine.index(sighting.level), sighting.id)
            found.append((key, described(patient, sighting)))
    found.sort(key=lambda item: item[0])
    columns = [*COLUMNS, *BEYOND] if beyond else list(COLUMNS)
    frame = pd.DataFrame([row for _, row in found], columns=columns)
    return frame.astype({"date": "datetime64[ns]", "distance": "float64", "days_since": "float64"})


def retreats(patient: Patient, augmentation: Augmentation) -> bool:
    """Reading 10: an augmentation of a level already treated, for fracture (or no stated reason), that is not
    staged."""
    if augmentation.day is None or augmentation.indication != "fracture":
        return False
    already = is_treated(patient, augmentation.level, augmentation.day)
    return already and staged_from(patient, augmentation) is None


def augmentations(tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> pd.DataFrame:
    """Every treated vertebra: patient_id, augmentation_id, level, date, staged_from, retreats (yes/no)."""
    rows = [
        {
            "patient_id": patient.id,
            "augmentation_id": augmentation.id,
            "level": augmentation.level,
            "date": pd.Timestamp(augmentation.day),
            "staged_from": pd.Timestamp(staged_from(patient, augmentation)),
            "retreats": "yes" if retreats(patient, augmentation) else "no",
        }
        for patient in patients_of(tables, study)
        for augmentation in patient.augmentations
    ]
    frame = pd.DataFrame(rows, columns=["patient_id", "augmentation_id", "level", "date", "staged_from", "retreats"])
    return frame.astype({"date": "datetime64[ns]", "staged_from": "datetime64[ns]"})


# ---------------- section 7: person-time


def role(patient: Patient, level: str, day: date) -> str:
    """A vertebra's role on day d is what section 4 would call a fracture found on d: treated (split by the
    indication of its latest augmentation: treated, treated_prophylactic, treated_tumour), adjacent, remote."""
    found = relation(patient, level, treated_levels(patient, day))
    if found != "same":
        return found
    latest = latest_augmentation(patient, level, day)
    assert latest is not None
    return {"fracture": "treated", "prophylactic": "treated_prophylactic", "tumour": "treated_tumour"}[
        latest.indication
    ]


def off_risk_after(patient: Patient, sighting: Sighting) -> set[date]:
    """A kept fracture sighting (counted or not, before entry too) takes it off risk for the 90 healing days after
    that day, or until the day of its augmentation if sooner. Reading 20: s < d <= min(s + healing_days, first
    augmentation on or after s)."""
    days = set()
    for ahead in range(1, patient.study.relation.healing_days + 1):
        day = sighting.day + timedelta(days=ahead)
        if augmented_between(patient, sighting.level, sighting.day, day):
            break
        days.add(day)
    return days


def staged_days_of(patient: Patient, level: str) -> set[date]:
    """A staged level is off risk from p until treated: the days d, p < d <= t."""
    days = set()
    for augmentation in patient.augmentations:
        p = staged_from(patient, augmentation) if augmentation.level == level else None
        if p is not None and augmentation.day is not None:
            day = p + ONE_DAY
            while day <= augmentation.day:
                days.add(day)
                day += ONE_DAY
    return days


def only_new_could_count(patient: Patient, sightings: list[Sighting], level: str) -> Callable[[date], bool]:
    """Vertebra-days on which only kind `new` could count (a healed or old fracture): a kept sighting before that
    day, or an `old` at the level while untreated, and the level not augmented since."""
    seen = [
        s for s in sightings
        if s.level == level
        and (s.kept or (s.kind == "old" and not s.repeat_of and not is_treated(patient, level, s.day)))
    ]  # fmt: skip

    def told(day: date) -> bool:
        return any(s.day < day and not augmented_between(patient, level, s.day, day) for s in seen)

    return told


def days_of(patient: Patient) -> dict[tuple[str, str], dict[str, int]]:
    """Time at risk is (entry, exit] in whole days: day d is at risk when entry < d <= exit. For every such day and
    every vertebra at risk: its role, whether it is at risk, and the kept sightings found (an event on the day of
    exit counts)."""
    entry = entry_day(patient)
    cells: dict[tuple[str, str], dict[str, int]] = {}
    if entry is None:
        return cells
    sightings = sightings_of(patient)
    for level in levels_at_risk(patient):
        off_risk = staged_days_of(patient, level)
        for sighting in sightings:
            if sighting.level == level and sighting.kept:
                off_risk |= off_risk_after(patient, sighting)
        found: dict[date, list[Sighting]] = {}
        for sighting in sightings:
            if sighting.level == level and sighting.kept:
                found.setdefault(sighting.day, []).append(sighting)
        only_new = only_new_could_count(patient, sightings, level)
        excluded = any(row["level"] == level for row in patient.excluded)
        role_today, sessions_so_far = "", -1
        day = entry + ONE_DAY
        while day <= exit_day(patient):
            if day not in off_risk and not (excluded and is_excluded(patient, level, day)):
                if len(treated_before(patient, day)) != sessions_so_far:  # the role can change only then
                    role_today, sessions_so_far = role(patient, level, day), len(treated_before(patient, day))
                cell = cells.setdefault(
                    (level, role_today), {"vertebra_days": 0, "healed_days": 0, "events": 0, "unproven_events": 0}
                )
                cell["vertebra_days"] += 1
                cell["healed_days"] += only_new(day)
                for sighting in found.get(day, []):
                    cell["events"] += 1
                    cell["unproven_events"] += onset_unproven(patient, sighting)
            day += ONE_DAY
    return cells


def person_time_by_patient(tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> pd.DataFrame:
    """patient_id, level, role, vertebra_days, healed_days, events, unproven_events: every patient, incomplete ones
    too."""
    rows = [
        {"patient_id": patient.id, "level": level, "role": found, **cell}
        for patient in patients_of(tables, study)
        for (level, found), cell in days_of(patient).items()
    ]
    columns = ["patient_id", "level", "role", "vertebra_days", "healed_days", "events", "unproven_events"]
    return pd.DataFrame(rows, columns=columns)


def person_time(tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> pd.DataFrame:
    """cohort persontime: level, role, vertebra_days, events; in spine order, then roles; one row per level and role
    with days or events. It covers all patients but incomplete ones."""
    incomplete = {
        row["patient_id"] for row in rows_of(tables, "patients")
        if row["incomplete"] == "yes" and not study.population.include_incomplete
    }  # fmt: skip
    total: dict[tuple[int, int], list[int]] = {}
    for row in person_time_by_patient(tables, study).to_dict("records"):
        if row["patient_id"] not in incomplete:
            cell = total.setdefault((ANATOMY.index(row["level"]), ROLES.index(row["role"])), [0, 0])
            cell[0] += row["vertebra_days"]
            cell[1] += row["events"]
    rows = [(ANATOMY[k[0]], ROLES[k[1]], *total[k]) for k in sorted(total)]
    return pd.DataFrame(rows, columns=["level", "role", "vertebra_days", "events"])
