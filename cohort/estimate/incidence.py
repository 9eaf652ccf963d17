"""Aalen-Johansen on arrays: the share with each first event, the share still free, and what each cluster moves them.

At event time k with Y at risk, d events and d_j of cause j: S_k = S_{k-1} (1 - d / Y) and
F_jk = F_j,k-1 + S_{k-1} d_j / Y, so that incidences and event-free share always add to 1.

Variance: the infinitesimal jackknife, as R's `survfit` for several states. The influence of a row is the derivative
of the curve by the weight of the row; influences are added over the rows of a cluster and squared. The derivative of
F_j(t) is a sum over the event times at which the row is at risk, so three cumulative sums give it for every row:

    at the row's own event e <= t:   -(F_j(t) - F_j(e)) / (Y_e - d_e) + [cause j] S_{e-1} / Y_e
    at each l <= t while at risk:    h_l (F_j(t) - F_j(l)) / (Y_l - d_l) - S_{l-1} h_jl / Y_l,    h = d / Y
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate.design import distinct, refuse_uneven_frequencies
from cohort.estimate.kernel import WeightKind
from cohort.estimate.risk_sets import RiskSets

CHUNK = 4_000_000  # influences held at once (rows x times)


@dataclass(frozen=True)
class Histories:
    """One element per uninterrupted stay of a unit: splits are joined. All shape (n,)."""

    entry: FloatArray
    exit: FloatArray
    cause: IntArray
    weight: FloatArray
    id: IntArray
    cluster: IntArray


def join_splits(histories: Histories) -> Histories:
    """Join rows of one id where one ends without event on the day the next begins: a split is not a censoring.

    >>> two = Histories(np.array([0.0, 5.0]), np.array([5.0, 9.0]), np.array([0, 1]), np.ones(2),
    ...                 np.array([0, 0]), np.array([0, 0]))
    >>> join_splits(two).exit.tolist()
    [9.0]
    """
    h = histories
    if len(h.exit) == 0 or distinct(h.id) == len(h.id):
        return h
    order = np.lexsort((h.entry, h.id))
    entry, exit_, cause, weight = h.entry[order], h.exit[order], h.cause[order], h.weight[order]
    unit, cluster = h.id[order], h.cluster[order]
    goes_on = (
        (unit[1:] == unit[:-1])
        & (entry[1:] == exit_[:-1])
        & (cause[:-1] == 0)
        & (weight[1:] == weight[:-1])
        & (cluster[1:] == cluster[:-1])
    )
    starts = np.flatnonzero(np.append(True, ~goes_on))
    ends = np.append(starts[1:], len(unit)) - 1
    return Histories(entry[starts], exit_[ends], cause[ends], weight[starts], unit[starts], cluster[starts])


@dataclass(frozen=True)
class Curves:
    """The curves of one group at its K event times; index 0 of `free` and `incidence` is the start.

    free : (K + 1,); incidence : (K + 1, J) for causes 1..J; at_risk, events : (K,), weighted; hazard : (K, J).
    """

    histories: Histories
    sets: RiskSets
    at_risk: FloatArray
    events: FloatArray
    hazard: FloatArray
    free: FloatArray
    incidence: FloatArray

    @property
    def time(self) -> FloatArray:
        """(K,) days with an event of any cause."""
        return self.sets.time

    def step(self, times: FloatArray) -> IntArray:
        """How many event times are on or before each of `times`."""
        return np.searchsorted(self.time, times, side="right").astype(np.int64)


def curves(histories: Histories, n_causes: int) -> Curves:
    """Aalen-Johansen estimates; weights must be positive.

    >>> h = Histories(np.full(4, -np.inf), np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 2, 0, 1]), np.ones(4),
    ...               np.arange(4), np.arange(4))
    >>> curves(h, 2).incidence[-1].tolist()
    [0.75, 0.25]
    """
    h = histories
    rows = np.flatnonzero(h.cause > 0)
    sets = RiskSets.of(h.exit, h.cause > 0, h.entry)
    size = len(sets.time)
    at_risk = sets.sums(h.weight)
    counted = (
        np.bincount(sets.at_event[rows] * n_causes + h.cause[rows] - 1, h.weight[rows], minlength=size * n_causes)
        .reshape(size, n_causes)
        .astype(np.float64)
    )
    events = counted.sum(axis=1)
    # Sums of weights may differ in the last digit where everyone at risk has the event: that is a share of one.
    at_risk = np.where(np.isclose(at_risk, events, rtol=1e-12, atol=0.0), events, at_risk)
    hazard = counted / np.maximum(at_risk, np.finfo(float).tiny)[:, None]
    free = np.concatenate([[1.0], np.cumprod(1.0 - events / at_risk)]) if size else np.ones(1)
    jumps = free[:-1, None] * hazard
    incidence = np.concatenate([np.zeros((1, n_causes)), np.cumsum(jumps, axis=0)])
    return Curves(h, sets, at_risk, events, hazard, free, incidence)


def greenwood(found: Curves) -> FloatArray:
    """(K + 1,) Greenwood's standard error of the event-free share; missing once that share is zero."""
    left = found.at_risk - found.events
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.cumsum(found.events / (found.at_risk * left))
        result: FloatArray = np.append(0.0, found.free[1:] * np.sqrt(terms))
    return np.where(found.free > 0, result, np.nan)


