# ruff: noqa: E501 (tables of cases are wider than code)
"""Which sightings count, and the first reason why others do not."""

import pytest

from cohort.domain.errors import DefinitionError, RegistryError

COUNTED = """
patient                   | history                                  | f is             | why
end=1000                  | 0 treat L1; 100 fracture L2              | counted          | a refracture at risk
end=100                   | 0 treat L1; 100 fracture L2              | counted          | the day of exit counts
end=99                    | 0 treat L1; 100 fracture L2              | after_exit       | the day after exit
end=1000 death=99         | 0 treat L1; 100 fracture L2              | after_exit       | death ends follow-up
end=99 death=500          | 0 treat L1; 100 fracture L2              | after_exit       | and does not prolong it
end=1000 enrolled_on=100  | 0 treat L1; 100 fracture L2              | not_after_entry  | found on the day of entry
end=1000 enrolled_on=99   | 0 treat L1; 100 fracture L2              | counted          | found the day after
end=1000 enrolled_on=-50  | 0 treat L1; 0 fracture L2                | before_treatment | before treatment comes first
end=1000                  | 0 treat S1; 100 fracture L2              | not_after_entry  | cement in S1 starts no follow-up
end=1000                  | 0 treat S1; 50 treat T8; 100 fracture L2 | counted          | the next session does
end=1000                  | before treat L1; 100 fracture L2         | not_after_entry  | neither date nor enrolment: no follow-up
end=1000 enrolled_on=10   | before treat L1; 100 fracture L2         | counted          | followed from enrolment
end=1000                  | before treat L1; 50 treat L4; 100 fracture L2 | counted     | else from the first dated augmentation
end=1000 enrolled_on=10   | before treat L1; 50 treat L4; 40 fracture L2  | counted     | enrolment, though the first dated one is later
end=1000                  | 0 treat L1; 100 fracture T4              | counted          | T4 is the first level at risk
end=1000                  | 0 treat L1; 100 fracture T3              | outside_levels   | T3 is above it
end=1000                  | 0 treat L1; 100 fracture S1              | outside_levels   | S1 is below the last lumbar
end=1000 n_lumbar=6       | 0 treat L1; 100 fracture L6              | counted          | the patient's own last lumbar
end=1000                  | 0 treat L1; always exclude L2; 100 fracture L2 | excluded_level | excluded always
end=1000                  | 0 treat L1; always exclude L3; 100 fracture L2 | counted    | another level is
end=1000                  | 0 treat L1; always exclude L2 from=100; 100 fracture L2 | counted | excluded only after the day
end=1000                  | 0 treat L1; always exclude L2 from=99; 100 fracture L2 | excluded_level | from the day before
end=1000                  | 0 treat L1; always exclude L2 to=100; 100 fracture L2 | excluded_level | up to the day
end=1000                  | 0 treat L1; always exclude L2 to=99; 100 fracture L2 | counted | up to the day before
end=50                    | 0 treat L1; 100 fracture T3              | after_exit       | the first reason that applies
end=1000                  | 0 treat L1; 100 fracture T3 kind=old     | old              | old before the level
"""


def test_counted(case, classified):
    found = classified(f"patient a {case.patient}\n{case.history.replace(';', chr(10))} id=f")
    assert found.reasons()["f"] == getattr(case, "f is")
    assert found["f"].counted == ("yes" if getattr(case, "f is") == "counted" else "no")


def test_an_excluded_level_still_separates_its_neighbours(classified):
    found = classified("patient a\n0 treat L1\nalways exclude L2\n9 fracture L3")
    assert found["L3@9"].relation == "remote"


def test_overlapping_exclusions_of_one_level(classified):
    found = classified(
        """
        patient a
        0 treat L1
        always exclude L2 from=10 to=60
        always exclude L2 from=20 to=30
        always exclude L2 from=90 to=80    # never
        40 fracture L2
        85 fracture L2 kind=new id=later
        """,
        relation={"healing_days": 0},
    )
    assert found.reasons() == {"L2@40": "excluded_level", "later": "counted"}


