"""Files that could harm the machine or the reader: refused or made harmless, with a sentence and bounded memory."""

import struct
import subprocess
import sys
import textwrap
import zipfile
import zlib

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.domain.errors import RegistryError
from cohort.domain.safe_text import guarded, unguarded, visible
from cohort.domain.study import StudyDefinition
from cohort.intake import limits, read, text_files, workbook_scan, write_canonical

SHEET_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>{dtd}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/'
    'main"><sheetData>{rows}</sheetData>{merges}</worksheet>'
)
WORKBOOK_XML = (
    '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.'
    'org/officeDocument/2006/relationships"><sheets><sheet name="{name}" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
RELATIONS_XML = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/></Relationships>'
)
TYPES_XML = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType='
    '"application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships'
    '+xml"/></Types>'
)


def text_cell(place, text):
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def rows_xml(*rows):
    """Rows of cells written as XML."""
    return "".join(f'<row r="{k}">{"".join(row)}</row>' for k, row in enumerate(rows, 1))


def workbook(path, rows, *, name="patients", target="worksheets/sheet1.xml", dtd="", merges="", extra=()):
    """A workbook of one sheet, from the XML of its rows (text or bytes)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES_XML)
        archive.writestr("_rels/.rels", RELATIONS_XML.format(kind="officeDocument", target="xl/workbook.xml"))
        archive.writestr("xl/workbook.xml", WORKBOOK_XML.format(name=name))
        archive.writestr("xl/_rels/workbook.xml.rels", RELATIONS_XML.format(kind="worksheet", target=target))
        archive.writestr(f"xl/{target}", SHEET_XML.format(dtd=dtd, rows=rows, merges=merges))
        for member, content in extra:
            archive.writestr(member, content)
    return path


HEADER = (text_cell("A1", "patient_id"), text_cell("B1", "follow_up_end"))


@pytest.fixture
def sheet(tmp_path, folder):
    """Read a registry whose patients are a workbook made of the given rows."""

    def reading(rows, **settings):
        source = folder(patients=None)
        workbook(source / "patients.xlsx", rows, **settings)
        return read(source)

    return reading


# --- workbooks that unpack or reach too far ---------------------------------------------------------------------------


def test_a_workbook_made_by_hand_is_read(sheet):
    found = sheet(rows_xml(HEADER, (text_cell("A2", "P1"), text_cell("B2", "2022-12-31"))))
    assert found["patients"]["patient_id"].tolist() == ["P1"]


STRAY = {
    "the last cell of all": "XFD1048576",
    "a far column": "XFD20000",
    "a far row": "ZZ1000000",
    "a row that Excel lacks": "A99999999",
    "a column that Excel lacks": "ZZZZ1",
}


@pytest.mark.parametrize("place", STRAY.values(), ids=STRAY)
def test_one_stray_cell_far_away_is_refused_before_anything_is_laid_out(sheet, place):
    with pytest.raises(RegistryError, match=r"Delete stray cells|columns"):
        sheet(rows_xml(HEADER, (text_cell("A2", "P1"), text_cell(place, "x"))))


@pytest.mark.parametrize("cell", ['<c\nt="n"  r="XFD1048576"><v>1</v></c>', "<c r='XFD1048576'><v>1</v></c>"])
def test_a_stray_cell_is_found_however_it_is_written(sheet, cell):
    with pytest.raises(RegistryError, match="Delete stray cells"):
        sheet(rows_xml(HEADER, (cell,)))


def test_a_stray_cell_is_found_under_a_name_of_its_own(sheet):
    with pytest.raises(RegistryError, match="Delete stray cells"):
        sheet(rows_xml(HEADER, (text_cell("XFD1048576", "x"),)), target="somewhere/else.bin")


def test_a_stray_cell_is_found_where_the_pieces_of_a_large_sheet_meet(tmp_path):
    rows = "".join(f'<row r="{k}"><c r="A{k}"><v>{k}</v></c></row>' for k in range(1, 60_000))
    for shift in range(0, 60, 7):
        path = workbook(tmp_path / "a.xlsx", " " * shift + rows + '<row r="60000"><c r="XFA900000"><v>1</v></c></row>')
        with pytest.raises(RegistryError, match="900,000"):
            workbook_scan.scan(path)


def test_a_bomb_is_refused_by_what_it_unpacks_to(sheet, monkeypatch):
    monkeypatch.setattr(workbook_scan, "MAX_UNPACKED_BYTES", 1 << 20)
    with pytest.raises(RegistryError, match="unpacks to more than"):
        sheet(rows_xml(HEADER), extra=[("xl/media/x.bin", b"\0" * (2 << 20))])


def test_a_bomb_that_declares_a_small_size_is_refused_too(folder, monkeypatch):
    monkeypatch.setattr(workbook_scan, "MAX_UNPACKED_BYTES", 1 << 20)
    source = folder(patients=None)
    path = workbook(source / "patients.xlsx", rows_xml(HEADER), extra=[("xl/media/x.bin", b"\0" * (2 << 20))])
    lying = path.read_bytes().replace(struct.pack("<I", 2 << 20), struct.pack("<I", 10))
    path.write_bytes(lying)
    with pytest.raises(RegistryError, match="unpacks to more than"):
        read(source)


def test_too_many_files_in_a_workbook_are_refused(sheet, monkeypatch):
    monkeypatch.setattr(workbook_scan, "MAX_MEMBERS", 5)
    with pytest.raises(RegistryError, match="holds 8 files"):
        sheet(rows_xml(HEADER), extra=[(f"xl/media/{k}", b"") for k in range(3)])


def test_entities_are_neither_expanded_nor_fetched(sheet, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    dtd = f'<!DOCTYPE x [<!ENTITY far SYSTEM "file://{secret}"><!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    rows = rows_xml(HEADER, (text_cell("A2", "P&far;&b;"), text_cell("B2", "2022-12-31")))
    with pytest.raises(RegistryError, match="cannot be read") as refused:
        sheet(rows, dtd=dtd)
    assert "SECRET" not in str(refused.value)


MEMORY = """
    import resource, sys, time
    from cohort.domain.errors import RegistryError
    from cohort.intake import read
    import pandas, openpyxl, pyarrow.csv, pyarrow.parquet, python_calamine
    start = time.process_time()
    try:
        read(sys.argv[1])
    except RegistryError as error:
        print(str(error)[:60])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    assert peak < 1.5, peak
    assert time.process_time() - start < 60
