"""Incidence curves of cohorts small enough to work by hand, and what is said where there is little to say."""

import time

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen, kaplan_meier


def rows(text):
    lines = [line.split() for line in text.strip().splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0]).apply(pd.to_numeric)


CURVE = {"entry": "entry", "exit": "exit", "cause": "cause", "id": "unit", "cluster": "patient"}
FIVE = """
exit cause
1    1
2    2
2    1
3    0
4    2
"""


def test_five_patients_worked_by_hand():
    """Day 1: 1/5 refracture. Day 2, four at risk: 1/4 of 4/5 each way. Day 4, one at risk: the rest die."""
    result = aalen_johansen(rows(FIVE), exit="exit", cause="cause", causes_named=["same", "death"]).frame
    wide = result.pivot_table(index="time", columns="outcome", values="estimate")
    np.testing.assert_allclose(wide["same"], [0.2, 0.4, 0.4], rtol=1e-14)
    np.testing.assert_allclose(wide["death"], [0, 0.2, 0.6], rtol=1e-14)
    np.testing.assert_allclose(wide["event_free"], [0.8, 0.4, 0.0], atol=1e-15)
    day_2 = result[(result["time"] == 2) & (result["outcome"] == "same")].iloc[0]
    assert (day_2["n_risk"], day_2["n_events"], day_2["n_patients"]) == (4, 2, 5)


def test_a_death_is_not_a_censoring():
    """Censoring the deaths, one minus Kaplan-Meier says more refractures than there were."""
    d = pd.DataFrame({"exit": [1, 2, 3, 4], "cause": [2, 1, 2, 1], "event": [0, 1, 0, 1]})
    share = aalen_johansen(d, exit="exit", cause="cause", at=[3]).frame.set_index("outcome")["estimate"]["1"]
    assert 1 - kaplan_meier(d, exit="exit", event="event", at=[3]).frame["estimate"].iloc[0] > share


def test_without_loss_the_incidence_is_the_proportion_and_its_error_binomial():
    d = pd.DataFrame({"exit": np.arange(1, 101), "cause": np.tile([1, 2, 2, 1, 2], 20)})
    result = aalen_johansen(d, exit="exit", cause="cause", at=[50]).frame.set_index("outcome")
    assert result["estimate"]["1"] == pytest.approx(0.20, rel=1e-12)
    assert result["std_error"]["1"] == pytest.approx(np.sqrt(0.2 * 0.8 / 100), rel=1e-12)


def test_who_enters_late_is_not_at_risk_before():
    d = pd.DataFrame({"entry": [0, 0, 5], "exit": [3, 9, 9], "cause": [1, 1, 0]})
    result = aalen_johansen(d, entry="entry", exit="exit", cause="cause", at=[0, 3, 4, 9]).frame
    free = result[result["outcome"] == "event_free"]
    assert free["estimate"].tolist() == [1, 0.5, 0.5, 0.25]
    assert free["n_risk"].tolist() == [2, 2, 1, 2]  # on the first day those who enter, then entry < day <= exit


def test_leaving_out_one_patient_at_a_time_gives_about_the_same_error(vertebra_rows):
    d = vertebra_rows(7, n_patients=80)
    options = {"entry": "entry", "exit": "exit", "cause": "cause", "cluster": "patient", "id": "unit", "at": [10, 25]}
    ours = aalen_johansen(d, **options).frame
    patients = d["patient"].unique()
    left_out = np.array([aalen_johansen(d[d["patient"] != p], **options).frame["estimate"] for p in patients])
    jackknife = np.sqrt(((left_out - ours["estimate"].to_numpy()) ** 2).sum(axis=0))
    np.testing.assert_allclose(ours["std_error"], jackknife, rtol=0.05)


def test_clusters_widen_the_interval_when_patients_bring_several_alike_vertebrae(vertebra_rows):
    d = pd.concat([vertebra_rows(1).assign(unit=lambda d, c=c: d["unit"] + 1000 * c) for c in range(3)])
    options = {"exit": "exit", "cause": "cause", "at": [20]}
    alone = aalen_johansen(d, **options).frame["std_error"]
    clustered = aalen_johansen(d, cluster="patient", **options).frame["std_error"]
    assert (clustered > 1.5 * alone).all()


def test_no_event_gives_a_share_of_zero_and_no_interval():
    d = pd.DataFrame({"exit": [5, 6], "cause": [0, 0]})
    result = aalen_johansen(d, exit="exit", cause="cause", at=[5], causes_named=["same"]).frame.set_index("outcome")
    assert result["estimate"].to_dict() == {"event_free": 1, "same": 0}
    assert result[["conf_low", "conf_high"]].isna().all(axis=None)
    assert result["note"].str.contains('no event: no interval from log-log; conf_type="beta"').all()


