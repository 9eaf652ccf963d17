"""Shares in several states: a cohort worked by hand, what must always hold, and what is said where little is known."""

import time

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate.multistate import mean_time_in_states, state_probabilities, state_transitions

STATES = ("well", "broken", "dead")
COLUMNS = {"entry": "entry", "exit": "exit", "state_from": "was", "state_to": "becomes", "id": "id", "states": STATES}


def rows(text):
    lines = [line.split() for line in text.strip().splitlines()]
    frame = pd.DataFrame(lines[1:], columns=lines[0])
    numeric = [name for name in frame if name not in ("was", "becomes")]
    frame[numeric] = frame[numeric].apply(pd.to_numeric)
    return frame.replace({"becomes": {"-": None}})


FIVE = """
id entry exit was    becomes
1  0     1    well   broken
1  1     3    broken well
1  3     5    well   -
2  0     2    well   broken
2  2     4    broken dead
3  0     2    well   dead
4  0     3    well   -
5  0     4    well   broken
5  4     6    broken -
"""


def random_rows(seed, n_patients=30, last_day=40):
    """Vertebrae in patients, days small enough that many moves tie, late entry, gaps in what is seen."""
    rng = np.random.default_rng(seed)
    found = []
    for patient in range(n_patients):
        for _ in range(int(rng.integers(1, 4))):
            unit, day = len(found), int(rng.integers(0, 10)) * int(rng.random() < 0.3)
            state, end = int(rng.integers(0, 2)) * int(day > 0), day + int(rng.integers(3, last_day))
            while day < end and state < 2:
                leave = min(day + int(rng.integers(1, 12)), end)
                to = int(rng.choice([state, *(s for s in range(3) if s != state)], p=[0.2, 0.5, 0.3]))
                stays = leave == end and rng.random() < 0.7
                found.append((unit, patient, day, leave, STATES[state], None if stays else STATES[to]))
                day, state = leave, state if stays else to
    frame = pd.DataFrame(found, columns=["id", "patient", "entry", "exit", "was", "becomes"])
    return frame.assign(w=1.0 + frame["patient"] % 3)


def shares(frame, at=None, **options):
    return state_probabilities(frame, at=at, **{**COLUMNS, **options}).frame


def wide(frame, value="estimate"):
    return frame.pivot_table(index="time", columns="outcome", values=value, dropna=False)[list(STATES)]


def test_five_patients_worked_by_hand():
    """Day 1: of 5 well, 1 breaks. Day 2: of 4 well (0.8), 1 breaks and 1 dies; the broken one stays.
    Day 3: of 2 broken (0.4), 1 heals; well 0.4 + 0.2. Day 4: of 2 well (0.6), 1 breaks; of 1 broken (0.2), 1 dies."""
    found = wide(shares(rows(FIVE)))
    np.testing.assert_allclose(found["well"], [0.8, 0.4, 0.6, 0.3], rtol=1e-14)
    np.testing.assert_allclose(found["broken"], [0.2, 0.4, 0.2, 0.3], rtol=1e-14)
    np.testing.assert_allclose(found["dead"], [0, 0.2, 0.2, 0.4], rtol=1e-14)
    day_3 = shares(rows(FIVE), at=[3]).set_index("outcome")
    assert day_3["n_risk"].tolist() == [2, 2, 0]
    assert day_3["n_events"].tolist() == [1, 2, 1]
    assert day_3[["n_patients", "n_units"]].iloc[0].tolist() == [5, 5]


def test_mean_days_in_each_state_are_the_area_under_its_share():
    found = mean_time_in_states(rows(FIVE), horizon=5, **COLUMNS).frame.set_index("outcome")["estimate"]
    np.testing.assert_allclose(found[list(STATES)], [1 + 0.8 + 0.4 + 0.6 + 0.3, 0.2 + 0.4 + 0.2 + 0.3, 0.2 + 0.2 + 0.4])


def test_moves_and_time_are_those_that_can_be_counted_by_hand():
    found = state_transitions(rows(FIVE), **COLUMNS).frame.set_index(["state_from", "state_to"])
    assert found["n_events"].to_dict() == {
        ("well", "broken"): 3, ("well", "dead"): 1, ("broken", "well"): 1, ("broken", "dead"): 1,
    }  # fmt: skip
    days = found["person_years"] * 365.25
    assert days[("well", "dead")] == pytest.approx(1 + 2 + 2 + 2 + 3 + 4)
    assert days[("broken", "dead")] == pytest.approx(2 + 2 + 2)
    assert found.loc[("broken", "dead"), "n_patients"] == 3
    assert found.loc[("broken", "dead"), "estimate"] == pytest.approx(100 / (6 / 365.25))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_every_day_the_shares_add_to_one(seed):
    found = wide(shares(random_rows(seed)))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    assert ((found >= 0) & (found <= 1)).all(axis=None)


