"""Individual times from a published curve: exact where everything is printed, near where it is not, and never silent.

The R values (tests/gold/guyot.R) are the algorithm written a second time, in base R, on curves of survival::lung and
survival::veteran read at a grid to two or three decimals.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.errors import EstimationError
from cohort.estimate.cox import cox
from cohort.literature.guyot import individual_times, invert

GOLD = json.loads((Path(__file__).parents[2] / "gold" / "guyot.json").read_text())["outputs"]
CASES = GOLD["cases"]
# Here R's program stops with too few at risk and censored patients still in the interval; ours goes on.
STOPPED = [name for name, case in CASES.items() if case["stopped_with_censored"] and not name.endswith("_nearer")]
SAME = [name for name in CASES if name not in STOPPED]


def survival_at(times, exit_, event):
    """Kaplan-Meier by hand."""
    days, drops = np.unique(exit_[event], return_counts=True)
    at_risk = np.array([(exit_ >= day).sum() for day in days])
    return np.append(1.0, np.cumprod(1 - drops / at_risk))[np.searchsorted(days, times, side="right")]


def published(exit_, event, times, risk_times):
    curve = pd.DataFrame({"time": times, "survival": survival_at(times, exit_, event)})
    at_risk = pd.DataFrame({"time": risk_times, "n_risk": [int((exit_ >= t).sum()) for t in risk_times]})
    return curve, at_risk


def reconstructed(case):
    curve = pd.DataFrame({"time": case["time"], "survival": case["survival"]})
    at_risk = pd.DataFrame({"time": np.atleast_1d(case["trisk"]), "n_risk": np.atleast_1d(case["nrisk"])})
    return individual_times(curve, at_risk, n_events=case.get("n_events_given"))


def test_a_curve_of_ten_patients_worked_by_hand():
    # 10 at risk; 1 event at 2 (S 0.9); one leaves before 5, so 8 at risk there; 2 events at 5: 0.9 * 6/8 = 0.675;
    # 2 of the 6 left at 6: 0.675 * 4/6 = 0.45. The four others are censored at the end of the curve.
    curve = pd.DataFrame({"time": [0, 2, 5, 6], "survival": [1, 0.9, 0.675, 0.45]})
    found = individual_times(curve, pd.DataFrame({"time": [0, 5], "n_risk": [10, 8]}), n_events=5)
    assert found.frame["exit"].tolist() == [2, 3.5, 5, 5, 6, 6, 6, 6, 6, 6]
    assert found.frame["event"].tolist() == [True, False, True, True, True, True, False, False, False, False]
    assert found.max_error == pytest.approx(0, abs=1e-12)
    assert found.error.query("quantity == 'n_risk'")["reconstructed"].tolist() == [10, 8]
    assert (found.n_events_published, found.n_events_obtained, found.warnings) == (5, 5, ())


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=12),
    st.integers(0, 3),
    st.integers(0, 4),
)
def test_every_step_and_every_number_at_risk_give_the_times_themselves(steps, censored_first, left):
    # Steps 2 to 18 days apart; the censored stand half-way to the next step, whoever is left at the last one.
    days = np.cumsum([0] + [2 * gap for gap, _, _ in steps]).astype(float)
    events = np.repeat(days[1:], [d for _, d, _ in steps])
    leaving = [censored_first, *(c for _, _, c in steps)][: len(steps)]
    censored = np.append(np.repeat((days[:-1] + days[1:]) / 2, leaving), np.repeat(days[-1], left))
    true = pd.DataFrame(
        {"exit": np.append(events, censored), "event": np.arange(len(events) + len(censored)) < len(events)}
    )
    true = true.sort_values(["exit", "event"], ascending=[True, False], ignore_index=True)
    exit_, event = true["exit"].to_numpy(), true["event"].to_numpy()
    found = individual_times(*published(exit_, event, days, days))
    pd.testing.assert_frame_equal(found.frame, true)
    assert found.max_error < 1e-12
    assert found.warnings == ()


def test_wherever_the_censored_stood_the_events_and_the_numbers_between_them_are_exact():
    rng = np.random.default_rng(4)
    exit_, event = np.ceil(rng.exponential(300, 80)), rng.random(80) < 0.5
    days = np.append(0.0, np.unique(exit_[event]))
    found = individual_times(*published(exit_, event, days, days)).frame
    assert found.loc[found["event"], "exit"].tolist() == sorted(exit_[event])
    # Between two steps a patient leaves after the first and before the second, on any day.
    gone = found.loc[~found["event"], "exit"]
    assert np.histogram(gone, days)[0][:-1].tolist() == [
        int(((exit_ >= a) & (exit_ < b) & ~event).sum()) for a, b in pairwise(days[:-1])
    ]


@pytest.mark.parametrize("name", SAME)
def test_the_same_times_as_the_algorithm_written_in_r(name):
    case, found = CASES[name], reconstructed(CASES[name])
    # The same whole numbers of events and censored, so the same times to the last bit.
    assert found.frame["exit"].tolist() == case["exit"]
    assert found.frame["event"].astype(int).tolist() == case["event"]
    assert found.root_mean_square_error == pytest.approx(case["rmse"], rel=1e-10)
    assert found.max_error == pytest.approx(case["max"], rel=1e-10)
    drawn = found.error.query("quantity == 'survival' and time > 0")["reconstructed"]
    np.testing.assert_allclose(drawn, case["drawn"], rtol=1e-10)
    left = found.error.query("quantity == 'n_risk'")["reconstructed"]
    assert left.tolist() == np.atleast_1d(case["at_risk_again"]).tolist()
    assert found.n_events_obtained == case["n_events"]


@pytest.mark.parametrize("name", STOPPED)
def test_where_the_published_program_stops_with_too_few_at_risk_ours_comes_nearer(name):
    case, found = CASES[name], reconstructed(CASES[name])
    theirs = np.abs(np.array(case["at_risk_again"]) - np.array(case["nrisk"]))
    ours = found.error.query("quantity == 'n_risk'")["difference"].abs()
    assert ours.sum() < theirs.sum()


def test_the_curves_of_veteran_give_nearly_the_ratio_of_the_patients():
    true = GOLD["veteran_ratio"]["true"]["coef"]
    for fine, name in ((True, "veteran_{}_nearer"), (False, "veteran_{}_coarse_nearer")):
        arms = [
            reconstructed(CASES[name.format(arm) if name.format(arm) in CASES else f"veteran_{arm}"]).frame
            for arm in (1, 2)
        ]
        rows = pd.concat([frame.assign(arm=arm) for arm, frame in enumerate(arms)])
        coef = float(cox(rows, ["arm"], exit="exit", event="event").frame["coef"].iloc[0])
        assert abs(coef - true) < (0.03 if fine else 0.08)  # its standard error is 0.18


def arms_of(seed, n, hazard_ratio=0.6):
    """Two arms followed for 180 to 1,095 days, seen by the day."""
    rng = np.random.default_rng(seed)
    for arm, rate in enumerate((1 / 700, hazard_ratio / 700)):
        days, end = np.ceil(rng.exponential(1 / rate, n)), np.ceil(rng.uniform(180, 1095, n))
        yield arm, np.minimum(days, end), days <= end


@pytest.mark.parametrize(
    ("digits", "noise", "known", "bias", "worst", "events_off"),
    [(3, 0.0, False, 0.006, 0.04, 0.05), (3, 0.0, True, 0.006, 0.04, 0.05), (2, 0.003, False, 0.006, 0.05, 0.08)],
)
def test_two_reconstructed_arms_have_the_hazard_ratio_of_the_true_ones(digits, noise, known, bias, worst, events_off):
    # 30 trials of two times 200; the curve read every 10 days, numbers at risk every half year. The log hazard ratio
    # has a standard error of 0.13: the reconstruction adds a tenth of that.
    rng = np.random.default_rng(1)
    off, shares = [], []
    for seed in range(30):
        true, again = [], []
        for arm, exit_, event in arms_of(seed, 200):
            times = np.arange(0, exit_.max() + 1, 10.0)
            curve, at_risk = published(exit_, event, times, np.arange(0, exit_.max(), 180.0))
            read = curve["survival"] + np.append(0.0, rng.normal(0, noise, len(times) - 1))
            found = individual_times(
                curve.assign(survival=read.round(digits)), at_risk, n_events=int(event.sum()) if known else None
            )
            true.append(pd.DataFrame({"exit": exit_, "event": event, "arm": arm}))
            again.append(found.frame.assign(arm=arm))
            shares.append(abs(found.n_events_obtained / event.sum() - 1))
            assert len(found.frame) == 200
            # Errors of reading can leave no number of censored that meets the next number at risk exactly.
            assert found.error.query("quantity == 'n_risk'")["difference"].abs().max() <= (2 if noise else 0)
        coefs = [
            float(cox(pd.concat(part), ["arm"], exit="exit", event="event").frame["coef"].iloc[0])
            for part in (true, again)
        ]
        off.append(coefs[1] - coefs[0])
    assert abs(np.mean(off)) < bias
    assert np.abs(off).max() < worst
    assert max(shares) < events_off


def test_without_numbers_at_risk_nobody_is_censored_before_the_end():
    curve = pd.DataFrame({"time": [0, 10, 20, 30], "survival": [1, 0.9, 0.8, 0.7]})
    found = individual_times(curve, pd.DataFrame({"time": [0], "n_risk": [20]}))
    assert found.frame.loc[~found.frame["event"], "exit"].unique().tolist() == [30]
    assert found.n_events_obtained == 6
    assert "no patient is censored before the end" in found.warnings[0]


def test_without_numbers_at_risk_the_events_known_say_how_many_were_censored():
    curve = pd.DataFrame({"time": np.arange(0, 110, 10), "survival": 0.95 ** np.arange(11)})
    found = individual_times(curve, pd.DataFrame({"time": [0], "n_risk": [100]}), n_events=30)
    assert found.n_events_obtained == 30
    between = found.frame.query("not event and exit < 100")["exit"]
    assert len(between) > 20  # 40 events without censoring
    assert np.histogram(between, [0, 50, 100])[0].tolist() == pytest.approx([len(between) / 2] * 2, abs=1)
    assert "evenly over the curve" in found.warnings[0]


def test_events_that_no_censoring_can_give_are_said():
    curve = pd.DataFrame({"time": [0, 10, 20], "survival": [1, 0.9, 0.8]})
    found = individual_times(curve, pd.DataFrame({"time": [0], "n_risk": [20]}), n_events=9)
    assert (found.n_events_published, found.n_events_obtained) == (9, 4)
    assert any("4 events were obtained where 9 were published" in said for said in found.warnings)


def test_when_the_events_are_used_up_the_rest_of_the_curve_has_none():
    curve = pd.DataFrame({"time": [0, 10, 20, 30], "survival": [1, 0.9, 0.8, 0.7]})
    found = individual_times(curve, pd.DataFrame({"time": [0, 20], "n_risk": [20, 18]}), n_events=2)
    assert found.n_events_obtained == 2
    assert found.frame["exit"].tolist() == [10, 10, *[30] * 18]


def test_incidence_is_one_less_survival_and_says_that_death_may_have_competed():
    curve = pd.DataFrame({"time": [0, 2, 5, 6], "survival": [1, 0.9, 0.675, 0.45]})
    at_risk = pd.DataFrame({"time": [0, 5], "n_risk": [10, 8]})
    turned = curve.assign(incidence=1 - curve["survival"])[["time", "incidence"]]
    found = individual_times(turned, at_risk, reads="incidence")
    pd.testing.assert_frame_equal(found.frame, individual_times(curve, at_risk).frame)
    assert "Aalen-Johansen" in found.warnings[-1]


def test_what_is_changed_in_the_coordinates_is_said():
    curve = pd.DataFrame(
        {
            "time": [-0.1, 1, 1, 3, 2, 4, 5, np.nan, 6],
            "survival": [1.0, 1.01, 0.9, 0.8, 0.9, 0.81, 0.7, 0.6, -0.004],
        }
    )
    at_risk = pd.DataFrame({"time": [0, 3.5, 9, 2], "n_risk": [10, 8, 0, None]})
    found = individual_times(curve, at_risk)
    assert list(found.warnings[:9]) == [
        "1 row of curve without a number in `time` or `survival` left out.",
        "1 point before time 0 left out.",
        "The points were not in order of time and were sorted.",
        "1 point at the time of another left out: the lowest survival counts.",
        "1 point outside 0 to 1, by up to 0.004, set to 0 or 1.",
        "The curve had no point at time 0; survival 1 was put there.",
        "1 point higher than one before, by up to 0.01, set down to it.",
        "1 row of at_risk without a number in `time` or `n_risk` left out.",
        "1 time with a number at risk beyond the last coordinate, at 6, left out.",
    ]
    assert found.warnings[9] == (
        "The curve had no point at 1 time with a number at risk; the value before it was taken."
    )
    # What is compared is what was published, not what it was changed to.
    assert found.error.query("quantity == 'survival'")["published"].tolist() == [0.9, 0.9, 0.8, 0.81, 0.7, -0.004]


def test_an_event_at_time_zero_is_taken_at_the_next_point():
    curve = pd.DataFrame({"time": [0, 0, 4], "survival": [1, 0.98, 0.9]})
    found = individual_times(curve, pd.DataFrame({"time": [0], "n_risk": [50]}))
    assert found.frame.query("event")["exit"].tolist() == [4] * 5
    assert any("Survival at time 0 was 0.98" in said for said in found.warnings)


def test_a_curve_that_never_falls_has_no_events_and_one_that_ends_at_zero_no_censored():
    flat = pd.DataFrame({"time": [0, 100], "survival": [1, 1]})
    found = individual_times(flat, pd.DataFrame({"time": [0, 100], "n_risk": [8, 3]}))
    assert found.frame["exit"].tolist() == [50] * 5 + [100] * 3
    assert not found.frame["event"].any()
    falls = pd.DataFrame({"time": [0, 1, 2], "survival": [1, 0.5, 0]})
    assert individual_times(falls, pd.DataFrame({"time": [0], "n_risk": [2]})).frame["exit"].tolist() == [1, 2]


def test_one_patient():
    curve = pd.DataFrame({"time": [0, 7], "survival": [1, 0]})
    found = individual_times(curve, pd.DataFrame({"time": [0], "n_risk": [1]}))
    assert found.frame.to_numpy().tolist() == [[7.0, True]]


def test_numbers_at_risk_that_the_curve_does_not_allow_are_said():
    curve = pd.DataFrame({"time": [0, 10, 20], "survival": [1, 0.5, 0.5]})
    found = individual_times(curve, pd.DataFrame({"time": [0, 20], "n_risk": [10, 9]}))
    assert any("not met at 1 time of 2; the largest difference is 4 of 10 patients" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("curve", "at_risk", "options", "words"),
    [
        ({"time": [0, 5], "survival": [100, 90]}, None, {}, "Divide per cents by 100"),
        ({"time": [0, 5], "survival": [0.0, 0.3]}, None, {}, 'Survival at time 0 is 0, .* reads="incidence"'),
        ({"time": [0, 5, 9], "survival": [1, 0.5, 0.7]}, None, {}, "rises by 0.2 up to time 9"),
        ({"time": [0, 5], "alive": [1, 0.9]}, None, {}, "no column `survival`"),
        ({"time": [0], "survival": [1]}, None, {}, "none after time 0"),
        ({"time": [0, 5], "survival": ["a", "b"]}, None, {}, "none after time 0"),
        (None, {"time": [1], "n_risk": [10]}, {}, "must start with all patients at time 0"),
        (None, {"time": [], "n_risk": []}, {}, "must start with all patients at time 0"),
        (None, {"time": [0, 5], "n_risk": [10, 8.5]}, {}, "is 8.5; they are whole numbers"),
        (None, {"time": [0, 5], "n_risk": [10, 12]}, {}, "rises from 10 to 12 at time 5"),
        (None, {"time": [0, 5, 5], "n_risk": [10, 8, 7]}, {}, "gives time 5 twice"),
        (None, None, {"n_events": 11}, "11 events cannot come from 10 patients"),
        (None, None, {"n_events": 1.5}, "1.5 events cannot come"),
        (None, None, {"reads": "hazard"}, "survival or incidence"),
    ],
)
def test_what_cannot_be_used_is_refused(curve, at_risk, options, words):
    curve = curve or {"time": [0, 5, 9], "survival": [1, 0.9, 0.7]}
    at_risk = at_risk or {"time": [0, 5], "n_risk": [10, 9]}
    with pytest.raises(EstimationError, match=words.replace("(", r"\(")):
        individual_times(pd.DataFrame(curve), pd.DataFrame(at_risk), **options)


def test_the_order_of_the_rows_changes_nothing():
    case = CASES["lung_grid"]
    curve = pd.DataFrame({"time": case["time"], "survival": case["survival"]}).sample(frac=1, random_state=3)
    at_risk = pd.DataFrame({"time": case["trisk"], "n_risk": case["nrisk"]}).iloc[::-1]
    pd.testing.assert_frame_equal(individual_times(curve, at_risk).frame, reconstructed(case).frame)


def test_the_unit_of_time_changes_nothing():
    case = CASES["lung_grid"]
    months = np.array(case["time"]) / 30.44
    lower = np.searchsorted(case["time"], case["trisk"])
    by_day = invert(np.array(case["time"], float), np.array(case["survival"]), lower, np.array(case["nrisk"]))
    by_month = invert(months, np.array(case["survival"]), lower, np.array(case["nrisk"]))
    np.testing.assert_array_equal(by_day, by_month)
