"""Vertebra-days by level and role, worked by hand. At risk: T4-L5, 14 vertebrae."""

from __future__ import annotations

import numpy as np
import pytest

from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition

ONE = """
    patient_id | follow_up_end
    a          | 100"""
L1 = """
    patient_id | date | level
    a          | 0    | L1"""


def test_one_treated_vertebra_has_two_neighbours_and_eleven_remote_ones(cohort_of):
    days = cohort_of(patients=ONE, augmentations=L1).days()
    assert days[("L1", "treated")] == 100
    assert days[("T12", "adjacent")] == days[("L2", "adjacent")] == 100
    assert sum(n for (_, role), n in days.items() if role == "remote") == 11 * 100
    assert sum(days.values()) == 14 * 100
    assert not {"S1", "T3", "C1"} & {level for level, _ in days}


def test_rows_come_in_the_order_of_the_spine_then_of_the_roles(cohort_of):
    frame = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level
            a          | 50   | T12
            a          | 0    | L1""",
    ).person_time()
    assert list(frame.columns) == ["level", "role", "vertebra_days", "events"]
    assert frame["level"].is_monotonic_increasing
    t12 = frame[frame["level"] == "T12"]
    assert t12["role"].tolist() == ["treated", "adjacent"]
    assert t12["vertebra_days"].tolist() == [50, 50]
    assert str(frame["vertebra_days"].dtype) == str(frame["events"].dtype) == "int64"


def test_the_day_of_a_second_procedure_belongs_to_the_earlier_role(cohort_of):
    days = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level
            a          | 0    | L1
            a          | 30   | L2""",
    ).days()
    # Days 1 to 30 adjacent, 31 to 100 treated: counted from its start, never from entry.
    assert (days[("L2", "adjacent")], days[("L2", "treated")]) == (30, 70)
    assert (days[("L3", "remote")], days[("L3", "adjacent")]) == (30, 70)


def test_treated_days_are_split_by_the_indication_of_the_latest_augmentation(cohort_of):
    days = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | indication
            a          | 0    | L1    | prophylactic
            a          | 0    | T8    | tumour
            a          | 40   | L1    |""",
    ).days()
    assert (days[("L1", "treated_prophylactic")], days[("L1", "treated")]) == (40, 60)
    assert days[("T8", "treated_tumour")] == 100


def test_a_kept_sighting_takes_its_vertebra_off_risk_for_the_healing_days_after_it(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings="""
            patient_id | date | level
            a          | 5    | L2""",
    )
    # At risk on days 1-5 (the day found included) and again on 96-100.
    assert case.days()[("L2", "adjacent")] == 10
    assert case.events() == {("L2", "adjacent"): 1}


def test_healing_ends_when_the_level_is_augmented(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level
            a          | 0    | L1
            a          | 20   | L2""",
        sightings="""
            patient_id | date | level
            a          | 5    | L2""",
    )
    assert case.days()[("L2", "adjacent")] == 5
    assert case.days()[("L2", "treated")] == 80


@pytest.mark.parametrize(("day", "left"), [(-30, 40), (-90, 100), (-91, 100)])
def test_a_fracture_before_entry_still_heals_after_it(cohort_of, day, left):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings=f"""
            patient_id | date | level | counted
            a          | {day} | T6    | no""",
    )
    assert case.days()[("T6", "remote")] == left
    assert case.events() == {}


def test_a_fracture_found_on_the_day_of_treatment_is_treated_at_once(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings="""
            patient_id | date | level | counted
            a          | 0    | L1    | no""",
    )
    assert case.days()[("L1", "treated")] == 100


def test_a_sighting_that_is_not_kept_takes_nothing_off_risk(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings="""
            patient_id | date | level | counted | kept | kind_judged
            a          | 5    | L2    | no      | no   | old""",
    )
    assert case.days()[("L2", "adjacent")] == 100


