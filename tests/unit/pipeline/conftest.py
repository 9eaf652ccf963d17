"""One small clean registry, classified once."""

import pytest

from cohort.pipeline import Cohort, prepare
from cohort.synthetic import simulate
from cohort.tables.results import Registry


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    return prepare(Registry.of(simulate(600, 11)))
