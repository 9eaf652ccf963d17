# ruff: noqa: E501 (tables of cases are wider than code)
"""The measures of a treated vertebra, worked by hand: heights, angles, grades, films, routes of cement."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cohort
from cohort.atrisk.exposures import height_restoration, leaks
from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import JudgementRules
from cohort.pipeline import prepare
from cohort.refracture.body import GRADES, SHAPES, Heights, genant, restoration, share
from cohort.refracture.formulas import FORMULAS
from cohort.refracture.heights import film_changes
from cohort.refracture.leak_routes import DISCS
from cohort.refracture.measures import KEYS, measures

ROOT = Path(__file__).parents[3]
RULES = JudgementRules()
property_of = settings(max_examples=25, deadline=None, database=None)


def plain(value):
    """A value as a test writes it: missing is ''."""
    return "" if value is None or value is pd.NaT or (isinstance(value, float) and value != value) else value


@pytest.fixture(scope="session")
def measured(tables_of, classified_tables):
    """Measures of a cohort in words, by augmentation; carried : columns of augmentations beyond the canonical ones."""

    def run(text, carried=None, **options):
        tables = tables_of(text)
        if carried:
            tables["augmentations"] = tables["augmentations"].assign(**carried)
        found = measures(tables, classified_tables(tables).augmentations, RULES, **options)
        return {
            row["augmentation_id"]: SimpleNamespace(**{key: plain(value) for key, value in row.items()})
            for row in found.to_dict("records")
        }

    return run


@pytest.fixture(scope="session")
def registry():
    """The synthetic registry, classified, and its measures."""
    prepared = prepare(cohort.read(ROOT / "data" / "synthetic"))
    return prepared, measures(prepared.tables, prepared.augmentations, prepared.study.judgement)


# One vertebra by hand ------------------------------------------------------------------------------------------------

WHOLE = """
patient a
-10 film T12 middle_mm=24.0 posterior_mm=26.0
-10 film L2  middle_mm=26.0 posterior_mm=28.0
  0 treat L1 anterior_mm_before=18.0 anterior_mm_after=21.0 anterior_mm_reference=24.0 middle_mm_before=15.0 middle_mm_after=20.0 posterior_mm_before=26.0 posterior_mm_after=26.4 kyphosis_deg_before=20 kyphosis_deg_after=12 leak=disc_superior;venous cleft_before=yes cleft_filled=partial fracture_endplate=superior cement_endplate=superior cement_pattern=mixed volume_ml=4.5
 30 film L1 anterior=20.0 middle_mm=19.0 posterior_mm=26.0 kyphosis=14
