"""At a landmark the future is not known: exposure is as on that day, among those still at risk, and stays so.

A check of a Cox model with time-varying exposure (Anderson, Cain and Gelber 1983, J Clin Oncol 1:710): nobody is
exposed before the exposure began, whatever the model thinks of when an effect sets in. The value on landmark day s is
that of the row with entry < s <= exit; follow-up counts from s, `(s, s + horizon]`, an event on day s being the past.
An exposure that begins later is not seen, so where it acts at once the hazard ratio lies nearer to 1.

All landmarks together are the stacked model of van Houwelingen (2007, Scand J Stat 34:70): one coefficient, a stratum
per landmark, and the patient, who is in several, as the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.cox import hazard_estimates, select
from cohort.estimate.design import Design, Rows, causes, design, distinct, rows_of, zero_one
from cohort.estimate.incidence import Histories, join_splits
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.small_sample import HazardCorrection
from cohort.tables.results import Estimates

READS = (
    "hazard after the landmark by the exposure on the landmark, among those still at risk: an exposure that begins or "
    "ends later is not seen; the stacked row is an average over the landmarks, in which later ones count for less"
)
STACKED = "stacked"


def landmark(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    id: str,
    at: Sequence[float] = (90, 180, 365),
    horizon: float | None = None,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    robust: bool | None = None,
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Hazard ratios from each landmark on, and from all of them stacked.

    rows : counting-process rows in which covariates may change; at : landmark days, on the scale of exit.
    horizon : days after a landmark at which follow-up is cut, default none. strata : also as on the landmark.
    robust : of the single landmarks, default as in `cox`; the stacked model is always robust by cluster (or id).
    Other arguments as in `cox`. Who enters on or after a landmark, or has no value on it, is not in it.

    Returns for each landmark (`stratum` "day 90", `time` 90) and for the stack (`stratum` "stacked", no time) one row
    per term, as `cox`, with `n_exposed` (units at 1 of a 0/1 term on the landmark). In the stack n_units are those of
    any landmark and n_events are distinct events, `n_stacked_events` counts each once per landmark before it, and
    exposed ones are not counted, since an event can follow a day with the exposure and a day without.
    settings: `landmarks`, per day units at risk, without a value, and that entered later, and the variance used.
    Raises EstimationError as `cox`, and for landmarks that are no increasing days.

    >>> days = pd.DataFrame({"vertebra": [1, 1, 2, 3, 4, 4, 5], "entry": [0, 5, 0, 0, 0, 9, 0],
    ...                      "exit": [5, 12, 8, 15, 9, 20, 14], "event": [0, 1, 1, 1, 0, 1, 1],
    ...                      "drug": [0, 1, 0, 0, 0, 1, 1]})
    >>> found = landmark(days, ["drug"], at=[6, 10], entry="entry", exit="exit", event="event", id="vertebra").frame
    >>> found[["stratum", "n_units", "n_events", "n_exposed"]].to_numpy().tolist()
    [['day 6', 5, 5.0, 2.0], ['day 10', 4, 4.0, 3.0], ['stacked', 5, 5.0, nan]]
    """
    days = _landmarks(at, horizon)
    plan = design(rows, covariates)
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    happened = zero_one(rows, event, "the event") if of is None else causes(rows, event) == of
    x = np.full((len(base.exit), len(plan.terms)), np.nan)
    x[plan.complete] = plan.matrix
    options: dict[str, Any] = {
        "ties": ties,
        "weight_kind": weight_kind,
        "confidence": confidence,
        "small_sample": small_sample,
        "common": {"outcome": outcome, "model": model, "measure": "hazard_ratio"},
        "settings": {},
    }
    used = base.weight > 0
    base, happened, x = select(base, used), happened[used], x[used]
    landmarks = [_Landmark.of(day, horizon, base, happened, x, cluster is not None) for day in days]
    parts = []
    for one, day in zip(landmarks, days, strict=True):
        weighted = weight_kind == "probability" and bool((one.rows.weight != 1).any())
        asked = one.rows.clustered or weighted or small_sample == "jackknife" if robust is None else robust
        found = hazard_estimates(plan, one.x, one.event, one.rows, robust=asked, **options)
        one.account["variance"] = found.settings["variance"]
        frame = found.frame.assign(
            stratum=f"day {day:g}", time=day, n_exposed=one.n_exposed, n_stacked_events=found.frame["n_events"]
        )
        if not len(one.x):
            frame["note"] = f"nobody with a value is at risk after day {day:g}: nothing can be estimated"
        parts.append(frame)
    stacked = _stacked(plan, landmarks, options)
    parts.append(stacked.frame)
    columns = pd.concat(parts, ignore_index=True)
    return report.estimates(
        {name: columns[name].to_numpy() for name in columns.columns},
        {
            **stacked.settings,
            "method": "Cox partial likelihood from each landmark on, and stacked with a stratum per landmark",
            "reads": READS,
            "landmarks": [one.account for one in landmarks],
            "horizon": horizon,
            "strata": strata,
            "weights": weight_kind if weight is not None else "none",
        },
    )


def _landmarks(at: npt.ArrayLike, horizon: float | None) -> FloatArray:
    days = np.atleast_1d(np.asarray(at, dtype=np.float64))
    if not len(days) or not np.isfinite(days).all() or (np.diff(days) <= 0).any():
        raise EstimationError(f"Landmarks must be days, each later than the one before it, and are {days.tolist()}.")
    if horizon is not None and not horizon > 0:
        raise EstimationError(f"The horizon must be greater than zero days after the landmark, and is {horizon}.")
    return days


