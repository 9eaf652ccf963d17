"""Generalized linear models by statsmodels, with the sandwich summed over clusters and separation said aloud.

Convention of the robust variance: (X'WX)^-1 [sum over clusters of (sum of w (y - mu) x)^2] (X'WX)^-1, without any
small-sample factor, which is R's `sandwich::vcovCL(type = "HC0", cadjust = FALSE)`. With G clusters the factor
G / (G - 1) that statsmodels and vcovCL apply by default would widen each interval by about 1 / (2 G). Below 20
clusters with an event CR2 takes its place, with limits from t (`small_sample`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.special import gammaln

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import Design, codes_of, design, distinct, numbers, standardize, zero_one
from cohort.estimate.newton import STILL_MOVING, independent, invert_estimable, newton_step
from cohort.estimate.risk_sets import sum_by
from cohort.estimate.small_sample import GlmCorrection, applies, cr2, t_alone
from cohort.tables.results import Estimates

Family = Literal["binomial", "poisson"]
CONVENTION = 'sandwich over clusters, no small-sample factor: vcovCL(type = "HC0", cadjust = FALSE)'
CR2 = 'sandwich over clusters, CR2 as vcovCR(type = "CR2"); limits from t, Satterthwaite\'s degrees of freedom'


@dataclass(frozen=True)
class GlmFit:
    """Coefficients (1 + p,) with the intercept first: NaN where aliased, infinite where unlimited, and their errors.

    naive, robust, corrected : (1 + p,) standard errors; df : (1 + p,), Satterthwaite's, of the corrected one (CR2).
    """

    coef: FloatArray
    naive: FloatArray
    robust: FloatArray
    kept: BoolArray
    unlimited: BoolArray
    loglik: float
    corrected: FloatArray
    df: FloatArray


def fit_glm(
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    cluster: IntArray,
    family: Family,
    offset: FloatArray,
    *,
    correct: bool = False,
) -> GlmFit:
    """Fit with canonical link; x (n, p) without the intercept; `correct`: CR2 as well, else it is missing."""
    standard, centre, scale = standardize(x, weight)
    full = np.column_stack([np.ones(len(y)), standard])
    link = sm.families.Binomial() if family == "binomial" else sm.families.Poisson()
    spread = weight if family == "binomial" else weight * np.exp(offset - offset.max(initial=0.0))
    kept = independent(full.T @ (spread[:, None] * full) / spread.sum())
    z = full[:, kept]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # separation is told by the last step below, not by a warning
        result = sm.GLM(y, z, family=link, var_weights=weight, offset=offset).fit(maxiter=60, tol=1e-8)
    inner = np.asarray(result.params, dtype=np.float64)

    q = full.shape[1]
    back = np.zeros((q, q))  # from standardized to written coefficients
    back[0, 0] = 1.0
    back[0, 1:] = -centre / scale
    back[range(1, q), range(1, q)] = 1.0 / scale
    back = back[np.ix_(kept, kept)]
    reach = np.append(1.0, np.ptp(x, axis=0))[kept]
    for turn in range(3):  # a fit that stands still is polished; one that moves on is without limit
        with np.errstate(over="ignore"):  # a fit without limit may have gone far
            mean = np.asarray(link.link.inverse(z @ inner + offset))
        information = z.T @ ((weight * link.variance(mean))[:, None] * z)
        step = newton_step(information, z.T @ (weight * (y - mean)))
        moving = np.abs(back @ step) * reach > STILL_MOVING
        if moving.any() or turn == 2:
            break
        inner = inner + step
    inverse = invert_estimable(information, moving)
    influence = sum_by(cluster, z * (weight * (y - mean))[:, None], int(cluster.max(initial=-1)) + 1) @ inverse

    where = np.flatnonzero(kept)
    coef, naive, robust = np.full(q, np.nan), np.full(q, np.nan), np.full(q, np.nan)
    coef[where] = back @ inner
    coef[where[moving]] = np.copysign(np.inf, coef[where[moving]])
    naive[where[~moving]] = np.sqrt(np.diag(back @ inverse @ back.T)[~moving])
    robust[where[~moving]] = np.sqrt(((influence @ back.T) ** 2).sum(axis=0)[~moving])
    unlimited = np.zeros(q, dtype=bool)
    unlimited[where[moving]] = True
    corrected, df = np.full(q, np.nan), np.full(q, np.nan)
    if correct:
        grown, freedom = cr2(z, np.asarray(link.variance(mean)), weight, y - mean, cluster, inverse, back)
        corrected[where[~moving]] = np.sqrt((grown**2).sum(axis=0)[~moving])
        df[where[~moving]] = freedom[~moving]
    loglik = _loglik(family, y, z @ inner + offset, weight)
    return GlmFit(coef, naive, robust, kept, unlimited, loglik, corrected, df)


def _loglik(family: Family, y: FloatArray, eta: FloatArray, weight: FloatArray) -> float:
    if family == "binomial":
        return float(weight @ (y * eta - np.logaddexp(0.0, eta)))
    return float(weight @ (y * eta - np.exp(eta) - gammaln(y + 1.0)))


def glm_estimates(
    fit: GlmFit,
    plan: Design,
    x: FloatArray,
    *,
    measure: str,
    counts: dict[str, Any],
    events: FloatArray,
    cluster: IntArray,
    robust: bool,
    confidence: float,
    settings: dict[str, Any],
    small_sample: GlmCorrection = "none",
) -> Estimates:
    """The tidy frame of a fitted model, the intercept first."""
    n_clusters = distinct(cluster)
    with_event = distinct(cluster[events > 0])
    error, df, variance = fit.naive, None, "inverse information"
    corrected = corrects(small_sample, events, cluster, robust)
    if robust:
        error, variance = fit.robust, CONVENTION
    if corrected:
        df, variance = np.minimum(fit.df, with_event - 1.0), CR2 + ", not more than clusters with an event less one"
        error = fit.corrected
        if small_sample == "cr2":
            df, variance = fit.df, CR2
    elif t_alone(small_sample, corrected, robust, n_clusters, len(cluster)):
        df = np.full(len(fit.coef), with_event - 1.0)
    if robust and n_clusters == 1:
        error = np.full_like(fit.robust, np.nan)
    binary = np.isin(x, (0.0, 1.0)).all(axis=0)
    exposed = np.append(np.nan, np.where(binary, events @ x, np.nan))
    said = "CR2, limits from t" if corrected else ""
    shared = report.robust_notes(float(events.sum()), n_clusters, with_event, robust, said)
    ratios = report.wald(fit.coef, error, confidence, df)
    terms = ("intercept", *plan.terms)
    notes = []
    for j in range(len(terms)):
        own: list[str] = []
        if not fit.kept[j]:
            constant = j > 0 and len(np.unique(x[:, j - 1])) <= 1
            own = ["the same for everyone: nothing to compare" if constant else "told by the covariates before it"]
        elif fit.unlimited[j]:
            own = ["separates events from the rest: no finite estimate"]
        notes.append("; ".join([*own, *report.beyond(ratios, j), *shared]))
    if corrected:
        ratios = report.corrected(ratios, fit.robust)
    columns = {
        "term": list(terms),
        "measure": measure,
        **counts,
        **ratios,
        "naive_std_error": fit.naive,
        "variable": ["intercept", *plan.variables],
        "n_exposed_events": exposed,
        "note": notes,
    }
    return report.estimates(
        columns,
        {
            **settings,
            "variance": variance,
            "confidence": confidence,
            "loglik": fit.loglik,
            "n_clusters": n_clusters,
            **plan.settings,
        },
    )


def corrects(choice: GlmCorrection, events: FloatArray, cluster: IntArray, robust: bool) -> bool:
    """Whether CR2 takes the place of the sandwich."""
    asked = applies(choice, ("auto", "none", "cr2"), distinct(cluster[events > 0]), robust)
    return asked and distinct(cluster) > 1


def without_fit(plan: Design, measure: str, counts: dict[str, Any], note: str, settings: dict[str, Any]) -> Estimates:
    """The same frame where nothing can be estimated."""
    nothing = np.full(1 + len(plan.terms), np.nan)
    columns = {
        "term": ["intercept", *plan.terms],
        "measure": measure,
        **counts,
        **report.wald(nothing, nothing, 0.95),
        "naive_std_error": nothing,
        "variable": ["intercept", *plan.variables],
        "n_exposed_events": nothing,
        "note": note,
    }
    return report.estimates(columns, {**settings, **plan.settings})


def poisson(
    df: pd.DataFrame,
    *,
    events: str,
    person_time: str,
    covariates: Sequence[str],
    cluster: str | None = None,
    small_sample: GlmCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Rate ratios by Poisson regression with log person-time as offset.

    df : rows of events and person-time (zero person-time rows are left out, unless they hold events: an error).
    cluster : the patient; the standard error is then robust. Without one it is model-based.
    small_sample : of a robust variance. "auto" takes limits from CR2 (`corrected_std_error`) and t (column `df`) below
        20 clusters with an event; "cr2" always, with the degrees of freedom of R's `clubSandwich`; "none" never.
        `std_error` is the plain sandwich in all three.
    Returns the intercept (estimate: events per unit of person-time at covariates zero) and a row per term.
    """
    count = numbers(df, events, "the events")
    time = numbers(df, person_time, "the person-time")
    if ((time < 0) | ((time == 0) & (count > 0))).any():
        raise EstimationError(f"'{person_time}' is negative, or zero in a row with events; events need time at risk.")
    groups = codes_of(df, cluster, "the cluster")
    plan = design(df, covariates)
    used = plan.complete & (time > 0)
    x = plan.matrix[time[plan.complete] > 0]
    of_row = np.arange(len(df)) if groups is None else groups
    of_row, y, t = np.unique(of_row[used], return_inverse=True)[1], count[used], time[used]
    counts = {
        "outcome": outcome,
        "model": model,
        "n_patients": len(np.unique(of_row)),
        "n_units": int(used.sum()),
        "n_events": float(y.sum()),
    }
    settings = {"method": "Poisson regression", "offset": f"log {person_time}"}
    if y.sum() == 0:
        return without_fit(plan, "rate_ratio", counts, "no event: nothing can be estimated", settings)
    robust = cluster is not None
    correct = corrects(small_sample, y, of_row, robust)
    fit = fit_glm(x, y, np.ones(len(y)), of_row, "poisson", np.log(t), correct=correct)
    return glm_estimates(
        fit,
        plan,
        x,
        measure="rate_ratio",
        counts=counts,
        events=y,
        cluster=of_row,
        robust=robust,
        confidence=confidence,
        settings=settings,
        small_sample=small_sample,
    )


