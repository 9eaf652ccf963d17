"""The order of the stages, from a raw source to the results of a study."""

from cohort.pipeline.analysis import analyse
from cohort.pipeline.stages import (
    Cohort,
    at_risk,
    classify,
    definition_for,
    person_time,
    prepare,
    printed_sightings,
    read,
    under,
)

__all__ = [
    "Cohort",
    "analyse",
    "at_risk",
    "classify",
    "definition_for",
    "person_time",
    "prepare",
    "printed_sightings",
    "read",
    "under",
]
