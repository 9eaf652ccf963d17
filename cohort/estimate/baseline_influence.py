"""A hazard at given covariates owes something to every patient: through the coefficients and through the baseline.

At event time k the cumulative hazard at covariates z jumps by h_k, the sum of m_q / D_q over the terms q of k (one per
tied event with Efron, one with Breslow): m_q the weight of a term, D_q the hazards of those at risk relative to z. One
unit of weight of row i, at risk with relative hazard r_i, moves h_k by

    h_k / d_k                            if it ends at k in an event; d_k the weight of the events at k
    - r_i sum of (1 - f_q) m_q / D_q^2   f_q the share of the tied events already gone, for rows that end in one
    + dh_k / dbeta . psi_i               psi_i the influence of the row on the coefficients

Incidences are functions of the jumps, so their influence is a sum over the event times, weighted by the derivative of
the incidence by each jump. Added over the rows of a cluster, squared and summed, that is the robust variance (Tsiatis
1981, Annals of Statistics 9:93; Reid and Crepeau 1985, Biometrika 72:1; Lin and Wei 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate.cox import CoxFit
from cohort.estimate.risk_sets import sum_by

Product = Literal["exponential", "limit"]
CHUNK = 4_000_000  # influences held at once (rows x columns)
BLOCK = 200_000  # hazards held at once (rows x event times), few enough for the cache


@dataclass(frozen=True)
class CauseModel:
    """The Cox model of one cause, with the influence of each cluster on its coefficients, worked out once.

    columns : (p,) places of its covariates among those of the profiles; cluster : (n,) codes from 0.
    influence : (clusters, q) on the q limited coefficients; copies : (clusters,), how many clusters each stands for;
    naive : (q, q) inverse information.
    relation : what the kept columns and the stratum say the columns left out of the fit are, NaN where they cannot.
    """

    fit: CoxFit
    columns: IntArray
    cluster: IntArray
    influence: FloatArray
    copies: FloatArray
    naive: FloatArray
    relation: FloatArray

    @classmethod
    def of(cls, fit: CoxFit, columns: IntArray, x: FloatArray) -> CauseModel:
        """The model as fitted to x (n, p)."""
        cluster = np.unique(fit.rows.cluster, return_inverse=True)[1]
        size = int(cluster.max(initial=-1)) + 1
        # A coefficient without limit leaves no standard error to work out.
        influence, copies = np.zeros((size, int(fit.limited.sum()))), np.ones(size)
        if not fit.maximum.unlimited.any():
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                influence, copies = fit.influence()
        return cls(fit, columns, cluster, influence, copies, fit.naive_variance(), _relation(fit, x))

    @property
    def limited(self) -> bool:
        """Whether every coefficient has a finite value and a variance."""
        known = np.isfinite(self.naive).all() and np.isfinite(self.influence).all()
        return bool(known) and not self.fit.maximum.unlimited.any()

    def tells(self, x: FloatArray, stratum: int) -> bool:
        """Whether the rows say anything of covariates x (p,): a column without a coefficient must be as among them."""
        if self.fit.kept.all():
            return True
        scaled = (x - self.fit.centre) / self.fit.scale
        told = self._known(scaled[self.fit.kept], stratum) @ self.relation
        return bool(np.isclose(told, scaled[~self.fit.kept], rtol=1e-6, atol=1e-6).all())

    def _known(self, kept: FloatArray, stratum: int) -> FloatArray:
        size = len(self.relation) - len(kept)
        return np.append(kept, np.arange(size) == stratum)


def _relation(fit: CoxFit, x: FloatArray) -> FloatArray:
    if fit.kept.all():
        return np.zeros((len(fit.kept), 0))
    used = fit.likelihood.sets.end > fit.likelihood.sets.first
    of_stratum = fit.rows.stratum[used, None] == np.arange(int(fit.rows.stratum.max(initial=0)) + 1)
    known = np.column_stack([fit.likelihood.x[used], of_stratum])
    left_out = ((x - fit.centre) / fit.scale)[np.ix_(used, ~fit.kept)]
    result: FloatArray = np.linalg.lstsq(known, left_out, rcond=None)[0]
    missed = np.abs(left_out - known @ result).max(axis=0, initial=0.0)
    return np.where(missed < 1e-6, result, np.nan)


@dataclass(frozen=True)
class ProfileHazard:
    """The cumulative hazard of one model at one vector of covariates.

    jump, spread : (K,) at each event time, and the variance of the jumps at known coefficients; part : (K,) what of
    `spread` rows that end in an event are not at risk for; slope : (K, q) of the jumps by the limited coefficients;
    relative : (n,) hazard of each row relative to the profile.
    """

    model: CauseModel
    jump: FloatArray
    spread: FloatArray
    part: FloatArray
    slope: FloatArray
    relative: FloatArray

    @classmethod
    def of(cls, model: CauseModel, x: FloatArray) -> ProfileHazard:
        """The hazard at covariates x (p,), on the scale of the rows; infinite where that is too far to compute."""
        fit = model.fit
        z = ((x - fit.centre) / fit.scale)[fit.kept]
        seen = replace(fit.likelihood, x=fit.likelihood.x - z)  # the baseline of these rows is the profile itself
        coef, q, f = fit.maximum.coef, seen.time_index, seen.fraction
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            jump, spread, expected = seen.baseline_increments(coef)
            relative = np.exp(seen.x @ coef)
            weighted = seen.weight * relative
            per_term = 1.0 / (seen.sets.sums(weighted)[q] - f * seen.sets.deaths(weighted, seen.rows)[q])
            part = jump * np.bincount(q, f * per_term**2) / np.bincount(q, per_term)  # all terms of a time weigh alike
        slope = -expected[:, ~fit.maximum.unlimited] * fit.scale[fit.limited]
        return cls(model, jump, spread, part, slope, relative)

    def influence(self, by_jump: FloatArray) -> FloatArray:
        """What each cluster adds to sums of the jumps weighted by `by_jump` (K, m): (clusters, m)."""
        fit, likelihood = self.model.fit, self.model.fit.likelihood
        sets, rows = likelihood.sets, likelihood.rows
        own, cluster, size = sets.at_event[rows], self.model.cluster, len(self.model.copies)
        per_event = self.jump / np.bincount(own, likelihood.weight[rows], minlength=len(self.jump))
        times = self.relative if fit.weight_kind == "frequency" else self.relative * likelihood.weight
        once = np.ones(len(rows)) if fit.weight_kind == "frequency" else likelihood.weight[rows]
        result = self.model.influence @ (self.slope.T @ by_jump)
        width = max(1, CHUNK // max(len(times), 1))
        for begin in range(0, by_jump.shape[1], width):
            part = slice(begin, begin + width)
            g = by_jump[:, part]
            result[:, part] -= sum_by(cluster, times[:, None] * sets.over(g * self.spread[:, None]), size)
            at_own = once * per_event[own] + times[rows] * self.part[own]
            result[:, part] += sum_by(cluster[rows], g[own] * at_own[:, None], size)
        return result

    def naive_variance(self, by_jump: FloatArray) -> FloatArray:
        """Model-based variance of the same sums, (m,): Tsiatis's, of the jumps and of the coefficients."""
        moved = self.slope.T @ by_jump
        result: FloatArray = self.spread @ by_jump**2 + np.einsum("qm,qr,rm->m", moved, self.model.naive, moved)
        return result


