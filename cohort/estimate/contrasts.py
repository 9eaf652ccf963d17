"""Differences and ratios between groups, read off their curves on chosen days.

A patient with vertebrae in two groups is in both curves, which are then not independent: the influence of each
patient is worked out on the contrast itself, one curve's less the other's, and squared only then. For groups that
share no patient the variances add. Interval and p-value of a difference are on its own scale, those of a ratio on
the log scale; for rare events trust the ratio, and near zero or one neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.curves import EVENT_FREE, clusters_with, groups_of, named_causes, refuse_unknown_correction
from cohort.estimate.design import causes, distinct, rows_of, zero_one
from cohort.estimate.incidence import Curves, Derivative, cluster_influence, day_readings, events_by
from cohort.estimate.kernel import WeightKind
from cohort.estimate.lost_time import (
    area_readings,
    checked_horizons,
    read_states,
    state_derivatives,
    unfollowed,
)
from cohort.estimate.nelson_aalen import NOTHING_VARIED, after_follow_up, curves_of, days, stop_notes
from cohort.estimate.recurrent_counts import (
    COUNTED,
    count_derivatives,
    counted_and_terminal,
    mean_count,
    refuse_rows_after_death,
    share_alive,
    uncounted,
)
from cohort.estimate.report import CurveCorrection
from cohort.tables.results import Estimates

CurveKind = Literal["aalen_johansen", "kaplan_meier", "time_lost", "mean_cumulative_count"]


def compare_curves(
    rows: pd.DataFrame,
    *,
    curve: CurveKind = "aalen_johansen",
    by: str,
    at: npt.ArrayLike,
    exit: str,
    cause: str | None = None,
    event: str | None = None,
    reference: object = None,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    start: float = 0.0,
    of: int | Sequence[int] = 1,
    terminal: int | Sequence[int] | None = 2,
    causes_named: Sequence[str] | None = None,
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    outcome: str | None = None,
    small_sample: CurveCorrection = "auto",
) -> Estimates:
    """Each group against the reference, on each day: difference and ratio.

    curve : what is compared, and so which function explains the other arguments: "aalen_johansen" (incidence of each
        cause and event-free share), "kaplan_meier" (give `event`), "time_lost" (days; `at` are its horizons, `start` as
        there), "mean_cumulative_count" (`of`, `terminal` as there).
    by : groups fixed at entry of an id; a cluster may have ids in several. reference : default the first group.
    cluster : the patient (default: the id). outcome : name of what Kaplan-Meier or the count is about.
    small_sample : limits and p-values from t where a cluster holds several ids (in mean counts always), or never
        ("none"). Each group's degrees of freedom are its clusters with an event, less one, and those of the contrast
        are Welch's of the two (1947, Biometrika 34:28).

    Returns for each other group (`term` "by=group"), day and outcome two rows, measure "difference" and "ratio":
    estimate, conf_low, conf_high, std_error (of the difference, and of `coef`, the log ratio), statistic (z), p_value,
    n_patients, n_units and n_events by that day in the two groups together, `group_estimate`, `reference_estimate`,
    note. All standard errors are infinitesimal jackknifes over clusters. No ratio to or of zero, and nothing on a
    day after the follow-up of either group: the row stays, and its note says so.
    Raises EstimationError for fewer than two groups, an unknown reference, and what the curve's own function refuses.

    >>> rows = pd.DataFrame({"exit": [1, 2, 3, 4] * 2, "event": [1, 1, 0, 0, 1, 0, 0, 0], "leak": [1] * 4 + [0] * 4})
    >>> compared = compare_curves(rows, curve="kaplan_meier", exit="exit", event="event", by="leak", at=3)
    >>> compared.frame[["term", "measure", "estimate"]].round(4).to_numpy().tolist()
    [['leak=1', 'difference', -0.25], ['leak=1', 'ratio', 0.6667]]
    """
    if curve not in get_args(CurveKind):
        raise EstimationError(f"curve must be one of {', '.join(get_args(CurveKind))}, and is {curve!r}.")
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    times = checked_horizons(at, start) if curve == "time_lost" else days(at)
    what, names = _events(rows, curve, cause, event, of, terminal, causes_named, outcome)
    if curve == "mean_cumulative_count":
        refuse_rows_after_death(base, what)
    labels, group = groups_of(rows, base, by, id is not None)
    against = _reference(labels, by, reference)
    refuse_unknown_correction(small_sample)
    n_causes = 2 if curve == "mean_cumulative_count" else max(len(names) - 1, 1)
    n_clusters = int(base.cluster.max(initial=-1)) + 1
    found = curves_of(base, what, group, len(labels), n_causes, weight_kind)
    readings = [_read(one, curve, times, start, names, n_clusters, weight_kind) for one in found]
    parts = [
        _contrast(
            readings[code],
            readings[against],
            f"{by}={label}",
            f"{by}={labels[against]}",
            times,
            names,
            confidence,
            small_sample,
            curve == "mean_cumulative_count",
        )
        for code, label in enumerate(labels)
        if code != against
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if curve == "time_lost":
        columns["unit"] = np.where(columns["measure"] == "difference", "days", "").astype(object)
    settings = {
        "method": f"contrasts of {curve}",
        "curve": curve,
        "variance": "infinitesimal jackknife of the contrast, summed over clusters",
        "by": by,
        "reference": labels[against],
        "confidence": confidence,
        "weights": weight_kind,
        **({"start": start} if curve == "time_lost" else {}),
        **({"of": of, "terminal": terminal} if curve == "mean_cumulative_count" else {}),
    }
    return report.curve_estimates(columns, settings)


def _events(
    rows: pd.DataFrame,
    curve: CurveKind,
    cause: str | None,
    event: str | None,
    of: int | Sequence[int],
    terminal: int | Sequence[int] | None,
    causes_named: Sequence[str] | None,
    outcome: str | None,
) -> tuple[IntArray, tuple[str, ...]]:
    """What ends each row (n,), as the curve counts it, and the names of the outcomes it gives."""
    if curve == "kaplan_meier":
        if event is None or cause is not None:
            raise EstimationError("Kaplan-Meier needs `event`, a 0/1 column; `cause` belongs to the other curves.")
        return zero_one(rows, event, "the event").astype(np.int64), (outcome or EVENT_FREE,)
    if cause is None or event is not None:
        raise EstimationError(f"{curve} needs `cause`, the column of causes; `event` belongs to kaplan_meier.")
    what = causes(rows, cause)
    if curve == "mean_cumulative_count":
        return counted_and_terminal(what, of, terminal), (outcome or "",)
    return what, (EVENT_FREE, *named_causes(rows, cause, what, causes_named))


def _reference(labels: list[str], by: str, reference: object) -> int:
    if len(labels) < 2:
        raise EstimationError(f"'{by}' has {len(labels)} group: a contrast needs at least two.")
    if reference is None:
        return 0
    if str(reference) not in labels:
        raise EstimationError(f"'{by}' has no group {reference!r} to be the reference; it has {', '.join(labels)}.")
    return labels.index(str(reference))


@dataclass(frozen=True)
class _Reading:
    """One group's curve on the days asked for, all outcomes of a day together: Q = days x outcomes.

    estimate, n_events, with_event : (Q,); influence : (clusters of the study, Q); beyond : (Q,), no follow-up.
    ever : (Q,), clusters with the event on any day.
    """

    last_day: float
    estimate: FloatArray
    influence: FloatArray
    beyond: BoolArray
    n_events: FloatArray
    with_event: IntArray
    ever: FloatArray
    stopped: list[list[str]]
    clusters: IntArray
    units: IntArray


def _read(
    found: Curves,
    curve: CurveKind,
    times: FloatArray,
    start: float,
    names: tuple[str, ...],
    n_clusters: int,
    weight_kind: WeightKind,
) -> _Reading:
    h, width = found.histories, len(names)
    derivatives: Iterator[Derivative]
    if curve == "mean_cumulative_count":
        estimate, derivatives, late = mean_count(found, times), count_derivatives(found, times), uncounted(found, times)
        ends, left = [h.cause == COUNTED], share_alive(found)
    else:
        readings = area_readings(found, start, times) if curve == "time_lost" else day_readings(found, times)
        estimate, derivatives = read_states(found, readings, width), state_derivatives(found, readings, width)
        late, left = unfollowed(found, times), found.free
        ends = [h.cause > 0, *(h.cause == state for state in range(1, width))]
    counted = [events_by(h, of, times, weight_kind) for of in ends]
    counts = h.weight if weight_kind == "frequency" else np.ones(len(h.exit))
    return _Reading(
        float(h.exit.max(initial=-np.inf)),
        estimate.ravel(),
        cluster_influence(found, derivatives, n_clusters, weight_kind),
        np.repeat(late, width),
        np.column_stack([n_events for n_events, _ in counted]).ravel(),
        np.column_stack([with_event for _, with_event in counted]).ravel(),
        np.tile([clusters_with(h.cluster, of, counts) for of in ends], len(times)),
        [words for words in stop_notes(found, left, times) for _ in names],
        np.unique(h.cluster),
        np.unique(h.id),
    )


def _contrast(
    one: _Reading,
    other: _Reading,
    term: str,
    reference: str,
    times: FloatArray,
    names: tuple[str, ...],
    confidence: float,
    small_sample: CurveCorrection,
    repeated: bool,
) -> dict[str, Any]:
    """Rows of one group against the reference: day by day, outcome by outcome, the difference and then the ratio."""
    lost = one.beyond | other.beyond
    a, b = np.where(lost, np.nan, one.estimate), np.where(lost, np.nan, other.estimate)
    positive = (a > 0) & (b > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.where(positive, np.log(a) - np.log(b), np.nan)
        relative = one.influence / a - other.influence / b
    # A single cluster cannot vary: without the other's error this would pass for none.
    known = np.where(lost | (min(len(one.clusters), len(other.clusters)) < 2), np.nan, 1.0)
    error = _error((one.influence - other.influence) * known, np.maximum(np.abs(a), np.abs(b)))
    log_error = _error(np.where(positive, relative, np.nan) * known, np.ones(len(a)))
    together = distinct(np.concatenate([one.clusters, other.clusters]))
    n_units = distinct(np.concatenate([one.units, other.units]))
    df = log_df = None
    if small_sample == "auto" and (repeated or together < n_units):
        own = [np.square(group.influence).sum(axis=0) for group in (one, other)]
        df = _welch(own, (one, other))
        with np.errstate(divide="ignore", invalid="ignore"):
            log_df = _welch([own[0] / a**2, own[1] / b**2], (one, other))
    difference, z, log_z = a - b, report.quantile(confidence, df), report.quantile(confidence, log_df)
    statistic, log_statistic = difference / error, log_ratio / log_error
    size, width = len(a), len(names)
    nothing = np.full(size, np.nan)
    with np.errstate(over="ignore"):
        ratio_low, ratio_high = np.exp(log_ratio - log_z * log_error), np.exp(log_ratio + log_z * log_error)
    still = np.isnan(error) & ~np.isnan(known)
    notes = [_notes(one, other, term, reference, q, bool(still[q]), df is not None) for q in range(size)]
    zeros = [_zeros(a[q], b[q], term, reference) for q in range(size)]

    def paired(first: Any, second: Any) -> Any:
        return np.column_stack([first, second]).ravel()

    def twice(values: Any) -> Any:
        return np.repeat(values, 2)

    return {
        "outcome": twice(np.tile(np.array(names, dtype=object), len(times))),
        "term": np.full(2 * size, term, dtype=object),
        "time": twice(np.repeat(times, width)),
        "measure": np.tile(np.array(["difference", "ratio"], dtype=object), size),
        "n_patients": np.full(2 * size, together),
        "n_units": np.full(2 * size, n_units),
        "n_events": twice(one.n_events + other.n_events),
        "estimate": paired(difference, np.exp(log_ratio)),
        "conf_low": paired(difference - z * error, ratio_low),
        "conf_high": paired(difference + z * error, ratio_high),
        "coef": paired(nothing, log_ratio),
        "std_error": paired(error, log_error),
        "statistic": paired(statistic, log_statistic),
        "df": nothing.repeat(2) if df is None else paired(df, log_df),
        "p_value": paired(report.two_sided(statistic, df), report.two_sided(log_statistic, log_df)),
        "group_estimate": twice(a),
        "reference_estimate": twice(b),
        "note": paired(
            np.array(notes, dtype=object),
            np.array(["; ".join(filter(None, pair)) for pair in zip(zeros, notes, strict=True)], dtype=object),
        ),
    }


def _welch(variance: Sequence[FloatArray], groups: tuple[_Reading, _Reading]) -> FloatArray:
    """(Q,) degrees of freedom of a contrast: those of the two groups, each as much as its variance weighs in it.

    A group whose events come from one cluster, or that has none, does not say how its clusters vary: there are none.
    """
    each = [np.where(group.ever > 1, group.ever - 1.0, np.nan) for group in groups]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = variance[0] ** 2 / each[0] + variance[1] ** 2 / each[1]
        return np.asarray((variance[0] + variance[1]) ** 2 / spread, dtype=np.float64)


def _error(influence: FloatArray, scale: FloatArray) -> FloatArray:
    """(Q,) root of the summed squares; missing where it is rounding alone, and nothing has varied."""
    error = np.sqrt((influence**2).sum(axis=0))
    return np.where(error > 1e-12 * scale, error, np.nan)


def _zeros(a: float, b: float, term: str, reference: str) -> str:
    at_zero = [name for name, value in ((term, a), (reference, b)) if value <= 0]
    return f"no ratio: zero in {' and '.join(at_zero)}" if at_zero else ""


def _notes(one: _Reading, other: _Reading, term: str, reference: str, q: int, still: bool, from_t: bool) -> str:
    said = [NOTHING_VARIED] if still else []
    for name, read in ((term, one), (reference, other)):
        words = [after_follow_up(read.last_day)] if read.beyond[q] else []
        words += read.stopped[q]
        if not read.n_events[q]:
            without = from_t and read.ever[q] == 0
            words.append("no event: no interval" if without else "no event, so counted as without error")
        freedom = float(read.ever[q]) - 1.0 if from_t else np.nan
        words += report.robust_notes(
            float(read.n_events[q]), len(read.clusters), int(read.with_event[q]), True, df=freedom
        )
        if words:
            said.append(f"{name}: {', '.join(words)}")
    return "; ".join(said)
