"""What each printed estimate of a risk factor is worth: bias and coverage in registries with a known truth.

python benchmarks/risk_factors.py --registries 500 --out benchmarks/risk_factors.json

1,800 patients have one to three treated vertebrae. A cleft is commoner where bone is worse, and worse bone breaks again
more often (confounding); clefts go together within patients, and so do refractures (gamma frailty); death competes and
follow-up ends at different days. Then three clefts of ten were never looked for, more often where bone is better and
where the vertebra did not break again: missing at random given what is recorded, never taken as no.

The scenarios: ten refractures to expect, nine of them with a cleft (the large series of the review); the same without
any effect; and sixty refractures. Every estimate is made by the functions behind `cohort.risk_factors`, on the whole
data and on what would have been recorded; naive ones stand beside. The true hazard ratio is that of the simulation, the
true risks are means over two million vertebrae with and without a cleft, the true subdistribution ratio is what the
model tends to in a registry a hundred times as large.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline.factors import effects, missing, rare
from cohort.pipeline.factors.rows import Factor
from cohort.pipeline.risk import Exposure

HORIZON = 365
COVARIATES = ("t_score", "corticosteroids", "age")
CLEFT = Factor(Exposure("cleft", "Cleft"), COVARIATES, True, None)
ROWS = {"exit": "exit", "entry": "entry", "id": "id", "cluster": "cluster"}
SHAPE = 0.7  # of the Weibull times to refracture: early ones are more frequent
FRAILTY = 0.5  # variance between patients
DRAWS, ITERATIONS = 10, 5
MEASURES = ("hazard_ratio", "subdistribution_hazard_ratio", "risk_difference", "risk_ratio")


@dataclass(frozen=True)
class Scenario:
    """events : refractures to expect in a registry. ratio : the true hazard ratio of a cleft."""

    name: str
    events: float
    ratio: float
    patients: int = 1800


SCENARIOS = (
    Scenario("10 events, 9 with a cleft", 10, 16.0),
    Scenario("10 events, no effect", 10, 1.0),
    Scenario("60 events", 60, 2.5),
)


def vertebrae(rng: np.random.Generator, patients: int) -> pd.DataFrame:
    """Treated vertebrae with their findings, and the hazard that the cleft does not account for (per day, relative)."""
    per = rng.choice([1, 2, 3], patients, p=[0.75, 0.2, 0.05])
    cluster = np.repeat(np.arange(patients), per)
    t_score, age = rng.normal(-2.8, 0.9, patients), rng.normal(7.5, 0.8, patients)
    steroids = (rng.random(patients) < 0.15).astype(float)
    alike, frailty = rng.normal(0, 1, patients), rng.gamma(1 / FRAILTY, FRAILTY, patients)
    worse = -(t_score + 2.8)
    chance = -1.25 + 0.6 * worse + 0.7 * steroids + 0.3 * (age - 7.5) + alike
    cleft = rng.random(len(cluster)) < 1 / (1 + np.exp(-chance[cluster]))
    relative = frailty * np.exp(0.5 * worse + 0.8 * steroids + 0.2 * (age - 7.5))
    return pd.DataFrame(
        {
            "id": np.arange(len(cluster)),
            "cluster": cluster,
            "entry": 0.0,
            "cleft": cleft.astype(float),
            "t_score": t_score[cluster],
            "corticosteroids": steroids[cluster],
            "age": age[cluster],
            "relative": relative[cluster],
            "death_rate": (np.exp(0.3 * (age - 7.5)) * 0.10 / 365.25)[cluster],
        }
    )


def followed(rng: np.random.Generator, units: pd.DataFrame, base: float, ratio: float) -> pd.DataFrame:
    """Exit and cause (1 refracture, 2 death) of every vertebra; death and loss are the patient's."""
    n = int(units["cluster"].max()) + 1
    rate = base * units["relative"] * np.where(units["cleft"] == 1, ratio, 1.0)
    broke = (rng.exponential(1.0, len(units)) / rate) ** (1 / SHAPE)
    first = units.drop_duplicates("cluster")
    died = (rng.exponential(1.0, n) / first["death_rate"].to_numpy())[units["cluster"]]
    lost = rng.uniform(180, 1000, n)[units["cluster"]]
    exit_ = np.ceil(np.minimum(np.minimum(broke, died), lost))
    cause = np.select([broke <= np.minimum(died, lost), died <= lost], [1, 2], 0)
    return units.assign(exit=exit_, cause=cause)


