"""Absolute risks: what must hold for any profile, and what is said where there is little or nothing to predict from."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen
from cohort.estimate.absolute_risk import absolute_risk

seeds = st.integers(0, 10_000)
FEW = settings(max_examples=15, deadline=None)
ROWS = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient"}
AT = [3, 10, 25]
BOTH = {"leak": [0, 1], "age": [70, 80]}


def risks(rows, covariates=("leak", "age"), **options):
    return absolute_risk(rows, list(covariates), **({"profiles": BOTH, "at": AT, "of": None} | ROWS | options))


def numbers(result):
    return result.frame[["estimate", "std_error", "naive_std_error"]].to_numpy(float)


def test_one_event_among_four_worked_by_hand():
    """Two leak and two do not; the one event is a leak's, so its hazard ratio has no bound and its risk is 1 of 2."""
    d = pd.DataFrame({"exit": [3, 9, 9, 9], "cause": [1, 0, 0, 0], "leak": [1, 1, 0, 0]})
    found = absolute_risk(d, ["leak"], profiles={"leak": [0, 1]}, at=5, exit="exit", cause="cause").frame
    assert found["estimate"].tolist() == pytest.approx([0.0, 1 - np.exp(-1 / 2)], abs=1e-8)
    assert found[["std_error", "conf_low", "conf_high"]].isna().all(axis=None)
    assert found["note"].str.contains("no finite hazard ratio of leak").all()


@FEW
@given(seed=seeds)
def test_where_nothing_varies_the_product_limit_is_aalen_johansen_with_its_errors(vertebra_rows, seed):
    rows = vertebra_rows(seed).assign(one=1.0)
    ours = risks(rows, ["one"], profiles={"one": 1}, ties="breslow", product="limit").frame
    curve = aalen_johansen(rows, at=AT, **ROWS).frame
    np.testing.assert_allclose(ours["estimate"], curve["estimate"], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(ours["std_error"], curve["std_error"], rtol=1e-8, atol=1e-12)


@FEW
@given(seed=seeds, product=st.sampled_from(["exponential", "limit"]))
def test_incidences_and_the_event_free_share_add_to_one(vertebra_rows, seed, product):
    found = risks(vertebra_rows(seed, causes=3), product=product).frame.dropna(subset="estimate")
    total = found.groupby(["profile", "time"])["estimate"].sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ties": "breslow"},
        {"product": "limit"},
        {"strata": "site", "profiles": BOTH | {"site": ["A", "B"]}},
        {"covariates_of": {2: ["age"]}},
    ],
    ids=["exponential", "breslow", "limit", "strata", "own covariates"],
)
def test_the_robust_error_is_the_derivative_by_each_patients_weight(options, vertebra_rows):
    rows = vertebra_rows(7).assign(w=1.0, site=lambda d: np.where(d["unit"] % 2, "A", "B"))
    base = risks(rows, weight="w", **options).frame
    moved = []
    for patient in rows["patient"].unique():
        up, down = (
            risks(rows.assign(w=np.where(rows["patient"] == patient, 1 + step, 1.0)), weight="w", **options).frame
            for step in (1e-4, -1e-4)
        )
        moved.append((up["estimate"] - down["estimate"]) / 2e-4)
    numerical = np.sqrt((np.array(moved) ** 2).sum(axis=0))
    np.testing.assert_allclose(base["std_error"], numerical, rtol=1e-5, atol=1e-8)


@FEW
@given(seed=seeds, method=st.sampled_from(["cause_specific", "fine_gray"]))
def test_the_order_of_rows_and_splits_change_nothing(vertebra_rows, seed, method):
    rows = vertebra_rows(seed)
    options = {"method": method, "of": 1}
    whole = risks(rows, **options)
    mixed = risks(rows.sample(frac=1, random_state=seed), **options)
    over = (rows["entry"] < 8) & (rows["exit"] > 8)
    split = pd.concat([rows[over].assign(exit=8.0, cause=0), rows.assign(entry=np.where(over, 8.0, rows["entry"]))])
    for other in (mixed, risks(split, **options)):
        np.testing.assert_allclose(numbers(other), numbers(whole), rtol=1e-7, atol=1e-11)
        for name in ("n_risk", "n_events", "n_units", "note"):
            assert other.frame[name].tolist() == whole.frame[name].tolist()


