"""The published figures as files: as they were gathered, with a registry's own beside them only when there is one."""

from __future__ import annotations

import pandas as pd
import pytest

from cohort.domain.errors import OutputError
from cohort.literature import summary_lines, write_literature
from cohort.literature.tables import data_file
from cohort.literature.write import WRITTEN
from cohort.pipeline.compared import compared
from cohort.pipeline.stages import read
from cohort.tables.compared import Compared
from cohort.tables.like_for_like import LikeForLike
from cohort.tables.results import Estimates

ALONE = ["facts", "recomputed", "recomputed_effects", "audit", "reproduced", "pooled_studies", "pooled",
         "pooled_without_each"]  # fmt: skip
BESIDE = ["comparison", "like_for_like", "gap_steps", "left_out", "ratios", "registry_share", "pooled_with_registry",
          "toward_literature"]  # fmt: skip


@pytest.fixture(scope="module")
def alone():
    return compared()


@pytest.fixture(scope="module")
def of_cases():
    return compared(read("data/cases"))


def test_without_a_registry_the_published_tables_are_written_as_they_are(tmp_path, alone):
    written = write_literature(tmp_path / "out", alone)
    assert [path.name for path in written][:3] == ["figures.csv", "effects.csv", "review_statements.csv"]
    assert not (tmp_path / "out" / "comparison.csv").exists()
    shipped = [path for path in written if path.stem in WRITTEN]
    assert len(shipped) == len(WRITTEN) == 7
    for path in shipped:
        assert path.read_bytes() == data_file(path.stem).read_bytes()
    assert "confidence" in pd.read_csv(tmp_path / "out" / "figures.csv").columns


def test_what_was_recomputed_is_written_with_them_and_every_row_says_where_it_comes_from(tmp_path, alone):
    made = [path for path in write_literature(tmp_path, alone) if path.stem not in WRITTEN]
    assert [path.stem for path in made] == ALONE
    for path in made:
        frame = pd.read_csv(path)
        assert frame[["source", "confidence"]].notna().all(axis=None), path.name
        assert not (frame["source"] == "same page").any()


def test_every_published_figure_is_had_again_or_has_a_reason(tmp_path, alone):
    write_literature(tmp_path, alone)
    frame = pd.read_csv(tmp_path / "reproduced.csv")
    facts = pd.read_csv(tmp_path / "facts.csv")
    assert set(zip(frame["study_key"], frame["quantity"], strict=True)) == set(
        zip(facts["study_key"], facts["quantity"], strict=True)
    )
    not_made = frame[frame["verdict"] == "not reconstructable"]
    assert len(not_made) == 73
    assert not_made["reason"].notna().all()


def test_with_a_registry_its_own_figures_stand_beside(tmp_path, of_cases):
    written = write_literature(tmp_path, of_cases)
    assert [path.stem for path in written[-len(BESIDE) :]] == BESIDE
    comparison = pd.read_csv(tmp_path / "comparison.csv")
    assert len(comparison) == len(of_cases.review)
    assert comparison["confidence"].notna().all()
    assert len(pd.read_csv(tmp_path / "like_for_like.csv")) == 81
    assert set(pd.read_csv(tmp_path / "registry_share.csv")["relation"]) == {"same", "adjacent", "any"}


def test_no_text_of_a_registry_becomes_a_formula(tmp_path, alone):
    alike = LikeForLike(
        Estimates(pd.DataFrame({"study_key": ["hand"], "quantity": ["=1+1"], "estimate": [1 / 3]})),
        pd.DataFrame({"study_key": ["hand"] * 6, "log_ratio": [0.1] * 6}),
    )
    write_literature(tmp_path, Compared(alone.reviewed, alike=alike))
    figures = pd.read_csv(tmp_path / "like_for_like.csv")
    assert figures["estimate"].tolist() == [1 / 3]
    assert not figures["quantity"].iloc[0].startswith("=")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path, alone):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written to"):
        write_literature(tmp_path / "taken", alone)


def test_the_terminal_says_what_came_out_and_how_the_registry_compares(alone, of_cases):
    said = summary_lines(alone)
    assert said[0].startswith("43 statements of the review: 5 reproduced, 15 inconsistent, 4 units mixed,")
    assert any(line.startswith("  S09 (units mixed; reference does not match; inconsistent)") for line in said)
    assert any(line.startswith("133 figures recomputed, 18 of them the review's own: 39 as printed") for line in said)
    assert sum("martin2012" in line for line in said) == 2
    assert "141 printed numbers of 50 series run through the whole pipeline: 118 reproduced exactly" in "\n".join(said)
    assert not any("this registry" in line for line in said)
    beside = summary_lines(of_cases)
    assert "81 published figures counted in this registry as each study counted" in "\n".join(beside)
    assert beside[-1].startswith("88 published ratios, ")
    pooled = next(line for line in beside if line.startswith("  same, radiographic, patient: 23.0 % (13.4-36.5) of 8"))
    assert "another place 2.7 to 76.3 %; this registry" in pooled


def test_what_one_caller_changes_no_other_gets():
    first = compared().reviewed
    first.audit["verdict"] = "changed"
    first.pooled.frame["estimate"] = 0.0
    second = compared().reviewed
    assert "changed" not in set(second.audit["verdict"])
    assert (second.pooled.frame["estimate"] > 0).all()
