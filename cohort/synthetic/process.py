"""The process of fractures and treatments, simulated exactly by thinning, day by day of each patient's own clock.

Between two sessions a patient's hazards change only with the early days, drugs and healing. Candidates are drawn at a
bounding rate and kept with the true one (Lewis and Shedler 1979); candidate time t falls on day ceil(t), so a role that
begins the day after a session on day u holds for t > u. All patients advance together, one candidate a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cohort.domain.clock import DAYS_PER_YEAR, NEVER, BoolArray, FloatArray, IntArray
from cohort.synthetic.people import WIDTH, People
from cohort.synthetic.truth import Parameters

SAME, ADJACENT, REMOTE = 0, 1, 2
FOR_FRACTURE, PROPHYLACTIC, FOR_TUMOUR = 0, 1, 2
COMPLETE, PARTIAL, UNFILLED = 0, 1, 2


@dataclass(frozen=True)
class Treatments:
    """One element per treated vertebra, in order of patient, day, column; day is since the first session."""

    patient: IntArray
    column: IntArray
    day: IntArray
    indication: IntArray
    cleft: BoolArray
    filled: IntArray
    leak_superior: BoolArray
    leak_inferior: BoolArray
    kyphoplasty: BoolArray
    reference_mm: FloatArray
    before_mm: FloatArray
    after_mm: FloatArray

    @property
    def restoration(self) -> FloatArray:
        """Share of the lost anterior height that was regained, from the heights as they are written."""
        return (self.after_mm - self.before_mm) / (self.reference_mm - self.before_mm)


@dataclass(frozen=True)
class Refractures:
    """One element per true refracture, in order of patient, day, column.

    treated_for is -1 for untreated vertebrae; latest_session and seen_before are days, the latter -NEVER where the
    vertebra was not seen fractured since its latest augmentation.
    """

    patient: IntArray
    column: IntArray
    day: IntArray
    relation: IntArray
    treated_for: IntArray
    fall: BoolArray
    latest_session: IntArray
    seen_before: IntArray


T = TypeVar("T", Treatments, Refractures)


class _State:
    """Where every patient stands: treated vertebrae, their findings, healing, and what is scheduled."""

    def __init__(self, people: People, truth: Parameters) -> None:
        n = len(people)
        codes = people.codes()
        self.truth = truth
        self.base = np.where(codes >= 0, truth.baseline_per_day()[np.maximum(codes, 0)], 0.0)
        self.exists = codes >= 0
        self.treated_for = np.full((n, WIDTH), -1, dtype=np.int8)
        self.own = np.ones((n, WIDTH))
        self.leak_superior = np.zeros((n, WIDTH), dtype=bool)
        self.leak_inferior = np.zeros((n, WIDTH), dtype=bool)
        self.healing_until = np.full((n, WIDTH), -NEVER, dtype=np.int64)
        self.seen = np.full((n, WIDTH), -NEVER, dtype=np.int64)
        self.due = np.full((n, WIDTH), NEVER, dtype=np.int64)
        self.next_due = np.full(n, NEVER, dtype=np.int64)
        self.latest_session = np.zeros(n, dtype=np.int64)
        self.hazard = np.zeros((n, WIDTH))
        self.total = np.zeros(n)

    def treat(self, done: Treatments) -> None:
        """Enter treatments of one session per patient, and refresh the hazards of those patients."""
        at = (done.patient, done.column)
        truth = self.truth
        self.treated_for[at] = done.indication
        cleft = np.where(done.filled == COMPLETE, truth.cleft_filled, truth.cleft_unfilled)
        self.own[at] = np.where(done.cleft, cleft, 1.0) * truth.height_restoration_per_10 ** (10 * done.restoration)
        self.leak_superior[at] = done.leak_superior
        self.leak_inferior[at] = done.leak_inferior
        self.healing_until[at] = np.minimum(self.healing_until[at], done.day)
        self.seen[at] = -NEVER
        self.due[at] = NEVER
        self.latest_session[done.patient] = done.day
        who = np.unique(done.patient)
        self.next_due[who] = self.due[who].min(axis=1)
        self.refresh(who)

    def refresh(self, who: IntArray) -> None:
        """Recompute the bounding hazards of these patients from the roles that hold after their latest session."""
        truth = self.truth
        treated_for = self.treated_for[who]
        treated = treated_for >= 0
        adjacent = beside(treated) & ~treated
        faced = facing_leak(self.leak_superior[who] & treated, self.leak_inferior[who] & treated) & adjacent
        by_role = np.array([truth.role_treated, truth.role_treated_prophylactic, truth.role_treated_tumour])
        factor = np.where(treated, by_role[np.maximum(treated_for, 0)] * self.own[who], 1.0)
        factor = np.where(adjacent, truth.role_adjacent, factor)
        factor = np.where(faced, factor * truth.disc_leak_on_neighbour, factor)
        self.hazard[who] = self.base[who] * factor
        self.total[who] = self.hazard[who].sum(axis=1)

    def relation(self, patient: IntArray, column: IntArray) -> IntArray:
        """Relation of a fracture at each vertebra to what is treated so far."""
        treated = self.treated_for[patient] >= 0
        row = np.arange(len(patient))
        near = beside(treated)[row, column]
        return np.where(treated[row, column], SAME, np.where(near, ADJACENT, REMOTE)).astype(np.int64)


def beside(flags: BoolArray) -> BoolArray:
    """Vertebrae next to a flagged one, shape (n, WIDTH); column 0 is cranial.

    >>> beside(np.array([[False, True, False, False]])).astype(int).tolist()
    [[1, 0, 1, 0]]
    """
    result = np.zeros_like(flags)
    result[:, 1:] |= flags[:, :-1]
    result[:, :-1] |= flags[:, 1:]
    return result


def facing_leak(superior: BoolArray, inferior: BoolArray) -> BoolArray:
    """Vertebrae with cement in a disc that they border: below a treated one's lower disc, above its upper one."""
    result = np.zeros_like(superior)
    result[:, 1:] |= inferior[:, :-1]
    result[:, :-1] |= superior[:, 1:]
    return result


