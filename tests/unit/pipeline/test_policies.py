"""Several procedures in one patient, each policy worked out by hand."""

import pytest

import cohort
from cohort.pipeline import describe, prepare
from cohort.pipeline.policies import of_cohort

# A: L1 treated on day 0; L2 breaks and is treated on day 100; L3, now its neighbour, breaks on day 200.
# B: L1 treated on day 0, L4 on day 10, the second session of one treatment. Both are followed to day 365.
AUGMENTATIONS = """patient_id,date,level
A,2020-01-01,L1
A,2020-04-10,L2
B,2020-01-01,L1
B,2020-01-11,L4
"""
FRACTURES = """patient_id,date,level
A,2020-04-10,L2
A,2020-07-19,L3
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    (folder / "patients.csv").write_text("patient_id,follow_up_end\nA,2020-12-31\nB,2020-12-31\n")
    (folder / "augmentations.csv").write_text(AUGMENTATIONS)
    (folder / "fractures.csv").write_text(FRACTURES)
    return prepare(cohort.read(folder))


@pytest.mark.parametrize(
    ("policy", "units", "events", "days"),
    [
        ("total", 2, 1, 100 + 365),  # A ends with the first adjacent fracture, B has none
        ("first_only", 2, 1, 100 + 10),  # B's first clock ends with the second session
        ("gap", 4, 2, 100 + 100 + 10 + 355),  # A's second clock ends with L3, 100 days on
        ("gap_merged", 3, 2, 100 + 100 + 365),  # B is one treatment
    ],
)
def test_adjacent_refractures_under_each_policy(two, policy, units, events, days):
    row = of_cohort(two).frame.set_index(["policy", "outcome"]).loc[(policy, "adjacent")]
    assert (row["n_patients"], row["n_units"], row["n_events"]) == (2, units, events)
    assert row["person_years"] == pytest.approx(days / 365.25)
    assert row["rate"] == pytest.approx(100 * events / (days / 365.25))


def test_incidence_is_read_on_the_clock_of_the_policy(two):
    frame = of_cohort(two, at=100).frame.set_index(["policy", "outcome"])
    assert frame.loc[("total", "adjacent"), "estimate"] == pytest.approx(1 / 2)
    # Two clocks fracture on their day 100, when B's second clock is at risk beside them; B's first has ended.
    assert frame.loc[("gap", "adjacent"), "estimate"] == pytest.approx(2 / 3)


def test_a_cascade_is_counted_by_relation(two):
    found = describe.cascades(two).set_index("relation")
    assert found.loc["adjacent", ["n", "n_cascade"]].tolist() == [2, 0], "L3 broke 100 days after L2"
    wider = describe.cascades(cohort.pipeline.under(two, two.study.with_("relation", cascade_days=100)))
    assert wider.set_index("relation").loc["adjacent", ["n_cascade", "n_patients", "longest"]].tolist() == [1, 1, 2]


def test_an_undeclared_column_has_no_verifiable_timing(two):
    patients = two.tables["patients"].assign(ward=["3", "4"], weight=["70", "80"])
    study = cohort.StudyDefinition(tables={"patients": {"timing": {"weight": "index"}}})
    found = describe.timing(prepare(cohort.Registry.of({**two.tables, "patients": patients}, study)))
    carried = found[found["table"] == "patients"].set_index("covariate")
    assert carried["verifiable"].to_dict() == {"ward": "no", "weight": "yes"}
    assert carried.loc["ward", "known"].startswith("timing not verifiable")
    assert found.set_index("covariate").loc["t_score", "verifiable"] == "no"
