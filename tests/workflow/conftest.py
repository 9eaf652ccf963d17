"""Small raw registries written as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PATIENTS = """
    patient_id,sex,age_at_index,follow_up_end,death_date
    P1,female,78,2022-12-31,
    P2,male,81,2022-12-31,2021-08-01
    P3,female,70,2022-12-31,
"""
AUGMENTATIONS = """
    patient_id,date,level,cleft_before,leak
    P1,2021-01-10,L1,yes,disc_superior
    P2,2021-02-10,T12,no,none
    P3,2021-03-10,L3,no,none
"""
FRACTURES = """
    patient_id,date,level,kind,symptomatic
    P1,2021-04-20,T12,new,yes
    P2,2021-06-01,T12,progression,yes
    P3,2021-09-01,T8,new,no
"""


@pytest.fixture
def registry(tmp_path: Path) -> Callable[..., Path]:
    """Write a raw registry: table name = CSV text; leading spaces and blank lines are dropped."""

    def write(**tables: str | bytes) -> Path:
        folder = tmp_path / "registry"
        folder.mkdir(exist_ok=True)
        for name, text in tables.items():
            path = folder / (f"{name}.csv" if name != "study" else "study.toml")
            if isinstance(text, bytes):
                path.write_bytes(text)
            else:
                path.write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def tables() -> dict[str, str]:
    """Three patients with one adjacent, one same-level and one remote refracture."""
    return {"patients": PATIENTS, "augmentations": AUGMENTATIONS, "fractures": FRACTURES}
