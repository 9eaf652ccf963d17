"""The figures that the review states, beside the registry's own under its own definition."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import Column, Row, Table, estimate_cell, heading, of, records, row
from cohort.present.tables.risk import sentence_case

COMPARES = {"yes": "yes", "partly": "in part", "no": "no"}
LEVELS = {"same": "Same level", "adjacent": "Adjacent", "remote": "Remote", "any": "Any new fracture"}


def shown_literature(frame: pd.DataFrame, withheld: set[str], rule: Disclosure) -> pd.DataFrame:
    """The comparison without the registry's estimates of outcomes that are withheld, or of shares with a small part."""
    if frame.empty:
        return frame
    out = frame.reset_index(drop=True).copy()
    concealed = out["registry_outcome"].astype("object").isin(withheld)
    names = ["registry_estimate", "registry_low", "registry_high"]
    if "registry_events" in out:
        small = rule.small(out["registry_events"]) | rule.small(out["registry_n"] - out["registry_events"])
        concealed |= small
        names += ["registry_events", "registry_n"]
    out.loc[concealed, names] = np.nan
    return out


def review(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """What the review states, and what becomes of it when redone, whether it compares or not, by relation."""
    if frame.empty:
        return None
    order = {name: place for place, name in enumerate(LEVELS)}
    shown = frame.sort_values("event_level", key=lambda c: c.map(order).fillna(len(order)), kind="stable")
    rows: list[Row] = []
    reasons: list[str] = []
    for level, block in shown.groupby("event_level", sort=False, observed=True):
        rows.append(heading(LEVELS.get(str(level), sentence_case(str(level)))))
        for r in records(block):
            have = pd.notna(r.numerator) and pd.notna(r.denominator)
            rows.append(
                row(
                    str(r.quantity),
                    of(numbers.count(r.numerator), numbers.count(r.denominator)) if have else numbers.MISSING,
                    estimate_cell(r.percent / 100, r.wilson_low / 100, r.wilson_high / 100, "percent"),
                    numbers.days(r.window_days) if pd.notna(r.window_days) else "not stated",
                    estimate_cell(r.registry_estimate / 100, r.registry_low / 100, r.registry_high / 100, "percent"),
                    COMPARES[str(r.comparable)] + reason_marks(r.why, reasons),
                    str(r.confidence),
                    indent=True,
                )
            )
    data = shown.copy()
    if not rule.internal:
        for name in ("registry_estimate", "registry_low", "registry_high"):
            data[name] = [numbers.rounded(float(v) / 100, "percent") * 100 for v in data[name]]
    return Table(
        "review",
        "The review's figures and this registry's own",
        "Jacobson, Palea and Granville 2017, each figure as stated, and as recomputed or corrected from its source; "
        "beside it this registry's figure for the same relation and the nearest window, by its own definition. "
        "Unit: as named; S with a number: the statement.",
        (
            Column("Published figure", "text"),
            Column("n / N"),
            Column("Published, %", "estimate"),
            Column("Window"),
            Column("Registry, %", "estimate"),
            Column("Do they compare?", "text"),
            Column("How it was read", "text"),
        ),
        tuple(rows),
        data,
        tuple(f"[{place}] {reason}" for place, reason in enumerate(reasons, 1)),
        long=True,
    )


def reason_marks(why: object, reasons: list[str]) -> str:
    """Marks of the reasons in a text of several sentences; new reasons are added to the list."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", why.strip()) if isinstance(why, str) and why.strip() else []
    places = []
    for sentence in map(sentence_case, sentences):
        if sentence not in reasons:
            reasons.append(sentence)
        places.append(reasons.index(sentence) + 1)
    return f" [{', '.join(map(str, sorted(places)))}]" if places else ""


def short_citation(citation: str, year: float | None = None) -> str:
    """First author and year, enough to find the row in the CSV.

    >>> short_citation("Klazen CAH et al. Percutaneous vertebroplasty is not a risk factor. AJNR 2010", 2010)
    'Klazen 2010'
    >>> short_citation("Refracture of the cemented vertebrae after vertebroplasty. BMC 2021", 2021)
    'Refracture of the cemented… 2021'
    """
    when = "" if year is None or math.isnan(float(year)) else f" {int(year)}"
    words = citation.split()
    if len(words) > 1 and words[1].strip(",.").isupper() and len(words[1].strip(",.")) <= 4:
        return f"{words[0].strip(',')}{when}"
    return f"{' '.join(words[:4])}{'…' if len(words) > 4 else ''}{when}"
