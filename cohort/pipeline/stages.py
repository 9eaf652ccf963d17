"""The order of the stages: read, classify, follow. This package alone knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel

from cohort import atrisk, intake, refracture
from cohort.domain.errors import DefinitionError, EstimationError, RegistryError
from cohort.domain.study import StudyDefinition
from cohort.tables.results import CountingProcess, Estimates, Registry

Progress = Callable[[str], None]
CLASSIFY_COLUMNS = (
    "fracture_id", "patient_id", "date", "level", "implied", "repeat_of", "relation", "distance", "side", "sandwiched",
    "augmentation_id", "treated_for", "days_since", "relation_earliest", "kind_judged", "counted",
    "not_counted_because", "onset_unproven",
)  # fmt: skip


@dataclass(frozen=True)
class Cohort:
    """A registry whose sightings are placed: what every estimate of one study starts from."""

    registry: Registry
    sightings: pd.DataFrame
    augmentations: pd.DataFrame
    _first_events: dict[str, CountingProcess] = field(default_factory=dict, repr=False)

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The canonical tables."""
        return self.registry.tables

    @property
    def study(self) -> StudyDefinition:
        """The settings in force."""
        return self.registry.study

    @cached_property
    def follow_up(self) -> pd.DataFrame:
        """One row per patient: entry, exit, origin, and whether the main figures include them."""
        return atrisk.follow_up_table(self.tables, self.augmentations, self.study)

    @property
    def stages(self) -> tuple[Mapping[str, pd.DataFrame], pd.DataFrame, pd.DataFrame, StudyDefinition]:
        """The four arguments every function of `cohort.atrisk` takes."""
        return self.tables, self.sightings, self.augmentations, self.study

    def first_events(self, endpoint: str) -> CountingProcess:
        """Patient rows to the first refracture of an endpoint; made once, read by every figure that rests on them."""
        if endpoint not in self._first_events:
            rows = atrisk.first_event_rows(*self.stages, endpoint=endpoint)  # type: ignore[arg-type]
            self._first_events[endpoint] = rows
        return self._first_events[endpoint]


def read(
    source: str | Path, study: str | Path | StudyDefinition | None = None, *, progress: Progress | None = None
) -> Registry:
    """Read a raw registry into canonical tables, with every row accounted for.

    source : a folder of tables, a workbook, an SQLite file, or the URL of a database. study : a StudyDefinition, a
    study file, or None for `study.toml` in the folder (else the defaults).
    Raises RegistryError with a sentence where the source is no registry.
    """
    return intake.read(source, study, progress)


def check_accepted(registry: Registry) -> None:
    """Raise RegistryError when no patient was accepted."""
    if registry["patients"].empty:
        raise RegistryError(
            "No row of the patients table could be accepted, so there is nothing to report. "
            "`cohort normalize SOURCE --out DIR` writes each rejected row with its reason."
        )


def where_possible(estimated: Callable[[Cohort], Estimates], cohort: Cohort) -> Estimates:
    """What is estimated, or nothing: a registry of a few patients still has a report."""
    try:
        return estimated(cohort)
    except EstimationError:
        return Estimates(pd.DataFrame())


def prepare(registry: Registry) -> Cohort:
    """Classify a registry's sightings under its study."""
    study = registry.study
    classified = refracture.classify(
        registry.tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk
    )
    return Cohort(registry, classified.sightings, classified.augmentations)


def under(cohort: Cohort, study: StudyDefinition) -> Cohort:
    """The same registry under other settings."""
    return prepare(replace(cohort.registry, study=study))


def classify(registry: Registry) -> pd.DataFrame:
    """One row per sighting with its relation, attribution and whether it counts; columns as in docs/definitions.md."""
    return prepare(registry).sightings


def relations(registry: Registry) -> pd.DataFrame:
    """The long table: every sighting with every augmentation before it, and the relation to that one alone."""
    cohort = prepare(registry)
    return refracture.pairs(cohort.tables, cohort.sightings, reach=cohort.study.relation.reach)


def measures(registry: Registry) -> pd.DataFrame:
    """Compression, restoration, grade, leaks, cleft and cement of every treated vertebra, one row each.

    Every column has its formula, unit and source in `cohort.refracture.FORMULAS` and in docs/measures.md.
    """
    cohort = prepare(registry)
    return refracture.measures(
        cohort.tables, cohort.augmentations, cohort.study.judgement, cohort.study.exposures.junction
    )


