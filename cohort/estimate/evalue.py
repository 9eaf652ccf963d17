"""E-value: how strong a confounder must be, with exposure and with outcome alike, to move a ratio to another value.

With r the ratio between estimate and true value, turned to lie above 1, E = r + sqrt(r (r - 1)) on the risk-ratio scale
(VanderWeele and Ding 2017, Ann Intern Med 167:268; Ding and VanderWeele 2016, Epidemiology 27:368). The limit of the
interval next to the true value has one of its own, which is 1 where the interval holds the true value.

Ratios that are no risk ratios are first read as one: odds and hazard ratios of a rare outcome (below 15 % at the end of
follow-up) as they are, of a common one as sqrt(OR) and (1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1 / HR)); a risk difference
with the risk p of the unexposed as (p + difference) / p, p taken as known.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.tables.results import Estimates

Measure = Literal["risk_ratio", "rate_ratio", "odds_ratio", "hazard_ratio", "risk_difference"]
# How rows of our estimators are read; what is not here is no contrast between exposed and unexposed.
READ_AS: dict[str, Measure] = {
    **{name: name for name in get_args(Measure)},
    "subdistribution_hazard_ratio": "hazard_ratio",
    "ratio": "risk_ratio",
}
COMMON = 0.15
READS = (
    "an unmeasured confounder associated with both exposure and outcome by a risk ratio of this size each, beyond the "
    "covariates, could move the estimate (the limit) to the true value, and a weaker one could not; whether there is "
    "such a confounder it cannot say, and nothing of selection or of errors of measurement; of a covariate that is a "
    "number (age, millilitres) it is about one unit"
)


def e_value(
    estimate: Estimates | npt.ArrayLike,
    conf_low: npt.ArrayLike = np.nan,
    conf_high: npt.ArrayLike = np.nan,
    *,
    measure: Measure | None = None,
    rare: bool = True,
    true: float | None = None,
    reference_risk: float | None = None,
) -> Estimates:
    """E-values of estimates and of the limit of each interval that lies next to the true value.

    estimate : Estimates, whose rows say their measure; or numbers, with limits where known, all of one `measure`.
    rare : whether the outcome is, at the end of follow-up; where the rows say that it is not, the note says so.
    true : the value that confounding would have hidden, default no effect; other values for ratios only.
    reference_risk : risk of the unexposed, for risk differences.

    Returns the frame (of numbers: measure, estimate, conf_low, conf_high) with `e_value`, `e_value_limit` and note.
    A limit that is missing has none; rows that are no contrast, and intercepts, keep their row without.
    Raises EstimationError for ratios below zero, estimates outside their interval, and a measure it does not know.

    >>> found = e_value(3.9, 1.8, 8.7, measure="risk_ratio").frame  # breastfeeding, VanderWeele and Ding
    >>> found[["e_value", "e_value_limit"]].round(2).to_numpy().tolist()
    [[7.26, 3.0]]
    """
    if true is not None and not (np.isfinite(true) and true > 0):
        raise EstimationError(f"The true value of a ratio must be greater than zero, and is {true}.")
    if reference_risk is not None and not 0.0 < reference_risk < 1.0:
        raise EstimationError(f"The risk of the unexposed must lie between 0 and 1, and is {reference_risk}.")
    if isinstance(estimate, Estimates):
        frame, settings = estimate.frame, dict(estimate.settings)
        held = true is None and (reference_risk is not None or "reference_estimate" in frame)
        read_as, notes = _measures(frame, measure, settings, held)
    else:
        if measure not in READ_AS:
            raise EstimationError(
                f"Say of which measure the number is: {', '.join(get_args(Measure))}; not {measure!r}."
            )
        values = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in (estimate, conf_low, conf_high)))
        frame = pd.DataFrame(dict(zip(("estimate", "conf_low", "conf_high"), values, strict=True)))
        frame, settings = frame.assign(measure=measure), {}
        read_as, notes = [READ_AS[measure]] * len(frame), [[] for _ in range(len(frame))]

    found, limit = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    for kind in {kind for kind in read_as if kind is not None}:
        mine = np.array([one == kind for one in read_as])
        ratios, of_true = _ratios(frame[mine], kind, rare, true, reference_risk)
        found[mine], limit[mine] = e_values(*ratios, of_true)
    common = _common(frame) if rare else np.zeros(len(frame), dtype=bool)
    for j, said in enumerate(notes):
        if read_as[j] is None:
            continue
        said += _words(frame, j, limit[j])
        if common[j] and read_as[j] in ("odds_ratio", "hazard_ratio"):
            said.append(f"more than {COMMON:.0%} of units have the event: the E-value wants rare=False")
    written = frame["note"].fillna("") if "note" in frame else [""] * len(frame)
    columns: dict[str, Any] = {name: frame[name].to_numpy() for name in frame.columns}
    columns |= {"e_value": found, "e_value_limit": limit}
    columns["note"] = ["; ".join(filter(None, [own, *said])) for own, said in zip(written, notes, strict=True)]
    return report.estimates(columns, {**settings, "e_value": READS, "e_value_rare": rare, "e_value_true": true})


def e_values(estimate: FloatArray, low: FloatArray, high: FloatArray, true: float) -> tuple[FloatArray, FloatArray]:
    """E-values of risk ratios (n,) and of the limits next to `true`; missing where the number is, or is not finite.

    >>> [values.round(3).tolist() for values in e_values(np.array([0.8]), np.array([0.71]), np.array([0.91]), 1.0)]
    [[1.809], [1.429]]
    """
    next_to = np.where(estimate > true, low, high)
    crossed = np.where(estimate > true, low <= true, high >= true) | (estimate == true)
    limit = np.where(crossed & ~np.isnan(next_to), 1.0, _needed(next_to, true))
    return _needed(estimate, true), limit


def _needed(ratio: FloatArray, true: float) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.maximum(ratio / true, true / ratio)
        result = apart + np.sqrt(apart * (apart - 1.0))
    return np.where(np.isfinite(result), result, np.nan)


def as_risk_ratio(values: FloatArray, measure: Measure, rare: bool) -> FloatArray:
    """Ratios (n,) read as risk ratios.

    >>> as_risk_ratio(np.array([0.56, 4.0]), "hazard_ratio", rare=False).round(4).tolist()
    [0.6701, 2.5607]
    """
    if rare or measure in ("risk_ratio", "rate_ratio"):
        return values
    if measure == "odds_ratio":
        return np.asarray(np.sqrt(values))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((1.0 - 0.5 ** np.sqrt(values)) / (1.0 - 0.5 ** np.sqrt(1.0 / values)))


def _ratios(
    frame: pd.DataFrame, measure: Measure, rare: bool, true: float | None, reference_risk: float | None
) -> tuple[tuple[FloatArray, FloatArray, FloatArray], float]:
    """Estimate and limits as risk ratios, each (n,), and the true value on the same scale."""
    estimate, low, high = (frame[name].to_numpy(np.float64) for name in ("estimate", "conf_low", "conf_high"))
    _refuse_disorder(estimate, low, high)
    if measure == "risk_difference":
        if true is not None:
            raise EstimationError("Risk differences are held against none only; leave `true` out, or use ratios.")
        if reference_risk is None and "reference_estimate" not in frame:
            raise EstimationError("An E-value of a risk difference needs the risk of the unexposed: reference_risk=.")
        risk = reference_risk if reference_risk is not None else frame["reference_estimate"].to_numpy(np.float64)
        estimate, low, high = ((risk + difference) / risk for difference in (estimate, low, high))
        # A lower limit beyond the risk of the unexposed is none of a risk: nothing lies between it and zero.
        return (estimate, np.where(low < 0, 0.0, low), high), 1.0
    if (estimate < 0).any():
        raise EstimationError(f"{int((estimate < 0).sum())} ratios are below zero; give ratios, not their logarithms.")
    as_risk = [as_risk_ratio(values, measure, rare) for values in (estimate, low, high)]
    against = as_risk_ratio(np.array([1.0 if true is None else true]), measure, rare)
    return (as_risk[0], as_risk[1], as_risk[2]), float(against[0])


def _refuse_disorder(estimate: FloatArray, low: FloatArray, high: FloatArray) -> None:
    outside = int(((estimate < low) | (estimate > high)).sum())
    if outside:
        raise EstimationError(f"{outside} estimates lie outside their interval; give estimate, lower and upper limit.")


def _measures(
    frame: pd.DataFrame, measure: Measure | None, settings: dict[str, Any], differences: bool
) -> tuple[list[Measure | None], list[list[str]]]:
    """How each row is read, None where it is no contrast, and why not; differences : whether they can be."""
    missing = (
        {"measure", "estimate", "conf_low", "conf_high"} - set(frame.columns) - ({"measure"} if measure else set())
    )
    if missing:
        raise EstimationError(f"These estimates have no {', '.join(sorted(missing))}; an E-value needs it.")
    read: list[Measure | None] = []
    notes: list[list[str]] = []
    named = [measure] * len(frame) if measure else frame["measure"].tolist()
    terms = frame["term"].tolist() if "term" in frame else [""] * len(frame)
    for name, term in zip(named, terms, strict=True):
        kind: Measure | None = READ_AS.get(str(name))
        if name == "difference" and settings.get("curve") in ("aalen_johansen", "kaplan_meier"):
            kind = "risk_difference"
        said = [] if kind else [f"no E-value: {name} is no contrast of risks"]
        if name == "ratio" and settings.get("curve") not in (None, "aalen_johansen", "kaplan_meier"):
            kind, said = None, ["no E-value: no ratio of risks"]
        if kind == "risk_difference" and not differences:
            kind, said = None, ["no E-value: a difference needs the risk of the unexposed, and no true value but none"]
        if term == "intercept":
            kind, said = None, ["no E-value of an intercept"]
        read.append(kind)
        notes.append(said)
    return read, notes


def _common(frame: pd.DataFrame) -> BoolArray:
    if not {"n_events", "n_units"} <= set(frame.columns):
        return np.zeros(len(frame), dtype=bool)
    result: BoolArray = (frame["n_events"] > COMMON * frame["n_units"]).to_numpy(dtype=bool)
    return result


def _words(frame: pd.DataFrame, j: int, limit: float) -> list[str]:
    estimate = float(frame["estimate"].iloc[j])
    if not np.isfinite(estimate) or estimate == 0:
        return ["no finite estimate: no E-value of it"]
    return ["no limit next to the true value: no E-value of it"] if np.isnan(limit) else []