RANGE_AT_RISK = """
patient       | first | last | level | inside | why
              | T10   | L2   | L2    | yes    | to the named level
              | T10   | L2   | L3    | no     | not beyond it
              | T10   | L2   | T9    | no     | nor above the first
n_thoracic=13 | T13   | L2   | T13   | yes    | a T13 that is there
              | T13   | L2   | L1    | yes    | without T13 the range starts at L1
              | T13   | L2   | T12   | no     | and not above
n_lumbar=4    | T10   | L5   | L4    | yes    | without L5 the range ends at L4
n_lumbar=4    | T10   | L5   | S1    | no     | and not below
n_lumbar=4    | T10   | S1   | S1    | yes    | S1 when it is asked for
n_thoracic=11 | T12   | L5   | T11   | no     | without T12 the range starts at L1
"""


def test_range_at_risk(case, classified):
    found = classified(
        f"patient a {case.patient}\n0 treat T5\n9 fracture {case.level} id=f",
        at_risk={"first_level": case.first, "last_level": case.last},
    )
    assert found.reasons()["f"] == ("counted" if case.inside == "yes" else "outside_levels")


@pytest.mark.parametrize(("first", "last"), [("T99", None), ("L2", "T12"), ("T4", "lumbar")])
def test_an_impossible_range_is_refused(classified, first, last):
    with pytest.raises(DefinitionError, match="range at risk"):
        classified("patient a\n0 treat T5", at_risk={"first_level": first, "last_level": last})


ONSET_UNPROVEN = """
patient         | history                                       | unproven | why
                | 0 treat L1; 100 fracture L3                   | yes      | no clear film
                | 0 treat L1; 100 fracture L3 clear=-30         | no       | clear thirty days before entry
                | 0 treat L1; 100 fracture L3 clear=-31         | yes      | thirty-one are too many
enrolled_on=50  | 0 treat L1; 100 fracture L3 clear=20          | no       | entry is enrolment here
enrolled_on=50  | 0 treat L1; 100 fracture L3 clear=19          | yes      | and thirty days before it the limit
                | 0 treat L1; 100 fracture L1 clear=0           | no       | a treated level: clear on the day of treatment
                | 0 treat L1; 100 fracture L1 clear=-1          | yes      | clear before it proves nothing
                | 0 treat L1; 60 treat L1 indication=tumour; 100 fracture L1 clear=59 | yes | its latest augmentation
enrolled_on=50  | before treat L1; 100 fracture L1 clear=20     | no       | treated without a date: as elsewhere
enrolled_on=50  | before treat L1; 100 fracture L1 clear=19     | yes      | and no later than that
                | 0 treat L1; 100 fracture L3 kind=new          | no       | judged
                | 0 treat L1; 100 fracture L3 kind=progression  | yes      | a judgement that does not hold there
                | 0 treat L1; 100 fracture T3                   | no       | not counted
"""


def test_onset_unproven(case, classified):
    found = classified(f"patient a {case.patient}\n{case.history.replace(';', chr(10))} id=f")
    assert found["f"].onset_unproven == case.unproven


def test_leaving_unproven_onsets_out_is_for_the_stage_that_counts(classified):
    found = classified("patient a\n0 treat L1\n100 fracture L3", at_risk={"count_unproven": False})
    assert found["L3@100"].counted == "yes"


def test_a_row_without_its_patient_is_named_by_row_and_not_by_patient(tables_of, classified_tables):
    tables = tables_of("patient secret\n0 treat L1\n9 fracture L2\n9 fracture L3")
    tables["patients"] = tables["patients"].assign(patient_id="other")
    with pytest.raises(RegistryError, match="augmentations, row 2: patient_id has no row") as error:
        classified_tables(tables)
    assert "secret" not in str(error.value)


def test_a_level_the_patient_lacks_is_refused(classified):
    with pytest.raises(RegistryError, match="fractures, row 2: level is not a vertebra of this patient's spine"):
        classified("patient a n_lumbar=4\n0 treat L1\n9 fracture L5")


def test_a_patient_twice_is_refused(classified):
    with pytest.raises(RegistryError, match="repeat a patient_id"):
        classified("patient a\n0 treat L1\npatient a")
