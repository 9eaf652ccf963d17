"""The command line as a stranger meets it: sentences, exit codes, nothing overwritten."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pandas as pd
import pytest


@pytest.fixture
def small(registry, tables):
    return registry(**tables)


def test_classify_places_each_fracture_and_exits_0(small, tmp_path, command):
    code, _, _ = command("classify", small, "--out", tmp_path / "s.csv")
    sightings = pd.read_csv(tmp_path / "s.csv")
    assert code == 0
    assert sightings["relation"].tolist() == ["adjacent", "same", "remote"]
    assert sightings["counted"].tolist() == ["yes"] * 3


def test_persontime_counts_the_same_events(small, tmp_path, command):
    code, _, _ = command("persontime", small, "--out", tmp_path / "p.csv")
    table = pd.read_csv(tmp_path / "p.csv")
    assert code == 0
    assert list(table.columns) == ["level", "role", "vertebra_days", "events"]
    assert table.groupby("role")["events"].sum().to_dict() == {"adjacent": 1, "remote": 1, "treated": 1}


def test_normalize_writes_every_account_and_exits_3_when_rows_were_rejected(registry, tables, tmp_path, command):
    tables["augmentations"] += "P3,2021-05-10,L7,no,none\n"
    source = registry(**tables)
    code, said, _ = command("normalize", source, "--out", tmp_path / "out")
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert code == 3
    assert rejected[["table", "row", "column", "value"]].to_numpy().tolist() == [["augmentations", 5, "level", "L7"]]
    assert "augmentations" in said


def test_report_ends_in_a_page_a_manifest_and_tables(small, tmp_path, command):
    code, said, _ = command("report", small, "--out", tmp_path / "r")
    assert code == 0
    assert (tmp_path / "r" / "report.html").is_file()
    assert (tmp_path / "r" / "manifest.json").is_file()
    assert list((tmp_path / "r" / "tables").glob("*.csv"))
    assert "report.html" in said


@pytest.mark.parametrize("name", ["classify", "persontime"])
def test_nothing_is_overwritten_without_force(small, tmp_path, command, name):
    out = tmp_path / "s.csv"
    out.write_text("mine")
    code, _, said = command(name, small, "--out", out)
    assert code == 2
    assert "--force" in said
    assert out.read_text() == "mine"
    assert command(name, small, "--out", out, "--force")[0] == 0


def test_a_registry_is_never_normalized_onto_itself(small, command):
    before = {path.name: path.read_bytes() for path in small.iterdir()}
    code, _, said = command("normalize", small, "--out", small, "--force")
    assert code == 2
    assert "source itself" in said
    assert {path.name: path.read_bytes() for path in small.iterdir()} == before


@pytest.fixture
def database(small, tmp_path):
    """The small registry as an SQLite file."""
    with closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
        for path in small.iterdir():
            pd.read_csv(path).to_sql(path.stem, connection, index=False)
    return tmp_path / "registry.db"


def test_a_database_is_named_by_its_file_or_its_url(small, database, tmp_path, command):
    for name, source in (("folder", small), ("file", database), ("url", f"sqlite:///{database}")):
        assert command("classify", source, "--out", tmp_path / f"{name}.csv")[0] == 0
    assert len({(tmp_path / f"{name}.csv").read_text() for name in ("folder", "file", "url")}) == 1


@pytest.mark.parametrize("name", ["classify", "persontime"])
def test_a_database_is_never_overwritten_by_what_is_made_of_it(database, command, name):
    before = database.read_bytes()
    for source in (database, f"sqlite:///{database}"):
        code, _, said = command(name, source, "--out", database, "--force")
        assert code == 2
        assert "source itself" in said
    assert database.read_bytes() == before


def test_a_password_in_a_url_is_wrong_usage_and_not_repeated(tmp_path, command):
    for source in ("postgresql://me:hunter2@db/registry", "postgresql:/me:hunter2@db/registry"):
        code, said, complaint = command("classify", source, "--out", tmp_path / "s.csv")
        assert code == 2
        assert "hunter2" not in said + complaint


def test_a_table_of_an_earlier_run_does_not_stay_behind(small, tmp_path, command):
    out = tmp_path / "out"
    command("normalize", small, "--out", out)
    (out / "imaging.csv").write_text("patient_id,date,level\n")
    assert command("normalize", small, "--out", out, "--force", "--format", "parquet")[0] == 0
    assert sorted(path.name for path in out.glob("*.parquet")) == [
        "augmentations.parquet",
        "fractures.parquet",
        "patients.parquet",
    ]
    assert sorted(path.name for path in out.glob("*.csv")) == ["accounting.csv", "rejected.csv", "warnings.csv"]


def test_a_file_of_any_other_name_is_csv(small, tmp_path, command):
    assert command("classify", small, "--out", tmp_path / "sightings.txt")[0] == 0
    assert (tmp_path / "sightings.txt").read_text().startswith("fracture_id,patient_id,date,level")


def test_a_report_folder_is_not_overwritten_without_force(small, tmp_path, command):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "notes.txt").write_text("mine")
    code, _, said = command("report", small, "--out", tmp_path / "r")
    assert code == 2
    assert "--force" in said
    assert (tmp_path / "r" / "notes.txt").read_text() == "mine"


def test_a_source_that_does_not_exist_is_wrong_usage(tmp_path, command):
    code, _, said = command("classify", tmp_path / "nowhere", "--out", tmp_path / "s.csv")
    assert code == 2
    assert "does not exist" in said


def test_an_unknown_option_is_wrong_usage(small, command):
    assert command("classify", small, "--nonsense")[0] == 2


@pytest.mark.parametrize("name", ["report", "normalize", "classify", "persontime", "synthesize", "literature"])
def test_every_command_explains_itself(command, name):
    code, said, _ = command(name, "--help")
    assert code == 0
    assert "--out" in said


def test_help_loads_no_heavy_library():
    script = (
        "import sys; sys.argv = ['cohort', '--help']\n"
        "from cohort.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'pandas', 'numpy', 'matplotlib', 'statsmodels'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


class TestBadInput:
    """Each ends in a clear sentence and the right exit code, never in a traceback."""

    def run(self, command, source, tmp_path):
        code, _, said = command("report", source, "--out", tmp_path / "r")
        assert "Traceback" not in said
        assert "unforeseen" not in said
        return code, said

    def test_an_empty_folder(self, tmp_path, command):
        (tmp_path / "empty").mkdir()
        code, said = self.run(command, tmp_path / "empty", tmp_path)
        assert code == 1
        assert "patients" in said

    def test_a_missing_required_column(self, registry, tables, tmp_path, command):
        tables["augmentations"] = tables["augmentations"].replace("level", "place")
        source = registry(**tables)
        code, said = self.run(command, source, tmp_path)
        assert code == 1
        assert "level" in said
        assert "augmentations.csv" in said

    def test_a_registry_with_no_event_is_reported(self, registry, tables, tmp_path, command):
        tables["fractures"] = "patient_id,date,level,kind,symptomatic"
        source = registry(**tables)
        code, _ = self.run(command, source, tmp_path)
        assert code == 0
        assert (tmp_path / "r" / "report.html").is_file()

    def test_a_registry_with_one_patient_is_reported(self, registry, tables, tmp_path, command):
        one = {name: "\n".join(text.strip().splitlines()[:2]) for name, text in tables.items()}
        source = registry(**one)
        code, _ = self.run(command, source, tmp_path)
        assert code == 0
        assert (tmp_path / "r" / "report.html").is_file()

    def test_every_date_ambiguous(self, registry, tables, tmp_path, command):
        ambiguous = {name: re.sub(r"20(\d\d)-\d\d-\d\d", r"03/04/20\1", text) for name, text in tables.items()}
        source = registry(**ambiguous)
        code, said = self.run(command, source, tmp_path)
        assert code == 1
        assert "normalize" in said
        code, _, _ = command("normalize", source, "--out", tmp_path / "n")
        reasons = pd.read_csv(tmp_path / "n" / "rejected.csv")["reason"]
        assert code == 3
        assert reasons.str.contains("date_order").any()

    def test_a_binary_file_named_csv(self, registry, tables, tmp_path, command):
        source = registry(**tables | {"augmentations": bytes(range(256)) * 40})
        code, said = self.run(command, source, tmp_path)
        assert code == 1
        assert "augmentations.csv" in said

    def test_a_wrong_study_file(self, registry, tables, tmp_path, command):
        source = registry(**tables, study="[relation]\nreech = 2")
        code, said = self.run(command, source, tmp_path)
        assert code == 1
        assert "reech" in said
