"""How long the stages take, as ratios to a bare `pandas.read_csv` of the same tables in the same run.

python benchmarks/stages.py --patients 100000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from cohort import atrisk
from cohort.domain.study import StudyDefinition
from cohort.intake import read, write_canonical
from cohort.pipeline import like_for_like, prepare
from cohort.synthetic import simulate
from cohort.tables.results import Registry


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tables = simulate(args.patients, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "registry"
        write_canonical(Registry.of(tables), source)
        for extra in ("rejected.csv", "warnings.csv", "accounting.csv"):
            (source / extra).unlink()
        files = sorted(source.glob("*.csv"))
        reference, _ = timed(lambda: [pd.read_csv(path, dtype=str) for path in files])
        normalizing, registry = timed(lambda: read(source, StudyDefinition()))
    classifying, cohort = timed(lambda: prepare(registry))
    counting, _ = timed(lambda: atrisk.person_time(*cohort.stages))
    alike, _ = timed(lambda: like_for_like.of_cohort(cohort))
    rows = sum(len(frame) for frame in tables.values())
    print(f"{args.patients:,} patients, {rows:,} rows, {len(cohort.sightings):,} sightings")
    print(f"{'read_csv (reference)':24}{reference:8.2f} s   1.0")
    stages = {"normalize": normalizing, "classify": classifying, "persontime": counting, "like for like": alike}
    for name, seconds in stages.items():
        print(f"{name:24}{seconds:8.2f} s{seconds / reference:6.1f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
