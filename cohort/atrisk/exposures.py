"""Whose cleft, leak or restoration: a treated vertebra's own, an adjacent one's treated neighbour's, else any so far.

Findings are held as a severity, so that "the worse of two" is the greater number: yes wins; else what could not be
told or was not recorded keeps the answer unknown; only `no` everywhere is `no`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.atrisk.columns import categorical, codes
from cohort.atrisk.members import Members
from cohort.domain import spine
from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.outcomes import FINDING
from cohort.domain.study import ExposureSettings
from cohort.domain.treated import pack
from cohort.tables.schema import AUGMENTATIONS

ABSENT, NO, MISSING_FINDING, NOT_ASSESSABLE, YES = -1, 0, 1, 2, 3
_SEVERITY = np.array([NO, NOT_ASSESSABLE, YES, MISSING_FINDING])  # by code in FINDING; -1 (missing) is the last
_FINDING_CODE = np.array([0, -1, 1, 2])  # by severity
_DISCS = ("disc", "disc_superior", "disc_inferior")


@dataclass(frozen=True)
class Findings:
    """What each augmentation row says. Severities int64; codes -1 and measures NaN where missing; shape (n,)."""

    cleft: IntArray
    leak: IntArray
    leak_superior: IntArray
    leak_inferior: IntArray
    restoration: FloatArray
    technique: IntArray
    cement: IntArray
    volume_ml: FloatArray


def findings(augmentations: pd.DataFrame) -> Findings:
    """Read the columns of augmentations that serve as exposures."""
    leak, superior, inferior = leaks(augmentations["leak"])
    return Findings(
        _SEVERITY[codes(augmentations["cleft_before"], FINDING)],
        leak,
        superior,
        inferior,
        height_restoration(augmentations),
        codes(augmentations["technique"], AUGMENTATIONS["technique"].vocabulary),
        codes(augmentations["cement"], AUGMENTATIONS["cement"].vocabulary),
        augmentations["volume_ml"].to_numpy(dtype=np.float64),
    )


def leaks(leak: pd.Series) -> tuple[IntArray, IntArray, IntArray]:
    """Severity of a leak into any disc, the disc above and the disc below, from sets such as 'disc_inferior;venous'.

    `disc` alone is a leak whose side nobody wrote down: yes for any disc, missing for either side.

    >>> [a.tolist() for a in leaks(pd.Series(["disc_inferior;venous", "disc", "none", None]))]
    [[3, 3, 0, 1], [0, 1, 0, 1], [3, 1, 0, 1]]
    """
    index, written = pd.factorize(leak.astype(object), use_na_sentinel=True)
    known = np.full((3, len(written) + 1), MISSING_FINDING, dtype=np.int64)
    for column, text in enumerate(written):
        items = {item.strip() for item in str(text).split(";")} - {""}
        if items:
            one_side = "disc_superior" in items or "disc_inferior" in items
            unknown_side = MISSING_FINDING if "disc" in items and not one_side else NO
            known[0, column] = YES if items & set(_DISCS) else NO
            known[1, column] = YES if "disc_superior" in items else unknown_side
            known[2, column] = YES if "disc_inferior" in items else unknown_side
    return known[0, index], known[1, index], known[2, index]


def height_restoration(augmentations: pd.DataFrame) -> FloatArray:
    """Share of the lost anterior height that was won back; missing unless the reference exceeds the height before."""
    before, after, reference = (
        augmentations[f"anterior_mm_{name}"].to_numpy(dtype=np.float64) for name in ("before", "after", "reference")
    )
    lost = reference - before
    return np.divide(after - before, lost, out=np.full(len(lost), np.nan), where=lost > 0)


def as_finding(severity: IntArray) -> pd.Categorical:
    """Severities as a categorical of no, not_assessable, yes, or missing."""
    return categorical(_FINDING_CODE[np.maximum(severity, NO)], FINDING)


@dataclass(frozen=True)
class Exposures:
    """Exposures of vertebrae, aligned with the rows asked for; fields as `Findings`.

    technique, cement and volume_ml are those of the augmentation to which a fracture there would be attributed:
    nearest level first, then the latest date, then the more caudal level.
    """

    cleft: IntArray
    leak: IntArray
    restoration: FloatArray
    n_treated_neighbours: IntArray
    technique: IntArray
    cement: IntArray
    volume_ml: FloatArray


def exposures(
    members: Members,
    values: Findings,
    role: str,
    patient: IntArray,
    place: IntArray,
    treated: IntArray,
    day: IntArray,
    *,
    reach: int,
    settings: ExposureSettings,
) -> Exposures:
    """What vertebrae of one role are exposed to on a day. role: "treated", "adjacent" or "remote"; arrays (n,).

    treated : the set *A* before the day. settings : whose findings count where not the vertebra's own.
    """
    history = members.history
    above, below = nearest_above(treated, place), nearest_below(treated, place)
    cranial = _attributed(members, patient, above, day)
    caudal = _attributed(members, patient, below, day)
    in_reach_above = (above >= 0) & (place - above <= reach)
    in_reach_below = (below >= 0) & (below - place <= reach)
    n_neighbours = in_reach_above.astype(np.int64) + in_reach_below

    if role == "treated":
        chosen = history.row[history.latest(patient, place, day)]
        cleft, leak, restoration = values.cleft[chosen], values.leak[chosen], values.restoration[chosen]
    else:
        nearest = _nearest_then_latest(members, place, above, below, cranial, caudal)
        chosen = history.row[nearest]
        if role == "adjacent" and settings.adjacent_whose == "neighbour":
            up, down = np.where(in_reach_above, cranial, -1), np.where(in_reach_below, caudal, -1)
            if settings.two_neighbours == "attributed":
                up, down = np.where(nearest == up, up, -1), np.where(nearest == down, down, -1)
            row_up, row_down = history.row[up], history.row[down]
            cleft = np.maximum(_where(up, values.cleft[row_up]), _where(down, values.cleft[row_down]))
            # The disc between faces down from the neighbour above and up from the neighbour below.
            leak = np.maximum(_where(up, values.leak_inferior[row_up]), _where(down, values.leak_superior[row_down]))
            restoration = _greater(values.restoration[row_up], values.restoration[row_down], up >= 0, down >= 0)
        elif role == "remote" and settings.remote_whose == "attributed":
            cleft, leak, restoration = values.cleft[chosen], values.leak[chosen], values.restoration[chosen]
        else:
            cleft, leak, restoration = any_so_far(members, values, patient, day)
    return Exposures(
        cleft,
        leak,
        restoration,
        n_neighbours,
        values.technique[chosen],
        values.cement[chosen],
        values.volume_ml[chosen],
    )


def any_so_far(
    members: Members, values: Findings, patient: IntArray, day: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Worst cleft, worst disc leak and greatest restoration of all augmentations of a patient before a day.

    A missing restoration leaves the greatest unknown. ABSENT and NaN where nothing was augmented before the day.
    """
    history = members.history
    packed = pack(history.patient, history.day)
    index = np.searchsorted(packed, pack(patient, day), side="left") - 1
    if not len(packed):
        return np.full(len(day), ABSENT), np.full(len(day), ABSENT), np.full(len(day), np.nan)
    held = (index >= 0) & (history.patient[index] == patient)
    cleft = _running_max(history.patient, values.cleft[history.row])[index]
    leak = _running_max(history.patient, values.leak[history.row])[index]
    # NaN sorts last among the distinct values, so a missing one stays the greatest from then on.
    distinct, rank = np.unique(values.restoration[history.row], return_inverse=True)
    restoration = distinct[_running_max(history.patient, rank.astype(np.int64))[index]]
    return np.where(held, cleft, ABSENT), np.where(held, leak, ABSENT), np.where(held, restoration, np.nan)


