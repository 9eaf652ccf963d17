"""Frames as CSV files may hold them: no text in them is one that a spreadsheet would run as a formula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

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


def _risky(values: np.ndarray) -> np.ndarray:
    """Places of texts that may need the mark."""
    try:
        cells = pa.array(values, mask=pd.isna(values), type=pa.string())
    except (pa.ArrowException, UnicodeError):  # mixed types, or text that has no form in UTF-8
        return np.arange(len(values))
    found = pc.match_substring_regex(cells, FORMULA).fill_null(False)
    return np.flatnonzero(found.to_numpy(zero_copy_only=False))
