"""Rate ratios where counts vary more than chance allows: a Poisson rate with a gamma spread of its own in each row.

Negative binomial regression (NB2): variance mean + alpha mean^2, alpha by maximum likelihood, as R's `MASS::glm.nb`
(whose theta is 1 / alpha; Venables and Ripley 2002, section 7.4). For a given alpha it is a generalized linear model,
so coefficients and alpha are climbed in turn. Where counts vary no more than Poisson's the likelihood is highest at
alpha 0, and the model is Poisson's, which is then what is given.

What overdispersion does to intervals a Poisson model clustered by patient (`poisson`) repairs as well; the two differ
in how they weigh rows, and agree on what a rate ratio is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.special import digamma, gammaln, polygamma

from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of, design, distinct, numbers, standardize
from cohort.estimate.glm import fit_glm
from cohort.estimate.model_frame import (
    Terms,
    clusters_with_event,
    flags_of,
    left_out_in_turn,
    on_written_scale,
    spread_out,
    term_rows,
)
from cohort.estimate.newton import CLOSE, MAX_STEPS, invert, newton_step
from cohort.estimate.risk_sets import sum_by
from cohort.estimate.small_sample import HazardCorrection, applies
from cohort.tables.results import Estimates

SMALLEST, LARGEST = 1e-8, 1e4  # alpha between which the likelihood is searched
TABLE = 100_000  # counts up to which sums over events are looked up
ROBUST = 'sandwich over clusters, no small-sample factor: vcovCL(glm.nb(...), type = "HC0", cadjust = FALSE)'
MODEL = "inverse expected information at the fitted alpha, as glm.nb"
ONE_STEP = "leaving out one cluster at a time, to one step (Mancl and DeRouen); limits from t"


@dataclass(frozen=True)
class NegativeBinomialFit:
    """Coefficients (k,) of z, alpha with its error, log-likelihood, and what each row adds to score and information.

    residual : (n,), what times z is the score; slope : (n, k), whose cross product is the expected information.
    """

    coef: FloatArray
    alpha: float
    alpha_std_error: float
    loglik: float
    residual: FloatArray
    slope: FloatArray
    pearson: float
    poisson_loglik: float
    poisson_pearson: float
    converged: bool


def loglik_of(y: FloatArray, mean: FloatArray, alpha: float) -> float:
    """Log-likelihood of counts y at their means; alpha 0 is Poisson's.

    >>> round(loglik_of(np.array([2.0]), np.ones(1), 0.0), 4), round(loglik_of(np.array([2.0]), np.ones(1), 1.0), 4)
    (-1.6931, -2.0794)
    """
    if alpha == 0.0:
        return float(np.sum(y * np.log(mean) - mean - gammaln(y + 1.0)))
    grown = np.log1p(alpha * mean)
    return float(np.sum(_rising(y, alpha) - gammaln(y + 1.0) + y * (np.log(mean) - grown) - grown / alpha))


def _rising(y: FloatArray, alpha: float) -> FloatArray:
    """log of (1 + alpha)(1 + 2 alpha) ... (1 + (y - 1) alpha): a sum over the events, exact for small alpha too."""
    if y.max(initial=0.0) <= TABLE:
        k = np.arange(max(int(y.max(initial=0.0)), 1))
        return np.append(0.0, np.cumsum(np.log1p(alpha * k)))[y.astype(np.int64)]
    result: FloatArray = gammaln(y + 1.0 / alpha) - gammaln(1.0 / alpha) + y * np.log(alpha)
    return result


def _alpha_score(y: FloatArray, mean: FloatArray, alpha: float) -> float:
    """Derivative of the log-likelihood by alpha, at given means."""
    x = alpha * mean
    small = x < 1e-3  # below it the difference of two large terms is taken by its series
    series = mean**2 * (0.5 - x * (2.0 / 3.0 - x * (0.75 - 0.8 * x)))
    with np.errstate(divide="ignore", invalid="ignore"):
        direct = (np.log1p(x) / alpha - mean / (1.0 + x)) / alpha if alpha > 0 else series
    return float(np.sum(_rising_slope(y, alpha) - y * mean / (1.0 + x) + np.where(small, series, direct)))


def _rising_slope(y: FloatArray, alpha: float) -> FloatArray:
    if y.max(initial=0.0) <= TABLE:
        k = np.arange(max(int(y.max(initial=0.0)), 1))
        return np.append(0.0, np.cumsum(k / (1.0 + alpha * k)))[y.astype(np.int64)]
    theta = 1.0 / alpha
    result: FloatArray = (y - theta * (digamma(y + theta) - digamma(theta))) / alpha
    return result


def _alpha_error(y: FloatArray, mean: FloatArray, alpha: float) -> float:
    """Standard error of alpha by the observed information of theta at given means, as `theta.ml`."""
    theta = 1.0 / alpha
    information = float(
        np.sum(
            polygamma(1, theta)
            - polygamma(1, y + theta)
            - 1.0 / theta
            + 2.0 / (mean + theta)
            - (y + theta) / (mean + theta) ** 2
        )
    )
    return alpha**2 / np.sqrt(information) if information > 0 else np.nan


def fit_negative_binomial(z: FloatArray, y: FloatArray, log_time: FloatArray, start: FloatArray) -> NegativeBinomialFit:
    """Fit z (n, k), with the intercept, to counts y; start : (k,) coefficients of the Poisson model."""
    steady = True

    def climb(alpha: float, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
        nonlocal steady
        for _ in range(MAX_STEPS):
            mean = np.exp(z @ coef + log_time)
            weight = mean / (1.0 + alpha * mean)
            step = newton_step(z.T @ (weight[:, None] * z), z.T @ ((y - mean) / (1.0 + alpha * mean)))
            coef = coef + np.clip(step, -5.0, 5.0)
            if np.abs(z @ step).max() < CLOSE:
                return coef, np.exp(z @ coef + log_time)
        steady = False
        return coef, np.exp(z @ coef + log_time)

    poisson_mean = np.exp(z @ start + log_time)
    here = start

    def slope(log_alpha: float) -> float:
        nonlocal here
        alpha = float(np.exp(log_alpha))
        here, mean = climb(alpha, here)
        return alpha * _alpha_score(y, mean, alpha)

    alpha = 0.0
    if _alpha_score(y, poisson_mean, 0.0) > 0:
        low = np.log(SMALLEST)
        high = np.log(1e-3)
        while slope(high) > 0 and high < np.log(LARGEST):
            low, high = high, high + 1.0
        if high >= np.log(LARGEST):
            alpha, steady = LARGEST, False
        elif slope(low) > 0:
            alpha = float(np.exp(optimize.brentq(slope, low, high, xtol=1e-12, rtol=1e-13)))
    coef, mean = climb(alpha, here)
    left_over = float(len(y) - z.shape[1]) or np.nan
    weight = mean / (1.0 + alpha * mean)
    return NegativeBinomialFit(
        coef,
        alpha,
        float(_alpha_error(y, mean, alpha)) if alpha > 0 else np.nan,
        loglik_of(y, mean, alpha),
        (y - mean) / (1.0 + alpha * mean),
        z * np.sqrt(weight)[:, None],
        float(np.sum((y - mean) ** 2 / (mean * (1.0 + alpha * mean)))) / left_over,
        loglik_of(y, poisson_mean, 0.0),
        float(np.sum((y - poisson_mean) ** 2 / poisson_mean)) / left_over,
        steady,
    )


def negative_binomial(
    df: pd.DataFrame,
    *,
    events: str,
    person_time: str,
    covariates: Sequence[str],
    cluster: str | None = None,
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Rate ratios by negative binomial regression with log person-time as offset.

    df : rows of events and person-time, one per patient or unit: alpha is the spread of the rates of rows, so splitting
        a row into two changes it. Rows without person-time are left out, unless they hold events: an error.
    cluster : the patient; the standard error is then robust. Without one it is model-based.
    small_sample : of a robust variance: below 20 clusters with an event ("auto"), always ("jackknife") or never
        ("none") it leaves out one cluster at a time, to one step, with limits from t.

    Returns the frame of `poisson`. `settings` hold `alpha` and `alpha_std_error`; `dispersion`, Pearson's chi-squared
    over its degrees of freedom under the Poisson model (1 if counts vary as chance has it) and
    `dispersion_remaining` under this one; and a likelihood ratio test of alpha (half a chi-squared).

    >>> df = pd.DataFrame({"leak": [0] * 6 + [1] * 6, "days": 100.0})
    >>> df["broke"] = [0, 0, 1, 0, 5, 0, 9, 0, 0, 2, 1, 6]
    >>> fit = negative_binomial(df, events="broke", person_time="days", covariates=["leak"])
    >>> round(float(fit.frame["estimate"].iloc[1]), 4), round(fit.settings["alpha"], 3)
    (3.0, 2.05)
    """
    count = numbers(df, events, "the events")
    time = numbers(df, person_time, "the person-time")
    if ((time < 0) | ((time == 0) & (count > 0))).any():
        raise EstimationError(f"'{person_time}' is negative, or zero in a row with events; events need time at risk.")
    odd = int(((count < 0) | (count != np.rint(count))).sum())
    if odd:
        raise EstimationError(f"Column '{events}' (the events) must hold counts; {odd} rows hold others.")
    groups = codes_of(df, cluster, "the cluster")
    plan = design(df, covariates)
    used = plan.complete & (time > 0)
    x = plan.matrix[time[plan.complete] > 0]
    of_row = np.arange(len(df)) if groups is None else groups
    of_row, y, t = np.unique(of_row[used], return_inverse=True)[1].astype(np.int64), count[used], time[used]
    n_clusters, with_event, robust = distinct(of_row), clusters_with_event(of_row, y), cluster is not None
    counts = {
        "outcome": outcome,
        "model": model,
        "n_patients": n_clusters,
        "n_units": len(y),
        "n_events": float(y.sum()),
    }
    settings: dict[str, Any] = {
        "method": "negative binomial regression (NB2)",
        "offset": f"log {person_time}",
        "n_clusters": n_clusters,
        "alpha": np.nan,
    }
    terms, notes = Terms.nothing(1 + len(plan.terms)), ["no event: nothing can be estimated"]
    if y.sum() > 0:
        corrected = applies(small_sample, ("auto", "none", "jackknife"), with_event, robust) and n_clusters > 1
        settings["variance"] = ONE_STEP if corrected else ROBUST if robust else MODEL
        terms, said, notes = _fitted(x, y, t, of_row, robust, corrected)
        settings |= said
        words = "jackknife, limits from t" if corrected else ""
        notes += report.robust_notes(float(y.sum()), n_clusters, with_event, robust, words)
    return term_rows(
        terms, plan, x, y, measure="rate_ratio", counts=counts, confidence=confidence, settings=settings, notes=notes
    )


