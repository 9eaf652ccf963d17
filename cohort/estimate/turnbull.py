"""The share still free of an event that is only known to lie between two looks: Turnbull's estimate.

The likelihood says how much mass lies in each innermost interval, never where in it. The mass is read in the middle of
its interval, as R's `survfit(Surv(L, R, type = "interval2"))` does, and on its day where that is known; in the first
interval, if nobody knows when it began, at its end. Every row says how far the share could lie from that reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.bounds import LAST_DAY, Bounds, read_bounds
from cohort.estimate.curves import EVENT_FREE
from cohort.estimate.design import codes_of, distinct, rows_of
from cohort.estimate.kernel import WeightKind
from cohort.estimate.npmle import GAP, Cover, Masses, maximize
from cohort.tables.results import Estimates

SOME = 1e-9  # a smaller mass is what the climb left over
RESAMPLE_GAP = 1e-6  # of a resample, whose spread is far larger


@dataclass(frozen=True)
class Curve:
    """The estimate of one group."""

    cover: Cover
    masses: Masses

    @classmethod
    def of(cls, bounds: Bounds, weight: FloatArray, gap: float = GAP) -> Curve:
        """Estimate from n rows; weight (n,) positive."""
        cover = Cover.of(bounds.lower, bounds.upper)
        return cls(cover, maximize(cover, weight, gap))

    def read(self, times: FloatArray) -> FloatArray:
        """(T,) share free by the convention of this module; past the last look, that of the last look."""
        return self._less(times, self.cover.position, "right")

    def range(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(T,) least and greatest share that the masses allow, wherever they lie in their intervals."""
        known = self.cover.left == self.cover.right
        begin = np.where(known, np.nextafter(self.cover.left, -np.inf), self.cover.left)
        return self._less(times, begin, "left"), self._less(times, self.cover.right, "right")

    def _less(self, times: FloatArray, where: FloatArray, side: Any) -> FloatArray:
        # Innermost intervals do not overlap, so their beginnings, middles and ends are all in order.
        gone = np.append(0.0, np.cumsum(self.masses.mass))[np.searchsorted(where, times, side=side)]
        result: FloatArray = np.maximum(1.0 - gone, 0.0)
        return np.where(result < SOME, 0.0, result)

    @property
    def steps(self) -> FloatArray:
        """Days by which a mass is spent; there the share does not depend on the convention."""
        return self.cover.right[(self.masses.mass > SOME) & np.isfinite(self.cover.right)]

    @property
    def last_look(self) -> float:
        """The last day at which someone was still free, if someone may be free for ever; else infinite."""
        open_end = np.isinf(self.cover.right[-1]) and self.masses.mass[-1] > SOME
        return float(self.cover.left[-1]) if open_end else np.inf


