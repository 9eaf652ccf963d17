"""One fracture, many sightings: which sighting is kept, and of which the others are repeats.

Between two augmentations a vertebra goes through one *episode*. "Already seen fractured on s and not augmented on a
day u with s <= u < t" holds exactly when both sightings fall into one episode, so each episode is judged alone.
"""

from __future__ import annotations

import numpy as np

from cohort.domain import outcomes
from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.treated import TreatedHistory, key_of, pack
from cohort.refracture.numbered import ObjectArray, order_with_ties

KIND = {name: code for code, name in enumerate(outcomes.KINDS_JUDGED)}
_NEW, _OLD, _SETTLING = KIND["new"], KIND["old"], KIND["settling"]
_COLLAPSE, _UNJUDGED = KIND["asymptomatic_collapse"], KIND["unjudged"]
_SAYS_NOTHING_UNTREATED = (KIND["progression"], KIND["settling"], KIND["occult"])


def effective_kind(recorded: IntArray, treated: BoolArray) -> IntArray:
    """Code in KINDS_JUDGED of each sighting; unjudged where nothing is recorded (-1).

    Progression, settling and occult speak of a treated vertebra; at an untreated one they say nothing about onset.
    """
    said_in_vain = ~treated & np.isin(recorded, _SAYS_NOTHING_UNTREATED)
    return np.where((recorded < 0) | said_in_vain, _UNJUDGED, recorded).astype(np.int64)


def sighting_order(
    patient: IntArray, place: IntArray, day: IntArray, implied: BoolArray, kind: IntArray, ids: ObjectArray
) -> IntArray:
    """Order of sightings: vertebra, day, recorded before implied, judged before unjudged before old, id as text."""
    standing = np.select([kind == _OLD, kind == _UNJUDGED], [2, 1], 0)
    return order_with_ties((pack(key_of(patient, place), day) * 2 + implied) * 3 + standing, ids)


def keep(
    history: TreatedHistory,
    patient: IntArray,
    place: IntArray,
    day: IntArray,
    kind: IntArray,
    treated: BoolArray,
    order: IntArray,
    *,
    healing_days: int,
    collapse_is_fracture: bool = False,
) -> tuple[BoolArray, IntArray]:
    """Whether each sighting is kept, and the sighting it repeats (-1 where none).

    order : from `sighting_order`. collapse_is_fracture : take `asymptomatic_collapse` as a progression (radiographic
    tier). The loop runs over the rank of a sighting within its episode, for all vertebrae at once.
    """
    n = len(day)
    kept = np.zeros(n, dtype=bool)
    repeat_of = np.full(n, -1, dtype=np.int64)
    if not n:
        return kept, repeat_of
    if collapse_is_fracture:
        kind = np.where(kind == _COLLAPSE, KIND["progression"], kind)

    vertebra = key_of(patient, place)[order]
    since = history.latest(patient, place, day)[order]
    starts = np.ones(n, dtype=bool)
    starts[1:] = (vertebra[1:] != vertebra[:-1]) | (since[1:] != since[:-1])
    episode = np.cumsum(starts) - 1
    rank = np.arange(n) - np.flatnonzero(starts)[episode]
    by_rank = np.argsort(rank, kind="stable")

    latest_kept = np.full(episode[-1] + 1, -1, dtype=np.int64)
    first_old = latest_kept.copy()
    for members in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
        row, of = order[members], episode[members]
        is_new, is_old, settled = kind[row] == _NEW, kind[row] == _OLD, kind[row] == _SETTLING
        before = latest_kept[of]
        healed = is_new & (day[row] - day[before] > healing_days)
        # An old fracture never makes a new one its repeat.
        seen = np.where(before >= 0, before, np.where(is_new, -1, first_old[of]))
        repeats = (seen >= 0) & ~settled & ~(healed & (before >= 0))
        repeat_of[row[repeats]] = seen[repeats]
        stands = ~repeats & ~settled & ~is_old & (kind[row] != _COLLAPSE)
        kept[row[stands]] = True
        latest_kept[of[stands]] = row[stands]
        chronic = is_old & ~repeats & ~treated[row] & (first_old[of] < 0)
        first_old[of[chronic]] = row[chronic]
    return kept, repeat_of


def any_yes_of_the_day(finding: IntArray, kept: BoolArray, repeat_of: IntArray, day: IntArray) -> IntArray:
    """A finding (code in outcomes.FINDING, -1 missing); the kept sighting takes any yes of its repeats that day."""
    yes = outcomes.FINDING.index("yes")
    result = finding.copy()
    gives = (repeat_of >= 0) & (finding == yes) & (day == day[repeat_of])
    takers = repeat_of[gives]
    result[takers[kept[takers]]] = yes
    return result
