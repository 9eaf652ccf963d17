"""Follow-up that ends with the last look, and vertebrae that were broken already when observation began."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parents[2] / "reference"))
from random_registry import canonical, random_registry

from cohort import atrisk
from cohort.atrisk.looks import Looks
from cohort.domain.clock import MISSING
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.pipeline.stages import under
from cohort.tables.results import Registry

LAST = StudyDefinition().with_("at_risk", exit_at="last_imaging")
ONE = """
    patient_id | follow_up_end
    a          | 100"""
L1 = """
    patient_id | date | level
    a          | 0    | L1"""
STUDY_AT_60 = """
    patient_id | date | first_level | last_level
    a          | 60   | T10         | L2"""


def one(cohort_of, *, patients=ONE, augmentations=L1, study=LAST, **tables):
    """Patient a; every sighting is a row of `fractures`, and so a look."""
    case = cohort_of(patients=patients, augmentations=augmentations, study=study, **tables)
    recorded = case.sightings[["patient_id", "date", "level"]].to_dict("records")
    return replace(case, tables={**case.tables, "fractures": canonical("fractures", recorded)})


def by_level(case):
    """Days at risk of each vertebra, whatever its role."""
    frame = case.person_time()
    return frame.groupby(frame["level"].astype(str))["vertebra_days"].sum().to_dict()


def outcome(process):
    """(entry, exit, cause by name)."""
    names = ("none", *process.causes)
    return [(row.entry, row.exit, names[row.cause]) for row in process.frame.itertuples()]


# ---------------- a vertebra is at risk no later than its last look


def test_by_default_follow_up_goes_to_its_end_whoever_looks(cohort_of):
    assert set(by_level(one(cohort_of, study=StudyDefinition())).values()) == {100}


def test_a_vertebra_is_at_risk_to_the_last_study_that_shows_it(cohort_of):
    case = one(cohort_of, imaging_studies=STUDY_AT_60)
    assert by_level(case) == {"T10": 60, "T11": 60, "T12": 60, "L1": 60, "L2": 60}


@pytest.mark.parametrize("levels", ["|", "T10 |", "| L2"])
def test_a_study_without_levels_shows_nothing(cohort_of, levels):
    studies = STUDY_AT_60 + f"\n a | 90 | {levels}"
    case = one(cohort_of, imaging_studies=studies)
    assert set(by_level(case).values()) == {60}
    assert outcome(case.first_events("composite")) == [(0, 60, "none")]


@pytest.mark.parametrize(
    ("look", "level", "days"),
    [
        ({"imaging": "patient_id | date | level\n a | 80 | L5"}, "L5", 80),
        ({"sightings": "patient_id | date | level | counted | kept\n a | 80 | L5 | no | no"}, "L5", 80),
        ({"augmentations": L1 + "\n a | 80 | L5"}, "L5", 80),
        ({"imaging_studies": "patient_id | date | first_level | last_level\n a | 80 | L5 | S1"}, "L5", 80),
    ],
    ids=["a measurement", "a sighting", "an augmentation", "a study"],
)
def test_what_is_a_look(cohort_of, look, level, days):
    case = one(cohort_of, **look)
    assert by_level(case) == {level: days}


@pytest.mark.parametrize(("day", "days"), [(-5, {}), (0, {}), (1, {"L5": 1}), (100, {"L5": 100}), (101, {})])
def test_only_a_look_after_entry_and_to_the_end_of_follow_up_counts(cohort_of, day, days):
    case = one(cohort_of, imaging=f"patient_id | date | level\n a | {day} | L5")
    assert by_level(case) == days


def test_looks_follow_each_vertebra_through_its_roles(cohort_of):
    case = one(
        cohort_of,
        augmentations=L1 + "\n a | 30 | L3",
        imaging="""
            patient_id | date | level
            a          | 20   | L2
            a          | 40   | L4
            a          | 60   | L1""",
    )
    # L3 is looked at when it is treated, and never after.
    assert case.days() == {
        ("L1", "treated"): 60,
        ("L2", "adjacent"): 20,
        ("L3", "remote"): 30,
        ("L4", "remote"): 30,
        ("L4", "adjacent"): 10,
    }


def test_days_off_risk_are_taken_from_the_days_to_the_last_look(cohort_of):
    excluded = """
        patient_id | level | from | to
        a          | L2    | 10   | 30
        a          | T12   |      | """
    case = one(cohort_of, imaging_studies=STUDY_AT_60, excluded_levels=excluded)
    assert by_level(case) == {"T10": 60, "T11": 60, "L1": 60, "L2": 40}


def test_an_event_is_a_look_and_stays_what_it_is(cohort_of):
    sightings = "patient_id | date | level\n a | 40 | L2\n a | 70 | T6"
    case = one(cohort_of, sightings=sightings, imaging_studies=STUDY_AT_60)
    assert case.events() == {("L2", "adjacent"): 1, ("T6", "remote"): 1}
    assert case.days()[("T6", "remote")] == 70
    assert case.days()[("L2", "adjacent")] == 40  # off risk on day 60
    rows = case.vertebrae("remote")
    assert rows.loc[rows["level"] == "T6", ["entry", "exit", "cause"]].iloc[-1].tolist() == [60, 70, 1]


# ---------------- a patient is at risk no later than the last look at any vertebra at risk


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ("T10 | L2", [(0, 60, "none")]),
        ("L5  | L5", [(0, 60, "none")]),
        ("T1  | T3", []),  # above the range at risk
        ("S1  | S1", []),
    ],
)
def test_a_patient_is_followed_to_the_last_look_at_a_vertebra_at_risk(cohort_of, levels, expected):
    studies = f"patient_id | date | first_level | last_level\n a | 60 | {levels}"
    case = one(cohort_of, imaging_studies=studies)
    assert outcome(case.first_events("composite")) == expected


def test_a_patient_nobody_looked_at_gives_no_time_and_is_listed(cohort_of):
    case = one(cohort_of)
    assert by_level(case) == {}
    assert case.follow_up()["left_out_because"].tolist() == ["exit on or before entry"]
    assert case.first_left_out("composite") == {"exit on or before entry": 1}


@pytest.mark.parametrize(
    ("death", "expected"), [(100, (0, 60, "none")), (61, (0, 60, "none")), (60, (0, 60, "death")), (50, None)]
)
def test_death_competes_only_on_the_day_of_the_last_look(cohort_of, death, expected):
    patients = f"patient_id | follow_up_end | death_date\n a | 100 | {death}"
    case = one(cohort_of, patients=patients, imaging_studies=STUDY_AT_60)
    # A study dated after the death is after follow-up, and none was made before.
    assert outcome(case.first_events("composite")) == ([expected] if expected else [])


def test_clocks_of_procedures_end_with_the_patients_last_look_and_units_with_the_vertebras_own(cohort_of):
    case = one(
        cohort_of,
        augmentations="""
            augmentation_id | patient_id | date | level
            k               | a          | 0    | L1
            m               | a          | 30   | L4""",
        imaging="""
            patient_id | date | level
            a          | 20   | L1
            a          | 80   | T5""",
    )
    stages = case.tables, case.sightings, case.augmentations, case.study
    assert outcome(atrisk.procedure_rows(*stages, endpoint="composite")) == [(0, 30, "none"), (0, 50, "none")]
    # L4 was never looked at after its own augmentation.
    assert outcome(atrisk.treated_vertebra_rows(*stages)) == [(0, 20, "none")]
    assert outcome(atrisk.changing_rows(*stages, endpoint="composite")) == [(0, 30, "none"), (30, 80, "none")]


def test_calendar_years_end_with_the_last_look_too(cohort_of):
    case = one(
        cohort_of,
        patients="patient_id | follow_up_end\n a | 1000",
        imaging="patient_id | date | level\n a | 370 | L1",
    )
    frame = case.person_time(by=["calendar_year"])
    assert frame[["calendar_year", "vertebra_days"]].to_numpy().tolist() == [["2020", 365], ["2021", 5]]


def test_a_last_look_cannot_be_closed_by_a_later_death():
    with pytest.raises(ValidationError, match="choose one"):
        LAST.with_("at_risk", death_closes=True)


# ---------------- what must hold for any cohort


@pytest.fixture(scope="module", params=range(4))
def cohort(request):
    return prepare(Registry.of(random_registry(40, 900 + request.param)))


def test_no_event_is_lost_and_no_day_is_gained(cohort):
    last = under(cohort, LAST)
    by_default, to_last_look = (
        atrisk.person_time(*one.stages).set_index(["level", "role"])[["vertebra_days", "events"]]
        for one in (cohort, last)
    )
    to_last_look = to_last_look.reindex(by_default.index, fill_value=0)
    assert by_default["events"].sum() > 10
    assert to_last_look["events"].equals(by_default["events"])
    assert (to_last_look["vertebra_days"] <= by_default["vertebra_days"]).all()
    assert (to_last_look["vertebra_days"] >= to_last_look["events"]).all()
    assert to_last_look["vertebra_days"].sum() < by_default["vertebra_days"].sum()


@pytest.mark.parametrize("endpoint", ["same", "adjacent", "remote", "retreated", "composite"])
def test_no_first_event_of_a_patient_is_lost(cohort, endpoint):
    told = []
    for one in (cohort, under(cohort, LAST)):
        process = atrisk.first_event_rows(*one.stages, endpoint=endpoint)
        frame = process.frame
        event = (frame["cause"] > 0) & (frame["cause"] < len(process.causes))
        told.append(frame.loc[event, ["patient_id", "entry", "exit", "cause", "lower"]].to_numpy().tolist())
    assert told[0] == told[1]


def test_rows_of_vertebrae_add_up_to_person_time_to_the_last_look(cohort):
    last = under(cohort, LAST)
    known = (last.follow_up["in_main"] & last.follow_up["origin"].notna()).to_numpy()
    time = atrisk.person_time(*last.stages, only=known)
    for role in ("treated", "adjacent", "remote"):
        rows = atrisk.vertebra_rows(*last.stages, role=role).frame
        whole = time[time["role"] == role]
        assert (rows["exit"] - rows["entry"]).sum() == whole["vertebra_days"].sum()
        assert rows["cause"].sum() == whole["events"].sum()


def test_the_last_look_is_the_last_day_at_risk_where_nothing_is_off_risk(cohort):
    quiet = replace(under(cohort, LAST), sightings=cohort.sightings.iloc[:0])
    quiet = replace(
        quiet,
        registry=Registry.of({**cohort.tables, "excluded_levels": cohort.tables["excluded_levels"].iloc[:0]}, LAST),
        augmentations=cohort.augmentations.assign(staged_from=pd.NaT),
    )
    windows = atrisk.risk_windows(*quiet.stages)
    looked = atrisk.last_looks(quiet.tables, quiet.augmentations, cohort.study)
    stop = windows.groupby([windows["patient_id"], windows["level"].astype(str)])["stop"].max().to_dict()
    assert stop == {(row.patient_id, str(row.level)): row.last_look for row in looked.itertuples()}


# ---------------- looks as arrays: vertebra k is bit k


def looks_at(*days):
    """(patient, day, set of vertebrae)."""
    return Looks.of(*(np.array(column, dtype=np.int64) for column in zip(*days, strict=True)))


def arrays(*values):
    return [np.array(value, dtype=np.int64) for value in values]


def test_looks_of_one_day_are_one_and_those_at_nothing_vanish():
    looks = looks_at((1, 9, 0b001), (0, 5, 0b010), (0, 5, 0b100), (0, 3, 0), (0, 4, 0b001))
    assert list(zip(looks.patient, looks.day, looks.mask, strict=True)) == [(0, 4, 0b001), (0, 5, 0b110), (1, 9, 0b001)]


LOOKS = ((0, 10, 0b011), (0, 20, 0b100), (0, 30, 0b001), (1, 15, 0b010))


@pytest.mark.parametrize(
    ("patient", "day", "still"),
    [
        (0, 5, 0b111),
        (0, 10, 0b111),  # the day itself is still to come
        (0, 11, 0b101),
        (0, 21, 0b001),
        (0, 31, 0b000),  # never those of the next patient
        (1, 15, 0b010),
        (1, 16, 0b000),
        (2, 0, 0b000),
    ],
)
def test_what_is_still_to_be_looked_at(patient, day, still):
    assert looks_at(*LOOKS).still_to_come(*arrays([patient], [day])).tolist() == [still]


@pytest.mark.parametrize(
    ("patient", "place", "day", "last"),
    [
        (0, 0, 30, 10),  # before the day, not on it
        (0, 0, 31, 30),
        (0, 0, 10, MISSING),
        (0, 2, 99, 20),
        (0, 3, 99, MISSING),  # never looked at
        (1, 1, 99, 15),
        (1, 0, 99, MISSING),  # never that of the patient before
        (2, 0, 99, MISSING),
    ],
)
def test_the_last_look_before_a_day(patient, place, day, last):
    assert looks_at(*LOOKS).last_before(*arrays([patient], [place], [day])).tolist() == [last]


def test_without_looks_nothing_was_seen_and_nothing_will_be():
    none = Looks.of(*arrays([], [], []))
    assert len(none) == 0
    assert none.still_to_come(*arrays([0], [5])).tolist() == [0]
    assert none.last_before(*arrays([0], [1], [5])).tolist() == [MISSING]


def test_looks_within_follow_up_are_those_after_entry_to_exit_at_vertebrae_at_risk():
    within = looks_at(*LOOKS).within(*arrays([10, 0], [30, 14], [0b101, 0b111]))
    assert list(zip(within.patient, within.day, within.mask, strict=True)) == [(0, 20, 0b100), (0, 30, 0b001)]


# ---------------- washout: broken already when observation began


def washed(cohort_of, days, found, *, augmentations=L1, patients=ONE, kept="yes"):
    sightings = "patient_id | date | level | counted | kept" + "".join(f"\n a | {one} | no | {kept}" for one in found)
    study = StudyDefinition().with_("at_risk", washout_days=days)
    return cohort_of(patients=patients, augmentations=augmentations, sightings=sightings, study=study)


@pytest.mark.parametrize(
    ("washout", "found", "left_out"),
    [
        (0, "-1", False),
        (30, "-29", True),
        (30, "-30", False),  # entry - washout < s
        (30, "0", True),  # s <= entry
        (1, "0", True),
        (1, "-1", False),
    ],
)
def test_a_vertebra_seen_broken_within_the_washout_is_prevalent(cohort_of, washout, found, left_out):
    # Healing takes no vertebra off risk here: only its washout does.
    case = washed(cohort_of, washout, [f"{found} | L3"])
    case = replace(case, study=case.study.with_("relation", healing_days=0))
    levels = set(case.vertebrae("remote")["level"])
    assert ("L3" not in levels) == left_out
    assert {"L4", "L5", "T6"} <= levels


def test_the_days_are_counted_from_entry_not_from_treatment(cohort_of):
    late = "patient_id | follow_up_end | enrolled_on\n a | 300 | 150"
    assert "L3" not in set(washed(cohort_of, 30, ["121 | L3"], patients=late).vertebrae("remote")["level"])
    assert "L3" in set(washed(cohort_of, 30, ["120 | L3"], patients=late).vertebrae("remote")["level"])


@pytest.mark.parametrize(("treated", "stays"), [("-2", True), ("0", True)])
def test_a_vertebra_augmented_since_is_not_prevalent(cohort_of, treated, stays):
    augmentations = f"patient_id | date | level\n a | {treated} | L1\n a | 0 | T8"
    case = washed(cohort_of, 30, ["-2 | L1"], augmentations=augmentations)
    assert ("L1" in set(case.vertebrae("treated")["level"])) == stays


def test_a_sighting_that_was_not_kept_makes_nothing_prevalent(cohort_of):
    case = washed(cohort_of, 30, ["-5 | L3"], kept="no")
    assert "L3" in set(case.vertebrae("remote")["level"])


def test_the_washout_narrows_rows_and_never_person_time(cohort_of):
    with_, without = (washed(cohort_of, days, ["-5 | L3"]) for days in (30, 0))
    assert with_.days() == without.days()
    assert len(with_.vertebrae("remote")) == len(without.vertebrae("remote")) - 1
    assert outcome(with_.first_events("composite")) == outcome(without.first_events("composite"))


def test_a_fracture_of_another_patient_washes_nobody_out(cohort_of):
    both = "patient_id | follow_up_end\n a | 100\n b | 100"
    case = washed(cohort_of, 30, ["-5 | L3"], patients=both, augmentations=L1 + "\n b | 0 | L1")
    rows = case.vertebrae("remote")
    assert rows.loc[rows["level"] == "L3", "patient_id"].unique().tolist() == ["b"]
