"""Two risks per finding: if all had it and if none had, joined by a line, one panel per relation."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.factors import RISKS, contrasts, fullest, name_of
from cohort.present.tables.model import records

LABEL, PANELS_FROM, PANELS_TO, BETWEEN = 0.05, 1.9, 7.14, 0.2
HEAD, FOOT, BLOCK, APART = 0.62, 0.46, 0.5, 0.085
OUTCOMES: Final = ("same", "adjacent", "remote")
ALL, NONE = "risk_all_exposed", "risk_none_exposed"
LIGHT: Final = "#A9ACB1"


def drawable(shown: pd.DataFrame) -> pd.DataFrame:
    """One row per outcome and exposure whose two risks may be drawn.

    shown : as `factors.with_concealed` gives it. Columns: outcome, exposure, label, and of ALL, NONE and
    "risk_difference" the estimate with conf_low and conf_high, as `<measure>`, `<measure>_low`, `<measure>_high`.
    """
    rows = fullest(shown[shown["measure"].isin(RISKS)])
    rows = rows[~rows["concealed"] & np.isfinite(rows["estimate"].to_numpy(dtype=np.float64))]
    keys = ["outcome", "exposure"]
    found = rows.drop_duplicates(keys)[[*keys, "label"]].reset_index(drop=True)
    for measure in RISKS:
        part = rows.loc[rows["measure"] == measure, [*keys, "estimate", "conf_low", "conf_high"]]
        names = {"estimate": measure, "conf_low": f"{measure}_low", "conf_high": f"{measure}_high"}
        found = found.merge(part.rename(columns=names), on=keys, how="left")
    return found[found[ALL].notna() & found[NONE].notna()].reset_index(drop=True)


@theme.styled
def draw(shown: pd.DataFrame, horizon_days: float, rule: Disclosure) -> Figure | None:
    """Small multiples: findings down, relations across; None when no pair of risks can be drawn."""
    found = drawable(shown)
    if found.empty:
        return None
    compared = contrasts(shown)
    exposures = [str(name) for name in shown["exposure"].drop_duplicates() if name in set(found["exposure"])]
    labels = shown.drop_duplicates("exposure").set_index("exposure")["label"]
    outcomes = [name for name in OUTCOMES if name in set(found["outcome"])]
    body = BLOCK * len(exposures)
    height = HEAD + body + FOOT
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    _key(page, height - 0.14)
    for place, exposure in enumerate(exposures):
        middle = FOOT + body - BLOCK * (place + 0.5)
        between = f": {compared[exposure]}" if exposure in compared else ""
        words = theme.wrap(f"{name_of(labels[exposure])}{between}", 26, 3)
        page.text(LABEL, middle, words, ha="left", va="center", linespacing=1.15, gid="label")
        if place:
            page.plot([LABEL, PANELS_TO], [FOOT + body - BLOCK * place] * 2, color=theme.RULE, lw=0.5)
    width = (PANELS_TO - PANELS_FROM - BETWEEN * (len(outcomes) - 1)) / len(outcomes)
    for k, outcome in enumerate(outcomes):
        left = PANELS_FROM + k * (width + BETWEEN)
        ax = figure.add_axes((left / theme.WIDTH, FOOT / height, width / theme.WIDTH, body / height), zorder=2)
        mine = found[found["outcome"] == outcome]
        _axis(ax, mine, body, horizon_days)
        page.text(
            left + width / 2, height - 0.44, theme.NAMES[outcome], ha="center", va="center",
            color=theme.INKS[outcome], fontweight="bold", gid="head",
        )  # fmt: skip
        for r in records(mine):
            y = body - BLOCK * (exposures.index(str(r.exposure)) + 0.5)
            _pair(ax, r, y, theme.COLOURS[outcome])
    return figure


def _key(page: Axes, y: float) -> None:
    """Each mark beside its words."""
    for x, words, all_ in ((PANELS_FROM, "if none had it", False), (PANELS_FROM + 1.35, "if all had it", True)):
        _mark(page, x, y, all_=all_)
        page.text(x + 0.1, y, words, ha="left", va="center", color=theme.MUTED, gid="head")


def _mark(ax: Axes, x: float, y: float, *, all_: bool) -> None:
    ax.plot(
        [x], [y], marker="o" if all_ else "s", ms=5.4 if all_ else 4.8, mfc=theme.INK if all_ else "white",
        mec=theme.INK if all_ else theme.MUTED, mew=1.0, ls="none", zorder=4,
    )  # fmt: skip


def _axis(ax: Axes, rows: pd.DataFrame, body: float, horizon_days: float) -> None:
    highest = float(np.nanmax(rows[[ALL, NONE, f"{ALL}_high", f"{NONE}_high"]].to_numpy(dtype=np.float64)))
    ax.set_xlim(0, 100 * highest * 1.06)
    ax.set_ylim(0, body)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.axvline(0, color=theme.MUTED, lw=0.8)
    ax.set_xlabel(f"within {numbers.days(horizon_days)}, %", labelpad=2)


def _pair(ax: Axes, r: Any, y: float, colour: str) -> None:
    """Two marks with their intervals, one above the other, and the line between them in the colour of the relation."""
    places = ((NONE, y + APART, False, LIGHT), (ALL, y - APART, True, theme.INK))
    ax.plot(
        [100 * getattr(r, NONE), 100 * getattr(r, ALL)], [y + APART, y - APART], color=colour, lw=2.2, zorder=2,
        solid_capstyle="butt",
    )  # fmt: skip
    for measure, place, all_, ink in places:
        low, high = float(getattr(r, f"{measure}_low")), float(getattr(r, f"{measure}_high"))
        if math.isfinite(low) and math.isfinite(high):
            line: Any = "-" if all_ else (0, (3, 1.2))
            ax.plot([100 * low, 100 * high], [place, place], color=ink, lw=1.0, ls=line, zorder=3)
        _mark(ax, 100 * float(getattr(r, measure)), place, all_=all_)


def alt(shown: pd.DataFrame, horizon_days: float, rule: Disclosure) -> str:
    """The finding in words: both risks of each finding and relation."""
    found = drawable(shown)
    if found.empty:
        return "Risks if all and if none had each finding: too few events to show."
    compared = contrasts(shown)
    parts = []
    for outcome in (name for name in OUTCOMES if name in set(found["outcome"])):
        said = []
        for r in records(found[found["outcome"] == outcome]):
            between = f" ({compared[str(r.exposure)]})" if str(r.exposure) in compared else ""
            values = f"{_percent(getattr(r, ALL))} against {_percent(getattr(r, NONE))}"
            said.append(f"{theme.plain(name_of(r.label))}{between} {values}")
        parts.append(f"{theme.NAMES[outcome].capitalize()}: {', '.join(said)}")
    return (
        f"Adjusted risk of refracture within {numbers.days(horizon_days)} if all against if none had each finding. "
        f"{'. '.join(parts)}."
    )


def _percent(value: float) -> str:
    return f"{numbers.number(float(value), 'percent')} %"
