"""Which event a row awaits, and what each clock makes of it."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.recurrent import event_order, recurrent

ROWS = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}
CLOCKS = ["andersen_gill", "pwp_total", "pwp_gap", "marginal"]


def histories(seed, n_patients=25):
    """Vertebrae of patients with up to four spells each; some spells end in an event, some leave a gap."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
    spells = rng.integers(1, 5, len(patient))
    unit = np.repeat(np.arange(len(patient)), spells)
    length, gap = rng.integers(1, 15, len(unit)), rng.integers(0, 4, len(unit)) * rng.integers(0, 2, len(unit))
    first = np.r_[True, np.diff(unit) != 0]
    total = np.cumsum(length + gap)
    opening = np.maximum.accumulate(np.where(first, np.arange(len(unit)), 0))
    exit_ = total - (total - length - gap)[opening]
    d = pd.DataFrame({"unit": unit, "patient": patient[unit], "entry": exit_ - length, "exit": exit_}).astype(float)
    return d.assign(
        event=rng.integers(0, 2, len(d)),
        leak=rng.integers(0, 2, len(patient))[unit],
        age=rng.normal(75, 8, n_patients).round(1)[patient][unit],
    )


def test_an_event_on_the_day_a_row_begins_is_before_it_and_that_of_its_own_end_is_not():
    rows = """
        unit entry exit event order previous
        1    0     10   1     1     nan
        1    10    20   0     2     10
        1    25    30   1     2     10
        1    30    31   0     3     30
        2    0     40   0     1     nan
    """
    d = pd.DataFrame([line.split() for line in rows.split("\n")[2:-1]], columns=rows.split()[:6]).astype(float)
    mixed = d.sample(frac=1, random_state=3)
    order, previous = event_order(
        mixed["unit"].to_numpy(int), mixed["entry"].to_numpy(), mixed["exit"].to_numpy(), mixed["event"].to_numpy() == 1
    )
    assert order.tolist() == mixed["order"].tolist()
    np.testing.assert_array_equal(previous, mixed["previous"])


def test_one_event_per_vertebra_is_cox_by_any_clock(vertebra_rows):
    rows = vertebra_rows(3)
    one = cox(rows, ["leak", "age"], **ROWS).frame
    for clock in CLOCKS:
        many = recurrent(rows, ["leak", "age"], clock=clock, **ROWS).frame
        np.testing.assert_allclose(many[["coef", "std_error"]], one[["coef", "std_error"]], rtol=1e-10)


def test_andersen_gill_is_cox_on_the_same_rows():
    rows = histories(1)
    one, other = cox(rows, ["leak", "age"], **ROWS).frame, recurrent(rows, ["leak", "age"], **ROWS).frame
    np.testing.assert_allclose(other["coef"], one["coef"], rtol=1e-12)
    np.testing.assert_allclose(other["std_error"], one["std_error"], rtol=1e-12)


@pytest.mark.parametrize("clock", CLOCKS)
def test_few_patients_with_an_event_have_the_jackknife_and_limits_from_t(clock):
    rows = histories(3, n_patients=12)
    ours = recurrent(rows, ["leak", "age"], clock=clock, **ROWS)
    plain = recurrent(rows, ["leak", "age"], clock=clock, small_sample="none", **ROWS)
    assert ours.frame["df"].eq(rows.loc[rows["event"] == 1, "patient"].nunique() - 1).all()
    assert ours.frame["note"].str.contains("jackknife").all()
    assert (ours.frame["corrected_std_error"] > plain.frame["std_error"]).all()


def test_all_orders_in_one_stratum_on_the_total_clock_are_andersen_gill():
    rows = histories(2)
    pooled = recurrent(rows, ["leak", "age"], clock="pwp_total", max_order=1, **ROWS).frame
    free = recurrent(rows, ["leak", "age"], **ROWS).frame
    np.testing.assert_allclose(pooled["coef"], free["coef"], rtol=1e-12)


def test_the_first_order_of_the_marginal_model_is_the_time_to_the_first_event():
    rows = histories(4)
    order, _ = event_order(
        rows["unit"].to_numpy(), rows["entry"].to_numpy(), rows["exit"].to_numpy(), rows["event"].to_numpy() == 1
    )
    first = cox(rows[order == 1], ["leak", "age"], **ROWS).frame
    ours = recurrent(rows, ["leak", "age"], clock="marginal", max_order=1, **ROWS).frame
    np.testing.assert_allclose(ours[["coef", "std_error"]], first[["coef", "std_error"]], rtol=1e-10)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("day", [3, 8, 20])
def test_splitting_rows_changes_nothing(clock, day):
    rows = histories(5)
    over = (rows["entry"] < day) & (day < rows["exit"])
    split = pd.concat(
        [rows[over].assign(exit=float(day), event=0), rows.assign(entry=np.where(over, day, rows["entry"]))]
    )
    whole, parts = (recurrent(r, ["leak", "age"], clock=clock, **ROWS) for r in (rows, split))
    np.testing.assert_allclose(
        parts.frame[["coef", "std_error", "naive_std_error"]], whole.frame[["coef", "std_error", "naive_std_error"]],
        rtol=1e-8,
    )  # fmt: skip
    assert parts.frame["n_units"].iloc[0] == whole.frame["n_units"].iloc[0]
    assert parts.settings["events_by_order"] == whole.settings["events_by_order"]