def _fitted(
    x: FloatArray, y: FloatArray, time: FloatArray, cluster: IntArray, robust: bool, corrected: bool
) -> tuple[Terms, dict[str, Any], list[str]]:
    ones, log_time = np.ones(len(y)), np.log(time)
    first = inner = fit_glm(x, y, ones, cluster, "poisson", log_time)
    kept, unlimited, rows = first.kept, first.unlimited, np.ones(len(y), dtype=bool)
    missing, no = np.full(len(kept), np.nan), np.zeros(len(kept), dtype=bool)
    columns = kept.copy()
    if unlimited.any():
        # Rows whose rate goes to zero with a coefficient say no more about the others: the fit is that of the rest.
        falls = np.column_stack([ones, x])[:, unlimited] @ np.sign(first.coef[unlimited])
        rows = falls == 0.0
        if not y[~rows].any() and rows.any():
            limited = ~unlimited[1:]
            inner = fit_glm(x[rows][:, limited], y[rows], ones[rows], cluster[rows], "poisson", log_time[rows])
            columns = np.append(True, limited)
            columns[columns] = inner.kept
        if y[~rows].any() or inner.unlimited.any():
            coef = np.where(unlimited, first.coef, np.nan)
            said = ["a covariate separates events from the rest: leave it out to estimate the others"]
            return Terms(coef, missing, missing, kept, unlimited, no), {}, said
    centre, scale = standardize(x[rows], ones[rows])[1:]
    back = on_written_scale(centre, scale, columns)
    z = np.column_stack([ones[rows], (x[rows] - centre) / scale])[:, columns]
    start = np.asarray(np.linalg.solve(back, inner.coef[inner.kept]), dtype=np.float64)
    fit = fit_negative_binomial(z, y[rows], log_time[rows], start)
    settings = _settings(fit)
    if not fit.converged:
        said = [f"no maximum (alpha {fit.alpha:.3g}): nothing can be estimated; take `poisson` clustered by patient"]
        return Terms.nothing(len(kept)), settings, said
    coef = np.where(unlimited, first.coef, spread_out(back @ fit.coef, columns))
    information = fit.slope.T @ fit.slope
    inverse = invert(information)
    whose, alone = np.unique(cluster[rows], return_inverse=True)[1], no
    naive = spread_out(np.sqrt(np.diag(back @ inverse @ back.T)), columns)
    error, df_of_t = naive, None
    with_event = clusters_with_event(cluster, y)
    score = sum_by(whose, z * fit.residual[:, None], int(whose.max(initial=-1)) + 1)
    if corrected:
        moved, rests = left_out_in_turn(score, fit.slope, whose, information, back)
        alone = flags_of(rests, columns) & (with_event > 1)
        error = np.where(alone | (with_event < 2), np.nan, spread_out(moved, columns))
        df_of_t = np.full(len(kept), with_event - 1.0)
    elif robust:
        error = spread_out(np.sqrt(((score @ inverse @ back.T) ** 2).sum(axis=0)), columns)
        error = np.full_like(error, np.nan) if distinct(cluster) == 1 else error
    for values in (naive, error):
        values[unlimited] = np.nan
    notes = [] if fit.alpha > 0 else ["counts vary no more than Poisson's: alpha 0, the rate ratios of `poisson`"]
    return Terms(coef, error, naive, columns | unlimited, unlimited, alone, df_of_t), settings, notes


def _settings(fit: NegativeBinomialFit) -> dict[str, Any]:
    gain = max(2.0 * (fit.loglik - fit.poisson_loglik), 0.0)
    return {
        "alpha": fit.alpha,
        "alpha_std_error": fit.alpha_std_error,
        "loglik": fit.loglik,
        "dispersion": fit.poisson_pearson,
        "dispersion_remaining": fit.pearson,
        "alpha_statistic": gain,
        "alpha_p_value": float(stats.chi2.sf(gain, 1) / 2.0) if gain > 0 else 1.0,
    }
