"""Clean canonical tables of synthetic patients: every sighting is a true fracture, every true fracture one sighting.

Nothing is missing, planted or mistyped here; what hospitals do to such tables is `cohort.synthetic.mess`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, product

import numpy as np
import pandas as pd

from cohort.domain.clock import NEVER, BoolArray, IntArray, to_dates
from cohort.domain.errors import UsageError
from cohort.domain.spine import LEVEL_DTYPE
from cohort.synthetic.people import DRUGS, INTERVALS, SITES, WIDTH, People, draw_people
from cohort.synthetic.process import FOR_FRACTURE, SAME, Refractures, Treatments, run
from cohort.synthetic.truth import DEFAULT, Parameters
from cohort.tables.contracts import check
from cohort.tables.drugs import drug_of
from cohort.tables.schema import CANONICAL

_LEAKS = ("disc_superior", "disc_inferior", "epidural", "paravertebral", "venous")
_LEAK_CELLS = np.array(
    [";".join(compress(_LEAKS, there)) or "none" for there in product((False, True), repeat=len(_LEAKS))], dtype=object
)


def simulate(n_patients: int, seed: int, *, parameters: Parameters = DEFAULT) -> dict[str, pd.DataFrame]:
    """Clean canonical tables patients, augmentations, fractures and medications of `n_patients` patients.

    n_patients : patients in the registry, at least 1. Each is alive at enrolment and followed for at least a day.
    seed : the same seed gives the same tables.
    parameters : the truth; `cohort.synthetic.truth.DEFAULT` is the one the shipped marginal values belong to.

    Raises UsageError if `n_patients` is below 1.

    >>> tables = simulate(50, seed=1)
    >>> list(tables), len(tables["patients"])
    (['patients', 'augmentations', 'fractures', 'medications'], 50)
    """
    if n_patients < 1:
        raise UsageError(f"A registry needs at least one patient; {n_patients} were asked for.")
    rng = np.random.default_rng(seed)
    people = draw_people(n_patients, rng, parameters)
    treatments, refractures = run(people, rng, parameters)
    return clean_tables(people, treatments, refractures, rng)


def clean_tables(
    people: People, treatments: Treatments, refractures: Refractures, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """The canonical tables of a simulated history; what carries no hazard (cement, modality, ...) is drawn here."""
    width = max(6, len(str(len(people))))
    ids = np.array([f"P{k:0{width}d}" for k in range(1, len(people) + 1)], dtype=object)
    codes = people.codes()
    tables = {
        "patients": _patients(people, ids),
        "augmentations": _augmentations(people, treatments, ids, codes, rng),
        "fractures": _fractures(people, treatments, refractures, ids, codes, rng),
        "medications": _medications(people, ids, rng),
    }
    return {name: check(name, frame) for name, frame in tables.items()}


def canonical(name: str, values: dict[str, object], n_rows: int) -> pd.DataFrame:
    """A frame with every column of a canonical table in its dtype; columns not given are missing throughout."""
    frame = {}
    for column in CANONICAL[name]:
        given = values.get(column.name)
        if given is None:
            frame[column.name] = pd.Series([None] * n_rows, dtype=column.dtype)
        else:
            frame[column.name] = pd.Series(given).astype(column.dtype)  # type: ignore[arg-type]
    return pd.DataFrame(frame)


def _chosen(vocabulary: Sequence[str], codes: IntArray) -> pd.Series:
    """Words by their place in a vocabulary; code -1 is missing."""
    return pd.Series(pd.Categorical.from_codes(codes.tolist(), categories=pd.Index(vocabulary)))


def _yes_no(flags: BoolArray) -> pd.Series:
    return _chosen(("no", "yes"), flags.astype(np.int64))


def _levels(codes: IntArray) -> pd.Series:
    return pd.Series(pd.Categorical.from_codes(codes.tolist(), dtype=LEVEL_DTYPE))


def _dates(people: People, patient: IntArray, day: IntArray) -> pd.Series:
    """Days of the patient's own clock as dates; NEVER is missing."""
    return to_dates(np.where(day < NEVER, people.first_day[patient] + day, NEVER))


