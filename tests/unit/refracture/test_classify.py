"""The shape of what comes out: columns, dtypes, order, and registries in which something is absent."""

import pandas as pd
import pytest

from cohort.refracture import SIGHTING_COLUMNS
from cohort.tables.schema import CANONICAL, empty

YES_NO = ("implied", "sandwiched", "counted", "onset_unproven", "kept", "new_cleft", "new_edema", "film_changed")
WORDS = ("relation", "side", "treated_for", "relation_earliest", "kind_judged", "not_counted_because", "level")
NUMBERS = ("distance", "days_since", "anterior_loss", "kyphosis_change_deg", "pain_change")
DATES = ("date", "last_clear_date", "film_date")

EVERYTHING = """
    patient a
    before treat L4
    0 treat L1 anterior_mm_after=20
    90 treat L3
    5 fracture L2 clear=1
    80 film L1 anterior=15
    81 pain 4
    always exclude T9
    patient b
    0 treat L1
"""


def assert_dtypes(found):
    assert tuple(found.columns) == SIGHTING_COLUMNS
    for column in YES_NO:
        assert found[column].dtype.categories.tolist() == ["no", "yes"], column
    for column in (*WORDS, "origin_of_row", "date_precision", "symptomatic", "trauma"):
        assert isinstance(found[column].dtype, pd.CategoricalDtype), column
        assert found[column].dtype.ordered, column
    for column in NUMBERS:
        assert found[column].dtype == "float64", column
    for column in DATES:
        assert found[column].dtype == "datetime64[ns]", column
    for column in (
        "fracture_id",
        "patient_id",
        "repeat_of",
        "augmentation_id",
        "mechanisms",
        "judged_cell",
        "modality",
    ):
        assert found[column].dtype == object, column
    assert found["source_row"].dtype == "int64"


@pytest.mark.parametrize(
    "absent",
    [
        (),
        ("fractures",),
        ("imaging",),
        ("augmentations",),
        ("assessments",),
        ("fractures", "imaging"),
        ("fractures", "augmentations"),
        ("augmentations", "imaging"),
        ("fractures", "imaging", "augmentations", "assessments", "excluded_levels"),
        tuple(CANONICAL),
    ],
    ids=lambda absent: "without " + (", ".join(absent) or "nothing"),
)
@pytest.mark.parametrize("how", ["empty", "no such table"])
def test_a_registry_without_some_tables(tables_of, classified_tables, absent, how):
    tables = tables_of(EVERYTHING)
    for name in absent:
        if how == "empty":
            tables[name] = empty(CANONICAL[name])
        elif name not in ("patients", "augmentations", "fractures"):
            del tables[name]
    if "patients" in absent:
        tables = {name: empty(CANONICAL[name]) for name in tables}
    result = classified_tables(tables)
    assert_dtypes(result.sightings)
    assert result.augmentations["staged_from"].dtype == "datetime64[ns]"
    assert result.augmentations["retreats"].dtype.categories.tolist() == ["no", "yes"]


def test_one_patient_without_anything(classified):
    assert classified("patient a").frame.empty


def test_sightings_come_in_order_of_patient_date_spine_and_id(classified):
    found = classified(
        """
        patient b
        5 fracture L2 id=7
        patient a10 n_thoracic=13
        5 fracture L2 id=4
        5 fracture T13 id=3
        5 fracture T12 id=z2
        5 fracture T12 id=z10
        1 fracture L2 id=0
        patient a9
        5 fracture L2 id=6
        """
    )
    assert found.ids == ["0", "z10", "z2", "3", "4", "6", "7"]


def test_covariates_and_the_source_row_travel_along(tables_of, classified_tables):
    tables = tables_of("patient a\n0 treat L1\n9 fracture L2\n90 treat L3")
    tables["augmentations"]["surgeon_years"] = [3, 4]
    result = classified_tables(tables)
    assert result.augmentations["surgeon_years"].tolist() == [3, 4]
    assert result.sightings["source_row"].tolist() == [2, 0]


def test_only_the_required_columns(classified_tables):
    day = pd.to_datetime
    tables = {
        "patients": pd.DataFrame({"patient_id": ["a"], "follow_up_end": day(["2022-01-01"])}),
        "augmentations": pd.DataFrame(
            {"augmentation_id": ["k"], "patient_id": ["a"], "date": day(["2020-01-01"]), "level": ["L1"]}
        ),
        "fractures": pd.DataFrame(
            {"fracture_id": ["f"], "patient_id": ["a"], "date": day(["2020-06-01"]), "level": ["L1"]}
        ),
    }
    found = classified_tables(tables).sightings
    assert_dtypes(found)
    assert found["mechanisms"].tolist() == ["not_recorded"]


def test_the_tables_given_are_left_as_they_were(tables_of, classified_tables):
    tables = tables_of(EVERYTHING)
    copies = {name: frame.copy() for name, frame in tables.items()}
    classified_tables(tables)
    for name, frame in copies.items():
        pd.testing.assert_frame_equal(tables[name], frame)
