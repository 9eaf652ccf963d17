"""What is missing together: a finding that could not be told is not one that nobody looked for, and neither is "no".

Each column of a row is known, not assessable (looked for, and could not be told) or missing (never looked for, or
lost). A pattern is what these states are over several columns at once; which patterns there are decides whether
complete cases are few, and whether one column can stand in for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of, column
from cohort.estimate.tableone import NOT_ASSESSABLE
from cohort.tables.results import Estimates

STATES = ("known", "not assessable", "missing")
KNOWN, UNTOLD, MISSING = range(3)
ALL_KNOWN = "all known"


def states_of(series: pd.Series) -> IntArray:
    """0 known, 1 not assessable, 2 missing; shape (n,).

    >>> states_of(pd.Series(["yes", "not_assessable", None])).tolist()
    [0, 1, 2]
    """
    missing = series.isna().to_numpy(dtype=bool)
    if isinstance(series.dtype, pd.CategoricalDtype):
        untold = not_assessable_of(series)
    elif pd.api.types.is_numeric_dtype(series):
        untold = np.zeros(len(series), dtype=bool)
    else:
        untold = series.eq(NOT_ASSESSABLE).fillna(False).to_numpy(dtype=bool)
    return np.where(missing, MISSING, np.where(untold, UNTOLD, KNOWN)).astype(np.int64)


def not_assessable_of(series: pd.Series) -> BoolArray:
    """Where a categorical says `not_assessable`; shape (n,)."""
    if NOT_ASSESSABLE not in series.cat.categories:
        return np.zeros(len(series), dtype=bool)
    result: BoolArray = series.cat.codes.to_numpy() == series.cat.categories.get_loc(NOT_ASSESSABLE)
    return result


def missing_patterns(
    df: pd.DataFrame, columns: Sequence[str], *, id: str | None = None, cluster: str | None = None
) -> Estimates:
    """Count what is known, not assessable and missing, column by column and together.

    df : rows; id : the unit a row belongs to (default: each row its own); cluster : the patient (default: the unit).

    Returns two kinds of rows. Measure "state": term (a column), `state`, n_units and n_patients with a row in that
    state, estimate (share of all units). Measure "pattern", the commonest first: term (in words, "all known" or what is
    not), a column per name of `columns` with its state, and the same counts. `n_rows` stands beside both. The shares
    of a column, and of the patterns, add to 1 unless a unit changes between its rows; the note then says how many do.
    Raises EstimationError for an unknown column and where there are no rows.

    >>> df = pd.DataFrame({"cleft": ["yes", "not_assessable", None, "no"], "t_score": [-2.5, -3.0, None, -1.0]})
    >>> found = missing_patterns(df, ["cleft", "t_score"]).frame
    >>> found.loc[found["measure"] == "pattern", ["term", "n_units", "estimate"]].values.tolist()
    [['all known', 2, 0.5], ['cleft missing, t_score missing', 1, 0.25], ['cleft not assessable', 1, 0.25]]
    """
    names = list(columns)
    if not names or len(set(names)) < len(names):
        raise EstimationError("Name at least one column whose missing values are to be counted, and each once.")
    if not len(df):
        raise EstimationError("There are no rows whose missing values could be counted.")
    states = np.column_stack([states_of(column(df, name, "the missing values")) for name in names])
    of_row = np.arange(len(df))
    unit = codes_of(df, id, "the id")
    unit = of_row if unit is None else unit
    patient = codes_of(df, cluster, "the cluster")
    patient = unit if patient is None else patient
    n_units = _distinct(unit)

    def counts(rows: BoolArray) -> dict[str, Any]:
        units = _distinct(unit[rows])
        share = units / n_units
        return {"n_rows": int(rows.sum()), "n_units": units, "n_patients": _distinct(patient[rows]), "estimate": share}

    found: list[dict[str, Any]] = []
    for j, name in enumerate(names):
        parts = [(state, counts(states[:, j] == state)) for state in range(3)]
        note = _changing(sum(part["n_units"] for _, part in parts), n_units)
        found += [{"measure": "state", "term": name, "state": STATES[k], **part, "note": note} for k, part in parts]
    distinct, of_pattern = np.unique(states, axis=0, return_inverse=True)
    of_pattern = of_pattern.reshape(-1)
    patterns = [(pattern, counts(of_pattern == k)) for k, pattern in enumerate(distinct)]
    note = _changing(sum(part["n_units"] for _, part in patterns), n_units)
    for pattern, part in sorted(patterns, key=lambda one: (-one[1]["n_units"], _words(one[0], names))):
        said = {name: STATES[k] for name, k in zip(names, pattern, strict=True)}
        found.append({"measure": "pattern", "term": _words(pattern, names), "state": "", **part, "note": note, **said})
    frame = pd.DataFrame(found)
    frame[names] = frame[names].fillna("")
    return report.estimates(
        dict(frame),
        {
            "method": "patterns of missing values",
            "columns": tuple(names),
            "n_patterns": len(distinct),
            "n_rows": len(df),
            "n_units": n_units,
            "n_patients": _distinct(patient),
            "not_assessable": "a state of its own, neither known nor missing",
        },
    )


def _distinct(codes: IntArray) -> int:
    return len(np.unique(codes))


def _words(pattern: IntArray, names: Sequence[str]) -> str:
    said = [f"{name} {STATES[k]}" for name, k in zip(names, pattern, strict=True) if k != KNOWN]
    return ", ".join(said) or ALL_KNOWN


def _changing(counted: int, n_units: int) -> str:
    more = counted - n_units
    return f"units that change between their rows are counted in each state: {more} more than units" if more else ""
