"""Tables of published figures counted alike in the registry, and of the gap to each, with small counts hidden.

Figures counted alike are of overlapping patients: an arm is hidden too where it, or what it leaves of a larger group,
would tell a hidden count.
"""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.domain.clock import FloatArray
from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import (
    BoolArray,
    Column,
    Row,
    Table,
    estimate_cell,
    heading,
    of,
    public,
    records,
    row,
)
from cohort.present.tables.published import LEVELS, reason_marks, short_citation
from cohort.tables.like_for_like import LATE, STEPS, LikeForLike
from cohort.tables.results import Estimates

REGISTRY_COLUMNS: Final = (
    "n_events", "n", "n_patients", "n_events_all", "n_all", "estimate", "conf_low", "conf_high", "std_error", "ratio",
    "ratio_low", "ratio_high",
)  # fmt: skip
STEP_NUMBERS: Final = ("from_estimate", "to_estimate", "log_ratio", "percent", "n_events_main", "n_events", "n")
STEP_NAMES: Final = {
    "definition": "Definition",
    "unit": "Unit",
    "window": "Window",
    "censoring": "Censoring",
    "case_mix": "Case mix",
    "remains": "Remains",
}
TIERS: Final = {
    "radiographic": "by film",
    "clinical": "with pain",
    "retreated": "treated again",
    "unstated": "definition not stated",
    "": "",
}
TOO_FEW: Final = "Too few to show."
_SHARES: Final[dict[str, numbers.Kind]] = {
    "published": "percent", "published_low": "percent", "published_high": "percent", "estimate": "percent",
    "conf_low": "percent", "conf_high": "percent", "std_error": "percent", "ratio": "ratio", "ratio_low": "ratio",
    "ratio_high": "ratio",
}  # fmt: skip


def shown(found: LikeForLike, withheld: set[str], rule: Disclosure) -> LikeForLike:
    """The same without the registry's numbers that are hidden. withheld : outcomes with a hidden main estimate."""
    frame = found.figures.frame.reset_index(drop=True)
    if not rule.active or frame.empty:
        return found
    hidden = hidden_figures(frame, withheld, rule)
    out = frame.copy()
    out.loc[hidden, list(REGISTRY_COLUMNS)] = np.nan
    # Why a number is missing may tell that there is none.
    out.loc[hidden, "note"] = TOO_FEW
    all_told = rule.small(frame["n_events_all"]) | rule.small(frame["n_all"] - frame["n_events_all"])
    out.loc[all_told, ["n_events_all", "n_all"]] = np.nan
    steps = found.steps.reset_index(drop=True).copy()
    few = rule.small(steps["n_events_main"]) | rule.small(steps["n_events"])
    few = few | rule.small(steps["n"] - steps["n_events"])
    keys = pd.MultiIndex.from_frame(steps[["study_key", "quantity"]])
    gone = keys.isin(keys[few]) | keys.isin(pd.MultiIndex.from_frame(frame.loc[hidden, ["study_key", "quantity"]]))
    steps.loc[gone, list(STEP_NUMBERS)] = np.nan
    steps.loc[gone, "note"] = TOO_FEW
    return LikeForLike(Estimates(out, found.figures.settings), steps, found.left_out)


def hidden_figures(frame: pd.DataFrame, withheld: set[str], rule: Disclosure) -> BoolArray:
    """Figures whose registry numbers are hidden; shape (n,)."""
    rest = frame["n"] - frame["n_events"]
    hidden: BoolArray = frame["relation"].isin(withheld).to_numpy(dtype=bool)
    hidden = hidden | rule.small(frame["n_events"]) | rule.small(rest) | rule.small(frame["n_patients"])
    for _, block in frame.groupby("counted_as", sort=False):
        told = _told(block, rule)
        hidden[block.index] |= block["arm"].isin(told).to_numpy(dtype=bool)
    return hidden


