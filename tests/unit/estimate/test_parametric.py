"""Weibull regression: known days, intervals and late entry in one likelihood, read as time and as hazard ratios."""

import warnings

import numpy as np
import pandas as pd
import pytest
from lifelines import WeibullAFTFitter

from cohort.domain.errors import EstimationError
from cohort.estimate.bounds import Bounds
from cohort.estimate.parametric import weibull
from cohort.estimate.weibull import WeibullLikelihood

BOUNDS = {"lower": "lower", "upper": "upper"}


def vertebrae(seed=1, n_patients=60, late=False):
    """Vertebrae in patients: some days known, some between looks ten days apart, some never found."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
    n = len(patient)
    leak, age = rng.integers(0, 2, n), rng.normal(74, 8, n_patients)[patient].round(1)
    frailty = rng.gamma(4, 0.25, n_patients)[patient]
    entry = np.where(rng.random(n) < 0.5, rng.integers(0, 30, n), 0).astype(float) if late else np.zeros(n)
    start = (entry / 80.0) ** 1.4
    day = 80.0 * (start + rng.exponential(1, n) / (frailty * np.exp(0.7 * leak + 0.02 * (age - 74)))) ** (1 / 1.4)
    day, last = np.maximum(np.ceil(day), entry + 1), entry + rng.integers(20, 120, n)
    happened, known = day <= last, rng.random(n) < 0.3
    before = np.maximum(np.floor((day - 1) / 10) * 10, entry)
    return pd.DataFrame(
        {
            "unit": np.arange(n),
            "patient": patient,
            "entry": entry,
            "exit": np.minimum(day, last),
            "event": happened.astype(int),
            "lower": np.where(happened, np.where(known, day, before), last),
            "upper": np.where(happened, np.where(known, day, before + 10), np.inf),
            "leak": leak,
            "age": age,
            "w": rng.integers(1, 4, n_patients)[patient].astype(float),
        }
    )


def table(rows, covariates=("leak", "age"), **options):
    return weibull(rows, list(covariates), **{**BOUNDS, **options}).frame


def value(frame, measure, term, name="coef"):
    return frame.loc[(frame["measure"] == measure) & (frame["term"] == term), name].iloc[0]


NUMBERS = ["estimate", "conf_low", "conf_high", "coef", "std_error", "naive_std_error", "n_patients", "n_events"]


def test_time_and_hazard_ratios_are_one_model():
    found = table(vertebrae(), cluster="patient")
    scale = value(found, "scale", "Log(scale)", "estimate")
    for term in ("leak", "age"):
        assert value(found, "hazard_ratio", term) == pytest.approx(-value(found, "time_ratio", term) / scale)
    assert value(found, "shape", "Log(shape)", "estimate") == pytest.approx(1 / scale)
    assert found["estimate"].to_numpy() == pytest.approx(np.exp(found["coef"].to_numpy()))


def test_the_score_and_information_are_the_derivatives_of_the_likelihood():
    d = vertebrae(late=True)
    likelihood = WeibullLikelihood(
        (d[["leak"]] - 0.5).to_numpy(),
        Bounds(d["lower"].to_numpy(), d["upper"].to_numpy()),
        d["entry"].to_numpy(),
        d["w"].to_numpy(),
        60.0,
    )
    at, step = np.array([0.3, -0.2, 0.5]), 1e-5
    _, score, information = likelihood.evaluate(at)
    for k, e in enumerate(np.eye(3) * step):
        (up, above, _), (down, below, _) = likelihood.evaluate(at + e), likelihood.evaluate(at - e)
        assert score[k] == pytest.approx((up - down) / (2 * step), rel=1e-6)
        assert information[k] == pytest.approx((below - above) / (2 * step), rel=1e-6, abs=1e-6)
    assert d["w"].to_numpy() @ likelihood.score_residuals(at) == pytest.approx(score, rel=1e-10)


def lifelines_coefficients(fit):
    params = fit.params_
    return [
        params["lambda_", "Intercept"],
        params["lambda_", "leak"],
        params["lambda_", "age"],
        -params["rho_", "Intercept"],
    ]


def test_lifelines_finds_the_same_maximum():
    """Its optimizer stops earlier than Newton's method: five digits."""
    known = vertebrae(3, late=True)
    ours = weibull(known, ["leak", "age"], exit="exit", event="event", entry="entry").frame["coef"].iloc[:4]
    model = "leak + age"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = WeibullAFTFitter().fit(
            known[["exit", "event", "entry", "leak", "age"]], "exit", "event", entry_col="entry", formula=model
        )
        assert ours.to_numpy() == pytest.approx(lifelines_coefficients(theirs), rel=2e-4)
        d = vertebrae(3)
        ours = table(d)["coef"].iloc[:4]
        found = WeibullAFTFitter().fit_interval_censoring(
            d[["lower", "upper", "leak", "age"]], lower_bound_col="lower", upper_bound_col="upper", formula=model
        )
    assert ours.to_numpy() == pytest.approx(lifelines_coefficients(found), rel=2e-4)


