"""A registry between its own data and the literature's prediction."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate.meta import meta_effects, meta_proportions, meta_rates
from cohort.estimate.shrinkage import shrink

STUDIES = pd.DataFrame(
    {
        "tier": ["clinical"] * 5 + ["film"] * 2,
        "events": [1, 30, 9, 20, 11, 30, 44],
        "n": [150, 240, 110, 260, 200, 90, 100],
        "y": [0.1, 0.4, 0.2, 0.6, 0.3, 0.9, 0.5],
        "se": [0.1, 0.1, 0.2, 0.15, 0.1, 0.2, 0.2],
    }
)
CLINICAL = STUDIES[STUDIES["tier"] == "clinical"]


@pytest.fixture(scope="module")
def pooled():
    return meta_proportions(CLINICAL, events="events", n="n")


def rows(found):
    return found.frame.set_index("row")


def test_the_result_lies_between_and_is_surer_than_either(pooled):
    frame = rows(shrink(0.12, 0.03, pooled))
    assert frame.loc["prior", "coef"] < frame.loc["shrunken", "coef"] < frame.loc["registry", "coef"]
    assert frame.loc["shrunken", "std_error"] < frame["std_error"].drop("shrunken").min()
    assert frame["weight"].iloc[:2].sum() == pytest.approx(1.0)
    mean = pooled.frame.query("row == 'pooled'").iloc[0]
    assert frame.loc["prior", "std_error"] == pytest.approx(np.hypot(np.sqrt(mean["tau2"]), mean["std_error"]))


def test_a_large_registry_stays_where_it_is_and_a_tiny_one_gives_way(pooled):
    large, tiny = rows(shrink(0.12, 0.0001, pooled)), rows(shrink(0.12, 0.5, pooled))
    assert large.loc["shrunken", "estimate"] == pytest.approx(0.12, rel=1e-3)
    assert tiny.loc["shrunken", "estimate"] == pytest.approx(tiny.loc["prior", "estimate"], rel=0.1)


def test_an_error_of_the_estimate_becomes_one_of_its_logit(pooled):
    one, two = shrink(0.12, 0.03, pooled), shrink(0.12, 0.03 / (0.12 * 0.88), pooled, error_of="coef")
    pd.testing.assert_frame_equal(one.frame, two.frame)


def test_a_registry_far_from_the_literature_is_asked_why(pooled):
    far = shrink(0.60, 0.03, pooled)
    assert far.settings["surprise_p_value"] < 0.05
    assert "fewer than one registry in 20" in rows(far).loc["shrunken", "note"]
    assert rows(shrink(0.05, 0.02, pooled)).loc["shrunken", "note"] == ""


def test_no_spread_between_studies_is_said_to_draw_too_far():
    alike = pd.DataFrame({"events": [5, 10, 15], "n": [100, 200, 300]})
    found = rows(shrink(0.06, 0.02, meta_proportions(alike, events="events", n="n")))
    assert "drawn in too far" in found.loc["shrunken", "note"]
    few = rows(shrink(0.1, 0.02, meta_proportions(CLINICAL.iloc[:3], events="events", n="n")))
    assert "only 3 studies" in few.loc["shrunken", "note"]


def test_the_subgroup_that_the_registry_belongs_with_must_be_named():
    both = meta_proportions(STUDIES, events="events", n="n", by="tier")
    alone = meta_proportions(CLINICAL, events="events", n="n")
    named = shrink(0.12, 0.03, both, group="clinical")
    pd.testing.assert_frame_equal(named.frame, shrink(0.12, 0.03, alone).frame)
    with pytest.raises(EstimationError, match=r"2 pooled rows fit.*clinical, film"):
        shrink(0.12, 0.03, both)
    with pytest.raises(EstimationError, match="pooled by 0 columns"):
        shrink(0.12, 0.03, alone, group="clinical")


def test_rates_ratios_and_differences_are_shrunk_on_their_own_scales():
    rates = meta_rates(CLINICAL, events="events", person_time="n", per=100)
    rate = rows(shrink(12.0, 3.0, rates))
    assert rate.loc["registry", ["estimate", "std_error"]].tolist() == pytest.approx([12.0, 0.25])
    assert rate.loc["prior", "estimate"] == pytest.approx(rates.frame.query("row == 'pooled'")["estimate"].iloc[0])
    plain = meta_effects(STUDIES, estimate="y", std_error="se")
    difference = rows(shrink(0.2, 0.1, plain))
    ratios = meta_effects(STUDIES, estimate="y", std_error="se", measure="log_ratio")
    ratio = rows(shrink(np.exp(0.2), 0.1, ratios, error_of="coef"))
    assert ratio.loc["shrunken", "estimate"] == pytest.approx(np.exp(difference.loc["shrunken", "estimate"]))


def test_what_cannot_be_shrunk_is_refused(pooled):
    for estimate, error, message in (
        (0.0, 0.02, "between 0 and 1"),
        (0.1, 0.0, "must be positive"),
        (0.1, np.nan, "must be positive"),
    ):
        with pytest.raises(EstimationError, match=message):
            shrink(estimate, error, pooled)
    arcsines = meta_proportions(CLINICAL, events="events", n="n", method="freeman_tukey")
    with pytest.raises(EstimationError, match="double arcsines"):
        shrink(0.1, 0.02, arcsines)
    with pytest.raises(EstimationError, match="at least two studies"):
        shrink(0.1, 0.02, meta_proportions(CLINICAL.iloc[:1], events="events", n="n"))
    with pytest.raises(EstimationError, match="must be positive"):
        shrink(-1.0, 0.2, meta_rates(CLINICAL, events="events", person_time="n"))
    with pytest.raises(EstimationError, match="error_of"):
        shrink(0.1, 0.02, pooled, error_of="odds")
