"""Tables beyond the first event: where patients stand, how many refractures to expect, and the days they cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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
from cohort.present.tables.occurrence import INCIDENCE, OUTCOMES, RATE
from cohort.present.tables.risk import sentence_case

STATES = {
    "no_event": "No event",
    "same": "Same-level refracture",
    "adjacent": "Adjacent refracture",
    "remote": "Remote refracture",
    "re_augmented": "Treated again",
    "dead": "Dead",
}
AFTER = {
    "no_event": "From treatment on, before any event",
    "same": "After a same-level refracture",
    "adjacent": "After an adjacent refracture",
    "remote": "After a remote refracture",
    "re_augmented": "After another procedure",
}
RELATIONS = ("same", "adjacent", "remote")
LEFT = ("no_event", "event_free")  # nobody moves there: what is left when the others are taken away
FEW = ("Events in few patients", "No patient moves", "No event")  # the columns show it
COUNTED = ("n_patients", "n_clusters_with_event", "n_events")
LIMITS = ("estimate", "std_error", "conf_low", "conf_high", "note")


def for_csv(
    frame: pd.DataFrame,
    columns: Iterable[str],
    rule: Disclosure,
    *,
    counts: Mapping[str, BoolArray],
    values: Mapping[str, numbers.Kind],
    hidden: BoolArray,
) -> pd.DataFrame:
    """The columns for the CSV, as `public` shows them; notes and p-values tell no more than the page either."""
    out = frame[[name for name in columns if name in frame]].copy()
    if "note" in out:
        out["note"] = [rule.sentence(text) if isinstance(text, str) else "" for text in out["note"]]
    if "p_value" in out and not rule.internal:
        out["p_value"] = np.where(hidden, np.nan, out["p_value"].astype("float64").round(3))
    return public(out, rule, counts=counts, values=values, hidden=hidden)


def sentences(note: object, rule: Disclosure) -> list[str]:
    """The sentences of a note, shortened by what the columns say already.

    >>> sentences("only 7 events; events in only 6 clusters: limits from t", Disclosure(5))
    ['Events in few patients: limits from t.']
    """
    said = []
    for part in note.split("; ") if isinstance(note, str) else ():
        if part and not re.fullmatch(r"only \d+ (informative )?events?", part):
            text = re.sub(r"^events in only \d+ clusters?", "events in few patients", part)
            said.append(sentence_case(rule.sentence(text)))
    return said


def _said_at(frame: pd.DataFrame, rule: Disclosure) -> tuple[str, ...]:
    """What must be said of each day that a table reads: that follow-up has ended, or that nobody is left in a state."""
    found: dict[str, None] = {}
    for r in records(frame.sort_values("time", kind="stable")):
        for text in sentences(r.note, rule):
            if not text.startswith(FEW):
                named = re.sub(r"'(\w+)'", lambda state: f"'{STATES.get(state[1], state[1])}'", text)
                found[f"At {numbers.days(r.time)}: {named[:1].lower()}{named[1:]}"] = None
    return tuple(found)


def hidden_among(frame: pd.DataFrame, rule: Disclosure, *, by: str, parts: Iterable[str]) -> BoolArray:
    """Rows hidden for few events or few patients, and with them others of the same `by` whose `parts` add up.

    What is left when the parts are taken away is hidden where all of them together are few.
    """
    counts = frame["n_events"].to_numpy(dtype=np.float64)
    hidden = rule.small(counts) | rule.small(frame["n_patients"])
    among = frame["outcome"].isin(list(parts)).to_numpy()
    left = frame["outcome"].isin(LEFT).to_numpy()
    for value in frame[by].unique():
        here = (frame[by] == value).to_numpy()
        places = np.flatnonzero(among & here)
        hidden[places] |= rule.parts(counts[places])
        hidden[left & here] |= bool(rule.small(np.nansum(counts[places])))
    return hidden


def states(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """The share of patients in each state at the windows, and the mean days in it."""
    if frame.empty or not frame["n_patients"].max():
        return None
    frame = frame.reset_index(drop=True)
    mean = (frame["measure"] == "mean_days_in_state").to_numpy()
    frame = frame.assign(_block=np.where(mean, -1.0, frame["time"]))
    hidden = hidden_among(frame, rule, by="_block", parts=[name for name in STATES if name not in LEFT])
    windows = sorted(frame.loc[~mean, "time"].unique())
    cells = {(str(r.outcome), r.measure, float(r.time)): r for r in records(frame)}
    columns = [Column("", "text")]
    for time in windows:
        group = f"At {numbers.days(time)}"
        columns += [Column("Moves", group=group), Column("% (interval)", "estimate", group=group)]
    horizon = float(frame.loc[mean, "time"].max()) if mean.any() else float("nan")
    if mean.any():
        columns.append(Column(f"Days of {horizon:.0f} (interval)", "estimate"))
    rows: list[Row] = []
    for state, label in STATES.items():
        line: list[str | Cell] = [label]
        for time in windows:
            r = cells[state, "state_probability", float(time)]
            concealed = bool(hidden[r.Index])
            line.append(numbers.MISSING if state in LEFT else rule.text(float(r.n_events), concealed))
            line.append(estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed))
        if mean.any():
            r = cells[state, "mean_days_in_state", horizon]
            line.append(estimate_cell(r.estimate, r.conf_low, r.conf_high, "rate", bool(hidden[r.Index])))
        rows.append(row(*line))
    data = pd.concat(
        [
            for_csv(
                frame[part],
                ("outcome", "time", "measure", "n_patients", "n_events", "n_risk", *LIMITS),
                rule,
                counts={
                    "n_events": hidden[part],
                    "n_patients": rule.small(frame.loc[part, "n_patients"]),
                    "n_risk": rule.small(frame.loc[part, "n_risk"]),
                },
                values=kind,
                hidden=hidden[part],
            )
            for part, kind in ((~mean, INCIDENCE), (mean, RATE))
            if part.any()
        ],
        ignore_index=True,
    )
    n = rule.text(float(frame["n_patients"].max()))
    return Table(
        "states",
        "Where patients stand, by what happened last",
        f"Unit: patients (n = {n}); denominator: all at entry; window: days since the first augmentation. State: the "
        "last event by that day, a refracture, another procedure, or death; moves: into the state by then, repeats "
        "included. Aalen-Johansen over all moves; the shares of one day add up to 100 %. Days: mean number spent in "
        "the state up to that day.",
        tuple(columns),
        tuple(rows),
        data,
        (
            "Who is treated for a refracture moves on to treated again, and stays there until something else happens.",
            *_said_at(frame, rule),
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def transitions(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Every move between states, with its rate in the state that is left."""
    if frame.empty or not frame["n_patients"].max():
        return None
    frame = frame.reset_index(drop=True)
    few = rule.small(frame["n_patients"])
    hidden = rule.small(frame["n_events"]) | rule.small(frame["n_clusters_with_event"]) | few
    rows: list[Row] = []
    for state, block in frame.groupby("state_from", sort=False, observed=True):
        first = block.iloc[0]
        years = "" if few[block.index[0]] else f", {numbers.number(float(first['person_years']), 'rate')} years"
        people = f"{rule.text(float(first['n_patients']))} patient{'' if first['n_patients'] == 1 else 's'}"
        rows.append(heading(f"{AFTER[str(state)]}: {people}{years}"))
        for r in records(block):
            concealed = bool(hidden[r.Index])
            rows.append(
                row(
                    STATES[str(r.state_to)],
                    rule.text(float(r.n_events), concealed),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "rate", concealed),
                    indent=True,
                )
            )
    return Table(
        "transitions",
        "What comes next, and how soon",
        "Unit: patients; denominator: their years in the state that is left; window: all follow-up. Rates per 100 "
        "patient-years by what happened last; intervals are clustered in patients, exact where events are few.",
        (Column("Next", "text"), Column("Moves"), Column("Rate (interval)", "estimate")),
        tuple(rows),
        for_csv(
            frame.assign(person_years=frame["person_years"].where(~few)),
            ("state_from", "state_to", "measure", *COUNTED, "person_years", "interval", *LIMITS),
            rule,
            counts={"n_events": hidden, "n_clusters_with_event": hidden, "n_patients": few},
            values=RATE,
            hidden=hidden,
        ),
        (
            "Rates after different events compare different patients at different times: they describe a course, and "
            "prove no effect of the event before.",
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def hidden_counts(frame: pd.DataFrame, rule: Disclosure) -> BoolArray:
    """Rows of mean counts that rest on too few episodes or patients with one; the relations are parts of `any`."""
    return hidden_among(frame, rule, by="time", parts=RELATIONS) | rule.small(frame["n_clusters_with_event"])


def mean_counts(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """How many refractures to expect by each window."""
    if frame.empty or not frame["n_patients"].max():
        return None
    frame = frame.reset_index(drop=True)
    hidden = hidden_counts(frame, rule)
    rows: list[Row] = []
    for time, block in frame.groupby("time", sort=True):
        rows.append(heading(f"By {numbers.days(time)}"))
        for r in records(block):
            concealed = bool(hidden[r.Index])
            rows.append(
                row(
                    OUTCOMES[str(r.outcome)],
                    rule.text(float(r.n_events), concealed),
                    of(rule.text(float(r.n_clusters_with_event), concealed), rule.text(float(r.n_patients))),
                    estimate_cell(r.estimate, r.conf_low, r.conf_high, "percent", concealed),
                    rule.text(float(r.n_risk)),
                    indent=True,
                    kind="total" if r.outcome == "any" else "row",
                )
            )
    return Table(
        "mean_counts",
        "How many refractures to expect",
        "Unit: patients; denominator: all at entry, whatever happened before it; window: days since the first "
        "augmentation. Episodes: days with a counted refracture, repeats included; vertebrae found fractured on one "
        "day are one. Mean number per 100 patients treated (mean cumulative count, Ghosh-Lin): the dead have no more "
        "and stay in the mean.",
        (
            Column("", "text"),
            Column("Episodes"),
            Column("Patients with one / n"),
            Column("Per 100 patients (interval)", "estimate"),
            Column("Still followed"),
        ),
        tuple(rows),
        for_csv(
            frame,
            ("outcome", "time", "measure", *COUNTED, "n_risk", *LIMITS),
            rule,
            counts={
                "n_events": hidden,
                "n_clusters_with_event": hidden,
                "n_patients": rule.small(frame["n_patients"]),
                "n_risk": rule.small(frame["n_risk"]),
            },
            values=INCIDENCE,
            hidden=hidden,
        ),
        (
            "A day with refractures of several relations is one episode of any refracture: the relations add to more.",
            *_said_at(frame, rule),
        ),
    ).with_notes(rule.note() if hidden.any() else "")


def days_lost(frame: pd.DataFrame, rule: Disclosure) -> Table | None:
    """Days free of refracture and alive, and days lost to each first event, of those up to the horizon."""
    if frame.empty or not frame["n_patients"].max():
        return None
    frame = frame.reset_index(drop=True)
    causes = [str(name) for name in frame["outcome"].unique() if name not in LEFT]
    # The refractures add up to those of the composite curve, and all causes to the days of the horizon.
    refractures = [name for name in causes if name != "death"]
    free = frame["outcome"].isin(LEFT)
    hidden = hidden_among(frame, rule, by="time", parts=causes)
    hidden |= hidden_among(frame, rule, by="time", parts=refractures) & ~free.to_numpy()
    horizon = float(frame["time"].max())
    rows: list[Row] = []
    for r in records(frame):
        concealed = bool(hidden[r.Index])
        name = {"event_free": "Free of refracture, and alive", "death": "Death before any refracture"}
        rows.append(
            row(
                name.get(str(r.outcome), OUTCOMES.get(str(r.outcome), str(r.outcome))),
                numbers.MISSING if r.outcome in LEFT else rule.text(float(r.n_events), concealed),
                estimate_cell(r.estimate, r.conf_low, r.conf_high, "rate", concealed),
            )
        )
    n = rule.text(float(frame["n_patients"].max()))
    return Table(
        "days_lost",
        f"Days lost within {numbers.days(horizon)}",
        f"Unit: patients (n = {n}); denominator: patients at entry, before any refracture; window: the {horizon:.0f} "
        "days after the first augmentation, to which the means add up. Mean days until the first event, and after it "
        "by what it was: areas under the composite curves (Aalen-Johansen), clustered in patients.",
        (Column("", "text"), Column("First events"), Column("Days (interval)", "estimate")),
        tuple(rows),
        for_csv(
            # Of who had no event yet the number says what the others add up to.
            frame.assign(n_events=frame["n_events"].where(~free)),
            ("outcome", "time", "measure", "n_patients", "n_events", *LIMITS),
            rule,
            counts={"n_events": hidden, "n_patients": rule.small(frame["n_patients"])},
            values=RATE,
            hidden=hidden,
        ),
        _said_at(frame, rule),
    ).with_notes(rule.note() if hidden.any() else "")
