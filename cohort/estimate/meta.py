"""Studies pooled leave as one table: a row for each study, one for what they say together, one for a study to come.

The pooled row answers "what is the mean, and how surely is it known"; the prediction row "what will the next place
see" (Higgins, Thompson and Spiegelhalter 2009, J R Stat Soc A 172:137): its limits hold the spread between studies,
which more studies do not shrink. A registry of one place is compared with the second, never with the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from cohort.domain.clock import FloatArray
from cohort.estimate import report
from cohort.estimate.meta_recipe import POINTS, EffectMeasure, Prediction, ProportionModel, RateModel
from cohort.estimate.meta_studies import Studies, groups_of, notes_on, studies_of
from cohort.estimate.meta_tau import MetaTest, Pooled, Tau2Method
from cohort.estimate.rates import exact_poisson, proportion
from cohort.tables.results import Estimates

SPREAD = ("tau2", "tau2_low", "tau2_high", "i2", "i2_low", "i2_high", "h2", "q", "q_df", "q_p_value")
NUMBERS = (
    "n_studies", "n_patients", "n_events", "person_time", "estimate", "conf_low", "conf_high", "coef", "std_error",
    "statistic", "df", "p_value", "weight", "shrunken", *SPREAD,
)  # fmt: skip
TAKEN = ("row", "study", "outcome", "measure", "note", *NUMBERS)


def meta_proportions(
    df: pd.DataFrame,
    *,
    events: str,
    n: str,
    method: ProportionModel = "glmm",
    tau2: Tau2Method = "reml",
    test: MetaTest = "z",
    study: str | None = None,
    by: str | Sequence[str] | None = None,
    prediction: Prediction = "hts",
    points: int = POINTS,
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """Pool proportions of studies.

    df : one row per study, `events` out of `n` patients. study : its name, else its number. by : subgroups, each with
        a tau squared of its own, such as the definition of the outcome; `settings["between_*"]` test their difference.
    method : "glmm", a random-intercept logistic model by maximum likelihood with `points` of quadrature (metafor's
        `rma.glmm`, measure PLO, takes 7), which needs no event in a study; "freeman_tukey", double arcsines by inverse
        variance; "logit", log odds by inverse variance, refused where a study has no event or only events.
    tau2 : its estimate for the latter two. test : limits by "z", "t", and not for "glmm" "hksj" or "adhoc".
    prediction : "hts", t with k - 2 degrees of freedom; "as_test", the quantile of the test, as R's `predict`.

    Returns for each subgroup a row of every study (`row` "study": exact Clopper-Pearson limits), then "pooled", then
    "prediction": estimate, conf_low, conf_high, coef and std_error (log odds or double arcsine), weight (shares),
    shrunken (a study's own value, drawn towards the others); and in pooled rows n_studies, n_patients, n_events, tau2,
    i2 (a share) and their limits, h2, q, q_df, q_p_value (Cochran's; of the likelihood ratio for "glmm"), note.
    `settings` hold the same for all studies together without subgroups, and for "glmm" `mean_over_studies`: the mean of
    the proportions, nearer a half than the proportion of the study in the middle, which `estimate` is.
    With no event in any study the pooled row has the exact limits of all together, and the note says so.

    >>> df = pd.DataFrame({"events": [3, 9, 4, 0, 12, 5], "n": [50, 60, 70, 40, 130, 90]})
    >>> pooled = meta_proportions(df, events="events", n="n").frame.query("row != 'study'")
    >>> pooled[["row", "estimate", "conf_low", "conf_high"]].round(3).to_numpy().tolist()
    [['pooled', 0.071, 0.044, 0.112], ['prediction', 0.071, 0.024, 0.192]]
    """
    studies = studies_of(
        df, events=events, n=n, method=method, tau2=tau2, test=test, prediction=prediction, points=points,
        study=study, confidence=confidence,
    )  # fmt: skip
    return _estimates(df, studies, by, outcome)


def meta_rates(
    df: pd.DataFrame,
    *,
    events: str,
    person_time: str,
    method: RateModel = "glmm",
    tau2: Tau2Method = "reml",
    test: MetaTest = "z",
    per: float = 1.0,
    study: str | None = None,
    by: str | Sequence[str] | None = None,
    prediction: Prediction = "hts",
    points: int = POINTS,
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """Pool rates of studies, per `per` units of person-time.

    df : one row per study, `events` over `person_time`. method : "glmm", Poisson counts around rates that are normal on
        the log scale, by maximum likelihood (metafor's `rma.glmm`, measure IRLN); "log", log rates by inverse variance,
        refused where a study has no event. The other options and the result are those of `meta_proportions`; limits of
        studies are Garwood's, and `person_time` is summed in place of n_patients.

    >>> df = pd.DataFrame({"events": [3, 9, 1, 0], "years": [110, 260, 170, 80]})
    >>> pooled = meta_rates(df, events="events", person_time="years", per=100).frame.query("row == 'pooled'")
    >>> pooled[["estimate", "conf_low", "conf_high", "tau2"]].round(2).to_numpy().tolist()
    [[1.68, 0.62, 4.56, 0.27]]
    """
    studies = studies_of(
        df, events=events, person_time=person_time, method=method, tau2=tau2, test=test, per=per, prediction=prediction,
        points=points, study=study, confidence=confidence,
    )  # fmt: skip
    return _estimates(df, studies, by, outcome)


def meta_effects(
    df: pd.DataFrame,
    *,
    estimate: str,
    std_error: str,
    method: Tau2Method = "reml",
    test: MetaTest = "hksj",
    measure: EffectMeasure = "difference",
    study: str | None = None,
    by: str | Sequence[str] | None = None,
    prediction: Prediction = "hts",
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """Pool effects of studies by inverse variance: random effects, Hartung-Knapp limits, and a prediction interval.

    df : one row per study. estimate, std_error : differences, or with measure="log_ratio" logarithms of ratios and
        their errors (`log_ratio` turns printed limits of a ratio into these); results then are ratios.
    method : of tau squared: "reml", "dl", "ml", "pm", or "fixed" for one common effect. test : "hksj" (metafor's
        test="knha"), "adhoc" (the same, never narrower than the plain error makes it), "t", "z".
    The other options and the result are those of `meta_proportions`; pooled rows have statistic, df and p_value too.

    >>> df = pd.DataFrame({"log_hr": [0.1, 0.5, 0.9, 0.3], "se": [0.14] * 4, "paper": ["A", "B", "C", "D"]})
    >>> found = meta_effects(df, estimate="log_hr", std_error="se", measure="log_ratio", study="paper").frame
    >>> found[found["row"] != "study"][["row", "estimate", "conf_low", "conf_high"]].round(2).to_numpy().tolist()
    [['pooled', 1.57, 0.91, 2.7], ['prediction', 1.57, 0.34, 7.23]]
    """
    studies = studies_of(
        df, estimate=estimate, std_error=std_error, method=method, test=test, measure=measure, prediction=prediction,
        study=study, confidence=confidence,
    )  # fmt: skip
    return _estimates(df, studies, by, outcome)


def log_ratio(low: FloatArray, high: FloatArray, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """The logarithm of a ratio and its standard error, from printed limits that are symmetric on the log scale.

    The printed ratio should be the first to its last digit; where it is not, something was misprinted.

    >>> y, error = log_ratio(np.array([1.93]), np.array([4.57]))
    >>> np.exp(y).round(2).tolist(), error.round(3).tolist()
    ([2.97], [0.22])
    """
    y, reach = (np.log(low) + np.log(high)) / 2.0, (np.log(high) - np.log(low)) / 2.0
    return y, reach / report.quantile(confidence)


def _estimates(df: pd.DataFrame, studies: Studies, by: str | Sequence[str] | None, outcome: str) -> Estimates:
    confidence = studies.recipe.confidence
    names, code, labels = groups_of(df, by, TAKEN)
    parts = [studies.take(code == group) for group in range(len(labels))]
    pools = [part.pool(confidence) for part in parts]
    whole = pools[0] if len(parts) == 1 else studies.pool(confidence)
    rows = pd.concat([_rows(part, pooled) for part, pooled in zip(parts, pools, strict=True)], ignore_index=True)
    lengths = [len(part.y) + 2 for part in parts]
    columns: dict[str, Any] = {name: labels[name].repeat(lengths).reset_index(drop=True) for name in names}
    columns |= {"row": rows["row"], "study": rows["study"], "outcome": outcome, "measure": studies.recipe.measure}
    columns |= {name: rows[name] for name in NUMBERS if name in rows}
    settings = {
        **studies.recipe.settings,
        "by": names,
        "n_studies": whole.k,
        **dict(zip(SPREAD, _spread(whole), strict=True)),
        "loglik": whole.loglik,
        "loglik_by_more_points": whole.loglik_by_more_points,
        "mean_over_studies": _mean_over_studies(studies, whole),
        **_between(pools),
    }
    return report.estimates({**columns, "note": rows["note"]}, settings)


def _rows(studies: Studies, pooled: Pooled) -> pd.DataFrame:
    """The studies of one group, what they say together, and the study to come."""
    k, notes = pooled.k, notes_on(studies, pooled)
    coef, error = float(pooled.coef[0]), pooled.std_error
    low, high = _limits(studies, pooled)
    centre = float(studies.estimate[0]) if k == 1 else float(studies.read(coef))
    ahead_low, ahead_high, ahead_error, ahead_df, why = _prediction(studies, pooled)
    after = [math.nan, math.nan]
    statistic = coef / error if error > 0 else math.nan
    rows: dict[str, Any] = {
        "row": ["study"] * k + ["pooled", "prediction"],
        "study": [*studies.label, "", ""],
        "n_studies": [1] * k + [k, k],
        "estimate": [*studies.estimate, centre, centre],
        "conf_low": [*studies.low, low, ahead_low],
        "conf_high": [*studies.high, high, ahead_high],
        "coef": [*studies.y, *([coef, coef] if np.isfinite(coef) else after)],
        "std_error": [*np.sqrt(studies.v), error, ahead_error],
        "weight": [*pooled.hat, *after],
        "shrunken": [*studies.read(pooled.shrunken, own_size=True), *after],
        "df": [math.nan] * k + [pooled.df, ahead_df],
        "note": [""] * k + ["; ".join(notes), why],
    }
    measure = studies.recipe.measure
    if measure in ("difference", "ratio"):
        p_value = float(report.two_sided(np.array([statistic]), _freedom(pooled.df))[0])
        rows["statistic"] = [math.nan] * k + [statistic, math.nan]
        rows["p_value"] = [math.nan] * k + [p_value, math.nan]
    else:
        total = float(studies.size.sum())
        rows["n_patients" if measure == "proportion" else "person_time"] = [*studies.size, total, math.nan]
        rows["n_events"] = [*studies.events, float(studies.events.sum()), math.nan]
    rows |= {name: [math.nan] * k + [value, math.nan] for name, value in zip(SPREAD, _spread(pooled), strict=True)}
    return pd.DataFrame(rows)


def _freedom(df: float) -> FloatArray | None:
    return None if np.isnan(df) else np.array([df])


def _spread(pooled: Pooled) -> list[float]:
    shares = [pooled.i2_at(pooled.tau2_low), pooled.i2_at(pooled.tau2_high)]
    return [
        pooled.tau2, pooled.tau2_low, pooled.tau2_high, pooled.i2, *shares, pooled.h2, pooled.q, pooled.q_df,
        pooled.q_p_value,
    ]  # fmt: skip


def _quantile(confidence: float, df: float) -> float:
    freedom = _freedom(df)
    return report.quantile(confidence) if freedom is None else float(report.quantile(confidence, freedom)[0])


def _limits(studies: Studies, pooled: Pooled) -> tuple[float, float]:
    confidence, coef = studies.recipe.confidence, float(pooled.coef[0])
    if pooled.k == 1:
        return float(studies.low[0]), float(studies.high[0])
    if np.isinf(coef):
        events, size = studies.events.sum(keepdims=True), studies.size.sum(keepdims=True)
        if studies.recipe.measure == "proportion":
            exact = proportion(events, size, method="exact", confidence=confidence).frame
            return float(exact["conf_low"].iloc[0]), float(exact["conf_high"].iloc[0])
        return 0.0, float(studies.recipe.per * exact_poisson(events, confidence)[1][0] / size[0])
    reach = _quantile(confidence, pooled.df) * pooled.std_error
    low, high = studies.read(np.array([coef - reach, coef + reach]))
    return float(low), float(high)


def _prediction(studies: Studies, pooled: Pooled) -> tuple[float, float, float, float, str]:
    """Limits for a study to come, its error, the degrees of freedom, and why there are none."""
    recipe, nothing = studies.recipe, (math.nan, math.nan, math.nan, math.nan)
    if recipe.tau2 == "fixed" and not recipe.by_likelihood:
        return *nothing, "one effect common to all studies leaves nothing to predict"
    fewest = 3 if recipe.prediction == "hts" else 2
    if pooled.k < fewest:
        return *nothing, f"{fewest} studies are needed to predict another"
    error = math.sqrt(pooled.tau2 + pooled.std_error**2) if np.isfinite(pooled.coef[0]) else math.nan
    if np.isnan(error):
        return *nothing, "no error of the pooled value, and no prediction"
    df = float(pooled.k - 2) if recipe.prediction == "hts" else pooled.df
    coef, reach = float(pooled.coef[0]), _quantile(recipe.confidence, df) * error
    low, high = studies.read(np.array([coef - reach, coef + reach]))
    return float(low), float(high), error, df, ""


def _mean_over_studies(studies: Studies, pooled: Pooled) -> float:
    """Mean of the proportions or rates over studies as the model has them; missing where it has none."""
    coef, sd = float(pooled.coef[0]), math.sqrt(pooled.tau2)
    if studies.recipe.scale == "logit":
        nodes, weights = np.polynomial.hermite_e.hermegauss(99)
        return float(weights @ expit(coef + sd * nodes) / weights.sum())
    if studies.recipe.measure == "rate":
        return studies.recipe.per * math.exp(coef + sd**2 / 2.0)
    return math.nan


def _between(pools: Sequence[Pooled]) -> dict[str, float]:
    """Whether groups differ: their pooled values around the mean, weighted by their errors, tau squared in each."""
    known = [pooled for pooled in pools if np.isfinite(pooled.coef[0]) and pooled.std_error > 0]
    if len(known) < 2:
        return {"between_statistic": math.nan, "between_df": math.nan, "between_p_value": math.nan}
    coef = np.array([pooled.coef[0] for pooled in known])
    weight = np.array([pooled.std_error**-2 for pooled in known])
    statistic = float(weight @ (coef - weight @ coef / weight.sum()) ** 2)
    df = len(known) - 1
    return {
        "between_statistic": statistic,
        "between_df": df,
        "between_p_value": float(stats.chi2.sf(statistic, df)),
    }
