"""When a vertebra that is followed cannot be counted: staged, healing after a fracture, or excluded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.atrisk.columns import augmentation_days, is_yes
from cohort.atrisk.members import Members
from cohort.atrisk.windows import Windows
from cohort.domain import spine
from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER, IntArray, to_days
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import TreatedHistory, key_of, pack

_Spans = tuple[IntArray, IntArray, IntArray]


def off_risk(
    members: Members,
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
) -> Windows:
    """Off-risk windows of every vertebra (key: `treated.key_of`): staged, healing or excluded, each day once."""
    parts = (
        staged(members, augmentations),
        healing(members, sightings, study.relation.healing_days),
        excluded(members, tables["excluded_levels"]),
    )
    key, start, stop = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Windows.union(key, start, stop)


def only_new_counts(members: Members, sightings: pd.DataFrame, off: Windows, study: StudyDefinition) -> Windows:
    """Windows at risk on which only kind `new` could count: after healing, or after an `old` at an untreated level.

    Both last until the level is augmented (the day of the augmentation included).
    """
    key, day = _vertebrae(members, sightings)
    kept = is_yes(sightings["kept"])
    untreated = ~sightings["relation"].eq("same").to_numpy(dtype=bool)
    old = ~kept & untreated & sightings["kind_judged"].eq("old").to_numpy(dtype=bool)
    start = np.where(kept, day + study.relation.healing_days, day)
    chosen = kept | old
    healed = Windows.union(
        key[chosen], start[chosen], np.minimum(_next_augmentation(members.history, key, day), NEVER)[chosen]
    )
    source, begin, end = off.cut_out(healed.key, healed.start, healed.stop)
    return Windows(healed.key[source], begin, end)


def staged(members: Members, augmentations: pd.DataFrame) -> _Spans:
    """A staged level is off risk from the session that began its treatment until it is treated."""
    since = to_days(augmentations["staged_from"])
    chosen = since != MISSING
    placed = members.placed(augmentations, "augmentations")
    return (
        key_of(placed.patient[chosen], placed.place[chosen]),
        since[chosen],
        augmentation_days(augmentations)[chosen],
    )


def healing(members: Members, sightings: pd.DataFrame, healing_days: int) -> _Spans:
    """A kept sighting, counted or not, takes its vertebra off risk until healed or augmented, whichever is sooner."""
    kept = is_yes(sightings["kept"])
    key, day = (values[kept] for values in _vertebrae(members, sightings))
    return key, day, np.minimum(day + healing_days, _next_augmentation(members.history, key, day))


def excluded(members: Members, excluded_levels: pd.DataFrame) -> _Spans:
    """Levels that cannot fracture in the usual way, in (from, to]; a missing end means always."""
    placed = members.placed(excluded_levels, "excluded_levels")
    return (
        key_of(placed.patient, placed.place),
        to_days(excluded_levels["from"], BEFORE_INDEX),
        to_days(excluded_levels["to"], NEVER),
    )


def _vertebrae(members: Members, sightings: pd.DataFrame) -> tuple[IntArray, IntArray]:
    placed = members.placed(sightings, "sightings")
    return key_of(placed.patient, placed.place), to_days(sightings["date"])


def _next_augmentation(history: TreatedHistory, key: IntArray, day: IntArray) -> IntArray:
    """First day on or after `day` on which the vertebra was augmented, NEVER if there is none."""
    treated = np.sort(pack(key_of(history.patient, history.place), history.day))
    treated = np.append(treated, np.iinfo(np.int64).max)
    found = treated[np.searchsorted(treated, pack(key, day), side="left")]
    ahead = found - pack(key, np.zeros(len(key), dtype=np.int64))
    return np.where(ahead <= NEVER, ahead, NEVER)


def days_within(windows: Windows, members: Members) -> IntArray:
    """Days of each window within its patient's `(entry, exit]`; windows of vertebrae not at risk give none."""
    patient, place = windows.key // 32, windows.key % 32
    start = np.maximum(windows.start, members.follow_up.entry[patient])
    stop = np.minimum(windows.stop, members.follow_up.exit[patient])
    return np.where(spine.holds(members.levels[patient], place), np.maximum(stop - start, 0), 0)
