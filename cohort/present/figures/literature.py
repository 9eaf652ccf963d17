"""Each published figure and the registry counted alike: two intervals one under the other, on a log axis."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from cohort.present import numbers, theme
from cohort.present.tables.alike import grouped, main_figures, of_unit, window_of
from cohort.present.tables.model import records
from cohort.present.tables.published import LEVELS, short_citation

LABELS, AXIS_TO = 3.3, 5.74
COLUMNS: Final = {"published": 6.16, "registry": 6.62, "ratio": 7.1}  # right edges of the numbers, inches
LINE = 0.3
HEAD_LINE = 0.24
MOST_ROWS = 24  # one printed page
TICKS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """The studies' main figures that are risks, the largest where there are more than can be read."""
    rows = main_figures(frame)
    rows = rows[(rows["published"] > 0) & (rows["unit"] != "new_fracture") & rows["relation"].isin(list(LEVELS))]
    if len(rows) > MOST_ROWS:
        largest = rows.sort_values("denominator", ascending=False, kind="stable")
        rows = largest.groupby("relation", sort=False).head(at_most(rows["relation"]))
    return rows


def at_most(group: pd.Series) -> int:
    """How many rows of each group a page holds, the groups with fewer leaving room to the others; at least one.

    >>> at_most(pd.Series(["same"] * 30 + ["remote"]))
    23
    """
    sizes = group.value_counts()
    return max(k for k in range(1, MOST_ROWS + 1) if k == 1 or sizes.clip(upper=k).sum() <= MOST_ROWS)


@theme.styled
def draw(frame: pd.DataFrame) -> Figure | None:
    """Published per cents in black, the registry's in the colour of the relation; None when there is nothing to set."""
    if frame.empty:
        return None
    rows = chosen(frame)
    if rows.empty:
        return None
    groups = grouped(rows)
    head, foot = 0.34, 0.46
    body = LINE * len(rows) + HEAD_LINE * len(groups) + 0.1
    height = head + body + foot
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    ax = figure.add_axes(
        (LABELS / theme.WIDTH, foot / height, (AXIS_TO - LABELS) / theme.WIDTH, body / height), zorder=2
    )
    low = _scale(ax, rows)
    ax.set_ylim(0, body)
    ax.set_yticks([])
    ax.spines["left"].set_color(theme.RULE)
    ax.set_xlabel("per cent, log scale", labelpad=2)
    _legend(page, height - 0.15)
    y = body - 0.04
    for title, block in groups:
        level = str(block["relation"].iloc[0])
        y -= HEAD_LINE
        theme.write(page, 0.05, foot + y + 0.09, title, role="group", color=theme.INKS[level], weight="bold")
        for r in records(block):
            at = y - LINE * 0.5
            _pair(ax, r, at, low, theme.COLOURS[level])
            _words(page, r, foot + at, theme.INKS[level])
            y -= LINE
    return figure


def _scale(ax: Axes, rows: pd.DataFrame) -> float:
    """A log axis that holds every interval but the lowest ends of very uncertain ones; the least per cent on it."""
    ends = rows[["published", "published_low", "estimate", "conf_low", "conf_high"]].to_numpy(dtype=np.float64) * 100
    ends = ends[np.isfinite(ends) & (ends > 0.1)]
    low = max(0.1, float(ends.min()) * 0.85) if ends.size else 0.1
    ax.set_xscale("log")
    ax.set_xlim(low, 100)
    ticks = [tick for tick in TICKS if tick >= low]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{tick:g}" for tick in ticks])
    ax.xaxis.grid(True, color=theme.RULE, lw=0.4)
    ax.set_axisbelow(True)
    return low


def _legend(page: Axes, top: float) -> None:
    looks: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (LABELS, "published", {"color": theme.INK, "marker": "o", "mfc": "white"}),
        (LABELS + 1.0, "this registry", {"color": theme.MUTED, "marker": "s"}),
    )
    for x, word, look in looks:
        page.plot([x, x + 0.22], [top, top], color=look["color"], lw=1.2)
        page.plot([x + 0.11], [top], ms=4.0, ls="none", mew=1.0, **look)
        page.text(x + 0.28, top, word, ha="left", va="center", color=theme.MUTED, gid="head")
    for word, right in COLUMNS.items():
        shown = {"published": "publ.", "registry": "reg."}.get(word, word)
        page.text(right, top, shown, ha="right", va="center", color=theme.MUTED, gid="head")


def _pair(ax: Axes, r: Any, y: float, least: float, colour: str) -> None:
    off = LINE * 0.17
    both = (
        (r.published, r.published_low, r.published_high, y + off, theme.INK, "o", "white"),
        (r.estimate, r.conf_low, r.conf_high, y - off, colour, "s", colour),
    )
    for value, low, high, at, hue, marker, fill in both:
        if math.isfinite(low) and math.isfinite(high):
            ax.plot([max(100 * low, least), 100 * high], [at, at], color=hue, lw=1.2, solid_capstyle="butt")
        if math.isfinite(value) and value > 0:
            ax.plot([100 * value], [at], marker=marker, ms=4.0, color=hue, mfc=fill, mew=1.0, ls="none", clip_on=False)


def _words(page: Axes, r: Any, y: float, ink: str) -> None:
    unit = of_unit(str(r.unit))
    study = f"{window_of(r)}{f', {unit}' if unit else ''}; {short_citation(str(r.citation), r.year)}"
    theme.write(page, 0.17, y + 0.067, theme.wrap(r.quantity, 48, 1), role="label")
    theme.write(page, 0.17, y - 0.067, theme.wrap(study, 48, 1), role="label", color=theme.MUTED)
    values = (
        ("published", numbers.number(float(r.published), "percent"), theme.INK),
        ("registry", numbers.number(float(r.estimate), "percent"), ink),
        ("ratio", numbers.number(float(r.ratio), "ratio"), theme.MUTED),
    )
    for column, text, colour in values:
        page.text(COLUMNS[column], y, text, ha="right", va="center", color=colour, gid="value")


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
