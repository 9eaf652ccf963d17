"""A published per cent is checked against its own numerator and denominator, to the digits that were printed.

A number that was not published stays missing. Where only one of numerator and denominator was, the other is not filled
in: the whole numbers that would give the printed per cent are shown as bounds, and none at all is a finding too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort.estimate import proportion
from cohort.literature import tables
from cohort.literature.arithmetic import FloatArray, percent
from cohort.literature.facts import facts

EXACT: Final = "exact"
WITHIN: Final = "within rounding"
DIFFERS: Final = "differs"
NOT_PRINTED: Final = "not printed"
NO_NUMERATOR: Final = "no numerator"
NO_DENOMINATOR: Final = "no denominator"
NO_SHARE: Final = "no share"
VERDICTS: Final = (EXACT, WITHIN, DIFFERS, NOT_PRINTED, NO_NUMERATOR, NO_DENOMINATOR, NO_SHARE)
RECOMPUTED: Final = VERDICTS[:4]

COLUMNS: Final = (
    "table", "statement", "version", "study_key", "quantity", "unit", "kind", "basis", "numerator", "denominator",
    "percent", "exact_low", "exact_high", "wilson_low", "wilson_high", "printed", "difference", "verdict", "derived",
    "implied_numerator_low", "implied_numerator_high", "implied_denominator_low", "implied_denominator_high",
    "printed_low", "printed_high", "printed_interval", "why", "source", "confidence",
)  # fmt: skip
_KEPT: Final = (*COLUMNS[:10], "printed", "derived", "printed_low", "printed_high", "source", "confidence")

_EPS: Final = 1e-9  # a tie may be rounded either way
_NO_SHARE_KINDS: Final = ("mean_time", "time_range", "sample_size")


def recompute() -> pd.DataFrame:
    """Every published figure and every headline of the review, recomputed where its numbers were published.

    One row per figure, then one per headline, with the columns of `COLUMNS`. `percent` is recomputed; exact
    (Clopper-Pearson) and Wilson limits are 95 %, per cent. `printed` is the per cent as printed, a text, "" where it
    was not or where that was not seen; `difference` is recomputed less printed, percentage points. `verdict`: exact
    (agrees to the printed digits), within rounding (less than one unit of the last digit off: cut off, not rounded),
    differs, not printed, no numerator, no denominator, no share (a time or a size). `derived`: the number worked out
    from the printed per cent, which then agrees by construction. `implied_*`: the least and the greatest whole number
    that give the printed per cent; both missing where none does, or where it is no crude share. `printed_interval`:
    which interval the printed limits are (Wilson, exact, both, neither), "" where none can be told.

    >>> row = recompute().query("quantity == 'leak recorded in procedural dictation among CT leaks'").iloc[0]
    >>> row["verdict"], row["printed"], row[["percent", "implied_denominator_low"]].astype(float).round(1).tolist()
    ('differs', '34', [41.6, 180.0])
    """
    frame = pd.concat([_figures(), _headlines()], ignore_index=True)
    x, n = frame["numerator"].to_numpy(), frame["denominator"].to_numpy()
    frame["percent"] = percent(x, n)
    for name, method in (("exact", "exact"), ("wilson", "wilson")):
        frame[f"{name}_low"], frame[f"{name}_high"] = interval(x, n, method)
    stated = pd.to_numeric(frame["printed"].where(frame["printed"] != "")).to_numpy(dtype=np.float64)
    unit = np.array([10.0 ** -_decimals(text) for text in frame["printed"]], dtype=np.float64)
    frame["difference"] = frame["percent"] - stated
    frame["verdict"] = _verdicts(frame, stated, unit)
    half = unit / 2
    # A survival or pooled estimate is no numerator over a denominator.
    counted = np.where(frame["basis"].isin(("crude", "cases")), 1.0, np.nan)
    low, high = _whole_between(counted * n * (stated - half) / 100, n * (stated + half) / 100)
    frame["implied_numerator_low"], frame["implied_numerator_high"] = low, high
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = (counted * 100 * x / (stated + half), np.where(stated > half, 100 * x / (stated - half), np.nan))
    frame["implied_denominator_low"], frame["implied_denominator_high"] = _whole_between(*bounds)
    frame["printed_interval"] = [_which_interval(row) for row in frame.to_dict("records")]
    frame["why"] = [_why(row) for row in frame.to_dict("records")]
    return frame[list(COLUMNS)]


def interval(numerator: FloatArray, denominator: FloatArray, method: str) -> tuple[FloatArray, FloatArray]:
    """95 % limits of proportions, per cent; NaN where either number is missing. method : exact or wilson.

    >>> low, high = interval(np.array([9.0, np.nan]), np.array([10.0, 10.0]), "exact")
    >>> low.round(1).tolist(), high.round(1).tolist()
    ([55.5, nan], [99.7, nan])
    """
    known = ~(np.isnan(numerator) | np.isnan(denominator))
    low, high = np.full(len(numerator), np.nan), np.full(len(numerator), np.nan)
    found = proportion(numerator[known], denominator[known], method="exact" if method == "exact" else "wilson").frame[
        ["conf_low", "conf_high"]
    ]
    low[known], high[known] = 100 * found["conf_low"].to_numpy(), 100 * found["conf_high"].to_numpy()
    return low, high


def is_recomputed(frame: pd.DataFrame) -> pd.Series:
    """Which rows had both numbers, so that their per cent was worked out again."""
    return frame["verdict"].isin(RECOMPUTED)


def _figures() -> pd.DataFrame:
    rows = facts()
    limits = tables.as_printed("figures")[["ci_low", "ci_high"]]
    rows = rows.assign(table="figures", statement="", version="")
    return rows.assign(printed_low=limits["ci_low"], printed_high=limits["ci_high"])[list(_KEPT)]


def _headlines() -> pd.DataFrame:
    rows = tables.headlines()
    read_at = facts().drop_duplicates("study_key").set_index("study_key")["source"]
    rows = rows.assign(
        table="headlines", printed=tables.as_printed("headlines")["percent"], derived="", printed_low="",
        printed_high="", kind=rows["basis"].map({"cases": "share_of_cases", "pooled": "pooled"}).fillna("proportion"),
        source=rows["study_key"].map(read_at),
    )  # fmt: skip
    return rows[list(_KEPT)]


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _verdicts(frame: pd.DataFrame, stated: FloatArray, unit: FloatArray) -> list[str]:
    off = np.abs(frame["difference"].to_numpy())
    conditions = [
        frame["kind"].isin(_NO_SHARE_KINDS).to_numpy(),
        np.isnan(frame["denominator"].to_numpy()),
        np.isnan(frame["numerator"].to_numpy()),
        np.isnan(stated),
        off <= unit / 2 + _EPS,
        off < unit - _EPS,
    ]
    words = [NO_SHARE, NO_DENOMINATOR, NO_NUMERATOR, NOT_PRINTED, EXACT, WITHIN]
    return [str(word) for word in np.select(conditions, words, default=DIFFERS)]


def _whole_between(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The least and the greatest whole number in each closed range; NaN where there is none."""
    first, last = np.ceil(low - _EPS), np.floor(high + _EPS)
    none = ~(first <= last)
    return np.where(none, np.nan, first), np.where(none, np.nan, last)


