"""The spine as bits: neighbours follow the patient's own row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.domain import spine

SPINES = [(t, n) for t in (11, 12, 13) for n in (4, 5, 6)]


def at(label: str, thoracic: int = 12, lumbar: int = 5) -> int:
    return int(spine.position(np.array([spine.CODE[label]]), np.array([thoracic]), np.array([lumbar]))[0])


@pytest.mark.parametrize(
    ("upper", "lower", "thoracic", "lumbar"),
    [
        ("T12", "L1", 12, 5),
        ("T11", "L1", 11, 5),
        ("T13", "L1", 13, 5),
        ("T12", "T13", 13, 5),
        ("L5", "S1", 12, 5),
        ("L4", "S1", 12, 4),
        ("L6", "S1", 12, 6),
        ("C7", "T1", 12, 5),
    ],
)
def test_neighbours_follow_the_patients_own_row(upper, lower, thoracic, lumbar):
    assert at(lower, thoracic, lumbar) - at(upper, thoracic, lumbar) == 1


@pytest.mark.parametrize(
    ("label", "thoracic", "lumbar"), [("T13", 12, 5), ("T12", 11, 5), ("L6", 12, 5), ("L5", 12, 4)]
)
def test_a_level_the_patient_does_not_have_has_no_place(label, thoracic, lumbar):
    assert at(label, thoracic, lumbar) == -1


@pytest.mark.parametrize(("thoracic", "lumbar"), SPINES)
def test_position_and_code_are_inverse(thoracic, lumbar):
    places = np.arange(7 + thoracic + lumbar + 1)
    count = np.full(places.shape, 1)
    code = spine.code_at(places, count * thoracic, count * lumbar)
    assert (spine.position(code, count * thoracic, count * lumbar) == places).all()
    assert spine.LEVELS[code[-1]] == "S1"


masks = st.integers(min_value=0, max_value=2**25 - 1)


@given(masks, st.integers(0, 24))
def test_nearest_agrees_with_counting_on_fingers(mask, place):
    members = [k for k in range(25) if mask >> k & 1]
    distance, above, below = spine.nearest(np.array([mask]), np.array([place]))
    if not members:
        assert distance[0] == spine.NO_DISTANCE
        return
    nearest = min(abs(k - place) for k in members)
    assert distance[0] == nearest
    assert above[0] == (nearest > 0 and place - nearest in members)
    assert below[0] == (nearest > 0 and place + nearest in members)


@given(masks, st.integers(1, 4))
def test_neighbours_are_within_reach_and_untreated(mask, reach):
    row = int(spine.row_mask(np.array([12]), np.array([5]))[0])
    near = int(spine.neighbours(np.array([mask & row]), np.array([row]), reach)[0])
    members = [k for k in range(25) if mask >> k & 1]
    for k in range(25):
        expected = k not in members and any(abs(k - m) <= reach for m in members)
        assert bool(near >> k & 1) == expected


@given(masks)
def test_a_wider_reach_never_loses_a_neighbour(mask):
    row = spine.row_mask(np.array([12]), np.array([5]))
    one = spine.neighbours(np.array([mask]) & row, row, 1)
    two = spine.neighbours(np.array([mask]) & row, row, 2)
    assert (one & ~two == 0).all()


def test_a_range_mask_holds_its_ends_and_an_inverted_range_is_empty():
    assert spine.range_mask(np.array([2, 5]), np.array([4, 4])).tolist() == [0b11100, 0]
