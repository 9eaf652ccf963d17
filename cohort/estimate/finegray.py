"""Fine and Gray's model: the hazard of the incidence itself, in which those who died of another cause linger.

Who had a competing event at T stays in the risk set with the weight G(t-)H(t-) / (G(T-)H(T-)): G the Kaplan-Meier
curve of being lost, H the chance of having entered by then (Geskus 2011, Biometrics 67:39). No rows are expanded: the
lingering of all is one cumulative sum times a curve. The answers are those of R's `finegray` followed by `coxph`
with the ties named; `cmprsk::crr` has its own handling of ties and another variance (docs/differences.md).

Variance: the sandwich over clusters with G and H taken as known, as `coxph(..., cluster=)` after `finegray`; below 20
clusters with an event, leaving one out at a time as in `cox`, with the same G and H.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.cox import hazard_estimates, select
from cohort.estimate.design import Rows, causes, column, design, first_and_last, rows_of
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.risk_sets import RiskSets, by_column
from cohort.estimate.small_sample import HazardCorrection
from cohort.tables.results import Estimates


@dataclass(frozen=True)
class LingeringSets(RiskSets):
    """Risk sets in which some rows stay after their end, with weight `share[k] * per_share[row]`.

    share : (K,) the curve at each event time; per_share : (n,), zero for rows that do not linger. One stratum only.
    """

    share: FloatArray
    per_share: FloatArray

    @cached_property
    def _lingering(self) -> IntArray:
        return np.flatnonzero(self.per_share > 0)

    def sums(self, values: FloatArray) -> FloatArray:
        """As `RiskSets.sums`, with those who linger."""
        plain = super().sums(values)
        if values.ndim == 2:
            return plain  # through `weighted`, so already with them
        result: FloatArray = plain + self._stayed(values)
        return result

    def weighted(self, weight: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `RiskSets.weighted`, with those who linger."""
        s0, s1 = super().weighted(weight, x)
        return s0, s1 + by_column(lambda column: self._stayed(weight, column), x, len(self.time))

    def _stayed(self, weight: FloatArray, column: FloatArray | None = None) -> FloatArray:
        rows, size = self._lingering, len(self.time)
        values = self.per_share[rows] * weight[rows]
        if column is not None:
            values *= column[rows]
        result: FloatArray = self.share * np.cumsum(np.bincount(self.end[rows], values, minlength=size + 1)[:size])
        return result

    def over(self, increments: FloatArray) -> FloatArray:
        """As `RiskSets.over`, with the time spent lingering."""
        result = super().over(increments)
        if increments.ndim == 1:  # several go column by column
            rows = self._lingering
            after = np.append(np.cumsum((self.share * increments)[::-1])[::-1], 0.0)
            result[rows] += self.per_share[rows] * after[self.end[rows]]
        return result


def lingering_sets(entry: FloatArray, exit_: FloatArray, cause: IntArray, of: int, counts: FloatArray) -> LingeringSets:
    """Risk sets of the cause `of`; all (n,), one element per unit; counts weigh the curves G and H."""
    plain = RiskSets.of(exit_, cause == of, entry)
    lingers = (cause > 0) & (cause != of)
    share = _observable(entry, exit_, cause, counts, plain.time)
    own = _observable(entry, exit_, cause, counts, exit_[lingers])
    per_share = np.zeros(len(exit_))
    with np.errstate(divide="ignore"):
        per_share[lingers] = np.where(own > 0, 1.0 / own, 0.0)
    return LingeringSets(
        plain.time, plain.stratum, plain.first, plain.end, plain.late, plain.stratum_end, share, per_share
    )


def _observable(
    entry: FloatArray, exit_: FloatArray, cause: IntArray, counts: FloatArray, times: FloatArray
) -> FloatArray:
    """G(t-) H(t-) at `times`: not yet lost, and entered; on one day events come before losses."""
    days, place = np.unique(exit_, return_inverse=True)
    lost = cause == 0
    when = 2.0 * place + lost
    # Entries fall between days: after every event and loss of the days up to theirs.
    begin: FloatArray = np.asarray(2.0 * np.searchsorted(days, entry, side="right") - 1.0, dtype=np.float64)
    losses = RiskSets.of(when, lost, begin)
    gone = losses.deaths(counts, np.flatnonzero(lost))
    left = _log_one_less(gone, losses.sums(counts))
    read = 2.0 * np.searchsorted(days, times, side="left")
    log_g = np.append(0.0, np.cumsum(left))[np.searchsorted(losses.time, read, side="left")]
    if not np.isfinite(entry).any() or (entry == entry.min()).all():
        return np.exp(log_g)
    # Backwards in time, entering is the event: at risk of it at u are those with entry <= u < exit.
    entries = RiskSets.of(-entry, np.ones(len(entry), dtype=bool), -exit_)
    came = entries.deaths(counts, np.arange(len(entry)))
    early = _log_one_less(came, entries.sums(counts))
    log_h = np.append(0.0, np.cumsum(early))[np.searchsorted(entries.time, -times, side="right")]
    return np.exp(log_g + log_h)


