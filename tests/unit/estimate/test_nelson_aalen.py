"""The cumulative hazard of cohorts small enough to work by hand, and what is said where there is little to say."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate.nelson_aalen import nelson_aalen, positive_limits

OPTIONS = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}
VALUES = ["estimate", "std_error", "conf_low", "conf_high"]


def test_tied_days_worked_by_hand():
    """Day 2: two of five. Day 4: one of two. With Efron the two of day 2 go one after the other: 1/5 + 1/4."""
    d = pd.DataFrame({"exit": [2, 2, 3, 4, 5], "event": [1, 1, 0, 1, 0]})
    plain = nelson_aalen(d, exit="exit", event="event").frame
    np.testing.assert_allclose(plain["estimate"], [2 / 5, 2 / 5 + 1 / 2], rtol=1e-14)
    np.testing.assert_allclose(plain["std_error"] ** 2, [2 / 25, 2 / 25 + 1 / 4], rtol=1e-14)
    turns = nelson_aalen(d, exit="exit", event="event", ties="efron").frame
    np.testing.assert_allclose(turns["estimate"], [1 / 5 + 1 / 4, 1 / 5 + 1 / 4 + 1 / 2], rtol=1e-14)
    np.testing.assert_allclose(turns["std_error"] ** 2, [1 / 25 + 1 / 16, 1 / 25 + 1 / 16 + 1 / 4], rtol=1e-14)
    assert plain["n_risk"].tolist() == [5, 2]
    assert plain["n_events"].tolist() == [2, 3]


def test_lifelines_has_the_same_hazard_and_from_its_own_variance_the_same_log_limits(vertebra_rows):
    """Its variance sums d (Y - d) / Y^3, that of a binomial day; ours and R's, d / Y^2, is larger where days tie."""
    from lifelines import NelsonAalenFitter

    d = vertebra_rows(4).query("entry == 0")
    fitted = NelsonAalenFitter(nelson_aalen_smoothing=False).fit(d["exit"], d["event"])
    days = fitted.event_table.query("observed > 0")
    ours = nelson_aalen(d, exit="exit", event="event").frame
    np.testing.assert_allclose(ours["estimate"], fitted.cumulative_hazard_.loc[days.index].iloc[:, 0], rtol=1e-10)
    had, at_risk = days["observed"].to_numpy(float), days["at_risk"].to_numpy(float)
    np.testing.assert_allclose(ours["std_error"] ** 2, np.cumsum(had / at_risk**2), rtol=1e-12)
    error = np.sqrt(np.cumsum(had * (at_risk - had) / at_risk**3))
    low, high = positive_limits(ours["estimate"].to_numpy(), error, "log", 0.95)
    np.testing.assert_allclose(np.column_stack([low, high]), fitted.confidence_interval_.loc[days.index], rtol=1e-10)


def test_the_robust_error_is_the_derivative_by_each_patients_weight(vertebra_rows):
    d, eps = vertebra_rows(5).assign(w=1.0), 1e-5
    for ties in ("breslow", "efron"):
        options = OPTIONS | {"weight": "w", "at": [5, 15, 30], "ties": ties}
        moved = [
            nelson_aalen(d.assign(w=1 + eps * (d["patient"] == p)), **options).frame["estimate"]
            - nelson_aalen(d.assign(w=1 - eps * (d["patient"] == p)), **options).frame["estimate"]
            for p in d["patient"].unique()
        ]
        numerical = np.sqrt(((np.array(moved) / (2 * eps)) ** 2).sum(axis=0))
        np.testing.assert_allclose(nelson_aalen(d, **options).frame["std_error"], numerical, rtol=1e-6)


def test_order_and_splits_change_nothing_and_copies_only_the_error(vertebra_rows):
    d = vertebra_rows(6)
    whole = nelson_aalen(d, **OPTIONS).frame
    pd.testing.assert_frame_equal(nelson_aalen(d.sample(frac=1, random_state=1), **OPTIONS).frame, whole)
    over = (d["entry"] < 9) & (d["exit"] > 9)
    split = pd.concat(
        [d[over].assign(exit=9.0, event=0), d.assign(entry=np.where(over, 9.0, d["entry"]))], ignore_index=True
    )
    parts = nelson_aalen(split, **OPTIONS).frame
    np.testing.assert_allclose(parts[VALUES], whole[VALUES], rtol=1e-10)
    assert parts["n_units"].tolist() == whole["n_units"].tolist()
    copies = pd.concat([d.assign(unit=d["unit"] + 1000 * k, patient=d["patient"] + 1000 * k) for k in range(4)])
    apart = nelson_aalen(copies, **OPTIONS).frame
    np.testing.assert_allclose(apart["estimate"], whole["estimate"], rtol=1e-12)
    np.testing.assert_allclose(apart["std_error"] * 2, whole["std_error"], rtol=1e-10)


