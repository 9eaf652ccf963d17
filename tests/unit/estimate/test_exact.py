"""Exact ratios of few events: tables worked by hand, strata, edges, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.domain.errors import EstimationError
from cohort.estimate.exact import exact_odds_ratio, exact_rate_ratio, two_by_two, two_counts

SHOWN = ["estimate", "conf_low", "conf_high", "coef", "p_value", "central_p_value", "median_unbiased"]


def rows(*tables):
    """Tables of exposed events, exposed without, others' events, others without; one stratum each."""
    parts = [
        pd.DataFrame({"site": s, "cleft": [1, 1, 0, 0], "broke": [1, 0, 1, 0], "n": cells})
        for s, cells in enumerate(tables)
    ]
    return pd.concat(parts, ignore_index=True)


def odds(df, **options):
    return exact_odds_ratio(df, outcome="broke", exposure="cleft", weight="n", **options)


def test_two_against_two_worked_by_hand():
    """Two events of four patients, both among the two exposed: weights 1, 4, 1 of 0, 1, 2 exposed events, times the
    odds ratio to their power. As many as seen has 2.5 % where h^2 / (1 + 4h + h^2) = 1/40."""
    exact = odds(rows((2, 0, 0, 2))).frame.iloc[0]
    h = exact["conf_low"]
    assert h**2 / (1 + 4 * h + h**2) == pytest.approx(0.025, rel=1e-10)
    assert (exact["estimate"], exact["conf_high"]) == (np.inf, np.inf)
    assert exact["p_value"] == pytest.approx(2 / 6, rel=1e-12)
    assert exact["central_p_value"] == pytest.approx(2 / 6, rel=1e-12)
    h = exact["median_unbiased"]
    assert h**2 / (1 + 4 * h + h**2) == pytest.approx(0.5, rel=1e-10)
    assert "no upper limit, and only the lower one tells" in exact["note"]


def test_the_conditional_estimate_is_where_what_was_seen_is_expected():
    """One exposed event of two: one by symmetry for two and two; of three and two the weights are 1, 6, 3."""
    assert odds(rows((1, 1, 1, 1))).frame["estimate"].iloc[0] == pytest.approx(1.0, abs=1e-12)
    h = odds(rows((1, 2, 1, 1))).frame["estimate"].iloc[0]  # weights C(3,x) C(2,2-x): 1, 6, 3
    assert (6 * h + 2 * 3 * h**2) / (1 + 6 * h + 3 * h**2) == pytest.approx(1.0, rel=1e-12)


def test_mid_p_counts_half_of_what_was_seen_and_is_narrower():
    result = odds(rows((9, 591, 1, 1199))).frame.set_index("interval")
    assert result["conf_low"]["mid-p"] > result["conf_low"]["exact"]
    assert result["conf_high"]["mid-p"] < result["conf_high"]["exact"]
    assert result["p_value"]["mid-p"] < result["central_p_value"]["exact"]
    table = two_by_two(*np.array([[600.0], [9], [1200], [1]]))
    few, many = table.tails(np.log(result["conf_low"]["mid-p"]), 0.5)
    assert many == pytest.approx(0.025, rel=1e-9)
    assert few + many == pytest.approx(1.0, rel=1e-12)


def test_the_distribution_is_scipys_noncentral_hypergeometric():
    table = two_by_two(*np.array([[30.0], [4], [50], [7]]))
    theirs = stats.nchypergeom_fisher(80, 30, 11, np.exp(0.7))
    np.testing.assert_allclose(table.probability(0.7), theirs.pmf(np.arange(12)), rtol=1e-9)


def test_of_two_counts_the_share_is_binomial_and_the_limits_clopper_and_pearsons():
    counts = two_counts(*np.array([[100.0], [7], [250], [5]]))
    binomial = stats.binom(12, 100 * np.e / (100 * np.e + 250))
    np.testing.assert_allclose(counts.probability(1.0), binomial.pmf(np.arange(13)), rtol=1e-10)
    low = stats.beta.ppf(0.025, 7, 6)
    assert np.exp(counts.limits(0.025)[0]) == pytest.approx(low / (1 - low) * 2.5, rel=1e-9)
    assert np.exp(counts.log_ratio()) == pytest.approx((7 / 100) / (5 / 250), rel=1e-12)


