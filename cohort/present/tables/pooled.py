"""Tables of published shares pooled, with and without the registry as one more study.

A registry whose count is small is nowhere among the studies: `shown` takes it out before any table or figure is made,
since what is pooled with it gives it away by subtraction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import Cell, Column, Row, Table, estimate_cell, heading, of, public, records, row
from cohort.present.tables.published import LEVELS
from cohort.present.tables.reviewed import least_sure, read_in, study_name
from cohort.present.tables.risk import sentence_case
from cohort.tables.results import Estimates
from cohort.tables.reviewed import Reviewed

UNITS: Final = {
    "patient": "patients",
    "treated_vertebra": "treated vertebrae",
    "adjacent_vertebra": "adjacent vertebrae",
    "untreated_vertebra": "untreated vertebrae",
    "procedure": "procedures",
}
TIERS: Final = {
    "radiographic": "by film",
    "clinical": "by film and pain",
    "retreated": "treated again",
    "unstated": "definition not stated",
}
CELL: Final = ["relation", "tier", "unit"]
PERCENTS: Final = ("estimate", "conf_low", "conf_high", "weight", "shrunken", "i2", "i2_low", "i2_high")
SHARES: Final[dict[str, numbers.Kind]] = {
    **dict.fromkeys(PERCENTS, "percent"),
    **dict.fromkeys(("tau2", "tau2_low", "tau2_high"), "ratio"),
}
WITHHELD: Final = "withheld: too few to show"


def shown(found: Reviewed, rule: Disclosure) -> Reviewed:
    """The same without the registry wherever its events, its patients or those without an event are too few to show.

    >>> own = pd.DataFrame({"relation": ["same"], "tier": ["radiographic"], "unit": ["patient"], "n_events": [3.0],
    ...                     "n": [120.0], "estimate": [0.025], "conf_low": [0.01], "conf_high": [0.07], "reason": [""]})
    >>> kept = shown(Reviewed(own=own), Disclosure(5)).own
    >>> kept["reason"].tolist(), kept["n_events"].isna().tolist()
    (['withheld: too few to show'], [True])
    """
    own = found.own
    if own.empty or "n" not in own:
        return found
    hidden = rule.small(own["n_events"]) | rule.small(own["n"]) | rule.small(own["n"] - own["n_events"])
    kept = own.copy()
    kept.loc[hidden, ["n_events", "n", "estimate", "conf_low", "conf_high"]] = np.nan
    kept.loc[hidden, "reason"] = WITHHELD
    gone = {tuple(cell) for cell in own.loc[hidden, CELL].to_numpy().tolist()}

    def without(estimates: Estimates, always: str = "") -> Estimates:
        frame = estimates.frame
        if frame.empty:
            return estimates
        told = [cell not in gone for cell in frame[CELL].itertuples(index=False, name=None)]
        frame = frame[np.array(told, dtype=bool) | frame["row"].eq(always).to_numpy()].reset_index(drop=True)
        # The weight of the prior is one less that of the registry, and so tells its error.
        if "weight" in frame and always:
            left = [cell in gone for cell in frame[CELL].itertuples(index=False, name=None)]
            frame = frame.assign(weight=frame["weight"].mask(np.array(left, dtype=bool)))
        return Estimates(frame, estimates.settings)

    return replace(
        found, own=kept, with_registry=without(found.with_registry), toward=without(found.toward, always="prior")
    )


def cell_title(cell: Any) -> str:
    """A cell of what is pooled, in words; `cell` has relation, tier and unit.

    >>> cell_title(pd.Series({"relation": "same", "tier": "radiographic", "unit": "patient"}))
    'Same level, by film, share of patients'
    """
    level = LEVELS.get(str(cell.relation), sentence_case(str(cell.relation)))
    unit = UNITS.get(str(cell.unit), str(cell.unit).replace("_", " "))
    return f"{level}, {TIERS.get(str(cell.tier), str(cell.tier))}, share of {unit}"


def window(kind: object, days: float) -> str:
    """How long a study followed, as far as it says so.

    >>> window("mean", 347.0), window("minimum", 730.0), window("none", float("nan"))
    ('mean 347 days', '2 years or more', 'not stated')
    """
    if math.isnan(days):
        return "not stated"
    said = {"mean": "mean {}", "minimum": "{} or more", "maximum": "up to {}"}.get(str(kind), "{}")
    return said.format(numbers.days(days))


def pooled(found: Reviewed, rule: Disclosure) -> Table | None:
    """What the studies of each cell say together, what one study does to it, and what the registry does."""
    frame = found.pooled.frame
    if frame.empty:
        return None
    rows, notes, data = [], [], []
    for cell, block in cells_of(frame):
        rows.append(heading(cell_title(cell)))
        without = at(found.without_each.frame, cell)
        span = (
            f"{numbers.number(without['estimate'].min(), 'percent')} to "
            f"{numbers.number(without['estimate'].max(), 'percent')}"
            if len(without)
            else numbers.MISSING
        )
        rows.append(_pooled_row("Published studies", block, span))
        joined = at(found.with_registry.frame, cell)
        if len(joined):
            rows.append(_pooled_row("With this registry", joined, numbers.MISSING))
        of_cell = at(found.studies, cell)
        named = {
            "source": "; ".join(dict.fromkeys(of_cell["source"])),
            "confidence": ", ".join(f"{name} {n}" for name, n in of_cell["confidence"].value_counts().items()),
        }
        data.append(block.assign(with_registry="no", **named))
        data.append(joined[joined["row"] != "registry"].assign(with_registry="yes", **named))
        keys = _names(of_cell)
        level = cell_title(cell).partition(",")[0]
        notes.append(f"{level}, studies. {' '.join(_named(str(text), keys) for text in at(found.notes, cell)['note'])}")
        notes += [f"{level}, registry. {registry_note(r)}" for r in records(at(found.own, cell)) if registry_note(r)]
    few = found.cells[found.cells["pooled"] == "no"] if len(found.cells) else found.cells
    if len(few):
        cells = "; ".join(f"{cell_title(r).lower()}: {r.n_studies}" for r in records(few))
        notes.append(f"Not pooled, for want of three studies (how many there are): {cells}.")
    kept = ["row", "with_registry", "n_studies", "n_events", "n_patients", "estimate", "conf_low", "conf_high", "tau2",
            "tau2_low", "tau2_high", "i2", "i2_low", "i2_high", "source", "confidence"]  # fmt: skip
    table = pd.concat([part for part in data if len(part)], ignore_index=True)[[*CELL, *kept]]
    return Table(
        "pooled",
        "Published shares pooled, and the registry as one more study",
        "Unit: as named; denominator: the patients or vertebrae of the studies; window: each study's own, named below. "
        "Random-intercept logistic model, 95 % intervals; never across relations, definitions or units. Elsewhere: "
        "where the share of a new place is expected (95 %). Without one: lowest and highest when each study is left "
        "out in turn.",
        (
            Column("", "text"),
            Column("Studies"),
            Column("Events / N"),
            Column("Pooled, %", "estimate"),
            Column("Elsewhere, %"),
            Column("Without one, %"),
            Column("tau²"),
            Column("I², %"),
        ),
        tuple(rows),
        public(table, rule, values=SHARES),
        tuple(notes),
        long=True,
    )


def pooled_studies(found: Reviewed, rule: Disclosure) -> Table | None:
    """The studies behind each pooled share, with the registry where it is one of them."""
    if found.studies.empty:
        return None
    rows, parts = [], []
    for cell, block in cells_of(found.studies):
        rows.append(heading(cell_title(cell)))
        own = at(found.own, cell)
        own = own[own["reason"] == ""] if len(own) else own
        if len(own):
            joined = at(found.with_registry.frame, cell)
            one = joined[joined["row"] == "registry"].iloc[0] if len(joined) else {"weight": np.nan, "shrunken": np.nan}
            own = own.assign(
                study="registry", citation="This registry", window_kind="fixed", confidence="own data",
                source="this registry", weight=one["weight"], shrunken=one["shrunken"],
            )  # fmt: skip
        block = pd.concat([block, own.reindex(columns=block.columns)], ignore_index=True) if len(own) else block
        parts.append(block)
        for r in records(block):
            rows.append(
                row(
                    "This registry" if r.study == "registry" else study_name(r.citation, r.year),
                    of(numbers.count(r.n_events), numbers.count(r.n)),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent"),
                    window(r.window_kind, float(r.window_days)),
                    numbers.number(r.weight, "percent"),
                    read_in(r.confidence),
                    indent=True,
                )
            )
    data = pd.concat(parts, ignore_index=True)
    return Table(
        "pooled_studies",
        "The studies pooled",
        "Unit: as named; denominator: N; window: as the study gives it. Per cent with exact 95 % interval. Weight: of "
        "the drawing only (the likelihood has none); the registry's is its own among all with it.",
        (
            Column("Study", "text"),
            Column("Events / N"),
            Column("% (interval)", "estimate"),
            Column("Followed", "text"),
            Column("Weight, %"),
            Column("Read in", "text"),
        ),
        tuple(rows),
        public(data, rule, values=SHARES),
        long=True,
    )


def toward(found: Reviewed, rule: Disclosure) -> Table | None:
    """An option, labelled as one: the registry's share drawn toward the literature, under the prior that draws it."""
    frame = found.toward.frame
    if frame.empty:
        return None
    names = {
        "prior": "Prior: what the studies predict for a new place",
        "registry": "This registry, as counted",
        "shrunken": "Drawn toward the studies (option)",
    }
    rows, notes = [], []
    for cell, block in cells_of(frame):
        rows.append(heading(cell_title(cell)))
        for r in records(block):
            rows.append(
                row(
                    names[str(r.row)],
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent"),
                    numbers.number(r.weight, "percent"),
                    indent=True,
                )
            )
            if isinstance(r.note, str) and r.note:
                notes.append(f"{cell_title(cell).partition(',')[0]}: {r.note}.")
        if "registry" not in set(block["row"]):
            rows.append(row(names["registry"], Cell(WITHHELD), "", indent=True))
    kept = [*CELL, "row", "estimate", "conf_low", "conf_high", "weight", "note"]
    studies = found.studies.groupby(CELL, sort=False)["confidence"].agg(least_sure).rename("confidence").reset_index()
    data = frame[kept].merge(studies, on=CELL, how="left").assign(source="table pooled_studies")
    own_row = data["row"] == "registry"
    data = data.assign(
        source=data["source"].mask(own_row, "this registry"), confidence=data["confidence"].mask(own_row, "own data")
    )
    return Table(
        "toward_literature",
        "An option: the registry drawn toward the literature",
        "Unit: as named; denominator: patients followed to one year or fractured before (registry); window: one year "
        "against the studies' own. Normal on the log odds, 95 % limits too (so the prior is narrower than the interval "
        "for a new place); prior: the pooled share with the spread between studies; weight: of the prior and of the "
        "registry in the result. No other number of this report is drawn so.",
        (Column("", "text"), Column("% (interval)", "estimate"), Column("Weight, %")),
        tuple(rows),
        public(data, rule, values=SHARES),
        ("Honest only as far as the registry could have been one of the studies.", *dict.fromkeys(notes)),
    )


