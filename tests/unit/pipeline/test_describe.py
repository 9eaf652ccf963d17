"""The flow adds up, and what is not counted says why."""

import pandas as pd

from cohort.pipeline import describe
from cohort.tables.results import Registry


def test_the_flow_only_narrows_and_ends_in_the_population_of_the_curves(cohort):
    flow = describe.flow_of_patients(cohort)
    assert (flow["n_patients"].diff().dropna() <= 0).all()
    assert (flow["excluded_patients"].iloc[1:].to_numpy() == -flow["n_patients"].diff().dropna().to_numpy()).all()
    known = cohort.follow_up["in_main"] & cohort.follow_up["origin"].notna()
    assert flow["n_patients"].iloc[-1] == known.sum()


def test_every_sighting_is_counted_or_has_a_reason(cohort):
    assert describe.flow_of_sightings(cohort)["n_sightings"].sum() == len(cohort.sightings)


def test_problems_of_one_kind_are_one_line_whatever_row_they_name(cohort):
    rejected = pd.DataFrame(
        {
            "table": ["patients"] * 2,
            "source": ["patients.csv"] * 2,
            "row": [4, 9],
            "column": [""] * 2,
            "value": [""] * 2,
            "reason": [f"The row is an exact duplicate of row {row}, which was kept." for row in (3, 8)],
        }
    )
    registry = Registry.of(cohort.tables)
    object.__setattr__(registry, "rejected", rejected)
    lines = describe.problems(registry)
    assert lines["n_rows"].tolist() == [2]


def test_missing_and_not_assessable_are_counted_apart(cohort):
    tables = dict(cohort.tables)
    rows = tables["augmentations"].copy()
    rows.loc[rows.index[:3], "cleft_before"] = "not_assessable"
    rows.loc[rows.index[3:5], "cleft_before"] = None
    registry = Registry.of({**tables, "augmentations": rows})
    line = describe.missingness(registry).query("column == 'cleft_before'").iloc[0]
    assert (line["n_missing"], line["n_not_assessable"]) == (2, 3)


def test_mechanisms_are_counted_among_the_counted_same_level_refractures(cohort):
    table = describe.mechanisms(cohort)
    assert (table["n_total"] == len(describe.counted_same_level(cohort))).all()
    assert table["n_events"].sum() >= table["n_total"].iloc[0]
