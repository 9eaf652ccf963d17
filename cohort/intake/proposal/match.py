"""Which header of a sheet is which column of a table: by name first, then by likeness, with the values' word on it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from rapidfuzz import fuzz, process
from scipy.optimize import linear_sum_assignment

from cohort.intake.grid import Grid
from cohort.intake.ledger import ObjectArray
from cohort.intake.proposal.evidence import Evidence, evidence
from cohort.intake.proposal.headers import Known, key, known_headers
from cohort.tables.schema import CANONICAL

ALIKE: Final = 84.0  # of 100; below this two headers are not called alike
CERTAIN: Final = 0.85
LEAST: Final = 0.5
LEAST_KNOWN: Final = 0.38  # a header that is known is proposed, as doubtful, whatever its values say
_NUMBER: Final = re.compile(r"[0-9]{1,2}")


@dataclass(frozen=True)
class Unit:
    """One column of a sheet, or several that repeat (level_1, level_2): pattern holds {n} then."""

    name: str
    places: tuple[int, ...]
    repeats: bool = False


@dataclass(frozen=True)
class Match:
    """A unit proposed for a canonical column. own : whether the name is of this table alone."""

    unit: Unit
    column: str
    certain: bool
    own: bool
    why: str
    evidence: Evidence
    runners_up: tuple[str, ...] = ()


def units(header: Sequence[str]) -> list[Unit]:
    """The columns of a sheet; those that differ by one number only are one unit, and each of them one as well.

    >>> [(unit.name, unit.places) for unit in units(["id", "level 1", "level 2"])]
    [('id', (0,)), ('level 1', (1,)), ('level 2', (2,)), ('level {n}', (1, 2))]
    """
    single = [Unit(name, (place,)) for place, name in enumerate(header) if name.strip()]
    groups: dict[str, dict[int, int]] = defaultdict(dict)
    for unit in single:
        for found in _NUMBER.finditer(unit.name):
            pattern = f"{unit.name[: found.start()]}{{n}}{unit.name[found.end() :]}"
            if "{n}" not in unit.name:
                groups[pattern].setdefault(int(found[0]), unit.places[0])
    several = [Unit(p, tuple(at for _, at in sorted(g.items())), True) for p, g in groups.items() if len(g) > 1]
    return single + several


def matches(grid: Grid, table: str) -> list[Match]:
    """The best one-to-one assignment of a sheet's columns to those of a table."""
    known = known_headers(table)
    names = CANONICAL[table].names
    all_units = units(grid.header)
    scores = np.zeros((len(all_units), len(names)))
    found: dict[tuple[int, int], tuple[float, bool, str, Evidence]] = {}
    for row, unit in enumerate(all_units):
        said = key(unit.name.replace("{n}", " "))
        if not said or (unit.repeats and table == "patients"):
            continue
        for column, likeness, own, why in _named(said, known):
            place = names.index(column)
            proof = evidence(_cells(grid, unit), CANONICAL[table][column])
            score = likeness * (0.4 + 0.6 * proof.fit)
            if score > scores[row, place] and score >= (LEAST if likeness < 0.97 else LEAST_KNOWN):
                scores[row, place] = score
                found[row, place] = (likeness, own, why, proof)
    # A group that repeats goes before its members where both would do.
    scores += 0.01 * np.array([[unit.repeats] for unit in all_units]) * (scores > 0)
    chosen = []
    pairs = np.stack(linear_sum_assignment(-scores), axis=1).tolist()
    for row, place in pairs:
        if scores[row, place] <= 0:
            continue
        likeness, own, why, proof = found[row, place]
        near = np.flatnonzero(scores[:, place] > scores[row, place] - 0.1).tolist()
        rivals = [k for k in near if k != row]
        rivals = [k for k in rivals if not set(all_units[k].places) & set(all_units[row].places)]
        certain = likeness >= 0.97 and scores[row, place] >= CERTAIN * likeness and not rivals
        chosen.append(
            Match(all_units[row], names[place], certain, own, why, proof, tuple(all_units[k].name for k in rivals))
        )
    return _without_overlap(chosen)


def _named(said: str, known: dict[str, tuple[Known, ...]]) -> list[tuple[str, float, bool, str]]:
    """Columns that a header may stand for: column, likeness of the names (0 to 1), whether its own, and why."""
    if said in known:
        entries = known[said]
        return [(one.column, 1.0 if one.own else 0.98, one.own, f"header known ({one.language})") for one in entries]
    alike = process.extract(said, list(known), scorer=fuzz.token_sort_ratio, score_cutoff=ALIKE, limit=3)
    return [
        (one.column, 0.9 * score / 100, one.own, f"header like '{header}' ({one.language})")
        for header, score, _ in alike
        if len(header) > 3
        for one in known[header]
    ]


def _cells(grid: Grid, unit: Unit) -> ObjectArray:
    return np.concatenate([grid.cells[place].to_numpy(dtype=object) for place in unit.places[:6]])


def _without_overlap(chosen: list[Match]) -> list[Match]:
    """Drop a match whose columns a better one repeats over."""
    taken: set[int] = set()
    kept = []
    for match in sorted(chosen, key=lambda one: (not one.unit.repeats, not one.certain)):
        if not taken & set(match.unit.places):
            taken |= set(match.unit.places)
            kept.append(match)
    return sorted(kept, key=lambda one: one.unit.places)
