"""Two rows of one level and day are one treated vertebra."""

import pytest


def test_the_row_whose_id_sorts_first_as_text_stands_for_the_vertebra(classified):
    found = classified(
        """
        patient a
        0 treat L1 id=k9 indication=tumour
        0 treat L1 id=k10 indication=prophylactic   # k10 sorts before k9 as text
        50 fracture L1
        """
    )
    assert found.augmentations["augmentation_id"].tolist() == ["k10"]
    assert (found["L1@50"].augmentation_id, found["L1@50"].treated_for) == ("k10", "prophylactic")


def test_two_rows_without_a_date_are_one_too(classified):
    found = classified(
        """
        patient a
        before treat L1 id=b
        before treat L1 id=a
        0 treat L1 id=c
        """
    )
    assert found.augmentations["augmentation_id"].tolist() == ["a", "c"]


def test_augmentations_come_in_order_of_patient_date_and_spine(classified):
    found = classified(
        """
        patient b
        0 treat L1 id=3
        patient a10
        5 treat L2 id=2
        5 treat T12 id=1
        before treat L4 id=0
        """
    )
    assert found.augmentations["augmentation_id"].tolist() == ["0", "1", "2", "3"]
    assert found.augmentations.columns[-2:].tolist() == ["staged_from", "retreats"]


RETREATS = """
first                          | second                              | retreats | why
0 treat L1                     | 100 treat L1                        | yes      | a treated level, treated again
0 treat L1                     | 100 treat L1 indication=fracture    | yes      | for fracture
0 treat L1                     | 100 treat L1 indication=prophylactic| no       | not for a fracture
0 treat L1                     | 100 treat L2                        | no       | another level
before treat L1                | 100 treat L1                        | yes      | treated before the registry began
0 treat L1                     | 10 treat L1                         | no       | staged
0 treat L1 indication=tumour   | 100 treat L1                        | yes      | whatever it was treated for first
"""


def test_retreats(case, classified):
    found = classified(f"patient a\n{case.first}\n{case.second} id=k")
    assert found.treatment("k").retreats == case.retreats


@pytest.mark.parametrize("tier", ["clinical", "retreated"])
def test_the_tier_of_retreatment_leaves_the_sightings_alone(classified, tier):
    found = classified("patient a\n0 treat L1\n100 treat L1\n100 fracture L1", judgement={"tier": tier})
    assert found.reasons() == {"L1@100": "counted"}
