"""Where patients stand: the share in each state over 24 months, stacked, with the patients followed in each below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from cohort.present import numbers, theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures.incidence import DAYS_PER_MONTH, LAST_MONTH, LEAST_AT_RISK, finish, new_axes

FloatArray = npt.NDArray[np.float64]

# Each layer from the axis up: its state, its colour in the theme, and the words at its end.
LAYERS: Final = (
    ("same", "same", "same level"),
    ("adjacent", "adjacent", "adjacent"),
    ("remote", "remote", "remote"),
    ("re_augmented", "treated", "treated again"),
    ("dead", "death", "dead"),
)
OTHER: Final = ("several", "other states")
REST: Final = ("no_event", "no event")


@dataclass(frozen=True)
class Layer:
    """One layer: its colour in the theme, its words, and its height in per cent at each month."""

    colour: str
    words: str
    height: FloatArray


@dataclass(frozen=True)
class Stack:
    """Layers over the same months, cut where too few are followed; rest is the share above them at the end."""

    month: FloatArray
    layers: tuple[Layer, ...]
    rest: float
    cut: bool


def stack(shares: pd.DataFrame, rule: Disclosure) -> Stack | None:
    """The shares as layers; None when too few patients ever moved for any to be drawn.

    shares : outcome, time (days), estimate, n_risk, n_events_total, as `pipeline.courses.curves` gives them. States
    that few patients entered are drawn as one, since each step of a layer is a move.
    """
    table = shares.pivot_table(index="time", columns="outcome", values="estimate", observed=True)
    followed = shares.groupby("time")["n_risk"].sum().to_numpy(dtype=np.float64)
    moves = shares.groupby("outcome", observed=True)["n_events_total"].max()
    named = [layer for layer in LAYERS if moves.get(layer[0], 0) > 0]
    if not named:
        return None
    month = np.append(0.0, table.index.to_numpy(dtype=np.float64) / DAYS_PER_MONTH)
    within = np.append(True, (followed >= LEAST_AT_RISK).cumprod().astype(bool)) & (month <= LAST_MONTH)
    few = np.append(False, followed < LEAST_AT_RISK) & (month <= LAST_MONTH)
    end = float(month[few][0]) if few.any() else float(LAST_MONTH)

    def height(state: str) -> FloatArray:
        values = np.append(0.0, table[state].to_numpy(dtype=np.float64) * 100)[within]
        return np.append(values, values[-1])  # the last step holds to the cut, or to the end of the axis

    counts = np.array([moves[state] for state, _, _ in named], dtype=np.float64)
    hidden = rule.parts(counts)
    if bool(rule.small(counts[hidden].sum())):
        return None
    together = [height(state) for (state, _, _), hide in zip(named, hidden, strict=True) if hide]
    apart = [layer for layer, hide in zip(named, hidden, strict=True) if not hide]
    layers = [Layer(colour, words, height(state)) for state, colour, words in apart if state != "dead"]
    layers += [Layer(*OTHER, np.sum(together, axis=0))] if together else []
    layers += [Layer(colour, words, height(state)) for state, colour, words in apart if state == "dead"]
    total = np.sum([layer.height for layer in layers], axis=0)
    if not total.max() > 0:
        return None
    return Stack(np.append(month[within], end), tuple(layers), 100 - float(total[-1]), bool(few.any()))


@theme.styled
def draw(shares: pd.DataFrame, followed: pd.DataFrame, rule: Disclosure) -> Figure | None:
    """The layers, same-level refracture lowest and death on top; None when too few patients ever moved.

    shares : as for `stack`. followed : outcome, time, n_risk, the patients followed in each state at the ticks.
    """
    found = stack(shares, rule)
    if found is None:
        return None
    words = dict([REST, *((state, words) for state, _, words in LAYERS)])
    of_state = {str(name): part.sort_values("time") for name, part in followed.groupby("outcome", observed=True)}
    # The relations keep their own names, which give the row its ink.
    rows = [(name if name in theme.LINES else said, of_state[name]) for name, said in words.items() if name in of_state]
    figure, ax = new_axes(rows, rule, name="followed in this state", label="patients, %")
    base = np.zeros(found.month.size)
    ends: list[tuple[float, float, str, str]] = []
    for layer in found.layers:
        above = base + layer.height
        ax.fill_between(found.month, base, above, step="post", color=theme.COLOURS[layer.colour], alpha=0.9, lw=0)
        ax.plot(found.month, above, drawstyle="steps-post", color="white", lw=0.5)
        middle = float(base[-1] + above[-1]) / 2
        ends.append((middle, float(found.month[-1]), layer.colour, f"{layer.words} {_percent(layer.height[-1])}"))
        base = above
    top = float(base.max()) * 1.2
    finish(ax, top, ends)
    said = f"blank up to 100 %: {REST[1]}, {_percent(found.rest)} at month {found.month[-1]:.0f}"
    ax.text(0.35, top * 0.97, said, ha="left", va="top", color=theme.MUTED, gid="rest")
    return figure


def alt(shares: pd.DataFrame, rule: Disclosure) -> str:
    """The finding in words: where patients stand at the end of the axis."""
    found = stack(shares, rule)
    if found is None:
        return "Where patients stand after the first procedure: too few events to show."
    parts = [f"{layer.words} {_percent(layer.height[-1])}" for layer in found.layers]
    return (
        f"Where patients stand at month {found.month[-1]:.0f} by what happened last: {REST[1]} {_percent(found.rest)}, "
        f"{', '.join(parts)}."
    )


def cut_note(shares: pd.DataFrame, rule: Disclosure) -> str:
    """A sentence when the layers end before 24 months."""
    found = stack(shares, rule)
    if found is None or not found.cut:
        return ""
    return f"Layers end where fewer than {LEAST_AT_RISK} patients are followed (month {found.month[-1]:.0f})."


def _percent(value: float) -> str:
    return f"{numbers.number(float(value) / 100, 'percent')} %"
