"""A model told again says what `cox` says of the rows so told, whatever was joined and counted together for it."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate.cox import cox
from cohort.estimate.cox_again import CoxAgain

COLUMNS = {"exit": "exit", "entry": "entry", "event": "cause", "id": "id", "cluster": "patient", "of": 1}
TERMS = ["leak", "age", "drug"]


def vertebrae(patients=120, chance=0.1, seed=3):
    """Four vertebrae of each patient at risk on the same days; half the patients start a drug on the way."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        age, end = float(rng.integers(6, 9)), int(rng.integers(5, 40))
        change = int(rng.integers(1, end)) if patient % 2 else None
        for level in range(4):
            unit, leak = 4 * patient + level, float(rng.random() < 0.4)
            had = int(rng.choice([0, 1, 2], p=[1 - 2 * chance, chance, chance]))
            cuts = [0, end] if change is None else [0, change, end]
            for k, (entry, exit_) in enumerate(pairwise(cuts)):
                cause = had if exit_ == end else 0
                rows.append((unit, patient, entry, exit_, cause, leak, age, float(k)))
    return pd.DataFrame(rows, columns=["id", "patient", "entry", "exit", "cause", *TERMS])


def again(rows, rng):
    """The leak of each vertebra told by chance."""
    return rows.assign(leak=(rng.random(int(rows["id"].max()) + 1) < 0.5).astype(float)[rows["id"]])


@pytest.mark.parametrize("terms", [TERMS, ["age", "leak"], ["leak"]])
@pytest.mark.parametrize(("patients", "chance"), [(120, 0.1), (60, 0.02)])  # the second with few clusters: jackknife
def test_it_gives_the_same_frame_as_cox(terms, patients, chance):
    rows, rng = vertebrae(patients, chance), np.random.default_rng(7)
    model = CoxAgain.of(rows, terms, "leak", **COLUMNS)
    assert len(model.rows.exit) < len(rows) / 2
    for _ in range(3):
        told = again(rows, rng)
        whole, quick = cox(told, terms, **COLUMNS), model.fit(told)
        pd.testing.assert_frame_equal(quick.frame, whole.frame, rtol=1e-9, check_dtype=False)
        assert quick.settings["n_clusters"] == whole.settings["n_clusters"]
        assert quick.settings["loglik"] == pytest.approx(whole.settings["loglik"], rel=1e-9)
        assert quick.settings["variance"] == whole.settings["variance"]


def test_the_order_of_rows_changes_nothing():
    rows = vertebrae()
    mixed = rows.sample(frac=1.0, random_state=1)
    told, other = (CoxAgain.of(part, TERMS, "leak", **COLUMNS).fit(part).frame for part in (rows, mixed))
    pd.testing.assert_frame_equal(told, other, rtol=1e-9)


def test_an_event_that_is_followed_by_more_days_is_not_joined_to_them():
    days = pd.DataFrame({"id": [1, 1, 2, 3], "patient": [1, 1, 2, 3], "entry": [0, 4, 0, 0], "exit": [4, 9, 6, 8]})
    days = days.assign(cause=[1, 0, 1, 1], leak=[1.0, 1.0, 0.0, 1.0])
    quick = CoxAgain.of(days, ["leak"], "leak", **COLUMNS).fit(days).frame
    pd.testing.assert_frame_equal(quick, cox(days, ["leak"], **COLUMNS).frame, rtol=1e-9, check_dtype=False)


def test_without_an_event_it_says_so():
    days = vertebrae().assign(cause=0)
    found = CoxAgain.of(days, TERMS, "leak", **COLUMNS).fit(days).frame
    assert found["estimate"].isna().all()
    assert found["note"].str.startswith("no event").all()


def test_rows_it_cannot_count_together_are_refused():
    rows = vertebrae()
    with pytest.raises(EstimationError, match="1 rows lack a covariate"):
        CoxAgain.of(rows.assign(age=rows["age"].where(rows.index > 0)), TERMS, "leak", **COLUMNS)
    model = CoxAgain.of(rows, ["leak"], "leak", **COLUMNS)
    with pytest.raises(EstimationError, match="must be 0 or 1"):
        model.fit(rows.assign(leak=0.5))
    with pytest.raises(EstimationError, match="changes within an id"):
        model.fit(rows.assign(leak=(rows["drug"] == 1.0).astype(float)))
    with pytest.raises(EstimationError, match="'pain' is not among the covariates"):
        CoxAgain.of(rows, TERMS, "pain", **COLUMNS)
