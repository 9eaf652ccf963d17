"""The raw registry on disk: the same bytes for the same seed, and the committed one is what its seed writes."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from cohort.domain.study import load_study
from cohort.intake import read
from cohort.synthetic import DEFAULT, synthesize
from cohort.synthetic.defects import DEFECT_COLUMNS
from cohort.synthetic.spellings import LAYOUT

COMMITTED = Path(__file__).parents[3] / "data" / "synthetic"
SEED, PATIENTS = 20171016, 2000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("registry")
    synthesize(PATIENTS, SEED, out)
    return out


def test_a_seed_writes_the_same_bytes(tmp_path):
    first, second = (synthesize(250, 3, tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in first] == [path.name for path in second]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


@pytest.mark.parametrize("n_patients", [1, 2, 7, 60])
def test_a_registry_too_small_for_its_defects_has_none_and_reads_whole(tmp_path, n_patients):
    synthesize(n_patients, 1, tmp_path)
    assert not read(tmp_path).accounting["rows_rejected"].any()
    assert (tmp_path / "defects.csv").read_text().splitlines() == [",".join(DEFECT_COLUMNS)]


def _text(path: Path) -> str:
    """The content that must not drift; the workbook by its sheets, the truth without the software's version."""
    if path.suffix == ".xlsx":
        archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        return "".join(archive.read(name).decode() for name in sorted(archive.namelist()) if "worksheets" in name)
    content = path.read_bytes().decode("latin-1")
    if path.name == "truth.json":
        truth = json.loads(content)
        truth.pop("software")
        return json.dumps(truth)
    return content


def test_the_committed_registry_is_what_its_seed_writes(folder):
    assert {path.name for path in folder.iterdir()} == {path.name for path in COMMITTED.iterdir()}
    for path in sorted(folder.iterdir()):
        assert _text(path) == _text(COMMITTED / path.name), path.name


def test_the_committed_registry_is_small():
    assert sum(path.stat().st_size for path in COMMITTED.iterdir()) < 1_500_000


def test_the_study_file_reads_and_names_every_file(folder):
    study = load_study(folder / "study.toml")
    assert set(study.tables) == set(LAYOUT)
    assert all((folder / (table.file or "")).is_file() for table in study.tables.values())


def test_patients_are_latin_1_with_semicolons_and_decimal_commas(folder):
    raw = (folder / "patients.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")
    patients = pd.read_csv(io.BytesIO(raw), sep=";", decimal=",", encoding="latin-1", dtype=str)
    assert {"Zürich", "Tübingen"} <= set(patients["Klinik"])
    assert patients["T-Score"].str.contains(",").mean() > 0.5


@cache
def _table(folder: Path, file: str, sheet: str) -> pd.DataFrame:
    if sheet:
        return pd.read_excel(folder / file, sheet_name=sheet, engine="calamine", dtype=str, keep_default_na=False)
    layout = next(layout for layout in LAYOUT.values() if layout.file == file)
    return pd.read_csv(folder / file, sep=layout.delimiter, encoding=layout.encoding, dtype=str, keep_default_na=False)


def test_each_defect_stands_where_the_list_says(folder):
    defects = pd.read_csv(folder / "defects.csv", dtype=str, keep_default_na=False)
    assert set(defects["expected"]) == {"reject", "blank", "warn"}
    assert set(defects["table"]) == set(LAYOUT)
    for defect in defects[defects["header"] != ""].itertuples():
        found = str(_table(folder, defect.file, defect.sheet)[defect.header].iloc[int(defect.row) - 2])
        assert found.removesuffix(".0") == defect.value, (defect.file, defect.row)


def test_the_truth_names_its_parameters_its_marginal_values_and_the_published_rows(folder):
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    assert truth["parameters_sha256"] == truth["marginal"]["parameters_sha256"] == DEFAULT.digest
    assert truth["seed"] == SEED
    assert truth["conditional"]["role_adjacent"] == DEFAULT.role_adjacent
    studies = {row["study_key"] for entry in truth["calibration"] for row in entry["published"]}
    assert {"alali", "dir2024", "ma2021meta"} <= studies


def test_the_dictionary_explains_every_header(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    for layout in LAYOUT.values():
        assert all(f"| {header} | {name} |" in text for header, name in layout.rename.items())
