"""A reconstruction carries the printed counts, types none of them, and says everything that it had to assume."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import DefinitionError, OutputError
from cohort.domain.study import load_study
from cohort.literature import tables
from cohort.literature.reconstruct import FIGURE_COLUMNS, reconstruct, reconstructable, reconstructed_studies
from cohort.literature.reconstruct_recipes import TABLES, Item, Numbers, found_in, nearest, prints_as, raw, recipe
from cohort.literature.reconstruct_tables import days, lay
from cohort.tables.schema import CANONICAL

MULTIPLIERS = {"2", "8", "9", "16"}  # vertebrae for each patient or treated vertebra, never a printed count


@pytest.fixture(scope="module")
def made():
    """Every reconstruction by its study."""
    return {name: reconstruct(name) for name in reconstructed_studies()}


# What can be reconstructed


def test_every_published_figure_is_decided_once_and_with_a_reason():
    decided = reconstructable()
    assert len(decided) == len(tables.figures())
    assert set(decided["reconstructable"]) == {"yes", "no"}
    assert (decided["reason"].str.len() > 15).all()
    assert (decided["source"] != "").all()
    assert (decided["confidence"] != "").all()
    assert ((decided["study"] != "") == (decided["reconstructable"] == "yes")).all()
    assert (decided["reconstructable"] == "yes").sum() >= 120


def test_every_figure_that_can_be_reconstructed_is_in_the_registry_of_its_study_and_no_other(made):
    asked = reconstructable().query("reconstructable == 'yes'")
    held = pd.concat([one.figures.assign(study=name) for name, one in made.items()]).query("part == ''")
    assert sorted(zip(asked["study"], asked["study_key"], asked["quantity"], strict=True)) == sorted(
        zip(held["study"], held["study_key"], held["quantity"], strict=True)
    )
    assert set(asked["study"]) == set(made)


@pytest.mark.parametrize(
    ("study_key", "quantity", "why"),
    [
        ("klazen2010_vertos2", "new VCF incidence, conservative arm", "not augmented"),
        ("josr2022meta", "re-fracture after PVP/PKP (crude pooled)", "pooled"),
        ("aregger2024", "new vertebral fractures over mean 10 years", "without numerator or denominator"),
        ("adjavf2024_124", "sample size (124 patients), adjacent fracture group size not in abstract", "not printed"),
        ("martin2012", "leak recorded in procedural dictation among CT leaks", "inconsistent in the source"),
        ("klazen2010_vertos2", "mean time to new VCF, PVP arm (16.2 months)", "longer than the mean follow-up"),
    ],
)
def test_a_figure_that_cannot_be_reconstructed_says_why(study_key, quantity, why):
    row = reconstructable().query("study_key == @study_key and quantity == @quantity").iloc[0]
    assert row["reconstructable"] == "no"
    assert why in row["reason"]


def test_twenty_four_per_cent_of_81_patients_is_no_number_of_patients():
    # 19 would print as 23 and 20 as 25 per cent: the source counted over fewer patients than it names.
    assert nearest("24", 81) is None
    assert [prints_as(100 * k / 81, "24") for k in (19, 20)] == [False, False]
    row = reconstructable().query("study_key == 'ryu2014'").iloc[0]
    assert (row["reconstructable"], "no whole number" in row["reason"]) == ("no", True)


def test_a_count_is_taken_from_a_per_cent_only_where_it_prints_as_that_per_cent():
    only_percent = raw("figures").query("numerator == '' and denominator != '' and percent != ''")
    decided = reconstructable().set_index(["study_key", "quantity"])
    for row in only_percent.itertuples():
        verdict = decided.loc[(row.study_key, row.quantity)]
        if verdict["reconstructable"] == "yes":
            assert nearest(row.percent, float(row.denominator)) is not None, row.quantity
            assert "not printed" in verdict["reason"]


def test_an_unknown_study_is_refused_with_what_to_write_instead():
    with pytest.raises(DefinitionError, match="jacobson2017_large or jacobson2017_small"):
        reconstruct("jacobson2017")
    with pytest.raises(DefinitionError, match="`reconstructable\\(\\)` lists every figure"):
        reconstruct("nobody1999")


# Every number is looked up


def test_no_count_of_patients_vertebrae_or_events_is_typed_in_a_recipe():
    items = raw("reconstructions_items")
    for column in ("items", "over", "first", "turn"):
        for expression in items[column]:
            terms = re.split(r"[+-]", expression)
            assert not any(term.strip().isdigit() for term in terms), expression
            factors = {factor.strip() for term in terms for factor in term.split("*")}
            assert {factor for factor in factors if factor.isdigit()} <= MULTIPLIERS, expression
    numbers = raw("reconstructions_numbers")
    assert not numbers["field"].str.isdigit().any()
    assert set(numbers["field"]) <= {"numerator", "denominator", "percent", "note", "population", "quantity"}


def test_printed_numbers_are_those_of_the_published_table(made):
    published = tables.figures().set_index(["study_key", "quantity"])
    for one in made.values():
        for row in one.figures.query("part == ''").itertuples():
            figure = published.loc[(row.study_key, row.quantity)]
            assert row.printed_numerator == pytest.approx(figure["numerator"], nan_ok=True)
            assert row.printed_denominator == pytest.approx(figure["denominator"], nan_ok=True)
            if row.measure in ("mean_days", "first_day", "last_day"):
                assert row.printed_value == figure["window_days"]
            else:
                assert row.printed_percent == pytest.approx(figure["percent"], abs=0.51, nan_ok=True)
                assert np.isnan(row.printed_value)


def test_numbers_in_the_words_of_a_figure_are_read_from_there():
    numbers = recipe("hiwatashi2009").numbers.values
    assert (numbers["at_risk"], numbers["remote_vertebrae"], numbers["collapsed.of"]) == (116, 14, 58)
    numbers = recipe("zhangzj_pvp_pkp").numbers.values
    assert [numbers[name] for name in ("pvp_broken", "pvp_operated", "pkp_broken", "pkp_operated")] == [35, 43, 39, 45]
    assert recipe("voormolen2006").numbers.value("half") == 13
    assert recipe("firanescu2019_vertos4").numbers.value("height.nearest_of") == 88


def test_words_that_no_longer_say_the_number_are_an_error():
    with pytest.raises(DefinitionError, match="does not say it"):
        found_in("30 new VCFs", r"in (\d+) patients")


def test_an_expression_adds_subtracts_and_multiplies_names_and_nothing_else():
    numbers = Numbers({"risk.of": 913.0, "patients": 106.0, "half": 6.5})
    assert numbers.count("9 * patients - risk.of") == 41
    assert numbers.count("risk.of - 8 * patients") == 65
    with pytest.raises(DefinitionError, match="speaks of 'events' in 'events - 1'"):
        numbers.count("events - 1")
    with pytest.raises(DefinitionError, match=r"asks for a whole number, and 'half' is 6\.5"):
        numbers.count("half")


# What is laid out


def test_the_same_study_is_built_the_same_way_twice():
    once, again = reconstruct("martin2012"), reconstruct("martin2012")
    for name, frame in once.tables.items():
        pd.testing.assert_frame_equal(frame, again.tables[name])
    assert once.assumed == again.assumed
    assert once.study == again.study


def test_tables_are_text_under_canonical_names_with_ids_that_name_only_the_arm(made):
    for one in made.values():
        assert {"patients", "augmentations", "fractures"} <= set(one.tables)
        for name, frame in one.tables.items():
            known = {*CANONICAL[name].names, *(("arm",) if name == "patients" else ())}
            assert set(frame.columns) <= known, name
            assert frame.map(lambda cell: isinstance(cell, str)).all(axis=None), name
        assert one.tables["patients"]["patient_id"].is_unique
        assert not {"age_at_index", "birth_date", "sex", "t_score"} & set(one.tables["patients"].columns)
        assert list(one.figures.columns) == list(FIGURE_COLUMNS)


LAID = """
    days                       | n | follow | laid                     | why
    within 0 90                | 3 | 365    | 30 60 90                 | evenly, the last on the last day of the window
    within 30 90               | 2 | 365    | 60 90                    | after the first bound
                               | 2 | 100    | 50 100                   | nothing said: evenly within follow-up
    at 42                      | 2 | 365    | 42 42                    | all on one day
    at -1                      | 1 | 365    | -1                       | the day before treatment
    from 8 to 167              | 3 | 365    | 8 87 167                 | first and last as printed
    from 8 to 167              | 1 | 365    | 8                        | a lone one is the first
    mean 68                    | 4 | 365    | 34 51 85 102             | as far below as above the mean
    mean 85                    | 3 | 110    | 60 85 110                | and never beyond follow-up
    mean 68                    | 1 | 365    | 68                       | a lone one is the mean
    mean 84 from 7 to 294      | 6 | 365    | 7 50 51 51 51 294        | ends as printed, the rest together
    within 0 90                | 0 | 365    |                          | nothing
