"""Observed over expected: the events of a group beside those it would have had at the rates of a standard.

Expected events are the group's person-time, stratum by stratum, at the rate of the standard in that stratum (indirect
standardization; Breslow and Day 1987, IARC 82, chapter 2). The standard is the registry itself, all groups together,
or a table of rates. Limits take the expected number as known. That is right for a table from elsewhere; against its
own registry a group counts on both sides, so its ratio is drawn towards one, the more the larger the group.

Ratios of two groups compare them with the standard and not with each other, unless their person-time is spread alike
over the strata; for rate ratios between groups take `poisson`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats

from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of, column, numbers
from cohort.estimate.rates import exact_poisson, groups_by
from cohort.tables.results import Estimates

CountMethod = Literal["exact", "mid-p", "byar"]
EXTERNAL = "table of rates, taken as known"
OWN = "rates of all groups together, taken as known"


def mid_p_poisson(events: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Mid-P limits of the expected number of events: half the probability of what was seen counts in each tail.

    >>> low, high = mid_p_poisson(np.array([11.0]), 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (5.784, 19.119)
    """
    tail = (1.0 - confidence) / 2.0
    exact = exact_poisson(events, confidence)[1]

    def above(mean: float, x: float) -> float:
        return float(stats.poisson.sf(x, mean) + stats.poisson.pmf(x, mean) / 2.0 - tail)

    def below(mean: float, x: float) -> float:
        return float(stats.poisson.cdf(x, mean) - stats.poisson.pmf(x, mean) / 2.0 - tail)

    def solve(x: float, upper: float) -> tuple[float, float]:
        # Mid-P limits lie between what was seen and the exact ones.
        low = 0.0 if x == 0 else float(optimize.brentq(above, 0.0, x, (x,), xtol=1e-13, rtol=1e-13))
        return low, float(optimize.brentq(below, x, upper, (x,), xtol=1e-13, rtol=1e-13))

    distinct, back = np.unique(events, return_inverse=True)
    upper_of = dict(zip(events.tolist(), exact.tolist(), strict=True))
    pairs = np.array([solve(x, upper_of[x]) for x in distinct.tolist()]).reshape(-1, 2)
    return pairs[back, 0], pairs[back, 1]


