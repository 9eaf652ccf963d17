"""Hazard ratios where there is much to estimate, little, and nothing."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox, logrank, ph_test

CLUSTERED = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}


def test_the_hazard_ratio_of_four_rows_worked_by_hand():
    """Leaks break on days 1 and 3, the others on 2 and never: 2 log h - log(2h+2) - log(h+2) - log(h+1) is greatest
    where 2 = h/(h+1) + h/(h+2) + h/(h+1)."""
    d = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 1, 1, 0], "leak": [1, 0, 1, 0]})
    h = cox(d, ["leak"], exit="exit", event="event").frame["estimate"].iloc[0]
    assert 2 * h / (h + 1) + h / (h + 2) == pytest.approx(2, rel=1e-12)


def test_no_event_leaves_a_row_that_says_so(vertebra_rows):
    result = cox(vertebra_rows(1).assign(event=0), ["leak", "age"], **CLUSTERED).frame
    assert result["term"].tolist() == ["leak", "age"]
    assert result["estimate"].isna().all()
    assert result["note"].str.startswith("no event").all()


def test_everyone_exposed_leaves_a_row_that_says_so_and_fits_the_rest(vertebra_rows):
    result = cox(vertebra_rows(1).assign(leak=1), ["leak", "age"], **CLUSTERED).frame.set_index("term")
    assert result["note"]["leak"].startswith("the same for everyone")
    assert np.isnan(result["estimate"]["leak"])
    assert np.isfinite(result["std_error"]["age"])


def test_no_event_among_the_exposed_is_a_hazard_ratio_of_zero_without_limits(vertebra_rows):
    d = vertebra_rows(1).assign(event=lambda d: d["event"] * (1 - d["leak"]))
    result = cox(d, ["leak", "age"], **CLUSTERED).frame.set_index("term")
    assert result["estimate"]["leak"] == 0
    assert np.isnan(result["conf_high"]["leak"])
    assert result["note"]["leak"].startswith("no event among the exposed")
    assert result["n_exposed_events"]["leak"] == 0
    rest = cox(d[d["leak"] == 0], ["age"], **CLUSTERED).frame
    assert result["coef"]["age"] == pytest.approx(rest["coef"].iloc[0], abs=1e-6)
    assert result["naive_std_error"]["age"] == pytest.approx(rest["naive_std_error"].iloc[0], rel=1e-5)
    assert result["std_error"]["age"] == pytest.approx(rest["std_error"].iloc[0], rel=1e-5)


def test_every_event_among_the_exposed_is_an_infinite_hazard_ratio(vertebra_rows):
    d = vertebra_rows(1).assign(event=lambda d: d["event"] * d["leak"])
    result = cox(d, ["leak", "age"], **CLUSTERED).frame.set_index("term")
    assert result["estimate"]["leak"] == np.inf
    assert "no upper bound" in result["note"]["leak"]


def test_a_covariate_told_by_others_is_left_out_and_said(vertebra_rows):
    d = vertebra_rows(1).assign(twice=lambda d: 2 * d["leak"] + 1)
    result = cox(d, ["leak", "twice"], **CLUSTERED).frame.set_index("term")
    assert result["note"]["twice"].startswith("told by the covariates before it")
    alone = cox(d, ["leak"], **CLUSTERED).frame.iloc[0]
    assert result["coef"]["leak"] == pytest.approx(alone["coef"], rel=1e-10)


def test_one_patient_has_no_robust_error(vertebra_rows):
    d = vertebra_rows(1).assign(patient=1)
    result = cox(d, ["age"], **CLUSTERED).frame.iloc[0]
    assert np.isnan(result["std_error"])
    assert np.isfinite(result["naive_std_error"])
    assert "one cluster" in result["note"]


def test_events_of_few_patients_are_said(vertebra_rows):
    assert "clusters" in cox(vertebra_rows(1), ["age"], **CLUSTERED).frame["note"].iloc[0]


def test_missing_covariates_are_left_out_and_counted_by_name(vertebra_rows):
    d = vertebra_rows(2).astype({"age": float})
    d.loc[[0, 1, 2], "age"] = np.nan
    result = cox(d, ["leak", "age"], **CLUSTERED)
    assert result.settings["rows_left_out"] == 3
    assert result.settings["rows_missing"] == {"leak": 0, "age": 3}
    assert result.frame["n_units"].iloc[0] == len(d) - 3


def test_categories_are_compared_with_the_first_and_not_assessable_stays_itself(vertebra_rows):
    d = vertebra_rows(3)
    found = np.array(["no", "not_assessable", "yes"], dtype=object)[d["unit"] % 3]
    d["cleft"] = pd.Categorical(found, ["no", "not_assessable", "yes"])
    result = cox(d, ["cleft"], **CLUSTERED)
    assert result.frame["term"].tolist() == ["cleft=not_assessable", "cleft=yes"]
    assert result.settings["reference"] == {"cleft": "no"}


def test_text_is_refused_because_its_order_would_be_a_guess(vertebra_rows):
    d = vertebra_rows(3).assign(cement="pmma")
    with pytest.raises(EstimationError, match="reference first"):
        cox(d, ["cement"], **CLUSTERED)


def test_a_missing_column_is_named_with_those_there_are(vertebra_rows):
    with pytest.raises(EstimationError, match="no column 'clef'"):
        cox(vertebra_rows(3), ["clef"], **CLUSTERED)


def test_a_year_and_a_year_less_2000_have_the_same_hazard_ratio(vertebra_rows):
    d = vertebra_rows(5).assign(year=lambda d: 2000.0 + d["unit"] % 10, since=lambda d: d["year"] - 2000)
    one, other = cox(d, ["year"], **CLUSTERED).frame, cox(d, ["since"], **CLUSTERED).frame
    assert one["coef"].iloc[0] == pytest.approx(other["coef"].iloc[0], rel=1e-9)


def test_lifelines_agrees_without_late_entry(vertebra_rows):
    from lifelines import CoxPHFitter

    d = vertebra_rows(6, n_patients=60)[["exit", "event", "leak", "age"]].astype(float)
    theirs = CoxPHFitter().fit(d, "exit", "event", fit_options={"precision": 1e-10})
    ours = cox(d, ["leak", "age"], exit="exit", event="event").frame
    # lifelines stops a little before its maximum (we hold to R at 1e-9): 4e-6 apart here
    np.testing.assert_allclose(ours["coef"], theirs.params_, rtol=2e-5)
    np.testing.assert_allclose(ours["std_error"], theirs.standard_errors_, rtol=2e-5)


def test_without_ties_the_log_rank_test_is_the_score_test_also_with_late_entry(vertebra_rows):
    d = vertebra_rows(8).assign(exit=lambda d: d["exit"] + d["unit"] / 1000)
    score = cox(d, ["leak"], entry="entry", exit="exit", event="event").settings["score_statistic"]
    test = logrank(d, entry="entry", exit="exit", event="event", by="leak").frame
    assert test["statistic"].iloc[-1] == pytest.approx(score, rel=1e-10)


def test_one_group_has_nothing_to_compare(vertebra_rows):
    d = vertebra_rows(8).assign(leak=1)
    test = logrank(d, exit="exit", event="event", by="leak").frame.iloc[-1]
    assert np.isnan(test["statistic"])
    assert test["note"]


def test_a_separating_covariate_has_no_test_of_proportionality_but_the_others_do(vertebra_rows):
    d = vertebra_rows(1).assign(event=lambda d: d["event"] * d["leak"])
    result = ph_test(d, ["leak", "age"], entry="entry", exit="exit", event="event").frame.set_index("term")
    assert np.isnan(result["statistic"]["leak"])
    assert result["statistic"]["age"] == pytest.approx(result["statistic"]["GLOBAL"], rel=1e-6)


def test_a_hazard_that_crosses_is_found_out():
    rng = np.random.default_rng(2)
    leak = np.repeat([0, 1], 300)
    exit_ = np.where(leak == 1, rng.weibull(0.5, 600), rng.weibull(2.5, 600)) * 100 + 1
    d = pd.DataFrame({"exit": exit_, "event": 1, "leak": leak})
    assert ph_test(d, ["leak"], exit="exit", event="event").frame["p_value"].iloc[0] < 1e-6
