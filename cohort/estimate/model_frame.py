"""A fitted model leaves as one row per term, and a term that has no estimate keeps its row and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate import report
from cohort.estimate.design import Design, distinct
from cohort.estimate.risk_sets import sum_by
from cohort.tables.results import Estimates

Counts = dict[str, Any]
ONE_CLUSTER = "rests on one cluster: no standard error between clusters"


@dataclass(frozen=True)
class Terms:
    """Coefficients (1 + p,), the intercept first, with what may be said of each; missing where there is none.

    coef : log ratios, infinite where unlimited; error, naive : standard errors, of the interval and model-based.
    kept : the term is in the fit; unlimited : it separates events from the rest; alone : it rests on one cluster.
    df : degrees of freedom of t, or None for normal limits.
    """

    coef: FloatArray
    error: FloatArray
    naive: FloatArray
    kept: BoolArray
    unlimited: BoolArray
    alone: BoolArray
    df: FloatArray | None = None

    @classmethod
    def nothing(cls, size: int) -> Terms:
        """No estimate of any of `size` terms."""
        missing, no = np.full(size, np.nan), np.zeros(size, dtype=bool)
        return cls(missing, missing, missing, ~no, no, no)


def term_rows(
    terms: Terms,
    plan: Design,
    x: FloatArray,
    events: FloatArray,
    *,
    measure: str,
    counts: Counts,
    confidence: float,
    settings: dict[str, Any],
    notes: list[str],
) -> Estimates:
    """The tidy frame; x (n, p) of the rows used, events (n,); notes hold for every term."""
    binary = np.isin(x, (0.0, 1.0)).all(axis=0)
    ratios = report.wald(terms.coef, terms.error, confidence, terms.df)
    said = []
    for j in range(len(terms.coef)):
        own: list[str] = []
        if not terms.kept[j]:
            constant = j > 0 and len(np.unique(x[:, j - 1])) <= 1
            own = ["the same for everyone: nothing to compare" if constant else "told by the covariates before it"]
        elif terms.unlimited[j]:
            own = ["separates events from the rest: no finite estimate"]
        elif terms.alone[j]:
            own = [ONE_CLUSTER]
        said.append("; ".join([*own, *report.beyond(ratios, j), *notes]))
    columns = {
        "term": ["intercept", *plan.terms],
        "measure": measure,
        **counts,
        **ratios,
        "naive_std_error": terms.naive,
        "variable": ["intercept", *plan.variables],
        "n_exposed_events": np.append(np.nan, np.where(binary, events @ x, np.nan)),
        "note": said,
    }
    return report.estimates(columns, {**settings, "confidence": confidence, **plan.settings})


def on_written_scale(centre: FloatArray, scale: FloatArray, kept: BoolArray) -> FloatArray:
    """The matrix (k, k) from coefficients of standardized covariates, intercept first, to those of the covariates.

    >>> on_written_scale(np.array([70.0]), np.array([10.0]), np.array([True, True])) @ np.array([1.0, 2.0])
    array([-13. ,   0.2])
    """
    q = len(centre) + 1
    back = np.zeros((q, q))
    back[0, 0] = 1.0
    back[0, 1:] = -centre / scale
    back[range(1, q), range(1, q)] = 1.0 / scale
    return back[np.ix_(kept, kept)]


def spread_out(values: FloatArray, where: BoolArray) -> FloatArray:
    """Values (k,) at the True places of `where` (q,), missing elsewhere."""
    result = np.full(len(where), np.nan)
    result[where] = values
    return result


def flags_of(values: BoolArray, where: BoolArray) -> BoolArray:
    """Values (k,) at the True places of `where` (q,), False elsewhere."""
    result = np.zeros(len(where), dtype=bool)
    result[where] = values
    return result


def left_out_in_turn(
    score: FloatArray, slope: FloatArray, cluster: IntArray, information: FloatArray, back: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Jackknife error to one step, and who rests on one cluster alone; both (k,), on the written scale.

    score : (G, k) of each cluster; slope : (n, k), whose cross product is the information (k, k); back : (k, k) to the
    written scale. The step of a cluster is its score over the information of the others, which is also its influence
    with the bias-corrected residuals of Mancl and DeRouen (2001, Biometrics 57:126). A coefficient is alone if without
    some cluster nothing is known of it.
    """
    k = len(information)
    part = sum_by(cluster, (slope[:, :, None] * slope[:, None, :]).reshape(len(slope), k * k), len(score))
    root = np.sqrt(np.diag(information))
    values, vectors = np.linalg.eigh((information - part.reshape(len(score), k, k)) / np.outer(root, root))
    held = values > 1e-9
    inverse = np.where(held, 1.0 / np.where(held, values, 1.0), 0.0)
    step = np.einsum("gij,gj,gkj,gk->gi", vectors, inverse, vectors, score / root) / root
    missing = np.abs(np.einsum("ij,gjl->gil", back / root, vectors)) * ~held[:, None, :]
    alone = missing.max(axis=(0, 2), initial=0.0) > 1e-6 * np.abs(back / root).max(axis=1)
    return np.sqrt(((step @ back.T) ** 2).sum(axis=0)), alone


def clusters_with_event(cluster: IntArray, events: FloatArray) -> int:
    """How many clusters have an event."""
    return distinct(cluster[events > 0])