400 film L1 anterior=16.8 middle_mm=19.5 posterior_mm=25.65 kyphosis=17
"""


def test_one_vertebra_worked_by_hand(measured):
    """Every measure of WHOLE, by pencil.

    column    | expected         | before          | after            | restored        | day 400
    anterior  | 24 (reference)   | 6/24 = 25 %     | 3/24 = 12.5 %    | 3/6 = 50 %      | 7.2/24 = 30 %
    middle    | (24+26)/2 = 25   | 10/25 = 40 %    | 5/25 = 20 %      | 5/10 = 50 %     | 5.5/25 = 22 %
    posterior | (26+28)/2 = 27   | 1/27 = 3.7 %    | 0.6/27 = 2.2 %   | 0.4/1 = 40 %    | 1.35/27 = 5 %

    The greatest loss before is 40 % of the middle: grade 2, biconcave; at day 400 30 % of the anterior: grade 2, wedge.
    Against the first post-operative 21.0 mm: 1.0 mm at day 30, 4.2 mm = 20 % at day 400; kyphosis 12, 14, 17 degrees.
    """
    row = measured(WHOLE)["L1@0"]
    by_hand = {
        "anterior_expected_mm": 24.0, "middle_expected_mm": 25.0, "posterior_expected_mm": 27.0,
        "anterior_compression_before": 0.25, "middle_compression_before": 0.4, "posterior_compression_before": 1 / 27,
        "anterior_compression_after": 0.125, "middle_compression_after": 0.2, "posterior_compression_after": 0.6 / 27,
        "anterior_restoration_ratio": 0.5, "middle_restoration_ratio": 0.5, "posterior_restoration_ratio": 0.4,
        "anterior_gain_mm": 3.0, "middle_gain_mm": 5.0, "posterior_gain_mm": 0.4,
        "anterior_posterior_ratio_before": 18 / 26, "middle_posterior_ratio_before": 15 / 26,
        "anterior_posterior_ratio_after": 21 / 26.4, "middle_posterior_ratio_after": 20 / 26.4,
        "kyphosis_deg_before": 20.0, "kyphosis_deg_after": 12.0, "kyphosis_change_deg": -8.0,
        "anterior_loss_last": 0.2, "anterior_loss_mm_last": 4.2, "days_to_anterior_loss_last": 400.0,
        "anterior_loss_worst": 0.2, "anterior_loss_mm_worst": 4.2,
        "kyphosis_change_last_deg": 5.0, "days_to_kyphosis_change_last": 400.0, "kyphosis_change_worst_deg": 5.0,
        "days_to_last_film": 400.0, "n_films": 2.0, "days_to_genant_last": 400.0, "n_leak_routes": 2.0, "volume_ml": 4.5,
    }  # fmt: skip
    assert {name: getattr(row, name) for name in by_hand} == pytest.approx(by_hand, abs=1e-12)
    in_words = {
        "augmentation_id": "L1@0", "patient_id": "a", "level": "L1",
        "genant_grade_before": "2", "genant_shape_before": "biconcave", "genant_grade_last": "2",
        "genant_shape_last": "wedge", "leak_disc": "yes", "leak_disc_superior": "yes", "leak_disc_inferior": "no",
        "leak_epidural": "no", "leak_foraminal": "no", "leak_paravertebral": "no", "leak_venous": "yes",
        "leak_any": "yes", "leak_disc_above": "T12-L1", "leak_disc_below": "", "cleft_state": "partly_filled",
        "cleft_at_follow_up": "", "endplate_contact": "superior_only", "endplate_class": "B1",
        "fractured_endplate_reached": "yes", "cement_pattern": "mixed", "thoracolumbar": "yes",
        "wedge_angle_deg_before": "", "wedge_angle_deg_after": "",
    }  # fmt: skip
    assert {name: getattr(row, name) for name in in_words} == in_words
    assert set(by_hand) | set(in_words) == set(vars(row)), "every column is worked by hand"


def test_a_vertebra_of_which_nothing_is_recorded_has_only_its_level_and_no_film(measured):
    row = measured("patient a\n0 treat L1")["L1@0"]
    told = {name: value for name, value in vars(row).items() if value != ""}
    assert told == {"augmentation_id": "L1@0", "patient_id": "a", "level": "L1", "n_films": 0.0, "thoracolumbar": "yes"}


# The contract --------------------------------------------------------------------------------------------------------


def test_every_column_beyond_the_keys_has_its_formula_unit_and_source(registry):
    _, found = registry
    assert list(found.columns) == [*KEYS, *(entry.column for entry in FORMULAS)]
    assert len({entry.column for entry in FORMULAS}) == len(FORMULAS)
    for entry in FORMULAS:
        assert entry.formula, entry.column
        assert entry.unit, entry.column
        read = any(tag in entry.source for tag in ("[src", "[abs]", "[sec]", "[unconfirmed]"))
        assert read or "docs/" in entry.source, entry.column


def test_columns_are_numbers_or_ordered_words(registry):
    _, found = registry
    for name in found.columns.difference(["augmentation_id", "patient_id"]):
        dtype = found[name].dtype
        assert dtype == "float64" or (isinstance(dtype, pd.CategoricalDtype) and dtype.ordered), name


def test_one_row_per_treated_vertebra_in_the_order_given(registry):
    prepared, found = registry
    assert found["augmentation_id"].tolist() == prepared.augmentations["augmentation_id"].tolist()
    assert found.index.equals(pd.RangeIndex(len(found)))
    backwards = prepared.augmentations.iloc[::-1]
    turned = measures(prepared.tables, backwards, RULES)
    pd.testing.assert_frame_equal(turned.iloc[::-1].reset_index(drop=True), found)


def test_without_augmentations_there_are_no_rows_and_the_same_columns(tables_of, classified_tables, registry):
    _, full = registry
    for text in ("patient a\n10 film L1 anterior=20\n20 fracture L1", ""):
        tables = tables_of(text)
        found = measures(tables, classified_tables(tables).augmentations, RULES)
        assert len(found) == 0
        assert found.dtypes.drop("patient_id").equals(full.dtypes.drop("patient_id"))


def test_a_registry_without_imaging_or_fractures_has_the_measures_of_its_augmentations(tables_of):
    tables = tables_of(WHOLE)
    only = {name: tables[name] for name in ("patients", "augmentations")}
    (row,) = measures(only, tables["augmentations"], RULES).to_dict("records")
    assert row["anterior_compression_before"] == 0.25
    assert row["n_films"] == 0
    assert np.isnan([row["middle_expected_mm"], row["anterior_loss_last"]]).all()


def test_the_tables_given_stay_as_they_are(tables_of):
    tables, again = tables_of(WHOLE), tables_of(WHOLE)
    measures(tables, tables["augmentations"], RULES)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, again[name])


def test_anterior_restoration_is_the_exposure_of_the_models(registry):
    prepared, found = registry
    exposure = height_restoration(prepared.augmentations)
    assert np.isfinite(exposure).sum() > 1000
    assert found["anterior_restoration_ratio"].to_numpy() == pytest.approx(exposure, nan_ok=True)


def test_disc_leaks_are_the_exposures_of_the_models(registry):
    prepared, found = registry
    severity = {"no": 0, "": 1, "not_assessable": 2, "yes": 3}
    for name, exposure in zip(
        ("leak_disc", "leak_disc_superior", "leak_disc_inferior"), leaks(prepared.augmentations["leak"]), strict=True
    ):
        assert [severity[plain(value)] for value in found[name].astype(object)] == exposure.tolist()


def test_losses_are_those_of_the_films(registry):
    prepared, found = registry
    tables = {**prepared.tables, "augmentations": prepared.augmentations}
    films = film_changes(tables, prepared.study.judgement)
    films = films[films["anterior_loss"].notna()].groupby("augmentation_id")["anterior_loss"]
    row = found.set_index("augmentation_id")
    for name, expected in (("anterior_loss_last", films.last()), ("anterior_loss_worst", films.max())):
        told = row[name].dropna()
        assert len(told) == len(expected) > 500
        pd.testing.assert_series_equal(told.sort_index(), expected.sort_index(), check_names=False)


# Heights -------------------------------------------------------------------------------------------------------------

RATIOS = """
before | after | expected | compression_before | compression_after | restoration_ratio | gain_mm | why
18     | 21    | 24       | 0.25  | 0.125 | 0.5  | 3  | half of what was lost is won back
18     | 15    | 24       | 0.25  | 0.375 | -0.5 | -3 | lost during treatment
18     | 27    | 24       | 0.25  | -0.125 | 1.5 | 9  | corrected beyond the expected height
24     | 24    | 24       | 0     | 0     |      | 0  | nothing was lost, so nothing can be restored
25     | 25    | 20       | -0.25 | -0.25 |      | 0  | taller than expected
0      | 12    | 24       | 1     | 0.5   | 0.5  | 12 | a height of nought is a value
18     | 21    | 0        |       |       |      | 3  | an expected height of nought is none
18     | 21    |          |       |       |      | 3  | no expected height
       | 21    | 24       |       | 0.125 |      |    | the height before is not recorded