def test_the_clustered_error_is_near_that_of_leaving_out_one_patient_at_a_time():
    d = vertebrae(5, n_patients=80, late=True)
    found = table(d, entry="entry", cluster="patient")
    left = np.array([table(d[d["patient"] != p], entry="entry")["coef"] for p in d["patient"].unique()])
    jackknife = np.sqrt(((left - left.mean(axis=0)) ** 2).sum(axis=0))
    assert found["std_error"].to_numpy() == pytest.approx(jackknife, rel=0.08)


def test_exit_event_and_last_look_say_the_same_as_bounds():
    d = vertebrae().assign(upper=lambda x: np.where(x["event"] == 1, x["exit"], np.inf))
    d["lower"] = np.minimum(d["lower"], d["exit"])
    d["clear"] = d["lower"].where(d["event"] == 1)
    d["cause"] = np.where(d["event"] == 1, 2, 0)
    one = table(d)
    two = weibull(d, ["leak", "age"], exit="exit", event="cause", of=2, lower="clear").frame
    np.testing.assert_allclose(two[NUMBERS[:-2]], one[NUMBERS[:-2]], rtol=1e-12)


def test_a_lower_bound_that_is_missing_is_the_entry():
    d = vertebrae(late=True)
    at_entry = d["lower"].eq(d["entry"]) & d["upper"].gt(d["lower"])
    assert at_entry.any()
    blank = d.assign(lower=d["lower"].where(~at_entry))
    pd.testing.assert_frame_equal(table(blank, entry="entry"), table(d, entry="entry"))


def test_splits_and_row_order_change_nothing():
    d = vertebrae(late=True)
    over = (d["entry"] < 15) & (d["exit"] > 15) & (d["upper"] > 15)
    first = d[over].assign(lower=15.0, upper=np.inf)
    split = pd.concat([first, d.assign(entry=np.where(over, 15.0, d["entry"]))]).sample(frac=1, random_state=1)
    options = {"entry": "entry", "id": "unit", "cluster": "patient"}
    np.testing.assert_allclose(table(split, **options)[NUMBERS], table(d, **options)[NUMBERS], rtol=1e-8)


def test_another_unit_of_time_moves_the_intercept_only():
    d = vertebrae()
    days = table(d)
    weeks = table(d.assign(lower=d["lower"] / 7, upper=d["upper"] / 7))
    np.testing.assert_allclose(weeks["coef"].iloc[1:], days["coef"].iloc[1:], rtol=1e-8)
    assert weeks["coef"].iloc[0] == pytest.approx(days["coef"].iloc[0] - np.log(7))


def test_a_row_of_frequency_weight_three_is_three_rows_each_with_a_patient_of_its_own():
    d = vertebrae()
    copies = d.loc[d.index.repeat(d["w"].astype(int))]
    copies["patient"] = copies["patient"] + 1000 * copies.groupby(level=0).cumcount()
    ours = table(d, weight="w", weight_kind="frequency", cluster="patient")
    theirs = table(copies, cluster="patient")
    np.testing.assert_allclose(ours[NUMBERS[:-2]], theirs[NUMBERS[:-2]], rtol=1e-9)
    assert ours["n_events"].tolist() == theirs["n_events"].tolist()
    with pytest.raises(EstimationError, match="same in all rows of a cluster"):
        table(d.assign(w=np.arange(len(d)) + 1.0), weight="w", weight_kind="frequency", cluster="patient")


