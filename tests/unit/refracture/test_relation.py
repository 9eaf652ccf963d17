# ruff: noqa: E501 (tables of cases are wider than code)
"""Where a fracture lies among the vertebrae treated before it (section 4)."""

import numpy as np
import pytest

from cohort.domain import spine
from cohort.refracture.relation import relation

THE_NEAREST_TREATED_VERTEBRA_DECIDES = """
treated    | fracture | relation | distance | side    | sandwiched | to    | why
L1         | L1       | same     | 0        |         | no         | L1@0  | the treated level itself
L1         | L2       | adjacent | 1        | caudal  | no         | L1@0  | next below
L1         | T12      | adjacent | 1        | cranial | no         | L1@0  | next above, across the thoracolumbar junction
T12        | L2       | remote   | 2        | caudal  | no         | T12@0 | next but one
L4         | T5       | remote   | 11       | cranial | no         | L4@0  | far above
T12,L2     | L1       | adjacent | 1        | both    | yes        | L2@0  | sandwiched; of two as near and as late the more caudal
T12,L1,L2  | L1       | same     | 0        |         | no         | L1@0  | a re-collapse between two treated neighbours stays same
T11,L3     | L1       | remote   | 2        | both    | no         | L3@0  | as near to one above as to one below
T10,L2     | L1       | adjacent | 1        | cranial | no         | L2@0  | the nearer of two decides
S1         | L5       | adjacent | 1        | cranial | no         | S1@0  | cement in S1 makes L5 adjacent
L4,S1      | L5       | adjacent | 1        | both    | yes        | S1@0  | and sandwiches it
C7         | T1       | adjacent | 1        | caudal  | no         | C7@0  | a cemented level outside the range at risk has neighbours
"""


def test_the_nearest_treated_vertebra_decides(case, classified):
    treats = "\n".join(f"0 treat {level}" for level in case.treated.split(","))
    row = classified(f"patient a\n{treats}\n100 fracture {case.fracture} id=f")["f"]
    assert row.relation == case.relation
    assert row.distance == int(case.distance)
    assert (row.side, row.sandwiched, row.augmentation_id) == (case.side, case.sandwiched, case.to)
    assert row.days_since == 100


NEIGHBOURS_FOLLOW_THE_PATIENTS_OWN_ROW = """
spine         | treated | fracture | relation | distance | why
n_thoracic=13 | T12     | L1       | remote   | 2        | T13 lies between T12 and L1
n_thoracic=13 | T12     | T13      | adjacent | 1        | T13 is next to T12
n_thoracic=13 | T13     | L1       | adjacent | 1        | and to L1
n_thoracic=11 | T11     | L1       | adjacent | 1        | without T12, L1 follows T11
n_thoracic=11 | T10     | L1       | remote   | 2        | next but one
n_lumbar=6    | L5      | S1       | remote   | 2        | L6 lies between L5 and S1
n_lumbar=6    | L5      | L6       | adjacent | 1        | L6 is next to L5
n_lumbar=4    | S1      | L4       | adjacent | 1        | four lumbar vertebrae put S1 next to L4
              | S1      | L4       | remote   | 2        | in the usual row they are two apart
"""


def test_neighbours_follow_the_patients_own_row(case, classified):
    row = classified(f"patient a {case.spine}\n0 treat {case.treated}\n100 fracture {case.fracture} id=f")["f"]
    assert (row.relation, row.distance) == (case.relation, int(case.distance))


def test_sandwiched_in_the_patients_own_row(classified):
    row = classified(
        """
        patient a n_thoracic=13
        0 treat T12
        0 treat L1
        9 fracture T13
        """
    )["T13@9"]
    assert (row.relation, row.sandwiched) == ("adjacent", "yes")


def test_a_wider_reach_makes_remote_adjacent_and_leaves_sandwiched_alone(classified):
    cohort = """
        patient a
        0 treat L1
        9 fracture L3
        9 fracture T10
    """
    wide = classified(cohort, relation={"reach": 2})
    assert [wide[f].relation for f in ("L3@9", "T10@9")] == ["adjacent", "remote"]
    assert wide["L3@9"].sandwiched == "no"
    assert classified(cohort)["L3@9"].relation == "remote"


