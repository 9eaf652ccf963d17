"""PostgreSQL as a source, on a real server: read as text, kept from writing, and never a password or user in sight."""

import json
from textwrap import dedent

import numpy as np
import pytest

from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import StudyDefinition
from cohort.intake import addresses, databases, postgres, read

READER = "registry_reader"  # the role of tests/conftest.py
SCHEMA = """
    CREATE TABLE patients (patient_id text PRIMARY KEY, follow_up_end date, t_score numeric(4, 1), site text);
    INSERT INTO patients VALUES ('P2', '2022-12-31', -2.0, 'Köln'), ('P1', '2022-12-31', NULL, 'A');
    CREATE TABLE augmentations (patient_id text, date timestamp, level text, volume_ml float8, leak text[]);
    INSERT INTO augmentations VALUES ('P1', '2020-01-01', 'L1', 3, ARRAY['disc_superior', 'venous']);
    CREATE TABLE fractures (patient_id text, date date, level text, trauma boolean);
    INSERT INTO fractures VALUES ('P1', '2021-03-01', 'L2', true);
"""


@pytest.fixture
def database(postgres, as_reader):
    """Make a database of the server: a whole registry, then whatever else is to be run in it; gives its address."""

    def make(more: str = "", schema: str = SCHEMA, name: str = "registry", options: str = "") -> str:
        return postgres.database(name, dedent(schema) + more, options=options)

    return make


def cells(url, table):
    """One table as read: header, rows as text, row numbers."""
    with postgres.connect(addresses.parse(url)) as opened:
        assert table in opened.table_names()
        header, frame, rows = opened.read(table)
    return list(header), frame.to_numpy().tolist(), rows.tolist()


class TestAsASource:
    def test_a_registry_is_read_by_its_address(self, database):
        url = database()
        for source in (url, url.replace("postgresql:", "postgres:"), f"{url}?schema=public&sslmode=prefer"):
            registry = read(source)
            assert not len(registry.rejected)
            patients = registry["patients"]
            assert patients[["patient_id", "site", "source_row"]].values.tolist() == [["P1", "A", 2], ["P2", "Köln", 3]]
            assert registry["augmentations"]["leak"].tolist() == ["disc_superior;venous"]
            assert registry["fractures"]["trauma"].tolist() == ["yes"]

    def test_inputs_say_table_rows_and_a_digest_but_no_bytes(self, database):
        inputs = read(database()).inputs.set_index("table")
        assert inputs.loc["patients", ["source", "sheet", "rows"]].tolist() == ["registry", "patients", 2]
        assert inputs["bytes"].isna().all()
        assert inputs["sha256"].str.fullmatch("[0-9a-f]{64}").all()

    def test_the_order_of_entry_changes_nothing(self, database):
        entered = read(database()).inputs["sha256"].tolist()
        moved = """
            CREATE TABLE old AS SELECT * FROM patients ORDER BY patient_id; DELETE FROM patients;
            INSERT INTO patients SELECT * FROM old; DROP TABLE old;
        """
        assert read(database(moved)).inputs["sha256"].tolist() == entered

    def test_without_a_key_all_columns_as_text_decide_the_order(self, database):
        url = database("CREATE TABLE t (x text, n int); INSERT INTO t VALUES ('b', 2), ('a', 10), ('B', 1), ('a', 9);")
        assert cells(url, "t")[1] == [["B", "1"], ["a", "10"], ["a", "9"], ["b", "2"]]

    def test_a_numeric_key_orders_by_number(self, database):
        url = database(
            "CREATE TABLE t (x text, n int, PRIMARY KEY (n, x)); INSERT INTO t VALUES ('a', 10), ('b', 9), ('a', 9);"
        )
        assert cells(url, "t")[1] == [["a", "9"], ["b", "9"], ["a", "10"]]

    def test_a_view_counts_as_a_table(self, database):
        url = database("CREATE VIEW imaging AS SELECT patient_id, date, level FROM fractures;")
        assert read(url)["imaging"]["level"].tolist() == ["L2"]

    def test_other_tables_of_the_server_are_no_warning(self, database):
        assert not len(read(database("CREATE TABLE billing (x int);")).warnings)

    def test_the_study_file_names_tables_and_no_files(self, database):
        url = database('ALTER TABLE fractures RENAME TO "Befunde 2021";')
        assert len(read(url, StudyDefinition(tables={"fractures": {"sheet": "befunde 2021"}}))["fractures"]) == 1
        with pytest.raises(RegistryError, match=r"from the file x\.csv, but the source is registry"):
            read(url, StudyDefinition(tables={"fractures": {"file": "x.csv"}}))
        with pytest.raises(DefinitionError, match="header_row"):
            read(url, StudyDefinition(tables={"fractures": {"sheet": "befunde 2021", "header_row": 2}}))

    def test_a_schema_may_be_named(self, database):
        url = database(f"""
            CREATE SCHEMA "Spine Unit"; GRANT USAGE ON SCHEMA "Spine Unit" TO {READER};
            ALTER TABLE patients SET SCHEMA "Spine Unit"; ALTER TABLE fractures SET SCHEMA "Spine Unit";
            ALTER TABLE augmentations SET SCHEMA "Spine Unit";
            GRANT SELECT ON ALL TABLES IN SCHEMA "Spine Unit" TO {READER};
        """)
        assert len(read(f"{url}?schema=Spine%20Unit")["patients"]) == 2
        with pytest.raises(RegistryError, match="has no schema spine"):
            read(f"{url}?schema=spine")
        with pytest.raises(RegistryError, match=r"has no table patients \(its tables are none\)"):
            read(url)

    def test_two_names_that_differ_in_case_alone_must_be_told_apart(self, database):
        url = database(
            'ALTER TABLE fractures RENAME TO "Fractures"; CREATE TABLE "FRACTURES" AS SELECT * FROM "Fractures";'
        )
        with pytest.raises(RegistryError, match="either could be fractures"):
            read(url)
        assert len(read(url, StudyDefinition(tables={"fractures": {"sheet": "FRACTURES"}}))["fractures"]) == 1

    def test_a_database_in_another_encoding_is_read(self, database):
        url = database(name="latin", options="ENCODING 'LATIN1' TEMPLATE template0")
        assert read(url)["patients"]["site"].tolist() == ["A", "Köln"]

    def test_a_partitioned_table_is_one_table(self, database):
        url = database("""
            CREATE TABLE imaging (patient_id text, date date, level text) PARTITION BY RANGE (date);
            CREATE TABLE imaging_2021 PARTITION OF imaging FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
            INSERT INTO imaging VALUES ('P1', '2021-02-01', 'L1');
        """)
        assert len(read(url)["imaging"]) == 1


