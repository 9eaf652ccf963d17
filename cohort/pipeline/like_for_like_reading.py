"""How a published definition is read in a registry: the event, who is counted, until when, and what stays unlike.

The reading nearest to the words is taken, and said:
fixed window       the share by that day
mean or maximum    the share by that day among everybody treated: loss and death count as no event, as they did there
minimum            the share by that day among those whose follow-up reached it, broken before or not
none               all follow-up of the registry, among everybody treated
whoever is counted everybody treated where the source says so, those with films where it says imaged; otherwise, and
                   where it does not say, those followed to a fixed window or broken before
a survival curve   Aalen-Johansen at the day, death competing
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from cohort.domain.study import StudyDefinition
from cohort.literature import FigureDefinition
from cohort.literature.facts import NOT_AUGMENTED, TIER_WORDS
from cohort.pipeline.definitions import PUBLISHED
from cohort.pipeline.like_for_like_arms import OUTSIDE
from cohort.pipeline.like_for_like_units import UNITS, Asked, Rule

RELATIONS: Final = ("same", "adjacent", "remote", "any")
EVENTS: Final = ("fracture", "reaugmentation")
FILMS: Final = {one.key: one for one in PUBLISHED}
# Levels from cement in the words of the quantity itself: (beyond, within).
DISTANCES: Final = {
    ("kimsh2004", "new fractures among vertebrae at risk (+-5 levels)"): (0, 5),
    ("dir2024", "untreated vertebrae fractured, 2 segments away"): (1, 2),
}
NAMES: Final = {
    "patient": "patients",
    "procedure": "procedures",
    "treated_vertebra": "treated vertebrae",
    "adjacent_vertebra": "adjacent vertebrae",
    "untreated_vertebra": "untreated vertebrae",
    "new_fracture": "new fractures",
}
_KINDS: Final = {
    "prevalence": "how common something is, no share of refractures",
    "detection": "how much one way of looking finds of what another found",
    "share_of_cases": "a share of those with the event, no share of those at risk",
    "sampling_share": "a share that the sampling of cases and controls set",
    "event_free": "the share without the event, from a curve in which death is no end",
    "pooled": "put together from several studies with other definitions and follow-up",
    "count": "a count without a denominator",
    "mean_time": "a time, no share",
    "time_range": "times, no share",
    "sample_size": "a size of sample only",
}
_DENOMINATORS: Final = {
    "unstated": "It is not stated whether everybody treated or only those followed are counted; here those followed to "
    "the window or broken before.",
    "selected": "The study counts a selection of those treated; here those followed to the window or broken before.",
    "not_printed": "Who is counted is not printed; here those followed to the window or broken before.",
}
_ALL_IN_BOTH: Final = "Whoever died or was lost counts as without the event in both, and the losses are not alike."
_ALL_HERE: Final = {
    "followed": "The study counts only those followed, and not until which day",
    "imaged": "The study counts only those imaged, and not until which day",
    "selected": "The study counts a selection of those treated",
    "not_printed": "Who is counted is not printed",
    "unstated": "It is not stated whether everybody treated or only those followed are counted",
}
_BY_PLAN: Final = "Films by plan also show what nobody complained of; the registry has those that care asked for."


@dataclass(frozen=True)
class Reading:
    """One published figure as it is counted in a registry.

    film : the key of a published definition by film, "" where it goes by relation. rule : who is counted, None for a
    curve. window : days, inf for all follow-up. measure : the reading in words. differs : sentences. counted_as : one
    text for all readings that differ by arm only.
    """

    asked: Asked
    unit: str
    window: float
    rule: Rule | None
    film: str
    measure: str
    counted_as: str
    differs: tuple[str, ...]

    @property
    def is_share_of_fractures(self) -> bool:
        """Whether the new fractures are the denominator: such a share is no risk."""
        return self.unit == "new_fracture"


def why_left_out(one: FigureDefinition, percent: float) -> str:
    """Why a figure has no counterpart in a registry of augmentations; "" where it has.

    >>> from cohort.literature import definition_of
    >>> why_left_out(definition_of("swissspine2013", "mean time to adjacent fracture (2.8 months)"), float("nan"))
    'a time, no share'
    """
    if ("not augmented", "") in one.population:
        return "of patients who were not augmented"
    if any(key in NOT_AUGMENTED for key, _ in one.population):
        return "not only of patients who were augmented"
    if one.event not in EVENTS or one.relation not in RELATIONS:
        return f"no refracture: {one.event.replace('_', ' ')}" if one.event not in EVENTS else "no relation is given"
    of_fractures = one.kind == "share_of_cases" and one.unit == "new_fracture" and one.event == "fracture"
    if one.kind != "proportion" and not of_fractures:
        return _KINDS[one.kind]
    if any(f"{key}={value}" in OUTSIDE for key, value in one.population):
        return "its follow-up begins with the treatment of a refracture, which is no first procedure"
    if math.isnan(percent):
        return "no per cent is printed or can be had from what is"
    if one.unit not in UNITS and not of_fractures:
        return f"counted by {one.unit.replace('_', ' ')}, which the registry has no count of"
    if one.basis == "survival" and one.unit != "patient":
        return "a survival curve of something else than patients"
    if (one.tier == "retreated" or one.event == "reaugmentation") and one.unit not in ("patient", "procedure"):
        return "treated again, counted by something else than patients or procedures"
    return ""


def reading(one: FigureDefinition, base: StudyDefinition, *, has_films: bool) -> Reading:
    """How a figure is counted in a registry with the study `base`; has_films : whether it records any imaging."""
    asked = _asked(one)
    film = one.study_key if one.study_key in FILMS and one.relation == "same" and one.tier == "radiographic" else ""
    window = one.window_days if one.window_kind != "none" and not math.isnan(one.window_days) else math.inf
    rule = None if one.basis == "survival" else _rule(one, has_films=has_films)
    study = one.study(base)
    if film:
        counted_as = f"film {film}"
    else:
        reach = asked.within or study.relation.reach
        until = "all follow-up" if math.isinf(window) else f"day {window:.0f}"
        counted_as = (
            f"{_event_words(asked, study.judgement.tier)}, reach {reach}, {one.unit}, {until}, {rule or 'curve'}"
        )
    told = (
        *_of_event(one, asked, film, study),
        *_of_window(one, film),
        *_of_denominator(one, rule, film, has_films=has_films),
    )
    return Reading(asked, one.unit, window, rule, film, _measure(one, window, rule, film), counted_as, told)


def _asked(one: FigureDefinition) -> Asked:
    beyond, within = DISTANCES.get((one.study_key, one.quantity), (0, 0))
    return Asked(
        relation=one.relation,
        retreated=one.event == "reaugmentation" or (one.tier == "retreated" and one.relation == "same"),
        untreated=one.relation == "any" and one.counts == "untreated",
        symptomatic=one.tier == "clinical",
        beyond=beyond,
        within=within,
    )


def _rule(one: FigureDefinition, *, has_films: bool) -> Rule:
    if one.denominator_rule == "imaged" and has_films and one.window_kind == "fixed":
        return "imaged"
    if one.window_kind == "minimum":
        return "reached"
    if one.window_kind == "fixed" and one.denominator_rule not in ("all_treated", "all_enrolled", "at_risk"):
        return "followed"
    return "all"


def _event_words(asked: Asked, tier: str) -> str:
    parts = [asked.relation, "retreated" if asked.retreated else tier]
    parts += ["untreated vertebrae"] if asked.untreated else []
    parts += ["without painless ones"] if asked.symptomatic else []
    parts += [f"beyond {asked.beyond}, within {asked.within}"] if asked.by_distance else []
    return ", ".join(parts)


def _measure(one: FigureDefinition, window: float, rule: Rule | None, film: str) -> str:
    if film:
        return "share of the vertebrae treated first that the definition can be told of, by the last film"
    until = "over all follow-up" if math.isinf(window) else f"by day {window:.0f}"
    if one.unit == "new_fracture":
        what = "that came" if one.relation == "any" else f"that were {one.relation},"
        return f"share of the new fractures {what} {until}"
    if rule is None:
        return f"cumulative incidence of {NAMES[one.unit]} {until}, death competing"
    who = {
        "all": "loss and death counted as no event",
        "followed": "of those followed so long or broken before",
        "reached": "of those followed so long, broken before or not",
        "imaged": "of those followed so long with a film, or broken before",
    }[rule]
    return f"share of the {NAMES[one.unit]} {until}, {who}"


def _of_event(one: FigureDefinition, asked: Asked, film: str, study: StudyDefinition) -> list[str]:
    told = ["A share of the fractures, no risk."] if one.unit == "new_fracture" else []
    if film:
        told.append("Read at the last film of each vertebra, on whatever day that was taken.")
        if FILMS[film].any_loss:
            told.append(
                "Any loss counts, down to the last digit that is written: settling and error of measuring as well, and "
                "how finely the study measured is not told."
            )
    elif one.relation == "same" and one.tier == "radiographic":
        judged = study.judgement
        told.append(
            "Which change on film counted is not printed, or not in a form the registry has; here a loss of "
            f"{100 * judged.progression_loss:g} % or a kyphosis greater by {judged.progression_kyphosis_deg:g} degrees."
        )
    if one.tier == "unstated" and one.relation == "same":
        told.append(f"The definition is not stated; here {TIER_WORDS[study.judgement.tier]}.")
    elif one.tier == "unstated" and not asked.retreated:
        told.append("Whether fractures without symptoms were looked for is not stated; here all that were recorded.")
    if one.tier == "radiographic" or one.denominator_rule == "imaged":
        told.append(_BY_PLAN)
    if asked.symptomatic:
        told.append("Fractures recorded as painless are left out; those with nothing recorded count.")
    if one.counts == "unstated" and one.relation == "any" and one.unit != "new_fracture":
        told.append("Whether treated vertebrae count is not stated; here they do.")
    if asked.retreated and one.relation == "any":
        told.append("A second session that only finishes the first is no second treatment here; claims cannot tell.")
    if asked.by_distance:
        told.append(f"Vertebrae {_levels(asked)} from a treated one, as the quantity says.")
    return told


def _levels(asked: Asked) -> str:
    return f"{asked.within} levels" if asked.beyond == asked.within - 1 else f"up to {asked.within} levels"


def _of_window(one: FigureDefinition, film: str) -> list[str]:
    if film:
        return []
    words = {
        "mean": "A mean or median follow-up is taken as a window: some had less, some more.",
        "maximum": "Followed for at most so long, most for less.",
        "minimum": "Followed for at least so long, and events after that counted; here only those up to that day.",
        "none": "No window is given; here all follow-up, which may be longer or shorter than the study's.",
    }
    told = [words[one.window_kind]] if one.window_kind in words else []
    if one.basis == "survival":
        told.append("Whether death competed in the published curve is not recorded; here it does.")
    return told


def _of_denominator(one: FigureDefinition, rule: Rule | None, film: str, *, has_films: bool) -> list[str]:
    if rule is None or film or one.unit == "new_fracture":
        return []
    if one.denominator_rule == "imaged" and not has_films and rule == "followed":
        return ["Only those imaged were counted; the registry records no imaging, so here those followed."]
    if one.denominator_rule == "imaged" and rule == "reached":
        return ["Only those imaged were counted; here those followed so long, with a film or without."]
    if rule == "followed" and one.denominator_rule in _DENOMINATORS:
        return [_DENOMINATORS[one.denominator_rule]]
    if rule == "all" and one.denominator_rule in _ALL_HERE:
        return [f"{_ALL_HERE[one.denominator_rule]}; here everybody treated, death and loss as no event."]
    if rule == "all":
        return [_ALL_IN_BOTH]
    return []
