"""Do hazards stay proportional? The score test that each coefficient changes with a function of time.

Grambsch and Therneau (1994) in the exact form of R's `cox.zph` since survival 3.0: the model is extended by the
covariate times g(time), and the extension is tested at zero with the information of the extended model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.cox import CoxFit, complete_rows, fit_cox
from cohort.estimate.design import Rows, design, rows_of
from cohort.estimate.incidence import Histories, curves
from cohort.estimate.kernel import Ties, WeightKind
from cohort.tables.results import Estimates

Transform = Literal["km", "rank", "identity", "log"]


def ph_test(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    transform: Transform = "km",
    weight_kind: WeightKind = "probability",
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Test proportional hazards, one row per covariate (its categories together) and one for all (`GLOBAL`).

    Arguments as in `cox`. transform : g(time): "km" (one minus Kaplan-Meier just before), "rank", "identity", "log".
    The test is model-based, as in R: it takes no account of clusters, and with clustered rows rejects too readily.
    Returns term, statistic (chi-squared), df, p_value, n_events, note.
    """
    if transform not in ("km", "rank", "identity", "log"):
        raise EstimationError(f"transform must be km, rank, identity or log, and is {transform!r}.")
    plan = design(rows, covariates)
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    x, happened, base = complete_rows(rows, plan, base, event, of)
    variables = list(dict.fromkeys(plan.variables))
    settings: dict[str, Any] = {
        "method": "Grambsch-Therneau score test",
        "transform": transform,
        "ties": ties,
        **plan.settings,
    }
    counts = base.weight if weight_kind == "frequency" else np.ones(len(base.exit))
    found = np.full((len(variables) + 1, 2), np.nan)
    notes = [""] * len(found)
    if not happened.any():
        notes = ["no event: nothing can be tested"] * len(found)
    else:
        fit = fit_cox(x, happened, base, ties=ties, weight_kind=weight_kind)
        of_variable = np.array([variables.index(name) for name in plan.variables])
        found = _tests(fit, time_function(transform, base, happened, counts), of_variable[fit.limited], len(variables))
        notes = ["no finite coefficient to test" if np.isnan(value) else "" for value in found[:, 0]]
        if base.clustered:
            notes = [note or "model-based: clusters are not allowed for" for note in notes]
    return report.estimates(
        {
            "outcome": outcome,
            "model": model,
            "term": [*variables, "GLOBAL"],
            "measure": "ph_score_test",
            "n_events": float(counts[happened].sum()),
            "statistic": found[:, 0],
            "df": found[:, 1],
            "p_value": stats.chi2.sf(found[:, 0], found[:, 1]),
            "note": notes,
        },
        settings,
    )


def time_function(transform: Transform, rows: Rows, event: BoolArray, counts: FloatArray) -> FloatArray:
    """g at the exit of each row (n,), centred on its mean over events."""
    time = rows.exit
    if transform == "log":
        if (time[event] <= 0).any():
            raise EstimationError('transform="log" needs event times above zero.')
        g = np.log(np.maximum(time, np.finfo(float).tiny))
    elif transform == "rank":
        order = np.unique(time, return_inverse=True)[1]
        of_time = np.bincount(order, counts)
        g = (np.cumsum(of_time) - of_time + (of_time + 1.0) / 2.0)[order]
    elif transform == "km":
        whole = curves(
            Histories(rows.entry, time, event.astype(np.int64), counts, np.arange(len(time)), np.arange(len(time))), 1
        )
        g = 1.0 - whole.free[np.searchsorted(whole.time, time, side="left")]
    else:
        g = time.copy()
    centred: FloatArray = g - np.average(g[event], weights=counts[event])
    return centred


def _tests(fit: CoxFit, g: FloatArray, of_variable: IntArray, n_variables: int) -> FloatArray:
    """Chi-squared and degrees of freedom, (n_variables + 1, 2)."""
    result = np.full((n_variables + 1, 2), np.nan)
    likelihood, coef = fit.likelihood, fit.maximum.coef
    inside = ~fit.maximum.unlimited
    if not inside.any():
        return result
    event_rows, residual = likelihood.schoenfeld(coef)
    by_time = np.zeros(len(likelihood.sets.time))
    by_time[likelihood.sets.at_event[event_rows]] = g[event_rows]
    score = ((likelihood.weight[event_rows] * g[event_rows]) @ residual)[inside]
    at = likelihood.at(coef)
    plain, once, twice = (
        likelihood.information(at, power)[np.ix_(inside, inside)] for power in (None, by_time, by_time**2)
    )
    # The coefficients were fitted, so only what the extension adds beyond them counts.
    adjusted = twice - once @ np.linalg.solve(plain, once)
    for variable in range(n_variables + 1):
        mine = np.flatnonzero(of_variable == variable) if variable < n_variables else np.arange(len(of_variable))
        if len(mine):
            part, u = adjusted[np.ix_(mine, mine)], score[mine]
            result[variable] = float(u @ np.linalg.lstsq(part, u, rcond=None)[0]), len(mine)
    return result
