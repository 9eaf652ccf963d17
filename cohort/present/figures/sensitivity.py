"""How far the main figures hang on choices: one-year incidence by variant, the main analysis as a line through all."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import records
from cohort.present.tables.risk import GROUPS

OUTCOMES = ("same", "adjacent", "remote")
LABELS = 3.2
LINE = 0.215


@theme.styled
def draw(frame: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """One aligned panel per relation, a row per variant; None when nothing may be shown."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    frame = frame.assign(concealed=rule.small(frame["n_events"]))
    panels = [name for name in OUTCOMES if (frame["outcome"] == name).any()]
    visible = frame[~frame["concealed"] & np.isfinite(frame["estimate"]) & frame["outcome"].isin(panels)]
    if visible.empty or not visible["estimate"].max() > 0:
        return None
    variants = frame.drop_duplicates("variant")
    rows: list[tuple[str, str | None]] = []  # text and variant; None for a heading
    for group, block in variants.groupby("group", sort=False, observed=True):
        if not bool(block["is_main"].all()):
            rows.append((GROUPS.get(str(group), str(group)), None))
        rows += [(str(v.label), str(v.variant)) for v in records(block)]
    head, foot = 0.28, 0.46
    body = LINE * len(rows) + 0.08
    height = head + body + foot
    figure = theme.new_figure(height)
    page = theme.page_axes(figure)
    places = {variant: body - 0.04 - LINE * (k + 0.5) for k, (_, variant) in enumerate(rows) if variant}
    for k, (text, variant) in enumerate(rows):
        y = foot + body - 0.04 - LINE * (k + 0.5)
        main = variant is not None and bool(variants.loc[variants["variant"] == variant, "is_main"].iloc[0])
        page.text(
            0.05 if variant is None or main else 0.17,
            y,
            theme.wrap(text, 47, 1),
            ha="left",
            va="center",
            color=theme.MUTED if variant is None else theme.INK,
            weight="bold" if main else "normal",
            style="italic" if variant is None else "normal",
            gid="label",
        )
    space = 0.18
    wide = (theme.WIDTH - LABELS - 0.12 - space * (len(panels) - 1)) / len(panels)
    for k, outcome in enumerate(panels):
        left = LABELS + k * (wide + space)
        ax = figure.add_axes((left / theme.WIDTH, foot / height, wide / theme.WIDTH, body / height), zorder=2)
        part = frame[frame["outcome"] == outcome]
        colour = theme.COLOURS[outcome]
        ax.set_ylim(0, body)
        ax.set_yticks([])
        ax.spines["left"].set_color(theme.RULE)
        shown = part[~part["concealed"]]
        highs = (
            np.append(shown["conf_high"].to_numpy(dtype=np.float64), shown["estimate"].to_numpy(dtype=np.float64)) * 100
        )
        highs = highs[np.isfinite(highs)]
        top = float(highs.max()) * 1.08 if highs.size and highs.max() > 0 else 1.0
        ax.set_xlim(0, top)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10]))
        ax.set_xlabel("% at 1 year", labelpad=2)
        page.text(
            left,
            height - 0.12,
            theme.NAMES[outcome],
            ha="left",
            va="center",
            color=theme.INKS[outcome],
            weight="bold",
            gid="head",
        )
        main_rows = shown[shown["is_main"].astype(bool)]
        if len(main_rows):
            m = main_rows.iloc[0]
            ax.axvline(m["estimate"] * 100, color=colour, lw=0.8, ls=(0, (3, 2)))
            if math.isfinite(m["conf_low"]) and math.isfinite(m["conf_high"]):
                ax.axvspan(m["conf_low"] * 100, m["conf_high"] * 100, color=colour, alpha=0.09, lw=0)
        for r in records(part):
            y = places[str(r.variant)]
            if r.concealed:
                theme.write(ax, top * 0.03, y, rule.text(r.n_events, True), role="small", color=theme.MUTED)
                continue
            if not math.isfinite(r.estimate):
                continue
            if math.isfinite(r.conf_low) and math.isfinite(r.conf_high):
                ax.plot([r.conf_low * 100, r.conf_high * 100], [y, y], color=colour, lw=1.3, solid_capstyle="butt")
            fill = colour if r.is_main else "white"
            ax.plot([r.estimate * 100], [y], marker="o", ms=4.6, color=colour, mfc=fill, mew=1.2, ls="none")
    return figure


def alt(frame: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: the range over the variants beside the main figure."""
    frame = frame.reset_index(drop=True)
    shown = frame[~rule.small(frame["n_events"]) & np.isfinite(frame["estimate"])]
    parts = []
    for outcome in OUTCOMES:
        part = shown[shown["outcome"] == outcome]
        main = part[part["is_main"].astype(bool)]
        if part.empty or main.empty:
            continue
        low, high = (numbers.number(float(v), "percent") for v in (part["estimate"].min(), part["estimate"].max()))
        value = numbers.number(float(main["estimate"].iloc[0]), "percent")
        parts.append(f"{theme.NAMES[outcome]} {value} % in the main analysis, {low} to {high} % over all choices")
    return f"One-year incidence under other choices: {'; '.join(parts) or 'too few events to show'}."
