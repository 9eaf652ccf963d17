"""Missing findings are drawn several times from what is known of the patient, the outcome included.

Chained equations (van Buuren 2018, Flexible Imputation of Missing Data, 2nd ed.): column after column is drawn from a
regression on all others, round after round, once for each completed data set. The outcome enters as the event (of each
cause) and the Nelson-Aalen cumulative hazard lived through in (entry, exit] (White and Royston 2009, Stat Med 28:1982):
left out, every hazard ratio would be drawn towards one.

Vertebrae of one patient resemble each other. A value of the patient's is drawn once for the patient, from the means of
his vertebrae and the sums of their events and hazards. A value of a vertebra is drawn from its own row and from what
the patient's other vertebrae have in each column, one vertebra after the other, so that two drawn values of one patient
know of each other.

The draws assume that whether a value is missing depends on what is known alone. `delta` moves the drawn values away
from that: by standard deviations of a number, by log odds of a category.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.design import causes, codes_of, column, numbers, rows_of, zero_one
from cohort.estimate.imputation_chain import Plan, run
from cohort.estimate.imputation_models import NumberModel, hazard_over
from cohort.estimate.imputation_peers import Columns
from cohort.estimate.imputation_records import (
    GRAINS,
    Grains,
    Variable,
    n_not_assessable,
    variable,
    without_not_assessable,
)

NotAssessable = Literal["missing", "category"]


@dataclass(frozen=True)
class Imputed:
    """Completed rows, made one after the other when they are asked for.

    incomplete : the rows given, in their order, with what is missing. drawn : for each imputed column the row numbers
    (k,) and, for each imputation, the values drawn for them (m, k): numbers, or codes of its categories.
    traces : one row per imputation, iteration and column: mean and sd of the values drawn (codes of categories).
    settings : method, seed, models and grains of the columns, what was missing, notes.

    `len` is the number of imputations; iterating gives the completed frames.
    """

    incomplete: pd.DataFrame
    drawn: Mapping[str, tuple[IntArray, FloatArray]]
    traces: pd.DataFrame
    settings: Mapping[str, Any]

    def __len__(self) -> int:
        return int(self.settings["draws"])

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (self.completed(k) for k in range(len(self)))

    def completed(self, imputation: int) -> pd.DataFrame:
        """The rows with the values of imputation 0 to m - 1."""
        filled = {
            name: _with(self.incomplete[name], rows, values[imputation]) for name, (rows, values) in self.drawn.items()
        }
        return self.incomplete.assign(**filled)

    def long(self) -> pd.DataFrame:
        """All completed rows, one imputation below the other, told apart by the column `imputation`."""
        return pd.concat([self.completed(k).assign(imputation=k) for k in range(len(self))], ignore_index=True)

    def complete_cases(self) -> pd.DataFrame:
        """The rows in which no imputed column is missing."""
        result: pd.DataFrame = self.incomplete.dropna(subset=list(self.drawn))
        return result


def impute(
    rows: pd.DataFrame,
    columns: Sequence[str],
    *,
    seed: int,
    predictors: Sequence[str] = (),
    exit: str | None = None,
    event: str | None = None,
    cause: str | None = None,
    entry: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    weight: str | None = None,
    draws: int = 20,
    iterations: int = 10,
    delta: Mapping[str, float] | None = None,
    per_patient: Sequence[str] | None = None,
    numeric: NumberModel = "pmm",
    not_assessable: NotAssessable = "missing",
) -> Imputed:
    """Impute columns of counting-process rows by chained equations.

    rows : one row per unit and interval `(entry, exit]`; columns : numbers, 0/1, or pd.Categorical, to be imputed where
        they are missing; complete ones are predictors and are not touched. Name all that the analysis uses.
    predictors : complete columns that tell of the missing ones and need not be in the analysis.
    exit, event or cause, entry : the outcome, as in `cox` (event 0/1) or `aalen_johansen` (cause 0, 1, 2, ...: each
        cause has its indicator and its hazard). Without them name the outcome among the predictors.
    id : the unit of a row. A column that never changes within an id, missing values included, is drawn once per id.
    cluster : the patient. per_patient : the columns that are the patient's; by default those that agree within patients
        more than chance would have them. Where that cannot be told the columns must be named.
    weight : probability weights; the models are fitted with them, scaled to their effective number. For frequencies
        repeat the rows.
    draws : completed data sets; at least as many as the percentage of incomplete rows is a common rule. Draw k is the
        same whatever their number. iterations : rounds over the columns before a data set is taken.
    delta : column = shift of its drawn values: a number by so many standard deviations of the known values, a category
        by so much on the log odds of the second (of each higher one, if ordered). Other columns see the shifted values.
    numeric : "pmm", one of 5 known values predicted nearest (keeps ranges and shapes; never beyond the known values),
        or "normal", the prediction plus a normal deviate.
    not_assessable : "missing", imputed as if it had not been looked for, never taken as no; or "category", a value of
        its own, also among those drawn.

    Raises EstimationError for a column missing everywhere or with a single known value, for predictors with missing
    values, and where more coefficients than known records would be needed.

    >>> days = pd.DataFrame({"days": [5.0, 8, 9, 12, 14, 20], "event": [1, 1, 0, 1, 0, 0]})
    >>> days["t_score"] = [-3.1, np.nan, -2.0, -2.8, np.nan, -1.5]
    >>> found = impute(days, ["t_score"], exit="days", event="event", draws=2, seed=1)
    >>> [int(frame["t_score"].isna().sum()) for frame in found]
    [0, 0]
    """
    listed = list(columns)
    _refuse_wrong(listed, predictors, draws, iterations, numeric, not_assessable)
    untold = {name: n_not_assessable(column(rows, name, "a column to impute")) for name in listed}
    frame = rows
    if not_assessable == "missing":
        frame = rows.assign(**{name: without_not_assessable(rows[name]) for name, count in untold.items() if count})
    grains, weights, outcome = _rows(frame, exit, event, cause, entry, id, cluster, weight)
    wrong = [name for name in per_patient or () if name not in listed and name not in predictors]
    if wrong:
        raise EstimationError(f"per_patient names {', '.join(wrong)}, neither among the columns nor the predictors.")
    found = [variable(frame, name, grains, per_patient, "to impute") for name in listed]
    beside = [variable(frame, name, grains, per_patient, "a predictor") for name in predictors]
    _refuse_incomplete(frame, predictors)
    incomplete = [one for one in found if not one.known.all()]
    shift = _shifts(delta or {}, incomplete)
    complete = [one for one in found if one.known.all()] + beside
    plan = Plan.of(grains, incomplete, complete, outcome, weights, shift, iterations, numeric)
    notes = plan.small()
    chains = [run(plan, np.random.default_rng([seed, k])) for k in range(draws)]

    missing = {one.name: frame[one.name].isna().to_numpy(dtype=bool) for one in found}
    base, drawn, filled = frame, {}, {}
    for one in (one for one in found if missing[one.name].any()):
        base, filled[one.name] = _filled(base, one, grains, missing[one.name])
        if not one.known.all():
            rows_drawn = np.flatnonzero(missing[one.name] & ~one.known[grains.of_row(one.grain)])
            place = (np.cumsum(~one.known) - 1)[grains.of_row(one.grain)[rows_drawn]]
            values = np.array([chain[0][one.name] for chain in chains])[:, place]
            drawn[one.name] = rows_drawn, _as_written(values, one, base[one.name])
    traces = pd.DataFrame(
        [(k, *step) for k, chain in enumerate(chains) for step in chain[1]],
        columns=["imputation", "iteration", "column", "mean", "sd"],
    )
    settings = {
        "method": "multiple imputation by chained equations",
        "models": {one.name: _model(one, numeric) for one in incomplete},
        "drawn_per": {one.name: GRAINS[one.grain] for one in incomplete},
        "predictors": [one.name for one in complete],
        "outcome": "none" if exit is None else f"'{event or cause}' and the cumulative hazard over its time at risk",
        "draws": draws,
        "iterations": iterations,
        "seed": seed,
        "delta": dict(delta or {}),
        "not_assessable": "imputed as missing" if not_assessable == "missing" else "a category of its own",
        "rows": len(rows),
        "rows_missing": {name: int(rows[name].isna().sum()) for name in listed},
        "rows_not_assessable": untold,
        "rows_filled_within_patient": {name: count for name, count in filled.items() if count},
        "weights": "none" if weight is None else "probability, scaled to their effective number",
        "scale_reduction": scale_reduction(traces),
        "notes": notes,
    }
    return Imputed(base, drawn, traces, settings)


def scale_reduction(traces: pd.DataFrame) -> dict[str, float]:
    """For each column, how much wider all chains' means lie than one chain's: near 1 when iterations were enough.

    Gelman and Rubin (1992) on the means of the drawn values in the second half of the iterations; missing where there
    are fewer than two draws or four iterations, or where the means never change.
    """
    result = {}
    for name, part in traces.groupby("column", sort=False):
        # Rows stand by imputation, and within one by iteration.
        means = part["mean"].to_numpy().reshape(part["imputation"].nunique(), -1)
        late = means[:, means.shape[1] // 2 :]
        length = late.shape[1]
        if len(late) < 2 or length < 2:
            result[str(name)] = np.nan
            continue
        within, between = late.var(axis=1, ddof=1).mean(), late.mean(axis=1).var(ddof=1)
        ratio = (length - 1.0) / length + between / within if within > 0 else np.nan
        result[str(name)] = float(np.sqrt(ratio))
    return result


def _refuse_wrong(
    columns: Sequence[str],
    predictors: Sequence[str],
    draws: int,
    iterations: int,
    numeric: str,
    not_assessable: str,
) -> None:
    named = [*columns, *predictors]
    if not columns:
        raise EstimationError("Name at least one column to impute.")
    if len(set(named)) < len(named):
        raise EstimationError(f"A column is named twice: {', '.join(named)}.")
    if draws < 1 or iterations < 1:
        raise EstimationError(f"There must be at least one draw and one iteration, not {draws} and {iterations}.")
    if numeric not in get_args(NumberModel):
        raise EstimationError(f"numeric must be pmm or normal, and is {numeric!r}.")
    if not_assessable not in get_args(NotAssessable):
        raise EstimationError(f"not_assessable must be missing or category, and is {not_assessable!r}.")


def _refuse_incomplete(frame: pd.DataFrame, predictors: Sequence[str]) -> None:
    for name in predictors:
        missing = int(frame[name].isna().sum())
        if missing:
            raise EstimationError(
                f"Predictor '{name}' is missing in {missing} rows; name it among the columns to impute, or leave it "
                "out."
            )


def _rows(
    df: pd.DataFrame,
    exit_: str | None,
    event: str | None,
    cause: str | None,
    entry: str | None,
    id_: str | None,
    cluster: str | None,
    weight: str | None,
) -> tuple[Grains, FloatArray, Columns]:
    """Whose the rows are, their weights, and the outcome of each as columns: an indicator and a hazard per cause."""
    if (exit_ is None) != (event is None and cause is None) or (event is not None and cause is not None):
        raise EstimationError("Give exit together with event (0/1) or cause (0, 1, 2, ...), one of the two, or none.")
    if exit_ is not None:
        base = rows_of(df, exit_=exit_, entry=entry, weight=weight, id_=id_, cluster=cluster)
        lasting = base.exit - base.entry if entry is not None else np.ones(len(df))
        what = causes(df, cause) if cause is not None else zero_one(df, str(event), "the event").astype(np.int64)
        told = []
        for k in range(1, int(what.max(initial=0)) + 1):
            if (what == k).any():
                told += [(what == k) * 1.0, hazard_over(base.exit, what == k, base.entry, base.weight)]
        return Grains.of(base.id, base.cluster, lasting), base.weight, told
    if entry is not None:
        raise EstimationError("entry is of no use without exit and event.")
    unit, patient = codes_of(df, id_, "the id"), codes_of(df, cluster, "the cluster")
    unit = np.arange(len(df)) if unit is None else unit
    w = np.ones(len(df)) if weight is None else numbers(df, weight, "the weight")
    if (w < 0).any():
        raise EstimationError(f"Column '{weight}' (the weight) is negative in {int((w < 0).sum())} rows.")
    return Grains.of(unit, unit if patient is None else patient, np.ones(len(df))), w, []


def _shifts(delta: Mapping[str, float], incomplete: Sequence[Variable]) -> Mapping[str, float]:
    there = {one.name: one for one in incomplete}
    for name, shift in delta.items():
        if name not in there:
            raise EstimationError(
                f"delta shifts '{name}', of which nothing is drawn; drawn are {', '.join(there) or 'no columns'}."
            )
        if there[name].kind == "category" and not there[name].ordered:
            raise EstimationError(
                f"delta cannot shift '{name}': its {len(there[name].labels)} categories have no order. Make it an "
                "ordered categorical, or shift a column of two categories."
            )
        if not np.isfinite(shift):
            raise EstimationError(f"delta of '{name}' must be a finite number, and is {shift}.")
    return delta


def _filled(frame: pd.DataFrame, one: Variable, grains: Grains, missing: BoolArray) -> tuple[pd.DataFrame, int]:
    """The frame with the column's rows that are missing beside a known value of the same patient, and how many."""
    record = grains.of_row(one.grain)
    rows = np.flatnonzero(missing & one.known[record])
    if not len(rows):
        return frame, 0
    series = frame[one.name]
    values = _as_written(one.values[record[rows]], one, series)
    return frame.assign(**{one.name: _with(series, rows, values)}), len(rows)


def _as_written(values: FloatArray, one: Variable, series: pd.Series) -> FloatArray:
    """Codes of a variable as codes of the column's own categories; numbers as they are."""
    if not isinstance(series.dtype, pd.CategoricalDtype):
        return values
    places = np.array([series.cat.categories.get_loc(label) for label in one.labels], dtype=np.float64)
    return places[values.astype(np.int64)]


def _with(series: pd.Series, rows: IntArray, values: FloatArray) -> pd.Series:
    """The column with values (codes of its categories) at some rows."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        codes[rows] = values
        written = pd.Categorical.from_codes(codes, dtype=series.dtype)  # type: ignore[arg-type]
        return pd.Series(written, index=series.index)
    complete = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    complete[rows] = values
    return pd.Series(complete, index=series.index)


def _model(one: Variable, numeric: NumberModel) -> str:
    if one.kind == "number":
        return "predictive mean matching, 5 donors" if numeric == "pmm" else "linear regression"
    if one.kind == "binary":
        return "logistic regression"
    return "logistic regression of each step " + ("upwards" if one.ordered else "through the categories")
