"""What each exposure is adjusted for, drawn: the covariates above, with an arrow to the exposure and to the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import text_to_path

from cohort.present import theme
from cohort.present.tables.factors import name_of, sets
from cohort.present.tables.risk import covariates

COLUMNS: Final = 2
LEFT, BETWEEN, EDGE = 0.06, 0.34, 0.03
LINE, PADDING = 0.155, 0.15  # inches of a line, and around the words of a box
GAP, RISE, FOOT, HEAD = 0.12, 0.42, 0.52, 0.16  # between boxes, under the covariates, of the lower boxes, above all
OUTCOME: Final = "refracture"
NOTHING: Final = {"yes": "nothing to adjust for", "no": "no set declared: crude only"}


@dataclass(frozen=True)
class Panel:
    """One exposure: its name, the covariates of its set in rows as they are drawn, and what is said without any."""

    exposure: str
    rows: tuple[tuple[str, ...], ...]
    instead: str

    @property
    def height(self) -> float:
        """Inches."""
        boxes = sum(_box_height(row) + GAP for row in self.rows) if self.rows else LINE + PADDING
        return HEAD + boxes + RISE + FOOT


def panels(adjustment: pd.DataFrame, width: float) -> list[Panel]:
    """The panels in the order of the exposures, covariates broken into rows that fit the width in inches."""
    found = []
    for _, block in adjustment.groupby("exposure", sort=False, observed=True):
        names = [covariates(name) for name in block["covariate"] if name]
        rows: list[list[str]] = [[]]
        used = 0.0
        for name in (theme.wrap(name, 16, 2) for name in names):
            needed = _box_width(name) + GAP
            if rows[-1] and used + needed > width + GAP:
                rows.append([])
                used = 0.0
            rows[-1].append(name)
            used += needed
        whole = tuple(tuple(row) for row in rows if row)
        found.append(
            Panel(
                theme.wrap(name_of(block["label"].iloc[0]), 19, 3),
                whole,
                "" if whole else NOTHING.get(str(block["declared"].iloc[0]), ""),
            )
        )
    return found


def _box_width(text: str, *, bold: bool = False) -> float:
    font = FontProperties(family=["DejaVu Sans"], size=theme.SMALL, weight="bold" if bold else "normal")
    widths = [text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in text.split("\n")]
    return float(max(widths)) / 72 + PADDING


def _box_height(row: tuple[str, ...]) -> float:
    return max(text.count("\n") + 1 for text in row) * LINE + PADDING * 0.8


@theme.styled
def draw(adjustment: pd.DataFrame) -> Figure | None:
    """One small panel per exposure, two beside each other; None without any.

    adjustment : as in `RiskFactors`.
    """
    if adjustment.empty:
        return None
    width = (theme.WIDTH - 2 * LEFT - BETWEEN * (COLUMNS - 1)) / COLUMNS
    found = panels(adjustment, width)
    lines = [found[k : k + COLUMNS] for k in range(0, len(found), COLUMNS)]
    heights = [max(panel.height for panel in line) for line in lines]
    figure = theme.new_figure(sum(heights) + EDGE)
    ax = theme.page_axes(figure)
    top = sum(heights) + EDGE / 2
    for place, (line, height) in enumerate(zip(lines, heights, strict=True)):
        if place:
            ax.plot([LEFT, theme.WIDTH - LEFT], [top, top], color=theme.RULE, lw=0.5)
        for column, panel in enumerate(line):
            _panel(ax, panel, LEFT + column * (width + BETWEEN), width, top, height)
        top -= height
    return figure


def _panel(ax: Axes, panel: Panel, left: float, width: float, top: float, height: float) -> None:
    middle = top - height + FOOT / 2 + 0.03
    exposure_width = max(_box_width(panel.exposure, bold=True), 1.1)
    outcome_width = _box_width(OUTCOME, bold=True)
    right = left + width
    tall = max((panel.exposure.count("\n") + 1) * LINE + 0.06, LINE + PADDING * 0.8)
    _box(ax, left, middle, exposure_width, tall, panel.exposure, bold=True)
    _box(ax, right - outcome_width, middle, outcome_width, LINE + PADDING * 0.8, OUTCOME, bold=True)
    _arrow(ax, (left + exposure_width, middle), (right - outcome_width, middle), heavy=True)
    if not panel.rows:
        ax.text(
            left + width / 2, top - HEAD - (LINE + PADDING) / 2, panel.instead, ha="center", va="center",
            color=theme.MUTED, gid="label",
        )  # fmt: skip
        return
    y = top - HEAD
    for row in panel.rows:
        tall_row = _box_height(row)
        x = left + (width - sum(_box_width(text) + GAP for text in row) + GAP) / 2
        for text in row:
            wide = _box_width(text)
            start = (x + wide / 2, y - tall_row)
            share = (x + wide / 2 - left) / width  # arrows of covariates further right end further right
            _arrow(ax, start, (left + exposure_width * (0.25 + 0.7 * share), middle + tall / 2))
            end = right - outcome_width + outcome_width * (0.1 + 0.75 * share)
            _arrow(ax, start, (end, middle + (LINE + PADDING * 0.8) / 2))
            _box(ax, x, y - tall_row / 2, wide, tall_row, text)
            x += wide + GAP
        y -= tall_row + GAP


def _box(ax: Axes, left: float, middle: float, width: float, height: float, text: str, *, bold: bool = False) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (left + 0.03, middle - height / 2 + 0.03),
            width - 0.06,
            height - 0.06,
            boxstyle="round,pad=0.03,rounding_size=0.05",
            facecolor="white" if bold else theme.PALE,
            edgecolor=theme.INK if bold else theme.RULE,
            lw=0.9 if bold else 0.7,
            zorder=3,
        )
    )
    # One line stands on one height whether or not a letter goes below it.
    one_line = "\n" not in text
    ax.text(
        left + width / 2, middle - (0.038 if one_line else 0), text, ha="center",
        va="baseline" if one_line else "center", linespacing=1.15, zorder=4,
        weight="bold" if bold else "normal", gid="box",
    )  # fmt: skip


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], *, heavy: bool = False) -> None:
    head = "-|>,head_width=0.16,head_length=0.3" if heavy else "-|>,head_width=0.1,head_length=0.2"
    look = {
        "arrowstyle": head,
        "color": theme.INK if heavy else theme.MUTED,
        "lw": 1.5 if heavy else 0.7,
        "shrinkA": 0,
        "shrinkB": 1 if heavy else 0,
    }
    ax.annotate("", xy=end, xytext=start, arrowprops=look, zorder=2)


def alt(adjustment: pd.DataFrame) -> str:
    """The sets in words."""
    parts = [f"{theme.plain(name)} for {theme.plain(words)}" for name, words, _ in sets(adjustment)]
    return f"What each exposure is adjusted for, whatever the outcome: {'; '.join(parts)}."
