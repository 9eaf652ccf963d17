"""Findings that nobody knows: how many, which together, and what the effects would be if they were known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.factors import (
    COUNTS,
    UNITS,
    VALUES,
    behind,
    csv_of,
    few_on_one_side,
    in_words,
    tellable,
    value_cell,
    with_columns,
)
from cohort.present.tables.model import Cell, Column, Row, Table, heading, public, records, row
from cohort.present.tables.ratios import Notes
from cohort.present.tables.risk import COVARIATES, REFRACTURES, sentence_case

PATTERNS: Final = 8
STATES: Final = ("known", "not assessable", "missing")
UNIT_WORDS: Final = {"treated vertebra": "Treated vertebrae", "patient": "Patients"}


def missing_states(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Known, not assessable and missing of every exposure and covariate, once per kind of unit."""
    found = _once_per_unit(frame, "state")
    if found.empty:
        return None
    hidden = np.zeros(len(found), dtype=bool)
    for _, block in found.groupby(["unit", "term"], sort=False, observed=True):
        places = block.index.to_numpy()
        hidden[places] = rule.parts(block["n_units"]) | rule.parts(block["n_patients"])
    cells = {(r.unit, r.term, r.state): (r, bool(hidden[r.Index])) for r in records(found)}
    rows: list[Row] = []
    for unit, of_unit in found.groupby("unit", sort=False, observed=True):
        rows.append(heading(_population(of_unit, rule)))
        for term in of_unit["term"].drop_duplicates():
            line: list[str] = []
            for state in STATES:
                r, concealed = cells[unit, term, state]
                line += [
                    rule.text(float(r.n_units), concealed),
                    numbers.MISSING if concealed else _share(r),
                    rule.text(float(r.n_patients), concealed),
                ]
            rows.append(row(sentence_case(COVARIATES.get(str(term), str(term)))[:-1], *line, indent=True))
    headers = ("n", "%", "Patients")
    return Table(
        "missing_states",
        "What is known of each finding",
        "Unit: treated vertebrae, and patients (those at risk of an adjacent refracture); denominator: all of them; "
        "window: as recorded at entry. Not assessable: looked for, and could not be told; missing: never looked for, "
        "or lost. Neither is a no. A patient may have vertebrae of several kinds.",
        (
            Column("", "text"),
            *(Column(header, group=state.capitalize()) for state in STATES for header in headers),
        ),
        tuple(rows),
        public(
            found[["outcome", "unit", "term", "state", "n_units", "n_patients", "estimate"]],
            rule,
            counts={"n_units": hidden, "n_patients": hidden},
            values={"estimate": "percent"},
            hidden=hidden,
        ),
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")


def _share(r: Any) -> str:
    """Per cent of a count that is shown; none is 0."""
    return numbers.number(float(r.estimate), "percent") if r.n_units else "0"


def missing_patterns(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """What is missing together: the commonest patterns of each kind of unit, and all others as one."""
    found = _once_per_unit(frame, "pattern")
    if found.empty:
        return None
    parts = []
    for unit, of_unit in found.groupby("unit", sort=False, observed=True):
        first, rest = of_unit.iloc[:PATTERNS], of_unit.iloc[PATTERNS:]
        block = first[["outcome", "unit", "term", "n_units", "n_patients", "estimate"]]
        if len(rest):
            other = {"outcome": first["outcome"].iloc[0], "unit": unit, "term": f"{len(rest)} other patterns"}
            sums = {"n_units": rest["n_units"].sum(), "n_patients": np.nan, "estimate": rest["estimate"].sum()}
            block = pd.concat([block, pd.DataFrame([{**other, **sums}])])
        parts.append(block)
    shown = pd.concat(parts, ignore_index=True)
    hidden = np.zeros(len(shown), dtype=bool)
    for _, block in shown.groupby("unit", sort=False, observed=True):
        counts = block["n_patients"].fillna(block["n_units"])
        hidden[block.index.to_numpy()] = rule.parts(block["n_units"]) | rule.parts(counts)
    rows: list[Row] = []
    for _, of_unit in shown.groupby("unit", sort=False, observed=True):
        rows.append(heading(_population(of_unit, rule)))
        for r in records(of_unit):
            concealed = bool(hidden[r.Index])
            rows.append(
                row(
                    sentence_case(in_words(r.term))[:-1],
                    rule.text(float(r.n_units), concealed),
                    numbers.MISSING if concealed else numbers.number(float(r.estimate), "percent"),
                    rule.text(float(r.n_patients), concealed),
                    indent=True,
                )
            )
    return Table(
        "missing_patterns",
        "What is missing together",
        "Unit: treated vertebrae, and patients (those at risk of an adjacent refracture); denominator: all of them; "
        f"window: as recorded at entry. The {PATTERNS} commonest patterns over every exposure and covariate; what a "
        "pattern does not name is known.",
        (Column("", "text"), Column("n"), Column("%"), Column("Patients")),
        tuple(rows),
        public(
            shown, rule, counts={"n_units": hidden, "n_patients": hidden}, values={"estimate": "percent"}, hidden=hidden
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def _once_per_unit(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows of one measure, of the first outcome with each kind of unit."""
    if frame.empty:
        return frame
    found = frame[frame["measure"] == measure]
    first = found.drop_duplicates("unit")[["unit", "outcome"]]
    return found.merge(first, on=["unit", "outcome"]).reset_index(drop=True)


def _population(block: pd.DataFrame, rule: Disclosure) -> str:
    """A kind of unit with how many there are."""
    share = block["estimate"].to_numpy(dtype=np.float64)
    counts = block["n_units"].to_numpy(dtype=np.float64)
    total = float(np.round((counts[share > 0] / share[share > 0])[0])) if (share > 0).any() else math.nan
    return f"{UNIT_WORDS.get(str(block['unit'].iloc[0]), str(block['unit'].iloc[0]))} (n = {rule.text(total)})"


def imputed(frame: pd.DataFrame, rare: pd.DataFrame, settings: Mapping[str, Any], rule: Disclosure) -> Table | None:
    """Complete cases, multiple imputation and shifted imputations side by side; None where nothing was to be imputed.

    settings : those of `RiskFactors.imputed` (draws). rare : as there, for what few on one side would tell.
    """
    frame = with_columns(frame, ("outcome", "exposure", "label", "analysis", "measure", "method", *COUNTS, *VALUES))
    frame = with_columns(frame, ("fmi", "note", "n_exposed_events", "n_fits"))
    few = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    sided = few_on_one_side((frame[frame["analysis"] == "complete case"], rare), rule)
    one_side = np.array([pair in sided for pair in zip(frame["outcome"], frame["exposure"], strict=True)], dtype=bool)
    hidden = few | (one_side & (frame["measure"] == "risk_difference").to_numpy())
    if not tellable(frame, hidden) or (frame["analysis"] == "complete case").all():
        return None
    shift = frame["analysis"].str.extract(r"shift ([+-])", expand=False)
    columns = frame["analysis"].where(shift.isna(), shift.map({"-": "lower", "+": "higher"}))
    frame = frame.assign(column=columns, few=few, concealed=hidden)
    wanted = (
        ("complete case", "hazard_ratio"), ("multiple imputation", "hazard_ratio"), ("lower", "hazard_ratio"),
        ("higher", "hazard_ratio"), ("multiple imputation", "risk_difference"),
    )  # fmt: skip
    notes = Notes(rule)
    rows: list[Row] = []
    for outcome, of_outcome in frame.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture{_imputed_of(of_outcome, rule)}"))
        for _, block in of_outcome.groupby("exposure", sort=False, observed=True):
            fitted = {(str(r.column), str(r.measure)): r for r in records(block)}
            said = [in_words(r.note) for r in fitted.values() if not r.concealed]
            whole = fitted.get(("complete case", "hazard_ratio"))
            line: list[str | Cell] = [
                f"{block['label'].iloc[0]}{notes.marks(*said)}",
                numbers.MISSING
                if whole is None or math.isnan(whole.n_events)
                else behind(whole, bool(whole.few), rule),
            ]
            for key in wanted:
                r = fitted.get(key)
                kind: numbers.Kind = "percent" if key[1] == "risk_difference" else "ratio"
                line.append(Cell(numbers.MISSING) if r is None else value_cell(r, bool(r.concealed), kind))
            rows.append(row(*line, indent=True))
    draws = f", {settings['draws']} times" if settings.get("draws") else ""
    return Table(
        "imputed",
        "Findings that are missing: left out, imputed, and imputed as if they were different",
        "Unit: treated vertebrae (same level) or patients, exposures as at entry, clustered in patients; denominator: "
        "those with the exposure and covariates known (complete), or all, what is missing drawn from what is known "
        f"(imputed{draws}); window: all follow-up for hazard ratios, the horizon for risks. Adjusted; more per 100: "
        "difference of standardized risks, that of complete cases being in the tables of effects.",
        (
            Column("", "text"),
            Column("Events / units", group="Complete cases"),
            Column("Ratio (interval)", "estimate", group="Complete cases"),
            Column("Imputed", "estimate", group="Hazard ratio (interval)"),
            Column("Missing rarer or lower", "estimate", group="Hazard ratio (interval)"),
            Column("Missing likelier or higher", "estimate", group="Hazard ratio (interval)"),
            Column("Imputed", "estimate", group="More per 100 (interval)"),
        ),
        tuple(rows),
        csv_of(
            frame,
            ("outcome", "exposure", "label", "measure", "analysis", "method", "n_fits", *COUNTS, *VALUES, "fmi",
             "note"),
            rule, few=few, hidden=hidden, percent=(frame["measure"] == "risk_difference").to_numpy(),
        ),
        (
            "Rarer or lower, likelier or higher: what is missing of the exposure itself was drawn shifted (log odds of "
            "a yes/no finding, standard deviations of a number; the shifts are in the CSV), in case it is missing "
            "because of what it is. A dash: nothing is missing, or too few to show.",
            *notes.footnotes,
        ),
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")  # fmt: skip


def _imputed_of(block: pd.DataFrame, rule: Disclosure) -> str:
    """What the imputed analyses of an outcome rest on: all units, and their events."""
    filled = block[(block["analysis"] == "multiple imputation") & block["n_events"].notna()]
    filled = filled[filled["measure"] == "hazard_ratio"]
    if filled.empty:
        return ""
    r = next(records(filled))
    events = rule.text(float(r.n_events), bool(r.few) or None)
    return f", imputed: {events} events / {rule.text(float(r.n_units))} {UNITS[str(r.outcome)]}"
