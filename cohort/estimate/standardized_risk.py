"""How many would have refractured if all had had the exposure, and if none had: risks, not ratios of odds or hazards.

Standardization (g-computation; Robins 1986; Hernan and Robins, Causal Inference: What If, chapter 13): a model of the
outcome predicts the risk of every unit as it is but with, and then without, the exposure, and each is averaged over
all. The difference and the ratio of the two are those of the population under study, whatever the model's own scale.
They are effects only if the covariates are known at entry and account for who was exposed, if each kind of unit could
have been either (see `exposure_probability` in the settings), and if the model is right.

The covariates are what was observed: this standardizes to the distribution of the cohort itself. Models and
variances: `standardized_models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.cox import select
from cohort.estimate.curves import ConfType, limits
from cohort.estimate.design import Design, Rows, causes, codes_of, column, design, distinct, first_and_last, rows_of
from cohort.estimate.glm import fit_glm
from cohort.estimate.ipcw import censoring_weights
from cohort.estimate.kernel import Ties
from cohort.estimate.standardized_models import Arms, Losses, cox_arms, logistic_arms
from cohort.tables.results import Estimates

RiskMethod = Literal["logistic_ipcw", "cox"]
MEASURES = ("risk_all_exposed", "risk_none_exposed", "risk_difference", "risk_ratio")
EXTREME = 0.05  # a probability of exposure this near 0 or 1 is extreme
METHODS = {
    "logistic_ipcw": "standardization of a logistic model at the horizon, inverse probability of censoring weights",
    "cox": "standardization of the incidence from Cox models of each cause",
}
VARIANCES = {
    "logistic_ipcw": "influence of population, model and losses (weights as estimated), summed over clusters",
    "cox": "influence of population, coefficients and baselines, summed over clusters",
}


def standardized_risk(
    rows: pd.DataFrame,
    exposure: str,
    *,
    covariates: Sequence[str],
    exit: str,
    cause: str,
    horizon: float,
    of: int = 1,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    method: RiskMethod = "logistic_ipcw",
    censoring_by: str | Sequence[str] | None = None,
    between: tuple[float, float] | None = None,
    ties: Ties = "efron",
    conf_type: ConfType = "log-log",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Risk of an event by the horizon if all were exposed and if none were, with difference and ratio.

    rows : counting-process rows as in `ipcw_logistic`; exposure : 0/1, known at entry and fixed. covariates : what to
        adjust for, fixed at entry; an empty list gives crude risks. horizon : on the scale of exit.
    cause : 0 none or censored, 1, 2, ...; `of` is the event, the others compete: after them it cannot happen.
    method : "logistic_ipcw", the model of `ipcw_logistic` (of those who enter first; later entries are left out and
        counted), or "cox", a Cox model of each cause (late entries at risk from their entry; `ties` as in `cox`).
    weight : probability weights, of the population too. censoring_by : as in `ipcw_logistic`.
    between : (none, all), two values of an exposure that is a number, which enters the model as a line; "all exposed"
        is everybody at the second, "none exposed" everybody at the first.
    conf_type : scale of the limits of the risks; those of the difference are plain, those of the ratio logarithmic.

    Returns four rows, measure "risk_all_exposed", "risk_none_exposed", "risk_difference" and "risk_ratio": estimate,
    conf_low, conf_high, std_error (robust, over clusters; of the log for the ratio), statistic, p_value, n_patients,
    n_units (averaged over), n_events (of the cause by the horizon), `n_lost` (before it), note.
    `settings` hold what to look at first: `predicted_risk` (lowest and highest, of all exposed and none),
    `exposure_probability` (lowest and highest by a logistic model of the covariates), `share_extreme` (of units within
    0.05 of 0 or 1), `rows_left_out` for missing values, `n_late_entry` and `largest_weight`.

    >>> days = pd.DataFrame({"exit": [2, 9, 9, 4, 9, 9, 3, 9], "cause": [1, 0, 0, 2, 0, 0, 1, 0]})
    >>> days["leak"], days["old"] = [1, 1, 0, 0, 1, 1, 0, 0], [1, 0, 0, 1, 0, 1, 1, 0]
    >>> risk = standardized_risk(days, "leak", covariates=[], exit="exit", cause="cause", horizon=5).frame
    >>> risk["estimate"].round(3).tolist()
    [0.25, 0.25, 0.0, 1.0]
    """
    if method not in METHODS:
        raise EstimationError(f"method must be logistic_ipcw or cox, and is {method!r}.")
    if not horizon > 0:
        raise EstimationError(f"The horizon must be greater than zero, and is {horizon}.")
    if exposure in covariates:
        raise EstimationError(f"'{exposure}' is the exposure, and cannot be a covariate as well.")
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster)
    what = causes(rows, cause)
    if between is None:
        _zero_one(rows, exposure)
    else:
        rows = _as_steps(rows, exposure, between)
    first, last = first_and_last(base.id, base.entry, base.exit)
    plan = design(rows, [exposure, *covariates])
    groups = codes_of(rows, censoring_by, "the censoring groups")
    settings: dict[str, Any] = {
        "method": METHODS[method],
        "variance": VARIANCES[method],
        "horizon": horizon,
        "of": of,
        "exposure": exposure,
        "covariates": list(covariates),
        "between": between,
        "conf_type": conf_type,
        "confidence": confidence,
        "weights": "probability" if weight is not None else "none",
        **plan.settings,
    }
    if method == "cox":
        _refuse_changes(plan, base, first)
        arms, told, units = _by_cox(plan, base, what, first, of, horizon, ties)
    else:
        stratum = np.zeros(len(first), dtype=np.int64) if groups is None else groups[first]
        arms, told, units = _by_logistic(plan, base, what, first, last, of, horizon, stratum)
    ended, n_lost = what[last][units], int(((what[last] == 0) & (base.exit[last] < horizon))[units].sum())
    happened = (ended == of) & (base.exit[last][units] <= horizon)
    whose = base.cluster[first][units]
    n_clusters = distinct(whose)
    counts = {
        "n_patients": n_clusters,
        "n_units": int(units.sum()),
        "n_events": float(happened.sum()),
        "n_lost": n_lost,
    }
    place = (np.cumsum(plan.complete) - 1)[first[units]]
    settings |= told | {"n_clusters": n_clusters}
    told_apart = _positivity(plan.matrix[place], base.weight[first][units], settings) if between is None else []
    said = [*arms.notes, *told_apart]
    said += report.robust_notes(float(happened.sum()), n_clusters, distinct(whose[happened]), True)
    settings["predicted_risk"] = {
        name: (float(arms.lowest[arm]), float(arms.highest[arm])) for name, arm in (("all", 1), ("none", 0))
    }
    columns = {
        "outcome": outcome,
        "model": model,
        "term": exposure,
        "time": float(horizon),
        "measure": list(MEASURES),
        **counts,
        **_contrasts(arms, n_clusters, conf_type, confidence),
        "note": "; ".join(said),
    }
    return report.estimates(columns, settings)


