"""Whatever a registry is saved as, it is read as text and every row keeps its number; what is no table says so."""

import os
from datetime import date, datetime

import openpyxl
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cohort.domain.errors import DefinitionError, RegistryError, UsageError
from cohort.domain.study import StudyDefinition
from cohort.intake import read, text_files

PATIENTS = "patient_id,follow_up_end,site\nP1,2022-12-31,Köln\n"


def study(**tables):
    return StudyDefinition(tables=tables)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encoding_is_detected_and_recorded(registry, encoding):
    read_registry = registry(patients=PATIENTS.encode(encoding))
    assert read_registry["patients"]["site"].tolist() == ["Köln"]
    assert read_registry.inputs.set_index("table").loc["patients", "encoding"] == encoding


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_detected_and_recorded(registry, delimiter):
    read_registry = registry(patients=PATIENTS.replace(",", delimiter).encode())
    assert read_registry["patients"]["site"].tolist() == ["Köln"]
    assert read_registry.inputs.set_index("table").loc["patients", "delimiter"] == delimiter


def test_a_file_with_a_sep_line_keeps_the_row_numbers_of_the_file(registry):
    read_registry = registry(patients="sep=;\npatient_id;follow_up_end\nP1;2022-12-31")
    assert read_registry["patients"]["source_row"].tolist() == [3]


