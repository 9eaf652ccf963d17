"""Every refracture episode of a patient, not only the first: follow-up is cut at each and goes on after it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.atrisk.endpoints import ORIGIN, occurrences
from cohort.atrisk.followup import follow_up_table
from cohort.atrisk.members import Members
from cohort.domain.clock import MISSING, to_dates
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import pack
from cohort.tables.results import CountingProcess


def recurrent_rows(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    endpoint: str = "composite",
) -> CountingProcess:
    """Rows of the patients of the main population with a known origin, one more than each has refracture episodes.

    endpoint : as for `first_event_rows`; causes are ("refracture", "death"). An episode is a day with a counted
        refracture of the endpoint: vertebrae found broken on one day are one episode, `n_fractures` says how many.
    Nobody is left out for a refracture on or before entry: it is no first event that is looked for.

    The frame has id, cluster (the patient's row number), patient_id, entry, exit (days since the first dated
    augmentation), cause (1 at the end of a row with an episode, 2 death), weight, stratum, order (episodes after entry
    and before the row), n_fractures, origin_date. Rows of one patient touch. An episode on the day of death comes
    first, and the death then ends the same row: of the two the episode is kept, and the death is a loss.

    Raises DefinitionError for an endpoint that is none of ENDPOINTS.
    """
    members = Members.of(tables, augmentations, study)
    found = occurrences(members, tables, sightings, augmentations, study, endpoint)
    follow_up = follow_up_table(tables, augmentations, study)
    known = follow_up["in_main"].to_numpy(dtype=bool) & (follow_up["origin_day"] != MISSING).to_numpy()
    time = members.follow_up
    end = time.exit.copy()
    if study.at_risk.death_closes:
        end = np.maximum(end, members.death)  # MISSING is earlier than any day
    seen = known[found.patient] & (found.day > time.entry[found.patient]) & (found.day <= end[found.patient])
    _, first, n_fractures = np.unique(
        pack(found.patient[seen], found.day[seen]), return_index=True, return_counts=True
    )  # fmt: skip
    whose, day = found.patient[seen][first], found.day[seen][first]

    chosen = np.flatnonzero(known)
    patient = np.concatenate([whose, chosen])
    stop = np.concatenate([day, end[chosen]])
    count = np.concatenate([n_fractures, np.zeros(len(chosen), dtype=np.int64)])
    # An episode on the last day ends the follow-up itself: the row after it would have no time.
    order = np.lexsort((count == 0, stop, patient))
    patient, stop, count = patient[order], stop[order], count[order]
    opens = np.append(True, patient[1:] != patient[:-1])[: len(patient)]
    start = np.where(opens, time.entry[patient], np.roll(stop, 1))
    number = np.arange(len(patient)) - np.maximum.accumulate(np.where(opens, np.arange(len(patient)), 0))
    lasts = stop > start
    patient, start, stop, count, number = (values[lasts] for values in (patient, start, stop, count, number))
    died = (count == 0) & (members.death[patient] == stop)
    origin = time.origin[patient]
    frame = pd.DataFrame(
        {
            "id": patient,
            "cluster": patient,
            "patient_id": members.ids.to_numpy()[patient],
            "entry": start - origin,
            "exit": stop - origin,
            "cause": np.select([count > 0, died], [1, 2], default=0).astype(np.int64),
            "weight": np.ones(len(patient)),
            "stratum": np.zeros(len(patient), dtype=np.int64),
            "order": number.astype(np.int64),
            "n_fractures": count.astype(np.int64),
            "origin_date": to_dates(origin).to_numpy(),
        }
    )
    return CountingProcess(frame, unit="patient", causes=("refracture", "death"), origin=ORIGIN)
