"""Ratios corrected for an exposure or an outcome told with error: published examples, hand calculation, known truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.domain.accuracy import Beta, Trapezoid
from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen, cox, logistic
from cohort.estimate.drawn_accuracy import Pair, quantile_of
from cohort.estimate.misclassification import corrected_cells, corrected_ratio, log_ratio
from cohort.estimate.misclassified_records import corrected_estimates

SMOKING = [[215, 668], [1449, 4296]]  # and breast cancer, Fink and Lash 2003
CHU = [[126, 71], [92, 224]]  # smoking and lung cancer, Chu et al. 2006
DEATHS = [[4558, 46305], [3428, 46085]]  # sex and death from infarction, Lash, Fox and Fink 2009
FOX = [[40, 60], [20, 80]]  # the example of Fox, MacLehose and Lash 2023
RESIN = [[45, 257], [94, 945]]  # and lung cancer, Greenland and Fox et al. 2005
VALUES = ["estimate", "conf_low", "conf_high", "std_error"]


def read(found, correction):
    return found.frame[found.frame["correction"] == correction].iloc[0]


@pytest.mark.parametrize(
    ("table", "options", "expected"),
    [
        # As R's episensr prints them to four digits in its tests: estimate, and limits where it has them.
        (SMOKING, {"sensitivity": 0.78, "specificity": 0.99}, (0.9491, 0.7896, 1.1408)),
        (SMOKING, {"sensitivity": 0.78, "specificity": 0.99, "measure": "risk_ratio"}, (0.9614,)),
        (SMOKING, {"sensitivity": (0.13, 0.78), "specificity": (0.91, 1.0)}, (237.0529,)),
        (SMOKING, {"sensitivity": (0.13, 0.78), "specificity": (0.91, 1.0), "measure": "risk_ratio"}, (82.2725,)),
        (CHU, {"sensitivity": 0.94, "specificity": 0.97}, (5.0245, 3.2825, 7.6909)),
        (DEATHS, {"sensitivity": 0.53, "specificity": 0.99, "misclassified": "outcome"}, (1.4062,)),
        (DEATHS, {"sensitivity": 0.53, "specificity": 0.99, "misclassified": "outcome", "measure": "risk_ratio"},
         (1.3440,)),
        (DEATHS, {"sensitivity": (0.78, 0.75), "specificity": (0.92, 0.97), "misclassified": "outcome"}, (0.2416,)),
        (DEATHS, {"sensitivity": (0.78, 0.75), "specificity": (0.92, 0.97), "misclassified": "outcome",
                  "measure": "risk_ratio"}, (0.2520,)),
    ],
)  # fmt: skip
def test_published_corrections(table, options, expected):
    row = read(corrected_ratio(table, **options), "corrected")
    ours = row[["estimate", "conf_low", "conf_high"]].tolist()[: len(expected)]
    assert ours == pytest.approx(expected, abs=1.1e-4)


@pytest.mark.parametrize(
    ("table", "options", "accuracy_alone", "both"),
    [
        # Fox, MacLehose and Lash 2023 as episensr's tests reproduce it: a million draws
        (FOX, {"sensitivity": (Beta(25, 3), Beta(45, 7)),
               "specificity": (Trapezoid(0.9, 0.93, 0.97, 1.0), Trapezoid(0.8, 0.83, 0.87, 0.9))},
         (4.1753, 3.3127, 8.5107), (4.3618, 1.8721, 14.8008)),
        (FOX, {"sensitivity": (Beta(254, 24), Trapezoid(0.94, 0.96, 0.98, 1.0)), "misclassified": "outcome",
               "specificity": (Beta(450, 67), Trapezoid(0.9, 0.92, 0.93, 0.95))},
         (3.2446, 2.9278, 3.6446), (3.2929, 1.3890, 8.7248)),
        (SMOKING, {"sensitivity": Beta(50.6, 14.3), "specificity": Beta(70, 1)},
         (0.9490, 0.9278, 0.9525), (0.9472, 0.7796, 1.1402)),
        (RESIN, {"sensitivity": Beta(908, 16), "specificity": Beta(153, 6)}, None, (1.8929, 1.2356, 2.9299)),
    ],
)  # fmt: skip
def test_published_probabilistic_corrections(table, options, accuracy_alone, both):
    """Over accuracies the method is the same, so are the percentiles but for the draws: 3 %.

    With patients it is not: we draw the recorded patients again, they the prevalence behind the corrected table and a
    normal error. The middle agrees; our upper limit lies up to a fifth further out where the table is small.
    """
    found = corrected_ratio(table, draws=40_000, seed=2, **options)
    if accuracy_alone is not None:
        ours = read(found, "accuracy drawn")[["estimate", "conf_low", "conf_high"]].tolist()
        assert ours == pytest.approx(accuracy_alone, rel=0.03)
    ours = read(found, "accuracy and patients drawn")
    assert ours["estimate"] == pytest.approx(both[0], rel=0.02)
    assert ours["conf_low"] == pytest.approx(both[1], rel=0.04)
    assert both[2] * 0.97 < ours["conf_high"] < both[2] * 1.25


def test_a_table_by_hand():
    """50 of 100 with the event and 30 of 200 without recorded as exposed; sensitivity 0.8, specificity 0.95.

    True exposed with the event: (50 - 0.05 x 100) / 0.75 = 60; without: (30 - 0.05 x 200) / 0.75 = 26.667.
    """
    row = read(corrected_ratio([[50, 30], [50, 170]], sensitivity=0.8, specificity=0.95), "corrected")
    cells = row[["exposed_events", "exposed_free", "unexposed_events", "unexposed_free"]].tolist()
    assert cells == pytest.approx([60, 80 / 3, 40, 200 - 80 / 3])
    assert row["estimate"] == pytest.approx(60 * (200 - 80 / 3) / (80 / 3 * 40))


def test_perfect_accuracy_is_the_odds_ratio_of_logistic_regression_and_woolfs_error():
    found = corrected_ratio(RESIN, sensitivity=1.0, specificity=1.0)
    one, same = read(found, "as recorded"), read(found, "corrected")
    assert one[VALUES].tolist() == same[VALUES].tolist()
    assert one["std_error"] == pytest.approx(np.sqrt(sum(1 / cell for row in RESIN for cell in row)), rel=1e-12)
    (a, b), (c, d) = RESIN
    risks = read(corrected_ratio(RESIN, sensitivity=1.0, specificity=1.0, measure="risk_ratio"), "as recorded")
    assert risks["std_error"] == pytest.approx(np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)), rel=1e-12)


@pytest.mark.parametrize("measure", ["odds_ratio", "risk_ratio"])
@pytest.mark.parametrize("misclassified", ["exposure", "outcome"])
def test_the_error_is_the_derivative_by_each_patient(measure, misclassified):
    """One more of a cell, numerically, against the analytic slope; differential accuracies."""
    cells, step = np.array([[45.0, 257.0, 94.0, 945.0]]), 1e-4
    se, sp = np.array([[0.9, 0.8]]), np.array([[0.98, 0.95]])

    def value(of):
        return log_ratio(corrected_cells(of, se, sp, misclassified)[0], measure)[0][0]

    numerical = [(value(cells + step * one) - value(cells - step * one)) / (2 * step) for one in np.eye(4)]
    true, slopes = corrected_cells(cells, se, sp, misclassified)
    np.testing.assert_allclose((log_ratio(true, measure)[1] @ slopes[0]).ravel(), numerical, rtol=1e-6)
    table = cells.reshape(2, 2).astype(int)
    row = corrected_ratio(table, sensitivity=(0.9, 0.8), specificity=(0.98, 0.95), misclassified=misclassified,
                          measure=measure)  # fmt: skip
    assert read(row, "corrected")["std_error"] == pytest.approx(np.sqrt((cells @ np.square(numerical))[0]), rel=1e-6)


def cohort(n=3000, seed=5, per_patient=1):
    """Vertebrae: a true cleft, its record (sensitivity 0.64, specificity 0.95), a refracture with odds ratio 2.4."""
    rng = np.random.default_rng(seed)
    patient = np.arange(n) // per_patient
    cleft = rng.random(n) < 0.35
    broke = rng.random(n) < np.where(cleft, 0.25, 0.12)
    film = np.where(cleft, rng.random(n) < 0.64, rng.random(n) < 0.05)
    return pd.DataFrame(
        {"unit": np.arange(n), "patient": patient, "cleft": cleft * 1, "film": film * 1, "broke": broke * 1}
    )


def test_rows_are_their_table_and_missing_ones_are_counted():
    d = cohort()
    table = pd.crosstab(d["film"], d["broke"]).loc[[1, 0], [1, 0]].to_numpy()
    options = {"sensitivity": Beta(64, 36), "specificity": Beta(190, 10), "draws": 2000}
    one = corrected_ratio(table, **options).frame
    holes = pd.concat([d, d.assign(film=np.nan)[:10]])
    found = corrected_ratio(holes, exposure="film", outcome="broke", **options)
    np.testing.assert_allclose(found.frame[VALUES], one[VALUES], rtol=1e-9)
    assert found.settings["rows_left_out"] == 10
    assert found.frame["n_patients"].iloc[0] == len(d)


def test_the_truth_is_found_where_the_record_dilutes_it():
    d = cohort()
    found = corrected_ratio(d, exposure="film", outcome="broke", sensitivity=0.64, specificity=0.95, draws=1000, seed=1)
    true = read(corrected_ratio(d, exposure="cleft", outcome="broke", sensitivity=1.0, specificity=1.0), "as recorded")
    truth = (0.25 / 0.75) / (0.12 / 0.88)
    assert read(found, "as recorded")["estimate"] < 0.85 * truth
    for name in ("corrected", "accuracy and patients drawn"):
        assert read(found, name)["conf_low"] < truth < read(found, name)["conf_high"]
        assert read(found, name)["std_error"] > true["std_error"]
    # With accuracies as given nothing but patients is drawn, so both errors say the same.
    drawn = read(found, "accuracy and patients drawn")["std_error"]
    assert drawn == pytest.approx(read(found, "corrected")["std_error"], rel=0.1)
    assert read(found, "accuracy drawn")["std_error"] == pytest.approx(0, abs=1e-12)


def test_order_copies_clusters_and_frequencies():
    d = cohort(600, per_patient=3)
    options = {"exposure": "film", "outcome": "broke", "cluster": "patient", "sensitivity": 0.7, "specificity": 0.97}
    drawn = options | {"draws": 500}
    whole = corrected_ratio(d, **drawn).frame
    np.testing.assert_allclose(
        corrected_ratio(d.sample(frac=1, random_state=2), **drawn).frame[VALUES], whole[VALUES], rtol=1e-9
    )
    copies = pd.concat([d.assign(patient=d["patient"] + 1000 * k) for k in range(4)])
    many = corrected_ratio(copies, **options).frame
    np.testing.assert_allclose(many["std_error"] * 2, whole["std_error"][:2], rtol=1e-9)
    counted = corrected_ratio(d.assign(w=4), weight="w", weight_kind="frequency", **options).frame
    np.testing.assert_allclose(counted[[*VALUES, "n_patients", "n_events"]], many[[*VALUES, "n_patients", "n_events"]])
    doubled = pd.concat([d, d])  # each vertebra twice in its patient: nothing more is known
    np.testing.assert_allclose(corrected_ratio(doubled, **options).frame[VALUES], whole[VALUES][:2], rtol=1e-9)
    alone = corrected_ratio(doubled, **options | {"cluster": None}).frame
    assert (alone["std_error"] < whole["std_error"][:2]).all()


def test_limits_are_from_t_where_a_patient_brings_several_vertebrae():
    d = cohort(240, per_patient=3)
    options = {"exposure": "film", "outcome": "broke", "sensitivity": 0.7, "specificity": 0.97, "cluster": "patient"}
    row = read(corrected_ratio(d, **options), "corrected")
    assert row["df"] == d[d["broke"] == 1]["patient"].nunique() - 1
    reach = stats.t.ppf(0.975, row["df"]) * row["std_error"]
    assert row["conf_high"] == pytest.approx(np.exp(row["coef"] + reach), rel=1e-12)
    normal = corrected_ratio(d, small_sample="none", **options).frame
    assert "df" not in normal
    assert normal["conf_high"].iloc[1] < row["conf_high"]


def test_a_clustered_error_is_the_jackknife_over_patients():
    d = cohort(240, per_patient=3)
    options = {"exposure": "film", "outcome": "broke", "sensitivity": 0.7, "specificity": 0.97}
    error = read(corrected_ratio(d, cluster="patient", **options), "corrected")["std_error"]
    left_out = [
        read(corrected_ratio(d[d["patient"] != p], **options), "corrected")["coef"] for p in d["patient"].unique()
    ]
    jackknife = np.sqrt(((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    assert error == pytest.approx(jackknife, rel=0.06)


def test_an_impossible_table_says_why():
    found = corrected_ratio([[5, 4], [195, 96]], sensitivity=0.8, specificity=0.9)
    row = read(found, "corrected")
    assert np.isnan(row["estimate"])
    assert row["exposed_events"] < 0
    assert "2.5% of those with the event are recorded as exposed" in row["note"]
    assert "between 10.0% and 80.0%" in row["note"]
    too_many = read(corrected_ratio([[190, 40], [10, 60]], sensitivity=0.8, specificity=0.99), "corrected")
    assert "95.0% of those with the event" in too_many["note"]


def test_impossible_draws_are_left_out_and_counted():
    table = [[12, 20], [88, 180]]  # 12 % of the events, about as many as the false positives
    found = corrected_ratio(table, sensitivity=0.8, specificity=Trapezoid(0.85, 0.85, 0.95, 0.95), draws=2000)
    row = read(found, "accuracy drawn")
    assert row["n_draws"] + row["n_impossible"] == 2000
    assert 0 < row["n_impossible"] < 2000
    # flat between 0.85 and 0.95: 12 % recorded needs more than 0.88, and 10 % of the others more than 0.90
    assert row["n_impossible"] == pytest.approx(1000, rel=0.1)
    assert "left out" in row["note"]
    never = corrected_ratio(
        [[1, 20], [99, 180]], sensitivity=0.8, specificity=Trapezoid(0.85, 0.85, 0.9, 0.9), draws=200
    )
    assert np.isnan(read(never, "accuracy drawn")["estimate"])
    assert "contradict" in read(never, "accuracy drawn")["note"]


def test_empty_cells_and_no_events_have_words():
    zero = corrected_ratio([[0, 20], [10, 180]], sensitivity=0.9, specificity=1.0, draws=200)
    row = read(zero, "corrected")
    assert row["estimate"] == 0
    assert np.isnan(row["conf_low"])
    assert "nobody in exposed_events" in row["note"]
    none = corrected_ratio([[0, 20], [0, 180]], sensitivity=0.9, specificity=1.0)
    assert none.frame["estimate"].isna().all()
    assert none.frame["note"].str.contains("nobody in exposed_events, unexposed_events").all()
    single = cohort(3, per_patient=3)
    found = corrected_ratio(single, exposure="film", outcome="broke", cluster="patient", sensitivity=0.9,
                            specificity=1.0)  # fmt: skip
    assert found.frame["std_error"].isna().all()


def test_few_events_are_said():
    assert (
        "only 5 events" in corrected_ratio([[3, 30], [2, 90]], sensitivity=0.9, specificity=1.0).frame["note"].iloc[0]
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sensitivity": 1.2, "specificity": 0.9}, "between 0 and 1"),
        ({"sensitivity": (0.9, 0.8, 0.7), "specificity": 0.9}, "two of them"),
        ({"sensitivity": Beta(0, 3), "specificity": 0.9}, "greater than zero"),
        ({"sensitivity": Trapezoid(0.5, 0.4, 0.8, 0.9), "specificity": 0.9}, "in their order"),
        ({"sensitivity": 0.3, "specificity": 0.6}, "says nothing"),
        ({"sensitivity": 0.9, "specificity": 0.9, "draws": 10}, "at least 100"),
        ({"sensitivity": 0.9, "specificity": 0.9, "misclassified": "age"}, "exposure or outcome"),
        ({"sensitivity": 0.9, "specificity": 0.9, "measure": "rate"}, "odds_ratio or risk_ratio"),
        ({"sensitivity": 0.9, "specificity": 0.9, "correlation": 2.0}, "between -1 and 1"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    with pytest.raises(EstimationError, match=words):
        corrected_ratio(RESIN, **options)


def test_tables_that_are_none_are_refused():
    accuracy = {"sensitivity": 0.9, "specificity": 0.9}
    for table, words in (([[1, 2, 3]], "A table is"), ([[1.5, 2], [3, 4]], "whole numbers"), ([[-1, 2], [3, 4]], "is")):
        with pytest.raises(EstimationError, match=words):
            corrected_ratio(table, **accuracy)
    with pytest.raises(EstimationError, match="Name the columns"):
        corrected_ratio(cohort(10), exposure="film", **accuracy)


def test_distributions_have_their_quantiles_and_move_together_as_told():
    u = (np.arange(20_000) + 0.5) / 20_000
    beta = quantile_of(Beta(25, 3), u)
    assert beta.mean() == pytest.approx(25 / 28, abs=1e-4)
    trapezoid = quantile_of(Trapezoid(0.8, 0.83, 0.87, 0.9), u)
    assert trapezoid.mean() == pytest.approx(0.85, abs=1e-4)
    share_in_the_middle = ((trapezoid > 0.83) & (trapezoid < 0.87)).mean()
    assert share_in_the_middle == pytest.approx(0.04 / 0.07, abs=1e-3)
    assert quantile_of(Trapezoid(0.5, 0.5, 0.5, 0.5), u[:2]).tolist() == [0.5, 0.5]
    flat = quantile_of(Trapezoid(0.14, 0.14, 0.64, 0.64), u)
    np.testing.assert_allclose(flat, 0.14 + 0.5 * u, rtol=1e-12)
    rng = np.random.default_rng(1)
    differential = Pair.of((Beta(25, 3), Beta(45, 7)), "sensitivity").draw(rng, 20_000, 0.8)
    ranks = pd.DataFrame(differential).corr(method="spearman").iloc[0, 1]
    assert ranks == pytest.approx(6 / np.pi * np.arcsin(0.8 / 2), abs=0.02)  # of normal scores correlated by 0.8
    same = Pair.of(Beta(25, 3), "sensitivity").draw(rng, 100, 0.8)
    assert (same[:, 0] == same[:, 1]).all()


# Records told again


def logistic_of(rows):
    return logistic(rows, outcome="broke", covariates=["film"])


def test_records_told_again_are_the_corrected_table():
    """Nothing but exposure and outcome: both methods estimate the same ratio with about the same error."""
    d = cohort(1500)
    options = {"sensitivity": Beta(64, 36), "specificity": Beta(190, 10)}
    table = corrected_ratio(d, exposure="film", outcome="broke", draws=4000, **options)
    again = corrected_estimates(logistic_of, d, exposure="film", event="broke", id="unit", draws=150, **options)
    row = again.frame[again.frame["term"] == "film"].iloc[0]
    both, recorded = read(table, "accuracy and patients drawn"), read(table, "as recorded")
    assert row["coef"] == pytest.approx(both["coef"], abs=0.05)
    assert row["std_error"] == pytest.approx(both["std_error"], rel=0.2)
    assert row["recorded_estimate"] == pytest.approx(recorded["estimate"], rel=1e-9)
    assert row["conf_low"] < row["accuracy_low"] < row["estimate"] < row["accuracy_high"] < row["conf_high"]
    assert again.settings["draws"] == 150


def test_with_perfect_accuracy_every_draw_is_the_record():
    d = cohort(300)
    again = corrected_estimates(
        logistic_of, d, exposure="film", event="broke", id="unit", sensitivity=1.0, specificity=1.0, draws=60
    ).frame
    plain = logistic_of(d).frame
    np.testing.assert_allclose(again["estimate"], plain["estimate"], rtol=1e-9)
    np.testing.assert_allclose(again["std_error"], plain["std_error"], rtol=1e-9)
    np.testing.assert_allclose(again["accuracy_low"], plain["estimate"], rtol=1e-9)


def days(n=500, seed=2):
    """Vertebrae two to a patient, a true hazard ratio of 3, the exposure recorded with sensitivity 0.64."""
    rng = np.random.default_rng(seed)
    d = cohort(n, seed, per_patient=2)
    end = rng.exponential(np.where(d["cleft"] == 1, 400, 1200))
    stop = rng.uniform(100, 600, n)
    return d.assign(entry=0, exit=np.ceil(np.minimum(end, stop)), event=(end <= stop) * 1)


def cox_of(rows):
    return cox(rows, ["film"], exit="exit", event="event", entry="entry", id="unit", cluster="patient",
               small_sample="none")  # fmt: skip


OPTIONS = {"exposure": "film", "event": "event", "id": "unit", "cluster": "patient", "draws": 50, "sensitivity": 0.64,
           "specificity": 0.95}  # fmt: skip


def test_cox_with_the_exposure_told_again_moves_away_from_one_towards_the_truth():
    d = days(1200)
    row = corrected_estimates(cox_of, d, **OPTIONS).frame.iloc[0]
    true = cox(d, ["cleft"], exit="exit", event="event", cluster="patient").frame.iloc[0]
    assert row["recorded_estimate"] < row["estimate"]
    assert abs(row["coef"] - true["coef"]) < abs(np.log(row["recorded_estimate"]) - true["coef"])
    assert row["conf_low"] < 3 < row["conf_high"]


def test_splits_and_order_change_nothing():
    d = days(200)
    whole = corrected_estimates(cox_of, d, **OPTIONS).frame
    shuffled = corrected_estimates(cox_of, d.sample(frac=1, random_state=1), **OPTIONS).frame
    over = d["exit"] > 100
    split = pd.concat([d[over].assign(exit=100, event=0), d.assign(entry=np.where(over, 100, 0))])
    parts = corrected_estimates(cox_of, split, **OPTIONS).frame
    for other in (shuffled, parts):
        np.testing.assert_allclose(other[[*VALUES, "accuracy_low"]], whole[[*VALUES, "accuracy_low"]], rtol=1e-8)


def test_curves_have_no_logarithm_and_keep_their_rows():
    named = {"exit": "exit", "cause": "event", "id": "unit", "cluster": "patient"}

    def curves_of(rows):
        return aalen_johansen(rows, by="film", at=[300], **named)

    found = corrected_estimates(curves_of, days(600), **OPTIONS)
    assert found.frame["stratum"].tolist() == ["0", "0", "1", "1"]
    assert found.frame["estimate"].between(0, 1).all()
    assert "coef" not in found.frame


def test_predictive_values_within_strata_and_causes():
    d = days(400).assign(site=lambda d: d["patient"] % 2, cause=lambda d: d["event"] * (1 + d["unit"] % 2))
    found = corrected_estimates(cox_of, d, within="site", **OPTIONS | {"event": "cause", "of": 1})
    assert found.settings["within"] == "site"
    assert found.frame["n_draws"].iloc[0] + found.frame["n_impossible"].iloc[0] == 50
    with pytest.raises(EstimationError, match="differs between the rows of"):
        corrected_estimates(
            cox_of, pd.concat([d, d.assign(entry=d["exit"], exit=d["exit"] + 1, site=5)]), within="site", **OPTIONS
        )


def test_missing_records_stay_missing():
    d = days(200).assign(film=lambda d: np.where(d["unit"] < 20, np.nan, d["film"]))
    seen = []

    def watched(rows):
        seen.append(int(rows["film"].isna().sum()))
        return cox_of(rows)

    corrected_estimates(watched, d, **OPTIONS)
    assert set(seen) == {20}


def test_too_few_possible_draws_give_no_estimate():
    found = corrected_estimates(cox_of, days(200), **OPTIONS | {"draws": 40}).frame.iloc[0]
    assert 0 < found["n_draws"] < 40
    assert np.isnan(found["estimate"])
    assert "fewer than 40 draws with an estimate" in found["note"]


def test_impossible_records_are_counted_and_said():
    d = days(200).assign(film=lambda d: (d["unit"] % 25 == 0) * 1)  # 4 % recorded, 15 % false positives
    found = corrected_estimates(cox_of, d, **OPTIONS | {"specificity": 0.85}).frame.iloc[0]
    assert found["n_impossible"] == 50
    assert np.isnan(found["estimate"])
    assert "contradict" in found["note"]


def test_what_cannot_be_told_again_is_refused():
    d = days(60)
    with pytest.raises(EstimationError, match="at least 40"):
        corrected_estimates(cox_of, d, **OPTIONS | {"draws": 5})
    with pytest.raises(EstimationError, match="must hold 0 and 1"):
        corrected_estimates(cox_of, d.assign(film=d["film"] * 2), **OPTIONS)
    with pytest.raises(EstimationError, match="must hold 0 and 1"):
        corrected_estimates(cox_of, d.astype({"film": "category"}), **OPTIONS)
    split = pd.concat([d.assign(exit=5.0, event=0), d.assign(entry=5.0, exit=d["exit"] + 9, film=1 - d["film"])])
    with pytest.raises(EstimationError, match="'film' differs between the rows of 60 units"):
        corrected_estimates(cox_of, split, **OPTIONS)
    with pytest.raises(EstimationError, match="says nothing"):
        corrected_estimates(cox_of, d, **OPTIONS | {"sensitivity": 0.02})


def test_progress_is_told():
    told = []
    corrected_estimates(cox_of, days(60), progress=lambda done, of: told.append((done, of)), **OPTIONS)
    assert told[-1] == (50, 50)
