"""Each published ratio and the registry's own of the same exposure: two intervals one under the other, on a log axis.

Drawn in the registry's direction and step: a ratio of groups of a number has no such step, and is in the table only.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from cohort.present import numbers, theme
from cohort.present.figures.literature import AXIS_TO, COLUMNS, HEAD_LINE, LABELS, LINE, MOST_ROWS, at_most
from cohort.present.tables.model import records
from cohort.present.tables.published_ratios import grouped, kind, set_beside, turned
from cohort.present.tables.reviewed import study_name
from cohort.present.tables.risk import sentence_case

WIDEST: Final = 20.0
WORDS: Final = 48  # letters of a label before it runs into the axis
FIRST_WORD: Final = 16  # a study is never named by its year alone
TICKS: Final = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
OF: Final = {"same": "same", "adjacent": "adjacent", "remote": "remote", "any": "any"}


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
    groups = grouped(rows)
    head, foot = 0.34, 0.46
    body = LINE * len(rows) + HEAD_LINE * len(groups) + 0.1
    height = head + body + foot
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    ax = figure.add_axes(
        (LABELS / theme.WIDTH, foot / height, (AXIS_TO - LABELS) / theme.WIDTH, body / height), zorder=2
    )
    span = _scale(ax, rows)
    ax.set_ylim(0, body)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("ratio, log scale", labelpad=2)
    _legend(page, height - 0.15)
    y = body - 0.04
    for _, title, block in groups:
        y -= HEAD_LINE
        theme.write(page, 0.05, foot + y + 0.09, theme.wrap(title, 52, 1), role="group", weight="bold")
        for r in records(block):
            at = y - LINE * 0.5
            _pair(ax, r, at, span)
            _words(page, r, foot + at)
            y -= LINE
    return figure


def _scale(ax: Axes, rows: pd.DataFrame) -> tuple[float, float]:
    """A log axis around 1 that holds every interval but the ends of very uncertain ones; its ends."""
    names = ["taken", "taken_low", "taken_high", "estimate", "conf_low", "conf_high"]
    ends = rows[names].to_numpy(dtype=np.float64)
    ends = ends[np.isfinite(ends) & (ends > 1 / WIDEST) & (ends < WIDEST)]
    low, high = (min(0.5, float(ends.min()) / 1.1), max(2.0, float(ends.max()) * 1.1)) if ends.size else (0.5, 2.0)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{tick:g}" for tick in ticks])
    ax.xaxis.grid(True, color=theme.RULE, lw=0.4)
    ax.set_axisbelow(True)
    ax.axvline(1.0, color=theme.MUTED, lw=0.8)
    return low, high


def _legend(page: Axes, top: float) -> None:
    looks: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (LABELS, "published", {"color": theme.INK, "marker": "o", "mfc": "white"}),
        (LABELS + 1.0, "this registry", {"color": theme.MUTED, "marker": "s"}),
    )
    for x, word, look in looks:
        page.plot([x, x + 0.22], [top, top], color=look["color"], lw=1.2)
        page.plot([x + 0.11], [top], ms=4.0, ls="none", mew=1.0, **look)
        page.text(x + 0.28, top, word, ha="left", va="center", color=theme.MUTED, gid="head")
    for column, word in (("published", "publ."), ("registry", "reg."), ("ratio", "r/p")):
        page.text(COLUMNS[column], top, word, ha="right", va="center", color=theme.MUTED, gid="head")


def _pair(ax: Axes, r: Any, y: float, span: tuple[float, float]) -> None:
    colour = theme.COLOURS[str(r.registry_relation)]
    off = LINE * 0.17
    both = (
        (r.taken, r.taken_low, r.taken_high, y + off, theme.INK, "o", "white"),
        (r.estimate, r.conf_low, r.conf_high, y - off, colour, "s", colour),
    )
    least, most = span
    for value, low, high, at, hue, marker, fill in both:
        if not (math.isnan(low) or math.isnan(high)):
            ax.plot([max(low, least), min(high, most)], [at, at], color=hue, lw=1.2, solid_capstyle="butt")
            for beyond, x, mark in ((low < least, least, "<"), (high > most, most, ">")):
                if beyond:
                    ax.plot([x], [at], marker=mark, ms=3.5, color=hue, ls="none", clip_on=False)
        if least <= value <= most:
            ax.plot([value], [at], marker=marker, ms=4.0, color=hue, mfc=fill, mew=1.0, ls="none", clip_on=False)


def _words(page: Axes, r: Any, y: float) -> None:
    ink = theme.INKS[str(r.registry_relation)]
    done = turned(r)
    what = f"{sentence_case(str(r.exposure)).rstrip('.')}{f' ({done})' if done else ''}: {r.outcome}"
    kinds = f", {_kind(r.measure, r.adjustment)}; here {OF[str(r.registry_relation)]}, "
    kinds += _kind(r.registry_measure, r.registry_model)
    study = f"{study_name(r.citation, r.year, max(FIRST_WORD, WORDS - len(kinds)))}{kinds}"
    theme.write(page, 0.17, y + 0.067, theme.wrap(what, WORDS, 1), role="label")
    theme.write(page, 0.17, y - 0.067, theme.wrap(study, WORDS + 2, 1), role="label", color=theme.MUTED)
    values = (
        ("published", numbers.number(float(r.taken), "ratio"), theme.INK),
        ("registry", numbers.number(float(r.estimate), "ratio"), ink),
        ("ratio", numbers.number(float(r.ratio), "ratio"), theme.MUTED),
    )
    for column, text, colour in values:
        page.text(COLUMNS[column], y, text, ha="right", va="center", color=colour, gid="value")


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
