"""Frames become arrays here, and here only: which rows are used, what each column codes, and whose a row is.

Rows with a missing covariate are left out and counted by covariate. A categorical column gives one 0/1 column per
category but the first present, its reference; a column of text is refused, since its order would be a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.kernel import WeightKind
from cohort.estimate.risk_sets import columns_of, dot


def column(df: pd.DataFrame, name: str, role: str) -> pd.Series:
    """The column that plays `role`, or a sentence that says which there are."""
    if name not in df.columns:
        raise EstimationError(
            f"There is no column '{name}' for {role}; the rows have {', '.join(map(str, df.columns))}."
        )
    return df[name]


def numbers(df: pd.DataFrame, name: str, role: str) -> FloatArray:
    """A complete numeric column, shape (n,)."""
    series = column(df, name, role)
    if isinstance(series.dtype, pd.CategoricalDtype) or not (
        pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)
    ):
        raise EstimationError(f"Column '{name}' ({role}) must hold numbers, and holds {series.dtype}.")
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = int((~np.isfinite(values)).sum())
    if missing:
        raise EstimationError(
            f"Column '{name}' ({role}) is missing or infinite in {missing} of {len(values)} rows; leave these rows out "
            "first, and count them."
        )
    return values


def zero_one(df: pd.DataFrame, name: str, role: str) -> BoolArray:
    """A complete 0/1 column as booleans."""
    values = numbers(df, name, role)
    odd = ~np.isin(values, (0.0, 1.0))
    if odd.any():
        raise EstimationError(
            f"Column '{name}' ({role}) must be 0 or 1; {int(odd.sum())} rows hold other values, such as "
            f"{values[odd][0]:g}. For a column of causes give `of=`, the number of the cause."
        )
    return values == 1.0


def causes(df: pd.DataFrame, name: str) -> IntArray:
    """A column of causes: 0 none or censored, 1, 2, ... (a categorical's first category is 0)."""
    series = column(df, name, "the cause")
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes: IntArray = np.asarray(series.cat.codes, dtype=np.int64)
        if (codes < 0).any():
            raise EstimationError(f"Column '{name}' (the cause) is missing in {int((codes < 0).sum())} rows.")
        return codes
    values = numbers(df, name, "the cause")
    if ((values < 0) | (values != np.rint(values))).any():
        raise EstimationError(f"Column '{name}' (the cause) must be 0 (none or censored), 1, 2, ...")
    return values.astype(np.int64)


def codes_of(df: pd.DataFrame, names: str | Sequence[str] | None, role: str) -> IntArray | None:
    """Codes from 0 for the distinct values (of several columns together), None when no column is named."""
    if names is None:
        return None
    listed = [names] if isinstance(names, str) else list(names)
    if not listed:
        return None
    result: IntArray | None = None
    for name in listed:
        codes, _ = pd.factorize(column(df, name, role), sort=True)
        if (codes < 0).any():
            raise EstimationError(f"Column '{name}' ({role}) is missing in {int((codes < 0).sum())} rows.")
        codes = codes.astype(np.int64)
        result = codes if result is None else result * (int(codes.max(initial=0)) + 1) + codes
    if result is None or len(listed) == 1:
        return result
    codes = np.unique(result, return_inverse=True)[1]
    return codes.astype(np.int64)


def distinct(codes: IntArray) -> int:
    """How many different codes there are.

    >>> distinct(np.array([0, 3, 3]))
    2
    """
    return int(np.count_nonzero(np.bincount(codes)))


@dataclass(frozen=True)
class Rows:
    """Counting-process rows as arrays, all of shape (n,); id and cluster are codes from 0."""

    entry: FloatArray
    exit: FloatArray
    weight: FloatArray
    id: IntArray
    cluster: IntArray
    stratum: IntArray
    clustered: bool

    @property
    def n_patients(self) -> int:
        """Distinct clusters: patients, when the rows were clustered by patient."""
        return distinct(self.cluster)

    @property
    def n_units(self) -> int:
        """Distinct ids."""
        return distinct(self.id)


def rows_of(
    df: pd.DataFrame,
    *,
    exit_: str,
    entry: str | None,
    weight: str | None,
    id_: str | None,
    cluster: str | None,
    strata: str | Sequence[str] | None = None,
    weight_kind: WeightKind = "probability",
) -> Rows:
    """Read and check the columns that every estimator shares.

    Without `entry` rows start before the first event. Rows of one id are one unit (default: each row its own);
    a cluster is a set of ids (default: each id its own). Weights of zero leave a row out of every sum.
    Raises EstimationError for rows without time at risk, overlapping rows of one id, and negative weights.
    """
    out = numbers(df, exit_, "exit")
    n = len(out)
    start = np.full(n, -np.inf) if entry is None else numbers(df, entry, "entry")
    empty = int((out <= start).sum())
    if empty:
        raise EstimationError(
            f"{empty} of {n} rows have exit on or before entry and so no time at risk ('{exit_}' must be greater than "
            f"'{entry}'); leave them out first, and list them in the flow."
        )
    w = np.ones(n) if weight is None else numbers(df, weight, "the weight")
    if (w < 0).any():
        raise EstimationError(f"Column '{weight}' (the weight) is negative in {int((w < 0).sum())} rows.")
    if weight_kind == "frequency" and (w != np.rint(w)).any():
        raise EstimationError(
            f"Column '{weight}' holds weights that are no whole numbers; frequencies must be. "
            'For sampling or inverse-probability weights say weight_kind="probability".'
        )
    units = codes_of(df, id_, "the id")
    groups = codes_of(df, cluster, "the cluster")
    stratum = codes_of(df, strata, "the stratum")
    of_unit = np.arange(n) if units is None else units
    stratum = np.zeros(n, dtype=np.int64) if stratum is None else stratum
    if units is not None:
        _refuse_overlaps(of_unit, stratum, start, out, str(id_))
    repeated = units is not None and distinct(of_unit) < n
    return Rows(start, out, w, of_unit, of_unit if groups is None else groups, stratum, groups is not None or repeated)


def _refuse_overlaps(unit: IntArray, stratum: IntArray, entry: FloatArray, exit_: FloatArray, name: str) -> None:
    starts = np.flatnonzero(np.diff(unit)) + 1
    in_runs = len(starts) + 1 == distinct(unit)
    if in_runs and ((entry[1:] >= exit_[:-1]) | (unit[1:] != unit[:-1])).all():
        return  # the rows of each unit stand together and in order, as stages write them
    order = np.lexsort((exit_, entry, unit, stratum))
    same = (np.diff(unit[order]) == 0) & (np.diff(stratum[order]) == 0)
    overlap = same & (entry[order][1:] < exit_[order][:-1])
    if overlap.any():
        raise EstimationError(
            f"{int(overlap.sum())} rows begin before the row of the same '{name}' ahead of them has ended; rows of one "
            "id may touch but not overlap. If they are different vertebrae, give each its own id and the patient as "
            "cluster."
        )


@dataclass(frozen=True)
class Design:
    """Covariates as numbers: matrix (n, p) of the complete rows, a term per column, and the account of the rest."""

    matrix: FloatArray
    terms: tuple[str, ...]
    variables: tuple[str, ...]
    complete: BoolArray
    missing: Mapping[str, int]
    reference: Mapping[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        """What a reader of the estimates must know about the rows and codings."""
        return {
            "rows": len(self.complete),
            "rows_left_out": int((~self.complete).sum()),
            "rows_missing": dict(self.missing),
            "reference": dict(self.reference),
        }


def design(df: pd.DataFrame, covariates: Iterable[str]) -> Design:
    """Code covariates; a categorical's terms are named `column=category`.

    >>> frame = pd.DataFrame({"age": [70.0, None], "cleft": pd.Categorical(["yes", "no"], ["no", "yes"])})
    >>> design(frame, ["age"]).missing
    {'age': 1}
    """
    listed = list(covariates)
    if not listed:
        raise EstimationError("No covariate was named; a model needs at least one.")
    if len(set(listed)) < len(listed):
        raise EstimationError(f"A covariate is named twice: {', '.join(listed)}.")
    known = {name: _known(column(df, name, "a covariate"), name) for name in listed}
    complete = np.ones(len(df), dtype=bool)
    for name in listed:
        complete &= known[name]
    parts: list[FloatArray] = []
    terms: list[str] = []
    variables: list[str] = []
    reference: dict[str, str] = {}
    whole = bool(complete.all())
    for name in listed:
        series = df[name] if whole else df[name][complete]
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes = series.cat.codes.to_numpy()
            present = [code for code in range(len(series.cat.categories)) if (codes == code).any()]
            if present:
                reference[name] = str(series.cat.categories[present[0]])
            # A categorical with one category left still gives its term, so that the result can say it does not vary.
            for code in present[1:] or present[:1]:
                parts.append((codes == code).astype(np.float64))
                terms.append(f"{name}={series.cat.categories[code]}")
                variables.append(name)
        else:
            parts.append(series.to_numpy(dtype=np.float64, na_value=np.nan))
            terms.append(name)
            variables.append(name)
    # Column after column in memory, as the kernel reads them.
    matrix = np.empty((int(complete.sum()), len(parts)), order="F")
    for k, part in enumerate(parts):
        matrix[:, k] = part
    missing = {name: int((~known[name]).sum()) for name in listed}
    return Design(matrix, tuple(terms), tuple(variables), complete, missing, reference)


def _known(series: pd.Series, name: str) -> BoolArray:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.notna().to_numpy()
    if pd.api.types.is_bool_dtype(series) or pd.api.types.is_numeric_dtype(series):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(values).any():
            raise EstimationError(f"Covariate '{name}' is infinite in {int(np.isinf(values).sum())} rows.")
        result: BoolArray = ~np.isnan(values)
        return result
    raise EstimationError(
        f"Covariate '{name}' holds {series.dtype} values; make it a number or an ordered list of categories "
        "(pd.Categorical), the reference first."
    )


def standardize(x: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Centred and scaled columns with their centre and scale (1 where a column does not vary)."""
    p = x.shape[1]
    centre, scale = np.zeros(p), np.ones(p)
    if not len(x):
        return np.array(x, order="F"), centre, scale
    total = max(float(weight.sum()), 1e-300)

    def column(k: int) -> FloatArray:
        values = x[:, k]
        centre[k] = dot(weight, values) / total
        result: FloatArray = values - centre[k]
        spread = np.sqrt(max(dot(weight, result * result) / total, 0.0))
        if spread > 0 and values.min() < values.max():
            scale[k] = spread
            result /= spread
        return result

    return columns_of(column, p, len(x)), centre, scale


def compressed(codes: IntArray) -> tuple[IntArray, int]:
    """The same groups numbered 0, 1, ... in order of their codes, none left out, and how many there are.

    >>> compressed(np.array([4, 2, 4]))[0].tolist()
    [1, 0, 1]
    """
    present = np.bincount(codes) > 0
    if present.all():
        return codes, len(present)
    return (np.cumsum(present) - 1)[codes], int(present.sum())


def kinds(columns: Sequence[FloatArray | IntArray] | FloatArray) -> tuple[IntArray, IntArray]:
    """The first row of each kind (k,), and the kind of each row (m,): rows are of a kind if all columns (m,) agree.

    Vertebrae of a patient are often alike: what depends on the columns alone is reckoned once per kind.

    >>> [part.tolist() for part in kinds([np.array([2.0, 1.0, 2.0])])]
    [[1, 0], [1, 0, 1]]
    """
    order = np.lexsort(columns)
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in columns:
        values = column[order]
        new[1:] |= values[1:] != values[:-1]
    kind = np.empty(len(order), dtype=np.int64)
    kind[order] = np.cumsum(new) - 1
    return order[new], kind


def refuse_uneven_frequencies(weight: FloatArray, cluster: IntArray, weight_kind: WeightKind) -> None:
    """Refuse frequency weights that differ within a cluster; all (n,)."""
    if weight_kind != "frequency" or not len(weight):
        return
    largest = np.zeros(int(cluster.max()) + 1)
    np.maximum.at(largest, cluster, weight)
    uneven = distinct(cluster[largest[cluster] != weight])
    if uneven:
        raise EstimationError(
            f"Frequency weights differ between the rows of {uneven} clusters: a row of weight 3 stands for three "
            'clusters alike. For other weights say weight_kind="probability".'
        )


def first_and_last(unit: IntArray, entry: FloatArray, exit_: FloatArray) -> tuple[IntArray, IntArray]:
    """Row numbers of each unit's first and last row, in the order of the units' codes."""
    if ((unit[1:] > unit[:-1]) | ((unit[1:] == unit[:-1]) & (entry[1:] > entry[:-1]))).all():
        order = np.arange(len(unit))  # in order already, as stages write them
    else:
        order = np.lexsort((exit_, entry, unit))
    change = np.flatnonzero(np.diff(unit[order])) + 1
    starts = np.concatenate([[0], change]) if len(order) else np.zeros(0, dtype=np.int64)
    ends = np.concatenate([change, [len(order)]]) - 1 if len(order) else np.zeros(0, dtype=np.int64)
    return order[starts].astype(np.int64), order[ends].astype(np.int64)
