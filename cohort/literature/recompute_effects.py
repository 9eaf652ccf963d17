"""A published ratio is checked against its own interval: on the scale of the logarithm it lies in the middle.

Every bound takes the rounding of what was printed into account: a ratio of 0.34 may be anything from 0.335 to 0.345.
An interval that is not symmetric is no error by itself (exact and profile intervals are not), but it must not be pooled
as if it were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from cohort.literature import tables
from cohort.literature.arithmetic import Z_95

SYMMETRIC: Final = "symmetric"
WITHIN: Final = "within rounding"
ASYMMETRIC: Final = "asymmetric"
NO_INTERVAL: Final = "no interval"
INTERVALS: Final = (SYMMETRIC, WITHIN, ASYMMETRIC, NO_INTERVAL)
AGREES, DIFFERS, NO_P = "agrees", "differs", "no p"
COUNTS: Final = (AGREES, WITHIN, DIFFERS, "")
P_VALUES: Final = (AGREES, DIFFERS, NO_P, NO_INTERVAL)

COLUMNS: Final = (
    "study_key", "exposure", "outcome", "measure", "estimate", "ci_low", "ci_high", "scale", "middle", "interval",
    "p_printed", "p_low", "p_high", "p_value", "counts", "from_counts", "from_counts_low", "from_counts_high",
    "against_counts", "source", "confidence",
)  # fmt: skip

_P: Final = re.compile(r"\b[Pp]\s*([<=])\s*(\d*\.\d+)")
_LINEAR: Final = ("WMD",)
_NEITHER: Final = ("AUC (validation)", "C-index", "kappa")


def recompute_effects() -> pd.DataFrame:
    """Every published effect held against its interval, its p-value and, where published, its four counts.

    One row per effect, columns of `COLUMNS`. `middle`: of the limits, geometric for ratios, arithmetic for differences.
    `interval`: symmetric (the printed estimate is the middle, as far as rounding can tell), within rounding (with one
    more unit of the last digit), asymmetric, no interval. `p_low`, `p_high`: the p-values that estimate and interval
    allow; `p_value` says whether the printed one agrees. `from_counts`: the crude ratio of the figures named in
    effect_counts.csv with its 95 % limits (Woolf, Katz); `against_counts` says whether the printed ratio and limits are
    these (agrees, within rounding, differs), "" where there are no counts.

    >>> table = recompute_effects().set_index("study_key")
    >>> float(table.loc["knavel2009", "estimate"]), table.loc["knavel2009", "interval"]
    (0.81, 'asymmetric')
    """
    text = tables.as_printed("effects")
    counts = _counts()
    rows = []
    # The published table is fixed and small.
    for row in text.to_dict("records"):
        found = {name: row.get(name, "") for name in COLUMNS}
        found |= _interval(row) | _p_value(row) | counts.get((row["study_key"], row["exposure"], row["outcome"]), {})
        if "from_counts" in found and found["from_counts"] != "":
            found["against_counts"] = _against_counts(row, found)
        rows.append(found)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("estimate", "ci_low", "ci_high", "middle", "p_low", "p_high", *COLUMNS[15:18]):
        frame[name] = pd.to_numeric(frame[name].where(frame[name] != "")).astype("float64")
    return frame


def _bounds(text: str, units: float = 0.5) -> tuple[float, float]:
    unit = 10.0 ** -len(text.partition(".")[2])
    return float(text) - units * unit, float(text) + units * unit


def _interval(row: Mapping[Any, str]) -> dict[str, object]:
    scale = "linear" if row["measure"] in _LINEAR else "none" if row["measure"] in _NEITHER else "log"
    if "" in (row["ci_low"], row["ci_high"]) or scale == "none":
        return {"scale": scale, "middle": "", "interval": NO_INTERVAL}
    low, high = float(row["ci_low"]), float(row["ci_high"])
    middle = np.sqrt(low * high) if scale == "log" else (low + high) / 2
    verdict = ASYMMETRIC
    for units, word in ((0.5, SYMMETRIC), (1.0, WITHIN)):
        lows, highs = _bounds(row["ci_low"], units), _bounds(row["ci_high"], units)
        reach = [np.sqrt(a * b) if scale == "log" else (a + b) / 2 for a, b in zip(lows, highs, strict=True)]
        least, most = _bounds(row["estimate"], units)
        if reach[0] <= most + 1e-12 and least <= reach[1] + 1e-12:
            verdict = word
            break
    return {"scale": scale, "middle": middle, "interval": verdict}


def _p_value(row: Mapping[Any, str]) -> dict[str, object]:
    printed = _P.search(row["note"])
    if printed is None:
        return {"p_printed": "", "p_low": "", "p_high": "", "p_value": NO_P}
    sign, value = printed.groups()
    words = {"p_printed": f"{sign} {value}", "p_low": "", "p_high": ""}
    if "" in (row["ci_low"], row["ci_high"]):
        return {**words, "p_value": NO_INTERVAL}
    logged = row["measure"] not in _LINEAR
    corners = [
        _two_sided(*corner, logged=logged)
        for corner in product(_bounds(row["estimate"]), _bounds(row["ci_low"]), _bounds(row["ci_high"]))
    ]
    low, high = min(corners), max(corners)
    least, most = (0.0, float(value)) if sign == "<" else _bounds(value)
    agrees = low <= most + 1e-12 and least <= high + 1e-12
    return {**words, "p_low": low, "p_high": high, "p_value": AGREES if agrees else DIFFERS}


def _two_sided(estimate: float, low: float, high: float, *, logged: bool) -> float:
    if logged:
        estimate, low, high = np.log([estimate, low, high])
    error = (high - low) / (2 * Z_95)
    return float(2 * stats.norm.sf(abs(estimate) / error))


def _counts() -> dict[tuple[str, str, str], dict[str, object]]:
    """The crude ratios of the effects whose four counts are published figures."""
    figures = {(row["study_key"], row["quantity"]): row for row in tables.figures().to_dict("records")}
    effects = tables.effects().to_dict("records")
    measures = {(row["study_key"], row["exposure"], row["outcome"]): row["measure"] for row in effects}
    found = {}
    for row in tables.effect_counts().to_dict("records"):
        key = (row["study_key"], row["exposure"], row["outcome"])
        exposed, others = (figures[(row["study_key"], row[name])] for name in ("exposed", "unexposed"))
        a, n, b, m = (group[name] for group in (exposed, others) for name in ("numerator", "denominator"))
        odds = measures[key] == "OR"
        ratio = (a / (n - a)) / (b / (m - b)) if odds else (a / n) / (b / m)
        terms = (1 / a, 1 / (n - a), 1 / b, 1 / (m - b)) if odds else (1 / a, -1 / n, 1 / b, -1 / m)
        reach = Z_95 * np.sqrt(sum(terms))
        found[key] = {
            "counts": f"{a:.0f}/{n:.0f} and {b:.0f}/{m:.0f}",
            "from_counts": ratio,
            "from_counts_low": ratio * np.exp(-reach),
            "from_counts_high": ratio * np.exp(reach),
        }
    return found


def _against_counts(row: Mapping[Any, str], found: Mapping[str, Any]) -> str:
    pairs = (("estimate", "from_counts"), ("ci_low", "from_counts_low"), ("ci_high", "from_counts_high"))
    for units, word in ((0.5, AGREES), (1.0, WITHIN)):
        bounds = [(*_bounds(row[printed], units), found[ours]) for printed, ours in pairs]
        if all(low - 1e-12 <= value <= high + 1e-12 for low, high, value in bounds):
            return word
    return DIFFERS
