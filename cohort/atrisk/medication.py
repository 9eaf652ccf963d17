"""Drugs as exposures that change with time: a course from start to stop holds on day d when start < d <= stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.atrisk.columns import codes
from cohort.atrisk.members import Members
from cohort.atrisk.windows import Windows
from cohort.domain.clock import MISSING, NEVER, BoolArray, FloatArray, IntArray, to_dates, to_days
from cohort.domain.outcomes import DRUG_CLASSES, YES_NO
from cohort.domain.study import ExposureSettings, StudyDefinition
from cohort.tables.drugs import drug_of

CLASS_DTYPE = pd.CategoricalDtype(list(DRUG_CLASSES), ordered=True)
ANTI_OSTEOPOROTIC = ("antiresorptive", "anabolic")


@dataclass(frozen=True)
class Medication:
    """Who took what when; windows are keyed by the patient's row.

    anti_osteoporotic : antiresorptive or anabolic courses. corticosteroids : dated courses.
    recorded : whether the registry records medication at all; without any row nothing is known of anybody.
    dated_corticosteroids, corticosteroids_at_index : per patient; the latter 1, 0 or NaN.
    """

    anti_osteoporotic: Windows
    corticosteroids: Windows
    recorded: bool
    dated_corticosteroids: BoolArray
    corticosteroids_at_index: FloatArray

    def anti_osteoporotic_on(self, patient: IntArray, day: IntArray) -> FloatArray:
        """1 where an antiresorptive or anabolic course is current, else 0; NaN where nobody has any course recorded."""
        if not self.recorded:
            return np.full(len(patient), np.nan)
        return self.anti_osteoporotic.covers(patient, day).astype(np.float64)

    def corticosteroids_on(self, patient: IntArray, day: IntArray) -> FloatArray:
        """1, 0 or NaN after entry: dated courses decide for whoever has any, else the patients column."""
        current = self.corticosteroids.covers(patient, day).astype(np.float64)
        return np.where(self.dated_corticosteroids[patient], current, self.corticosteroids_at_index[patient])

    def changes(self) -> tuple[IntArray, IntArray]:
        """Patient and day of every start and stop."""
        both = (self.anti_osteoporotic, self.corticosteroids)
        patient = np.concatenate([windows.key for windows in both for _ in range(2)])
        return patient, np.concatenate([days for windows in both for days in (windows.start, windows.stop)])


def medication(members: Members, tables: Mapping[str, pd.DataFrame], study: StudyDefinition) -> Medication:
    """The courses of every patient, joined where they overlap or lie no more than the days of grace apart."""
    frame = tables["medications"]
    taken = _courses(members, frame, study.exposures)
    patient, start, stop = (taken[name].to_numpy(dtype=np.int64) for name in ("patient", "start", "stop"))
    anti = taken["drug_class"].isin(ANTI_OSTEOPOROTIC).to_numpy(dtype=bool)
    steroid = taken["drug_class"].eq("corticosteroid").to_numpy(dtype=bool)
    dated = np.zeros(len(members), dtype=bool)
    dated[patient[steroid]] = True
    column = codes(tables["patients"]["corticosteroids"], YES_NO)
    grace = study.exposures.grace_days
    return Medication(
        Windows.union(patient[anti], start[anti], stop[anti], bridging=grace),
        Windows.union(patient[steroid], start[steroid], stop[steroid], bridging=grace),
        len(frame) > 0,
        dated,
        np.where(column < 0, np.nan, column),
    )


def courses(tables: Mapping[str, pd.DataFrame], augmentations: pd.DataFrame, study: StudyDefinition) -> pd.DataFrame:
    """Every course with the stop that is used: patient_id, drug, drug_class, start, stop, stop_from.

    stop_from : "written", "duration" (start + days of action) or "follow_up" (a daily drug without a stop). Daily drugs
    without a stop are left out when the study takes them as unknown.
    """
    members = Members.of(tables, augmentations, study)
    taken = _courses(members, tables["medications"], study.exposures)
    return pd.DataFrame(
        {
            "patient_id": members.ids.to_numpy()[taken["patient"].to_numpy()],
            "drug": taken["drug"],
            "drug_class": taken["drug_class"].astype(CLASS_DTYPE),
            "start": to_dates(taken["start"].to_numpy(dtype=np.int64)),
            "stop": to_dates(taken["stop"].to_numpy(dtype=np.int64)),
            "stop_from": taken["stop_from"],
        }
    )


def _courses(members: Members, frame: pd.DataFrame, settings: ExposureSettings) -> pd.DataFrame:
    places, written = pd.factorize(frame["drug"].astype(str))
    known = [drug_of(text) for text in written]
    names = np.array([_canonical(text) for text in written], dtype=object)
    listed = np.array([one.drug_class or None for one in known], dtype=object)[places]
    drug = names[places]
    drug_class = np.where(frame["drug_class"].notna(), frame["drug_class"].astype(object), listed)

    own = {_canonical(name): days for name, days in settings.drug_durations.items()}
    days = [own.get(name, one.action_days) for name, one in zip(names, known, strict=True)]
    action = np.array(days, dtype=np.float64)[places]

    patient = members.rows_of(frame, "medications")
    start, stop = to_days(frame["start"]), to_days(frame["stop"])
    by_duration = (stop == MISSING) & ~np.isnan(action)
    open_ = (stop == MISSING) & np.isnan(action)
    stop = np.where(by_duration, start + np.nan_to_num(action).astype(np.int64), stop)
    stop = np.where(open_, np.maximum(members.follow_up.exit[patient], start), stop)
    taken = pd.DataFrame(
        {
            "patient": patient,
            "drug": drug,
            "drug_class": drug_class,
            "start": start,
            "stop": stop,
            "stop_from": np.select([by_duration, open_], ["duration", "follow_up"], default="written").astype(object),
        }
    )
    if settings.open_course == "duration_only":
        taken = taken.loc[~open_]
    return taken.reset_index(drop=True)


def _canonical(name: str) -> str:
    """The drug that a name or ATC code stands for; a name nobody knows stands for itself."""
    return drug_of(name).name or name.strip().lower()


def at_entry(members: Members, taken: Medication) -> tuple[FloatArray, FloatArray]:
    """Corticosteroids and anti-osteoporotic drugs on the first day at risk, per patient: 1, 0 or NaN.

    The patients column describes the day of the first augmentation, so it decides where entry is that day; later, dated
    courses come first. Without follow-up, only that column is known.
    """
    time = members.follow_up
    everybody = np.arange(len(members), dtype=np.int64)
    followed = time.entry != NEVER
    first_day = np.where(followed, time.entry + 1, 0)
    column = taken.corticosteroids_at_index
    at_index = (time.entry == time.origin) & ~np.isnan(column)
    corticosteroids = np.where(followed & ~at_index, taken.corticosteroids_on(everybody, first_day), column)
    anti_osteoporotic = np.where(followed, taken.anti_osteoporotic_on(everybody, first_day), np.nan)
    return corticosteroids, anti_osteoporotic