def test_a_staged_level_is_off_risk_from_the_session_that_began_it_until_it_is_treated(cohort_of):
    days = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | staged_from
            a          | 0    | L1    |
            a          | 10   | L4    | 0""",
    ).days()
    assert ("L4", "remote") not in days
    assert days[("L4", "treated")] == 90


def test_an_excluded_level_gives_no_days_and_still_separates_its_neighbours(cohort_of):
    days = cohort_of(
        patients=ONE,
        augmentations=L1,
        excluded_levels="""
            patient_id | level | from | to
            a          | L2    |      |
            a          | T5    | 20   | 50
            a          | T6    |      | 0
            a          | T7    | 60   |""",
    ).days()
    assert ("L2", "adjacent") not in days
    assert days[("L3", "remote")] == 100
    assert days[("T5", "remote")] == 70
    assert days[("T6", "remote")] == 100
    assert days[("T7", "remote")] == 60


def test_cement_outside_the_range_still_makes_its_neighbours_adjacent(cohort_of):
    days = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level
            a          | 0    | T3
            a          | 0    | S1""",
    ).days()
    assert days[("T4", "adjacent")] == days[("L5", "adjacent")] == 100
    assert sum(days.values()) == 1400


def test_neighbours_follow_the_patients_own_spine(cohort_of):
    days = cohort_of(
        patients="""
            patient_id | follow_up_end | n_thoracic | n_lumbar
            t13        | 100           | 13         |
            t11        | 10            | 11         |
            l6         | 1             |            | 6
            l4         | 1000          |            | 4""",
        augmentations="""
            patient_id | date | level
            t13        | 0    | L1
            t11        | 0    | L1
            l6         | 0    | S1
            l6         | 0    | T4
            l4         | 0    | S1
            l4         | 0    | T4""",
    ).days()
    assert days[("T13", "adjacent")] == 100
    assert days[("T12", "remote")] == 100 + 1 + 1000
    assert days[("T11", "adjacent")] == 10
    assert days[("L6", "adjacent")] == 1
    assert days[("L4", "adjacent")] == 1000
    assert days[("L5", "remote")] == 100 + 10 + 1


def test_a_wider_reach_moves_days_from_remote_to_adjacent(cohort_of):
    study = StudyDefinition().with_("relation", reach=2)
    days = cohort_of(patients=ONE, augmentations=L1, study=study).days()
    assert {level for level, role in days if role == "adjacent"} == {"T11", "T12", "L2", "L3"}


def test_the_range_at_risk_is_a_setting(cohort_of):
    study = StudyDefinition().with_("at_risk", first_level="L1", last_level="L3")
    assert set(cohort_of(patients=ONE, augmentations=L1, study=study).days()) == {
        ("L1", "treated"),
        ("L2", "adjacent"),
        ("L3", "remote"),
    }


@pytest.mark.parametrize(("first", "last"), [("T99", None), ("L3", "L1")])
def test_an_impossible_range_is_refused(cohort_of, first, last):
    study = StudyDefinition().with_("at_risk", first_level=first, last_level=last)
    with pytest.raises(DefinitionError, match="at_risk"):
        cohort_of(patients=ONE, augmentations=L1, study=study).days()


EVERYBODY = """
    patient_id | follow_up_end | incomplete
    usual      | 10            |
    tumour     | 20            |
    rejected   | 40            | yes"""
EVERYBODYS = """
    patient_id | date | level | indication
    usual      | 0    | L1    |
    tumour     | 0    | L1    | tumour
    rejected   | 0    | L1    |"""


def test_everybody_but_incomplete_patients_is_covered(cohort_of):
    case = cohort_of(patients=EVERYBODY, augmentations=EVERYBODYS)
    assert case.days()[("L2", "adjacent")] == 30
    assert case.days(only=np.array([False, False, True]))[("L2", "adjacent")] == 40
    study = StudyDefinition().with_("population", include_incomplete=True)
    assert cohort_of(patients=EVERYBODY, augmentations=EVERYBODYS, study=study).days()[("L2", "adjacent")] == 70


def test_a_vertebra_treated_before_the_registry_began_is_treated_on_every_day(cohort_of):
    case = cohort_of(
        patients="""
            patient_id | follow_up_end | enrolled_on
            a          | 100           | 20""",
        augmentations="""
            patient_id | date | date_precision | level
            a          |      | before_index   | L1
            a          | 60   |                | L2""",
    )
    assert case.days()[("L1", "treated")] == 80
    assert (case.days()[("L2", "adjacent")], case.days()[("L2", "treated")]) == (40, 40)


