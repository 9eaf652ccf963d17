# ruff: noqa: E501 (tables of cases are wider than code)
"""Same-level refracture is not settling (section 5)."""

import pytest

# L1 is treated on day 0 to 20.0 mm and 5 degrees, with pain 2 after; the film and the score are of day 100.
TREATED = "0 treat L1 anterior_mm_after=20 kyphosis_deg_after=5 pain_after=2 cleft_before=no"

CELLS = """
film                                 | pain | cell                | kind                  | why
anterior=17                          | 4    | collapse:worse      | progression           | 15 % lost, two points worse
anterior=17                          | 3    | collapse:not_worse  | asymptomatic_collapse | one point is not worse
anterior=17                          |      | collapse:unknown    | unjudged              | no score
anterior=17.1                        | 4    | partial_loss:worse  | unjudged              | 14.5 % lost
anterior=18                          | 3    | partial_loss:not_worse | settling           | 10 % lost, no worse
anterior=18                          |      | partial_loss:unknown | unjudged             | no score
anterior=18.1                        | 4    |                     | unjudged              | 9.5 % is in no row
anterior=19 edema=yes                | 4    | edema:worse         | occult                | height kept, new edema, worse
anterior=19 edema=yes                | 3    | edema:not_worse     | unjudged              | new edema alone
anterior=19 edema=yes                |      | edema:unknown       | unjudged              | no score
anterior=21 edema=yes                | 4    | edema:worse         | occult                | taller than before is no loss
anterior=19 edema=no                 | 4    |                     | unjudged              | nothing to see
anterior=19 edema=not_assessable     | 4    |                     | unjudged              | edema that cannot be told
kyphosis=15                          | 4    | collapse:worse      | progression           | ten degrees more
kyphosis=14.9                        | 4    |                     | unjudged              | less than ten
kyphosis=15 anterior=18              | 4    | collapse:worse      | progression           | the first row that is met
cleft=yes                            | 4    | collapse:worse      | progression           | a cleft not there before
cleft=not_assessable                 | 4    |                     | unjudged              | a cleft that cannot be told
edema=yes                            | 4    |                     | unjudged              | with the loss unknown only the first row can be met
"""


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "only on film"])
def test_cells(case, classified, listed):
    score = f"100 pain {case.pain}" if case.pain else ""
    sighting = "100 fracture L1 id=f" if listed else ""
    found = classified(f"patient a\n{TREATED}\n30 film L1 edema=no\n{sighting}\n100 film L1 {case.film}\n{score}")
    if not listed and not case.cell:
        assert found.ids == []
        return
    row = found["f" if listed else "imaging:L1:2020-04-10"]
    assert (row.judged_cell, row.kind_judged) == (case.cell, case.kind)
    assert row.film_date == 100
    if not listed:
        assert (row.implied, row.origin_of_row, row.onset_unproven) == ("no", "imaging", "no")


RECORDED_PAIN = """
symptomatic    | pain | cell               | why
yes            | 2    | collapse:worse     | the row overrides the score
no             | 9    | collapse:not_worse | either way
not_assessable | 9    | collapse:worse     | what could not be told leaves it to the score
no             |      | collapse:not_worse | without a score too
"""


def test_recorded_pain(case, classified):
    score = f"100 pain {case.pain}" if case.pain else ""
    found = classified(
        f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 fracture L1 symptomatic={case.symptomatic}\n{score}"
    )
    assert found["L1@100"].judged_cell == case.cell


PAIN_SCORES = """
scores                                | cell                | change | why
130 pain 5                            | collapse:worse      | 3      | thirty days off is near enough
131 pain 5                            | collapse:unknown    |        | thirty-one is not
90 pain 5; 110 pain 2                 | collapse:worse      | 3      | of two as near the earlier
95 pain 5; 104 pain 2                 | collapse:not_worse  | 0      | the nearest, though it lies after the film
40 pain 0; 100 pain 3                 | collapse:worse      | 3      | the lowest since treatment
40 pain 0; 50 pain 9; 100 pain 2      | collapse:worse      | 2      | two points are worse
-5 pain 0; 100 pain 3                 | collapse:not_worse  | 1      | a score before treatment is not since
0 pain 0; 100 pain 3                  | collapse:not_worse  | 1      | nor is one of the day of treatment
100 pain 1; 100 pain 5                | collapse:worse      | 3      | of several on a day the worst
110 pain 1; 98 pain 5                 | collapse:worse      | 3      | a score after the film is not before it
"""


