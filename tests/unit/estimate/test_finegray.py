"""Fine and Gray: those who died of something else linger, and what changes with time is refused."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox, fine_gray
from cohort.estimate.finegray import lingering_sets


def test_without_loss_the_dead_stay_at_risk_for_ever():
    """Then the model is Cox's with the competing events moved past the last day."""
    d = pd.DataFrame({"exit": [1.0, 2, 3, 4, 5, 6], "cause": [1, 2, 1, 1, 2, 1], "leak": [1, 0, 1, 0, 1, 0]})
    moved = d.assign(exit=np.where(d["cause"] == 2, 99.0, d["exit"]), event=(d["cause"] == 1).astype(int))
    ours = fine_gray(d, ["leak"], exit="exit", cause="cause").frame
    same = cox(moved, ["leak"], exit="exit", event="event", robust=True).frame
    for name in ("coef", "std_error", "naive_std_error"):
        assert ours[name].iloc[0] == pytest.approx(same[name].iloc[0], rel=1e-10)


def test_who_lingers_fades_as_others_are_lost():
    """One dies on day 1; on day 2 one of three is lost: on day 3 the dead counts for two thirds."""
    exit_, cause = np.array([1.0, 2, 3, 4]), np.array([2, 0, 1, 1])
    sets = lingering_sets(np.full(4, -np.inf), exit_, cause, 1, np.ones(4))
    assert sets.sums(np.ones(4)).tolist() == pytest.approx([2 + 2 / 3, 1 + 2 / 3])


def test_a_drug_that_changes_is_refused():
    d = pd.DataFrame({"id": [1, 1, 2], "entry": [0, 5, 0], "exit": [5, 9, 7], "cause": [0, 1, 2], "drug": [0, 1, 0]})
    with pytest.raises(EstimationError, match="value at entry"):
        fine_gray(d, ["drug"], entry="entry", exit="exit", cause="cause", id="id")


def test_who_leaves_and_returns_is_refused():
    d = pd.DataFrame({"id": [1, 1, 2], "entry": [0, 6, 0], "exit": [5, 9, 7], "cause": [0, 1, 2], "leak": [1, 1, 0]})
    with pytest.raises(EstimationError, match="without a gap"):
        fine_gray(d, ["leak"], entry="entry", exit="exit", cause="cause", id="id")


def test_splits_change_nothing_and_no_event_says_so(vertebra_rows):
    d = vertebra_rows(5, n_patients=50)
    options = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient"}
    over = (d["entry"] < 8) & (d["exit"] > 8)
    split = pd.concat([d[over].assign(exit=8.0, cause=0), d.assign(entry=np.where(over, 8.0, d["entry"]))])
    one, two = fine_gray(d, ["leak", "age"], **options).frame, fine_gray(split, ["leak", "age"], **options).frame
    np.testing.assert_allclose(two[["coef", "std_error"]], one[["coef", "std_error"]], rtol=1e-9)
    none = fine_gray(d.assign(cause=2 * (d["cause"] > 0)), ["leak"], **options).frame
    assert none["note"].iloc[0].startswith("no event")
