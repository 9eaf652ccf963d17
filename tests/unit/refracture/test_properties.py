"""What must hold in every registry."""

from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

LEVELS = ("T3", "T11", "T12", "L1", "L2", "S1")
KINDS = ("", "", "kind=new", "kind=old", "kind=settling", "kind=progression")
DAYS = st.sampled_from([-40, -1, 0, 1, 5, 10, 14, 30, 45, 90, 100, 104, 110, 135, 200, 300])


@st.composite
def patients_in_words(draw):
    """One patient's lines, without ids: they are given by the order of writing."""
    level = st.sampled_from(LEVELS)
    treat = st.builds(
        "{} treat {} {}".format,
        st.one_of(DAYS, st.just("before")),
        level,
        st.sampled_from(
            ("", "", "indication=prophylactic", "anterior_mm_after=20 cleft_before=no", "fracture_filled=missed")
        ),
    )
    fracture = st.builds(
        "{} fracture {} {} {} {}".format,
        DAYS,
        level,
        st.sampled_from(KINDS),
        st.sampled_from(("", "symptomatic=yes", "symptomatic=no trauma=yes")),
        st.sampled_from(("", "clear=-45", "clear=-50")),
    )
    shows = st.sampled_from(("", "edema=yes", "edema=no", "cleft=yes"))
    film = st.builds("{} film {} anterior={} {}".format, DAYS, level, st.integers(14, 22), shows)
    pain = st.builds("{} pain {}".format, DAYS, st.integers(0, 9))
    exclude = st.builds("always exclude {} from={}".format, level, DAYS)
    head = draw(st.sampled_from(("", "end=120", "enrolled_on=7", "death=101 enrolled_on=-9")))
    lines = [
        *draw(st.lists(treat, max_size=5)),
        *draw(st.lists(fracture, max_size=8)),
        *draw(st.lists(film, max_size=5)),
        *draw(st.lists(pain, max_size=4)),
        *draw(st.lists(exclude, max_size=1)),
    ]
    return head, lines


def in_words(patients, names=None):
    text = []
    for number, (head, lines) in enumerate(patients):
        text.append(f"patient {names[number] if names else f'p{number:02}'} {head}")
        text += [f"{line} id={number}.{k}" if "pain" not in line else line for k, line in enumerate(lines)]
    return "\n".join(text)


COHORTS = st.lists(patients_in_words(), min_size=1, max_size=4)
property_of = settings(max_examples=15, deadline=None, database=None)


def same(left, right):
    pd.testing.assert_frame_equal(left.reset_index(drop=True), right.reset_index(drop=True))


@property_of
@given(COHORTS, st.randoms(use_true_random=False))
def test_row_order_changes_nothing(tables_of, classified_tables, patients, random):
    tables = tables_of(in_words(patients))
    shuffled = {}
    for name, frame in tables.items():
        order = list(range(len(frame)))
        random.shuffle(order)
        shuffled[name] = frame.iloc[order]
    one, other = classified_tables(tables), classified_tables(shuffled)
    same(one.sightings, other.sightings)
    same(one.augmentations, other.augmentations)


@property_of
@given(COHORTS)
def test_relabelling_patients_in_order_changes_only_their_ids(tables_of, classified_tables, patients):
    names = [f"z{k}y" for k in range(len(patients))]
    one = classified_tables(tables_of(in_words(patients))).sightings
    other = classified_tables(tables_of(in_words(patients, names))).sightings
    same(one.drop(columns="patient_id"), other.drop(columns="patient_id"))


@property_of
@given(COHORTS)
def test_patients_are_independent(tables_of, classified_tables, patients):
    together = tables_of(in_words(patients))
    whole = classified_tables(together).sightings
    alone = [
        classified_tables({name: frame[frame["patient_id"] == one] for name, frame in together.items()}).sightings
        for one in together["patients"]["patient_id"]
    ]
    filled = [part for part in alone if len(part)]
    if not filled:
        assert whole.empty
        return
    for column in whole.columns:
        # As words: a column of texts that are all missing has another missing value than one with some.
        apart = [str(value) for part in filled for value in part[column].astype(object)]
        assert [str(value) for value in whole[column].astype(object)] == apart, column


@property_of
@given(COHORTS)
def test_a_wider_reach_never_lowers_adjacent(tables_of, classified_tables, patients):
    tables = tables_of(in_words(patients))
    found = [classified_tables(tables, relation={"reach": reach}).sightings for reach in (1, 2, 3)]
    for near, far in pairwise(found):
        near_adjacent, far_adjacent = (frame["relation"] == "adjacent" for frame in (near, far))
        assert (far_adjacent | ~near_adjacent).all()
        untouched = near["relation"].isin(["same", "before_treatment"])
        assert (near["relation"] == far["relation"])[untouched].all()
        same(near["sandwiched"].to_frame(), far["sandwiched"].to_frame())


@property_of
@given(COHORTS)
def test_counted_or_a_reason_and_kept_or_not(tables_of, classified_tables, patients):
    found = classified_tables(tables_of(in_words(patients))).sightings
    assert ((found["counted"] == "yes") == found["not_counted_because"].isna()).all()
    assert (found.loc[found["counted"] == "yes", "kept"] == "yes").all()
    assert found.loc[found["kept"] == "yes", "repeat_of"].isna().all()
    assert (found.loc[found["onset_unproven"] == "yes", "kind_judged"] == "unjudged").all()
    not_kept = found[(found["kept"] == "no") & found["repeat_of"].isna()]
    assert not_kept["kind_judged"].isin(["old", "settling", "asymptomatic_collapse"]).all()


@property_of
@given(COHORTS)
def test_a_repeat_follows_its_kept_sighting_with_no_treatment_since(tables_of, classified_tables, patients):
    result = classified_tables(tables_of(in_words(patients)))
    found, treated = result.sightings, result.augmentations
    for _, row in found.iterrows():
        here = found[(found["patient_id"] == row["patient_id"]) & (found["level"] == row["level"])]
        treatments = treated[(treated["patient_id"] == row["patient_id"]) & (treated["level"] == row["level"])]["date"]
        since = treatments[treatments < row["date"]].max()
        seen = here[(here["kept"] == "yes") & (here["date"] <= row["date"]) & ~(here["date"] <= since)]
        others = seen[seen["fracture_id"] != row["fracture_id"]]
        if pd.notna(row["repeat_of"]):
            (first,) = here[here["fracture_id"] == row["repeat_of"]].to_dict("records")
            assert first["date"] <= row["date"]
            assert not treatments.between(first["date"], row["date"], inclusive="left").any()
            assert first["kept"] == "yes" or first["kind_judged"] == "old"
            assert pd.isna(first["repeat_of"])
            if first["kept"] == "yes":
                assert first["date"] == others["date"].max()
        elif row["kept"] == "yes" and row["kind_judged"] != "new":
            assert not (others["date"] < row["date"]).any()
        elif row["kept"] == "yes":
            assert (row["date"] - others["date"].max()).days > 90 or others.empty


@pytest.mark.parametrize("days", [0, 30, 60])
@property_of
@given(patients=COHORTS)
def test_every_staged_session_lies_in_its_window(tables_of, classified_tables, days, patients):
    result = classified_tables(tables_of(in_words(patients)), relation={"staged_days": days})
    staged = result.augmentations.dropna(subset=["staged_from"])
    assert ((staged["date"] - staged["staged_from"]).dt.days.between(1, days)).all()
    assert (staged["retreats"] == "no").all()
    if days == 0:
        assert not (result.sightings["not_counted_because"] == "staged").any()
