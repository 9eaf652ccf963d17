"""The guide to the literature runs as it stands, and its numbers are today's."""

import re
from pathlib import Path

import pytest

from cohort.literature import facts

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "literature.md").read_text(encoding="utf-8")


def test_every_line_of_the_guide_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        # The cases are read in the place of the larger registry: every line runs all the same, and sooner.
        exec(compile(block.replace("data/synthetic", "data/cases"), "docs/literature.md", "exec"), names)
    found = names["found"]
    assert len(found.figures) + len(found.left_out) == len(facts())
    assert len(found.steps.query("study_key == 'swissspine2013'")) == 6
    unlike = names["literature"].recompute()["verdict"]
    assert 0 < (unlike == "differs").sum() < len(unlike)


@pytest.mark.parametrize("name", ["facts", "recompute", "audit", "reconstruct", "reproduce", "like_for_like", "pool"])
def test_the_guide_speaks_of_every_way_to_use_the_literature(name):
    assert f"{name}(" in GUIDE


def test_the_guide_counts_the_figures_as_they_are():
    assert f"holds {len(facts())} published figures" in GUIDE
