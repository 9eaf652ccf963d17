"""Drugs change with time, and are given because bones break: ratios by when they were taken, and what came before."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.factors import (
    COUNTS,
    VALUES,
    behind,
    csv_of,
    in_words,
    name_of,
    tellable,
    value_cell,
    with_columns,
)
from cohort.present.tables.model import Cell, Column, Row, Table, heading, records, row
from cohort.present.tables.ratios import Notes
from cohort.present.tables.risk import REFRACTURES

DRUGS: Final = {"anti_osteoporotic": "anti-osteoporotic drugs", "corticosteroids": "corticosteroids"}


def drugs(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The adjusted hazard ratio of each drug by use on the day, with lags, and from landmarks on."""
    frame = with_columns(frame, ("outcome", "exposure", "label", "analysis", *COUNTS, *VALUES, "note"))
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    if not tellable(frame, hidden):
        return None
    outcomes = [name for name in REFRACTURES if name in set(frame["outcome"])]
    cells = {(str(r.outcome), str(r.exposure), str(r.analysis)): r for r in records(frame)}
    notes = Notes(rule)
    rows: list[Row] = []
    for exposure, block in frame.groupby("exposure", sort=False, observed=True):
        rows.append(heading(name_of(block["label"].iloc[0]).removesuffix(", current")))
        for analysis in block["analysis"].drop_duplicates():
            found = [cells.get((outcome, str(exposure), str(analysis))) for outcome in outcomes]
            said = [in_words(r.note) for r in found if r is not None and not hidden[r.Index]]
            line: list[str | Cell] = [f"{_use(str(analysis))}{notes.marks(*said)}"]
            for r in found:
                if r is None:
                    line += [numbers.MISSING, Cell(numbers.MISSING)]
                else:
                    line += [behind(r, bool(hidden[r.Index]), rule), value_cell(r, bool(hidden[r.Index]))]
            rows.append(row(*line, indent=True))
    return Table(
        "drugs",
        "Drugs, by when they were taken",
        "Unit: vertebrae at risk in the role, clustered in patients; denominator: those with the drug and the "
        "covariates known, of landmarks those still at risk on the day; window: all follow-up, of landmarks what comes "
        "after. Adjusted hazard ratios; n: vertebrae.",
        (
            Column("", "text"),
            *(
                column
                for outcome in outcomes
                for column in (
                    Column("Events / n", group=REFRACTURES[outcome]),
                    Column("Ratio (interval)", "estimate", group=REFRACTURES[outcome]),
                )
            ),
        ),
        tuple(rows),
        csv_of(
            frame,
            ("outcome", "exposure", "label", "analysis", "adjusted_for", *COUNTS, *VALUES, "note"),
            rule, few=hidden, hidden=hidden, percent=np.zeros(len(frame), dtype=bool),
        ),
        (
            "Lag: use counts from so many days after a start to as many after the stop, for a drug that needs time to "
            "act. Landmark: only those still at risk on the day, by what they took on it. Together: one model of all "
            "landmarks, an event in it once for each landmark before it, clustered in patients; events are distinct.",
            *notes.footnotes,
        ),
    ).with_notes(rule.note() if hidden.any() else "")  # fmt: skip


def _use(analysis: str) -> str:
    """An analysis of drugs for readers.

    >>> _use("current use"), _use("lag 90 days"), _use("landmark day 90"), _use("landmark stacked")
    ('Use on the day', 'Lag of 90 days', 'Landmark: day 90', 'Landmarks together')
    """
    if analysis == "current use":
        return "Use on the day"
    if analysis == "landmark stacked":
        return "Landmarks together"
    return analysis.replace("landmark ", "Landmark: ").replace("lag ", "Lag of ")


def started(frame: pd.DataFrame, rule: Disclosure) -> list[str]:
    """How many courses of each drug began soon after a refracture, in sentences."""
    said = []
    for r in records(frame):
        name = DRUGS.get(str(r.exposure), str(r.label).lower())
        if not r.n_starts:
            said.append(f"No course of {name} began during follow-up.")
            continue
        after, people = int(r.n_after_fracture), int(r.n_patients_after)
        courses = f"{rule.text(float(r.n_starts), bool(rule.small(r.n_patients)) or None)} courses of {name}"
        # The others are told by the total: few of either kind are few to tell.
        if any(bool(rule.small(n)) for n in (people, after, r.n_starts - after, r.n_patients)):
            said.append(
                f"How many of {courses} that began during follow-up did so within {int(r.within_days)} days after a "
                "counted refracture is withheld: few did, or few did not."
            )
            continue
        share = f" ({numbers.number(after / float(r.n_starts), 'percent')} %)" if after else ""
        said.append(
            f"Of {courses} that began during follow-up, {numbers.count(float(after))}{share} began within "
            f"{int(r.within_days)} days after a counted refracture."
        )
    return said
