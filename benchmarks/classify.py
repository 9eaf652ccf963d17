"""Sightings placed and time at risk counted, against a tuned R data.table script that must give the same tables.

python benchmarks/classify.py --patients 1000000 --repeats 1

A simulated registry is enriched until every rule of docs/definitions.md, section 4, has its cases, and written as
canonical CSVs. `benchmarks/classify.R`, our own stages and a bare `pandas.read_csv` of the same files run in turn, each
in a process of its own; the median counts. No ratio is printed unless both sides agree, sighting by sighting and cell
by cell. Ours also audits every row of every column, which the script does not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]

from cohort.domain.clock import IntArray
from cohort.domain.outcomes import KINDS
from cohort.domain.spine import LEVEL_DTYPE, code_at, position
from cohort.intake import write_canonical
from cohort.synthetic import simulate
from cohort.tables.results import Registry

Tables = dict[str, pd.DataFrame]
SCRIPT = Path(__file__).with_suffix(".R")
# Threads of data.table that wait for each other spin by default, which triples its time on a machine others use too.
ENVIRONMENT = os.environ | {"OMP_WAIT_POLICY": "passive"}
# Room from the start: R would else walk through millions of texts again and again for garbage, two fifths of its time.
HEAP = ("--min-nsize=30M", "--min-vsize=3G")
READ_CSV = """
import sys
from pathlib import Path
import pandas as pd
frames = [pd.read_csv(path, low_memory=False) for path in sorted(Path(sys.argv[1]).glob("*.csv"))]
"""
OURS = """
import json, sys, time
from pathlib import Path
from cohort import atrisk
from cohort.intake import read
from cohort.pipeline import prepare, printed_sightings
from cohort.cli import _write_table

folder, out = sys.argv[1], Path(sys.argv[2])
clock = [time.process_time()]
registry = read(folder)
assert not len(registry.rejected), registry.rejected.head().to_string()
clock.append(time.process_time())
cohort = prepare(registry)
clock.append(time.process_time())
counted = atrisk.person_time(*cohort.stages, by=["calendar_year"]).rename(columns={"calendar_year": "year"})
clock.append(time.process_time())
_write_table(printed_sightings(cohort.sightings), out / "sightings.csv")
_write_table(counted, out / "persontime.csv")
clock.append(time.process_time())
read_, classified, timed, written = (later - earlier for earlier, later in zip(clock, clock[1:]))
parts = {"read": read_, "compute": classified + timed, "write": written}
print(json.dumps(parts | {"classify": classified, "person-time": timed}))
"""
PARTS = ("read", "compute", "write", "classify", "person-time")


def enriched(tables: Tables, rng: np.random.Generator) -> Tables:
    """The clean tables with the cases that section 4 has rules for; every row stays one that intake accepts."""
    patients = reshaped(tables, rng)
    augmentations = treated_otherwise(tables["augmentations"], patients, rng)
    fractures = seen_otherwise(tables["fractures"], augmentations, patients, rng)
    n = len(patients)
    entered = patients["enrolled_on"] + days(rng.integers(1, 400, n))
    delayed, forgotten = rng.random(n) < 0.15, rng.random(n) < 0.15
    patients["enrolled_on"] = patients["enrolled_on"].mask(delayed, entered).mask(forgotten)
    # Linked deaths come after the follow-up, and some follow-up ends before the last finds.
    died = patients["death_date"].notna() & (rng.random(n) < 0.1)
    earlier = patients["follow_up_end"] - days(rng.integers(1, 300, n))
    patients["follow_up_end"] = patients["follow_up_end"].mask(died | (rng.random(n) < 0.05), earlier)
    return {
        "patients": patients,
        "augmentations": augmentations,
        "fractures": fractures,
        "excluded_levels": excluded(patients, rng),
    }


def days(number: np.ndarray) -> pd.Series:
    return pd.Series(pd.to_timedelta(number, unit="D"))


def reshaped(tables: Tables, rng: np.random.Generator) -> pd.DataFrame:
    """Patients, more of them with an unusual number of vertebrae, none of whose rows names one they then lack."""
    patients = tables["patients"].copy()
    n = len(patients)
    named = pd.concat([tables[name][["patient_id", "level"]] for name in ("augmentations", "fractures")])
    for column, usual, last in (("n_thoracic", 12, "T12"), ("n_lumbar", 5, "L5")):
        free = ~patients["patient_id"].isin(named.loc[named["level"] == last, "patient_id"])
        chosen = (patients[column] == usual) & (rng.random(n) < 0.05)
        more = rng.random(n) < 0.5
        patients[column] = patients[column].mask(chosen & more, usual + 1).mask(chosen & ~more & free, usual - 1)
        patients[column] = patients[column].mask((patients[column] == usual) & (rng.random(n) < 0.2))
    return patients


def spine(rows: pd.DataFrame, patients: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """Numbers of vertebrae of each row's patient."""
    own = patients.set_index("patient_id")[["n_thoracic", "n_lumbar"]].reindex(rows["patient_id"])
    n_thoracic, n_lumbar = own["n_thoracic"].fillna(12), own["n_lumbar"].fillna(5)
    return n_thoracic.to_numpy(np.int64), n_lumbar.to_numpy(np.int64)


