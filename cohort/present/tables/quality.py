"""Tables on the data themselves: rows read, what was wrong with them, what is missing, how much was judged.

Counts of rows and of missing values describe the files, not patients, and are shown in full.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import Column, Row, Table, heading, public, records, row

OUTCOMES = {"reject": "Row rejected", "blank": "Value blanked, row kept", "warn": "Warned, kept as it is"}
MOST_ROW_NUMBERS = 40


def accounting(frame: pd.DataFrame) -> Table | None:
    """Rows read, accepted and rejected per table."""
    if frame.empty:
        return None
    present = frame[frame["rows_read"] > 0]
    rows = [
        row(
            str(r.table),
            numbers.count(r.rows_read),
            numbers.count(r.rows_accepted),
            numbers.count(r.rows_rejected),
            share(r.rows_rejected, r.rows_read),
        )
        for r in records(present)
    ]
    totals = present[["rows_read", "rows_accepted", "rows_rejected"]].sum()
    rows.append(
        row(
            "All tables",
            *(numbers.count(totals[name]) for name in ("rows_read", "rows_accepted", "rows_rejected")),
            share(totals["rows_rejected"], totals["rows_read"]),
            kind="total",
        )
    )
    return Table(
        "accounting",
        "Rows read, accepted and rejected",
        "Unit: source rows, before list cells are split. Accepted and rejected rows add up to the rows read.",
        (Column("Table", "text"), Column("Read"), Column("Accepted"), Column("Rejected"), Column("Rejected, %")),
        tuple(rows),
        frame,
    )


def share(part: float, whole: float) -> str:
    """A per cent, or a dash where there is no whole."""
    return numbers.number(part / whole, "percent") if whole else numbers.MISSING


def without_values(sentence: str) -> str:
    """A check's sentence without quoted values, which may be identifiers, and without the numbers of other rows.

    >>> without_values("level 'L7' is not a vertebra of this patient's spine")
    "level ‘…’ is not a vertebra of this patient's spine"
    >>> without_values("The row is an exact duplicate of row 812, which was kept.")
    'The row is an exact duplicate of an earlier row, which was kept.'
    """
    return re.sub(r"\brow \d+\b", "an earlier row", re.sub(r"(?<!\w)'[^']*'(?!\w)", "‘…’", sentence))


def summarised(problems: pd.DataFrame) -> pd.DataFrame:
    """Problems by check, one row for all rows that fail alike, without anything that a row held."""
    frame = problems.fillna({"column": "", "table": "", "sentence": "", "check": ""})
    frame = frame.assign(
        check=frame["check"].map(lambda text: without_values(str(text))),
        sentence=frame["sentence"].map(lambda text: without_values(str(text))),
    )
    return (
        frame.groupby(["outcome", "table", "column", "check"], sort=False, observed=True)
        .agg(n_rows=("n_rows", "sum"), sentence=("sentence", "first"))
        .reset_index()
    )


def problems(frame: pd.DataFrame) -> Table | None:
    """What was rejected, blanked or warned about, by check."""
    if frame.empty:
        return None
    found = summarised(frame)
    rows: list[Row] = []
    for outcome, text in OUTCOMES.items():
        part = found[found["outcome"] == outcome].sort_values("n_rows", ascending=False, kind="stable")
        if len(part):
            rows.append(heading(f"{text} ({numbers.count(part['n_rows'].sum())})"))
        rows += [
            row(str(r.table), str(r.column) or numbers.MISSING, str(r.sentence), numbers.count(r.n_rows), indent=True)
            for r in records(part)
        ]
    return Table(
        "problems",
        "What the checks found",
        "Unit: source rows; one row may fail several checks.",
        (Column("Table", "text"), Column("Column", "text"), Column("What was found", "text"), Column("Rows")),
        tuple(rows),
        found,
        ("Values that rows held are left out; cohort normalize writes every rejected row.",),
        long=True,
    )


def row_numbers(rejected: pd.DataFrame) -> Table | None:
    """Internal only: where the rejected rows stand, so that they can be put right."""
    if rejected.empty:
        return None
    keys = ["table", "source", "column"]
    frame = rejected.fillna({"column": "", "source": ""}).sort_values([*keys, "row"], kind="stable")
    grouped = frame.groupby(keys, sort=False, observed=True)["row"]
    data = grouped.agg(n_rows="size", rows=lambda values: " ".join(str(v) for v in values)).reset_index()
    rows = []
    for r in records(data):
        listed = str(r.rows).split()
        more = f" and {len(listed) - MOST_ROW_NUMBERS} more" if len(listed) > MOST_ROW_NUMBERS else ""
        rows.append(
            row(
                str(r.table),
                str(r.source),
                str(r.column) or numbers.MISSING,
                numbers.count(float(len(listed))),
                ", ".join(listed[:MOST_ROW_NUMBERS]) + more,
            )
        )
    return Table(
        "rejected_rows",
        "Where the rejected rows are",
        "Row numbers as a person sees them in the source file; the header is row 1. Internal edition only.",
        (
            Column("Table", "text"),
            Column("File", "text"),
            Column("Column", "text"),
            Column("Rows"),
            Column("Row numbers", "text"),
        ),
        tuple(rows),
        data,
        long=True,
    )


def missingness(frame: pd.DataFrame) -> Table | None:
    """Missing and not-assessable values of the columns that estimates rest on."""
    frame = frame[frame["n_rows"] > 0]
    if frame.empty:
        return None
    rows: list[Row] = []
    for table, part in frame.groupby("table", sort=False, observed=True):
        rows.append(heading(f"{table} ({numbers.count(float(part['n_rows'].iloc[0]))} rows)"))
        for r in records(part):
            unclear = float(r.n_not_assessable) if pd.notna(r.n_not_assessable) else np.nan
            rows.append(
                row(
                    str(r.column),
                    numbers.count(r.n_missing),
                    share(r.n_missing, r.n_rows),
                    numbers.count(unclear),
                    numbers.MISSING if np.isnan(unclear) else share(unclear, r.n_rows),
                    indent=True,
                )
            )
    return Table(
        "missingness",
        "Missing and not assessable values",
        "Unit: accepted rows. Missing (not recorded) and not assessable (looked at, could not be told) are "
        "never added.",
        (
            Column("Column", "text"),
            Column("n", group="Missing"),
            Column("%", group="Missing"),
            Column("n", group="Not assessable"),
            Column("%", group="Not assessable"),
        ),
        tuple(rows),
        frame,
        ("A dash: the column knows no such state.",),
        long=True,
    )


KINDS = {
    "new": "New",
    "progression": "Progression",
    "occult": "Occult",
    "unjudged": "Unjudged",
    "asymptomatic_collapse": "Asymptomatic collapse",
    "settling": "Settling",
    "old": "Old",
}


def judged(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """How same-level sightings were judged."""
    if frame.empty or not frame["n_sightings"].sum():
        return None
    frame = frame.reset_index(drop=True)
    seen = rule.parts(frame["n_sightings"])
    counted = rule.parts(frame["n_counted"])
    # Not counted = seen - counted, so a small difference gives the smaller of the two away.
    counted |= rule.small(frame["n_sightings"] - frame["n_counted"]) | (seen & (frame["n_counted"] > 0).to_numpy())
    rows = [
        row(
            KINDS.get(str(r.kind_judged), str(r.kind_judged)),
            str(r.judged_cell).replace("_", " ") if str(r.judged_cell) not in ("", "nan") else numbers.MISSING,
            rule.text(r.n_sightings, seen[i]),
            rule.text(r.n_counted, counted[i]),
        )
        for i, r in enumerate(records(frame))
    ]
    table = Table(
        "judged",
        "How same-level sightings were judged",
        "Unit: sightings of treated vertebrae, repeats included. The cell names what imaging and pain showed.",
        (Column("Judged as", "text"), Column("By", "text"), Column("Sightings"), Column("Counted")),
        tuple(rows),
        public(frame, rule, counts={"n_sightings": seen, "n_counted": counted}),
        ("A dash under By: the registry's own judgement, or nothing to judge from.",),
    )
    return table.with_notes(rule.note() if (seen | counted).any() else "")


RELATIONS = ("before_treatment", "same", "adjacent", "remote")


def onset(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Relation on the day found against relation on the earliest day possible."""
    if frame.empty:
        return None
    wide = frame.pivot_table(
        index="relation", columns="relation_earliest", values="n", aggfunc="sum", fill_value=0, observed=True
    )
    found = [name for name in RELATIONS if name in wide.index]
    earliest = [name for name in RELATIONS if name in wide.columns]
    wide = wide.loc[found, earliest]
    hidden = rule.parts(wide.to_numpy().ravel()).reshape(wide.shape)
    rows = [
        row(
            _relation(name),
            *(rule.text(float(v), bool(h)) for v, h in zip(wide.loc[name], hidden[i], strict=True)),
        )
        for i, name in enumerate(found)
    ]
    long = wide.reset_index().melt(id_vars="relation", value_name="n")
    masks = pd.DataFrame(hidden, index=wide.index, columns=wide.columns).reset_index().melt(id_vars="relation")
    table = Table(
        "onset",
        "When the fracture may have happened",
        "Unit: counted refractures with an earlier film that showed the vertebra whole. Rows: relation on the "
        "day found; "
        "columns: relation on the day after that film. Off the diagonal, treatment came between.",
        (Column("When found", "text"), *(Column(_relation(name), group="On the earliest day") for name in earliest)),
        tuple(rows),
        public(long, rule, counts={"n": masks["value"].to_numpy(dtype=bool)}),
    )
    return table.with_notes(rule.note() if hidden.any() else "")


def _relation(name: str) -> str:
    return {"same": "same level", "before_treatment": "before treatment"}.get(name, name)
