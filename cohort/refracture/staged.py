"""A second session that finishes what the first began treats no new fracture: staged treatment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain import outcomes, spine
from cohort.domain.clock import MISSING, BoolArray, IntArray
from cohort.domain.treated import pack
from cohort.refracture.treated import FOR_FRACTURE, Treatments

_NEW = outcomes.KINDS.index("new")
_SETTLING = outcomes.KINDS.index("settling")
_JUDGED_A_FRACTURE = (_NEW, outcomes.KINDS.index("progression"), outcomes.KINDS.index("occult"))


@dataclass(frozen=True)
class Recorded:
    """Rows of `fractures`, as recorded: int64 arrays of shape (n,).

    last_clear is MISSING and kind (the code in `outcomes.KINDS`) is -1 where the registry says nothing.
    """

    patient: IntArray
    place: IntArray
    day: IntArray
    last_clear: IntArray
    kind: IntArray


def staged_from(treated: Treatments, recorded: Recorded, *, staged_days: int) -> IntArray:
    """Day *p* of the session that each augmentation finishes, MISSING where it is not staged.

    An untreated level is staged from the patient's earliest session in the `staged_days` before; a treated one from its
    own latest augmentation, if in those days. A sighting in between that proves a fracture after *p* undoes it:
    the level was clear on *p* or later, or the registry calls the fracture new.
    """
    history, day = treated.history, treated.day
    eligible = treated.dated & (treated.indication == FOR_FRACTURE)
    was_treated = spine.holds(history.mask_before(treated.patient, day), treated.place)

    session_patient, session_day = history.sessions()
    begun = np.full(len(day), MISSING, dtype=np.int64)
    if len(session_day):
        earliest = np.searchsorted(pack(session_patient, session_day), pack(treated.patient, day - staged_days))
        earliest = np.minimum(earliest, len(session_day) - 1)
        begun = np.where(session_patient[earliest] == treated.patient, session_day[earliest], MISSING)
    own = history.latest(treated.patient, treated.place, day)
    begun = np.where(was_treated, np.where(own >= 0, day[own] if len(day) else MISSING, MISSING), begun)
    begun = np.where(eligible & (begun >= day - staged_days) & (begun < day), begun, MISSING)

    proven = _proves_a_fracture(treated, recorded, begun, was_treated)
    begun[proven] = MISSING
    return begun


def in_staged_window(
    treated: Treatments, begun: IntArray, patient: IntArray, place: IntArray, day: IntArray
) -> BoolArray:
    """Whether each vertebra was awaiting the second of two staged sessions: *p* < day <= the session that treats it."""
    coming = treated.history.first_from(patient, place, day)
    if not len(begun):
        return np.zeros(len(day), dtype=bool)
    waits_from = begun[coming]
    result: BoolArray = (coming >= 0) & (waits_from != MISSING) & (waits_from < day)
    return result


def retreats(treated: Treatments, begun: IntArray) -> BoolArray:
    """Augmentations of a level already treated, for fracture or no stated reason, that are not staged."""
    was_treated = spine.holds(treated.history.mask_before(treated.patient, treated.day), treated.place)
    result: BoolArray = was_treated & (treated.indication == FOR_FRACTURE) & (begun == MISSING)
    return result


def _proves_a_fracture(treated: Treatments, recorded: Recorded, begun: IntArray, was_treated: BoolArray) -> BoolArray:
    """Augmentations between whose *p* and day a recorded sighting shows a fracture that *p* did not leave behind."""
    proven = np.zeros(len(begun), dtype=bool)
    if not len(begun) or not len(recorded.day):
        return proven
    # Staged windows of one level never overlap, so the level's next augmentation is the only one a sighting can exempt.
    coming = treated.history.first_from(recorded.patient, recorded.place, recorded.day)
    waits_from = np.where(coming >= 0, begun[coming], MISSING)
    inside = (waits_from != MISSING) & (waits_from < recorded.day)
    again = was_treated[coming]
    clear_since = recorded.last_clear >= waits_from
    says_so = np.where(again, np.isin(recorded.kind, _JUDGED_A_FRACTURE), recorded.kind == _NEW)
    settled = again & (recorded.kind == _SETTLING)
    proven[coming[inside & ~settled & (clear_since | says_so)]] = True
    return proven
