"""Counting-process rows of vertebrae."""

from __future__ import annotations

import numpy as np
import pytest

from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition

ONE = """
    patient_id | follow_up_end | age_at_index | sex    | t_score | prior_fractures | smoker
    a          | 200           | 70           | female | -3.1    | 2               | yes"""
L1 = """
    patient_id | date | level
    a          | 0    | L1"""
COLUMNS = """
    id cluster entry exit cause weight stratum lower origin_date patient_id role level cleft leak n_treated_neighbours
    height_restoration technique cement volume_ml age female t_score corticosteroids anti_osteoporotic
    prior_fractures site n_levels thoracolumbar
"""


def lives(case, role, level):
    rows = case.vertebrae(role)
    rows = rows[rows["level"] == level]
    return list(zip(rows["entry"], rows["exit"], rows["cause"], strict=True))


def test_an_event_lies_at_the_exit_of_its_row_and_the_vertebra_returns_when_healed(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings="""
            patient_id | date | level
            a          | 50   | L2
            a          | 200  | T6
            a          | 60   | L1""",
    )
    assert lives(case, "adjacent", "L2") == [(0, 50, 1), (140, 200, 0)]
    assert lives(case, "adjacent", "T12") == [(0, 200, 0)]
    assert lives(case, "remote", "T6") == [(0, 200, 1)]
    assert lives(case, "treated", "L1") == [(0, 60, 1), (150, 200, 0)]


def test_an_event_ends_its_row_even_where_healing_takes_no_time(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings="""
            patient_id | date | level
            a          | 50   | L2""",
        study=StudyDefinition().with_("relation", healing_days=0),
    )
    assert lives(case, "adjacent", "L2") == [(0, 50, 1), (50, 200, 0)]


def test_the_columns_and_the_covariates_of_the_patient(cohort_of):
    study = StudyDefinition(tables={"patients": {"timing": {"smoker": "index"}}})
    rows = cohort_of(patients=ONE, augmentations=L1, study=study).vertebrae("remote")
    assert rows.columns.tolist() == [*COLUMNS.split(), "smoker"]
    first = rows.iloc[0]
    assert (first["age"], first["female"], first["t_score"], first["prior_fractures"]) == (70, 1, -3.1, 2)
    assert first["smoker"] == "yes"
    assert rows.loc[rows["thoracolumbar"] == 1, "level"].tolist() == ["T11"]  # T12 and L2 adjacent, L1 treated
    assert rows["id"].is_monotonic_increasing
    assert set(rows["cluster"]) == {0}


def test_a_covariate_the_study_declares_must_exist(cohort_of):
    study = StudyDefinition(tables={"patients": {"timing": {"smokes": "index"}}})
    with pytest.raises(DefinitionError, match="declares 'smokes'"):
        cohort_of(patients=ONE, augmentations=L1, study=study).vertebrae("remote")


def test_treated_means_treated_for_fracture(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | indication
            a          | 0    | L1    | prophylactic
            a          | 0    | T8    | fracture
            a          | 50   | L1    | fracture""",
    )
    assert lives(case, "treated", "T8") == [(0, 50, 0), (50, 200, 0)]
    assert lives(case, "treated", "L1") == [(50, 200, 0)]


def test_a_role_that_comes_with_a_second_procedure_counts_from_it(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level
            a          | 0    | L1
            a          | 50   | L3""",
    )
    assert lives(case, "remote", "L4") == [(0, 50, 0)]
    assert lives(case, "adjacent", "L4") == [(50, 200, 0)]


def test_a_role_nobody_defined_is_refused(cohort_of):
    with pytest.raises(DefinitionError, match="'treated_tumour' is no role"):
        cohort_of(patients=ONE, augmentations=L1).vertebrae("treated_tumour")


@pytest.mark.parametrize("role", ["treated", "adjacent", "remote"])
@pytest.mark.parametrize(
    "patients", ["patient_id", "patient_id | follow_up_end\n a | 0", "patient_id | follow_up_end\n a | -9"]
)
def test_nobody_at_risk_gives_no_rows(cohort_of, role, patients):
    case = cohort_of(patients=patients, augmentations=L1 if "\n" in patients else "patient_id")
    assert len(case.vertebrae(role)) == 0
    assert case.vertebrae(role)["cause"].dtype == np.int64


def test_patients_whose_first_treatment_has_no_date_are_left_out(cohort_of):
    case = cohort_of(
        patients="patient_id | follow_up_end | enrolled_on\n a | 100 | 0",
        augmentations="patient_id | date_precision | level\n a | before_index | L1",
    )
    assert len(case.vertebrae("treated")) == 0
    assert case.days()[("L1", "treated")] == 100
