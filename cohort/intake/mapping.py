"""From the source's column names and codes to canonical ones, as the study file says; all else is carried along."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.errors import RegistryError
from cohort.domain.study import SourceTable
from cohort.intake.ledger import ObjectArray
from cohort.intake.sources import RawTable
from cohort.intake.text_files import Ragged
from cohort.intake.words import read_distinct, take
from cohort.tables.schema import Table

_RESERVED: Final = ("source_row",)
_SEPARATORS = re.compile(r"[\s\-]+")


@dataclass(frozen=True)
class MappedTable:
    """One table under canonical names.

    written : canonical column = text as the source has it. values : the same, trimmed and recoded.
    carried : covariates, untouched, in the order of the file.
    remarks : (check, column, words) about columns and settings, for the account.
    """

    table: Table
    source: str
    rows: IntArray
    written: dict[str, ObjectArray]
    values: dict[str, ObjectArray]
    carried: pd.DataFrame
    ragged: tuple[Ragged, ...]
    header: tuple[str, ...]
    remarks: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def ragged_cells(self, column: str) -> list[str]:
        """What the ragged rows hold in the place of one column, "" where they do not reach it."""
        place = self.header.index(column)
        return [row.cells[place].strip() if place < len(row.cells) else "" for row in self.ragged]


def folded(name: str) -> str:
    """A column name as it is compared: trimmed, lower case, spaces and hyphens as underscores.

    >>> folded(" Patient-ID ")
    'patient_id'
    """
    return _SEPARATORS.sub("_", name.strip().lower())


def apply(raw: RawTable, table: Table, spec: SourceTable) -> MappedTable:
    """Name, trim and recode the columns of one table.

    Raises RegistryError when a name occurs twice or a required column is missing.
    """
    remarks: list[tuple[str, str, dict[str, str]]] = []
    header = _names(raw, table, spec, remarks)
    written: dict[str, ObjectArray] = {}
    values: dict[str, ObjectArray] = {}
    carried: dict[str, ObjectArray] = {}
    recodes = {folded(column): recode for column, recode in spec.recode.items()}
    for place, name in enumerate(header):
        if not name:
            continue  # no name and no values: an Excel sheet often has such columns at its right edge
        cells: ObjectArray = raw.cells[place].to_numpy(dtype=object)
        if name not in table.names:
            carried[name] = np.where(cells == "", np.nan, cells) if len(cells) else cells
            if name in recodes:
                carried[name] = _recoded(cells, recodes[name])
            continue
        written[name] = cells
        values[name] = _recoded(cells, recodes.get(name, {}))
    missing = [name for name in table.required if name not in written]
    if missing:
        raise RegistryError(
            f"{raw.source} has no column {missing[0]}, which table {table.name} needs; its columns are "
            f"{', '.join(raw.header[:20])}. Add it, or name it in study.toml: [tables.{table.name}.rename]."
        )
    for setting, columns in (("recode", spec.recode), ("date_order", spec.date_order)):
        for column in columns:
            if folded(column) not in header:
                remarks.append(("setting_unused", column, {"setting": setting}))
    frame = pd.DataFrame(carried, index=pd.RangeIndex(len(raw.cells)))
    return MappedTable(table, raw.source, raw.rows, written, values, frame, raw.ragged, tuple(header), remarks)


def _names(raw: RawTable, table: Table, spec: SourceTable, remarks: list[tuple[str, str, dict[str, str]]]) -> list[str]:
    canonical = {folded(name): name for name in table.names}
    rename = {folded(old): new.strip() for old, new in spec.rename.items()}
    there = {folded(name) for name in raw.header}
    if not there & {*canonical, *rename}:
        # The first row may be a patient: it is not repeated in the message.
        raise RegistryError(
            f"{raw.source}: the first row names no column of table {table.name}; is the header line missing? "
            f"It needs {', '.join(table.required)}, or names given in study.toml: [tables.{table.name}.rename]."
        )
    remarks.extend(("setting_unused", old, {"setting": "rename"}) for old in spec.rename if folded(old) not in there)
    header: list[str] = []
    for place, name in enumerate(raw.header):
        new = rename.get(folded(name), name)
        new = canonical.get(folded(new), new)
        if not new:
            holds = len(raw.cells) and bool((raw.cells[place] != "").any())
            new = f"column_{place + 1}" if holds else ""
            if holds:
                remarks.append(("column_unnamed", new, {}))
        elif folded(new) in _RESERVED:
            remarks.append(("column_renamed", new, {"renamed": f"{new}_written"}))
            new = f"{new}_written"
        header.append(new)
    keys = [folded(name) for name in header if name]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise RegistryError(
            f"{raw.source}: the column {twice} occurs twice (after trimming, lower-casing and renaming); "
            "remove or rename one of them."
        )
    return header


def _recoded(cells: ObjectArray, recode: dict[str, str]) -> ObjectArray:
    """Trimmed cells; a written value of the study file, in any case, becomes its canonical value."""
    exact = {old.strip(): new for old, new in recode.items()}
    loose = {old.strip().casefold(): new for old, new in recode.items()}

    def read(text: str) -> str:
        text = text.strip()
        return exact.get(text, loose.get(text.casefold(), text)) if recode else text

    codes, readings = read_distinct(cells, read)
    return take(readings, codes)
