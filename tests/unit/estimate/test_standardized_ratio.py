"""Observed over expected, by level: what a level has beside what it would have at the rates of all."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.domain.errors import EstimationError
from cohort.estimate.standardized_ratio import byar_poisson, mid_p_poisson, observed_expected

# Two levels, two ages: rates of all are 1 per 100 (young) and 5 per 100 (old).
LEVELS = pd.DataFrame(
    {
        "level": ["T12", "T12", "L3", "L3"],
        "old": [0, 1, 0, 1],
        "broke": [3, 9, 1, 1],
        "years": [200.0, 100, 200, 100],
        "patient": [1, 2, 3, 4],
    }
)
SETTING = {"events": "broke", "person_time": "years", "by": "level"}


def test_expected_are_the_years_of_a_level_at_the_rates_of_all_worked_by_hand():
    result = observed_expected(LEVELS, strata="old", **SETTING).frame.set_index("level")
    assert result["expected"].to_dict() == pytest.approx({"T12": 2 + 5, "L3": 2 + 5})
    assert result["estimate"].to_dict() == pytest.approx({"T12": 12 / 7, "L3": 2 / 7})


def test_against_its_own_registry_all_levels_together_have_as_many_as_expected():
    by_level = observed_expected(LEVELS, strata="old", **SETTING).frame
    assert by_level["expected"].sum() == pytest.approx(by_level["n_events"].sum())
    whole = observed_expected(LEVELS, **(SETTING | {"by": None})).frame
    assert whole["estimate"].iloc[0] == pytest.approx(1.0)
    assert whole["p_value"].iloc[0] == 1.0


def test_a_table_of_rates_is_the_standard_of_another_place():
    table = pd.DataFrame({"old": [0, 1], "rate": [0.02, 0.04]})
    result = observed_expected(LEVELS, strata="old", standard=table, **SETTING)
    assert result.frame.set_index("level")["expected"].to_dict() == pytest.approx({"T12": 8, "L3": 8})
    assert result.settings["standard"].startswith("table")
    one = observed_expected(LEVELS, standard=0.01, **SETTING).frame
    assert one["expected"].tolist() == pytest.approx([3, 3])


def test_exact_limits_leave_half_of_the_error_in_each_tail():
    result = observed_expected(LEVELS, strata="old", **SETTING).frame
    o, e = result["n_events"], result["expected"]
    np.testing.assert_allclose(stats.poisson.sf(o - 1, result["conf_low"] * e), 0.025, rtol=1e-10)
    np.testing.assert_allclose(stats.poisson.cdf(o, result["conf_high"] * e), 0.025, rtol=1e-10)


def test_mid_p_limits_lie_within_exact_ones_and_byars_near_them():
    x = np.array([0.0, 1, 2, 5, 11, 40, 200])
    exact = observed_expected(
        pd.DataFrame({"k": x, "t": 1.0, "g": x}), events="k", person_time="t", by="g", standard=1.0
    ).frame
    low, high = mid_p_poisson(x, 0.95)
    assert (low >= exact["conf_low"] - 1e-12).all()
    assert (high < exact["conf_high"]).all()
    byar = byar_poisson(x, 0.95)
    np.testing.assert_allclose(byar[0][3:], exact["conf_low"][3:], rtol=0.01)
    np.testing.assert_allclose(byar[1][2:], exact["conf_high"][2:], rtol=0.01)
    assert low[0] == byar[0][0] == 0.0


@pytest.mark.parametrize("method", ["exact", "mid-p"])
def test_the_p_value_is_five_per_cent_where_a_limit_meets_one(method):
    row = pd.DataFrame({"broke": [11], "years": [1.0]})
    limit = observed_expected(row, events="broke", person_time="years", by=None, standard=1.0, method=method).frame
    there = {"events": "broke", "person_time": "years", "by": None, "method": method}
    for end in ("conf_low", "conf_high"):
        at_limit = observed_expected(row, standard=float(limit[end].iloc[0]), **there).frame
        assert at_limit["p_value"].iloc[0] == pytest.approx(0.05, rel=1e-8)


def test_several_vertebrae_of_a_patient_widen_the_interval():
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(150), 4)
    own = rng.gamma(0.5, 2, 150)[patient]
    d = pd.DataFrame({"patient": patient, "years": 1.0, "broke": rng.poisson(0.3 * own)})
    plain = observed_expected(d, standard=0.3, **(SETTING | {"by": None})).frame.iloc[0]
    robust = observed_expected(d, standard=0.3, cluster="patient", **(SETTING | {"by": None})).frame.iloc[0]
    assert robust["interval"] == "robust"
    assert robust["std_error"] > 1.2 * robust["naive_std_error"]
    assert robust["conf_low"] < plain["conf_low"]
    assert robust["conf_high"] > plain["conf_high"]


def test_with_few_events_the_wider_of_robust_and_exact_is_taken():
    result = observed_expected(LEVELS, strata="old", cluster="patient", **SETTING).frame
    exact = observed_expected(LEVELS, strata="old", **SETTING).frame
    assert (result["conf_low"] <= exact["conf_low"]).all()
    assert (result["conf_high"] >= exact["conf_high"]).all()
    assert (result["interval"] == "wider of robust and exact").all()
    assert result["note"].str.startswith("few events").all()


def test_no_event_has_a_lower_limit_of_zero_and_nothing_expected_no_ratio():
    d = pd.concat(
        [LEVELS, pd.DataFrame({"level": ["L5", "C2"], "old": 0, "broke": 0, "years": [50.0, 0], "patient": 9})]
    )
    result = observed_expected(d, strata="old", cluster="patient", **SETTING).frame.set_index("level")
    assert result["estimate"]["L5"] == 0
    assert result["conf_low"]["L5"] == 0
    assert result["conf_high"]["L5"] == pytest.approx(-np.log(0.025) / result["expected"]["L5"])
    assert result["interval"]["L5"] == "exact"
    assert np.isnan(result["estimate"]["C2"])
    assert np.isnan(result["conf_high"]["C2"])
    assert result["note"]["C2"] == "nothing expected"


def test_the_order_and_the_splitting_of_rows_change_nothing():
    one = observed_expected(LEVELS, strata="old", cluster="patient", **SETTING).frame
    halves = pd.concat([LEVELS.assign(years=LEVELS["years"] / 2), LEVELS.assign(years=LEVELS["years"] / 2, broke=0)])
    two = observed_expected(halves.iloc[::-1], strata="old", cluster="patient", **SETTING).frame
    pd.testing.assert_frame_equal(two, one)


def test_categories_meet_the_strata_of_a_table_by_what_they_show():
    d = LEVELS.assign(old=pd.Categorical(LEVELS["old"].map({0: "young", 1: "old"}), ["young", "old"]))
    table = pd.DataFrame({"old": ["young", "old"], "rate": [0.02, 0.04]})
    assert observed_expected(d, strata="old", standard=table, **SETTING).frame["expected"].tolist() == [8, 8]


def test_what_cannot_be_compared_is_refused():
    table = pd.DataFrame({"old": [0], "rate": [0.02]})
    with pytest.raises(EstimationError, match="2 rows lie in 1 strata"):
        observed_expected(LEVELS, strata="old", standard=table, **SETTING)
    with pytest.raises(EstimationError, match="more than once"):
        observed_expected(LEVELS, strata="old", standard=pd.concat([table, table]), **SETTING)
    with pytest.raises(EstimationError, match="has no strata"):
        observed_expected(LEVELS, strata="old", standard=0.1, **SETTING)
    with pytest.raises(EstimationError, match="name the `strata`"):
        observed_expected(LEVELS, standard=pd.concat([table, table]), **SETTING)
    with pytest.raises(EstimationError, match="rate of zero"):
        observed_expected(LEVELS, strata="old", standard=pd.DataFrame({"old": [0, 1], "rate": 0.0}), **SETTING)
    with pytest.raises(EstimationError, match="events need time"):
        observed_expected(LEVELS.assign(years=0), **SETTING)
    with pytest.raises(EstimationError, match="counts"):
        observed_expected(LEVELS.assign(broke=0.5), **SETTING)
    with pytest.raises(EstimationError, match="method must be"):
        observed_expected(LEVELS, method="wilson", **SETTING)
