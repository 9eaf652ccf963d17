"""The course of a patient after the first procedure: on every day, the state is what happened last.

A patient moves among `no_event`, `same`, `adjacent`, `remote`, `re_augmented` and `dead`, back and forth but for death.
One move a day: what comes second on a day moves the patient on the next day, so that no state on the way is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from cohort.atrisk.clocks import procedures
from cohort.atrisk.columns import categorical
from cohort.atrisk.endpoints import ORIGIN, first_event_rows
from cohort.atrisk.events import counted
from cohort.atrisk.members import Members
from cohort.domain.clock import IntArray, to_dates
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import pack
from cohort.tables.results import CountingProcess

STATES: Final = ("no_event", *REFRACTURE_RELATIONS, "re_augmented", "dead")
NO_EVENT, RE_AUGMENTED, DEAD = (STATES.index(name) for name in ("no_event", "re_augmented", "dead"))
REFRACTURED: Final = STATES.index(REFRACTURE_RELATIONS[0])


def state_rows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
) -> CountingProcess:
    """Rows of patients in one state each, those of `first_event_rows(endpoint="composite")`, with its clock and exit.

    A patient enters in `no_event`, or in `re_augmented` after another procedure on or before the day of entry. Each
    counted refracture moves to its relation (`same` whatever the vertebra was treated for), each procedure of C1-L6
    after entry that is not staged moves to `re_augmented` whatever it treated, and death within follow-up to `dead`.

    On one day a refracture comes first, since a procedure treats what was found up to its day; then the procedure; then
    death. Refractures of several relations found on one day are one move, to the first of same, adjacent, remote. A
    second move of one day is made on the next day, and so on, a death even beyond the end of follow-up; of other moves,
    those that would then fall beyond it are not seen.

    The frame has id, cluster (the patient's row number), patient_id, entry, exit (days since the first dated
    augmentation), state_from (the state on the days of the row), state_to (the state entered at exit, missing where
    none is; the same again for another event of its kind), cause (0 none, else the place of state_to in STATES),
    weight, stratum, origin_date. Rows of one patient touch.
    """
    members = Members.of(tables, augmentations, study)
    whole = first_event_rows(tables, sightings, augmentations, study, endpoint="composite").frame
    chosen = whole["id"].to_numpy(dtype=np.int64)
    n, time = len(members), members.follow_up
    end = time.exit.copy()
    if study.at_risk.death_closes:
        end = np.maximum(end, members.death)  # MISSING is earlier than any day
    died = members.death == end

    events = counted(members, sightings).accepted(study.at_risk)
    owner, day, _ = procedures(members, augmentations, merge_staged=True)
    again = (day > time.origin[owner]) & (day <= time.exit[owner])
    owner, day = owner[again], day[again]
    late = day > time.entry[owner]
    everybody = np.arange(n, dtype=np.int64)
    patient, day, state = _moves(
        (events.patient, events.day, REFRACTURED + events.relation),
        (owner[late], day[late], np.full(int(late.sum()), RE_AUGMENTED)),
        (everybody[died], end[died], np.full(int(died.sum()), DEAD)),
    )
    dead = state == DEAD
    end[patient[dead]] = day[dead]
    known = np.zeros(n, dtype=bool)
    known[chosen] = True
    seen = known[patient] & (day <= end[patient])
    patient, day, state = patient[seen], day[seen], state[seen]

    start = np.full(n, NO_EVENT, dtype=np.int64)
    start[owner[~late]] = RE_AUGMENTED
    # Every row begins where the patient enters or moves, and ends where the next one of the patient begins.
    patient = np.concatenate([chosen, patient])
    begin = np.concatenate([time.entry[chosen], day])
    state = np.concatenate([start[chosen], state])
    order = np.argsort(pack(patient, begin), kind="stable")
    patient, begin, state = patient[order], begin[order], state[order]
    goes_on = np.append(patient[1:] == patient[:-1], False)[: len(patient)]
    stop = np.where(goes_on, np.roll(begin, -1), end[patient])
    to = np.where(goes_on, np.roll(state, -1), -1)
    lasts = stop > begin
    patient, begin, stop, state, to = (values[lasts] for values in (patient, begin, stop, state, to))
    origin = time.origin[patient]
    frame = pd.DataFrame(
        {
            "id": patient,
            "cluster": patient,
            "patient_id": members.ids.to_numpy()[patient],
            "entry": begin - origin,
            "exit": stop - origin,
            "state_from": categorical(state, STATES),
            "state_to": categorical(to, STATES),
            "cause": np.maximum(to, 0),
            "weight": np.ones(len(patient)),
            "stratum": np.zeros(len(patient), dtype=np.int64),
            "origin_date": to_dates(origin).to_numpy(),
        }
    )
    return CountingProcess(frame, unit="patient", causes=STATES[1:], origin=ORIGIN)


def _moves(*kinds: tuple[IntArray, IntArray, IntArray]) -> tuple[IntArray, IntArray, IntArray]:
    """Patient, day and state of every move, one a day: kinds come in the order in which they happen on one day.

    Of one kind and day only the least state counts. A move is made on its day, or on the day after the move before.

    >>> a, b = np.array([0, 0]), np.array([0])
    >>> [part.tolist() for part in _moves((a, np.array([5, 5]), np.array([2, 1])), (b, np.array([5]), np.array([4])))]
    [[0, 0], [5, 6], [1, 4]]
    """
    order = np.repeat(np.arange(len(kinds)), [len(kind[0]) for kind in kinds])
    patient, day, state = (np.concatenate(values).astype(np.int64) for values in zip(*kinds, strict=True))
    line = np.lexsort((state, order, pack(patient, day)))
    patient, day, state, order = patient[line], day[line], state[line], order[line]
    key = pack(patient, day) * len(kinds) + order
    once = np.append(True, key[1:] != key[:-1])[: len(key)]
    patient, day, state = patient[once], day[once], state[once]
    n = len(patient)
    opens = np.append(True, patient[1:] != patient[:-1])[:n]
    rank = np.arange(n) - np.maximum.accumulate(np.where(opens, np.arange(n), 0))
    # day_i = max(day_i, day_{i-1} + 1) is a running maximum of day - rank; a patient's keys exceed those of all before.
    reached = np.maximum.accumulate(pack(patient, day - rank)) - pack(patient, np.zeros(n, dtype=np.int64))
    return patient, reached + rank, state
