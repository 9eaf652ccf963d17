"""How closely patients and vertebrae were watched, worked out by hand."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest

import cohort
from cohort import atrisk
from cohort.pipeline import ascertainment, prepare

# Followed for 365 days. A is imaged on 1 February (twice: on schedule, and for symptoms) and on 1 June; the studies of
# the day of treatment and of after the end do not count. B is measured once. C is never imaged.
STUDIES = """patient_id,date,first_level,last_level,protocol
A,2020-01-01,T4,L5,scheduled
A,2020-02-01,T12,L2,scheduled
A,2020-02-01,,,symptom
A,2020-06-01,L1,L1,symptom
A,2021-01-05,T4,L5,scheduled
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    (folder / "patients.csv").write_text("patient_id,follow_up_end\nA,2020-12-31\nB,2020-12-31\nC,2020-12-31\n")
    (folder / "augmentations.csv").write_text(
        "patient_id,date,level,cleft_before\nA,2020-01-01,L1,yes\nB,2020-01-01,L1,no\nC,2020-01-01,L1,\n"
    )
    (folder / "fractures.csv").write_text("patient_id,date,level\n")
    (folder / "imaging.csv").write_text("patient_id,date,level,anterior_mm\nB,2020-03-01,L1,20\n")
    (folder / "imaging_studies.csv").write_text(STUDIES)
    return prepare(cohort.read(folder))


def test_days_with_imaging_are_counted_once_and_only_during_follow_up(watched):
    found = atrisk.imaging_by_patient(watched.tables, watched.augmentations, watched.study).set_index("patient_id")
    assert found["person_days"].tolist() == [365, 365, 365]
    assert found[["n_days", "n_scheduled", "n_symptom"]].to_numpy().tolist() == [[2, 1, 2], [1, 0, 0], [0, 0, 0]]
    assert found["last_imaging"].astype(str).tolist() == ["2020-06-01", "2020-03-01", "NaT"]


def test_rates_of_imaging_by_what_patients_were_exposed_to(watched):
    found = ascertainment.by_exposure(watched).set_index(["variable", "category"])
    assert found.loc[("all", ""), ["n_patients", "n_days", "n_never"]].tolist() == [3, 3, 1]
    assert found.loc[("all", ""), "estimate"] == pytest.approx(3 / (3 * 365 / 365.25))
    assert found.loc[("all", ""), ["share_scheduled", "share_symptom"]].tolist() == pytest.approx([1 / 3, 2 / 3])
    cleft = found.loc["cleft"]
    assert cleft["n_days"].to_dict() == {"no": 1, "yes": 2, "not recorded": 0}
    assert cleft["n_never"].to_dict() == {"no": 0, "yes": 0, "not recorded": 1}
    assert np.isnan(cleft.loc["not recorded", "share_scheduled"])


def test_looks_are_counted_by_the_role_of_the_vertebra_on_the_day(watched):
    everybody = np.ones(3, dtype=bool)
    found = atrisk.looks_by_role(watched.tables, watched.augmentations, watched.study, only=everybody)
    sums = found.groupby("role", observed=True)[["n_looks", "vertebra_days"]].sum()
    assert sums["n_looks"].to_dict() == {"treated": 3, "adjacent": 2, "remote": 0}
    assert sums["vertebra_days"].to_dict() == {"treated": 3 * 365, "adjacent": 6 * 365, "remote": 33 * 365}
    rates = ascertainment.by_role(watched).set_index("role")
    assert rates.loc["treated", "estimate"] == pytest.approx(3 / (3 * 365 / 365.25))


def test_when_each_vertebra_was_last_looked_at(watched):
    found = atrisk.last_looks(watched.tables, watched.augmentations, watched.study)
    expected = pd.read_csv(
        StringIO("A,T12,2020-02-01,1\nA,L1,2020-06-01,2\nA,L2,2020-02-01,1\nB,L1,2020-03-01,1\n"), header=None
    )
    assert found.astype(str).to_numpy().tolist() == expected.astype(str).to_numpy().tolist()


def test_a_registry_without_imaging_has_no_table(watched):
    tables = {name: frame.iloc[:0] if name.startswith("imaging") else frame for name, frame in watched.tables.items()}
    bare = prepare(cohort.Registry.of(tables))
    assert ascertainment.by_exposure(bare).empty
    assert ascertainment.by_role(bare).empty
