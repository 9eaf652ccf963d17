"""Whether hazard ratios hold: each exposure's ratio early, later and last, one panel per relation."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import records
from cohort.present.tables.ratios import interval_name, ratios_by_interval

LABEL, PANELS_FROM, PANELS_TO, BETWEEN = 0.05, 1.98, 7.12, 0.14
HEAD, FOOT, LINE, PADDING = 0.62, 0.46, 0.15, 0.16
MARKS: Final = ("o", "s", "D", "^", "v")
LEAST, GREATEST = 0.1, 10.0
OUTCOMES: Final = ("same", "adjacent", "remote")


def drawable(frame: pd.DataFrame, rule: Disclosure) -> pd.DataFrame:
    """The ratios that may be drawn, with `place` 0, 1, ... of their interval."""
    found = ratios_by_interval(frame, rule)
    if found.empty:
        return found
    starts = sorted(found["interval_start"].unique())
    found = found.assign(place=found["interval_start"].map(starts.index))
    values = found["estimate"].to_numpy(dtype=np.float64)
    return found[~found["concealed"] & np.isfinite(values) & (values > 0)]


@theme.styled
def draw(frame: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """Small multiples: exposures down, relations across, one mark per interval; None when no ratio can be shown.

    frame : as `pipeline.hazard_shape.by_interval` gives it.
    """
    found = drawable(frame, rule)
    if found.empty:
        return None
    labels = {str(r.exposure): str(r.label) for r in records(frame.drop_duplicates("exposure"))}
    labels = {name: text for name, text in labels.items() if name in set(found["exposure"])}
    outcomes = [name for name in OUTCOMES if name in set(found["outcome"])]
    n_intervals = int(found["place"].max()) + 1
    block = max(n_intervals * LINE + PADDING, 0.5)
    body = block * len(labels)
    figure = theme.new_figure(HEAD + body + FOOT)
    height = HEAD + body + FOOT
    page = theme.page_axes(figure)
    _key(page, frame, rule, height - 0.14)
    for place, text in enumerate(labels.values()):
        middle = FOOT + body - block * (place + 0.5)
        page.text(LABEL, middle, theme.wrap(text, 26, 3), ha="left", va="center", linespacing=1.2, gid="label")
        if place:
            page.plot([LABEL, PANELS_TO], [FOOT + body - block * place] * 2, color=theme.RULE, lw=0.5)
    width = (PANELS_TO - PANELS_FROM - BETWEEN * (len(outcomes) - 1)) / len(outcomes)
    for k, outcome in enumerate(outcomes):
        left = PANELS_FROM + k * (width + BETWEEN)
        ax = figure.add_axes(
            (left / theme.WIDTH, FOOT / height, width / theme.WIDTH, body / height), zorder=2
        )  # fmt: skip
        _axis(ax, body)
        page.text(
            left + width / 2, height - 0.44, theme.NAMES[outcome], ha="center", va="center",
            color=theme.INKS[outcome], fontweight="bold", gid="head",
        )  # fmt: skip
        for r in records(found[found["outcome"] == outcome]):
            row = list(labels).index(str(r.exposure))
            y = body - block * row - (block - (n_intervals - 1) * LINE) / 2 - LINE * int(r.place)
            _ratio(ax, r, y, theme.COLOURS[outcome])
    return figure


def _key(page: Axes, frame: pd.DataFrame, rule: Disclosure, y: float) -> None:
    """Each mark beside the interval it stands for."""
    every = ratios_by_interval(frame, rule).drop_duplicates("interval_start").sort_values("interval_start")
    x = PANELS_FROM
    for place, name in enumerate(interval_names(every)):
        page.plot([x], [y], marker=MARKS[place % len(MARKS)], ms=4.4, color=theme.INK, ls="none")
        page.text(x + 0.1, y, name.lower(), ha="left", va="center", color=theme.MUTED, gid="head")
        x += 1.35


def interval_names(every: pd.DataFrame) -> list[str]:
    """The names of intervals in their order."""
    starts = sorted(every["interval_start"].unique())
    ends = [*starts[1:], math.inf]
    return [interval_name(a, b == math.inf, b) for a, b in zip(starts, ends, strict=True)]


def _axis(ax: Axes, body: float) -> None:
    ax.set_xscale("log")
    ax.set_xlim(LEAST, GREATEST)
    ax.set_ylim(0, body)
    ax.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.axvline(1.0, color=theme.MUTED, lw=0.8)
    ax.set_xlabel("hazard ratio, log scale", labelpad=2)


def _ratio(ax: Axes, r: Any, y: float, colour: str) -> None:
    """One ratio with its line; arrows where it runs off the axis."""
    low = r.conf_low if math.isfinite(r.conf_low) and r.conf_low > 0 else LEAST / 2
    high = r.conf_high if math.isfinite(r.conf_high) else GREATEST * 2
    if not (math.isnan(r.conf_low) or math.isnan(r.conf_high)):
        ax.plot([max(low, LEAST), min(high, GREATEST)], [y, y], color=colour, lw=1.1, solid_capstyle="butt")
        for beyond, x, mark in ((low < LEAST, LEAST, "<"), (high > GREATEST, GREATEST, ">")):
            if beyond:
                ax.plot([x], [y], marker=mark, ms=3.6, color=colour, ls="none", clip_on=False)
    if LEAST <= r.estimate <= GREATEST:
        mark = MARKS[int(r.place) % len(MARKS)]
        ax.plot([r.estimate], [y], marker=mark, ms=4.4, mfc=colour, mec=colour, ls="none")


def alt(frame: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: the ratio of each exposure and relation in each interval."""
    found = drawable(frame, rule)
    if found.empty:
        return "Hazard ratios by time since treatment: too few events to show."
    names = interval_names(ratios_by_interval(frame, rule))
    parts = []
    for _, block in found.groupby(["outcome", "exposure"], sort=False, observed=True):
        first = block.iloc[0]
        values = ", ".join(
            f"{names[int(r.place)].lower()} {numbers.number(r.estimate, 'ratio')}" for r in records(block)
        )
        parts.append(f"{theme.plain(first['label'])}, {theme.NAMES[str(first['outcome'])]}: {values}")
    return f"Adjusted hazard ratios by time since treatment. {'; '.join(parts)}."
