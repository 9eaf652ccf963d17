"""Tables of how often and where: headline, cumulative incidence, simple proportions, rates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.domain.spine import CODE
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

OUTCOMES = {
    "same": "Same level",
    "adjacent": "Adjacent",
    "remote": "Remote",
    "several": "More than one relation on one day",
    "any": "Any refracture",
    "death": "Death",
}
ROLES = {
    "treated": "Treated for fracture",
    "treated_prophylactic": "Treated prophylactically",
    "treated_tumour": "Treated for tumour",
    "adjacent": "Adjacent",
    "remote": "Remote",
}
VARIANTS = {
    "without_healed": "without the days of healed and old fractures",
    "within_three": "within three levels of a treated one",
    "imaged": "at levels imaged at least once",
}
INCIDENCE: dict[str, numbers.Kind] = {
    "estimate": "percent",
    "std_error": "percent",
    "conf_low": "percent",
    "conf_high": "percent",
}
RATE: dict[str, numbers.Kind] = dict.fromkeys(
    ("estimate", "std_error", "conf_low", "conf_high", "person_years"), "rate"
)


def hidden_incidence(frame: pd.DataFrame, rule: Disclosure) -> BoolArray:
    """Rows of an incidence frame whose events are hidden; shape (rows,).

    The causes of the composite curve add up to `any`, so they are parts of a known total.
    """
    hidden = rule.small(frame["n_events"])
    composite = frame["curve"] == "composite" if "curve" in frame else pd.Series(False, index=frame.index)
    causes = (composite & frame["outcome"].isin(["same", "adjacent", "remote", "several"])).to_numpy()
    for time in frame.loc[causes, "time"].unique():
        places = np.flatnonzero(causes & (frame["time"] == time).to_numpy())
        hidden[places] = rule.parts(frame["n_events"].to_numpy(dtype=np.float64)[places])
    return hidden


def headline(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The answer in a few numbers."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    incidence = (frame["unit"] == "per cent").to_numpy()
    hidden = incidence & rule.small(frame["n_events"])
    rows = []
    for i, r in enumerate(records(frame)):
        if not incidence[i]:
            rows.append(row(str(r.label), rule.text(float(r.estimate)), numbers.MISSING, numbers.MISSING))
            continue
        rows.append(
            row(
                str(r.label),
                estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", bool(hidden[i])),
                of(rule.text(r.n_events), rule.text(r.n)),
                numbers.days(r.window_days),
            )
        )
    data = public(frame, rule, counts={"n_events": rule.small(frame["n_events"])})
    if not rule.internal:
        for name in ("estimate", "conf_low", "conf_high"):
            values = frame[name].to_numpy(dtype=np.float64)
            rounded = [numbers.rounded(v, "percent") if incidence[i] else v for i, v in enumerate(values)]
            data[name] = np.where(hidden, np.nan, rounded)
    return Table(
        "headline",
        "The answer in numbers",
        "Unit: patients of the main population; cumulative incidence with death competing.",
        (Column("", "text"), Column("Estimate (interval)", "estimate"), Column("Events / n"), Column("Window")),
        tuple(rows),
        data,
    ).with_notes(rule.note() if hidden.any() else "")


def incidence(frame: pd.DataFrame, rule: Disclosure, *, composite: bool, confidence: float = 0.95) -> Table | None:
    """Cumulative incidence at the windows: each relation by itself, or the first refracture of any kind."""
    everything = frame.reset_index(drop=True)
    hidden_all = hidden_incidence(everything, rule)
    wanted = ((everything["curve"] == "composite") == composite) & everything["outcome"].isin(list(OUTCOMES))
    part = everything[wanted]
    if part.empty:
        return None
    hidden = hidden_all[wanted.to_numpy()]
    rows: list[Row] = []
    order = {name: place for place, name in enumerate(OUTCOMES)}
    for time, block in part.assign(_hidden=hidden).groupby("time", sort=True):
        rows.append(heading(f"At {numbers.days(time)}"))
        for r in records(block.sort_values("outcome", key=lambda c: c.map(order))):
            concealed = bool(r[-1])
            name = OUTCOMES[str(r.outcome)]
            if composite and r.outcome == "death":
                name = "Death before any refracture"
            rows.append(
                row(
                    name,
                    of(rule.text(r.n_events, concealed), rule.text(r.n_patients)),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed),
                    rule.text(float(r.n_risk)),
                    indent=True,
                    kind="total" if r.outcome == "any" else "row",
                )
            )
    level = f"{confidence * 100:g} % interval"
    title = "First refracture of any kind" if composite else "Cumulative incidence by relation"
    caption = (
        "Unit: patients; denominator: patients at entry, before any refracture; window: days since the first "
        "augmentation. "
        + (
            "Aalen-Johansen; the causes, death among them, compete: they add up."
            if composite
            else "Aalen-Johansen, death competing; each relation by itself, others not censoring: they do not add up."
        )
    )
    return Table(
        "incidence_composite" if composite else "incidence",
        title,
        caption,
        (
            Column("", "text"),
            Column("Events / n"),
            Column(f"Incidence, % ({level})", "estimate"),
            Column("Still at risk"),
        ),
        tuple(rows),
        public(part, rule, counts={"n_events": hidden}, values=INCIDENCE, hidden=hidden),
    ).with_notes(rule.note() if hidden.any() else "")


def proportions(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Simple proportions among patients followed to the window."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    # n - events is as telling as events.
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_patients"] - frame["n_events"])
    rows: list[Row] = []
    for time, block in frame.assign(_hidden=hidden).groupby("time", sort=True):
        rows.append(heading(f"Followed for {numbers.days(time)}"))
        for r in records(block):
            concealed = bool(r[-1])
            rows.append(
                row(
                    OUTCOMES.get(str(r.outcome), str(r.outcome)),
                    of(rule.text(r.n_events, concealed), rule.text(r.n_patients)),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed),
                    indent=True,
                )
            )
    return Table(
        "proportions",
        "Simple proportions, for comparison with case series",
        "Unit: patients; denominator: only those followed to the window or fractured before it; Wilson intervals. "
        "Who died or was lost is in neither number, so these are no incidences.",
        (Column("", "text"), Column("Events / n"), Column("Proportion, % (interval)", "estimate")),
        tuple(rows),
        public(frame, rule, counts={"n_events": hidden}, values=INCIDENCE, hidden=hidden),
    ).with_notes(rule.note() if hidden.any() else "")


def hidden_rates(frame: pd.DataFrame, rule: Disclosure) -> BoolArray:
    """Rows of the rates whose events are hidden: levels of one role and variant are parts of that role's total."""
    hidden = rule.small(frame["n_events"])
    leveled = ((frame["unit"] == "vertebra") & (frame["level"].astype(str) != "")).to_numpy()
    part = frame[leveled]
    for _, places in part.groupby(["role", "variant"], sort=False, observed=True).groups.items():
        index = frame.index.get_indexer(places)
        hidden[index] = rule.parts(frame["n_events"].to_numpy(dtype=np.float64)[index])
    return hidden


