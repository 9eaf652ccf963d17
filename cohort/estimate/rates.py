"""Events per person-time and proportions, with intervals that remember who the events belong to.

A rate over patients is a ratio of sums, r = D / T. Patients are independent, vertebrae of one patient are not, so
SE(log r) = sqrt(sum over patients of (d_i - r t_i)^2) / D, which is the sandwich of an intercept-only Poisson model
clustered by patient. With fewer than 10 events, or fewer than 20 patients with one, that sum is itself unsure: the
interval is then the wider of it and the exact interval, at each end, and the note says so.

Exact is Garwood's Poisson interval where no patient has two events. Where some have, patients with an event are the
Poisson count, each weighing as many as he has (Fay and Feuer 1997, Stat Med 16:791); the next one could weigh as much
as the largest. Simulated coverage of nominal 95 % at 1, 3, 5, 10 and 20 events in 300 patients: 95 to 99 % when events
are independent or patients differ (frailty of variance 4), 96 to 99 % when each patient with an event has 1.7 on
average, but 93 % at 5 events then, and 85 % if he has 2.5: all of it from cohorts without an event, which cannot tell
how many a patient would have had. Their note says on what their limit rests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats

from cohort.domain.clock import DAYS_PER_YEAR, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.design import codes_of, column, numbers
from cohort.tables.results import Estimates

ProportionMethod = Literal["wilson", "exact", "mid-p"]
TimeUnit = Literal["days", "years"]


def exact_poisson(events: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Exact limits of the expected number of events (Garwood 1936), shape as `events`.

    >>> low, high = exact_poisson(np.array([0.0]), 0.95)
    >>> float(low[0]), round(float(high[0]), 4)
    (0.0, 3.6889)
    """
    tail = (1.0 - confidence) / 2.0
    low = np.where(events > 0, stats.chi2.ppf(tail, 2.0 * np.maximum(events, 1e-9)) / 2.0, 0.0)
    high = np.asarray(stats.chi2.isf(tail, 2.0 * events + 2.0)) / 2.0
    return low, high