def _told(block: pd.DataFrame, rule: Disclosure) -> set[str]:
    """Arms of figures counted alike that would tell a small count as a part, or as what is left of a larger arm."""

    def counts(events: float, n: float) -> FloatArray:
        return np.array([events, n - events, n])

    first = block.iloc[0]
    everybody = counts(first["n_events_all"], first["n_all"])
    arms = {str(r.arm): counts(r.n_events, r.n) for r in records(block) if r.arm}
    limits = {arm: frozenset(arm.split("; ")) for arm in arms}
    told: set[str] = set()
    parts: dict[tuple[str, ...], list[str]] = {}
    for arm, limit in limits.items():
        parts.setdefault(tuple(sorted(part.partition("=")[0] for part in limit)), []).append(arm)
    for members in parts.values():
        own = np.array([arms[arm] for arm in members])
        left = np.maximum(everybody - own.sum(axis=0), 0)
        for column in np.vstack([own, left]).T:
            concealed = rule.parts(column)[:-1]
            told |= {arm for arm, hide in zip(members, concealed, strict=True) if hide}
    for small, large in permutations(limits, 2):
        if limits[large] < limits[small] and rule.small(arms[large] - arms[small]).any():
            told.add(small)
    return told


def figures(found: LikeForLike, rule: Disclosure) -> Table | None:
    """Each study's main figures beside the registry counted alike; the CSV holds all. found : as `shown` gives it."""
    frame = found.figures.frame
    main = main_figures(frame)
    if main.empty:
        return None
    rows: list[Row] = []
    reasons: list[str] = []
    for title, block in grouped(main):
        rows.append(heading(title))
        rows += [_figure_row(r, reasons) for r in records(block)]
    absent = numbers.count(len(frame) - len(main))
    return Table(
        "literature",
        "Published figures, and this registry counted as each study counted",
        "Unit: patients unless the name says otherwise. Published per cent with its exact interval (from the counts "
        "printed); this registry under that study's definition, unit, window and way of counting, in its arm; ratio: "
        "registry over published, the two taken as independent. Window: ~ mean or median follow-up; d days. "
        "[n]: what still differs.",
        (
            Column("Published figure", "text"),
            Column("Window"),
            Column("n / N", group="Published"),
            Column("%", "estimate", group="Published"),
            Column("n / N", group="Registry, counted alike"),
            Column("%", "estimate", group="Registry, counted alike"),
            Column("Ratio", "estimate"),
        ),
        tuple(rows),
        public(frame, rule, values=_SHARES),
        (
            *(f"[{place}] {reason}" for place, reason in enumerate(reasons, 1)),
            f"In the CSV only: {absent} figures of subgroups or without a window; there with what each was counted as, "
            "where it was read and how surely.",
        ),
        long=True,
    ).with_notes(
        LATE if main["differs"].str.contains(LATE, regex=False).any() else "",
        _note(rule) if (frame["note"] == TOO_FEW).any() else "",
    )


def _note(rule: Disclosure) -> str:
    count = f"a count of 1 to {rule.minimum - 1}"
    return f"This registry's numbers are left out where they rest on {count}, or would tell one."


def main_figures(frame: pd.DataFrame) -> pd.DataFrame:
    """Each study's main figures; of a relation that has none, whatever is published as a share of patients."""
    main = frame["placed"] == "yes"
    bare = ~frame["relation"].isin(frame.loc[main, "relation"])
    return frame[main | (bare & (frame["unit"] == "patient"))]


