"""What travels between stages: the Registry, tidy Estimates, and the attrition of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cohort.domain.study import StudyDefinition
from cohort.tables.schema import CANONICAL, empty

REJECTED_COLUMNS = ("table", "source", "row", "column", "value", "reason")
WARNING_COLUMNS = ("table", "source", "row", "column", "value", "check", "outcome", "sentence")
ACCOUNTING_COLUMNS = ("table", "rows_read", "rows_accepted", "rows_rejected")
INPUT_COLUMNS = ("table", "source", "sheet", "bytes", "sha256", "encoding", "delimiter", "rows")

ESTIMATE_COLUMNS = (
    "outcome", "model", "term", "stratum", "time", "unit", "measure",
    "n_patients", "n_units", "n_events", "n_risk", "person_years",
    "estimate", "conf_low", "conf_high", "coef", "std_error", "naive_std_error", "statistic", "df", "p_value",
)  # fmt: skip


@dataclass(frozen=True)
class Registry:
    """Canonical tables with the account of every row read.

    tables : every canonical table by name; one that the source lacks is there, empty. Each frame has its canonical
        columns, then the carried covariates, then `source_row` (the row number a person sees in the source file,
        the header being row 1; 0 for rows made by software).
    rejected, warnings, accounting, inputs : as named in this module's *_COLUMNS; `warnings` also lists blanked values.
    """

    tables: Mapping[str, pd.DataFrame]
    study: StudyDefinition
    rejected: pd.DataFrame
    warnings: pd.DataFrame
    accounting: pd.DataFrame
    inputs: pd.DataFrame

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame], study: StudyDefinition | None = None) -> Registry:
        """A registry from tables that are canonical already (synthetic data, tests); nothing is checked."""
        full = {name: tables.get(name, empty(table)) for name, table in CANONICAL.items()}
        rows = [(name, len(frame), len(frame), 0) for name, frame in full.items()]
        return cls(
            full,
            study or StudyDefinition(),
            pd.DataFrame(columns=list(REJECTED_COLUMNS)),
            pd.DataFrame(columns=list(WARNING_COLUMNS)),
            pd.DataFrame(rows, columns=list(ACCOUNTING_COLUMNS)),
            pd.DataFrame(columns=list(INPUT_COLUMNS)),
        )


@dataclass(frozen=True)
class Estimates:
    """A tidy frame of estimates, unrounded, plus the settings that made it (method, convention, digests, versions)."""

    frame: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class CountingProcess:
    """Counting-process rows with what they mean.

    frame columns: id (one per unit; its rows are contiguous and do not overlap), cluster (the patient), entry, exit
    (days since the origin, `(entry, exit]`), cause (0 none or censored, 1.. causes), weight, stratum, and covariates.
    """

    frame: pd.DataFrame
    unit: str
    causes: tuple[str, ...]
    origin: str
    time_scale: str = "days"
    weight_kind: str = "frequency"


class Attrition:
    """Counts patients, vertebrae and sightings as a study narrows; one row per criterion, in the order applied."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def record(
        self,
        label: str,
        *,
        patients: int,
        vertebrae: int | None = None,
        sightings: int | None = None,
        reason: str = "",
    ) -> None:
        """Add a step: what remains after it, and the reason for what it left out."""
        before = self._rows[-1]["n_patients"] if self._rows else patients
        self._rows.append(
            {
                "step": len(self._rows) + 1,
                "label": label,
                "n_patients": patients,
                "n_vertebrae": vertebrae,
                "n_sightings": sightings,
                "excluded_patients": before - patients,
                "reason": reason,
            }
        )

    def frame(self) -> pd.DataFrame:
        """One row per step."""
        return pd.DataFrame(self._rows)
