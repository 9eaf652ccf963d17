"""Random canonical registries in which every rule of classification and counting collides with every other.

They resemble no real registry: few neighbouring levels, few days, and dates drawn from each other's thresholds (the
day itself, one day either side, the last day of a window), so that a rule read one day or one level wrong shows
within some hundred patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from cohort.tables.schema import CANONICAL

Row = dict[str, Any]
FIRST_DAY = date(2019, 6, 1)
# Distances in days at which some rule turns: same day, staged windows, film and pain windows, baseline, other
# fractures, healing.
TURNS = (0, 0, 0, 1, 2, 5, 13, 14, 15, 29, 30, 31, 41, 42, 43, 59, 60, 61, 89, 90, 91, 92)


def canonical(name: str, rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of plain values as a canonical table: every column, in its dtype; what a row lacks is missing."""
    rows = list(rows)
    columns = {}
    for column in CANONICAL[name]:
        values = [row.get(column.name) for row in rows]
        if column.dtype == "datetime64[ns]":
            columns[column.name] = pd.Series(pd.to_datetime(pd.Series(values, dtype="object")), dtype="datetime64[ns]")
        elif column.dtype == "float64":
            columns[column.name] = pd.Series([np.nan if v is None else float(v) for v in values], dtype="float64")
        else:
            columns[column.name] = pd.Series(values, dtype=column.dtype)
    return pd.DataFrame(columns)


def tables_of(rows: Mapping[str, Iterable[Row]]) -> dict[str, pd.DataFrame]:
    """Every canonical table, empty where no rows are given."""
    return {name: canonical(name, rows.get(name, ())) for name in CANONICAL}


