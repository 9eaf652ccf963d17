"""A second session that finishes what the first began (section 4, staged treatment)."""

STAGED = """
history                                         | staged_from | why
0 treat L1; 10 treat L2                         | 0           | another level ten days later
0 treat L1; 14 treat L2                         | 0           | the fourteenth day is inside
0 treat L1; 15 treat L2                         |             | the fifteenth is not
0 treat L1; 0 treat L2                          |             | sessions on one day are one procedure
0 treat L1; 5 treat L4; 10 treat L2             | 0           | an untreated level: the earliest session of the window
0 treat L1; 5 treat L4; 16 treat L2             | 5           | the earliest that is still inside it
0 treat L2; 5 treat L4; 10 treat L2             | 0           | a treated level: its own latest augmentation
0 treat L2; 20 treat L4; 25 treat L2            |             | its own is too long ago, others do not matter
before treat L2; 20 treat L4; 25 treat L2       |             | its own has no date
before treat L1; 10 treat L2                    |             | without a date is no session
0 treat S1; 10 treat L2                         | 0           | cement in S1 is a session
0 treat L1; 10 treat L2 indication=prophylactic |             | prophylactic is not staged
0 treat L1; 10 treat L2 indication=tumour       |             | nor is a tumour
0 treat L1 indication=tumour; 10 treat L2       | 0           | whatever the first session was for
0 treat L1; 10 treat L2 indication=fracture     | 0           | a stated fracture is as a missing one
"""


def test_staged(case, classified):
    found = classified(f"patient a\n{case.history.replace(';', chr(10))} id=k")
    assert str(found.treatment("k").staged_from) == case.staged_from
    implied = {name for name in found.ids if name == "implied:k"}
    if case.staged_from:
        assert not implied, "no fracture is implied by a staged treatment"


def test_a_window_of_no_days_stages_nothing(classified):
    found = classified("patient a\n0 treat L1\n1 treat L2 id=k", relation={"staged_days": 0})
    assert found.treatment("k").staged_from == ""
    assert found.reasons() == {"implied:k": "counted"}


def test_wider_windows_stage_more(classified):
    cohort = "patient a\n0 treat L1\n30 treat L2 id=k\n60 treat L3 id=m"
    assert [
        [classified(cohort, relation={"staged_days": days}).treatment(k).staged_from for k in "km"]
        for days in (14, 30, 60)
    ] == [["", ""], [0, 30], [0, 0]]


SIGHTINGS_IN_A_STAGED_WINDOW = """
sighting                          | reason           | kept | why
1 fracture L2                     | staged           | yes  | the day after the first session
10 fracture L2                    | staged           | yes  | the day of the second
0 fracture L2                     | before_treatment | yes  | the day of the first
11 fracture L2                    | counted          | yes  | after the second
5 fracture L4                     | counted          | yes  | another level
5 fracture L2 kind=old            | old              | no   | old comes first
"""


def test_sightings_in_a_staged_window(case, classified):
    found = classified(f"patient a\n0 treat L1\n10 treat L2\n{case.sighting} id=f")
    assert found.reasons()["f"] == case.reason
    assert found["f"].kept == case.kept


def test_a_repeat_in_a_staged_window_is_a_repeat(classified):
    found = classified("patient a\n-3 fracture L2\n0 treat L1\n5 fracture L2\n10 treat L2")
    assert found.reasons() == {"L2@-3": "before_treatment", "L2@5": "repeat"}


EXEMPTED = """
again | sighting                                   | exempt | why
no    | 5 fracture L2 clear=0                      | yes    | clear on the day of the first session
no    | 5 fracture L2 clear=-1                     | no     | clear only before it
no    | 5 fracture L2                              | no     | nothing proves that it is new
no    | 5 fracture L2 kind=new                     | yes    | the registry calls it new
no    | 10 fracture L2 kind=new                    | yes    | on the day of the second session
no    | 11 fracture L2 kind=new                    | no     | after it
no    | 0 fracture L2 kind=new                     | no     | on the day of the first
no    | 5 fracture L2 kind=progression             | no     | progression says nothing at an untreated level
no    | 5 fracture L2 kind=occult                  | no     | nor does occult
no    | 5 fracture L2 kind=settling clear=2        | yes    | settling neither, but the clear film does
no    | 5 fracture L2 kind=old clear=2             | yes    | a clear film counts at an old one too
no    | 5 fracture L2 kind=old                     | no     | old alone does not
no    | 5 fracture L3 kind=new                     | no     | another level
yes   | 5 fracture L2 kind=progression             | yes    | progression of a treated vertebra
yes   | 5 fracture L2 kind=occult                  | yes    | occult too
yes   | 5 fracture L2 kind=new                     | yes    | and new
yes   | 5 fracture L2 kind=settling clear=2        | no     | settling of a treated vertebra is no fracture
yes   | 5 fracture L2 clear=0                      | yes    | clear on the day of the first session
"""


def test_exempted(case, classified):
    first = "0 treat L2" if case.again == "yes" else "0 treat L1"
    found = classified(f"patient a\n{first} id=p\n10 treat L2 id=k\n{case.sighting} id=f")
    assert found.treatment("k").staged_from == ("" if case.exempt == "yes" else 0)


def test_a_repeat_exempts_too(classified):
    found = classified(
        """
        patient a
        0 treat L1
        3 fracture L2 id=first
        5 fracture L2 id=second kind=new
        10 treat L2 id=k
        """
    )
    assert found.treatment("k").staged_from == ""
    assert found.reasons() == {"first": "counted", "second": "repeat"}


def test_a_kind_judged_from_imaging_exempts_nothing(classified):
    found = classified(
        """
        patient a
        0 treat L2 anterior_mm_after=20
        10 treat L2 id=k
        5 fracture L2 symptomatic=yes
        5 film L2 anterior=15
        """
    )
    assert found["L2@5"].kind_judged == "progression"
    assert found.treatment("k").staged_from == 0
    assert found.reasons() == {"L2@5": "staged"}


def test_an_imaging_sighting_in_a_staged_window_is_staged(classified):
    found = classified(
        """
        patient a
        0 treat L2 anterior_mm_after=20
        10 treat L2 id=k
        5 film L2 anterior=15
        """
    )
    assert found.reasons() == {"imaging:L2:2020-01-06": "staged"}
