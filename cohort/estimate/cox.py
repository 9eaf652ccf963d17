"""Hazard ratios: Cox's model on counting-process rows, with the patient as the unit that varies.

The fit is `kernel.PartialLikelihood` climbed by `newton`. The robust variance sums score residuals over clusters
(Lin and Wei 1989), without a small-sample factor, as R's `coxph(..., cluster=)`. Below 20 clusters with an event it is
replaced by leaving one of them out at a time, with limits from t (`small_sample`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import (
    Design,
    Rows,
    causes,
    compressed,
    design,
    distinct,
    refuse_uneven_frequencies,
    rows_of,
    standardize,
    zero_one,
)
from cohort.estimate.kernel import PartialLikelihood, Ties, WeightKind
from cohort.estimate.newton import Maximum, climb, independent, invert_estimable
from cohort.estimate.risk_sets import RiskSets
from cohort.estimate.small_sample import HazardCorrection, LeftOut, applies, jackknife_variance, leave_one_out, t_alone
from cohort.tables.results import Estimates

JACKKNIFE = "leaving out one cluster with an event at a time, the others by their influence; limits from t"


@dataclass(frozen=True)
class CoxFit:
    """A fitted model on arrays; coefficients are NaN where aliased and infinite where unlimited.

    kept : (p,) columns in the likelihood; varies : (p,) columns that vary among those at risk at an event.
    """

    likelihood: PartialLikelihood
    rows: Rows
    event: BoolArray
    weight_kind: WeightKind
    centre: FloatArray
    scale: FloatArray
    kept: BoolArray
    varies: BoolArray
    maximum: Maximum
    ties: Ties = "efron"

    @property
    def coef(self) -> FloatArray:
        """(p,) log hazard ratios per unit of each covariate."""
        found = self.maximum.coef / self.scale[self.kept]
        found = np.where(self.maximum.unlimited, np.copysign(np.inf, found), found)
        result = np.full(len(self.kept), np.nan)
        result[self.kept] = found
        return result

    @property
    def limited(self) -> BoolArray:
        """(p,) columns with a finite coefficient."""
        result = self.kept.copy()
        result[self.kept] = ~self.maximum.unlimited
        return result

    def naive_variance(self) -> FloatArray:
        """Inverse information of the limited columns (q, q), on the scale of the covariates."""
        inside = ~self.maximum.unlimited
        scale = self.scale[self.limited]
        return self._inverse()[np.ix_(inside, inside)] / np.outer(scale, scale)

    def _inverse(self) -> FloatArray:
        return invert_estimable(self.maximum.information, self.maximum.unlimited)

    def influence(self) -> tuple[FloatArray, FloatArray]:
        """What each cluster moves the limited coefficients (clusters, q), and how many clusters it stands for."""
        score_by, coef = self.likelihood.score_by, self.maximum.coef
        to_coef = self._inverse()[:, ~self.maximum.unlimited] / self.scale[self.limited]
        weight, (cluster, size) = self.rows.weight, compressed(self.rows.cluster)
        if self.weight_kind == "frequency":
            refuse_uneven_frequencies(weight, cluster, self.weight_kind)
            copies = np.zeros(size)
            np.maximum.at(copies, cluster, weight)
            return score_by(coef, cluster, size, None) @ to_coef, copies
        return score_by(coef, cluster, size, weight) @ to_coef, np.ones(size)

    def cumulative_hazard(self, x: FloatArray) -> tuple[FloatArray, IntArray, FloatArray, FloatArray]:
        """Event times, stratum codes, cumulative hazard at covariates x (p,) and its model-based error, each (K,).

        Tsiatis's estimator with the ties of the fit, as R's `survfit(coxph)`; the survival is exp(-hazard).
        """
        sets, maximum = self.likelihood.sets, self.maximum
        z = ((x - self.centre) / self.scale)[self.kept]
        hazard, spread, expected = self.likelihood.baseline_increments(maximum.coef)
        opening = np.searchsorted(sets.stratum, sets.stratum, side="left")

        def so_far(jumps: FloatArray) -> FloatArray:
            total = np.concatenate([np.zeros((1, *jumps.shape[1:])), np.cumsum(jumps, axis=0)])
            return total[1:] - total[opening]

        ratio = float(np.exp(z @ maximum.coef))
        moved = so_far(hazard)[:, None] * z - so_far(expected)
        variance = so_far(spread) + np.einsum("kp,pq,kq->k", moved, self._inverse(), moved)
        return sets.time, sets.stratum, ratio * so_far(hazard), ratio * np.sqrt(variance)

    def robust_variance(self) -> FloatArray:
        """Sandwich variance of the limited coefficients, summed over clusters (q, q)."""
        influence, copies = self.influence()
        result: FloatArray = influence.T @ (copies[:, None] * influence)
        return result

    def jackknife(self, sets_of: Callable[[BoolArray], RiskSets] | None = None) -> tuple[FloatArray, LeftOut]:
        """Variance of the limited coefficients (q, q) by leaving out one cluster with an event at a time.

        sets_of : the risk sets of some of the rows, if they are not as `rows` say.
        """
        rows = self.rows

        def plain(keep: BoolArray) -> RiskSets:
            return RiskSets.of(rows.exit[keep], self.event[keep], rows.entry[keep], rows.stratum[keep])

        left_out = leave_one_out(
            self.likelihood,
            self.maximum,
            sets_of or plain,
            compressed(rows.cluster)[0],
            ties=self.ties,
            weight_kind=self.weight_kind,
        )
        influence, copies = self.influence()
        to_coef = 1.0 / self.scale[self.kept]
        return jackknife_variance(left_out, to_coef, influence, copies, ~self.maximum.unlimited), left_out


def fit_cox(
    x: FloatArray,
    event: BoolArray,
    rows: Rows,
    *,
    ties: Ties = "efron",
    weight_kind: WeightKind = "probability",
    sets: RiskSets | None = None,
) -> CoxFit:
    """Fit on arrays; x (n, p) complete, event (n,) with at least one True, weights positive; sets : as `rows` say."""
    standard, centre, scale = standardize(x, rows.weight)
    if sets is None:
        sets = RiskSets.of(rows.exit, event, rows.entry, rows.stratum)
    full = PartialLikelihood.of(sets, standard, event, rows.weight, ties, weight_kind)
    loglik, score, information = full.evaluate(np.zeros(x.shape[1]))
    per_event = information / rows.weight[event].sum()
    varies = np.diag(per_event) > 1e-9
    kept = independent(per_event)
    likelihood = full if kept.all() else replace(full, x=np.asfortranarray(standard[:, kept]))
    spread = np.array([np.ptp(column) for column in likelihood.x.T])
    at_zero = loglik, score[kept], information[np.ix_(kept, kept)]
    maximum = climb(likelihood.evaluate, int(kept.sum()), spread, at_zero)
    return CoxFit(likelihood, rows, event, weight_kind, centre, scale, kept, varies, maximum, ties)


def cox(
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
    weight_kind: WeightKind = "probability",
    robust: bool | None = None,
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Hazard ratios with robust and model-based standard errors.

    rows : one row per unit and interval `(entry, exit]`; other arguments name its columns.
    event : 0/1; or a column of causes with `of`, the number of the cause that is the event (cause-specific hazard).
    id : rows of one unit, which may touch but not overlap. cluster : the patient, who may give several units.
    weight_kind : "frequency" (a row of weight 3 is three rows, each in a cluster of its own) or "probability".
    robust : default yes when there is a cluster, an id with several rows, or probability weights other than one.
    small_sample : of a robust variance. "auto" leaves out one cluster with an event at a time where these are fewer
        than 20, and takes limits from the error so found (`corrected_std_error`) and t (column `df`); "jackknife" does
        so always, "none" never (R's `coxph`). `std_error` is the same in all three. With "auto" limits are from t at
        any number of clusters, where a cluster holds several ids.

    Returns one row per term: estimate (hazard ratio per unit), conf_low, conf_high, coef, std_error (robust where
    asked), naive_std_error, n_patients (clusters), n_units (ids), n_events, n_exposed_events (events at 1 of a 0/1
    term, else missing), and `note`. A term that cannot be estimated keeps its row: aliased terms have no estimate,
    a term that separates events from the rest has 0 or infinity and no limits; the note says which.
    Raises EstimationError for missing columns, values that cannot be read, and rows without time at risk.

    >>> days = pd.DataFrame({"exit": [5, 8, 9, 12, 14, 20], "event": [1, 1, 0, 1, 1, 0], "leak": [1, 0, 1, 1, 0, 0]})
    >>> result = cox(days, ["leak"], exit="exit", event="event")
    >>> round(float(result.frame["estimate"].iloc[0]), 3)
    2.924
    """
    if ties not in ("efron", "breslow"):
        raise EstimationError(f"ties must be efron or breslow, and is {ties!r}.")
    plan = design(rows, covariates)
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    x, happened, base = complete_rows(rows, plan, base, event, of)
    if robust is None:
        weighted = weight_kind == "probability" and bool((base.weight != 1).any())
        robust = base.clustered or weighted or small_sample == "jackknife"

    return hazard_estimates(
        plan,
        x,
        happened,
        base,
        ties=ties,
        weight_kind=weight_kind,
        robust=robust,
        confidence=confidence,
        common={"outcome": outcome, "model": model, "measure": "hazard_ratio"},
        settings={
            "method": "Cox partial likelihood",
            "weights": weight_kind if weight is not None else "none",
            "strata": strata,
        },
        small_sample=small_sample,
    )


