"""Whose findings count where they are not the vertebra's own: three settings, each beside its default."""

from __future__ import annotations

import pandas as pd
import pytest

from cohort.domain.study import StudyDefinition

ONE = """
    patient_id | follow_up_end
    a          | 100"""


def value(cohort_of, augmentations, role, level, column, *, reach=1, **settings):
    """The values of a column on the rows of one vertebra, '-' where missing."""
    study = StudyDefinition().with_("exposures", **settings).with_("relation", reach=reach)
    rows = cohort_of(patients=ONE, augmentations=augmentations, study=study).vertebrae(role)
    rows = rows[rows["level"] == level].sort_values("entry")
    return ["-" if pd.isna(v) else v for v in rows[column]]


HEIGHTS = "anterior_mm_before | anterior_mm_after | anterior_mm_reference"
# T12, the neighbour of L1, has no cleft and a leak away from L1; L5, far below, has a cleft and a leak.
NEAR_AND_FAR = f"""
    patient_id | date | level | cleft_before | leak          | {HEIGHTS}
    a          | 0    | T12   | no           | disc_superior | 10                 | 12                | 20
    a          | 0    | L5    | yes          | disc          | 10                 | 18                | 20"""


@pytest.mark.parametrize(
    ("whose", "cleft", "leak", "restoration"),
    [
        ("neighbour", "no", "no", 0.2),  # its treated neighbour's, and a leak only into the disc between
        ("any_so_far", "yes", "yes", 0.8),  # the worst and the greatest of all, a leak into any disc
    ],
)
def test_whose_findings_an_adjacent_vertebra_has(cohort_of, whose, cleft, leak, restoration):
    def of_l1(column):
        return value(cohort_of, NEAR_AND_FAR, "adjacent", "L1", column, adjacent_whose=whose)

    assert of_l1("cleft") == [cleft]
    assert of_l1("leak") == [leak]
    assert of_l1("height_restoration") == [pytest.approx(restoration)]
    assert of_l1("n_treated_neighbours") == [1]


def test_any_so_far_changes_with_time_in_adjacent_vertebrae_too(cohort_of):
    augmentations = """
        patient_id | date | level | cleft_before
        a          | 0    | T12   | no
        a          | 40   | L5    | yes"""
    assert value(cohort_of, augmentations, "adjacent", "L1", "cleft", adjacent_whose="any_so_far") == ["no", "yes"]
    assert value(cohort_of, augmentations, "adjacent", "L1", "cleft") == ["no", "no"]


def test_any_so_far_does_not_know_where_one_is_missing(cohort_of):
    augmentations = """
        patient_id | date | level | cleft_before
        a          | 0    | T12   | no
        a          | 0    | L5    |"""
    assert value(cohort_of, augmentations, "adjacent", "L1", "cleft", adjacent_whose="any_so_far") == ["-"]
    assert value(cohort_of, augmentations, "adjacent", "L1", "cleft") == ["no"]


@pytest.mark.parametrize(
    ("whose", "level", "cleft", "leak", "restoration"),
    [
        ("any_so_far", "T8", "yes", "yes", 0.8),
        ("attributed", "T8", "no", "yes", 0.2),  # T12 is nearer; its leak into any disc
        ("attributed", "L3", "yes", "yes", 0.8),  # L5 is nearer
    ],
)
def test_whose_findings_a_remote_vertebra_has(cohort_of, whose, level, cleft, leak, restoration):
    def of_level(column):
        return value(cohort_of, NEAR_AND_FAR, "remote", level, column, remote_whose=whose)

    assert of_level("cleft") == [cleft]
    assert of_level("leak") == [leak]
    assert of_level("height_restoration") == [pytest.approx(restoration)]


ATTRIBUTION = [
    # T9 lies as near to T12 as to T6.
    ("0 | 0", ["no"], "of two as near and as late the more caudal"),
    ("40 | 0", ["no", "yes"], "of two as near the later"),
    ("0 | 40", ["yes", "no"], "before its treatment nothing is attributed to it"),
]