def person_time(
    registry: Registry,
    by: Sequence[str] = (),
    *,
    ages: Sequence[int] = atrisk.AGES,
    days_since: Sequence[int] = atrisk.DAYS_SINCE,
) -> pd.DataFrame:
    """Vertebra-days at risk and counted refractures by level and role, over all patients but incomplete ones.

    by : further splits: "calendar_year", "age" (cut at `ages`), "since_procedure" (cut at `days_since`).

    >>> import cohort
    >>> counted = person_time(cohort.read("data/cases"), by=["calendar_year"])
    >>> counted.groupby("role", observed=True)["events"].sum().to_dict()
    {'treated': 4, 'adjacent': 2, 'remote': 1}
    """
    return atrisk.person_time(*prepare(registry).stages, by=by, ages=ages, days_since=days_since)


def at_risk(
    registry: Registry,
    *,
    unit: Literal["patient", "procedure", "treated_vertebra", "vertebra"] = "patient",
    endpoint: str = "composite",
    role: str = "adjacent",
    indication: str = "fracture",
    merge_staged: bool = False,
    changing: bool = False,
    split: Sequence[str] = (),
    ages: Sequence[int] = atrisk.AGES,
    days_since: Sequence[int] = atrisk.DAYS_SINCE,
) -> CountingProcess:
    """Counting-process rows for the estimators (docs/definitions.md, section 7, Rows for models).

    unit : "patient", time from the first procedure to the first refracture of `endpoint` (same, adjacent, remote,
        retreated, composite), death competing; with `changing`, split where treatment, findings and drugs change.
        "procedure", every procedure a clock of its own, with `merge_staged` only those that begin a treatment.
        "treated_vertebra", every vertebra treated for `indication`, to its first refracture. "vertebra", every vertebra
        in `role` (treated, adjacent, remote), where events recur.
    split : cut the rows further by "calendar_year", "age" (at `ages`), "since_procedure" (at `days_since`).

    Raises DefinitionError for a unit, endpoint, role, indication or split that does not exist.

    >>> import cohort
    >>> rows = at_risk(cohort.read("data/cases"), unit="treated_vertebra")
    >>> rows.causes, int((rows.frame["cause"] == 1).sum())
    (('same', 'death'), 4)
    """
    cohort = prepare(registry)
    if unit == "patient":
        rows_of = atrisk.changing_rows if changing else atrisk.first_event_rows
        rows = rows_of(*cohort.stages, endpoint=endpoint)  # type: ignore[arg-type]
    elif unit == "procedure":
        rows = atrisk.procedure_rows(*cohort.stages, endpoint=endpoint, merge_staged=merge_staged)
    elif unit == "treated_vertebra":
        rows = atrisk.treated_vertebra_rows(*cohort.stages, indication=indication)  # type: ignore[arg-type]
    elif unit == "vertebra":
        rows = atrisk.vertebra_rows(*cohort.stages, role=role)  # type: ignore[arg-type]
    else:
        raise DefinitionError(
            f"The unit {unit!r} is not known; it may be patient, procedure, treated_vertebra or vertebra."
        )
    if not split:
        return rows
    return atrisk.split_rows(
        rows, cohort.tables, cohort.augmentations, cohort.study, split, ages=ages, days_since=days_since
    )


def printed_sightings(sightings: pd.DataFrame) -> pd.DataFrame:
    """The sightings as `cohort classify` writes them: its columns, whole numbers without decimals, ISO dates."""
    frame = sightings.loc[:, list(CLASSIFY_COLUMNS)].copy()
    for name in ("distance", "days_since"):
        frame[name] = frame[name].astype("Int64")
    # Each day is written once, however many sightings it has; a missing one has the code -1 and stays missing.
    codes, days = pd.factorize(frame["date"])
    written = pd.Series([*pd.DatetimeIndex(days).strftime("%Y-%m-%d"), np.nan], dtype=object)
    frame["date"] = written.to_numpy()[codes]
    return frame


def settings_frame(study: StudyDefinition) -> pd.DataFrame:
    """Every setting with its value, its default and what it means."""
    rows: list[dict[str, Any]] = []
    for section, whole in type(study).model_fields.items():
        part = getattr(study, section)
        if section in ("reviewed", "tables"):
            continue
        default = whole.get_default(call_default_factory=True)
        for name, info in type(part).model_fields.items():
            rows.append(
                {
                    "section": section,
                    "setting": name,
                    "value": _text(getattr(part, name)),
                    "default": _text(getattr(default, name)),
                    "description": info.description or "",
                }
            )
    return pd.DataFrame(rows)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, BaseModel):
        return _text(value.model_dump(exclude_defaults=True))
    if isinstance(value, tuple):
        return ("; " if any(isinstance(item, BaseModel) for item in value) else ", ").join(map(_text, value))
    if value is None:
        return ""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