def test_pain_scores(case, classified):
    found = classified(
        f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 fracture L1\n{case.scores.replace(';', chr(10))}"
    )
    assert found["L1@100"].judged_cell == case.cell
    assert found["L1@100"].pain_change == (float(case.change) if case.change else "")


def test_without_any_earlier_score_pain_is_unknown(classified):
    found = classified(
        "patient a\n0 treat L1 anterior_mm_after=20\n100 film L1 anterior=15\n100 pain 9\n100 fracture L1"
    )
    assert found["L1@100"].judged_cell == "collapse:unknown"


ANOTHER_VERTEBRA_TAKES_THE_PAIN_AWAY = """
other                                         | pain      | why
                                              | worse     | nothing else broke
160 fracture L4                               | unknown   | sixty days off
161 fracture L4                               | worse     | sixty-one
40 fracture L4                                | unknown   | before the film too
100 fracture L4 kind=old                      | worse     | an old fracture is not new
-20 fracture L4; 100 fracture L4              | worse     | nor is a repeat
-20 fracture L4; 100 fracture L4 kind=new     | unknown   | but a healed one that broke again
100 fracture L1 id=g                          | worse     | the same vertebra is no other
0 treat T6; 100 fracture T6 kind=settling     | worse     | settling is no fracture
"""


def test_another_vertebra_takes_the_pain_away(case, classified):
    found = classified(
        f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 pain 8\n100 fracture L1 id=f\n"
        + case.other.replace(";", "\n")
    )
    assert found["f"].judged_cell == f"collapse:{case.pain}"


def test_recorded_symptomatic_stands_although_another_vertebra_broke(classified):
    found = classified(
        f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 fracture L1 symptomatic=yes\n100 fracture L4"
    )
    assert found["L1@100"].kind_judged == "progression"


FILM_OF_A_SIGHTING = """
films                                               | film | why
130 film L1 anterior=15                             | 130  | thirty days after
131 film L1 anterior=15                             |      | thirty-one are too many
70 film L1 anterior=15                              | 70   | thirty days before
90 film L1 anterior=15; 110 film L1 anterior=15     | 90   | of two as near the earlier
90 film L1 anterior=15; 109 film L1 anterior=15     | 109  | the nearest
100 film L2 anterior=15                             |      | another level
"""


def test_film_of_a_sighting(case, classified):
    found = classified(f"patient a\n{TREATED}\n100 fracture L1 id=f\n{case.films.replace(';', chr(10))}")
    assert str(found["f"].film_date) == case.film


def test_a_film_of_the_day_of_treatment_or_before_does_not_show_what_came_after(classified):
    found = classified(f"patient a\n{TREATED}\n0 film L1 anterior=9\n-5 film L1 anterior=9\n10 fracture L1")
    assert found["L1@10"].film_date == ""


BASELINES = """
treat                | films                                                        | loss | why
anterior_mm_after=20 | 10 film L1 anterior=30; 100 film L1 anterior=15              | 0.25 | the treatment's own column comes first
                     | 10 film L1 anterior=20; 100 film L1 anterior=15              | 0.25 | else the first film
                     | 10 film L1 kyphosis=2; 42 film L1 anterior=20; 100 film L1 anterior=15 | 0.25 | that has the measure, within 42 days
                     | 43 film L1 anterior=20; 100 film L1 anterior=15              |      | forty-three are too many
                     | 0 film L1 anterior=20; 100 film L1 anterior=15               |      | the day of treatment is not after it
                     | 10 film L1 anterior=20; 10 film L1 anterior=24; 100 film L1 anterior=15 | 0.25 | two rows of a day are one film: the least height
anterior_mm_after=20 | 100 film L1 anterior=15; 100 film L1 anterior=19             | 0.25 | on the film as on the baseline
"""


def test_baselines(case, classified):
    found = classified(f"patient a\n0 treat L1 {case.treat}\n100 fracture L1\n{case.films.replace(';', chr(10))}")
    assert str(found["L1@100"].anterior_loss) == case.loss


def test_a_film_is_not_compared_with_itself(classified):
    found = classified("patient a\n0 treat L1\n20 film L1 anterior=15 kyphosis=30\n20 fracture L1")
    row = found["L1@20"]
    assert (row.film_date, row.anterior_loss, row.kyphosis_change_deg) == (20, "", "")