18     |       | 24       | 0.25  |       |      |    | the height after is not recorded
"""


def test_ratios(case, measured):
    given_heights = {"before": case.before, "after": case.after, "reference": case.expected}
    columns = " ".join(f"anterior_mm_{name}={value}" for name, value in given_heights.items() if value)
    row = measured(f"patient a\n0 treat L1 {columns}")["L1@0"]
    for name in ("compression_before", "compression_after", "restoration_ratio", "gain_mm"):
        wanted = getattr(case, name)
        assert getattr(row, f"anterior_{name}") == (pytest.approx(float(wanted)) if wanted else ""), name


def test_a_posterior_wall_of_nought_gives_no_ratio_and_an_anterior_one_of_nought_is_nought(measured):
    found = measured(
        """
        patient a
        0 treat L1 anterior_mm_before=18 middle_mm_before=18 posterior_mm_before=0
        0 treat L3 anterior_mm_before=0 middle_mm_before=18 posterior_mm_before=24
        """
    )
    assert (found["L1@0"].anterior_posterior_ratio_before, found["L1@0"].middle_posterior_ratio_before) == ("", "")
    assert (found["L3@0"].anterior_posterior_ratio_before, found["L3@0"].middle_posterior_ratio_before) == (0, 0.75)


# The mean of two neighbours is written in binary: 24.1 and 23.9 give a hair more than 24.0, and no lost height.
def test_a_hair_of_lost_height_is_none():
    assert np.isnan(restoration(np.array([24.0]), np.array([25.0]), np.array([24.0 + 4e-15])))[0]


# Expected heights from the neighbours; L1 is treated on day 0, so they are T12 and L2. T12 is 24 mm high, L2 26.
NEIGHBOURS = """
history                                                                             | expected | why
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26                                 | 25       | both on one day before treatment
0 film T12 middle_mm=24; 0 film L2 middle_mm=26                                     | 25       | on the day of treatment
42 film T12 middle_mm=24; 42 film L2 middle_mm=26                                   | 25       | the first post-operative film, at the latest
43 film T12 middle_mm=24; 43 film L2 middle_mm=26                                   |          | later than that
-10 film T12 middle_mm=24; -9 film L2 middle_mm=26                                  |          | two films have two magnifications
-10 film T12 middle_mm=24                                                           |          | one neighbour only
-10 film T12 middle_mm=24; -10 film L3 middle_mm=26                                 |          | L3 is no neighbour
-10 film T12 anterior=24; -10 film L2 anterior=26                                   |          | another column
-10 film T12 middle_mm=24; -10 film L2 posterior_mm=26                              |          | two columns
-10 film T12 middle_mm=24; -10 film T12 middle_mm=23; -10 film L2 middle_mm=26      | 24.5     | of one day the least height
-900 film T12 middle_mm=20; -900 film L2 middle_mm=20; -10 film T12 middle_mm=24; -10 film L2 middle_mm=26; 5 film T12 middle_mm=22; 5 film L2 middle_mm=22 | 25 | the latest before treatment comes first
5 film T12 middle_mm=24; 5 film L2 middle_mm=26; 20 film T12 middle_mm=22; 20 film L2 middle_mm=22 | 25 | after treatment the earliest
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; -5 film T12 anterior=9; -5 film L2 anterior=9 | 25 | a later film without the column does not count
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; -11 fracture L2                |          | a neighbour broken before the film
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; -10 fracture L2                |          | broken on the film
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; -400 fracture T12 kind=old     |          | an old deformity is one
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; -9 fracture L2                 | 25       | broken only later
-900 film T12 middle_mm=24; -900 film L2 middle_mm=26; -20 fracture L2; -10 film T12 middle_mm=22; -10 film L2 middle_mm=12 | 25 | the latest film with both intact
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; -10 fracture L3                | 25       | a fracture elsewhere
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; 0 treat L2                     |          | a neighbour treated with it may have been broken on the film
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; 0 treat T12                     |          | whether above or below
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; before treat T12               |          | a neighbour treated before the registry
-10 film T12 middle_mm=24; -10 film L2 middle_mm=26; 1 treat L2                     | 25       | a neighbour treated later
20 film T12 middle_mm=24; 20 film L2 middle_mm=26; 20 treat L2                      |          | treated on the day of the film
-10 film T12 middle_mm=0; -10 film L2 middle_mm=26                                  | 13       | a height of nought is a value
"""


def test_neighbours(case, measured):
    lines = case.history.replace(";", "\n")
    row = measured(f"patient a\n0 treat L1 middle_mm_before=10 anterior_mm_reference=30\n{lines}")["L1@0"]
    wanted = pytest.approx(float(case.expected)) if case.expected else ""
    assert row.middle_expected_mm == wanted
    assert row.middle_compression_before == (pytest.approx(1 - 10 / float(case.expected)) if case.expected else "")
    assert row.posterior_expected_mm == "", "never taken from another column"


# The two neighbours are those of the patient's own spine.
OWN_NEIGHBOURS = """
spine         | treated | above | below | expected | why
n_thoracic=13 | L1      | T13   | L2    | 25       | a thirteenth rib
n_thoracic=13 | L1      | T12   | L2    |          | T12 is next but one
n_thoracic=11 | L1      | T11   | L2    | 25       | eleven thoracic
n_lumbar=6    | L5      | L4    | L6    | 25       | six lumbar
n_lumbar=6    | L6      | L5    | S1    |          | the sacrum has no such height
n_lumbar=4    | L4      | L3    | S1    |          | four lumbar: the sacrum follows L4
              | L5      | L4    | S1    |          | the last lumbar
              | C3      | C2    | C4    | 25       | cervical
              | C2      | C1    | C3    |          | the atlas has no body
              | S1      | L5    | L4    |          | the sacrum itself
