"""One patient's spine over time: treated, adjacent or remote day by day, augmentations, and what was seen fractured."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cohort.domain.spine import CODE, LEVELS
from cohort.present import theme
from cohort.present.tables.model import records
from cohort.tables.history import PatientHistory

ROW: Final = 0.24
HEAD: Final = 0.62
FOOT: Final = 0.62
LEFT: Final = 0.66
RIGHT: Final = 7.0
HUE: Final = {
    "treated": "treated", "treated_prophylactic": "treated", "treated_tumour": "treated", "adjacent": "adjacent",
    "remote": "remote",
}  # fmt: skip
DEPTH: Final = {"treated": 0.55, "adjacent": 0.45, "remote": 0.08}


def levels_shown(history: PatientHistory) -> list[str]:
    """From two levels above everything that was treated or seen to two below, within the patient's own spine."""
    patient = next(records(history.tables["patients"]))
    thoracic = 12 if pd.isna(patient.n_thoracic) else int(patient.n_thoracic)
    lumbar = 5 if pd.isna(patient.n_lumbar) else int(patient.n_lumbar)
    missing = {f"T{n}" for n in range(thoracic + 1, 14)} | {f"L{n}" for n in range(lumbar + 1, 7)}
    row = [name for name in LEVELS if name not in missing]
    named = {*history.augmentations["level"].astype(str), *history.sightings["level"].astype(str)}
    places = [row.index(name) for name in named if name in row]
    return row[max(min(places) - 2, 0) : max(places) + 3] if places else []


@theme.styled
def draw(history: PatientHistory) -> Figure | None:
    """The drawing; None where the patient has neither an augmentation nor a sighting with a date."""
    days = pd.concat([history.augmentations["date"], history.sightings["date"], history.windows["stop"]]).dropna()
    levels = levels_shown(history)
    if days.empty or not levels:
        return None
    first, last = days.min(), days.max()
    margin = max((last - first) * 0.03, pd.Timedelta(days=3))
    first, last = first - margin, last + margin
    height = HEAD + ROW * len(levels) + FOOT
    figure = theme.new_figure(height)
    ax = theme.page_axes(figure)
    middle = {name: height - HEAD - ROW * (place + 0.5) for place, name in enumerate(levels)}

    def x(day: pd.Timestamp) -> float:
        return LEFT + (RIGHT - LEFT) * ((day - first) / (last - first))

    for name, y in middle.items():
        theme.write(ax, LEFT - 0.1, y, name, role="level", ha="right")
        ax.plot([LEFT, RIGHT], [y, y], color=theme.RULE, lw=0.5, zorder=0)
    for r in records(history.windows[history.windows["level"].astype(str).isin(levels)]):
        hue = HUE[r.role]
        ax.add_patch(
            Rectangle(
                (x(r.start), middle[r.level] - ROW * 0.36), x(r.stop) - x(r.start), ROW * 0.72,
                facecolor=theme.depth(theme.COLOURS[hue], DEPTH[hue]), edgecolor="none", zorder=1,
            )
        )  # fmt: skip
    for r in records(history.augmentations):
        if pd.isna(r.date):
            ax.plot([LEFT + 0.03], [middle[r.level]], marker="<", ms=5, color=theme.INK, ls="none", zorder=4)
        else:
            ax.plot([x(r.date)] * 2, [middle[r.level] - ROW * 0.42, middle[r.level] + ROW * 0.42],
                    color=theme.INK, lw=2.4, solid_capstyle="butt", zorder=3)  # fmt: skip
    for r in records(history.sightings):
        counted = r.counted == "yes"
        colour = theme.COLOURS.get(r.relation, theme.MUTED)
        ax.plot([x(r.date)], [middle[r.level]], marker="o", ms=6, ls="none", zorder=5,
                markerfacecolor=colour if counted else "white", markeredgecolor=colour, mew=1.2)  # fmt: skip
    _time(ax, first, last, x, height - HEAD - ROW * len(levels))
    _key(ax, height)
    return figure


def _time(ax: Axes, first: pd.Timestamp, last: pd.Timestamp, x: object, bottom: float) -> None:
    assert callable(x)
    ax.plot([LEFT, RIGHT], [bottom - 0.05] * 2, color=theme.INK, lw=0.7)
    days = (last - first).days
    step = next(step for step in (7, 14, 30, 61, 91, 183, 365, 730, 1826, 3652, 10**6) if days / step <= 7)
    day = first.normalize()
    while day <= last:
        if day >= first:
            ax.plot([x(day)] * 2, [bottom - 0.05, bottom - 0.1], color=theme.INK, lw=0.7)
            ax.text(x(day), bottom - 0.14, day.strftime("%Y-%m-%d"), ha="center", va="top", gid="tick")
        day += pd.Timedelta(days=step)


def _key(ax: Axes, height: float) -> None:
    y = height - 0.16
    place = LEFT
    for word, hue in (("treated", "treated"), ("adjacent", "adjacent"), ("remote", "remote")):
        ax.add_patch(
            Rectangle((place, y - 0.06), 0.18, 0.12, facecolor=theme.depth(theme.COLOURS[hue], DEPTH[hue]), lw=0)
        )
        theme.write(ax, place + 0.24, y, word, role="key")
        place += 0.95
    theme.write(ax, place, y, "white: off risk", role="key")
    y -= 0.2
    ax.plot([LEFT + 0.09] * 2, [y - 0.07, y + 0.07], color=theme.INK, lw=2.4, solid_capstyle="butt")
    theme.write(ax, LEFT + 0.24, y, "augmented", role="key")
    ax.plot([LEFT + 1.04], [y], marker="<", ms=5, color=theme.INK, ls="none")
    theme.write(ax, LEFT + 1.19, y, "augmented before the registry", role="key")
    for place, word, fill in (
        (LEFT + 3.1, "counted refracture", theme.INK),
        (LEFT + 4.55, "sighting not counted", "white"),
    ):
        ax.plot([place], [y], marker="o", ms=6, ls="none", markerfacecolor=fill, markeredgecolor=theme.INK)
        theme.write(ax, place + 0.13, y, word, role="key")


def alt(history: PatientHistory) -> str:
    """The drawing in words."""
    treated = ", ".join(sorted(set(history.augmentations["level"].astype(str)), key=CODE.__getitem__)) or "none"
    counted = history.sightings[history.sightings["counted"] == "yes"]
    seen = ", ".join(f"{r.level} ({r.relation}) on {r.date:%Y-%m-%d}" for r in records(counted)) or "none"
    return f"The spine of one patient over time. Treated: {treated}. Counted refractures: {seen}."
