"""Splines against Hmisc's basis and knots, their hazard ratios and tests against coxph; the same algorithm: 1e-9."""

import numpy as np
import pandas as pd
import pytest

from cohort.estimate.splines import functional_form, restricted_cubic_spline, spline_knots, wald_test

SAME_ALGORITHM = 1e-9
CLUSTERED = {"entry": "entry", "exit": "exit", "event": "cause", "of": 1, "id": "unit", "cluster": "patient"}


@pytest.mark.parametrize("n_knots", [3, 4, 5, 6, 7])
def test_default_knots_are_harrells(n_knots, outputs, data, agree):
    age = data("lung")["age"].to_numpy(float)
    agree(spline_knots(age, n_knots), outputs("splines")[f"knots_lung_{n_knots}"], 1e-12)


def test_few_values_have_their_outer_knots_at_the_fifth(outputs, data, agree):
    agree(spline_knots(data("lung")["age"].to_numpy(float)[:60], 4), outputs("splines")["knots_few"], 1e-12)


def test_the_basis_is_that_of_rcspline_eval(outputs, data, agree):
    gold = outputs("splines")
    age = data("lung")["age"].to_numpy(float)
    columns, _ = restricted_cubic_spline(age[:10], knots=gold["knots_lung_5"])
    np.testing.assert_allclose(columns, gold["basis_lung_5"], rtol=1e-10, atol=1e-10)


CASES = {
    "clustered": ("clustered", "age", ["leak"], CLUSTERED | {"knots": 4}),
    "clustered_breslow": ("clustered", "age", ["leak"], CLUSTERED | {"ties": "breslow", "reference": 74}),
    "clustered_weight": ("clustered", "age", ["leak"], CLUSTERED | {"weight": "w", "reference": 74}),
    "clustered_strata": (
        "clustered",
        "age",
        ["leak"],
        CLUSTERED | {"strata": "site", "reference": 74, "knots": [60, 72, 85]},
    ),
    "lung": ("lung", "age", ["sex"], {"exit": "time", "event": "event", "knots": 5, "reference": 60}),
}


@pytest.mark.parametrize("name", list(CASES))
def test_hazard_ratios_along_the_spline_and_their_tests_are_those_of_coxph(name, outputs, data, agree):
    source, covariate, adjust, options = CASES[name]
    gold = outputs("splines")[name]
    ours = functional_form(data(source), covariate, adjust=adjust, at=gold["at"], **options)
    assert ours.settings["knots"] == pytest.approx(gold["knots"], rel=1e-12)
    assert ours.settings["reference_value"] == gold["reference"]
    along = ours.frame[ours.frame["measure"] == "hazard_ratio"]
    elsewhere = along["value"].to_numpy() != gold["reference"]
    agree(along["coef"], gold["coef"], SAME_ALGORITHM, "log hazard ratio")
    agree(along["naive_std_error"], gold["se_naive"], SAME_ALGORITHM, "naive SE")
    agree(along["std_error"][elsewhere], np.array(gold["se"])[elsewhere], SAME_ALGORITHM, "SE")
    for row, key in zip(ours.frame.iloc[-2:].itertuples(), ("any", "bent"), strict=True):
        agree([row.statistic, row.df, row.p_value], list(gold[key].values()), 1e-8, row.term)


def test_a_covariate_of_three_categories_is_tested_as_one(outputs, data, agree):
    rows = data("clustered")
    found = np.array(["no", "not_assessable", "yes"], dtype=object)[(rows["unit"].to_numpy() * 7) % 3]
    rows["risk"] = pd.Categorical(found, ["no", "not_assessable", "yes"])
    ours = wald_test(rows, ["risk", "leak", "age"], **CLUSTERED).frame.set_index("term")
    for term, gold in outputs("splines")["categories"].items():
        agree(ours.loc[term, ["statistic", "df", "p_value"]].to_numpy(float), list(gold.values()), SAME_ALGORITHM, term)