def test_without_loss_the_share_is_the_proportion_and_its_error_binomial():
    d = random_rows(4, n_patients=200)
    d = d[d["id"].isin(d.loc[d["entry"] == 0, "id"])].drop_duplicates("id")
    d = d.assign(entry=0, was="well", becomes=np.where(d["becomes"] == "well", "broken", d["becomes"]))
    d["becomes"] = d["becomes"].where(d["becomes"].notna(), "dead")
    followed = d.assign(entry=d["exit"], exit=1000, was=d["becomes"], becomes=None)
    every = pd.concat([d, followed[followed["was"] != "dead"]])
    found = shares(every, at=[6]).set_index("outcome")
    for state in STATES:
        of = (d["becomes"].eq(state) & (d["exit"] <= 6)) if state != "well" else (d["exit"] > 6)
        share = of.mean()
        assert found.loc[state, "estimate"] == pytest.approx(share, rel=1e-12)
        assert found.loc[state, "std_error"] == pytest.approx(np.sqrt(share * (1 - share) / len(d)), rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"initial": "well"}])
def test_leaving_out_one_patient_at_a_time_gives_about_the_same_errors(options):
    d = random_rows(7, n_patients=60)
    options = {"at": [5, 15], "cluster": "patient", **options}
    ours, means = shares(d, **options), {**COLUMNS, "horizon": 20, **options}
    means.pop("at")
    area = mean_time_in_states(d, **means).frame
    both = np.append(ours["estimate"], area["estimate"])
    left_out = np.array(
        [
            np.append(
                shares(d[d["patient"] != p], **options)["estimate"],
                mean_time_in_states(d[d["patient"] != p], **means).frame["estimate"],
            )
            for p in d["patient"].unique()
        ]
    )
    jackknife = np.sqrt(((left_out - both) ** 2).sum(axis=0))
    np.testing.assert_allclose(np.append(ours["std_error"], area["std_error"]), jackknife, rtol=0.05)


def test_the_influence_of_a_patient_is_the_derivative_by_its_weight():
    """The standard error from derivatives taken numerically, patient by patient."""
    d = random_rows(5)
    at, step = [4, 11, 25], 1e-4
    options = {"at": at, "weight": "w", "cluster": "patient"}
    total = np.zeros(len(at) * len(STATES))
    for patient in d["patient"].unique():
        mine = d["patient"] == patient
        more = shares(d.assign(w=d["w"] * (1 + step * mine)), **options)["estimate"]
        less = shares(d.assign(w=d["w"] * (1 - step * mine)), **options)["estimate"]
        total += ((more - less) / (2 * step)).to_numpy() ** 2
    np.testing.assert_allclose(shares(d, **options)["std_error"], np.sqrt(total), rtol=1e-6)


def test_the_order_of_rows_changes_nothing():
    d = random_rows(8)
    pd.testing.assert_frame_equal(
        shares(d, cluster="patient"), shares(d.sample(frac=1, random_state=1), cluster="patient"), rtol=1e-10
    )


def test_splitting_rows_changes_nothing_but_the_number_of_rows():
    d = random_rows(9)
    long = d["exit"] - d["entry"] > 1
    head = d[long].assign(exit=d["entry"] + 1, becomes=None)
    split = pd.concat([d[~long], head, d[long].assign(entry=d["entry"] + 1)])
    one, two = shares(d, cluster="patient"), shares(split, cluster="patient")
    pd.testing.assert_frame_equal(one, two, rtol=1e-10)
    plain = {name: value for name, value in COLUMNS.items() if name != "states"}
    for moves in (state_transitions(d, **plain).frame, state_transitions(split, **plain).frame):
        assert moves["n_events"].sum() == d["becomes"].notna().sum()


def test_another_event_of_the_state_left_is_a_move_in_the_table_and_changes_no_share():
    d = random_rows(10)
    again = d["was"] == d["becomes"]
    assert again.any()
    quiet = d.assign(becomes=d["becomes"].where(~again))
    pd.testing.assert_frame_equal(shares(d), shares(quiet))
    moves = state_transitions(d, **COLUMNS).frame
    same = moves["state_from"] == moves["state_to"]
    assert moves.loc[same, "n_events"].sum() == again.sum()
    assert (state_transitions(quiet, **COLUMNS).frame["n_events"].tolist() == moves.loc[~same, "n_events"]).all()


