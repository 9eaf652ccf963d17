"""The published figures as typed tables; a blank in the data is missing here, never filled in.

Every loader returns a fresh frame: text as object, "" where blank; numbers as float64, NaN where blank.
`data/README.md` says where the figures come from and what each column means.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import pandas as pd

from cohort.literature.arithmetic import percent, wilson

VERSIONS: Final = ("as stated", "recomputed", "corrected", "pooled elsewhere")
FILES: Final = (
    "figures", "effects", "review_statements", "definitions", "codes", "headlines", "figure_definitions",
    "effect_counts", "references", "cases", "verdicts",
)  # fmt: skip
_READ_ON: Final = {"figures": "source_where_read", "effects": "source"}
TIERS: Final = ("radiographic", "clinical", "retreated", "unstated")
WINDOW_KINDS: Final = ("fixed", "mean", "minimum", "maximum", "none")
BASES: Final = ("crude", "survival", "pooled", "range", "cases")

_NUMBERS: Final[dict[str, tuple[str, ...]]] = {
    "figures": (
        "year", "window_days", "numerator", "denominator", "percent", "ci_low", "ci_high", "wilson_low", "wilson_high",
    ),
    "effects": ("estimate", "ci_low", "ci_high", "year"),
    "review_statements": ("numerator", "denominator"),
    "definitions": ("year", "height_loss_percent", "height_loss_mm", "kyphosis_deg"),
    "codes": (),
    "headlines": ("window_days", "numerator", "denominator", "percent"),
    "figure_definitions": (),
    "effect_counts": (),
    "references": ("ref", "year", "n_patients"),
    "cases": ("case", "age", "t_score", "worse_by_day"),
    "verdicts": (),
}  # fmt: skip


def data_file(name: str) -> Traversable:
    """The shipped file of one table, for copying as it is.

    >>> data_file("figures").name
    'figures.csv'
    """
    return files("cohort.literature").joinpath("data", f"{name}.csv")


def figures() -> pd.DataFrame:
    """Published figures, one row per figure.

    `window_days` is a number; `window_at_least` is true where the source gives a minimum ("730 days or more").

    >>> figures().query("study_key == 'yang2019'")["window_days"].tolist()
    [730.0, 730.0]
    """
    return _load("figures").copy()


def effects() -> pd.DataFrame:
    """Published effect estimates with intervals, one row per exposure and outcome of a study."""
    return _load("effects").copy()


def review_statements() -> pd.DataFrame:
    """The quantitative and causal statements of the review, with the arithmetic redone and what does not add up."""
    return _load("review_statements").copy()


def definitions() -> pd.DataFrame:
    """Published definitions of same-level refracture, each with the figure it produced where one was found."""
    produced = figures()[["study_key", "quantity", "unit", "window_days", "numerator", "denominator", "percent"]]
    return _load("definitions").merge(produced, on=["study_key", "quantity"], how="left")


def codes() -> pd.DataFrame:
    """Codes of procedures, diagnoses and drugs; `confidence` says whether each was confirmed."""
    return _load("codes").copy()


def headlines() -> pd.DataFrame:
    """The review's headline figures, as stated and as recomputed or corrected, with what kind of figure each is.

    `percent` is the printed one, else computed from numerator and denominator unless the version is "as stated": what
    the review did not print stays missing there.

    >>> rows = headlines().query("statement == 'S07'")
    >>> rows[["version", "unit", "percent"]].round(2).to_numpy().tolist()  # doctest: +NORMALIZE_WHITESPACE
    [['as stated', 'patient', 12.0], ['corrected', 'adjacent vertebra', 12.07], ['corrected', 'patient', 50.0]]
    """
    frame = _load("headlines").copy()
    computed = pd.Series(percent(frame["numerator"], frame["denominator"]), index=frame.index)
    frame["percent"] = frame["percent"].fillna(computed.where(frame["version"] != "as stated"))
    frame["wilson_low"], frame["wilson_high"] = wilson(frame["numerator"], frame["denominator"])
    cited = figures().drop_duplicates("study_key").set_index("study_key")
    frame["citation"] = frame["study_key"].map(cited["citation"])
    frame["year"] = frame["study_key"].map(cited["year"])
    return frame


def figure_definitions() -> pd.DataFrame:
    """What each published figure is, in closed vocabularies (`facts.VOCABULARIES`), one row per figure.

    >>> figure_definitions().query("study_key == 'yang2019'")[["unit", "window_kind", "placed"]].to_numpy().tolist()
    [['patient', 'minimum', 'yes'], ['patient', 'minimum', 'no']]
    """
    return _load("figure_definitions").copy()


def effect_counts() -> pd.DataFrame:
    """The effects whose two groups stand among the figures: the figure of the exposed and that of the others."""
    return _load("effect_counts").copy()


def references() -> pd.DataFrame:
    """The review's own list of references: what each is, and what is wrong with how it is listed."""
    return _load("references").copy()


def cases() -> pd.DataFrame:
    """The review's four cases, one row each; lists are separated by `|`."""
    return _load("cases").copy()


def verdicts() -> pd.DataFrame:
    """A verdict on every statement of the review; reasons are templates that `audit.audit` fills."""
    return _load("verdicts").copy()


def as_printed(name: str) -> pd.DataFrame:
    """A shipped table as text, every digit as it was written; "" where blank.

    Where a row was read on the "same page" as the study's row before it, that page is given.

    >>> as_printed("figures").query("study_key == 'dir2024'")["percent"].tolist()
    ['21.0', '10.6', '56.6']
    """
    with data_file(name).open("r", encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    if name in _READ_ON:
        page = frame[_READ_ON[name]]
        frame[_READ_ON[name]] = page.mask(page == "same page").groupby(frame["study_key"], sort=False).ffill()
    return frame


@cache
def _load(name: str) -> pd.DataFrame:
    frame = as_printed(name)
    if name == "figures":
        frame["window_at_least"] = frame["window_days"].str.startswith(">=")
        frame["window_days"] = frame["window_days"].str.removeprefix(">=")
    for column in _NUMBERS[name]:
        frame[column] = pd.to_numeric(frame[column].where(frame[column] != "")).astype("float64")
    return frame
