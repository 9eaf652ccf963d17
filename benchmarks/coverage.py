"""Bias and coverage of every headline estimate against its marginal truth, on fixed seeds of clean patients.

    python benchmarks/coverage.py --seeds 100 --patients 2000 --out tests/gold/coverage.json

Each seed simulates a clean registry, runs the stages and estimates of the report on it, and asks whether each 95 %
interval holds the marginal value of `cohort/synthetic/marginal.json`. The binomial 99.9 % band says which coverages
chance alone can explain. With --messy the raw registry of each seed is written, read and analysed instead: its bias is
shown as it is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from cohort.pipeline import occurrence, prepare, read, risk
from cohort.synthetic import simulate, synthesize
from cohort.tables.results import Registry


def estimates(registry: Registry) -> pd.DataFrame:
    """Headline estimates of one registry under the keys of marginal.json: key, estimate, low, high (model scale)."""
    cohort = prepare(registry)
    rows = []
    for row in occurrence.incidence(cohort).frame.itertuples():
        prefix = "incidence" if row.curve == occurrence.PER_RELATION or row.outcome == "any" else "incidence/composite"
        rows.append((f"{prefix}/{row.outcome}/{int(row.time)}", row.estimate, row.conf_low, row.conf_high))
    rates = occurrence.rates(cohort).frame
    rates = rates[rates["variant"] == "main"]
    for row in rates[rates["unit"] == "vertebra"].itertuples():
        key = f"rate/vertebra/{row.level or 'all'}/{row.role}"
        rows.append((key, row.estimate, row.conf_low, row.conf_high))
    for row in rates[rates["unit"] == "patient"].itertuples():
        rows.append((f"rate/patient/{row.outcome}", row.estimate, row.conf_low, row.conf_high))
    for name, fitted in (("cox", risk.hazards(cohort)), ("logistic", risk.odds(cohort))):
        for row in fitted.frame.itertuples():
            key = f"{name}/{row.outcome}/{row.exposure}/{row.model}"
            rows.append((key, np.log(row.estimate), np.log(row.conf_low), np.log(row.conf_high)))
    return pd.DataFrame(rows, columns=["key", "estimate", "low", "high"])


def one(seed: int, patients: int, messy: bool) -> pd.DataFrame:
    if not messy:
        return estimates(Registry.of(simulate(patients, seed))).assign(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        synthesize(patients, seed, Path(folder))
        return estimates(read(folder)).assign(seed=seed)


def summarise(results: pd.DataFrame, truth: dict[str, float]) -> pd.DataFrame:
    results = results[results["key"].isin(truth)].copy()
    results["truth"] = results["key"].map(truth)
    usable = results.dropna(subset=["estimate", "low", "high"])
    usable = usable.assign(
        covered=(usable["low"] <= usable["truth"]) & (usable["truth"] <= usable["high"]),
        error=usable["estimate"] - usable["truth"],
    )
    grouped = usable.groupby("key", sort=False)
    table = grouped.agg(
        truth=("truth", "first"),
        mean=("estimate", "mean"),
        bias=("error", "mean"),
        sd=("estimate", "std"),
        coverage=("covered", "mean"),
        n=("covered", "size"),
    )
    table["bias_in_sd"] = table["bias"] / table["sd"]
    low, high = stats.binom.ppf([0.0005, 0.9995], table["n"].to_numpy()[:, None], 0.95).T / table["n"].to_numpy()
    table["band_low"], table["band_high"] = low, high
    table["within"] = (table["coverage"] >= low) & (table["coverage"] <= high)
    return table.reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--messy", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    stored = Path(__file__).parents[1] / "cohort" / "synthetic" / "marginal.json"
    truth = {entry["key"]: entry["value"] for entry in json.loads(stored.read_text())["values"]}
    job = partial(one, patients=args.patients, messy=args.messy)
    parts = []
    with ProcessPoolExecutor(args.workers) as pool:
        for done, part in enumerate(pool.map(job, range(1, args.seeds + 1)), 1):
            parts.append(part)
            print(f"\r{done} of {args.seeds} registries", end="", flush=True)
    print()
    table = summarise(pd.concat(parts, ignore_index=True), truth)
    with pd.option_context("display.width", 200, "display.max_rows", None, "display.float_format", "{:.4f}".format):
        print(table.to_string(index=False))
    print(f"{int(table['within'].sum())} of {len(table)} estimates cover within the binomial 99.9 % band")
    if args.out:
        record = {
            "seeds": args.seeds,
            "patients": args.patients,
            "messy": args.messy,
            "estimates": table.to_dict("records"),
        }
        args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
