"""Hazard ratios that change with time, on rows split where they change."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.by_interval import hazard_ratio_by_interval, split_at, time_transform

ROWS = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}
RATIOS = "measure == 'hazard_ratio'"


def test_a_row_is_split_at_cuts_inside_it_and_keeps_its_event_at_its_end():
    cases = """
        entry exit event | parts
        0     90   1     | (0, 90] in 0 with event
        0     91   1     | (0, 90] in 0, (90, 91] in 1 with event
        90    100  0     | (90, 100] in 1
        80    400  1     | (80, 90] in 0, (90, 365] in 1, (365, 400] in 2 with event
    """
    for line in cases.strip().splitlines()[1:]:
        given, wanted = line.split("|")
        entry, exit_, event = (np.array([float(value)]) for value in given.split())
        s = split_at(entry, exit_, event == 1, [90, 365])
        found = ", ".join(
            f"({a:g}, {b:g}] in {k}{' with event' if e else ''}"
            for a, b, e, k in zip(s.entry, s.exit, s.event, s.interval, strict=True)
        )
        assert found == wanted.strip()


def test_splits_add_up_to_the_rows(vertebra_rows):
    rows = vertebra_rows(1)
    entry, exit_, event = rows["entry"].to_numpy(), rows["exit"].to_numpy(), rows["event"].to_numpy() == 1
    s = split_at(entry, exit_, event, [5, 10, 33])
    assert (s.exit > s.entry).all()
    np.testing.assert_allclose(np.bincount(s.row, s.exit - s.entry), exit_ - entry)
    np.testing.assert_array_equal(np.bincount(s.row, s.event), event)


@pytest.mark.parametrize("cuts", [[10, 10], [20, 10], [np.nan], [np.inf]])
def test_cuts_out_of_order_are_refused(cuts):
    with pytest.raises(EstimationError, match="cuts"):
        split_at(np.zeros(1), np.ones(1), np.ones(1, dtype=bool), cuts)


def test_the_ratio_of_an_interval_is_cox_on_its_part_of_the_rows(vertebra_rows):
    rows = vertebra_rows(2, n_patients=60)
    options = {**ROWS, "small_sample": "none"}
    ours = hazard_ratio_by_interval(rows, ["leak"], cuts=[12], **options).frame.query(RATIOS)
    early = rows[rows["entry"] < 12].assign(
        event=lambda d: d["event"] * (d["exit"] <= 12), exit=lambda d: np.minimum(d["exit"], 12.0)
    )
    late = rows[rows["exit"] > 12].assign(entry=lambda d: np.maximum(d["entry"], 12.0))
    for part, row in zip((early, late), ours.itertuples(), strict=True):
        alone = cox(part, ["leak"], **options).frame.iloc[0]
        for name in ("coef", "std_error", "naive_std_error"):
            assert getattr(row, name) == pytest.approx(alone[name], rel=1e-9)
        for name in ("n_events", "n_units", "n_patients", "n_exposed_events"):
            assert getattr(row, name) == alone[name]


@pytest.mark.parametrize("n_patients", [12, 60])
def test_without_cuts_it_is_cox_with_its_jackknife_and_nothing_is_tested(vertebra_rows, n_patients):
    rows = vertebra_rows(2, n_patients=n_patients)
    ours, plain = hazard_ratio_by_interval(rows, ["leak", "age"], cuts=[], **ROWS), cox(rows, ["leak", "age"], **ROWS)
    columns = ["coef", "std_error", "conf_low", "conf_high", "p_value", "n_patients", "n_units", "n_events"]
    np.testing.assert_allclose(ours.frame.query(RATIOS)[columns], plain.frame[columns], rtol=1e-9)
    assert ours.frame.query(RATIOS)["note"].tolist() == plain.frame["note"].tolist()
    assert ours.settings["variance"] == plain.settings["variance"]
    test = ours.frame.query("measure == 'equality_over_intervals'").iloc[0]
    assert np.isnan(test["statistic"])
    assert test["note"].startswith("fewer than two intervals")


def test_few_clusters_give_limits_from_t_and_a_test_from_f(vertebra_rows):
    rows = vertebra_rows(4, n_patients=30)
    frame = hazard_ratio_by_interval(rows, ["leak"], cuts=[12], small_sample="jackknife", **ROWS).frame
    with_event = rows[rows["event"] == 1].assign(late=lambda d: d["exit"] > 12).groupby("late")["patient"].nunique()
    assert (frame.query(RATIOS)["df"] + 1).tolist() == with_event.tolist()
    test, rest = frame.iloc[-1], rows.loc[rows["event"] == 1, "patient"].nunique() - 1
    # With one difference Hotelling's test is t with the clusters less one.
    assert test["p_value"] == pytest.approx(2 * stats.t.sf(np.sqrt(test["statistic"]), rest), rel=1e-10)


def test_with_two_intervals_the_test_is_the_difference_over_its_error(vertebra_rows):
    """The two intervals share no event, so their model-based estimates are independent."""
    rows = vertebra_rows(2, n_patients=60)
    frame = hazard_ratio_by_interval(rows, ["leak"], cuts=[12], robust=False, **ROWS).frame
    one, other = frame.query(RATIOS).itertuples()
    z2 = (one.coef - other.coef) ** 2 / (one.std_error**2 + other.std_error**2)
    assert frame["statistic"].iloc[-1] == pytest.approx(z2, rel=1e-9)
    assert frame["df"].iloc[-1] == 1


def test_a_hazard_that_crosses_is_found_out_and_a_constant_one_is_not():
    rng = np.random.default_rng(2)
    leak = np.repeat([0, 1], 300)
    crossing = np.where(leak == 1, rng.weibull(0.5, 600), rng.weibull(2.5, 600)) * 100 + 1
    constant = rng.exponential(100 / np.where(leak == 1, 2.0, 1.0))
    for exit_, crosses in ((crossing, True), (constant, False)):
        d = pd.DataFrame({"exit": exit_, "event": 1, "leak": leak})
        test = hazard_ratio_by_interval(d, ["leak"], cuts=[40, 100], exit="exit", event="event").frame.iloc[-1]
        assert (test["p_value"] < 1e-6) == crosses


def test_intervals_without_rows_events_or_exposed_events_keep_their_row_and_say_so(vertebra_rows):
    rows = vertebra_rows(3, n_patients=60)
    rows = rows.assign(
        event=lambda d: np.where(d["exit"] > 30, 0, d["event"] * np.where(d["exit"] <= 5, 1 - d["leak"], 1))
    )
    frame = hazard_ratio_by_interval(rows, ["leak", "age"], cuts=[5, 30, 500, 900], **ROWS).frame
    notes = frame.query(RATIOS)["note"].tolist()
    assert notes[0].startswith("no event among the exposed")
    assert frame["estimate"].iloc[0] == 0
    assert np.isnan(frame["conf_high"].iloc[0])
    assert np.isfinite(frame["std_error"].iloc[1])
    assert notes[2].startswith("no event in this interval")
    assert notes[3] == notes[4] == "nobody at risk in this interval"
    assert np.isfinite(frame.query("term == 'age'")["std_error"]).all()
    assert frame["note"].iloc[-1].startswith("fewer than two intervals")


def test_equality_is_tested_over_the_intervals_that_have_an_estimate(vertebra_rows):
    rows = vertebra_rows(3, n_patients=60)
    rows = rows.assign(event=lambda d: np.where(d["exit"] > 30, 0, d["event"]))
    test = hazard_ratio_by_interval(rows, ["leak"], cuts=[10, 30], **ROWS).frame.iloc[-1]
    assert test["df"] == 1
    assert test["note"].startswith("only over the intervals that have an estimate")


def test_every_event_among_the_exposed_of_an_interval_has_no_upper_bound(vertebra_rows):
    rows = vertebra_rows(3, n_patients=60)
    rows = rows.assign(event=lambda d: d["event"] * np.where(d["exit"] <= 10, d["leak"], 1))
    frame = hazard_ratio_by_interval(rows, ["leak"], cuts=[10], **ROWS).frame
    assert frame["estimate"].iloc[0] == np.inf
    assert frame["note"].iloc[0].startswith("every event among the exposed")


def test_no_event_at_all_one_patient_and_few_clusters(vertebra_rows):
    rows = vertebra_rows(4)
    none = hazard_ratio_by_interval(rows.assign(event=0), ["leak", "age"], cuts=[10], **ROWS).frame
    assert none["estimate"].isna().all()
    assert none.query(RATIOS)["note"].str.startswith("no event").all()
    lone = hazard_ratio_by_interval(rows.assign(patient=1), ["age"], cuts=[10], **ROWS).frame
    assert lone["std_error"].isna().all()
    assert lone.query(RATIOS)["note"].str.contains("one cluster").all()
    assert np.isnan(lone["statistic"].iloc[-1])
    few = hazard_ratio_by_interval(rows, ["age"], cuts=[10], small_sample="none", **ROWS).frame
    assert few["note"].str.contains("robust standard error tends to be too small").all()


def test_the_order_of_rows_and_splits_change_nothing(vertebra_rows):
    rows = vertebra_rows(6, n_patients=60)
    over = (rows["entry"] < 8) & (rows["exit"] > 8)
    split = pd.concat([rows[over].assign(exit=8.0, event=0), rows.assign(entry=np.where(over, 8.0, rows["entry"]))])
    columns = ["coef", "std_error", "n_units", "n_events", "statistic"]
    one = hazard_ratio_by_interval(rows, ["leak", "age"], cuts=[12], **ROWS).frame[columns]
    again = hazard_ratio_by_interval(split.sample(frac=1, random_state=1), ["leak", "age"], cuts=[12], **ROWS).frame
    np.testing.assert_allclose(again[columns], one, rtol=1e-8)


def test_frequencies_are_rows(vertebra_rows):
    rows = vertebra_rows(6, n_patients=60).assign(w=lambda d: 1 + d["unit"] % 3)
    repeated = rows.loc[rows.index.repeat(rows["w"])].reset_index(drop=True)
    options = {"entry": "entry", "exit": "exit", "event": "event", "cuts": [12], "robust": True}
    one = hazard_ratio_by_interval(rows, ["leak"], weight="w", weight_kind="frequency", **options).frame
    many = hazard_ratio_by_interval(repeated, ["leak"], **options).frame
    columns = ["coef", "std_error", "n_events", "n_exposed_events", "statistic"]
    np.testing.assert_allclose(one[columns], many[columns], rtol=1e-8)


def test_an_exposure_outside_the_model_is_refused(vertebra_rows):
    with pytest.raises(EstimationError, match="one of the covariates"):
        hazard_ratio_by_interval(vertebra_rows(1), ["leak"], exposure="age", cuts=[10], **ROWS)


def test_a_step_of_time_is_the_ratio_by_interval(vertebra_rows):
    rows = vertebra_rows(2, n_patients=60)
    ratios = hazard_ratio_by_interval(rows, ["leak", "age"], cuts=[12], **ROWS).frame.query(RATIOS)
    step = time_transform(rows, ["leak", "age"], transform={"leak": lambda x, t: x * (t > 12)}, **ROWS).frame
    coef = step.set_index("term")["coef"]
    assert coef["leak"] == pytest.approx(ratios["coef"].iloc[0], rel=1e-9)
    assert coef["leak"] + coef["tt(leak)"] == pytest.approx(ratios["coef"].iloc[1], rel=1e-9)
    assert coef["age"] == pytest.approx(ratios["coef"].iloc[2], rel=1e-9)


def test_a_function_that_ignores_time_is_cox(vertebra_rows):
    rows = vertebra_rows(2, n_patients=60)
    ours = time_transform(rows, ["leak"], transform={"age": lambda x, t: x}, **ROWS)
    plain = cox(rows, ["leak", "age"], **ROWS)
    columns = ["coef", "std_error", "naive_std_error", "n_units", "n_patients", "n_events"]
    np.testing.assert_allclose(ours.frame[columns], plain.frame[columns], rtol=1e-9)
    assert ours.settings["loglik"] == pytest.approx(plain.settings["loglik"], rel=1e-12)


def test_functions_of_time_without_event_of_categories_and_with_holes(vertebra_rows):
    rows = vertebra_rows(2)
    none = time_transform(rows.assign(event=0), ["leak"], transform={"age": lambda x, t: x * t}, **ROWS).frame
    assert none["note"].str.startswith("no event").all()
    cleft = rows.assign(cleft=pd.Categorical(np.where(rows["unit"] % 2, "yes", "no")))
    with pytest.raises(EstimationError, match="needs a number"):
        time_transform(cleft, ["leak"], transform={"cleft": lambda x, t: x}, **ROWS)
    with pytest.raises(EstimationError, match="finite at every event"):
        time_transform(rows, ["leak"], transform={"age": lambda x, t: x * np.inf}, **ROWS)
