"""Few events against few: given the margins, how the events fall to the exposed depends on the ratio alone.

In a two by two table the events among the exposed are then hypergeometric, tilted by the odds ratio; of two Poisson
counts they are binomial, tilted by the rate ratio; over strata they add (Gart 1970). All limits and p-values are sums
over that one distribution, and nothing is approximated. The mid-P counts half of what was seen: the exact interval
covers at least as often as it says and mostly more, the mid-P interval about as often (Berry and Armitage 1995).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import Design, codes_of, design, distinct, numbers, zero_one
from cohort.tables.results import Estimates

AS_SEEN = 1.0 + 1e-7  # outcomes as unlikely as the one seen, up to rounding, count with it (as R's fisher.test)
ACCURATE = 1e-13
LARGEST = 20_000_000  # products of one folding of the strata; some hundred foldings are needed


@dataclass(frozen=True)
class Conditional:
    """How many of the events are among the exposed, given the margins of every stratum.

    seen : that number. lowest : in each stratum the fewest it can be. log_weight : for each stratum the logarithms of
    the weights of lowest, lowest + 1, ... at a ratio of one, up to a constant.
    """

    seen: float
    lowest: FloatArray
    log_weight: Sequence[FloatArray]

    @cached_property
    def first(self) -> float:
        """The fewest that could have been seen."""
        return float(self.lowest.sum())

    @cached_property
    def last(self) -> float:
        """The most that could have been seen."""
        return self.first + sum(len(weights) - 1 for weights in self.log_weight)

    def _tilted(self, log_ratio: float) -> list[FloatArray]:
        result = []
        for weights in self.log_weight:
            tilted = weights + log_ratio * np.arange(len(weights))
            tilted = np.exp(tilted - tilted.max())
            result.append(tilted / tilted.sum())
        return result

    def probability(self, log_ratio: float) -> FloatArray:
        """Of first, first + 1, ..., last. Strata are tilted before they are folded, so no small number is lost."""
        result = np.ones(1)
        for part in self._tilted(log_ratio):
            result = np.convolve(result, part)
        return result

    def tails(self, log_ratio: float, share: float = 1.0) -> tuple[float, float]:
        """Probability of as few as seen, and of as many; `share` of what was seen itself counts (half: mid-P)."""
        p = self.probability(log_ratio)
        k = round(self.seen - self.first)
        return float(p[:k].sum() + share * p[k]), float(p[k + 1 :].sum() + share * p[k])

    def log_ratio(self) -> float:
        """Conditional maximum likelihood: the ratio at which what was seen is what is expected."""
        if self.seen in (self.first, self.last):
            return -np.inf if self.seen == self.first else np.inf

        def surplus(log_ratio: float) -> float:
            means = [float(part @ np.arange(len(part))) for part in self._tilted(log_ratio)]
            return self.first + sum(means) - self.seen

        return _zero(surplus)

    def limits(self, tail: float, share: float = 1.0) -> tuple[float, float]:
        """Log ratios at which as many as seen, or as few, have the probability `tail`."""
        low, high = -np.inf, np.inf
        if self.seen > self.first:
            low = _zero(lambda log_ratio: self.tails(log_ratio, share)[1] - tail)
        if self.seen < self.last:
            high = _zero(lambda log_ratio: tail - self.tails(log_ratio, share)[0])
        return low, high

    def median_unbiased(self) -> float:
        """Log ratio in the middle of where each tail is a half (Hirji, Tsiatis and Mehta 1989); always finite."""
        ends = [end for end in self.limits(0.5) if np.isfinite(end)]
        return sum(ends) / len(ends)

    def as_unlikely(self) -> float:
        """Probability, at a ratio of one, of all that is no more likely than what was seen (Fisher's p)."""
        p = self.probability(0.0)
        return min(1.0, float(p[p <= p[round(self.seen - self.first)] * AS_SEEN].sum()))

    def doubled(self, share: float = 1.0) -> float:
        """Twice the smaller tail at a ratio of one: below 1 - confidence just where the interval leaves out one."""
        return min(1.0, 2.0 * min(self.tails(0.0, share)))


def _zero(rising: Callable[[float], float]) -> float:
    reach = 1.0
    while rising(reach) < 0.0 or rising(-reach) > 0.0:
        reach *= 2.0
    return float(optimize.brentq(rising, -reach, reach, xtol=ACCURATE, rtol=ACCURATE, maxiter=200))


def two_by_two(
    exposed: FloatArray, exposed_events: FloatArray, others: FloatArray, other_events: FloatArray
) -> Conditional:
    """From the numbers of exposed and others, and of events among them, in each stratum (S,).

    >>> nine_of_ten = two_by_two(*np.array([[600.0], [9.0], [1200.0], [1.0]]))
    >>> round(float(np.exp(nine_of_ten.log_ratio())), 3), round(nine_of_ten.as_unlikely(), 6)
    (18.233, 0.000343)
    """
    total = exposed_events + other_events
    lowest = np.maximum(0.0, total - others)
    log_weight = []
    for m, n, t, a in zip(exposed, others, total, lowest, strict=True):
        x = np.arange(a, min(m, t))
        log_weight.append(_summed(np.log((m - x) / (x + 1.0)) + np.log((t - x) / (n - t + x + 1.0))))
    return _checked(float(exposed_events.sum()), lowest, log_weight)


def two_counts(time: FloatArray, events: FloatArray, other_time: FloatArray, other_events: FloatArray) -> Conditional:
    """From the events and the time at risk of the exposed and of the others in each stratum (S,); all times positive.

    >>> equal = two_counts(*np.array([[100.0], [8.0], [200.0], [4.0]]))
    >>> round(float(np.exp(equal.log_ratio())), 6)
    4.0
    """
    log_weight = []
    for share, t in zip(time / other_time, events + other_events, strict=True):
        x = np.arange(0.0, t)
        log_weight.append(_summed(np.log((t - x) / (x + 1.0)) + np.log(share)))
    return _checked(float(events.sum()), np.zeros(len(time)), log_weight)


def _summed(log_steps: FloatArray) -> FloatArray:
    # From one number of events to the next: differences of factorials would lose digits in large tables.
    result: FloatArray = np.concatenate([[0.0], np.cumsum(log_steps)])
    return result


def _checked(seen: float, lowest: FloatArray, log_weight: list[FloatArray]) -> Conditional:
    cost, length = 0, 1
    for weights in log_weight:
        cost += length * len(weights)
        length += len(weights) - 1
    if cost > LARGEST:
        raise EstimationError(
            "These strata hold so many events that the exact distribution would take too long; with so many, "
            "`logistic` or `poisson` with the strata as covariates says the same."
        )
    return Conditional(seen, lowest, log_weight)


def exact_odds_ratio(
    df: pd.DataFrame,
    *,
    outcome: str,
    exposure: str,
    strata: str | Sequence[str] | None = None,
    weight: str | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
    model: str = "",
) -> Estimates:
    """One odds ratio given the margins, common to the strata: R's `fisher.test`, `mantelhaen.test(exact = TRUE)`.

    df : one row per patient; outcome 0/1; exposure 0/1 or a categorical of two, the first the reference.
    weight : whole numbers, how many patients a row stands for. cluster : the patient, only to refuse more than one row
        of her: nothing here knows of rows that depend on each other.

    Returns two rows, `interval` "exact" and "mid-p": estimate (conditional maximum likelihood), conf_low, conf_high,
    coef, p_value (exact: all tables as unlikely as this one, as R; mid-p: twice the smaller tail), central_p_value
    (twice the smaller tail, which agrees with its interval), median_unbiased (an odds ratio that is finite also where
    the estimate is not), n_patients, n_events, n_exposed_events, note. settings: `n_informative_strata`.
    Where the margins leave nothing to vary the rows stay, and the note says why.
    Raises EstimationError for an exposure that is not one of two, repeated patients, and too many events for it.

    >>> df = pd.DataFrame({"cleft": [1, 1, 0, 0], "refracture": [1, 0, 1, 0], "n": [9, 591, 1, 1199]})
    >>> found = exact_odds_ratio(df, outcome="refracture", exposure="cleft", weight="n").frame
    >>> found[["interval", "estimate", "conf_low", "conf_high"]].round(2).to_numpy().tolist()
    [['exact', 18.23, 2.52, 800.95], ['mid-p', 18.23, 2.99, 403.9]]
    """
    y = zero_one(df, outcome, "the outcome")
    w = np.ones(len(df)) if weight is None else numbers(df, weight, "the weight")
    if ((w < 0) | (w != np.rint(w))).any():
        raise EstimationError(
            f"Column '{weight}' (the weight) must hold whole numbers: an exact method counts patients."
        )
    plan, exposed, stratum = _two_groups(df, exposure, strata)
    used = plan.complete & (w > 0)
    y, w, exposed, stratum = y[used], w[used], exposed[w[plan.complete] > 0], stratum[used]
    whose = codes_of(df, cluster, "the cluster")
    repeated = 0 if whose is None else int(used.sum()) - distinct(whose[used])
    if repeated:
        raise EstimationError(
            f"'{cluster}' has {repeated} rows more than patients; an exact method takes rows as independent. Make it "
            "one row per patient (whether she had any event), or use `logistic` with the cluster."
        )
    groups, stratum = np.unique(stratum, return_inverse=True)

    def count(of: BoolArray) -> FloatArray:
        return np.bincount(stratum[of], w[of], minlength=len(groups)).astype(np.float64)

    exposed_events, other_events = count(exposed & y), count(~exposed & y)
    n_events = float(w[y].sum())
    columns = {
        "outcome": outcome,
        "model": model,
        "measure": "odds_ratio",
        "n_patients": float(w.sum()),
        "n_events": n_events,
        "n_exposed_events": float(exposed_events.sum()),
    }
    reason = _nothing(n_events, float(w[~y].sum()), exposed)
    table = two_by_two(count(exposed), exposed_events, count(~exposed), other_events)
    settings = {"method": "exact conditional odds ratio", "n_strata": len(groups)}
    return _estimates(table, columns, reason, plan, strata, confidence, settings)


def exact_rate_ratio(
    df: pd.DataFrame,
    *,
    events: str,
    person_time: str,
    exposure: str,
    strata: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """One ratio of two rates given the number of events, common to the strata: R's `poisson.test` of two counts.

    df : rows of events (whole numbers) and person-time, any number per group; exposure 0/1 or a categorical of two.
    Events are taken as independent. Returns the rows of `exact_odds_ratio`, with `person_time` and
    `exposed_person_time` in place of patients. A stratum in which only one group has time tells nothing.
    Raises EstimationError for events without time, and as `exact_odds_ratio`.

    >>> df = pd.DataFrame({"cleft": [1, 0], "refractures": [9, 1], "years": [1100.5, 2300.0]})
    >>> found = exact_rate_ratio(df, events="refractures", person_time="years", exposure="cleft").frame
    >>> found[["interval", "estimate", "conf_low", "conf_high"]].round(2).to_numpy().tolist()
    [['exact', 18.81, 2.61, 824.45], ['mid-p', 18.81, 3.09, 415.78]]
    """
    d, t = numbers(df, events, "the events"), numbers(df, person_time, "the person-time")
    if ((d < 0) | (d != np.rint(d))).any():
        raise EstimationError(f"Column '{events}' (the events) must hold whole numbers: an exact method counts events.")
    if ((t < 0) | ((t == 0) & (d > 0))).any():
        raise EstimationError(f"'{person_time}' is negative, or zero in a row with events; events need time at risk.")
    plan, exposed, stratum = _two_groups(df, exposure, strata)
    d, t, stratum = d[plan.complete], t[plan.complete], stratum[plan.complete]
    groups, stratum = np.unique(stratum, return_inverse=True)

    def total(values: FloatArray, of: BoolArray) -> FloatArray:
        return np.bincount(stratum[of], values[of], minlength=len(groups)).astype(np.float64)

    time, had = total(t, exposed), total(d, exposed)
    other_time, other_had = total(t, ~exposed), total(d, ~exposed)
    columns = {
        "outcome": outcome,
        "model": model,
        "measure": "rate_ratio",
        "n_events": float(d.sum()),
        "n_exposed_events": float(had.sum()),
        "person_time": float(t.sum()),
        "exposed_person_time": float(time.sum()),
    }
    both = (time > 0) & (other_time > 0)
    reason = _nothing(float(d.sum()), np.inf, exposed[t > 0])
    counts = two_counts(time[both], had[both], other_time[both], other_had[both])
    settings = {"method": "exact conditional rate ratio", "person_time": person_time, "n_strata": len(groups)}
    return _estimates(counts, columns, reason, plan, strata, confidence, settings)


def _two_groups(
    df: pd.DataFrame, exposure: str, strata: str | Sequence[str] | None
) -> tuple[Design, BoolArray, IntArray]:
    """The exposure of the complete rows, and the stratum of all rows."""
    plan = design(df, [exposure])
    if len(plan.terms) > 1:
        raise EstimationError(
            f"'{exposure}' has {len(plan.terms) + 1} categories; an exact ratio compares two. Keep two, or join some."
        )
    values = plan.matrix[:, 0]
    if not np.isin(values, (0.0, 1.0)).all():
        raise EstimationError(f"'{exposure}' must be 0 or 1, or a categorical of two; cut a measure into two first.")
    stratum = codes_of(df, strata, "the stratum")
    return plan, values == 1.0, np.zeros(len(df), dtype=np.int64) if stratum is None else stratum


def _nothing(n_events: float, n_rest: float, exposed: BoolArray) -> str:
    """Why there is nothing to estimate, if that is seen without strata."""
    if not len(exposed):
        return "no complete row: nothing can be estimated"
    if not n_events or not n_rest:
        return f"{'no event' if not n_events else 'an event in every row'}: nothing can be estimated"
    return "the same for everyone: nothing to compare" if exposed.all() or not exposed.any() else ""


def _estimates(
    table: Conditional,
    columns: dict[str, Any],
    reason: str,
    plan: Design,
    strata: str | Sequence[str] | None,
    confidence: float,
    settings: dict[str, Any],
) -> Estimates:
    """The two rows, exact and mid-P."""
    report.quantile(confidence)  # refuses what is no confidence level
    tail = (1.0 - confidence) / 2.0
    informative = sum(len(weights) > 1 for weights in table.log_weight)
    if not reason and not informative:
        reason = "no stratum has events, and both exposed and others: nothing to compare"
    rows: list[dict[str, float]] = []
    for share in (1.0, 0.5):
        if reason:
            rows.append(dict.fromkeys(("coef", "low", "high", "p_value", "central_p_value", "median_unbiased"), np.nan))
            continue
        low, high = table.limits(tail, share)
        central = table.doubled(share)
        rows.append(
            {
                "coef": table.log_ratio(),
                "low": low,
                "high": high,
                "p_value": table.as_unlikely() if share == 1.0 else central,
                "central_p_value": central,
                "median_unbiased": np.exp(table.median_unbiased()),
            }
        )
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    said = [reason] if reason else [*_boundary(table), *report.robust_notes(columns["n_events"], 0, 0, False)]
    return report.estimates(
        {
            **columns,
            "term": plan.terms[0],
            "estimate": np.exp(found["coef"]),
            "conf_low": np.exp(found.pop("low")),
            "conf_high": np.exp(found.pop("high")),
            **found,
            "interval": np.array(["exact", "mid-p"], dtype=object),
            "note": "; ".join(said),
        },
        {
            **settings,
            "confidence": confidence,
            "strata": strata,
            "n_informative_strata": informative,
            **plan.settings,
        },
    )


def _boundary(table: Conditional) -> list[str]:
    if table.seen == table.first:
        what = (
            "no event among the exposed" if table.seen == 0 else "as few events among the exposed as the margins allow"
        )
        return [f"{what}: the estimate is 0, and only the upper limit tells"]
    if table.seen == table.last:
        return ["as many events among the exposed as the margins allow: no upper limit, and only the lower one tells"]
    return []
