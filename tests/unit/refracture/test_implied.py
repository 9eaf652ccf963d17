"""A later augmentation for fracture is evidence of a fracture (section 4, implied fractures)."""

IMPLIED = """
history                                                   | implied | why
0 treat L1; 100 treat L2                                  | yes     | a later session, and nobody listed a fracture
0 treat L1; 100 treat L2 indication=fracture              | yes     | with the indication stated
0 treat L1; 100 treat L2 indication=prophylactic          | no      | prophylactic needs no fracture
0 treat L1; 100 treat L2 indication=tumour                | no      | nor does a tumour
100 treat L2                                              | no      | the first session
0 treat L1; 100 fracture L2; 100 treat L2                 | no      | listed on the day
0 treat L1; 1 fracture L2; 100 treat L2                   | no      | listed since the last session
0 treat L1; 0 fracture L2; 100 treat L2                   | yes     | listed up to the last session only
0 treat L1; 50 treat L4; 40 fracture L2; 100 treat L2     | yes     | the latest session decides since when
0 treat L1; 50 fracture L2 kind=old; 100 treat L2         | no      | a sighting of any kind
0 treat L1; 50 fracture L3; 100 treat L2                  | yes     | a sighting of another level
0 treat L1; 10 treat L2                                   | no      | staged
0 treat L2; 100 treat L2                                  | yes     | the level itself, treated again
0 treat S1; 100 treat L2                                  | yes     | cement in S1 is a session
"""


def test_implied(case, classified):
    found = classified(f"patient a\n{case.history.replace(';', chr(10))} id=k")
    assert ("implied:k" in found.ids) == (case.implied == "yes")
    if case.implied == "yes":
        row = found["implied:k"]
        assert (row.implied, row.date, row.level, row.kind_judged) == ("yes", 100, "L2", "unjudged")
        assert (row.onset_unproven, row.origin_of_row) == ("no", "implied")


WITHOUT_A_DATE = """
enrolled         | history                                          | implied | why
enrolled_on=50   | before treat L1; 100 treat L2                    | yes     | enrolled before it
enrolled_on=100  | before treat L1; 100 treat L2                    | no      | enrolled on the day itself
                 | before treat L1; 100 treat L2                    | no      | never enrolled
enrolled_on=50   | before treat S1; 100 treat L2                    | yes     | cement in S1 serves too
enrolled_on=50   | 100 treat L2                                     | no      | nothing treated before
enrolled_on=50   | before treat L1; 60 fracture L2; 100 treat L2    | no      | listed since enrolment
enrolled_on=50   | before treat L1; 50 fracture L2; 100 treat L2    | yes     | listed on the day of enrolment
enrolled_on=50   | before treat L1; 20 treat L4; 30 fracture L2; 100 treat L2 | no | the dated session comes first
"""


def test_without_a_date(case, classified):
    found = classified(f"patient a {case.enrolled}\n{case.history.replace(';', chr(10))} id=k")
    assert ("implied:k" in found.ids) == (case.implied == "yes")


def test_the_treatment_without_a_date_implies_nothing(classified):
    assert classified("patient a enrolled_on=5\nbefore treat L1\nbefore treat L2").ids == []


def test_an_implied_sighting_follows_every_rule(classified):
    found = classified(
        """
        patient a
        -9 fracture L2
        0 treat L1
        100 treat L2 id=k     # L2 was broken before, and not treated since: the implied one repeats it
        300 treat L2 id=m     # treated meanwhile: broken again
        """
    )
    assert found.reasons() == {"L2@-9": "before_treatment", "implied:k": "repeat", "implied:m": "counted"}
    assert found["implied:k"].repeat_of == "L2@-9"
    assert (found["implied:m"].relation, found["implied:m"].augmentation_id) == ("same", "k")


def test_implied_takes_the_precision_of_its_treatment(classified):
    found = classified("patient a\n0 treat L1\n100 treat L2 id=k date_precision=month")
    assert found["implied:k"].date_precision == "month"


def test_implied_sightings_can_be_left_out(classified):
    found = classified("patient a\n0 treat L1\n100 treat L2", relation={"implied": False})
    assert found.ids == []
