"""Mean cumulative count: the fractures of a patient by a day, repeats included, when death ends the counting.

mu(t) = sum over days u <= t of S(u-) d(u) / Y(u)   (Cook and Lawless 1997; Ghosh and Lin 2000)

Y counts the patients under observation on day u, d their fractures on it, and S is the Kaplan-Meier curve of the
terminal event on the same risk sets; S(u-) is the share alive before day u, so that of a fracture and a death on one
day the fracture counts. The dead have no more fractures and stay in the denominator: mu is the mean over all who
started, where Nelson-Aalen, with the dead censored, is the mean of patients who cannot die, and larger.

Variance: the infinitesimal jackknife summed over clusters, through both d / Y and S. It takes no Poisson process for
granted: patients may be prone to fracture, and one fracture may bring the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.curves import groups_of, refuse_unknown_correction
from cohort.estimate.design import Rows, causes, rows_of
from cohort.estimate.incidence import Curves, Derivative, influence_errors, through_hazards
from cohort.estimate.kernel import WeightKind
from cohort.estimate.nelson_aalen import PositiveConfType, curves_of, days, one_curve, stacked, stop_notes
from cohort.estimate.report import CurveCorrection
from cohort.tables.results import Estimates

COUNTED, TERMINAL = 1, 2


def mean_cumulative_count(
    rows: pd.DataFrame,
    *,
    exit: str,
    cause: str,
    of: int | Sequence[int] = 1,
    terminal: int | Sequence[int] | None = 2,
    entry: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    by: str | None = None,
    at: npt.ArrayLike | None = None,
    conf_type: PositiveConfType = "log",
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    small_sample: CurveCorrection = "auto",
    outcome: str = "",
) -> Estimates:
    """Expected number of events per unit by day, death competing.

    rows : an id has a row for each stretch of observation `(entry, exit]`, ending with an event, a loss (0), or
        nothing (0, where the next row begins). After an event counted it goes on in the next row; after a terminal
        one there is none.
    of : the cause or causes counted. terminal : the cause or causes after which nothing can happen, or None. Any
        other cause ends its row as a split does.
    id : the patient (or vertebra) whose events are counted; without it each row is a unit of its own.
    cluster : for the variance, default the id.
    small_sample : "auto" takes limits from t, always, as a patient brings its events together: with as many degrees of
        freedom (column `df`) as clusters of the group with an event counted, less one. "none": the normal quantile.
    A gap between rows of an id is time not observed, in which neither a fracture nor a death would be seen: the
    patient leaves both risk sets, and comes back as one who enters late. Who is watched for death while no fracture
    could count stays at risk: leave the row open. One row ends with one event: two on one day need two ids in one
    cluster, or count once.

    Returns one row per group and day, measure "mean_cumulative_count": estimate (events per unit), conf_low, conf_high
    (log scale unless conf_type="plain"), std_error, n_risk, n_events counted by that day, n_patients, n_units, note.
    After the last day of follow-up there is no estimate unless nobody was left alive.
    Raises EstimationError for rows after a terminal event, causes both counted and terminal, and a group that changes
    within an id.

    >>> rows = pd.DataFrame({"id": [1, 1, 2, 3], "entry": [0, 2, 0, 0], "exit": [2, 6, 3, 6], "cause": [1, 1, 2, 0]})
    >>> options = {"exit": "exit", "cause": "cause", "entry": "entry", "id": "id", "at": [2, 6]}
    >>> mean_cumulative_count(rows, **options).frame["estimate"].round(4).tolist()  # 1/3, then 2/3 alive x 1/2
    [0.3333, 0.6667]
    """
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
    what = counted_and_terminal(causes(rows, cause), of, terminal)
    refuse_unknown_correction(small_sample)
    refuse_rows_after_death(base, what)
    labels, group = groups_of(rows, base, by, id is not None)
    parts = []
    for label, found in zip(labels, curves_of(base, what, group, len(labels), 2, weight_kind), strict=True):
        counted = found.histories.cause == COUNTED
        times = np.unique(found.histories.exit[counted]) if at is None else days(at)
        parts.append(
            one_curve(
                found,
                counted,
                times,
                mean_count(found, times),
                influence_errors(found, count_derivatives(found, times), weight_kind),
                said=stop_notes(found, share_alive(found), times),
                beyond=uncounted(found, times),
                common={"stratum": label, "outcome": outcome, "measure": "mean_cumulative_count"},
                conf_type=conf_type,
                weight_kind=weight_kind,
                confidence=confidence,
                clustered=True,
                small_sample=small_sample,
                repeated=True,
            )
        )
    settings = {
        "method": "mean cumulative count (Ghosh-Lin)",
        "of": of,
        "terminal": terminal,
        "variance": "infinitesimal jackknife, summed over clusters",
        "conf_type": conf_type,
        "confidence": confidence,
        "weights": weight_kind,
        "by": by,
    }
    return report.curve_estimates(stacked(parts), settings)


def counted_and_terminal(what: IntArray, of: int | Sequence[int], terminal: int | Sequence[int] | None) -> IntArray:
    """Causes (n,) as 0 neither, 1 counted, 2 terminal.

    >>> counted_and_terminal(np.array([0, 1, 2, 3]), (1, 3), 2).tolist()
    [0, 1, 2, 1]
    """
    counted, ending = np.atleast_1d(of), np.atleast_1d([] if terminal is None else terminal)
    both = np.intersect1d(counted, ending)
    if len(both) or (counted == 0).any() or (ending == 0).any():
        raise EstimationError(
            f"of ({of}) and terminal ({terminal}) must be different causes, and none of them 0, which is no event."
        )
    return np.where(np.isin(what, counted), COUNTED, np.where(np.isin(what, ending), TERMINAL, 0)).astype(np.int64)


def refuse_rows_after_death(base: Rows, what: IntArray) -> None:
    """Refuse ids that are at risk after their terminal event."""
    died = what == TERMINAL
    end = np.full(int(base.id.max(initial=-1)) + 1, np.inf)
    np.minimum.at(end, base.id[died], base.exit[died])
    risen = base.exit > end[base.id]
    if risen.any():
        raise EstimationError(
            f"{len(np.unique(base.id[risen]))} ids have rows after their terminal event ({int(risen.sum())} rows); "
            "end their follow-up there, or say which cause is terminal."
        )


def share_alive(found: Curves) -> FloatArray:
    """(K + 1,) Kaplan-Meier of the terminal event."""
    return np.append(1.0, np.cumprod(1.0 - found.hazard[:, TERMINAL - 1]))


def _mean(found: Curves) -> FloatArray:
    return np.append(0.0, np.cumsum(share_alive(found)[:-1] * found.hazard[:, COUNTED - 1]))


def mean_count(found: Curves, times: FloatArray) -> FloatArray:
    """(T,) expected number of events by each of `times`."""
    result: FloatArray = _mean(found)[found.step(times)]
    return result


def count_derivatives(found: Curves, times: FloatArray) -> Iterator[Derivative]:
    """How weights move the mean count by each of `times`: through events, and through who is alive to have them."""
    alive, mean = share_alive(found), _mean(found)
    rest = 1.0 - found.hazard[:, TERMINAL - 1]
    with np.errstate(divide="ignore"):
        per_rest = np.where(rest > 0, 1.0 / rest, 0.0)  # once nobody is alive nothing moves any more
    for step in found.step(times):
        passed = np.arange(len(rest)) < step
        by_hazard = np.zeros((len(rest), 2))
        by_hazard[:, COUNTED - 1] = alive[:-1] * passed
        by_hazard[:, TERMINAL - 1] = -(mean[step] - mean[1:]) * per_rest * passed
        yield through_hazards(found, by_hazard)


def uncounted(found: Curves, times: FloatArray) -> BoolArray:
    """(T,): after the last day of follow-up, with some still alive."""
    result: BoolArray = (times > found.histories.exit.max(initial=-np.inf)) & (share_alive(found)[-1] > 0)
    return result
