"""The slow reference beyond the nearest treated vertebra, and its rows for models, held against cohorts worked out by
hand from the rules.

As in `test_slow.py`: days are counted from 1 January 2020 (day 0), and unless a case says otherwise the patient has
12 thoracic and 5 lumbar vertebrae and is followed to day 300.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest
import slow
from random_registry import canonical, random_registry
from slow_beyond import beyond, exposure_on, relations
from slow_relation import Patient, patients_of
from slow_rows import (
    age_on,
    patient_rows,
    person_time,
    policies,
    procedure_rows,
    treated_vertebra_rows,
    vertebra_days,
)
from test_slow import STUDY, Row, aug, cohort, film, on, seen

from cohort.domain.study import StudyDefinition

Tables = dict[str, pd.DataFrame]
LAST_LOOK = STUDY.with_("at_risk", exit_at="last_imaging")


def values(frame: pd.DataFrame, *columns: str) -> list[tuple]:
    """Every row as a tuple, None for empty numbers."""
    chosen = frame[list(columns)].astype(object)
    return list(chosen.where(chosen.notna(), None).itertuples(index=False, name=None))


def cascades(tables: Tables, study: StudyDefinition = STUDY) -> dict[str, tuple]:
    frame = beyond(tables, study)
    columns = ("fracture_id", "cascade_of", "cascade_days", "cascade_length")
    return {id: rest for id, *rest in map(list, values(frame, *columns))}


def on_day(tables: Tables, level: str, day: int, study: StudyDefinition = STUDY) -> Row:
    return exposure_on(the_patient(tables, study), level, on(day))


def the_patient(tables: Tables, study: StudyDefinition = STUDY) -> Patient:
    (patient,) = patients_of(tables, study)
    return patient


def rows(frame: pd.DataFrame) -> list[tuple]:
    return values(frame, "entry", "exit", "cause", "lower")


def with_studies(tables: Tables, *studies: tuple[int, str | None, str | None]) -> Tables:
    """Imaging studies: day, first and last level shown."""
    made = [
        {"patient_id": "p", "date": on(day), "first_level": first, "last_level": last} for day, first, last in studies
    ]
    return {**tables, "imaging_studies": canonical("imaging_studies", made)}


# ---------------- signed distance


def test_a_fracture_above_its_augmentation_has_a_positive_distance_and_one_below_a_negative():
    tables = cohort(
        [aug("a12", "T12", 0), aug("a2", "L2", 0)],
        [seen("f1", "L1", 10), seen("f2", "L4", 11), seen("f3", "T10", 12), seen("f4", "T12", 13), seen("f5", "L5", 0)],
    )
    assert values(beyond(tables, STUDY), "fracture_id", "signed_distance", "n_treated") == [
        ("f5", None, None),  # of the day of treatment: before it
        ("f1", 1, 2),  # as near to both, attributed to the more caudal, L2
        ("f2", -2, 2),
        ("f3", 2, 2),
        ("f4", 0, 2),
    ]


def test_a_level_augmented_twice_is_one_treated_level():
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L1", 50, "tumour"), aug("a3", "S1", None)], [seen("f", "T12", 60)])
    assert values(beyond(tables, STUDY), "n_treated") == [(2,)]


# ---------------- cascades


def test_a_fracture_follows_one_of_a_neighbour_up_to_ninety_days_before():
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "T12", 10), seen("f2", "T11", 100), seen("f3", "T10", 191)])
    assert cascades(tables) == {"f1": ["", None, 1], "f2": ["f1", 90, 2], "f3": ["", None, 1]}
    assert cascades(tables, STUDY.with_("relation", cascade_days=89))["f2"] == ["", None, 1]
    assert cascades(tables, STUDY.with_("relation", cascade_days=91))["f3"] == ["f2", 91, 3]


def test_of_several_a_fracture_follows_the_latest_and_of_two_on_one_day_the_more_caudal():
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "L1", 10), seen("f3", "L3", 9), seen("f2", "L2", 20)])
    assert cascades(tables)["f2"] == ["f1", 10, 2]
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "L1", 10), seen("f3", "L3", 10), seen("f2", "L2", 20)])
    assert cascades(tables)["f2"] == ["f3", 10, 2]


def test_two_found_on_one_day_are_simultaneous():
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "T9", 10), seen("f2", "T10", 10), seen("f3", "T11", 20)])
    assert cascades(tables) == {"f1": ["", None, 1], "f2": ["", None, 1], "f3": ["f2", 10, 2]}


def test_a_cascade_may_begin_before_treatment_and_run_through_an_implied_fracture():
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L2", 40)], [seen("f1", "L1", -20), seen("f3", "L3", 60)])
    assert cascades(tables) == {"f1": ["", None, 1], "implied:a2": ["f1", 60, 2], "f3": ["implied:a2", 20, 3]}


def test_what_is_not_kept_neither_follows_nor_is_followed():
    tables = cohort(
        [aug("a", "L1", 0)],
        [
            seen("f1", "T12", 10),
            seen("f2", "T12", 80),  # a repeat
            seen("o", "T11", 20, "old"),
            seen("s", "L1", 30, "settling"),
            seen("f3", "L2", 40),
            seen("f4", "T11", 130, "new"),  # 120 days after f1, 50 after its repeat
        ],
    )
    empty = ["", None, None]
    assert cascades(tables) == {
        "f1": ["", None, 1], "f2": empty, "o": empty, "s": empty, "f3": ["", None, 1], "f4": ["", None, 1],
    }  # fmt: skip


@pytest.mark.parametrize(("spine", "follows"), [({}, "f1"), ({"n_thoracic": 13}, ""), ({"n_thoracic": 11}, "f1")])
def test_neighbours_in_a_cascade_follow_the_patients_own_row(spine, follows):
    above = "T11" if spine.get("n_thoracic") == 11 else "T12"
    tables = cohort([aug("a", "L4", 0)], [seen("f1", above, 10), seen("f2", "L1", 20)], **spine)
    assert cascades(tables)["f2"][0] == follows


# ---------------- every earlier augmentation


def test_a_level_augmented_twice_has_two_rows_and_the_later_supersedes_the_earlier():
    tables = cohort(
        [aug("a1", "L1", 0), aug("a3", "L3", 20, "prophylactic"), aug("a2", "L1", 50), aug("a4", "L2", 60)],
        [seen("f", "L2", 60)],
    )
    columns = ("augmentation_id", "relation", "signed_distance", "days_since", "superseded", "attributed")
    assert values(relations(tables, STUDY)[lambda frame: frame["fracture_id"] == "f"], *columns) == [
        ("a1", "adjacent", -1, 60, "yes", "no"),
        ("a3", "adjacent", 1, 40, "no", "no"),
        ("a2", "adjacent", -1, 10, "no", "yes"),  # as near as L3, but later; that of day 60 itself is not before
    ]


def test_only_what_came_before_the_sighting_supersedes():
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L1", 50)], [seen("f", "L1", 50), seen("g", "L1", 51)])
    columns = ("fracture_id", "augmentation_id", "superseded", "attributed")
    assert values(relations(tables, STUDY), *columns) == [
        ("f", "a1", "no", "yes"), ("g", "a1", "yes", "no"), ("g", "a2", "no", "yes"),
    ]  # fmt: skip


def test_the_relation_is_to_that_augmentation_alone_within_reach_and_undated_ones_have_no_days():
    tables = cohort([aug("a", "L1", None), aug("b", "L4", 0)], [seen("f", "L3", 10), seen("g", "L1", 12)])
    columns = ("fracture_id", "augmentation_id", "relation", "signed_distance", "days_since")
    assert values(relations(tables, STUDY), *columns) == [
        ("f", "a", "remote", -2, None),
        ("f", "b", "adjacent", 1, 10),
        ("g", "a", "same", 0, None),
        ("g", "b", "remote", 3, 12),
    ]
    wide = relations(tables, STUDY.with_("relation", reach=2))
    assert list(wide["relation"]) == ["adjacent", "adjacent", "same", "remote"]


def test_before_treatment_there_is_no_row_and_two_rows_of_one_level_and_day_are_one():
    tables = cohort([aug("b9", "L1", 0), aug("b10", "L1", 0)], [seen("e", "L3", 0), seen("f", "L2", 5)])
    assert values(relations(tables, STUDY), "fracture_id", "augmentation_id", "attributed") == [("f", "b10", "yes")]


# ---------------- whose cleft, leak or height restoration?


def test_a_treated_vertebra_has_what_its_own_latest_augmentation_has():
    tables = cohort(
        [
            aug("a1", "L1", 0, cleft_before="yes", leak="disc;venous", technique="vertebroplasty", volume_ml=3.0),
            aug("a2", "L1", 50, cleft_before="not_assessable", leak="none", cement="pmma", anterior_mm_before=15.2,
                anterior_mm_after=18.3, anterior_mm_reference=21.4),
            aug("a3", "L2", 50, "prophylactic", cleft_before="yes"),
        ]
    )  # fmt: skip
    assert on_day(tables, "L1", 50) == {
        "cleft": "yes", "leak": "yes", "height_restoration": None, "n_treated_neighbours": 0,
        "technique": "vertebroplasty", "cement": None, "volume_ml": 3.0,
    }  # fmt: skip
    assert on_day(tables, "L1", 51) == {
        "cleft": "not_assessable", "leak": "no", "height_restoration": 0.5, "n_treated_neighbours": 1,
        "technique": None, "cement": "pmma", "volume_ml": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("leak", "above", "itself", "below"),
    [
        (None, "missing", "missing", "missing"),
        ("none", "no", "no", "no"),
        ("disc_superior", "yes", "yes", "no"),
        ("disc_inferior;venous", "no", "yes", "yes"),
        ("disc", "missing", "yes", "missing"),
        ("disc;epidural", "missing", "yes", "missing"),
        ("disc;disc_superior", "yes", "yes", "no"),
        ("paravertebral", "no", "no", "no"),
    ],
)
def test_an_adjacent_vertebra_has_only_the_leak_into_the_disc_between(leak, above, itself, below):
    tables = cohort([aug("a", "L1", 0, leak=leak)])
    assert [on_day(tables, level, 1)["leak"] for level in ("T12", "L1", "L2")] == [above, itself, below]


@pytest.mark.parametrize(
    ("one", "other", "worse"),
    [
        ("yes", "not_assessable", "yes"),
        ("no", "not_assessable", "not_assessable"),
        (None, "not_assessable", "not_assessable"),
        ("no", None, "missing"),
        ("no", "no", "no"),
    ],
)
def test_between_two_treated_neighbours_the_worse_finding_counts(one, other, worse):
    for first, second in ((one, other), (other, one)):
        tables = cohort([aug("a", "T12", 0, cleft_before=first), aug("b", "L2", 9, cleft_before=second)])
        assert on_day(tables, "L1", 9)["cleft"] == (first or "missing")
        assert on_day(tables, "L1", 10)["cleft"] == worse
        assert on_day(tables, "L1", 10)["n_treated_neighbours"] == 2
        assert on_day(tables, "L3", 10)["n_treated_neighbours"] == 1


def test_of_two_restorations_the_greater_counts_and_is_missing_where_either_is():
    heights = {"anterior_mm_before": 12.0, "anterior_mm_after": 17.0, "anterior_mm_reference": 22.0}
    lost = {"anterior_mm_before": 20.0, "anterior_mm_after": 19.0, "anterior_mm_reference": 24.0}
    known, lower = aug("a", "T12", 0, **heights), aug("b", "L2", 0, **lost)
    assert on_day(cohort([known, lower]), "L1", 1)["height_restoration"] == 0.5
    assert on_day(cohort([lower]), "L1", 1)["height_restoration"] == -0.25
    assert on_day(cohort([known, aug("b", "L2", 0, anterior_mm_after=19.0)]), "L1", 1)["height_restoration"] is None


def test_a_remote_vertebra_has_any_so_far_changing_with_time():
    tables = cohort(
        [aug("a1", "L1", 0, cleft_before="no", leak="none"), aug("a2", "L4", 50, cleft_before="yes", leak="disc")]
    )
    days = [(on_day(tables, "T8", day)["cleft"], on_day(tables, "T8", day)["leak"]) for day in (0, 1, 50, 51)]
    assert days == [("missing", "missing"), ("no", "no"), ("no", "no"), ("yes", "yes")]
    attributed = STUDY.with_("exposures", remote_whose="attributed")  # T8 is nearer to L1
    assert on_day(tables, "T8", 51, attributed)["cleft"] == "no"


def test_a_finding_so_far_stays_when_the_level_is_augmented_again():
    tables = cohort([aug("a1", "L1", 0, cleft_before="yes"), aug("a2", "L1", 50, cleft_before="no")])
    assert [on_day(tables, level, 51)["cleft"] for level in ("T8", "T12", "L1")] == ["yes", "no", "no"]
    any_so_far = STUDY.with_("exposures", adjacent_whose="any_so_far")
    assert on_day(tables, "T12", 51, any_so_far)["cleft"] == "yes"


def test_with_a_wider_reach_a_neighbour_is_the_nearest_treated_one_on_each_side():
    wide = STUDY.with_("relation", reach=2)
    tables = cohort(
        [
            aug("a", "T11", 0, cleft_before="yes"),
            aug("b", "T12", 0, leak="disc_inferior", cleft_before="no", technique="other"),
            aug("c", "L3", 0, leak="disc_inferior", cleft_before="no", technique="kyphoplasty"),
        ]
    )
    found = on_day(tables, "L1", 1, wide)  # T12 next to it above, L3 two below; T11 lies behind T12
    assert (found["cleft"], found["leak"], found["n_treated_neighbours"]) == ("no", "yes", 2)
    assert found["technique"] == "other"  # a fracture of L1 would be attributed to T12
    assert on_day(tables, "L2", 1, wide)["leak"] == "yes"  # T12 is two above, and its lower disc faces L2
    assert on_day(tables, "L5", 1, wide)["leak"] == "yes"
    assert on_day(tables, "L5", 1, wide)["n_treated_neighbours"] == 1


def test_one_neighbour_may_be_chosen_by_attribution():
    tables = cohort([aug("a", "T12", 5, cleft_before="no"), aug("b", "L2", 0, cleft_before="yes")])
    attributed = STUDY.with_("exposures", two_neighbours="attributed")
    assert on_day(tables, "L1", 10, attributed)["cleft"] == "no"
    assert on_day(tables, "L1", 5, attributed)["cleft"] == "yes"


# ---------------- rows of patients


def test_a_patient_is_followed_to_the_first_event_of_the_endpoint_whatever_else_happens():
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "T12", 50), seen("f2", "T8", 80)], death=200)
    assert rows(patient_rows(tables, STUDY, "same")) == [(0, 200, "death", None)]
    assert rows(patient_rows(tables, STUDY, "adjacent")) == [(0, 50, "adjacent", 0)]
    assert rows(patient_rows(tables, STUDY, "remote")) == [(0, 80, "remote", 0)]
    assert rows(patient_rows(tables, STUDY, "composite")) == [(0, 50, "adjacent", 0)]
    assert values(patient_rows(tables, STUDY, "same"), "patient_id", "unit") == [("p", "p")]


def test_two_relations_on_one_day_are_several_and_an_event_comes_before_death():
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "T12", 50), seen("f2", "T8", 50)], death=50)
    assert rows(patient_rows(tables, STUDY, "composite")) == [(0, 50, "several", 0)]
    assert rows(patient_rows(tables, STUDY, "remote")) == [(0, 50, "remote", 0)]
    assert rows(patient_rows(tables, STUDY, "same")) == [(0, 50, "death", None)]


def test_a_death_after_follow_up_is_no_event():
    assert rows(patient_rows(cohort([aug("a", "L1", 0)], death=301), STUDY, "same")) == [(0, 300, "", None)]
    assert rows(patient_rows(cohort([aug("a", "L1", 0)], death=300), STUDY, "same")) == [(0, 300, "death", None)]


def test_who_enters_late_is_truncated_and_left_out_where_the_first_event_came_earlier():
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "T12", 50), seen("f2", "T8", 80, clear=20)], enrolled=60)
    assert rows(patient_rows(tables, STUDY, "adjacent")) == []
    assert rows(patient_rows(tables, STUDY, "composite")) == []
    assert rows(patient_rows(tables, STUDY, "remote")) == [(60, 80, "remote", 60)]
    # What lies outside the range at risk came too early for nothing.
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "T3", 50)], enrolled=60)
    assert rows(patient_rows(tables, STUDY, "composite")) == [(60, 300, "", None)]


def test_same_is_a_vertebra_treated_for_fracture_and_the_composite_takes_them_all():
    tables = cohort([aug("a", "L1", 0), aug("b", "L3", 0, "prophylactic")], [seen("f", "L3", 70)])
    assert rows(patient_rows(tables, STUDY, "same")) == [(0, 300, "", None)]
    assert rows(patient_rows(tables, STUDY, "composite")) == [(0, 70, "same", 0)]


def test_without_a_known_origin_a_patient_has_no_clock_but_its_dated_procedures_have():
    tables = cohort([aug("a", "T12", None), aug("b", "L1", 50, "prophylactic")], enrolled=0)
    assert rows(patient_rows(tables, STUDY, "remote")) == []
    assert values(procedure_rows(tables, STUDY, "remote"), "unit", "entry", "exit") == [("p:2020-02-20", 0, 250)]
    assert set(policies(tables, STUDY).query("policy in ('first_only', 'total')")["n_units"]) == {0}
    # Cement of the sacrum alone leaves the origin known.
    tables = cohort([aug("a", "S1", None), aug("b", "L1", 50, "prophylactic")])
    assert rows(patient_rows(tables, STUDY, "remote")) == [(0, 250, "", None)]


def test_the_population_is_that_of_the_main_figures():
    tumour = cohort([aug("a", "S1", 0, "tumour"), aug("b", "L1", 10)])  # the first session is that of the sacrum
    assert rows(patient_rows(tumour, STUDY, "same")) == []
    assert len(patient_rows(tumour, STUDY.with_("population", tumour_in_main=True), "same")) == 1
    later = cohort([aug("a", "L1", 0), aug("b", "L1", 10, "tumour")])
    assert len(patient_rows(later, STUDY, "same")) == 1
    incomplete = cohort([aug("a", "L1", 0)], incomplete="yes")
    assert rows(patient_rows(incomplete, STUDY, "same")) == []
    assert len(patient_rows(incomplete, STUDY.with_("population", include_incomplete=True), "same")) == 1
    assert rows(patient_rows(cohort([aug("a", "L1", 5)], end=5), STUDY, "same")) == []


def test_a_retreatment_is_an_event_of_its_own_known_to_the_day():
    again = [aug("a1", "L1", 0), aug("a2", "L1", 100)]
    assert rows(patient_rows(cohort(again), STUDY, "retreated")) == [(0, 100, "retreated", 99)]
    assert rows(patient_rows(cohort(again, enrolled=100), STUDY, "retreated")) == []
    staged = [aug("a1", "L1", 0), aug("a2", "L1", 14)]
    assert rows(patient_rows(cohort(staged), STUDY, "retreated")) == [(0, 300, "", None)]
    outside = [aug("a1", "T3", 0), aug("a2", "T3", 100)]
    assert rows(patient_rows(cohort(outside), STUDY, "retreated")) == [(0, 300, "", None)]


# ---------------- rows of procedures


def test_every_procedure_has_its_clock_and_an_event_of_the_next_ones_day_ends_the_earlier():
    tables = cohort(
        [aug("a", "L1", 0), aug("b", "S1", 40, "prophylactic"), aug("c", "L3", 100, "prophylactic")],
        [seen("f", "L4", 100)],
    )
    # S1 on day 40 begins no clock and ends none; L4 is remote until L3 is treated.
    assert rows(procedure_rows(tables, STUDY, "remote")) == [(0, 100, "remote", 0), (0, 200, "", None)]
    assert list(procedure_rows(tables, STUDY, "remote")["unit"]) == ["p:2020-01-01", "p:2020-04-10"]
    assert rows(procedure_rows(tables, STUDY, "adjacent")) == [(0, 100, "", None), (0, 200, "", None)]


def test_a_procedure_is_left_out_when_its_event_came_before_entry_and_the_next_one_stays():
    tables = cohort([aug("a", "L1", 0), aug("b", "L3", 100, "prophylactic")], [seen("f", "T12", 50)], enrolled=60)
    assert rows(procedure_rows(tables, STUDY, "adjacent")) == [(0, 200, "", None)]
    assert rows(procedure_rows(tables, STUDY, "remote")) == [(60, 100, "", None), (0, 200, "", None)]


def test_staged_sessions_merge_into_the_procedure_that_they_finish():
    tables = cohort([aug("a", "L1", 0), aug("b", "L3", 10), aug("c", "L5", 20, "prophylactic")], [seen("f", "T12", 15)])
    apart = procedure_rows(tables, STUDY, "adjacent")
    assert rows(apart) == [(0, 10, "", None), (0, 5, "adjacent", 0), (0, 280, "", None)]
    merged = procedure_rows(tables, STUDY, "adjacent", merge_staged=True)
    assert rows(merged) == [(0, 15, "adjacent", 0), (0, 280, "", None)]
    # A session with anything in it that is not staged is a procedure.
    tables = cohort([aug("a", "L1", 0), aug("b", "L3", 10), aug("c", "L4", 10, "prophylactic")])
    assert rows(procedure_rows(tables, STUDY, "same", merge_staged=True)) == [(0, 10, "", None), (0, 290, "", None)]


def test_a_death_on_the_day_of_the_next_procedure_belongs_to_the_earlier_clock():
    tables = cohort([aug("a", "L1", 0), aug("b", "L3", 100, "prophylactic")], death=100)
    assert rows(procedure_rows(tables, STUDY, "same")) == [(0, 100, "death", None)]


# ---------------- rows of treated vertebrae


def test_the_units_of_a_vertebra_treated_twice_follow_each_other():
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L1", 200)], [seen("f", "L1", 50, "progression")], death=250)
    frame = treated_vertebra_rows(tables, STUDY)
    assert values(frame, "unit", "entry", "exit", "cause", "lower") == [
        ("a1", 0, 50, "same", 0), ("a2", 0, 50, "death", None),
    ]  # fmt: skip
    frame = treated_vertebra_rows(cohort([aug("a1", "L1", 0), aug("a2", "L1", 200, "prophylactic")]), STUDY)
    assert values(frame, "unit", "entry", "exit", "cause") == [("a1", 0, 200, "")]


def test_an_implied_fracture_of_a_treated_vertebra_ends_its_unit_on_the_day_of_the_next_augmentation():
    frame = treated_vertebra_rows(cohort([aug("a1", "L1", 0), aug("a2", "L1", 200)]), STUDY)
    assert values(frame, "unit", "entry", "exit", "cause") == [("a1", 0, 200, "same"), ("a2", 0, 100, "")]


def test_days_off_risk_are_cut_out_of_the_unit():
    tables = cohort(
        [aug("a", "L1", 0)], [seen("f", "L1", 50, "new")], excluded=[{"level": "L1", "from": on(20), "to": on(30)}]
    )
    assert rows(treated_vertebra_rows(tables, STUDY)) == [(0, 20, "", None), (30, 50, "same", 0)]
    # A fracture of day 50, too early to count, leaves its unit out.
    tables = cohort([aug("a", "L1", 0)], [seen("f", "L1", 50, "progression")], enrolled=60)
    assert rows(treated_vertebra_rows(tables, STUDY)) == []


def test_days_before_a_staged_second_augmentation_belong_to_neither_unit():
    frame = treated_vertebra_rows(cohort([aug("a1", "L1", 0), aug("a2", "L1", 10)]), STUDY)
    assert values(frame, "unit", "entry", "exit", "cause") == [("a2", 0, 290, "")]


def test_treated_vertebrae_of_another_indication_or_outside_the_range_are_units_only_where_asked_for():
    tables = cohort(
        [aug("a", "L1", 0, None), aug("b", "L3", 0, "prophylactic"), aug("c", "T3", 0), aug("d", "T8", None)],
        enrolled=0,
    )
    assert list(treated_vertebra_rows(tables, STUDY)["unit"]) == ["a"]
    assert list(treated_vertebra_rows(tables, STUDY, "prophylactic")["unit"]) == ["b"]


# ---------------- vertebrae in a role


def test_a_vertebra_in_one_role_has_a_record_for_each_day_at_risk():
    tables = cohort([aug("a", "L1", 0), aug("b", "L3", 5, "prophylactic")], [seen("f", "T12", 4, clear=2)], end=10)
    adjacent = vertebra_days(tables, STUDY, "adjacent")
    assert adjacent.groupby("level")["exit"].agg(["min", "max", "size"]).to_dict("index") == {
        "T12": {"min": 1, "max": 4, "size": 4},  # healing from day 5
        "L2": {"min": 1, "max": 10, "size": 10},
        "L4": {"min": 6, "max": 10, "size": 5},
    }
    event = adjacent[adjacent["event"] == 1]
    assert values(event, "unit", "date", "entry", "exit", "lower") == [("p:T12", pd.Timestamp(on(4)), 3, 4, 2)]
    prophylactic = vertebra_days(tables, STUDY, "treated_prophylactic")
    assert values(prophylactic, "level", "exit") == [("L3", day) for day in range(6, 11)]


def test_washout_leaves_out_a_vertebra_fractured_shortly_before_entry_unless_augmented_since():
    tables = cohort(
        [aug("a", "L1", 0), aug("b", "T6", -10)],
        [seen("f1", "T12", -89), seen("f2", "T10", -90), seen("f3", "L1", -20), seen("f4", "T8", 0),
         seen("f5", "T6", -11), seen("f6", "T4", -1, "old")],
        enrolled=0,
    )  # fmt: skip

    def left_out(washout):
        study = STUDY.with_("at_risk", washout_days=washout)
        every = pd.concat([vertebra_days(tables, study, role) for role in slow.ROLES])
        return set(slow.levels_at_risk(the_patient(tables))) - set(every["level"])

    assert left_out(0) == set()
    assert left_out(90) == {"T12", "T8"}  # entry - 90 < s <= entry
    assert left_out(91) == {"T12", "T10", "T8"}
    washed = STUDY.with_("at_risk", washout_days=90)
    assert person_time(tables, washed).equals(person_time(tables, STUDY))


def test_unproven_fractures_are_no_events_where_they_are_not_to_count():
    tables = cohort([aug("a", "L1", 0)], [seen("f", "T12", 50), seen("g", "T12", 200, "new")])
    proven = STUDY.with_("at_risk", count_unproven=False)
    assert rows(patient_rows(tables, proven, "adjacent")) == [(0, 200, "adjacent", 0)]
    adjacent = person_time(tables, proven).query("level == 'T12'")
    # Both heal for 90 days, whether they count or not.
    assert values(adjacent, "role", "vertebra_days", "events") == [("adjacent", 50 + 60 + 10, 1)]


# ---------------- last look


def looked_at(**more: Any) -> Tables:
    tables = cohort([aug("a", "L1", 0)], [seen("f", "T8", 120)], imaging=[film("L1", 150, anterior_mm=20.0)], **more)
    return with_studies(tables, (0, "C1", "S1"), (100, "T10", "L2"), (280, None, "L5"), (301, "T4", "L5"))


def test_a_vertebra_is_at_risk_to_the_last_day_on_which_it_was_looked_at():
    assert values(person_time(looked_at(), LAST_LOOK), "level", "role", "vertebra_days", "events") == [
        ("T8", "remote", 120, 1),
        ("T10", "remote", 100, 0),
        ("T11", "remote", 100, 0),
        ("T12", "adjacent", 100, 0),
        ("L1", "treated", 150, 0),
        ("L2", "adjacent", 100, 0),
    ]
    assert rows(treated_vertebra_rows(looked_at(), LAST_LOOK)) == [(0, 150, "", None)]


@pytest.mark.parametrize(("death", "cause"), [(None, ""), (200, ""), (150, "death")])
def test_a_patient_is_at_risk_to_the_last_look_and_death_competes_only_on_that_day(death, cause):
    assert rows(patient_rows(looked_at(death=death), LAST_LOOK, "same")) == [(0, 150, cause, None)]
    assert rows(patient_rows(looked_at(death=death), LAST_LOOK, "remote")) == [(0, 120, "remote", 0)]


def test_being_augmented_or_fractured_is_being_looked_at_and_nobody_looking_is_no_time():
    tables = cohort([aug("a", "L1", 0), aug("b", "L3", 90, "prophylactic")], [seen("f", "L5", 30, "old")])
    found = person_time(tables, LAST_LOOK)
    assert values(found, "level", "role", "vertebra_days") == [("L3", "remote", 90), ("L5", "remote", 30)]
    assert rows(procedure_rows(tables, LAST_LOOK, "same")) == [(0, 90, "", None)]
    assert rows(patient_rows(cohort([aug("a", "L1", 0)], death=50), LAST_LOOK, "same")) == []


def test_looking_at_a_vertebra_outside_the_range_does_not_keep_the_patient_under_observation():
    tables = cohort([aug("a", "L1", 0)], excluded=[{"level": "L3", "from": None, "to": None}])
    shown = with_studies(tables, (50, "L1", "L1"), (60, "C1", "T3"), (70, "L3", "L3"))
    assert rows(patient_rows(shown, LAST_LOOK, "same")) == [(0, 70, "", None)], "an excluded level of the range is one"


# ---------------- when it broke


def test_a_fracture_lies_after_the_last_look_that_did_not_show_it():
    tables = cohort([aug("a", "L1", 0)], [seen("f", "T12", 100, clear=20)], imaging=[film("T12", 30), film("L2", 95)])
    assert rows(patient_rows(tables, STUDY, "adjacent")) == [(0, 100, "adjacent", 30)]
    shown = with_studies(tables, (40, "T12", "L2"), (50, "T12", None), (60, "L1", "S1"), (100, "T12", "L2"))
    assert rows(patient_rows(shown, STUDY, "adjacent")) == [(0, 100, "adjacent", 40)]
    assert vertebra_days(shown, STUDY, "adjacent")["lower"].dropna().tolist() == [40]


def test_it_lies_in_the_clock_of_its_own_unit():
    tables = cohort([aug("a", "L1", 0), aug("b", "L4", 60, "prophylactic")], [seen("f", "L1", 100, clear=20)])
    assert rows(procedure_rows(tables, STUDY, "same")) == [(0, 60, "", None), (0, 40, "same", 0)]
    assert rows(patient_rows(tables, STUDY, "same")) == [(0, 100, "same", 20)]


@pytest.mark.parametrize(("kind", "lower"), [(None, 50), ("progression", 80)])
def test_the_film_that_judged_it_already_shows_it(kind, lower):
    tables = cohort(
        [aug("a", "L1", 0, anterior_mm_after=20.0, pain_after=2.0)],
        [seen("f", "L1", 100, kind, symptomatic="yes")],
        imaging=[film("L1", 50, anterior_mm=20.0), film("L1", 80, anterior_mm=17.0), film("L1", 121)],
    )
    # The film nearest to day 100 is that of day 80; a kind that the registry gave was judged by no film.
    assert rows(treated_vertebra_rows(tables, STUDY)) == [(0, 100, "same", lower)]


def test_a_fracture_seen_on_film_only_lies_after_the_film_before():
    tables = cohort(
        [aug("a", "L1", 0, anterior_mm_after=20.0)],
        imaging=[film("L1", 50, anterior_mm=20.0), film("L1", 80, anterior_mm=17.0)],
    )
    assert rows(treated_vertebra_rows(tables, STUDY)) == [(0, 80, "same", 50)]


def test_of_several_fractures_of_one_day_the_one_with_the_earliest_lower_gives_it():
    tables = cohort([aug("a", "L1", 0)], [seen("f", "T12", 100, clear=40), seen("g", "T8", 100, clear=20)])
    assert rows(patient_rows(tables, STUDY, "composite")) == [(0, 100, "several", 20)]
    assert rows(patient_rows(tables, STUDY, "adjacent")) == [(0, 100, "adjacent", 40)]


# ---------------- splits


def split(tables: Tables, by: str, level: str = "L1") -> list[tuple]:
    frame = person_time(tables, STUDY, (by,))
    return values(frame[frame["level"] == level], "role", by, "vertebra_days", "events")


def test_a_day_belongs_to_the_year_it_lies_in():
    tables = cohort([aug("a", "L1", 360)], [seen("f", "L1", 368, "new")], end=370)  # 31 December is day 365
    assert split(tables, "calendar_year") == [("treated", 2020, 5, 0), ("treated", 2021, 3, 1)]


def test_days_count_since_the_latest_procedure_of_any_vertebra_but_the_sacrum():
    rows = [aug("a", "L1", 0), aug("b", "L3", 40, "prophylactic"), aug("c", "S1", 60)]
    tables = cohort(rows, [seen("f", "L1", 40, "new")], end=131)
    # Days 1-30, then 31-40 with the event; from day 41 to 130 the fracture heals; day 131 is 91 days after L3.
    assert split(tables, "since_procedure") == [
        ("treated", "1-30", 30, 0), ("treated", "31-90", 10, 1), ("treated", "91-365", 1, 0),
    ]  # fmt: skip
    assert split(cohort([aug("a", "L1", None)], enrolled=0, end=10), "since_procedure") == [
        ("treated", "unknown", 10, 0)
    ]


def test_an_age_is_reached_on_the_birthday_and_that_of_29_february_on_1_march():
    born = the_patient(cohort([aug("a", "L1", 0)], birth_date=date(1956, 2, 29), age_at_index=80.0))
    assert [age_on(born, date(2021, *day), (65, 75)) for day in ((2, 28), (3, 1))] == ["<65", "65-74"]
    assert [age_on(born, date(2020, *day), (64, 75)) for day in ((2, 28), (2, 29))] == ["<64", "64-74"]


@pytest.mark.parametrize(
    ("age", "day", "expected"),
    [(64.5, 182, "<65"), (64.5, 183, "65-74"), (65.0, 1, "65-74"), (74.75, 91, "65-74"), (74.75, 92, "75-84"),
     (90.0, 1, ">=85"), (None, 1, "unknown")],
)  # fmt: skip
def test_from_the_age_at_the_first_augmentation_the_next_is_so_many_days_away(age, day, expected):
    patient = the_patient(cohort([aug("a", "L1", 0)], age_at_index=age))
    assert age_on(patient, on(day), (65, 75, 85)) == expected


def test_who_has_no_known_age_stays_in_as_unknown():
    tables = cohort([aug("a", "L1", None)], enrolled=0, end=10, age_at_index=70.0)
    assert split(tables, "age") == [("treated", "unknown", 10, 0)]
    tables = cohort([aug("a", "L1", 0)], end=10, birth_date=date(1955, 1, 6))
    assert split(tables, "age") == [("treated", "<65", 4, 0), ("treated", "65-74", 6, 0)]


# ---------------- several procedures


def test_the_four_policies_side_by_side():
    tables = cohort(
        [aug("a", "L1", 0), aug("b", "L3", 100, "prophylactic")], [seen("f", "T12", 50), seen("g", "L4", 130)]
    )
    found = {row[:2]: row[2:] for row in values(policies(tables, STUDY), "policy", "relation", "n_patients", "n_units",
                                                "n_events", "person_days")}  # fmt: skip
    assert {policy: found[policy, "adjacent"] for policy in ("first_only", "gap", "gap_merged", "total")} == {
        "first_only": (1, 1, 1, 50),
        "gap": (1, 2, 2, 50 + 30),
        "gap_merged": (1, 2, 2, 50 + 30),
        "total": (1, 1, 1, 50),
    }
    assert {policy: found[policy, "remote"] for policy in ("first_only", "gap", "gap_merged", "total")} == {
        "first_only": (1, 1, 0, 100), "gap": (1, 2, 0, 300), "gap_merged": (1, 2, 0, 300), "total": (1, 1, 0, 300),
    }  # fmt: skip


# ---------------- together with the first slow reference


@pytest.mark.parametrize("seed", [1, 2])
def test_the_new_answers_fit_the_old_ones_on_random_registries(seed):
    tables = random_registry(25, seed)
    classified = slow.classify(tables, STUDY)
    more, every = beyond(tables, STUDY), relations(tables, STUDY)
    assert list(more["fracture_id"]) == list(classified["fracture_id"])
    assert more["signed_distance"].abs().equals(classified["distance"].rename("signed_distance"))
    key = ["patient_id", "fracture_id"]
    attributed = every[every["attributed"] == "yes"].set_index(key)["augmentation_id"]
    treated = classified[classified["augmentation_id"] != ""].set_index(key)["augmentation_id"]
    assert attributed.equals(treated)
    main = person_time(tables, STUDY)
    assert main.equals(slow.person_time(tables, STUDY))
    parts = person_time(tables, STUDY, ("calendar_year", "age", "since_procedure"))
    assert parts["vertebra_days"].sum() == main["vertebra_days"].sum()
    assert parts["events"].sum() == main["events"].sum()
    assert person_time(tables, LAST_LOOK)["events"].sum() == main["events"].sum()
