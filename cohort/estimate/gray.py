"""Do groups differ in the incidence itself? Gray's test weighs those who died of another cause as still at risk.

Gray (1988), Annals of Statistics 16:1141. A group with Y at risk and the share S still free of every event counts as
h = Y / S-: those at risk, scaled up to all who were not lost. Observed events of the cause are set against those
expected if all groups had one subdistribution hazard. Ties, and the variance with them, are those of `cmprsk::cuminc`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import causes, codes_of, distinct, rows_of
from cohort.estimate.newton import independent
from cohort.estimate.risk_sets import RiskSets
from cohort.tables.results import Estimates

NO_ONE_LEFT = 1e-9  # a pooled share this near to zero is rounding, and cannot be divided by


def gray_test(
    rows: pd.DataFrame,
    *,
    exit: str,
    cause: str,
    by: str,
    strata: str | Sequence[str] | None = None,
    of: int | None = None,
    rho: float = 0.0,
    id: str | None = None,
    cluster: str | None = None,
) -> Estimates:
    """Gray's test of equal cumulative incidence, stratified where asked: one row per cause (`of`: that cause only).

    cause : 0 censored, 1, 2, ... (or a categorical whose first category is 0). by : groups fixed at entry.
    rho : the difference at t is weighted with (1 - F(t-))**rho, F the incidence of all groups together; above zero
        early differences count more.
    id, cluster : named so that they can be checked. The test is for independent rows: several rows of one id or
        cluster are refused, and so is delayed entry (there is no `entry`), for which it is not defined.

    Returns outcome (the cause), n_units, n_events (of the cause), statistic (chi-squared), df and p_value, and `note`.
    settings["groups"] counts the rows of each group; settings["observed"] and settings["expected"] give, by cause and
    group, the events observed and those expected if incidences were equal (weighted if rho is not zero).
    Groups that were never at risk together with another at an event of the cause take no part; df says how many did.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4, 5, 6], "cause": [1, 1, 2, 1, 0, 2], "leak": [1, 1, 1, 0, 0, 0]})
    >>> gray_test(days, exit="exit", cause="cause", by="leak").frame["statistic"].round(3).tolist()
    [2.438, 0.762]
    """
    for name, role in ((id, "id"), (cluster, "cluster")):
        _refuse_repeats(rows, name, role)
    base = rows_of(rows, exit_=exit, entry=None, weight=None, id_=None, cluster=None, strata=strata)
    what = causes(rows, cause)
    group = np.asarray(codes_of(rows, by, "the groups"), dtype=np.int64)
    labels = [str(value) for value in pd.factorize(rows[by], sort=True)[1]]
    named: list[Any] = list(range(1, int(what.max(initial=1)) + 1))
    if isinstance(rows[cause].dtype, pd.CategoricalDtype):
        named = list(rows[cause].cat.categories[1:])
    numbers = range(1, len(named) + 1) if of is None else [of]
    if of is not None and of < 1:
        raise EstimationError(f"`of` is the number of a cause, 1 or more, and is {of}.")
    names = [str(named[number - 1]) if number <= len(named) else str(number) for number in numbers]

    risk = Risk.of(base.exit, what, group, base.stratum, len(labels))
    ended = {number: risk.ended(what == number, group) for number in {*numbers, *range(1, len(named) + 1)}}
    everyone = np.sum(list(ended.values()), axis=0)
    found = [_test(score(risk, ended[number], everyone - ended[number], rho), labels) for number in numbers]
    return report.estimates(
        {
            "outcome": names,
            "term": by,
            "measure": "gray",
            "n_units": len(rows),
            "n_events": [int((what == number).sum()) for number in numbers],
            "statistic": [one["statistic"] for one in found],
            "df": [one["df"] for one in found],
            "p_value": [float(stats.chi2.sf(one["statistic"], one["df"])) for one in found],
            "note": [one["note"] for one in found],
        },
        {
            "method": "Gray's test; ties and variance of cmprsk::cuminc",
            "rho": rho,
            "by": by,
            "strata": strata,
            "groups": dict(zip(labels, np.bincount(group, minlength=len(labels)).tolist(), strict=True)),
            "observed": {name: one["observed"] for name, one in zip(names, found, strict=True)},
            "expected": {name: one["expected"] for name, one in zip(names, found, strict=True)},
        },
    )


@dataclass(frozen=True)
class Risk:
    """K days with an event of any cause, stratum after stratum, and g groups; arrays are (K, g).

    free_before, free_after : Kaplan-Meier share of the group free of every cause, just before the day and after it.
    """

    sets: RiskSets
    at_risk: FloatArray
    free_before: FloatArray
    free_after: FloatArray

    @classmethod
    def of(cls, exit_: FloatArray, cause: IntArray, group: IntArray, stratum: IntArray, n_groups: int) -> Risk:
        """Count who is at risk; arguments have shape (n,), groups and strata are codes from 0."""
        sets = RiskSets.of(exit_, cause > 0, stratum=stratum)
        member = (group[:, None] == np.arange(n_groups)).astype(np.float64)
        at_risk, had = sets.sums(member), sets.deaths(member, np.flatnonzero(cause > 0))
        stay = np.divide(at_risk - had, at_risk, out=np.ones_like(had), where=at_risk > 0)
        before, after = np.ones_like(stay), np.ones_like(stay)
        for part in _by_stratum(sets):
            after[part] = np.cumprod(stay[part], axis=0)
            before[part][1:] = after[part][:-1]
        return cls(sets, at_risk, before, after)

    def ended(self, event: BoolArray, group: IntArray) -> FloatArray:
        """(K, g) events among those marked (n,)."""
        rows, (size, width) = np.flatnonzero(event), self.at_risk.shape
        cell = self.sets.at_event[rows] * width + group[rows]
        return np.bincount(cell, minlength=size * width).reshape(size, width).astype(np.float64)


def _by_stratum(sets: RiskSets) -> Iterator[slice]:
    begin = 0
    for end in np.unique(sets.stratum_end).tolist():
        yield slice(begin, end)
        begin = end


@dataclass(frozen=True)
class Score:
    """Observed and expected events by group (g,), the variance of their difference (g, g), and the largest F."""

    observed: FloatArray
    expected: FloatArray
    variance: FloatArray
    reached: float


def score(risk: Risk, events: FloatArray, others: FloatArray, rho: float = 0.0) -> Score:
    """Gray's score, summed over strata; events of the cause and of those that compete with it, (K, g) each."""
    width = risk.at_risk.shape[1]
    total = Score(np.zeros(width), np.zeros(width), np.zeros((width, width)), 0.0)
    for part in _by_stratum(risk.sets):
        one = _one_stratum(
            risk.at_risk[part], risk.free_before[part], risk.free_after[part], events[part], others[part], rho
        )
        total = Score(
            total.observed + one.observed,
            total.expected + one.expected,
            total.variance + one.variance,
            max(total.reached, one.reached),
        )
    return total


