"""Beyond the nearest: signed distances, the number treated, cascades, and every treatment before a sighting."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "reference"))
from random_registry import random_registry

import cohort
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.refracture import pairs
from cohort.refracture.beyond import PAIR_COLUMNS
from cohort.tables.results import Registry

THE_DISTANCE_IS_SIGNED_FROM_THE_ATTRIBUTED_AUGMENTATION_TO_THE_FRACTURE = """
spine          | treated  | fracture | signed | why
               | L1       | L1       | 0      | the treated level itself
               | L1       | T12      | 1      | above is positive, across T12-L1
               | L1       | L3       | -2     | below is negative
               | L5       | T12      | 5      | far above
               | S1       | L5       | 1      | cement in S1 is treated too
               | T12,L2   | L1       | 1      | between two as near: attributed to the more caudal, so above it
               | T10,L2   | T11      | -1     | the nearer decides the sign
n_thoracic=13  | L1       | T12      | 2      | with a T13 between
n_thoracic=11  | L1       | T11      | 1      | without a T12 between
n_lumbar=4     | L4       | T12      | 4      | four lumbar vertebrae
"""


def test_the_distance_is_signed_from_the_attributed_augmentation_to_the_fracture(case, classified):
    treats = "\n".join(f"0 treat {level}" for level in case.treated.split(","))
    row = classified(f"patient a {case.spine}\n{treats}\n100 fracture {case.fracture} id=f")["f"]
    assert row.signed_distance == int(case.signed)
    assert row.distance == abs(row.signed_distance)


TREATED_BEFORE_IS_COUNTED_IN_LEVELS = """
history                                              | n | why
0 treat L1                                           | 1 | one level
0 treat L1; 0 treat T12                              | 2 | two on one day
0 treat L1; 50 treat L1 indication=prophylactic      | 1 | a level treated twice is one level
0 treat L1; 100 treat T8                             | 1 | the day itself treats what was found up to it
before treat L3; 0 treat L1                          | 2 | a level without a date is treated on every day
0 treat L1; 0 treat S1                               | 2 | S1 is cement
"""


def test_treated_before_is_counted_in_levels(case, classified):
    row = classified(f"patient a\n{case.history.replace(';', chr(10))}\n100 fracture L2 id=f")["f"]
    assert row.n_treated == int(case.n)


def test_before_treatment_there_is_no_distance_and_nobody_counts_the_treated(classified):
    found = classified("patient a\n-5 fracture L1\n0 treat L1\n0 fracture L3")
    assert [(found[f].signed_distance, found[f].n_treated) for f in ("L1@-5", "L3@0")] == [("", ""), ("", "")]


# T6 is treated on day 0 and lies far from every fracture; `f` is the last fracture.
A_FRACTURE_FOLLOWS_A_NEIGHBOUR_WITHIN_NINETY_DAYS = """
spine         | before          | found  | follows | days | length | why
              | 100 L1          | L2 190 | L1@100  | 90   | 2      | exactly ninety days
              | 100 L1          | L2 191 |         |      | 1      | ninety-one days are too many
              | 100 L1          | L2 101 | L1@100  | 1    | 2      | the day after
              | 100 L1          | L2 100 |         |      | 1      | two found on one day are simultaneous
              | 100 L3          | L2 150 | L3@100  | 50   | 2      | upwards as well as downwards
              | 100 L1          | L3 150 |         |      | 1      | next but one is no neighbour
              | 50 L1           | L1 150 |         |      | 1      | a vertebra is not its own neighbour
              | 100 T12         | L1 150 | T12@100 | 50   | 2      | across T12-L1