def _patients(people: People, ids: np.ndarray) -> pd.DataFrame:
    n = len(people)
    who = np.arange(n)
    return canonical(
        "patients",
        {
            "patient_id": ids,
            "sex": _chosen(("female", "male"), (~people.female).astype(np.int64)),
            "age_at_index": people.age,
            "t_score": people.t_score,
            "corticosteroids": _yes_no(people.corticosteroids),
            "prior_fractures": people.prior_fractures,
            "n_thoracic": people.n_thoracic,
            "n_lumbar": people.n_lumbar,
            "site": np.asarray(SITES, dtype=object)[people.site],
            "enrolled_on": _dates(people, who, people.entry),
            "follow_up_end": _dates(people, who, people.exit),
            "death_date": _dates(people, who, np.where(people.died, people.death, NEVER)),
            "vital_status_end": _dates(people, who, people.exit),
        },
        n,
    )


def _augmentations(
    people: People, done: Treatments, ids: np.ndarray, codes: IntArray, rng: np.random.Generator
) -> pd.DataFrame:
    n = len(done.patient)
    fractured = done.indication == FOR_FRACTURE

    def drawn(words: Sequence[str], shares: Sequence[float], where: BoolArray | None = None) -> pd.Series:
        code = rng.choice(len(words), n, p=shares)
        return _chosen(words, code if where is None else np.where(where, code, -1))

    other = rng.random((n, 3)) < (0.06, 0.14, 0.10)
    bits = np.column_stack([done.leak_superior, done.leak_inferior, other])
    cell = _LEAK_CELLS[bits @ np.array([16, 8, 4, 2, 1])]
    session = pd.factorize(done.patient * 100_000 + done.day)[0]
    operator = rng.integers(0, 6, n)[session]  # one operator a session
    posterior = done.reference_mm + 2
    middle_before = done.before_mm + rng.uniform(0, 2, n)
    kyphosis = 4 + 40 * (1 - done.before_mm / done.reference_mm) + rng.normal(0, 3, n)
    pain = np.clip(np.round(rng.normal(7.6, 1.3, n)), 3, 10)[session]  # of the patient, so one score a session
    relief = np.round(rng.normal(4.8, 1.4, n))[session]
    return canonical(
        "augmentations",
        {
            "augmentation_id": [f"A{k:07d}" for k in range(1, n + 1)],
            "patient_id": ids[done.patient],
            "date": _dates(people, done.patient, done.day),
            "date_precision": _chosen(("day",), np.zeros(n, dtype=np.int64)),
            "level": _levels(codes[done.patient, done.column]),
            "technique": _chosen(("vertebroplasty", "kyphoplasty"), done.kyphoplasty.astype(np.int64)),
            "approach": drawn(("unipedicular", "bipedicular", "extrapedicular"), (0.4, 0.55, 0.05)),
            "cement": drawn(("pmma", "bioactive"), (0.92, 0.08)),
            "volume_ml": np.round(np.clip(rng.normal(4.2, 1.3, n), 0.8, 11), 1),
            "indication": _chosen(("fracture", "prophylactic", "tumour"), done.indication),
            "operator": np.array([f"OP{k}" for k in range(1, 7)], dtype=object)[operator],
            "cleft_before": _yes_no(done.cleft),
            "cleft_modality": drawn(("mri", "ct", "radiograph"), (0.7, 0.2, 0.1)),
            "cleft_filled": _chosen(("complete", "partial", "none"), np.where(done.cleft, done.filled, -1)),
            "leak": cell,
            "leak_modality": drawn(("fluoroscopy", "ct", "radiograph"), (0.5, 0.3, 0.2)),
            "fracture_endplate": drawn(("superior", "inferior", "both", "none"), (0.55, 0.15, 0.2, 0.1), fractured),
            "cement_endplate": drawn(("superior", "inferior", "both", "none"), (0.3, 0.15, 0.45, 0.1)),
            "cement_pattern": drawn(("solid", "trabecular", "mixed"), (0.3, 0.4, 0.3)),
            "fracture_filled": drawn(("complete", "partial", "missed"), (0.68, 0.27, 0.05), fractured),
            "anterior_mm_before": done.before_mm,
            "anterior_mm_after": done.after_mm,
            "middle_mm_before": np.round(middle_before, 1),
            "middle_mm_after": np.round(middle_before + 0.8 * (done.after_mm - done.before_mm), 1),
            "posterior_mm_before": np.round(posterior - rng.uniform(0, 2, n), 1),
            "posterior_mm_after": np.round(posterior - rng.uniform(0, 2, n), 1),
            "anterior_mm_reference": done.reference_mm,
            "kyphosis_deg_before": np.round(kyphosis),
            "kyphosis_deg_after": np.round(kyphosis - 25 * (done.after_mm - done.before_mm) / done.reference_mm),
            "pain_before": pain,
            "pain_after": np.clip(pain - relief, 0, 9),
        },
        n,
    )


