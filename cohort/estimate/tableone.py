"""Who the patients are: one line per number, one per category, missing and not assessable counted beside them.

A percentage is of the rows with a usable value: missing is not "no", and neither is a finding that could not be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.errors import EstimationError
from cohort.estimate.design import column

NOT_ASSESSABLE = "not_assessable"
TABLE_ONE_COLUMNS = (
    "variable", "label", "category", "unit", "kind", "n", "denominator",
    "mean", "sd", "median", "q1", "q3", "n_missing", "n_not_assessable",
)  # fmt: skip


def table_one(
    df: pd.DataFrame,
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    *,
    unit: str = "patient",
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Describe columns of a frame with one row per `unit`.

    numeric : summarized by mean, sd (n - 1), median and quartiles (linear interpolation, as R's type 7); n is the
        number of values. categorical : one row per category (also those without any row, for categoricals), n of
        `denominator`, the rows with a usable value. labels : column = words to show.

    >>> frame = pd.DataFrame({"age": [70.0, 80.0, None], "cleft": ["yes", "no", "not_assessable"]})
    >>> table_one(frame, ["age"], ["cleft"])[["variable", "category", "n", "denominator", "n_missing"]].values.tolist()
    [['age', '', 2, 3, 1], ['cleft', 'no', 1, 2, 0], ['cleft', 'yes', 1, 2, 0]]
    """
    words = labels or {}
    rows: list[dict[str, Any]] = []
    for name in numeric:
        rows.append(_number(column(df, name, "table one"), name, words.get(name, name), unit))
    for name in categorical:
        rows.extend(_categories(column(df, name, "table one"), name, words.get(name, name), unit))
    return pd.DataFrame(rows, columns=list(TABLE_ONE_COLUMNS))


def _number(series: pd.Series, name: str, label: str, unit: str) -> dict[str, Any]:
    if isinstance(series.dtype, pd.CategoricalDtype) or not (
        pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)
    ):
        raise EstimationError(f"Column '{name}' holds {series.dtype}, no numbers; list it among the categories.")
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    known = values[~np.isnan(values)]
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else (np.nan, np.nan, np.nan)
    return {
        "variable": name,
        "label": label,
        "category": "",
        "unit": unit,
        "kind": "numeric",
        "n": len(known),
        "denominator": len(values),
        "mean": float(known.mean()) if len(known) else np.nan,
        "sd": float(known.std(ddof=1)) if len(known) > 1 else np.nan,
        "median": float(median),
        "q1": float(q1),
        "q3": float(q3),
        "n_missing": len(values) - len(known),
        "n_not_assessable": 0,
    }


def _categories(series: pd.Series, name: str, label: str, unit: str) -> list[dict[str, Any]]:
    counts = series.value_counts(dropna=True)
    if isinstance(series.dtype, pd.CategoricalDtype):
        order = list(series.cat.categories)
    else:
        order = sorted(counts.index, key=lambda value: (isinstance(value, str), value))
    not_assessable = int(counts.get(NOT_ASSESSABLE, 0))
    missing = int(series.isna().sum())
    usable = len(series) - missing - not_assessable
    blank = dict.fromkeys(("mean", "sd", "median", "q1", "q3"), np.nan)
    return [
        {
            "variable": name,
            "label": label,
            "category": str(value),
            "unit": unit,
            "kind": "category",
            "n": int(counts.get(value, 0)),
            "denominator": usable,
            **blank,
            "n_missing": missing,
            "n_not_assessable": not_assessable,
        }
        for value in order
        if value != NOT_ASSESSABLE
    ]
