"""Several procedures: every procedure, or every treated vertebra, with a clock of its own that the next one ends.

An event found on the day of the next procedure still belongs to the clock before, since its treated set is that of the
sessions before the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from cohort.atrisk.columns import augmentation_days, level_codes
from cohort.atrisk.covariates import vertebra_covariates
from cohort.atrisk.endpoints import clock_rows, early_same, first_event_rows, occurrences
from cohort.atrisk.events import SAME, clear_until, counted
from cohort.atrisk.exposures import any_so_far, as_finding, exposures, findings
from cohort.atrisk.followup import follow_up_table
from cohort.atrisk.medication import medication
from cohort.atrisk.members import Members
from cohort.atrisk.offrisk import off_risk
from cohort.atrisk.vertebra import at_exit, prevalent
from cohort.atrisk.windows import split
from cohort.domain import spine
from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER, BoolArray, IntArray, to_dates, to_days
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import INDICATIONS
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import key_of, pack
from cohort.tables.results import CountingProcess

Indication = Literal["fracture", "prophylactic", "tumour"]
_ROLE_OF = {"fracture": 0, "prophylactic": 1, "tumour": 2}


def procedure_rows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    endpoint: str,
    merge_staged: bool = False,
    first_only: bool = False,
) -> CountingProcess:
    """One row per procedure (patient and day, of C1-L6) of the main population: a new clock each, to its first event.

    endpoint : as for `first_event_rows`. merge_staged : a procedure that only finishes what an earlier one began has no
    clock of its own and ends none. first_only : the first procedure of each patient alone, its clock ending as ever;
    patients whose first treatment has no date are out.

    The frame has the columns of `first_event_rows`, then procedure (1 for the patient's first with a date) and n_levels
    (vertebrae treated on that day). Left out is a procedure with an event of the endpoint in its clock, but on or
    before the patient's entry.

    Raises DefinitionError for an endpoint that is none of ENDPOINTS.
    """
    members = Members.of(tables, augmentations, study)
    found = occurrences(members, tables, sightings, augmentations, study, endpoint)
    patient, day, n_levels = procedures(members, augmentations, merge_staged=merge_staged)
    n = len(day)
    opens = np.append(True, patient[1:] != patient[:-1])[:n]
    number = np.arange(n) - np.maximum.accumulate(np.where(opens, np.arange(n), 0)) + 1
    until = np.append(np.where(opens[1:], NEVER, day[1:]), NEVER)[:n]

    time = members.follow_up
    exit_ = time.exit[patient]
    if study.at_risk.death_closes:
        exit_ = np.maximum(exit_, members.death[patient])
    entry, exit_ = np.maximum(time.entry[patient], day), np.minimum(exit_, until)
    line = pack(patient, day)
    early = np.zeros(n, dtype=bool)
    too_early = _clock_of(line, patient, found.early_patient, found.early_day)
    early[too_early[too_early >= 0]] = True
    main = follow_up_table(tables, augmentations, study)["in_main"].to_numpy(dtype=bool)
    begins = (number == 1) & (time.origin[patient] == day)
    chosen = np.flatnonzero(main[patient] & (exit_ > entry) & ~early & (begins | (not first_only)))
    event = found.first(_clock_of(line, patient, found.patient, found.day), n).of(chosen)
    frame = clock_rows(
        members, chosen, patient[chosen], day[chosen], entry[chosen], exit_[chosen], event, found.causes
    )  # fmt: skip
    frame["procedure"] = number[chosen]
    frame["n_levels"] = n_levels[chosen]
    return CountingProcess(frame, unit="procedure", causes=found.causes, origin="the procedure (C1-L6)")


def treated_vertebra_rows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    indication: Indication = "fracture",
) -> CountingProcess:
    """Rows of treated vertebrae at risk, each with the clock of its own augmentation: to its first refracture.

    indication : what the vertebra was treated for on that day. One treated again is a new unit. Days off risk are cut
    out and rows split where medication or the treated set changes; causes are ("same", "death").

    The frame has id (the augmentation's row), cluster (the patient's row), entry, exit (days since its augmentation),
    cause, weight, stratum, lower, origin_date, patient_id, augmentation_id, then the covariates of `vertebra_rows`,
    the vertebra's own.

    Raises DefinitionError for another indication.
    """
    if indication not in _ROLE_OF:
        raise DefinitionError(f"'{indication}' is no indication; write one of {', '.join(INDICATIONS)}.")
    members = Members.of(tables, augmentations, study)
    history, time = members.history, members.follow_up
    main = follow_up_table(tables, augmentations, study)["in_main"].to_numpy(dtype=bool)
    wanted = main[history.patient] & (history.day != BEFORE_INDEX) & spine.holds(
        members.levels[history.patient], history.place
    )  # fmt: skip
    wanted &= history.indication == INDICATIONS.index(indication)
    unit = np.flatnonzero(wanted)
    if study.at_risk.washout_days:
        key = key_of(history.patient[unit], history.place[unit])
        late = history.day[unit] > time.entry[history.patient[unit]]
        unit = unit[late | ~prevalent(members, sightings, key, washout_days=study.at_risk.washout_days)]
    unit = unit[~np.isin(unit, _refractured_by_entry(members, tables, sightings))]

    again = history.first_from(history.patient[unit], history.place[unit], history.day[unit] + 1)
    until = np.where(again >= 0, np.append(history.day, NEVER)[again], NEVER)
    start = np.maximum(time.entry[history.patient[unit]], history.day[unit])
    stop = np.minimum(time.exit[history.patient[unit]], until)
    if members.looks is not None:
        stop = np.minimum(stop, _last_look(members, history.patient[unit], history.place[unit]))

    events = counted(members, sightings).accepted(study.at_risk)
    events = events.where((events.relation == SAME) & (events.role == _ROLE_OF[indication]))
    whose = history.latest(events.patient, events.place, events.day)
    first = np.full(len(history.day), NEVER, dtype=np.int64)
    np.minimum.at(first, whose, events.day)
    stop = np.minimum(stop, first[unit])

    off = off_risk(members, tables, sightings, augmentations, study)
    kept, start, stop = off.cut_out(key_of(history.patient[unit], history.place[unit]), start, stop)
    unit = unit[kept]
    taken = medication(members, tables, study)
    for points in (taken.changes(), history.sessions()):
        kept, start, stop = split(history.patient[unit], start, stop, *points)
        unit = unit[kept]
    order = np.argsort(pack(unit, start), kind="stable")
    unit, start, stop = unit[order], start[order], stop[order]

    patient, place, origin = history.patient[unit], history.place[unit], history.day[unit]
    happened, clear = at_exit(
        pack(unit, stop), pack(whose, events.day), clear_until(members, tables, events)
    )  # fmt: skip
    last = np.append(unit[1:] != unit[:-1], True)[: len(unit)]
    died = last & ~happened & (stop == members.death[patient])
    lower = np.maximum(clear, np.maximum(time.entry[patient], origin)) - origin
    own = exposures(
        members, findings(augmentations), "treated", patient, place, history.mask_before(patient, stop), stop,
        reach=study.relation.reach, settings=study.exposures,
    )  # fmt: skip
    each = np.arange(len(unit), dtype=np.int64)
    row = history.row[unit]
    frame = pd.DataFrame(
        {
            "id": row,
            "cluster": patient,
            "entry": start - origin,
            "exit": stop - origin,
            "cause": np.select([happened, died], [1, 2], default=0).astype(np.int64),
            "weight": np.ones(len(unit)),
            "stratum": np.zeros(len(unit), dtype=np.int64),
            "lower": np.where(happened, lower, np.nan),
            "origin_date": to_dates(origin).to_numpy(),
            "patient_id": members.ids.to_numpy()[patient],
            "augmentation_id": augmentations["augmentation_id"].to_numpy()[row],
            **vertebra_covariates(members, tables, study, taken, own, each, patient, place, stop),
        }
    )
    return CountingProcess(frame, unit="treated vertebra", causes=("same", "death"), origin="its own augmentation")


def changing_rows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    endpoint: str,
) -> CountingProcess:
    """One clock per patient with what changes on the way: `first_event_rows`, split at procedures and medication.

    Further columns: n_levels (treated before the days of the row), n_procedures, cleft, leak, height_restoration (any
    so far), corticosteroids, anti_osteoporotic (current). An exposure counts from the day after it began, never from
    entry.
    """
    whole = first_event_rows(tables, sightings, augmentations, study, endpoint=endpoint)  # type: ignore[arg-type]
    members = Members.of(tables, augmentations, study)
    base = whole.frame
    patient = base["cluster"].to_numpy(dtype=np.int64)
    origin = to_days(base["origin_date"])
    start, stop = base["entry"].to_numpy() + origin, base["exit"].to_numpy() + origin
    taken = medication(members, tables, study)
    changed = [members.history.sessions(), taken.changes()]
    points = [np.concatenate(parts) for parts in zip(*changed, strict=True)]
    source, start, stop = split(patient, start, stop, points[0], points[1])
    ended = stop == (base["exit"].to_numpy() + origin)[source]
    frame = base.iloc[source].reset_index(drop=True)
    who = patient[source]
    frame["entry"], frame["exit"] = start - origin[source], stop - origin[source]
    frame["cause"] = np.where(ended, frame["cause"], 0)
    frame["lower"] = frame["lower"].where(ended)
    cleft, leak, restoration = any_so_far(members, findings(augmentations), who, stop)
    owner, day, _ = procedures(members, augmentations, merge_staged=False)
    frame["n_levels"] = np.bitwise_count(members.history.mask_before(who, stop)).astype(np.int64)
    frame["n_procedures"] = np.searchsorted(pack(owner, day), pack(who, stop)) - np.searchsorted(owner, who)
    frame["cleft"], frame["leak"] = as_finding(cleft), as_finding(leak)
    frame["height_restoration"] = restoration
    frame["corticosteroids"] = taken.corticosteroids_on(who, stop)
    frame["anti_osteoporotic"] = taken.anti_osteoporotic_on(who, stop)
    return CountingProcess(frame, unit="patient", causes=whole.causes, origin=whole.origin)


def procedures(
    members: Members, augmentations: pd.DataFrame, *, merge_staged: bool
) -> tuple[IntArray, IntArray, IntArray]:
    """Patient, day and number of vertebrae of every dated procedure of C1-L6, in that order."""
    day, level = augmentation_days(augmentations), level_codes(augmentations["level"])
    staged = (to_days(augmentations["staged_from"]) != MISSING) & merge_staged
    counts = (day != BEFORE_INDEX) & (level != spine.SACRUM_CODE)
    patient = members.rows_of(augmentations, "augmentations")
    _, first, inverse, n_levels = np.unique(
        pack(patient[counts], day[counts]), return_index=True, return_inverse=True, return_counts=True
    )
    owner = patient[counts][first]
    # The patient's first procedure has nothing of C1-L6 before it to finish.
    begins = np.append(True, owner[1:] != owner[:-1])[: len(owner)]
    begins[inverse[~staged[counts]]] = True
    return owner[begins], day[counts][first][begins], n_levels[begins].astype(np.int64)


def _clock_of(line: IntArray, owner: IntArray, patient: IntArray, day: IntArray) -> IntArray:
    """Index of the procedure whose clock holds each day, -1 where there is none. line : packed owner and day."""
    found = np.searchsorted(line, pack(patient, day), side="left") - 1
    held: BoolArray = (found >= 0) & (np.append(owner, -1)[found] == patient)
    return np.where(held, found, -1)


def _refractured_by_entry(members: Members, tables: Mapping[str, pd.DataFrame], sightings: pd.DataFrame) -> IntArray:
    """Augmentations (of the history) whose vertebra had a refracture in their clock that only came too early."""
    patient, place, day = early_same(members, tables, sightings)
    return members.history.latest(patient, place, day)


def _last_look(members: Members, patient: IntArray, place: IntArray) -> IntArray:
    """The last day of follow-up on which each vertebra was looked at."""
    seen = members.looks
    return seen.last_before(patient, place, members.follow_up.exit[patient] + 1) if seen is not None else patient
