"""Hazard ratios from few events: separation, ties, late entry, strata, weights, and data that hold nothing."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.firth_cox import PenalizedHazards, firth_cox
from cohort.estimate.kernel import PartialLikelihood
from cohort.estimate.risk_sets import RiskSets

SHOWN = ["coef", "std_error", "conf_low", "conf_high", "statistic", "p_value"]
CLUSTERED = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}


def same(one, other, rtol=1e-6):
    np.testing.assert_allclose(one.frame[SHOWN], other.frame[SHOWN], rtol=rtol, atol=1e-9)


def test_one_event_among_two_exposed_and_one_other_worked_by_hand():
    """p is the share of the risk set's hazard among the exposed, 2h / (2h + 1); the likelihood is h / (2h + 1), the
    information p (1 - p); d/db of log(h / (2h + 1)) + log(p (1 - p)) / 2 is (1 - p) + (1 - 2p) / 2, so p = 3/4."""
    d = pd.DataFrame({"exit": [1, 2, 2], "event": [1, 0, 0], "leak": [1, 1, 0]})
    row = firth_cox(d, ["leak"], exit="exit", event="event").frame.iloc[0]
    assert row["estimate"] == pytest.approx(1.5, rel=1e-10)
    assert row["std_error"] == pytest.approx(np.sqrt(16 / 3), rel=1e-10)
    assert row["conf_low"] < 1 < row["conf_high"]
    assert "every event among the exposed: finite by the penalty alone; only 1 event" in row["note"]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("weight_kind", ["probability", "frequency"])
def test_the_penalized_score_is_the_slope_of_the_penalized_likelihood(ties, weight_kind, vertebra_rows):
    d = vertebra_rows(3)
    rng = np.random.default_rng(1)
    x = np.column_stack([d["leak"], (d["age"] - 75) / 8, rng.normal(size=len(d))])
    sets = RiskSets.of(
        d["exit"].to_numpy(float), d["event"].to_numpy(bool), d["entry"].to_numpy(float), d["patient"].to_numpy() % 2
    )
    weight = rng.integers(1, 4, len(d)).astype(float)
    likelihood = PartialLikelihood.of(sets, x, d["event"].to_numpy(bool), weight, ties, weight_kind)
    at, here, h = PenalizedHazards(likelihood).at, np.array([0.4, -0.3, 0.2]), 1e-4
    slopes = [(at(here + h * e).loglik - at(here - h * e).loglik) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(at(here).score, slopes, rtol=1e-6)
    plain = likelihood.evaluate(here)
    np.testing.assert_allclose(at(here).score - at(here).penalty_score, plain[1], rtol=1e-12)
    assert at(here).loglik == pytest.approx(plain[0] + np.linalg.slogdet(plain[2])[1] / 2, rel=1e-12)


def test_with_many_events_it_is_coxs_model(vertebra_rows):
    d = vertebra_rows(1, n_patients=2000)
    ours, plain = firth_cox(d, ["leak", "age"], **CLUSTERED).frame, cox(d, ["leak", "age"], **CLUSTERED).frame
    np.testing.assert_allclose(ours["coef"], plain["coef"], atol=2e-4)
    np.testing.assert_allclose(ours["std_error"], plain["naive_std_error"], rtol=1e-3)


def test_separation_has_an_estimate_and_limits_and_is_said(vertebra_rows):
    d = vertebra_rows(1).assign(event=lambda d: d["event"] * d["leak"])
    plain = cox(d, ["leak", "age"], **CLUSTERED).frame.set_index("term")
    result = firth_cox(d, ["leak", "age"], **CLUSTERED).frame.set_index("term")
    assert plain["estimate"]["leak"] == np.inf
    assert np.isfinite(result.loc["leak", SHOWN].astype(float)).all()
    assert result["note"]["leak"].startswith("every event among the exposed: finite by the penalty alone")
    none = firth_cox(d.assign(leak=1 - d["leak"]), ["leak", "age"], **CLUSTERED).frame.set_index("term")
    assert none["note"]["leak"].startswith("no event among the exposed: finite by the penalty alone")
    assert none["conf_high"]["leak"] == pytest.approx(1 / result["conf_low"]["leak"], rel=1e-7)
    assert none["n_exposed_events"]["leak"] == 0


def test_no_event_leaves_a_row_that_says_so(vertebra_rows):
    result = firth_cox(vertebra_rows(1).assign(event=0), ["leak", "age"], **CLUSTERED)
    assert result.frame["term"].tolist() == ["leak", "age"]
    assert result.frame[SHOWN].isna().all(axis=None)
    assert result.frame["note"].str.startswith("no event").all()
    assert result.settings["events_per_parameter"] == 0


def test_one_event_is_enough_for_an_estimate_and_is_said(vertebra_rows):
    d = vertebra_rows(1)
    first = d.index[d["event"] == 1][0]
    result = firth_cox(d.assign(event=(d.index == first).astype(int)), ["leak", "age"], **CLUSTERED)
    assert np.isfinite(result.frame[SHOWN]).all(axis=None)
    assert result.frame["note"].str.contains("only 1 event; only 0.5 events per parameter").all()


def test_everyone_exposed_leaves_a_row_that_says_so_and_fits_the_rest(vertebra_rows):
    d = vertebra_rows(1)
    result = firth_cox(d.assign(leak=1), ["leak", "age"], **CLUSTERED).frame.set_index("term")
    assert result["note"]["leak"].startswith("the same for everyone: nothing to compare")
    assert np.isnan(result["estimate"]["leak"])
    alone = firth_cox(d, ["age"], **CLUSTERED).frame.iloc[0]
    np.testing.assert_allclose(result.loc["age", SHOWN].astype(float), alone[SHOWN].astype(float), rtol=1e-7)


def test_only_constant_covariates_leave_rows_that_say_so(vertebra_rows):
    result = firth_cox(vertebra_rows(1).assign(leak=1), ["leak"], exit="exit", event="event").frame
    assert result["note"].tolist() == ["the same for everyone: nothing to compare"]


def test_a_covariate_that_never_varies_at_an_event_and_one_told_by_others_are_said(vertebra_rows):
    d = vertebra_rows(1).assign(twice=lambda d: 2 * d["leak"] + 1)
    first = d.head(1).assign(entry=0.0, exit=0.5, event=0, unit=-1, patient=-1)
    d = pd.concat([d.assign(early=0), first.assign(early=1)])
    result = firth_cox(d, ["leak", "twice", "early"], **CLUSTERED).frame.set_index("term")
    assert result["note"]["twice"].startswith("told by the covariates before it")
    assert result["note"]["early"].startswith("the same for all at risk whenever an event happened")
    alone = firth_cox(d, ["leak"], **CLUSTERED).frame.iloc[0]
    assert result["conf_high"]["leak"] == pytest.approx(alone["conf_high"], rel=1e-7)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_row_order_and_splits_change_nothing(ties, vertebra_rows):
    d = vertebra_rows(2)
    one = firth_cox(d, ["leak", "age"], ties=ties, **CLUSTERED)
    middle = np.ceil((d["entry"] + d["exit"]) / 2)
    long = d["exit"] > middle
    split = pd.concat([d.assign(exit=middle, event=np.where(long, 0, d["event"])), d[long].assign(entry=middle[long])])
    same(one, firth_cox(split, ["leak", "age"], ties=ties, **CLUSTERED))
    same(one, firth_cox(d.sample(frac=1, random_state=2), ["leak", "age"], ties=ties, **CLUSTERED))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_frequency_weights_are_rows_repeated(ties, vertebra_rows):
    d = vertebra_rows(4).assign(copies=lambda d: 1 + d["unit"] % 3)
    days = {"entry": "entry", "exit": "exit", "event": "event", "ties": ties}
    one = firth_cox(d, ["leak", "age"], weight="copies", weight_kind="frequency", **days)
    other = firth_cox(d.loc[d.index.repeat(d["copies"])], ["leak", "age"], **days)
    same(one, other)
    assert one.settings["loglik"] == pytest.approx(other.settings["loglik"], rel=1e-11)
    assert one.frame["n_events"].iloc[0] == other.frame["n_events"].iloc[0]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 365.25), (-75.0, 0.001), (1e4, 1.0)])
def test_the_unit_of_a_covariate_changes_only_its_own_coefficient(shift, scale, vertebra_rows):
    d = vertebra_rows(5)
    one = firth_cox(d, ["leak", "age"], **CLUSTERED).frame.set_index("term")
    other = firth_cox(d.assign(age=(d["age"] + shift) * scale), ["leak", "age"], **CLUSTERED).frame.set_index("term")
    np.testing.assert_allclose(other.loc["leak", SHOWN].astype(float), one.loc["leak", SHOWN].astype(float), rtol=1e-6)
    assert other["coef"]["age"] * scale == pytest.approx(one["coef"]["age"], rel=1e-6)
    assert other["p_value"]["age"] == pytest.approx(one["p_value"]["age"], rel=1e-6)
    assert np.log(other["conf_low"]["age"]) * scale == pytest.approx(np.log(one["conf_low"]["age"]), rel=1e-6)


def test_strata_whose_days_never_meet_are_cohorts_one_after_the_other(vertebra_rows):
    d = vertebra_rows(6).assign(site=lambda d: d["patient"] % 2)
    apart = d.assign(entry=d["entry"] + 1000 * d["site"], exit=d["exit"] + 1000 * d["site"])
    same(firth_cox(d, ["leak", "age"], strata="site", **CLUSTERED), firth_cox(apart, ["leak", "age"], **CLUSTERED))


def test_a_cause_is_chosen_by_its_number(vertebra_rows):
    d = vertebra_rows(6)
    by_cause = firth_cox(d, ["leak"], exit="exit", entry="entry", event="cause", of=1)
    same(by_cause, firth_cox(d, ["leak"], exit="exit", entry="entry", event="event"), rtol=1e-12)


def test_events_of_one_patient_are_said_to_count_as_independent(vertebra_rows):
    d = vertebra_rows(7)
    had = d[d["event"] == 1]
    note = firth_cox(d, ["leak"], **CLUSTERED).frame["note"].iloc[0]
    assert f"{len(had)} events of {had['patient'].nunique()} clusters count as independent" in note
    assert "independent" not in firth_cox(d, ["leak"], exit="exit", event="event").frame["note"].iloc[0]


def test_a_single_patient_is_estimated_as_rows_and_said(vertebra_rows):
    result = firth_cox(vertebra_rows(1).assign(patient=1), ["age"], **CLUSTERED).frame.iloc[0]
    assert np.isfinite(result["conf_high"])
    assert "of 1 cluster count as independent" in result["note"]


def test_missing_covariates_are_left_out_and_counted_by_name(vertebra_rows):
    d = vertebra_rows(2)
    d.loc[[0, 1, 2], "age"] = np.nan
    result = firth_cox(d, ["leak", "age"], **CLUSTERED)
    assert result.settings["rows_missing"] == {"leak": 0, "age": 3}
    same(result, firth_cox(d.dropna(), ["leak", "age"], **CLUSTERED))
    nobody = firth_cox(d.assign(age=np.nan), ["leak", "age"], **CLUSTERED).frame
    assert nobody["note"].tolist() == ["no complete row: nothing can be estimated"] * 2


def test_what_cox_refuses_is_refused(vertebra_rows):
    d = vertebra_rows(1)
    with pytest.raises(EstimationError, match="no time at risk"):
        firth_cox(d.assign(exit=d["entry"]), ["leak"], **CLUSTERED)
    with pytest.raises(EstimationError, match="ties must be efron or breslow"):
        firth_cox(d, ["leak"], ties="exact", **CLUSTERED)
