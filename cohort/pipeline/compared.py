"""The literature beside a registry: the one place that asks for all of it, for a report and for the command line."""

from __future__ import annotations

from cohort import literature
from cohort.pipeline import describe, like_for_like, occurrence, reviewed
from cohort.pipeline.stages import Cohort, Progress, check_accepted, prepare
from cohort.tables.compared import Compared
from cohort.tables.results import Estimates, Registry


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
    say("Estimating incidence and rates")
    found = occurrence.incidence(cohort), occurrence.rates(cohort), occurrence.proportions(cohort)
    return of_cohort(cohort, *found, progress=say)


def of_cohort(
    cohort: Cohort, incidence: Estimates, rates: Estimates, proportions: Estimates, *, progress: Progress
) -> Compared:
    """The same of a registry whose main figures (those of `pipeline.occurrence`) are at hand."""
    progress("Placing the literature beside them")
    shares = describe.shares_of_same_level(cohort)
    review = literature.beside(incidence, rates, proportions, cohort.study, shares=shares)
    progress("Recomputing the literature")
    again = reviewed.of_cohort(cohort, proportions)
    progress("Counting as each published study counted")
    return Compared(again, review, like_for_like.of_cohort(cohort))
