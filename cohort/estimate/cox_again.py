"""The same Cox model fitted again and again, one 0/1 covariate told anew each time: what stays is read once.

Rows that a model cannot tell apart are one row. The rows of an id that touch are joined while its covariates stay as
they are, and rows of a cluster with the same times and covariates, without an event, become one with their number as
its weight: sums over risk sets and over clusters are the same, so that estimates and robust errors are those of `cox`.
Vertebrae of a patient are at risk on the same days: of twenty rows two are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.cox import complete_rows, hazard_estimates, taken
from cohort.estimate.design import Design, Rows, design, kinds, rows_of
from cohort.tables.results import Estimates


@dataclass(frozen=True)
class CoxAgain:
    """A Cox model of n rows, ready to be fitted.

    told : the column told anew, and `place`, where it stands among the covariates. piece : (n,) the joined row of each
    row; pattern : (m,) the kind of each joined row, which `rows`, `x` and `event` hold once (k,); weight : (m,).
    """

    plan: Design
    told: str
    place: int
    piece: IntArray
    pattern: IntArray
    weight: FloatArray
    rows: Rows
    x: FloatArray
    event: BoolArray
    n_units: int
    confidence: float

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        covariates: Sequence[str],
        told: str,
        *,
        exit: str,
        event: str,
        id: str,
        cluster: str,
        entry: str | None = None,
        of: int | None = None,
        confidence: float = 0.95,
    ) -> CoxAgain:
        """Read rows as `cox` does; told : one of the covariates, 0/1 and fixed in each id.

        Raises EstimationError as `cox`, and for a missing covariate or one that is told but not named.
        """
        if told not in covariates:
            raise EstimationError(f"'{told}' is not among the covariates ({', '.join(covariates)}) of the model.")
        plan = design(rows, covariates)
        if not plan.complete.all():
            missing = int((~plan.complete).sum())
            raise EstimationError(f"{missing} rows lack a covariate, and cannot be told again; leave them out first.")
        base = rows_of(rows, exit_=exit, entry=entry, weight=None, id_=id, cluster=cluster)
        x, happened, base = complete_rows(rows, plan, base, event, of)
        place = plan.terms.index(told)
        others = np.delete(x, place, axis=1)
        order = np.lexsort((base.entry, base.id))
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(base.id[order]) != 0) | (base.entry[order][1:] != base.exit[order][:-1])
        new[1:] |= happened[order][:-1] | (np.diff(others[order], axis=0) != 0).any(axis=1)
        piece = np.empty(len(order), dtype=np.int64)
        piece[order] = np.cumsum(new) - 1
        first, last = order[new], order[np.append(new[1:], True)[: len(order)]]
        had = happened[last]
        # An event stays a row of its own: among ties each counts once.
        number = np.where(had, np.arange(1, len(had) + 1), 0)
        kept, pattern = kinds([base.cluster[first], base.entry[first], base.exit[last], number, *others[first].T])
        joined = taken(base, first[kept])
        joined = Rows(
            joined.entry, base.exit[last[kept]], joined.weight, joined.id, joined.cluster, joined.stratum, True
        )
        return cls(
            plan, told, place, piece, pattern, base.weight[first], joined, x[first[kept]], had[kept], base.n_units,
            confidence,
        )  # fmt: skip

    def fit(self, frame: pd.DataFrame) -> Estimates:
        """The estimates of `cox`, of the rows with the column told as in this frame (its rows in the same order).

        >>> days = pd.DataFrame({"v": [1, 2, 3, 4], "p": [1, 1, 2, 3], "days": [9, 9, 5, 7], "event": [0, 0, 1, 1]})
        >>> days["leak"] = [0.0, 0.0, 1.0, 0.0]
        >>> again = CoxAgain.of(days, ["leak"], "leak", exit="days", event="event", id="v", cluster="p")
        >>> len(again.rows.exit), again.fit(days.assign(leak=[1.0, 0.0, 1.0, 0.0])).frame["n_units"].tolist()
        (3, [4])
        """
        values = frame[self.told].to_numpy(dtype=np.float64, na_value=np.nan)
        if len(values) != len(self.piece) or not np.isin(values, (0.0, 1.0)).all():
            raise EstimationError(
                f"'{self.told}' must be 0 or 1 in each of the {len(self.piece)} rows to be told again."
            )
        of_piece = np.empty(len(self.pattern))
        of_piece[self.piece] = values
        if (of_piece[self.piece] != values).any():
            raise EstimationError(f"'{self.told}' changes within an id, and cannot be told again.")
        kind = 2 * self.pattern + of_piece.astype(np.int64)
        weight = np.bincount(kind, self.weight, minlength=2 * len(self.x)).astype(np.float64)
        there = np.flatnonzero(weight)
        x = np.asfortranarray(self.x[there // 2])
        x[:, self.place] = there % 2
        rows = taken(self.rows, there // 2)
        return hazard_estimates(
            self.plan,
            x,
            self.event[there // 2],
            Rows(rows.entry, rows.exit, weight[there], rows.id, rows.cluster, rows.stratum, True),
            ties="efron",
            weight_kind="probability",
            robust=True,
            confidence=self.confidence,
            common={"outcome": "", "model": "", "measure": "hazard_ratio"},
            settings={"method": "Cox partial likelihood", "weights": "none", "strata": None},
            small_sample="auto",
            n_units=self.n_units,
        )
