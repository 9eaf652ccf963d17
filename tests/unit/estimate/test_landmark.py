"""Exposure as on a landmark day, worked by hand; the stack; and what must hold of any rows."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.landmark import at_landmark, landmark

NAMES = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit"}
VALUES = ["estimate", "conf_low", "conf_high", "coef", "std_error"]


def rows(text):
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    names, *values = lines
    return pd.DataFrame([[float(cell) for cell in line] for line in values], columns=names)


def on_drug(n_patients=60, seed=1):
    """Vertebrae in patients: a drug that begins one day, events, late entry, whole days that tie."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), 2)
    n = len(patient)
    entry = np.where(rng.random(n) < 0.3, rng.integers(0, 40, n), 0)
    end = entry + rng.integers(5, 120, n)
    begins = entry + rng.integers(1, 100, n)
    d = pd.DataFrame({"unit": np.arange(n), "patient": patient, "age": rng.normal(75, 8, n).round()})
    event = rng.random(n) < 0.5
    before = d.assign(entry=entry, exit=np.minimum(begins, end), drug=0, event=event & (end <= begins))
    after = d.assign(entry=begins, exit=end, drug=1, event=event)[begins < end]
    return pd.concat([before, after], ignore_index=True).astype({"event": int})


def of(found, stratum):
    return found.frame[found.frame["stratum"] == stratum]


def test_who_is_at_risk_and_what_is_known_on_the_day():
    """Landmark day 10, five days of follow-up; the last column is what the landmark makes of each row."""
    table = rows("""
        unit | entry | exit | event
        0    | 0     | 9    | 1
        1    | 0     | 10   | 1
        2    | 0     | 10   | 0
        2    | 10    | 20   | 1
        3    | 0     | 12   | 1
        4    | 10    | 30   | 1
        5    | 0     | 15   | 1
        6    | 0     | 16   | 1
        7    | 0     | 5    | 0
        7    | 12    | 14   | 1
        8    | 0     | 10   | 1
        8    | 10    | 13   | 0
    """)
    covering, row, start, end, had = at_landmark(
        10.0, 5.0, table["entry"].to_numpy(), table["exit"].to_numpy(), table["event"].to_numpy() == 1,
        table["unit"].astype(int).to_numpy(),
    )  # fmt: skip
    assert covering.tolist() == [
        -1,  # had the event before
        -1,  # had it on the landmark: that is the past
        2,  # split on the day: the row that ends there tells the exposure
        4,
        -1,  # enters on the landmark: nothing was seen of it on the day
        6,
        7,
        -1,  # in a gap
        10,  # an earlier event, and at risk of the next one
    ]
    assert row.tolist() == [3, 4, 6, 7, 11]
    assert start.tolist() == [10.0] * 5
    assert end.tolist() == [15.0, 12.0, 15.0, 15.0, 13.0]
    assert had.tolist() == [False, True, True, False, False]  # day 20 is cut; day 15 counts, day 16 does not


def test_a_landmark_by_hand_is_cox_on_those_rows():
    d = on_drug()
    by_hand = []
    for _, own in d.groupby("unit"):
        on_day = own[(own["entry"] < 30) & (own["exit"] >= 30)]
        if len(on_day) and own["exit"].max() > 30:
            end = own["exit"].max()
            known = on_day[["drug", "age", "patient"]].iloc[0].to_dict()
            by_hand.append(known | {"exit": min(end, 70), "event": own["event"].max() * (end <= 70)})
    theirs = cox(pd.DataFrame(by_hand), ["drug", "age"], exit="exit", event="event", cluster="patient").frame
    ours = of(landmark(d, ["drug", "age"], at=[30], horizon=40, cluster="patient", **NAMES), "day 30")
    np.testing.assert_allclose(ours[VALUES], theirs[VALUES], rtol=1e-9)
    assert ours["n_units"].iloc[0] == len(by_hand)
    assert ours["n_exposed"].iloc[0] == sum(unit["drug"] for unit in by_hand)


