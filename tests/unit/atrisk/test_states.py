"""Courses of patients among states: one move a day, first things first, and the population of the composite."""

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
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.tables.results import Registry

DAY = pd.Timedelta(days=1)
L1 = """
    patient_id | date | level
    a          | 10   | L1"""
TWICE = """
    patient_id | date | level
    a          | 10   | L1
    a          | 50   | L3"""


def one(cohort_of, *, found=(), patient="follow_up_end | 110", augmentations=L1, study=None, columns=""):
    """One patient, a. found : "day level" of each counted sighting, with the values of further columns."""
    pairs = [[word.strip() for word in item.split("|")] for item in patient.split(",")]
    head = " | ".join(["patient_id", "date", "level", *columns.split()])
    return cohort_of(
        patients="\n".join(" | ".join(line) for line in zip(("patient_id", "a"), *pairs, strict=True)),
        augmentations=augmentations,
        sightings="\n".join([head, *(" | ".join(["a", *item.split()]) for item in found)]),
        study=study,
    )


def rows_of(case):
    return atrisk.state_rows(case.tables, case.sightings, case.augmentations, case.study)


def course(case):
    """(entry, exit, state, state entered) of each row; "" where none is entered."""
    frame = rows_of(case).frame
    to = frame["state_to"].astype(object).fillna("")
    return list(zip(frame["entry"], frame["exit"], frame["state_from"], to, strict=True))


# ---------------- one patient at a time


def test_the_state_is_what_happened_last(cohort_of):
    case = one(cohort_of, found=["30 L2", "60 T6"], augmentations=TWICE, patient="follow_up_end | 110, death_date | 90")
    assert course(case) == [
        (0, 20, "no_event", "adjacent"),
        (20, 40, "adjacent", "re_augmented"),
        (40, 50, "re_augmented", "remote"),
        (50, 80, "remote", "dead"),
    ]
    process = rows_of(case)
    assert (process.unit, process.origin) == ("patient", "first dated augmentation (C1-L6)")
    assert process.causes == ("same", "adjacent", "remote", "re_augmented", "dead")
    assert process.frame["cause"].tolist() == [2, 4, 3, 5]
    assert process.frame["cluster"].tolist() == [0, 0, 0, 0]


def test_nothing_happens_to_most(cohort_of):
    assert course(one(cohort_of)) == [(0, 100, "no_event", "")]


def test_a_refracture_comes_before_the_procedure_of_its_day_which_counts_from_the_next(cohort_of):
    """A procedure treats what was found up to its day; both cannot be the state of that day, and the refracture is."""
    assert course(one(cohort_of, found=["50 L2"], augmentations=TWICE)) == [
        (0, 40, "no_event", "adjacent"),
        (40, 41, "adjacent", "re_augmented"),
        (41, 100, "re_augmented", ""),
    ]


def test_what_follows_on_the_very_next_day_waits_its_turn(cohort_of):
    assert course(one(cohort_of, found=["50 L2", "51 T6", "53 T12"], augmentations=TWICE)) == [
        (0, 40, "no_event", "adjacent"),
        (40, 41, "adjacent", "re_augmented"),
        (41, 42, "re_augmented", "remote"),
        (42, 43, "remote", "adjacent"),
        (43, 100, "adjacent", ""),
    ]


@pytest.mark.parametrize(
    ("levels", "state"), [(("L2", "T6"), "adjacent"), (("T6", "L1"), "same"), (("T6", "L2", "L1"), "same")]
)
def test_refractures_of_several_relations_on_one_day_are_one_move_to_the_nearest(cohort_of, levels, state):
    case = one(cohort_of, found=[f"30 {level}" for level in levels])
    assert course(case) == [(0, 20, "no_event", state), (20, 100, state, "")]
    assert case.first_events("composite").frame["cause"].tolist() == [4], "the composite calls it several"


def test_a_refracture_on_the_day_of_death_comes_first_and_death_on_the_next(cohort_of):
    case = one(cohort_of, found=["60 L2"], patient="follow_up_end | 60, death_date | 60")
    assert course(case) == [(0, 50, "no_event", "adjacent"), (50, 51, "adjacent", "dead")]


def test_a_procedure_that_would_move_to_the_day_after_follow_up_is_not_seen(cohort_of):
    case = one(cohort_of, found=["50 L2"], augmentations=TWICE, patient="follow_up_end | 50")
    assert course(case) == [(0, 40, "no_event", "adjacent")]
    alone = one(cohort_of, augmentations=TWICE, patient="follow_up_end | 50")
    assert course(alone) == [(0, 40, "no_event", "re_augmented")]


