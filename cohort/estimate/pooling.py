"""The same analysis of several completed data sets becomes one, with limits that know what was missing.

Estimates are pooled by Rubin's rules (`rubin`) where they are nearest to normal, and read back from there: ratios as
logs, shares as log(-log(share)), other positive measures as logs, the rest as they are (Marshall et al. 2009, BMC Med
Res Methodol 9:57). An estimate that some of the data sets do not give is not replaced by the mean of the others, who
are those with more events; it is missing, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.imputation import impute
from cohort.estimate.rubin import Profile, Rubin, averaged, rubin
from cohort.tables.results import ESTIMATE_COLUMNS, Estimates

Kinds = np.ndarray[Any, np.dtype[np.str_]]
PoolLimits = Literal["auto", "wald"]
KEYS = ESTIMATE_COLUMNS[: ESTIMATE_COLUMNS.index("measure") + 1]
COUNTS = ("n_patients", "n_units", "n_events", "n_risk", "person_years", "n_exposed_events")
OF_ONE_FIT = ("loglik", "score_statistic", "converged", "limits", "statistic", "degrees_of_freedom")
SHARES = ("survival", "incidence", "cumulative_incidence", "proportion", "risk_all_exposed", "risk_none_exposed")
POSITIVE = ("cumulative_hazard", "mean_cumulative_count", "observed_over_expected")
MAY_LACK = 0.05  # share of fits without an estimate beyond which the others do not stand for all


def pool(
    fits: Iterable[Estimates],
    *,
    df: float | None = None,
    limits: PoolLimits = "auto",
    confidence: float = 0.95,
) -> Estimates:
    """Pool the same analysis of several completed data sets.

    fits : Estimates of one estimator, one for each data set. Their rows are found again by outcome, model, term,
        stratum, time, unit and measure, and by further columns of text where these do not tell them apart.
    df : degrees of freedom had nothing been missing; by default those of the fits (column `df`), else endless.
    limits : "auto" averages the profiles of fits whose limits are such (`firth_cox`, `firth_logistic`), "wald" never.

    Returns the rows with estimate, conf_low, conf_high, coef, std_error (of coef; of the estimate where there is none),
    naive_std_error, corrected_std_error (limits are then taken from it), statistic and p_value (of t), df (Barnard and
    Rubin), fmi (fraction of missing information), relative_increase (of the variance), relative_efficiency, n_fits
    (with an estimate), note. Counts are means over the fits. Where more than 5 % of the fits have no finite estimate
    the row is not pooled; tests have no standard error, and are not either. The note says so.
    Raises EstimationError for fewer than two fits and for rows that look alike.

    >>> rows = pd.DataFrame({"broke": [1, 0, 1, 0, 0, 1, 0, 0] * 5, "leak": [1, 1, np.nan, 0, 0, 0, 1, 0] * 5})
    >>> from cohort.estimate.glm import logistic
    >>> drawn = impute(rows, ["leak"], predictors=["broke"], draws=5, seed=1)
    >>> pooled = pool(logistic(frame, outcome="broke", covariates=["leak"]) for frame in drawn).frame
    >>> pooled[["term", "n_fits"]].values.tolist(), bool((pooled["fmi"] > 0).all())
    ([['intercept', 5], ['leak', 5]], True)
    """
    listed = list(fits)
    if len(listed) < 2:
        raise EstimationError(f"{len(listed)} fit cannot be pooled: the variance between fits needs at least two.")
    if limits not in get_args(PoolLimits):
        raise EstimationError(f"limits must be auto or wald, and is {limits!r}.")
    first = listed[0].settings
    stack = _Stack.of(listed)
    scale = _Scale.of(stack)
    complete_df = _mean(stack.numbers("df")) if df is None else np.full(stack.size, df)
    found = _read(stack, scale, np.where(np.isnan(complete_df), np.inf, complete_df), confidence)
    profiled = limits == "auto" and str(first.get("limits", "")).startswith("profile")
    if profiled:
        _average_profiles(found, stack, scale, float(first.get("confidence", 0.95)), confidence)
    columns: dict[str, Any] = {name: stack.words(name) for name in stack.named}
    columns |= {name: _mean(stack.numbers(name)) for name in COUNTS if name in stack.columns}
    columns |= found
    columns["note"] = _notes(stack, scale, found)
    return report.estimates(
        columns,
        {
            **{name: value for name, value in first.items() if name not in OF_ONE_FIT},
            "pooling": "Rubin's rules" + ("; limits from averaged profiles (CLIP)" if profiled else ""),
            "degrees_of_freedom": "Barnard and Rubin",
            "n_fits": len(listed),
            "confidence": confidence,
        },
    )


def impute_and_fit(
    rows: pd.DataFrame,
    fit: Callable[[pd.DataFrame], Estimates],
    columns: Sequence[str],
    *,
    seed: int,
    deltas: Sequence[Mapping[str, float]] = (),
    df: float | None = None,
    limits: PoolLimits = "auto",
    confidence: float = 0.95,
    **options: Any,
) -> Estimates:
    """An analysis of complete cases, of imputed data, and of data imputed otherwise, one below the other.

    fit : the analysis, of a frame; columns, seed, options : of `impute`. deltas : further analyses, each with drawn
        values shifted as its mapping says (`delta` of `impute`), from the same random numbers.

    Returns the rows of each with a column `analysis`: "complete case", "multiple imputation", "delta cleft +0.5", ...
    Complete cases lack no column to impute, and not assessable counts as lacking unless it is a category. The pooled
    rows have the columns of `pool`. settings: those of the pooled fit, with `imputation` (those of `impute`).

    >>> from cohort.estimate.glm import logistic
    >>> df = pd.DataFrame({"broke": [1, 0, 1, 0, 0, 1, 0, 0] * 5, "leak": [1, 1, np.nan, 0, 0, 0, 1, 0] * 5})
    >>> found = impute_and_fit(
    ...     df, lambda rows: logistic(rows, outcome="broke", covariates=["leak"]), ["leak"],
    ...     predictors=["broke"], draws=5, seed=1, deltas=[{"leak": 0.5}],
    ... )
    >>> found.frame.loc[found.frame["term"] == "leak", ["analysis", "n_units"]].values.tolist()
    [['complete case', 35.0], ['multiple imputation', 40.0], ['delta leak +0.5', 40.0]]
    """
    analyses: list[tuple[str, Estimates]] = []
    said: dict[str, Any] = {}
    for shift in [{}, *deltas]:
        drawn = impute(rows, columns, seed=seed, delta=shift, **options)
        if not analyses:
            analyses.append(("complete case", fit(drawn.complete_cases())))
            said = dict(drawn.settings)
        name = "delta " + ", ".join(f"{column} {by:+g}" for column, by in shift.items())
        pooled = pool((fit(frame) for frame in drawn), df=df, limits=limits, confidence=confidence)
        analyses.append((name if shift else "multiple imputation", pooled))
    settings = {**analyses[1][1].settings, "imputation": said, "deltas": [dict(shift) for shift in deltas]}
    return report.estimates(_below(analyses), settings)


@dataclass(frozen=True)
class _Stack:
    """The rows of m fits, found again by what they are of: m fits by `size` rows.

    place : (m, size), where a row stands in a fit, -1 where it has none or another reference category.
    named : columns of words, which all fits have alike.
    """

    frames: tuple[pd.DataFrame, ...]
    place: IntArray
    named: tuple[str, ...]
    columns: frozenset[str]

    @classmethod
    def of(cls, fits: Sequence[Estimates]) -> _Stack:
        frames = tuple(fit.frame for fit in fits)
        columns = frozenset(name for frame in frames for name in frame.columns)
        text = [name for name in frames[0].columns if frames[0][name].dtype == object and name != "note"]
        keys = [name for name in KEYS if name in frames[0].columns]
        more = [name for name in text if name not in keys]
        while more and any(frame.duplicated(keys).any() for frame in frames):
            keys.append(more.pop(0))
        if any(frame.duplicated(keys).any() for frame in frames):
            raise EstimationError(f"Several rows of a fit have the same {', '.join(keys)}; they cannot be told apart.")
        place = _places(frames, keys)
        numeric_keys = [name for name in keys if name not in text]
        stack = cls(frames, place, tuple(dict.fromkeys([*numeric_keys, *text])), columns)
        for k, fit in enumerate(fits):
            place[k, stack._otherwise_coded(fits[0].settings, fit.settings)] = -1
        return stack

    @property
    def size(self) -> int:
        return self.place.shape[1]

    def words(self, name: str) -> Any:
        """A column of words of the first fit that has the row."""
        result = np.empty(self.size, dtype=object)
        unfilled = np.ones(self.size, dtype=bool)
        for frame, place in zip(self.frames, self.place, strict=True):
            fill = unfilled & (place >= 0)
            result[fill] = frame[name].to_numpy(dtype=object)[place[fill]]
            unfilled &= ~fill
        return result if self.frames[0][name].dtype == object else pd.Series(result).astype(self.frames[0][name].dtype)

    def numbers(self, name: str) -> FloatArray:
        """(m, size), missing where a fit has no such row or column."""
        result = np.full(self.place.shape, np.nan)
        for k, frame in enumerate(self.frames):
            if name in frame.columns:
                there = self.place[k] >= 0
                values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
                result[k, there] = values[self.place[k, there]]
        return result

    def _otherwise_coded(self, first: Mapping[str, Any], other: Mapping[str, Any]) -> BoolArray:
        """Rows whose coefficient compares with another category than in the first fit: another question."""
        told, here = dict(first.get("reference") or {}), dict(other.get("reference") or {})
        changed = [name for name in told if here.get(name) != told[name]]
        if not changed or "variable" not in self.named:
            return np.zeros(self.size, dtype=bool)
        result: BoolArray = np.isin(self.words("variable").astype(str), [*changed, "intercept"])
        return result


def _places(frames: Sequence[pd.DataFrame], keys: Sequence[str]) -> IntArray:
    """Where each row that some fit has stands in each fit, (m, size); -1 where it has none."""
    first = [frames[0][name].tolist() for name in keys]
    if all([frame[name].tolist() for name in keys] == first for frame in frames):
        return np.tile(np.arange(len(frames[0])), (len(frames), 1))
    indices = [pd.MultiIndex.from_frame(frame[list(keys)].astype(object)) for frame in frames]
    wanted = indices[0]
    for index in indices[1:]:
        wanted = wanted.append(index[~index.isin(wanted)])
    return np.array([index.get_indexer(wanted) for index in indices], dtype=np.int64)


@dataclass(frozen=True)
class _Scale:
    """Where each row is pooled: "ratio", "linear" (coefficients), "share", "log", "plain" or "none".

    place, error : (m, size) estimates there, and their errors; corrected, naive : the other errors, where there are.
    """

    kind: Kinds
    place: FloatArray
    error: FloatArray
    corrected: FloatArray
    naive: FloatArray

    @classmethod
    def of(cls, stack: _Stack) -> _Scale:
        estimate, coef, error = (stack.numbers(name) for name in ("estimate", "coef", "std_error"))
        corrected, naive = stack.numbers("corrected_std_error"), stack.numbers("naive_std_error")
        has_coef = np.isfinite(coef).any(axis=0)
        measure = stack.words("measure").astype(str) if "measure" in stack.named else np.full(stack.size, "")
        kind = np.full(stack.size, "plain", dtype="U6")
        kind[np.isin(measure, SHARES)] = "share"
        kind[np.isin(measure, POSITIVE) | np.char.startswith(measure.astype("U"), "per ")] = "log"
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            kind[has_coef] = "none"
            kind[has_coef & _same(estimate, coef)] = "linear"
            kind[has_coef & _same(estimate, np.exp(coef))] = "ratio"
            kind[~np.isfinite(error).any(axis=0)] = "none"
            at, slope = np.where(has_coef, coef, estimate), np.ones_like(estimate)
            share, log = kind == "share", kind == "log"
            at = np.where(share, np.log(-np.log(estimate)), np.where(log, np.log(estimate), at))
            slope = np.where(share, estimate * np.abs(np.log(estimate)), np.where(log, estimate, slope))
            at = np.where(np.isfinite(at) & (kind != "none"), at, np.nan)
            return cls(kind, at, error / slope, corrected / slope, naive / slope)


def _same(one: FloatArray, other: FloatArray) -> BoolArray:
    """Columns in which two arrays agree wherever both are finite."""
    there = np.isfinite(one) & np.isfinite(other)
    near = np.abs(one - other) <= 1e-8 * np.abs(other) + 1e-12
    return np.asarray((near | ~there).all(axis=0))


def _read(stack: _Stack, scale: _Scale, complete_df: FloatArray, confidence: float) -> dict[str, FloatArray]:
    """The pooled columns, on the scales of the fits."""
    plain = _enough(rubin(scale.place, scale.error**2, complete_df), len(stack.frames))
    used = np.where(np.isfinite(scale.corrected).any(axis=0), scale.corrected, scale.error)
    by = _enough(rubin(scale.place, used**2, complete_df), len(stack.frames))
    coefficient = np.isin(scale.kind, ("ratio", "linear"))
    share, log = scale.kind == "share", scale.kind == "log"
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        margin = report.quantile(confidence, by.df) * by.std_error
        low, high = (_read_back(scale.kind, by.estimate + side * margin) for side in (-1.0, 1.0))
        estimate = _read_back(scale.kind, by.estimate)
        statistic = by.estimate / by.std_error
        slope = np.select([log, share], [estimate, estimate * np.abs(np.log(estimate))], 1.0)
    tested = coefficient | ((scale.kind == "plain") & np.isfinite(stack.numbers("statistic")).any(axis=0))
    result = {
        "estimate": estimate,
        "conf_low": np.where(share, high, low),
        "conf_high": np.where(share, low, high),
        "std_error": plain.std_error * slope,
    }
    if coefficient.any():
        result["coef"] = np.where(coefficient, by.estimate, np.nan)
    for name, errors in (("naive_std_error", scale.naive), ("corrected_std_error", scale.corrected)):
        if name in stack.columns:
            result[name] = _enough(rubin(scale.place, errors**2), len(stack.frames)).std_error * slope
    _agreed(result, stack)
    return result | {
        "statistic": np.where(tested, statistic, np.nan),
        "df": by.df,
        "p_value": np.where(tested, report.two_sided(statistic, by.df), np.nan),
        "fmi": by.fmi,
        "relative_increase": by.relative_increase,
        "relative_efficiency": by.efficiency,
        "n_fits": by.n_fits.astype(np.int64),
    }


def _read_back(kind: Kinds, values: FloatArray) -> FloatArray:
    """From where rows are pooled to the scale on which they are read."""
    ratio = (kind == "ratio") | (kind == "log")
    result: FloatArray = np.where(ratio, np.exp(values), np.where(kind == "share", np.exp(-np.exp(values)), values))
    return result


def _enough(found: Rubin, m: int) -> Rubin:
    """Missing where too many of m fits have no estimate."""
    few = found.n_fits < (1.0 - MAY_LACK) * m
    blank = {name: np.where(few, np.nan, value) for name, value in vars(found).items() if name != "n_fits"}
    return Rubin(found.n_fits, **blank)


def _agreed(result: dict[str, FloatArray], stack: _Stack) -> None:
    """Estimates that have no place on their scale, as a share of 0, stand where all fits agree."""
    estimate, error = stack.numbers("estimate"), stack.numbers("std_error")
    same = np.isnan(result["estimate"]) & (estimate == estimate[0]).all(axis=0) & (error == 0).all(axis=0)
    result["estimate"] = np.where(same, estimate[0], result["estimate"])
    result["std_error"] = np.where(same, 0.0, result["std_error"])


def _average_profiles(
    found: dict[str, FloatArray], stack: _Stack, scale: _Scale, of_fits: float, confidence: float
) -> None:
    """Put limits and p-values of averaged profiles in the place of those of t, where every fit has both its limits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.log(stack.numbers("conf_low")), np.log(stack.numbers("conf_high"))
    root, depth = stack.numbers("statistic"), report.quantile(of_fits)
    whole = np.isfinite(scale.place) & np.isfinite(low) & np.isfinite(high)
    for j in np.flatnonzero((scale.kind == "ratio") & (found["n_fits"] >= 2) & np.isfinite(found["estimate"])):
        there = np.isfinite(scale.place[:, j])
        if not whole[there, j].all():
            continue
        profiles = [
            Profile.of(low[k, j], scale.place[k, j], high[k, j], root[k, j], depth) for k in np.flatnonzero(there)
        ]
        lower, upper, p = averaged(profiles, confidence)
        with np.errstate(over="ignore"):
            found["conf_low"][j], found["conf_high"][j], found["p_value"][j] = np.exp(lower), np.exp(upper), p
        found["statistic"][j] = np.copysign(report.quantile(1.0 - p), found["coef"][j]) if 0.0 < p < 1.0 else np.nan
        found["df"][j] = np.nan