def test_a_level_treated_without_a_date_has_only_its_own_columns_as_baseline(classified):
    cohort = (
        "patient a enrolled_on=0\nbefore treat L1 {}\n10 film L1 anterior=20\n100 film L1 anterior=15\n100 fracture L1"
    )
    assert classified(cohort.format(""))["L1@100"].anterior_loss == ""
    assert classified(cohort.format("anterior_mm_after=20"))["L1@100"].anterior_loss == 0.25


def test_the_latest_treatment_is_the_one_compared_with(classified):
    found = classified(
        """
        patient a
        0 treat L1 anterior_mm_after=30
        60 treat L1 anterior_mm_after=20
        100 film L1 anterior=19
        100 fracture L1
        """
    )
    assert found["L1@100"].anterior_loss == pytest.approx(0.05)


ROUND_NUMBERS_ARE_NOT_LOST_IN_BINARY = """
after | film | cell            | why
26.0  | 22.1 | collapse:worse  | 15 % of 26.0 mm
22.0  | 18.7 | collapse:worse  | 15 % of 22.0 mm
21.0  | 18.9 | partial_loss:worse | 10 % of 21.0 mm
"""


def test_round_numbers_are_not_lost_in_binary(case, classified):
    found = classified(
        f"patient a\n0 treat L1 anterior_mm_after={case.after}\n9 film L1 anterior={case.film}\n"
        "9 fracture L1 symptomatic=yes"
    )
    assert found["L1@9"].judged_cell == case.cell


A_CLEFT_NOT_THERE_BEFORE = """
before         | films                                                       | new | why
no             | 100 film L1 cleft=yes                                       | yes | none before treatment
yes            | 100 film L1 cleft=yes                                       | no  | there before treatment
               | 100 film L1 cleft=yes                                       |     | nothing earlier recorded
not_assessable | 100 film L1 cleft=yes                                       |     | looked for in vain
yes            | 10 film L1 cleft=no; 100 film L1 cleft=yes                  | yes | the first film after treatment comes first
no             | 10 film L1 cleft=yes; 100 film L1 cleft=yes                 | no  | there on it
               | 43 film L1 cleft=no; 100 film L1 cleft=yes                  |     | too late for a first film
no             | 100 film L1 cleft=no                                        | no  | none on this film
no             | 100 film L1 cleft=no; 100 film L1 cleft=yes                 | yes | two rows of a day: yes before no
"""


def test_a_cleft_not_there_before(case, classified):
    given = f"cleft_before={case.before}" if case.before else ""
    found = classified(f"patient a\n0 treat L1 {given}\n100 fracture L1\n{case.films.replace(';', chr(10))}")
    assert found["L1@100"].new_cleft == case.new


NEW_EDEMA = """
films                                                                     | new | why
50 film L1 edema=no; 100 film L1 edema=yes                                | yes | not on the film before
50 film L1 edema=yes; 100 film L1 edema=yes                               | no  | there already
100 film L1 edema=yes                                                     |     | nothing earlier recorded
20 film L1 edema=no; 50 film L1 edema=yes; 100 film L1 edema=yes          | no  | the latest before decides
20 film L1 edema=yes; 50 film L1 edema=no; 60 film L1 kyphosis=1; 100 film L1 edema=yes | yes | the latest that records it
-9 film L1 edema=no; 0 film L1 edema=no; 100 film L1 edema=yes            |     | films up to treatment do not tell
"""


def test_new_edema(case, classified):
    found = classified(f"patient a\n0 treat L1\n100 fracture L1\n{case.films.replace(';', chr(10))}")
    assert found["L1@100"].new_edema == case.new


CHANGED_FILMS = """
first                        | later                       | changed | why
posture=supine               | posture=standing            | yes     | the posture changed
posture=supine               | posture=supine              | no      | it did not
modality=ct posture=supine   | modality=mri posture=supine | yes     | the modality changed
modality=ct                  | posture=supine              |         | nothing to compare
"""


def test_changed_films(case, classified):
    found = classified(
        f"patient a\n0 treat L1\n9 film L1 anterior=20 {case.first}\n100 film L1 anterior=15 {case.later}\n100 fracture L1"
    )
    assert found["L1@100"].film_changed == case.changed


def test_without_a_baseline_film_a_change_of_films_cannot_be_told(classified):
    found = classified(f"patient a\n{TREATED}\n100 film L1 anterior=15 posture=supine\n100 fracture L1")
    assert found["L1@100"].film_changed == ""