def test_before_the_first_day_at_risk_nothing_can_happen_and_nothing_is_said():
    d = pd.DataFrame({"entry": [2, 3], "exit": [5, 6], "event": [1, 0]})
    for days, start in ((d, 2), (d.assign(entry=0), 0)):
        for options in ({"entry": "entry"}, {}) if start == 0 else ({"entry": "entry"},):
            result = kaplan_meier(days, exit="exit", event="event", at=[start], conf_type="beta", **options).frame
            assert result[["estimate", "conf_low", "conf_high"]].iloc[0].tolist() == [1, 1, 1]
            assert result["note"].iloc[0] == ""
            plain = kaplan_meier(days, exit="exit", event="event", at=[start], **options).frame
            assert plain["note"].iloc[0] == ""


@pytest.mark.parametrize(
    ("events", "limits"),
    [(0, (0, 0.0362166926)), (1, (0.000253146033, 0.0544593854)), (4, (0.011004494, 0.0992571567))],
)
def test_without_losses_beta_limits_are_clopper_and_pearsons(events, limits):
    """Of 100 patients, as R's binom.test."""
    d = pd.DataFrame({"exit": np.where(np.arange(100) < events, 3, 9), "cause": (np.arange(100) < events).astype(int)})
    result = aalen_johansen(d, exit="exit", cause="cause", at=[8], causes_named=["same"], conf_type="beta").frame
    same, free = result[result["outcome"] == "same"].iloc[0], result[result["outcome"] == "event_free"].iloc[0]
    np.testing.assert_allclose(same[["conf_low", "conf_high"]].astype(float), limits, atol=1e-9)
    np.testing.assert_allclose(free[["conf_high", "conf_low"]].astype(float), 1 - np.array(limits), atol=1e-9)


def test_without_events_those_still_followed_give_the_upper_limit():
    """1 - 0.025^(1/Y), Y the patients at risk that day: 100, then the 20 that are left."""
    d = pd.DataFrame({"exit": np.repeat([5, 9], [80, 20]), "event": 0})
    result = kaplan_meier(d, exit="exit", event="event", at=[5, 8], conf_type="beta").frame
    np.testing.assert_allclose(1 - result["conf_low"], 1 - 0.025 ** (1 / np.array([100, 20])), rtol=1e-12)
    assert (result["note"] == "").all()


