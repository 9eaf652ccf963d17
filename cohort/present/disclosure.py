"""Which counts may be shown: small ones are not, nor any that would give a small one away.

A count of patients or events from 1 to below the minimum is hidden, and zero is shown. Where hidden counts are parts
of a known total, more are hidden until they cannot be worked out from it. An estimate is hidden with its count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cohort.present import numbers

_COUNTED = "patients?|events?|refractures?|fractures?|sightings?|deaths?|vertebrae|vertebra|clusters?"
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Disclosure:
    """The rule of one report. `internal` shows everything."""

    minimum: int = 5
    internal: bool = False

    @property
    def active(self) -> bool:
        """Whether anything can be hidden at all."""
        return not self.internal and self.minimum > 1

    def small(self, counts: Any) -> BoolArray:
        """Counts that are hidden for their own sake; any shape.

        >>> Disclosure(5).small([0, 1, 4, 5]).tolist()
        [False, True, True, False]
        """
        values = np.asarray(counts, dtype=np.float64)
        if not self.active:
            return np.zeros(values.shape, dtype=bool)
        with np.errstate(invalid="ignore"):
            return (values > 0) & (values < self.minimum)

    def parts(self, counts: Any) -> BoolArray:
        """Hidden counts among the parts of a known total; shape (n,).

        >>> Disclosure(5).parts([3, 40, 12]).tolist()
        [True, False, True]
        >>> Disclosure(5).parts([1, 1, 40]).tolist()
        [True, True, True]
        """
        values = np.nan_to_num(np.asarray(counts, dtype=np.float64))
        return self._close(values, self.small(values))

    def _close(self, values: npt.NDArray[np.float64], hidden: BoolArray) -> BoolArray:
        """Hide more parts until what is hidden cannot be told from the total, or nothing more can be hidden."""
        hidden = hidden.copy()
        while hidden.any() and self._told_by_total(values[hidden]):
            candidates = np.flatnonzero(~hidden & (values > 0))
            if candidates.size == 0:
                break
            hidden[candidates[np.argmin(values[candidates])]] = True
        return hidden

    def _told_by_total(self, together: npt.NDArray[np.float64]) -> bool:
        """Whether the sum of hidden counts, each known to be small or not, leaves only one value for a small one."""
        small = int((together < self.minimum).sum())
        large = together.size - small
        total = together.sum()
        if large:
            return bool(total - self.minimum * large - small < 1)
        return small == 1 or total < self.minimum or total == small * (self.minimum - 1)

    def text(self, value: float, hidden: bool | None = None) -> str:
        """A count as the reader sees it.

        >>> rule = Disclosure(5)
        >>> rule.text(3), rule.text(0), rule.text(1234), rule.text(12, hidden=True), rule.text(0, hidden=True)
        ('<5', '0', '1,234', '≥5', '0')
        """
        if hidden is None:
            hidden = bool(self.small(value))
        if hidden and self.active and value != 0:
            return f"<{self.minimum}" if 0 < value < self.minimum else f"≥{self.minimum}"
        return numbers.count(value)

    def sentence(self, text: str) -> str:
        """A sentence in which small counts of patients or events are no longer told.

        >>> Disclosure(5).sentence("3 of 120 counted refractures are implied; 12 events for 4 parameters")
        'fewer than 5 of 120 counted refractures are implied; 12 events for 4 parameters'
        >>> Disclosure(5).sentence("Events in only 3 clusters: the robust standard error tends to be too small")
        'Events in only fewer than 5 clusters: the robust standard error tends to be too small'
        """
        if not self.active:
            return text

        def told(found: re.Match[str]) -> str:
            return f"fewer than {self.minimum}" if 0 < int(found[1]) < self.minimum else found[1]

        return re.sub(rf"(?<![\w.,-])(\d{{1,9}})(?=\s+(?:of\b|(?:\w+[ -])?(?:{_COUNTED})\b))", told, text)

    def note(self) -> str:
        """The footnote of a table in which something is hidden."""
        return (
            f"Counts of 1 to {self.minimum - 1} are shown as <{self.minimum}, without the estimate that rests on them; "
            f"≥{self.minimum} stands for a larger count withheld so that a small one cannot be worked out."
        )
