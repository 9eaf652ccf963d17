"""Tables of the record: settings in force, files read, versions used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

import pandas as pd

from cohort.present import numbers
from cohort.present.tables.model import Column, Row, Table, heading, records, row

SECTIONS = {
    "population": "Who enters the main figures",
    "relation": "Relation to the treated vertebrae",
    "judgement": "Judgement of same-level sightings",
    "at_risk": "Time at risk",
    "exposures": "Exposures",
    "models": "Models",
    "disclosure": "Disclosure",
    "output": "Output",
}


def settings(frame: pd.DataFrame) -> Table | None:
    """Every setting with its value; those that differ from the default say so."""
    if frame.empty:
        return None
    rows: list[Row] = []
    for section, block in frame.groupby("section", sort=False, observed=True):
        rows.append(heading(SECTIONS.get(str(section), str(section))))
        for r in records(block):
            changed = str(r.value) != str(r.default)
            rows.append(
                row(
                    str(r.setting),
                    str(r.value) or numbers.MISSING,
                    f"changed; default {r.default or numbers.MISSING}" if changed else "default",
                    str(r.description),
                    indent=True,
                )
            )
    return Table(
        "settings",
        "Every setting in force",
        "As read from the study file; whatever it leaves out has its default.",
        (Column("Setting", "code"), Column("Value", "text"), Column("", "text"), Column("What it means", "text")),
        tuple(rows),
        frame,
        long=True,
    )


def inputs(frame: pd.DataFrame) -> Table | None:
    """Files read, with their digests."""
    if frame.empty:
        return None
    shown = frame.assign(source=[PurePath(str(name)).name for name in frame["source"]])
    rows = [
        row(
            str(r.table),
            str(r.source) + (f", sheet {r.sheet}" if isinstance(r.sheet, str) and r.sheet else ""),
            numbers.count(float(r.rows)) if pd.notna(r.rows) else numbers.MISSING,
            numbers.count(float(r.bytes)) if pd.notna(r.bytes) else numbers.MISSING,
            str(r.encoding) if isinstance(r.encoding, str) and r.encoding else numbers.MISSING,
            str(r.sha256)[:16],
        )
        for r in records(shown)
    ]
    return Table(
        "inputs",
        "Files read",
        "The first 16 characters of each file's SHA-256; the CSV and the manifest have all 64.",
        (
            Column("Table", "text"),
            Column("File", "text"),
            Column("Rows"),
            Column("Bytes"),
            Column("Encoding", "text"),
            Column("SHA-256", "code"),
        ),
        tuple(rows),
        shown,
    )


def versions(found: Mapping[str, str]) -> Table:
    """Software used."""
    data = pd.DataFrame({"software": list(found), "version": list(found.values())})
    return Table(
        "versions",
        "Software",
        "Versions that made this report.",
        (Column("Software", "text"), Column("Version", "code")),
        tuple(row(name, version) for name, version in found.items()),
        data,
    )