"""


def test_own_neighbours(case, measured):
    row = measured(
        f"""
        patient a {case.spine}
        -10 film {case.above} posterior_mm=24
        -10 film {case.below} posterior_mm=26
        0 treat {case.treated}
        """
    )[f"{case.treated}@0"]
    assert row.posterior_expected_mm == (float(case.expected) if case.expected else "")


def test_a_treatment_without_a_date_has_no_expected_height_from_neighbours(measured):
    found = measured("patient a\n-10 film T12 middle_mm=24\n-10 film L2 middle_mm=26\nbefore treat L1")
    assert found["L1@before"].middle_expected_mm == ""


def test_neighbours_of_another_patient_lend_nothing(measured):
    found = measured("patient a\n0 treat L1\npatient b\n-10 film T12 middle_mm=24\n-10 film L2 middle_mm=26")
    assert found["L1@0"].middle_expected_mm == ""


# Angles --------------------------------------------------------------------------------------------------------------


def test_a_wedge_angle_needs_the_depth_of_the_body_or_itself(measured):
    words = (
        "patient a\n0 treat L1 anterior_mm_before=18 anterior_mm_after=24 posterior_mm_before=28 posterior_mm_after=28"
    )
    # 10 mm over 30 mm: each endplate tilts by atan(1/6) = 9.462 degrees.
    by_depth = measured(words, {"depth_mm": 30.0})["L1@0"]
    assert by_depth.wedge_angle_deg_before == pytest.approx(2 * 9.46232220802562)
    assert by_depth.wedge_angle_deg_after == pytest.approx(2 * np.degrees(np.arctan(4 / 60)))
    recorded = measured(words, {"depth_mm": 30.0, "wedge_deg_before": 17.0})["L1@0"]
    assert recorded.wedge_angle_deg_before == 17.0, "what was measured comes before what is computed"
    assert measured(words, {"depth_mm": 0.0})["L1@0"].wedge_angle_deg_before == ""
    assert measured(words)["L1@0"].wedge_angle_deg_before == ""
    lordotic = measured("patient a\n0 treat L5 anterior_mm_before=28 posterior_mm_before=18", {"depth_mm": 30.0})[
        "L5@0"
    ]
    assert lordotic.wedge_angle_deg_before == pytest.approx(-2 * 9.46232220802562)


def test_carried_numbers_may_be_written_as_text_but_not_as_words(measured):
    words = "patient a\n0 treat L1 anterior_mm_before=18 posterior_mm_before=28\n0 treat L3 anterior_mm_before=18 posterior_mm_before=28"
    found = measured(words, {"depth_mm": ["30", None]})
    assert found["L1@0"].wedge_angle_deg_before == pytest.approx(18.92464441605124)
    assert found["L3@0"].wedge_angle_deg_before == ""
    with pytest.raises(RegistryError, match=r"1 values of the carried column depth_mm are no numbers, as '3,1'"):
        measured(words, {"depth_mm": ["30", "3,1"]})


def test_a_change_of_kyphosis_needs_both_angles(measured):
    found = measured(
        "patient a\n0 treat L1 kyphosis_deg_before=-5 kyphosis_deg_after=4\n0 treat L3 kyphosis_deg_after=4"
    )
    assert found["L1@0"].kyphosis_change_deg == 9
    assert found["L3@0"].kyphosis_change_deg == ""


# Genant --------------------------------------------------------------------------------------------------------------

# The ends of the published ranges: the upper end belongs to the lower grade, as "above 40 %" says for grade 3.
BOUNDARIES = """
height | expected | grade | why
20.1   | 25.0     | 0     | 19.6 percent
20.0   | 25.0     | 1     | exactly 20 percent
12.8   | 16.0     | 1     | exactly 20 percent, less in binary
18.0   | 24.0     | 1     | exactly 25 percent
11.1   | 14.8     | 1     | exactly 25 percent, more in binary
17.9   | 24.0     | 2     | 25.4 percent
15.0   | 25.0     | 2     | exactly 40 percent
10.8   | 18.0     | 2     | exactly 40 percent, less in binary
14.9   | 25.0     | 3     | 40.4 percent
0.0    | 25.0     | 3     | nothing left
27.0   | 25.0     | 0     | taller than expected
"""


def test_boundaries(case, measured):
    row = measured(
        f"patient a\n0 treat L1 anterior_mm_before={case.height} anterior_mm_reference={case.expected} middle_mm_before=30 posterior_mm_before=30"
    )["L1@0"]
    assert row.genant_grade_before == case.grade
    assert row.genant_shape_before == ("" if case.grade == "0" else "wedge")


def test_a_share_on_paper_is_that_share_in_binary():
    """Every expected height in tenths of which 20, 25 or 40 % is a tenth too."""
    for least, grade in ((20, 1), (25, 1), (40, 2)):
        tenths = np.array([t for t in range(100, 450) if t * least % 100 == 0])
        full, left = tenths / 10, (tenths - tenths * least // 100) / 10
        whole = Heights(full, full, full)
        assert set(genant(Heights(left, full, full), whole)[0].tolist()) == {grade}
        assert set(genant(Heights((left * 10 - 1) / 10, full, full), whole)[0].tolist()) == {grade + (least > 20)}


# Heights and expected heights: anterior, middle, posterior; - is not known.
GENANT = """
height   | expected | grade | shape     | why
18 24 24 | 24 24 24 | 1     | wedge     | the front has lost most
24 15 24 | 24 24 24 | 2     | biconcave | the middle has
20 20 16 | 24 24 24 | 2     | crush     | the back has
18 18 18 | 24 24 24 | 1     | crush     | all alike
18 18 24 | 24 24 24 | 1     | wedge     | front and middle alike: a biconcave body is lowest in the middle
24 18 18 | 24 24 24 | 1     | crush     | middle and back alike
24 23 24 | 24 24 24 | 0     | -         | below 20 percent: no shape
18 20 24 | -  -  -  | 1     | wedge     | no expected height: against the posterior wall
20 12 24 | -  -  -  | 3     | biconcave | the same
24 24 24 | -  -  -  | -     | -         | no expected height, in proportion: may be crushed
18 20 24 | 24 -  -  | 1     | wedge     | the expected anterior height alone
15 20 24 | 24 -  -  | 2     | wedge     | the middle against the posterior wall
18 18 18 | 24 -  -  | 1     | -         | low against its neighbours, not against its own wall: perhaps a crush
23 23 24 | 24 -  -  | 0     | -         | grade 0: no crush, since the front stands
24 12 24 | 24 -  -  | 3     | biconcave | against the posterior wall
23 23 24 | -  24 -  | 0     | -         | one expected height is enough
24 24 18 | -  -  24 | 1     | -         | the back is low; which is lowest cannot be told
18 -  24 | 24 24 24 | -     | -         | the middle is not known and may have lost more
14 -  24 | 24 24 24 | 3     | -         | above 40 percent: no unknown column raises it
-  18 24 | 24 24 24 | -     | -         | the front is not known
-  -  14 | 24 24 24 | 3     | -         | the back alone, above 40 percent
18 20 -  | 24 24 24 | 1     | -         | the back is not known: the shape is not told
18 20 -  | 24 -  -  | -     | -         | the middle has nothing to be compared with
-  -  -  | 24 24 24 | -     | -         | no height
18 20 24 | 0  0  0  | 1     | wedge     | an expected height of nought is none
18 20 0  | 24 24 24 | 3     | crush     | a back of nought is a value
"""


def heights(words):
    return Heights(*(np.array([np.nan if word == "-" else float(word)]) for word in words.split()))


def test_genant(case):
    (grade,), (shape,) = genant(heights(case.height), heights(case.expected))
    assert ("-" if grade < 0 else GRADES[grade]) == case.grade
    assert ("-" if shape < 0 else SHAPES[shape]) == case.shape


def test_the_last_grade_is_that_of_the_last_film_that_tells_one(measured):
    found = measured(
        """
        patient a
        0 treat L1 anterior_mm_reference=24 anterior_mm_before=23 middle_mm_before=23 posterior_mm_before=24
        90 film L1 anterior=18 middle_mm=20 posterior_mm=24
        200 film L1 anterior=17 posterior_mm=24
        300 film L1 edema=yes
        """
    )["L1@0"]
    assert (found.genant_grade_before, found.genant_shape_before) == ("0", "")
    assert (found.genant_grade_last, found.genant_shape_last, found.days_to_genant_last) == ("1", "wedge", 90)
    assert (found.days_to_last_film, found.n_films) == (300, 3)


def test_a_last_grade_of_nought_takes_back_an_earlier_shape(measured):
    found = measured(
        """
        patient a
        0 treat L1 anterior_mm_reference=24
        90 film L1 anterior=18 middle_mm=20 posterior_mm=24
        200 film L1 anterior=23 middle_mm=23 posterior_mm=24
        """
    )["L1@0"]
    assert (found.genant_grade_last, found.genant_shape_last) == ("0", "")


# Films after treatment -----------------------------------------------------------------------------------------------


def test_a_film_belongs_to_the_latest_treatment_before_it(measured):
    found = measured(
        """
        patient a
        0 treat L1 anterior_mm_after=20 kyphosis_deg_after=10 id=first
        50 film L1 anterior=18 kyphosis=12
        100 film L1 anterior=15 kyphosis=20
        100 treat L1 anterior_mm_after=19 kyphosis_deg_after=11 id=second
        101 film L1 anterior=19 kyphosis=11
        200 film L1 anterior=17.1 kyphosis=13
        """
    )
    first, second = found["first"], found["second"]
    assert (first.n_films, first.days_to_last_film) == (2, 100), "a film on the day of a treatment is of the one before"
    assert first.anterior_loss_last == pytest.approx(0.25)
    assert first.kyphosis_change_last_deg == 10
    assert (second.n_films, second.days_to_last_film) == (2, 100)
    assert second.anterior_loss_last == pytest.approx(0.1)
    assert second.anterior_loss_mm_last == pytest.approx(1.9)
    assert second.kyphosis_change_last_deg == 2


def test_the_worst_film_need_not_be_the_last(measured):
    row = measured(
        """
        patient a
        0 treat L1 anterior_mm_after=20 kyphosis_deg_after=10
        50 film L1 anterior=14 kyphosis=25
        90 film L1 anterior=19 kyphosis=12
        """
    )["L1@0"]
    assert (row.anterior_loss_worst, row.anterior_loss_mm_worst, row.kyphosis_change_worst_deg) == pytest.approx(
        (0.3, 6, 15)
    )
    assert (row.anterior_loss_last, row.anterior_loss_mm_last, row.kyphosis_change_last_deg) == pytest.approx(
        (0.05, 1, 2)
    )


def test_each_last_value_has_the_day_of_its_own_film(measured):
    row = measured(
        """
        patient a
        0 treat L1 anterior_mm_after=20 kyphosis_deg_after=10
        50 film L1 anterior=18
        90 film L1 kyphosis=12
        120 film L1 edema=no
        """
    )["L1@0"]
    assert (row.days_to_anterior_loss_last, row.days_to_kyphosis_change_last, row.days_to_last_film) == (50, 90, 120)


def test_a_first_film_that_serves_as_baseline_has_no_loss(measured):
    row = measured("patient a\n0 treat L1\n42 film L1 anterior=20")["L1@0"]
    assert (row.anterior_loss_last, row.days_to_anterior_loss_last, row.n_films) == ("", "", 1)
    row = measured("patient a\n0 treat L1\n42 film L1 anterior=20\n43 film L1 anterior=15")["L1@0"]
    assert (row.anterior_loss_last, row.days_to_anterior_loss_last) == (0.25, 43)


def test_a_treatment_without_a_date_has_no_clock(measured):
    row = measured("patient a\nbefore treat L1 anterior_mm_after=20 cleft_before=no\n50 film L1 anterior=10 cleft=yes")[
        "L1@before"
    ]
    assert (row.anterior_loss_last, row.days_to_last_film, row.n_films) == ("", "", "")
    assert (row.cleft_state, row.cleft_at_follow_up) == ("developed", "yes"), "order is known where days are not"
    dated = measured("patient a\n0 treat L1 date_precision=before_index anterior_mm_after=20\n50 film L1 anterior=10")[
        "L1@0"
    ]
    assert (dated.anterior_loss_last, dated.n_films) == ("", ""), "a date that stands for none is none"


# Leakage -------------------------------------------------------------------------------------------------------------

LEAKS = """
leak                                     | disc | superior | inferior | venous | epidural | any | n | above  | below | why
none                                     | no   | no       | no       | no     | no       | no  | 0 |        |       | looked for, none
                                         |      |          |          |        |          |     |   |        |       | not recorded
