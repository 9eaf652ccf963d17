"""A drug acts some time after it is begun, and some time after it is stopped: exposure moved along the days.

On counting-process rows a 0/1 column is a set of stretches (start, stop] of each unit, a change being seen at the
entry of the row that shows it. With a lag exposure counts from the day after start + lag; it ends lag days after the
stop (the whole stretch is moved), or, with a duration of action, that many days after the stop. Stretches that then
overlap are one, and rows are split where a value changes within them. Doses are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.design import column, rows_of

Prevalent = Literal["begins", "established"]


def lagged(
    rows: pd.DataFrame,
    columns: str | Sequence[str],
    *,
    lag_days: float,
    id: str,
    entry: str,
    exit: str,
    event: str | Sequence[str],
    duration_days: float | None = None,
    prevalent: Prevalent = "begins",
) -> pd.DataFrame:
    """The rows with `columns` lagged, split where they change.

    columns : 0/1, as recorded; a unit for which one is missing in all rows keeps it missing.
    lag_days : days from the beginning of exposure to that of its action. duration_days : days of action after its end;
        None as many as the lag. An exposure that has ended before its action began never counts.
    event : what happens at the end of a row, 0/1 or causes (0, False or the first category for none); several columns
        if there are several. It stays with the last part of a row.
    prevalent : exposure in the first row of a unit "begins" there, or was "established" long before, and acts at once.

    Returns the rows in their order, their parts one after the other, numbered anew; other columns are repeated.
    Raises EstimationError for values other than 0 and 1, a unit with a value in some rows only, and overlapping rows.

    >>> rows = pd.DataFrame({"patient": [1, 1, 1], "entry": [0, 30, 60], "exit": [30, 60, 200], "drug": [0, 1, 0],
    ...                      "event": [0, 0, 1]})
    >>> lagged(rows, "drug", lag_days=20, duration_days=90, id="patient", entry="entry", exit="exit",
    ...        event="event").to_numpy().tolist()
    [[1, 0, 30, 0, 0], [1, 30, 50, 0, 0], [1, 50, 60, 1, 0], [1, 60, 150, 1, 0], [1, 150, 200, 0, 1]]
    """
    named = [columns] if isinstance(columns, str) else list(columns)
    events = [event] if isinstance(event, str) else list(event)
    _refuse_nonsense(named, lag_days, duration_days, prevalent)
    base = rows_of(rows, exit_=exit, entry=entry, weight=None, id_=id, cluster=None)
    unit = base.id
    order = np.lexsort((base.entry, unit))
    until = lag_days if duration_days is None else duration_days

    acting: dict[str, tuple[IntArray, FloatArray, FloatArray]] = {}
    unknown: dict[str, BoolArray] = {}
    for name in named:
        exposed, unknown[name] = _zero_one(rows, name, unit, id)
        whose, start, stop = stretches(unit[order], base.entry[order], exposed[order])
        if prevalent == "established":
            first = np.full(int(unit.max(initial=-1)) + 1, np.inf)
            np.minimum.at(first, unit, base.entry)
            start = np.where(start == first[whose], -np.inf, start)
        acting[name] = unite(whose, start + lag_days, stop + until)

    row, start, end = cut(
        unit,
        base.entry,
        base.exit,
        np.concatenate([np.tile(whose, 2) for whose, _, _ in acting.values()]),
        np.concatenate([np.concatenate([start, stop]) for _, start, stop in acting.values()]),
    )
    last = np.append(row[1:] != row[:-1], True) if len(row) else np.zeros(0, dtype=bool)
    result = rows.take(row).reset_index(drop=True)
    for name in named:
        value = covered(unit[row], end, *acting[name]).astype(np.float64)
        value[unknown[name][row]] = np.nan
        result[name] = value if unknown[name].any() else value.astype(np.int64)
    result[entry], result[exit] = _as_before(start, rows[entry]), _as_before(end, rows[exit])
    for name in events:
        result[name] = _without(column(rows, name, "the event"), result[name], last)
    return result


def stretches(unit: IntArray, entry: FloatArray, exposed: BoolArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Unit, start and stop of each uninterrupted exposure; rows (n,) in the order of unit and time.

    Between two rows of a unit that do not touch the last value is taken to hold; a stretch that lasts until the last
    row has no stop.

    >>> stretches(np.array([1, 1, 1]), np.array([0.0, 5.0, 9.0]), np.array([True, True, False]))
    (array([1]), array([0.]), array([9.]))
    """
    same = np.append(False, unit[1:] == unit[:-1])
    before = np.append(False, exposed[:-1]) & same
    begins, ends = exposed & ~before, np.append(unit[1:] != unit[:-1], True) & exposed
    stops = np.flatnonzero((before & ~exposed) | ends)
    # A row that shows the change has its entry as the stop; the last row of a unit leaves it open.
    stop = np.where(exposed[stops], np.inf, entry[stops])
    return unit[begins], entry[begins], stop