def hazard_estimates(
    plan: Design,
    x: FloatArray,
    happened: BoolArray,
    base: Rows,
    *,
    ties: Ties,
    weight_kind: WeightKind,
    robust: bool,
    confidence: float,
    common: dict[str, Any],
    settings: dict[str, Any],
    sets: RiskSets | None = None,
    sets_of: Callable[[BoolArray], RiskSets] | None = None,
    small_sample: HazardCorrection = "none",
    n_units: int | None = None,
) -> Estimates:
    """Fit and put into the tidy frame, one row per term, also where there is nothing to fit.

    sets_of : where `sets` are not those of the rows, the risk sets of some of them, for leaving clusters out.
    n_units : where a row stands for several ids, how many there are.
    """
    n_units = base.n_units if n_units is None else n_units
    frequency = weight_kind == "frequency"
    with_event = _clusters_with_event(base, happened, frequency)
    corrected = applies(small_sample, ("auto", "none", "jackknife"), with_event, robust) and base.n_patients > 1
    convention = "robust, summed over clusters, no small-sample factor" if robust else "inverse information"
    settings = {
        **settings,
        "ties": ties,
        "variance": JACKKNIFE if corrected else convention,
        "confidence": confidence,
        "n_clusters": base.n_patients,
        **plan.settings,
    }
    counts = base.weight if frequency else np.ones(len(base.exit))
    n_events = float(counts[happened].sum())
    common = {
        **common,
        "term": list(plan.terms),
        "n_patients": base.n_patients,
        "n_units": n_units,
        "n_events": n_events,
        "variable": list(plan.variables),
        "n_exposed_events": _exposed_events(x, happened, counts),
    }
    p = len(plan.terms)
    nothing = np.full(p, np.nan)
    if not happened.any():
        settings["loglik"] = (0.0, 0.0)
        reason = "no event: nothing can be estimated" if len(x) else "no complete row: nothing can be estimated"
        return report.estimates(
            {**common, **report.wald(nothing, nothing, confidence), "naive_std_error": nothing, "note": reason},
            settings,
        )

    fit = fit_cox(x, happened, base, ties=ties, weight_kind=weight_kind, sets=sets)
    settings["loglik"] = (fit.maximum.null_loglik, fit.maximum.loglik)
    settings["score_statistic"] = fit.maximum.score_statistic
    settings["converged"] = fit.maximum.converged
    naive, error, plain, alone = nothing.copy(), nothing.copy(), nothing.copy(), np.zeros(p, dtype=bool)
    said = "jackknife, limits from t" if corrected else ""
    shared = report.robust_notes(n_events, base.n_patients, with_event, bool(robust), said)
    if fit.limited.any():
        naive[fit.limited] = np.sqrt(np.diag(fit.naive_variance()))
        if robust and base.n_patients > 1:
            plain[fit.limited] = np.sqrt(np.diag(fit.robust_variance()))
        if corrected:
            variance, left_out = fit.jackknife(sets_of)
            error[fit.limited] = np.sqrt(np.diag(variance))
            alone[fit.kept] = left_out.alone & (with_event > 1)
            stepped = int(left_out.stepped.sum())
            if stepped:
                shared.append(f"without {stepped} of them an estimate has no limit: one step towards it")
        else:
            error = plain if robust else naive.copy()
    if not fit.maximum.converged and not fit.maximum.unlimited.any():
        shared.append("the fit did not converge")
    from_t = corrected or t_alone(small_sample, corrected, bool(robust), base.n_patients, n_units)
    ratios = report.wald(fit.coef, error, confidence, np.full(p, with_event - 1.0) if from_t else None)
    notes = [
        "; ".join(
            [
                *_term_note(fit, j, x[:, j], happened),
                *(["rests on one cluster: no standard error between clusters"] if alone[j] else []),
                *report.beyond(ratios, j),
                *shared,
            ]
        )
        for j in range(p)
    ]
    if corrected:
        ratios = report.corrected(ratios, plain)
    return report.estimates({**common, **ratios, "naive_std_error": naive, "note": notes}, settings)


