"""Each published figure and the registry counted alike: two intervals one under the other, on a log axis."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cohort.present import numbers, theme
from cohort.present.figures import side_by_side
from cohort.present.figures.side_by_side import MOST_ROWS, Group, Pair, Scale, at_most
from cohort.present.tables.alike import grouped, main_figures, of_unit, window_of
from cohort.present.tables.model import records
from cohort.present.tables.published import LEVELS, short_citation

TICKS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """The studies' main figures that are risks, the largest where there are more than can be read."""
    rows = main_figures(frame)
    rows = rows[(rows["published"] > 0) & (rows["unit"] != "new_fracture") & rows["relation"].isin(list(LEVELS))]
    if len(rows) > MOST_ROWS:
        largest = rows.sort_values("denominator", ascending=False, kind="stable")
        rows = largest.groupby("relation", sort=False).head(at_most(rows["relation"]))
    return rows


@theme.styled
def draw(frame: pd.DataFrame) -> Figure | None:
    """Published per cents in black, the registry's in the colour of the relation; None when there is nothing to set."""
    if frame.empty:
        return None
    rows = chosen(frame)
    if rows.empty:
        return None
    groups = [
        Group(title, [_pair(r) for r in records(block)], theme.INKS[str(block["relation"].iloc[0])])
        for title, block in grouped(rows)
    ]
    return side_by_side.draw(groups, Scale((_least(rows), 100.0), TICKS, "per cent, log scale"))


def _least(rows: pd.DataFrame) -> float:
    """The least per cent of an axis that holds every interval but the lowest ends of very uncertain ones."""
    ends = rows[["published", "published_low", "estimate", "conf_low", "conf_high"]].to_numpy(dtype=np.float64) * 100
    ends = ends[np.isfinite(ends) & (ends > 0.1)]
    return max(0.1, float(ends.min()) * 0.85) if ends.size else 0.1


def _pair(r: Any) -> Pair:
    unit = of_unit(str(r.unit))
    return Pair(
        str(r.quantity),
        f"{window_of(r)}{f', {unit}' if unit else ''}; {short_citation(str(r.citation), r.year)}",
        (100 * r.published, 100 * r.published_low, 100 * r.published_high),
        (100 * r.estimate, 100 * r.conf_low, 100 * r.conf_high),
        (
            numbers.number(float(r.published), "percent"),
            numbers.number(float(r.estimate), "percent"),
            numbers.number(float(r.ratio), "ratio"),
        ),
        theme.COLOURS[str(r.relation)],
        theme.INKS[str(r.relation)],
    )


def alt(frame: pd.DataFrame) -> str:
    """The finding in words: for each relation, the published range and the registry's, counted alike."""
    rows = chosen(frame)
    parts = []
    for level, block in rows.groupby("relation", sort=False):
        published = _range(block["published"])
        own = block["estimate"].dropna()
        mine = f", this registry {_range(own)} %" if len(own) else ", this registry's too few to show"
        parts.append(f"{LEVELS[str(level)].lower()} {published} % in {len(block)} published figures{mine}")
    return f"Published figures and the registry counted alike: {'; '.join(parts) or 'none to set side by side'}."


def _range(values: pd.Series) -> str:
    low, high = (numbers.number(float(end), "percent") for end in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"
