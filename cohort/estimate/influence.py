"""What a Cox model rests on: how far each patient moves it, which rows it misses, and how its ratios change with time.

One-step influence (dfbeta), martingale and deviance residuals (Therneau, Grambsch and Fleming 1990), and scaled
Schoenfeld residuals with their smooth (Grambsch and Therneau 1994), as R's `residuals.coxph` and `cox.zph`. Frames of
patients are for whoever may see patients; they are not results to export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.cox import CoxFit, complete_rows, fit_cox
from cohort.estimate.design import Design, Rows, design, rows_of
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.ph import Transform, time_function
from cohort.estimate.risk_sets import sum_by
from cohort.tables.results import Estimates


@dataclass(frozen=True)
class _Fitted:
    """A fitted model with the rows it used; `label` (n,) names them by the index of the frame they came from."""

    plan: Design
    rows: Rows
    event: BoolArray
    label: pd.Index
    fit: CoxFit | None
    settings: dict[str, Any]

    @property
    def missing_note(self) -> str:
        return "" if self.fit is not None else "no event: nothing can be estimated"

    def term_notes(self) -> list[str]:
        if self.fit is None:
            return [self.missing_note] * len(self.plan.terms)
        return ["" if held else "no finite coefficient: see cox" for held in self.fit.limited]


def _fitted(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
) -> _Fitted:
    plan = design(rows, covariates)
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    used = np.flatnonzero(plan.complete & (base.weight > 0))
    x, happened, base = complete_rows(rows, plan, base, event, of)
    fit = fit_cox(x, happened, base, ties=ties, weight_kind=weight_kind) if happened.any() else None
    settings = {"ties": ties, "weights": weight_kind if weight is not None else "none", "strata": strata}
    return _Fitted(plan, base, happened, rows.index[used], fit, {**settings, **plan.settings})


def influence(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """How far each cluster moves each coefficient: one row per cluster and term.

    Arguments as in `cox`; without `cluster` the unit is the id, without an id the row (named by its index).
    Returns `cluster`, n_units and n_events of it, `dfbeta` (log hazard ratio of all less that without the cluster, in
    one Newton step), `dfbetas` (in model-based standard errors of the coefficient, as R's; above 2 / sqrt(clusters) is
    worth a look) and `estimate_without`, the hazard ratio without the cluster. Squares of dfbeta add up to the robust
    variance.

    >>> days = pd.DataFrame({"exit": [5, 8, 9, 12, 14, 20], "event": [1, 1, 0, 1, 1, 0], "leak": [1, 0, 1, 1, 0, 0]})
    >>> frame = influence(days, ["leak"], exit="exit", event="event").frame
    >>> int(frame.loc[frame["dfbeta"].abs().idxmax(), "cluster"]), round(float(frame["dfbeta"].abs().max()), 3)
    (1, 0.798)
    """
    f = _fitted(
        rows, covariates, exit=exit, event=event, entry=entry, weight=weight, strata=strata, id=id, cluster=cluster,
        ties=ties, of=of, weight_kind=weight_kind,
    )  # fmt: skip
    codes, cluster_code = np.unique(f.rows.cluster, return_inverse=True)
    labels = _labels(rows, cluster or id, codes, f)
    size, terms = len(codes), f.plan.terms
    move, coef, naive = (np.full(shape, np.nan) for shape in ((size, len(terms)), len(terms), len(terms)))
    if f.fit is not None and f.fit.limited.any():
        limited = f.fit.limited
        move[:, limited] = f.fit.influence()[0]
        coef[limited] = f.fit.coef[limited]
        naive[limited] = np.sqrt(np.diag(f.fit.naive_variance()))
    first_of_id = np.unique(f.rows.id, return_index=True)[1]
    return report.estimates(
        {
            "outcome": outcome,
            "model": model,
            "term": np.repeat(np.array(terms, dtype=object), size),
            "measure": "influence",
            "n_units": np.tile(np.bincount(cluster_code[first_of_id], minlength=size), len(terms)),
            "n_events": np.tile(np.bincount(cluster_code[f.event], minlength=size), len(terms)),
            "cluster": np.tile(labels, len(terms)),
            "dfbeta": move.T.ravel(),
            "dfbetas": (move / naive).T.ravel(),
            "estimate_without": np.exp(coef - move).T.ravel(),
            "note": np.repeat(np.array(f.term_notes(), dtype=object), size),
        },
        {"method": "one-step influence on the Cox coefficients", "n_clusters": size, **f.settings},
    )


def martingale_residuals(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    per: Literal["row", "id", "cluster"] = "row",
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Events less those the model expects: one row per row, id or cluster.

    per : what residuals are summed over. A unit split into several rows has one residual, the sum of theirs; the
        deviance residual is worked from the sums, and sampling weights do not multiply (R's `collapse=`).
    Returns `row` (the index of the frame), `id` or `cluster`; n_events, `expected`, `martingale` (they sum to zero
    without weights, within strata as well) and `deviance` (the same made symmetric: far from zero is badly predicted).

    >>> days = pd.DataFrame({"exit": [5, 8, 9, 12, 14, 20], "event": [1, 1, 0, 1, 1, 0], "leak": [1, 0, 1, 1, 0, 0]})
    >>> frame = martingale_residuals(days, ["leak"], exit="exit", event="event").frame
    >>> bool(abs(frame["martingale"].sum()) < 1e-12), frame["row"].tolist()
    (True, [0, 1, 2, 3, 4, 5])
    """
    if per not in ("row", "id", "cluster"):
        raise EstimationError(f"per must be row, id or cluster, and is {per!r}.")
    f = _fitted(
        rows, covariates, exit=exit, event=event, entry=entry, weight=weight, strata=strata, id=id, cluster=cluster,
        ties=ties, of=of, weight_kind=weight_kind,
    )  # fmt: skip
    had = f.event.astype(np.float64)
    martingale = np.full(len(had), np.nan)
    if f.fit is not None:
        martingale = f.fit.likelihood.martingale_residuals(f.fit.maximum.coef)
    labels: Any = f.label
    if per != "row":
        codes, place = np.unique(f.rows.id if per == "id" else f.rows.cluster, return_inverse=True)
        labels = _labels(rows, id if per == "id" else cluster or id, codes, f)
        had, martingale = sum_by(place, np.column_stack([had, martingale]), len(codes)).T
    return report.estimates(
        {
            "outcome": outcome,
            "model": model,
            "measure": "martingale_residual",
            "n_events": had,
            per: labels,
            "expected": had - martingale,
            "martingale": martingale,
            "deviance": _deviance(martingale, had),
            "note": f.missing_note,
        },
        {"method": "martingale residuals of a Cox model", "per": per, **f.settings},
    )


