"""Small cohorts of counting-process rows: vertebrae in patients, whole days, late entry, ties."""

import numpy as np
import pandas as pd
import pytest


def _vertebra_rows(seed, n_patients=25, causes=2, last_day=40):
    """One row per vertebra; days small enough that many events tie."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
    n = len(patient)
    entry = np.where(rng.random(n) < 0.3, rng.integers(0, last_day // 2, n), 0)
    return pd.DataFrame(
        {
            "unit": np.arange(n),
            "patient": patient,
            "entry": entry.astype(float),
            "exit": entry + rng.integers(1, last_day, n).astype(float),
            "cause": rng.integers(0, causes + 1, n),
            "leak": rng.integers(0, 2, n),
            "age": rng.normal(75, 8, n).round(1),
        }
    ).assign(event=lambda d: (d["cause"] == 1).astype(int))


@pytest.fixture(scope="session")
def vertebra_rows():
    return _vertebra_rows
