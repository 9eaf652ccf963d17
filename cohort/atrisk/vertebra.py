"""Counting-process rows of vertebrae in one role, split wherever role, medication or exposure changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from cohort.atrisk.columns import categorical, is_yes, level_codes
from cohort.atrisk.covariates import vertebra_covariates
from cohort.atrisk.endpoints import ORIGIN
from cohort.atrisk.events import clear_until, counted
from cohort.atrisk.exposures import exposures, findings
from cohort.atrisk.followup import follow_up_table
from cohort.atrisk.medication import medication
from cohort.atrisk.members import Members
from cohort.atrisk.offrisk import off_risk
from cohort.atrisk.roles import Segments, segments
from cohort.atrisk.windows import split
from cohort.domain.clock import MISSING, NEVER, BoolArray, IntArray, to_dates, to_days
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import ROLES
from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import key_of, pack
from cohort.tables.results import CountingProcess

VertebraRole = Literal["treated", "adjacent", "remote"]
CAUSE_OF: dict[str, str] = {"treated": "same", "adjacent": "adjacent", "remote": "remote"}


def vertebra_rows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    role: VertebraRole,
) -> CountingProcess:
    """Vertebrae at risk in one role, patients of the main population with a known origin.

    role : "treated" (for fracture only), "adjacent" or "remote".

    The frame has id (one per vertebra), cluster (the patient's row number), entry, exit (days since the first dated
    augmentation), cause (1 at the exit of a row that ends with a counted sighting), weight, stratum, lower (an event
    lies in (lower, exit]), origin_date, patient_id, role, level, then the covariates: cleft and leak (no,
    not_assessable, yes or missing; whose they are is said in `exposures`), n_treated_neighbours, height_restoration
    (fraction), technique, cement, volume_ml, age, female, t_score, corticosteroids, anti_osteoporotic (current on the
    days of the row), prior_fractures, site, n_levels (treated so far), thoracolumbar (junction), and the columns of
    patients that the study declares as known at index. A gap between the rows of a vertebra is time off risk or in
    another role; durations and events add up to `person_time`, unless a washout leaves vertebrae out.

    Raises DefinitionError for another role.
    """
    if role not in CAUSE_OF:
        raise DefinitionError(f"'{role}' is no role of vertebra rows; write one of {', '.join(CAUSE_OF)}.")
    members = Members.of(tables, augmentations, study)
    follow_up = follow_up_table(tables, augmentations, study)
    population = follow_up["in_main"].to_numpy(dtype=bool) & (members.follow_up.origin != MISSING)
    parts = segments(members, reach=study.relation.reach).where(population)

    segment, place = _vertebrae(parts, parts.masks[ROLES.index(role)])
    if study.at_risk.washout_days:
        key = key_of(parts.patient[segment], place)
        incident = ~prevalent(members, sightings, key, washout_days=study.at_risk.washout_days)
        segment, place = segment[incident], place[incident]
    patient = parts.patient[segment]
    exposed = exposures(
        members, findings(augmentations), role, patient, place, parts.treated[segment], parts.stop[segment],
        reach=study.relation.reach, settings=study.exposures,
    )  # fmt: skip

    events = counted(members, sightings).accepted(study.at_risk)
    event_key = key_of(events.patient, events.place)
    taken = medication(members, tables, study)
    source = np.arange(len(segment), dtype=np.int64)
    start, stop = parts.start[segment], parts.stop[segment]
    vertebra = key_of(patient, place)
    off = off_risk(members, tables, sightings, augmentations, study)
    kept, start, stop = off.cut_out(vertebra, start, stop)
    source = source[kept]
    kept, start, stop = split(vertebra[source], start, stop, event_key, events.day)
    source = source[kept]
    kept, start, stop = split(patient[source], start, stop, *taken.changes())
    source = source[kept]

    order = np.argsort(pack(vertebra[source], start), kind="stable")
    source, start, stop = source[order], start[order], stop[order]
    patient, place, vertebra = patient[source], place[source], vertebra[source]
    origin = members.follow_up.origin[patient]
    happened, clear = at_exit(pack(vertebra, stop), pack(event_key, events.day), clear_until(members, tables, events))
    lower = np.maximum(clear, members.follow_up.entry[patient]) - origin
    frame = pd.DataFrame(
        {
            "id": vertebra,
            "cluster": patient,
            "entry": start - origin,
            "exit": stop - origin,
            "cause": happened.astype(np.int64),
            "weight": np.ones(len(source)),
            "stratum": np.zeros(len(source), dtype=np.int64),
            "lower": np.where(happened, lower, np.nan),
            "origin_date": to_dates(origin).to_numpy(),
            "patient_id": members.ids.to_numpy()[patient],
            "role": categorical(np.full(len(source), ROLES.index(role)), ROLES),
            **vertebra_covariates(members, tables, study, taken, exposed, source, patient, place, stop),
        }
    )
    return CountingProcess(frame, unit="vertebra", causes=(CAUSE_OF[role],), origin=ORIGIN)


def at_exit(exits: IntArray, event: IntArray, clear: IntArray) -> tuple[BoolArray, IntArray]:
    """Whether each row ends with an event, and the last day known without it (MISSING where there is none).

    exits, event : packed vertebra and day; at most one event of a vertebra and day. clear : one element per event.
    """
    order = np.argsort(event, kind="stable")
    event, clear = np.append(event[order], np.iinfo(np.int64).max), np.append(clear[order], MISSING)
    found = np.searchsorted(event, exits)
    happened = event[found] == exits
    return happened, np.where(happened, clear[found], MISSING)


def prevalent(members: Members, sightings: pd.DataFrame, key: IntArray, *, washout_days: int) -> BoolArray:
    """Vertebrae with a kept sighting in the days up to entry, and not augmented since (keys of `treated.key_of`)."""
    rows = sightings.loc[is_yes(sightings["kept"])]
    patient = members.rows_of(rows, "sightings")
    place = members.places(patient, level_codes(rows["level"]), "sightings")
    day, entry = to_days(rows["date"]), members.follow_up.entry[patient]
    again = members.history.first_from(patient, place, day)
    treated_again = np.where(again >= 0, np.append(members.history.day, NEVER)[again], NEVER) <= entry
    near = (day > entry - washout_days) & (day <= entry) & ~treated_again
    result: BoolArray = np.isin(key, key_of(patient, place)[near])
    return result


def _vertebrae(parts: Segments, mask: IntArray) -> tuple[IntArray, IntArray]:
    """Every vertebra of a mask per segment, as (segment, position)."""
    found = [np.flatnonzero((mask >> place) & 1) for place in range(len(LEVELS))]
    return np.concatenate(found), np.repeat(np.arange(len(LEVELS)), [len(rows) for rows in found])