def test_a_stratum_copied_has_the_same_estimate_and_a_narrower_interval():
    one, two = odds(rows((4, 20, 2, 30))), odds(rows((4, 20, 2, 30), (4, 20, 2, 30)), strata="site")
    assert two.frame["estimate"].iloc[0] == pytest.approx(one.frame["estimate"].iloc[0], rel=1e-10)
    assert two.frame["conf_low"].iloc[0] > one.frame["conf_low"].iloc[0]
    assert two.settings["n_informative_strata"] == 2


def test_a_stratum_without_events_or_without_others_tells_nothing():
    one = odds(rows((4, 20, 2, 30)))
    more = odds(rows((4, 20, 2, 30), (0, 9, 0, 9), (3, 5, 0, 0), (2, 0, 4, 0)), strata="site")
    np.testing.assert_allclose(more.frame[SHOWN], one.frame[SHOWN], rtol=1e-10)
    assert (more.settings["n_strata"], more.settings["n_informative_strata"]) == (4, 1)
    assert more.frame["n_events"].iloc[0] == 15


def test_rows_of_patients_and_counted_rows_are_the_same_table():
    d = rows((3, 5, 1, 9))
    each = d.loc[d.index.repeat(d["n"])].sample(frac=1, random_state=1)
    alone = exact_odds_ratio(each, outcome="broke", exposure="cleft")
    np.testing.assert_allclose(alone.frame[SHOWN], odds(d).frame[SHOWN], rtol=1e-12)
    assert alone.frame["n_patients"].tolist() == [18, 18]


def test_exchanging_exposed_and_others_turns_everything_round():
    one, other = odds(rows((3, 5, 1, 9))).frame, odds(rows((1, 9, 3, 5))).frame
    for name, back in (("estimate", "estimate"), ("conf_low", "conf_high"), ("median_unbiased", "median_unbiased")):
        np.testing.assert_allclose(one[name], 1 / other[back], rtol=1e-9)
    np.testing.assert_allclose(one["p_value"], other["p_value"], rtol=1e-12)


def test_no_event_among_the_exposed_has_an_upper_limit_only_and_says_so():
    exact = odds(rows((0, 8, 3, 12))).frame.iloc[0]
    assert (exact["estimate"], exact["conf_low"]) == (0, 0)
    assert np.isfinite(exact["conf_high"])
    assert 0 < exact["median_unbiased"] < exact["conf_high"]
    assert exact["note"].startswith("no event among the exposed: the estimate is 0, and only the upper limit tells")


def test_events_as_unevenly_placed_as_the_margins_allow_are_said():
    exact = odds(rows((2, 8, 5, 0))).frame.iloc[0]
    assert exact["estimate"] == 0
    assert exact["note"].startswith("as few events among the exposed as the margins allow")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ((0, 8, 0, 12), "no event"),
        ((8, 0, 12, 0), "an event in every row"),
        ((3, 5, 0, 0), "the same for everyone"),
        ((0, 0, 3, 5), "the same for everyone"),
        ((0, 0, 0, 0), "no complete row"),
    ],
)
def test_where_nothing_can_vary_the_rows_stay_and_say_so(cells, words):
    result = odds(rows(cells)).frame
    assert result["interval"].tolist() == ["exact", "mid-p"]
    assert result[SHOWN].isna().all(axis=None)
    assert result["note"].str.startswith(words).all()


def test_strata_that_each_tell_nothing_tell_nothing_together():
    result = odds(rows((3, 5, 0, 0), (0, 0, 2, 4)), strata="site").frame
    assert result["note"].str.startswith("no stratum has events, and both exposed and others").all()


def test_missing_exposures_are_left_out_and_counted():
    d = rows((3, 5, 1, 9)).astype({"cleft": float})
    d = d.loc[d.index.repeat(d["n"])].drop(columns="n")
    extra = pd.concat([d, d.head(4).assign(cleft=np.nan)])
    result = exact_odds_ratio(extra, outcome="broke", exposure="cleft")
    assert result.settings["rows_missing"] == {"cleft": 4}
    np.testing.assert_allclose(
        result.frame[SHOWN], exact_odds_ratio(d, outcome="broke", exposure="cleft").frame[SHOWN], rtol=1e-12
    )


