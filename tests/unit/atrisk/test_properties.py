"""What must hold for any cohort, against a slow engine that walks every vertebra through every day."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.outcomes import ROLES

LEVELS = ("T3", "T4", "T5", "T11", "T12", "L1", "L2", "L4", "L5", "S1")
DAYS = st.integers(-20, 60)
MAYBE_DAY = st.one_of(st.just(""), DAYS.map(str))


@st.composite
def cohorts(draw):
    """Tables as text: up to three patients with sessions, sightings, excluded levels, drugs."""
    names = ["p1", "p2", "p3"][: draw(st.integers(1, 3))]
    patients, augmented, seen, excluded, drugs = [], {}, [], [], []
    for name in names:
        patients.append(
            {
                "patient_id": name,
                "follow_up_end": str(draw(st.integers(-5, 60))),
                "enrolled_on": draw(MAYBE_DAY),
                "death_date": draw(st.one_of(st.just(""), st.integers(0, 60).map(str))),
                "n_thoracic": draw(st.sampled_from(["", "12", "13"])),
                "n_lumbar": draw(st.sampled_from(["", "5", "6"])),
            }
        )
        for _ in range(draw(st.integers(0, 4))):
            level = draw(st.sampled_from(LEVELS))
            day = draw(st.one_of(st.just(None), st.integers(-10, 40)))
            staged = day is not None and draw(st.booleans())
            augmented[name, level, day] = {
                "patient_id": name,
                "level": level,
                "date": "" if day is None else str(day),
                "date_precision": "before_index" if day is None else "day",
                "indication": draw(st.sampled_from(["", "fracture", "prophylactic", "tumour"])),
                "staged_from": str(day - draw(st.integers(1, 14))) if staged else "",
                "cleft_before": draw(st.sampled_from(["", "yes", "no", "not_assessable"])),
            }
        for _ in range(draw(st.integers(0, 4))):
            kept = draw(st.booleans())
            seen.append(
                {
                    "patient_id": name,
                    "level": draw(st.sampled_from(LEVELS)),
                    "date": str(draw(DAYS)),
                    "kept": "yes" if kept else "no",
                    "kind_judged": "unjudged" if kept else draw(st.sampled_from(["old", "unjudged"])),
                    "counted": "no",
                }
            )
        for _ in range(draw(st.integers(0, 2))):
            excluded.append(
                {
                    "patient_id": name,
                    "level": draw(st.sampled_from(LEVELS)),
                    "reason": "",
                    "from": draw(MAYBE_DAY),
                    "to": draw(MAYBE_DAY),
                }
            )
        for _ in range(draw(st.integers(0, 2))):
            drugs.append(
                {
                    "patient_id": name,
                    "drug": draw(st.sampled_from(["alendronate", "prednisone"])),
                    "start": str(draw(DAYS)),
                    "stop": draw(MAYBE_DAY),
                }
            )
    return {
        "patients": pd.DataFrame(patients),
        "augmentations": pd.DataFrame(list(augmented.values()), columns=_AUGMENTATION),
        "sightings": pd.DataFrame(seen, columns=["patient_id", "level", "date", "kept", "kind_judged", "counted"]),
        "excluded_levels": pd.DataFrame(excluded, columns=["patient_id", "level", "reason", "from", "to"]),
        "medications": pd.DataFrame(drugs, columns=["patient_id", "drug", "start", "stop"]),
    }


_AUGMENTATION = ["patient_id", "level", "date", "date_precision", "indication", "staged_from", "cleft_before"]


@settings(max_examples=30, deadline=None)
@given(tables=cohorts())
def test_person_time_agrees_with_walking_every_vertebra_through_every_day(cohort_of, slow, tables):
    case = cohort_of(**tables)
    walked = slow(case)
    rows = case.by_patient()
    key = list(zip(rows["patient_id"], rows["level"], rows["role"], strict=True))
    got = dict(zip(key, rows["vertebra_days"], strict=True))
    assert got == {cell: n for cell, n in walked.days.items() if n}
    healed = dict(zip(key, rows["healed_days"], strict=True))
    assert {k: n for k, n in healed.items() if n} == {k: n for k, n in walked.healed.items() if n}
    # Vertebra-days add up over roles, and with the days off risk to levels x follow-up.
    assert case.person_time()["vertebra_days"].sum() + walked.off == walked.levels_times_days


@settings(max_examples=30, deadline=None)
@given(tables=cohorts())
def test_vertebra_rows_add_up_to_person_time(cohort_of, counting, tables):
    case = counting(cohort_of(**tables))
    follow_up = case.follow_up()
    main = (follow_up["in_main"] & follow_up["origin"].notna()).to_numpy()
    expected = case.person_time(only=main)
    for role in ("treated", "adjacent", "remote"):
        rows = case.vertebrae(role)
        part = expected[expected["role"] == role]
        assert (rows["exit"] - rows["entry"]).sum() == part["vertebra_days"].sum()
        summed = rows.assign(days=rows["exit"] - rows["entry"]).groupby("level", observed=True)[["days", "cause"]].sum()
        assert summed["days"].to_dict() == part.set_index("level")["vertebra_days"].to_dict()
        assert summed["cause"].to_dict() == part.set_index("level")["events"].to_dict()


@settings(max_examples=20, deadline=None)
@given(tables=cohorts())
def test_splitting_is_not_censoring(cohort_of, counting, tables):
    """Rows of one vertebra are contiguous in the table, do not overlap, and a drug only splits them."""
    case = counting(cohort_of(**tables))
    undrugged = type(case)(
        {**case.tables, "medications": case.tables["medications"].iloc[:0]},
        case.sightings, case.augmentations, case.study,
    )  # fmt: skip
    for role in ("treated", "adjacent", "remote"):
        rows = case.vertebrae(role)
        assert (rows["exit"] > rows["entry"]).all()
        same = rows["id"].to_numpy()[1:] == rows["id"].to_numpy()[:-1]
        assert same.sum() == len(rows) - rows["id"].nunique()
        assert (rows["entry"].to_numpy()[1:][same] >= rows["exit"].to_numpy()[:-1][same]).all()
        plain = undrugged.vertebrae(role)
        assert plain["id"].drop_duplicates().tolist() == rows["id"].drop_duplicates().tolist()
        assert plain["cause"].sum() == rows["cause"].sum()
        assert (plain["exit"] - plain["entry"]).sum() == (rows["exit"] - rows["entry"]).sum()


@settings(max_examples=20, deadline=None)
@given(tables=cohorts(), seed=st.integers(0, 1000))
def test_row_order_changes_nothing(cohort_of, counting, tables, seed):
    case = counting(cohort_of(**tables))
    rng = np.random.default_rng(seed)

    def shuffled(frame):
        return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)

    other = type(case)(
        {**{name: shuffled(frame) for name, frame in case.tables.items() if name != "patients"},
         "patients": case.tables["patients"]},
        shuffled(case.sightings), shuffled(case.augmentations), case.study,
    )  # fmt: skip
    pd.testing.assert_frame_equal(case.person_time(), other.person_time())
    pd.testing.assert_frame_equal(case.by_patient(), other.by_patient())
    pd.testing.assert_frame_equal(case.baseline(), other.baseline())
    for role in ("treated", "adjacent", "remote"):
        pd.testing.assert_frame_equal(case.vertebrae(role), other.vertebrae(role))
    for endpoint in ("same", "adjacent", "remote", "composite"):
        pd.testing.assert_frame_equal(case.first_events(endpoint).frame, other.first_events(endpoint).frame)


@settings(max_examples=20, deadline=None)
@given(tables=cohorts())
def test_counted_sightings_equal_events_cell_by_cell(cohort_of, counting, tables):
    case = counting(cohort_of(**tables))
    counted = case.sightings[case.sightings["counted"] == "yes"]
    treated = ("treated", "treated_prophylactic", "treated_tumour")
    role = np.where(
        counted["relation"] == "same",
        counted["treated_for"].map({"fracture": treated[0], "prophylactic": treated[1], "tumour": treated[2]}),
        counted["relation"].astype(object),
    )
    expected = counted.assign(role=role).groupby(["level", "role"], observed=True).size().to_dict()
    assert case.events() == expected
    frame = case.person_time()
    # An event needs somebody at risk on its day.
    assert (frame["vertebra_days"] >= frame["events"]).all()
    assert set(frame["role"]) <= set(ROLES)


@settings(max_examples=15, deadline=None)
@given(tables=cohorts())
def test_the_composite_is_never_later_than_any_relation(cohort_of, counting, tables):
    case = counting(cohort_of(**tables))
    composite = case.first_events("composite").frame.set_index("id")
    for endpoint in ("same", "adjacent", "remote"):
        other = case.first_events(endpoint).frame.set_index("id")
        assert set(composite.index) <= set(other.index)
        assert (composite["exit"] <= other["exit"].reindex(composite.index)).all()