def base_hazard(scenario: Scenario) -> float:
    """The baseline at which a registry has the events of the scenario on average."""
    rng = np.random.default_rng(1)
    units = vertebrae(rng, 100_000)
    low, high = 1e-9, 1e-2
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        found = followed(np.random.default_rng(2), units, middle, scenario.ratio)
        expected = (found["cause"] == 1).sum() * scenario.patients / 100_000
        low, high = (middle, high) if expected < scenario.events else (low, middle)
    return float(np.sqrt(low * high))


def truth(scenario: Scenario, base: float) -> dict[str, float]:
    """What each measure estimates; the subdistribution ratio is that of a large registry."""
    rng = np.random.default_rng(3)
    units = vertebrae(rng, 1_500_000)
    days = np.arange(1, HORIZON + 1)
    risk = []
    for ratio in (scenario.ratio, 1.0):
        rate = base * units["relative"].to_numpy() * ratio
        death = units["death_rate"].to_numpy()
        total, before = 0.0, np.ones(len(units))
        for day in days:  # hazards of a day, small enough that their order does not matter
            step = rate * (day**SHAPE - (day - 1) ** SHAPE)
            total += float((before * step).mean())
            before *= np.exp(-step - death)
        risk.append(total)
    large = followed(np.random.default_rng(4), vertebrae(np.random.default_rng(5), 180_000), base, scenario.ratio)
    sub = estimate.fine_gray(large, ["cleft", *COVARIATES], cause="cause", **ROWS).frame
    return {
        "hazard_ratio": scenario.ratio,
        "subdistribution_hazard_ratio": float(sub.loc[0, "estimate"]),
        "risk_difference": risk[0] - risk[1],
        "risk_ratio": risk[0] / risk[1],
    }


def unrecorded(rng: np.random.Generator, units: pd.DataFrame) -> pd.DataFrame:
    """The same with three clefts of ten missing at random, and a tenth of T-scores by age."""
    chance = -0.95 + 0.7 * (units["t_score"] + 2.8) - 1.2 * (units["cause"] == 1)
    gone = rng.random(len(units)) < 1 / (1 + np.exp(-chance))
    n = int(units["cluster"].max()) + 1
    age = units.drop_duplicates("cluster")["age"].to_numpy()
    no_scan = (rng.random(n) < 1 / (1 + np.exp(2.3 - 0.5 * (age - 7.5))))[units["cluster"]]
    return units.assign(cleft=units["cleft"].mask(gone), t_score=units["t_score"].mask(no_scan))


def estimates(units: pd.DataFrame, recorded: pd.DataFrame, seed: int) -> list[dict[str, object]]:
    """Every estimate of one registry."""
    rows: list[pd.DataFrame] = []

    def add(frame: pd.DataFrame, data: str, method: str) -> None:
        kept = frame.reindex(columns=["measure", "estimate", "conf_low", "conf_high"])
        rows.append(
            kept[kept["measure"].isin([*MEASURES, "rate_ratio", "odds_ratio"])].assign(data=data, method=method)
        )

    for data, frame in (("whole", units), ("recorded", recorded)):
        found = effects.effect_rows(CLEFT, frame, frame, horizon=HORIZON)
        for model in ("crude", "adjusted"):
            add(found[found["model"] == model], data, f"{model}, as printed")
        few = rare.rare_rows(CLEFT, frame, _patients(frame), horizon=HORIZON)
        for method in ("maximum likelihood", "Firth"):
            add(few[(few["model"] == "adjusted") & (few["method"] == method)], data, f"adjusted, {method}")
        for measure, method in (("rate_ratio", "exact"), ("odds_ratio", "exact")):
            add(few[(few["measure"] == measure) & (few["method"] == method)], data, "crude, exact")
        add(_one(frame.drop(columns="cluster"), ["cleft", *COVARIATES]), data, "adjusted, vertebrae taken for patients")
        terms = [*COVARIATES]
        logistic = effects.risks(frame, CLEFT, ["cleft", *terms], HORIZON, "logistic_ipcw")
        add(logistic, data, "adjusted, logistic model")
    add(_one(recorded.assign(cleft=recorded["cleft"].fillna(0.0)), ["cleft", *COVARIATES]), "recorded", "missing as no")
    indicator = recorded.assign(unknown=recorded["cleft"].isna().astype(float), cleft=recorded["cleft"].fillna(0.0))
    add(_one(indicator, ["cleft", "unknown", *COVARIATES]), "recorded", "missing as a category")
    filled = missing.Filled.of(recorded, [CLEFT], missing.Filling(DRAWS, ITERATIONS, seed, 0.0, 0.0))
    for name, penalized in (("imputed, as printed", "on_separation"), ("imputed, Firth", "always")):
        found = missing.imputed_rows(recorded, [CLEFT], filled, horizon=HORIZON, penalized=penalized)
        found = found[found["analysis"] == missing.IMPUTED]
        add(found if penalized == "on_separation" else found[found["measure"] == "hazard_ratio"], "recorded", name)
    frame = pd.concat(rows, ignore_index=True)
    return frame.to_dict("records")  # type: ignore[return-value]


