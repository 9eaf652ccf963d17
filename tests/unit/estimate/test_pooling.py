"""Several fits become one: the rules by hand, what lacks in some fits, curves, profiles, and analyses side by side."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq

from cohort.domain.errors import EstimationError
from cohort.estimate.cox import cox
from cohort.estimate.curves import aalen_johansen, kaplan_meier
from cohort.estimate.design import rows_of
from cohort.estimate.firth_cox import PenalizedHazards, firth_cox
from cohort.estimate.imputation import impute
from cohort.estimate.kernel import PartialLikelihood
from cohort.estimate.logrank import logrank
from cohort.estimate.nelson_aalen import nelson_aalen
from cohort.estimate.pooling import impute_and_fit, pool
from cohort.estimate.risk_sets import RiskSets
from cohort.estimate.rubin import Profile, averaged, rubin
from cohort.tables.results import Estimates

NUMBERS = ["estimate", "conf_low", "conf_high", "coef", "std_error", "p_value"]


def ratios(coef, error, **columns):
    """Hazard ratios as a fit would give them."""
    coef, error = np.atleast_1d(coef).astype(float), np.atleast_1d(error).astype(float)
    frame = pd.DataFrame({"term": [f"x{j}" for j in range(len(coef))], "measure": "hazard_ratio", "coef": coef})
    frame = frame.assign(estimate=np.exp(coef), std_error=error, note="", **columns)
    return Estimates(frame, {"confidence": 0.95})


def with_holes(vertebra_rows, seed=3, n_patients=60):
    d = vertebra_rows(seed, n_patients=n_patients).astype({"leak": float})
    d["leak"] = d["leak"].where(np.arange(len(d)) % 4 != 0)
    return d


def drawn_from(d, draws=5):
    return impute(
        d, ["leak"], predictors=["age"], exit="exit", event="event", entry="entry", id="unit", cluster="patient",
        draws=draws, iterations=2, seed=1, per_patient=[],
    )  # fmt: skip


def test_two_fits_by_hand():
    """Means 1 and 3, variances 1 and 3: within 2, between 2, total 2 + 1.5 x 2 = 5, of which 3/5; df 1 / (3/5)^2."""
    found = pool([ratios(1.0, 1.0), ratios(3.0, np.sqrt(3.0))]).frame.iloc[0]
    assert found["coef"] == pytest.approx(2.0)
    assert found["estimate"] == pytest.approx(np.exp(2.0))
    assert found["std_error"] == pytest.approx(np.sqrt(5.0))
    assert found["df"] == pytest.approx(1 / 0.36)
    reach = stats.t.ppf(0.975, 1 / 0.36) * np.sqrt(5.0)
    assert np.log([found["conf_low"], found["conf_high"]]) == pytest.approx([2.0 - reach, 2.0 + reach])
    assert found["relative_increase"] == pytest.approx(1.5)
    assert found["fmi"] == pytest.approx((1.5 + 2 / (1 / 0.36 + 3)) / 2.5)
    assert found["relative_efficiency"] == pytest.approx(1 / (1 + found["fmi"] / 2))
    assert found["n_fits"] == 2


def test_fits_that_agree_are_that_fit(vertebra_rows):
    d = vertebra_rows(3, n_patients=60)
    one = cox(d, ["leak", "age"], exit="exit", event="event", entry="entry", id="unit", cluster="patient")
    pooled = pool([one] * 4)
    np.testing.assert_allclose(pooled.frame[NUMBERS], one.frame[NUMBERS], rtol=1e-12)
    assert (pooled.frame["fmi"] == 0).all()
    assert pooled.frame["note"].tolist() == one.frame["note"].tolist()
    assert pooled.settings["ties"] == "efron"
    assert "loglik" not in pooled.settings


def test_limits_from_t_stay_those_of_few_clusters(vertebra_rows):
    d = with_holes(vertebra_rows, n_patients=14)

    def fit(frame):
        return cox(frame, ["leak"], exit="exit", event="event", entry="entry", id="unit", cluster="patient")

    fits = [fit(frame) for frame in drawn_from(d)]
    found = pool(fits).frame.iloc[0]
    corrected = np.array([one.frame["corrected_std_error"].iloc[0] for one in fits])
    coef = np.array([one.frame["coef"].iloc[0] for one in fits])
    complete = fits[0].frame["df"].iloc[0]
    by_hand = rubin(coef[:, None], corrected[:, None] ** 2, complete)
    assert found["corrected_std_error"] == pytest.approx(by_hand.std_error[0])
    assert found["df"] == pytest.approx(by_hand.df[0])
    assert found["df"] < complete
    reach = stats.t.ppf(0.975, by_hand.df[0]) * by_hand.std_error[0]
    assert np.log(found["conf_high"]) == pytest.approx(coef.mean() + reach)


def test_degrees_of_freedom_of_the_complete_data_may_be_given():
    fits = [ratios(1.0, 1.0), ratios(1.5, 1.0), ratios(1.2, 1.0)]
    endless, few = pool(fits).frame.iloc[0], pool(fits, df=8).frame.iloc[0]
    assert few["df"] < 8 < endless["df"]
    assert few["conf_high"] > endless["conf_high"]


def test_a_term_without_limit_in_some_fits_is_not_the_mean_of_the_others():
    fits = [ratios([1.0, 0.2], [0.5, 0.1])] * 3 + [ratios([np.inf, 0.3], [np.nan, 0.1])]
    found = pool(fits).frame
    assert found["n_fits"].tolist() == [3, 4]
    assert np.isnan(found.loc[0, NUMBERS].astype(float)).all()
    assert found["note"].iloc[0] == "no finite estimate in 1 of 4 imputations: not pooled"
    many = pool([ratios([1.0, 0.2], [0.5, 0.1])] * 39 + [ratios([np.inf, 0.3], [np.nan, 0.1])]).frame
    assert many["estimate"].iloc[0] == pytest.approx(np.e)
    assert many["note"].iloc[0] == "no finite estimate in 1 of 40 imputations, left out"


def test_a_term_absent_from_some_fits_keeps_its_row():
    both, one = ratios([1.0, 0.2], [0.5, 0.1]), ratios([1.0], [0.5])
    found = pool([one, both, both]).frame
    assert found["term"].tolist() == ["x0", "x1"]
    assert "absent, or compared with another category, in 1 of 3 imputations" in found["note"].iloc[1]
    assert np.isnan(found["estimate"].iloc[1])


def test_a_coefficient_against_another_category_is_another_question():
    def fit(reference):
        one = ratios([1.0, 0.2], [0.5, 0.1], variable=["site", "age"])
        return Estimates(one.frame, {"reference": {"site": reference}})

    found = pool([fit("A"), fit("A"), fit("B")]).frame
    assert found["n_fits"].tolist() == [2, 3]
    assert found["estimate"].isna().tolist() == [True, False]


def test_notes_of_some_fits_say_of_how_many():
    words = ["only 5 events; separated", "only 5 events", "only 5 events"]
    fits = [Estimates(ratios(0.5, 0.2).frame.assign(note=note), {}) for note in words]
    assert pool(fits).frame["note"].iloc[0] == "only 5 events; separated (in 1 of 3 imputations)"


def test_few_imputations_for_what_is_missing_are_said():
    found = pool([ratios(0.0, 0.1), ratios(1.0, 0.1), ratios(0.4, 0.1)]).frame.iloc[0]
    assert "3 imputations are few where" in found["note"]


@pytest.mark.parametrize("curve", ["survival", "incidence", "hazard"])
def test_curves_are_pooled_where_they_are_near_normal(curve, vertebra_rows):
    d = with_holes(vertebra_rows, n_patients=80)
    options = {"entry": "entry", "exit": "exit", "id": "unit", "cluster": "patient", "by": "leak", "at": [5, 20]}

    def fit(frame):
        if curve == "survival":
            return kaplan_meier(frame, event="event", **options)
        if curve == "hazard":
            return nelson_aalen(frame, event="event", **options)
        return aalen_johansen(frame, cause="cause", **options)

    fits = [fit(frame) for frame in drawn_from(d)]
    found = pool(fits).frame
    values = np.array([one.frame["estimate"] for one in fits])
    errors = np.array([one.frame["std_error"] for one in fits])
    there = (values > 0).all(axis=0)
    assert there.sum() >= 4
    values, errors, rows = values[:, there], errors[:, there], found[there]
    if curve == "hazard":
        by_hand = np.exp(np.log(values).mean(axis=0))
        spread = rubin(np.log(values), (errors / values) ** 2).std_error * by_hand
    else:
        scale = np.log(-np.log(values))
        by_hand = np.exp(-np.exp(scale.mean(axis=0)))
        slope = values * np.abs(np.log(values))
        spread = rubin(scale, (errors / slope) ** 2).std_error * by_hand * np.abs(np.log(by_hand))
        assert (rows["conf_high"] < 1).all()
    np.testing.assert_allclose(rows["estimate"], by_hand)
    np.testing.assert_allclose(rows["std_error"], spread)
    assert ((rows["conf_low"] > 0) & (rows["conf_low"] < rows["estimate"])).all()
    assert (rows["estimate"] < rows["conf_high"]).all()


def test_before_the_first_event_the_share_is_that_of_all_fits():
    frame = pd.DataFrame({"time": [0.0, 9.0], "measure": "incidence", "estimate": [0.0, 0.2], "std_error": [0.0, 0.05]})
    found = pool([Estimates(frame, {}), Estimates(frame.assign(estimate=[0.0, 0.3]), {})]).frame
    assert found["estimate"].tolist()[0] == 0.0
    assert np.isnan(found["conf_high"].iloc[0])
    assert found["note"].iloc[0] == "the same in every imputation, without an error"
    assert 0.2 < found["estimate"].iloc[1] < 0.3


def test_tests_have_no_error_and_are_not_pooled(vertebra_rows):
    d = with_holes(vertebra_rows)
    fits = [logrank(frame, exit="exit", event="event", by="leak") for frame in drawn_from(d)]
    found = pool(fits).frame
    assert found["estimate"].isna().all()
    assert found["note"].str.contains("not pooled").all()


def exact_clip(fits, confidence):
    """The mean of the profiles' distributions, written out; fits : likelihood of a coefficient, and its maximum."""

    def below(coef):
        roots = [np.sign(coef - top) * np.sqrt(max(2 * (f(top) - f(coef)), 0.0)) for f, top in fits]
        return np.mean(stats.norm.cdf(roots))

    tail = (1 - confidence) / 2
    return [brentq(lambda c, level=level: below(c) - level, -20, 20) for level in (tail, 1 - tail)], below(0.0)


