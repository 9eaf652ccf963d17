"""A primary outcome beside one the exposure cannot reach."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox, hazard_ratio_by_interval, kaplan_meier, logistic
from cohort.estimate.influence import influence
from cohort.estimate.negative_control import negative_control

ROWS = {"entry": "entry", "exit": "exit", "id": "unit", "cluster": "patient"}
TERMS = ["leak", "age"]


def outcomes(vertebra_rows, seed=3, n_patients=60):
    return vertebra_rows(seed, n_patients=n_patients).assign(
        adjacent=lambda d: (d["cause"] == 1).astype(int), remote=lambda d: (d["cause"] == 2).astype(int)
    )


def fits(d, **options):
    return [cox(d, TERMS, event=event, outcome=event, **ROWS, **options) for event in ("adjacent", "remote")]


def test_independent_errors_add_on_the_log_scale(vertebra_rows):
    primary, control = fits(outcomes(vertebra_rows), small_sample="none")
    frame = negative_control(primary, control).frame
    one, other = primary.frame, control.frame
    np.testing.assert_allclose(frame["estimate"], one["estimate"] / other["estimate"], rtol=1e-12)
    np.testing.assert_allclose(frame["std_error"], np.hypot(one["std_error"], other["std_error"]), rtol=1e-12)
    np.testing.assert_allclose(
        frame["conf_high"], np.exp(frame["coef"] + 1.959963984540054 * frame["std_error"]), rtol=1e-12
    )
    assert frame["primary_outcome"].tolist() == ["adjacent"] * 2
    assert frame["control_events"].tolist() == other["n_events"].tolist()
    assert frame["control_low"].tolist() == other["conf_low"].tolist()


def test_with_influences_it_is_the_interaction_in_one_model_of_both_outcomes(vertebra_rows):
    """Both outcomes stacked, a stratum each, clustered by patient: exposure times outcome is the ratio of ratios."""
    d = outcomes(vertebra_rows)
    stacked = pd.concat(
        [d.assign(event=d[name], which=k, unit=d["unit"] + 1000 * k) for k, name in enumerate(("remote", "adjacent"))]
    )
    stacked = stacked.assign(
        leak_adjacent=stacked["leak"] * stacked["which"], age_adjacent=stacked["age"] * stacked["which"]
    )
    joint = cox(
        stacked, ["leak", "age", "leak_adjacent", "age_adjacent"], event="event", strata="which",
        small_sample="none", **ROWS,
    ).frame  # fmt: skip
    moved = tuple(influence(d, TERMS, event=event, **ROWS) for event in ("adjacent", "remote"))
    found = negative_control(*fits(d, small_sample="none"), influence=moved)
    np.testing.assert_allclose(found.frame["coef"], joint["coef"].iloc[2:], rtol=1e-8)
    np.testing.assert_allclose(found.frame["std_error"], joint["std_error"].iloc[2:], rtol=1e-8)
    assert "each patient" in found.settings["variance"]
    apart = negative_control(*fits(d, small_sample="none"))
    assert "covariance" in apart.settings["variance"]
    assert not np.allclose(apart.frame["std_error"], found.frame["std_error"], rtol=1e-3)


def test_patients_of_one_side_only_count_there_alone(vertebra_rows):
    d = outcomes(vertebra_rows)
    first, second = d[d["patient"] < 30], d[d["patient"] >= 30]
    moved = influence(first, TERMS, event="adjacent", **ROWS), influence(second, TERMS, event="remote", **ROWS)
    sides = (
        cox(first, TERMS, event="adjacent", small_sample="none", **ROWS),
        cox(second, TERMS, event="remote", small_sample="none", **ROWS),
    )
    together, apart = negative_control(*sides, influence=moved).frame, negative_control(*sides).frame
    np.testing.assert_allclose(together["std_error"], apart["std_error"], rtol=1e-9)


def test_the_same_model_twice_leaves_a_ratio_of_one_and_no_doubt(vertebra_rows):
    d = outcomes(vertebra_rows)
    fit, moved = fits(d)[0], influence(d, TERMS, event="adjacent", **ROWS)
    frame = negative_control(fit, fit, influence=(moved, moved)).frame
    assert frame["estimate"].tolist() == [1.0, 1.0]
    assert frame["std_error"].isna().all()
    assert frame["note"].str.contains("no interval of the ratio").all()


def test_limits_from_t_keep_the_smaller_degrees_of_freedom(vertebra_rows):
    d = outcomes(vertebra_rows, n_patients=16)
    primary, control = fits(d)
    assert "df" in primary.frame
    frame = negative_control(primary, control).frame
    assert frame["df"].tolist() == np.minimum(primary.frame["df"], control.frame["df"]).tolist()
    np.testing.assert_allclose(
        frame["std_error"],
        np.hypot(primary.frame["corrected_std_error"], control.frame["corrected_std_error"]),
        rtol=1e-12,
    )
    one_normal = negative_control(primary, fits(d, small_sample="none")[1]).frame
    assert one_normal["df"].tolist() == primary.frame["df"].tolist()
    assert one_normal["conf_low"].notna().all()


def test_words_tell_a_control_that_moves_from_one_that_does_not():
    n = 400
    leak = np.arange(n) % 2
    rng = np.random.default_rng(1)
    strong = rng.exponential(np.where(leak, 20, 80)).round() + 1
    none = rng.exponential(60, n).round() + 1
    rows = pd.DataFrame({"leak": leak, "strong": strong, "none": none, "event": 1})
    moving, still = (cox(rows, ["leak"], exit=name, event="event") for name in ("strong", "none"))
    assert "speaks for bias" in negative_control(moving, moving).frame["note"].iloc[0]
    assert "holds 1" in negative_control(moving, still).frame["note"].iloc[0]
    assert "does not show that there is no bias" in negative_control(moving, still).settings["cannot_show"]


def test_a_control_without_events_keeps_the_row_and_says_so(vertebra_rows):
    d = outcomes(vertebra_rows).assign(nothing=0)
    none = cox(d, TERMS, event="nothing", **ROWS)
    frame = negative_control(fits(d)[0], none).frame
    assert frame["term"].tolist() == TERMS
    assert frame["estimate"].isna().all()
    assert frame["note"].str.contains("control has no interval").all()
    assert frame["note"].str.contains("no ratio of ratios").all()


def test_terms_of_one_side_only_are_named(vertebra_rows):
    d = outcomes(vertebra_rows)
    crude = cox(d, ["leak"], event="remote", **ROWS)
    found = negative_control(fits(d)[0], crude)
    assert found.frame["term"].tolist() == ["leak"]
    assert found.settings["rows_without_partner"] == ["age"]


def test_intervals_of_time_meet_interval_by_interval_without_their_tests(vertebra_rows):
    d = outcomes(vertebra_rows)
    sides = [hazard_ratio_by_interval(d, ["leak"], cuts=[15], event=e, **ROWS) for e in ("adjacent", "remote")]
    frame = negative_control(*sides).frame
    assert len(frame) == 2
    assert frame["interval"].nunique() == 2


def test_what_cannot_be_compared_is_refused(vertebra_rows):
    d = outcomes(vertebra_rows)
    primary, control = fits(d)
    with pytest.raises(EstimationError, match="measures differ"):
        negative_control(primary, logistic(d, outcome="remote", covariates=TERMS, cluster="patient"))
    with pytest.raises(EstimationError, match="have no"):
        negative_control(primary, kaplan_meier(d, exit="exit", event="remote"))
    with pytest.raises(EstimationError, match="No term is in both"):
        negative_control(cox(d, ["leak"], event="adjacent", **ROWS), cox(d, ["age"], event="remote", **ROWS))
    with pytest.raises(EstimationError, match="Give the influences as"):
        negative_control(primary, control, influence=(primary, control))
    few = influence(d, ["leak"], event="adjacent", **ROWS)
    with pytest.raises(EstimationError, match="lack age"):
        negative_control(primary, control, influence=(few, few))
    doubled = type(primary)(pd.concat([primary.frame, primary.frame]), primary.settings)
    with pytest.raises(EstimationError, match="Several rows"):
        negative_control(doubled, control)
    frequent = [
        cox(d.assign(w=2), TERMS, event=event, weight="w", weight_kind="frequency", **ROWS)
        for event in ("adjacent", "remote")
    ]
    moved = influence(d, TERMS, event="adjacent", **ROWS)
    with pytest.raises(EstimationError, match="frequency weights"):
        negative_control(*frequent, influence=(moved, moved))