def exact_over_patients(
    events: FloatArray, squares: FloatArray, largest: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of the expected number of events where patients are independent and some have several.

    events : (G,), of all patients of a group; squares : (G,), the sum of the squares of their events; largest : (G,),
    the most that one has. With one event each it is `exact_poisson`.

    >>> low, high = exact_over_patients(np.array([3.0, 6.0]), np.array([3.0, 12.0]), np.array([1.0, 2.0]), 0.95)
    >>> low.round(4).tolist(), high.round(4).tolist()  # three patients with two events each: twice the limits
    ([0.6187, 1.2373], [8.7673, 17.5345])
    """
    tail, next_one = (1.0 - confidence) / 2.0, np.maximum(largest, 1.0)
    some = np.maximum(events, 1e-9)
    weight = np.where(events > 0, squares / some, 1.0)
    low = np.where(events > 0, stats.gamma.ppf(tail, some / weight) * weight, 0.0)
    more = events + next_one
    weight = (squares + next_one**2) / more
    return low, np.asarray(stats.gamma.isf(tail, more / weight)) * weight


def rate(
    events: npt.ArrayLike,
    person_time: npt.ArrayLike,
    *,
    cluster: npt.ArrayLike | None = None,
    per: float = 1.0,
    time_unit: TimeUnit = "days",
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """One rate, per `per` person-years.

    events, person_time : numbers for the whole, or one element per patient or row; time_unit : what the latter counts.
    cluster : whose each row is. Without it, one number gives the exact Poisson interval, and one element per patient
        the robust one.

    >>> rate(10, 1800.5, time_unit="years").frame["conf_low"].round(6).tolist()
    [0.002663]
    """
    d, t = np.atleast_1d(np.asarray(events, float)), np.atleast_1d(np.asarray(person_time, float))
    if d.shape != t.shape:
        raise EstimationError(f"There are {len(d)} numbers of events and {len(t)} of person-time; give one each.")
    whose = np.arange(len(d)) if cluster is None else np.unique(np.asarray(cluster), return_inverse=True)[1]
    df = pd.DataFrame(
        {"events": d, "person_days": t * (1.0 if time_unit == "days" else DAYS_PER_YEAR), "cluster": whose}
    )
    return rate_by(
        df,
        events="events",
        person_days="person_days",
        cluster="cluster" if len(d) > 1 else None,
        per=per,
        confidence=confidence,
        outcome=outcome,
    )


def rate_by(
    df: pd.DataFrame,
    *,
    events: str,
    person_days: str,
    cluster: str | None = None,
    by: str | Sequence[str] | None = None,
    per: float = 1.0,
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """Rates of groups, one row per group found (its `by` columns kept under their own names).

    df : rows of events and days at risk, any number per patient; cluster : the patient.
    Returns n_events, person_years, n_patients (with time), n_clusters_with_event, estimate (events per `per`
    person-years), conf_low, conf_high, coef (log of the rate per person-year), std_error (of coef, robust),
    naive_std_error (1 / sqrt(events)), interval ("robust", "exact" or "wider of robust and exact"), note.
    Raises EstimationError for negative numbers and for events without person-time.
    """
    d = numbers(df, events, "the events")
    t = numbers(df, person_days, "the person-time") / DAYS_PER_YEAR
    if (d < 0).any() or (t < 0).any():
        raise EstimationError(f"'{events}' and '{person_days}' must not be negative.")
    patient = codes_of(df, cluster, "the cluster")
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    group, labels = groups_by(df, names)
    size = len(labels)
    n_events, years = _sums(group, d, size), _sums(group, t, size)
    if ((years == 0) & (n_events > 0)).any():
        raise EstimationError(
            f"{int(((years == 0) & (n_events > 0)).sum())} of {size} groups have events but no person-time."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        found = n_events / years
        naive = np.where(n_events > 0, 1.0 / np.sqrt(n_events), np.nan)
    robust, n_patients, with_event, squares, largest = _robust(group, patient, d, t, found, n_events)
    if patient is None:
        low_count, high_count = exact_poisson(n_events, confidence)
    else:
        low_count, high_count = exact_over_patients(n_events, squares, largest, confidence)
    z = report.quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exact_low, exact_high = low_count / years, high_count / years
        robust_low, robust_high = found * np.exp(-z * robust), found * np.exp(z * robust)
        logged = np.log(found)
    few = (n_events < report.FEW_EVENTS) | (with_event < report.FEW_CLUSTERS)
    only_exact = (n_events == 0) | (patient is None) | (n_patients < 2)
    low = np.where(only_exact, exact_low, np.where(few, np.fmin(exact_low, robust_low), robust_low))
    high = np.where(only_exact, exact_high, np.where(few, np.fmax(exact_high, robust_high), robust_high))
    interval = np.where(only_exact, "exact", np.where(few, "wider of robust and exact", "robust")).astype(object)
    notes = np.full(size, "", dtype=object)
    notes[few & ~only_exact] = "few events or few patients with one: the wider of the robust and the exact interval"
    notes[only_exact & (with_event == 1) & (patient is not None)] = (
        "only one patient: exact interval, in which all events of his count as one"
    )
    notes[n_events == 0] = "no event: exact Poisson interval" + (
        "" if patient is None else ", if no patient would have had several"
    )
    nothing = years == 0
    notes[nothing] = "no person-time"
    columns: dict[str, Any] = {
        **{name: labels[name] for name in names},
        "outcome": outcome,
        "measure": f"per {per:g} person-years",
        "n_patients": n_patients,
        "n_events": n_events,
        "person_years": years,
        "estimate": per * found,
        "conf_low": np.where(nothing, np.nan, per * low),
        "conf_high": np.where(nothing, np.nan, per * high),
        "coef": np.where(n_events > 0, logged, np.nan),
        "std_error": np.where(patient is None, naive, robust),
        "naive_std_error": naive,
        "n_clusters_with_event": with_event,
        "interval": interval,
        "note": notes,
    }
    return report.estimates(
        columns,
        {
            "method": "rate",
            "per": per,
            "variance": "Poisson" if cluster is None and patient is None else "ratio estimator over clusters",
            "confidence": confidence,
            "few": f"fewer than {report.FEW_EVENTS} events or {report.FEW_CLUSTERS} clusters with one: wider interval",
            "exact": "Garwood" if patient is None else "Fay-Feuer over clusters, Garwood where none has two events",
        },
    )


def _sums(codes: IntArray, values: FloatArray, size: int) -> FloatArray:
    return np.bincount(codes, values, minlength=size).astype(np.float64)


def groups_by(df: pd.DataFrame, names: list[str]) -> tuple[IntArray, pd.DataFrame]:
    """The group of each row (n,), and the values of `names` that make each group."""
    if not names:
        return np.zeros(len(df), dtype=np.int64), pd.DataFrame(index=range(1))
    for name in names:
        column(df, name, "the groups")
    grouped = df.groupby(names, sort=True, observed=True, dropna=False)
    code: IntArray = np.asarray(grouped.ngroup(), dtype=np.int64)
    first = np.full(int(code.max(initial=-1)) + 1, len(df))
    np.minimum.at(first, code, np.arange(len(df)))
    return code, df[names].iloc[first].reset_index(drop=True)


def _robust(
    group: IntArray, patient: IntArray | None, d: FloatArray, t: FloatArray, found: FloatArray, n_events: FloatArray
) -> tuple[FloatArray, IntArray, IntArray, FloatArray, FloatArray]:
    """By group: robust SE of the log rate, patients with time and with an event, their squares, the most of one."""
    size = len(found)
    whose = np.arange(len(d)) if patient is None else patient
    keys, pair = np.unique(group * (int(whose.max(initial=0)) + 1) + whose, return_inverse=True)
    of_group = np.zeros(len(keys), dtype=np.int64)
    of_group[pair] = group
    events, time = _sums(pair, d, len(keys)), _sums(pair, t, len(keys))
    left_over = events - np.where(np.isfinite(found), found, 0.0)[of_group] * time
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.bincount(of_group, left_over**2, minlength=size)) / n_events
    largest = np.zeros(size)
    np.maximum.at(largest, of_group, events)
    return (
        np.where(n_events > 0, error, np.nan),
        np.bincount(of_group[(time > 0) | (events > 0)], minlength=size),
        np.bincount(of_group[events > 0], minlength=size),
        np.bincount(of_group, events**2, minlength=size).astype(np.float64),
        largest,
    )


def proportion(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    method: ProportionMethod = "wilson",
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """Proportions of independent patients with Wilson, exact (Clopper-Pearson) or mid-P limits; one row per element.

    >>> proportion(10, 1800).frame[["conf_low", "conf_high"]].round(5).values.tolist()
    [[0.00302, 0.0102]]
    """
    x, size = np.atleast_1d(np.asarray(events, float)), np.atleast_1d(np.asarray(n, float))
    x, size = np.broadcast_arrays(x, size)
    if ((x < 0) | (x > size)).any():
        raise EstimationError("A number of events is below zero or above the number of patients.")
    if method == "wilson":
        low, high = _wilson(x, size, confidence)
    elif method == "exact":
        low, high = _clopper_pearson(x, size, confidence)
    elif method == "mid-p":
        pairs = [_mid_p(float(a), float(b), confidence) for a, b in zip(x, size, strict=True)]
        low, high = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    else:
        raise EstimationError(f"method must be wilson, exact or mid-p, and is {method!r}.")
    with np.errstate(invalid="ignore", divide="ignore"):
        share = x / size
    empty = size == 0
    return report.estimates(
        {
            "outcome": outcome,
            "measure": "proportion",
            "n_patients": size,
            "n_events": x,
            "estimate": share,
            "conf_low": np.where(empty, np.nan, low),
            "conf_high": np.where(empty, np.nan, high),
            "note": np.where(empty, "nobody to count", "").astype(object),
        },
        {"method": f"{method} interval of a proportion", "confidence": confidence},
    )


def _wilson(x: FloatArray, n: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    z2 = report.quantile(confidence) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (x + z2 / 2.0) / (n + z2)
        reach = np.sqrt(z2) / (n + z2) * np.sqrt(x * (n - x) / n + z2 / 4.0)
    # At none and at all the limit is 0 or 1 exactly; rounding would miss it by a digit.
    return np.where(x == 0, 0.0, centre - reach), np.where(x == n, 1.0, centre + reach)


def _clopper_pearson(x: FloatArray, n: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    tail = (1.0 - confidence) / 2.0
    inner = np.clip(x, 1e-9, None)
    low = np.where(x > 0, stats.beta.ppf(tail, inner, n - x + 1.0), 0.0)
    high = np.where(x < n, stats.beta.isf(tail, x + 1.0, np.clip(n - x, 1e-9, None)), 1.0)
    return low, high


def _mid_p(x: float, n: float, confidence: float) -> tuple[float, float]:
    """Limits where the tail, with half the probability of what was seen, is half of what is allowed."""
    tail = (1.0 - confidence) / 2.0
    if n == 0:
        return float("nan"), float("nan")

    def above(p: float) -> float:
        return float(stats.binom.sf(x, n, p) + stats.binom.pmf(x, n, p) / 2.0 - tail)

    def below(p: float) -> float:
        return float(stats.binom.cdf(x, n, p) - stats.binom.pmf(x, n, p) / 2.0 - tail)

    share = x / n
    low = 0.0 if x == 0 else float(optimize.brentq(above, 0.0, share, xtol=1e-14, rtol=1e-13))
    high = 1.0 if x == n else float(optimize.brentq(below, share, 1.0, xtol=1e-14, rtol=1e-13))
    return low, high