def test_probability_weights_bring_the_robust_error_and_their_size_says_nothing():
    d = vertebrae()
    one, ten = table(d, weight="w"), table(d.assign(w=10 * d["w"]), weight="w")
    np.testing.assert_allclose(ten[["coef", "std_error"]], one[["coef", "std_error"]], rtol=1e-7)
    assert (one["std_error"] != one["naive_std_error"]).all()


def test_copying_every_vertebra_in_its_patient_narrows_the_naive_error_only():
    d = vertebrae()
    one, two = table(d, cluster="patient"), table(pd.concat([d, d]), cluster="patient")
    np.testing.assert_allclose(two[["coef", "std_error"]], one[["coef", "std_error"]], rtol=1e-8)
    np.testing.assert_allclose(two["naive_std_error"] * np.sqrt(2), one["naive_std_error"], rtol=1e-8)


def test_the_share_free_of_a_profile_is_that_of_its_weibull_curve():
    d = vertebrae().assign(site=lambda x: pd.Categorical(np.where(x["unit"] % 3 == 0, "T", "L"), ["L", "T"]))
    profiles = [{"leak": 1, "age": 80, "site": "T"}, {"leak": 0, "age": 70, "site": "L"}]
    found = table(d, ["leak", "age", "site"], at=[0, 30, 900], profile=profiles)
    curve = found[found["measure"] == "survival"]
    shape = value(found, "shape", "Log(shape)", "estimate")
    of_time = [value(found, "time_ratio", term) for term in ("leak", "age", "site=T")]
    for (_, mine), x in zip(curve.groupby("stratum", sort=False), ([1, 80, 1], [0, 70, 0]), strict=True):
        middle = np.exp(value(found, "time", "(Intercept)") + np.dot(of_time, x))
        assert mine["estimate"].tolist() == pytest.approx(np.exp(-((np.array([0, 30, 900]) / middle) ** shape)))
        assert ((mine["conf_low"] < mine["estimate"]) & (mine["estimate"] < mine["conf_high"])).iloc[1]
    assert curve["stratum"].unique().tolist() == ["leak=1, age=80, site=T", "leak=0, age=70, site=L"]
    assert curve["note"].iloc[2].startswith("after the last day seen")
    alone = weibull(d, [], **BOUNDS, at=[30])
    assert alone.frame["measure"].tolist() == ["time", "scale", "shape", "survival"]
    assert alone.settings["loglik"][0] == pytest.approx(alone.settings["loglik"][1])


def test_no_event_keeps_every_row_with_the_reason():
    d = vertebrae().assign(upper=np.inf)
    found = table(d, at=[10], profile={"leak": 1, "age": 80})
    assert len(found) == 8
    assert found["estimate"].isna().all()
    assert set(found["note"]) == {"no event: nothing can be estimated"}
    blank = table(vertebrae().assign(age=np.nan))
    assert set(blank["note"]) == {"no complete row: nothing can be estimated"}


def test_no_event_among_the_exposed_is_zero_without_limits_and_the_others_are_as_without_them():
    d = vertebrae()
    d["upper"] = d["upper"].where(d["leak"] == 0, np.inf)
    d["lower"] = d["lower"].where(d["leak"] == 0, d["exit"])
    found = table(d, cluster="patient")
    assert value(found, "hazard_ratio", "leak", "estimate") == 0
    assert value(found, "time_ratio", "leak", "estimate") == np.inf
    assert np.isnan(value(found, "hazard_ratio", "leak", "std_error"))
    assert value(found, "hazard_ratio", "leak", "note").startswith("no event among the exposed")
    alone = table(d[d["leak"] == 0], ["age"], cluster="patient")
    for measure, term in (("time", "(Intercept)"), ("hazard_ratio", "age"), ("shape", "Log(shape)")):
        for name in ("coef", "std_error"):
            assert value(found, measure, term, name) == pytest.approx(value(alone, measure, term, name), rel=1e-4)


def test_every_event_among_the_exposed_has_no_upper_bound_nor_a_time_for_the_others():
    d = vertebrae()
    d["upper"] = d["upper"].where(d["leak"] == 1, np.inf)
    d["lower"] = d["lower"].where(d["leak"] == 1, d["exit"])
    found = table(d, at=[20], profile=[{"leak": 0, "age": 74}, {"leak": 1, "age": 74}])
    assert value(found, "hazard_ratio", "leak", "estimate") == np.inf
    assert value(found, "hazard_ratio", "leak", "note").startswith("every event among the exposed")
    assert value(found, "time", "(Intercept)", "note").startswith("where covariates are 0 there is no finite estimate")
    curve = found[found["measure"] == "survival"]
    assert np.isfinite(curve["conf_low"]).tolist() == [False, True]


