"""What a published figure could be made to say wrongly in a registry, and does not."""

import numpy as np
import pandas as pd
import pytest

from cohort import atrisk
from cohort.literature import facts
from cohort.pipeline.like_for_like import like_for_like
from cohort.pipeline.like_for_like_units import clustered_share


def test_patients_all_alike_or_one_alone_are_not_taken_as_certain():
    # Two vertebrae each, one broken in each of eight: no spread between patients, so eight units of one half.
    alike = clustered_share(np.tile([True, False], 8), np.repeat(np.arange(8.0), 2), 0.95)
    assert alike.std_error == pytest.approx(np.sqrt(0.25 / 8))
    alone = clustered_share(np.array([True, True, False, False, False]), np.zeros(5), 0.95)
    assert alone.std_error == pytest.approx(np.sqrt(0.4 * 0.6))
    assert alone.conf_low < 0.01 < 0.99 < alone.conf_high


def test_no_event_in_vertebrae_is_no_event_in_so_many_patients():
    none = clustered_share(np.zeros(16, dtype=bool), np.repeat(np.arange(8.0), 2), 0.95)
    assert none.conf_high == pytest.approx(1 - 0.025 ** (1 / 8))


def test_where_every_unit_has_the_event_the_ratio_has_no_interval_and_says_so(hand, figures):
    all_published = like_for_like(hand, figures(numerator=100.0, percent=100.0)).figures.frame.iloc[0]
    all_here = like_for_like(hand, figures(arm="n_levels=2")).figures.frame.iloc[0]
    for row in (all_published, all_here):
        assert row["ratio"] > 0
        assert row[["ratio_low", "ratio_high"]].isna().all()
        assert "so the ratio has no interval" in row["note"]


def test_nothing_published_has_no_ratio_and_says_so(hand, figures):
    row = like_for_like(hand, figures(numerator=0.0, percent=0.0)).figures.frame.iloc[0]
    assert np.isnan(row["ratio"])
    assert "there is no ratio" in row["note"]
    assert row["published_high"] > 0


def test_a_vertebra_two_levels_away_counts_though_a_later_treatment_comes_nearer(registry_of):
    """L1 treated; T11, two away, broke on day 50; T12, treated on day 100, has made T11 a neighbour since.

    At risk two levels away: T11 and L3 from the start, T10 from day 100 on. Whether a treatment will come nearer is not
    known at the start, so T11 stays in, with its fracture.
    """
    registry = registry_of(
        patients="patient_id,follow_up_end\nA,2021-12-31\n",
        augmentations="patient_id,date,level\nA,2020-01-01,L1\nA,2020-04-10,T12\n",
        fractures="patient_id,date,level,kind,symptomatic\nA,2020-02-20,T11,new,yes\nA,2020-04-09,T12,new,yes\n",
    )
    two_away = facts().query("study_key == 'dir2024' and quantity == 'untreated vertebrae fractured, 2 segments away'")
    row = like_for_like(registry, two_away).figures.frame.iloc[0]
    assert (row["n_events"], row["n"]) == (1, 3)


def test_a_fracture_after_cement_of_unknown_date_came_on_no_known_day(registry_of, figures):
    registry = registry_of(
        patients="patient_id,follow_up_end,enrolled_on\nA,2021-12-31,2020-01-01\nB,2021-12-31,\n",
        augmentations="patient_id,date,date_precision,level\nA,,before_index,L1\nB,2020-01-01,day,L1\n",
        fractures="patient_id,date,level,kind\nA,2020-02-20,T12,new\nB,2020-02-20,T12,new\n",
    )
    of_fractures = {"kind": "share_of_cases", "unit": "new_fracture", "basis": "cases"}
    by_day = like_for_like(registry, figures(**of_fractures, window_days=100.0)).figures.frame.iloc[0]
    assert (by_day["n_events"], by_day["n"]) == (1, 1)
    by_place = figures(**of_fractures, relation="adjacent", window_kind="none", window_days=np.nan)
    row = like_for_like(registry, by_place).figures.frame.iloc[0]
    assert (row["n_events"], row["n"]) == (2, 2)


