"""One study left out, small studies against large, and covariates of studies."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate.meta import meta_effects, meta_proportions
from cohort.estimate.meta_influence import egger_test, funnel, leave_one_out
from cohort.estimate.meta_regression import meta_regression

EFFECTS = {"estimate": "y", "std_error": "se"}
PAPERS = pd.DataFrame(
    {
        "paper": list("ABCDEFGH"),
        "y": [0.12, 0.35, 0.08, 0.41, 0.22, 0.30, 0.95, 0.18],
        "se": [0.10, 0.22, 0.08, 0.30, 0.12, 0.17, 0.16, 0.09],
        "year": [2001, 2004, 2009, 2010, 2013, 2015, 2019, 2020],
        "tier": pd.Categorical(["clinical", "film"] * 4),
        "events": [3, 9, 4, 2, 6, 0, 11, 5],
        "n": [40, 110, 35, 60, 80, 45, 90, 75],
    }
)


def test_each_row_is_the_pool_of_the_others():
    left = leave_one_out(PAPERS, study="paper", **EFFECTS).frame.set_index("study")
    others = meta_effects(PAPERS[PAPERS["paper"] != "G"], **EFFECTS).frame.query("row == 'pooled'").iloc[0]
    for name in ("estimate", "conf_low", "conf_high", "tau2", "q"):
        assert left.loc["G", name] == pytest.approx(others[name])
    assert left["influential"].to_dict()["G"]
    assert left["rstudent"].abs().idxmax() == "G"
    whole = meta_effects(PAPERS, **EFFECTS).frame.query("row == 'pooled'").iloc[0]
    np.testing.assert_allclose(left["change"], whole["coef"] - left["coef"])


def test_rows_of_one_study_are_left_out_together():
    two_arms = PAPERS.assign(paper=["A", "A", *"CDEFGH"])
    left = leave_one_out(two_arms, study="paper", **EFFECTS).frame.set_index("study")
    assert left.loc["A", "n_studies"] == 6
    assert np.isnan(left.loc["A", "rstudent"])
    assert left["hat"].sum() == pytest.approx(1.0)


def test_without_the_only_study_with_an_event_nothing_is_left_to_pool():
    lone = pd.DataFrame({"events": [3, 0, 0], "n": [40, 50, 60]})
    left = leave_one_out(lone, events="events", n="n").frame
    assert left["estimate"].iloc[0] == 0.0
    assert "no event in any study" in left["note"].iloc[0]
    assert np.isnan(left["change"].iloc[0])
    assert np.isfinite(left["change"].iloc[1:]).all()


def test_one_of_two_studies_leaves_the_other_and_of_one_none():
    left = leave_one_out(PAPERS.iloc[:2], **EFFECTS).frame
    np.testing.assert_allclose(left["estimate"], [0.35, 0.12])
    assert left["note"].str.contains("one study").all()
    with pytest.raises(EstimationError, match="none to leave out"):
        leave_one_out(PAPERS.iloc[:1], **EFFECTS)


def test_small_studies_that_agree_with_the_large_ones_raise_no_alarm():
    fair = PAPERS.assign(y=0.3 + 0.05 * np.array([1, -1, 1, -1, -1, 1, 1, -1]) * PAPERS["se"])
    slope = egger_test(fair, **EFFECTS).frame.iloc[0]
    assert slope["p_value"] > 0.2
    assert "only 8 studies" in slope["note"]
    line = egger_test(fair.assign(y=0.1 + 2.0 * fair["se"] + 0.01 * (fair["year"] % 2)), **EFFECTS).frame
    assert line["p_value"].iloc[0] < 1e-6
    assert line["estimate"].iloc[1] == pytest.approx(0.1, abs=0.01)  # what a study without error would say


def test_studies_on_a_line_have_no_error_of_the_line():
    line = egger_test(PAPERS.assign(y=0.5 * PAPERS["se"]), **EFFECTS).frame.query("model == 'random_effects'")
    assert line["coef"].iloc[0] == pytest.approx(0.5)
    assert line["std_error"].iloc[0] < 1e-12 or line["std_error"].isna().iloc[0]


def test_studies_of_one_size_or_too_few_have_no_funnel_test():
    same = egger_test(PAPERS.assign(se=0.2), **EFFECTS).frame
    assert same["coef"].isna().all()
    assert same["note"].str.contains("one size").all()
    few = egger_test(PAPERS.iloc[:2], **EFFECTS).frame
    assert few["note"].str.contains("at least 3").all()


def test_proportions_are_warned_of_and_tested_where_errors_hold_no_proportion():
    found = egger_test(PAPERS, events="events", n="n")
    assert found.settings["scale"] == "freeman_tukey"
    assert "crooked" in found.settings["caution"]
    with pytest.raises(EstimationError, match="no standard errors"):
        egger_test(PAPERS, events="events", n="n", method="glmm")
    with pytest.raises(EstimationError, match="without a size"):
        egger_test(PAPERS, predictor="inverse_root_n", **EFFECTS)


def test_a_funnel_is_narrow_at_the_top():
    limits = funnel(PAPERS, study="paper", **EFFECTS).frame.query("row == 'limit'")
    width = limits["conf_high"] - limits["conf_low"]
    assert width.iloc[0] == 0.0
    assert (np.diff(width) > 0).all()
    assert limits["std_error"].iloc[-1] > PAPERS["se"].max()


def test_a_covariate_that_does_not_vary_keeps_its_row():
    more = PAPERS.assign(same=1.0, again=PAPERS["year"] * 2.0)
    found = meta_regression(more, covariates=["year", "same", "again"], **EFFECTS)
    frame = found.frame.set_index("term")
    assert np.isfinite(frame.loc["year", "coef"])
    assert np.isnan(frame.loc["same", "coef"])
    assert "the same in every study" in frame.loc["same", "note"]
    assert "told by the covariates before it" in frame.loc["again", "note"]
    alone = meta_regression(PAPERS, covariates=["year"], **EFFECTS).frame
    np.testing.assert_allclose(frame.loc[["intercept", "year"], "coef"], alone["coef"])


def test_studies_without_the_covariate_are_left_out_and_counted():
    gap = PAPERS.assign(year=[np.nan, *PAPERS["year"][1:]])
    found = meta_regression(gap, covariates=["year"], **EFFECTS)
    assert found.settings["n_studies"] == 7
    np.testing.assert_allclose(
        found.frame["coef"], meta_regression(PAPERS.iloc[1:], covariates=["year"], **EFFECTS).frame["coef"]
    )


def test_too_few_studies_and_a_perfect_line_are_said():
    few = meta_regression(PAPERS.iloc[:2], covariates=["year"], **EFFECTS).frame
    assert few["coef"].isna().all()
    assert "too few" in few["note"].iloc[0]
    line = meta_regression(PAPERS.assign(y=0.01 * PAPERS["year"]), covariates=["year"], **EFFECTS).frame
    assert line["coef"].iloc[1] == pytest.approx(0.01)
    assert line["p_value"].isna().all()
    assert "exactly" in line["note"].iloc[1]


def test_two_groups_as_a_covariate_are_the_difference_of_their_means_at_one_tau_squared():
    found = meta_regression(PAPERS, covariates=["tier"], method="fixed", test="z", **EFFECTS).frame
    pools = meta_effects(PAPERS, by="tier", method="fixed", test="z", **EFFECTS)
    means = pools.frame.query("row == 'pooled'")["coef"].to_numpy()
    assert found["coef"].iloc[1] == pytest.approx(means[1] - means[0])
    assert found["statistic"].iloc[1] ** 2 == pytest.approx(pools.settings["between_statistic"])


def test_a_regression_of_a_likelihood_points_to_its_own_method():
    with pytest.raises(EstimationError, match="mixed_logistic"):
        meta_regression(PAPERS, covariates=["year"], events="events", n="n")
    found = meta_regression(PAPERS, covariates=["year"], events="events", n="n", method="freeman_tukey").frame
    assert found["measure"].tolist() == ["proportion", "difference_of_double_arcsines"]
    assert 0 <= found["estimate"].iloc[0] <= 1 or np.isnan(found["estimate"].iloc[0])


def test_no_kind_of_study_or_two_kinds_are_refused():
    with pytest.raises(EstimationError, match="columns of one kind"):
        leave_one_out(PAPERS, events="events")
    with pytest.raises(EstimationError, match="columns of one kind"):
        leave_one_out(PAPERS, events="events", n="n", **EFFECTS)
    assert len(meta_proportions(PAPERS, events="events", n="n").frame) == 10
