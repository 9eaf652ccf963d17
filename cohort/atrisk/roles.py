"""What every vertebra is between two sessions: treated, adjacent or remote, as a fracture found there would be called.

A segment is the time of one patient after one session and up to the next, within `(entry, exit]`; on its days the
treated set does not change, so five sets of bits say the role of every vertebra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cohort.atrisk.members import Members
from cohort.atrisk.windows import split
from cohort.domain import spine
from cohort.domain.clock import NEVER, BoolArray, IntArray
from cohort.domain.outcomes import INDICATIONS, ROLES
from cohort.domain.treated import pack

NO_ROLE = -1


@dataclass(frozen=True)
class Segments:
    """Segments in the order of patient and start; int64, shape (n,).

    treated : the whole treated set *A*. masks : shape (5, n), for each role of `ROLES` the vertebrae at risk in it.
    """

    patient: IntArray
    start: IntArray
    stop: IntArray
    treated: IntArray
    masks: IntArray

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def days(self) -> IntArray:
        """Length of each segment in days."""
        return self.stop - self.start

    def where(self, chosen: BoolArray) -> Segments:
        """The segments of chosen patients; `chosen` has one element per patient."""
        keep = chosen[self.patient]
        return Segments(self.patient[keep], self.start[keep], self.stop[keep], self.treated[keep], self.masks[:, keep])

    def split_at(self, cuts: Sequence[tuple[IntArray, IntArray]]) -> Segments:
        """These segments cut after given days of their patients; cuts : pairs of patients and days."""
        parts = self
        for patient, day in cuts:
            source, start, stop = split(parts.patient, parts.start, parts.stop, patient, day)
            parts = Segments(parts.patient[source], start, stop, parts.treated[source], parts.masks[:, source])
        return parts

    def role_of(self, segment: IntArray, place: IntArray) -> IntArray:
        """Code in `ROLES` of vertebrae in segments, NO_ROLE where they are not at risk."""
        role = np.full(len(segment), NO_ROLE, dtype=np.int64)
        for code in range(len(ROLES)):
            role[spine.holds(self.masks[code, segment], place)] = code
        return role

    def met_by(self, patient: IntArray, start: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
        """First segment that shares a day with each window of a patient, and how many do."""
        low = np.searchsorted(pack(self.patient, self.stop), pack(patient, start), side="right")
        high = np.searchsorted(pack(self.patient, self.start), pack(patient, stop), side="left")
        return low.astype(np.int64), np.maximum(high - low, 0).astype(np.int64)


def segments(members: Members, *, reach: int) -> Segments:
    """Every segment of every patient with time at risk.

    An augmentation on day u makes roles from u + 1 on: the day of the procedure belongs to the earlier role.
    """
    patient, day, state = _states(members)
    next_day = np.full(len(day), NEVER, dtype=np.int64)
    same = patient[1:] == patient[:-1]
    next_day[:-1][same] = day[1:][same]
    start = np.maximum(day, members.follow_up.entry[patient])
    stop = np.minimum(next_day, members.follow_up.exit[patient])
    lasting = stop > start
    patient, start, stop, state = patient[lasting], start[lasting], stop[lasting], state[:, lasting]

    at_risk = members.levels[patient]
    if members.looks is not None:
        source, start, stop = split(patient, start, stop, members.looks.patient, members.looks.day)
        patient, state, at_risk = patient[source], state[:, source], at_risk[source]
        at_risk = at_risk & members.looks.still_to_come(patient, stop)
    row = members.row[patient]
    treated = np.bitwise_or.reduce(state, axis=0)
    adjacent = spine.neighbours(treated, row, reach)
    masks = np.stack([*state, adjacent, row & ~treated & ~adjacent]) & at_risk
    return Segments(patient, start, stop, treated, masks)


def _states(members: Members) -> tuple[IntArray, IntArray, IntArray]:
    """After each session: for each indication the vertebrae whose latest augmentation had it, shape (3, n_sessions)."""
    history = members.history
    packed = pack(history.patient, history.day)
    session_key, first, session = np.unique(packed, return_index=True, return_inverse=True)
    bits = np.zeros((len(INDICATIONS), len(session_key)), dtype=np.int64)
    np.bitwise_or.at(bits, (history.indication, session), spine.bit(history.place))
    patient, day = history.patient[first], history.day[first]

    opens = np.concatenate(([True], patient[1:] != patient[:-1])) if len(patient) else np.zeros(0, dtype=bool)
    rank = np.arange(len(patient)) - np.maximum.accumulate(np.where(opens, np.arange(len(patient)), 0))
    by_rank = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[by_rank], np.arange(1, rank.max(initial=0) + 2))
    # The latest augmentation of a level decides its indication, so sessions are laid one over the other.
    for begin, end in pairwise(bounds):
        now = by_rank[begin:end]
        again = np.bitwise_or.reduce(bits[:, now], axis=0)
        bits[:, now] |= bits[:, now - 1] & ~again
    return patient, day, bits
