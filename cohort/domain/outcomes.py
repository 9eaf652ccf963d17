"""The words of the field: relations, roles, kinds of sighting, mechanisms and reasons, each in its printed order."""

from __future__ import annotations

from typing import Final

YES_NO: Final = ("no", "yes")
FINDING: Final = ("no", "not_assessable", "yes")

RELATIONS: Final = ("before_treatment", "same", "adjacent", "remote")
REFRACTURE_RELATIONS: Final = ("same", "adjacent", "remote")
SIDES: Final = ("cranial", "caudal", "both")
ROLES: Final = ("treated", "treated_prophylactic", "treated_tumour", "adjacent", "remote")
INDICATIONS: Final = ("fracture", "prophylactic", "tumour")

KINDS: Final = ("new", "progression", "settling", "occult", "old")
KINDS_JUDGED: Final = ("new", "progression", "settling", "occult", "old", "asymptomatic_collapse", "unjudged")

NOT_COUNTED: Final = (
    "before_treatment",
    "repeat",
    "old",
    "settling",
    "asymptomatic_collapse",
    "staged",
    "not_after_entry",
    "after_exit",
    "outside_levels",
    "excluded_level",
)

MECHANISMS: Final = (
    "endplate_unfilled",
    "underfilled_with_disc_leak",
    "fracture_missed",
    "cleft_unfilled",
    "cleft_developed",
    "not_recorded",
    "unexplained",
)

LEAKS: Final = (
    "none",
    "disc_superior",
    "disc_inferior",
    "disc",
    "epidural",
    "foraminal",
    "paravertebral",
    "venous",
)
DATE_PRECISIONS: Final = ("day", "month", "year", "before_index")
DRUG_CLASSES: Final = ("antiresorptive", "anabolic", "corticosteroid", "supplement", "other")