def grouped(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Figures by relation and definition, each group with its heading; within it by the published share."""
    groups = []
    for level, name in LEVELS.items():
        for tier, words in TIERS.items():
            block = frame[(frame["relation"] == level) & (frame["tier"] == tier)]
            if len(block):
                title = f"{name}, {words}" if words else name
                groups.append((title, block.sort_values("published", kind="stable")))
    return groups


def _figure_row(r: Any, reasons: list[str]) -> Row:
    have = pd.notna(r.numerator) and pd.notna(r.denominator)
    own = pd.notna(r.n_events) and r.n > 0
    return row(
        name_of(r) + reason_marks(r.differs.replace(LATE, "").strip(), reasons),
        window_of(r),
        of(numbers.count(r.numerator), numbers.count(r.denominator)) if have else numbers.MISSING,
        estimate_cell(r.published, r.published_low, r.published_high, "percent"),
        of(numbers.count(r.n_events), numbers.count(r.n)) if own else numbers.MISSING,
        estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent"),
        estimate_cell(r.ratio, r.ratio_low, r.ratio_high, "ratio"),
        indent=True,
    )


def of_unit(unit: str) -> str:
    """What a share is of, in words; "" for patients.

    >>> of_unit("treated_vertebra"), of_unit("procedure"), of_unit("patient")
    ('of treated vertebrae', 'of procedures', '')
    """
    words = unit.replace("_", " ")
    many = words.replace("vertebra", "vertebrae") if words.endswith("vertebra") else f"{words}s"
    return "" if unit == "patient" else f"of {many}"


def name_of(r: Any) -> str:
    """Quantity, unit where it is no patient, and study of one figure."""
    unit = of_unit(str(r.unit))
    of_what = f" ({unit})" if unit else ""
    return f"{r.quantity}{of_what}: {short_citation(str(r.citation), r.year)}"


def window_of(r: Any) -> str:
    """The published window, in short."""
    if r.window_kind == "none" or pd.isna(r.window_days):
        return "not given"
    days = round(float(r.window_days))
    short = f"{days // 365} y" if days % 365 == 0 else f"{days:,} d"
    return {"mean": "~", "minimum": "≥", "maximum": "≤"}.get(str(r.window_kind), "") + short


def chosen_gaps(found: LikeForLike) -> list[tuple[str, str]]:
    """Which gaps are shown: of each relation the largest study, and of same level also the highest printed share.

    Only figures all of whose steps have a size.
    """
    steps, frame = found.steps, main_figures(found.figures.frame)
    whole = steps.groupby(["study_key", "quantity"], sort=False)["log_ratio"].agg(lambda s: bool(s.notna().all()))
    keys = pd.MultiIndex.from_frame(frame[["study_key", "quantity"]])
    usable = frame[keys.isin(whole.index[whole.to_numpy(dtype=bool)])]
    chosen: list[Any] = []
    for level in LEVELS:
        block = usable[usable["relation"] == level]
        wanted = [block["denominator"].idxmax()] if block["denominator"].notna().any() else []
        wanted += [block["published"].idxmax()] if len(block) and level == "same" else []
        chosen += [place for place in wanted if place not in chosen]
    return [(str(r.study_key), str(r.quantity)) for r in records(frame.loc[chosen])]


def steps_by_figure(found: LikeForLike) -> dict[tuple[str, str], list[Any]]:
    """The six steps of each figure, in their order."""
    by_figure: dict[tuple[str, str], list[Any]] = {}
    for step in records(found.steps):
        by_figure.setdefault((str(step.study_key), str(step.quantity)), []).append(step)
    return by_figure


def gaps(found: LikeForLike, rule: Disclosure) -> Table | None:
    """The gap from the registry's main figure to the chosen published ones, step by step; the CSV holds all steps."""
    chosen = chosen_gaps(found)
    if not chosen:
        return None
    figure = {(str(r.study_key), str(r.quantity)): r for r in records(found.figures.frame)}
    steps = steps_by_figure(found)
    rows: list[Row] = []
    reasons: list[str] = []
    for key in chosen:
        made = steps[key]
        rows.append(
            row(
                name_of(figure[key]),
                numbers.number(float(made[0].from_estimate), "percent"),
                *(_factor(step.log_ratio) + reason_marks(step.note, reasons) for step in made),
                numbers.number(float(made[-1].to_estimate), "percent"),
            )
        )
    return Table(
        "gap_steps",
        "From this registry's main figure to the published one, step by step",
        "Unit: one published figure a row. The main figure is of patients at one year, death competing, by this "
        "registry's own definition; each step multiplies it, and all six together give the published figure. One thing "
        "changes at a time, in the order given: another order would share the gap out differently.",
        (
            Column("Published figure", "text"),
            Column("Registry, %"),
            *(Column(STEP_NAMES[step], group="Times") for step in STEPS),
            Column("Published, %"),
        ),
        tuple(rows),
        public(
            found.steps,
            rule,
            values={"from_estimate": "percent", "to_estimate": "percent", "log_ratio": "ratio", "percent": "rate"},
        ),
        tuple(f"[{place}] {reason}" for place, reason in enumerate(reasons, 1)),
        long=True,
    ).with_notes(
        "1.00: nothing changes in that step. Age and sex are not standardized, since no study's are held as numbers."
    )


def _factor(log_ratio: float) -> str:
    return numbers.MISSING if math.isnan(log_ratio) else numbers.number(math.exp(log_ratio), "ratio")
