"""From a raw registry to canonical tables, with every row accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cohort.domain.study import StudyDefinition, load_study
from cohort.intake import sources
from cohort.intake.export import write_canonical
from cohort.intake.normalize import normalize
from cohort.tables.results import Registry

__all__ = ["read", "write_canonical"]


def read(
    source: str | Path, study: StudyDefinition | None = None, progress: Callable[[str], None] | None = None
) -> Registry:
    """Read a registry: a folder of tables (CSV, TSV, Excel, Parquet) or one workbook.

    study : settings and column mapping; default `SOURCE/study.toml`, else the built-in defaults.
    progress : called with a sentence per table.
    Raises RegistryError when the source cannot be read as a registry; rows that fail a check are in `.rejected`.
    """
    path = sources.check_source(source)
    if study is None:
        study = StudyDefinition()
        beside = path / "study.toml"
        if path.is_dir() and beside.is_file():
            sources.refuse_outside(path, beside)
            study = load_study(beside)
    if progress is not None:
        progress("Reading the tables")
    return normalize(sources.load(path, study), study, progress)
