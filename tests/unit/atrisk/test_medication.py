"""Courses, how long a dose acts, and which source speaks of corticosteroids."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort import atrisk
from cohort.domain.study import StudyDefinition

DAY_0 = pd.Timestamp("2020-01-01")
ONE = """
    patient_id | follow_up_end
    a          | 1000"""
L1 = """
    patient_id | date | level
    a          | 0    | L1"""


def stops(case):
    frame = atrisk.courses(case.tables, case.augmentations, case.study)
    days = [(stop - DAY_0).days for stop in frame["stop"]]
    return list(zip(frame["drug"], frame["drug_class"], days, frame["stop_from"], strict=True))


COURSES = """
    patient_id | drug        | start | stop | drug_class
    a          | Aclasta     | 10    |      |
    a          | denosumab   | 10    |      |
    a          | M05BA04     | 10    |      |
    a          | zoledronate | 10    | 50   |
    a          | herbal      | 10    | 90   | other
"""


def test_a_dose_acts_for_its_duration_and_a_daily_drug_to_the_end_of_follow_up(cohort_of):
    case = cohort_of(patients=ONE, augmentations=L1, medications=COURSES)
    assert stops(case) == [
        ("zoledronate", "antiresorptive", 375, "duration"),
        ("denosumab", "antiresorptive", 192, "duration"),
        ("alendronate", "antiresorptive", 1000, "follow_up"),
        ("zoledronate", "antiresorptive", 50, "written"),
        ("herbal", "other", 90, "written"),
    ]


def test_a_dose_written_beside_the_name_acts_as_long_as_without_it(cohort_of):
    written = """
        patient_id | drug                     | start | stop | drug_class
        a          | Zoledronsäure 5 mg i.v.  | 10    |      |
        a          | denosumab 60 mg s.c.     | 10    |      |
        a          | Alendronat + Vitamin D   | 10    |      |"""
    case = cohort_of(patients=ONE, augmentations=L1, medications=written)
    assert stops(case) == [
        ("zoledronate", "antiresorptive", 375, "duration"),
        ("denosumab", "antiresorptive", 192, "duration"),
        ("alendronate", "antiresorptive", 1000, "follow_up"),
    ]


def test_the_study_may_give_its_own_durations_and_ignore_open_courses(cohort_of):
    study = StudyDefinition().with_("exposures", drug_durations={"Reclast": 540}, open_course="duration_only")
    case = cohort_of(patients=ONE, augmentations=L1, medications=COURSES, study=study)
    assert [(drug, stop) for drug, _, stop, _ in stops(case)] == [
        ("zoledronate", 550),
        ("denosumab", 192),
        ("zoledronate", 50),
        ("herbal", 90),
    ]


def spans(case, column):
    """(entry, exit, value) of the treated vertebra, joined where the value stays."""
    rows = case.vertebrae("treated")
    rows = rows[rows["level"] == "L1"]
    return list(zip(rows["entry"], rows["exit"], rows[column], strict=True))


def test_a_drug_counts_from_its_start_and_never_from_entry(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        medications="""
            patient_id | drug      | start | stop
            a          | denosumab | 100   |
            a          | denosumab | 282   |
            a          | calcium   | 5     | 50""",
    )
    # Two doses 182 days apart protect without a gap; a supplement is no anti-osteoporotic drug.
    assert spans(case, "anti_osteoporotic") == [(0, 100, 0.0), (100, 464, 1.0), (464, 1000, 0.0)]


def test_without_any_recorded_medication_nothing_is_known(cohort_of):
    case = cohort_of(patients=ONE, augmentations=L1)
    assert np.isnan(case.vertebrae("treated")["anti_osteoporotic"]).all()
    assert np.isnan(case.baseline()["anti_osteoporotic"]).all()


STEROIDS = """
    patient_id | follow_up_end | corticosteroids
    column     | 100           | yes
    courses    | 100           | yes
    later      | 100           | no
    nothing    | 100           |"""
STEROIDS_L1 = """
    patient_id | date | level
    column     | 0    | L1
    courses    | 0    | L1
    later      | 0    | L1
    nothing    | 0    | L1"""
PREDNISOLONE = """
    patient_id | drug         | start | stop
    courses    | prednisolone | -50   | 20
    later      | H02AB07      | 60    |"""


def test_dated_corticosteroid_courses_take_precedence_after_the_first_augmentation(cohort_of):
    case = cohort_of(patients=STEROIDS, augmentations=STEROIDS_L1, medications=PREDNISOLONE)
    rows = case.vertebrae("treated")
    got = {
        patient: list(zip(part["entry"], part["exit"], part["corticosteroids"], strict=True))
        for patient, part in rows.groupby("patient_id")
    }
    assert got["column"] == [(0, 100, 1.0)]
    assert got["courses"] == [(0, 20, 1.0), (20, 100, 0.0)]
    assert got["later"] == [(0, 60, 0.0), (60, 100, 1.0)]
    assert [np.isnan(value) for *_, value in got["nothing"]] == [True]


def test_at_entry_the_column_describes_the_day_of_the_first_augmentation(cohort_of):
    case = cohort_of(patients=STEROIDS, augmentations=STEROIDS_L1, medications=PREDNISOLONE)
    assert case.baseline()["corticosteroids"].tolist()[:3] == [1.0, 1.0, 0.0]
    assert np.isnan(case.baseline()["corticosteroids"].iloc[3])


def test_with_delayed_entry_the_courses_decide(cohort_of):
    case = cohort_of(
        patients="""
            patient_id | follow_up_end | corticosteroids | enrolled_on
            a          | 100           | yes             | 40""",
        augmentations=L1,
        medications="""
            patient_id | drug         | start | stop
            a          | prednisolone | -50   | 20""",
    )
    assert case.baseline()["corticosteroids"].tolist() == [0.0]


@pytest.mark.parametrize(("start", "stop", "on"), [(0, 50, 1.0), (1, 50, 0.0), (-9, 0, 0.0), (-9, 1, 1.0)])
def test_baseline_is_the_first_day_at_risk(cohort_of, start, stop, on):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        medications=f"""
            patient_id | drug        | start   | stop
            a          | alendronate | {start} | {stop}""",
    )
    assert case.baseline()["anti_osteoporotic"].tolist() == [on]


@pytest.mark.parametrize(("grace_days", "changes"), [(0, [0, 100, 120, 200]), (19, [0, 100, 120, 200]), (20, [0, 200])])
def test_a_gap_no_longer_than_the_grace_does_not_interrupt_a_drug(cohort_of, grace_days, changes):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        medications="""
            patient_id | drug        | start | stop
            a          | alendronate | 0     | 100
            a          | alendronate | 120   | 200""",
        study=StudyDefinition().with_("exposures", grace_days=grace_days),
    )
    rows = case.vertebrae("treated")
    assert sorted({*rows["entry"], *rows["exit"]}) == [*changes, 1000]
    taken = rows.loc[rows["anti_osteoporotic"] == 1]
    assert taken["exit"].max() == 200, "the grace adds nothing after the last course"
