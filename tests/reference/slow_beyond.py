"""Beyond the nearest treated vertebra, once more and slowly: signed distances, cascades, the relation to every earlier
augmentation, and whose cleft, leak or height restoration a vertebra has on a day (sections 4 and 7 of the rules).

As in `slow.py` each function quotes the sentence it follows. Text and yes/no columns hold str with "" for empty,
numbers are float64 with NaN for empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
from slow import sightings_of
from slow_relation import (
    Augmentation,
    Patient,
    Row,
    Sighting,
    attributed_to,
    days_since,
    latest_augmentation,
    levels_between,
    patients_of,
    relation,
    treated_before,
    treated_levels,
)

from cohort.domain.study import StudyDefinition

NONE = float("nan")
BEYOND_COLUMNS = (
    "patient_id", "fracture_id", "signed_distance", "n_treated", "cascade_of", "cascade_days", "cascade_length",
)  # fmt: skip
RELATION_COLUMNS = (
    "patient_id", "fracture_id", "augmentation_id", "relation", "signed_distance", "days_since", "superseded",
    "attributed",
)  # fmt: skip


def in_order(patient: Patient) -> list[Sighting]:
    """Sightings as `cohort classify` orders them: date, spine, id as text."""
    return sorted(sightings_of(patient), key=lambda s: (s.day, patient.spine.index(s.level), s.id))


# ---------------- section 4: beyond the nearest


def signed_distance(patient: Patient, level: str, treated: str) -> float:
    """Levels from the augmentation to the fracture; positive where the fracture lies above it (cranial), negative
    below, 0 for same."""
    return float(patient.spine.index(treated) - patient.spine.index(level))


def direct_neighbours(patient: Patient, level: str) -> list[str]:
    """A direct neighbour of l in the patient's own spine."""
    return [other for other in patient.spine if levels_between(patient, level, other) == 1]


def follows(patient: Patient, sighting: Sighting, sightings: list[Sighting]) -> Sighting | None:
    """A kept sighting at l on t follows another when a direct neighbour of l has a kept sighting on a day s with
    t - 90 <= s < t (cascade_days, a setting), before or after treatment. cascade_of is the latest such sighting, of
    two on one day the more caudal. Two found on one day are simultaneous, and neither follows the other."""
    window = getattr(patient.study.relation, "cascade_days", 90)
    earlier = [
        other
        for other in sightings
        if other.kept
        and other.level in direct_neighbours(patient, sighting.level)
        and sighting.day - timedelta(days=window) <= other.day < sighting.day
    ]
    return max(earlier, key=lambda other: (other.day, patient.spine.index(other.level))) if earlier else None


def cascade_length(patient: Patient, sighting: Sighting, sightings: list[Sighting]) -> int:
    """The fractures of the chain that ends here: 1 without an earlier one, else one more than that of cascade_of."""
    first = follows(patient, sighting, sightings)
    return 1 if first is None else 1 + cascade_length(patient, first, sightings)


