"""What studies say together: no event, one study, studies all alike, and the scales on which they are read."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from cohort.domain.errors import EstimationError
from cohort.estimate.meta import log_ratio, meta_effects, meta_proportions, meta_rates
from cohort.estimate.meta_counts import Counts
from cohort.estimate.meta_recipe import double_arcsine, proportion_of
from cohort.estimate.meta_tau import Effects, pool, q_profile, tau2_of

REFRACTURE = pd.DataFrame(
    {
        "paper": list("ABCDEF"),
        "tier": ["clinical"] * 3 + ["radiographic"] * 3,
        "events": [3, 9, 4, 20, 31, 14],
        "n": [50, 160, 70, 60, 130, 90],
        "years": [71.5, 240.0, 66.0, 101.0, 188.5, 120.0],
        "log_hr": [0.10, 0.52, 0.31, 0.95, 0.40, 0.75],
        "se": [0.31, 0.18, 0.28, 0.25, 0.15, 0.22],
    }
)
PROPORTIONS = {"events": "events", "n": "n"}
RATES = {"events": "events", "person_time": "years"}
EFFECTS = {"estimate": "log_hr", "std_error": "se"}


def studies(events, n):
    return pd.DataFrame({"events": events, "n": n, "years": np.asarray(n, float)})


def row(found, which="pooled"):
    return found.frame[found.frame["row"] == which].iloc[0]


WAYS = {
    "proportions": partial(meta_proportions, **PROPORTIONS),
    "double arcsines": partial(meta_proportions, method="freeman_tukey", **PROPORTIONS),
    "log odds": partial(meta_proportions, method="logit", **PROPORTIONS),
    "rates": partial(meta_rates, **RATES),
    "log rates": partial(meta_rates, method="log", **RATES),
    "differences": partial(meta_effects, **EFFECTS),
    "ratios": partial(meta_effects, measure="log_ratio", **EFFECTS),
}
in_every_way = pytest.mark.parametrize("meta", WAYS.values(), ids=WAYS.keys())


@in_every_way
def test_the_order_of_studies_changes_nothing(meta):
    one, two = (meta(d, study="paper", by="tier") for d in (REFRACTURE, REFRACTURE.iloc[::-1]))
    merged = one.frame.merge(two.frame, on=["tier", "row", "study"], suffixes=("", "_other"))
    assert len(merged) == len(one.frame)
    for name in ("estimate", "conf_low", "conf_high", "weight", "tau2", "tau2_high"):
        np.testing.assert_allclose(merged[name], merged[f"{name}_other"], rtol=1e-6, atol=1e-9)


@in_every_way
def test_a_subgroup_is_what_it_is_alone(meta):
    both = meta(REFRACTURE, study="paper", by="tier").frame
    for tier, part in REFRACTURE.groupby("tier"):
        alone = meta(part, study="paper").frame
        pd.testing.assert_frame_equal(
            both[both["tier"] == tier].drop(columns="tier").reset_index(drop=True), alone, rtol=1e-9
        )


@in_every_way
def test_what_comes_next_is_less_sure_than_the_mean(meta):
    found = meta(REFRACTURE)
    mean, ahead = row(found), row(found, "prediction")
    assert ahead["conf_low"] < mean["conf_low"] < mean["estimate"] < mean["conf_high"] < ahead["conf_high"]
    assert ahead["estimate"] == mean["estimate"]
    assert ahead["df"] == len(REFRACTURE) - 2


@in_every_way
def test_one_study_is_itself_and_predicts_nothing(meta):
    found = meta(REFRACTURE.iloc[:1])
    own, mean, ahead = (row(found, which) for which in ("study", "pooled", "prediction"))
    for name in ("estimate", "conf_low", "conf_high"):
        assert mean[name] == own[name]
    assert "one study" in mean["note"]
    assert np.isnan(mean["tau2"])
    assert np.isnan(ahead["conf_low"])
    assert "3 studies are needed" in ahead["note"]


@in_every_way
def test_weights_are_shares_and_each_study_is_drawn_towards_the_others(meta):
    found = meta(REFRACTURE)
    each, centre = found.frame[found.frame["row"] == "study"], row(found)["estimate"]
    assert each["weight"].sum() == pytest.approx(1.0)
    assert (abs(each["shrunken"] - centre) <= abs(each["estimate"] - centre) + 0.01).all()


def test_the_table_keeps_its_shape_whatever_is_asked():
    plain, by_tier = meta_proportions(REFRACTURE, **PROPORTIONS), meta_proportions(REFRACTURE, by="tier", **PROPORTIONS)
    assert [*by_tier.frame.columns.drop("tier")] == [*plain.frame.columns]
    assert list(plain.settings) == list(by_tier.settings)
    assert plain.settings["tau2"] == by_tier.settings["tau2"]
    assert np.isnan(plain.settings["between_p_value"])
    assert by_tier.settings["between_p_value"] < 0.001


def test_a_study_without_an_event_needs_no_correction_in_the_likelihood():
    with_zero = studies([0, 3, 5, 9], [40, 50, 60, 110])
    found = meta_proportions(with_zero, **PROPORTIONS)
    assert np.isfinite(row(found)[["estimate", "conf_low", "conf_high", "tau2"]].astype(float)).all()
    first = found.frame.iloc[0]
    assert (first["estimate"], first["conf_low"]) == (0.0, 0.0)
    assert first["conf_high"] == pytest.approx(1 - 0.025 ** (1 / 40))
    assert np.isnan(first["coef"])
    assert first["shrunken"] > 0.0
    assert row(meta_proportions(with_zero, method="freeman_tukey", **PROPORTIONS))["estimate"] > 0
    for refused in (
        lambda: meta_proportions(with_zero, method="logit", **PROPORTIONS),
        lambda: meta_rates(with_zero, method="log", **RATES),
    ):
        with pytest.raises(EstimationError, match=r"1 of 4 studies have no event.*adding a half would decide"):
            refused()


def test_without_an_event_in_any_study_the_limit_is_that_of_all_patients_together():
    nobody = studies([0, 0, 0], [40, 50, 60])
    found = row(meta_proportions(nobody, **PROPORTIONS))
    assert (found["estimate"], found["conf_low"]) == (0.0, 0.0)
    assert found["conf_high"] == pytest.approx(1 - 0.025 ** (1 / 150))
    assert "no event in any study" in found["note"]
    assert np.isnan(found["tau2"])
    rate = row(meta_rates(nobody, per=100, **RATES))
    assert (rate["estimate"], rate["conf_low"]) == (0.0, 0.0)
    assert rate["conf_high"] == pytest.approx(100 * -np.log(0.025) / 150)
    everyone = row(meta_proportions(studies([4, 5], [4, 5]), **PROPORTIONS))
    assert (everyone["estimate"], everyone["conf_high"]) == (1.0, 1.0)
    assert "an event in everyone" in everyone["note"]
    alone = row(meta_proportions(studies([0], [40]), **PROPORTIONS))
    assert alone["conf_high"] == pytest.approx(1 - 0.025 ** (1 / 40))


def test_studies_all_alike_are_one_large_study():
    alike = studies([6, 12, 18], [60, 120, 180])
    found = row(meta_proportions(alike, **PROPORTIONS))
    assert found["tau2"] == 0.0
    assert found["estimate"] == pytest.approx(36 / 360)
    assert found["std_error"] == pytest.approx(np.sqrt(1 / 36 + 1 / 324))
    assert found["q"] == pytest.approx(0.0, abs=1e-12)
    rate = row(meta_rates(alike, **RATES))
    assert rate["estimate"] == pytest.approx(0.1)
    assert rate["std_error"] == pytest.approx(1 / 6, rel=1e-6)


def test_effects_all_alike_have_no_hartung_knapp_limits_but_the_plain_ones():
    alike = pd.DataFrame({"log_hr": [0.3] * 4, "se": [0.1, 0.2, 0.3, 0.2]})
    found = row(meta_effects(alike, **EFFECTS))
    assert found["estimate"] == pytest.approx(0.3)
    assert np.isnan(found["conf_low"])
    assert np.isnan(found["p_value"])
    assert "agree exactly" in found["note"]
    adhoc = row(meta_effects(alike, test="adhoc", **EFFECTS))
    assert adhoc["std_error"] == pytest.approx(np.sqrt(1 / (100 + 25 + 100 / 9 + 25)))
    assert adhoc["tau2"] == 0.0


@in_every_way
def test_two_studies_are_pooled_and_the_note_says_how_little_that_is(meta):
    found = meta(REFRACTURE.iloc[[1, 3]])
    assert np.isfinite(row(found)[["estimate", "conf_low", "conf_high"]].astype(float)).all()
    assert "only 2 studies" in row(found)["note"]


def test_two_studies_that_share_nothing_have_no_mean():
    found = row(meta_proportions(studies([0, 50], [50, 50]), **PROPORTIONS))
    assert np.isnan(found["estimate"])
    assert "differ beyond limit" in found["note"]


def test_every_study_twice_halves_the_variance_and_keeps_the_spread():
    twice = pd.concat([REFRACTURE, REFRACTURE])
    one, two = (row(meta_proportions(d, study="paper", **PROPORTIONS)) for d in (REFRACTURE, twice))
    assert two["tau2"] == pytest.approx(one["tau2"], rel=1e-5)
    assert two["std_error"] == pytest.approx(one["std_error"] / np.sqrt(2), rel=1e-5)
    assert "6 rows more than studies" in two["note"]


def test_a_rate_of_slices_is_a_poisson_count():
    events, time, mean, sd = np.array([3.0, 0.0, 17.0]), np.array([40.0, 12.5, 130.0]), -2.4, 0.8

    def density(u, y, t):
        return stats.poisson.pmf(y, t * np.exp(mean + sd * u)) * stats.norm.pdf(u)

    integrals = [integrate.quad(density, -9, 9, pair, epsabs=1e-14)[0] for pair in zip(events, time, strict=True)]
    exact = np.log(integrals).sum()
    counts = Counts(events, time, "poisson")
    ours = counts.trials.evaluate(np.array([mean - np.log(counts.slices)]), sd, 31)[0] + counts.constant
    assert ours == pytest.approx(exact, rel=1e-9)


def test_units_of_time_move_the_rate_and_nothing_else():
    years = meta_rates(REFRACTURE, **RATES)
    days = meta_rates(REFRACTURE.assign(years=REFRACTURE["years"] * 365.25), per=365.25, **RATES)
    for name in ("estimate", "conf_low", "conf_high", "std_error", "tau2", "q"):
        np.testing.assert_allclose(days.frame[name], years.frame[name], rtol=1e-6, atol=1e-9)


def test_rare_events_have_one_answer_as_proportions_and_as_rates():
    rare = studies([3, 9, 1, 12], [50_000, 60_000, 70_000, 80_000])
    one, two = row(meta_proportions(rare, **PROPORTIONS)), row(meta_rates(rare, **RATES))
    assert one["estimate"] == pytest.approx(two["estimate"], rel=1e-3)
    assert one["tau2"] == pytest.approx(two["tau2"], rel=1e-3)


def test_the_mean_of_proportions_lies_nearer_a_half_than_the_study_in_the_middle():
    found = meta_proportions(REFRACTURE, **PROPORTIONS)
    assert row(found)["estimate"] < found.settings["mean_over_studies"] < 0.5
    rates = meta_rates(REFRACTURE, **RATES)
    middle, spread = row(rates)["estimate"], rates.settings["tau2"]
    assert rates.settings["mean_over_studies"] == pytest.approx(middle * np.exp(spread / 2))


def test_ratios_are_read_as_ratios():
    plain, ratio = (row(meta_effects(REFRACTURE, measure=m, **EFFECTS)) for m in ("difference", "log_ratio"))
    for name in ("estimate", "conf_low", "conf_high"):
        assert ratio[name] == pytest.approx(np.exp(plain[name]))
    assert ratio["p_value"] == plain["p_value"]
    assert (plain["measure"], ratio["measure"]) == ("difference", "ratio")


def test_printed_limits_give_the_logarithm_and_its_error():
    y, error = log_ratio(np.array([1.30]), np.array([3.38]))
    assert np.exp(y[0]) == pytest.approx(2.09, abs=0.01)  # as printed beside them
    assert error[0] == pytest.approx((np.log(3.38) - np.log(1.30)) / 2 / 1.959964, rel=1e-6)


def test_the_double_arcsine_comes_back():
    x, n = np.arange(31.0), np.full(31, 30.0)
    np.testing.assert_allclose(proportion_of(double_arcsine(x, n), 30.0), x / n, atol=1e-12)
    assert proportion_of(np.array([0.01, 1.57]), 30.0).tolist() == [0.0, 1.0]


def test_unlike_sizes_are_said_beside_the_double_arcsine():
    found = row(meta_proportions(studies([1, 200], [10, 2000]), method="freeman_tukey", **PROPORTIONS))
    assert "sizes differ more than tenfold" in found["note"]


def test_a_common_effect_leaves_nothing_to_predict_and_no_hartung_knapp():
    found = meta_effects(REFRACTURE, method="fixed", test="z", **EFFECTS)
    weight = 1 / REFRACTURE["se"] ** 2
    assert row(found)["estimate"] == pytest.approx(np.average(REFRACTURE["log_hr"], weights=weight))
    assert np.isnan(row(found, "prediction")["conf_low"])
    with pytest.raises(EstimationError, match="one common effect denies"):
        meta_effects(REFRACTURE, method="fixed", **EFFECTS)


def test_hartung_knapp_has_no_place_in_a_likelihood_of_counts():
    with pytest.raises(EstimationError, match="Hartung-Knapp needs the variances"):
        meta_proportions(REFRACTURE, test="hksj", **PROPORTIONS)


@pytest.mark.parametrize("seed", range(4))
def test_tau_squared_is_the_highest_of_all(seed):
    rng = np.random.default_rng(seed)
    y, v = rng.normal(0, rng.choice([0.1, 1.0], 5)), rng.choice([0.001, 0.02, 0.5], 5)
    data = Effects.alone(y, v)
    for method in ("reml", "ml"):
        found = tau2_of(data, method)
        best = data.loglik(found, method == "reml")
        assert best >= max(data.loglik(t, method == "reml") for t in np.geomspace(1e-7, 50, 500)) - 1e-9
    low, high = q_profile(data, 0.95)
    assert low <= tau2_of(data, "pm") <= high


def test_a_likelihood_with_two_maxima_takes_the_higher():
    # Three precise studies agree and a fourth does not: no spread explains them, or a large one, and none between.
    data = Effects.alone(np.array([-0.08, -0.07, 3.06, -0.05]), np.array([0.01, 0.005, 0.218, 0.002]))
    assert data.slope(0.0, True) < 0 < data.slope(1.0, True)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 100, 4000)])
    for restricted, method in ((True, "reml"), (False, "ml")):
        heights = [data.loglik(t, restricted) for t in grid]
        assert data.loglik(tau2_of(data, method), restricted) >= max(heights) - 1e-12


def test_far_from_zero_costs_no_digits():
    near = pool(Effects.alone(np.array([0.1, 0.5, 0.9]), np.full(3, 0.02)), "reml", "hksj", 0.95)
    far = pool(Effects.alone(np.array([0.1, 0.5, 0.9]) + 1e6, np.full(3, 0.02)), "reml", "hksj", 0.95)
    assert far.tau2 == pytest.approx(near.tau2, rel=1e-8)
    assert far.std_error == pytest.approx(near.std_error, rel=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"events": [4, 9, 4, 20, 31, 14.5]}, "1 of 6 studies"),
        ({"events": [51, 9, 4, 20, 31, 14]}, "1 of 6 studies"),
        ({"n": [0, 160, 70, 60, 130, 90]}, "1 of 6 studies"),
        ({"n": [np.nan, 160, 70, 60, 130, 90]}, "missing or infinite in 1 of 6 rows"),
        ({"tier": [None] + ["clinical"] * 5}, "name that group too"),
        ({"paper": [None, *"BCDEF"]}, "missing in 1 rows"),
    ],
)
def test_numbers_that_no_study_can_have_are_refused(change, message):
    with pytest.raises(EstimationError, match=message):
        meta_proportions(REFRACTURE.assign(**change), study="paper", by="tier", **PROPORTIONS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "peto"}, "method must be glmm, freeman_tukey or logit"),
        ({"tau2": "sj"}, "tau2 must be"),
        ({"test": "knha"}, "test must be"),
        ({"prediction": "none"}, "prediction must be"),
        ({"points": 8}, "odd number"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"by": "n_events"}, "rename them"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    df = REFRACTURE.assign(n_events=1)
    with pytest.raises(EstimationError, match=message):
        meta_proportions(df, **PROPORTIONS, **options)


def test_a_standard_error_of_zero_and_no_study_at_all_are_refused():
    with pytest.raises(EstimationError, match="must be positive; it is zero or less in 1 of 6 studies"):
        meta_effects(REFRACTURE.assign(se=[0, 0.1, 0.1, 0.1, 0.1, 0.1]), **EFFECTS)
    with pytest.raises(EstimationError, match="no study"):
        meta_effects(REFRACTURE.iloc[:0], **EFFECTS)
