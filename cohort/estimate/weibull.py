"""The Weibull likelihood on arrays: a log cumulative hazard linear in log time, z = shape * log t + intercept + x coef.

Every contribution is a function of the cumulative hazard H = exp(z) at up to three days: entry, lower, upper.

    known day:     z - H(upper) + log(shape) - log(upper)        free until lower:   -H(lower)
    in (lower, upper]:  log(exp(-H(lower)) - exp(-H(upper)))     late entry:         +H(entry), added to each

In these parameters the log-likelihood is concave unless entries are late (Burridge 1981, JRSS B 43:41), so Newton's
method finds it; those of R's `survreg` (coefficients of log time, log scale) follow by the delta method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray
from cohort.estimate.bounds import Bounds
from cohort.estimate.design import standardize
from cohort.estimate.newton import Maximum, climb, independent

SHAPES = (1e-3, 1e3)  # beyond, the climb was on its way to a hazard all at once, at the start or on one day
NOTHING = 1e-6  # information per event, on the scale of covariates of spread 1: a standard error of 1000 with one event


@dataclass(frozen=True)
class WeibullLikelihood:
    """n rows with p columns x; parameters are (shape - 1, intercept, coef), so that zero is an exponential model.

    entry : (n,), 0 or less if from the start; unit : days by which time is divided, which keeps numbers near 1.
    """

    x: FloatArray
    bounds: Bounds
    entry: FloatArray
    weight: FloatArray
    unit: float

    def evaluate(self, parameters: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log-likelihood, score (p + 2,) and information (p + 2, p + 2)."""
        size = len(parameters)
        shape = 1.0 + parameters[0]
        nowhere = -np.inf, np.zeros(size), np.eye(size)
        if shape <= 0.0:
            return nowhere
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            value, slopes, curvature, both = self._terms(parameters)
            score, information = np.zeros(size), np.zeros((size, size))
            designs = self._designs()
            for design, slope, bend in zip(designs, slopes, curvature, strict=True):
                score += (self.weight * slope) @ design
                information -= design.T @ ((self.weight * bend)[:, None] * design)
            _, at_lower, at_upper = designs
            cross = at_lower.T @ ((self.weight * both)[:, None] * at_upper)
            information -= cross + cross.T
        known = float(self.weight[self.bounds.exact].sum())
        score[0] += known / shape
        information[0, 0] += known / shape**2
        if not (np.isfinite(score).all() and np.isfinite(information).all()):
            return nowhere
        return float((self.weight * value).sum()), score, information

    def score_residuals(self, parameters: FloatArray) -> FloatArray:
        """(n, p + 2): what one unit of weight of each row adds to the score."""
        _, slopes, _, _ = self._terms(parameters)
        parts = [slope[:, None] * design for slope, design in zip(slopes, self._designs(), strict=True)]
        result: FloatArray = np.sum(parts, axis=0)
        result[self.bounds.exact, 0] += 1.0 / (1.0 + parameters[0])
        return result

    def _days(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.entry, self.bounds.lower, self.bounds.upper

    def _designs(self) -> list[FloatArray]:
        """Derivatives of z at entry, lower and upper, (n, p + 2) each; days that carry no hazard get a zero."""
        ones = np.ones(len(self.entry))
        with np.errstate(divide="ignore"):
            logs = [np.log(np.where((day > 0) & np.isfinite(day), day / self.unit, 1.0)) for day in self._days()]
        return [np.column_stack([log, ones, self.x]) for log in logs]

    def _terms(
        self, parameters: FloatArray
    ) -> tuple[FloatArray, tuple[FloatArray, ...], tuple[FloatArray, ...], FloatArray]:
        """Log-likelihood (n,), its first and second derivatives by z at entry, lower and upper, and by the last two."""
        shift = np.append(1.0, np.zeros(len(parameters) - 1))
        z_entry, z_lower, z_upper = (design @ (parameters + shift) for design in self._designs())
        entry, lower, upper = self._days()
        exact, found = self.bounds.exact, self.bounds.found
        between = found & ~exact
        h_entry = np.where(entry > 0, np.exp(z_entry), 0.0)
        h_lower = np.where(~exact & (lower > 0), np.exp(z_lower), 0.0)
        h_upper = np.where(found, np.exp(z_upper), 0.0)
        width = h_upper - h_lower
        # 1 / (exp(width) - 1): the odds of the event after the interval rather than in it.
        odds = np.where(between, 1.0 / np.expm1(np.where(between, width, 1.0)), 0.0)
        with_day = np.where(exact, upper, 1.0)
        inside = np.log(-np.expm1(-np.where(between, width, 1.0)))
        value = (
            h_entry
            - h_lower
            + np.where(exact, z_upper - h_upper + np.log1p(parameters[0]) - np.log(with_day), 0.0)
            + np.where(between, inside, 0.0)
        )
        slope_lower = -(1.0 + odds) * h_lower
        slope_upper = np.where(exact, 1.0 - h_upper, odds * h_upper)
        bend = odds * (1.0 + odds)
        return (
            value,
            (h_entry, slope_lower, slope_upper),
            (
                h_entry,
                slope_lower - bend * h_lower**2,
                np.where(exact, -h_upper, odds * h_upper - bend * h_upper**2),
            ),
            bend * h_lower * h_upper,
        )


@dataclass(frozen=True)
class WeibullFit:
    """A fitted model; parameters are (shape, intercept, coef of the kept columns) of z, with time in days.

    kept : (p,) columns in the likelihood; to_days : (q, q), from the parameters of the climb to these.
    """

    likelihood: WeibullLikelihood
    maximum: Maximum
    null_loglik: float
    kept: BoolArray
    to_days: FloatArray

    @property
    def parameters(self) -> FloatArray:
        """(q,); those without limit are far out, and `limited` says which."""
        result: FloatArray = self.to_days @ (self.maximum.coef + np.append(1.0, np.zeros(len(self.to_days) - 1)))
        return result

    @property
    def moving(self) -> BoolArray:
        """(q,) parameters that still moved where the likelihood had gone flat: they have no limit."""
        return self.maximum.unlimited

    def determined(self, combinations: FloatArray) -> BoolArray:
        """(r,) which linear combinations (r, q) of the parameters have a finite estimate.

        They are those that no direction without information moves: a group without an event leaves others as they are.
        Without a shape, or without a maximum, there is none.
        """
        if not self.maximum.converged and not self.moving.any():
            return np.zeros(len(combinations), dtype=bool)
        if self.moving[0] or not SHAPES[0] < self.parameters[0] < SHAPES[1]:
            return np.zeros(len(combinations), dtype=bool)
        _, vectors, held = self._directions()
        climbed = combinations @ self.to_days
        moved = np.abs(climbed @ vectors[:, ~held]).max(axis=1, initial=0.0)
        result: BoolArray = moved < 1e-6 * np.abs(climbed).max(axis=1)
        return result

    def _directions(self) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Eigenvalues and vectors of the information, and which hold some: more than `NOTHING` an event."""
        bounds, weight = self.likelihood.bounds, self.likelihood.weight
        values, vectors = np.linalg.eigh(self.maximum.information)
        return values, vectors, values > NOTHING * float(weight[bounds.found].sum())

    def naive_variance(self) -> FloatArray:
        """(q, q) inverse information."""
        result: FloatArray = self.to_days @ self._inverse() @ self.to_days.T
        return result

    def robust_variance(self, scores: FloatArray, copies: FloatArray) -> FloatArray:
        """(q, q) sandwich of the scores summed by cluster (clusters, q), each standing for `copies` clusters."""
        influence = scores @ self._inverse() @ self.to_days.T
        result: FloatArray = influence.T @ (copies[:, None] * influence)
        return result

    def _inverse(self) -> FloatArray:
        # Directions that hold no information are left out; what they would move is not determined and not reported.
        values, vectors, held = self._directions()
        result: FloatArray = (vectors[:, held] / values[held]) @ vectors[:, held].T
        return result


def fit_weibull(x: FloatArray, bounds: Bounds, entry: FloatArray, weight: FloatArray) -> WeibullFit:
    """Fit on arrays: x (n, p) complete, weights positive, at least one event.

    >>> days = np.array([1.0, 2.0, 3.0, 4.0])
    >>> fit = fit_weibull(np.zeros((4, 0)), Bounds(days, days), np.zeros(4), np.ones(4))
    >>> round(1.0 / float(fit.parameters[0]), 4)
    0.4076
    """
    standard, centre, scale = standardize(x, weight)
    kept = independent(standard.T @ (weight[:, None] * standard) / weight.sum())
    last = np.where(bounds.found, (bounds.lower + bounds.upper) / 2.0, bounds.lower)
    unit = float((weight * (last - entry)).sum() / weight[bounds.found].sum())
    likelihood = WeibullLikelihood(standard[:, kept], bounds, entry, weight, unit)
    spread = np.concatenate([[1.0, 1.0], np.ptp(standard[:, kept], axis=0)])
    maximum = climb(likelihood.evaluate, len(spread), spread)
    null = climb(WeibullLikelihood(standard[:, :0], bounds, entry, weight, unit).evaluate, 2, spread[:2])

    to_days = np.eye(len(spread))
    to_days[2:, 2:] = np.diag(1.0 / scale[kept])
    to_days[1, 0] = -np.log(unit)
    to_days[1, 2:] = -centre[kept] / scale[kept]
    return WeibullFit(likelihood, maximum, null.loglik, kept, to_days)
