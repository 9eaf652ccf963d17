"""Who was studied: boxes of what remained after each criterion, what was left out to the right, and why."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.people import FlowStep, flow_steps, sightings_by_reason

BOX: Final = (0.08, 4.05)
SIDE: Final = (4.5, 7.12)
TEXT_LINE: Final = 0.16
GAP: Final = 0.22
RELATIONS: Final = ("same", "adjacent", "remote")


@theme.styled
def draw(patients: pd.DataFrame, sightings: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """The flow from the registry to the counted refractures; None when there is no step."""
    steps = flow_steps(patients, rule)
    if not steps:
        return None
    # A criterion that left nobody out is in the table, not in the picture.
    steps = [step for k, step in enumerate(steps) if k in (0, len(steps) - 1) or step.excluded]
    counted = counted_by_relation(sightings, rule)
    texts = [_box_lines(step) for step in steps]
    sides = [_side_lines(step) for step in steps]
    heights = [TEXT_LINE * (len(label) + len(counts)) + 0.16 for label, counts in texts]
    # An exclusion stands between the box it left and the box it made; the gap gives it room.
    gaps = [max(GAP, TEXT_LINE * len(lines) + 0.16 + 0.08) if lines else GAP for lines in sides[1:]]
    tail = 1.0 if counted else 0.0
    height = sum(heights) + sum(gaps) + tail + 0.1
    figure = theme.new_figure(height)
    ax = theme.page_axes(figure)
    middle = (BOX[0] + BOX[1]) / 2
    top = height - 0.05
    for place, ((label, counts), tall) in enumerate(zip(texts, heights, strict=True)):
        if place:
            gap = gaps[place - 1]
            _arrow(ax, (middle, top), (middle, top - gap))
            if sides[place]:
                half = (TEXT_LINE * len(sides[place]) + 0.16) / 2
                y = top - gap / 2
                _box(ax, SIDE, y + half, 2 * half, [], sides[place], theme.PALE, theme.RULE)
                _arrow(ax, (middle, y), (SIDE[0] - 0.02, y))
            top -= gap
        _box(ax, BOX, top, tall, label, counts, "white", theme.MUTED)
        top -= tall
    if counted:
        _refractures(ax, top, counted)
    return figure


def counted_by_relation(sightings: pd.DataFrame, rule: Disclosure) -> list[tuple[str, str]]:
    """Counted refractures by relation as text, hidden where the table of sightings hides them."""
    if sightings.empty:
        return []
    wide, hidden = sightings_by_reason(sightings, rule)
    if "counted" not in wide.index:
        return [(name, "0") for name in RELATIONS]
    counts, concealed = wide.loc["counted"].to_dict(), hidden.loc["counted"].to_dict()
    return [(name, rule.text(counts.get(name, 0), bool(concealed.get(name, False)))) for name in RELATIONS]


def _box_lines(step: FlowStep) -> tuple[list[str], list[str]]:
    inside = [f"{step.patients} patients"] if step.patients != numbers.MISSING else []
    inside += [f"{step.vertebrae} treated vertebrae"] if step.vertebrae else []
    inside += [f"{step.sightings} sightings"] if step.sightings else []
    counts = theme.wrap(", ".join(inside), 56, 2).split("\n") if inside else []
    return theme.wrap(step.label, 48, 2).split("\n"), counts


def _side_lines(step: FlowStep) -> list[str]:
    if not step.excluded:
        return []
    text = f"{step.excluded} left out: {step.reason}" if step.reason else f"{step.excluded} left out"
    return theme.wrap(text, 37, 3).split("\n")


def _box(
    ax: Axes,
    span: tuple[float, float],
    top: float,
    tall: float,
    bold: list[str],
    lines: list[str],
    fill: str,
    edge: str,
) -> None:
    left, right = span
    ax.add_patch(
        FancyBboxPatch(
            (left + 0.04, top - tall + 0.04),
            right - left - 0.08,
            tall - 0.08,
            boxstyle="round,pad=0.04,rounding_size=0.05",
            facecolor=fill,
            edgecolor=edge,
            lw=0.7,
        )
    )
    for place, line in enumerate([*bold, *lines]):
        y = top - 0.08 - TEXT_LINE * (place + 0.5)
        weight = "bold" if place < len(bold) else "normal"
        ax.text(left + 0.12, y, line, ha="left", va="center", weight=weight, gid="box")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    head = "-|>,head_width=0.12,head_length=0.22"
    look = {"arrowstyle": head, "color": theme.MUTED, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=end, xytext=start, arrowprops=look)


def _refractures(ax: Axes, top: float, counted: list[tuple[str, str]]) -> None:
    """The counted refractures, set apart: they are counted over all patients accepted, not over the last box."""
    y = top - 0.26
    ax.text(
        0.08, y, "Refractures counted, over all patients accepted", ha="left", va="center", color=theme.MUTED, gid="box"
    )
    width, space = 2.2, 0.22
    for place, (name, count) in enumerate(counted):
        left = 0.08 + place * (width + space)
        title = theme.NAMES[name].capitalize()
        _box(ax, (left, left + width), y - 0.14, 0.48, [title], [count], "white", theme.COLOURS[name])


def alt(patients: pd.DataFrame, sightings: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: from how many to how many, and what was counted."""
    steps = flow_steps(patients, rule)
    if not steps:
        return "No patient entered the study."
    counted = "; ".join(f"{theme.NAMES[name]} {count}" for name, count in counted_by_relation(sightings, rule))
    start, end = steps[0], steps[-1]
    last = theme.plain(end.label)
    text = f"Flow of patients: {start.patients} in the registry, {end.patients} at the last step ({last})."
    return f"{text} Counted refractures: {counted}." if counted else text
