"""Time to the first refracture of a patient, with death competing; other relations do not censor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from cohort.atrisk.columns import augmentation_days, codes, is_yes, level_codes
from cohort.atrisk.events import SAME, clear_until, counted
from cohort.atrisk.followup import follow_up_table, left_out
from cohort.atrisk.members import Members
from cohort.atrisk.offrisk import excluded
from cohort.atrisk.windows import Windows
from cohort.domain import spine
from cohort.domain.clock import MISSING, NEVER, BoolArray, IntArray, to_dates, to_days
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import INDICATIONS, REFRACTURE_RELATIONS
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import key_of
from cohort.tables.results import CountingProcess

Endpoint = Literal["same", "adjacent", "remote", "retreated", "composite"]
ENDPOINTS: tuple[Endpoint, ...] = ("same", "adjacent", "remote", "retreated", "composite")
ORIGIN = "first dated augmentation (C1-L6)"
UNKNOWN_ORIGIN = "first treatment without a date"
PREVALENT = "first refracture on or before entry"


def first_event_rows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    endpoint: Endpoint,
) -> CountingProcess:
    """One row per patient of the main population whose origin is known and whose first event does not precede entry.

    endpoint : "same" (a vertebra treated for fracture), "adjacent", "remote": causes (endpoint, "death").
        "retreated": a level at risk augmented again for fracture. "composite": the first refracture of any kind, causes
        ("same", "adjacent", "remote", "several", "death"); "same" there includes vertebrae treated for other reasons.
    With `at_risk.death_closes`, a sensitivity run, a death after the end of follow-up, otherwise no event, closes the
    follow-up on its day.

    The frame has id, cluster (the patient's row number), patient_id, entry, exit (days since the first dated
    augmentation), cause, weight, stratum, lower (an event lies in (lower, exit]), origin_date. A refracture on the day
    of death comes before it.

    Raises DefinitionError for an endpoint that is none of these.
    """
    members = Members.of(tables, augmentations, study)
    found = occurrences(members, tables, sightings, augmentations, study, endpoint)
    event = found.first(found.patient, len(members))
    prevalent = found.had_by_entry(len(members))
    follow_up = follow_up_table(tables, augmentations, study)
    chosen = np.flatnonzero(_known_main(follow_up) & ~prevalent)

    time = members.follow_up
    exit_, origin = time.exit[chosen], time.origin[chosen]
    if study.at_risk.death_closes:
        exit_ = np.maximum(exit_, members.death[chosen])  # MISSING is earlier than any day
    frame = clock_rows(members, chosen, chosen, origin, time.entry[chosen], exit_, event.of(chosen), found.causes)
    return CountingProcess(frame, unit="patient", causes=found.causes, origin=ORIGIN)


def clock_rows(
    members: Members,
    id_: IntArray,
    patient: IntArray,
    origin: IntArray,
    entry: IntArray,
    exit_: IntArray,
    event: First,
    causes: tuple[str, ...],
) -> pd.DataFrame:
    """One counting-process row per unit up to its first event, death or exit; all arguments are days, shape (n,).

    Death, the last of `causes`, competes on the day of exit; an event of that day comes before it.
    """
    happened = event.day <= exit_
    died = (members.death[patient] == exit_) & ~happened
    lower = np.maximum(event.clear, entry) - origin
    return pd.DataFrame(
        {
            "id": id_,
            "cluster": patient,
            "patient_id": members.ids.to_numpy()[patient],
            "entry": entry - origin,
            "exit": np.where(happened, event.day, exit_) - origin,
            "cause": np.select([happened, died], [event.cause, len(causes)], default=0).astype(np.int64),
            "weight": np.ones(len(patient)),
            "stratum": np.zeros(len(patient), dtype=np.int64),
            "lower": np.where(happened, lower, np.nan),
            "origin_date": to_dates(origin).to_numpy(),
        }
    )


def first_event_left_out(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    endpoint: Endpoint,
) -> pd.DataFrame:
    """How many patients `first_event_rows` leaves out for each reason, in the order applied: reason, n_patients."""
    members = Members.of(tables, augmentations, study)
    prevalent = occurrences(members, tables, sightings, augmentations, study, endpoint).had_by_entry(len(members))
    follow_up = follow_up_table(tables, augmentations, study)
    known = _known_main(follow_up)
    main = follow_up["in_main"].to_numpy(dtype=bool)
    reasons = list(left_out(follow_up, study).itertuples(index=False, name=None))
    reasons += [(UNKNOWN_ORIGIN, int((main & ~known).sum())), (PREVALENT, int((known & prevalent).sum()))]
    return pd.DataFrame(reasons, columns=["reason", "n_patients"])


def _known_main(follow_up: pd.DataFrame) -> BoolArray:
    return np.asarray(follow_up["in_main"].to_numpy(dtype=bool) & (follow_up["origin_day"] != MISSING).to_numpy())


@dataclass(frozen=True)
class First:
    """The first event of each unit: day (NEVER without one), cause (from 1), last day known without it. Shape (n,)."""

    day: IntArray
    cause: IntArray
    clear: IntArray

    def of(self, units: IntArray) -> First:
        """Those of some units."""
        return First(self.day[units], self.cause[units], self.clear[units])


@dataclass(frozen=True)
class Occurrences:
    """Every event of an endpoint, in no order; int64, shape (n,).

    relation : code in REFRACTURE_RELATIONS. clear : the last day known without it, MISSING where nothing tells.
    early_patient, early_day : what only came on or before entry, one element each.
    """

    patient: IntArray
    day: IntArray
    relation: IntArray
    clear: IntArray
    early_patient: IntArray
    early_day: IntArray
    causes: tuple[str, ...]

    def had_by_entry(self, n: int) -> BoolArray:
        """Whether each patient had one on or before entry."""
        result = np.zeros(n, dtype=bool)
        result[self.early_patient] = True
        return result

    def first(self, unit: IntArray, n: int) -> First:
        """The first event of each of n units. unit : the unit of every event, -1 where it belongs to none."""
        mine = unit >= 0
        unit, day, relation = unit[mine], self.day[mine], self.relation[mine]
        first = np.full(n, NEVER, dtype=np.int64)
        np.minimum.at(first, unit, day)
        at_first = day == first[unit]
        on_first = np.zeros(n, dtype=np.int64)
        np.bitwise_or.at(on_first, unit[at_first], np.int64(1) << relation[at_first])
        clear = np.full(n, NEVER, dtype=np.int64)
        np.minimum.at(clear, unit[at_first], self.clear[mine][at_first])
        cause = np.ones(n, dtype=np.int64)
        if len(self.causes) > 2:
            cause = np.select([on_first == 1 << code for code in range(3)], [1, 2, 3], default=4)
        return First(first, cause.astype(np.int64), clear)


def occurrences(
    members: Members,
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    endpoint: str,
) -> Occurrences:
    """Every event of an endpoint, and what came too early to be one.

    Raises DefinitionError for an endpoint that is none of ENDPOINTS.
    """
    if endpoint not in ENDPOINTS:
        raise DefinitionError(f"'{endpoint}' is no endpoint; write one of {', '.join(ENDPOINTS)}.")
    if endpoint == "retreated":
        patient, day, early_patient, early_day = _retreatments(members, augmentations)
        # What is done to a patient is known to the day.
        return Occurrences(
            patient, day, np.zeros(len(day), dtype=np.int64), day - 1, early_patient, early_day, (endpoint, "death")
        )
    events = counted(members, sightings).accepted(study.at_risk)
    early_patient, early_day, early_relation = _early(members, tables, sightings)
    causes: tuple[str, ...] = (*REFRACTURE_RELATIONS, "several", "death")
    if endpoint != "composite":
        causes = (endpoint, "death")
        wanted = REFRACTURE_RELATIONS.index(endpoint)
        # "Same-level refracture" means a vertebra treated for fracture.
        events = events.where((events.relation == wanted) & ((wanted != SAME) | (events.role == 0)))
        early_patient, early_day = early_patient[early_relation == wanted], early_day[early_relation == wanted]
    return Occurrences(
        events.patient, events.day, events.relation, clear_until(members, tables, events),
        early_patient, early_day, causes,
    )  # fmt: skip


def early_same(
    members: Members, tables: Mapping[str, pd.DataFrame], sightings: pd.DataFrame
) -> tuple[IntArray, IntArray, IntArray]:
    """Patient, place and day of same-level refractures, whatever the vertebra was treated for, that came too early."""
    placed, day = members.placed(sightings, "sightings"), to_days(sightings["date"])
    early = _only_too_early(members, tables, sightings) & sightings["relation"].eq("same").to_numpy(dtype=bool)
    return placed.patient[early], placed.place[early], day[early]


def _early(
    members: Members, tables: Mapping[str, pd.DataFrame], sightings: pd.DataFrame
) -> tuple[IntArray, IntArray, IntArray]:
    """Patient, day and relation of refractures on or before entry: what only came too early to count (readings no. 23).

    One at a vertebra treated for another reason than fracture has the relation -1: no endpoint of its own.
    """
    early = _only_too_early(members, tables, sightings)
    relation = codes(sightings["relation"], REFRACTURE_RELATIONS)
    for_fracture = np.maximum(codes(sightings["treated_for"], INDICATIONS), 0) == 0
    relation = np.where((relation == SAME) & ~for_fracture, -1, relation)
    return members.placed(sightings, "sightings").patient[early], to_days(sightings["date"])[early], relation[early]


def _only_too_early(members: Members, tables: Mapping[str, pd.DataFrame], sightings: pd.DataFrame) -> BoolArray:
    """Sightings that would count but for their day: those of vertebrae out of range or excluded would not have."""
    placed = members.placed(sightings, "sightings")
    early = (sightings["not_counted_because"] == "not_after_entry").to_numpy(dtype=bool)
    early &= sightings["relation"].isin(REFRACTURE_RELATIONS).to_numpy(dtype=bool)
    early &= spine.holds(members.levels[placed.patient], placed.place)
    barred = Windows.union(*excluded(members, tables["excluded_levels"]))
    result: BoolArray = early & ~barred.covers(key_of(placed.patient, placed.place), to_days(sightings["date"]))
    return result


def _retreatments(members: Members, augmentations: pd.DataFrame) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Patient and day of levels at risk augmented again after entry, then those on or before it."""
    rows = augmentations.loc[is_yes(augmentations["retreats"])]
    patient = members.rows_of(rows, "augmentations")
    place = members.places(patient, level_codes(rows["level"]), "augmentations")
    day = augmentation_days(rows)
    in_range = spine.holds(members.levels[patient], place)
    after = day > members.follow_up.entry[patient]
    on_time, early = in_range & after, in_range & ~after
    return patient[on_time], day[on_time], patient[early], day[early]
