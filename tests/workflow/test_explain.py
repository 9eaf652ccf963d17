"""`cohort explain`: one patient's story says of each sighting what the rules said, and is stamped internal."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import cohort
from cohort import atrisk
from cohort.cli import app
from cohort.domain.errors import RegistryError
from cohort.pipeline import history, person_time, prepare
from cohort.present.story import treated_set

ROOT = Path(__file__).parents[2]
CASES, SYNTHETIC = ROOT / "data" / "cases", ROOT / "data" / "synthetic"


@pytest.fixture(scope="module")
def registry():
    return cohort.read(SYNTHETIC)


@pytest.fixture(scope="module")
def classified(registry):
    return prepare(registry)


def lines_of(story, day, what):
    (entry,) = [one for one in story.entries if f"{one.day:%Y-%m-%d}" == day and one.what.startswith(what)]
    return " ".join(entry.because)


def test_the_fourth_case_tells_why_each_of_its_sightings_was_called_what_it_was():
    story = cohort.explain(cohort.read(CASES), "case4")
    remote = lines_of(story, "2016-11-15", "Fracture seen at L1")
    assert "Remote: 2 levels above L3; treated set T9, L3, L4" in remote
    assert "Counted as a refracture at risk." in remote
    assert "Onset unproven" in remote
    same = lines_of(story, "2017-02-21", "Fracture seen at L1")
    assert "Same level: L1 is in the treated set T9, L1, L3, L4, for fracture" in same
    assert "Why: cleft before treatment, not completely filled." in same
    sandwiched = lines_of(story, "2017-02-21", "Fracture seen at L2")
    assert "1 level above and below the nearest treated vertebrae, between two treated vertebrae" in sandwiched
    assert "Not counted: judged old." in sandwiched
    assert "Treats again a vertebra treated before" in lines_of(story, "2017-02-28", "L1 augmented")


def test_the_story_is_told_in_the_order_of_time_and_begins_with_its_stamp():
    story = cohort.explain(cohort.read(CASES), "case2")
    days = [entry.day for entry in story.entries]
    dated = [day for day in days if not pd.isna(day)]
    assert dated == sorted(dated)
    assert all(pd.isna(day) for day in days[: len(days) - len(dated)])
    assert story.text.startswith("Internal use: this identifies one patient.")
    assert "Internal use: this identifies one patient." in story.html
    assert story.text.rstrip().splitlines()[-1].startswith("2016-06-21  Follow-up ends.")


def test_every_row_of_the_patient_is_told_once(registry):
    ids = registry["fractures"]["patient_id"].drop_duplicates().head(40)
    for patient in ids:
        found = history(registry, patient)
        told = cohort.explain(registry, patient).entries
        expected = len(found.sightings) + len(found.augmentations) + sum(
            len(found.tables[name]) for name in ("imaging", "imaging_studies", "assessments", "medications")
        )  # fmt: skip
        assert sum(entry.table != "patients" for entry in told) == expected
        assert sum(entry.counted for entry in told) == found.sightings["counted"].eq("yes").sum()


def test_a_patient_alone_is_classified_as_among_all_the_others(registry, classified):
    for patient in classified.sightings["patient_id"].drop_duplicates().iloc[::60]:
        alone = history(registry, patient).sightings
        among = classified.sightings[classified.sightings["patient_id"] == patient].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, among, check_dtype=False, check_categorical=False)


def test_the_windows_that_are_drawn_add_up_to_the_person_time(registry, classified):
    windows = atrisk.risk_windows(*classified.stages)
    complete = registry["patients"].loc[registry["patients"]["incomplete"] == "no", "patient_id"]
    windows = windows[windows["patient_id"].isin(complete)]
    assert (windows["start"] < windows["stop"]).all()
    days = (windows["stop"] - windows["start"]).dt.days.groupby(
        [windows["level"].astype(str), windows["role"].astype(str)]
    ).sum()  # fmt: skip
    whole = person_time(registry)
    expected = whole.set_index([whole["level"].astype(str), whole["role"].astype(str)])["vertebra_days"]
    assert days.to_dict() == expected[expected > 0].to_dict()


def test_the_treated_set_of_a_day_leaves_the_day_itself_out():
    found = history(cohort.read(CASES), "case4")
    assert treated_set(found, pd.Timestamp("2016-11-22")) == ["T9", "L3", "L4"]
    assert treated_set(found, pd.Timestamp("2016-11-23")) == ["T9", "L1", "L3", "L4"]


def test_an_unknown_patient_is_refused_without_repeating_the_id():
    with pytest.raises(RegistryError, match="No accepted row of patients has this id") as refused:
        cohort.explain(cohort.read(CASES), "Jane Doe 1931")
    assert "Jane" not in str(refused.value)


def test_a_patient_without_a_single_event_has_a_story_too(tmp_path):
    (tmp_path / "patients.csv").write_text("patient_id,follow_up_end\nP1,2022-12-31\nP2,2022-12-31\n")
    (tmp_path / "augmentations.csv").write_text("patient_id,date,level\nP2,2020-01-01,L1\n")
    (tmp_path / "fractures.csv").write_text("patient_id,date,level\n")
    story = cohort.explain(cohort.read(tmp_path), "P1")
    assert "No time at risk." in story.text
    assert story.figure() is None
    assert "can be drawn" in story.html


def test_markup_in_a_name_stays_text(tmp_path):
    (tmp_path / "patients.csv").write_text("patient_id,follow_up_end\n<b>1</b>,2022-12-31\n")
    (tmp_path / "augmentations.csv").write_text("patient_id,date,level\n<b>1</b>,2020-01-01,L1\n")
    (tmp_path / "fractures.csv").write_text("patient_id,date,level\n")
    (tmp_path / "medications.csv").write_text("patient_id,drug,start\n<b>1</b>,<script>x</script>,2020-01-01\n")
    page = cohort.explain(cohort.read(tmp_path), "<b>1</b>").html
    assert "<script" not in page
    assert "<b>" not in page


def test_the_command_prints_the_story_and_writes_the_page_once(tmp_path):
    run = CliRunner().invoke
    page = tmp_path / "story.html"
    done = run(app, ["explain", str(CASES), "--patient", "case1", "--out", str(page)])
    assert done.exit_code == 0, done.output
    assert "Patient case1" in done.output
    assert "<svg" in page.read_text(encoding="utf-8")
    again = run(app, ["explain", str(CASES), "--patient", "case1", "--out", str(page)])
    assert "exists already" in str(again.exception)
    assert run(app, ["explain", str(CASES)]).exit_code == 2