def at_landmark(
    day: float, horizon: float | None, entry: FloatArray, exit: FloatArray, event: BoolArray, unit: IntArray
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, BoolArray]:
    """Who is at risk after `day`, and their rows from then on; all (n,), unit codes from 0.

    Returns the row that covers the day for each unit (-1 where none does, or where nothing follows it); then for the
    rows that follow: their number, entry and exit cut to `(day, day + horizon]`, and whether they end in the event.

    >>> covering, row, start, end, had = at_landmark(6.0, 10.0, np.array([0.0, 5.0, 0.0]), np.array([5.0, 20.0, 6.0]),
    ...                                              np.array([False, True, True]), np.array([0, 0, 1]))
    >>> covering.tolist(), row.tolist(), start.tolist(), end.tolist(), had.tolist()
    ([1, -1], [1], [6.0], [16.0], [False])
    """
    last_day = np.inf if horizon is None else day + horizon
    covering = np.full(int(unit.max(initial=-1)) + 1, -1, dtype=np.int64)
    on_day = np.flatnonzero((entry < day) & (exit >= day))
    covering[unit[on_day]] = on_day
    # Whoever ends on the landmark, and comes back later or not, is not at risk the day after it.
    next_day = np.zeros(len(covering), dtype=bool)
    next_day[unit[(entry <= day) & (exit > day)]] = True
    covering = np.where(next_day, covering, -1)
    row = np.flatnonzero((exit > day) & (entry < last_day))
    row = row[covering[unit[row]] >= 0]
    start, end = np.maximum(entry[row], day), np.minimum(exit[row], last_day)
    return covering, row, start, end, event[row] & (exit[row] <= last_day)


@dataclass(frozen=True)
class _Landmark:
    """Those at risk after a day: covariates (m, p) as on it, events (m,), rows from it on, and the account of units."""

    x: FloatArray
    event: BoolArray
    rows: Rows
    account: dict[str, Any]

    @classmethod
    def of(
        cls, day: float, horizon: float | None, base: Rows, event: BoolArray, x: FloatArray, clustered: bool
    ) -> _Landmark:
        """From all rows with a weight; x (n, p) with missing values where a covariate is."""
        covering, row, start, end, had = at_landmark(day, horizon, base.entry, base.exit, event, base.id)
        known = covering >= 0
        blank = np.zeros(len(covering), dtype=bool)
        blank[known] = np.isnan(x[covering[known]]).any(axis=1)
        use = ~blank[base.id[row]]
        row = row[use]
        # Later changes of the covariates are not seen, so the splits that they made are joined again.
        joined = join_splits(
            Histories(
                start[use], end[use], had[use].astype(np.int64), base.weight[row], base.id[row], base.cluster[row]
            )
        )
        on_day = covering[joined.id]
        clustered = clustered or distinct(joined.id) < len(joined.id)
        rows = Rows(
            joined.entry, joined.exit, joined.weight, joined.id, joined.cluster, base.stratum[on_day], clustered
        )
        first = np.full(len(covering), -np.inf)
        first[base.id] = np.inf
        np.minimum.at(first, base.id, base.entry)
        account: dict[str, Any] = {
            "day": float(day),
            "at_risk": int((known & ~blank).sum()),
            "without_a_value": int(blank.sum()),
            "entered_later": int((first >= day).sum()),
        }
        return cls(np.asfortranarray(x[on_day]), joined.cause == 1, rows, account)

    @property
    def n_exposed(self) -> FloatArray:
        """Units at 1 of each 0/1 column (p,), missing for other columns."""
        first = np.unique(self.rows.id, return_index=True)[1]
        binary = np.isin(self.x, (0.0, 1.0)).all(axis=0)
        return np.where(binary, self.x[first].sum(axis=0), np.nan)


def _stacked(plan: Design, landmarks: list[_Landmark], options: dict[str, Any]) -> Estimates:
    """All landmarks in one model, a stratum each."""
    rows = [one.rows for one in landmarks]
    x = np.asfortranarray(np.concatenate([one.x for one in landmarks]))
    event = np.concatenate([one.event for one in landmarks])

    def joined(name: str) -> Any:
        return np.concatenate([getattr(mine, name) for mine in rows])

    own, which = joined("stratum"), np.repeat(np.arange(len(rows)), [len(mine.exit) for mine in rows])
    stratum = np.unique(which * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1]
    together = Rows(
        joined("entry"), joined("exit"), joined("weight"), joined("id"), joined("cluster"), stratum, clustered=True
    )
    found = hazard_estimates(plan, x, event, together, robust=True, **options)
    # An event is in the stack once per landmark before it.
    _, first = np.unique(np.column_stack([together.id, together.exit])[event], axis=0, return_index=True)
    copies = together.weight[event] if options["weight_kind"] == "frequency" else np.ones(int(event.sum()))
    n_events = float(copies[first].sum())
    frame = found.frame.assign(
        stratum=STACKED, time=np.nan, n_exposed=np.nan, n_stacked_events=found.frame["n_events"],
        n_events=n_events, n_exposed_events=np.nan,
    )  # fmt: skip
    if 0 < n_events < report.FEW_EVENTS <= float(copies.sum()):
        said = f"only {n_events:g} distinct events"
        frame["note"] = ["; ".join(filter(None, [note, said])) for note in frame["note"]]
    return Estimates(frame, found.settings)
