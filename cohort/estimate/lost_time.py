"""Time lost: of the days up to a horizon, how many are spent free of any event and how many after each first event.

The areas under the curves of Aalen and Johansen: days free (the restricted mean time, RMST) and days lost to each
cause (Andersen 2013, Statistics in Medicine 32:5278) add up to the horizon, as the shares add to one on each day.
A day after a refracture is lost to refracture even when the patient dies later: the first event decides.

Variance: the infinitesimal jackknife summed over clusters, of the whole area at once. Without clusters, weights and
late entry it is Greenwood's, as R's `print(survfit, rmean=)` has it; with several causes it is R's as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.curves import (
    EVENT_FREE,
    at_risk,
    groups_of,
    limits_df,
    named_causes,
    of_rows,
    refuse_unknown_correction,
)
from cohort.estimate.design import causes, distinct, rows_of
from cohort.estimate.incidence import Curves, Derivative, events_by, gradient, influence_errors, through_hazards
from cohort.estimate.kernel import WeightKind
from cohort.estimate.nelson_aalen import (
    NOTHING_VARIED,
    PositiveConfType,
    after_follow_up,
    curves_of,
    days,
    positive_limits,
    stacked,
    stop_notes,
    unvaried,
)
from cohort.estimate.report import CurveCorrection
from cohort.tables.results import Estimates


def time_lost(
    rows: pd.DataFrame,
    *,
    exit: str,
    cause: str,
    horizon: npt.ArrayLike,
    start: float = 0.0,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    conf_type: PositiveConfType = "log",
    causes_named: Sequence[str] | None = None,
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
) -> Estimates:
    """Mean days free of any event, and mean days lost to each cause, from `start` to `horizon`.

    Arguments as in `aalen_johansen`. horizon : the last day, or several. start : the day from which days are counted.
    The curves begin with the first entry: if nobody was at risk on the first days, all are taken as free until then,
    and the note says so.
    conf_type : "log", or "plain", which does not reach far enough up where few have had the event.
    small_sample : limits from t where a cluster holds several ids, or never ("none"), as in `aalen_johansen`.

    Returns one row per group, horizon and outcome (event_free, then the causes), `time` the horizon, `unit` days,
    measure "time_free" or "time_lost": estimate, conf_low, conf_high (within 0 and the days there are), std_error,
    n_risk at the horizon, n_events by it, n_patients, n_units, note. The estimates of a horizon add up to it, less
    `start`. A horizon after the last day of follow-up has no estimate unless nobody was left free: the curve is not
    carried on (R carries it).
    Raises EstimationError for a horizon not after `start`, and a group that changes within an id.

    >>> rows = pd.DataFrame({"exit": [1, 2, 3, 4], "cause": [1, 2, 0, 1]})
    >>> time_lost(rows, exit="exit", cause="cause", horizon=3).frame["estimate"].tolist()
    [2.25, 0.5, 0.25]
    """
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    what = causes(rows, cause)
    outcomes = (EVENT_FREE, *named_causes(rows, cause, what, causes_named))
    horizons = checked_horizons(horizon, start)
    refuse_unknown_correction(small_sample)
    labels, group = groups_of(rows, base, by, id is not None)
    parts = [
        {"stratum": np.full(len(part["time"]), label, dtype=object), **part}
        for label, found in zip(
            labels, curves_of(base, what, group, len(labels), max(len(outcomes) - 1, 1), weight_kind), strict=True
        )
        for part in [_read(found, start, horizons, outcomes, conf_type, weight_kind, confidence, small_sample)]
    ]
    settings = {
        "method": "area under Aalen-Johansen",
        "variance": "infinitesimal jackknife, summed over clusters",
        "start": start,
        "conf_type": conf_type,
        "confidence": confidence,
        "weights": weight_kind,
        "by": by,
    }
    return report.curve_estimates(stacked(parts), settings)


def checked_horizons(horizon: npt.ArrayLike, start: float) -> FloatArray:
    """The horizons (T,), all after `start`."""
    result = days(horizon)
    if (result <= start).any():
        raise EstimationError(
            f"The horizon must come after day {start:g}, from which days are counted, and is {result.min():g}."
        )
    return result


def area_readings(found: Curves, start: float, horizons: FloatArray) -> FloatArray:
    """(T, K + 1): how many days between `start` and each horizon are spent on each step of the curve.

    >>> from cohort.estimate.incidence import Histories, curves
    >>> unit = np.arange(2)
    >>> h = Histories(np.full(2, -np.inf), np.array([1.0, 3.0]), np.array([1, 1]), np.ones(2), unit, unit)
    >>> area_readings(curves(h, 1), 0.0, np.array([2.0, 5.0])).tolist()
    [[1.0, 1.0, 0.0], [1.0, 2.0, 2.0]]
    """
    reached = horizons[:, None]
    begin = np.clip(np.append(-np.inf, found.time)[None, :], start, reached)
    end = np.clip(np.append(found.time, np.inf)[None, :], start, reached)
    return end - begin


def read_states(found: Curves, readings: FloatArray, n_states: int) -> FloatArray:
    """(T, n_states): the event-free share and the incidences, read with `readings` (T, K + 1)."""
    states = np.column_stack([found.free, found.incidence])[:, :n_states]
    result: FloatArray = readings @ states
    return result


def state_derivatives(found: Curves, readings: FloatArray, n_states: int) -> Iterator[Derivative]:
    """How weights move each of `read_states`, reading by reading."""
    for reading in readings:
        for state in range(n_states):
            yield through_hazards(found, gradient(found, reading, state))


def unfollowed(found: Curves, times: FloatArray) -> BoolArray:
    """(T,): after the last day of follow-up, with a share still free."""
    result: BoolArray = (times > found.histories.exit.max(initial=-np.inf)) & (found.free[-1] > 0)
    return result


def _read(
    found: Curves,
    start: float,
    horizons: FloatArray,
    outcomes: tuple[str, ...],
    conf_type: PositiveConfType,
    weight_kind: WeightKind,
    confidence: float,
    small_sample: CurveCorrection,
) -> dict[str, Any]:
    h, width = found.histories, len(outcomes)
    readings = area_readings(found, start, horizons)
    beyond = unfollowed(found, horizons)[:, None]
    areas = np.where(beyond, np.nan, read_states(found, readings, width))
    errors = influence_errors(found, state_derivatives(found, readings, width), weight_kind).reshape(-1, width)
    errors = np.where(beyond, np.nan, errors)
    n_patients, counts = distinct(h.cluster), h.weight if weight_kind == "frequency" else np.ones(len(h.exit))
    had = [h.cause > 0, *(h.cause == state for state in range(1, width))]
    df = limits_df(h.cluster, h.id, had, counts, small_sample)
    low, high = positive_limits(areas, errors, conf_type, confidence, df)
    counted = [events_by(h, of, horizons, weight_kind) for of in had]
    freedom = of_rows(df, 1, width)
    stopped = stop_notes(found, found.free, horizons)
    still = unvaried(areas, errors)
    notes = [
        "; ".join(
            _follow_up_notes(found, start, bool(late))
            + stopped[t]
            + ([NOTHING_VARIED] if still[t, state] else [])
            + report.robust_notes(float(n_events[t]), n_patients, int(with_event[t]), True, df=freedom[state])
        )
        for t, late in enumerate(beyond.ravel())
        for state, (n_events, with_event) in enumerate(counted)
    ]
    size = len(horizons) * width
    return {
        "outcome": np.tile(np.array(outcomes, dtype=object), len(horizons)),
        "time": np.repeat(horizons, width),
        "unit": np.full(size, "days", dtype=object),
        "measure": np.tile(np.array(["time_free"] + ["time_lost"] * (width - 1), dtype=object), len(horizons)),
        "n_patients": np.full(size, n_patients),
        "n_units": np.full(size, distinct(h.id)),
        "n_events": np.column_stack([n_events for n_events, _ in counted]).ravel(),
        "n_risk": np.repeat(at_risk(h.entry, h.exit, counts, horizons), width),
        "estimate": areas.ravel(),
        "conf_low": low.ravel(),
        "conf_high": np.minimum(high, horizons[:, None] - start).ravel(),
        "std_error": errors.ravel(),
        "df": of_rows(df, len(horizons), width),
        "note": np.array(notes, dtype=object),
    }


def _follow_up_notes(found: Curves, start: float, beyond: bool) -> list[str]:
    h, said = found.histories, []
    if beyond:
        said.append(after_follow_up(float(h.exit.max(initial=-np.inf))))
    opening = float(h.entry.min(initial=np.inf))
    if start < opening < np.inf:
        said.append(f"nobody was at risk before day {opening:g}: all are taken as free until then")
    return said
