"""A hazard ratio that changes with time is a covariate that changes with time, on rows split where it changes.

Splitting a row changes nothing by itself (its parts touch), so an exposure times interval, or any function of a
covariate and time, is an ordinary Cox model of the split rows; the counts stay those of units and events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.cox import JACKKNIFE, CoxFit, complete_rows, fit_cox, hazard_estimates, taken
from cohort.estimate.design import Design, Rows, design, distinct, rows_of
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.risk_sets import RiskSets
from cohort.estimate.small_sample import HazardCorrection, applies, t_alone
from cohort.tables.results import Estimates

LARGEST_SPLIT = 50_000_000  # rows: about 5 GB with a handful of covariates

Transform = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Split:
    """Parts of rows, shape (m,): the row each comes from, its time, whether it ends in the event, and its interval."""

    row: IntArray
    entry: FloatArray
    exit: FloatArray
    event: BoolArray
    interval: IntArray


def split_at(entry: FloatArray, exit: FloatArray, event: BoolArray, cuts: Sequence[float]) -> Split:
    """Split rows `(entry, exit]` at each cut inside them; interval k is `(cuts[k - 1], cuts[k]]`. As R's `survSplit`.

    entry, exit, event : (n,). cuts : increasing. The event stays with the last part of its row.

    >>> parts = split_at(np.array([0.0, 90.0]), np.array([90.0, 400.0]), np.array([True, True]), [90, 365])
    >>> parts.row.tolist(), parts.exit.tolist(), parts.event.tolist(), parts.interval.tolist()
    ([0, 1, 1], [90.0, 365.0, 400.0], [True, False, True], [0, 1, 2])
    """
    at = np.asarray(cuts, dtype=np.float64)
    if at.ndim != 1 or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise EstimationError(f"cuts must be finite times, each later than the one before it, and are {list(cuts)}.")
    first = np.searchsorted(at, entry, side="right")
    last = np.searchsorted(at, exit, side="left")
    parts = np.maximum(last - first, 0) + 1
    row = np.repeat(np.arange(len(entry)), parts)
    interval = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)
    edges = np.concatenate([[-np.inf], at, [np.inf]])
    return Split(
        row,
        np.maximum(entry[row], edges[interval]),
        np.minimum(exit[row], edges[interval + 1]),
        event[row] & (interval == last[row]),
        interval,
    )


def hazard_ratio_by_interval(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    cuts: Sequence[float],
    exit: str,
    event: str,
    exposure: str | None = None,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    robust: bool | None = None,
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """The hazard ratio of one exposure in each interval of time; those of the other covariates are constant.

    cuts : inner limits of the intervals, on the scale of `exit`; an event on a cut belongs to the interval it ends.
    exposure : one of `covariates`, the first unless named. Other arguments as in `cox`.
    Choose cuts before looking at the curves: intervals placed where they seem to part make differences out of noise.

    Returns one row per term of the exposure and interval, with the events, units and patients of that interval, and
    `interval`, `interval_start`, `interval_end`; one row per other term; and per term of the exposure a row with
    measure "equality_over_intervals": the Wald test, by the variance used, that its ratios are all the same (statistic,
    df, p_value). An exposure of several categories also has that row for all of them together. Where the variance is
    the jackknife's, limits are from t with the clusters that have an event in the interval, less one, and the test is
    Hotelling's.

    >>> days = pd.DataFrame({"exit": [3, 5, 8, 9, 12, 14, 20, 21], "event": [1, 1, 1, 0, 1, 1, 1, 0],
    ...                      "leak": [1, 0, 1, 1, 0, 1, 0, 0]})
    >>> frame = hazard_ratio_by_interval(days, ["leak"], cuts=[10], exit="exit", event="event").frame
    >>> frame[["interval", "n_events"]].to_numpy().tolist()
    [['(0, 10]', 3.0], ['(10, 21]', 3.0], ['', 6.0]]
    """
    plan = design(rows, covariates)
    exposure = plan.variables[0] if exposure is None and plan.variables else exposure
    if exposure not in list(covariates):
        raise EstimationError(
            f"The exposure '{exposure}' must be one of the covariates, which are {', '.join(covariates)}."
        )
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    x, happened, base = complete_rows(rows, plan, base, event, of)
    if robust is None:
        weighted = weight_kind == "probability" and bool((base.weight != 1).any())
        robust = base.clustered or weighted or small_sample == "jackknife"

    parts = split_at(base.entry, base.exit, happened, cuts)
    start, end = _edges(base, cuts)
    base = replace(taken(base, parts.row), entry=parts.entry, exit=parts.exit)
    columns = _columns(plan, x[parts.row], parts.interval, exposure, len(cuts) + 1)
    counts = base.weight if weight_kind == "frequency" else np.ones(len(base.exit))
    whole = _Part.of(np.ones(len(counts), dtype=bool), parts, base, counts, weight_kind)
    described = [
        whole
        if column.interval is None
        else _Part.of(parts.interval == column.interval, parts, base, counts, weight_kind)
        for column in columns
    ]
    corrected = applies(small_sample, ("auto", "none", "jackknife"), whole.with_event, robust) and whole.n_patients > 1
    variance_used = "robust, summed over clusters, no small-sample factor" if robust else "inverse information"
    settings: dict[str, Any] = {
        "method": "Cox partial likelihood, exposure by interval",
        "exposure": exposure,
        "cuts": [float(cut) for cut in cuts],
        "test": f"Wald, {'F as Hotelling' if corrected else 'chi-squared'}: the same ratio in every interval",
        "ties": ties,
        "variance": JACKKNIFE if corrected else variance_used,
        "confidence": confidence,
        "n_clusters": whole.n_patients,
        "weights": weight_kind if weight is not None else "none",
        "strata": strata,
        **plan.settings,
    }
    p = len(columns)
    coef, naive, plain = np.full(p, np.nan), np.full(p, np.nan), np.full(p, np.nan)
    variance, fit = np.full((p, p), np.nan), None
    if parts.event.any():
        matrix = np.column_stack([column.values for column in columns])
        fit = fit_cox(matrix, parts.event, base, ties=ties, weight_kind=weight_kind)
        settings["loglik"] = (fit.maximum.null_loglik, fit.maximum.loglik)
        settings["converged"] = fit.maximum.converged
        coef = fit.coef
        if fit.limited.any():
            naive[fit.limited] = np.sqrt(np.diag(fit.naive_variance()))
            if whole.n_patients > 1 or not robust:
                found = fit.naive_variance() if not robust else fit.robust_variance()
                plain[fit.limited] = np.sqrt(found.diagonal())
                variance[np.ix_(fit.limited, fit.limited)] = fit.jackknife()[0] if corrected else found
    from_t = corrected or t_alone(small_sample, corrected, bool(robust), whole.n_patients, base.n_units)
    df = np.array([part.with_event - 1.0 for part in described]) if from_t else None
    ratios = report.wald(coef, np.sqrt(variance.diagonal()), confidence, df)
    labels = [f"({a:g}, {b:g}]" for a, b in zip(start, end, strict=True)]
    said = "jackknife, limits from t" if corrected else "limits from t" if from_t else ""
    alone = np.isfinite(naive) & np.isnan(variance.diagonal()) & (whole.with_event > 1) & corrected
    fields: dict[str, Any] = {
        "outcome": outcome,
        "model": model,
        "measure": "hazard_ratio",
        "term": [column.term for column in columns],
        "variable": [column.variable for column in columns],
        "df": np.nan,
        **(report.corrected(ratios, plain) if corrected else ratios),
        "naive_std_error": naive,
        "interval": ["" if c.interval is None else labels[c.interval] for c in columns],
        "interval_start": [np.nan if c.interval is None else start[c.interval] for c in columns],
        "interval_end": [np.nan if c.interval is None else end[c.interval] for c in columns],
        "n_exposed_events": [part.exposed(column.values) for part, column in zip(described, columns, strict=True)],
        "note": [
            "; ".join(
                [*_note(fit, j, columns[j], described[j], alone[j], robust, said, whole), *report.beyond(ratios, j)]
            )
            for j in range(p)
        ],
    }
    frame = pd.DataFrame(fields).join(pd.DataFrame([part.counted for part in described]))
    clusters = whole.with_event if robust else None
    shared = report.robust_notes(whole.n_events, whole.n_patients, whole.with_event, bool(robust), said)
    for name, members in _families(columns, exposure).items():
        test = {**whole.counted, **_equality(members, coef, variance, clusters, corrected)}
        test |= {"outcome": outcome, "model": model, "measure": "equality_over_intervals", "interval": ""}
        test |= {"term": name, "variable": exposure, "note": "; ".join([*test["note"], *shared])}
        frame = pd.concat([frame, pd.DataFrame([test])], ignore_index=True)
    return report.estimates({name: frame[name] for name in frame.columns}, settings)


@dataclass(frozen=True)
class Column:
    """A column of the model and the interval it is of; None for all of them."""

    term: str
    variable: str
    interval: int | None
    values: FloatArray


def _columns(plan: Design, x: FloatArray, interval: IntArray, exposure: str, n_intervals: int) -> list[Column]:
    """Each term of the exposure times each interval, then the other terms."""
    of_exposure = [j for j, variable in enumerate(plan.variables) if variable == exposure]
    others = [j for j in range(len(plan.terms)) if j not in of_exposure]
    return [
        Column(plan.terms[j], exposure, k, np.where(interval == k, x[:, j], 0.0))
        for j in of_exposure
        for k in range(n_intervals)
    ] + [Column(plan.terms[j], plan.variables[j], None, x[:, j]) for j in others]


def _edges(rows: Rows, cuts: Sequence[float]) -> tuple[list[float], list[float]]:
    """Start and end of each interval; the outer ones are those of the follow-up, which begins at 0 without entries."""
    inner = [float(cut) for cut in cuts]
    entry = np.where(np.isfinite(rows.entry), rows.entry, 0.0)
    opening = min([float(entry.min()) if len(entry) else 0.0, *inner])
    closing = max([float(rows.exit.max()) if len(entry) else 0.0, *inner])
    return [opening, *inner], [*inner, closing]


@dataclass(frozen=True)
class _Part:
    """The rows of one interval, or all of them: `rows` their numbers, `event` (d,) those with an event."""

    rows: IntArray
    event: IntArray
    counts: FloatArray
    n_patients: int
    n_units: int
    with_event: float

    @classmethod
    def of(cls, part: BoolArray, parts: Split, rows: Rows, counts: FloatArray, weight_kind: WeightKind) -> _Part:
        event = np.flatnonzero(part & parts.event)
        _, first = np.unique(rows.cluster[event], return_index=True)
        # With frequency weights a cluster is as many as its weight, the same in all its rows.
        with_event = float(counts[event][first].sum()) if weight_kind == "frequency" else float(len(first))
        return cls(
            np.flatnonzero(part), event, counts, distinct(rows.cluster[part]), distinct(rows.id[part]), with_event
        )

    @property
    def n_events(self) -> float:
        return float(self.counts[self.event].sum())

    @property
    def counted(self) -> dict[str, float]:
        return {"n_patients": self.n_patients, "n_units": self.n_units, "n_events": self.n_events}

    def binary(self, values: FloatArray) -> bool:
        return bool(np.isin(values[self.rows], (0.0, 1.0)).all())

    def exposed(self, values: FloatArray) -> float:
        """Events at 1 of a 0/1 column, else missing."""
        return float(self.counts[self.event] @ values[self.event]) if self.binary(values) else np.nan


def _note(
    fit: CoxFit | None, j: int, column: Column, part: _Part, alone: bool, robust: bool, corrected: str, whole: _Part
) -> list[str]:
    """What to read beside column j, from the rows of its interval."""
    if not len(part.rows):
        return ["nobody at risk in this interval"]
    if fit is None or not len(part.event):
        return [f"no event{'' if column.interval is None else ' in this interval'}: nothing can be estimated"]
    said: list[str] = []
    if not fit.varies[j]:
        said.append("the same for all at risk whenever an event happened: nothing to compare")
    elif not fit.kept[j]:
        said.append("told by the covariates before it: left out of the fit")
    elif not fit.limited[j]:
        with_event = column.values[part.event]
        if part.binary(column.values) and not with_event.any():
            said.append("no event among the exposed: the hazard ratio is 0 without an upper limit from this method")
        elif part.binary(column.values) and with_event.all():
            said.append("every event among the exposed: the hazard ratio has no upper bound")
        else:
            said.append("separates those with an event from the rest: the hazard ratio has no finite estimate")
    elif alone:
        said.append("rests on one cluster: no standard error between clusters")
    said += report.robust_notes(part.n_events, whole.n_patients, part.with_event, robust, corrected)
    if not fit.maximum.converged and not fit.maximum.unlimited.any():
        said.append("the fit did not converge")
    return said


def _families(columns: Sequence[Column], exposure: str) -> dict[str, list[list[int]]]:
    """Which columns are said to be equal, by name of the test: those of each term, and of all terms together."""
    by_term: dict[str, list[int]] = {}
    for j, column in enumerate(columns):
        if column.interval is not None:
            by_term.setdefault(column.term, []).append(j)
    families = {term: [places] for term, places in by_term.items()}
    return families if len(by_term) == 1 else {**families, exposure: list(by_term.values())}


def _equality(
    members: Sequence[Sequence[int]],
    coef: FloatArray,
    variance: FloatArray,
    clusters: float | None,
    hotelling: bool,
) -> dict[str, Any]:
    """Wald test that the coefficients within each list of places are equal; clusters : those with an event, if robust.

    hotelling : F with df and clusters - df degrees of freedom in place of chi-squared.
    """
    usable = np.isfinite(coef) & np.isfinite(variance.diagonal())
    finite = [[j for j in places if usable[j]] for places in members]
    pairs = [pair for places in finite for pair in zip(places[1:], places[:-1], strict=True)]
    nothing = {"statistic": np.nan, "df": np.nan, "p_value": np.nan}
    df = len(pairs)
    if not df:
        return nothing | {"note": ["fewer than two intervals with an estimate and its error: nothing to test"]}
    if clusters is not None and clusters <= df:
        return nothing | {"note": [f"too few clusters with an event for a robust test of {df} differences"]}
    contrast = np.zeros((df, len(coef)))
    for row, (one, other) in enumerate(pairs):
        contrast[row, one], contrast[row, other] = 1.0, -1.0
    difference = contrast[:, usable] @ coef[usable]
    spread = contrast[:, usable] @ variance[np.ix_(usable, usable)] @ contrast[:, usable].T
    statistic = float(difference @ np.linalg.lstsq(spread, difference, rcond=None)[0])
    p_value = stats.chi2.sf(statistic, df)
    if hotelling and clusters is not None:
        rest = clusters - df
        p_value = stats.f.sf(statistic * rest / ((clusters - 1.0) * df), df, rest)
    missed = sum(map(len, finite)) < sum(map(len, members))
    return {
        "statistic": statistic,
        "df": float(df),
        "p_value": float(p_value),
        "note": ["only over the intervals that have an estimate"] if missed else [],
    }


def time_transform(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    transform: Mapping[str, Transform],
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
    robust: bool | None = None,
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Cox with covariates times functions of time, evaluated at every event time: R's `tt()`.

    transform : per numeric covariate a function of its values and of the event times (two arrays of one length), which
        adds the term `tt(covariate)`; the covariate itself stays in the model if it is among `covariates`.
    The rows at risk are laid out at each event time of their stratum, so memory grows with their product; beyond
    50 million an EstimationError points to `hazard_ratio_by_interval`. Other arguments and the frame as in `cox`.

    >>> days = pd.DataFrame({"exit": [3, 5, 8, 9, 12, 14, 20, 21], "event": [1, 1, 1, 0, 1, 1, 1, 0],
    ...                      "leak": [1, 0, 1, 1, 0, 1, 0, 0]})
    >>> result = time_transform(days, ["leak"], transform={"leak": lambda x, t: x * np.log(t)}, exit="exit",
    ...                         event="event")
    >>> result.frame["term"].tolist()
    ['leak', 'tt(leak)']
    """
    named = list(dict.fromkeys([*covariates, *transform]))
    plan = design(rows, named)
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    x, happened, base = complete_rows(rows, plan, base, event, of)
    if robust is None:
        weighted = weight_kind == "probability" and bool((base.weight != 1).any())
        robust = base.clustered or weighted or small_sample == "jackknife"
    for name in transform:
        if name not in plan.terms:
            raise EstimationError(f"Covariate '{name}' has categories; a function of time needs a number.")

    sets = RiskSets.of(base.exit, happened, base.entry, base.stratum)
    times = sets.end - sets.first
    total = int(times.sum())
    if total > LARGEST_SPLIT:
        raise EstimationError(
            f"Every row at risk at every event time makes {total} rows; use hazard_ratio_by_interval with cuts, or "
            "round event times to weeks or months first."
        )
    row = np.repeat(np.arange(len(x)), times)
    index = sets.first[row] + np.arange(total) - np.repeat(np.cumsum(times) - times, times)
    if not happened.any():
        # Without an event there is no time to evaluate at; the rows stand for themselves, so that the result says it.
        row, index, sets = np.arange(len(x)), np.arange(len(x)), replace(sets, time=base.exit)
    time = sets.time[index]
    added = [np.asarray(f(x[row, plan.terms.index(name)], time), float) for name, f in transform.items()]
    kept = [j for j, variable in enumerate(plan.variables) if variable in set(covariates)]
    matrix = np.column_stack([x[row][:, kept], *added])
    if not np.isfinite(matrix).all():
        raise EstimationError("A function of time gave missing or infinite values; it must be finite at every event.")
    terms = [*(plan.terms[j] for j in kept), *(f"tt({name})" for name in transform)]
    variables = [*(plan.variables[j] for j in kept), *(f"tt({name})" for name in transform)]
    # Each event time is a stratum of its own: its risk set is all that the partial likelihood sees of it.
    laid = replace(taken(base, row), entry=np.full(len(row), -np.inf), exit=time, stratum=index.astype(np.int64))
    result = hazard_estimates(
        replace(plan, terms=tuple(terms), variables=tuple(variables), matrix=matrix),
        matrix,
        happened[row] & (index == sets.at_event[row]),
        laid,
        ties=ties,
        weight_kind=weight_kind,
        robust=robust,
        confidence=confidence,
        common={"outcome": outcome, "model": model, "measure": "hazard_ratio"},
        settings={
            "method": "Cox partial likelihood, covariates as functions of time at every event time",
            "transformed": list(transform),
            "weights": weight_kind if weight is not None else "none",
            "strata": strata,
        },
        small_sample=small_sample,
    )
    # Who left before the first event took part in the study, though in no risk set.
    everyone = {"n_patients": base.n_patients, "n_units": base.n_units}
    return Estimates(result.frame.assign(**everyone), {**result.settings, "n_clusters": base.n_patients})
