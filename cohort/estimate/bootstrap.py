"""Patients are drawn again, whole: what an estimator would have said had other patients come.

A draw takes as many patients as there are, with replacement, with all their rows; a patient drawn twice is two
patients. Any estimator of rows that returns Estimates can be asked, since rows of its frame are found again in those of
each draw by what they are of. Limits are percentiles of the draws, or those percentiles moved for bias and for an error
that changes with the estimate (BCa, Efron 1987, J Am Stat Assoc 82:171), interpolated as R's `boot::boot.ci`.

A draw that has no event, or no estimate, is counted and said. Percentiles of few patients with an event are too narrow,
as the sandwich is: the corrections of `small_sample` come first, and this where there is no other error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of
from cohort.tables.results import ESTIMATE_COLUMNS, Estimates

Interval = Literal["bca", "percentile"]
KEYS = ESTIMATE_COLUMNS[: ESTIMATE_COLUMNS.index("measure") + 1]
LEFT_OUT = 200  # sets of patients left out in turn, at most, for the acceleration of BCa
MODEL_BASED = ("naive_std_error", "statistic", "df", "p_value", "interval")


def bootstrap(
    estimator: Callable[..., Estimates],
    rows: pd.DataFrame,
    *,
    cluster: str,
    seed: int,
    repeats: int = 500,
    interval: Interval = "bca",
    id: str | None = None,
    key: Sequence[str] | None = None,
    confidence: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Estimates:
    """Limits of an estimator by drawing patients again.

    estimator : called as `estimator(rows, cluster=cluster, **options)`, and with id where it is named; in the draws
        without correction for small samples. Curves need `at=`, so that every draw is read on the same days.
    rows : all rows of each patient (`cluster`); id : their units, numbered anew for each time a patient is drawn.
    key : columns that tell the rows of the frame apart, if they are not those of a canonical frame and those of `rows`.
    progress : called with the fits made and the fits to make.

    Returns the frame of the estimator with conf_low and conf_high of the draws, std_error their standard deviation (of
    the log where there is a `coef`), n_draws (with an estimate), n_draws_without_event (where the frame counts events),
    and note; what rested on the estimator's own error is left out. Where more draws than the confidence leaves outside
    have no estimate there are no limits. The same seed gives the same draws, in whatever order the rows stand.
    Raises EstimationError for frequency weights (repeat the rows first) and for rows of the frame that look alike.

    >>> from cohort.estimate.rates import rate_by
    >>> days = pd.DataFrame({"patient": range(40), "events": [1, 0, 0, 0] * 10, "days": 365.25})
    >>> result = bootstrap(rate_by, days, cluster="patient", seed=1, events="events", person_days="days").frame
    >>> result[["estimate", "n_draws"]].values.tolist()
    [[0.25, 500.0]]
    """
    fewest = int(np.ceil(2.0 / (1.0 - confidence)))
    if repeats < fewest:
        raise EstimationError(f"{repeats} draws cannot give limits of {confidence:.0%}; draw at least {fewest} times.")
    if interval not in ("bca", "percentile"):
        raise EstimationError(f"interval must be bca or percentile, and is {interval!r}.")
    if options.get("weight_kind") == "frequency":
        raise EstimationError(
            "Rows with frequency weights stand for several patients; repeat them, each copy a patient of its own, and "
            "draw then."
        )
    codes = codes_of(rows, cluster, "the cluster")
    units = codes_of(rows, id, "the id")
    if codes is None:
        raise EstimationError("Name the cluster: it is patients that are drawn.")
    n_patients = int(codes.max(initial=-1)) + 1
    named = {"cluster": cluster, **({} if id is None else {"id": id})}
    whole = estimator(rows, **named, **options)
    plain = options
    if "small_sample" in inspect.signature(estimator).parameters:
        plain = {**options, "small_sample": "none"}
    keys = _keys(whole.frame, rows, key)
    wanted = pd.MultiIndex.from_frame(whole.frame[keys].astype(object))
    logged = "coef" in whole.frame.columns and not (whole.frame["estimate"] < 0).any()
    n_sets = min(n_patients, LEFT_OUT) if interval == "bca" else 0
    to_make = repeats + n_sets

    def read(chosen: IntArray, drawn: int) -> tuple[FloatArray, FloatArray]:
        result = np.full(len(wanted), np.nan), np.full(len(wanted), np.nan)
        try:
            found = estimator(_draw(rows, order, sizes, units, chosen, cluster, id), **named, **plain)
            result = _aligned(found, whole, keys, wanted, logged)
        except EstimationError:
            pass  # what these patients cannot give is missing, and counted
        if progress is not None:
            progress(drawn, to_make)
        return result

    order, sizes = np.argsort(codes, kind="stable"), np.bincount(codes)
    draws, events = np.empty((repeats, len(wanted))), np.empty((repeats, len(wanted)))
    for b in range(repeats):
        chosen = np.random.default_rng([seed, b]).integers(0, max(n_patients, 1), n_patients)
        draws[b], events[b] = read(chosen, b + 1)
    sets = np.random.default_rng([seed, repeats]).permutation(n_patients) % max(n_sets, 1)
    left_out = np.array([read(np.flatnonzero(sets != s), repeats + s + 1)[0] for s in range(n_sets)])
    own = _scaled(whole.frame["estimate"].to_numpy(np.float64), logged)
    columns: dict[str, Any] = {
        name: whole.frame[name].to_numpy() for name in whole.frame.columns if name in keys or name not in MODEL_BASED
    }
    columns |= _read(draws, own if n_patients > 1 else own * np.nan, left_out if n_sets else None, confidence, logged)
    columns["n_draws"] = (~np.isnan(draws)).sum(axis=0)
    if "n_events" in whole.frame.columns:
        columns["n_draws_without_event"] = (events == 0).sum(axis=0)
    columns["note"] = _notes(columns, draws, events, n_patients, confidence)
    return report.estimates(
        columns,
        {
            **whole.settings,
            "variance": "patients drawn again, whole",
            "interval": "BCa of draws" if interval == "bca" else "percentiles of draws",
            "confidence": confidence,
            "repeats": repeats,
            "seed": seed,
        },
    )


def _draw(
    rows: pd.DataFrame,
    order: IntArray,
    sizes: IntArray,
    units: IntArray | None,
    chosen: IntArray,
    cluster: str,
    id_: str | None,
) -> pd.DataFrame:
    """The rows of the patients chosen, each time as a patient and units of their own.

    order : rows by patient; sizes : how many each has.
    """
    starts = (np.cumsum(sizes) - sizes)[chosen]
    lengths = sizes[chosen]
    turn = np.repeat(np.arange(len(chosen)), lengths)
    index = order[np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(len(turn))]
    result = rows.take(index).reset_index(drop=True).assign(**{cluster: turn})
    if id_ is not None and units is not None and id_ != cluster:
        result[id_] = turn * (int(units.max(initial=0)) + 1) + units[index]
    return result


def _keys(frame: pd.DataFrame, rows: pd.DataFrame, key: Sequence[str] | None) -> list[str]:
    keys = list(key) if key is not None else [name for name in KEYS if name in frame.columns]
    if key is None:
        keys += [name for name in frame.columns if name in rows.columns and name not in ESTIMATE_COLUMNS]
        more = [name for name in frame.columns if name not in keys and name != "note" and frame[name].dtype == object]
        while more and frame.duplicated(keys).any():
            keys.append(more.pop(0))
    if frame.duplicated(keys).any():
        raise EstimationError(
            f"Several rows of the estimator have the same {', '.join(keys)}; name in key= the columns that tell its "
            "rows apart."
        )
    return keys


def _scaled(values: FloatArray, logged: bool) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) if logged else values


def _aligned(
    found: Estimates, whole: Estimates, keys: list[str], wanted: pd.MultiIndex, logged: bool
) -> tuple[FloatArray, FloatArray]:
    """Estimates of a draw, and events, in the order of the whole; missing where the draw has no such row."""
    frame = found.frame
    place = pd.MultiIndex.from_frame(frame[keys].astype(object)).get_indexer(wanted)
    there = place >= 0
    # A draw without the reference category compares with another one: that is another question.
    there &= bool(found.settings.get("reference") == whole.settings.get("reference"))
    result, events = np.full(len(wanted), np.nan), np.full(len(wanted), np.nan)
    result[there] = _scaled(frame["estimate"].to_numpy(np.float64), logged)[place[there]]
    if "n_events" in frame.columns:
        events[there] = frame["n_events"].to_numpy(np.float64)[place[there]]
    return result, events


def _read(
    draws: FloatArray, own: FloatArray, left_out: FloatArray | None, confidence: float, logged: bool
) -> dict[str, FloatArray]:
    size = draws.shape[1]
    low, high, error = np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.nan)
    for j in range(size):
        known = draws[~np.isnan(draws[:, j]), j]
        finite = known[np.isfinite(known)]
        error[j] = finite.std(ddof=1) if len(finite) > 1 else np.nan
        if np.isnan(own[j]) or len(known) < confidence * len(draws) or len(known) < 2:
            continue
        levels = np.array([(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
        if left_out is not None:
            levels = bca_levels(known, own[j], left_out[:, j], levels)
        low[j], high[j] = percentiles(known, levels)
    back = np.exp if logged else np.asarray
    with np.errstate(over="ignore"):
        return {"conf_low": back(low), "conf_high": back(high), "std_error": error}


def bca_levels(draws: FloatArray, own: float, left_out: FloatArray, levels: FloatArray) -> FloatArray:
    """Levels moved for bias and acceleration; unmoved where the draws lie on one side of the estimate `own`.

    draws : (B,); left_out : (S,), the estimate without each set of patients in turn.

    >>> levels, left_out = np.array([0.025, 0.975]), np.array([49.0, 50.0, 51.0])
    >>> bca_levels(np.arange(1.0, 100.0), 50.0, left_out, levels).round(6).tolist()
    [0.025, 0.975]
    """
    below = ((draws < own).sum() + (draws == own).sum() / 2.0) / len(draws)
    known = left_out[np.isfinite(left_out)]
    if not 0.0 < below < 1.0 or not np.isfinite(own) or len(known) < 2:
        return levels
    moved = known.mean() - known
    spread = float((moved**2).sum())
    acceleration = float((moved**3).sum()) / (6.0 * spread**1.5) if spread > 0 else 0.0
    bias = stats.norm.ppf(below)
    place = bias + stats.norm.ppf(levels)
    with np.errstate(divide="ignore"):
        return np.asarray(stats.norm.cdf(bias + place / (1.0 - acceleration * place)))


def percentiles(draws: FloatArray, levels: FloatArray) -> FloatArray:
    """Order statistics at levels of B + 1, between two of them on the scale of normal quantiles.

    >>> percentiles(np.arange(1.0, 40.0), np.array([0.025, 0.5])).tolist()
    [1.0, 20.0]
    """
    ordered = np.sort(draws)
    size = len(ordered)
    place = np.clip((size + 1.0) * levels, 1.0, size)
    under = np.floor(place + 1e-9).astype(np.int64)
    over = np.minimum(under + 1, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        at, before, after = (stats.norm.ppf(k / (size + 1.0)) for k in (place, under, over))
        share = np.where(over > under, (at - before) / np.where(over > under, after - before, 1.0), 0.0)
        low, high = ordered[under - 1], ordered[over - 1]
        between = low + share * (high - low)
    # Between a number and infinity lies infinity; on an order statistic, that one.
    between = np.where(np.isinf(high), high, between)
    return np.where((share <= 1e-9) | np.isinf(low), low, between)


def _notes(
    columns: dict[str, Any], draws: FloatArray, events: FloatArray, n_patients: int, confidence: float
) -> list[str]:
    repeats, notes = len(draws), []
    estimates, own = columns["estimate"].astype(np.float64), columns.get("note")
    for j in range(draws.shape[1]):
        # Why there is no estimate still holds; what was said of an interval was of another one.
        said = [own[j]] if own is not None and own[j] and not (np.isfinite(estimates[j]) and estimates[j] != 0) else []
        without, missing = int((events[:, j] == 0).sum()), int(np.isnan(draws[:, j]).sum())
        endless = int(np.isinf(draws[:, j]).sum())
        if n_patients < 2:
            said.append("one patient: draws cannot differ, no limits")
        if without:
            said.append(f"no event in {without} of {repeats} draws")
        if missing > (1.0 - confidence) * repeats:
            said.append(f"no estimate in {missing} of {repeats} draws: no limits")
        elif missing:
            said.append(f"no estimate in {missing} of {repeats} draws, left out")
        if np.isinf(columns["conf_high"][j]):
            said.append(f"no upper limit: no finite estimate in {endless} of {repeats} draws")
        notes.append("; ".join(said))
    return notes
