"""What a perfect report would find: the marginal value of every headline estimand, from millions of clean patients.

Conditional effects are not what a report estimates: frailty, selection by earlier fractures and adjustment sets that
are not the whole truth move them. The values here are limits in large samples of the report's own estimands:

- incidence: counted directly on uncensored follow-up (everybody from the first session to death or day 730);
- logistic odds ratios at one year: the same follow-up, death a non-event;
- rates and Cox coefficients: under the registry's own follow-up, with delayed entry, loss and data lock.

Patients whose first procedure treated a tumour are left out. Chunks of patients are averaged; the spread between
chunks gives the Monte Carlo standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cohort.domain.clock import DAYS_PER_YEAR, BoolArray, FloatArray, IntArray
from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition
from cohort.synthetic.intervals import (
    ADJACENT,
    REMOTE,
    TREATED,
    Rows,
    Segments,
    first_days,
    segments,
    stages,
    vertebra_rows,
)
from cohort.synthetic.people import People, draw_people
from cohort.synthetic.process import Refractures, Treatments, run
from cohort.synthetic.truth import DEFAULT, Parameters

STORED = Path(__file__).with_name("marginal.json")
WINDOWS = (90, 365, 730)
HORIZON = 365
ROLES = {"treated": TREATED, "adjacent": ADJACENT, "remote": REMOTE}
OUTCOMES = {"same": TREATED, "adjacent": ADJACENT, "remote": REMOTE}
Estimates = dict[str, float]
Columns = Mapping[str, FloatArray]


def marginal_values(
    n_chunks: int,
    seed: int,
    *,
    per_chunk: int = 100_000,
    parameters: Parameters = DEFAULT,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Marginal values as the content of `marginal.json`: provenance, and `values` with one record per estimand.

    A record's key reads `incidence/same/365`, `rate/vertebra/L1/adjacent`, `cox/adjacent/leak/adjusted` or
    `logistic/same/cleft/crude`. Incidences are fractions, rates per 1,000 vertebra-years or 100 patient-years, models
    log ratios. Runs about a quarter of a minute per 100,000 patients.
    """
    chunks: list[Estimates] = []
    for chunk in range(n_chunks):
        rng = np.random.default_rng([seed, chunk])
        chunks.append({**_without_censoring(per_chunk, rng, parameters), **_as_followed(per_chunk, rng, parameters)})
        if progress is not None:
            progress(f"{chunk + 1} of {n_chunks} chunks of {per_chunk} patients")
    values = []
    for key in chunks[0]:
        drawn = np.array([chunk[key] for chunk in chunks])
        error = float(drawn.std(ddof=1) / np.sqrt(n_chunks)) if n_chunks > 1 else None
        values.append({"key": key, "value": float(drawn.mean()), "monte_carlo_std_error": error})
    return {
        "parameters_sha256": parameters.digest,
        "n_patients_uncensored": n_chunks * per_chunk,
        "n_patients_as_followed": n_chunks * per_chunk,
        "n_chunks": n_chunks,
        "seed": seed,
        "method": (__doc__ or "").strip(),
        "values": values,
    }


def stored_values() -> dict[str, Any]:
    """The shipped marginal values of the default parameters.

    >>> stored_values()["parameters_sha256"] == DEFAULT.digest
    True
    """
    content: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return content


def store(n_chunks: int = 20, seed: int = 20171016, *, progress: Callable[[str], None] | None = None) -> Path:
    """Remake the shipped marginal values, to be done whenever `DEFAULT` changes; several minutes.

    `python -c "from cohort.synthetic.marginal import store; store(progress=print)"` does it.
    """
    content = marginal_values(n_chunks, seed, progress=progress)
    STORED.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return STORED