def _one(frame: pd.DataFrame, terms: list[str]) -> pd.DataFrame:
    clock = {name: column for name, column in ROWS.items() if column in frame}
    try:
        found = estimate.cox(frame, terms, event="cause", of=1, **clock).frame
    except EstimationError:
        return pd.DataFrame([{"measure": "hazard_ratio"}])
    return found[found["term"] == "cleft"]


def _patients(units: pd.DataFrame) -> pd.DataFrame:
    """One row per patient: the first refracture of any vertebra; a cleft if any has one, unknown if it may have."""
    any_cleft = units.groupby("cluster")["cleft"].max()
    unknown = units["cleft"].isna().groupby(units["cluster"]).any() & (any_cleft != 1)
    ordered = units.sort_values(["cluster", "exit", "cause"], kind="stable").drop_duplicates("cluster")
    broke = units[units["cause"] == 1].sort_values("exit", kind="stable").drop_duplicates("cluster")
    first = pd.concat([broke, ordered[~ordered["cluster"].isin(broke["cluster"])]]).sort_values("cluster")
    return first.assign(cleft=any_cleft.mask(unknown).to_numpy()).reset_index(drop=True)


def one_registry(scenario: Scenario, base: float, seed: int) -> list[dict[str, object]]:
    """Simulate one registry and estimate everything."""
    rng = np.random.default_rng([1776, seed])
    units = followed(rng, vertebrae(rng, scenario.patients), base, scenario.ratio)
    recorded = unrecorded(rng, units)
    broke = units["cause"] == 1
    counts = {
        "n_events": int(broke.sum()),
        "n_exposed_events": int((broke & (units["cleft"] == 1)).sum()),
        "share_missing": float(recorded["cleft"].isna().mean()),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return [{**row, **counts, "registry": seed} for row in estimates(units, recorded, seed)]


def summary(found: pd.DataFrame, true: dict[str, float]) -> list[dict[str, object]]:
    """Bias, coverage and failures of each estimate over the registries."""
    rows = []
    for (data, method, measure), part in found.groupby(["data", "method", "measure"], sort=False):
        target = true.get(str(measure), true["hazard_ratio"] if measure == "rate_ratio" else true["risk_ratio"])
        ratio = measure != "risk_difference"
        value, low, high = (part[name].astype(float) for name in ("estimate", "conf_low", "conf_high"))
        finite = np.isfinite(value) & ((value > 0) | (not ratio))
        limited = low.notna() & high.notna()  # an exact interval may have no upper end
        error = np.log(value[finite] / target) if ratio else value[finite] - target
        covered = limited & (low <= target) & (target <= high)
        rows.append(
            {
                "data": data,
                "method": method,
                "measure": measure,
                "truth": target,
                "registries": len(part),
                "not_finite": int((~finite).sum()),
                "without_limits": int((~limited).sum()),
                "median": float(value[finite].median()) if finite.any() else None,
                "mean_error": float(error.mean()) if finite.any() else None,
                "median_error": float(error.median()) if finite.any() else None,
                "covered": int(covered.sum()),
                "above": int((limited & (low > target)).sum()),
                "below": int((limited & (high < target)).sum()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registries", type=int, default=20)
    parser.add_argument("--scenario", type=int, nargs="*", default=list(range(len(SCENARIOS))))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    stored = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    for scenario in (SCENARIOS[place] for place in given.scenario):
        base = base_hazard(scenario)
        true = truth(scenario, base)
        began = time.perf_counter()
        with ProcessPoolExecutor(given.workers) as pool:
            jobs = [pool.submit(one_registry, scenario, base, seed) for seed in range(given.registries)]
            found = []
            for done, job in enumerate(jobs, 1):
                found += job.result()
                if done % 20 == 0:
                    print(f"{scenario.name}: {done} of {given.registries}", flush=True)
        frame = pd.DataFrame(found)
        counts = frame.drop_duplicates("registry")[["n_events", "n_exposed_events", "share_missing"]].mean()
        stored[scenario.name] = {
            "scenario": asdict(scenario),
            "registries": given.registries,
            "draws": DRAWS,
            "mean_counts": counts.to_dict(),
            "seconds": round(time.perf_counter() - began),
            "estimates": summary(frame, true),
        }
        table = pd.DataFrame(stored[scenario.name]["estimates"])
        print(scenario.name, counts.round(3).to_dict(), f"{time.perf_counter() - began:.0f} s")
        print(table.to_string())
        if given.out:
            given.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