def _zero_one(rows: pd.DataFrame, exposure: str) -> None:
    series = column(rows, exposure, "the exposure")
    known = series.dropna()
    if isinstance(series.dtype, pd.CategoricalDtype) or not known.isin([0, 1]).all():
        raise EstimationError(
            f"Column '{exposure}' (the exposure) must be 0 or 1 (or missing). Of more than two groups compare two at a "
            "time."
        )


def _as_steps(rows: pd.DataFrame, exposure: str, between: tuple[float, float]) -> pd.DataFrame:
    """The exposure in steps from the first value (0) to the second (1): a line through both is the same line."""
    series = column(rows, exposure, "the exposure")
    if not pd.api.types.is_numeric_dtype(series):
        raise EstimationError(f"Column '{exposure}' (the exposure) is no number, so nothing lies between two values.")
    low, high = between
    if not (np.isfinite(low) and np.isfinite(high)) or low == high:
        raise EstimationError(f"'between' needs two different values of '{exposure}', and is {between}.")
    return rows.assign(**{exposure: (series.astype("float64") - low) / (high - low)})


def _refuse_changes(plan: Design, base: Rows, first: IntArray) -> None:
    if len(first) == len(base.id):
        return
    whole = np.full((len(base.id), plan.matrix.shape[1]), np.nan)
    whole[plan.complete] = plan.matrix
    same = (whole == whole[first][base.id]) | (np.isnan(whole) & np.isnan(whole[first][base.id]))
    for name in dict.fromkeys(plan.variables):
        mine = [j for j, of in enumerate(plan.variables) if of == name]
        changed = distinct(base.id[~same[:, mine].all(axis=1)])
        if changed:
            raise EstimationError(
                f"'{name}' changes during the follow-up of {changed} units. A risk under exposure needs each covariate "
                "on every day to come: use its value at entry, or start the clock on the day it changes."
            )


