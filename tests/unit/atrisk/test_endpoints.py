"""First events of a patient, with death competing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition

L1 = """
    patient_id | date | level
    a          | 10   | L1"""


def rows(process):
    """(entry, exit, cause by name)."""
    names = ("none", *process.causes)
    return [(row.entry, row.exit, names[row.cause]) for row in process.frame.itertuples()]


def one(cohort_of, *, sightings="patient_id", patient="end | 110", study=None, augmentations=L1):
    names, values = [], []
    for item in patient.split(","):
        name, value = item.split("|")
        names.append({"end": "follow_up_end"}.get(name.strip(), name.strip()))
        values.append(value.strip())
    patients = "patient_id | " + " | ".join(names) + "\n a | " + " | ".join(values)
    return cohort_of(patients=patients, augmentations=augmentations, sightings=sightings, study=study)


SEEN = """
    patient_id | date | level
    a          | 40   | T6
    a          | 30   | L2
    a          | 70   | L1
    a          | 50   | T12"""


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("adjacent", (0, 20, "adjacent")),
        ("remote", (0, 30, "remote")),
        ("same", (0, 60, "same")),
        ("composite", (0, 20, "adjacent")),
        ("retreated", (0, 100, "none")),
    ],
)
def test_other_relations_do_not_censor(cohort_of, endpoint, expected):
    assert rows(one(cohort_of, sightings=SEEN).first_events(endpoint)) == [expected]


def test_the_clock_starts_at_the_first_dated_augmentation_and_entry_may_be_late(cohort_of):
    case = one(cohort_of, sightings=SEEN, patient="end | 110, enrolled_on | 25")
    assert rows(case.first_events("adjacent")) == [(15, 20, "adjacent")]
    process = case.first_events("adjacent")
    assert (process.unit, process.time_scale, process.origin) == ("patient", "days", "first dated augmentation (C1-L6)")
    assert process.frame.columns.tolist()[:6] == ["id", "cluster", "patient_id", "entry", "exit", "cause"]


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ("end | 110, death_date | 60", (0, 50, "death")),
        ("end | 110, death_date | 110", (0, 100, "death")),
        ("end | 110, death_date | 111", (0, 100, "none")),
        ("end | 110", (0, 100, "none")),
    ],
)
def test_a_death_within_follow_up_competes_and_one_after_it_is_no_event(cohort_of, patient, expected):
    assert rows(one(cohort_of, patient=patient).first_events("composite")) == [expected]


def test_a_late_death_may_close_the_follow_up_in_a_sensitivity_run(cohort_of):
    late = one(cohort_of, patient="end | 110, death_date | 130")
    closing = StudyDefinition().with_("at_risk", death_closes=True)
    assert rows(replace(late, study=closing).first_events("composite")) == [(0, 120, "death")]
    assert rows(replace(one(cohort_of), study=closing).first_events("composite")) == [(0, 100, "none")]


def test_a_refracture_on_the_day_of_death_counts(cohort_of):
    case = one(
        cohort_of,
        patient="end | 110, death_date | 60",
        sightings="""
            patient_id | date | level
            a          | 60   | L2""",
    )
    assert rows(case.first_events("adjacent")) == [(0, 50, "adjacent")]


@pytest.mark.parametrize(
    ("levels", "cause"), [(("L2", "T6"), "several"), (("L2", "T12"), "adjacent"), (("L1", "T6"), "several")]
)
def test_first_refractures_of_more_than_one_relation_on_one_day_are_several(cohort_of, levels, cause):
    seen = "patient_id | date | level\n" + "\n".join(f"a | 30 | {level}" for level in levels) + "\n a | 40 | L4"
    process = one(cohort_of, sightings=seen).first_events("composite")
    assert process.causes == ("same", "adjacent", "remote", "several", "death")
    assert rows(process) == [(0, 20, cause)]


def test_same_level_means_a_vertebra_treated_for_fracture(cohort_of):
    case = one(
        cohort_of,
        augmentations="""
            patient_id | date | level | indication
            a          | 10   | L1    | prophylactic""",
        sightings="""
            patient_id | date | level
            a          | 30   | L1""",
    )
    assert rows(case.first_events("same")) == [(0, 100, "none")]
    assert rows(case.first_events("composite")) == [(0, 20, "same")]


EARLY = """
    patient_id | date | level | counted
    a          | 25   | L2    | no
    a          | 60   | T6    | yes"""


def test_a_first_refracture_on_or_before_entry_leaves_the_patient_out_of_that_analysis(cohort_of):
    late = one(cohort_of, sightings=EARLY, patient="end | 110, enrolled_on | 25")
    assert rows(late.first_events("adjacent")) == []
    assert rows(late.first_events("composite")) == []
    assert rows(late.first_events("remote")) == [(15, 50, "remote")]
    assert late.first_left_out("adjacent") == {"first refracture on or before entry": 1}
    in_time = one(cohort_of, sightings=EARLY, patient="end | 110, enrolled_on | 24")
    assert len(in_time.first_events("adjacent").frame) == 1


@pytest.mark.parametrize(("level", "reason"), [("L2", "staged"), ("T2", "not_after_entry")])
def test_a_staged_sighting_or_one_outside_the_range_at_risk_is_no_early_refracture(cohort_of, level, reason):
    early = f"""
        patient_id | date | level | counted | not_counted_because
        a          | 15   | {level}    | no      | {reason}"""
    late = one(cohort_of, sightings=early, patient="end | 110, enrolled_on | 25")
    assert len(late.first_events("composite").frame) == 1


def test_a_fracture_before_the_first_treatment_is_no_refracture(cohort_of):
    case = one(
        cohort_of,
        sightings="""
            patient_id | date | level | counted
            a          | 10   | L2    | no
            a          | 5    | T6    | no""",
    )
    assert rows(case.first_events("composite")) == [(0, 100, "none")]


def test_retreatment_is_an_endpoint_of_its_own(cohort_of):
    case = one(
        cohort_of,
        augmentations="""
            patient_id | date | level | retreats
            a          | 10   | L1    | no
            a          | 50   | L1    | yes
            a          | 90   | L1    | yes""",
    )
    process = case.first_events("retreated")
    assert process.causes == ("retreated", "death")
    assert rows(process) == [(0, 40, "retreated")]
    late = one(cohort_of, augmentations=L1, patient="end | 110, enrolled_on | 50")
    assert rows(late.first_events("retreated")) == [(40, 100, "none")]


def test_unproven_sightings_are_no_first_events_where_the_study_does_not_count_them(cohort_of):
    seen = """
        patient_id | date | level | onset_unproven
        a          | 30   | L2    | yes
        a          | 50   | T12   | no"""
    strict = StudyDefinition().with_("at_risk", count_unproven=False)
    assert rows(one(cohort_of, sightings=seen).first_events("adjacent")) == [(0, 20, "adjacent")]
    assert rows(one(cohort_of, sightings=seen, study=strict).first_events("adjacent")) == [(0, 40, "adjacent")]


def test_only_the_main_population_with_a_known_origin_is_in(cohort_of):
    case = cohort_of(
        patients="""
            patient_id | follow_up_end | enrolled_on | incomplete
            usual      | 100           |             |
            before     | 100           | 0           |
            tumour     | 100           |             |
            rejected   | 100           |             | yes
            untreated  | 100           |             |""",
        augmentations="""
            patient_id | date | date_precision | level | indication
            usual      | 0    |                | L1    |
            before     |      | before_index   | L1    |
            before     | 20   |                | L2    |
            tumour     | 0    |                | L1    | tumour
            rejected   | 0    |                | L1    |""",
    )
    assert case.first_events("composite").frame["patient_id"].tolist() == ["usual"]
    assert case.first_left_out("composite") == {
        "incomplete": 1,
        "no follow-up": 1,
        "tumour": 1,
        "first treatment without a date": 1,
    }


def test_an_endpoint_nobody_defined_is_refused(cohort_of):
    with pytest.raises(DefinitionError, match="'sideways' is no endpoint"):
        one(cohort_of).first_events("sideways")


@pytest.mark.parametrize("endpoint", ["same", "adjacent", "remote", "retreated", "composite"])
def test_an_empty_registry_gives_no_rows(cohort_of, endpoint):
    assert len(cohort_of(patients="patient_id").first_events(endpoint).frame) == 0
