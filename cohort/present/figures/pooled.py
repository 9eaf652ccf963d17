"""Published shares of one relation, definition and unit, what they say together, and the registry set apart from them.

Squares are studies, the diamond is what they say together, the bar below it where a new place is expected. The registry
stands under a rule: it is compared with the bar, never with the diamond.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator

from cohort.present import numbers, theme
from cohort.present.tables.model import records
from cohort.present.tables.pooled import cell_title, window
from cohort.present.tables.reviewed import study_name

LABEL, COUNT, FOLLOWED, AXIS_FROM, AXIS_TO, NUMBERS, WEIGHT = 0.05, 2.62, 2.72, 3.68, 5.42, 5.54, 7.15
LINE: Final = 0.2
LARGEST: Final = 6.4


@theme.styled
def draw(studies: pd.DataFrame, pooled: pd.DataFrame, registry: pd.DataFrame, own: pd.DataFrame) -> Figure | None:
    """A forest plot of one cell; None without studies.

    studies, pooled : the rows of the cell in `Reviewed`. registry : of `with_registry`, empty where the registry is not
    among them or is withheld; own : its share with its window. Disclosure is applied before.
    """
    if studies.empty or pooled.empty:
        return None
    colour, ink = _hue(studies)
    rows = studies.sort_values("estimate", kind="stable")
    below = 3 if len(registry) and len(own) else 0
    head, foot = 0.3, 0.46
    body = LINE * (len(rows) + 2.5 + (below + 0.4 if below else 0)) + 0.08
    height = head + body + foot
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    ax = figure.add_axes(
        (AXIS_FROM / theme.WIDTH, foot / height, (AXIS_TO - AXIS_FROM) / theme.WIDTH, body / height), zorder=2
    )
    limit = _limit(rows, pooled, registry)
    ax.set_xlim(0, limit)
    ax.set_ylim(0, body)
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_xlabel("per cent", labelpad=2)
    ax.spines["left"].set_color(theme.RULE)
    _headings(page, height - 0.14)
    y = body - 0.04
    widest = float(rows["weight"].max())
    for r in records(rows):
        y -= LINE
        at = y + LINE / 2
        name = study_name(theme.plain(r.citation), r.year, 29)
        _words(page, foot + at, name, r.n_events, r.n, _followed(r), theme.INK)
        page.text(WEIGHT, foot + at, numbers.number(r.weight, "percent"), ha="right", va="center", color=theme.MUTED)
        size = LARGEST * math.sqrt(float(r.weight) / widest) if widest > 0 else LARGEST
        _interval(ax, r, at, colour, limit)
        ax.plot([100 * r.estimate], [at], marker="s", ms=size, mfc=colour, mec=colour, ls="none", clip_on=False)
        _value(page, foot + at, r, theme.INK)
    page.plot([LABEL, WEIGHT], [foot + y - LINE * 0.25] * 2, color=theme.RULE, lw=0.6)
    y = _together(page, ax, pooled, y - LINE * 0.5, foot, colour, limit, filled=True, name=f"All {len(rows)} studies")
    if below:
        page.plot([LABEL, WEIGHT], [foot + y - LINE * 0.2] * 2, color=theme.INK, lw=0.8)
        _registry(page, ax, registry, own, y - LINE * 0.4, foot, colour, ink, limit, len(rows))
    return figure


def _hue(studies: pd.DataFrame) -> tuple[str, str]:
    relation = str(studies["relation"].iloc[0])
    return theme.COLOURS.get(relation, theme.INK), theme.INKS.get(relation, theme.INK)


def _limit(rows: pd.DataFrame, pooled: pd.DataFrame, registry: pd.DataFrame) -> float:
    highs = np.concatenate(
        [frame["conf_high"].to_numpy(dtype=np.float64) for frame in (rows, pooled, registry) if len(frame)]
    )
    return min(100.0, 104 * float(np.nanmax(highs)))


def _headings(page: Axes, y: float) -> None:
    for x, word, side in (
        (COUNT, "events / n", "right"), (FOLLOWED, "followed", "left"), (NUMBERS, "% (95 % interval)", "left"),
        (WEIGHT, "weight", "right"),
    ):  # fmt: skip
        page.text(x, y, word, ha=side, va="center", color=theme.MUTED, gid="head")


def _followed(r: Any) -> str:
    text = window(r.window_kind, float(r.window_days))
    days = float(r.window_days)
    if math.isnan(days):
        return "?"
    years = f"{days / 365.25:.1f} y".replace(".0 y", " y") if days >= 300 else f"{days:.0f} d"
    mark = "~" if text.startswith("mean") else "≥" if text.endswith("more") else "≤" if text.startswith("up") else ""
    return f"{mark}{years}"


def _words(page: Axes, y: float, name: str, events: float, n: float, followed: str, ink: str, **look: Any) -> None:
    theme.write(page, LABEL, y, name, role="label", color=ink, **look)
    page.text(
        COUNT, y, f"{numbers.count(events)} / {numbers.count(n)}", ha="right", va="center", color=ink, gid="count"
    )
    theme.write(page, FOLLOWED, y, followed, role="window", color=theme.MUTED)


def _value(page: Axes, y: float, r: Any, ink: str, **look: Any) -> None:
    theme.write(
        page, NUMBERS, y, numbers.estimate(r.estimate, r.conf_low, r.conf_high, "percent"), role="value", color=ink,
        **look,
    )  # fmt: skip


def _interval(ax: Axes, r: Any, y: float, colour: str, limit: float, **look: Any) -> None:
    if math.isfinite(r.conf_low) and math.isfinite(r.conf_high):
        ax.plot([100 * r.conf_low, min(100 * r.conf_high, limit)], [y, y], color=colour, **{"lw": 1.1, **look})


def _together(
    page: Axes, ax: Axes, frame: pd.DataFrame, y: float, foot: float, colour: str, limit: float, *, filled: bool,
    name: str,
) -> float:  # fmt: skip
    """The diamond and the bar of a new place; returns where they end."""
    one, ahead = (next(records(frame[frame["row"] == row])) for row in ("pooled", "prediction"))
    at = y - LINE / 2
    _words(page, foot + at, name, one.n_events, one.n_patients, "", theme.INK, weight="bold" if filled else "normal")
    _value(page, foot + at, one, theme.INK, weight="bold" if filled else "normal")
    low, middle, high = (100 * float(v) for v in (one.conf_low, one.estimate, one.conf_high))
    half = LINE * 0.32
    if math.isfinite(low) and math.isfinite(high):
        corners = [(low, at), (middle, at + half), (high, at), (middle, at - half)]
        ax.add_patch(Polygon(corners, closed=True, fc=colour if filled else "white", ec=colour, lw=1.1, zorder=3))
    at -= LINE
    if math.isfinite(ahead.conf_low) and math.isfinite(ahead.conf_high):
        ends = [100 * ahead.conf_low, min(100 * ahead.conf_high, limit)]
        ax.plot(ends, [at, at], color=colour, lw=3.2, alpha=0.45, solid_capstyle="butt")
        theme.write(page, LABEL + 0.12, foot + at, "a new place is expected in", role="label", color=theme.MUTED)
        words = f"{numbers.number(ahead.conf_low, 'percent')} to {numbers.number(ahead.conf_high, 'percent')}"
        theme.write(page, NUMBERS, foot + at, words, role="value", color=theme.MUTED)
    return y - 2 * LINE


def _registry(
    page: Axes, ax: Axes, frame: pd.DataFrame, own: pd.DataFrame, y: float, foot: float, colour: str, ink: str,
    limit: float, n_studies: int,
) -> None:  # fmt: skip
    """The registry as one more study: its own share, open and marked apart, and all of them together with it."""
    mine = next(records(own))
    at = y - LINE / 2
    _words(page, foot + at, "This registry", mine.n_events, mine.n, _followed_registry(mine), ink, weight="bold")
    _value(page, foot + at, mine, ink, weight="bold")
    share = next(records(frame[frame["row"] == "registry"])).weight
    page.text(WEIGHT, foot + at, numbers.number(share, "percent"), ha="right", va="center", color=theme.MUTED)
    _interval(ax, mine, at, ink, limit, lw=1.8)
    ax.plot([100 * mine.estimate], [at], marker="D", ms=5.4, mfc="white", mec=ink, mew=1.6, ls="none", clip_on=False)
    _together(page, ax, frame, y - LINE, foot, colour, limit, filled=False, name=f"All {n_studies} and this registry")


def _followed_registry(mine: Any) -> str:
    return (
        f"{mine.window_days:.0f} d" if mine.window_days < 300 else f"{mine.window_days / 365:.1f} y".replace(".0", "")
    )


def alt(studies: pd.DataFrame, pooled: pd.DataFrame, registry: pd.DataFrame, own: pd.DataFrame) -> str:
    """The finding in words: how far the studies lie apart, what they say together, and where the registry lies."""
    one, ahead = (next(records(pooled[pooled["row"] == row])) for row in ("pooled", "prediction"))
    low, high = (numbers.number(value, "percent") for value in (studies["estimate"].min(), studies["estimate"].max()))
    text = (
        f"{cell_title(one)}: {len(studies)} studies from {low} to {high} %; pooled "
        f"{numbers.estimate(one.estimate, one.conf_low, one.conf_high, 'percent')}"
    )
    if math.isfinite(ahead.conf_low):
        text += (
            f"; a new place is expected between {numbers.number(ahead.conf_low, 'percent')} and "
            f"{numbers.number(ahead.conf_high, 'percent')} %"
        )
    if len(registry) and len(own):
        mine, both = next(records(own)), next(records(registry[registry["row"] == "pooled"]))
        text += (
            f"; this registry {numbers.estimate(mine.estimate, mine.conf_low, mine.conf_high, 'percent')}, "
            f"{_against(mine, ahead)}; pooled with it "
            f"{numbers.estimate(both.estimate, both.conf_low, both.conf_high, 'percent')}"
        )
    return f"{text}."


def _against(mine: Any, ahead: Any) -> str:
    if not math.isfinite(ahead.conf_low):
        return "with nothing predicted"
    if ahead.conf_low <= mine.estimate <= ahead.conf_high:
        return "inside that"
    # A registry of a few patients is nowhere by its estimate alone.
    reaches = mine.conf_low <= ahead.conf_high and ahead.conf_low <= mine.conf_high
    return "outside that, though its interval reaches in" if reaches else "outside that"
