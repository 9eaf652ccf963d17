"""Frames as CSV files may hold them: no text in them is one that a spreadsheet would run as a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]

from cohort.domain.safe_text import FORMULA, guarded


def guard(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with such texts, and such names of columns, marked by a leading apostrophe.

    Numbers, dates and missing values stay as they are; `intake` takes the mark off again.

    >>> guard(pd.DataFrame({"site": ["=1+1", None, "-2.5"], "n": [-1, 2, 3]})).values.tolist()
    [["'=1+1", -1], [None, 2], ['-2.5', 3]]
    """
    result = frame.copy(deep=False)
    for place, dtype in enumerate(frame.dtypes):
        column = frame.iloc[:, place]
        if isinstance(dtype, pd.CategoricalDtype):
            if not any(str(one) != guarded(str(one)) for one in dtype.categories):
                continue
            column = column.astype(object)
        elif not pd.api.types.is_object_dtype(dtype):
            continue
        values = column.to_numpy(dtype=object)
        risky = _risky(values)
        if len(risky):
            values = values.copy()
            values[risky] = [guarded(text) if isinstance(text, str) else text for text in values[risky]]
            result.isetitem(place, values)
    result.columns = pd.Index([guarded(str(name)) for name in frame.columns])
    return result


def write_unquoted(frame: pd.DataFrame, path: Path) -> bool:
    """Write a guarded frame as `DataFrame.to_csv` does, several times faster; False where only that one can write it.

    That is where a cell needs quotes, is neither text nor a whole number, or is the only one of its row (an empty one
    must then be quoted). What was written until then is to be overwritten.
    """
    if frame.shape[1] < 2:
        return False
    try:
        body = pa.table({str(k): _arrow(frame.iloc[:, k]) for k in range(frame.shape[1])})
        with path.open("wb") as file:
            header = io.StringIO(newline="")
            csv.writer(header, lineterminator="\n").writerow(frame.columns)
            file.write(header.getvalue().encode("utf-8"))
            # Without quotes, Arrow refuses every text that would need them.
            options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
            pyarrow.csv.write_csv(body, file, options)
    except (pa.ArrowException, TypeError, UnicodeError):
        return False
    return True


def _arrow(column: pd.Series) -> Any:
    """A column whose cells Arrow and pandas write alike.

    Raises TypeError for any other: the two differ in how they write fractions, yes and no, and moments.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy()
        return _texts(column.cat.categories.to_numpy()).take(pa.array(codes, mask=codes < 0))
    if pd.api.types.is_integer_dtype(column.dtype):
        return pa.array(column)
    return _texts(column.to_numpy())


def _texts(values: np.ndarray) -> Any:
    """Texts and missing values, which are empty cells."""
    texts = pa.array(values, from_pandas=True) if values.dtype == object else None
    if texts is None or texts.type not in (pa.string(), pa.null()):
        raise TypeError("not all text")
    return texts


def _risky(values: np.ndarray) -> np.ndarray:
    """Places of texts that may need the mark."""
    try:
        cells = pa.array(values, type=pa.string(), from_pandas=True)
    except (pa.ArrowException, UnicodeError):  # mixed types, or text that has no form in UTF-8
        return np.arange(len(values))
    found = pc.match_substring_regex(cells, FORMULA).fill_null(False)
    return np.flatnonzero(found.to_numpy(zero_copy_only=False))
