"""Who may enter, by what was known at entry; what looks ahead is refused with the right form."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import cohort
from cohort.atrisk import criteria_reasons, looks_ahead, refuse_future_covariate
from cohort.domain.errors import DefinitionError
from cohort.domain.study import Criterion, StudyDefinition
from cohort.pipeline import Cohort
from cohort.pipeline.describe import flow_of_patients
from cohort.synthetic import simulate
from cohort.tables.results import Registry

SCORES = """
    patient_id | follow_up_end | t_score
    low        | 100           | -3.5
    at         | 100           | -2.5
    high       | 100           | -1
    unknown    | 100           | """


def with_criteria(*criteria, timing=None):
    tables = {"patients": {"timing": timing}} if timing else {}
    return StudyDefinition(tables=tables).with_("population", criteria=tuple(Criterion(**one) for one in criteria))


def of(cohort_of, patients, *criteria, timing=None, augmentations=None, **tables):
    """A cohort in which every patient has L1 augmented on day 0."""
    ids = [line.split("|")[0].strip() for line in patients.strip().splitlines()[1:]]
    treated = augmentations or "patient_id | date | level" + "".join(f"\n{one} | 0 | L1" for one in ids)
    study = with_criteria(*criteria, timing=timing)
    return cohort_of(patients=patients, augmentations=treated, study=study, **tables)


def kept(case):
    follow_up = case.follow_up()
    return follow_up.loc[follow_up["in_main"], "patient_id"].tolist()


def why(case):
    """Why each patient is left out, those who are."""
    follow_up = case.follow_up()
    out = follow_up[~follow_up["in_main"]]
    return dict(zip(out["patient_id"], out["left_out_because"], strict=True))


# ---------------- bounds, words, what is missing


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"at_most": -2.5}, ["low", "at"]),
        ({"at_least": -2.5}, ["at", "high"]),
        ({"at_least": -3, "at_most": -2}, ["at"]),
        ({"at_most": -2.5, "missing": "keep"}, ["low", "at", "unknown"]),
        ({"at_most": -2.5, "missing": "leave_out"}, ["low", "at"]),
    ],
)
def test_a_bound_belongs_to_what_it_keeps_and_an_unknown_value_fails_unless_kept(cohort_of, bounds, expected):
    assert kept(of(cohort_of, SCORES, {"column": "t_score", **bounds})) == expected


@pytest.mark.parametrize(
    ("sites", "missing", "expected"),
    [(("north",), "leave_out", ["a"]), (("north", "south"), "leave_out", ["a", "b"]), (("south",), "keep", ["b", "c"])],
)
def test_words_are_kept_by_name(cohort_of, sites, missing, expected):
    patients = """
        patient_id | follow_up_end | site
        a          | 100           | north
        b          | 100           | south
        c          | 100           | """
    assert kept(of(cohort_of, patients, {"column": "site", "one_of": sites, "missing": missing})) == expected


@pytest.mark.parametrize(("missing", "expected"), [("leave_out", ["sure"]), ("keep", ["sure", "untold", "unrecorded"])])
def test_what_could_not_be_told_is_as_good_as_missing(cohort_of, missing, expected):
    patients = "patient_id | follow_up_end\n sure | 100\n none | 100\n untold | 100\n unrecorded | 100"
    augmentations = """
        patient_id | date | level | cleft_before
        sure       | 0    | L1    | yes
        none       | 0    | L1    | no
        untold     | 0    | L1    | not_assessable
        unrecorded | 0    | L1    | """
    criterion = {"column": "cleft", "one_of": ("yes",), "missing": missing}
    assert kept(of(cohort_of, patients, criterion, augmentations=augmentations)) == expected


def test_bounds_and_words_may_be_combined(cohort_of):
    patients = """
        patient_id | follow_up_end | sex    | age_at_index
        a          | 100           | female | 60
        b          | 100           | male   | 60
        c          | 100           | female | 40
        d          | 100           | other  | 70"""
    both = {"column": "sex", "one_of": ("female", "other")}, {"column": "age", "at_least": 50}
    assert kept(of(cohort_of, patients, *both)) == ["a", "d"]


def test_what_held_on_the_first_day_at_risk_decides(cohort_of):
    patients = """
        patient_id | follow_up_end | enrolled_on
        one        | 100           |
        later      | 100           |
        late       | 100           | 60"""
    augmentations = """
        patient_id | date | level | technique
        one        | 0    | L1    | vertebroplasty
        later      | 0    | L1    | vertebroplasty
        later      | 50   | L2    | kyphoplasty
        late       | 0    | L1    | vertebroplasty
        late       | 50   | L2    | kyphoplasty"""
    drugs = """
        patient_id | drug        | start | stop
        one        | alendronate | -9    | 50
        later      | alendronate | 10    | 90"""
    tables = {"augmentations": augmentations, "medications": drugs}
    # A second procedure or a drug after entry is not known at entry: it decides only for who enters after it.
    assert kept(of(cohort_of, patients, {"column": "n_levels", "at_most": 1}, **tables)) == ["one", "later"]
    assert kept(of(cohort_of, patients, {"column": "technique", "one_of": ("mixed",)}, **tables)) == ["late"]
    assert kept(of(cohort_of, patients, {"column": "anti_osteoporotic", "at_least": 1}, **tables)) == ["one"]


def test_a_column_that_the_study_declares_as_known_at_index_is_a_criterion(cohort_of):
    patients = """
        patient_id | follow_up_end | smoker
        a          | 100           | yes
        b          | 100           | no"""
    criterion = {"column": "smoker", "one_of": ("no",)}
    assert kept(of(cohort_of, patients, criterion, timing={"smoker": "index"})) == ["b"]


def test_a_criterion_that_says_nothing_is_refused():
    with pytest.raises(ValidationError, match="a criterion needs at_least, at_most or one_of"):
        Criterion(column="t_score")


def test_yes_and_no_are_words_of_a_criterion(cohort_of):
    patients = """
        patient_id | follow_up_end | corticosteroids
        a          | 100           | yes
        b          | 100           | no"""
    assert kept(of(cohort_of, patients, {"column": "corticosteroids", "one_of": ("no",)})) == ["b"]


def test_a_declared_column_of_numbers_may_have_bounds(cohort_of):
    patients = """
        patient_id | follow_up_end | bmi
        a          | 100           | 31
        b          | 100           | 20.5"""
    assert kept(of(cohort_of, patients, {"column": "bmi", "at_least": 25}, timing={"bmi": "index"})) == ["a"]


# ---------------- the reason, and the flow


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        ({"column": "t_score", "at_most": -2.5}, "t_score at most -2.5"),
        ({"column": "age", "at_least": 50, "at_most": 90}, "age at least 50 and at most 90"),
        ({"column": "site", "one_of": ("north", "south")}, "site north or south"),
        ({"column": "t_score", "at_most": -2.5, "label": "osteoporosis by T-score"}, "osteoporosis by T-score"),
    ],
)
def test_the_reason_is_the_label_or_made_of_the_bounds(cohort_of, criterion, words):
    assert criteria_reasons(with_criteria(criterion)) == [f"not eligible: {words}"]


ORDER = """
    patient_id | follow_up_end | incomplete | t_score | age_at_index
    a          | 100           |            | -3      | 60
    b          | 100           |            | -1      | 40
    c          | 100           |            | -3      | 40
    d          | 100           | yes        | -1      | 40
    e          | 0             |            | -1      | 60"""
SCORE, AGE = {"column": "t_score", "at_most": -2.5}, {"column": "age", "at_least": 50, "label": "fifty or older"}


def test_the_first_reason_that_applies_is_given_the_criteria_last_and_in_their_order(cohort_of):
    score, age = "not eligible: t_score at most -2.5", "not eligible: fifty or older"
    usual = {"d": "incomplete", "e": "exit on or before entry"}
    assert why(of(cohort_of, ORDER, SCORE, AGE)) == {"b": score, "c": age, **usual}
    assert why(of(cohort_of, ORDER, AGE, SCORE)) == {"b": age, "c": age, **usual}


def flow(case):
    study = Cohort(Registry.of(case.tables, case.study), case.sightings, case.augmentations)
    frame = flow_of_patients(study)
    return list(zip(frame["label"], frame["n_patients"], frame["excluded_patients"], strict=True))


def test_each_criterion_is_one_row_of_the_flow(cohort_of):
    assert flow(of(cohort_of, ORDER, SCORE, AGE)) == [
        ("Patients accepted", 5, 0),
        ("All augmentation and fracture rows usable", 4, 1),
        ("Follow-up known", 4, 0),
        ("Time at risk", 3, 1),
        ("Main population", 3, 0),
        ("Eligible: t_score at most -2.5", 2, 1),
        ("Eligible: fifty or older", 1, 1),
        ("Known first treatment (incidence curves, hazards)", 1, 0),
    ]


def test_without_criteria_the_flow_has_no_such_row(cohort_of):
    assert not [label for label, *_ in flow(of(cohort_of, ORDER)) if label.startswith("Eligible")]


def test_who_is_not_eligible_has_no_rows_but_stays_in_person_time(cohort_of):
    case = of(cohort_of, SCORES, SCORE)
    assert case.first_events("composite").frame["patient_id"].tolist() == ["low", "at"]
    assert set(case.vertebrae("adjacent")["patient_id"]) == {"low", "at"}
    assert case.days()[("L1", "treated")] == 400
    assert case.first_left_out("composite") == {"not eligible: t_score at most -2.5": 2}


def test_two_criteria_of_one_label_are_both_applied(cohort_of):
    label = {"label": "osteoporotic adults"}
    assert kept(of(cohort_of, ORDER, {**AGE, **label}, {**SCORE, **label})) == ["a"]


# ---------------- what is refused


@pytest.mark.parametrize(
    "name", ["follow_up_end", "death_date", "vital_status_end", "completed_follow_up", "ever_treated"]
)
def test_nobody_is_kept_for_what_happened_after_entry(cohort_of, name):
    with pytest.raises(DefinitionError, match="immortal time") as refused:
        kept(of(cohort_of, SCORES, {"column": name, "at_least": 30}))
    assert f"The criterion on '{name}' is refused" in str(refused.value)
    assert "Keep everybody: follow-up that ends early is censored and death competes" in str(refused.value)


def test_nobody_is_kept_by_a_column_declared_as_known_only_later(cohort_of):
    patients = SCORES.replace("t_score", "result")
    criterion = {"column": "result", "one_of": ("-3.5",)}
    with pytest.raises(DefinitionError, match="immortal time"):
        kept(of(cohort_of, patients, criterion, timing={"result": "later"}))


def test_the_declaration_goes_before_the_name(cohort_of):
    patients = "patient_id | follow_up_end | ever_smoked\n a | 100 | yes\n b | 100 | no"
    criterion = {"column": "ever_smoked", "one_of": ("no",)}
    assert kept(of(cohort_of, patients, criterion, timing={"ever_smoked": "index"})) == ["b"]
    with pytest.raises(DefinitionError, match="immortal time"):
        kept(of(cohort_of, patients, criterion))


def test_a_carried_column_that_nobody_dated_must_be_declared(cohort_of):
    patients = SCORES.replace("t_score", "smoker")
    with pytest.raises(DefinitionError, match=r"declare \[tables.patients.timing\] 'smoker' = 'index'"):
        kept(of(cohort_of, patients, {"column": "smoker", "one_of": ("no",)}))


@pytest.mark.parametrize("name", ["shoe_size", "birth_date", "enrolled_on"])
def test_a_criterion_on_what_no_row_has_at_entry_names_what_there_is(cohort_of, name):
    with pytest.raises(DefinitionError, match=f"names '{name}', which is not known at entry. It may be one of age"):
        kept(of(cohort_of, SCORES, {"column": name, "at_least": 30}))


def test_a_declared_column_that_is_not_there_is_no_criterion(cohort_of):
    with pytest.raises(DefinitionError, match="declares 'smoker', which is no column of patients"):
        kept(of(cohort_of, SCORES, {"column": "smoker", "one_of": ("no",)}, timing={"smoker": "index"}))


@pytest.mark.parametrize("column", ["site", "sex", "technique", "cleft"])
def test_words_have_no_bounds(cohort_of, column):
    with pytest.raises(DefinitionError, match=f"bounds '{column}', which holds words; use one_of"):
        kept(of(cohort_of, SCORES, {"column": column, "at_least": 1}))


# ---------------- covariates


@pytest.mark.parametrize(
    "name", ["ever_treated", " Ever_Treated", "later_drug", "any_later_fracture", "died", "death_date"]
)
def test_a_covariate_that_only_the_future_told_is_refused_with_the_right_form(name):
    with pytest.raises(DefinitionError, match="immortal time") as refused:
        refuse_future_covariate(name, ["age", name], StudyDefinition())
    assert "give dated courses in medications" in str(refused.value)
    assert "group by what held on the first day at risk" in str(refused.value)


def test_a_covariate_declared_as_known_only_later_is_refused():
    study = StudyDefinition(tables={"patients": {"timing": {"frailty": "later"}}})
    assert looks_ahead("frailty", study)
    with pytest.raises(DefinitionError, match="'frailty' is refused"):
        refuse_future_covariate("frailty", ["frailty"], study)


def test_an_unknown_covariate_is_refused_with_those_that_are_known():
    with pytest.raises(DefinitionError, match="'shoe_size' is not among those known of a row: age, t_score") as refused:
        refuse_future_covariate("shoe_size", ["t_score", "age"], StudyDefinition())
    assert "declares it as index" in str(refused.value)


def test_a_covariate_declared_as_known_at_index_passes_whatever_its_name():
    study = StudyDefinition(tables={"patients": {"timing": {"ever_treated": "index"}}})
    assert not looks_ahead("ever_treated", study)
    refuse_future_covariate("ever_treated", ["age", "ever_treated"], study)
    refuse_future_covariate("age", ["age", "ever_treated"], study)


# ---------------- adjustment sets


@pytest.fixture(scope="module")
def tables():
    made = dict(simulate(40, 5))
    patients = made["patients"]
    made["patients"] = patients.assign(smoker=["yes", "no"] * (len(patients) // 2))
    return made


def adjusted_for(*names, timing=None):
    study = StudyDefinition(tables={"patients": {"timing": timing}} if timing else {})
    return study.with_("models", adjustment={"cleft": names})


@pytest.mark.parametrize(
    ("name", "timing", "message"),
    [
        (
            "smoker",
            None,
            r"'smoker' is not among those known of a row: .*\[tables.patients.timing\] declares it as index",
        ),
        ("smoker", {"smoker": "row"}, "'smoker' is not among those known of a row"),
        ("smoker", {"smoker": "later"}, "immortal time"),
        ("ever_treated", None, "immortal time"),
    ],
)
def test_the_study_is_not_run_when_an_adjustment_set_names_what_was_not_known(tables, name, timing, message):
    said = []
    with pytest.raises(DefinitionError, match=message):
        cohort.analyse(Registry.of(tables, adjusted_for("age", name, timing=timing)), progress=said.append)
    assert "Fitting hazard models" not in said


def test_a_declared_covariate_may_be_adjusted_for(tables):
    study = adjusted_for("age", "smoker", timing={"smoker": "index"})
    cohort.pipeline.risk.check_adjustment(cohort.pipeline.prepare(Registry.of(tables, study)))


@pytest.mark.parametrize("name", ["n_levels", "site"])
def test_what_may_be_adjusted_for_can_be_fitted_or_is_refused(tables, name):
    study_cohort = cohort.pipeline.prepare(Registry.of(tables, adjusted_for(name)))
    try:
        cohort.pipeline.risk.check_adjustment(study_cohort)
    except DefinitionError:
        return
    cohort.pipeline.risk.hazards(study_cohort)
