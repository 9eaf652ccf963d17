"""From the columns of a source to canonical ones, as the study file says; all else is carried along."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import SourceTable
from cohort.intake import findings, reshape, units
from cohort.intake.grid import Ragged, Remark
from cohort.intake.ledger import ObjectArray
from cohort.intake.reshape import Layout, folded
from cohort.intake.sources import RawTable
from cohort.intake.words import Words, read_distinct
from cohort.tables.schema import FRACTURES, Table

_RESERVED: Final = ("source_row",)
_YES_NO_COLUMN: Final = FRACTURES["symptomatic"]  # any column of findings: it knows yes, no and not assessable


@dataclass(frozen=True)
class MappedTable:
    """One table under canonical names, one element per row that the source's rows make.

    rows : row number in the source; rows that one source row makes (`repeat`) share it and are accepted or rejected
        together.
    written : canonical column = text as the source has it. values : the same, trimmed and recoded.
    carried : covariates, untouched, in the order of the file.
    remarks : (check, column, words) about columns and settings, for the account.
    """

    table: Table
    source: str
    rows: IntArray
    written: dict[str, Words]
    values: dict[str, Words]
    carried: pd.DataFrame
    ragged: tuple[Ragged, ...]
    header: tuple[str, ...]
    remarks: list[Remark] = field(default_factory=list)

    def ragged_cells(self, column: str) -> list[str]:
        """What the ragged rows hold in the place of one column, "" where they do not reach it."""
        place = self.header.index(column) if column in self.header else -1
        return [row.cells[place].strip() if 0 <= place < len(row.cells) else "" for row in self.ragged]


def apply(raw: RawTable, table: Table, spec: SourceTable) -> MappedTable:
    """Name, build, trim and recode the columns of one table.

    Raises RegistryError when a name occurs twice or a required column is missing, DefinitionError when the study file
    contradicts itself.
    """
    _check_settings(table, spec)
    remarks = list(raw.remarks)
    layout = reshape.layout(raw.header, table.name, spec)
    remarks.extend(("setting_unused", column, {"setting": setting}) for setting, column in layout.unknown)
    header = _names(raw, table, spec, layout, remarks)
    at, built = _built(raw, layout)
    columns = {name: Words.of(raw.cells[place]) for place, name in enumerate(header) if name}
    if at is not None:
        columns = {name: cells.at(at) for name, cells in columns.items()}
    n = len(raw.cells) if at is None else len(at)
    constants = {folded(name): np.full(n, value, dtype=object) for name, value in spec.constant.items()}
    twice = next((name for name in (*built, *constants) if name in columns), None)
    if twice is not None:
        raise DefinitionError(
            f"study.toml, [tables.{table.name}]: {twice} is built by repeat, join, flags or constant, but "
            f"{raw.source} has a column for it too; rename or drop one of the two."
        )
    columns |= {name: Words.of(cells) for name, cells in (built | constants).items()}
    recodes = {folded(column): recode for column, recode in spec.recode.items()}
    written, values, carried = {}, {}, {}
    for name, cells in columns.items():
        if name in table.names:
            written[name] = cells
            values[name] = _recoded(cells, recodes.get(name, {}))
        else:
            cells = _recoded(cells, recodes[folded(name)]) if folded(name) in recodes else cells
            carried[name] = Words(cells.codes, np.where(cells.texts == "", np.nan, cells.texts)).cells
    missing = [name for name in table.required if name not in written]
    if missing:
        raise RegistryError(
            f"{raw.source} has no column {missing[0]}, which table {table.name} needs; its columns are "
            f"{', '.join(raw.header[:20])}. Add it, or name it in study.toml: [tables.{table.name}.rename]."
        )
    known = {folded(name) for name in columns}
    for setting in ("recode", "date_order", "unit"):
        settings: dict[str, object] = getattr(spec, setting)
        unused = (column for column in settings if folded(column) not in known)
        remarks.extend(("setting_unused", column, {"setting": setting}) for column in unused)
    remarks.extend(("setting_unused", name, {"setting": "timing"}) for name in spec.timing if name not in carried)
    remarks.extend(("timing_undeclared", name, {}) for name in carried if name not in spec.timing)
    rows = raw.rows if at is None else raw.rows[at]
    frame = pd.DataFrame(carried, index=pd.RangeIndex(n))
    return MappedTable(table, raw.source, rows, written, values, frame, raw.ragged, tuple(header), remarks)


def _check_settings(table: Table, spec: SourceTable) -> None:
    """Refuse settings that no source could make sense of."""
    where = f"study.toml, [tables.{table.name}"
    if table.name == "patients" and (
        spec.repeat or any("{n}" in name for names in spec.join.values() for name in names)
    ):
        raise DefinitionError(f"{where}.repeat]: a row of patients is one patient, so no column of it can repeat.")
    for column in spec.flags:
        if folded(column) not in table.names or table[folded(column)].kind != "set":
            raise DefinitionError(f"{where}.flags]: {column} is no set; flags spell out a set, such as leak.")
    for column in spec.timing:
        if folded(column) in table.names:
            raise DefinitionError(
                f"{where}.timing]: {column} is a canonical column, whose timing the data dictionary fixes; declare the "
                "timing of covariates only."
            )
    for column, unit in spec.unit.items():
        if folded(column) not in table.names or not units.convertible(unit, table[folded(column)].unit):
            raise DefinitionError(
                f"{where}.unit]: {column} cannot be written in {unit}"
                + (f"; its unit is {table[folded(column)].unit}." if folded(column) in table.names else ".")
            )


def _built(raw: RawTable, layout: Layout) -> tuple[IntArray | None, dict[str, ObjectArray]]:
    """The columns that join, flags and repeat make, and the source place of each row (None: one row each, as it is)."""
    built = {name: reshape.join(raw.cells, places) for name, places in layout.joined.items() if places}
    for name, flagged in layout.flagged.items():
        if flagged:
            states = [_states(Words.of(raw.cells[place])) for place, _ in flagged]
            built[name] = reshape.flags(raw.cells, flagged, states)
    if not layout.repeated:
        return None, built
    at, repeated = reshape.unfold(raw.cells, layout.repeated)
    return at, {name: cells[at] for name, cells in built.items()} | repeated


def _states(cells: Words) -> IntArray:
    """1 yes, 0 no, -1 not known (not recorded or not assessable), -2 unreadable. Shape (n,)."""
    meaning = dict(enumerate(_YES_NO_COLUMN.dtype.categories))  # type: ignore[union-attr]
    state = {"yes": 1, "no": 0, "not_assessable": -1}
    codes, readings = read_distinct(cells, lambda text: findings.read_state(text, _YES_NO_COLUMN))
    read = [state[meaning[code]] if code >= 0 else code for code in readings]
    return np.array(read, dtype=np.int64)[codes] if read else np.empty(0, dtype=np.int64)


def _names(raw: RawTable, table: Table, spec: SourceTable, layout: Layout, remarks: list[Remark]) -> list[str]:
    """The name of every source column: canonical, a covariate's own, or "" where it is built from or holds nothing."""
    canonical = {folded(name): name for name in table.names}
    rename = {folded(old): new.strip() for old, new in spec.rename.items()}
    there = {folded(name) for name in raw.header}
    taken = layout.places
    if not taken and not there & {*canonical, *rename}:
        # The first row may be a patient: it is not repeated in the message.
        raise RegistryError(
            f"{raw.source}: the first row names no column of table {table.name}; is the header line missing? "
            f"It needs {', '.join(table.required)}, or names given in study.toml: [tables.{table.name}.rename]."
        )
    remarks.extend(("setting_unused", old, {"setting": "rename"}) for old in spec.rename if folded(old) not in there)
    header: list[str] = []
    for place, name in enumerate(raw.header):
        if place in taken and folded(name) not in rename:
            header.append("")
            continue
        new = rename.get(folded(name), name)
        new = canonical.get(folded(new), new)
        if not new:
            # No name and no values: an Excel sheet often has such columns at its right edge.
            holds = len(raw.cells) and bool((raw.cells[place] != "").any())
            new = f"column_{place + 1}" if holds else ""
            if holds:
                remarks.append(("column_unnamed", new, {}))
        elif folded(new) in _RESERVED:
            remarks.append(("column_renamed", new, {"renamed": f"{new}_written"}))
            new = f"{new}_written"
        header.append(new)
    counts = Counter(folded(name) for name in header if name)
    twice = next((key for key, count in counts.items() if count > 1), None)
    if twice is not None:
        raise RegistryError(
            f"{raw.source}: the column {twice} occurs twice (after trimming, lower-casing and renaming); "
            "remove or rename one of them."
        )
    return header


def _recoded(cells: Words, recode: dict[str, str]) -> Words:
    """Trimmed cells; a written value of the study file, in any case, becomes its canonical value."""
    if not recode:
        return cells.changed(str.strip)
    exact = {old.strip(): new for old, new in recode.items()}
    loose = {old.strip().casefold(): new for old, new in recode.items()}

    def read(text: str) -> str:
        text = text.strip()
        return exact.get(text, loose.get(text.casefold(), text))

    return cells.changed(read)
