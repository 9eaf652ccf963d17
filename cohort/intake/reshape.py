"""Columns that repeat across a sheet (level_1, leak_1, level_2, leak_2): every repetition that holds anything is a row.

A source row whose repetitions are all empty stays one row, so that it is accounted for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.errors import DefinitionError
from cohort.domain.study import SourceTable
from cohort.domain.written import plain
from cohort.intake.ledger import ObjectArray
from cohort.intake.words import not_recorded, read_distinct

_SEPARATORS = re.compile(r"[\s\-]+")
_MARK: Final = "{n}"
# What a form fills in by default says of no vertebra that there is one.
_BARE_NO: Final = frozenset(
    ("no", "none", "n", "0", "0.0", "nein", "kein", "keine", "non", "aucune", "false", "无", "否")
)


def folded(name: str) -> str:
    """A column name as it is compared: trimmed, lower case, spaces and hyphens as underscores.

    >>> folded(" Patient-ID ")
    'patient_id'
    """
    return _SEPARATORS.sub("_", name.strip().lower())


@dataclass(frozen=True)
class Layout:
    """Which source columns one table builds canonical columns from, by place in the header.

    joined : column = places whose values together make its cell. flagged : column = place and word of each flag.
    repeated : number of the repetition -> column = places. unknown : (setting, source column) that the source lacks.
    """

    joined: dict[str, tuple[int, ...]] = field(default_factory=dict)
    flagged: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    repeated: dict[int, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def places(self) -> frozenset[int]:
        """Every place that is built from, and so is no column of its own."""
        parts = [*self.joined.values(), *(part for group in self.repeated.values() for part in group.values())]
        flags = (place for flags in self.flagged.values() for place, _ in flags)
        return frozenset((*(place for part in parts for place in part), *flags))

    @property
    def targets(self) -> tuple[str, ...]:
        """The canonical columns (and covariates) that are built."""
        repeated = dict.fromkeys(name for group in self.repeated.values() for name in group)
        return (*self.joined, *self.flagged, *repeated)


def layout(header: Sequence[str], table: str, spec: SourceTable) -> Layout:
    """Find the columns that `join`, `flags` and `repeat` of the study file name.

    Raises DefinitionError for a repetition without its mark, or lists of different length.
    """
    at: dict[str, int] = {}
    for place, name in enumerate(header):
        at.setdefault(folded(name), place)
    unknown: list[tuple[str, str]] = []
    joined: dict[str, tuple[int, ...]] = {}
    repeated: dict[int, dict[str, tuple[int, ...]]] = {}

    def single(setting: str, names: Sequence[str]) -> tuple[int, ...]:
        unknown.extend((setting, name) for name in names if folded(name) not in at)
        return tuple(at[folded(name)] for name in names if folded(name) in at)

    def repeat(column: str, numbered: dict[int, tuple[int, ...]]) -> None:
        for number, places in numbered.items():
            group = repeated.setdefault(number, {})
            group[column] = (*group.get(column, ()), *places)

    for column, names in spec.join.items():
        patterns = [name for name in names if _MARK in name]
        if patterns and len(patterns) < len(names):
            raise DefinitionError(
                f"study.toml, [tables.{table}.join]: {column} mixes columns with and without {_MARK}; give all of them "
                f"{_MARK} (they repeat) or none."
            )
        if patterns:
            for pattern in patterns:
                repeat(column, _numbered(at, pattern, "join", unknown))
        else:
            joined[folded(column)] = single("join", names)
    flagged = {
        folded(column): tuple((at[folded(name)], word) for name, word in flags.items() if single("flags", [name]))
        for column, flags in spec.flags.items()
    }
    lengths = {len(names) for names in spec.repeat.values() if not isinstance(names, str)}
    if len(lengths) > 1:
        raise DefinitionError(
            f"study.toml, [tables.{table}.repeat]: the lists have different lengths ({sorted(lengths)}); write one "
            'name per repetition in each, "" where a repetition lacks the column.'
        )
    for column, named in spec.repeat.items():
        if isinstance(named, str):
            if named.count(_MARK) != 1:
                raise DefinitionError(
                    f'study.toml, [tables.{table}.repeat]: {column} = "{named}" must hold {_MARK} once, where the '
                    f'number stands ("level_{_MARK}"), or be a list of columns.'
                )
            repeat(column, _numbered(at, named, "repeat", unknown))
        else:
            unknown.extend(("repeat", name) for name in named if name and folded(name) not in at)
            repeat(column, {k: (at[folded(name)],) for k, name in enumerate(named, 1) if folded(name) in at})
    repeated = {n: {folded(column): places for column, places in repeated[n].items()} for n in sorted(repeated)}
    return Layout(joined, flagged, repeated, tuple(unknown))


def _numbered(
    at: dict[str, int], pattern: str, setting: str, unknown: list[tuple[str, str]]
) -> dict[int, tuple[int, ...]]:
    before, after = (re.escape(folded(part)) if part.strip() else "" for part in pattern.split(_MARK))
    # Folding trims each half, so a separator next to the number may be there or not.
    shape = re.compile(rf"{before}_?([0-9]{{1,3}})_?{after}")
    found: dict[int, tuple[int, ...]] = {
        int(m[1]): (place,) for name, place in at.items() if (m := shape.fullmatch(name))
    }
    if not found:
        unknown.append((setting, pattern))
    return found


def join(cells: pd.DataFrame, places: Sequence[int]) -> ObjectArray:
    """The cells of several columns as one list cell, `;` between, empty ones left out.

    >>> join(pd.DataFrame({0: ["disc", ""], 1: ["venous", "venous"]}), (0, 1)).tolist()
    ['disc;venous', 'venous']
    """
    if len(places) == 1:
        return cells[places[0]].to_numpy(dtype=object)
    joined: ObjectArray = np.full(len(cells), "", dtype=object)
    for place in places:
        column = cells[place].to_numpy(dtype=object)
        there = _where(column, lambda text: not not_recorded(text))
        both = there & (joined != "")
        joined = np.where(both, joined + ";" + column, np.where(there, column, joined))
    return joined


def flags(cells: pd.DataFrame, flagged: Sequence[tuple[int, str]], states: Sequence[IntArray]) -> ObjectArray:
    """The set that yes/no columns spell out: words of those that say yes; `none` only where every one says no.

    flagged : place and word of each flag. states : their readings, 1 yes, 0 no, -1 not known, -2 unreadable.
    A cell that cannot be read as yes or no is passed on as written, so that it is reported.
    """
    result: ObjectArray = np.full(len(cells), "", dtype=object)
    all_no = np.ones(len(cells), dtype=bool)
    for (place, word), state in zip(flagged, states, strict=True):
        all_no &= state == 0
        written = cells[place].to_numpy(dtype=object)
        said: ObjectArray = np.where(state == 1, word, np.where(state == -2, written, ""))
        result = np.where((said != "") & (result != ""), result + ";" + said, result + said)
    return np.where(all_no & (result == ""), "none", result)


def holds_anything(cells: ObjectArray) -> BoolArray:
    """Cells that say something of their row: not empty, not recorded or a bare no. Shape (n,)."""
    return _where(cells, lambda text: not (not_recorded(text) or plain(text) in _BARE_NO))


def _where(cells: ObjectArray, test: Callable[[str], bool]) -> BoolArray:
    """The test of each distinct text, joined back to the cells."""
    codes, said = read_distinct(cells, test)
    return np.array(said, dtype=bool)[codes] if said else np.zeros(len(cells), dtype=bool)


def unfold(
    cells: pd.DataFrame, groups: dict[int, dict[str, tuple[int, ...]]]
) -> tuple[IntArray, dict[str, ObjectArray]]:
    """The rows that a sheet's repetitions make: the place of each one's source row, and its repeated columns.

    Rows follow the sheet, then the number of the repetition.

    >>> sheet = pd.DataFrame({0: ["L1", "T12"], 1: ["", "L2"]})
    >>> at, columns = unfold(sheet, {1: {"level": (0,)}, 2: {"level": (1,)}})
    >>> at.tolist(), columns["level"].tolist()
    ([0, 1, 1], ['L1', 'T12', 'L2'])
    """
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    empty: ObjectArray = np.full(len(cells), "", dtype=object)
    parts = {
        name: [join(cells, group[name]) if name in group else empty for group in groups.values()] for name in names
    }
    holds = np.zeros((len(cells), len(groups)), dtype=bool)
    for columns in parts.values():
        for k, column in enumerate(columns):
            holds[:, k] |= holds_anything(column)
    holds[~holds.any(axis=1), 0] = True
    at, which = np.nonzero(holds)
    stacked = {name: np.stack(columns, axis=1)[at, which] for name, columns in parts.items()}
    return at.astype(np.int64), stacked