@dataclass(frozen=True)
class Incidences:
    """The share free of all causes (L + 1,) and with each first event (L + 1, J), from jumps (L, J) at L times.

    With the product "exponential" a time with jumps h_j and sum H leaves the share exp(-H), and the rest is divided
    as the jumps are: F_j rises by S (1 - exp(-H)) h_j / H. With "limit" it leaves 1 - H, and F_j rises by S h_j; where
    H exceeds one, which rows at risk cannot but a profile can, nothing follows (NaN).
    """

    jumps: FloatArray
    free: FloatArray
    incidence: FloatArray
    product: Product

    @classmethod
    def of(cls, jumps: FloatArray, product: Product) -> Incidences:
        """Combine the causes.

        >>> both = Incidences.of(np.array([[0.25, 0.0], [0.0, 0.5]]), "limit")
        >>> both.free.tolist(), both.incidence[-1].tolist()
        ([1.0, 0.75, 0.375], [0.25, 0.375])
        >>> both = Incidences.of(np.array([[0.25, 0.25]]), "exponential")
        >>> bool(np.isclose(both.free[-1], np.exp(-0.5))), bool(np.isclose(both.incidence.sum() + both.free[-1], 1))
        (True, True)
        """
        total = jumps.sum(axis=1)
        if product == "exponential":
            left, share = np.exp(-total), _shared(total)[0]
        else:
            total = np.where(np.abs(total - 1.0) < 1e-12, 1.0, total)
            left, share = np.where(total > 1.0, np.nan, 1.0 - total), np.where(total > 1.0, np.nan, 1.0)
        free = np.append(1.0, np.cumprod(left))
        steps = (free[:-1] * share)[:, None] * jumps
        return cls(jumps, free, np.concatenate([np.zeros((1, jumps.shape[1])), np.cumsum(steps, axis=0)]), product)

    def by_jump(self, steps: IntArray, state: int) -> FloatArray:
        """Derivative of a state (0 free, 1.. causes) after `steps` times (T,) by each jump: (L, J, T)."""
        total = self.jumps.sum(axis=1)
        before = np.arange(len(total))[:, None] < steps
        thins = np.ones(len(total))
        if self.product == "limit":
            with np.errstate(divide="ignore", invalid="ignore"):
                thins = np.where(total < 1.0 - 1e-12, 1.0 / (1.0 - total), 0.0)  # after a share of 0 nothing moves
        shape = (len(total), self.jumps.shape[1], len(steps))
        if state == 0:
            gone = -self.free[steps] * thins[:, None] * before
            return np.broadcast_to(gone[:, None, :], shape)
        share = self.incidence[:, state - 1]
        later = -thins[:, None] * (share[steps] - share[1:, None])
        result: FloatArray = np.broadcast_to(later[:, None, :], shape).copy()
        if self.product == "exponential":
            value, slope = _shared(total)
            result += (self.free[:-1] * slope * self.jumps[:, state - 1])[:, None, None]
            result[:, state - 1] += (self.free[:-1] * value)[:, None]
        else:
            result[:, state - 1] += self.free[:-1, None]
        return np.where(before[:, None, :], result, 0.0)