def _fractures(
    people: People,
    done: Treatments,
    broken: Refractures,
    ids: np.ndarray,
    codes: IntArray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Three kinds of row: the fractures first treated, some old ones at untreated levels, and the refractures."""
    first = (done.day == 0) & (done.indication == FOR_FRACTURE)
    index_patient, index_column = done.patient[first], done.column[first]
    index_day = -rng.integers(2, 61, len(index_patient))

    treated = np.zeros((len(people), WIDTH), dtype=bool)
    treated[done.patient[done.day == 0], done.column[done.day == 0]] = True
    free = (codes >= 0) & ~treated
    keys = np.where(free, rng.random(free.shape), -1.0)
    known_old = (people.prior_fractures > 0) & (rng.random(len(people)) < 0.5)
    old_patient = np.flatnonzero(known_old)
    old_column = keys[old_patient].argmax(axis=1)
    old_day = -rng.integers(150, 2500, len(old_patient))

    patient = np.concatenate([index_patient, old_patient, broken.patient])
    column = np.concatenate([index_column, old_column, broken.column])
    day = np.concatenate([index_day, old_day, broken.day])
    n, n_before = len(patient), len(index_patient) + len(old_patient)

    # A level broken once and not treated since can only break anew; one that was treated progresses, or is occult.
    repeated = broken.seen_before > -NEVER
    progresses = (broken.relation == SAME) & ~repeated & (broken.treated_for != 1)
    occult = progresses & (rng.random(len(broken.day)) < 0.1)
    kind = np.where(occult, 2, np.where(progresses, 1, 0))
    last_clear = np.maximum(broken.day - rng.integers(1, 61, len(broken.day)), broken.latest_session)
    last_clear = np.maximum(last_clear, broken.seen_before)
    trauma = np.concatenate([rng.random(n_before) < 0.25, broken.fall])
    order = np.lexsort((column, day, patient))
    values = {
        "patient_id": ids[patient],
        "date": _dates(people, patient, day),
        "date_precision": _chosen(("day",), np.zeros(n, dtype=np.int64)),
        "level": _levels(codes[patient, column]),
        "symptomatic": _yes_no(rng.random(n) < 0.85),
        "trauma": _yes_no(trauma),
        "modality": np.array(["mri", "ct", "radiograph"], dtype=object)[rng.choice(3, n, p=[0.6, 0.15, 0.25])],
        "last_clear_date": _dates(people, patient, np.concatenate([np.full(n_before, NEVER), last_clear])),
        "kind": _chosen(("new", "progression", "occult"), np.concatenate([np.full(n_before, -1), kind])),
    }
    ordered = {
        name: pd.Series(column_values).iloc[order].reset_index(drop=True) for name, column_values in values.items()
    }
    ordered["fracture_id"] = pd.Series([f"F{k:07d}" for k in range(1, n + 1)], dtype="object")
    return canonical("fractures", dict(ordered), n)


def _medications(people: People, ids: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """One row per course of a daily drug and per dose of the others, none begun after the follow-up."""
    patient, window = np.nonzero(people.drug_start < people.exit[:, None])
    kind = people.drug[patient, window]
    start = people.drug_start[patient, window]
    stop = people.drug_stop[patient, window]
    interval = np.asarray(INTERVALS)[kind]
    until = np.minimum(stop, people.exit[patient])
    doses = np.where(interval > 0, -((start - until) // np.maximum(interval, 1)), 1)
    row = np.repeat(np.arange(len(patient)), doses)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(doses) - doses, doses)
    daily = interval[row] == 0
    closed = daily & (stop[row] < NEVER)

    supplemented = np.flatnonzero(rng.random(len(people)) < 0.35)
    what = rng.choice(2, len(supplemented))
    all_patients = np.concatenate([patient[row], supplemented])
    names = np.array([*DRUGS, "calcium", "cholecalciferol"], dtype=object)
    drug = np.concatenate([kind[row], len(DRUGS) + what])
    begin = np.concatenate([start[row] + nth * interval[row], -rng.integers(0, 300, len(supplemented))])
    end = np.concatenate([np.where(closed, until[row], NEVER), np.full(len(supplemented), NEVER)])
    order = np.lexsort((drug, begin, all_patients))
    classes = {name: drug_of(name).drug_class for name in names}
    return canonical(
        "medications",
        {
            "patient_id": ids[all_patients[order]],
            "drug": names[drug[order]],
            "start": _dates(people, all_patients[order], begin[order]),
            "stop": _dates(people, all_patients[order], end[order]),
            "drug_class": pd.Series(names[drug[order]]).map(classes),
        },
        len(order),
    )
