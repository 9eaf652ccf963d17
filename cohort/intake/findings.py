"""Yes, no, not assessable or not recorded: four states, none of which is ever turned into another."""

from __future__ import annotations

from typing import Final

from cohort.intake.words import NOT_RECORDED, word
from cohort.tables.schema import Column

UNREADABLE: Final = -2
MISSING_WORD: Final = -1

_YES: Final = (
    "yes",
    "y",
    "1",
    "true",
    "t",
    "+",
    "ja",
    "j",
    "oui",
    "o",
    "si",
    "sí",
    "positive",
    "pos",
    "present",
    "1.0",
)
_NO: Final = ("no", "n", "0", "false", "f", "-", "nein", "non", "negative", "neg", "absent", "0.0")
_NOT_ASSESSABLE: Final = (
    "not assessable", "not assessed reliably", "not evaluable", "not interpretable", "indeterminate", "inconclusive",
    "equivocal", "unclear", "nicht beurteilbar", "non évaluable", "non evaluable",
)  # fmt: skip
_STATES: Final = {
    **dict.fromkeys(_YES, "yes"),
    **dict.fromkeys(_NO, "no"),
    **dict.fromkeys(_NOT_ASSESSABLE, "not_assessable"),
}


def read_state(text: str, column: Column) -> int:
    """Code of a written finding in the categories of its column.

    Returns MISSING_WORD where nothing was recorded and UNREADABLE for any other word; "not assessable" is unreadable
    in a yes/no column. A lone minus sign is a no.

    >>> from cohort.tables.schema import FRACTURES
    >>> [read_state(text, FRACTURES["trauma"]) for text in ("NO", "not evaluable", "ja", "n/a", "maybe")]
    [0, 1, 2, -1, -2]
    """
    state = _STATES.get(word(text))
    if state is None:
        return MISSING_WORD if word(text) in NOT_RECORDED or text.strip() == "" else UNREADABLE
    categories = list(column.dtype.categories)  # type: ignore[union-attr]
    return categories.index(state) if state in categories else UNREADABLE


def read_word(text: str, column: Column) -> int:
    """Code of a written word in the vocabulary of its column; its synonyms are part of the schema.

    >>> from cohort.tables.schema import AUGMENTATIONS
    >>> [read_word(text, AUGMENTATIONS["technique"]) for text in ("Kyphoplasty", "PVP", "unknown", "stent")]
    [1, 0, -1, -2]
    """
    written = word(text)
    for code, known in enumerate(column.vocabulary):
        if written == word(known):
            return code
    for synonym, known in column.synonyms:
        if written == word(synonym):
            return column.vocabulary.index(known)
    return MISSING_WORD if written in NOT_RECORDED else UNREADABLE
