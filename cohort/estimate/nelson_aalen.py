"""Nelson-Aalen: the cumulative hazard is the sum of events per patient at risk, day by day.

It has no ceiling and is no probability: at one it says that a patient kept at risk has one event on average.
Kaplan-Meier and exp(-cumulative hazard) agree where few of those at risk have the event on one day.

Ties: each day's events over all at risk (Nelson 1972; Aalen 1978), or one after the other, as if they had happened in
turn during the day (Fleming and Harrington 1984): the hazards of Efron's Cox model without covariates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.curves import at_risk, groups_of, limits_df, of_rows, refuse_unknown_correction
from cohort.estimate.design import Rows, distinct, refuse_uneven_frequencies, rows_of, zero_one
from cohort.estimate.incidence import (
    Curves,
    Derivative,
    Histories,
    curves_by_group,
    events_by,
    influence_errors,
)
from cohort.estimate.kernel import WeightKind
from cohort.estimate.report import CurveCorrection
from cohort.tables.results import Estimates

PositiveConfType = Literal["log", "plain"]
HazardTies = Literal["breslow", "efron"]
NOTHING_VARIED = "no patient moves the estimate: no interval"


def nelson_aalen(
    rows: pd.DataFrame,
    *,
    exit: str,
    event: str,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    at: npt.ArrayLike | None = None,
    ties: HazardTies = "breslow",
    conf_type: PositiveConfType = "log",
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
    outcome: str = "",
) -> Estimates:
    """Cumulative hazard of the event, by day.

    Arguments as in `kaplan_meier`. A unit may have several events, each ending a row: then it is the mean number of
    events of a unit that stays at risk (death censored; `mean_cumulative_count` lets it compete).
    small_sample : limits from t where a cluster holds several ids, as there, or never ("none").
    ties : "breslow", d / Y for d events on one day; "efron", 1 / Y + 1 / (Y - 1) + ..., R's `survfit(ctype = 2)`.

    Returns one row per group and day, measure "cumulative_hazard" (events per unit, no share): estimate, conf_low,
    conf_high, std_error, n_risk, n_events by that day, n_patients, n_units, note. The standard error is
    sqrt(sum d / Y^2), R's `std.chaz`, or the robust one (infinitesimal jackknife over clusters, default the id) with a
    cluster, probability weights or an id with several events; `settings["variance"]` says which. After the last day
    of follow-up there is no estimate.
    Raises EstimationError for a group that changes within an id.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 0, 1, 1]})
    >>> nelson_aalen(days, exit="exit", event="event").frame["estimate"].tolist()
    [0.25, 0.75, 1.75]
    """
    if ties not in ("breslow", "efron"):
        raise EstimationError(f"ties must be breslow or efron, and is {ties!r}.")
    refuse_unknown_correction(small_sample)
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    happened = zero_one(rows, event, "the event").astype(np.int64)
    weighted = weight_kind == "probability" and bool((base.weight != 1).any())
    again = int(np.bincount(base.id[happened == 1]).max(initial=0)) > 1  # one event may bring the next: no Poisson
    robust = cluster is not None or weighted or again
    labels, group = groups_of(rows, base, by, id is not None)
    parts = []
    for label, found in zip(labels, curves_of(base, happened, group, len(labels), 1, weight_kind), strict=True):
        times = found.time if at is None else days(at)
        steps, (jump, derivative) = found.step(times), hazard_jumps(found, ties, weight_kind)
        if robust:
            errors = influence_errors(found, _until(derivative, steps), weight_kind)
        else:
            errors = np.append(0.0, np.sqrt(np.cumsum(derivative.by_risk)))[steps]
        parts.append(
            one_curve(
                found,
                found.histories.cause == 1,
                times,
                np.append(0.0, np.cumsum(jump))[steps],
                errors,
                said=[[] for _ in times],
                beyond=times > found.histories.exit.max(initial=-np.inf),
                common={"stratum": label, "outcome": outcome, "measure": "cumulative_hazard"},
                conf_type=conf_type,
                weight_kind=weight_kind,
                confidence=confidence,
                clustered=robust,
                small_sample=small_sample,
            )
        )
    settings = {
        "method": "Nelson-Aalen" if ties == "breslow" else "Nelson-Aalen (Fleming-Harrington ties)",
        "ties": ties,
        "variance": "infinitesimal jackknife, summed over clusters" if robust else "sum of d / Y^2",
        "conf_type": conf_type,
        "confidence": confidence,
        "weights": weight_kind,
        "by": by,
    }
    return report.curve_estimates(stacked(parts), settings)


def hazard_jumps(found: Curves, ties: HazardTies, weight_kind: WeightKind) -> tuple[FloatArray, Derivative]:
    """The jump of the cumulative hazard at each event time (K,), and how a row's weight moves it.

    `by_risk` is also the jump of the model-based variance where weights are 1 or frequencies.
    """
    h, size = found.histories, len(found.time)
    rows = np.flatnonzero(h.cause > 0)
    tied = np.bincount(found.sets.at_event[rows], minlength=size).astype(np.int64)
    if weight_kind == "frequency":
        tied = np.rint(found.events).astype(np.int64)
    if ties == "breslow":
        tied = np.ones(size, dtype=np.int64)
    index = np.repeat(np.arange(size), tied)
    gone = (np.arange(len(index)) - np.repeat(np.cumsum(tied) - tied, tied)) / tied[index]
    left = found.at_risk[index] - gone * found.events[index]
    terms = (found.events / tied)[index] / left

    def by_time(values: FloatArray) -> FloatArray:
        return np.bincount(index, values, minlength=size).astype(np.float64)

    jump = by_time(terms)
    # More weight on a tied event also thins those left for the events after it.
    return jump, Derivative((jump / found.events + by_time(gone * terms / left))[:, None], by_time(terms / left))


def _until(derivative: Derivative, steps: IntArray) -> Iterator[Derivative]:
    size = len(derivative.by_risk)
    for step in steps:
        passed = np.arange(size) < step
        yield Derivative(derivative.by_event * passed[:, None], derivative.by_risk * passed)


def curves_of(
    base: Rows, cause: IntArray, group: IntArray, n_groups: int, n_causes: int, weight_kind: WeightKind
) -> list[Curves]:
    """The curves of each group of checked rows."""
    refuse_uneven_frequencies(base.weight, base.cluster, weight_kind)
    histories = Histories(base.entry, base.exit, cause, base.weight, base.id, base.cluster)
    return curves_by_group(histories, group, n_groups, n_causes)


def days(at: npt.ArrayLike) -> FloatArray:
    """The days asked for, as an array (T,)."""
    result = np.atleast_1d(np.asarray(at, dtype=np.float64))
    if not np.isfinite(result).all():
        raise EstimationError(f"{int((~np.isfinite(result)).sum())} of the days asked for are missing or infinite.")
    return result


def one_curve(
    found: Curves,
    of: BoolArray,
    times: FloatArray,
    estimate: FloatArray,
    std_error: FloatArray,
    *,
    beyond: BoolArray,
    said: list[list[str]],
    common: dict[str, str],
    conf_type: PositiveConfType,
    weight_kind: WeightKind,
    confidence: float,
    clustered: bool,
    small_sample: CurveCorrection,
    repeated: bool = False,
) -> dict[str, Any]:
    """Columns of one curve at `times` (T,): estimate and error where there is follow-up, limits, counts and notes.

    of : (n,), the histories that end in an event that this curve counts; beyond : (T,), days without an estimate;
    said : (T,), words to note beside each day; repeated : limits from t even where each cluster holds one unit.
    """
    h, size = found.histories, len(times)
    estimate, std_error = np.where(beyond, np.nan, estimate), np.where(beyond, np.nan, std_error)
    counts = h.weight if weight_kind == "frequency" else np.ones(len(h.exit))
    df = limits_df(h.cluster, h.id, [of], counts, small_sample, repeated)
    low, high = positive_limits(estimate, std_error, conf_type, confidence, df)
    n_events, with_event = events_by(h, of, times, weight_kind)
    n_patients, last, freedom = distinct(h.cluster), h.exit.max(initial=-np.inf), of_rows(df, size, 1)
    notes = [
        "; ".join(
            ([after_follow_up(last)] if late else [])
            + words
            + ([NOTHING_VARIED] if still else [])
            + report.robust_notes(float(events), n_patients, int(clusters), clustered, df=of_t)
        )
        for late, words, still, events, clusters, of_t in zip(
            beyond, said, unvaried(estimate, std_error), n_events, with_event, freedom, strict=True
        )
    ]
    return {
        **{name: np.full(size, value, dtype=object) for name, value in common.items()},
        "time": times,
        "n_patients": np.full(size, n_patients),
        "n_units": np.full(size, distinct(h.id)),
        "n_events": n_events,
        "n_risk": at_risk(h.entry, h.exit, counts, times),
        "estimate": estimate,
        "conf_low": low,
        "conf_high": high,
        "std_error": std_error,
        "df": freedom,
        "note": np.array(notes, dtype=object),
    }


def after_follow_up(last: float) -> str:
    """The words beside a day without an estimate."""
    return f"after the last day of follow-up (day {last:g})" if np.isfinite(last) else "nobody was followed"


def stop_notes(found: Curves, left: FloatArray, times: FloatArray) -> list[list[str]]:
    """Words for each of `times` (T,) on or after the day when nobody was left while others were still to enter.

    left : (K + 1,), the share left after each event time.
    """
    emptied = np.flatnonzero(left[1:] == 0)
    if not len(emptied) or not (found.sets.first > emptied[0]).any():
        return [[] for _ in times]
    day = found.time[emptied[0]]
    words = f"nobody was left after day {day:g} while others were still to enter: the curve stops there"
    return [[words] if time >= day else [] for time in times]


def positive_limits(
    estimate: FloatArray,
    std_error: FloatArray,
    conf_type: PositiveConfType,
    confidence: float,
    df: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Confidence limits of what cannot be negative; missing where nothing has varied (an estimate of zero).

    df : degrees of freedom of t in the place of the normal quantile, of the shape of the estimate or its last axis.

    >>> low, high = positive_limits(np.array([1.0, 0.0]), np.array([0.5, 0.0]), "log", 0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.375, nan], [2.664, nan])
    """
    if conf_type not in ("log", "plain"):
        raise EstimationError(f"conf_type must be log or plain, and is {conf_type!r}.")
    reach = report.quantile(confidence, df) * np.where(unvaried(estimate, std_error), np.nan, std_error)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if conf_type == "plain":
            return np.maximum(estimate - reach, 0.0), estimate + reach
        usable = np.where(estimate > 0, estimate, np.nan)
        return usable * np.exp(-reach / usable), usable * np.exp(reach / usable)


def unvaried(estimate: FloatArray, std_error: FloatArray) -> BoolArray:
    """Where the standard error is zero, or rounding alone: no patient moves the estimate."""
    result: BoolArray = std_error <= 1e-12 * np.abs(estimate)
    return result


def stacked(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns of all groups, one group after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