def _without_censoring(n: int, rng: np.random.Generator, truth: Parameters) -> Estimates:
    people = draw_people(n, rng, truth, potential=True)
    done, broken = run(people, rng, truth)
    main = ~people.tumour
    first = first_days(people, broken)
    result: Estimates = {}
    for window in WINDOWS:
        for name, day in first.items():
            result[f"incidence/{name.replace('_', '/')}/{window}"] = float((day[main] <= window).mean())
        died = people.death <= window
        for name in ("same", "adjacent", "remote", "any"):
            # On a day with both, the fracture came first: it was found on a living patient.
            before = died & (first[name] > window)
            label = "composite" if name == "any" else name
            result[f"incidence/{label}/death/{window}"] = float(before[main].mean())
        result[f"incidence/death/{window}"] = float(died[main].mean())

    columns = _at_entry(people, done)
    for outcome in ("same", "adjacent", "remote"):
        broke = (first[outcome] <= HORIZON)[main].astype(np.float64)
        for exposure, terms in adjustment_sets().items():
            for model, used in (("crude", (exposure,)), ("adjusted", (exposure, *terms))):
                design = np.column_stack([np.ones(int(main.sum())), *(columns[name][main] for name in used)])
                result[f"logistic/{outcome}/{exposure}/{model}"] = float(logistic(design, broke)[1])
    return result


def _as_followed(n: int, rng: np.random.Generator, truth: Parameters) -> Estimates:
    people = draw_people(n, rng, truth)
    done, broken = run(people, rng, truth)
    main = ~people.tumour
    kept = main[broken.patient] & (broken.day > people.entry[broken.patient])
    history = stages(done)
    cut = segments(people, done, broken, history, truth, main)
    result = _patient_rates(people, broken, kept, main)
    result |= _vertebra_rates(people, cut, broken, kept)
    for outcome, role in OUTCOMES.items():
        rows = vertebra_rows(cut, history, broken, role)
        columns = _covariates(people, rows)
        for exposure, terms in adjustment_sets().items():
            for model, used in (("crude", (exposure,)), ("adjusted", (exposure, *terms))):
                design = np.column_stack([columns[name] for name in used])
                coefficients = cox(rows.start, rows.stop, rows.count, rows.events, design)
                result[f"cox/{outcome}/{exposure}/{model}"] = float(coefficients[0])
    return result


def adjustment_sets() -> dict[str, tuple[str, ...]]:
    """Exposure and the covariates that a default study adjusts it for."""
    return dict(StudyDefinition().models.adjustment)


def _patient_columns(people: People) -> dict[str, FloatArray]:
    """Patient covariates on the scale of the models: age per 10 years, flags 0 and 1."""
    return {
        "age": people.age / 10,
        "female": people.female.astype(np.float64),
        "t_score": people.t_score,
        "corticosteroids": people.corticosteroids.astype(np.float64),
        "prior_fractures": people.prior_fractures.astype(np.float64),
    }


def _at_entry(people: People, done: Treatments) -> Columns:
    """Patient-level covariates of the logistic models, from the vertebrae of the first session."""
    first = done.day == 0
    who = done.patient[first]
    n = len(people)
    cleft, leak, restored = np.zeros(n), np.zeros(n), np.full(n, -np.inf)
    np.maximum.at(cleft, who, done.cleft[first])
    np.maximum.at(leak, who, (done.leak_superior | done.leak_inferior)[first])
    np.maximum.at(restored, who, done.restoration[first])
    on_drug = people.on_drug(np.arange(n), people.entry + 1).astype(np.float64)
    return _patient_columns(people) | {
        "cleft": cleft, "leak": leak, "height_restoration": 10 * restored, "anti_osteoporotic": on_drug,
    }  # fmt: skip


def _covariates(people: People, rows: Rows) -> Columns:
    return {name: values[rows.patient] for name, values in _patient_columns(people).items()} | {
        "cleft": rows.cleft.astype(np.float64),
        "leak": rows.leak.astype(np.float64),
        "height_restoration": 10 * rows.restoration,
        "anti_osteoporotic": rows.on_drug.astype(np.float64),
    }


def _patient_rates(people: People, broken: Refractures, kept: BoolArray, main: BoolArray) -> Estimates:
    """Counted refractures per 100 patient-years, recurrent ones too."""
    years = (people.exit - people.entry)[main].sum() / DAYS_PER_YEAR
    result: Estimates = {}
    for outcome, role in OUTCOMES.items():
        counted = kept & (broken.relation == role)
        if outcome == "same":
            counted &= broken.treated_for == 0
        result[f"rate/patient/{outcome}"] = float(100 * counted.sum() / years)
    result["rate/patient/any"] = sum(result.values())
    return result


