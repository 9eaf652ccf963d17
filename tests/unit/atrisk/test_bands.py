"""Time split by calendar year, by age, and by days since the latest procedure. Day 0 is 1 January 2020, a leap year."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "reference"))
from random_registry import random_registry

from cohort import atrisk
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.tables.results import Registry

DAY_0 = pd.Timestamp("2020-01-01")
L1 = """
    patient_id | date | level
    a          | 0    | L1"""


def day(written):
    """The number of a calendar day."""
    return (pd.Timestamp(written) - DAY_0).days


def one(cohort_of, *, start=0, end=100, augmentations=None, study=None, sightings="patient_id", **patient):
    """Patient a, L1 augmented on day `start`."""
    names, values = " | ".join(["patient_id", "follow_up_end", *patient]), [str(v) for v in patient.values()]
    return cohort_of(
        patients=f"{names}\n {' | '.join(['a', str(end), *values])}",
        augmentations=augmentations or f"patient_id | date | level\n a | {start} | L1",
        sightings=sightings,
        study=study,
    )


def of_t6(case, *by, **cuts):
    """Days and events of T6, a remote vertebra, by band."""
    frame = case.person_time(by=by, **cuts)
    frame = frame[frame["level"] == "T6"]
    bands = [cells[0] if len(by) == 1 else cells for cells in frame[list(by)].itertuples(index=False, name=None)]
    return dict(zip(bands, zip(frame["vertebra_days"], frame["events"], strict=True), strict=True))


def pieces(case, process, *by, **cuts):
    """(entry, exit, cause, bands...) of counting-process rows once split; rows that touch in one band are joined."""
    cut = atrisk.split_rows(process, case.tables, case.augmentations, case.study, by, **cuts)
    joined = []
    for entry, exit_, cause, *bands in cut.frame[["entry", "exit", "cause", *by]].itertuples(index=False, name=None):
        if joined and joined[-1][1:] == (entry, 0, *bands):
            entry = joined.pop()[0]
        joined.append((entry, exit_, cause, *bands))
    return joined


# ---------------- calendar year


def test_a_day_belongs_to_the_year_it_lies_in(cohort_of):
    # 31 December 2020 is day 365.
    case = one(cohort_of, start=360, end=370)
    assert of_t6(case, "calendar_year") == {"2020": (5, 0), "2021": (5, 0)}
    assert pieces(case, case.first_events("composite"), "calendar_year") == [(0, 5, 0, "2020"), (5, 10, 0, "2021")]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2020-12-31", "2021-01-05", {"2021": (5, 0)}),
        ("2020-12-30", "2020-12-31", {"2020": (1, 0)}),
        ("2020-12-30", "2021-01-01", {"2020": (1, 0), "2021": (1, 0)}),
        ("2019-12-31", "2022-01-01", {"2020": (366, 0), "2021": (365, 0), "2022": (1, 0)}),
    ],
)
def test_the_day_of_entry_is_not_at_risk_and_the_day_of_exit_is(cohort_of, start, end, expected):
    assert of_t6(one(cohort_of, start=day(start), end=day(end)), "calendar_year") == expected


@pytest.mark.parametrize(("found", "year"), [("2020-12-31", "2020"), ("2021-01-01", "2021")])
def test_an_event_is_counted_in_the_year_of_its_day(cohort_of, found, year):
    sightings = f"patient_id | date | level\n a | {day(found)} | T6"
    case = one(cohort_of, start=360, end=400, sightings=sightings)
    assert {band: events for band, (_, events) in of_t6(case, "calendar_year").items() if events} == {year: 1}
    assert pieces(case, case.first_events("remote"), "calendar_year")[-1][2:] == (1, year)


# ---------------- age


@pytest.mark.parametrize(
    ("birth", "start", "end", "expected", "why"),
    [
        ("1955-06-10", "2020-06-01", "2020-06-20", (8, 11), "on the birthday the year is completed"),
        ("1955-06-10", "2020-06-01", "2020-06-10", (8, 1), "and the birthday itself may be the last day"),
        ("1955-02-28", "2020-02-20", "2020-03-10", (7, 12), "the day before 29 February"),
        ("1955-03-01", "2020-02-20", "2020-03-10", (9, 10), "the day after it"),
        ("1956-02-29", "2021-02-20", "2021-03-10", (8, 10), "29 February is 1 March in other years"),
        ("1960-02-29", "2025-02-20", "2025-03-10", (8, 10), "and so 65 years later"),
        ("1955-12-31", "2020-12-25", "2021-01-05", (5, 6), "a birthday at the end of the year"),
    ],
)
def test_an_age_is_reached_on_the_birthday(cohort_of, birth, start, end, expected, why):
    case = one(cohort_of, start=day(start), end=day(end), birth_date=day(birth))
    younger, older = expected
    assert of_t6(case, "age") == {"<65": (younger, 0), "65-74": (older, 0)}, why


@pytest.mark.parametrize(("found", "band"), [("2020-06-09", "<65"), ("2020-06-10", "65-74")])
def test_an_event_is_counted_at_the_age_of_its_day(cohort_of, found, band):
    sightings = f"patient_id | date | level\n a | {day(found)} | T6"
    case = one(cohort_of, start=day("2020-06-01"), end=300, birth_date=day("1955-06-10"), sightings=sightings)
    assert {name: events for name, (_, events) in of_t6(case, "age").items() if events} == {band: 1}
    assert pieces(case, case.first_events("remote"), "age")[-1][2:] == (1, band)


def test_in_a_leap_year_29_february_is_the_birthday(cohort_of):
    case = one(cohort_of, start=day("2020-02-20"), end=day("2020-03-10"), birth_date=day("1948-02-29"))
    assert of_t6(case, "age", ages=(72,)) == {"<72": (8, 0), ">=72": (11, 0)}


@pytest.mark.parametrize(
    ("age", "expected", "why"),
    [
        (64, {"<65": (365, 0), "65-74": (35, 0)}, "65 on day ceil(365.25) = 366"),
        (64.5, {"<65": (182, 0), "65-74": (218, 0)}, "65 on day ceil(182.625) = 183"),
        (65, {"65-74": (400, 0)}, "65 on the day of the first augmentation itself"),
        (70, {"65-74": (400, 0)}, "65 long before"),
        (85, {">=85": (400, 0)}, "the oldest band is open"),
        (74.999, {"75-84": (400, 0)}, "75 on the first day at risk"),
        (50, {"<65": (400, 0)}, "the youngest band is open"),
    ],
)
def test_an_age_written_at_the_first_augmentation_is_counted_on_from_it(cohort_of, age, expected, why):
    assert of_t6(one(cohort_of, end=400, age_at_index=age), "age") == expected, why


def test_a_written_age_is_that_of_the_first_augmentation_even_when_observation_starts_later(cohort_of):
    case = one(cohort_of, end=400, age_at_index=64, enrolled_on=300)
    assert of_t6(case, "age") == {"<65": (65, 0), "65-74": (35, 0)}


def test_the_date_of_birth_goes_before_a_written_age(cohort_of):
    case = one(cohort_of, birth_date=day("1940-01-01"), age_at_index=50)
    assert of_t6(case, "age") == {"75-84": (100, 0)}


def test_nobodys_age_is_guessed_and_the_time_stays_in(cohort_of):
    case = one(cohort_of)
    assert of_t6(case, "age") == {"unknown": (100, 0)}
    assert pieces(case, case.first_events("composite"), "age") == [(0, 100, 0, "unknown")]


@pytest.mark.parametrize(
    ("known", "band"), [({"age_at_index": 70}, "unknown"), ({"birth_date": day("1950-01-01")}, "65-74")]
)
def test_where_the_first_augmentation_has_no_date_only_a_date_of_birth_tells_the_age(cohort_of, known, band):
    before = "patient_id | date | date_precision | level\n a | | before_index | L1"
    case = one(cohort_of, augmentations=before, enrolled_on=0, **known)
    assert of_t6(case, "age") == {band: (100, 0)}


# ---------------- days since the latest procedure


def test_bands_since_a_procedure_begin_the_day_after_it(cohort_of):
    assert of_t6(one(cohort_of, end=500), "since_procedure") == {
        "1-30": (30, 0),
        "31-90": (60, 0),
        "91-365": (275, 0),
        ">365": (135, 0),
    }


@pytest.mark.parametrize(
    ("found", "band"),
    [(1, "1-30"), (30, "1-30"), (31, "31-90"), (90, "31-90"), (91, "91-365"), (365, "91-365"), (366, ">365")],
)
def test_the_last_day_of_a_band_belongs_to_it(cohort_of, found, band):
    case = one(cohort_of, end=500, sightings=f"patient_id | date | level\n a | {found} | T6")
    assert {name: events for name, (_, events) in of_t6(case, "since_procedure").items() if events} == {band: 1}
    assert pieces(case, case.first_events("remote"), "since_procedure")[-1][1:] == (found, 1, band)


AGAIN = """
    patient_id | date | level | staged_from
    a          | 0    | L1    |
    a          | 40   | {level} | {staged}"""


def test_days_restart_at_the_next_procedure_whose_own_day_belongs_to_the_one_before(cohort_of):
    case = one(cohort_of, augmentations=AGAIN.format(level="L3", staged=""))
    # Days 1-30 and 41-70 are within 30 days; 31-40 and 71-100 are not.
    assert of_t6(case, "since_procedure") == {"1-30": (60, 0), "31-90": (40, 0)}
    assert pieces(case, case.first_events("composite"), "since_procedure") == [
        (0, 30, 0, "1-30"),
        (30, 40, 0, "31-90"),
        (40, 70, 0, "1-30"),
        (70, 100, 0, "31-90"),
    ]


@pytest.mark.parametrize(
    ("level", "staged", "near"), [("L3", "", 60), ("L3", "30", 60), ("L1", "", 60), ("S1", "", 30)]
)
def test_a_staged_session_restarts_the_days_and_one_of_the_sacrum_alone_does_not(cohort_of, level, staged, near):
    case = one(cohort_of, augmentations=AGAIN.format(level=level, staged=staged))
    assert of_t6(case, "since_procedure")["1-30"] == (near, 0)


def test_before_the_first_dated_procedure_nobody_knows_how_long_it_has_been(cohort_of):
    augmentations = """
        patient_id | date | date_precision | level
        a          |      | before_index   | L1
        a          | 40   |                | L3"""
    case = one(cohort_of, augmentations=augmentations, enrolled_on=0)
    assert of_t6(case, "since_procedure") == {"1-30": (30, 0), "31-90": (30, 0), "unknown": (40, 0)}


def test_rows_of_a_procedure_are_split_by_its_own_days(cohort_of):
    case = one(cohort_of, augmentations=AGAIN.format(level="L3", staged=""))
    rows = atrisk.procedure_rows(case.tables, case.sightings, case.augmentations, case.study, endpoint="composite")
    assert pieces(case, rows, "since_procedure") == [
        (0, 30, 0, "1-30"),
        (30, 40, 0, "31-90"),
        (0, 30, 0, "1-30"),
        (30, 60, 0, "31-90"),
    ]


def test_the_cuts_are_the_askers(cohort_of):
    case = one(cohort_of, end=60, age_at_index=70)
    assert of_t6(case, "since_procedure", days_since=(14,)) == {"1-14": (14, 0), ">14": (46, 0)}
    assert of_t6(case, "age", ages=(60, 70, 80)) == {"70-79": (60, 0)}


# ---------------- several splits, columns, refusals


def test_two_splits_make_every_combination_in_the_order_asked_for(cohort_of):
    case = one(cohort_of, start=350, end=400)
    # 31 December is day 365: 15 days of 2020, then 15 more within 30 days of the procedure, then 20.
    assert of_t6(case, "calendar_year", "since_procedure") == {
        ("2020", "1-30"): (15, 0),
        ("2021", "1-30"): (15, 0),
        ("2021", "31-90"): (20, 0),
    }
    rows = pieces(case, case.first_events("composite"), "since_procedure", "calendar_year")
    assert rows == [(0, 15, 0, "1-30", "2020"), (15, 30, 0, "1-30", "2021"), (30, 50, 0, "31-90", "2021")]


def test_bands_are_ordered_and_stand_between_role_and_days(cohort_of):
    frame = one(cohort_of, end=400, age_at_index=70).person_time(by=("since_procedure", "age"))
    assert frame.columns.tolist() == ["level", "role", "since_procedure", "age", "vertebra_days", "events"]
    assert frame["since_procedure"].cat.ordered
    assert frame["since_procedure"].cat.categories.tolist() == ["1-30", "31-90", "91-365", ">365", "unknown"]
    assert frame["age"].cat.categories.tolist() == ["<65", "65-74", "75-84", ">=85", "unknown"]
    assert frame.equals(frame.sort_values(["level", "role", "since_procedure", "age"], kind="stable"))


def test_a_lower_bound_stays_with_the_event(cohort_of):
    sightings = "patient_id | date | level | last_clear_date\n a | 40 | T6 | 20"
    case = one(cohort_of, sightings=sightings)
    cut = atrisk.split_rows(
        case.first_events("remote"), case.tables, case.augmentations, case.study, ["since_procedure"]
    ).frame
    assert cut["cause"].tolist() == [0, 1]
    assert cut["lower"].fillna(-1).tolist() == [-1, 20]


def test_a_split_nobody_defined_is_refused(cohort_of):
    with pytest.raises(DefinitionError, match="cannot be split by 'month'; write calendar_year, age, since_procedure"):
        one(cohort_of).person_time(by=["month"])


@pytest.mark.parametrize("cuts", [{"ages": (75, 65)}, {"days_since": (30, 30)}, {"days_since": (0, 30)}])
def test_cuts_that_do_not_grow_are_refused(cohort_of, cuts):
    with pytest.raises(DefinitionError, match="whole numbers from 1 that grow"):
        one(cohort_of).person_time(by=["age"], **cuts)


@pytest.mark.parametrize("by", [["calendar_year"], ["age"], ["since_procedure"], list(atrisk.SPLITS)])
def test_an_empty_registry_has_no_bands(cohort_of, by):
    case = cohort_of(patients="patient_id")
    assert len(case.person_time(by=by)) == 0
    assert pieces(case, case.first_events("composite"), *by) == []


def test_a_follow_up_closed_by_a_late_death_is_split_to_its_end(cohort_of):
    study = StudyDefinition().with_("at_risk", death_closes=True)
    case = one(cohort_of, start=360, end=364, death_date=370, study=study)
    assert pieces(case, case.first_events("composite"), "calendar_year") == [(0, 5, 0, "2020"), (5, 10, 5, "2021")]


# ---------------- what must hold for any cohort

SPLITS = [*([one] for one in atrisk.SPLITS), ["calendar_year", "age"], list(reversed(atrisk.SPLITS))]


@pytest.fixture(scope="module", params=range(3))
def cohort(request):
    tables = random_registry(40, 700 + request.param)
    patients = tables["patients"].copy()
    # Ages near the cuts; of every third patient the date of birth, of every third nothing.
    patients["age_at_index"] = [64.5 + row % 3 * 10 if row % 3 else None for row in range(len(patients))]
    born = pd.date_range("1954-06-01", periods=len(patients), freq="17D")
    patients["birth_date"] = pd.Series(born).where([row % 3 == 1 for row in range(len(patients))])
    return prepare(Registry.of({**tables, "patients": patients}))


@pytest.mark.parametrize("by", SPLITS, ids="+".join)
def test_bands_add_up_to_the_unsplit_person_time_cell_by_cell(cohort, by):
    whole = atrisk.person_time(*cohort.stages)
    parts = atrisk.person_time(*cohort.stages, by=by, ages=(60, 65, 75), days_since=(7, 30, 91))
    summed = parts.groupby(["level", "role"], observed=True, as_index=False)[["vertebra_days", "events"]].sum()
    pd.testing.assert_frame_equal(summed, whole, check_categorical=False)
    assert not parts.duplicated(["level", "role", *by]).any()
    assert (parts["vertebra_days"] >= parts["events"]).all()


def rows_of_every_unit(stages):
    yield atrisk.first_event_rows(*stages, endpoint="composite")
    yield atrisk.changing_rows(*stages, endpoint="adjacent")
    yield atrisk.procedure_rows(*stages, endpoint="composite")
    yield atrisk.treated_vertebra_rows(*stages)
    yield atrisk.vertebra_rows(*stages, role="remote")


@pytest.mark.parametrize("by", SPLITS, ids="+".join)
def test_split_rows_add_up_to_the_rows_given(cohort, by):
    for process in rows_of_every_unit(cohort.stages):
        cut = atrisk.split_rows(process, cohort.tables, cohort.augmentations, cohort.study, by)
        whole, parts = process.frame, cut.frame
        assert (parts["exit"] > parts["entry"]).all()
        for frame in (whole, parts):
            frame["days"], frame["event"] = frame["exit"] - frame["entry"], frame["cause"] > 0
        summed = [frame.groupby("id")[["days", "event"]].sum() for frame in (whole, parts)]
        pd.testing.assert_frame_equal(*summed)
        assert (cut.unit, cut.causes, cut.origin) == (process.unit, process.causes, process.origin)
        assert sorted(whole.loc[whole["event"], "cause"]) == sorted(parts.loc[parts["event"], "cause"])


def test_the_first_and_the_last_day_of_a_row_lie_in_its_year(cohort):
    for process in rows_of_every_unit(cohort.stages):
        cut = atrisk.split_rows(process, cohort.tables, cohort.augmentations, cohort.study, ["calendar_year"]).frame
        for day_of in (cut["entry"] + 1, cut["exit"]):
            year = (cut["origin_date"] + pd.to_timedelta(day_of, unit="D")).dt.year
            assert year.astype(str).tolist() == cut["calendar_year"].tolist()


def test_rows_of_vertebrae_and_person_time_agree_band_by_band(cohort):
    by = ["calendar_year", "since_procedure"]
    known = (cohort.follow_up["in_main"] & cohort.follow_up["origin"].notna()).to_numpy()
    time = atrisk.person_time(*cohort.stages, only=known, by=by)
    for role in ("treated", "adjacent", "remote"):
        rows = atrisk.vertebra_rows(*cohort.stages, role=role)
        cut = atrisk.split_rows(rows, cohort.tables, cohort.augmentations, cohort.study, by).frame
        cut = cut.assign(vertebra_days=cut["exit"] - cut["entry"], events=cut["cause"])
        key = ["level", *by]
        got = cut.groupby(key, observed=True)[["vertebra_days", "events"]].sum().to_dict("index")
        want = time[time["role"] == role].set_index(key)[["vertebra_days", "events"]].to_dict("index")
        assert got == want
