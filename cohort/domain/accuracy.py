"""How often a film finds what is there: only accuracies that were read, each with its source, and blanks elsewhere.

No specificity was read for any of these tests, nor a sensitivity of intra-operative fluoroscopy as such, nor how films
for a cleft agree with MRI (each was held against the cement reservoir): whoever needs one gives it, with the reason. A
sensitivity that was printed without its counts has no distribution either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Beta:
    """What is known of a share after `a` that were and `b` that were not; mean a / (a + b)."""

    a: float
    b: float


@dataclass(frozen=True)
class Trapezoid:
    """A share between `low` and `high`: equally likely from `mode_low` to `mode_high`, less and less so outside."""

    low: float
    mode_low: float
    mode_high: float
    high: float


Given = float | Beta | Trapezoid


@dataclass(frozen=True)
class Accuracy:
    """One published sensitivity.

    sensitivity : share of the findings of the reference that the test shows, as printed. found, of : its counts, where
    they were read. specificity : none was read. read : how surely the figure was read.
    """

    finding: str
    test: str
    reference: str
    unit: str
    sensitivity: float
    found: int | None
    of: int | None
    specificity: float | None
    source: str
    doi: str
    read: str
    note: str = ""

    @property
    def distribution(self) -> Beta | None:
        """The sensitivity with the sampling error of its study (Jeffreys' prior); None where no counts were read.

        >>> PUBLISHED["leak into the canal, film"].distribution
        Beta(a=2.5, b=26.5)
        """
        return None if self.found is None or self.of is None else Beta(self.found + 0.5, self.of - self.found + 0.5)


_MCKIERNAN = "Intravertebral clefts in osteoporotic vertebral compression fractures (McKiernan and Faciszewski 2003)"
_CLEFT = "cleft: a confluent reservoir for cement at vertebroplasty"
_CLEFT_NOTE = "authors and year not printed on the page read; counts not in the abstract"
_SCHMIDT = "Schmidt et al. 2005, Eur Spine J 14:466"
_SCHMIDT_NOTE = "21 patients, 29 vertebrae; counts not in the abstract"
_MARTIN = "Martin, Rad and Kallmes 2012, Acta Radiol 53:569"

PUBLISHED: Final[Mapping[str, Accuracy]] = MappingProxyType(
    {
        "cleft, standing lateral film": Accuracy(
            "intravertebral cleft", "standing lateral film", _CLEFT, "clefted vertebra", 0.14, None, None, None,
            _MCKIERNAN, "", "abstract", _CLEFT_NOTE,
        ),
        "cleft, supine cross-table film": Accuracy(
            "intravertebral cleft", "supine cross-table film", _CLEFT, "clefted vertebra", 0.64, None, None, None,
            _MCKIERNAN, "", "abstract", _CLEFT_NOTE,
        ),
        "cleft, MRI": Accuracy(
            "intravertebral cleft", "MRI", _CLEFT, "clefted vertebra", 0.96, None, None, None,
            _MCKIERNAN, "", "abstract", _CLEFT_NOTE,
        ),
        "leak, lateral film": Accuracy(
            "cement leak", "lateral film", "CT", "leak", 0.34, None, None, None,
            _SCHMIDT, "10.1007/s00586-004-0839-5", "abstract", _SCHMIDT_NOTE,
        ),
        "leak, lateral and AP film": Accuracy(
            "cement leak", "lateral and AP film", "CT", "leak", 0.48, None, None, None,
            _SCHMIDT, "10.1007/s00586-004-0839-5", "abstract", _SCHMIDT_NOTE,
        ),
        "leak into the canal, film": Accuracy(
            "cement leak into the canal", "film", "CT", "leak", 2 / 28, 2, 28, None,
            "Yeom et al. 2003, J Bone Joint Surg Br 85:83", "10.1302/0301-620x.85b1.13026", "abstract",
            "leaks correctly identified; the 74 leaks on CT against 49 on film are no sensitivity",
        ),
        "leak, plain film": Accuracy(
            "cement leak", "plain film", "CT", "patient with a leak on CT", 77 / 149, 77, 149, None,
            _MARTIN, "10.1258/ar.2012.120222", "abstract", "printed as 50 %, which its counts are not",
        ),
        "leak, procedure report": Accuracy(
            "cement leak", "dictated procedure report", "CT", "patient with a leak on CT", 62 / 149, 62, 149, None,
            _MARTIN, "10.1258/ar.2012.120222", "abstract", "printed as 34 %, which is 62 of all 181 with CT",
        ),
    }
)  # fmt: skip
"""Published sensitivities by name; a test holds them against the published figures of `literature/data`."""

CLEFT_ON_FILM: Final = Trapezoid(0.14, 0.14, 0.64, 0.64)
"""Sensitivity of a plain film for a cleft, posture unknown: anything between standing and supine. A choice."""

LEAK_ON_FILM: Final = Trapezoid(0.34, 0.34, 0.48, 0.48)
"""Sensitivity of a film for a leak on CT, one view or two unknown: anything between the two. A choice."""

LEAK_IN_PROCEDURE_REPORT: Final = Beta(62.5, 87.5)
"""Sensitivity of the report of the procedure, the nearest to fluoroscopy that was read, with its sampling error."""
