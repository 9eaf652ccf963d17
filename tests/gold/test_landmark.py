"""Landmark models and lagged exposure against coxph on wide data, on split rows, day by day, and on tmerge's rows."""

import numpy as np
import pytest

from cohort.estimate import cox
from cohort.estimate.lagged import lagged
from cohort.estimate.landmark import landmark

SAME_ALGORITHM = 1e-9
TERMS = {"stanford": ["transplant", "age", "surgery"], "vertebrae": ["drug", "leak", "age"]}
VERTEBRAE = {"entry": "entry", "exit": "exit", "event": "event", "id": "vertebra", "cluster": "patient"}
LAGS = {"moved": (30, None), "acting": (30, 60), "none": (45, 0), "at_once": (0, 20)}


def same_model(ours, gold, agree, naive=True):
    agree(ours["coef"], list(gold["coef"].values()), SAME_ALGORITHM, "coef")
    agree(ours["std_error"], list(gold["se"].values()), SAME_ALGORITHM, "SE")
    if naive:
        agree(ours["naive_std_error"], list(gold["se_naive"].values()), SAME_ALGORITHM, "naive SE")


@pytest.mark.parametrize(("horizon", "name"), [(None, "stanford_whole"), (200, "stanford_200")])
def test_stanford_from_counting_process_rows_is_stanford_from_wide_data(horizon, name, outputs, data, agree):
    """R never sees a counting-process row here: who had a transplant before the day, and who lived on, from jasa."""
    gold = outputs("landmark")[name]
    ours = landmark(
        data("heart"), TERMS["stanford"], at=(30, 60, 90), horizon=horizon, entry="start", exit="stop", event="event",
        id="id", small_sample="none",
    )  # fmt: skip
    for k, day in enumerate((30, 60, 90)):
        part = ours.frame[ours.frame["time"] == day]
        assert part["term"].tolist() == TERMS["stanford"]
        same_model(part, gold[str(day)], agree)
        assert part["n_units"].iloc[0] == gold[str(day)]["n"]
        assert part["n_events"].iloc[0] == gold[str(day)]["nevent"]
        assert part["n_exposed"].iloc[0] == gold["exposed"][k]
    stacked = ours.frame[ours.frame["stratum"] == "stacked"]
    same_model(stacked, gold["stacked"], agree)
    assert stacked["n_stacked_events"].iloc[0] == gold["stacked"]["nevent"]
    agree(ours.settings["loglik"], gold["stacked"]["loglik"], 1e-11, "log-likelihood")


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_vertebrae_with_gaps_repeated_events_and_late_entry(ties, outputs, data, agree):
    gold, counts = outputs("landmark")[f"vertebrae_{ties}"], outputs("landmark")["vertebrae_counts"]
    options = {"at": (60, 120, 180), "horizon": 90, "ties": ties, "small_sample": "none", **VERTEBRAE}
    rows = data("recurrent_vertebrae")
    frame = landmark(rows, TERMS["vertebrae"], **options).frame
    for k, day in enumerate((60, 120, 180)):
        part = frame[frame["time"] == day]
        same_model(part, gold[str(day)], agree)
        assert part["n_events"].iloc[0] == gold[str(day)]["nevent"]
        assert part["n_units"].iloc[0] == counts["units"][k]
        assert part["n_exposed"].iloc[0] == counts["exposed"][k]
    stacked = frame[frame["stratum"] == "stacked"]
    same_model(stacked, gold["stacked"], agree)
    assert stacked["n_events"].iloc[0] == counts["distinct_events"]
    weighted = landmark(rows, TERMS["vertebrae"], weight="w", strata="site", **options).frame
    same_model(weighted[weighted["stratum"] == "stacked"], gold["weighted"], agree)


def switching(data):
    """A drug that goes on and off from row to row, as landmark.R makes it."""
    rows = data("recurrent_vertebrae").sort_values(["vertebra", "entry"])
    nth = rows.groupby("vertebra").cumcount() + 1
    return rows.assign(on=((rows["vertebra"] + nth) % 3 != 0).astype(int))


def moved(rows, name):
    lag, action = LAGS[name]
    return lagged(
        rows, "on", lag_days=lag, duration_days=action, id="vertebra", entry="entry", exit="exit", event="event"
    )


@pytest.mark.parametrize("name", LAGS)
def test_lagged_rows_are_those_of_every_day_asked_on_its_own(name, outputs, data, agree):
    gold = outputs("landmark")[f"lag_{name}"]
    ours = moved(switching(data).sample(frac=1, random_state=1), name)
    days = ((ours["exit"] - ours["entry"]) * ours["on"]).groupby(ours["vertebra"]).sum()
    assert days.to_dict() == {int(vertebra): count for vertebra, count in gold["exposed_days"].items()}
    assert (ours["on"] * ours["event"]).sum() == gold["exposed_events"]
    fit = cox(ours, ["on", "leak", "age"], small_sample="none", **VERTEBRAE).frame
    same_model(fit, gold["fit"], agree)


@pytest.mark.parametrize("name", LAGS)
def test_lagged_rows_are_those_of_tmerge(name, outputs, data, agree):
    gold = outputs("landmark")[f"tmerge_{name}"]
    rows = switching(data)
    ours = moved(rows[rows["vertebra"].isin(outputs("landmark")["without_gap"])], name)
    assert ((ours["exit"] - ours["entry"]) * ours["on"]).sum() == gold["exposed_days"]
    fit = cox(ours, ["on", "leak", "age"], small_sample="none", **VERTEBRAE).frame
    same_model(fit, gold["fit"], agree)


def test_a_lag_of_nothing_leaves_the_fit_as_it_is(data):
    rows = data("recurrent_vertebrae")
    same = lagged(rows, "drug", lag_days=0, id="vertebra", entry="entry", exit="exit", event="event")
    one, other = (cox(d, TERMS["vertebrae"], **VERTEBRAE).frame for d in (rows, same))
    np.testing.assert_allclose(one["coef"], other["coef"], rtol=1e-12)
    assert len(same) == len(rows)
