"""Gray's test: who died of another cause stays in the count, and what cannot be compared says so."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import logrank
from cohort.estimate.gray import gray_test


def days(seed=1, n=60, causes=2, groups=3, last_day=12):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "exit": rng.integers(1, last_day, n),
            "cause": rng.integers(0, causes + 1, n),
            "role": rng.integers(0, groups, n),
            "site": rng.integers(0, 2, n),
        }
    )


def test_without_other_causes_it_counts_what_the_log_rank_test_counts():
    d = days(causes=1)
    ours = gray_test(d, exit="exit", cause="cause", by="role").settings
    theirs = logrank(d, exit="exit", event="cause", by="role").frame.set_index("term")
    for group, observed in ours["observed"]["1"].items():
        assert observed == theirs.loc[group, "observed"]
        assert ours["expected"]["1"][group] == pytest.approx(theirs.loc[group, "expected"], rel=1e-12)


def test_the_dead_of_another_cause_stay_among_those_expected_to_fracture():
    """Day 1: a death in a. Day 2: a fracture in b. Without losses a still counts 2, as b: half is expected in each."""
    d = pd.DataFrame({"exit": [1, 5, 2, 5], "cause": [2, 0, 1, 0], "group": ["a", "a", "b", "b"]})
    found = gray_test(d, exit="exit", cause="cause", by="group", of=1)
    assert found.settings["expected"]["1"] == pytest.approx({"a": 0.5, "b": 0.5})
    assert found.frame["n_events"].tolist() == [1]


def test_row_order_and_the_names_of_groups_change_nothing():
    d = days()
    one = gray_test(d, exit="exit", cause="cause", by="role", strata="site").frame
    other = d.sample(frac=1, random_state=3).assign(role=lambda x: x["role"].map({0: "c", 1: "a", 2: "b"}))
    two = gray_test(other, exit="exit", cause="cause", by="role", strata="site").frame
    np.testing.assert_allclose(two["statistic"], one["statistic"], rtol=1e-10)


def test_a_stratum_with_one_group_adds_nothing():
    d = days(groups=2)
    alone = days(seed=5, n=20).assign(role=1, site=9)
    one = gray_test(d, exit="exit", cause="cause", by="role", strata="site").frame
    two = gray_test(pd.concat([d, alone]), exit="exit", cause="cause", by="role", strata="site").frame
    np.testing.assert_allclose(two["statistic"], one["statistic"], rtol=1e-10)


def test_under_equal_incidence_it_rejects_one_time_in_twenty():
    rejected = 0
    for seed in range(200):
        d = days(seed, n=120, groups=2, last_day=40)
        rejected += gray_test(d, exit="exit", cause="cause", by="role", of=1).frame["p_value"].iloc[0] < 0.05
    assert 1 <= rejected <= 19  # 10 expected, three standard errors


def test_causes_carry_their_names_and_one_without_an_event_says_so():
    d = days(causes=2)
    d["cause"] = pd.Categorical.from_codes(d["cause"], ["none", "refracture", "death", "retreated"])
    found = gray_test(d, exit="exit", cause="cause", by="role").frame
    assert found["outcome"].tolist() == ["refracture", "death", "retreated"]
    assert np.isnan(found["p_value"].iloc[2])
    assert found["note"].iloc[2] == "no event of this cause: nothing to compare"
    assert gray_test(d, exit="exit", cause="cause", by="role", of=2).frame["outcome"].tolist() == ["death"]


def test_no_event_everyone_in_one_group_and_a_single_patient_give_a_row_with_a_note():
    d = days()
    none = gray_test(d.assign(cause=0), exit="exit", cause="cause", by="role").frame
    assert none["note"].tolist() == ["no event of this cause: nothing to compare"]
    one = gray_test(d.assign(role=1), exit="exit", cause="cause", by="role").frame
    assert set(one["note"]) == {"everyone is in one group: nothing to compare"}
    assert np.isnan(one["statistic"]).all()
    single = gray_test(d.iloc[:1].assign(cause=1), exit="exit", cause="cause", by="role").frame
    assert single["note"].tolist() == ["everyone is in one group: nothing to compare"]


def test_a_group_lost_before_the_first_event_takes_no_part():
    d = days().assign(exit=lambda x: x["exit"] + 5)
    lost = pd.DataFrame({"exit": [1, 2], "cause": [0, 0], "role": [7, 7], "site": [0, 0]})
    with_lost = gray_test(pd.concat([d, lost]), exit="exit", cause="cause", by="role").frame
    without = gray_test(d, exit="exit", cause="cause", by="role").frame
    np.testing.assert_allclose(with_lost[["statistic", "df"]], without[["statistic", "df"]], rtol=1e-9)
    assert with_lost["note"].str.contains("no part is taken by 7").all()


def test_a_group_followed_to_its_end_is_told_where_the_pooled_incidence_passes_one():
    early = pd.DataFrame({"exit": [1, 2, 3, 4], "cause": 1, "role": "a"})
    late = pd.DataFrame({"exit": [6, 7, 8, 9, 9], "cause": [1, 1, 1, 1, 1], "role": "b"})
    found = gray_test(pd.concat([early, late]), exit="exit", cause="cause", by="role").frame
    assert found["note"].str.contains("passes 1").all()


def test_where_the_pooled_incidence_reaches_one_there_is_no_test():
    early = pd.DataFrame({"exit": [1, 2], "cause": 1, "role": "a"})
    late = pd.DataFrame({"exit": [6, 7], "cause": [1, 1], "role": "b"})
    found = gray_test(pd.concat([early, late]), exit="exit", cause="cause", by="role").frame
    assert np.isnan(found["statistic"]).all()
    assert found["note"].str.contains("reaches 1 before the last event").all()


def test_several_rows_of_a_patient_are_refused_and_one_each_is_not():
    d = days().assign(patient=lambda x: np.arange(len(x)) // 2, unit=lambda x: np.arange(len(x)))
    with pytest.raises(EstimationError, match="fine_gray"):
        gray_test(d, exit="exit", cause="cause", by="role", cluster="patient")
    with pytest.raises(EstimationError, match="fine_gray"):
        gray_test(d, exit="exit", cause="cause", by="role", id="patient")
    gray_test(d, exit="exit", cause="cause", by="role", cluster="unit", id="unit")
    with pytest.raises(TypeError, match="entry"):
        gray_test(d, exit="exit", cause="cause", by="role", entry="exit")


def test_missing_values_are_refused_by_column_and_count():
    d = days().astype({"role": float})
    d.loc[[3, 4], "role"] = np.nan
    with pytest.raises(EstimationError, match=r"'role' .* missing in 2 rows"):
        gray_test(d, exit="exit", cause="cause", by="role")
    with pytest.raises(EstimationError, match="`of` is the number of a cause"):
        gray_test(days(), exit="exit", cause="cause", by="role", of=0)
