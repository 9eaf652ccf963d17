"""Why treated vertebrae failed: how many same-level refractures each mechanism explains."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import records
from cohort.present.tables.risk import MECHANISMS, hidden_mechanisms

BAR_FROM, BAR_TO = 3.0, 5.9


@theme.styled
def draw(frame: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """Bars of refractures by mechanism, of all same-level refractures; None when there is none to show."""
    if frame.empty or not frame["n_total"].max():
        return None
    frame = frame.reset_index(drop=True)
    hidden = hidden_mechanisms(frame, rule)
    if (hidden | (frame["n_events"] == 0)).all():
        return None
    total = float(frame["n_total"].max())
    line, foot, head = 0.29, 0.08, 0.3
    height = head + line * len(frame) + foot
    figure = theme.new_figure(height)
    ax = theme.page_axes(figure)
    most = float(frame.loc[~hidden, "n_events"].max())
    ax.text(
        BAR_FROM,
        height - 0.14,
        f"refractures, of {rule.text(total)}",
        ha="left",
        va="center",
        color=theme.MUTED,
        gid="head",
    )
    for place, r in enumerate(records(frame)):
        y = height - head - line * (place + 0.5)
        known = str(r.mechanism) not in ("not_recorded", "unexplained")
        label = theme.wrap(MECHANISMS.get(str(r.mechanism), r.label), 46, 1)
        ax.text(
            BAR_FROM - 0.1, y, label, ha="right", va="center", color=theme.INK if known else theme.MUTED, gid="label"
        )
        if hidden[place]:
            theme.write(ax, BAR_FROM + 0.06, y, rule.text(r.n_events, True), role="value", color=theme.MUTED)
            continue
        n = float(r.n_events)
        wide = (BAR_TO - BAR_FROM) * n / most
        colour = theme.COLOURS["same"] if known else theme.RULE
        ax.barh(y, wide, height=0.17, left=BAR_FROM, color=colour, lw=0)
        text = f"{numbers.count(n)} ({numbers.number(n / total, 'percent')} %)"
        ax.text(BAR_FROM + wide + 0.08, y, text, ha="left", va="center", gid="value")
    ax.plot([BAR_FROM, BAR_FROM], [foot, height - head + 0.02], color=theme.MUTED, lw=0.7)
    return figure


def alt(frame: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: the mechanisms from the commonest."""
    frame = frame.reset_index(drop=True)
    shown = frame[~hidden_mechanisms(frame, rule) & (frame["n_events"] > 0)].sort_values("n_events", ascending=False)
    total = rule.text(float(frame["n_total"].max()))
    parts = [f"{MECHANISMS.get(str(r.mechanism), str(r.label))} {numbers.count(r.n_events)}" for r in records(shown)]
    return f"Mechanisms of {total} same-level refractures: {'; '.join(parts) or 'too few to show'}."