venous                                   | no   | no       | no       | yes    | no       | yes | 1 |        |       | a listed route; the others are no
disc                                     | yes  |          |          | no     | no       | yes | 1 |        |       | the side is unknown
disc_superior                            | yes  | yes      | no       | no     | no       | yes | 1 | T12-L1 |       | the disc above
disc_inferior                            | yes  | no       | yes      | no     | no       | yes | 1 |        | L1-L2 | the disc below
disc_superior;disc_inferior              | yes  | yes      | yes      | no     | no       | yes | 2 | T12-L1 | L1-L2 | both discs are two routes
disc;disc_superior                       | yes  | yes      | no       | no     | no       | yes | 1 | T12-L1 |       | beside a named side it adds nothing
venous;disc                              | yes  |          |          | yes    | no       | yes | 2 |        |       | a route and a disc of unknown side
epidural;foraminal;paravertebral;venous  | no   | no       | no       | yes    | yes      | yes | 4 |        |       | all but discs
not_assessable                           | not_assessable | not_assessable | not_assessable | not_assessable | not_assessable | not_assessable | | | | looked at, could not be told
venous;not_assessable                    | not_assessable | not_assessable | not_assessable | yes | not_assessable | yes | | | | what is listed is yes
disc;not_assessable                      | yes  |          |          | not_assessable | not_assessable | yes | | | | a side that is unknown stays so
;                                        |      |          |          |        |          |     |   |        |       | an empty set is not recorded
"""


def test_leaks(case, measured):
    given_leak = f"leak={case.leak}" if case.leak else ""
    row = measured(f"patient a\n0 treat L1 {given_leak}")["L1@0"]
    for name in ("disc", "venous", "epidural", "any"):
        assert getattr(row, f"leak_{name}") == getattr(case, name), name
    assert (row.leak_disc_superior, row.leak_disc_inferior) == (case.superior, case.inferior)
    assert (row.leak_disc_above, row.leak_disc_below) == (case.above, case.below)
    assert row.n_leak_routes == (float(case.n) if case.n else "")


def test_a_leak_that_is_no_route_is_an_error_and_not_a_no(measured):
    with pytest.raises(RegistryError, match="leak 'intradiscal' is no route; write none, disc_superior"):
        measured("patient a\n0 treat L1 leak=intradiscal")


DISC_NAMES = """
spine                    | level | above   | below  | why
                         | L1    | T12-L1  | L1-L2  | the usual spine
