"""The common question in one call: does this finding raise the risk of refracture, and how sure is that?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.domain.errors import EstimationError
from cohort.domain.study import ModelSettings, StudyDefinition
from cohort.pipeline.factors import bias, checks, drugs, effects, missing, predictive, rare
from cohort.pipeline.factors.rows import Factor, FactorRows, factors_of, rows_of
from cohort.pipeline.risk import check_adjustment
from cohort.pipeline.stages import Cohort, Progress, prepare
from cohort.tables.results import Estimates, Registry
from cohort.tables.risk_factors import RiskFactors

SEED: Final = 1776
ITERATIONS: Final = 5
EFFECTS: Final = (
    "cause-specific Cox model on vertebrae at risk; Fine-Gray and standardized risks on units as at entry; all "
    "clustered by patient"
)
FIRST: Final = ("outcome", "exposure", "label", "model", "adjusted_for", "unit", "measure", "time")


def risk_factors(
    registry: Registry,
    outcome: str = "same",
    exposures: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
) -> RiskFactors:
    """What the registry says of risk factors of one outcome, each exposure in its own model, with what may mislead.

    outcome : "same", "adjacent" or "remote". exposures : covariates known at entry (default: cleft, disc leak, height
    restored, T-score, corticosteroids, anti-osteoporotic drug). Each is adjusted for the set that the study file
    declares for it under `[models.adjustment]`; one without a set stays crude, and the result says so.

    Returns a `RiskFactors`: `effects` first, then `checks`, `rare`, `patterns` and `imputed`, `drugs`, `e_values`,
    `misclassified` and `controls`, and one `predictive` model. `reading` says which measure answers which question.
    Raises DefinitionError for an outcome or exposure not known at entry, EstimationError when nobody is at risk.

    >>> import cohort
    >>> registry = cohort.read("data/synthetic")
    >>> found = risk_factors(registry, "same", ["corticosteroids"])
    >>> found.effects.frame.query("measure == 'hazard_ratio'")["model"].tolist()
    ['crude', 'adjusted']
    """
    return of_cohort(prepare(registry), outcome, exposures, progress=progress)


def effects_of(cohort: Cohort, outcomes: Sequence[str]) -> Estimates:
    """Only the `effects` of `risk_factors`, of several outcomes in one frame; an outcome nobody is at risk of has none.

    As in the whole, so that what stands in two places is one number.
    """
    parts = []
    for outcome in outcomes:
        try:
            rows = rows_of(cohort, outcome)
            asked = _Asked(cohort, rows, factors_of(cohort, rows, None), lambda text: None)
            parts.append(_ordered(asked.each("effects", asked.effects), outcome))
        except EstimationError:
            continue
    return Estimates(_below(parts), {"method": EFFECTS})


def of_cohort(
    cohort: Cohort, outcome: str, exposures: Sequence[str] | None = None, *, progress: Progress | None = None
) -> RiskFactors:
    """The same of a registry that is classified already."""
    check_adjustment(cohort)
    rows = rows_of(cohort, outcome)
    factors = factors_of(cohort, rows, exposures)
    asked = _Asked(cohort, rows, factors, progress or (lambda text: None))
    effect = asked.each("effects", asked.effects)
    said = {"study": cohort.study.digest, "outcome": outcome, "horizon": asked.horizon}

    def tidy(frame: pd.DataFrame, method: str, **more: Any) -> Estimates:
        return Estimates(_ordered(frame, outcome), {"method": method, **said, **more})

    return RiskFactors(
        adjustment=_adjustment(factors),
        effects=tidy(effect, EFFECTS, risk_model=asked.models.risk_model),
        checks=tidy(asked.each("checks", lambda factor: asked.checked(factor, effect)), "checks of the fullest model"),
        rare=tidy(asked.each("few events", asked.rare), "maximum likelihood, Firth and exact methods side by side"),
        patterns=tidy(missing.pattern_rows(rows, factors), "known, not assessable and missing"),
        imputed=tidy(
            asked.imputed(),
            "chained equations with each cause and its cumulative hazard, drawn per patient or unit; Rubin's rules",
            draws=asked.models.imputations, iterations=ITERATIONS, seed=SEED,
        ),
        drugs=tidy(asked.each("drugs", asked.drugs), "time-varying use, lagged use, landmarks"),
        starts=_below(drugs.starts(cohort, factor) for factor in factors if factor.name in drugs.DRUGS),
        e_values=tidy(bias.e_value_rows(effect, rare=bias.rare_within(rows.patients)), "E-values"),
        misclassified=tidy(asked.each("errors", asked.misclassified), "bias analysis of misclassification"),
        controls=tidy(asked.controls(), "negative control: remote vertebrae, which a local finding cannot reach"),
        predictive=tidy(asked.predictive(), f"all exposures in one Cox model: {predictive.LABEL}"),
        reading=dict(effects.READING),
    )  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """One outcome with its rows, exposures and settings."""

    cohort: Cohort
    rows: FactorRows
    factors: list[Factor]
    say: Progress

    @property
    def study(self) -> StudyDefinition:
        return self.cohort.study

    @property
    def models(self) -> ModelSettings:
        return self.study.models

    @property
    def horizon(self) -> int:
        return self.study.models.horizon_days

    @cached_property
    def filled(self) -> missing.Filled | None:
        """Completed data sets, None where the study asks for none."""
        models = self.study.models
        if models.imputations < 2:
            return None
        how = missing.Filling(models.imputations, ITERATIONS, SEED, models.shift_log_odds, models.shift_sd)
        return missing.Filled.of(self.rows.units, self.factors, how)

    def each(self, what: str, analyse: Callable[[Factor], pd.DataFrame]) -> pd.DataFrame:
        self.say(f"Risk factors of {self.rows.outcome} refracture: {what}")
        return _below(analyse(factor) for factor in self.factors)

    def effects(self, factor: Factor) -> pd.DataFrame:
        found = effects.effect_rows(
            factor, self.rows.hazard, self.rows.units, horizon=self.horizon, risk_model=self.models.risk_model,
            penalized=self.models.penalized, confidence=self.models.confidence,
        )  # fmt: skip
        unit = found["unit"] if "unit" in found else pd.Series("", index=found.index)
        return found.assign(unit=unit.where(found["measure"] == "hazard_ratio", self.rows.unit))

    def checked(self, factor: Factor, effect: pd.DataFrame) -> pd.DataFrame:
        mine = effect[effect["exposure"] == factor.name]
        return checks.check_rows(
            factor, mine, self.rows.hazard, self.rows.units, horizon=self.horizon, risk_model=self.models.risk_model,
            penalized=self.models.penalized, confidence=self.models.confidence,
        )  # fmt: skip

    def rare(self, factor: Factor) -> pd.DataFrame:
        return rare.rare_rows(
            factor, self.rows.hazard, self.rows.patients, horizon=self.horizon, penalized=self.models.penalized,
            confidence=self.models.confidence,
        )  # fmt: skip

    def imputed(self) -> pd.DataFrame:
        self.say(f"Risk factors of {self.rows.outcome} refracture: missing findings")
        if self.filled is None:
            return pd.DataFrame()
        return missing.imputed_rows(
            self.rows.units, self.factors, self.filled, horizon=self.horizon, risk_model=self.models.risk_model,
            penalized=self.models.penalized, confidence=self.models.confidence,
        ).assign(unit=self.rows.unit)  # fmt: skip

    def drugs(self, factor: Factor) -> pd.DataFrame:
        if factor.name not in drugs.DRUGS:
            return pd.DataFrame()
        return drugs.drug_rows(
            factor, self.rows.hazard, lags=self.models.drug_lag_days, landmarks=self.models.landmark_days,
            confidence=self.models.confidence,
        )  # fmt: skip

    def misclassified(self, factor: Factor) -> pd.DataFrame:
        return bias.misclassified_rows(
            factor, self.rows.patients, self.rows.hazard, self.study.bias, horizon=self.horizon,
            confidence=self.models.confidence, seed=SEED,
        )  # fmt: skip

    def controls(self) -> pd.DataFrame:
        if self.rows.outcome == bias.CONTROL:
            return pd.DataFrame()
        control = rows_of(self.cohort, bias.CONTROL).hazard
        return self.each(
            "levels out of reach",
            lambda factor: bias.control_rows(
                factor, self.rows.outcome, self.rows.hazard, control, self.models.confidence
            ),
        )

    def predictive(self) -> pd.DataFrame:
        return predictive.predictive_rows(self.rows.units, self.factors, self.filled, self.models.confidence)


def _adjustment(factors: Sequence[Factor]) -> pd.DataFrame:
    """Each exposure with the covariates of its set, one row per pair; an empty covariate where there are none."""
    rows = [
        {**factor.said, "covariate": name, "declared": "yes" if factor.declared else "no"}
        for factor in factors
        for name in factor.adjusted_for or ("",)
    ]
    return pd.DataFrame(rows)


def _below(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _ordered(frame: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The outcome in every row, what a row is of first, and notes as text."""
    if frame.empty:
        return frame
    frame = frame.assign(outcome=outcome)
    if "note" in frame:
        frame["note"] = frame["note"].astype("object").where(frame["note"].notna(), "")
    for name in ("estimate", "conf_low", "conf_high"):
        if name not in frame:
            frame[name] = np.nan
    first = [name for name in FIRST if name in frame]
    return frame[[*first, *(name for name in frame.columns if name not in first)]].reset_index(drop=True)
