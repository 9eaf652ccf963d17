"""A refracture is found on a film and happened before it: the same-level analysis by dates found and by intervals."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline.risk import coded, models
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.results import Estimates, Registry

FOUND, BETWEEN = "found", "interval"
LABELS: Final = {FOUND: "By the day it was found", BETWEEN: "Between the last clear look and that day"}
RESAMPLES: Final = 200
SEED: Final = 0
ROWS: Final[dict[str, Any]] = {"exit": "exit", "entry": "entry", "id": "id", "cluster": "cluster"}


def interval_censored(registry: Registry) -> Estimates:
    """Treated vertebrae still unbroken by each window, and Weibull hazard ratios, by dates found and by intervals.

    Rows of measure "survival": Kaplan-Meier of the day found, and Turnbull's estimate where the fracture lies between
    the last look without it and that day (limits from resampling patients). Rows of measure "hazard_ratio": Weibull
    models of each exposure with its own adjustment set, both ways. A death is a loss in all of them, so that one minus
    a survival is no share of patients. Vertebrae that enter late are out of the curves (`n_late_entry`); where nobody
    looked before the fracture was found, it lies between the treatment (or a later entry) and that day.

    >>> import cohort
    >>> found = interval_censored(cohort.read("data/cases")).frame
    >>> sorted(found.loc[found["measure"] == "survival", "dates"].unique())
    ['found', 'interval']
    """
    return of_cohort(prepare(registry))


def of_cohort(cohort: Cohort) -> Estimates:
    """The same of a registry that is classified already."""
    rows = atrisk.treated_vertebra_rows(*cohort.stages).frame
    last = ~rows["id"].duplicated(keep="last")
    units = rows[last].assign(entry=rows.groupby("id", sort=False)["entry"].transform("first")[last])
    parts = [part for part in (_curves(units[units["entry"] == 0], cohort), _ratios(rows, cohort)) if len(part)]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return Estimates(
        frame,
        {
            "method": "Kaplan-Meier and Turnbull; Weibull regression; deaths are losses; clustered by patient",
            "n_late_entry": int((units["entry"] > 0).sum()),
            "resamples": RESAMPLES,
            "seed": SEED,
        },
    )


def _curves(units: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    settings = cohort.study.models
    if units.empty:
        return pd.DataFrame()
    said: dict[str, Any] = {
        "cluster": "cluster", "at": list(settings.windows_days), "confidence": settings.confidence
    }  # fmt: skip
    event = (units["cause"] == 1).astype("int64")
    bounds = estimate.interval_bounds(units, exit="exit", cause="cause", lower="lower")
    results = {
        FOUND: estimate.kaplan_meier(units.assign(event=event), exit="exit", event="event", **said),
        BETWEEN: estimate.turnbull(bounds, lower="lower", upper="upper", bootstrap=RESAMPLES, seed=SEED, **said),
    }
    parts = [
        result.frame.assign(dates=dates, dates_label=LABELS[dates], measure="survival")
        for dates, result in results.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _ratios(rows: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    # Covariates as on the first days at risk: what changes later has no value at an unknown day of onset.
    first = coded(rows[~rows["id"].duplicated()].set_index("id"))
    parts = []
    for model in models(cohort):
        if not model.adjusted_for:
            continue
        exposure = model.exposure.name
        terms = [exposure, *model.adjusted_for]
        fixed = rows[["id", "cluster", "entry", "exit", "cause", "lower"]].join(first[terms], on="id")
        for dates, lower in ((FOUND, None), (BETWEEN, "lower")):
            said: dict[str, Any] = {
                "dates": dates, "dates_label": LABELS[dates], "exposure": exposure, "label": model.exposure.label,
                "model": model.name, "adjusted_for": ", ".join(model.adjusted_for), "measure": "hazard_ratio",
            }  # fmt: skip
            try:
                # Where a handful of events fix no shape the climb ends far out, and the note of the row says so.
                with np.errstate(over="ignore"):
                    fitted = estimate.weibull(
                        fixed,
                        terms,
                        event="cause",
                        of=1,
                        lower=lower,
                        confidence=cohort.study.models.confidence,
                        **ROWS,
                    ).frame
            except EstimationError as error:
                parts.append(pd.DataFrame([{**said, "term": exposure, "estimate": np.nan, "note": str(error)}]))
                continue
            own = fitted[(fitted["term"] == exposure) & (fitted["measure"] == "hazard_ratio")]
            parts.append(own.assign(**said))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