def turnbull(
    rows: pd.DataFrame,
    *,
    lower: str,
    upper: str,
    weight: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    at: npt.ArrayLike | None = None,
    entry: str | None = None,
    bootstrap: int = 200,
    seed: int = 0,
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    outcome: str = EVENT_FREE,
) -> Estimates:
    """Share still free of the event, by day, where events are known to lie in (lower, upper] only.

    rows : one row per unit (splits joined). lower : last day known free, missing or -inf if there is none. upper : day
        by which the event was found, missing or infinite if never; equal to lower where the day is known.
        `interval_bounds` makes both from exit, cause and the last look.
    cluster : the patient; resampled whole (default: each row). by : groups. at : days at which to read (default: the
        ends of the intervals that hold mass). bootstrap : resamples, 0 for none; seed : of their draws.

    With `interval_bounds` death counts as a loss: the curve belongs to a cause-specific hazard, and one minus it is not
    an incidence (it says how many would have the event if nobody died). No analytic variance is claimed: std_error is
    the spread of the resamples, limits are their percentiles. The bootstrap is sound where looks fall on few, shared
    days; where they fall on any day the estimate converges at the cube root of the sample, and the bootstrap is known
    to fail for one look per unit (Sen, Banerjee and Woodroofe 2010, Ann. Stat. 38:1953): read limits as a guide then.

    Returns one row per group and day: estimate, conf_low, conf_high, std_error, n_patients (clusters), n_units (rows),
    n_events (found by that day), lowest and highest (the share if the mass of the interval around that day lay at its
    beginning or at its end; equal where the data decide), note. After the last look there is no estimate.
    Raises EstimationError for empty intervals, and for `entry`: with delayed entry the maximum need not exist or be
    unique, and can sit at zero (Pan and Chappell 1998); `weibull` takes entries.

    >>> films = pd.DataFrame({"clear": [0, 20, 50], "found": [30, 40, None]})
    >>> turnbull(films, lower="clear", upper="found", at=[20, 30], bootstrap=0).frame["estimate"].round(6).tolist()
    [1.0, 0.333333]
    """
    if entry is not None:
        raise EstimationError(
            "Turnbull's estimate with delayed entry is not offered: its maximum need not be unique, and can claim that "
            "nobody survives the first days. Leave out `entry` if all were followed from day 0, or use `weibull`, "
            "which allows for it."
        )
    if bootstrap < 0:
        raise EstimationError(f"`bootstrap` is the number of resamples, 0 for none, and is {bootstrap}.")
    report.quantile(confidence)
    bounds = read_bounds(rows, lower, upper)
    base = rows_of(
        rows.assign(**{LAST_DAY: bounds.last_day}),
        exit_=LAST_DAY,
        entry=None,
        weight=weight,
        id_=None,
        cluster=cluster,
        weight_kind=weight_kind,
    )
    labels, group = [""], np.zeros(len(rows), dtype=np.int64)
    if by is not None:
        group = np.asarray(codes_of(rows, by, "the groups"), dtype=np.int64)
        labels = [str(value) for value in pd.factorize(rows[by], sort=True)[1]]
    patient = base.cluster
    if cluster is None:
        # Numbered by what they say, so that the order of the rows does not change the draws.
        patient = np.empty(len(rows), dtype=np.int64)
        patient[np.lexsort((base.weight, bounds.upper, bounds.lower, group))] = np.arange(len(rows))
    asked = None if at is None else np.atleast_1d(np.asarray(at, dtype=np.float64))
    samples = []
    for code, label in enumerate(labels):
        mine = (group == code) & (base.weight > 0)
        if mine.any():
            samples.append(Sample.of(label, bounds[mine], base.weight[mine], patient[mine], asked))
    if not samples:
        raise EstimationError("There is no row of positive weight to estimate from.")
    resampled = resample(samples, patient, base.weight, weight_kind, bootstrap, seed)
    parts = [
        _columns(sample, shares, weight_kind, cluster is not None, confidence)
        for sample, shares in zip(samples, resampled, strict=True)
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    settings = {
        "method": "Turnbull, by EM and iterative convex minorant",
        "reading": "mass in the middle of its innermost interval",
        "variance": f"{bootstrap} bootstrap resamples of {'clusters' if cluster else 'rows'}, percentile limits",
        "seed": seed,
        "confidence": confidence,
        "weights": weight_kind if weight is not None else "none",
        "by": by,
        "loglik": {sample.label: sample.curve.masses.loglik for sample in samples},
        "likelihood_gap": {sample.label: sample.curve.masses.gap for sample in samples},
    }
    return report.estimates({"outcome": outcome, **columns}, settings)


@dataclass(frozen=True)
class Sample:
    """One group: its rows (n,), its curve, and the days (T,) at which it is read.

    Rows that say the same are one pattern: pattern (n,) numbers them, patterns holds their bounds.
    """

    label: str
    bounds: Bounds
    pattern: IntArray
    patterns: Bounds
    weight: FloatArray
    cluster: IntArray
    curve: Curve
    times: FloatArray

    @classmethod
    def of(cls, label: str, bounds: Bounds, weight: FloatArray, cluster: IntArray, asked: FloatArray | None) -> Sample:
        """Estimate one group."""
        pairs, pattern = np.unique(np.column_stack([bounds.lower, bounds.upper]), axis=0, return_inverse=True)
        patterns = Bounds(pairs[:, 0], pairs[:, 1])
        curve = Curve.of(patterns, np.bincount(pattern.ravel(), weight).astype(np.float64))
        times = curve.steps if asked is None else asked
        if not len(times):
            times = np.array([bounds.lower.max()])  # no event: the curve says so on the last day seen
        return cls(label, bounds, pattern.ravel().astype(np.int64), patterns, weight, cluster, curve, times)


def resample(
    samples: list[Sample], cluster: IntArray, weight: FloatArray, weight_kind: WeightKind, times: int, seed: int
) -> list[FloatArray]:
    """Shares free at the days of each sample (times, T) in resamples of whole clusters; a lost group is NaN.

    cluster, weight : (n,) of all rows. A cluster of frequency weight 3 is three clusters to draw from.
    """
    copies = np.zeros(int(cluster.max(initial=-1)) + 1)
    np.maximum.at(copies, cluster, weight)
    if weight_kind == "frequency":
        if (copies[cluster] != weight).any():
            raise EstimationError(
                "Frequency weights must be the same in all rows of a cluster: a row of weight 3 stands for three "
                'clusters alike. For other weights say weight_kind="probability".'
            )
    else:
        copies = (copies > 0).astype(np.float64)
    owner = np.repeat(np.arange(len(copies)), copies.astype(np.int64))
    random = np.random.default_rng(seed)
    shares = [np.full((times, len(sample.times)), np.nan) for sample in samples]
    for draw in range(times):
        drawn = np.bincount(owner[random.integers(0, len(owner), len(owner))], minlength=len(copies))
        for sample, share in zip(samples, shares, strict=True):
            each = drawn[sample.cluster] * (1.0 if weight_kind == "frequency" else sample.weight)
            w = np.bincount(sample.pattern, each, minlength=len(sample.patterns.lower)).astype(np.float64)
            if w.any():
                share[draw] = Curve.of(sample.patterns[w > 0], w[w > 0], RESAMPLE_GAP).read(sample.times)
    return shares


def _columns(
    sample: Sample, shares: FloatArray, weight_kind: WeightKind, clustered: bool, confidence: float
) -> dict[str, Any]:
    curve, times = sample.curve, sample.times
    beyond = times > curve.last_look
    lowest, highest = curve.range(times)
    estimate, low, high, error = (np.full(len(times), np.nan) for _ in range(4))
    estimate[~beyond] = curve.read(times)[~beyond]
    drawn = shares[~np.isnan(shares[:, 0])]  # without the resamples that left no row of this group
    varies = ~beyond & (np.ptp(drawn, axis=0) > SOME) if len(drawn) else np.zeros(len(times), dtype=bool)
    if varies.any():
        there = drawn[:, varies]
        low[varies], high[varies] = np.quantile(there, [0.5 - confidence / 2.0, 0.5 + confidence / 2.0], axis=0)
        error[varies] = there.std(axis=0, ddof=1)
    counts = sample.weight if weight_kind == "frequency" else np.ones(len(sample.weight))
    found = sample.bounds.found
    n_clusters = distinct(sample.cluster)
    by_day = np.argsort(sample.bounds.upper, kind="stable")
    so_far = np.append(0.0, np.cumsum(counts[by_day]))
    return {
        "stratum": np.full(len(times), sample.label, dtype=object),
        "time": times,
        "measure": np.full(len(times), "survival", dtype=object),
        "n_patients": np.full(len(times), n_clusters),
        "n_units": np.full(len(times), len(found)),
        "n_events": so_far[np.searchsorted(sample.bounds.upper[by_day], times, side="right")],
        "estimate": estimate,
        "conf_low": low,
        "conf_high": high,
        "std_error": error,
        "lowest": np.where(beyond, np.nan, lowest),
        "highest": np.where(beyond, np.nan, highest),
        "note": _notes(
            curve,
            times,
            beyond,
            highest - lowest > SOME,
            ~varies & ~beyond & bool(len(shares)),
            report.robust_notes(
                float(counts[found].sum()), n_clusters, distinct(sample.cluster[found]), clustered and bool(len(shares))
            ),
        ),
    }


def _notes(
    curve: Curve, times: FloatArray, beyond: BoolArray, undecided: BoolArray, unvaried: BoolArray, shared: list[str]
) -> npt.NDArray[np.object_]:
    notes = np.empty(len(times), dtype=object)
    # The one interval around each day, where there is one: a day inside lies after its beginning and before its end.
    around = np.minimum(np.searchsorted(curve.cover.right, times, side="left"), len(curve.cover.right) - 1)
    for k in range(len(times)):
        said = []
        left, right = curve.cover.left[around[k]], curve.cover.right[around[k]]
        if beyond[k]:
            said.append(f"after the last look (day {curve.last_look:g})")
        elif undecided[k] and np.isneginf(left):
            said.append(f"until day {right:g} the data do not say when events came: read at the end")
        elif undecided[k]:
            said.append(f"between days {left:g} and {right:g} the data do not say when events came: read in the middle")
        if unvaried[k]:
            said.append("the same in every resample: no limits")
        if curve.masses.gap > SOME:
            said.append(f"the climb stopped short: the log-likelihood could still rise by {curve.masses.gap:.1g} a row")
        notes[k] = "; ".join([*said, *shared])
    return notes
