"""The literature beside a registry: the one place that asks for all of it, for a report and for the command line."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cohort import literature
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline import describe, hazard_shape, like_for_like, occurrence, recurrence, reviewed, risk
from cohort.pipeline.factors import effects_of
from cohort.pipeline.stages import Cohort, Progress, check_accepted, prepare, where_possible
from cohort.tables.compared import Compared
from cohort.tables.results import Estimates, Registry


@dataclass(frozen=True)
class Own:
    """The registry's own estimates that published ones are set beside.

    incidence, rates, proportions : of `pipeline.occurrence`. hazards, odds : of `pipeline.risk`. effects : of
    `pipeline.factors`, all outcomes. recurrent, within : of `pipeline.recurrence` and `pipeline.hazard_shape`.
    """

    incidence: Estimates
    rates: Estimates
    proportions: Estimates
    hazards: Estimates
    odds: Estimates
    effects: Estimates
    recurrent: Estimates
    within: Estimates


def compared(registry: Registry | None = None, *, progress: Progress | None = None) -> Compared:
    """The literature recomputed, and the registry's own beside it where one is given.

    Raises RegistryError when no patient was accepted, EstimationError when none gives time at risk.

    >>> found = compared()
    >>> len(found.reviewed.audit), len(found.alike.figures.frame)
    (43, 0)
    """
    say = progress or (lambda text: None)
    if registry is None:
        say("Recomputing the literature")
        return Compared(reviewed.published())
    check_accepted(registry)
    say("Placing sightings among treated vertebrae")
    cohort = prepare(registry)
    risk.check_adjustment(cohort)
    say("Estimating incidence and rates")
    main = occurrence.incidence(cohort), occurrence.rates(cohort), occurrence.proportions(cohort)
    say("Fitting models")
    own = Own(
        *main, risk.hazards(cohort), risk.odds(cohort), effects_of(cohort, REFRACTURE_RELATIONS),
        where_possible(recurrence.recurrent_hazards, cohort), where_possible(hazard_shape.within, cohort),
    )  # fmt: skip
    return of_cohort(cohort, own, progress=say)


def of_cohort(cohort: Cohort, own: Own, *, progress: Progress) -> Compared:
    """The same of a registry whose own estimates are at hand."""
    progress("Placing the literature beside them")
    shares = describe.shares_of_same_level(cohort)
    review = literature.beside(own.incidence, own.rates, own.proportions, cohort.study, shares=shares)
    asked = risk.odds_asked_by_others(cohort)
    odds = Estimates(pd.concat([own.odds.frame, asked.frame], ignore_index=True), own.odds.settings)
    ratios = literature.beside_effects(
        own.hazards, odds, cohort.study, effects=own.effects, recurrent=own.recurrent, within=own.within
    )
    progress("Recomputing the literature")
    again = reviewed.of_cohort(cohort, own.proportions)
    progress("Counting as each published study counted")
    return Compared(again, review, like_for_like.of_cohort(cohort), ratios)
