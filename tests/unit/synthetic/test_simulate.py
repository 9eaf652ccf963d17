"""Clean tables keep every rule of the registry, so that a report of them has nothing to judge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import UsageError
from cohort.domain.spine import CODE, SACRUM_CODE, position
from cohort.synthetic import DEFAULT, simulate
from cohort.tables.contracts import check
from cohort.tables.schema import CANONICAL

DAY = pd.Timedelta(days=1)


def test_a_seed_gives_the_same_tables_and_another_seed_gives_others(clean):
    again, other = simulate(3000, seed=4), simulate(3000, seed=5)
    for name, frame in clean.items():
        pd.testing.assert_frame_equal(frame, again[name])
    assert not clean["patients"].equals(other["patients"])


def test_tables_satisfy_their_contracts_in_exact_dtypes(clean):
    for name, frame in clean.items():
        check(name, frame)
        assert tuple(frame.columns) == CANONICAL[name].names
        for column in CANONICAL[name]:
            assert frame[column.name].dtype == column.dtype, (name, column.name)


@pytest.mark.parametrize("n_patients", [1, 2, 7])
def test_very_small_registries_can_be_drawn(n_patients):
    assert len(simulate(n_patients, seed=1)["patients"]) == n_patients


def test_a_registry_without_patients_is_refused():
    with pytest.raises(UsageError, match="at least one patient"):
        simulate(0, seed=1)


def test_every_patient_was_treated_and_is_followed_for_at_least_a_day(clean):
    patients, done = clean["patients"], clean["augmentations"]
    assert set(done["patient_id"]) == set(patients["patient_id"])
    assert (patients["follow_up_end"] > patients["enrolled_on"]).all()
    assert not (patients["death_date"] > patients["follow_up_end"]).any()


def test_levels_belong_to_the_patients_own_spine_and_odd_spines_are_among_them(clean):
    patients = clean["patients"].set_index("patient_id")
    for name in ("augmentations", "fractures"):
        rows = clean[name]
        own = patients.loc[rows["patient_id"]]
        place = position(
            rows["level"].map(CODE).to_numpy(), own["n_thoracic"].to_numpy(int), own["n_lumbar"].to_numpy(int)
        )
        assert (place >= CODE["T4"]).all()
        assert (rows["level"].map(CODE).to_numpy() < SACRUM_CODE).all()
    assert set(patients["n_thoracic"]) == {11, 12, 13}
    assert set(patients["n_lumbar"]) == {4, 5, 6}


def test_first_sessions_treat_one_to_three_levels_for_three_indications(clean):
    done = clean["augmentations"]
    first = done[done["date"] == done.groupby("patient_id")["date"].transform("min")]
    for_fracture = first[first["indication"] == "fracture"]
    assert set(for_fracture.groupby("patient_id").size()) == {1, 2, 3}
    shares = first["indication"].value_counts(normalize=True)
    assert 0 < shares["prophylactic"] < 0.05
    assert 0 < shares["tumour"] < 0.05


def test_a_minority_enters_late_and_some_drugs_start_after_treatment(clean):
    first = clean["augmentations"].groupby("patient_id")["date"].min()
    late = clean["patients"]["enrolled_on"] > clean["patients"]["patient_id"].map(first)
    assert 0.06 < late.mean() < 0.16
    drugs = clean["medications"].query("drug_class != 'supplement'")
    after = drugs["start"] > drugs["patient_id"].map(first)
    assert after.mean() > 0.3


def test_index_fractures_lie_before_treatment(clean):
    done, fractures = clean["augmentations"], clean["fractures"]
    first_day = done.groupby("patient_id")["date"].min()
    before = fractures[fractures["date"] < fractures["patient_id"].map(first_day)]
    first = done[(done["date"] == done["patient_id"].map(first_day)) & (done["indication"] == "fracture")]
    listed = pd.MultiIndex.from_frame(before[["patient_id", "level"]].astype(str))
    assert pd.MultiIndex.from_frame(first[["patient_id", "level"]].astype(str)).isin(listed).all()


def _refractures(tables):
    """Every sighting after the first session, with what was known of its vertebra and patient before that day."""
    done, fractures = tables["augmentations"], tables["fractures"]
    after = fractures[fractures["date"] > fractures["patient_id"].map(done.groupby("patient_id")["date"].min())]
    rows = []
    by_patient = dict(iter(done.groupby("patient_id")))
    seen_by = dict(iter(fractures.groupby("patient_id")))
    for row in after.itertuples():
        treated = by_patient[row.patient_id]
        treated = treated[treated["date"] < row.date]
        own = treated.loc[treated["level"] == row.level, "date"].max()
        seen = seen_by[row.patient_id]
        seen = seen[(seen["level"] == row.level) & (seen["date"] < row.date)]["date"].max()
        rows.append((row.kind, row.date, row.last_clear_date, treated["date"].max(), own, seen))
    return pd.DataFrame(rows, columns=["kind", "date", "last_clear", "session", "own_session", "seen"])


@pytest.fixture(scope="module")
def refractures(clean):
    some = clean["patients"]["patient_id"][:1000]
    return _refractures({name: frame[frame["patient_id"].isin(some)] for name, frame in clean.items()})


def test_no_vertebra_breaks_within_90_days_of_its_last_fracture_unless_it_was_treated_in_between(refractures):
    healing = refractures["seen"].notna() & ~(refractures["own_session"] >= refractures["seen"])
    assert healing.any()
    assert (refractures["date"] - refractures["seen"])[healing].min() > DEFAULT.healing_days * DAY


def test_sightings_are_judged_so_that_none_reads_as_a_repeat_or_as_unproven(refractures):
    again = refractures["seen"].notna() & ~(refractures["own_session"] >= refractures["seen"])
    assert (refractures.loc[again, "kind"] == "new").all()
    assert (refractures.loc[refractures["own_session"].isna(), "kind"] == "new").all()
    assert refractures["kind"].isin(["new", "progression", "occult"]).all()
    assert (refractures["last_clear"] < refractures["date"]).all()
    assert (refractures["last_clear"] >= refractures["session"]).all()


def test_refractured_vertebrae_are_augmented_later_some_at_a_level_already_treated(clean):
    done = clean["augmentations"]
    later = done[done["date"] > done.groupby("patient_id")["date"].transform("min")]
    repeats = done.duplicated(["patient_id", "level"])
    assert len(later) > 100
    assert 0 < repeats.sum() < len(later)


def test_thoracolumbar_vertebrae_break_most(clean):
    counts = clean["fractures"]["level"].value_counts()
    assert set(counts.index[:3]) <= {"T11", "T12", "L1", "L2"}


def test_regained_height_is_what_the_heights_say(clean):
    done = clean["augmentations"]
    lost = done["anterior_mm_reference"] - done["anterior_mm_before"]
    share = (done["anterior_mm_after"] - done["anterior_mm_before"]) / lost
    assert np.isfinite(share).all()
    assert share.between(-0.01, 1).all()
