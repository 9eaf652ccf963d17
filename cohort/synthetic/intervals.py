"""The generator's own account of time at risk: who is at risk where, in what role, on which days.

Follow-up is cut at every session, fracture, end of healing and change of drug; between cuts nothing changes. A segment
is `(start, stop]` in days since the first session; sessions count from the day after, so a segment sees those <= start.
This account is made apart from `cohort.atrisk`, from the same rules, so that the two can check each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.domain.clock import NEVER, BoolArray, FloatArray, IntArray
from cohort.synthetic.people import WIDTH, People
from cohort.synthetic.process import SAME, Refractures, Treatments, beside, facing_leak
from cohort.synthetic.truth import Parameters

Int8Array = npt.NDArray[np.int8]

_SPAN = 100_000  # more days than any follow-up
TREATED, ADJACENT, REMOTE = 0, 1, 2  # of vertebrae treated for fracture, next to cement, elsewhere
OTHERWISE = 3  # treated for prophylaxis or tumour


@dataclass(frozen=True)
class Stages:
    """What is treated after each session; one element per patient and session day, rows (n_stages, WIDTH)."""

    key: IntArray
    treated_for: Int8Array
    cleft: BoolArray
    leak_superior: BoolArray
    leak_inferior: BoolArray
    restoration: FloatArray
    any_cleft: BoolArray
    any_leak: BoolArray
    most_restored: FloatArray


@dataclass(frozen=True)
class Segments:
    """Spans in which nothing changes; one element per segment. role: (n, WIDTH), -1 where not at risk."""

    patient: IntArray
    start: IntArray
    stop: IntArray
    stage: IntArray
    on_drug: BoolArray
    role: Int8Array


def stages(done: Treatments) -> Stages:
    """Treated vertebrae and their latest findings after each session of each patient."""
    key, member = np.unique(done.patient * _SPAN + done.day, return_inverse=True)
    owner = key // _SPAN
    rank = np.arange(len(key)) - np.searchsorted(owner, owner)
    n = len(key)
    treated_for = np.full((n, WIDTH), -1, dtype=np.int8)
    findings = {name: np.zeros((n, WIDTH), dtype=bool) for name in ("cleft", "leak_superior", "leak_inferior")}
    restoration = np.full((n, WIDTH), -np.inf)
    any_cleft, any_leak, most = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool), np.full(n, -np.inf)
    for nth in range(int(rank.max()) + 1):
        later = np.flatnonzero(rank == nth)
        if nth:
            for table in (treated_for, *findings.values(), restoration, any_cleft, any_leak, most):
                table[later] = table[later - 1]
        rows = np.flatnonzero(rank[member] == nth)
        at = (member[rows], done.column[rows])
        treated_for[at] = done.indication[rows]
        for name, table in findings.items():
            table[at] = getattr(done, name)[rows]
        restoration[at] = done.restoration[rows]
        any_cleft[member[rows[done.cleft[rows]]]] = True
        any_leak[member[rows[(done.leak_superior | done.leak_inferior)[rows]]]] = True
        np.maximum.at(most, member[rows], done.restoration[rows])
    return Stages(key, treated_for, **findings, restoration=restoration, any_cleft=any_cleft, any_leak=any_leak,
                  most_restored=most)  # fmt: skip


def segments(
    people: People, done: Treatments, broken: Refractures, history: Stages, truth: Parameters, only: BoolArray
) -> Segments:
    """Cut the follow-up `(entry, exit]` of the chosen patients wherever anything changes, and place every vertebra."""
    until = _healed_on(done, broken, truth)
    who = np.arange(len(people))
    drug = np.repeat(who, 2)
    patient = np.concatenate([who, who, history.key // _SPAN, broken.patient, broken.patient, drug, drug])
    day = np.concatenate([people.entry, people.exit, history.key % _SPAN, broken.day, until,
                          people.drug_start.ravel(), people.drug_stop.ravel()])  # fmt: skip
    inside = (day >= people.entry[patient]) & (day <= people.exit[patient]) & only[patient]
    cut = np.unique(patient[inside] * _SPAN + day[inside])
    same = cut[1:] // _SPAN == cut[:-1] // _SPAN
    begin, end = cut[:-1][same], cut[1:][same]
    owner, start = begin // _SPAN, begin % _SPAN
    stage = np.searchsorted(history.key, begin, side="right") - 1

    treated_for = history.treated_for[stage]
    treated = treated_for >= 0
    role = np.where(beside(treated), ADJACENT, REMOTE).astype(np.int8)
    role = np.where(treated, np.where(treated_for == 0, TREATED, OTHERWISE), role)
    role[people.codes()[owner] < 0] = -1
    first = np.searchsorted(begin, broken.patient * _SPAN + broken.day, side="left")
    last = np.searchsorted(begin, broken.patient * _SPAN + until, side="left")
    length = last - first
    healing = np.repeat(np.arange(len(length)), length)
    segment = first[healing] + np.arange(len(healing)) - np.repeat(np.cumsum(length) - length, length)
    role[segment, broken.column[healing]] = -1
    return Segments(owner, start, end % _SPAN, stage, people.on_drug(owner, start + 1), role)


def _healed_on(done: Treatments, broken: Refractures, truth: Parameters) -> IntArray:
    """Last day off risk after each refracture: the healing days, or the day the vertebra is augmented if sooner."""
    vertebra = (done.patient * WIDTH + done.column) * _SPAN + done.day
    vertebra = np.append(np.sort(vertebra), NEVER * _SPAN)
    key = (broken.patient * WIDTH + broken.column) * _SPAN + broken.day
    following = vertebra[np.searchsorted(vertebra, key, side="left")]
    treated_on = np.where(following // _SPAN == key // _SPAN, following % _SPAN, NEVER)
    result: IntArray = np.minimum(broken.day + truth.healing_days, treated_on)
    return result


@dataclass(frozen=True)
class Rows:
    """Vertebra-rows of one role: `(start, stop]`, how many vertebrae the row stands for, its events, its exposures."""

    patient: IntArray
    start: IntArray
    stop: IntArray
    count: IntArray
    events: IntArray
    cleft: BoolArray
    leak: BoolArray
    restoration: FloatArray
    on_drug: BoolArray


def vertebra_rows(cut: Segments, history: Stages, broken: Refractures, role: int) -> Rows:
    """Rows of vertebrae in one role with the exposures that docs/definitions.md, section 7 gives them.

    Remote vertebrae of one patient share every exposure, so one row stands for all of them.
    """
    relevant = broken.relation == role
    if role == TREATED:
        relevant &= broken.treated_for == 0
    segment = np.searchsorted(cut.patient * _SPAN + cut.start, broken.patient * _SPAN + broken.day, side="left") - 1
    known = (segment >= 0) & relevant
    known &= (cut.patient[segment] == broken.patient) & (broken.day <= cut.stop[segment])
    segment, column = segment[known], broken.column[known]

    if role == REMOTE:
        count = (cut.role == REMOTE).sum(axis=1)
        events = np.bincount(segment, minlength=len(count))
        row = np.flatnonzero(count > 0)
        at = cut.stage[row]
        exposures = (history.any_cleft[at], history.any_leak[at], history.most_restored[at])
        return _rows(cut, row, count[row], events[row], *exposures)

    row, place = np.nonzero(cut.role == role)
    order = row * WIDTH + place
    events = np.bincount(np.searchsorted(order, segment * WIDTH + column), minlength=len(order))
    at = cut.stage[row]
    if role == TREATED:
        leak = history.leak_superior[at, place] | history.leak_inferior[at, place]
        return _rows(
            cut, row, np.ones_like(row), events, history.cleft[at, place], leak, history.restoration[at, place]
        )
    faced = facing_leak(history.leak_superior, history.leak_inferior)[at, place]
    edge = np.full((len(history.key), 1), -np.inf)
    greatest = np.maximum(np.hstack([edge, history.restoration[:, :-1]]), np.hstack([history.restoration[:, 1:], edge]))
    return _rows(cut, row, np.ones_like(row), events, beside(history.cleft)[at, place], faced, greatest[at, place])


def _rows(
    cut: Segments,
    row: IntArray,
    count: IntArray,
    events: IntArray,
    cleft: BoolArray,
    leak: BoolArray,
    restoration: FloatArray,
) -> Rows:
    return Rows(
        cut.patient[row],
        cut.start[row],
        cut.stop[row],
        count,
        events,
        cleft,
        leak,
        restoration,
        cut.on_drug[row],
    )


def first_days(people: People, broken: Refractures) -> dict[str, IntArray]:
    """Day of each patient's first refracture by relation, of any, and by composite cause; NEVER where there is none.

    `same` alone is a vertebra treated for fracture; among `any` and the composite causes it is any treated vertebra.
    `several` is a first day with more than one relation.
    """
    relation = np.where(broken.relation != SAME, broken.relation, np.where(broken.treated_for == 0, SAME, OTHERWISE))
    first = np.full((4, len(people)), NEVER, dtype=np.int64)
    np.minimum.at(first, (relation, broken.patient), broken.day)
    same, adjacent, remote = first[SAME], first[ADJACENT], first[REMOTE]
    any_treated = np.minimum(same, first[OTHERWISE])
    any_day = np.minimum(np.minimum(any_treated, adjacent), remote)
    on_first = np.stack([any_treated, adjacent, remote]) == any_day
    on_first &= any_day < NEVER
    several = on_first.sum(axis=0) > 1
    result = {"same": same, "adjacent": adjacent, "remote": remote, "any": any_day}
    for name, there in zip(("same", "adjacent", "remote"), on_first, strict=True):
        result[f"composite_{name}"] = np.where(there & ~several, any_day, NEVER)
    result["composite_several"] = np.where(several, any_day, NEVER)
    return result
