"""For every registry: all rows are accounted for, reading its own output changes nothing, nothing crashes."""

import csv
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cohort.domain.errors import CohortError
from cohort.domain.study import StudyDefinition
from cohort.intake import read, write_canonical
from cohort.intake.assemble import written_text
from cohort.tables import contracts
from cohort.tables.schema import CANONICAL

IDS = st.sampled_from(["P1", "P2", "P3", " P1 ", "", "P9"])
DATES = st.sampled_from(
    [
        "2020-01-01",
        "2020-01-02",
        "2020-01",
        "2020",
        "2021-06-15",
        "2021-06",
        "05/06/2021",
        "25/06/2021",
        "",
        "x",
        "2019",
    ]
)
LEVELS = st.sampled_from(["L1", "l1", "L1,L2", "T11-L1", "T13", "S1", "S2", "", "L3/4", "L5-S1", "L6"])
STATES = st.sampled_from(["yes", "no", "not assessable", "", "?", "maybe", "-"])
NUMBERS = st.sampled_from(["3", "3,5", "1,234", "2.5", "40", "-9", "", "x", "0.30000000000000004", "1e-3"])
COVARIATES = st.sampled_from(["", "a", ' spaced "quoted", text ', "line\nend", "line\rend", "ü;ö", "01", "n/a", "=1+1"])

COLUMNS = {
    "patients": {
        "patient_id": IDS,
        "follow_up_end": DATES,
        "death_date": DATES,
        "enrolled_on": DATES,
        "t_score": NUMBERS,
        "n_thoracic": st.sampled_from(["", "12", "13", "11", "14"]),
        "n_lumbar": st.sampled_from(["", "5", "6"]),
        "site": COVARIATES,
        "remark": COVARIATES,
    },
    "augmentations": {
        "augmentation_id": st.sampled_from(["", "", "A", "B", "A:L1", "P1:2020-01-01:L1"]),
        "patient_id": IDS,
        "date": DATES,
        "date_precision": st.sampled_from(["", "", "day", "month", "year", "before_index", "?"]),
        "level": LEVELS,
        "volume_ml": NUMBERS,
        "cleft_before": STATES,
        "leak": st.sampled_from(["", "none", "L1/2", "disc", "venous; superior disc", "none, venous", "L4-5"]),
        "remark": COVARIATES,
    },
    "fractures": {
        "patient_id": IDS,
        "date": DATES,
        "level": LEVELS,
        "last_clear_date": DATES,
        "symptomatic": STATES,
        "kind": st.sampled_from(["", "new", "old", "Settling", "x"]),
    },
    "imaging": {"patient_id": IDS, "date": DATES, "level": LEVELS, "anterior_mm": NUMBERS, "cleft": STATES},
    "medications": {
        "patient_id": IDS,
        "drug": st.sampled_from(["Prolia", "aspirin", ""]),
        "start": DATES,
        "stop": DATES,
    },
}


def rows_of(columns):
    return st.lists(st.tuples(*columns.values()), max_size=6)


REGISTRIES = st.fixed_dictionaries({name: rows_of(columns) for name, columns in COLUMNS.items()})


def write(registry, folder):
    for name, rows in registry.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(COLUMNS[name])
            writer.writerows(rows)
    return folder


# Reading a whole registry takes a good part of a second: few examples, and no shrinking of one that fails.
def few(examples):
    phases = (Phase.explicit, Phase.generate)
    return settings(max_examples=examples, phases=phases, derandomize=True, database=None, deadline=None)


@few(40)
@given(raw=REGISTRIES, format=st.sampled_from(["csv", "parquet"]))
def test_every_row_is_accounted_for_and_reading_the_output_changes_nothing(format, raw):
    with TemporaryDirectory() as scratch:
        source, out = Path(scratch, "source"), Path(scratch, "out")
        source.mkdir()
        first = read(write(raw, source))

        account = first.accounting.set_index("table")
        rejected = first.rejected.groupby("table").size()
        for name, rows in raw.items():
            assert account.loc[name, "rows_read"] == len(rows)
            assert account.loc[name, "rows_rejected"] == rejected.get(name, 0)
            accepted, lost = set(first[name]["source_row"]), set(first.rejected.query("table == @name")["row"])
            assert not accepted & lost
            assert accepted | lost == set(range(2, len(rows) + 2))
            assert account.loc[name, "rows_accepted"] == len(accepted)
            contracts.check(name, first[name])

        write_canonical(first, out, format)
        second = read(out)
        assert not len(second.rejected)
        assert not (second.warnings["outcome"] == "blank").any()
        for name in CANONICAL:
            pd.testing.assert_frame_equal(
                first[name].drop(columns="source_row"), second[name].drop(columns="source_row"), check_dtype=True
            )


WIDE = {
    "Nr": IDS,
    "end": DATES,
    "surgery": DATES,
    "level 1": LEVELS,
    "leak 1": st.sampled_from(["", "none", "disc", "venous", "x"]),
    "level 2": LEVELS,
    "leak 2": st.sampled_from(["", "none", "disc"]),
    "ml": NUMBERS,
    "fx date 1": DATES,
    "fx level 1": LEVELS,
    "fx date 2": DATES,
    "fx level 2": LEVELS,
    "remark": COVARIATES,
}
NOTHING = {"", "?", "-", "n/a", "none", "no"}
ONE_SHEET = {
    "patients": {"rename": {"Nr": "patient_id", "end": "follow_up_end"}},
    "augmentations": {
        "rename": {"Nr": "patient_id", "surgery": "date", "ml": "volume_ml"},
        "repeat": {"level": "level {n}", "leak": "leak {n}"},
    },
    "fractures": {
        "rename": {"Nr": "patient_id"},
        "repeat": {"date": "fx date {n}", "level": "fx level {n}"},
    },
}


