"""Counts are pooled by their own likelihood: nothing is added to a zero, and no variance is taken as known.

Events of a study are binomial around its own log odds, or Poisson around its own log rate, and these are normal around
the mean (Stijnen, Hamza and Ozdemir 2010, Stat Med 29:3046); maximum likelihood by the adaptive quadrature of
`mixed_logistic`, as `metafor::rma.glmm` (PLO, IRLN) by `lme4::glmer`. The mean belongs to the study in the middle.

Poisson counts take the same code: person-time is cut into slices so short that one of 10^10 has an event. A binomial
count of slices is then a Poisson count, to about ten digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import optimize, stats
from scipy.special import gammaln, rel_entr, xlogy

from cohort.domain.clock import FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate.meta_tau import Effects, MetaTest, Pooled
from cohort.estimate.mixed import NO_LIMIT, Binomials, MixedFit, fit_mixed
from cohort.estimate.newton import invert

Likelihood = Literal["binomial", "poisson"]
SLICES = 1e10  # slices of person-time for each event of all studies together


@dataclass(frozen=True)
class Counts:
    """Events (k,) of studies, out of `size` persons (binomial) or over `size` person-time (Poisson)."""

    events: FloatArray
    size: FloatArray
    likelihood: Likelihood

    @property
    def slices(self) -> float:
        """Trials per unit of size."""
        if self.likelihood == "binomial":
            return 1.0
        return SLICES * float(self.events.sum() / self.size.sum())

    @property
    def trials(self) -> Binomials:
        """One cluster of one row for each study."""
        k = len(self.events)
        return Binomials(self.events, self.size * self.slices, np.ones((k, 1)), np.arange(k, dtype=np.int64))

    @property
    def empty(self) -> bool:
        """Nothing, or everything, happened in all studies."""
        total = self.events.sum()
        return bool(total == 0 or (self.likelihood == "binomial" and total == self.size.sum()))

    @property
    def constant(self) -> float:
        """What the log-likelihood of the trials lacks of that of the counts."""
        y, n = self.events, self.size
        if self.likelihood == "binomial":
            return float(np.sum(gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0)))
        return float(np.sum(xlogy(y, n * self.slices) - gammaln(y + 1.0)))

    def deviance(self, expected: FloatArray) -> float:
        """Twice the log-likelihood of the studies' own values over that of the expected events (k,)."""
        y, n = self.events, self.size
        value = rel_entr(y, expected)
        value = value + (rel_entr(n - y, n - expected) if self.likelihood == "binomial" else expected - y)
        return 2.0 * float(value.sum())

    def effects(self) -> Effects:
        """Log odds or log rates with their variances, half an event added (and half a person) in studies that need it.

        Only I squared of a likelihood, and square sizes, rest on these; nothing is pooled from them.
        """
        y, n = self.events, self.size
        binomial = self.likelihood == "binomial"
        bare = (y == 0) | (binomial & (y == n))
        y = np.where(bare, y + 0.5, y)
        rest = np.where(bare, n - self.events + 0.5, n - self.events) if binomial else n
        return Effects.alone(np.log(y / rest), 1.0 / y + (1.0 / rest if binomial else 0.0))


