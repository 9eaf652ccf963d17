"""Table one counts what is known, and what is not, apart."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import table_one
from cohort.estimate.tableone import TABLE_ONE_COLUMNS

PATIENTS = pd.DataFrame(
    {
        "age": [60.0, 70.0, 80.0, np.nan],
        "cleft": pd.Categorical(["yes", "no", "not_assessable", None], ["no", "not_assessable", "yes"]),
        "site": ["B", "A", "B", "B"],
    }
)


def test_a_number_has_its_mean_spread_and_quartiles_of_those_known():
    row = table_one(PATIENTS, numeric=["age"]).iloc[0]
    assert (row["n"], row["denominator"], row["n_missing"]) == (3, 4, 1)
    assert (row["mean"], row["sd"], row["median"], row["q1"], row["q3"]) == (70, 10, 70, 65, 75)


def test_not_assessable_is_neither_no_nor_missing():
    rows = table_one(PATIENTS, categorical=["cleft"]).set_index("category")
    assert rows["n"].to_dict() == {"no": 1, "yes": 1}
    assert (rows["denominator"] == 2).all()
    assert (rows["n_missing"] == 1).all()
    assert (rows["n_not_assessable"] == 1).all()


def test_categories_nobody_has_are_shown_and_text_is_sorted():
    some = PATIENTS[PATIENTS["cleft"] != "yes"]
    assert table_one(some, categorical=["cleft"])["n"].tolist() == [1, 0]
    assert table_one(PATIENTS, categorical=["site"])["category"].tolist() == ["A", "B"]


def test_the_frame_has_the_columns_of_the_report_and_says_its_unit():
    frame = table_one(PATIENTS, ["age"], ["site"], unit="treated vertebra", labels={"age": "Age, years"})
    assert tuple(frame.columns) == TABLE_ONE_COLUMNS
    assert set(frame["unit"]) == {"treated vertebra"}
    assert frame["label"].iloc[0] == "Age, years"


def test_nobody_known_leaves_the_numbers_empty():
    row = table_one(PATIENTS.assign(age=np.nan), numeric=["age"]).iloc[0]
    assert row["n"] == 0
    assert np.isnan(row["mean"])


def test_words_are_no_numbers():
    with pytest.raises(EstimationError, match="list it among the categories"):
        table_one(PATIENTS, numeric=["site"])
