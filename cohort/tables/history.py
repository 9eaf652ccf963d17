"""What a registry holds of one patient, classified: the contract between the pipeline and the story of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cohort.domain.study import StudyDefinition


@dataclass(frozen=True)
class PatientHistory:
    """One patient's rows.

    tables : canonical tables, this patient's rows only. sightings, augmentations : as `classify` returns them.
    follow_up : entry, exit, origin, in_main, left_out_because. windows : `atrisk.risk_windows`.
    """

    patient_id: str
    tables: Mapping[str, pd.DataFrame]
    sightings: pd.DataFrame
    augmentations: pd.DataFrame
    follow_up: pd.Series
    windows: pd.DataFrame
    study: StudyDefinition