def _log_one_less(part: FloatArray, whole: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.log1p(-np.minimum(part / whole, 1.0))


def fine_gray(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    cause: str,
    of: int = 1,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    weight_kind: WeightKind = "probability",
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Subdistribution hazard ratios of the cause `of`.

    rows and arguments as in `cox`, with causes as in `aalen_johansen`. Covariates must be fixed: what changes with
    time has no value after death, and is refused. A cluster left out of a small sample stays in G and H.
    Returns the frame of `cox`, measure "subdistribution_hazard_ratio".
    Raises EstimationError for covariates that change within an id, and for ids that leave and return.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4, 5, 6], "cause": [1, 2, 1, 1, 0, 2], "leak": [1, 1, 0, 1, 0, 0]})
    >>> round(float(fine_gray(days, ["leak"], exit="exit", cause="cause").frame["estimate"].iloc[0]), 3)
    2.303
    """
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    what = causes(rows, cause)
    first, last = first_and_last(base.id, base.entry, base.exit)
    _refuse_changes(rows, covariates, base, first)
    if (
        len(first) < len(rows)
        and not np.isclose(
            _sums(base.id, np.where(np.isfinite(base.entry), base.exit - base.entry, 0.0)),
            np.where(np.isfinite(base.entry[first]), base.exit[last] - base.entry[first], 0.0),
        ).all()
    ):
        raise EstimationError("Some ids leave and return; Fine and Gray's model needs each followed without a gap.")
    used = base.weight[first] > 0
    first, last = first[used], last[used]
    units = Rows(
        base.entry[first],
        base.exit[last],
        base.weight[first],
        base.id[first],
        base.cluster[first],
        np.zeros(len(first), dtype=np.int64),
        True,
    )
    ended = what[last]
    plan = design(rows.iloc[first], covariates)
    whole = lingering_sets(units.entry, units.exit, ended, of, units.weight)
    kept = plan.complete
    happened = ended[kept] == of
    units = select(units, kept)

    def sets_of(some: BoolArray) -> RiskSets:
        # The curves G and H use everyone; the risk sets, those with all covariates.
        plain = RiskSets.of(units.exit[some], happened[some], units.entry[some])
        share = whole.share[np.searchsorted(whole.time, plain.time)]
        return LingeringSets(
            plain.time,
            plain.stratum,
            plain.first,
            plain.end,
            plain.late,
            plain.stratum_end,
            share,
            whole.per_share[kept][some],
        )

    return hazard_estimates(
        plan,
        plan.matrix,
        happened,
        units,
        ties=ties,
        weight_kind=weight_kind,
        robust=True,
        confidence=confidence,
        common={"outcome": outcome, "model": model, "measure": "subdistribution_hazard_ratio"},
        settings={
            "method": "Fine-Gray, weights of finegray, taken as known in the variance",
            "weights": weight_kind if weight is not None else "none",
            "of": of,
        },
        sets=sets_of(np.ones(len(happened), dtype=bool)) if happened.any() else None,
        sets_of=sets_of,
        small_sample=small_sample,
    )


def _sums(codes: IntArray, values: FloatArray) -> FloatArray:
    return np.bincount(codes, values).astype(np.float64)


def _refuse_changes(rows: pd.DataFrame, covariates: Sequence[str], base: Rows, first: IntArray) -> None:
    if len(first) == len(rows):
        return
    for name in covariates:
        codes = pd.factorize(column(rows, name, "a covariate"))[0]
        changed = len(np.unique(base.id[codes != codes[first][base.id]]))
        if changed:
            raise EstimationError(
                f"'{name}' changes during the follow-up of {changed} units. In Fine and Gray's model the dead stay at "
                "risk, and what changes with time has no value for them: use its value at entry, or `cox` for the "
                "hazard of each cause."
            )