@pytest.mark.parametrize("clock", CLOCKS)
def test_copies_of_every_patient_leave_the_ratio_and_divide_the_robust_error(clock):
    rows = histories(6)
    shift = {"unit": rows["unit"].max() + 1, "patient": rows["patient"].max() + 1}
    copied = pd.concat([rows.assign(**{name: rows[name] + k * by for name, by in shift.items()}) for k in range(4)])
    one, four = (recurrent(r, ["leak"], clock=clock, ties="breslow", **ROWS).frame.iloc[0] for r in (rows, copied))
    assert four["coef"] == pytest.approx(one["coef"], rel=1e-8)
    assert four["std_error"] == pytest.approx(one["std_error"] / 2, rel=1e-8)
    assert four["naive_std_error"] == pytest.approx(one["naive_std_error"] / 2, rel=1e-8)


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_row_of_frequency_three_is_three_units(clock):
    rows = histories(6).assign(patient=lambda d: d["unit"], w=lambda d: 1 + d["unit"] % 3)
    repeated = pd.concat([rows[rows["w"] > k].assign(unit=lambda d, k=k: d["unit"] + 1000 * k) for k in range(3)])
    repeated["patient"] = repeated["unit"]
    weighted = recurrent(rows, ["leak", "age"], clock=clock, weight="w", weight_kind="frequency", **ROWS)
    plain = recurrent(repeated, ["leak", "age"], clock=clock, **ROWS)
    np.testing.assert_allclose(weighted.frame[["coef", "std_error"]], plain.frame[["coef", "std_error"]], rtol=1e-8)
    assert weighted.settings["events_by_order"] == plain.settings["events_by_order"]


def test_an_event_of_a_row_without_its_covariate_still_counts_for_the_order():
    rows = histories(7).astype({"age": float})
    with_event = rows.index[(rows["event"] == 1) & rows.duplicated("unit", keep="last")]
    rows.loc[with_event[0], "age"] = np.nan
    unit = rows.loc[with_event[0], "unit"]
    alone = recurrent(rows[rows["unit"] == unit], ["age"], clock="pwp_total", **ROWS).settings
    assert "1" not in alone["events_by_order"]


def test_orders_with_few_events_are_said_and_pooling_them_names_the_last():
    rows = histories(8)
    assert "few events of order" in recurrent(rows, ["age"], clock="pwp_total", **ROWS).frame["note"].iloc[0]
    pooled = recurrent(rows, ["age"], clock="pwp_total", max_order=2, **ROWS)
    assert list(pooled.settings["events_by_order"]) == ["1", "2+"]
    assert sum(pooled.settings["events_by_order"].values()) == rows["event"].sum()
    kept = recurrent(rows, ["age"], clock="marginal", max_order=2, **ROWS)
    assert list(kept.settings["events_by_order"]) == ["1", "2"]


@pytest.mark.parametrize("clock", CLOCKS)
def test_no_event_leaves_a_row_that_says_so(clock):
    result = recurrent(histories(1).assign(event=0), ["leak", "age"], clock=clock, **ROWS)
    assert result.frame["note"].str.startswith("no event").all()
    assert result.settings["events_by_order"] == {}


@pytest.mark.parametrize("clock", CLOCKS)
def test_everyone_exposed_and_one_patient_are_said(clock):
    alike = recurrent(histories(1).assign(leak=1), ["leak", "age"], clock=clock, **ROWS).frame
    assert alike["note"].iloc[0].startswith("the same for everyone")
    lone = recurrent(histories(1).assign(patient=1), ["age"], clock=clock, **ROWS).frame.iloc[0]
    assert np.isnan(lone["std_error"])
    assert "one cluster" in lone["note"]


def test_a_cause_of_many_is_the_event_and_death_ends_the_time_at_risk():
    rows = histories(9).assign(cause=lambda d: d["event"])
    last = rows.groupby("unit")["exit"].transform("max") == rows["exit"]
    dead = rows.assign(cause=np.where(last & (rows["event"] == 0), 2, rows["cause"]))
    options = {name: value for name, value in ROWS.items() if name != "event"}
    one = recurrent(rows, ["leak"], event="event", clock="pwp_total", **options)
    other = recurrent(dead, ["leak"], event="cause", of=1, clock="pwp_total", **options)
    assert other.frame["coef"].iloc[0] == one.frame["coef"].iloc[0]
    assert "living" in other.settings["death"]


def test_rows_of_one_id_without_entry_have_no_order():
    with pytest.raises(EstimationError, match="strata=the column of the order"):
        recurrent(histories(1), ["leak"], exit="exit", event="event", id="unit")


def test_an_id_of_two_patients_is_refused(vertebra_rows):
    rows = vertebra_rows(1).assign(unit=lambda d: np.minimum(d["unit"], 3), entry=lambda d: 100.0 * d.index)
    rows = rows.assign(exit=rows["entry"] + 5)
    with pytest.raises(EstimationError, match="one unit of one patient"):
        recurrent(rows, ["leak"], **ROWS)


@pytest.mark.parametrize("options", [{"clock": "wlw"}, {"max_order": 2}, {"clock": "pwp_gap", "max_order": 0}])
def test_a_clock_that_is_none_and_orders_that_pool_nothing_are_refused(options):
    with pytest.raises(EstimationError, match=r"clock|max_order"):
        recurrent(histories(1), ["leak"], **options, **ROWS)
