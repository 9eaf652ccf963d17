"""Sensitivity and specificity as numbers or distributions, in the two groups in which an error may differ.

Drawn through one normal score per group: a pair that is not differential moves as one, a differential one by its
correlation (normal-to-anything, as Fox, MacLehose and Lash 2023, Int J Epidemiol 52:1624).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from cohort.domain.accuracy import Beta, Given, Trapezoid
from cohort.domain.clock import FloatArray
from cohort.domain.errors import EstimationError

Misclassified = Literal["exposure", "outcome"]
CORRELATION = 0.8  # of the accuracies in two groups, as in the example of Fox, MacLehose and Lash
GROUPS = {"exposure": ("those with the event", "those without the event"), "outcome": ("the exposed", "the unexposed")}


@dataclass(frozen=True)
class Pair:
    """An accuracy in the two groups in which the error is made; one that is not differential is the same in both."""

    first: Given
    second: Given
    differential: bool

    @classmethod
    def of(cls, given: Given | tuple[Given, Given], name: str) -> Pair:
        """Check what was given: numbers from 0 to 1 or distributions, one for both groups or two."""
        both = given if isinstance(given, tuple) else (given, given)
        if len(both) != 2:
            raise EstimationError(f"{name} is one number or distribution, or two of them: one for each group.")
        for one in both:
            _refuse_impossible(one, name)
        return cls(both[0], both[1], isinstance(given, tuple))

    def quantiles(self, u: FloatArray) -> FloatArray:
        """Values at levels (n, 2) of the two groups."""
        return np.column_stack([quantile_of(self.first, u[:, 0]), quantile_of(self.second, u[:, 1])])

    def draw(self, rng: np.random.Generator, n: int, correlation: float) -> FloatArray:
        """(n, 2); both groups move together by `correlation` of their normal scores, wholly if not differential."""
        z = rng.standard_normal((n, 2))
        r = correlation if self.differential else 1.0
        z[:, 1] = r * z[:, 0] + np.sqrt(1.0 - r * r) * z[:, 1]
        return self.quantiles(special.ndtr(z))

    @property
    def median(self) -> FloatArray:
        """(1, 2)."""
        return self.quantiles(np.full((1, 2), 0.5))

    @property
    def written(self) -> Any:
        """As it stands in the settings."""
        one, other = (given if isinstance(given, float | int) else repr(given) for given in (self.first, self.second))
        return (one, other) if self.differential else one


def quantile_of(given: Given, u: FloatArray) -> FloatArray:
    """Values of an accuracy at levels u (n,).

    >>> quantile_of(Trapezoid(0.0, 0.5, 0.5, 1.0), np.array([0.125, 0.5, 0.875])).tolist()
    [0.25, 0.5, 0.75]
    """
    if isinstance(given, Beta):
        return np.asarray(special.betaincinv(given.a, given.b, u))
    if not isinstance(given, Trapezoid):
        return np.full(len(u), float(given))
    if given.high == given.low:
        return np.full(len(u), given.low)
    rise, flat, fall = given.mode_low - given.low, given.mode_high - given.mode_low, given.high - given.mode_high
    height = 2.0 / (rise + 2.0 * flat + fall)
    rising = given.low + np.sqrt(2.0 * u * rise / height)
    falling = given.high - np.sqrt(2.0 * (1.0 - u) * fall / height)
    level = given.mode_low + (u - height * rise / 2.0) / height
    return np.where(u < height * rise / 2.0, rising, np.where(u > 1.0 - height * fall / 2.0, falling, level))


def _refuse_impossible(given: Given, name: str) -> None:
    if isinstance(given, Beta):
        if not (given.a > 0 and given.b > 0):
            raise EstimationError(f"{name}: Beta needs two numbers greater than zero, and has {given.a} and {given.b}.")
        return
    points = (
        (given.low, given.mode_low, given.mode_high, given.high) if isinstance(given, Trapezoid) else (float(given),)
    )
    if not all(0.0 <= point <= 1.0 for point in points) or list(points) != sorted(points):
        raise EstimationError(
            f"{name} must lie between 0 and 1, the points of a trapezoid in their order; it is {given}."
        )


def refuse_chance(se: FloatArray, sp: FloatArray, misclassified: Misclassified) -> None:
    """Refuse accuracies (2,) that tell nothing, or the contrary."""
    for group in np.flatnonzero(se + sp <= 1.0):
        raise EstimationError(
            f"Sensitivity {se[group]:g} and specificity {sp[group]:g} among {GROUPS[misclassified][group]} add to no "
            "more than 1: a record that says nothing cannot be corrected."
        )
