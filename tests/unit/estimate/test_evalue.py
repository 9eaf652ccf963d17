"""E-values against published ones, and what has none."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import bootstrap, compare_curves, cox, logistic, ph_test, standardized_risk
from cohort.estimate.evalue import as_risk_ratio, e_value, e_values
from cohort.tables.results import Estimates

PRINTED = 6e-4  # published to two or three digits


def of(*numbers, **options):
    return e_value(*numbers, **options).frame.iloc[0]


@pytest.mark.parametrize(
    ("numbers", "options", "expected"),
    [
        # VanderWeele and Ding 2017: formula feeding and infant death; in utero exposure and leukaemia
        ((3.9, 1.8, 8.7), {"measure": "risk_ratio"}, (7.263, 3.0)),
        ((0.80, 0.71, 0.91), {"measure": "risk_ratio"}, (1.809, 1.429)),
        # Ding and VanderWeele 2016: smoking and lung cancer, as the vignette of R's EValue prints it
        ((10.73, 8.02, 14.36), {"measure": "risk_ratio"}, (20.94777, 15.52336)),
        # episensr's tests: a true value beyond none, and a common odds ratio
        ((0.8, 0.71, 0.91), {"measure": "risk_ratio", "true": 1.2}, (2.366, 1.967)),
        ((1.47, 1.12, 1.93), {"measure": "odds_ratio", "rare": False}, (1.720, 1.307)),
    ],
)
def test_published_examples(numbers, options, expected):
    row = of(*numbers, **options)
    assert (row["e_value"], row["e_value_limit"]) == pytest.approx(expected, abs=PRINTED)


@pytest.mark.parametrize("ratio", [1.3, 2.0, 7.0])
def test_a_confounder_as_strong_as_the_e_value_is_just_enough(ratio):
    """The bias factor E E / (E + E - 1) of Ding and VanderWeele is then the ratio itself."""
    e = of(ratio, measure="risk_ratio")["e_value"]
    assert e * e / (2 * e - 1) == pytest.approx(ratio, rel=1e-12)


def test_protection_needs_as_much_as_harm():
    one, other = of(0.25, 0.125, 0.5, measure="risk_ratio"), of(4.0, 2.0, 8.0, measure="risk_ratio")
    assert one[["e_value", "e_value_limit"]].tolist() == pytest.approx(other[["e_value", "e_value_limit"]].tolist())


@pytest.mark.parametrize(
    ("numbers", "true", "limit"),
    [
        ((1.5, 0.9, 2.5), None, 1.0),  # the interval holds no effect
        ((1.5, 1.0, 2.5), None, 1.0),  # it ends there
        ((0.7, 0.4, 1.1), None, 1.0),
        ((1.0, 0.8, 1.3), None, 1.0),
        ((1.3, 1.1, 1.4), 1.2, 1.0),
        ((1.3, 1.1, 1.4), 1.5, 1.5 / 1.4 + np.sqrt(1.5 / 1.4 * (1.5 / 1.4 - 1))),
        ((1.3, 1.1, 1.4), 1.05, 1.1 / 1.05 + np.sqrt(1.1 / 1.05 * (1.1 / 1.05 - 1))),
    ],
)
def test_the_limit_next_to_the_true_value_counts_and_is_one_when_it_is_held(numbers, true, limit):
    assert of(*numbers, measure="risk_ratio", true=true)["e_value_limit"] == pytest.approx(limit)


def test_the_true_value_of_a_common_outcome_is_read_on_the_same_scale():
    row = of(5.0, 3.0, 8.0, measure="odds_ratio", rare=False, true=2.0)
    r, low = np.sqrt(5 / 2), np.sqrt(3 / 2)
    assert row["e_value"] == pytest.approx(r + np.sqrt(r * (r - 1)))
    assert row["e_value_limit"] == pytest.approx(low + np.sqrt(low * (low - 1)))
    hazard, true = 1.3, 1.1
    r = as_risk_ratio(np.array([hazard]), "hazard_ratio", False) / as_risk_ratio(
        np.array([true]), "hazard_ratio", False
    )
    ours = of(hazard, measure="hazard_ratio", rare=False, true=true)["e_value"]
    assert ours == pytest.approx(float((r + np.sqrt(r * (r - 1)))[0]))


def test_a_common_hazard_ratio_is_that_of_risks_about_a_half():
    """Survivals 0.5^sqrt(HR) and 0.5^sqrt(1/HR) have that hazard ratio, and 0.5 in their middle."""
    hazard = 2.0
    risks = 1 - 0.5 ** np.sqrt(hazard), 1 - 0.5 ** np.sqrt(1 / hazard)
    ratio = as_risk_ratio(np.array([hazard]), "hazard_ratio", rare=False)
    assert float(ratio[0]) == pytest.approx(risks[0] / risks[1])
    assert float(as_risk_ratio(1 / np.array([hazard]), "hazard_ratio", rare=False)[0]) == pytest.approx(
        1 / float(ratio[0])
    )


def test_a_risk_difference_is_read_with_the_risk_of_the_unexposed():
    row = of(0.2, 0.05, 0.35, measure="risk_difference", reference_risk=0.1)
    same = of(3.0, 1.5, 4.5, measure="risk_ratio")
    assert row["e_value"] == pytest.approx(same["e_value"])
    assert row["e_value_limit"] == pytest.approx(same["e_value_limit"])
    with pytest.raises(EstimationError, match="reference_risk"):
        e_value(0.2, 0.05, 0.35, measure="risk_difference")
    with pytest.raises(EstimationError, match="leave `true` out"):
        e_value(0.2, 0.05, 0.35, measure="risk_difference", reference_risk=0.1, true=1.2)


def test_a_cox_model_keeps_its_rows_and_gains_two_columns(vertebra_rows):
    fit = cox(vertebra_rows(3), ["leak", "age"], exit="exit", event="event", entry="entry", cluster="patient")
    found = e_value(fit)
    pd.testing.assert_frame_equal(found.frame[fit.frame.columns].drop(columns="note"), fit.frame.drop(columns="note"))
    low, high = fit.frame["conf_low"].iloc[0], fit.frame["conf_high"].iloc[0]
    by_hand = e_values(np.array([fit.frame["estimate"].iloc[0]]), np.array([low]), np.array([high]), 1.0)
    assert found.frame[["e_value", "e_value_limit"]].iloc[0].tolist() == pytest.approx([float(v[0]) for v in by_hand])
    assert found.settings["method"] == fit.settings["method"]
    assert "confounder" in found.settings["e_value"]


def test_a_common_outcome_taken_as_rare_is_said(vertebra_rows):
    fit = cox(vertebra_rows(3), ["leak"], exit="exit", event="event", entry="entry", cluster="patient")
    assert fit.frame["n_events"].iloc[0] > 0.15 * fit.frame["n_units"].iloc[0]
    assert "rare=False" in e_value(fit).frame["note"].iloc[0]
    assert "rare=False" not in e_value(fit, rare=False).frame["note"].iloc[0]


def test_contrasts_of_incidence_are_risk_ratios_and_differences(vertebra_rows):
    contrast = compare_curves(
        vertebra_rows(3), exit="exit", cause="cause", entry="entry", id="unit", cluster="patient", by="leak", at=20
    )
    frame = e_value(contrast).frame
    pairs = frame.pivot_table(index="outcome", columns="measure", values="e_value")
    np.testing.assert_allclose(pairs["difference"], pairs["ratio"], rtol=1e-12)
    lost = compare_curves(
        vertebra_rows(3), curve="time_lost", exit="exit", cause="cause", entry="entry", id="unit", cluster="patient",
        by="leak", at=20,
    )  # fmt: skip
    frame = e_value(lost).frame
    assert frame["e_value"].isna().all()
    assert frame["note"].str.contains("no E-value").all()


def test_what_is_no_contrast_keeps_its_row_without(vertebra_rows):
    d = vertebra_rows(3)
    risks = e_value(
        standardized_risk(d, "leak", covariates=[], exit="exit", cause="cause", horizon=20, cluster="patient")
    ).frame.set_index("measure")
    assert risks["e_value"].notna().to_dict() == {
        "risk_all_exposed": False, "risk_none_exposed": False, "risk_difference": False, "risk_ratio": True,
    }  # fmt: skip
    assert "needs the risk of the unexposed" in risks["note"]["risk_difference"]
    odds = e_value(logistic(d, outcome="event", covariates=["leak"], cluster="patient")).frame
    assert odds["e_value"].notna().tolist() == [False, True]
    tested = e_value(
        Estimates(
            pd.DataFrame({"measure": ["ph_score_test"], "estimate": [1.0], "conf_low": [np.nan], "conf_high": [np.nan]})
        )
    )
    assert "no contrast" in tested.frame["note"].iloc[0]


def test_no_event_among_the_exposed_has_words():
    days = pd.DataFrame({"exit": [5, 8, 9, 12], "event": [0, 1, 1, 0], "leak": [1, 0, 0, 1]})
    row = e_value(cox(days, ["leak"], exit="exit", event="event")).frame.iloc[0]
    assert np.isnan(row["e_value"])
    assert np.isnan(row["e_value_limit"])
    assert "no finite estimate" in row["note"]
    no_limit = of(2.0, measure="risk_ratio")
    assert np.isnan(no_limit["e_value_limit"])
    assert "no limit" in no_limit["note"]


def test_draws_of_patients_have_e_values_too(vertebra_rows):
    drawn = bootstrap(
        cox, vertebra_rows(3), cluster="patient", seed=1, repeats=60, interval="percentile",
        covariates=["leak"], exit="exit", event="event", entry="entry",
    )  # fmt: skip
    assert e_value(drawn).frame["e_value"].notna().all()


@pytest.mark.parametrize(
    ("numbers", "options", "words"),
    [
        ((-0.1,), {"measure": "risk_ratio"}, "below zero"),
        ((1.2, 1.3, 1.4), {"measure": "risk_ratio"}, "outside their interval"),
        ((1.5, 1.3, 1.4), {"measure": "hazard_ratio"}, "outside their interval"),
        ((1.5,), {}, "Say of which measure"),
        ((1.5,), {"measure": "mean"}, "Say of which measure"),
        ((1.5,), {"measure": "risk_ratio", "true": 0.0}, "greater than zero"),
        ((0.1,), {"measure": "risk_difference", "reference_risk": 1.5}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(numbers, options, words):
    with pytest.raises(EstimationError, match=words):
        e_value(*numbers, **options)


def test_estimates_without_limits_are_refused():
    with pytest.raises(EstimationError, match="have no conf_high, conf_low"):
        e_value(Estimates(pd.DataFrame({"measure": ["hazard_ratio"], "estimate": [2.0]})))


def test_a_frame_of_tests_alone_is_refused(vertebra_rows):
    tested = ph_test(vertebra_rows(3), covariates=["leak"], exit="exit", event="event", entry="entry")
    with pytest.raises(EstimationError, match="have no"):
        e_value(tested)
