"""Pages written from the code say what the code says."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
_spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


@pytest.mark.parametrize("name", sorted(build.PAGES))
def test_a_written_page_is_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == build.PAGES[name](), "run: python docs/build.py"
