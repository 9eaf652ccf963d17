"""A few seconds of `benchmarks/fuzz_parsers.py`: no text breaks a parser, and what is read reads as itself again."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "fuzz_parsers", Path(__file__).parents[3] / "benchmarks" / "fuzz_parsers.py"
)
fuzz_parsers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz_parsers)


def test_no_text_breaks_a_parser():
    broken = []
    counts = fuzz_parsers.fuzz(4, seed=7, report=broken.append)
    assert broken == []
    assert all(counts[kind] > 100 and counts[f"{kind} read"] > 0 for kind in fuzz_parsers.CHECKS)
