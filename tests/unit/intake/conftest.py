"""Small registries written as text: a table is its CSV, one line a row."""

from pathlib import Path
from textwrap import dedent

import pytest

from cohort.intake import read

PATIENTS = "patient_id,follow_up_end\nP1,2022-12-31\nP2,2022-12-31"
AUGMENTATIONS = "patient_id,date,level\nP1,2020-01-01,L1"
FRACTURES = "patient_id,date,level"


@pytest.fixture
def folder(tmp_path):
    """Write tables (text or bytes by file name) into a folder that is a whole registry otherwise."""

    def write(**tables) -> Path:
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        whole = {"patients": PATIENTS, "augmentations": AUGMENTATIONS, "fractures": FRACTURES} | tables
        for name, content in whole.items():
            if content is None:
                continue
            path = source / (name if "." in name else f"{name}.csv")
            path.write_bytes(content if isinstance(content, bytes) else dedent(content).strip().encode())
        return source

    return write


@pytest.fixture
def registry(folder):
    """Read a registry of the given tables."""

    def reading(study=None, **tables):
        return read(folder(**tables), study)

    return reading
