"""Groups compared on a day: independent groups, shared patients, zeros, and the ends of follow-up."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen
from cohort.estimate.contrasts import compare_curves
from cohort.estimate.lost_time import time_lost
from cohort.estimate.recurrent_counts import mean_cumulative_count

OPTIONS = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient", "by": "leak"}
VALUES = ["estimate", "conf_low", "conf_high", "std_error", "statistic", "p_value"]


def difference(result):
    return result[result["measure"] == "difference"]


def ratio(result):
    return result[result["measure"] == "ratio"]


@pytest.mark.parametrize(
    ("curve", "estimator", "when"),
    [("aalen_johansen", aalen_johansen, "at"), ("time_lost", time_lost, "horizon"),
     ("mean_cumulative_count", mean_cumulative_count, "at")],
)  # fmt: skip
def test_groups_without_a_common_patient_differ_with_the_sum_of_their_variances(vertebra_rows, curve, estimator, when):
    d = vertebra_rows(3).assign(leak=lambda d: d["patient"] % 2)
    ours = compare_curves(d, curve=curve, at=[10, 25], **OPTIONS).frame
    alone = estimator(d, **{when: [10, 25]}, **OPTIONS).frame
    one, none = (alone[alone["stratum"] == name] for name in ("1", "0"))
    np.testing.assert_allclose(
        difference(ours)["estimate"], one["estimate"].to_numpy() - none["estimate"].to_numpy(), rtol=1e-10, atol=1e-14
    )
    np.testing.assert_allclose(
        difference(ours)["std_error"], np.hypot(one["std_error"].to_numpy(), none["std_error"].to_numpy()), rtol=1e-9
    )
    np.testing.assert_allclose(
        ratio(ours)["std_error"],
        np.hypot((one["std_error"] / one["estimate"]).to_numpy(), (none["std_error"] / none["estimate"]).to_numpy()),
        rtol=1e-9,
    )
    np.testing.assert_allclose(ratio(ours)["estimate"], np.exp(ratio(ours)["coef"]), rtol=1e-14)
    assert difference(ours)["group_estimate"].to_numpy() == pytest.approx(one["estimate"].to_numpy(), rel=1e-12)
    assert difference(ours)["reference_estimate"].to_numpy() == pytest.approx(none["estimate"].to_numpy(), rel=1e-12)


def test_two_vertebrae_that_fare_alike_leave_nothing_to_doubt():
    """Each patient has one vertebra in each group and both end alike: the difference is zero whoever is in the study.

    Added as if the groups were independent, the variances would claim an interval.
    """
    patient = np.arange(20)
    one = pd.DataFrame({"patient": patient, "exit": 5 + patient % 7, "cause": patient % 3, "leak": 0})
    d = pd.concat([one, one.assign(leak=1)])
    row = compare_curves(d, exit="exit", cause="cause", by="leak", cluster="patient", at=8).frame.iloc[0]
    assert row["estimate"] == 0
    assert np.isnan(row["std_error"])
    assert "no patient moves the estimate" in row["note"]
    apart = compare_curves(d, exit="exit", cause="cause", by="leak", at=8).frame.iloc[0]
    assert apart["std_error"] > 0


@pytest.mark.parametrize("curve", ["aalen_johansen", "time_lost", "mean_cumulative_count"])
def test_shared_patients_give_the_derivative_of_the_difference_by_each_weight(vertebra_rows, curve):
    d, eps = vertebra_rows(9).assign(w=1.0), 1e-5
    options = OPTIONS | {"weight": "w", "at": [10, 25], "curve": curve}
    moved = [compare_curves(d.assign(w=1 + eps * (d["patient"] == p)), **options).frame for p in d["patient"].unique()]
    back = [compare_curves(d.assign(w=1 - eps * (d["patient"] == p)), **options).frame for p in d["patient"].unique()]
    base = compare_curves(d, **options).frame

    def numerical(of, name):
        slopes = [
            (of(up)[name].to_numpy() - of(down)[name].to_numpy()) / (2 * eps)
            for up, down in zip(moved, back, strict=True)
        ]
        return np.sqrt((np.array(slopes) ** 2).sum(axis=0))

    np.testing.assert_allclose(difference(base)["std_error"], numerical(difference, "estimate"), rtol=1e-5)
    np.testing.assert_allclose(ratio(base)["std_error"], numerical(ratio, "coef"), rtol=1e-5)


def test_the_other_reference_turns_the_sign_and_inverts_the_ratio(vertebra_rows):
    d = vertebra_rows(3)
    one = compare_curves(d, at=20, **OPTIONS).frame
    other = compare_curves(d, at=20, reference=1, **OPTIONS).frame
    assert set(one["term"]) == {"leak=1"}
    assert set(other["term"]) == {"leak=0"}
    np.testing.assert_allclose(difference(one)["estimate"], -difference(other)["estimate"].to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(ratio(one)["conf_low"], 1 / ratio(other)["conf_high"].to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(one["p_value"], other["p_value"], rtol=1e-9)


def test_three_groups_are_each_compared_with_the_first(vertebra_rows):
    d = vertebra_rows(3).assign(site=lambda d: np.array(["A", "B", "C"])[d["patient"] % 3])
    result = compare_curves(d, at=20, **OPTIONS | {"by": "site"})
    assert result.settings["reference"] == "A"
    assert list(dict.fromkeys(result.frame["term"])) == ["site=B", "site=C"]
    assert list(dict.fromkeys(result.frame["outcome"])) == ["event_free", "1", "2"]


def test_order_splits_copies_and_frequencies(vertebra_rows):
    d = vertebra_rows(6)
    options = OPTIONS | {"at": [10, 20]}
    whole = compare_curves(d, **options).frame
    np.testing.assert_allclose(
        compare_curves(d.sample(frac=1, random_state=1), **options).frame[VALUES], whole[VALUES], rtol=1e-9
    )
    over = (d["entry"] < 9) & (d["exit"] > 9)
    split = pd.concat([d[over].assign(exit=9.0, cause=0), d.assign(entry=np.where(over, 9.0, d["entry"]))])
    parts = compare_curves(split, **options).frame
    np.testing.assert_allclose(parts[[*VALUES, "n_units"]], whole[[*VALUES, "n_units"]], rtol=1e-9)
    apart = pd.concat([d.assign(unit=d["unit"] + 1000 * k, patient=d["patient"] + 1000 * k) for k in range(4)])
    many = compare_curves(apart, **options).frame
    np.testing.assert_allclose(many["std_error"] * 2, whole["std_error"], rtol=1e-9)
    counted = compare_curves(d.assign(w=4), weight="w", weight_kind="frequency", **options).frame
    np.testing.assert_allclose(counted[[*VALUES, "n_events"]], many[[*VALUES, "n_events"]], rtol=1e-9)


def test_kaplan_meier_is_compared_by_its_event(vertebra_rows):
    d = vertebra_rows(5, causes=1)
    options = OPTIONS | {"at": [10, 20]}
    curve = compare_curves(
        d, curve="kaplan_meier", event="event", outcome="refracture", **options | {"cause": None}
    ).frame
    free = compare_curves(d, **options).frame.query("outcome == 'event_free'")
    np.testing.assert_allclose(curve[VALUES], free[VALUES], rtol=1e-12)
    assert set(curve["outcome"]) == {"refracture"}


def test_days_are_the_unit_of_lost_time_and_a_ratio_has_none(vertebra_rows):
    result = compare_curves(vertebra_rows(5), curve="time_lost", at=20, **OPTIONS).frame
    assert set(difference(result)["unit"]) == {"days"}
    assert set(ratio(result)["unit"]) == {""}


def test_no_event_in_one_group_leaves_a_difference_and_no_ratio():
    d = pd.DataFrame({"exit": [1, 2, 3, 4] * 2, "cause": [1, 1, 0, 0, 0, 0, 0, 0], "leak": [1] * 4 + [0] * 4})
    result = compare_curves(d, exit="exit", cause="cause", by="leak", at=3).frame.query("outcome == '1'")
    gap, factor = result.iloc[0], result.iloc[1]
    assert gap["estimate"] == 0.5
    assert gap["std_error"] > 0
    assert "leak=0: no event, so counted as without error" in gap["note"]
    assert factor[["estimate", "conf_low", "conf_high", "p_value"]].isna().all()
    assert "no ratio: zero in leak=0" in factor["note"]


def test_a_day_after_the_follow_up_of_one_group_has_no_contrast():
    d = pd.DataFrame({"exit": [3, 4, 5, 30, 31, 32], "event": [1, 0, 0, 1, 0, 0], "leak": [1] * 3 + [0] * 3})
    result = compare_curves(d, curve="kaplan_meier", exit="exit", event="event", by="leak", at=30).frame
    assert result[VALUES].isna().all(axis=None)
    assert result["note"].str.contains("leak=1: after the last day of follow-up \\(day 5\\)").all()


def test_a_group_of_one_patient_has_a_difference_and_no_error():
    d = pd.DataFrame({"exit": [3, 4, 5, 6], "event": [1, 0, 1, 0], "leak": [1, 0, 0, 0]})
    row = compare_curves(d, curve="kaplan_meier", exit="exit", event="event", by="leak", at=3).frame.iloc[0]
    assert row["estimate"] == -1
    assert np.isnan(row["std_error"])
    assert "leak=1: only 1 event, one cluster: no robust standard error" in row["note"]


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"reference": 7}, "no group 7 to be the reference; it has 0, 1"),
        ({"leak": 1}, {}, "needs at least two"),
        ({}, {"curve": "cox"}, "curve must be one of"),
        ({}, {"curve": "kaplan_meier"}, "needs `event`"),
        ({}, {"cause": None}, "needs `cause`"),
        ({}, {"curve": "time_lost", "start": 9}, "must come after day 9"),
        ({"unit": 1, "exit": [2, 9], "entry": [0, 2]}, {}, "groups fixed at entry"),
        ({"w": [1, 2]}, {"weight": "w", "weight_kind": "frequency"}, "three clusters alike"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence(change, options, words):
    d = pd.DataFrame(
        {"unit": [1, 2], "patient": [1, 1], "entry": [0, 0], "exit": [5, 9], "cause": [0, 1], "leak": [0, 1]}
    ).assign(**change)
    with pytest.raises(EstimationError, match=words):
        compare_curves(d, at=5, **OPTIONS | options)
