"""Recurrent events by four clocks against coxph on rows that R ordered, laid out and reset by itself."""

import numpy as np
import pytest

from cohort.estimate.recurrent import recurrent

R_STOPS_EARLY = 1e-7  # coxph at its default, see test_cox.py
SAME_ALGORITHM = 1e-9  # scripts of this folder converge coxph to 1e-13
TERMS = ["leak", "age", "drug"]
ROWS = {"entry": "entry", "exit": "exit", "event": "event", "id": "vertebra", "cluster": "patient"}
BLADDER = {"entry": "start", "exit": "stop", "event": "event", "id": "id"}

SETTINGS = {
    "ag": {"clock": "andersen_gill"},
    "ag_weight_site": {"clock": "andersen_gill", "weight": "w", "strata": "site"},
    "total": {"clock": "pwp_total"},
    "total_3": {"clock": "pwp_total", "max_order": 3},
    "total_3_weight_site": {"clock": "pwp_total", "max_order": 3, "weight": "w", "strata": "site"},
    "gap": {"clock": "pwp_gap"},
    "gap_3": {"clock": "pwp_gap", "max_order": 3},
    "gap_1": {"clock": "pwp_gap", "max_order": 1},
    "marginal": {"clock": "marginal"},
    "marginal_3": {"clock": "marginal", "max_order": 3},
}


def same_model(ours, gold, agree, rel):
    frame = ours.frame
    assert frame["term"].tolist() == list(gold["coef"])
    agree(frame["coef"], list(gold["coef"].values()), rel, "coef")
    agree(frame["naive_std_error"], list(gold["se_naive"].values()), rel, "naive SE")
    agree(frame["std_error"], list(gold["se"].values()), rel, "SE")
    agree(ours.settings["loglik"], gold["loglik"], 1e-11, "log-likelihood")
    agree(ours.settings["score_statistic"], gold["score"], rel, "score test")
    assert frame["n_events"].iloc[0] == gold["nevent"]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", list(SETTINGS))
def test_late_entry_gaps_ties_and_clusters_are_those_of_coxph(name, ties, outputs, data, agree):
    ours = recurrent(data("recurrent_vertebrae"), TERMS, ties=ties, **SETTINGS[name], **ROWS)
    same_model(ours, outputs("recurrent")[f"{name}_{ties}"], agree, SAME_ALGORITHM)


def test_the_orders_are_those_counted_row_by_row(outputs, data):
    gold = outputs("recurrent")
    settings = recurrent(data("recurrent_vertebrae"), TERMS, clock="pwp_total", **ROWS).settings
    assert settings["events_by_order"] == gold["orders"]
    assert settings["units_by_order"] == {k: n for k, n in gold["units"].items() if k in gold["orders"]}


@pytest.mark.parametrize(
    ("key", "clock"), [("bl_ag", "andersen_gill"), ("bl_pwp", "pwp_total"), ("bl_wlw", "marginal")]
)
def test_bladder_tumours_are_those_of_the_textbook_layouts(key, clock, reference, data, agree):
    """bl_wlw was fitted on `bladder`, laid out by order; here that layout is made from the rows of `bladder2`."""
    ours = recurrent(data("bladder2"), ["rx", "size", "number"], clock=clock, **BLADDER)
    same_model(ours, reference[key], agree, R_STOPS_EARLY)


@pytest.mark.parametrize(("key", "max_order"), [("bladder_gap", None), ("bladder_gap_2", 2)])
def test_without_gaps_the_clock_starts_anew_with_each_row(key, max_order, outputs, data, agree):
    ours = recurrent(data("bladder2"), ["rx", "size", "number"], clock="pwp_gap", max_order=max_order, **BLADDER)
    same_model(ours, outputs("recurrent")[key], agree, SAME_ALGORITHM)


def test_the_order_of_rows_changes_nothing(data):
    rows = data("recurrent_vertebrae")
    for options in SETTINGS.values():
        one = recurrent(rows, TERMS, **options, **ROWS).frame
        other = recurrent(rows.sort_values(["exit", "leak"]), TERMS, **options, **ROWS).frame
        np.testing.assert_allclose(other[["coef", "std_error"]], one[["coef", "std_error"]], rtol=1e-9)
