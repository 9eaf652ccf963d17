"""How many: the mean number of refractures per 100 patients over 24 months, with the patients followed below."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures.incidence import Steps, at_least_one_event, cut_note, finish, new_axes, steps
from cohort.present.tables.further import RELATIONS, hidden_counts

CURVE = "count"


def shown(curves: pd.DataFrame, rule: Disclosure) -> list[Steps]:
    """The curve of each relation that rests on enough episodes and patients, per 100 patients.

    curves : outcome, time (days), estimate, conf_low, conf_high, n_risk, n_events_total and n_clusters_total, as
    `pipeline.recurrence.count_curves` gives them. Each step of a curve is an episode.
    """
    if curves.empty:
        return []
    last = curves.drop_duplicates("outcome", keep="last").reset_index(drop=True)
    last = last.assign(n_events=last["n_events_total"], n_clusters_with_event=last["n_clusters_total"], time=0)
    hidden = set(last.loc[hidden_counts(last, rule), "outcome"])
    frame = curves.assign(curve=CURVE)
    found = [steps(frame, CURVE, relation) for relation in RELATIONS if relation not in hidden]
    drawn = [one for one in found if one is not None]
    return drawn if drawn and at_least_one_event(drawn) else []


@theme.styled
def draw(curves: pd.DataFrame, followed: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """Each relation with its band; None when too few refractures were counted.

    followed : curve, time, n_risk, the patients followed at the ticks.
    """
    chosen = shown(curves, rule)
    if not chosen:
        return None
    rows = [(str(name), part.sort_values("time")) for name, part in followed.groupby("curve", sort=False)]
    figure, ax = new_axes(rows, rule, name="still followed", label="refractures per 100 patients")
    for s in chosen:
        if np.isfinite(s.low).any():
            ax.fill_between(s.month, s.low, s.high, step="post", color=theme.COLOURS[s.outcome], alpha=theme.BAND, lw=0)
        ax.plot(
            s.month,
            s.estimate,
            drawstyle="steps-post",
            color=theme.COLOURS[s.outcome],
            lw=1.8,
            ls=theme.LINES[s.outcome],
        )
    top = max(float(np.nanmax(np.append(s.high, s.estimate))) for s in chosen)
    finish(ax, top * 1.08, [(s.estimate[-1], s.month[-1], s.outcome, _end_label(s)) for s in chosen])
    return figure


def _end_label(s: Steps) -> str:
    return f"{theme.NAMES[s.outcome]} {_per_hundred(s.estimate[-1])}"


def _per_hundred(value: float) -> str:
    return numbers.number(float(value) / 100, "percent")


def alt(curves: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: how many refractures of each relation by one year and by the end."""
    parts = []
    for s in shown(curves, rule):
        year = float(s.estimate[np.searchsorted(s.month, 12, side="right") - 1])
        parts.append(
            f"{theme.NAMES[s.outcome]} {_per_hundred(year)} at 12 months and {_per_hundred(s.estimate[-1])} "
            f"at month {s.month[-1]:.0f}"
        )
    return f"Mean number of refractures per 100 patients: {'; '.join(parts) or 'too few to show'}."


def cut(curves: pd.DataFrame) -> str:
    """A sentence when a curve ends before 24 months."""
    return cut_note(curves.assign(curve=CURVE), (CURVE,)) if len(curves) else ""
