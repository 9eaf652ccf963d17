"""Whose cleft, leak or restoration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.atrisk.exposures import height_restoration, nearest_above, nearest_below
from cohort.domain import spine
from cohort.domain.study import StudyDefinition

ONE = """
    patient_id | follow_up_end
    a          | 100"""


def value(case, role, level, column):
    """The value of a column on each row of one vertebra, '-' where missing."""
    rows = case.vertebrae(role)
    rows = rows[rows["level"] == level].sort_values("entry")
    return ["-" if pd.isna(v) else v for v in rows[column]]


def test_a_treated_vertebra_has_its_own_latest_augmentations(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | cleft_before   | leak         | technique      | volume_ml
            a          | 0    | L1    | yes            | disc;venous  | vertebroplasty | 4
            a          | 60   | L1    | not_assessable | paravertebral| kyphoplasty    | 5
            a          | 0    | L2    |                |              |                |""",
    )
    assert value(case, "treated", "L1", "cleft") == ["yes", "not_assessable"]
    assert value(case, "treated", "L1", "leak") == ["yes", "no"]
    assert value(case, "treated", "L1", "technique") == ["vertebroplasty", "kyphoplasty"]
    assert value(case, "treated", "L1", "volume_ml") == [4.0, 5.0]
    assert value(case, "treated", "L2", "cleft") == value(case, "treated", "L2", "leak") == ["-", "-"]


@pytest.mark.parametrize(
    ("leak", "above", "below"),
    [
        ("disc_superior", "yes", "no"),
        ("disc_inferior;venous", "no", "yes"),
        ("disc_inferior;disc_superior", "yes", "yes"),
        ("disc", "-", "-"),
        ("disc;disc_superior", "yes", "no"),
        ("epidural", "no", "no"),
        ("none", "no", "no"),
        ("", "-", "-"),
    ],
)
def test_an_adjacent_vertebra_has_a_leak_only_into_the_disc_between(cohort_of, leak, above, below):
    case = cohort_of(
        patients=ONE,
        augmentations=f"""
            patient_id | date | level | leak
            a          | 0    | L1    | {leak}""",
    )
    assert value(case, "adjacent", "T12", "leak") == [above]
    assert value(case, "adjacent", "L2", "leak") == [below]


TWO_NEIGHBOURS = """
    above          | below          | worse          | why
    yes            | no             | yes            | the worse
    yes            | not_assessable | yes            | yes wins
                   | yes            | yes            | yes wins
    no             | not_assessable | not_assessable | the other may have had one
    no             |                | -              | the other may have had one
    not_assessable |                | not_assessable | looked at, could not be told
    no             | no             | no             | neither had one
"""


def test_of_two_treated_neighbours_the_worse_counts(cohort_of):
    for line in TWO_NEIGHBOURS.strip().splitlines()[1:]:
        above, below, worse, why = (cell.strip() for cell in line.split("|"))
        case = cohort_of(
            patients=ONE,
            augmentations=f"""
                patient_id | date | level | cleft_before
                a          | 0    | T12   | {above}
                a          | 0    | L2    | {below}""",
        )
        assert value(case, "adjacent", "L1", "cleft") == [worse], why
        assert value(case, "adjacent", "L1", "n_treated_neighbours") == [2]
        assert value(case, "adjacent", "T11", "n_treated_neighbours") == [1]
        assert value(case, "adjacent", "T11", "cleft") == [above or "-"]


def test_a_second_neighbour_counts_from_its_treatment_on(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | cleft_before | leak
            a          | 0    | T12   | no           | none
            a          | 30   | L2    | yes          | disc_superior""",
    )
    assert value(case, "adjacent", "L1", "cleft") == ["no", "yes"]
    assert value(case, "adjacent", "L1", "leak") == ["no", "yes"]
    assert value(case, "adjacent", "L1", "n_treated_neighbours") == [1, 2]
    # Remote vertebrae: any so far, changing with time.
    assert value(case, "remote", "T5", "cleft") == ["no", "yes"]
    assert value(case, "remote", "T5", "leak") == ["no", "yes"]


def test_remote_vertebrae_carry_the_worst_so_far(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | cleft_before | leak
            a          | 0    | L1    | no           | disc
            a          | 20   | L2    |              | none
            a          | 40   | L3    | yes          |
            a          | 60   | L4    | no           | venous""",
    )
    assert value(case, "remote", "T5", "cleft") == ["no", "-", "yes", "yes"]
    assert value(case, "remote", "T5", "leak") == ["yes"] * 4


