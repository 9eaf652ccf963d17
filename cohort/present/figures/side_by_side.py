"""Published and own, two intervals one under the other on a log axis: figures of shares and of ratios are one kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from cohort.present import theme

LABELS, AXIS_TO = 3.3, 5.74
COLUMNS: Final = {"published": 6.16, "registry": 6.62, "ratio": 7.1}  # right edges of the numbers, inches
LINE = 0.3
HEAD_LINE = 0.24
HEAD, FOOT = 0.34, 0.46
WORDS: Final = 48  # letters of a label before it runs into the axis
MOST_ROWS = 24  # one printed page


@dataclass(frozen=True)
class Pair:
    """One published value and the registry's, in the units of the axis; NaN where there is none.

    what, where : the two lines of the label. published, own : value, low, high. texts : both and their ratio.
    colour, ink : of the registry's mark and number.
    """

    what: str
    where: str
    published: tuple[float, float, float]
    own: tuple[float, float, float]
    texts: tuple[str, str, str]
    colour: str
    ink: str


@dataclass(frozen=True)
class Group:
    """Pairs under one heading."""

    title: str
    pairs: Sequence[Pair]
    ink: str = theme.INK


@dataclass(frozen=True)
class Scale:
    """The axis: its ends, where it may have ticks, what it is of, how the ratio is headed, a line to compare with."""

    ends: tuple[float, float]
    ticks: Sequence[float]
    label: str
    ratio: str = "ratio"
    line_at: float | None = None


def at_most(group: pd.Series) -> int:
    """How many rows of each group a page holds, the groups with fewer leaving room to the others; at least one.

    >>> at_most(pd.Series(["same"] * 30 + ["remote"]))
    23
    """
    sizes = group.value_counts()
    return max(k for k in range(1, MOST_ROWS + 1) if k == 1 or sizes.clip(upper=k).sum() <= MOST_ROWS)


def draw(groups: Sequence[Group], scale: Scale) -> Figure:
    """The figure; an end that runs off the axis is cut to a point. Call it under `theme.styled`."""
    body = LINE * sum(len(group.pairs) for group in groups) + HEAD_LINE * len(groups) + 0.1
    height = HEAD + body + FOOT
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    ax = figure.add_axes(
        (LABELS / theme.WIDTH, FOOT / height, (AXIS_TO - LABELS) / theme.WIDTH, body / height), zorder=2
    )
    _axis(ax, scale)
    ax.set_ylim(0, body)
    _legend(page, height - 0.15, scale.ratio)
    y = body - 0.04
    for group in groups:
        y -= HEAD_LINE
        title = theme.wrap(group.title, 52, 1)
        theme.write(page, 0.05, FOOT + y + 0.09, title, role="group", color=group.ink, weight="bold")
        for pair in group.pairs:
            at = y - LINE * 0.5
            _marks(ax, pair, at, scale.ends)
            _words(page, pair, FOOT + at)
            y -= LINE
    return figure


def _axis(ax: Axes, scale: Scale) -> None:
    low, high = scale.ends
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = [tick for tick in scale.ticks if low <= tick <= high]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{tick:g}" for tick in ticks])
    ax.xaxis.grid(True, color=theme.RULE, lw=0.4)
    ax.set_axisbelow(True)
    ax.set_yticks([])
    ax.spines["left"].set_color(theme.RULE)
    ax.set_xlabel(scale.label, labelpad=2)
    if scale.line_at is not None:
        ax.spines["left"].set_visible(False)
        ax.axvline(scale.line_at, color=theme.MUTED, lw=0.8)


def _legend(page: Axes, top: float, ratio: str) -> None:
    looks: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (LABELS, "published", {"color": theme.INK, "marker": "o", "mfc": "white"}),
        (LABELS + 1.0, "this registry", {"color": theme.MUTED, "marker": "s"}),
    )
    for x, word, look in looks:
        page.plot([x, x + 0.22], [top, top], color=look["color"], lw=1.2)
        page.plot([x + 0.11], [top], ms=4.0, ls="none", mew=1.0, **look)
        page.text(x + 0.28, top, word, ha="left", va="center", color=theme.MUTED, gid="head")
    for right, word in zip(COLUMNS.values(), ("publ.", "reg.", ratio), strict=True):
        page.text(right, top, word, ha="right", va="center", color=theme.MUTED, gid="head")


def _marks(ax: Axes, pair: Pair, y: float, ends: tuple[float, float]) -> None:
    least, most = ends
    off = LINE * 0.17
    both = ((pair.published, y + off, theme.INK, "o", "white"), (pair.own, y - off, pair.colour, "s", pair.colour))
    for (value, low, high), at, hue, marker, fill in both:
        if not (math.isnan(low) or math.isnan(high)):
            ax.plot([max(low, least), min(high, most)], [at, at], color=hue, lw=1.2, solid_capstyle="butt")
            for beyond, x, mark in ((low < least, least, "<"), (high > most, most, ">")):
                if beyond:
                    ax.plot([x], [at], marker=mark, ms=3.5, color=hue, ls="none", clip_on=False)
        if least <= value <= most:
            ax.plot([value], [at], marker=marker, ms=4.0, color=hue, mfc=fill, mew=1.0, ls="none", clip_on=False)


def _words(page: Axes, pair: Pair, y: float) -> None:
    theme.write(page, 0.17, y + 0.067, theme.wrap(pair.what, WORDS, 1), role="label")
    theme.write(page, 0.17, y - 0.067, theme.wrap(pair.where, WORDS + 2, 1), role="label", color=theme.MUTED)
    for right, text, colour in zip(COLUMNS.values(), pair.texts, (theme.INK, pair.ink, theme.MUTED), strict=True):
        page.text(right, y, text, ha="right", va="center", color=colour, gid="value")
