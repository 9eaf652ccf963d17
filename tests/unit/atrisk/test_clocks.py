"""Several procedures: a new clock at each, of a patient or of one treated vertebra, and what changes on one clock."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "reference"))
from random_registry import random_registry

from cohort import atrisk
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.tables.results import Registry

DAY_0 = pd.Timestamp("2020-01-01")
ENDPOINTS = ("same", "adjacent", "remote", "retreated", "composite")
TWICE = """
    augmentation_id | patient_id | date | level
    k               | a          | 10   | L1
    m               | a          | 50   | L3"""


def one(cohort_of, *, patient="end | 110", augmentations=TWICE, study=None, **tables):
    """One patient, a; `patient` as pairs of column and value."""
    pairs = [item.split("|") for item in patient.split(",")]
    names = [{"end": "follow_up_end"}.get(name.strip(), name.strip()) for name, _ in pairs]
    values = [value.strip() for _, value in pairs]
    patients = f"patient_id | {' | '.join(names)}\n a | {' | '.join(values)}"
    return cohort_of(patients=patients, augmentations=augmentations, study=study, **tables)


def seen(*found, **columns):
    """Sightings of patient a, as 'day level', each with the same further columns."""
    head = " | ".join(["patient_id", "date", "level", *columns])
    rows = [" | ".join(["a", *sighting.split(), *columns.values()]) for sighting in found]
    return "\n".join([head, *rows])


def by_procedure(case, endpoint="adjacent", **options):
    return atrisk.procedure_rows(
        case.tables, case.sightings, case.augmentations, case.study, endpoint=endpoint, **options
    )


def by_vertebra(case, **options):
    return atrisk.treated_vertebra_rows(case.tables, case.sightings, case.augmentations, case.study, **options)


def changing(case, endpoint="adjacent"):
    return atrisk.changing_rows(case.tables, case.sightings, case.augmentations, case.study, endpoint=endpoint)


def clocks(process):
    """(procedure, day it began, entry, exit, cause by name) of every procedure; days on its own clock."""
    names = ("none", *process.causes)
    rows = process.frame
    began = (rows["origin_date"] - DAY_0).dt.days
    cause = [names[code] for code in rows["cause"]]
    return list(zip(rows["procedure"], began, rows["entry"], rows["exit"], cause, strict=True))


def units(process):
    """(augmentation, entry, exit, cause by name) of treated vertebrae; rows that touch without an event joined."""
    names = ("none", *process.causes)
    joined = []
    for row in process.frame.itertuples():
        new = (row.augmentation_id, row.entry, row.exit, names[row.cause])
        if joined and joined[-1][0] == new[0] and joined[-1][2] == new[1]:
            joined[-1] = (new[0], joined[-1][1], *new[2:])
        else:
            joined.append(new)
    return joined


# ---------------- every procedure a clock of its own


def test_every_procedure_starts_a_clock_that_the_next_one_ends(cohort_of):
    process = by_procedure(one(cohort_of))
    assert clocks(process) == [(1, 10, 0, 40, "none"), (2, 50, 0, 60, "none")]
    assert (process.unit, process.causes, process.origin) == (
        "procedure", ("adjacent", "death"), "the procedure (C1-L6)",
    )  # fmt: skip
    assert process.frame["cluster"].tolist() == [0, 0]
    assert process.frame["id"].is_unique
    assert process.frame.columns.tolist() == [
        "id", "cluster", "patient_id", "entry", "exit", "cause", "weight", "stratum", "lower", "origin_date",
        "procedure", "n_levels",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # The treated set of a fracture found on day 50 is that of the sessions before the day.
        (["50 L2"], [(1, 10, 0, 40, "adjacent"), (2, 50, 0, 60, "none")]),
        (["51 L2"], [(1, 10, 0, 40, "none"), (2, 50, 0, 1, "adjacent")]),
        (["110 L2"], [(1, 10, 0, 40, "none"), (2, 50, 0, 60, "adjacent")]),
        (["30 L2", "60 T12"], [(1, 10, 0, 20, "adjacent"), (2, 50, 0, 10, "adjacent")]),
        (["40 T12", "30 L2"], [(1, 10, 0, 20, "adjacent"), (2, 50, 0, 60, "none")]),
    ],
)
def test_an_event_belongs_to_the_clock_of_the_latest_procedure_before_its_day(cohort_of, found, expected):
    assert clocks(by_procedure(one(cohort_of, sightings=seen(*found)))) == expected


def test_levels_are_those_treated_on_that_day(cohort_of):
    augmentations = """
        patient_id | date | level
        a          | 10   | L1
        a          | 10   | T12
        a          | 50   | L3
        a          | 50   | S1"""
    frame = by_procedure(one(cohort_of, augmentations=augmentations)).frame
    assert frame["n_levels"].tolist() == [2, 1]


@pytest.mark.parametrize("sacrum", [5, 50])
def test_a_procedure_of_the_sacrum_alone_begins_no_clock_and_ends_none(cohort_of, sacrum):
    augmentations = f"""
        patient_id | date     | level
        a          | 10       | L1
        a          | {sacrum} | S1"""
    assert clocks(by_procedure(one(cohort_of, augmentations=augmentations))) == [(1, 10, 0, 100, "none")]


@pytest.mark.parametrize(
    ("second", "merge", "expected"),
    [
        ("L3 | 10", False, [(1, 10, 0, 10, "none"), (2, 20, 0, 90, "none")]),
        ("L3 | 10", True, [(1, 10, 0, 100, "none")]),
        ("L3 |   ", True, [(1, 10, 0, 10, "none"), (2, 20, 0, 90, "none")]),
    ],
)
def test_a_session_that_only_finishes_what_an_earlier_one_began_may_be_merged(cohort_of, second, merge, expected):
    augmentations = f"""
        patient_id | date | level | staged_from
        a          | 10   | L1    |
        a          | 20   | {second}"""
    case = one(cohort_of, augmentations=augmentations)
    assert clocks(by_procedure(case, merge_staged=merge)) == expected


@pytest.mark.parametrize(("other", "n_clocks"), [("T6 |", 2), ("T6 | 10", 1), ("S1 |", 1)])
def test_a_session_is_merged_only_when_every_level_of_it_is_staged_the_sacrum_aside(cohort_of, other, n_clocks):
    augmentations = f"""
        patient_id | date | level | staged_from
        a          | 10   | L1    |
        a          | 20   | L3    | 10
        a          | 20   | {other}"""
    case = one(cohort_of, augmentations=augmentations)
    assert len(by_procedure(case, merge_staged=True).frame) == n_clocks


def test_an_event_after_a_merged_session_belongs_to_the_clock_before_it(cohort_of):
    augmentations = """
        patient_id | date | level | staged_from
        a          | 10   | L1    |
        a          | 20   | L3    | 10"""
    case = one(cohort_of, augmentations=augmentations, sightings=seen("60 L4"))
    assert clocks(by_procedure(case, merge_staged=True)) == [(1, 10, 0, 50, "adjacent")]
    assert clocks(by_procedure(case)) == [(1, 10, 0, 10, "none"), (2, 20, 0, 40, "adjacent")]


def test_the_first_clock_alone_still_ends_at_the_next_procedure(cohort_of):
    case = one(cohort_of, sightings=seen("60 L2"))
    assert clocks(by_procedure(case, first_only=True)) == [(1, 10, 0, 40, "none")]


BEFORE = """
    augmentation_id | patient_id | date | date_precision | level
    b               | a          |      | before_index   | L1
    m               | a          | 50   |                | L3"""


def test_a_patient_treated_before_the_registry_has_clocks_from_dated_procedures_only(cohort_of):
    case = one(cohort_of, patient="end | 110, enrolled_on | 0", augmentations=BEFORE, sightings=seen("20 L2", "70 L4"))
    # Nobody knows how long L1 had been treated on day 20: that refracture belongs to no clock.
    assert clocks(by_procedure(case)) == [(1, 50, 0, 20, "adjacent")]
    assert clocks(by_procedure(case, first_only=True)) == []
    assert units(by_vertebra(case)) == [("m", 0, 60, "none")]


@pytest.mark.parametrize(
    ("enrolled", "expected"),
    [
        (30, [(1, 10, 20, 40, "none"), (2, 50, 0, 60, "none")]),
        (50, [(2, 50, 0, 60, "none")]),
        (60, [(2, 50, 10, 60, "none")]),
    ],
)
def test_a_patient_observed_late_enters_a_running_clock(cohort_of, enrolled, expected):
    case = one(cohort_of, patient=f"end | 110, enrolled_on | {enrolled}")
    assert clocks(by_procedure(case)) == expected
    assert clocks(by_procedure(case, first_only=True)) == [row for row in expected if row[0] == 1]


@pytest.mark.parametrize(
    ("enrolled", "early", "endpoint", "left"),
    [
        (30, "25 L2", "adjacent", [2]),
        (30, "30 L2", "adjacent", [2]),
        (30, "25 L2", "composite", [2]),
        (30, "25 L2", "remote", [1, 2]),
        (60, "55 L2", "adjacent", []),
        (60, "25 L2", "adjacent", [2]),  # in the clock before, whatever it was
        (60, "50 L2", "adjacent", [2]),  # found on the day of the second procedure
    ],
)
def test_a_procedure_with_a_refracture_in_its_clock_but_on_or_before_entry_is_left_out(
    cohort_of, enrolled, early, endpoint, left
):
    case = one(cohort_of, patient=f"end | 110, enrolled_on | {enrolled}", sightings=seen(early, counted="no"))
    assert [row[0] for row in clocks(by_procedure(case, endpoint))] == left


def test_an_early_sighting_that_could_not_have_counted_leaves_nothing_out(cohort_of):
    late = "end | 110, enrolled_on | 30"
    excluded = """
        patient_id | level | from | to
        a          | L2    | 20   | 27"""
    case = one(cohort_of, patient=late, sightings=seen("25 L2", counted="no"), excluded_levels=excluded)
    assert [row[0] for row in clocks(by_procedure(case))] == [1, 2]
    case = one(cohort_of, patient=late, sightings=seen("28 L2", counted="no"), excluded_levels=excluded)
    assert [row[0] for row in clocks(by_procedure(case))] == [2]
    # L1 heals to day 115 and is followed on.
    long, of_l1 = late.replace("110", "200"), excluded.replace("L2", "L1")
    case = one(cohort_of, patient=long, sightings=seen("25 L1", counted="no"), excluded_levels=of_l1)
    assert units(by_vertebra(case)) == [("k", 105, 190, "none"), ("m", 0, 150, "none")]
    case = one(cohort_of, patient=long, sightings=seen("28 L1", counted="no"), excluded_levels=of_l1)
    assert units(by_vertebra(case)) == [("m", 0, 150, "none")]


@pytest.mark.parametrize(
    ("patient", "found", "expected"),
    [
        ("death_date | 60", [], [(1, 10, 0, 40, "none"), (2, 50, 0, 10, "death")]),
        ("death_date | 110", [], [(1, 10, 0, 40, "none"), (2, 50, 0, 60, "death")]),
        ("death_date | 111", [], [(1, 10, 0, 40, "none"), (2, 50, 0, 60, "none")]),
        ("death_date | 60", ["60 L2"], [(1, 10, 0, 40, "none"), (2, 50, 0, 10, "adjacent")]),
        ("death_date | 60", ["59 L2"], [(1, 10, 0, 40, "none"), (2, 50, 0, 9, "adjacent")]),
        ("death_date | 40", [], [(1, 10, 0, 30, "death")]),
    ],
)
def test_death_competes_on_the_day_of_exit_after_an_event_of_that_day(cohort_of, patient, found, expected):
    case = one(cohort_of, patient=f"end | 110, {patient}", sightings=seen(*found) if found else "patient_id")
    assert clocks(by_procedure(case)) == expected


def test_a_late_death_closes_the_last_clock_in_a_sensitivity_run(cohort_of):
    study = StudyDefinition().with_("at_risk", death_closes=True)
    case = one(cohort_of, patient="end | 110, death_date | 130", study=study)
    assert clocks(by_procedure(case)) == [(1, 10, 0, 40, "none"), (2, 50, 0, 80, "death")]


def test_several_relations_on_one_day_are_several_within_one_clock_only(cohort_of):
    process = by_procedure(one(cohort_of, sightings=seen("30 L2", "30 T6", "70 T5")), "composite")
    assert process.causes == ("same", "adjacent", "remote", "several", "death")
    assert clocks(process) == [(1, 10, 0, 20, "several"), (2, 50, 0, 20, "remote")]
    # On day 50 and on day 51, though both are first events: they lie in two clocks.
    apart = by_procedure(one(cohort_of, sightings=seen("50 L2", "51 T6")), "composite")
    assert clocks(apart) == [(1, 10, 0, 40, "adjacent"), (2, 50, 0, 1, "remote")]


AGAIN = """
    augmentation_id | patient_id | date | level | retreats
    k               | a          | 10   | L1    | no
    m               | a          | 50   | L1    | yes"""


def test_a_retreatment_ends_the_clock_of_the_procedure_before_it(cohort_of):
    process = by_procedure(one(cohort_of, augmentations=AGAIN), "retreated")
    assert process.causes == ("retreated", "death")
    assert clocks(process) == [(1, 10, 0, 40, "retreated"), (2, 50, 0, 60, "none")]
    assert process.frame["lower"].iloc[0] == 39  # what is done to a patient is known to the day


def test_a_retreatment_on_or_before_entry_leaves_its_clock_out(cohort_of):
    case = one(cohort_of, augmentations=AGAIN, patient="end | 110, enrolled_on | 60")
    assert clocks(by_procedure(case, "retreated")) == [(2, 50, 10, 60, "none")]


def test_only_the_main_population_is_in(cohort_of):
    case = cohort_of(
        patients="""
            patient_id | follow_up_end | incomplete
            usual      | 100           |
            tumour     | 100           |
            rejected   | 100           | yes
            short      | 0             | """,
        augmentations="""
            patient_id | date | level | indication
            usual      | 0    | L1    |
            tumour     | 0    | L1    | tumour
            tumour     | 50   | L3    |
            rejected   | 0    | L1    |
            short      | 0    | L1    |""",
    )
    assert by_procedure(case).frame["patient_id"].tolist() == ["usual"]
    assert by_vertebra(case).frame["patient_id"].unique().tolist() == ["usual"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_empty_registry_has_no_clocks(cohort_of, endpoint):
    case = cohort_of(patients="patient_id")
    assert len(by_procedure(case, endpoint).frame) == len(changing(case, endpoint).frame) == 0


def test_an_endpoint_nobody_defined_is_refused(cohort_of):
    with pytest.raises(DefinitionError, match="'sideways' is no endpoint"):
        by_procedure(one(cohort_of), "sideways")


# ---------------- when it broke: the event lies in (lower, exit]


# L1 is treated on day 10 and L2 found broken on day 60; `lower` is in days since treatment.
WHEN_IT_BROKE = """
    patient          | clear | study         | film   | lower | why
                     |       |               |        | 0     | nothing else is known: after entry
    enrolled_on | 30 |       |               |        | 20    | after the day observation starts
                     | 40    |               |        | 30    | the sighting's own last clear film
                     |       | 45 T10 L5     |        | 35    | a study that showed the level
                     |       | 45 T10 L1     |        | 0     | a study that did not show it
                     |       | 45            |        | 0     | a study that does not say what it showed
                     |       |               | 50 L2  | 40    | a measurement of the level
                     |       |               | 50 L3  | 0     | a measurement of another level
                     | 40    | 45 T10 L5     | 50 L2  | 40    | the latest of all
                     | 40    |               | 30 L2  | 30    | the latest of all
                     |       | 60 T10 L5     | 60 L2  | 0     | what the day itself shows is the fracture
                     | 5     | 5 T10 L5      | 5 L2   | 0     | nothing before the unit's own entry
