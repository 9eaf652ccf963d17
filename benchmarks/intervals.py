"""Do the intervals cover? Thousands of clustered registries with a known truth, and every kind of interval we print.

python benchmarks/intervals.py --registries 5000 --out benchmarks/intervals.json

Patients have one to four vertebrae whose times to refracture are exponential given two covariates (one of the patient,
one of the vertebra) and joined by a Gaussian copula: each vertebra on its own follows the model exactly, so the truth
of every marginal quantity is known, and the vertebrae of a patient resemble each other. Death (exponential) ends the
follow-up of all vertebrae of a patient at once; so does loss (uniform). Times are rounded up to whole days. Beside them
a registry of the same patients whose fractures recur (gamma frailty, so that counts are not Poisson), one of
subdistribution hazards, and simple counts for the exact intervals.

Scenarios differ in how many events are to be expected. An interval without limits (no event, say) is counted apart and
does not cover; the naive interval, which takes vertebrae for patients, stands beside.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import integrate, stats

from cohort import estimate

HORIZON = 365.0
RHO = 0.6  # of the copula
PATIENT, VERTEBRA = 0.6, 0.4  # log hazard ratios
DEATH = 1 / 1500.0  # per day
LAST = 900.0  # days; loss is uniform between 200 and this
Limits = tuple[float, float, float, float, float]  # estimate, low, high, naive low, naive high
NONE = (np.nan,) * 5


@dataclass(frozen=True)
class Scenario:
    """patients in a registry and how many refractures to expect within a year; late : a third enters late.

    rare : only intervals that are meant for so few events.
    """

    name: str
    patients: int
    events: float
    late: bool = False
    rare: bool = False


SCENARIOS = (
    Scenario("5 events", 300, 5, rare=True),
    Scenario("10 events", 300, 10),
    Scenario("30 events", 300, 30),
    Scenario("30 events, a third enters late", 300, 30, late=True),
    Scenario("100 events", 300, 100),
    Scenario("30 events in few patients", 40, 30),
)


def survival(t: Any, hazard: float) -> Any:
    """Share of vertebrae unbroken at t, over both covariates (1/2 and 3/10)."""
    return sum(
        p * np.exp(-hazard * np.exp(PATIENT * a + VERTEBRA * b) * t)
        for (a, b), p in zip([(0, 0), (0, 1), (1, 0), (1, 1)], np.outer([0.5, 0.5], [0.7, 0.3]).ravel(), strict=True)
    )


def group_survival(t: Any, hazard: float, patient: int) -> Any:
    """The same of patients with the covariate or without."""
    return sum(p * np.exp(-hazard * np.exp(PATIENT * patient + VERTEBRA * b) * t) for b, p in ((0, 0.7), (1, 0.3)))


def observed(t: Any) -> Any:
    """Share alive and not lost at t."""
    kept = np.clip((LAST - t) / (LAST - 200.0), 0.0, 1.0)
    return np.exp(-DEATH * t) * kept


def whole_days(free: Callable[[Any], Any], death: float = DEATH) -> float:
    """Incidence by the horizon, times rounded up to days, a refracture before a death of its day."""
    days = np.arange(0, int(HORIZON) + 1)
    s = free(days)
    return float(((s[:-1] - s[1:]) * np.exp(-death * days[:-1])).sum())


def hazard_for(scenario: Scenario) -> float:
    """The daily hazard that gives the wanted number of events within a year (2.5 vertebrae per patient, none late)."""
    per = scenario.events / (scenario.patients * 2.5)

    def expected(h: float) -> float:
        t = np.linspace(0, HORIZON, 2000)
        return float(integrate.trapezoid(-np.gradient(survival(t, h), t) * observed(t), t))

    low, high = 1e-8, 1.0
    for _ in range(200):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if expected(middle) < per else (low, middle)
    return float(low)


def truths(scenario: Scenario) -> dict[str, float]:
    """The true value of each interval, on the scale of its limits."""
    h = hazard_for(scenario)
    free = {k: (lambda t, k=k: group_survival(t, h, k)) for k in (0, 1)}
    incidence = whole_days(lambda t: survival(t, h))
    by_group = [whole_days(free[k]) for k in (0, 1)]
    days = np.arange(1, int(HORIZON) + 1)
    s = survival(np.arange(0, int(HORIZON) + 1), h)
    jumps = (s[:-1] - s[1:]) * np.exp(-DEATH * np.arange(0, int(HORIZON)))
    lost = float((jumps * (HORIZON - days)).sum())
    t = np.arange(0, int(LAST) + 2)
    at_risk, broke = survival(t, h) * observed(t), -np.diff(survival(t, h)) * observed(t[:-1] + 0.5)
    one, zero = by_group[1] / (1 - by_group[1]), by_group[0] / (1 - by_group[0])
    # Whole days: a hazard per day is 1 - exp(-h) of the day, and the sum of these is the cumulative hazard.
    step = 1 - s[1:] / s[:-1]
    alive = np.exp(-DEATH * np.arange(0, int(HORIZON)))
    return {
        "Kaplan-Meier, log-log": float(s[-1]),
        "Nelson-Aalen, log": float(step.sum()),
        "Aalen-Johansen, log-log": incidence,
        "Aalen-Johansen, log": incidence,
        "Aalen-Johansen, plain": incidence,
        "Aalen-Johansen, beta": incidence,
        "Incidence difference": by_group[1] - by_group[0],
        "Incidence ratio": by_group[1] / by_group[0],
        "Time lost, days": lost,
        "Rate per vertebra-year": float(broke.sum() / integrate.trapezoid(at_risk, t) * 365.25),
        "Cox, patient's covariate": np.exp(PATIENT),
        "Cox, vertebra's covariate": np.exp(VERTEBRA),
        "Poisson rate ratio": np.exp(PATIENT),
        "Odds ratio at a year (IPCW)": one / zero,
        "Fine-Gray": np.exp(0.5),
        "Andersen-Gill": np.exp(0.5),
        "Mean cumulative count": float((h * 2.5 * np.exp(0.25) * np.cosh(0.25) * alive).sum()),
        "Risk of a profile": whole_days(lambda t: np.exp(-h * np.exp(PATIENT + VERTEBRA) * t)),
        "Clopper-Pearson": incidence,
        "Wilson": incidence,
        "mid-P": incidence,
        "Exact Poisson": incidence * 100,
    }


def copula(patients: int, vertebrae: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One uniform number per vertebra; those of a patient are alike."""
    shared, own = random.standard_normal(patients)[vertebrae], random.standard_normal(len(vertebrae))
    return stats.norm.cdf(np.sqrt(RHO) * shared + np.sqrt(1 - RHO) * own)


