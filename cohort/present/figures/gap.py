"""From the registry's main figure to a published one: a bar a step on a log axis, each where the last one ended."""

from __future__ import annotations

import math
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from cohort.present import numbers, theme
from cohort.present.tables.alike import STEP_NAMES, TIERS, chosen_gaps, steps_by_figure
from cohort.present.tables.model import records
from cohort.present.tables.published import LEVELS, short_citation
from cohort.tables.like_for_like import LikeForLike

LINE: Final = 0.2
NAMES: Final = 0.95  # inches of each panel for the names of the steps
FACTORS: Final = 0.5  # and for the factors to the right
GAP: Final = 0.3
TITLE: Final = 0.56
TICKS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
FIRST, LAST = "This registry", "Published"


@theme.styled
def draw(found: LikeForLike) -> Figure | None:
    """One panel per chosen figure, two side by side; None when no gap may be shown."""
    chosen = chosen_gaps(found)
    if not chosen:
        return None
    figure_of = {(str(r.study_key), str(r.quantity)): r for r in records(found.figures.frame)}
    steps = steps_by_figure(found)
    n_rows = math.ceil(len(chosen) / 2)
    panel = TITLE + LINE * (len(STEP_NAMES) + 2) + 0.5
    height = panel * n_rows
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    wide = (theme.WIDTH - GAP) / 2
    ends = [100 * step.from_estimate for key in chosen for step in steps[key]]
    ends += [100 * steps[key][-1].to_estimate for key in chosen]
    limits = (max(0.05, min(ends) / 1.5), min(100.0, max(ends) * 1.5))
    for place, key in enumerate(chosen):
        left = (place % 2) * (wide + GAP)
        top = height - (place // 2) * panel
        _panel(figure, page, figure_of[key], steps[key], left, top, wide, limits)
    return figure


def _panel(
    figure: Figure,
    page: Axes,
    r: Any,
    steps: list[Any],
    left: float,
    top: float,
    wide: float,
    limits: tuple[float, float],
) -> None:
    height = figure.get_size_inches()[1]
    ink = theme.INKS[str(r.relation)]
    name = LEVELS[str(r.relation)] + (f", {TIERS[str(r.tier)]}" if TIERS[str(r.tier)] else "")
    theme.write(page, left + 0.05, top - 0.12, name, role="head", color=ink, weight="bold")
    study = short_citation(str(r.citation), r.year)
    theme.write(page, left + 0.05, top - 0.28, theme.wrap(r.quantity, 50, 1), role="label")
    theme.write(page, left + 0.05, top - 0.43, theme.wrap(study, 50, 1), role="label", color=theme.MUTED)
    body = LINE * (len(steps) + 2)
    bottom = top - TITLE - body
    ax = figure.add_axes(
        ((left + NAMES) / theme.WIDTH, bottom / height, (wide - NAMES - FACTORS) / theme.WIDTH, body / height), zorder=2
    )
    ax.set_xscale("log")
    ax.set_xlim(*limits)
    ax.set_ylim(0, body)
    ax.set_yticks([])
    ticks = [tick for tick in TICKS if limits[0] <= tick <= limits[1]]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{tick:g}" for tick in ticks])
    ax.xaxis.grid(True, color=theme.RULE, lw=0.4)
    ax.set_axisbelow(True)
    ax.spines["left"].set_color(theme.RULE)
    ax.set_xlabel("per cent, log scale", labelpad=2)
    at = body - LINE / 2
    value = 100 * steps[0].from_estimate
    _end(ax, page, left, wide, bottom, at, FIRST, value, theme.COLOURS[str(r.relation)], "s", "full")
    for step in steps:
        at -= LINE
        to = value * math.exp(step.log_ratio)
        name = STEP_NAMES[str(step.step)]
        remains = step.step == "remains"
        colour = theme.MUTED if remains else theme.COLOURS[str(r.relation)]
        ax.plot([value, value], [at + LINE * 1.1, at - LINE * 0.3], color=theme.MUTED, lw=0.6)
        if abs(step.log_ratio) > 1e-9:
            ax.barh(
                at, to - value, left=value, height=LINE * 0.58, color=colour, alpha=0.55 if remains else 0.85, lw=0,
                hatch="////" if remains else None, edgecolor="white",
            )  # fmt: skip
        theme.write(page, left + 0.05, bottom + at, name, role="label")
        factor = "" if abs(step.log_ratio) < 1e-9 else f"×{numbers.number(math.exp(step.log_ratio), 'ratio')}"
        theme.write(page, left + wide, bottom + at, factor, role="value", ha="right", color=theme.MUTED)
        value = to
    at -= LINE
    ax.plot([value, value], [at + LINE * 1.1, at], color=theme.MUTED, lw=0.6)
    _end(ax, page, left, wide, bottom, at, LAST, value, theme.INK, "o", "none")


def _end(
    ax: Axes, page: Axes, left: float, wide: float, bottom: float, at: float, name: str, value: float, colour: str,
    marker: str, fill: str,
) -> None:  # fmt: skip
    ax.plot([value], [at], marker=marker, ms=5.0, color=colour, mfc=colour if fill == "full" else "white", mew=1.1,
            ls="none", clip_on=False, zorder=4)  # fmt: skip
    theme.write(page, left + 0.05, bottom + at, name, role="label", weight="bold")
    text = f"{numbers.number(value / 100, 'percent')} %"
    theme.write(page, left + wide, bottom + at, text, role="value", ha="right", weight="bold")


def alt(found: LikeForLike) -> str:
    """The finding in words: for each figure, where it starts, ends, and the greatest step."""
    figure_of = {(str(r.study_key), str(r.quantity)): r for r in records(found.figures.frame)}
    steps = steps_by_figure(found)
    parts = []
    for key in chosen_gaps(found):
        r, made = figure_of[key], steps[key]
        greatest = max(made, key=lambda step: abs(step.log_ratio))
        start, end = (numbers.number(float(v), "percent") for v in (made[0].from_estimate, made[-1].to_estimate))
        factor = numbers.number(math.exp(greatest.log_ratio), "ratio")
        parts.append(
            f"{short_citation(str(r.citation), r.year)}, {LEVELS[str(r.relation)].lower()}: from {start} % here to "
            f"{end} % published, most by {STEP_NAMES[str(greatest.step)].lower()} (times {factor})"
        )
    return f"The gap to published figures step by step. {'; '.join(parts) or 'Too few events to show'}."
