"""Time at risk is `(entry, exit]` in whole days: day d is at risk when entry < d <= exit.

Days are int64 counts since 1970-01-01. A missing day is `MISSING`; a vertebra augmented before the
registry began, without a date, has the day `BEFORE_INDEX`, which is earlier than every calendar day.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MISSING = int(np.iinfo(np.int32).min)
BEFORE_INDEX = -10_000_000
NEVER = 10_000_000

DAYS_PER_YEAR = 365.25


def to_days(dates: pd.Series, missing: int = MISSING) -> IntArray:
    """Calendar dates as int64 days since 1970-01-01, shape (n,); `missing` stands for NaT.

    >>> to_days(pd.Series(pd.to_datetime(["1970-01-02", None]))).tolist()
    [1, -2147483648]
    """
    # pandas looks at every value of what are dates already before it hands them back.
    parsed = dates if dates.dtype.kind == "M" else pd.to_datetime(dates)
    values = parsed.to_numpy(dtype="datetime64[D]")
    days = values.astype(np.int64)
    days[np.isnat(values)] = missing
    return days


def to_dates(days: IntArray) -> pd.Series:
    """Days since 1970-01-01 as dates; MISSING, BEFORE_INDEX and NEVER become NaT.

    >>> to_dates(np.array([1, MISSING])).astype(str).tolist()
    ['1970-01-02', 'NaT']
    """
    known = (days > BEFORE_INDEX) & (days < NEVER)
    values = np.where(known, days, 0).astype("datetime64[D]").astype("datetime64[ns]")
    values[~known] = np.datetime64("NaT")
    return pd.Series(values)


def overlap(start: IntArray, stop: IntArray, entry: IntArray, exit: IntArray) -> IntArray:
    """Days of `(start, stop]` that lie in `(entry, exit]`; never negative.

    >>> overlap(np.array([0]), np.array([10]), np.array([4]), np.array([20])).tolist()
    [6]
    """
    return np.maximum(np.minimum(stop, exit) - np.maximum(start, entry), 0)
