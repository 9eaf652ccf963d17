"""The arm of a published study, found in a registry by what was known of a patient on the first day at risk.

A restriction is made only where the registry records the thing at all; whoever lacks the value is then left out. What
cannot be restricted comes back in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from cohort import atrisk
from cohort.atrisk.eligibility import failed
from cohort.atrisk.members import Members
from cohort.domain import spine
from cohort.domain.clock import NEVER, BoolArray, IntArray
from cohort.domain.study import Criterion
from cohort.literature import FigureDefinition
from cohort.pipeline.stages import Cohort
from cohort.tables.drugs import drug_list

OUTSIDE: Final = ("refractured=adjacent",)  # arms whose clock starts with a refracture; no index procedure has them
BY_OUTCOME: Final = "refractured=any"
ANTI_OSTEOPOROTIC: Final = ("antiresorptive", "anabolic")
BISPHOSPHONATES: Final = ("M05BA", "M05BB")
_NOT_KNOWN: Final = ("", "not_assessable", "unknown")


@dataclass(frozen=True)
class Arm:
    """Who of the registry is of an arm. inside : shape (n_patients,), in the order of patients.

    unrestricted : restrictions of the study that the registry has no record for.
    """

    inside: BoolArray
    unrestricted: tuple[str, ...] = ()


class Arms:
    """The arms of many figures in one registry; every restriction is looked up once."""

    def __init__(self, cohort: Cohort, definitions: Iterable[FigureDefinition]) -> None:
        self._cohort = cohort
        self._n = len(cohort.tables["patients"])
        self._criteria = _criteria_met(cohort, definitions)
        self._found: dict[tuple[str, str], tuple[BoolArray, BoolArray]] = {}

    def of(self, definition: FigureDefinition, refractured: Callable[[], BoolArray]) -> Arm:
        """The patients of a figure's arm. refractured : who has a fracture as the figure counts them, if it is asked.

        An arm of those is chosen by the outcome, as its study did.
        """
        inside, unrestricted = np.ones(self._n, dtype=bool), []
        criteria = {criterion.column: criterion for criterion in _criteria(definition)}
        for key, value in definition.population:
            if f"{key}={value}" == BY_OUTCOME:
                met, known = refractured(), np.ones(self._n, dtype=bool)
            elif key in criteria:
                met, known = self._criteria[criteria[key].label]
            else:
                met, known = self._other(key, value)
            if known.any():
                inside &= met & known
            else:
                unrestricted.append(f"{key.replace('_', ' ')} {value}")
        return Arm(inside, tuple(unrestricted))

    def _other(self, key: str, value: str) -> tuple[BoolArray, BoolArray]:
        if (key, value) not in self._found:
            find = _FINDERS.get(key)
            nothing = np.zeros(self._n, dtype=bool)
            self._found[key, value] = (nothing, nothing) if find is None else find(self._at_index, value)
        return self._found[key, value]

    @cached_property
    def _at_index(self) -> _AtIndex:
        return _AtIndex(self._cohort)


class _AtIndex:
    """What each patient had been augmented for and with by entry."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.n = len(cohort.tables["patients"])
        self.ids = pd.Index(cohort.tables["patients"]["patient_id"])
        rows = cohort.augmentations
        who = self.ids.get_indexer(rows["patient_id"])
        entry = cohort.follow_up["entry"].to_numpy()[who]
        by_entry = rows["date"].isna().to_numpy() | (rows["date"].to_numpy() <= entry)
        self.rows, self.who = rows[by_entry], who[by_entry]

    def shares(self, values: pd.Series, true: BoolArray) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Per patient: whether all recorded values are true, whether any is, whether any is recorded."""
        recorded = (values.notna() & ~values.astype("object").isin(_NOT_KNOWN)).to_numpy(dtype=bool)
        every, some, known = (np.full(self.n, start) for start in (True, False, False))
        np.logical_and.at(every, self.who[recorded], true[recorded])
        np.logical_or.at(some, self.who[recorded], true[recorded])
        known[self.who[recorded]] = True
        return every, some, known


def _criteria(definition: FigureDefinition) -> tuple[Criterion, ...]:
    found: tuple[Criterion, ...] = definition.settings().get("population.criteria", ())
    return found


def _criteria_met(cohort: Cohort, definitions: Iterable[FigureDefinition]) -> dict[str, tuple[BoolArray, BoolArray]]:
    """Who meets each criterion and of whom it is known, by the criterion's label."""
    asked = {one.label: one for definition in definitions for one in _criteria(definition)}
    # Asked twice, once keeping who has no value: where the two differ, the value is missing.
    both = [one.model_copy(update={"missing": missing}) for one in asked.values() for missing in ("leave_out", "keep")]
    study = cohort.study.with_("population", criteria=tuple(both))
    fails = list(failed(cohort.tables, cohort.augmentations, study).values())
    return {label: (~fails[2 * place], fails[2 * place] == fails[2 * place + 1]) for place, label in enumerate(asked)}


