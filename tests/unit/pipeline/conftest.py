"""One small clean registry, classified once; a registry counted by hand, and a published figure to count in it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cohort as toolkit
from cohort.pipeline import Cohort, prepare
from cohort.pipeline.like_for_like import of_cohort
from cohort.synthetic import simulate
from cohort.tables.results import Registry

# All treated on 2020-01-01 (day 0). A: L1 broke again on day 100, L2 treated too; B: T12, next to L1, on day 50; C: T8,
# far away, on day 200; D: died on day 60; E: lost on day 90; F and G: followed for two years, nothing; G: T12 without
# pain on day 300; H: L1 treated again on day 400.
PATIENTS = """patient_id,sex,follow_up_end,death_date,age_at_index
A,female,2021-12-31,,70
B,female,2021-12-31,,71
C,male,2021-12-31,,72
D,male,2020-03-01,2020-03-01,73
E,female,2020-03-31,,74
F,female,2021-12-31,,75
G,female,2021-12-31,,76
H,male,2021-12-31,,45
"""
AUGMENTATIONS = """patient_id,date,level,technique,indication
A,2020-01-01,L1,vertebroplasty,fracture
A,2020-01-01,L2,vertebroplasty,fracture
B,2020-01-01,L1,vertebroplasty,fracture
C,2020-01-01,L1,vertebroplasty,fracture
D,2020-01-01,L1,kyphoplasty,fracture
E,2020-01-01,L1,kyphoplasty,fracture
F,2020-01-01,L1,kyphoplasty,fracture
G,2020-01-01,L1,kyphoplasty,fracture
H,2020-01-01,L1,,fracture
H,2021-02-04,L1,,fracture
"""
FRACTURES = """patient_id,date,level,kind,symptomatic,last_clear_date
A,2020-04-10,L1,progression,yes,2020-02-01
B,2020-02-20,T12,new,yes,2020-01-10
C,2020-07-19,T8,new,yes,2020-01-10
G,2020-10-27,T12,new,no,2020-01-10
H,2021-02-04,L1,progression,yes,2020-06-01
"""
IMAGING = "patient_id,date,level\nA,2020-06-01,L1\nB,2020-06-01,L1\nF,2020-06-01,L1\n"

PUBLISHED = {
    "study_key": "hand", "quantity": "hand", "citation": "Hand A et al. 2020", "year": 2020.0, "population": "",
    "numerator": 20.0, "denominator": 100.0, "percent": 20.0, "ci_low": np.nan, "ci_high": np.nan, "kind": "proportion",
    "event": "fracture", "relation": "any", "tier": "unstated", "unit": "patient", "window_kind": "fixed",
    "window_days": 365.0, "counting": "first_event_per_unit", "denominator_rule": "followed", "basis": "crude",
    "counts": "", "arm": "", "printed": "", "derived": "", "placed": "yes", "remark": "", "source": "by hand",
    "confidence": "certain",
}  # fmt: skip


@pytest.fixture(scope="session")
def figures():
    """One published figure, 20 of 100 by one year unless told otherwise."""

    def of(**changed):
        return pd.DataFrame([PUBLISHED | changed])

    return of


@pytest.fixture(scope="session")
def registry_of(tmp_path_factory):
    """A registry of tables written as text."""

    def made(**tables):
        folder = tmp_path_factory.mktemp("registry")
        for name, text in tables.items():
            (folder / f"{name}.csv").write_text(text)
        return toolkit.read(folder)

    return made


@pytest.fixture(scope="session")
def hand(registry_of):
    return registry_of(patients=PATIENTS, augmentations=AUGMENTATIONS, fractures=FRACTURES, imaging=IMAGING)


@pytest.fixture(scope="session")
def synthetic():
    return prepare(toolkit.read(Path(__file__).parents[3] / "data" / "synthetic"))


@pytest.fixture(scope="session")
def found(synthetic):
    """Every published figure in the synthetic registry."""
    return of_cohort(synthetic)


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    return prepare(Registry.of(simulate(600, 11)))
