"""What a hazard model assumes, drawn: whether a ratio holds over time, and what shape a covariate's effect has.

Each takes a tidy frame of `cohort.estimate` and an axis, returns the axis, and fits nothing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from cohort.present import theme

MANY_DAYS = 400  # beyond this the days on the axis become months
DAYS_PER_MONTH = 30.4375


def proportionality(smooth: pd.DataFrame, ax: Axes) -> Axes:
    """The hazard ratio of one term over time with its band; level where hazards are proportional.

    smooth : rows of one term of `cohort.schoenfeld_smooth`.

    >>> import matplotlib.pyplot as plt
    >>> smooth = pd.DataFrame({"time": [10.0, 300.0], "estimate": [2.0, 1.0], "conf_low": [1.0, 0.5],
    ...                        "conf_high": [4.0, 2.0], "term": "leak", "coef": [0.7, 0.0]})
    >>> proportionality(smooth, plt.figure().add_subplot()).get_ylabel()
    'Hazard ratio: leak'
    """
    known = smooth[np.isfinite(smooth["estimate"])].sort_values("time")
    months = len(known) and known["time"].max() > MANY_DAYS
    unit = DAYS_PER_MONTH if months else 1.0
    if len(known):
        low, high = known["conf_low"], known["conf_high"]
        ax.fill_between(known["time"] / unit, low, high, color=theme.MUTED, alpha=theme.BAND, lw=0, zorder=2)
        ax.plot(known["time"] / unit, known["estimate"], color=theme.INK, lw=1.4, zorder=3)
        _ratio_axis(ax, float(low.min()), float(high.max()))
    term = str(smooth["term"].iloc[0]) if len(smooth) else ""
    ax.set_xlabel("Months since the origin" if months else "Days since the origin")
    ax.set_ylabel(f"Hazard ratio: {term}")
    return ax


def functional_form(frame: pd.DataFrame, ax: Axes, *, label: str = "") -> Axes:
    """The hazard ratio along a covariate against its reference, with its band.

    frame : as `cohort.functional_form` gives it; the rows of its tests are left out. label : of the covariate.

    >>> import matplotlib.pyplot as plt
    >>> frame = pd.DataFrame({"measure": "hazard_ratio", "term": "age", "value": [60.0, 80.0], "estimate": [1.0, 2.0],
    ...                       "conf_low": [1.0, 1.2], "conf_high": [1.0, 3.3]})
    >>> functional_form(frame, plt.figure().add_subplot(), label="Age, years").get_xlabel()
    'Age, years'
    """
    grid = frame[(frame["measure"] == "hazard_ratio") & np.isfinite(frame["estimate"])].sort_values("value")
    if len(grid):
        low, high = grid["conf_low"], grid["conf_high"]
        ax.fill_between(grid["value"], low, high, color=theme.MUTED, alpha=theme.BAND, lw=0)
        ax.plot(grid["value"], grid["estimate"], color=theme.INK, lw=1.4)
        _ratio_axis(ax, float(low.min()), float(high.max()))
    ax.set_xlabel(label or (str(frame["term"].iloc[0]) if len(frame) else ""))
    ax.set_ylabel("Hazard ratio")
    return ax


def _ratio_axis(ax: Axes, low: float, high: float) -> None:
    ax.axhline(1.0, color=theme.RULE, lw=0.8, zorder=0)
    ax.set_yscale("log")
    bottom, top = min(max(low, 1 / 64), 0.8) / 1.1, max(min(high, 64.0), 1.25) * 1.1
    marks = [2.0**k for k in range(-6, 7) if bottom <= 2.0**k <= top]
    ax.set_yticks(marks)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(bottom, top)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
