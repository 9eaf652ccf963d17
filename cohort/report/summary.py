"""The data-quality summary on one screen, as plain text, for `cohort check`: counts and row numbers, no values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import pandas as pd

from cohort.pipeline.stages import Cohort
from cohort.present import numbers
from cohort.present.tables import gaps
from cohort.present.tables.model import records
from cohort.tables.results import Registry
from cohort.tables.study_results import Quality

WIDTH = 80
MOST_PROBLEMS = 12
MOST_ROWS = 6
OUTCOMES = {"reject": "rejected", "blank": "value left empty", "warn": "warning"}


def summary(registry: Registry, problems: pd.DataFrame, missing: pd.DataFrame, found: Quality | None) -> str:
    """The screen: the account, the problems with where they stand, what is missing, and what the dates and films say.

    found : None where no patient was accepted, so that nothing beyond the account can be told.
    """
    lines = ["Rows read, accepted, rejected", ""]
    present = registry.accounting[registry.accounting["rows_read"] > 0]
    for r in records(present):
        lines.append(f"  {r.table:<18}{r.rows_read:>12,}{r.rows_accepted:>12,}{r.rows_rejected:>12,}")
    lines += ["", *_problems(registry, problems)]
    gappy = missing[(missing["n_rows"] > 0) & (missing["n_missing"] > 0.05 * missing["n_rows"])]
    if len(gappy):
        lines += ["", "Missing in more than 5 % of the accepted rows", ""]
        lines += _wrapped(
            ", ".join(
                f"{r.table}.{r.column} {numbers.number(r.n_missing / r.n_rows, 'percent')} %" for r in records(gappy)
            )
        )
    if found is not None:
        lines += ["", *_wrapped(gaps.flags_sentence(gaps.heaped(found.heaping, found.digits), found.shifts))]
        n = int(found.incomplete["n_rows"].iloc[0]) if len(found.incomplete) else 0
        lines += _wrapped(
            f"{n:,} patients are incomplete (a row of theirs was rejected) and left out of the main figures."
        )
        if len(found.imaged):
            whole = records(found.imaged[found.imaged["site"] == ""])
            shares = [f"{numbers.number(r.estimate, 'percent')} % by {numbers.days(r.time)}" for r in whole]
            lines += _wrapped(f"Imaged after the first procedure: {', '.join(shares)}.")
        else:
            lines += _wrapped("No imaging at follow-up is recorded.")
    return "\n".join(lines)


def check(registry: Registry, cohort: Cohort | None) -> str:
    """The summary of a registry; `cohort` is the same registry classified, where any patient was accepted."""
    from cohort.pipeline import describe, quality

    found = None if cohort is None else quality.quality(cohort)
    return summary(registry, describe.problems(registry), describe.missingness(registry), found)


def _problems(registry: Registry, problems: pd.DataFrame) -> Iterator[str]:
    if problems.empty:
        yield "No problem was found."
        return
    yield f"Problems found ({len(problems)} kinds; the commonest first within each outcome)"
    for outcome, name in OUTCOMES.items():
        part = problems[problems["outcome"] == outcome]
        for r in records(part.head(MOST_PROBLEMS)):
            yield ""
            where = f"{r.table}.{r.column}" if r.table and r.column else str(r.table or r.column or "source")
            yield f"  {name}: {where}, {r.n_rows:,} rows{_rows(registry, r)}"
            yield from _wrapped(str(r.sentence), indent=4)
        if len(part) > MOST_PROBLEMS:
            yield ""
            yield f"  {name}: and {len(part) - MOST_PROBLEMS} more kinds; `cohort normalize` writes them all."


def _rows(registry: Registry, problem: Any) -> str:
    """The first few row numbers of one problem."""
    outcome, table, column = problem.outcome, problem.table, problem.column
    frame = registry.rejected if outcome == "reject" else registry.warnings
    here = frame[(frame["table"] == table) & (frame["column"] == column)]
    if outcome == "reject":
        reason = here["reason"].astype(str).str.replace(r"\brow \d+", "another row", regex=True)
        here = here[reason == problem.sentence]
    else:
        here = here[here["check"] == problem.check]
    rows = [f"{row:,}" for row in here["row"].head(MOST_ROWS) if row]
    more = ", ..." if len(here) > len(rows) > 0 else ""
    return f" (row {', '.join(rows)}{more})" if rows else ""


def _wrapped(text: str, indent: int = 2) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False
    )
