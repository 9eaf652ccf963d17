"""The gap to a published figure taken apart: by hand, as a property, and in a registry of two thousand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohort.domain.study import StudyDefinition
from cohort.literature.tables import TIERS, WINDOW_KINDS
from cohort.pipeline import prepare
from cohort.pipeline.like_for_like import like_for_like, of_cohort
from cohort.pipeline.like_for_like_steps import MAIN_DAYS
from cohort.pipeline.like_for_like_units import UNITS
from cohort.pipeline.occurrence import incidence
from cohort.tables.like_for_like import STEPS

# All treated on 2020-01-01 (day 0), followed for 730 days unless told otherwise.
#    treated  technique  what happened
# 1  L1       vp         T12 on day 50, painful
# 2  L1, L4   vp         L5 on day 100, painful: next to L4, so it is L4's
# 3  L1       vp         T12 on day 150, without pain
# 4  L1       vp         died on day 80
# 5  L1       vp         lost on day 120
# 6  L1       kp         T12 on day 400, painful
# 7  L1       kp         nothing
# 8  L1       kp         nothing
EIGHT = {
    "patients": """patient_id,follow_up_end,death_date
1,2021-12-31,
2,2021-12-31,
3,2021-12-31,
4,2020-03-21,2020-03-21
5,2020-04-30,
6,2021-12-31,
7,2021-12-31,
8,2021-12-31,
""",
    "augmentations": "patient_id,date,level,technique\n2,2020-01-01,L4,vertebroplasty\n"
    + "".join(f"{k},2020-01-01,L1,{'vertebroplasty' if k < 6 else 'kyphoplasty'}\n" for k in range(1, 9)),
    "fractures": """patient_id,date,level,kind,symptomatic