@few(40)
@given(rows=st.lists(st.tuples(*WIDE.values()), max_size=6))
def test_one_wide_sheet_is_accounted_for_too_and_its_repetitions_stand_or_fall_together(rows):
    study = StudyDefinition.model_validate({"tables": {n: {"file": "all.csv"} | t for n, t in ONE_SHEET.items()}})
    with TemporaryDirectory() as scratch:
        source, out = Path(scratch, "source"), Path(scratch, "out")
        source.mkdir()
        with (source / "all.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([list(WIDE), *rows])
        first = read(source, study)
        account = first.accounting.set_index("table")
        for name, columns in (("augmentations", [2, 3, 4, 5, 6, 7, 12]), ("fractures", [8, 9, 10, 11])):
            # A row belongs to a table when a column of the table says anything; equal ones are one.
            seen = {}
            for number, row in enumerate(rows, start=2):
                if any(row[k].strip() not in NOTHING for k in columns):
                    seen.setdefault((row[0].strip(), *(row[k].strip() for k in columns)), number)
            accepted = set(first[name]["source_row"])
            lost = first.rejected.query("table == @name")["row"].tolist()
            assert len(lost) == len(set(lost))
            assert not accepted & set(lost)
            assert accepted | set(lost) == set(seen.values())
            assert account.loc[name].tolist() == [len(seen), len(accepted), len(lost)]
            contracts.check(name, first[name])
        write_canonical(first, out)
        second = read(out)
        assert not len(second.rejected)
        for name in CANONICAL:
            pd.testing.assert_frame_equal(
                first[name].drop(columns="source_row"), second[name].drop(columns="source_row"), check_dtype=True
            )


@few(8)
@given(raw=REGISTRIES, seed=st.randoms(use_true_random=False))
def test_the_order_of_rows_without_repeated_ids_changes_nothing(raw, seed):
    raw = {name: list(dict.fromkeys(rows)) for name, rows in raw.items()}
    seen = {}
    raw["patients"] = [seen.setdefault(row[0].strip(), row) for row in raw["patients"] if row[0].strip() not in seen]
    raw["augmentations"] = [("", *row[1:]) for row in raw["augmentations"]]
    shuffled = {name: seed.sample(rows, len(rows)) for name, rows in raw.items()}
    with TemporaryDirectory() as scratch:
        both = []
        for place, registry in (("a", raw), ("b", shuffled)):
            Path(scratch, place).mkdir()
            found = read(write(registry, Path(scratch, place)))
            frames = {}
            for name in ("patients", "augmentations", "fractures"):
                frame = written_text(found[name].drop(columns="source_row"))
                frames[name] = sorted(frame.drop_duplicates().itertuples(index=False, name=None))
            both.append(frames)
        assert both[0] == both[1]


@few(150)
@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.text(max_size=60).map(lambda text: ("patient_id,follow_up_end,x\n" + text).encode("utf-8", "replace")),
        st.text('P1,;"\n\r\t2020-|', max_size=60).map(lambda text: ("patient_id,follow_up_end,x\n" + text).encode()),
    ),
    name=st.sampled_from(["patients.csv", "patients.tsv", "patients.xlsx", "patients.parquet"]),
)
def test_no_file_crashes_the_reader(content, name):
    with TemporaryDirectory() as scratch:
        source = write({"augmentations": [], "fractures": []}, Path(scratch))
        (source / name).write_bytes(content)
        with suppress(CohortError):
            found = read(source)
            read_rows, accepted, rejected = found.accounting.loc[0, ["rows_read", "rows_accepted", "rows_rejected"]]
            assert read_rows == accepted + rejected


def test_an_output_that_cannot_be_written_says_so(tmp_path, folder):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CohortError, match="cannot be written"):
        write_canonical(read(folder()), tmp_path / "taken")


def test_optional_tables_that_the_source_lacks_are_not_written(tmp_path, folder):
    written = write_canonical(read(folder()), tmp_path / "out")
    assert [path.name for path in written] == [
        "patients.csv", "augmentations.csv", "fractures.csv", "rejected.csv", "accounting.csv", "warnings.csv",
    ]  # fmt: skip


def test_the_account_is_written_with_its_columns(tmp_path, folder):
    source = folder(patients="patient_id,follow_up_end,t_score\nP1,2022-12-31,9\nP2,,1")
    write_canonical(read(source), tmp_path / "out")
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert rejected.columns.tolist() == ["table", "source", "row", "column", "value", "reason"]
    assert rejected[["table", "source", "row", "column"]].values.tolist() == [
        ["patients", "patients.csv", 3, "follow_up_end"]
    ]
    assert pd.read_csv(tmp_path / "out" / "warnings.csv")["check"].tolist() == ["number_out_of_range"]
    assert pd.read_csv(tmp_path / "out" / "accounting.csv").columns.tolist() == [
        "table", "rows_read", "rows_accepted", "rows_rejected",
    ]  # fmt: skip
