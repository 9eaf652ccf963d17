"""The order of the stages, from a raw source to the results of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cohort.pipeline.history import history
from cohort.pipeline.stages import (
    Cohort,
    at_risk,
    classify,
    measures,
    person_time,
    prepare,
    printed_sightings,
    read,
    relations,
    under,
)

if TYPE_CHECKING:
    from cohort.pipeline.analysis import analyse

__all__ = [
    "Cohort",
    "analyse",
    "at_risk",
    "classify",
    "history",
    "measures",
    "person_time",
    "prepare",
    "printed_sightings",
    "read",
    "relations",
    "under",
]


def __getattr__(name: str) -> Any:
    # The estimators are heavy to load, and classifying or counting time at risk needs none of them.
    if name == "analyse":
        from cohort.pipeline.analysis import analyse

        return analyse
    raise AttributeError(f"module 'cohort.pipeline' has no attribute {name!r}")
