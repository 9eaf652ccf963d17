"""What recomputing the literature found: verdicts, figures had again, studies pooled, the registry among them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from cohort.tables.results import Estimates


def _nothing() -> Estimates:
    return Estimates(pd.DataFrame())


@dataclass(frozen=True)
class Reviewed:
    """The literature recomputed, as tidy unrounded frames; empty where nothing was done.

    What is pooled is one cell: studies of one relation, one tier (what it takes to be an event) and one unit. Frames
    below `cells` have these three columns first. Shares are fractions; what was not published is missing.

    audit : `literature.audit`: the review's statements with their verdicts. recomputed, effects :
        `literature.recompute` (per cents) and `literature.recompute_effects`. reproduced : `pipeline.reproduce`, every
        figure of every reconstructed study. not_reconstructed : study_key, quantity, reason, source, confidence. The
        last four have citation and year besides.
    cells : n_studies that can be pooled, pooled ("yes", "no").
    studies : those pooled: study, citation, year, window_kind, window_days, counts, arm, figures, derived, n_events, n,
        estimate, conf_low, conf_high, weight (a share), shrunken, source, confidence.
    pooled : row ("pooled", "prediction"), n_studies, n_patients, n_events, estimate, conf_low, conf_high, coef,
        std_error, tau2, i2 and their limits. without_each : the same without each `study`, with influential.
    notes : note, a sentence on what was put together.
    own : the registry's own share, counted as the studies count: outcome, tier_counted (the registry's), same_tier
        ("yes", "not stated"), window_days, n_events, n, estimate, conf_low, conf_high, differs (sentences), reason (why
        there is none, "" where there is one).
    with_registry : `pooled` with the registry as one more study, and its own row ("registry") with weight and shrunken.
    toward : `literature.toward_literature`: row ("prior", "registry", "shrunken"), estimate, conf_low, conf_high, coef,
        std_error, weight, note.
    """

    audit: pd.DataFrame = field(default_factory=pd.DataFrame)
    recomputed: pd.DataFrame = field(default_factory=pd.DataFrame)
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    reproduced: pd.DataFrame = field(default_factory=pd.DataFrame)
    not_reconstructed: pd.DataFrame = field(default_factory=pd.DataFrame)
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    studies: pd.DataFrame = field(default_factory=pd.DataFrame)
    pooled: Estimates = field(default_factory=_nothing)
    without_each: Estimates = field(default_factory=_nothing)
    notes: pd.DataFrame = field(default_factory=pd.DataFrame)
    own: pd.DataFrame = field(default_factory=pd.DataFrame)
    with_registry: Estimates = field(default_factory=_nothing)
    toward: Estimates = field(default_factory=_nothing)

    @property
    def reproduction(self) -> pd.DataFrame:
        """Every published figure: how it comes out of a reconstructed registry, or (`reason`) why none can be made."""
        left = self.not_reconstructed.assign(study="", verdict="not reconstructable")
        return pd.concat([self.reproduced, left], ignore_index=True)