def test_another_event_of_the_same_kind_ends_a_row_and_changes_no_state(cohort_of):
    case = one(cohort_of, found=["30 L2", "70 T12"])
    assert course(case) == [
        (0, 20, "no_event", "adjacent"),
        (20, 60, "adjacent", "adjacent"),
        (60, 100, "adjacent", ""),
    ]


@pytest.mark.parametrize(
    ("row", "moves"),
    [
        ("20 | L3 | 10 |             |    ", False),  # staged from day 10
        ("20 | L3 |    |             |    ", True),
        ("20 | L3 |    | prophylactic|    ", True),
        ("20 | L1 |    |             | yes", True),
        ("20 | S1 |    |             |    ", False),  # cement, but no procedure of C1-L6
        ("10 | L3 |    |             |    ", False),  # the first procedure
        ("111| L3 |    |             |    ", False),  # after follow-up
    ],
)
def test_only_a_later_procedure_of_c1_to_l6_that_is_not_staged_is_a_re_augmentation(cohort_of, row, moves):
    augmentations = f"""
        patient_id | date | level | staged_from | indication | retreats
        a          | 10   | L1    |             |            |
        a          | {row}"""
    expected = [(0, 10, "no_event", "re_augmented"), (10, 100, "re_augmented", "")]
    assert course(one(cohort_of, augmentations=augmentations)) == (expected if moves else [(0, 100, "no_event", "")])


def test_who_enters_late_enters_in_the_state_of_what_was_done_before(cohort_of):
    entered = "follow_up_end | 110, enrolled_on | {}"
    before = one(cohort_of, augmentations=TWICE, patient=entered.format(50))
    assert course(before) == [(40, 100, "re_augmented", "")], "a procedure on the day of entry is before it"
    after = one(cohort_of, augmentations=TWICE, patient=entered.format(49))
    assert course(after) == [(39, 40, "no_event", "re_augmented"), (40, 100, "re_augmented", "")]


def test_a_death_after_follow_up_is_seen_only_in_the_sensitivity_run(cohort_of):
    late = one(cohort_of, patient="follow_up_end | 110, death_date | 130")
    closing = StudyDefinition().with_("at_risk", death_closes=True)
    assert course(late) == [(0, 100, "no_event", "")]
    assert course(replace(late, study=closing)) == [(0, 120, "no_event", "dead")]


def test_unproven_sightings_move_nobody_where_the_study_does_not_count_them(cohort_of):
    strict = StudyDefinition().with_("at_risk", count_unproven=False)
    case = one(cohort_of, found=["30 L2 yes"], columns="onset_unproven")
    assert course(case)[0] == (0, 20, "no_event", "adjacent")
    assert course(replace(case, study=strict)) == [(0, 100, "no_event", "")]


def test_an_empty_registry_gives_no_rows(cohort_of):
    frame = rows_of(cohort_of(patients="patient_id")).frame
    assert len(frame) == 0
    assert frame["state_from"].cat.categories.tolist() == list(atrisk.STATES)


# ---------------- a second, slow engine


def day_by_day(done, patient_id, time, exit_, died, origin):
    """The state at entry and every move as (day, state) of one patient, with a queue of what waits its turn."""
    sightings = done.sightings[(done.sightings["patient_id"] == patient_id) & (done.sightings["counted"] == "yes")]
    if not done.study.at_risk.count_unproven:
        sightings = sightings[sightings["onset_unproven"] != "yes"]
    augmented = done.augmentations[done.augmentations["patient_id"] == patient_id]
    augmented = augmented[(augmented["level"] != "S1") & augmented["staged_from"].isna() & augmented["date"].notna()]
    augmented = augmented[augmented["date_precision"] != "before_index"]
    procedures = {date for date in augmented["date"] if origin < date <= time["exit"]}
    found = {date: set(rows["relation"]) for date, rows in sightings.groupby("date")}
    state = "re_augmented" if any(date <= time["entry"] for date in procedures) else "no_event"
    waiting, moves, day = [], [("enters", state)], time["entry"]
    while day < exit_ or (died and state != "dead"):
        day += DAY
        waiting += [relation for relation in ("same", "adjacent", "remote") if relation in found.get(day, ())][:1]
        waiting += ["re_augmented"] if day in procedures else []
        waiting += ["dead"] if died and day == exit_ else []
        if waiting:
            state = waiting.pop(0)
            moves.append(((day - origin).days, state))
    return moves


