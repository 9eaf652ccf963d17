"""A published figure is a fact only with its definition: what was counted, in whom, over what, and until when.

Every row of figures.csv has one definition, read from the words of its source and never from a guess: what the words
do not tell is `unstated`. A study definition can express part of it (`FigureDefinition.study`); what it cannot is said
in words (`FigureDefinition.not_mapped`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

import pandas as pd

from cohort.domain.errors import DefinitionError
from cohort.domain.study import Criterion, StudyDefinition
from cohort.literature import tables

# Documented in data/README.md, word by word.
TIER_WORDS: Final = {  # what it takes to be a same-level refracture
    "radiographic": "a change on film, with or without pain",
    "clinical": "a change on film with pain, or the registry's own judgement",
    "retreated": "a second augmentation of the level",
}
VOCABULARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "kind": (
        "proportion", "prevalence", "detection", "share_of_cases", "sampling_share", "event_free", "pooled", "count",
        "mean_time", "time_range", "sample_size",
    ),
    "event": (
        "fracture", "any_fracture", "reaugmentation", "leak", "death", "cleft", "treatment", "drug", "pain_relief",
        "cross_over", "follow_up", "recent_fracture", "place", "cement_pattern", "none",
    ),
    "relation": ("same", "adjacent", "remote", "any", "none"),
    "tier": (*tables.TIERS, ""),
    "unit": (
        "patient", "procedure", "treated_vertebra", "adjacent_vertebra", "untreated_vertebra", "fractured_vertebra",
        "new_fracture", "case", "leak", "unstated",
    ),
    "window_kind": tables.WINDOW_KINDS,
    "counting": (
        "first_event_per_unit", "every_event", "units_with_finding", "share_with_exposure", "estimated", "time", "none",
        "unstated",
    ),
    "denominator_rule": (
        "all_treated", "all_enrolled", "followed", "imaged", "at_risk", "selected", "sampled", "cases", "events",
        "found_otherwise", "not_printed", "none", "unstated",
    ),
    "basis": (*tables.BASES, "unstated", ""),
    "counts": ("untreated", "all", "unstated", ""),
    "derived": ("numerator", "denominator", ""),
    "placed": ("yes", "no"),
}  # fmt: skip

NOT_AUGMENTED: Final = ("not augmented", "augmented or not")
ARM_KEYS: Final = (
    "technique", "n_levels", "cleft", "corticosteroids", "anti_osteoporotic", "sex", "age",  # known at entry
    "sandwiched", "cement_endplate", "cement_pattern", "leak", "region", "n_fractures", "drug", "refractured", "cohort",
)  # fmt: skip
_CRITERIA: Final = ARM_KEYS[:7]

_NOT_A_PATIENT: Final = {
    "procedure": "by procedure",
    "treated_vertebra": "by treated vertebra",
    "adjacent_vertebra": "by adjacent vertebra",
    "untreated_vertebra": "by untreated vertebra",
    "fractured_vertebra": "by fractured vertebra",
    "new_fracture": "by new fracture",
    "case": "by case, among those who had the event",
    "leak": "by leak",
    "unstated": "by a unit that is not stated",
}
_WINDOWS: Final = {
    "mean": "a mean or median follow-up of {days} days is no end common to all",
    "minimum": "followed for at least {days} days, without an end common to all",
    "maximum": "followed for up to {days} days, most for less",
    "none": "none is given",
}
_COUNTING: Final = {
    "every_event": "every event counts, also several of one patient; a study's incidence counts the first",
    "units_with_finding": "units with a finding, no events",
    "share_with_exposure": "cases that carry an exposure, no events",
    "estimated": "an estimate without a numerator",
    "time": "times, no events",
    "none": "nothing is counted",
    "unstated": "not stated",
}
_DENOMINATORS: Final = {
    "all_enrolled": "everyone enrolled, also who was never augmented",
    "followed": "only those followed",
    "imaged": "only those imaged",
    "at_risk": "vertebrae at risk",
    "selected": "a selection of those treated",
    "sampled": "set by the sampling of cases and controls",
    "cases": "those who had the event",
    "events": "the events",
    "found_otherwise": "what another way of looking found",
    "not_printed": "not printed",
    "none": "none",
    "unstated": "a number is given, but not whether it is everyone treated or those followed",
}
_KINDS: Final = {
    "detection": "how much one way of looking finds or misses of what another found",
    "sampling_share": "a share that the sampling of cases and controls set",
    "event_free": "the share without the event, not with it",
    "pooled": "put together from several studies",
    "sample_size": "a size of sample only",
}


@dataclass(frozen=True)
class FigureDefinition:
    """What one published figure is. Words are those of `VOCABULARIES`; `arm` has a grammar of its own.

    window_days : days, NaN where none is given; of a mean time or a range of times it is that time itself. arm : who
    was counted, as words of NOT_AUGMENTED or `key=value` with the keys of ARM_KEYS, joined by "; "; "" is everyone
    augmented. printed : the per cent as the source printed it, "" where it did not or where that was not seen.
    derived : the number worked out from the printed per cent, so that the two agree by construction.
    """

    study_key: str
    quantity: str
    kind: str
    event: str
    relation: str
    tier: str
    unit: str
    window_kind: str
    window_days: float
    counting: str
    denominator_rule: str
    basis: str
    counts: str
    arm: str
    printed: str
    derived: str
    placed: str
    remark: str

    @property
    def population(self) -> tuple[tuple[str, str], ...]:
        """The restrictions of `arm` as pairs; those of NOT_AUGMENTED have an empty value."""
        pairs = (part.partition("=") for part in self.arm.split("; ") if part)
        return tuple((key, value) for key, _, value in pairs)

    def settings(self) -> dict[str, Any]:
        """The settings of a study that say the same, by section and name; what is not here is not mapped.

        >>> one = definition_of("lin2008", "refracture of cemented vertebra")
        >>> one.settings()["judgement.tier"], [criterion.column for criterion in one.settings()["population.criteria"]]
        ('radiographic', ['technique', 'n_levels'])
        """
        found: dict[str, Any] = {}
        if self.tier in ("radiographic", "clinical", "retreated"):
            found["judgement.tier"] = self.tier
        if self._has_end:
            found["models.windows_days"] = (int(self.window_days),)
            found["models.horizon_days"] = int(self.window_days)
        if self.relation in ("adjacent", "remote"):
            # Adjacent is the next vertebra in every source that says what it means by it.
            found["relation.reach"] = 1
        criteria = tuple(_criterion(key, value) for key, value in self.population if key in _CRITERIA)
        if criteria:
            found["population.criteria"] = criteria
        return found

    def study(self, base: StudyDefinition) -> StudyDefinition:
        """A study that asks for this figure, as far as a study definition can; everything else stays as in `base`.

        Criteria are added to those of `base`. Read it with `not_mapped`: without those words it is another figure.

        >>> one = definition_of("zhangzj_pvp_pkp", "same-level refracture within 1 year, PVP")
        >>> study = one.study(StudyDefinition())
        >>> study.judgement.tier, study.models.windows_days, study.population.criteria[0].one_of
        ('radiographic', (365,), ('vertebroplasty',))
        """
        result = base
        for setting, value in self.settings().items():
            section, _, name = setting.partition(".")
            if name == "criteria":
                value = (*base.population.criteria, *value)
            result = result.with_(section, **{name: value})
        return result

    def not_mapped(self) -> tuple[str, ...]:
        """What a study definition cannot express of this figure, each as `what: words`.

        >>> definition_of("hiwatashi2009", "further collapse of treated vertebra (vertebra level)").not_mapped()[:2]
        ('unit: counted by treated vertebra; a study counts patients', 'window: none is given')
        """
        told = [
            f"kind: {_KINDS[self.kind]}" if self.kind in _KINDS else "",
            f"event: {self.event.replace('_', ' ')}" if self.event not in ("fracture", "reaugmentation") else "",
            f"unit: counted {_NOT_A_PATIENT[self.unit]}; a study counts patients" if self.unit != "patient" else "",
            self._window_words(),
            f"counting: {_COUNTING[self.counting]}" if self.counting in _COUNTING else "",
            f"denominator: {_DENOMINATORS[self.denominator_rule]}" if self.denominator_rule in _DENOMINATORS else "",
            "tier: not stated; that of the study stays" if self.tier == "unstated" else "",
            "counts: treated vertebrae are left out; any level of a study holds them"
            if self.counts == "untreated"
            else "",
            "counts: whether treated vertebrae count is not stated" if self.counts == "unstated" else "",
            "basis: crude, so that loss and death before the end count as no event" if self.basis == "crude" else "",
            *(f"arm: {_arm_words(key, value)}" for key, value in self.population if key not in _CRITERIA),
        ]
        return tuple(words for words in told if words)

    @property
    def _has_end(self) -> bool:
        return self.window_kind == "fixed" and self.window_days > 0

    def _window_words(self) -> str:
        if self.window_kind in _WINDOWS and self.kind not in ("mean_time", "time_range"):
            days = "" if math.isnan(self.window_days) else f"{self.window_days:.0f}"
            return f"window: {_WINDOWS[self.window_kind].format(days=days)}"
        return "window: the procedure itself, no follow-up" if self.window_kind == "fixed" and not self._has_end else ""


def definition_of(study_key: str, quantity: str) -> FigureDefinition:
    """The definition of one figure, by the two columns that name it in figures.csv.

    Raises DefinitionError where there is no such figure.

    >>> definition_of("komemushi2006", "new fractures located adjacent").unit
    'new_fracture'
    """
    known = _joined()
    found = known[(known["study_key"] == study_key) & (known["quantity"] == quantity)]
    if len(found) != 1:
        raise DefinitionError(
            f"There is no published figure '{quantity}' of '{study_key}'; figures.csv lists those there are."
        )
    return _of(found.iloc[0].to_dict())


def facts() -> pd.DataFrame:
    """Every published figure with its definition, one row per figure, in the order of figures.csv.

    Columns: those of figures.csv (its `unit`, in the source's words, as `unit_printed`), those of FigureDefinition,
    `settings` and `not_mapped` (texts), and at the end `source` (where it was read) and `confidence`. Blanks stay
    blank.

    >>> table = facts()
    >>> len(table), bool((table["source"] != "").all() and (table["confidence"] != "").all())
    (196, True)
    """
    return _facts().copy()


@cache
def _facts() -> pd.DataFrame:
    joined = _joined()
    each = [_of(row) for row in joined.to_dict("records")]
    joined["settings"] = [_settings_words(one) for one in each]
    joined["not_mapped"] = ["; ".join(one.not_mapped()) for one in each]
    joined = joined.rename(columns={"source_where_read": "source"})
    last = ["source", "confidence"]
    return joined[[*(name for name in joined.columns if name not in last), *last]]


def _joined() -> pd.DataFrame:
    figures = tables.figures().rename(columns={"unit": "unit_printed"})
    return figures.merge(tables.figure_definitions(), on=["study_key", "quantity"], how="left", validate="1:1")


def _of(row: Mapping[Any, Any]) -> FigureDefinition:
    return FigureDefinition(**{one.name: row[one.name] for one in fields(FigureDefinition)})


def _criterion(key: str, value: str) -> Criterion:
    """One restriction as a criterion of eligibility; `n_levels=1` and `age=65 or more` are bounds, others words."""
    label = f"{key} {value}"
    if key == "n_levels":
        return Criterion(column=key, at_least=float(value), at_most=float(value), label=label)
    if key == "age":
        least = re.fullmatch(r"(\d+) or more", value)
        if least is None:
            raise DefinitionError(f"figure_definitions.csv: arm age={value} is not of the form 'age=65 or more'.")
        return Criterion(column=key, at_least=float(least[1]), label=label)
    return Criterion(column=key, one_of=(value,), label=label)


def _arm_words(key: str, value: str) -> str:
    return f"{key.replace('_', ' ')} {value}" if value else key


def _settings_words(one: FigureDefinition) -> str:
    parts = []
    for name, value in one.settings().items():
        words = ", ".join(criterion.label for criterion in value) if name == "population.criteria" else value
        parts.append(f"{name} = {words[0] if isinstance(words, tuple) else words}")
    return "; ".join(parts)
