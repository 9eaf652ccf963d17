"""What could make an effect of a finding wrong: the checks of its model, and too few events."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.present import numbers
from cohort.present.disclosure import Disclosure
from cohort.present.tables.factors import (
    COUNTS,
    VALUES,
    csv_of,
    few_on_one_side,
    fullest,
    in_words,
    name_of,
    tellable,
    value_cell,
    with_columns,
)
from cohort.present.tables.further import for_csv
from cohort.present.tables.model import Cell, Column, Row, Table, heading, of, records, row
from cohort.present.tables.ratios import Notes
from cohort.present.tables.risk import REFRACTURES

NONE: Final = "none"  # in a table of many columns
TOO_FEW: Final = "Too few events to show."
TOLD_BY_COUNTS: Final = ("events_per_parameter", "incomplete")  # their sentences hold counts alone


def checks(frame: pd.DataFrame, shown: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The checks of each exposure's fullest model: what is of concern in full, then what passed.

    shown : the effects as `factors.with_concealed` gives them; a check of a concealed risk is concealed.
    """
    if frame.empty:
        return None
    frame = with_columns(frame, (*VALUES, "p_value", *COUNTS)).assign(
        sentence=frame["sentence"].map(in_words).to_numpy()
    )
    few = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    ratios = shown[shown["concealed"] & (shown["measure"] == "risk_ratio")]
    pairs = {(str(r.outcome), str(r.exposure), str(r.model)) for r in records(ratios)}
    of_risk = np.array([(str(r.outcome), str(r.exposure), str(r.model)) in pairs for r in records(frame)], dtype=bool)
    hidden = (few & ~frame["check"].isin(TOLD_BY_COUNTS)) | (of_risk & (frame["check"] == "other_risk_model"))
    # A share of few units is a count of them.
    share = frame["estimate"].where(frame["check"].isin(["incomplete", "exposure_probability"]))
    few_units = rule.small(np.round(share * frame["n_units"])) | rule.small(np.round(share * frame["n_patients"]))
    said = [
        TOO_FEW if concealed else _without_share(_thousands(rule.sentence(text)), unlike)
        for text, concealed, unlike in zip(frame["sentence"], hidden, few_units, strict=True)
    ]
    frame = frame.assign(sentence=said, concealed=hidden)
    rows: list[Row] = []
    for outcome, of_outcome in frame.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture"))
        for _, block in of_outcome.groupby("exposure", sort=False, observed=True):
            listed: dict[str, list[str]] = {"yes": [], "no": [], "": []}
            for r in records(block):
                concern = "" if r.concealed else str(r.concern)
                what = f"not {'shown' if r.concealed else 'checked'}: {NAMES[str(r.check)]}"
                text = {"yes": str(r.sentence), "no": PASSED[str(r.check)](r), "": what}[concern]
                listed[concern].append(text)
            rows.append(
                row(
                    name_of(block["label"].iloc[0]),
                    " ".join(listed["yes"]) or "None.",
                    "; ".join([*listed["no"], *listed[""]]) or numbers.MISSING,
                    indent=True,
                )
            )
    concealed = frame["concealed"].to_numpy()
    estimates = concealed | few | few_units
    return Table(
        "checks",
        "Checks of each model",
        "Unit: vertebrae at risk in the role, or the units of the risks; denominator: those with the exposure and "
        "covariates known; window: all follow-up, for risks the horizon. Of the adjusted model (the crude one where no "
        "set is declared). No check proves a model right.",
        (
            Column("", "text"),
            Column("Of concern", "text"),
            Column("No concern, or not checked", "text"),
        ),
        tuple(rows),
        for_csv(
            frame,
            ("outcome", "exposure", "label", "model", "adjusted_for", "check", "concern", "sentence", *COUNTS, *VALUES,
             "p_value"),
            rule,
            counts={name: rule.small(frame[name]) | (few if name == "n_events" else False) for name in COUNTS},
            values=dict.fromkeys(VALUES, "ratio"),
            hidden=estimates,
        ).assign(concern=np.where(concealed, "", frame["concern"])),
        long=True,
    ).with_notes(rule.note() if (few | concealed).any() else "")  # fmt: skip