def nearest_above(mask: IntArray, place: IntArray) -> IntArray:
    """Position of the nearest member above (cranial to) each position, -1 if there is none.

    >>> nearest_above(np.array([0b10011]), np.array([4])).tolist()
    [1]
    """
    return spine.highest(mask & (spine.bit(place) - 1))


def nearest_below(mask: IntArray, place: IntArray) -> IntArray:
    """Position of the nearest member below (caudal to) each position, -1 if there is none.

    >>> nearest_below(np.array([0b10011]), np.array([1])).tolist()
    [4]
    """
    rest = mask & ~((spine.bit(place) << 1) - 1)
    return spine.highest(rest & -rest)


def _attributed(members: Members, patient: IntArray, place: IntArray, day: IntArray) -> IntArray:
    """Index into the history of the latest augmentation at a position, -1 where the position is -1."""
    found = members.history.latest(patient, np.maximum(place, 0), day)
    return np.where(place < 0, -1, found)


def _nearest_then_latest(
    members: Members, place: IntArray, above: IntArray, below: IntArray, cranial: IntArray, caudal: IntArray
) -> IntArray:
    far = np.int64(spine.NO_DISTANCE)
    up = np.where(above >= 0, place - above, far)
    down = np.where(below >= 0, below - place, far)
    day = members.history.day
    cranial_later = day[cranial] > day[caudal]
    use_cranial: BoolArray = (up < down) | ((up == down) & cranial_later)
    return np.where(use_cranial, cranial, caudal)


def _where(index: IntArray, severity: IntArray) -> IntArray:
    return np.where(index >= 0, severity, ABSENT)


def _greater(up: FloatArray, down: FloatArray, has_up: BoolArray, has_down: BoolArray) -> FloatArray:
    both = np.maximum(up, down)  # NaN in either stays NaN: with one missing, the greater is unknown
    return np.where(has_up & has_down, both, np.where(has_up, up, down))


def _running_max(group: IntArray, value: IntArray) -> IntArray:
    """Greatest value so far within sorted groups; values are whole numbers from 0."""
    width = value.max(initial=0) + 1
    return np.maximum.accumulate(group * width + value) - group * width
