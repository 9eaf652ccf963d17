"""A figure of the review stands beside the registry's own only with the reasons why the two compare, or do not.

Reasons are given in the order unit, denominator, window, censoring, definition. One that says the two are different
quantities makes `comparable` "no"; one that says they are one quantity under different conditions makes it "partly".
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.domain.clock import DAYS_PER_YEAR
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.domain.study import StudyDefinition
from cohort.literature import tables
from cohort.literature.facts import TIER_WORDS
from cohort.tables.results import Estimates

COLUMNS: Final = (
    "study_key", "citation", "year", "quantity", "event_level", "unit", "window_days", "numerator", "denominator",
    "percent", "wilson_low", "wilson_high", "confidence", "definition_note", "registry_outcome", "registry_measure",
    "registry_estimate", "registry_low", "registry_high", "comparable", "why", "statement", "version",
    "registry_events", "registry_n",
)  # fmt: skip

SAME_WINDOW: Final = 0.10  # a window this near (as a share of the study's) is the same one; else the nearest is taken
REFERENCE_WINDOW_DAYS: Final = 365  # stands beside a figure that names no window

INCIDENCE: Final = "cumulative incidence at {days} days, death competing"
PROPORTION: Final = "simple proportion of patients followed to {days} days"
SHARE: Final = "share of the counted same-level refractures, where recorded"
VERTEBRA_RISK: Final = "{days}-day risk of a vertebra in this role, from its rate per vertebra-year"

_OUTCOMES: Final = (*REFRACTURE_RELATIONS, "any")
_VERTEBRA: Final = ("vertebra", "adjacent vertebra")
_ROLE: Final = {"same": "treated", "adjacent": "adjacent", "remote": "remote"}


@dataclass
class _Verdict:
    """Reasons collected so far."""

    different: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)

    @property
    def comparable(self) -> str:
        return "no" if self.different else "partly" if self.conditions else "yes"

    @property
    def why(self) -> str:
        reasons = [*self.different, *self.conditions]
        return (
            " ".join(reasons)
            if reasons
            else "Same unit, event and window, and events counted over the same kind of group."
        )


def beside(
    incidence: Estimates,
    rates: Estimates,
    proportions: Estimates,
    study: StudyDefinition,
    *,
    shares: pd.DataFrame | None = None,
    headlines: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The review's headline figures beside the registry's, under the registry's own definition.

    Published figures of studies are counted as each study counted instead (`cohort.pipeline.like_for_like`).

    incidence, rates, proportions : the registry's results; fractions, and rates per 1,000 vertebra-years. A crude share
        with a fixed window is set beside the simple proportion, everything else of patients beside the cumulative
        incidence; a share of vertebrae beside `1 - exp(-rate * window)`.
    shares : the registry's shares among counted same-level refractures: share (cleft, thoracolumbar, new_injury),
        n_events, n, estimate, conf_low, conf_high; these stand beside the review's shares of cases.
    headlines : `tables.headlines()` unless given.

    Returns one row per headline figure with the columns of `COLUMNS`, in the order of the review. `percent` and every
    interval are per cent, so `registry_estimate`, `registry_low` and `registry_high` are too. Nothing is rounded; a
    missing number was not published. `version` : as stated, recomputed, corrected, pooled elsewhere.

    >>> curve = {"outcome": ["same"], "curve": ["per_relation"], "time": [730]}
    >>> incidence = Estimates(pd.DataFrame({**curve, "estimate": [0.02], "conf_low": [0.01], "conf_high": [0.03]}))
    >>> rates = Estimates(pd.DataFrame(columns=["unit", "level", "role", "estimate", "conf_low", "conf_high"]))
    >>> frame = beside(incidence, rates, proportions=incidence, study=StudyDefinition())
    >>> frame.query("statement == 'S19' and version == 'as stated'")[["numerator", "registry_estimate"]].values.tolist()
    [[10.0, 2.0]]
    """
    own = _Own(incidence.frame, rates.frame, proportions.frame, shares)
    published = _headline_rows(tables.headlines() if headlines is None else headlines)
    # The review's figures are few; nothing here grows with the registry.
    placed = [_place(row, own, study) for row in published.to_dict("records")]
    return pd.DataFrame(placed, columns=list(COLUMNS)).astype(
        {name: "float64" for name in COLUMNS if name in _NUMBERS},
    )


