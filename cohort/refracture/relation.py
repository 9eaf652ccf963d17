"""Same, adjacent or remote: where a fracture lies among the vertebrae treated before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain import outcomes, spine
from cohort.domain.clock import BEFORE_INDEX, MISSING, BoolArray, FloatArray, IntArray
from cohort.domain.treated import TreatedHistory

BEFORE_TREATMENT, SAME, ADJACENT, REMOTE = range(len(outcomes.RELATIONS))
CRANIAL, CAUDAL, BOTH = range(len(outcomes.SIDES))


@dataclass(frozen=True)
class Relations:
    """One element per fracture, shape (n,).

    relation, side : codes in outcomes.RELATIONS and SIDES, side -1 where empty. distance, days_since : NaN where empty.
    sandwiched : false before treatment, where it has no meaning. attributed : index into the history, -1 where none.
    signed_distance : from the attributed augmentation, positive where the fracture lies above it. n_treated : levels in
    the treated set. Both NaN before treatment.
    """

    relation: IntArray
    distance: FloatArray
    side: IntArray
    sandwiched: BoolArray
    attributed: IntArray
    days_since: FloatArray
    signed_distance: FloatArray
    n_treated: FloatArray


def relation(distance: IntArray, *, reach: int = 1) -> IntArray:
    """Code of the relation of a fracture so many levels from the nearest treated vertebra.

    distance : int64, shape (n,), as `spine.nearest` gives it; NO_DISTANCE where nothing was treated before.

    >>> [outcomes.RELATIONS[code] for code in relation(np.array([0, 1, 2, spine.NO_DISTANCE]))]
    ['same', 'adjacent', 'remote', 'before_treatment']
    """
    # The nearest cement decides, so a re-collapse between two treated neighbours stays `same`.
    code = np.where(distance <= reach, ADJACENT, REMOTE)
    code = np.where(distance == 0, SAME, code)
    return np.where(distance == spine.NO_DISTANCE, BEFORE_TREATMENT, code).astype(np.int64)


def relate(history: TreatedHistory, patient: IntArray, place: IntArray, day: IntArray, *, reach: int = 1) -> Relations:
    """Place each fracture among the levels augmented strictly before its day, and attribute it.

    The attribution goes to the nearest level, of two as near to the latest date, of these to the more caudal level.
    """
    treated = history.mask_before(patient, day)
    distance, above, below = spine.nearest(treated, place)
    code = relation(distance, reach=reach)
    side = np.select([above & below, above, below], [BOTH, CAUDAL, CRANIAL], -1).astype(np.int64)

    step = np.where(distance == spine.NO_DISTANCE, 0, distance)
    upper = np.where(above, history.latest(patient, np.maximum(place - step, 0), day), -1)
    lower = history.latest(patient, place + step, day)
    day_of = np.append(history.day, MISSING)  # index -1, no augmentation, is earlier than any day
    attributed = np.where(day_of[upper] > day_of[lower], upper, lower)

    date = day_of[attributed]
    dated = (attributed >= 0) & (date != BEFORE_INDEX)
    return Relations(
        relation=code,
        distance=np.where(code == BEFORE_TREATMENT, np.nan, distance),
        side=side,
        sandwiched=spine.holds(spine.sandwiched(treated), place),
        attributed=attributed.astype(np.int64),
        days_since=np.where(dated, day - date, np.nan),
        signed_distance=np.where(attributed < 0, np.nan, np.append(history.place, 0)[attributed] - place),
        n_treated=np.where(attributed < 0, np.nan, np.bitwise_count(treated)),
    )


def earliest_relation(
    history: TreatedHistory,
    patient: IntArray,
    place: IntArray,
    last_clear: IntArray,
    *,
    reach: int = 1,
) -> IntArray:
    """Code of the relation on the day after the last clear film, the earliest there can be; -1 without a film."""
    known = last_clear != MISSING
    code = np.full(len(place), -1, dtype=np.int64)
    treated = history.mask_before(patient[known], last_clear[known] + 1)
    code[known] = relation(spine.nearest(treated, place[known])[0], reach=reach)
    return code
