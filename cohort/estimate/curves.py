"""Incidence over time: Kaplan-Meier for one kind of event, Aalen-Johansen where events compete.

Death competes with refracture, so the share with a refracture is an Aalen-Johansen incidence; one minus
Kaplan-Meier with deaths censored is a share in a world without death, and too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import Rows, causes, column, distinct, rows_of, zero_one
from cohort.estimate.incidence import Curves, Histories, curves, greenwood, join_splits, standard_errors
from cohort.estimate.kernel import WeightKind
from cohort.estimate.rare_limits import Followed, beta_limits, next_weight
from cohort.estimate.report import CurveCorrection
from cohort.tables.results import Estimates

ConfType = Literal["log-log", "log", "plain"]
CurveConfType = Literal["log-log", "log", "plain", "beta"]
EVENT_FREE = "event_free"


def kaplan_meier(
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
    conf_type: CurveConfType = "log-log",
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
    outcome: str = EVENT_FREE,
) -> Estimates:
    """Share still free of the event, by day.

    Arguments and columns as in `aalen_johansen`; event is 0/1. The standard error is Greenwood's, or the robust one
    (infinitesimal jackknife over clusters) with a cluster or probability weights; `settings["variance"]` says which.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 0, 1, 1]})
    >>> kaplan_meier(days, exit="exit", event="event", at=[2, 3]).frame["estimate"].tolist()
    [0.75, 0.375]
    """
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    happened = zero_one(rows, event, "the event").astype(np.int64)
    robust = cluster is not None or (weight_kind == "probability" and bool((base.weight != 1).any()))
    return _by_group(
        rows, base, happened, (outcome,), by, at, conf_type, weight_kind, confidence, small_sample, "survival", robust,
        id is not None,
    )  # fmt: skip


def aalen_johansen(
    rows: pd.DataFrame,
    *,
    exit: str,
    cause: str,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    at: npt.ArrayLike | None = None,
    conf_type: CurveConfType = "log-log",
    causes_named: Sequence[str] | None = None,
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
) -> Estimates:
    """Cumulative incidence of each cause, and the share free of all, by day.

    rows : one row per unit and interval `(entry, exit]`; the other arguments name its columns.
    cause : 0 censored or split, 1, 2, ... (or a categorical whose first category is 0). causes_named : their names.
    id : rows of one unit; those that touch are one stay. cluster : the patient, for the variance (default: the id).
    by : groups fixed at entry, one curve each. at : days at which to read (default: every day with an event).
    conf_type : "log-log" (as R), "log", "plain"; or "beta" where events are few: limits that hold with any number of
        events, none included, and grow as patients are lost (`rare_limits`).
    small_sample : "auto" takes limits from t where a cluster of the group holds several ids (fewer clusters than ids),
        with as many degrees of freedom (column `df`) as clusters that ever have an event of that outcome, less one;
        events in one cluster then give no limits. "none" keeps to the normal quantile, as R. Beta limits are the same.

    Returns one row per group, day and outcome (event_free, then the causes): estimate, conf_low, conf_high,
    std_error, n_risk (entry < day <= exit; on the first day of entry those who enter), n_events by that day,
    n_patients (clusters), n_units (ids), note. Counts are weighted with frequencies, not with probability weights.
    After the last day of follow-up there is no estimate unless nobody was left free; the note says so.
    Raises EstimationError for a group that changes within an id: a curve needs groups fixed at entry.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4], "cause": [1, 2, 0, 1]})
    >>> aalen_johansen(days, exit="exit", cause="cause", at=[2]).frame["estimate"].tolist()
    [0.5, 0.25, 0.25]
    """
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    what = causes(rows, cause)
    names = named_causes(rows, cause, what, causes_named)
    return _by_group(
        rows,
        base,
        what,
        (EVENT_FREE, *names),
        by,
        at,
        conf_type,
        weight_kind,
        confidence,
        small_sample,
        "cumulative_incidence",
        True,
        id is not None,
    )


def named_causes(rows: pd.DataFrame, cause: str, what: IntArray, names: Sequence[str] | None) -> list[str]:
    """The names of the causes 1, 2, ...: those given, the categories of the column, or the numbers."""
    if names is None and isinstance(rows[cause].dtype, pd.CategoricalDtype):
        names = [str(name) for name in rows[cause].cat.categories[1:]]
    if names is None:
        names = [str(number) for number in range(1, int(what.max(initial=1)) + 1)]
    if int(what.max(initial=0)) > len(names):
        raise EstimationError(
            f"Column '{cause}' holds the cause {int(what.max())}, and only {len(names)} causes are named."
        )
    return list(names)


def quantile_time(survival: Estimates, probability: float = 0.5) -> Estimates:
    """Day by which a share `probability` has had the event, from all steps of `kaplan_meier`, by group.

    Missing where the curve, or its limit, never falls that far. Where the curve is flat at the share the middle of
    the flat part is taken, as R's quantile.survfit does.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 1, 1, 1]})
    >>> quantile_time(kaplan_meier(days, exit="exit", event="event")).frame["estimate"].tolist()
    [2.5]
    """
    rows = []
    for stratum, curve in survival.frame.groupby("stratum", sort=False):
        row: dict[str, Any] = {"stratum": stratum, "measure": f"time to {probability:g}"}
        for name in ("estimate", "conf_low", "conf_high"):
            row[name] = _crossing(curve["time"].to_numpy(), curve[name].to_numpy(), 1.0 - probability)
        rows.append(row)
    columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    return report.estimates(columns, {**survival.settings, "probability": probability})


def _crossing(time: FloatArray, share: FloatArray, level: float) -> float:
    known = ~np.isnan(share)
    time, share = time[known], share[known]
    below = np.flatnonzero(share < level - 1e-12)
    flat = np.flatnonzero(np.abs(share - level) <= 1e-12)
    if len(flat):
        return float((time[flat[0]] + time[below[0]]) / 2.0) if len(below) else float(time[flat[0]])
    return float(time[below[0]]) if len(below) else float("nan")


def _by_group(
    rows: pd.DataFrame,
    base: Rows,
    what: IntArray,
    outcomes: tuple[str, ...],
    by: str | None,
    at: npt.ArrayLike | None,
    conf_type: CurveConfType,
    weight_kind: WeightKind,
    confidence: float,
    small_sample: CurveCorrection,
    measure: str,
    robust: bool,
    has_id: bool,
) -> Estimates:
    if conf_type not in ("log-log", "log", "plain", "beta"):
        raise EstimationError(f"conf_type must be log-log, log, plain or beta, and is {conf_type!r}.")
    refuse_unknown_correction(small_sample)
    labels, group = groups_of(rows, base, by, has_id)
    asked = None if at is None else np.atleast_1d(np.asarray(at, dtype=np.float64))
    parts: list[dict[str, Any]] = []
    for code, label in enumerate(labels):
        mine = (group == code) & (base.weight > 0)
        histories = join_splits(
            Histories(
                base.entry[mine], base.exit[mine], what[mine], base.weight[mine], base.id[mine], base.cluster[mine]
            )
        )
        found = curves(histories, max(len(outcomes) - 1, 1))
        times = found.time if asked is None else asked
        part = _read(found, times, outcomes, measure, robust, weight_kind, conf_type, confidence, small_sample)
        parts.append({"stratum": np.full(len(part["time"]), label, dtype=object), **part})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    settings = {
        "method": "Kaplan-Meier" if measure == "survival" else "Aalen-Johansen",
        "variance": "infinitesimal jackknife, summed over clusters" if robust else "Greenwood",
        "conf_type": conf_type,
        "confidence": confidence,
        "weights": weight_kind,
        "by": by,
    }
    return report.curve_estimates(columns, settings)


def groups_of(rows: pd.DataFrame, base: Rows, by: str | None, has_id: bool) -> tuple[list[str], IntArray]:
    """Names of the groups of column `by` and the group of each row (n,); a curve needs groups fixed within an id."""
    if by is None:
        return [""], np.zeros(len(rows), dtype=np.int64)
    series = column(rows, by, "the groups")
    codes, values = pd.factorize(series, sort=True)
    if (codes < 0).any():
        raise EstimationError(
            f"Column '{by}' (the groups) is missing in {int((codes < 0).sum())} rows; make missing a group of its own "
            "or leave these rows out first."
        )
    if has_id:
        lowest = np.full(int(base.id.max(initial=-1)) + 1, len(values))
        np.minimum.at(lowest, base.id, codes)
        changed = len(np.unique(base.id[codes != lowest[base.id]]))
        if changed:
            raise EstimationError(
                f"'{by}' changes during the follow-up of {changed} units; an incidence curve needs groups fixed at "
                "entry. Compare what changes with time through rates or hazard ratios."
            )
    return [str(value) for value in values], codes.astype(np.int64)


def _read(
    found: Curves,
    times: FloatArray,
    outcomes: tuple[str, ...],
    measure: str,
    robust: bool,
    weight_kind: WeightKind,
    conf_type: CurveConfType,
    confidence: float,
    small_sample: CurveCorrection,
) -> dict[str, Any]:
    """Read the curves at `times`: arrays of len(times) * len(outcomes), time by time."""
    h = found.histories
    steps = found.step(times)
    states = np.column_stack([found.free[steps], found.incidence[steps]])
    if robust:
        errors = standard_errors(found, steps, weight_kind)
    else:
        errors = np.column_stack([greenwood(found)[steps], np.full((len(steps), states.shape[1] - 1), np.nan)])
    if measure == "survival":
        states, errors = states[:, :1], errors[:, :1]
    last = float(h.exit.max(initial=-np.inf))
    beyond = (times > last) & (found.free[-1] > 0)
    states = np.where(beyond[:, None], np.nan, states)
    errors = np.where(beyond[:, None], np.nan, errors)
    counts = h.weight if weight_kind == "frequency" else np.ones(len(h.exit))
    width = len(outcomes)
    had = [h.cause > 0, *(h.cause == state for state in range(1, width))]
    df: FloatArray | None = None
    if conf_type == "beta":
        low, high = _rare_limits(found, times, states, errors, weight_kind, confidence)
    else:
        df = limits_df(h.cluster, h.id, had, counts, small_sample)
        low, high = limits(states, errors, conf_type, confidence, df)

    n_events = np.zeros((len(times), width))
    for state in range(width):
        n_events[:, state] = _up_to(h.exit[had[state]], counts[had[state]], times, "right")
    notes = np.repeat(_notes(found, times, beyond, last)[:, None], width, axis=1)
    unseen = (n_events == 0) & (~beyond & (times > _start(h)))[:, None]
    if conf_type != "beta" and unseen.any():
        said = f'no event: no interval from {conf_type}; conf_type="beta" gives the share with an event an upper limit'
        notes[unseen] = [f"{note}; {said}" if note else said for note in notes[unseen]]
    if df is not None:
        alone = (n_events > 0) & ~beyond[:, None] & (df == 0)
        notes[alone] = ["; ".join(filter(None, (note, report.ONE_CLUSTER))) for note in notes[alone]]
    return {
        "outcome": np.tile(np.array(outcomes, dtype=object), len(times)),
        "time": np.repeat(times, width),
        "measure": np.full(len(times) * width, measure, dtype=object),
        "n_patients": np.full(len(times) * width, distinct(h.cluster)),
        "n_units": np.full(len(times) * width, distinct(h.id)),
        "n_events": n_events.ravel(),
        "n_risk": np.repeat(at_risk(h.entry, h.exit, counts, times), width),
        "estimate": states.ravel(),
        "conf_low": low.ravel(),
        "conf_high": high.ravel(),
        "std_error": errors.ravel(),
        "df": of_rows(df, len(times), width),
        "note": notes.ravel(),
    }


def _rare_limits(
    found: Curves,
    times: FloatArray,
    states: FloatArray,
    errors: FloatArray,
    weight_kind: WeightKind,
    confidence: float,
) -> tuple[FloatArray, FloatArray]:
    """Beta limits of the event-free share, from those of its complement, and of the incidences: (T, 1 + J)."""
    h = found.histories
    weight, copies = h.weight, np.ones(len(h.exit))
    if weight_kind == "frequency":
        weight, copies = copies, h.weight  # each row so many patients, and not one that weighs more
    whose, first = np.unique(h.cluster, return_index=True)
    own, many = np.bincount(np.searchsorted(whose, h.cluster), weight, minlength=len(whose)), copies[first]
    effective = float((many @ own) ** 2 / max(float(many @ own**2), 1e-300))
    followed = Followed.of(h.entry, h.exit, weight, h.cluster, copies)
    next_one = next_weight(followed, found.time, found.free, times)[:, None]
    share = np.column_stack([1.0 - states[:, 0], states[:, 1:]])
    low, high = beta_limits(share, errors**2, next_one, effective, float(copies.sum()), float(many.sum()), confidence)
    low, high = np.where(times[:, None] > _start(h), (low, high), share)  # before the first day nothing can happen
    return np.column_stack([1.0 - high[:, 0], low[:, 1:]]), np.column_stack([1.0 - low[:, 0], high[:, 1:]])


def _start(histories: Histories) -> float:
    """The day until which nobody has been at risk: the first entry, else day 0 if all leave after it."""
    first = float(histories.entry.min(initial=np.inf))
    if np.isfinite(first):
        return first
    return 0.0 if (histories.exit > 0).all() else -np.inf


def at_risk(entry: FloatArray, exit_: FloatArray, counts: FloatArray, times: FloatArray) -> FloatArray:
    """Counted number with entry < time <= exit; at the first entry of all, those who enter then: (T,).

    >>> at_risk(np.array([0.0, 0.0, 3.0]), np.array([2.0, 9.0, 9.0]), np.ones(3), np.array([0.0, 2.0, 4.0])).tolist()
    [2.0, 2.0, 2.0]
    """
    result = _up_to(entry, counts, times, "left") - _up_to(exit_, counts, times, "left")
    opening = float(entry.min(initial=np.inf))
    return np.where(times == opening, counts[entry == opening].sum(), result)


def _up_to(days: FloatArray, counts: FloatArray, times: FloatArray, side: Literal["left", "right"]) -> FloatArray:
    order = np.argsort(days, kind="stable")
    total = np.append(0.0, np.cumsum(counts[order]))
    result: FloatArray = total[np.searchsorted(days[order], times, side=side)]
    return result


def refuse_unknown_correction(small_sample: str) -> None:
    """Refuse a word that names no correction of the limits of curves."""
    if small_sample not in ("auto", "none"):
        raise EstimationError(f"small_sample must be auto or none, and is {small_sample!r}.")


def limits_df(
    cluster: IntArray,
    unit: IntArray,
    had: Sequence[BoolArray],
    counts: FloatArray,
    small_sample: CurveCorrection,
    repeated: bool = False,
) -> FloatArray | None:
    """(S,) degrees of freedom of t for the limits of S outcomes of one group, or None for the normal quantile.

    A cluster brings its vertebrae, and `repeated` its events, together: the variance is then learnt from as many
    pieces as clusters with an event, and the normal limits are too narrow where these are few. With one event at most
    in each, nothing changes.
    cluster, unit : (n,) codes. had : (n,) for each outcome, the rows that end in it. counts : (n,) how many clusters
    the cluster of a row stands for.

    >>> patient, vertebra = np.array([0, 0, 1, 2]), np.arange(4)
    >>> limits_df(patient, vertebra, [np.array([True, True, True, False])], np.ones(4), "auto").tolist()
    [1.0]
    >>> limits_df(vertebra, vertebra, [np.array([True, True, True, False])], np.ones(4), "auto") is None
    True
    """
    if small_sample == "none" or not (repeated or distinct(cluster) < distinct(unit)):
        return None
    return np.array([clusters_with(cluster, of, counts) - 1.0 for of in had])


def clusters_with(cluster: IntArray, of: BoolArray, counts: FloatArray) -> float:
    """How many clusters have a row among those `of`: each as many as it stands for."""
    first = np.unique(cluster[of], return_index=True)[1]
    return float(counts[of][first].sum())


def of_rows(df: FloatArray | None, n_times: int, width: int) -> FloatArray:
    """The column `df` of n_times x width rows, day by day; NaN where limits are normal."""
    return np.tile(np.full(width, np.nan) if df is None else df, n_times)


def limits(
    share: FloatArray, std_error: FloatArray, conf_type: ConfType, confidence: float, df: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Confidence limits of a share within 0 and 1; missing where the scale has none (a share of 0, log-log at 1).

    df : degrees of freedom of t in the place of the normal quantile, of the shape of the share or its last axis.

    >>> low, high = limits(np.array([0.5]), np.array([0.1]), "plain", 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.304, 0.696)
    """
    z = report.quantile(confidence, df)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if conf_type == "plain":
            low, high = share - z * std_error, share + z * std_error
        elif conf_type == "log":
            low, high = share * np.exp(-z * std_error / share), share * np.exp(z * std_error / share)
        else:
            middle, reach = np.log(-np.log(share)), z * std_error / (share * np.abs(np.log(share)))
            low, high = np.exp(-np.exp(middle + reach)), np.exp(-np.exp(middle - reach))
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def _notes(found: Curves, times: FloatArray, beyond: BoolArray, last: float) -> npt.NDArray[np.object_]:
    notes = np.full(len(times), "", dtype=object)
    emptied = np.flatnonzero((found.at_risk == found.events) & (found.free[1:] == 0))
    if len(emptied) and (found.sets.first > emptied[0]).any():
        day = found.time[emptied[0]]
        notes[times >= day] = (
            f"all at risk on day {day:g} had an event while others were still to enter: the curve stops there"
        )
    notes[beyond] = f"after the last day of follow-up (day {last:g})"
    return notes
