"""The patients of a registry as arrays: one row each, their own spine, their follow-up and what was treated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cohort.atrisk.columns import augmentation_days, indication_codes, level_codes, places, rows_of
from cohort.atrisk.looks import NAMED_BY, SHOWN_BY, Anatomy, Looks, looks
from cohort.domain import spine
from cohort.domain.clock import NEVER, IntArray, to_days
from cohort.domain.errors import DefinitionError
from cohort.domain.follow_up import FollowUp, follow_up
from cohort.domain.study import AtRiskSettings, StudyDefinition
from cohort.domain.treated import TreatedHistory

USUAL_THORACIC = 12
USUAL_LUMBAR = 5


@dataclass(frozen=True)
class Placed:
    """Patient row, level code and position of every row of a table; int64, shape (n,)."""

    patient: IntArray
    level: IntArray
    place: IntArray


@dataclass(frozen=True)
class Members:
    """Patients in the order of their table; every array int64, shape (n_patients,).

    row : every vertebra the patient has; levels : those at risk (both sets of bits of the patient's own spine).
    follow_up_end, death : days, MISSING where not given. history : the treated vertebrae; its `row` counts the rows
    of the augmentations given. looks : at vertebrae in `levels` during follow-up, where follow-up ends with the last
    of them (`at_risk.exit_at`), else None.
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
    looks: Looks | None = None
    _placed: dict[int, tuple[pd.DataFrame, Placed]] = field(default_factory=dict, repr=False)

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
        patient = rows_of(ids, augmentations, "augmentations")
        level = level_codes(augmentations["level"])
        place = places(patient, level, n_thoracic, n_lumbar, "augmentations")
        day = augmentation_days(augmentations)
        death = to_days(patients["death_date"])
        end = to_days(patients["follow_up_end"])
        levels = levels_at_risk(n_thoracic, n_lumbar, study.at_risk)
        time = follow_up(
            enrolled_on=to_days(patients["enrolled_on"]),
            follow_up_end=end,
            death=death,
            patient=patient,
            day=day,
            is_sacrum=level == spine.SACRUM_CODE,
        )
        seen = None
        if study.at_risk.exit_at == "last_imaging":
            every = looks(
                Anatomy(ids, n_thoracic, n_lumbar), {**tables, "augmentations": augmentations}, SHOWN_BY | NAMED_BY
            )
            seen = every.within(time.entry, time.exit, levels)
            last = np.where(time.entry == NEVER, time.exit, np.minimum(time.entry, time.exit))
            np.maximum.at(last, seen.patient, seen.day)
            time = FollowUp(time.entry, last, time.origin)
        return cls(
            ids,
            n_thoracic,
            n_lumbar,
            spine.row_mask(n_thoracic, n_lumbar),
            levels,
            end,
            death,
            time,
            TreatedHistory.of(
                patient, place, day, indication_codes(augmentations), np.arange(len(augmentations), dtype=np.int64)
            ),
            seen,
            {id(augmentations): (augmentations, Placed(patient, level, place))},
        )

    @property
    def anatomy(self) -> Anatomy:
        """Whose rows they are, and the vertebrae each patient has."""
        return Anatomy(self.ids, self.n_thoracic, self.n_lumbar)

    def rows_of(self, frame: pd.DataFrame, name: str) -> IntArray:
        """The patient row of every row of a table."""
        return rows_of(self.ids, frame, name)

    def placed(self, frame: pd.DataFrame, name: str) -> Placed:
        """Patient, level and position of every row of a whole table, found once however often they are asked for."""
        if id(frame) not in self._placed:  # the frame is held, so that its identity stays its own
            patient, level = self.rows_of(frame, name), level_codes(frame["level"])
            self._placed[id(frame)] = (frame, Placed(patient, level, self.places(patient, level, name)))
        return self._placed[id(frame)][1]

    def places(self, patient: IntArray, level: IntArray, name: str) -> IntArray:
        """The position of level codes in the spines of their patients."""
        return places(patient, level, self.n_thoracic, self.n_lumbar, name)


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
    return spine.range_at_risk(settings.first_level, settings.last_level, n_thoracic, n_lumbar)


def _count(values: pd.Series, usual: int) -> IntArray:
    return np.nan_to_num(values.to_numpy(dtype=np.float64), nan=usual).astype(np.int64)
