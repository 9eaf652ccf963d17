"""A table for people: cells as printed, and beside them the frame that goes into its CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.safe_text import guarded
from cohort.present import numbers
from cohort.present.disclosure import Disclosure

Align = Literal["text", "number", "estimate", "code"]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """A column heading; columns of one `group` stand under a common heading."""

    header: str
    align: Align = "number"
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """What is printed; an interval is kept apart so that estimates align at the decimal."""

    text: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """Printed cells; a `group` row holds one heading, a `total` row closes a group."""

    cells: tuple[Cell, ...]
    kind: Literal["row", "group", "total"] = "row"
    indent: bool = False


@dataclass(frozen=True)
class Table:
    """A printable table. key : names its anchor and its CSV. data : what the CSV holds, disclosure already applied."""

    key: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    data: pd.DataFrame
    footnotes: tuple[str, ...] = field(default=())
    long: bool = False

    @property
    def grouped_header(self) -> tuple[tuple[str, int], ...]:
        """Headings over several columns with how many each spans; empty when there are none."""
        if not any(column.group for column in self.columns):
            return ()
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group and column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return tuple(spans)

    def with_notes(self, *notes: str) -> Table:
        """The same table with more footnotes; empty ones are dropped."""
        return replace(self, footnotes=(*self.footnotes, *(note for note in notes if note)))


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a small frame, each value by its column's name."""
    return iter(frame.itertuples())


def row(*cells: str | Cell, kind: Literal["row", "group", "total"] = "row", indent: bool = False) -> Row:
    """A row from plain text or cells."""
    return Row(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells), kind, indent)


def heading(text: str) -> Row:
    """A bold row over the rows that follow."""
    return row(text, kind="group")


def estimate_cell(value: float, low: float, high: float, kind: numbers.Kind, hidden: bool = False) -> Cell:
    """An estimate with its interval, or a dash when it is hidden."""
    if hidden or math.isnan(value):
        return Cell(numbers.MISSING)
    return Cell(numbers.number(value, kind), numbers.bounds(value, low, high, kind))


def of(events: str, total: str) -> str:
    """n of N."""
    return f"{events} / {total}"


TELLING: Final = ("statistic", "p_value", "df", "corrected_std_error")  # from which a hidden estimate could be had


def public(
    frame: pd.DataFrame,
    rule: Disclosure,
    *,
    counts: Mapping[str, BoolArray] | Iterable[str] = (),
    values: Mapping[str, numbers.Kind] | None = None,
    hidden: BoolArray | None = None,
) -> pd.DataFrame:
    """The frame for the CSV: internal in full, else rounded as printed, small counts as text, their estimates empty.

    counts : columns of counts, each with the cells to hide (or only their names: the small ones are hidden).
    values : columns of estimates with how they round. hidden : rows whose estimates are hidden.
    """
    out = frame.copy()
    if rule.internal:
        return out
    masks = dict(counts) if isinstance(counts, Mapping) else {name: rule.small(frame[name]) for name in counts}
    for name, mask in masks.items():
        if name in out:
            numeric = out[name].to_numpy(dtype=np.float64)
            shown = [rule.text(v, h) if h else _whole(v) for v, h in zip(numeric, mask, strict=True)]
            out[name] = pd.Series(shown, index=out.index, dtype="object")
    for name, kind in (values or {}).items():
        if name in out:
            rounded = np.array([numbers.rounded(v, kind) for v in out[name].to_numpy(dtype=np.float64)])
            out[name] = np.where(hidden, np.nan, rounded) if hidden is not None else rounded
    for name in TELLING:
        if name in out and name not in (values or {}):
            kept = out[name].to_numpy(dtype=np.float64)
            out[name] = np.where(hidden, np.nan, kept) if hidden is not None else kept
    if "df" in out:
        # Degrees of freedom of t are the clusters with an event, less one: a count like others.
        kept = out["df"].to_numpy(dtype=np.float64)
        out["df"] = np.where(rule.small(pd.Series(kept + 1.0)), np.nan, kept)
    return out


def _whole(value: float) -> Any:
    return "" if math.isnan(value) else int(value) if value == int(value) else value


def cell_text(value: object) -> str:
    """A CSV cell that no spreadsheet takes for a formula; numbers stay numbers.

    >>> cell_text("=SUM(A1)"), cell_text(-1.5), cell_text("-1.5"), cell_text(float("nan"))
    ("'=SUM(A1)", '-1.5', '-1.5', '')
    """
    if value is None or value is pd.NaT:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if math.isnan(number):
            return ""
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.10g}"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d")
    return guarded(str(value))


def to_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV text, safe to open in a spreadsheet; lines end in a line feed everywhere."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([cell_text(name) for name in frame.columns])
    columns: Sequence[list[str]] = [[cell_text(v) for v in frame[name]] for name in frame.columns]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()
