"""Time to the first refracture of a patient, with death competing; other relations do not censor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from cohort.atrisk.events import SAME, counted
from cohort.atrisk.followup import LEFT_OUT, follow_up_table
from cohort.atrisk.members import Members, augmentation_days, codes, is_yes, level_codes
from cohort.domain import spine
from cohort.domain.clock import MISSING, NEVER, BoolArray, IntArray
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import INDICATIONS, REFRACTURE_RELATIONS
from cohort.domain.study import StudyDefinition
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
    augmentation), cause, weight, stratum. A refracture on the day of death comes before it.

    Raises DefinitionError for an endpoint that is none of these.
    """
    members = Members.of(tables, augmentations, study)
    first, cause, causes, prevalent = _first(members, sightings, augmentations, study, endpoint)
    follow_up = follow_up_table(tables, augmentations, study)
    chosen = np.flatnonzero(_known_main(follow_up) & ~prevalent)

    time = members.follow_up
    exit_, origin = time.exit[chosen], time.origin[chosen]
    if study.at_risk.death_closes:
        exit_ = np.maximum(exit_, members.death[chosen])  # MISSING is earlier than any day
    happened = first[chosen] <= exit_
    died = (members.death[chosen] == exit_) & ~happened
    frame = pd.DataFrame(
        {
            "id": chosen,
            "cluster": chosen,
            "patient_id": members.ids.to_numpy()[chosen],
            "entry": time.entry[chosen] - origin,
            "exit": np.where(happened, first[chosen], exit_) - origin,
            "cause": np.select([happened, died], [cause[chosen], len(causes)], default=0).astype(np.int64),
            "weight": np.ones(len(chosen)),
            "stratum": np.zeros(len(chosen), dtype=np.int64),
        }
    )
    return CountingProcess(frame, unit="patient", causes=causes, origin=ORIGIN)


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
    prevalent = _first(members, sightings, augmentations, study, endpoint)[3]
    follow_up = follow_up_table(tables, augmentations, study)
    known = _known_main(follow_up)
    main = follow_up["in_main"].to_numpy(dtype=bool)
    counts = follow_up["left_out_because"].value_counts()
    reasons = [(reason, int(counts.get(reason, 0))) for reason in LEFT_OUT]
    reasons += [(UNKNOWN_ORIGIN, int((main & ~known).sum())), (PREVALENT, int((known & prevalent).sum()))]
    return pd.DataFrame(reasons, columns=["reason", "n_patients"])


def _known_main(follow_up: pd.DataFrame) -> BoolArray:
    return np.asarray(follow_up["in_main"].to_numpy(dtype=bool) & (follow_up["origin_day"] != MISSING).to_numpy())


def _first(
    members: Members, sightings: pd.DataFrame, augmentations: pd.DataFrame, study: StudyDefinition, endpoint: Endpoint
) -> tuple[IntArray, IntArray, tuple[str, ...], BoolArray]:
    """Per patient: day of the first event (NEVER without one), its cause, the causes, and who had one by entry."""
    if endpoint == "retreated":
        patient, day, early_patient = _retreatments(members, augmentations)
        relation = np.zeros(len(day), dtype=np.int64)
        causes: tuple[str, ...] = ("retreated", "death")
    elif endpoint in ENDPOINTS:
        events = counted(members, sightings).accepted(study.at_risk)
        early_patient, early_relation = _early(members, sightings)
        if endpoint == "composite":
            causes = (*REFRACTURE_RELATIONS, "several", "death")
        else:
            causes = (endpoint, "death")
            wanted = REFRACTURE_RELATIONS.index(endpoint)
            # "Same-level refracture" means a vertebra treated for fracture.
            events = events.where((events.relation == wanted) & ((wanted != SAME) | (events.role == 0)))
            early_patient = early_patient[early_relation == wanted]
        patient, day, relation = events.patient, events.day, events.relation
    else:
        raise DefinitionError(f"'{endpoint}' is no endpoint; write one of {', '.join(ENDPOINTS)}.")

    first = np.full(len(members), NEVER, dtype=np.int64)
    np.minimum.at(first, patient, day)
    on_first = np.zeros(len(members), dtype=np.int64)
    at_first = day == first[patient]
    np.bitwise_or.at(on_first, patient[at_first], np.int64(1) << relation[at_first])
    if endpoint == "composite":
        cause = np.select([on_first == 1 << code for code in range(3)], [1, 2, 3], default=4)
    else:
        cause = np.ones(len(members), dtype=np.int64)
    prevalent = np.zeros(len(members), dtype=bool)
    prevalent[early_patient] = True
    return first, cause.astype(np.int64), causes, prevalent


def _early(members: Members, sightings: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """Patient and relation of refractures on or before entry: what only came too early to count (readings no. 23).

    One at a vertebra treated for another reason than fracture has the relation -1: no endpoint of its own.
    """
    patient = members.rows_of(sightings, "sightings")
    relation = codes(sightings["relation"], REFRACTURE_RELATIONS)
    place = members.places(patient, level_codes(sightings["level"]), "sightings")
    too_early = (sightings["not_counted_because"] == "not_after_entry").to_numpy()
    early = too_early & (relation >= 0) & spine.holds(members.levels[patient], place)
    for_fracture = np.maximum(codes(sightings["treated_for"], INDICATIONS), 0) == 0
    relation = np.where((relation == SAME) & ~for_fracture, -1, relation)
    return patient[early], relation[early]


def _retreatments(members: Members, augmentations: pd.DataFrame) -> tuple[IntArray, IntArray, IntArray]:
    """Patient and day of levels at risk augmented again after entry, and the patients who had one by entry."""
    rows = augmentations.loc[is_yes(augmentations["retreats"])]
    patient = members.rows_of(rows, "augmentations")
    place = members.places(patient, level_codes(rows["level"]), "augmentations")
    day = augmentation_days(rows)
    in_range = spine.holds(members.levels[patient], place)
    after = day > members.follow_up.entry[patient]
    return patient[in_range & after], day[in_range & after], patient[in_range & ~after]
