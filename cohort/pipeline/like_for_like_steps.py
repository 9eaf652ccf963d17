"""The gap between the registry's own main figure and a published one, taken apart step by step on the log scale.

One thing changes at a time, in a fixed order: the definition, the unit, the window, the censoring, the case mix; what
then remains is not explained. The order matters for the size of each step, not for their sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cohort.domain.study import StudyDefinition
from cohort.literature import FigureDefinition
from cohort.literature.facts import TIER_WORDS
from cohort.pipeline.like_for_like_arms import Arm
from cohort.pipeline.like_for_like_reading import NAMES, Reading
from cohort.pipeline.like_for_like_units import Asked, Counted, Share
from cohort.tables.like_for_like import STEPS

MAIN_DAYS: Final = 365
NOT_PRINTED: Final = "Age and sex are not standardized: the study's are not held as numbers."
_FROM_ZERO: Final = "The registry's main figure is zero or missing, so the gap has no size."
_ZERO: Final = "No event is left, so the step has no size; the next goes on from the last estimate above zero."
_NO_GAP: Final = "The published share is zero or missing, so the gap has no size."


@dataclass(frozen=True)
class _Step:
    """Where a step leads, why it is not made where its estimate is missing, and what is to be said where it is made."""

    to: Share
    sentence: str
    why_not: str = ""
    remark: str = ""


def main_figure(counted: Counted, relation: str) -> Share:
    """The registry's own: its definition, patients, one year, death competing."""
    return counted.at(counted.base.study, Asked(relation), "patient", MAIN_DAYS)


def steps_of(
    counted: Counted,
    study: StudyDefinition,
    how: Reading,
    one: FigureDefinition,
    arm: Arm,
    everybody: Share,
    own: Share,
    published: float,
    row: Mapping[Any, Any],
) -> list[dict[str, Any]]:
    """The steps of one figure, in the order of STEPS, with the columns of `tables.like_for_like.STEP_COLUMNS`.

    study, how : the definition and its reading. everybody, own : the registry's share counted alike, in all patients
    and in the arm. published : a fraction. row : the figure's study_key, quantity, source and confidence.
    """
    main = main_figure(counted, one.relation)
    made = [
        *(_by_film(everybody) if how.film else _by_relation(counted, study, how, one, everybody)),
        _Step(own, _case_mix(one, arm), "Nobody of the arm is counted in the registry.", _not_an_arm(one, arm)),
        _Step(Share(estimate=published), "What is left between the two, counted alike."),
    ]
    has_gap = main.estimate > 0
    last, rows = main.estimate, []
    for place, (name, step) in enumerate(zip(STEPS, made, strict=True), 1):
        to, log_ratio, note = step.to.estimate, float("nan"), ""
        if not has_gap:
            note = _FROM_ZERO
        elif to > 0:
            log_ratio, note = math.log(to / last), step.remark
        elif name == "remains":
            note = _NO_GAP
        elif to == 0:
            note = _ZERO
        else:
            log_ratio, note = 0.0, step.why_not
        rows.append(
            {
                "study_key": row["study_key"],
                "quantity": row["quantity"],
                "relation": one.relation,
                "place": place,
                "step": name,
                "from_estimate": last,
                "to_estimate": to,
                "log_ratio": log_ratio,
                "percent": 100 * math.expm1(log_ratio),
                "n_events_main": main.n_events,
                "n_events": step.to.n_events,
                "n": step.to.n,
                "sentence": step.sentence,
                "note": note,
                "source": row["source"],
                "confidence": row["confidence"],
            }
        )
        last = to if to > 0 else last
    return rows


def _by_relation(
    counted: Counted, study: StudyDefinition, how: Reading, one: FigureDefinition, everybody: Share
) -> list[_Step]:
    defined = counted.at(study, how.asked, "patient", MAIN_DAYS)
    of_unit = counted.at(study, how.asked, how.unit, MAIN_DAYS)
    at_window = counted.at(study, how.asked, how.unit, how.window)
    until = "all follow-up" if math.isinf(how.window) else f"{how.window:.0f} days"
    same_unit, same_window = how.unit == "patient", how.window == MAIN_DAYS
    nobody = "Nobody in the registry is followed so long."
    return [
        _Step(defined, _definition(counted.base.study, study, how.asked), nobody),
        _Step(of_unit, "Patients in both." if same_unit else f"From patients to {NAMES[how.unit]}.", nobody),
        _Step(at_window, "One year in both." if same_window else f"From one year to {until}.", nobody),
        _Step(
            at_window if how.rule is None else everybody,
            "A curve in both."
            if how.rule is None
            else f"From a curve with death competing to a count: {how.measure.rpartition(', ')[2]}.",
            "Nobody in the registry is counted so.",
        ),
    ]


def _by_film(everybody: Share) -> list[_Step]:
    """A definition by film has a unit, days and a count of its own, so that all four change in one step."""
    nothing = "Changed together with the definition, which is read at the last film of each treated vertebra."
    first = "From the registry's own definition to the published change on film, at the last film of treated vertebrae."
    return [
        _Step(everybody, first, "No vertebra has the films that the definition needs."),
        *(_Step(Share(), nothing, nothing) for _ in range(3)),
    ]


def _definition(base: StudyDefinition, study: StudyDefinition, asked: Asked) -> str:
    changes = []
    old, new = base.judgement.tier, "retreated" if asked.retreated else study.judgement.tier
    if old != new and (asked.relation in ("same", "any") or asked.retreated):
        anywhere = asked.retreated and asked.relation == "any"
        words = "a second augmentation at any level" if anywhere else TIER_WORDS[new]
        changes.append(f"from {TIER_WORDS[old]} to {words}")
    reach = asked.within or study.relation.reach
    if base.relation.reach != reach and asked.relation != "same":
        changes.append(f"vertebrae up to {reach} levels from a treated one, not {base.relation.reach}")
    if asked.beyond:
        changes.append(f"those up to {asked.beyond} left out")
    if asked.untreated:
        changes.append("only vertebrae that were not treated")
    if asked.symptomatic:
        changes.append("without fractures recorded as painless")
    return (
        f"The definition changes: {'; '.join(changes)}."
        if changes
        else "One definition in both, as far as it is stated."
    )


def _not_an_arm(one: FigureDefinition, arm: Arm) -> str:
    """Why the step to an arm is none: no restriction of the study is recorded."""
    none_left = one.population and len(arm.unrestricted) == len(one.population)
    return "Nothing that makes the study's arm is recorded in the registry." if none_left else ""


def _case_mix(one: FigureDefinition, arm: Arm) -> str:
    words = ", ".join(f"{key.replace('_', ' ')} {value}".strip() for key, value in one.population)
    kept = "Everybody augmented in both." if not words else f"From everybody to the study's arm: {words}."
    left = f" Not recorded in the registry: {', '.join(arm.unrestricted)}." if arm.unrestricted else ""
    return f"{kept}{left} {NOT_PRINTED}"
