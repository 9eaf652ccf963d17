"""One wide sheet mapped onto several tables: each takes its own columns, and equal rows of these are one row.

A row in which a table's own columns, the patient aside, say nothing (empty, not recorded or a bare no) is no row of
that table. Columns that no table takes
are covariates of the treated vertebra.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.domain.study import SourceTable
from cohort.intake import reshape
from cohort.intake.reshape import folded
from cohort.intake.sources import RawTable, Sources
from cohort.tables.schema import CANONICAL


def project(raw: RawTable, sources: Sources, specs: Mapping[str, SourceTable]) -> RawTable:
    """The part of a sheet that belongs to one table; the raw table itself where it has its sheet to itself."""
    sharing = [name for name, other in sources.tables.items() if other.source == raw.source]
    if len(sharing) < 2:
        return raw
    own = _columns(raw, specs[raw.name], raw.name)
    covariates_with = "augmentations" if "augmentations" in sharing else sharing[0]
    if raw.name == covariates_with:
        taken = {place for name in sharing for place in _columns(raw, specs[name], name)}
        own = own + [place for place in range(len(raw.header)) if place not in taken]
    header = tuple(raw.header[place] for place in own)
    cells = raw.cells[own]
    text = cells.apply(lambda column: column.str.strip())
    filled = np.full(len(cells), raw.name == "patients")
    for place, name in zip(own, header, strict=True):
        if _target(name, specs[raw.name]) != "patient_id":
            filled |= reshape.holds_anything(cells[place].to_numpy(dtype=object))
    keep = filled & ~text.where(pd.Series(filled, index=text.index), "").duplicated().to_numpy()
    frame = cells[keep].reset_index(drop=True)
    frame.columns = pd.RangeIndex(len(own))
    # A row that cannot be laid under the header is rejected once, in the finest table.
    ragged = raw.ragged if raw.name == covariates_with else ()
    return RawTable(raw.name, raw.source, header, frame, raw.rows[keep], ragged)


def _columns(raw: RawTable, spec: SourceTable, name: str) -> list[int]:
    """Places of the columns that one table takes; one that the study file names goes before one that has the name."""
    layout = reshape.layout(raw.header, name, spec)
    renamed = {folded(old) for old in spec.rename}
    targets = {*(folded(new) for new in spec.rename.values()), *layout.targets, *map(folded, spec.constant)}
    canonical = set(CANONICAL[name].names)
    return [
        place
        for place, column in enumerate(raw.header)
        if folded(column) in renamed
        or place in layout.places
        or (folded(column) in canonical and folded(column) not in targets)
    ]


def _target(column: str, spec: SourceTable) -> str:
    rename = {folded(old): folded(new) for old, new in spec.rename.items()}
    return rename.get(folded(column), folded(column))
