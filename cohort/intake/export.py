"""The canonical registry on disk: normalizing what is written here changes nothing and rejects nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from cohort.domain.errors import OutputError
from cohort.intake.assemble import written_text
from cohort.tables.results import Registry
from cohort.tables.safe_csv import guard, write_unquoted
from cohort.tables.schema import CANONICAL, REQUIRED_TABLES

Format = Literal["csv", "parquet"]


def write_canonical(registry: Registry, out: Path, format: Format = "csv") -> list[Path]:
    """Write the canonical tables, rejected.csv, accounting.csv and warnings.csv into the folder `out`.

    Optional tables that the source did not have are not written, and those of an earlier run are removed. Dates are ISO
    days, missing values empty cells.
    Raises OutputError when the folder cannot be written.
    """
    if format not in ("csv", "parquet"):
        raise OutputError(f"The format {format} is not known; choose csv or parquet.")
    written: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        # A table of an earlier run that this one does not have would be read as part of this registry.
        for name in CANONICAL:
            for suffix in ("csv", "parquet"):
                (out / f"{name}.{suffix}").unlink(missing_ok=True)
        there = set(registry.inputs["table"]) if len(registry.inputs) else set()
        for name in CANONICAL:
            frame = registry.tables[name]
            if name not in REQUIRED_TABLES and name not in there and not len(frame):
                continue
            path = out / f"{name}.{format}"
            if format == "csv":
                _write_csv(written_text(frame.drop(columns="source_row", errors="ignore")), path)
            else:
                _typed(frame.drop(columns="source_row", errors="ignore")).to_parquet(path, index=False)
            written.append(path)
        for label in ("rejected", "accounting", "warnings"):
            path = out / f"{label}.csv"
            _write_csv(getattr(registry, label), path)
            written.append(path)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}.") from error
    return written


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write text cells, formulas marked; only a table some of whose cells need quotes goes the slow way."""
    frame = guard(frame)
    if write_unquoted(frame, path):
        return
    # A lone carriage return in a cell ends a row unless it is quoted, which the csv module forgets.
    returns = any(frame[name].astype(str).str.contains("\r", regex=False).any() for name in _texts(frame))
    quoting: Literal[0, 1] = 1 if returns else 0  # csv.QUOTE_ALL, csv.QUOTE_MINIMAL
    frame.to_csv(path, index=False, lineterminator="\n", quoting=quoting, encoding="utf-8")


def _texts(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if frame[name].dtype == object]


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Vocabularies as plain text, so that other software reads them; dates and numbers keep their types."""
    words = {name: frame[name].astype(object) for name in frame.select_dtypes("category").columns}
    return frame.assign(**words)
