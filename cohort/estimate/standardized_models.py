"""What a model says of everybody with the exposure and of everybody without, and what each cluster had to do with it.

The mean of predicted risks depends on the rows three times: they are the population that is averaged over, they made
the model, and (logistic, with censoring weights) they made the curve of losses. The influence of a cluster is the sum
of the three: the derivative of the mean by the weight of the cluster. Squared and summed over clusters that is the
variance (infinitesimal jackknife).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate.baseline_influence import CauseModel, ProfileHazard
from cohort.estimate.cox import fit_cox
from cohort.estimate.design import Rows, kinds
from cohort.estimate.glm import fit_glm
from cohort.estimate.kernel import Ties
from cohort.estimate.newton import invert
from cohort.estimate.risk_sets import RiskSets

ARMS = ("unexposed", "exposed")  # where each stands in arrays (2,), and its value of the exposure
BLOCK = 20_000  # predictions held at once (units x event times): what a processor keeps near, three times faster


@dataclass(frozen=True)
class Arms:
    """Risk if nobody and if everybody were exposed (2,), with the influence of each cluster (G, 2).

    varies : (2,), whether the risk has an error; without an event of an arm it is 0 and has none.
    lowest, highest : (2,) of the predicted risks. notes : what must be said of the models.
    """

    risk: FloatArray
    influence: FloatArray
    varies: BoolArray
    lowest: FloatArray
    highest: FloatArray
    notes: list[str] = field(default_factory=list)

    @classmethod
    def nothing(cls, why: str) -> Arms:
        """No estimate."""
        missing = np.full(2, np.nan)
        return cls(missing, np.zeros((0, 2)), np.zeros(2, dtype=bool), missing, missing, [why])


def arms_without(y: BoolArray, exposure: FloatArray, known: BoolArray) -> tuple[list[int], list[int], list[int]]:
    """Arms (0, 1) in which nobody is known, in which nobody has the event, and in which everybody has it.

    Of an exposure with other values than 0 and 1 the whole cohort tells of both arms.
    """
    binary = bool(np.isin(exposure, (0.0, 1.0)).all())
    seen = [y[known & ((exposure == arm) | (not binary))] for arm in (0, 1)]
    nobody = [arm for arm in (0, 1) if not len(seen[arm])]
    none = [arm for arm in (0, 1) if len(seen[arm]) and not seen[arm].any()]
    return nobody, none, [arm for arm in (0, 1) if len(seen[arm]) and seen[arm].all()]


def logistic_arms(
    x: FloatArray,
    happened: BoolArray,
    sampling: FloatArray,
    weight: FloatArray,
    cluster: IntArray,
    lost: Losses | None,
    terms: Sequence[str],
) -> Arms:
    """Standardize a logistic model over m units.

    x : (m, 1 + p) exposure first; happened : (m,) by the horizon; sampling : (m,) of the population; weight : (m,) in
    the model, 0 where it is unknown what happened; cluster : codes from 0 without gaps. lost : how the weights came of
    the losses, None if they are known.
    """
    known = weight > 0
    nobody, none, every = arms_without(happened, x[:, 0], known)
    if nobody:
        return Arms.nothing(f"nobody {ARMS[nobody[0]]} with a known outcome: nothing to compare")
    size = int(max(cluster.max(initial=-1), -1 if lost is None else lost.cluster.max(initial=-1))) + 1
    share = sampling / sampling.sum()
    fixed = [*none, *every]
    risk, influence = np.zeros(2), np.zeros((size, 2))
    lowest, highest = np.zeros(2), np.zeros(2)
    notes: list[str] = []
    for arm in every:
        risk[arm] = lowest[arm] = highest[arm] = 1.0
        notes.append(f"every {ARMS[arm]} unit with the event: a risk of 1 without an interval")
    for arm in none:
        notes.append(f"no event among the {ARMS[arm]}: a risk of 0 without an interval")
    # An arm without events says nothing of the other: that one then has its own model, without the exposure.
    fitted = known & (x[:, 0] == 1.0 - fixed[0]) if len(fixed) == 1 else known
    modelled = [arm for arm in (0, 1) if arm not in fixed]
    if not modelled:
        return Arms(risk, influence, np.zeros(2, dtype=bool), lowest, highest, notes)
    columns = x[:, 1:] if fixed else x
    y = happened.astype(np.float64)
    fit = fit_glm(columns[fitted], y[fitted], weight[fitted], cluster[fitted], "binomial", np.zeros(int(fitted.sum())))
    names = list(terms)[1:] if fixed else list(terms)
    if fit.unlimited.any():
        which = [name for name, endless in zip(["intercept", *names], fit.unlimited, strict=True) if endless]
        return Arms.nothing(
            f"{', '.join(which)} separates events from the rest: no finite model to standardize; leave it out"
        )
    left_out = [name for name, kept in zip(names, fit.kept[1:], strict=True) if not kept]
    if left_out:
        notes.append(f"{', '.join(left_out)} left out of the model: told by what stands before, or the same for all")
    middle = columns.mean(axis=0)  # predictions are the same, and sums keep their digits
    z = np.column_stack([np.ones(len(x)), columns - middle])[:, fit.kept]
    coef = np.append(fit.coef[0] + np.where(fit.kept[1:], fit.coef[1:], 0.0) @ middle, fit.coef[1:])[fit.kept]
    mean = _expit(z @ coef)
    w = np.where(fitted, weight, 0.0)
    inverse = invert(z.T @ ((w * mean * (1.0 - mean))[:, None] * z))
    for arm in modelled:
        moved = z
        if not fixed and fit.kept[1]:
            moved = z.copy()
            moved[:, 1] = arm - middle[0]
        predicted = _expit(moved @ coef)
        risk[arm] = share @ predicted
        lowest[arm], highest[arm] = predicted.min(), predicted.max()
        slope = moved.T @ (share * predicted * (1.0 - predicted))
        by_model = (z @ (inverse @ slope)) * w * (y - mean)
        each = share * (predicted - risk[arm]) + by_model
        influence[:, arm] = np.bincount(cluster, each, minlength=size)
        if lost is not None:
            influence[:, arm] += lost.influence(by_model, size)
    varies = np.array([arm in modelled for arm in (0, 1)])
    return Arms(risk, influence, varies, lowest, highest, notes)


def _expit(eta: FloatArray) -> FloatArray:
    result: FloatArray = 1.0 / (1.0 + np.exp(-eta))
    return result


@dataclass(frozen=True)
class Losses:
    """How weights 1 / G(min(T, horizon)-) came of the losses, in the order of `ipcw.censoring_weights`.

    sets : of all units at the days with a loss; hazard : (K,) of being lost; left : (K,) weight at risk and not lost;
    until : (n,) losses before min(T, horizon), counted over all strata; of_model : (n,), the units of the model;
    weight, cluster : (n,).
    """

    sets: RiskSets
    hazard: FloatArray
    left: FloatArray
    until: IntArray
    of_model: BoolArray
    lost: BoolArray
    weight: FloatArray
    cluster: IntArray

    @classmethod
    def of(
        cls,
        exit_: FloatArray,
        lost: BoolArray,
        horizon: float,
        weight: FloatArray,
        stratum: IntArray,
        of_model: BoolArray,
        cluster: IntArray,
    ) -> Losses:
        """Arguments (n,) over all units, those without covariates too: the curve of losses is theirs as well."""
        days, order = np.unique(exit_, return_inverse=True)
        place = (2.0 * order + lost).astype(np.float64)
        sets = RiskSets.of(place, lost, None, stratum)
        at_risk, gone = sets.sums(weight), sets.deaths(weight, np.flatnonzero(lost))
        width = 2.0 * len(days) + 2.0
        last = np.minimum(place, 2.0 * np.searchsorted(days, horizon, side="left"))
        until = np.searchsorted(sets.stratum * width + sets.time, stratum * width + last, side="left")
        return cls(sets, gone / at_risk, at_risk - gone, until.astype(np.int64), of_model, lost, weight, cluster)

    def influence(self, by_log_weight: FloatArray, size: int) -> FloatArray:
        """What each cluster moves a sum by through the losses, (size,).

        by_log_weight : (units of the model,), what the sum grows by with the logarithm of each unit's weight.
        """
        count = len(self.hazard)
        first, until = self.sets.first[self.of_model], np.maximum(self.until, self.sets.first)[self.of_model]
        steps = np.bincount(first, by_log_weight, minlength=count + 1)
        steps -= np.bincount(until, by_log_weight, minlength=count + 1)
        ahead = np.cumsum(steps)[:count]  # of the units that outlive each loss
        per_loss = np.where(self.left > 0, ahead / np.where(self.left > 0, self.left, 1.0), 0.0)
        each = -self.sets.over(per_loss * self.hazard)
        each[self.lost] += per_loss[self.sets.at_event[self.lost]]
        return np.bincount(self.cluster, each * self.weight, minlength=size).astype(np.float64)


def cox_arms(
    x: FloatArray,
    cause: IntArray,
    rows: Rows,
    population: IntArray,
    *,
    of: int,
    horizon: float,
    ties: Ties,
    terms: Sequence[str],
) -> Arms:
    """Standardize the incidence that Cox models of all causes give together.

    x : (n, 1 + p) of the rows, exposure first; cause : (n,); population : rows that stand for the units averaged over.
    A day with hazards h_j and sum H leaves exp(-H) and divides the rest as the hazards are, as in `absolute_risk`.
    """
    nobody, none, _ = arms_without(cause == of, x[:, 0], np.ones(len(x), dtype=bool))
    if nobody:
        return Arms.nothing(f"nobody {ARMS[nobody[0]]}: nothing to compare")
    notes = [f"no event among the {ARMS[arm]}: a risk of 0 without an interval" for arm in none]
    cluster = np.unique(rows.cluster, return_inverse=True)[1]
    size = int(cluster.max(initial=-1)) + 1
    zero = Arms(np.zeros(2), np.zeros((size, 2)), np.zeros(2, dtype=bool), np.zeros(2), np.zeros(2), notes)
    if len(none) == 2:
        return zero
    models, numbers = [], [int(number) for number in np.unique(cause[cause > 0])]
    for number in numbers:
        fit = fit_cox(x, cause == number, rows, ties=ties)
        endless = np.isinf(fit.coef)
        which = [name for name, without in zip(terms[1:], endless[1:], strict=True) if without]
        if which or not (fit.maximum.converged or endless.any()):
            return Arms.nothing(f"no finite hazard ratio of {', '.join(which) or 'any term'} for cause {number}")
        models.append(CauseModel.of(fit, np.arange(x.shape[1]), x))
        left_out = [name for name, kept in zip(terms, fit.kept, strict=True) if not kept]
        if left_out:
            notes.append(f"{', '.join(left_out)} left out of the model of cause {number}: nothing to compare")
    middle = models[0].fit.centre
    hazards = [ProfileHazard.of(model, middle) for model in models]
    days = np.unique(np.concatenate([model.fit.likelihood.sets.time for model in models]))
    days = days[days <= horizon]
    places = [np.searchsorted(days, model.fit.likelihood.sets.time) for model in models]
    jumps = np.zeros((len(days), len(models)))
    for j, (hazard, place) in enumerate(zip(hazards, places, strict=True)):
        jumps[place[place < len(days)], j] = hazard.jump[place < len(days)]
    share = rows.weight[population] / rows.weight[population].sum()
    risk, lowest, highest = np.zeros(2), np.zeros(2), np.zeros(2)
    influence = np.zeros((size, 2))
    for arm in (arm for arm in (0, 1) if arm not in none):
        z = x[population] - middle
        z[:, 0] = arm - middle[0]
        relative = np.column_stack([_relative(model, z) for model in models])
        alike, kind = kinds(relative.T)
        of_kind = np.bincount(kind, share).astype(np.float64)
        found = _incidence(relative[alike], of_kind, jumps, numbers.index(of))
        found = _Incidence(found.risk[kind], found.by_jump, found.by_relative[kind] * (share / of_kind[kind])[:, None])
        risk[arm], lowest[arm], highest[arm] = share @ found.risk, found.risk.min(), found.risk.max()
        each = share * (found.risk - risk[arm])
        influence[:, arm] = np.bincount(cluster[population], each, minlength=size)
        for j, (model, hazard) in enumerate(zip(models, hazards, strict=True)):
            inside = places[j] < len(days)
            by_jump = np.zeros((len(hazard.jump), 1))
            by_jump[inside, 0] = found.by_jump[places[j][inside], j]
            by_coef = z[:, model.fit.limited].T @ found.by_relative[:, j]
            influence[:, arm] += hazard.influence(by_jump)[:, 0] + model.influence @ by_coef
    varies = np.array([arm not in none for arm in (0, 1)])
    return Arms(risk, influence, varies, lowest, highest, notes)


def _relative(model: CauseModel, z: FloatArray) -> FloatArray:
    fit = model.fit
    result: FloatArray = np.exp((z / fit.scale)[:, fit.kept] @ fit.maximum.coef)
    return result


@dataclass(frozen=True)
class _Incidence:
    """Risk of m units (m,), and how the weighted mean moves: by jump (L, J), and by the log of each hazard (m, J)."""

    risk: FloatArray
    by_jump: FloatArray
    by_relative: FloatArray


def _incidence(relative: FloatArray, share: FloatArray, jumps: FloatArray, of: int) -> _Incidence:
    """relative : (m, J), hazards of each unit; share : (m,), weights; jumps : (L, J), baseline; of : which cause.

    With H the hazard of a day, each unit's risk is the sum of S (1 - exp(-H)) / H times its hazard of the cause, S the
    share left before. That quotient and its slope are the only things made of every unit and day: all else is a product
    of them with columns.
    """
    m, (count, causes) = len(relative), jumps.shape
    own, earlier = jumps[:, of], np.cumsum(jumps, axis=0) - jumps
    weighted = share[:, None] * relative
    # A jump takes from the days after it, and shares its own day; one of the cause itself adds to it.
    days_of_divided, days_of_slope = own[:, None] * np.column_stack([np.ones(count), earlier]), own[:, None] * jumps
    risk, by_relative = np.zeros(m), np.zeros((m, causes))
    divided_sum, slope_sum, added = np.zeros((causes, count)), np.zeros((causes, count)), np.zeros(count)
    for begin in range(0, m, max(1, BLOCK // max(count, 1))):
        block = slice(begin, begin + max(1, BLOCK // max(count, 1)))
        r, w = relative[block], weighted[block]
        mine = r[:, of, None]
        divided, slope = _divided(r @ jumps.T)
        before = np.exp(-(r @ earlier.T))
        divided *= before
        slope *= before
        taken = mine * (divided @ days_of_divided)
        risk[block] = taken[:, 0]
        moved = mine * (slope @ days_of_slope) - taken[:, 1:]
        moved[:, of] += divided @ own
        by_relative[block] = w * moved
        divided_sum += (w * mine).T @ divided
        slope_sum += (w * mine).T @ slope
        added += w[:, of] @ divided
    gained = divided_sum * own
    later = np.cumsum(gained[:, ::-1], axis=1)[:, ::-1] - gained
    by_jump = (slope_sum * own - later).T
    by_jump[:, of] += added
    return _Incidence(risk, by_jump, by_relative)


def _divided(total: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(1 - exp(-H)) / H and its derivative, which is read in products with H: its digits go where H does.

    >>> [float(part[0].round(6)) for part in _divided(np.array([2.0]))]
    [0.432332, -0.148499]
    """
    total = np.maximum(total, np.finfo(float).tiny)
    gone = -np.expm1(-total)
    value = gone / total
    slope = (1.0 - gone - value) / total
    return value, slope