def beyond(tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> pd.DataFrame:
    """One row per sighting, in the order of `classify`. signed_distance is that from the attributed augmentation,
    n_treated the number of levels in A; both are empty before treatment. The three columns of the cascade are empty
    for sightings that are not kept."""
    rows = []
    for patient in sorted(patients_of(tables, study), key=lambda patient: patient.id):
        sightings = in_order(patient)
        for sighting in sightings:
            attributed = attributed_to(patient, sighting.level, sighting.day)
            first = follows(patient, sighting, sightings) if sighting.kept else None
            rows.append(
                {
                    "patient_id": patient.id,
                    "fracture_id": sighting.id,
                    "signed_distance": signed_distance(patient, sighting.level, attributed.level)
                    if attributed
                    else NONE,
                    "n_treated": float(len(treated_levels(patient, sighting.day))) if attributed else NONE,
                    "cascade_of": first.id if first else "",
                    "cascade_days": float((sighting.day - first.day).days) if first else NONE,
                    "cascade_length": float(cascade_length(patient, sighting, sightings)) if sighting.kept else NONE,
                }
            )
    numbers = ("signed_distance", "n_treated", "cascade_days", "cascade_length")
    return pd.DataFrame(rows, columns=list(BEYOND_COLUMNS)).astype(dict.fromkeys(numbers, "float64"))


def is_superseded(patient: Patient, augmentation: Augmentation, day: date) -> bool:
    """Whether a later one of the same level, before the sighting too, supersedes it."""
    latest = latest_augmentation(patient, augmentation.level, day)
    return latest is not augmentation


def relations(tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> pd.DataFrame:
    """The long table: one row per sighting and augmentation before it (A with its history: a level augmented twice
    has two rows), with the relation to that augmentation alone, its signed distance, the days between, whether a
    later one of the same level supersedes it, and whether the sighting is attributed to it.

    In the order of `classify`, then date (before_index first), then spine.
    """
    rows = []
    for patient in sorted(patients_of(tables, study), key=lambda patient: patient.id):
        for sighting in in_order(patient):
            attributed = attributed_to(patient, sighting.level, sighting.day)
            before = treated_before(patient, sighting.day)
            for augmentation in sorted(before, key=lambda a: (a.day or date.min, patient.spine.index(a.level))):
                rows.append(
                    {
                        "patient_id": patient.id,
                        "fracture_id": sighting.id,
                        "augmentation_id": augmentation.id,
                        "relation": relation(patient, sighting.level, {augmentation.level}),
                        "signed_distance": signed_distance(patient, sighting.level, augmentation.level),
                        "days_since": days_since(augmentation, sighting.day),
                        "superseded": "yes" if is_superseded(patient, augmentation, sighting.day) else "no",
                        "attributed": "yes" if augmentation is attributed else "no",
                    }
                )
    frame = pd.DataFrame(rows, columns=list(RELATION_COLUMNS))
    return frame.astype({"signed_distance": "float64", "days_since": "float64"})


# ---------------- section 7: whose cleft, leak or height restoration?


WORST_FIRST = ("yes", "not_assessable", "missing", "no")


def worse(states: list[str]) -> str:
    """Reading 31: yes, else not assessable, else missing, else no."""
    return min(states, key=WORST_FIRST.index) if states else "missing"


def greater(numbers: list[float | None]) -> float | None:
    """Reading 31: of numbers the greater, missing if either is."""
    known = [number for number in numbers if number is not None]
    return max(known) if known and len(known) == len(numbers) else None


def cleft(augmentation: Augmentation) -> str:
    """Intravertebral cleft on pre-operative imaging: a finding with four states."""
    return augmentation.row["cleft_before"] or "missing"


def leak_words(augmentation: Augmentation) -> set[str]:
    """A set, separated by `;`; empty where nothing was recorded."""
    leak = augmentation.row["leak"]
    if leak is None:
        return set()
    return {word.strip() for word in (leak.split(";") if isinstance(leak, str) else leak) if word.strip()}


def any_leak(augmentation: Augmentation) -> str:
    """`leak` is cement in a disc, on whichever side (reading 30: `disc` alone is yes for "any disc leak")."""
    words = leak_words(augmentation)
    if not words:
        return "missing"
    return "yes" if words & {"disc", "disc_superior", "disc_inferior"} else "no"


def leak_towards(patient: Patient, augmentation: Augmentation, level: str) -> str:
    """Leak only into the disc between them (`disc` alone: unknown). Reading 30: `disc` alone is missing for either
    neighbour; beside a named side it adds nothing."""
    words = leak_words(augmentation)
    level_is_above = patient.spine.index(level) < patient.spine.index(augmentation.level)
    between = "disc_superior" if level_is_above else "disc_inferior"
    if not words:
        return "missing"
    if between in words:
        return "yes"
    side_is_named = "disc_superior" in words or "disc_inferior" in words
    return "missing" if "disc" in words and not side_is_named else "no"


def height_restoration(augmentation: Augmentation) -> float | None:
    """The share of the lost anterior height won back, (after - before) / (expected - before); missing unless the
    expected height exceeds the height before."""
    before, after, expected = (augmentation.row[f"anterior_mm_{name}"] for name in ("before", "after", "reference"))
    if before is None or after is None or expected is None or not expected > before:
        return None
    return float((Decimal(str(after)) - Decimal(str(before))) / (Decimal(str(expected)) - Decimal(str(before))))


def treated_neighbours(patient: Patient, level: str, day: date) -> list[Augmentation]:
    """The latest augmentation of each treated neighbour. Reading 31: with a reach above 1 a neighbour is the nearest
    treated vertebra on each side within reach."""
    here, found = patient.spine.index(level), []
    treated = treated_levels(patient, day)
    for step in (-1, 1):
        for away in range(1, patient.study.relation.reach + 1):
            place = here + step * away
            if 0 <= place < len(patient.spine) and patient.spine[place] in treated:
                latest = latest_augmentation(patient, patient.spine[place], day)
                assert latest is not None
                found.append(latest)
                break
    return found


def exposure_on(patient: Patient, level: str, day: date) -> Row:
    """What a vertebra is exposed to on a day: cleft, leak (yes, no, not_assessable, missing), height_restoration
    (None where missing), n_treated_neighbours, technique, cement, volume_ml.

    Treated vertebra: its own latest augmentation's. Adjacent vertebra: its treated neighbour's; leak only into the
    disc between them; with two treated neighbours the worse, and their number. Remote vertebra: any so far.
    """
    settings = patient.study.exposures
    role = relation(patient, level, treated_levels(patient, day))
    attributed = attributed_to(patient, level, day)
    neighbours = treated_neighbours(patient, level, day)
    so_far = treated_before(patient, day)
    if attributed is None:
        whose, leaks = [], []
    elif role == "same":
        whose, leaks = [attributed], [any_leak(attributed)]
    elif role == "adjacent" and settings.adjacent_whose == "neighbour":
        whose = [attributed] if settings.two_neighbours == "attributed" else neighbours
        leaks = [leak_towards(patient, augmentation, level) for augmentation in whose]
    elif role == "remote" and settings.remote_whose == "attributed":
        whose, leaks = [attributed], [any_leak(attributed)]
    else:
        whose, leaks = so_far, [any_leak(augmentation) for augmentation in so_far]

    def of_attributed(column: str) -> Any:
        """Reading 32: those of the augmentation that a fracture there would be attributed to."""
        return attributed.row[column] if attributed else None

    return {
        "cleft": worse([cleft(augmentation) for augmentation in whose]),
        "leak": worse(leaks),
        "height_restoration": greater([height_restoration(augmentation) for augmentation in whose]),
        "n_treated_neighbours": len(neighbours),
        "technique": of_attributed("technique"),
        "cement": of_attributed("cement"),
        "volume_ml": of_attributed("volume_ml"),
    }
