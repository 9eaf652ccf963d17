"""Vertebra-days by level and role, and the counted sightings that happened in them.

Days are summed over segments as bit x duration; only the few off-risk windows are laid out vertebra by vertebra and
taken away. Counted sightings come from `classify`, so events agree with it cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from cohort.atrisk.bands import AGES, DAYS_SINCE, Bands, bands
from cohort.atrisk.columns import categorical, is_yes
from cohort.atrisk.events import Events, counted
from cohort.atrisk.followup import default_population
from cohort.atrisk.looks import SHOWN_BY, looks
from cohort.atrisk.members import Members
from cohort.atrisk.offrisk import off_risk, only_new_counts
from cohort.atrisk.roles import NO_ROLE, Segments, segments
from cohort.atrisk.windows import Windows, ragged
from cohort.domain import spine
from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.outcomes import ROLES
from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition

_N_CELLS = len(LEVELS) * len(ROLES)
_REMOTE = ROLES.index("remote")


@dataclass(frozen=True)
class _Pieces:
    """Parts of windows within segments: patient, cell (level and role) and days; segment is -1 for single days."""

    segment: IntArray
    patient: IntArray
    cell: IntArray
    days: IntArray


def person_time(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    by: Sequence[str] = (),
    only: BoolArray | None = None,
    remote_within: int | None = None,
    remote_imaged: bool = False,
    ages: Sequence[int] = AGES,
    days_since: Sequence[int] = DAYS_SINCE,
) -> pd.DataFrame:
    """Vertebra-days at risk and counted sightings by level and role (docs/definitions.md, section 7).

    by : further splits, of `bands.SPLITS`: "calendar_year", "age" (cut at `ages`), "since_procedure" (at `days_since`).
    only : mask over the rows of patients; default all but incomplete ones (the tumour stratum and patients treated
        before the registry began included).
    remote_within : remote vertebrae no further than this from a treated one, levels; default all of them.
    remote_imaged : only remote vertebrae that were imaged at least once during follow-up, where that is recorded.

    Returns level, role, the splits, vertebra_days, events (int64) in the order of the spine, then of `ROLES`, then of
    the bands; one row per cell with days or events. Days are summed over sets of vertebrae, and none is laid out.
    """
    study_time = _study_time(tables, sightings, augmentations, study, only, remote_within, remote_imaged)
    members = study_time.members
    wanted = bands(members, tables, augmentations, by, ages=ages, days_since=days_since)
    parts = study_time.segments.split_at([(one.cut_patient, one.cut_day) for one in wanted])
    group, n_groups = _group(wanted, parts.patient, parts.stop)
    days = _days(members, parts, group, n_groups)
    off = _pieces(members, parts, study_time.off_risk)
    np.subtract.at(days, (group[off.segment], off.cell), off.days)
    accepted = study_time.events.accepted(study.at_risk)
    events = np.zeros_like(days)
    np.add.at(events, (_group(wanted, accepted.patient, accepted.day)[0], _cell_of(accepted)), 1)

    cell, band = np.nonzero(((days > 0) | (events > 0)).T)
    split = _band_columns(wanted, band)
    return pd.DataFrame(
        {**_cell_columns(cell), **split, "vertebra_days": days[band, cell], "events": events[band, cell]}
    )


def person_time_by_patient(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    *,
    only: BoolArray | None = None,
    remote_within: int | None = None,
    remote_imaged: bool = False,
) -> pd.DataFrame:
    """Person-time of each patient by level and role; arguments as `person_time`.

    Returns patient_id, level, role, vertebra_days, healed_days (those days on which only kind `new` could count:
    the vertebra had healed from a fracture, or carried an old one), events, unproven_events (counted sightings whose
    onset is unproven; part of events unless the study does not count them). One row per patient, level and role with
    days or events, in the order of patients, spine, `ROLES`.
    """
    study_time = _study_time(tables, sightings, augmentations, study, only, remote_within, remote_imaged)
    members, parts = study_time.members, study_time.segments
    accepted = study_time.events.accepted(study.at_risk)
    unproven = study_time.events.where(study_time.events.unproven)
    added = (
        (0, -1, _by_cell(_pieces(members, parts, study_time.off_risk))),
        (1, 1, _by_cell(_pieces(members, parts, study_time.healed))),
        (2, 1, _by_cell(_single(accepted))),
        (3, 1, _by_cell(_single(unproven))),
    )
    nothing = np.zeros((4, len(members)), dtype=np.int64)
    found = [(np.zeros(0, dtype=np.int64), nothing[:, :0])]
    cells = chain(_bits(members, parts), ((cell, np.zeros(len(parts), dtype=np.int64)) for cell in added[2][2]))
    done: set[int] = set()
    for cell, bits in cells:
        if cell in done:  # a cell of events comes again only to keep one without days, if there should be any
            continue
        done.add(cell)
        held = bits.astype(bool)
        table = nothing.copy()
        table[0] = np.bincount(parts.patient[held], weights=parts.days[held], minlength=len(members))
        for line, sign, source in added:
            if cell in source:
                np.add.at(table[line], source[cell].patient, sign * source[cell].days)
        rows = np.flatnonzero(table.any(axis=0))
        found.append((rows * _N_CELLS + cell, table[:, rows]))

    key = np.concatenate([key for key, _ in found])
    values = np.concatenate([table for _, table in found], axis=1)
    order = np.argsort(key, kind="stable")
    key, values = key[order], values[:, order]
    return pd.DataFrame(
        {
            "patient_id": members.ids.to_numpy()[key // _N_CELLS],
            **_cell_columns(key % _N_CELLS),
            "vertebra_days": values[0],
            "healed_days": values[1],
            "events": values[2],
            "unproven_events": values[3],
        }
    )


@dataclass(frozen=True)
class _StudyTime:
    members: Members
    segments: Segments
    off_risk: Windows
    healed: Windows
    events: Events


def _study_time(
    tables: Mapping[str, pd.DataFrame],
    sightings: pd.DataFrame,
    augmentations: pd.DataFrame,
    study: StudyDefinition,
    only: BoolArray | None,
    remote_within: int | None,
    remote_imaged: bool,
) -> _StudyTime:
    members = Members.of(tables, augmentations, study)
    population = default_population(tables["patients"], study) if only is None else np.asarray(only, dtype=bool)
    parts = segments(members, reach=study.relation.reach).where(population)
    events = counted(members, sightings)
    chosen = population[events.patient]
    remote = events.role == _REMOTE
    if remote_within is not None:
        parts.masks[_REMOTE] &= spine.neighbours(parts.treated, members.row[parts.patient], remote_within)
        distance = sightings.loc[is_yes(sightings["counted"]), "distance"].to_numpy(dtype=np.float64)
        chosen &= ~remote | (distance <= remote_within)
    if remote_imaged:
        imaged = _imaged(members, tables)
        parts.masks[_REMOTE] &= imaged[parts.patient]
        chosen &= ~remote | spine.holds(imaged[events.patient], events.place)
    off = off_risk(members, tables, sightings, augmentations, study)
    return _StudyTime(
        members,
        parts,
        off,
        only_new_counts(members, sightings, off, study),
        events.where(chosen),
    )


def _imaged(members: Members, tables: Mapping[str, pd.DataFrame]) -> IntArray:
    """Sets of vertebrae shown or measured at least once in `(entry, exit]`, one per patient."""
    time = members.follow_up
    seen = looks(members.anatomy, tables, SHOWN_BY).within(time.entry, time.exit, members.row)
    shown = np.zeros(len(members), dtype=np.int64)
    np.bitwise_or.at(shown, seen.patient, seen.mask)
    return shown


def _pieces(members: Members, parts: Segments, windows: Windows) -> _Pieces:
    """Windows of vertebrae cut at the segments of their patients; what is not at risk there vanishes."""
    patient = windows.key // 32
    low, count = parts.met_by(patient, windows.start, windows.stop)
    window, step = ragged(count)
    segment = low[window] + step
    place = windows.key[window] % 32
    role = parts.role_of(segment, place)
    held = role != NO_ROLE
    window, segment, place, role = window[held], segment[held], place[held], role[held]
    patient = patient[window]
    level = spine.code_at(place, members.n_thoracic[patient], members.n_lumbar[patient])
    days = np.minimum(windows.stop[window], parts.stop[segment]) - np.maximum(
        windows.start[window], parts.start[segment]
    )
    return _Pieces(segment, patient, level * len(ROLES) + role, days)


def _group(wanted: Sequence[Bands], patient: IntArray, day: IntArray) -> tuple[IntArray, int]:
    """The combination of bands of each patient on each day, as one code, and how many combinations there are."""
    code, n = np.zeros(len(patient), dtype=np.int64), 1
    for one in wanted:
        code = code * len(one.names) + one.code_of(patient, day)
        n *= len(one.names)
    return code, n


def _band_columns(wanted: Sequence[Bands], group: IntArray) -> dict[str, pd.Categorical]:
    columns = {}
    for one in reversed(wanted):
        columns[str(one.by)] = categorical(group % len(one.names), one.names)
        group = group // len(one.names)
    return dict(reversed(columns.items()))


def _days(members: Members, parts: Segments, group: IntArray, n_groups: int) -> IntArray:
    """Days of every group and cell, off-risk days included; shape (n_groups, _N_CELLS).

    Patients share few sets of vertebrae: days are added up by distinct set first, and only those are taken apart.
    """
    result = np.zeros((n_groups, len(LEVELS), len(ROLES)), dtype=np.int64)
    anatomy = (members.n_thoracic * 8 + members.n_lumbar)[parts.patient]
    for role in range(len(ROLES)):
        some = np.flatnonzero(parts.masks[role])
        code, distinct = pd.factorize(parts.masks[role, some] | anatomy[some] << len(LEVELS))
        by_set = np.bincount(
            group[some] * len(distinct) + code, weights=parts.days[some], minlength=n_groups * len(distinct)
        ).reshape(n_groups, len(distinct))
        mask, shape = distinct & ((np.int64(1) << len(LEVELS)) - 1), distinct >> len(LEVELS)
        common = spine.common_places(mask, shape // 8, shape % 8)
        held = (common[:, None] >> np.arange(len(LEVELS))) & 1
        # Whole days far below 2^53, so that sums of floats are exact.
        result[:, :, role] = np.rint(by_set @ held.astype(np.float64)).astype(np.int64)
    return result.reshape(n_groups, _N_CELLS)


def _bits(members: Members, parts: Segments) -> Iterator[tuple[int, IntArray]]:
    """For each level (of the common naming) and role, which segments have that vertebra in that role (0 or 1)."""
    shape = members.n_thoracic[parts.patient], members.n_lumbar[parts.patient]
    for role in range(len(ROLES)):
        common = spine.common_places(parts.masks[role], *shape)
        present = int(np.bitwise_or.reduce(common, initial=0))
        for level in range(len(LEVELS)):
            if present >> level & 1:
                yield level * len(ROLES) + role, (common >> level) & 1


def _by_cell(pieces: _Pieces) -> dict[int, _Pieces]:
    order = np.argsort(pieces.cell, kind="stable")
    cells, first = np.unique(pieces.cell[order], return_index=True)
    return (
        {
            int(cell): _Pieces(pieces.segment[rows], pieces.patient[rows], pieces.cell[rows], pieces.days[rows])
            for cell, rows in zip(cells, np.split(order, first[1:]), strict=True)
        }
        if len(cells)
        else {}
    )


def _single(events: Events) -> _Pieces:
    """One per event."""
    one = np.ones(len(events.day), dtype=np.int64)
    return _Pieces(-one, events.patient, _cell_of(events), one)


def _cell_of(events: Events) -> IntArray:
    return events.level * len(ROLES) + events.role


def _cell_columns(cell: IntArray) -> dict[str, pd.Categorical]:
    return {
        "level": categorical(cell // len(ROLES), LEVELS),
        "role": categorical(cell % len(ROLES), ROLES),
    }
