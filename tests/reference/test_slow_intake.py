"""Do the toolkit and the slow intake agree, row by row, on tables as many hands would have written them?"""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from random_raw import random_raw
from slow_intake import DATES, Accepted, Tables, accept

import cohort

USUAL: Tables = {
    "patients": [{"patient_id": name, "follow_up_end": "2022-12-31"} for name in ("P1", "P2")],
    "augmentations": [{"patient_id": "P1", "date": "2020-01-01", "level": "L1"}],
    "fractures": [],
}
REJECTED_ALONE = (
    "patient_id_empty", "patient_unknown", "required_empty", "date_unreadable", "date_serial", "date_two_digit_year",
    "date_implausible", "date_ambiguous", "date_orders_mixed", "level_unreadable", "level_sacral",
    "level_not_in_spine", "spine_out_of_range", "after_death", "clear_not_before", "duplicate", "second_patient_row",
    "id_used",
)  # fmt: skip
KEPT = ("number_unreadable", "word_unknown", "date_before_index", "date_imprecise", "kind_at_untreated")
SPEC = Path(__file__).parents[1] / "spec" / "checks.toml"
CASES = {case["check"]: case for case in tomllib.loads(SPEC.read_text(encoding="utf-8"))["case"]}


def write(tables: Tables, folder: Path) -> None:
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def comparable(rows: list[Accepted]) -> list[tuple]:
    return sorted((one.row, one.patient, one.level or "", *(day or "" for _, day in one.dates)) for one in rows)


def as_accepted(table: str, frame: pd.DataFrame) -> list[Accepted]:
    """Rows of a canonical table in the shape of the slow intake."""
    return [
        Accepted(
            row=row["source_row"],
            patient=row["patient_id"],
            level=row.get("level"),
            dates=tuple((name, None if pd.isna(row[name]) else row[name].date()) for name in DATES[table]),
        )
        for row in frame.to_dict("records")
    ]


@pytest.mark.parametrize("check", [*REJECTED_ALONE, *KEPT])
def test_the_slow_intake_rejects_the_row_at_fault_of_each_check_and_no_other(check):
    case = CASES[check]
    tables = {**USUAL, case["table"]: list(csv.DictReader(case["csv"].splitlines()))}
    rejected = {(table, row) for table, rows in accept(tables).rejected.items() for row in rows}
    at_fault = {(case.get("at", case["table"]), case["row"])}
    assert rejected == (at_fault if check in REJECTED_ALONE else set())


@pytest.mark.parametrize("seed", range(150))
def test_both_accept_and_reject_the_same_rows(seed, tmp_path):
    tables = random_raw(seed)
    write(tables, tmp_path)
    registry, expected = cohort.read(tmp_path), accept(tables)
    for table in tables:
        refused = registry.rejected[registry.rejected["table"] == table]
        assert set(refused["row"]) == expected.rejected[table], table
        assert comparable(as_accepted(table, registry[table])) == comparable(expected.accepted[table]), table