def _one_stratum(
    at_risk: FloatArray, before: FloatArray, after: FloatArray, events: FloatArray, others: FloatArray, rho: float
) -> Score:
    present = at_risk > 0
    d = events.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled = np.where(present, at_risk / before, 0.0)  # h in the paper
        everyone = scaled.sum(axis=1)
        own = np.cumsum(np.where(present, before * events / at_risk, 0.0), axis=0)
        pooled = np.cumsum(d / everyone)
        own_before, pooled_before = np.roll(own, 1, axis=0), np.roll(pooled, 1)
        own_before[0], pooled_before[0] = 0.0, 0.0
        weight = (1.0 - pooled_before) ** rho
        lingering = scaled * (1.0 - own_before)  # R in the paper: at risk, or dead of another cause
        expected = (weight * d / lingering.sum(axis=1)) @ lingering
        share = scaled / everyone[:, None]
        forward = d / (everyone * (1.0 - pooled_before))
        forward = np.where(d > 0, forward, 0.0)
        left = (1.0 - pooled)[:, None] / after

        variance = np.zeros((at_risk.shape[1],) * 2)
        for k in range(at_risk.shape[1]):
            here = present[:, k]
            y, s = at_risk[:, k], before[:, k]
            own_term = -share * (weight * scaled[:, k])[:, None]
            own_term[:, k] += weight * scaled[:, k]
            so_far = np.cumsum(forward[:, None] * own_term, axis=0)
            to_come = so_far[-1] - so_far
            # An event of the cause, as if drawn from all groups together; with ties, without replacement.
            tied = np.where(d > 1, 1.0 - (d - 1.0) / (everyone * s - 1.0), 1.0)
            spread = np.where(here & (d > 0), tied * s * d / (everyone * y), 0.0)
            moved = own_term + np.where(after[:, k] > 0, 1.0 - left[:, k], 1.0)[:, None] * to_come
            variance += moved.T @ (spread[:, None] * moved)
            # An event of another cause moves only what is still to come.
            o = others[:, k]
            tied = np.where(o > 1, 1.0 - (o - 1.0) / (y - 1.0), 1.0)
            spread = np.where(here & (o > 0) & (after[:, k] > 0), tied * o * (s / y) ** 2, 0.0)
            moved = np.where(after[:, k] > 0, left[:, k], 0.0)[:, None] * to_come
            variance += moved.T @ (spread[:, None] * moved)
    return Score(weight @ events, expected, variance, float(pooled_before[d > 0].max(initial=0.0)))


