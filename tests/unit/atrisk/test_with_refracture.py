"""The two halves of the count agree: what `classify` counts happens while `atrisk` has the vertebra at risk."""

from __future__ import annotations

import pytest

from cohort import atrisk
from cohort.atrisk.columns import is_yes
from cohort.atrisk.events import counted
from cohort.atrisk.members import Members
from cohort.atrisk.offrisk import off_risk, only_new_counts
from cohort.atrisk.roles import segments
from cohort.domain.study import StudyDefinition
from cohort.domain.treated import key_of
from cohort.refracture import classify
from cohort.synthetic import simulate
from cohort.tables.results import Registry

STUDY = StudyDefinition()


@pytest.fixture(scope="module")
def registry():
    tables = dict(Registry.of(simulate(600, seed=11)).tables)
    classified = classify(tables, relation=STUDY.relation, judgement=STUDY.judgement, at_risk=STUDY.at_risk)
    return tables, classified.sightings, classified.augmentations, STUDY


def test_every_counted_sighting_finds_its_vertebra_at_risk_and_in_its_role(registry):
    tables, sightings, augmentations, study = registry
    members = Members.of(tables, augmentations, study)
    events = counted(members, sightings)
    off = off_risk(members, tables, sightings, augmentations, study)
    assert len(events.day) > 100
    assert not off.covers(key_of(events.patient, events.place), events.day).any()
    parts = segments(members, reach=study.relation.reach)
    segment, n_segments = parts.met_by(events.patient, events.day - 1, events.day)
    assert (n_segments == 1).all()
    assert (parts.role_of(segment, events.place) == events.role).all()


def test_where_only_kind_new_could_count_nothing_else_was_counted(registry):
    tables, sightings, augmentations, study = registry
    members = Members.of(tables, augmentations, study)
    off = off_risk(members, tables, sightings, augmentations, study)
    events = counted(members, sightings)
    healed = only_new_counts(members, sightings, off, study).covers(key_of(events.patient, events.place), events.day)
    assert set(sightings.loc[is_yes(sightings["counted"]), "kind_judged"][healed]) <= {"new"}


def test_counted_rows_equal_events_level_by_level(registry):
    sightings = registry[1]
    counts = sightings[is_yes(sightings["counted"])].groupby("level", observed=True).size()
    events = atrisk.person_time(*registry).groupby("level", observed=True)["events"].sum()
    assert events[events > 0].to_dict() == counts.to_dict()


@pytest.mark.parametrize("role", ["treated", "adjacent", "remote"])
def test_vertebra_rows_add_up_to_person_time_of_the_main_population(registry, role):
    follow_up = atrisk.follow_up_table(registry[0], registry[2], STUDY)
    main = (follow_up["in_main"] & follow_up["origin"].notna()).to_numpy()
    whole = atrisk.person_time(*registry, only=main)
    rows = atrisk.vertebra_rows(*registry, role=role).frame
    assert (rows["exit"] - rows["entry"]).sum() == whole.loc[whole["role"] == role, "vertebra_days"].sum()
    assert rows["cause"].sum() == whole.loc[whole["role"] == role, "events"].sum()
