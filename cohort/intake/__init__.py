"""From a raw registry to canonical tables, with every row accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cohort.domain.study import StudyDefinition, load_study
from cohort.intake import sources
from cohort.intake.addresses import PostgresAddress
from cohort.intake.export import write_canonical
from cohort.intake.normalize import normalize
from cohort.intake.places import refuse_outside
from cohort.tables.results import Registry

__all__ = ["definition_for", "read", "write_canonical"]


def definition_for(source: str | Path, study: str | Path | StudyDefinition | None = None) -> StudyDefinition:
    """The study given, else `SOURCE/study.toml`, else the built-in defaults.

    A workbook or database has no study file of its own, whatever lies beside it.
    """
    if isinstance(study, StudyDefinition):
        return study
    if study is not None:
        return load_study(Path(study))
    folder = sources.check_source(source)
    if isinstance(folder, PostgresAddress) or not (folder / "study.toml").is_file():
        return StudyDefinition()
    refuse_outside(folder, folder / "study.toml")
    return load_study(folder / "study.toml")


def read(
    source: str | Path,
    study: str | Path | StudyDefinition | None = None,
    progress: Callable[[str], None] | None = None,
) -> Registry:
    """Read a registry: a folder of tables (CSV, TSV, Excel, Parquet, SQLite), one workbook, or one database.

    source : a path, `sqlite:///file` or `postgresql://user@host/database`, whose password comes from the environment.
    study : settings and column mapping, or its file; default `SOURCE/study.toml`, else the built-in defaults.
    progress : called with a sentence per table.
    Raises RegistryError when the source cannot be read as a registry; rows that fail a check are in `.rejected`.
    """
    place = sources.check_source(source)
    definition = definition_for(source, study)
    if progress is not None:
        progress("Reading the tables")
    return normalize(sources.load(place, definition), definition, progress)
