"""What a verdict rests on: numbers looked up, never typed, each remembered with its source and how it was read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.domain.errors import DefinitionError
from cohort.literature import tables
from cohort.literature.facts import facts
from cohort.literature.recompute import interval, recompute

REVIEW: Final = "jacobson2017"
# From the surest to the least sure.
SURENESS: Final = ("read in source", "read in abstract", "read in secondary", "title only")

Row = Mapping[Any, Any]
Rows = Mapping[Any, Row]


@dataclass(frozen=True)
class Share:
    """A numerator over a denominator, with the per cent and its exact (Clopper-Pearson) 95 % limits, per cent."""

    events: float
    n: float
    percent: float
    exact_low: float
    exact_high: float


def share_of(events: float, n: float) -> Share:
    """A share with its limits.

    >>> one = share_of(6, 6)
    >>> one.percent, round(one.exact_low, 1), one.exact_high
    (100.0, 54.1, 100.0)
    """
    low, high = interval(np.array([float(events)]), np.array([float(n)]), "exact")
    return Share(float(events), float(n), 100 * float(events) / float(n), float(low[0]), float(high[0]))


@dataclass(frozen=True)
class _Known:
    """The shipped tables, each row by what names it; read only."""

    figures: Rows
    recomputed: Rows
    effects: Rows
    statements: Rows
    references: Rows
    review: str


@cache
def _known() -> _Known:
    figures, effects, again = facts(), tables.effects(), recompute()
    return _Known(
        _by(figures, "study_key", "quantity"),
        _by(again[again["table"] == "figures"], "study_key", "quantity"),
        _by(effects, "study_key", "exposure", "outcome"),
        _by(tables.review_statements(), "id"),
        _by(tables.references(), "ref"),
        str(figures.loc[figures["study_key"] == REVIEW, "citation"].iloc[0]),
    )


def _by(frame: pd.DataFrame, *names: str) -> Rows:
    rows = frame.to_dict("records")
    return {tuple(row[name] for name in names): row for row in rows}


@dataclass
class Evidence:
    """The shipped tables, and what was looked up in them so far, as pairs of source and confidence."""

    used: list[tuple[str, str]] = field(default_factory=list)

    def figure(self, study_key: str, quantity: str) -> Row:
        """A published figure with its definition. Raises DefinitionError where there is none."""
        return self._take(_known().figures, (study_key, quantity))

    def recomputed(self, study_key: str, quantity: str) -> Row:
        """A published figure worked out again (`recompute`). Raises DefinitionError where there is none."""
        return self._take(_known().recomputed, (study_key, quantity))

    def share(self, study_key: str, quantity: str) -> Share:
        """The share of a published figure. Raises DefinitionError where numerator or denominator was not published."""
        row = self.figure(study_key, quantity)
        if np.isnan(row["numerator"]) or np.isnan(row["denominator"]):
            raise DefinitionError(f"The figure '{quantity}' of '{study_key}' has no numerator and denominator.")
        return share_of(row["numerator"], row["denominator"])

    def effect(self, study_key: str, exposure: str, outcome: str) -> Row:
        """A published effect. Raises DefinitionError where there is none."""
        return self._take(_known().effects, (study_key, exposure, outcome))

    def read_review(self) -> None:
        """Remember that the review's own text was read."""
        self.used.append((_known().review, SURENESS[0]))

    def statement(self, statement: str) -> Row:
        """A statement of the review, in the words of review_statements.csv."""
        self.read_review()
        return _known().statements[(statement,)]

    def numbers(self, statement: str) -> tuple[float, ...]:
        """The numbers of `value_low` and `value_high` of a statement, as far as there are any; units are left out.

        >>> Evidence().numbers("S12")
        (60.0, 90.0)
        """
        row = self.statement(statement)
        texts = (re.search(r"[\d.]+", row[name]) for name in ("value_low", "value_high"))
        return tuple(float(number[0]) for number in texts if number)

    def cited(self, statement: str) -> tuple[int, ...]:
        """The references that a statement cites.

        >>> Evidence().cited("S17")
        (8, 9, 10, 11)
        """
        cited: list[int] = []
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", self.statement(statement)["refs_cited"]):
            cited += range(int(first), int(last or first) + 1)
        return tuple(cited)

    def reference(self, ref: int) -> Row:
        """One entry of the review's list of references."""
        row = _known().references[(ref,)]
        self.used.append((f"[{ref}] {row['first_author']} {row['year']:.0f}", row["confidence"]))
        return row

    def in_words(self, refs: tuple[int, ...]) -> str:
        """References in words, each with what it is.

        >>> Evidence().in_words((9,))
        '[9] (Wu AM 2013: a narrative review without a cohort)'
        """
        words = []
        for ref in refs:
            row = self.reference(ref)
            words.append(f"[{ref}] ({row['first_author']} {row['year']:.0f}: {row['what']})")
        return " and ".join(words) if len(words) < 3 else ", ".join(words)

    @property
    def source(self) -> str:
        """Everything looked up, once each, in the order of the look-ups."""
        return "; ".join(dict.fromkeys(source for source, _ in self.used))

    @property
    def confidence(self) -> str:
        """How surely the least sure of them was read."""
        return max((confidence for _, confidence in self.used), key=SURENESS.index)

    def _take(self, rows: Rows, key: tuple[str, ...]) -> Row:
        if key not in rows:
            raise DefinitionError(f"An audit looks up what is not among the published figures: {', '.join(key)}.")
        row = rows[key]
        self.used.append((f"{key[0]} ({row['source']})", row["confidence"]))
        return row
