"""The published figures as files: as they were gathered, with a registry's own beside them only when there is one."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from cohort.domain.errors import OutputError
from cohort.literature import beside, write_literature
from cohort.literature.tables import data_file
from cohort.literature.write import WRITTEN


def test_without_a_registry_the_published_tables_are_written_as_they_are(tmp_path):
    written = write_literature(tmp_path / "out")
    assert [path.name for path in written][:3] == ["figures.csv", "effects.csv", "review_statements.csv"]
    assert not (tmp_path / "out" / "comparison.csv").exists()
    shipped = [path for path in written if path.stem in WRITTEN]
    assert len(shipped) == len(WRITTEN) == 6
    for path in shipped:
        assert path.read_bytes() == data_file(path.stem).read_bytes()
    assert "confidence" in pd.read_csv(tmp_path / "out" / "figures.csv").columns


def test_the_audit_is_written_with_them_and_every_row_says_where_it_comes_from(tmp_path):
    written = write_literature(tmp_path)
    made = [path for path in written if path.stem not in WRITTEN]
    assert [path.name for path in made] == ["facts.csv", "recomputed.csv", "recomputed_effects.csv", "audit.csv"]
    for path in made:
        frame = pd.read_csv(path)
        assert frame[["source", "confidence"]].notna().all(axis=None), path.name


def test_with_a_registry_its_own_figures_stand_beside(tmp_path, incidence, rates, proportions):
    from cohort.domain.study import StudyDefinition
    from cohort.tables.like_for_like import LikeForLike
    from cohort.tables.results import Estimates

    alike = LikeForLike(
        Estimates(pd.DataFrame({"study_key": ["hand"], "quantity": ["=1+1"], "estimate": [1 / 3]})),
        pd.DataFrame({"study_key": ["hand"] * 6, "log_ratio": [0.1] * 6}),
    )
    own = SimpleNamespace(literature=beside(incidence, rates, proportions, StudyDefinition()), like_for_like=alike)
    written = write_literature(tmp_path, own)
    names = ["comparison.csv", "like_for_like.csv", "gap_steps.csv", "left_out.csv"]
    assert [path.name for path in written[-4:]] == names
    comparison = pd.read_csv(tmp_path / "comparison.csv")
    assert len(comparison) == len(own.literature)
    assert comparison["confidence"].notna().all()
    figures = pd.read_csv(tmp_path / "like_for_like.csv")
    assert figures["estimate"].tolist() == [1 / 3]
    assert not figures["quantity"].iloc[0].startswith("=")
    assert len(pd.read_csv(tmp_path / "gap_steps.csv")) == 6


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written to"):
        write_literature(tmp_path / "taken")
