"""The form of an effect: a covariate bends where a restricted cubic spline bends it, and tests say whether it does.

A restricted cubic spline is cubic between its knots and straight beyond the first and the last, where there is little
to bend it (Durrleman and Simon 1989, Statistics in Medicine 8:551; Harrell, Regression Modeling Strategies, section
2.4). Its first column is the covariate itself, so the other coefficients together are the test of a straight line.

Wald tests of several coefficients take the robust variance where there are clusters. Its rank is at most the number
of clusters, so a test of more coefficients than clusters has no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.cox import CoxFit, fit_cox, select
from cohort.estimate.design import Design, Rows, causes, design, first_and_last, numbers, rows_of, zero_one
from cohort.estimate.kernel import Ties, WeightKind
from cohort.tables.results import Estimates

OUTER = {3: 0.10, 4: 0.05, 5: 0.05, 6: 0.05, 7: 0.025}  # quantile of the first knot by their number, the rest evenly
GRID = 50


def spline_knots(values: FloatArray, n_knots: int = 4) -> FloatArray:
    """Harrell's default knots (n_knots,): fixed quantiles; with fewer than 100 values the outer ones are the fifth.

    values : (n,), one per unit. Raises EstimationError if so many values are equal that knots fall together.

    >>> spline_knots(np.arange(101.0), 3).tolist()
    [10.0, 50.0, 90.0]
    """
    if n_knots not in OUTER:
        raise EstimationError(f"A spline has 3 to 7 knots, not {n_knots}; 4 are enough for most covariates.")
    if len(values) < 10:
        raise EstimationError(f"{len(values)} values are too few to place knots; give them, or leave the spline.")
    knots = np.quantile(values, np.linspace(OUTER[n_knots], 1.0 - OUTER[n_knots], n_knots))
    if len(values) < 100:
        ordered = np.sort(values)
        knots[0], knots[-1] = ordered[4], ordered[-5]
    if len(np.unique(knots)) < n_knots or (np.diff(knots) <= 0).any():
        raise EstimationError(
            f"{n_knots} knots fall together at {', '.join(f'{k:g}' for k in np.unique(knots))}, because many values "
            "are equal: take fewer, give them, or make categories."
        )
    return knots


def restricted_cubic_spline(
    values: FloatArray, *, knots: npt.ArrayLike | None = None, n_knots: int = 4
) -> tuple[FloatArray, FloatArray]:
    """The columns (n, k - 1) of a spline with k knots, the covariate first, and the knots (k,).

    With t_1 < ... < t_k the columns after the first, j = 1 .. k - 2, are those of Hmisc's rcspline.eval (norm = 2):

        [(x - t_j)+^3 - (x - t_{k-1})+^3 (t_k - t_j) / (t_k - t_{k-1})
                      + (x - t_k)+^3 (t_{k-1} - t_j) / (t_k - t_{k-1})] / (t_k - t_1)^2

    >>> columns, knots = restricted_cubic_spline(np.array([0.0, 1.0, 2.0, 3.0]), knots=[0, 1, 2])
    >>> columns.tolist()
    [[0.0, 0.0], [1.0, 0.25], [2.0, 1.5], [3.0, 3.0]]
    """
    at = spline_knots(values, n_knots) if knots is None else np.asarray(knots, dtype=np.float64)
    if at.ndim != 1 or len(at) < 3 or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise EstimationError("A spline needs at least three knots, each greater than the one before.")
    beyond = np.maximum(values[:, None] - at, 0.0) ** 3
    last, before = at[-1], at[-2]
    bends = (
        beyond[:, :-2]
        - beyond[:, -2:-1] * (last - at[:-2]) / (last - before)
        + beyond[:, -1:] * (before - at[:-2]) / (last - before)
    ) / (last - at[0]) ** 2
    return np.column_stack([values, bends]), at


def wald_statistic(coef: FloatArray, variance: FloatArray) -> tuple[float, int, float]:
    """Statistic, degrees of freedom and p-value of the hypothesis that all of coef (q,) are zero.

    variance : (q, q). Missing where the variance has no full rank, as a robust one from fewer than q clusters.

    >>> statistic, df, p = wald_statistic(np.array([2.0, 0.0]), np.eye(2))
    >>> statistic, df, round(p, 4)
    (4.0, 2, 0.1353)
    """
    df = len(coef)
    scale = np.sqrt(np.diag(variance))
    if not df or not np.isfinite(coef).all() or not np.isfinite(variance).all() or (scale <= 0).any():
        return float("nan"), df, float("nan")
    correlation = variance / np.outer(scale, scale)
    if np.linalg.matrix_rank(correlation, tol=1e-9) < df:
        return float("nan"), df, float("nan")
    z = coef / scale
    statistic = float(z @ np.linalg.solve(correlation, z))
    return statistic, df, float(stats.chi2.sf(statistic, df))


def wald_test(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    test: Sequence[str] | None = None,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    robust: bool | None = None,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Whether a covariate matters in a Cox model, all its categories together; arguments as in `cox`.

    test : covariates to test (default: each in turn, then all together, term "GLOBAL").
    Returns one row per covariate with statistic (chi-squared), df, p_value, n_patients, n_units, n_events and note.

    >>> days = pd.DataFrame({"exit": [5, 8, 9, 12, 14, 20], "event": [1, 1, 0, 1, 1, 0], "leak": [1, 0, 1, 1, 0, 0]})
    >>> wald_test(days, ["leak"], exit="exit", event="event", test=["leak"]).frame["df"].tolist()
    [1]
    """
    plan = design(rows, covariates)
    unknown = [name for name in test or [] if name not in plan.variables]
    if unknown:
        raise EstimationError(f"'{unknown[0]}' is no covariate of the model; it has {', '.join(covariates)}.")
    base, happened, x = _complete(rows, plan, exit, event, entry, weight, strata, id, cluster, of, weight_kind)
    fitted = _Fitted.of(x, happened, base, ties, weight_kind, robust)
    tested = [*covariates, "GLOBAL"] if test is None else list(test)
    of_term = np.array(plan.variables)
    members = [np.flatnonzero((of_term == name) | (name == "GLOBAL")) for name in tested]
    return report.estimates(
        {
            "outcome": outcome,
            "model": model,
            "term": tested,
            "measure": "wald_test",
            **fitted.counts,
            **fitted.tests(members, [[plan.terms[j] for j in mine] for mine in members]),
        },
        {**fitted.settings, "strata": strata, **plan.settings},
    )


