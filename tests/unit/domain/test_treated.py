"""The treated set grows session by session; a day sees only what came before it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cohort.domain.clock import BEFORE_INDEX
from cohort.domain.treated import TreatedHistory

rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.sampled_from([BEFORE_INDEX, 0, 1, 2, 3, 4, 5])),
    unique=True,
    max_size=25,
)


def history(augmentations):
    columns = np.array(augmentations, dtype=np.int64).reshape(-1, 3).T
    n = columns.shape[1]
    return TreatedHistory.of(columns[0], columns[1], columns[2], np.zeros(n, np.int64), np.arange(n))


@given(rows, st.integers(0, 4), st.integers(-1, 7))
def test_the_treated_set_is_what_was_augmented_strictly_before(augmentations, patient, day):
    mask = history(augmentations).mask_before(np.array([patient]), np.array([day]))[0]
    expected = {place for who, place, when in augmentations if who == patient and when < day}
    assert {k for k in range(7) if mask >> k & 1} == expected


@given(rows, st.integers(0, 3), st.integers(0, 6), st.integers(-1, 7))
def test_the_latest_augmentation_of_a_vertebra_is_found(augmentations, patient, place, day):
    treated = history(augmentations)
    index = treated.latest(np.array([patient]), np.array([place]), np.array([day]))[0]
    days = [when for who, where, when in augmentations if (who, where) == (patient, place) and when < day]
    if not days:
        assert index == -1
    else:
        assert (treated.patient[index], treated.place[index], treated.day[index]) == (patient, place, max(days))


@given(rows)
def test_sessions_are_the_dated_days_of_each_patient(augmentations):
    patient, day = history(augmentations).sessions()
    expected = sorted({(who, when) for who, _, when in augmentations if when != BEFORE_INDEX})
    assert list(zip(patient.tolist(), day.tolist(), strict=True)) == expected