def test_a_categorical_of_two_names_its_category():
    d = rows((3, 5, 1, 9)).assign(cleft=lambda d: pd.Categorical(np.where(d["cleft"] == 1, "yes", "no"), ["no", "yes"]))
    result = odds(d)
    assert result.frame["term"].tolist() == ["cleft=yes"] * 2
    assert result.settings["reference"] == {"cleft": "no"}
    np.testing.assert_allclose(result.frame[SHOWN], odds(rows((3, 5, 1, 9))).frame[SHOWN], rtol=1e-12)


def test_patients_with_several_rows_are_refused():
    d = rows((3, 5, 1, 9)).assign(patient=[1, 2, 3, 1])
    with pytest.raises(EstimationError, match="'patient' has 1 rows more than patients"):
        odds(d, cluster="patient")
    assert len(odds(d.assign(patient=range(4)), cluster="patient")) == 2


def test_what_is_no_comparison_of_two_is_refused():
    d = rows((3, 5, 1, 9))
    with pytest.raises(EstimationError, match="has 3 categories"):
        odds(d.assign(cleft=pd.Categorical(["a", "b", "c", "a"])))
    with pytest.raises(EstimationError, match="cut a measure into two"):
        odds(d.assign(cleft=[70.0, 71, 80, 81]))
    with pytest.raises(EstimationError, match="counts patients"):
        odds(d.assign(n=0.5))
    with pytest.raises(EstimationError, match="would take too long"):
        odds(rows((9000, 9000, 9000, 9000), (9000, 9000, 9000, 9000)), strata="site")


def test_large_tables_are_summed_without_loss():
    exact = odds(rows((50_000, 450_000, 40_000, 460_000))).frame.set_index("interval").loc["mid-p"]
    ratio, error = 50 * 460 / (45 * 40) / 10, np.sqrt(1 / 50e3 + 1 / 450e3 + 1 / 40e3 + 1 / 460e3)
    assert exact["estimate"] == pytest.approx(ratio, rel=1e-4)
    assert np.log(exact["conf_high"] / exact["conf_low"]) == pytest.approx(2 * 1.959964 * error, rel=1e-4)


def rates(events, days, **options):
    d = pd.DataFrame(
        {"cleft": [1, 0] * (len(events) // 2), "n": events, "days": days, "site": np.arange(len(events)) // 2}
    )
    return exact_rate_ratio(d, events="n", person_time="days", exposure="cleft", **options)


def test_one_event_against_none_in_equal_times_worked_by_hand():
    """One event, exposed with probability h / (1 + h): as many as seen has 2.5 % at h = 1/39."""
    exact, mid = (row for _, row in rates([1, 0], [10, 10]).frame.iterrows())
    assert exact["conf_low"] == pytest.approx(1 / 39, rel=1e-10)
    assert mid["conf_low"] == pytest.approx(1 / 19, rel=1e-10)
    assert (exact["p_value"], exact["median_unbiased"]) == (1.0, pytest.approx(1.0, abs=1e-10))
    assert "only 1 event" in exact["note"]


def test_a_stratum_in_which_only_one_group_has_time_tells_nothing():
    one, more = rates([4, 2], [10, 20]), rates([4, 2, 3, 0], [10, 20, 9, 0], strata="site")
    np.testing.assert_allclose(more.frame[SHOWN], one.frame[SHOWN], rtol=1e-10)
    assert more.frame["n_events"].iloc[0] == 9


def test_rates_that_cannot_be_compared_say_so_or_are_refused():
    assert rates([0, 0], [10, 20]).frame["note"].str.startswith("no event").all()
    assert rates([3, 0], [10, 0]).frame["note"].str.startswith("the same for everyone").all()
    with pytest.raises(EstimationError, match="events need time at risk"):
        rates([3, 1], [10, 0])
    with pytest.raises(EstimationError, match="counts events"):
        rates([3.5, 1], [10, 10])