_NUMBERS: Final = (
    "year", "window_days", "numerator", "denominator", "percent", "wilson_low", "wilson_high",
    "registry_estimate", "registry_low", "registry_high", "registry_events", "registry_n",
)  # fmt: skip


def _headline_rows(headlines: pd.DataFrame) -> pd.DataFrame:
    label = headlines["quantity"] + " (" + headlines["statement"] + ", " + headlines["version"] + ")"
    return headlines.assign(quantity=label)


def _place(row: Mapping[Hashable, Any], own: _Own, study: StudyDefinition) -> dict[str, Any]:
    verdict = _Verdict()
    days = _window(row, study, verdict)
    found = own.find(row, days)
    _judge(row, found, days, study, verdict)
    note = "; ".join(part for part in (f"tier: {row['tier']}" if row["tier"] else "", row["remark"]) if part)
    return {
        **{name: row[name] for name in COLUMNS[:13]},
        "definition_note": note,
        "registry_outcome": found.outcome,
        "registry_measure": found.measure,
        "registry_estimate": found.estimate,
        "registry_low": found.low,
        "registry_high": found.high,
        "comparable": verdict.comparable,
        "why": verdict.why,
        "statement": row["statement"],
        "version": row["version"],
        "registry_events": found.events,
        "registry_n": found.n,
    }


def _nearest_window(days: float, study: StudyDefinition) -> tuple[int, float]:
    """The study's window nearest to these days, and how far off they are as a share of it."""
    windows = np.array(study.models.windows_days, dtype=np.float64)
    off = np.abs(windows - days) / windows
    nearest = int(off.argmin())
    return int(windows[nearest]), float(off[nearest])


def _window(row: Mapping[Hashable, Any], study: StudyDefinition, verdict: _Verdict) -> int:
    """The registry window to set beside a figure; conditions of a window that is not the same are noted."""
    if row["window_kind"] == "none" or np.isnan(row["window_days"]):
        return _nearest_window(REFERENCE_WINDOW_DAYS, study)[0]
    days, off = _nearest_window(row["window_days"], study)
    if off > SAME_WINDOW:
        verdict.conditions.append(f"The window is {round(row['window_days'])} days, the registry's {days} days.")
    return days


def _judge(row: Mapping[Hashable, Any], found: _Found, days: int, study: StudyDefinition, verdict: _Verdict) -> None:
    different, conditions = verdict.different, verdict.conditions
    if row["basis"] == "cases":
        (conditions if found.outcome else different).append(
            f"A share of those with the event (unit: {row['unit']}), not a risk: without the share among all treated "
            "it does not say who fractures."
        )
        return
    if not found.outcome:
        different.append(
            "Change of height without symptoms: the registry judges it as settling and counts no refracture."
        )
    elif row["unit"] in _VERTEBRA:
        different.append(
            "The unit is a vertebra without its time at risk; "
            f"the registry's value is a rate turned into a {days}-day risk."
        )
    elif row["unit"] != "patient":
        different.append(f"The unit ({row['unit']}) is no patient.")
    if row["unit_in_source"]:
        different.append(f"The unit is misquoted: the source's percentage is of each {row['unit_in_source']}.")
    if row["basis"] == "range":
        different.append("A range quoted from several sources, without numerator and denominator.")
    elif np.isnan(row["denominator"]) and row["basis"] == "crude":
        conditions.append("The denominator is not printed.")
    if row["window_kind"] == "none":
        different.append("No window is given, so the share depends on an unknown length of follow-up.")
    if row["basis"] == "pooled":
        conditions.append("Crude or pooled over studies with different follow-up and definitions.")
    _judge_definition(row, found, study, verdict)
    if found.outcome and np.isnan(found.estimate):
        different.append("The registry has no estimate for this window.")