def _pooled_row(name: str, block: pd.DataFrame, span: str) -> Row:
    one, ahead = block[block["row"] == "pooled"].iloc[0], block[block["row"] == "prediction"].iloc[0]
    return row(
        name,
        numbers.count(one["n_studies"]),
        of(numbers.count(one["n_events"]), numbers.count(one["n_patients"])),
        estimate_cell(one["estimate"], one["conf_low"], one["conf_high"], "percent"),
        f"{numbers.number(ahead['conf_low'], 'percent')} to {numbers.number(ahead['conf_high'], 'percent')}",
        span,
        numbers.number(one["tau2"], "ratio"),
        numbers.number(one["i2"], "percent"),
        indent=True,
    )


def registry_note(own: Any) -> str:
    """What the registry does not share with the studies, or why it is not among them."""
    if own.reason == WITHHELD:
        return "This registry is not among them: it has too few patients or events to show."
    return sentence_case(str(own.reason)) if own.reason else str(own.differs)


def cells_of(frame: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """The cells of a frame in its order, each as something with relation, tier and unit."""
    return [(block.iloc[0], block) for _, block in frame.groupby(CELL, sort=False, observed=True)]


def at(frame: pd.DataFrame, cell: Any) -> pd.DataFrame:
    """The rows of one cell."""
    if frame.empty:
        return frame
    return frame[(frame["relation"] == cell.relation) & (frame["tier"] == cell.tier) & (frame["unit"] == cell.unit)]


def _names(studies: pd.DataFrame) -> Mapping[str, str]:
    return {str(r.study): study_name(r.citation, r.year) for r in records(studies)}


def _named(text: str, names: Mapping[str, str]) -> str:
    """A note in which studies go by their citation."""
    said = re.sub(rf"\b({'|'.join(map(re.escape, names))})\b", lambda found: names[found[0]], text) if names else text
    return said.removesuffix("….") + "…" if said.endswith("….") else said
