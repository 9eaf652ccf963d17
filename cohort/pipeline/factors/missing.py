"""What was not recorded or could not be told: counted, then filled in many ways, never taken as no.

Complete cases answer for those who were looked at. Multiple imputation answers for all if what was missing can be
foretold from what is known; the shifts ask what if it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline.factors import effects
from cohort.pipeline.factors.rows import ROWS, Factor, FactorRows, binary, varies
from cohort.tables.results import Estimates

COMPLETE, IMPUTED = "complete case", "multiple imputation"
PREDICTORS: Final = ("n_levels", "thoracolumbar", "female", "anti_osteoporotic", "prior_fractures", "age")
FEWEST_EVENTS: Final = 5  # below, no model of what is missing can know the outcome
MEASURES: Final = ("hazard_ratio", "risk_difference", "risk_ratio")


@dataclass(frozen=True)
class Filling:
    """How missing values are drawn."""

    draws: int
    iterations: int
    seed: int
    log_odds: float
    sd: float


@dataclass(frozen=True)
class Filled:
    """Completed data sets, or why there are none.

    names : the columns that vary where they are known, which are all complete in `frames`.
    """

    frames: Sequence[pd.DataFrame]
    names: tuple[str, ...]
    how: Filling
    why: str = ""

    @classmethod
    def of(
        cls, units: pd.DataFrame, factors: Sequence[Factor], how: Filling, delta: Mapping[str, float] | None = None
    ) -> Filled:
        """All exposures and covariates imputed together: from one another, the outcome and its cumulative hazard.

        units : as in `FactorRows`. delta : exposure = shift of its drawn values (`estimate.impute`).
        """
        asked = list(dict.fromkeys(name for factor in factors for name in factor.terms))
        n_events = int((units["cause"] == 1).sum())
        if n_events < FEWEST_EVENTS:
            return cls([], (), how, f"nothing is imputed for {n_events} events")
        names = tuple(name for name in asked if varies(units[name]))
        beside = [name for name in PREDICTORS if name in units and name not in asked and units[name].notna().all()]
        beside = [name for name in beside if varies(units[name])]
        needed = list(dict.fromkeys([*ROWS.values(), "cause", *asked, *beside]))
        try:
            drawn = estimate.impute(
                units[needed], names, predictors=beside, cause="cause", seed=how.seed, draws=how.draws,
                iterations=how.iterations, delta=delta, **ROWS,
            )  # fmt: skip
        except EstimationError as error:
            return cls([], names, how, str(error))
        return cls(list(drawn), names, how)


def pattern_rows(rows: FactorRows, factors: Sequence[Factor]) -> pd.DataFrame:
    """Known, not assessable and missing of every exposure and covariate, one by one and together."""
    names = list(dict.fromkeys(name for factor in factors for name in factor.terms))
    found = estimate.missing_patterns(rows.recorded, names, id="id", cluster="cluster").frame
    return found.assign(outcome=rows.outcome, unit=rows.unit)


def imputed_rows(
    units: pd.DataFrame,
    factors: Sequence[Factor],
    filled: Filled,
    *,
    horizon: int,
    risk_model: str = "cox",
    penalized: str = "on_separation",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Adjusted effects of each factor on complete cases, on imputed data, and with imputed values shifted.

    units : as in `FactorRows`; filled : `Filled.of` the same. Shifts are of the exposure alone, where it is missing at
    all; they give the hazard ratio, from half as many draws. Ratios are Firth's where maximum likelihood has no finite
    value, or always with `penalized` = "always".
    """
    parts = []

    def analyse(factor: Factor, frames: Filled, name: str, *, with_risks: bool = True) -> None:
        fits = _fits(factor, horizon, risk_model, confidence)
        ratio = pd.DataFrame()
        if penalized != "always":
            ratio = _analysed(frames, fits["hazard_ratio"], factor, "hazard_ratio", name, confidence)
        if ratio.empty or not effects.finite(ratio):
            other = _analysed(frames, fits["penalized"], factor, "penalized", name, confidence)
            ratio = other if ratio.empty or effects.finite(other) else ratio
        parts.append(ratio)
        comparable = factor.contrast is not None or binary(units[factor.name])
        if with_risks and comparable:
            parts.append(_analysed(frames, fits["risks"], factor, "risks", name, confidence))

    if filled.why and not filled.names:
        said = {"analysis": IMPUTED, "measure": "hazard_ratio", "note": filled.why}
        return pd.DataFrame([{**factor.said, **said} for factor in factors])
    for factor in factors:
        spoilt = [name for name in factor.terms if name not in filled.names]
        if spoilt:
            note = f"not imputed: {', '.join(spoilt)} does not vary where it is known"
            parts.append(pd.DataFrame([{**factor.said, "analysis": IMPUTED, "measure": "hazard_ratio", "note": note}]))
            continue
        analyse(factor, replace(filled, frames=[units.dropna(subset=factor.terms)], why=""), COMPLETE)
        if units[factor.terms].isna().any(axis=None):
            analyse(factor, filled, IMPUTED)
        if units[factor.name].isna().any():
            how = filled.how
            size = how.log_odds if binary(units[factor.name]) else how.sd
            for shift in (-size, size) if size else ():
                fewer = replace(how, draws=max(2, how.draws // 2))
                shifted = Filled.of(units, factors, fewer, {factor.name: shift})
                analyse(factor, shifted, f"shift {shift:+g}", with_risks=False)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _fits(
    factor: Factor, horizon: int, risk_model: str, confidence: float
) -> dict[str, Callable[[pd.DataFrame], Estimates]]:
    """The analyses of one frame: hazard ratio (by both likelihoods) and risks."""

    def risks(frame: pd.DataFrame) -> Estimates:
        return Estimates(effects.risks(frame, factor, factor.terms, horizon, risk_model, confidence), {})

    return {
        "hazard_ratio": lambda frame: effects.cox(frame, factor.terms, confidence),
        "penalized": lambda frame: effects.firth_cox(frame, factor.terms, confidence),
        "risks": risks,
    }


def _analysed(
    filled: Filled, fit: Callable[[pd.DataFrame], Estimates], factor: Factor, kind: str, name: str, confidence: float
) -> pd.DataFrame:
    """The rows of one analysis, pooled where there are several frames."""
    said: dict[str, Any] = {**factor.said, "analysis": name, "adjusted_for": ", ".join(factor.adjusted_for)}
    measure = "risk_difference" if kind == "risks" else "hazard_ratio"
    method = "Firth" if kind == "penalized" else "maximum likelihood" if kind == "hazard_ratio" else ""
    if not filled.frames:
        return pd.DataFrame([{**said, "measure": measure, "method": method, "note": filled.why}])

    def pooled() -> Estimates:
        fits = [fit(frame) for frame in filled.frames]
        return fits[0] if len(fits) == 1 else estimate.pool(fits, confidence=confidence)

    found = effects.of_term(pooled, factor.name, measure)
    keep = found["measure"].isin(MEASURES) if "measure" in found else np.ones(len(found), dtype=bool)
    return found[keep].reset_index(drop=True).assign(**said, method=method, n_fits=len(filled.frames))