@dataclass(frozen=True)
class Drawn:
    """One registry: vertebra rows, recurrent rows, subdistribution rows."""

    rows: pd.DataFrame
    recurrent: pd.DataFrame
    subdistribution: pd.DataFrame


def draw(scenario: Scenario, h: float, random: np.random.Generator) -> Drawn:
    """A registry of the scenario."""
    n = scenario.patients
    patient = np.repeat(np.arange(n), random.integers(1, 5, n))
    a, b = (random.random(n) < 0.5).astype(float), (random.random(len(patient)) < 0.3).astype(float)
    u = copula(n, patient, random)
    broke = np.ceil(-np.log(u) / (h * np.exp(PATIENT * a[patient] + VERTEBRA * b)))
    death, lost = np.ceil(random.exponential(1 / DEATH, n)), np.ceil(random.uniform(200, LAST, n))
    entry = (
        np.where(random.random(n) < 1 / 3, np.floor(random.uniform(1, 150, n)), 0.0) if scenario.late else np.zeros(n)
    )
    ended = np.minimum(death, lost)
    exit_ = np.minimum(broke, ended[patient])
    cause = np.where(broke <= ended[patient], 1, np.where(death[patient] <= lost[patient], 2, 0))
    rows = pd.DataFrame(
        {"id": np.arange(len(patient)), "patient": patient, "entry": entry[patient], "exit": exit_, "cause": cause,
         "event": (cause == 1) * 1, "a": a[patient], "b": b}
    )  # fmt: skip
    rows = rows[rows["exit"] > rows["entry"]].reset_index(drop=True)
    return Drawn(
        rows, _recurrent(a, ended, death, entry, h, random), _subdistribution(scenario, patient, a, entry, lost, random)
    )


