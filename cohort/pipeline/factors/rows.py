"""The two kinds of rows behind a risk factor: what changes from day to day, and what was known at entry.

A hazard may follow what changes (a drug, a second procedure). A risk within a year, a subdistribution hazard and a
value to impute may not: their units have their exposures as known at entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from cohort import atrisk
from cohort.domain.errors import DefinitionError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline.occurrence import first_events
from cohort.pipeline.risk import COVARIATE_SCALE, EXPOSURES, ROLE_OF, Exposure, coded
from cohort.pipeline.stages import Cohort

ROWS: Final[dict[str, Any]] = {"exit": "exit", "entry": "entry", "id": "id", "cluster": "cluster"}
CLOCK: Final = (
    "id", "cluster", "entry", "exit", "cause", "weight", "stratum", "lower", "origin_date", "patient_id",
    "augmentation_id", "role", "level",
)  # fmt: skip
UNITS: Final = {"same": "treated vertebra", "adjacent": "patient", "remote": "patient"}


@dataclass(frozen=True)
class FactorRows:
    """Rows of one outcome, as counting-process rows with coded covariates (`risk.coded`).

    hazard : vertebrae at risk in the role of the outcome, exposures as they stand on each day; cause 1 is the outcome.
    units : treated vertebrae (same level) or patients, exposures as at entry; cause 1 is the outcome, 2 death.
    recorded : one row per unit with its exposures as the registry has them (no, not_assessable, yes, missing).
    patients : one row per patient to the first event of the outcome, exposures as at entry.
    """

    outcome: str
    hazard: pd.DataFrame
    units: pd.DataFrame
    recorded: pd.DataFrame
    patients: pd.DataFrame

    @property
    def unit(self) -> str:
        """What a row of `units` is."""
        return UNITS[self.outcome]

    @property
    def covariates(self) -> list[str]:
        """Columns that a model may take."""
        return [str(name) for name in self.units.columns if name not in CLOCK and name in self.hazard]


def rows_of(cohort: Cohort, outcome: str) -> FactorRows:
    """Both kinds of rows of an outcome: same, adjacent or remote.

    Raises DefinitionError for another outcome, EstimationError where nobody is at risk.
    """
    if outcome not in REFRACTURE_RELATIONS:
        raise DefinitionError(
            f"Risk factors of {outcome!r} are not known; the outcome is one of {', '.join(REFRACTURE_RELATIONS)}."
        )
    first = first_events(cohort, outcome).frame
    known = atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study)
    patients = first.merge(known.drop(columns=["id", "cluster"], errors="ignore"), on="patient_id", how="left")
    units = patients
    if outcome == "same":
        units = at_entry(atrisk.treated_vertebra_rows(*cohort.stages).frame)
    hazard = atrisk.vertebra_rows(*cohort.stages, role=ROLE_OF[outcome]).frame  # type: ignore[arg-type]
    recorded = units.drop_duplicates("id", ignore_index=True)
    return FactorRows(outcome, coded(hazard), coded(units), recorded, coded(patients))


def at_entry(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every covariate as in the first row of its unit, and joined where they touch.

    >>> days = pd.DataFrame({"id": [1, 1], "entry": [0, 5], "exit": [5, 9], "cause": [0, 1], "drug": [0.0, 1.0]})
    >>> at_entry(days).to_numpy().tolist()
    [[1.0, 0.0, 9.0, 1.0, 0.0]]
    """
    new = (rows["id"] != rows["id"].shift()) | (rows["entry"] != rows["exit"].shift())
    last = new.shift(-1, fill_value=True)
    joined = rows[new.to_numpy()].reset_index(drop=True)
    for name in ("exit", "cause", "lower"):
        if name in rows:
            joined[name] = rows.loc[last.to_numpy(), name].to_numpy()
    names = [name for name in rows.columns if name not in CLOCK]
    first = joined.drop_duplicates("id").set_index("id")[names]
    values = first.reindex(joined["id"]).reset_index(drop=True)
    return pd.concat([joined[[name for name in joined.columns if name in CLOCK]], values], axis=1)


