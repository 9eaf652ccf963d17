"""How far studies differ beyond chance is estimated first; what is pooled, and how surely, follows from it.

y_i = x_i b + u_i + e_i, var(e_i) = v_i as printed and taken as known, var(u_i) = tau2. Tau squared comes from the
restricted likelihood (REML), the likelihood (ML), the moments (DerSimonian and Laird 1986, Control Clin Trials 7:177),
or from where the generalized Q is its degrees of freedom (Paule and Mandel 1982, J Res Natl Bur Stand 87:377); its
interval always from that Q (Viechtbauer 2007, Stat Med 26:37). All as R's `metafor::rma`.

A likelihood of few studies may have two maxima: they are looked for over the whole range, and the higher one is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy import optimize, stats

from cohort.domain.clock import FloatArray
from cohort.domain.errors import EstimationError

Tau2Method = Literal["reml", "ml", "dl", "pm", "fixed"]
MetaTest = Literal["hksj", "adhoc", "t", "z"]

NO_SPREAD = 1e-14  # residual sum of squares, as a share of the estimates' own, below which studies agree exactly
GRID = 60  # points between the smallest and the largest tau squared at which the slope of a likelihood is looked at
ACCURATE = 4.0 * np.finfo(float).eps


@dataclass(frozen=True)
class Fit:
    """Least squares at one tau squared: weights (k,), coefficients (p,), their variance (p, p), residuals (k,)."""

    weight: FloatArray
    coef: FloatArray
    variance: FloatArray
    residual: FloatArray
    x: FloatArray

    @property
    def q(self) -> float:
        """The weighted sum of squared residuals: the generalized Q."""
        return float(self.weight @ self.residual**2)

    @cached_property
    def hat(self) -> FloatArray:
        """What each study weighs in its own fitted value (k,); with an intercept alone, its share of the whole."""
        result: FloatArray = self.weight * np.einsum("kp,pq,kq->k", self.x, self.variance, self.x)
        return result

    @property
    def trace(self) -> float:
        """Trace of P = W - W X (X'WX)^-1 X'W, the weight left after the coefficients are fitted."""
        return float(self.weight @ (1.0 - self.hat))


@dataclass(frozen=True)
class Effects:
    """Estimates y (k,) of studies with sampling variances v (k,), and a design x (k, p) with the intercept first."""

    y: FloatArray
    v: FloatArray
    x: FloatArray

    @classmethod
    def alone(cls, y: FloatArray, v: FloatArray) -> Effects:
        """Without covariates."""
        return cls(y, v, np.ones((len(y), 1)))

    @property
    def df(self) -> int:
        """Studies less coefficients."""
        return len(self.y) - self.x.shape[1]

    def fit(self, tau2: float) -> Fit:
        """Weighted least squares, weights 1 / (v + tau2)."""
        weight = 1.0 / (self.v + tau2)
        # From the middle of the estimates, so that a far-off zero costs no digits.
        variance = np.asarray(np.linalg.inv(self.x.T @ (weight[:, None] * self.x)), dtype=np.float64)
        first = variance @ (self.x.T @ (weight * self.y))
        left = self.y - self.x @ first
        coef = first + variance @ (self.x.T @ (weight * left))
        return Fit(weight, coef, variance, self.y - self.x @ coef, self.x)

    @property
    def typical(self) -> float:
        """The sampling variance of a typical study (Higgins and Thompson 2002, Stat Med 21:1539)."""
        return self.df / self.fit(0.0).trace

    def loglik(self, tau2: float, restricted: bool) -> float:
        """Log-likelihood, without constants."""
        fit = self.fit(tau2)
        value = (float(np.sum(np.log(fit.weight))) - fit.q) / 2.0
        return value + (float(np.linalg.slogdet(fit.variance)[1]) / 2.0 if restricted else 0.0)

    def slope(self, tau2: float, restricted: bool) -> float:
        """Its derivative by tau squared, times two."""
        fit = self.fit(tau2)
        return float(np.sum((fit.weight * fit.residual) ** 2) - (fit.trace if restricted else fit.weight.sum()))


def tau2_of(data: Effects, method: Tau2Method) -> float:
    """Tau squared, never below zero.

    >>> four = Effects.alone(np.array([0.1, 0.5, 0.9, 0.3]), np.full(4, 0.02))
    >>> [round(tau2_of(four, method), 4) for method in ("reml", "dl", "pm", "ml")]  # equal variances: all but ML agree
    [0.0967, 0.0967, 0.0967, 0.0675]
    """
    if method == "fixed":
        return 0.0
    if method == "dl":
        at_zero = data.fit(0.0)
        return max(0.0, (at_zero.q - data.df) / at_zero.trace)
    if method == "pm":
        return _where_q_is(data, float(data.df))
    return _highest(data, method == "reml")


def _highest(data: Effects, restricted: bool) -> float:
    lowest = 1e-6 * float(data.v.min())
    top = float(data.v.max()) + float(np.var(data.y))
    while data.slope(top, restricted) >= 0.0:
        top *= 2.0
    grid = np.concatenate([[0.0], np.geomspace(lowest, top, GRID)])
    slopes = np.array([data.slope(tau2, restricted) for tau2 in grid])
    peaks = [0.0] if slopes[0] <= 0.0 else []
    peaks += [
        float(optimize.brentq(data.slope, low, high, (restricted,), xtol=1e-300, rtol=ACCURATE))
        for low, high, rises, falls in zip(grid, grid[1:], slopes, slopes[1:], strict=False)
        if rises > 0.0 >= falls
    ]
    return max(peaks, key=lambda tau2: data.loglik(tau2, restricted))


def _where_q_is(data: Effects, target: float) -> float:
    """The tau squared at which the generalized Q, which falls with it, is `target`; 0 where it is lower throughout."""

    def above(tau2: float) -> float:
        return data.fit(tau2).q - target

    if above(0.0) <= 0.0:
        return 0.0
    top = float(data.v.max()) + float(np.var(data.y))
    while above(top) > 0.0:
        top *= 2.0
    return float(optimize.brentq(above, 0.0, top, xtol=1e-300, rtol=ACCURATE))


def q_profile(data: Effects, confidence: float) -> tuple[float, float]:
    """Limits of tau squared: where the generalized Q has the probability of each tail. Both 0 where none fits.

    >>> low, high = q_profile(Effects.alone(np.array([0.1, 0.5, 0.9, 0.3]), np.full(4, 0.02)), 0.95)
    >>> round(low, 4), round(high, 4)
    (0.0174, 1.6019)
    """
    tail = (1.0 - confidence) / 2.0
    upper, lower = float(stats.chi2.isf(tail, data.df)), float(stats.chi2.ppf(tail, data.df))
    return _where_q_is(data, upper), _where_q_is(data, lower)


@dataclass(frozen=True)
class Pooled:
    """What k studies say together, on the scale of analysis; what cannot be estimated is missing.

    coef, covariance : (p,), (p, p) by the test asked for; coef is infinite where no study has an event, or all only.
    hat : (k,) weights. shrunken : (k,) values of the studies' own, drawn towards the fit by how unsure each is.
    df : degrees of freedom of t; missing where limits are normal. i2 : a share. typical : the sampling variance of a
    typical study. factor : by which the Hartung-Knapp test took the variance. agree : studies agree exactly, so that
    its error would be 0. loglik_by_more_points : of a quadrature, how far it moves with twice as many.
    """

    coef: FloatArray
    covariance: FloatArray
    hat: FloatArray
    shrunken: FloatArray
    q: float = 0.0
    q_df: int = 0
    df: float = math.nan
    tau2: float = math.nan
    tau2_low: float = math.nan
    tau2_high: float = math.nan
    i2: float = math.nan
    h2: float = math.nan
    typical: float = math.nan
    factor: float = 1.0
    loglik: float = math.nan
    loglik_by_more_points: float = math.nan
    agree: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def nothing(cls, coef: float, k: int, **known: Any) -> Pooled:
        """A coefficient without an error."""
        missing = np.full(k, math.nan)
        return cls(np.array([coef]), np.full((1, 1), math.nan), missing, missing, **known)

    @classmethod
    def of_one(cls, y: float, v: float) -> Pooled:
        """A single study is itself."""
        return cls(np.array([y]), np.array([[v]]), np.ones(1), np.array([y]))

    @property
    def k(self) -> int:
        """Studies."""
        return len(self.hat)

    @property
    def std_error(self) -> float:
        """Of the first coefficient."""
        return math.nan if self.agree else float(np.sqrt(self.covariance[0, 0]))

    @property
    def q_p_value(self) -> float:
        """Probability of a Q as large if all studies had one effect."""
        return float(stats.chi2.sf(self.q, self.q_df)) if self.q_df > 0 else math.nan

    def i2_at(self, tau2: float) -> float:
        """The share of the variance between estimates that is not chance, at another tau squared."""
        return tau2 / (tau2 + self.typical)


def pool(data: Effects, method: Tau2Method, test: MetaTest, confidence: float | None) -> Pooled:
    """Pool by inverse variance; limits of tau squared are left out without `confidence`.

    test : "hksj" takes the variance by how far studies lie from the fit (Hartung and Knapp 2001, Stat Med 20:3875;
        Sidik and Jonkman 2002, Stat Med 21:3153), with t; "adhoc" the same, but never makes it smaller; "t" the plain
        variance with t; "z" with normal limits.

    >>> found = pool(Effects.alone(np.array([0.1, 0.5, 0.9, 0.3]), np.full(4, 0.02)), "reml", "hksj", 0.95)
    >>> round(float(found.coef[0]), 4), round(found.std_error, 4), found.df  # as the mean and its error of four numbers
    (0.45, 0.1708, 3.0)
    """
    if method == "fixed" and test in ("hksj", "adhoc"):
        raise EstimationError(
            "The Hartung-Knapp test measures how far studies differ, which one common effect denies: with "
            'method="fixed" say test="z", or take method="reml".'
        )
    if data.df < 1:
        raise EstimationError(f"{len(data.y)} studies are too few for {data.x.shape[1]} coefficients.")
    tau2 = tau2_of(data, method)
    fit, common, df, typical = data.fit(tau2), data.fit(0.0), data.df, data.typical
    spread = fit.q / df
    low, high = (math.nan, math.nan) if method == "fixed" or confidence is None else q_profile(data, confidence)
    factor = {"hksj": spread, "adhoc": max(1.0, spread)}.get(test, 1.0)
    return Pooled(
        coef=fit.coef,
        covariance=factor * fit.variance,
        hat=fit.hat,
        shrunken=data.y - fit.residual * data.v * fit.weight,
        q=common.q,
        q_df=df,
        df=math.nan if test == "z" else float(df),
        tau2=tau2,
        tau2_low=low,
        tau2_high=high,
        i2=max(0.0, 1.0 - df / max(common.q, 1e-300)) if method == "fixed" else tau2 / (tau2 + typical),
        h2=common.q / df if method == "fixed" else tau2 / typical + 1.0,
        typical=typical,
        factor=factor,
        loglik=data.loglik(tau2, method == "reml"),
        agree=test == "hksj" and fit.q <= NO_SPREAD * (1.0 + float(fit.weight @ data.y**2)),
    )
