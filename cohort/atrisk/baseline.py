"""What is known of each patient at entry: covariates that never change afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cohort.atrisk.columns import categorical, codes
from cohort.atrisk.exposures import Findings, any_so_far, as_finding, findings
from cohort.atrisk.medication import at_entry, medication
from cohort.atrisk.members import Members
from cohort.domain.clock import DAYS_PER_YEAR, MISSING, NEVER, FloatArray, IntArray, to_days
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.tables.schema import AUGMENTATIONS, PATIENTS

MIXED = "mixed"
_FIRST_CODE = np.iinfo(np.int64).max


def baseline(tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition) -> pd.DataFrame:
    """One row per patient, in the order of patients: what holds on the first day at risk.

    Columns: patient_id, age (years at the first augmentation), female, t_score, corticosteroids, anti_osteoporotic (1,
    0, or missing), prior_fractures, site, n_levels (levels treated up to entry, S1 included), technique and cement (of
    all those levels; "mixed" where they differ), volume_ml (their sum), cleft and leak (any of them; leak into a disc),
    height_restoration (the greatest; missing with one missing), and the columns of patients that the study declares as
    known at index. Patients without follow-up have the values of all their augmentations, and no medication.
    """
    members = Members.of(tables, augmentations, study)
    values = findings(augmentations)
    time = members.follow_up
    everybody = np.arange(len(members), dtype=np.int64)
    first_day = np.where(time.entry == NEVER, NEVER, time.entry + 1)
    cleft, leak, restoration = any_so_far(members, values, everybody, first_day)
    taken = medication(members, tables, study)
    corticosteroids, anti_osteoporotic = at_entry(members, taken)
    frame = pd.DataFrame({"patient_id": members.ids.to_numpy()})
    frame = pd.concat([frame, patient_covariates(members, tables)], axis=1)
    frame["corticosteroids"] = corticosteroids
    frame["anti_osteoporotic"] = anti_osteoporotic
    frame["site"] = tables["patients"]["site"].to_numpy()
    frame["n_levels"] = np.bitwise_count(members.history.mask_before(everybody, first_day)).astype(np.int64)
    for name, code in (("technique", values.technique), ("cement", values.cement)):
        frame[name] = _common(members, code, first_day, AUGMENTATIONS[name].vocabulary)
    frame["volume_ml"] = _total(members, values, first_day)
    frame["cleft"] = as_finding(np.where(cleft < 0, 1, cleft))
    frame["leak"] = as_finding(np.where(leak < 0, 1, leak))
    frame["height_restoration"] = restoration
    for name, column in declared(tables, study).items():
        if name not in frame:
            frame[name] = column.array
    return frame


def patient_covariates(members: Members, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """age, female, t_score, prior_fractures of each patient, float64; NaN where not recorded.

    Age is that at the first augmentation: `age_at_index`, else from `birth_date` where the day of origin is known.
    """
    patients = tables["patients"]
    origin, birth = members.follow_up.origin, to_days(patients["birth_date"])
    from_birth = np.where((origin != MISSING) & (birth != MISSING), (origin - birth) / DAYS_PER_YEAR, np.nan)
    written = patients["age_at_index"].to_numpy(dtype=np.float64)
    sex = codes(patients["sex"], PATIENTS["sex"].vocabulary)
    return pd.DataFrame(
        {
            "age": np.where(np.isnan(written), from_birth, written),
            "female": np.where(sex < 0, np.nan, sex == PATIENTS["sex"].vocabulary.index("female")),
            "t_score": patients["t_score"].to_numpy(dtype=np.float64),
            "prior_fractures": patients["prior_fractures"].to_numpy(dtype=np.float64),
        }
    )


def declared(tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> dict[str, pd.Series]:
    """The columns of patients that the study declares as known at the first augmentation.

    Raises DefinitionError for one that patients lacks.
    """
    patients = tables["patients"]
    for name in study.known_at_index:
        if name not in patients:
            raise DefinitionError(
                f"[tables.patients.timing] declares '{name}', which is no column of patients; "
                "correct the name, or move the column to the table patients."
            )
    return {name: _numbers_if_all_are(patients[name]) for name in study.known_at_index}


def _numbers_if_all_are(values: pd.Series) -> pd.Series:
    """A carried column as float64 where every value is a number, with either decimal mark; else as it is written."""
    if pd.api.types.is_numeric_dtype(values):
        return values
    numbers = pd.to_numeric(values.astype("string").str.replace(",", ".", regex=False), errors="coerce")
    all_are = bool((numbers.notna() == values.notna()).all() and values.notna().any())
    return numbers.astype("float64") if all_are else values


def _by_entry(members: Members, first_day: IntArray) -> IntArray:
    """The part of the history that lies before each patient's first day at risk, as indices."""
    return np.flatnonzero(members.history.day < first_day[members.history.patient])


def _common(members: Members, code: IntArray, first_day: IntArray, vocabulary: Sequence[str]) -> pd.Categorical:
    """The one value that a patient's augmentations share, MIXED where recorded ones differ, missing without any."""
    history = members.history
    index = _by_entry(members, first_day)
    index = index[code[history.row[index]] >= 0]
    patient, value = history.patient[index], code[history.row[index]]
    least = np.full(len(members), _FIRST_CODE, dtype=np.int64)
    greatest = np.full(len(members), -1, dtype=np.int64)
    np.minimum.at(least, patient, value)
    np.maximum.at(greatest, patient, value)
    shared = np.where((greatest >= 0) & (least != greatest), len(vocabulary), greatest)
    return categorical(shared, (*vocabulary, MIXED))


def _total(members: Members, values: Findings, first_day: IntArray) -> FloatArray:
    """Cement of all augmentations up to entry; missing where one is."""
    history = members.history
    index = _by_entry(members, first_day)
    treated = np.zeros(len(members), dtype=bool)
    treated[history.patient[index]] = True
    total = np.bincount(history.patient[index], weights=values.volume_ml[history.row[index]], minlength=len(members))
    return np.where(treated, total, np.nan)