class _Draw:
    """Plain draws from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one(self, values: Any) -> Any:
        values = list(values)
        return values[int(self.rng.integers(len(values)))]

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def finding(self) -> str | None:
        return self.one(("yes", "yes", "no", "no", "no", "not_assessable", None))

    def near(self, days: list[date], *, back: float = 0.3) -> date:
        """A day at one of the turns from one of the days already drawn."""
        sign = -1 if self.chance(back) else 1
        return self.one(days) + timedelta(days=sign * self.one(TURNS))


# What a patient is mostly about: any collision, sessions a few days apart, or films of few fractures.
PROFILES = ("any", "any", "staged", "imaging")


def _spine(n_thoracic: int, n_lumbar: int) -> list[str]:
    names = [f"C{i}" for i in range(1, 8)] + [f"T{i}" for i in range(1, n_thoracic + 1)]
    return [*names, *(f"L{i}" for i in range(1, n_lumbar + 1)), "S1"]


def _patient(draw: _Draw, patient_id: str, scores_a_day: int) -> dict[str, list[Row]]:
    n_thoracic, n_lumbar = draw.one((None, 11, 12, 13)), draw.one((None, 4, 5, 6))
    spine = _spine(n_thoracic or 12, n_lumbar or 5)
    # Most patients in the thoracolumbar spine or at the sacrum, some about T4, where the range at risk begins.
    profile = draw.one(PROFILES)
    width = draw.number(2, 6)
    last = len(spine) - 1 if draw.chance(0.25) else draw.number(9 if draw.chance(0.25) else 14, len(spine) - 1)
    levels = spine[max(0, last - width + 1) : last + 1]
    if draw.chance(0.1):
        levels.append("S1")
    if draw.chance(0.03):
        levels.append(draw.one(("C1", "C7", "T1")))

    day0 = FIRST_DAY + timedelta(days=draw.number(0, 60))
    days = [day0]
    augmentations: list[Row] = []
    with_treatment = draw.chance(0.94)
    if with_treatment:
        for _ in range(draw.one((1, 1, 2, 2, 3, 3, 4))):
            for _ in range(draw.one((1, 1, 1, 2, 2, 3))):
                again = [row["level"] for row in augmentations]
                level = draw.one(again) if again and draw.chance(0.25) else draw.one(levels)
                augmentations.append(
                    {
                        "date": days[-1],
                        "date_precision": draw.one(("day", "day", "day", "month", None)),
                        "level": level,
                    }
                )
            gap = draw.one((1, 2, 5, 13, 14, 15, 29, 30, 31))
            days.append(days[-1] + timedelta(days=gap) if profile == "staged" else draw.near(days, back=0.1))
        if draw.chance(0.05):
            augmentations[-1].update(date_precision="year", date=date(2019, 7, 1))
        for row in augmentations:
            if draw.chance(0.3 if len(augmentations) > 2 else 0.04) and draw.chance(0.35):
                row.update(date=None, date_precision="before_index")
        if draw.chance(0.1):
            before = dict(draw.one(augmentations))
            augmentations.append(before)  # one level and day twice
        if draw.chance(0.05):
            for row in augmentations:
                row["level"] = "S1"
        if draw.chance(0.08):
            extra = draw.one(("S1", draw.one(levels)))
            augmentations.append({"date": None, "date_precision": "before_index", "level": extra})
    days = [row["date"] for row in augmentations if row["date"] is not None] or [day0]

    fractures: list[Row] = []
    kinds = (*[None] * 5, "new", "new", "old", "progression", "settling", "occult")
    how_many = {"any": (0, 1, 2, 3, 4, 5, 6, 8, 10), "staged": (0, 1, 2, 3), "imaging": (0, 0, 1, 1, 2)}[profile]
    for _ in range(draw.one(how_many)):
        treated = [row["level"] for row in augmentations]
        level = draw.one(treated) if treated and draw.chance(0.4) else draw.one(levels)
        if fractures and draw.chance(0.35):
            level = draw.one(fractures)["level"]
        seen = [row["date"] for row in fractures if row["level"] == level]
        treated_on = [row["date"] for row in augmentations if row["level"] == level and row["date"] is not None]
        found = draw.near(seen or days, back=0.1) if draw.chance(0.5) else draw.near(treated_on or days)
        later = [row for row in augmentations if row["date"] is not None and row["date"] > min(days)]
        if profile == "staged" and later and draw.chance(0.8):  # in the days between two sessions, and at their ends
            second = draw.one(later)
            level, found = second["level"], second["date"] - timedelta(days=draw.one((0, 0, 0, 1, 1, 2, 5, 13, 14)))
        clear = None
        if draw.chance(0.4):
            clear = draw.near(days, back=0.6) if draw.chance(0.5) else found - timedelta(days=draw.number(1, 40))
            clear = draw.one(days) - timedelta(days=draw.one((0, 0, 1))) if draw.chance(0.4) else clear
            clear = clear if clear < found else None
        fractures.append(
            {
                "date": found,
                "date_precision": draw.one(("day", "day", None, "month", "year")),
                "level": level,
                "symptomatic": draw.one((None, None, None, None, "yes", "no", "not_assessable")),
                "trauma": draw.one((None, "yes", "no", "not_assessable")),
                "modality": draw.one((None, "mri", "ct")),
                "last_clear_date": clear,
                "kind": draw.one((None, "settling")) if profile != "any" and draw.chance(0.4) else draw.one(kinds),
            }
        )

    anterior, kyphosis = draw.one((20.0, 25.0, 18.5)), float(draw.number(4, 15))
    for row in augmentations:
        row.update(
            indication=draw.one((None, "fracture", "fracture", "fracture", "prophylactic", "tumour")),
            anterior_mm_after=anterior if draw.chance(0.5) else None,
            kyphosis_deg_after=kyphosis if draw.chance(0.3) else None,
            cleft_before=draw.finding(),
            pain_after=float(draw.number(0, 5)) if draw.chance(0.8 if profile == "imaging" else 0.4) else None,
            technique=draw.one((None, "vertebroplasty", "kyphoplasty", "other")),
        )

    imaging: list[Row] = []
    if augmentations and draw.chance(1.0 if profile == "imaging" else 0.6):
        for _ in range(draw.number(1, 9)):
            level = draw.one(augmentations)["level"] if draw.chance(0.85) else draw.one(levels)
            seen = [row["date"] for row in fractures if row["level"] == level]
            treated_on = [row["date"] for row in augmentations if row["level"] == level and row["date"] is not None]
            if imaging and draw.chance(0.1):
                level, taken = imaging[-1]["level"], imaging[-1]["date"]
            elif seen and imaging and draw.chance(0.2):  # as far on the other side of a sighting
                taken = seen[0] + (seen[0] - imaging[-1]["date"])
            elif treated_on and draw.chance(0.2):
                taken = max(treated_on)
            else:
                taken = draw.near(seen or days) if draw.chance(0.5) else draw.near(days, back=0.05)
            height = round(anterior * draw.one((1, 1, 0.95, 0.91, 0.9, 0.89, 0.86, 0.85, 0.84, 0.6)), 3)
            angle = kyphosis + draw.one((0, 0, 3, 9, 10, 11))
            imaging.append(
                {
                    "date": taken,
                    "level": level,
                    "modality": draw.one((None, "radiograph", "mri")),
                    "posture": draw.one((None, "supine", "standing")),
                    "anterior_mm": height if draw.chance(0.8) else None,
                    "kyphosis_deg": angle if draw.chance(0.4) else None,
                    "edema": draw.one(("yes", "yes", "no", "no", "not_assessable", None)),
                    "cleft": draw.finding() if draw.chance(0.5) else None,
                }
            )
    assessments: list[Row] = []
    if draw.chance(0.8):
        about = days + [row["date"] for row in imaging] * 2
        visits = draw.number(4, 10) if profile == "imaging" else draw.number(1, 6)
        visited = {draw.near(about, back=0.5) for _ in range(visits)}
        if imaging and draw.chance(0.5):  # on both sides of a film
            middle, aside = draw.one(imaging)["date"], timedelta(days=draw.one((1, 2, 14, 30)))
            visited |= {middle - aside, middle + aside}
            visited -= {middle}
        for seen_on in sorted(visited):
            for _ in range(scores_a_day if draw.chance(0.3) else 1):
                pain = float(draw.number(0, 8)) if draw.chance(0.9) else None
                assessments.append({"date": seen_on, "pain": pain, "odi": draw.one((None, 40.0))})

    excluded: list[Row] = []
    if draw.chance(0.25):
        for _ in range(draw.number(1, 3)):
            start, stop = draw.near(days), draw.near(days, back=0.1)
            excluded.append(
                {
                    "level": draw.one(levels),
                    "reason": draw.one(("fused", "instrumented", "ankylosed", "other")),
                    "from": start if draw.chance(0.6) else None,
                    "to": stop if draw.chance(0.6) and stop > start else None,
                }
            )

    has_before_index = any(row["date"] is None for row in augmentations)
    enrolled = draw.near(days, back=0.5) if draw.chance(0.65 if has_before_index else 0.3) else None
    # Mostly a follow-up of months; sometimes none: an exit on or before entry.
    end = max(days) + timedelta(days=draw.number(30, 220)) if draw.chance(0.9) else draw.near(days)
    end = min(end, min(days) + timedelta(days=400))
    death = draw.near([end, *(row["date"] for row in fractures), *days]) if draw.chance(0.2) else None
    if death is not None:
        augmentations = [row for row in augmentations if row["date"] is None or row["date"] <= death]
        fractures = [row for row in fractures if row["date"] <= death]
        imaging = [row for row in imaging if row["date"] <= death]
        assessments = [row for row in assessments if row["date"] <= death]
    patient = {
        "sex": draw.one((None, "female", "male", "other")),
        "age_at_index": float(draw.number(50, 90)),
        "n_thoracic": n_thoracic,
        "n_lumbar": n_lumbar,
        "enrolled_on": enrolled,
        "follow_up_end": end,
        "death_date": death,
        "incomplete": draw.one(("no", "no", "no", "no", "no", "no", None, "yes")),
    }
    rows = {
        "patients": [patient],
        "augmentations": augmentations,
        "fractures": fractures,
        "imaging": imaging,
        "assessments": assessments,
        "excluded_levels": excluded,
    }
    for table in rows.values():
        for row in table:
            row["patient_id"] = patient_id
    return rows


LEAKS = (
    "none", "disc", "disc_superior", "disc_inferior", "disc_superior;disc_inferior", "disc;disc_inferior", "venous",
    "epidural;disc_superior", "paravertebral",
)  # fmt: skip


def _enrich(draw: _Draw, rows: dict[str, list[Row]]) -> None:
    """What carries no rule of relation: births, leaks, cement, heights, studies, drugs. Drawn apart, so that the days
    and levels of a seed stay what they are."""
    sessions: dict[str, list[date]] = {}
    for row in rows["augmentations"]:
        sessions.setdefault(row["patient_id"], []).append(row["date"] or FIRST_DAY)
        expected = draw.one((25.0, 25.0, 20.0, None))
        row.update(
            leak=draw.one((None, *LEAKS)),
            cement=draw.one((None, "pmma", "bioactive")),
            volume_ml=draw.one((None, 2.5, 4.0)),
            anterior_mm_before=draw.one((None, 15.0, 18.0, 25.0)),
            anterior_mm_reference=expected,
        )
    for patient in rows["patients"]:
        days = sessions.get(patient["patient_id"], [FIRST_DAY])
        around = days + [row["date"] for row in rows["fractures"] if row["patient_id"] == patient["patient_id"]]
        if draw.chance(0.6):
            turn = draw.near(around, back=0.3)
            birth = turn - timedelta(days=draw.one((365 * 65 + 16, 365 * 75 + 18, 365 * 85 + 21)))
            patient["birth_date"] = date(1944, 2, 29) if draw.chance(0.15) else birth
        if draw.chance(0.3):
            patient["age_at_index"] = draw.one((None, 64.5, 74.9, 84.75, 65.0))
        spine_of = [f"T{k}" for k in range(4, (patient["n_thoracic"] or 12) + 1)]
        spine_of += [f"L{k}" for k in range(1, (patient["n_lumbar"] or 5) + 1)]
        last_day = patient["death_date"] or date.max
        for _ in range(draw.one((0, 0, 1, 2, 4))):
            first, last = sorted(draw.rng.choice(len(spine_of), size=2))
            seen = draw.near(around, back=0.2)
            whole = draw.chance(0.9)
            if seen <= last_day:
                rows["imaging_studies"].append(
                    {
                        "patient_id": patient["patient_id"],
                        "date": seen,
                        "modality": draw.one((None, "mri", "ct")),
                        "first_level": spine_of[first] if whole else None,
                        "last_level": spine_of[last],
                        "protocol": draw.one((None, "scheduled", "symptom", "unknown")),
                    }
                )
        for _ in range(draw.one((0, 0, 0, 1, 2))):
            start = draw.near(around, back=0.3)
            stop = start + timedelta(days=draw.number(0, 90)) if draw.chance(0.7) else None
            drug = draw.one(("alendronate", "zoledronate", "prednisolone", "denosumab"))
            rows["medications"].append(
                {"patient_id": patient["patient_id"], "drug": drug, "start": start, "stop": stop}
            )  # fmt: skip


def _ids(draw: _Draw, n: int) -> list[str]:
    """Ids whose order as text is neither their order as numbers nor that of the file."""
    numbers = draw.rng.permutation(np.arange(1, 2 * n + 1))[:n]
    return [f"{draw.one(('', 'f', 'F', 'x-'))}{number}" for number in numbers]


def random_registry(n_patients: int, seed: int, *, scores_a_day: int = 1) -> dict[str, pd.DataFrame]:
    """Canonical tables of `n_patients` random patients, rows in no order.

    scores_a_day : the most pain scores recorded on one day. The same seed gives the same registry. Dates are valid
    under the checks of section 3 (nothing after death).
    """
    draw = _Draw(np.random.default_rng(seed))
    rows: dict[str, list[Row]] = {name: [] for name in CANONICAL}
    for patient_id in _ids(draw, n_patients):
        for name, mine in _patient(draw, patient_id, scores_a_day).items():
            rows[name] += mine
    _enrich(_Draw(np.random.default_rng([seed, 1])), rows)
    for name, key in (("augmentations", "augmentation_id"), ("fractures", "fracture_id")):
        for row, made in zip(rows[name], _ids(draw, len(rows[name])), strict=True):
            row[key] = made
    return tables_of({name: [table[i] for i in draw.rng.permutation(len(table))] for name, table in rows.items()})