def _judge_definition(row: Mapping[Hashable, Any], found: _Found, study: StudyDefinition, verdict: _Verdict) -> None:
    tier, own_tier = row["tier"], study.judgement.tier
    if found.outcome == "same":
        if tier in ("unstated", ""):
            verdict.conditions.append(f"The definition is not stated; the registry's is {TIER_WORDS[own_tier]}.")
        elif "radiographic" in (tier, own_tier) and tier != own_tier:
            # From 0.56 to 63 %: with same-level refracture the definition, not the population, makes the rate.
            verdict.different.append(f"Defined as {TIER_WORDS[tier]}; the registry's is {TIER_WORDS[own_tier]}.")
        elif tier != own_tier:
            verdict.conditions.append(f"Defined as {TIER_WORDS[tier]}; the registry's is {TIER_WORDS[own_tier]}.")
    elif found.outcome:
        if tier == "radiographic":
            verdict.conditions.append("Scheduled or repeated imaging also finds fractures without symptoms.")
        elif tier != "clinical":
            verdict.conditions.append("It is not stated whether fractures without symptoms were looked for.")
        if found.outcome == "any":
            verdict.conditions.append("It is not stated whether treated vertebrae count; in the registry they do.")
    if found.outcome in ("adjacent", "remote") and study.relation.reach != 1:
        verdict.conditions.append(f"The registry takes vertebrae up to {study.relation.reach} levels away as adjacent.")


@dataclass(frozen=True)
class _Found:
    """The registry's value for one published figure, in per cent; NaN where it has none."""

    outcome: str = ""
    measure: str = ""
    estimate: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    events: float = float("nan")
    n: float = float("nan")


class _Own:
    """The registry's estimates, by outcome and window."""

    def __init__(
        self, incidence: pd.DataFrame, rates: pd.DataFrame, proportions: pd.DataFrame, shares: pd.DataFrame | None
    ) -> None:
        self.shares = pd.DataFrame() if shares is None else shares.set_index("share")
        curve = np.where(incidence["outcome"] == "any", "composite", "per_relation")
        self.incidence = incidence[incidence["curve"] == curve]
        self.proportions = proportions
        main = rates["variant"] == "main" if "variant" in rates else np.ones(len(rates), dtype=bool)
        every_level = rates["level"].isna() | (rates["level"].astype(str) == "")
        self.rates = rates[main & every_level & (rates["unit"] == "vertebra")]

    def find(self, row: Mapping[Hashable, Any], days: int) -> _Found:
        """The counterpart of one published figure at a window of the study."""
        outcome = str(row["event_level"])
        if row["share"] and row["share"] in self.shares.index:
            share = self.shares.loc[row["share"]]
            estimate, low, high = (100 * float(share[name]) for name in ("estimate", "conf_low", "conf_high"))
            return _Found(outcome, SHARE, estimate, low, high, float(share["n_events"]), float(share["n"]))
        if outcome not in _OUTCOMES or row["basis"] == "cases":
            return _Found()
        if row["unit"] in _VERTEBRA:
            return self._vertebra_risk(outcome, days)
        if row["basis"] == "crude" and row["window_kind"] == "fixed":
            found = _at(self.proportions, outcome, days, PROPORTION)
            if not np.isnan(found.estimate):
                return found
        return _at(self.incidence, outcome, days, INCIDENCE)

    def _vertebra_risk(self, outcome: str, days: int) -> _Found:
        role = _ROLE.get(outcome, "")
        measure = VERTEBRA_RISK.format(days=days)
        rows = self.rates[self.rates["role"] == role]
        if rows.empty:
            return _Found(outcome, measure)
        per_year = rows.iloc[0][["estimate", "conf_low", "conf_high"]].to_numpy(dtype=np.float64) / 1000
        risk = -100 * np.expm1(-per_year * days / DAYS_PER_YEAR)
        return _Found(outcome, measure, *(float(value) for value in risk))


def _at(frame: pd.DataFrame, outcome: str, days: int, measure: str) -> _Found:
    rows = frame[(frame["outcome"] == outcome) & (frame["time"] == days)]
    if rows.empty:
        return _Found(outcome, measure.format(days=days))
    values = 100 * rows.iloc[0][["estimate", "conf_low", "conf_high"]].to_numpy(dtype=np.float64)
    return _Found(outcome, measure.format(days=days), *(float(value) for value in values))
