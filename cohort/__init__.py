"""Epidemiological cohort analysis of patients treated with vertebral augmentation.

    import cohort
    registry = cohort.read("data/synthetic")
    sightings = cohort.classify(registry)

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
            "kaplan_meier", "nelson_aalen", "aalen_johansen", "cox", "ph_test", "logrank", "logistic", "ipcw_logistic",
            "poisson", "rate", "proportion", "table_one",
        ),
        "cohort.estimate",
    ),
}  # fmt: skip

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'cohort' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
