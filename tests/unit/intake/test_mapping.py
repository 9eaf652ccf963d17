"""One sheet as hospitals keep it: columns that repeat, lists over several columns, flags, other units, constants."""

import pytest

from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import StudyDefinition
from cohort.intake import read


def study(**tables):
    return StudyDefinition.model_validate({"tables": tables})


def rows(found, table, *columns):
    """The accepted rows of a table as text, missing ones as "-"."""
    frame = found[table][list(columns)].astype(object)
    return [" ".join("-" if value != value or value is None else str(value) for value in row) for row in frame.values]


def rejected(found):
    return [tuple(row) for row in found.rejected[["table", "row", "column", "value"]].values]


def account(found, table):
    return found.accounting.set_index("table").loc[table].tolist()


# --- columns that repeat ----------------------------------------------------------------------------------------------

SHEET = """
    patient_id,date,level_1,leak_1,level_2,leak_2,level_3,leak_3,technique
    P1,2020-01-01,L1,disc,T12,none,,,kyphoplasty
    P2,2020-02-01,L4,,,,,,vertebroplasty
"""
REPEAT = {"repeat": {"level": "level_{n}", "leak": "leak_{n}"}}


def test_every_repetition_that_holds_anything_is_a_row_with_the_number_of_its_source_row(registry):
    found = registry(study(augmentations=REPEAT), augmentations=SHEET)
    assert rows(found, "augmentations", "patient_id", "level", "leak", "technique", "source_row") == [
        "P1 L1 disc kyphoplasty 2",
        "P1 T12 none kyphoplasty 2",
        "P2 L4 - vertebroplasty 3",
    ]
    assert account(found, "augmentations") == [2, 2, 0]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("level_{n}", "as written"),
        ("LEVEL {n}", "case and spaces do not matter"),
        (["level_1", "level_2", "level_3"], "a list of columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_repeated_columns_are_named_by_a_pattern_or_a_list(registry, names, why):
    found = registry(study(augmentations={"repeat": {"level": names, "leak": "leak_{n}"}}), augmentations=SHEET)
    assert rows(found, "augmentations", "level") == ["L1", "T12", "L4"]


def test_a_repetition_that_the_form_filled_with_no_is_no_vertebra(registry):
    sheet = "patient_id,date,level_1,leak_1,level_2,leak_2\nP1,2020-01-01,L1,disc,,none\nP2,2020-01-01,L2,none,n/a,0"
    found = registry(study(augmentations=REPEAT), augmentations=sheet)
    assert rows(found, "augmentations", "level", "leak") == ["L1 disc", "L2 none"]


def test_a_finding_without_its_vertebra_rejects_the_row_instead_of_being_dropped(registry):
    sheet = "patient_id,date,level_1,leak_1,level_2,leak_2\nP1,2020-01-01,L1,disc,,venous"
    found = registry(study(augmentations=REPEAT), augmentations=sheet)
    assert rejected(found) == [("augmentations", 2, "level", "")]


def test_a_row_without_any_repetition_is_accounted_for(registry):
    found = registry(study(augmentations=REPEAT), augmentations="patient_id,date,level_1,level_2\nP1,2020-01-01,,")
    assert rejected(found) == [("augmentations", 2, "level", "")]
    assert account(found, "augmentations") == [1, 0, 1]


def test_one_unreadable_repetition_rejects_the_whole_source_row_once(registry):
    sheet = "patient_id,date,level_1,level_2,level_3\nP1,2020-01-01,L1,L9,L8\nP2,2020-01-01,L1,L2,"
    found = registry(study(augmentations=REPEAT), augmentations=sheet)
    assert rejected(found) == [("augmentations", 2, "level", "L9")]
    assert rows(found, "augmentations", "patient_id", "level") == ["P2 L1", "P2 L2"]
    assert account(found, "augmentations") == [2, 1, 1]
    assert found["patients"]["incomplete"].tolist() == ["yes", "no"]


def test_a_blanked_value_that_repetitions_share_is_said_once(registry):
    sheet = "patient_id,date,level_1,level_2,volume_ml\nP1,2020-01-01,L1,L2,99"
    found = registry(study(augmentations=REPEAT), augmentations=sheet)
    blanks = found.warnings[found.warnings["outcome"] == "blank"]
    assert blanks[["row", "column", "value"]].values.tolist() == [[2, "volume_ml", "99"]]


def test_vertebrae_that_share_a_written_id_get_their_level_and_others_keep_theirs(registry):
    sheet = "augmentation_id,patient_id,date,level_1,level_2\nA,P1,2020-01-01,L1,L2\nB,P2,2020-01-01,L1,"
    found = registry(study(augmentations=REPEAT), augmentations=sheet)
    assert found["augmentations"]["augmentation_id"].tolist() == ["A:L1", "A:L2", "B"]


def test_ids_that_repeat_too_are_kept_as_written(registry):
    sheet = "id_1,id_2,patient_id,date,level_1,level_2\nA,B,P1,2020-01-01,L1,L2"
    found = registry(
        study(augmentations={"repeat": {"level": "level_{n}", "augmentation_id": "id_{n}"}}), augmentations=sheet
    )
    assert found["augmentations"]["augmentation_id"].tolist() == ["A", "B"]


def test_the_same_vertebra_twice_in_one_row_keeps_two_ids(registry):
    sheet = "augmentation_id,patient_id,date,level_1,level_2,volume_1,volume_2\nA,P1,2020-01-01,L1,L1,2,3"
    found = registry(
        study(augmentations={"repeat": {"level": "level_{n}", "volume_ml": "volume_{n}"}}), augmentations=sheet
    )
    assert found["augmentations"]["augmentation_id"].tolist() == ["A:L1", "A:L1#2"]


def test_an_id_of_another_source_row_is_still_refused(registry):
    sheet = "augmentation_id,patient_id,date,level_1,level_2\nA,P1,2020-01-01,L1,L2\nA,P2,2020-01-01,L3,L4"
    found = registry(study(augmentations=REPEAT), augmentations=sheet)
    assert rejected(found) == [("augmentations", 3, "augmentation_id", "A")]


DUPLICATES = """
    second row            | outcome   | why
    P1,2020-01-01,L1,L2   | duplicate | equal in every column
    P1,2020-01-01,L1,L3   | kept      | another second vertebra
    P1,2020-01-01,L1,     | kept      | only the first of them
    P1,2020-01-01,L2,L1   | kept      | the same vertebrae in another order are no exact duplicate
"""


@pytest.mark.parametrize("line", DUPLICATES.strip().splitlines()[1:], ids=lambda line: line.split("|")[-1].strip())
def test_a_source_row_is_a_duplicate_only_as_a_whole(registry, line):
    second, outcome, _ = (part.strip() for part in line.split("|"))
    sheet = f"patient_id,date,level_1,level_2\nP1,2020-01-01,L1,L2\n{second}"
    found = registry(study(augmentations=REPEAT), augmentations=sheet)
    assert account(found, "augmentations") == ([2, 1, 1] if outcome == "duplicate" else [2, 2, 0])
    assert found["patients"]["incomplete"].tolist() == ["no", "no"]


def test_the_dates_of_all_repetitions_decide_their_order_together(registry):
    sheet = "patient_id,d1,l1,d2,l2\nP1,03/04/2020,L1,25/04/2020,L2"
    found = registry(study(augmentations={"repeat": {"level": "l{n}", "date": "d{n}"}}), augmentations=sheet)
    assert found["augmentations"]["date"].dt.strftime("%d %b").tolist() == ["03 Apr", "25 Apr"]


def test_a_covariate_may_repeat_too(registry):
    sheet = "patient_id,date,level_1,level_2,note_1,note_2\nP1,2020-01-01,L1,L2,a,b"
    found = registry(study(augmentations={"repeat": {"level": "level_{n}", "note": "note_{n}"}}), augmentations=sheet)
    assert rows(found, "augmentations", "level", "note") == ["L1 a", "L2 b"]


def test_one_wide_sheet_gives_every_table(tmp_path):
    (tmp_path / "all.csv").write_text(
        "Nr;end;surgery;lev 1;lev 2;fx date 1;fx level 1;fx date 2;fx level 2;visit 1;vas 1\n"
        "1;2022-12-31;2020-01-01;L1;T12;2020-06-01;L2;2021-06-01;T8;2020-02-01;3\n"
        "2;2022-12-31;2020-01-01;L4;;;;;;;\n"
        "3;2022-12-31;2020-01-01;L4;;2020-06-01;L9;;;;\n",
        encoding="utf-8",
    )
    sheet = {"file": "all.csv"}
    found = read(
        tmp_path,
        study(
            patients=sheet | {"rename": {"Nr": "patient_id", "end": "follow_up_end"}},
            augmentations=sheet
            | {"rename": {"Nr": "patient_id", "surgery": "date"}, "repeat": {"level": "lev {n}"}}
            | {"constant": {"technique": "kyphoplasty"}},
            fractures=sheet
            | {"rename": {"Nr": "patient_id"}, "repeat": {"date": "fx date {n}", "level": "fx level {n}"}},
            assessments=sheet | {"rename": {"Nr": "patient_id"}, "repeat": {"date": "visit {n}", "pain": "vas {n}"}},
        ),
    )
    assert rows(found, "augmentations", "patient_id", "level", "technique") == [
        "1 L1 kyphoplasty", "1 T12 kyphoplasty", "2 L4 kyphoplasty", "3 L4 kyphoplasty",
    ]  # fmt: skip
    assert rows(found, "fractures", "patient_id", "level", "source_row") == ["1 L2 2", "1 T8 2"]
    assert rejected(found) == [("fractures", 4, "level", "L9")]
    assert rows(found, "assessments", "patient_id", "pain") == ["1 3.0"]
    assert account(found, "fractures") == [2, 1, 1]
    assert account(found, "patients") == [3, 3, 0]


WRONG = [
    ({"repeat": {"level": "level_1"}}, "must hold {n} once"),
    ({"repeat": {"level": ["level_1", "level_2"], "leak": ["leak_1"]}}, "different lengths"),
    ({"join": {"leak": ["leak_{n}", "other"]}}, "with and without {n}"),
    ({"repeat": {"level": "level_{n}"}, "constant": {"technique": "other"}}, "technique is built by"),
    ({"repeat": {"level": "level_{n}"}, "flags": {"technique": {"leak_1": "other"}}}, "is no set"),
    ({"repeat": {"level": "level_{n}"}, "unit": {"volume_ml": "cm"}}, "cannot be written in cm; its unit is ml"),
    ({"repeat": {"level": "level_{n}"}, "timing": {"technique": "index"}}, "canonical column"),
]


@pytest.mark.parametrize(("settings", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_study_file_that_contradicts_itself_says_where(registry, settings, sentence):
    with pytest.raises(DefinitionError, match=sentence.replace("{", "\\{").replace("}", "\\}")):
        registry(study(augmentations=settings), augmentations=SHEET)


def test_a_patient_is_one_row(registry):
    with pytest.raises(DefinitionError, match="row of patients is one patient"):
        registry(study(patients={"repeat": {"t_score": "t_{n}"}}))


def test_a_repetition_that_the_source_lacks_is_said(registry):
    found = registry(study(augmentations={"repeat": REPEAT["repeat"] | {"cement": "bone_{n}"}}), augmentations=SHEET)
    assert found.warnings.query("check == 'setting_unused'")["column"].tolist() == ["bone_{n}"]


def test_a_required_column_may_come_of_a_repetition_but_not_of_nowhere(registry):
    with pytest.raises(RegistryError, match="no column level"):
        registry(study(augmentations={"repeat": {"leak": "leak_{n}"}}), augmentations="patient_id,date,leak_1\nP1,,")


# --- join, flags, constants -------------------------------------------------------------------------------------------


def test_the_values_of_several_columns_make_one_set(registry):
    found = registry(
        study(augmentations={"join": {"leak": ["leak A", "leak B"]}}),
        augmentations="patient_id,date,level,leak A,leak B\nP1,2020-01-01,L1,disc,venous\nP1,2020-01-01,L2,,venous\n"
        "P1,2020-01-01,L3,none,\nP1,2020-01-01,L4,,",
    )
    assert rows(found, "augmentations", "leak") == ["disc;venous", "venous", "none", "-"]


def test_joined_columns_may_repeat(registry):
    found = registry(
        study(augmentations={"repeat": {"level": "L{n}"}, "join": {"leak": ["a{n}", "b{n}"]}}),
        augmentations="patient_id,date,L1,L2,a1,a2,b1,b2\nP1,2020-01-01,L1,L2,disc,,venous,epidural",
    )
    assert rows(found, "augmentations", "level", "leak") == ["L1 disc;venous", "L2 epidural"]


FLAGS = """
    disc           | vein | leak        | why
    yes            | no   | disc        | one says yes
    ja             | 1    | disc;venous | both say yes, as hospitals write it
    no             | no   | none        | every one was looked at and says no
    no             |      | -           | one was not recorded: not known to be none
    not assessable | no   | -           | one could not be told: not known to be none
    not assessable | yes  | venous      | one says yes
                   |      | -           | nothing recorded
    maybe          | no   | -           | unreadable: left empty and reported
"""


@pytest.mark.parametrize("line", FLAGS.strip().splitlines()[1:], ids=lambda line: line.split("|")[-1].strip())
def test_flags_spell_out_a_set_and_none_needs_every_one_to_say_no(registry, line):
    disc, vein, leak, _ = (part.strip() for part in line.split("|"))
    found = registry(
        study(augmentations={"flags": {"leak": {"Leak disc": "disc", "Leak vein": "venous"}}}),
        augmentations=f"patient_id,date,level,Leak disc,Leak vein\nP1,2020-01-01,L1,{disc},{vein}",
    )
    assert rows(found, "augmentations", "leak") == [leak]
    assert (found.warnings["check"] == "word_unknown").sum() == (disc == "maybe")


def test_a_constant_stands_in_every_row(registry):
    found = registry(study(augmentations={"constant": {"indication": "ovcf"}}))
    assert rows(found, "augmentations", "indication") == ["fracture"]


# --- units and timing -------------------------------------------------------------------------------------------------

UNITS = """
    table         | column             | unit       | written | value
    augmentations | anterior_mm_before | cm         | 2.3     | 23.0
    augmentations | anterior_mm_before | cm         | 2,3 cm  | 23.0
    augmentations | volume_ml          | cl         | 0.35    | 3.5
    augmentations | pain_before        | points_100 | 67      | 6.7
    augmentations | kyphosis_deg_after | radians    | 0.25    | 14.323944878271
    augmentations | anterior_mm_before | cm         | 23      | -
    augmentations | volume_ml          | ml         | 3.5     | 3.5
"""


@pytest.mark.parametrize("line", UNITS.strip().splitlines()[1:])
def test_a_declared_unit_is_converted_and_the_range_holds_afterwards(registry, line):
    table, column, unit, written, value = (part.strip() for part in line.split("|"))
    found = registry(
        study(**{table: {"unit": {column: unit}, "delimiter": ";"}}),
        augmentations=f"patient_id;date;level;{column}\nP1;2020-01-01;L1;{written}",
    )
    assert rows(found, table, column) == [value]


def test_covariates_are_carried_with_a_word_on_their_timing(registry):
    tables = {"patients": "patient_id,follow_up_end,smoker,ward\nP1,2022-12-31,yes,3\nP2,2022-12-31,no,4"}
    found = registry(study(patients={"timing": {"smoker": "index"}}), **tables)
    assert found.warnings.query("check == 'timing_undeclared'")["column"].tolist() == ["ward"]
    assert found.study.known_at_index == ("smoker",)
