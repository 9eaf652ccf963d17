"""Numbers are written as a journal would, and only here."""

import math

import pytest

from cohort.present import numbers


@pytest.mark.parametrize(
    ("fraction", "written"),
    [(0.121, "12.1"), (0.0098, "0.98"), (0.00999, "1.0"), (0.0, "0.00"), (1.0, "100.0"), (math.nan, "–")],
)
def test_incidence_has_one_decimal_and_two_below_one_per_cent(fraction, written):
    assert numbers.number(fraction, "percent") == written


def test_an_interval_has_the_decimals_of_its_estimate():
    assert numbers.estimate(0.0085, 0.004, 0.0162, "percent") == "0.85 (0.40-1.62)"
    assert numbers.estimate(2.4, 0.9, 6.401, "ratio") == "2.40 (0.90-6.40)"


def test_a_bound_below_zero_is_not_run_into_the_dash():
    assert numbers.bounds(0.5, -0.25, 1.25, "ratio") == "(-0.25 to 1.25)"


@pytest.mark.parametrize("bad", [math.inf, 5000.0])
def test_a_ratio_without_bound_is_not_given_as_a_number(bad):
    assert numbers.number(bad, "ratio") == "not estimable"
    assert numbers.bounds(3.0, 0.4, bad, "ratio") == "(0.40-∞)"


def test_a_missing_interval_is_said_never_invented():
    assert numbers.estimate(0.02, math.nan, math.nan, "percent") == "2.0 (no interval)"


def test_a_rounded_number_says_what_the_page_says():
    assert f"{numbers.rounded(0.12149, 'percent') * 100:.1f}" == numbers.number(0.12149, "percent")
