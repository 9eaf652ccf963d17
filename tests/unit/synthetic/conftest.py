"""Synthetic patients shared by the tests: clean ones, and ones in whom a single effect is at work."""

from __future__ import annotations

import numpy as np
import pytest

from cohort.synthetic.people import draw_people
from cohort.synthetic.process import run
from cohort.synthetic.simulate import simulate
from cohort.synthetic.truth import DEFAULT, Parameters


@pytest.fixture(scope="session")
def clean():
    """3,000 clean patients."""
    return simulate(3000, seed=4)


@pytest.fixture(scope="session")
def history():
    """50,000 patients of the default truth, before they become tables: people, treatments, refractures."""
    return _histories(DEFAULT, 50_000, seed=8)


@pytest.fixture(scope="session")
def histories():
    """Draw patients of any truth: people, treatments, refractures."""
    return _histories


def _histories(parameters: Parameters, n: int, seed: int, *, potential: bool = False):
    rng = np.random.default_rng(seed)
    people = draw_people(n, rng, parameters, potential=potential)
    done, broken = run(people, rng, parameters)
    return people, done, broken
