"""Numbers as people write them: a decimal comma where it can be nothing else, a unit where it is the column's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from cohort.domain.clock import FloatArray
from cohort.domain.written import plain
from cohort.intake.ledger import ObjectArray
from cohort.intake.words import Words, not_recorded, read_distinct, says_none, take

DecimalMark = Literal[".", ","]

_UNITS: Final = {
    "ml": ("ml", "cc", "cm3", "cm³", "毫升"),
    "mm": ("mm", "毫米"),
    "cm": ("cm", "厘米"),
    "cl": ("cl",),
    "l": ("l",),
    "m": ("m",),
    "radians": ("radians", "rad"),
    "degrees": ("degrees", "degree", "°", "deg", "grad", "degrés", "grados", "度"),
    "years": ("years", "year", "yrs", "yr", "y", "jahre", "jahr", "ans", "an", "años", "año", "anos", "岁", "歲", "j"),
    "months": ("months", "month", "monate", "mois", "meses", "个月", "月"),
    "SD": ("sd",),
    "points": ("points", "pts", "punkte", "puntos", "分"),
    "points_100": ("points", "pts", "mm", "punkte", "puntos", "分"),
}
_POINT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?")
_COMMA: Final = re.compile(r"[+-]?[0-9]*,[0-9]+")
_ONE_GROUP: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")  # a thousand, or three decimals
_GROUPED_BY_COMMA: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_GROUPED_BY_POINT: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]*)?")
# A space or an apostrophe before three digits can be nothing but a mark of thousands.
_GROUPED_BY_SPACE: Final = re.compile(r"([+-]?[1-9][0-9]{0,2}(?:[ '’][0-9]{3})+)([.,][0-9]*)?")


@dataclass(frozen=True)
class NumberColumn:
    """Numbers of one column: value float64, shape (n,), NaN where there is none; fault is the check that failed."""

    value: FloatArray
    fault: ObjectArray


def read(text: str, decimal: DecimalMark | None = None, unit: str = "") -> tuple[float, str]:
    """Read one written number: its value (NaN where there is none) and the check it fails ("" where none).

    `3,5` can be nothing but 3.5; `1,234` could be a thousand and is refused unless the decimal mark is declared.

    >>> read("3,5"), read("1,234"), read("3 ml", unit="ml"), read("3 cm", unit="mm")
    ((3.5, ''), (nan, 'number_ambiguous'), (3.0, ''), (nan, 'number_unreadable'))
    """
    if not_recorded(text) or says_none(text):
        return np.nan, ""
    text = plain(text)
    for suffix in _UNITS.get(unit, ()):
        if text.endswith(suffix):
            text = text.removesuffix(suffix).rstrip()
            break
    one_group = _ONE_GROUP.fullmatch(text) is not None
    if grouped := _GROUPED_BY_SPACE.fullmatch(text):
        number = re.sub("[^0-9+-]", "", grouped[1]) + (grouped[2] or "").replace(",", ".")
    elif _POINT.fullmatch(text):
        number = text.replace(".", "") if one_group and decimal == "," else text
    elif one_group and decimal is None:
        return np.nan, "number_ambiguous"
    elif _COMMA.fullmatch(text):
        number = text.replace(",", "" if one_group and decimal == "." else ".")
    elif _GROUPED_BY_COMMA.fullmatch(text):
        number = text.replace(",", "")
    elif _GROUPED_BY_POINT.fullmatch(text):
        number = text.replace(".", "").replace(",", ".")
    else:
        return np.nan, "number_unreadable"
    value = float(number)
    return (value, "") if np.isfinite(value) else (np.nan, "number_unreadable")


def read_column(values: Words | ObjectArray, decimal: DecimalMark | None = None, unit: str = "") -> NumberColumn:
    """Read a column of written numbers, shape (n,)."""
    codes, readings = read_distinct(values, lambda text: read(text, decimal, unit))
    numbers = np.array([number for number, _ in readings], dtype=np.float64)
    value = numbers[codes] if len(numbers) else np.empty(0, dtype=np.float64)
    return NumberColumn(value, take([fault for _, fault in readings], codes))
