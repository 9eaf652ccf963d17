"""One patient's story in words: every dated row, the treated set, and the rule that each sighting met.

For the registry's own eyes: nothing is hidden here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from cohort.domain.spine import CODE
from cohort.present.tables.model import records
from cohort.present.tables.people import REASONS
from cohort.present.tables.risk import MECHANISMS
from cohort.tables.history import PatientHistory

_LOOKS: Final = {
    "technique": "{}", "approach": "{}", "cement": "cement {}", "volume_ml": "{:g} ml",
    "cleft_before": "cleft before: {}",
    "cleft_filled": "cleft filled: {}", "leak": "leak: {}", "fracture_endplate": "fractured endplate: {}",
    "cement_endplate": "cement reaches endplate: {}", "fracture_filled": "fracture filled: {}",
    "pain_before": "pain before {:g}", "pain_after": "pain after {:g}",
}  # fmt: skip
_FILM: Final = {
    "modality": "{}", "posture": "{}", "anterior_mm": "anterior {:g} mm", "middle_mm": "middle {:g} mm",
    "posterior_mm": "posterior {:g} mm", "kyphosis_deg": "kyphosis {:g} degrees", "edema": "edema: {}",
    "cleft": "cleft: {}",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One line of the story.

    day : NaT where the row states none. table, rows : where it comes from, with the row number in the source (0 for a
    row that the rules made). what : one sentence. because : the rules that it met, one sentence each.
    """

    day: pd.Timestamp
    table: str
    source_row: int
    what: str
    because: tuple[str, ...] = ()
    counted: bool = False


def entries(history: PatientHistory) -> list[Entry]:
    """The story in the order of time; what has no date comes first."""
    # In the order in which they are told on one day.
    found = [
        *_days(history, {"enrolled_on": "Enrolled."}),
        *_medications(history),
        *_assessments(history),
        *_films(history),
        *(_sighting(r, history) for r in records(history.sightings)),
        *(_augmentation(r, history) for r in records(history.augmentations)),
        *_days(history, {"follow_up_end": "Follow-up ends.", "death_date": "Died."}),
    ]
    return sorted(found, key=lambda one: pd.Timestamp.min if pd.isna(one.day) else one.day)


def opening(history: PatientHistory) -> list[str]:
    """Who the patient is, when they are at risk, and whether the main figures hold them."""
    patient = next(records(history.tables["patients"]))
    spine = [
        f"{int(n)} {region} vertebrae"
        for n, region, usual in (
            (patient.n_thoracic, "thoracic", 12),
            (patient.n_lumbar, "lumbar", 5),
        )
        if not pd.isna(n) and n != usual
    ]
    follow = history.follow_up
    said = []
    if spine:
        said.append(f"The spine has {' and '.join(spine)}.")
    if follow["has_time"]:
        days = (follow["exit"] - follow["entry"]).days
        said.append(f"At risk after {_date(follow['entry'])}, up to and with {_date(follow['exit'])} ({days:,} days).")
    else:
        said.append("No time at risk.")
    if patient.incomplete == "yes":
        said.append("Incomplete: an augmentation or fracture row of this patient was rejected.")
    if not follow["in_main"]:
        reason = f" ({follow['left_out_because']})" if follow["left_out_because"] else ""
        said.append(f"Left out of the main figures{reason}.")
    counted = history.sightings[history.sightings["counted"] == "yes"]
    said.append(
        f"{len(history.sightings)} sightings of a fracture, {len(counted)} counted as refractures"
        + (f": {', '.join(f'{r.level} {r.relation}' for r in records(counted))}." if len(counted) else ".")
    )
    return said


def treated_set(history: PatientHistory, day: pd.Timestamp) -> list[str]:
    """The vertebrae treated before a day, in the order of the spine: the set *A* of docs/definitions.md."""
    rows = history.augmentations
    before = rows["date"].lt(day) | rows["date_precision"].eq("before_index")
    return sorted(set(rows.loc[before, "level"].astype(str)), key=CODE.__getitem__)


def _days(history: PatientHistory, what: dict[str, str]) -> list[Entry]:
    patient = next(records(history.tables["patients"]))
    days = {column: getattr(patient, column) for column in what}
    return [
        Entry(day, "patients", int(patient.source_row), what[column])
        for column, day in days.items()
        if not pd.isna(day)
    ]


def _augmentation(r: Any, history: PatientHistory) -> Entry:
    known = _details(r, _LOOKS)
    indication = f" for {r.indication}" if isinstance(r.indication, str) else " (indication not recorded: as fracture)"
    because = []
    if r.date_precision == "before_index":
        because.append("Treated before the registry began, on an unknown day: in the treated set from the start.")
    else:
        earlier = treated_set(history, r.date)
        because.append(f"Treated before: {', '.join(earlier) if earlier else 'nothing'}.")
        because += _imprecise(r)
    if not pd.isna(r.staged_from):
        because.append(f"Staged: finishes what the session of {_date(r.staged_from)} began.")
    if r.retreats == "yes":
        because.append("Treats again a vertebra treated before, outside staged treatment.")
    return Entry(r.date, "augmentations", int(r.source_row), f"{r.level} augmented{indication}{known}.", tuple(because))


