"""What must hold whatever the rows: shares add to one, and order, splits and copies change only what they should."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.estimate import aalen_johansen, cox, kaplan_meier, ph_test, rate
from cohort.estimate.ipcw import censoring_weights

seeds = st.integers(0, 10_000)
FEW = settings(max_examples=20, deadline=None)
CURVE = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient"}
MODEL = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}


def estimates(result):
    return result.frame[["estimate", "std_error"]].to_numpy(float)


def cut(rows, day):
    """Split every row that runs over `day` there: the first part ends without event."""
    over = (rows["entry"] < day) & (day < rows["exit"])
    before = rows[over].assign(exit=float(day), event=0, cause=0)
    after = rows.assign(entry=np.where(over, float(day), rows["entry"]))
    return pd.concat([before, after], ignore_index=True)


def copied(rows, k, apart):
    """k copies of every patient: each a patient of its own, or all of them one."""
    shift = rows["patient"].max() + 1
    return pd.concat(
        [rows.assign(unit=rows["unit"] + 1000 * c, patient=rows["patient"] + apart * shift * c) for c in range(k)],
        ignore_index=True,
    )


@FEW
@given(seed=seeds)
def test_incidences_and_the_event_free_share_add_to_one_on_every_day(vertebra_rows, seed):
    result = aalen_johansen(vertebra_rows(seed, causes=3), **CURVE).frame
    total = result.groupby("time")["estimate"].sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    assert (result["estimate"] >= -1e-15).all()


@FEW
@given(seed=seeds)
def test_incidence_never_falls(vertebra_rows, seed):
    result = aalen_johansen(vertebra_rows(seed), **CURVE).frame
    for _, curve in result[result["outcome"] != "event_free"].groupby("outcome"):
        assert (np.diff(curve["estimate"]) >= 0).all()


@FEW
@given(seed=seeds)
def test_with_one_cause_aalen_johansen_is_kaplan_meier(vertebra_rows, seed):
    rows = vertebra_rows(seed, causes=1)
    ours = aalen_johansen(rows, **CURVE).frame.query("outcome == 'event_free'")
    km = kaplan_meier(rows, **MODEL).frame
    np.testing.assert_allclose(ours["estimate"], km["estimate"], rtol=1e-12)
    np.testing.assert_allclose(ours["std_error"], km["std_error"], rtol=1e-9)


@FEW
@given(seed=seeds, random=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(vertebra_rows, seed, random):
    rows = vertebra_rows(seed)
    order = list(range(len(rows)))
    random.shuffle(order)
    mixed = rows.iloc[order]
    np.testing.assert_allclose(
        estimates(aalen_johansen(mixed, **CURVE)), estimates(aalen_johansen(rows, **CURVE)), rtol=1e-9, atol=1e-13
    )
    np.testing.assert_allclose(
        estimates(cox(mixed, ["leak", "age"], **MODEL)), estimates(cox(rows, ["leak", "age"], **MODEL)), rtol=1e-8
    )


@FEW
@given(seed=seeds, day=st.integers(1, 30))
def test_splitting_rows_changes_nothing(vertebra_rows, seed, day):
    rows = vertebra_rows(seed)
    split = cut(rows, day)
    np.testing.assert_allclose(
        estimates(aalen_johansen(split, **CURVE)), estimates(aalen_johansen(rows, **CURVE)), rtol=1e-9, atol=1e-13
    )
    whole, parts = cox(rows, ["leak", "age"], **MODEL), cox(split, ["leak", "age"], **MODEL)
    np.testing.assert_allclose(estimates(parts), estimates(whole), rtol=1e-8)
    assert parts.frame["n_units"].iloc[0] == whole.frame["n_units"].iloc[0] == len(rows)
    test, again = ph_test(rows, ["leak", "age"], **MODEL), ph_test(split, ["leak", "age"], **MODEL)
    np.testing.assert_allclose(again.frame["statistic"], test.frame["statistic"], rtol=1e-7)


@FEW
@given(seed=seeds, k=st.integers(2, 4))
def test_k_copies_of_every_patient_divide_the_robust_error_by_the_root_of_k(vertebra_rows, seed, k):
    """Breslow, since Efron's allowance for ties grows with the copies; curves and rates as they are."""
    rows = vertebra_rows(seed)
    apart, model = copied(rows, k, apart=True), MODEL | {"ties": "breslow", "small_sample": "none"}
    one, many = cox(rows, ["leak", "age"], **model).frame, cox(apart, ["leak", "age"], **model).frame
    np.testing.assert_allclose(many["coef"], one["coef"], rtol=1e-7)
    np.testing.assert_allclose(many["std_error"] * np.sqrt(k), one["std_error"], rtol=1e-7)
    np.testing.assert_allclose(many["naive_std_error"] * np.sqrt(k), one["naive_std_error"], rtol=1e-7)
    curve, curves = aalen_johansen(rows, **CURVE).frame, aalen_johansen(apart, **CURVE).frame
    np.testing.assert_allclose(curves["std_error"] * np.sqrt(k), curve["std_error"], rtol=1e-8, atol=1e-12)