def _test(found: Score, labels: list[str]) -> dict[str, Any]:
    result = {
        "observed": dict(zip(labels, found.observed.tolist(), strict=True)),
        "expected": dict(zip(labels, found.expected.tolist(), strict=True)),
        "statistic": np.nan,
        "df": np.nan,
    }
    if len(labels) < 2:
        return {**result, "note": "everyone is in one group: nothing to compare"}
    if not found.observed.any():
        return {**result, "note": "no event of this cause: nothing to compare"}
    difference, variance = found.observed - found.expected, found.variance
    if not np.isfinite(variance).all() or abs(1.0 - found.reached) < NO_ONE_LEFT:
        return {**result, "note": "the incidence of all groups together reaches 1 before the last event: no test"}
    largest = float(np.diag(variance).max())
    # The differences of all groups add to zero, so the last group adds nothing, nor does one without others beside it.
    used = independent(variance / largest) if largest > 0 else np.zeros(len(labels), dtype=bool)
    df = int(used.sum())
    if df == 0:
        return {**result, "note": "no event of this cause while two groups were at risk"}
    statistic = float(difference[used] @ np.linalg.solve(variance[np.ix_(used, used)], difference[used]))
    notes = []
    if df < len(labels) - 1:
        alone = [label for label, spread in zip(labels, np.diag(variance), strict=True) if spread <= 1e-9 * largest]
        notes.append(f"{len(labels)} groups, of which only some can be compared ({df + 1} by the degrees of freedom)")
        if alone:
            notes.append(f"no part is taken by {', '.join(alone)}")
    if found.reached > 1.0:
        notes.append(
            "the incidence of all groups together passes 1, one group being followed to its end: read with care"
        )
    return {**result, "statistic": statistic, "df": df, "note": "; ".join(notes)}


def _refuse_repeats(rows: pd.DataFrame, name: str | None, role: str) -> None:
    codes = codes_of(rows, name, f"the {role}")
    if codes is None or distinct(codes) == len(codes):
        return
    raise EstimationError(
        f"{len(codes)} rows belong to {distinct(codes)} values of '{name}' (the {role}). Gray's test takes rows as "
        "independent and rejects too readily here; use `fine_gray` with the group as covariate and the patient as "
        "cluster, and read its Wald test."
    )
