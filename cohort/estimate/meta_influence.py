"""What one study does to the whole, and whether the small ones speak otherwise than the large.

A result that one study carries is that study's result. Small studies with larger effects may have been published for
that, or be different in patients and definition, or the effect and its error may rise together by arithmetic alone: a
funnel shows that they differ, and never why.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import BoolArray, FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.meta_regression import read_terms, regress
from cohort.estimate.meta_studies import Studies, notes_on, studies_of
from cohort.estimate.meta_tau import Effects, Pooled
from cohort.tables.results import Estimates

Predictor = Literal["std_error", "inverse_root_n"]

ENOUGH = 10  # studies, below which a test of the funnel says little (Sterne and others 2011, BMJ 343:d4002)
GRID = 50
CAUTIONS = {
    "proportion": (
        "a proportion's error depends on the proportion itself: on the scale of log odds a funnel of chance alone is "
        "already crooked; double arcsines have errors by size only, and studies of proportions have no result that "
        "would keep them from print"
    ),
    "rate": "the error of a log rate depends on its events, and so on the rate: a funnel of chance alone is crooked",
}


def leave_one_out(
    df: pd.DataFrame, *, study: str | None = None, confidence: float = 0.95, outcome: str = "", **columns: Any
) -> Estimates:
    """Pool again without each study in turn: one row per study left out, with how much the result rests on it.

    df : one row per study. columns : `estimate` and `std_error`, `events` and `n`, or `events` and `person_time`, with
        the options of `meta_effects`, `meta_proportions` and `meta_rates`. Rows of one study are left out together.

    Returns estimate, conf_low, conf_high, coef, std_error, df, tau2, i2, h2, q, q_df and q_p_value of the others;
    `change`, the pooled coef with it less that without; and as R's `influence` (Viechtbauer and Cheung 2010, Res Synth
    Methods 1:112) rstudent (how far the study lies from the others, in standard errors), dffits, cook_distance,
    cov_ratio, hat (its weight), dfbeta, and `influential` by R's limits. A likelihood has no rstudent, dffits, hat; its
    dfbeta is the change over the error without the study. `settings` hold coef and tau2 of all.

    >>> df = pd.DataFrame({"y": [0.1, 0.2, 0.15, 0.9], "se": [0.1, 0.1, 0.1, 0.1], "paper": list("ABCD")})
    >>> found = leave_one_out(df, estimate="y", std_error="se", study="paper").frame
    >>> found[["study", "estimate", "tau2", "influential"]].round(3).to_numpy().tolist()[-1]
    ['D', 0.15, 0.0, True]
    """
    studies = studies_of(df, study=study, confidence=confidence, **columns)
    labels = list(dict.fromkeys(studies.label.tolist()))
    if len(labels) < 2:
        raise EstimationError("With one study there is none to leave out.")
    whole = studies.pool(None)
    out = [studies.label == label for label in labels]
    rows = [_without(studies, left, whole) for left in out]
    frame = pd.DataFrame(rows)
    columns_out: dict[str, Any] = {"study": labels, "outcome": outcome, "measure": studies.recipe.measure}
    columns_out |= {str(name): frame[name] for name in frame}
    settings = {
        **studies.recipe.settings,
        "n_studies": whole.k,
        "coef": float(whole.coef[0]),
        "std_error": whole.std_error,
        "tau2": whole.tau2,
        "influential": "|dffits| > 3 / sqrt(k - 1), Cook's distance beyond its median of chi-squared, hat > 3 / k, or "
        "|dfbeta| > 1",
    }
    return report.estimates(columns_out, settings)


def _without(studies: Studies, left: BoolArray, whole: Pooled) -> dict[str, Any]:
    others = studies.take(~left)
    found = others.pool(None)
    coef, error = float(found.coef[0]), found.std_error
    df = None if math.isnan(found.df) else np.array([found.df])
    confidence = studies.recipe.confidence
    reach = (report.quantile(confidence) if df is None else float(report.quantile(confidence, df)[0])) * error
    estimate, low, high = others.read(np.array([coef, coef - reach, coef + reach]))
    return {
        "n_studies": found.k,
        "estimate": estimate,
        "conf_low": low,
        "conf_high": high,
        "coef": coef if math.isfinite(coef) else math.nan,
        "std_error": error,
        "df": found.df,
        "tau2": found.tau2,
        "i2": found.i2,
        "h2": found.h2,
        "q": found.q,
        "q_df": found.q_df,
        "q_p_value": found.q_p_value,
        **_influence(studies, left, whole, found),
        "note": "; ".join(notes_on(others, found, asked=False)),
    }


def _influence(studies: Studies, left: BoolArray, whole: Pooled, found: Pooled) -> dict[str, Any]:
    change = float(whole.coef[0] - found.coef[0]) if np.isfinite([whole.coef[0], found.coef[0]]).all() else math.nan
    variance, rest = whole.std_error**2, found.std_error**2
    nan = math.nan
    hat = nan if studies.recipe.by_likelihood else float(whole.hat[left].sum())
    rstudent, dffits, dfbeta = nan, nan, change / math.sqrt(rest) if rest > 0 else nan
    if not studies.recipe.by_likelihood:
        spread = Effects.alone(studies.y, studies.v).fit(found.tau2).variance[0, 0] * found.factor
        dfbeta = change / math.sqrt(spread) if spread > 0 else nan
        if left.sum() == 1:
            own = (float(studies.v[left][0]) + found.tau2) * found.factor
            if own > 0:
                rstudent = float(studies.y[left][0] - found.coef[0]) / math.sqrt(own + rest)
                dffits = change / math.sqrt(own * hat)
    cook = change**2 / variance if variance > 0 else nan
    k = whole.k
    far = [abs(dffits) > 3.0 / math.sqrt(k - 1), cook > float(stats.chi2.ppf(0.5, 1)), hat > 3.0 / k, abs(dfbeta) > 1.0]
    return {
        "change": change,
        "rstudent": rstudent,
        "dffits": dffits,
        "cook_distance": cook,
        "cov_ratio": rest / variance if variance > 0 else nan,
        "hat": hat,
        "dfbeta": dfbeta,
        "influential": any(far),
    }


def _inverse_variance(df: pd.DataFrame, columns: dict[str, Any]) -> Studies:
    """Studies on a scale on which each has a standard error; proportions as double arcsines unless said otherwise."""
    if columns.get("events") is not None:
        columns = {"method": "freeman_tukey" if columns.get("n") is not None else "log", **columns}
        if columns["method"] == "glmm":
            raise EstimationError(
                'A likelihood gives studies no standard errors: say "freeman_tukey", "logit" or "log".'
            )
    return studies_of(df, **columns)


def egger_test(
    df: pd.DataFrame, *, predictor: Predictor = "std_error", confidence: float = 0.95, outcome: str = "", **columns: Any
) -> Estimates:
    """Do small studies differ from large ones? Regression of effects on their standard errors.

    df : one row per study. columns : as in `leave_one_out`; proportions are double arcsines unless `method` says
        otherwise. predictor : "std_error", or "inverse_root_n" for counts, 1 / sqrt(size), which is not part of the
        effect (Peters and others 2006, JAMA 295:676, took 1 / n).

    Returns for each model, "egger" (weighted least squares, dispersion free; Egger and others 1997, BMJ 315:629, as
    R's `regtest(model = "lm")`) and "random_effects" (tau squared besides, `regtest(model = "rma")`), two terms:
    `slope`, whose p_value is the test, and `limit`, the effect in a study without error. `note` says when studies are
    too few, and `settings["caution"]` what proportions and rates do of themselves.

    >>> df = pd.DataFrame({"y": [0.1, 0.3, 0.2, 0.6, 0.4, 0.9], "se": [0.05, 0.1, 0.15, 0.2, 0.3, 0.35]})
    >>> found = egger_test(df, estimate="y", std_error="se").frame
    >>> found[["model", "term", "coef", "statistic"]].round(2).to_numpy().tolist()[0]
    ['egger', 'slope', 2.2, 3.72]
    """
    if predictor not in get_args(Predictor):
        raise EstimationError(f"predictor must be std_error or inverse_root_n, and is {predictor!r}.")
    studies = _inverse_variance(df, {**columns, "confidence": confidence})
    recipe, k = studies.recipe, len(studies.y)
    if predictor == "inverse_root_n" and recipe.measure in ("difference", "ratio"):
        raise EstimationError("Effects come without a size; take predictor='std_error'.")
    x = np.sqrt(studies.v) if predictor == "std_error" else 1.0 / np.sqrt(studies.size)
    notes = [f"only {k} studies: the test finds little, and little can be said"] if k < ENOUGH else []
    if k < 3 or np.ptp(x) <= 1e-12 * x.max():
        said = "at least 3 studies are needed" if k < 3 else "all studies are of one size: nothing to compare"
        fits: list[tuple[str, FloatArray, FloatArray, float]] = [
            (name, np.full(2, math.nan), np.full(2, math.nan), math.nan) for name in ("egger", "random_effects")
        ]
        notes = [said]
    else:
        fits = _two_fits(studies, x)
    frames = []
    for name, coef, error, freedom in fits:
        read = read_terms(studies, coef, error, freedom, intercept=1)
        read["estimate"][0], read["conf_low"][0], read["conf_high"][0] = math.nan, math.nan, math.nan
        frames.append(pd.DataFrame({"model": name, "term": ["slope", "limit"], **read}))
    table = pd.concat(frames, ignore_index=True)
    return report.estimates(
        {
            "outcome": outcome,
            **{str(name): table[name] for name in table},
            "measure": recipe.measure,
            "n_studies": k,
            "note": "; ".join(notes),
        },
        {
            **recipe.settings,
            "method": "regression of effects on their size of error (funnel asymmetry)",
            "predictor": predictor,
            "caution": CAUTIONS.get(recipe.measure, ""),
        },
    )


def _two_fits(studies: Studies, x: FloatArray) -> list[tuple[str, FloatArray, FloatArray, float]]:
    """Slope and limit, their errors and degrees of freedom: with free dispersion, and with tau squared."""
    z = replace(studies, recipe=replace(studies.recipe, test="z"))
    plain, df = regress(z, x[:, None], "fixed"), float(len(x) - 2)
    dispersion = plain.q / df
    random = regress(studies, x[:, None], studies.recipe.tau2)
    return [
        ("egger", plain.coef[::-1], np.sqrt(dispersion * np.diag(plain.covariance))[::-1], df),
        ("random_effects", random.coef[::-1], np.sqrt(np.diag(random.covariance))[::-1], random.df),
    ]


def funnel(
    df: pd.DataFrame, *, study: str | None = None, confidence: float = 0.95, outcome: str = "", **columns: Any
) -> Estimates:
    """What a funnel plot shows: studies by their standard errors, and where they would lie by chance alone.

    Returns rows of `row` "study" (estimate, coef, std_error) and "limit" (std_error from 0 to beyond the largest, with
    the pooled estimate and conf_low, conf_high around it if studies had one effect). Columns as in `egger_test`.

    >>> df = pd.DataFrame({"y": [0.1, 0.2, 0.3, 0.6], "se": [0.05, 0.1, 0.15, 0.3]})
    >>> found = funnel(df, estimate="y", std_error="se").frame
    >>> found.groupby("row").size().tolist(), round(float(found["conf_high"].iloc[-1]), 3)
    ([50, 4], 0.794)
    """
    studies = _inverse_variance(df, {**columns, "study": study, "confidence": confidence})
    coef = float(studies.pool(None).coef[0])
    error = np.sqrt(studies.v)
    grid = np.linspace(0.0, 1.05 * float(error.max()), GRID)
    reach = report.quantile(confidence) * grid
    none = np.full(len(error), math.nan)
    return report.estimates(
        {
            "row": ["study"] * len(error) + ["limit"] * GRID,
            "study": [*studies.label, *[""] * GRID],
            "outcome": outcome,
            "measure": studies.recipe.measure,
            "estimate": [*studies.estimate, *studies.read(np.full(GRID, coef))],
            "conf_low": [*none, *studies.read(coef - reach)],
            "conf_high": [*none, *studies.read(coef + reach)],
            "coef": [*studies.y, *np.full(GRID, coef)],
            "std_error": [*error, *grid],
        },
        {**studies.recipe.settings, "caution": CAUTIONS.get(studies.recipe.measure, "")},
    )
