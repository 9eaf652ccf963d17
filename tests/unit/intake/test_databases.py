"""SQLite as a source, and what may be named as one: never written to, never trusted, and no password is shown."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from cohort.domain.errors import CohortError, DefinitionError, RegistryError, UsageError
from cohort.domain.study import StudyDefinition
from cohort.intake import addresses, databases, read, sqlite_files

SCHEMA = """
    CREATE TABLE patients (patient_id TEXT PRIMARY KEY, follow_up_end DATE, t_score REAL);
    INSERT INTO patients VALUES ('P2', '2022-12-31', -2.5), ('P1', '2022-12-31', NULL);
    CREATE TABLE augmentations (patient_id TEXT, date TIMESTAMP, level TEXT, volume_ml REAL);
    INSERT INTO augmentations VALUES ('P1', '2020-01-01 00:00:00', 'L1', 3.0);
    CREATE TABLE fractures (patient_id TEXT, date TEXT, level TEXT, trauma BOOLEAN);
    INSERT INTO fractures VALUES ('P1', '2021-03-01', 'L2', 1);
"""


@pytest.fixture
def database(tmp_path):
    """Write an SQLite file: a whole registry, then whatever else is to be run in it."""

    def write(more: str = "", schema: str = SCHEMA, name: str = "registry.sqlite") -> Path:
        path = tmp_path / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(dedent(schema) + more)
        return path

    return write


def cells(path, table):
    """One table of an SQLite file as read: header, rows as text, row numbers."""
    with sqlite_files.connect(path) as opened:
        header, frame, rows = opened.read(table)
    return list(header), frame.to_numpy().tolist(), rows.tolist()


def everything_under(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class TestAsASource:
    @pytest.mark.parametrize("name", ["registry.db", "registry.sqlite", "registry.SQLITE3"])
    def test_a_file_is_read_by_its_path_and_by_its_url(self, database, name):
        path = database(name=name)
        for source in (path, str(path), f"sqlite:///{path}"):
            registry = read(source)
            assert registry["patients"]["patient_id"].tolist() == ["P1", "P2"]
            assert registry["fractures"]["trauma"].tolist() == ["yes"]
            assert registry["augmentations"]["volume_ml"].tolist() == [3.0]
            assert not len(registry.rejected)

    def test_a_relative_url_starts_where_the_command_was_given(self, database, monkeypatch):
        monkeypatch.chdir(database().parent)
        assert len(read("sqlite:///registry.sqlite")["patients"]) == 2

    def test_rows_are_numbered_by_key_as_if_exported_under_a_header(self, database):
        registry = read(database())
        assert registry["patients"][["patient_id", "source_row"]].values.tolist() == [["P1", 2], ["P2", 3]]

    def test_without_a_key_the_content_decides_the_order_and_not_the_order_of_entry(self, database):
        rows = ["('b', 2)", "('a', 10)", "('a', 9)", "(NULL, 1)"]
        orders = []
        for order in (rows, rows[::-1]):
            path = database(f"CREATE TABLE t (x TEXT, n); INSERT INTO t VALUES {', '.join(order)};")
            orders.append(cells(path, "t"))
        assert orders[0] == orders[1] == (["x", "n"], [["", "1"], ["a", "10"], ["a", "9"], ["b", "2"]], [2, 3, 4, 5])

    def test_inputs_say_file_table_rows_and_a_digest_of_the_content(self, database):
        first, again = database(), database(name="copy.db")
        inputs = read(first).inputs.set_index("table")
        assert inputs.loc["patients", ["source", "sheet", "rows"]].tolist() == ["registry.sqlite", "patients", 2]
        assert inputs["bytes"].eq(first.stat().st_size).all()
        assert inputs["sha256"].tolist() == read(again).inputs["sha256"].tolist()
        changed = read(database("UPDATE patients SET t_score = -2.6 WHERE patient_id = 'P2';")).inputs.set_index(
            "table"
        )
        assert (inputs["sha256"] != changed["sha256"]).tolist() == [True, False, False]

    def test_a_table_that_the_registry_does_not_use_is_a_warning(self, database):
        warnings = read(database("CREATE TABLE laboratory (crp);")).warnings
        assert warnings[["source", "check"]].values.tolist() == [["registry.sqlite!laboratory", "file_unused"]]

    def test_a_view_counts_as_a_table(self, database):
        view = "DROP TABLE fractures; CREATE VIEW fractures AS SELECT patient_id, '2021-03-01' AS date, 'L3' AS level"
        assert read(database(f"{view} FROM augmentations;"))["fractures"]["level"].tolist() == ["L3"]

    def test_a_study_file_beside_a_database_is_not_its_own(self, database):
        path = database()
        (path.parent / "study.toml").write_text("[relation]\nreach = 2")
        assert read(path).study.relation.reach == 1
        assert read(path, path.parent / "study.toml").study.relation.reach == 2

    def test_a_missing_table_is_named_with_those_that_are_there(self, database):
        with pytest.raises(RegistryError, match=r"no table fractures \(its tables are augmentations, patients\)"):
            read(database("DROP TABLE fractures;"))


class TestInAFolder:
    def test_a_folder_may_mix_text_and_databases(self, database):
        path = database("DROP TABLE patients;", name="source/export.db")
        (path.parent / "patients.csv").write_text("patient_id,follow_up_end\nP1,2022-12-31\n")
        registry = read(path.parent)
        assert registry.accounting["rows_accepted"].tolist()[:3] == [1, 1, 1]
        assert registry.inputs["source"].tolist() == ["patients.csv", "export.db", "export.db"]

    def test_the_study_file_names_file_and_table(self, database):
        path = database('ALTER TABLE fractures RENAME TO "Befunde 2021";', name="source/klinik.db")
        study = StudyDefinition(tables={"fractures": {"file": "klinik.db", "sheet": "befunde 2021"}})
        assert len(read(path.parent, study)["fractures"]) == 1

    def test_a_file_of_a_tables_name_may_hold_one_table_of_any_name(self, database):
        path = database(name="source/registry.db")
        database(schema="CREATE TABLE t (patient_id, date, level); INSERT INTO t VALUES ('P1', '2020-01-01', 'L1');",
                 name="source/imaging.db")  # fmt: skip
        assert len(read(path.parent)["imaging"]) == 1

    def test_the_same_table_in_two_databases_must_be_chosen(self, database):
        path = database(name="source/a.db")
        database(name="source/b.db")
        with pytest.raises(RegistryError, match=r"could be any of a\.db, b\.db"):
            read(path.parent)

    def test_another_programs_db_file_is_left_alone(self, folder):
        source = folder(**{"Thumbs.db": b"\xd0\xcf\x11\xe0 not a database"})
        assert read(source).warnings["source"].tolist() == ["Thumbs.db"]

    def test_a_symbolic_link_that_leaves_the_folder_is_refused(self, database, folder):
        outside = database(name="outside.db")
        source = folder(patients=None)
        os.symlink(outside, source / "patients.db")
        with pytest.raises(RegistryError, match="outside the source folder"):
            read(source)

    def test_a_database_has_no_header_row(self, database):
        with pytest.raises(DefinitionError, match="header_row"):
            read(database(), StudyDefinition(tables={"patients": {"header_row": 3}}))


VALUES = [
    # declared, value, text
    ("TEXT", "'  as it is '", "  as it is "),
    ("TEXT", "'007'", "007"),
    ("INTEGER", "7", "7"),
    ("REAL", "7.0", "7"),
    ("REAL", "0.1", "0.1"),
    ("REAL", "1e300", "1e+300"),
    ("INTEGER", "123456789012345678", "123456789012345678"),
    ("BOOLEAN", "1", "true"),
    ("boolean", "0", "false"),
    ("BOOLEAN", "'ja'", "ja"),
    ("DATE", "'2021-03-04'", "2021-03-04"),
    ("DATETIME", "'2021-03-04 00:00:00'", "2021-03-04"),
    ("DATETIME", "'2021-03-04T00:00:00.000000'", "2021-03-04"),
    ("DATETIME", "'2021-03-04 10:30:00'", "2021-03-04 10:30:00"),
    ("TEXT", "'2021-03-04 00:00:00'", "2021-03-04 00:00:00"),
    ("BLOB", "x'00ff'", "\\x00ff"),
    ("TEXT", "NULL", ""),
    ("TEXT", "'Größe 腰4'", "Größe 腰4"),
    ("TEXT", "'a' || char(0) || 'b'", "a\x00b"),
]


@pytest.mark.parametrize(("declared", "value", "text"), VALUES)
def test_a_value_becomes_the_text_that_a_person_would_have_typed(database, declared, value, text):
    path = database(f"CREATE TABLE t (x {declared}); INSERT INTO t VALUES ({value});")
    assert cells(path, "t")[1] == [[text]]


@pytest.mark.parametrize("name", ['a"b', "two words", "ORDER", "Größe", "x; DROP TABLE patients", "'", "[t]"])
def test_names_of_any_kind_are_quoted(database, name):
    quoted = databases.quoted(name)
    path = database(f"CREATE TABLE {quoted} ({quoted} TEXT); INSERT INTO {quoted} VALUES ('v');")
    assert cells(path, name)[:2] == ([name], [["v"]])


def test_a_table_is_named_and_never_spliced_into_sql(database):
    path = database()
    for sheet in ("fractures; DROP TABLE patients", 'fractures" --', "fractures UNION SELECT * FROM patients"):
        with pytest.raises(RegistryError, match="has no table"):
            read(path, StudyDefinition(tables={"fractures": {"sheet": sheet}}))
    assert len(read(path)["patients"]) == 2


class TestNothingIsWritten:
    @pytest.mark.parametrize("journal", ["delete", "wal"])
    def test_reading_leaves_the_folder_as_it_was(self, database, journal):
        path = database(f"PRAGMA journal_mode = {journal};")
        before = everything_under(path.parent)
        read(path)
        assert everything_under(path.parent) == before

    def test_rows_that_a_running_program_has_committed_are_read(self, database):
        path = database("PRAGMA journal_mode = wal;")
        with closing(sqlite3.connect(path)) as running:
            running.execute("INSERT INTO patients VALUES ('P3', '2022-12-31', NULL)")
            running.commit()
            assert path.with_name("registry.sqlite-wal").stat().st_size > 0
            assert read(path)["patients"]["patient_id"].tolist() == ["P1", "P2", "P3"]

    @pytest.mark.parametrize("journal", ["delete", "wal"])
    def test_a_copy_of_a_file_that_was_being_written_is_refused_as_it_is(self, database, tmp_path, journal):
        path = database(f"PRAGMA journal_mode = {journal};")
        with closing(sqlite3.connect(path, isolation_level=None)) as running:
            running.executescript("PRAGMA cache_size = 2; BEGIN; UPDATE patients SET patient_id = patient_id || 'x';")
            running.execute("CREATE TABLE filler AS SELECT hex(zeroblob(10000)) FROM patients, patients, patients")
            if journal == "wal":
                running.execute("COMMIT")
            (tmp_path / "copy").mkdir()
            for file in tmp_path.glob("registry.sqlite*"):
                if not file.name.endswith("-shm"):
                    shutil.copy(file, tmp_path / "copy")
        before = everything_under(tmp_path / "copy")
        assert len(before) == 2
        with pytest.raises(RegistryError, match="another program has left it unfinished"):
            read(tmp_path / "copy" / "registry.sqlite")
        assert everything_under(tmp_path / "copy") == before

    def test_the_connection_cannot_write(self, database):
        with sqlite_files.connect(database()) as opened:
            for statement in (
                "DELETE FROM patients",
                "CREATE TABLE x (y)",
                "ATTACH ':memory:' AS m",
                "PRAGMA query_only = 0",
            ):
                with pytest.raises(sqlite3.DatabaseError):
                    opened._connection.execute(statement)


class TestHostileFiles:
    def says(self, path, words):
        with pytest.raises(RegistryError, match=words) as refusal:
            read(path)
        return str(refusal.value)

    def test_a_file_that_is_none(self, tmp_path):
        for content in (b"", b"patient_id,follow_up_end\n", os.urandom(4096)):
            (tmp_path / "x.db").write_bytes(content)
            self.says(tmp_path / "x.db", "cannot be opened as an SQLite database")

    @pytest.mark.parametrize("keep", [100, 1500, 5000, 9000])
    def test_a_truncated_file(self, database, keep):
        path = database()
        path.write_bytes(path.read_bytes()[:keep])
        self.says(path, "x|registry.sqlite")

    def test_a_file_overwritten_in_the_middle(self, database):
        path = database()
        content = bytearray(path.read_bytes())
        content[4096:] = os.urandom(len(content) - 4096)
        path.write_bytes(content)
        self.says(path, "damaged")

    def test_text_that_is_no_utf_8(self, database):
        self.says(database("INSERT INTO patients VALUES (CAST(x'4bf66c6e' AS TEXT), '2022-12-31', 1);"), "not UTF-8")

    def test_a_value_too_long_for_a_registry(self, database):
        said = self.says(
            database("UPDATE fractures SET level = replace(hex(zeroblob(20000)), '0', 'x');"), "the column level"
        )
        assert "xxx" not in said

    @pytest.mark.parametrize(
        ("view", "words"),
        [
            (
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
                "does more than look up",
            ),
            ("SELECT nowhere FROM patients", "does not fit"),
            ("SELECT load_extension('x')", "does more than look up"),
        ],
    )
    def test_a_view_that_does_more_than_look_up_rows(self, database, view, words):
        self.says(database(f"DROP TABLE fractures; CREATE VIEW fractures AS {view};"), words)

    def test_a_view_without_end(self, database, monkeypatch):
        monkeypatch.setattr(sqlite_files, "_LONGEST_QUERY_S", 0.2)
        product = ", ".join(f"patients p{k}" for k in range(40))
        self.says(
            database(f"DROP TABLE fractures; CREATE VIEW fractures AS SELECT p1.* FROM {product};"), "reasonable time"
        )

    def test_an_empty_database(self, database):
        self.says(database(schema="CREATE TABLE t (x); DROP TABLE t;"), "its tables are none")


URLS = """
    source                                              | says
    postgresql://me:hunter2@db.example.org/registry     | password must not stand
    postgres://me:hunter2@db.example.org/registry       | password must not stand
    POSTGRESQL://me:hunter2@db.example.org/registry     | password must not stand
    postgresql://me:hunter2/x@db.example.org/registry   | password must not stand
    postgresql://me:hunter2?x@db.example.org/registry   | password must not stand
    postgresql://me:hunter2#x@db.example.org/registry   | password must not stand
    postgresql://me:@hunter2@db.example.org/registry    | password must not stand
    postgresql://db/registry?user=me&password=hunter2   | password must not stand
    postgresql://db/registry?user=me&pass%77ord=hunter2 | password must not stand
    postgresql://db/registry?sslpassword=hunter2        | password must not stand
    postgresql://db:hunter2/registry                    | not one of PostgreSQL
    postgresql://db/registry?options=-chunter2          | parameter that is not read
    postgresql://db/registry?hunter2                    | parameter that is not read
    postgresql+psycopg2://me:hunter2@db/registry        | export the tables
    mysql://me:hunter2@db/registry                      | export the tables
    postgresql:/me:hunter2@db/registry                  | The source does not exist
    host=db user=me password=hunter2                    | The source does not exist
    sqlite://hunter2                                    | three slashes
    sqlite:///registry.db?key=hunter2                   | without parameters
    sqlite:///hunter2/../nowhere.db?                    | without parameters
