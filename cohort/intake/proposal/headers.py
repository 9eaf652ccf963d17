"""What hospitals call the canonical columns, in five languages; kept as data in `headers.csv`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pandas as pd

from cohort.domain.written import bare
from cohort.tables.schema import CANONICAL

_SEPARATORS: Final = re.compile(r"[\s_\-./:()\[\]°#']+")
TABLE_NAMES: Final = {
    "patients": "patients|patient|demographics|baseline|stammdaten|patienten|pacientes|患者|病人|基本信息",
    "augmentations": "augmentations|procedures|procedure|operations|op|ops|surgery|surgeries|treatments|"
    "eingriffe|operationen|interventions|intervenciones|cirugias|procedimientos|手术|治疗",
    "fractures": "fractures|fracture|refractures|findings|frakturen|refrakturen|befunde|fracturas|"
    "refracturas|骨折|再骨折",
    "imaging": "imaging|films|film|radiographs|measurements|bildgebung|messungen|rontgen|imagerie|imagenes|"
    "radiografias|影像|测量",
    "imaging_studies": "imaging studies|studies|untersuchungen|examens|estudios|检查",
    "assessments": "assessments|visits|visit|follow up|pain|visiten|nachsorge|visites|visitas|seguimiento|随访",
    "medications": "medications|medication|drugs|medikamente|medikation|medicaments|traitements|medicamentos|"
    "medicacion|用药|药物",
    "excluded_levels": "excluded levels|excluded|fusions|ausgeschlossen|niveaux exclus|niveles excluidos",
}


@dataclass(frozen=True)
class Known:
    """A header somebody uses for a column. own : whether the name is this table's alone (`OP-Datum`)."""

    column: str
    language: str
    own: bool


def key(header: str) -> str:
    """A header as it is compared: without case, accents, separators and brackets.

    >>> key("OP-Datum"), key("T-Score (L1_L4)"), key("Âge"), key("手术日期")
    ('op datum', 't score l1 l4', 'age', '手术日期')
    """
    return " ".join(_SEPARATORS.sub(" ", bare(header)).split())


@cache
def known_headers(table: str) -> dict[str, tuple[Known, ...]]:
    """Every known header of one table, as compared, with the columns that it may stand for."""
    found: dict[str, list[Known]] = {}
    names = CANONICAL[table].names
    for name in names:
        generic = name in ("patient_id", "date", "level", "date_precision", "modality")
        found.setdefault(key(name), []).append(Known(name, "canonical name", not generic))
    for row in _data().itertuples():
        if row.table in (table, "*") and row.column in names:
            for header in str(row.headers).split("|"):
                entries = found.setdefault(key(header), [])
                if all(one.column != row.column for one in entries):
                    entries.append(Known(str(row.column), str(row.language), row.table == table))
    return {header: tuple(entries) for header, entries in found.items()}


@cache
def table_names(table: str) -> frozenset[str]:
    """Names that files and sheets of one table have, as compared."""
    return frozenset(map(key, TABLE_NAMES[table].split("|")))


@cache
def _data() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("headers.csv"), dtype=str)
