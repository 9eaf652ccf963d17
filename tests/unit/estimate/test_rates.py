"""Rates per person-time and proportions: whose events they are decides how sure the figure is."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import proportion, rate, rate_by
from cohort.estimate.rates import exact_over_patients, exact_poisson


def registry(n, seed=0, mean=0.5):
    rng = np.random.default_rng(seed)
    own = rng.gamma(1.0, 1.0, n)
    days = rng.integers(100, 1500, n).astype(float)
    return pd.DataFrame(
        {"patient": np.arange(n), "days": days, "events": rng.poisson(own * days / days.mean() * mean).astype(float)}
    )


def test_three_patients_worked_by_hand():
    """2 events in 10 years leave d - 0.2 t of 0.2, 0.6 and -0.8; SE of the log = sqrt(0.04 + 0.36 + 0.64) / 2."""
    result = rate([1, 1, 0], [4, 2, 4], time_unit="years").frame.iloc[0]
    assert result["estimate"] == pytest.approx(0.2)
    assert result["std_error"] == pytest.approx(np.sqrt(1.04) / 2)


def test_vertebrae_of_one_patient_are_added_before_squaring():
    one = rate([2, 0, 1], [4, 2, 4], time_unit="years", cluster=["a", "b", "c"]).frame
    several = rate([1, 1, 0, 0, 1], [2, 2, 2, 1, 3], time_unit="years", cluster=["a", "a", "b", "c", "c"]).frame
    assert several["std_error"].iloc[0] == pytest.approx(one["std_error"].iloc[0], rel=1e-14)
    assert several["n_patients"].iloc[0] == 3


def test_statsmodels_gives_the_same_with_the_sandwich_of_poisson():
    import statsmodels.api as sm

    d = registry(200)
    fit = sm.GLM(d["events"], np.ones(200), family=sm.families.Poisson(), offset=np.log(d["days"] / 365.25)).fit(
        cov_type="HC0", tol=1e-14
    )
    ours = rate_by(d, events="events", person_days="days", cluster="patient").frame.iloc[0]
    assert ours["coef"] == pytest.approx(fit.params.iloc[0], rel=1e-9)
    assert ours["std_error"] == pytest.approx(fit.bse.iloc[0], rel=1e-9)
    assert ours["interval"] == "robust"


def test_no_event_has_the_exact_upper_limit():
    result = rate([0, 0], [500, 500], time_unit="years").frame.iloc[0]
    assert (result["estimate"], result["conf_low"]) == (0, 0)
    assert result["conf_high"] == pytest.approx(0.0036888794541, rel=1e-9)
    assert result["note"].startswith("no event")


def test_a_limit_from_no_event_says_on_what_it_rests():
    assert rate([0, 0], [500, 500]).frame["note"].iloc[0].endswith("if no patient would have had several")
    assert rate(0, 500).frame["note"].iloc[0] == "no event: exact Poisson interval"


def test_patients_with_two_events_each_have_twice_the_limits_of_as_many_with_one():
    low, high = exact_over_patients(np.array([8.0]), np.array([16.0]), np.array([2.0]), 0.95)
    one_low, one_high = exact_poisson(np.array([4.0]), 0.95)
    assert (low[0], high[0]) == (pytest.approx(2 * one_low[0], rel=1e-12), pytest.approx(2 * one_high[0], rel=1e-12))


@pytest.mark.parametrize("events", [0, 1, 3, 9])
def test_patients_with_one_event_each_have_the_exact_poisson_interval(events):
    seen = np.array([float(events)])
    ours = exact_over_patients(seen, seen, np.minimum(seen, 1.0), 0.9)
    np.testing.assert_allclose(ours, exact_poisson(seen, 0.9), rtol=1e-12)


def test_a_cascade_in_one_patient_widens_the_interval():
    spread = rate([1, 1, 1, 1, 0, 0], [2] * 6, time_unit="years").frame.iloc[0]
    cascade = rate([3, 1, 0, 0, 0, 0], [2] * 6, time_unit="years").frame.iloc[0]
    assert cascade["estimate"] == spread["estimate"]
    assert cascade["conf_high"] > spread["conf_high"]
    assert cascade["conf_low"] < spread["conf_low"]


def test_events_of_an_only_patient_count_as_one():
    result = rate([3, 1], [2, 2], time_unit="years", cluster=["a", "a"]).frame.iloc[0]
    low, high = exact_poisson(np.array([1.0]), 0.95)
    assert (result["conf_low"], result["conf_high"]) == (pytest.approx(low[0]), pytest.approx(high[0]))
    assert "only one patient" in result["note"]


def test_few_events_take_the_wider_interval_at_each_end():
    few = rate([1, 1, 1, 0, 0], [2, 2, 2, 2, 2], time_unit="years").frame.iloc[0]
    exact = rate(3, 10, time_unit="years").frame.iloc[0]
    z = 1.959963984540054
    assert few["conf_low"] == min(exact["conf_low"], 0.3 * np.exp(-z * few["std_error"]))
    assert few["conf_high"] == max(exact["conf_high"], 0.3 * np.exp(z * few["std_error"]))
    assert few["interval"] == "wider of robust and exact"
    assert "wider" in few["note"]


def test_many_events_in_few_patients_also_count_as_few():
    d = pd.DataFrame({"patient": range(30), "days": 1000.0, "events": [10.0, 10, 10] + [0.0] * 27})
    assert (
        rate_by(d, events="events", person_days="days", cluster="patient").frame["interval"].iloc[0].startswith("wider")
    )


def test_each_level_and_role_has_its_own_rate_and_levels_keep_their_order():
    levels = pd.CategoricalDtype(["T12", "L1"], ordered=True)
    d = pd.DataFrame(
        {
            "patient": [1, 1, 2, 2],
            "level": pd.Series(["L1", "T12", "L1", "T12"], dtype=levels),
            "days": [365.25, 730.5, 365.25, 730.5],
            "events": [1, 0, 1, 1],
        }
    )
    result = rate_by(d, events="events", person_days="days", cluster="patient", by=["level"], per=1000).frame
    assert result["level"].tolist() == ["T12", "L1"]
    assert result["estimate"].tolist() == [250, 1000]
    assert result["person_years"].tolist() == [4, 2]


def test_events_without_person_time_are_refused():
    with pytest.raises(EstimationError, match="no person-time"):
        rate([1], [0])


def test_a_group_without_time_says_so():
    result = rate([0], [0]).frame.iloc[0]
    assert np.isnan(result["estimate"])
    assert result["note"] == "no person-time"


@pytest.mark.parametrize(("method", "high"), [("wilson", 0.161125158), ("exact", 0.168433471), ("mid-p", 0.139108)])
def test_none_of_twenty_still_has_an_upper_limit(method, high):
    result = proportion(0, 20, method=method).frame.iloc[0]
    assert (result["estimate"], result["conf_low"]) == (0, 0)
    assert result["conf_high"] == pytest.approx(high, rel=1e-5)


def test_nobody_has_no_proportion():
    for method in ("wilson", "exact", "mid-p"):
        result = proportion(0, 0, method=method).frame.iloc[0]
        assert np.isnan(result[["estimate", "conf_low", "conf_high"]].astype(float)).all()


def test_more_events_than_patients_is_an_error():
    with pytest.raises(EstimationError, match="above the number of patients"):
        proportion(3, 2)