TYPES = [
    # type, value, text
    ("smallint", "7", "7"),
    ("bigint", "9007199254740993", "9007199254740993"),
    ("numeric", "12.50", "12.50"),
    ("numeric(6,1)", "12", "12"),
    ("numeric", "'NaN'", ""),
    ("real", "0.1", "0.1"),
    ("double precision", "12", "12"),
    ("double precision", "0.1::float8 + 0.2::float8", "0.30000000000000004"),
    ("double precision", "'NaN'", ""),
    ("money", "12", "12"),
    ("boolean", "true", "true"),
    ("boolean", "false", "false"),
    ("text", "' as it is '", " as it is "),
    ("varchar(10)", "'007'", "007"),
    ("char(5)", "'L1'", "L1"),
    ("date", "'2021-03-04'", "2021-03-04"),
    ("timestamp", "'2021-03-04'", "2021-03-04"),
    ("timestamp", "'2021-03-04 10:30:05.25'", "2021-03-04 10:30:05"),
    ("timestamptz", "'2021-03-04 00:00 Europe/Berlin'", "2021-03-04"),
    ("timestamptz", "'2021-07-04 10:30 UTC'", "2021-07-04 12:30:00"),
    ("time", "'10:30'", "10:30:00"),
    ("interval", "'3 days'", "3 days"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("text[]", "ARRAY['disc', NULL, 'venous']", "disc;;venous"),
    ("numeric[]", "ARRAY[1.0, 2.5]", "1;2.5"),
    ("date[]", "ARRAY['2021-03-04'::date]", "2021-03-04"),
    ("timestamp[]", "ARRAY['2021-03-04'::timestamp]", "2021-03-04"),
    ("boolean[]", "ARRAY[true, false]", "true;false"),
    ("int[]", "'{}'", ""),
    ("int[][]", "'{{1,2},{3,4}}'", "1;2;3;4"),
    ("jsonb", """'{"a": 1}'""", '{"a": 1}'),
    ("json", "'[1]'", "[1]"),
    ("bytea", r"'\x00ff'", r"\x00ff"),
    ("inet", "'10.0.0.1'", "10.0.0.1/32"),
    ("side", "'left'", "left"),
    ("score", "12", "12"),
    ("strict_score", "3", "3"),
    ("text", "NULL", ""),
    ("int[]", "NULL", ""),
    ("timestamp", "NULL", ""),
]


def test_every_common_type_arrives_as_the_text_that_a_person_would_have_typed(database):
    made = ", ".join(f"c{k} {type}" for k, (type, _, _) in enumerate(TYPES))
    values = ", ".join(value for _, value, _ in TYPES)
    url = database(f"""
        CREATE TYPE side AS ENUM ('left', 'right'); CREATE DOMAIN score AS numeric(6, 1);
        CREATE DOMAIN strict_score AS score CHECK (VALUE >= 0);
        ALTER DATABASE types SET timezone = 'Europe/Berlin'; ALTER DATABASE types SET datestyle = 'German, DMY';
        ALTER DATABASE types SET extra_float_digits = -5; ALTER DATABASE types SET bytea_output = 'escape';
        ALTER DATABASE types SET standard_conforming_strings = off;
        CREATE TABLE t ({made}); INSERT INTO t VALUES ({values});
    """, name="types")  # fmt: skip
    (row,) = cells(url, "t")[1]
    assert dict(enumerate(zip([type for type, _, _ in TYPES], row, strict=True))) == {
        k: (type, text) for k, (type, _, text) in enumerate(TYPES)
    }


@pytest.mark.parametrize(
    "name", ['a"b', "two words", "ORDER", "Größe", "x; DROP TABLE patients", "'", "$1", "%s", "腰"]
)
def test_names_of_any_kind_are_quoted(database, name):
    quoted = databases.quoted(name)
    url = database(
        f"CREATE TABLE {quoted} ({quoted} text PRIMARY KEY, other int); INSERT INTO {quoted} VALUES ('v', 1);"
    )
    assert cells(url, name)[:2] == ([name, "other"], [["v", "1"]])


def test_a_database_and_a_user_of_any_name_are_reached(postgres, database, as_reader):
    url = database(name='Größe "1"/a')
    postgres.run(
        "postgres",
        f'DROP ROLE IF EXISTS "me@ho me"; CREATE ROLE "me@ho me" LOGIN PASSWORD \'{as_reader}\' IN ROLE {READER};',
    )
    url = f"postgresql://me%40ho%20me@127.0.0.1:{postgres.port}/Gr%C3%B6%C3%9Fe%20%221%22%2Fa"
    assert len(read(url)["patients"]) == 2


def test_a_table_is_named_and_never_spliced_into_sql(database, postgres):
    url = database()
    for sheet in (
        "fractures; DROP TABLE patients",
        'fractures" --',
        "fractures UNION SELECT * FROM patients",
        "pg_authid",
    ):
        with pytest.raises(RegistryError, match="has no table"):
            read(url, StudyDefinition(tables={"fractures": {"sheet": sheet}}))
    assert postgres.run("registry", "SELECT count(*) FROM patients;").strip() == "2"


def test_many_rows_arrive_whole_and_in_order(database):
    rows = "SELECT n, repeat('x', 200) || n FROM generate_series(1, 150000) n ORDER BY random()"
    url = database(f"CREATE TABLE t (n int PRIMARY KEY, x text); INSERT INTO t {rows};")
    with postgres.connect(addresses.parse(url)) as opened:
        opened.table_names()
        _, frame, rows = opened.read("t")
    assert frame[0].tolist() == [str(n) for n in range(1, 150_001)]
    assert frame[1].iloc[-1].endswith("x150000")
    assert np.array_equal(rows, np.arange(2, 150_002))


def test_a_value_too_long_for_a_registry_is_refused(database):
    with pytest.raises(RegistryError, match="the column letter holds a value of more than") as refusal:
        read(database("ALTER TABLE fractures ADD letter text; UPDATE fractures SET letter = repeat('x', 1000000);"))
    assert "xxx" not in str(refusal.value)


class TestNothingIsWritten:
    def test_the_server_refuses_to_write_even_for_the_owner(self, postgres, database, monkeypatch):
        database()
        monkeypatch.setenv("PGPASSWORD", "correct-horse-battery-staple")
        monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=off")
        url = postgres.url("registry", postgres.owner)
        with postgres_connection(url) as opened:
            for statement in ("DELETE FROM patients", "CREATE TABLE x (y int)", "DROP TABLE patients"):
                with opened._connection.cursor() as cursor, pytest.raises(opened._error, match="read-only transaction"):
                    cursor.execute(statement)
                opened._connection.rollback()
            assert opened._rows("x", "SELECT current_setting('default_transaction_read_only')") == [("on",)]
            assert opened._rows("x", "SELECT current_setting('transaction_isolation')") == [("repeatable read",)]

    def test_a_url_cannot_ask_to_write(self, database):
        with pytest.raises(Exception, match="parameter that is not read"):
            read(database() + "?options=-c%20default_transaction_read_only%3Doff")

    def test_all_tables_are_read_as_of_one_moment(self, postgres, database):
        with postgres_connection(database()) as opened:
            opened.table_names()
            postgres.run("registry", "DELETE FROM fractures;")
            assert len(opened.read("fractures")[1]) == 1


def postgres_connection(url):
    return postgres.connect(addresses.parse(url))


SECRETS = ("correct-horse-battery-staple", "xyzzy-plugh-1976", "hunter2", READER, "someone_else")


def refusal(source):
    """What a source is refused with: its message, and all that its exception could show."""
    with pytest.raises(RegistryError) as refused:
        read(source)
    error, shown = refused.value, []
    while error is not None:
        shown.append(f"{error} {error!r} {error.args!r}")
        error = error.__cause__ or error.__context__
    assert not [secret for secret in SECRETS if secret in " ".join(shown)]
    return str(refused.value)


class TestErrorsAreSentences:
    def test_a_wrong_password(self, database, monkeypatch):
        url = database()
        monkeypatch.setenv("PGPASSWORD", "hunter2")
        assert "user or password was not accepted" in refusal(url)

    def test_no_password_at_all(self, database, monkeypatch, tmp_path):
        url = database()
        monkeypatch.delenv("PGPASSWORD")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert "PGPASSWORD, a .pgpass file" in refusal(url)

    def test_a_user_who_does_not_exist(self, database):
        assert "user or password was not accepted" in refusal(database().replace(READER, "someone_else"))

    def test_a_database_that_does_not_exist(self, postgres, as_reader):
        assert "there is no database nowhere" in refusal(postgres.url("nowhere"))

    def test_a_database_that_this_user_may_not_enter(self, postgres, database):
        url = database(name="closed")
        postgres.run("postgres", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC;")
        assert "may not connect to the database closed" in refusal(url)

    def test_a_table_that_this_user_may_not_read(self, postgres, database):
        url = database()
        postgres.run("registry", f"REVOKE SELECT ON fractures FROM {READER};")
        assert "table fractures cannot be read: this user has no permission" in refusal(url)

    def test_a_table_that_is_missing(self, database):
        assert "no table fractures (its tables are augmentations, patients)" in refusal(
            database("DROP TABLE fractures;")
        )

    def test_a_query_that_the_server_stops(self, database):
        slow = "DROP TABLE fractures; CREATE VIEW fractures AS SELECT 'P1' AS patient_id, pg_sleep(60)::text AS date;"
        said = refusal(
            database(slow + f"ALTER ROLE {READER} IN DATABASE slow SET statement_timeout = '200ms';", name="slow")
        )
        assert "time limit" in said

    def test_a_view_that_fails(self, database):
        view = "CREATE VIEW fractures AS SELECT patient_id, 1 / (random() * 0)::int AS date FROM patients;"
        assert "PostgreSQL error 22012" in refusal(database("DROP TABLE fractures;" + view))

    def test_a_service_that_is_not_defined(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        (tmp_path / "services").write_text("[other]\n")
        assert "does not define this service" in refusal("postgresql://?service=spine")


class TestWhereThePasswordComesFrom:
    def test_a_pgpass_file(self, postgres, database, as_reader, monkeypatch, tmp_path):
        url = database()
        monkeypatch.delenv("PGPASSWORD")
        (tmp_path / "pgpass").write_text(f"127.0.0.1:{postgres.port}:*:{READER}:{as_reader}\n")
        (tmp_path / "pgpass").chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
        assert len(read(url)["patients"]) == 2

    def test_a_service_file(self, postgres, database, as_reader, monkeypatch, tmp_path):
        database()
        monkeypatch.delenv("PGPASSWORD")
        lines = [
            "[spine]",
            "host=127.0.0.1",
            f"port={postgres.port}",
            "dbname=registry",
            f"user={READER}",
            f"password={as_reader}",
        ]
        (tmp_path / "services").write_text("\n".join(lines) + "\n")
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        registry = read("postgresql://?service=spine")
        assert registry.inputs["source"].tolist() == ["registry"] * 3


def test_no_output_of_a_run_shows_password_or_user(postgres, database, tmp_path, command):
    url = database("INSERT INTO fractures VALUES ('P9', '2021-03-01', 'L2', true);")  # one row to reject
    runs = [
        ("classify", url, "--out", tmp_path / "s.csv"),
        ("normalize", url, "--out", tmp_path / "n"),
        ("report", url, "--out", tmp_path / "r"),
        ("report", postgres.url("nowhere"), "--out", tmp_path / "r2"),
        ("classify", url.replace(READER, f"{READER}:hunter2"), "--out", tmp_path / "s2.csv"),
    ]
    done = [command(*words) for words in runs]
    assert [code for code, _, _ in done] == [3, 3, 3, 1, 2]
    said = "".join(out + error for _, out, error in done)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "r" / "manifest.json" in written
    for text in (said, *(path.read_text(encoding="utf-8", errors="replace") for path in written)):
        assert not [secret for secret in SECRETS if secret in text]
    inputs = json.loads((tmp_path / "r" / "manifest.json").read_text())["inputs"]
    first = {name: inputs[0][name] for name in ("source", "sheet", "bytes", "rows")}
    assert first == {"source": "registry", "sheet": "patients", "bytes": None, "rows": 2}
