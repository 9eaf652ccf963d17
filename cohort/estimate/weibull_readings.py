"""What a fitted Weibull model says: time ratios, scale, hazard ratios, shape, and the share free for a given patient.

All are functions of the parameters (shape, intercept, coef) of `cohort.estimate.weibull`; errors by the delta method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate.curves import EVENT_FREE, limits
from cohort.estimate.design import Design
from cohort.estimate.weibull import WeibullFit

Profile = Mapping[str, Any]


def labels(plan: Design) -> dict[str, Any]:
    """What each row of `readings` is: measure, term and variable (r,)."""
    p = len(plan.terms)
    return {
        "measure": ["time", *["time_ratio"] * p, "scale", *["hazard_ratio"] * p, "shape"],
        "term": ["(Intercept)", *plan.terms, "Log(scale)", *plan.terms, "Log(shape)"],
        "variable": ["", *plan.variables, "", *plan.variables, ""],
        "stratum": "",
        "time": np.nan,
    }


def delta(gradient: FloatArray, variance: FloatArray) -> FloatArray:
    """Standard errors (r,) of functions with derivatives (r, q) of parameters with a variance (q, q)."""
    with np.errstate(invalid="ignore"):
        result: FloatArray = np.sqrt(np.einsum("rp,pq,rq->r", gradient, variance, gradient))
    return result


def readings(fit: WeibullFit) -> tuple[FloatArray, FloatArray]:
    """What is reported, in the order of `labels` (r,), and its derivatives by the parameters (r, q).

    Coefficients without limit are infinite and have no derivative (NaN); what was left out of the fit, or what the
    events do not determine, is NaN. Without a shape nothing else has a meaning.
    """
    q, p = len(fit.parameters), len(fit.kept)
    limited = fit.determined(np.eye(q))
    with np.errstate(invalid="ignore"):
        found = np.where(fit.moving, np.copysign(np.inf, fit.parameters), np.nan)
        found = np.where(limited, fit.parameters, found)
    if not limited[0]:
        return np.full(2 * p + 3, np.nan), np.full((2 * p + 3, q), np.nan)
    shape = found[0]
    hazard, pick = np.full(p, np.nan), np.full((p, q), np.nan)
    hazard[fit.kept] = found[2:]
    pick[fit.kept] = np.where(limited[2:, None], np.eye(q)[2:], np.nan)
    z = np.concatenate([found[1:2], hazard])
    by_z = np.vstack([np.where(limited[1], np.eye(q)[1:2], np.nan), pick])
    of_shape = np.eye(q)[:1]
    with np.errstate(invalid="ignore"):
        by_time = -by_z / shape + z[:, None] / shape**2 * of_shape
    coef = np.concatenate([-z / shape, [-np.log(shape)], hazard, [np.log(shape)]])
    return coef, np.vstack([by_time, -of_shape / shape, pick, of_shape / shape])


def why_not(fit: WeibullFit, x: FloatArray, event: BoolArray) -> list[list[str]]:
    """For each row of `labels` what must be said if it has no finite estimate; x (n, p), event (n,)."""
    parameters = fit.determined(np.eye(len(fit.parameters)))
    if not parameters[0]:
        reason = "the fit did not converge: no estimate"
        if fit.maximum.converged or fit.moving.any():
            reason = "these events fix no shape of the hazard: the model has no finite estimate"
        return [[reason]] * (2 * len(fit.kept) + 3)
    limited = np.ones(len(fit.kept), dtype=bool)
    limited[fit.kept] = parameters[2:]
    terms = [_term(fit, j, x[:, j], event, bool(limited[j])) for j in range(len(fit.kept))]
    where_zero = [] if parameters[1] else ["where covariates are 0 there is no finite estimate"]
    return [where_zero, *terms, [], *terms, []]


def _term(fit: WeibullFit, j: int, values: FloatArray, event: BoolArray, limited: bool) -> list[str]:
    if not fit.kept[j]:
        if len(np.unique(values)) <= 1:
            return ["the same for everyone: nothing to compare"]
        return ["told by the covariates before it: left out of the fit"]
    if limited:
        return []
    if np.isin(values, (0.0, 1.0)).all():
        if not event[values == 1].any():
            return ["no event among the exposed: the hazard ratio is 0 without an upper limit from this method"]
        if not event[values == 0].any():
            return ["every event among the exposed: the hazard ratio has no upper bound"]
    return ["separates those with an event from the rest: the hazard ratio has no finite estimate"]


def survival(
    fit: WeibullFit,
    variance: FloatArray,
    plan: Design,
    profile: Profile,
    days: FloatArray,
    last_day: float,
    confidence: float,
) -> dict[str, Any]:
    """Share free of the event at `days` (T,) for one profile; limits by the delta method on log(-log share)."""
    x = _coded(plan, profile)[fit.kept]
    z_by = np.column_stack([np.log(np.where(days > 0, days, 1.0)), np.ones(len(days)), np.tile(x, (len(days), 1))])
    inside = (days > 0) & fit.determined(z_by)
    hazard, error = np.where(days > 0, np.nan, 0.0), np.full(len(days), np.nan)
    with np.errstate(over="ignore"):
        hazard[inside] = np.exp(z_by[inside] @ fit.parameters)
    share = np.exp(-hazard)
    error[inside] = share[inside] * hazard[inside] * delta(z_by[inside], variance)
    low, high = limits(share, error, "log-log", confidence)
    notes = np.full(len(days), "", dtype=object)
    notes[days > last_day] = f"after the last day seen (day {last_day:g}): the model alone speaks"
    notes[np.isnan(hazard)] = "no finite estimate for this profile"
    columns = no_survival(plan, profile, days, "")
    return {**columns, "estimate": share, "conf_low": low, "conf_high": high, "std_error": error, "note": notes}


def no_survival(plan: Design, profile: Profile, days: FloatArray, why: str) -> dict[str, Any]:
    """The rows of `survival` without estimates."""
    _coded(plan, profile)
    return {
        "measure": "survival",
        "term": EVENT_FREE,
        "variable": "",
        "stratum": ", ".join(f"{name}={value}" for name, value in profile.items()),
        "time": days,
        "estimate": np.nan,
        "note": why,
    }


def _coded(plan: Design, profile: Profile) -> FloatArray:
    """Covariate values of a profile as the columns of the design, (p,)."""
    needed = set(plan.variables)
    if set(profile) != needed:
        raise EstimationError(
            f"A profile must give a value to each covariate ({', '.join(sorted(needed))}) and to nothing else; this "
            f"one gives {', '.join(map(str, profile)) or 'none'}."
        )
    values = []
    for term, variable in zip(plan.terms, plan.variables, strict=True):
        if variable not in plan.reference:
            values.append(float(profile[variable]))
            continue
        categories = [t for t, v in zip(plan.terms, plan.variables, strict=True) if v == variable]
        asked = f"{variable}={profile[variable]}"
        if asked not in [*categories, f"{variable}={plan.reference[variable]}"]:
            raise EstimationError(f"The profile asks for {asked}, a category that no row has.")
        values.append(float(term == asked))
    return np.array(values, dtype=np.float64)
