"""What goes with refracture: ratios on a log axis, crude open and adjusted filled, with what they rest on."""

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
from cohort.present.tables.risk import hidden_models

LABEL, EVENTS, AXIS_FROM, AXIS_TO, NUMBERS = 0.05, 3.12, 3.32, 5.62, 5.78
WIDEST: Final = 20.0
LINE: Final = 0.185


def usable(frame: pd.DataFrame, outcome: str, rule: Disclosure) -> pd.DataFrame:
    """Rows of one outcome with what is hidden, in the order of the exposures."""
    frame = frame.reset_index(drop=True)
    events, exposed = hidden_models(frame, rule)
    frame = frame.assign(concealed=events, exposed_concealed=exposed)
    return frame[frame["outcome"] == outcome]


@theme.styled
def draw(models: pd.DataFrame, outcome: str, rule: Disclosure, *, measure: str = "hazard ratio") -> Figure | None:
    """A forest plot of one outcome; None when no ratio can be shown."""
    rows = usable(models, outcome, rule)
    drawable = ~rows["concealed"] & np.isfinite(rows["estimate"]) & (rows["estimate"] > 0)
    if not drawable.any():
        return None
    blocks = list(rows.groupby("exposure", sort=False, observed=True))
    labels = {exposure: theme.wrap(block["label"].iloc[0], 34, 2) for exposure, block in blocks}
    block_height = {
        exposure: max(len(block), labels[exposure].count("\n") + 1) * LINE + 0.12 for exposure, block in blocks
    }
    head, foot = 0.36, 0.46
    height = head + sum(block_height.values()) + foot
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    body = sum(block_height.values())
    ax = figure.add_axes(
        (AXIS_FROM / theme.WIDTH, foot / height, (AXIS_TO - AXIS_FROM) / theme.WIDTH, body / height), zorder=2
    )
    low, high = _limits(rows[drawable])
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.set_ylim(0, body)
    _ticks(ax, low, high, measure)
    _headings(page, height - 0.16, measure)
    top = body
    for place, (exposure, block) in enumerate(blocks):
        if place:
            page.plot([LABEL, 7.15], [foot + top] * 2, color=theme.RULE, lw=0.5)
        one_line = "\n" not in labels[exposure]
        page.text(
            LABEL,
            foot + top - (0.06 + LINE / 2 if one_line else 0.075),
            labels[exposure],
            ha="left",
            va="center" if one_line else "top",
            linespacing=1.25,
            gid="label",
        )
        for k, r in enumerate(records(block)):
            y = top - 0.06 - LINE * (k + 0.5)
            _row(page, ax, r, y, foot, theme.COLOURS[outcome], (low, high), rule)
        top -= block_height[exposure]
    return figure


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    values = np.concatenate([rows[name].to_numpy(dtype=np.float64) for name in ("estimate", "conf_low", "conf_high")])
    values = values[np.isfinite(values) & (values > 0)]
    values = values[(values > 1 / WIDEST) & (values < WIDEST)]
    low = min(0.5, float(values.min()) / 1.1) if values.size else 0.5
    high = max(2.0, float(values.max()) * 1.1) if values.size else 2.0
    return low, high


def _ticks(ax: Axes, low: float, high: float, measure: str) -> None:
    ticks = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= t <= high]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.axvline(1.0, color=theme.MUTED, lw=0.8)
    ax.set_xlabel(f"{measure}, log scale", labelpad=2)


def _headings(page: Axes, y: float, measure: str) -> None:
    page.text(EVENTS, y, "events / patients", ha="right", va="center", color=theme.MUTED, gid="head")
    page.text(NUMBERS, y, f"{measure} (interval)", ha="left", va="center", color=theme.MUTED, gid="head")
    # The key says itself: an open mark beside its word, a filled one beside its own.
    middle = (AXIS_FROM + AXIS_TO) / 2
    for x, word, fill in ((middle - 0.95, "crude", "white"), (middle + 0.1, "adjusted", theme.INK)):
        page.plot([x], [y], marker="s", ms=4.6, mfc=fill, mec=theme.INK, mew=1.0, ls="none")
        page.text(x + 0.1, y, word, ha="left", va="center", color=theme.MUTED, gid="head")


def _row(
    page: Axes, ax: Axes, r: Any, y: float, foot: float, colour: str, span: tuple[float, float], rule: Disclosure
) -> None:
    adjusted = r.model == "adjusted"
    ink = theme.INK if adjusted else theme.MUTED
    events = rule.text(r.n_events, bool(r.concealed))
    page.text(
        EVENTS, foot + y, f"{events} / {rule.text(r.n_patients)}", ha="right", va="center", color=ink, gid="count"
    )
    if r.concealed or not math.isfinite(r.estimate) or r.estimate <= 0:
        text = numbers.MISSING if r.concealed else "not estimable"
        page.text(NUMBERS, foot + y, text, ha="left", va="center", color=theme.MUTED, gid="ratio")
        return
    text = numbers.estimate(r.estimate, r.conf_low, r.conf_high, "ratio")
    page.text(NUMBERS, foot + y, text, ha="left", va="center", color=ink, gid="ratio")
    low, high = span
    start = r.conf_low if math.isfinite(r.conf_low) and r.conf_low > 0 else low / 2
    end = r.conf_high if math.isfinite(r.conf_high) else high * 2
    if not (math.isnan(r.conf_low) or math.isnan(r.conf_high)):
        ax.plot([max(start, low), min(end, high)], [y, y], color=colour, lw=1.3, solid_capstyle="butt")
        for beyond, x, mark in ((start < low, low, "<"), (end > high, high, ">")):
            if beyond:
                ax.plot([x], [y], marker=mark, ms=4.5, color=colour, ls="none", clip_on=False)
    if low <= r.estimate <= high:
        fill = colour if adjusted else "white"
        ax.plot([r.estimate], [y], marker="s", ms=5.0, mfc=fill, mec=colour, mew=1.1, ls="none")


def alt(models: pd.DataFrame, outcome: str, rule: Disclosure, *, measure: str = "hazard ratio") -> str:
    """The finding in words: each exposure's adjusted ratio, or the crude one where there is no other."""
    rows = usable(models, outcome, rule)
    parts = []
    for _, block in rows[~rows["concealed"]].groupby("exposure", sort=False, observed=True):
        best = block[block["model"] == "adjusted"]
        r = (best if len(best) else block).iloc[0]
        value = numbers.estimate(r["estimate"], r["conf_low"], r["conf_high"], "ratio")
        parts.append(f"{theme.plain(r['label'])} {value}")
    return f"Adjusted {measure}s of {theme.NAMES[outcome]} refracture: {'; '.join(parts) or 'none can be shown'}."
