"""Each published ratio and the registry's own of the same exposure: two intervals one under the other, on a log axis.

Drawn in the registry's direction and step: a ratio of groups of a number has no such step, and is in the table only.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cohort.present import numbers, theme
from cohort.present.figures import side_by_side
from cohort.present.figures.side_by_side import MOST_ROWS, WORDS, Group, Pair, Scale, at_most
from cohort.present.tables.model import records
from cohort.present.tables.published_ratios import grouped, kind, set_beside, turned
from cohort.present.tables.reviewed import study_name
from cohort.present.tables.risk import sentence_case

WIDEST: Final = 20.0
FIRST_WORD: Final = 16  # a study is never named by its year alone
TICKS: Final = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with both ratios, of one contrast; of an exposure with many, first those that can be divided."""
    rows = set_beside(frame)
    if rows.empty:
        return rows
    numeric = rows["contrast"].isin(["groups", "unstated"])
    rows = rows[(rows["taken"] > 0) & (rows["estimate"] > 0) & ~numeric & (rows["compares"] != "no")]
    if len(rows) > MOST_ROWS:
        first = rows.assign(_told=rows["ratio"].isna() * 2 + rows["taken_low"].isna())
        kept = (
            first.sort_values("_told", kind="stable")
            .groupby("registry_exposure", sort=False)
            .head(at_most(rows["registry_exposure"]))
        )
        rows = rows[rows.index.isin(kept.index)]
    return rows


@theme.styled
def draw(frame: pd.DataFrame) -> Figure | None:
    """Published ratios in black, the registry's in the colour of its relation; None when there is nothing to set.

    frame : of `published_ratios.shown`.
    """
    rows = chosen(frame)
    if rows.empty:
        return None
    groups = [Group(title, [_pair(r) for r in records(block)]) for _, title, block in grouped(rows)]
    return side_by_side.draw(groups, Scale(_ends(rows), TICKS, "ratio, log scale", "r/p", line_at=1.0))


def _ends(rows: pd.DataFrame) -> tuple[float, float]:
    """The ends of an axis around 1 that holds every interval but the ends of very uncertain ones."""
    names = ["taken", "taken_low", "taken_high", "estimate", "conf_low", "conf_high"]
    ends = rows[names].to_numpy(dtype=np.float64)
    ends = ends[np.isfinite(ends) & (ends > 1 / WIDEST) & (ends < WIDEST)]
    return (min(0.5, float(ends.min()) / 1.1), max(2.0, float(ends.max()) * 1.1)) if ends.size else (0.5, 2.0)


def _pair(r: Any) -> Pair:
    done = turned(r)
    kinds = f", {_kind(r.measure, r.adjustment)}; here {r.registry_relation}, "
    kinds += _kind(r.registry_measure, r.registry_model)
    return Pair(
        f"{sentence_case(str(r.exposure)).rstrip('.')}{f' ({done})' if done else ''}: {r.outcome}",
        f"{study_name(r.citation, r.year, max(FIRST_WORD, WORDS - len(kinds)))}{kinds}",
        (r.taken, r.taken_low, r.taken_high),
        (r.estimate, r.conf_low, r.conf_high),
        (
            numbers.number(float(r.taken), "ratio"),
            numbers.number(float(r.estimate), "ratio"),
            numbers.number(float(r.ratio), "ratio"),
        ),
        theme.COLOURS[str(r.registry_relation)],
        theme.INKS[str(r.registry_relation)],
    )


def _kind(measure: object, adjustment: object) -> str:
    """What a ratio is, shorter; "adj.?" where it is not told whether it is adjusted."""
    return kind(measure, adjustment).replace(",", "").replace("adjusted", "adj.").replace("unclear", "adj.?")


def alt(frame: pd.DataFrame) -> str:
    """The finding in words: for each exposure, the published range and the registry's."""
    parts = []
    for _, title, block in grouped(chosen(frame)) if len(frame) else ():
        published, own = _range(block["taken"]), _range(block["estimate"])
        many = f" in {len(block)} published ratios" if len(block) > 1 else ""
        parts.append(f"{title.lower()} {published}{many}, this registry {own}")
    return f"Published ratios and this registry's own: {'; '.join(parts) or 'none to set side by side'}."


def _range(values: pd.Series) -> str:
    low, high = (numbers.number(float(end), "ratio") for end in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"
