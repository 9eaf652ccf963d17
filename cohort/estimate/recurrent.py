"""An event belongs to an order: one more than the events of its unit before the row it ends.

Four ways to use that order, all of them Cox's partial likelihood with the patient as the unit that varies: Andersen and
Gill (1982) ignore it; Prentice, Williams and Peterson (1981) compare only those who await the same order, in time
since the origin or since the previous event; Wei, Lin and Weissfeld (1989) hold everyone at risk of every order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.cox import hazard_estimates, select, taken
from cohort.estimate.design import Rows, causes, codes_of, column, design, distinct, rows_of, zero_one
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.small_sample import HazardCorrection
from cohort.tables.results import Estimates

Clock = Literal["andersen_gill", "pwp_total", "pwp_gap", "marginal"]

METHOD = {
    "andersen_gill": "Andersen-Gill",
    "pwp_total": "Prentice-Williams-Peterson, total time",
    "pwp_gap": "Prentice-Williams-Peterson, gap time",
    "marginal": "Wei-Lin-Weissfeld, marginal",
}
READS = {
    "andersen_gill": "rate of events at a time since the origin, whichever number the event has; earlier events act "
    "only through the covariates",
    "pwp_total": "hazard of the next event at a time since the origin, among those who have had as many events; an "
    "exposure that brings the first event on also decides who is compared at the later ones",
    "pwp_gap": "hazard of the next event at a time since the previous one (since the origin for the first), among "
    "those who have had as many events; an exposure that brings the first event on also decides who is compared later",
    "marginal": "hazard of the k-th event at a time since the origin, in all who have not had it, also those who have "
    "had fewer than k - 1; the effect on later events carries that on the earlier ones along",
}
DEATH = (
    "a death ends the time at risk: hazards are those of the living, and the number of events to expect needs the "
    "hazard of death as well"
)


def recurrent(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    id: str,
    entry: str | None = None,
    cluster: str | None = None,
    clock: Clock = "andersen_gill",
    max_order: int | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Hazard ratios of events that may come back, robust by cluster.

    rows : one row per unit and interval `(entry, exit]`; a unit (`id`) has as many rows as it needs, and each may end
        in an event. Its events are counted from its first row on, also over rows that miss a covariate.
    cluster : the patient, where the unit is a vertebra; default the unit itself.
    clock : "andersen_gill", "pwp_total", "pwp_gap" (time since the previous event; that of first events since 0 of the
        time scale, so that a late entry and a gap without observation stay late) or "marginal" (each row is at risk of
        its own order and of all later ones, so covariates may change with time as in the other three).
    max_order : the stratum that also holds all later orders; with "marginal" the last order that is modelled, later
        events being left out. Default as many as there are. Orders with few events are said in the note.
    Other arguments and the frame as in `cox`. n_units counts ids. settings holds `events_by_order`, `units_by_order`,
    `reads` (what the ratio compares) and `death`.
    Raises EstimationError for rows of one id that overlap and for an id in two clusters; and as `cox` does. Rows that
    are laid out by order already (one per id and order, all from the start) are for `cox(..., strata=order)`.

    >>> days = pd.DataFrame({
    ...     "vertebra": [1, 1, 2, 2, 3, 4], "entry": [0, 10, 0, 6, 0, 0], "exit": [10, 30, 6, 20, 25, 9],
    ...     "event": [1, 0, 1, 1, 0, 1], "leak": [0, 0, 1, 1, 0, 1]})
    >>> result = recurrent(days, ["leak"], exit="exit", event="event", entry="entry", id="vertebra", clock="pwp_total")
    >>> result.settings["events_by_order"]
    {'1': 3, '2': 1}
    """
    if clock not in METHOD:
        raise EstimationError(f"clock must be one of {', '.join(METHOD)}, and is {clock!r}.")
    if max_order is not None and (max_order < 1 or clock == "andersen_gill"):
        raise EstimationError(
            "max_order pools event orders from that one on: a whole number from 1, for the clocks pwp_total, pwp_gap "
            "and marginal; andersen_gill has no orders to pool."
        )
    plan = design(rows, covariates)
    if entry is None and column(rows, id, "the id").duplicated().any():
        raise EstimationError(
            f"Several rows share one '{id}', so their order needs `entry`, the time at which each begins. Rows laid "
            "out by order already, each from the start, are for cox(..., strata=the column of the order)."
        )
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    refuse_shared_ids(base, id)
    groups = codes_of(rows, strata, "the stratum")
    happened = zero_one(rows, event, "the event") if of is None else causes(rows, event) == of
    order, previous = event_order(base.id, base.entry, base.exit, happened)

    used = plan.complete & (base.weight > 0)
    x = plan.matrix[base.weight[plan.complete] > 0]
    base = select(base if groups is None else replace(base, stratum=groups), used)
    happened, order, previous = happened[used], order[used], previous[used]
    laid = lay_out(base, happened, order, previous, clock, max_order)
    by_order = _counts(laid, weight_kind)
    settings: dict[str, Any] = {
        "method": f"Cox partial likelihood, {METHOD[clock]}",
        "clock": clock,
        "max_order": max_order,
        "reads": READS[clock],
        "death": DEATH,
        "weights": weight_kind if weight is not None else "none",
        "strata": strata,
        **by_order,
    }
    result = hazard_estimates(
        plan,
        x[laid.row],
        laid.event,
        laid.rows,
        ties=ties,
        weight_kind=weight_kind,
        robust=True,
        confidence=confidence,
        common={"outcome": outcome, "model": model, "measure": "hazard_ratio"},
        settings=settings,
        small_sample=small_sample,
    )
    few = [f"{k} ({n:g})" for k, n in by_order["events_by_order"].items() if k != "1" and n < report.FEW_EVENTS]
    if clock == "andersen_gill" or not few:
        return result
    mended = "leaves them out" if clock == "marginal" else "pools them with the order before"
    said = f"few events of order {', '.join(few)}: max_order {mended}"
    notes = [f"{note}; {said}" if note else said for note in result.frame["note"]]
    return Estimates(result.frame.assign(note=notes), result.settings)


