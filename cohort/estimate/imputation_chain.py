"""One chain: column after column is drawn anew from all others, round after round, until a completed data set is taken.

A column's regression is fitted to the records where it is known, with the outcome, the complete columns and the others
as they are completed at the moment, and with what the patient's other records have of each (`imputation_peers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.imputation_models import Drawn, NumberModel, Scale, draw_category, draw_number
from cohort.estimate.imputation_peers import Columns, KnownPeers, peers, shrinkage, shrinkages, turns_of
from cohort.estimate.imputation_records import GRAINS, ROW, Grains, Variable

FEW_KNOWN = 10  # known records per coefficient of an imputation model below which it is said
Trace = tuple[int, str, float, float]


@dataclass(frozen=True)
class Target:
    """A column to draw.

    fitted_to, weight : known records and their weights in the fit; missing : records to draw, and `turns` the places
    among them that are drawn at once, none with another of the same patient. peers : what is known of the patient's
    other records, None where there are no others. shrink : as `peers`, of each coded column. shift : as `delta`.
    """

    of: Variable
    fitted_to: IntArray
    weight: FloatArray
    missing: IntArray
    turns: tuple[IntArray, ...]
    peers: KnownPeers | None
    shrink: tuple[float, ...]
    shift: float

    @classmethod
    def from_variable(cls, one: Variable, grains: Grains, weight: FloatArray, shift: float) -> Target:
        """weight : of the rows (n,)."""
        of_record = grains.carried(weight, ROW, one.grain)
        fitted_to = np.flatnonzero(one.known & (of_record > 0))
        w = of_record[fitted_to]
        square = float(w @ w)
        # Weights sum to the number of records that would tell as much alike (Kish), so that draws vary as they should.
        w = w * (w.sum() / square) if square > 0 else w
        missing = np.flatnonzero(~one.known)
        turns = turns_of(grains.patient_of(one.grain)[missing])
        beside = KnownPeers.of(one, grains) if grains.several(one.grain) else None
        return cls(one, fitted_to, w, missing, turns, beside, shrinkages(one, grains), shift)


@dataclass(frozen=True)
class Standing:
    """The predictors of a column that no chain changes, standardized by its known records.

    known : (f, n) of known records; missing : (f, r) of those to draw; peers : (c, n), what the patient's other known
    records predict, with its scale, and spread (n,) as in `draw_number`; c is 0 where there are no others.
    """

    known: FloatArray
    missing: FloatArray
    peers: FloatArray
    scale: Scale
    spread: FloatArray | None

    @classmethod
    def of(cls, one: Target, fixed: Columns) -> Standing:
        """fixed : predictors (R,) of all records, the intercept first."""
        scale, known = Scale.standardized([column[one.fitted_to] for column in fixed])
        missing = scale.apply([column[one.missing] for column in fixed])
        beside, spread = np.zeros((len(one.fitted_to), 0)), None
        if one.peers is not None:
            beside, spread = one.peers.beside(one.of, one.fitted_to)
        of_peers, peers = Scale.standardized(beside.T, intercept=0)
        return cls(known.T, missing.T, peers.T, of_peers, spread)


@dataclass(frozen=True)
class Plan:
    """What all chains share.

    targets : in the order they are visited, the one with fewest missing records first; standing : of each of them.
    fixed : by grain, the predictors that never change (intercept, outcome, complete columns), each of one value per
    record.
    """

    grains: Grains
    targets: tuple[Target, ...]
    standing: tuple[Standing, ...]
    fixed: Mapping[int, Columns]
    iterations: int
    numeric: NumberModel

    @classmethod
    def of(
        cls,
        grains: Grains,
        incomplete: Sequence[Variable],
        complete: Sequence[Variable],
        outcome: Columns,
        weight: FloatArray,
        shift: Mapping[str, float],
        iterations: int,
        numeric: NumberModel,
    ) -> Plan:
        """outcome : columns of the rows (n,); weight : (n,); shift : of columns to draw, as `impute`'s delta."""
        targets = [Target.from_variable(one, grains, weight, shift.get(one.name, 0.0)) for one in incomplete]
        targets.sort(key=lambda one: len(one.missing))
        fixed = {}
        for grain in sorted({one.grain for one in incomplete}):
            told = [grains.summed(column, grain) for column in outcome]
            shrink = [shrinkage(column, grains.patient_of(grain)) for column in told]
            parts = [np.ones(grains.size(grain)), *told, *peers(told, shrink, grains, grain)]
            for one in complete:
                parts += _blocks(one, one.values, shrinkages(one, grains), grains, grain)
            fixed[grain] = [part for k, part in enumerate(parts) if k == 0 or np.ptp(part) > 0]
        standing = tuple(Standing.of(one, fixed[one.of.grain]) for one in targets)
        return cls(grains, tuple(targets), standing, fixed, iterations, numeric)

    def small(self) -> list[str]:
        """Words for columns known for few records; refuses those known for fewer than there are coefficients."""
        notes = []
        for one in self.targets:
            grain, known = one.of.grain, len(one.fitted_to)
            p = len(self.fixed[grain]) + sum(self._width(other, grain, one) for other in self.targets)
            words = f"'{one.of.name}' is known for {known} {GRAINS[grain]}s; its imputation model has {p} coefficients"
            if known <= p:
                raise EstimationError(f"{words}: too few to fit it. Name fewer columns and predictors.")
            least = known
            if one.of.labels:
                least = int(np.bincount(one.of.values[one.fitted_to].astype(np.int64)).min())
                words = f"{words}, its smallest category {least} records"
            if least < FEW_KNOWN * p:
                notes.append(words)
        return notes

    def _width(self, other: Target, grain: int, of: Target) -> int:
        """How many predictors a target gives the records of a grain."""
        alike = other.of.grain == grain and self.grains.several(grain)
        return max(len(other.of.labels) - 1, 1) * ((other is not of) + alike)

    def blocks(self, one: Target, values: FloatArray) -> dict[int, Columns]:
        """A target, as completed, as predictors of the records of each grain that is drawn."""
        return {grain: _blocks(one.of, values, one.shrink, self.grains, grain) for grain in self.fixed}