def _deviance(martingale: FloatArray, had: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(had > 0, had * np.log(had - martingale), 0.0)
        # Rounding may leave a negative zero where a row expects nothing and has nothing.
        result: FloatArray = np.sign(martingale) * np.sqrt(np.maximum(-2.0 * (martingale + part), 0.0))
    return result


def schoenfeld_residuals(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    transform: Transform = "km",
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """What each event says about each coefficient: one row per event and term, the points of the PH plot.

    transform : the time axis g(time) of `transformed`, as in `ph_test`, centred on its mean over events.
    Returns `row` (the index of the frame), time, `schoenfeld` (covariate less that expected among those at risk) and
    `scaled`: the coefficient plus the residual scaled by the average information, so that its smooth over time is the
    log hazard ratio at that time; R's `cox.zph(terms = FALSE)$y`. Missing in strata where the covariate is constant.

    >>> days = pd.DataFrame({"exit": [5, 8, 9, 12, 14, 20], "event": [1, 1, 0, 1, 1, 0], "leak": [1, 0, 1, 1, 0, 0]})
    >>> schoenfeld_residuals(days, ["leak"], exit="exit", event="event").frame["time"].tolist()
    [5.0, 8.0, 12.0, 14.0]
    """
    f = _fitted(
        rows, covariates, exit=exit, event=event, entry=entry, weight=weight, strata=strata, id=id, cluster=cluster,
        ties=ties, of=of, weight_kind=weight_kind,
    )  # fmt: skip
    s = _schoenfeld(f, transform, weight_kind)
    n, p = s.raw.shape
    return report.estimates(
        {
            "outcome": outcome,
            "model": model,
            "term": np.repeat(np.array(f.plan.terms, dtype=object), n),
            "time": np.tile(f.rows.exit[s.event_rows], p),
            "measure": "schoenfeld_residual",
            "row": np.tile(f.label[s.event_rows], p),
            "transformed": np.tile(s.g, p),
            "schoenfeld": s.raw.T.ravel(),
            "scaled": s.scaled.T.ravel(),
            "note": np.repeat(np.array(f.term_notes(), dtype=object), n),
        },
        {"method": "scaled Schoenfeld residuals", "transform": transform, **f.settings},
    )


def schoenfeld_smooth(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    transform: Transform = "km",
    spline_df: int = 4,
    n_points: int = 40,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """The hazard ratio over time: a natural spline through the scaled Schoenfeld residuals, with pointwise limits.

    spline_df : parameters of the spline, its level included (2 is a straight line); knots at quantiles of the
        transformed event times. n_points : points, evenly spaced in transformed time.
    Limits are model-based, as those of R's `plot.cox.zph`: with clustered rows they are too narrow, as the note says.
    Returns one row per term and point: time, `transformed`, estimate (hazard ratio), limits, coef and std_error.

    >>> rng = np.random.default_rng(1)
    >>> days = pd.DataFrame({"exit": rng.permutation(60) + 1.0, "event": 1, "leak": np.arange(60) % 2})
    >>> smooth = schoenfeld_smooth(days, ["leak"], exit="exit", event="event", n_points=3).frame
    >>> smooth["time"].round(6).tolist(), bool((smooth["conf_low"] < smooth["estimate"]).all())
    ([1.0, 30.5, 60.0], True)
    """
    if spline_df < 2 or n_points < 2:
        raise EstimationError("A smooth needs spline_df of at least 2 (a straight line) and at least 2 points.")
    f = _fitted(
        rows, covariates, exit=exit, event=event, entry=entry, weight=weight, strata=strata, id=id, cluster=cluster,
        ties=ties, of=of, weight_kind=weight_kind,
    )  # fmt: skip
    s = _schoenfeld(f, transform, weight_kind)
    p = len(f.plan.terms)
    grid, at = np.full(n_points, np.nan), np.full(n_points, np.nan)
    coef, error = np.full((p, n_points), np.nan), np.full((p, n_points), np.nan)
    notes = f.term_notes()
    shared = ["limits are model-based: clusters are not allowed for"] if f.rows.clustered else []
    if len(s.g):
        grid = np.linspace(s.g.min(), s.g.max(), n_points)
        known, first = np.unique(s.g, return_index=True)
        at = np.interp(grid, known, f.rows.exit[s.event_rows][first])
    for j in range(p):
        held = np.isfinite(s.scaled[:, j])
        distinct_times = len(np.unique(s.g[held]))
        if notes[j] or distinct_times <= spline_df:
            notes[j] = (
                notes[j] or f"events at only {distinct_times} times: too few for a smooth of {spline_df} parameters"
            )
            continue
        coef[j], error[j] = _smooth(s.g[held], s.scaled[held, j], s.weight[held], grid, spline_df)
        error[j] *= s.spread[j]
        notes[j] = "; ".join([*report.robust_notes(float(s.weight.sum()), 1, 1, False), *shared])
    return report.estimates(
        {
            "outcome": outcome,
            "model": model,
            "term": np.repeat(np.array(f.plan.terms, dtype=object), n_points),
            "time": np.tile(at, p),
            "measure": "hazard_ratio_over_time",
            **{
                name: values
                for name, values in report.wald(coef.ravel(), error.ravel(), confidence).items()
                if name not in ("statistic", "p_value")
            },
            "n_events": float(s.weight.sum()),
            "transformed": np.tile(grid, p),
            "note": np.repeat(np.array(notes, dtype=object), n_points),
        },
        {
            "method": "natural spline through scaled Schoenfeld residuals",
            "transform": transform,
            "spline_df": spline_df,
            "confidence": confidence,
            "limits": "pointwise, model-based",
            **f.settings,
        },
    )


@dataclass(frozen=True)
class _Schoenfeld:
    """Residuals of d events, in order of time: event_rows, g and weight (d,); raw and scaled (d, p); spread (p,).

    spread : the standard deviation of one scaled residual. weight : how many events each stands for.
    """

    event_rows: IntArray
    g: FloatArray
    weight: FloatArray
    raw: FloatArray
    scaled: FloatArray
    spread: FloatArray


def _schoenfeld(f: _Fitted, transform: Transform, weight_kind: WeightKind) -> _Schoenfeld:
    p = len(f.plan.terms)
    if f.fit is None:
        nothing = np.zeros((0, p))
        return _Schoenfeld(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), nothing, nothing, np.full(p, np.nan))
    fit, rows = f.fit, f.rows
    event_rows, standard = fit.likelihood.schoenfeld(fit.maximum.coef)
    order = np.argsort(rows.exit[event_rows], kind="stable")
    event_rows, standard = event_rows[order], standard[order]
    raw, scaled, spread = (
        np.full((len(event_rows), p), np.nan),
        np.full((len(event_rows), p), np.nan),
        np.full(p, np.nan),
    )
    raw[:, fit.kept] = standard * fit.scale[fit.kept]
    counts = rows.weight if weight_kind == "frequency" else np.ones(len(rows.exit))
    g = time_function(transform, rows, f.event, counts)[event_rows]
    limited = fit.limited
    if limited.any():
        informs = _varies_in_stratum(fit, rows)[:, ~fit.maximum.unlimited]
        stratum = np.unique(rows.stratum, return_inverse=True)[1]
        events = np.bincount(stratum[event_rows], counts[event_rows], minlength=len(informs))
        shared = np.einsum("s,sj,sk->jk", events, informs, informs)
        mean = np.linalg.inv(fit.naive_variance()) / np.where(shared > 0, shared, 1.0)
        found = np.full((len(event_rows), int(limited.sum())), np.nan)
        # Strata in which the same covariates vary share one scale; there are few such patterns.
        patterns, of_stratum = np.unique(informs > 0, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            mine = of_stratum.ravel()[stratum[event_rows]] == k
            if pattern.any() and mine.any():
                residual = raw[np.ix_(mine, limited)][:, pattern]
                found[np.ix_(mine, pattern)] = np.linalg.solve(mean[np.ix_(pattern, pattern)], residual.T).T
        scaled[:, limited] = found + fit.coef[limited]
        spread[limited] = np.sqrt(np.diag(np.linalg.inv(mean)))
    return _Schoenfeld(event_rows, g, counts[event_rows], raw, scaled, spread)


def _varies_in_stratum(fit: CoxFit, rows: Rows) -> FloatArray:
    """(strata, columns in the fit) 1 where the column takes more than one value in the stratum."""
    _, first, code = np.unique(rows.stratum, return_index=True, return_inverse=True)
    x = fit.likelihood.x
    apart = (x != x[first[code]]).astype(np.float64)
    return (sum_by(code, apart, len(first)) > 0).astype(np.float64)


def _smooth(
    g: FloatArray, y: FloatArray, weight: FloatArray, grid: FloatArray, df: int
) -> tuple[FloatArray, FloatArray]:
    """Fitted values at `grid` and their standard errors per unit standard deviation of y."""
    knots = np.quantile(np.repeat(g, np.rint(weight).astype(np.int64)), np.linspace(0.0, 1.0, df))
    basis, points = natural_spline(g, knots), natural_spline(grid, knots)
    root = np.sqrt(weight)
    q, r = np.linalg.qr(root[:, None] * basis)
    lever = np.linalg.solve(r.T, points.T)
    return lever.T @ (q.T @ (root * y)), np.sqrt((lever**2).sum(axis=0))


def natural_spline(values: FloatArray, knots: FloatArray) -> FloatArray:
    """Basis (n, k) of the cubic splines with k knots that are straight beyond the outer two; level and slope first.

    >>> natural_spline(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0])).tolist()
    [[1.0, 0.0], [1.0, 0.5], [1.0, 1.0]]
    """
    low, width = knots[0], knots[-1] - knots[0]
    t, k = (values - low) / width, (knots - low) / width

    def bent(at: float) -> FloatArray:
        cube: FloatArray = (np.maximum(t - at, 0.0) ** 3 - np.maximum(t - 1.0, 0.0) ** 3) / (1.0 - at)
        return cube

    bends = [bent(at) - bent(k[-2]) for at in k[:-2]]
    return np.column_stack([np.ones(len(t)), t, *bends])


def _labels(rows: pd.DataFrame, name: str | None, codes: IntArray, f: _Fitted) -> Any:
    """What the codes of clusters or ids stand for: the values of the column, or the index of the row."""
    if name is None:
        return f.label
    return np.asarray(pd.factorize(rows[name], sort=True)[1])[codes]
