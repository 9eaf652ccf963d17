"""Odds ratios at a horizon when some are lost before it: those still seen stand for those who are not.

Known at the horizon h: an event of the cause by h (1), a competing event by h (0: it can no longer happen), followed
to h (0). Lost before h: unknown, weight 0. The known carry the weight 1 / G(min(T, h)-), G the Kaplan-Meier curve of
being lost (Robins and Rotnitzky 1992; Scheike, Zhang and Gerds 2008; Blanche, Holt and Scheike 2023).

On one day events come before losses: who has an event on day t was not at risk of being lost on t. With that order
the weighted share of events, without covariates, is exactly the Aalen-Johansen incidence at h; with the other order,
which a plain Kaplan-Meier of the losses takes, it is not.

Variance: the sandwich over clusters with G taken as known. Since G is estimated from the same rows, and estimating it
takes variance away, intervals are if anything too wide (conservative) while censoring does not depend on covariates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.design import causes, codes_of, design, first_and_last, rows_of
from cohort.estimate.glm import logistic_of_arrays
from cohort.estimate.risk_sets import RiskSets
from cohort.estimate.small_sample import GlmCorrection
from cohort.tables.results import Estimates


def censoring_weights(
    exit_: FloatArray, cause: IntArray, horizon: float, weight: FloatArray, stratum: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Weights 1 / G(min(T, horizon)-), zero where lost before the horizon, and who is known; all (n,).

    stratum : codes; the losses are estimated within each.

    >>> w, known = censoring_weights(np.array([1.0, 2.0, 9.0]), np.array([1, 0, 0]), 5.0, np.ones(3), np.zeros(3, int))
    >>> w.tolist(), known.tolist()
    ([1.0, 0.0, 2.0], [True, False, True])
    """
    lost = cause == 0
    # An event leaves just before the losses of its day, a loss just after: half a step between days orders them.
    days, order = np.unique(exit_, return_inverse=True)
    place = 2.0 * order + lost
    sets = RiskSets.of(place, lost, None, stratum)
    at_risk = sets.sums(weight)
    gone = sets.deaths(weight, np.flatnonzero(lost))
    with np.errstate(divide="ignore"):
        log_left = np.log1p(-np.minimum(gone / at_risk, 1.0))
    until = np.minimum(place, 2.0 * np.searchsorted(days, horizon, side="left"))
    width = 2.0 * len(days) + 2.0
    losses_before = np.searchsorted(sets.stratum * width + sets.time, stratum * width + until, side="left")
    total = np.append(0.0, np.cumsum(np.where(np.isfinite(log_left), log_left, 0.0)))
    known = (~lost) | (exit_ >= horizon)
    return np.where(known, np.exp(total[sets.first] - total[losses_before]), 0.0), known


def ipcw_logistic(
    rows: pd.DataFrame,
    *,
    horizon: float,
    exit: str,
    cause: str,
    covariates: Sequence[str],
    of: int = 1,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    censoring_by: str | Sequence[str] | None = None,
    small_sample: GlmCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Odds ratios for an event of one cause by the horizon, allowing for losses before it.

    rows : counting-process rows; those of one id become one unit, with the covariates of its first row. Units that
        enter after the earliest entry are left out and counted (`n_late_entry` in the settings): they are seen
        because they were still free, and the weights here repair losses at the end only.
    horizon : on the scale of exit. cause : 0 none or censored, 1, 2, ...; `of` is the event, the others compete.
    censoring_by : losses are estimated within these groups (a site, say) instead of over all.
    small_sample : as in `poisson`.

    Returns the frame of `logistic` with n_events (by the horizon), n_known and n_lost (units).
    """
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster)
    if not horizon > 0:
        raise EstimationError(f"The horizon must be greater than zero, and is {horizon}.")
    what = causes(rows, cause)
    groups = codes_of(rows, censoring_by, "the censoring groups")
    first, last = first_and_last(base.id, base.entry, base.exit)
    earliest = float(base.entry.min(initial=np.inf))
    in_time = (base.entry[first] == earliest) & (base.weight[first] > 0)
    n_late = int((base.entry[first] > earliest).sum())
    first, last = first[in_time], last[in_time]
    stratum = np.zeros(len(first), dtype=np.int64) if groups is None else groups[first]
    sampling, exit_, ended = base.weight[first], base.exit[last], what[last]
    inverse, known = censoring_weights(exit_, ended, horizon, sampling, stratum)
    plan = design(rows.iloc[first], covariates)
    happened = ((ended == of) & (exit_ <= horizon)).astype(np.float64)
    counts = {"outcome": outcome, "model": model, "time": float(horizon)}
    return logistic_of_arrays(
        plan,
        happened,
        sampling * inverse,
        base.cluster[first],
        robust=True,
        confidence=confidence,
        extra={
            **counts,
            "n_known": int((known & plan.complete).sum()),
            "n_lost": int((~known & plan.complete).sum()),
        },
        settings={
            "method": "logistic regression at a horizon, inverse probability of censoring weights",
            "horizon": horizon,
            "censoring": "Kaplan-Meier of losses, events first on one day, taken as known in the variance",
            "censoring_by": censoring_by,
            "n_late_entry": n_late,
            "largest_weight": float(inverse.max(initial=0.0)),
        },
        small_sample=small_sample,
    )