def moved(rows: pd.DataFrame, patients: pd.DataFrame, by: np.ndarray) -> pd.DataFrame:
    """The rows some places further down their patient's own spine, within C1 to S1."""
    shape = spine(rows, patients)
    place = position(np.asarray(rows["level"].cat.codes, dtype=np.int64), *shape)
    code = code_at(np.clip(place + by, 0, 7 + shape[0] + shape[1]), *shape)
    return rows.assign(level=pd.Categorical.from_codes(code.tolist(), dtype=LEVEL_DTYPE))


def alive(rows: pd.DataFrame, patients: pd.DataFrame) -> pd.DataFrame:
    """The rows on or before their patient's death."""
    death = rows["patient_id"].map(patients.set_index("patient_id")["death_date"])
    return rows[~(rows["date"] > death)]


def drawn(frame: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    return frame[rng.random(len(frame)) < share].reset_index(drop=True)


def later(rows: pd.DataFrame, low: int, high: int, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(date=rows["date"] + days(rng.integers(low, high, len(rows))))


def stacked(parts: list[pd.DataFrame], key: str, letter: str) -> pd.DataFrame:
    """The parts below each other; rows after the first part get ids of their own, in no order of theirs."""
    rows = pd.concat(parts, ignore_index=True)
    n, added = len(parts[0]), len(rows) - len(parts[0])
    # Half of the new ids sort before the old ones as text.
    ids = np.array([f"{'09'[k % 2]}{letter}{k * 7919 % (added + 1):07d}{k}" for k in range(added)], dtype=object)
    rows[key] = np.concatenate([rows[key].to_numpy(dtype=object)[:n], ids])
    return rows


def treated_otherwise(table: pd.DataFrame, patients: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Augmentations with second sessions, doubled rows, other indications, rare levels, and none but a level known."""
    near = later(drawn(table, 0.06, rng), 1, 18, rng)
    near = moved(near, patients, rng.integers(-2, 3, len(near)))
    again = later(drawn(table, 0.03, rng), 1, 400, rng)
    doubled = drawn(table, 0.01, rng)
    far = drawn(table, 0.02, rng)
    far = moved(far, patients, np.where(rng.random(len(far)) < 0.5, 27, -rng.integers(3, 20, len(far))))
    rows = alive(stacked([table, near, again, doubled, far], "augmentation_id", "B"), patients).reset_index(drop=True)
    n = len(rows)
    # Some patients have cement in the sacrum and nowhere else.
    once = ~rows["patient_id"].duplicated(keep=False) & (rng.random(n) < 0.01)
    rows["level"] = rows["level"].mask(once, "S1")
    changed = rng.random(n)
    rows["indication"] = rows["indication"].mask(changed < 0.03, "prophylactic").mask(changed > 0.97, "tumour")
    rows["indication"] = rows["indication"].mask(rng.random(n) < 0.05)
    undated = rng.random(n) < 0.02
    rows["date_precision"] = rows["date_precision"].mask(undated, "before_index")
    rows["date"] = rows["date"].mask(undated)
    return rows


def seen_otherwise(
    table: pd.DataFrame, augmentations: pd.DataFrame, patients: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Fractures with repeated sightings, sightings about treatments, every kind, and clear films on part of them."""
    repeated = [
        later(drawn(table, share, rng), low, high, rng) for share, low, high in ((0.15, 0, 300), (0.08, 80, 200))
    ]
    twice = later(drawn(pd.concat(repeated), 0.3, rng), 0, 200, rng)
    there = augmentations[augmentations["date"].notna()]
    about = later(drawn(there, 0.12, rng), -20, 60, rng)
    about = moved(about, patients, rng.integers(-2, 3, len(about)))
    # Unjudged and never looked at before, on the days before a second session.
    second = there[there["augmentation_id"].str[1] == "B"]
    silent = later(drawn(second, 0.3, rng), -4, 1, rng).assign(silent=True)
    names = ["patient_id", "level", "date", "date_precision"]
    parts = [table, *repeated, twice, about[names], silent[[*names, "silent"]]]
    rows = alive(stacked(parts, "fracture_id", "G"), patients).reset_index(drop=True)
    n = len(rows)
    added = (np.arange(n) >= len(table)) & rows.pop("silent").isna().to_numpy()
    word = np.array(KINDS, dtype=object)[rng.integers(0, len(KINDS), n)]
    rows["kind"] = rows["kind"].mask(rng.random(n) < np.where(added, 0.6, 0.1), pd.Series(word))
    rows["kind"] = rows["kind"].astype(table["kind"].dtype).mask(added & (rng.random(n) < 0.3))
    clear = rows["date"] - days(rng.integers(1, 120, n))
    own = rows["last_clear_date"].where(~added)
    cleared = rng.random(n) < np.where(added, 0.5, np.where(np.arange(n) < len(table), 0.2, 0))
    rows["last_clear_date"] = own.where(own.notna() | ~cleared, clear)
    return rows.astype(table.dtypes.to_dict())


def excluded(patients: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Levels that cannot fracture, always or for a time, some twice."""
    chosen = patients.iloc[rng.choice(len(patients), len(patients) // 8)].reset_index(drop=True)
    n = len(chosen)
    rows = chosen[["patient_id"]].assign(level=pd.Categorical(["T12"] * n, dtype=LEVEL_DTYPE))
    rows = rows.iloc[(chosen["n_thoracic"] != 11).to_numpy()].reset_index(drop=True)
    rows = moved(rows, patients, rng.integers(-9, 7, len(rows)))
    start = pd.Timestamp("2009-01-01") + days(rng.integers(0, 3000, len(rows)))
    stop = start + days(rng.integers(1, 1500, len(rows)))
    rows["reason"] = "fused"
    rows["from"] = start.where(pd.Series(rng.random(len(rows)) < 0.6))
    rows["to"] = stop.where(pd.Series(rng.random(len(rows)) < 0.6))
    return rows.drop_duplicates(ignore_index=True)


def make(patients: int, seed: int, folder: Path) -> dict[str, int]:
    """Write the registry; the rows of each table."""
    tables = enriched(simulate(patients, seed), np.random.default_rng(seed))
    write_canonical(Registry.of(tables), folder)
    for extra in ("rejected.csv", "warnings.csv", "accounting.csv"):
        (folder / extra).unlink()
    return {name: len(frame) for name, frame in tables.items()}


class Run(NamedTuple):
    """One process: seconds on the wall and on the processors, peak memory in GB, and what it printed."""

    seconds: float
    processor: float
    gigabytes: float
    printed: str


def run(*command: str) -> Run:
    with tempfile.TemporaryFile() as printed:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=printed, env=ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read().decode()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {text}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6, text)


def same_sightings(ours: Path, theirs: Path) -> int:
    """Number of sightings; ends the run at the first column in which the two differ."""
    key = ["patient_id", "fracture_id"]
    text = pd.ArrowDtype(pa.string())
    right = pd.read_csv(theirs, dtype=text).sort_values(key, ignore_index=True)
    left = pd.read_csv(ours, dtype=text, usecols=list(right.columns)).sort_values(key, ignore_index=True)
    if right.duplicated(key).any() or not left[key].equals(right[key]):
        both = left[key].merge(right[key], how="outer", indicator=True)
        raise SystemExit(f"Not the same sightings:\n{both[both['_merge'] != 'both'].head(20).to_string()}")
    for name in right.columns:
        one, other = left[name].fillna(""), right[name].fillna("")
        if not one.equals(other):
            odd = (one != other).to_numpy()
            shown = left[odd].assign(r=right.loc[odd, name]).head(20)
            raise SystemExit(f"{odd.sum():,} sightings differ in {name} (r: what R says):\n{shown.T.to_string()}")
    return len(left)


def same_time(ours: Path, theirs: Path) -> str:
    """What was compared; ends the run where a cell differs."""
    left, right = pd.read_csv(ours), pd.read_csv(theirs)
    by, values = ["level", "role", "year"], ["vertebra_days", "events"]
    one, other = left.set_index(by), right.set_index(by)
    whole = one.join(other, how="outer", lsuffix="_ours", rsuffix="_r").fillna(0)
    odd = [(whole[f"{name}_ours"] != whole[f"{name}_r"]).to_numpy() for name in values]
    if np.any(odd) or len(one) != len(other):
        raise SystemExit(f"Cells of person-time differ:\n{whole[np.any(odd, axis=0)].to_string()}")
    return f"{len(one)} cells of {', '.join(by)} with {left['vertebra_days'].sum():,.0f} vertebra-days"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a folder in which the registry and both results stay")
    args = parser.parse_args()
    rscript = shutil.which("Rscript")
    with tempfile.TemporaryDirectory() as scratch:
        root = args.keep or Path(scratch)
        folder, ours, theirs = root / "registry", root / "ours", root / "r"
        for one in (folder, ours, theirs):
            one.mkdir(parents=True, exist_ok=True)
        # The peak of a process starts at that of its parent, so this one stays small.
        with ProcessPoolExecutor(1) as pool:
            counts = pool.submit(make, args.patients, args.seed, folder).result()
        commands = {
            "ours": (sys.executable, "-c", OURS, str(folder), str(ours)),
            "read_csv": (sys.executable, "-c", READ_CSV, str(folder)),
        }
        if rscript:
            commands = {"R": (rscript, *HEAP, str(SCRIPT), str(folder), str(theirs))} | commands
        measured: dict[str, list[Run]] = {name: [] for name in commands}
        for _ in range(args.repeats):
            for name, command in commands.items():
                measured[name].append(run(*command))
        print(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))
        if rscript:
            n = same_sightings(ours / "sightings.csv", theirs / "sightings.csv")
            print(f"equal: {n:,} sightings, {same_time(ours / 'persontime.csv', theirs / 'persontime.csv')}")
    report(measured, "R" if rscript else "read_csv")


def report(measured: dict[str, list[Run]], reference: str) -> None:
    if reference != "R":
        print("RSCRIPT IS MISSING: NOTHING WAS COMPARED WITH R; ratios are to pandas.read_csv", file=sys.stderr)
    seconds = {name: statistics.median(one.seconds for one in runs) for name, runs in measured.items()}
    processor = {name: statistics.median(one.processor for one in runs) for name, runs in measured.items()}
    peak = {name: max(one.gigabytes for one in runs) for name, runs in measured.items()}
    labels = {"R": "R data.table", "ours": "cohort, CSV to CSV", "read_csv": "pandas.read_csv, nothing else"}
    ratio = f"to {reference}"
    print(f"{'':32}{'seconds':>10}{ratio:>12}{'processor':>12}{ratio:>12}{'GB':>8}{ratio:>12}")
    for name in measured:
        cells = [
            f"{values[name]:{width}.2f}{values[name] / values[reference]:12.2f}"
            for values, width in ((seconds, 10), (processor, 12), (peak, 8))
        ]
        print(f"{labels[name]:32}{''.join(cells)}")
    # The same parts on both sides, so that the audit and the start of a process stand apart from the work.
    inside = [name for name in measured if name != "read_csv"]
    parts = {name: pd.DataFrame([json.loads(one.printed) for one in measured[name]]).median() for name in inside}
    print(
        f"\n{'processor seconds inside':32}"
        + "".join(f"{name:>10}" for name in inside)
        + (f"{ratio:>12}" if "R" in parts else "")
    )
    for part in PARTS:
        cells = [f"{own[part]:10.2f}" if part in own else " " * 10 for own in parts.values()]
        if all(part in own for own in parts.values()) and "R" in parts:
            cells.append(f"{parts['ours'][part] / parts['R'][part]:12.2f}")
        print(f"  {part:30}{''.join(cells)}")


if __name__ == "__main__":
    main()