@dataclass(frozen=True)
class Factor:
    """One exposure with its adjustment set.

    declared : whether the study file names a set for it; without one it stays crude. contrast : the two values whose
    risks are compared, as the models have them; None for yes/no.
    """

    exposure: Exposure
    adjusted_for: tuple[str, ...]
    declared: bool
    contrast: tuple[float, float] | None

    @property
    def name(self) -> str:
        """The column."""
        return self.exposure.name

    @property
    def terms(self) -> list[str]:
        """The exposure, then what it is adjusted for."""
        return [self.name, *self.adjusted_for]

    @property
    def models(self) -> list[tuple[str, list[str]]]:
        """Crude, and adjusted where there is a set: name and terms."""
        return [("crude", [self.name]), *([("adjusted", self.terms)] if self.adjusted_for else [])]

    @property
    def said(self) -> dict[str, str]:
        """The columns that name it in every frame."""
        return {"exposure": self.name, "label": self.exposure.label}


def factors_of(cohort: Cohort, rows: FactorRows, exposures: Sequence[str] | None) -> list[Factor]:
    """The exposures asked for (default: those of the report), each with the set that the study declares for it.

    Raises DefinitionError for no exposure at all, for a column that is not known at entry or that is words, and for a
    set that names its own exposure.
    """
    listed = {exposure.name: exposure for exposure in EXPOSURES}
    models = cohort.study.models
    if exposures is not None and not len(exposures):
        raise DefinitionError(f"No exposure was named. An exposure is one of {', '.join(rows.covariates)}.")
    found = []
    for name in dict.fromkeys(listed if exposures is None else exposures):
        if name not in rows.covariates:
            raise DefinitionError(
                f"'{name}' is no covariate known at entry. An exposure is one of {', '.join(rows.covariates)}, or a "
                "column of patients that the study file declares with timing = index."
            )
        if not pd.api.types.is_numeric_dtype(rows.units[name]):
            raise DefinitionError(f"'{name}' has several categories; give one yes/no column for each comparison.")
        adjusted_for = tuple(dict.fromkeys(models.adjustment.get(name, ())))
        if name in adjusted_for:
            raise DefinitionError(
                f"The adjustment set of '{name}' names '{name}' itself, beside which nothing of it is left. Take it "
                f"out of [models.adjustment], {name}."
            )
        scale = COVARIATE_SCALE.get(name, 1.0)
        between = models.contrasts.get(name)
        found.append(
            Factor(
                listed.get(name, Exposure(name, name.replace("_", " ").capitalize())),
                adjusted_for,
                name in models.adjustment,
                None if between is None or binary(rows.units[name]) else (between[0] * scale, between[1] * scale),
            )
        )
    return found


def binary(values: pd.Series) -> bool:
    """Whether a coded column is yes/no.

    >>> binary(pd.Series([0.0, 1.0, None])), binary(pd.Series([0.0, 0.5]))
    (True, False)
    """
    return bool(values.dropna().isin([0.0, 1.0]).all())


def varies(values: pd.Series) -> bool:
    """Whether a column has two values where it is known.

    >>> varies(pd.Series([1.0, None])), varies(pd.Series([1.0, 0.0]))
    (False, True)
    """
    known = values.dropna()
    return bool(len(known) and (known != known.iloc[0]).any())


def n_parameters(rows: pd.DataFrame, terms: Sequence[str]) -> int:
    """Coefficients that a model of complete rows has: one of a number, one less than its values of words.

    >>> n_parameters(pd.DataFrame({"age": [7.0, 8.0, 7.5], "site": pd.Categorical(["A", "B", "C"])}), ["age", "site"])
    3
    """
    words = [name for name in terms if isinstance(rows[name].dtype, pd.CategoricalDtype)]
    return len(terms) - len(words) + sum(max(1, rows[name].nunique() - 1) for name in words)


def said_together(*notes: object) -> str:
    """Notes one after the other, without those that are empty or missing.

    >>> said_together("few events", "", None, float("nan"), "patients")
    'few events; patients'
    """
    return "; ".join(note for note in notes if isinstance(note, str) and note)


def complete(rows: pd.DataFrame, terms: Sequence[str]) -> pd.DataFrame:
    """The rows without a missing term."""
    return rows[rows[list(terms)].notna().all(axis=1)]
