"""When: cumulative incidence over 24 months, apart and stacked, with the numbers at risk under the axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import records
from cohort.present.tables.occurrence import hidden_curves

DAYS_PER_MONTH: Final = 365.25 / 12
LAST_MONTH: Final = 24
LEAST_AT_RISK: Final = 10
STACK: Final = ("same", "adjacent", "remote", "several", "death")
RISK_NAMES: Final = {
    "same": "same level",
    "adjacent": "adjacent",
    "remote": "remote",
    "composite": "patients",
    "per_relation": "at risk",
    "imaged": "patients",
}


@dataclass(frozen=True)
class Steps:
    """One curve ready to be drawn: months and per cent, cut where too few remain."""

    outcome: str
    month: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cut: float | None


def steps(frame: pd.DataFrame, curve: str, outcome: str) -> Steps | None:
    """One curve from month 0, cut where fewer than ten remain at risk; None when there is no such curve."""
    rows = frame[(frame["curve"] == curve) & (frame["outcome"] == outcome)].sort_values("time", kind="stable")
    if rows.empty:
        return None
    month = rows["time"].to_numpy(dtype=np.float64) / DAYS_PER_MONTH
    values = rows[["estimate", "conf_low", "conf_high"]].to_numpy(dtype=np.float64) * 100
    risk = rows["n_risk"].to_numpy(dtype=np.float64)
    few = np.flatnonzero(risk < LEAST_AT_RISK)
    cut: float | None = None
    if few.size:
        cut = float(month[few[0]])
        month, values = month[: few[0]], values[: few[0]]
    keep = month <= LAST_MONTH
    if cut is not None and cut > LAST_MONTH:
        cut = None
    month, values = month[keep], values[keep]
    if month.size == 0 or month[0] > 0:
        month, values = np.insert(month, 0, 0.0), np.insert(values, 0, 0.0, axis=0)
    end = cut if cut is not None else float(LAST_MONTH)
    # The last step holds to the cut, or to the end of the axis while enough remain at risk.
    month, values = np.append(month, max(end, month[-1])), np.append(values, values[-1:], axis=0)
    return Steps(outcome, month, values[:, 0], values[:, 1], values[:, 2], cut)


@theme.styled
def draw_apart(curves: pd.DataFrame, at_risk: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """Each relation by itself with its interval, and death; None when no curve may be drawn."""
    left_out = hidden_curves(curves, rule)
    chosen: list[Steps] = []
    for outcome in ("same", "adjacent", "remote", "death"):
        curve = "per_relation"
        if outcome == "death" and not ((curves["curve"] == curve) & (curves["outcome"] == "death")).any():
            curve = "composite"
        found = None if (curve, outcome) in left_out else steps(curves, curve, outcome)
        if found is not None:
            chosen.append(found)
    if not chosen or not at_least_one_event(chosen):
        return None
    rows = _risk_rows(at_risk, ("same", "adjacent", "remote"), ("per_relation",))
    figure, ax = new_axes(rows, rule)
    for s in chosen:
        colour = theme.COLOURS[s.outcome]
        if s.outcome != "death" and np.isfinite(s.low).any():
            ax.fill_between(s.month, s.low, s.high, step="post", color=colour, alpha=theme.BAND, lw=0)
        width = 1.3 if s.outcome == "death" else 1.8
        ax.plot(s.month, s.estimate, drawstyle="steps-post", color=colour, lw=width, ls=theme.LINES[s.outcome])
    top = max(float(np.nanmax(np.append(s.high, s.estimate))) for s in chosen if s.outcome != "death")
    top = max(top, max(float(s.estimate[-1]) for s in chosen))
    finish(ax, top * 1.08, [(s.estimate[-1], s.month[-1], s.outcome, _end_label(s)) for s in chosen])
    return figure


@theme.styled
def draw_stacked(curves: pd.DataFrame, at_risk: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """The first refracture of any kind by relation, and death, adding up to all who had an end; None without curves."""
    left_out = hidden_curves(curves, rule)
    found = {name: steps(curves, "composite", name) for name in STACK}
    present = [s for s in found.values() if s is not None]
    if not present or not at_least_one_event(present):
        return None
    cuts = [s.cut for s in present if s.cut is not None]
    end = min(cuts) if cuts else float(LAST_MONTH)
    grid = np.unique(np.concatenate([s.month for s in present]))
    grid = np.append(grid[grid < end], end)
    heights = {
        name: s.estimate[np.searchsorted(s.month, grid, side="right") - 1] for name, s in found.items() if s is not None
    }
    apart = [name for name in heights if ("composite", name) not in left_out]
    together = [height for name, height in heights.items() if name not in apart and name != "death"]
    layers = [(name, theme.NAMES[name], heights[name]) for name in apart if name != "death"]
    if together:
        # Layers of too few events would show each of them; their sum is large enough, or it is not drawn at all.
        layers.append(("several", "other refractures", np.sum(together, axis=0)))
    layers += [("death", theme.NAMES["death"], heights["death"])] if "death" in apart else []
    if not layers or (together and ("composite", "any") in left_out):
        return None
    figure, ax = new_axes(_risk_rows(at_risk, ("composite",), ()), rule)
    base = np.zeros(grid.size)
    ends: list[tuple[float, float, str, str]] = []
    for name, label, height in layers:
        above = base + height
        if height[-1] > 0:
            ax.fill_between(grid, base, above, step="post", color=theme.COLOURS[name], alpha=0.9, lw=0)
            ax.plot(grid, above, drawstyle="steps-post", color="white", lw=0.5)
            text = f"{label} {numbers.number(float(height[-1]) / 100, 'percent')} %"
            ends.append((float((base[-1] + above[-1]) / 2), float(grid[-1]), name, text))
        base = above
    finish(ax, float(base[-1]) * 1.08, ends)
    return figure


def at_least_one_event(chosen: list[Steps]) -> bool:
    """Whether any curve leaves zero."""
    return any(float(np.nanmax(s.estimate)) > 0 for s in chosen)


def _end_label(s: Steps) -> str:
    name = "death before\nany refracture" if s.outcome == "death" else theme.NAMES[s.outcome]
    return f"{name} {numbers.number(float(s.estimate[-1]) / 100, 'percent')} %"


def _risk_rows(
    at_risk: pd.DataFrame, wanted: tuple[str, ...], fallback: tuple[str, ...]
) -> list[tuple[str, pd.DataFrame]]:
    known = set(at_risk["curve"].astype(str))
    names = [name for name in wanted if name in known] or [name for name in fallback if name in known]
    return [(name, at_risk[at_risk["curve"] == name].sort_values("time")) for name in names]


def new_axes(
    risk_rows: list[tuple[str, pd.DataFrame]],
    rule: Disclosure,
    *,
    name: str = "still at risk",
    label: str = "cumulative incidence, %",
) -> tuple[Figure, Axes]:
    """The axis with its months, and the numbers at risk on the same horizontal scale."""
    table = 0.20 * len(risk_rows) + (0.22 if risk_rows else 0.0)
    plot, under, over = 2.75, 0.50, 0.12
    height = plot + under + over + table
    figure = theme.new_figure(height)
    left, right = 0.98, 1.62
    width = theme.WIDTH - left - right
    ax = figure.add_axes((left / theme.WIDTH, (table + under) / height, width / theme.WIDTH, plot / height))
    ax.set_xlim(0, LAST_MONTH)
    ax.set_xticks(range(0, LAST_MONTH + 1, 3))
    ax.set_xlabel("months since the first augmentation", labelpad=3)
    ax.set_ylabel(label, labelpad=4)
    page = theme.page_axes(figure)
    page.set_zorder(-1)
    if risk_rows:
        page.text(0.08, table - 0.02, name, ha="left", va="center", color=theme.MUTED, gid="risk")
    for place, (curve, rows) in enumerate(risk_rows):
        y = table - 0.22 - 0.20 * place
        ink = theme.INKS.get(curve, theme.INK)
        page.text(0.08, y, RISK_NAMES.get(curve, curve), ha="left", va="center", color=ink, gid="risk")
        for r in records(rows):
            month = float(r.time) / DAYS_PER_MONTH
            if month <= LAST_MONTH + 0.1:
                x = left + width * round(month * 2) / 2 / LAST_MONTH
                text = rule.text(float(r.n_risk))
                page.text(x, y, text, ha="center", va="center", color=theme.INK, gid="risk")
    return figure, ax


def finish(ax: Axes, top: float, ends: list[tuple[float, float, str, str]]) -> None:
    """The vertical axis from zero, pale guides, and a label at the end of each curve."""
    top = max(top, 0.5)
    ax.set_ylim(0, top)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    ax.yaxis.grid(True, color=theme.RULE, lw=0.4)
    ax.set_axisbelow(True)
    inch = top / 2.75
    lines = [text.count("\n") + 1 for _, _, _, text in ends]
    gap = 0.17 * max(lines, default=1) * inch
    places = theme.spread([y for y, *_ in ends], gap, 0.06 * inch, top - 0.06 * inch)
    for (y, x, name, text), place in zip(ends, places, strict=True):
        ax.annotate(
            text,
            xy=(x, y),
            xytext=(LAST_MONTH + 0.75, place),
            ha="left",
            va="center",
            color=theme.INKS.get(name, theme.INK),
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": theme.COLOURS.get(name, theme.MUTED),
                "lw": 0.7,
                "shrinkA": 1,
                "shrinkB": 1,
            },
            gid="end",
        )


def cut_note(curves: pd.DataFrame, kinds: tuple[str, ...]) -> str:
    """A sentence when a curve ends before 24 months."""
    cuts = []
    for (curve, outcome), _ in curves.groupby(["curve", "outcome"], sort=False, observed=True):
        s = steps(curves, str(curve), str(outcome)) if curve in kinds else None
        if s is not None and s.cut is not None:
            cuts.append(s.cut)
    if not cuts:
        return ""
    return f"Curves end where fewer than {LEAST_AT_RISK} patients remain at risk (from month {min(cuts):.0f})."


def alt_apart(curves: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: where each curve stands at one year and at its end."""
    left_out = hidden_curves(curves, rule)
    parts = []
    for outcome in ("same", "adjacent", "remote"):
        s = None if ("per_relation", outcome) in left_out else steps(curves, "per_relation", outcome)
        if s is None:
            parts.append(f"{theme.NAMES[outcome]}: too few events to show")
            continue
        year = float(s.estimate[np.searchsorted(s.month, 12, side="right") - 1]) / 100
        last = float(s.estimate[-1]) / 100
        parts.append(
            f"{theme.NAMES[outcome]} {numbers.number(year, 'percent')} % at 12 months and "
            f"{numbers.number(last, 'percent')} % at month {s.month[-1]:.0f}"
        )
    return f"Cumulative incidence of refracture with death competing: {'; '.join(parts)}."


def alt_stacked(curves: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: what the first refracture was, by the end of the axis."""
    parts = []
    left_out = hidden_curves(curves, rule)
    for outcome in ("any", "death"):
        s = None if ("composite", outcome) in left_out else steps(curves, "composite", outcome)
        if s is not None:
            name = "any refracture" if outcome == "any" else "death before a refracture"
            parts.append(
                f"{numbers.number(float(s.estimate[-1]) / 100, 'percent')} % {name} by month {s.month[-1]:.0f}"
            )
    return f"First refracture by relation, and death, stacked: {'; '.join(parts) or 'too few events to show'}."
