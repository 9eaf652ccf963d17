"""Tables of the literature recomputed: verdicts on the review, and published figures worked out or had again."""

from __future__ import annotations

import math
import re
import textwrap
from typing import Any, Final

import pandas as pd

from cohort.present import numbers
from cohort.present.tables.model import Column, Row, Table, estimate_cell, heading, of, records, row
from cohort.present.tables.published import short_citation
from cohort.present.tables.risk import sentence_case
from cohort.tables.reviewed import Reviewed

MEANINGS: Final = {
    "reproduced": "the number follows from the numbers printed, or another source shows the same",
    "inconsistent": "it contradicts the review itself, its own cases, the source it cites, or what is pooled elsewhere",
    "units mixed": "said of patients, counted in vertebrae or among cases, or it is open which",
    "reference does not match": "a source cited for it measured something else, or the numbers are another source's",
    "not checkable": "no number is given, or what would decide was not read",
}
LONGEST: Final = 50


def verdicts(audit: pd.DataFrame) -> Table | None:
    """How many statements of the review got which verdict."""
    if audit.empty:
        return None
    rows, lines = [], []
    for verdict, meaning in MEANINGS.items():
        first = audit["verdict"].eq(verdict)
        second = audit["also"].str.contains(verdict, regex=False) & ~first
        read = audit.loc[first | second, "confidence"].value_counts()
        lines.append(
            {
                "verdict": verdict, "meaning": meaning, "n_first": int(first.sum()), "n_also": int(second.sum()),
                "statements": " ".join(audit.loc[first, "id"]), "statements_also": " ".join(audit.loc[second, "id"]),
                "source": "audit_statements.csv",
                "confidence": ", ".join(f"{name} {n}" for name, n in read.items()),
            }
        )  # fmt: skip
        rows.append(row(sentence_case(verdict).rstrip("."), meaning, str(first.sum()), str(second.sum())))
    return Table(
        "audit",
        "Verdicts on the review's statements",
        f"Unit: statements; denominator: the {len(audit)} quantitative or causal statements of Jacobson, Palea and "
        "Granville 2017; window: as each states. A statement has a first verdict and may have others.",
        (Column("Verdict", "text"), Column("What it means", "text"), Column("First"), Column("Also")),
        tuple(rows),
        pd.DataFrame(lines),
    )


def statements(audit: pd.DataFrame) -> Table | None:
    """Each statement of the review with its verdict and the first sentence of why; the CSV has all of it."""
    if audit.empty:
        return None
    rows: list[Row] = []
    for verdict in (name for name in MEANINGS if name in set(audit["verdict"])):
        rows.append(heading(sentence_case(verdict).rstrip(".")))
        rows += [
            row(f"{r.id}. {_short(r.statement, 120)}", _sentences(r.reason, 240), str(r.also), read_in(r.confidence))
            for r in records(audit[audit["verdict"] == verdict])
        ]
    return Table(
        "audit_statements",
        "The review's statements, one by one",
        "Unit, denominator and window: as each statement has them. Grouped by first verdict; texts in full, and what "
        "was worked out, in the CSV. Read in: where the least sure thing that the verdict rests on was read.",
        (
            Column("The review says", "text"),
            Column("Why", "text"),
            Column("Also", "text"),
            Column("Read in", "text"),
        ),
        tuple(rows),
        audit,
        ("A figure called inconsistent may still be true; it is not supported by what is cited for it.",),
        long=True,
    )


def recomputed(frame: pd.DataFrame) -> Table | None:
    """Published per cents that are not their own numerator over their own denominator; the CSV has all figures."""
    if frame.empty:
        return None
    found = frame["verdict"].value_counts()
    off = frame[frame["verdict"].isin(["differs", "within rounding"])].sort_values("verdict", kind="stable")
    rows = [
        row(
            _label(r, str(r.quantity)),
            of(numbers.count(r.numerator), numbers.count(r.denominator)),
            estimate_cell(r.percent / 100, r.exact_low / 100, r.exact_high / 100, "percent"),
            str(r.printed),
            str(r.why),
            read_in(r.confidence),
        )
        for r in records(off)
    ]
    return Table(
        "recomputed",
        "Printed per cents that do not come out as printed",
        "Unit: as named, mostly patients; denominator: as published; window: in the CSV where given. Per cent of the "
        f"published counts, exact 95 % interval. As printed: {found.get('exact', 0)}; with no printed per cent on "
        f"record: {found.get('not printed', 0)}; without both counts: "
        f"{int(frame['verdict'].isin(['no numerator', 'no denominator']).sum())}.",
        (
            Column("Published figure", "text"),
            Column("n / N"),
            Column("Worked out, %", "estimate"),
            Column("Printed, %"),
            Column("Why", "text"),
            Column("Read in", "text"),
        ),
        tuple(rows),
        frame,
        ("A blank in the CSV was not published, or not found; nothing is filled in.",),
    )


