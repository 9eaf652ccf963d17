"""Reference values from R: every JSON names the script, the data and the versions that made it."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the table of comparisons is read by a test and by the script that prints it


@pytest.fixture(scope="session")
def reference():
    return json.loads((HERE / "reference.json").read_text())


@pytest.fixture(scope="session")
def outputs():
    return lambda name: json.loads((HERE / f"{name}.json").read_text())["outputs"]


@pytest.fixture(scope="session")
def data():
    return lambda name: pd.read_csv(HERE / "data" / f"{name}.csv")


@pytest.fixture(scope="session")
def agree():
    def check(ours, theirs, rel, what=""):
        theirs = np.array(theirs, dtype=float).ravel()
        np.testing.assert_allclose(
            np.asarray(ours, dtype=float).ravel(), theirs, rtol=rel, atol=1e-14, equal_nan=True, err_msg=what
        )

    return check