def _recurrent(
    a: np.ndarray, ended: np.ndarray, death: np.ndarray, entry: np.ndarray, h: float, random: np.random.Generator
) -> pd.DataFrame:
    n = len(a)
    rate = 2.5 * h * np.exp(0.5 * a) * random.gamma(2.0, 0.5, n)
    counts = random.poisson(rate * ended)
    whose = np.repeat(np.arange(n), counts)
    when = np.ceil(random.random(len(whose)) * ended[whose])
    keep = when > entry[whose]
    episodes = pd.DataFrame({"patient": whose[keep], "exit": when[keep], "cause": 1}).drop_duplicates()
    ends = pd.DataFrame({"patient": np.arange(n), "exit": ended, "cause": np.where(death == ended, 2, 0)})
    ends = ends[ended > entry]
    rows = pd.concat([episodes, ends]).sort_values(["patient", "exit", "cause"], kind="stable", ignore_index=True)
    before = rows.groupby("patient")["exit"].shift()
    rows["entry"] = before.fillna(pd.Series(entry[rows["patient"]], index=rows.index))
    rows = rows[rows["exit"] > rows["entry"]].reset_index(drop=True)
    return rows.assign(a=a[rows["patient"]])


def _subdistribution(
    scenario: Scenario,
    patient: np.ndarray,
    a: np.ndarray,
    entry: np.ndarray,
    lost: np.ndarray,
    random: np.random.Generator,
) -> pd.DataFrame:
    # Fine and Gray's own way: the incidence of cause 1 is 1 - (1 - p (1 - exp(-t / 300)))^exp(0.5 a).
    p = min(0.9, scenario.events / len(patient) * 1.3)
    ratio = np.exp(0.5 * a[patient])
    whole = 1 - (1 - p) ** ratio
    u = copula(scenario.patients, patient, random)
    first = u < whole
    inner = (1 - (1 - np.minimum(u, whole * (1 - 1e-12))) ** (1 / ratio)) / p
    t = np.where(first, -300 * np.log(np.maximum(1 - inner, 1e-12)), random.exponential(900, len(patient)))
    t, out = np.ceil(np.maximum(t, 1e-9)), lost[patient]
    rows = pd.DataFrame(
        {"id": np.arange(len(patient)), "patient": patient, "entry": entry[patient], "exit": np.minimum(t, out),
         "cause": np.where(t <= out, np.where(first, 1, 2), 0), "a": a[patient]}
    )  # fmt: skip
    return rows[rows["exit"] > rows["entry"]].reset_index(drop=True)


def _row(frame: pd.DataFrame, naive: pd.DataFrame | None = None, **chosen: str) -> Limits:
    for name, value in chosen.items():
        frame = frame[frame[name] == value]
        naive = None if naive is None else naive[naive[name] == value]
    r = frame.iloc[0]
    beside = (np.nan, np.nan) if naive is None else (naive.iloc[0]["conf_low"], naive.iloc[0]["conf_high"])
    return r["estimate"], r["conf_low"], r["conf_high"], *beside


def _model(frame: pd.DataFrame, term: str) -> Limits:
    r = frame[frame["term"] == term].iloc[0]
    z = 1.959964 * r["naive_std_error"]
    return r["estimate"], r["conf_low"], r["conf_high"], np.exp(r["coef"] - z), np.exp(r["coef"] + z)


