"""The registry's own figures beside the published ones of the same relation, each with its interval and window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cohort.present import numbers, theme
from cohort.present.tables.model import records
from cohort.present.tables.published import LEVELS, short_citation

LABELS, AXIS_TO, NUMBERS = 3.35, 6.0, 6.08
LINE = 0.20
MOST_ROWS = 30
HUES = {"same": "same", "adjacent": "adjacent", "remote": "remote", "any": "any"}


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """Figures that compare wholly or in part, the best first, at most so many that the picture stays readable."""
    rows = frame[frame["comparable"].isin(["yes", "partly"]) & np.isfinite(frame["percent"].astype("float64"))]
    rows = rows[rows["event_level"].isin(list(HUES))]
    rank = rows["comparable"].map({"yes": 0, "partly": 1})
    place = rows["event_level"].map({name: k for k, name in enumerate(HUES)})
    rows = rows.assign(_rank=rank, _place=place).sort_values(["_place", "_rank", "year"], kind="stable")
    # A figure given as stated and as recomputed is one point.
    printed = [numbers.number(float(value) / 100, "percent") for value in rows["percent"]]
    rows = rows.assign(_printed=printed).drop_duplicates(["citation", "event_level", "_printed", "window_days"])
    if len(rows) > MOST_ROWS:
        share = max(1, MOST_ROWS // rows["event_level"].nunique())
        rows = rows.groupby("event_level", sort=False, observed=True).head(share)
    return rows


@theme.styled
def draw(frame: pd.DataFrame) -> Figure | None:
    """Published per cents as dots, the registry's estimate as a band behind each; None when nothing compares."""
    if frame.empty:
        return None
    rows = chosen(frame)
    if rows.empty:
        return None
    groups = list(rows.groupby("event_level", sort=False, observed=True))
    head, foot = 0.3, 0.46
    body = LINE * (len(rows) + 1.35 * len(groups)) + 0.06
    height = head + body + foot
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    ax = figure.add_axes(
        (LABELS / theme.WIDTH, foot / height, (AXIS_TO - LABELS) / theme.WIDTH, body / height), zorder=2
    )
    ax.set_ylim(0, body)
    ax.set_yticks([])
    ax.spines["left"].set_color(theme.RULE)
    highs = np.append(rows["wilson_high"].astype("float64").to_numpy(), rows["percent"].astype("float64").to_numpy())
    highs = np.append(highs, rows["registry_high"].astype("float64").to_numpy())
    limit = min(100.0, float(np.nanmax(highs)) * 1.05)
    ax.set_xlim(0, limit)
    ax.set_xlabel("per cent of patients", labelpad=2)
    ax.xaxis.grid(True, color=theme.RULE, lw=0.4)
    ax.set_axisbelow(True)
    top = height - 0.13
    page.text(NUMBERS, top, "n / N, window", ha="left", va="center", color=theme.MUTED, gid="head")
    for x, word, fill in ((LABELS + 0.1, "compares", theme.INK), (LABELS + 1.0, "in part", "white")):
        page.plot([x], [top], marker="o", ms=4.4, mfc=fill, mec=theme.INK, mew=1.0, ls="none")
        page.text(x + 0.09, top, word, ha="left", va="center", color=theme.MUTED, gid="head")
    swatch = Rectangle((LABELS + 1.72, top - 0.06), 0.2, 0.12, color=theme.INK, alpha=theme.BAND, lw=0)
    page.add_patch(swatch)
    page.text(LABELS + 1.98, top, "registry", ha="left", va="center", color=theme.MUTED, gid="head")
    y = body
    for level, block in groups:
        hue = HUES[str(level)]
        y -= LINE * 1.25
        name = LEVELS[str(level)]
        theme.write(page, 0.05, foot + y + LINE * 0.45, name, role="group", color=theme.INKS[hue], weight="bold")
        for r in records(block):
            at = y - LINE * 0.5
            _registry_band(ax, r, at, theme.COLOURS[hue])
            _published(ax, r, at, limit)
            label = theme.wrap(f"{short_citation(str(r.citation), r.year)}, {r.quantity}", 49, 1)
            theme.write(page, 0.17, foot + at, label, role="label")
            have = pd.notna(r.numerator) and pd.notna(r.denominator)
            counts = f"{numbers.count(r.numerator)}/{numbers.count(r.denominator)}" if have else "n/N –"
            window = _window(float(r.window_days)) if pd.notna(r.window_days) else "?"
            page.text(NUMBERS, foot + at, f"{counts}, {window}", ha="left", va="center", color=theme.MUTED, gid="value")
            y -= LINE
        y -= LINE * 0.1
    return figure


def _window(days: float) -> str:
    return f"{days / 365.25:.1f} y".replace(".0 y", " y") if days >= 180 else f"{days:.0f} d"


def _registry_band(ax: Axes, r: Any, y: float, colour: str) -> None:
    value, low, high = (float(v) for v in (r.registry_estimate, r.registry_low, r.registry_high))
    if math.isfinite(low) and math.isfinite(high):
        ax.barh(y, high - low, left=low, height=LINE, color=colour, alpha=theme.BAND, lw=0)
    if math.isfinite(value):
        ax.plot([value, value], [y - LINE / 2, y + LINE / 2], color=colour, lw=1.4, solid_capstyle="butt")


def _published(ax: Axes, r: Any, y: float, limit: float) -> None:
    low, high, value = (float(v) for v in (r.wilson_low, r.wilson_high, r.percent))
    if math.isfinite(low) and math.isfinite(high):
        ax.plot([low, min(high, limit)], [y, y], color=theme.INK, lw=0.9)
    fill = theme.INK if r.comparable == "yes" else "white"
    ax.plot([value], [y], marker="o", ms=4.4, mfc=fill, mec=theme.INK, mew=1.0, ls="none", clip_on=False)


def alt(frame: pd.DataFrame) -> str:
    """The finding in words: the range published for each relation beside the registry's figure."""
    rows = chosen(frame)
    parts = []
    for level, block in rows.groupby("event_level", sort=False, observed=True):
        low, high = (
            numbers.number(float(v) / 100, "percent") for v in (block["percent"].min(), block["percent"].max())
        )
        own = block["registry_estimate"].astype("float64").dropna()
        mine = f", registry {numbers.number(float(own.iloc[0]) / 100, 'percent')} %" if len(own) else ""
        parts.append(f"{LEVELS[str(level)].lower()} {low} to {high} % in {len(block)} published figures{mine}")
    return f"Published figures beside the registry's: {'; '.join(parts) or 'none compares'}."
