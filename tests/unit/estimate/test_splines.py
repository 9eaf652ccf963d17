"""Splines: straight outside the outer knots, tested for bending, and said where they cannot be fitted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.splines import (
    functional_form,
    restricted_cubic_spline,
    spline_knots,
    wald_statistic,
    wald_test,
)

FEW = settings(max_examples=15, deadline=None)
ROWS = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}


def form(rows, **options):
    return functional_form(rows, "age", **({"adjust": ["leak"], "at": [65, 75, 85]} | ROWS | options))


def wald_rows(result):
    return result.frame[result.frame["measure"] == "wald_test"].set_index("term")


def test_a_spline_is_straight_beyond_its_outer_knots_and_smooth_within():
    x = np.linspace(0, 100, 2001)
    columns, knots = restricted_cubic_spline(x, knots=[20, 45, 60, 80])
    assert columns.shape == (2001, 3)
    np.testing.assert_array_equal(columns[:, 0], x)
    second = np.diff(columns, 2, axis=0)
    outside = (x[1:-1] < 19.9) | (x[1:-1] > 80.1)
    assert np.abs(second[outside]).max() < 1e-9
    assert np.abs(second[~outside][:, 1:]).max() > 1e-6
    assert np.abs(np.diff(second, axis=0)).max() < 1e-5  # no kink: the second derivative does not jump
    assert knots.tolist() == [20, 45, 60, 80]


def test_many_equal_values_are_refused_where_knots_would_fall_together():
    with pytest.raises(EstimationError, match="fall together"):
        spline_knots(np.repeat([0.0, 1.0], 60), 4)


@pytest.mark.parametrize("knots", [[1, 2], [1, 1, 2], [3, 2, 1], [1, np.nan, 3]])
def test_knots_must_be_three_or_more_and_rise(knots):
    with pytest.raises(EstimationError, match="three knots"):
        restricted_cubic_spline(np.arange(10.0), knots=knots)


def test_the_number_of_knots_and_of_values_has_bounds():
    with pytest.raises(EstimationError, match="3 to 7 knots"):
        spline_knots(np.arange(50.0), 8)
    with pytest.raises(EstimationError, match="too few"):
        spline_knots(np.arange(9.0), 3)


def test_a_wald_test_of_one_coefficient_is_the_square_of_its_z(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40)
    single = cox(rows, ["leak", "age"], small_sample="none", **ROWS).frame.set_index("term")
    tests = wald_test(rows, ["leak", "age"], **ROWS).frame.set_index("term")
    for term in ("leak", "age"):
        assert tests["statistic"][term] == pytest.approx(single["statistic"][term] ** 2, rel=1e-10)
        assert tests["p_value"][term] == pytest.approx(single["p_value"][term], rel=1e-8)
    assert tests["df"]["GLOBAL"] == 2


def test_a_wald_test_does_not_depend_on_which_category_is_the_reference(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40)
    grade = np.array(["mild", "moderate", "severe"], dtype=object)[rows["unit"] % 3]
    statistics = [
        wald_test(
            rows.assign(grade=pd.Categorical(grade, order)), ["grade", "age"], test=["grade"], **ROWS
        ).frame["statistic"].iloc[0]
        for order in (["mild", "moderate", "severe"], ["severe", "mild", "moderate"])
    ]  # fmt: skip
    assert statistics[0] == pytest.approx(statistics[1], rel=1e-9)


def test_more_coefficients_than_clusters_have_no_test():
    statistic, df, p = wald_statistic(np.array([1.0, 2.0]), np.array([[1.0, 2.0], [2.0, 4.0]]))
    assert np.isnan(statistic)
    assert df == 2
    assert np.isnan(p)


def test_two_clusters_cannot_test_three_coefficients(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40).assign(patient=lambda d: d["patient"] % 2)
    found = wald_rows(form(rows)).iloc[0]
    assert np.isnan(found["statistic"])
    assert "more coefficients than the clusters can test" in found["note"]


def test_at_the_reference_the_hazard_ratio_is_one_without_limits(vertebra_rows):
    found = form(vertebra_rows(4, n_patients=40), reference=75).frame.iloc[1]
    assert found["estimate"] == 1
    assert np.isnan(found["std_error"])
    assert found["note"].startswith("the reference")


def test_the_ratio_of_two_hazard_ratios_does_not_depend_on_the_reference(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40)
    one, other = form(rows, reference=70).frame, form(rows, reference=80).frame
    assert one["coef"][2] - one["coef"][0] == pytest.approx(other["coef"][2] - other["coef"][0], rel=1e-9)
    np.testing.assert_allclose(
        wald_rows(form(rows, reference=70))["statistic"], other["statistic"].iloc[-2:], rtol=1e-9
    )


def test_a_hazard_that_is_lowest_in_the_middle_is_found_to_bend():
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 2000)
    time = rng.exponential(1 / np.exp(x**2 - 1)) * 300 + 1
    rows = pd.DataFrame({"x": x, "exit": np.ceil(np.minimum(time, 365)), "event": (time < 365).astype(int)})
    found = functional_form(rows, "x", exit="exit", event="event", reference=0, at=[-1.5, 0, 1.5])
    assert (found.frame["conf_low"].iloc[[0, 2]] > 1).all()
    assert (wald_rows(found)["p_value"] < 1e-10).all()


def test_a_straight_effect_is_seldom_found_to_bend():
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.normal(0, 1, 300)
        rows = pd.DataFrame({"x": x, "exit": rng.exponential(np.exp(-0.5 * x)), "event": 1})
        found.append(wald_rows(functional_form(rows, "x", exit="exit", event="event"))["p_value"].iloc[1])
    assert np.mean(np.array(found) < 0.05) <= 0.15


@FEW
@given(seed=st.integers(0, 10_000))
def test_order_and_splits_change_nothing(vertebra_rows, seed):
    """Knots, median and grid are those of the units: a row cut in two counts once."""
    rows = vertebra_rows(seed, n_patients=40)
    over = (rows["entry"] < 8) & (rows["exit"] > 8)
    split = pd.concat(
        [rows[over].assign(exit=8.0, event=0), rows.assign(entry=np.where(over, 8.0, rows["entry"]))]
    ).sample(frac=1, random_state=seed)
    whole, parts = form(rows, at=None), form(split, at=None)
    assert parts.settings["knots"] == whole.settings["knots"]
    for name in ("value", "estimate", "std_error", "statistic"):
        np.testing.assert_allclose(parts.frame[name], whole.frame[name], rtol=1e-6, atol=1e-9)


def test_copies_of_every_patient_divide_the_error_by_the_root_of_their_number(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40)
    options = {"ties": "breslow", "knots": [65, 75, 85], "reference": 70}
    apart = pd.concat([rows, rows.assign(unit=rows["unit"] + 1000, patient=rows["patient"] + 1000)])
    one, two = form(rows, **options).frame, form(apart, **options).frame
    np.testing.assert_allclose(two["std_error"] * np.sqrt(2), one["std_error"], rtol=1e-7)
    np.testing.assert_allclose(two["statistic"], 2 * one["statistic"], rtol=1e-7)


def test_a_row_of_frequency_three_is_three_rows_also_for_the_knots(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40).assign(w=lambda d: 1 + d["unit"] % 3)
    repeated = rows.loc[rows.index.repeat(rows["w"])]
    plain = {"id": None, "cluster": None}
    one, many = form(rows, weight="w", weight_kind="frequency", **plain), form(repeated, **plain)
    assert one.settings["knots"] == pytest.approx(many.settings["knots"])
    np.testing.assert_allclose(one.frame["estimate"], many.frame["estimate"], rtol=1e-8)
    np.testing.assert_allclose(one.frame["std_error"], many.frame["std_error"], rtol=1e-8)


def test_without_an_event_every_row_stays_and_says_so(vertebra_rows):
    found = form(vertebra_rows(4).assign(event=0)).frame
    assert len(found) == 5
    assert found["estimate"].isna().all()
    assert found["note"].str.contains("no event: nothing can be estimated").all()


def test_one_event_is_said(vertebra_rows):
    rows = vertebra_rows(4).assign(event=lambda d: (d["unit"] == 5).astype(int))
    assert form(rows).frame["note"].str.contains("only 1 event").all()


def test_a_value_beyond_those_observed_is_said(vertebra_rows):
    found = form(vertebra_rows(4, n_patients=40), at=[75, 150]).frame
    assert "lies outside the observed" in found["note"].iloc[1]
    assert "lies outside" not in found["note"].iloc[0]


def test_missing_values_are_left_out_and_counted(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40)
    rows.loc[[0, 1, 2], "age"] = np.nan
    found = form(rows)
    assert found.settings["rows_missing"] == {"age": 3, "leak": 0}
    assert found.frame["n_units"].iloc[0] == len(rows) - 3


def test_what_has_no_form_is_refused(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40)
    with pytest.raises(EstimationError, match="take it out"):
        functional_form(rows, "age", adjust=["age"], **ROWS)
    with pytest.raises(EstimationError, match="fall together"):
        functional_form(rows, "leak", **ROWS)
    cleft = pd.Categorical(np.array(["no", "yes"])[rows["leak"]])
    with pytest.raises(EstimationError, match="must hold numbers"):
        functional_form(rows.assign(cleft=cleft), "cleft", **ROWS)
    with pytest.raises(EstimationError, match="without missing"):
        form(rows, at=[np.nan])
    with pytest.raises(EstimationError, match="no covariate of the model"):
        wald_test(rows, ["age"], test=["leak"], **ROWS)
    with pytest.raises(EstimationError, match="ties"):
        form(rows, ties="exact")


def test_a_separating_covariate_has_no_wald_test(vertebra_rows):
    rows = vertebra_rows(4, n_patients=40).assign(event=lambda d: d["event"] * d["leak"])
    found = wald_test(rows, ["leak", "age"], **ROWS).frame.set_index("term")
    assert np.isnan(found["statistic"]["leak"])
    assert "no finite estimate" in found["note"]["leak"]
    assert np.isfinite(found["statistic"]["age"])
