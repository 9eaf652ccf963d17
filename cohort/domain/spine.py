"""The spine as a row of vertebrae: level k of a patient's own row is bit k of an int64.

C1-C7, T1-T12, L1-L5, S1 is the usual row; a patient may have 11-13 thoracic and 4-6 lumbar vertebrae, and
neighbours follow the patient's own row. A *code* is the place of a label in `LEVELS` (the same for everyone);
a *position* is the place in one patient's own row, -1 where the patient has no such vertebra.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.errors import DefinitionError

LEVELS: Final[tuple[str, ...]] = (
    *(f"C{k}" for k in range(1, 8)),
    *(f"T{k}" for k in range(1, 14)),
    *(f"L{k}" for k in range(1, 7)),
    "S1",
)
LEVEL_DTYPE: Final = pd.CategoricalDtype(list(LEVELS), ordered=True)
CODE: Final[dict[str, int]] = {label: code for code, label in enumerate(LEVELS)}

CERVICAL: Final = 7
MAX_THORACIC: Final = 13
MAX_LUMBAR: Final = 6
FIRST_LUMBAR_CODE: Final = CERVICAL + MAX_THORACIC
SACRUM_CODE: Final = CODE["S1"]
NO_DISTANCE: Final = 99


def position(code: IntArray, n_thoracic: IntArray, n_lumbar: IntArray) -> IntArray:
    """Place of each level in its patient's own row, -1 where the patient lacks it. All shape (n,).

    >>> position(np.array([CODE["L1"], CODE["T13"], CODE["L1"]]), np.array([12, 12, 13]), np.array([5, 5, 5])).tolist()
    [19, -1, 20]
    """
    code = np.asarray(code, dtype=np.int64)
    thoracic = code - CERVICAL
    lumbar = code - FIRST_LUMBAR_CODE
    result = np.where(code < CERVICAL, code, -1)
    is_thoracic = (code >= CERVICAL) & (code < FIRST_LUMBAR_CODE) & (thoracic < n_thoracic)
    result = np.where(is_thoracic, code, result)
    is_lumbar = (code >= FIRST_LUMBAR_CODE) & (code < SACRUM_CODE) & (lumbar < n_lumbar)
    result = np.where(is_lumbar, CERVICAL + n_thoracic + lumbar, result)
    return np.where(code == SACRUM_CODE, CERVICAL + n_thoracic + n_lumbar, result).astype(np.int64)


def code_at(place: IntArray, n_thoracic: IntArray, n_lumbar: IntArray) -> IntArray:
    """Level code of each position of a patient's own row; the inverse of `position`, -1 outside the row.

    >>> LEVELS[code_at(np.array([19]), np.array([11]), np.array([5]))[0]]
    'L2'
    """
    place = np.asarray(place, dtype=np.int64)
    first_lumbar = CERVICAL + n_thoracic
    sacrum = first_lumbar + n_lumbar
    code = np.where(place < first_lumbar, place, FIRST_LUMBAR_CODE + place - first_lumbar)
    code = np.where(place == sacrum, SACRUM_CODE, code)
    return np.where((place < 0) | (place > sacrum), -1, code).astype(np.int64)


def row_mask(n_thoracic: IntArray, n_lumbar: IntArray) -> IntArray:
    """Every vertebra the patient has, C1 to S1, as a set of bits."""
    length = CERVICAL + np.asarray(n_thoracic, dtype=np.int64) + np.asarray(n_lumbar, dtype=np.int64) + 1
    return (np.int64(1) << length) - 1


def range_mask(first: IntArray, last: IntArray) -> IntArray:
    """Positions first..last inclusive as a set of bits; empty where last < first."""
    first = np.asarray(first, dtype=np.int64)
    last = np.asarray(last, dtype=np.int64)
    upper = (np.int64(1) << (last + 1)) - 1
    lower = (np.int64(1) << first) - 1
    return np.where(last < first, 0, upper & ~lower)


def range_at_risk(first: str, last: str | None, n_thoracic: IntArray, n_lumbar: IntArray) -> IntArray:
    """The vertebrae of each patient from `first` to `last` (default: the last lumbar), as a set of bits.

    A patient who lacks a named level has the range end at the next vertebra inside it: without a T13, a range from
    T13 starts at L1 and one to T13 ends at T12. Raises DefinitionError for a name that is no level, and for a range
    that ends above its start.

    >>> four_lumbar = range_at_risk("T12", "L5", np.array([12]), np.array([4]))[0]
    >>> [LEVELS[k] for k in code_at(np.flatnonzero([four_lumbar >> k & 1 for k in range(27)]), 12, 4)]
    ['T12', 'L1', 'L2', 'L3', 'L4']
    """
    last_label = "L6" if last is None else last
    for label in (first, last_label):
        if label not in CODE:
            raise DefinitionError(f"The range at risk names '{label}', which is no vertebra; write C1 to S1, as in T4.")
    if CODE[last_label] < CODE[first]:
        raise DefinitionError(f"The range at risk ends at {last_label}, above its start {first}; exchange the two.")
    # Few shapes of spine exist: the range is found once for each.
    thoracic, lumbar = (shape.ravel() for shape in np.meshgrid(np.arange(16), np.arange(16), indexing="ij"))
    of_shape = np.zeros(256, dtype=np.int64)
    for code in range(CODE[first], CODE[last_label] + 1):
        of_shape |= bit(position(np.full(256, code), thoracic, lumbar))
    shape = np.asarray(n_thoracic, dtype=np.int64) * 16 + np.asarray(n_lumbar, dtype=np.int64)
    result: IntArray = of_shape[shape]
    return result


def common_places(mask: IntArray, n_thoracic: IntArray, n_lumbar: IntArray) -> IntArray:
    """Sets of positions as sets of codes: the same vertebra at the same bit, whatever the spine it belongs to.

    >>> common_places(np.array([1 << 18]), np.array([11]), np.array([5])).tolist() == [1 << CODE["L1"]]
    True
    """
    first_lumbar = CERVICAL + n_thoracic
    above = mask & ((np.int64(1) << first_lumbar) - 1)
    lumbar = (mask >> first_lumbar) & ((np.int64(1) << n_lumbar) - 1)
    sacral = (mask >> (first_lumbar + n_lumbar)) & 1
    result: IntArray = above | (lumbar << FIRST_LUMBAR_CODE) | (sacral << SACRUM_CODE)
    return result


def bit(place: IntArray) -> IntArray:
    """The set that holds one position; position -1 gives the empty set."""
    place = np.asarray(place, dtype=np.int64)
    return np.where(place < 0, 0, np.int64(1) << np.maximum(place, 0))


def holds(mask: IntArray, place: IntArray) -> BoolArray:
    """Whether each set holds the position; no set holds -1."""
    return (mask & bit(place)) != 0


def neighbours(mask: IntArray, row: IntArray, reach: int = 1) -> IntArray:
    """Levels within `reach` of a set and not in it, limited to the levels the patient has.

    >>> bin(neighbours(np.array([0b0100]), np.array([0b1111]))[0])
    '0b1010'
    """
    near = np.asarray(mask, dtype=np.int64)
    for _ in range(reach):
        near = near | (near << 1) | (near >> 1)
    return near & ~mask & row


def sandwiched(mask: IntArray) -> IntArray:
    """Untreated levels both of whose direct neighbours are in the set."""
    return (mask << 1) & (mask >> 1) & ~mask


def nearest(mask: IntArray, place: IntArray) -> tuple[IntArray, BoolArray, BoolArray]:
    """Distance in levels to the nearest member of each set, and whether one lies above and below at that distance.

    Distance 0 means the position itself is a member (then above and below are false); NO_DISTANCE an empty set.
    "Above" is cranial: a smaller position.

    >>> distance, above, below = nearest(np.array([0b10001]), np.array([2]))
    >>> distance.tolist(), above.tolist(), below.tolist()
    ([2], [True], [True])
    """
    mask, place = np.asarray(mask, dtype=np.int64), np.asarray(place, dtype=np.int64)
    here = bit(place)
    upper = highest(mask & (here - 1))
    rest = mask & ~((here << 1) - 1)
    lower = highest(rest & -rest)
    up = np.where(upper >= 0, place - upper, NO_DISTANCE)
    down = np.where(lower >= 0, lower - place, NO_DISTANCE)
    within = (mask & here) != 0
    distance = np.where(within, 0, np.minimum(up, down))
    outside = ~within & (distance < NO_DISTANCE)
    return distance, outside & (up == distance), outside & (down == distance)


def highest(mask: IntArray) -> IntArray:
    """The greatest position in each set, -1 for an empty one.

    >>> highest(np.array([0b10011, 0])).tolist()
    [4, -1]
    """
    # frexp is exact: a spine has fewer bits than a float's mantissa.
    return np.frexp(mask.astype(np.float64))[1].astype(np.int64) - 1
