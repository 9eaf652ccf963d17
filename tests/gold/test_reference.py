"""Every value of R in reference.json: ours is as near as the table of comparisons asks, or it is listed as pending."""

import json
import re

import comparisons
import numpy as np
import pytest


@pytest.mark.parametrize("one", comparisons.COMPARISONS, ids=[one.key for one in comparisons.COMPARISONS])
def test_the_value_of_r_comes_out(one):
    for quantity, (ours, theirs) in one.both().items():
        found = comparisons.difference(ours, theirs)
        assert found <= one.tolerance(quantity), f"{one.key}, {quantity}: {ours} and in R {theirs} ({found:.2e})"


def test_every_value_of_r_is_compared_or_said_to_be_pending():
    keys = [one.key for one in comparisons.COMPARISONS]
    assert len(keys) == len(set(keys))
    listed = set(keys) | set(comparisons.PENDING)
    assert listed == set(comparisons.reference()) - {"_origin"}
    assert not set(keys) & set(comparisons.PENDING)


def test_the_printed_table_is_of_these_comparisons():
    stored = json.loads((comparisons.HERE / "comparisons.json").read_text(encoding="utf-8"))
    assert [row["key"] for row in stored] == [one.key for one in comparisons.COMPARISONS]
    assert all(row["difference"] <= row["tolerance"] for row in stored)


def test_a_difference_is_infinite_where_only_one_side_has_a_value():
    assert comparisons.difference(np.array([1.0, np.nan]), np.array([1.0, 2.0])) == float("inf")
    assert comparisons.difference(np.array([1.0]), np.array([1.0, 2.0])) == float("inf")
    assert comparisons.difference(np.array([1.0 + 1e-9]), np.array([1.0])) == pytest.approx(1e-9)


def test_every_comparison_names_a_call_of_r_that_the_script_makes():
    script = (comparisons.HERE / "reference.R").read_text(encoding="utf-8")
    for one in comparisons.COMPARISONS:
        first = re.match(r"[\w:.]+", one.r_call)
        assert first, one.key
        name = first[0].split("::")[-1].split("(")[0]
        assert name in script or not name.isidentifier(), f"{one.key}: {name}"