def run(plan: Plan, rng: np.random.Generator) -> tuple[dict[str, FloatArray], list[Trace]]:
    """What was drawn last for each target's missing records, and (iteration, column, mean, sd) of all that was."""
    values = {one.of.name: _start(one, rng) for one in plan.targets}
    blocks = {one.of.name: plan.blocks(one, values[one.of.name]) for one in plan.targets}
    fitted: dict[str, FloatArray] = {}
    traces: list[Trace] = []
    for iteration in range(plan.iterations):
        for one, standing in zip(plan.targets, plan.standing, strict=True):
            name, grain = one.of.name, one.of.grain
            moving = [column for other in plan.targets if other is not one for column in blocks[other.of.name][grain]]
            fitted[name] = _draw(one, standing, values[name], moving, fitted.get(name), plan.numeric, rng)
            blocks[name] = plan.blocks(one, values[name])
            drawn = values[name][one.missing]
            traces.append((iteration + 1, name, float(drawn.mean()), float(drawn.std())))
    return {one.of.name: values[one.of.name][one.missing] for one in plan.targets}, traces


def _start(one: Target, rng: np.random.Generator) -> FloatArray:
    values = one.of.values.copy()
    values[one.missing] = rng.choice(values[one.fitted_to], len(one.missing))
    return values


def _blocks(one: Variable, values: FloatArray, shrink: Sequence[float], grains: Grains, grain: int) -> Columns:
    """A complete variable as predictors of the records of a grain; at its own, with the patient's other records."""
    coded = one.coded(values)
    parts = [grains.carried(part, one.grain, grain) for part in coded]
    return parts + (peers(coded, shrink, grains, grain) if one.grain == grain else [])


def _draw(
    one: Target,
    standing: Standing,
    values: FloatArray,
    moving: Columns,
    start: FloatArray | None,
    numeric: NumberModel,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw the missing records into `values`; returns where the next fit may start.

    moving : the predictors that other draws change, of all records.
    """
    known, weight = values[one.fitted_to], one.weight
    scale, told = Scale.standardized(_at(moving, one.fitted_to), intercept=0)
    x = np.concatenate([standing.known, told.T, standing.peers]).T
    moved = 0.0
    if one.of.kind == "number":
        drawn = draw_number(x, known, weight, rng, numeric, standing.spread)
        moved = one.shift * float(known.std())
    else:
        drawn = draw_category(x, known.astype(np.int64), len(one.of.labels), weight, rng, start, one.shift)
    fixed = len(standing.known)
    of_fixed, of_moving, of_peers = np.split(drawn.coef, [fixed, fixed + len(moving)])
    linear = standing.missing.T @ of_fixed + scale.apply(_at(moving, one.missing)) @ of_moving
    if one.peers is None:
        values[one.missing] = drawn.value(linear, np.ones(1)) + moved
    else:
        _draw_in_turn(one, one.peers, values, linear, drawn, standing.scale, of_peers, moved)
    return drawn.fitted


def _at(columns: Columns, records: IntArray) -> FloatArray:
    """Columns at some records, one below the other."""
    return np.array([column.take(records) for column in columns]).reshape(len(columns), len(records))


def _draw_in_turn(
    one: Target,
    beside: KnownPeers,
    values: FloatArray,
    linear: FloatArray,
    drawn: Drawn,
    scale: Scale,
    coef: FloatArray,
    moved: float,
) -> None:
    """Records of a patient see those drawn before, as they were drawn: a shift is added to each once.

    scale, coef : of what the patient's other records predict.
    """
    total, count = beside.total.copy(), beside.count.copy()
    for turn in one.turns:
        record = one.missing[turn]
        whose = beside.patient[record]
        seen, spread = beside.read(total[whose], count[whose])
        new = drawn.value(linear[turn] + scale.apply(seen.T) @ coef, spread)
        total[whose] += np.column_stack(one.of.coded(new)) - beside.centre
        count[whose] += 1.0
        values[record] = new + moved
