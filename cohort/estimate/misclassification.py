"""A film misses clefts and a report misses leaks: what the ratio would be if each had been told with known accuracy.

Matrix method (Greenland 1988, Stat Med 7:745; Lash, Fox and Fink 2009): in each group in which the error is made, the
recorded share q is se p + (1 - sp)(1 - p) of the true share p, so p = (q - (1 - sp)) / (se + sp - 1). A misclassified
exposure is corrected among those with and without the event, a misclassified outcome among exposed and unexposed.

Probabilistic: sensitivity and specificity are drawn, and patients drawn again with them, whole; a draw that would need
fewer than nobody in a cell is impossible, left out and counted. What is left is the part of the assumptions that these
data allow. Sampling error of the corrected ratio itself is the infinitesimal jackknife over clusters, accuracy fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.accuracy import Given
from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.bootstrap import percentiles
from cohort.estimate.curves import refuse_unknown_correction
from cohort.estimate.design import codes_of, design, distinct, numbers, refuse_uneven_frequencies, zero_one
from cohort.estimate.drawn_accuracy import CORRELATION, GROUPS, Misclassified, Pair, refuse_chance
from cohort.estimate.kernel import WeightKind
from cohort.estimate.report import CurveCorrection
from cohort.tables.results import Estimates

RatioMeasure = Literal["odds_ratio", "risk_ratio"]
WHAT = {"exposure": "exposed", "outcome": "with the event"}
CELLS = ("exposed_events", "exposed_free", "unexposed_events", "unexposed_free")
CHUNK = 2_000_000  # numbers drawn at once


@dataclass(frozen=True)
class Counted:
    """Clusters alike, counted: patterns (K, 4), what one of them adds to each cell of CELLS, and copies (K,) of it."""

    patterns: FloatArray
    copies: IntArray
    n_events: float
    n_with_event: float
    clustered: bool

    @property
    def cells(self) -> FloatArray:
        """(4,) the table as recorded."""
        result: FloatArray = self.copies @ self.patterns
        return result

    @property
    def n_clusters(self) -> int:
        """Patients, or rows where there is no cluster."""
        return int(self.copies.sum())

    def again(self, rng: np.random.Generator, draws: int) -> FloatArray:
        """(draws, 4) tables of as many clusters, drawn with replacement."""
        n, width = self.n_clusters, max(1, CHUNK // max(len(self.copies), 1))
        if not n:
            return np.zeros((draws, 4))
        parts = [
            rng.multinomial(n, self.copies / n, size=min(width, draws - start)) @ self.patterns
            for start in range(0, draws, width)
        ]
        return np.concatenate(parts)

    @classmethod
    def of(
        cls,
        table: pd.DataFrame | npt.ArrayLike,
        exposure: str | None,
        outcome: str | None,
        cluster: str | None,
        weight: str | None,
        weight_kind: WeightKind,
    ) -> tuple[Counted, dict[str, Any]]:
        """Count rows, or take counts as rows that are each their own cluster; and settings on what was left out."""
        if not isinstance(table, pd.DataFrame):
            counts = np.asarray(table, dtype=np.float64)
            if counts.shape != (2, 2) or not np.isfinite(counts).all() or (counts < 0).any():
                raise EstimationError("A table is [[exposed with event, without], [unexposed with event, without]].")
            if (counts != np.rint(counts)).any():
                raise EstimationError("The cells of a table must be whole numbers; give weighted rows as rows.")
            copies = counts.ravel().astype(np.int64)
            n_events = float(counts[:, 0].sum())
            there = np.flatnonzero(copies)[::-1]  # in the order of the rows of such a table, so that draws agree
            return cls(np.eye(4)[there], copies[there], n_events, n_events, False), {"rows_left_out": 0}
        if exposure is None or outcome is None:
            raise EstimationError("Name the columns: exposure= and outcome=, each 0 or 1.")
        plan = design(table, [exposure, outcome])
        used = table[plan.complete]
        exposed, event = zero_one(used, exposure, "the exposure"), zero_one(used, outcome, "the outcome")
        w = np.ones(len(used)) if weight is None else numbers(used, weight, "the weight")
        if (w < 0).any() or (weight_kind == "frequency" and (w != np.rint(w)).any()):
            raise EstimationError(
                f"Column '{weight}' holds weights below zero, or frequencies that are no whole numbers."
            )
        named = codes_of(used, cluster, "the cluster")
        whose = np.arange(len(used)) if named is None else np.unique(named, return_inverse=True)[1].astype(np.int64)
        refuse_uneven_frequencies(w, whose, weight_kind)
        size = int(whose.max(initial=-1)) + 1
        many = np.ones(size)
        if weight_kind == "frequency":
            many[whose], w = w, np.ones(len(w))
        cell = np.where(exposed, 0, 2) + np.where(event, 0, 1)
        own = np.bincount(whose * 4 + cell, w, minlength=4 * size).astype(np.float64).reshape(size, 4)
        patterns, place = np.unique(own, axis=0, return_inverse=True)
        copies = np.bincount(place.ravel(), many, minlength=len(patterns)).astype(np.int64)
        had = np.bincount(whose, event, minlength=size) > 0
        events = float(event.sum() if weight_kind == "probability" else many[whose][event].sum())
        clustered = named is not None and distinct(named) < len(used)
        return cls(patterns, copies, events, float(many[had].sum()), clustered), plan.settings


def corrected_ratio(
    table: pd.DataFrame | npt.ArrayLike,
    *,
    sensitivity: Given | tuple[Given, Given],
    specificity: Given | tuple[Given, Given],
    misclassified: Misclassified = "exposure",
    exposure: str | None = None,
    outcome: str | None = None,
    measure: RatioMeasure = "odds_ratio",
    draws: int = 0,
    seed: int = 1,
    correlation: float = CORRELATION,
    cluster: str | None = None,
    weight: str | None = None,
    weight_kind: WeightKind = "probability",
    small_sample: CurveCorrection = "auto",
    confidence: float = 0.95,
    model: str = "",
) -> Estimates:
    """A ratio as recorded and as it would be with `misclassified` told without error.

    table : rows with 0/1 columns `exposure` and `outcome` (missing ones are left out and counted), or the counts
        [[exposed with event, exposed without], [unexposed with, unexposed without]].
    sensitivity, specificity : a number, Beta or Trapezoid (`domain.accuracy` holds those that were read); or two of
        them, for events and non-events (a misclassified exposure) or for exposed and unexposed (outcome): differential.
    draws : 0 corrects with the numbers, or medians, alone; from 100 on the accuracies are drawn from their
        distributions. correlation : of the normal scores of the two groups, where differential.
    cluster : the patient, for errors and draws; default each row. weight, weight_kind : as in `cox`.
    small_sample : "auto" takes limits of the first two rows from t where a cluster holds several rows, with clusters
        that have the event, less one, as degrees of freedom (column `df`); "none": normal.

    Returns rows `correction` "as recorded", "corrected" (both with sampling error alone) and, with draws, "accuracy
    drawn" (median and percentiles over accuracies) and "accuracy and patients drawn": estimate, conf_low, conf_high,
    coef, std_error (of coef; of draws their standard deviation), the table behind it (`exposed_events`, ...),
    n_draws (that were possible), n_impossible, note.
    A table that the accuracies cannot have given, or with an empty cell, keeps its rows, and the note says why.
    Raises EstimationError for accuracies no better than chance, and for a table that holds no counts.

    >>> smoking = [[215, 668], [1449, 4296]]  # and breast cancer: Fink and Lash 2003, as in Lash, Fox and Fink
    >>> corrected_ratio(smoking, sensitivity=0.78, specificity=0.99).frame["estimate"].round(4).tolist()
    [0.9542, 0.9491]
    """
    if misclassified not in GROUPS:
        raise EstimationError(f"misclassified must be exposure or outcome, and is {misclassified!r}.")
    if measure not in ("odds_ratio", "risk_ratio"):
        raise EstimationError(f"measure must be odds_ratio or risk_ratio, and is {measure!r}.")
    if draws and draws < 100:
        raise EstimationError(f"{draws} draws give no percentiles; draw at least 100 times.")
    if not -1.0 <= correlation <= 1.0:
        raise EstimationError(f"A correlation lies between -1 and 1; this is {correlation}.")
    se, sp = Pair.of(sensitivity, "sensitivity"), Pair.of(specificity, "specificity")
    refuse_chance(se.median[0], sp.median[0], misclassified)
    refuse_unknown_correction(small_sample)
    counted, settings = Counted.of(table, exposure, outcome, cluster, weight, weight_kind)

    one = np.ones((1, 2))
    df = counted.n_with_event - 1.0 if counted.clustered and small_sample == "auto" else None
    rows = [
        _simple(counted, one, one, misclassified, measure, confidence, df) | {"correction": "as recorded"},
        _simple(counted, se.median, sp.median, misclassified, measure, confidence, df) | {"correction": "corrected"},
    ]
    if draws:
        rng = np.random.default_rng(seed)
        drawn = se.draw(rng, draws, correlation), sp.draw(rng, draws, correlation)
        same = np.broadcast_to(counted.cells, (draws, 4))
        again = counted.again(rng, draws)
        for name, cells in (("accuracy drawn", same), ("accuracy and patients drawn", again)):
            rows.append(_drawn(cells, *drawn, misclassified, measure, confidence) | {"correction": name})
    shared = report.robust_notes(counted.n_events, counted.n_clusters, counted.n_with_event, counted.clustered)
    notes = ["; ".join(filter(None, [row["note"], *shared])) for row in rows]
    given = ["correction", "estimate", "conf_low", "conf_high", "coef", "std_error", *([] if df is None else ["df"])]
    given += ["n_draws", "n_impossible"] if draws else []
    columns: dict[str, Any] = {
        "outcome": outcome or "",
        "model": model,
        "term": exposure or "exposure",
        "measure": measure,
        "n_patients": counted.n_clusters,
        "n_events": counted.n_events,
        **{name: [row.get(name, np.nan) for row in rows] for name in (*given, *CELLS)},
        "note": notes,
    }
    settings |= {
        "method": "matrix method of sensitivity and specificity",
        "variance": "infinitesimal jackknife over clusters, accuracy as given; of draws, their spread",
        "misclassified": misclassified,
        "groups": GROUPS[misclassified],
        "sensitivity": se.written,
        "specificity": sp.written,
        "correlation": correlation if se.differential or sp.differential else None,
        "draws": draws,
        "seed": seed if draws else None,
        "confidence": confidence,
    }
    return report.estimates(columns, settings)


def corrected_cells(
    cells: FloatArray, se: FloatArray, sp: FloatArray, misclassified: Misclassified
) -> tuple[FloatArray, FloatArray]:
    """True tables behind recorded ones, each (n, 4) in the order of CELLS; se, sp (n, 2) of the two groups.

    A cell below zero is impossible: no true table gives the recorded one with that accuracy. The second array
    (n, 4, 4) holds the derivative of each true cell by each recorded one.

    >>> corrected_cells(np.array([[50.0, 30.0, 50.0, 170.0]]), np.full((1, 2), 0.8), np.ones((1, 2)), "exposure")[0]
    array([[ 62.5,  37.5,  37.5, 162.5]])
    """
    youden = se + sp - 1.0
    slopes = np.zeros((len(cells), 4, 4))
    for group, (yes, no) in enumerate(_groups(misclassified)):
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes[:, yes, yes] = sp[:, group] / youden[:, group]
            slopes[:, yes, no] = -(1.0 - sp[:, group]) / youden[:, group]
            slopes[:, no, yes] = -(1.0 - se[:, group]) / youden[:, group]
            slopes[:, no, no] = se[:, group] / youden[:, group]
    return np.einsum("nij,nj->ni", slopes, cells), slopes


def _groups(misclassified: Misclassified) -> tuple[tuple[int, int], tuple[int, int]]:
    """Cells recorded as having what is misclassified and as not, in each of the two groups."""
    return ((0, 2), (1, 3)) if misclassified == "exposure" else ((0, 1), (2, 3))


def possible(cells: FloatArray, se: FloatArray, sp: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether no corrected cell (n, 4) is below zero, and both accuracies (n, 2) are better than chance."""
    total = np.abs(cells).sum(axis=1, keepdims=True)
    result: npt.NDArray[np.bool_] = (cells >= -1e-9 * total).all(axis=1) & (se + sp > 1.0).all(axis=1)
    return result


