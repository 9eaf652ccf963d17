"""The published figures as files, each figure with how surely it was read; a registry's own beside them when given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from cohort.domain.errors import OutputError
from cohort.literature.audit import audit
from cohort.literature.facts import facts
from cohort.literature.recompute import recompute
from cohort.literature.recompute_effects import recompute_effects
from cohort.literature.tables import data_file
from cohort.tables.safe_csv import guard
from cohort.tables.study_results import StudyResults

WRITTEN: Final = ("figures", "effects", "review_statements", "definitions", "headlines", "figure_definitions")
MADE: Final[Mapping[str, Callable[[], pd.DataFrame]]] = {
    "facts": facts,
    "recomputed": recompute,
    "recomputed_effects": recompute_effects,
    "audit": audit,
}
COMPARISON: Final = "comparison.csv"
ALIKE: Final = ("like_for_like.csv", "gap_steps.csv", "left_out.csv")


def write_literature(out: Path, own: StudyResults | None = None) -> list[Path]:
    """Write the published tables and their audit, and what stands beside them when a registry's results are given.

    The published tables are written byte for byte as shipped, so that no blank is filled and no confidence lost.
    `facts.csv`, `recomputed.csv`, `recomputed_effects.csv` and `audit.csv` are unrounded; so are, of a registry,
    `comparison.csv` (the review's figures, `own.literature`), and of `own.like_for_like` `like_for_like.csv` (those of
    studies, counted alike), `gap_steps.csv` (the gap in steps) and `left_out.csv` (all others, with the reason).
    Returns the files in the order written.

    Raises OutputError when the folder cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_literature(Path(folder))[0].name
    'figures.csv'
    """
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in WRITTEN:
            path = out / f"{name}.csv"
            path.write_bytes(data_file(name).read_bytes())
            written.append(path)
        made = {f"{name}.csv": make() for name, make in MADE.items()}
        if own is not None:
            alike = own.like_for_like
            frames = (own.literature, alike.figures.frame, alike.steps, alike.left_out)
            made |= dict(zip((COMPARISON, *ALIKE), frames, strict=True))
        for name, frame in made.items():
            path = out / name
            guard(frame).to_csv(path, index=False)
            written.append(path)
    except OSError as error:
        raise OutputError(f"The published figures cannot be written to {out}: {error.strerror}.") from error
    return written
