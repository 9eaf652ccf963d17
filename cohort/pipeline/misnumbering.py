"""How much hangs on counting vertebrae right: whole spines moved by one level, with a stated probability.

Transitional vertebrae and films that do not show the sacrum make two readers number one spine differently. What is
moved together stays in relation; what is read by another count does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np
import pandas as pd

from cohort.domain import spine
from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import REFRACTURE_RELATIONS, RELATIONS
from cohort.domain.spine import CODE, LEVELS
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.results import Registry

Read = Literal["alike", "apart"]
LEVEL_COLUMNS: Final = {
    "augmentations": ("level",),
    "fractures": ("level",),
    "imaging": ("level",),
    "imaging_studies": ("first_level", "last_level"),
    "excluded_levels": ("level",),
}
# What the reader of follow-up films numbers; the others are numbered where the patient was treated.
FOLLOW_UP: Final = ("fractures", "imaging", "imaging_studies")


def misnumbering(
    registry: Registry, *, probability: float = 0.05, read: Read = "apart", repeats: int = 20, seed: int = 1
) -> pd.DataFrame:
    """How often the relation of a recorded sighting changes when whole spines are numbered one level off.

    probability : of each patient to be numbered one level off, up or down alike. read : "apart" moves the follow-up
    (fractures, imaging) against the procedures, as when another reader counts; "alike" moves every table of the patient
    together, as when one reader counts a transitional vertebra. repeats : registries drawn. seed : of the draws; the
    order of the patients does not matter.

    Returns one row per relation as recorded and relation once moved: relation, relation_moved, n (mean number of
    recorded sightings per draw), share (of the recorded sightings with that relation), share_low and share_high (the
    least and the greatest draw); then, with relation_moved "counted", the counted refractures of each relation: n is
    the mean of the draws and share the ratio to the number as recorded. n_recorded is what the shares are of; the
    settings stand in probability and repeats.

    Raises DefinitionError for a probability outside 0 to 1, fewer than one repeat, or another way of reading.

    >>> import cohort
    >>> moved = misnumbering(cohort.read("data/cases"), probability=1.0, read="apart", repeats=4)
    >>> float(moved.query("relation == 'same' and relation_moved == 'same'")["n"].sum())
    0.0
    """
    if not 0 <= probability <= 1:
        raise DefinitionError(f"The probability of misnumbering is {probability:g}; it must be 0 to 1.")
    if repeats < 1:
        raise DefinitionError(f"{repeats} repeats were asked for; at least one is needed.")
    if read not in get_args(Read):
        raise DefinitionError(f"Spines can be read alike or apart, not {read!r}.")
    return of_cohort(prepare(registry), probability=probability, read=read, repeats=repeats, seed=seed)


def of_cohort(
    before: Cohort, *, probability: float = 0.05, read: Read = "apart", repeats: int = 20, seed: int = 1
) -> pd.DataFrame:
    """The same of a registry that is classified already."""
    registry = before.registry
    recorded = _relations(before)
    counted = _counted(before)
    draws, counts = [], []
    for repeat in range(repeats):
        moved = prepare(_moved(registry, np.random.default_rng([seed, repeat]), probability, read))
        after = _relations(moved).reindex(recorded.index)
        draws.append(pd.crosstab(recorded, after).reindex(index=RELATIONS, columns=RELATIONS, fill_value=0))
        counts.append(_counted(moved))
    cells = np.stack([draw.to_numpy(dtype=np.float64) for draw in draws])
    total = cells[0].sum(axis=1)
    rows = []
    for i, relation in enumerate(RELATIONS):
        for j, relation_moved in enumerate(RELATIONS):
            rows.append((relation, relation_moved, *_summary(cells[:, i, j], total[i])))
    for relation in REFRACTURE_RELATIONS:
        values = np.array([float(count[relation]) for count in counts])
        rows.append((relation, "counted", *_summary(values, float(counted[relation]))))
    frame = pd.DataFrame(rows, columns=["relation", "relation_moved", "n", "share", "share_low", "share_high"])
    as_recorded = dict(zip(RELATIONS, total, strict=True))
    is_count = frame["relation_moved"].eq("counted")
    frame["n_recorded"] = frame["relation"].map(counted).where(is_count, frame["relation"].map(as_recorded))
    return frame.assign(probability=probability, repeats=repeats)


def _summary(values: np.ndarray, total: float) -> tuple[float, float, float, float]:
    if not total:
        return float(values.mean()), np.nan, np.nan, np.nan
    return float(values.mean()), float(values.mean() / total), float(values.min() / total), float(values.max() / total)


def _relations(cohort: Cohort) -> pd.Series:
    rows = cohort.sightings[cohort.sightings["origin_of_row"].eq("recorded")]
    return rows.set_index("fracture_id")["relation"].astype(str)


def _counted(cohort: Cohort) -> pd.Series:
    rows = cohort.sightings[cohort.sightings["counted"].eq("yes")]
    return rows["relation"].astype(str).value_counts().reindex(list(REFRACTURE_RELATIONS), fill_value=0)


def _moved(registry: Registry, draw: np.random.Generator, probability: float, read: Read) -> Registry:
    patients = registry["patients"]
    # Drawn in the order of the ids, so that the order of the file moves nothing.
    order = np.argsort(patients["patient_id"].to_numpy(dtype=str), kind="stable")
    step = np.zeros(len(patients), dtype=np.int64)
    step[order] = np.where(draw.random(len(order)) < probability, draw.choice((-1, 1), len(order)), 0)
    n_thoracic = patients["n_thoracic"].fillna(12).to_numpy(dtype=np.int64)
    n_lumbar = patients["n_lumbar"].fillna(5).to_numpy(dtype=np.int64)
    ids = pd.Index(patients["patient_id"])
    tables = dict(registry.tables)
    for name, columns in LEVEL_COLUMNS.items():
        if tables[name].empty or (read == "apart" and name not in FOLLOW_UP):
            continue
        frame = tables[name].copy()
        row = ids.get_indexer(frame["patient_id"])
        for column in columns:
            frame[column] = _one_off(frame[column], step[row], n_thoracic[row], n_lumbar[row])
        tables[name] = frame
    return replace(registry, tables=tables)


def _one_off(levels: pd.Series, step: IntArray, n_thoracic: IntArray, n_lumbar: IntArray) -> pd.Series:
    code = levels.astype(object).map(CODE).fillna(-1).to_numpy(dtype=np.int64)
    known: BoolArray = code >= 0
    place = spine.position(np.maximum(code, 0), n_thoracic, n_lumbar)
    moved = spine.code_at(place + step, n_thoracic, n_lumbar)
    # Beyond C1 and S1 there is nothing to name.
    moved = np.where(moved < 0, code, moved)
    values = np.array(LEVELS, dtype=object)[np.maximum(moved, 0)]
    return pd.Series(values, index=levels.index, dtype=object).where(known).astype(levels.dtype)