def standard_errors(found: Curves, steps: IntArray, weight_kind: WeightKind) -> FloatArray:
    """Infinitesimal-jackknife standard errors after `steps` event times (T, 1 + J): free share, then incidences."""
    unique, where = np.unique(steps, return_inverse=True)
    first, end, cause, single, several = _patterns(found, weight_kind)
    result = np.zeros((len(unique), 1 + found.incidence.shape[1]))
    width = max(1, CHUNK // max(len(first), 1))
    for begin in range(0, len(unique), width):
        part = slice(begin, begin + width)
        for state, influence in _influences(found, first, end, cause, unique[part]):
            variance = single @ influence**2
            if several.shape[0]:
                variance = variance + ((several @ influence) ** 2).sum(axis=0)
            result[part, state] = np.sqrt(variance)
    return result[where]


def _influences(
    found: Curves, first: IntArray, end: IntArray, cause: IntArray, steps: IntArray
) -> Iterator[tuple[int, FloatArray]]:
    """Derivatives (P, T) by the weight of each pattern, for state 0 (event-free) and each cause in turn."""
    left = found.at_risk - found.events
    with np.errstate(divide="ignore"):
        per_left = np.where(left > 0, 1.0 / left, 0.0)  # after a share of zero nothing moves any more
    total = found.hazard.sum(axis=1)
    low, high = np.minimum(first[:, None], steps), np.minimum(end[:, None], steps)
    own = np.maximum(end - 1, 0)
    had = (cause > 0)[:, None] & (end[:, None] <= steps)
    q = _before(total * per_left)
    exposure = q[high] - q[low]
    own_left = per_left[own] if len(per_left) else np.zeros(len(own))
    yield 0, -found.free[steps] * (np.where(had, own_left[:, None], 0.0) - exposure)
    for j in range(found.incidence.shape[1]):
        share = found.incidence[:, j]
        r = _before(total * share[1:] * per_left) + _before(found.free[:-1] * found.hazard[:, j] / found.at_risk)
        at_own = share[own + 1] if len(total) else np.zeros(len(own))
        jump = (found.free[:-1] / found.at_risk)[own] if len(total) else np.zeros(len(own))
        at_event = -(share[steps] - at_own[:, None]) * own_left[:, None] + np.where(cause == j + 1, jump, 0.0)[:, None]
        yield j + 1, np.where(had, at_event, 0.0) + share[steps] * exposure - (r[high] - r[low])


def _before(increments: FloatArray) -> FloatArray:
    return np.append(0.0, np.cumsum(increments))


def _patterns(
    found: Curves, weight_kind: WeightKind
) -> tuple[IntArray, IntArray, IntArray, FloatArray, sparse.csr_matrix]:
    """Histories that agree in first, end and cause have one influence; whole days make these few.

    Returns first, end, cause (P,), the sum of squared weights of clusters with a single history by pattern (P,),
    and a sparse matrix (clusters with several histories, P) of weights.
    """
    h, sets = found.histories, found.sets
    causes = found.incidence.shape[1] + 1
    width = len(sets.time) + 1
    key = (sets.first * width + sets.end) * causes + h.cause
    keys, pattern = np.unique(key, return_inverse=True)
    cluster = h.cluster
    alone = (np.bincount(cluster) == 1)[cluster] if len(cluster) else np.zeros(0, dtype=bool)
    weight = h.weight
    if weight_kind == "frequency":
        refuse_uneven_frequencies(weight, cluster, weight_kind)
        weight = np.sqrt(weight)  # a cluster of weight w is w clusters alike: squares add, not sums
    single = np.bincount(pattern[alone], weight[alone] ** 2, minlength=len(keys))
    codes = np.unique(cluster[~alone], return_inverse=True)[1]
    shape = (int(codes.max(initial=-1)) + 1, len(keys))
    several = sparse.csr_matrix((weight[~alone], (codes, pattern[~alone])), shape=shape)
    place, cause = keys // causes, keys % causes
    return place // width, place % width, cause, single.astype(np.float64), several


def curves_by_group(histories: Histories, group: IntArray, n_groups: int, n_causes: int) -> list[Curves]:
    """The curves of each group, splits joined and weights of zero left out; group : (n,) codes from 0.

    >>> unit = np.arange(2)
    >>> h = Histories(np.full(2, -np.inf), np.array([1.0, 2.0]), np.array([1, 1]), np.ones(2), unit, unit)
    >>> [found.time.tolist() for found in curves_by_group(h, np.array([0, 1]), 2, 1)]
    [[1.0], [2.0]]
    """
    h, result = histories, []
    for code in range(n_groups):
        mine = (group == code) & (h.weight > 0)
        part = Histories(h.entry[mine], h.exit[mine], h.cause[mine], h.weight[mine], h.id[mine], h.cluster[mine])
        result.append(curves(join_splits(part), n_causes))
    return result


@dataclass(frozen=True)
class Derivative:
    """How one unit of weight of a row moves an estimate.

    by_event : (K, J), by an event of each cause at event time k; by_risk : (K,), what having been at risk then takes
    away. A row's influence is by_event at its own event less the sum of by_risk over the times at which it is at risk.
    """

    by_event: FloatArray
    by_risk: FloatArray


def through_hazards(found: Curves, gradient: FloatArray) -> Derivative:
    """Chain rule for an estimate made of the hazards h = d / Y; gradient : (K, J), its derivative by each hazard."""
    return Derivative(gradient / found.at_risk[:, None], (gradient * found.hazard).sum(axis=1) / found.at_risk)


def gradient(found: Curves, reading: FloatArray, state: int) -> FloatArray:
    """(K, J) derivative by each hazard of `reading @ curve`; state 0 is the event-free share, then the causes.

    reading : (K + 1,), a weight for each step of the curve: one 1 reads a day, the widths of the steps an area.

    >>> unit = np.arange(2)
    >>> h = Histories(np.full(2, -np.inf), np.array([1.0, 2.0]), np.array([1, 0]), np.ones(2), unit, unit)
    >>> gradient(curves(h, 1), np.array([0.0, 1.0]), 0).tolist()  # free = 1 - h
    [[-1.0]]
    """
    rest = 1.0 - found.events / found.at_risk
    with np.errstate(divide="ignore"):
        per_rest = np.where(rest > 0, 1.0 / rest, 0.0)  # after a share of zero nothing moves any more
    later = _from_here_on(reading * (found.free if state == 0 else found.incidence[:, state - 1]))
    if state == 0:
        return np.repeat((-later * per_rest)[:, None], found.hazard.shape[1], axis=1)
    weight = _from_here_on(reading)
    result = np.repeat(
        ((found.incidence[1:, state - 1] * weight - later) * per_rest)[:, None], found.hazard.shape[1], 1
    )
    result[:, state - 1] += found.free[:-1] * weight
    return result


def _from_here_on(values: FloatArray) -> FloatArray:
    """Sums over the steps from each event time on: (K + 1,) to (K,)."""
    result: FloatArray = np.cumsum(values[:0:-1])[::-1]
    return result


def day_readings(found: Curves, times: FloatArray) -> FloatArray:
    """(T, K + 1) readings of the curve at `times`."""
    result = np.zeros((len(times), len(found.time) + 1))
    result[np.arange(len(times)), found.step(times)] = 1.0
    return result


def _sums_by_cluster(found: Curves, n_clusters: int, weight_kind: WeightKind) -> sparse.csr_matrix:
    """(n_clusters, K + 1 + K J): weighted sums, over the rows of a cluster, of what `_stacked` holds for each row."""
    h, sets = found.histories, found.sets
    size, n_causes = found.hazard.shape
    # A cluster of frequency w is w clusters alike: squares add, not sums.
    weight = np.sqrt(h.weight) if weight_kind == "frequency" else h.weight
    rows = np.flatnonzero(h.cause > 0)
    own = size + 1 + sets.at_event[rows] * n_causes + h.cause[rows] - 1
    values = np.concatenate([weight, -weight, weight[rows]])
    place = np.concatenate([sets.first, sets.end, own])
    clusters = np.concatenate([h.cluster, h.cluster, h.cluster[rows]])
    return sparse.csr_matrix((values, (clusters, place)), shape=(n_clusters, size + 1 + size * n_causes))


def _stacked(derivative: Derivative) -> FloatArray:
    return np.concatenate([_before(derivative.by_risk), derivative.by_event.ravel()])


def cluster_influence(
    found: Curves, derivatives: Iterable[Derivative], n_clusters: int, weight_kind: WeightKind
) -> FloatArray:
    """(n_clusters, Q): what each cluster moves each of Q estimates; squares add over clusters to the variance.

    Cluster codes are those of the whole study, so influences on the curves of two groups can be subtracted before
    they are squared: a patient with vertebrae in both groups is one patient.
    """
    sums = _sums_by_cluster(found, n_clusters, weight_kind)
    columns = [sums @ _stacked(derivative) for derivative in derivatives]
    return np.column_stack(columns) if columns else np.zeros((n_clusters, 0))


def influence_errors(found: Curves, derivatives: Iterable[Derivative], weight_kind: WeightKind) -> FloatArray:
    """(Q,) infinitesimal-jackknife standard errors; missing with a single cluster, which cannot vary."""
    cluster = found.histories.cluster
    sums = _sums_by_cluster(found, int(cluster.max(initial=-1)) + 1, weight_kind)
    several = distinct(cluster) > 1
    variances = [np.square(sums @ _stacked(derivative)).sum() if several else np.nan for derivative in derivatives]
    return np.sqrt(np.array(variances, dtype=np.float64))


def events_by(
    histories: Histories, of: BoolArray, times: FloatArray, weight_kind: WeightKind
) -> tuple[FloatArray, IntArray]:
    """Events among the histories `of` (n,) by each of `times`, and the clusters that had one: (T,), (T,).

    Events are counted with frequencies, not with probability weights.
    """
    h = histories
    counts = h.weight if weight_kind == "frequency" else np.ones(len(h.exit))
    order = np.flatnonzero(of)[np.argsort(h.exit[of], kind="stable")]
    place = np.searchsorted(h.exit[order], times, side="right")
    first = np.zeros(len(order), dtype=np.int64)
    first[np.unique(h.cluster[order], return_index=True)[1]] = 1
    return _before(counts[order])[place], np.append(0, np.cumsum(first))[place]
