"""Entry is the later of enrolment and first treatment; exit the earlier of death and the end of follow-up."""

import numpy as np
import pytest

from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER
from cohort.domain.follow_up import follow_up

NONE = MISSING
CASES = [
    # enrolled, end, death, [(day, S1?)], entry, exit, origin, why
    (NONE, 100, NONE, [(10, False)], 10, 100, 10, "entry is the first augmentation"),
    (30, 100, NONE, [(10, False)], 30, 100, 10, "enrolled later: delayed entry, the origin stays"),
    (5, 100, NONE, [(10, False)], 10, 100, 10, "enrolled before treatment: entry is the treatment"),
    (NONE, 100, 60, [(10, False), (20, False)], 10, 60, 10, "death ends it"),
    (NONE, 100, 120, [(10, False)], 10, 100, 10, "a death after the end of follow-up does not lengthen it"),
    (NONE, 100, NONE, [(10, True), (20, False)], 20, 100, 20, "cement in S1 never starts follow-up"),
    (NONE, 100, NONE, [(10, True)], NEVER, 100, NONE, "only S1: no follow-up"),
    (40, 100, NONE, [(BEFORE_INDEX, False), (60, False)], 40, 100, NONE, "before_index: entry is enrolment"),
    (NONE, 100, NONE, [(BEFORE_INDEX, False), (60, False)], 60, 100, NONE, "and only without it the first date"),
    (NONE, 100, NONE, [(BEFORE_INDEX, False)], NEVER, 100, NONE, "before_index and neither date: no follow-up"),
    (40, 100, NONE, [(BEFORE_INDEX, True), (60, False)], 60, 100, 60, "an undated S1 leaves the rest as it is"),
    (40, 100, NONE, [], NEVER, 100, NONE, "never augmented: no follow-up"),
]


@pytest.mark.parametrize(("enrolled", "end", "death", "treated", "entry", "exit_", "origin", "why"), CASES)
def test_entry_exit_and_origin(enrolled, end, death, treated, entry, exit_, origin, why):
    result = follow_up(
        enrolled_on=np.array([enrolled]),
        follow_up_end=np.array([end]),
        death=np.array([death]),
        patient=np.zeros(len(treated), dtype=np.int64),
        day=np.array([day for day, _ in treated], dtype=np.int64),
        is_sacrum=np.array([sacrum for _, sacrum in treated], dtype=bool),
    )
    assert (result.entry[0], result.exit[0], result.origin[0]) == (entry, exit_, origin), why
