"""Odds ratios from few events: logistic regression with the penalty that takes off its first-order bias.

Firth (1993) adds half the logarithm of the determinant of the information, as Jeffreys' prior does. The estimate is
then finite whether or not a covariate separates events from the rest, and its limits are those of the profile of the
penalized likelihood (Heinze and Schemper 2002), never plus or minus two standard errors. The intercept is shrunk
towards even odds with everything else: absolute risks are not read from this model (Puhr et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of, design, distinct, numbers, standardize, zero_one
from cohort.estimate.kernel import WeightKind
from cohort.estimate.newton import independent, invert
from cohort.estimate.profile import Evaluate, Point, Profiles, highest, profiles
from cohort.estimate.risk_sets import BLOCK, cross_product
from cohort.tables.results import Estimates

FEW_PER_TERM = (
    10.0  # events (or non-events) per covariate term below which the note gives their number (Peduzzi et al. 1996)
)
LIMITS = "profile of the penalized likelihood, rows as independent"
BY_PENALTY = "finite by the penalty alone"


def firth_logistic(
    df: pd.DataFrame,
    *,
    outcome: str,
    covariates: Sequence[str],
    weight: str | None = None,
    weight_kind: WeightKind = "probability",
    cluster: str | None = None,
    confidence: float = 0.95,
    model: str = "",
) -> Estimates:
    """Odds ratios by Firth's penalized logistic regression, with profile limits: for few events, or separated ones.

    df : one row per unit; outcome 0/1. weight : multiplies a row's part of the likelihood, and so of the penalty; rows
        of weight 0 are out. weight_kind : "frequency" (a row of weight 3 is three rows, and counted so) or
        "probability".
    cluster : the patient. There is no robust variance here: rows count as independent, and the note says how many
        patients the events belong to where one has several.

    Returns the intercept and a row per term: estimate (odds ratio), conf_low and conf_high (where the profile of the
    penalized likelihood has fallen by half a chi-squared quantile), coef, std_error (inverse information at the fit),
    statistic (signed root of the penalized likelihood ratio against a coefficient of zero) and its p_value, n_patients
    (clusters), n_units (rows used), n_events, n_exposed_events, note. settings: `loglik` (penalized; it depends on the
    units of the covariates, its differences do not), `events_per_parameter`.
    A term that cannot be estimated keeps its row; without any event nothing is estimated, since all that could be said
    would be the penalty's. Raises EstimationError for missing columns and values that cannot be read.

    >>> df = pd.DataFrame({"refracture": [1] * 3 + [0] * 17, "cleft": [1] * 8 + [0] * 12})
    >>> found = firth_logistic(df, outcome="refracture", covariates=["cleft"]).frame.iloc[1]
    >>> found[["estimate", "conf_low", "conf_high"]].astype(float).round(3).tolist()
    [15.909, 1.236, 2285.056]
    """
    y = zero_one(df, outcome, "the outcome")
    w = np.ones(len(df)) if weight is None else numbers(df, weight, "the weight")
    if (w < 0).any():
        raise EstimationError(f"Column '{weight}' (the weight) is negative in {int((w < 0).sum())} rows.")
    if weight_kind == "frequency" and (w != np.rint(w)).any():
        raise EstimationError(
            f"Column '{weight}' holds weights that are no whole numbers; frequencies must be. "
            'For sampling or inverse-probability weights say weight_kind="probability".'
        )
    groups = codes_of(df, cluster, "the cluster")
    plan = design(df, covariates)
    used = plan.complete & (w > 0)
    x = plan.matrix[w[plan.complete] > 0]
    y, w = y[used], w[used]
    of_row = (np.arange(len(df)) if groups is None else groups)[used]
    copies = w if weight_kind == "frequency" else np.ones(len(w))
    n_events, n_rest = float(copies[y].sum()), float(copies[~y].sum())
    columns = {
        "outcome": outcome,
        "model": model,
        "term": ["intercept", *plan.terms],
        "measure": "odds_ratio",
        "n_patients": distinct(of_row),
        "n_units": len(y),
        "n_events": n_events,
        "variable": ["intercept", *plan.variables],
        "n_exposed_events": np.append(np.nan, exposed(x, y, copies)),
    }
    settings: dict[str, Any] = {
        "method": "logistic regression with Firth's penalty",
        "weights": weight_kind if weight is not None else "none",
        **plan.settings,
    }
    if not n_events or not n_rest:
        what = "no complete row" if not len(y) else "no event" if not n_events else "an event in every row"
        return without_fit(columns, f"{what}: nothing can be estimated", settings)

    found, kept, loglik = fit_firth_logistic(x, y.astype(np.float64), w, confidence)
    own: list[list[str]] = [[]]
    for j, column in enumerate(x.T):
        if not kept[1 + j]:
            constant = column.min() == column.max()
            own.append(
                ["the same for everyone: nothing to compare" if constant else "told by the covariates before it"]
            )
        else:
            own.append(separation(column, y) + separation(column, ~y, "row without the event"))
    per_term = min(n_events, n_rest) / max(int(kept[1:].sum()), 1)
    shared = few(n_events, per_term, of_row[y], weighted=weight_kind == "probability" and bool((w != 1).any()))
    settings |= {"confidence": confidence, "loglik": loglik, "events_per_parameter": per_term}
    return penalized_estimates(columns, found, kept, own, shared, {**settings, "n_clusters": distinct(of_row)})


def fit_firth_logistic(
    x: FloatArray, y: FloatArray, weight: FloatArray, confidence: float = 0.95
) -> tuple[Profiles, BoolArray, float]:
    """Fit on arrays; x (n, p) without the intercept, y (n,) zeros and ones, weights positive.

    Returns intercept and terms (1 + p,), which of them are in the fit, and the penalized log-likelihood.
    """
    standard, centre, scale = standardize(x, weight)
    full = np.column_stack([np.ones(len(y)), standard])
    kept = independent(full.T @ (weight[:, None] * full) / weight.sum())
    z = np.asfortranarray(full[:, kept])
    written = np.diag(np.append(1.0, 1.0 / scale))  # rows: each coefficient as written, from those of z
    written[0, 1:] = -centre / scale
    evaluate = penalized_odds(z, y, weight)
    spread = np.append(1.0, np.ptp(z[:, 1:], axis=0))
    fit = highest(evaluate, spread)
    if fit is None:
        return Profiles.missing(len(kept)), kept, np.nan
    found = profiles(evaluate, fit, spread, written[np.ix_(kept, kept)], confidence)
    # The determinant counts in the units of the covariates.
    return found.among(kept), kept, fit.point.loglik + float(np.log(scale[kept[1:]]).sum())


def penalized_odds(z: FloatArray, y: FloatArray, weight: FloatArray) -> Evaluate:
    """The penalized likelihood of independent columns z (n, q), the first of ones."""

    def at(coef: FloatArray) -> Point:
        eta = z @ coef
        mean, rest = expit(eta), expit(-eta)
        variance = weight * mean * rest
        information = cross_product(z, variance)
        loglik = float(weight @ (y * eta - np.logaddexp(0.0, eta)))
        score = z.T @ (weight * (y * rest - (1.0 - y) * mean))
        logdet = log_determinant(information)
        if not np.isfinite(logdet):
            return Point(-np.inf, score, np.zeros_like(coef), information)
        leverage = variance * lengths(z, invert(information))
        penalty = z.T @ (leverage * (rest - mean)) / 2.0
        return Point(loglik + logdet / 2.0, score + penalty, penalty, information)

    return at


def lengths(x: FloatArray, inner: FloatArray) -> FloatArray:
    """x_i' A x_i of each row of x (n, p), columns contiguous, with A (p, p) symmetric: (n,).

    >>> lengths(np.array([[1.0, 2.0], [0.0, 3.0]], order="F"), np.eye(2)).tolist()
    [5.0, 9.0]
    """
    result = np.empty(len(x))
    for start in range(0, len(x), BLOCK):
        block = x.T[:, start : start + BLOCK]
        ((inner @ block) * block).sum(axis=0, out=result[start : start + BLOCK])
    return result


def log_determinant(information: FloatArray) -> float:
    """Of a positive definite matrix (p, p); -inf for any other.

    >>> round(log_determinant(np.diag([2.0, 3.0])), 4), log_determinant(np.diag([1.0, 0.0]))
    (1.7918, -inf)
    """
    if not np.isfinite(information).all():
        return -np.inf
    try:
        return 2.0 * float(np.log(np.diag(np.linalg.cholesky(information))).sum())
    except np.linalg.LinAlgError:
        return -np.inf


def exposed(x: FloatArray, event: BoolArray, copies: FloatArray) -> FloatArray:
    """Events at 1 of each 0/1 column of x (n, p), each counted `copies` (n,) times; missing for other columns."""
    binary = np.isin(x, (0.0, 1.0)).all(axis=0)
    result: FloatArray = np.where(binary, copies[event] @ x[event], np.nan)
    return result


def separation(values: FloatArray, event: BoolArray, what: str = "event") -> list[str]:
    """Words where none or all of the events are among the exposed of a 0/1 column (n,)."""
    if not np.isin(values, (0.0, 1.0)).all():
        return []
    exposed_ones = values[event] == 1.0
    if not exposed_ones.any():
        return [f"no {what} among the exposed: {BY_PENALTY}"]
    return [f"every {what} among the exposed: {BY_PENALTY}"] if exposed_ones.all() else []


def few(n_events: float, per_term: float, cluster_of_event: IntArray, *, weighted: bool) -> list[str]:
    """What must be read beside estimates from few events; cluster_of_event : codes of the rows with one."""
    n_rows, n_clusters = len(cluster_of_event), distinct(cluster_of_event)
    said = report.robust_notes(n_events, n_clusters, n_clusters, clustered=False)
    if per_term < FEW_PER_TERM:
        said.append(f"only {per_term:.1f} events per parameter")
    if n_clusters < n_rows:
        said.append(
            f"{n_rows} events of {n_clusters} {'cluster' if n_clusters == 1 else 'clusters'} count as independent: "
            "the interval tends to be too narrow"
        )
    if weighted:
        said.append("a weight counts as so many rows, so the interval depends on the scale of the weights")
    return said


def penalized_estimates(
    columns: Mapping[str, Any],
    found: Profiles,
    kept: BoolArray,
    own: Sequence[Sequence[str]],
    shared: Sequence[str],
    settings: Mapping[str, Any],
) -> Estimates:
    """The tidy frame of a penalized fit; kept : which terms are in it, own : what is said of each, shared : of all."""
    notes = []
    for j, said in enumerate(own):
        lost = kept[j] and not np.isfinite(found.estimate[j])
        words = ["the penalized likelihood has no maximum that could be reached"] if lost else found.words[j]
        notes.append("; ".join([*said, *words, *shared]))
    return report.estimates(
        {**columns, **found.columns(), "note": notes},
        {
            **settings,
            "variance": "inverse information at the fit",
            "limits": LIMITS,
            "statistic": "signed root of the penalized likelihood ratio",
        },
    )


def without_fit(columns: Mapping[str, Any], note: str, settings: Mapping[str, Any]) -> Estimates:
    """The same frame where nothing can be estimated."""
    nothing = Profiles.missing(len(columns["term"]))
    said = {"loglik": np.nan, "events_per_parameter": 0.0, **settings}
    return report.estimates({**columns, **nothing.columns(), "note": note}, said)