def _per(events: float) -> str:
    """Events per parameter, with a decimal where it matters.

    >>> _per(21.75), _per(5.5)
    ('22', '5.5')
    """
    return numbers.fixed(events, 1 if events < 10 else 0)


def _p(r: Any) -> str:
    return (
        ""
        if math.isnan(r.p_value)
        else f" (p\u00a0=\u00a0{numbers.p_value(float(r.p_value))})".replace("=\u00a0<", "<\u00a0")
    )


PASSED: Final[dict[str, Callable[[Any], str]]] = {
    "events_per_parameter": lambda r: f"{_per(float(r.estimate))} events per parameter",
    "incomplete": lambda r: "few left out for missing values",
    "same_units": lambda r: f"few moved by who was left out (crude ratio {numbers.number(float(r.estimate), 'ratio')})",
    "proportional_hazards": lambda r: f"ratio constant over time{_p(r)}",
    "straight_line": lambda r: f"a straight line fits{_p(r)}",
    "exposure_probability": lambda r: "each could have been exposed or not",
    "other_risk_model": lambda r: f"other model of the risk (ratio {numbers.number(float(r.estimate), 'ratio')})",
}


NAMES: Final = {
    "events_per_parameter": "events per parameter",
    "incomplete": "values missing",
    "same_units": "crude ratio of the same units",
    "proportional_hazards": "ratio over time",
    "straight_line": "straight line",
    "exposure_probability": "probability of the exposure",
    "other_risk_model": "other model of the risk",
}


def _without_share(text: str, few: bool) -> str:
    """A sentence in which a share of few units is no longer told.

    >>> _without_share("0.1 % of units lie within 0.05 of 0 or 1: only the model compares them.", True)
    'a few units lie within 0.05 of 0 or 1: only the model compares them.'
    """
    return re.sub(r"\d+\.\d % of units lie", "a few units lie", text) if few else text


def _thousands(text: str) -> str:
    """Whole numbers with thousands separated.

    >>> _thousands("1138 of 3094 vertebrae, 0.00012")
    '1,138 of 3,094 vertebrae, 0.00012'
    """
    return re.sub(r"(?<![\d.])\d{4,}(?!\d)", lambda found: numbers.count(float(found[0])), text)


