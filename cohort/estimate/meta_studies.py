"""What studies printed becomes arrays here, and numbers that no study can have are refused.

A study without an event has no logarithm. The likelihood needs none; by inverse variance a half would have to be
added, which then decides the result, and it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.special import expit

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import column, numbers
from cohort.estimate.meta_counts import Counts, pool_counts
from cohort.estimate.meta_recipe import (
    POINTS,
    EffectMeasure,
    Prediction,
    ProportionModel,
    RateModel,
    Recipe,
    double_arcsine,
    proportion_of,
)
from cohort.estimate.meta_tau import Effects, MetaTest, Pooled, Tau2Method, pool
from cohort.estimate.rates import exact_poisson, proportion

UNLIKE_SIZES = 10.0  # of the largest to the smallest study, from which one size for all is said to be doubtful
FEW_STUDIES = 5
MOVES = 0.1  # of a log-likelihood with more points of quadrature, from which it matters


@dataclass(frozen=True)
class Studies:
    """Studies as arrays of shape (k,).

    y, v : estimate and sampling variance on the scale of analysis, missing where a study has none there.
    estimate, low, high : as read, with the study's own limits. events, size : counts of persons or person-time, or
    missing for effects.
    """

    label: npt.NDArray[np.object_]
    y: FloatArray
    v: FloatArray
    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    events: FloatArray
    size: FloatArray
    recipe: Recipe

    def take(self, rows: BoolArray | IntArray) -> Studies:
        """Some of them."""
        arrays = ("label", "y", "v", "estimate", "low", "high", "events", "size")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    def read(self, values: npt.ArrayLike, own_size: bool = False) -> FloatArray:
        """From the scale of analysis to the one read; `own_size`: one value for each study, with its own size."""
        z = np.asarray(values, dtype=np.float64)
        if self.recipe.scale == "identity":
            return z
        if self.recipe.scale == "log":
            with np.errstate(over="ignore"):
                return np.asarray(self.recipe.per * np.exp(z))
        if self.recipe.scale == "logit":
            return np.asarray(expit(z))
        return proportion_of(z, self.size if own_size else 1.0 / np.mean(1.0 / self.size))

    @property
    def counts(self) -> Counts:
        """For a likelihood."""
        return Counts(self.events, self.size, "binomial" if self.recipe.measure == "proportion" else "poisson")

    def pool(self, confidence: float | None) -> Pooled:
        """All of them together, with limits of tau squared unless `confidence` is None."""
        recipe = self.recipe
        if len(self.y) == 1:
            known = Pooled.of_one(float(self.y[0]), float(self.v[0]))
            return known if np.isfinite(self.y[0]) else Pooled.nothing(-np.inf if self.events[0] == 0 else np.inf, 1)
        if recipe.by_likelihood:
            return pool_counts(self.counts, recipe.points, recipe.test, confidence)
        return pool(Effects.alone(self.y, self.v), recipe.tau2, recipe.test, confidence)


def studies_of(
    df: pd.DataFrame,
    *,
    estimate: str | None = None,
    std_error: str | None = None,
    events: str | None = None,
    n: str | None = None,
    person_time: str | None = None,
    method: str | None = None,
    tau2: Tau2Method = "reml",
    test: MetaTest | None = None,
    measure: EffectMeasure = "difference",
    per: float = 1.0,
    points: int = POINTS,
    prediction: Prediction = "hts",
    study: str | None = None,
    confidence: float = 0.95,
) -> Studies:
    """Read studies: effects (`estimate` and `std_error`), proportions (`events` of `n`), or rates (over `person_time`).

    method : for effects the estimate of tau squared; for proportions and rates the model, with `tau2` beside it.
    Raises EstimationError unless exactly one of the three is given, and for numbers that no study can have.
    """
    report.quantile(confidence)
    _one_of("prediction", prediction, get_args(Prediction))
    _one_of("tau2", tau2, get_args(Tau2Method))
    _one_of("test", test or "z", get_args(MetaTest))
    if not len(df):
        raise EstimationError("There is no study to pool.")
    given = [name is not None for name in (estimate, std_error, events, n, person_time)]
    recipe = Recipe("difference", "identity", "inverse variance", tau2, test or "z", points, prediction, confidence)
    if given == [True, True, False, False, False]:
        _one_of("measure", measure, get_args(EffectMeasure))
        way = _one_of("method", method or "reml", get_args(Tau2Method))
        recipe = replace(recipe, tau2=cast(Tau2Method, way), test=test or "hksj")
        if measure == "log_ratio":
            recipe = replace(recipe, measure="ratio", scale="log")
        return _effects(df, str(estimate), str(std_error), study, recipe)
    if given == [False, False, True, True, False]:
        model = _one_of("method", method or "glmm", get_args(ProportionModel))
        recipe = replace(recipe, measure="proportion", scale="logit", method=model)
        if model == "freeman_tukey":
            recipe = replace(recipe, scale="freeman_tukey")
        return _counts(df, str(events), str(n), study, recipe)
    if given == [False, False, True, False, True]:
        model = _one_of("method", method or "glmm", get_args(RateModel))
        return _counts(
            df,
            str(events),
            str(person_time),
            study,
            replace(recipe, measure="rate", scale="log", method=model, per=per),
        )
    raise EstimationError(
        "Give the columns of one kind of study: `estimate` and `std_error` for effects, `events` and `n` for "
        "proportions, or `events` and `person_time` for rates."
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise EstimationError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, and is {value!r}.")
    return value


def _labels(df: pd.DataFrame, study: str | None) -> npt.NDArray[np.object_]:
    if study is None:
        return np.array([str(i + 1) for i in range(len(df))], dtype=object)
    series = column(df, study, "the study")
    missing = int(series.isna().sum())
    if missing:
        raise EstimationError(f"Column '{study}' (the study) is missing in {missing} rows.")
    return series.astype(str).to_numpy(dtype=object)


def _effects(df: pd.DataFrame, estimate: str, std_error: str, study: str | None, recipe: Recipe) -> Studies:
    y, error = numbers(df, estimate, "the estimate"), numbers(df, std_error, "the standard error")
    wrong = int((error <= 0).sum())
    if wrong:
        raise EstimationError(f"'{std_error}' must be positive; it is zero or less in {wrong} of {len(df)} studies.")
    reach, unknown = report.quantile(recipe.confidence) * error, np.full(len(df), np.nan)
    studies = Studies(_labels(df, study), y, error**2, y, y - reach, y + reach, unknown, unknown, recipe)
    return replace(studies, estimate=studies.read(y), low=studies.read(studies.low), high=studies.read(studies.high))


def _counts(df: pd.DataFrame, events: str, size: str, study: str | None, recipe: Recipe) -> Studies:
    y, n = numbers(df, events, "the events"), numbers(df, size, "the size of the studies")
    proportions = recipe.measure == "proportion"
    wrong = (y < 0) | (y != np.rint(y)) | (n <= 0)
    if proportions:
        wrong |= (y > n) | (n != np.rint(n))
    if wrong.any():
        kind = "events out of patients" if proportions else "events and positive person-time"
        raise EstimationError(f"In {int(wrong.sum())} of {len(df)} studies '{events}' and '{size}' are no {kind}.")
    if proportions:
        exact = proportion(y, n, method="exact", confidence=recipe.confidence).frame
        low, high = exact["conf_low"].to_numpy(), exact["conf_high"].to_numpy()
    else:
        low, high = (recipe.per * limit / n for limit in exact_poisson(y, recipe.confidence))
    bare = (y == 0) | (proportions & (y == n))
    if recipe.scale == "freeman_tukey":
        z, v = double_arcsine(y, n), 1.0 / (4.0 * n + 2.0)
    else:
        if bare.any() and not recipe.by_likelihood:
            raise EstimationError(
                f"{int(bare.sum())} of {len(df)} studies have no event{', or nothing else' if proportions else ''}: "
                'no logarithm, and adding a half would decide the result. Take method="glmm", which needs neither.'
            )
        safe, rest = np.where(bare, np.nan, y), n - y if proportions else n
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.log(safe / rest)
            v = 1.0 / safe + (1.0 / rest if proportions else 0.0)
    return Studies(_labels(df, study), z, v, recipe.per * y / n, low, high, y, n, recipe)


def notes_on(studies: Studies, pooled: Pooled, asked: bool = True) -> list[str]:
    """What must be read beside a pooled value; `asked` if limits of tau squared were."""
    recipe, k, said = studies.recipe, pooled.k, list(pooled.notes)
    repeated = k - len(set(studies.label.tolist()))
    if repeated:
        said.append(f"{repeated} rows more than studies: taken as independent, which the same patients are not")
    if np.isinf(pooled.coef[0]):
        what = "no event" if pooled.coef[0] < 0 else "an event in everyone"
        said.append(f"{what} in any study: exact limits of all together, as if they were alike")
    elif k == 1:
        said.append("one study: its own estimate and limits, nothing is pooled")
    elif k < FEW_STUDIES and recipe.tau2 != "fixed":
        said.append(f"only {k} studies: how far studies differ is unsure")
    if pooled.agree:
        said.append(
            'the studies agree exactly: the Hartung-Knapp error is 0 and no limits are given; take test="adhoc"'
        )
    elif recipe.test == "hksj" and k > 1 and _narrower(pooled, recipe):
        said.append('Hartung-Knapp limits are narrower than the plain ones: compare test="adhoc"')
    if recipe.by_likelihood and pooled.tau2 >= 0 and asked and np.isnan(pooled.tau2_high):
        said.append("tau squared has no upper limit: these studies would allow any spread")
    if abs(pooled.loglik_by_more_points) > MOVES:
        said.append("the quadrature is too coarse for such a spread: take more points")
    if pooled.tau2_high == 0.0:
        said.append("the studies are more alike than chance: no tau squared fits, its limits are empty")
    if recipe.scale == "freeman_tukey" and studies.size.max() > UNLIKE_SIZES * studies.size.min():
        said.append("sizes differ more than tenfold: read back with one size, compare method='glmm'")
    return said


def _narrower(pooled: Pooled, recipe: Recipe) -> bool:
    reach = float(stats.t.isf(0.5 - recipe.confidence / 2.0, pooled.df)) * np.sqrt(pooled.factor)
    return bool(reach < report.quantile(recipe.confidence))


def groups_of(
    df: pd.DataFrame, by: str | Sequence[str] | None, taken: Sequence[str]
) -> tuple[list[str], IntArray, pd.DataFrame]:
    """Names of the grouping columns, the group of each study (k,), and a row of labels for each group."""
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    clash = [name for name in names if name in taken]
    if clash:
        raise EstimationError(f"The groups '{clash[0]}' have the name of a column of the result; rename them.")
    for name in names:
        missing = int(column(df, name, "the groups").isna().sum())
        if missing:
            raise EstimationError(f"Column '{name}' (the groups) is missing in {missing} rows; name that group too.")
    if not names:
        return names, np.zeros(len(df), dtype=np.int64), pd.DataFrame(index=range(1))
    code: IntArray = np.asarray(df.groupby(names, sort=True, observed=True).ngroup(), dtype=np.int64)
    first = np.unique(code, return_index=True)[1]
    return names, code, df[names].iloc[first].reset_index(drop=True)
