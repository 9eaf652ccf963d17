"""Written words are compared without case, spacing, hyphens or underscores; each distinct one is read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.written import bare, plain
from cohort.intake.ledger import ObjectArray

Reading = TypeVar("Reading")

NOT_RECORDED: Final = frozenset(
    (
        "", "?", "??", "-", "--", ".", "na", "n/a", "n.a.", "n a", "nan", "nat", "null", "<na>", "unk", "unknown",
        "missing", "not recorded", "none recorded", "not documented", "not known", "not available", "not reported",
        "not done", "no data", "no information", "n.k.", "n.d.", "nd", "unjudged",
        "unbekannt", "nicht bekannt", "k.a.", "k. a.", "keine angabe", "keine angaben", "nicht dokumentiert",
        "nicht erfasst", "nicht erhoben", "nicht durchgeführt", "fehlt", "fehlend",
        "inconnu", "inconnue", "non connu", "non connue", "non renseigné", "non renseignée", "non documenté",
        "non documentée", "non disponible", "manquant", "manquante", "donnée manquante", "non fait", "non réalisé",
        "desconocido", "desconocida", "se desconoce", "no conocido", "no consta", "no registrado", "no registrada",
        "no documentado", "no disponible", "no realizado", "sin dato", "sin datos", "sin información", "ns/nc",
        "未知", "不详", "不詳", "不明", "未记录", "未記錄", "无记录", "無記錄", "缺失", "未填", "无数据", "未查",
        "未检查",
    )
)  # fmt: skip
NONE: Final = frozenset(
    (
        "none", "kein", "keine", "keiner", "keines", "aucun", "aucune", "ninguno", "ninguna", "ningun", "无", "無",
        "没有", "沒有",
    )
)  # fmt: skip
"""Words that say there is none: no date, no number; of a finding they may say no."""

_SPACING = re.compile(r"[\s_\-]+")


def word(text: str) -> str:
    """A word of a vocabulary as it is compared: without accents, underscores and hyphens are spaces.

    >>> word("Not_Assessable"), word("Présent")
    ('not assessable', 'present')
    """
    folded = bare(text)
    return _SPACING.sub(" ", folded).strip() or folded


_NOT_RECORDED: Final = NOT_RECORDED | {word(text) for text in NOT_RECORDED}


def not_recorded(text: str) -> bool:
    """Whether the cell says that nothing was recorded.

    >>> not_recorded("N/A"), not_recorded("non renseigne"), not_recorded("no"), not_recorded("#N/A")
    (True, True, False, False)
    """
    return plain(text) in _NOT_RECORDED or word(text) in _NOT_RECORDED


def says_none(text: str) -> bool:
    """Whether the cell says that there is none.

    >>> says_none("Keine"), says_none("无"), says_none("no")
    (True, True, False)
    """
    return plain(text) in NONE


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
