"""Cumulative hazard, time lost, mean cumulative count and contrasts against R (survfit, mets, and derivatives).

Where R holds the same sum, 1e-9. Standard errors that R gives as numerical derivatives (central differences, steps of
1e-4) agree to 1e-5. Leaving out one patient at a time is another estimate of the same error, and only near: 6 to 10 %
where there are ten events or more.
"""

import numpy as np
import pandas as pd
import pytest

from cohort.estimate.contrasts import compare_curves
from cohort.estimate.lost_time import time_lost
from cohort.estimate.nelson_aalen import nelson_aalen
from cohort.estimate.recurrent_counts import mean_cumulative_count

SAME_ALGORITHM = 1e-9
NUMERICAL = 1e-5


@pytest.fixture(scope="module")
def gold(outputs):
    return outputs("curves_beyond")


@pytest.fixture(scope="module")
def rows(data):
    """The data sets, with the 0/1 column of the event where there are causes."""

    def read(name):
        d = data(name)
        if name == "bladder2":
            return d[d["stop"] > d["start"]]
        return d.assign(event=(d["cause"] == 1).astype(int)) if "cause" in d else d

    return read


LUNG = {"exit": "time", "event": "event"}
CLUSTERED = {"exit": "exit", "event": "event", "entry": "entry", "cluster": "patient"}
FREQUENCY = {"weight": "fw", "weight_kind": "frequency"}


@pytest.mark.parametrize(
    ("key", "source", "options"),
    [
        ("lung", "lung", LUNG),
        ("lung_sex", "lung", LUNG | {"by": "sex"}),
        ("lung_efron", "lung", LUNG | {"ties": "efron"}),
        ("lung_inst", "lung", LUNG | {"cluster": "inst"}),
        ("lung_inst_efron", "lung", LUNG | {"cluster": "inst", "ties": "efron"}),
        ("lung_w", "lung", LUNG | {"weight": "w"}),
        ("lung_w_efron", "lung", LUNG | {"weight": "w", "ties": "efron"}),
        ("lung_fw", "lung", LUNG | FREQUENCY),
        ("lung_fw_efron", "lung", LUNG | FREQUENCY | {"ties": "efron"}),
        ("clustered_entry", "clustered", CLUSTERED | {"cluster": None}),
        ("clustered", "clustered", CLUSTERED),
        ("clustered_efron", "clustered", CLUSTERED | {"ties": "efron"}),
        ("clustered_weight", "clustered", CLUSTERED | {"weight": "w"}),
        ("bladder", "bladder2", {"entry": "start", "exit": "stop", "event": "event", "id": "id", "cluster": "id"}),
    ],
)
def test_the_cumulative_hazard_is_that_of_survfit(key, source, options, gold, rows, agree):
    theirs = gold["nelson_aalen"][key]
    at = list(dict.fromkeys(theirs["time"]))
    ours = nelson_aalen(rows(source), at=at, **options).frame
    agree(ours["estimate"], theirs["cumhaz"], SAME_ALGORITHM, key)
    agree(ours["std_error"], theirs["se_cumhaz"], SAME_ALGORITHM, key)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("lung_km", {}),
        ("lung_km_sex", {"by": "sex"}),
        ("lung_km_w", {"weight": "w"}),
        ("lung_km_fw", FREQUENCY),
        ("lung_fh2", {"ties": "efron"}),
    ],
)
def test_the_public_reference_values_hold_too(key, options, reference, data, agree):
    theirs = reference[key]
    ours = nelson_aalen(data("lung"), at=list(dict.fromkeys(theirs["time"])), **LUNG, **options).frame
    agree(ours["estimate"], theirs["cumhaz"], SAME_ALGORITHM, key)
    agree(ours["std_error"], theirs["se_cumhaz"], SAME_ALGORITHM, key)


UNITS = {"exit": "exit", "cause": "cause", "entry": "entry", "id": "unit"}


@pytest.mark.parametrize(
    ("key", "source", "options"),
    [
        ("melanoma", "melanoma", {"exit": "time", "cause": "status", "horizon": 3000}),
        ("clustered_units", "clustered", UNITS | {"horizon": 90}),
        ("clustered", "clustered", UNITS | {"horizon": 90, "cluster": "patient"}),
        ("clustered_weight", "clustered", UNITS | {"horizon": 90, "cluster": "patient", "weight": "w"}),
    ],
)
def test_time_lost_is_the_mean_time_in_each_state_of_survfit(key, source, options, gold, data, agree):
    ours = time_lost(data(source), **options).frame
    agree(ours["estimate"], gold["time_lost"][key]["estimate"], SAME_ALGORITHM, key)
    agree(ours["std_error"], gold["time_lost"][key]["se"], SAME_ALGORITHM, key)


def test_the_restricted_mean_of_survfit_has_our_standard_error(gold, data, agree):
    """Greenwood's, in R; without late entry, weights and clusters the infinitesimal jackknife is the same number."""
    ours = time_lost(data("lung"), exit="time", cause="event", horizon=365, by="sex").frame
    free = ours[ours["outcome"] == "event_free"]
    agree(free["estimate"], gold["time_lost"]["lung365"]["estimate"], SAME_ALGORITHM)
    agree(free["std_error"], gold["time_lost"]["lung365"]["se"], SAME_ALGORITHM)


