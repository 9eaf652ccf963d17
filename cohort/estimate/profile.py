"""A limit is where the likelihood, with everything else free to move, has fallen by half a chi-squared quantile.

With few events a likelihood is lopsided, and an estimate plus or minus two standard errors does not see it; its profile
does (Venzon and Moolgavkar 1988; for penalized likelihoods Heinze and Schemper 2002). The profile is followed along any
contrast of the coefficients, so that an intercept of centred columns is read like every other term.

The likelihood proper gives its own curvature at every point. What the penalty adds to it is learnt from the steps
taken, as rank-one corrections (a structured secant method), so that no fourth-order sums are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from cohort.domain.clock import BoolArray, FloatArray
from cohort.estimate import report
from cohort.estimate.newton import invert

SETTLED = 1e-9  # in standard errors: the step after which an estimate no longer changes
FOLLOWED = 3e-5  # the same on a profile, where only the height counts and that is known to the square of the step
NEAR = 1e-6  # in standard errors: the last correction of a limit, whose own error is of the order of its square
CLOSE_ENOUGH = 1e-3  # in standard errors: the distance of two looks that hold a limit between them
HIGHER = 1e-6  # a rise of twice the log-likelihood that is no rounding
PATIENCE, ROUNDING = 6, 1e-2  # steps that bring nothing, and how near to the top, in standard errors, they may end
LONGEST = 10.0  # of one step, on the scale of the linear predictor
FLATTEST = 0.02  # curvature that is reckoned with, as a share of the information's
MAX_STEPS, MAX_LOOKS = 60, 40


@dataclass(frozen=True)
class Point:
    """A penalized likelihood at coefficients (p,).

    loglik, score (p,) : with the penalty; penalty_score (p,) : the penalty's part of it; information (p, p) : without.
    """

    loglik: float
    score: FloatArray
    penalty_score: FloatArray
    information: FloatArray


Evaluate = Callable[[FloatArray], Point]


@dataclass(frozen=True)
class Place:
    """Where a climb stands: coefficients (p,), the likelihood there, and the curvature of its penalty learnt so far."""

    coef: FloatArray
    point: Point
    bend: FloatArray

    def directions(self, contrast: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """Where to go (p,): uphill, with the contrast as it is, and along the contrast, giving up least height.

        Worked where the information is the identity. There the penalty's curvature is a small number, unless events
        are very few; where the sum points downwards its size is kept, so that every step leads up.
        """
        white = np.linalg.inv(np.linalg.cholesky(self.point.information)).T
        curvature = np.eye(len(self.coef)) + white.T @ self.bend @ white
        score = white.T @ self.point.score
        if contrast is None:
            return white @ _solved(curvature, score), np.zeros_like(score)
        across = white.T @ contrast
        free = np.linalg.qr(across[:, None], mode="complete")[0][:, 1:]
        step = free @ _solved(free.T @ curvature @ free, free.T @ score)
        return white @ step, white @ _solved(curvature, across)

    def moved(self, coef: FloatArray, point: Point) -> Place:
        """The place of `coef`, with what the step there has taught about the penalty's curvature."""
        step = coef - self.coef
        missed = self.point.penalty_score - point.penalty_score - self.bend @ step
        along = float(missed @ step)
        bend = self.bend
        if abs(along) > 1e-4 * float(np.linalg.norm(missed) * np.linalg.norm(step)):
            bend = bend + np.outer(missed, missed) / along
        return Place(coef, point, bend)


