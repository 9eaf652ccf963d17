"""Shares in several states against R's survfit; the algorithm is the same, so 1e-9 is expected."""

import numpy as np
import pandas as pd
import pytest

from cohort.estimate import aalen_johansen
from cohort.estimate.multistate import mean_time_in_states, state_probabilities, state_transitions

SAME_ALGORITHM = 1e-9
STATES = ("intact", "broken", "healed", "dead")
COLUMNS = {"estimate": "pstate", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}
ROWS = {"entry": "entry", "exit": "exit", "state_from": "was", "state_to": "becomes", "id": "unit", "states": STATES}


def in_time(rows):
    """Those who start intact on day 0."""
    return rows[(rows["patient"] % 4 != 0) & (rows["patient"] % 5 != 0)]


CASES = [
    ("plain", {}),
    ("late_entry", {}),
    ("by_patient", {"cluster": "patient"}),
    ("weighted", {"weight": "w"}),
    ("weighted_by_patient", {"weight": "w", "cluster": "patient"}),
    ("given_start", {"cluster": "patient", "initial": {"intact": 0.7, "broken": 0.2, "healed": 0.1}}),
]


@pytest.mark.parametrize(("key", "options"), CASES)
def test_shares_in_each_state_and_their_errors_are_those_of_survfit(key, options, outputs, data, agree):
    gold, rows = outputs("multistate")[key], data("courses")
    rows = in_time(rows) if key == "plain" else rows
    ours = state_probabilities(rows, at=gold["time"], small_sample="none", **ROWS, **options).frame
    for mine, theirs in COLUMNS.items():
        agree(ours[mine], gold[theirs], SAME_ALGORITHM, f"{key} {theirs}")


@pytest.mark.parametrize(("key", "options"), CASES)
def test_mean_time_in_each_state_is_the_area_under_its_share(key, options, outputs, data, agree):
    """R's shares and influences, integrated in the R script."""
    gold, rows = outputs("multistate")[key], data("courses")
    rows = in_time(rows) if key == "plain" else rows
    ours = mean_time_in_states(rows, horizon=120, **ROWS, **options).frame
    agree(ours["estimate"], gold["mean_days"], SAME_ALGORITHM, key)
    agree(ours["std_error"], gold["mean_days_se"], SAME_ALGORITHM, key)
    assert ours["estimate"].sum() == pytest.approx(120, rel=1e-12)


def test_mean_time_is_that_printed_by_survfit(outputs, data, agree):
    gold = outputs("multistate")["rmean"]
    ours = mean_time_in_states(in_time(data("courses")), horizon=120, **ROWS).frame.set_index("outcome")
    agree(ours.loc[gold["state"], "estimate"], gold["days"], SAME_ALGORITHM)
    agree(ours.loc[gold["state"], "std_error"], gold["se"], SAME_ALGORITHM)


def test_survfit_too_says_that_a_split_changes_nothing(outputs, agree):
    gold = outputs("multistate")
    for name in ("pstate", "se"):
        agree(gold["split"][name], gold["by_patient"][name], 1e-12)


def test_numbers_at_risk_and_moves_by_day_are_those_of_survfit(outputs, data):
    gold = outputs("multistate")["every_day"]
    ours = state_probabilities(data("courses"), **ROWS).frame
    assert ours["time"].unique().tolist() == gold["time"]
    assert (
        ours.pivot_table(index="time", columns="outcome", values="n_risk")[gold["states"]].values.tolist()
        == gold["n_risk"]
    )
    into = ours.pivot_table(index="time", columns="outcome", values="n_events")[gold["states"]]
    assert into.values.tolist() == np.cumsum(gold["n_event"], axis=0).tolist()


def test_every_move_is_counted_as_survcheck_counts_it(outputs, data):
    gold = pd.DataFrame(outputs("multistate")["transitions"])
    gold = gold[gold["to"] != "(censored)"].set_index(["from", "to"])["Freq"]
    ours = state_transitions(data("courses"), cluster="patient", **ROWS).frame
    assert len(ours) == 9, "three states that are followed, each left for three others"
    assert ours["n_events"].tolist() == [gold[pair] for pair in zip(ours["state_from"], ours["state_to"], strict=True)]


@pytest.mark.parametrize("options", [{}, {"cluster": "patient"}, {"cluster": "patient", "weight": "w"}, {"by": "site"}])
def test_competing_risks_are_the_case_of_one_state_to_leave(options, data):
    """The two are different code: agreement to the last digits is required, 1e-12."""
    rows = data("clustered")
    causes = ("refracture", "death")
    every = {"entry": "entry", "exit": "exit", "id": "unit", **options}
    theirs = aalen_johansen(rows, cause="cause", causes_named=causes, **every).frame
    moves = rows.assign(was="event_free", becomes=rows["cause"].map({1: "refracture", 2: "death"}))
    ours = state_probabilities(
        moves, state_from="was", state_to="becomes", states=("event_free", *causes), initial="event_free", **every
    ).frame
    assert ours[["stratum", "time", "outcome"]].equals(theirs[["stratum", "time", "outcome"]])
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-12, atol=1e-15, err_msg=name)
    in_first = ours["outcome"] == "event_free"
    assert ours.loc[in_first, "n_risk"].tolist() == theirs.loc[in_first, "n_risk"].tolist()
    assert ours.loc[~in_first, "n_events"].tolist() == theirs.loc[~in_first, "n_events"].tolist()
