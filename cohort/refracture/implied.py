"""A later augmentation for fracture is evidence of a fracture, even where nobody listed one."""

from __future__ import annotations

import numpy as np

from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER, IntArray
from cohort.domain.treated import key_of, pack
from cohort.refracture.staged import Recorded
from cohort.refracture.treated import FOR_FRACTURE, Treatments


def implied_by(treated: Treatments, begun: IntArray, recorded: Recorded, *, enrolled_on: IntArray) -> IntArray:
    """Rows of `treated` that imply a fracture of their level, found on their day.

    begun : day *p* of staged treatment, MISSING where not staged. enrolled_on : one day per patient, or MISSING.
    The augmentation is for fracture, is not staged, and follows a dated session of the patient (else, where a vertebra
    was treated before the registry began, enrolment); `fractures` has no sighting of the level since that day.
    """
    n_patients = len(enrolled_on)
    patient, day = treated.patient, treated.day
    since = np.full(len(day), NEVER, dtype=np.int64)

    long_treated = np.zeros(n_patients, dtype=bool)
    long_treated[patient[~treated.dated]] = True
    enrolled = enrolled_on[patient]
    counts_from_enrolment = long_treated[patient] & (enrolled != MISSING) & (enrolled < day)
    since[counts_from_enrolment] = enrolled[counts_from_enrolment]

    session_patient, session_day = treated.history.sessions()
    if len(session_day):
        before = np.searchsorted(pack(session_patient, session_day), pack(patient, day)) - 1
        earlier = (before >= 0) & (session_patient[before] == patient)
        since = np.where(earlier, session_day[before], since)

    candidate = (day != BEFORE_INDEX) & (treated.indication == FOR_FRACTURE) & (begun == MISSING) & (since < day)
    rows = np.flatnonzero(candidate)
    key = key_of(patient[rows], treated.place[rows])
    seen = np.sort(pack(key_of(recorded.patient, recorded.place), recorded.day))
    listed = np.searchsorted(seen, pack(key, day[rows]), side="right") - np.searchsorted(
        seen, pack(key, since[rows]), side="right"
    )
    return rows[listed == 0].astype(np.int64)