def refuse_shared_ids(rows: Rows, name: str) -> None:
    """Raise EstimationError where one id stands in two clusters: vertebra L1 of two patients is two units."""
    owner = np.zeros(int(rows.id.max(initial=0)) + 1, dtype=np.int64)
    owner[rows.id] = rows.cluster
    shared = len(np.unique(rows.id[owner[rows.id] != rows.cluster]))
    if shared:
        raise EstimationError(
            f"{shared} values of '{name}' stand in more than one cluster; an id must name one unit of one patient. "
            "Join patient and vertebra into one id first."
        )


def event_order(unit: IntArray, entry: FloatArray, exit_: FloatArray, event: BoolArray) -> tuple[IntArray, FloatArray]:
    """Which event each row awaits (1 the first), and when the unit's previous one came (NaN before the first); (n,).

    >>> order, previous = event_order(np.array([7, 7, 7]), np.array([0.0, 4, 9]), np.array([4.0, 9, 12]),
    ...                               np.array([True, False, True]))
    >>> order.tolist(), previous.tolist()
    ([1, 2, 2], [nan, 4.0, 4.0])
    """
    size = len(unit)
    sort = np.lexsort((exit_, entry, unit))
    position = np.arange(size)
    change = np.ones(size, dtype=bool)
    change[1:] = np.diff(unit[sort]) != 0
    opening = np.maximum.accumulate(np.where(change, position, 0)) if size else position
    had = event[sort]
    before: IntArray = np.cumsum(had, dtype=np.int64) - had
    last = np.concatenate([[-1], np.maximum.accumulate(np.where(had, position, -1))[:-1]]) if size else position
    order, previous = np.empty(size, dtype=np.int64), np.empty(size)
    order[sort] = before - before[opening] + 1
    previous[sort] = np.where(last >= opening, exit_[sort][last], np.nan)
    return order, previous


@dataclass(frozen=True)
class LaidOut:
    """Rows as a model of recurrent events needs them: `row` (m,) says which row each came from, `order` its stratum."""

    row: IntArray
    rows: Rows
    event: BoolArray
    order: IntArray
    pooled: bool


def lay_out(
    rows: Rows, event: BoolArray, order: IntArray, previous: FloatArray, clock: Clock, max_order: int | None
) -> LaidOut:
    """Clock, strata and copies; arguments have shape (n,), order and previous as `event_order` gives them."""
    highest = int(order[event].max(initial=1))
    last = highest if max_order is None else min(max_order, highest)
    row = np.arange(len(order))
    if clock == "marginal":
        copies = np.maximum(last - order + 1, 0)
        row = np.repeat(row, copies)
        rank = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
        stratum = order[row] + rank
        event = event[row] & (rank == 0)
        rows = taken(rows, row)
    else:
        # Rows that await an order which nobody reached join a stratum without events, or the last one if pooled.
        stratum = order if max_order is None else np.minimum(order, max_order)
    if clock == "pwp_gap":
        start = np.where(np.isnan(previous), 0.0, previous)
        rows = replace(rows, entry=rows.entry - start, exit=rows.exit - start)
    if clock != "andersen_gill":
        width = int(stratum.max(initial=0)) + 1
        rows = replace(rows, stratum=rows.stratum * width + stratum)
    pooled = max_order is not None and max_order < highest and clock != "marginal"
    return LaidOut(row, rows, event, stratum, pooled)


def _counts(laid: LaidOut, weight_kind: WeightKind) -> dict[str, dict[str, int]]:
    """Events, and units at risk, of each order that has an event; the last is named `k+` where later ones joined it."""
    counts = laid.rows.weight if weight_kind == "frequency" else np.ones(len(laid.order))
    events = np.bincount(laid.order[laid.event], counts[laid.event])
    present = np.flatnonzero(events)
    names = [f"{k}+" if laid.pooled and k == present[-1] else str(k) for k in present]
    return {
        "events_by_order": {name: round(events[k]) for name, k in zip(names, present, strict=True)},
        "units_by_order": {
            name: distinct(laid.rows.id[laid.order == k]) for name, k in zip(names, present, strict=True)
        },
    }