@pytest.mark.parametrize("ties", ["breslow", "efron"])
@pytest.mark.parametrize("cluster", [None, "unit"])
def test_a_row_of_frequency_three_is_three_rows(vertebra_rows, ties, cluster):
    d = vertebra_rows(7).assign(w=lambda d: 1 + d["unit"] % 3)
    many = d.loc[d.index.repeat(d["w"])].reset_index(drop=True).assign(unit=lambda d: np.arange(len(d)))
    options = {"exit": "exit", "event": "event", "entry": "entry", "ties": ties, "cluster": cluster}
    one = nelson_aalen(d, weight="w", weight_kind="frequency", **options).frame
    np.testing.assert_allclose(
        one[[*VALUES, "n_risk", "n_events"]],
        nelson_aalen(many, **options).frame[[*VALUES, "n_risk", "n_events"]],
        rtol=1e-9,
    )


def test_a_unit_with_several_events_has_the_robust_error_also_unasked():
    d = pd.DataFrame({"id": [1, 1, 2, 3], "entry": [0, 2, 0, 0], "exit": [2, 5, 6, 6], "event": [1, 1, 0, 0]})
    options = {"entry": "entry", "exit": "exit", "event": "event"}
    result = nelson_aalen(d, id="id", **options)
    assert "jackknife" in result.settings["variance"]
    # Patient 1 is moved by 2/9 on each of two days, the others by 1/9: (4/9, 2/9, 2/9).
    assert result.frame["std_error"].iloc[-1] == pytest.approx(np.sqrt(24) / 9, rel=1e-12)


def test_frequencies_that_differ_within_a_patient_are_refused():
    d = pd.DataFrame({"patient": [1, 1], "exit": [2, 3], "event": [1, 1], "w": [1, 2]})
    with pytest.raises(EstimationError, match="three clusters alike"):
        nelson_aalen(d, exit="exit", event="event", cluster="patient", weight="w", weight_kind="frequency")


def test_without_event_the_hazard_is_zero_and_no_interval_is_claimed():
    d = pd.DataFrame({"exit": [5, 6], "event": [0, 0]})
    row = nelson_aalen(d, exit="exit", event="event", at=[5]).frame.iloc[0]
    assert (row["estimate"], row["n_events"]) == (0, 0)
    assert row[["conf_low", "conf_high"]].isna().all()
    assert "no interval" in row["note"]
    assert "only 0 events" in row["note"]


def test_after_the_last_day_of_follow_up_there_is_no_hazard():
    d = pd.DataFrame({"exit": [5, 9], "event": [1, 1]})
    rows = nelson_aalen(d, exit="exit", event="event", at=[9, 10]).frame
    assert rows["estimate"].iloc[0] == 1.5
    assert np.isnan(rows["estimate"].iloc[1])
    assert "last day of follow-up (day 9)" in rows["note"].iloc[1]


def test_a_single_patient_has_a_hazard_and_no_robust_error():
    d = pd.DataFrame({"unit": [1], "patient": [1], "entry": [0], "exit": [5], "event": [1]})
    row = nelson_aalen(d, **OPTIONS).frame.iloc[0]
    assert row["estimate"] == 1
    assert np.isnan(row["std_error"])
    assert "one cluster" in row["note"]
    assert nelson_aalen(d, exit="exit", event="event").frame["std_error"].tolist() == [1]


def test_nobody_gives_an_empty_frame_with_its_columns():
    result = nelson_aalen(pd.DataFrame({"exit": [], "event": []}, dtype=float), exit="exit", event="event").frame
    assert len(result) == 0
    assert {"time", "estimate", "note"} <= set(result.columns)
    asked = nelson_aalen(pd.DataFrame({"exit": [], "event": []}, dtype=float), exit="exit", event="event", at=5).frame
    assert asked["note"].str.contains("nobody was followed").all()


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"event": [2, 1]}, {}, "must be 0 or 1"),
        ({"exit": [np.nan, 9]}, {}, "missing or infinite"),
        ({}, {"ties": "exact"}, "breslow or efron"),
        ({}, {"conf_type": "log-log"}, "log or plain"),
        ({}, {"at": [1, np.nan]}, "days asked for"),
        ({}, {"by": "drug"}, "missing in 1 rows"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(change, options, words):
    d = pd.DataFrame({"exit": [5, 9], "event": [0, 1], "drug": ["a", None]} | change)
    with pytest.raises(EstimationError, match=words):
        nelson_aalen(d, exit="exit", event="event", **options)
