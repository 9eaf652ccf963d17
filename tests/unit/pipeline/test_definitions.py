"""Published definitions of same-level refracture, on vertebrae worked out by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

import cohort
from cohort.pipeline import prepare
from cohort.pipeline.definitions import _share
from cohort.refracture.heights import film_changes

ROOT = Path(__file__).parents[3]

# Baseline 20 mm and 5 degrees. P1: 3.0 mm (15 %) at 60 days, P2: 5.0 mm at 91 days, P3: 5.0 mm at 92 days, P4: height
# kept, kyphosis +10; P5: height kept, kyphosis not measured; P6: never imaged; P7: 6.0 mm at 60
# days, regained on the last film.
FILMS = """patient_id,date,level,anterior_mm,kyphosis_deg
P1,2020-03-01,L1,17.0,5
P2,2020-04-01,L1,15.0,5
P3,2020-04-02,L1,15.0,5
P4,2020-06-01,L1,20.0,15
P5,2020-06-01,L1,20.0,
P7,2020-03-01,L1,14.0,5
P7,2020-09-01,L1,20.0,5
"""


@pytest.fixture
def registry(tmp_path):
    ids = [f"P{n}" for n in range(1, 8)]
    (tmp_path / "patients.csv").write_text("patient_id,follow_up_end\n" + "".join(f"{n},2022-12-31\n" for n in ids))
    (tmp_path / "augmentations.csv").write_text(
        "patient_id,date,level,anterior_mm_after,kyphosis_deg_after\n"
        + "".join(f"{n},2020-01-01,L1,20.0,5\n" for n in ids)
    )
    (tmp_path / "fractures.csv").write_text("patient_id,date,level\n")
    (tmp_path / "imaging.csv").write_text(FILMS)
    return cohort.read(tmp_path)


@pytest.mark.parametrize(
    ("definition", "n", "events"),
    [("yu2017", 5, 4), ("lin2008", 6, 3), ("yamada2023", 3, 2)],
    ids=[
        "15 percent or 10 degrees at the last film; kyphosis not measured cannot be told",
        "any loss at the last film",
        "5 mm within 3 months: the 91st day counts, the 92nd does not",
    ],
)
def test_each_published_definition_counts_as_it_was_published(registry, definition, n, events):
    row = cohort.by_definition(registry).set_index("definition").loc[definition]
    assert (row["n_treated"], row["n"], row["n_events"]) == (7, n, events)
    assert row["conf_low"] < row["estimate"] <= row["conf_high"]
    assert row["source"]


def test_the_interval_takes_the_vertebrae_of_one_patient_together(registry):
    row = cohort.by_definition(registry).set_index("definition").loc["yu2017"]
    # One vertebra each: variance p(1-p)/(n-1), on the logit scale, worked by hand for 4 of 5.
    assert (row["conf_low"], row["conf_high"]) == pytest.approx((0.256611, 0.978881), abs=1e-6)


def test_films_are_measured_as_the_judgement_measures_them():
    classified = prepare(cohort.read(ROOT / "data" / "synthetic"))
    films = film_changes(classified.tables, classified.study.judgement)
    judged = classified.sightings[classified.sightings["film_date"].notna()]
    both = judged.merge(
        films, left_on=["augmentation_id", "film_date"], right_on=["augmentation_id", "date"], suffixes=("", "_film")
    )
    assert len(both) == len(judged) > 100
    for name in ("anterior_loss", "kyphosis_change_deg"):
        assert both[f"{name}_film"].to_numpy() == pytest.approx(both[name].to_numpy(), nan_ok=True)


def test_the_first_film_within_six_weeks_stands_in_for_a_missing_measurement(tmp_path):
    (tmp_path / "patients.csv").write_text("patient_id,follow_up_end\nP1,2022-12-31\nP2,2022-12-31\n")
    (tmp_path / "augmentations.csv").write_text("patient_id,date,level\nP1,2020-01-01,L1\nP2,2020-01-01,L1\n")
    (tmp_path / "fractures.csv").write_text("patient_id,date,level\n")
    (tmp_path / "imaging.csv").write_text(
        "patient_id,date,level,anterior_mm\nP1,2020-01-01,L1,9\nP1,2020-02-12,L1,20\nP1,2020-06-01,L1,15\n"
        "P2,2020-02-13,L1,20\nP2,2020-06-01,L1,15\n"
    )
    registry = cohort.read(tmp_path)
    films = film_changes(registry.tables, registry.study.judgement)
    assert films["days_since"].tolist() == [42, 152, 43, 152]
    assert films["anterior_loss"].tolist() == pytest.approx(
        [float("nan"), 0.25, float("nan"), float("nan")], nan_ok=True
    )


def test_with_no_event_the_interval_is_exact(registry):
    rows = cohort.by_definition(registry).set_index("definition")
    assert rows.loc["retreated", "conf_low"] == 0
    assert rows.loc["retreated", "conf_high"] == pytest.approx(1 - 0.025 ** (1 / 7))


def test_tiers_nest_on_the_synthetic_registry():
    rows = cohort.by_definition(cohort.read(ROOT / "data" / "synthetic")).set_index("definition")
    assert rows.loc["retreated", "n_events"] < rows.loc["clinical", "n_events"] <= rows.loc["radiographic", "n_events"]


def test_the_clustered_interval_is_that_of_an_intercept_alone_in_a_clustered_logistic_model():
    draw = np.random.default_rng(1)
    sizes = draw.integers(1, 5, 60)
    patient = np.repeat(np.arange(60), sizes)
    met = draw.random(len(patient)) < np.repeat(draw.beta(1, 4, 60), sizes)
    model = GLM(met.astype(float), np.ones((len(met), 1)), family=Binomial())
    odds = np.exp(np.ravel(model.fit(cov_type="cluster", cov_kwds={"groups": patient}).conf_int()))
    found = _share(met, pd.Series(patient), 0.95)
    assert (found["conf_low"], found["conf_high"]) == pytest.approx(tuple(odds / (1 + odds)), rel=1e-9)
    assert found["estimate"] == pytest.approx(met.mean())


def test_vertebrae_of_a_single_patient_have_no_interval():
    found = _share(np.array([True, False]), pd.Series(["P1", "P1"]), 0.95)
    assert found["estimate"] == 0.5
    assert np.isnan([found["conf_low"], found["conf_high"]]).all()
