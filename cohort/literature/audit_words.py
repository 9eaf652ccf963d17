"""The words of an audit: five verdicts, and what a check of the arithmetic hands back.

A check looks its numbers up, works out the rest, and says what follows; it never knows what verdicts.csv says. `audit`
holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cohort.literature.evidence import Evidence, Share

REPRODUCED: Final = "reproduced"
INCONSISTENT: Final = "inconsistent"
UNITS_MIXED: Final = "units mixed"
MISMATCH: Final = "reference does not match"
NOT_CHECKABLE: Final = "not checkable"
VERDICTS: Final = (REPRODUCED, INCONSISTENT, UNITS_MIXED, MISMATCH, NOT_CHECKABLE)

Values = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The numbers and words that a reason may name, and the verdicts that they bear out."""

    values: Values
    verdicts: tuple[str, ...] = ()


Check = Callable[[Evidence], Found]


def found(values: Mapping[str, Any], **verdicts: bool) -> Found:
    """What a check found; `verdicts` are named by their words with underscores, and hold or do not.

    >>> found({"percent": 5.77}, reproduced=False, inconsistent=True).verdicts
    ('inconsistent',)
    """
    names = {"reproduced": REPRODUCED, "inconsistent": INCONSISTENT, "units_mixed": UNITS_MIXED, "mismatch": MISMATCH}
    return Found(dict(values), tuple(names[name] for name, holds in verdicts.items() if holds))


def numbers_of(share: Share, prefix: str = "") -> Values:
    """The numbers of a share under names that a reason can use."""
    return {
        f"{prefix}events": share.events,
        f"{prefix}n": share.n,
        f"{prefix}percent": share.percent,
        f"{prefix}exact_low": share.exact_low,
        f"{prefix}exact_high": share.exact_high,
    }


def rounds_to(value: float, printed: float, decimals: int = 0) -> bool:
    """Whether a value, rounded to so many decimals, is the printed one; a tie may go either way.

    >>> rounds_to(12.07, 12), rounds_to(50.0, 12)
    (True, False)
    """
    return abs(value - printed) <= 0.5 * 10.0**-decimals + 1e-9