"""


def broke(text):
    lines = [[cell.strip() for cell in line.rsplit(" |", 5)] for line in text.strip().splitlines()[1:]]
    return [pytest.param(*cells[:4], int(cells[4]), id=cells[5]) for cells in lines]


@pytest.mark.parametrize(("patient", "clear", "study", "film", "lower"), broke(WHEN_IT_BROKE))
def test_an_event_lies_after_the_last_day_that_showed_the_level_unbroken(cohort_of, patient, clear, study, film, lower):
    def table(head, values):
        return f"patient_id | {head}\n a | {' | '.join((values.split() + [''] * 2)[: head.count('|') + 1])}"

    case = one(
        cohort_of,
        patient=f"end | 110, {patient}".rstrip(", "),
        augmentations="""
            augmentation_id | patient_id | date | level
            k               | a          | 10   | L1""",
        sightings=seen("60 L2", last_clear_date=clear),
        imaging_studies=table("date | first_level | last_level", study) if study else "patient_id",
        imaging=table("date | level", film) if film else "patient_id",
    )
    assert by_procedure(case).frame["lower"].tolist() == [lower]
    assert case.first_events("adjacent").frame["lower"].tolist() == [lower]


def test_the_film_that_judged_a_sighting_showed_it_broken_and_one_that_met_no_cell_did_not(cohort_of):
    film = "patient_id | date | level\n a | 55 | L1"
    judged = seen("60 L1", film_date="55", judged_cell="loss, worse")
    unjudged = seen("60 L1", film_date="55")
    case = one(cohort_of, augmentations=AGAIN.replace("50", "900"), sightings=judged, imaging=film)
    assert by_vertebra(case).frame["lower"].tolist() == [0]
    case = one(cohort_of, augmentations=AGAIN.replace("50", "900"), sightings=unjudged, imaging=film)
    assert by_vertebra(case).frame["lower"].tolist() == [45]


def test_of_several_sightings_on_the_day_the_earliest_lower_gives_it(cohort_of):
    sightings = """
        patient_id | date | level | last_clear_date
        a          | 40   | L2    | 35
        a          | 40   | T12   | 20
        a          | 45   | T11   | """
    assert by_procedure(one(cohort_of, sightings=sightings)).frame["lower"].dropna().tolist() == [10]


def test_nothing_before_the_procedure_bounds_an_event_of_its_clock(cohort_of):
    case = one(cohort_of, sightings=seen("60 L2", last_clear_date="45"))
    assert by_procedure(case).frame["lower"].iloc[1] == 0
    assert case.first_events("adjacent").frame["lower"].tolist() == [35]


def test_rows_without_an_event_have_no_lower(cohort_of):
    frame = by_procedure(one(cohort_of, patient="end | 110, death_date | 60")).frame
    assert frame["lower"].isna().all()


# ---------------- every treated vertebra a clock of its own


def test_every_vertebra_treated_for_fracture_has_the_clock_of_its_augmentation(cohort_of):
    process = by_vertebra(one(cohort_of))
    assert units(process) == [("k", 0, 100, "none"), ("m", 0, 60, "none")]
    assert (process.unit, process.causes, process.origin) == (
        "treated vertebra", ("same", "death"), "its own augmentation",
    )  # fmt: skip
    assert process.frame.columns.tolist()[:11] == [
        "id", "cluster", "entry", "exit", "cause", "weight", "stratum", "lower", "origin_date", "patient_id",
        "augmentation_id",
    ]  # fmt: skip


def test_its_rows_are_split_where_the_treated_set_or_a_drug_changes(cohort_of):
    augmentations = """
        augmentation_id | patient_id | date | level | cleft_before
        k               | a          | 10   | L1    | yes
        m               | a          | 50   | L2    | no"""
    drugs = """
        patient_id | drug        | start | stop
        a          | alendronate | 30    | 70"""
    frame = by_vertebra(one(cohort_of, augmentations=augmentations, medications=drugs)).frame
    own = frame[frame["augmentation_id"] == "k"]
    assert list(zip(own["entry"], own["exit"], own["n_treated_neighbours"], own["anti_osteoporotic"], strict=True)) == [
        (0, 20, 0, 0),
        (20, 40, 0, 1),
        (40, 60, 1, 1),
        (60, 100, 1, 0),
    ]
    assert set(own["cleft"]) == {"yes"}  # its own, whatever the neighbour had


def test_it_ends_at_its_first_counted_refracture_and_not_at_that_of_another(cohort_of):
    case = one(cohort_of, sightings=seen("60 L1", "70 L2", "105 L3"))
    assert units(by_vertebra(case)) == [("k", 0, 50, "same"), ("m", 0, 55, "same")]


def test_a_split_row_keeps_the_lower_bound_of_its_unit(cohort_of):
    frame = by_vertebra(one(cohort_of, sightings=seen("60 L1"))).frame
    own = frame[frame["augmentation_id"] == "k"]
    assert list(zip(own["entry"], own["exit"], own["cause"], strict=True)) == [(0, 40, 0), (40, 50, 1)]
    assert own["lower"].fillna(-1).tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], [("k", 0, 40, "none"), ("m", 0, 60, "none")]),
        (["50 L1"], [("k", 0, 40, "same"), ("m", 0, 60, "none")]),
        (["51 L1"], [("k", 0, 40, "none"), ("m", 0, 1, "same")]),
        (["30 L1"], [("k", 0, 20, "same"), ("m", 0, 60, "none")]),
        (["30 L1", "60 L1"], [("k", 0, 20, "same"), ("m", 0, 10, "same")]),
    ],
)
def test_a_vertebra_treated_twice_is_two_units_one_after_the_other(cohort_of, found, expected):
    case = one(cohort_of, augmentations=AGAIN, sightings=seen(*found) if found else "patient_id")
    assert units(by_vertebra(case)) == expected


def test_days_off_risk_before_a_staged_treatment_belong_to_neither_unit(cohort_of):
    augmentations = """
        augmentation_id | patient_id | date | level | staged_from
        k               | a          | 10   | L1    |
        m               | a          | 20   | L1    | 10"""
    assert units(by_vertebra(one(cohort_of, augmentations=augmentations))) == [("m", 0, 90, "none")]


def test_days_of_healing_are_cut_out(cohort_of):
    # Its onset is unproven, and the study does not count it: the vertebra is followed on, once healed.
    study = StudyDefinition().with_("at_risk", count_unproven=False).with_("relation", healing_days=30)
    case = one(cohort_of, augmentations=TWICE, sightings=seen("30 L1", onset_unproven="yes"), study=study)
    assert units(by_vertebra(case)) == [("k", 0, 20, "none"), ("k", 50, 100, "none"), ("m", 0, 60, "none")]


@pytest.mark.parametrize(
    ("always", "expected"),
    [
        ("30 | 60", [("k", 0, 20, "none"), ("k", 50, 100, "none")]),
        ("30 |", [("k", 0, 20, "none")]),
        ("   | 30", [("k", 20, 100, "none")]),
        ("   |", []),
    ],
)
def test_days_on_which_the_level_is_excluded_are_cut_out(cohort_of, always, expected):
    excluded = f"""
        patient_id | level | from | to
        a          | L1    | {always}"""
    got = units(by_vertebra(one(cohort_of, excluded_levels=excluded)))
    assert [row for row in got if row[0] == "k"] == expected


@pytest.mark.parametrize("level", ["T3", "S1"])
def test_a_level_outside_the_range_at_risk_is_no_unit(cohort_of, level):
    augmentations = TWICE.replace("L3", level)
    assert units(by_vertebra(one(cohort_of, augmentations=augmentations))) == [("k", 0, 100, "none")]


MIXED = """
    augmentation_id | patient_id | date | level | indication
    k               | a          | 10   | L1    |
    p               | a          | 10   | T8    | prophylactic
    t               | a          | 50   | L3    | tumour
    n               | a          | 60   | L1    | prophylactic"""


@pytest.mark.parametrize(
    ("indication", "expected"),
    [
        ("fracture", [("k", 0, 30, "same")]),
        ("prophylactic", [("p", 0, 20, "same"), ("n", 0, 40, "same")]),
        ("tumour", [("t", 0, 60, "none")]),
    ],
)
def test_a_unit_belongs_to_the_indication_of_its_own_augmentation(cohort_of, indication, expected):
    case = one(cohort_of, augmentations=MIXED, sightings=seen("40 L1", "30 T8", "100 L1"))
    assert units(by_vertebra(case, indication=indication)) == expected


def test_an_indication_nobody_defined_is_refused(cohort_of):
    with pytest.raises(DefinitionError, match="'pain' is no indication; write one of fracture, prophylactic, tumour"):
        by_vertebra(one(cohort_of), indication="pain")


@pytest.mark.parametrize(
    ("death", "found", "expected"),
    [
        (60, [], [("k", 0, 50, "death"), ("m", 0, 10, "death")]),
        (110, [], [("k", 0, 100, "death"), ("m", 0, 60, "death")]),
        (111, [], [("k", 0, 100, "none"), ("m", 0, 60, "none")]),
        (60, ["60 L1"], [("k", 0, 50, "same"), ("m", 0, 10, "death")]),
        (60, ["40 L1"], [("k", 0, 30, "same"), ("m", 0, 10, "death")]),
    ],
)
def test_death_competes_in_every_vertebra_and_once(cohort_of, death, found, expected):
    sightings = seen(*found) if found else "patient_id"
    process = by_vertebra(one(cohort_of, patient=f"end | 110, death_date | {death}", sightings=sightings))
    assert units(process) == expected
    assert process.frame.groupby("id")["cause"].apply(lambda cause: (cause > 0).sum()).max() <= 1


def test_a_death_on_a_day_off_risk_ends_nothing(cohort_of):
    excluded = """
        patient_id | level | from | to
        a          | L1    | 40   | 200"""
    case = one(cohort_of, patient="end | 110, death_date | 60", excluded_levels=excluded)
    assert units(by_vertebra(case)) == [("k", 0, 30, "none"), ("m", 0, 10, "death")]


def test_a_vertebra_that_broke_again_before_observation_is_left_out_until_treated_anew(cohort_of):
    late = "end | 110, enrolled_on | 60"
    assert units(by_vertebra(one(cohort_of, patient=late))) == [("k", 50, 100, "none"), ("m", 10, 60, "none")]
    early = one(cohort_of, patient=late, sightings=seen("40 L1", counted="no"))
    assert units(by_vertebra(early)) == [("m", 10, 60, "none")]
    # The second treatment of L1 begins a unit of its own.
    again = one(cohort_of, patient=late, augmentations=AGAIN, sightings=seen("40 L1", counted="no"))
    assert units(by_vertebra(again)) == [("m", 10, 60, "none")]
    after = one(cohort_of, patient=late, augmentations=AGAIN, sightings=seen("55 L1", counted="no"))
    assert units(by_vertebra(after)) == []


def test_an_event_of_a_late_entrant_lies_after_entry(cohort_of):
    case = one(cohort_of, patient="end | 110, enrolled_on | 60", sightings=seen("70 L1"))
    frame = by_vertebra(case).frame
    assert frame.loc[frame["cause"] == 1, ["entry", "exit", "lower"]].to_numpy().tolist() == [[50, 60, 50]]


@pytest.mark.parametrize("indication", ["fracture", "prophylactic", "tumour"])
def test_without_treated_vertebrae_there_are_no_units(cohort_of, indication):
    for case in (cohort_of(patients="patient_id"), cohort_of(patients="patient_id | follow_up_end\n a | 100")):
        assert len(by_vertebra(case, indication=indication).frame) == 0


# ---------------- one clock per patient with what changes on it


def changes(case, *columns, endpoint="adjacent"):
    frame = changing(case, endpoint).frame
    return list(frame[["entry", "exit", *columns]].astype(object).itertuples(index=False, name=None))


def test_a_second_procedure_counts_from_the_day_after_it(cohort_of):
    assert changes(one(cohort_of), "n_levels", "n_procedures", "cause") == [(0, 40, 1, 1, 0), (40, 100, 2, 2, 0)]


def test_a_level_treated_again_is_one_level_and_two_procedures(cohort_of):
    case = one(cohort_of, augmentations=AGAIN)
    assert changes(case, "n_levels", "n_procedures") == [(0, 40, 1, 1), (40, 100, 1, 2)]


def test_on_the_day_of_a_procedure_nothing_has_changed_yet(cohort_of):
    case = one(cohort_of, sightings=seen("50 L2"))
    assert changes(case, "n_levels", "n_procedures", "cause") == [(0, 40, 1, 1, 1)]
    case = one(cohort_of, sightings=seen("51 L2"))
    assert changes(case, "n_levels", "n_procedures", "cause") == [(0, 40, 1, 1, 0), (40, 41, 2, 2, 1)]


def test_a_drug_counts_from_the_day_after_its_start_to_its_stop(cohort_of):
    drugs = """
        patient_id | drug        | start | stop
        a          | alendronate | 30    | 60
        a          | prednisone  | 60    | 80"""
    case = one(cohort_of, medications=drugs, augmentations="patient_id | date | level\n a | 10 | L1")
    assert changes(case, "anti_osteoporotic", "corticosteroids") == [
        (0, 20, 0, 0),
        (20, 50, 1, 0),
        (50, 70, 0, 1),
        (70, 100, 0, 0),
    ]


def test_without_any_medication_recorded_nothing_is_known_of_it(cohort_of):
    assert changing(one(cohort_of)).frame["anti_osteoporotic"].isna().all()


def test_findings_are_the_worst_so_far(cohort_of):
    augmentations = """
        patient_id | date | level | cleft_before | leak
        a          | 10   | L1    | no           | disc
        a          | 50   | L3    | yes          | none
        a          | 80   | L4    | no           | none"""
    assert changes(one(cohort_of, augmentations=augmentations), "cleft", "leak") == [
        (0, 40, "no", "yes"),
        (40, 70, "yes", "yes"),
        (70, 100, "yes", "yes"),
    ]


def test_what_was_treated_before_a_late_entry_counts_from_the_first_row(cohort_of):
    case = one(cohort_of, patient="end | 110, enrolled_on | 60")
    assert changes(case, "n_levels", "n_procedures") == [(50, 100, 2, 2)]


def test_the_event_and_its_lower_stay_with_the_last_piece(cohort_of):
    case = one(cohort_of, sightings=seen("60 T12", last_clear_date="30"))
    frame = changing(case).frame
    assert frame["cause"].tolist() == [0, 1]
    assert frame["lower"].fillna(-1).tolist() == [-1, 20]  # before the row begins: it may have broken in the row before


# ---------------- what must hold for any cohort


@pytest.fixture(scope="module", params=range(5))
def cohort(request):
    return prepare(Registry.of(random_registry(40, 300 + request.param)))


def days(frame):
    return frame["exit"] - frame["entry"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_changing_rows_add_up_to_the_undivided_ones(cohort, endpoint):
    whole = atrisk.first_event_rows(*cohort.stages, endpoint=endpoint).frame.set_index("id")
    parts = atrisk.changing_rows(*cohort.stages, endpoint=endpoint).frame
    assert (days(parts) > 0).all()
    of_unit = parts.assign(days=days(parts)).groupby("id", sort=False)
    summed = of_unit.agg({"entry": "min", "exit": "max", "cause": "sum", "lower": "max", "days": "sum"})
    pd.testing.assert_frame_equal(
        summed.drop(columns="days"), whole[["entry", "exit", "cause", "lower"]], check_dtype=False
    )
    assert (summed["days"] == days(whole)).all()


def test_without_events_the_clocks_of_a_patient_fill_the_follow_up_after_the_first_procedure(cohort):
    time = cohort.follow_up
    quiet = atrisk.procedure_rows(
        cohort.tables, cohort.sightings.iloc[:0], cohort.augmentations, cohort.study, endpoint="composite"
    ).frame
    treated = cohort.augmentations[
        cohort.augmentations["level"].ne("S1") & cohort.augmentations["date_precision"].ne("before_index")
    ]
    first = time["patient_id"].map(treated.groupby("patient_id")["date"].min())
    start = time["entry"].where(time["entry"] > first, first)
    filled = (time["exit"] - start).dt.days.where(time["in_main"]).clip(lower=0)
    filled = filled[filled > 0].set_axis(time.loc[filled > 0, "patient_id"])
    got = days(quiet).groupby(quiet["patient_id"]).sum()
    assert got.to_dict() == filled.to_dict()


@pytest.mark.parametrize("endpoint", ["same", "adjacent", "remote", "composite"])
def test_the_first_event_of_a_patient_is_the_first_of_some_clock(cohort, endpoint):
    """Left out clocks aside, no clock has an event before the patient's first one, and the first one ends a clock."""
    whole = atrisk.first_event_rows(*cohort.stages, endpoint=endpoint).frame
    parts = atrisk.procedure_rows(*cohort.stages, endpoint=endpoint).frame
    n_causes = 5 if endpoint == "composite" else 2
    told = []
    for frame in (whole, parts):
        frame = frame[(frame["cause"] > 0) & (frame["cause"] < n_causes)]  # not death
        told.append(
            (frame["origin_date"] + pd.to_timedelta(frame["exit"], unit="D")).groupby(frame["patient_id"]).min()
        )
    patients, clock = told
    both = parts[parts["patient_id"].isin(whole["patient_id"])]["patient_id"].unique()
    clock = clock[clock.index.isin(both)]
    assert clock.to_dict() == patients.to_dict()