def _vertebra_rates(people: People, cut: Segments, broken: Refractures, kept: BoolArray) -> Estimates:
    """Counted refractures per 1,000 vertebra-years by role, and by level and role."""
    codes = people.codes()
    days = np.zeros((len(ROLES), len(LEVELS)))
    length = np.broadcast_to((cut.stop - cut.start)[:, None], cut.role.shape)
    level = codes[cut.patient]
    for name, role in ROLES.items():
        there = cut.role == role
        days[ROLES[name]] = np.bincount(level[there], weights=length[there], minlength=len(LEVELS))
    counted = kept & ((broken.relation != TREATED) | (broken.treated_for == 0))
    events = np.zeros_like(days)
    np.add.at(events, (broken.relation[counted], codes[broken.patient, broken.column][counted]), 1)
    result = {}
    for name, role in ROLES.items():
        result[f"rate/vertebra/all/{name}"] = 1000 * DAYS_PER_YEAR * float(events[role].sum() / days[role].sum())
        for code in np.flatnonzero(days[role] > 0):
            rate = 1000 * DAYS_PER_YEAR * float(events[role, code] / days[role, code])
            result[f"rate/vertebra/{LEVELS[code]}/{name}"] = rate
    return result


def cox(
    start: IntArray, stop: IntArray, count: IntArray, events: IntArray, design: FloatArray, *, tolerance: float = 1e-9
) -> FloatArray:
    """Cox coefficients with Breslow's ties from sums by day; a row stands for `count` vertebrae, its events on `stop`.

    start, stop, count, events : int64, shape (n,). design : shape (n, p). Returns shape (p,).

    >>> one, two = np.array([0, 0, 0, 0]), np.array([1, 2, 3, 4])
    >>> cox(one, two, one + 1, np.array([1, 1, 1, 0]), np.array([[1.0], [0.0], [1.0], [0.0]])).round(4).tolist()
    [0.9406]
    """
    design = design - np.average(design, axis=0, weights=count)
    n_days, p = int(stop.max()) + 2, design.shape[1]
    origin = int(start.min())
    on, off, n_days = start + 1 - origin, stop + 1 - origin, n_days - origin + 1
    deaths = np.bincount(stop - origin, weights=events, minlength=n_days)
    busy = deaths > 0
    observed = events @ design
    beta = np.zeros(p)

    def at_risk(weight: FloatArray) -> FloatArray:
        change = np.bincount(on, weights=weight, minlength=n_days) - np.bincount(off, weights=weight, minlength=n_days)
        total: FloatArray = np.cumsum(change)[busy]
        return total

    for _ in range(25):
        weight = np.asarray(count * np.exp(design @ beta), dtype=np.float64)
        size = at_risk(weight)
        mean = np.column_stack([at_risk(weight * design[:, j]) / size for j in range(p)])
        information = np.zeros((p, p))
        for j in range(p):
            for k in range(j + 1):
                second = at_risk(weight * design[:, j] * design[:, k]) / size
                information[j, k] = information[k, j] = deaths[busy] @ (second - mean[:, j] * mean[:, k])
        step = np.linalg.solve(information, observed - deaths[busy] @ mean)
        beta = beta + step
        if np.abs(step).max() < tolerance:
            return beta
    raise ArithmeticError("The Cox model of the marginal values did not converge.")


def logistic(design: FloatArray, outcome: FloatArray, *, tolerance: float = 1e-9) -> FloatArray:
    """Logistic coefficients by Newton's method. design : shape (n, p), its first column ones; outcome : 0 or 1.

    >>> x = np.column_stack([np.ones(6), [0, 0, 0, 1, 1, 1]])
    >>> logistic(x, np.array([1.0, 0, 0, 1, 1, 0])).round(4).tolist()
    [-0.6931, 1.3863]
    """
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(outcome.mean() / (1 - outcome.mean()))
    for _ in range(25):
        fitted = 1 / (1 + np.exp(-(design @ beta)))
        information = (design * (fitted * (1 - fitted))[:, None]).T @ design
        step = np.linalg.solve(information, design.T @ (outcome - fitted))
        beta = beta + step
        if np.abs(step).max() < tolerance:
            return beta
    raise ArithmeticError("The logistic model of the marginal values did not converge.")