def _by_logistic(
    plan: Design,
    base: Rows,
    what: IntArray,
    first: IntArray,
    last: IntArray,
    of: int,
    horizon: float,
    stratum: IntArray,
) -> tuple[Arms, dict[str, Any], BoolArray]:
    """The arms, settings, and which units (in the order of `first`) are averaged over."""
    earliest = float(base.entry.min(initial=np.inf))
    late = base.entry[first] > earliest
    in_time = ~late & (base.weight[first] > 0)
    units = in_time & plan.complete[first]
    told = {"n_late_entry": int(late.sum()), "largest_weight": np.nan}
    if not units.any():
        return Arms.nothing("no complete row: nothing can be estimated"), told, units
    begin, end = first[in_time], last[in_time]
    sampling, days, ended = base.weight[begin], base.exit[end], what[end]
    inverse, _ = censoring_weights(days, ended, horizon, sampling, stratum[in_time])
    told["largest_weight"] = float(inverse.max(initial=0.0))
    if not np.isclose(sampling @ inverse, sampling.sum()):
        return (
            Arms.nothing("all who were still followed were lost before the horizon: take an earlier one"),
            told,
            units,
        )
    complete = plan.complete[begin]
    cluster = np.unique(base.cluster[begin], return_inverse=True)[1]
    losses = Losses.of(days, ended == 0, horizon, sampling, stratum[in_time], complete, cluster)
    arms = logistic_arms(
        plan.matrix[(np.cumsum(plan.complete) - 1)[begin[complete]]],
        ((ended == of) & (days <= horizon))[complete],
        sampling[complete],
        (sampling * inverse)[complete],
        cluster[complete],
        losses,
        plan.terms,
    )
    return arms, told, units


def _by_cox(
    plan: Design, base: Rows, what: IntArray, first: IntArray, of: int, horizon: float, ties: Ties
) -> tuple[Arms, dict[str, Any], BoolArray]:
    used = plan.complete & (base.weight > 0)
    units = used[first]
    told: dict[str, Any] = {"ties": ties, "n_late_entry": 0, "largest_weight": float(base.weight.max(initial=0.0))}
    if not units.any():
        return Arms.nothing("no complete row: nothing can be estimated"), told, units
    last_day = float(base.exit[used].max(initial=-np.inf))
    if horizon > last_day:
        return Arms.nothing(f"after the last day of follow-up (day {last_day:g})"), told, units
    arms = cox_arms(
        plan.matrix[base.weight[plan.complete] > 0],
        what[used],
        select(base, used),
        (np.cumsum(used) - 1)[first[units]],
        of=of,
        horizon=horizon,
        ties=ties,
        terms=plan.terms,
    )
    return arms, told, units


def _positivity(x: FloatArray, weight: FloatArray, settings: dict[str, Any]) -> list[str]:
    """Who was exposed by the covariates, into the settings; what must be said of it."""
    settings |= {"exposure_probability": (np.nan, np.nan), "share_extreme": np.nan, "extreme": EXTREME}
    exposed = x[:, 0]
    if len(np.unique(exposed)) < 2:
        return []
    fit = fit_glm(x[:, 1:], exposed, weight, np.arange(len(x)), "binomial", np.zeros(len(x)))
    if fit.unlimited.any():
        return [
            "some covariates are found among exposed or unexposed alone: these units are compared by the model only"
        ]
    coef = np.where(fit.kept, fit.coef, 0.0)
    probability = 1.0 / (1.0 + np.exp(-(coef[0] + x[:, 1:] @ coef[1:])))
    extreme = np.minimum(probability, 1.0 - probability) < EXTREME
    settings["exposure_probability"] = float(probability.min()), float(probability.max())
    settings["share_extreme"] = float(weight @ extreme / weight.sum())
    return []


def _contrasts(arms: Arms, n_clusters: int, conf_type: ConfType, confidence: float) -> dict[str, FloatArray]:
    """The columns of the four measures, in their order."""
    none, every = arms.risk
    known = arms.varies & (n_clusters > 1)
    error = np.where(known, np.sqrt((arms.influence**2).sum(axis=0)), np.nan)[::-1]
    # A risk that moves with nothing (rounding alone) has no error: it is 0 or 1.
    error = np.where(error > 1e-14, error, np.nan)
    low, high = limits(arms.risk[::-1], error, conf_type, confidence)
    both = bool(known.all()) and np.isfinite(error).all()
    by_cluster = arms.influence if both else np.full((1, 2), np.nan)
    apart = float(np.sqrt(((by_cluster[:, 1] - by_cluster[:, 0]) ** 2).sum()))
    z = report.quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(every) - np.log(none) if every > 0 and none > 0 else np.nan
        relative = float(np.sqrt(((by_cluster[:, 1] / every - by_cluster[:, 0] / none) ** 2).sum()))
        ratio = every / none if none > 0 else np.nan
    difference = every - none
    apart, relative = (value if value > 1e-14 else np.nan for value in (apart, relative))
    statistic = np.array([np.nan, np.nan, difference / apart, log_ratio / relative])
    return {
        "estimate": np.array([every, none, difference, ratio]),
        "conf_low": np.array([*low, difference - z * apart, np.exp(log_ratio - z * relative)]),
        "conf_high": np.array([*high, difference + z * apart, np.exp(log_ratio + z * relative)]),
        "coef": np.array([np.nan, np.nan, np.nan, log_ratio]),
        "std_error": np.array([*error, apart, relative]),
        "statistic": statistic,
        "p_value": 2.0 * stats.norm.sf(np.abs(statistic)),
    }