def test_merging_staged_sessions_makes_clocks_fewer_and_longer(cohort):
    rows = {
        merge: atrisk.procedure_rows(*cohort.stages, endpoint="retreated", merge_staged=merge).frame
        for merge in (False, True)
    }
    assert len(rows[True]) <= len(rows[False])
    assert (days(rows[True]) > 0).all()


@pytest.mark.parametrize("indication", ["fracture", "prophylactic", "tumour"])
def test_units_of_treated_vertebrae_add_up_to_the_time_in_that_role_where_nothing_breaks_again(cohort, indication):
    role = {"fracture": "treated", "prophylactic": "treated_prophylactic", "tumour": "treated_tumour"}[indication]
    quiet = replace(cohort, sightings=cohort.sightings.iloc[:0])
    known = (cohort.follow_up["in_main"] & cohort.follow_up["origin"].notna()).to_numpy()
    time = atrisk.person_time(*quiet.stages, only=known)
    rows = atrisk.treated_vertebra_rows(*quiet.stages, indication=indication).frame
    rows = rows[rows["patient_id"].isin(cohort.follow_up.loc[known, "patient_id"])]
    by_level = days(rows).groupby(rows["level"].astype(str)).sum().to_dict()
    time = time[time["role"] == role].assign(level=lambda t: t["level"].astype(str))
    assert by_level == time.set_index("level")["vertebra_days"].to_dict()


def test_no_treated_vertebra_has_two_events_or_rows_that_overlap(cohort):
    rows = atrisk.treated_vertebra_rows(*cohort.stages).frame
    assert rows.groupby("id")["cause"].apply(lambda cause: (cause > 0).sum()).max() <= 1
    following = rows["id"].to_numpy()[1:] == rows["id"].to_numpy()[:-1]
    assert following.sum() == len(rows) - rows["id"].nunique()
    assert (rows["entry"].to_numpy()[1:][following] >= rows["exit"].to_numpy()[:-1][following]).all()
    broken = rows[rows["cause"] == 1]
    assert (broken["lower"] < broken["exit"]).all()