def pool_counts(counts: Counts, points: int, test: MetaTest, confidence: float | None) -> Pooled:
    """Mean log odds (or log rate) of two studies or more, with the spread between them.

    points : of the quadrature, an odd number. test : "z", or "t" with k - 1 degrees of freedom.
    tau2_low, tau2_high of the result : limits by the profile of the likelihood, left out without `confidence`;
    q : likelihood ratio of a value for each study against one for all; hat : weights at the mean, for drawing.

    >>> found = pool_counts(Counts(np.array([3.0, 9, 1]), np.array([50.0, 60, 70]), "binomial"), 7, "z", 0.95)
    >>> round(float(found.coef[0]), 3), round(found.std_error, 3), round(found.tau2, 3)
    (-2.776, 0.589, 0.633)
    """
    if test not in ("z", "t"):
        raise EstimationError(
            f'A likelihood of counts has the tests "z" and "t", and not {test!r}; Hartung-Knapp needs the variances of '
            'studies: take method="logit", "freeman_tukey" or "log" for it.'
        )
    if points < 1 or points % 2 == 0 or points > 99:
        raise EstimationError(f"points must be an odd number from 1 (Laplace) to 99, and is {points}.")
    k = len(counts.events)
    typical = counts.effects().typical
    known: dict[str, Any] = {
        "q": counts.deviance(counts.size * float(counts.events.sum() / counts.size.sum())),
        "q_df": k - 1,
        "df": float(k - 1) if test == "t" else math.nan,
        "typical": typical,
    }
    if counts.empty:
        return Pooled.nothing(-math.inf if counts.events.sum() == 0 else math.inf, k, **known)
    trials = counts.trials
    share = float(trials.y.sum() / trials.n.sum())
    fit = fit_mixed(trials, np.array([math.log(share) - math.log1p(-share)]), points)
    if not fit.converged:
        why = f"studies differ beyond limit (tau over {NO_LIMIT:g})" if np.isinf(fit.sd) else "no maximum was found"
        return Pooled.nothing(math.nan, k, **known, notes=(f"{why}: nothing can be pooled",))
    inside, tau2 = slice(0, 1 + (fit.sd > 0)), fit.sd**2
    low, high = (math.nan, math.nan) if confidence is None else profile_limits(trials, fit, points, confidence)
    mean = trials.mean(np.full(k, fit.coef[0]))
    weight = 1.0 / (tau2 + 1.0 / (mean * (1.0 - mean / trials.n)))
    coef = fit.coef + (0.0 if counts.likelihood == "binomial" else math.log(counts.slices))
    return Pooled(
        coef=coef,
        covariance=invert(fit.information[inside, inside])[:1, :1],
        hat=weight / weight.sum(),
        shrunken=coef + fit.sd * trials.modes(np.full(k, fit.coef[0]), fit.sd),
        tau2=tau2,
        tau2_low=low,
        tau2_high=high,
        i2=tau2 / (tau2 + typical),
        h2=tau2 / typical + 1.0,
        loglik=fit.loglik + counts.constant,
        loglik_by_more_points=trials.evaluate(fit.coef, fit.sd, 2 * points + 1)[0] - fit.loglik,
        **known,
    )


def profile_limits(trials: Binomials, fit: MixedFit, points: int, confidence: float) -> tuple[float, float]:
    """Tau squared at which the log-likelihood, highest over the mean, has fallen by half a chi-squared of one.

    The upper limit is missing where the likelihood has not fallen so far within any spread that can be told.
    """
    fall = float(stats.chi2.ppf(confidence, 1)) / 2.0

    def below(sd: float) -> float:
        return fit.loglik - fall - _profile(trials, float(fit.coef[0]), sd, points)

    low = 0.0
    if fit.sd > 0 and below(0.0) > 0.0:
        low = float(optimize.brentq(below, 0.0, fit.sd, xtol=1e-9))
    top = max(2.0 * fit.sd, 0.1)
    while below(top) < 0.0:
        top *= 2.0
        if top > NO_LIMIT:
            return low**2, math.nan
    return low**2, float(optimize.brentq(below, fit.sd, top, xtol=1e-9)) ** 2


def _profile(trials: Binomials, start: float, sd: float, points: int) -> float:
    """The log-likelihood at a spread, highest over the mean. It is concave in the mean: its slope has one root."""

    def slope(coef: float) -> float:
        return float(trials.evaluate(np.array([coef]), sd, points)[1][0])

    reach = 0.5
    while slope(start + reach) > 0.0 or slope(start - reach) < 0.0:
        reach *= 2.0
    # At its top the likelihood is flat: a millionth off costs it a millionth of a millionth.
    best = float(optimize.brentq(slope, start - reach, start + reach, xtol=1e-6))
    return trials.evaluate(np.array([best]), sd, points)[0]
