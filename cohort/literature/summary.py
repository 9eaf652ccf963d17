"""What an audit came to, in a few lines for a terminal."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from cohort.literature.audit import all_verdicts
from cohort.literature.audit_words import INCONSISTENT, MISMATCH, UNITS_MIXED, VERDICTS
from cohort.literature.poolable import RELATIONS
from cohort.literature.recompute import DIFFERS, EXACT, NOT_PRINTED, WITHIN, is_recomputed
from cohort.tables.compared import Compared
from cohort.tables.reviewed import Reviewed

CELL: Final = ["relation", "tier", "unit"]
WORST: Final = 3
FAULTS: Final = (INCONSISTENT, UNITS_MIXED, MISMATCH)


def summary_lines(found: Compared) -> list[str]:
    """Counts by verdict, how many figures were worked out or had again, what pools, and where the trouble is."""
    return [
        *_statements(found.reviewed.audit),
        *_arithmetic(found.reviewed.recomputed),
        *_again(found.reviewed),
        *_pooled(found.reviewed),
        *_alike(found.alike.figures.frame),
        *_ratios(found.ratios),
    ]


def _statements(audited: pd.DataFrame) -> list[str]:
    counts = audited["verdict"].value_counts()
    lines = [
        f"{len(audited)} statements of the review: "
        + ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in VERDICTS)
    ]
    every = all_verdicts(audited)
    faults = every.map(lambda verdicts: sum(verdict in FAULTS for verdict in verdicts))
    for place in faults.nlargest(WORST).index:
        row = audited.loc[place]
        lines.append(f"  {row['id']} ({'; '.join(every[place])}): {row['reason']}")
    return lines


def _arithmetic(recomputed: pd.DataFrame) -> list[str]:
    again = recomputed[is_recomputed(recomputed)]
    found = again["verdict"].value_counts()
    words = {
        EXACT: "as printed",
        WITHIN: "within rounding",
        DIFFERS: "differ",
        NOT_PRINTED: "with no printed per cent on record",
    }
    of_review = int((again["table"] == "headlines").sum())
    return [
        f"{len(again)} figures recomputed, {of_review} of them the review's own: "
        + ", ".join(f"{found.get(verdict, 0)} {said}" for verdict, said in words.items()),
        *(f"  {row.study_key}, {row.quantity}: {row.why}" for row in again[again["verdict"] == DIFFERS].itertuples()),
    ]


def _again(found: Reviewed) -> list[str]:
    counts = found.reproduced["verdict"].value_counts()
    words = ("reproduced exactly", "within rounding", "not reproduced")
    return [
        f"{len(found.reproduced)} printed numbers of {found.reproduced['study'].nunique()} series run through the "
        f"whole pipeline: {', '.join(f'{counts.get(word, 0)} {word}' for word in words)}; "
        f"{len(found.not_reconstructed)} figures cannot be reconstructed"
    ]


def _pooled(found: Reviewed) -> list[str]:
    lines = []
    own = found.own.set_index(CELL) if len(found.own) else None
    for cell, block in found.pooled.frame.groupby(CELL, sort=False):
        one, ahead = (block[block["row"] == row].iloc[0] for row in ("pooled", "prediction"))
        said = f"  {', '.join(map(str, cell))}: {_percent(one)} of {one['n_studies']:.0f} studies"
        if np.isfinite(ahead["conf_low"]):
            said += f", another place {100 * ahead['conf_low']:.1f} to {100 * ahead['conf_high']:.1f} %"
        if own is not None:
            mine = own.loc[[cell]].iloc[0]
            said += f"; this registry {_percent(mine) if mine['reason'] == '' else mine['reason']}"
        lines.append(said)
    return ["Published shares pooled, by relation, definition and unit:", *lines] if lines else []


def _percent(row: pd.Series) -> str:
    return f"{100 * row['estimate']:.1f} % ({100 * row['conf_low']:.1f}-{100 * row['conf_high']:.1f})"


def _alike(frame: pd.DataFrame) -> list[str]:
    if frame.empty:
        return []
    ratios = frame["ratio"].dropna()
    lines = [f"{len(frame)} published figures counted in this registry as each study counted; {len(ratios)} ratios"]
    for relation in RELATIONS:
        ratio = ratios[frame["relation"] == relation]
        if len(ratio):
            span = f"{ratio.min():.2f} to {ratio.max():.2f}"
            lines.append(f"  {relation}: {len(ratio)}, registry over published {ratio.median():.2f} (median; {span})")
    return lines


def _ratios(frame: pd.DataFrame) -> list[str]:
    if frame.empty:
        return []
    beside = frame["registry_measure"] != ""
    counts = frame.loc[beside, "compares"].value_counts()
    return [
        f"{len(frame)} published ratios, {int(beside.sum())} with one of this registry beside them "
        f"({', '.join(f'{name}: {n}' for name, n in counts.items())}; whether they compare); "
        f"{int(frame['ratio'].notna().sum())} of one kind with it"
    ]
