"""The recipes of reconstructed studies: every count of a recipe is looked up among the published figures, none typed.

Four tables of `data`: `reconstructions` (one row per study: the settings it counted under), `reconstructions_items`
(what its registry is laid out of), `reconstructions_numbers` (counts that stand in the words of a figure) and
`reconstructions_figures` (every published figure, whether it can be reconstructed, and how it is had from a registry).

A count is written as a sum, difference or product of names: `new.n` and `new.of` are numerator and denominator of the
figure called new, `new.days` its window; `new.nearest` is the whole number whose share prints as its per cent where the
numerator is not printed, `new.nearest_of` the denominator likewise. Whole numbers in a recipe are choices of the
construction (a follow-up that nobody printed), and each is among the sentences of what is assumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import pandas as pd

from cohort.domain.errors import DefinitionError
from cohort.literature.tables import as_printed

TABLES: Final = ("reconstructions", "reconstructions_items", "reconstructions_numbers", "reconstructions_figures")
KINDS: Final = ("patients", "treated", "fracture", "film", "finding", "patient", "medication", "lost", "death")
_TERM: Final = re.compile(r"([+-]?)\s*([^+-]+)")
_HAIR: Final = 1e-9


@dataclass(frozen=True)
class Item:
    """A set of rows of one kind, laid over the patients of an arm.

    Row i goes to patient `first + (turn + i) % over` of the arm and to level i // over of `levels`. Counts and days are
    expressions; `values` are the other columns of the rows.
    """

    arm: str
    kind: str
    items: str
    over: str
    first: str
    turn: str
    levels: tuple[str, ...]
    days: str
    values: Mapping[str, str]
    assumed: str


@dataclass(frozen=True)
class Recipe:
    """One study: its settings, its items in order, its numbers, and its rows of `reconstructions_figures`."""

    study: str
    settings: Mapping[str, str]
    items: tuple[Item, ...]
    numbers: Numbers
    figures: pd.DataFrame


@dataclass(frozen=True)
class Numbers:
    """The named numbers of one study.

    >>> Numbers({"new.n": 15.0, "new.of": 91.0}).count("new.of - 2 * new.n")
    61
    """

    values: Mapping[str, float]

    def value(self, expression: str) -> float:
        """The value of an expression of names and numbers with + - and *.

        Raises DefinitionError for a name that the study does not have.
        """
        total = 0.0
        for sign, term in _TERM.findall(expression.strip()):
            product = 1.0
            for factor in term.split("*"):
                product *= self._one(factor.strip(), expression)
            total += -product if sign == "-" else product
        return total

    def count(self, expression: str) -> int:
        """The same, where it must be a whole number."""
        found = self.value(expression)
        if abs(found - round(found)) > _HAIR:
            raise DefinitionError(f"The recipe asks for a whole number, and {expression!r} is {found:g}.")
        return round(found)

    def also(self, **values: float) -> Numbers:
        """These numbers and some more."""
        return Numbers({**self.values, **values})

    def _one(self, name: str, expression: str) -> float:
        if re.fullmatch(r"\d+(\.\d+)?", name):
            return float(name)
        if name not in self.values:
            known = ", ".join(sorted(self.values)) or "none"
            raise DefinitionError(f"The recipe speaks of {name!r} in {expression!r}; the study's numbers are {known}.")
        return self.values[name]


@cache
def raw(name: str) -> pd.DataFrame:
    """`as_printed`, read once; not to be changed."""
    return as_printed(name)


def decimals(printed: str) -> int:
    """Digits after the point of a number as printed.

    >>> decimals("21.0"), decimals("18")
    (1, 0)
    """
    return len(printed.partition(".")[2])


def prints_as(value: float, printed: str) -> bool:
    """Whether a value is printed so; a tie may go either way.

    >>> prints_as(100 * 64 / 357, "18"), prints_as(100 * 19 / 81, "24")
    (True, False)
    """
    return abs(value - float(printed)) <= 0.5 * 10.0 ** -decimals(printed) + _HAIR


def nearest(printed: str, denominator: float) -> int | None:
    """The whole number nearest to a printed per cent of a denominator, None where it does not print as that per cent.

    >>> nearest("18", 357), nearest("24", 81)
    (64, None)
    """
    found = round(float(printed) * denominator / 100)
    return found if prints_as(100 * found / denominator, printed) else None


def studies() -> tuple[str, ...]:
    """The studies that have a recipe, in the order of the table."""
    return tuple(raw("reconstructions")["study"])


@cache
def recipe(study: str) -> Recipe:
    """The recipe of one study.

    Raises DefinitionError where there is none.
    """
    if study not in studies():
        near = [name for name in studies() if name.startswith(study)]
        hint = f"write {' or '.join(near)}" if near else "`reconstructable()` lists every figure with the reason"
        raise DefinitionError(f"No reconstruction is held for the study {study!r}; {hint}.")
    settings = _rows(_of(study, "reconstructions"))[0]
    items = tuple(_item(row) for row in _rows(_of(study, "reconstructions_items")))
    figures = _of(study, "reconstructions_figures").reset_index(drop=True)
    return Recipe(study, settings, items, _numbers(study, figures), figures)


def published(study_key: str, quantity: str) -> dict[str, str]:
    """The row of one published figure, as written.

    Raises DefinitionError where there is none.
    """
    figures = raw("figures")
    rows = figures[(figures["study_key"] == study_key) & (figures["quantity"] == quantity)]
    if len(rows) != 1:
        raise DefinitionError(f"figures.csv has {len(rows)} rows of {quantity!r} of {study_key}, where one is meant.")
    return _rows(rows)[0]


def found_in(text: str, pattern: str) -> str:
    """What the first group of a pattern finds in the words of a figure.

    Raises DefinitionError where it finds nothing.

    >>> found_in("18 new VCFs in 15 patients", r"in (\\d+) patients")
    '15'
    """
    said = re.search(pattern, text)
    if said is None:
        raise DefinitionError(f"A recipe looks for {pattern!r} in {text!r}, which does not say it.")
    return said[1]


def _of(study: str, table: str) -> pd.DataFrame:
    frame = raw(table)
    return frame[frame["study"] == study]


def _rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    return [{str(name): str(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _item(row: Mapping[str, str]) -> Item:
    if row["kind"] not in KINDS:
        raise DefinitionError(f"A recipe of {row['study']} has the kind {row['kind']!r}; it may be {', '.join(KINDS)}.")
    return Item(
        row["arm"],
        row["kind"],
        row["items"],
        row["over"],
        row["first"],
        row["turn"],
        tuple(row["levels"].split(";")) if row["levels"] else (),
        row["days"],
        dict(_pair(text) for text in row["values"].split(";") if text),
        row["assumed"],
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _numbers(study: str, figures: pd.DataFrame) -> Numbers:
    """Numerator, denominator and window of every named figure of the study, then its own rows of numbers."""
    values: dict[str, float] = {}
    for row in _rows(figures[figures["name"] != ""]):
        name, figure = row["name"], published(row["study_key"], row["quantity"])
        for short, column in (("n", "numerator"), ("of", "denominator"), ("days", "window_days")):
            if figure[column]:
                values[f"{name}.{short}"] = float(figure[column].removeprefix(">="))
        values |= {f"{name}.{short}": value for short, value in _derived(figure).items()}
    for row in _rows(_of(study, "reconstructions_numbers")):
        values[row["name"]] = _looked_up(row, Numbers(values))
    return Numbers(values)


def _derived(figure: Mapping[str, str]) -> dict[str, float]:
    """What a printed per cent tells of a numerator or denominator that is not printed."""
    printed, numerator, denominator = figure["percent"], figure["numerator"], figure["denominator"]
    if not printed or bool(numerator) == bool(denominator):
        return {}
    if denominator:
        found = nearest(printed, float(denominator))
        return {} if found is None else {"nearest": float(found)}
    whole = round(100 * float(numerator) / float(printed))
    return {"nearest_of": float(whole)} if prints_as(100 * float(numerator) / whole, printed) else {}


def _looked_up(row: Mapping[str, str], known: Numbers) -> float:
    """One row of reconstructions_numbers: a column of a figure, or the digits that a pattern finds in its words."""
    if row["source"] == "headlines":
        lines = raw("headlines")
        chosen = (lines["study_key"] == row["study_key"]) & (lines["quantity"] == row["quantity"])
        text = lines.loc[chosen & (lines["version"] == "as stated"), row["field"]].iloc[0]
    else:
        text = published(row["study_key"], row["quantity"])[row["field"]]
    if row["pattern"]:
        text = found_in(text, row["pattern"])
    if row["of"]:
        found = nearest(text, known.value(row["of"]))
        if found is None:
            raise DefinitionError(f"No whole number of {known.value(row['of']):g} prints as {text} per cent.")
        return float(found)
    return float(text) * (float(row["scale"]) if row["scale"] else 1.0)
