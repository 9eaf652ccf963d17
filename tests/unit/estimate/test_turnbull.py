"""Turnbull's estimate: the mass of an innermost interval is known, its place is not."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import kaplan_meier
from cohort.estimate.bounds import interval_bounds
from cohort.estimate.npmle import Cover, maximize
from cohort.estimate.turnbull import turnbull


def films(seed=1, n_patients=40, gap=9):
    """Vertebrae in patients, looked at on days of their own; about a third are never found broken."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
    n = len(patient)
    day, last = np.ceil(rng.exponential(30, n)), rng.integers(10, 60, n)
    looks = rng.integers(1, gap, (n, 40)).cumsum(axis=1)
    before = np.where(looks < day[:, None], looks, 0).max(axis=1)
    after = np.where(looks >= day[:, None], looks, 10_000).min(axis=1)
    found = after <= last
    return pd.DataFrame(
        {
            "patient": patient,
            "lower": np.where(found, before, np.where(looks <= last[:, None], looks, 0).max(axis=1)).astype(float),
            "upper": np.where(found, after, np.inf),
            "leak": rng.integers(0, 2, n),
            "w": rng.integers(1, 4, n_patients)[patient].astype(float),
        }
    )


def read(rows, **options):
    return turnbull(rows, lower="lower", upper="upper", **{"bootstrap": 0, **options}).frame


def plain_em(rows, steps=20_000):
    cover = Cover.of(rows["lower"].to_numpy(), rows["upper"].to_numpy())
    inside = (np.arange(len(cover.left)) >= cover.first[:, None]) & (np.arange(len(cover.left)) < cover.end[:, None])
    mass = np.full(len(cover.left), 1.0 / len(cover.left))
    for _ in range(steps):
        mass = mass * (inside / (inside @ mass)[:, None]).mean(axis=0)
    return mass


def test_three_films_by_hand():
    """(0, 30], (20, 40], (50, ...): two rows share the mass of (20, 30], one is still free on day 50."""
    d = pd.DataFrame({"lower": [0, 20, 50], "upper": [30, 40, np.inf]})
    found = read(d, at=[20, 24, 25, 29, 30, 50, 51])
    assert found["estimate"].iloc[:-1].round(9).tolist() == [
        1.0,
        1.0,
        0.333333333,
        0.333333333,
        0.333333333,
        0.333333333,
    ]
    assert np.isnan(found["estimate"].iloc[-1])
    assert found["note"].iloc[-1].startswith("after the last look (day 50)")
    assert found["lowest"].round(9).iloc[:4].tolist() == [1.0, 0.333333333, 0.333333333, 0.333333333]
    assert found["highest"].round(9).iloc[:5].tolist() == [1.0, 1.0, 1.0, 1.0, 0.333333333]
    assert found["note"].iloc[1].startswith("between days 20 and 30 the data do not say when events came")
    assert found["n_events"].tolist() == [0, 0, 0, 0, 1, 2, 2]


def test_a_day_that_one_interval_ends_on_and_the_next_begins_on_belongs_to_the_first():
    cover = Cover.of(np.array([0.0, 30.0, 30.0]), np.array([30.0, 60.0, 30.0]))
    assert cover.left.tolist() == [30.0, 30.0]
    assert cover.right.tolist() == [30.0, 60.0]
    assert (cover.first.tolist(), cover.end.tolist()) == ([0, 1, 0], [1, 2, 1])


def test_known_days_and_losses_give_kaplan_meier():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"exit": rng.integers(1, 20, 200), "event": rng.integers(0, 2, 200)})
    theirs = kaplan_meier(d, exit="exit", event="event").frame
    both = interval_bounds(d, exit="exit", cause="event")
    ours = read(both, at=theirs["time"].to_numpy())
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-9, atol=1e-12)
    assert (ours["note"] == "").all()


@pytest.mark.parametrize("seed", range(4))
def test_the_fast_climb_ends_where_plain_em_ends(seed):
    d = films(seed, n_patients=12)
    cover = Cover.of(d["lower"].to_numpy(), d["upper"].to_numpy())
    found = maximize(cover, np.ones(len(d)))
    assert found.gap <= 1e-12
    np.testing.assert_allclose(found.mass, plain_em(d), atol=2e-4)  # EM creeps where a mass goes to zero


def test_row_order_changes_nothing_not_even_the_limits():
    d = films()
    shuffled = d.sample(frac=1, random_state=2)
    for options in ({}, {"cluster": "patient"}, {"by": "leak", "weight": "w"}):
        one, two = read(d, bootstrap=20, **options), read(shuffled, bootstrap=20, **options)
        pd.testing.assert_frame_equal(one, two)


def test_a_row_of_frequency_weight_three_is_three_rows():
    d = films()
    copied = d.loc[d.index.repeat(d["w"].astype(int))]
    at = [5, 10, 20, 40]
    ours = read(d, weight="w", weight_kind="frequency", at=at)
    theirs = read(copied, at=at)
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], atol=1e-10)
    assert ours["n_events"].tolist() == theirs["n_events"].tolist()
    tripled = read(d.assign(w=3 * d["w"]), weight="w", at=at)
    np.testing.assert_allclose(tripled["estimate"], ours["estimate"], atol=1e-10)


def test_copying_every_vertebra_of_a_patient_leaves_the_clustered_limits_and_narrows_the_others():
    d = films()
    twice = pd.concat([d, d])
    options = {"at": [10, 20, 40], "bootstrap": 100}
    one, two = read(d, cluster="patient", **options), read(twice, cluster="patient", **options)
    names = ["estimate", "conf_low", "conf_high", "std_error"]
    np.testing.assert_allclose(two[names], one[names], atol=1e-5)
    narrower = read(twice, **options)["std_error"] / read(d, **options)["std_error"]
    assert ((narrower > 0.5) & (narrower < 0.9)).all()


