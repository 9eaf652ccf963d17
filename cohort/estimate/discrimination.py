"""Who was given the higher risk, on arrays: ordered pairs, the area under a ROC curve, and what losses add to both.

Pairs are counted by sorting once and dealing the ranks bit by bit, so the work grows as n log n and nothing loops over
rows. Everything carries its derivative by the weight of each row, from which variances are infinitesimal jackknives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate.design import Rows
from cohort.estimate.ipcw import censoring_weights
from cohort.estimate.risk_sets import RiskSets


@dataclass(frozen=True)
class OrderedPairs:
    """Sums of pair weights, and by_row (n, 3): what one unit of weight of each row adds to each of them."""

    concordant: float
    discordant: float
    tied: float
    by_row: FloatArray


def ordered_pairs(score: FloatArray, event: BoolArray, pair_weight: FloatArray, rows: Rows) -> OrderedPairs:
    """Pairs of a row with an event and a row at risk that goes on; score (n,) is higher for earlier events.

    pair_weight : (n,), of the pairs in which the row is the one with the event.

    >>> rows = Rows(np.full(3, -np.inf), np.array([1.0, 2.0, 3.0]), np.ones(3), np.arange(3), np.arange(3),
    ...             np.zeros(3, dtype=np.int64), False)
    >>> found = ordered_pairs(np.array([3.0, 1.0, 1.0]), np.array([True, True, False]), np.ones(3), rows)
    >>> found.concordant, found.discordant, found.tied
    (2.0, 0.0, 1.0)
    """
    days, place = np.unique(rows.exit, return_inverse=True)
    end = 2 * place + ~event  # on one day events come before losses, so who is lost then goes on
    begin = 2 * np.searchsorted(days, rows.entry, side="right") - 1  # enters after the events of days up to its own
    width = 2 * len(days) + 2
    rank = np.unique(score, return_inverse=True)[1]
    stratum = rows.stratum * width
    at = np.flatnonzero(event)
    own = end[at] + stratum[at]
    reach = (int(rows.stratum.max(initial=0)) + 1) * width + 2  # more than any key, which begin at -1

    def ranked(
        keys: IntArray, ranks: IntArray, weight: FloatArray, low: IntArray, high: IntArray, r: IntArray
    ) -> FloatArray:
        """Weight below, above and at rank r among those with low < key <= high."""
        order = np.argsort(keys, kind="stable")
        span = [np.searchsorted(keys[order], edge, side="right") for edge in (low, high)]
        below = sums_below(ranks[order], weight[order], span[0], span[1], r)
        whole = np.append(0.0, np.cumsum(weight[order]))
        both = keys + 1 + ranks * reach  # by rank, then by key: those of one rank stand together
        order = np.argsort(both, kind="stable")
        alike = [np.searchsorted(both[order], edge + 1 + r * reach, side="right") for edge in (low, high)]
        tied = np.append(0.0, np.cumsum(weight[order]))
        same = tied[alike[1]] - tied[alike[0]]
        return np.column_stack([below, whole[span[1]] - whole[span[0]] - below - same, same])

    # For each event: those who end later, less those who enter later.
    last = stratum[at] + width - 2
    met = ranked(end + stratum, rank, rows.weight, own, last, rank[at])
    if (begin >= 0).any():
        met = met - ranked(begin + stratum, rank, rows.weight, own, last, rank[at])
    # For each row: the events while it is at risk and goes on.
    strength = rows.weight[at] * pair_weight[at]
    ends_before = end + stratum - 1
    seen = ranked(own, rank[at], strength, begin + stratum, ends_before, rank)
    by_row = seen[:, [1, 0, 2]]  # events of higher score are the concordant ones
    by_row[at] += pair_weight[at][:, None] * met
    concordant, discordant, tied = (strength @ met).tolist()
    return OrderedPairs(concordant, discordant, tied, by_row)


def sums_below(rank: IntArray, weight: FloatArray, low: IntArray, high: IntArray, below: IntArray) -> FloatArray:
    """Sums of weight[low:high] over the elements with rank < below, for many queries at once: (q,).

    rank, weight : (n,); low, high, below : (q,). One pass per bit of the ranks: elements are dealt into those with the
    bit and those without, and each query follows its own range.

    >>> sums_below(np.array([2, 0, 1]), np.ones(3), np.array([0, 1]), np.array([3, 3]), np.array([2, 1])).tolist()
    [2.0, 1.0]
    """
    result = np.zeros(len(low))
    bits = int(max(rank.max(initial=0), below.max(initial=0))).bit_length()
    for bit in reversed(range(bits)):
        has = (rank >> bit & 1).astype(bool)
        without = np.append(0, np.cumsum(~has))
        sums = np.append(0.0, np.cumsum(np.where(has, 0.0, weight)))
        above = (below >> bit & 1).astype(
            bool
        )  # then all without the bit are below, and the rest is decided further on
        result += np.where(above, sums[high] - sums[low], 0.0)
        low = np.where(above, without[-1] + low - without[low], without[low])
        high = np.where(above, without[-1] + high - without[high], without[high])
        order = np.concatenate([np.flatnonzero(~has), np.flatnonzero(has)])
        rank, weight = rank[order], weight[order]
    return result


@dataclass(frozen=True)
class Losses:
    """The Kaplan-Meier curve G of being lost, and what each unit moves it.

    exit, lost : (n,) of units that all enter at the start; sets : at risk of being lost; left : (K,) those not lost at
    each of these times, weighted; hazard : (K,) of being lost.
    """

    exit: FloatArray
    cause: IntArray
    weight: FloatArray
    days: FloatArray
    place: FloatArray
    sets: RiskSets
    left: FloatArray
    hazard: FloatArray

    @classmethod
    def of(cls, exit_: FloatArray, cause: IntArray, weight: FloatArray) -> Losses:
        """The curve; events come before losses on one day.

        >>> losses = Losses.of(np.array([1.0, 2.0, 9.0]), np.array([1, 0, 0]), np.ones(3))
        >>> losses.hazard.tolist(), losses.known(5.0)[0].tolist()
        ([0.5, 1.0], [1.0, 0.0, 2.0])
        """
        lost = cause == 0
        days, order = np.unique(exit_, return_inverse=True)
        place = 2.0 * order + lost
        sets = RiskSets.of(place, lost)
        at_risk, gone = sets.sums(weight), sets.deaths(weight, np.flatnonzero(lost))
        left = np.where(np.isclose(at_risk, gone, rtol=1e-12, atol=0.0), 0.0, at_risk - gone)
        return cls(exit_, cause, weight, days, place, sets, left, gone / at_risk)

    def known(self, horizon: float) -> tuple[FloatArray, BoolArray]:
        """Weights 1 / G(min(T, horizon)-) and who is known by then, as `censoring_weights`."""
        return censoring_weights(self.exit, self.cause, horizon, self.weight, np.zeros(len(self.exit), dtype=np.int64))

    def influence(self, horizon: float, moved: FloatArray) -> FloatArray:
        """What one unit of weight of each row adds through G to a sum, moved (n,) its derivative by log 1/G of each."""
        until = np.minimum(self.place, 2.0 * np.searchsorted(self.days, horizon, side="left"))
        passed = np.searchsorted(self.sets.time, until, side="left")
        size = len(self.sets.time)
        rest = np.cumsum(np.bincount(passed, moved, minlength=size + 1)[::-1])[::-1][1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            per_left = np.where(self.left > 0, rest / self.left, 0.0)
        result = -self.sets.over(self.hazard * per_left)
        lost = np.flatnonzero(self.cause == 0)
        result[lost] += per_left[self.sets.at_event[lost]]
        return result


def auc(risk: FloatArray, case: FloatArray, control: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Area under the ROC curve with weights of cases and controls (n,), and its derivatives by these weights.

    >>> auc(np.array([0.9, 0.6, 0.4]), np.array([1.0, 0, 1]), np.array([0.0, 1, 0]))[0]
    0.5
    """
    values, rank = np.unique(risk, return_inverse=True)
    cases, controls = (np.bincount(rank, part, minlength=len(values)) for part in (case, control))
    lower = np.cumsum(controls) - controls / 2.0  # ties count half
    higher = cases.sum() - np.cumsum(cases) + cases / 2.0
    n_cases, n_controls = case.sum(), control.sum()
    if n_cases <= 0 or n_controls <= 0:
        nothing = np.full(len(risk), np.nan)
        return float("nan"), nothing, nothing
    area = float(case @ lower[rank] / (n_cases * n_controls))
    by_case = (lower[rank] / n_controls - area) / n_cases
    by_control = (higher[rank] / n_cases - area) / n_controls
    return area, by_case, by_control
