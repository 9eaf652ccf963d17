"""What was published is worked out again, to the digits that were printed, and nothing is filled in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from cohort.literature import effects, figures, headlines, recompute, recompute_effects
from cohort.literature.evidence import share_of
from cohort.literature.recompute import COLUMNS, RECOMPUTED, VERDICTS, is_recomputed
from cohort.literature.recompute_effects import COUNTS, INTERVALS, P_VALUES


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return recompute()


@pytest.fixture(scope="module")
def ratios() -> pd.DataFrame:
    return recompute_effects()


def row(table: pd.DataFrame, study_key: str, quantity: str) -> pd.Series:
    found = table[(table["study_key"] == study_key) & (table["quantity"] == quantity) & (table["table"] == "figures")]
    assert len(found) == 1
    return found.iloc[0]


def test_every_figure_and_every_headline_has_a_verdict(table):
    assert tuple(table.columns) == COLUMNS
    assert table["table"].value_counts().to_dict() == {"figures": len(figures()), "headlines": len(headlines())}
    assert table["verdict"].isin(VERDICTS).all()


def test_at_least_a_hundred_published_figures_are_worked_out_again(table):
    again = table[is_recomputed(table)]
    assert (again["table"] == "figures").sum() == 115
    assert len(again) == 133
    assert again["verdict"].value_counts().to_dict() == {
        "not printed": 90, "exact": 39, "within rounding": 2, "differs": 2,
    }  # fmt: skip


# events | n | per cent | exact limits, per cent, of R 4.2.2: binom.test(events, n)
HAND_WORKED = [
    (10, 1800, 0.555556, 0.266722, 1.019306),
    (14, 116, 12.068966, 6.757875, 19.420047),
    (6, 26, 23.076923, 8.974011, 43.647510),
    (11, 58, 18.965517, 9.866382, 31.405086),
    (9, 10, 90.0, 55.498388, 99.747142),
    (6, 6, 100.0, 54.074187, 100.0),
]


@pytest.mark.parametrize(("events", "n", "per_cent", "low", "high"), HAND_WORKED)
def test_shares_and_their_exact_limits_are_those_of_r(events, n, per_cent, low, high):
    share = share_of(events, n)
    assert (share.percent, share.exact_low, share.exact_high) == pytest.approx((per_cent, low, high), abs=1e-6)


@pytest.mark.parametrize(("events", "n"), [row[:2] for row in HAND_WORKED])
def test_at_an_exact_limit_what_was_seen_or_more_extreme_has_a_chance_of_one_in_forty(events, n):
    share = share_of(events, n)
    assert binom.sf(events - 1, n, share.exact_low / 100) == pytest.approx(0.025)
    if events < n:
        assert binom.cdf(events, n, share.exact_high / 100) == pytest.approx(0.025)


def test_six_of_six_has_a_lower_limit_that_is_a_root():
    assert share_of(6, 6).exact_low == pytest.approx(100 * 0.025 ** (1 / 6), abs=1e-9)


def test_every_interval_is_that_of_statsmodels(table):
    again = table[is_recomputed(table)]
    for ours, theirs in (("exact", "beta"), ("wilson", "wilson")):
        low, high = proportion_confint(again["numerator"], again["denominator"], method=theirs)
        assert np.allclose(again[f"{ours}_low"], 100 * np.asarray(low), atol=1e-9)
        assert np.allclose(again[f"{ours}_high"], 100 * np.asarray(high), atol=1e-9)


def test_what_was_not_published_stays_missing(table):
    rest = table[~is_recomputed(table)]
    assert rest[["percent", "exact_low", "exact_high", "wilson_low", "wilson_high", "difference"]].isna().all(axis=None)
    unprinted = table[table["printed"] == ""]
    assert unprinted["difference"].isna().all()
    assert not unprinted["verdict"].isin(["exact", "within rounding", "differs"]).any()
    published = pd.concat([figures(), headlines()], ignore_index=True)
    for column in ("numerator", "denominator"):
        assert table[column].isna().tolist() == published[column].isna().tolist()


def test_every_recomputed_figure_says_where_it_was_read_and_how_surely(table, ratios):
    for frame in (table, ratios):
        assert frame[["source", "confidence"]].notna().all(axis=None)
        assert (frame[["source", "confidence"]] != "").all(axis=None)


def test_the_review_s_large_series_is_reproduced_to_its_last_digit(table):
    found = row(table, "jacobson2017", "same-level refracture, large series as quoted by the review")
    assert (found["printed"], found["verdict"]) == ("0.56", "exact")


def test_a_per_cent_that_was_cut_off_is_within_rounding(table):
    found = row(table, "cia2021_2202", "new vertebral fracture after PVP")
    assert (found["printed"], found["verdict"]) == ("16.43", "within rounding")  # 362/2202 = 16.4396
    assert found["why"] == "362 of 2,202 is 16.440 %; 16.43 % was cut off, not rounded."


def test_a_source_that_contradicts_itself_differs_and_shows_which_denominator_it_used(table):
    found = row(table, "martin2012", "leak recorded in procedural dictation among CT leaks")
    assert found["verdict"] == "differs"
    assert found["implied_denominator_low"] <= 181 <= found["implied_denominator_high"]
    assert not found["implied_denominator_low"] <= 149 <= found["implied_denominator_high"]


def test_fourteen_at_12_1_per_cent_can_only_be_of_116(table):
    found = row(table, "hiwatashi2009", "subsequent fracture of adjacent vertebrae (vertebra level)")
    assert found["verdict"] == "no denominator"
    assert (found["implied_denominator_low"], found["implied_denominator_high"]) == (116, 116)
    assert np.isnan(found["denominator"])


def test_a_per_cent_that_no_whole_number_gives_is_said(table):
    found = row(table, "ryu2014", "new vertebral fracture at one year after PKP")
    assert found["why"] == "No whole number of 81 is 24 %."  # 19 is 23.5 %, 20 is 24.7 %
    assert np.isnan(found["implied_numerator_low"])


def test_a_survival_or_pooled_estimate_implies_no_count(table):
    estimated = table["basis"].isin(["survival", "pooled"]) & (table["verdict"] == "no numerator")
    assert estimated.sum() >= 9
    assert table.loc[estimated, "implied_numerator_low"].isna().all()
    assert (table.loc[estimated, "why"] == "").all()


def test_what_was_worked_out_from_the_per_cent_is_marked(table):
    derived = table[table["derived"] != ""]
    assert set(derived["study_key"]) == {"bmc2020_endplate", "zol_pkp2020"}
    assert derived["why"].str.contains("by construction").all()


def test_printed_intervals_are_recognised(table):
    printed = table[table["printed_interval"] != ""].set_index("quantity")["printed_interval"]
    assert printed["any leak on CT"] == "Wilson"
    assert printed["leak recorded in procedural dictation among CT leaks"] == "neither"


class TestEffects:
    """A ratio lies in the middle of its interval on the scale of the logarithm."""

    def test_every_effect_is_looked_at(self, ratios):
        assert len(ratios) == len(effects())
        assert ratios["interval"].isin(INTERVALS).all()
        assert ratios["p_value"].isin(P_VALUES).all()
        assert ratios["against_counts"].isin(COUNTS).all()

    def test_one_interval_is_not_symmetric_beyond_rounding(self, ratios):
        odd = ratios[ratios["interval"] == "asymmetric"]
        assert odd["study_key"].tolist() == ["knavel2009"]
        assert odd["middle"].item() == pytest.approx(np.sqrt(0.33 * 2.65))

    def test_a_difference_of_means_is_looked_at_on_its_own_scale(self, ratios):
        means = ratios[ratios["measure"] == "WMD"].set_index("exposure")
        assert means.loc["age (years)", "middle"] == pytest.approx(2.04)
        assert (means["interval"] == "symmetric").all()

    def test_printed_p_values_agree_with_their_intervals(self, ratios):
        both = ratios[ratios["p_value"].isin(["agrees", "differs"])]
        assert len(both) == 9
        assert (both["p_value"] == "agrees").all()
        known = both.set_index(["study_key", "exposure"]).loc[("nomo529_2023", "sex")]
        assert known["p_low"] <= 0.0435
        assert known["p_high"] >= 0.0425

    def test_ratios_follow_from_the_four_counts(self, ratios):
        counted = ratios[ratios["counts"] != ""].set_index("exposure")
        assert len(counted) == 6
        steroid = counted.loc["steroid use"]
        assert steroid["from_counts"] == pytest.approx((19 / 46) / (39 / 281))
        assert (counted["against_counts"] != "differs").all()

    def test_what_has_no_interval_gets_none(self, ratios):
        none = ratios[ratios["ci_low"].isna()]
        assert none[["middle", "p_low", "p_high"]].isna().all(axis=None)
        assert (none["interval"] == "no interval").all()


def test_verdicts_of_recomputation_are_the_first_of_all():
    assert set(RECOMPUTED) < set(VERDICTS)
