"""Interval-censored times have one likelihood and, for each innermost interval, one mass; where in it nobody knows.

Turnbull (1976), JRSS B 38:290: the nonparametric maximum puts mass only into innermost intervals, a lower bound
followed at once by an upper one. Each row covers a run of them, so its probability is a difference of two cumulative
masses, and nothing here is larger than rows plus intervals. The climb alternates an EM step, which never fails, with
an iterative convex minorant, which is fast (Wellner and Zhan 1997, JASA 92:945), until no mass moved elsewhere could
raise the log-likelihood by more than rounding: the maximum is proved, not guessed from small steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from cohort.domain.clock import FloatArray, IntArray

GAP = 1e-12
MAX_STEPS = 5000


@dataclass(frozen=True)
class Cover:
    """m innermost intervals (left, right], left == right for a day that is known; row i covers first <= j < end."""

    left: FloatArray
    right: FloatArray
    first: IntArray
    end: IntArray

    @classmethod
    def of(cls, lower: FloatArray, upper: FloatArray) -> Cover:
        """Innermost intervals of n rows (lower, upper].

        >>> cover = Cover.of(np.array([0.0, 20.0, 50.0]), np.array([30.0, 40.0, 50.0]))
        >>> cover.left.tolist(), cover.right.tolist(), cover.first.tolist(), cover.end.tolist()
        ([20.0, 50.0], [30.0, 50.0], [0, 0, 1], [1, 1, 2])
        """
        days = np.unique(np.concatenate([lower, upper]))
        low, high = np.searchsorted(days, lower), np.searchsorted(days, upper)
        # On one day: a known day begins before intervals end, and these end before the next begin, (a, t] and (t, b].
        begins, ends = 3 * low + np.where(lower == upper, 0, 2), 3 * high + 1
        marks = np.unique(np.concatenate([begins, ends]))
        opens = marks % 3 != 1
        inner = np.flatnonzero(opens[:-1] & ~opens[1:])
        opening, closing = marks[inner], marks[inner + 1]
        return cls(
            days[opening // 3],
            days[closing // 3],
            np.searchsorted(opening, begins, side="left").astype(np.int64),
            np.searchsorted(closing, ends, side="right").astype(np.int64),
        )

    @property
    def position(self) -> FloatArray:
        """(m,) where the mass is read: the middle of the interval; its end if it has no beginning, never if no end."""
        with np.errstate(invalid="ignore"):
            middle = self.left + (self.right - self.left) / 2.0
        return np.where(np.isneginf(self.left), self.right, middle)


@dataclass(frozen=True)
class Masses:
    """mass : (m,), adding to 1; gap : what the log-likelihood, per unit of weight, can still gain at most."""

    mass: FloatArray
    loglik: float
    gap: float
    steps: int


def maximize(cover: Cover, weight: FloatArray, gap: float = GAP) -> Masses:
    """Masses of greatest likelihood, of which there is one set: weight (n,), positive.

    Unique because each innermost interval begins with some row's beginning: from boundary k a row leads to a later one,
    and so on to the last, so that the rows' probabilities, which are unique, fix every cumulative mass.

    >>> cover = Cover.of(np.array([0.0, 20.0, 50.0]), np.array([30.0, 40.0, np.inf]))
    >>> maximize(cover, np.ones(3)).mass.round(6).tolist()
    [0.666667, 0.333333]
    """
    m = len(cover.left)
    key, row = np.unique(cover.first * (m + 1) + cover.end, return_inverse=True)
    first, end = key // (m + 1), key % (m + 1)
    w = np.bincount(row, weight).astype(np.float64)
    w = w / w.sum()

    def loglik(cumulative: FloatArray) -> float:
        covered = cumulative[end] - cumulative[first]
        return float((w * np.log(covered)).sum()) if (covered > 0).all() else -np.inf

    def at_boundaries(per_row: FloatArray, sign: float) -> FloatArray:
        # What rows give to the boundary at which they end and, with a sign, to the one at which they begin.
        result: FloatArray = np.bincount(end, per_row, m + 1) + sign * np.bincount(first, per_row, m + 1)
        return result

    cumulative = np.linspace(0.0, 1.0, m + 1)
    for steps in range(MAX_STEPS + 1):
        covered = cumulative[end] - cumulative[first]
        # The derivative by each mass is 1 where the maximum has mass; mass moved to where it is larger still helps.
        slope = -np.cumsum(at_boundaries(w / covered, -1.0))[:m]
        possible = float(slope.max()) - 1.0
        if possible <= gap or steps == MAX_STEPS:
            break
        cumulative = np.append(0.0, np.cumsum(np.diff(cumulative) * slope))
        cumulative /= cumulative[-1]
        if m > 1:
            covered = cumulative[end] - cumulative[first]
            score = at_boundaries(w / covered, -1.0)[1:m]
            curvature = at_boundaries(w / covered**2, 1.0)[1:m]
            aim = optimize.isotonic_regression(cumulative[1:m] + score / curvature, weights=curvature).x
            move = np.concatenate([[0.0], np.clip(aim, 0.0, 1.0), [1.0]]) - cumulative
            value, rise, factor = loglik(cumulative), float((score * move[1:m]).sum()), 1.0
            while factor > 1e-6 and loglik(cumulative + factor * move) < value + 1e-4 * factor * rise:
                factor /= 2.0
            cumulative = cumulative + factor * move if factor > 1e-6 else cumulative
    mass = np.maximum(np.diff(cumulative), 0.0)
    return Masses(mass, loglik(cumulative) * float(weight.sum()), possible, steps)
