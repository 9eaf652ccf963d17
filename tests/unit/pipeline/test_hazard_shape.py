"""Ratios by time add up to the ratios of the report, and a patient as her own control is worked out by hand."""

import numpy as np
import pytest

import cohort as toolkit
from cohort.domain.errors import EstimationError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline import hazard_shape, prepare, risk

PAIRS = [(outcome, exposure.name) for outcome in REFRACTURE_RELATIONS for exposure in risk.EXPOSURES]


@pytest.fixture(scope="module")
def hazards(cohort):
    frame = risk.hazards(cohort).frame
    return frame[frame["model"] == "adjusted"].set_index(["outcome", "exposure"])


@pytest.fixture(scope="module")
def by_interval(cohort):
    return hazard_shape.by_interval(cohort).frame


def test_every_relation_and_exposure_has_three_intervals_and_a_test(by_interval):
    measures = by_interval.groupby(["outcome", "exposure"], sort=False)["measure"].apply(list)
    assert measures.index.tolist() == PAIRS
    assert all(found == ["hazard_ratio"] * 3 + ["equality_over_intervals"] for found in measures)
    ratios = by_interval[by_interval["measure"] == "hazard_ratio"]
    assert ratios.groupby(["outcome", "exposure"])["interval_start"].apply(list).iloc[0] == [0, 90, 365]


def test_the_events_of_the_intervals_are_those_of_the_model(by_interval, hazards):
    ratios = by_interval[by_interval["measure"] == "hazard_ratio"]
    events = ratios.groupby(["outcome", "exposure"])["n_events"].sum()
    assert events.to_dict() == hazards["n_events"].to_dict()


def test_one_interval_is_the_model_itself(cohort, hazards):
    """A cut after the end of follow-up leaves one interval with time at risk, and so the ratio of the report."""
    frame = hazard_shape.by_interval(cohort, cuts=[10**6]).frame
    whole = frame[(frame["measure"] == "hazard_ratio") & (frame["interval_start"] < 10**6)]
    whole = whole.set_index(["outcome", "exposure"])
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(whole[name], hazards.loc[whole.index, name], rtol=1e-6, err_msg=name)
    tests = frame.loc[frame["measure"] == "equality_over_intervals", "note"]
    assert tests.str.contains("nothing to test").all()


def test_proportional_hazards_are_tested_for_each_exposure_in_its_adjusted_model(cohort, hazards):
    result = hazard_shape.proportionality(cohort)
    frame = result.frame.set_index(["outcome", "exposure"])
    assert frame.index.tolist() == PAIRS
    assert frame["p_value"].dropna().between(0, 1).all()
    assert frame["n_events"].to_dict() == hazards["n_events"].to_dict()
    assert result.settings["transform"] == "km"


def test_a_model_that_cannot_be_fitted_says_why(cohort, monkeypatch):
    def refuses(*_, **__):
        raise EstimationError("No.")

    monkeypatch.setattr(hazard_shape.estimate, "ph_test", refuses)
    frame = hazard_shape.proportionality(cohort).frame
    assert frame[["outcome", "exposure"]].apply(tuple, axis=1).tolist() == PAIRS
    assert (frame["note"] == "No.").all()


def test_without_an_adjustment_set_there_is_nothing_to_test(cohort):
    study = cohort.study.with_("models", adjustment={})
    bare = prepare(toolkit.Registry.of(cohort.tables, study))
    assert hazard_shape.proportionality(bare).frame.empty
    assert hazard_shape.by_interval(bare).frame.empty


# ---------------- within patients


def registry_of(tmp_path, fractures, augmentations="A,2020-01-01,L1\nB,2020-01-01,L1\n"):
    (tmp_path / "patients.csv").write_text("patient_id,follow_up_end\nA,2020-12-31\nB,2020-12-31\n")
    (tmp_path / "augmentations.csv").write_text(f"patient_id,date,level\n{augmentations}")
    (tmp_path / "fractures.csv").write_text(f"patient_id,date,level\n{fractures}")
    return toolkit.read(tmp_path)


def test_one_adjacent_and_one_remote_refracture_by_hand(tmp_path):
    """Of T4-L5 less L1, two are adjacent and eleven remote: h / (2h + 11) times 1 / (2h + 11) is greatest at 11 / 2."""
    found = hazard_shape.within_patients(registry_of(tmp_path, "A,2020-04-10,L2\nB,2020-04-10,T6\n"))
    crude = found.frame.set_index("model").loc["crude"]
    assert crude["estimate"] == pytest.approx(5.5, rel=1e-6)
    assert (crude["n_events"], crude["n_informative_events"], crude["n_informative_patients"]) == (2, 2, 2)
    assert (crude["n_patients"], crude["n_units"]) == (2, 26)


def test_a_vertebra_that_becomes_adjacent_is_the_same_vertebra(tmp_path):
    """L4 is remote to L1 and adjacent to L3, which is treated later: two rows, one vertebra."""
    registry = registry_of(
        tmp_path, "A,2020-04-10,L2\nB,2020-09-10,T6\n", "A,2020-01-01,L1\nB,2020-01-01,L1\nB,2020-03-01,L3\n"
    )
    assert hazard_shape.within(prepare(registry)).frame["n_units"].tolist() == [26, 26]


def test_what_is_the_same_for_all_vertebrae_of_a_patient_is_said_to_be_controlled(cohort):
    result = hazard_shape.within(cohort)
    assert result.frame["model"].tolist() == ["crude", "level"]
    assert "bone density" in result.settings["controlled"]
    assert "imaged more often" in result.settings["not_controlled"]


def test_adjacent_vertebrae_break_more_often_and_their_level_explains_a_part(cohort):
    """In the synthetic registry levels near the thoracolumbar junction break more and are treated more."""
    found = hazard_shape.within(cohort).frame.set_index("model")["estimate"]
    assert found["crude"] > found["level"] > 1


def test_no_refracture_gives_no_ratio_and_words(tmp_path):
    frame = hazard_shape.within_patients(registry_of(tmp_path, "")).frame
    assert frame["estimate"].isna().all()
    assert frame["note"].str.contains("nothing can be estimated").all()
