"""The sightings that count as events, as arrays: where, when, and in which role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from cohort.atrisk.columns import codes, is_yes
from cohort.atrisk.looks import SHOWN_BY, looks
from cohort.atrisk.members import Members
from cohort.domain.clock import NEVER, BoolArray, IntArray, to_days
from cohort.domain.outcomes import INDICATIONS, REFRACTURE_RELATIONS, ROLES
from cohort.domain.study import AtRiskSettings

SAME = REFRACTURE_RELATIONS.index("same")


@dataclass(frozen=True)
class Events:
    """Counted sightings. All int64 (but unproven, bool), shape (n,).

    level : code in `spine.LEVELS`; relation : code in `REFRACTURE_RELATIONS`; role : code in `ROLES`. clear : day of
    the last clear film that the sighting names, MISSING without one. seen : day of the film that judged the sighting,
    if before its own, else its own.
    """

    patient: IntArray
    place: IntArray
    level: IntArray
    day: IntArray
    relation: IntArray
    role: IntArray
    unproven: BoolArray
    clear: IntArray
    seen: IntArray

    def where(self, chosen: BoolArray) -> Events:
        """The chosen events."""
        return Events(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def accepted(self, settings: AtRiskSettings) -> Events:
        """Without those of unproven onset, where the study does not count them."""
        return self if settings.count_unproven else self.where(~self.unproven)


def counted(members: Members, sightings: pd.DataFrame) -> Events:
    """Every counted sighting. A refracture of a treated vertebra is split by what the vertebra was treated for."""
    chosen = is_yes(sightings["counted"])
    placed, rows = members.placed(sightings, "sightings"), sightings.loc[chosen]
    patient, level = placed.patient[chosen], placed.level[chosen]
    relation = codes(rows["relation"], REFRACTURE_RELATIONS)
    treated_for = np.maximum(codes(rows["treated_for"], INDICATIONS), 0)
    untreated_role = relation - 1 + ROLES.index("adjacent")
    day = to_days(rows["date"])
    # A film that met no cell judged nothing: it showed the vertebra, and not this fracture.
    film = np.where(rows["judged_cell"].notna(), to_days(rows["film_date"], NEVER), NEVER)
    return Events(
        patient,
        placed.place[chosen],
        level,
        day,
        relation,
        np.where(relation == SAME, treated_for, untreated_role),
        is_yes(rows["onset_unproven"]),
        to_days(rows["last_clear_date"]),
        np.minimum(day, film),
    )


def clear_until(members: Members, tables: Mapping[str, pd.DataFrame], events: Events) -> IntArray:
    """The last day on which each event is known not to have happened, MISSING where nothing tells.

    It is the last clear film that the sighting names, or a later study or measurement that showed the level before the
    sighting and before the film that judged it.
    """
    shown = looks(members.anatomy, tables, SHOWN_BY).last_before(events.patient, events.place, events.seen)
    return np.maximum(events.clear, shown)