def logistic(
    df: pd.DataFrame,
    *,
    outcome: str,
    covariates: Sequence[str],
    cluster: str | None = None,
    weight: str | None = None,
    robust: bool | None = None,
    small_sample: GlmCorrection = "auto",
    confidence: float = 0.95,
    model: str = "",
) -> Estimates:
    """Odds ratios by logistic regression.

    df : one row per unit; outcome 0/1. cluster : the patient. weight : probability weights; rows of weight 0 are out.
    robust : default yes with a cluster or weights other than one; the convention stands in `settings["variance"]`.
    small_sample : as in `poisson`.
    Returns the intercept and a row per term: estimate (odds ratio), conf_low, conf_high, coef, std_error,
    naive_std_error, n_patients (clusters), n_units (rows used), n_events, n_exposed_events, note.

    >>> df = pd.DataFrame({"y": [1, 0, 1, 0, 0, 1], "leak": [1, 1, 1, 0, 0, 0]})
    >>> round(float(logistic(df, outcome="y", covariates=["leak"]).frame["estimate"].iloc[1]), 6)
    4.0
    """
    y = zero_one(df, outcome, "the outcome").astype(np.float64)
    w = np.ones(len(df)) if weight is None else numbers(df, weight, "the weight")
    if (w < 0).any():
        raise EstimationError(f"Column '{weight}' (the weight) is negative in {int((w < 0).sum())} rows.")
    groups = codes_of(df, cluster, "the cluster")
    of_row = np.arange(len(df)) if groups is None else groups
    plan = design(df, covariates)
    if robust is None:
        robust = cluster is not None or bool((w != 1).any()) or small_sample == "cr2"
    return logistic_of_arrays(
        plan,
        y,
        w,
        of_row,
        robust=robust,
        confidence=confidence,
        extra={"outcome": outcome, "model": model},
        small_sample=small_sample,
    )