def test_the_stack_is_cox_with_a_stratum_per_landmark_clustered_by_patient():
    d = on_drug()
    sets = []
    for day in (20, 40, 60):
        covering = d[(d["entry"] < day) & (d["exit"] >= day)].set_index("unit")
        later = d[(d["exit"] > day) & d["unit"].isin(covering.index)]
        sets.append(
            later.assign(drug=later["unit"].map(covering["drug"]), entry=later["entry"].clip(lower=day), day=day)
        )
    stack = pd.concat(sets, ignore_index=True)
    stack["row"] = stack["unit"] * 1000 + stack["day"]
    theirs = cox(
        stack, ["drug", "age"], exit="exit", event="event", entry="entry", strata="day", id="row", cluster="patient"
    ).frame
    ours = of(landmark(d, ["drug", "age"], at=[20, 40, 60], cluster="patient", **NAMES), "stacked")
    np.testing.assert_allclose(ours[VALUES], theirs[VALUES], rtol=1e-9)
    assert ours["n_stacked_events"].iloc[0] == theirs["n_events"].iloc[0]
    assert ours["n_events"].iloc[0] == len(stack[stack["event"] == 1].drop_duplicates(["unit", "exit"]))
    assert ours["n_units"].iloc[0] == stack["unit"].nunique()
    assert np.isnan(ours["time"]).all()


def test_what_begins_after_the_landmark_is_not_seen():
    d = on_drug()
    changed = d.assign(drug=np.where(d["entry"] >= 60, 1 - d["drug"], d["drug"]))
    one, other = (landmark(x, ["drug"], at=[30, 60], **NAMES).frame for x in (d, changed))
    np.testing.assert_allclose(one[VALUES], other[VALUES], rtol=1e-12)


def test_order_splits_copies_and_frequencies_change_what_they_should():
    d = on_drug()
    options = {"at": [20, 50], "horizon": 60, "cluster": "patient", "small_sample": "none", **NAMES}
    whole = landmark(d, ["drug", "age"], **options).frame
    shuffled = landmark(d.sample(frac=1, random_state=3), ["drug", "age"], **options).frame
    np.testing.assert_allclose(shuffled[VALUES], whole[VALUES], rtol=1e-9)
    over = (d["entry"] < 33) & (d["exit"] > 33)
    split = pd.concat([d[over].assign(exit=33, event=0), d.assign(entry=np.where(over, 33, d["entry"]))])
    parts = landmark(split, ["drug", "age"], **options).frame
    columns = [*VALUES, "naive_std_error", "n_units", "n_events", "n_exposed"]
    np.testing.assert_allclose(parts[columns], whole[columns], rtol=1e-9)
    copies = pd.concat([d.assign(unit=d["unit"] + 1000 * k, patient=d["patient"] + 1000 * k) for k in range(4)])
    many = landmark(copies, ["drug", "age"], ties="breslow", **options).frame
    few = landmark(d, ["drug", "age"], ties="breslow", **options).frame
    np.testing.assert_allclose(many["std_error"] * 2, few["std_error"], rtol=1e-9)
    counted = landmark(
        d.assign(w=4), ["drug", "age"], weight="w", weight_kind="frequency", ties="breslow", **options
    ).frame
    np.testing.assert_allclose(counted[[*VALUES, "n_events"]], many[[*VALUES, "n_events"]], rtol=1e-9)


def test_without_a_cluster_splits_do_not_make_the_error_robust():
    d = on_drug()
    found = landmark(d, ["drug"], at=[30], **NAMES)
    single = of(found, "day 30")
    assert single["std_error"].iloc[0] == single["naive_std_error"].iloc[0]
    assert of(found, "stacked")["std_error"].iloc[0] != of(found, "stacked")["naive_std_error"].iloc[0]


def test_a_missing_value_counts_on_the_landmark_only():
    d = on_drug().astype({"drug": float})
    later = d.assign(drug=np.where(d["entry"] >= 30, np.nan, d["drug"]))
    one, other = (landmark(x, ["drug"], at=[30], **NAMES) for x in (d, later))
    np.testing.assert_allclose(of(one, "day 30")[VALUES], of(other, "day 30")[VALUES], rtol=1e-12)
    unknown = d.assign(drug=np.where(d["unit"] < 40, np.nan, d["drug"]))
    found = landmark(unknown, ["drug"], at=[30], **NAMES)
    account = found.settings["landmarks"][0]
    assert account["without_a_value"] > 0
    assert account["at_risk"] + account["without_a_value"] == one.settings["landmarks"][0]["at_risk"]
    assert of(found, "day 30")["n_units"].iloc[0] == account["at_risk"]