@FEW
@given(seed=seeds, k=st.integers(2, 4))
def test_k_copies_that_stay_one_patient_leave_the_robust_error_and_shrink_the_naive_one(vertebra_rows, seed, k):
    rows = vertebra_rows(seed)
    together, model = copied(rows, k, apart=False), MODEL | {"ties": "breslow"}
    one, many = cox(rows, ["leak", "age"], **model).frame, cox(together, ["leak", "age"], **model).frame
    np.testing.assert_allclose(many["std_error"], one["std_error"], rtol=1e-7)
    np.testing.assert_allclose(many["naive_std_error"] * np.sqrt(k), one["naive_std_error"], rtol=1e-7)
    curve, curves = aalen_johansen(rows, **CURVE).frame, aalen_johansen(together, **CURVE).frame
    np.testing.assert_allclose(curves["std_error"], curve["std_error"], rtol=1e-8, atol=1e-12)
    days = rows["exit"] - rows["entry"]
    again = together["exit"] - together["entry"]
    assert rate(together["event"], again, cluster=together["patient"]).frame["std_error"].iloc[0] == pytest.approx(
        rate(rows["event"], days, cluster=rows["patient"]).frame["std_error"].iloc[0], rel=1e-12
    )


@FEW
@given(seed=seeds)
def test_a_row_of_frequency_three_is_three_rows(vertebra_rows, seed):
    rows = vertebra_rows(seed).assign(w=lambda d: 1 + d["unit"] % 3)
    repeated = rows.loc[rows.index.repeat(rows["w"])].reset_index(drop=True)
    weighted = {"weight": "w", "weight_kind": "frequency"}
    plain = {"entry": "entry", "exit": "exit"}
    for robust in (False, True):
        np.testing.assert_allclose(
            estimates(cox(rows, ["leak", "age"], event="event", robust=robust, **plain, **weighted)),
            estimates(cox(repeated, ["leak", "age"], event="event", robust=robust, **plain)),
            rtol=1e-8,
        )
    one = aalen_johansen(rows, cause="cause", **plain, **weighted).frame
    many = aalen_johansen(repeated, cause="cause", **plain).frame
    for name in ("estimate", "std_error", "n_risk", "n_events"):
        np.testing.assert_allclose(one[name], many[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        ph_test(rows, ["leak", "age"], event="event", **plain, **weighted).frame["statistic"],
        ph_test(repeated, ["leak", "age"], event="event", **plain).frame["statistic"],
        rtol=1e-7,
    )


@FEW
@given(seed=seeds, horizon=st.integers(1, 45))
def test_the_weighted_share_of_events_is_the_aalen_johansen_incidence(vertebra_rows, seed, horizon):
    """Also with sampling weights, and the weights of the known add up to everyone."""
    rows = vertebra_rows(seed).query("entry == 0").assign(w=lambda d: 0.5 + d["unit"] % 3)
    exit_, cause, w = rows["exit"].to_numpy(), rows["cause"].to_numpy(np.int64), rows["w"].to_numpy(float)
    inverse, known = censoring_weights(exit_, cause, float(horizon), w, np.zeros(len(w), np.int64))
    curve = aalen_johansen(rows, exit="exit", cause="cause", weight="w", at=[horizon]).frame.set_index("outcome")
    if np.isnan(curve["estimate"]["1"]):
        return
    happened = (cause == 1) & (exit_ <= horizon)
    assert (w * inverse) @ happened / w.sum() == pytest.approx(curve["estimate"]["1"], rel=1e-10, abs=1e-14)
    if known[exit_ >= horizon].any():
        assert (w * inverse).sum() == pytest.approx(w.sum(), rel=1e-10)


@FEW
@given(seed=seeds)
def test_the_variance_of_a_curve_is_its_derivative_by_each_patients_weight(vertebra_rows, seed):
    rows = vertebra_rows(seed, n_patients=12).assign(w=1.0)
    at = [5, 15, 30]
    options = CURVE | {"weight": "w", "at": at}
    base = aalen_johansen(rows, **options).frame
    eps = 1e-6
    moved = []
    for patient in rows["patient"].unique():
        up = rows.assign(w=np.where(rows["patient"] == patient, 1 + eps, 1.0))
        down = rows.assign(w=np.where(rows["patient"] == patient, 1 - eps, 1.0))
        moved.append(
            (aalen_johansen(up, **options).frame["estimate"] - aalen_johansen(down, **options).frame["estimate"])
            / (2 * eps)
        )
    numerical = np.sqrt((np.array(moved) ** 2).sum(axis=0))
    np.testing.assert_allclose(base["std_error"], numerical, rtol=1e-5, atol=1e-7)