ONLY_ON_FILM = """
history                                           | sighting | why
100 film L1 anterior=15                           | yes      | a cell is met, and nothing listed
100 film L1 anterior=15; 130 fracture L1          | no       | listed within thirty days
100 film L1 anterior=15; 131 fracture L1          | yes      | listed later than that
100 film L1 anterior=15; 70 fracture L1 kind=old  | no       | a row of any kind
100 film L1 anterior=15; 100 fracture L2          | yes      | of that level
100 film L1 anterior=19                           | no       | no cell is met
100 film L2 anterior=15 cleft=yes                 | no       | the level is not treated
"""


def test_only_on_film(case, classified):
    found = classified(f"patient a\n{TREATED}\n{case.history.replace(';', chr(10))}")
    assert ("imaging:L1:2020-04-10" in found.ids) == (case.sighting == "yes")


def test_later_films_of_one_collapse_repeat_the_first(classified):
    found = classified(
        f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 pain 8\n200 film L1 anterior=14\n200 pain 8"
    )
    assert found.reasons() == {"imaging:L1:2020-04-10": "counted", "imaging:L1:2020-07-19": "repeat"}


def test_an_imaging_sighting_sorts_with_the_recorded_and_before_the_implied(classified):
    found = classified(f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 pain 8\n100 treat L1 id=k")
    assert found.reasons() == {"imaging:L1:2020-04-10": "counted", "implied:k": "repeat"}


def test_a_kind_judged_here_acts_as_if_recorded(classified):
    found = classified(
        f"patient a\n{TREATED}\n100 film L1 anterior=18\n100 pain 2\n100 fracture L1\n300 fracture L1 symptomatic=yes"
    )
    assert found.reasons() == {"L1@100": "settling", "L1@300": "counted"}


def test_what_the_registry_judged_stays(classified):
    found = classified(f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 pain 8\n100 fracture L1 kind=settling")
    assert (found["L1@100"].kind_judged, found["L1@100"].judged_cell) == ("settling", "")


def test_an_implied_sighting_of_a_treated_level_is_judged_too(classified):
    found = classified(f"patient a\n{TREATED}\n90 film L1 anterior=18\n90 pain 2\n100 treat L1 id=k")
    assert found["implied:k"].kind_judged == "settling"


ASYMPTOMATIC = f"patient a\n{TREATED}\n100 film L1 anterior=15\n100 pain 2\n100 fracture L1\n300 fracture L1"


def test_asymptomatic_collapse_is_no_refracture_in_the_clinical_tier(classified):
    found = classified(ASYMPTOMATIC)
    assert found.reasons() == {"L1@100": "asymptomatic_collapse", "L1@300": "counted"}
    assert found["L1@100"].kept == "no"


def test_asymptomatic_collapse_may_be_a_repeat(classified):
    found = classified(f"patient a\n{TREATED}\n50 fracture L1\n100 film L1 anterior=15\n100 pain 2\n100 fracture L1")
    assert found.reasons() == {"L1@50": "counted", "L1@100": "repeat"}


def test_the_radiographic_tier_adds_asymptomatic_collapse(classified):
    found = classified(ASYMPTOMATIC, judgement={"tier": "radiographic"})
    assert found.reasons() == {"L1@100": "counted", "L1@300": "repeat"}
    assert (found["L1@100"].kind_judged, found["L1@100"].kept) == ("asymptomatic_collapse", "yes")


def test_judgement_can_be_left_out(classified):
    found = classified(f"{ASYMPTOMATIC}\n500 film L1 anterior=10", judgement={"enabled": False})
    assert found.reasons() == {"L1@100": "counted", "L1@300": "repeat"}
    assert found["L1@100"].kind_judged == "unjudged"


SETTINGS = """
name                     | value | film                  | pain | cell                | why
progression_loss         | 0.30  | anterior=15           | 4    | partial_loss:worse  | a larger loss asked for
settling_loss            | 0.05  | anterior=19           | 2    | partial_loss:not_worse | a smaller one settles
progression_kyphosis_deg | 5     | kyphosis=10           | 4    | collapse:worse      | fewer degrees
worse_pain_points        | 5     | anterior=15           | 4    | collapse:not_worse  | more points
"""


def test_settings(case, classified):
    found = classified(
        f"patient a\n{TREATED}\n100 film L1 {case.film}\n100 pain {case.pain}\n100 fracture L1",
        judgement={case.name: float(case.value)},
    )
    assert found["L1@100"].judged_cell == case.cell