def _notes(stack: _Stack, scale: _Scale, found: Mapping[str, FloatArray]) -> list[str]:
    m, result = len(stack.frames), []
    words = [frame["note"].astype(str).to_numpy() if "note" in frame.columns else None for frame in stack.frames]
    for j in range(stack.size):
        parts: dict[str, int] = {}
        for of_fit, place in zip(words, stack.place[:, j], strict=True):
            if of_fit is not None and place >= 0:
                for part in filter(None, of_fit[place].split("; ")):
                    parts[part] = parts.get(part, 0) + 1
        absent, pooled = int((stack.place[:, j] < 0).sum()), int(found["n_fits"][j])
        said = []
        if absent:
            said.append(f"the term is absent, or compared with another category, in {absent} of {m} imputations")
        if scale.kind[j] == "none" and pooled == 0:
            said.append("no coefficient with a standard error: not pooled")
        elif np.isnan(found["estimate"][j]):
            said.append(f"no finite estimate in {m - pooled} of {m} imputations: not pooled")
        elif pooled == 0:
            said.append("the same in every imputation, without an error")
        elif pooled < m:
            said.append(f"no finite estimate in {m - pooled} of {m} imputations, left out")
        if found["fmi"][j] * 100.0 > m:
            said.append(f"{m} imputations are few where {found['fmi'][j]:.0%} of the information is missing")
        said += [part if count == m else f"{part} (in {count} of {m} imputations)" for part, count in parts.items()]
        result.append("; ".join(said))
    return result


def _mean(values: FloatArray) -> FloatArray:
    """Means over fits of (m, q), without those missing."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    result: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result


def _below(analyses: Sequence[tuple[str, Estimates]]) -> dict[str, Any]:
    """Columns of several frames, one below the other; missing, or empty words, where one lacks a column."""
    frames = [found.frame for _, found in analyses]
    result: dict[str, Any] = {}
    for name in dict.fromkeys(column for frame in frames for column in frame.columns):
        parts: list[Any] = []
        for frame in frames:
            text = any(name in one.columns and one[name].dtype == object for one in frames)
            blank: Any = "" if text else np.nan
            parts += frame[name].tolist() if name in frame.columns else [blank] * len(frame)
        result[name] = parts
    result["analysis"] = [name for name, found in analyses for _ in range(len(found))]
    return result
