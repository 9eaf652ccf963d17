"""How rows of a cluster are alike, and the root of that likeness by which they become unlike.

A working correlation is taken from Pearson residuals by moments, without degrees of freedom taken off, as in R's
geepack (Hojsgaard, Halekoh and Yan 2006, J Stat Softw 15(2)): that of "exchangeable" is the mean of r_j r_k / phi over
all pairs within clusters; that of "ar1" the a for which all pairs, of whatever distance d, come closest to a^d in
squares. Rows multiplied by the inverse root of their correlation are independent, and the rest is least squares. Both
roots are known in closed form, so nothing loops over clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate.risk_sets import sum_by

Structure = Literal["independence", "exchangeable", "ar1"]


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows of one cluster, by their distance: lag (L,), sum of w_j w_k (L,), and the rows of each pair."""

    lag: FloatArray
    weight: FloatArray
    of_pair: IntArray
    earlier: IntArray
    later: IntArray
    product: FloatArray

    @classmethod
    def of(cls, cluster: IntArray, order: FloatArray, weight: FloatArray) -> Pairs:
        """All pairs of rows that stand sorted by cluster and order."""
        found: list[tuple[IntArray, IntArray]] = []
        for shift in range(1, int(np.bincount(cluster).max(initial=1))):
            first = np.flatnonzero(cluster[shift:] == cluster[:-shift])
            found.append((first, first + shift))
        earlier = np.concatenate([pair[0] for pair in found] or [np.zeros(0, dtype=np.int64)])
        later = np.concatenate([pair[1] for pair in found] or [np.zeros(0, dtype=np.int64)])
        lag, of_pair = np.unique(order[later] - order[earlier], return_inverse=True)
        product = weight[earlier] * weight[later]
        weights = np.bincount(of_pair, product, minlength=len(lag)).astype(np.float64)
        return cls(lag, weights, of_pair, earlier, later, product)

    def correlation(self, residual: FloatArray, phi: float) -> float:
        """The a whose powers a^lag come closest to r_j r_k / phi, in squares."""
        each = self.product * residual[self.earlier] * residual[self.later] / phi
        total = np.bincount(self.of_pair, each, minlength=len(self.lag))

        def slope(a: float) -> float:
            power = np.sign(a) ** (self.lag - 1.0) * np.abs(a) ** (self.lag - 1.0)
            return float(np.sum(self.lag * power * (self.weight * power * a - total)))

        def missed(a: float) -> float:
            power = np.sign(a) ** self.lag * np.abs(a) ** self.lag
            return float(np.sum(self.weight * power**2 - 2.0 * power * total))

        # Even distances alone do not tell a correlation from its opposite: then it is taken to be positive.
        grid = np.linspace(-0.999 if (self.lag % 2 == 1).any() else 1e-3, 0.999, 400)
        slopes = np.array([slope(float(a)) for a in grid])
        valleys = np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0))
        if not len(valleys):
            return float(grid[0] if slopes[0] > 0 else grid[-1])
        roots = [float(optimize.brentq(slope, grid[k], grid[k + 1], xtol=1e-15, rtol=1e-14)) for k in valleys]
        return min(roots, key=missed)


@dataclass(frozen=True)
class Within:
    """How the rows of a cluster, sorted by cluster and order, are taken to be alike."""

    structure: Structure
    cluster: IntArray
    size: IntArray
    weight: FloatArray
    follows: BoolArray
    step: FloatArray
    pairs: Pairs | None

    @classmethod
    def of(cls, structure: Structure, cluster: IntArray, order: FloatArray, weight: FloatArray) -> Within:
        """cluster : (n,) codes; order : (n,) whole numbers, for ar1."""
        follows = np.append(False, cluster[1:] == cluster[:-1])[: len(cluster)]
        step = np.where(follows, np.diff(order, prepend=order[:1]), 1.0)
        pairs = Pairs.of(cluster, order, weight) if structure == "ar1" else None
        return cls(structure, cluster, np.bincount(cluster), weight, follows, step, pairs)

    def alpha(self, residual: FloatArray, phi: float) -> float:
        """The correlation that the Pearson residuals (n,) show; 0 where no cluster has two rows."""
        if self.structure == "independence" or not self.follows.any() or not phi > 0:
            return 0.0
        if self.pairs is not None:
            return self.pairs.correlation(residual, phi)
        w, r = self.weight, residual
        pairs = np.bincount(self.cluster, w) ** 2 - np.bincount(self.cluster, w**2)
        shared = np.bincount(self.cluster, w * r) ** 2 - np.bincount(self.cluster, (w * r) ** 2)
        return float(shared.sum() / phi / pairs.sum())

    def possible(self, alpha: float) -> bool:
        """Whether rows can be so correlated."""
        least = -1.0 / max(int(self.size.max(initial=1)) - 1, 1) if self.structure == "exchangeable" else -0.999
        return least < alpha < 0.999

    def unlike(self, values: FloatArray, alpha: float) -> FloatArray:
        """Rows (n, m) times the inverse root of the correlation of their cluster."""
        if alpha == 0.0:
            return values
        if self.structure == "exchangeable":
            shrink = 1.0 - np.sqrt((1.0 - alpha) / (1.0 + (self.size - 1.0) * alpha))
            mean = sum_by(self.cluster, values, len(self.size)) / np.maximum(self.size, 1)[:, None]
            return (values - (shrink[:, None] * mean)[self.cluster]) / np.sqrt(1.0 - alpha)
        power = np.where(self.follows, np.sign(alpha) ** self.step * np.abs(alpha) ** self.step, 0.0)
        before = np.concatenate([values[:1], values[:-1]])
        return (values - power[:, None] * before) / np.sqrt(1.0 - power**2)[:, None]
