"""Do groups differ in how fast events come? Observed less expected events, summed over risk sets (Mantel 1966)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import column, rows_of, zero_one
from cohort.estimate.risk_sets import RiskSets
from cohort.tables.results import Estimates


def logrank(
    rows: pd.DataFrame,
    *,
    exit: str,
    event: str,
    by: str,
    strata: str | Sequence[str] | None = None,
    entry: str | None = None,
    rho: float = 0.0,
) -> Estimates:
    """Log-rank test, stratified where asked; rho > 0 weights early events by Kaplan-Meier**rho (Fleming-Harrington).

    Rows must be independent: with several units per patient use `cox` with a cluster instead.
    Returns one row per group (n_units, n_events, `expected`) and one, term "test", with statistic, df and p_value.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 1, 1, 1], "leak": [1, 1, 0, 0]})
    >>> round(float(logrank(days, exit="exit", event="event", by="leak").frame["statistic"].iloc[-1]), 4)
    2.8824
    """
    base = rows_of(rows, exit_=exit, entry=entry, weight=None, id_=None, cluster=None, strata=strata)
    happened = zero_one(rows, event, "the event")
    codes, values = pd.factorize(column(rows, by, "the groups"), sort=True)
    if (codes < 0).any():
        raise EstimationError(f"Column '{by}' (the groups) is missing in {int((codes < 0).sum())} rows.")
    size = len(values)
    member = (codes[:, None] == np.arange(size)).astype(np.float64)
    sets = RiskSets.of(base.exit, happened, base.entry, base.stratum)
    events = np.flatnonzero(happened)
    at_risk, had = sets.sums(member), sets.deaths(member, events)
    total, d = at_risk.sum(axis=1), had.sum(axis=1)
    weight = np.ones(len(total))
    if rho:
        with np.errstate(divide="ignore"):
            left = np.log1p(-d / total)
        # Kaplan-Meier just before, within each stratum; a share of zero can only be the last, so it is never used.
        before = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(left), left, 0.0))])[:-1]
        opening = np.searchsorted(sets.stratum, sets.stratum, side="left")
        weight = np.exp(rho * (before - before[opening])) if len(before) else weight
    share = at_risk / total[:, None]
    observed, expected = weight @ had, weight @ (d[:, None] * share)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(total > 1, weight**2 * d * (total - d) / (total - 1.0), 0.0)
    variance = np.diag(spread @ share) - share.T @ (spread[:, None] * share)
    usable = np.flatnonzero(np.diag(variance) > 0)[:-1]
    statistic, df, note = np.nan, 0, "no event at a time when two groups were at risk"
    if len(usable):
        difference = (observed - expected)[usable]
        statistic = float(difference @ np.linalg.solve(variance[np.ix_(usable, usable)], difference))
        df, note = len(usable), ""
    blank = np.full(size, np.nan)
    return report.estimates(
        {
            "term": [str(value) for value in values] + ["test"],
            "measure": "logrank",
            "n_units": [*np.bincount(codes, minlength=size), len(rows)],
            "n_events": [*np.bincount(codes[happened], minlength=size), len(events)],
            "statistic": [*blank, statistic],
            "df": [*blank, df],
            "p_value": [*blank, float(stats.chi2.sf(statistic, df)) if df else np.nan],
            "observed": [*observed, observed.sum()],
            "expected": [*expected, expected.sum()],
            "note": [""] * size + [note],
        },
        {"method": "log-rank", "rho": rho, "by": by, "strata": strata},
    )
