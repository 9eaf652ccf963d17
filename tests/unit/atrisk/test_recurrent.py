"""Every refracture episode of a patient: cohorts followed by hand, a day-by-day walk, and counts told elsewhere too."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "reference"))
from random_registry import random_registry

import cohort
from cohort import atrisk
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.tables.results import Registry

DAY = pd.Timedelta(days=1)
ENDPOINTS = ("same", "adjacent", "remote", "composite")
ROLE = {"same": ["treated"], "adjacent": ["adjacent"], "remote": ["remote"]}
L1 = """
    patient_id | date | level
    a          | 10   | L1"""


def one(cohort_of, *, found=(), patient="follow_up_end | 110", study=None, columns=""):
    """One patient, a, with L1 treated on day 10. found : "day level" of each counted sighting, and further columns."""
    pairs = [[word.strip() for word in item.split("|")] for item in patient.split(",")]
    head = " | ".join(["patient_id", "date", "level", *columns.split()])
    return cohort_of(
        patients="\n".join(" | ".join(line) for line in zip(("patient_id", "a"), *pairs, strict=True)),
        augmentations=L1,
        sightings="\n".join([head, *(" | ".join(["a", *item.split()]) for item in found)]),
        study=study,
    )


def rows_of(case, endpoint="composite"):
    return atrisk.recurrent_rows(case.tables, case.sightings, case.augmentations, case.study, endpoint=endpoint)


def course(case, endpoint="composite"):
    """(entry, exit, cause, order, n_fractures) of each row."""
    frame = rows_of(case, endpoint).frame
    return list(frame[["entry", "exit", "cause", "order", "n_fractures"]].itertuples(index=False, name=None))


# ---------------- one patient at a time


def test_follow_up_is_cut_at_each_episode_and_goes_on_after_it(cohort_of):
    case = one(cohort_of, found=["30 L2", "60 T6", "80 L2"], patient="follow_up_end | 110, death_date | 90")
    assert course(case) == [(0, 20, 1, 0, 1), (20, 50, 1, 1, 1), (50, 70, 1, 2, 1), (70, 80, 2, 3, 0)]
    process = rows_of(case)
    assert (process.unit, process.causes) == ("patient", ("refracture", "death"))
    assert process.origin == "first dated augmentation (C1-L6)"
    assert process.frame["id"].tolist() == process.frame["cluster"].tolist() == [0] * 4


def test_other_relations_do_not_cut(cohort_of):
    case = one(cohort_of, found=["30 L2", "60 T6", "80 L2"])
    assert course(case, "adjacent") == [(0, 20, 1, 0, 1), (20, 70, 1, 1, 1), (70, 100, 0, 2, 0)]
    assert course(case, "remote") == [(0, 50, 1, 0, 1), (50, 100, 0, 1, 0)]
    assert course(case, "same") == [(0, 100, 0, 0, 0)]


def test_nothing_happens_to_most(cohort_of):
    assert course(one(cohort_of)) == [(0, 100, 0, 0, 0)]


def test_vertebrae_found_broken_on_one_day_are_one_episode(cohort_of):
    """A collapse of two vertebrae is found in one visit: two events would count the visit twice."""
    case = one(cohort_of, found=["30 L2", "30 T6", "30 T12"])
    assert course(case) == [(0, 20, 1, 0, 3), (20, 100, 0, 1, 0)]
    assert course(case, "adjacent")[0] == (0, 20, 1, 0, 2)


def test_an_episode_on_the_last_day_ends_the_follow_up_itself(cohort_of):
    assert course(one(cohort_of, found=["110 L2"])) == [(0, 100, 1, 0, 1)]


def test_an_episode_on_the_day_of_death_is_kept_and_the_death_is_a_loss(cohort_of):
    case = one(cohort_of, found=["60 L2"], patient="follow_up_end | 60, death_date | 60")
    assert course(case) == [(0, 50, 1, 0, 1)]


def test_a_refracture_before_entry_leaves_nobody_out(cohort_of):
    """It is no first event that is looked for; the order counts episodes after entry only."""
    case = one(cohort_of, found=["20 L2", "60 L2"], patient="follow_up_end | 110, enrolled_on | 30")
    case.sightings.loc[0, ["counted", "not_counted_because"]] = ["no", "not_after_entry"]
    assert course(case, "adjacent") == [(20, 50, 1, 0, 1), (50, 100, 0, 1, 0)]
    assert case.first_events("adjacent").frame.empty


def test_a_death_after_follow_up_is_seen_only_in_the_sensitivity_run(cohort_of):
    late = one(cohort_of, found=["30 L2"], patient="follow_up_end | 110, death_date | 130")
    closing = StudyDefinition().with_("at_risk", death_closes=True)
    assert course(late)[-1] == (20, 100, 0, 1, 0)
    assert course(replace(late, study=closing))[-1] == (20, 120, 2, 1, 0)


def test_unproven_sightings_are_no_episodes_where_the_study_does_not_count_them(cohort_of):
    strict = StudyDefinition().with_("at_risk", count_unproven=False)
    case = one(cohort_of, found=["30 L2 yes"], columns="onset_unproven")
    assert len(course(case)) == 2
    assert course(replace(case, study=strict)) == [(0, 100, 0, 0, 0)]


def test_an_unknown_endpoint_is_refused(cohort_of):
    with pytest.raises(DefinitionError, match="'any' is no endpoint"):
        rows_of(one(cohort_of), "any")


def test_an_empty_registry_gives_no_rows(cohort_of):
    assert len(rows_of(cohort_of(patients="patient_id")).frame) == 0


# ---------------- a second, slow engine, and what other functions count


def wanted(done, endpoint):
    """Counted sightings of an endpoint."""
    sightings = done.sightings[done.sightings["counted"] == "yes"]
    if not done.study.at_risk.count_unproven:
        sightings = sightings[sightings["onset_unproven"] != "yes"]
    if endpoint == "composite":
        return sightings
    of_relation = sightings["relation"] == endpoint
    if endpoint == "same":
        of_relation &= sightings["treated_for"].astype(object).fillna("fracture") == "fracture"
    return sightings[of_relation]


def day_by_day(found, entry, exit_, death, origin):
    """Rows of one patient, each day looked at: found holds the date of every fracture."""
    rows, start, order, day = [], entry, 0, entry
    while day < exit_:
        day += DAY
        broken = found.count(day)
        if broken:
            rows.append(((start - origin).days, (day - origin).days, 1, order, broken))
            start, order = day, order + 1
    if start < exit_:
        rows.append(((start - origin).days, (exit_ - origin).days, 2 if death == exit_ else 0, order, 0))
    return rows


def slow_courses(done, endpoint, n):
    """The first n patients of the main population whose origin is known."""
    follow_up = done.follow_up[done.follow_up["in_main"]].set_index("patient_id")
    patients = done.tables["patients"].set_index("patient_id")
    augmented = done.augmentations[done.augmentations["level"] != "S1"]
    counted = wanted(done, endpoint).groupby("patient_id")["date"].agg(list)
    result = {}
    for name, time in follow_up.iterrows():
        mine = augmented[augmented["patient_id"] == name]
        if len(result) == n or (mine["date_precision"] == "before_index").any() or mine["date"].isna().all():
            continue
        death, exit_ = patients.loc[name, "death_date"], time["exit"]
        if done.study.at_risk.death_closes and pd.notna(death):
            exit_ = max(exit_, death)
        result[name] = day_by_day(counted.get(name, []), time["entry"], exit_, death, mine["date"].min())
    return result


def random_cohorts():
    for seed, settings in enumerate(({}, {"death_closes": True}, {"count_unproven": False})):
        study = StudyDefinition().with_("at_risk", **settings)
        yield f"random {settings}", lambda seed=seed, study=study: Registry.of(random_registry(150, seed), study)


REGISTRIES = [
    ("cases", lambda: cohort.read("data/cases")),
    ("synthetic", lambda: cohort.read("data/synthetic")),
    *random_cohorts(),
]


@pytest.fixture(scope="module", params=[make for _, make in REGISTRIES], ids=[name for name, _ in REGISTRIES])
def done(request):
    return prepare(request.param())


@pytest.fixture(scope="module")
def rows(done):
    return {endpoint: atrisk.recurrent_rows(*done.stages, endpoint=endpoint).frame for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_walking_day_by_day_gives_the_same_rows(done, rows, endpoint):
    slow = slow_courses(done, endpoint, 100)
    assert slow
    columns = ["entry", "exit", "cause", "order", "n_fractures"]
    fast = {
        name: list(part[columns].itertuples(index=False, name=None))
        for name, part in rows[endpoint].groupby("patient_id", observed=True)
        if name in slow
    }
    assert fast == slow


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_rows_of_a_patient_touch_and_only_the_last_may_end_without_an_episode(rows, endpoint):
    frame = rows[endpoint]
    assert (frame["exit"] > frame["entry"]).all()
    again = frame["id"].duplicated().to_numpy()
    assert (frame["entry"].to_numpy()[1:] == frame["exit"].to_numpy()[:-1])[again[1:]].all()
    assert (frame["cause"].to_numpy()[:-1] == 1)[again[1:]].all()
    assert (frame["order"] == frame.groupby("id").cumcount()).all()


def test_every_endpoint_follows_the_same_patients_for_the_same_days(rows):
    followed = [frame.groupby("id").agg({"entry": "min", "exit": "max"}) for frame in rows.values()]
    for other in followed[1:]:
        pd.testing.assert_frame_equal(followed[0], other)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_fractures_are_those_that_person_time_counts(done, rows, endpoint):
    frame = rows[endpoint]
    person_time = atrisk.person_time_by_patient(*done.stages)
    mine = person_time["patient_id"].isin(frame["patient_id"])
    if endpoint in ROLE:
        mine &= person_time["role"].isin(ROLE[endpoint])
    assert frame["n_fractures"].sum() == person_time.loc[mine, "events"].sum()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_first_episode_is_the_first_event(done, rows, endpoint):
    first = done.first_events(endpoint).frame.set_index("patient_id")
    ours = rows[endpoint].drop_duplicates("id").set_index("patient_id").loc[first.index]
    broke = first["cause"].isin(range(1, len(done.first_events(endpoint).causes)))
    assert (ours["entry"] == first["entry"]).all()
    assert (ours["exit"] == first["exit"]).all()
    assert ((ours["cause"] == 1) == broke).all()
    assert ((ours["cause"] == 2) == ((first["cause"] > 0) & ~broke)).all()


def test_the_order_of_rows_changes_nothing(done, rows):
    shuffled = {
        name: table.sample(frac=1, random_state=1).reset_index(drop=True) for name, table in done.tables.items()
    }
    again = atrisk.recurrent_rows(*prepare(Registry.of(shuffled, done.study)).stages).frame
    columns = ["patient_id", "entry", "exit", "cause", "order", "n_fractures"]
    key = ["patient_id", "entry"]
    pd.testing.assert_frame_equal(
        again[columns].sort_values(key).reset_index(drop=True),
        rows["composite"][columns].sort_values(key).reset_index(drop=True),
    )
