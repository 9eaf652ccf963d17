"""A refracture lies before the film that found it: two vertebrae by hand, and the ratios both ways."""

import cohort as toolkit
from cohort.pipeline import onset_intervals, prepare, risk

PATIENTS = "patient_id,follow_up_end,enrolled_on\nA,2020-12-31,\nB,2020-12-31,\n"
AUGMENTATIONS = "patient_id,date,level\nA,2020-01-01,L1\nB,2020-01-01,L1\n"
# A's film of day 30 is clear; L1 is found broken on day 100.
FRACTURES = "patient_id,date,level,kind,last_clear_date\nA,2020-04-10,L1,progression,2020-01-31\n"


def registry_of(tmp_path, patients=PATIENTS, fractures=FRACTURES):
    (tmp_path / "patients.csv").write_text(patients)
    (tmp_path / "augmentations.csv").write_text(AUGMENTATIONS)
    (tmp_path / "fractures.csv").write_text(fractures)
    registry = toolkit.read(tmp_path)
    return toolkit.Registry.of(registry.tables, registry.study.with_("models", windows_days=(60, 80, 120)))


def shares(result):
    frame = result.frame[result.frame["measure"] == "survival"]
    return frame.groupby("dates")["estimate"].apply(list).to_dict()


def test_the_day_found_is_late_and_the_middle_of_the_interval_is_not(tmp_path):
    """Between days 30 and 100 the data do not say when: read in the middle, day 65, and said so."""
    result = onset_intervals.interval_censored(registry_of(tmp_path))
    assert shares(result) == {"found": [1.0, 1.0, 0.5], "interval": [1.0, 0.5, 0.5]}
    frame = result.frame[result.frame["dates"] == "interval"].set_index("time")
    assert "between days 30 and 100" in frame.loc[80, "note"]
    assert frame.loc[[60, 80], ["lowest", "highest"]].values.tolist() == [[0.5, 1.0], [0.5, 1.0]]


def test_without_a_look_the_refracture_lies_between_the_treatment_and_the_day_it_was_found(tmp_path):
    unseen = registry_of(tmp_path, fractures="patient_id,date,level,kind\nA,2020-04-10,L1,progression\n")
    assert shares(onset_intervals.interval_censored(unseen))["interval"] == [0.5, 0.5, 0.5], "the middle is day 50"


def test_vertebrae_that_enter_late_are_out_of_the_curves_and_counted(tmp_path):
    late = PATIENTS.replace("B,2020-12-31,", "B,2020-12-31,2020-02-01")
    result = onset_intervals.interval_censored(registry_of(tmp_path, patients=late))
    assert result.settings["n_late_entry"] == 1
    assert result.frame.loc[result.frame["measure"] == "survival", "n_units"].unique().tolist() == [1]


def test_each_exposure_has_its_adjusted_ratio_both_ways(cohort):
    frame = onset_intervals.of_cohort(cohort).frame
    ratios = frame[frame["measure"] == "hazard_ratio"]
    assert ratios.groupby("exposure", sort=False)["dates"].apply(list).to_dict() == {
        exposure.name: ["found", "interval"] for exposure in risk.EXPOSURES
    }
    for row in ratios.itertuples():
        assert row.adjusted_for == ", ".join(cohort.study.models.adjustment[row.exposure])
    # The same vertebrae and events; only the days differ.
    assert (ratios.groupby("exposure")[["n_events", "n_units"]].nunique() == 1).all().all()


def test_both_curves_rest_on_the_same_vertebrae_and_refractures(cohort):
    frame = onset_intervals.of_cohort(cohort).frame
    curves = frame[frame["measure"] == "survival"]
    assert (curves.groupby("time")[["n_events", "n_units", "n_patients"]].nunique() == 1).all().all()
    assert curves["time"].unique().tolist() == list(cohort.study.models.windows_days)


def test_a_few_vertebrae_give_words_and_no_warning():
    """Nine treated vertebrae of four patients fix no shape of a hazard."""
    frame = onset_intervals.of_cohort(prepare(toolkit.read("data/cases"))).frame
    ratios = frame[frame["measure"] == "hazard_ratio"]
    assert ratios["estimate"].isna().all()
    assert (ratios["note"] != "").all()


def test_nobody_treated_gives_no_row(tmp_path):
    registry = registry_of(tmp_path)
    nobody = toolkit.Registry.of(
        {**registry.tables, "augmentations": registry["augmentations"].iloc[:0]}, registry.study
    )
    frame = onset_intervals.interval_censored(nobody).frame
    assert "survival" not in set(frame.get("measure", []))
