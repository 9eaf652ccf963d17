"""What an audit came to, in a few lines for a terminal."""

from __future__ import annotations

from typing import Final

import pandas as pd

from cohort.literature.audit import all_verdicts
from cohort.literature.audit_words import INCONSISTENT, MISMATCH, UNITS_MIXED, VERDICTS
from cohort.literature.recompute import DIFFERS, EXACT, NOT_PRINTED, WITHIN, is_recomputed

WORST: Final = 3
FAULTS: Final = (INCONSISTENT, UNITS_MIXED, MISMATCH)


def summary_lines(audited: pd.DataFrame, recomputed: pd.DataFrame) -> list[str]:
    """Counts by verdict, how many figures were worked out again, and where the trouble is.

    audited : `audit()`. recomputed : `recompute()`.

    >>> from cohort.literature import audit, recompute
    >>> summary_lines(audit(), recompute())[0].partition(",")[0]
    '43 statements of the review: 5 reproduced'
    """
    counts = audited["verdict"].value_counts()
    lines = [
        f"{len(audited)} statements of the review: "
        + ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in VERDICTS)
    ]
    again = recomputed[is_recomputed(recomputed)]
    found = again["verdict"].value_counts()
    words = {
        EXACT: "as printed",
        WITHIN: "within rounding",
        DIFFERS: "differ",
        NOT_PRINTED: "with no printed per cent on record",
    }
    of_review = int((again["table"] == "headlines").sum())
    lines.append(
        f"{len(again)} figures recomputed, {of_review} of them the review's own: "
        + ", ".join(f"{found.get(verdict, 0)} {said}" for verdict, said in words.items())
    )
    lines += [
        f"  {row.study_key}, {row.quantity}: {row.why}" for row in again[again["verdict"] == DIFFERS].itertuples()
    ]
    every = all_verdicts(audited)
    faults = every.map(lambda verdicts: sum(verdict in FAULTS for verdict in verdicts))
    for place in faults.nlargest(WORST).index:
        row = audited.loc[place]
        lines.append(f"  {row['id']} ({'; '.join(every[place])}): {row['reason']}")
    return lines
