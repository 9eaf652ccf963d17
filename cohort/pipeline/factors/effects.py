"""One exposure, four questions: hazard, subdistribution hazard, and the difference and ratio of risks within a year.

They need not agree. A finding that kills lowers the share who live to refracture, and with it the subdistribution
ratio and the risks, while the hazard of those still alive is unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline.factors.rows import ROWS, Factor, binary, complete, n_parameters, said_together
from cohort.tables.results import Estimates

READING: Final = {
    "hazard_ratio": "Does the finding go with refracture among those still at risk? The question of causes. A death "
    "only ends the time at risk.",
    "subdistribution_hazard_ratio": "Will more of those treated come to have the refracture, the dead staying in the "
    "denominator? The question of who will be seen again; it mixes refracture with survival and names no cause.",
    "risk_difference": "How many more of those treated would refracture within the horizon if all rather than none had "
    "the finding? The question of decisions: 100 divided by it, in per cent, is a number needed to treat or to harm.",
    "risk_ratio": "The same as a ratio. It is not the hazard ratio, nor the odds ratio, unless refracture is rare.",
}
MEASURES: Final = (*READING, "risk_all_exposed", "risk_none_exposed")


def effect_rows(
    factor: Factor,
    hazard: pd.DataFrame,
    units: pd.DataFrame,
    *,
    horizon: int,
    risk_model: str = "cox",
    penalized: str = "on_separation",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Crude and adjusted effects of one factor, one row per model and measure; what cannot be fitted says why.

    hazard, units : as in `FactorRows`. The hazard ratio is Firth's where maximum likelihood has no finite value, or
    always with `penalized` = "always".
    """
    parts = []
    for model, terms in factor.models:
        said = {**factor.said, "model": model, "adjusted_for": ", ".join(terms[1:])}
        parts += [
            hazard_ratio(hazard, terms, penalized, confidence).assign(**said, unit="vertebra at risk"),
            of_term(partial(subdistribution, units, terms, confidence), terms[0], "subdistribution_hazard_ratio")
            .assign(**said),
            risks(units, factor, terms, horizon, risk_model, confidence).assign(**said),
        ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def hazard_ratio(rows: pd.DataFrame, terms: list[str], penalized: str, confidence: float) -> pd.DataFrame:
    """The cause-specific hazard ratio of the first term, one row with `penalized` yes or no."""
    likelihood = of_term(lambda: cox(rows, terms, confidence), terms[0], "hazard_ratio")
    if penalized != "always" and finite(likelihood):
        return likelihood.assign(penalized="no")
    firth = of_term(lambda: firth_cox(rows, terms, confidence), terms[0], "hazard_ratio")
    if not finite(firth):
        none = "Firth's penalized ratio, which the study asks for, has no finite value" if finite(likelihood) else ""
        return likelihood.assign(
            penalized="no", note=[said_together(none, note) for note in likelihood["note"].tolist()]
        )
    why = "asked for by the study" if penalized == "always" else "maximum likelihood has no finite value or limits"
    words = f"Firth's penalized ratio: {why}"
    return firth.assign(penalized="yes", note=[said_together(words, note) for note in firth["note"].tolist()])


def both_likelihoods(rows: pd.DataFrame, terms: list[str], confidence: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The hazard ratio of the first term by maximum likelihood, and by Firth's; each one row."""
    plain = of_term(lambda: cox(rows, terms, confidence), terms[0], "hazard_ratio")
    return plain, of_term(lambda: firth_cox(rows, terms, confidence), terms[0], "hazard_ratio")


def finite(row: pd.DataFrame) -> bool:
    """Whether a frame of one row has an estimate and both limits."""
    values = row.reindex(columns=["estimate", "conf_low", "conf_high"]).to_numpy(dtype=np.float64)
    return bool(len(row) and np.isfinite(values).all() and (values[:, 0] > 0).all())


def cox(rows: pd.DataFrame, terms: list[str], confidence: float = 0.95) -> Estimates:
    """The Cox model of the outcome (cause 1), clustered by patient."""
    return estimate.cox(rows, terms, event="cause", of=1, confidence=confidence, **ROWS)


def firth_cox(rows: pd.DataFrame, terms: list[str], confidence: float = 0.95) -> Estimates:
    """The same with Firth's penalty and limits from the penalized profile likelihood."""
    return estimate.firth_cox(rows, terms, event="cause", of=1, confidence=confidence, **ROWS)


def subdistribution(units: pd.DataFrame, terms: list[str], confidence: float = 0.95) -> Estimates:
    """The Fine-Gray model of the outcome (cause 1), death competing."""
    return estimate.fine_gray(units, terms, cause="cause", of=1, confidence=confidence, **ROWS)


def risks(
    units: pd.DataFrame, factor: Factor, terms: list[str], horizon: int, risk_model: str, confidence: float = 0.95
) -> pd.DataFrame:
    """Risks by the horizon if all had the exposure and if none had, with difference and ratio: four rows."""
    if factor.contrast is None and not binary(units[factor.name]):
        note = "a number without two values to compare; name them under models.contrasts"
        said = {"term": factor.name, "time": float(horizon), "note": note, "estimate": np.nan}
        return pd.DataFrame([{**said, "measure": measure} for measure in ("risk_difference", "risk_ratio")])

    def fit() -> Estimates:
        return estimate.standardized_risk(
            units, factor.name, covariates=terms[1:], cause="cause", of=1, horizon=horizon, method=risk_model,  # type: ignore[arg-type]
            between=factor.contrast, confidence=confidence, **ROWS,
        )  # fmt: skip

    found = of_term(fit, factor.name, "risk_difference")
    low, high = factor.contrast or (np.nan, np.nan)
    return found.assign(time=float(horizon), contrast_from=low, contrast_to=high)


def of_term(fit: Callable[[], Estimates], term: str, measure: str) -> pd.DataFrame:
    """The rows of a term, or one row that says why there are none."""
    try:
        found = fit()
    except EstimationError as error:
        return pd.DataFrame([{"term": term, "measure": measure, "note": str(error)}])
    frame = found.frame[found.frame["term"] == term].reset_index(drop=True)
    probability: Any = found.settings.get("exposure_probability", (np.nan, np.nan))
    if measure.startswith("risk"):
        frame = frame.assign(
            share_extreme=found.settings.get("share_extreme", np.nan),
            lowest_probability=probability[0],
            highest_probability=probability[1],
        )
    return frame.reindex(columns=list(dict.fromkeys([*frame.columns, "estimate", "conf_low", "conf_high", "note"])))


def events_behind(rows: pd.DataFrame, terms: list[str]) -> dict[str, float]:
    """What a model rests on: units with no missing term, patients, events (of yes/no also those of the exposed), and
    its coefficients."""
    whole = complete(rows, terms)
    event = whole["cause"] == 1
    return {
        "n_patients": float(whole["cluster"].nunique()),
        "n_units": float(whole["id"].nunique()),
        "n_events": float(event.sum()),
        "n_exposed_events": float((event & (whole[terms[0]] == 1)).sum()) if binary(whole[terms[0]]) else np.nan,
        "n_incomplete": float(rows["id"].nunique() - whole["id"].nunique()),
        "n_parameters": float(n_parameters(whole, terms)),
    }
