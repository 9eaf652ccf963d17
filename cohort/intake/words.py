"""Written words are compared without case, spacing, hyphens or underscores; each distinct one is read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.intake.ledger import ObjectArray

Reading = TypeVar("Reading")

NOT_RECORDED: Final = frozenset(
    (
        "", "?", "??", "-", "--", ".", "na", "n/a", "n.a.", "n a", "nan", "nat", "null", "<na>", "unk", "unknown",
        "missing", "not recorded", "none recorded", "not documented", "not known",
        "unjudged", "unbekannt", "k.a.", "inconnu",
    )
)  # fmt: skip
_SPACING = re.compile(r"[\s_\-]+")
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−﹣-", "-"))


def plain(text: str) -> str:
    """Lower case, trimmed, single spaces, every dash a hyphen.

    >>> plain("  T11 – L1 ")
    't11 - l1'
    """
    return " ".join(text.translate(_DASHES).casefold().split())


def word(text: str) -> str:
    """A word of a vocabulary as it is compared: underscores and hyphens are spaces.

    >>> word("Not_Assessable")
    'not assessable'
    """
    folded = plain(text)
    return _SPACING.sub(" ", folded).strip() or folded


def not_recorded(text: str) -> bool:
    """Whether the cell says that nothing was recorded.

    >>> not_recorded("N/A"), not_recorded("no")
    (True, False)
    """
    return plain(text) in NOT_RECORDED


def distinct(values: ObjectArray) -> tuple[IntArray, list[str]]:
    """Where each value stands among the distinct ones, and these, in order of appearance."""
    codes, uniques = pd.factorize(values)
    return codes.astype(np.int64), [str(text) for text in uniques]


def read_distinct(values: ObjectArray, read: Callable[[str], Reading]) -> tuple[IntArray, list[Reading]]:
    """Read each distinct string once: codes of shape (n,) into the list of readings."""
    codes, uniques = distinct(values)
    return codes, [read(text) for text in uniques]


def take(readings: Iterable[object], codes: IntArray) -> ObjectArray:
    """The readings joined back to their rows."""
    items = list(readings)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array[codes] if len(items) else np.empty(len(codes), dtype=object)


def stripped(values: ObjectArray) -> ObjectArray:
    """Every value trimmed."""
    codes, readings = read_distinct(values, str.strip)
    return take(readings, codes)
