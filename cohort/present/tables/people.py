"""Tables of the study population: who remained at each step, which sightings counted, who was treated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import BoolArray, Cell, Column, Row, Table, heading, of, public, records, row

REASONS = {
    "counted": "Counted as a refracture at risk",
    "before_treatment": "Found before any treatment",
    "repeat": "A fracture already seen",
    "old": "Judged old",
    "settling": "Settling of a treated vertebra",
    "asymptomatic_collapse": "Collapse without symptoms",
    "staged": "Part of staged treatment",
    "not_after_entry": "On or before entry",
    "after_exit": "After follow-up ended",
    "outside_levels": "Outside the levels at risk",
    "excluded_level": "At an excluded level",
}
RELATIONS = ("before_treatment", "same", "adjacent", "remote")
RELATION_NAMES = {
    "before_treatment": "Before treatment",
    "same": "Same level",
    "adjacent": "Adjacent",
    "remote": "Remote",
}


@dataclass(frozen=True)
class FlowStep:
    """One box of the flow as it may be shown."""

    label: str
    patients: str
    vertebrae: str
    sightings: str
    excluded: str
    reason: str


def flow_steps(frame: pd.DataFrame, rule: Disclosure) -> list[FlowStep]:
    """The attrition as text, with small exclusions hidden and no total that would give them away."""
    if frame.empty:
        return []
    excluded = frame["excluded_patients"].fillna(0).to_numpy(dtype=np.float64)
    hidden = rule.parts(excluded)
    total = np.zeros(len(frame), dtype=bool)
    at = np.flatnonzero(hidden)
    if at.size == 1:
        # The only exclusion: what stood before it would tell, and what remains is the study's denominator.
        total[: at[0]] = True
    elif at.size:
        total[at[0] : at[-1]] = True
    steps = []
    for i, r in enumerate(records(frame)):
        steps.append(
            FlowStep(
                str(r.label),
                numbers.MISSING if total[i] else rule.text(float(r.n_patients)),
                "" if total[i] or pd.isna(r.n_vertebrae) else rule.text(float(r.n_vertebrae)),
                "" if total[i] or pd.isna(r.n_sightings) else rule.text(float(r.n_sightings)),
                rule.text(excluded[i], bool(hidden[i])) if excluded[i] else "",
                str(r.reason) if pd.notna(r.reason) else "",
            )
        )
    return steps


def flow_patients(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The attrition as a table."""
    steps = flow_steps(frame, rule)
    if not steps:
        return None
    rows = [
        row(
            s.label,
            s.patients,
            s.vertebrae or numbers.MISSING,
            s.sightings or numbers.MISSING,
            s.excluded or "0",
            s.reason,
        )
        for s in steps
    ]
    data = pd.DataFrame(
        {
            "step": range(1, len(steps) + 1),
            "label": [s.label for s in steps],
            "n_patients": [s.patients.replace(",", "") for s in steps],
            "n_vertebrae": [s.vertebrae.replace(",", "") for s in steps],
            "n_sightings": [s.sightings.replace(",", "") for s in steps],
            "excluded_patients": [s.excluded.replace(",", "") or "0" for s in steps],
            "reason": [s.reason for s in steps],
        }
    )
    small = any(s.excluded.startswith(("<", "≥")) for s in steps)
    return Table(
        "flow_patients",
        "From the registry to the study",
        "Unit: patients, with their treated vertebrae and sightings of fractures, after each criterion.",
        (
            Column("After the criterion", "text"),
            Column("Patients"),
            Column("Treated vertebrae"),
            Column("Sightings"),
            Column("Left out"),
            Column("Because", "text"),
        ),
        tuple(rows),
        data,
    ).with_notes(f"{rule.note()} Steps between hidden exclusions show no count." if small and rule.active else "")


