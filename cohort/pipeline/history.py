"""One patient out of a registry: the rules look at one patient at a time, so the others need not be classified."""

from __future__ import annotations

from dataclasses import replace

from cohort import atrisk
from cohort.domain.errors import RegistryError
from cohort.pipeline.stages import prepare
from cohort.tables.history import PatientHistory
from cohort.tables.results import Registry


def history(registry: Registry, patient_id: str) -> PatientHistory:
    """Everything the registry holds of one patient, and what the rules make of it.

    Raises RegistryError when no accepted row of patients has this id.

    >>> import cohort
    >>> found = history(cohort.read("data/cases"), "case1")
    >>> found.sightings.loc[found.sightings["counted"] == "yes", ["level", "relation"]].values.tolist()
    [['L3', 'adjacent'], ['L4', 'same']]
    """
    wanted = patient_id.strip()
    if not registry["patients"]["patient_id"].eq(wanted).any():
        raise RegistryError(
            "No accepted row of patients has this id. Ids are compared as they are written, capitals included; "
            "`cohort normalize SOURCE --out DIR` writes the accepted rows and the rejected ones, each with its reason."
        )
    tables = {
        name: frame[frame["patient_id"].eq(wanted)].reset_index(drop=True) for name, frame in registry.tables.items()
    }
    cohort = prepare(replace(registry, tables=tables))
    return PatientHistory(
        patient_id=wanted,
        tables=tables,
        sightings=cohort.sightings,
        augmentations=cohort.augmentations,
        follow_up=cohort.follow_up.iloc[0],
        windows=atrisk.risk_windows(*cohort.stages),
        study=cohort.study,
    )
