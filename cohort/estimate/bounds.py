"""A fracture found on a film happened after the last film without it: in (lower, upper], not on the day it was found.

lower == upper is a day that is known; upper infinite is a unit still free of the event when last seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.design import Rows, causes, column, numbers

LAST_DAY = "the last day seen"  # name of a column, and words in a message


@dataclass(frozen=True)
class Bounds:
    """Where each event lies, both (n,): lower -inf if the unit was never seen free of it, upper inf if never seen."""

    lower: FloatArray
    upper: FloatArray

    @property
    def exact(self) -> BoolArray:
        """(n,) the day is known."""
        return self.lower == self.upper

    @property
    def found(self) -> BoolArray:
        """(n,) the event was found at all."""
        return np.isfinite(self.upper)

    @property
    def last_day(self) -> FloatArray:
        """(n,) the last day that a row tells of."""
        return np.where(self.found, self.upper, self.lower)

    def __getitem__(self, rows: IntArray | BoolArray) -> Bounds:
        return Bounds(self.lower[rows], self.upper[rows])


def interval_bounds(
    rows: pd.DataFrame, *, exit: str, cause: str, lower: str | None = None, of: int = 1
) -> pd.DataFrame:
    """The rows with columns `lower` and `upper` for `turnbull` and `weibull`, from exit, cause and the last look.

    A row that ends with the cause `of` has the interval (lower, exit]; without a column `lower`, the day exit itself.
    Every other row is free of it until exit. Death and other causes so count as losses: this is the analysis of a
    cause-specific hazard, and one minus a curve from it is no share of patients but of a world without those causes.
    Raises EstimationError where lower is missing or lies after exit in a row with the event.

    >>> days = pd.DataFrame({"exit": [90, 80], "cause": [1, 2], "last_clear": [30, None]})
    >>> interval_bounds(days, exit="exit", cause="cause", lower="last_clear")[["lower", "upper"]].values.tolist()
    [[30.0, 90.0], [80.0, inf]]
    """
    end = numbers(rows, exit, "exit")
    happened = causes(rows, cause) == of
    since = end.copy()
    if lower is not None:
        given = _open(rows, lower, "the last day known free of the event")
        unknown = int((happened & np.isnan(given)).sum())
        if unknown:
            raise EstimationError(
                f"Column '{lower}' is missing in {unknown} rows with the event. Give exit where the day itself is "
                "known, and entry where nobody looked before."
            )
        late = int((happened & (given > end)).sum())
        if late:
            raise EstimationError(
                f"'{lower}' (the last day known free of the event) lies after '{exit}' in {late} rows with the event."
            )
        since = np.where(happened, given, end)
    return rows.assign(lower=since, upper=np.where(happened, end, np.inf))


def read_bounds(rows: pd.DataFrame, lower: str, upper: str) -> Bounds:
    """Two columns as bounds; a missing lower is -inf, a missing upper inf.

    Raises EstimationError where lower lies after upper, or where neither bound is known.
    """
    low = _open(rows, lower, "the last day known free of the event")
    high = _open(rows, upper, "the day by which the event was found")
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    wrong = int((low > high).sum())
    if wrong:
        raise EstimationError(f"'{lower}' lies after '{upper}' in {wrong} rows: the interval (lower, upper] is empty.")
    blank = int((~np.isfinite(low) & ~np.isfinite(high)).sum())
    if blank:
        raise EstimationError(
            f"{blank} rows have neither '{lower}' nor '{upper}' and say nothing of when the event came; leave them out "
            "first, and count them."
        )
    return Bounds(low, high)


def _open(rows: pd.DataFrame, name: str, role: str) -> FloatArray:
    series = column(rows, name, role)
    if isinstance(series.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(series):
        if series.isna().all():
            return np.full(len(series), np.nan)
        raise EstimationError(f"Column '{name}' ({role}) must hold numbers, and holds {series.dtype}.")
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def stays(rows: Rows, ended: BoolArray) -> tuple[IntArray, IntArray]:
    """First and last row of each uninterrupted stay of a unit: rows that touch without an event are one.

    ended : (n,) the row ends with the event. Stays are in the order of ids and days.
    """
    order = np.lexsort((rows.exit, rows.entry, rows.id))
    goes_on = (
        (rows.id[order][1:] == rows.id[order][:-1])
        & (rows.entry[order][1:] == rows.exit[order][:-1])
        & ~ended[order][:-1]
        & (rows.weight[order][1:] == rows.weight[order][:-1])
        & (rows.cluster[order][1:] == rows.cluster[order][:-1])
    )
    starts = np.append(True, ~goes_on)[: len(order)]
    ends = np.append(~goes_on, True)[: len(order)]
    return order[starts].astype(np.int64), order[ends].astype(np.int64)