def _sighting(r: Any, history: PatientHistory) -> Entry:
    origin = {
        "recorded": "Fracture seen at",
        "implied": "Fracture implied by the augmentation of",
        "imaging": "Films show a change of",
    }[r.origin_of_row]
    counted = r.counted == "yes"
    because = [
        *_imprecise(r),
        _relation(r, history),
        *_repeat(r),
        *_judged(r),
        _counted(r),
    ]
    if r.onset_unproven == "yes":
        because.append("Onset unproven: no clear film near enough; figures are repeated without it.")
    if isinstance(r.relation_earliest, str) and r.relation_earliest != r.relation:
        because.append(f"On the earliest day it may have happened it would have been {r.relation_earliest}.")
    if isinstance(r.mechanisms, str) and r.mechanisms:
        because.append(f"Why: {'; '.join(MECHANISMS[name].lower() for name in r.mechanisms.split(';'))}.")
    return Entry(
        r.date, "fractures", int(r.source_row), f"{origin} {r.level}{_details(r, {'modality': '{}'})}.",
        tuple(because), counted,
    )  # fmt: skip


def _relation(r: Any, history: PatientHistory) -> str:
    if r.relation == "before_treatment":
        return "Before treatment: no vertebra had been treated before this day."
    treated = ", ".join(treated_set(history, r.date))
    ago = "" if pd.isna(r.days_since) else f", {int(r.days_since):,} days before"
    by = f" (augmentation {r.augmentation_id}{ago})" if isinstance(r.augmentation_id, str) else ""
    if r.relation == "same":
        purpose = f", for {r.treated_for}" if isinstance(r.treated_for, str) else ""
        return f"Same level: {r.level} is in the treated set {treated}{purpose}{by}."
    distance = int(r.distance)
    levels = "1 level" if distance == 1 else f"{distance} levels"
    place = {"cranial": "above", "caudal": "below", "both": "above and below"}[r.side]
    rows = history.augmentations
    nearest = rows.loc[rows["augmentation_id"].eq(r.augmentation_id), "level"].astype(str).tolist()
    of = nearest[0] if nearest and r.side != "both" else "the nearest treated vertebrae"
    between = ", between two treated vertebrae" if r.sandwiched == "yes" else ""
    word = "Adjacent" if r.relation == "adjacent" else "Remote"
    return (
        f"{word}: {levels} {place} {of}{between}; treated set {treated}; "
        f"adjacent reaches {history.study.relation.reach}{by}."
    )


def _repeat(r: Any) -> list[str]:
    if isinstance(r.repeat_of, str):
        return [f"Repeat of {r.repeat_of}: seen fractured before, not augmented since."]
    return []


def _judged(r: Any) -> list[str]:
    if not isinstance(r.judged_cell, str) or not r.judged_cell:
        return [] if r.kind_judged == "unjudged" else [f"Judged by the registry itself: {r.kind_judged}."]
    values = [
        f"anterior loss {r.anterior_loss * 100:.1f} %" if not pd.isna(r.anterior_loss) else "",
        f"kyphosis {r.kyphosis_change_deg:+.1f} degrees" if not pd.isna(r.kyphosis_change_deg) else "",
        f"new cleft: {r.new_cleft}" if isinstance(r.new_cleft, str) else "",
        f"new edema: {r.new_edema}" if isinstance(r.new_edema, str) else "",
        f"pain {r.pain_change:+.1f} points" if not pd.isna(r.pain_change) else "",
        "modality or posture changed between the films" if r.film_changed == "yes" else "",
    ]
    film = f"film of {_date(r.film_date)}" if not pd.isna(r.film_date) else "no film"
    shown = "; ".join([film, *(value for value in values if value)])
    return [f"Judged {r.kind_judged} by the cell {r.judged_cell.replace(':', ', ')} ({shown})."]


def _counted(r: Any) -> str:
    if r.counted == "yes":
        return "Counted as a refracture at risk."
    return f"Not counted: {REASONS[r.not_counted_because].lower()}."


def _films(history: PatientHistory) -> list[Entry]:
    found = []
    for r in records(history.tables["imaging"]):
        found.append(Entry(r.date, "imaging", int(r.source_row), f"{r.level} imaged{_details(r, _FILM)}."))
    for r in records(history.tables["imaging_studies"]):
        last = r.last_level if isinstance(r.last_level, str) else r.first_level
        levels = f" from {r.first_level} to {last}" if isinstance(r.first_level, str) else ""
        found.append(
            Entry(r.date, "imaging", int(r.source_row), f"Imaging study{levels}{_details(r, {'modality': '{}'})}.")
        )
    return found


def _medications(history: PatientHistory) -> list[Entry]:
    found = []
    for r in records(history.tables["medications"]):
        until = f" until {_date(r.stop)}" if not pd.isna(r.stop) else ""
        group = f" ({r.drug_class})" if isinstance(r.drug_class, str) else " (class not known)"
        found.append(Entry(r.start, "medications", int(r.source_row), f"Takes {r.drug}{group}{until}."))
    return found


def _assessments(history: PatientHistory) -> list[Entry]:
    looks = {"pain": "pain {:g}", "odi": "disability index {:g}"}
    return [
        Entry(r.date, "assessments", int(r.source_row), f"Seen{_details(r, looks)}.")
        for r in records(history.tables["assessments"])
    ]


def _details(r: Any, looks: dict[str, str]) -> str:
    values = {name: getattr(r, name) for name in looks}
    said = [looks[name].format(value) for name, value in values.items() if not pd.isna(value)]
    return f": {', '.join(said)}" if said else ""


def _imprecise(r: Any) -> list[str]:
    if r.date_precision in ("month", "year"):
        return [f"The date is known to the {r.date_precision} only; {_date(r.date)} stands for it."]
    return []


def _date(day: Any) -> str:
    return pd.Timestamp(day).strftime("%Y-%m-%d")
