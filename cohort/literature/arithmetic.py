"""The arithmetic behind a published figure: its percentage and its Wilson interval, from numerator and denominator."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

Z_95: Final = 1.959963984540054  # normal quantile of a two-sided 95 % interval


def percent(numerator: ArrayLike, denominator: ArrayLike) -> FloatArray:
    """100 * numerator / denominator; NaN where either is missing or the denominator is 0. Shapes broadcast.

    >>> percent(14, 116).round(2).item()
    12.07
    """
    events, n = np.broadcast_arrays(np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64))
    result = np.full(events.shape, np.nan)
    np.divide(100 * events, n, out=result, where=n > 0)
    return result


def wilson(numerator: ArrayLike, denominator: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The 95 % Wilson score interval of a proportion, in per cent; NaN where either is missing or the denominator is 0.

    Source: Wilson EB. J Am Stat Assoc 1927;22:209-212.

    >>> low, high = wilson(10, 1800)
    >>> low.round(2).item(), high.round(2).item()
    (0.3, 1.02)
    """
    events, n = np.broadcast_arrays(np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64))
    known = np.where(n > 0, n, np.nan)
    share = events / known
    centre = share + Z_95**2 / (2 * known)
    half = Z_95 * np.sqrt(share * (1 - share) / known + Z_95**2 / (4 * known**2))
    scale = 1 + Z_95**2 / known
    # At 0 and n of n the interval touches 0 and 100; rounding error must not carry it beyond.
    low = np.clip(100 * (centre - half) / scale, 0.0, 100.0)
    high = np.clip(100 * (centre + half) / scale, 0.0, 100.0)
    return low, high