def byar_poisson(events: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Byar's approximate limits of the expected number of events (Breslow and Day 1987, formula 2.13).

    >>> low, high = byar_poisson(np.array([11.0]), 0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (5.484, 19.683)
    """
    z = report.quantile(confidence)
    n, more = np.maximum(events, 1.0), events + 1.0
    low = np.where(events > 0, events * (1.0 - 1.0 / (9.0 * n) - z / (3.0 * np.sqrt(n))) ** 3, 0.0)
    return np.maximum(low, 0.0), more * (1.0 - 1.0 / (9.0 * more) + z / (3.0 * np.sqrt(more))) ** 3


def observed_expected(
    df: pd.DataFrame,
    *,
    events: str,
    person_time: str,
    by: str | Sequence[str] | None,
    strata: str | Sequence[str] | None = None,
    standard: pd.DataFrame | float | None = None,
    rate: str = "rate",
    cluster: str | None = None,
    method: CountMethod = "exact",
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """Observed over expected events (SMR), one row per group found (its `by` columns kept under their own names).

    df : rows of events and person-time, any number per patient. by : the groups, as the level of the spine; None for
        all together. strata : columns within which rates are compared, as age group and sex; None for crude rates.
    standard : None, the rates of all rows of df within each stratum; or a table with the columns of `strata` and
        `rate`, events per unit of `person_time`; or one number where there are no strata.
    cluster : the patient. Exact limits count events as independent, which those of one patient are not: the interval
        is then robust, and with few events the wider of both, at each end, as in `rate_by`.
    method : limits of the observed number: "exact" (Garwood), "mid-p" (half of what was seen in each tail: shorter,
        with coverage near instead of above the level), or "byar" (a close approximation of exact ones).

    Returns n_events, n_patients, `expected`, `person_time`, estimate, conf_low, conf_high, coef (log), std_error
    (of coef: robust over clusters, else 1 / sqrt(events)), p_value of a ratio of one (twice the smaller exact tail,
    mid-P with "mid-p"; it counts events as independent), `interval`, note.
    Raises EstimationError for a stratum with person-time that the standard lacks.

    >>> df = pd.DataFrame({"level": ["T12", "L1", "L1"], "old": [0, 0, 1], "broke": [4, 2, 9], "years": [100, 100, 50]})
    >>> ratio = observed_expected(df, events="broke", person_time="years", by="level", strata="old").frame
    >>> ratio[["level", "n_events", "expected", "estimate"]].round(3).to_numpy().tolist()
    [['L1', 11.0, 12.0, 0.917], ['T12', 4.0, 3.0, 1.333]]
    """
    if method not in get_args(CountMethod):
        raise EstimationError(f"method must be exact, mid-p or byar, and is {method!r}.")
    d, t = numbers(df, events, "the events"), numbers(df, person_time, "the person-time")
    if (d < 0).any() or (t < 0).any() or (d != np.rint(d)).any():
        raise EstimationError(f"'{events}' must hold counts, and '{person_time}' must not be negative.")
    impossible = int(((t == 0) & (d > 0)).sum())
    if impossible:
        raise EstimationError(f"{impossible} rows have events but no '{person_time}'; events need time at risk.")
    patient = codes_of(df, cluster, "the cluster")
    names, within = _listed(by), _listed(strata)
    e = t * _rates(df, d, t, within, standard, rate)
    group, labels = groups_by(df, names)
    size = len(labels)
    observed, expected = (np.bincount(group, part, minlength=size).astype(np.float64) for part in (d, e))
    if ((expected == 0) & (observed > 0)).any():
        raise EstimationError(
            f"{int(((expected == 0) & (observed > 0)).sum())} of {size} groups have events where the standard has a "
            "rate of zero; no ratio can be taken. Take coarser strata, or another standard."
        )
    columns, few = _intervals(observed, expected, group, patient, d, e, method, confidence)
    nothing = expected == 0
    notes = np.full(size, "", dtype=object)
    notes[few] = "few events or few patients with one: the wider of the robust and the exact interval"
    notes[observed == 0] = "no event: exact interval"
    notes[nothing] = "nothing expected"
    return report.estimates(
        {
            **{name: labels[name] for name in names},
            "outcome": outcome,
            "measure": "observed_over_expected",
            "n_events": observed,
            **columns,
            "expected": expected,
            "person_time": np.bincount(group, t, minlength=size),
            "note": notes,
        },
        {
            "method": "observed over expected events, indirect standardization",
            "limits": method,
            "standard": OWN if standard is None else EXTERNAL,
            "strata": within,
            "by": names,
            "variance": "Poisson" if cluster is None else "ratio estimator over clusters",
            "confidence": confidence,
        },
    )


def _listed(names: str | Sequence[str] | None) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _rates(
    df: pd.DataFrame,
    d: FloatArray,
    t: FloatArray,
    within: list[str],
    standard: pd.DataFrame | float | None,
    rate: str,
) -> FloatArray:
    """The rate of the standard for each row (n,)."""
    stratum = codes_of(df, within, "the strata")
    code = np.zeros(len(df), dtype=np.int64) if stratum is None else stratum
    if standard is None:
        happened, time = np.bincount(code, d), np.bincount(code, t)
        return (happened / np.where(time > 0, time, 1.0))[code]
    if not isinstance(standard, pd.DataFrame):
        if within:
            raise EstimationError("One rate has no strata; give a table of rates with a row per stratum.")
        if not (np.isfinite(standard) and standard > 0):
            raise EstimationError(f"The rate of the standard must be positive, and is {standard:g}.")
        return np.full(len(df), float(standard))
    known = numbers(standard, rate, "the rate of the standard")
    if (known < 0).any():
        raise EstimationError(f"The standard has {int((known < 0).sum())} negative rates in '{rate}'.")
    if not within:
        if len(known) != 1:
            raise EstimationError(f"The standard has {len(known)} rates; name the `strata` that they belong to.")
        return np.full(len(df), known[0])
    for name in within:
        column(standard, name, "a stratum of the standard")
    twice = int(standard.duplicated(within).sum())
    if twice:
        raise EstimationError(f"The standard has {twice} strata more than once; give one rate for each.")
    # Compared as text: a category and the text or number that it shows are the same stratum.
    keys = [frame[within].astype(str).agg("\x1f".join, axis=1) for frame in (standard, df)]
    found = keys[1].map(pd.Series(known, index=keys[0])).to_numpy(dtype=np.float64)
    missing = np.isnan(found) & (t > 0)
    if missing.any():
        raise EstimationError(
            f"{int(missing.sum())} rows lie in {keys[1][missing].nunique()} strata ({', '.join(within)}) for which the "
            "standard has no rate; add them, or leave these rows out and count them."
        )
    return np.where(np.isnan(found), 0.0, found)


def _intervals(
    observed: FloatArray,
    expected: FloatArray,
    group: IntArray,
    patient: IntArray | None,
    d: FloatArray,
    e: FloatArray,
    method: CountMethod,
    confidence: float,
) -> tuple[dict[str, Any], npt.NDArray[np.bool_]]:
    """Estimates with their limits, and which rest on few events or patients."""
    limits = {"exact": exact_poisson, "mid-p": mid_p_poisson, "byar": byar_poisson}[method]
    z, size = report.quantile(confidence), len(observed)
    n_patients, with_event, robust = _over_patients(group, patient, d, e, observed, expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = observed / expected
        low, high = (limit / expected for limit in limits(observed, confidence))
        naive = np.where(observed > 0, 1.0 / np.sqrt(observed), np.nan)
        robust_low, robust_high = ratio * np.exp(-z * robust), ratio * np.exp(z * robust)
    only = (observed == 0) | (patient is None) | (n_patients < 2)
    few = ~only & ((observed < report.FEW_EVENTS) | (with_event < report.FEW_CLUSTERS))
    low = np.where(only, low, np.where(few, np.fmin(low, robust_low), robust_low))
    high = np.where(only, high, np.where(few, np.fmax(high, robust_high), robust_high))
    seen = stats.poisson.pmf(observed, expected) * (0.5 if method == "mid-p" else 0.0)
    tails = stats.poisson.cdf(observed, expected) - seen, stats.poisson.sf(observed - 1.0, expected) - seen
    nothing = expected == 0
    words = np.where(only, method, np.where(few, f"wider of robust and {method}", "robust")).astype(object)
    words[nothing] = ""
    return {
        "n_patients": n_patients,
        "estimate": ratio,
        "conf_low": np.where(nothing, np.nan, low),
        "conf_high": np.where(nothing, np.nan, high),
        "coef": np.where(observed > 0, np.log(np.where(observed > 0, ratio, 1.0)), np.nan),
        "std_error": naive if patient is None else robust,
        "naive_std_error": naive,
        "p_value": np.where(nothing, np.nan, np.minimum(2.0 * np.minimum(*tails), 1.0)),
        "n_clusters_with_event": with_event,
        "interval": words.reshape(size),
    }, few


def _over_patients(
    group: IntArray,
    patient: IntArray | None,
    d: FloatArray,
    e: FloatArray,
    observed: FloatArray,
    expected: FloatArray,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Patients with something expected, those with an event, and the robust error of log ratios, by group."""
    whose = np.arange(len(d)) if patient is None else patient
    keys, pair = np.unique(group * (int(whose.max(initial=0)) + 1) + whose, return_inverse=True)
    of_group = np.zeros(len(keys), dtype=np.int64)
    of_group[pair] = group
    had, due = (np.bincount(pair, part, minlength=len(keys)) for part in (d, e))
    size = len(observed)
    ratio = np.where(expected > 0, observed / np.where(expected > 0, expected, 1.0), 0.0)
    squares = np.bincount(of_group, (had - ratio[of_group] * due) ** 2, minlength=size)
    error = np.where(observed > 0, np.sqrt(squares) / np.where(observed > 0, observed, 1.0), np.nan)
    n_patients = np.bincount(of_group[due > 0], minlength=size)
    return n_patients, np.bincount(of_group[had > 0], minlength=size), np.where(n_patients > 1, error, np.nan)
