"""The covariates of vertebra rows: whose findings they are is decided in `exposures`, what the patient brings here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cohort.atrisk.baseline import declared, patient_covariates
from cohort.atrisk.columns import categorical
from cohort.atrisk.exposures import Exposures, as_finding
from cohort.atrisk.medication import Medication
from cohort.atrisk.members import Members
from cohort.domain import spine
from cohort.domain.clock import IntArray
from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition
from cohort.tables.schema import AUGMENTATIONS


def vertebra_covariates(
    members: Members,
    tables: Mapping[str, pd.DataFrame],
    study: StudyDefinition,
    taken: Medication,
    exposed: Exposures,
    source: IntArray,
    patient: IntArray,
    place: IntArray,
    stop: IntArray,
) -> dict[str, Any]:
    """Columns of rows of vertebrae that do not change between the day after the start of a row and its `stop`.

    exposed : by source. source, patient, place, stop : one element per row.
    """
    level = spine.code_at(place, members.n_thoracic[patient], members.n_lumbar[patient])
    fixed = patient_covariates(members, tables)
    junction = spine.range_at_risk(*study.exposures.junction, members.n_thoracic, members.n_lumbar)
    columns: dict[str, Any] = {
        "level": categorical(level, LEVELS),
        "cleft": as_finding(exposed.cleft[source]),
        "leak": as_finding(exposed.leak[source]),
        "n_treated_neighbours": exposed.n_treated_neighbours[source],
        "height_restoration": exposed.restoration[source],
        "technique": categorical(exposed.technique[source], AUGMENTATIONS["technique"].vocabulary),
        "cement": categorical(exposed.cement[source], AUGMENTATIONS["cement"].vocabulary),
        "volume_ml": exposed.volume_ml[source],
        "age": fixed["age"].to_numpy()[patient],
        "female": fixed["female"].to_numpy()[patient],
        "t_score": fixed["t_score"].to_numpy()[patient],
        "corticosteroids": taken.corticosteroids_on(patient, stop),
        "anti_osteoporotic": taken.anti_osteoporotic_on(patient, stop),
        "prior_fractures": fixed["prior_fractures"].to_numpy()[patient],
        "site": tables["patients"]["site"].to_numpy(dtype=object)[patient],
        "n_levels": np.bitwise_count(members.history.mask_before(patient, stop)).astype(np.int64),
        "thoracolumbar": spine.holds(junction[patient], place).astype(np.float64),
    }
    for name, values in declared(tables, study).items():
        columns.setdefault(name, values.array.take(patient))
    return columns