@pytest.mark.parametrize(("dates", "expected", "why"), ATTRIBUTION)
def test_a_remote_vertebra_may_have_those_of_the_augmentation_a_fracture_would_be_attributed_to(
    cohort_of, dates, expected, why
):
    cranial, caudal = (date.strip() for date in dates.split("|"))
    augmentations = f"""
        patient_id | date | level | cleft_before
        a          | {cranial} | T6  | yes
        a          | {caudal}  | T12 | no"""
    assert value(cohort_of, augmentations, "remote", "T9", "cleft", remote_whose="attributed") == expected, why


def test_a_level_treated_again_has_its_latest_findings(cohort_of):
    augmentations = """
        patient_id | date | level | cleft_before
        a          | 0    | T12   | yes
        a          | 40   | T12   | no"""
    assert value(cohort_of, augmentations, "remote", "T8", "cleft", remote_whose="attributed") == ["yes", "no"]
    assert value(cohort_of, augmentations, "remote", "T8", "cleft") == ["yes", "yes"]
    assert value(cohort_of, augmentations, "adjacent", "L1", "cleft", two_neighbours="attributed") == ["yes", "no"]


BETWEEN = f"""
    patient_id | date        | level | cleft_before | leak          | {HEIGHTS}
    a          | {{cranial}} | T12   | yes          | disc_inferior | 10                 | 18                | 20
    a          | {{caudal}}  | L2    | no           | none          | 10                 | 12                | 20"""


@pytest.mark.parametrize(
    ("setting", "cranial", "caudal", "cleft", "leak", "restoration", "why"),
    [
        ("worse", 0, 0, ["yes"], ["yes"], [0.8], "the worse of two"),
        ("attributed", 0, 0, ["no"], ["no"], [0.2], "of two as near and as late the more caudal"),
        ("attributed", 40, 0, ["no", "yes"], ["no", "yes"], [0.2, 0.8], "the later"),
        ("attributed", 0, 40, ["yes", "no"], ["yes", "no"], [0.8, 0.2], "the later"),
        ("worse", 0, 40, ["yes", "yes"], ["yes", "yes"], [0.8, 0.8], "the worse, whichever came first"),
    ],
)
def test_which_of_two_treated_neighbours_counts(cohort_of, setting, cranial, caudal, cleft, leak, restoration, why):
    augmentations = BETWEEN.format(cranial=cranial, caudal=caudal)

    def of_l1(column):
        return value(cohort_of, augmentations, "adjacent", "L1", column, two_neighbours=setting)

    assert of_l1("cleft") == cleft, why
    assert of_l1("leak") == leak, why
    assert of_l1("height_restoration") == pytest.approx(restoration), why
    assert of_l1("n_treated_neighbours")[-1] == 2  # their number stays that of both


def test_with_a_wider_reach_the_nearer_of_two_neighbours_is_attributed(cohort_of):
    augmentations = """
        patient_id | date | level | cleft_before
        a          | 0    | T12   | no
        a          | 0    | L3    | yes"""
    of_l1 = (cohort_of, augmentations, "adjacent", "L1", "cleft")
    assert value(*of_l1, reach=2, two_neighbours="worse") == ["yes"]
    assert value(*of_l1, reach=2, two_neighbours="attributed") == ["no"]  # T12, one level away


def test_a_leak_of_unknown_side_stays_unknown_for_the_neighbour_it_is_attributed_to(cohort_of):
    augmentations = """
        patient_id | date | level | leak
        a          | 0    | T12   | disc_inferior
        a          | 0    | L2    | disc"""
    assert value(cohort_of, augmentations, "adjacent", "L1", "leak") == ["yes"]
    assert value(cohort_of, augmentations, "adjacent", "L1", "leak", two_neighbours="attributed") == ["-"]


@pytest.mark.parametrize(
    "setting", [{"adjacent_whose": "any_so_far"}, {"remote_whose": "attributed"}, {"two_neighbours": "attributed"}]
)
def test_a_treated_vertebra_has_its_own_findings_under_every_setting(cohort_of, setting):
    assert value(cohort_of, NEAR_AND_FAR, "treated", "T12", "cleft", **setting) == ["no"]
    assert value(cohort_of, NEAR_AND_FAR, "treated", "L5", "cleft", **setting) == ["yes"]