def _word(column: str) -> Callable[[_AtIndex, str], tuple[BoolArray, BoolArray]]:
    """A column of augmentations: "x" is x in all vertebrae recorded, "not x" another value in any."""

    def find(at: _AtIndex, value: str) -> tuple[BoolArray, BoolArray]:
        word = value.removeprefix("not ")
        values = at.rows[column]
        every, _, known = at.shares(values, values.eq(word).to_numpy(dtype=bool))
        return (~every if value.startswith("not ") else every), known

    return find


def _leak(at: _AtIndex, value: str) -> tuple[BoolArray, BoolArray]:
    values = at.rows["leak"]
    _, some, known = at.shares(values, values.ne("none").to_numpy(dtype=bool))
    return (some if value == "any" else ~some), known


def _region(at: _AtIndex, value: str) -> tuple[BoolArray, BoolArray]:
    """Every vertebra treated by entry lies in the junction of the study; no other region is asked for."""
    first, last = at.cohort.study.exposures.junction
    levels = spine.LEVELS[spine.CODE[first] : spine.CODE[last] + 1]
    values = at.rows["level"].astype("object")
    every, _, known = at.shares(values, values.isin(levels).to_numpy(dtype=bool))
    return every, known & (value == "thoracolumbar")


def _fractures(at: _AtIndex, value: str) -> tuple[BoolArray, BoolArray]:
    """Several are two recorded, or two levels treated; whether the treated one is in the count is not known."""
    number = at.cohort.tables["patients"]["prior_fractures"].to_numpy(dtype=np.float64)
    levels = pd.Series(at.rows["level"].to_numpy()).groupby(at.who).nunique()
    several = np.maximum(np.nan_to_num(number), levels.reindex(range(at.n), fill_value=0).to_numpy()) >= 2
    return (several if value == "several" else ~several), ~np.isnan(number)


def _sandwiched(at: _AtIndex, value: str) -> tuple[BoolArray, BoolArray]:
    """Whether an untreated vertebra lay between two treated ones."""
    members = Members.of(at.cohort.tables, at.cohort.augmentations, at.cohort.study)
    entry: IntArray = members.follow_up.entry
    first_day = np.where(entry == NEVER, NEVER, entry + 1)
    treated = members.history.mask_before(np.arange(at.n, dtype=np.int64), first_day)
    between = spine.sandwiched(treated) != 0
    return (between if value == "yes" else ~between), treated != 0


def _drug(at: _AtIndex, value: str) -> tuple[BoolArray, BoolArray]:
    """On the drug or one of its group ("not": without it) on the first day at risk; placebo: nothing like it."""
    taken = atrisk.courses(at.cohort.tables, at.cohort.augmentations, at.cohort.study)
    who = at.ids.get_indexer(taken["patient_id"])
    entry = at.cohort.follow_up["entry"].to_numpy()[who]
    current = (taken["start"].to_numpy() <= entry) & (taken["stop"].to_numpy() > entry)
    name, kind = taken["drug"].astype("object"), taken["drug_class"].astype("object")
    without, value = value == "placebo" or value.startswith("not "), value.removeprefix("not ")
    if value == "placebo":
        wanted = kind.isin(ANTI_OSTEOPOROTIC)
    else:
        listed = drug_list()
        group = listed.loc[listed["atc"].fillna("").str.startswith(BISPHOSPHONATES), "drug"]
        wanted = name.eq(value) | kind.eq(value) | (name.isin(group) & (value == "bisphosphonate"))
    on = np.zeros(at.n, dtype=bool)
    on[who[current & wanted.to_numpy(dtype=bool)]] = True
    return (~on if without else on), np.full(at.n, len(taken) > 0)


_FINDERS: Final[dict[str, Callable[[_AtIndex, str], tuple[BoolArray, BoolArray]]]] = {
    "cement_endplate": _word("cement_endplate"),
    "cement_pattern": _word("cement_pattern"),
    "leak": _leak,
    "region": _region,
    "n_fractures": _fractures,
    "sandwiched": _sandwiched,
    "drug": _drug,
}
