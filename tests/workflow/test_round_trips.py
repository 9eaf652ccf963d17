"""Whatever the canonical tables are saved as, they classify the same when read back.

The registry is `data/synthetic`, read once.
"""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cohort
from cohort.domain.study import StudyDefinition
from cohort.intake.assemble import written_text
from cohort.intake.export import write_canonical
from cohort.tables.results import Registry
from cohort.tables.schema import CANONICAL

SYNTHETIC = Path(__file__).parents[2] / "data" / "synthetic"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return cohort.read(SYNTHETIC)


def settings(registry: Registry, **tables: dict[str, Any]) -> StudyDefinition:
    """The registry's own settings, but where the tables lie and how they are written."""
    spec = StudyDefinition.model_validate({"tables": tables}).tables
    return registry.study.model_copy(update={"tables": spec})


def typed(registry: Registry) -> dict[str, pd.DataFrame]:
    """The canonical tables with days and numbers as such, as other software holds them."""
    found = {}
    for name, frame in registry.tables.items():
        words = {column: frame[column].astype(object) for column in frame.select_dtypes("category").columns}
        found[name] = frame.drop(columns="source_row").assign(**words)
    return found


def same_classification(registry: Registry, source: str | Path, study: StudyDefinition) -> None:
    back = cohort.read(source, study)
    assert not len(back.rejected)
    expected, found = (cohort.classify(one).drop(columns="source_row") for one in (registry, back))
    assert len(expected) > 1000
    pd.testing.assert_frame_equal(expected, found)


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_csv_and_parquet(registry, tmp_path, format):
    write_canonical(registry, tmp_path / "out", format)
    same_classification(registry, tmp_path / "out", settings(registry))


def test_tab_separated_with_decimal_commas_in_windows_1252(registry, tmp_path):
    for name, frame in registry.tables.items():
        text = written_text(frame.drop(columns="source_row"))
        for column in CANONICAL[name]:
            if column.kind in ("number", "integer"):
                text[column.name] = text[column.name].str.replace(".", ",", regex=False)
        text.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False, encoding="cp1252")
    same_classification(registry, tmp_path, settings(registry, **{name: {"decimal": ","} for name in CANONICAL}))


def test_one_workbook(registry, tmp_path):
    with pd.ExcelWriter(tmp_path / "registry.xlsx", engine="openpyxl") as book:
        for name, frame in typed(registry).items():
            frame.to_excel(book, sheet_name=name, index=False)
    same_classification(registry, tmp_path / "registry.xlsx", settings(registry))


def test_sqlite(registry, tmp_path):
    with closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
        for name, frame in typed(registry).items():
            frame.to_sql(name, connection, index=False)
    same_classification(registry, tmp_path / "registry.db", settings(registry))
    same_classification(registry, f"sqlite:///{tmp_path / 'registry.db'}", settings(registry))


def test_postgresql(registry, postgres, as_reader):
    url = postgres.database("synthetic", "".join(loaded(name, frame) for name, frame in typed(registry).items()))
    same_classification(registry, url, settings(registry))


def loaded(name: str, frame: pd.DataFrame) -> str:
    """SQL that makes one table, with types, and fills it."""
    kinds = {"M": "date", "f": "double precision", "i": "integer"}
    columns = ", ".join(f'"{column}" {kinds.get(frame[column].dtype.kind, "text")}' for column in frame)
    rows = io.StringIO()
    frame.sample(frac=1, random_state=1).to_csv(rows, index=False, header=False, date_format="%Y-%m-%d")
    return f"CREATE TABLE {name} ({columns});\nCOPY {name} FROM STDIN WITH (FORMAT csv);\n{rows.getvalue()}\\.\n"


def test_one_wide_sheet(registry, tmp_path):
    wide, study = widened(registry)
    wide.to_csv(tmp_path / "wide.csv", index=False)
    assert len(wide) == len(registry["patients"])
    same_classification(registry, tmp_path, study)


def widened(registry: Registry) -> tuple[pd.DataFrame, StudyDefinition]:
    """One row a patient: every other table's rows side by side, numbered, and the study file that says so."""
    wide = written_text(registry["patients"].drop(columns="source_row")).set_index("patient_id")
    specs: dict[str, dict[str, Any]] = {"patients": {"file": "wide.csv"}}
    for name, frame in registry.tables.items():
        if name == "patients":
            continue
        text = written_text(frame.drop(columns="source_row"))
        text["n"] = text.groupby("patient_id").cumcount() + 1
        beside = text.pivot(index="patient_id", columns="n")  # noqa: PD010, nothing is to be aggregated
        beside.columns = [f"{name}_{column}_{n}" for column, n in beside.columns]
        wide = wide.join(beside)
        repeat = {column: f"{name}_{column}_{{n}}" for column in text if column not in ("patient_id", "n")}
        specs[name] = {"file": "wide.csv", "repeat": repeat}
    return wide.fillna("").reset_index(), settings(registry, **specs)


def test_all_of_them_in_one_folder(registry, tmp_path):
    """Each table in a file of another kind."""
    tables = typed(registry)
    text = {name: written_text(frame.drop(columns="source_row")) for name, frame in registry.tables.items()}
    text["patients"].to_csv(tmp_path / "patients.csv", index=False)
    text["fractures"].to_csv(tmp_path / "Frakturen.tsv", sep="\t", index=False)
    tables["augmentations"].to_parquet(tmp_path / "augmentations.parquet")
    tables["imaging"].to_excel(tmp_path / "imaging.xlsx", sheet_name="Tabelle1", index=False)
    with closing(sqlite3.connect(tmp_path / "rest.sqlite3")) as connection:
        for name in CANONICAL:
            if name not in ("patients", "fractures", "augmentations", "imaging"):
                tables[name].to_sql(f" {name.upper()} ", connection, index=False)
    same_classification(registry, tmp_path, settings(registry, fractures={"file": "Frakturen.tsv"}))
