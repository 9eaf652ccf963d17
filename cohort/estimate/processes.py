"""Rows of a process of several states, read and checked: on each row one state, and the state entered at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.curves import groups_of
from cohort.estimate.design import Rows, column, distinct, first_and_last, rows_of
from cohort.estimate.kernel import WeightKind
from cohort.estimate.occupation import STAYS, Occupation, Stays, occupation

Initial = str | Mapping[str, float] | None


@dataclass(frozen=True)
class Group:
    """One group and its shares; unit, first (the unit's first row) and counts (what each row counts for) are (n,)."""

    label: str
    names: tuple[str, ...]
    found: Occupation
    unit: IntArray
    first: BoolArray
    counts: FloatArray

    @property
    def stays(self) -> Stays:
        """Its rows."""
        return self.found.stays

    @property
    def n_clusters(self) -> int:
        """Patients, where the rows are clustered by patient."""
        return distinct(self.stays.cluster)

    @property
    def last(self) -> float:
        """The last day of follow-up."""
        return float(self.stays.exit.max(initial=-np.inf))

    def beyond(self, times: FloatArray) -> BoolArray:
        """Days after the last of follow-up while somebody is left in a state that is ever followed."""
        followed = np.bincount(self.stays.state, minlength=len(self.names)) > 0
        somebody = not followed.any() or bool((self.found.share[-1][followed] > 0).any())
        return (times > self.last) & somebody


@dataclass(frozen=True)
class Process:
    """Rows as arrays, all (n,): state and to are codes in `names`, to is STAYS where no state is entered."""

    base: Rows
    state: IntArray
    to: IntArray
    names: tuple[str, ...]
    group: IntArray
    labels: list[str]

    @classmethod
    def read(
        cls,
        rows: pd.DataFrame,
        *,
        exit: str,
        state_from: str,
        state_to: str,
        states: Sequence[str] | None = None,
        entry: str | None = None,
        weight: str | None = None,
        id: str | None = None,
        cluster: str | None = None,
        by: str | None = None,
        weight_kind: WeightKind = "probability",
    ) -> Process:
        """The named columns of a frame.

        Raises EstimationError for missing and unknown states, and for a unit found in another state than it moved to.
        """
        base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, weight_kind=weight_kind)
        left, entered = column(rows, state_from, "the state"), column(rows, state_to, "the state entered")
        if left.isna().any():
            raise EstimationError(
                f"Column '{state_from}' (the state) is missing in {int(left.isna().sum())} rows; leave these rows out "
                "first, and count them."
            )
        if states is None and isinstance(left.dtype, pd.CategoricalDtype):
            states = list(left.cat.categories)
        if states is None:
            states = sorted({*left.astype(str), *entered.dropna().astype(str)})
        names = tuple(str(name) for name in states)
        if len(set(names)) < len(names):
            raise EstimationError(f"A state is named twice: {', '.join(names)}.")
        state, to = _codes(left, names, state_from), _codes(entered, names, state_to)
        if id is not None:
            _refuse_jumps(base, state, to, id)
        labels, group = groups_of(rows, base, by, id is not None)
        return cls(base, state, to, names, group, labels)

    def groups(self, initial: Initial, weight_kind: WeightKind) -> Iterator[Group]:
        """The shares of every group in turn; `initial` as in `state_probabilities`."""
        base, start = self.base, _start(initial, self.names)
        for code, label in enumerate(self.labels):
            mine = np.flatnonzero((self.group == code) & (base.weight > 0))
            state, to, unit, weight = self.state[mine], self.to[mine], base.id[mine], base.weight[mine]
            # Into the same state again is no move.
            to = np.where(to == state, STAYS, to)
            stays = Stays(base.entry[mine], base.exit[mine], state, to, weight, base.cluster[mine])
            opening = first_and_last(unit, stays.entry, stays.exit)[0]
            first = np.zeros(len(mine), dtype=bool)
            first[opening] = True
            counts = weight if weight_kind == "frequency" else np.ones(len(mine))
            yield Group(label, self.names, occupation(stays, len(self.names), opening, start), unit, first, counts)


def _codes(values: pd.Series, names: tuple[str, ...], name: str) -> IntArray:
    """Code of every state, STAYS where it is missing."""
    known = values.notna().to_numpy(dtype=bool)
    found, distinct_values = pd.factorize(values)
    codes = pd.Index(names).get_indexer(pd.Index([str(value) for value in distinct_values], dtype=object))
    odd = [str(value) for value, code in zip(distinct_values, codes, strict=True) if code < 0]
    if odd:
        raise EstimationError(f"Column '{name}' holds '{odd[0]}', which is none of the states {', '.join(names)}.")
    result: IntArray = np.where(known, np.append(codes, STAYS)[found], STAYS).astype(np.int64)
    return result


def _refuse_jumps(base: Rows, state: IntArray, to: IntArray, name: str) -> None:
    """Rows of one unit that touch must agree on the state between them; after a gap it may be any."""
    order = np.lexsort((base.exit, base.entry, base.id))
    one, two = order[:-1], order[1:]
    touch = (base.id[one] == base.id[two]) & (base.exit[one] == base.entry[two])
    jumps = touch & (np.where(to[one] == STAYS, state[one], to[one]) != state[two])
    if jumps.any():
        raise EstimationError(
            f"{int(jumps.sum())} rows begin in another state than the row of the same '{name}' ahead of them ended in; "
            "correct the state of these rows, or the state entered in those ahead."
        )


def _start(initial: Initial, names: tuple[str, ...]) -> FloatArray | None:
    """Shares at the start where they are given, (S,)."""
    if initial is None:
        return None
    given = {initial: 1.0} if isinstance(initial, str) else dict(initial)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise EstimationError(f"`initial` names '{unknown[0]}', which is none of the states {', '.join(names)}.")
    start = np.array([float(given.get(name, 0.0)) for name in names])
    if not (start >= 0).all() or abs(start.sum() - 1.0) > 1e-9:
        raise EstimationError(f"The shares of `initial` must be 0 or more and add to 1; they add to {start.sum():g}.")
    return start
