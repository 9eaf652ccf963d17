"""The toolkit against the slow reference: random registries, every sighting and every cell of person-time.

The registries of `tests/reference/random_registry.py` are made so that every rule meets every other; the answers
of `tests/reference/slow.py` are written from the rules alone. `python tests/reference/agree.py` does the same at
length and shrinks what differs to the smallest cohort.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import agree
import compare_rows
from random_registry import canonical, random_registry, tables_of

from cohort.domain.study import StudyDefinition
from cohort.tables.contracts import check
from cohort.tables.results import Registry
from cohort.tables.schema import CANONICAL

SEEDS = range(40)
N_PATIENTS = 40
# Each setting beside the defaults on its own registries, so that no two tests see the same cohort.
OTHER_SETTINGS = [
    (name, seed)
    for i, name in enumerate(name for name in agree.SETTINGS if name != "defaults")
    for seed in range(1000 + 10 * i, 1002 + 10 * i)
]


def sentences(found: list[tuple[str, str]]) -> str:
    return "\n".join(sentence for _, sentence in found[:20])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_sighting_and_every_cell_agree(seed):
    tables = random_registry(N_PATIENTS, seed)
    found, n_sightings = agree.compare_sightings(tables, agree.DEFAULT)
    assert not found, sentences(found)
    found, vertebra_days = agree.compare_person_time(tables, agree.DEFAULT)
    assert not found, sentences(found)
    assert n_sightings > 50
    assert vertebra_days > 10_000


@pytest.mark.parametrize(("setting", "seed"), OTHER_SETTINGS)
def test_they_agree_under_other_settings(setting, seed):
    tables = random_registry(N_PATIENTS, seed)
    for compare in (agree.compare_sightings, agree.compare_person_time):
        found, _ = compare(tables, agree.SETTINGS[setting])
        assert not found, sentences(found)


@pytest.mark.parametrize("seed", range(2000, 2005))
def test_days_of_healed_vertebrae_and_unproven_events_agree_patient_by_patient(seed):
    found, _ = agree.compare_person_time_by_patient(random_registry(N_PATIENTS, seed), agree.DEFAULT)
    assert not found, sentences(found)


ROW_SETTINGS = ["defaults", "reach 2", "radiographic tier", *agree.ROW_SETTINGS]


@pytest.mark.parametrize("setting", ROW_SETTINGS)
@pytest.mark.parametrize("comparison", compare_rows.COMPARISONS)
def test_rows_of_every_unit_and_split_agree(setting, comparison):
    study = (agree.SETTINGS | agree.ROW_SETTINGS)[setting]
    seed = 4000 + 10 * ROW_SETTINGS.index(setting)
    found, compared = compare_rows.COMPARISONS[comparison](random_registry(N_PATIENTS // 4, seed), study)
    assert not found, sentences(found)
    assert compared > 10


@pytest.mark.parametrize("setting", agree.SETTINGS)
def test_the_counted_sightings_are_the_events_of_person_time(setting):
    assert agree.counted_are_events(random_registry(2 * N_PATIENTS, 3000), agree.SETTINGS[setting]) == []


def test_a_registry_without_treatment_or_without_patients_has_sightings_but_no_time():
    row = {"patient_id": "p", "follow_up_end": "2020-12-31"}
    sighting = {"patient_id": "p", "fracture_id": "f", "date": "2020-01-01", "level": "L1"}
    for rows in ({}, {"patients": [row]}, {"patients": [row], "fractures": [sighting]}):
        tables = tables_of(rows)
        for compare in (agree.compare_sightings, agree.compare_person_time, agree.compare_person_time_by_patient):
            found, _ = compare(tables, agree.DEFAULT)
            assert not found, sentences(found)


def test_they_agree_on_the_lowest_score_after_treatment_when_a_day_has_two():
    patient = {"patient_id": "p"}
    tables = tables_of(
        {
            "patients": [{**patient, "follow_up_end": "2020-02-23"}],
            "augmentations": [
                {**patient, "augmentation_id": "a", "date": "2019-07-26", "level": "L4", "anterior_mm_after": 20}
            ],
            "imaging": [{**patient, "date": "2019-10-23", "level": "L4", "anterior_mm": 17}],
            "assessments": [
                {**patient, "date": "2019-08-08", "pain": 3},
                {**patient, "date": "2019-08-08", "pain": 7},
                {**patient, "date": "2019-10-25", "pain": 8},
            ],
        }
    )
    found, _ = agree.compare_sightings(tables, agree.DEFAULT)
    assert not found, sentences(found)


def test_the_random_registries_are_canonical_and_bring_every_rule_into_play():
    tables = random_registry(240, 1)
    registry = Registry.of(tables, StudyDefinition())
    for name in CANONICAL:
        check(name, registry[name])
        assert list(registry[name]) == list(canonical(name, []))
    sightings = agree.slow.classify(tables, agree.DEFAULT, beyond=True)
    for column, least in (("not_counted_because", 11), ("relation", 4), ("relation_earliest", 5), ("side", 4),
                          ("kind_judged", 7), ("treated_for", 4), ("origin_of_row", 3)):  # fmt: skip
        assert sightings[column].nunique() == least, column
