"""The literature as files, each figure with how surely it was read; a registry's own beside it when there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from cohort.domain.errors import OutputError
from cohort.literature.facts import facts
from cohort.literature.tables import data_file
from cohort.tables.compared import Compared
from cohort.tables.safe_csv import guard

WRITTEN: Final = (
    "figures",
    "effects",
    "review_statements",
    "definitions",
    "headlines",
    "figure_definitions",
    "effect_definitions",
)
CELL: Final = ["relation", "tier", "unit"]


def write_literature(out: Path, found: Compared) -> list[Path]:
    """Write the published tables, what came of recomputing them, and what stands beside them of a registry.

    The published tables are written byte for byte as shipped, so that no blank is filled and no confidence lost. All
    others are unrounded. `facts.csv`, `recomputed.csv`, `recomputed_effects.csv` and `audit.csv`; `reproduced.csv`,
    every figure with what the pipeline makes of it or why it cannot be reconstructed; `pooled_studies.csv`,
    `pooled.csv` and `pooled_without_each.csv`. Of a registry: `comparison.csv` (the review's figures),
    `like_for_like.csv` (those of studies, counted alike), `gap_steps.csv`, `left_out.csv` (all others, with the
    reason), `ratios.csv` (published ratios with its own), and its own share among the pooled (`registry_share.csv`,
    `pooled_with_registry.csv`, `toward_literature.csv`). Returns the files in the order written.

    Raises OutputError when the folder cannot be written.
    """
    written = []
    made = {"facts": facts(), **_alone(found), **(_beside(found) if len(found.alike.figures.frame) else {})}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in WRITTEN:
            path = out / f"{name}.csv"
            path.write_bytes(data_file(name).read_bytes())
            written.append(path)
        for name, frame in made.items():
            path = out / f"{name}.csv"
            guard(frame).to_csv(path, index=False)
            written.append(path)
    except OSError as error:
        raise OutputError(f"The published figures cannot be written to {out}: {error.strerror}.") from error
    return written


def _alone(found: Compared) -> dict[str, pd.DataFrame]:
    again = found.reviewed
    notes = again.notes.groupby(CELL, sort=False)["note"].agg(" ".join).reset_index()
    return {
        "recomputed": again.recomputed,
        "recomputed_effects": again.effects,
        "audit": again.audit,
        "reproduced": again.reproduction,
        "pooled_studies": again.studies,
        "pooled": _read(again.pooled.frame, again.studies).merge(notes.rename(columns={"note": "notes"}), on=CELL),
        "pooled_without_each": _read(again.without_each.frame, again.studies),
    }


def _beside(found: Compared) -> dict[str, pd.DataFrame]:
    again = found.reviewed
    return {
        "comparison": found.review,
        "like_for_like": found.alike.figures.frame,
        "gap_steps": found.alike.steps,
        "left_out": found.alike.left_out,
        "ratios": found.ratios,
        "registry_share": again.own,
        "pooled_with_registry": again.with_registry.frame,
        "toward_literature": again.toward.frame,
    }


def _read(frame: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """What was pooled, with the studies as its source and how surely each of them was read."""
    by_cell = studies.groupby(CELL, sort=False)["confidence"]
    words = by_cell.agg(lambda read: ", ".join(f"{name} {n}" for name, n in read.value_counts().items()))
    return frame.merge(words.reset_index(), on=CELL, how="left").assign(source="pooled_studies.csv")
