"""Tables on how the data were gathered: gaps by site, convenient dates and digits, levels, imaging, what is lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import (
    Cell,
    Column,
    Row,
    Table,
    estimate_cell,
    heading,
    public,
    records,
    row,
)

INCIDENCE = {"estimate": "percent", "conf_low": "percent", "conf_high": "percent"}
SHIFTS = {-1: "one level cranial", 0: "none", 1: "one level caudal"}
OUTCOMES = {"same": "Same level", "adjacent": "Adjacent", "remote": "Remote", "any": "Any refracture"}


def missing_by_site(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Missing and not assessable values by site, in per cent of the site's rows."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    sizes = frame[frame["table"] == "patients"].drop_duplicates("site")
    sites = [str(r.site) for r in records(sizes)]
    hidden = rule.small(frame["n_patients"]) | rule.small(frame["n_missing"])
    cells = {(r.table, r.column, r.site): _gap(r, bool(hidden[k])) for k, r in enumerate(records(frame))}
    rows: list[Row] = []
    for table, part in frame.groupby("table", sort=False, observed=True):
        rows.append(heading(str(table)))
        for column in part["column"].drop_duplicates():
            texts = [cells.get((table, column, site), numbers.MISSING) for site in sites]
            rows.append(row(str(column), *texts, indent=True))
    return Table(
        "missing_by_site",
        "Missing values by site",
        "Unit: accepted rows of the site's patients; per cent missing, and after the stroke per cent not assessable "
        "(looked at, could not be told), which are never added.",
        (Column("Column", "text"), *(Column(f"{r.site} (n = {rule.text(r.n_patients)})") for r in records(sizes))),
        tuple(rows),
        public(frame, rule, counts={"n_patients": rule.small(frame["n_patients"]), "n_missing": hidden}),
        ("n: patients of the site. A dash: no rows, or too few to show.",),
        long=True,
    )


def _gap(r: Any, hidden: bool) -> str:
    rows, missing, unclear = (float(getattr(r, name)) for name in ("n_rows", "n_missing", "n_not_assessable"))
    if hidden or not rows:
        return numbers.MISSING
    text = numbers.number(missing / rows, "percent")
    return text if math.isnan(unclear) else f"{text} / {numbers.number(unclear / rows, 'percent')}"


def heaping(frame: pd.DataFrame) -> Table | None:
    """Days and digits that occur more often than chance lets them: the flagged ones, or that there is none."""
    if frame.empty:
        return None
    flagged = frame[frame["flagged"]]
    rows = [
        row(
            str(r.table), str(r.column), str(r.what), numbers.count(r.n), numbers.count(r.n_total),
            numbers.number(r.estimate, "percent"), numbers.number(r.expected, "percent"),
        )
        for r in records(flagged)
    ]  # fmt: skip
    if not rows:
        rows = [row("None", *[numbers.MISSING] * 6)]
    return Table(
        "heaping",
        "Convenient dates and digits",
        f"Unit: dates or measurements. Of {len(frame)} comparisons, those that occur more than half as often again as "
        "expected (p < 0.001, exact binomial): the 1st and 15th of the month, 1 January, 1 July, weekends "
        "(procedures only); last digits 0 and 5.",
        (
            Column("Table", "text"),
            Column("Column", "text"),
            Column("Day or digit", "text"),
            Column("n"),
            Column("Of"),
            Column("Found, %"),
            Column("Expected, %"),
        ),
        tuple(rows),
        frame,
        (
            "Dates known to the month or year only, whose day is set by rule, are left out; so are columns of fewer "
            "than 50.",
        ),
    )


def heaped(heaping: pd.DataFrame, digits: pd.DataFrame) -> pd.DataFrame:
    """Dates and digits in one frame: table, column, what, n, n_total, estimate, expected, p_value, flagged."""
    parts = [
        heaping.rename(columns={"day": "what", "n_dates": "n_total"}),
        digits.rename(columns={"digit": "what", "n_values": "n_total"}).assign(
            what=lambda f: f["what"].astype(str) + " 0 or 5"
        )
        if len(digits)
        else digits,
    ]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def shifts(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Levels by site against all other sites."""
    if frame.empty:
        return None
    rows = [
        row(
            str(r.site),
            numbers.count(r.n),
            numbers.number(r.estimate, "percent"),
            numbers.number(r.others, "percent"),
            SHIFTS[int(r.shift)] if r.flagged else SHIFTS[0],
        )
        for r in records(frame)
    ]
    return Table(
        "level_shifts",
        "Treated levels by site",
        "Unit: treated vertebrae. Share at T11-L2, and whether the site's levels look like those of all other sites "
        "moved by one (as misnumbered spines would): a log-likelihood at least 5 above that of no shift.",
        (
            Column("Site", "text"),
            Column("Treated vertebrae"),
            Column("T11-L2, %"),
            Column("Other sites, %"),
            Column("Shift", "text"),
        ),
        tuple(rows),
        frame if rule.internal else frame.round(3),
        ("Sites of fewer than 30 treated vertebrae are left out.",),
    )