def test_profiles_are_averaged_as_heinze_ploner_and_beyea_do(vertebra_rows):
    """Few events: the profiles are skewed. Ours are interpolated between limits, estimate and zero."""
    d = with_holes(vertebra_rows, seed=5, n_patients=12)
    d["event"] = d["event"] * (np.arange(len(d)) % 2)
    fits, exact = [], []
    for frame in drawn_from(d, draws=8):
        fits.append(firth_cox(frame, ["leak"], exit="exit", event="event"))
        base = rows_of(frame, exit_="exit", entry=None, weight=None, id_=None, cluster=None)
        event = frame["event"].to_numpy() == 1
        sets = RiskSets.of(base.exit, event, base.entry, base.stratum)
        model = PenalizedHazards(PartialLikelihood.of(sets, frame[["leak"]].to_numpy(float), event, base.weight))
        exact.append((lambda c, m=model: m.at(np.array([c])).loglik, fits[-1].frame["coef"].iloc[0]))
    found = pool(fits)
    row = found.frame.iloc[0]
    limits, zero = exact_clip(exact, 0.95)
    error = row["std_error"]
    assert np.log([row["conf_low"], row["conf_high"]]) == pytest.approx(limits, abs=0.01 * error)
    assert row["p_value"] == pytest.approx(2 * min(zero, 1 - zero), abs=0.005)
    assert "CLIP" in found.settings["pooling"]
    wald = pool(fits, limits="wald").frame.iloc[0]
    assert wald["conf_high"] != pytest.approx(row["conf_high"], rel=1e-3)
    assert wald["coef"] == row["coef"]