SEEN = """
    patient_id | date | level | onset_unproven
    a          | 10   | L2    | yes
    a          | 20   | T12   | no"""


def test_sightings_of_unproven_onset_are_events_unless_the_study_says_otherwise(cohort_of):
    case = cohort_of(patients=ONE, augmentations=L1, sightings=SEEN)
    assert case.events() == {("T12", "adjacent"): 1, ("L2", "adjacent"): 1}
    strict = StudyDefinition().with_("at_risk", count_unproven=False)
    without = cohort_of(patients=ONE, augmentations=L1, sightings=SEEN, study=strict)
    assert without.events() == {("T12", "adjacent"): 1}
    assert without.days() == case.days()  # still kept: the vertebra heals all the same
    assert without.by_patient()["unproven_events"].sum() == 1


def test_remote_days_within_three_levels_of_a_treated_one(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings="""
            patient_id | date | level
            a          | 100  | L4
            a          | 100  | L5
            a          | 100  | L2""",
    )
    near = case.days(remote_within=3)
    assert {level for level, role in near if role == "remote"} == {"T10", "T11", "L3", "L4"}
    assert case.events(remote_within=3) == {("L4", "remote"): 1, ("L2", "adjacent"): 1}
    assert near[("L1", "treated")] == 100


def test_remote_days_of_levels_that_were_imaged_during_follow_up(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations=L1,
        sightings="""
            patient_id | date | level
            a          | 100  | T10
            a          | 100  | T5""",
        imaging="""
            patient_id | date | level
            a          | 40   | L5
            a          | 0    | T7
            a          | 101  | T8""",
        imaging_studies="""
            patient_id | date | first_level | last_level
            a          | 30   | T10         | L3
            a          | 30   | T4          |""",
    )
    imaged = case.days(remote_imaged=True)
    assert {level for level, role in imaged if role == "remote"} == {"T10", "T11", "L3", "L5"}
    assert imaged[("L2", "adjacent")] == 100
    assert case.events(remote_imaged=True) == {("T10", "remote"): 1}


def test_days_on_which_only_kind_new_could_count_are_told_apart(cohort_of):
    case = cohort_of(
        patients="""
            patient_id | follow_up_end
            a          | 200""",
        augmentations="""
            patient_id | date | level
            a          | 0    | L1
            a          | 150  | T5""",
        sightings="""
            patient_id | date | level | counted | kept | kind_judged
            a          | 10   | L2    | yes     | yes  | unjudged
            a          | 30   | T5    | no      | no   | old
            a          | 40   | L1    | no      | no   | old""",
    )
    healed = case.by_patient().set_index(["level", "role"])["healed_days"]
    assert healed[("L2", "adjacent")] == 100  # healed on day 100, followed to 200
    assert healed[("T5", "remote")] == 120  # old from day 30 until augmented on 150
    assert healed[("T5", "treated")] == 0
    assert healed[("L1", "treated")] == 0  # an old at a treated level makes nothing a repeat
    assert healed.sum() == 220


def test_rows_by_patient_add_up_to_the_whole(cohort_of):
    case = cohort_of(patients=EVERYBODY, augmentations=EVERYBODYS)
    summed = case.by_patient().groupby(["level", "role"], observed=True)[["vertebra_days", "events"]].sum()
    assert summed.reset_index().equals(case.person_time())
    assert case.by_patient()["patient_id"].drop_duplicates().tolist() == ["usual", "tumour"]


@pytest.mark.parametrize(
    "patients",
    [
        "patient_id | follow_up_end",
        "patient_id | follow_up_end\n a | 0",
        "patient_id | follow_up_end\n a | -5",
        "patient_id | follow_up_end | death_date\n a | 100 | 0",
    ],
)
def test_nobody_at_risk_gives_an_empty_table(cohort_of, patients):
    case = cohort_of(patients=patients, augmentations=L1 if "\n" in patients else "patient_id")
    assert len(case.person_time()) == 0
    assert len(case.by_patient()) == 0
