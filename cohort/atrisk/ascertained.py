"""How closely patients and vertebrae were watched: what is looked at more often is found broken more often."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.atrisk.columns import categorical
from cohort.atrisk.looks import NAMED_BY, SHOWN_BY, Looks, looks
from cohort.atrisk.members import Members
from cohort.atrisk.roles import segments
from cohort.domain import spine
from cohort.domain.clock import BoolArray, to_dates, to_days
from cohort.domain.outcomes import ROLES
from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import pack


def imaging_by_patient(
    tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition
) -> pd.DataFrame:
    """One row per patient, in the order of patients: how often they were imaged in `(entry, exit]`.

    patient_id, person_days, n_days (days with a study or a measurement), n_scheduled and n_symptom (of these, days with
    a study of that protocol; a day may have both), last_imaging (date, missing where there is none).
    """
    members = Members.of(tables, augmentations, study)
    time = members.follow_up
    rows = []
    for name in ("imaging_studies", "imaging"):
        frame = tables[name]
        patient, day = members.rows_of(frame, name), to_days(frame["date"])
        protocol = frame["protocol"].astype(object).to_numpy() if "protocol" in frame else np.full(len(frame), None)
        rows.append(pd.DataFrame({"patient": patient, "day": day, "protocol": protocol}))
    seen = pd.concat(rows, ignore_index=True)
    patient, day = seen["patient"].to_numpy(), seen["day"].to_numpy()
    seen = seen[(day > time.entry[patient]) & (day <= time.exit[patient])]
    last = np.full(len(members), -1, dtype=np.int64)
    np.maximum.at(last, seen["patient"].to_numpy(), seen["day"].to_numpy())

    def days(which: pd.Series | None) -> np.ndarray:
        chosen = (seen if which is None else seen[which]).drop_duplicates(["patient", "day"])
        return np.bincount(chosen["patient"].to_numpy(dtype=np.int64), minlength=len(members))

    last_imaging = to_dates(np.maximum(last, 0)).where(last >= 0)
    return pd.DataFrame(
        {
            "patient_id": members.ids.to_numpy(),
            "person_days": np.where(time.has_time, time.exit - time.entry, 0),
            "n_days": days(None),
            "n_scheduled": days(seen["protocol"].eq("scheduled")),
            "n_symptom": days(seen["protocol"].eq("symptom")),
            "last_imaging": last_imaging.to_numpy(),
        }
    )


def looks_by_role(
    tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition, *, only: BoolArray
) -> pd.DataFrame:
    """How often vertebrae were shown or measured, by their role on that day: patient_id, role, n_looks, vertebra_days.

    only : mask over the rows of patients. Days off risk are not taken away: a broken vertebra is looked at too. One row
    per patient and role with days.
    """
    members = Members.of(tables, augmentations, study)
    parts = segments(members, reach=study.relation.reach).where(only)
    seen = looks(members.anatomy, tables, SHOWN_BY)
    found = np.searchsorted(pack(parts.patient, parts.stop), pack(seen.patient, seen.day), side="left")
    inside = np.minimum(found, max(len(parts) - 1, 0))
    n_cells = len(members) * len(ROLES)
    n_looks, days = np.zeros(n_cells, dtype=np.int64), np.zeros(n_cells, dtype=np.int64)
    if len(parts):
        held = (found < len(parts)) & (parts.patient[inside] == seen.patient) & (parts.start[inside] < seen.day)
        for role in range(len(ROLES)):
            shown = np.bitwise_count(parts.masks[role, inside] & seen.mask).astype(np.int64)
            np.add.at(n_looks, seen.patient[held] * len(ROLES) + role, shown[held])
            vertebrae = np.bitwise_count(parts.masks[role]).astype(np.int64)
            np.add.at(days, parts.patient * len(ROLES) + role, vertebrae * parts.days)
    cell = np.flatnonzero(days)
    return pd.DataFrame(
        {
            "patient_id": members.ids.to_numpy()[cell // len(ROLES)],
            "role": categorical(cell % len(ROLES), ROLES),
            "n_looks": n_looks[cell],
            "vertebra_days": days[cell],
        }
    )


def last_looks(tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition) -> pd.DataFrame:
    """When each vertebra at risk was last looked at in `(entry, exit]`: patient_id, level, last_look (date), n_looks.

    A look is an imaging study that shows it, a measurement, a sighting that names it, or its augmentation. One row per
    vertebra looked at at least once, in the order of patients and spine.
    """
    members = Members.of(tables, augmentations, study)
    time = members.follow_up
    every: Looks = looks(members.anatomy, {**tables, "augmentations": augmentations}, SHOWN_BY | NAMED_BY)
    seen = every.within(time.entry, time.exit, members.levels)
    frames = []
    for place in range(len(LEVELS)):
        there = np.flatnonzero((seen.mask >> place) & 1)
        if not len(there):
            continue
        patient, count = np.unique(seen.patient[there], return_counts=True)
        last = there[np.cumsum(count) - 1]  # days grow within a patient
        level = spine.code_at(np.full(len(patient), place), members.n_thoracic[patient], members.n_lumbar[patient])
        frames.append(
            pd.DataFrame(
                {
                    "row": patient,
                    "patient_id": members.ids.to_numpy()[patient],
                    "level": categorical(level, LEVELS),
                    "last_look": to_dates(seen.day[last]).to_numpy(),
                    "n_looks": count,
                }
            )
        )
    columns = ["patient_id", "level", "last_look", "n_looks"]
    if not frames:
        return pd.DataFrame(columns=columns)
    whole = pd.concat(frames, ignore_index=True).sort_values(["row", "level"], kind="stable", ignore_index=True)
    return whole[columns]
