"""What changes when whole spines are numbered one level off."""

from pathlib import Path

import pandas as pd
import pytest

import cohort
from cohort.domain.errors import DefinitionError
from cohort.domain.spine import LEVELS
from cohort.pipeline import prepare
from cohort.pipeline.misnumbering import misnumbering

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def synthetic():
    return cohort.read(ROOT / "data" / "synthetic")


def cells(frame):
    return frame.set_index(["relation", "relation_moved"])


def small(tmp_path, augmentations, fractures, patients="P1,2022-12-31,,"):
    (tmp_path / "patients.csv").write_text(f"patient_id,follow_up_end,n_thoracic,n_lumbar\n{patients}\n")
    (tmp_path / "augmentations.csv").write_text(f"patient_id,date,level\n{augmentations}\n")
    (tmp_path / "fractures.csv").write_text(f"patient_id,date,level\n{fractures}\n")
    return cohort.read(tmp_path)


def test_with_probability_zero_nothing_changes(synthetic):
    moved = cells(misnumbering(synthetic, probability=0.0, repeats=1))
    for relation in ("before_treatment", "same", "adjacent", "remote"):
        assert moved.loc[(relation, relation), "share"] == 1
    counted = moved.xs("counted", level="relation_moved")
    assert (counted["share"] == 1).all()
    expected = prepare(synthetic).sightings.query("counted == 'yes'")["relation"].value_counts()
    assert counted["n"].to_dict() == {name: expected[name] for name in counted.index}


def test_a_spine_read_by_another_count_makes_every_same_level_sighting_another_one(synthetic):
    moved = cells(misnumbering(synthetic, probability=1.0, read="apart", repeats=2))
    # It stays same level only where the vertebra beyond is treated too: told here from the sightings alone.
    found = prepare(synthetic)
    sightings = found.sightings[
        found.sightings["relation"].eq("same") & found.sightings["origin_of_row"].eq("recorded")
    ]
    treated = found.augmentations.groupby("patient_id")
    stays = 0.0
    for row in sightings.itertuples():
        own = treated.get_group(row.patient_id)
        before = own[(own["date"] < row.date) | own["date_precision"].eq("before_index")]["level"].astype(str)
        place = LEVELS.index(row.level)
        beside = [LEVELS[place - 1], LEVELS[min(place + 1, len(LEVELS) - 1)]]
        stays += before.isin(["T12" if name == "T13" else name for name in beside]).any() / 2
        stays += all(name in set(before) for name in beside) / 2
    assert moved.loc[("same", "same"), "share"] == pytest.approx(stays / len(sightings), abs=0.06)
    assert moved.loc[("same", "same"), "share"] < 0.4
    assert moved.loc[("same", "before_treatment"), "n"] == 0


def test_one_level_down_from_a_lone_treated_vertebra_is_adjacent(tmp_path):
    registry = small(tmp_path, "P1,2020-01-01,L1", "P1,2020-06-01,L1")
    moved = cells(misnumbering(registry, probability=1.0, read="apart", repeats=5))
    assert moved.loc[("same", "adjacent"), "n"] == 1


def test_a_spine_moved_as_a_whole_keeps_its_relations(synthetic):
    moved = cells(misnumbering(synthetic, probability=1.0, read="alike", repeats=2))
    for relation in ("before_treatment", "same", "adjacent", "remote"):
        # Only at S1 can a vertebra not be moved along with the others.
        assert moved.loc[(relation, relation), "share"] > 0.97


def test_a_vertebra_beyond_the_sacrum_is_not_invented(tmp_path):
    registry = small(tmp_path, "P1,2020-01-01,L5", "P1,2020-06-01,S1")
    moved = misnumbering(registry, probability=1.0, read="apart", repeats=6)
    assert moved.loc[moved["relation_moved"] != "counted", "n"].sum() == pytest.approx(1)


def test_six_lumbar_vertebrae_are_counted_through(tmp_path):
    registry = small(tmp_path, "P1,2020-01-01,L6", "P1,2020-06-01,L4", "P1,2022-12-31,,6")
    moved = cells(misnumbering(registry, probability=1.0, read="apart", repeats=8))
    assert moved.loc[("remote", "adjacent"), "n"] + moved.loc[("remote", "remote"), "n"] == pytest.approx(1)
    assert 0 < moved.loc[("remote", "adjacent"), "n"] < 1


def test_every_sighting_is_somewhere_after_the_move_and_draws_repeat(synthetic):
    once = misnumbering(synthetic, probability=0.1, repeats=3, seed=7)
    shares = once[once["relation_moved"] != "counted"].groupby("relation")["share"].sum()
    assert shares.to_numpy() == pytest.approx(1)
    pd.testing.assert_frame_equal(once, misnumbering(synthetic, probability=0.1, repeats=3, seed=7))
    assert ((once["share_low"] <= once["share"]) & (once["share"] <= once["share_high"])).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"probability": 1.5}, "must be 0 to 1"),
        ({"repeats": 0}, "at least one"),
        ({"read": "both"}, "alike or apart"),
    ],
)
def test_impossible_settings_are_refused(synthetic, settings, words):
    with pytest.raises(DefinitionError, match=words):
        misnumbering(synthetic, **settings)
