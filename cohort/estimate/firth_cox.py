"""Hazard ratios from few events: Cox's partial likelihood with the penalty that takes off its first-order bias.

Firth (1993) adds half the logarithm of the determinant of the information, as Jeffreys' prior does; the estimate is
then finite whether or not a covariate separates those with an event from the rest (Heinze and Schemper 2001). The
derivative of the information is the third cumulant of the covariates among those at risk. It enters only as contracted
with the inverse information, so rows add one number each, and no third-order array is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate.cox import select
from cohort.estimate.design import Rows, causes, design, rows_of, standardize, zero_one
from cohort.estimate.firth import exposed, few, lengths, log_determinant, penalized_estimates, separation, without_fit
from cohort.estimate.kernel import AtCoefficients, PartialLikelihood, Ties, WeightKind
from cohort.estimate.newton import independent, invert
from cohort.estimate.profile import Point, Profiles, highest, profiles
from cohort.estimate.risk_sets import RiskSets
from cohort.tables.results import Estimates

EVERY_TIME = "all at risk whenever an event happened"


@dataclass(frozen=True)
class PenalizedHazards:
    """A Cox partial likelihood with Jeffreys' penalty; the p columns of `likelihood.x` are independent."""

    likelihood: PartialLikelihood

    def at(self, coef: FloatArray) -> Point:
        """Log-likelihood, score and information at `coef` (p,); the first is -inf where there is no information."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            at = self.likelihood.at(coef)
            information = self.likelihood.information(at)
            logdet = log_determinant(information)
            if not np.isfinite(at.loglik + logdet):
                return Point(-np.inf, at.score, np.zeros_like(coef), information)
            penalty = self.penalty_score(at, invert(information))
        return Point(at.loglik + logdet / 2.0, at.score + penalty, penalty, information)

    def penalty_score(self, at: AtCoefficients, inverse: FloatArray) -> FloatArray:
        """Derivative of half the log determinant of the information (p,), given its inverse J (p, p).

        For one term of the likelihood, with mean m of the covariates among those at risk, that is the mean of
        (x - m)'J(x - m) (x - m) / 2. Written out it is a sum over rows of what depends on the terms only through
        sums over the time at risk, less a sum over event times.
        """
        cox = self.likelihood
        sets, x, rows, place = cox.sets, cox.x, cox.rows, cox.place
        hazard = cox.weight * at.relative_hazard
        length = lengths(x, inverse)

        def over(whole: FloatArray, part: FloatArray) -> FloatArray:
            # A row that ends in a tied event is, with Efron, at risk for it only in part.
            result = sets.over(whole)
            result[rows] -= part[place]
            return result

        mean, died, s0 = at.mean, at.died, at.s0
        means = (at.two[:, None] * mean - at.two_f[:, None] * died) / s0[:, None] @ inverse
        means_in_part = (at.two_f[:, None] * mean - at.two_ff[:, None] * died) / s0[:, None] @ inverse
        of_row = length * over(at.one / s0, at.one_f / s0)
        for k in range(x.shape[1]):
            of_row -= 2.0 * x[:, k] * over(means[:, k], means_in_part[:, k])
        of_row *= hazard

        dying = hazard[rows] * length[rows]
        sq, dq = sets.sums(hazard * length) / s0, sets.by_event(dying, place) / s0
        of_time = (sq * at.two - dq * at.two_f) @ mean - (sq * at.two_f - dq * at.two_ff) @ died
        pairs = ((mean, mean), (mean, died), (died, died))
        ss, sd, dd = (np.einsum("kp,pq,kq->k", a, inverse, b) for a, b in pairs)
        cube, cube_f, cube_ff, cube_fff = self._cubes(at)
        of_time -= 2.0 * (ss * cube - 2.0 * sd * cube_f + dd * cube_ff) @ mean
        of_time += 2.0 * (ss * cube_f - 2.0 * sd * cube_ff + dd * cube_fff) @ died
        result: FloatArray = (of_row @ x - of_time) / 2.0
        return result

    def _cubes(self, at: AtCoefficients) -> list[FloatArray]:
        """Sums of m f^r / t^3 over the tied events of each time (`AtCoefficients`), r = 0 to 3, each (K,)."""
        cox = self.likelihood
        part, result = at.left**-3.0, []
        for _ in range(4):
            result.append(cox.multiplier * np.bincount(cox.time_index, part, minlength=len(cox.multiplier)))
            part = part * cox.fraction
        return result


@dataclass(frozen=True)
class FirthCoxFit:
    """A penalized fit on arrays.

    kept : (p,) columns in the likelihood; varies : (p,) columns that vary among those at risk at an event.
    loglik : penalized, on the scale of the covariates given. profiles : (p,), missing where not kept.
    """

    kept: BoolArray
    varies: BoolArray
    loglik: float
    profiles: Profiles


def fit_firth_cox(
    x: FloatArray,
    event: BoolArray,
    rows: Rows,
    *,
    ties: Ties = "efron",
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
) -> FirthCoxFit:
    """Fit on arrays; x (n, p) complete, event (n,) with at least one True, weights positive."""
    standard, _, scale = standardize(x, rows.weight)
    sets = RiskSets.of(rows.exit, event, rows.entry, rows.stratum)
    full = PartialLikelihood.of(sets, standard, event, rows.weight, ties, weight_kind)
    per_event = full.evaluate(np.zeros(x.shape[1]))[2] / rows.weight[event].sum()
    kept = independent(per_event)
    varies = np.diag(per_event) > 1e-9
    likelihood = full if kept.all() else replace(full, x=np.asfortranarray(standard[:, kept]))
    evaluate = PenalizedHazards(likelihood).at
    spread = np.array([np.ptp(column) for column in likelihood.x.T])
    fit = highest(evaluate, spread) if kept.any() else None
    if fit is None:
        return FirthCoxFit(kept, varies, np.nan, Profiles.missing(len(kept)))
    found = profiles(evaluate, fit, spread, np.diag(1.0 / scale[kept]), confidence)
    # The determinant counts in the units of the covariates.
    loglik = fit.point.loglik + float(np.log(scale[kept]).sum())
    return FirthCoxFit(kept, varies, loglik, found.among(kept))


def firth_cox(
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
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Hazard ratios by Firth's penalized Cox regression, with profile limits: for few events, or separated ones.

    rows, exit, event, entry, weight, strata, id, ties, of, weight_kind : as in `cox`.
    cluster : the patient. There is no robust variance here: rows count as independent, and the note says how many
        patients the events belong to where one has several.

    Returns one row per term: estimate (hazard ratio per unit), conf_low and conf_high (where the profile of the
    penalized likelihood has fallen by half a chi-squared quantile), coef, std_error (inverse information at the fit),
    statistic (signed root of the penalized likelihood ratio against a coefficient of zero) and its p_value, n_patients
    (clusters), n_units (ids), n_events, n_exposed_events, note. settings: `loglik` (penalized; it depends on the units
    of the covariates, its differences do not), `events_per_parameter`.
    A term that cannot be estimated keeps its row; the note says why.
    Raises EstimationError for what `cox` refuses.

    >>> days = pd.DataFrame({"exit": [5, 8, 9, 12, 14, 20], "event": [1, 1, 0, 1, 0, 0], "cleft": [1, 1, 1, 1, 0, 0]})
    >>> found = firth_cox(days, ["cleft"], exit="exit", event="event").frame.iloc[0]
    >>> found[["estimate", "conf_low", "conf_high"]].astype(float).round(3).tolist(), found["note"].split("; ")[0]
    ([7.574, 0.637, 1055.975], 'every event among the exposed: finite by the penalty alone')
    """
    if ties not in ("efron", "breslow"):
        raise EstimationError(f"ties must be efron or breslow, and is {ties!r}.")
    plan = design(rows, covariates)
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    happened = zero_one(rows, event, "the event") if of is None else causes(rows, event) == of
    used = plan.complete & (base.weight > 0)
    x = np.asfortranarray(plan.matrix[base.weight[plan.complete] > 0])
    base, happened = select(base, used), happened[used]
    copies = base.weight if weight_kind == "frequency" else np.ones(len(base.exit))
    n_events = float(copies[happened].sum())
    columns = {
        "outcome": outcome,
        "model": model,
        "term": list(plan.terms),
        "measure": "hazard_ratio",
        "n_patients": base.n_patients,
        "n_units": base.n_units,
        "n_events": n_events,
        "variable": list(plan.variables),
        "n_exposed_events": exposed(x, happened, copies),
    }
    settings: dict[str, Any] = {
        "method": "Cox partial likelihood with Firth's penalty",
        "weights": weight_kind if weight is not None else "none",
        "strata": strata,
        "ties": ties,
        "confidence": confidence,
        "n_clusters": base.n_patients,
        **plan.settings,
    }
    if not happened.any():
        what = "no event" if len(x) else "no complete row"
        return without_fit(columns, f"{what}: nothing can be estimated", settings)

    fit = fit_firth_cox(x, happened, base, ties=ties, weight_kind=weight_kind, confidence=confidence)
    own = [_told(fit, j, column, happened) for j, column in enumerate(x.T)]
    per_term = n_events / max(int(fit.kept.sum()), 1)
    weighted = weight_kind == "probability" and bool((base.weight != 1).any())
    shared = few(n_events, per_term, base.cluster[happened], weighted=weighted)
    settings |= {"loglik": fit.loglik, "events_per_parameter": per_term}
    return penalized_estimates(columns, fit.profiles, fit.kept, own, shared, settings)


def _told(fit: FirthCoxFit, j: int, values: FloatArray, event: BoolArray) -> list[str]:
    if not fit.varies[j]:
        constant = values.min() == values.max()
        return [f"the same for {'everyone' if constant else EVERY_TIME}: nothing to compare"]
    if not fit.kept[j]:
        return ["told by the covariates before it: left out of the fit"]
    return separation(values, event)