"""


def bombs(folder):
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush the same bytes say the same again.
    block = deflated.compress(b"\0" * (16 << 20)) + deflated.flush(zlib.Z_FULL_FLUSH)
    packed = block * 160 + deflated.flush()
    with zipfile.ZipFile(folder / "patients.xlsx", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("xl/workbook.xml", WORKBOOK_XML.format(name="patients"))
        archive.writestr("xl/worksheets/sheet1.xml", packed)
    # The stored member is deflate data: say so in both headers.
    data = bytearray((folder / "patients.xlsx").read_bytes())
    place = data.find(b"PK\x03\x04", 4)
    data[place + 8 : place + 10] = struct.pack("<H", 8)
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 10 : entry + 12] = struct.pack("<H", 8)
    (folder / "patients.xlsx").write_bytes(data)


def test_a_bomb_of_gigabytes_is_refused_in_little_memory(folder):
    source = folder(patients=None)
    bombs(source)
    assert (source / "patients.xlsx").stat().st_size < 4 << 20
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(MEMORY), source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unpacks to more than 2 GiB" in done.stdout


def test_a_table_of_a_billion_constant_cells_is_refused_in_little_memory(folder):
    source = folder(patients=None)
    n = 1_000_000
    constant = pa.DictionaryArray.from_arrays(pa.array([0] * n, type=pa.int8()), pa.array(["P1"]))
    table = pa.table(dict.fromkeys(("patient_id", "follow_up_end", "a"), constant))
    with pa.parquet.ParquetWriter(source / "patients.parquet", table.schema) as writer:
        for _ in range(170):
            writer.write_table(table)
    assert (source / "patients.parquet").stat().st_size < 2 << 20
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(MEMORY), source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "170,000,000 rows" in done.stdout


# --- cells that repeat a long text ------------------------------------------------------------------------------------

STRINGS_XML = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}</sst>'


def naming_cells(count, cell='<c r="A{k}" t="s"><v>{index}</v></c>', index=1):
    return "".join(f'<row r="{k}">{cell.format(k=k, index=index)}</row>' for k in range(2, count + 2))


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A{k}" t="s"><v>{index}</v></c>',
        "<c t='s'  r='A{k}'>\n<v >{index}</v></c>",
        '<c r="A{k}" t="s"><f>A1</f><v>{index}</v></c>',
        '<c r="A{k}" t="s"><v><![CDATA[{index}]]></v></c>',
    ],
    ids=["usual", "other quotes", "formula", "hidden number"],
)
def test_many_cells_that_name_one_long_text_are_refused_however_they_are_written(sheet, cell):
    texts = STRINGS_XML.format("<si><t>x</t></si><si><t>" + "a" * 30_000 + "</t></si>")
    with pytest.raises(RegistryError, match="more than 1 GiB of text"):
        sheet(rows_xml(HEADER) + naming_cells(40_000, cell), extra=[("xl/sharedStrings.xml", texts)])


def test_a_text_is_measured_where_the_pieces_of_a_large_file_meet(tmp_path):
    long = "a" * (3 << 20)
    for shift in range(0, 40, 9):
        texts = STRINGS_XML.format(f"<si><t>{'b' * shift}</t></si>" * 7 + f"<si><t>{long}</t></si><si/>")
        path = workbook(tmp_path / "a.xlsx", naming_cells(400, index=7), extra=[("xl/sharedStrings.xml", texts)])
        with pytest.raises(RegistryError, match="more than 1 GiB of text"):
            workbook_scan.scan(path)


def test_a_long_remark_among_many_short_cells_is_no_reason_to_refuse(tmp_path):
    texts = STRINGS_XML.format("<si><t>x</t></si><si><t>" + "a" * 30_000 + "</t></si>")
    path = workbook(
        tmp_path / "a.xlsx", naming_cells(60_000, index=0) + naming_cells(10), extra=[("xl/sharedStrings.xml", texts)]
    )
    assert workbook_scan.scan(path)["patients"].cells == 60_010


# --- width ------------------------------------------------------------------------------------------------------------

WIDE = ["patient_id", "follow_up_end", *(f"x{k}" for k in range(20_000))]


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_twenty_thousand_columns_are_refused(folder, kind):
    source = folder(patients=None)
    if kind == "csv":
        (source / "patients.csv").write_text(",".join(WIDE) + "\nP1,2022-12-31" + "," * 20_000 + "\n")
    elif kind == "parquet":
        pd.DataFrame({name: ["1"] for name in WIDE}).to_parquet(source / "patients.parquet")
    else:
        book = openpyxl.Workbook(write_only=True)
        book.create_sheet("patients").append(WIDE[:16_000])
        book.save(source / "patients.xlsx")
    with pytest.raises(RegistryError, match=r"has (20,002|16,000) columns, and at most 5,000"):
        read(source)


def test_as_many_columns_as_are_read_are_read(registry):
    header = ",".join(WIDE[: limits.MAX_COLUMNS])
    found = registry(patients=f"{header}\nP1,2022-12-31" + "," * (limits.MAX_COLUMNS - 2))
    assert found["patients"]["patient_id"].tolist() == ["P1"]


# --- headers, errors and formulas of workbooks ------------------------------------------------------------------------


def test_merged_header_cells_are_refused_with_advice(sheet):
    with pytest.raises(RegistryError, match=r"merged cells in its header \(A1:B1\)"):
        sheet(rows_xml(HEADER), merges='<mergeCells><mergeCell ref="A1:B1"/></mergeCells>')


def test_merged_cells_below_the_header_are_read(sheet):
    rows = rows_xml(HEADER, (text_cell("A2", "P1"), text_cell("B2", "2022-12-31")), (text_cell("A3", "end of list"),))
    found = sheet(rows, merges='<mergeCells><mergeCell ref="A3:B3"/></mergeCells>')
    assert found["patients"]["patient_id"].tolist() == ["P1"]
    assert found.rejected["row"].tolist() == [3]


def test_a_title_above_the_header_is_passed_over_where_the_study_says_so(folder):
    source = folder(patients=None)
    rows = rows_xml(
        (text_cell("A1", "Registry of 2020"),),
        (text_cell("A2", "patient_id"), text_cell("B2", "follow_up_end")),
        (text_cell("A3", "P1"), text_cell("B3", "2022-12-31")),
    )
    workbook(source / "patients.xlsx", rows, merges='<mergeCells><mergeCell ref="A1:B1"/></mergeCells>')
    with pytest.raises(RegistryError, match="header_row"):
        read(source)
    found = read(source, StudyDefinition(tables={"patients": {"header_row": 2}}))
    assert found["patients"]["source_row"].tolist() == [3]


def test_a_title_above_the_header_of_a_text_file_is_passed_over_too(registry):
    study = StudyDefinition(tables={"patients": {"header_row": 3}})
    found = registry(study, patients="Registry of 2020\n\npatient_id,follow_up_end\nP1,2022-12-31\n,")
    assert found["patients"]["source_row"].tolist() == [4]
    assert found.rejected["row"].tolist() == [5]


@pytest.mark.parametrize("row", [2, 9])
def test_a_header_row_that_holds_nothing_is_refused(registry, row):
    with pytest.raises(RegistryError, match=f"nothing in row {row}"):
        registry(StudyDefinition(tables={"patients": {"header_row": row}}), patients="patient_id,follow_up_end\n\nP1,")


def test_errors_of_the_spreadsheet_are_reported_and_never_read_as_empty(sheet):
    rows = rows_xml(
        (*HEADER, text_cell("C1", "t_score")),
        (text_cell("A2", "P1"), text_cell("B2", "2022-12-31"), '<c r="C2" t="e"><v>#N/A</v></c>'),
        (text_cell("A3", "P2"), '<c r="B3" t="e"><v>#REF!</v></c>'),
        ('<c r="A4" t="e"><v>#NAME?</v></c>', text_cell("B4", "2022-12-31")),
    )
    found = sheet(rows)
    assert found["patients"]["patient_id"].tolist() == ["P1"]
    assert found.rejected[["row", "column", "value"]].values.tolist()[:2] == [
        [3, "follow_up_end", "#REF!"],
        [4, "patient_id", "#NAME?"],
    ]
    assert found.warnings["check"].tolist()[:2] == ["number_unreadable", "cells_not_computed"]
    assert "3 cells" in found.warnings.query("check == 'cells_not_computed'")["sentence"].iloc[0]


def test_a_formula_is_read_by_its_value_and_one_without_a_value_is_reported(sheet):
    rows = rows_xml(
        (*HEADER, text_cell("C1", "t_score")),
        (text_cell("A2", "P1"), text_cell("B2", "2022-12-31"), '<c r="C2"><f>-2-0.5</f><v>-2.5</v></c>'),
        (text_cell("A3", "P2"), text_cell("B3", "2022-12-31"), '<c r="C3"><f>A1&amp;B1</f><v></v></c>'),
        (text_cell("A4", "P3"), text_cell("B4", "2022-12-31"), '<c r="C4"><f t="shared" si="0"/></c>'),
    )
    found = sheet(rows)
    assert found["patients"]["t_score"].tolist()[0] == -2.5
    blanked = found.warnings.query("outcome == 'blank'")
    assert blanked[["row", "value"]].values.tolist() == [[3, "=A1&B1"], [4, "="]]
    assert "1 formulas" in found.warnings.query("check == 'formulas_read'")["sentence"].iloc[0]


# --- odd values -------------------------------------------------------------------------------------------------------

ODD = [
    "9" * 5000,
    "1e999",
    "-1e999",
    "9" * 5000 + "-01-01",
    "99999-01-01",
    "1" * 400 + "." + "1" * 400,
    "L" + "9" * 5000,
]


@pytest.mark.parametrize("text", ODD, ids=[f"{text[:8]}, {len(text)} characters" for text in ODD])
def test_enormous_numbers_and_years_are_reported_like_any_other_unreadable_value(registry, text):
    found = registry(
        patients=f"patient_id,follow_up_end,t_score\nP1,2022-12-31,{text}\nP2,{text},1",
        augmentations=f"patient_id,date,level,volume_ml\nP1,2020-01-01,{text},1\nP1,2020-01-01,L1,{text}",
    )
    assert found.rejected["row"].tolist() == [3, 2]
    assert found.warnings.query("outcome == 'blank'")["column"].tolist() == ["t_score", "volume_ml"]


PARQUET = {
    "a day beyond the calendar": pa.array([2_000_000_000], type=pa.date32()),
    "a moment beyond the calendar": pa.array([1 << 58], type=pa.timestamp("ms")),
    "nanoseconds": pa.array([1], type=pa.timestamp("ns", tz="Europe/Berlin")),
    "the largest integer": pa.array([2**64 - 1], type=pa.uint64()),
    "a duration": pa.array([5], type=pa.duration("s")),
    "a list of structures": pa.array([[{"a": 1}]]),
    "bytes": pa.array([b"\xff\x00"]),
}


@pytest.mark.parametrize("values", PARQUET.values(), ids=PARQUET)
def test_odd_types_of_parquet_end_in_text_or_a_sentence(folder, values):
    source = folder(patients=None)
    table = pa.table({"patient_id": ["P1"], "follow_up_end": ["2022-12-31"], "t_score": values, "covariate": values})
    pa.parquet.write_table(table, source / "patients.parquet")
    found = read(source)
    assert found.accounting.loc[0].tolist() == ["patients", 1, 1, 0]
    assert isinstance(found["patients"]["covariate"][0], str)


def test_decimals_of_parquet_are_written_without_needless_noughts(folder):
    from decimal import Decimal

    source = folder(patients=None)
    table = pa.table({"patient_id": ["P1"], "follow_up_end": ["2022-12-31"], "x": [Decimal("12.00")]})
    pa.parquet.write_table(table, source / "patients.parquet")
    assert read(source)["patients"]["x"].tolist() == ["12"]


# --- control characters and encodings ---------------------------------------------------------------------------------


def test_control_characters_become_visible_once_and_for_all(registry, tmp_path):
    found = registry(
        patients="patient_id,follow_up_end,site,no\u202ete\nP1,2022-12-31,a\x1b[31mb\x7f\u202e,x\nP2,2022-12-31,b,"
    )
    assert found["patients"]["site"].tolist() == ["a\\x1b[31mb\\x7f\\u202e", "b"]
    assert "no\\u202ete" in found["patients"]
    assert found.warnings["check"].tolist()[0] == "control_characters"
    write_canonical(found, tmp_path / "out")
    again = read(tmp_path / "out")
    assert again["patients"]["site"].tolist() == found["patients"]["site"].tolist()
    assert "control_characters" not in again.warnings["check"].tolist()


@pytest.mark.parametrize("harmful", ["\x01", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f"])
def test_one_control_character_in_a_plain_file_is_enough(harmful, registry):
    others = "".join(f"\nP{n},2022-12-31,b" for n in range(2, 20))
    found = registry(patients=f"patient_id,follow_up_end,site\nP1,2022-12-31,a{harmful}b{others}")
    assert found["patients"]["site"].iloc[0] == f"a\\x{ord(harmful):02x}b"
    assert "control_characters" in found.warnings["check"].tolist()


def test_tabs_and_line_ends_within_cells_are_no_control_characters(registry):
    found = registry(patients='patient_id,follow_up_end,site\nP1,2022-12-31,"a\tb\nc"')
    assert found["patients"]["site"].tolist() == ["a\tb\nc"]
    assert "control_characters" not in found.warnings["check"].tolist()


def test_control_characters_of_workbooks_become_visible_too(sheet):
    rows = rows_xml(
        (*HEADER, text_cell("C1", "site")),
        tuple(text_cell(f"{c}2", v) for c, v in zip("ABC", ("P1", "2022-12-31", "a\u202eb"), strict=True)),
    )
    assert sheet(rows)["patients"]["site"].tolist() == ["a\\u202eb"]


TABLES = {
    "German": ("cp1252", "PatNr;Geschlecht;Klinik\n1;männlich;Köln\n2;weiblich;Größe Straße"),
    "German, one word": ("cp1252", "a;b\n1;Größe"),
    "French": ("cp1252", "Nº;opéré;hôpital\n1;déjà opéré;Hôtel-Dieu à Nîmes"),
    "Spanish": ("cp1252", "año;fecha de intervención\n1;señor Muñoz"),
    "Chinese": ("gb18030", "病人编号,手术日期,椎体,性别\n1,2020-01-01,腰4,女\n2,2020-02-01,胸12,男"),
    "Chinese, one word": ("gb18030", "id,level\n1,腰4"),
}


@pytest.mark.parametrize(("encoding", "text"), TABLES.values(), ids=TABLES)
def test_an_encoding_that_the_file_does_not_name_is_told_and_said_to_be_a_guess(encoding, text):
    grid = text_files.read(text.encode(encoding), "a.csv")
    assert grid.encoding == encoding
    assert "".join([*grid.header, *grid.cells.to_numpy().ravel()]) == "".join(
        text.replace(",", "\n").replace(";", "\n").split("\n")
    )
    assert grid.remarks == (("encoding_guessed", "", {"encoding": encoding}),)


def test_a_declared_encoding_is_no_guess(registry):
    study = StudyDefinition(tables={"patients": {"encoding": "cp1252"}})
    found = registry(study, patients="patient_id,follow_up_end,site\nP1,2022-12-31,Köln".encode("cp1252"))
    assert "encoding_guessed" not in found.warnings["check"].tolist()


# --- formulas in CSV --------------------------------------------------------------------------------------------------

FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "'=1",
    "''=1",
    " =1",
    "-2.5",
    "+3",
    "-",
    "'x",
    "O'Neill",
    "=cmd|' /C calc'!A0",
    "＝1",
]


def test_formulas_are_marked_in_csv_and_read_back_as_they_were(registry, tmp_path):
    lines = "\n".join(f'P{k},2022-12-31,"{text}"' for k, text in enumerate(FORMULAS))
    first = registry(patients=f'patient_id,follow_up_end,"=note"\n{lines}')
    # What a spreadsheet itself marks as text is text.
    assert first["patients"]["=note"].tolist() == [unguarded(text) for text in FORMULAS]
    write_canonical(first, tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "patients.csv", dtype=str, keep_default_na=False)
    assert "'=note" in written
    for cell in written["'=note"]:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")) or cell in ("-2.5", "+3", "-")
    pd.testing.assert_frame_equal(read(tmp_path / "out")["patients"], first["patients"])


@given(st.text(alphabet="=+-@'\t\r 1.5ax＝", max_size=6))
def test_marking_is_undone_exactly(text):
    assert unguarded(guarded(text)) == text or guarded(text) == text
    assert unguarded(guarded(unguarded(text))) == unguarded(text)


@given(st.text(max_size=20))
def test_making_visible_is_done_once(text):
    assert visible(visible(text)) == visible(text)


def test_what_is_rejected_is_marked_too(registry, tmp_path):
    found = registry(augmentations="patient_id,date,level\nP1,2020-01-01,=HYPERLINK(1)")
    write_canonical(found, tmp_path / "out")
    assert "'=HYPERLINK(1)" in (tmp_path / "out" / "rejected.csv").read_text()
