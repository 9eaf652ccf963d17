"""Few events: penalized and exact ratios beside maximum likelihood, and how many events stand behind each parameter.

The penalized ratio is not chosen for being smaller or having a p-value: it is the main one only where maximum
likelihood has no finite value, or where the study file said so beforehand.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline.factors import effects
from cohort.pipeline.factors.rows import Factor, binary, complete, said_together

FEW_PER_PARAMETER: Final = 10.0
LIKELIHOOD, FIRTH = "maximum likelihood", "Firth"


def rare_rows(
    factor: Factor,
    hazard: pd.DataFrame,
    patients: pd.DataFrame,
    *,
    horizon: int,
    penalized: str = "on_separation",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Both likelihoods of each model, then the exact rate ratio and the exact odds ratio at the horizon (crude).

    hazard, patients : as in `FactorRows`. `main` says which of the two likelihoods stands in the main table.
    """
    parts = []
    for model, terms in factor.models:
        behind = effects.events_behind(hazard, terms)
        said: dict[str, Any] = {**factor.said, "model": model, "adjusted_for": ", ".join(terms[1:]), **behind}
        said["events_per_parameter"] = behind["n_events"] / behind["n_parameters"]
        both = dict(zip((LIKELIHOOD, FIRTH), effects.both_likelihoods(hazard, terms, confidence), strict=True))
        chosen = FIRTH if penalized == "always" or not effects.finite(both[LIKELIHOOD]) else LIKELIHOOD
        if not effects.finite(both[FIRTH]):
            chosen = LIKELIHOOD
        parts += [row.assign(**said, method=name, main="yes" if name == chosen else "no") for name, row in both.items()]
    if binary(hazard[factor.name]):
        exact = [_exact_rates(factor, hazard, confidence), _exact_odds(factor, patients, horizon, confidence)]
        parts += [one.assign(**factor.said, model="crude", adjusted_for="", main="no") for one in exact]
    return pd.concat(parts, ignore_index=True)


def _exact_rates(factor: Factor, hazard: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The ratio of the rates of exposed and unexposed days, given the number of events."""
    whole = complete(hazard, [factor.name])
    counts = pd.DataFrame(
        {
            "exposed": whole[factor.name],
            "events": (whole["cause"] == 1).astype(float),
            "days": (whole["exit"] - whole["entry"]).astype(float),
        }
    )
    summed = counts.groupby("exposed", as_index=False).sum()
    try:
        found = estimate.exact_rate_ratio(
            summed, events="events", person_time="days", exposure="exposed", confidence=confidence
        ).frame
    except EstimationError as error:
        return pd.DataFrame([{"measure": "rate_ratio", "method": "exact", "note": str(error)}])
    several = whole.loc[whole["cause"] == 1, "cluster"].duplicated().any()
    dependent = "several events of one patient are taken as independent" if several else ""
    return found.assign(
        method=found["interval"].map({"exact": "exact", "mid-p": "mid-P"}),
        note=[said_together(note, dependent) for note in found["note"].tolist()],
        n_patients=float(whole["cluster"].nunique()), n_units=float(whole["id"].nunique()),
    )  # fmt: skip


def _exact_odds(factor: Factor, patients: pd.DataFrame, horizon: int, confidence: float) -> pd.DataFrame:
    """The conditional odds ratio among patients whose outcome at the horizon is known, from their first day on."""
    if factor.name not in patients:
        note = "of a vertebra, not of a patient: no odds of patients by it"
        return pd.DataFrame([{"measure": "odds_ratio", "method": "exact", "note": note}])
    whole = complete(patients, [factor.name])
    happened = (whole["cause"] == 1) & (whole["exit"] <= horizon)
    known = (whole["entry"] == 0) & (happened | (whole["cause"] > 1) | (whole["exit"] >= horizon))
    table = pd.DataFrame({"exposed": whole[factor.name], "happened": happened.astype(float)})[known.to_numpy()]
    try:
        found = estimate.exact_odds_ratio(table, outcome="happened", exposure="exposed", confidence=confidence).frame
    except EstimationError as error:
        return pd.DataFrame([{"measure": "odds_ratio", "method": "exact", "note": str(error)}])
    lost = int((~known).sum())
    note = f"patients, {lost} lost before day {horizon} or entered late left out" if lost else "patients"
    return found.assign(
        method=found["interval"].map({"exact": "exact", "mid-p": "mid-P"}), time=float(horizon),
        note=[said_together(note, own) for own in found["note"].tolist()],
        n_units=found["n_patients"].astype(np.float64),
    )  # fmt: skip
