"""Entry, exit, and who is left out."""

from __future__ import annotations

import pandas as pd
import pytest

from cohort.atrisk import left_out
from cohort.domain.clock import MISSING, NEVER
from cohort.domain.errors import RegistryError
from cohort.domain.study import StudyDefinition

DAY_0 = pd.Timestamp("2020-01-01")

PATIENTS = """
    patient_id | enrolled_on | follow_up_end | death_date | incomplete
    usual      |             | 100           |            |
    late       | 30          | 100           |            |
    early      | -30         | 100           |            |
    dead       |             | 100           | 60         |
    gone       | 120         | 100           |            |
    linked     | 5           | 100           |            |
    unknown    |             | 100           |            |
    sacrum     |             | 100           |            |
    untreated  | 0           | 100           |            |
    tumour     |             | 100           |            |
    rejected   |             | 100           |            | yes
"""
AUGMENTATIONS = """
    patient_id | date | date_precision | level | indication
    usual      | 0    |                | L1    |
    late       | 0    |                | L1    |
    early      | 0    |                | L1    |
    dead       | 0    |                | L1    |
    gone       | 0    |                | L1    |
    linked     |      | before_index   | L1    |
    linked     | 40   |                | L3    |
    unknown    |      | before_index   | L1    |
    sacrum     | 0    |                | S1    |
    tumour     | 0    |                | L1    | fracture
    tumour     | 0    |                | L4    | tumour
    tumour     | 9    |                | T9    | fracture
    rejected   | 0    |                | L1    |
"""
EXPECTED = """
    usual     0   100 0   yes
    late      30  100 0   yes
    early     0   100 0   yes
    dead      0   60  0   yes
    gone      120 100 0   exit on or before entry
    linked    5   100 -   yes
    unknown   -   100 -   no follow-up
    sacrum    -   100 -   no follow-up
    untreated -   100 -   no follow-up
    tumour    0   100 0   tumour
    rejected  0   100 0   incomplete
"""


def written(date):
    return "-" if pd.isna(date) else str((date - DAY_0).days)


@pytest.fixture(scope="module")
def case(cohort_of):
    return cohort_of(patients=PATIENTS, augmentations=AUGMENTATIONS)


def test_entry_is_the_later_of_enrolment_and_first_treatment_and_exit_the_earlier_of_death_and_end(case):
    table = case.follow_up()
    for row, line in zip(table.itertuples(), EXPECTED.strip().splitlines(), strict=True):
        patient, entry, exit_, origin, why = line.split(maxsplit=4)
        got = (
            row.patient_id,
            written(row.entry),
            written(row.exit),
            written(row.origin),
            row.left_out_because or "yes",
        )
        assert got == (patient, entry, exit_, origin, why)
        assert row.in_main == (why == "yes")


def test_days_are_whole_numbers_and_say_what_is_missing(case):
    table = case.follow_up().set_index("patient_id")
    assert table.loc["untreated", "entry_day"] == NEVER
    assert table.loc["linked", "origin_day"] == MISSING
    assert table["before_index"].sum() == 2
    assert not table.loc["gone", "has_time"]


def test_left_out_patients_are_counted_by_the_first_reason(case):
    counts = left_out(case.follow_up(), case.study).set_index("reason")["n_patients"]
    assert counts.to_dict() == {"incomplete": 1, "no follow-up": 3, "exit on or before entry": 1, "tumour": 1}


def test_settings_bring_back_tumours_and_incomplete_patients(cohort_of):
    study = StudyDefinition().with_("population", include_incomplete=True, tumour_in_main=True)
    table = cohort_of(patients=PATIENTS, augmentations=AUGMENTATIONS, study=study).follow_up()
    assert table.set_index("patient_id").loc[["tumour", "rejected"], "in_main"].all()


def test_a_tumour_treated_later_leaves_the_patient_in_the_main_figures(cohort_of):
    case = cohort_of(
        patients="""
            patient_id | follow_up_end
            a          | 100""",
        augmentations="""
            patient_id | date | level | indication
            a          | 0    | L1    | fracture
            a          | 20   | L4    | tumour""",
    )
    assert case.follow_up()["in_main"].tolist() == [True]


def test_a_treatment_before_the_registry_began_is_the_first_procedure(cohort_of):
    case = cohort_of(
        patients="""
            patient_id | follow_up_end | enrolled_on
            a          | 100           | 0""",
        augmentations="""
            patient_id | date | date_precision | level | indication
            a          | 0    |                | L1    | fracture
            a          |      | before_index   | L4    | tumour""",
    )
    assert case.follow_up()["left_out_because"].tolist() == ["tumour"]


def test_rows_of_unknown_patients_are_refused_without_naming_them(cohort_of):
    case = cohort_of(patients="patient_id | follow_up_end\n a | 100", augmentations="patient_id\n a")
    stranger = case.augmentations.assign(patient_id="secret", level=pd.Categorical(["L1"]))
    with pytest.raises(RegistryError, match="augmentations: 1 rows belong to patients") as error:
        type(case)(case.tables, case.sightings, stranger, case.study).follow_up()
    assert "secret" not in str(error.value)


def test_an_empty_registry_has_an_empty_table(cohort_of):
    table = cohort_of(patients="patient_id").follow_up()
    assert len(table) == 0
    assert left_out(table, StudyDefinition())["n_patients"].sum() == 0
