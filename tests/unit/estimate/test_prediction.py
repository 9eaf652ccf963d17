"""Concordance, Brier score and AUC against a slow count of every pair, and where there is little to judge."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.errors import EstimationError
from cohort.estimate.absolute_risk import absolute_risk
from cohort.estimate.discrimination import auc, sums_below
from cohort.estimate.prediction import concordance, prediction_accuracy

seeds = st.integers(0, 10_000)
FEW = settings(max_examples=20, deadline=None)
ROWS = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}
CAUSES = {"exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient"}


def scored(rows):
    """Rows with a score of many ties, a weight and two strata."""
    return rows.assign(
        score=lambda d: np.round(d["age"] / 4) + d["leak"],
        w=lambda d: 0.5 + d["unit"] % 3,
        site=lambda d: d["unit"] % 2,
    )


def slow_pairs(d, weight, strata=None):
    """Every event with every row at risk that goes on: concordant, discordant, tied."""
    found = np.zeros(3)
    stratum = np.zeros(len(d)) if strata is None else d[strata].to_numpy()
    w = np.ones(len(d)) if weight is None else d[weight].to_numpy(float)
    entry, exit_, event, score = (d[name].to_numpy(float) for name in ("entry", "exit", "event", "score"))
    for i in np.flatnonzero(event):
        at_risk = (stratum == stratum[i]) & (entry < exit_[i])
        goes_on = (exit_ > exit_[i]) | ((exit_ == exit_[i]) & (event == 0))
        for j in np.flatnonzero(at_risk & goes_on):
            found[0 if score[i] > score[j] else 1 if score[i] < score[j] else 2] += w[i] * w[j]
    return found


@FEW
@given(seed=seeds, weight=st.sampled_from([None, "w"]), strata=st.sampled_from([None, "site"]))
def test_pairs_are_those_counted_one_by_one(vertebra_rows, seed, weight, strata):
    rows = scored(vertebra_rows(seed))
    found = concordance(rows, risk="score", weight=weight, strata=strata, **ROWS).frame.iloc[0]
    slow = slow_pairs(rows, weight, strata)
    np.testing.assert_allclose(found[["concordant", "discordant", "tied"]].to_numpy(float), slow, rtol=1e-10)
    assert found["estimate"] == pytest.approx((slow[0] + slow[2] / 2) / slow.sum(), rel=1e-12)


@FEW
@given(seed=seeds, size=st.integers(1, 60))
def test_sums_below_a_rank_are_those_of_a_loop(seed, size):
    rng = np.random.default_rng(seed)
    rank, weight = rng.integers(0, 9, size), rng.random(size)
    low = rng.integers(0, size + 1, 30)
    high = np.minimum(size, low + rng.integers(0, size + 1, 30))
    below = rng.integers(0, 12, 30)
    loop = [weight[a:b][rank[a:b] < r].sum() for a, b, r in zip(low, high, below, strict=True)]
    np.testing.assert_allclose(sums_below(rank, weight, low, high, below), loop, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "entry"),
    [({}, True), ({"strata": "site"}, True), ({"until": 20}, True)],
    ids=["plain", "strata", "until"],
)
def test_the_error_of_the_concordance_is_its_derivative_by_each_patients_weight(options, entry, vertebra_rows):
    rows = scored(vertebra_rows(5)).assign(w=1.0)
    base = concordance(rows, risk="score", weight="w", **options, **ROWS).frame.iloc[0]
    total = 0.0
    for patient in rows["patient"].unique():
        up, down = (
            concordance(
                rows.assign(w=np.where(rows["patient"] == patient, 1 + step, 1.0)), risk="score", weight="w",
                **options, **ROWS,
            ).frame["estimate"].iloc[0]
            for step in (1e-4, -1e-4)
        )  # fmt: skip
        total += ((up - down) / 2e-4) ** 2
    assert base["std_error"] == pytest.approx(np.sqrt(total), rel=1e-6)


@FEW
@given(seed=seeds)
def test_order_and_splits_change_no_concordance(vertebra_rows, seed):
    rows = scored(vertebra_rows(seed))
    over = (rows["entry"] < 8) & (rows["exit"] > 8)
    split = pd.concat([rows[over].assign(exit=8.0, event=0), rows.assign(entry=np.where(over, 8.0, rows["entry"]))])
    one, two = (concordance(d, risk="score", **ROWS).frame for d in (rows, split.sample(frac=1, random_state=seed)))
    for name in ("estimate", "std_error", "concordant", "n_units"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-10)


def test_a_split_is_no_loss_for_unos_weights(vertebra_rows):
    rows = scored(vertebra_rows(5)).query("entry == 0")
    over = rows["exit"] > 8
    split = pd.concat([rows[over].assign(exit=8.0, event=0), rows.assign(entry=np.where(over, 8.0, 0.0))])
    one, two = (concordance(d, risk="score", pairs="uno", **ROWS).frame.iloc[0] for d in (rows, split))
    assert two["estimate"] == pytest.approx(one["estimate"], rel=1e-12)
    assert two["std_error"] == pytest.approx(one["std_error"], rel=1e-10)


def test_a_model_is_judged_by_its_linear_predictor_and_rows_alike_stay_tied(vertebra_rows):
    rows = vertebra_rows(5).assign(score=lambda d: d["leak"])
    model = concordance(rows, ["leak"], **ROWS).frame.iloc[0]
    given_score = concordance(rows, risk="score", **ROWS).frame.iloc[0]
    assert model["tied"] == given_score["tied"]
    assert model["estimate"] == pytest.approx(max(given_score["estimate"], 1 - given_score["estimate"]), rel=1e-12)
    assert "on the rows of the fit" in model["note"]


def test_copies_of_every_patient_divide_the_error_by_the_root_of_their_number(vertebra_rows):
    """Copies have their events together, so no pair is new: four times the pairs, half of the variance."""
    rows = scored(vertebra_rows(5))
    apart = pd.concat([rows, rows.assign(unit=rows["unit"] + 1000, patient=rows["patient"] + 1000)])
    one, two = (concordance(d, risk="score", **ROWS).frame.iloc[0] for d in (rows, apart))
    assert two["estimate"] == pytest.approx(one["estimate"], rel=1e-12)
    assert two["std_error"] * np.sqrt(2) == pytest.approx(one["std_error"], rel=1e-10)


def test_a_row_of_frequency_three_is_three_rows(vertebra_rows):
    rows = scored(vertebra_rows(5)).assign(w=lambda d: 1 + d["unit"] % 3)
    repeated = rows.loc[rows.index.repeat(rows["w"])].reset_index(drop=True)
    plain = {"entry": "entry", "exit": "exit", "event": "event", "risk": "score"}
    one = concordance(rows, weight="w", weight_kind="frequency", **plain).frame.iloc[0]
    many = concordance(repeated, **plain).frame.iloc[0]
    for name in ("estimate", "std_error", "concordant", "n_events"):
        assert one[name] == pytest.approx(many[name], rel=1e-10)


@pytest.mark.parametrize(("event", "words"), [([0, 0, 0], "no two rows"), ([0, 0, 1], "no two rows")])
def test_without_a_pair_there_is_no_concordance_and_the_note_says_so(event, words):
    d = pd.DataFrame({"exit": [1, 2, 3], "event": event, "score": [1, 2, 3]})
    found = concordance(d, exit="exit", event="event", risk="score").frame.iloc[0]
    assert np.isnan(found["estimate"])
    assert words in found["note"]


def test_a_perfect_order_has_no_limits_on_the_logit_scale():
    d = pd.DataFrame({"exit": [1, 2, 3], "event": 1, "score": [3, 2, 1]})
    found = concordance(d, exit="exit", event="event", risk="score").frame.iloc[0]
    assert found["estimate"] == 1
    assert np.isnan(found["conf_high"])


def test_one_patient_has_no_error(vertebra_rows):
    found = concordance(scored(vertebra_rows(5)).assign(patient=1), risk="score", **ROWS).frame.iloc[0]
    assert np.isnan(found["std_error"])
    assert "one cluster" in found["note"]


def test_late_entry_and_recurrent_events_have_no_unos_concordance(vertebra_rows):
    rows = scored(vertebra_rows(5))
    with pytest.raises(EstimationError, match="enter late"):
        concordance(rows, risk="score", pairs="uno", **ROWS)
    again = pd.DataFrame({"id": [1, 1, 2], "entry": [0, 5, 0], "exit": [5, 9, 7], "event": [1, 1, 0], "score": 1})
    with pytest.raises(EstimationError, match="first events"):
        concordance(again, exit="exit", entry="entry", event="event", id="id", risk="score", pairs="uno")


def test_a_model_or_a_risk_is_named_and_not_both(vertebra_rows):
    with pytest.raises(EstimationError, match="not both"):
        concordance(vertebra_rows(5), ["age"], risk="leak", **ROWS)
    with pytest.raises(EstimationError, match="not both"):
        concordance(vertebra_rows(5), **ROWS)
    with pytest.raises(EstimationError, match="harrell or uno"):
        concordance(vertebra_rows(5), ["age"], pairs="all", **ROWS)


def by_measure(result):
    return result.frame.set_index("measure")


def test_without_losses_the_brier_score_is_the_mean_square_and_the_auc_counts_pairs():
    d = pd.DataFrame({"exit": [1, 2, 3, 9, 9], "cause": [1, 2, 1, 0, 0], "risk": [0.8, 0.3, 0.3, 0.3, 0.1]})
    found = by_measure(prediction_accuracy(d, at=5, exit="exit", cause="cause", risk=["risk"]))["estimate"]
    happened = np.array([1, 0, 1, 0, 0])
    assert found["brier"] == pytest.approx(np.mean((happened - d["risk"]) ** 2))
    assert found["brier_null"] == pytest.approx(0.4 * 0.6)
    assert found["auc"] == pytest.approx((3 + 0.5 + 0.5 + 1) / 6)  # 0.8 beats three; 0.3 ties two and beats one
    assert found["scaled_brier"] == pytest.approx(1 - found["brier"] / found["brier_null"])


@FEW
@given(seed=seeds)
def test_the_auc_counts_pairs_with_ties_by_half(seed):
    rng = np.random.default_rng(seed)
    risk, case = rng.integers(0, 5, 30) / 5, rng.random(30) * rng.integers(0, 2, 30)
    control = np.where(case > 0, 0, rng.random(30))
    pairs = case[:, None] * control
    slow = (pairs * ((risk[:, None] > risk) + 0.5 * (risk[:, None] == risk))).sum() / max(pairs.sum(), 1e-300)
    if pairs.sum() > 0:
        assert auc(risk, case, control)[0] == pytest.approx(slow, rel=1e-10)


@pytest.mark.parametrize("of", [1, 2])
def test_errors_are_derivatives_by_each_patients_weight_also_through_the_losses(of, vertebra_rows):
    rows = vertebra_rows(9).query("entry == 0").assign(w=1.0, r5=lambda d: d["age"] / 200, r20=lambda d: d["age"] / 120)
    options = {"at": [5, 20], "of": of, "risk": ["r5", "r20"], "weight": "w"} | CAUSES
    base = prediction_accuracy(rows, **options).frame
    moved = []
    for patient in rows["patient"].unique():
        up, down = (
            prediction_accuracy(
                rows.assign(w=np.where(rows["patient"] == patient, 1 + step, 1.0)), **options
            ).frame["estimate"]
            for step in (1e-4, -1e-4)
        )  # fmt: skip
        moved.append((up - down) / 2e-4)
    numerical = np.sqrt((np.array(moved) ** 2).sum(axis=0))
    np.testing.assert_allclose(base["std_error"], numerical, rtol=1e-5)


def test_the_model_judged_is_that_of_absolute_risk(vertebra_rows):
    rows = vertebra_rows(9).query("entry == 0").reset_index(drop=True)
    given_risk = {}
    for day in (5, 20):
        found = absolute_risk(rows, ["leak", "age"], profiles=rows, at=day, **CAUSES).frame
        given_risk[f"r{day}"] = found["estimate"].to_numpy()
    fitted = prediction_accuracy(rows, ["leak", "age"], at=[5, 20], **CAUSES).frame
    same = prediction_accuracy(rows.assign(**given_risk), at=[5, 20], risk=["r5", "r20"], **CAUSES).frame
    np.testing.assert_allclose(fitted["estimate"], same["estimate"], rtol=1e-10)
    np.testing.assert_allclose(fitted["std_error"], same["std_error"], rtol=1e-9)
    assert fitted["note"].str.contains("on the rows of the fit").all()


@pytest.mark.parametrize("options", [{"method": "fine_gray"}, {"strata": "site"}], ids=["fine_gray", "strata"])
def test_fine_gray_and_strata_can_be_judged_too(options, vertebra_rows):
    rows = scored(vertebra_rows(9)).query("entry == 0").reset_index(drop=True)
    risk = absolute_risk(rows, ["leak"], profiles=rows, at=10, **options, **CAUSES).frame["estimate"]
    fitted = prediction_accuracy(rows, ["leak"], at=10, **options, **CAUSES).frame
    same = prediction_accuracy(rows.assign(risk=risk.to_numpy()), at=10, risk=["risk"], **CAUSES).frame
    np.testing.assert_allclose(fitted["estimate"], same["estimate"], rtol=1e-10)


def test_folds_judge_each_patient_by_the_others_and_are_the_same_for_a_seed(vertebra_rows):
    rows = vertebra_rows(9, n_patients=60).query("entry == 0")
    options = {"at": 15} | CAUSES
    noise = rows.assign(noise=np.random.default_rng(1).normal(size=len(rows)))
    for covariates in (["leak", "age"], ["noise"]):
        apparent = by_measure(prediction_accuracy(noise, covariates, **options))["estimate"]
        folded = by_measure(prediction_accuracy(noise, covariates, folds=5, **options))["estimate"]
        again = by_measure(prediction_accuracy(noise, covariates, folds=5, **options))["estimate"]
        assert folded["brier"] > apparent["brier"]
        assert folded["brier"] == again["brier"]
        assert folded["brier_null"] == apparent["brier_null"]
    for folds in (1, 10_000):
        with pytest.raises(EstimationError, match="folds of"):
            prediction_accuracy(noise, ["age"], folds=folds, **options)


@FEW
@given(seed=seeds)
def test_order_and_splits_change_no_accuracy(vertebra_rows, seed):
    rows = vertebra_rows(seed).query("entry == 0")
    over = rows["exit"] > 8
    split = pd.concat([rows[over].assign(exit=8.0, cause=0), rows.assign(entry=np.where(over, 8.0, 0.0))])
    options = {"at": [5, 15], "entry": "entry"} | CAUSES
    one, two = (
        prediction_accuracy(d, ["leak", "age"], **options).frame
        for d in (rows, split.sample(frac=1, random_state=seed))
    )
    np.testing.assert_allclose(two["estimate"], one["estimate"], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(two["std_error"], one["std_error"], rtol=1e-6, atol=1e-9)
    assert two["n_events"].tolist() == one["n_events"].tolist()


def test_units_that_enter_late_are_left_out_and_counted(vertebra_rows):
    rows = vertebra_rows(9)
    found = prediction_accuracy(rows, ["age"], at=10, entry="entry", **CAUSES)
    assert found.settings["n_late_entry"] == (rows["entry"] > 0).sum()
    assert found.frame["n_units"].iloc[0] == (rows["entry"] == 0).sum()


def test_after_the_last_day_and_without_events_there_is_no_judgement(vertebra_rows):
    rows = vertebra_rows(9).query("entry == 0")
    found = prediction_accuracy(rows, ["age"], at=[10, 999], **CAUSES).frame
    assert found["estimate"].iloc[4:].isna().all()
    assert found["note"].iloc[4].startswith("nobody was followed to day 999")
    none = by_measure(prediction_accuracy(rows.assign(cause=0), ["age"], at=10, **CAUSES))
    assert none["estimate"]["brier"] == 0
    assert np.isnan(none["estimate"]["auc"])
    assert none["note"]["auc"].startswith("by day 10 there are not both events and others")


def test_risks_must_be_shares_and_one_for_each_day(vertebra_rows):
    rows = vertebra_rows(9).assign(risk=1.2)
    with pytest.raises(EstimationError, match="between 0 and 1"):
        prediction_accuracy(rows, at=10, risk=["risk"], **CAUSES)
    with pytest.raises(EstimationError, match="one for each day"):
        prediction_accuracy(rows, at=[10, 20], risk=["risk"], **CAUSES)
    with pytest.raises(EstimationError, match="at least one day"):
        prediction_accuracy(rows, at=[], risk=[], **CAUSES)