def run(people: People, rng: np.random.Generator, truth: Parameters) -> tuple[Treatments, Refractures]:
    """Every treatment and every refracture in `(first session, exit]`, before enrolment too."""
    state = _State(people, truth)
    first = _first_session(people, rng, truth, state)
    treatments = [first]
    state.treat(first)
    broken: list[Refractures] = []

    factor = np.exp(people.log_risk(truth))
    fall_rate = truth.falls_per_year / DAYS_PER_YEAR
    clock = np.zeros(len(people))
    active = np.arange(len(people))
    while len(active):
        latest = state.latest_session[active]
        now = clock[active]
        in_early = now < latest + truth.early_days
        boundary = np.minimum(people.exit[active], state.next_due[active])
        boundary = np.where(in_early, np.minimum(boundary, latest + truth.early_days), boundary)
        scale = factor[active] * np.where(in_early, truth.early, 1.0)
        spontaneous = (1 - truth.fall_share) * scale * state.total[active]
        time = now + rng.exponential(size=len(active)) / (spontaneous + fall_rate)
        reached = time > boundary
        clock[active] = np.where(reached, boundary, time)

        drawn = np.flatnonzero(~reached)
        if len(drawn):
            is_fall = rng.random(len(drawn)) * (spontaneous[drawn] + fall_rate) < fall_rate
            day = np.ceil(time[drawn]).astype(np.int64)
            found = _fractures(state, people, rng, active[drawn], day, scale[drawn], is_fall)
            if len(found.patient):
                broken.append(found)
                _schedule(state, rng, found)

        due = active[reached & (boundary == state.next_due[active])]
        if len(due):
            who, column = np.nonzero(state.due[due] == state.next_due[due][:, None])
            patient = due[who]
            session = _findings(people, rng, truth, patient, column, state.next_due[patient], state)
            state.treat(session)
            treatments.append(session)
        active = active[clock[active] < people.exit[active]]
    return _joined(Treatments, treatments), _joined(Refractures, broken or [_no_refractures()])


def _fractures(
    state: _State,
    people: People,
    rng: np.random.Generator,
    patient: IntArray,
    day: IntArray,
    scale: FloatArray,
    is_fall: BoolArray,
) -> Refractures:
    """Which vertebrae break at each candidate: at most one spontaneously, any number in a fall."""
    truth = state.truth
    drug = np.where(people.on_drug(patient, day), truth.anti_osteoporotic, 1.0)
    chance = np.zeros((len(patient), WIDTH))

    one = np.flatnonzero(~is_fall)
    cumulative = np.cumsum(state.hazard[patient[one]], axis=1)
    target = rng.random(len(one))[:, None] * cumulative[:, -1:]
    picked = np.minimum((cumulative <= target).sum(axis=1), WIDTH - 1)
    chance[one, picked] = drug[one]

    fall = np.flatnonzero(is_fall)
    per_fall = truth.fall_share * DAYS_PER_YEAR / truth.falls_per_year * scale[fall] * drug[fall]
    chance[fall] = np.minimum(per_fall[:, None] * state.hazard[patient[fall]], 1.0)

    healing = day[:, None] <= state.healing_until[patient]
    breaks = (rng.random(chance.shape) < chance) & ~healing & state.exists[patient]
    row, column = np.nonzero(breaks)
    who, when = patient[row], day[row]
    found = Refractures(
        who,
        column,
        when,
        state.relation(who, column),
        state.treated_for[who, column].astype(np.int64),
        is_fall[row],
        state.latest_session[who],
        state.seen[who, column],
    )
    state.seen[who, column] = when
    state.healing_until[who, column] = when + truth.healing_days
    return found


