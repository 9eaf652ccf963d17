"""Counting-process rows of vertebrae in one role, split wherever role, medication or exposure changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from cohort.atrisk.baseline import declared, patient_covariates
from cohort.atrisk.endpoints import ORIGIN
from cohort.atrisk.events import counted
from cohort.atrisk.exposures import as_finding, exposures, findings
from cohort.atrisk.followup import follow_up_table
from cohort.atrisk.medication import medication
from cohort.atrisk.members import Members, categorical
from cohort.atrisk.offrisk import off_risk
from cohort.atrisk.roles import Segments, segments
from cohort.atrisk.windows import split
from cohort.domain import spine
from cohort.domain.clock import MISSING, IntArray
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import ROLES
from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import key_of, pack
from cohort.tables.results import CountingProcess
from cohort.tables.schema import AUGMENTATIONS

VertebraRole = Literal["treated", "adjacent", "remote"]
CAUSE_OF: dict[str, str] = {"treated": "same", "adjacent": "adjacent", "remote": "remote"}
THORACOLUMBAR = ("T11", "L2")


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
    augmentation), cause (1 at the exit of a row that ends with a counted sighting), weight, stratum, patient_id, level,
    role, then the covariates: cleft and leak (no, not_assessable, yes or missing; whose they are is said in
    `exposures`), n_treated_neighbours, height_restoration (fraction), technique, cement, volume_ml, age, female,
    t_score, corticosteroids, anti_osteoporotic (current on the days of the row), prior_fractures, thoracolumbar
    (T11-L2), and the columns of patients that the study declares as known at index. A gap between the rows of a
    vertebra is time off risk or in another role; durations and events add up to `person_time`.

    Raises DefinitionError for another role.
    """
    if role not in CAUSE_OF:
        raise DefinitionError(f"'{role}' is no role of vertebra rows; write one of {', '.join(CAUSE_OF)}.")
    members = Members.of(tables, augmentations, study)
    follow_up = follow_up_table(tables, augmentations, study)
    population = follow_up["in_main"].to_numpy(dtype=bool) & (members.follow_up.origin != MISSING)
    parts = segments(members, reach=study.relation.reach).where(population)

    segment, place = _vertebrae(parts, parts.masks[ROLES.index(role)])
    patient = parts.patient[segment]
    exposed = exposures(
        members, findings(augmentations), role, patient, place, parts.treated[segment], parts.stop[segment],
        reach=study.relation.reach,
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
    level = spine.code_at(place, members.n_thoracic[patient], members.n_lumbar[patient])
    origin = members.follow_up.origin[patient]
    fixed = patient_covariates(members, tables)
    frame = pd.DataFrame(
        {
            "id": vertebra,
            "cluster": patient,
            "entry": start - origin,
            "exit": stop - origin,
            "cause": np.isin(pack(vertebra, stop), pack(event_key, events.day)).astype(np.int64),
            "weight": np.ones(len(source)),
            "stratum": np.zeros(len(source), dtype=np.int64),
            "patient_id": members.ids.to_numpy()[patient],
            "level": categorical(level, LEVELS),
            "role": categorical(np.full(len(source), ROLES.index(role)), ROLES),
            "cleft": as_finding(exposed.cleft[source]),
            "leak": as_finding(exposed.leak[source]),
            "n_treated_neighbours": exposed.n_treated_neighbours[source],
            "height_restoration": exposed.restoration[source],
            "technique": categorical(exposed.technique[source], AUGMENTATIONS["technique"].vocabulary),
            "cement": categorical(exposed.cement[source], AUGMENTATIONS["cement"].vocabulary),
            "volume_ml": exposed.volume_ml[source],
            "age": fixed["age"].to_numpy()[patient],
            "female": fixed["female"].to_numpy()[patient],
            "t_score": fixed["t_score"].to_numpy()[patient],
            "corticosteroids": taken.corticosteroids_on(patient, stop),
            "anti_osteoporotic": taken.anti_osteoporotic_on(patient, stop),
            "prior_fractures": fixed["prior_fractures"].to_numpy()[patient],
            "thoracolumbar": ((level >= spine.CODE[THORACOLUMBAR[0]]) & (level <= spine.CODE[THORACOLUMBAR[1]])).astype(
                np.float64
            ),
        }
    )
    for name, values in declared(tables, study).items():
        if name not in frame:
            frame[name] = values.array.take(patient)
    return CountingProcess(frame, unit="vertebra", causes=(CAUSE_OF[role],), origin=ORIGIN)


def _vertebrae(parts: Segments, mask: IntArray) -> tuple[IntArray, IntArray]:
    """Every vertebra of a mask per segment, as (segment, position)."""
    found = [np.flatnonzero((mask >> place) & 1) for place in range(len(LEVELS))]
    return np.concatenate(found), np.repeat(np.arange(len(LEVELS)), [len(rows) for rows in found])
