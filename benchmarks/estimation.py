"""How fast the estimators are beside R and lifelines: the same rows, the same answers, interleaved in one run.

python benchmarks/estimation.py --rows 10000 100000 1000000 --repeats 3 --out benchmarks/estimation.json

Ten covariates, whole days (so many ties), 15 to 30 per cent events. Every fit runs in a process of its own that reads
the rows first and times the fit alone; memory is the peak over what reading left. A contestant is left out of a size
when its time at the size before says it would need longer than --patience. Answers must agree with R, coefficients and
clustered standard errors to 1e-6 of themselves; those of crr (another convention for ties) and lifelines by their
coefficients, to 0.05 and 0.0001 of a standard error.
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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
P = 10
X = [f"x{k}" for k in range(P)]
COLUMNS = ["entry", "exit", "event", "cause", "id", "cluster", *X]
TASKS = {
    "cox_right": "Cox, right-censored, robust",
    "cox_start_stop": "Cox, start-stop, clustered",
    "fine_gray": "Fine-Gray, robust",
    "incidence": "Aalen-Johansen with errors",
}
CONTESTANTS = {
    "cox_right": ("ours", "R", "lifelines"),
    "cox_start_stop": ("ours", "R", "lifelines"),
    "fine_gray": ("ours", "R", "crr"),
    "incidence": ("ours", "R"),
}
GROWTH = {"lifelines": 100.0}  # how much longer ten times the rows take; others 12 times


def rows(task: str, n: int, seed: int = 20261128) -> pd.DataFrame:
    """Random rows with whole days; start-stop: four touching rows of each patient, an event at the end of any."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, P))
    x[:, 0] = random.random(n) < 0.3
    x[:, 1] = random.random(n) < 0.1
    effect = np.exp(0.4 * x[:, 0] - 0.2 * x[:, 2])
    unit = np.arange(n)
    entry = np.zeros(n)
    if task == "cox_start_stop":
        unit = unit // 4
        stops = np.cumsum(random.integers(1, 380, (len(unit) // 4 + 1, 4)), axis=1).ravel()[:n].astype(float)
        first = np.append(True, unit[1:] != unit[:-1])
        entry = np.where(first, 0.0, np.append(0.0, stops[:-1]))
        cause, exit_ = (random.random(n) < 0.15 * effect).astype(float), stops
    else:
        time_, death, lost = (
            random.exponential(2500, n) / effect,
            random.exponential(3000, n),
            random.uniform(1, 1500, n),
        )
        exit_ = np.ceil(np.minimum(np.minimum(time_, death), lost))
        cause = np.where(time_ <= np.minimum(death, lost), 1.0, np.where(death <= lost, 2.0, 0.0))
    frame = pd.DataFrame({"entry": entry, "exit": exit_, "event": cause == 1, "cause": cause})
    frame = frame.assign(id=unit, cluster=unit)
    return pd.concat([frame.astype(float), pd.DataFrame(x, columns=X)], axis=1)


def memory() -> float:
    """Peak megabytes of this process."""
    text = Path("/proc/self/status").read_text()
    return float(text.split("VmHWM:")[1].split()[0]) / 1000.0


def fit(task: str, who: str, data: Path, n: int) -> dict[str, Any]:
    """One fit in this process."""
    read = np.fromfile(data).reshape(len(COLUMNS), n)
    frame = pd.DataFrame({name: read[k] for k, name in enumerate(COLUMNS)})
    frame[["id", "cluster"]] = frame[["id", "cluster"]].astype(np.int64)
    del read
    frame = frame.copy()
    if who == "lifelines":
        import warnings

        from lifelines import CoxPHFitter

        warnings.simplefilter("ignore")
        columns = ["exit", "event", "cluster", *X] + (["entry"] if task == "cox_start_stop" else [])
        frame = frame[columns]

        def work() -> tuple[Any, Any]:
            entry = {"entry_col": "entry"} if task == "cox_start_stop" else {}
            model = CoxPHFitter().fit(
                frame, "exit", "event", cluster_col="cluster", robust=True, fit_options={"precision": 1e-10}, **entry
            )
            return model.params_[X], model.standard_errors_[X]
    else:
        from cohort import estimate

        def work() -> tuple[Any, Any]:
            if task == "incidence":
                read = estimate.aalen_johansen(frame, exit="exit", cause="cause", at=[90, 365, 730]).frame
                order = read.sort_values(["outcome", "time"], key=lambda s: s.map({"event_free": "0"}).fillna(s))
                return order["estimate"], order["std_error"]
            if task == "fine_gray":
                model = estimate.fine_gray(frame, X, exit="exit", cause="cause", cluster="cluster").frame
            elif task == "cox_right":
                model = estimate.cox(frame, X, exit="exit", event="event", cluster="cluster").frame
            else:
                model = estimate.cox(
                    frame, X, entry="entry", exit="exit", event="event", id="id", cluster="cluster"
                ).frame
            return model["coef"], model["std_error"]

    Path("/proc/self/clear_refs").write_text("5")
    before, start, cpu = memory(), time.perf_counter(), time.process_time()
    coef, error = work()
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu": used,
        "megabytes": memory() - before,
        "coef": list(map(float, coef)),
        "se": list(map(float, error)),
    }


def measured(task: str, who: str, data: Path, n: int) -> dict[str, Any]:
    """The fit of a contestant, in its own process."""
    if who in ("R", "crr"):
        name = "crr" if who == "crr" else task
        command = ["Rscript", str(HERE / "estimation.R"), name, str(data), str(n), ",".join(COLUMNS)]
    else:
        command = [sys.executable, __file__, "--fit", task, who, str(data), str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(ours: dict[str, Any], theirs: dict[str, Any], who: str) -> float:
    """Largest relative difference from R, or difference of coefficients in standard errors; asserts agreement."""
    a, b = (np.array([fit["coef"], fit["se"]]) for fit in (ours, theirs))
    if who == "R":
        largest = float(np.abs(a[0] - b[0]).max() / np.abs(b[0]).max())
        largest = max(largest, float((np.abs(a[1] - b[1]) / np.abs(b[1])).max()))
        assert largest < 1e-6, f"answers differ from R by {largest}"
        return largest
    largest = float((np.abs(a[0] - b[0]) / b[1]).max())
    assert largest < (0.05 if who == "crr" else 1e-4), f"coefficients differ from {who} by {largest} standard errors"
    return largest


def run(tasks: list[str], sizes: list[int], repeats: int, patience: float) -> list[dict[str, Any]]:
    """Each task at every size, contestants taking turns."""
    found: list[dict[str, Any]] = []
    have_r = shutil.which("Rscript") is not None
    for task in tasks:
        title = TASKS[task]
        last: dict[str, float] = {}
        for n in sizes:
            contestants = [
                who
                for who in CONTESTANTS[task]
                if (have_r or who not in ("R", "crr")) and last.get(who, 0.0) * GROWTH.get(who, 12.0) <= patience
            ]
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "rows"
                rows(task, n)[COLUMNS].to_numpy().T.tofile(data)
                fits: dict[str, list[dict[str, Any]]] = {who: [] for who in contestants}
                for _ in range(repeats):
                    for who in contestants:
                        if fits[who] and fits[who][-1].get("seconds", patience) > patience / 3:
                            continue  # once is enough for what takes minutes
                        fits[who].append(measured(task, who, data, n))
            ours = fits["ours"][0]
            for who in contestants:
                done = [one for one in fits[who] if "failed" not in one]
                row: dict[str, Any] = {"task": task, "title": title, "rows": n, "who": who, "runs": len(done)}
                if not done:
                    row["failed"] = fits[who][0]["failed"]
                    last[who] = patience
                else:
                    for name in ("seconds", "cpu", "megabytes"):
                        row[name] = statistics.median(one[name] for one in done)
                    row["ratio"] = row["seconds"] / statistics.median(one["seconds"] for one in fits["ours"])
                    row["difference"] = 0.0 if who == "ours" else compare(ours, done[0], who)
                    last[who] = row["seconds"]
                found.append(row)
                print(line(row), flush=True)
    return found


def line(row: dict[str, Any]) -> str:
    """One printed row."""
    start = f"{row['title']:30}{row['rows']:>10,}  {row['who']:10}"
    if "failed" in row:
        return f"{start} failed: {row['failed']}"
    return (
        f"{start}{row['seconds']:9.3f} s {row['cpu']:9.3f} s cpu {row['megabytes']:8.0f} MB"
        f"  x{row['ratio']:<8.1f} differs by {row['difference']:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument(
        "--task", nargs="+", choices=list(TASKS), default=list(TASKS), help="others keep what is stored"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--patience", type=float, default=300.0, help="seconds a fit may be expected to take")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        task, who, data, n = args.fit
        print(json.dumps(fit(task, who, Path(data), int(n))))
        return
    found = run(args.task, args.rows, args.repeats, args.patience)
    if args.out:
        if args.out.exists():
            found += [row for row in json.loads(args.out.read_text())["rows"] if row["task"] not in args.task]
        found.sort(key=lambda row: list(TASKS).index(row["task"]))
        stored = {"processors": os.cpu_count(), "repeats": args.repeats, "rows": found}
        args.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
