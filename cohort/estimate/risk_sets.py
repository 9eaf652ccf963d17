"""A row is at risk at time t when entry < t <= exit: sums over those at risk, and over the times at which a row is.

The event times of each stratum stand in one sorted row, stratum after stratum. A row is at risk at a contiguous
run of them, `first <= k < end`, so a sum over all risk sets is one count by bin and one cumulative sum, and a sum
over the times at which a row is at risk is a difference of two cumulative sums. Nothing loops over rows or times.

Speed: a covariate is summed into its bins by one pass of a sparse product; columns lie one after the other in memory
and large ones are shared among threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy import sparse

from cohort.domain.clock import BoolArray, FloatArray, IntArray

ASLEEP = 250_000  # multiplications of one product up to which OpenBLAS uses one thread
THREADED = 500_000  # numbers in a matrix from which sharing its columns among threads pays
BLOCK = 4096  # rows whose products stay in the processor's cache


@dataclass(frozen=True)
class RiskSets:
    """Where n rows stand among the K event times of their strata.

    time, stratum : (K,), sorted by stratum, then time.
    first, end : (n,), the row is at risk at event times first <= k < end; late : (n,), it enters after the first.
    stratum_end : (K,), index after the last event time of the stratum of k.
    """

    time: FloatArray
    stratum: IntArray
    first: IntArray
    end: IntArray
    late: BoolArray
    stratum_end: IntArray

    @classmethod
    def of(
        cls, exit_: FloatArray, event: BoolArray, entry: FloatArray | None = None, stratum: IntArray | None = None
    ) -> RiskSets:
        """Place rows; all arguments have shape (n,), stratum holds codes from 0.

        >>> sets = RiskSets.of(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]))
        >>> sets.time.tolist(), sets.sums(np.ones(3)).tolist()
        ([1.0, 3.0], [3.0, 1.0])
        """
        grid = np.unique(exit_[event])
        out = times_by(grid, exit_)
        into = None if entry is None or not np.isfinite(entry).any() else times_by(grid, entry)
        if stratum is None or not stratum.any():
            first = np.zeros(len(out), dtype=np.int64) if into is None else into
            size = len(grid)
            return cls(
                grid, np.zeros(size, dtype=np.int64), first, np.maximum(out, first), first > 0, np.full(size, size)
            )
        width = len(grid) + 1
        opening_key = stratum * width
        out += opening_key
        keys = np.unique(out[event])
        opening = np.searchsorted(keys, opening_key, side="right")
        first = opening if into is None else np.searchsorted(keys, opening_key + into, side="right")
        end = np.searchsorted(keys, out, side="right")
        of_stratum = keys // width
        stratum_end = np.searchsorted(of_stratum, of_stratum, side="right")
        return cls(grid[keys % width - 1], of_stratum, first, np.maximum(end, first), first > opening, stratum_end)

    @property
    def at_event(self) -> IntArray:
        """(n,) index of the event time at which the row ends; meaningful for rows with an event only."""
        return self.end - 1

    @cached_property
    def _place(self) -> tuple[IntArray, BoolArray, bool]:
        """The bin of each row, who leaves an earlier bin by entering late, and whether anybody does.

        A row that is never at risk lies in bin 0, which nobody reads: at its end it would count for the stratum before.
        """
        used = self.end > self.first
        late = self.late & used
        return np.where(used, self.end, 0), late, bool(late.any())

    @cached_property
    def _bins(self) -> sparse.csc_matrix:
        """(K + 1, n): a row adds at its end and, entering late, takes away at its first; the data are weights."""
        place, late, any_late = self._place
        index = place.astype(np.int32)
        if any_late:
            index = np.column_stack([index, np.where(late, self.first, 0).astype(np.int32)]).ravel()
        kind = np.int32 if len(index) < 2**31 else np.int64
        ends = ((2 if any_late else 1) * np.arange(len(place) + 1)).astype(kind)
        return sparse.csc_matrix((np.ones(len(index)), index, ends), shape=(len(self.time) + 1, len(place)))  # type: ignore[arg-type]

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum of `values` (n,) or (n, p) over the rows at risk at each event time: (K,) or (K, p)."""
        if values.ndim == 2:
            return self.weighted(np.ones(len(values)), values)[1]
        size = len(self.time) + 1
        place, late, any_late = self._place
        bins: FloatArray = np.bincount(place, values, minlength=size).astype(np.float64)
        if any_late:
            bins = bins - np.bincount(self.first[late], values[late], minlength=size)
        return self._from_bins(bins)

    def weighted(self, weight: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums over the rows at risk of `weight` (n,), (K,), and of `weight * x` with x (n, p), (K, p)."""
        bins = self._bins
        if self._place[2]:
            bins.data[0::2] = weight
            np.negative(weight, out=bins.data[1::2], where=self._place[1])
        else:
            bins.data = weight
        s1 = by_column(lambda column: self._from_bins(bins @ column), x, len(self.time))
        return self.sums(weight), s1

    def _from_bins(self, bins: FloatArray) -> FloatArray:
        # Extended precision where the machine has it: differences of long sums keep the digits of small risk sets.
        total = np.cumsum(bins[:0:-1].astype(np.longdouble))[::-1]
        # What lies in later strata is no part of the sum; in the last one (or the only one) that is nothing.
        if len(total) and self.stratum_end[0] < len(total):
            total = total - np.append(total, np.longdouble(0.0))[self.stratum_end]
        result: FloatArray = total.astype(np.float64)
        return result

    def over(self, increments: FloatArray) -> FloatArray:
        """Sum of `increments` (K,) or (K, p) over the event times at which each row is at risk: (n,) or (n, p)."""
        if increments.ndim == 2:
            return columns_of(lambda k: self.over(increments[:, k]), increments.shape[1], len(self.end))
        total = np.append(np.longdouble(0.0), np.cumsum(increments.astype(np.longdouble)))
        large = total.astype(np.float64)
        if not self.first.any():
            result: FloatArray = large.take(self.end)
            return result
        # What is left of the extended sum beyond a double keeps the digits of short times at risk.
        small = (total - large).astype(np.float64)
        return (large.take(self.end) - large.take(self.first)) + (small.take(self.end) - small.take(self.first))

    def deaths(self, values: FloatArray, rows: IntArray) -> FloatArray:
        """Sum of `values[rows]` by the event time at which these rows end: (K,) or (K, p)."""
        return self.by_event(values[rows], self.at_event[rows])

    def by_event(self, values: FloatArray, place: IntArray) -> FloatArray:
        """Sum of `values` (d,) or (d, p) by event time `place` (d,): (K,) or (K, p)."""
        if values.ndim == 2:
            return by_column(lambda column: self.by_event(column, place), values, len(self.time))
        return np.bincount(place, values, minlength=len(self.time)).astype(np.float64)


def times_by(grid: FloatArray, days: FloatArray) -> IntArray:
    """How many of the sorted `grid` lie on or before each of `days`: whole days are looked up, others searched.

    >>> times_by(np.array([2.0, 5.0]), np.array([1.0, 2.0, 9.0])).tolist()
    [0, 1, 2]
    """
    if len(grid) and len(days) > 1000 and (grid == np.rint(grid)).all() and np.isfinite(days).all():
        low, reach = grid[0], grid[-1] - grid[0]
        if reach <= 4.0 * len(days):
            # Days between whole ones count as the whole day before them: the grid has none in between.
            place = np.clip(np.floor(days) - low + 1.0, 0.0, reach + 1.0).astype(np.int64)
            counted = np.zeros(int(reach) + 2, dtype=np.int64)
            counted[(grid - low).astype(np.int64) + 1] = 1
            result: IntArray = np.cumsum(counted).take(place)
            return result
    return np.searchsorted(grid, days, side="right").astype(np.int64)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1)


def by_column(total: Callable[[FloatArray], FloatArray], values: FloatArray, size: int) -> FloatArray:
    """One total (size,) per column of values (n, p), as (size, p); large ones are shared among threads."""
    result = np.empty((size, values.shape[1]))
    columns = [values[:, k] for k in range(values.shape[1])]
    found = _pool().map(total, columns) if values.size >= THREADED and len(columns) > 1 else map(total, columns)
    for k, column in enumerate(found):
        result[:, k] = column
    return result


def columns_of(make: Callable[[int], FloatArray], p: int, size: int) -> FloatArray:
    """Columns make(0), make(1), ... as (size, p), contiguous in memory; large ones are shared among threads."""
    result = np.empty((size, p), order="F")

    def fill(k: int) -> None:
        result[:, k] = make(k)

    if size * p >= THREADED and p > 1:
        list(_pool().map(fill, range(p)))
    else:
        for k in range(p):
            fill(k)
    return result


def dot(a: FloatArray, b: FloatArray) -> float:
    """Sum of a * b, both (n,), without the threads of the linear algebra: they go on waiting, busily, where ours work.

    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    return float(np.einsum("i,i->", a, b))


def linear(x: FloatArray, coef: FloatArray) -> FloatArray:
    """x @ coef (n,) for x (n, p); large ones column by column in blocks, shared among threads.

    As `dot`, it leaves the threads of the linear algebra asleep.

    >>> linear(np.ones((2, 2)), np.array([1.0, 2.0])).tolist()
    [3.0, 3.0]
    """
    if x.size < THREADED:
        return np.asarray(x @ coef)
    result = np.empty(len(x))

    def part(begin: int, end: int) -> None:
        buffer = np.empty(8 * BLOCK)
        for start in range(begin, end, 8 * BLOCK):
            stop = min(start + 8 * BLOCK, end)
            total, product = result[start:stop], buffer[: stop - start]
            np.multiply(x[start:stop, 0], coef[0], out=total)
            for k in range(1, len(coef)):
                total += np.multiply(x[start:stop, k], coef[k], out=product)

    edges = np.linspace(0, len(x), 9).astype(np.int64)
    list(_pool().map(lambda k: part(int(edges[k]), int(edges[k + 1])), range(8)))
    return result


def cross_product(x: FloatArray, weight: FloatArray) -> FloatArray:
    """x' diag(weight) x (p, p), block by block so that no weighted copy of x is made."""
    rows, p = x.shape
    turned = x.T
    # A larger product wakes the threads of the linear algebra, which then wait for each other ten times as long.
    step = min(BLOCK, max(64, ASLEEP // max(p * p, 1)))

    def part(begin: int, end: int) -> FloatArray:
        total, buffer = np.zeros((p, p)), np.empty((p, step))
        for start in range(begin, end, step):
            stop = min(start + step, end)
            block = turned[:, start:stop]
            total += block @ np.multiply(block, weight[start:stop], out=buffer[:, : stop - start]).T
        return total

    if x.size < THREADED:
        return part(0, rows)
    # A fixed number of parts, so that the sum does not depend on the machine.
    edges = np.linspace(0, rows, 9).astype(np.int64)
    parts = _pool().map(lambda k: part(int(edges[k]), int(edges[k + 1])), range(8))
    result: FloatArray = sum(parts, np.zeros((p, p)))
    return result


def sum_by(codes: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sums of `values` (n, p) over groups given by codes: (size, p).

    >>> sum_by(np.array([0, 0, 1]), np.array([[1.0], [2.0], [4.0]]), 2).tolist()
    [[3.0], [4.0]]
    """
    return by_column(lambda column: np.bincount(codes, column, minlength=size).astype(np.float64), values, size)
