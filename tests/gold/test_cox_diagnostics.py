"""Hazard ratios over time, influence and residuals against R's coxph, survSplit, tt(), residuals and cox.zph."""

import numpy as np
import pandas as pd
import pytest

from cohort.estimate.by_interval import hazard_ratio_by_interval, time_transform
from cohort.estimate.influence import influence, martingale_residuals, schoenfeld_residuals, schoenfeld_smooth

R_STOPS_EARLY = 1e-7
SAME_ALGORITHM = 1e-9
ROWS = {"entry": "entry", "exit": "exit", "event": "event"}
TERMS = ["leak", "age"]
CUTS = [15, 40]
FITS = [
    (name, ties, terms, options)
    for ties in ("efron", "breslow")
    for name, terms, options in (
        ("entry", TERMS, {}),
        ("entry_strata", TERMS, {"strata": "site"}),
        ("entry_weight", TERMS, {"weight": "w"}),
        ("categories", ["risk", *TERMS], {}),
    )
    if (name, ties) != ("categories", "breslow")
]
fits = pytest.mark.parametrize(
    ("name", "ties", "terms", "options"), FITS, ids=[f"{name}_{ties}" for name, ties, *_ in FITS]
)


def clustered(data):
    rows = data("clustered").assign(event=lambda d: (d["cause"] == 1).astype(int))
    risk = np.array(["no", "not_assessable", "yes"], dtype=object)[(rows["unit"].to_numpy() * 7) % 3]
    return rows.assign(risk=pd.Categorical(risk, ["no", "not_assessable", "yes"]))


def same_model(ours, gold, agree, rel):
    frame = ours.frame[ours.frame["measure"] == "hazard_ratio"]
    agree(frame["coef"], list(gold["coef"].values()), rel, "coef")
    agree(frame["naive_std_error"], list(gold["se_naive"].values()), rel, "naive SE")
    agree(frame["std_error"], list(gold["se"].values()), rel, "SE")
    agree(ours.settings["loglik"], gold["loglik"], 1e-11, "log-likelihood")


def by_term(frame, column, n_terms):
    return frame[column].to_numpy(float).reshape(n_terms, -1).T


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(
    ("name", "options"),
    [("interval", {}), ("interval_cluster", {"cluster": "patient", "strata": "site", "weight": "w"})],
)
def test_the_ratio_in_each_interval_and_their_equality(name, options, ties, outputs, data, agree):
    ours = hazard_ratio_by_interval(clustered(data), TERMS, cuts=CUTS, ties=ties, **options, **ROWS)
    gold = outputs("cox_diagnostics")[f"{name}_{ties}"]
    same_model(ours, gold, agree, SAME_ALGORITHM)
    test = ours.frame[ours.frame["measure"] == "equality_over_intervals"]
    agree(test["statistic"], gold["test"], 1e-8)
    assert test["df"].tolist() == [2]


def test_categories_have_a_test_each_and_one_together(outputs, data, agree):
    ours = hazard_ratio_by_interval(
        clustered(data), ["leak", "risk"], exposure="risk", cuts=CUTS, cluster="patient", id="unit", **ROWS
    )
    gold = outputs("cox_diagnostics")["interval_categories"]
    same_model(ours, gold, agree, SAME_ALGORITHM)
    test = ours.frame[ours.frame["measure"] == "equality_over_intervals"]
    assert test["term"].tolist() == ["risk=not_assessable", "risk=yes", "risk"]
    agree(test["statistic"], gold["test"], 1e-8)
    assert test["df"].tolist() == [2, 2, 4]


def test_events_units_and_patients_of_an_interval(outputs, data):
    ours = hazard_ratio_by_interval(
        clustered(data), TERMS, cuts=CUTS, id="unit", cluster="patient", **ROWS
    ).frame.query("interval != ''")
    gold = outputs("cox_diagnostics")["interval_counts"]
    assert ours["n_events"].tolist() == gold["events"]
    assert ours["n_units"].tolist() == gold["units"]
    assert ours["n_patients"].tolist() == gold["patients"]


@pytest.mark.parametrize(("key", "rel"), [("vet_tt", R_STOPS_EARLY), ("tt_tight", SAME_ALGORITHM)])
def test_a_covariate_times_a_function_of_time_is_that_of_tt(key, rel, outputs, data, agree):
    ours = time_transform(
        data("veteran"),
        ["trt", "karno"],
        transform={"karno": lambda x, t: x * np.log(t + 20)},
        exit="time",
        event="status",
    )
    same_model(ours, outputs("cox_diagnostics")[key], agree, rel)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_functions_of_time_with_late_entry_and_clusters(ties, outputs, data, agree):
    ours = time_transform(
        clustered(data), TERMS, transform={"leak": lambda x, t: x * np.log(t)}, cluster="patient", ties=ties, **ROWS
    )
    same_model(ours, outputs("cox_diagnostics")["tt_late"][ties], agree, SAME_ALGORITHM)


