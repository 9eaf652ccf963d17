"""Units in which a column may be written, and how they become the unit of the canonical column."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from cohort.domain.clock import FloatArray

_FACTORS: Final[dict[tuple[str, str], float]] = {
    ("cm", "mm"): 10.0,
    ("m", "mm"): 1000.0,
    ("cl", "ml"): 10.0,
    ("l", "ml"): 1000.0,
    ("radians", "degrees"): 180.0 / math.pi,
    ("months", "years"): 1.0 / 12.0,
    ("points_100", "points"): 0.1,  # a visual analogue scale of 0-100 (mm) on the scale of 0-10
}


def convertible(written: str, canonical: str) -> bool:
    """Whether a column of unit `canonical` may be written in the unit `written`.

    >>> convertible("cm", "mm"), convertible("ml", "ml"), convertible("cm", "ml")
    (True, True, False)
    """
    return written == canonical or (written, canonical) in _FACTORS


def convert(values: FloatArray, written: str, canonical: str) -> FloatArray:
    """Values in the canonical unit; shape (n,), NaN stays NaN.

    Results are rounded to 12 decimals, so that 2.3 cm is 23 mm and not 22.999999999999996.

    >>> convert(np.array([2.3, 1.7]), "cm", "mm").tolist()
    [23.0, 17.0]
    """
    if written == canonical:
        return values
    factor = _FACTORS[written, canonical]
    return np.round(values * factor, 12)
