"""Meta-analysis against metafor, and its likelihoods of counts against integrate() and optim() in R."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.estimate.meta import meta_effects, meta_proportions, meta_rates
from cohort.estimate.meta_influence import egger_test, funnel, leave_one_out
from cohort.estimate.meta_regression import meta_regression
from cohort.estimate.shrinkage import shrink

SAME_ALGORITHM = 1e-9  # both converge: rma's scoring is run on to 1e-14
GLMER = 2e-5  # glmer, its optimizer run on, differentiates numerically
GLMER_AS_IS = 1e-4  # at its default it stops early, and takes 7 points where we take 15
INTEGRATED = 1e-6  # optim over integrate(), by differences
KNHA = {"z": "z", "t": "t", "hksj": "knha", "adhoc": "adhoc"}
EFFECTS = {"estimate": "yi", "std_error": "sei"}


@pytest.fixture
def gold(outputs):
    return outputs("meta")


@pytest.fixture
def trials(gold):
    return pd.DataFrame(gold["studies"])


def row(found, which="pooled"):
    frame = found.frame
    return frame[frame["row"] == which].iloc[0]


def same_pool(found, theirs, agree, rel, limits=True):
    ours = row(found)
    names = {"coef": "b", "std_error": "se", "tau2": "tau2", "i2": "I2", "h2": "H2", "q": "Q", "q_p_value": "Qp"}
    for name, key in names.items():
        agree(ours[name], theirs[key], rel, name)
    if limits:
        agree(ours[["conf_low", "conf_high"]], [theirs["low"], theirs["high"]], rel, "limits")


@pytest.mark.parametrize("method", ["reml", "ml", "dl", "pm"])
@pytest.mark.parametrize("test", ["z", "t", "hksj", "adhoc"])
def test_effects_are_those_of_rma(method, test, gold, trials, agree):
    theirs = gold["effects"][f"{method.upper()}_{KNHA[test]}"]
    ours = meta_effects(trials, method=method, test=test, **EFFECTS)
    same_pool(ours, theirs, agree, SAME_ALGORITHM)
    agree(row(ours)[["statistic", "p_value"]], [theirs["stat"], theirs["p"]], SAME_ALGORITHM, "test")
    agree(row(ours, "prediction")[["conf_low", "conf_high"]], theirs["riley"], SAME_ALGORITHM, "prediction")
    own = meta_effects(trials, method=method, test=test, prediction="as_test", **EFFECTS)
    agree(row(own, "prediction")[["conf_low", "conf_high"]], theirs["pi"], SAME_ALGORITHM, "as_test")
    if method in ("reml", "ml"):
        # metafor writes the constants of the normal density, and REML's of the design.
        k = len(trials)
        constant = -((k - (method == "reml")) * np.log(2 * np.pi) - (method == "reml") * np.log(k)) / 2
        agree(ours.settings["loglik"] + constant, theirs["ll"], SAME_ALGORITHM, "log-likelihood")


@pytest.mark.parametrize("method", ["reml", "ml", "dl", "pm"])
def test_limits_of_tau_squared_weights_and_influence_are_those_of_rma(method, gold, trials, agree):
    theirs = gold["effects"][f"{method.upper()}_knha"]
    ours = meta_effects(trials, method=method, study="study", **EFFECTS)
    agree(row(ours)[["tau2_low", "tau2_high"]], theirs["tau2_ci"], SAME_ALGORITHM, "tau2")
    agree(row(ours)[["i2_low", "i2_high"]], theirs["I2_ci"], SAME_ALGORITHM, "I2")
    each = ours.frame[ours.frame["row"] == "study"]
    agree(each["weight"], theirs["weight"], SAME_ALGORITHM, "weights")
    agree(each["shrunken"], theirs["blup"], SAME_ALGORITHM, "blup")
    left = leave_one_out(trials, method=method, study="study", **EFFECTS).frame
    names = {"coef": "estimate", "std_error": "se", "conf_low": "ci.lb", "conf_high": "ci.ub", "q": "Q", "h2": "H2"}
    for name, key in {**names, "tau2": "tau2"}.items():
        agree(left[name], theirs["leave"][key], SAME_ALGORITHM, name)
    agree(left["i2"] * 100, theirs["leave"]["I2"], SAME_ALGORITHM, "I2")
    names = {"rstudent": "rstudent", "dffits": "dffits", "cook_distance": "cook.d", "cov_ratio": "cov.r", "hat": "hat"}
    for name, key in {**names, "dfbeta": "dfbs"}.items():
        agree(left[name], theirs["influence"][key], SAME_ALGORITHM, name)
    assert left["influential"].astype(int).tolist() == theirs["influence"]["is"]


@pytest.mark.parametrize("test", ["z", "t"])
def test_one_common_effect_is_that_of_rma(test, gold, trials, agree):
    ours = meta_effects(trials, method="fixed", test=test, **EFFECTS)
    same_pool(ours, gold["effects"][f"fixed_{test}"], agree, SAME_ALGORITHM)


def test_another_level_of_confidence(gold, trials, agree):
    ours = meta_effects(trials, confidence=0.90, **EFFECTS)
    same_pool(ours, gold["level90"], agree, SAME_ALGORITHM)
    agree(row(ours, "prediction")[["conf_low", "conf_high"]], gold["level90"]["riley"], SAME_ALGORITHM)


def test_subgroups_have_their_own_tau_squared_and_are_compared(gold, trials, agree):
    ours = meta_effects(trials, by="tier", **EFFECTS)
    for tier, theirs in gold["subgroups"]["each"].items():
        part = ours.frame[(ours.frame["tier"] == tier) & (ours.frame["row"] == "pooled")].iloc[0]
        agree(
            part[["coef", "std_error", "conf_low", "conf_high", "tau2"]],
            [theirs[key] for key in ("b", "se", "low", "high", "tau2")],
            SAME_ALGORITHM,
            tier,
        )
    agree(ours.settings["between_statistic"], gold["subgroups"]["Q"], SAME_ALGORITHM)
    agree(ours.settings["between_p_value"], gold["subgroups"]["p"], SAME_ALGORITHM)
    agree(ours.settings["tau2"], gold["effects"]["REML_knha"]["tau2"], SAME_ALGORITHM)  # of all, without subgroups


def test_two_studies(gold, trials, agree):
    ours = meta_effects(trials.iloc[np.array(gold["two"]["rows"]) - 1], **EFFECTS)
    same_pool(ours, gold["two"], agree, SAME_ALGORITHM)
    assert "only 2 studies" in row(ours)["note"]
    assert "3 studies are needed" in row(ours, "prediction")["note"]


def test_studies_more_alike_than_chance(gold, agree):
    ours = meta_effects(pd.DataFrame(gold["alike"]["data"]), **EFFECTS)
    same_pool(ours, gold["alike"], agree, SAME_ALGORITHM)
    assert row(ours)[["tau2_low", "tau2_high"]].tolist() == gold["alike"]["tau2_ci"] == [0, 0]
    assert "more alike than chance" in row(ours)["note"]
    assert "narrower" in row(ours)["note"]


@pytest.mark.parametrize("test", ["z", "hksj"])
def test_small_studies_against_large_ones(test, gold, trials, agree):
    theirs = gold["egger"][KNHA[test]]
    ours = egger_test(trials, test=test, **EFFECTS).frame
    for model, key in (("egger", "lm"), ("random_effects", "rma")):
        slope, limit = (ours[ours["model"] == model].iloc[i] for i in range(2))
        agree(
            slope[["coef", "std_error", "statistic", "p_value"]],
            [theirs[key][name] for name in ("coef", "se", "stat", "p")],
            SAME_ALGORITHM,
            model,
        )
        agree(
            limit[["estimate", "conf_low", "conf_high"]],
            [theirs[key][name] for name in ("limit", "low", "high")],
            SAME_ALGORITHM,
            model,
        )


def test_small_studies_of_proportions(gold, trials, agree):
    theirs = gold["egger_proportions"]
    ours = egger_test(trials, events="xi", n="size", test="z").frame.query("model == 'random_effects'").iloc[0]
    agree(ours[["statistic", "p_value"]], [theirs["ft"]["stat"], theirs["ft"]["p"]], SAME_ALGORITHM)
    some = trials[trials["xi"] > 0]
    ours = egger_test(some, events="xi", n="size", method="logit", predictor="inverse_root_n").frame.iloc[2]
    theirs = theirs["logit_size"]
    agree(ours[["statistic", "p_value"]], [theirs["stat"], theirs["p"]], SAME_ALGORITHM)


@pytest.mark.parametrize("test", ["z", "hksj"])
def test_a_covariate_of_studies(test, gold, trials, agree):
    theirs = gold["regression"][KNHA[test]]
    ours = meta_regression(trials, covariates=["year"], test=test, **EFFECTS)
    for name, key in {"coef": "b", "std_error": "se", "conf_low": "low", "conf_high": "high", "p_value": "p"}.items():
        agree(ours.frame[name], theirs[key], SAME_ALGORITHM, name)
    names = {"tau2": "tau2", "r2": "R2", "wald_statistic": "QM", "wald_p_value": "QMp", "q": "QE", "q_p_value": "QEp"}
    for name, key in {**names, "i2": "I2"}.items():
        agree(ours.settings[name], theirs[key], SAME_ALGORITHM, name)
    agree([ours.settings["tau2_low"], ours.settings["tau2_high"]], theirs["tau2_ci"], SAME_ALGORITHM)


def test_two_covariates_of_studies(gold, trials, agree):
    theirs = gold["regression"]["two"]
    trials["tier"] = pd.Categorical(trials["tier"])
    ours = meta_regression(trials, covariates=["year", "tier"], method="dl", **EFFECTS)
    agree(ours.frame["coef"], theirs["b"], SAME_ALGORITHM)
    agree(ours.frame["std_error"], theirs["se"], SAME_ALGORITHM)
    agree([ours.settings["wald_df"], ours.settings["wald_df_residual"]], theirs["QMdf"], 0)
    agree(
        [ours.settings["wald_statistic"], ours.settings["wald_p_value"]], [theirs["QM"], theirs["QMp"]], SAME_ALGORITHM
    )


@pytest.mark.parametrize("tau2", ["reml", "dl", "ml", "pm"])
@pytest.mark.parametrize("test", ["z", "hksj"])
def test_proportions_by_inverse_variance(tau2, test, gold, trials, agree):
    theirs = gold["proportions"][f"{tau2.upper()}_{KNHA[test]}"]
    for method, key, studies in (
        ("logit", "logit", trials[trials["xi"] > 0]),
        ("freeman_tukey", "ft", trials),
    ):
        ours = meta_proportions(
            studies, events="xi", n="size", method=method, tau2=tau2, test=test, prediction="as_test"
        )
        same_pool(ours, theirs[key], agree, SAME_ALGORITHM, limits=False)
        read = [*row(ours)[["estimate", "conf_low", "conf_high"]], *row(ours, "prediction")[["conf_low", "conf_high"]]]
        agree(read, theirs[key]["read"], SAME_ALGORITHM, method)
    each = ours.frame[ours.frame["row"] == "study"]
    agree(each["coef"], theirs["ft"]["y"], SAME_ALGORITHM)
    agree(each["std_error"] ** 2, theirs["ft"]["v"], SAME_ALGORITHM)


def test_rates_by_inverse_variance(gold, trials, agree):
    ours = meta_rates(trials[trials["di"] > 0], events="di", person_time="ti", method="log", test="hksj")
    same_pool(ours, gold["log_rates"], agree, SAME_ALGORITHM, limits=False)
    agree(row(ours)[["estimate", "conf_low", "conf_high"]], gold["log_rates"]["read"], SAME_ALGORITHM)


def of_counts(gold, name, **options):
    theirs = gold["glmm"][name]
    df = pd.DataFrame({"x": theirs["xi"], "n": theirs["ni"]})
    if name == "rates":
        return meta_rates(df, events="x", person_time="n", **options)
    return meta_proportions(df, events="x", n="n", **options)


@pytest.mark.parametrize("name", ["pritz", "events", "rates", "few", "two"])
def test_likelihoods_of_counts_are_those_of_rma_glmm(name, gold, agree):
    theirs = gold["glmm"][name]
    ours = of_counts(gold, name, points=7)
    same_pool(ours, theirs, agree, GLMER, limits=False)
    read = np.exp if name == "rates" else stats.logistic.cdf
    agree(row(ours)[["conf_low", "conf_high"]], read([theirs["low"], theirs["high"]]), GLMER)
    own = of_counts(gold, name, points=7, prediction="as_test")
    agree(row(own, "prediction")[["conf_low", "conf_high"]], read(theirs["pi"]), GLMER)
    if name != "two":
        agree(row(ours, "prediction")[["conf_low", "conf_high"]], read(theirs["riley"]), GLMER)


@pytest.mark.parametrize("name", ["pritz", "events", "rates", "few", "two"])
def test_likelihoods_of_counts_are_those_integrated_in_r(name, gold, agree):
    theirs = gold["glmm"][name]["exact"]
    ours = of_counts(gold, name, points=31)
    agree(ours.settings["loglik"], theirs["ll"], 1e-9, "log-likelihood")
    agree(row(ours)["coef"], theirs["b"], INTEGRATED, "mean")
    # Far from the maximum the integrand is skew, and 31 points are not quite enough.
    agree(row(ours)[["tau2_low", "tau2_high"]], theirs["tau2_ci"], 3e-4, "limits of tau2")
    assert abs(ours.settings["loglik_by_more_points"]) < 1e-8


def test_more_points_and_t(gold, agree):
    for name in ("pritz", "rates"):
        agree(
            row(of_counts(gold, name, points=21))[["coef", "std_error", "tau2"]],
            list(gold["glmm_more"][name].values()),
            GLMER,
        )
    theirs = gold["glmm_t"]
    ours = row(of_counts(gold, "pritz", test="t", points=7))
    agree(ours[["conf_low", "conf_high"]], stats.logistic.cdf([theirs["low"], theirs["high"]]), GLMER)


def test_a_likelihood_without_each_study(gold, data, agree):
    ours = leave_one_out(data("pritz"), events="xi", n="ni", points=7).frame
    for name, key in {"coef": "b", "std_error": "se", "tau2": "tau2"}.items():
        agree(ours[name], [each[key] for each in gold["glmm_leave"]], GLMER, name)


def test_the_published_example_of_proportions(reference, data, agree):
    """Gold keys pritz_*: `ll` is what metafor calls so, the likelihood at the studies' own modes."""
    pritz = data("pritz")
    theirs = reference["pritz_glmm"]
    ours = meta_proportions(pritz, events="xi", n="ni", prediction="as_test")
    pooled = row(ours)
    agree(pooled[["coef", "std_error", "tau2"]], [theirs[key] for key in ("b", "se", "tau2")], GLMER_AS_IS)
    agree(pooled[["coef", "std_error", "tau2"]], list(reference["pritz_glmer7"].values()), GLMER_AS_IS)
    agree(pooled[["estimate", "conf_low", "conf_high"]], [theirs["pred"], *theirs["ci"]], GLMER_AS_IS)
    agree(row(ours, "prediction")[["conf_low", "conf_high"]], theirs["pi"], GLMER_AS_IS)
    modes = ours.frame.loc[ours.frame["row"] == "study", "shrunken"]
    agree(stats.binom.logpmf(pritz["xi"], pritz["ni"], modes).sum(), theirs["ll"], GLMER_AS_IS)
    for key, tau2 in (("pritz_ft", "reml"), ("pritz_ft_dl", "dl")):
        theirs = reference[key]
        pooled = row(meta_proportions(pritz, events="xi", n="ni", method="freeman_tukey", tau2=tau2))
        agree(pooled[["coef", "std_error", "tau2"]], [theirs[name] for name in ("b", "se", "tau2")], 1e-6)
        if "pred" in theirs:
            agree(pooled[["estimate", "conf_low", "conf_high"]], [theirs["pred"], *theirs["ci"]], 1e-6)


