"""Shares in each of several states over time, for patients who pass through them and may come back.

A state is what happened last. Unlike a first-event curve, whoever refractures stays in: the shares say where patients
are on a day, not what had happened to them by then; they add to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.curves import ConfType, at_risk, limits, limits_df, of_rows, refuse_unknown_correction
from cohort.estimate.design import distinct
from cohort.estimate.kernel import WeightKind
from cohort.estimate.occupation import STAYS, mean_times, standard_errors
from cohort.estimate.processes import Group, Initial, Process
from cohort.estimate.rates import rate_by
from cohort.estimate.report import CurveCorrection
from cohort.tables.results import Estimates

PROBABILITY: Final = "state_probability"
MEAN_DAYS: Final = "mean_days_in_state"
SETTINGS: Final = {"method": "Aalen-Johansen", "variance": "infinitesimal jackknife, summed over clusters"}


def state_probabilities(
    rows: pd.DataFrame,
    *,
    exit: str,
    state_from: str,
    state_to: str,
    states: Sequence[str] | None = None,
    initial: Initial = None,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    at: npt.ArrayLike | None = None,
    conf_type: ConfType = "log-log",
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
) -> Estimates:
    """Share of units in each state, by day.

    rows : one row per unit and interval `(entry, exit]`; the other arguments name its columns.
    state_from : the state on the days of the row. state_to : the state entered at exit; missing where follow-up goes on
    or ends without a move. A move into the state left changes no share.
    states : names of the states in order (default: the categories of `state_from`, else the names found, sorted).
    initial : the state in which everybody starts, or the share in each. By default the shares among those at risk at
    the first move, whose uncertainty is then part of the standard errors.
    id : rows of one unit. cluster : the patient, for the variance (default: the id). by : groups fixed at entry. at :
    days at which to read (default: every day with a move).
    small_sample : "auto" takes limits from t where a cluster of the group holds several ids, with as many degrees of
    freedom (column `df`) as clusters that ever move into the state or out of it, less one. "none": normal.

    Returns one row per group, day and state: estimate, conf_low, conf_high, std_error, n_risk (in that state, entry <
    day <= exit; on the first day of entry those who enter), n_events (moves into it by that day), n_patients
    (clusters), n_units (ids), note. Counts are weighted with frequencies, not with probability weights. After the last
    day of follow-up there is no estimate unless nobody was left in a state that is ever followed.
    Raises EstimationError for unknown states and for a unit that is found in another state than the one it moved to.

    Reference: Aalen and Johansen (1978); consistent without the Markov property if loss and entry do not depend on the
    states passed through (Datta and Satten 2001).

    >>> moves = pd.DataFrame({"id": [1, 1, 2], "entry": [0, 2, 0], "exit": [2, 5, 4],
    ...                       "was": ["well", "broken", "well"], "is": ["broken", "well", None]})
    >>> found = state_probabilities(moves, entry="entry", exit="exit", state_from="was", state_to="is", id="id",
    ...                             states=["well", "broken"], at=[0, 2])
    >>> found.frame["estimate"].tolist()
    [1.0, 0.0, 0.5, 0.5]
    """
    if conf_type not in ("log-log", "log", "plain"):
        raise EstimationError(f"conf_type must be log-log, log or plain, and is {conf_type!r}.")
    refuse_unknown_correction(small_sample)
    process = Process.read(
        rows, exit=exit, state_from=state_from, state_to=state_to, states=states, entry=entry, weight=weight, id=id,
        cluster=cluster, by=by, weight_kind=weight_kind,
    )  # fmt: skip
    asked = None if at is None else np.atleast_1d(np.asarray(at, dtype=np.float64))
    parts = []
    for one in process.groups(initial, weight_kind):
        times = one.found.time if asked is None else asked
        steps = one.found.steps(times)
        beyond = one.beyond(times)[:, None]
        errors = standard_errors(one.found, steps, weight_kind)
        errors = np.where(beyond | (one.n_clusters == 1), np.nan, errors)
        shares = np.where(beyond, np.nan, np.minimum(one.found.share[steps], 1.0))
        df = _freedom(one, small_sample)
        low, high = limits(shares, errors, conf_type, confidence, df)
        parts.append(_columns(one, times, PROBABILITY, shares, errors, low, high, df))
    settings = {
        **SETTINGS, "conf_type": conf_type, "confidence": confidence, "weights": weight_kind, "by": by,
        "initial": initial,
    }  # fmt: skip
    return report.curve_estimates(_joined(parts), settings)


def mean_time_in_states(
    rows: pd.DataFrame,
    *,
    horizon: float,
    exit: str,
    state_from: str,
    state_to: str,
    states: Sequence[str] | None = None,
    initial: Initial = None,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
) -> Estimates:
    """Mean days in each state from day 0 to the horizon: the area under each share; they add up to the horizon.

    Arguments as in `state_probabilities`; limits are estimate +- z (or t) standard errors within 0 and the horizon.
    Missing where follow-up ends before the horizon while a state is still occupied.

    >>> moves = pd.DataFrame({"exit": [2, 4], "was": ["well", "well"], "is": ["dead", None]})
    >>> found = mean_time_in_states(moves, horizon=4, exit="exit", state_from="was", state_to="is")
    >>> dict(zip(found.frame["outcome"], found.frame["estimate"].tolist()))
    {'dead': 1.0, 'well': 3.0}
    """
    if not (np.isfinite(horizon) and horizon > 0):
        raise EstimationError(f"The horizon must be a number of days above 0, and is {horizon}.")
    process = Process.read(
        rows, exit=exit, state_from=state_from, state_to=state_to, states=states, entry=entry, weight=weight, id=id,
        cluster=cluster, by=by, weight_kind=weight_kind,
    )  # fmt: skip
    refuse_unknown_correction(small_sample)
    parts = []
    for one in process.groups(initial, weight_kind):
        times = np.array([float(horizon)])
        mean, error = mean_times(one.found, horizon, weight_kind)
        beyond = one.beyond(times)
        error = np.where(beyond | (one.n_clusters == 1), np.nan, error)
        mean = np.where(beyond, np.nan, mean)
        # A state nobody is seen in has a mean of zero and no interval, as its share has.
        df = _freedom(one, small_sample)
        reach = np.where(error > 0, report.quantile(confidence, df) * error, np.nan)
        low, high = np.clip(mean - reach, 0.0, horizon), np.clip(mean + reach, 0.0, horizon)
        parts.append(_columns(one, times, MEAN_DAYS, mean[None], error[None], low[None], high[None], df))
    settings = {
        **SETTINGS, "conf_type": "plain", "confidence": confidence, "weights": weight_kind, "by": by,
        "initial": initial, "horizon": horizon,
    }  # fmt: skip
    return report.curve_estimates(_joined(parts), settings)


def state_transitions(
    rows: pd.DataFrame,
    *,
    exit: str,
    state_from: str,
    state_to: str,
    states: Sequence[str] | None = None,
    entry: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    per: float = 100.0,
    confidence: float = 0.95,
) -> Estimates:
    """Every move from one state to another: how many, in how much time, and the rate per `per` person-years.

    Arguments as in `state_probabilities`; without `entry` time counts from day 0. One row per group, state that is ever
    followed, and state that it is left for: state_from, state_to, stratum, n_events (moves), n_patients (clusters with
    time in state_from), n_clusters_with_event, person_years (in state_from), estimate, conf_low, conf_high (as
    `rate_by`). Moves into the same state again have rows where there are any.

    >>> moves = pd.DataFrame({"exit": [2, 4], "was": ["well", "well"], "is": ["dead", None]})
    >>> found = state_transitions(moves, exit="exit", state_from="was", state_to="is").frame
    >>> found[["state_from", "state_to", "n_events", "n_patients"]].values.tolist()
    [['well', 'dead', 1.0, 2]]
    """
    process = Process.read(
        rows, exit=exit, state_from=state_from, state_to=state_to, states=states, entry=entry, id=id, cluster=cluster,
        by=by,
    )  # fmt: skip
    base, names = process.base, np.array(process.names, dtype=object)
    days = base.exit - (0.0 if entry is None else base.entry)
    again = set(process.state[process.to == process.state].tolist())
    followed = sorted(set(process.state.tolist()))
    pairs = [(h, j) for h in followed for j in range(len(names)) if h != j or h in again]

    def leaving(code: int) -> pd.DataFrame:
        mine = np.flatnonzero(process.state == pairs[code][0])
        events = (process.to[mine] == pairs[code][1]).astype(np.float64)
        columns = {"stratum": process.group[mine], "pair": code, "days": days[mine], "events": events}
        return pd.DataFrame({**columns, "cluster": base.cluster[mine]})

    if not pairs:
        nothing = ("state_from", "state_to", "stratum", "n_patients", "n_events", "person_years", "estimate")
        return report.estimates({name: [] for name in nothing}, {"method": "rate", "per": per, "by": by})
    found = rate_by(
        pd.concat(map(leaving, range(len(pairs))), ignore_index=True), events="events", person_days="days",
        cluster="cluster", by=["stratum", "pair"], per=per, confidence=confidence,
    )  # fmt: skip
    frame = found.frame
    of_pair = np.array(pairs)[frame["pair"]]
    named = {
        "state_from": names[of_pair[:, 0]],
        "state_to": names[of_pair[:, 1]],
        **{name: frame[name].to_numpy() for name in frame.columns if name not in ("pair", "outcome")},
        "stratum": np.array(process.labels, dtype=object)[frame["stratum"]],
    }
    return report.estimates(named, {**found.settings, "by": by})


def _columns(
    one: Group,
    times: FloatArray,
    measure: str,
    estimates: FloatArray,
    errors: FloatArray,
    low: FloatArray,
    high: FloatArray,
    df: FloatArray | None,
) -> dict[str, Any]:
    """Columns of one group, day by day, state by state; values are (T, S), degrees of freedom (S,)."""
    s, width = one.stays, len(one.names)
    into, risk = np.zeros((len(times), width)), np.zeros((len(times), width))
    for code in range(width):
        into[:, code] = _by_day(s.exit, one.counts * (s.to == code), times)
        risk[:, code] = at_risk(s.entry, s.exit, one.counts * (s.state == code), times)
    size = len(times) * width
    return {
        "stratum": np.full(size, one.label, dtype=object),
        "outcome": np.tile(np.array(one.names, dtype=object), len(times)),
        "time": np.repeat(times, width),
        "measure": np.full(size, measure, dtype=object),
        "n_patients": np.full(size, one.n_clusters),
        "n_units": np.full(size, distinct(one.unit)),
        "n_events": into.ravel(),
        "n_risk": risk.ravel(),
        "estimate": estimates.ravel(),
        "conf_low": low.ravel(),
        "conf_high": high.ravel(),
        "std_error": errors.ravel(),
        "df": of_rows(df, len(times), width),
        "note": _notes(one, times, of_rows(df, 1, width)).ravel(),
    }


def _moved(one: Group, state: int) -> BoolArray:
    """(n,) the rows that end in a move into the state or out of it."""
    s = one.stays
    result: BoolArray = (s.to != STAYS) & ((s.to == state) | (s.state == state))
    return result


def _freedom(one: Group, small_sample: CurveCorrection) -> FloatArray | None:
    """(S,) degrees of freedom of t for the limits of each state, or None for the normal quantile."""
    moved = [_moved(one, state) for state in range(len(one.names))]
    return limits_df(one.stays.cluster, one.unit, moved, one.counts, small_sample)


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _by_day(days: FloatArray, counts: FloatArray, times: FloatArray) -> FloatArray:
    """Sum of counts on or before each of `times`."""
    order = np.argsort(days, kind="stable")
    total = np.append(0.0, np.cumsum(counts[order]))
    result: FloatArray = total[np.searchsorted(days[order], times, side="right")]
    return result


def _notes(one: Group, times: FloatArray, freedom: FloatArray) -> npt.NDArray[np.object_]:
    """What must be read beside each share: (T, S); freedom : (S,), of t, NaN where limits are normal."""
    s, beyond, n_clusters = one.stays, one.beyond(times), one.n_clusters
    of_day: list[list[str]] = [[] for _ in times]
    for days, words in _of_all_states(one, times):
        for place in np.flatnonzero(days):
            of_day[place].append(words)
    result = np.empty((len(times), len(one.names)), dtype=object)
    for state in range(len(one.names)):
        moved = _moved(one, state)
        n_moves = _by_day(s.exit[moved], one.counts[moved], times)
        earliest = np.full(int(s.cluster.max(initial=-1)) + 1, np.inf)
        np.minimum.at(earliest, s.cluster[moved], s.exit[moved])
        n_moved = np.searchsorted(np.sort(earliest), times, side="right")
        for t in range(len(times)):
            said = list(of_day[t])
            if n_moves[t] and not beyond[t]:
                said += report.robust_notes(float(n_moves[t]), n_clusters, int(n_moved[t]), True, df=freedom[state])
            result[t, state] = "; ".join(said)
    return result


def _of_all_states(one: Group, times: FloatArray) -> Iterator[tuple[BoolArray, str]]:
    """What bears on the shares of every state, as they add to 1: on which of `times`, and the words."""
    s, share, beyond = one.stays, one.found.share[one.found.steps(times)], one.beyond(times)
    yield beyond, f"after the last day of follow-up (day {one.last:g})"
    for code in np.unique(s.state):
        mine, name = s.state == code, one.names[code]
        there = _by_day(s.entry, 1.0 * mine, times) - _by_day(s.exit, 1.0 * mine, times)
        # Who is lost on the day itself was followed on it.
        there += np.isin(times, s.exit[mine & (s.to == STAYS)])
        unseen = (there == 0) & (share[:, code] > 0) & (times >= s.entry.min()) & ~beyond
        yield unseen, f"nobody in '{name}' is followed then: who is there is taken to stay there"
        emptied = (one.found.share[1:, code] == 0) & (one.found.moves[:, code].sum(axis=1) > 0)
        day = float(one.found.time[emptied].min(initial=np.inf))
        if (mine & one.first & (s.entry >= day)).any():
            yield (
                (times >= day) & ~beyond,
                f"all in '{name}' on day {day:g} left it while others were still to enter, who count for nothing "
                "until somebody returns",
            )
