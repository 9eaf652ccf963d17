"""A likelihood is climbed until it stops moving, and a coefficient that never stops is reported as without limit.

Newton's method with step halving. Where a covariate separates events from non-events the likelihood rises for
ever: it flattens while the coefficient still moves at every step. That is told apart from convergence by the size
of the last step, so that no large finite number is mistaken for an estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray

Evaluate = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]

STILL_MOVING = 1e-3  # log hazard (or odds) over the range of the covariate, at a step where the likelihood is flat
CLOSE = 1e-10  # a step, on the scale of the linear predictor, after which the estimate no longer changes
EMPTY = 1e-12  # information left, as a share of that at the start, where a coefficient has run away
MAX_STEPS = 60


@dataclass(frozen=True)
class Maximum:
    """Where the climb ended: shape (p,) coefficients, log-likelihood, information (p, p), and which have no limit."""

    coef: FloatArray
    loglik: float
    null_loglik: float
    information: FloatArray
    score_statistic: float
    unlimited: BoolArray
    converged: bool
    steps: int


def independent(information: FloatArray, tolerance: float = 1e-9) -> BoolArray:
    """Which columns add information to those before them; shape (p,). Later copies of a column are the ones left out.

    information : (p, p), symmetric, of columns on a common scale.

    >>> independent(np.array([[1.0, 1.0], [1.0, 1.0]])).tolist()
    [True, False]
    """
    remaining = information.astype(np.float64).copy()
    scale = np.diag(information).copy()
    keep = np.zeros(len(scale), dtype=bool)
    for j in range(len(scale)):
        pivot = remaining[j, j]
        if pivot > tolerance * max(scale[j], tolerance) and scale[j] > tolerance:
            keep[j] = True
            remaining = remaining - np.outer(remaining[:, j], remaining[j, :]) / pivot
    return keep


def invert(information: FloatArray) -> FloatArray:
    """Inverse of an information matrix, scaled to unit diagonal first so that small entries keep their digits."""
    root = np.sqrt(np.diag(information))
    result: FloatArray = np.linalg.inv(information / np.outer(root, root)) / np.outer(root, root)
    return result


def invert_estimable(information: FloatArray, unlimited: BoolArray) -> FloatArray:
    """Inverse over the directions that hold information (p, p), read for coefficients that have a limit.

    Along a direction without limit the information vanishes; a pseudo-inverse leaves that direction out, and keeps
    what several unlimited coefficients have in common (as a rising and a falling one whose sum is finite).
    """
    if not unlimited.any():
        return invert(information)
    values, vectors = np.linalg.eigh(information)
    held = values > 1e-8 * values.max(initial=0.0)
    result: FloatArray = (vectors[:, held] / values[held]) @ vectors[:, held].T
    return result


def climb(
    evaluate: Evaluate, n_terms: int, spread: FloatArray, at_zero: tuple[float, FloatArray, FloatArray] | None = None
) -> Maximum:
    """Maximize a log-likelihood from zero.

    evaluate : coefficients -> (log-likelihood, score (p,), information (p, p)).
    spread : (p,) range of each covariate, which turns a step into a change of the linear predictor.
    at_zero : what `evaluate` says of zeros, when that is known already.
    """
    coef = np.zeros(n_terms)
    loglik, score, information = evaluate(coef) if at_zero is None else at_zero
    null, at_start = loglik, np.diag(information).copy()
    step = newton_step(information, score)
    score_statistic = float(score @ step)
    converged = False
    taken = 0
    for taken in range(1, MAX_STEPS + 1):  # noqa: B007 - the count is part of the result
        factor, better = 1.0, False
        while factor > 1e-8:
            trial = coef + factor * step
            new_loglik, new_score, new_information = evaluate(trial)
            # Rounding may hide a gain of the last, tiny step: equal within rounding is accepted.
            if np.isfinite(new_loglik) and new_loglik >= loglik - 1e-12 * (abs(loglik) + 1.0):
                better = True
                break
            factor /= 2.0
        if not better:
            break
        gain = new_loglik - loglik
        coef, loglik, score, information = trial, new_loglik, new_score, new_information
        moved, whole = np.abs(step) * spread, factor == 1.0
        step = newton_step(information, score)
        still = np.abs(step) * spread
        if whole and (
            moved.max(initial=0.0) < CLOSE or (still.max(initial=0.0) < CLOSE and moved.max(initial=0.0) < 1e-3)
        ):
            # The next step is known, and after it the error is its square: no need to look at the likelihood again.
            coef = coef + step
            converged = True
            break
        flat = abs(gain) < 1e-12 * (abs(loglik) + 1.0)
        if flat and still.max(initial=0.0) > STILL_MOVING:
            break
    moving = np.abs(step) * spread > STILL_MOVING
    # One step may leap so far out that nothing is left to climb: there the step is small because all is flat.
    moving |= ~(np.diag(information) > EMPTY * at_start)
    settled = bool(np.isfinite(step).all()) and not moving.any()
    return Maximum(coef, loglik, null, information, score_statistic, moving, converged or settled, taken)


def newton_step(information: FloatArray, score: FloatArray) -> FloatArray:
    """Information inverse times score, shape (p,)."""
    if not (np.isfinite(information).all() and np.isfinite(score).all()):
        return np.full(len(score), np.nan)  # too far out to say where to go
    diagonal = np.diag(information)
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    try:
        step: FloatArray = np.linalg.solve(information / np.outer(root, root), score / root) / root
    except np.linalg.LinAlgError:
        step = np.linalg.lstsq(information / np.outer(root, root), score / root, rcond=None)[0] / root
    return step
