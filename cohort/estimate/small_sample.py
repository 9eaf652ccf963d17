"""With few clusters the sandwich is too small: the estimate leans on those by which its error is measured.

Where a cluster holds several units limits are from t, with the clusters that have an event, less one (`t_alone`): at 30
of them normal ones cover 93 % (benchmarks/intervals.py). Below 20 two corrections of the error itself are at hand.

Jackknife (Cox, Fine-Gray): the coefficients are fitted again without each cluster that has an event, the variance is
the sum of their squared changes, and t has as many degrees of freedom as there are such clusters, less one. Clusters
without an event are many and move the coefficients little; they enter by their influence, which is that change to
first order (Lipsitz, Dear and Zhao 1994, Biometrics 50:842). No factor (G - 1) / G is taken off.

CR2 (logistic, Poisson): residuals are divided by the square root of what a cluster's own leverage took from them, and
the degrees of freedom are Satterthwaite's, with the fitted model in the place of the truth (Bell and McCaffrey 2002,
Survey Methodology 28:169; Pustejovsky and Tipton 2018, J Bus Econ Stat 36:672), as R's `clubSandwich`. That model
knows how unlike the clusters are, and not that few have an event: unless "cr2" itself is asked for, the degrees of
freedom are never more than the clusters with an event, less one.

Simulated coverage of nominal 95 % where the coefficient is finite (12 to 120 patients, 1 to 6 vertebrae each, 6 to 18
patients with an event on average, shared frailty, two to four covariates; 350 to 600 cohorts in each of 16 settings):
Cox, plain sandwich 81 to 98 %, Fay and Graubard's bias correction (2001, Biometrics 57:1198) with their degrees of
freedom 94 to 100 %, jackknife with t 96 to 100 %; logistic and Poisson, plain sandwich 84 to 96 %, CR2 with
Satterthwaite's degrees of freedom 93 to 99 %, with those or fewer 95 to 99 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.kernel import PartialLikelihood, Ties, WeightKind
from cohort.estimate.newton import Maximum, climb, independent, invert_estimable
from cohort.estimate.risk_sets import RiskSets

HazardCorrection = Literal["auto", "none", "jackknife"]
GlmCorrection = Literal["auto", "none", "cr2"]

LARGE = 500  # rows of a cluster above which its root is taken among the covariates and not among the rows


def applies(choice: str, allowed: tuple[str, ...], clusters_with_event: float, robust: bool) -> bool:
    """Whether the variance is to be corrected; "auto" does so below 20 clusters with an event.

    >>> applies("auto", ("auto", "none", "jackknife"), 7, True), applies("none", ("auto", "none"), 7, True)
    (True, False)
    """
    if choice not in allowed:
        raise EstimationError(f"small_sample must be {', '.join(allowed[:-1])} or {allowed[-1]}, and is {choice!r}.")
    if choice == "none" or not robust:
        if choice not in ("none", "auto"):
            raise EstimationError(
                f'small_sample="{choice}" corrects a variance over clusters: name one, or do not say robust=False.'
            )
        return False
    return choice != "auto" or clusters_with_event < report.FEW_CLUSTERS


def t_alone(choice: str, corrected: bool, robust: bool, n_clusters: int, n_units: int) -> bool:
    """Whether limits are from t around the plain sandwich: several units in a cluster, enough clusters with an event.

    >>> t_alone("auto", False, True, 30, 75), t_alone("auto", False, True, 30, 30)
    (True, False)
    """
    return choice == "auto" and robust and not corrected and 1 < n_clusters < n_units


@dataclass(frozen=True)
class LeftOut:
    """Coefficients without each of E clusters with an event, less those with all.

    change : (E, p); copies : (E,), how many clusters each stands for (frequency weights); cluster : (E,) their codes.
    stepped : (E,), without it some coefficient has no limit, and its change is that of one Newton step.
    alone : (p,), the coefficient rests on one cluster, without which it cannot be estimated.
    """

    change: FloatArray
    copies: FloatArray
    cluster: IntArray
    stepped: BoolArray
    alone: BoolArray

    @property
    def df(self) -> float:
        """Clusters with an event, less one."""
        return float(self.copies.sum()) - 1.0


def leave_one_out(
    likelihood: PartialLikelihood,
    maximum: Maximum,
    sets_of: Callable[[BoolArray], RiskSets],
    cluster: IntArray,
    *,
    ties: Ties = "efron",
    weight_kind: WeightKind = "probability",
) -> LeftOut:
    """Fit again without each cluster with an event, from where the whole fit ended.

    sets_of : the risk sets of the rows kept (n,), which those with an event among them define; cluster : (n,) codes.
    With frequency weights one of the copies of the cluster is left out.
    """
    event, weight, p = likelihood.event, likelihood.weight, likelihood.x.shape[1]
    codes = np.unique(cluster[event])
    copies = np.ones(len(codes))
    change, stepped, alone = np.zeros((len(codes), p)), np.zeros(len(codes), dtype=bool), np.zeros(p, dtype=bool)
    spread = np.array([np.ptp(column) for column in likelihood.x.T])
    for e, code in enumerate(codes):
        left = np.where(cluster == code, 0.0, weight)
        if weight_kind == "frequency":
            copies[e] = weight[cluster == code].max()
            left = np.where(cluster == code, weight - 1.0, weight)
        keep = left > 0
        if not (event & keep).any():
            return LeftOut(change, copies, codes, stepped, np.ones(p, dtype=bool))
        part = PartialLikelihood.of(sets_of(keep), likelihood.x[keep], event[keep], left[keep], ties, weight_kind)
        told = independent(part.evaluate(np.zeros(p))[2] / left[event & keep].sum())
        alone |= ~told & ~maximum.unlimited
        if not told.all():
            part = replace(part, x=np.asfortranarray(part.x[:, told]))
        moved, stepped[e] = _refit(part, maximum.coef[told], maximum.unlimited[told], spread[told])
        change[e, told] = moved
    return LeftOut(change, copies, codes, stepped, alone)


def _refit(
    part: PartialLikelihood, start: FloatArray, unlimited: BoolArray, spread: FloatArray
) -> tuple[FloatArray, bool]:
    """Change of the coefficients from `start`, and whether one step had to do for some of them."""

    def from_start(move: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        return part.evaluate(start + move)

    here = from_start(np.zeros(len(start)))
    found = climb(from_start, len(start), spread, here)
    lost = found.unlimited & ~unlimited
    if not found.converged and not found.unlimited.any():
        lost = np.ones(len(start), dtype=bool)
    if not lost.any():
        return found.coef, False
    step = invert_estimable(here[2], unlimited) @ here[1]
    return np.where(lost, step, found.coef), True


def jackknife_variance(
    left_out: LeftOut, to_coef: FloatArray, influence: FloatArray, copies: FloatArray, limited: BoolArray
) -> FloatArray:
    """Variance (q, q) of the coefficients with a limit; missing for one that rests on a cluster alone.

    to_coef : (p,) by which a coefficient of the likelihood becomes one of the covariates; limited : (p,), q of them.
    influence, copies : (G, q) and (G,), of all clusters; those left out one at a time are taken from `left_out`.
    """
    rest = np.delete(np.arange(len(influence)), left_out.cluster)
    change = (left_out.change * to_coef)[:, limited]
    result: FloatArray = change.T @ (left_out.copies[:, None] * change)
    result = result + influence[rest].T @ (copies[rest, None] * influence[rest])
    alone = left_out.alone[limited]
    result[alone, :] = np.nan
    result[:, alone] = np.nan
    return result


def cr2(
    x: FloatArray,
    variance: FloatArray,
    weight: FloatArray,
    residual: FloatArray,
    cluster: IntArray,
    inverse: FloatArray,
    contrasts: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Influence of each cluster after the leverage correction (G, q), and degrees of freedom (q,).

    x : (n, p) with the intercept; variance, weight, residual : (n,), the variance function at the fitted means of a
    model with canonical link, prior weights, and y less mean. inverse : (p, p) of the information; contrasts : (q, p).

    >>> ones = np.ones((4, 1))
    >>> influence, df = cr2(ones, np.ones(4), np.ones(4), np.array([1.0, -1.0, 2.0, -2.0]), np.arange(4),
    ...                     np.array([[0.25]]), np.eye(1))
    >>> round(float((influence**2).sum()), 4), round(float(df[0]), 4)  # the variance of a mean, s^2 / n
    (0.8333, 3.0)
    """
    working = np.maximum(variance / weight, np.finfo(float).tiny)
    root = np.sqrt(working)
    slope = variance[:, None] * x / root[:, None]
    values, vectors = np.linalg.eigh(inverse)
    half_inverse = vectors * np.sqrt(np.maximum(values, 0.0))
    to_coef = contrasts @ inverse
    order = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster)
    starts = np.cumsum(sizes) - sizes
    q = len(contrasts)
    influence, own = np.zeros((len(sizes), q)), np.zeros((len(sizes), q))
    shared = np.zeros((len(sizes), q, len(inverse)))
    for size in np.unique(sizes[sizes > 0]):
        which = np.flatnonzero(sizes == size)
        rows = order[starts[which][:, None] + np.arange(size)]
        z, part = slope[rows], z_parts(slope[rows], working[rows], inverse, half_inverse)
        moves = to_coef @ part
        influence[which] = np.einsum("kqm,km->kq", moves, (residual / root)[rows])
        own[which] = (moves**2).sum(axis=2)
        shared[which] = moves @ z @ half_inverse
    return influence, _satterthwaite(own, shared)