def logistic_of_arrays(
    plan: Design,
    y: FloatArray,
    weight: FloatArray,
    cluster: IntArray,
    *,
    robust: bool,
    confidence: float,
    extra: dict[str, Any],
    settings: dict[str, Any] | None = None,
    small_sample: GlmCorrection = "none",
) -> Estimates:
    """Logistic regression of coded rows; arrays (n,) over all rows of the plan, incomplete ones included."""
    used = plan.complete & (weight > 0)
    x = plan.matrix[weight[plan.complete] > 0]
    outcome, w, of_row = y[used], weight[used], np.unique(cluster[used], return_inverse=True)[1]
    counts = {
        **extra,
        "n_patients": len(np.unique(of_row)),
        "n_units": int(used.sum()),
        "n_events": float(outcome.sum()),
    }
    said = {"method": "logistic regression", **(settings or {})}
    if outcome.sum() in (0.0, float(len(outcome))):
        what = "no event" if outcome.sum() == 0 else "an event in every row"
        return without_fit(plan, "odds_ratio", counts, f"{what}: nothing can be estimated", said)
    correct = corrects(small_sample, outcome, of_row, robust)
    fit = fit_glm(x, outcome, w, of_row, "binomial", np.zeros(len(outcome)), correct=correct)
    return glm_estimates(
        fit,
        plan,
        x,
        measure="odds_ratio",
        counts=counts,
        events=outcome,
        cluster=of_row,
        robust=robust,
        confidence=confidence,
        settings=said,
        small_sample=small_sample,
    )
