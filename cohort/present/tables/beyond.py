"""Tables beyond the main figures: published definitions, several procedures, misnumbered spines, looking, timing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.model import (
    BoolArray,
    Cell,
    Column,
    Row,
    Table,
    estimate_cell,
    heading,
    of,
    public,
    records,
    row,
)
from cohort.present.tables.occurrence import OUTCOMES, ROLES

SHARE: dict[str, numbers.Kind] = {"estimate": "percent", "conf_low": "percent", "conf_high": "percent"}


def definitions(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The same vertebrae under each published definition of same-level refracture."""
    if frame.empty or not frame["n"].max():
        return None
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n"])
    tier = frame["definition"].isin(["radiographic", "clinical", "retreated"])
    rows: list[Row] = []
    for title, chosen in (("Published definitions, by film", ~tier), ("Tiers of this registry", tier)):
        rows.append(heading(title))
        for r in records(frame[chosen]):
            concealed = bool(hidden[r.Index])
            rows.append(
                row(
                    str(r.label),
                    str(r.source),
                    of(rule.text(float(r.n_events), concealed), rule.text(float(r.n))),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed),
                    indent=True,
                )
            )
    treated = rule.text(float(frame["n_treated"].max()))
    return Table(
        "definitions",
        "Same-level refracture under published definitions",
        f"Unit: vertebrae treated for fracture ({treated}), each until it was treated again; crude share of those that "
        "the definition can be told of, whatever their follow-up. By film definitions these are vertebrae measured "
        "after treatment and again; the interval takes the vertebrae of one patient together.",
        (
            Column("Definition", "text"),
            Column("Source", "text"),
            Column("Failed / told"),
            Column("% (interval)", "estimate"),
        ),
        tuple(rows),
        public(frame, rule, counts={"n_events": hidden, "n": rule.small(frame["n"])}, values=SHARE, hidden=hidden),
        ("One registry gives all of these at once: a rate without its definition says nothing.",),
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")


def policies(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """First refractures under each policy for several procedures in one patient."""
    if frame.empty or "estimate" not in frame:
        return None
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    rows: list[Row] = []
    for _, block in frame.groupby("policy", sort=False, observed=True):
        rows.append(heading(str(block["label"].iloc[0])))
        for r in records(block):
            concealed = bool(hidden[r.Index])
            rows.append(
                row(
                    OUTCOMES[str(r.outcome)],
                    rule.text(float(r.n_patients)),
                    rule.text(float(r.n_units)),
                    rule.text(float(r.n_events), concealed),
                    estimate_cell(r.rate, r.rate_low, r.rate_high, "rate", concealed),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed),
                    indent=True,
                )
            )
    time = numbers.days(frame["time"].max())
    return Table(
        "policies",
        "Several procedures in one patient, handled in four ways",
        f"Unit: patients or procedures, as each policy says; first refracture of each relation per clock. Rate per 100 "
        f"unit-years; incidence at {time} after the origin of the clock, death competing, intervals clustered in "
        "patients.",
        (
            Column("", "text"),
            Column("Patients"),
            Column("Clocks"),
            Column("Events"),
            Column("Rate (interval)", "estimate"),
            Column("% (interval)", "estimate"),
        ),
        tuple(rows),
        public(
            frame,
            rule,
            counts={"n_events": hidden, "n_patients": rule.small(frame["n_patients"])},
            values=SHARE | {"rate": "rate", "rate_low": "rate", "rate_high": "rate", "person_years": "rate"},
            hidden=hidden,
        ),
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")


def misnumbered(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """What becomes of relations when whole spines are numbered one level off."""
    if frame.empty:
        return None
    cells = {(r.relation, r.relation_moved): r for r in records(frame)}
    rows = []
    for relation in ("same", "adjacent", "remote"):
        stays, counted = cells[relation, relation], cells[relation, "counted"]
        few = bool(rule.small(stays.n_recorded)) or bool(rule.small(counted.n_recorded))
        rows.append(
            row(
                OUTCOMES[relation],
                rule.text(float(stays.n_recorded)),
                estimate_cell(stays.share, stays.share_low, stays.share_high, "percent", few),
                rule.text(float(counted.n_recorded)),
                estimate_cell(counted.share, counted.share_low, counted.share_high, "ratio", few),
            )
        )
    data = frame[(frame["relation_moved"] == frame["relation"]) | (frame["relation_moved"] == "counted")]
    data = data[data["relation"].isin(["same", "adjacent", "remote"])].reset_index(drop=True)
    hidden = rule.small(data["n_recorded"])
    probability, repeats = float(frame["probability"].iloc[0]), int(frame["repeats"].iloc[0])
    return Table(
        "misnumbered",
        "If spines were numbered one level off",
        f"Unit: sightings recorded in fractures. In {repeats} simulated registries each patient's follow-up was "
        f"numbered one level up or down with a probability of {numbers.number(probability, 'percent')} %, against the "
        "procedures, as when another reader counts a transitional vertebra. In brackets the least and the greatest of "
        "the simulations.",
        (
            Column("Relation", "text"),
            Column("Recorded"),
            Column("Relation unchanged, %", "estimate"),
            Column("Counted"),
            Column("Counted once moved, ratio", "estimate"),
        ),
        tuple(rows),
        public(
            data.drop(columns="n"),
            rule,
            counts={"n_recorded": hidden},
            values={"share": "ratio", "share_low": "ratio", "share_high": "ratio"},
            hidden=hidden,
        ),
    )


def ascertained(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """How often patients were imaged, by what they were exposed to."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    hidden = _by_variable(frame, "n_patients", rule)
    never = _by_variable(frame, "n_never", rule) | hidden
    rows: list[Row] = []
    for r in records(frame):
        if r.variable != "all" and r.category == frame.loc[frame["variable"] == r.variable, "category"].iloc[0]:
            rows.append(heading(str(r.label)))
        concealed = bool(hidden[r.Index])
        rows.append(
            row(
                str(r.category) or str(r.label),
                rule.text(float(r.n_patients), concealed),
                estimate_cell(r.estimate, r.conf_low, r.conf_high, "ratio", concealed),
                _percent(r.share_scheduled, concealed),
                _percent(r.share_symptom, concealed),
                rule.text(float(r.n_never), bool(never[r.Index])),
                indent=r.variable != "all",
            )
        )
    return Table(
        "ascertained",
        "How often patients were imaged, by exposure",
        "Unit: patients of the main population, days with an imaging study or a measurement after entry. Those looked "
        "at more often are found broken more often; imaging for symptoms follows fractures, imaging on schedule does "
        "not.",
        (
            Column("At entry", "text"),
            Column("Patients"),
            Column("Imaged days per patient-year (interval)", "estimate"),
            Column("Scheduled, %"),
            Column("For symptoms, %"),
            Column("Never imaged"),
        ),
        tuple(rows),
        public(
            frame,
            rule,
            counts={"n_patients": hidden, "n_never": never, "n_days": hidden},
            values={
                **dict.fromkeys(("estimate", "conf_low", "conf_high"), "ratio"),
                **dict.fromkeys(("share_scheduled", "share_symptom"), "percent"),
                "person_years": "rate",
            },
            hidden=hidden,
        ),
        long=True,
    ).with_notes(rule.note() if hidden.any() or never.any() else "")


def looks(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """How often vertebrae were shown or measured, by role."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_patients"]) | rule.small(frame["n_looks"])
    rows = [
        row(
            ROLES[str(r.role)],
            rule.text(float(r.n_looks), bool(hidden[r.Index])),
            numbers.number(r.person_years, "rate") if not hidden[r.Index] else numbers.MISSING,
            estimate_cell(r.estimate, r.conf_low, r.conf_high, "ratio", bool(hidden[r.Index])),
        )
        for r in records(frame)
    ]
    return Table(
        "looks",
        "How often vertebrae were looked at, by role",
        "Unit: vertebrae of the main population; a look is a study that shows the vertebra or a measurement of it. A "
        "rate ratio between roles is to be read against this.",
        (
            Column("Role", "text"),
            Column("Looks"),
            Column("Vertebra-years"),
            Column("Looks per vertebra-year (interval)", "estimate"),
        ),
        tuple(rows),
        public(
            frame,
            rule,
            counts={"n_looks": hidden, "n_patients": rule.small(frame["n_patients"])},
            values={"estimate": "ratio", "conf_low": "ratio", "conf_high": "ratio", "person_years": "rate"},
            hidden=hidden,
        ),
    )


def cascades(frame: pd.DataFrame, days: int, rule: Disclosure) -> Table | None:
    """Refractures that follow a fracture of the vertebra next to them."""
    if frame.empty or not frame["n"].max():
        return None
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_cascade"]) | rule.small(frame["n"])
    rows = []
    for r in records(frame):
        concealed = bool(hidden[r.Index])
        share = r.n_cascade / r.n if r.n else float("nan")
        rows.append(
            row(
                OUTCOMES[str(r.relation)],
                of(rule.text(float(r.n_cascade), concealed), rule.text(float(r.n))),
                _percent(share, concealed),
                numbers.MISSING if concealed else numbers.count(r.longest),
            )
        )
    return Table(
        "cascades",
        "Refractures that follow a neighbour's fracture",
        f"Unit: counted refractures of the main population; a cascade is one within {days} days after a fracture of "
        "the vertebra next to it, before or after treatment.",
        (Column("Relation", "text"), Column("In a cascade / counted"), Column("%"), Column("Longest chain")),
        tuple(rows),
        public(
            frame.assign(longest=np.where(hidden, np.nan, frame["longest"])),
            rule,
            counts={"n_cascade": hidden, "n": rule.small(frame["n"]), "n_patients": rule.small(frame["n_patients"])},
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def timing(frame: pd.DataFrame) -> Table | None:
    """When each covariate was known."""
    if frame.empty:
        return None
    rows = [row(f"{r.covariate}" + (f" ({r.table})" if r.table else ""), str(r.known)) for r in records(frame)]
    return Table(
        "timing",
        "When covariates were known",
        "A covariate that was known only afterwards cannot explain what came before. Columns carried along without a "
        "declared timing are used nowhere.",
        (Column("Covariate", "code"), Column("Known", "text")),
        tuple(rows),
        frame,
        long=True,
    )


def _percent(value: float, hidden: bool) -> str | Cell:
    return numbers.MISSING if hidden or np.isnan(value) else numbers.number(value, "percent")


def _by_variable(frame: pd.DataFrame, name: str, rule: Disclosure) -> BoolArray:
    """Hidden counts of categories that are parts of one total."""
    hidden = np.zeros(len(frame), dtype=bool)
    for _, block in frame.groupby("variable", sort=False):
        places = block.index.to_numpy()
        hidden[places] = rule.parts(block[name].to_numpy(dtype=np.float64))
    return hidden
