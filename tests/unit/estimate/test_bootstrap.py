"""Patients drawn again: whose rows move together, how often nothing was drawn, and what the limits are worth."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen, cox, fine_gray, logistic, rate_by
from cohort.estimate.bootstrap import bootstrap, percentiles

CLUSTERED = {"entry": "entry", "exit": "exit", "id": "unit", "cluster": "patient"}


def four_patients():
    return pd.DataFrame({"patient": [1, 2, 3, 3, 4], "days": 365.25, "events": [0.0, 1, 2, 1, 4]})


def test_limits_of_four_patients_are_those_of_all_their_draws():
    """All 4^4 draws can be written down: 8 events in 5 years, and patient 3 brings his two rows each time."""
    events, years = np.array([0.0, 1, 3, 4]), np.array([1.0, 1, 2, 1])
    every = np.array([events[list(c)].sum() / years[list(c)].sum() for c in product(range(4), repeat=4)])
    options = {"events": "events", "person_days": "days", "cluster": "patient"}
    ours = bootstrap(rate_by, four_patients(), seed=4, repeats=1500, interval="percentile", **options).frame.iloc[0]
    assert ours["estimate"] == pytest.approx(8 / 5)
    # The 2.5th percentile of 256 equally likely draws falls within a step of the distribution.
    assert (every < ours["conf_low"]).mean() < 0.025 < (every <= ours["conf_low"]).mean() + 0.01
    assert (every > ours["conf_high"]).mean() < 0.025 < (every >= ours["conf_high"]).mean() + 0.01
    logs = np.log(every[every > 0])
    assert ours["std_error"] == pytest.approx(logs.std(), rel=0.05)


def test_the_seed_decides_and_the_order_of_rows_does_not(vertebra_rows):
    d = vertebra_rows(2)
    options = {"covariates": ["leak", "age"], "event": "event", "repeats": 60, **CLUSTERED}
    one = bootstrap(cox, d, seed=1, **options).frame
    pd.testing.assert_frame_equal(one, bootstrap(cox, d, seed=1, **options).frame)
    shuffled = bootstrap(cox, d.sample(frac=1, random_state=0), seed=1, **options).frame
    np.testing.assert_allclose(shuffled[["conf_low", "conf_high"]], one[["conf_low", "conf_high"]], rtol=1e-8)
    other = bootstrap(cox, d, seed=2, **options).frame
    assert (other["conf_low"] != one["conf_low"]).all()


def test_the_error_of_the_draws_is_near_the_robust_one(vertebra_rows):
    d = vertebra_rows(11, n_patients=150)
    robust = cox(d, ["leak", "age"], event="event", **CLUSTERED).frame
    ours = bootstrap(cox, d, seed=1, repeats=200, covariates=["leak", "age"], event="event", **CLUSTERED).frame
    np.testing.assert_allclose(ours["std_error"], robust["std_error"], rtol=0.15)
    distance = np.log(ours["conf_high"] / robust["conf_high"]) / robust["std_error"]
    assert (distance.abs() < 0.5).all()


def test_curves_odds_and_subdistributions_are_drawn_alike(vertebra_rows):
    d = vertebra_rows(3, n_patients=60)
    curve = bootstrap(aalen_johansen, d, seed=1, repeats=80, cause="cause", at=[5, 20], **CLUSTERED)
    robust = aalen_johansen(d, cause="cause", at=[5, 20], **CLUSTERED).frame
    assert curve.frame["outcome"].tolist() == robust["outcome"].tolist()
    np.testing.assert_allclose(curve.frame["std_error"], robust["std_error"], rtol=0.35)
    assert curve.settings["variance"] == "patients drawn again, whole"
    fine = bootstrap(fine_gray, d, seed=1, repeats=40, covariates=["age"], cause="cause", **CLUSTERED).frame
    odds = bootstrap(logistic, d, seed=1, repeats=40, covariates=["age"], outcome="event", cluster="patient").frame
    for frame in (fine, odds):
        assert ((frame["conf_low"] < frame["estimate"]) & (frame["estimate"] < frame["conf_high"])).all()
        assert not {"naive_std_error", "p_value", "statistic", "df"} & set(frame.columns)


def test_draws_without_event_are_counted_and_said():
    """One of 30 patients has an event: about a third of the draws, (29/30)^30 = 0.36, leave him out."""
    d = pd.DataFrame({"patient": range(30), "days": 365.25, "events": [1.0] + [0.0] * 29})
    options = {"events": "events", "person_days": "days", "cluster": "patient"}
    ours = bootstrap(rate_by, d, seed=1, repeats=400, **options).frame.iloc[0]
    without = ours["n_draws_without_event"]
    assert without / 400 == pytest.approx((29 / 30) ** 30, abs=0.07)
    assert f"no event in {without} of 400 draws" in ours["note"]
    assert ours["conf_low"] == 0
    assert np.isfinite(ours["conf_high"])


def test_where_too_many_draws_have_no_estimate_there_are_no_limits(vertebra_rows):
    d = vertebra_rows(1)
    d.loc[d["event"].cumsum() > 2, "event"] = 0
    ours = bootstrap(cox, d, seed=1, repeats=60, covariates=["age"], event="event", **CLUSTERED).frame.iloc[0]
    assert ours["n_draws"] < 57
    assert ours[["conf_low", "conf_high"]].isna().all()
    assert f"no estimate in {60 - ours['n_draws']} of 60 draws: no limits" in ours["note"]


def test_an_upper_limit_that_is_infinite_is_said():
    d = pd.DataFrame({"patient": range(24), "exit": range(1, 25), "leak": [1] * 12 + [0] * 12, "event": 0})
    d.loc[[1, 4, 6, 9, 20], "event"] = 1  # one event among those without leak: often not drawn
    ours = bootstrap(
        cox, d, seed=1, repeats=100, interval="percentile", covariates=["leak"], exit="exit", event="event",
        cluster="patient",
    ).frame.iloc[0]  # fmt: skip
    assert np.isinf(ours["conf_high"])
    assert "no upper limit: no finite estimate in" in ours["note"]


def test_no_event_at_all_keeps_its_row(vertebra_rows):
    d = vertebra_rows(1).assign(event=0)
    ours = bootstrap(cox, d, seed=1, repeats=40, covariates=["age"], event="event", **CLUSTERED).frame.iloc[0]
    assert np.isnan(ours["estimate"])
    assert ours["n_draws"] == 0
    assert ours["note"].startswith("no event: nothing can be estimated; no event in 40 of 40 draws; no estimate in 40")


def test_one_patient_drawn_again_is_himself():
    d = four_patients().assign(patient=1)
    options = {"events": "events", "person_days": "days", "cluster": "patient"}
    ours = bootstrap(rate_by, d, seed=1, repeats=40, **options).frame.iloc[0]
    assert ours["estimate"] == pytest.approx(1.6)
    assert ours[["conf_low", "conf_high"]].isna().all()
    assert ours["note"] == "one patient: draws cannot differ, no limits"


def test_groups_are_found_again_by_their_own_columns(vertebra_rows):
    d = vertebra_rows(3).assign(site=lambda d: d["patient"] % 3, days=lambda d: d["exit"] - d["entry"])
    options = {"events": "event", "person_days": "days", "cluster": "patient", "by": "site"}
    ours = bootstrap(rate_by, d, seed=1, repeats=40, **options).frame
    assert ours["site"].tolist() == [0, 1, 2]
    assert ((ours["conf_low"] < ours["estimate"]) & (ours["estimate"] < ours["conf_high"])).all()


def test_a_draw_without_the_reference_category_is_no_answer():
    d = pd.DataFrame({"patient": range(30), "exit": range(1, 31), "event": [1, 0, 1] * 10})
    d["cleft"] = pd.Categorical(["no"] + ["yes", "unknown"] * 14 + ["yes"], ["no", "yes", "unknown"])
    ours = bootstrap(
        cox, d, seed=1, repeats=60, covariates=["cleft"], exit="exit", event="event", cluster="patient"
    ).frame
    assert (ours["n_draws"] < 57).all()
    assert ours["note"].str.contains("no limits").all()


def test_progress_is_told_to_the_last_fit(vertebra_rows):
    told = []
    d = vertebra_rows(3)
    bootstrap(
        cox,
        d,
        seed=1,
        repeats=40,
        covariates=["age"],
        event="event",
        progress=lambda *now: told.append(now),
        **CLUSTERED,
    )
    assert told[0] == (1, 65)
    assert told[-1] == (65, 65)  # 40 draws, and 25 patients left out in turn


def test_what_cannot_be_drawn_is_refused(vertebra_rows):
    d = vertebra_rows(3)
    options = {"covariates": ["age"], "event": "event", **CLUSTERED}
    with pytest.raises(EstimationError, match="at least 40 times"):
        bootstrap(cox, d, seed=1, repeats=39, **options)
    with pytest.raises(EstimationError, match="bca or percentile"):
        bootstrap(cox, d, seed=1, interval="normal", **options)
    with pytest.raises(EstimationError, match="repeat them"):
        bootstrap(cox, d, seed=1, weight="unit", weight_kind="frequency", **options)
    with pytest.raises(EstimationError, match="name in key="):
        bootstrap(rate_by, d, seed=1, key=["measure"], events="event", person_days="exit", by="leak", cluster="patient")


def test_a_level_beyond_the_draws_takes_the_outermost():
    assert percentiles(np.arange(1.0, 6.0), np.array([0.0, 1.0])).tolist() == [1, 5]


def test_between_a_number_and_infinity_lies_infinity():
    draws = np.append(np.arange(1.0, 39.0), [np.inf, np.inf])
    assert percentiles(draws, np.array([0.94, 38 / 41])).tolist() == [np.inf, 38]
