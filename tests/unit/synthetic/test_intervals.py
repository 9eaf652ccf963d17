"""The generator's own account of time at risk, on patients small enough to count by hand and on many."""

from __future__ import annotations

import numpy as np

from cohort.domain.clock import NEVER
from cohort.domain.spine import CODE
from cohort.synthetic.intervals import ADJACENT, REMOTE, TREATED, first_days, segments, stages, vertebra_rows
from cohort.synthetic.people import FIRST_PLACE, People
from cohort.synthetic.process import FOR_FRACTURE, Refractures, Treatments
from cohort.synthetic.truth import DEFAULT

T12, L1, L2 = (CODE[level] - FIRST_PLACE for level in ("T12", "L1", "L2"))
L1, L2 = L1 - 1, L2 - 1  # 12 thoracic vertebrae: the code of T13 lies between


def one_patient(*, entry: int, exit: int, drug: tuple[int, int] = (NEVER, NEVER)) -> People:
    one = np.array([1])
    return People(
        age=one + 75.0, female=one > 0, t_score=one - 4.0, corticosteroids=one < 0, prior_fractures=one * 0,
        n_thoracic=one * 12, n_lumbar=one * 5, site=one * 0, frailty=one * 1.0, tumour=one < 0, prophylactic=one < 0,
        first_day=one * 16000, entry=one * entry, death=one * NEVER, lost=one * NEVER, exit=one * exit,
        drug=np.zeros((1, 2), dtype=int), drug_start=np.array([[drug[0], NEVER]]),
        drug_stop=np.array([[drug[1], NEVER]]),
    )  # fmt: skip


def treated(*rows: tuple[int, int], leak_superior: bool = False) -> Treatments:
    column, day = (np.array(values) for values in zip(*rows, strict=True))
    zero, flag = np.zeros(len(rows), dtype=int), np.zeros(len(rows), dtype=bool)
    return Treatments(zero, column, day, zero + FOR_FRACTURE, flag, zero, flag | leak_superior, flag, flag, zero + 26.0,
                      zero + 16.0, zero + 20.0)  # fmt: skip


def broken(*rows: tuple[int, int, int]) -> Refractures:
    column, day, relation = (np.array(values) for values in zip(*rows, strict=True))
    zero = np.zeros(len(rows), dtype=int)
    return Refractures(zero, column, day, relation, np.where(relation == TREATED, 0, -1), zero > 0, zero, zero)


def account(people, done, events):
    history = stages(done)
    return segments(people, done, events, history, DEFAULT, np.ones(1, dtype=bool)), history


def days(cut, role):
    return int((cut.stop - cut.start) @ (cut.role == role).sum(axis=1))


def test_roles_change_the_day_after_a_session():
    # L1 treated on day 0, T12 breaks on day 30 and is treated on day 40; followed to day 100.
    events = broken((T12, 30, ADJACENT))
    cut, history = account(one_patient(entry=0, exit=100), treated((L1, 0), (T12, 40)), events)
    # L1 all 100 days; T12 from day 41 on.
    assert days(cut, TREATED) == 100 + 60
    # T12 to day 30, L2 throughout, T11 from day 41 on.
    assert days(cut, ADJACENT) == 30 + 100 + 60
    # 14 levels (T4-L5); T12 heals on days 31-40.
    assert days(cut, TREATED) + days(cut, ADJACENT) + days(cut, REMOTE) == 14 * 100 - 10
    rows = vertebra_rows(cut, history, events, ADJACENT)
    assert rows.events.sum() == 1
    assert rows.stop[rows.events == 1].tolist() == [30]


def test_time_before_enrolment_is_nobodys_and_a_fracture_then_is_no_event():
    events = broken((T12, 20, ADJACENT))
    cut, history = account(one_patient(entry=25, exit=60), treated((L1, 0)), events)
    # 14 levels over days 26-60, less T12, which heals until day 110.
    assert days(cut, TREATED) + days(cut, ADJACENT) + days(cut, REMOTE) == 13 * 35
    assert vertebra_rows(cut, history, events, ADJACENT).events.sum() == 0


def test_a_drug_holds_from_the_day_after_its_start_to_its_stop():
    events = broken((T12, 50, ADJACENT))
    cut, history = account(one_patient(entry=0, exit=60, drug=(10, 50)), treated((L1, 0)), events)
    rows = vertebra_rows(cut, history, events, ADJACENT)
    on = rows.on_drug
    assert (rows.stop - rows.start)[on].sum() == 2 * 40
    assert rows.events[on].sum() == 1


def test_a_leak_concerns_the_neighbour_it_faces():
    events = broken((T12, 50, ADJACENT))
    cut, history = account(one_patient(entry=0, exit=60), treated((L1, 0), leak_superior=True), events)
    rows = vertebra_rows(cut, history, events, ADJACENT)
    assert rows.events[rows.leak].sum() == 1
    # T12 faces the upper disc of L1 until it breaks; L2 does not.
    assert (rows.stop - rows.start)[rows.leak].sum() == 50
    assert (rows.stop - rows.start)[~rows.leak].sum() == 60


def test_first_refractures_of_two_relations_on_one_day_are_several():
    events = broken((T12, 50, ADJACENT), (T12 - 5, 50, REMOTE), (L1, 90, TREATED))
    first = first_days(one_patient(entry=0, exit=100), events)
    assert {name: int(day[0]) for name, day in first.items() if day[0] < NEVER} == {
        "same": 90, "adjacent": 50, "remote": 50, "any": 50, "composite_several": 50,
    }  # fmt: skip


def test_every_vertebra_day_has_one_role_or_heals(history):
    people, done, events = history
    n = len(people)
    cut = segments(people, done, events, stages(done), DEFAULT, np.ones(n, dtype=bool))
    length = cut.stop - cut.start
    assert (np.bincount(cut.patient, weights=length, minlength=n) == people.exit - people.entry).all()
    exists = people.codes()[cut.patient] >= 0
    off = exists & (cut.role < 0)
    assert (cut.role[~exists] == -1).all()
    assert (off * length[:, None]).sum() <= DEFAULT.healing_days * len(events.day)


def test_no_event_falls_on_a_day_off_risk(history):
    people, done, events = history
    past = stages(done)
    cut = segments(people, done, events, past, DEFAULT, np.ones(len(people), dtype=bool))
    at_risk = sum(vertebra_rows(cut, past, events, role).events.sum() for role in (TREATED, ADJACENT, REMOTE))
    otherwise = (events.relation == 0) & (events.treated_for != FOR_FRACTURE)
    kept = events.day > people.entry[events.patient]
    assert at_risk == (kept & ~otherwise).sum()