n_thoracic=13 | 100 T12         | L1 150 |         |      | 1      | a T13 lies between
n_thoracic=13 | 100 T13         | L1 150 | T13@100 | 50   | 2      | T13 is the neighbour of L1
n_thoracic=11 | 100 T11         | L1 150 | T11@100 | 50   | 2      | without T12, T11 is
n_lumbar=6    | 100 L6          | L5 150 | L6@100  | 50   | 2      | the patient's own last lumbar
              | 100 T12; 100 L2 | L1 150 | L2@100  | 50   | 2      | of two on one day the more caudal
              | 120 T12; 100 L2 | L1 150 | T12@120 | 30   | 2      | else the later
              | 140 L2; 150 T12 | L1 150 | L2@140  | 10   | 2      | one of the day itself is none
              | 100 T3          | T4 150 | T3@100  | 50   | 2      | kept, though outside the range at risk
"""


def test_a_fracture_follows_a_neighbour_within_ninety_days(case, classified):
    level, day = case.found.split()
    before = "\n".join(one.strip().replace(" ", " fracture ") for one in case.before.split(";"))
    new = "kind=new" if case.before.endswith(level) else ""  # a healed vertebra may break anew
    row = classified(f"patient a {case.spine}\n0 treat T6\n{before}\n{day} fracture {level} id=f {new}")["f"]
    assert row.kept == "yes"
    assert row.cascade_of == case.follows
    assert row.cascade_days == (int(case.days) if case.days else "")
    assert row.cascade_length == int(case.length)


def test_of_two_found_on_one_day_neither_follows_the_other(classified):
    found = classified("patient a\n0 treat T6\n100 fracture L1\n100 fracture L2")
    assert [(found[f].cascade_of, found[f].cascade_length) for f in found.ids] == [("", 1), ("", 1)]


def test_fractures_before_treatment_belong_to_the_chain(classified):
    found = classified(
        """
        patient a
        -80 fracture T11
        -30 fracture T12
          0 treat T12
         20 fracture L1
        """
    )
    assert (found["T12@-30"].cascade_of, found["T12@-30"].cascade_days) == ("T11@-80", 50)
    assert (found["L1@20"].cascade_of, found["L1@20"].cascade_days, found["L1@20"].cascade_length) == ("T12@-30", 50, 3)


NOT_KEPT_IS_NO_LINK = """
history                                                       | not_kept | why
0 treat T6; 100 fracture L1 kind=old                          | L1@100   | an old deformity
0 treat L1; 100 fracture L1 kind=settling                     | L1@100   | settling of a treated vertebra
0 treat T6; 10 fracture L1; 60 fracture L3; 100 fracture L1   | L1@100   | the same fracture seen again
"""


def test_not_kept_is_no_link(case, classified):
    found = classified(f"patient a\n{case.history.replace(';', chr(10))}\n155 fracture L2 id=f")
    gone = found[case.not_kept]
    assert gone.kept == "no"
    assert (gone.cascade_of, gone.cascade_days, gone.cascade_length) == ("", "", "")
    # L3@60 lies 95 days before, so nothing near enough is left.
    assert (found["f"].cascade_of, found["f"].cascade_length) == ("", 1)


def test_an_implied_fracture_is_a_link(classified):
    found = classified("patient a\n0 treat T6\n200 treat L3\n250 fracture L2")
    assert (found["L2@250"].cascade_of, found["L2@250"].cascade_days) == ("implied:L3@200", 50)


def test_a_chain_counts_the_fractures_up_to_its_end(classified):
    found = classified(
        """
        patient a
          0 treat T6
        100 fracture L1
        190 fracture L2
        280 fracture L3   # 180 days after the first, 90 after the second
        150 fracture T12  # a branch of its own from L1
        600 fracture L4   # long after
        """
    )
    assert {f: (found[f].cascade_of, found[f].cascade_length) for f in found.ids} == {
        "L1@100": ("", 1),
        "T12@150": ("L1@100", 2),
        "L2@190": ("L1@100", 2),
        "L3@280": ("L2@190", 3),
        "L4@600": ("", 1),
    }


def test_a_chain_may_come_back_to_a_vertebra_that_broke_anew(classified):
    found = classified("patient a\n0 treat T6\n100 fracture L1\n180 fracture L2\n250 fracture L1 kind=new id=again")
    assert (found["again"].cascade_of, found["again"].cascade_days, found["again"].cascade_length) == ("L2@180", 70, 3)


@pytest.mark.parametrize(("setting", "day", "follows"), [(30, 130, "L1@100"), (30, 131, ""), (0, 101, "")])
def test_how_many_days_make_a_cascade_is_a_setting(classified, setting, day, follows):
    text = f"patient a\n0 treat T6\n100 fracture L1\n{day} fracture L2 id=f"
    assert classified(text, relation={"cascade_days": setting})["f"].cascade_of == follows


def test_nobody_follows_another_patients_fracture(classified):
    found = classified("patient a\n0 treat T6\n100 fracture L1\npatient b\n0 treat T6 id=b\n120 fracture L2")
    assert found["L2@120"].cascade_of == ""


def test_a_cascade_changes_no_count(classified):
    text = "patient a\n0 treat T6\n100 fracture L1\n150 fracture L2\n150 fracture L2 id=again"
    assert (
        classified(text).reasons()
        == classified(text, relation={"cascade_days": 0}).reasons()
        == {"L1@100": "counted", "L2@150": "counted", "again": "repeat"}
    )


# ---------------- every treatment before a sighting


@pytest.fixture
def paired(tables_of, classified_tables):
    """The long table of a cohort in words, dates as day numbers."""

    def run(text, *, reach=1):
        tables = tables_of(text)
        return pairs(tables, classified_tables(tables, relation={"reach": reach}).sightings, reach=reach)

    return run


def told(frame, *columns):
    return list(frame[list(columns)].astype(object).where(frame[list(columns)].notna(), "").itertuples(index=False))


def test_a_level_augmented_twice_has_two_rows_and_the_later_supersedes(paired):
    frame = paired(
        """
        patient a
         0 treat L1
        50 treat L1 indication=prophylactic
        80 fracture L2
        """
    )
    assert told(frame, "augmentation_id", "relation", "signed_distance", "days_since", "superseded", "attributed") == [
        ("L1@0", "adjacent", -1, 80, "yes", "no"),
        ("L1@50", "adjacent", -1, 30, "no", "yes"),
    ]


def test_an_augmentation_of_the_day_itself_is_not_before_it_and_supersedes_nothing(paired):
    frame = paired("patient a\n0 treat L1\n50 treat L1 indication=prophylactic\n50 fracture L2")
    assert told(frame, "augmentation_id", "superseded", "attributed") == [("L1@0", "no", "yes")]


def test_a_treatment_without_a_date_is_before_every_sighting_and_nobody_knows_how_long(paired):
    frame = paired("patient a enrolled_on=0\nbefore treat L3\n0 treat L1\n30 fracture L2")
    assert told(frame, "augmentation_id", "signed_distance", "days_since", "superseded", "attributed") == [
        ("L3@before", 1, "", "no", "no"),
        ("L1@0", -1, 30, "no", "yes"),
    ]
    assert frame["augmented_on"].isna().tolist() == [True, False]
    assert frame["augmented_level"].tolist() == ["L3", "L1"]


def test_a_dated_treatment_supersedes_the_one_without_a_date(paired):
    frame = paired("patient a enrolled_on=0\nbefore treat L1\n40 treat L1 indication=prophylactic\n60 fracture L1")
    assert told(frame, "augmentation_id", "relation", "superseded", "attributed") == [
        ("L1@before", "same", "yes", "no"),
        ("L1@40", "same", "no", "yes"),
    ]


def test_each_row_has_the_relation_to_its_own_augmentation_alone(paired):
    text = "patient a\n0 treat T12\n0 treat L2\n0 treat L3\n30 fracture L1 id=f"
    alone = [("T12@0", "adjacent", -1), ("L2@0", "adjacent", 1), ("L3@0", "remote", 2)]
    assert told(paired(text), "augmentation_id", "relation", "signed_distance") == alone
    wide = paired(text, reach=2)
    assert wide["relation"].tolist() == ["adjacent", "adjacent", "adjacent"]
    assert wide.loc[wide["attributed"] == "yes", "augmentation_id"].tolist() == ["L2@0"]


def test_rows_come_in_the_order_of_the_sightings_then_of_the_augmentations_by_day_and_spine(paired):
    frame = paired(
        """
        patient b
         0 treat L3 id=z
        20 fracture L1 id=second
        patient a
         0 treat L3 id=k
         0 treat T12 id=m
        10 treat L5 indication=prophylactic id=j
        90 fracture L2 id=late
        30 fracture L4 id=lower
        30 fracture T8 id=upper
         5 fracture T4 id=early
        """
    )
    assert told(frame, "fracture_id", "augmentation_id") == [
        *[("early", one) for one in "mk"],
        *[(f, one) for f in ("upper", "lower", "late") for one in "mkj"],
        ("second", "z"),
    ]


def test_sightings_before_treatment_have_no_row_and_those_not_counted_have(paired):
    frame = paired("patient a\n-5 fracture T8\n0 treat L1\n30 fracture L2\n40 fracture L2")
    assert told(frame, "fracture_id", "counted") == [("L2@30", "yes"), ("L2@40", "no")]


@pytest.mark.parametrize("text", ["", "patient a", "patient a\n0 treat L1", "patient a\n5 fracture L1"])
def test_without_treatments_or_sightings_there_are_no_pairs(paired, text):
    frame = paired(text)
    assert len(frame) == 0
    assert tuple(frame.columns) == PAIR_COLUMNS


def test_an_empty_registry_has_no_relations_and_no_cascades():
    registry = Registry.of({})
    assert len(cohort.relations(registry)) == 0
    sightings = cohort.classify(registry)
    assert {"signed_distance", "n_treated", "cascade_of", "cascade_days", "cascade_length"} <= set(sightings)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reach", [1, 2])
def test_one_pair_of_each_treated_sighting_is_attributed_and_says_what_the_sighting_says(seed, reach):
    study = StudyDefinition().with_("relation", reach=reach)
    registry = Registry.of(random_registry(30, seed), study)
    sightings, long = prepare(registry).sightings, cohort.relations(registry)
    after = sightings[sightings["relation"] != "before_treatment"].set_index(["patient_id", "fracture_id"])
    mine = long[long["attributed"] == "yes"].set_index(["patient_id", "fracture_id"])
    assert mine.index.equals(after.index)
    for name in ("signed_distance", "days_since", "relation", "augmentation_id"):
        assert mine[name].astype(object).equals(after[name].astype(object)), name
    current = long[long["superseded"] == "no"]
    # Of every treated level one row is not superseded: their number is that of the treated set.
    counted = current.groupby(["patient_id", "fracture_id"]).size()
    assert counted.reindex(after.index).tolist() == after["n_treated"].astype(int).tolist()
    # The nearest decides: no treatment before lies nearer than the attributed one.
    nearest = long.assign(distance=long["signed_distance"].abs()).groupby(["patient_id", "fracture_id"])["distance"]
    assert nearest.min().reindex(after.index).tolist() == after["distance"].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_every_link_of_a_cascade_is_a_kept_neighbour_found_within_the_days_before(seed):
    sightings = prepare(Registry.of(random_registry(30, 50 + seed))).sightings
    key = sightings.set_index(["patient_id", "fracture_id"])
    linked = sightings[sightings["cascade_of"].notna()]
    before = key.loc[pd.MultiIndex.from_frame(linked[["patient_id", "cascade_of"]])].reset_index()
    linked = linked.reset_index(drop=True)
    assert len(linked) > 5
    assert (linked["kept"] == "yes").all()
    assert (before["kept"] == "yes").all()
    days = (linked["date"] - before["date"]).dt.days
    assert days.between(1, 90).all()
    assert (days == linked["cascade_days"]).all()
    assert (linked["cascade_length"] == before["cascade_length"] + 1).all()
    assert sightings.loc[sightings["kept"] != "yes", "cascade_length"].isna().all()
