"""Weibull regression for days that are known, or only known to lie between two looks, and for late entry.

One fit, two readings: time ratios (a covariate stretches the time to the event, as R's `survreg`) and hazard ratios
(it multiplies the hazard), coef_hazard = -coef_time / scale. The likelihood is that of `cohort.estimate.weibull`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.bounds import LAST_DAY, Bounds, interval_bounds, read_bounds, stays
from cohort.estimate.cox import select
from cohort.estimate.design import Design, Rows, column, design, distinct, rows_of
from cohort.estimate.kernel import WeightKind
from cohort.estimate.risk_sets import sum_by
from cohort.estimate.weibull import WeibullFit, fit_weibull
from cohort.estimate.weibull_readings import Profile, delta, labels, no_survival, readings, survival, why_not
from cohort.tables.results import Estimates


def weibull(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    lower: str | None = None,
    upper: str | None = None,
    exit: str | None = None,
    event: str | None = None,
    of: int = 1,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    weight_kind: WeightKind = "probability",
    robust: bool | None = None,
    at: npt.ArrayLike | None = None,
    profile: Profile | Sequence[Profile] | None = None,
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Weibull regression: time ratios and hazard ratios with robust and model-based standard errors.

    The event is given either by `lower` and `upper`, as in `turnbull`, or by `exit` and `event` (0/1, or causes of
    which number `of` is the event), with `lower`, where there is one, the last day known free of it. Death and other
    causes are losses: the hazard is cause-specific, and one minus the survival is not an incidence.
    entry : late entry, from which the unit is at risk; days count from 0. A lower bound that is missing is the entry.
    id : rows of one unit, which may touch but not overlap; they are joined, and covariates must be fixed in them.
    weight, cluster, weight_kind, robust, confidence : as in `cox`.
    profile, at : covariate values, one mapping or several, and days, at which the share free of the event is read.

    Returns one row per term and reading, told apart by `measure`:
    time (the intercept: days until 63 per cent had the event where covariates are 0), time_ratio (above 1: later),
    scale (coef its log, term "Log(scale)"), hazard_ratio, shape (1 / scale; above 1 the hazard rises), and survival
    (one row per profile, named in `stratum`, and day). settings["loglik"] = (without covariates, fitted).
    A term that cannot be estimated keeps its row and says why in `note`, as in `cox`.
    Raises EstimationError for days at or before 0, lower bounds before entry, and covariates that change within an id.

    >>> films = pd.DataFrame({"clear": [0, 30, 60, 90, 0, 60], "found": [30, 90, None, 120, 60, None],
    ...                       "leak": [1, 1, 1, 0, 0, 0]})
    >>> found = weibull(films, ["leak"], lower="clear", upper="found").frame.set_index("measure")["estimate"]
    >>> found[["time_ratio", "hazard_ratio"]].round(3).tolist()
    [0.679, 2.196]
    """
    if profile is None and at is not None and not covariates:
        profile = {}
    profiles = [] if profile is None else [profile] if isinstance(profile, Mapping) else list(profile)
    if (at is None) != (profile is None):
        raise EstimationError("A survival is read for a `profile` of covariates and `at` days; give both or neither.")
    rows, bounds = _read(rows, lower, upper, exit, event, of)
    rows = rows.assign(**{LAST_DAY: bounds.last_day})
    base = rows_of(rows, exit_=LAST_DAY, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    first, last = stays(base, bounds.found)
    _refuse_changes(rows, covariates, base.id)
    units, bounds = _joined(base, first, last), bounds[last]
    start, bounds = _on_the_clock(units.entry, bounds)
    plan = design(rows.iloc[first], covariates) if covariates else _no_covariates(len(first))

    used = plan.complete & (units.weight > 0)
    x = plan.matrix[units.weight[plan.complete] > 0]
    units, start, bounds = select(units, used), start[used], bounds[used]
    if robust is None:
        robust = base.clustered or (weight_kind == "probability" and bool((units.weight != 1).any()))
    counts = units.weight if weight_kind == "frequency" else np.ones(len(units.exit))
    n_events = float(counts[bounds.found].sum())
    shared = report.robust_notes(n_events, units.n_patients, distinct(units.cluster[bounds.found]), robust)
    settings = {
        "method": "Weibull regression",
        "variance": "robust, summed over clusters, no small-sample factor" if robust else "inverse information",
        "weights": weight_kind if weight is not None else "none",
        "confidence": confidence,
        "n_clusters": units.n_patients,
        "n_exact": float(counts[bounds.exact].sum()),
        "n_interval": float(counts[bounds.found & ~bounds.exact].sum()),
        **plan.settings,
    }
    common = {
        "outcome": outcome,
        "model": model,
        "n_patients": units.n_patients,
        "n_units": units.n_units,
        "n_events": n_events,
    }
    days = np.atleast_1d(np.asarray([] if at is None else at, dtype=np.float64))
    if bounds.found.any():
        fit = fit_weibull(x, bounds, start, units.weight)
        settings["loglik"] = (fit.null_loglik, fit.maximum.loglik)
        settings["converged"] = fit.maximum.converged
        naive = fit.naive_variance()
        variance = _robust_variance(fit, units, weight_kind) if robust else naive
        coef, gradient = readings(fit)
        error, naive_error = delta(gradient, variance), delta(gradient, naive)
        said = why_not(fit, x, bounds.found)
        curves = [survival(fit, variance, plan, one, days, float(units.exit.max()), confidence) for one in profiles]
    else:
        settings["loglik"] = (0.0, 0.0)
        shared = ["no event: nothing can be estimated" if len(x) else "no complete row: nothing can be estimated"]
        coef = error = naive_error = np.full(2 * len(plan.terms) + 3, np.nan)
        said = [[] for _ in coef]
        curves = [no_survival(plan, one, days, shared[0]) for one in profiles]
    exposed = _exposed_events(x, bounds.found, counts)
    model_rows = {
        **labels(plan),
        **report.wald(coef, error, confidence),
        "naive_std_error": naive_error,
        "n_exposed_events": np.concatenate([[np.nan], exposed, [np.nan], exposed, [np.nan]]),
        "note": ["; ".join([*own, *shared]) for own in said],
    }
    table = pd.concat([pd.DataFrame(part) for part in (model_rows, *curves)], ignore_index=True)
    return report.estimates({**common, **table}, settings)


def _read(
    rows: pd.DataFrame, lower: str | None, upper: str | None, exit_: str | None, event: str | None, of: int
) -> tuple[pd.DataFrame, Bounds]:
    if upper is not None and lower is not None and exit_ is None and event is None:
        return rows, read_bounds(rows, lower, upper)
    if upper is None and exit_ is not None and event is not None:
        rows = interval_bounds(rows, exit=exit_, cause=event, lower=lower, of=of)
        return rows, read_bounds(rows, "lower", "upper")
    raise EstimationError(
        "Say when the event came either by `lower` and `upper`, or by `exit` and `event` (with `lower`, where events "
        "lie in an interval)."
    )


def _refuse_changes(rows: pd.DataFrame, covariates: Sequence[str], unit: IntArray) -> None:
    first = np.unique(unit, return_index=True)[1]
    if len(first) == len(unit):
        return
    place = np.searchsorted(unit[first], unit)
    for name in covariates:
        codes = pd.factorize(column(rows, name, "a covariate"))[0]
        changed = len(np.unique(unit[codes != codes[first][place]]))
        if changed:
            raise EstimationError(
                f"'{name}' changes during the follow-up of {changed} units. A time ratio stretches the whole time to "
                "the event, so that what changes on the way has none: use its value at entry, or `cox`."
            )


def _on_the_clock(entry: FloatArray, bounds: Bounds) -> tuple[FloatArray, Bounds]:
    """Entries and bounds from day 0 on; a bound that is not known is the entry."""
    if (entry[np.isfinite(entry)] < 0).any():
        raise EstimationError(
            f"{int((np.isfinite(entry) & (entry < 0)).sum())} rows enter before day 0, where the clock of a Weibull "
            "model starts; count days from the origin of the hazard."
        )
    start = np.maximum(entry, 0.0)
    unknown = np.isneginf(bounds.lower)
    lower = np.where(unknown, start, bounds.lower)
    before = int((bounds.upper <= 0).sum()) + int((lower < 0).sum())
    if before:
        raise EstimationError(
            f"{before} bounds lie on or before day 0; in a Weibull model events come after it. Count an event of day 0 "
            "on day 0.5 or 1, the same for all, or leave these rows out and say so."
        )
    early = int((lower < start).sum())
    if early:
        raise EstimationError(
            f"{early} rows with late entry have a lower bound before their entry. Who enters is free of the event "
            "then: give the entry as lower bound, or leave the bound missing."
        )
    return start, Bounds(lower, bounds.upper)


def _no_covariates(n: int) -> Design:
    return Design(np.zeros((n, 0)), (), (), np.ones(n, dtype=bool), {}, {})


def _joined(base: Rows, first: IntArray, last: IntArray) -> Rows:
    return Rows(
        base.entry[first],
        base.exit[last],
        base.weight[first],
        base.id[first],
        base.cluster[first],
        base.stratum[first],
        base.clustered,
    )


def _robust_variance(fit: WeibullFit, units: Rows, weight_kind: WeightKind) -> FloatArray:
    cluster = np.unique(units.cluster, return_inverse=True)[1]
    size = int(cluster.max(initial=-1)) + 1
    residual = fit.likelihood.score_residuals(fit.maximum.coef)
    if size == 1:
        return np.full((len(fit.parameters),) * 2, np.nan)
    if weight_kind == "probability":
        return fit.robust_variance(sum_by(cluster, residual * units.weight[:, None], size), np.ones(size))
    copies = np.zeros(size)
    np.maximum.at(copies, cluster, units.weight)
    if (copies[cluster] != units.weight).any():
        raise EstimationError(
            "Frequency weights must be the same in all rows of a cluster: a row of weight 3 stands for three "
            'clusters alike. For other weights say weight_kind="probability".'
        )
    return fit.robust_variance(sum_by(cluster, residual, size), copies)


def _exposed_events(x: FloatArray, event: BoolArray, counts: FloatArray) -> FloatArray:
    binary = np.isin(x, (0.0, 1.0)).all(axis=0)
    result: FloatArray = np.where(binary, (counts * event) @ x, np.nan)
    return result
