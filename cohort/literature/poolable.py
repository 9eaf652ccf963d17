"""Which published figures may be pooled with which, and why each of the others is left out.

A study gives one row: the whole cohort rather than its subgroups, arms without a common patient added together. Arms
that were not augmented, shares of cases, shares that sampling set, and figures of other meta-analyses never count.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

import pandas as pd

from cohort.domain.errors import EstimationError
from cohort.literature.facts import NOT_AUGMENTED, VOCABULARIES, facts
from cohort.literature.recompute_effects import ASYMMETRIC, recompute_effects
from cohort.literature.tables import effects

RELATIONS: Final = ("same", "adjacent", "remote", "any")
UNITS: Final = ("patient", "procedure", "treated_vertebra", "adjacent_vertebra", "untreated_vertebra")
TIERS: Final = ("clinical", "radiographic", "retreated", "unstated")  # in the order of choice where a study has several
REVIEW: Final = "jacobson2017"  # the review quotes its sources; what it quotes was not read in them
PLACEBO: Final = ("placebo", "none")
MEASURES: Final = ("OR", "HR", "RR")
ADJUSTMENTS: Final = ("adjusted", "crude", "randomised", "unclear")
UNSOUND: Final = ("selection", "mixes")  # words of a remark for a share that its own source makes unusable

_KINDS: Final = {
    "pooled": "pooled from several studies, which would count twice",
    "sampling_share": "the share was set by the sampling of cases and controls",
    "share_of_cases": "a share of those with the event, no risk",
    "count": "a count without a denominator",
    "mean_time": "a time, no share",
    "time_range": "a time, no share",
    "event_free": "an estimate of the share without the event, without numbers",
    "prevalence": "a share with a finding, no event",
    "detection": "how much one way of looking finds",
    "sample_size": "a size of sample only",
}
_BASES: Final = {
    "survival": "an estimate that allows for censoring, no count of events",
    "range": "a range from several sources",
    "cases": "a share of those with the event, no risk",
    "pooled": "pooled from several studies, which would count twice",
}
_ADJUSTED: Final = {"yes": "adjusted", "no": "crude", "randomised": "randomised"}
_FACTS: Final = (
    "study_key", "citation", "year", "quantity", "relation", "event", "tier", "unit", "window_kind", "window_days",
    "counts", "arm", "numerator", "denominator", "derived", "source", "confidence",
)  # fmt: skip
_EFFECTS: Final = (
    "study_key", "citation", "year", "exposure", "outcome", "measure", "adjustment", "meta_analysis", "unit",
    "estimate", "ci_low", "ci_high", "source", "confidence",
)  # fmt: skip


def poolable(
    relation: str | None = None,
    unit: str | None = None,
    tier: str | None = None,
    window: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """The published figures of a relation, with which may be pooled and why each of the others is left out.

    relation : same, adjacent, remote, any, or None for all. unit, tier : of `facts`, or None for any, one for each
        study. window : least and most days of follow-up; without it figures that name none may be pooled too.

    Returns one row per figure: its definition, numerator, denominator, `taken` (bool) and `why` (why it is left out,
    or how it was joined with others of its study; "" otherwise).

    >>> table = poolable("same", unit="patient", tier="radiographic")
    >>> int(table["taken"].sum()), table.query("study_key == 'lin2008'")["taken"].tolist()
    (9, [True])
    >>> table.query("study_key == 'yokoyama2012'")["why"].tolist()
    ['counted by treated vertebra, not by patient', 'not augmented']
    """
    known("relation", relation, RELATIONS)
    known("unit", unit, VOCABULARIES["unit"])
    known("tier", tier, TIERS)
    if window is not None and not 0 <= window[0] <= window[1]:
        raise EstimationError(f"window is {window[0]:g} to {window[1]:g} days; give the least and the most, in order.")
    table = facts()
    table = table[table["relation"] == relation] if relation is not None else table
    table = table.assign(why=_reasons(table, unit, tier, window)).reset_index(drop=True)
    table["taken"] = table["why"] == ""
    # The published tables are fixed and small.
    for _, group in table[table["taken"]].groupby(["study_key", "relation"], sort=False):
        if len(group) > 1:
            for place, taken, why in _one_row(group):
                table["taken"] = table["taken"].mask(table.index == place, taken)
                table["why"] = table["why"].mask(table.index == place, why)
    return table[[*_FACTS, "taken", "why"]]


def poolable_effects(
    exposure: str,
    outcome: str = "",
    *,
    unit: str = "patient",
    measure: str | None = None,
    adjustment: str | None = None,
    with_meta_analyses: bool = False,
) -> pd.DataFrame:
    """The published ratios with these words, with which may be pooled and why each of the others is left out.

    exposure, outcome : regular expressions, without regard to case, sought in effects.csv. measure : OR, HR or RR.
        adjustment : adjusted, crude, randomised or unclear. Both None for any.

    Returns one row per effect, `measure` and `adjustment` in those words, `meta_analysis` (bool), `taken` and `why`.

    >>> table = poolable_effects("cleft", "recollapse")
    >>> table[["study_key", "taken", "why"]].to_numpy().tolist()
    [['ma2021meta', False, 'a meta-analysis, whose studies would count twice']]
    """
    known("measure", measure, MEASURES)
    known("adjustment", adjustment, ADJUSTMENTS)
    table = effects()
    table["interval"] = recompute_effects()["interval"].to_numpy()
    table["meta_analysis"] = table["measure"].str.contains("pooled") | table["study_key"].str.contains("meta")
    table["measure"] = table["measure"].str.partition(" ")[0]
    table["adjustment"] = table["adjusted"].str.partition(" ")[0].map(_ADJUSTED).fillna("unclear")
    named = _with_words(table, "exposure", exposure) & _with_words(table, "outcome", outcome)
    table = table[named].reset_index(drop=True)
    checks: list[tuple[pd.Series, pd.Series | str]] = [
        (~table["measure"].isin(MEASURES), "no ratio: " + table["measure"]),
        (table["meta_analysis"] & (not with_meta_analyses), "a meta-analysis, whose studies would count twice"),
        (table[["estimate", "ci_low", "ci_high"]].isna().any(axis=1), "no interval printed"),
        (table["interval"] == ASYMMETRIC, "not in the middle of its own interval on the log scale"),
        (table["unit"] != unit, "counted by " + table["unit"] + f", not by {unit}"),
        (table["measure"] != (measure or table["measure"]), "measure " + table["measure"] + f", not {measure}"),
        (table["adjustment"] != (adjustment or table["adjustment"]), table["adjustment"] + f", not {adjustment}"),
    ]
    why = _first(checks, table.index)
    return table[list(_EFFECTS)].assign(taken=why == "", why=why)


def _with_words(table: pd.DataFrame, column: str, words: str) -> pd.Series:
    try:
        pattern = re.compile(words, re.IGNORECASE)
    except re.error as error:
        raise EstimationError(f"{column} {words!r} is no regular expression: {error}.") from error
    return table[column].map(lambda text: pattern.search(text) is not None)


def _reasons(table: pd.DataFrame, unit: str | None, tier: str | None, window: tuple[float, float] | None) -> pd.Series:
    """Why each figure is left out, the first reason that applies; "" where none does."""
    arm, days = table["arm"], table["window_days"]
    words = {name: table[name].str.replace("_", " ") for name in ("unit", "event", "tier")}
    checks: list[tuple[pd.Series, pd.Series | str]] = [
        (table["relation"] == "none", "no level of the spine, or not after augmentation"),
        (arm.str.contains(NOT_AUGMENTED[0], regex=False), "not augmented"),
        (arm.str.contains(NOT_AUGMENTED[1], regex=False), "not everyone was augmented"),
        (table["kind"] != "proportion", table["kind"].map(_KINDS)),
        (~table["event"].isin(["fracture", "reaugmentation"]), "no refracture: " + words["event"]),
        (arm.str.contains("refractured=", regex=False), "only patients who had fractured again already"),
        (table["study_key"] == REVIEW, "quoted by the review from another source, and not read there"),
        (table["basis"].isin(list(_BASES)), table["basis"].map(_BASES)),
        (table["remark"].str.contains("|".join(UNSOUND)), table["remark"]),
        (table["unit"] != (unit or table["unit"]), "counted by " + words["unit"] + f", not by {_plain(unit)}"),
        (table["tier"] != (tier or table["tier"]), "tier " + words["tier"] + f", not {tier}"),
        (table["numerator"].isna() | table["denominator"].isna(), "numerator or denominator not printed"),
    ]
    if window is not None:
        low, high = window
        checks.append((days.isna() | (table["window_kind"] == "none"), "no window is given"))
        checks.append(((days < low) | (days > high), "followed for " + days.map("{:g} days".format)))
    return _first(checks, table.index)


def _first(checks: Sequence[tuple[pd.Series, pd.Series | str]], index: pd.Index) -> pd.Series:
    """The first reason that applies to each row, else ""."""
    why = pd.Series("", index=index, dtype=object)
    for applies, reason in checks:
        why = why.mask(applies & (why == ""), reason)
    return why


def on_drug(pairs: Mapping[str, str]) -> bool:
    """Whether every patient of an arm had the drug under study.

    >>> on_drug({"drug": "zoledronate"}), on_drug({"drug": "not zoledronate"}), on_drug({})
    (True, False, False)
    """
    drug = pairs.get("drug", PLACEBO[0])
    return drug not in PLACEBO and not drug.startswith("not ")


def _one_row(group: pd.DataFrame) -> list[tuple[Hashable, bool, str]]:
    """Of several figures of one study: the place of each, whether it is taken, and why not or how.

    Drugs given to a whole arm, subgroups, and figures of the same patients give way; arms without a common patient are
    added together.
    """
    told: list[tuple[Hashable, bool, str]] = []
    quantity = group["quantity"].to_dict()
    arms = {place: restrictions(arm) for place, arm in group["arm"].items()}
    drugged = {place for place, pairs in arms.items() if on_drug(pairs)}
    left = list(arms)
    if 0 < len(drugged) < len(arms):
        told += [(place, False, "a drug given to every patient of the arm") for place in drugged]
        left = [place for place in left if place not in drugged]
    for place in list(left):
        whole = [other for other in left if arms[other].items() < arms[place].items()]
        if whole:
            told.append((place, False, f"a subgroup of '{quantity[whole[0]]}'"))
            left.remove(place)
    order = group.loc[left].assign(
        by_unit=[UNITS.index(one) if one in UNITS else len(UNITS) for one in group.loc[left, "unit"]],
        by_tier=[TIERS.index(one) for one in group.loc[left, "tier"]],
    )
    order = order.sort_values(
        ["by_unit", "by_tier", "window_days", "denominator"], ascending=[True, True, False, False], kind="stable"
    )
    chosen = [order.index[0]]
    cell = ["unit", "tier", "event", "window_kind", "window_days"]
    for place in order.index[1:]:
        alike = not order.loc[[chosen[0], place], cell].drop_duplicates().shape[0] > 1
        if alike and all(_apart(arms[place], arms[one]) for one in chosen):
            chosen.append(place)
        else:
            told.append((place, False, f"the same patients as '{quantity[chosen[0]]}'"))
    if len(chosen) > 1:
        told += [
            (place, True, f"one of {len(chosen)} arms without a common patient, added together") for place in chosen
        ]
    return told


def restrictions(arm: str) -> dict[str, str]:
    """Who an arm holds, as pairs of what and which.

    >>> restrictions("technique=kyphoplasty; n_levels=1")
    {'technique': 'kyphoplasty', 'n_levels': '1'}
    """
    return dict(part.partition("=")[::2] for part in arm.split("; ") if part)


def _apart(one: dict[str, str], other: dict[str, str]) -> bool:
    """Two arms have no patient in common when they differ in the value of something that both name."""
    return any(one[key] != other[key] for key in one.keys() & other.keys())


def _plain(unit: str | None) -> str:
    return "" if unit is None else unit.replace("_", " ")


def known(name: str, value: str | None, allowed: Sequence[str]) -> None:
    """Refuse a word that is not of these; None is any."""
    if value is not None and value not in allowed:
        raise EstimationError(f"{name} must be one of {', '.join(allowed)}, and is {value!r}.")