"""
WRONG = [tuple(part.strip() for part in line.split(" | ")) for line in URLS.strip().splitlines()[1:]]


@pytest.mark.parametrize(("source", "says"), WRONG)
def test_a_url_that_cannot_be_read_is_refused_and_repeats_nothing_of_itself(source, says):
    with pytest.raises((RegistryError, UsageError), match=says) as refusal:
        read(source)
    error = refusal.value
    assert "hunter2" not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"


def test_an_address_shows_no_user_and_asks_the_server_to_keep_it_from_writing():
    address = addresses.parse("postgresql://someone@db.example.org:5433/registry?sslmode=require&schema=spine")
    assert repr(address) == "PostgresAddress(name='registry', server='db.example.org:5433', schema='spine')"
    assert address.connection.startswith("postgresql://someone@db.example.org:5433/registry?")
    for words in (
        "connect_timeout=10",
        "sslmode=require",
        "default_transaction_read_only%3Don",
        "client_encoding=UTF8",
    ):
        assert words in address.connection
    assert "schema" not in address.connection


@pytest.mark.parametrize(
    ("url", "name", "server"),
    [
        ("postgresql://a,b:5433/registry", "registry", "a,b:5433"),
        ("postgresql://[::1]:5433/registry", "registry", "[::1]:5433"),
        ("postgres:///registry?host=/run/postgresql", "registry", "/run/postgresql"),
        ("postgresql://me%40hospital@db/my%20registry", "my registry", "db"),
        ("postgresql://?service=spine", "", "of the service file or of this machine"),
        ("postgresql://", "", "of the service file or of this machine"),
    ],
)
def test_addresses_are_written_as_libpq_reads_them(url, name, server):
    address = addresses.parse(url)
    assert (address.name, address.server) == (name, server)


def test_a_driver_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "adbc_driver_postgresql", None)
    with pytest.raises(RegistryError, match=r"pip install 'vertebral-cohort\[sql\]'"):
        read("postgresql://127.0.0.1/registry")


def test_a_server_that_cannot_be_reached_ends_in_a_sentence_without_the_user(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    with pytest.raises(CohortError, match=r"127\.0\.0\.1:1: it cannot be reached") as refusal:
        read("postgresql://someone@127.0.0.1:1/registry")
    error = refusal.value
    for secret in ("someone", "hunter2"):
        assert secret not in f"{error!r} {error.__cause__!r} {error.__context__!r}"


def test_the_digest_depends_on_every_cell_and_name():
    frame = pd.DataFrame({0: ["a", "b"], 1: ["", "c"]})
    digests = {
        databases.digest(["x", "y"], frame),
        databases.digest(["x", "z"], frame),
        databases.digest(["x", "y"], frame.iloc[::-1]),
        databases.digest(["x", "y"], frame.replace("c", "d")),
        databases.digest(["x"], frame[[0]]),
    }
    assert len(digests) == 5
