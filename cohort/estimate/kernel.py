"""Every estimator is a sum over risk sets (`risk_sets.py`); this is Cox's, at one coefficient vector after another.

The many tied events of a day enter through five sums per day (`AtCoefficients`) instead of a row of means each, and
nothing of the size of rows x covariates is made but the covariates.

Ties: Efron (1977) unless Breslow is asked for. Score residuals, Schoenfeld residuals and the weighted forms follow
Therneau and Grambsch, Modeling Survival Data (2000), sections 3.3, 4.6 and 7.2, as R's survival does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate.risk_sets import RiskSets, columns_of, cross_product, dot, linear

Ties = Literal["efron", "breslow"]
WeightKind = Literal["probability", "frequency"]


@dataclass(frozen=True)
class AtCoefficients:
    """The partial likelihood at one coefficient vector, with what its derivatives share.

    s0 : (K,) sum of the relative hazards at risk; mean, died : (K, p) sums of the covariates at risk and of those with
    the event, over s0. With Efron the tied events of a time have denominators s0 t, t = 1 - f d0 / s0, f = 0, 1/d, ...:
    `left` (Q,) are these t, and
    for time k with weight m per term, `one` = m sum 1/t, `one_f` = m sum f/t, and `two`, `two_f`, `two_ff` the same of
    1/t^2, f/t^2 and f^2/t^2; `average`, `average_f` are the averages of 1/t and f/t. All (K,), and of no scale, so that
    they hold where relative hazards are tiny.
    """

    loglik: float
    score: FloatArray
    relative_hazard: FloatArray
    s0: FloatArray
    left: FloatArray
    mean: FloatArray
    died: FloatArray
    one: FloatArray
    one_f: FloatArray
    two: FloatArray
    two_f: FloatArray
    two_ff: FloatArray
    average: FloatArray
    average_f: FloatArray


@dataclass(frozen=True)
class PartialLikelihood:
    """Cox's partial likelihood of n rows with p covariates.

    x : (n, p), best centred, columns contiguous; weight : (n,), positive; event : (n,).
    rows, place : (d,) rows with an event and their event times; time_index, fraction : (Q,) the tied events of each
    time and the share of them already gone; multiplier, terms_at : (K,) the weight of each such term of a time, and how
    many there are.
    weight_kind : with "frequency" a row of weight 3 is three rows, also among ties; with "probability" its
        contributions are multiplied (R's `weights=`).
    """

    sets: RiskSets
    x: FloatArray
    event: BoolArray
    weight: FloatArray
    rows: IntArray
    place: IntArray
    time_index: IntArray
    fraction: FloatArray
    multiplier: FloatArray
    terms_at: FloatArray

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
        x = np.asfortranarray(x)
        rows = np.flatnonzero(event)
        place = sets.at_event[rows]
        size = len(sets.time)
        total = np.bincount(place, weight[rows], minlength=size).astype(np.float64)
        tied = np.bincount(place, minlength=size).astype(np.int64)
        if ties == "breslow":
            tied = np.ones(size, dtype=np.int64)
        elif weight_kind == "frequency":
            tied = np.rint(total).astype(np.int64)
        index = np.repeat(np.arange(size), tied)
        rank = np.arange(len(index)) - np.repeat(np.cumsum(tied) - tied, tied)
        each = total / np.maximum(tied, 1)
        return cls(sets, x, event, weight, rows, place, index, rank / tied[index], each, tied.astype(np.float64))

    @cached_property
    def _events(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weights and covariates of the rows with an event, and their weighted sum."""
        w, x = self.weight[self.rows], np.asfortranarray(self.x[self.rows])
        return w, x, np.array([dot(w, column) for column in x.T])

    @cached_property
    def _at_risk(self) -> BoolArray | None:
        """Which rows are at risk at an event at all; None where all are."""
        used = self.sets.end > self.sets.first
        return None if used.all() else used

    def _scale(self, eta: FloatArray) -> float:
        """The largest linear predictor of those at risk, by which hazards are divided: others may not set it."""
        largest = eta if self._at_risk is None else eta[self._at_risk]
        return float(largest.max()) if len(largest) else 0.0

    def at(self, coef: FloatArray) -> AtCoefficients:
        """Log-likelihood and score at `coef` (p,)."""
        eta = linear(self.x, coef)
        used, shift = self._at_risk, self._scale(eta)
        w, x, total = self._events
        explained = dot(w, eta[self.rows] - shift)
        eta -= shift
        if used is not None:
            np.minimum(eta, 0.0, out=eta)
        hazard = np.exp(eta, out=eta)
        s0, s1 = self.sets.weighted(self.weight * hazard, self.x)
        dying = w * hazard[self.rows]
        d0 = self.sets.by_event(dying, self.place)
        d1 = self.sets.by_event(dying[:, None] * x, self.place)
        mean, died = s1 / s0[:, None], d1 / s0[:, None]
        q, f, m = self.time_index, self.fraction, self.multiplier
        left = 1.0 - f * (d0 / s0)[q]
        loglik = explained - dot(m, self.terms_at * np.log(s0)) - dot(m[q], np.log(left))
        inverse = 1.0 / left
        square = inverse * inverse
        f_inverse, f_square = f * inverse, f * square
        sums = [self._by_time(part) for part in (inverse, f_inverse, square, f_square, f * f_square)]
        score = total - (m * sums[0]) @ mean + (m * sums[1]) @ died
        one, one_f, two, two_f, two_ff = (m * part for part in sums)
        average, average_f = sums[0] / self.terms_at, sums[1] / self.terms_at
        return AtCoefficients(
            loglik, score, hazard, s0, left, mean, died, one, one_f, two, two_f, two_ff, average, average_f
        )

    def information(self, at: AtCoefficients, by_time: FloatArray | None = None) -> FloatArray:
        """Observed information (p, p); with `by_time` (K,), each event time's part multiplied by it."""
        factor = self._hazard_over(at, by_time)
        factor *= self.weight
        factor *= at.relative_hazard
        one, two, three = at.two, at.two_f, at.two_ff
        if by_time is not None:
            one, two, three = one * by_time, two * by_time, three * by_time
        # The squares of the means (s1 - f d1) / (s0 t), summed over the tied events of each time.
        crossed = (at.mean * two[:, None]).T @ at.died
        means = (at.mean * one[:, None]).T @ at.mean - crossed - crossed.T + (at.died * three[:, None]).T @ at.died
        result: FloatArray = cross_product(self.x, factor) - means
        return (result + result.T) / 2.0

    def evaluate(self, coef: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log-likelihood, score and information, for `newton.climb`."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            at = self.at(coef)
            return at.loglik, at.score, self.information(at)

    def score_residuals(self, coef: FloatArray) -> FloatArray:
        """(n, p): what one unit of weight of each row adds to the score; weighted, they sum to it (zero at the fit)."""
        return columns_of(self._score_residual(coef), self.x.shape[1], len(self.x))

    def score_by(self, coef: FloatArray, codes: IntArray, size: int, weight: FloatArray | None) -> FloatArray:
        """Score residuals, each times `weight` (n,), summed over groups: (size, p); no residual per row is kept."""
        column = self._score_residual(coef)

        def total(k: int) -> FloatArray:
            residual = column(k)
            if weight is not None:
                residual *= weight
            return np.bincount(codes, residual, minlength=size).astype(np.float64)

        return columns_of(total, self.x.shape[1], size)

    def _score_residual(self, coef: FloatArray) -> Callable[[int], FloatArray]:
        """The score residuals (n,) of one covariate, by its number."""
        at = self.at(coef)
        over = self._hazard_over(at)
        # A row that ends in a tied event is, with Efron, at risk for it only in part.
        expected = (at.two[:, None] * at.mean - at.two_f[:, None] * at.died) / at.s0[:, None]
        in_part = (at.two_f[:, None] * at.mean - at.two_ff[:, None] * at.died) / at.s0[:, None]
        met = self._mean_at_event(at)
        rows, place = self.rows, self.place

        def column(k: int) -> FloatArray:
            residual = self.sets.over(expected[:, k])
            residual[rows] -= in_part[place, k]
            residual -= self.x[:, k] * over
            residual *= at.relative_hazard
            residual[rows] += self.x[rows, k] - met[place, k]
            return residual

        return column

    def martingale_residuals(self, coef: FloatArray) -> FloatArray:
        """(n,): events less those expected of each row."""
        at = self.at(coef)
        result: FloatArray = self.event - at.relative_hazard * self._hazard_over(at)
        return result

    def schoenfeld(self, coef: FloatArray) -> tuple[IntArray, FloatArray]:
        """Rows with an event and, for each, its covariates less those expected among the rows at risk: (d,), (d, p)."""
        expected = self._mean_at_event(self.at(coef))[self.place]
        return self.rows, self.x[self.rows] - expected

    def baseline_increments(self, coef: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Jumps at each event time, at covariates zero on the scale of `x`.

        Returns those of the cumulative hazard (K,), of its variance at known coefficients (K,), and of the hazard
        times the covariates expected among those at risk (K, p), by which the coefficients move it.
        """
        at = self.at(coef)
        unit = np.exp(self._scale(linear(self.x, coef)))
        scale = at.s0 * unit
        expected = (at.two[:, None] * at.mean - at.two_f[:, None] * at.died) / scale[:, None]
        return at.one / scale, at.two / scale**2, expected

    @cached_property
    def _opening(self) -> IntArray:
        return np.searchsorted(self.time_index, np.arange(len(self.sets.time)))

    def _by_time(self, terms: FloatArray) -> FloatArray:
        # The terms stand in the order of their times, and every event time has one.
        result: FloatArray = np.add.reduceat(terms, self._opening) if len(terms) else np.zeros(len(self.sets.time))
        return result

    def _hazard_over(self, at: AtCoefficients, by_time: FloatArray | None = None) -> FloatArray:
        whole, part = at.one / at.s0, at.one_f / at.s0
        if by_time is not None:
            whole, part = whole * by_time, part * by_time
        result = self.sets.over(whole)
        result[self.rows] -= part[self.place]
        return result

    def _mean_at_event(self, at: AtCoefficients) -> FloatArray:
        # Tied events share the mean of their terms, as in R.
        return at.average[:, None] * at.mean - at.average_f[:, None] * at.died
