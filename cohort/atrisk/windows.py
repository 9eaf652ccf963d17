"""Windows (start, stop] of many owners at once: their union, what they cover, and cutting rows by them.

An owner is any int64 key below 10**10 (a patient, or a vertebra by `treated.key_of`); days are int64 between
BEFORE_INDEX and NEVER. Rows that are cut come back as (source row, start, stop), in the order of their sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.treated import pack

_Cut = tuple[IntArray, IntArray, IntArray]


@dataclass(frozen=True)
class Windows:
    """Windows that do not touch each other, in the order of key and start. All int64, shape (n,)."""

    key: IntArray
    start: IntArray
    stop: IntArray

    @classmethod
    def union(cls, key: IntArray, start: IntArray, stop: IntArray, *, bridging: int = 0) -> Windows:
        """The days covered by any window of the same owner; empty windows vanish, touching ones become one.

        bridging : days between two windows that still make them one; nothing is added to the last.

        >>> merged = Windows.union(np.array([1, 1, 1]), np.array([8, 0, 5]), np.array([9, 5, 7]))
        >>> merged.start.tolist(), merged.stop.tolist()
        ([0, 8], [7, 9])
        """
        filled = stop > start
        key, start, stop = key[filled], start[filled], stop[filled] + bridging
        if not len(key):
            none = np.zeros(0, dtype=np.int64)
            return cls(none, none, none)
        order = np.argsort(pack(key, start), kind="stable")
        key, start, stop = key[order], start[order], stop[order]
        # Keys grow along the rows, so one running maximum of (key, stop) serves every owner at once.
        reached = np.maximum.accumulate(pack(key, stop))
        opens = np.concatenate(([True], pack(key, start)[1:] > reached[:-1]))
        last = np.concatenate((np.flatnonzero(opens)[1:] - 1, [len(key) - 1]))
        until = reached[last] - pack(key[last], np.zeros(len(last), dtype=np.int64))
        return cls(key[opens], start[opens], until - bridging)

    def covers(self, key: IntArray, day: IntArray) -> BoolArray:
        """Whether some window of the owner holds on the day: start < day <= stop."""
        low, high = self._met(key, day - 1, day)
        result: BoolArray = high > low
        return result

    def overlaps(self, key: IntArray, start: IntArray, stop: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """The parts of rows that lie in a window: source row, window, start, stop."""
        low, high = self._met(key, start, stop)
        source, step = ragged(high - low)
        window = low[source] + step
        return (
            source,
            window,
            np.maximum(start[source], self.start[window]),
            np.minimum(stop[source], self.stop[window]),
        )

    def cut_out(self, key: IntArray, start: IntArray, stop: IntArray) -> _Cut:
        """What is left of rows once the windows of their owner are taken out.

        >>> off = Windows.union(np.array([1]), np.array([3]), np.array([6]))
        >>> [a.tolist() for a in off.cut_out(np.array([1, 2]), np.array([0, 0]), np.array([10, 10]))]
        [[0, 0, 1], [0, 6, 0], [3, 10, 10]]
        """
        low, high = self._met(key, start, stop)
        source, step = ragged(high - low + 1)
        begin, end = start[source], stop[source]
        after = step > 0
        begin[after] = np.maximum(begin[after], self.stop[low[source[after]] + step[after] - 1])
        before = step < (high - low)[source]
        end[before] = np.minimum(end[before], self.start[low[source[before]] + step[before]])
        left = end > begin
        return source[left], begin[left], end[left]

    def _met(self, key: IntArray, start: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
        """First and one past the last window that shares a day with each row."""
        low = np.searchsorted(pack(self.key, self.stop), pack(key, start), side="right")
        high = np.searchsorted(pack(self.key, self.start), pack(key, stop), side="left")
        return low.astype(np.int64), np.maximum(high, low).astype(np.int64)


def split(key: IntArray, start: IntArray, stop: IntArray, point_key: IntArray, point_day: IntArray) -> _Cut:
    """Rows split after the given days of their owner: (0, 10] with the day 4 becomes (0, 4] and (4, 10].

    >>> one = np.array([1])
    >>> [a.tolist() for a in split(one, np.array([0]), np.array([10]), np.array([1, 1, 2]), np.array([4, 10, 5]))]
    [[0, 0], [0, 4], [4, 10]]
    """
    days = _growing(pack(point_key, point_day))
    low = np.searchsorted(days, pack(key, start), side="right")
    high = np.searchsorted(days, pack(key, stop), side="left")
    source, step = ragged(np.maximum(high - low, 0) + 1)
    begin, end = start[source], stop[source]
    zero = pack(key, np.zeros(len(key), dtype=np.int64))[source]
    after = step > 0
    begin[after] = (days[low[source[after]] + step[after] - 1] - zero[after]) if len(days) else begin[after]
    before = step < (high - low)[source]
    end[before] = (days[low[source[before]] + step[before]] - zero[before]) if len(days) else end[before]
    return source, begin, end


def _growing(values: IntArray) -> IntArray:
    """Sorted and unique; what is so already costs one look."""
    if len(values) and not (values[1:] > values[:-1]).all():
        values = np.sort(values)
        values = values[np.append(True, values[1:] != values[:-1])]
    return values


def ragged(counts: IntArray) -> tuple[IntArray, IntArray]:
    """Row i repeated counts[i] times, and the number of each repetition.

    >>> [a.tolist() for a in ragged(np.array([2, 0, 1]))]
    [[0, 0, 2], [0, 1, 0]]
    """
    counts = np.asarray(counts, dtype=np.int64)
    source = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    first = np.cumsum(counts) - counts
    return source, np.arange(len(source), dtype=np.int64) - first[source]