def test_copies_of_every_patient_leave_shares_and_shrink_errors_only_if_they_are_patients():
    d = random_rows(11)
    copies = pd.concat([d.assign(id=d["id"] + 1000 * c, copy=d["patient"] + 1000 * c) for c in range(4)])
    one = shares(d, cluster="patient")
    same, more = shares(copies, cluster="patient"), shares(copies, cluster="copy")
    for other, factor in ((same, 1.0), (more, 0.5)):
        np.testing.assert_allclose(other["estimate"], one["estimate"], rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(other["std_error"], factor * one["std_error"], rtol=1e-9, atol=1e-12)


def test_a_frequency_of_three_is_three_patients():
    d = random_rows(12)
    d["w"] = 1 + d["patient"] % 3
    copies = pd.concat([d[d["w"] > c].assign(id=d["id"] + 1000 * c, patient=d["patient"] + 1000 * c) for c in range(3)])
    ours = shares(d, weight="w", weight_kind="frequency", cluster="patient")
    theirs = shares(copies, cluster="patient")
    for name in ("estimate", "std_error", "n_risk", "n_events"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)
    with pytest.raises(EstimationError, match="same in all rows of a cluster"):
        shares(d.assign(w=1 + d["id"] % 2), weight="w", weight_kind="frequency", cluster="patient")


def test_each_group_has_the_shares_it_would_have_alone():
    d = random_rows(13).assign(site=lambda d: np.where(d["patient"] % 2, "north", "south"))
    for name, part in shares(d, at=[3, 9], by="site", cluster="patient").groupby("stratum"):
        alone = shares(d[d["site"] == name], at=[3, 9], cluster="patient")
        pd.testing.assert_frame_equal(
            part.drop(columns="stratum").reset_index(drop=True), alone.drop(columns="stratum")
        )
    moves = state_transitions(d, by="site", cluster="patient", **COLUMNS).frame
    assert moves.groupby("stratum")["n_events"].sum().sum() == d["becomes"].notna().sum()


def test_the_start_is_that_of_those_at_risk_at_the_first_move_or_as_given():
    d = rows("""
        id entry exit was    becomes
        1  0     4    well   broken
        2  0     9    well   -
        3  0     9    broken -
        4  0     2    broken -
    """)
    found = shares(d, at=[0])
    np.testing.assert_allclose(found["estimate"], [2 / 3, 1 / 3, 0])
    assert (found["std_error"] > 0).tolist() == [True, True, False], "the start is estimated too"
    given = shares(d, at=[0], initial={"well": 0.75, "broken": 0.25})
    assert given["estimate"].tolist() == [0.75, 0.25, 0]
    assert (given["std_error"] == 0).all()
    still = shares(d.assign(becomes=None), at=[0])
    assert still["estimate"].tolist() == [0.5, 0.5, 0], "nobody ever moves: everybody at entry"


def test_who_enters_late_in_a_later_state_is_at_risk_there_only():
    d = rows("""
        id entry exit was    becomes
        1  0     3    well   broken
        1  3     9    broken -
        2  0     9    well   -
        3  5     7    broken dead
    """)
    found = wide(shares(d, at=[3, 7], initial="well"))
    assert found["broken"].tolist() == [0.5, 0.25]
    assert found["dead"].tolist() == [0, 0.25]


def test_after_the_last_day_of_follow_up_there_is_no_estimate():
    d = rows(FIVE)
    found = shares(d, at=[6, 7])
    assert found.loc[found["time"] == 6, "estimate"].notna().all()
    assert found.loc[found["time"] == 7, "estimate"].isna().all()
    assert found["note"].iloc[-1] == "after the last day of follow-up (day 6)"
    mean = mean_time_in_states(d, horizon=7, **COLUMNS).frame
    assert mean[["estimate", "std_error", "conf_low"]].isna().all(axis=None)
    ended = d[d["id"].isin([2, 3])]
    assert shares(ended, at=[99])["estimate"].tolist() == [0, 0, 1], "all have died, and stay dead"


def test_a_state_in_which_nobody_is_followed_any_more_is_said():
    d = rows("""
        id entry exit was    becomes
        1  0     2    well   broken
        1  2     5    broken -
        2  0     9    well   dead
        3  0     9    well   -
        4  7     8    broken -
    """)
    notes = shares(d, at=[2, 5, 6, 9]).set_index(["time", "outcome"])["note"].str.contains("nobody in 'broken'")
    assert notes.groupby("time").all().tolist() == [False, False, True, True]


def test_an_emptied_state_that_others_enter_later_is_said():
    d = rows("""
        id entry exit was  becomes
        1  0     2    well dead
        2  3     9    well dead
    """)
    found = shares(d, at=[2])
    assert found["estimate"].tolist() == [0, 0, 1]
    assert "others were still to enter" in found["note"].iloc[0]


def test_few_events_and_patients_are_said_and_one_patient_has_no_error():
    assert "only 1 event; events in only 1 cluster" in shares(rows(FIVE), at=[1])["note"].iloc[1]
    alone = shares(rows(FIVE).query("id == 1"), at=[1])
    assert alone["estimate"].tolist() == [0, 1, 0]
    assert alone["std_error"].isna().all()
    assert "one cluster: no robust standard error" in alone["note"].iloc[0]


def test_no_move_leaves_everybody_where_they_are_without_an_interval():
    d = rows(FIVE).drop_duplicates("id").assign(becomes=None)
    found = shares(d, at=[1])
    assert found["estimate"].tolist() == [1, 0, 0]
    assert found[["conf_low", "conf_high"]].isna().all(axis=None)
    mean = mean_time_in_states(d, horizon=2, **COLUMNS).frame
    assert mean["estimate"].tolist() == [2, 0, 0]
    assert mean["conf_low"].isna().all()
    moves = state_transitions(d, **COLUMNS).frame
    assert moves["n_events"].tolist() == [0, 0]


def test_nobody_gives_frames_with_their_columns():
    d = rows(FIVE).iloc[:0]
    assert len(shares(d)) == 0
    assert {"outcome", "time", "estimate", "conf_low"} <= set(shares(d).columns)
    assert shares(d, at=[5])["estimate"].isna().all()
    assert mean_time_in_states(d, horizon=5, **COLUMNS).frame["estimate"].isna().all()
    moves = state_transitions(d, **COLUMNS).frame
    assert len(moves) == 0
    assert {"state_from", "state_to", "n_events"} <= set(moves.columns)


def test_names_of_states_may_be_left_to_the_columns():
    d = rows(FIVE)
    plain = {name: value for name, value in COLUMNS.items() if name != "states"}
    assert state_probabilities(d, at=[1], **plain).frame["outcome"].tolist() == ["broken", "dead", "well"]
    typed = d.assign(was=pd.Categorical(d["was"], STATES), becomes=pd.Categorical(d["becomes"], STATES))
    pd.testing.assert_frame_equal(state_probabilities(typed, **plain).frame, shares(d))


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"was": "lost"}, {}, "'was' holds 'lost', which is none of the states well, broken, dead"),
        ({"was": None}, {}, "'was' .the state. is missing in 9 rows"),
        ({"becomes": "dead"}, {}, "4 rows begin in another state"),
        ({"exit": 0}, {}, "no time at risk"),
        ({}, {"states": ("well", "well")}, "named twice"),
        ({}, {"initial": "lost"}, "`initial` names 'lost'"),
        ({}, {"initial": {"well": 0.5}}, "add to 0.5"),
        ({}, {"conf_type": "logit"}, "conf_type must be"),
        ({}, {"id": None, "by": "id", "weight": "entry", "weight_kind": "probability"}, None),
    ],
)
def test_rows_that_cannot_be_used_are_told_in_a_sentence(change, options, words):
    d = rows(FIVE).assign(**change)
    if words is None:  # weights of zero leave rows out; a group of nobody has no estimate
        assert shares(d, at=[2], **options)["estimate"].isna().any()
        return
    with pytest.raises(EstimationError, match=words):
        shares(d, **options)


@pytest.mark.parametrize("horizon", [0, -5, np.inf, np.nan])
def test_a_horizon_is_a_number_of_days(horizon):
    with pytest.raises(EstimationError, match="horizon must be"):
        mean_time_in_states(rows(FIVE), horizon=horizon, **COLUMNS)


def test_two_thousand_courses_on_every_day_take_well_under_a_second():
    d = random_rows(14, n_patients=1000, last_day=400)
    start = time.perf_counter()
    shares(d, at=range(400), cluster="patient")
    assert time.perf_counter() - start < 4  # measured below 1 s; the bound allows for a busy machine