def test_every_input_has_its_size_and_digest(registry):
    inputs = registry().inputs
    assert inputs["table"].tolist() == ["patients", "augmentations", "fractures"]
    assert inputs["rows"].tolist() == [2, 1, 0]
    assert inputs["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert (inputs["bytes"] > 0).all()


def test_column_names_are_matched_without_case_spaces_or_hyphens(registry):
    read_registry = registry(patients=" Patient-ID ,FOLLOW UP END,T-Score\nP1,2022-12-31,-2.5")
    assert read_registry["patients"]["t_score"].tolist() == [-2.5]


def test_blank_lines_hold_nothing_but_count_as_rows(registry):
    read_registry = registry(patients="patient_id,follow_up_end\nP1,2022-12-31\n\n\nP2,2022-12-31\n")
    assert read_registry["patients"]["source_row"].tolist() == [2, 5]
    assert read_registry.accounting.set_index("table").loc["patients", "rows_read"] == 2


def test_ragged_rows_are_named_and_never_swallowed(registry):
    read_registry = registry(
        patients="patient_id,follow_up_end,site\nP1,2022-12-31\nP2,2022-12-31,A\nP3,2022-12-31,A,B\n"
    )
    assert read_registry["patients"]["patient_id"].tolist() == ["P2"]
    rejected = read_registry.rejected[read_registry.rejected["table"] == "patients"]
    assert rejected["row"].tolist() == [2, 4]
    assert rejected["reason"].str.startswith("The row has ").all()
    assert read_registry.accounting.loc[0].tolist() == ["patients", 3, 1, 2]


def test_a_quote_left_open_costs_its_own_row_and_no_other(registry):
    read_registry = registry(
        patients='patient_id,follow_up_end,site\nP1,2022-12-31,"A\nP2,2022-12-31,B\nP3,2022-12-31,"C"\nP4,2022-12-31,D\n'
    )
    assert read_registry["patients"]["patient_id"].tolist() == ["P2", "P3", "P4"]
    assert read_registry["patients"]["source_row"].tolist() == [3, 4, 5]
    assert read_registry.rejected.query("table == 'patients'")["row"].tolist() == [2]
    assert "quotation marks" in read_registry.rejected["reason"][0]


def test_a_cell_may_hold_delimiters_quotes_and_line_ends_when_quoted(registry):
    read_registry = registry(patients='patient_id,follow_up_end,site\nP1,2022-12-31,"a, ""b""\nc"\nP2,2022-12-31,B\n')
    assert read_registry["patients"]["site"].tolist() == ['a, "b"\nc', "B"]
    assert read_registry["patients"]["source_row"].tolist() == [2, 3]


@settings(max_examples=400, deadline=None)
@example(lines=[" ", "a"], header="", end="\n", last=False)
@given(
    lines=st.lists(st.text(alphabet="a;\"' x", max_size=9), max_size=8),
    header=st.sampled_from(["a;b;c", "a;b", "a", ' a ;"b;x"', '"a";"b"', "", "a;;"]),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_reading_line_by_line_and_record_by_record_agree(lines, header, end, last):
    text = end.join([header, *lines]) + (end if last else "")
    if not text.strip():
        return
    fast = text_files._read_lines(text, ";", 0)
    if fast is None:  # a record that is no line: only the other way reads it
        return
    header_, columns, rows, ragged = text_files._read_records(text, ";", "x.csv", 0)
    assert fast[0] == header_
    assert [column.cells.tolist() for column in fast[1]] == [column.cells.tolist() for column in columns]
    assert fast[2].tolist() == rows.tolist()
    assert fast[3] == ragged


REFUSED = {
    "a binary file": ({"patients": b"PK\x03\x04 a workbook"}, "not a text file"),
    "bytes with zeros": ({"patients": b"patient_id\x00\x01"}, "not a text file"),
    "an empty file": ({"fractures": b""}, "is empty"),
    "a file of blank lines": ({"fractures": b"\n\n  \n"}, "is empty"),
    "a missing table": ({"fractures": None}, "has no table fractures"),
    "a missing column": ({"patients": "patient_id\nP1"}, "has no column follow_up_end"),
    "a missing header": ({"patients": "P1,2022-12-31\nP2,2022-12-31"}, "is the header line missing"),
    "a column twice": ({"patients": "patient_id,follow_up_end,Site,site\n"}, "the column site occurs twice"),
    "one table in two files": ({"patients.tsv": "patient_id\tfollow_up_end\n"}, "could be any of"),
    "no workbook": ({"patients": None, "patients.xlsx": b"not a workbook"}, "cannot be opened as a workbook"),
    "no Parquet": ({"patients": None, "patients.parquet": b"not Parquet"}, "cannot be read as Parquet"),
    "a damaged UTF-16 text": ({"patients": b"\xff\xfea"}, "damaged"),
}


@pytest.mark.parametrize(("tables", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_registry_is_refused_with_a_sentence(registry, tables, says):
    with pytest.raises(RegistryError, match=says):
        registry(**tables)


def test_a_missing_header_is_refused_without_repeating_the_first_patient(registry):
    with pytest.raises(RegistryError) as refusal:
        registry(patients="SECRET4711,2022-12-31,SECRET4711\n")
    assert "SECRET4711" not in str(refusal.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(RegistryError, match="is empty"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("https://example.org/registry.csv", "export the tables"),
        ("nowhere", "does not exist"),
    ],
)
def test_a_source_of_another_kind_is_refused_with_a_sentence(source, says):
    with pytest.raises((RegistryError, UsageError), match=says):
        read(source)


def test_a_database_of_another_kind_and_a_lone_table_are_refused(tmp_path):
    for name, says in (("registry.accdb", "neither a folder"), ("patients.csv", "neither a folder")):
        (tmp_path / name).write_text("x")
        with pytest.raises(RegistryError, match=says):
            read(tmp_path / name)


def test_a_path_that_leaves_the_folder_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere.csv").write_text(PATIENTS)
    source = folder()
    for file in ("../elsewhere.csv", str(tmp_path / "elsewhere.csv")):
        with pytest.raises(RegistryError, match="outside the source folder"):
            read(source, study(patients={"file": file}))


def test_a_symbolic_link_that_leaves_the_folder_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere.csv").write_text(PATIENTS)
    source = folder(patients=None)
    os.symlink(tmp_path / "elsewhere.csv", source / "patients.csv")
    with pytest.raises(RegistryError, match="outside the source folder"):
        read(source)


def test_a_file_that_no_table_uses_is_a_warning(registry):
    warnings = registry(**{"laboratory.csv": "patient_id,crp\nP1,3"}).warnings
    assert warnings[["source", "check"]].values.tolist() == [["laboratory.csv", "file_unused"]]


def test_a_study_file_beside_the_tables_is_used(folder):
    source = folder(patients="Nummer,Ende\nP1,2022-12-31")
    (source / "study.toml").write_text('[tables.patients.rename]\nNummer = "patient_id"\nEnde = "follow_up_end"\n')
    assert read(source)["patients"]["patient_id"].tolist() == ["P1"]


def test_a_table_that_does_not_exist_in_the_study_file_is_refused(folder):
    with pytest.raises(DefinitionError, match=r"\[tables.operations\]"):
        read(folder(), study(operations={"file": "x.csv"}))


def test_names_and_codes_are_mapped_and_unused_settings_noted(registry):
    mapping = {
        "rename": {"Geschlecht": "sex", "Zentrum": "site"},
        "recode": {"sex": {"weiblich": "female", "2": "male"}},
    }
    read_registry = registry(
        study(patients=mapping),
        patients="patient_id,follow_up_end,Geschlecht\nP1,2022-12-31,Weiblich\nP2,2022-12-31,2",
    )
    assert read_registry["patients"]["sex"].tolist() == ["female", "male"]
    assert read_registry.warnings[["check", "column"]].values.tolist() == [["setting_unused", "Zentrum"]]


def test_a_declared_decimal_mark_decides(registry):
    patients = 'patient_id,follow_up_end,t_score\nP1,2022-12-31,"-2,125"'
    assert registry(patients=patients)["patients"]["t_score"].isna().all()
    declared = registry(study(patients={"decimal": ","}), patients=patients)
    assert declared["patients"]["t_score"].tolist() == [-2.125]


def test_covariates_are_carried_untouched(registry):
    patients = registry(patients="patient_id,follow_up_end,Smoking Status,crp\nP1,2022-12-31, 20 pack-years ,012")[
        "patients"
    ]
    assert patients["Smoking Status"].tolist() == [" 20 pack-years "]
    assert patients["crp"].tolist() == ["012"]


def test_a_column_without_a_name_is_dropped_when_empty_and_carried_when_not(registry):
    read_registry = registry(patients="patient_id,follow_up_end,,\nP1,2022-12-31,,x")
    assert "column_4" in read_registry["patients"]
    assert "column_3" not in read_registry["patients"]
    assert read_registry.warnings["check"].tolist() == ["column_unnamed", "timing_undeclared"]


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, lines in sheets.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    book.save(path)
    return path


SHEETS = {
    "Patients": [["patient_id", "follow_up_end", "age_at_index"], [1, date(2022, 12, 31), 71.5]],
    "augmentations": [
        ["patient_id", "date", "level", "volume_ml"],
        [],
        [1.0, datetime(2020, 1, 1), "L1", 3],
    ],
    "fractures": [["patient_id", "date", "level", "trauma"], [1, "2021-03-01", "L2", True]],
}


def test_a_workbook_has_a_sheet_per_table(tmp_path):
    read_registry = read(workbook(tmp_path / "registry.xlsx", **SHEETS, notes=[["x"]]))
    assert read_registry["patients"]["patient_id"].tolist() == ["1"]
    assert read_registry["patients"]["follow_up_end"].tolist() == [pd.Timestamp("2022-12-31")]
    assert read_registry["augmentations"]["augmentation_id"].tolist() == ["1:2020-01-01:L1"]
    assert read_registry["augmentations"]["source_row"].tolist() == [3]
    assert read_registry["fractures"]["trauma"].tolist() == ["yes"]
    assert read_registry.warnings["source"].tolist() == ["registry.xlsx!notes"]
    assert read_registry.inputs["sheet"].tolist() == ["Patients", "augmentations", "fractures"]


def test_a_folder_may_mix_workbooks_parquet_and_text(folder):
    source = folder(patients=None, augmentations=None)
    workbook(source / "patients.xlsx", Tabelle1=SHEETS["Patients"])
    frame = pd.DataFrame(
        {
            "patient_id": ["1"],
            "date": pd.to_datetime(["2020-01-01"]),
            "level": pd.Categorical(["L1"]),
            "cleft_before": [None],
            "volume_ml": [3.5],
        }
    )
    frame.to_parquet(source / "augmentations.parquet")
    read_registry = read(source)
    assert read_registry.accounting["rows_accepted"].tolist()[:2] == [1, 1]
    assert read_registry["augmentations"]["volume_ml"].tolist() == [3.5]
    assert read_registry["augmentations"]["cleft_before"].isna().all()


def test_a_workbook_in_the_folder_serves_the_tables_that_have_no_file(folder):
    source = folder(patients=None, augmentations=None, fractures=None)
    workbook(source / "export.xlsx", **SHEETS)
    assert read(source).accounting["rows_accepted"].tolist()[:3] == [1, 1, 1]


def test_a_workbook_without_a_required_sheet_is_refused(tmp_path):
    path = workbook(tmp_path / "registry.xlsx", patients=SHEETS["Patients"])
    with pytest.raises(RegistryError, match="has no table augmentations"):
        read(path)


def test_an_empty_sheet_is_refused(tmp_path):
    path = workbook(tmp_path / "registry.xlsx", **{**SHEETS, "fractures": []})
    with pytest.raises(RegistryError, match="sheet fractures, is empty"):
        read(path)


def test_progress_is_told_by_table_and_names_no_patient(folder):
    told = []
    read(folder(), progress=told.append)
    assert told[0] == "Reading the tables"
    assert "patients: 2 rows read, 0 rejected" in told
    assert not any("P1" in text for text in told)


WIDE = """
    pid,end,operated,treated,broken_on,broken,smoker
    P1,2022-12-31,2020-01-01,L1,2020-05-01,L2,yes
    P1,2022-12-31,2020-02-01,L3,,,yes
    P2,2022-12-31,2020-01-01,T12,,,no
"""


def test_one_wide_sheet_is_mapped_onto_the_tables(folder):
    shared = {"file": "wide.csv"}
    mapped = study(
        patients={**shared, "rename": {"pid": "patient_id", "end": "follow_up_end"}},
        augmentations={**shared, "rename": {"pid": "patient_id", "operated": "date", "treated": "level"}},
        fractures={**shared, "rename": {"pid": "patient_id", "broken_on": "date", "broken": "level"}},
    )
    text = "\n".join(line.strip() for line in WIDE.strip().splitlines())
    read_registry = read(folder(patients=None, augmentations=None, fractures=None, **{"wide.csv": text}), mapped)
    assert read_registry["patients"]["patient_id"].tolist() == ["P1", "P2"]
    assert read_registry["augmentations"]["level"].tolist() == ["L1", "L3", "T12"]
    assert read_registry["augmentations"]["smoker"].tolist() == ["yes", "yes", "no"]
    assert read_registry["fractures"]["fracture_id"].tolist() == ["P1:2020-05-01:L2"]
    assert not len(read_registry.rejected)
