"""Definitions, clocks, misnumbering, imaging and cascades as printed, with small counts hidden."""

import numpy as np
import pandas as pd
import pytest

from cohort.present.disclosure import Disclosure
from cohort.present.tables import beyond

PUBLIC, INTERNAL = Disclosure(5), Disclosure(5, internal=True)


def texts(table):
    return [[cell.text for cell in row.cells] for row in table.rows if row.kind != "group"]


@pytest.fixture
def definitions():
    rows = [
        ("yu2017", "By film", "Yu", 100, 40, 3, 0.075, 0.02, 0.2),
        ("clinical", "Counted", "rules", 100, 100, 12, 0.12, 0.07, 0.2),
    ]
    columns = ["definition", "label", "source", "n_treated", "n", "n_events", "estimate", "conf_low", "conf_high"]
    return pd.DataFrame(rows, columns=columns)


def test_few_failures_hide_their_share(definitions):
    table = beyond.definitions(definitions, PUBLIC)
    assert texts(table) == [["By film", "Yu", "<5 / 40", "–"], ["Counted", "rules", "12 / 100", "12.0"]]
    assert np.isnan(table.data["estimate"].iloc[0])
    assert table.data["n_events"].iloc[0] == "<5"
    assert texts(beyond.definitions(definitions, INTERNAL))[0] == ["By film", "Yu", "3 / 40", "7.5"]


def test_few_events_hide_rate_and_incidence():
    row = {"policy": "gap", "label": "Every procedure", "outcome": "same", "time": 365, "unit": "procedure",
           "n_patients": 50, "n_units": 60, "n_events": 2, "person_years": 80.0, "rate": 2.5, "rate_low": 0.3,
           "rate_high": 9.0, "estimate": 0.03, "conf_low": 0.01, "conf_high": 0.1}  # fmt: skip
    table = beyond.policies(pd.DataFrame([row, {**row, "outcome": "remote", "n_events": 6}]), PUBLIC)
    assert texts(table) == [["Same level", "50", "60", "<5", "–", "–"], ["Remote", "50", "60", "6", "2.50", "3.0"]]
    assert table.data[["rate", "estimate"]].isna().to_numpy().tolist() == [[True, True], [False, False]]
    assert "Unit: patients or procedures" in table.caption


def test_a_hidden_category_cannot_be_worked_out_from_the_total():
    columns = ["variable", "label", "category", "n_patients", "person_years", "n_days", "share_scheduled",
               "share_symptom", "n_never", "estimate", "conf_low", "conf_high"]  # fmt: skip
    one = (100.0, 40, 0.5, 0.25, 10, 0.4, 0.3, 0.5)
    frame = pd.DataFrame(
        [
            ("all", "All patients", "", 103, *one),
            ("cleft", "Cleft", "no", 60, *one),
            ("cleft", "Cleft", "not recorded", 40, *one),
            ("cleft", "Cleft", "yes", 3, *one),
        ],
        columns=columns,
    )
    table = beyond.ascertained(frame, PUBLIC)
    assert [line[1] for line in texts(table)] == ["103", "60", "≥5", "<5"]
    assert table.data["estimate"].isna().tolist() == [False, False, True, True]


def test_misnumbering_shows_what_stays_and_what_is_counted():
    rows = [
        (relation, moved, 90.0, 0.9, 0.8, 1.0, n, 0.05, 10)
        for relation, n in (("same", 3), ("adjacent", 100), ("remote", 50))
        for moved in (relation, "counted")
    ]
    columns = ["relation", "relation_moved", "n", "share", "share_low", "share_high", "n_recorded", "probability",
               "repeats"]  # fmt: skip
    table = beyond.misnumbered(pd.DataFrame(rows, columns=columns), PUBLIC)
    assert texts(table)[0] == ["Same level", "<5", "–", "<5", "–"]
    assert texts(table)[1] == ["Adjacent", "100", "90.0", "100", "0.90"]
    assert "5.0 %" in table.caption


def test_cascades_and_looks_hide_small_counts():
    cascades = pd.DataFrame(
        [("same", 30, 2, 2, 3), ("adjacent", 60, 12, 9, 4)],
        columns=["relation", "n", "n_cascade", "n_patients", "longest"],
    )
    assert texts(beyond.cascades(cascades, 90, PUBLIC)) == [
        ["Same level", "<5 / 30", "–", "–"],
        ["Adjacent", "12 / 60", "20.0", "4"],
    ]
    looks = pd.DataFrame(
        [("treated", 4, 20.0, 3, 0.2, 0.1, 0.5), ("remote", 90, 300.0, 50, 0.3, 0.2, 0.4)],
        columns=["role", "n_looks", "person_years", "n_patients", "estimate", "conf_low", "conf_high"],
    )
    assert texts(beyond.looks(looks, PUBLIC)) == [
        ["Treated for fracture", "<5", "–", "–"],
        ["Remote", "90", "300", "0.30"],
    ]


@pytest.mark.parametrize("name", ["definitions", "policies", "misnumbered", "ascertained", "looks", "timing"])
def test_nothing_to_show_is_no_table(name):
    arguments = (pd.DataFrame(),) if name == "timing" else (pd.DataFrame(), PUBLIC)
    assert getattr(beyond, name)(*arguments) is None
