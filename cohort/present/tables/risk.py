"""Tables of why and what goes with it: mechanisms, models, other choices, and the literature."""

from __future__ import annotations

import math
from typing import Any

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
from cohort.present.tables.occurrence import INCIDENCE, OUTCOMES

MECHANISMS = {
    "endplate_unfilled": "Fractured endplate not reached by cement",
    "underfilled_with_disc_leak": "Fracture partly filled, cement in a disc",
    "fracture_missed": "Cement away from the fracture",
    "cleft_unfilled": "Cleft before treatment, not completely filled",
    "cleft_developed": "Cleft that developed after treatment",
    "not_recorded": "Not recorded well enough to tell",
    "unexplained": "None of these",
}
RATIO: dict[str, numbers.Kind] = dict.fromkeys(
    ("estimate", "conf_low", "conf_high", "coef", "std_error", "naive_std_error"), "ratio"
)
REFRACTURES = {"same": "Same-level", "adjacent": "Adjacent", "remote": "Remote", "any": "Any"}
GROUPS = {
    "main": "Main analysis",
    "implied": "Implied fractures",
    "staged": "Staged treatment",
    "onset": "Proof of onset",
    "tier": "Definition of same-level refracture",
    "incomplete": "Incomplete patients",
    "deaths": "Late deaths",
    "looks": "Imaging",
    "dates": "Imprecise dates",
}


def mechanisms(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Why treated vertebrae failed."""
    if frame.empty or not frame["n_total"].max():
        return None
    frame = frame.reset_index(drop=True)
    total = float(frame["n_total"].max())
    hidden = hidden_mechanisms(frame, rule)
    rows = [
        row(
            MECHANISMS.get(str(r.mechanism), str(r.label)),
            of(rule.text(r.n_events, bool(hidden[i])), rule.text(total)),
            numbers.MISSING if hidden[i] else numbers.number(r.n_events / total, "percent"),
            rule.text(r.n_patients, bool(hidden[i]) or None),
        )
        for i, r in enumerate(records(frame))
    ]
    return Table(
        "mechanisms",
        "Why treated vertebrae fractured again",
        "Unit: counted same-level refractures of vertebrae treated for fracture; denominator: all of them; window: all "
        "follow-up. One refracture may have several mechanisms, so rows do not add up.",
        (Column("Mechanism", "text"), Column("Refractures / n"), Column("%"), Column("Patients")),
        tuple(rows),
        public(frame, rule, counts={"n_events": hidden, "n_patients": hidden, "n_total": rule.small(frame["n_total"])}),
    ).with_notes(rule.note() if hidden.any() else "")


def hidden_mechanisms(frame: pd.DataFrame, rule: Disclosure) -> BoolArray:
    """Mechanisms hidden as parts of all refractures; with patients, whose count is never larger."""
    return rule.parts(frame["n_events"]) | rule.small(frame["n_patients"])


def hidden_models(frame: pd.DataFrame, rule: Disclosure) -> tuple[BoolArray, BoolArray]:
    """Rows whose events are hidden (and the estimate with them), and rows whose exposed events are."""
    events = rule.small(frame["n_events"])
    exposed = rule.small(frame["n_exposed_events"]) | rule.small(frame["n_events"] - frame["n_exposed_events"])
    return events, exposed | (events & frame["n_exposed_events"].notna().to_numpy())


COVARIATES = {
    "t_score": "T-score",
    "age": "age",
    "female": "sex",
    "corticosteroids": "corticosteroids",
    "anti_osteoporotic": "anti-osteoporotic drug",
    "prior_fractures": "earlier fractures",
    "cleft": "cleft",
    "leak": "disc leak",
    "height_restoration": "height restoration",
}


def covariates(adjusted_for: object) -> str:
    """An adjustment set in words.

    >>> covariates("t_score, female, volume_ml")
    'T-score, sex, volume ml'
    """
    names = [name.strip() for name in str(adjusted_for).split(",")] if isinstance(adjusted_for, str) else []
    return ", ".join(COVARIATES.get(name, name.replace("_", " ")) for name in names if name)


def models(frame: pd.DataFrame, rule: Disclosure, *, odds: bool, horizon_days: int = 365) -> Table | None:
    """Crude and adjusted ratios side by side, grouped by the refracture they are about."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    events, exposed = hidden_models(frame, rule)
    notes: list[str] = []
    rows: list[Row] = []
    for outcome, block in frame.groupby("outcome", sort=False, observed=True):
        rows.append(heading(f"{REFRACTURES.get(str(outcome), str(outcome))} refracture"))
        for _, pair in block.groupby("exposure", sort=False, observed=True):
            fitted = {str(r.model): r for r in records(pair)}
            crude, adjusted = fitted.get("crude"), fitted.get("adjusted")
            best = crude if adjusted is None else adjusted
            within, p = numbers.MISSING, numbers.MISSING
            if best is not None and pd.notna(best.n_exposed_events):
                within = rule.text(best.n_exposed_events, bool(exposed[best.Index]))
            if best is not None and not events[best.Index]:
                p = numbers.p_value(float(best.p_value))
            rows.append(
                row(
                    f"{pair['label'].iloc[0]}{_marks(pair, rule, notes)}",
                    _events_of(crude, events, rule),
                    _ratio(crude, events),
                    _events_of(adjusted, events, rule),
                    within,
                    _ratio(adjusted, events),
                    p,
                    covariates(adjusted.adjusted_for) if adjusted is not None else "no adjusted model",
                    indent=True,
                )
            )
    ratio = "Odds ratio" if odds else "Hazard ratio"
    caption = (
        f"Unit: patients; odds of refracture within {numbers.days(horizon_days)}; death is a known non-event, loss to "
        "follow-up is weighted; denominator: patients with the covariates known."
        if odds
        else "Unit: vertebrae at risk in the role, clustered in patients; cause-specific hazards over all follow-up; "
        "denominator: patients with the covariates known."
    )
    footnotes = tuple(f"[{place}] {text}" for place, text in enumerate(notes, 1))
    return Table(
        "logistic" if odds else "cox",
        f"{ratio}s, crude and adjusted",
        caption + " Each ratio comes from a model of its own, with the adjustment set chosen for that exposure.",
        (
            Column("Exposure", "text"),
            Column("Events / patients", group=f"{ratio}, crude"),
            Column("Ratio (interval)", "estimate", group=f"{ratio}, crude"),
            Column("Events / patients", group=f"{ratio}, adjusted"),
            Column("Exposed", group=f"{ratio}, adjusted"),
            Column("Ratio (interval)", "estimate", group=f"{ratio}, adjusted"),
            Column("p", group=f"{ratio}, adjusted"),
            Column("For", "text", group=f"{ratio}, adjusted"),
        ),
        tuple(rows),
        public(
            frame.assign(note=[rule.sentence(str(text)) if isinstance(text, str) else "" for text in frame["note"]]),
            rule,
            counts={"n_events": events, "n_exposed_events": exposed, "n_patients": rule.small(frame["n_patients"])},
            values=RATIO,
            hidden=events,
        ),
        ("Exposed: events among the exposed; a dash for a measure.", *footnotes),
        long=True,
    ).with_notes(rule.note() if (events | exposed).any() else "")


def _marks(pair: pd.DataFrame, rule: Disclosure, notes: list[str]) -> str:
    """Footnote marks of what must be read with a pair of models; new notes are added to the list."""
    places = []
    for text in pair["note"]:
        if isinstance(text, str) and text:
            said = sentence_case(rule.sentence(text))
            if said not in notes:
                notes.append(said)
            places.append(notes.index(said) + 1)
    return "".join(f" [{place}]" for place in sorted(set(places)))


def _events_of(model: Any, hidden: BoolArray, rule: Disclosure) -> str:
    if model is None:
        return numbers.MISSING
    return of(rule.text(model.n_events, bool(hidden[model.Index])), rule.text(model.n_patients))


def _ratio(model: Any, hidden: BoolArray) -> Cell:
    if model is None:
        return Cell(numbers.MISSING)
    if math.isnan(model.estimate) and not hidden[model.Index]:
        return Cell("not estimable")
    return estimate_cell(model.estimate, model.conf_low, model.conf_high, "ratio", bool(hidden[model.Index]))


def sentence_case(text: str) -> str:
    """A note as a sentence: capital first, full stop last.

    >>> sentence_case("events in 12 patients only")
    'Events in 12 patients only.'
    """
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".") if text else text