n_thoracic=13            | L1    | T13-L1  | L1-L2  | a T13 above L1
n_thoracic=13            | T12   | T11-T12 | T12-T13 | and below T12
n_thoracic=13            | T13   | T12-T13 | T13-L1 | a treated T13
n_thoracic=11            | L1    | T11-L1  | L1-L2  | eleven thoracic
n_thoracic=11            | T11   | T10-T11 | T11-L1 | their last
n_lumbar=6               | L5    | L4-L5   | L5-L6  | six lumbar
n_lumbar=6               | L6    | L5-L6   | L6-S1  | their last
n_lumbar=4               | L4    | L3-L4   | L4-S1  | four lumbar
n_thoracic=13 n_lumbar=4 | L1    | T13-L1  | L1-L2  | a lumbar vertebra with a rib
                         | L5    | L4-L5   | L5-S1  | the usual last
                         | T1    | C7-T1   | T1-T2  | under the neck
                         | S1    | L5-S1   |        | below the sacrum there is none
n_lumbar=4               | S1    | L4-S1   |        | nor here
                         | C2    |         | C2-C3  | the atlas rests on no disc
                         | C1    |         |        | nor does it have one
"""


def test_disc_names(case, measured):
    row = measured(f"patient a {case.spine}\n0 treat {case.level} leak=disc_superior;disc_inferior")[f"{case.level}@0"]
    assert (row.leak_disc_above, row.leak_disc_below) == (case.above, case.below)
    assert (row.leak_disc_superior, row.leak_disc_inferior) == ("yes", "yes"), "the finding stands without a name"


def test_discs_run_from_the_head_down_and_name_no_other_pair():
    # 6 cervical (C2-C3 to C7-T1), 12 thoracic up to T12-T13, 3 that end on L1, 5 lumbar up to L5-L6, 3 that end on S1
    assert len(DISCS) == 6 + 12 + 3 + 5 + 3
    assert DISCS[0] == "C2-C3"
    assert DISCS[-3:] == ("L5-L6", "L5-S1", "L6-S1")
    assert DISCS.index("T11-T12") < DISCS.index("T11-L1") < DISCS.index("T12-T13") < DISCS.index("T12-L1")


# Cleft ---------------------------------------------------------------------------------------------------------------

CLEFTS = """
before                                   | films                              | state           | later          | why
cleft_before=yes cleft_filled=complete   |                                    | filled          |                | filled
cleft_before=yes cleft_filled=partial    |                                    | partly_filled   |                | in part
cleft_before=yes cleft_filled=none       |                                    | unfilled        |                | not
cleft_before=yes                         |                                    | filling_unknown |                | how far is not recorded
cleft_before=yes cleft_filled=complete   | 90 film L1 cleft=yes               | filled          | yes            | one that was there before did not develop
cleft_before=no                          |                                    | absent          |                | none before, nobody looked since
cleft_before=no                          | 90 film L1 cleft=no                | absent          | no             | none since
cleft_before=no                          | 90 film L1 cleft=not_assessable    | absent          | not_assessable | a film that cannot tell
cleft_before=no                          | 90 film L1 anterior=20             | absent          |                | a film that does not say
cleft_before=no                          | 90 film L1 cleft=yes               | developed       | yes            | one on a film after treatment
cleft_before=no                          | 50 film L1 cleft=yes; 90 film L1 cleft=no | developed | yes           | any yes is yes
cleft_before=no                          | 50 film L1 cleft=not_assessable; 90 film L1 cleft=no | absent | no    | any no is no before what cannot tell
cleft_before=no                          | 0 film L1 cleft=yes                | absent          |                | on the day of treatment
cleft_before=no                          | -9 film L1 cleft=yes               | absent          |                | before it
cleft_before=no                          | 90 film L2 cleft=yes               | absent          |                | another level
cleft_before=no                          | 60 treat L1; 61 film L1 cleft=yes  | absent          |                | after the next treatment of the level
cleft_before=no                          | 60 treat L1; 60 film L1 cleft=yes  | developed       | yes            | on the day of the next: before it
cleft_before=no cleft_filled=complete    |                                    | absent          |                | a filling does not make a cleft
                                         | 90 film L1 cleft=yes               |                 | yes            | before is not recorded: cannot be told to have developed
