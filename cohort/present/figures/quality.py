"""How the registry looks at its patients: which levels were treated and found fractured, and who was imaged by when."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from cohort.domain.spine import LEVELS
from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures import incidence
from cohort.present.tables.model import records


@theme.styled
def draw_levels(frame: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """Treated vertebrae to the left, sightings of fractures to the right, in the order of the spine."""
    if frame.empty:
        return None
    shown = [level for level in LEVELS if level in set(frame["level"])]
    line, head, foot = 0.19, 0.34, 0.08
    height = head + line * len(shown) + foot
    figure = theme.new_figure(height)
    ax = theme.page_axes(figure)
    middle, reach = 3.6, 2.2
    share = {
        (r.level, r.what): (float(r.n), float(r.n) / float(r.n_total) if r.n_total else 0.0) for r in records(frame)
    }
    most = max(value for _, value in share.values()) or 1.0
    for what, text, x, side in (
        ("treated", "treated vertebrae", middle - 0.25, "right"),
        ("fractured", "sightings of a fracture", middle + 0.25, "left"),
    ):
        total = float(frame.loc[frame["what"] == what, "n_total"].max())
        ax.text(
            x, height - 0.14, f"{text}, n = {rule.text(total)}", ha=side, va="center", color=theme.MUTED, gid="head"
        )
    for place, level in enumerate(shown):
        y = height - head - line * (place + 0.5)
        ax.text(middle, y, level, ha="center", va="center", gid="label")
        for what, sign, colour in (("treated", -1, "#3B3B3B"), ("fractured", 1, theme.MUTED)):
            n, part = share[level, what]
            if rule.small(n):
                ax.text(
                    middle + sign * 0.3, y, rule.text(n), ha="right" if sign < 0 else "left", va="center", gid="value"
                )
                continue
            wide = reach * part / most
            ax.barh(y, sign * wide, height=0.12, left=middle + sign * 0.25, color=colour, lw=0)
            end = middle + sign * (0.25 + wide + 0.05)
            text = f"{numbers.number(part, 'percent')} %" if n else "0"
            ax.text(end, y, text, ha="right" if sign < 0 else "left", va="center", gid="value")
    return figure


def alt_levels(frame: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: the commonest levels of each."""
    parts = []
    for what, name in (("treated", "treated vertebrae"), ("fractured", "fracture sightings")):
        rows = frame[frame["what"] == what].sort_values("n", ascending=False).head(3)
        named = [f"{r.level} {numbers.number(r.n / r.n_total, 'percent')} %" for r in records(rows) if r.n_total]
        parts.append(f"Most frequent {name}: {', '.join(named) or 'none'}")
    return ". ".join(parts) + "."


@theme.styled
def draw_imaged(curve: pd.DataFrame, at_risk: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """Share of patients imaged since the first procedure, with its interval and the numbers not yet imaged below."""
    found = incidence.steps(curve, "imaged", "imaged") if len(curve) else None
    if found is None or bool(rule.small(curve["n_events_total"].max())) or not incidence.at_least_one_event([found]):
        return None
    figure, ax = incidence.new_axes([("imaged", at_risk)], rule, name="not yet imaged", label="imaged, % of patients")
    ax.fill_between(found.month, found.low, found.high, step="post", color=theme.INK, alpha=theme.BAND, lw=0)
    ax.plot(found.month, found.estimate, drawstyle="steps-post", color=theme.INK, lw=1.8)
    text = f"imaged {numbers.number(float(found.estimate[-1]) / 100, 'percent')} %"
    incidence.finish(ax, 100.0, [(float(found.estimate[-1]), float(found.month[-1]), "imaged", text)])
    return figure


def alt_imaged(frame: pd.DataFrame) -> str:
    """The finding in words: the share imaged at each window."""
    rows = frame[frame["site"] == ""]
    parts = [f"{numbers.number(r.estimate, 'percent')} % by {numbers.days(r.time)}" for r in records(rows)]
    return f"Share of patients imaged after the first procedure: {', '.join(parts)}."