def imaged(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Who was imaged by when, in all and by site."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    windows = sorted(frame["time"].unique())
    rows: list[Row] = []
    for site, part in frame.groupby("site", sort=False, observed=True):
        found = {r.time: (r, bool(hidden[r.Index])) for r in records(part)}
        cells = [_share(*found[window]) if window in found else Cell(numbers.MISSING) for window in windows]
        n = rule.text(float(part["n_patients"].max()))
        rows.append(row(str(site) or "All patients", n, *cells, indent=bool(site)))
    return Table(
        "imaged",
        "Who was imaged by when",
        "Unit: patients of the main population; cumulative incidence of the first imaging after the day of the first "
        "procedure (any film or study), death competing, censored at the end of follow-up; per cent (interval).",
        (
            Column("Site", "text"),
            Column("Patients"),
            *(Column(numbers.days(window), "estimate", group="Imaged within, %") for window in windows),
        ),
        tuple(rows),
        public(
            frame.drop(columns=[c for c in ("stratum", "measure", "note", "std_error") if c in frame]),
            rule,
            counts={"n_events": rule.small(frame["n_events"]), "n_patients": rule.small(frame["n_patients"])},
            values=INCIDENCE,  # type: ignore[arg-type]
            hidden=hidden,
        ),
        ("Sites of fewer than 30 such patients are in the first row only.",),
    )


def _share(r: Any, hidden: bool) -> Cell:
    return estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", hidden)


def incomplete(frame: pd.DataFrame, sensitivity: pd.DataFrame, rule: Disclosure) -> Table | None:
    """One-year incidence with and without the patients who lost a row."""
    if frame.empty or sensitivity.empty or not float(frame["n_rows"].iloc[0]):
        return None
    wanted = sensitivity[sensitivity["variant"].isin(["main", "with_incomplete"])].reset_index(drop=True)
    if wanted["variant"].nunique() < 2:
        return None
    hidden = rule.small(wanted["n_events"])
    found = {(r.variant, r.outcome): (r, bool(hidden[r.Index])) for r in records(wanted)}
    rows = []
    for outcome, label in OUTCOMES.items():
        cells: list[str | Cell] = []
        for variant in ("main", "with_incomplete"):
            if (variant, outcome) not in found:
                break
            r, concealed = found[variant, outcome]
            cells.append(rule.text(float(r.n_patients)))
            cells.append(estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed))
        else:
            rows.append(row(label, *cells))
    return Table(
        "incomplete",
        "With and without incomplete patients",
        "Unit: patients; cumulative incidence at 1 year, death competing. Incomplete: an augmentation or fracture row "
        "of the patient was rejected for more than being a duplicate. The main figures leave them out.",
        (
            Column("Refracture", "text"),
            Column("Patients", group="Without (main)"),
            Column("% (interval)", "estimate", group="Without (main)"),
            Column("Patients", group="With"),
            Column("% (interval)", "estimate", group="With"),
        ),
        tuple(rows),
        public(
            wanted,
            rule,
            counts={"n_events": hidden, "n_patients": rule.small(wanted["n_patients"])},
            values=INCIDENCE,  # type: ignore[arg-type]
            hidden=hidden,
        ),
    )


def lost_sentence(frame: pd.DataFrame, rule: Disclosure) -> str:
    """How many patients are incomplete, and where their rows were lost."""
    if frame.empty or not float(frame["n_rows"].iloc[0]):
        return "No patient lost an augmentation or fracture row."
    n = rule.text(float(frame["n_rows"].iloc[0]))
    lost = frame.iloc[1:].sort_values("n_rows", ascending=False, kind="stable").head(4)
    places = [f"{r.table}, {r.column or 'the row itself'} ({numbers.count(r.n_rows)})" for r in records(lost)]
    return (
        f"{n} patients are incomplete: an augmentation or fracture row of theirs was rejected"
        + (f" (most often for {'; '.join(places)})" if places else "")
        + ". They are left out of the main figures."
    )


def flags_sentence(heaped: pd.DataFrame, shifts: pd.DataFrame) -> str:
    """What the tables below flag, in a sentence."""
    parts = []
    if len(heaped):
        n = int(np.sum(heaped["flagged"]))
        parts.append(
            f"{n} of {len(heaped)} comparisons of dates and digits heap on convenient values" if n
            else "no date and no measurement heaps on convenient values"
        )  # fmt: skip
    if len(shifts):
        n = int(np.sum(shifts["flagged"]))
        parts.append(
            f"the treated levels of {n} of {len(shifts)} sites look moved by one level" if n
            else f"the treated levels of none of {len(shifts)} sites look moved"
        )  # fmt: skip
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
