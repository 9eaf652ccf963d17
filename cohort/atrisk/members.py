"""The patients of a registry as arrays: one row each, their own spine, their follow-up and what was treated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.domain import spine
from cohort.domain.clock import BEFORE_INDEX, BoolArray, IntArray, to_days
from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.follow_up import FollowUp, follow_up
from cohort.domain.outcomes import INDICATIONS
from cohort.domain.study import AtRiskSettings, StudyDefinition
from cohort.domain.treated import TreatedHistory

USUAL_THORACIC = 12
USUAL_LUMBAR = 5


@dataclass(frozen=True)
class Members:
    """Patients in the order of their table; every array int64, shape (n_patients,).

    row : every vertebra the patient has; levels : those at risk (both sets of bits of the patient's own spine).
    follow_up_end, death : days, MISSING where not given. history : the treated vertebrae; its `row` counts the rows
    of the augmentations given.
    """

    ids: pd.Index
    n_thoracic: IntArray
    n_lumbar: IntArray
    row: IntArray
    levels: IntArray
    follow_up_end: IntArray
    death: IntArray
    follow_up: FollowUp
    history: TreatedHistory

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition) -> Members:
        """Line up patients and augmentations (one row per patient, level and day, as `classify` returns them).

        Raises RegistryError for rows of unknown patients or of vertebrae that their patient lacks.
        """
        patients = tables["patients"]
        ids = pd.Index(patients["patient_id"])
        n_thoracic = _count(patients["n_thoracic"], USUAL_THORACIC)
        n_lumbar = _count(patients["n_lumbar"], USUAL_LUMBAR)
        patient = _rows_of(ids, augmentations, "augmentations")
        level = level_codes(augmentations["level"])
        place = _places(patient, level, n_thoracic, n_lumbar, "augmentations")
        day = augmentation_days(augmentations)
        death = to_days(patients["death_date"])
        end = to_days(patients["follow_up_end"])
        return cls(
            ids,
            n_thoracic,
            n_lumbar,
            spine.row_mask(n_thoracic, n_lumbar),
            levels_at_risk(n_thoracic, n_lumbar, study.at_risk),
            end,
            death,
            follow_up(
                enrolled_on=to_days(patients["enrolled_on"]),
                follow_up_end=end,
                death=death,
                patient=patient,
                day=day,
                is_sacrum=level == spine.SACRUM_CODE,
            ),
            TreatedHistory.of(
                patient, place, day, indication_codes(augmentations), np.arange(len(augmentations), dtype=np.int64)
            ),
        )

    def rows_of(self, frame: pd.DataFrame, name: str) -> IntArray:
        """The patient row of every row of a table."""
        return _rows_of(self.ids, frame, name)

    def places(self, patient: IntArray, level: IntArray, name: str) -> IntArray:
        """The position of level codes in the spines of their patients."""
        return _places(patient, level, self.n_thoracic, self.n_lumbar, name)


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


def levels_at_risk(n_thoracic: IntArray, n_lumbar: IntArray, settings: AtRiskSettings) -> IntArray:
    """Vertebrae at risk of each patient as a set of bits: T4 to the last lumbar unless the study says otherwise.

    Raises DefinitionError when the range names no level or runs upwards.
    """
    last = settings.last_level or spine.LEVELS[spine.SACRUM_CODE - 1]
    for name, level in (("first_level", settings.first_level), ("last_level", last)):
        if level not in spine.CODE:
            raise DefinitionError(f"at_risk.{name} = '{level}' is no vertebra; write one of C1-C7, T1-T13, L1-L6, S1.")
    if spine.CODE[settings.first_level] > spine.CODE[last]:
        raise DefinitionError(
            f"at_risk.first_level = '{settings.first_level}' lies below at_risk.last_level = '{last}'; "
            "the range runs from the head down: first_level = 'T4', last_level = 'L5'."
        )
    mask = np.zeros(len(n_thoracic), dtype=np.int64)
    for code in range(spine.CODE[settings.first_level], spine.CODE[last] + 1):
        mask |= spine.bit(spine.position(np.full(len(mask), code), n_thoracic, n_lumbar))
    return mask


def _count(values: pd.Series, usual: int) -> IntArray:
    return np.nan_to_num(values.to_numpy(dtype=np.float64), nan=usual).astype(np.int64)


def _rows_of(ids: pd.Index, frame: pd.DataFrame, name: str) -> IntArray:
    rows = ids.get_indexer(pd.Index(frame["patient_id"])).astype(np.int64)
    if (rows < 0).any():
        raise RegistryError(
            f"Table {name}: {int((rows < 0).sum())} rows belong to patients who are not in the table patients; "
            "read the registry with cohort.read, which sets such rows aside and says why."
        )
    return rows


def _places(patient: IntArray, level: IntArray, n_thoracic: IntArray, n_lumbar: IntArray, name: str) -> IntArray:
    place = spine.position(level, n_thoracic[patient], n_lumbar[patient])
    if (place < 0).any():
        raise RegistryError(
            f"Table {name}: {int((place < 0).sum())} rows name a vertebra that their patient does not have; "
            "give n_thoracic or n_lumbar in patients, or read the registry with cohort.read, which sets them aside."
        )
    return place
