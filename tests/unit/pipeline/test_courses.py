"""Where patients stand, from a registry: two courses followed by hand, and what ties the shares to the incidence."""

import numpy as np
import pandas as pd
import pytest

import cohort
from cohort.domain.errors import EstimationError
from cohort.pipeline import courses, occurrence, prepare

# A: L1 treated on day 0; L2 breaks on day 100 and is treated on that day; L3, now its neighbour, breaks on day 200.
# B: L1 treated on day 0; dies on day 300. Both are followed to day 365.
AUGMENTATIONS = """patient_id,date,level
A,2020-01-01,L1
A,2020-04-10,L2
B,2020-01-01,L1
"""
FRACTURES = """patient_id,date,level
A,2020-04-10,L2
A,2020-07-19,L3
"""
PATIENTS = """patient_id,follow_up_end,death_date
A,2020-12-31,
B,2020-12-31,2020-10-27
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    (folder / "patients.csv").write_text(PATIENTS)
    (folder / "augmentations.csv").write_text(AUGMENTATIONS)
    (folder / "fractures.csv").write_text(FRACTURES)
    return cohort.read(folder)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (99, {"no_event": 1}),
        (100, {"no_event": 0.5, "adjacent": 0.5}),  # the fracture of the day, before its treatment
        (101, {"no_event": 0.5, "re_augmented": 0.5}),
        (200, {"no_event": 0.5, "adjacent": 0.5}),
        (300, {"dead": 0.5, "adjacent": 0.5}),
    ],
)
def test_the_shares_of_two_patients_followed_by_hand(two, day, expected):
    frame = courses.states(two, at=[day], horizon=365).frame
    shares = frame[frame["measure"] == "state_probability"].set_index("outcome")["estimate"]
    assert shares[shares > 0].to_dict() == expected


def test_mean_days_of_two_patients(two):
    frame = courses.states(two, at=[1], horizon=365).frame
    days = frame[frame["measure"] == "mean_days_in_state"].set_index("outcome")["estimate"]
    assert days.to_dict() == {
        "no_event": (100 + 300) / 2, "same": 0, "adjacent": (1 + 165) / 2, "remote": 0, "re_augmented": 99 / 2,
        "dead": 65 / 2,
    }  # fmt: skip


def test_moves_of_two_patients(two):
    frame = courses.transitions(two).frame
    moves = frame[frame["n_events"] > 0].set_index(["state_from", "state_to"])["n_events"]
    assert moves.to_dict() == {
        ("no_event", "adjacent"): 1, ("no_event", "dead"): 1, ("adjacent", "re_augmented"): 1,
        ("re_augmented", "adjacent"): 1,
    }  # fmt: skip
    assert "no_event" not in set(frame["state_to"]), "nobody comes back to having had no event"
    days = frame.drop_duplicates("state_from").set_index("state_from")["person_years"] * 365.25
    assert days.round(6).to_dict() == {"no_event": 400, "adjacent": 1 + 165, "re_augmented": 99}


def test_who_has_had_no_event_is_who_is_event_free_where_no_procedure_comes_first(cohort):
    """Some are treated again before any refracture: they leave no_event earlier than they leave the composite."""
    days = [30, 90, 365, 730]
    shares = courses.of_cohort(cohort, at=days).frame
    shares = shares[shares["measure"] == "state_probability"]
    free = occurrence.curve(cohort.first_events("composite"), days, 0.95)
    free = free[free["outcome"] == "event_free"].set_index("time")["estimate"]
    ours = shares[shares["outcome"] == "no_event"].set_index("time")["estimate"]
    rows = courses._rows(cohort)[0]
    first = ((rows["state_from"] == "no_event") & (rows["state_to"] == "re_augmented")).sum()
    assert (ours <= free + 1e-12).all()
    assert ((free - ours) <= 2 * first / cohort.first_events("composite").frame["id"].nunique()).all()
    np.testing.assert_allclose(shares.groupby("time")["estimate"].sum(), 1.0, rtol=1e-12)


def test_who_is_dead_is_who_died_whatever_came_before(cohort):
    """Nobody is lost from `dead` and every death is in it, so the share is near that of a curve of deaths alone."""
    from cohort.estimate import kaplan_meier

    rows = courses._rows(cohort)[0]
    last = rows.drop_duplicates("id", keep="last")[["id", "exit", "state_to"]]
    first = rows.drop_duplicates("id")[["id", "entry"]]
    deaths = first.merge(last, on="id")
    deaths["event"] = (deaths["state_to"] == "dead").astype(int)
    alive = kaplan_meier(deaths, exit="exit", event="event", entry="entry", at=[365]).frame["estimate"].iloc[0]
    frame = courses.of_cohort(cohort, at=[365]).frame
    dead = frame[(frame["outcome"] == "dead") & (frame["measure"] == "state_probability")].iloc[0]
    assert dead["estimate"] == pytest.approx(1 - alive, abs=dead["std_error"])


def test_the_curves_for_the_figure_are_the_shares_on_every_day_with_a_move(cohort):
    every = courses.curves(cohort).frame
    assert every["time"].max() <= occurrence.CURVE_END_DAYS
    day = every["time"].unique()[25]
    one = courses.of_cohort(cohort, at=[day]).frame.head(6)
    pd.testing.assert_series_equal(
        every.loc[every["time"] == day, "estimate"].reset_index(drop=True), one["estimate"], check_names=False
    )
    total = every.groupby("outcome")["n_events"].max()
    assert every.groupby("outcome")["n_events_total"].first().to_dict() == total.to_dict()


def test_numbers_below_the_figure_count_the_evening_of_the_day(two):
    found = courses.numbers_in_states(prepare(two)).pivot_table(index="outcome", columns="time", values="n_risk")
    assert found[0].to_dict() == {"no_event": 2, "same": 0, "adjacent": 0, "remote": 0, "re_augmented": 0}
    assert found[183].to_dict() == {"no_event": 1, "same": 0, "adjacent": 0, "remote": 0, "re_augmented": 1}
    assert found[365].sum() == 0, "follow-up ends on day 365"


def test_nobody_at_risk_is_told_in_a_sentence(two):
    nobody = cohort.Registry.of({**two.tables, "augmentations": two["augmentations"].iloc[:0]}, two.study)
    with pytest.raises(EstimationError, match="nothing to estimate"):
        courses.states(nobody)
