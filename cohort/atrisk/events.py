"""The sightings that count as events, as arrays: where, when, and in which role."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.atrisk.members import Members, codes, is_yes, level_codes
from cohort.domain.clock import BoolArray, IntArray, to_days
from cohort.domain.outcomes import INDICATIONS, REFRACTURE_RELATIONS, ROLES
from cohort.domain.study import AtRiskSettings

SAME = REFRACTURE_RELATIONS.index("same")


@dataclass(frozen=True)
class Events:
    """Counted sightings. All int64 (but unproven, bool), shape (n,).

    level : code in `spine.LEVELS`; relation : code in `REFRACTURE_RELATIONS`; role : code in `ROLES`.
    """

    patient: IntArray
    place: IntArray
    level: IntArray
    day: IntArray
    relation: IntArray
    role: IntArray
    unproven: BoolArray

    def where(self, chosen: BoolArray) -> Events:
        """The chosen events."""
        return Events(
            self.patient[chosen],
            self.place[chosen],
            self.level[chosen],
            self.day[chosen],
            self.relation[chosen],
            self.role[chosen],
            self.unproven[chosen],
        )

    def accepted(self, settings: AtRiskSettings) -> Events:
        """Without those of unproven onset, where the study does not count them."""
        return self if settings.count_unproven else self.where(~self.unproven)


def counted(members: Members, sightings: pd.DataFrame) -> Events:
    """Every counted sighting. A refracture of a treated vertebra is split by what the vertebra was treated for."""
    rows = sightings.loc[is_yes(sightings["counted"])]
    patient = members.rows_of(rows, "sightings")
    level = level_codes(rows["level"])
    relation = codes(rows["relation"], REFRACTURE_RELATIONS)
    treated_for = np.maximum(codes(rows["treated_for"], INDICATIONS), 0)
    untreated_role = relation - 1 + ROLES.index("adjacent")
    return Events(
        patient,
        members.places(patient, level, "sightings"),
        level,
        to_days(rows["date"]),
        relation,
        np.where(relation == SAME, treated_for, untreated_role),
        is_yes(rows["onset_unproven"]),
    )