def _schedule(state: _State, rng: np.random.Generator, found: Refractures) -> None:
    """Some refractures are augmented within their healing days."""
    chosen = rng.random(len(found.patient)) < np.asarray(state.truth.augmented_again)[found.relation]
    lag = np.minimum(2 + rng.gamma(2, 9, len(found.patient)).astype(np.int64), 80)
    patient, column = found.patient[chosen], found.column[chosen]
    state.due[patient, column] = found.day[chosen] + lag[chosen]
    np.minimum.at(state.next_due, patient, state.due[patient, column])


def _first_session(people: People, rng: np.random.Generator, truth: Parameters, state: _State) -> Treatments:
    """One to three levels on day 0, more often where vertebrae break more; sometimes a neighbour for prophylaxis."""
    n = len(people)
    keys = np.where(state.exists, np.log(np.maximum(state.base, 1e-300)) + rng.gumbel(size=(n, WIDTH)), -np.inf)
    rank = np.argsort(np.argsort(-keys, axis=1), axis=1)
    count = 1 + rng.choice(len(truth.levels_treated), n, p=truth.levels_treated)
    chosen = rank < np.where(people.tumour, 1, count)[:, None]
    near = beside(chosen) & ~chosen & state.exists
    extra = near & (np.cumsum(near, axis=1) == 1) & (people.prophylactic & ~people.tumour)[:, None]
    patient, column = np.nonzero(chosen | extra)
    indication = np.where(people.tumour[patient], FOR_TUMOUR, FOR_FRACTURE)
    indication = np.where(extra[patient, column], PROPHYLACTIC, indication)
    return _findings(people, rng, truth, patient, column, np.zeros(len(patient), dtype=np.int64), state, indication)


def _findings(
    people: People,
    rng: np.random.Generator,
    truth: Parameters,
    patient: IntArray,
    column: IntArray,
    day: IntArray,
    state: _State,
    indication: IntArray | None = None,
) -> Treatments:
    """Findings of new treatments.

    Clefts go with age, steroids and low density; leaks and regained height go with clefts: those are the confounders.
    """
    n = len(patient)
    if indication is None:
        indication = np.full(n, FOR_FRACTURE)
    fractured = indication == FOR_FRACTURE
    logit = np.log(truth.cleft_odds) + 0.03 * (people.age[patient] - 76) + 0.7 * people.corticosteroids[patient]
    logit = logit - 0.25 * (people.t_score[patient] + 2.8)
    cleft = (rng.random(n) < 1 / (1 + np.exp(-logit))) & fractured
    part = rng.random(n)
    unfilled = np.where(part < truth.cleft_complete, COMPLETE, np.where(part < truth.cleft_complete + 0.3, PARTIAL, 2))
    chance = np.where(cleft, truth.disc_leak[1], truth.disc_leak[0])
    kyphoplasty = rng.random(n) < truth.kyphoplasty
    reference = np.round(rng.normal(26, 2, n).clip(20, 32) + 0.25 * column, 1)
    before = np.round(reference * (1 - rng.beta(3, 6, n).clip(0.08, 0.75)), 1)
    regained = rng.beta(2, 4, n) * 0.7 + 0.15 * cleft + 0.10 * kyphoplasty
    before = np.where(fractured, before, reference - 0.5)
    after = np.where(fractured, np.round(before + regained.clip(0, 0.95) * (reference - before), 1), before)
    return Treatments(
        patient,
        column,
        day,
        indication.astype(np.int64),
        cleft,
        unfilled.astype(np.int64),
        rng.random(n) < chance,
        rng.random(n) < chance,
        kyphoplasty,
        reference,
        before,
        after,
    )


def _no_refractures() -> Refractures:
    none = np.zeros(0, dtype=np.int64)
    return Refractures(none, none, none, none, none, none.astype(bool), none, none)


def _joined(kind: type[T], parts: list[T]) -> T:
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in kind.__dataclass_fields__}
    order = np.lexsort((columns["column"], columns["day"], columns["patient"]))
    return kind(**{name: values[order] for name, values in columns.items()})
