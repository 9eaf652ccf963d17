"""A published Kaplan-Meier curve with its numbers at risk becomes individual times, and says how far off they are.

The algorithm is that of Guyot P, Ades AE, Ouwens MJNM, Welton NJ (BMC Med Res Methodol 2012;12:9): between two times
with a number at risk, censored patients are spread evenly, events are the whole numbers nearest to the published drops,
and the number censored is changed until the next number at risk is met. After the last number at risk, censoring goes
on as before it, or as the published number of events demands. It returns times that draw the published curve, never
the patients' own: no covariate, no link between curves, and no more than the curve already said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cohort.domain.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Reads = Literal["survival", "incidence"]

SLIP: Final = 0.05  # a rise, or a value beyond 0 or 1, up to here is a slip of reading; beyond, the curve is another
CLOSE: Final = 0.02  # a reconstructed curve further than this from the published one is said to be off
TURNED: Final = (
    'Read it again; if it is a cumulative incidence, give it in a column `incidence` with reads="incidence".'
)
EDGE: Final = 1e-7  # of the middle width: a time this near to a coordinate lies on it, as in R's hist()


@dataclass(frozen=True)
class ReconstructedTimes:
    """Individual times that draw a published curve, with the error of the drawing.

    frame : one row per individual: exit (the time unit of the curve), event (True, or False where censored).
    error : one row per published coordinate (`quantity` "survival") and per published number at risk ("n_risk"): time,
        published, reconstructed, difference (reconstructed less published).
    root_mean_square_error, max_error : of survival, over the coordinates after time zero; fractions.
    n_events_published : as given, or None. n_events_obtained : events in `frame`.
    warnings : sentences on what was changed in the coordinates and what was not met; empty where all is as published.
    """

    frame: pd.DataFrame
    error: pd.DataFrame
    root_mean_square_error: float
    max_error: float
    n_events_published: int | None
    n_events_obtained: int
    warnings: tuple[str, ...]


def individual_times(
    curve: pd.DataFrame, at_risk: pd.DataFrame, *, n_events: int | None = None, reads: Reads = "survival"
) -> ReconstructedTimes:
    """Individual times from the coordinates of a Kaplan-Meier curve and the numbers at risk printed below it.

    curve : one row per coordinate: `time` from 0 on, in any unit, and `survival`, or with reads="incidence" `incidence`
        (1 - Kaplan-Meier); fractions. Every step that can be seen should be there; where several points share a time,
        the lowest survival, the foot of the step, counts. A point at each time with a number at risk is needed, and is
        set on the last value before it where it is missing.
    at_risk : one row per printed number: `time`, `n_risk` (at risk just before that time, whoever has the event then
        included). The first is at time 0: all patients.
    n_events : events of the whole curve, where published; the censored after the last number at risk follow from it.

    With a number at risk at time 0 only, nobody is censored before the end of the curve unless `n_events` says that
    some were: then they are spread evenly over the whole curve. Censored patients stand half-way between two
    coordinates, and whoever is left at the last coordinate is censored there.

    Points slightly out of order or range are set right, and `warnings` says which. Where no number censored meets the
    next number at risk, the one that comes nearest is taken. The published program stops as soon as too few are left
    and its count of censored has come to 0, with those of the last pass still in: there this comes nearer than it.

    Raises EstimationError for a curve that rises or leaves 0 to 1 by more than 0.05, for numbers at risk that rise, are
    not whole, or do not start at time 0, and for events that are not between 0 and all patients.

    >>> curve = pd.DataFrame({"time": [0, 2, 5, 6], "survival": [1, 0.9, 0.675, 0.45]})
    >>> at_risk = pd.DataFrame({"time": [0, 5], "n_risk": [10, 8]})
    >>> found = individual_times(curve, at_risk)
    >>> found.frame.to_numpy().tolist()  # doctest: +NORMALIZE_WHITESPACE
    [[2.0, True], [3.5, False], [5.0, True], [5.0, True], [6.0, True], [6.0, True], [6.0, False], [6.0, False],
     [6.0, False], [6.0, False]]
    >>> round(found.max_error, 3), found.n_events_obtained
    (0.0, 5)
    """
    if reads not in get_args(Reads):
        raise EstimationError(f"reads must be survival or incidence, and is {reads!r}.")
    time, survival, published, said = _coordinates(curve, reads)
    risk_time, n_risk, said_of_risk = _numbers_at_risk(at_risk)
    said += said_of_risk
    total = int(n_risk[0])
    if n_events is not None and not (0 <= n_events <= total and n_events == int(n_events)):
        raise EstimationError(f"{n_events} events cannot come from {total} patients; each counts once, or not at all.")
    within = risk_time <= time[-1]
    if not within.all():
        said.append(
            f"{_count(~within, 'time')} with a number at risk beyond the last coordinate, at {time[-1]:g}, left out."
        )
    time, survival, published, added = _with_points_at(risk_time[within], time, survival, published)
    if added:
        said.append(
            f"The curve had no point at {_count(added, 'time')} with a number at risk; the value before it was taken."
        )
    lower = np.searchsorted(time, risk_time[within]).astype(np.int64)
    events, censored = invert(time, survival, lower, n_risk[within], n_events)
    frame = _individuals(time, events, censored, total)
    error = _error(frame, time, published, risk_time, n_risk)
    off = error.loc[(error["quantity"] == "survival") & (error["time"] > 0), "difference"].abs()
    found = ReconstructedTimes(
        frame=frame,
        error=error,
        root_mean_square_error=float(np.sqrt((off**2).mean())),
        max_error=float(off.max()),
        n_events_published=n_events,
        n_events_obtained=int(events.sum()),
        warnings=(),
    )
    said += _what_was_not_met(found, len(lower), reads)
    return replace(found, warnings=tuple(said))


def invert(
    time: FloatArray, survival: FloatArray, lower: IntArray, n_risk: IntArray, n_events: int | None = None
) -> tuple[IntArray, IntArray]:
    """Events at each coordinate, and the censored from it to the next: the algorithm itself, on clean coordinates.

    time : (k,), rising from 0. survival : (k,), from 1, never rising. lower : (m,), the coordinate of each time with a
    number at risk, the first 0. n_risk : (m,). n_events : of the whole curve, or None.

    Returns two int64 arrays (k,); nobody is censored from the last coordinate on, whoever is left there is.

    >>> time, survival = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 0.9, 0.9, 0.6])
    >>> events, censored = invert(time, survival, np.array([0, 3]), np.array([10, 6]))
    >>> events.tolist(), censored.tolist()
    ([0, 1, 0, 2], [1, 1, 1, 0])
    """
    k, m = len(time), len(lower)
    events, censored = np.zeros(k, dtype=np.int64), np.zeros(k, dtype=np.int64)
    at_risk, level = int(n_risk[0]), 1.0
    n_censored = np.zeros(m, dtype=np.int64)
    for i in range(m - 1):
        part = slice(int(lower[i]), int(lower[i + 1]))
        edges = time[part.start : part.stop + 1]
        start = float(survival[part.start])
        n = max(round(float(at_risk * survival[part.stop] / start - n_risk[i + 1])), 0) if start > 0 else 0
        walked: dict[int, _Walk] = {}
        while n not in walked:
            walked[n] = _walk(survival[part], _spread(edges, n), at_risk, level)
            n = max(n + walked[n].at_risk - int(n_risk[i + 1]), 0)
        n_censored[i], walk = min(walked.items(), key=lambda one: abs(one[1].at_risk - n_risk[i + 1]))
        events[part], censored[part], at_risk, level = walk.events, walk.censored, walk.at_risk, walk.level
    part = slice(int(lower[-1]), k)
    n = _as_before(time, lower, n_censored[:-1], at_risk)
    walk = _last(survival[part], time[part], at_risk, level, n, None if n_events is None else n_events - events.sum())
    events[part], censored[part] = walk.events, walk.censored
    return events, censored


@dataclass(frozen=True)
class _Walk:
    """One interval gone through: events and censored at its coordinates; who is left, and the level of the curve."""

    events: list[int]
    censored: list[int]
    at_risk: int
    level: float


def _walk(survival: FloatArray, censored: IntArray, at_risk: int, level: float) -> _Walk:
    """Take at each coordinate the whole number of events nearest to the drop since the last event."""
    taken, gone = [], []
    for value, leaves in zip(survival.tolist(), censored.tolist(), strict=True):
        # The level is the curve as drawn so far, so that what rounding takes at one step is given back at the next.
        drop = max(round(at_risk * (1.0 - value / level)), 0) if level > 0 and at_risk > 0 else 0
        if drop:
            level *= 1.0 - drop / at_risk
        leaves = min(leaves, at_risk - drop)
        at_risk -= drop + leaves
        taken.append(drop)
        gone.append(leaves)
    return _Walk(taken, gone, at_risk, level)


def _spread(edges: FloatArray, n: int) -> IntArray:
    """How many of `n` times, even between the first and last of `edges`, fall in each (edge, next edge]."""
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    if n and len(counts):
        times = edges[0] + np.arange(1, n + 1) * (edges[-1] - edges[0]) / (n + 1)
        near = EDGE * float(np.median(np.diff(edges)))
        np.add.at(counts, np.searchsorted(edges[1:-1] + near, times, side="left"), 1)
    return counts


def _as_before(time: FloatArray, lower: IntArray, n_censored: IntArray, at_risk: int) -> int:
    """The censored after the last number at risk, if they leave as they did until then."""
    if len(n_censored) == 0:
        return 0
    start, end = int(lower[-1]), len(time) - 1
    # The paper divides by the time to the last coordinate before; where that is time 0, to the last number at risk.
    elapsed = float(time[start - 1]) or float(time[start])
    return min(round(float(n_censored.sum() * (time[end] - time[start]) / elapsed)), at_risk)


def _last(
    survival: FloatArray, time: FloatArray, at_risk: int, level: float, n: int, wanted: np.int64 | int | None
) -> _Walk:
    """The interval after the last number at risk, with its number censored as assumed or as the events demand."""

    def walk(n: int) -> _Walk:
        return _walk(survival, np.append(_spread(time, n), 0), at_risk, level)

    if wanted is None:
        return walk(n)
    if wanted <= 0:
        nothing = [0] * len(survival)  # every event is accounted for: all who are left stay to the end
        return _Walk(nothing, nothing, at_risk, level)
    target = int(wanted)
    walked: dict[int, _Walk] = {}
    while n not in walked:
        walked[n] = walk(n)
        n = min(max(n + sum(walked[n].events) - target, 0), at_risk)
    return min(walked.items(), key=lambda one: (abs(sum(one[1].events) - target), one[0]))[1]


def _coordinates(curve: pd.DataFrame, reads: Reads) -> tuple[FloatArray, FloatArray, FloatArray, list[str]]:
    """Times, survival as used, survival as published (missing where added), and what was changed."""
    said: list[str] = []
    time, value = _columns(curve, "curve", ("time", reads), said)
    survival = 1.0 - value if reads == "incidence" else value
    early = time < 0
    if early.any():
        said.append(f"{_count(early, 'point')} before time 0 left out.")
        time, survival = time[~early], survival[~early]
    if not (time > 0).any():
        raise EstimationError(f"The curve has {len(time)} usable points, and none after time 0; read it again.")
    beyond = np.maximum(survival - 1.0, -survival)
    if beyond.max() > SLIP:
        raise EstimationError(
            f"The curve's {reads} runs from {value.min():g} to {value.max():g}; it must lie between 0 and 1. "
            "Divide per cents by 100."
        )
    if (np.diff(time) < 0).any():
        said.append("The points were not in order of time and were sorted.")
    order = np.lexsort((survival, time))
    time, published = time[order], survival[order]
    foot = np.append(True, np.diff(time) > 0)  # sorted by survival within a time: the first is the foot of the step
    if not foot.all():
        said.append(f"{_count(~foot, 'point')} at the time of another left out: the lowest survival counts.")
    time, published = time[foot], published[foot]
    beyond = np.maximum(published - 1.0, -published)
    if (beyond > 0).any():
        said.append(f"{_count(beyond > 0, 'point')} outside 0 to 1, by up to {beyond.max():.2g}, set to 0 or 1.")
    survival = np.clip(published, 0.0, 1.0)
    if time[0] > 0:
        time, survival, published = np.append(0.0, time), np.append(1.0, survival), np.append(np.nan, published)
        said.append("The curve had no point at time 0; survival 1 was put there.")
    elif survival[0] < 1.0 - SLIP:
        raise EstimationError(
            f"Survival at time 0 is {survival[0]:g}, and must be 1: everybody starts without the event. {TURNED}"
        )
    elif survival[0] < 1.0:
        said.append(
            f"Survival at time 0 was {survival[0]:.4g} and was set to 1: an event needs time before it and is "
            "taken at the next point."
        )
        survival[0] = 1.0
    lowest = np.minimum.accumulate(survival)
    rise = survival - lowest
    if rise.max() > SLIP:
        raise EstimationError(
            f"The curve rises by {rise.max():.2g} up to time {time[rise.argmax()]:g}; survival never does. {TURNED}"
        )
    if (rise > 0).any():
        said.append(f"{_count(rise > 0, 'point')} higher than one before, by up to {rise.max():.2g}, set down to it.")
    return time, lowest, published, said


def _numbers_at_risk(at_risk: pd.DataFrame) -> tuple[FloatArray, IntArray, list[str]]:
    said: list[str] = []
    time, n = _columns(at_risk, "at_risk", ("time", "n_risk"), said)
    order = np.argsort(time, kind="stable")
    time, n = time[order], n[order]
    if len(time) == 0 or time[0] != 0 or n[0] < 1:
        raise EstimationError("The numbers at risk must start with all patients at time 0; add that row to at_risk.")
    if (wrong := (n != np.rint(n)) | (n < 0)).any():
        raise EstimationError(f"A number at risk is {n[wrong][0]:g}; they are whole numbers of patients, 0 or more.")
    if (np.diff(time) == 0).any():
        raise EstimationError(f"at_risk gives time {time[1:][np.diff(time) == 0][0]:g} twice; leave one row for each.")
    if (rises := np.diff(n) > 0).any():
        first = int(np.flatnonzero(rises)[0])
        raise EstimationError(
            f"The number at risk rises from {n[first]:g} to {n[first + 1]:g} at time {time[first + 1]:g}: read it "
            "again. Where patients enter after time 0 such a curve has no single set of times."
        )
    return time, n.astype(np.int64), said


def _columns(
    frame: pd.DataFrame, name: str, columns: tuple[str, str], said: list[str]
) -> tuple[FloatArray, FloatArray]:
    absent = [column for column in columns if column not in frame]
    if absent:
        raise EstimationError(f"{name} has no column `{absent[0]}`; it needs `{columns[0]}` and `{columns[1]}`.")
    table = frame[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    whole = np.isfinite(table).all(axis=1)
    if not whole.all():
        said.append(f"{_count(~whole, 'row')} of {name} without a number in `{columns[0]}` or `{columns[1]}` left out.")
    return table[whole, 0], table[whole, 1]


def _with_points_at(
    wanted: FloatArray, time: FloatArray, survival: FloatArray, published: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, int]:
    """Coordinates at every wanted time, on the step before; how many were added."""
    new = wanted[~np.isin(wanted, time)]
    place = np.searchsorted(time, new)
    carried = survival[place - 1]
    return (
        np.insert(time, place, new),
        np.insert(survival, place, carried),
        np.insert(published, place, np.nan),
        len(new),
    )


def _individuals(time: FloatArray, events: IntArray, censored: IntArray, total: int) -> pd.DataFrame:
    left = total - int(events.sum() + censored.sum())
    half_way = (time[:-1] + time[1:]) / 2.0
    exits = np.concatenate([np.repeat(time, events), np.repeat(half_way, censored[:-1]), np.repeat(time[-1], left)])
    event = np.arange(total) < events.sum()
    frame = pd.DataFrame({"exit": exits, "event": event})
    return frame.sort_values(["exit", "event"], ascending=[True, False], ignore_index=True)


def _error(
    frame: pd.DataFrame, time: FloatArray, published: FloatArray, risk_time: FloatArray, n_risk: IntArray
) -> pd.DataFrame:
    """Published against reconstructed, from the individuals themselves."""
    exits, event = frame["exit"].to_numpy(), frame["event"].to_numpy()
    days, drops = np.unique(exits[event], return_counts=True)
    steps = np.append(1.0, np.cumprod(1.0 - drops / (len(exits) - np.searchsorted(exits, days, side="left"))))
    read = ~np.isnan(published)
    drawn = steps[np.searchsorted(days, time[read], side="right")]
    left = (len(exits) - np.searchsorted(exits, risk_time, side="left")).astype(np.float64)
    table = pd.DataFrame(
        {
            "quantity": ["survival"] * len(drawn) + ["n_risk"] * len(left),
            "time": np.append(time[read], risk_time),
            "published": np.append(published[read], n_risk),
            "reconstructed": np.append(drawn, left),
        }
    )
    return table.assign(difference=table["reconstructed"] - table["published"])


def _what_was_not_met(found: ReconstructedTimes, n_used: int, reads: Reads) -> list[str]:
    said = []
    if n_used == 1:
        assumed = (
            "no patient is censored before the end of the curve"
            if found.n_events_published is None
            else "patients are censored evenly over the curve, as many as the number of events leaves"
        )
        said.append(f"No number at risk after time 0: it is assumed that {assumed}. Ratios of hazards may be off.")
    if found.n_events_published not in (None, found.n_events_obtained):
        said.append(
            f"{found.n_events_obtained} events were obtained where {found.n_events_published} were published; the "
            "curve and the numbers at risk allow no nearer number."
        )
    risk = found.error[found.error["quantity"] == "n_risk"].head(n_used)
    if (risk["difference"] != 0).any():
        missed = risk.loc[risk["difference"] != 0, "difference"].abs()
        said.append(
            f"The numbers at risk are not met at {_count(len(missed), 'time')} of {n_used}; the largest difference is "
            f"{missed.max():g} of {risk['published'].iloc[0]:g} patients."
        )
    if found.max_error > CLOSE:
        curve = found.error[found.error["quantity"] == "survival"].reset_index(drop=True)
        where = curve["time"].iloc[int(curve["difference"].abs().argmax())]
        said.append(
            f"The reconstructed curve is up to {found.max_error:.2g} away from the published one, at time {where:g}. "
            "After the last number at risk the censored are assumed; before it, read the coordinates and numbers again."
        )
    if reads == "incidence":
        said.append(
            "Read as 1 - Kaplan-Meier. Where death competed and the curve is an Aalen-Johansen incidence, whoever died "
            "stays at risk in these times, and their hazard is that of the subdistribution."
        )
    return said


def _count(of: BoolArray | int, what: str) -> str:
    n = of if isinstance(of, int) else int(of.sum())
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
