"""Where: the spine from T4 to the sacrum, same-level rates to the left, rates of untreated levels to the right.

Colour depth is the rate, the width of a bar its interval, the tick its estimate; events and years at risk stand beside.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon

from cohort.domain.spine import CODE, LEVELS
from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import records
from cohort.present.tables.occurrence import hidden_rates

ROW: Final = 0.305
HEAD: Final = 0.78
FOOT: Final = 0.78
JUNCTION: Final = ("T11", "T12", "T13", "L1", "L2")
FIRST: Final = "T4"
ROLES: Final = ("treated", "adjacent", "remote")
HUE: Final = {"treated": "same", "adjacent": "adjacent", "remote": "remote"}

# Places in inches across the 7.2 of the page.
LEFT_EVENTS, LEFT_YEARS = 0.44, 0.94
LEFT_END, LEFT_ZERO = 1.06, 2.36
BRACKET = 2.47
BODY = 3.17
RIGHT_ZERO, RIGHT_END = 3.85, 5.10
RIGHT_COLUMNS = {"adjacent": (5.60, 6.04), "remote": (6.58, 7.16)}


def levels_shown(frame: pd.DataFrame) -> list[str]:
    """T4 to L5, more if there is time at risk there, and the sacrum; T13 and L6 only where patients have them."""
    present = set(frame.loc[frame["person_years"] > 0, "level"].astype(str)) - {""}
    usual = [name for name in LEVELS if CODE[FIRST] <= CODE[name] and name not in ("T13", "L6")]
    return sorted(present.union(usual), key=lambda name: CODE.get(name, 99))


def main_rates(rates: pd.DataFrame, rule: Disclosure) -> pd.DataFrame:
    """The vertebra rates of the main variant with what is hidden; `level` "" holds all levels."""
    frame = rates.reset_index(drop=True)
    frame = frame.assign(concealed=hidden_rates(frame, rule), level=frame["level"].fillna("").astype(str))
    chosen = (frame["unit"] == "vertebra") & (frame["variant"] == "main") & frame["role"].isin(ROLES)
    return frame[chosen].reset_index(drop=True)


@theme.styled
def draw(rates: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """The spine figure from the rates frame; None when no vertebra has time at risk."""
    frame = main_rates(rates, rule)
    if frame.empty or not frame["person_years"].sum():
        return None
    levels = levels_shown(frame)
    height = HEAD + ROW * len(levels) + ROW * 1.15 + FOOT
    figure = theme.new_figure(height)
    ax = theme.page_axes(figure)
    middle = {name: height - HEAD - ROW * (place + 0.5) for place, name in enumerate(levels)}
    all_levels = height - HEAD - ROW * (len(levels) + 0.72)
    scales = {"left": _limit(frame[frame["role"] == "treated"]), "right": _limit(frame[frame["role"] != "treated"])}
    darkest = {role: _deepest(frame[frame["role"] == role]) for role in ROLES}
    bottom = all_levels - ROW * 0.55

    _junction(ax, [middle[name] for name in JUNCTION if name in middle])
    _axes(ax, scales, height - HEAD + 0.02, bottom)
    _bodies(ax, levels, middle, frame)
    cells = {(r.level, r.role): r for r in records(frame)}
    for name in [*levels, ""]:
        y = middle.get(name, all_levels)
        for role in ROLES:
            r = cells.get((name, role))
            if r is not None:
                _mark(ax, r, role, y, scales, darkest[role], rule)
    ax.plot([0.05, 7.16], [all_levels + ROW * 0.62] * 2, color=theme.RULE, lw=0.7)
    ax.text(BODY, all_levels, "all levels", ha="center", va="center", weight="bold", gid="level")
    _headings(ax, height)
    return figure


def _limit(frame: pd.DataFrame) -> float:
    """Where the axis ends: wide enough for the estimates that rest on enough, not for the widest interval."""
    shown = frame[~frame["concealed"] & np.isfinite(frame["estimate"])]
    if shown.empty or shown["estimate"].max() <= 0:
        return 10.0
    upper = shown.loc[np.isfinite(shown["conf_high"]) & (shown["n_events"] >= 5), "conf_high"]
    highest = float(shown["estimate"].max())
    top = max(highest * 1.15, min(float(upper.max()), highest * 2.5) if len(upper) else 0.0)
    step = 10 ** math.floor(math.log10(top))
    return float(next(step * k for k in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * k >= top))


def _deepest(frame: pd.DataFrame) -> float:
    shown = frame[~frame["concealed"] & (frame["level"] != "") & np.isfinite(frame["estimate"])]
    return float(shown["estimate"].max()) if len(shown) and shown["estimate"].max() > 0 else 1.0


def _x(value: float, side: str, limit: float) -> float:
    share = min(max(value / limit, 0.0), 1.0)
    if side == "left":
        return LEFT_ZERO - share * (LEFT_ZERO - LEFT_END)
    return RIGHT_ZERO + share * (RIGHT_END - RIGHT_ZERO)


def _junction(ax: Axes, heights: list[float]) -> None:
    if not heights:
        return
    top, low = max(heights) + ROW * 0.48, min(heights) - ROW * 0.48
    ax.plot([BRACKET + 0.06, BRACKET, BRACKET, BRACKET + 0.06], [top, top, low, low], color=theme.MUTED, lw=0.8)
    ax.text(
        BRACKET + 0.09,
        (top + low) / 2,
        "thoracolumbar junction",
        rotation=90,
        rotation_mode="anchor",
        ha="center",
        va="top",
        color=theme.MUTED,
        fontsize=theme.SMALL,
        gid="bracket",
    )


def _bodies(ax: Axes, levels: list[str], middle: dict[str, float], frame: pd.DataFrame) -> None:
    treated = frame[(frame["role"] == "treated") & (frame["level"] != "")].set_index("level")["person_years"]
    most = float(treated.max()) if len(treated) and treated.max() > 0 else 1.0
    for place, name in enumerate(levels):
        y = middle[name]
        wide = 0.60 + 0.34 * place / max(len(levels) - 2, 1)
        tall = ROW * (0.60 + 0.14 * place / max(len(levels) - 1, 1))
        share = float(treated.get(name, 0.0)) / most
        if name == "S1":
            # The sacrum tapers, and is never itself at risk here.
            corners = [(-0.5, 0.5), (0.5, 0.5), (0.30, -0.62), (-0.30, -0.62)]
            ax.add_patch(
                Polygon(
                    [(BODY + dx * wide, y + dy * tall) for dx, dy in corners],
                    closed=True,
                    facecolor="white",
                    edgecolor=theme.MUTED,
                    lw=0.8,
                    joinstyle="round",
                )
            )
            ax.text(BODY, y, name, ha="center", va="center", color=theme.MUTED, gid="level")
            continue
        fill = theme.depth(theme.COLOURS["treated"], 0.85 * share) if share > 0 else "#FFFFFF"
        ax.add_patch(
            FancyBboxPatch(
                (BODY - wide / 2 + 0.05, y - tall / 2 + 0.05),
                wide - 0.1,
                tall - 0.1,
                boxstyle="round,pad=0.05,rounding_size=0.075",
                facecolor=fill,
                edgecolor=theme.COLOURS["treated"],
                lw=0.8,
            )
        )
        ink = "white" if theme.is_dark(fill) else theme.INK
        ax.text(BODY, y, name, ha="center", va="center", color=ink, weight="bold", gid="level")


def _mark(ax: Axes, r: Any, role: str, y: float, scales: dict[str, float], deepest: float, rule: Disclosure) -> None:
    side = "left" if role == "treated" else "right"
    limit = scales[side]
    overall = r.level == ""
    columns = (LEFT_EVENTS, LEFT_YEARS) if side == "left" else RIGHT_COLUMNS[role]
    weight = "bold" if overall else "normal"
    if r.person_years > 0:
        events = rule.text(r.n_events, True) if r.concealed else numbers.brief(r.n_events)
        texts = (events, numbers.brief(r.person_years))
        for x, text, ink in zip(columns, texts, (theme.INK, theme.MUTED), strict=True):
            ax.text(x, y, text, ha="right", va="center", color=ink, weight=weight, gid="number")
    if r.concealed or not r.person_years > 0 or not math.isfinite(r.estimate):
        return
    shift = {"treated": 0.0, "adjacent": 0.062, "remote": -0.062}[role]
    tall = 0.13 if role == "treated" else 0.095
    colour = theme.COLOURS[HUE[role]]
    low = r.conf_low if math.isfinite(r.conf_low) else r.estimate
    high = r.conf_high if math.isfinite(r.conf_high) else r.estimate
    start, end, at = (_x(v, side, limit) for v in (low, high, r.estimate))
    if not r.n_events:
        # Nothing happened here: how far it could have gone is drawn thin, so that it does not outshout what did happen.
        ax.plot([start, end], [y + shift] * 2, color=colour, lw=1.0, alpha=0.45, solid_capstyle="butt")
        return
    fill = theme.depth(colour, 0.12 + 0.78 * r.estimate / deepest)
    beyond = high > limit
    tip = 0.07 if side == "right" else -0.07
    y += shift
    edge = end - tip if beyond else end
    outline = [(start, y - tall / 2), (edge, y - tall / 2)]
    outline += [(end, y)] if beyond else []
    outline += [(edge, y + tall / 2), (start, y + tall / 2)]
    ax.add_patch(Polygon(outline, closed=True, facecolor=fill, edgecolor=colour, lw=0.6))
    ax.plot([at, at], [y - tall / 2 - 0.015, y + tall / 2 + 0.015], color=theme.INK, lw=1.5, solid_capstyle="butt")


def _axes(ax: Axes, scales: dict[str, float], top: float, bottom: float) -> None:
    for side, zero, end in (("left", LEFT_ZERO, LEFT_END), ("right", RIGHT_ZERO, RIGHT_END)):
        limit = scales[side]
        for share in (0.0, 0.5, 1.0):
            x = _x(limit * share, side, limit)
            ax.plot([x, x], [bottom, top], color=theme.RULE, lw=0.8 if share == 0 else 0.5, zorder=0)
            ax.text(x, bottom - 0.05, f"{limit * share:g}", ha="center", va="top", color=theme.INK, gid="tick")
        ax.text(
            (zero + end) / 2,
            bottom - 0.25,
            "rate per 1,000\nvertebra-years",
            ha="center",
            va="top",
            color=theme.MUTED,
            linespacing=1.25,
            gid="axis",
        )
    ax.text(
        BODY,
        bottom - 0.25,
        "shade: years\ntreated",
        ha="center",
        va="top",
        color=theme.MUTED,
        linespacing=1.25,
        gid="axis",
    )


def _headings(ax: Axes, height: float) -> None:
    top = height - 0.16
    ax.text(
        LEFT_ZERO, top, "Same-level refracture", ha="right", va="center", color=theme.INKS["same"], weight="bold",
        fontsize=9, gid="head",
    )  # fmt: skip
    ax.text(LEFT_ZERO, top - 0.19, "of treated vertebrae", ha="right", va="center", color=theme.MUTED, gid="head")
    ax.text(
        RIGHT_ZERO, top, "Refracture of untreated vertebrae", ha="left", va="center", color=theme.INK, weight="bold",
        fontsize=9, gid="head",
    )  # fmt: skip
    y = height - HEAD + 0.13
    for x, word in ((LEFT_EVENTS, "events"), (LEFT_YEARS, "years")):
        ax.text(x, y, word, ha="right", va="center", color=theme.MUTED, gid="head")
    for role, (events, years) in RIGHT_COLUMNS.items():
        ink = theme.INKS[HUE[role]]
        ax.text(years, y + 0.20, role, ha="right", va="center", color=ink, weight="bold", gid="head")
        ax.plot([events - 0.40, years], [y + 0.10] * 2, color=theme.COLOURS[HUE[role]], lw=0.7)
        ax.text(events, y, "events", ha="right", va="center", color=theme.MUTED, gid="head")
        ax.text(years, y, "years", ha="right", va="center", color=theme.MUTED, gid="head")
    for x, role, word in ((RIGHT_ZERO, "adjacent", "adjacent"), (RIGHT_ZERO + 0.85, "remote", "remote")):
        ax.plot([x + 0.05], [top - 0.19], marker="s", ms=5, color=theme.COLOURS[HUE[role]], ls="none")
        theme.write(ax, x + 0.15, top - 0.19, word, role="head", color=theme.INKS[HUE[role]])


def alt(rates: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: the overall rate of each role, and where each is highest."""
    frame = main_rates(rates, rule)
    parts = []
    for role, name in (("treated", "same-level"), ("adjacent", "adjacent"), ("remote", "remote")):
        part = frame[(frame["role"] == role) & ~frame["concealed"]]
        overall = part[part["level"] == ""]
        by_level = part[(part["level"] != "") & (part["n_events"] > 0)]
        text = f"{name}: "
        if len(overall):
            r = overall.iloc[0]
            text += numbers.estimate(r["estimate"], r["conf_low"], r["conf_high"], "rate")
        else:
            text += "too few events to show"
        if len(by_level):
            peak = by_level.loc[by_level["estimate"].idxmax()]
            text += f", highest at {peak['level']} ({numbers.number(float(by_level['estimate'].max()), 'rate')})"
        parts.append(text)
    return f"The spine from T4 to the sacrum. Refractures per 1,000 vertebra-years: {'; '.join(parts)}."
