"""The truth tables of section 6: each mechanism over all that may have been recorded, and what is listed at the end."""

from __future__ import annotations

import tomllib
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cohort.domain import outcomes
from cohort.refracture import films, mechanism
from cohort.tables.schema import CANONICAL

TABLES = tomllib.loads(Path(__file__).with_name("mechanisms.toml").read_text(encoding="utf-8"))["mechanism"]
COLUMNS = {column.name: column for column in CANONICAL["augmentations"].columns}
ANSWERS = {"yes": 1, "no": 0, "?": mechanism.UNTOLD}
FOLLOW_UP = "cleft at follow-up"
NOT_RECORDED = "not recorded"

# Every set of places that a leak cell can hold, under the heading that the table gives it.
PLACES = [place for place in outcomes.LEAKS if place != "none"]
LEAK_SETS = ["none", *(";".join(some) for n in range(1, len(PLACES) + 1) for some in combinations(PLACES, n))]
LEAKS = {
    "into a disc": [leak for leak in LEAK_SETS if "disc" in leak],
    "none, or elsewhere": [leak for leak in LEAK_SETS if "disc" not in leak],
}


def states(name: str) -> dict[str, list[Any]]:
    """Every state of a column as the tables head it, with the canonical values under that heading."""
    column = COLUMNS.get(name)
    if name == "leak":
        told = dict(LEAKS)
    elif column is not None and column.kind == "vocabulary":
        told = {word: [word] for word in column.vocabulary}
    else:
        told = {word.replace("_", " "): [word] for word in outcomes.FINDING}
    return {**told, NOT_RECORDED: [None]}


def cells(table: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """A table as its combinations of headings and their answers; a heading or combination twice is an error."""
    lines = [[cell.strip() for cell in line.split("|")] for line in table["table"].strip("\n").splitlines()]
    head = lines.pop(0)[1:] if "columns" in table else [""]
    pairs = [((row, column), answer) for row, *answers in lines for column, answer in zip(head, answers, strict=True)]
    assert len({key for key, _ in pairs}) == len(pairs)
    return {tuple(part for part in key if part): answer for key, answer in pairs}


def augmentations(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of plain values in the canonical dtypes of `augmentations`, every column a mechanism needs."""
    names = ("fracture_endplate", "cement_endplate", "fracture_filled", "leak", "cleft_before", "cleft_filled")
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=COLUMNS[name].dtype) for name in names})


def at_follow_up(rows: list[dict[str, Any]]) -> np.ndarray:
    """What films tell of a cleft, as `films.tells` has it."""
    return films.tells(pd.Series([row.get(FOLLOW_UP) for row in rows], dtype=pd.CategoricalDtype(outcomes.FINDING)))


def answer_of(name: str, rows: list[dict[str, Any]]) -> list[int]:
    more = [at_follow_up(rows)] if name == "cleft_developed" else []
    return getattr(mechanism, name)(augmentations(rows), *more).tolist()


def test_every_mechanism_has_a_table_in_the_printed_order():
    assert [table["name"] for table in TABLES] == list(outcomes.MECHANISMS[:-2])
    assert outcomes.MECHANISMS[-2:] == ("not_recorded", "unexplained")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["name"])
def test_a_table_has_every_combination_once(table):
    names = [table[side] for side in ("rows", "columns") if side in table]
    assert set(cells(table)) == set(product(*(states(name) for name in names)))
    assert set(cells(table).values()) <= set(ANSWERS)
    assert {1, 0, mechanism.UNTOLD} == {ANSWERS[answer] for answer in cells(table).values()}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["name"])
def test_a_mechanism_is_what_its_table_says_for_everything_that_may_be_recorded(table):
    names = [table[side] for side in ("rows", "columns") if side in table]
    rows, told = [], []
    for headings, answer in cells(table).items():
        for values in product(*(states(name)[heading] for name, heading in zip(names, headings, strict=True))):
            rows.append(dict(zip(names, values, strict=True)))
            told.append(ANSWERS[answer])
    found = answer_of(table["name"], rows)
    assert not [(row, f"{is_} not {said}") for row, is_, said in zip(rows, found, told, strict=True) if is_ != said]


def test_what_is_listed_any_yes_in_order_else_not_recorded_else_unexplained():
    # Everything that the columns of all five tables can hold together, one leak of each kind.
    names = (
        "fracture_endplate",
        "cement_endplate",
        "fracture_filled",
        "leak",
        "cleft_before",
        "cleft_filled",
        FOLLOW_UP,
    )
    values = [[words[0] for words in states(name).values()] for name in names]
    rows = [dict(zip(names, row, strict=True)) for row in product(*values)]
    heading = {(name, words[0]): said for name in names for said, words in states(name).items()}

    told = []
    for table in TABLES:
        sides = [table[side] for side in ("rows", "columns") if side in table]
        of = cells(table)
        told.append([of[tuple(heading[side, row[side]] for side in sides)] for row in rows])
    expected = []
    for answers in zip(*told, strict=True):
        listed = [name for name, answer in zip(outcomes.MECHANISMS, answers, strict=False) if answer == "yes"]
        expected.append(";".join(listed) or ("not_recorded" if "?" in answers else "unexplained"))

    assert mechanism.mechanisms(augmentations(rows), at_follow_up(rows)).tolist() == expected
    assert {"not_recorded", "unexplained"} <= set(expected)
    assert "endplate_unfilled;underfilled_with_disc_leak;cleft_unfilled" in expected
