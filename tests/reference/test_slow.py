"""The slow reference itself, held against cohorts worked out by hand from the rules.

Days are counted from 1 January 2020 (day 0). Unless a case says otherwise the patient has the usual 12 thoracic and
5 lumbar vertebrae and is followed to day 300.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from random_registry import canonical, tables_of
from slow import augmentations, classify, person_time, person_time_by_patient

from cohort.domain.study import StudyDefinition

STUDY = StudyDefinition()
Row = dict[str, Any]


def on(day: int | None) -> date | None:
    return None if day is None else date(2020, 1, 1) + timedelta(days=day)


def aug(id: str, level: str, day: int | None, indication: str | None = "fracture", **more: Any) -> Row:
    """One treated vertebra; no day means before_index."""
    precision = "before_index" if day is None else "day"
    return {"augmentation_id": id, "level": level, "date": on(day), "date_precision": precision,
            "indication": indication, **more}  # fmt: skip


def seen(id: str, level: str, day: int, kind: str | None = None, clear: int | None = None, **more: Any) -> Row:
    return {"fracture_id": id, "level": level, "date": on(day), "kind": kind, "last_clear_date": on(clear), **more}


def film(level: str, day: int, **more: Any) -> Row:
    return {"level": level, "date": on(day), **more}


def cohort(
    augmentations: list[Row],
    fractures: list[Row] = (),
    *,
    imaging: list[Row] = (),
    pain: dict[int, float] | None = None,
    excluded: list[Row] = (),
    end: int = 300,
    death: int | None = None,
    enrolled: int | None = None,
    **patient: Any,
) -> dict[str, pd.DataFrame]:
    """A cohort of one patient."""
    rows = {
        "patients": [{"follow_up_end": on(end), "death_date": on(death), "enrolled_on": on(enrolled), **patient}],
        "augmentations": augmentations,
        "fractures": fractures,
        "imaging": imaging,
        "assessments": [{"date": on(day), "pain": score} for day, score in (pain or {}).items()],
        "excluded_levels": excluded,
    }
    return tables_of({name: [{"patient_id": "p", **row} for row in table] for name, table in rows.items()})


def answers(tables: dict[str, pd.DataFrame], *columns: str, study: StudyDefinition = STUDY) -> dict[str, Any]:
    """By fracture id: the asked column, or the tuple of them."""
    frame = classify(tables, study, beyond=True).astype({"distance": object, "days_since": object}).astype(object)
    frame = frame.where(frame.notna(), None)
    return {
        row["fracture_id"]: row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns)
        for row in frame.to_dict("records")
    }


def verdicts(tables: dict[str, pd.DataFrame], study: StudyDefinition = STUDY) -> dict[str, str]:
    """By fracture id: `counted`, or why not."""
    return {id: because or "counted" for id, because in answers(tables, "not_counted_because", study=study).items()}


def days(tables: dict[str, pd.DataFrame], study: StudyDefinition = STUDY) -> dict[tuple[str, str], tuple[int, int]]:
    frame = person_time(tables, study)
    return {(r["level"], r["role"]): (r["vertebra_days"], r["events"]) for r in frame.to_dict("records")}


# ---------------- where the fracture lies


def test_the_nearest_treated_vertebra_decides_relation_side_and_attribution():
    tables = cohort(
        [aug("a12", "T12", 0), aug("a2", "L2", 0)],
        [seen("f1", "L1", 10), seen("f2", "L3", 10), seen("f3", "T10", 10), seen("f4", "T12", 10), seen("f5", "L5", 9)],
    )
    columns = ("relation", "distance", "side", "sandwiched", "augmentation_id", "treated_for", "days_since")
    assert answers(tables, *columns) == {
        "f1": ("adjacent", 1, "both", "yes", "a2", "", 10),  # as near to both, of one day: the more caudal
        "f2": ("adjacent", 1, "caudal", "no", "a2", "", 10),
        "f3": ("remote", 2, "cranial", "no", "a12", "", 10),
        "f4": ("same", 0, "", "no", "a12", "fracture", 10),
        "f5": ("remote", 3, "caudal", "no", "a2", "", 9),
    }
    assert list(classify(tables, STUDY)["fracture_id"]) == ["f5", "f3", "f4", "f1", "f2"]  # day, then spine


def test_an_augmentation_treats_what_was_found_up_to_its_day():
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L2", 60)], [seen("f1", "L1", 0), seen("f2", "L2", 60)])
    assert answers(tables, "relation", "sandwiched", "side", "counted") == {
        "f1": ("before_treatment", "", "", "no"),
        "f2": ("adjacent", "no", "caudal", "yes"),
    }


@pytest.mark.parametrize(
    ("spine", "treated", "level", "expected"),
    [
        ({"n_thoracic": 13}, "T12", "L1", ("remote", 2, "caudal")),
        ({"n_thoracic": 13}, "T12", "T13", ("adjacent", 1, "caudal")),
        ({"n_thoracic": 11}, "T11", "L1", ("adjacent", 1, "caudal")),
        ({"n_lumbar": 4}, "S1", "L4", ("adjacent", 1, "cranial")),
        ({"n_lumbar": 6}, "L5", "S1", ("remote", 2, "caudal")),
        ({}, "C7", "T1", ("adjacent", 1, "caudal")),
    ],
)
def test_neighbours_follow_the_patients_own_row(spine, treated, level, expected):
    tables = cohort([aug("a", treated, 0)], [seen("f", level, 10)], **spine)
    assert answers(tables, "relation", "distance", "side") == {"f": expected}


def test_of_two_as_near_the_later_augmentation_is_taken_and_a_dated_one_before_an_undated_one():
    tables = cohort([aug("a1", "T12", 50, "prophylactic"), aug("a2", "L2", 0)], [seen("f", "L1", 60)])
    assert answers(tables, "augmentation_id", "days_since") == {"f": ("a1", 10)}
    tables = cohort([aug("a1", "L1", 0, "prophylactic"), aug("a2", "L1", 100, "tumour")], [seen("f", "L1", 150)])
    assert answers(tables, "augmentation_id", "treated_for") == {"f": ("a2", "tumour")}
    tables = cohort([aug("a1", "T12", None), aug("a2", "L2", 0)], [seen("f", "L1", 60), seen("g", "T12", 60)])
    assert answers(tables, "augmentation_id", "days_since") == {"f": ("a2", 60), "g": ("a1", None)}


def test_one_level_and_day_is_one_treated_vertebra_with_the_id_first_as_text():
    tables = cohort([aug("b9", "L1", 0, "fracture"), aug("b10", "L1", 0, "prophylactic")], [seen("f", "L1", 10)])
    assert answers(tables, "augmentation_id", "treated_for") == {"f": ("b10", "prophylactic")}


def test_the_earliest_relation_is_that_of_the_day_after_the_last_clear_film():
    tables = cohort(
        [aug("a1", "L1", 0), aug("a3", "L3", 20, "prophylactic")],
        [seen("f1", "L4", 30, clear=19), seen("f2", "L2", 30, clear=-1), seen("f3", "L5", 40, clear=20)],
    )
    # Day 20 is not after the session of day 20, day 21 is; day 0 is before any treatment.
    assert answers(tables, "relation", "relation_earliest") == {
        "f1": ("adjacent", "remote"),
        "f2": ("adjacent", "before_treatment"),
        "f3": ("remote", "remote"),
    }


def test_a_wider_reach_makes_the_next_but_one_adjacent_and_leaves_sandwiched_alone():
    tables = cohort([aug("a1", "T12", 0), aug("a2", "L3", 0)], [seen("f", "L1", 10), seen("g", "T9", 10)])
    wide = STUDY.with_("relation", reach=2)
    assert answers(tables, "relation", "sandwiched", study=wide) == {"f": ("adjacent", "no"), "g": ("remote", "no")}


# ---------------- one fracture, many sightings


def test_a_fracture_seen_again_is_a_repeat_until_it_has_healed_and_is_judged_new():
    tables = cohort(
        [aug("a", "L1", 0)],
        [
            seen("f1", "L3", 10),
            seen("f2", "L3", 50),
            seen("f3", "L3", 100, "new"),  # 90 days after f1: not yet healed
            seen("f4", "L3", 101, "new"),
            seen("f5", "L3", 250),  # long healed, but not judged new
        ],
    )
    assert answers(tables, "repeat_of") == {"f1": "", "f2": "f1", "f3": "f1", "f4": "", "f5": "f4"}
    assert verdicts(tables) == {"f1": "counted", "f2": "repeat", "f3": "repeat", "f4": "counted", "f5": "repeat"}


def test_an_augmentation_of_the_level_ends_the_repeats_from_the_day_after():
    tables = cohort(
        [aug("a1", "L1", 0), aug("a3", "L3", 20)], [seen("f1", "L3", 10), seen("f2", "L3", 20), seen("f3", "L3", 21)]
    )
    assert answers(tables, "repeat_of", "relation") == {
        "f1": ("", "remote"), "f2": ("f1", "remote"), "f3": ("", "same"),
    }  # fmt: skip


def test_a_sighting_before_treatment_makes_the_later_one_a_repeat():
    tables = cohort([aug("a", "L1", 0)], [seen("f1", "L3", -200), seen("f2", "L3", 30), seen("f0", "L3", -100)])
    assert answers(tables, "repeat_of") == {"f1": "", "f0": "f1", "f2": "f1"}
    assert verdicts(tables) == {"f1": "before_treatment", "f0": "before_treatment", "f2": "repeat"}


def test_on_one_day_the_judged_sighting_is_kept_and_takes_any_yes():
    tables = cohort(
        [aug("a", "L1", 0)],
        [
            seen("b", "L3", 10, symptomatic="yes"),
            seen("a", "L3", 10, "old"),
            seen("z", "L3", 10, "new", symptomatic="no", trauma="not_assessable"),
            seen("c", "L3", 10),
            seen("d", "L3", 11, trauma="yes"),  # another day: its yes is its own
        ],
    )
    assert answers(tables, "repeat_of") == {"z": "", "a": "z", "b": "z", "c": "z", "d": "z"}
    assert answers(tables, "symptomatic", "trauma")["z"] == ("yes", "not_assessable")


def test_settling_at_an_untreated_level_sorts_as_unjudged():
    tables = cohort([aug("a", "L1", 0)], [seen("z", "L3", 10, "settling"), seen("c", "L3", 10)])
    assert answers(tables, "repeat_of", "kind_judged") == {"c": ("", "unjudged"), "z": ("c", "unjudged")}


def test_old_is_never_an_event_and_covers_an_untreated_level_until_judged_new():
    tables = cohort(
        [aug("a", "L1", 0)],
        [
            seen("o1", "L3", 10, "old"),
            seen("o2", "L3", 20, "old"),
            seen("f3", "L3", 30),
            seen("n4", "L3", 40, "new"),
            seen("o5", "L3", 45, "old"),
        ],
    )
    assert answers(tables, "repeat_of") == {"o1": "", "o2": "o1", "f3": "o1", "n4": "", "o5": "n4"}
    assert verdicts(tables) == {"o1": "old", "o2": "repeat", "f3": "repeat", "n4": "counted", "o5": "repeat"}


def test_old_stops_covering_the_level_once_it_is_augmented_and_never_covers_a_treated_one():
    tables = cohort(
        [aug("a1", "L1", 0), aug("a3", "L3", 50, "prophylactic")],
        [seen("o1", "L3", 10, "old"), seen("f2", "L3", 60), seen("o3", "L1", 10, "old"), seen("f4", "L1", 20)],
    )
    assert verdicts(tables) == {"o1": "old", "f2": "counted", "o3": "old", "f4": "counted"}


def test_settling_of_a_treated_vertebra_is_no_fracture_and_hides_none():
    tables = cohort([aug("a", "L1", 0)], [seen("s", "L1", 10, "settling"), seen("f", "L1", 20)])
    assert verdicts(tables) == {"s": "settling", "f": "counted"}


# ---------------- staged and implied


@pytest.mark.parametrize(
    ("day", "window", "expected"),
    [
        (14, 14, {}),  # the second session finishes what the first began
        (15, 14, {"implied:a2": ("adjacent", "yes", "yes")}),
        (14, 0, {"implied:a2": ("adjacent", "yes", "yes")}),
        (30, 30, {}),
    ],
)
def test_a_second_session_within_the_window_implies_no_fracture(day, window, expected):
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L2", day, None)])
    study = STUDY.with_("relation", staged_days=window)
    assert answers(tables, "relation", "implied", "counted", study=study) == expected


@pytest.mark.parametrize(
    ("kind", "clear", "expected"),
    [
        (None, None, "staged"),
        (None, -1, "staged"),
        (None, 0, "counted"),  # clear on the first session's day: it came after
        ("new", None, "counted"),
        ("progression", None, "staged"),  # says nothing about onset at an untreated level
        ("old", None, "old"),
        ("old", 3, "old"),
    ],
)
def test_a_fracture_between_two_sessions_is_staged_unless_shown_to_be_later(kind, clear, expected):
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L2", 14)], [seen("f", "L2", 7, kind, clear)])
    assert verdicts(tables) == {"f": expected}


@pytest.mark.parametrize(("kind", "expected"), [(None, "staged"), ("progression", "counted"), ("settling", "settling")])
def test_the_same_level_again_within_the_window_is_staged_unless_it_progressed(kind, expected):
    tables = cohort([aug("a1", "L1", 0), aug("a2", "L1", 10)], [seen("f", "L1", 5, kind)])
    assert verdicts(tables) == {"f": expected}


def test_the_staged_window_runs_from_the_earliest_session_within_it():
    tables = cohort(
        [aug("a1", "L1", 0), aug("a2", "T10", 10, "prophylactic"), aug("a3", "L3", 20)],
        [seen("f", "L3", 8), seen("g", "L3", 20)],
    )
    # Day 0 is more than 14 days before day 20, so p is day 10: the sighting of day 8 is not inside (10, 20].
    assert answers(tables, "not_counted_because", "repeat_of") == {"f": ("", ""), "g": ("repeat", "f")}


def test_an_implied_fracture_looks_back_to_the_latest_session_only():
    tables = cohort(
        [aug("a1", "L1", 0), aug("a2", "T10", 30, "prophylactic"), aug("a3", "L3", 60)], [seen("f", "L3", 25)]
    )
    # Nothing of L3 in (30, 60], so one is implied; it repeats the fracture of day 25.
    assert answers(tables, "repeat_of", "implied") == {"f": ("", "no"), "implied:a3": ("f", "yes")}
    assert verdicts(tables, STUDY.with_("relation", implied=False)) == {"f": "counted"}


def test_an_undated_level_and_the_day_of_enrolment_stand_in_for_a_session():
    tables = cohort([aug("a1", "L1", None), aug("a2", "L3", 30)], enrolled=0)
    assert answers(tables, "relation", "counted") == {"implied:a2": ("remote", "yes")}
    tables = cohort([aug("a1", "L1", None), aug("a2", "L3", 30)])  # entry is day 30, and nothing came before
    assert answers(tables, "relation") == {}
    tables = cohort([aug("a1", "S1", None), aug("a2", "L3", 30)], enrolled=0)  # S1 starts no follow-up: entry day 30
    assert answers(tables, "relation", "not_counted_because") == {"implied:a2": ("remote", "not_after_entry")}


def test_a_treated_level_augmented_again_for_fracture_is_a_retreatment_unless_staged():
    rows = [aug("a1", "L1", 0), aug("a2", "L1", 10), aug("a3", "L1", 60), aug("a4", "L1", 120, "prophylactic"),
            aug("a5", "L2", 120), aug("a6", "L3", None), aug("a7", "L3", 200, None)]  # fmt: skip
    frame = augmentations(cohort(rows), STUDY).set_index("augmentation_id")
    assert frame["retreats"].to_dict() == {
        "a1": "no", "a2": "no", "a3": "yes", "a4": "no", "a5": "no", "a6": "no", "a7": "yes",
    }  # fmt: skip
    assert frame["staged_from"].dropna().to_dict() == {"a2": pd.Timestamp(on(0))}


# ---------------- entry, exit, levels


def test_what_is_found_outside_follow_up_or_the_levels_at_risk_is_not_counted():
    fractures = [
        seen("f1", "T9", 20),
        seen("f2", "T8", 21),
        seen("f3", "T7", 200),
        seen("f4", "T6", 201),
        seen("f5", "T3", 100),
        seen("f6", "L3", 50),
        seen("f7", "L4", 51),
        seen("f8", "L5", 60),
        seen("f9", "S1", 60),
    ]
    excluded = [
        {"level": "L3", "from": on(50), "to": None},
        {"level": "L4", "from": on(50), "to": on(60)},
        {"level": "L5", "from": None, "to": on(59)},
    ]
    tables = cohort([aug("a", "L1", 0)], fractures, enrolled=20, death=200, end=250, excluded=excluded)
    assert verdicts(tables) == {
        "f1": "not_after_entry", "f2": "counted", "f3": "counted", "f4": "after_exit", "f5": "outside_levels",
        "f6": "counted", "f7": "excluded_level", "f8": "counted", "f9": "outside_levels",
    }  # fmt: skip


def test_cement_in_the_sacrum_alone_starts_no_follow_up():
    tables = cohort([aug("a", "S1", 0)], [seen("f", "L5", 10)])
    assert answers(tables, "relation", "not_counted_because") == {"f": ("adjacent", "not_after_entry")}
    assert days(tables) == {}


@pytest.mark.parametrize(
    ("level", "clear", "expected"),
    [("T8", None, "yes"), ("T8", -10, "no"), ("T8", -11, "yes"), ("L1", -1, "yes"), ("L1", 0, "no"),
     ("T12", -10, "no"), ("T12", -11, "yes")],
)  # fmt: skip
def test_a_clear_film_near_enough_proves_the_onset(level, clear, expected):
    # Entry is day 20, so elsewhere a film of day -10 is near enough; T12 has only cement of an unknown day.
    tables = cohort([aug("a1", "L1", 0), aug("a2", "T12", None)], [seen("f", level, 100, clear=clear)], enrolled=20)
    assert answers(tables, "onset_unproven") == {"f": expected}


# ---------------- settling, progression, occult

AFTER = {"anterior_mm_after": 20.0, "pain_after": 2.0}


@pytest.mark.parametrize(
    ("height", "edema", "pain", "kind"),
    [
        (17.0, "no", 4.0, "progression"),
        (17.0, "no", 3.9, "asymptomatic_collapse"),
        (17.0, "no", None, "unjudged"),
        (17.1, "yes", 4.0, "unjudged"),
        (18.0, "no", 3.0, "settling"),
        (18.0, "no", None, "unjudged"),
        (18.1, "yes", 4.0, "occult"),
        (18.1, "yes", 3.0, "unjudged"),
        (18.1, "no", 4.0, None),
    ],
)
@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "seen on film only"])
def test_the_nine_cells(height, edema, pain, kind, recorded):
    tables = cohort(
        [aug("a", "L1", 0, **AFTER)],
        [seen("f", "L1", 90)] if recorded else [],
        imaging=[film("L1", 50, edema="no"), film("L1", 100, anterior_mm=height, edema=edema)],
        pain={} if pain is None else {100: pain},
    )
    id = "f" if recorded else "imaging:L1:2020-04-10"
    because = kind if kind in ("settling", "asymptomatic_collapse") else ""
    expected = {id: (kind or "unjudged", because)} if recorded or kind else {}
    assert answers(tables, "kind_judged", "not_counted_because") == expected


def test_a_film_is_measured_against_the_first_one_after_treatment():
    films = [film("L1", 43, anterior_mm=10.0), film("L1", 42, anterior_mm=20.0), film("L1", 100, anterior_mm=17.0)]
    # Day 42 is a baseline, day 43 no longer; the film of day 43 has lost half.
    tables = cohort([aug("a", "L1", 0)], [], imaging=films)
    assert answers(tables, "kind_judged") == {"imaging:L1:2020-02-13": "unjudged", "imaging:L1:2020-04-10": "unjudged"}
    tables = cohort([aug("a", "L1", 0)], [], imaging=[films[0], films[2]])
    assert answers(tables, "kind_judged") == {}


def test_a_loss_of_exactly_ten_percent_is_met_whatever_binary_fractions_make_of_it():
    # 18.5 to 16.65 mm: in floating point 0.0999...
    tables = cohort([aug("a", "L1", 0, anterior_mm_after=18.5)], imaging=[film("L1", 100, anterior_mm=16.65)])
    assert answers(tables, "kind_judged") == {"imaging:L1:2020-04-10": "unjudged"}


@pytest.mark.parametrize(
    ("measures", "cleft_before", "met"),
    [
        ({"cleft": "yes"}, "no", True),
        ({"cleft": "yes"}, "yes", False),
        ({"cleft": "yes"}, None, False),
        ({"cleft": "not_assessable"}, "no", False),
        ({"kyphosis_deg": 20.0}, "yes", True),
        ({"kyphosis_deg": 19.0}, "yes", False),
    ],
)
def test_kyphosis_or_a_cleft_not_there_before_is_enough(measures, cleft_before, met):
    tables = cohort(
        [aug("a", "L1", 0, kyphosis_deg_after=10.0, cleft_before=cleft_before)], imaging=[film("L1", 100, **measures)]
    )
    assert answers(tables, "kind_judged") == ({"imaging:L1:2020-04-10": "unjudged"} if met else {})


def test_pain_cannot_be_attributed_while_another_vertebra_is_newly_fractured_unless_the_registry_did():
    def tables(**f):
        return cohort(
            [aug("a", "L1", 0, **AFTER)], [seen("f", "L1", 90, **f), seen("g", "T8", 160, "new")],
            imaging=[film("L1", 100, anterior_mm=16.0)], pain={100: 8.0},
        )  # fmt: skip

    assert answers(tables(), "kind_judged")["f"] == "unjudged"
    assert answers(tables(symptomatic="not_assessable"), "kind_judged")["f"] == "unjudged"
    assert answers(tables(symptomatic="no"), "kind_judged")["f"] == "asymptomatic_collapse"
    assert answers(tables(symptomatic="yes"), "kind_judged")["f"] == "progression"


def test_pain_is_compared_with_the_lowest_earlier_score_after_treatment():
    def kind(pain):
        tables = cohort(
            [aug("a", "L1", 0, anterior_mm_after=20.0)], imaging=[film("L1", 100, anterior_mm=16.0)], pain=pain
        )
        return answers(tables, "kind_judged")["imaging:L1:2020-04-10"]

    assert kind({-5: 0.0, 20: 5.0, 40: 3.0, 100: 5.0}) == "progression"
    assert kind({-5: 0.0, 20: 5.0, 100: 5.0}) == "asymptomatic_collapse"  # day -5 is before treatment
    assert kind({-5: 0.0, 100: 9.0}) == "unjudged"  # nothing to compare with
    assert kind({20: 3.0, 131: 9.0}) == "unjudged"  # 31 days from the film
    assert kind({20: 3.0, 95: 9.0, 105: 3.0}) == "progression"  # of two as near, the earlier


def test_the_lowest_score_is_the_lowest_even_of_two_on_one_day():
    # Day 8 has a 3 and a 7: the lowest score before the film is 3, and 8 is worse than that.
    tables = cohort([aug("a", "L1", 0, anterior_mm_after=20.0)], imaging=[film("L1", 100, anterior_mm=16.0)])
    scores = [{"patient_id": "p", "date": on(day), "pain": pain} for day, pain in ((8, 3.0), (8, 7.0), (102, 8.0))]
    tables["assessments"] = canonical("assessments", scores)
    assert answers(tables, "kind_judged") == {"imaging:L1:2020-04-10": "progression"}


def test_a_score_before_treatment_is_nobodys_pain_afterwards():
    tables = cohort([aug("a", "L1", 0, **AFTER)], imaging=[film("L1", 5, anterior_mm=16.0)], pain={-2: 9.0, 30: 2.0})
    assert answers(tables, "kind_judged") == {"imaging:L1:2020-01-06": "asymptomatic_collapse"}


@pytest.mark.parametrize(("day", "kind"), [(110, "progression"), (111, "unjudged")])
def test_a_film_after_the_next_augmentation_shows_another_vertebra(day, kind):
    # Augmented again on day 110: the film of that day still shows what the first augmentation left.
    tables = cohort(
        [aug("a1", "L1", 0, **AFTER), aug("a2", "L1", 110)], [seen("f", "L1", 100, symptomatic="yes")],
        imaging=[film("L1", day, anterior_mm=16.0)],
    )  # fmt: skip
    assert answers(tables, "kind_judged")["f"] == kind


def test_asymptomatic_collapse_counts_in_the_radiographic_tier_and_hides_nothing_in_the_clinical_one():
    tables = cohort(
        [aug("a", "L1", 0, **AFTER)], [seen("g", "L1", 200, "progression")],
        imaging=[film("L1", 100, anterior_mm=16.0)], pain={100: 2.0},
    )  # fmt: skip
    assert verdicts(tables) == {"imaging:L1:2020-04-10": "asymptomatic_collapse", "g": "counted"}
    radiographic = STUDY.with_("judgement", tier="radiographic")
    assert verdicts(tables, radiographic) == {"imaging:L1:2020-04-10": "counted", "g": "repeat"}
    assert verdicts(tables, STUDY.with_("judgement", enabled=False)) == {"g": "counted"}


# ---------------- time at risk


def test_every_vertebra_at_risk_gives_its_days_in_the_role_it_has():
    tables = cohort([aug("a1", "L1", 0, "tumour"), aug("a3", "L3", 5, "prophylactic")], end=10, death=10)
    expected = {(f"T{i}", "remote"): (10, 0) for i in range(4, 12)}
    expected |= {
        ("T12", "adjacent"): (10, 0),
        ("L1", "treated_tumour"): (10, 0),
        ("L2", "adjacent"): (10, 0),
        ("L3", "remote"): (5, 0),  # the day of its procedure belongs to the earlier role
        ("L3", "treated_prophylactic"): (5, 0),
        ("L4", "remote"): (5, 0),
        ("L4", "adjacent"): (5, 0),
        ("L5", "remote"): (10, 0),
    }
    assert days(tables) == expected
    assert list(days(tables)) == sorted(
        expected, key=lambda cell: ([*(f"T{i}" for i in range(4, 13)), *(f"L{i}" for i in range(1, 6))].index(cell[0]),
                                    ["treated_prophylactic", "treated_tumour", "adjacent", "remote"].index(cell[1]))
    )  # fmt: skip


def test_a_fractured_vertebra_is_off_risk_while_it_heals_then_only_a_new_one_counts():
    tables = cohort([aug("a", "L1", 0)], [seen("f", "T12", 3)], end=100)
    frame = person_time_by_patient(tables, STUDY).set_index("level").loc["T12"]
    # Days 1-3 at risk, 4-93 healing, 94-100 at risk of a new fracture.
    assert frame[["vertebra_days", "healed_days", "events", "unproven_events"]].tolist() == [10, 7, 1, 1]


def test_an_augmentation_ends_the_healing_and_a_staged_level_waits_for_it():
    tables = cohort([aug("a1", "L1", 0), aug("a2", "T12", 40)], [seen("f", "T12", 30)], end=100)
    assert days(tables)["T12", "adjacent"] == (30, 1)  # days 1-30
    assert days(tables)["T12", "treated"] == (60, 0)  # days 41-100
    tables = cohort([aug("a1", "L1", 0), aug("a2", "T12", 14)], [seen("f", "T12", 7)], end=100)
    assert ("T12", "adjacent") not in days(tables)  # days 1-14 wait, and the sighting of day 7 is staged
    assert days(tables)["T12", "treated"] == (86, 0)
    assert days(tables)["L2", "adjacent"] == (100, 0)


def test_an_excluded_level_gives_no_days_and_still_separates_its_neighbours():
    tables = cohort([aug("a", "L1", 0)], end=10, excluded=[{"level": "L2", "from": on(3), "to": on(6)}])
    assert days(tables)["L2", "adjacent"] == (7, 0)
    assert days(tables)["L3", "remote"] == (10, 0)


def test_cement_above_the_range_at_risk_makes_its_neighbour_adjacent():
    tables = cohort([aug("a", "T3", 0)], end=10)
    assert days(tables)["T4", "adjacent"] == (10, 0)
    assert ("T3", "treated") not in days(tables)


def test_incomplete_patients_give_no_person_time_unless_asked_for():
    tables = cohort([aug("a", "L1", 0)], end=10, incomplete="yes")
    assert days(tables) == {}
    assert days(tables, STUDY.with_("population", include_incomplete=True))["L1", "treated"] == (10, 0)


def test_an_exit_on_the_day_of_entry_gives_no_time():
    assert days(cohort([aug("a", "L1", 5)], end=5)) == {}