@FEW
@given(seed=seeds, method=st.sampled_from(["cause_specific", "fine_gray"]))
def test_copies_of_every_patient_divide_the_error_by_the_root_of_their_number(vertebra_rows, seed, method):
    """Breslow, since Efron's allowance for ties grows with the copies; copies that stay one patient change nothing."""
    rows = vertebra_rows(seed)
    options = {"method": method, "of": 1, "ties": "breslow"}
    apart = pd.concat([rows, rows.assign(unit=rows["unit"] + 1000, patient=rows["patient"] + 1000)])
    together = pd.concat([rows, rows.assign(unit=rows["unit"] + 1000)])
    one, two, same = (risks(d, **options).frame for d in (rows, apart, together))
    np.testing.assert_allclose(two["estimate"], one["estimate"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(two["std_error"] * np.sqrt(2), one["std_error"], rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(same["std_error"], one["std_error"], rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(same["naive_std_error"] * np.sqrt(2), one["naive_std_error"], rtol=1e-6, atol=1e-10)


@FEW
@given(seed=seeds)
def test_a_row_of_frequency_three_is_three_rows(vertebra_rows, seed):
    rows = vertebra_rows(seed).assign(w=lambda d: 1 + d["unit"] % 3)
    repeated = rows.loc[rows.index.repeat(rows["w"])].reset_index(drop=True)
    plain = {"id": None, "cluster": None}
    one = risks(rows, weight="w", weight_kind="frequency", **plain)
    many = risks(repeated, **plain)
    np.testing.assert_allclose(numbers(one), numbers(many), rtol=1e-7, atol=1e-11)
    for name in ("n_risk", "n_events"):
        assert one.frame[name].tolist() == many.frame[name].tolist()


def test_the_share_of_one_cause_is_the_same_whether_asked_alone_or_with_all(vertebra_rows):
    rows = vertebra_rows(3)
    alone, with_all = risks(rows, of=2).frame, risks(rows).frame.query("outcome == '2'")
    np.testing.assert_array_equal(alone["estimate"], with_all["estimate"])
    np.testing.assert_allclose(alone["std_error"], with_all["std_error"], rtol=1e-12)


def test_causes_may_have_covariates_of_their_own(vertebra_rows):
    rows = vertebra_rows(3)
    found = risks(rows, ["leak"], of=1, covariates_of={2: ["age"]}, profiles={"leak": [0, 0], "age": [60, 90]})
    assert found.settings["covariates"] == {1: ["leak"], 2: ["age"]}
    early = found.frame.query("time == 3")["estimate"].tolist()
    late = found.frame.query("time == 25")["estimate"].tolist()
    assert early[0] == pytest.approx(early[1], rel=0.01)
    assert late[0] != pytest.approx(late[1], rel=0.01)  # age moves deaths, and deaths leave fewer to have the event


def test_a_profile_beyond_everyone_observed_is_predicted_and_said(vertebra_rows):
    found = risks(vertebra_rows(3), profiles={"leak": [0, 0], "age": [75, 120]}, of=1).frame
    assert not found["note"].iloc[0].startswith("age")
    assert found["note"].iloc[3].startswith("age 120 lies outside the observed")
    assert np.isfinite(found["estimate"]).all()


def test_profiles_are_named_by_their_index_or_by_their_values(vertebra_rows):
    named = pd.DataFrame(BOTH, index=["younger", "older"])
    assert risks(vertebra_rows(3), profiles=named, at=5, of=1).frame["stratum"].tolist() == ["younger", "older"]
    found = risks(vertebra_rows(3), profiles={"leak": 1, "age": 70.5}, at=5, of=1).frame
    assert found["stratum"].tolist() == ["leak=1, age=70.5"]


def test_categories_are_coded_as_in_the_fit_and_unknown_ones_are_refused(vertebra_rows):
    rows = vertebra_rows(3)
    cleft = pd.Categorical(np.array(["no", "yes"])[rows["leak"]], ["no", "not_assessable", "yes"])
    ours = risks(rows.assign(cleft=cleft), ["cleft"], profiles={"cleft": ["yes", "no"]})
    same = risks(rows, ["leak"], profiles={"leak": [1, 0]})
    np.testing.assert_allclose(numbers(ours), numbers(same), rtol=1e-10)
    with pytest.raises(EstimationError, match="'not_assessable', which no complete row has; there are no, yes"):
        risks(rows.assign(cleft=cleft), ["cleft"], profiles={"cleft": "not_assessable"})


def test_a_role_that_changes_is_refused_in_a_sentence():
    d = pd.DataFrame({"id": [1, 1, 2], "entry": [0, 5, 0], "exit": [5, 9, 7], "cause": [0, 1, 2], "role": [0, 1, 0]})
    for method in ("cause_specific", "fine_gray"):
        with pytest.raises(EstimationError, match="no value after death"):
            absolute_risk(
                d, ["role"], profiles={"role": 1}, at=5, entry="entry", exit="exit", cause="cause", id="id",
                method=method,
            )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profiles": {"leak": 1}}, "no column 'age'"),
        ({"profiles": {"leak": [1, 0], "age": [70, np.nan]}}, "missing"),
        ({"profiles": pd.DataFrame({"leak": [], "age": []})}, "No profile"),
        ({"profiles": {"leak": [1, 0], "age": [70, 71, 72]}}, "do not make a table"),
        ({"at": [1, np.nan]}, "at least one day"),
        ({"of": 5}, "no cause 5"),
        ({"of": None, "method": "fine_gray"}, "single cause"),
        ({"of": 1, "method": "fine_gray", "strata": "leak"}, "strata"),
        ({"of": 1, "method": "fine_gray", "product": "limit"}, "cause-specific"),
        ({"method": "cox"}, "method must be"),
        ({"product": "sum"}, "product must be"),
        ({"ties": "exact"}, "ties must be"),
        ({"conf_type": "wald"}, "conf_type"),
        ({"strata": "site", "profiles": {"leak": 1, "age": 70, "site": "Z"}}, "stratum"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(options, words, vertebra_rows):
    with pytest.raises(EstimationError, match=words):
        risks(vertebra_rows(3).assign(site="A"), **options)


def test_rows_without_a_covariate_of_any_cause_are_left_out_of_all(vertebra_rows):
    rows = vertebra_rows(3).astype({"age": float})
    rows.loc[[0, 1], "age"] = np.nan
    found = risks(rows, ["leak"], covariates_of={2: ["age"]})
    assert found.settings["rows_missing"] == {"leak": 0, "age": 2}
    assert found.frame["n_units"].iloc[0] == len(rows) - 2


def test_without_an_event_the_risk_is_zero_without_limits(vertebra_rows):
    found = risks(vertebra_rows(3).assign(cause=0), causes_named=["refracture"]).frame.query("outcome != 'event_free'")
    assert (found["estimate"] == 0).all()
    assert found["conf_high"].isna().all()
    assert (found["note"] == "no event of cause refracture").all()
    alone = risks(vertebra_rows(3).assign(cause=0), of=1, method="fine_gray").frame
    assert (alone["estimate"] == 0).all()


def test_a_cause_without_an_event_leaves_the_other_as_it_is(vertebra_rows):
    rows = vertebra_rows(3, causes=1)
    two, one = risks(rows, of=1, causes_named=["refracture", "death"]).frame, risks(rows, of=1).frame
    np.testing.assert_allclose(two["estimate"], one["estimate"], rtol=1e-12)
    assert two["note"].str.startswith("no event of cause death").all()


def test_where_everyone_leaked_there_is_no_risk_without_a_leak(vertebra_rows):
    found = risks(vertebra_rows(3).assign(leak=1), of=1).frame
    without, with_leak = found[found["profile"] == 0], found[found["profile"] == 1]
    assert without["estimate"].isna().all()
    assert without["note"].str.contains("leak left out of the model of cause 1").all()
    age = risks(vertebra_rows(3), ["age"], of=1, profiles={"age": 80}).frame
    np.testing.assert_allclose(with_leak["estimate"], age["estimate"], rtol=1e-9)


def test_a_covariate_told_by_another_must_be_told_by_it_in_the_profile_too(vertebra_rows):
    rows = vertebra_rows(3).assign(twice=lambda d: 2 * d["leak"] + 1)
    found = risks(rows, ["leak", "twice"], of=1, at=10, profiles={"leak": [1, 1], "twice": [3, 1]}).frame
    assert np.isfinite(found["estimate"].iloc[0])
    assert np.isnan(found["estimate"].iloc[1])


def test_one_patient_has_no_robust_error(vertebra_rows):
    found = risks(vertebra_rows(3).assign(patient=1), of=1).frame
    assert found["std_error"].isna().all()
    assert np.isfinite(found["naive_std_error"]).all()
    assert found["note"].str.contains("one cluster").all()


def test_a_single_row_is_no_error():
    d = pd.DataFrame({"exit": [5], "cause": [1], "leak": [1]})
    found = absolute_risk(d, ["leak"], profiles={"leak": 1}, at=[4, 5], exit="exit", cause="cause").frame
    assert found["estimate"].tolist() == pytest.approx([0.0, 1 - np.exp(-1)])
    assert found["std_error"].isna().all()


def test_after_the_last_day_there_is_no_estimate_and_before_the_first_event_nothing_has_happened(vertebra_rows):
    found = risks(vertebra_rows(3), at=[0, 999], of=1).frame
    assert found["estimate"].iloc[0] == 0
    assert np.isnan(found["estimate"].iloc[1])
    assert found["note"].iloc[1].startswith("after the last day of follow-up")


def test_a_profile_too_far_out_for_a_share_says_so(vertebra_rows):
    rows = vertebra_rows(3)
    away = {"leak": 0, "age": [75, 1e6]}
    for product in ("exponential", "limit"):
        found = risks(rows, profiles=away, of=1, at=25, product=product).frame
        assert np.isfinite(found["estimate"].iloc[0])
        assert found["estimate"].iloc[1] in (0.0, 1.0) or "too large to become a share" in found["note"].iloc[1]


def test_an_event_at_the_edge_of_its_risk_set_leaves_no_limits_and_says_why():
    """The youngest of the two at risk has the only event: no hazard ratio of age is finite, however far it is taken."""
    d = pd.DataFrame({"exit": [5.0] * 9 + [9.0, 10.0], "cause": [0] * 9 + [1, 0], "age": [*range(60, 69), 74.9, 75.0]})
    found = absolute_risk(d, ["age"], profiles={"age": 74.9}, at=9, exit="exit", cause="cause").frame.iloc[0]
    assert np.isnan(found["conf_low"])
    assert "no finite hazard ratio of age" in found["note"] or "rests on too little" in found["note"]