def sensitivity(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """One-year incidence under other choices."""
    if frame.empty:
        return None
    frame = frame.reset_index(drop=True)
    hidden = rule.small(frame["n_events"])
    outcomes = [name for name in ("same", "adjacent", "remote", "any") if name in set(frame["outcome"])]
    cells = {(r.variant, r.outcome): (r, bool(hidden[i])) for i, r in enumerate(records(frame))}
    rows: list[Row] = []
    variants = frame.drop_duplicates("variant")
    for group, block in variants.groupby("group", sort=False, observed=True):
        rows.append(heading(GROUPS.get(str(group), str(group))))
        for v in records(block):
            line: list[str | Cell] = [str(v.label)]
            for outcome in outcomes:
                found = cells.get((v.variant, outcome))
                if found is None:
                    line += [numbers.MISSING, numbers.MISSING]
                    continue
                r, concealed = found
                line += [
                    rule.text(float(r.n_events), concealed),
                    estimate_cell(float(r.estimate), float(r.conf_low), float(r.conf_high), "percent", concealed),
                ]
            rows.append(row(*line, indent=True))
    columns = [
        Column(text, "number" if text == "Events" else "estimate", group=OUTCOMES[outcome])
        for outcome in outcomes
        for text in ("Events", "% (interval)")
    ]
    return Table(
        "sensitivity",
        "One-year incidence under other choices",
        "Unit: patients; cumulative incidence at 1 year with death competing; each row repeats the whole "
        "analysis with one "
        "choice changed.",
        (Column("", "text"), *columns),
        tuple(rows),
        public(
            frame,
            rule,
            counts={"n_events": hidden, "n_patients": rule.small(frame["n_patients"])},
            values=INCIDENCE,
            hidden=hidden,
        ),
        long=True,
    ).with_notes(rule.note() if hidden.any() else "")