1,2020-02-20,T12,new,yes
2,2020-04-10,L5,new,yes
3,2020-05-30,T12,new,no
6,2021-02-04,T12,new,yes
""",
}


def test_every_step_by_hand(registry_of, figures):
    """25 of 100 treated vertebrae with a painful fracture next to them in two years, after vertebroplasty.

    Main figure, patients to day 365: 1 of 8 on day 50; patient 4 dies, 7/8 x 1/7 of the whole; 1/8 on day 100; patient
    5 is lost; the 5/8 without event are 4 people, so day 150 adds 5/32. 1/8 + 1/8 + 5/32 = 13/32.
    Definition: day 150 was without pain. 1/8 + 1/8 = 1/4.
    Unit: nine treated vertebrae, broken beside two: 1/9, then (4's leaves with 1/9) 1/9. 2/9.
    Window: by day 730 also day 400: 6/9 are left without event in 5 vertebrae (5's is lost). 2/9 + 6/45 = 16/45.
    Censoring: counted are those broken beside (1, 2's L4, 6) or followed (2's L1, 3, 7, 8). 3/7.
    Case mix: of these after vertebroplasty 1, 2's two and 3. 2/4.
    Remains: from 1/2 to the published 1/4.
    """
    one = figures(relation="adjacent", tier="clinical", unit="treated_vertebra", window_days=730.0, percent=25.0,
                  numerator=25.0, arm="technique=vertebroplasty")  # fmt: skip
    found = like_for_like(registry_of(**EIGHT), one)
    steps = found.steps.set_index("step")
    assert steps["from_estimate"].iloc[0] == pytest.approx(13 / 32)
    by_hand = {"definition": 1 / 4, "unit": 2 / 9, "window": 16 / 45, "censoring": 3 / 7, "case_mix": 1 / 2,
               "remains": 1 / 4}  # fmt: skip
    assert steps["to_estimate"].to_dict() == pytest.approx(by_hand)
    factors = [8 / 13, 8 / 9, 8 / 5, 135 / 112, 7 / 6, 1 / 2]
    assert np.exp(steps["log_ratio"]).tolist() == pytest.approx(factors)
    assert np.prod(factors) == pytest.approx((1 / 4) / (13 / 32))
    assert steps["percent"].tolist() == pytest.approx([100 * (factor - 1) for factor in factors])
    assert (steps["note"] == "").all()
    row = found.figures.frame.iloc[0]
    assert (row["n_events"], row["n"], row["n_patients"]) == (2, 4, 3)
    assert (row["n_events_all"], row["n_all"]) == (3, 7)
    assert row["ratio"] == pytest.approx(2)


ANY_FIGURE = st.fixed_dictionaries(
    {
        "relation": st.sampled_from(("same", "adjacent", "remote", "any")),
        "tier": st.sampled_from(TIERS),
        "unit": st.sampled_from(UNITS),
        "window_kind": st.sampled_from(WINDOW_KINDS),
        "window_days": st.integers(1, 1000).map(float),
        "denominator_rule": st.sampled_from(("all_treated", "followed", "imaged", "selected", "unstated")),
        "basis": st.sampled_from(("crude", "survival")),
        "counts": st.sampled_from(("untreated", "all", "unstated")),
        "arm": st.sampled_from(("", "technique=kyphoplasty", "sex=female", "n_levels=2", "n_levels=4", "leak=none")),
        "numerator": st.integers(1, 100).map(float),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(ANY_FIGURE, min_size=1, max_size=8))
def test_whatever_the_figure_its_steps_add_up_and_none_is_silent(classified, figures, drawn):
    rows = [figures(**one, quantity=f"figure {k}", percent=one["numerator"]) for k, one in enumerate(drawn)]
    found = of_cohort(classified, pd.concat(rows, ignore_index=True))
    assert len(found.figures) + len(found.left_out) == len(drawn)
    published = found.figures.frame.set_index("quantity")["published"]
    for quantity, steps in found.steps.groupby("quantity", sort=False):
        assert steps["step"].tolist() == list(STEPS)
        main = steps["from_estimate"].iloc[0]
        # Each step begins at the last estimate above zero.
        last = steps["to_estimate"].where(steps["to_estimate"] > 0).ffill().fillna(main)
        assert steps["from_estimate"].iloc[1:].tolist() == pytest.approx(last.iloc[:-1].tolist())
        if main > 0:
            assert steps["log_ratio"].sum() == pytest.approx(np.log(published[quantity] / main))
        not_made = steps["log_ratio"].isna() | (steps["to_estimate"].isna() & steps["log_ratio"].eq(0))
        assert (steps.loc[not_made, "note"] != "").all()
        assert (steps["sentence"] != "").all()


@pytest.fixture(scope="module")
def classified(hand):
    return prepare(hand)


def test_an_arm_that_the_registry_does_not_record_is_no_step_and_says_why(hand, figures):
    steps = like_for_like(hand, figures(arm="cohort=training")).steps.set_index("step")
    assert steps.loc["case_mix", "log_ratio"] == 0
    assert steps.loc["case_mix", "note"] == "Nothing that makes the study's arm is recorded in the registry."


def test_steps_add_up_to_the_whole_gap(found, synthetic):
    own = incidence(synthetic, [MAIN_DAYS]).frame
    own = own[(own["curve"] == "per_relation") | (own["outcome"] == "any")].set_index("outcome")["estimate"]
    rows = found.figures.frame.set_index(["study_key", "quantity"])
    whole = 0
    for key, steps in found.steps.groupby(["study_key", "quantity"], sort=False):
        assert steps["step"].tolist() == list(STEPS)
        row = rows.loc[key]
        assert steps["from_estimate"].iloc[0] == pytest.approx(own[row["relation"]], abs=1e-12)
        gap = np.log(row["published"] / own[row["relation"]])
        assert steps["log_ratio"].sum() == pytest.approx(gap, abs=1e-9)
        whole += steps["log_ratio"].notna().all()
        made = steps[steps["log_ratio"].notna() & steps["note"].eq("")]
        assert np.allclose(np.exp(made["log_ratio"]), made["to_estimate"] / made["from_estimate"])
        assert np.allclose(made["percent"], 100 * (made["to_estimate"] / made["from_estimate"] - 1))
    assert whole > 70


def test_the_last_step_but_one_ends_at_the_like_for_like_estimate(found):
    mix = found.steps[found.steps["step"] == "case_mix"].set_index(["study_key", "quantity"])["to_estimate"]
    own = found.figures.frame.set_index(["study_key", "quantity"])["estimate"].reindex(mix.index)
    assert np.allclose(mix, own, equal_nan=True)


def test_a_share_of_fractures_has_no_steps(found):
    shares = found.figures.frame.query("unit == 'new_fracture'")
    assert len(shares) == 3
    keys = set(zip(found.steps["study_key"], found.steps["quantity"], strict=True))
    assert not keys & set(zip(shares["study_key"], shares["quantity"], strict=True))


def test_a_step_to_zero_has_no_size_and_the_rest_still_adds_up(hand, figures):
    steps = like_for_like(hand, figures(relation="remote", window_days=100.0)).steps.set_index("step")
    # C's fracture at day 200 is the only remote one: none by day 100.
    assert steps.loc["window", "to_estimate"] == 0
    assert np.isnan(steps.loc["window", "log_ratio"])
    assert "No event is left" in steps.loc["window", "note"]
    main = steps["from_estimate"].iloc[0]
    assert steps["log_ratio"].sum() == pytest.approx(np.log(0.2 / main))
    assert steps.loc["remains", "from_estimate"] == pytest.approx(main)


def test_a_step_that_cannot_be_made_is_zero_and_says_why(hand, figures):
    steps = like_for_like(hand, figures(window_days=3000.0, denominator_rule="all_treated")).steps.set_index("step")
    assert steps.loc["window", "log_ratio"] == 0
    assert "followed so long" in steps.loc["window", "note"]
    assert steps["log_ratio"].sum() == pytest.approx(np.log(0.2 / steps["from_estimate"].iloc[0]))


def test_no_main_figure_no_gap(hand):
    nothing = hand.tables["fractures"].iloc[:0]
    empty = type(hand).of({**hand.tables, "fractures": nothing}, StudyDefinition().with_("relation", implied=False))
    found = like_for_like(empty)
    frame = found.figures.frame
    assert len(frame) > 70
    told = frame[~frame["event"].eq("reaugmentation") & ~frame["tier"].eq("retreated")]
    assert (told["estimate"].isna() | told["estimate"].eq(0)).all()
    assert told["ratio"].isna().all()
    assert (told["note"] != "").all()
    assert (told.loc[told["n"] > 0, "conf_high"] > 0).all()
    assert found.steps["log_ratio"].isna().all()
    assert found.steps["note"].str.contains("zero or missing").all()
