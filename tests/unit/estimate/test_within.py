"""Vertebrae of one patient against each other: what cancels, and who tells."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.domain.errors import EstimationError
from cohort.estimate import cox
from cohort.estimate.within import within_patient

ROWS = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}


def test_two_vertebrae_per_patient_are_a_matched_pair():
    """Adjacent broke first in 6 patients, remote in 2: the odds 6 / 2, as McNemar's; pairs alike tell nothing."""
    adjacent_first = np.repeat([1, 0], [6, 2])
    d = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(8), 2),
            "unit": np.arange(16),
            "adjacent": np.tile([1, 0], 8),
            "event": np.column_stack([adjacent_first, 1 - adjacent_first]).ravel(),
            "exit": 10,
        }
    )
    alike = d.assign(patient=d["patient"] + 100, unit=d["unit"] + 100, adjacent=1)
    frame = within_patient(
        pd.concat([d, alike]), ["adjacent"], exit="exit", event="event", id="unit", cluster="patient"
    ).frame.iloc[0]
    assert frame["estimate"] == pytest.approx(3.0, rel=1e-10)
    assert frame["std_error"] == pytest.approx(np.sqrt(1 / 6 + 1 / 2), rel=1e-10)
    assert frame["n_events"] == 16
    assert frame["n_informative_events"] == frame["n_informative_patients"] == 8
    assert "only 8 informative events" in frame["note"]


def test_what_is_the_same_for_a_patient_is_controlled_and_not_estimated(vertebra_rows):
    rows = vertebra_rows(4, n_patients=60).assign(age=lambda d: 70.0 + d["patient"] % 13)
    alone = within_patient(rows, ["leak"], **ROWS).frame
    both = within_patient(rows, ["leak", "age"], **ROWS).frame.set_index("term")
    assert both["note"]["age"].startswith("the same for all vertebrae of a patient")
    assert both["n_informative_events"]["age"] == 0
    assert both["coef"]["leak"] == pytest.approx(alone["coef"].iloc[0], rel=1e-10)


def test_a_hazard_that_is_high_for_the_whole_patient_moves_nothing_but_would_move_cox():
    rng = np.random.default_rng(1)
    n = 2000
    frail = rng.random(n) < 0.5
    patient = np.repeat(np.arange(n), 2)
    leak = (rng.random(2 * n) < np.where(frail, 0.7, 0.3)[patient]).astype(int)
    days = rng.exponential(1 / (np.where(frail, 4.0, 1.0)[patient] / 100))
    rows = pd.DataFrame({"patient": patient, "unit": np.arange(2 * n), "leak": leak, "event": 1, "exit": days})
    options = {"exit": "exit", "event": "event", "cluster": "patient", "id": "unit"}
    within = within_patient(rows, ["leak"], **options).frame.iloc[0]
    assert within["conf_low"] < 1 < within["conf_high"]
    assert cox(rows, ["leak"], **options).frame["conf_low"].iloc[0] > 1


def test_it_is_cox_with_the_patient_as_stratum(vertebra_rows):
    rows = vertebra_rows(5, n_patients=60)
    one = cox(rows, ["leak"], strata="patient", robust=False, **ROWS)
    other = within_patient(rows, ["leak"], **ROWS)
    assert other.frame["coef"].iloc[0] == pytest.approx(one.frame["coef"].iloc[0], rel=1e-12)
    assert other.frame["std_error"].iloc[0] == pytest.approx(one.frame["naive_std_error"].iloc[0], rel=1e-12)
    assert other.settings["loglik"] == pytest.approx(one.settings["loglik"], rel=1e-12)


def test_further_strata_divide_the_patient(vertebra_rows):
    rows = vertebra_rows(5, n_patients=60).assign(region=lambda d: d["unit"] % 2)
    one = cox(rows, ["age"], strata=["patient", "region"], robust=False, **ROWS).frame
    other = within_patient(rows, ["age"], strata="region", **ROWS).frame
    assert other["coef"].iloc[0] == pytest.approx(one["coef"].iloc[0], rel=1e-12)


def test_the_order_of_rows_and_splits_change_nothing(vertebra_rows):
    rows = vertebra_rows(6, n_patients=60)
    over = (rows["entry"] < 10) & (rows["exit"] > 10)
    split = pd.concat([rows[over].assign(exit=10.0, event=0), rows.assign(entry=np.where(over, 10.0, rows["entry"]))])
    columns = ["coef", "std_error", "n_informative_events", "n_informative_patients", "n_units"]
    one = within_patient(rows, ["leak", "age"], **ROWS).frame[columns]
    for other in (split, rows.sample(frac=1, random_state=1)):
        np.testing.assert_allclose(within_patient(other, ["leak", "age"], **ROWS).frame[columns], one, rtol=1e-8)


