"""Questions to sorted days: the first in a window that has a value, the nearest one, the extreme between two.

A `Line` is a sorted array of packed (key, day), where the key is a patient or a vertebra; answers are places in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.treated import pack


@dataclass(frozen=True)
class Line:
    """Unique (key, day) in order; int64, shape (n,)."""

    key: IntArray
    day: IntArray
    packed: IntArray

    @classmethod
    def of(cls, key: IntArray, day: IntArray) -> Line:
        """From keys and days already in order and unique."""
        return cls(key, day, pack(key, day))

    def __len__(self) -> int:
        return len(self.packed)

    def at_or_after(self, key: IntArray, day: IntArray) -> IntArray:
        """The first place on or after the day; may belong to the next key, or be len(self)."""
        return np.searchsorted(self.packed, pack(key, day), side="left").astype(np.int64)

    def after(self, key: IntArray, day: IntArray) -> IntArray:
        """The first place after the day; may belong to the next key, or be len(self)."""
        return np.searchsorted(self.packed, pack(key, day), side="right").astype(np.int64)

    def nearest(
        self,
        key: IntArray,
        day: IntArray,
        *,
        within: int,
        later_than: IntArray,
        no_later_than: IntArray | None = None,
    ) -> IntArray:
        """The place nearest a day, at most `within` days off, -1 if none; of two as near, the earlier.

        later_than, no_later_than : only places after the one day and up to the other count, one per question.
        """
        n = len(self)
        if not n:
            return np.full(len(key), -1, dtype=np.int64)
        following = self.at_or_after(key, day)
        preceding = following - 1
        apart = []
        for place in (preceding, following):
            inside = np.clip(place, 0, n - 1)
            usable = (place >= 0) & (place < n) & (self.key[inside] == key)
            usable &= self.day[inside] > later_than
            if no_later_than is not None:
                usable &= self.day[inside] <= no_later_than
            gap = np.abs(self.day[inside] - day)
            apart.append(np.where(usable & (gap <= within), gap, within + 1))
        best = np.where(apart[0] <= apart[1], preceding, following)
        return np.where(np.minimum(apart[0], apart[1]) <= within, best, -1).astype(np.int64)

    def count_between(self, key: IntArray, first: IntArray, last: IntArray) -> IntArray:
        """How many places have a day of first..last."""
        return self.after(key, last) - self.at_or_after(key, first)


def next_with(has: BoolArray) -> IntArray:
    """For each place, and one past the end, the first place from it on that has a value; len(has) if none.

    >>> next_with(np.array([False, True, False])).tolist()
    [1, 1, 3, 3]
    """
    n = len(has)
    place = np.append(np.where(has, np.arange(n), n), n)
    return np.minimum.accumulate(place[::-1])[::-1].astype(np.int64)


def last_with(has: BoolArray) -> IntArray:
    """For each place the last place up to it that has a value; -1 if none.

    >>> last_with(np.array([False, True, False])).tolist()
    [-1, 1, 1]
    """
    if not len(has):
        return np.empty(0, dtype=np.int64)
    return np.maximum.accumulate(np.where(has, np.arange(len(has)), -1)).astype(np.int64)


def lowest_between(values: FloatArray, start: IntArray, stop: IntArray) -> FloatArray:
    """Least of values[start:stop] per question, +inf where the range is empty.

    Fast when the questions are about in the order of `start`.

    >>> lowest_between(np.array([3.0, 1.0, 2.0]), np.array([0, 2, 1]), np.array([2, 3, 1])).tolist()
    [1.0, 2.0, inf]
    """
    result = np.full(len(start), np.inf)
    some = np.flatnonzero(stop > start)
    if len(some):
        bounds = np.column_stack([start[some], stop[some]]).ravel()
        result[some] = np.minimum.reduceat(np.append(values, np.inf), bounds)[::2]
    return result