def test_frequency_weights_are_drawn_as_so_many_patients():
    d = films(n_patients=30).assign(w=4.0)
    one = read(d, cluster="patient", at=[20], bootstrap=150)["std_error"].iloc[0]
    four = read(d, cluster="patient", weight="w", weight_kind="frequency", at=[20], bootstrap=150)["std_error"].iloc[0]
    assert four / one == pytest.approx(0.5, rel=0.25)
    with pytest.raises(EstimationError, match="same in all rows of a cluster"):
        read(d.assign(w=np.arange(len(d)) + 1.0), cluster="patient", weight="w", weight_kind="frequency", bootstrap=2)


def test_one_look_for_all_is_a_proportion_with_its_error():
    d = pd.DataFrame({"lower": [0.0] * 40 + [50.0] * 60, "upper": [50.0] * 40 + [np.inf] * 60})
    found = read(d, at=[50], bootstrap=400).iloc[0]
    assert found["estimate"] == pytest.approx(0.6)
    assert found["std_error"] == pytest.approx(np.sqrt(0.6 * 0.4 / 100), rel=0.1)
    assert found["conf_low"] < 0.6 < found["conf_high"]


def test_a_seed_gives_the_same_limits_again_and_another_gives_others():
    d = films()
    one, two, other = (read(d, at=[20], bootstrap=30, seed=seed)["conf_low"].iloc[0] for seed in (1, 1, 2))
    assert one == two != other


def test_groups_have_curves_of_their_own():
    d = films()
    both = read(d, by="leak", at=[20])
    for leak in (0, 1):
        alone = read(d[d["leak"] == leak], at=[20])["estimate"].iloc[0]
        assert both.set_index("stratum").loc[str(leak), "estimate"] == pytest.approx(alone, abs=1e-12)


def test_a_group_of_two_patients_keeps_limits_from_the_resamples_that_have_it():
    d = films(n_patients=12)
    d["few"] = (d["patient"] < 2).astype(int)
    found = read(d, by="few", cluster="patient", at=[10, 20], bootstrap=60)
    assert found.loc[found["stratum"] == "1", "std_error"].notna().any()


def test_no_event_one_patient_and_one_known_day_keep_their_row():
    none = read(pd.DataFrame({"lower": [5.0, 9.0], "upper": [np.nan, np.nan]}), bootstrap=5)
    assert none[["time", "estimate"]].values.tolist() == [[9.0, 1.0]]
    assert none["note"].iloc[0] == "the same in every resample: no limits; only 0 events"
    single = read(pd.DataFrame({"lower": [5.0], "upper": [9.0], "p": [1]}), cluster="p", bootstrap=5)
    assert single[["time", "estimate"]].values.tolist() == [[9.0, 0.0]]
    assert np.isnan(single["conf_low"]).all()
    assert "one cluster" in single["note"].iloc[0]
    known = read(pd.DataFrame({"lower": [5.0, 5.0], "upper": [5.0, 5.0]}), at=[4, 5])
    assert known["estimate"].tolist() == [1.0, 0.0]


def test_an_event_that_nobody_knows_the_beginning_of_is_read_at_the_end_of_its_interval():
    d = pd.DataFrame({"lower": [np.nan, 40.0], "upper": [30.0, np.nan]})
    found = read(d, at=[0, 29, 30])
    assert found["estimate"].tolist() == [1.0, 1.0, 0.5]
    assert found["note"].iloc[1].startswith("until day 30 the data do not say")


def test_few_events_and_few_patients_are_told():
    d = films(n_patients=6)
    assert read(d, cluster="patient", at=[20], bootstrap=10)["note"].str.contains("clusters").all()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"upper": -1.0}, {}, "'lower' lies after 'upper' in"),
        ({"lower": np.nan, "upper": np.nan}, {}, "neither 'lower' nor 'upper'"),
        ({}, {"entry": "lower"}, "delayed entry is not offered"),
        ({}, {"bootstrap": -1}, "number of resamples"),
        ({"w": -1.0}, {"weight": "w"}, "negative"),
        ({"w": 0.0}, {"weight": "w"}, "no row of positive weight"),
        ({"w": 0.5}, {"weight": "w", "weight_kind": "frequency"}, "no whole numbers"),
        ({"leak": np.nan}, {"by": "leak"}, "missing in"),
        ({"upper": "May"}, {}, "must hold numbers"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(change, options, message):
    with pytest.raises(EstimationError, match=message):
        read(films().assign(**change), **options)


def test_causes_become_bounds_and_death_is_a_loss():
    d = pd.DataFrame({"exit": [90, 80, 70, 60], "cause": [1, 2, 0, 1], "clear": [30, np.nan, np.nan, 60]})
    found = interval_bounds(d, exit="exit", cause="cause", lower="clear")
    assert found[["lower", "upper"]].values.tolist() == [[30, 90], [80, np.inf], [70, np.inf], [60, 60]]
    known = interval_bounds(d, exit="exit", cause="cause", of=2)
    assert known[["lower", "upper"]].values.tolist() == [[90, np.inf], [80, 80], [70, np.inf], [60, np.inf]]
    with pytest.raises(EstimationError, match="'clear' is missing in 1 rows with the event"):
        interval_bounds(d.assign(cause=[1, 1, 0, 1]), exit="exit", cause="cause", lower="clear")
    with pytest.raises(EstimationError, match="lies after 'exit' in 1 rows"):
        interval_bounds(d.assign(clear=[95, 0, 0, 60]), exit="exit", cause="cause", lower="clear")
