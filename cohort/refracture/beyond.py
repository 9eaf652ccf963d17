"""Beyond the nearest: which fractures follow one another from neighbour to neighbour, and every treatment before each.

The nearest cement decides the relation (`refracture.relation`); what stands here describes it further and moves no
count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain import outcomes, spine
from cohort.domain.clock import BEFORE_INDEX, BoolArray, FloatArray, IntArray, to_days
from cohort.domain.treated import key_of, pack
from cohort.refracture import numbered as as_arrays
from cohort.refracture.numbered import Patients, words, yes_no
from cohort.refracture.relation import relation
from cohort.refracture.treated import treatments

PAIR_COLUMNS: Final = (
    "fracture_id", "patient_id", "date", "level", "counted", "augmentation_id", "augmented_on", "augmented_level",
    "relation", "signed_distance", "days_since", "superseded", "attributed",
)  # fmt: skip


@dataclass(frozen=True)
class Cascade:
    """One element per sighting, shape (n,).

    follows : index of the sighting it follows, -1 where none. days : between the two, NaN where none. length : of the
    chain of fractures that ends here, NaN for sightings that are not kept.
    """

    follows: IntArray
    days: FloatArray
    length: FloatArray


def cascade(patient: IntArray, place: IntArray, day: IntArray, kept: BoolArray, *, within: int) -> Cascade:
    """Kept sightings next to an earlier one: a direct neighbour broke on a day *s* with day - within <= *s* < day.

    The latest such sighting is followed, of two on one day the more caudal. Sightings of one day are simultaneous.
    Source: "domino" fracture, a subsequent fracture within three months and before the first has healed.

    >>> one = np.zeros(3, dtype=np.int64)
    >>> chain = cascade(one, np.array([18, 19, 20]), np.array([0, 30, 60]), np.ones(3, dtype=bool), within=90)
    >>> chain.follows.tolist(), chain.length.tolist()
    ([-1, 0, 1], [1.0, 2.0, 3.0])
    """
    n = len(day)
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(pack(key_of(patient[rows], place[rows]), day[rows]), kind="stable")]
    keys = key_of(patient[rows], place[rows])
    line = pack(keys, day[rows])
    follows = np.full(n, -1, dtype=np.int64)
    followed_day = np.full(n, BEFORE_INDEX, dtype=np.int64)
    if len(rows):
        for step in (1, -1):  # caudal first, so that of two on one day it stays
            asked = keys + step
            found = np.searchsorted(line, pack(asked, day[rows]), side="left") - 1
            inside = np.maximum(found, 0)
            source = rows[inside]
            near = (found >= 0) & (keys[inside] == asked) & (day[source] >= day[rows] - within)
            later = near & (day[source] > followed_day[rows])
            follows[rows[later]] = source[later]
            followed_day[rows[later]] = day[source[later]]
    length = np.where(kept, 1.0, np.nan)
    ahead = follows.copy()
    while (ahead >= 0).any():
        length[ahead >= 0] += 1
        ahead = np.where(ahead >= 0, follows[ahead], -1)
    return Cascade(follows, np.where(follows >= 0, day - followed_day, np.nan), length)


def pairs(tables: Mapping[str, pd.DataFrame], sightings: pd.DataFrame, *, reach: int) -> pd.DataFrame:
    """Every sighting with every augmentation before it; grain: sighting and augmentation.

    tables : canonical. sightings : as `classify` returns them. reach : levels that count as adjacent.

    Returns PAIR_COLUMNS, in the order of the sightings, then of the augmentations by day and spine: `relation` to that
    augmentation alone, `signed_distance` (levels, positive where the fracture lies above it), `days_since` it (missing
    where it has no date), `superseded` (its level was augmented again before the sighting), `attributed`.
    """
    patients = Patients.of(as_arrays.table(tables, "patients"))
    treated = treatments(as_arrays.table(tables, "augmentations"), patients)
    history = treated.history
    patient = patients.number(sightings, "sightings")
    place, _ = patients.place(sightings, "sightings", patient)
    day = to_days(sightings["date"])

    whose = pack(history.patient, history.day)
    first = np.searchsorted(history.patient, patient, side="left")
    last = np.searchsorted(whose, pack(patient, day), side="left")
    counts = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(sightings)), counts)
    entry = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)

    signed = history.place[entry] - place[row]
    since = np.where(history.day[entry] == BEFORE_INDEX, np.nan, day[row] - history.day[entry])
    latest = history.latest(patient[row], history.place[entry], day[row])
    ids = as_arrays.texts(treated.frame["augmentation_id"])[history.row[entry]]
    picked = sightings.iloc[row]
    frame = treated.frame.iloc[history.row[entry]]
    return pd.DataFrame(
        {
            "fracture_id": picked["fracture_id"].to_numpy(),
            "patient_id": picked["patient_id"].to_numpy(),
            "date": picked["date"].to_numpy(),
            "level": picked["level"].array,
            "counted": picked["counted"].array,
            "augmentation_id": ids,
            "augmented_on": pd.to_datetime(frame["date"]).where(since == since).to_numpy(),
            "augmented_level": words(treated.code[history.row[entry]], spine.LEVELS),
            "relation": words(relation(np.abs(signed), reach=reach), outcomes.RELATIONS),
            "signed_distance": signed.astype(np.float64),
            "days_since": since.astype(np.float64),
            "superseded": yes_no(latest != entry),
            "attributed": yes_no(ids == picked["augmentation_id"].to_numpy(dtype=object)),
        }
    )[list(PAIR_COLUMNS)]