def test_one_and_several_fractures_are_together_everybody_of_whom_it_is_known(found, synthetic):
    rows = found.figures.frame[found.figures.frame["study_key"] == "liu_ds2021"].set_index("quantity")
    several, one = (
        rows.loc["refracture, multiple vertebral fractures"],
        rows.loc["refracture, single vertebral fracture"],
    )
    known = synthetic.tables["patients"].loc[lambda f: f["prior_fractures"].notna(), "patient_id"]
    units = synthetic.first_events("composite").frame
    in_arm = atrisk.baseline(synthetic.tables, synthetic.augmentations, synthetic.study)["technique"]
    ids = synthetic.tables["patients"].loc[in_arm.eq("vertebroplasty").to_numpy(), "patient_id"]
    counted = units[units["entry"].eq(0) & units["patient_id"].isin(known) & units["patient_id"].isin(ids)]
    assert several["n"] + one["n"] == len(counted)
    assert "two levels treated" in several["differs"]


def test_the_arm_without_a_drug_is_without_that_drug(found, synthetic):
    rows = found.figures.frame.set_index("quantity")
    with_it, without = (rows.loc[f"new vertebral fracture, {arm} arm"] for arm in ("zoledronate", "control"))
    with_it = with_it[with_it["study_key"] == "hu2020zol"].iloc[0]
    everybody = rows[(rows["study_key"] == "liu_ds2021") & rows["arm"].eq("technique=vertebroplasty")].iloc[0]
    assert with_it["n"] + without["n"] == everybody["n"]


WHO_IS_COUNTED = [
    (
        "unstated",
        "mean",
        "It is not stated whether everybody treated or only those followed are counted; here everybody",
    ),
    ("followed", "mean", "The study counts only those followed, and not until which day; here everybody treated"),
    ("imaged", "maximum", "The study counts only those imaged, and not until which day; here everybody treated"),
    ("selected", "none", "The study counts a selection of those treated; here everybody treated"),
    ("all_treated", "mean", "counts as without the event in both"),
    ("all_treated", "fixed", "counts as without the event in both"),
    ("selected", "fixed", "here those followed to the window or broken before"),
    ("imaged", "minimum", "with a film or without"),
]


@pytest.mark.parametrize(("rule", "window", "words"), WHO_IS_COUNTED)
def test_who_is_counted_here_and_there_is_said_as_it_is(hand, figures, rule, window, words):
    row = like_for_like(hand, figures(denominator_rule=rule, window_kind=window)).figures.frame.iloc[0]
    assert words in row["differs"]
    assert ("in both" in row["differs"]) == (rule == "all_treated")


def test_every_figure_says_what_still_differs(found):
    assert (found.figures.frame["differs"] != "").all()


def test_who_came_late_is_left_out_of_shares_and_that_is_said(found, hand, figures):
    curve = found.figures.frame["basis"] == "survival"
    crude = ~curve & (found.figures.frame["unit"] == "patient") & (found.figures.frame["study_key"] != "lin2008")
    late = found.figures.frame["differs"].str.contains("came under observation after treatment")
    assert late[crude].all()
    assert not late[curve].any()
    assert "after treatment" not in like_for_like(hand, figures()).figures.frame["differs"].iloc[0]


def test_a_distance_in_the_words_is_not_taken_for_the_reach_of_the_study(hand, figures):
    registry = type(hand).of(hand.tables, hand.study.with_("relation", reach=5))
    kim = facts()[lambda f: f["study_key"].eq("kimsh2004") & f["kind"].eq("proportion")]
    plain = kim.assign(quantity="untreated vertebrae, however far")
    rows = like_for_like(registry, pd.concat([kim, plain]).assign(arm="")).figures.frame
    assert rows["counted_as"].nunique() == 2
    assert rows["n"].iloc[0] < rows["n"].iloc[1]
