"""Odds ratios within a patient: each has a log odds of its own, normal around the mean, and it is integrated out.

Random-intercept logistic regression by adaptive Gauss-Hermite quadrature (Pinheiro and Bates 1995, J Comput Graph
Stat 4:12): the integrand of every cluster is centred at its own mode and scaled by its own curvature there, so that
few points do; one point is the Laplace approximation. Likelihood and standard errors are R's `lme4::glmer`'s: those
of coefficients and spread together, by the inverse of the observed information. Gradients are exact for the
approximated likelihood (through mode and curvature), and information is their difference.

Such an odds ratio compares vertebrae of one patient, or patients of the same unseen risk; that of the population
(`gee_logistic`, `logistic`) lies nearer one, by about sqrt(1 + 0.346 sd^2) on the log scale (Zeger, Liang and Albert
1988, Biometrics 44:1049). Neither is wrong; say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.special import gammaln

from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of, design, distinct, numbers, standardize, zero_one
from cohort.estimate.glm import fit_glm
from cohort.estimate.model_frame import Terms, clusters_with_event, on_written_scale, spread_out, term_rows
from cohort.estimate.newton import invert
from cohort.estimate.risk_sets import sum_by
from cohort.tables.results import Estimates

CONDITIONAL = "odds ratios within a patient (conditional on the random intercept); those of the population lie nearer 1"
ATTENUATION = 16.0**2 * 3.0 / (15.0 * np.pi) ** 2  # 0.346, of the variance by which a logit flattens
NO_LIMIT = 30.0  # spread of log odds beyond which patients have all of their rows or none with an event


quadrature = cache(np.polynomial.hermite.hermgauss)


@dataclass(frozen=True)
class Binomials:
    """Rows sorted by cluster: events y of n (n_rows,), covariates with the intercept z (n_rows, k), codes from 0."""

    y: FloatArray
    n: FloatArray
    z: FloatArray
    cluster: IntArray

    @cached_property
    def alone(self) -> bool:
        """Whether every row is a cluster, as studies are: there is nothing to sum then."""
        return np.array_equal(self.cluster, np.arange(len(self.y)))

    def by_cluster(self, values: FloatArray) -> FloatArray:
        """Sums over clusters: (G,) or (G, m)."""
        if self.alone:
            return values
        size = int(self.cluster.max(initial=-1)) + 1
        if values.ndim == 2:
            return sum_by(self.cluster, values, size)
        return np.bincount(self.cluster, values, minlength=size).astype(np.float64)

    def mean(self, eta: FloatArray) -> FloatArray:
        """Expected events."""
        return self.n / (1.0 + np.exp(-eta))

    def modes(self, fixed: FloatArray, sd: float) -> FloatArray:
        """The standardized intercept u at which y given u, times the density of u, is largest: (G,)."""
        u = self.by_cluster(np.zeros(len(self.y)))
        # The second derivative is at least one, and the third bounded: a step of Newton, held to length 1, gets there.
        for _ in range(100):
            mean = self.mean(fixed + sd * u[self.cluster])
            curvature = 1.0 + sd**2 * self.by_cluster(mean * (1.0 - mean / self.n))
            step = (sd * self.by_cluster(self.y - mean) - u) / curvature
            u = u + np.clip(step, -1.0, 1.0)
            if np.abs(step).max(initial=0.0) < 1e-12:
                break
        return u

    def evaluate(self, coef: FloatArray, sd: float, points: int) -> tuple[float, FloatArray]:
        """Log-likelihood without binomial coefficients, and its gradient by coefficients and spread (k + 1,)."""
        y, n, z, c = self.y, self.n, self.z, self.cluster
        fixed = z @ coef
        u = self.modes(fixed, sd)
        mean = self.mean(fixed + sd * u[c])
        variance = mean * (1.0 - mean / n)
        skew = variance * (1.0 - 2.0 * mean / n)
        # The exponent h(u) of a cluster at its mode: h_uu, h_uuu, and how each parameter moves mode and scale.
        curve = 1.0 + sd**2 * self.by_cluster(variance)
        third = -(sd**3) * self.by_cluster(skew)
        along = np.column_stack([z, u[c]])  # derivative of the linear predictor, at fixed u
        by_mode = -sd * self.by_cluster(along * variance[:, None])
        by_mode[:, -1] += self.by_cluster(y - mean)
        by_curve = -(sd**2) * self.by_cluster(along * skew[:, None])
        by_curve[:, -1] -= 2.0 * sd * self.by_cluster(variance)
        moved = by_mode / curve[:, None]
        scale = curve**-0.5
        widened = 0.5 * scale[:, None] ** 3 * (by_curve + third[:, None] * moved)

        nodes, weights = quadrature(points)
        value, gradient = np.empty((len(u), points)), np.empty((points, len(u), z.shape[1] + 1))
        for k, (node, weight) in enumerate(zip(np.sqrt(2.0) * nodes, weights, strict=True)):
            at = u + node * scale
            eta = fixed + sd * at[c]
            left = y - self.mean(eta)
            value[:, k] = self.by_cluster(y * eta - n * np.logaddexp(0.0, eta)) - at**2 / 2.0 + node**2 / 2.0
            value[:, k] += np.log(weight)
            slope = sd * self.by_cluster(left) - at
            direct = self.by_cluster(np.column_stack([z, at[c]]) * left[:, None])
            gradient[k] = direct + slope[:, None] * (moved + node * widened)
        top = value.max(axis=1)
        share = np.exp(value - top[:, None])
        total = share.sum(axis=1)
        loglik = float(np.sum(top + np.log(total) + np.log(scale)) - len(u) * np.log(np.pi) / 2.0)
        mixed = np.einsum("gk,kgm->gm", share / total[:, None], gradient) + widened / scale[:, None]
        return loglik, mixed.sum(axis=0)

    def information(self, theta: FloatArray, points: int) -> FloatArray:
        """Minus the second derivatives by coefficients and spread (k + 1, k + 1)."""
        size, step = len(theta), 1e-4
        result = np.empty((size, size))
        for j in range(size):
            sides = []
            for direction in (-2.0, -1.0, 1.0, 2.0):
                moved = theta.copy()
                moved[j] += direction * step
                sides.append(self.evaluate(moved[:-1], float(moved[-1]), points)[1])
            result[j] = (8.0 * (sides[2] - sides[1]) - (sides[3] - sides[0])) / (12.0 * step)
        return -(result + result.T) / 2.0


@dataclass(frozen=True)
class MixedFit:
    """Coefficients (k,) of z, spread of the intercepts, log-likelihood, and the information of both (k + 1, k + 1).

    At a spread of 0 the information of the spread is none, and the coefficients are those of `logistic`.
    """

    coef: FloatArray
    sd: float
    loglik: float
    information: FloatArray
    converged: bool


def fit_mixed(data: Binomials, start: FloatArray, points: int) -> MixedFit:
    """Climb from coefficients `start` (k,) of the model without a spread."""

    def downhill(theta: FloatArray) -> tuple[float, FloatArray]:
        loglik, gradient = data.evaluate(theta[:-1], float(theta[-1]), points)
        return -loglik, -gradient

    # The likelihood is flat in the spread at 0, whichever way it goes: the climb starts from a patient's own 1.
    found = optimize.minimize(
        downhill,
        np.append(start, 1.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None)] * len(start) + [(0.0, NO_LIMIT)],
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7},
    )
    theta = np.asarray(found.x, dtype=np.float64)
    if theta[-1] < 1e-3:
        theta = np.append(start, 0.0)
        loglik, _ = data.evaluate(start, 0.0, points)
        return MixedFit(start, 0.0, loglik, data.information(theta, points), True)
    information = data.information(theta, points)
    if theta[-1] >= NO_LIMIT:
        return MixedFit(theta[:-1], np.inf, -float(found.fun), information, False)
    converged = False
    for _ in range(20):
        step = np.linalg.solve(information, data.evaluate(theta[:-1], float(theta[-1]), points)[1])
        if not np.isfinite(step).all() or np.abs(step).max() > 1.0:
            break
        theta = theta + step
        converged = bool(np.abs(step).max() < 1e-9)
        if converged:
            break
    loglik, _ = data.evaluate(theta[:-1], float(theta[-1]), points)
    information = data.information(theta, points)
    return MixedFit(theta[:-1], float(theta[-1]), loglik, information, converged)


def mixed_logistic(
    df: pd.DataFrame,
    *,
    covariates: Sequence[str],
    cluster: str,
    outcome: str | None = None,
    events: str | None = None,
    n: str | None = None,
    points: int = 9,
    confidence: float = 0.95,
    model: str = "",
) -> Estimates:
    """Odds ratios within a patient, by logistic regression with an intercept for each.

    df : one row per unit with `outcome` 0/1, or rows of `events` out of `n`. cluster : the patient.
    points : of quadrature for each patient, an odd number; 1 is Laplace, quick and not exact for few rows a patient.
        `settings["loglik_by_more_points"]` is how far the log-likelihood moves with 2 points + 1 at the same place: if
        that is not small beside 0.1, take more.

    Returns the intercept and a row per term: estimate (odds ratio within a patient), conf_low, conf_high, coef,
    std_error and naive_std_error (both model-based; there is no robust one), n_patients, n_units, n_events,
    n_exposed_events, note. The intercept is the odds of a patient of average log odds.
    `settings` hold `sd` of the patients' log odds and its `sd_std_error`; `median_odds_ratio`, by which two patients
    alike in covariates differ (Larsen and Merlo 2005, Am J Epidemiol 161:81); `marginal_factor`, about by which a
    log odds ratio is to be multiplied to be one of the population; `loglik`, binomial coefficients included,
    `loglik_saturated`; and a likelihood ratio test of the spread (half a chi-squared, as a spread is not negative).

    >>> df = pd.DataFrame({"patient": np.repeat(np.arange(8), 3), "leak": [1, 0, 0] * 8})
    >>> df["broke"] = [1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0]
    >>> fit = mixed_logistic(df, outcome="broke", covariates=["leak"], cluster="patient")
    >>> round(float(fit.frame["estimate"].iloc[1]), 2), round(fit.settings["sd"], 2)
    (2.49, 0.86)
    """
    if points < 1 or points % 2 == 0 or points > 99:
        raise EstimationError(f"points must be an odd number from 1 (Laplace) to 99, and is {points}.")
    y, size, of_binary = _counts(df, outcome, events, n)
    groups = codes_of(df, cluster, "the cluster")
    plan = design(df, covariates)
    used = plan.complete & (size > 0)
    x, y, size = plan.matrix[size[plan.complete] > 0], y[used], size[used]
    whose = np.unique(np.zeros(0) if groups is None else groups[used], return_inverse=True)[1].astype(np.int64)
    n_clusters, total = distinct(whose), float(size.sum())
    counts = {
        "outcome": outcome or events or "",
        "model": model,
        "n_patients": n_clusters,
        "n_units": total if not of_binary else len(y),
        "n_events": float(y.sum()),
    }
    settings: dict[str, Any] = {
        "method": "logistic regression with a random intercept, adaptive Gauss-Hermite quadrature",
        "reads": CONDITIONAL,
        "points": points,
        "variance": "inverse observed information of coefficients and spread together, as lme4",
        "n_clusters": n_clusters,
        "sd": np.nan,
    }
    terms, notes = Terms.nothing(1 + len(plan.terms)), []
    if y.sum() in (0.0, total):
        notes = [f"{'no event' if y.sum() == 0 else 'an event in every unit'}: nothing can be estimated"]
    elif of_binary and n_clusters == len(y):
        notes = ["one row in every cluster: nothing tells patients apart; take `logistic`"]
    else:
        terms, said, notes = _fitted(x, y, size, whose, points)
        settings |= said
        notes += report.robust_notes(float(y.sum()), n_clusters, clusters_with_event(whose, y), False)
    return term_rows(
        terms, plan, x, y, measure="odds_ratio", counts=counts, confidence=confidence, settings=settings, notes=notes
    )


def _counts(
    df: pd.DataFrame, outcome: str | None, events: str | None, n: str | None
) -> tuple[FloatArray, FloatArray, bool]:
    """Events of each row, out of how many, and whether rows are single units."""
    if outcome is not None and events is None and n is None:
        return zero_one(df, outcome, "the outcome").astype(np.float64), np.ones(len(df)), True
    if outcome is not None or events is None or n is None:
        raise EstimationError("Give `outcome`, a 0/1 column of units, or `events` and `n`, counts of each row.")
    y, size = numbers(df, events, "the events"), numbers(df, n, "the number of units")
    wrong = int(((y < 0) | (y > size) | (y != np.rint(y)) | (size != np.rint(size))).sum())
    if wrong:
        raise EstimationError(f"In {wrong} rows '{events}' and '{n}' are no counts of events out of units.")
    return y, size, False


def _fitted(
    x: FloatArray, y: FloatArray, size: FloatArray, whose: IntArray, points: int
) -> tuple[Terms, dict[str, Any], list[str]]:
    first = fit_glm(x, y / size, size, whose, "binomial", np.zeros(len(y)))
    q = 1 + x.shape[1]
    missing, no = np.full(q, np.nan), np.zeros(q, dtype=bool)
    if first.unlimited.any():
        coef = np.where(first.unlimited, first.coef, np.nan)
        said = ["a covariate separates events from the rest: leave it out to estimate the others"]
        return Terms(coef, missing, missing, first.kept, first.unlimited, no), {}, said
    centre, scale = standardize(x, size)[1:]
    back = on_written_scale(centre, scale, first.kept)
    rows = np.argsort(whose, kind="stable")
    z = np.column_stack([np.ones(len(y)), (x - centre) / scale])[:, first.kept]
    data = Binomials(y[rows], size[rows], z[rows], whose[rows])
    start = np.asarray(np.linalg.solve(back, first.coef[first.kept]), dtype=np.float64)
    fit = fit_mixed(data, start, points)
    known = _constants(y, size)
    if not fit.converged:
        why = f"log odds of patients differ beyond limit (sd over {NO_LIMIT:g})" if np.isinf(fit.sd) else "no maximum"
        return Terms.nothing(q), {"sd": fit.sd, "loglik": fit.loglik + known[0]}, [f"{why}: nothing can be estimated"]
    inside = slice(0, len(fit.coef) + (fit.sd > 0))
    covariance = invert(fit.information[inside, inside])
    k = len(fit.coef)
    error = spread_out(np.sqrt(np.diag(back @ covariance[:k, :k] @ back.T)), first.kept)
    terms = Terms(spread_out(back @ fit.coef, first.kept), error, error, first.kept, no, no)
    notes = [] if fit.sd > 0 else ["patients differ no more than by chance (sd 0): the odds ratios of `logistic`"]
    return terms, _settings(data, fit, covariance, known, points, first.loglik), notes


def _constants(y: FloatArray, n: FloatArray) -> tuple[float, float]:
    """Log binomial coefficients, and the log-likelihood of the saturated model with them."""
    coefficients = float(np.sum(gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0)))
    share = np.clip(y / n, 1e-300, 1.0)
    rest = np.clip(1.0 - y / n, 1e-300, 1.0)
    return coefficients, coefficients + float(np.sum(y * np.log(share) + (n - y) * np.log(rest)))


def _settings(
    data: Binomials, fit: MixedFit, covariance: FloatArray, known: tuple[float, float], points: int, without: float
) -> dict[str, Any]:
    more, _ = data.evaluate(fit.coef, fit.sd, 2 * points + 1)
    gain = max(2.0 * (fit.loglik - without), 0.0) if fit.sd > 0 else 0.0
    return {
        "sd": fit.sd,
        "sd_std_error": float(np.sqrt(covariance[-1, -1])) if fit.sd > 0 else np.nan,
        "median_odds_ratio": float(np.exp(np.sqrt(2.0) * fit.sd * stats.norm.ppf(0.75))),
        "marginal_factor": float(1.0 / np.sqrt(1.0 + ATTENUATION * fit.sd**2)),
        "loglik": fit.loglik + known[0],
        "loglik_saturated": known[1],
        "loglik_by_more_points": more - fit.loglik,
        "spread_statistic": gain,
        "spread_p_value": float(stats.chi2.sf(gain, 1) / 2.0) if gain > 0 else 1.0,
    }