def test_copies_of_every_patient_divide_both_errors(vertebra_rows):
    rows = vertebra_rows(7, n_patients=60)
    copied = pd.concat(
        [rows.assign(unit=rows["unit"] + 1000 * k, patient=rows["patient"] + 1000 * k) for k in range(4)]
    )
    for robust in (False, True):
        one = within_patient(rows, ["leak"], robust=robust, **ROWS).frame.iloc[0]
        four = within_patient(copied, ["leak"], robust=robust, **ROWS).frame.iloc[0]
        assert four["coef"] == pytest.approx(one["coef"], rel=1e-9)
        assert four["std_error"] == pytest.approx(one["std_error"] / 2, rel=1e-9)
        assert four["n_informative_patients"] == 4 * one["n_informative_patients"]


def test_nothing_to_compare_is_said_in_words(vertebra_rows):
    rows = vertebra_rows(8, n_patients=60)
    none = within_patient(rows.assign(event=0), ["leak"], **ROWS).frame.iloc[0]
    assert none["note"].startswith("no event")
    assert none["n_informative_events"] == 0
    lone = within_patient(rows.drop_duplicates("patient"), ["leak"], **ROWS).frame.iloc[0]
    assert np.isnan(lone["estimate"])
    assert lone["note"].startswith("the same for all vertebrae of a patient")
    one = rows[(rows["patient"] == rows["patient"].mode()[0])].assign(
        event=1, entry=0.0, exit=[5.0, 8.0, 9.0], leak=[1, 0, 1]
    )
    single = within_patient(one, ["leak"], **ROWS).frame.iloc[0]
    assert single["n_informative_patients"] == 1
    assert np.isfinite(single["naive_std_error"])


def test_differing_vertebrae_that_were_never_at_risk_together_tell_nothing():
    d = pd.DataFrame(
        {"patient": [1, 1, 2, 2], "unit": [1, 2, 3, 4], "entry": [0, 5, 0, 5], "exit": [5, 9, 5, 9], "event": 1}
    ).assign(adjacent=[1, 0, 0, 1])
    frame = within_patient(d, ["adjacent"], **ROWS).frame.iloc[0]
    assert frame["n_informative_events"] == 0
    assert frame["note"].startswith("no patient had an event while vertebrae that differ")


def test_a_ratio_without_limit_within_patients_is_said(vertebra_rows):
    rows = vertebra_rows(9, n_patients=60).assign(event=lambda d: d["event"] * d["leak"])
    frame = within_patient(rows, ["leak"], **ROWS).frame.iloc[0]
    assert frame["estimate"] == np.inf
    assert np.isnan(frame["conf_low"])
    assert "no upper bound" in frame["note"]


def test_what_is_controlled_and_what_is_not_stands_in_the_settings(vertebra_rows):
    settings = within_patient(vertebra_rows(1), ["leak"], **ROWS).settings
    assert "bone density" in settings["controlled"]
    assert "level" in settings["not_controlled"]
    assert "films" in settings["not_controlled"]


def test_an_id_of_two_patients_and_a_missing_patient_are_refused(vertebra_rows):
    rows = vertebra_rows(1).assign(level=lambda d: d.groupby("patient").cumcount())
    with pytest.raises(EstimationError, match="one unit of one patient"):
        within_patient(rows, ["leak"], **{**ROWS, "id": "level"})
    with pytest.raises(EstimationError, match="missing"):
        within_patient(rows.assign(patient=rows["patient"].where(rows["unit"] > 2)), ["leak"], **ROWS)


def test_a_robust_variance_of_few_patients_has_limits_from_t_with_those_who_tell(vertebra_rows):
    rows = vertebra_rows(3, n_patients=30)
    frame = within_patient(rows, ["leak"], robust=True, **ROWS).frame.iloc[0]
    assert frame["df"] == frame["n_informative_patients"] - 1
    reach = stats.t.ppf(0.975, frame["df"]) * frame["std_error"]
    assert frame["conf_high"] == pytest.approx(np.exp(frame["coef"] + reach), rel=1e-10)
    assert "informative patients behind the robust variance" in frame["note"]


def test_leaving_a_patient_out_in_truth_gives_the_jackknife_error(vertebra_rows):
    rows = vertebra_rows(3, n_patients=30)
    whole = within_patient(rows, ["leak"], robust=True, small_sample="jackknife", **ROWS).frame.iloc[0]
    changes = [
        within_patient(rows[rows["patient"] != patient], ["leak"], **ROWS).frame["coef"].iloc[0] - whole["coef"]
        for patient in rows["patient"].unique()
    ]
    assert whole["corrected_std_error"] == pytest.approx(np.sqrt(np.sum(np.square(changes))), rel=1e-6)