def _clusters_with_event(rows: Rows, event: BoolArray, frequency: bool) -> float:
    if not frequency:
        return distinct(rows.cluster[event])
    copies = np.zeros(int(rows.cluster.max(initial=-1)) + 1)
    np.maximum.at(copies, rows.cluster[event], rows.weight[event])
    return float(copies.sum())


def complete_rows(
    rows: pd.DataFrame, plan: Design, base: Rows, event: str, of: int | None
) -> tuple[FloatArray, BoolArray, Rows]:
    """Covariates (n, p), event (n,) and times of the rows with a weight and every covariate."""
    happened = zero_one(rows, event, "the event") if of is None else causes(rows, event) == of
    used = plan.complete & (base.weight > 0)
    if used.all():
        return plan.matrix, happened, base
    return np.asfortranarray(plan.matrix[base.weight[plan.complete] > 0]), happened[used], select(base, used)


def taken(rows: Rows, row: IntArray) -> Rows:
    """Rows by number, each as often as it is named."""
    return select(rows, row)  # type: ignore[arg-type]  # numbers take rows as a mask does


def select(rows: Rows, keep: BoolArray) -> Rows:
    """The rows kept."""
    return replace(
        rows,
        entry=rows.entry[keep],
        exit=rows.exit[keep],
        weight=rows.weight[keep],
        id=rows.id[keep],
        cluster=rows.cluster[keep],
        stratum=rows.stratum[keep],
    )


def _exposed_events(x: FloatArray, event: BoolArray, counts: FloatArray) -> FloatArray:
    had = np.flatnonzero(event)
    result = np.full(x.shape[1], np.nan)
    for k, column in enumerate(x.T):
        if ((column[:1000] == 0.0) | (column[:1000] == 1.0)).all() and ((column == 0.0) | (column == 1.0)).all():
            result[k] = counts[had] @ column[had]
    return result


def _term_note(fit: CoxFit, j: int, values: FloatArray, event: BoolArray) -> list[str]:
    if not fit.varies[j]:
        if len(np.unique(values)) <= 1:
            return ["the same for everyone: nothing to compare"]
        return ["the same for all at risk whenever an event happened: nothing to compare"]
    if not fit.kept[j]:
        return ["told by the covariates before it: left out of the fit"]
    if fit.limited[j]:
        return []
    if np.isin(values, (0.0, 1.0)).all():
        if not event[values == 1].any():
            return ["no event among the exposed: the hazard ratio is 0 without an upper limit from this method"]
        if not event[values == 0].any():
            return ["every event among the exposed: the hazard ratio has no upper bound"]
    return ["separates those with an event from the rest: the hazard ratio has no finite estimate"]
