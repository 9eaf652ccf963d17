"""Absolute risk: the incidence a patient with given covariates can expect, not the ratio to somebody else's.

Cause-specific: one Cox model per cause gives the hazards of a profile, and the causes are combined as competing
events (Benichou and Gail 1990, Biometrics 46:813; Cheng, Fine and Wei 1998, Biometrics 54:219). Fine-Gray: one model
gives the incidence of one cause, 1 - exp(-L0(t) exp(x b)). Baseline hazards carry the ties of the fit, as R's
`survfit` of a `coxph`. The variance lets coefficients and baseline vary together, summed over clusters
(`baseline_influence`); the weights of Fine and Gray are taken as known, as in `fine_gray`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.baseline_influence import Incidences, Product, ProfileHazard, merged_times
from cohort.estimate.curves import ConfType, at_risk, limits, limits_df, of_rows, refuse_unknown_correction
from cohort.estimate.design import distinct
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.report import CurveCorrection
from cohort.estimate.risk_model import Method, RiskModel, fit_risk
from cohort.tables.results import Estimates


def absolute_risk(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    profiles: pd.DataFrame | Mapping[str, Any],
    at: npt.ArrayLike,
    exit: str,
    cause: str,
    of: int | None = 1,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    method: Method = "cause_specific",
    product: Product = "exponential",
    covariates_of: Mapping[int, Sequence[str]] | None = None,
    causes_named: Sequence[str] | None = None,
    conf_type: ConfType = "log-log",
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
    model: str = "",
) -> Estimates:
    """Cumulative incidence by day `at` for each profile.

    rows, exit, cause, entry, weight, id, cluster : as in `aalen_johansen`; strata, ties, weight_kind as in `cox`.
    profiles : one row per profile with a value of every covariate (and of the strata); an index of names names them.
    of : the cause, or None for all causes and the share free of them (cause-specific only, where they add to one).
    method : "cause_specific" or "fine_gray". covariates_of : causes whose model has covariates of its own.
    product : how hazards become shares. "exponential": a day with hazard h leaves exp(-h), so that a share never
        leaves 0 to 1 and one cause gives the Cox survival exp(-L); as R's `survfit` of several states. "limit": it
        leaves 1 - h, so that a model in which nothing varies gives the Aalen-Johansen curve.
    small_sample : "auto" takes limits from t where a cluster holds several ids, with as many degrees of freedom (column
        `df`) as clusters of the stratum that ever have the outcome (event_free: any cause), less one. "none": normal.

    Returns one row per profile, day and outcome: stratum (the profile in words), `profile` (its place), estimate,
    conf_low, conf_high, std_error (robust, over clusters), naive_std_error (model-based, causes independent), n_risk
    (entry < day <= exit, in the stratum), n_events (of the outcome by that day), n_patients, n_units, note. The note
    says when a profile lies outside the observed values. Rows that lack a covariate of any cause are left out of all.
    Raises EstimationError for covariates that change within an id, and for profiles that lack a covariate.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4, 5, 6], "cause": [1, 2, 1, 1, 0, 2], "leak": [1, 1, 0, 1, 0, 0]})
    >>> risk = absolute_risk(days, ["leak"], profiles={"leak": [0, 1]}, at=4, exit="exit", cause="cause").frame
    >>> risk["stratum"].tolist(), risk["estimate"].round(3).tolist()
    (['leak=0', 'leak=1'], [0.324, 0.559])
    """
    if conf_type not in ("log-log", "log", "plain"):
        raise EstimationError(f"conf_type must be log-log, log or plain, and is {conf_type!r}.")
    refuse_unknown_correction(small_sample)
    asked = days_of(at)
    table = _table(profiles)
    fitted = fit_risk(
        rows, covariates, exit=exit, cause=cause, of=of, entry=entry, weight=weight, strata=strata, id=id,
        cluster=cluster, ties=ties, method=method, product=product, covariates_of=covariates_of,
        causes_named=causes_named, weight_kind=weight_kind,
    )  # fmt: skip
    points, strata_of = fitted.coded(table), fitted.strata_of(table)
    labels = _labels(table, [*dict.fromkeys(fitted.plan.variables), *fitted.strata])
    notes = [note for k in range(len(fitted.causes)) for note in fitted.notes_of(k)]
    size = len(asked) * len(fitted.states)
    parts = [
        {
            "outcome": np.tile(np.array(fitted.outcomes, dtype=object), len(asked)),
            "model": np.full(size, model, dtype=object),
            "stratum": np.full(size, labels[k], dtype=object),
            "profile": np.full(size, k),
            **_read(
                fitted, points[k], strata_of[k], asked, conf_type, confidence, small_sample,
                [*_outside(points[k], fitted), *notes],
            ),
        }
        for k in range(len(table))
    ]  # fmt: skip
    settings = {
        **fitted.settings,
        "variance": "influence of coefficients and baseline, summed over clusters",
        "conf_type": conf_type,
        "confidence": confidence,
    }
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return report.curve_estimates(columns, settings)


def days_of(at: npt.ArrayLike) -> FloatArray:
    """The days asked for, (T,)."""
    asked = np.atleast_1d(np.asarray(at, dtype=np.float64))
    if not len(asked) or not np.isfinite(asked).all():
        raise EstimationError("`at` needs at least one day, and no missing ones.")
    return asked


def _table(profiles: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    table = profiles
    if not isinstance(table, pd.DataFrame):
        alone = all(np.ndim(value) == 0 for value in table.values())
        try:
            table = pd.DataFrame(dict(table), index=[0] if alone else None)
        except ValueError as error:
            raise EstimationError(f"The values of the profiles do not make a table ({error}).") from error
    if not len(table):
        raise EstimationError("No profile was given; `profiles` needs a row of covariate values.")
    return table


def _outside(point: FloatArray, fitted: RiskModel) -> list[str]:
    """The covariates of a profile at which nobody was observed."""
    if not len(fitted.x):
        return []
    low, high = fitted.x.min(axis=0), fitted.x.max(axis=0)
    return [
        f"{fitted.plan.terms[j]} {point[j]:g} lies outside the observed {low[j]:g} to {high[j]:g}"
        for j in np.flatnonzero((point < low) | (point > high))
    ]


def _labels(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    if not isinstance(table.index, pd.RangeIndex) and table.index.dtype == object:
        return [str(name) for name in table.index]
    written = {
        name: [f"{v:g}" if isinstance(v, int | float) else str(v) for v in table[name].tolist()] for name in names
    }
    return [", ".join(f"{name}={written[name][k]}" for name in names) for k in range(len(table))]


def _read(
    fitted: RiskModel,
    point: FloatArray,
    stratum: int,
    at: FloatArray,
    conf_type: ConfType,
    confidence: float,
    small_sample: CurveCorrection,
    notes: Sequence[str],
) -> dict[str, Any]:
    """The columns of one profile: a row per day and state, day by day."""
    rows = fitted.rows
    told = all(model is None or model.tells(point[model.columns], stratum) for model in fitted.fits)
    shares, errors, naive = _shares(fitted, point, stratum, at)
    mine = rows.stratum == stratum
    last = float(rows.exit[mine].max(initial=-np.inf))
    beyond: BoolArray = at > last
    lost: BoolArray = np.asarray(~np.isfinite(shares).all(axis=1))
    known = ~(beyond | lost)[:, None] & told
    shares = np.where(known, shares, np.nan)
    errors, naive = (np.where(known & fitted.limited, part, np.nan) for part in (errors, naive))
    if rows.n_patients <= 1:
        errors = np.full_like(errors, np.nan)
    counts = fitted.counts
    had = [fitted.cause > 0 if number == 0 else fitted.cause == number for number in fitted.counted]
    df = limits_df(rows.cluster, rows.id, [mine & of for of in had], counts, small_sample)
    low, high = limits(shares, errors, conf_type, confidence, df)

    freedom = of_rows(df, 1, len(had))
    n_events = np.zeros(shares.shape)
    words = np.full(shares.shape, "", dtype=object)
    for k, of in enumerate(had):
        n_events[:, k] = [counts[mine & of & (rows.exit <= t)].sum() for t in at]
        few = report.robust_notes(
            float(counts[of].sum()), rows.n_patients, distinct(rows.cluster[of]), True, df=freedom[k]
        )
        words[:, k] = "; ".join([*notes, *(few if of.any() else [])])
    for i in np.flatnonzero(beyond | lost):
        why = f"after the last day of follow-up (day {last:g})"
        words[i] = why if beyond[i] else f"by day {at[i]:g} a hazard of this profile is too large to become a share"
    width, size = shares.shape[1], shares.size
    return {
        "time": np.repeat(at, width),
        "measure": np.full(size, "cumulative_incidence", dtype=object),
        "n_patients": np.full(size, rows.n_patients),
        "n_units": np.full(size, rows.n_units),
        "n_events": n_events.ravel(),
        "n_risk": np.repeat(at_risk(rows.entry[mine], rows.exit[mine], counts[mine], at), width),
        "estimate": shares.ravel(),
        "conf_low": low.ravel(),
        "conf_high": high.ravel(),
        "std_error": errors.ravel(),
        "naive_std_error": naive.ravel(),
        "df": of_rows(df, len(at), width),
        "note": words.ravel(),
    }


def _shares(
    fitted: RiskModel, point: FloatArray, stratum: int, at: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares in each state by each day, their robust and their model-based standard errors: (T, S) each."""
    hazards = [None if model is None else ProfileHazard.of(model, point[model.columns]) for model in fitted.fits]
    time, inside, place = merged_times(fitted.fits, stratum)
    jumps = np.zeros((len(time), len(hazards)))
    for j, hazard in enumerate(hazards):
        if hazard is not None:
            jumps[place[j], j] = hazard.jump[inside[j]]
    steps = np.searchsorted(time, at, side="right")
    with np.errstate(invalid="ignore", over="ignore"):
        found = Incidences.of(jumps, fitted.product)
        shares = np.column_stack([found.free, found.incidence])[steps][:, list(fitted.states)]
        moved = np.concatenate([found.by_jump(steps, state) for state in fitted.states], axis=2)  # (L, J, S x T)
        variance, naive = np.zeros(moved.shape[2]), np.zeros(moved.shape[2])
        influence: FloatArray | None = None
        copies = np.ones(1)
        for j, hazard in enumerate(hazards):
            if hazard is None:
                continue
            by_jump = np.zeros((len(inside[j]), moved.shape[2]))
            by_jump[inside[j]] = moved[place[j], j]
            one = hazard.influence(by_jump)
            influence = one if influence is None else influence + one
            copies = hazard.model.copies
            naive += hazard.naive_variance(by_jump)
        if influence is not None:
            variance = copies @ influence**2
        shape = (len(fitted.states), len(at))
        return shares, np.sqrt(variance).reshape(shape).T, np.sqrt(naive).reshape(shape).T
