"""What the data say of themselves, on registries small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.pipeline import prepare, quality, read


@pytest.fixture
def registry(tmp_path):
    def reading(**tables):
        for name, text in tables.items():
            (tmp_path / f"{name}.csv").write_text("\n".join(text), encoding="utf-8")
        return read(tmp_path)

    return reading


def whole(n=60, *, sites=("A", "B"), date=lambda k: f"2020-{1 + k % 12:02d}-{2 + k % 27:02d}", level=lambda k: "L1"):
    return {
        "patients": ["patient_id,follow_up_end,site,t_score"]
        + [f"{k},2022-12-31,{sites[k % len(sites)]},{'' if k % 3 == 0 else -2.5}" for k in range(n)],
        "augmentations": ["patient_id,date,level,cleft_before"]
        + [f"{k},{date(k)},{level(k)},{'not assessable' if k % 4 == 0 else ''}" for k in range(n)],
        "fractures": ["patient_id,date,level"],
    }


def test_gaps_are_counted_by_site_and_the_states_are_never_added(registry):
    frame = quality.missing_by_site(registry(**whole(60)))
    score = frame[(frame["column"] == "t_score")].set_index("site")
    # Of 0..59, A has the even patients; every third lacks a score: 0, 6, 12 ... and 3, 9, 15 ...
    assert score.loc["A", ["n_rows", "n_missing"]].tolist() == [30, 10]
    assert score.loc["B", ["n_rows", "n_missing"]].tolist() == [30, 10]
    cleft = frame[(frame["column"] == "cleft_before")].set_index("site")
    assert cleft.loc["A", ["n_missing", "n_not_assessable"]].tolist() == [15, 15]
    assert cleft.loc["B", ["n_missing", "n_not_assessable"]].tolist() == [30, 0]


def test_patients_without_a_site_are_a_group_of_their_own(registry):
    frame = quality.missing_by_site(registry(**whole(20, sites=("A", ""))))
    assert set(frame["site"]) == {"A", quality.NO_SITE}


def test_one_site_needs_no_comparison(registry):
    assert quality.missing_by_site(registry(**whole(20, sites=("A",)))).empty


def test_dates_on_the_first_of_the_month_are_flagged_by_an_exact_test(registry):
    found = quality.heaping(
        registry(**whole(60, date=lambda k: f"2020-{1 + k % 12:02d}-{1 if k < 20 else 2 + k % 27:02d}"))
    )
    first = found[(found["column"] == "date") & (found["day"] == "1st of the month")].iloc[0]
    assert (first["n"], first["n_dates"]) == (20, 60)
    assert first["p_value"] == pytest.approx(stats.binom.sf(19, 60, 12 / 365.25), rel=1e-12)
    assert first["flagged"]


def test_days_that_the_software_made_up_are_no_heaping(registry):
    months = quality.heaping(registry(**whole(120, date=lambda k: "2020-03" if k % 2 else f"2020-03-{1 + k % 28:02d}")))
    fifteenth = months[(months["column"] == "date") & (months["day"] == "15th of the month")].iloc[0]
    assert fifteenth["n_dates"] == 60
    assert fifteenth["n"] == 4  # the written 15ths of the other half: k = 14, 42, 70, 98


def test_a_site_whose_levels_are_moved_by_one_is_flagged_and_no_other(registry):
    rng = np.random.default_rng(1)
    levels = ["T11", "T12", "L1", "L2", "L3", "L4"]
    drawn = rng.choice(5, 400, p=[0.1, 0.25, 0.4, 0.2, 0.05])
    text = whole(400, sites=("A", "B", "C", "D"), level=lambda k: levels[drawn[k] + (k % 4 == 3)])
    found = quality.shifts(registry(**text)).set_index("site")
    assert found["flagged"].to_dict() == {"A": False, "B": False, "C": False, "D": True}
    assert found.loc["D", "shift"] == 1


def test_the_share_imaged_is_that_of_the_aalen_johansen_by_hand(registry):
    tables = {
        "patients": ["patient_id,follow_up_end,death_date"]
        + [f"{k},2022-12-31," for k in (1, 2, 3)] + ["4,2020-03-01,2020-03-01", "5,2020-01-31,"],
        "augmentations": ["patient_id,date,level"] + [f"{k},2020-01-01,L1" for k in range(1, 6)],
        "fractures": ["patient_id,date,level"],
        # Patient 2 was filmed on the day itself, which is no follow-up.
        "imaging_studies": ["patient_id,date", "1,2020-01-21", "2,2020-01-01", "3,2020-07-01"],
    }  # fmt: skip
    _, at_days, risk = quality.imaged(prepare(registry(**tables)))
    share = at_days[at_days["site"] == ""].set_index("time")["estimate"]
    # Day 20: 1 of 5. Day 30: patient 5 leaves. Day 60: patient 4 dies, 1 of 3. Day 182: patient 3, 1 of 2:
    # 1/5 + (4/5 * 2/3) * 1/2.
    assert share[30] == pytest.approx(0.2)
    assert share[180] == pytest.approx(0.2)
    assert share[365] == pytest.approx(0.2 + 0.8 * (2 / 3) * 0.5)
    assert risk["n_risk"].tolist()[0] == 5


def test_without_imaging_nothing_is_said_of_it(registry):
    assert all(frame.empty for frame in quality.imaged(prepare(registry(**whole(5)))))


def test_incomplete_patients_are_counted_with_the_columns_that_made_them_so(registry):
    tables = whole(10)
    tables["fractures"] += ["1,2021-01-01,L9", "1,2021-02-01,L9", "2,x,L2"]
    frame = quality.incomplete(registry(**tables))
    assert frame.values.tolist() == [["patients", "", 2], ["fractures", "level", 2], ["fractures", "date", 1]]


def test_digits_that_end_in_0_or_5_are_counted(registry):
    tables = whole(60)
    tables["augmentations"] = ["patient_id,date,level,volume_ml"] + [
        f"{k},2020-01-02,L1,{3.5 if k < 30 else 3.2}" for k in range(60)
    ]
    found = quality.digits(registry(**tables)).set_index("column").loc["volume_ml"]
    assert (found["n"], found["n_values"], found["flagged"]) == (30, 60, True)
    assert isinstance(quality.levels(registry(**tables)), pd.DataFrame)
