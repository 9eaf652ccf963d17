"""Where patients stand: the share in each state after the first procedure, and every move between states.

Incidence says who ever had a refracture; a state says what happened last, so the shares of one day add to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cohort import atrisk
from cohort.estimate import multistate
from cohort.pipeline.occurrence import COMPOSITE, CURVE_END_DAYS, RISK_TABLE_DAYS, first_events
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.results import Estimates, Registry

HORIZON_DAYS = 730


def states(registry: Registry, *, at: Sequence[int] | None = None, horizon: int = HORIZON_DAYS) -> Estimates:
    """Share of patients in each state at days after the first procedure, and mean days in each up to a horizon.

    States are no_event, same, adjacent, remote (the last event was a refracture of that relation), re_augmented (it was
    another procedure) and dead; population, clock, entry and exit are those of the composite incidence curve
    (`cohort.atrisk.state_rows` states the order of events of one day). at : days (default: the study's windows).

    The frame has one row per day and state (measure state_probability), then one per state (measure
    mean_days_in_state, time the horizon): outcome, time, measure, n_patients, n_units, n_events (moves into the state
    by that day), n_risk (in the state just before the day), estimate, conf_low, conf_high, std_error, note. Everybody
    starts in no_event. Intervals are robust; a mean is missing where follow-up ends before the horizon.

    Raises EstimationError when nobody is at risk.

    >>> import cohort
    >>> found = states(cohort.read("data/cases"), at=[30, 320]).frame.set_index(["time", "outcome"])["estimate"]
    >>> found.loc[30, "same"].item(), found.loc[320, "re_augmented"].item()
    (0.5, 0.5)
    """
    return of_cohort(prepare(registry), at=at, horizon=horizon)


def of_cohort(cohort: Cohort, *, at: Sequence[int] | None = None, horizon: int = HORIZON_DAYS) -> Estimates:
    """The same of a registry that is classified already."""
    rows, named = _rows(cohort)
    days = list(cohort.study.models.windows_days if at is None else at)
    shares = multistate.state_probabilities(rows, at=days, **named)
    means = multistate.mean_time_in_states(rows, horizon=horizon, **named)
    frame = pd.concat([shares.frame, means.frame], ignore_index=True).drop(columns="stratum")
    return Estimates(frame, {**shares.settings, "horizon": horizon, "study": cohort.study.digest})


def transitions(registry: Registry) -> Estimates:
    """Every move between states: how many, person-years in the state left, and the rate per 100 of them.

    The frame has one row per state that is ever followed and state it may be left for, never `no_event` (the same again
    where an event of its kind was repeated): state_from, state_to, n_patients (with time in state_from), n_events,
    person_years, estimate, conf_low, conf_high (clustered by patient; exact where events are few), note.

    >>> import cohort
    >>> found = transitions(cohort.read("data/cases")).frame
    >>> found.loc[found["n_events"] > 0, ["state_from", "state_to", "n_events"]].values.tolist()[:2]
    [['no_event', 'same', 1.0], ['no_event', 'remote', 1.0]]
    """
    return transitions_of(prepare(registry))


def transitions_of(cohort: Cohort) -> Estimates:
    """The same of a registry that is classified already."""
    rows, named = _rows(cohort)
    named = {name: value for name, value in named.items() if name != "initial"}
    found = multistate.state_transitions(rows, **named)
    # Nobody comes back to having had no event: these rates are zero by definition.
    frame = found.frame[found.frame["state_to"] != atrisk.STATES[0]].drop(columns="stratum").reset_index(drop=True)
    return Estimates(frame, {**found.settings, "study": cohort.study.digest})


def curves(cohort: Cohort) -> Estimates:
    """The shares of `states` at every day of the first two years with a move, with `n_events_total` of each state."""
    rows, named = _rows(cohort)
    moves = rows["state_to"].notna() & (rows["state_to"] != rows["state_from"]) & (rows["exit"] <= CURVE_END_DAYS)
    every = multistate.state_probabilities(rows, at=sorted(set(rows.loc[moves, "exit"])), **named)
    frame = every.frame.drop(columns="stratum")
    total = frame.groupby("outcome")["n_events"].transform("max")
    return Estimates(frame.assign(n_events_total=total), {**every.settings, "study": cohort.study.digest})


def numbers_in_states(cohort: Cohort) -> pd.DataFrame:
    """Patients followed at the ticks below the curves by the state they are in: outcome, time, n_risk.

    Counted on the evening of the day: in the state by then, and followed beyond it.
    """
    rows, _ = _rows(cohort)
    entry, exit_ = rows["entry"].to_numpy(), rows["exit"].to_numpy()
    counts = [
        (state, day, int(((entry <= day) & (exit_ > day) & (rows["state_from"] == state).to_numpy()).sum()))
        for state in atrisk.STATES[:-1]
        for day in RISK_TABLE_DAYS
    ]
    return pd.DataFrame(counts, columns=["outcome", "time", "n_risk"])


def _rows(cohort: Cohort) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of states, and the arguments that every estimator of them takes."""
    first_events(cohort, COMPOSITE)  # says so where nobody is at risk
    rows = atrisk.state_rows(*cohort.stages).frame
    return rows, {
        "entry": "entry",
        "exit": "exit",
        "state_from": "state_from",
        "state_to": "state_to",
        "states": atrisk.STATES,
        "id": "id",
        "cluster": "cluster",
        "initial": atrisk.STATES[0],
        "confidence": cohort.study.models.confidence,
    }
