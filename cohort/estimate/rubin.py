"""What several completed data sets say of one quantity: the mean, and an error that counts how far they disagree.

Rubin's rules (1987): the variance is the mean of the variances, and (1 + 1/m) times the variance between the m
estimates; limits are those of t. They ask for an estimate that is near normal. That of a penalized likelihood is not,
and its limits are those of a profile: profiles are turned into distributions, and these averaged (CLIP; Heinze, Ploner
and Beyea 2013, Stat Med 32:5062).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from cohort.domain.clock import FloatArray
from cohort.estimate.report import quantile


@dataclass(frozen=True)
class Rubin:
    """Pooled estimates of q quantities, each (q,); missing below two fits.

    n_fits : with an estimate and a variance. std_error : root of the total variance, of which `within` is the mean
    variance of the fits and `between` the variance of their estimates. df : of t (Barnard and Rubin 1999, Biometrika
    86:948). relative_increase : of the variance, for what is missing. fmi : fraction of missing information.
    efficiency : of so many fits, relative to any number of them.
    """

    n_fits: FloatArray
    estimate: FloatArray
    std_error: FloatArray
    within: FloatArray
    between: FloatArray
    df: FloatArray
    relative_increase: FloatArray
    fmi: FloatArray
    efficiency: FloatArray


def rubin(estimate: FloatArray, variance: FloatArray, complete_df: FloatArray | float = np.inf) -> Rubin:
    """Pool m fits of q quantities, both (m, q), of which some may be missing.

    complete_df : degrees of freedom had nothing been missing, (q,). Where the fits do not differ, they are kept.

    >>> found = rubin(np.array([[1.0], [3.0]]), np.array([[0.5], [0.5]]))
    >>> (found.std_error**2).round(4).tolist(), found.df.round(4).tolist()
    ([3.5], [1.3611])
    """
    known = np.isfinite(estimate) & np.isfinite(variance)
    n = known.sum(axis=0).astype(np.float64)
    m = np.where(n >= 2, n, np.nan)
    mean = np.where(known, estimate, 0.0).sum(axis=0) / m
    within = np.where(known, variance, 0.0).sum(axis=0) / m
    between = np.where(known, (estimate - mean) ** 2, 0.0).sum(axis=0) / (m - 1.0)
    extra = (1.0 + 1.0 / m) * between
    with np.errstate(divide="ignore", invalid="ignore"):
        share, increase = extra / (within + extra), extra / within
        old = (m - 1.0) / share**2
        complete = np.broadcast_to(np.asarray(complete_df, dtype=np.float64), share.shape)
        observed = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - share)
        df = np.where(np.isinf(complete), old, old * observed / (old + observed))
        # Fits that agree know as much as one of complete data.
        df = np.where(extra > 0, df, np.where(np.isnan(m), np.nan, complete))
        fmi = np.where(extra > 0, (increase + 2.0 / (df + 3.0)) / (increase + 1.0), 0.0 * mean)
    return Rubin(n, mean, np.sqrt(within + extra), within, between, df, increase, fmi, 1.0 / (1.0 + fmi / m))


@dataclass(frozen=True)
class Profile:
    """The signed root of a profile likelihood ratio as a function of the coefficient, known at a few places.

    Minus the normal quantile at the lower limit, nothing at the estimate, the quantile at the upper limit; and at zero,
    where the ratio is that of the test. Between them it is close to a straight line, and interpolated so that it rises
    (Fritsch and Carlson 1980); beyond the last places it goes on as straight as there.
    """

    root: PchipInterpolator
    ends: tuple[float, float]

    @classmethod
    def of(cls, low: float, coef: float, high: float, at_zero: float, depth: float) -> Profile:
        """at_zero : signed root of the ratio against zero, positive for a positive coefficient; depth : at the limits.

        >>> round(Profile.of(-0.96, 1.0, 2.96, 1.0, 1.96)(1.5), 4)
        0.5
        """
        places = {low: -depth, coef: 0.0, high: depth}
        between = [np.interp(0.0, [low, coef, high], [-depth, 0.0, depth])]
        apart = min(abs(0.0 - place) for place in places) > 1e-3 * (high - low)
        if np.isfinite(at_zero) and apart and (low < 0.0 < high) and np.sign(-at_zero) == np.sign(between[0]):
            places[0.0] = -at_zero
        x = np.array(sorted(places))
        y = np.array([places[value] for value in x])
        if (np.diff(y) <= 0).any():
            x, y = np.array([low, coef, high]), np.array([-depth, 0.0, depth])
        return cls(PchipInterpolator(x, y), (float(x[0]), float(x[-1])))

    def __call__(self, coef: float) -> float:
        """The signed root at a coefficient: standard errors above the estimate, were the profile a parabola."""
        inside = min(max(coef, self.ends[0]), self.ends[1])
        slope = max(float(self.root(inside, 1)), 1e-12)
        return float(self.root(inside)) + slope * (coef - inside)


def averaged(profiles: list[Profile], confidence: float) -> tuple[float, float, float]:
    """Lower and upper limit and two-sided p-value against zero of the mean of the profiles' distributions.

    >>> same = [Profile.of(-0.96, 1.0, 2.96, 1.0, 1.96)] * 3
    >>> [round(value, 2) for value in averaged(same, 0.95)]
    [-0.96, 2.96, 0.32]
    """

    def below(coef: float) -> float:
        return float(np.mean(stats.norm.cdf([profile(coef) for profile in profiles])))

    depth = quantile(confidence)
    lowest, highest = min(p.ends[0] for p in profiles), max(p.ends[1] for p in profiles)
    width = highest - lowest
    while below(lowest) > stats.norm.cdf(-depth):
        lowest -= width
    while below(highest) < stats.norm.cdf(depth):
        highest += width
    low, high = (
        brentq(lambda c, z=z: below(c) - stats.norm.cdf(z), lowest, highest, xtol=1e-12) for z in (-depth, depth)
    )
    zero = below(0.0)
    return float(low), float(high), 2.0 * min(zero, 1.0 - zero)
