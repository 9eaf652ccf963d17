"""Yes, no, not assessable or not recorded: four states, none of which is ever turned into another."""

from __future__ import annotations

from typing import Final

from cohort.intake.words import not_recorded, word
from cohort.tables.schema import Column

UNREADABLE: Final = -2
MISSING_WORD: Final = -1

_YES: Final = (
    "yes", "y", "1", "1.0", "true", "t", "+", "positive", "pos", "present",
    "ja", "j", "positiv", "vorhanden", "wahr",
    "oui", "o", "positif", "présent", "présente", "vrai",
    "sí", "si", "positivo", "presente", "verdadero",
    "是", "有", "阳性", "陽性", "存在",
)  # fmt: skip
_NO: Final = (
    "no", "n", "0", "0.0", "false", "f", "-", "negative", "neg", "absent",
    "nein", "negativ", "nicht vorhanden", "falsch",
    "non", "négatif", "absente", "faux",
    "negativo", "ausente", "falso",
    "否", "无", "無", "没有", "沒有", "阴性", "陰性", "不存在",
)  # fmt: skip
_NOT_ASSESSABLE: Final = (
    "not assessable", "not assessed reliably", "not evaluable", "not interpretable", "indeterminate", "inconclusive",
    "equivocal", "unclear",
    "nicht beurteilbar", "n. beurteilbar", "nicht auswertbar", "unklar",
    "non évaluable", "non interprétable", "indéterminé", "indéterminée",
    "no evaluable", "no valorable", "no interpretable", "indeterminado", "indeterminada", "no concluyente",
    "无法评估", "無法評估", "无法判断", "無法判斷", "不能评估", "不确定",
)  # fmt: skip
_STATES: Final = {
    word(text): state
    for state, texts in (("yes", _YES), ("no", _NO), ("not_assessable", _NOT_ASSESSABLE))
    for text in texts
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
        return MISSING_WORD if not_recorded(text) else UNREADABLE
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
    return MISSING_WORD if not_recorded(text) else UNREADABLE
