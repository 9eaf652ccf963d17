"""Which findings go with refracture: cause-specific hazards per relation, and odds at one year.

Each exposure has its own model with its own adjustment set (`[models.adjustment]` of the study file): a coefficient is
read for the exposure its set was chosen for, never for the covariates beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Exposure:
    """An exposure and the words its ratio is read in."""

    name: str
    label: str


EXPOSURES = (
    Exposure("cleft", "Intravertebral cleft before treatment"),
    Exposure("leak", "Cement leak into the disc"),
    Exposure("height_restoration", "Anterior height restored, per 10 percentage points"),
    Exposure("t_score", "T-score, per SD higher"),
    Exposure("corticosteroids", "Chronic corticosteroids"),
    Exposure("anti_osteoporotic", "Anti-osteoporotic drug, current"),
)
ASKED_BY_OTHERS = (
    Exposure("age", "Age, per 10 years"),
    Exposure("female", "Female sex"),
    Exposure("prior_fractures", "Earlier fractures, each"),
    Exposure("n_levels", "Levels treated, each"),
    Exposure("volume_ml", "Cement, per ml"),
)
COVARIATE_SCALE = {"age": 0.1, "height_restoration": 10.0}


def coded(frame: pd.DataFrame) -> pd.DataFrame:
    """Covariates for models: findings yes/no as 1/0, not assessable and missing as NaN; age per 10 years; words as
    categories in alphabetical order, the first the reference.

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
    for name in frame.columns.difference(["patient_id", "level", "role"]):
        if frame[name].dtype == object:
            frame[name] = pd.Categorical(frame[name].astype("string"))
    return frame


def hazards(cohort: Cohort) -> Estimates:
    """Cause-specific Cox models per relation, crude and adjusted, on vertebra rows clustered by patient."""

    def fit(rows: pd.DataFrame, terms: list[str]) -> Estimates:
        return estimate.cox(
            rows, covariates=terms, exit="exit", event="cause", entry="entry", id="id", cluster="cluster"
        )

    parts = []
    for outcome in REFRACTURE_RELATIONS:
        process = atrisk.vertebra_rows(*cohort.stages, role=ROLE_OF[outcome])  # type: ignore[arg-type]
        rows = coded(process.frame)
        event = rows["cause"] == 1
        parts += [_one_model(rows, event, outcome, model, fit) for model in models(cohort)]
    return Estimates(
        pd.DataFrame(parts),
        {"method": "Cox, Efron ties, days since the first augmentation, robust by patient; other causes censor"},
    )


def odds(cohort: Cohort) -> Estimates:
    """Logistic regression at the study's horizon, weighted for loss to follow-up; death is a known non-event.

    Patients observed from their first augmentation on; exposures as known on that day.
    """
    return _odds(cohort, dict.fromkeys(REFRACTURE_RELATIONS, models(cohort)))


def odds_asked_by_others(cohort: Cohort) -> Estimates:
    """Odds ratios at the horizon that published ones ask for and `odds` has not, with its columns.

    Of the first refracture of any relation (outcome "any") every exposure; of each relation age, sex, earlier
    fractures, levels treated and cement, crude unless the study has a set for them.
    """
    others = models(cohort, ASKED_BY_OTHERS)
    of_any = [*models(cohort), *others]
    return _odds(cohort, {**dict.fromkeys(REFRACTURE_RELATIONS, others), "any": of_any})


def _odds(cohort: Cohort, asked: Mapping[str, list[Model]]) -> Estimates:
    """The models of each outcome at the study's horizon."""
    horizon = cohort.study.models.horizon_days

    def fit(rows: pd.DataFrame, terms: list[str]) -> Estimates:
        return estimate.ipcw_logistic(
            rows, covariates=terms, horizon=horizon, exit="exit", cause="cause", of=1, cluster="cluster"
        )

    baseline = coded(atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study))
    parts = []
    for outcome, wanted in asked.items():
        process = first_events(cohort, "composite" if outcome == "any" else outcome)
        frame = process.frame
        rows = frame.loc[frame["entry"] == 0, ["patient_id", "id", "cluster", "entry", "exit", "cause"]]
        if outcome == "any":
            died = rows["cause"] == process.causes.index("death") + 1
            rows = rows.assign(cause=np.select([rows["cause"] == 0, died], [0, 2], 1))
        rows = rows.merge(baseline.drop(columns=["id", "cluster"], errors="ignore"), on="patient_id", how="left")
        event = (rows["cause"] == 1) & (rows["exit"] <= horizon)
        parts += [_one_model(rows, event, outcome, model, fit) for model in wanted]
    return Estimates(
        pd.DataFrame(parts),
        {"method": f"logistic regression at {horizon} days, weighted for loss to follow-up, robust by patient"},
    )


def check_adjustment(cohort: Cohort) -> None:
    """Raise DefinitionError if an adjustment set of the study names what was not known at entry."""
    known = [str(name) for name in atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study).columns[1:]]
    for names in cohort.study.models.adjustment.values():
        for name in names:
            atrisk.refuse_future_covariate(name, known, cohort.study)


@dataclass(frozen=True)
class Model:
    """One exposure and what its model adjusts for."""

    exposure: Exposure
    adjusted_for: tuple[str, ...]

    @property
    def name(self) -> str:
        """Crude or adjusted."""
        return "adjusted" if self.adjusted_for else "crude"


def models(cohort: Cohort, exposures: tuple[Exposure, ...] = EXPOSURES) -> list[Model]:
    """Each exposure crude, and with its own adjustment set where the study gives one."""
    adjustment = cohort.study.models.adjustment
    sets = [(exposure, adjusted) for exposure in exposures for adjusted in ((), adjustment.get(exposure.name, ()))]
    return list(dict.fromkeys(Model(exposure, tuple(adjusted)) for exposure, adjusted in sets))


def _one_model(
    rows: pd.DataFrame,
    event: pd.Series,
    outcome: str,
    model: Model,
    fit: Callable[[pd.DataFrame, list[str]], Estimates],
) -> dict[str, Any]:
    """The exposure's own row of its own model, with what it rests on; a model that cannot be fitted says why.

    The estimator is given every row and leaves out incomplete ones itself, so that weights for loss see them all.
    """
    exposure = model.exposure.name
    terms = [exposure, *model.adjusted_for]
    complete = rows[terms].notna().all(axis=1)
    values = rows.loc[complete, exposure]
    events = event & complete
    binary = set(values.unique()) <= {0.0, 1.0}
    said: dict[str, Any] = {
        "outcome": outcome,
        "exposure": exposure,
        "label": model.exposure.label,
        "model": model.name,
        "adjusted_for": ", ".join(model.adjusted_for),
        "n_patients": rows.loc[complete, "cluster"].nunique(),
        "n_units": rows.loc[complete, "id"].nunique(),
        "n_events": int(events.sum()),
        "n_exposed_events": int((events & (rows[exposure] == 1)).sum()) if binary else np.nan,
        "n_incomplete": int(rows["id"].nunique() - rows.loc[complete, "id"].nunique()),
    }
    row: dict[str, Any] = {"term": exposure, "estimate": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    try:
        fitted = fit(rows, terms).frame
        row = {str(k): v for k, v in fitted[fitted["term"] == exposure].iloc[0].items()}
        notes = [str(row.get("note") or "")]
    except EstimationError as error:
        notes = [str(error)]
    if said["n_events"] < FEW_EVENTS_PER_PARAMETER * len(terms):
        notes.append(f"{said['n_events']} events for {len(terms)} parameters")
    return {**row, **said, "note": "; ".join(note for note in notes if note)}
