"""The schema as pandera contracts: what every canonical table must satisfy once it is normalized."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa

from cohort.domain.errors import RegistryError
from cohort.tables.schema import CANONICAL, Table


def contract(table: Table) -> pa.DataFrameSchema:
    """The pandera schema of one canonical table; columns beyond the canonical ones are covariates and pass."""
    columns = {}
    for column in table:
        checks = []
        if column.minimum is not None:
            checks.append(pa.Check.ge(column.minimum))
        if column.maximum is not None:
            checks.append(pa.Check.le(column.maximum))
        dated_otherwise = table.name == "augmentations" and column.name == "date"
        columns[column.name] = pa.Column(
            column.dtype,
            checks=checks,
            nullable=not column.required or dated_otherwise,
            unique=table.key == column.name,
            description=column.description,
        )
    return pa.DataFrameSchema(columns, strict=False)


def check(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame if it satisfies its contract.

    Raises RegistryError naming the first failing column; values are not shown, since they may identify a patient.
    """
    try:
        contract(CANONICAL[name]).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        raise RegistryError(f"Table {name}, column {first['column']}: {first['check']} does not hold.") from None
    return frame
