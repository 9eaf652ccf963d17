"""Aalen-Johansen on arrays for any states: the share in each state, and what each cluster moves it.

At event time k with Y_h at risk in state h and d_hj moves from h to j: A_k = d / Y with rows that add to 0, and
p_k = p_{k-1} (I + A_k), so that the shares always add to 1 (Aalen and Johansen 1978). With one state to leave this is
the cumulative incidence of `incidence.py`, number for number.

Variance: the infinitesimal jackknife, as R's `survfit` for several states. The derivative of p(t) by the weight of a
row in state h is a sum over the event times l <= t at which the row is at risk, with P(l, t) the product of the
steps after l:

    p_{l-1}(h) / Y_h(l) [ (row h of -A_l) P(l, t)  +  (e_j - e_h) P(l, t) where the row moves to j at l ]

The first part does not depend on the row but for its state and days: one running sum over l, carried forward by every
step, gives it to all rows as a difference. The second needs P(l, t) alone. One pass over the event times carries both,
so that a day of reading costs one look-up per kind of row, however many patients are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.kernel import WeightKind
from cohort.estimate.risk_sets import RiskSets

STAYS = -1


@dataclass(frozen=True)
class Stays:
    """One element per row: time in one state and the state entered at its end. All shape (n,).

    state : code from 0. to : code of the state entered, STAYS where none is, or the same again. weight : positive.
    """

    entry: FloatArray
    exit: FloatArray
    state: IntArray
    to: IntArray
    weight: FloatArray
    cluster: IntArray


@dataclass(frozen=True)
class Occupation:
    """The shares of one group at its K event times; index 0 of `share` is the start.

    share : (K + 1, S) for S states; at_risk : (K, S), weighted; moves, step : (K, S, S), the weighted counts from row
    to column, and I + A. at_start : (n,) the rows that the shares at the start are taken from; none where they were
    given.
    """

    stays: Stays
    sets: RiskSets
    at_risk: FloatArray
    moves: FloatArray
    step: FloatArray
    share: FloatArray
    at_start: BoolArray

    @property
    def time(self) -> FloatArray:
        """(K,) days with a move of any kind."""
        return self.sets.time

    def steps(self, times: FloatArray) -> IntArray:
        """How many event times are on or before each of `times`."""
        return np.searchsorted(self.time, times, side="right").astype(np.int64)


def occupation(stays: Stays, n_states: int, opening: IntArray, start: FloatArray | None = None) -> Occupation:
    """Shares in each state.

    opening : rows that the shares at the start are taken from where nobody ever moves. start : (S,) shares at the
    start; by default those of the rows at risk at the first move.

    >>> stays = Stays(np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4, int), np.array([1, 2, -1, 1]),
    ...               np.ones(4), np.arange(4))
    >>> occupation(stays, 3, np.arange(4)).share[-1].tolist()
    [0.0, 0.75, 0.25]
    """
    s = stays
    rows = np.flatnonzero(s.to != STAYS)
    sets = RiskSets.of(s.exit, s.to != STAYS, s.entry)
    size = len(sets.time)
    at_risk = sets.sums(s.weight[:, None] * (s.state[:, None] == np.arange(n_states)))
    code = (sets.at_event[rows] * n_states + s.state[rows]) * n_states + s.to[rows]
    moves = np.bincount(code, s.weight[rows], minlength=size * n_states**2).astype(np.float64)
    moves = moves.reshape(size, n_states, n_states)
    leave = moves.sum(axis=2)
    # Sums of weights may differ in the last digit where everyone at risk moves: that is a share of one.
    at_risk = np.where(np.isclose(at_risk, leave, rtol=1e-12, atol=0.0), leave, at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(leave[:, :, None] > 0, moves / at_risk[:, :, None], 0.0)
        stay = np.where(leave > 0, 1.0 - leave / at_risk, 1.0)
    diagonal = np.arange(n_states)
    step[:, diagonal, diagonal] += stay

    at_start = np.zeros(len(s.exit), dtype=bool)
    if start is None:
        at_start[opening] = True
        if size:
            at_start = (sets.first == 0) & (sets.end > 0)
        total = np.bincount(s.state[at_start], s.weight[at_start], minlength=n_states)
        start = total / max(float(total.sum()), np.finfo(float).tiny)
    share = np.empty((size + 1, n_states))
    share[0] = start
    for k in range(size):
        share[k + 1] = share[k] @ step[k]
    return Occupation(s, sets, at_risk, moves, step, share, at_start)


def standard_errors(found: Occupation, steps: IntArray, weight_kind: WeightKind) -> FloatArray:
    """Infinitesimal-jackknife standard errors of the shares after `steps` event times: (T, S)."""
    wanted, where = np.unique(steps, return_inverse=True)
    last = int(wanted.max(initial=0))
    kinds = _kinds(found, last, weight_kind)
    result = np.zeros((len(wanted), found.share.shape[1]))
    place = 0
    for k, carried in enumerate(_carry(found, last)):
        if place < len(wanted) and wanted[place] == k:
            result[place] = kinds.error(_influence(found, kinds, carried))
            place += 1
    return result[where]


def mean_times(found: Occupation, horizon: float, weight_kind: WeightKind) -> tuple[FloatArray, FloatArray]:
    """Mean days in each state from day 0 to the horizon, and their standard errors: (S,), (S,).

    They add up to the horizon: integrals of the shares, and of the derivatives of the shares.
    """
    last = int(found.steps(np.array([horizon]))[0])
    edges = np.clip(np.concatenate([[0.0], found.time[:last], [horizon]]), 0.0, horizon)
    lasts = np.diff(edges)
    kinds = _kinds(found, last, weight_kind)
    total: list[FloatArray] = []
    for days, carried in zip(lasts, _carry(found, last), strict=True):
        parts = [days * part for part in carried]
        total = [a + b for a, b in zip(total, parts, strict=True)] if total else parts
    influence = _influence(found, kinds, (total[0], total[1], total[2]))
    return lasts @ found.share[: last + 1], kinds.error(influence)


Carried = tuple[FloatArray, FloatArray, FloatArray]


def _carry(found: Occupation, last: int) -> Iterator[Carried]:
    """After 0, 1, ..., `last` event times: what the influences at that time are made of.

    expected : (last + 1, S, S), element m the sum over event times l < m of p_{l-1}(h) / Y_h(l) times row h of A_l,
    carried to now; after : (last, S, S), the product of the steps after each l, zero for those still to come; whole :
    (S, S), the product of all steps.
    """
    width = found.share.shape[1]
    same = np.eye(width)
    expected, after, whole = np.zeros((last + 1, width, width)), np.zeros((last, width, width)), same
    per_head = _per_head(found)
    yield expected, after, whole
    for k in range(last):
        step = found.step[k]
        expected[: k + 1] = (expected[: k + 1].reshape(-1, width) @ step).reshape(-1, width, width)
        expected[k + 1 :] = expected[k] + per_head[k][:, None] * (step - same)
        after[:k] = (after[:k].reshape(-1, width) @ step).reshape(-1, width, width)
        after[k] = same
        whole = whole @ step
        yield expected, after, whole


def _per_head(found: Occupation) -> FloatArray:
    """(K, S): the share in each state just before each event time, per unit of weight at risk there."""
    return np.divide(found.share[:-1], found.at_risk, out=np.zeros_like(found.at_risk), where=found.at_risk > 0)


@dataclass(frozen=True)
class _Kinds:
    """Rows alike in state, days at risk, move and start have one influence; whole days make these few. Shape (P,).

    per_head : share in the state per weight at risk there, on the day of the move.
    single : sum of squared weights of clusters with one row, by kind; several : weights of the other clusters
    (clusters, P).
    """

    state: IntArray
    first: IntArray
    end: IntArray
    to: IntArray
    per_head: FloatArray
    at_start: BoolArray
    start_weight: float
    single: FloatArray
    several: sparse.csr_matrix

    def error(self, influence: FloatArray) -> FloatArray:
        """Square root of the sum over clusters of their squared influences: (S,)."""
        variance = self.single @ influence**2
        if self.several.shape[0]:
            variance = variance + ((self.several @ influence) ** 2).sum(axis=0)
        return np.sqrt(variance)


def _kinds(found: Occupation, last: int, weight_kind: WeightKind) -> _Kinds:
    s, sets, width = found.stays, found.sets, found.share.shape[1] + 1
    moved = (s.to != STAYS) & (sets.end <= last)
    first, end = np.minimum(sets.first, last), np.minimum(sets.end, last)
    key = ((first * (last + 1) + end) * width + s.state) * width + np.where(moved, s.to, width - 1)
    keys, one, kind = np.unique(key * 2 + found.at_start, return_index=True, return_inverse=True)
    alone = (np.bincount(s.cluster) == 1)[s.cluster] if len(s.cluster) else np.zeros(0, dtype=bool)
    weight = s.weight
    if weight_kind == "frequency":
        largest = np.zeros(int(s.cluster.max(initial=-1)) + 1)
        np.maximum.at(largest, s.cluster, weight)
        if (largest[s.cluster] != weight).any():
            raise EstimationError(
                "Frequency weights must be the same in all rows of a cluster: a row of weight 3 stands for three "
                'clusters alike. For other weights say weight_kind="probability".'
            )
        weight = np.sqrt(weight)  # a cluster of weight w is w clusters alike: squares add, not sums
    codes = np.unique(s.cluster[~alone], return_inverse=True)[1]
    return _Kinds(
        s.state[one],
        first[one],
        end[one],
        np.where(moved, s.to, STAYS)[one],
        _per_head(found)[end[one] - 1, s.state[one]] if last else np.zeros(len(one)),
        found.at_start[one],
        float(s.weight[found.at_start].sum()),
        np.bincount(kind[alone], weight[alone] ** 2, minlength=len(keys)).astype(np.float64),
        sparse.csr_matrix(
            (weight[~alone], (codes, kind[~alone])), shape=(int(codes.max(initial=-1)) + 1, len(keys))
        ),
    )  # fmt: skip


def _influence(found: Occupation, kinds: _Kinds, carried: Carried) -> FloatArray:
    """(P, S): the derivative of the shares by the weight of one row of each kind."""
    expected, after, whole = carried
    width = found.share.shape[1]
    flat, state = expected.reshape(-1, width), kinds.state
    result: FloatArray = np.take(flat, kinds.first * width + state, axis=0)
    result -= np.take(flat, kinds.end * width + state, axis=0)
    moved = np.flatnonzero(kinds.to != STAYS)
    if len(moved):
        own, left = kinds.end[moved] - 1, state[moved]
        onward = after.reshape(-1, width)
        change = np.take(onward, own * width + kinds.to[moved], axis=0)
        change -= np.take(onward, own * width + left, axis=0)
        change *= kinds.per_head[moved, None]
        result[moved] += change
    if kinds.at_start.any():
        # The shares at the start are themselves a mean over rows.
        result[kinds.at_start] += (whole[state[kinds.at_start]] - found.share[0] @ whole) / kinds.start_weight
    return result