cleft_before=not_assessable              | 90 film L1 cleft=yes               |                 | yes            | nor where it could not be told
cleft_filled=complete                    |                                    |                 |                | filled, but no cleft recorded
"""


def test_clefts(case, measured):
    row = measured(f"patient a\n0 treat L1 {case.before}\n{case.films.replace(';', chr(10))}")["L1@0"]
    assert (row.cleft_state, row.cleft_at_follow_up) == (case.state, case.later)


# Endplates -----------------------------------------------------------------------------------------------------------

ENDPLATES = """
broken   | cement   | contact       | kind | reached | why
superior | both     | both          | A    | yes     | both reached
superior | superior | superior_only | B1   | yes     | the broken one
superior | inferior | inferior_only | B2   | no      | the other one
superior | none     | none          | B3   | no      | the middle of the body only
both     | superior | superior_only | B1   | no      | one of two was not
both     | both     | both          | A    | yes     | two of two
none     | both     | both          | A    |         | none broken: neither reached nor missed
none     |          |               |      |         | none broken, cement not recorded
         | both     | both          | A    | yes     | both reached, whichever broke
         | superior | superior_only | B1   |         | which one broke is not recorded
superior |          |               |      |         | which one was reached is not
         |          |               |      |         | nothing recorded
"""


def test_endplates(case, measured):
    columns = {"fracture_endplate": case.broken, "cement_endplate": case.cement}
    words = " ".join(f"{name}={value}" for name, value in columns.items() if value)
    row = measured(f"patient a\n0 treat L1 {words}")["L1@0"]
    assert (row.endplate_contact, row.endplate_class, row.fractured_endplate_reached) == (
        case.contact,
        case.kind,
        case.reached,
    )


# Junction ------------------------------------------------------------------------------------------------------------

JUNCTIONS = """
junction | spine         | level | inside | why
T11 L2   |               | T11   | yes    | its first
T11 L2   |               | L2    | yes    | its last
T11 L2   |               | T10   | no     | above it
T11 L2   |               | L3    | no     | below it
T11 L2   | n_thoracic=13 | T13   | yes    | a T13 lies inside
T10 L2   |               | T10   | yes    | a wider junction
T12 L1   |               | T11   | no     | a narrower one
T12 L1   | n_thoracic=11 | T11   | no     | without a T12 it starts at L1
T12 L1   | n_thoracic=11 | L1    | yes    | and L1 is in it
L1 L1    |               | L1    | yes    | one vertebra
"""


def test_junctions(case, measured):
    row = measured(f"patient a {case.spine}\n0 treat {case.level}", junction=tuple(case.junction.split()))[
        f"{case.level}@0"
    ]
    assert row.thoracolumbar == case.inside


@pytest.mark.parametrize(
    ("junction", "sentence"),
    [
        (("T11", "L7"), "The thoracolumbar junction names 'L7', which is no vertebra"),
        (("Th11", "L2"), "The thoracolumbar junction names 'Th11', which is no vertebra"),
        (("L2", "T11"), "The thoracolumbar junction ends at T11, above its start L2; exchange the two."),
    ],
    ids=["no such level", "another spelling", "upwards"],
)
def test_a_junction_that_is_none_is_refused(measured, junction, sentence):
    with pytest.raises(DefinitionError, match=sentence):
        measured("patient a\n0 treat L1", junction=junction)


# What must always hold -----------------------------------------------------------------------------------------------

LEVEL = st.sampled_from(("T11", "T12", "L1", "L2", "L3"))
DAY = st.sampled_from((-30, -1, 0, 1, 20, 42, 43, 100, 101, 300))
TENTH = st.integers(80, 320).map(lambda tenths: tenths / 10)
TREAT = st.builds(
    "{} treat {} anterior_mm_before={} anterior_mm_after={} anterior_mm_reference={} middle_mm_before={} middle_mm_after={} posterior_mm_before={} {}".format,
    DAY, LEVEL, TENTH, TENTH, TENTH, TENTH, TENTH, TENTH,
    st.sampled_from(("", "leak=disc;venous", "leak=none", "cleft_before=no", "cleft_before=yes cement_endplate=superior")),
)  # fmt: skip
FILM = st.builds(
    "{} film {} anterior={} middle_mm={} posterior_mm={} {}".format,
    DAY, LEVEL, TENTH, TENTH, TENTH, st.sampled_from(("", "cleft=yes", "cleft=no")),
)  # fmt: skip
FRACTURE = st.builds("{} fracture {}".format, DAY, LEVEL)
PATIENTS = st.lists(
    st.tuples(st.lists(TREAT, max_size=4), st.lists(FILM, max_size=8), st.lists(FRACTURE, max_size=2)),
    min_size=1, max_size=3,
)  # fmt: skip


def in_words(patients):
    text = []
    for number, (treats, films, fractures) in enumerate(patients):
        text += [f"patient p{number}", *films]
        text += [f"{line} id={number}.{k}" for k, line in enumerate([*treats, *fractures])]
    return "\n".join(text)


@property_of
@given(PATIENTS, st.integers(0, 2**32 - 1))
def test_row_order_changes_nothing(tables_of, classified_tables, patients, seed):
    tables = tables_of(in_words(patients))
    shuffled = {name: table.sample(frac=1, random_state=seed).reset_index(drop=True) for name, table in tables.items()}
    one, other = (measures(each, classified_tables(each).augmentations, RULES) for each in (tables, shuffled))
    pd.testing.assert_frame_equal(one, other)


@property_of
@given(PATIENTS, st.sampled_from((0.5, 2.0, 4.0)))
def test_magnification_changes_no_ratio_and_no_grade(tables_of, classified_tables, patients, factor):
    """Powers of two, so that scaling is exact in binary. Grades may not move, and millimetres scale."""
    tables = tables_of(in_words(patients))
    treated = classified_tables(tables).augmentations
    imaging = tables["imaging"].assign(
        **{name: tables["imaging"][name] * factor for name in ("anterior_mm", "middle_mm", "posterior_mm")}
    )
    larger = treated.assign(**{name: treated[name] * factor for name in treated.columns if "_mm_" in name})
    one = measures(tables, treated, RULES)
    other = measures({**tables, "imaging": imaging}, larger, RULES)
    in_mm = [entry.column for entry in FORMULAS if entry.unit == "mm"]
    pd.testing.assert_frame_equal(one[in_mm] * factor, other[in_mm])
    pd.testing.assert_frame_equal(one.drop(columns=in_mm), other.drop(columns=in_mm))


BODY = st.lists(st.one_of(TENTH, st.just(float("nan"))), min_size=6, max_size=6)


def graded(body):
    a, m, p, expected_a, expected_m, expected_p = (np.array([value]) for value in body)
    grade, shape = genant(Heights(a, m, p), Heights(expected_a, expected_m, expected_p))
    return int(grade[0]), int(shape[0])


@property_of
@given(BODY)
def test_front_and_middle_exchanged_keep_the_grade_and_exchange_wedge_and_biconcave(body):
    a, m, p, expected_a, expected_m, expected_p = body
    grade, shape = graded(body)
    turned_grade, turned_shape = graded([m, a, p, expected_m, expected_a, expected_p])
    assert turned_grade == grade
    if turned_shape == shape and shape in (SHAPES.index("wedge"), SHAPES.index("biconcave")):
        by_wall = a == m
        by_neighbours = share(np.array([a]), np.array([expected_a])) == pytest.approx(
            share(np.array([m]), np.array([expected_m]))
        )
        assert by_wall or by_neighbours, "only equal losses are a wedge both ways"
    else:
        exchanged = {SHAPES.index("wedge"): SHAPES.index("biconcave"), SHAPES.index("biconcave"): SHAPES.index("wedge")}
        assert turned_shape == exchanged.get(shape, shape)


@property_of
@given(BODY, st.sampled_from((0, 1)))
def test_a_height_that_is_not_known_never_changes_a_grade_only_whether_it_is_told(body, blanked):
    grade, _ = graded(body)
    body[blanked] = float("nan")
    assert graded(body)[0] in (grade, -1)


@property_of
@given(BODY, st.floats(0.1, 5))
def test_a_lower_front_never_lowers_the_grade(body, less):
    grade, _ = graded(body)
    lower, _ = graded([body[0] - less, *body[1:]])
    assert lower >= grade


@property_of
@given(BODY)
def test_a_shape_belongs_to_a_grade(body):
    grade, shape = graded(body)
    assert shape < 0 or grade > 0


@property_of
@given(PATIENTS)
def test_patients_are_measured_one_by_one(tables_of, classified_tables, patients):
    def run(some):
        tables = tables_of(in_words(some))
        found = measures(tables, classified_tables(tables).augmentations, RULES)
        return found.drop(columns=["augmentation_id", "patient_id"])

    apart = [run([one]) for one in patients]
    pd.testing.assert_frame_equal(run(patients), pd.concat(apart, ignore_index=True), check_dtype=False)


@property_of
@given(PATIENTS)
def test_the_worst_film_is_no_better_than_the_last(tables_of, classified_tables, patients):
    tables = tables_of(in_words(patients))
    found = measures(tables, classified_tables(tables).augmentations, RULES)
    told = found[found["anterior_loss_last"].notna()]
    assert (told["anterior_loss_worst"] >= told["anterior_loss_last"]).all()
    assert (found["anterior_loss_worst"].notna() == found["anterior_loss_last"].notna()).all()
    assert (found["days_to_anterior_loss_last"].fillna(0) <= found["days_to_last_film"].fillna(0)).all()
