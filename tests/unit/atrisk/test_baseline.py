"""What is known of each patient at entry."""

from __future__ import annotations

import numpy as np
import pytest

from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition

PATIENTS = """
    patient_id | follow_up_end | enrolled_on | sex    | age_at_index | birth_date | site  | t_score | ward
    a          | 100           |             | female |              | -25567     | north | -2.5    | 3
    b          | 100           | 50          | male   | 66           | -9999      |       |         | 4
    c          | 100           |             | other  |              |            | south |         |
    nothing    | 100           |             |        |              | -9999      |       |         |"""
AUGMENTATIONS = """
    patient_id | date | level | technique      | cement | cleft_before | leak | volume_ml
    a          | 0    | L1    | vertebroplasty | pmma   | no           | none | 3
    a          | 0    | L2    | kyphoplasty    | pmma   | yes          | disc | 4
    a          | 1    | L5    | kyphoplasty    | other  | yes          |      | 9
    b          | 0    | L1    | vertebroplasty | pmma   | no           | none | 3
    b          | 40   | L2    | vertebroplasty |        |              | none |
    b          | 50   | L2    | vertebroplasty |        |              | none |
    c          | 0    | S1    | other          | pmma   | yes          | none | 1
    c          | 0    | L1    | other          | pmma   | no           | none | 1"""


@pytest.fixture(scope="module")
def table(cohort_of):
    study = StudyDefinition(tables={"patients": {"timing": {"ward": "index"}}})
    frame = cohort_of(patients=PATIENTS, augmentations=AUGMENTATIONS, study=study).baseline()
    return frame.set_index("patient_id").astype(object).where(lambda f: f.notna(), None)


def test_procedures_up_to_entry_count_and_later_ones_do_not(table):
    assert table["n_levels"].tolist() == [2, 2, 2, 0]
    assert table["technique"].tolist() == ["mixed", "vertebroplasty", "other", None]
    assert table["cement"].tolist() == ["pmma", "pmma", "pmma", None]
    assert table["volume_ml"].tolist() == [7.0, None, 2.0, None]


def test_a_patient_has_any_cleft_and_any_disc_leak_so_far(table):
    assert table["cleft"].tolist() == ["yes", None, "yes", None]
    assert table["leak"].tolist() == ["yes", "no", "no", None]


def test_age_is_that_at_the_first_augmentation(table):
    assert table["age"].tolist() == [pytest.approx(70.0, abs=0.01), 66.0, None, None]


def test_female_is_a_statement_only_where_sex_is_recorded(table):
    assert table["female"].tolist() == [1.0, 0.0, 0.0, None]


def test_what_the_study_declares_as_known_at_index_is_there(table):
    assert table["ward"].tolist() == [3.0, 4.0, None, None], "numbers, where all of them are"
    assert table["site"].tolist() == ["north", None, "south", None]


def test_a_column_that_does_not_exist_cannot_be_declared(cohort_of):
    study = StudyDefinition(tables={"patients": {"timing": {"bed": "index"}}})
    with pytest.raises(DefinitionError, match="no column of patients"):
        cohort_of(patients=PATIENTS, augmentations=AUGMENTATIONS, study=study).baseline()


def test_an_empty_registry_has_an_empty_baseline(cohort_of):
    assert len(cohort_of(patients="patient_id").baseline()) == 0


def test_height_restoration_is_the_greatest_so_far(cohort_of):
    case = cohort_of(
        patients="patient_id | follow_up_end\n a | 100",
        augmentations="""
            patient_id | date | level | anterior_mm_before | anterior_mm_after | anterior_mm_reference
            a          | 0    | L1    | 10                 | 15                | 20
            a          | 0    | L2    | 10                 | 18                | 20""",
    )
    np.testing.assert_allclose(case.baseline()["height_restoration"], [0.8])
