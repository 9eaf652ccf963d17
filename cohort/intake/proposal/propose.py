"""Which sheet of a source is which canonical table, and how its columns would be mapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cohort.domain.errors import RegistryError
from cohort.intake.addresses import PostgresAddress
from cohort.intake.proposal.headers import key, table_names
from cohort.intake.proposal.match import Match, matches
from cohort.intake.proposal.preview import Sheet, sheets
from cohort.tables.schema import CANONICAL, REQUIRED_TABLES

NAMED: Final = 6.0  # a sheet of the table's name
OWN: Final = 2.0  # a column that only this table has
SHARED: Final = 0.3  # a column that many tables have: it says little of which this is


@dataclass(frozen=True)
class TableProposal:
    """One canonical table: its sheet, the matches, the columns that nothing takes, and the required ones missing."""

    table: str
    sheet: Sheet
    matches: tuple[Match, ...]
    carried: tuple[str, ...]
    missing: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Proposal:
    """What is proposed for a source. unused : labels of sheets that no table takes. refused : sentences."""

    tables: tuple[TableProposal, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    refused: tuple[str, ...]


def propose(source: Path | PostgresAddress, say: Callable[[str], None] | None = None) -> Proposal:
    """Propose a mapping for everything that a source holds.

    Raises RegistryError when nothing in it can be read as a table.
    """
    found, refused = sheets(source)
    if not found:
        raise RegistryError("Nothing in the source can be read as a table. " + " ".join(refused))
    candidates: dict[str, list[tuple[float, Sheet, list[Match]]]] = {}
    for sheet in found:
        if say is not None:
            say(f"Comparing {sheet.label}")
        for table in CANONICAL:
            matched = matches(sheet.grid, table)
            score = _score(table, sheet, matched)
            if score > 0:
                candidates.setdefault(table, []).append((score, sheet, matched))
    chosen = {table: max(options, key=lambda one: one[0]) for table, options in candidates.items()}
    chosen = _without_doubles(chosen)
    tables = tuple(
        _table(name, *chosen[name], chosen={n: (s, m) for n, (_, s, m) in chosen.items()})
        for name in CANONICAL
        if name in chosen
    )
    used = {proposal.sheet.label for proposal in tables}
    unused = tuple(sheet.label for sheet in found if sheet.label not in used)
    return Proposal(tables, tuple(n for n in REQUIRED_TABLES if n not in chosen), unused, tuple(refused))


def _score(table: str, sheet: Sheet, matched: list[Match]) -> float:
    """How much speaks for a sheet to be a table; 0 where one of its keys is missing or nothing is its own."""
    columns = {match.column for match in matched}
    named = bool({key(sheet.sheet), key(Path(sheet.file).stem)} & table_names(table))
    required = [name for name in CANONICAL[table].required if name not in columns]
    own = sum(match.own for match in matched)
    if "patient_id" not in columns or len(required) > (1 if named else 0) or not (named or own):
        return 0.0
    sure = sum(1.0 if match.certain else 0.5 for match in matched if match.own)
    return NAMED * named + OWN * sure + SHARED * (len(matched) - own) - len(required)


def _without_doubles(
    chosen: dict[str, tuple[float, Sheet, list[Match]]],
) -> dict[str, tuple[float, Sheet, list[Match]]]:
    """Of tables that would take the same columns of one sheet for their dates or levels, only the likeliest."""
    kept: dict[str, tuple[float, Sheet, list[Match]]] = {}
    taken: dict[tuple[str, int], str] = {}
    for table, (score, sheet, matched) in sorted(chosen.items(), key=lambda one: -one[1][0]):
        keys = [
            (sheet.label, place)
            for match in matched
            if match.column in CANONICAL[table].required and match.column != "patient_id"
            for place in match.unit.places
        ]
        if any(place in taken for place in keys):
            continue
        taken.update(dict.fromkeys(keys, table))
        kept[table] = (score, sheet, matched)
    return kept


def _table(
    name: str,
    score: float,
    sheet: Sheet,
    matched: list[Match],
    *,
    chosen: dict[str, tuple[Sheet, list[Match]]],
) -> TableProposal:
    sharing = [other for other, (its_sheet, _) in chosen.items() if its_sheet.label == sheet.label]
    own_places = {place for match in matched for place in match.unit.places}
    everywhere = {place for other in sharing for match in chosen[other][1] for place in match.unit.places}
    # Of a shared sheet, covariates go with the treated vertebra.
    bearer = "augmentations" if "augmentations" in sharing else sharing[0]
    carried = tuple(
        title
        for place, title in enumerate(sheet.grid.header)
        if title.strip() and place not in (everywhere if len(sharing) > 1 else own_places)
    )
    columns = {match.column for match in matched}
    missing = tuple(column for column in CANONICAL[name].required if column not in columns)
    named = {key(sheet.sheet), key(Path(sheet.file).stem)} & table_names(name)
    why = f"named so, and {len(matched)} columns match" if named else f"{len(matched)} columns match"
    return TableProposal(name, sheet, tuple(matched), carried if name == bearer else (), missing, why)