def unite(unit: IntArray, start: FloatArray, stop: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Stretches (start, stop] of each unit joined where they touch or overlap, those without a day left out.

    >>> unite(np.array([1, 1, 1]), np.array([0.0, 8.0, 30.0]), np.array([10.0, 12.0, 29.0]))
    (array([1]), array([0.]), array([12.]))
    """
    kept = stop > start
    unit, start, stop = unit[kept], start[kept], stop[kept]
    order = np.lexsort((start, unit))
    unit, start, stop = unit[order], start[order], stop[order]
    if not len(unit):
        return unit, start, stop
    # The furthest stop so far within the unit: ranks carry the unit, so that a maximum never crosses to the next one.
    values, rank = np.unique(stop, return_inverse=True)
    so_far = np.maximum.accumulate(rank + unit * len(values)) - unit * len(values)
    reach = values[so_far]
    opens = np.append(True, (unit[1:] != unit[:-1]) | (start[1:] > reach[:-1]))
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(unit)) - 1
    return unit[first], start[first], reach[last]


def cut(
    unit: IntArray, entry: FloatArray, exit: FloatArray, at_unit: IntArray, at: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Rows (n,) split at days of their own unit that lie inside them: number of the row, entry and exit of each part.

    >>> cut(np.array([1, 2]), np.zeros(2), np.full(2, 9.0), np.array([1, 1]), np.array([4.0, 9.0]))
    (array([0, 0, 1]), array([0., 4., 0.]), array([4., 9., 9.]))
    """
    days, rank = np.unique(np.concatenate([entry, exit, at]), return_inverse=True)
    n, width = len(entry), len(days)
    keys = np.unique(at_unit * width + rank[2 * n :])
    first = np.searchsorted(keys, unit * width + rank[:n], side="right")
    end = np.searchsorted(keys, unit * width + rank[n : 2 * n], side="left")
    parts = np.maximum(end - first, 0) + 1
    row = np.repeat(np.arange(n), parts)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)
    inner = days[keys % width] if len(keys) else np.zeros(1)
    before = np.clip(first[row] + nth - 1, 0, len(inner) - 1)
    after = np.clip(first[row] + nth, 0, len(inner) - 1)
    return row, np.where(nth > 0, inner[before], entry[row]), np.where(nth < parts[row] - 1, inner[after], exit[row])


def covered(unit: IntArray, day: FloatArray, of_unit: IntArray, start: FloatArray, stop: FloatArray) -> BoolArray:
    """Whether start < day <= stop in a stretch of the same unit (n,); stretches joined, in order of unit and start.

    >>> one, day = np.ones(1, dtype=np.int64), np.array([4.0, 5.0, 5.0])
    >>> covered(np.array([1, 1, 2]), day, one, np.array([4.0]), np.array([9.0])).tolist()
    [False, True, False]
    """
    days, rank = np.unique(np.concatenate([day, start, stop]), return_inverse=True)
    n, k, width = len(day), len(start), len(days)
    asked = unit * width + rank[:n]
    begun = np.searchsorted(of_unit * width + rank[n : n + k], asked, side="left")
    over = np.searchsorted(of_unit * width + rank[n + k :], asked, side="left")
    return np.asarray(begun > over)


def _zero_one(rows: pd.DataFrame, name: str, unit: IntArray, id_: str) -> tuple[BoolArray, BoolArray]:
    """Exposure of each row, and whether it is missing: for all rows of a unit or for none."""
    series = column(rows, name, "an exposure")
    if not (pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)):
        raise EstimationError(f"Column '{name}' must hold 0 and 1 to be lagged, and holds {series.dtype} values.")
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = np.isnan(values)
    n_missing, n_rows = np.bincount(unit, missing), np.bincount(unit)
    partly = int(((n_missing > 0) & (n_missing < n_rows)).sum())
    if partly:
        raise EstimationError(
            f"'{name}' is missing in some rows of {partly} units ('{id_}') and known in others; what came before an "
            "unknown day cannot be moved past it. Fill these rows, or leave the units out."
        )
    values = np.where(missing, 0.0, values)
    odd = ~np.isin(values, (0.0, 1.0))
    if odd.any():
        raise EstimationError(
            f"Column '{name}' must be 0 or 1 to be lagged; {int(odd.sum())} rows hold other values, such as "
            f"{values[odd][0]:g}. Make a column per drug or class."
        )
    return values == 1.0, missing


def _without(written: pd.Series, repeated: pd.Series, last: BoolArray) -> pd.Series:
    """The event in the last part of each row, none in the others."""
    if isinstance(written.dtype, pd.CategoricalDtype):
        return repeated.where(last, written.cat.categories[0])
    none: Any = False if pd.api.types.is_bool_dtype(written) else 0
    return repeated.where(last, none).astype(written.dtype)


def _as_before(days: FloatArray, written: pd.Series) -> Any:
    whole = pd.api.types.is_integer_dtype(written) and bool((days == np.rint(days)).all())
    return days.astype(np.int64) if whole else days


def _refuse_nonsense(named: list[str], lag_days: float, duration_days: float | None, prevalent: str) -> None:
    if not named or len(set(named)) < len(named):
        raise EstimationError(f"Name each column to be lagged once; named are {', '.join(named) or 'none'}.")
    if not (np.isfinite(lag_days) and lag_days >= 0):
        raise EstimationError(f"The lag must be zero days or more, and is {lag_days}; the future cannot act.")
    if duration_days is not None and not duration_days >= 0:
        raise EstimationError(f"The duration of action must be zero days or more, and is {duration_days}.")
    if prevalent not in ("begins", "established"):
        raise EstimationError(f"prevalent must be begins or established, and is {prevalent!r}.")
