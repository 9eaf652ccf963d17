"""Known, not assessable, missing: three states, counted apart."""

import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate.missing_patterns import missing_patterns


@pytest.fixture
def vertebrae():
    """Three patients; vertebra 1 has two rows, in the second of which its t-score is known."""
    return pd.DataFrame(
        {
            "unit": [1, 1, 2, 3, 4],
            "patient": [1, 1, 1, 2, 3],
            "cleft": pd.Categorical(["yes", "yes", "not_assessable", None, "no"], ["no", "not_assessable", "yes"]),
            "t_score": [None, -2.0, -3.0, None, -1.0],
        }
    )


def test_not_assessable_is_neither_known_nor_missing(vertebrae):
    found = missing_patterns(vertebrae, ["cleft"], id="unit", cluster="patient").frame
    states = found[found["measure"] == "state"].set_index("state")
    assert states["n_units"].to_dict() == {"known": 2, "not assessable": 1, "missing": 1}
    assert states["n_patients"].to_dict() == {"known": 2, "not assessable": 1, "missing": 1}
    assert states["n_rows"].to_dict() == {"known": 3, "not assessable": 1, "missing": 1}
    assert states["estimate"].sum() == pytest.approx(1)


def test_patterns_stand_with_the_commonest_first_and_name_what_is_not_known(vertebrae):
    found = missing_patterns(vertebrae, ["cleft", "t_score"], id="unit", cluster="patient")
    patterns = found.frame[found.frame["measure"] == "pattern"]
    assert patterns["term"].tolist()[0] == "all known"
    assert patterns["n_units"].tolist() == [2, 1, 1, 1]
    last = patterns.set_index("term").loc["cleft missing, t_score missing"]
    assert (last["cleft"], last["t_score"]) == ("missing", "missing")
    assert found.settings["n_patterns"] == 4


def test_a_unit_that_changes_between_its_rows_is_said(vertebrae):
    found = missing_patterns(vertebrae, ["t_score"], id="unit").frame
    assert found["estimate"].iloc[:3].sum() == pytest.approx(1.25)
    assert found["note"].iloc[0].endswith("1 more than units")


def test_a_split_changes_no_count_of_units(vertebrae):
    whole = vertebrae.drop_duplicates("unit")
    split = pd.concat([whole, whole])
    columns = ["n_units", "n_patients", "estimate"]
    one = missing_patterns(whole, ["cleft", "t_score"], id="unit", cluster="patient").frame
    two = missing_patterns(split, ["cleft", "t_score"], id="unit", cluster="patient").frame
    pd.testing.assert_frame_equal(one[columns], two[columns])


def test_words_in_plain_text_and_flags_have_states_too():
    df = pd.DataFrame({"cleft": ["yes", "not_assessable", None], "leak": pd.array([True, None, False], "boolean")})
    found = missing_patterns(df, ["cleft", "leak"]).frame
    assert found["n_units"].iloc[:6].tolist() == [1, 1, 1, 2, 0, 1]


def test_what_cannot_be_counted_is_refused(vertebrae):
    with pytest.raises(EstimationError, match="There is no column 'edema'"):
        missing_patterns(vertebrae, ["edema"])
    with pytest.raises(EstimationError, match="no rows"):
        missing_patterns(vertebrae.iloc[:0], ["cleft"])
    with pytest.raises(EstimationError, match="at least one column"):
        missing_patterns(vertebrae, [])
