"""Written words are compared without case, spacing, hyphens or underscores; each distinct one is read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, IntArray
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


@dataclass(frozen=True)
class Words:
    """A column of text: its distinct texts, and where the text of each of its n cells stands among them.

    codes : integers, of any width, shape (n,). texts : every one of them the text of some cell.
    """

    codes: npt.NDArray[np.integer[Any]]
    texts: ObjectArray

    @classmethod
    def of(cls, column: pd.Series | ObjectArray) -> Words:
        """A column of text; one of categories has been told apart already.

        >>> words = Words.of(np.array(["L1", "", "L1"], dtype=object))
        >>> words.codes.tolist(), words.texts.tolist(), words[np.array([2])].tolist()
        ([0, 1, 0], ['L1', ''], ['L1'])
        """
        if isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype):
            return cls(column.cat.codes.to_numpy(), column.cat.categories.to_numpy(dtype=object))._used()
        codes, texts = pd.factorize(np.asarray(column, dtype=object))
        return cls(codes, texts)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: IntArray | BoolArray) -> ObjectArray:
        """The cells at some places."""
        return self.texts[self.codes[index]]

    @property
    def cells(self) -> ObjectArray:
        """Every cell."""
        return self.texts[self.codes]

    def holds(self, text: str) -> BoolArray:
        """Cells that hold a text. Shape (n,)."""
        return np.asarray(self.texts == text, dtype=bool)[self.codes]

    def at(self, places: IntArray) -> Words:
        """The column of the cells at some places."""
        return Words(self.codes[places], self.texts)._used()

    def categorical(self) -> pd.Categorical:
        """The column as `of` takes it."""
        return pd.Categorical.from_codes(self.codes, pd.Index(self.texts, dtype=object))  # type: ignore[arg-type]

    def written(self, texts: Sequence[str] | ObjectArray) -> Words:
        """The column with other texts, in the order of its own; those that are now the same become one."""
        codes, uniques = pd.factorize(_objects(texts))
        return Words(codes[self.codes], uniques)

    def followed_by(self, other: Words) -> Words:
        """The column with the cells of another below its own."""
        codes, texts = pd.factorize(np.concatenate([self.texts, other.texts]))
        n = len(self.texts)
        return Words(np.concatenate([codes[:n][self.codes], codes[n:][other.codes]]), texts)

    def changed(self, change: Callable[[str], str]) -> Words:
        """The column with every text changed."""
        own = self.texts.tolist()
        texts = list(map(change, own))
        return self if texts == own else self.written(texts)

    def _used(self) -> Words:
        """Without the texts that no cell holds: they would take part where a column's own texts decide its reading."""
        used = np.zeros(len(self.texts), dtype=bool)
        used[self.codes] = True
        if used.all():
            return self
        return Words((np.cumsum(used) - 1)[self.codes], self.texts[used])


def distinct(values: Words | ObjectArray) -> tuple[IntArray, list[str]]:
    """Where each value stands among the distinct ones, and these."""
    words = values if isinstance(values, Words) else Words.of(values)
    return words.codes.astype(np.int64), [str(text) for text in words.texts]


def read_distinct(values: Words | ObjectArray, read: Callable[[str], Reading]) -> tuple[IntArray, list[Reading]]:
    """Read each distinct string once: codes of shape (n,) into the list of readings."""
    codes, uniques = distinct(values)
    return codes, [read(text) for text in uniques]


def take(readings: Iterable[object], codes: IntArray) -> ObjectArray:
    """The readings joined back to their rows."""
    array = _objects(list(readings))
    return array[codes] if len(array) else np.empty(len(codes), dtype=object)


def _objects(items: Sequence[object] | ObjectArray) -> ObjectArray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
