"""Same-level refracture is not settling: films and pain (section 5 of the rules)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from slow_relation import Augmentation, Patient, Row, Sighting, latest_augmentation
from slow_sightings import mark_repeats, recorded_sightings

# ---------------- section 5: judgement


@dataclass
class Film:
    day: date
    anterior: float | None
    kyphosis: float | None
    edema: str | None
    cleft: str | None


def films(patient: Patient, level: str) -> dict[date, Film]:
    """Reading 11: all imaging rows of one level and day are one film: least heights, greatest kyphosis, `yes`
    before `no` before not assessable."""

    def best(rows: list[Row], column: str, pick: Callable[[list[Any]], Any]) -> Any:
        values = [row[column] for row in rows if row[column] is not None]
        return pick(values) if values else None

    def finding(values: list[str]) -> str:
        return min(values, key=("yes", "no", "not_assessable").index)

    days: dict[date, list[Row]] = {}
    for row in patient.imaging:
        if row["level"] == level:
            days.setdefault(row["date"], []).append(row)
    return {
        day: Film(
            day,
            best(rows, "anterior_mm", min),
            best(rows, "kyphosis_deg", max),
            best(rows, "edema", finding),
            best(rows, "cleft", finding),
        )
        for day, rows in sorted(days.items())
    }


def is_after(day: date, augmentation: Augmentation) -> bool:
    return augmentation.day is None or day > augmentation.day


def next_augmentation(patient: Patient, latest: Augmentation) -> date:
    """The day of the next augmentation of that level, or the end of time."""
    days = [other.day for other in patient.augmentations if other.level == latest.level and other.day is not None]
    return min((day for day in days if is_after(day, latest)), default=date.max)


def film_of(patient: Patient, sighting: Sighting, latest: Augmentation) -> Film | None:
    """Reading 11: the film of a sighting is the nearest imaging day of that level within film_days of it, after its
    latest augmentation u and not after its next one; of two as near, the earlier."""
    near = [
        film
        for day, film in films(patient, sighting.level).items()
        if abs((day - sighting.day).days) <= patient.study.judgement.film_days
        and is_after(day, latest)
        and day <= next_augmentation(patient, latest)
    ]
    return min(near, key=lambda film: (abs((film.day - sighting.day).days), film.day)) if near else None


def post_operative(patient: Patient, level: str, latest: Augmentation) -> list[Film]:
    """First post-operative film: `anterior_mm_after`, else the first imaging within 42 days: the films in (u, u +
    baseline_days], in order; none when u has no date."""
    if latest.day is None:
        return []
    last = latest.day + timedelta(days=patient.study.judgement.baseline_days)
    return [film for day, film in films(patient, level).items() if latest.day < day <= last]


def exact(value: float | None) -> Decimal | None:
    """The number as it was written: a loss from 18.5 to 16.65 mm is 10 %, which binary fractions miss by a hair."""
    return None if value is None else Decimal(str(value))


def baseline(patient: Patient, level: str, film: Film, latest: Augmentation, measure: str) -> Decimal | None:
    """Reading 12: per measure the `_after` column of the latest augmentation, else the first film in (u, u +
    baseline_days] that has the measure. A film is not compared with itself: the measure is then unknown."""
    after = latest.row[{"anterior": "anterior_mm_after", "kyphosis": "kyphosis_deg_after"}[measure]]
    if after is not None:
        return exact(after)
    for first in post_operative(patient, level, latest):
        if getattr(first, measure) is not None:
            return None if first.day == film.day else exact(getattr(first, measure))
    return None


def anterior_loss(patient: Patient, level: str, film: Film, latest: Augmentation) -> Decimal | None:
    """Reading 14: loss is (baseline - film) / baseline."""
    before, now = baseline(patient, level, film, latest, "anterior"), exact(film.anterior)
    if before is None or now is None or before == 0:
        return None
    return (before - now) / before


def kyphosis_change(patient: Patient, level: str, film: Film, latest: Augmentation) -> Decimal | None:
    before, now = baseline(patient, level, film, latest, "kyphosis"), exact(film.kyphosis)
    return None if before is None or now is None else now - before


def new_cleft(patient: Patient, level: str, film: Film, latest: Augmentation) -> bool:
    """Reading 13: a cleft not there before: yes on this film, and no on the first earlier film in (u, u +
    baseline_days] that records it, else no in `cleft_before`."""
    if film.cleft != "yes":
        return False
    for first in post_operative(patient, level, latest):
        if first.day < film.day and first.cleft is not None:
            return first.cleft == "no"
    return latest.row["cleft_before"] == "no"


def new_edema(patient: Patient, level: str, film: Film, latest: Augmentation) -> bool:
    """Reading 13: new edema: yes on this film, and no on the latest earlier film after u that records it."""
    if film.edema != "yes":
        return False
    earlier = [
        other
        for day, other in films(patient, level).items()
        if is_after(day, latest) and day < film.day and other.edema is not None
    ]
    return bool(earlier) and earlier[-1].edema == "no"


def finding_of(patient: Patient, level: str, film: Film, latest: Augmentation) -> int | None:
    """The row of the table: 1 (anterior loss >= 15 %, or kyphosis +10 degrees, or a cleft not there before), 2
    (anterior loss 10 to < 15 %), 3 (loss < 10 %, new edema), or none. Reading 14: with loss unknown only the first
    row can be met."""
    rules = patient.study.judgement
    loss = anterior_loss(patient, level, film, latest)
    kyphosis = kyphosis_change(patient, level, film, latest)
    if (
        (loss is not None and loss >= Decimal(str(rules.progression_loss)))
        or (kyphosis is not None and kyphosis >= Decimal(str(rules.progression_kyphosis_deg)))
        or new_cleft(patient, level, film, latest)
    ):
        return 1
    if loss is None:
        return None
    if loss >= Decimal(str(rules.settling_loss)):
        return 2
    return 3 if new_edema(patient, level, film, latest) else None


def pain_at(patient: Patient, film: Film, latest: Augmentation) -> str:
    """Worse: at least 2 points above the lowest score after treatment and before that film. The pain score is the
    one nearest the film, within 30 days.

    Reading 15: the pain score after u nearest the film (of two as near, the earlier; the worst of one day), within
    pain_days, is compared with the lowest of the other scores after u and before the film, pain_after included; without
    one of the two, pain is unknown.
    """
    rules = patient.study.judgement
    scores = [
        (row["date"], Decimal(str(row["pain"])))
        for row in patient.assessments
        if row["pain"] is not None and is_after(row["date"], latest)
    ]
    near = [score for score in scores if abs((score[0] - film.day).days) <= rules.pain_days]
    if not near:
        return "unknown"
    nearest = min(near, key=lambda score: (abs((score[0] - film.day).days), score[0], -score[1]))
    others = list(scores)
    others.remove(nearest)
    lowest = [pain for day, pain in others if day < film.day]
    if latest.row["pain_after"] is not None:
        lowest.append(Decimal(str(latest.row["pain_after"])))
    if not lowest:
        return "unknown"
    return "worse" if nearest[1] - min(lowest) >= Decimal(str(rules.worse_pain_points)) else "not worse"


def another_newly_fractured(patient: Patient, level: str, film: Film) -> bool:
    """With another vertebra newly fractured within 60 days pain cannot be attributed.

    Reading 16: a row of fractures at another level within other_fracture_days of the film that would be kept if
    only the rows of fractures, with the registry's own kinds, were classified.
    """
    alone = recorded_sightings(patient)
    mark_repeats(patient, alone)
    days = patient.study.judgement.other_fracture_days
    return any(s.kept and s.level != level and abs((s.day - film.day).days) <= days for s in alone)


def pain_column(patient: Patient, level: str, film: Film, latest: Augmentation, symptomatic: str | None) -> str:
    """The pain score ...; `symptomatic` on the row overrides it; with another vertebra newly fractured within 60
    days pain cannot be attributed and counts as unknown. (Reading 15: a recorded symptomatic, yes or no, stands
    also then.)"""
    if symptomatic == "yes":
        return "worse"
    if symptomatic == "no":
        return "not worse"
    if another_newly_fractured(patient, level, film):
        return "unknown"
    return pain_at(patient, film, latest)


CELLS = {
    (1, "worse"): "progression", (1, "not worse"): "asymptomatic_collapse", (1, "unknown"): "unjudged",
    (2, "worse"): "unjudged", (2, "not worse"): "settling", (2, "unknown"): "unjudged",
    (3, "worse"): "occult", (3, "not worse"): "unjudged", (3, "unknown"): "unjudged",
}  # fmt: skip


def judge(patient: Patient, sighting: Sighting) -> None:
    """Where the registry has not judged, a same-level sighting is judged from follow-up imaging and pain, otherwise
    it stays unjudged. Reading 11: judged are unjudged sightings whose level is treated before their day."""
    latest = latest_augmentation(patient, sighting.level, sighting.day)
    if sighting.kind != "unjudged" or latest is None:
        return
    film = film_of(patient, sighting, latest)
    if film is None:
        return
    finding = finding_of(patient, sighting.level, film, latest)
    if finding is not None:
        pain = pain_column(patient, sighting.level, film, latest, sighting.symptomatic)
        sighting.kind = CELLS[finding, pain]


def imaging_sightings(patient: Patient) -> list[Sighting]:
    """Imaging that meets a cell at a treated level without a sighting in fractures within 30 days gives one, id
    imaging:<level>:<date>. Reading 17: every film that meets any of the nine cells; film_days."""
    found = []
    for level in patient.spine:
        for day, film in films(patient, level).items():
            latest = latest_augmentation(patient, level, day)
            if latest is None:
                continue
            near = patient.study.judgement.film_days
            if any(row["level"] == level and abs((row["date"] - day).days) <= near for row in patient.fractures):
                continue
            finding = finding_of(patient, level, film, latest)
            if finding is not None:
                kind = CELLS[finding, pain_column(patient, level, film, latest, None)]
                found.append(Sighting(f"imaging:{level}:{day.isoformat()}", level, day, "imaging", kind))
    return found