def _which_interval(row: Mapping[Any, Any]) -> str:
    printed = (row["printed_low"], row["printed_high"])
    if "" in printed or math.isnan(row["percent"]):
        return ""
    fits = []
    for name in ("wilson", "exact"):
        ours = (row[f"{name}_low"], row[f"{name}_high"])
        near = [
            abs(value - float(text)) <= 0.5 * 10.0 ** -_decimals(text) + _EPS
            for value, text in zip(ours, printed, strict=True)
        ]
        fits.append(all(near))
    return {(True, True): "both", (True, False): "Wilson", (False, True): "exact"}.get((fits[0], fits[1]), "neither")


def _why(row: Mapping[Any, Any]) -> str:
    """A sentence where the verdict alone does not say it all."""
    x, n, share = (row[name] for name in ("numerator", "denominator", "percent"))
    printed, verdict = row["printed"], row["verdict"]
    digits = _decimals(printed)
    if verdict == WITHIN:
        return f"{x:,.0f} of {n:,.0f} is {share:.{digits + 1}f} %; {printed} % was cut off, not rounded."
    if verdict == DIFFERS:
        fits = _span(row, "denominator")
        return (
            f"{x:,.0f} of {n:,.0f} is {share:.{digits + 1}f} %, not {printed} %, which would fit {fits} as denominator."
        )
    if verdict == NO_DENOMINATOR and printed and not math.isnan(x):
        return f"{x:,.0f} is {printed} % of {_span(row, 'denominator')}."
    if verdict == NO_NUMERATOR and row["basis"] in ("crude", "cases"):
        fits = _span(row, "numerator")
        return f"{printed} % of {n:,.0f} is {fits}." if fits else f"No whole number of {n:,.0f} is {printed} %."
    if row["derived"]:
        return f"The {row['derived']} was worked out from the printed per cent, so the two agree by construction."
    return ""


def _span(row: Mapping[Any, Any], what: str) -> str:
    low, high = (row[f"implied_{what}_{end}"] for end in ("low", "high"))
    if math.isnan(low):
        return ""
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
