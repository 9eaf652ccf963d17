"""How a number is written: the only place that rounds.

Incidence in per cent with one decimal (two below 1 %), ratios with two decimals, rates to about three figures,
intervals as "12.1 (9.8-14.6)". A value that does not exist is written as a dash, never as zero.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal

Kind = Literal["percent", "rate", "ratio"]
MISSING: Final = "–"
INFINITE: Final = "∞"
RATIO_LIMIT: Final = 1000.0


def decimals(value: float, kind: Kind) -> int:
    """Decimals for a value on its reading scale (per cent already multiplied by 100).

    >>> decimals(12.14, "percent"), decimals(0.444, "percent"), decimals(134.2, "rate"), decimals(2.0, "ratio")
    (1, 2, 0, 2)
    """
    size = abs(value)
    if not math.isfinite(size):
        return 2 if kind == "ratio" else 1
    if kind == "percent":
        return 2 if round(size, 2) < 1 else 1
    if kind == "rate":
        return 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    return 0 if size >= 100 else 2


def fixed(value: float, places: int) -> str:
    """A number with a fixed count of decimals.

    >>> fixed(1234.5, 0), fixed(float("nan"), 1), fixed(float("inf"), 1), fixed(-0.001, 1)
    ('1,234', '–', '∞', '0.0')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return INFINITE if value > 0 else f"-{INFINITE}"
    text = f"{value:,.{places}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.,") else text


def _scaled(value: float, kind: Kind) -> float:
    return value * 100 if kind == "percent" else value


def number(value: float, kind: Kind) -> str:
    """One value without its interval. Per cent are given as fractions.

    >>> number(0.1214, "percent"), number(0.0044, "percent"), number(1.987, "ratio"), number(2e4, "ratio")
    ('12.1', '0.44', '1.99', 'not estimable')
    """
    if kind == "ratio" and (math.isinf(value) or value >= RATIO_LIMIT):
        return "not estimable"
    scaled = _scaled(value, kind)
    return fixed(scaled, decimals(scaled, kind))


def bounds(value: float, low: float, high: float, kind: Kind) -> str:
    """The interval that belongs to a value, with the value's own decimals; empty when either end is missing.

    >>> bounds(0.121, 0.098, 0.146, "percent"), bounds(1.2, 0.5, float("inf"), "ratio")
    ('(9.8-14.6)', '(0.50-∞)')
    >>> bounds(0.1, float("nan"), 0.2, "percent")
    ''
    """
    if any(math.isnan(part) for part in (value, low, high)) or number(value, kind) == "not estimable":
        return ""
    places = decimals(_scaled(value, kind), kind)
    lower, upper = fixed(_scaled(low, kind), places), fixed(_scaled(high, kind), places)
    if kind == "ratio" and high >= RATIO_LIMIT:
        upper = INFINITE
    return f"({lower} to {upper})" if low < 0 else f"({lower}-{upper})"


def estimate(value: float, low: float, high: float, kind: Kind) -> str:
    """A value with its interval.

    >>> estimate(0.121, 0.098, 0.146, "percent")
    '12.1 (9.8-14.6)'
    >>> estimate(0.1, float("nan"), float("nan"), "percent")
    '10.0 (no interval)'
    """
    if math.isnan(value):
        return MISSING
    return f"{number(value, kind)} {bounds(value, low, high, kind) or '(no interval)'}"


def count(value: float) -> str:
    """A whole number with thousands separated.

    >>> count(12345.0), count(float("nan"))
    ('12,345', '–')
    """
    return fixed(float(value), 0)


def brief(value: float) -> str:
    """A whole number for a narrow column: thousands from ten thousand on.

    >>> brief(9999), brief(36936), brief(3_812_400)
    ('9,999', '36.9k', '3,812k')
    """
    if not math.isfinite(value) or value < 9999.5:
        return count(value)
    thousands = value / 1000
    return f"{thousands:,.1f}k" if thousands < 99.95 else f"{thousands:,.0f}k"


def p_value(value: float) -> str:
    """Two figures down to 0.001.

    >>> p_value(0.0312), p_value(0.42), p_value(0.00001), p_value(float("nan"))
    ('0.031', '0.42', '<0.001', '–')
    """
    if math.isnan(value):
        return MISSING
    if value < 0.001:
        return "<0.001"
    return f"{value:.3f}" if value < 0.095 else f"{value:.2f}"


def measure(value: float, spread: float = 1.0) -> str:
    """A clinical measure in a table of patients: one decimal, two where the standard deviation is below 1.

    >>> measure(76.54, 8.9), measure(0.312, 0.2)
    ('76.5', '0.31')
    """
    return fixed(value, 2 if spread < 0.95 else 1)


def days(value: Any) -> str:
    """A window in the words a reader uses.

    >>> days(365), days(90), days(730), days(45)
    ('1 year', '90 days', '2 years', '45 days')
    """
    whole = round(float(value))
    if whole and whole % 365 == 0:
        return "1 year" if whole == 365 else f"{whole // 365} years"
    return f"{whole} days"


def rounded(value: float, kind: Kind) -> float:
    """The value as printed, as a number, for a CSV that must not say more than the page.

    >>> rounded(0.12144, "percent"), rounded(0.00444, "percent"), rounded(1.98765, "ratio")
    (0.121, 0.0044, 1.99)
    """
    if not math.isfinite(value):
        return value
    places = decimals(_scaled(value, kind), kind) + (2 if kind == "percent" else 0)
    return round(value, places)
