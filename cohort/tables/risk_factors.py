"""What one call says of risk factors: effects under several questions, and everything that could make them wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

import pandas as pd

from cohort.tables.results import Estimates


def _nothing() -> Estimates:
    return Estimates(pd.DataFrame())


@dataclass(frozen=True)
class RiskFactors:
    """Risk factors of one or several outcomes, as tidy unrounded frames.

    Every frame has outcome, exposure, label (the exposure in words), n_patients, n_units, n_events, estimate, conf_low,
    conf_high and note where they apply, and besides:

    adjustment : exposure, label, covariate, declared ("yes", or "no" where the study file has no set for the exposure).
    effects : measure ("hazard_ratio", "subdistribution_hazard_ratio", "risk_all_exposed", "risk_none_exposed",
        "risk_difference", "risk_ratio"), model ("crude", "adjusted"), adjusted_for, unit, time (the horizon, of risks),
        contrast_from, contrast_to (the two values compared, of numbers, as the model has them), penalized ("yes" where
        Firth's ratio is the main one).
    checks : check ("events_per_parameter", "proportional_hazards", "straight_line", "exposure_probability",
        "incomplete", "same_units", "other_risk_model"), statistic, p_value, estimate, concern ("yes", "no"), sentence.
    rare : method ("maximum likelihood", "Firth", "exact", "mid-P"), measure, model, main ("yes", "no").
    patterns : `estimate.missing_patterns` of exposures and covariates, findings not assessable kept apart.
    imputed : analysis ("complete case", "multiple imputation", "shift -1", ...), measure, unit, fmi; hazard ratios too
        are of units as at entry, so that "complete case" need not be the hazard ratio of `effects`.
    drugs : analysis ("current use", "lag 90 days", "landmark day 90", ...), measure.
    starts : stretches of drug use that began during follow-up, and how many after a refracture of any relation:
        exposure, label, n_starts, n_patients, n_after_fracture, n_patients_after, within_days.
    e_values : effects with e_value and e_value_limit.
    misclassified : error ("exposure", "outcome"), sensitivity, specificity, correction, measure.
    controls : primary_estimate, control_estimate, estimate (their ratio), each with limits; control_outcome.
    predictive : term, all in one model: analysis; no coefficient of it is an effect.
    reading : measure -> which question it answers.
    """

    adjustment: pd.DataFrame = field(default_factory=pd.DataFrame)
    effects: Estimates = field(default_factory=_nothing)
    checks: Estimates = field(default_factory=_nothing)
    rare: Estimates = field(default_factory=_nothing)
    patterns: Estimates = field(default_factory=_nothing)
    imputed: Estimates = field(default_factory=_nothing)
    drugs: Estimates = field(default_factory=_nothing)
    starts: pd.DataFrame = field(default_factory=pd.DataFrame)
    e_values: Estimates = field(default_factory=_nothing)
    misclassified: Estimates = field(default_factory=_nothing)
    controls: Estimates = field(default_factory=_nothing)
    predictive: Estimates = field(default_factory=_nothing)
    reading: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def together(cls, parts: Iterable[RiskFactors]) -> RiskFactors:
        """Those of several outcomes, one below the other."""
        listed = list(parts)
        joined: dict[str, object] = {}
        for one in fields(cls):
            values = [getattr(part, one.name) for part in listed]
            if one.name == "reading":
                joined[one.name] = {key: text for value in values for key, text in value.items()}
            elif one.name in ("adjustment", "starts"):
                joined[one.name] = _below(values).drop_duplicates(ignore_index=True)
            else:
                settings: Mapping[str, object] = next((value.settings for value in values if value.settings), {})
                joined[one.name] = Estimates(_below([value.frame for value in values]), settings)
        return cls(**joined)  # type: ignore[arg-type]


def _below(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
