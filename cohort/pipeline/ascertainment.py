"""Was everybody looked at alike? Imaging by exposure and by role, beside the rates that rest on it.

A fracture is found when somebody looks. Where the exposed are imaged more often than others, or for symptoms rather
than on schedule, a difference in found fractures is in part a difference in looking.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.results import Registry

EXPOSURES: Final = {
    "cleft": "Intravertebral cleft before treatment",
    "leak": "Cement leak into the disc",
    "corticosteroids": "Chronic corticosteroids",
    "anti_osteoporotic": "Anti-osteoporotic drug at entry",
    "technique": "Technique",
}
NOT_RECORDED: Final = "not recorded"


def ascertainment(registry: Registry) -> pd.DataFrame:
    """How often patients were imaged after treatment, by what they were exposed to at entry.

    One row for all patients of the main population (variable "all"), then one per exposure and category: variable,
    label, category, n_patients, person_years, n_days (days with a study or measurement), share_scheduled and
    share_symptom (of these days), n_never (patients never imaged), estimate (imaged days per patient-year) with
    conf_low and conf_high (clustered by patient). Empty where the registry has no imaging.

    >>> import cohort
    >>> found = ascertainment(cohort.read("data/cases"))
    >>> int(found.loc[found["variable"] == "all", "n_patients"].iloc[0])
    4
    """
    return by_exposure(prepare(registry))


def by_exposure(cohort: Cohort) -> pd.DataFrame:
    """The same of a registry that is classified already."""
    columns = [
        "variable", "label", "category", "n_patients", "person_years", "n_days", "share_scheduled", "share_symptom",
        "n_never", "estimate", "conf_low", "conf_high",
    ]  # fmt: skip
    if not len(cohort.tables["imaging"]) and not len(cohort.tables["imaging_studies"]):
        return pd.DataFrame(columns=columns)
    seen = atrisk.imaging_by_patient(cohort.tables, cohort.augmentations, cohort.study)
    known = atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study)
    main = cohort.follow_up["in_main"].to_numpy(dtype=bool)
    seen, known = seen[main].reset_index(drop=True), known[main].reset_index(drop=True)
    rows = [_imaged(seen, "all", "All patients", "", cohort)] if len(seen) else []
    for name, label in EXPOSURES.items():
        category = _words(known[name])
        for one in sorted(category.unique(), key=lambda text: (text == NOT_RECORDED, text)):
            rows.append(_imaged(seen[category == one], name, label, str(one), cohort))
    return pd.DataFrame(rows, columns=columns)


def by_role(cohort: Cohort) -> pd.DataFrame:
    """Looks per vertebra-year by the role of the vertebra.

    Returns role, n_looks, person_years (of vertebrae), n_patients, estimate, conf_low, conf_high. Main population; a
    look is a study that shows the vertebra, or a measurement of it. Intervals are clustered by patient. Empty where the
    registry has no imaging.
    """
    columns = ["role", "n_looks", "person_years", "n_patients", "estimate", "conf_low", "conf_high"]
    main = cohort.follow_up["in_main"].to_numpy(dtype=bool)
    found = atrisk.looks_by_role(cohort.tables, cohort.augmentations, cohort.study, only=main)
    if not found["n_looks"].sum():
        return pd.DataFrame(columns=columns)
    rate = estimate.rate_by(
        found, events="n_looks", person_days="vertebra_days", cluster="patient_id", by=["role"],
        confidence=cohort.study.models.confidence,
    ).frame  # fmt: skip
    return rate.rename(columns={"n_events": "n_looks"}).assign(role=rate["role"].astype(object))[columns]


def _imaged(seen: pd.DataFrame, name: str, label: str, category: str, cohort: Cohort) -> dict[str, Any]:
    days = int(seen["n_days"].sum())
    said: dict[str, Any] = {
        "variable": name,
        "label": label,
        "category": category,
        "n_patients": len(seen),
        "n_days": days,
        "share_scheduled": seen["n_scheduled"].sum() / days if days else np.nan,
        "share_symptom": seen["n_symptom"].sum() / days if days else np.nan,
        "n_never": int((seen["n_days"] == 0).sum()),
    }
    if not seen["person_days"].sum():
        return said
    rate = estimate.rate_by(
        seen.assign(all=1), events="n_days", person_days="person_days", cluster="patient_id", by=["all"],
        confidence=cohort.study.models.confidence,
    ).frame.iloc[0]  # fmt: skip
    return said | {name: rate[name] for name in ("person_years", "estimate", "conf_low", "conf_high")}


def _words(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values):
        return values.map({1.0: "yes", 0.0: "no"}).astype(object).fillna(NOT_RECORDED)
    return values.astype(object).fillna(NOT_RECORDED).map(lambda text: str(text).replace("_", " "))