def functional_form(
    rows: pd.DataFrame,
    covariate: str,
    *,
    exit: str,
    event: str,
    adjust: Sequence[str] = (),
    knots: int | Sequence[float] = 4,
    reference: float | None = None,
    at: npt.ArrayLike | None = None,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    robust: bool | None = None,
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Hazard ratios of a numeric covariate against a reference value, along a restricted cubic spline.

    adjust : other covariates of the model. knots : their number (at Harrell's quantiles) or their values.
    reference : the value with hazard ratio 1 (default: the median). at : values to read (default: 50 from the 1st to
        the 99th percentile). Median, percentiles and knots are those of the units: an id counts once, with its value
        at entry, so that splitting rows moves nothing.
    Other arguments as in `cox`.

    Returns one row per value: term (the covariate), `value`, measure "hazard_ratio", estimate, conf_low, conf_high
    (pointwise), coef, std_error (robust where there are clusters), naive_std_error; then two of measure "wald_test":
    "covariate: any effect" (k - 1 degrees of freedom) and "covariate: not a straight line" (k - 2), with statistic,
    df and p_value. The note says where a value lies outside those observed.

    >>> rng = np.random.default_rng(1)
    >>> days = pd.DataFrame({"age": rng.normal(75, 8, 300), "exit": rng.integers(1, 400, 300), "event": 1})
    >>> form = functional_form(days, "age", exit="exit", event="event", reference=75, at=[75, 85])
    >>> form.frame["df"].tolist()[-2:], float(form.frame["estimate"].iloc[0])
    ([3.0, 2.0], 1.0)
    """
    if covariate in adjust:
        raise EstimationError(f"'{covariate}' is both the covariate of the spline and adjusted for; take it out.")
    plan = design(rows, [covariate, *adjust])
    numbers(rows[plan.complete], covariate, "the covariate of the spline")
    base, happened, x = _complete(rows, plan, exit, event, entry, weight, strata, id, cluster, of, weight_kind)
    of_units = _per_unit(x[:, 0], base, weight_kind)
    places = spline_knots(of_units, knots) if isinstance(knots, int) else np.asarray(knots, dtype=np.float64)
    basis, places = restricted_cubic_spline(x[:, 0], knots=places)
    origin = float(np.median(of_units)) if reference is None else float(reference)
    low, high = (float(np.quantile(of_units, share)) for share in (0.01, 0.99))
    values = np.linspace(low, high, GRID) if at is None else np.atleast_1d(np.asarray(at, dtype=np.float64))
    if not np.isfinite(values).all() or not np.isfinite(origin):
        raise EstimationError("`at` and `reference` must be numbers without missing ones.")

    fitted = _Fitted.of(np.column_stack([basis, x[:, 1:]]), happened, base, ties, weight_kind, robust)
    width = basis.shape[1]
    contrast = (
        restricted_cubic_spline(values, knots=places)[0] - restricted_cubic_spline(np.array([origin]), knots=places)[0]
    )
    coef, naive, error = fitted.contrasts(contrast)
    ratio = report.wald(coef, error, confidence)
    whole = np.arange(width)
    named = [covariate, *(f"{covariate}, bend {j}" for j in range(1, width))]
    tests = fitted.tests([whole, whole[1:]], [named, named[1:]])
    size = len(values)
    low, high = x[:, 0].min(), x[:, 0].max()
    notes = []
    for value, c in zip(values, coef, strict=True):
        said = [] if low <= value <= high else [f"{value:g} lies outside the observed {low:g} to {high:g}"]
        if value == origin:
            said.append("the reference")
        elif np.isnan(c):
            said.append("the spline could not be estimated")
        notes.append("; ".join([*said, *fitted.notes]))
    blank = np.full(2, np.nan)

    def then(along: FloatArray, name: str | None = None) -> FloatArray:
        return np.concatenate([along, blank if name is None else np.asarray(tests[name], dtype=np.float64)])

    nothing = np.full(size, np.nan)
    return report.estimates(
        {
            "outcome": outcome,
            "model": model,
            "term": [covariate] * size + [f"{covariate}: any effect", f"{covariate}: not a straight line"],
            "measure": ["hazard_ratio"] * size + ["wald_test"] * 2,
            **fitted.counts,
            "value": then(values),
            **{name: then(ratio[name]) for name in ("estimate", "conf_low", "conf_high", "coef", "std_error")},
            "naive_std_error": then(naive),
            **{name: then(nothing, name) for name in ("statistic", "df", "p_value")},
            "note": [*notes, *tests["note"]],
        },
        {
            **fitted.settings,
            "knots": places.tolist(),
            "reference_value": origin,
            "strata": strata,
            "confidence": confidence,
            "adjusted_for": list(adjust),
            **plan.settings,
        },
    )


@dataclass(frozen=True)
class _Fitted:
    """A Cox model with the covariance of its coefficients; `fit` is None without an event."""

    fit: CoxFit | None
    rows: Rows
    robust: bool
    variance: FloatArray
    naive: FloatArray
    counts: dict[str, Any]
    notes: list[str]
    settings: dict[str, Any]

    @classmethod
    def of(
        cls, x: FloatArray, happened: BoolArray, rows: Rows, ties: Ties, weight_kind: WeightKind, robust: bool | None
    ) -> _Fitted:
        if ties not in ("efron", "breslow"):
            raise EstimationError(f"ties must be efron or breslow, and is {ties!r}.")
        if robust is None:
            robust = rows.clustered or (weight_kind == "probability" and bool((rows.weight != 1).any()))
        weight = rows.weight if weight_kind == "frequency" else np.ones(len(rows.exit))
        n_events = float(weight[happened].sum())
        settings: dict[str, Any] = {
            "method": "Cox partial likelihood",
            "ties": ties,
            "variance": "robust, summed over clusters, no small-sample factor" if robust else "inverse information",
            "n_clusters": rows.n_patients,
        }
        counts = {"n_patients": rows.n_patients, "n_units": rows.n_units, "n_events": n_events}
        empty = np.zeros((0, 0))
        if not happened.any():
            said = ["no event: nothing can be estimated" if len(x) else "no complete row: nothing can be estimated"]
            return cls(None, rows, robust, empty, empty, counts, said, settings)
        fit = fit_cox(x, happened, rows, ties=ties, weight_kind=weight_kind)
        naive = fit.naive_variance()
        variance = naive
        if robust:
            variance = np.full_like(naive, np.nan)
            if rows.n_patients > 1 and fit.limited.any():
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    variance = fit.robust_variance()
        notes = report.robust_notes(n_events, rows.n_patients, len(np.unique(rows.cluster[happened])), robust)
        if not fit.maximum.converged and not fit.maximum.unlimited.any():
            notes.append("the fit did not converge")
        settings["loglik"] = (fit.maximum.null_loglik, fit.maximum.loglik)
        return cls(fit, rows, robust, variance, naive, counts, notes, settings)

    def contrasts(self, contrast: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sums of the first coefficients, contrast (m, q), with naive and used standard errors (m,)."""
        nothing = np.full(len(contrast), np.nan)
        q = contrast.shape[1]
        if self.fit is None or not self.fit.limited[:q].all():
            return nothing, nothing, nothing
        first = slice(0, q)  # limited columns keep their order, and the first q are all among them
        coef = contrast @ self.fit.coef[:q]
        errors = [
            np.sqrt(np.einsum("mq,qr,mr->m", contrast, part[first, first], contrast))
            for part in (self.naive, self.variance)
        ]
        return coef, errors[0], errors[1]

    def tests(self, members: Sequence[IntArray], named: Sequence[Sequence[str]]) -> dict[str, list[Any]]:
        """Wald tests of sets of columns, of those with a finite coefficient."""
        found: dict[str, list[Any]] = {"statistic": [], "df": [], "p_value": [], "note": []}
        for mine, names in zip(members, named, strict=True):
            statistic, df, p, said = float("nan"), len(mine), float("nan"), list(self.notes)
            if self.fit is not None:
                fit = self.fit
                unlimited = [name for j, name in zip(mine, names, strict=True) if fit.kept[j] and not fit.limited[j]]
                left_out = [name for j, name in zip(mine, names, strict=True) if not fit.kept[j]]
                used = mine[fit.kept[mine]]
                if left_out:
                    said.insert(0, f"{', '.join(left_out)} left out: nothing to compare")
                if unlimited:
                    said.insert(0, f"{', '.join(unlimited)} has no finite estimate: no Wald test")
                else:
                    place = (np.cumsum(fit.limited) - 1)[used]
                    statistic, df, p = wald_statistic(fit.coef[used], self.variance[np.ix_(place, place)])
                    if np.isnan(statistic) and df:
                        said.append("more coefficients than the clusters can test")
            for name, value in zip(found, (statistic, df, p, "; ".join(said)), strict=True):
                found[name].append(value)
        return found


def _complete(
    rows: pd.DataFrame,
    plan: Design,
    exit_: str,
    event: str,
    entry: str | None,
    weight: str | None,
    strata: str | Sequence[str] | None,
    id_: str | None,
    cluster: str | None,
    of: int | None,
    weight_kind: WeightKind,
) -> tuple[Rows, BoolArray, FloatArray]:
    """The complete rows with weight, which of them end in the event, and their covariates."""
    base = rows_of(
        rows, exit_=exit_, entry=entry, weight=weight, id_=id_, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    happened = zero_one(rows, event, "the event") if of is None else causes(rows, event) == of
    used = plan.complete & (base.weight > 0)
    return select(base, used), happened[used], plan.matrix[base.weight[plan.complete] > 0]


def _per_unit(values: FloatArray, rows: Rows, weight_kind: WeightKind) -> FloatArray:
    """The value of each unit at its entry; a unit of frequency three counts three times."""
    first, _ = first_and_last(rows.id, rows.entry, rows.exit)
    found = values[first]
    return np.repeat(found, rows.weight[first].astype(np.int64)) if weight_kind == "frequency" else found
