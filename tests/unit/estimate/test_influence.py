"""Who moves a coefficient, which rows the model misses, and how a ratio changes with time."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.influence import (
    influence,
    martingale_residuals,
    natural_spline,
    schoenfeld_residuals,
    schoenfeld_smooth,
)

ROWS = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}
TERMS = ["leak", "age"]


def test_squares_of_dfbeta_add_up_to_the_robust_variance(vertebra_rows):
    rows = vertebra_rows(1, n_patients=60)
    found = influence(rows, TERMS, **ROWS).frame
    total = found.assign(square=found["dfbeta"] ** 2).groupby("term", sort=False)["square"].sum()
    fitted = cox(rows, TERMS, small_sample="none", **ROWS).frame
    np.testing.assert_allclose(np.sqrt(total), fitted["std_error"], rtol=1e-10)
    np.testing.assert_allclose(found.groupby("term", sort=False)["dfbeta"].sum(), 0, atol=1e-12)


def test_a_cluster_without_events_or_weight_and_its_counts(vertebra_rows):
    rows = vertebra_rows(2, n_patients=60)
    found = influence(rows, ["leak"], **ROWS).frame.set_index("cluster")
    assert found["n_events"].to_dict() == rows.groupby("patient")["event"].sum().to_dict()
    assert found["n_units"].to_dict() == rows.groupby("patient")["unit"].nunique().to_dict()


def test_without_a_cluster_rows_are_named_by_their_index(vertebra_rows):
    rows = vertebra_rows(2).drop(columns="patient").set_index(pd.Index([f"r{k}" for k in range(len(vertebra_rows(2)))]))
    rows.loc["r3", "age"] = np.nan
    found = influence(rows, TERMS, entry="entry", exit="exit", event="event").frame
    assert found["cluster"].tolist() == [label for label in rows.index if label != "r3"] * 2


def test_the_step_points_where_leaving_the_patient_out_leads(vertebra_rows):
    rows = vertebra_rows(3, n_patients=80)
    found = influence(rows, ["leak"], **ROWS).frame
    most = found.loc[found["dfbeta"].abs().idxmax()]
    whole = cox(rows, ["leak"], **ROWS).frame["coef"].iloc[0]
    without = cox(rows[rows["patient"] != most["cluster"]], ["leak"], **ROWS).frame["coef"].iloc[0]
    assert most["dfbeta"] == pytest.approx(whole - without, rel=0.2)
    assert np.log(most["estimate_without"]) == pytest.approx(whole - most["dfbeta"], rel=1e-12)


def test_martingale_residuals_sum_to_zero_and_splits_add_up(vertebra_rows):
    rows = vertebra_rows(4)
    over = (rows["entry"] < 8) & (rows["exit"] > 8)
    split = pd.concat([rows[over].assign(exit=8.0, event=0), rows.assign(entry=np.where(over, 8.0, rows["entry"]))])
    whole = martingale_residuals(rows, TERMS, per="id", **ROWS).frame
    parts = martingale_residuals(split.sample(frac=1, random_state=1), TERMS, per="id", **ROWS).frame
    assert whole["martingale"].sum() == pytest.approx(0, abs=1e-10)
    assert parts["id"].tolist() == whole["id"].tolist()
    np.testing.assert_allclose(parts[["martingale", "deviance"]], whole[["martingale", "deviance"]], rtol=1e-8)
    np.testing.assert_allclose(whole["expected"] + whole["martingale"], whole["n_events"], atol=1e-12)


def test_a_model_that_says_nothing_expects_the_nelson_aalen_hazard():
    """Four events on days 1 to 4 and a covariate that is the same for all: expected are 1/4, 1/4 + 1/3, ..."""
    d = pd.DataFrame({"exit": [1, 2, 3, 4], "event": 1, "x": [0.0, 0.0, 0.0, 0.0]})
    found = martingale_residuals(d, ["x"], exit="exit", event="event").frame
    np.testing.assert_allclose(found["expected"], np.cumsum([1 / 4, 1 / 3, 1 / 2, 1]))
    m = 1 - 0.25
    assert found["deviance"].iloc[0] == pytest.approx(np.sqrt(-2 * (m + np.log(1 - m))))


def test_residuals_follow_the_index_and_leave_out_incomplete_rows(vertebra_rows):
    rows = vertebra_rows(5).astype({"age": float})
    rows.loc[4, "age"] = np.nan
    found = martingale_residuals(rows.sample(frac=1, random_state=2), TERMS, **ROWS).frame
    plain = martingale_residuals(rows, TERMS, **ROWS).frame
    assert 4 not in set(found["row"])
    np.testing.assert_allclose(
        found.set_index("row")["martingale"].sort_index(), plain.set_index("row")["martingale"], atol=1e-10
    )


def test_schoenfeld_residuals_sum_to_zero_and_the_scaled_average_is_the_coefficient(vertebra_rows):
    rows = vertebra_rows(6, n_patients=60)
    found = schoenfeld_residuals(rows, TERMS, **ROWS).frame.groupby("term", sort=False)
    fitted = cox(rows, TERMS, **ROWS).frame
    np.testing.assert_allclose(found["schoenfeld"].sum(), 0, atol=1e-9)
    np.testing.assert_allclose(found["scaled"].mean(), fitted["coef"], rtol=1e-8)


def test_a_straight_smooth_is_a_regression_on_time(vertebra_rows):
    rows = vertebra_rows(6, n_patients=60)
    points = schoenfeld_residuals(rows, ["leak"], transform="identity", **ROWS).frame
    slope, level = np.polyfit(points["transformed"], points["scaled"], 1)
    smooth = schoenfeld_smooth(rows, ["leak"], transform="identity", spline_df=2, **ROWS).frame
    np.testing.assert_allclose(smooth["coef"], level + slope * smooth["transformed"], rtol=1e-8)
    assert smooth["note"].str.contains("clusters are not allowed for").all()
    np.testing.assert_allclose(np.log(smooth["conf_high"]), smooth["coef"] + 1.959963984540054 * smooth["std_error"])


def test_the_smooth_follows_a_ratio_that_falls():
    rng = np.random.default_rng(2)
    leak = np.repeat([0, 1], 400)
    exit_ = np.where(leak == 1, rng.weibull(0.6, 800), rng.weibull(1.6, 800)) * 100 + 1
    d = pd.DataFrame({"exit": exit_, "event": 1, "leak": leak})
    smooth = schoenfeld_smooth(d, ["leak"], exit="exit", event="event").frame
    assert smooth["conf_low"].iloc[3] > 1 > smooth["conf_high"].iloc[-4]
    assert smooth["time"].is_monotonic_increasing


def test_a_natural_spline_is_straight_beyond_its_outer_knots():
    knots = np.array([0.0, 1.0, 2.0, 5.0])
    basis = natural_spline(np.array([-3.0, -2.0, -1.0, 6.0, 7.0, 8.0]), knots)
    assert basis.shape == (6, 4)
    np.testing.assert_allclose(basis[0] - 2 * basis[1] + basis[2], 0, atol=1e-12)
    np.testing.assert_allclose(basis[3] - 2 * basis[4] + basis[5], 0, atol=1e-12)


def test_no_event_one_event_and_one_patient_leave_words(vertebra_rows):
    rows = vertebra_rows(7)
    none = rows.assign(event=0)
    assert influence(none, TERMS, **ROWS).frame["note"].str.startswith("no event").all()
    assert martingale_residuals(none, TERMS, **ROWS).frame["note"].str.startswith("no event").all()
    assert len(schoenfeld_residuals(none, TERMS, **ROWS).frame) == 0
    assert schoenfeld_smooth(none, TERMS, **ROWS).frame["note"].str.startswith("no event").all()
    first = rows.index[(rows["entry"] == 0) & (rows["exit"] > 5)][0]
    one = rows.assign(event=(rows.index == first).astype(int))
    assert len(schoenfeld_residuals(one, ["age"], **ROWS).frame) == 1
    assert schoenfeld_smooth(one, ["age"], **ROWS).frame["note"].str.contains("too few for a smooth").all()
    alone = influence(rows.assign(patient=1), ["age"], **ROWS).frame
    assert alone["dfbeta"].iloc[0] == pytest.approx(0, abs=1e-12)


def test_terms_without_a_finite_coefficient_are_blank_and_the_rest_stands(vertebra_rows):
    rows = vertebra_rows(8, n_patients=60).assign(event=lambda d: d["event"] * d["leak"], same=1)
    terms = ["leak", "age", "same"]
    for frame, name in (
        (influence(rows, terms, **ROWS).frame, "dfbeta"),
        (schoenfeld_residuals(rows, terms, **ROWS).frame, "scaled"),
        (schoenfeld_smooth(rows, terms, **ROWS).frame, "coef"),
    ):
        blank = frame.groupby("term")[name].agg(lambda values: values.isna().all())
        assert blank.to_dict() == {"leak": True, "same": True, "age": False}
        assert frame.loc[frame["term"] == "leak", "note"].str.startswith("no finite coefficient").all()
    assert np.isfinite(martingale_residuals(rows, terms, **ROWS).frame["martingale"]).all()


def test_a_smooth_of_less_than_a_line_and_residuals_per_nothing_are_refused(vertebra_rows):
    with pytest.raises(EstimationError, match="straight line"):
        schoenfeld_smooth(vertebra_rows(1), ["leak"], spline_df=1, **ROWS)
    with pytest.raises(EstimationError, match="per must be"):
        martingale_residuals(vertebra_rows(1), ["leak"], per="patient", **ROWS)