def sightings_by_reason(frame: pd.DataFrame, rule: Disclosure) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sightings by reason (rows) and relation (columns), and which of them are hidden.

    No row or column total is printed; the sum of all and that of the counted are known elsewhere in the report.
    """
    named = frame.assign(reason=frame["reason"].astype(str), relation=frame["relation"].astype(str))
    wide = named.pivot_table(
        index="reason", columns="relation", values="n_sightings", aggfunc="sum", fill_value=0, observed=True
    )
    wide = wide.reindex(
        index=[name for name in REASONS if name in wide.index],
        columns=[name for name in RELATIONS if name in wide.columns],
    )
    values = wide.to_numpy(dtype=np.float64)
    hidden = rule.parts(values.ravel()).reshape(values.shape)
    if "counted" in wide.index:
        place = wide.index.get_loc("counted")
        hidden[place] |= rule.parts(values[place])
    return wide, pd.DataFrame(hidden, index=wide.index, columns=wide.columns)


def flow_sightings(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Which sightings were counted, and why the others were not."""
    if frame.empty:
        return None
    wide, hidden = sightings_by_reason(frame, rule)
    rows = [
        row(
            REASONS[str(reason)],
            *(rule.text(float(n), bool(h)) for n, h in zip(wide.loc[reason], hidden.loc[reason], strict=True)),
        )
        for reason in wide.index
    ]
    hidden_rows = np.array([bool(hidden.loc[str(r.reason), str(r.relation)]) for r in records(frame)], dtype=bool)
    small_patients = rule.small(frame["n_patients"]) | hidden_rows
    return Table(
        "flow_sightings",
        "Sightings of fractures: counted, or why not",
        "Unit: sightings after reading, implied and imaging sightings included; denominator: those of all patients "
        "accepted; one reason each, the first that applies.",
        (
            Column("Sightings", "text"),
            *(Column(RELATION_NAMES[str(name)], group="Relation to the treated vertebrae") for name in wide.columns),
        ),
        tuple(rows),
        public(frame, rule, counts={"n_sightings": hidden_rows, "n_patients": small_patients}),
    ).with_notes(rule.note() if hidden.to_numpy().any() else "")


def table_one(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Who was treated: patients, then treated vertebrae."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    hidden = np.zeros(len(frame), dtype=bool)
    category = (frame["kind"] == "category").to_numpy()
    for _, places in frame[category].groupby(["unit", "variable"], sort=False, observed=True).groups.items():
        index = places.to_numpy()
        hidden[index] = rule.parts(frame.loc[index, "n"])
    # A mean of fewer patients than the minimum is as telling as the values.
    hidden |= (~category) & rule.small(frame["n"])
    rows: list[Row] = []
    for unit, part in frame.groupby("unit", sort=False, observed=True):
        rows.append(heading({"patient": "Patients", "treated vertebra": "Treated vertebrae"}.get(str(unit), str(unit))))
        for _, block in part.groupby("variable", sort=False, observed=True):
            rows += _variable(block, hidden, rule)
    kinds: dict[str, numbers.Kind] = dict.fromkeys(("mean", "sd", "median", "q1", "q3"), "rate")
    data = public(frame, rule, counts={"n": hidden}, hidden=hidden, values=kinds)
    return Table(
        "table_one",
        "Patients and treated vertebrae",
        "Unit: patients of the main population at entry, then their treated vertebrae. Per cent are of those "
        "known (N); "
        "missing and not assessable are apart.",
        (
            Column("", "text"),
            Column("n / N known"),
            Column("% or mean (SD)", "estimate"),
            Column("Median (quartiles)", "estimate"),
            Column("Missing"),
            Column("Not assessable"),
        ),
        tuple(rows),
        data,
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")


def _variable(block: pd.DataFrame, hidden: BoolArray, rule: Disclosure) -> list[Row]:
    first = block.iloc[0]
    missing = _state(first["n_missing"])
    unclear = _state(first["n_not_assessable"])
    if first["kind"] == "numeric":
        place = int(block.index[0])
        if hidden[place]:
            return [
                row(
                    str(first["label"]), rule.text(first["n"], True), numbers.MISSING, numbers.MISSING, missing, unclear
                )
            ]
        mean, middle = Cell(numbers.MISSING), Cell(numbers.MISSING)
        if not math.isnan(float(first["mean"])):
            sd = float(first["sd"])
            typical, low, high, average = (numbers.measure(first[name], sd) for name in ("median", "q1", "q3", "mean"))
            mean = Cell(average, f"({numbers.measure(sd, sd)})")
            middle = Cell(typical, f"({low} to {high})")
        return [row(str(first["label"]), numbers.count(first["n"]), mean, middle, missing, unclear)]
    rows = [row(str(first["label"]), "", "", "", missing, unclear)]
    for place, r in zip(block.index, records(block), strict=True):
        known = float(r.denominator)
        share = numbers.MISSING if hidden[place] or not known else numbers.number(r.n / known, "percent")
        rows.append(
            row(
                str(r.category).replace("_", " "),
                of(rule.text(r.n, bool(hidden[place])), numbers.count(known)),
                share,
                "",
                "",
                "",
                indent=True,
            )
        )
    return rows


def _state(value: Any) -> str:
    return numbers.MISSING if value is None or pd.isna(value) else numbers.count(float(value))
