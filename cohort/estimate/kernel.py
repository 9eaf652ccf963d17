"""Every estimator is a sum over risk sets: a row is at risk at time t when entry < t <= exit.

The event times of each stratum stand in one sorted row, stratum after stratum. A row is at risk at a contiguous
run of them, `first <= k < end`, so a sum over all risk sets is one count by bin and one cumulative sum, and a sum
over the times at which a row is at risk is a difference of two cumulative sums. Nothing loops over rows or times.

Ties: Efron (1977) unless Breslow is asked for. Score residuals, Schoenfeld residuals and the weighted forms follow
Therneau and Grambsch, Modeling Survival Data (2000), sections 3.3, 4.6 and 7.2, as R's survival does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray

Ties = Literal["efron", "breslow"]
WeightKind = Literal["probability", "frequency"]


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
        strata = np.zeros(len(exit_), dtype=np.int64) if stratum is None else stratum
        grid = np.unique(exit_[event])
        width = len(grid) + 1
        out = strata * width + np.searchsorted(grid, exit_, side="right")
        keys = np.unique(out[event])
        opening = np.searchsorted(keys, strata * width, side="right")
        first = opening
        if entry is not None:
            first = np.searchsorted(keys, strata * width + np.searchsorted(grid, entry, side="right"), side="right")
        end = np.searchsorted(keys, out, side="right")
        of_stratum = keys // width
        stratum_end = np.searchsorted(of_stratum, of_stratum, side="right")
        return cls(grid[keys % width - 1], of_stratum, first, np.maximum(end, first), first > opening, stratum_end)

    @property
    def at_event(self) -> IntArray:
        """(n,) index of the event time at which the row ends; meaningful for rows with an event only."""
        return self.end - 1

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum of `values` (n,) or (n, p) over the rows at risk at each event time: (K,) or (K, p)."""
        if values.ndim == 2:
            return _by_column(self.sums, values, len(self.time))
        size = len(self.time)
        used = self.end > self.first
        bins = np.bincount(self.end[used] - 1, values[used], minlength=size).astype(np.longdouble)
        late = used & self.late
        bins -= np.bincount(self.first[late] - 1, values[late], minlength=size)
        # Extended precision where the machine has it: differences of long sums keep the digits of small risk sets.
        total = np.append(np.cumsum(bins[::-1])[::-1], np.longdouble(0.0))
        result: FloatArray = (total[:-1] - total[self.stratum_end]).astype(np.float64)
        return result

    def over(self, increments: FloatArray) -> FloatArray:
        """Sum of `increments` (K,) or (K, p) over the event times at which each row is at risk: (n,) or (n, p)."""
        zero = np.zeros((1, *increments.shape[1:]), dtype=np.longdouble)
        total = np.concatenate([zero, np.cumsum(increments.astype(np.longdouble), axis=0)])
        result: FloatArray = (total[self.end] - total[self.first]).astype(np.float64)
        return result

    def deaths(self, values: FloatArray, rows: IntArray) -> FloatArray:
        """Sum of `values[rows]` by the event time at which these rows end: (K,) or (K, p)."""
        if values.ndim == 2:
            return _by_column(lambda column: self.deaths(column, rows), values, len(self.time))
        return np.bincount(self.at_event[rows], values[rows], minlength=len(self.time)).astype(np.float64)


def _by_column(total: Callable[[FloatArray], FloatArray], values: FloatArray, size: int) -> FloatArray:
    """One total per column, (size, p); a model none of whose covariates varies has no column."""
    result = np.empty((size, values.shape[1]))
    for k, column in enumerate(values.T):
        result[:, k] = total(column)
    return result


@dataclass(frozen=True)
class AtCoefficients:
    """The partial likelihood at one coefficient vector, with what its derivatives share.

    One element per tied event (Efron) or event time (Breslow), Q in all: `time_index`, `fraction` of the tied events
    already gone, `multiplier` (the weight this term carries), `denominator`, and `mean` (Q, p) of the covariates.
    """

    loglik: float
    score: FloatArray
    relative_hazard: FloatArray
    denominator: FloatArray
    mean: FloatArray