def _solved(curvature: FloatArray, side: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(curvature)
    result: FloatArray = vectors @ ((vectors.T @ side) / np.maximum(np.abs(values), FLATTEST))
    return result


def maximize(
    evaluate: Evaluate,
    start: Place,
    spread: FloatArray,
    contrast: FloatArray | None = None,
    value: float = 0.0,
    close: float = SETTLED,
) -> Place | None:
    """The highest place, or the highest where `contrast @ coef == value`; None if it was not reached.

    spread : (p,) range of each column, which turns a step into a change of the linear predictor.
    The likelihood returned is corrected for the last step, which is known and not looked at.
    """
    place = start
    if contrast is not None:
        _, across = start.directions(contrast)
        coef = start.coef + (value - contrast @ start.coef) / (contrast @ across) * across
        point = evaluate(coef)
        if not _usable(point):
            return None
        place = start.moved(coef, point)
    best, idle = np.inf, 0
    for _ in range(MAX_STEPS):
        step, _ = place.directions(contrast)
        gain = max(float(place.point.score @ step), 0.0)
        left = float(np.sqrt(gain))  # the step, in standard errors
        best, idle = (left, 0) if left < best / 2.0 else (best, idle + 1)
        trial = None
        if left >= close and not (idle > PATIENCE and left < ROUNDING):
            trial = _uphill(evaluate, place, step * min(1.0, LONGEST / float((np.abs(step) * spread).max())))
        if trial is None:
            # What is left below this without a way up is rounding, where hardly any information remains.
            if left >= max(close, ROUNDING):
                return None
            return Place(place.coef + step, replace(place.point, loglik=place.point.loglik + gain / 2.0), place.bend)
        place = trial
    return None


def _uphill(evaluate: Evaluate, place: Place, step: FloatArray) -> Place | None:
    """The place after a step, halved until the likelihood is no lower, within rounding."""
    here = place.point.loglik
    for _ in range(20):
        coef = place.coef + step
        point = evaluate(coef)
        if _usable(point) and point.loglik >= here - 1e-12 * (abs(here) + 1.0):
            return place.moved(coef, point)
        step = step / 2.0
    return None


def _usable(point: Point) -> bool:
    return bool(np.isfinite(point.loglik) and np.isfinite(point.score).all() and np.isfinite(point.information).all())


def highest(evaluate: Evaluate, spread: FloatArray) -> Place | None:
    """The maximum, climbed from zero; spread (p,) as in `maximize`."""
    size = len(spread)
    point = evaluate(np.zeros(size))
    if not _usable(point):
        return None
    return maximize(evaluate, Place(np.zeros(size), point, np.zeros((size, size))), spread)


@dataclass(frozen=True)
class Profiles:
    """What a likelihood says of q contrasts, each (q,): estimate, its error, profile limits, signed root of the ratio.

    words : for each, what could not be found; empty where all was.
    """

    estimate: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    root: FloatArray
    words: list[list[str]]

    def columns(self) -> dict[str, FloatArray]:
        """Ratios with their limits and p, as the models' frames have them."""
        with np.errstate(over="ignore"):
            return {
                "estimate": np.exp(self.estimate),
                "conf_low": np.exp(self.low),
                "conf_high": np.exp(self.high),
                "coef": self.estimate,
                "std_error": self.std_error,
                "statistic": self.root,
                "p_value": 2.0 * stats.norm.sf(np.abs(self.root)),
            }

    @classmethod
    def missing(cls, size: int) -> Profiles:
        """Of nothing that could be estimated."""
        estimate, std_error, low, high, root = np.full((5, size), np.nan)
        return cls(estimate, std_error, low, high, root, [[] for _ in range(size)])

    def among(self, kept: BoolArray) -> Profiles:
        """The same with a missing row for every term that was not kept (q,)."""
        where = np.flatnonzero(kept)
        wide = Profiles.missing(len(kept))
        for name in ("estimate", "std_error", "low", "high", "root"):
            getattr(wide, name)[where] = getattr(self, name)
        for position, said in zip(where, self.words, strict=True):
            wide.words[position] = said
        return wide


def profiles(
    evaluate: Evaluate, fit: Place, spread: FloatArray, contrasts: FloatArray, confidence: float = 0.95
) -> Profiles:
    """Limits and likelihood ratios of contrasts (q, p) of the coefficients at a maximum.

    The error is the root of the contrast's variance by the inverse information, without the penalty's curvature.
    """
    variance = invert(fit.point.information)
    depth = report.quantile(confidence)
    found, words = [], []
    for contrast in contrasts:
        centre, error = float(contrast @ fit.coef), float(np.sqrt(contrast @ variance @ contrast))
        (low, rises), (high, rises_too) = (
            _limit(evaluate, fit, spread, contrast, centre, error, side, depth) for side in (-1.0, 1.0)
        )
        null = _followed(evaluate, fit, spread, contrast, 0.0)
        fall = np.nan if null is None else 2.0 * (fit.point.loglik - null.point.loglik)
        root = np.copysign(np.sqrt(max(fall, 0.0)), centre) if np.isfinite(fall) else np.nan
        found.append((centre, error, low, high, root))
        words.append(_words(low, high, root, rises or rises_too or fall < -HIGHER))
    estimate, std_error, low, high, root = np.array(found).T
    return Profiles(estimate, std_error, low, high, root, words)


def _followed(
    evaluate: Evaluate, start: Place, spread: FloatArray, contrast: FloatArray, value: float, halvings: int = 5
) -> Place | None:
    """The profile at a value, by way of values in between where it is too far to be reached at once."""
    there = maximize(evaluate, start, spread, contrast, value, FOLLOWED)
    if there is None and halvings:
        middle = (value + float(contrast @ start.coef)) / 2.0
        between = _followed(evaluate, start, spread, contrast, middle, halvings - 1)
        if between is not None:
            there = _followed(evaluate, between, spread, contrast, value, halvings - 1)
    return there


def _words(low: float, high: float, root: float, higher: bool) -> list[str]:
    said = ["the penalized likelihood is higher elsewhere: too few events for this estimate to stand"] if higher else []
    for name, limit in (("lower", low), ("upper", high)):
        if not np.isfinite(limit):
            said.append(f"no {name} limit: the profile of the likelihood could not be followed down to it")
        elif limit > 700.0:
            said.append(f"the {name} limit is beyond what can be written")
    if not np.isfinite(root):
        said.append("no p-value: the likelihood could not be climbed without the term")
    return said


def _limit(
    evaluate: Evaluate,
    fit: Place,
    spread: FloatArray,
    contrast: FloatArray,
    centre: float,
    error: float,
    side: float,
    depth: float,
) -> tuple[float, bool]:
    """Where the signed root of the profile reaches `depth` on one side, missing if it never does; and whether the
    likelihood was higher on the way than at the fit.

    The root is close to a straight line in the contrast and its slope is known, so Newton's method needs few looks;
    the limit is kept between a place too near and one too far.
    """
    near, far, distance, place = 0.0, np.inf, depth * error, fit
    reached = higher = False
    for _ in range(MAX_LOOKS):
        there = maximize(evaluate, place, spread, contrast, centre + side * distance, FOLLOWED)
        aim = np.inf
        if there is None:
            far, reached = distance, False
        else:
            fall = 2.0 * (fit.point.loglik - there.point.loglik)
            higher |= fall < -HIGHER
            root = float(np.sqrt(max(fall, 0.0)))
            slope = -side * float(there.point.score @ contrast) / float(contrast @ contrast)
            if root > 0.0 and slope > 0.0:
                aim = distance + (depth - root) * root / slope
            if abs(aim - distance) < NEAR * error:
                return centre + side * aim, higher
            if root < depth:
                near = distance
            else:
                far, reached = distance, True
            place = there
        if far - near < NEAR * error:
            break
        if not near < aim < far:
            aim = (near + far) / 2.0  # endless while no place too far is known
        distance = min(aim, 3.0 * distance)
    # Rounding may keep the last correction from becoming small: two looks close together hold the limit as well.
    held = reached and far - near < CLOSE_ENOUGH * error
    return (centre + side * (near + far) / 2.0 if held else np.nan), higher