HEIGHTS = """
    patient_id | date | level | anterior_mm_before | anterior_mm_after | anterior_mm_reference
    a          | 0    | T12   | 10                 | 15                | 20
    a          | 0    | L2    | 10                 | 12                | 20
    a          | 0    | T6    | 10                 | 12                |"""


def test_height_restoration_is_the_share_of_lost_height_won_back(cohort_of):
    case = cohort_of(patients=ONE, augmentations=HEIGHTS)
    assert value(case, "treated", "T12", "height_restoration") == [0.5]
    assert value(case, "adjacent", "L1", "height_restoration") == [0.5]  # the greater of 0.5 and 0.2
    assert value(case, "adjacent", "L3", "height_restoration") == [0.2]
    assert value(case, "adjacent", "T5", "height_restoration") == ["-"]
    assert value(case, "remote", "L5", "height_restoration") == ["-"]  # one of three is unknown


@pytest.mark.parametrize(
    ("before", "after", "reference", "share"),
    [(10, 15, 20, 0.5), (10, 8, 20, -0.2), (20, 22, 20, np.nan), (21, 22, 20, np.nan), (np.nan, 22, 25, np.nan)],
)
def test_nothing_can_be_restored_where_nothing_was_lost(before, after, reference, share):
    frame = pd.DataFrame(
        {"anterior_mm_before": [before], "anterior_mm_after": [after], "anterior_mm_reference": [reference]}
    )
    np.testing.assert_equal(height_restoration(frame), [share])


def test_cement_is_that_of_the_augmentation_a_fracture_would_be_attributed_to(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | cement   | volume_ml
            a          | 0    | T12   | pmma     | 1
            a          | 0    | L2    | bioactive| 2
            a          | 0    | T4    | other    | 3
            a          | 50   | T12   | other    | 4""",
    )
    # Between two as near: the latest date, then the more caudal.
    assert value(case, "adjacent", "L1", "cement") == ["bioactive", "other"]
    assert value(case, "adjacent", "L1", "volume_ml") == [2.0, 4.0]
    assert value(case, "remote", "T6", "cement") == ["other", "other"]
    assert value(case, "remote", "T8", "cement") == ["pmma", "other"]
    assert value(case, "remote", "L5", "volume_ml") == [2.0, 2.0]


def test_with_a_wider_reach_the_nearest_treated_vertebra_on_each_side_is_the_neighbour(cohort_of):
    case = cohort_of(
        patients=ONE,
        augmentations="""
            patient_id | date | level | cleft_before
            a          | 0    | T12   | no
            a          | 0    | L3    | yes""",
        study=StudyDefinition().with_("relation", reach=2),
    )
    assert value(case, "adjacent", "L1", "cleft") == ["yes"]
    assert value(case, "adjacent", "L1", "n_treated_neighbours") == [2]
    assert value(case, "adjacent", "T11", "cleft") == ["no"]


def test_nearest_members_agree_with_the_scan_of_the_spine():
    rng = np.random.default_rng(7)
    mask, place = rng.integers(0, 2**27, 500), rng.integers(0, 27, 500)
    place = place[~spine.holds(mask, place)][:200]
    mask = rng.integers(0, 2**27, 500)[: len(place)] & ~spine.bit(place)
    distance, above, below = spine.nearest(mask, place)
    up, down = nearest_above(mask, place), nearest_below(mask, place)
    assert ((up >= 0) & (place - up == distance)).tolist() == above.tolist()
    assert ((down >= 0) & (down - place == distance)).tolist() == below.tolist()