@dataclass(frozen=True)
class PartialLikelihood:
    """Cox's partial likelihood of n rows with p covariates.

    x : (n, p), best centred; weight : (n,), positive; event : (n,).
    weight_kind : with "frequency" a row of weight 3 is three rows, also among ties; with "probability" its
        contributions are multiplied (R's `weights=`).
    """

    sets: RiskSets
    x: FloatArray
    event: BoolArray
    weight: FloatArray
    rows: IntArray
    time_index: IntArray
    fraction: FloatArray
    multiplier: FloatArray

    @classmethod
    def of(
        cls,
        sets: RiskSets,
        x: FloatArray,
        event: BoolArray,
        weight: FloatArray,
        ties: Ties = "efron",
        weight_kind: WeightKind = "probability",
    ) -> PartialLikelihood:
        """Lay out the terms of the likelihood; they do not depend on the coefficients."""
        rows = np.flatnonzero(event)
        size = len(sets.time)
        total = np.bincount(sets.at_event[rows], weight[rows], minlength=size).astype(np.float64)
        if ties == "breslow":
            return cls(sets, x, event, weight, rows, np.arange(size), np.zeros(size), total)
        tied = np.bincount(sets.at_event[rows], minlength=size).astype(np.int64)
        if weight_kind == "frequency":
            tied = np.rint(total).astype(np.int64)
        index = np.repeat(np.arange(size), tied)
        rank = np.arange(len(index)) - np.repeat(np.cumsum(tied) - tied, tied)
        return cls(sets, x, event, weight, rows, index, rank / tied[index], (total / np.maximum(tied, 1))[index])

    def at(self, coef: FloatArray) -> AtCoefficients:
        """Log-likelihood and score at `coef` (p,)."""
        eta = self.x @ coef
        shift = float(eta.max(initial=0.0))
        hazard = np.exp(eta - shift)
        weighted = self.weight * hazard
        q, f = self.time_index, self.fraction
        s0 = self.sets.sums(weighted)[q] - f * self.sets.deaths(weighted, self.rows)[q]
        wx = weighted[:, None] * self.x
        s1 = self.sets.sums(wx)[q] - f[:, None] * self.sets.deaths(wx, self.rows)[q]
        mean = s1 / s0[:, None]
        w = self.weight[self.rows]
        loglik = float(w @ (eta[self.rows] - shift) - self.multiplier @ np.log(s0))
        score = w @ self.x[self.rows] - self.multiplier @ mean
        return AtCoefficients(loglik, score, hazard, s0, mean)

    def information(self, at: AtCoefficients, by_time: FloatArray | None = None) -> FloatArray:
        """Observed information (p, p); with `by_time` (K,), each event time's part multiplied by it."""
        m = self.multiplier if by_time is None else self.multiplier * by_time[self.time_index]
        factor = self.weight * at.relative_hazard * self._hazard_over(at, m)
        result: FloatArray = self.x.T @ (factor[:, None] * self.x) - at.mean.T @ (m[:, None] * at.mean)
        return (result + result.T) / 2.0

    def evaluate(self, coef: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log-likelihood, score and information, for `newton.climb`."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            at = self.at(coef)
            return at.loglik, at.score, self.information(at)

    def score_residuals(self, coef: FloatArray) -> FloatArray:
        """(n, p): what one unit of weight of each row adds to the score; weighted, they sum to it (zero at the fit)."""
        at = self.at(coef)
        m = self.multiplier / at.denominator
        expected = self._spread(m[:, None] * at.mean)
        residual = -at.relative_hazard[:, None] * (self.x * self._hazard_over(at, self.multiplier)[:, None] - expected)
        residual[self.rows] += self.x[self.rows] - self._mean_at_event(at)[self.sets.at_event[self.rows]]
        return residual

    def schoenfeld(self, coef: FloatArray) -> tuple[IntArray, FloatArray]:
        """Rows with an event and, for each, its covariates less those expected among the rows at risk: (d,), (d, p)."""
        expected = self._mean_at_event(self.at(coef))[self.sets.at_event[self.rows]]
        return self.rows, self.x[self.rows] - expected

    def baseline_increments(self, coef: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Jumps at each event time, at covariates zero on the scale of `x`.

        Returns those of the cumulative hazard (K,), of its variance at known coefficients (K,), and of the hazard
        times the covariates expected among those at risk (K, p), by which the coefficients move it.
        """
        at = self.at(coef)
        denominator = at.denominator * np.exp(float((self.x @ coef).max(initial=0.0)))
        jump = self.multiplier / denominator
        return self._by_time(jump), self._by_time(jump / denominator), self._by_time(jump[:, None] * at.mean)

    def _by_time(self, terms: FloatArray) -> FloatArray:
        size = len(self.sets.time)
        if terms.ndim == 1:
            return np.bincount(self.time_index, terms, minlength=size).astype(np.float64)
        return np.column_stack([self._by_time(column) for column in terms.T]).reshape(size, terms.shape[1])

    def _spread(self, terms: FloatArray) -> FloatArray:
        # A row that ends in a tied event is, with Efron, at risk for it only in part: 1 - fraction of each term.
        f = self.fraction if terms.ndim == 1 else self.fraction[:, None]
        result = self.sets.over(self._by_time(terms))
        result[self.rows] -= self._by_time(f * terms)[self.sets.at_event[self.rows]]
        return result

    def _hazard_over(self, at: AtCoefficients, multiplier: FloatArray) -> FloatArray:
        return self._spread(multiplier / at.denominator)

    def _mean_at_event(self, at: AtCoefficients) -> FloatArray:
        # Tied events share the mean of their terms, as in R.
        terms = np.bincount(self.time_index, minlength=len(self.sets.time))
        result: FloatArray = self._by_time(at.mean) / np.maximum(terms, 1)[:, None]
        return result


def sum_by(codes: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sums of `values` (n, p) over groups given by codes: (size, p).

    >>> sum_by(np.array([0, 0, 1]), np.array([[1.0], [2.0], [4.0]]), 2).tolist()
    [[3.0], [4.0]]
    """
    columns = [np.bincount(codes, column, minlength=size).astype(np.float64) for column in values.T]
    result: FloatArray = np.column_stack(columns).reshape(size, values.shape[1])
    return result
