"""Two accounts of the same patients: the generator's own and that of the stages, event by event and day by day.

They share the rules and no code beyond levels and days, so that each vouches for the other and for the marginal truth.
"""

from __future__ import annotations

import numpy as np
import pytest

from cohort import atrisk
from cohort.domain.study import StudyDefinition
from cohort.refracture import classify
from cohort.synthetic import DEFAULT, intervals
from cohort.synthetic.people import draw_people
from cohort.synthetic.process import run
from cohort.synthetic.simulate import clean_tables
from cohort.tables.results import Registry

N = 5000
STUDY = StudyDefinition()
ROLES = {"treated": intervals.TREATED, "adjacent": intervals.ADJACENT, "remote": intervals.REMOTE}


@pytest.fixture(scope="module")
def truth():
    """People, treatments and refractures as drawn."""
    rng = np.random.default_rng(31)
    people = draw_people(N, rng, DEFAULT)
    done, broken = run(people, rng, DEFAULT)
    return people, done, broken


@pytest.fixture(scope="module")
def stages(truth):
    """Tables, sightings and augmentations as the stages see them, in the order in which atrisk takes them."""
    tables = Registry.of(clean_tables(*truth, np.random.default_rng(1))).tables
    found = classify(tables, relation=STUDY.relation, judgement=STUDY.judgement, at_risk=STUDY.at_risk)
    return tables, found.sightings, found.augmentations


@pytest.fixture(scope="module")
def cut(truth):
    people, done, broken = truth
    return intervals.segments(people, done, broken, intervals.stages(done), DEFAULT, ~people.tumour)


def test_every_true_refracture_after_entry_is_counted_and_nothing_else(truth, stages):
    people, _, broken = truth
    _, sightings, _ = stages
    counted = sightings[sightings["counted"] == "yes"]
    kept = broken.day > people.entry[broken.patient]
    names = np.array(["same", "adjacent", "remote"])[broken.relation[kept]]
    assert counted["relation"].value_counts().loc[["same", "adjacent", "remote"]].tolist() == [
        (names == name).sum() for name in ("same", "adjacent", "remote")
    ]
    assert not (sightings["onset_unproven"] == "yes").any()
    assert (counted["relation"] == counted["relation_earliest"]).all()


def test_person_time_and_events_by_role_are_the_generators_own(truth, stages):
    people, done, broken = truth
    found = atrisk.person_time(*stages, STUDY).groupby("role", observed=True)[["vertebra_days", "events"]].sum()
    everybody = np.ones(N, dtype=bool)
    cut = intervals.segments(people, done, broken, intervals.stages(done), DEFAULT, everybody)
    length = cut.stop - cut.start
    kept = broken.day > people.entry[broken.patient]
    for name, role in ROLES.items():
        events = kept & (broken.relation == role) & ((role != 0) | (broken.treated_for == 0))
        assert found.loc[name].tolist() == [length @ (cut.role == role).sum(axis=1), events.sum()]


@pytest.mark.parametrize("name", ROLES)
def test_vertebra_rows_carry_the_exposures_that_made_the_hazards(truth, stages, cut, name):
    people, done, broken = truth
    own = intervals.vertebra_rows(cut, intervals.stages(done), broken, ROLES[name])
    rows = atrisk.vertebra_rows(*stages, STUDY, role=name).frame
    days, own_days = rows["exit"] - rows["entry"], own.count * (own.stop - own.start)
    exposures = {
        "cleft": (rows["cleft"] == "yes", own.cleft),
        "leak": (rows["leak"] == "yes", own.leak),
        "height_restoration": (rows["height_restoration"], own.restoration),
        "anti_osteoporotic": (rows["anti_osteoporotic"], own.on_drug),
        "corticosteroids": (rows["corticosteroids"], people.corticosteroids[own.patient]),
        "t_score": (rows["t_score"], people.t_score[own.patient]),
    }
    for exposure, (found, expected) in exposures.items():
        assert (days * found).sum() == pytest.approx((own_days * expected).sum()), exposure
        assert (rows["cause"] * found).sum() == pytest.approx((own.events * expected).sum()), exposure


@pytest.mark.parametrize("endpoint", ["same", "adjacent", "remote", "composite"])
def test_first_events_fall_on_the_days_drawn(truth, stages, endpoint):
    people, _, broken = truth
    frame = atrisk.first_event_rows(*stages, STUDY, endpoint=endpoint).frame
    first = intervals.first_days(people, broken)["any" if endpoint == "composite" else endpoint]
    chosen = np.flatnonzero(~people.tumour & ~(first <= people.entry))
    happened = first[chosen] <= people.exit[chosen]
    assert len(frame) == len(chosen)
    assert (frame["exit"].to_numpy() == np.where(happened, first[chosen], people.exit[chosen])).all()
    assert (frame["entry"].to_numpy() == people.entry[chosen]).all()
    died = frame["cause"].to_numpy() == frame["cause"].max()
    assert (died == (~happened & people.died[chosen])).all()
