"""Incidence, proportions and rates as the report reads them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cohort.pipeline import occurrence, prepare, read
from cohort.tables.results import Registry


def at_one_year(frame, curve):
    return frame[(frame["time"] == 365) & (frame["curve"] == curve)].set_index("outcome")["estimate"]


def test_the_causes_of_the_composite_curve_add_up_with_those_free_of_any(cohort):
    shares = at_one_year(occurrence.incidence(cohort).frame, "composite")
    refracture = shares[["same", "adjacent", "remote", "several"]].sum()
    assert shares["any"] == pytest.approx(refracture, rel=1e-12)
    assert refracture + shares["death"] + shares["event_free"] == pytest.approx(1, rel=1e-12)


def test_a_relation_by_itself_is_never_rarer_than_as_the_first_of_all(cohort):
    frame = occurrence.incidence(cohort).frame
    alone, first = at_one_year(frame, "per_relation"), at_one_year(frame, "composite")
    assert (alone >= first[alone.index]).all()


def test_the_curves_end_where_the_windows_read_them(cohort):
    windows = occurrence.incidence(cohort, [365]).frame
    steps = occurrence.curves(cohort).frame
    for row in windows.itertuples():
        own = steps[(steps["curve"] == row.curve) & (steps["outcome"] == row.outcome) & (steps["time"] <= 365)]
        assert own.sort_values("time")["estimate"].iloc[-1] == pytest.approx(row.estimate, rel=1e-12)


def test_a_simple_proportion_leaves_out_who_was_lost_or_died_before_the_window(cohort):
    row = occurrence.proportions(cohort).frame.query("outcome == 'adjacent' and time == 365").iloc[0]
    rows = cohort.first_events("adjacent").frame
    rows = rows[rows["entry"] == 0]
    broke = (rows["cause"] == 1) & (rows["exit"] <= 365)
    assert row["n_events"] == broke.sum()
    assert row["n_patients"] == (broke | (rows["exit"] >= 365)).sum()
    assert row["estimate"] == pytest.approx(broke.sum() / row["n_patients"])


def test_rates_by_level_add_up_to_the_rate_over_all_levels(cohort):
    rates = occurrence.rates(cohort).frame.query("unit == 'vertebra' and variant == 'main'")
    whole = rates[rates["level"] == ""].set_index("role")
    parts = rates[rates["level"] != ""].groupby("role", observed=True)[["n_events", "person_years"]].sum()
    for role in parts.index:
        assert parts.loc[role, "n_events"] == whole.loc[role, "n_events"]
        assert parts.loc[role, "person_years"] == pytest.approx(whole.loc[role, "person_years"])


def test_patient_rates_count_the_events_of_vertebrae_over_patient_time(cohort):
    rates = occurrence.rates(cohort).frame.query("variant == 'main'")
    patients = rates[rates["unit"] == "patient"].set_index("outcome")
    vertebrae = rates[(rates["unit"] == "vertebra") & (rates["level"] == "")].set_index("role")
    assert patients.loc["same", "n_events"] == vertebrae.loc["treated", "n_events"]
    assert patients.loc["any", "n_events"] == patients.loc[["same", "adjacent", "remote"], "n_events"].sum()
    follow_up = cohort.follow_up[cohort.follow_up["in_main"]]
    years = (follow_up["exit_day"] - follow_up["entry_day"]).sum() / 365.25
    np.testing.assert_allclose(patients["person_years"], years)


def test_near_remote_vertebrae_are_some_of_the_remote_ones(cohort):
    rates = occurrence.rates(cohort).frame.query("unit == 'vertebra' and role == 'remote' and level == ''")
    by_variant = rates.set_index("variant")
    assert 0 < by_variant.loc["within_three", "person_years"] < by_variant.loc["main", "person_years"]
    assert by_variant.loc["within_three", "n_events"] <= by_variant.loc["main", "n_events"]


def test_numbers_at_risk_fall_from_the_first_tick_on(cohort):
    table = occurrence.numbers_at_risk(cohort)
    everyone_in = table[table["time"] >= 365]
    assert (everyone_in.groupby("curve")["n_risk"].diff().dropna() <= 0).all()
    assert isinstance(table, pd.DataFrame)


def test_a_level_with_healed_days_only_has_no_rate_without_them():
    """The first case alone: its vertebra broke again while only a new fracture could have counted."""
    registry = read(Path(__file__).parents[3] / "data" / "cases")
    tables = {name: frame[frame["patient_id"] == "case1"] for name, frame in registry.tables.items()}
    rates = occurrence.rates(prepare(Registry.of(tables))).frame
    levels = rates[(rates["unit"] == "vertebra") & (rates["level"] != "")]
    main, without = (set(levels.loc[levels["variant"] == name, "level"]) for name in ("main", "without_healed"))
    assert without < main