def test_the_lines_of_a_funnel_are_the_limits_of_a_study_of_that_error(trials, agree):
    found = funnel(trials, method="fixed", test="z", **EFFECTS).frame.query("row == 'limit'")
    centre = row(meta_effects(trials, method="fixed", test="z", **EFFECTS))["coef"]
    agree(found["conf_high"] - centre, stats.norm.ppf(0.975) * found["std_error"], 1e-9)


def test_shrinking_is_pooling_the_registry_with_what_the_literature_predicts(gold, trials, agree):
    pooled = meta_proportions(trials[trials["xi"] > 0], events="xi", n="size", method="logit")
    ours, theirs = shrink(0.2, 0.04, pooled), gold["shrink"]
    frame = ours.frame.set_index("row")
    agree(frame.loc["prior", ["coef", "std_error"]], theirs["prior"], SAME_ALGORITHM)
    agree(frame.loc["registry", ["coef", "std_error"]], theirs["own"], SAME_ALGORITHM)
    agree(frame.loc["shrunken", ["coef", "std_error"]], [theirs["coef"], theirs["se"]], SAME_ALGORITHM)
    agree(frame["weight"].iloc[:2], theirs["weight"], SAME_ALGORITHM)
    agree(ours.settings["surprise_p_value"], theirs["surprise"], SAME_ALGORITHM)