def test_one_profile_many_times_is_that_profile(vertebra_rows):
    d = vertebra_rows(5, n_patients=20)
    one = firth_cox(d, ["leak", "age"], exit="exit", event="event", entry="entry")
    shown = ["estimate", "conf_low", "conf_high", "coef", "std_error", "statistic", "p_value"]
    np.testing.assert_allclose(pool([one] * 3).frame[shown], one.frame[shown], rtol=1e-6)


def test_a_profile_rises_through_its_places():
    profile = Profile.of(-1.0, 0.5, 3.0, 0.6, 1.96)
    places = np.linspace(-5, 8, 200)
    values = np.array([profile(place) for place in places])
    assert (np.diff(values) > 0).all()
    assert [profile(-1.0), profile(0.0), profile(0.5), profile(3.0)] == pytest.approx([-1.96, -0.6, 0.0, 1.96])
    low, high, p = averaged([profile], 0.99)
    assert low < -1.0
    assert high > 3.0
    assert p == pytest.approx(2 * stats.norm.sf(0.6))


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(EstimationError, match="1 fit cannot be pooled"):
        pool([ratios(1.0, 1.0)])
    with pytest.raises(EstimationError, match="limits must be auto or wald"):
        pool([ratios(1.0, 1.0)] * 2, limits="profile")
    twice = Estimates(pd.concat([ratios(1.0, 1.0).frame] * 2, ignore_index=True), {})
    with pytest.raises(EstimationError, match="cannot be told apart"):
        pool([twice, twice])


