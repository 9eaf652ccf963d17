"""When each vertebra was at risk, and in which role: the windows that person-time adds up, as dates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.atrisk.columns import categorical
from cohort.atrisk.members import Members
from cohort.atrisk.offrisk import off_risk
from cohort.atrisk.roles import segments
from cohort.domain import spine
from cohort.domain.clock import to_dates
from cohort.domain.outcomes import ROLES
from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import key_of


def risk_windows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
) -> pd.DataFrame:
    """Windows at risk of every vertebra of every patient who is followed.

    Returns patient_id, level, role, start, stop: at risk on the days *d* with start < *d* <= stop. Their lengths add up
    to the vertebra-days of `person_time` over the same patients.
    """
    members = Members.of(tables, augmentations, study)
    parts = segments(members, reach=study.relation.reach)
    off = off_risk(members, tables, sightings, augmentations, study)
    frames = []
    for role in range(len(ROLES)):
        for place in range(len(LEVELS)):
            segment = np.flatnonzero((parts.masks[role] >> place) & 1)
            if not len(segment):
                continue
            patient = parts.patient[segment]
            kept, start, stop = off.cut_out(
                key_of(patient, np.full(len(segment), place)), parts.start[segment], parts.stop[segment]
            )
            patient = patient[kept]
            level = spine.code_at(np.full(len(patient), place), members.n_thoracic[patient], members.n_lumbar[patient])
            frames.append(
                pd.DataFrame(
                    {
                        "patient_id": members.ids.to_numpy()[patient],
                        "level": categorical(level, LEVELS),
                        "role": categorical(np.full(len(patient), role), ROLES),
                        "start": to_dates(start),
                        "stop": to_dates(stop),
                    }
                )
            )
    columns = ["patient_id", "level", "role", "start", "stop"]
    if not frames:
        return pd.DataFrame(columns=columns)
    whole = pd.concat(frames, ignore_index=True)
    return whole.sort_values(["patient_id", "level", "start"], kind="stable", ignore_index=True)