def slow_courses(done, n):
    patients = done.tables["patients"].set_index("patient_id")
    follow_up = done.follow_up.set_index("patient_id")
    result = {}
    for row in done.first_events("composite").frame.head(n).itertuples():
        time, death = follow_up.loc[row.patient_id], patients.loc[row.patient_id, "death_date"]
        exit_ = time["exit"]
        if done.study.at_risk.death_closes and pd.notna(death):
            exit_ = max(exit_, death)
        died = pd.notna(death) and death == exit_
        result[row.patient_id] = day_by_day(done, row.patient_id, time, exit_, died, row.origin_date)
    return result


def fast_courses(process):
    result = {}
    for row in process.frame.itertuples():
        result.setdefault(row.patient_id, [("enters", row.state_from)])
        if pd.notna(row.state_to):
            result[row.patient_id].append((row.exit, row.state_to))
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
def process(done):
    return atrisk.state_rows(*done.stages)


def test_walking_day_by_day_gives_the_same_courses(done, process):
    slow = slow_courses(done, 150)  # all of the synthetic registry, years of each patient, would take a minute
    fast = fast_courses(process)
    assert {name: fast[name] for name in slow} == slow


def test_the_population_entry_and_first_move_are_those_of_the_composite(done, process):
    whole, rows = done.first_events("composite"), process.frame
    first = rows.drop_duplicates("id").reset_index(drop=True)
    composite = whole.frame
    for name in ("id", "cluster", "patient_id", "entry", "weight", "stratum", "origin_date"):
        assert first[name].tolist() == composite[name].tolist(), name
    untreated = ~((first["state_from"] == "re_augmented") | (first["state_to"] == "re_augmented")).to_numpy()
    assert untreated.sum() > 0
    first, composite = first[untreated], composite[untreated]
    assert first["exit"].tolist() == composite["exit"].tolist()
    names = ("", *whole.causes)
    came = [{"death": "dead"}.get(names[cause], names[cause]) for cause in composite["cause"]]
    ours = first["state_to"].astype(object).fillna("").tolist()
    several = [name == "several" for name in came]
    assert [state for state, odd in zip(ours, several, strict=True) if not odd] == [c for c in came if c != "several"]
    assert all(state in ("same", "adjacent") for state, odd in zip(ours, several, strict=True) if odd)


def test_rows_of_a_patient_touch_and_agree_on_the_state_between_them(process):
    rows = process.frame
    assert (rows["exit"] > rows["entry"]).all()
    one, two = rows.iloc[:-1], rows.iloc[1:]
    same = one["id"].to_numpy() == two["id"].to_numpy()
    assert (one["exit"].to_numpy() == two["entry"].to_numpy())[same].all()
    assert (one["state_to"].astype(object).to_numpy() == two["state_from"].astype(object).to_numpy())[same].all()
    assert one["state_to"].notna().to_numpy()[same].all()
    assert (rows["state_from"] != "dead").all()


def test_who_never_moves_is_followed_as_long_as_in_the_composite(done, process):
    last = process.frame.groupby("id")["exit"].max()
    follow_up = done.follow_up.iloc[last.index]
    days = follow_up["exit_day"].to_numpy() - follow_up["origin_day"].to_numpy()
    if done.study.at_risk.death_closes:
        assert (last.to_numpy() >= days).all()
        return
    dead = process.frame.loc[process.frame["state_to"] == "dead", "id"]
    more = last.to_numpy() - days
    assert (more[~last.index.isin(dead)] == 0).all()
    assert set(more) <= {0, 1, 2}, "a death is at most two moves late"


def test_the_order_of_rows_changes_nothing(done, process):
    tables = dict(done.tables)
    shuffled = {name: frame.sample(frac=1, random_state=1).reset_index(drop=True) for name, frame in tables.items()}
    again = atrisk.state_rows(*prepare(Registry.of(shuffled, done.study)).stages)
    columns = ["patient_id", "entry", "exit", "state_from", "state_to"]
    key = ["patient_id", "entry"]
    theirs = again.frame[columns].sort_values(key).reset_index(drop=True)
    pd.testing.assert_frame_equal(theirs, process.frame[columns].sort_values(key).reset_index(drop=True))
