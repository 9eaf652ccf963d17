"""What the values of a column say for or against a canonical column; counts only, never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from cohort.intake import dates, findings, leaks, levels, numbers
from cohort.intake.ledger import ObjectArray
from cohort.intake.words import not_recorded
from cohort.tables.schema import Column

MOST_WORDS: Final = 20
LONGEST_WORD: Final = 40
NEUTRAL: Final = 0.8  # nothing is filled, or text that says nothing of its column


@dataclass(frozen=True)
class Evidence:
    """How the filled cells of a column read as a canonical column.

    filled, read : cells that hold something, and those of them that can be read. fit : 0 to 1.
    day_first, month_first, open : of dates, rows that can be read in one order only, and in either.
    unreadable : words that cannot be read, the commonest first (vocabularies only). low, high : quartiles of numbers.
    """

    filled: int
    read: int
    fit: float
    day_first: int = 0
    month_first: int = 0
    open: int = 0
    unreadable: tuple[str, ...] = ()
    low: float = np.nan
    high: float = np.nan
    ambiguous: int = 0

    @property
    def words(self) -> str:
        """The evidence in words."""
        if not self.filled:
            return "no value to judge by"
        return f"{self.read:,} of {self.filled:,} values can be read as such"


def evidence(cells: ObjectArray, column: Column) -> Evidence:
    """Read the cells as the column would be read."""
    counts = Counter(text for text in cells.tolist() if not not_recorded(text))
    filled = sum(counts.values())
    if not filled or column.kind in ("id", "text"):
        return Evidence(filled, filled, NEUTRAL)
    if column.kind == "date":
        return _dates(cells, filled)
    if column.kind in ("number", "integer"):
        return _numbers(counts, filled, column)
    readers: dict[str, Callable[[str], bool]] = {
        "level": _is_level,
        "set": lambda text: not leaks.read(text).fault,
        "vocabulary": lambda text: findings.read_word(text, column) >= 0,
    }
    readers["yes_no"] = readers["finding"] = lambda text: findings.read_state(text, column) >= 0
    can_read = readers[column.kind]
    good = {text for text in counts if can_read(text)}
    read = sum(counts[text] for text in good)
    # A value that occurs once may be anything, a name among them.
    bad = [t for t, n in counts.most_common() if t not in good and n > 1 and len(t) <= LONGEST_WORD]
    return Evidence(filled, read, read / filled, unreadable=tuple(bad[:MOST_WORDS]))


def _is_level(text: str) -> bool:
    found = levels.parse(text)
    return isinstance(found, tuple) and bool(found)


def _dates(cells: ObjectArray, filled: int) -> Evidence:
    read = dates.read_column(cells)
    both = int(np.isin(read.fault, ["date_ambiguous", "date_orders_mixed"]).sum())
    known = int(read.known.sum()) + both + int((read.fault == "date_two_digit_year").sum())
    return Evidence(filled, known, min(known / filled, 1.0), *read.shown, open=both)


def _numbers(counts: Counter[str], filled: int, column: Column) -> Evidence:
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    values: list[float] = []
    inside = ambiguous = 0
    for text, n in counts.items():
        value, fault = numbers.read(text, unit=column.unit)
        ambiguous += n * (fault == "number_ambiguous")
        if not np.isnan(value):
            values.extend([value] * n)
            inside += n * (low <= value <= high)
    quartiles = np.percentile(values, [25, 95]) if values else (np.nan, np.nan)
    read = len(values) + ambiguous
    # Numbers out of range may be in another unit: half as good.
    fit = (inside + ambiguous + 0.5 * (len(values) - inside)) / filled
    return Evidence(filled, read, fit, low=float(quartiles[0]), high=float(quartiles[1]), ambiguous=ambiguous)
