"""Columns of tables as arrays: codes, yes and no, levels, days, and the rows of patients that they belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cohort.domain import spine
from cohort.domain.clock import BEFORE_INDEX, BoolArray, IntArray, to_days
from cohort.domain.errors import RegistryError
from cohort.domain.outcomes import INDICATIONS


def level_codes(levels: pd.Series) -> IntArray:
    """Codes of written levels in `spine.LEVELS`, -1 where there is none."""
    return codes(levels, spine.LEVELS)


def codes(values: pd.Series, vocabulary: Sequence[str]) -> IntArray:
    """Place of each value in a vocabulary, -1 where it is missing.

    >>> codes(pd.Series(["yes", None, "no"]), ("no", "yes")).tolist()
    [1, -1, 0]
    """
    return pd.Categorical(values, categories=list(vocabulary)).codes.astype(np.int64)


def categorical(code: IntArray, vocabulary: Sequence[str]) -> pd.Categorical:
    """Codes in a vocabulary as an ordered categorical; -1 is missing.

    >>> categorical(np.array([1, -1]), ("no", "yes")).tolist()
    ['yes', nan]
    """
    dtype = pd.CategoricalDtype(list(vocabulary), ordered=True)
    return pd.Categorical.from_codes(code, dtype=dtype)  # type: ignore[arg-type]  # stubs know lists only


def is_yes(values: pd.Series) -> BoolArray:
    """Whether a yes/no or finding column says yes."""
    return np.asarray(values.eq("yes").to_numpy(dtype=bool))


def augmentation_days(augmentations: pd.DataFrame) -> IntArray:
    """Day of each augmentation, BEFORE_INDEX where it has none."""
    days = to_days(augmentations["date"], BEFORE_INDEX)
    return np.where(augmentations["date_precision"].eq("before_index").to_numpy(dtype=bool), BEFORE_INDEX, days)


def indication_codes(augmentations: pd.DataFrame) -> IntArray:
    """Indication of each augmentation; a missing one is a fracture (readings no. 22)."""
    return np.maximum(codes(augmentations["indication"], INDICATIONS), 0)


def rows_of(ids: pd.Index, frame: pd.DataFrame, name: str) -> IntArray:
    """The row of its patient for every row of a table; RegistryError where a patient is not among them."""
    rows = ids.get_indexer(pd.Index(frame["patient_id"])).astype(np.int64)
    if (rows < 0).any():
        raise RegistryError(
            f"Table {name}: {int((rows < 0).sum())} rows belong to patients who are not in the table patients; "
            "read the registry with cohort.read, which sets such rows aside and says why."
        )
    return rows


def places(patient: IntArray, level: IntArray, n_thoracic: IntArray, n_lumbar: IntArray, name: str) -> IntArray:
    """The position of level codes in the spines of their patients; RegistryError where one lacks a level."""
    place = spine.position(level, n_thoracic[patient], n_lumbar[patient])
    if (place < 0).any():
        raise RegistryError(
            f"Table {name}: {int((place < 0).sum())} rows name a vertebra that their patient does not have; "
            "give n_thoracic or n_lumbar in patients, or read the registry with cohort.read, which sets them aside."
        )
    return place
