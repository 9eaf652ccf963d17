# ruff: noqa: E501 (tables of cases are wider than code)
"""One fracture, many sightings (section 4): kept, repeated, old, settling."""

KEPT_AND_REPEATED = """
history                                                       | f is     | repeat_of | why
0 treat L1; 50 fracture L3; 60 fracture L3 id=f               | repeat   | L3@50     | seen before, not treated since
0 treat L1; -9 fracture L3; 60 fracture L3 id=f               | repeat   | L3@-9     | also when seen before treatment
0 treat L1; -9 fracture L1; 60 fracture L1 id=f               | counted  |           | treated since
0 treat L1; 0 fracture L1; 60 fracture L1 id=f                | counted  |           | treated on the day it was found
-9 fracture L1; 0 treat L1; 0 fracture L1 id=f                | before_treatment | L1@-9 | the day of treatment is not since; before_treatment comes first
0 treat L1; 50 fracture L3; 60 fracture L3; 70 fracture L3 id=f | repeat | L3@50     | of the one kept, never of a repeat
0 treat L1; 50 fracture L3; 60 fracture L2 id=f               | counted  |           | another level
0 treat L1; 50 fracture L3; 140 fracture L3 kind=new id=f     | repeat   | L3@50     | new within ninety days
0 treat L1; 50 fracture L3; 141 fracture L3 kind=new id=f     | counted  |           | new after ninety days: a healed vertebra broke again
0 treat L1; 50 fracture L3; 100 fracture L3; 145 fracture L3 kind=new id=f | counted | | the days run from the kept sighting, not from its repeat
0 treat L1; 50 fracture L3; 300 fracture L3 kind=new; 350 fracture L3 id=f | repeat | L3@300 | of the latest kept
0 treat L1; 50 fracture L3; 300 fracture L3 kind=new; 350 fracture L3 kind=new id=f | repeat | L3@300 | the days run from the latest kept
0 treat L1; 50 fracture L3; 900 fracture L3 id=f              | repeat   | L3@50     | unjudged is a repeat however late
0 treat L1; 50 fracture L1 kind=settling; 60 fracture L1 id=f | counted  |           | settling is not seen fractured
0 treat L1; 50 fracture L1; 60 fracture L1 kind=settling id=f | settling |           | and is never a repeat
0 treat L1; 50 fracture L1; 60 fracture L1 kind=progression id=f | repeat | L1@50    | progression is
0 treat L1; 50 fracture L3 kind=settling; 60 fracture L3 id=f | repeat   | L3@50     | settling at an untreated level is an unjudged fracture
before treat L1; -9 fracture L1; 60 fracture L1 id=f          | repeat   | L1@-9     | a treatment without a date lies before every day
0 treat L1; 50 fracture L1; 60 treat L1; 60 fracture L1 id=f  | repeat   | L1@50     | found on the day of re-treatment: treated up to it
0 treat L1; 50 fracture L1; 60 treat L1; 61 fracture L1 id=f  | counted  |           | found after it
"""


def test_kept_and_repeated(case, classified):
    found = classified(f"patient a enrolled_on=0\n{case.history.replace(';', chr(10))}", judgement={"enabled": False})
    assert found.reasons()["f"] == getattr(case, "f is")
    assert found["f"].repeat_of == case.repeat_of


OLD_IS_NEVER_AN_EVENT = """
history                                                         | f is    | repeat_of | why
0 treat L1; 50 fracture L3 kind=old id=f                        | old     |           | chronic when first seen
0 treat L1; 50 fracture L1 kind=old id=f                        | old     |           | at a treated level too
0 treat L1; 50 fracture L3; 60 fracture L3 kind=old id=f        | repeat  | L3@50     | of the kept sighting
0 treat L1; 50 fracture L3 kind=old; 60 fracture L3 kind=old id=f | repeat | L3@50    | of an earlier old
0 treat L1; 50 fracture L3 kind=old; 60 fracture L3 id=f        | repeat  | L3@50     | an untreated old makes later sightings repeats
0 treat L1; 50 fracture L3 kind=old; 60 fracture L3 kind=new id=f | counted |         | but kind new, even at once
0 treat L1; 50 fracture L3 kind=old; 60 fracture L3 kind=new; 70 fracture L3 id=f | repeat | L3@60 | then of the kept one
0 treat L1; 50 fracture L3 kind=old; 55 treat L3; 60 fracture L3 id=f | counted |     | until the level is treated
0 treat L1; 50 fracture L1 kind=old; 60 fracture L1 id=f        | counted |           | an old at a treated level makes no repeats
0 treat L1; 50 fracture L1 kind=old; 60 fracture L1 kind=old id=f | old   |           | not even of another old
0 treat L1; -9 fracture L3 kind=old; 60 fracture L3 id=f        | repeat  | L3@-9     | an old before treatment
0 treat L1; 50 fracture L3 kind=old; 50 fracture L3 id=f        | counted |           | on one day old comes last
0 treat L1; 50 fracture L3 kind=old id=f; 50 fracture L3        | repeat  | L3@50     | and repeats the one kept
"""