def z_parts(z: FloatArray, working: FloatArray, inverse: FloatArray, half_inverse: FloatArray) -> FloatArray:
    """What scaled residuals (k, m) of k clusters of m rows add to the score after correction: (k, p, m)."""
    if z.shape[1] > LARGE:
        inner = z @ half_inverse
        values, vectors = np.linalg.eigh(np.eye(inner.shape[2]) - inner.transpose(0, 2, 1) @ inner)
        grown = vectors * _inverse_root(values)[:, None, :] @ vectors.transpose(0, 2, 1)
        return np.linalg.pinv(half_inverse).T @ grown @ inner.transpose(0, 2, 1)
    # The root is that of clubSandwich: of working^1/2 (working - slope M slope') working^1/2.
    scaled = z * working[..., None]
    kept = np.eye(z.shape[1]) * (working**2)[:, None, :] - scaled @ inverse @ scaled.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(kept)
    grown = vectors * _inverse_root(values)[:, None, :] @ vectors.transpose(0, 2, 1)
    result: FloatArray = z.transpose(0, 2, 1) @ grown * working[:, None, :]
    return result


def _inverse_root(values: FloatArray) -> FloatArray:
    # A direction that the fit takes up whole has no residual left to correct.
    held = values > 1e-12 * values.max(axis=-1, keepdims=True)
    return np.where(held, np.where(held, values, 1.0) ** -0.5, 0.0)


def _satterthwaite(own: FloatArray, shared: FloatArray) -> FloatArray:
    """Trace(P)^2 / trace(P P) where P has own - |shared|^2 on its diagonal and -shared shared' beside it; (q,)."""
    length = (shared**2).sum(axis=2)
    crossed = np.einsum("kqp,kqr->qpr", shared, shared)
    square = (own**2 - 2.0 * own * length).sum(axis=0) + (crossed**2).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        result: FloatArray = (own - length).sum(axis=0) ** 2 / square
    return result
