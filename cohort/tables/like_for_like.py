"""Published figures with the registry's own estimate of the same quantity, and the gap between the two in steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from cohort.tables.results import Estimates

FIGURE_COLUMNS: Final = (
    "study_key", "citation", "year", "quantity", "population", "event", "relation", "tier", "unit", "counting",
    "denominator_rule", "basis", "counts", "arm", "window_kind", "window_days",
    "numerator", "denominator", "percent", "published", "published_low", "published_high",
    "measure", "registry_window_days", "counted_as", "n_events", "n", "n_patients", "n_events_all", "n_all",
    "estimate", "conf_low", "conf_high", "std_error", "ratio", "ratio_low", "ratio_high",
    "differs", "note", "placed", "source", "confidence",
)  # fmt: skip
STEP_COLUMNS: Final = (
    "study_key", "quantity", "relation", "place", "step", "from_estimate", "to_estimate", "log_ratio", "percent",
    "n_events_main", "n_events", "n", "sentence", "note", "source", "confidence",
)  # fmt: skip
LEFT_OUT_COLUMNS: Final = ("study_key", "quantity", "kind", "relation", "unit", "reason", "source", "confidence")
STEPS: Final = ("definition", "unit", "window", "censoring", "case_mix", "remains")
PRINTED_INTERVAL: Final = "The published interval is the printed one."
NO_PRINTED_SIZE: Final = "No number is printed that an interval could rest on, so the ratio has none."
LATE: Final = "Who came under observation after treatment is left out here: a share needs all from day 0 on."
NO_RATIO: Final = "One of the two is zero or missing, so there is no ratio."


@dataclass(frozen=True)
class LikeForLike:
    """What a registry says of each published figure, counted as its study counted.

    figures : one row per published figure, FIGURE_COLUMNS. Shares are fractions, but `percent` is per cent, as
        figures.csv has it; days are days. `numerator`, `denominator` are published, NaN where not printed.
        `published_low`, `published_high` : exact limits from them, else as printed. `measure` : how the registry was
        read; `registry_window_days` : until when (NaN: all its follow-up). `n_events`, `n` : units with the event and
        units counted; `n_events_all`, `n_all` : the same without the restriction to an arm. `counted_as` : figures of
        one text are counted alike and differ by arm only. `ratio` : registry over published. `differs` : sentences on
        what is still not alike. `note` : why a number is missing. `placed` : yes for a study's main figures.
    steps : six rows per figure that is a risk, in the order of STEPS, STEP_COLUMNS: the gap from the registry's own
        main figure to the published one on the log scale. `percent` : the change from `from_estimate` to `to_estimate`
        in per cent. `n_events`, `n` : what `to_estimate` rests on (NaN for the published one); `n_events_main` : events
        of the main figure. A step that cannot be made has log_ratio 0; one to a zero has none (NaN), and the next goes
        on from the last estimate above zero, so that those given add up to the whole gap. `sentence` : what changes.
        `note` : why a step is not made.
    left_out : every other published figure with the reason, LEFT_OUT_COLUMNS.
    """

    figures: Estimates = field(default_factory=lambda: Estimates(pd.DataFrame(columns=list(FIGURE_COLUMNS))))
    steps: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(STEP_COLUMNS)))
    left_out: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(LEFT_OUT_COLUMNS)))
