"""Chained equations against R's mice, on average over many draws; Rubin's rules exactly.

Two programs do not draw the same values. Their pooled results agree within the Monte Carlo error of both, which the
variance between their draws gives.
"""

import numpy as np
import pandas as pd
import pytest

from cohort.estimate.cox import cox
from cohort.estimate.imputation import impute
from cohort.estimate.imputation_models import hazard_over
from cohort.estimate.pooling import pool
from cohort.estimate.rubin import rubin
from cohort.tables.results import Estimates

SAME_ALGORITHM = 1e-9
DRAWS, DRAWS_IN_R = 100, 300
COVARIATES = ["age", "lbili", "female", "edema"]
TERMS = ["age", "lbili", "female", "edema=0.5", "edema=1.0"]


def with_holes(data, categories=True):
    """The holes of imputation.R, by the same arithmetic."""
    d = data("pbc").rename(columns={"sexf": "female"})
    d["event"] = (d["status"] == 2).astype(int)
    event, number = d["event"], d["id"]
    d["lbili"] = d["lbili"].where((number * 37) % 101 >= 20 + 20 * event)
    d["female"] = d["female"].where((number * 53) % 97 >= 30).astype(float)
    if categories:
        d["edema"] = d["edema"].where((number * 29) % 89 >= 15 + 15 * event)
    return d[["time", "event", "age", "albumin", "lbili", "female"]].assign(edema=pd.Categorical(d["edema"]))


def fit(rows):
    return cox(rows, COVARIATES, exit="time", event="event")


def drawn_coefficients(rows, columns, **options):
    """Coefficients and variances of each completed data set (m, p)."""
    beside = [name for name in ("age", "albumin", "edema") if name not in columns]
    outcome = {"exit": "time", "event": "event"}
    drawn = impute(rows, columns, predictors=beside, draws=DRAWS, iterations=5, seed=1, **outcome, **options)
    fits = [fit(frame).frame.set_index("term").loc[TERMS] for frame in drawn]
    return np.array([one["coef"] for one in fits]), np.array([one["std_error"] ** 2 for one in fits])


def test_the_holes_are_those_of_the_script(data, outputs, agree):
    complete, gold = fit(with_holes(data)), outputs("imputation")["complete_case"]
    assert complete.frame["n_units"].iloc[0] == gold["n"]
    agree(complete.frame["coef"], gold["coef"], 1e-7)  # coxph stops when the likelihood moves by 1e-9


def test_the_cumulative_hazard_is_that_of_mice(data, outputs, agree):
    rows = with_holes(data)
    event, never = rows["event"].to_numpy() == 1, np.full(len(rows), -np.inf)
    ours = hazard_over(rows["time"].to_numpy(float), event, never, np.ones(len(rows)))
    # mice reads it off coxph(), where two deaths on one day happen one after the other.
    agree(ours[::8], outputs("imputation")["hazard"], 2e-3)


@pytest.mark.parametrize("numeric", ["pmm", "normal"])
def test_pooled_hazard_ratios_are_those_of_mice(numeric, data, outputs):
    """A number and a binary column, both more often missing after an event."""
    gold = {name: np.array(value) for name, value in outputs("imputation")[numeric].items()}
    coef, variance = drawn_coefficients(with_holes(data, categories=False), ["lbili", "female"], numeric=numeric)
    between = coef.var(axis=0, ddof=1)
    # Five coefficients, two models: 3.5 errors of the difference are passed by chance once in a hundred seeds.
    noise = np.sqrt(gold["between"] / DRAWS_IN_R + between / DRAWS)
    assert (np.abs(coef.mean(axis=0) - gold["coef"]) < 3.5 * noise).all()
    np.testing.assert_allclose(variance.mean(axis=0), gold["within"], rtol=0.04)
    # The log of a variance of m draws has an error of sqrt(2 / m).
    assert (np.abs(np.log(between / gold["between"])) < 3.5 * np.sqrt(2 / DRAWS + 2 / DRAWS_IN_R)).all()


def test_three_categories_are_near_those_of_mice(data, outputs):
    """mice's polyreg is another model (multinomial, and its coefficients are not drawn): estimates within a fourth of
    their error."""
    gold = {name: np.array(value) for name, value in outputs("imputation")["categories"].items()}
    coef, variance = drawn_coefficients(with_holes(data), ["lbili", "female", "edema"])
    assert (np.abs(coef.mean(axis=0) - gold["coef"]) < 0.25 * np.sqrt(gold["within"])).all()
    np.testing.assert_allclose(variance.mean(axis=0), gold["within"], rtol=0.06)


def test_rubins_rules_are_those_of_mice(outputs, agree):
    gold = outputs("imputation")["scalar"]
    for name, df in (("endless", np.inf), ("thirty", 30.0)):
        ours = rubin(np.array(gold["q"])[:, None], np.array(gold["u"])[:, None], df)
        theirs = gold[name]
        agree(ours.estimate, theirs["qbar"], SAME_ALGORITHM)
        agree(ours.std_error**2, theirs["t"], SAME_ALGORITHM)
        agree(ours.df, theirs["df"], SAME_ALGORITHM, "df")
        agree(ours.relative_increase, theirs["r"], SAME_ALGORITHM)
        agree(ours.fmi, theirs["fmi"], SAME_ALGORITHM)


def least_squares(rows):
    """Least squares of cholesterol, as a fit of ours would come."""
    x = np.column_stack([np.ones(len(rows)), rows[["age", "bmi"]]])
    coef, rest, _, _ = np.linalg.lstsq(x, rows["chl"], rcond=None)
    df = len(x) - 3
    error = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * rest / df)
    frame = pd.DataFrame({"term": ["intercept", "age", "bmi"], "measure": "difference", "coef": coef})
    return Estimates(frame.assign(estimate=coef, std_error=error, df=float(df)), {})


def test_a_linear_regression_of_twenty_imputations_pools_as_in_mice(reference, data, agree):
    drawn = data("nhanes_imp")
    gold = reference["mi_pool"]
    ours = pool(least_squares(rows) for _, rows in drawn[drawn[".imp"] > 0].groupby(".imp")).frame
    for name, theirs in {"estimate": "est", "std_error": "se", "df": "df", "p_value": "p"}.items():
        agree(ours[name], gold[theirs], 1e-6, name)  # the imputed values were written with 15 digits
