"""Incidence curves by what changes with time are refused, with the right form."""

from __future__ import annotations

import pandas as pd
import pytest

from cohort.atrisk import group_at_entry, refuse_time_varying, require_fixed
from cohort.domain.errors import DefinitionError

BASELINE = pd.DataFrame({"patient_id": ["a"], "cleft": ["yes"], "anti_osteoporotic": [1.0]})


@pytest.mark.parametrize("by", ["role", "relation", "adjacent", "treated_tumour"])
def test_a_role_has_no_incidence_curve(by):
    with pytest.raises(DefinitionError, match="endpoint = 'adjacent'"):
        refuse_time_varying(by)


@pytest.mark.parametrize("by", ["anti_osteoporotic", "Denosumab", "antiresorptive", "H05AA02", "drug_class"])
def test_a_drug_has_no_incidence_curve(by):
    with pytest.raises(DefinitionError, match="anti_osteoporotic_at_entry"):
        group_at_entry(BASELINE, by)


def test_use_at_entry_is_a_group(cohort_of):
    assert group_at_entry(BASELINE, "anti_osteoporotic_at_entry").tolist() == [1.0]
    assert group_at_entry(BASELINE, "cleft").tolist() == ["yes"]


def test_a_group_that_nobody_knows_at_entry_is_refused():
    with pytest.raises(DefinitionError, match="'shoe_size' is not known at entry; groups may be cleft"):
        group_at_entry(BASELINE, "shoe_size")


def test_a_column_that_changes_within_a_unit_is_refused():
    rows = pd.DataFrame({"id": [1, 1, 2], "cleft": ["no", None, "yes"], "age": [70, 70, 80]})
    require_fixed(rows, "age")
    with pytest.raises(DefinitionError, match="changes with time in 1 units"):
        require_fixed(rows, "cleft")
