"""Which vertebrae were looked at during follow-up, where the registry records it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.atrisk.members import Members, level_codes
from cohort.domain import spine
from cohort.domain.clock import IntArray, to_days


def imaged_levels(members: Members, tables: Mapping[str, pd.DataFrame]) -> IntArray:
    """Sets of vertebrae shown at least once in `(entry, exit]`, one per patient; empty where nothing is recorded.

    A study shows first_level to last_level; one that does not say what it showed shows nothing. A measured level was
    shown. Tables: imaging_studies and imaging.
    """
    shown = np.zeros(len(members), dtype=np.int64)
    for name, ends in (("imaging_studies", ("first_level", "last_level")), ("imaging", ("level", "level"))):
        frame = tables[name].dropna(subset=list(dict.fromkeys(ends)))
        patient = members.rows_of(frame, name)
        day = to_days(frame["date"])
        followed = (day > members.follow_up.entry[patient]) & (day <= members.follow_up.exit[patient])
        first, last = (members.places(patient, level_codes(frame[end]), name) for end in ends)
        np.bitwise_or.at(shown, patient[followed], spine.range_mask(first, last)[followed])
    return shown