def _shared(total: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(1 - exp(-H)) / H and its derivative, also where H is too small to divide by."""
    small = total < 1e-3
    h = np.where(small, 1.0, total)
    value = np.where(small, 1.0 - total / 2.0 + total**2 / 6.0 - total**3 / 24.0 + total**4 / 120.0, -np.expm1(-h) / h)
    slope = np.where(small, -0.5 + total / 3.0 - total**2 / 8.0 + total**3 / 30.0, (np.exp(-h) - value) / h)
    return value, slope


def linear_predictor(x: FloatArray, coef: FloatArray) -> FloatArray:
    """x (n, p) times coef (p,), added column by column: a matrix product may round rows alike differently.

    >>> linear_predictor(np.array([[1.0, 2.0]]), np.array([3.0, 4.0])).tolist()
    [11.0]
    """
    return sum((x[:, j] * b for j, b in enumerate(coef)), np.zeros(len(x)))


def incidences_of_rows(jumps: FloatArray, relative: FloatArray, steps: IntArray, cause: int) -> FloatArray:
    """Incidence of one cause (1..) for many rows after `steps` times (T,): (n, T), with the exponential product.

    jumps : (L, J) baseline jumps at L times; relative : (n, J) hazard of each row relative to the baseline.
    """
    result = np.zeros((len(relative), len(steps)))
    if jumps.shape[1] == 1:
        total = np.append(0.0, np.cumsum(jumps[:, 0]))
        return -np.expm1(-np.outer(relative[:, 0], total[steps]))
    jumps = jumps[: steps.max(initial=0)]
    width = max(1, BLOCK // max(len(jumps), 1))
    for begin in range(0, len(relative), width):
        part = relative[begin : begin + width]
        total = sum((part[:, [j]] * jumps[:, j] for j in range(jumps.shape[1])), np.zeros((len(part), len(jumps))))
        free = np.ones((len(part), len(jumps) + 1))
        np.exp(-np.cumsum(total, axis=1), out=free[:, 1:])
        ours = part[:, [cause - 1]] * jumps[:, cause - 1] / np.maximum(total, np.finfo(float).tiny)
        grown = np.zeros(free.shape)
        np.cumsum((free[:, :-1] - free[:, 1:]) * ours, axis=1, out=grown[:, 1:])
        result[begin : begin + width] = grown[:, steps]
    return result


def merged_times(
    models: Sequence[CauseModel | None], stratum: int
) -> tuple[FloatArray, list[BoolArray], list[IntArray]]:
    """Event times (L,) of all causes in one stratum; for each cause which of its times (K,) those are, and where."""
    sets = [None if model is None else model.fit.likelihood.sets for model in models]
    inside = [np.zeros(0, dtype=bool) if one is None else one.stratum == stratum for one in sets]
    own = [np.zeros(0) if one is None else one.time[mine] for one, mine in zip(sets, inside, strict=True)]
    merged = np.unique(np.concatenate(own))
    return merged, inside, [np.searchsorted(merged, times) for times in own]