@fits
def test_what_each_patient_moves_is_the_collapsed_dfbeta(name, ties, terms, options, outputs, data, agree):
    ours = influence(clustered(data), terms, cluster="patient", ties=ties, **options, **ROWS).frame
    gold = outputs("cox_diagnostics")[f"{name}_{ties}"]
    p = ours["term"].nunique()
    assert ours["cluster"].tolist() == list(range(1, 91)) * p
    # Differences of sums of the size of the score: what is near zero there keeps absolute digits only.
    np.testing.assert_allclose(by_term(ours, "dfbeta", p), gold["dfbeta"], rtol=SAME_ALGORITHM, atol=1e-13)
    np.testing.assert_allclose(by_term(ours, "dfbetas", p), gold["dfbetas"], rtol=SAME_ALGORITHM, atol=1e-12)


@fits
def test_martingale_and_deviance_residuals_of_rows_and_patients(name, ties, terms, options, outputs, data):
    gold = outputs("cox_diagnostics")[f"{name}_{ties}"]
    for per, suffix in (("row", ""), ("cluster", "_patient")):
        ours = martingale_residuals(
            clustered(data), terms, per=per, cluster="patient", ties=ties, **options, **ROWS
        ).frame
        np.testing.assert_allclose(ours["martingale"], gold[f"martingale{suffix}"], rtol=SAME_ALGORITHM, atol=1e-13)
        # R gives NaN where rounding leaves a martingale residual of 1e-17 to rows that expect nothing; ours is 0.
        theirs = np.array(gold[f"deviance{suffix}"], dtype=float)
        np.testing.assert_allclose(ours["deviance"], np.nan_to_num(theirs), rtol=SAME_ALGORITHM, atol=1e-6)


@fits
def test_scaled_schoenfeld_residuals_are_those_of_cox_zph(name, ties, terms, options, outputs, data):
    gold = outputs("cox_diagnostics")[f"{name}_{ties}"]["zph"]
    for transform, x in gold["x"].items():
        ours = schoenfeld_residuals(clustered(data), terms, ties=ties, transform=transform, **options, **ROWS).frame
        p = ours["term"].nunique()
        y = by_term(ours, "scaled", p)
        time = by_term(ours, "time", p)[:, 0]
        order = np.lexsort((*y.T[::-1], time))
        np.testing.assert_allclose(time[order], gold["time"], rtol=0)
        np.testing.assert_allclose(y[order], gold["y"], rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(by_term(ours, "transformed", p)[order, 0], x, rtol=1e-8, atol=1e-10)


@fits
def test_the_smooth_is_a_natural_spline_with_the_limits_of_plot_cox_zph(name, ties, terms, options, outputs, data):
    gold = outputs("cox_diagnostics")[f"{name}_{ties}"]["smooth"]
    for transform, theirs in gold.items():
        ours = schoenfeld_smooth(
            clustered(data), terms, ties=ties, transform=transform, n_points=7, **options, **ROWS
        ).frame
        p = ours["term"].nunique()
        np.testing.assert_allclose(by_term(ours, "transformed", p)[:, 0], theirs["x"], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(by_term(ours, "coef", p), theirs["fit"], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(by_term(ours, "std_error", p), theirs["se"], rtol=1e-8)


def test_a_covariate_constant_in_a_stratum_has_no_scaled_residual_there(outputs, data):
    gold = outputs("cox_diagnostics")["constant_in_stratum"]
    rows = clustered(data).assign(leak=lambda d: d["leak"].where(d["site"] != "A", 0))
    ours = schoenfeld_residuals(rows, TERMS, strata="site", **ROWS).frame
    y = by_term(ours, "scaled", 2)
    order = np.lexsort((y[:, 0], y[:, 1], by_term(ours, "time", 2)[:, 0]))
    np.testing.assert_allclose(y[order], np.array(gold["y"], dtype=float), rtol=1e-8, atol=1e-11)


def test_one_step_without_a_patient_comes_close_to_the_refit(outputs, data):
    ours = influence(clustered(data), TERMS, cluster="patient", **ROWS).frame
    for patient, theirs in zip([2, 5, 9, 20], outputs("cox_diagnostics")["left_out"], strict=True):
        step = np.log(ours.loc[ours["cluster"] == patient, "estimate_without"].to_numpy())
        error = ours.loc[ours["cluster"] == patient, ["dfbeta", "dfbetas"]].abs().to_numpy()
        # One Newton step from the whole: a tenth of a standard error is far more than the step leaves here.
        np.testing.assert_allclose(step, theirs, atol=0.1 * (error[:, 0] / error[:, 1]).max())