def test_everyone_exposed_and_what_others_tell_already_say_so():
    d = vertebrae()
    found = table(d.assign(leak=1, twice=2 * d["age"]), ["leak", "age", "twice"])
    assert value(found, "hazard_ratio", "leak", "note") == "the same for everyone: nothing to compare"
    assert value(found, "time_ratio", "twice", "note") == "told by the covariates before it: left out of the fit"
    alone = table(d, ["age"])
    assert value(found, "hazard_ratio", "age") == pytest.approx(value(alone, "hazard_ratio", "age"))


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"lower": [5.0], "upper": [5.0]}),
        pd.DataFrame({"lower": [5.0], "upper": [9.0]}),
        pd.DataFrame({"lower": [5.0, 5.0], "upper": [5.0, 5.0]}),
        pd.DataFrame({"lower": [0.0, 0.0, 90.0], "upper": [1.0, 1.0, np.inf]}),
        pd.DataFrame({"lower": [3.0, 9.0], "upper": [np.inf, 9.0]}),
    ],
    ids=["one known day", "one interval", "one day for all", "found at once or never", "one event, last"],
)
def test_where_the_events_fix_no_shape_there_is_no_estimate(rows):
    found = weibull(rows, [], **BOUNDS, at=[4]).frame
    assert found["estimate"].isna().all()
    assert found["note"].str.contains("fix no shape|did not converge|no finite estimate").all()


def test_one_event_before_a_loss_is_estimated_and_called_one_event():
    found = weibull(pd.DataFrame({"lower": [5.0, 9.0], "upper": [5.0, np.inf]}), [], **BOUNDS).frame
    assert np.isfinite(found["coef"]).all()
    assert set(found["note"]) == {"only 1 event"}


def test_one_patient_has_no_robust_error():
    d = vertebrae().assign(patient=1)
    found = table(d, cluster="patient")
    assert found["std_error"].isna().all()
    assert found["naive_std_error"].notna().all()
    assert found["note"].str.contains("one cluster").all()


def test_missing_covariates_leave_rows_out_and_are_counted():
    d = vertebrae()
    d.loc[:4, "age"] = np.nan
    made = weibull(d, ["leak", "age"], **BOUNDS)
    assert made.settings["rows_missing"] == {"leak": 0, "age": 5}
    np.testing.assert_allclose(made.frame["coef"], table(d.iloc[5:])["coef"], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"upper": 0.0, "lower": 0.0}, {}, "on or before day 0"),
        ({"entry": -3.0}, {"entry": "entry"}, "before day 0"),
        ({"entry": 4.0, "lower": 2.0, "upper": 50.0}, {"entry": "entry"}, "lower bound before their entry"),
        ({"entry": 500.0, "lower": 2.0}, {"entry": "entry"}, "no time at risk"),
        ({"unit": 1}, {"id": "unit"}, "may touch but not overlap"),
        ({}, {"exit": "exit"}, "either by `lower` and `upper`, or by `exit` and `event`"),
        ({}, {"at": [3]}, "give both or neither"),
        ({}, {"at": [3], "profile": {"leak": 1}}, "must give a value to each covariate"),
        ({}, {"confidence": 95}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(change, options, message):
    with pytest.raises(EstimationError, match=message):
        table(vertebrae().assign(**change), **options)


def test_a_covariate_that_changes_on_the_way_is_refused():
    d = pd.DataFrame({"id": [1, 1], "entry": [0, 5], "lower": [5, 9], "upper": [np.inf, 9], "drug": [0, 1]})
    with pytest.raises(EstimationError, match="'drug' changes during the follow-up of 1 units"):
        weibull(d, ["drug"], **BOUNDS, entry="entry", id="id")


def test_a_category_that_no_row_has_is_refused_in_a_profile():
    d = vertebrae().assign(site=pd.Categorical(["L"] * len(vertebrae()), ["L", "T"]))
    d.loc[:9, "site"] = "T"
    with pytest.raises(EstimationError, match="site=C, a category that no row has"):
        table(d, ["site"], at=[3], profile={"site": "C"})
