"""Odds ratios of a population whose patients give several rows: the rows of one are alike, and by how much is fitted.

Generalized estimating equations (Liang and Zeger 1986, Biometrika 73:13): a working correlation within a cluster
weighs its rows, and the robust variance holds even where that correlation is wrong. The odds ratios are those of the
population (marginal), as of `logistic`; those of a random intercept (`mixed_logistic`) lie further from one.

Scale and correlation are those of R's geepack (`working_correlation`). statsmodels is not used here: its ar1 takes
another estimator (on Ohio's children a coefficient of 0.244, or 0.237 without its grid, instead of 0.234), and it
loops over clusters, which takes 20 times as long at 21,000 patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of, design, distinct, numbers, standardize, zero_one
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
from cohort.estimate.working_correlation import Structure, Within
from cohort.tables.results import Estimates

MARGINAL = "odds ratios of the population: marginal over patients, not within one"
SANDWICH = "sandwich over clusters, no small-sample factor, correlation taken as known: as geepack"
ONE_STEP = "leaving out one cluster at a time, to one step (Mancl and DeRouen); limits from t"


@dataclass(frozen=True)
class GeeFit:
    """Coefficients (1 + p,) with the intercept first, robust, model-based and one-step jackknife errors of each."""

    coef: FloatArray
    robust: FloatArray
    naive: FloatArray
    jackknife: FloatArray
    kept: BoolArray
    unlimited: BoolArray
    alone: BoolArray
    alpha: float
    scale: float
    converged: bool


def fit_gee(
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    cluster: IntArray,
    order: FloatArray,
    structure: Structure,
    *,
    correct: bool = False,
) -> GeeFit:
    """Fit with logit link; x (n, p) without the intercept, cluster codes from 0 without gaps, order (n,) for ar1.

    correct : the one-step jackknife as well, else it is missing.
    Where a covariate separates events from the rest nothing is fitted, and only that is told (`unlimited`).
    """
    first = fit_glm(x, y, weight, cluster, "binomial", np.zeros(len(y)))
    q = 1 + x.shape[1]
    nothing, no = np.full(q, np.nan), np.zeros(q, dtype=bool)
    if first.unlimited.any():
        coef = np.where(first.unlimited, first.coef, np.nan)
        return GeeFit(coef, nothing, nothing, nothing, first.kept, first.unlimited, no, np.nan, np.nan, True)
    rows = np.lexsort((order, cluster))
    x, y, weight, cluster = x[rows], y[rows], weight[rows], cluster[rows]
    within = Within.of(structure, cluster, order[rows], weight)
    standard, centre, scale = standardize(x, weight)
    z = np.column_stack([np.ones(len(y)), standard])[:, first.kept]
    back = on_written_scale(centre, scale, first.kept)
    coef = np.asarray(np.linalg.solve(back, first.coef[first.kept]), dtype=np.float64)
    reach = np.ptp(z, axis=0)
    reach[0] = 1.0
    root, alpha, phi, converged = np.sqrt(weight), 0.0, 1.0, False

    def parts(coef: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean = 1.0 / (1.0 + np.exp(-(z @ coef)))
        spread = np.sqrt(mean * (1.0 - mean))
        return spread, (y - mean) / spread

    for _ in range(MAX_STEPS):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # a fit that runs away is told below
            spread, residual = parts(coef)
        phi = float(weight @ residual**2 / weight.sum())
        before, alpha = alpha, within.alpha(residual, phi)
        if not (np.isfinite(phi) and within.possible(alpha)):
            break
        slope = within.unlike(z * (root * spread)[:, None], alpha)
        left = within.unlike((root * residual)[:, None], alpha)
        information = slope.T @ slope
        step = newton_step(information, (slope.T @ left)[:, 0])
        if not np.isfinite(step).all():
            break
        if (np.abs(step) * reach).max(initial=0.0) < CLOSE and abs(alpha - before) < CLOSE:
            converged = True
            break
        coef = coef + step
    if not converged:
        return GeeFit(nothing, nothing, nothing, nothing, first.kept, no, no, alpha, phi, False)
    size = int(cluster.max(initial=-1)) + 1
    score = sum_by(cluster, slope * left, size)
    inverse = invert(information)
    influence = score @ inverse @ back.T
    jackknife, alone = left_out_in_turn(score, slope, cluster, information, back) if correct else (None, None)
    return GeeFit(
        spread_out(back @ coef, first.kept),
        spread_out(np.sqrt((influence**2).sum(axis=0)), first.kept),
        spread_out(np.sqrt(phi * np.diag(back @ inverse @ back.T)), first.kept),
        nothing if jackknife is None else spread_out(jackknife, first.kept),
        first.kept,
        no,
        no if alone is None else flags_of(alone, first.kept),
        alpha,
        phi,
        True,
    )


def gee_logistic(
    df: pd.DataFrame,
    *,
    outcome: str,
    covariates: Sequence[str],
    cluster: str,
    structure: Structure = "exchangeable",
    order: str | None = None,
    weight: str | None = None,
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    model: str = "",
) -> Estimates:
    """Odds ratios of the population by generalized estimating equations.

    df : one row per unit; outcome 0/1. cluster : the patient. weight : probability weights; rows of weight 0 are out.
    structure : how rows of a patient are taken to be alike: "independence" (the odds ratios of `logistic`),
        "exchangeable" (any two alike), or "ar1" (the nearer in `order` the more alike).
    order : whole numbers that place the rows within a cluster, as the number of the vertebra or of the visit; only
        distances count, and no two rows of a cluster may share a place.
    small_sample : below 20 clusters with an event ("auto"), always ("jackknife") or never ("none") the variance leaves
        out one cluster at a time, to one step, and limits come from t with clusters with an event less one.

    Returns the intercept and a row per term as `logistic`: estimate (odds ratio), conf_low, conf_high, coef, std_error
    (robust), naive_std_error (of the working model), n_patients, n_units, n_events, n_exposed_events, note.
    `settings` hold `alpha` (the correlation, missing for independence) and `scale`.

    >>> df = pd.DataFrame({"patient": np.repeat(np.arange(6), 2), "leak": [1, 0] * 6})
    >>> df["broke"] = [1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    >>> fit = gee_logistic(df, outcome="broke", covariates=["leak"], cluster="patient")
    >>> round(float(fit.settings["alpha"]), 3), round(float(fit.frame["estimate"].iloc[1]), 3)
    (0.447, 5.0)
    """
    if structure not in get_args(Structure):
        raise EstimationError(f"structure must be one of {', '.join(get_args(Structure))}, and is {structure!r}.")
    y = zero_one(df, outcome, "the outcome").astype(np.float64)
    w = np.ones(len(df)) if weight is None else numbers(df, weight, "the weight")
    if (w < 0).any():
        raise EstimationError(f"Column '{weight}' (the weight) is negative in {int((w < 0).sum())} rows.")
    groups = codes_of(df, cluster, "the cluster")
    plan = design(df, covariates)
    used = plan.complete & (w > 0)
    x, y, w = plan.matrix[w[plan.complete] > 0], y[used], w[used]
    of_row = np.unique(np.zeros(0) if groups is None else groups[used], return_inverse=True)[1].astype(np.int64)
    place = _places(df, order, structure, of_row, used)
    n_clusters, with_event = distinct(of_row), clusters_with_event(of_row, y)
    counts = {
        "outcome": outcome,
        "model": model,
        "n_patients": n_clusters,
        "n_units": len(y),
        "n_events": float(y.sum()),
    }
    settings: dict[str, Any] = {
        "method": "generalized estimating equations, logit link",
        "reads": MARGINAL,
        "structure": structure,
        "order": order,
        "variance": SANDWICH,
        "n_clusters": n_clusters,
        "alpha": np.nan,
        "scale": np.nan,
    }
    terms, notes = Terms.nothing(1 + len(plan.terms)), []
    if y.sum() in (0.0, float(len(y))):
        notes = [f"{'no event' if y.sum() == 0 else 'an event in every row'}: nothing can be estimated"]
    else:
        corrected = applies(small_sample, ("auto", "none", "jackknife"), with_event, True) and n_clusters > 1
        fit = fit_gee(x, y, w, of_row, place, structure, correct=corrected)
        settings |= {"alpha": np.nan if structure == "independence" else fit.alpha, "scale": fit.scale}
        error, df_of_t = fit.robust, None
        if corrected:
            error = np.where(fit.alone | (with_event < 2), np.nan, fit.jackknife)
            df_of_t, settings["variance"] = np.full(len(fit.coef), with_event - 1.0), ONE_STEP
        if n_clusters == 1:
            error = np.full_like(error, np.nan)
        terms = Terms(fit.coef, error, fit.naive, fit.kept, fit.unlimited, fit.alone & (with_event > 1), df_of_t)
        notes = _notes(fit, structure, len(y) == n_clusters)
        said = "jackknife, limits from t" if corrected else ""
        notes += report.robust_notes(float(y.sum()), n_clusters, with_event, True, said)
    return term_rows(
        terms, plan, x, y, measure="odds_ratio", counts=counts, confidence=confidence, settings=settings, notes=notes
    )


def _places(
    df: pd.DataFrame, order: str | None, structure: Structure, cluster: IntArray, used: BoolArray
) -> FloatArray:
    if structure != "ar1":
        return np.zeros(int(used.sum()))
    if order is None:
        raise EstimationError(
            'structure="ar1" needs `order`, whole numbers that place the rows of a cluster (the vertebra, the visit).'
        )
    place = numbers(df, order, "the order")[used]
    if (place != np.rint(place)).any():
        raise EstimationError(f"Column '{order}' (the order) must hold whole numbers; round them, or number the rows.")
    twice = len(place) - len(np.unique(np.column_stack([cluster, place]), axis=0))
    if twice:
        raise EstimationError(
            f"{twice} rows stand at the same '{order}' as another of their cluster; ar1 needs one row at each place."
        )
    return place


def _notes(fit: GeeFit, structure: Structure, single: bool) -> list[str]:
    if fit.unlimited.any():
        return ["a covariate separates events from the rest: leave it out to estimate the others"]
    if not fit.converged:
        return [f'no fit with structure="{structure}" (correlation {fit.alpha:.2g}): take "independence"']
    if single and structure != "independence":
        return ["one row in every cluster: no correlation to estimate"]
    return []