def rates(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Rates over all levels: by role, by variant, and per patient."""
    everything = frame.reset_index(drop=True)
    hidden_all = hidden_rates(everything, rule)
    wanted = (everything["level"].fillna("").astype(str) == "").to_numpy()
    part = everything[wanted].assign(_hidden=hidden_all[wanted])
    if part.empty:
        return None
    place = {name: k for k, name in enumerate([*ROLES, *OUTCOMES])}
    part = part.assign(_place=part["role"].where(part["unit"] == "vertebra", part["outcome"]).map(place))
    rows: list[Row] = []
    for (unit, variant), block in part.groupby(["unit", "variant"], sort=False, observed=True):
        measure = str(block["measure"].iloc[0])
        name = "" if variant == "main" else f": {VARIANTS.get(str(variant), str(variant).replace('_', ' '))}"
        rows.append(heading(f"{'Vertebrae' if unit == 'vertebra' else 'Patients'}, {measure}{name}"))
        for r in records(block.sort_values("_place", kind="stable").drop(columns="_place")):
            concealed = bool(r[-1])
            label = (
                ROLES.get(str(r.role), str(r.role))
                if unit == "vertebra"
                else OUTCOMES.get(str(r.outcome), str(r.outcome))
            )
            rows.append(
                row(
                    label,
                    rule.text(r.n_events, concealed),
                    numbers.count(r.person_years),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "rate", concealed),
                    indent=True,
                )
            )
    hidden = part["_hidden"].to_numpy(dtype=bool)
    data = part.drop(columns=["_hidden", "_place"], errors="ignore")
    return Table(
        "rates",
        "Rates of refracture",
        "Unit: vertebrae at risk by role on the day, or patients; denominator: their years at risk; window: "
        "all follow-up. "
        "Intervals allow for several vertebrae and events in one patient.",
        (Column("", "text"), Column("Events"), Column("Years at risk"), Column("Rate (interval)", "estimate")),
        tuple(rows),
        public(
            data,
            rule,
            counts={"n_events": hidden},
            values=RATE,
            hidden=hidden,
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def rates_by_level(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Rates by level and role of the main variant."""
    everything = frame.reset_index(drop=True)
    hidden_all = hidden_rates(everything, rule)
    level = everything["level"].fillna("").astype(str)
    roles = ("treated", "adjacent", "remote")
    wanted = (
        (everything["unit"] == "vertebra")
        & (everything["variant"] == "main")
        & (level != "")
        & everything["role"].isin(roles)
    ).to_numpy()
    if not wanted.any():
        return None
    part = everything[wanted].assign(_hidden=hidden_all[wanted], level=level[wanted])
    cells = {(r.level, r.role): r for r in records(part)}
    rows = []
    for name in sorted(set(part["level"]), key=lambda one: CODE.get(one, 99)):
        line: list[str | Cell] = [name]
        for role in roles:
            r = cells.get((name, role))
            if r is None:
                line += [numbers.MISSING, numbers.MISSING, numbers.MISSING]
                continue
            concealed = bool(r[-1])
            line += [
                rule.text(float(r.n_events), concealed),
                numbers.count(float(r.person_years)),
                estimate_cell(float(r.estimate), float(r.conf_low), float(r.conf_high), "rate", concealed),
            ]
        rows.append(row(*line))
    hidden = part["_hidden"].to_numpy(dtype=bool)
    data = part.drop(columns=["_hidden", "_place"], errors="ignore")
    headers = [
        Column(text, "estimate" if text.startswith("Rate") else "number", group=ROLES[role])
        for role in roles
        for text in ("Events", "Years", "Rate (interval)")
    ]
    return Table(
        "rates_by_level",
        "Rates by level and role",
        "Unit: vertebrae at risk by role on the day; rate per 1,000 vertebra-years; denominator: years at "
        "risk; window: all "
        "follow-up.",
        (Column("Level", "text"), *headers),
        tuple(rows),
        public(
            data,
            rule,
            counts={"n_events": hidden},
            values=RATE,
            hidden=hidden,
        ),
    ).with_notes(rule.note() if hidden.any() else "")


CAUSES = ("same", "adjacent", "remote", "several")


def hidden_curves(frame: pd.DataFrame, rule: Disclosure) -> set[tuple[str, str]]:
    """Curves (curve, outcome) that rest on too few events to be drawn: each step of a curve is an event.

    The causes of the composite curve are parts of a known total, as in its table.
    """
    last = frame.groupby(["curve", "outcome"], observed=True)["n_events_total"].max()
    totals = {(str(curve), str(outcome)): float(n) for (curve, outcome), n in zip(last.index, last, strict=True)}
    hidden = {key for key, n in totals.items() if bool(rule.small(n))}
    parts = [("composite", name) for name in CAUSES if ("composite", name) in totals]
    closed = rule.parts([totals[key] for key in parts])
    return hidden | {key for key, hide in zip(parts, closed, strict=True) if hide}


def monthly(frame: pd.DataFrame, rule: Disclosure) -> pd.DataFrame:
    """The curves read at whole months, for the CSV under the figure; curves of few events are left out."""
    left_out = hidden_curves(frame, rule)
    parts = []
    months = np.arange(0, 25)
    for (curve, outcome), block in frame.groupby(["curve", "outcome"], sort=False, observed=True):
        if (str(curve), str(outcome)) in left_out:
            continue
        block = block.sort_values("time", kind="stable")
        place = np.searchsorted(block["time"].to_numpy(dtype=np.float64), months * 365.25 / 12, side="right") - 1
        known = place >= 0
        read = block.iloc[place[known]][["estimate", "conf_low", "conf_high", "n_risk"]].reset_index(drop=True)
        parts.append(read.assign(curve=str(curve), outcome=str(outcome), month=months[known]))
    if not parts:
        return pd.DataFrame(columns=["curve", "outcome", "month", "estimate", "conf_low", "conf_high", "n_risk"])
    out = pd.concat(parts, ignore_index=True)
    out = out[["curve", "outcome", "month", "estimate", "conf_low", "conf_high", "n_risk"]]
    return public(out, rule, counts=["n_risk"], values=INCIDENCE)
