"""Which findings go with refracture: cause-specific hazards per relation, and odds at one year.

Each exposure has its own model with its own adjustment set (`[models.adjustment]` of the study file): a coefficient is
read for the exposure its set was chosen for, never for the covariates beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.domain.errors import EstimationError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline.occurrence import first_events
from cohort.pipeline.stages import Cohort
from cohort.tables.results import Estimates

ROLE_OF = {"same": "treated", "adjacent": "adjacent", "remote": "remote"}
FEW_EVENTS_PER_PARAMETER = 10
FEW_CLUSTERS = 20


@dataclass(frozen=True)
class Exposure:
    """An exposure as it enters a model: `scale` turns the column into the unit the ratio is read in."""

    name: str
    label: str
    scale: float = 1.0


EXPOSURES = (
    Exposure("cleft", "Intravertebral cleft before treatment"),
    Exposure("leak", "Cement leak into the disc"),
    Exposure("height_restoration", "Anterior height restored, per 10 percentage points", 10.0),
    Exposure("t_score", "T-score, per SD higher"),
    Exposure("corticosteroids", "Chronic corticosteroids"),
    Exposure("anti_osteoporotic", "Anti-osteoporotic drug, current"),
)
COVARIATE_SCALE = {"age": 0.1, "height_restoration": 10.0}


def coded(frame: pd.DataFrame) -> pd.DataFrame:
    """Covariates as numbers: findings yes/no as 1/0, not assessable and missing as NaN; age per 10 years.

    >>> coded(pd.DataFrame({"cleft": ["yes", "no", "not_assessable"], "age": [70.0, 80.0, 90.0]}))["cleft"].tolist()
    [1.0, 0.0, nan]
    """
    frame = frame.copy()
    for name in ("cleft", "leak", "corticosteroids", "anti_osteoporotic"):
        if name in frame and not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = frame[name].astype("object").map({"yes": 1.0, "no": 0.0}).astype("float64")
    for name, scale in COVARIATE_SCALE.items():
        if name in frame:
            frame[name] = frame[name].astype("float64") * scale
    return frame


def hazards(cohort: Cohort) -> Estimates:
    """Cause-specific Cox models per relation, crude and adjusted, on vertebra rows clustered by patient."""
    parts = []
    for outcome in REFRACTURE_RELATIONS:
        process = atrisk.vertebra_rows(*cohort.stages, role=ROLE_OF[outcome])  # type: ignore[arg-type]
        rows = coded(process.frame)
        for exposure, model, adjusted_for in _models(cohort):
            parts.append(
                _one_model(
                    rows,
                    outcome,
                    exposure,
                    model,
                    adjusted_for,
                    lambda data, terms: estimate.cox(
                        data, covariates=terms, exit="exit", event="cause", entry="entry", id="id", cluster="cluster"
                    ),
                    event="cause",
                )
            )
    return Estimates(
        pd.concat(parts, ignore_index=True),
        {"method": "Cox, Efron ties, days since the first augmentation, robust by patient; other causes censor"},
    )


def odds(cohort: Cohort) -> Estimates:
    """Logistic regression at the study's horizon, weighted for loss to follow-up; death is a known non-event.

    Patients observed from their first augmentation on; exposures as known on that day.
    """
    horizon = cohort.study.models.horizon_days
    baseline = coded(atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study))
    parts = []
    for outcome in REFRACTURE_RELATIONS:
        process = first_events(cohort, outcome)
        rows = process.frame.loc[process.frame["entry"] == 0, ["patient_id", "id", "cluster", "entry", "exit", "cause"]]
        rows = rows.merge(baseline.drop(columns=["id", "cluster"], errors="ignore"), on="patient_id", how="left")
        lost = (rows["cause"] == 0) & (rows["exit"] < horizon)
        for exposure, model, adjusted_for in _models(cohort):
            part = _one_model(
                rows,
                outcome,
                exposure,
                model,
                adjusted_for,
                lambda data, terms: estimate.ipcw_logistic(
                    data, covariates=terms, horizon=horizon, exit="exit", cause="cause", of=1, cluster="cluster"
                ),
                event="cause",
            )
            parts.append(part.assign(n_known=int((~lost).sum()), n_lost=int(lost.sum())))
    return Estimates(
        pd.concat(parts, ignore_index=True),
        {"method": f"logistic regression at {horizon} days, weighted for loss to follow-up, robust by patient"},
    )


def _models(cohort: Cohort) -> list[tuple[Exposure, str, tuple[str, ...]]]:
    adjustment = cohort.study.models.adjustment
    models = []
    for exposure in EXPOSURES:
        models.append((exposure, "crude", ()))
        if exposure.name in adjustment:
            models.append((exposure, "adjusted", tuple(adjustment[exposure.name])))
    return models


def _one_model(rows, outcome, exposure, model, adjusted_for, fit, event):  # type: ignore[no-untyped-def]
    """The row of the exposure from its own model, with what it rests on; a model that cannot be fitted says why."""
    terms = [exposure.name, *adjusted_for]
    complete = rows[rows[terms].notna().all(axis=1)]
    events = complete[event] == 1
    exposed = complete[exposure.name] > 0
    said = {
        "outcome": outcome,
        "exposure": exposure.name,
        "label": exposure.label,
        "model": model,
        "adjusted_for": ", ".join(adjusted_for),
        "n_patients": complete["cluster"].nunique(),
        "n_units": complete["id"].nunique(),
        "n_events": int(events.sum()),
        "n_exposed_events": int((events & exposed).sum())
        if set(complete[exposure.name].unique()) <= {0.0, 1.0}
        else np.nan,
        "n_incomplete": int(rows["id"].nunique() - complete["id"].nunique()),
    }
    notes = []
    try:
        fitted = fit(complete, terms).frame
        row = fitted[fitted["term"] == exposure.name].iloc[0].to_dict()
        notes.append(str(row.get("note") or ""))
    except EstimationError as error:
        row = {"term": exposure.name, "estimate": np.nan, "conf_low": np.nan, "conf_high": np.nan}
        notes.append(str(error))
    if said["n_events"] < FEW_EVENTS_PER_PARAMETER * len(terms):
        notes.append(f"{said['n_events']} events for {len(terms)} parameters")
    clusters = complete.loc[events, "cluster"].nunique()
    if clusters < FEW_CLUSTERS:
        notes.append(f"events in {clusters} patients only: the interval is too narrow to rely on")
    return pd.DataFrame([{**row, **said, "note": "; ".join(n for n in notes if n)}])