def test_a_landmark_after_everybody_left_keeps_its_row_and_says_so():
    found = landmark(on_drug(), ["drug"], at=[30, 5000], **NAMES)
    assert found.frame["stratum"].tolist() == ["day 30", "day 5000", "stacked"]
    late = of(found, "day 5000").iloc[0]
    assert np.isnan(late["estimate"])
    assert "nobody" in late["note"]
    np.testing.assert_allclose(of(found, "stacked")["coef"], of(found, "day 30")["coef"], rtol=1e-9)


def test_everyone_exposed_no_event_and_one_patient_have_words():
    d = on_drug()
    everyone = landmark(d.assign(drug=1), ["drug"], at=[30], **NAMES).frame
    assert everyone["estimate"].isna().all()
    assert everyone["note"].str.contains("the same for everyone").all()
    none = landmark(d.assign(event=0), ["drug"], at=[30], **NAMES).frame
    assert none["note"].str.contains("no event").all()
    one = landmark(d[d["patient"] == 5], ["drug"], at=[10], cluster="patient", **NAMES).frame
    assert one["estimate"].isna().all() or one["conf_low"].isna().all()
    assert (one["note"] != "").all()


def test_few_distinct_events_are_said_although_the_stack_has_many():
    d = on_drug(n_patients=9, seed=4)
    found = landmark(d, ["drug"], at=[5, 10, 15, 20, 25], **NAMES)
    stacked = of(found, "stacked").iloc[0]
    assert stacked["n_events"] < 10 <= stacked["n_stacked_events"]
    assert f"only {stacked['n_events']:g} distinct events" in stacked["note"]


def test_causes_and_categories_are_read_as_cox_reads_them():
    d = on_drug().assign(cause=lambda d: d["event"] * (1 + d["unit"] % 2), site=lambda d: d["patient"] % 3)
    d["site"] = pd.Categorical(np.array(["B", "S", "C"])[d["site"]], ["B", "S", "C"])
    found = landmark(d, ["drug", "site"], at=[20], of=2, **NAMES | {"event": "cause"})
    assert of(found, "day 20")["term"].tolist() == ["drug", "site=S", "site=C"]
    plain = landmark(d.assign(event=(d["cause"] == 2).astype(int)), ["drug", "site"], at=[20], **NAMES)
    np.testing.assert_allclose(found.frame[VALUES], plain.frame[VALUES], rtol=1e-12)
    assert found.settings["reference"] == {"site": "B"}


def test_a_lone_stratum_value_is_that_of_the_landmark():
    d = on_drug().assign(period=lambda d: d["drug"])  # changes together with the drug
    found = of(landmark(d, ["age"], at=[30], strata="period", **NAMES), "day 30")
    fixed = on_drug()
    on_day = fixed[(fixed["entry"] < 30) & (fixed["exit"] >= 30)].set_index("unit")["drug"]
    same = of(landmark(fixed.assign(period=fixed["unit"].map(on_day).fillna(0)), ["age"], at=[30], strata="period",
                       **NAMES), "day 30")  # fmt: skip
    np.testing.assert_allclose(found[VALUES], same[VALUES], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at": []}, "each later"),
        ({"at": [90, 30]}, "each later"),
        ({"at": [np.nan]}, "each later"),
        ({"at": [30], "horizon": 0}, "greater than zero"),
    ],
)
def test_landmarks_that_are_none_are_refused(options, words):
    with pytest.raises(EstimationError, match=words):
        landmark(on_drug(), ["drug"], **options, **NAMES)


def test_a_drug_without_effect_is_one_here_and_below_one_where_it_is_taken_as_known_from_the_start():
    """Immortal time: whoever lives longer has more days to begin the drug."""
    rng = np.random.default_rng(1)
    n = 4000
    end, begins = np.ceil(rng.exponential(300, n)).astype(int), np.ceil(rng.exponential(300, n)).astype(int)
    d = pd.DataFrame({"unit": np.arange(n)})
    before = d.assign(entry=0, exit=np.minimum(begins, end), drug=0, event=(end <= begins).astype(int))
    after = d.assign(entry=begins, exit=end, drug=1, event=1)[begins < end]
    timed = pd.concat([before, after])
    ever = d.assign(exit=end, event=1, drug=(begins < end).astype(int))
    naive = cox(ever, ["drug"], exit="exit", event="event").frame.iloc[0]
    assert naive["conf_high"] < 0.6
    frame = landmark(timed, ["drug"], at=[90, 180, 365], **NAMES).frame
    assert (frame["coef"].abs() < 3 * frame["std_error"]).all()