def intervals(drawn: Drawn, counts: tuple[int, int], poisson: int) -> dict[str, Limits]:
    """Every interval of one registry."""
    rows = drawn.rows
    late = {"entry": "entry"} if (rows["entry"] > 0).any() else {}
    of = {"exit": "exit", "id": "id", "cluster": "patient", **late}
    alone = {"exit": "exit", "id": "id", **late}
    at = [HORIZON]
    found: dict[str, Limits] = {}
    found["Kaplan-Meier, log-log"] = _row(
        estimate.kaplan_meier(rows, event="event", at=at, **of).frame,
        estimate.kaplan_meier(rows, event="event", at=at, **alone).frame,
    )
    found["Nelson-Aalen, log"] = _row(
        estimate.nelson_aalen(rows, event="event", at=at, **of).frame,
        estimate.nelson_aalen(rows, event="event", at=at, **alone).frame,
    )
    for conf_type in ("log-log", "log", "plain"):
        found[f"Aalen-Johansen, {conf_type}"] = _row(
            estimate.aalen_johansen(rows, cause="cause", at=at, conf_type=conf_type, **of).frame,
            estimate.aalen_johansen(rows, cause="cause", at=at, conf_type=conf_type, **alone).frame,
            outcome="1",
        )
    what: dict[str, Any] = {"curve": "aalen_johansen", "cause": "cause", "by": "a", "at": at}
    both, single = (estimate.compare_curves(rows, **what, **how).frame for how in (of, alone))
    for measure in ("difference", "ratio"):
        found[f"Incidence {measure}"] = _row(both, single, outcome="1", measure=measure)
    found["Time lost, days"] = _row(
        estimate.time_lost(rows, cause="cause", horizon=HORIZON, **of).frame,
        estimate.time_lost(rows, cause="cause", horizon=HORIZON, **alone).frame,
        outcome="1",
    )
    cox = estimate.cox(rows, ["a", "b"], event="event", **of).frame
    found["Cox, patient's covariate"], found["Cox, vertebra's covariate"] = _model(cox, "a"), _model(cox, "b")
    sums = rows.assign(years=(rows["exit"] - rows["entry"]) / 365.25, n=rows["event"])
    found["Poisson rate ratio"] = _model(
        estimate.poisson(sums, events="n", person_time="years", covariates=["a", "b"], cluster="patient").frame, "a"
    )
    found["Odds ratio at a year (IPCW)"] = _model(
        estimate.ipcw_logistic(rows, horizon=HORIZON, cause="cause", covariates=["a"], **of).frame, "a"
    )
    found["Fine-Gray"] = _model(estimate.fine_gray(drawn.subdistribution, ["a"], cause="cause", **of).frame, "a")
    again = drawn.recurrent
    whole = {"exit": "exit", "entry": "entry", "id": "patient"}
    found["Andersen-Gill"] = _model(estimate.recurrent(again, ["a"], event="cause", of=1, **whole).frame, "a")
    found["Mean cumulative count"] = _row(estimate.mean_cumulative_count(again, cause="cause", at=at, **whole).frame)
    found["Risk of a profile"] = _row(
        estimate.absolute_risk(rows, ["a", "b"], profiles={"a": [1.0], "b": [1.0]}, cause="cause", at=at, **of).frame,
        estimate.absolute_risk(
            rows, ["a", "b"], profiles={"a": [1.0], "b": [1.0]}, cause="cause", at=at, **alone
        ).frame,
        outcome="1",
    )
    return {**found, **rare_intervals(drawn, counts, poisson)}


def rare_intervals(drawn: Drawn, counts: tuple[int, int], poisson: int) -> dict[str, Limits]:
    """Those that are meant for few events."""
    rows = drawn.rows
    late = {"entry": "entry"} if (rows["entry"] > 0).any() else {}
    found: dict[str, Limits] = {}
    found["Aalen-Johansen, beta"] = _row(
        *(
            estimate.aalen_johansen(
                rows, exit="exit", id="id", cause="cause", at=[HORIZON], conf_type="beta", **late, **who
            ).frame
            for who in ({"cluster": "patient"}, {})
        ),
        outcome="1",
    )
    sums = rows.assign(days=rows["exit"] - rows["entry"], n=rows["event"])
    together = estimate.rate_by(sums, events="n", person_days="days", cluster="patient").frame
    exact = estimate.rate(int(sums["n"].sum()), float(sums["days"].sum())).frame
    found["Rate per vertebra-year"] = _row(together, exact)
    for name, method in (("Clopper-Pearson", "exact"), ("Wilson", "wilson"), ("mid-P", "mid-p")):
        found[name] = _row(estimate.proportion(*counts, method=method).frame)
    found["Exact Poisson"] = _row(estimate.rate(poisson, 100.0, time_unit="years", per=100.0).frame)
    return found