def test_before_treatment_everything_but_the_relation_is_empty(classified):
    row = classified("patient a\n-5 fracture L1\n0 treat L1")["L1@-5"]
    assert row.relation == "before_treatment"
    assert (row.distance, row.side, row.sandwiched, row.augmentation_id, row.treated_for, row.days_since) == ("",) * 6
    assert row.not_counted_because == "before_treatment"


def test_an_augmentation_treats_what_was_found_up_to_its_day(classified):
    found = classified(
        """
        patient a
        0 treat L1
        0 fracture L1
        0 fracture L2
        1 fracture L3
        """
    )
    assert [found[f].relation for f in ("L1@0", "L2@0", "L3@1")] == ["before_treatment", "before_treatment", "remote"]


ATTRIBUTION = """
history                                     | fracture | to      | days | why
0 treat T12; 50 treat L2                    | L1       | L2@50   | 50   | of two as near the latest
50 treat T12; 0 treat L2                    | L1       | T12@50  | 50   | the latest, though it is the more cranial
0 treat L1; 90 treat L4                     | L2       | L1@0    | 100  | the nearest, though another is later
0 treat L1; 50 treat L1                     | L1       | L1@50   | 50   | the latest of the level itself
before treat L2; 0 treat T12                | L1       | T12@0   | 100  | without a date ranks as the earliest
before treat L2; before treat T12           | L1       | L2@before |    | both without a date: the more caudal
before treat L2                             | L2       | L2@before |    | no date, no days since
0 treat L1; 100 treat L1                    | L1       | L1@0    | 100  | not the one of the day itself
"""


def test_attribution(case, classified):
    row = classified(f"patient a\n{case.history.replace(';', chr(10))}\n100 fracture {case.fracture} id=f")["f"]
    assert row.augmentation_id == case.to
    assert row.days_since == (int(case.days) if case.days else "")


TREATED_FOR = """
indication              | fracture | treated_for  | why
                        | L1       | fracture     | a missing indication is a fracture
indication=prophylactic | L1       | prophylactic | the indication of that augmentation
indication=tumour       | L1       | tumour       | also for tumour
indication=tumour       | L2       |              | only for the same level
"""


def test_treated_for(case, classified):
    row = classified(f"patient a\n0 treat L1 {case.indication}\n100 fracture {case.fracture} id=f")["f"]
    assert row.treated_for == case.treated_for


THE_EARLIEST_RELATION_IS_THAT_OF_THE_DAY_AFTER_THE_LAST_CLEAR_FILM = """
clear   | earliest         | why
        |                  | no clear film
clear=0 | remote           | clear on the day of the first procedure, broken the day after at the earliest
clear=-1| before_treatment | clear the day before
clear=49| remote           | an augmentation of the day after treats what was found up to it
clear=50| adjacent         | clear on the day of the second
"""


def test_the_earliest_relation_is_that_of_the_day_after_the_last_clear_film(case, classified):
    row = classified(f"patient a\n0 treat T6\n50 treat L2\n100 fracture L1 id=f {case.clear}")["f"]
    assert row.relation == "adjacent"
    assert row.relation_earliest == case.earliest


def test_reach_is_a_distance_in_levels():
    distance = np.array([0, 1, 2, 3, spine.NO_DISTANCE])
    assert relation(distance, reach=2).tolist() == [1, 2, 2, 3, 0]


@pytest.mark.parametrize(("n_thoracic", "n_lumbar"), [(11, 4), (12, 5), (13, 6), (13, 4)])
def test_the_relation_is_symmetric_in_the_spine(classified, n_thoracic, n_lumbar):
    # Treating the next but one above is as remote as treating the next but one below.
    last = f"L{n_lumbar - 2}"
    spine_of = f"n_thoracic={n_thoracic} n_lumbar={n_lumbar}"
    up = classified(f"patient a {spine_of}\n0 treat L{n_lumbar}\n9 fracture {last} id=f")["f"]
    down = classified(f"patient a {spine_of}\n0 treat {last}\n9 fracture L{n_lumbar} id=f")["f"]
    assert (up.relation, up.distance, up.side) == ("remote", 2, "cranial")
    assert (down.relation, down.distance, down.side) == ("remote", 2, "caudal")