"""


@pytest.mark.parametrize(
    ("text", "n", "follow", "expected"),
    [tuple(cell.strip() for cell in line.split("|")[:4]) for line in LAID.strip().splitlines()[1:]],
)
def test_days_are_laid_in_one_plain_way(text, n, follow, expected):
    found = days(text, int(n), Numbers({"follow": float(follow)}))
    assert found.tolist() == [int(day) for day in expected.split()]


@pytest.mark.parametrize("n", range(1, 40))
@pytest.mark.parametrize("mean", [68, 78, 100])
def test_a_printed_mean_is_kept_exactly_by_any_number_of_events(n, mean):
    found = days(f"mean {mean}", n, Numbers({"follow": 365.0}))
    assert found.sum() == n * mean
    assert found.min() >= mean - mean // 2
    assert (np.diff(found) >= 0).all()


def test_days_that_nobody_can_lay_are_an_error():
    with pytest.raises(DefinitionError, match="'some day', which is no way of laying them"):
        days("some day", 1, Numbers({"follow": 365.0}))


def item(**given: object) -> Item:
    blank: dict[str, object] = {
        "arm": "all", "kind": "fracture", "items": "5", "over": "3", "first": "", "turn": "", "levels": ("T12", "L2"),
        "days": "at 1", "values": {}, "assumed": "",
    }  # fmt: skip
    return Item(**{**blank, **given})  # type: ignore[arg-type]


def test_more_events_than_patients_go_to_the_next_vertebra():
    laid = lay(item(), Numbers({}), start=10, size=4)
    assert [f"{patient} {level}" for patient, level in zip(laid.patient, laid.level, strict=True)] == [
        "10 T12", "11 T12", "12 T12", "10 L2", "11 L2",
    ]  # fmt: skip


def test_a_set_may_begin_at_a_later_patient_and_go_round():
    assert lay(item(first="1"), Numbers({}), start=0, size=4).patient.tolist() == [1, 2, 3, 1, 2]
    assert lay(item(turn="2"), Numbers({}), start=0, size=4).patient.tolist() == [2, 0, 1, 2, 0]


@pytest.mark.parametrize("given", [{"items": "7"}, {"first": "2"}, {"over": "9"}])
def test_a_recipe_that_does_not_fit_its_patients_is_refused(given):
    with pytest.raises(DefinitionError, match="cannot be laid"):
        lay(item(**given), Numbers({}), start=0, size=4)


def test_a_kind_of_row_that_is_not_known_is_refused(monkeypatch):
    from cohort.literature import reconstruct_recipes

    wrong = raw("reconstructions_items").assign(kind="miracle")
    monkeypatch.setattr(reconstruct_recipes, "raw", lambda name: wrong if name.endswith("_items") else raw(name))
    with pytest.raises(DefinitionError, match="has the kind 'miracle'"):
        recipe.__wrapped__("yoo2012")


def test_leaks_of_one_vertebra_make_a_set_and_none_gives_way():
    leak = reconstruct("martin2012").tables["augmentations"]["leak"]
    assert {"disc", "disc;epidural", "paravertebral", "none"} <= set(leak)
    assert not leak.str.contains("none;|;none").any()
    assert leak.str.contains("disc").sum() == 81


def test_the_eighteen_hundred_are_laid_out_as_printed():
    made = reconstruct("jacobson2017_large")
    patients, treated, found = (made.tables[name] for name in ("patients", "augmentations", "fractures"))
    first, again = treated[treated["date"] == "2000-01-01"], treated[treated["date"] > "2000-01-01"]
    assert len(patients) == len(first) == 1800
    assert first["cleft_before"].value_counts().to_dict() == {"": 1790, "yes": 9, "no": 1}
    assert len(found) == len(again) == 10
    assert found["trauma"].tolist() == ["no"] * 10
    assert set(found["level"]) <= {"T11", "T12", "L1", "L2"}
    assert set(patients["follow_up_end"]) == {"2001-12-31"}  # 730 days; 2000 is a leap year


def test_an_arm_is_known_at_the_index_unless_it_was_chosen_afterwards(made):
    assert made["zol_pkp2020"].study.known_at_index == ("arm",)
    assert made["bmc2016_adjcollapse"].study.timing_of_covariates == {"arm": "later"}
    assert made["yoo2012"].study.timing_of_covariates == {}


def test_the_settings_are_those_under_which_the_study_counted(made):
    assert made["kimsh2004"].study.relation.reach == 5
    assert made["lincc2007"].study.exposures.junction == ("T12", "L1")
    assert made["china_claims2020"].study.relation.staged_days == 0
    assert made["china_claims2020"].study.models.windows_days == (30, 90, 183, 365, 730)
    assert made["hiwatashi2009"].study.judgement.tier == "radiographic"
    assert made["jacobson2017_large"].study.judgement.tier == "retreated"


# What is assumed


def test_every_reconstruction_says_what_it_assumed(made):
    for name, one in made.items():
        said = " ".join(one.assumed)
        assert "Age, sex and dates are not printed" in said, name
        assert "Everybody is followed for" in said, name
        assert "Which vertebrae were treated is not printed" in said, name
        assert len(set(one.assumed)) == len(one.assumed), name
        assert all(sentence.endswith(".") for sentence in one.assumed), name


def test_a_numerator_that_is_not_printed_is_among_the_assumptions(made):
    assert (
        "The numerator of 'any refracture within 1 year' is not printed: 64 is taken, which with the printed 357 gives "
        "the printed per cent." in made["alali"].assumed
    )
    derived = raw("reconstructions_items").query("items.str.contains('nearest') or over.str.contains('nearest')")
    for name in derived["study"].unique():
        assert any("not printed: " in text and "is taken, which" in text for text in made[name].assumed), name


def test_a_follow_up_that_nobody_printed_is_told_from_one_that_was(made):
    assert "Everybody is followed for 365 days, since no window is printed." in made["yoo2012"].assumed
    assert "Everybody is followed for 730 days, the printed window." in made["jacobson2017_large"].assumed
    assert "Everybody is followed for 347 days, the printed mean (or median) follow-up." in (
        made["klazen2010_vertos2"].assumed
    )


# Files


def test_written_files_give_the_same_settings_and_carry_the_assumptions(tmp_path):
    made = reconstruct("kimsh2004")
    written = made.write(tmp_path / "registry")
    assert [path.name for path in written] == ["patients.csv", "augmentations.csv", "fractures.csv", "study.toml"]
    assert load_study(tmp_path / "registry" / "study.toml") == made.study
    text = (tmp_path / "registry" / "study.toml").read_text(encoding="utf-8")
    assert all(f"# {sentence}" in text for sentence in made.assumed)
    back = pd.read_csv(tmp_path / "registry" / "augmentations.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(back, made.tables["augmentations"])


def test_a_folder_that_cannot_be_written_is_an_error_of_output(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        reconstruct("yoo2012").write(tmp_path / "file")


def test_the_recipe_tables_have_no_blank_names_and_only_known_words():
    for name in TABLES:
        assert not raw(name).duplicated().any(), name
    figures = raw("reconstructions_figures").query("reconstructable == 'yes'")
    named = figures[figures["name"] != ""]
    assert not named.duplicated(["study", "name"]).any()
    assert (figures["measure"] != "").all()
    assert set(raw("reconstructions")["follow_up"]) <= {"printed", "mean", "minimum", "maximum", "none"}
