"""What hospitals record of clean patients: incomplete and repeated, never impossible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.synthetic.mess import recorded
from cohort.synthetic.simulate import simulate
from cohort.tables.contracts import check
from cohort.tables.schema import CANONICAL

DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def source():
    return simulate(2000, seed=12)


@pytest.fixture(scope="module")
def kept(source):
    return recorded(source, np.random.default_rng(1))


def test_every_canonical_table_is_there_and_keeps_its_contract(kept):
    assert set(kept) == set(CANONICAL)
    for name, frame in kept.items():
        check(name, frame)
        assert len(frame) > 0


def test_clean_tables_are_left_alone(source, kept):
    assert kept
    for name, frame in simulate(2000, seed=12).items():
        pd.testing.assert_frame_equal(frame, source[name])


def test_t_scores_go_missing_more_in_the_old_and_in_men(source, kept):
    missing = kept["patients"]["t_score"].isna()
    old = source["patients"]["age_at_index"] > 80
    men = source["patients"]["sex"] == "male"
    assert missing[old].mean() > missing[~old].mean() + 0.03
    assert missing[men].mean() > missing[~men].mean() + 0.03


def test_findings_have_all_four_states(kept):
    cleft = kept["augmentations"]["cleft_before"]
    assert set(cleft.dropna()) == {"yes", "no", "not_assessable"}
    assert cleft.isna().any()


def test_some_first_procedures_were_finished_days_later(source, kept):
    done = kept["augmentations"].merge(source["augmentations"][["augmentation_id", "date"]], on="augmentation_id")
    moved = (done["date_x"] - done["date_y"]).dt.days
    assert set(moved[moved > 0]) <= set(range(3, 11))
    assert 10 < (moved > 0).sum() < 150


def test_some_vertebrae_were_treated_elsewhere_without_a_date(kept):
    undated = kept["augmentations"].query("date_precision == 'before_index'")
    assert 10 < len(undated) < 80
    assert undated["date"].isna().all()
    enrolled = kept["patients"].set_index("patient_id")["enrolled_on"]
    assert enrolled.loc[undated["patient_id"]].notna().all()


def test_some_augmented_refractures_were_never_listed(source, kept):
    missing = ~source["fractures"]["fracture_id"].isin(kept["fractures"]["fracture_id"])
    lost = source["fractures"][missing]
    assert 10 < len(lost) < 150
    treated = lost.merge(source["augmentations"], on=["patient_id", "level"], suffixes=("", "_u"))
    later = (treated["date_u"] > treated["date"]) & (treated["date_u"] <= treated["date"] + 90 * DAY)
    assert set(treated.loc[later, "fracture_id"]) == set(lost["fracture_id"])


def test_old_fractures_are_listed_again_and_some_left_unjudged(kept):
    again = kept["fractures"][kept["fractures"]["fracture_id"].str.startswith("W")]
    assert (again["kind"] == "old").sum() > 50
    assert again["kind"].isna().sum() > 10
    end = kept["patients"].set_index("patient_id")["follow_up_end"].loc[again["patient_id"]].to_numpy()
    assert (again["date"] <= end).all()


def test_dates_known_to_the_month_or_year_say_so(kept):
    assert {"month", "year", "day"} <= set(kept["fractures"]["date_precision"])
    assert "month" in set(kept["augmentations"]["date_precision"])


def test_films_show_settling_without_pain_and_progression_with_it(source, kept):
    films = kept["imaging"].merge(
        source["augmentations"].drop_duplicates(["patient_id", "level"])[["patient_id", "level", "anterior_mm_after"]],
        on=["patient_id", "level"],
    )
    loss = 1 - films["anterior_mm"] / films["anterior_mm_after"]
    assert loss.between(0.10, 0.15).sum() > 20
    assert (loss >= 0.15).sum() > 10
    assert (loss < 0.06).mean() > 0.8


def test_films_and_visits_lie_within_follow_up(kept):
    end = kept["patients"].set_index("patient_id")["follow_up_end"]
    for name in ("imaging", "assessments", "imaging_studies"):
        assert (kept[name]["date"] <= end.loc[kept[name]["patient_id"]].to_numpy()).all()


def test_nothing_is_treated_or_broken_at_an_excluded_level(kept):
    excluded = pd.MultiIndex.from_frame(kept["excluded_levels"][["patient_id", "level"]].astype(str))
    for name in ("augmentations", "fractures"):
        assert not pd.MultiIndex.from_frame(kept[name][["patient_id", "level"]].astype(str)).isin(excluded).any()