def one(scenario: Scenario, h: float, truth: dict[str, float], seed: int) -> dict[str, Limits]:
    """The intervals of one registry, by its seed."""
    random = np.random.default_rng(seed)
    drawn = draw(scenario, h, random)
    chosen = rare_intervals if scenario.rare else intervals
    p = truth["Clopper-Pearson"]
    counts = (int(random.binomial(scenario.patients, p)), scenario.patients)
    poisson = int(random.poisson(truth["Exact Poisson"]))
    return chosen(drawn, counts, poisson)


def part(work: tuple[Scenario, int, int]) -> dict[str, list[Limits]]:
    """The registries of seeds begin <= seed < end."""
    scenario, begin, end = work
    h, truth = hazard_for(scenario), truths(scenario)
    found: dict[str, list[Limits]] = {name: [] for name in truth}
    for seed in range(begin, end):
        for name, limits in one(scenario, h, truth, seed).items():
            found[name].append(limits)
    return found


def summary(scenario: Scenario, found: dict[str, np.ndarray], truth: dict[str, float]) -> list[dict[str, Any]]:
    """Coverage of each interval, and of the naive one."""
    rows = []
    for name, limits in found.items():
        if not len(limits):
            continue
        estimates, low, high, naive_low, naive_high = limits.T
        given = np.isfinite(low) & np.isfinite(high)
        covers = given & (low <= truth[name]) & (truth[name] <= high)
        naive = (naive_low <= truth[name]) & (truth[name] <= naive_high)
        rows.append(
            {
                "scenario": scenario.name,
                "interval": name,
                "truth": truth[name],
                "median": float(np.nanmedian(estimates)),
                "registries": len(limits),
                "with_limits": int(given.sum()),
                "coverage": float(covers[given].mean()) if given.any() else None,
                "below": float((high[given] < truth[name]).mean()) if given.any() else None,
                "above": float((low[given] > truth[name]).mean()) if given.any() else None,
                "naive_coverage": float(naive[np.isfinite(naive_low)].mean()) if np.isfinite(naive_low).any() else None,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registries", type=int, default=200)
    parser.add_argument("--scenario", type=int, nargs="*", help="which of them, from 0")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    stored: dict[str, list[dict[str, Any]]] = {}
    if args.out and args.out.exists():
        for row in json.loads(args.out.read_text(encoding="utf-8"))["intervals"]:
            stored.setdefault(row["scenario"], []).append(row)
    chosen = range(len(SCENARIOS)) if args.scenario is None else args.scenario
    for number in chosen:
        scenario, start = SCENARIOS[number], time.perf_counter()
        edges = np.linspace(0, args.registries, max(args.processes, args.registries // 50) + 1).astype(int) + args.seed
        with ProcessPoolExecutor(args.processes) as pool:
            parts = list(pool.map(part, [(scenario, int(a), int(b)) for a, b in pairwise(edges)]))
        truth = truths(scenario)
        found = {name: np.array([limits for one in parts for limits in one[name]], dtype=float) for name in truth}
        stored[scenario.name] = summary(scenario, found, truth)
        print(f"\n{scenario.name}: {args.registries} registries in {time.perf_counter() - start:.0f} s")
        for row in stored[scenario.name]:
            covers = "none" if row["coverage"] is None else f"{row['coverage']:.3f}"
            naive = "none" if row["naive_coverage"] is None else f"{row['naive_coverage']:.3f}"
            start_of_line = f"{row['interval']:32}{row['truth']:10.5f}{row['median']:10.5f}{row['with_limits']:7}"
            print(f"{start_of_line} {covers}  naive {naive}")
        if args.out:
            rows = [row for s in SCENARIOS for row in stored.get(s.name, [])]
            kept = {"scenarios": [asdict(s) for s in SCENARIOS], "seed": args.seed, "intervals": rows}
            args.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