def test_survfit_leaves_the_weights_out_of_the_error_of_a_mean_time(gold):
    """survfit 3.5-3 squares influences per unit of weight; the derivative of its own estimate says otherwise."""
    theirs = gold["time_lost"]["clustered_weight"]
    assert theirs["se_of_survfit"][0] / theirs["se_by_unit"][0] == pytest.approx(0.745, abs=0.001)


RECURRENT = {"exit": "exit", "cause": "cause", "entry": "entry", "id": "unit"}


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("death", {"cluster": "patient"}),
        ("death_by_unit", {}),
        ("weight", {"cluster": "patient", "weight": "w"}),
        ("no_terminal", {"cluster": "patient", "terminal": None}),
    ],
)
def test_the_mean_count_and_its_error_are_a_plain_estimator_and_its_derivative(key, options, gold, data, agree):
    theirs = gold["mean_cumulative_count"][key]
    ours = mean_cumulative_count(
        data("recurrent"), at=gold["mean_cumulative_count"]["death"]["time"], **RECURRENT, **options
    ).frame
    agree(ours["estimate"], theirs["estimate"], SAME_ALGORITHM, key)
    agree(ours["std_error"], theirs["se"], NUMERICAL, key)
    np.testing.assert_allclose(ours["std_error"], theirs["jackknife"], rtol=0.08)


def test_without_death_the_mean_count_is_the_clustered_hazard_of_survfit(gold, data, agree):
    theirs = gold["mean_cumulative_count"]["no_terminal_survfit"]
    ours = mean_cumulative_count(
        data("recurrent"), at=theirs["time"], cluster="patient", terminal=None, **RECURRENT
    ).frame
    agree(ours["estimate"], theirs["cumhaz"], SAME_ALGORITHM)
    agree(ours["std_error"], theirs["se_cumhaz"], SAME_ALGORITHM)


def test_mets_gives_the_same_mean_count_where_nothing_ties(gold, agree):
    """Its standard error lacks the factor 1 / (1 - dh) of Kaplan-Meier: within 1 %."""
    theirs = gold["mean_cumulative_count"]["untied_mets"]
    d = pd.DataFrame({name: theirs[name] for name in ("entry", "exit", "cause", "unit")})
    ours = mean_cumulative_count(d, at=gold["mean_cumulative_count"]["death"]["time"], **RECURRENT).frame
    agree(ours["estimate"], theirs["estimate"], SAME_ALGORITHM)
    agree(ours["std_error"], theirs["se"], 0.01)


BY = {"exit": "exit", "entry": "entry", "by": "leak", "cluster": "patient"}


def vertebra_contrasts(key, gold, rows):
    """The contrast of one curve between leak and none, as compared in R."""
    options = {"curve": key.removesuffix("_weight"), "at": gold["contrasts"]["time"], "cause": "cause", "id": "unit"}
    if key == "kaplan_meier":
        options |= {"cause": None, "event": "event", "id": None}
    if key == "time_lost":
        options |= {"at": 90}
    if key.endswith("_weight"):
        options |= {"weight": "w"}
    return compare_curves(rows("recurrent" if key == "mean_cumulative_count" else "clustered"), **BY, **options).frame


@pytest.mark.parametrize(
    "key", ["aalen_johansen", "aalen_johansen_weight", "kaplan_meier", "time_lost", "mean_cumulative_count"]
)
def test_a_contrast_between_vertebrae_counts_a_patient_in_both_groups_once(key, gold, rows, agree):
    ours, theirs = vertebra_contrasts(key, gold, rows), gold["contrasts"][key]
    difference, ratio = (ours[ours["measure"] == name] for name in ("difference", "ratio"))
    agree(difference["estimate"], theirs["difference"]["estimate"], SAME_ALGORITHM, key)
    agree(difference["std_error"], theirs["difference"]["se"], NUMERICAL, key)
    agree(ratio["coef"], theirs["log_ratio"]["estimate"], SAME_ALGORITHM, key)
    agree(ratio["std_error"], theirs["log_ratio"]["se"], NUMERICAL, key)
    np.testing.assert_allclose(difference["std_error"], theirs["difference"]["jackknife"], rtol=0.06)
    # Leaving out one of two events halves an incidence: on the log scale the jackknife is then far larger, as the
    # note beside our error warns.
    left_out, few = np.array(theirs["log_ratio"]["jackknife"], ndmin=1), ratio["note"].str.contains("only . event")
    np.testing.assert_allclose(ratio["std_error"][~few], left_out[~few], rtol=0.10)
    assert (ratio["std_error"][few] < left_out[few]).all()


def test_groups_that_share_nobody_add_their_variances(gold, data, agree):
    theirs = gold["independent"]
    options = {"exit": "time", "by": "sex"}
    ours = compare_curves(data("lung"), curve="kaplan_meier", event="event", at=theirs["time"], **options).frame
    ours = ours[ours["measure"] == "difference"]
    agree(ours["estimate"], theirs["kaplan_meier"]["difference"], SAME_ALGORITHM)
    agree(ours["std_error"], theirs["kaplan_meier"]["se"], SAME_ALGORITHM)
    days = compare_curves(data("lung"), curve="time_lost", cause="event", at=365, **options).frame.iloc[0]
    agree(days["estimate"], theirs["time_lost"]["difference"], SAME_ALGORITHM)
    agree(days["std_error"], theirs["time_lost"]["se"], SAME_ALGORITHM)