def test_old_is_never_an_event(case, classified):
    text = f"patient a\n{case.history.replace(';', chr(10))}"
    found = classified(text, relation={"staged_days": 0, "implied": False}, judgement={"enabled": False})
    assert found.reasons()["f"] == getattr(case, "f is")
    assert found["f"].repeat_of == case.repeat_of
    if getattr(case, "f is") == "old":
        assert found["f"].kept == "no"


OF_SEVERAL_ON_ONE_DAY = """
rows                                                          | kept | why
50 fracture L3 id=b; 50 fracture L3 id=a                      | a    | the id that sorts first
50 fracture L3 id=a9; 50 fracture L3 id=a10                   | a10  | as text
50 fracture L3 id=a; 50 fracture L3 id=b kind=new             | b    | judged before unjudged
50 fracture L3 id=a kind=old; 50 fracture L3 id=b             | b    | old last
50 fracture L3 id=a kind=progression; 50 fracture L3 id=b kind=new | b | progression at an untreated level is unjudged
"""


def test_of_several_on_one_day(case, classified):
    found = classified(f"patient a\n0 treat L1\n{case.rows.replace(';', chr(10))}")
    assert found.frame.loc[found.frame["kept"] == "yes", "fracture_id"].tolist() == [case.kept]
    assert set(found.frame.loc[found.frame["kept"] == "no", "repeat_of"]) == {case.kept}


def test_the_kept_sighting_takes_any_yes_of_its_day(classified):
    found = classified(
        """
        patient a
        0 treat L1
        50 fracture L3 id=a symptomatic=no
        50 fracture L3 id=b symptomatic=yes trauma=not_assessable
        50 fracture L3 id=c trauma=yes
        51 fracture L3 id=d symptomatic=no
        """
    )
    assert (found["a"].symptomatic, found["a"].trauma) == ("yes", "yes")
    assert (found["b"].trauma, found["d"].symptomatic) == ("not_assessable", "no")


def test_a_yes_of_a_later_day_stays_there(classified):
    found = classified("patient a\n0 treat L1\n50 fracture L3 symptomatic=no\n51 fracture L3 symptomatic=yes")
    assert found["L3@50"].symptomatic == "no"


def test_recorded_comes_before_implied_on_one_day(classified):
    # The recorded sighting lies on the day of the second session of three; the last one implies nothing new.
    found = classified(
        """
        patient a
        0 treat L1
        100 treat L4
        100 fracture L2 id=z
        200 treat L2 id=k
        """
    )
    assert found.reasons()["implied:k"] == "repeat"
    assert found["implied:k"].repeat_of == "z"


def test_healing_days_are_a_setting(classified):
    cohort = "patient a\n0 treat L1\n50 fracture L3\n60 fracture L3 kind=new"
    assert classified(cohort)["L3@60"].counted == "no"
    assert classified(cohort, relation={"healing_days": 9})["L3@60"].counted == "yes"


KINDS_AT_AN_UNTREATED_LEVEL = """
kind        | treated level | untreated level | why
progression | progression   | unjudged        | needs a treated vertebra
settling    | settling      | unjudged        | needs cement to settle on
occult      | occult        | unjudged        | of a treated vertebra
new         | new           | new             | says enough anywhere
old         | old           | old             | says enough anywhere, too
"""


def test_kinds_at_an_untreated_level(case, classified):
    found = classified(f"patient a\n0 treat L1\n9 fracture L1 kind={case.kind}\n9 fracture L4 kind={case.kind}")
    assert found["L1@9"].kind_judged == getattr(case, "treated level")
    assert found["L4@9"].kind_judged == getattr(case, "untreated level")
