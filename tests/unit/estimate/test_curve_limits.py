"""Limits of curves where patients bring several vertebrae: t, with the patients with the event, less one."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.domain.errors import EstimationError
from cohort.estimate import aalen_johansen, kaplan_meier
from cohort.estimate.absolute_risk import absolute_risk
from cohort.estimate.contrasts import compare_curves
from cohort.estimate.lost_time import time_lost
from cohort.estimate.multistate import mean_time_in_states, state_probabilities
from cohort.estimate.nelson_aalen import nelson_aalen
from cohort.estimate.recurrent_counts import mean_cumulative_count
from cohort.estimate.report import T_LIMITS

VERTEBRAE = {"entry": "entry", "exit": "exit", "id": "unit", "cluster": "patient"}
LIMITS = ["conf_low", "conf_high"]


def shares(d, **options):
    moves = d.assign(was="free", becomes=d["cause"].map({1: "1", 2: "2"}))
    return state_probabilities(
        moves, state_from="was", state_to="becomes", states=("free", "1", "2"), initial="free", at=[10, 25], **options
    )


def mean_days(d, **options):
    moves = d.assign(was="free", becomes=d["cause"].map({1: "1", 2: "2"}))
    return mean_time_in_states(
        moves, state_from="was", state_to="becomes", states=("free", "1", "2"), initial="free", horizon=25, **options
    )


def predicted(d, **options):
    # Without the risk of anyone else the curve of the cohort: age is the only covariate.
    return absolute_risk(d, ["age"], profiles={"age": [75]}, cause="cause", of=None, at=[10, 25], **options)


CURVES = {
    "kaplan_meier": (lambda d, **o: kaplan_meier(d, event="event", at=[10, 25], **o), "log-log"),
    "aalen_johansen": (lambda d, **o: aalen_johansen(d, cause="cause", at=[10, 25], **o), "log-log"),
    "nelson_aalen": (lambda d, **o: nelson_aalen(d, event="event", at=[10, 25], **o), "log"),
    "time_lost": (lambda d, **o: time_lost(d, cause="cause", horizon=[10, 25], **o), "log"),
    "mean_cumulative_count": (lambda d, **o: mean_cumulative_count(d, cause="cause", at=[10, 25], **o), "log"),
    "absolute_risk": (predicted, "log-log"),
    "state_probabilities": (shares, "log-log"),
    "mean_time_in_states": (mean_days, "plain"),
}


def by_hand(estimate, error, scale, reach):
    """Limits from an estimate, its error and the quantile."""
    if scale == "plain":
        return estimate - reach * error, estimate + reach * error
    if scale == "log":
        return estimate * np.exp(-reach * error / estimate), estimate * np.exp(reach * error / estimate)
    width = reach * error / (estimate * np.abs(np.log(estimate)))
    return estimate ** np.exp(width), estimate ** np.exp(-width)


def patients_with(d):
    """Patients with each outcome, in the cohort of this module."""
    found = {"1": d.loc[d["cause"] == 1, "patient"].nunique(), "2": d.loc[d["cause"] == 2, "patient"].nunique()}
    return found | {"event_free": d.loc[d["cause"] > 0, "patient"].nunique()}


@pytest.mark.parametrize("name", CURVES)
def test_limits_come_from_t_with_the_patients_who_ever_have_the_event_less_one(name, vertebra_rows):
    curve, scale = CURVES[name]
    d = vertebra_rows(3)
    found = curve(d, **VERTEBRAE)
    frame, count = found.frame, patients_with(d)
    if name in ("kaplan_meier", "nelson_aalen", "mean_cumulative_count"):
        expected = np.full(len(frame), count["1"] - 1)
    else:
        expected = frame["outcome"].replace({"free": "event_free"}).map(count).to_numpy() - 1
    assert frame["df"].tolist() == expected.tolist()
    low, high = by_hand(frame["estimate"], frame["std_error"], scale, stats.t.ppf(0.975, expected))
    if name == "time_lost":
        high = np.minimum(high, frame["time"])
    np.testing.assert_allclose(frame["conf_low"], low, rtol=1e-12)
    np.testing.assert_allclose(frame["conf_high"], high, rtol=1e-12)
    assert found.settings["limits"] == T_LIMITS


@pytest.mark.parametrize("name", CURVES)
def test_normal_limits_can_be_had_and_are_narrower(name, vertebra_rows):
    curve, scale = CURVES[name]
    d = vertebra_rows(3)
    found = curve(d, small_sample="none", **VERTEBRAE)
    frame, wider = found.frame, curve(d, **VERTEBRAE).frame
    assert "df" not in frame
    assert found.settings["limits"] == "normal"
    low, _ = by_hand(frame["estimate"], frame["std_error"], scale, stats.norm.ppf(0.975))
    np.testing.assert_allclose(frame["conf_low"], low, rtol=1e-12)
    assert (wider["conf_low"] < frame["conf_low"]).all()
    assert (wider["conf_high"] >= frame["conf_high"]).all()
    pd.testing.assert_frame_equal(wider[["estimate", "std_error"]], frame[["estimate", "std_error"]])


@pytest.mark.parametrize("name", [name for name in CURVES if name != "mean_cumulative_count"])
def test_one_vertebra_in_each_patient_leaves_the_limits_normal(name, vertebra_rows):
    curve, _ = CURVES[name]
    d = vertebra_rows(3).drop_duplicates("patient")
    found = curve(d, **VERTEBRAE)
    pd.testing.assert_frame_equal(found.frame, curve(d, small_sample="none", **VERTEBRAE).frame)
    assert found.settings["limits"] == "normal"


def test_a_count_of_repeated_events_takes_t_also_for_one_vertebra_in_each_patient(vertebra_rows):
    d = vertebra_rows(3).drop_duplicates("patient")
    row = mean_cumulative_count(d, cause="cause", at=25, **VERTEBRAE).frame.iloc[0]
    assert row["df"] == (d["cause"] == 1).sum() - 1
    assert row["note"].endswith("clusters: limits from t")


@pytest.mark.parametrize("name", CURVES)
def test_the_order_of_rows_changes_no_limit(name, vertebra_rows):
    curve, _ = CURVES[name]
    d = vertebra_rows(3)
    one, other = curve(d, **VERTEBRAE).frame, curve(d.sample(frac=1, random_state=1), **VERTEBRAE).frame
    np.testing.assert_allclose(one[[*LIMITS, "df"]], other[[*LIMITS, "df"]], rtol=1e-9)


@pytest.mark.parametrize("name", CURVES)
def test_events_in_one_patient_give_no_limits_and_the_note_says_so(name, vertebra_rows):
    curve, _ = CURVES[name]
    d = vertebra_rows(3)
    kept = (d["patient"] == 4) & (d["cause"] == 1)
    d = d.assign(cause=np.where(kept, 1, 0), event=kept.astype(int), exit=np.where(kept, 5.0, d["entry"] + 30))
    assert kept.any()
    found = curve(d, **VERTEBRAE).frame
    assert found[LIMITS].isna().all(axis=None)
    assert "df" not in found
    happened = ~found["outcome"].isin(["2"])
    assert found.loc[happened, "estimate"].notna().all()
    assert found.loc[happened, "note"].str.contains("events in only 1 cluster: no interval from one").all()


@pytest.mark.parametrize("name", [name for name in CURVES if name != "absolute_risk"])
def test_one_patient_alone_has_no_limits(name, vertebra_rows):
    curve, _ = CURVES[name]
    d = vertebra_rows(3)
    d = d[d["patient"] == d["patient"].value_counts().index[0]]
    d = d.assign(cause=1, event=1, entry=0.0, exit=[6.0, 9.0, 28.0])
    assert curve(d, **VERTEBRAE).frame[LIMITS].isna().all(axis=None)


def test_the_patients_of_all_days_count_on_the_first_day_too(vertebra_rows):
    """The patients known to have events by day 2 are few; what is known of how patients vary is not less for that."""
    found = nelson_aalen(vertebra_rows(3), event="event", **VERTEBRAE).frame
    assert (found["df"] == found["df"].iloc[-1]).all()
    assert "only 1 cluster: limits from t" in found["note"].iloc[0]


def test_each_group_has_the_limits_it_would_have_alone(vertebra_rows):
    """In one group patients have several vertebrae, in the other one."""
    d = vertebra_rows(3).assign(leak=lambda d: d["patient"] % 2)
    d = pd.concat([d[d["leak"] == 1], d[d["leak"] == 0].drop_duplicates("patient")])
    both = aalen_johansen(d, cause="cause", by="leak", at=[10, 25], **VERTEBRAE).frame
    for leak in (0, 1):
        alone = aalen_johansen(d[d["leak"] == leak], cause="cause", at=[10, 25], **VERTEBRAE).frame
        mine = both[both["stratum"] == str(leak)]
        np.testing.assert_allclose(mine[LIMITS], alone[LIMITS], rtol=1e-12)
        assert mine["df"].notna().any() == ("df" in alone) == (leak == 1)


def test_a_patient_of_frequency_three_is_three_patients(vertebra_rows):
    d = vertebra_rows(3).assign(w=lambda d: 1 + d["patient"] % 3)
    many = d.loc[d.index.repeat(d["w"])]
    copy = many.groupby("unit").cumcount()
    many = many.assign(unit=many["unit"] + 1000 * copy, patient=many["patient"] + 1000 * copy)
    one = aalen_johansen(d, cause="cause", at=[10, 25], weight="w", weight_kind="frequency", **VERTEBRAE).frame
    other = aalen_johansen(many, cause="cause", at=[10, 25], **VERTEBRAE).frame
    np.testing.assert_allclose(one[[*LIMITS, "df"]], other[[*LIMITS, "df"]], rtol=1e-9)


def test_beta_limits_stay_as_they_are(vertebra_rows):
    found = aalen_johansen(vertebra_rows(3), cause="cause", at=[10], conf_type="beta", **VERTEBRAE)
    assert "df" not in found.frame
    assert found.settings["limits"] == "beta"
    plain = aalen_johansen(vertebra_rows(3), cause="cause", at=[10], conf_type="beta", small_sample="none", **VERTEBRAE)
    pd.testing.assert_frame_equal(found.frame, plain.frame)


def test_a_risk_of_a_stratum_counts_the_patients_of_the_stratum(vertebra_rows):
    d = vertebra_rows(3).assign(site=lambda d: np.where(d["patient"] % 4, "A", "B"))
    found = absolute_risk(
        d, ["age"], profiles={"age": [75, 75], "site": ["A", "B"]}, strata="site", cause="cause", at=20, **VERTEBRAE
    ).frame
    with_event = d[d["cause"] == 1].groupby("site")["patient"].nunique()
    assert found["df"].tolist() == (with_event - 1).tolist()


CONTRASTS = ["aalen_johansen", "time_lost", "mean_cumulative_count", "kaplan_meier"]


def contrast(d, curve, **options):
    what = {"event": "event"} if curve == "kaplan_meier" else {"cause": "cause"}
    return compare_curves(d, curve=curve, by="leak", at=[10, 25], **what, **VERTEBRAE, **options)


@pytest.mark.parametrize("curve", CONTRASTS)
def test_a_contrast_takes_t_with_the_degrees_of_freedom_of_welch(curve, vertebra_rows):
    d = vertebra_rows(3)
    result = contrast(d, curve)
    frame = result.frame
    of = {"event_free": d["cause"] > 0, "1": d["cause"] == 1, "2": d["cause"] == 2}
    if curve in ("kaplan_meier", "mean_cumulative_count"):
        of = dict.fromkeys(frame["outcome"], d["cause"] == 1)
    each = {name: d[had].groupby("leak")["patient"].nunique() - 1 for name, had in of.items()}
    assert (frame["df"] >= frame["outcome"].map({name: own.min() for name, own in each.items()}) - 1e-9).all()
    assert (frame["df"] <= frame["outcome"].map({name: own.sum() for name, own in each.items()}) + 1e-9).all()
    if curve == "aalen_johansen":
        groups = aalen_johansen(d, cause="cause", by="leak", at=[10], **VERTEBRAE).frame.query("outcome == '1'")
        v, own = groups["std_error"].to_numpy() ** 2, each["1"].to_numpy()
        expected = v.sum() ** 2 / (v**2 / own).sum()
        row = frame[(frame["outcome"] == "1") & (frame["time"] == 10) & (frame["measure"] == "difference")].iloc[0]
        assert row["df"] == pytest.approx(expected, rel=1e-9)
    reach = stats.t.ppf(0.975, frame["df"]) * frame["std_error"]
    difference = (frame["measure"] == "difference").to_numpy()
    middle = np.where(difference, frame["estimate"], frame["coef"])
    low, high = middle - reach, middle + reach
    np.testing.assert_allclose(frame["conf_low"], np.where(difference, low, np.exp(low)), rtol=1e-12)
    np.testing.assert_allclose(frame["conf_high"], np.where(difference, high, np.exp(high)), rtol=1e-12)
    statistic = middle / frame["std_error"]
    np.testing.assert_allclose(frame["statistic"], statistic, rtol=1e-12)
    np.testing.assert_allclose(frame["p_value"], 2 * stats.t.sf(np.abs(statistic), frame["df"]), rtol=1e-12)
    normal = contrast(d, curve, small_sample="none").frame
    np.testing.assert_allclose(normal["p_value"], 2 * stats.norm.sf(np.abs(statistic)), rtol=1e-9)
    assert "df" not in normal


def test_a_patient_with_a_vertebra_in_each_group_makes_the_contrast_clustered(vertebra_rows):
    d = vertebra_rows(3).drop_duplicates("patient")
    both = pd.concat([d.assign(leak=0), d.assign(leak=1, unit=d["unit"] + 1000, exit=d["exit"] + d["patient"] % 2)])
    assert "df" not in aalen_johansen(both, cause="cause", by="leak", **VERTEBRAE).frame
    assert contrast(both, "aalen_johansen").frame["df"].notna().any()
    apart = d.assign(leak=d["patient"] % 2)
    assert "df" not in contrast(apart, "aalen_johansen").frame


@pytest.mark.parametrize(
    ("patients", "words"), [(1, "events in only 1 cluster: no interval from one"), (0, "no event: no interval")]
)
def test_a_group_with_events_in_one_patient_or_none_has_no_interval_for_its_contrast(patients, words, vertebra_rows):
    d = vertebra_rows(3).assign(leak=lambda d: d["patient"] % 2)
    first = d.loc[(d["leak"] == 1) & (d["event"] == 1), "patient"].unique()[:patients]
    d = d.assign(event=np.where((d["leak"] == 1) & ~d["patient"].isin(first), 0, d["event"]))
    row = compare_curves(d, curve="kaplan_meier", event="event", by="leak", at=25, **VERTEBRAE).frame.iloc[0]
    assert row["std_error"] > 0
    assert row[[*LIMITS, "p_value"]].isna().all()
    of_leak, of_none = row["note"].split("; ")
    assert words in of_leak
    assert "no interval" not in of_none


def test_an_unknown_word_for_the_correction_is_refused(vertebra_rows):
    for curve, _ in CURVES.values():
        with pytest.raises(EstimationError, match="auto or none"):
            curve(vertebra_rows(3), small_sample="t", **VERTEBRAE)
    with pytest.raises(EstimationError, match="auto or none"):
        contrast(vertebra_rows(3), "aalen_johansen", small_sample="t")
