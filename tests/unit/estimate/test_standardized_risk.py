"""Risks if all had had the exposure and if none had: against the truth, the bootstrap, and cases worked by hand."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen
from cohort.estimate.standardized_models import _divided, _incidence
from cohort.estimate.standardized_risk import standardized_risk

METHODS = ["logistic_ipcw", "cox"]
SETTING = {"exit": "exit", "cause": "cause", "cluster": "patient", "covariates": ["frail", "age"], "horizon": 365}


def cohort(seed, patients=150, effect=0.7):
    """Vertebrae of patients: exposure goes with frailty, frailty with refracture, some die and some are lost.

    The outcome at 365 days is logistic in exposure, frailty and age (so the logistic model is right), and losses are
    independent of all.
    """
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    n = len(patient)
    frail, age = (rng.random(patients) < 0.4).astype(int)[patient], rng.normal(0, 1, patients)[patient]
    leak = (rng.random(n) < 1 / (1 + np.exp(0.8 - 1.2 * frail - 0.3 * age))).astype(int)
    broke = rng.random(n) < risk_of(leak, frail, age, effect)
    died = ~broke & (rng.random(n) < 0.15)
    days = np.where(broke | died, rng.integers(1, 366, n), 366 + rng.integers(0, 300, n))
    lost = rng.integers(1, 1500, n)
    return pd.DataFrame(
        {
            "patient": patient,
            "unit": np.arange(n),
            "frail": frail,
            "age": age,
            "leak": leak,
            "exit": np.minimum(days, lost).astype(float),
            "cause": np.where(lost < days, 0, np.where(broke, 1, np.where(died, 2, 0))),
        }
    )


def risk_of(leak, frail, age, effect=0.7):
    return 1 / (1 + np.exp(1.6 - effect * leak - 1.0 * frail - 0.4 * age))


def truth(effect=0.7):
    rng = np.random.default_rng(0)
    frail, age = (rng.random(400_000) < 0.4).astype(int), rng.normal(0, 1, 400_000)
    every, none = (risk_of(a, frail, age, effect).mean() for a in (1, 0))
    return np.array([every, none, every - none, every / none])


@pytest.fixture(scope="module")
def vertebrae():
    return cohort(1)


def test_the_intervals_hold_the_truth_and_the_crude_difference_does_not():
    true = truth()
    inside, errors, found = np.zeros(4), [], []
    for seed in range(120):
        d = cohort(seed + 100)
        f = standardized_risk(d, "leak", **SETTING).frame
        inside += (f["conf_low"].to_numpy() <= true) & (true <= f["conf_high"].to_numpy())
        errors.append(f["std_error"].to_numpy()[:3])
        found.append(f["estimate"].to_numpy())
    assert (inside >= 104).all()  # 95 % is 114, and 104 is four standard errors below
    np.testing.assert_allclose(np.mean(found, axis=0)[:3], true[:3], atol=0.012)
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(found, axis=0)[:3], rtol=0.2)
    big = cohort(7, patients=5000)
    crude = standardized_risk(big, "leak", **(SETTING | {"covariates": []})).frame
    assert crude["conf_low"][2] > true[2]  # the frail leak more often, and break more often anyway


def test_cox_and_logistic_tell_the_same_of_the_same_cohort():
    """The outcome comes of a logistic model, so that the Cox models are near it only."""
    big = cohort(3, patients=4_000)
    one = standardized_risk(big, "leak", **SETTING).frame
    two = standardized_risk(big, "leak", method="cox", **SETTING).frame
    np.testing.assert_allclose(one["estimate"], truth(), rtol=0.1)
    np.testing.assert_allclose(two["estimate"], truth(), rtol=0.1)
    assert (two["std_error"] < 1.1 * one["std_error"]).all()


@pytest.mark.parametrize("method", METHODS)
def test_drawing_patients_again_gives_the_same_error(method):
    rng = np.random.default_rng(5)
    d = cohort(11, patients=120)
    whole = standardized_risk(d, "leak", method=method, **SETTING).frame
    drawn = []
    for _ in range(100):
        times = rng.multinomial(120, np.full(120, 1 / 120))
        again = d.assign(w=times[d["patient"]].astype(float))
        f = standardized_risk(again[again["w"] > 0], "leak", method=method, weight="w", **SETTING).frame
        drawn.append([*f["estimate"][:3], f["coef"][3]])
    np.testing.assert_allclose(whole["std_error"], np.std(drawn, axis=0), rtol=0.25)


def test_without_covariates_the_risks_are_the_incidences_of_the_two_groups(vertebrae):
    """Losses within each group, as `aalen_johansen` takes them."""
    crude = standardized_risk(vertebrae, "leak", censoring_by="leak", **(SETTING | {"covariates": []})).frame
    plain = aalen_johansen(vertebrae, exit="exit", cause="cause", cluster="patient", by="leak", at=365).frame
    plain = plain[plain["outcome"] == "1"].set_index("stratum")
    np.testing.assert_allclose(crude["estimate"][:2], plain["estimate"].to_numpy()[::-1], rtol=1e-9)
    np.testing.assert_allclose(crude["std_error"][:2], plain["std_error"].to_numpy()[::-1], rtol=1e-8)


def test_an_average_over_two_groups_worked_by_hand():
    """Nobody lost. Of the young 2 of 4 exposed and 2 of 8 others break, of the old 3 of 4 and 2 of 4: odds ratio 3.

    All exposed: 12 young at 2/4 and 8 old at 3/4 are 12 of 20. None: 12 at 2/8 and 8 at 2/4 are 7 of 20.
    """
    cells = [(0, 1, 2, 4), (0, 0, 2, 8), (1, 1, 3, 4), (1, 0, 2, 4)]
    rows = [(old, leak, int(k < events)) for old, leak, events, n in cells for k in range(n)]
    d = pd.DataFrame(rows, columns=["old", "leak", "broke"]).assign(exit=lambda d: 9.0 - 6.0 * d["broke"])
    risk = standardized_risk(d, "leak", covariates=["old"], exit="exit", cause="broke", horizon=5).frame["estimate"]
    assert risk.tolist() == pytest.approx([12 / 20, 7 / 20, 5 / 20, 12 / 7])


@pytest.mark.parametrize("method", METHODS)
def test_order_splits_and_copies(method, vertebrae):
    options = SETTING | {"method": method, "id": "unit", "entry": "entry"}
    d = vertebrae.assign(entry=0.0)
    one = standardized_risk(d, "leak", **options).frame
    mixed = standardized_risk(d.sample(frac=1, random_state=1), "leak", **options).frame
    numbers = ["estimate", "conf_low", "conf_high", "std_error"]
    np.testing.assert_allclose(mixed[numbers], one[numbers], rtol=1e-7)
    early = d.assign(exit=np.minimum(d["exit"], 100), cause=np.where(d["exit"] > 100, 0, d["cause"]))
    split = pd.concat([early, d[d["exit"] > 100].assign(entry=100.0)])
    np.testing.assert_allclose(standardized_risk(split, "leak", **options).frame[numbers], one[numbers], rtol=1e-7)
    copied = pd.concat([d, d.assign(unit=d["unit"] + 10_000, patient=d["patient"] + 10_000)])
    two = standardized_risk(copied, "leak", **(options | {"ties": "breslow"})).frame
    base = standardized_risk(d, "leak", **(options | {"ties": "breslow"})).frame
    np.testing.assert_allclose(two["estimate"], base["estimate"], rtol=1e-7)
    np.testing.assert_allclose(two["std_error"] * np.sqrt(2), base["std_error"], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_weights_of_two_are_a_second_copy_of_the_same_patients(method, vertebrae):
    twice = standardized_risk(
        vertebrae.assign(w=2.0), "leak", method=method, weight="w", ties="breslow", **SETTING
    ).frame
    once = standardized_risk(vertebrae, "leak", method=method, ties="breslow", **SETTING).frame
    np.testing.assert_allclose(twice[["estimate", "std_error"]], once[["estimate", "std_error"]], rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_no_event_among_the_exposed_is_a_risk_of_zero_without_an_interval(method, vertebrae):
    d = vertebrae.assign(cause=np.where((vertebrae["leak"] == 1) & (vertebrae["cause"] == 1), 0, vertebrae["cause"]))
    f = standardized_risk(d, "leak", method=method, **SETTING).frame
    assert f["estimate"][0] == 0
    assert f["estimate"][2] == -f["estimate"][1]
    assert f["estimate"][3] == 0
    assert f["std_error"].isna().tolist() == [True, False, True, True]
    assert f["note"].str.contains("no event among the exposed").all()
    assert 0 < f["conf_low"][1] < f["estimate"][1] < f["conf_high"][1] < 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 1])
def test_everyone_exposed_or_nobody_leaves_rows_that_say_so(value, method, vertebrae):
    f = standardized_risk(vertebrae.assign(leak=value), "leak", method=method, **SETTING).frame
    assert f["estimate"].isna().all()
    assert f["note"].str.contains("nobody").all()


@pytest.mark.parametrize("method", METHODS)
def test_no_event_one_event_and_a_single_patient(method, vertebrae):
    none = standardized_risk(vertebrae.assign(cause=0), "leak", method=method, **(SETTING | {"horizon": 100})).frame
    assert none["estimate"][:3].tolist() == [0, 0, 0]
    assert none["std_error"].isna().all()
    assert "only 0 events" in none["note"][0]
    first = vertebrae.index[vertebrae["cause"] == 1][0]
    single = vertebrae["cause"].where(vertebrae.index == first, 0)
    one = standardized_risk(vertebrae.assign(cause=single), "leak", method=method, **(SETTING | {"horizon": 200})).frame
    assert one["std_error"][2:].isna().all()
    alone = standardized_risk(vertebrae.assign(patient=1), "leak", method=method, **SETTING).frame
    assert alone["estimate"].notna().all()
    assert alone["std_error"].isna().all()
    assert alone["note"].str.contains("one cluster").all()


@pytest.mark.parametrize("method", METHODS)
def test_rows_with_missing_covariates_are_left_out_of_model_and_population(method, vertebrae):
    holes = vertebrae.assign(age=vertebrae["age"].where((vertebrae["unit"] % 6 != 0) & (vertebrae["patient"] < 147)))
    result = standardized_risk(holes, "leak", method=method, **SETTING)
    assert result.settings["rows_left_out"] == holes["age"].isna().sum()
    assert result.frame["n_units"].iloc[0] == holes["age"].notna().sum()
    assert result.frame["std_error"].notna().all()


@pytest.mark.parametrize("method", METHODS)
def test_a_horizon_after_the_follow_up_has_no_risk(method, vertebrae):
    f = standardized_risk(vertebrae, "leak", method=method, **(SETTING | {"horizon": 9999})).frame
    assert f["estimate"].isna().all()
    assert f["note"].str.contains("last day of follow-up|lost before the horizon").all()


def test_late_entries_are_left_out_and_counted_by_the_weights_and_at_risk_late_in_cox(vertebrae):
    late = vertebrae.assign(entry=np.where(vertebrae["unit"] % 5 == 0, vertebrae["exit"] / 2, 0.0))
    one = standardized_risk(late, "leak", entry="entry", **SETTING)
    assert one.settings["n_late_entry"] == (late["entry"] > 0).sum()
    assert one.frame["n_units"].iloc[0] == (late["entry"] == 0).sum()
    two = standardized_risk(late, "leak", entry="entry", method="cox", **SETTING)
    assert two.frame["n_units"].iloc[0] == len(late)


def test_the_settings_say_where_the_two_groups_hardly_overlap(vertebrae):
    result = standardized_risk(vertebrae, "leak", **SETTING)
    low, high = result.settings["exposure_probability"]
    assert 0 < low < high < 1
    assert result.settings["share_extreme"] < 0.05
    assert result.settings["largest_weight"] > 1
    first, last = result.settings["predicted_risk"]["all"]
    assert 0 < first < result.frame["estimate"][0] < last < 1
    apart = vertebrae.assign(age=vertebrae["age"] + 3.0 * vertebrae["leak"])
    assert standardized_risk(apart, "leak", **SETTING).settings["share_extreme"] > 0.3
    told = vertebrae.assign(frail=np.where(vertebrae["leak"] == 1, vertebrae["frail"], 0))
    assert standardized_risk(told, "leak", **SETTING).frame["note"].str.contains("found among exposed").all()


def test_a_covariate_that_separates_is_named(vertebrae):
    d = vertebrae.assign(
        frail=((vertebrae["cause"] == 1) & (vertebrae["exit"] <= 365) & (vertebrae["unit"] % 3 == 0)) * 1
    )
    for method in METHODS:
        f = standardized_risk(d, "leak", method=method, **SETTING).frame
        assert f["estimate"].isna().all() or np.isfinite(f["estimate"]).all()
    f = standardized_risk(d, "leak", **SETTING).frame
    assert f["note"].str.contains("frail separates").all()


def test_limits_of_risks_stay_within_zero_and_one_and_those_of_the_ratio_are_logarithmic(vertebrae):
    f = standardized_risk(vertebrae.head(60), "leak", **(SETTING | {"covariates": ["frail"]})).frame
    assert (f["conf_low"][:2] > 0).all()
    assert (f["conf_high"][:2] < 1).all()
    assert f["estimate"][3] == pytest.approx(np.sqrt(f["conf_low"][3] * f["conf_high"][3]), rel=1e-9)
    assert f["estimate"][2] == pytest.approx((f["conf_low"][2] + f["conf_high"][2]) / 2, rel=1e-9)


def test_the_derivatives_of_an_incidence_are_those_of_its_differences():
    rng = np.random.default_rng(2)
    jumps, relative, share = rng.random((12, 2)) / 20, rng.random((5, 2)) + 0.5, np.full(5, 0.2)

    def mean(j, r):
        return share @ _incidence(r, share, j, 0).risk

    found, step = _incidence(relative, share, jumps, 0), 1e-6
    for at, k in ((0, 0), (3, 1), (11, 0), (11, 1)):
        up, down = jumps.copy(), jumps.copy()
        up[at, k] += step
        down[at, k] -= step
        assert found.by_jump[at, k] == pytest.approx((mean(up, relative) - mean(down, relative)) / (2 * step), rel=1e-6)
    for i, k in ((0, 0), (4, 1)):
        up, down = relative.copy(), relative.copy()
        up[i, k] *= np.exp(step)
        down[i, k] *= np.exp(-step)
        assert found.by_relative[i, k] == pytest.approx((mean(jumps, up) - mean(jumps, down)) / (2 * step), rel=1e-6)
    h = np.array([0.999e-3, 1.001e-3])
    np.testing.assert_allclose(_divided(h), (-np.expm1(-h) / h, (np.exp(-h) + np.expm1(-h) / h) / h), rtol=1e-9)


def test_what_cannot_be_standardized_is_refused(vertebrae):
    with pytest.raises(EstimationError, match="must be 0 or 1"):
        standardized_risk(vertebrae, "age", **(SETTING | {"covariates": ["frail"]}))
    with pytest.raises(EstimationError, match="cannot be a covariate as well"):
        standardized_risk(vertebrae, "frail", **SETTING)
    with pytest.raises(EstimationError, match="method must be"):
        standardized_risk(vertebrae, "leak", method="gamma", **SETTING)
    with pytest.raises(EstimationError, match="horizon must be"):
        standardized_risk(vertebrae, "leak", **(SETTING | {"horizon": 0}))
    later = vertebrae[vertebrae["exit"] > 50].assign(entry=50.0, leak=1)
    early = vertebrae.assign(
        entry=0.0, exit=np.minimum(vertebrae["exit"], 50), cause=lambda d: d["cause"] * (d["exit"] <= 50)
    )
    with pytest.raises(EstimationError, match="'leak' changes during the follow-up"):
        standardized_risk(pd.concat([early, later]), "leak", entry="entry", id="unit", method="cox", **SETTING)


@pytest.mark.parametrize("method", METHODS)
def test_none_against_all_of_a_yes_or_no_is_between_0_and_1(vertebrae, method):
    plain = standardized_risk(vertebrae, "leak", method=method, **SETTING).frame
    lined = standardized_risk(vertebrae.assign(leak=vertebrae["leak"] * 2.0 + 1.0), "leak", method=method,
                              between=(1.0, 3.0), **SETTING).frame  # fmt: skip
    columns = ["estimate", "conf_low", "conf_high", "std_error"]
    np.testing.assert_allclose(lined[columns], plain[columns], rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_two_ages_compared_the_other_way_round_turn_the_difference_and_the_ratio_over(vertebrae, method):
    setting = {**SETTING, "covariates": ["frail", "leak"], "method": method}
    up = standardized_risk(vertebrae, "age", between=(-1.0, 1.0), **setting).frame.set_index("measure")
    down = standardized_risk(vertebrae, "age", between=(1.0, -1.0), **setting).frame.set_index("measure")
    assert up.loc["risk_difference", "estimate"] == pytest.approx(-down.loc["risk_difference", "estimate"])
    assert up.loc["risk_ratio", "conf_low"] == pytest.approx(1 / down.loc["risk_ratio", "conf_high"])
    assert up.loc["risk_ratio", "estimate"] > 1


def test_the_risk_at_two_ages_is_the_mean_of_what_the_logistic_model_predicts_at_each():
    import statsmodels.api as sm

    whole = cohort(5, patients=400)
    whole = whole[(whole["cause"] > 0) | (whole["exit"] >= 365)].reset_index(drop=True)
    found = standardized_risk(whole, "age", between=(-1.0, 0.5), **{**SETTING, "covariates": ["frail", "leak"]}).frame
    y = ((whole["cause"] == 1) & (whole["exit"] <= 365)).astype(float)
    x = np.column_stack([np.ones(len(whole)), whole["age"], whole["frail"], whole["leak"]])
    fit = sm.GLM(y, x, family=sm.families.Binomial()).fit()
    means = [fit.predict(np.column_stack([x[:, 0], np.full(len(x), at), x[:, 2:]])).mean() for at in (0.5, -1.0)]
    np.testing.assert_allclose(found["estimate"].iloc[:2], means, rtol=1e-6)


def test_between_needs_two_different_values_of_a_number(vertebrae):
    with pytest.raises(EstimationError, match="two different values"):
        standardized_risk(vertebrae, "age", between=(1.0, 1.0), **{**SETTING, "covariates": []})
    with pytest.raises(EstimationError, match="is no number"):
        standardized_risk(
            vertebrae.assign(leak=vertebrae["leak"].map({0: "no", 1: "yes"})), "leak", between=(0, 1), **SETTING
        )
