"""A million raw augmentation rows normalized, against a bare `pandas.read_csv` of the same files in the same run.

python benchmarks/intake.py --rows 1000000

The rows are those of a synthetic registry as hospitals export it (many spellings, planted defects), copied under new
patient numbers until there are enough. Each run is a process of its own, so that its peak memory is its own; runs
alternate, and the median counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from cohort.synthetic import synthesize

TABLES = {"patients": "patients.csv", "augmentations": "procedures.csv"}
NORMALIZE = "import sys; from cohort.intake import read; registry = read(sys.argv[1])"
TIMED = """
import json, resource, time
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))
"""


def enlarge(source: Path, folder: Path, rows: int) -> dict[str, int]:
    """Copy patients and procedures of a small raw registry under new patient numbers until there are `rows`."""
    counts = {}
    frames = {
        "patients": pd.read_csv(source / "patients.csv", sep=";", dtype=str, encoding="latin-1", keep_default_na=False),
        "augmentations": pd.read_csv(source / "procedures.csv", dtype=str, keep_default_na=False),
    }
    copies = -(-rows // len(frames["augmentations"]))
    for name, frame in frames.items():
        parts = []
        for k in range(copies):
            part = frame.copy()
            for column in [c for c in frame.columns if c in ("PatNr", "pat", "proc_id")]:
                part[column] = part[column].where(part[column] == "", part[column] + f"-{k}")
            parts.append(part)
        whole = pd.concat(parts, ignore_index=True)
        whole = whole.head(rows) if name == "augmentations" else whole
        counts[name] = len(whole)
        encoding, delimiter = ("latin-1", ";") if name == "patients" else ("utf-8", ",")
        whole.to_csv(folder / TABLES[name], index=False, sep=delimiter, encoding=encoding)
    (folder / "fractures.csv").write_text("patient,found,vertebra\n", encoding="utf-8")
    kept = (source / "study.toml").read_text(encoding="utf-8")
    # Sections of tables that are not copied would name files that are not there.
    sections = kept.split("\n[")
    wanted = ("output", "tables.patients", "tables.augmentations", "tables.fractures.rename")
    text = "\n[".join(one for k, one in enumerate(sections) if k == 0 or one.split("]")[0].startswith(wanted))
    (folder / "study.toml").write_text(text + '\n[tables.fractures]\nfile = "fractures.csv"\n', encoding="utf-8")
    return counts


def run(code: str, *args: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(work=code), *args], capture_output=True, text=True, check=True
    )
    seconds, gigabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, gigabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        small, folder = Path(scratch, "small"), Path(scratch, "large")
        folder.mkdir()
        synthesize(2000, 1, small)
        counts = enlarge(small, folder, args.rows)
        paths = [str(folder / name) for name in ("patients.csv", "procedures.csv")]
        sizes = sum(Path(path).stat().st_size for path in paths) / 1e6
        print(
            f"{counts['augmentations']:,} augmentation rows and {counts['patients']:,} patients, {sizes:.0f} MB of CSV"
        )
        print(f"(made in {time.perf_counter() - start:.0f} s)")
        reference_code = (
            "import pandas as pd, sys\n"
            "pd.read_csv(sys.argv[1], sep=';', encoding='latin-1', low_memory=False)\n"
            "pd.read_csv(sys.argv[2], low_memory=False)"
        )
        measured: dict[str, list[tuple[float, float]]] = {"read_csv": [], "normalize": []}
        for _ in range(args.repeats):
            measured["read_csv"].append(run(reference_code, *paths))
            measured["normalize"].append(run(NORMALIZE, str(folder)))
    seconds = {name: statistics.median(s for s, _ in runs) for name, runs in measured.items()}
    peak = {name: max(g for _, g in runs) for name, runs in measured.items()}
    for name, label in (("read_csv", "pandas.read_csv (reference)"), ("normalize", "cohort.read, imports included")):
        print(f"{label:32}{seconds[name]:8.2f} s{seconds[name] / seconds['read_csv']:7.2f}{peak[name]:9.2f} GB")


if __name__ == "__main__":
    main()