def few_events(frame: pd.DataFrame, horizon_days: float, rule: Disclosure) -> Table | None:
    """Maximum likelihood, Firth's penalty and exact ratios side by side; None where there is no estimate to show."""
    frame = with_columns(
        frame, ("outcome", "exposure", "method", "measure", "main", "n_exposed_events", *COUNTS, *VALUES)
    )
    frame = with_columns(frame, ("events_per_parameter", "note", "time", "model", "label", "adjusted_for"))
    few = rule.small(frame["n_events"]) | rule.small(frame["n_patients"])
    exact = frame["method"].isin(["exact", "mid-P"]).to_numpy()
    # Margins and a ratio with its exact limits give the table back, and with it the few on one side.
    sided = few_on_one_side((frame[exact],), rule)
    one_side = np.array([pair in sided for pair in zip(frame["outcome"], frame["exposure"], strict=True)], dtype=bool)
    hidden = few | (exact & one_side)
    if not tellable(frame, hidden):
        return None
    frame = frame.assign(few=few, concealed=hidden)
    # A row without any estimate would only say so once more.
    pairs = frame["outcome"].astype(str) + "\n" + frame["exposure"].astype(str)
    told = [pair for pair, part in frame.groupby(pairs, sort=False) if tellable(part, part["concealed"])]
    likelihoods = fullest(frame[(frame["measure"] == "hazard_ratio") & pairs.isin(told)])
    notes = Notes(rule)
    rows: list[Row] = []
    for outcome, of_outcome in likelihoods.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES[str(outcome)]} refracture"))
        for exposure, block in of_outcome.groupby("exposure", sort=False, observed=True):
            fitted = {str(r.method): r for r in records(block)}
            likelihood, firth = fitted["maximum likelihood"], fitted["Firth"]
            mine = frame[(frame["outcome"] == outcome) & (frame["exposure"] == exposure) & (frame["method"] == "exact")]
            crude = {str(r.measure): r for r in records(mine)}
            few_here = bool(likelihood.few)
            events = rule.text(float(likelihood.n_events), few_here or None)
            per = "" if few_here else f" ({_per(float(likelihood.events_per_parameter))})"
            penalized = firth.main == "yes" and pd.notna(firth.estimate) and not firth.concealed
            said = [_unusual(r.note) for r in (likelihood, firth) if not r.concealed]
            rows.append(
                row(
                    f"{name_of(likelihood.label)}{' *' if penalized else ''}{notes.marks(*said)}",
                    f"{events}{per}",
                    value_cell(likelihood, bool(likelihood.concealed), without=NONE),
                    value_cell(firth, bool(firth.concealed), without=NONE),
                    *_exact(crude, rule),
                    indent=True,
                )
            )
    within = numbers.days(horizon_days)
    return Table(
        "few_events",
        "Few events: maximum likelihood, penalized and exact",
        "Unit: vertebrae at risk in the role (hazard and rate ratios) or patients whose outcome is known at "
        f"{within} (odds ratios); denominator: those with the exposure known, and for adjusted ratios the covariates; "
        f"window: all follow-up, for odds ratios {within}. Behind the events, in brackets: per parameter; n: patients.",
        (
            Column("", "text"),
            Column("Events", group="Hazard ratio, adjusted (interval)"),
            Column("Likelihood", "estimate", group="Hazard ratio, adjusted (interval)"),
            Column("Firth", "estimate", group="Hazard ratio, adjusted (interval)"),
            Column("Rate ratio", "estimate", group="Exact, crude (interval)"),
            Column("Odds ratio", "estimate", group="Exact, crude (interval)"),
            Column("Events / n", group="Exact, crude (interval)"),
        ),
        tuple(rows),
        csv_of(
            frame.assign(events_per_parameter=frame["events_per_parameter"].where(~frame["few"])),
            ("outcome", "exposure", "label", "measure", "method", "main", "model", "adjusted_for", "time", *COUNTS,
             "events_per_parameter", *VALUES, "note"),
            rule, few=few, hidden=hidden, percent=np.zeros(len(frame), dtype=bool),
        ),
        (
            "The main ratio, which stands in the tables of effects, is that of maximum likelihood; where it has no "
            "finite value or limits, or the study file says so, it is Firth's (*).",
            "Robust limits of maximum likelihood allow for several events of one patient. Firth's and exact limits "
            "take all events as independent, and are too narrow where patients have several.",
            "A finding without any of these ratios is left out.",
            "Exact ratios are of yes/no findings, and take nothing else into account. Crude ratios of both "
            "likelihoods, and mid-P limits, which are narrower than exact ones, are in the CSV.",
            *notes.footnotes,
        ),
        long=True,
    ).with_notes(
        rule.note() if hidden.any() else "",
        "Exact ratios are also withheld where few of those with the event had the finding, or few had not."
        if (hidden & ~few).any()
        else "",
    )  # fmt: skip


def _exact(crude: Mapping[str, Any], rule: Disclosure) -> list[str | Cell]:
    """Rate ratio, odds ratio, and what the odds ratio rests on."""
    cells: list[str | Cell] = []
    for measure in ("rate_ratio", "odds_ratio"):
        r = crude.get(measure)
        cells.append(Cell(numbers.MISSING) if r is None else value_cell(r, bool(r.concealed), without=NONE))
    odds = crude.get("odds_ratio")
    if odds is None:
        return [*cells, numbers.MISSING]
    return [*cells, of(rule.text(float(odds.n_events), bool(odds.few) or None), rule.text(float(odds.n_patients)))]


def _unusual(note: object) -> str:
    """A note without what the footnotes of all rows say."""
    parts = str(note).split("; ") if isinstance(note, str) else []
    return "; ".join(part for part in parts if "count as independent" not in part and "per parameter" not in part)