def effects(frame: pd.DataFrame) -> Table | None:
    """Published ratios that do not agree with their own interval or their own counts; the CSV has all."""
    if frame.empty:
        return None
    off = frame["interval"].eq("asymmetric") | frame["p_value"].eq("differs")
    off |= frame["against_counts"].isin(["differs", "within rounding"])
    rows = [
        row(
            _label(r, f"{r.exposure}, {r.outcome} ({r.measure})"),
            estimate_cell(r.estimate, r.ci_low, r.ci_high, "ratio"),
            numbers.number(r.middle, "ratio"),
            estimate_cell(r.from_counts, r.from_counts_low, r.from_counts_high, "ratio"),
            "; ".join(
                text
                for text, holds in (
                    ("not in the middle of its interval", r.interval == "asymmetric"),
                    ("its p-value differs", r.p_value == "differs"),
                    (f"from the counts: {r.against_counts}", r.against_counts in ("differs", "within rounding")),
                )
                if holds
            ),
            read_in(r.confidence),
        )
        for r in records(frame[off])
    ]
    symmetric = int(frame["interval"].isin(["symmetric", "within rounding"]).sum())
    return Table(
        "recomputed_effects",
        "Printed ratios that do not agree with their interval or counts",
        "Unit, denominator and window: as published. A ratio lies in the middle of its 95 % interval on the log scale: "
        f"{symmetric} of {int(frame['interval'].ne('no interval').sum())} with an interval do.",
        (
            Column("Published ratio", "text"),
            Column("Printed", "estimate"),
            Column("Middle"),
            Column("From counts", "estimate"),
            Column("What is off", "text"),
            Column("Read in", "text"),
        ),
        tuple(rows),
        frame,
    )


def reproduced(found: Reviewed) -> Table | None:
    """By study, how many published figures the pipeline gives again from a registry made of its counts."""
    frame, left = found.reproduced, found.not_reconstructed
    if frame.empty:
        return None
    rows: list[Row] = []
    for study, block in list(frame.groupby("study", sort=False))[:LONGEST]:
        met = block["verdict"].value_counts()
        own = block[block["study_key"] == study]
        first = (own if len(own) else block).iloc[0]
        tail = "" if len(own) else f", {str(study).removeprefix(str(first['study_key'])).strip('_')} series"
        name = study_name(first["citation"], first["year"]) + tail
        counts = [met.get(word, 0) for word in ("reproduced exactly", "within rounding", "not reproduced")]
        rows.append(row(name, *(str(int(n)) for n in (len(block), *counts)), read_in(least_sure(block["confidence"]))))
    totals = [int(frame["verdict"].eq(word).sum()) for word in ("reproduced exactly", "within rounding")]
    failed = int(frame["verdict"].eq("not reproduced").sum())
    rows.append(row("All", str(len(frame)), *map(str, totals), str(failed), "", kind="total"))
    beside = int(frame["part"].ne("").sum())
    reasons = left["reason"].value_counts() if len(left) else pd.Series(dtype="int64")
    why = [f"{sentence_case(str(text)).rstrip('.')}: {n}" for text, n in reasons.head(5).items()]
    rest = int(reasons.iloc[5:].sum())
    note = f"Not reconstructable, {len(left)} figures. {'; '.join(why)}{f'; other reasons: {rest}' if rest else ''}."
    return Table(
        "reproduced",
        "Published figures had again from registries made of their counts",
        f"Unit: published figures; denominator: {len(frame) - beside} figures of {frame['study'].nunique()} series and "
        f"{beside} numbers printed beside them; window: each study's own. Each series is written as a small registry "
        "that carries its printed counts and goes through reading, classification and counting as this one did.",
        (
            Column("Series", "text"),
            Column("Figures"),
            Column("Exactly"),
            Column("Within rounding"),
            Column("Not"),
            Column("Read in (least sure)", "text"),
        ),
        tuple(rows),
        found.reproduction,
        (
            "This shows that the stages count as the studies did; it does not show that the figures are true.",
            *([note] if len(left) else []),
            *(
                [f"In the CSV only: {frame['study'].nunique() - LONGEST} more series."]
                if len(rows) > LONGEST + 1
                else []
            ),
        ),
        long=True,
    )


def _label(r: Any, what: str) -> str:
    return f"{study_name(r.citation, r.year)}: {what}"


def _short(text: object, width: int) -> str:
    """Text cut at a word; all of it is in the CSV.

    >>> _short("one two three four", 12)
    'one two…'
    """
    return textwrap.shorten(str(text), width, placeholder="…")


def _sentences(text: object, width: int) -> str:
    """As many whole sentences as fit, at least the first of them, which may be cut.

    >>> _sentences("One is short. Two is longer than that.", 20)
    'One is short.'
    """
    said = re.split(r"(?<=[.!?])\s+(?=[A-Z\[])", str(text))
    kept = [part for k, part in enumerate(said) if len(" ".join(said[: k + 1])) <= width]
    return " ".join(kept) if kept else _short(said[0], width)


def study_name(citation: object, year: float, width: int = 40) -> str:
    """Who and when, or the first words of the title and when: the year is never cut off.

    >>> study_name("Klazen CAH et al. Percutaneous vertebroplasty. AJNR 2010", 2010.0)
    'Klazen 2010'
    >>> study_name("Efficacy of annual zoledronic acid in initial PKP patients", 2020.0, 26)
    'Efficacy of annual… 2020'
    """
    name = short_citation(str(citation), year)
    if "…" not in name:
        return name
    when = "" if math.isnan(year) else f" {year:.0f}"
    return _short(citation, width - len(when)) + when


def read_in(confidence: object) -> str:
    """Where a figure was read, in the words of a column headed "read in".

    >>> read_in("read in abstract"), read_in("title only"), read_in("own data")
    ('abstract', 'title only', 'own data')
    """
    return str(confidence).removeprefix("read in ")


def least_sure(read: pd.Series) -> str:
    """How surely the least sure of several figures was read.

    >>> least_sure(pd.Series(["read in source", "read in abstract"]))
    'read in abstract'
    """
    order = ("title only", "read in secondary", "read in abstract", "read in source")
    known = [name for name in order if name in set(read)]
    return known[0] if known else ", ".join(sorted(set(read)))