def log_ratio(cells: FloatArray, measure: RatioMeasure) -> tuple[FloatArray, FloatArray]:
    """Log ratios of tables (n, 4), and their derivative by each cell (n, 4).

    >>> log_ratio(np.array([[2.0, 8.0, 1.0, 9.0]]), "risk_ratio")[0].round(4).tolist()
    [0.6931]
    """
    sign = np.array([1.0, -1.0, -1.0, 1.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "odds_ratio":
            return (np.log(cells) * sign).sum(axis=1), sign / cells
        exposed, unexposed = cells[:, 0] + cells[:, 1], cells[:, 2] + cells[:, 3]
        value = np.log(cells[:, 0] / exposed) - np.log(cells[:, 2] / unexposed)
        by_event = 1.0 / cells[:, 0] - 1.0 / exposed, 1.0 / unexposed - 1.0 / cells[:, 2]
        return value, np.column_stack([by_event[0], -1.0 / exposed, by_event[1], 1.0 / unexposed])


def _simple(
    counted: Counted,
    se: FloatArray,
    sp: FloatArray,
    misclassified: Misclassified,
    measure: RatioMeasure,
    confidence: float,
    df: float | None,
) -> dict[str, Any]:
    """The ratio with accuracies (1, 2) as given, and the sampling error of the patients; df : of t, or None."""
    recorded = counted.cells
    cells, slopes = corrected_cells(recorded[None], se, sp, misclassified)
    if not possible(cells, se, sp)[0]:
        said = _why_impossible(recorded, cells[0], se[0], sp[0], misclassified)
        return {**dict(zip(CELLS, cells[0], strict=True)), "note": said}
    cells = np.maximum(cells, 0.0)
    coef, slope = log_ratio(cells, measure)
    with np.errstate(invalid="ignore"):
        moved = counted.patterns @ (slope @ slopes[0]).ravel()
        error = np.sqrt(counted.copies @ moved**2) if counted.n_clusters > 1 else np.nan
    ratio = report.wald(coef, np.atleast_1d(error), confidence, None if df is None else np.array([df]))
    names = [name for name in ("estimate", "conf_low", "conf_high", "coef", "std_error", "df") if name in ratio]
    empty = [name for name, count in zip(CELLS, cells[0], strict=True) if count == 0]
    said = f"nobody in {', '.join(empty)}: no interval" if empty else ""
    return {**{name: float(ratio[name][0]) for name in names}, **dict(zip(CELLS, cells[0], strict=True)), "note": said}


def _why_impossible(
    recorded: FloatArray, cells: FloatArray, se: FloatArray, sp: FloatArray, misclassified: Misclassified
) -> str:
    said = []
    for group, (yes, no) in enumerate(_groups(misclassified)):
        if min(cells[yes], cells[no]) < 0:
            share = recorded[yes] / (recorded[yes] + recorded[no])
            said.append(
                f"impossible: {share:.1%} of {GROUPS[misclassified][group]} are recorded as {WHAT[misclassified]}, and "
                f"that accuracy records between {1 - sp[group]:.1%} and {se[group]:.1%}"
            )
    return "; ".join(said)


def _drawn(
    recorded: FloatArray,
    se: FloatArray,
    sp: FloatArray,
    misclassified: Misclassified,
    measure: RatioMeasure,
    confidence: float,
) -> dict[str, Any]:
    """Median and percentiles of the ratio over draws: recorded (n, 4), accuracies (n, 2)."""
    cells = corrected_cells(recorded, se, sp, misclassified)[0]
    fine = possible(cells, se, sp)
    coef = log_ratio(np.maximum(cells[fine], 0.0), measure)[0]
    coef = coef[~np.isnan(coef)]
    n_impossible = len(fine) - len(coef)
    said = impossible_words(n_impossible, len(fine))
    if len(coef) < 100:
        return {"n_draws": len(coef), "n_impossible": n_impossible, "note": said or "too few draws"}
    tail = (1.0 - confidence) / 2.0
    low, middle, high = percentiles(coef, np.array([tail, 0.5, 1.0 - tail]))
    if np.isinf(high) or np.isinf(low):
        said = "; ".join(filter(None, [said, "so many draws have an empty cell that a limit is 0 or infinite"]))
    finite = coef[np.isfinite(coef)]
    with np.errstate(over="ignore"):
        return {
            "estimate": float(np.exp(middle)),
            "conf_low": float(np.exp(low)),
            "conf_high": float(np.exp(high)),
            "coef": float(middle),
            "std_error": float(finite.std(ddof=1)) if len(finite) > 1 else np.nan,
            "n_draws": len(coef),
            "n_impossible": n_impossible,
            "note": said,
        }


def impossible_words(n_impossible: int, draws: int) -> str:
    """What must be read beside draws of which some gave less than nobody."""
    if n_impossible == draws:
        return "impossible in every draw: these data and that accuracy contradict each other"
    if n_impossible:
        return (
            f"impossible in {n_impossible} of {draws} draws, which are left out: the interval is that of the "
            "accuracies that these data allow"
        )
    return ""