def test_analyses_stand_below_each_other(vertebra_rows):
    d = with_holes(vertebra_rows)

    def fit(frame):
        return cox(frame, ["leak", "age"], exit="exit", event="event", entry="entry", id="unit", cluster="patient")

    options = {
        "predictors": ["age"], "exit": "exit", "event": "event", "entry": "entry", "id": "unit", "cluster": "patient",
        "per_patient": [], "draws": 5, "iterations": 2, "seed": 1,
    }  # fmt: skip
    found = impute_and_fit(d, fit, ["leak"], deltas=[{"leak": 0.0}, {"leak": 1.5}], **options)
    frame = found.frame
    assert frame["analysis"].unique().tolist() == [
        "complete case", "multiple imputation", "delta leak +0", "delta leak +1.5"
    ]  # fmt: skip
    parts = {name: part.reset_index(drop=True) for name, part in frame.groupby("analysis")}
    np.testing.assert_allclose(parts["complete case"][NUMBERS], fit(d).frame[NUMBERS])
    shown = [*NUMBERS, "fmi", "df"]
    pd.testing.assert_frame_equal(parts["multiple imputation"][shown], parts["delta leak +0"][shown])
    assert parts["delta leak +1.5"]["coef"].iloc[0] != parts["delta leak +0"]["coef"].iloc[0]
    assert parts["complete case"]["n_units"].iloc[0] == d["leak"].notna().sum()
    assert parts["multiple imputation"]["n_units"].iloc[0] == len(d)
    alone = pool(fit(frame) for frame in impute(d, ["leak"], **options))
    np.testing.assert_allclose(parts["multiple imputation"][NUMBERS], alone.frame[NUMBERS])
    assert found.settings["imputation"]["draws"] == 5
    assert parts["complete case"]["fmi"].isna().all()
