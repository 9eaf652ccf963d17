"""A missing value is drawn from a regression on all else, and the regression's coefficients are drawn before it.

Numbers: linear regression, coefficients and spread drawn from their posterior under a flat prior (Rubin 1987, p. 167).
The value is then one of the 5 known ones predicted nearest to it (predictive mean matching; Little 1988), so that it is
a value that occurs, or a normal deviate around the prediction. Two categories: logistic regression, coefficients drawn
from their normal approximation. More: a logit for each step from a category to those after it, which for ordered
categories is the continuation ratio; for others it is a model of them all too, its likelihood the product of the steps.

Where a predictor separates the categories the likelihood has no maximum. Pseudo-observations half a standard deviation
to either side of the mean of each predictor, of both categories and together of weight p + 1, keep it finite
(White, Daniel and Royston 2010, Comput Stat Data Anal 54:2267; weights as in R's `mice`).

All predictors are standardized by the known records; one that does not vary among these predicts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs
from scipy.special import expit

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate.risk_sets import RiskSets, cross_product

NumberModel = Literal["pmm", "normal"]
DONORS = 5
RIDGE = 1e-5  # of the information's diagonal, as R's `mice`
CLOSE = 1e-4  # the squared Newton step in standard errors after which the next one would be far below what is drawn
MAX_STEPS = 30


@dataclass(frozen=True)
class Drawn:
    """A drawn regression.

    coef : (p, s) of standardized predictors, s linear predictors per value; value : from (r, s) linear predictors and
    the spread around them, (r,) as in `draw_number`, to r values drawn; fitted : (p, s), where the next fit of the same
    column may start.
    """

    coef: FloatArray
    value: Callable[[FloatArray, FloatArray], FloatArray]
    fitted: FloatArray


@dataclass(frozen=True)
class Scale:
    """Mean and spread (p,) of predictors among the known records; one without spread is made zero, and so left out."""

    centre: FloatArray
    spread: FloatArray

    @classmethod
    def standardized(cls, columns: Sequence[FloatArray] | FloatArray, intercept: int = 1) -> tuple[Scale, FloatArray]:
        """The scale of columns (n,), the first of them the intercept if there is one, and the standardized matrix."""
        x = np.array(columns, dtype=np.float64)
        centre = x.mean(axis=1)
        centre[:intercept] = 0.0
        x -= centre[:, None]
        spread = np.sqrt(np.einsum("pn,pn->p", x, x) / x.shape[1])
        spread = np.where(spread > 1e-9 * np.abs(centre), spread, 0.0)
        spread[:intercept] = 1.0
        scale = cls(centre, spread)
        x *= scale._per_spread[:, None]
        return scale, x.T

    def apply(self, columns: Sequence[FloatArray] | FloatArray) -> FloatArray:
        """The standardized matrix of columns of other records."""
        x = np.array(columns, dtype=np.float64)
        x -= self.centre[:, None]
        x *= self._per_spread[:, None]
        return x.T

    @cached_property
    def _per_spread(self) -> FloatArray:
        result: FloatArray = np.where(self.spread > 0, 1.0 / np.where(self.spread > 0, self.spread, 1.0), 0.0)
        return result


def hazard_over(exit_: FloatArray, event: BoolArray, entry: FloatArray, weight: FloatArray) -> FloatArray:
    """Nelson-Aalen cumulative hazard that each row has lived through in (entry, exit]; shape (n,).

    What belongs into the imputation model of a covariate beside the event (White and Royston 2009, Stat Med 28:1982).

    >>> late = np.array([-np.inf, -np.inf, 1.0])
    >>> hazard_over(np.array([1.0, 2.0, 2.0]), np.array([True, True, False]), late, np.ones(3)).tolist()
    [0.5, 1.0, 0.5]
    """
    happened = event & (weight > 0)
    if not happened.any():
        return np.zeros(len(exit_))
    sets = RiskSets.of(exit_, happened, entry)
    jumps = np.bincount(sets.at_event[happened], weight[happened], minlength=len(sets.time)) / sets.sums(weight)
    total = np.append(0.0, np.cumsum(jumps))
    result: FloatArray = total[sets.end] - total[sets.first]
    return result


def draw_number(
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    rng: np.random.Generator,
    model: NumberModel,
    spread: FloatArray | None = None,
) -> Drawn:
    """A linear regression of known numbers y (n,) on standardized x (n, p), drawn from its posterior.

    spread : (n,) of each record around its prediction, in units of the spread that is drawn.
    """
    precision = weight if spread is None else weight / spread**2
    information = cross_product(x, precision)
    ridge = RIDGE * np.diag(information)
    ridge[0] = 0.0  # the level of y is no matter of collinearity
    factor, used = _factor(information + np.diag(ridge))
    fitted = _solved(factor, x.T @ (precision * y)) * used
    predicted = x @ fitted
    residual = y - predicted
    freedom = max(float(weight.sum()) - int(used.sum()), 1.0)
    sigma = float(np.sqrt((precision * residual) @ residual / rng.chisquare(freedom)))
    coef = fitted + sigma * _backwards(factor, rng.standard_normal(len(fitted))) * used
    donors = Donors.of(predicted, y)
    usual = 1.0 if spread is None else float((spread**2).mean())

    def value(at: FloatArray, around: FloatArray) -> FloatArray:
        # Donors bring the spread that is usual among them; only what goes beyond it must be added to the prediction.
        more = around if model == "normal" else np.sqrt(np.maximum(around**2 - usual, 0.0))
        drawn = at[:, 0] + sigma * more * rng.standard_normal(len(at))
        return drawn if model == "normal" else donors.values(drawn, rng)

    return Drawn(coef[:, None], value, fitted[:, None])


@dataclass(frozen=True)
class Donors:
    """Known values in order of what was predicted for them, both (n,)."""

    predicted: FloatArray
    value: FloatArray

    @classmethod
    def of(cls, predicted: FloatArray, value: FloatArray) -> Donors:
        """Sort by prediction."""
        order = np.argsort(predicted, kind="stable")
        return cls(predicted[order], value[order])

    def values(self, wanted: FloatArray, rng: np.random.Generator, donors: int = DONORS) -> FloatArray:
        """One of the nearest `donors` known values for each prediction wanted (r,), with all that are as near.

        >>> rng = np.random.default_rng(1)
        >>> some = Donors.of(np.array([0.0, 1.0, 2.0, 9.0]), np.array([10.0, 11.0, 12.0, 19.0]))
        >>> set(some.values(np.full(100, 0.9), rng, 2).tolist()) == {10.0, 11.0}
        True
        """
        n = len(self.predicted)
        donors = min(donors, n)
        place = np.searchsorted(self.predicted, wanted)
        near = np.clip(place[:, None] + np.arange(-donors, donors), 0, n - 1)
        distance = np.abs(self.predicted[near] - wanted[:, None])
        # Beyond either end the window repeats the last donor: a place outside is infinitely far.
        outside = place[:, None] + np.arange(-donors, donors) != near
        reach = np.partition(np.where(outside, np.inf, distance), donors - 1, axis=1)[:, donors - 1]
        reach = reach + 1e-12 * (np.abs(wanted) + reach)
        low = np.searchsorted(self.predicted, wanted - reach, side="left")
        high = np.searchsorted(self.predicted, wanted + reach, side="right")
        return self.value[rng.integers(low, np.maximum(high, low + 1))]


def draw_category(
    x: FloatArray,
    code: IntArray,
    size: int,
    weight: FloatArray,
    rng: np.random.Generator,
    start: FloatArray | None = None,
    shift: float = 0.0,
) -> Drawn:
    """Logistic regressions of known categories 0 to size - 1 (n,) on standardized x (n, p), drawn; one per step.

    start : (p, size - 1) coefficients to begin the climb at. shift : added to the log odds of each step upwards.
    """
    coef, fitted = np.empty((2, x.shape[1], size - 1))
    for step in range(size - 1):
        reached = code >= step
        part = slice(None) if step == 0 else reached
        begin = None if start is None else start[:, step]
        fitted[:, step], factor, used = fit_logistic(x[part], code[part] > step, weight[part], begin)
        coef[:, step] = fitted[:, step] + _backwards(factor, rng.standard_normal(len(coef))) * used

    def value(at: FloatArray, _: FloatArray) -> FloatArray:
        upwards = rng.random(at.shape) < expit(at + shift)
        return np.argmin(np.column_stack([upwards, np.zeros(len(at), dtype=bool)]), axis=1).astype(np.float64)

    return Drawn(coef, value, fitted)


def fit_logistic(
    x: FloatArray, y: BoolArray, weight: FloatArray, start: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Coefficients (p,), the upper triangle of the information's Cholesky factor (p, p), and which predictors vary.

    x : (n, p), standardized, the intercept first. With the pseudo-observations the maximum is finite and single.
    """
    used = np.einsum("ij,ij->j", x, x) > 0
    used[0] = True
    extra = np.flatnonzero(used)[1:]
    # Both categories at each place weigh a, so that all places together weigh as much as there are coefficients.
    a = (len(extra) + 1.0) / (4.0 * max(len(extra), 1))

    def at(coef: FloatArray, predictor: FloatArray) -> float:
        up, down = coef[0] + coef[extra] / 2.0, coef[0] - coef[extra] / 2.0
        pseudo = a * (up + down - 2.0 * (np.logaddexp(0.0, up) + np.logaddexp(0.0, down))).sum()
        return float(weight @ (y * predictor - np.logaddexp(0.0, predictor)) + pseudo)

    coef = np.zeros(x.shape[1]) if start is None else start * used
    predictor = x @ coef
    height = at(coef, predictor)
    for _ in range(MAX_STEPS):
        mean = expit(predictor)
        score = x.T @ (weight * (y - mean))
        information = cross_product(x, weight * mean * (1.0 - mean))
        up, down = expit(coef[0] + coef[extra] / 2.0), expit(coef[0] - coef[extra] / 2.0)
        rise, fall = a * (1.0 - 2.0 * up), a * (1.0 - 2.0 * down)
        score[0] += (rise + fall).sum()
        score[extra] += (rise - fall) / 2.0
        up, down = 2.0 * a * up * (1.0 - up), 2.0 * a * down * (1.0 - down)
        information[0, 0] += (up + down).sum()
        information[0, extra] += (up - down) / 2.0
        information[extra, 0] = information[0, extra]
        information[extra, extra] += (up + down) / 4.0
        factor, _ = _factor(information)
        step = _solved(factor, score) * used
        if float(score @ step) < CLOSE:
            coef = coef + step
            break
        for _ in range(20):
            trial = coef + step
            predictor = x @ trial
            reached = at(trial, predictor)
            if reached >= height - 1e-9 * (abs(height) + 1.0):
                break
            step = step / 2.0
        coef, height = trial, reached
    return coef, factor, used


def _factor(information: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The upper Cholesky factor (p, p), with a one for each predictor without information, and which have some."""
    # LAPACK itself, here and below: what scipy does around it takes longer than a matrix as small as these.
    diagonal = np.diag(information)
    used = diagonal > 0
    factor, failed = dpotrf(information + np.diag(np.where(used, 1e-10 * diagonal, 1.0)))
    if failed:
        raise np.linalg.LinAlgError("the information of an imputation model is not positive")
    return factor, used


def _backwards(factor: FloatArray, side: FloatArray) -> FloatArray:
    return np.asarray(dtrtrs(factor, side)[0], dtype=np.float64)


def _solved(factor: FloatArray, side: FloatArray) -> FloatArray:
    return np.asarray(dpotrs(factor, side)[0], dtype=np.float64)