def test_vertebrae_of_one_patient_count_as_one_patient_where_no_event_tells_how_alike_they_are():
    d = pd.DataFrame({"exit": 9, "event": 0, "patient": np.arange(90) // 3})
    beta = {"exit": "exit", "event": "event", "at": [8], "conf_type": "beta"}
    assert 1 - kaplan_meier(d, cluster="patient", **beta).frame["conf_low"].iloc[0] == pytest.approx(
        1 - 0.025 ** (1 / 30)
    )
    assert 1 - kaplan_meier(d, **beta).frame["conf_low"].iloc[0] == pytest.approx(1 - 0.025 ** (1 / 90))


def test_an_early_event_among_many_does_not_narrow_what_few_are_left_to_tell():
    many = pd.DataFrame({"exit": np.repeat([1, 5, 9], [1, 189, 10]), "event": np.repeat([1, 0, 0], [1, 189, 10])})
    result = kaplan_meier(many, exit="exit", event="event", at=[4, 8], conf_type="beta").frame
    soon, late = 1 - result["conf_low"]
    assert soon == pytest.approx(0.0275, abs=1e-4)  # one of 200
    assert late > 1 - 0.025 ** (1 / 10)  # not less than none of the ten still followed


def test_late_entry_widens_beta_limits_by_the_time_that_few_watched():
    """One patient alone for 10 of 100 days: an event not seen weighs 1 there and 1/99 later, 0.109 on average."""
    d = pd.DataFrame({"entry": np.repeat([0, 10], [1, 98]), "exit": 100, "event": 0})
    result = kaplan_meier(d, exit="exit", entry="entry", event="event", at=[100], conf_type="beta").frame
    weight = 0.1 * 1 + 0.9 / 99
    assert 1 - result["conf_low"].iloc[0] == pytest.approx(1 - 0.025**weight, rel=1e-12)


def test_copying_every_row_as_the_same_patient_leaves_beta_limits(vertebra_rows):
    d = vertebra_rows(3, n_patients=60)
    again = pd.concat([d, d.assign(unit=lambda d: d["unit"] + 1000)])
    options = {
        "entry": "entry",
        "exit": "exit",
        "cause": "cause",
        "id": "unit",
        "cluster": "patient",
        "at": [5, 20, 30],
    }
    one = aalen_johansen(d, conf_type="beta", **options).frame
    # Fewer patients than vertebrae: the quantiles of t know how many of each, as in svyciprop.
    two = aalen_johansen(again.sample(frac=1, random_state=3), conf_type="beta", **options).frame
    np.testing.assert_allclose(two[["conf_low", "conf_high"]], one[["conf_low", "conf_high"]], rtol=0.03)
    assert ((one["conf_low"] <= one["estimate"]) & (one["estimate"] <= one["conf_high"])).all()


def test_a_row_of_frequency_three_has_the_beta_limits_of_three_patients(vertebra_rows):
    d = vertebra_rows(4, n_patients=40).assign(w=lambda d: 1 + d["patient"] % 3)
    copies = [d[d["w"] > c].assign(patient=lambda d, c=c: d["patient"] + 1000 * c) for c in range(3)]
    options = {
        "entry": "entry",
        "exit": "exit",
        "cause": "cause",
        "cluster": "patient",
        "conf_type": "beta",
        "at": [3, 9, 25],
    }
    one = aalen_johansen(d, weight="w", weight_kind="frequency", **options).frame
    many = aalen_johansen(pd.concat(copies).drop(columns="unit"), **options).frame
    np.testing.assert_allclose(one[["conf_low", "conf_high"]], many[["conf_low", "conf_high"]], rtol=1e-9)


def test_beta_limits_where_all_have_had_the_event():
    d = pd.DataFrame({"exit": [3, 5, 9], "cause": 1})
    result = aalen_johansen(d, exit="exit", cause="cause", at=[9, 12], conf_type="beta").frame
    one = result[result["outcome"] == "1"]
    assert one["conf_high"].tolist() == [1, 1]
    np.testing.assert_allclose(one["conf_low"], 0.025 ** (1 / 3), rtol=1e-12)


def test_after_the_last_day_of_follow_up_there_is_no_estimate():
    d = pd.DataFrame({"exit": [5, 9], "event": [1, 0]})
    result = kaplan_meier(d, exit="exit", event="event", at=[9, 10]).frame
    assert result["estimate"].iloc[0] == 0.5
    assert np.isnan(result["estimate"].iloc[1])
    assert "last day of follow-up (day 9)" in result["note"].iloc[1]


def test_a_curve_that_reached_its_end_stays_there():
    d = pd.DataFrame({"exit": [5, 9], "cause": [1, 2]})
    result = aalen_johansen(d, exit="exit", cause="cause", at=[30]).frame
    assert result["estimate"].tolist() == [0, 0.5, 0.5]


def test_an_emptied_risk_set_before_late_entries_is_said():
    d = pd.DataFrame({"entry": [0, 2, 3], "exit": [1, 9, 9], "event": [1, 0, 1]})
    result = kaplan_meier(d, entry="entry", exit="exit", event="event").frame
    assert "others were still to enter" in result["note"].iloc[0]


def test_nobody_gives_an_empty_frame_with_its_columns():
    d = pd.DataFrame({"exit": [], "cause": []}, dtype=float)
    result = aalen_johansen(d, exit="exit", cause="cause").frame
    assert len(result) == 0
    assert {"outcome", "time", "estimate", "conf_low"} <= set(result.columns)


def test_a_group_that_changes_during_follow_up_has_no_curve():
    d = pd.DataFrame({"id": [1, 1], "entry": [0, 5], "exit": [5, 9], "event": [0, 1], "drug": ["no", "yes"]})
    with pytest.raises(EstimationError, match="groups fixed at entry"):
        kaplan_meier(d, entry="entry", exit="exit", event="event", id="id", by="drug")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"exit": [0, 9]}, "no time at risk"),
        ({"exit": [np.nan, 9]}, "missing or infinite in 1 of 2 rows"),
        ({"event": [2, 1]}, "must be 0 or 1"),
    ],
)
def test_rows_that_cannot_be_used_are_told_in_a_sentence(change, words):
    d = pd.DataFrame({"entry": [0, 0], "exit": [5, 9], "event": [0, 1]} | change)
    with pytest.raises(EstimationError, match=words):
        kaplan_meier(d, entry="entry", exit="exit", event="event")


def test_rows_of_one_id_may_touch_but_not_overlap():
    d = pd.DataFrame({"id": [1, 1], "entry": [0, 4], "exit": [5, 9], "event": [0, 1]})
    with pytest.raises(EstimationError, match="overlap"):
        kaplan_meier(d, entry="entry", exit="exit", event="event", id="id")


def test_lifelines_agrees_on_kaplan_meier(vertebra_rows):
    from lifelines import KaplanMeierFitter

    d = vertebra_rows(4).query("entry == 0")
    theirs = KaplanMeierFitter().fit(d["exit"], d["event"]).survival_function_at_times([5, 10, 20])
    ours = kaplan_meier(d, exit="exit", event="event", at=[5, 10, 20]).frame["estimate"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_two_thousand_patients_on_every_day_take_well_under_a_second():
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"exit": rng.integers(1, 1500, 2000), "cause": rng.integers(0, 5, 2000)})
    start = time.perf_counter()
    aalen_johansen(d, exit="exit", cause="cause", at=range(761))
    assert time.perf_counter() - start < 3  # measured 0.15 s; the bound allows for a busy machine
