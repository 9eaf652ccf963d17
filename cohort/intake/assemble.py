"""The canonical frame of a draft: columns in schema order and dtype, covariates untouched, then the source row."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.domain import spine
from cohort.domain.clock import MISSING, IntArray, to_dates
from cohort.intake import dates
from cohort.intake.draft import PRECISION_CODE, Draft
from cohort.intake.ledger import ObjectArray
from cohort.intake.workbooks import as_text
from cohort.tables.schema import Column


def assemble(draft: Draft, members: IntArray) -> pd.DataFrame:
    """One row per member (place in `draft.origin`), in the order given."""
    at = draft.origin[members]
    columns: dict[str, object] = {}
    for column in draft.table:
        columns[column.name] = _column(draft, column, members, at)
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(members)))
    carried = draft.mapped.carried.iloc[at].reset_index(drop=True)
    rows = pd.DataFrame({"source_row": draft.mapped.rows[at]})
    return pd.concat([frame, carried, rows], axis=1)


def _column(draft: Draft, column: Column, members: IntArray, at: IntArray) -> object:
    name = column.name
    match column.kind:
        case "date":
            used = draft.used.get(name)
            return to_dates(used[at] if used is not None else np.full(len(at), MISSING, dtype=np.int64))
        case "level":
            if name == "level":
                return _categorical(draft.level[members], spine.LEVEL_DTYPE)
            codes = draft.single_levels.get(name)
            found = codes[at] if codes is not None else np.full(len(at), -1, dtype=np.int64)
            return _categorical(found, spine.LEVEL_DTYPE)
        case "vocabulary" | "yes_no" | "finding":
            codes = precision_codes(draft) if name == "date_precision" else draft.codes.get(name)
            dtype = column.dtype
            assert isinstance(dtype, pd.CategoricalDtype)
            return _categorical(codes[at] if codes is not None else np.full(len(at), -1, dtype=np.int64), dtype)
        case "number" | "integer":
            value = draft.numbers.get(name)
            return value[at] if value is not None else np.full(len(at), np.nan)
        case "set":
            sets = draft.leaks.get(name)
            return sets[members] if sets is not None else np.full(len(at), np.nan, dtype=object)
        case _:
            texts = draft.texts.get(name)
            return _blank_to_missing(texts[at]) if texts is not None else np.full(len(at), np.nan, dtype=object)


def precision_codes(draft: Draft) -> IntArray:
    """Codes of date_precision as read: the registry's own word, or month and year where the date itself says so."""
    vocabulary = draft.table["date_precision"].vocabulary
    codes = draft.codes.get("date_precision", np.full(len(draft.mapped.rows), -1, dtype=np.int64))
    of_date = draft.dates["date"].precision
    for word, precision in PRECISION_CODE.items():
        if precision != dates.DAY:
            codes = np.where(of_date == precision, vocabulary.index(word), codes)
    return codes


def written_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Every column as the text of a canonical file: ISO dates, numbers without a needless `.0`, "" where missing."""
    return pd.DataFrame({name: _text(frame[name]) for name in frame.columns}, index=frame.index)


def _text(column: pd.Series) -> ObjectArray:
    if column.dtype == object:
        filled = column.to_numpy(dtype=object).copy()
        filled[column.isna().to_numpy()] = ""
        if pd.api.types.infer_dtype(filled, skipna=False) in ("string", "empty"):
            return filled
    codes, values = pd.factorize(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        words = [str(value) for value in values]
    elif column.dtype.kind == "M":
        words = [pd.Timestamp(value).date().isoformat() for value in values]
    else:
        words = [as_text(value) for value in values]
    table = np.array([*words, ""], dtype=object)
    return table[codes]


def _blank_to_missing(values: ObjectArray) -> ObjectArray:
    result = values.copy()
    result[values == ""] = np.nan
    return result


def _categorical(codes: IntArray, dtype: pd.CategoricalDtype) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, dtype=dtype)  # type: ignore[arg-type]
