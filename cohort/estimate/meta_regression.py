"""What goes with a larger effect across studies: a comparison of studies, never of the patients in them.

A covariate of a study (its year, its mean age, its definition) explains part of tau squared; what is left stays between
studies as a spread of its own. With few studies a covariate finds differences by chance, and the mean age of studies
says nothing about older patients within one. As R's `metafor::rma` with moderators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import design, standardize
from cohort.estimate.meta_studies import Studies, studies_of
from cohort.estimate.meta_tau import Effects, Pooled, Tau2Method, pool
from cohort.estimate.model_frame import on_written_scale, spread_out
from cohort.estimate.newton import independent
from cohort.tables.results import Estimates

FOR_EACH = 10  # studies for each covariate, below which the note warns


def regress(studies: Studies, x: FloatArray, tau2: Tau2Method, confidence: float | None = None) -> Pooled:
    """Coefficients (1 + p,) of covariates x (k, p) as written, none of which others determine; and what is left."""
    z, centre, scale = standardize(x, np.ones(len(x)))
    data = Effects(studies.y, studies.v, np.column_stack([np.ones(len(z)), z]))
    found = pool(data, tau2, studies.recipe.test, confidence)
    back = on_written_scale(centre, scale, np.ones(1 + x.shape[1], dtype=bool))
    return replace(found, coef=back @ found.coef, covariance=back @ found.covariance @ back.T)


def meta_regression(
    df: pd.DataFrame,
    *,
    covariates: Sequence[str],
    confidence: float = 0.95,
    model: str = "",
    outcome: str = "",
    **columns: Any,
) -> Estimates:
    """Effects, proportions or rates of studies by covariates of the studies, by inverse variance.

    df : one row per study. columns : `estimate` and `std_error`, `events` and `n`, or `events` and `person_time`, with
        the options of `meta_effects`, `meta_proportions` and `meta_rates` (method, tau2, test, measure, per, study).
        method="glmm" has no place here: `mixed_logistic` with `cluster` the study is that regression.

    Returns the intercept and a row per term: estimate (a ratio where studies are pooled as logarithms or log odds),
    conf_low, conf_high, coef, std_error, statistic, df, p_value, n_studies, note. `settings` hold tau2 (what is left)
    with its limits, tau2_without (covariates), r2 (the share explained, never below 0), i2, q (of what is left), and a
    test of all covariates: `wald_statistic` (F with "hksj", "adhoc" and "t"), wald_df, wald_df_residual, wald_p_value.

    >>> df = pd.DataFrame({"log_hr": [0.1, 0.5, 0.9, 0.3, 0.6], "se": 0.14, "year": [2001, 2008, 2019, 2004, 2011]})
    >>> found = meta_regression(df, covariates=["year"], estimate="log_hr", std_error="se", measure="log_ratio")
    >>> found.frame[["term", "estimate", "conf_low", "conf_high"]].round(3).to_numpy().tolist()[1]
    ['year', 1.044, 1.033, 1.055]
    """
    if columns.get("method", "glmm") == "glmm" and columns.get("events") is not None:
        raise EstimationError(
            "A regression of counts by their likelihood is `mixed_logistic` with `cluster` the study; for this one "
            'say method="logit" or "freeman_tukey", or "log" for rates.'
        )
    studies = studies_of(df, confidence=confidence, **columns)
    plan = design(df, covariates)
    studies, recipe = studies.take(plan.complete), studies.recipe
    z = np.column_stack([np.ones(len(plan.matrix)), standardize(plan.matrix, np.ones(len(plan.matrix)))[0]])
    kept = independent(z.T @ z)
    k, p = z.shape
    terms = int(kept.sum()) - 1
    coef, error = np.full(p, math.nan), np.full(p, math.nan)
    settings: dict[str, Any] = {**recipe.settings, "method": "meta-regression, inverse variance", "n_studies": k}
    notes = []
    if k <= 1 + terms:
        notes.append(f"{k} studies are too few for {terms} covariates")
        freedom = math.nan
    else:
        found = regress(studies, plan.matrix[:, kept[1:]], recipe.tau2, confidence)
        coef, error = spread_out(found.coef, kept), spread_out(np.sqrt(np.diag(found.covariance)), kept)
        freedom = found.df
        settings |= _explained(studies, found)
        if found.agree:
            error = np.full(p, math.nan)
            notes.append('the studies lie on the line exactly: take test="adhoc"')
        if k < FOR_EACH * terms:
            notes.append(f"only {k} studies for {terms} {'covariate' if terms == 1 else 'covariates'}")
    said = []
    for j in range(p):
        constant = j > 0 and np.ptp(z[:, j]) == 0.0
        own = [] if kept[j] else ["the same in every study" if constant else "told by the covariates before it"]
        said.append("; ".join([*own, *notes]))
    frame = {
        "outcome": outcome,
        "model": model,
        "term": ["intercept", *plan.terms],
        "measure": [recipe.measure, *[_contrast(studies)] * (p - 1)],
        "n_studies": k,
        **read_terms(studies, coef, error, freedom, intercept=0),
        "note": said,
    }
    return report.estimates(frame, {**settings, **plan.settings})


def read_terms(studies: Studies, coef: FloatArray, error: FloatArray, df: float, intercept: int) -> dict[str, Any]:
    """Estimates with limits, statistic and p of coefficients (p,), of which one is the intercept."""
    # An error of exactly zero is that of points on a line, and says nothing of the next.
    error = np.where(error > 0, error, np.nan)
    freedom = None if np.isnan(df) else np.full(len(coef), df)
    confidence = studies.recipe.confidence
    reach = (report.quantile(confidence) if freedom is None else report.quantile(confidence, freedom)) * error
    statistic = coef / error
    ratio = studies.recipe.scale in ("log", "logit")

    def read(values: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            result: FloatArray = np.exp(values) if ratio else values.copy()
        if np.isfinite(values[intercept]):
            result[intercept] = float(studies.read(values[intercept]))
        return result

    return {
        "estimate": read(coef),
        "conf_low": read(coef - reach),
        "conf_high": read(coef + reach),
        "coef": coef,
        "std_error": error,
        "statistic": statistic,
        "df": df,
        "p_value": report.two_sided(statistic, freedom),
    }


def _contrast(studies: Studies) -> str:
    return {
        "ratio": "ratio_of_ratios",
        "rate": "rate_ratio",
        "proportion": "odds_ratio" if studies.recipe.scale == "logit" else "difference_of_double_arcsines",
    }.get(studies.recipe.measure, "difference")


def _explained(studies: Studies, found: Pooled) -> dict[str, Any]:
    """What the covariates explain and leave."""
    terms = len(found.coef) - 1
    without = studies.pool(None).tau2
    wald = math.nan
    if terms and not found.agree:
        wald = float(found.coef[1:] @ np.linalg.solve(found.covariance[1:, 1:], found.coef[1:]))
    normal = math.isnan(found.df)
    p_value = stats.chi2.sf(wald, terms) if normal else stats.f.sf(wald / max(terms, 1), terms, found.df)
    return {
        "tau2": found.tau2,
        "tau2_low": found.tau2_low,
        "tau2_high": found.tau2_high,
        "tau2_without": without,
        "r2": max(0.0, (without - found.tau2) / without) if without > 0 else math.nan,
        "i2": found.i2,
        "h2": found.h2,
        "q": found.q,
        "q_df": found.q_df,
        "q_p_value": found.q_p_value,
        "wald_statistic": wald if normal else wald / max(terms, 1),
        "wald_df": terms,
        "wald_df_residual": found.df,
        "wald_p_value": float(p_value),
    }
