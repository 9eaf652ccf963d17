"""Epidemiological cohort analysis of patients treated with vertebral augmentation.

    import cohort
    registry = cohort.read("data/synthetic")
    sightings = cohort.classify(registry)
    published = cohort.literature.facts()

Names are loaded on first use, so that `import cohort` and `cohort --help` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("vertebral-cohort")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_HOME = {
    "read": "cohort.pipeline",
    "classify": "cohort.pipeline",
    "person_time": "cohort.pipeline",
    "at_risk": "cohort.pipeline",
    "relations": "cohort.pipeline",
    "measures": "cohort.pipeline",
    "analyse": "cohort.pipeline",
    "by_definition": "cohort.pipeline.definitions",
    "misnumbering": "cohort.pipeline.misnumbering",
    "ascertainment": "cohort.pipeline.ascertainment",
    "policies": "cohort.pipeline.policies",
    "states": "cohort.pipeline.courses",
    "transitions": "cohort.pipeline.courses",
    "mean_counts": "cohort.pipeline.recurrence",
    "within_patients": "cohort.pipeline.hazard_shape",
    "risk_factors": "cohort.pipeline.factors",
    "reconstruct": "cohort.literature.reconstruct",
    "reconstructable": "cohort.literature.reconstruct",
    "reproduce": "cohort.pipeline.reproduce",
    "reproduce_all": "cohort.pipeline.reproduce",
    "like_for_like": "cohort.pipeline.like_for_like",
    "compared": "cohort.pipeline.compared",
    "interval_censored": "cohort.pipeline.onset_intervals",
    "build_report": "cohort.report",
    "explain": "cohort.report",
    "synthesize": "cohort.synthetic",
    "simulate": "cohort.synthetic",
    "StudyDefinition": "cohort.domain.study",
    "load_study": "cohort.domain.study",
    "Registry": "cohort.tables.results",
    "Estimates": "cohort.tables.results",
    "CountingProcess": "cohort.tables.results",
    **dict.fromkeys(
        (
            "aalen_johansen", "absolute_risk", "bootstrap", "compare_curves", "concordance", "cox", "exact_odds_ratio",
            "exact_rate_ratio", "fine_gray", "firth_cox", "firth_logistic", "functional_form", "gee_logistic",
            "gray_test", "hazard_ratio_by_interval", "influence", "interval_bounds", "ipcw_logistic", "kaplan_meier",
            "logistic", "logrank", "martingale_residuals", "mean_cumulative_count", "mean_time_in_states",
            "mixed_logistic", "negative_binomial", "nelson_aalen", "observed_expected", "ph_test", "poisson",
            "prediction_accuracy", "proportion", "quantile_time", "rate", "rate_by", "recurrent",
            "restricted_cubic_spline",
            "schoenfeld_residuals", "schoenfeld_smooth", "standardized_risk", "state_probabilities",
            "state_transitions", "table_one", "time_lost", "time_transform", "turnbull", "wald_test", "weibull",
            "within_patient", "e_value", "lagged", "landmark", "log_ratio", "meta_effects", "meta_proportions",
            "meta_rates", "egger_test", "funnel", "leave_one_study_out", "meta_regression", "corrected_ratio",
            "corrected_estimates", "negative_control", "shrink", "impute", "impute_and_fit", "missing_patterns", "pool",
        ),
        "cohort.estimate",
    ),
}  # fmt: skip

_PACKAGES = ("literature",)

__all__ = ["__version__", *_HOME, *_PACKAGES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _PACKAGES:
        return import_module(f"cohort.{name}")
    raise AttributeError(f"module 'cohort' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
