"""Published figures counted alike in a registry counted by hand; which figures are, and which are left out and why."""

import numpy as np
import pandas as pd
import pytest

import cohort
from cohort.domain.errors import DefinitionError
from cohort.literature import facts
from cohort.pipeline.like_for_like import like_for_like, of_cohort
from cohort.tables.like_for_like import FIGURE_COLUMNS, LEFT_OUT_COLUMNS, STEP_COLUMNS


@pytest.fixture
def count(hand, figures):
    """The registry's count for one figure."""

    def of(**changed):
        row = like_for_like(hand, figures(**changed)).figures.frame.iloc[0]
        return int(row["n_events"]), int(row["n"])

    return of


CASES = [
    # Within a year A, B, C and G broke; D died, E was lost.
    ("followed to the year or broken before", {}, (4, 6)),
    ("all treated: death and loss are no event", {"denominator_rule": "all_treated"}, (4, 8)),
    ("all enrolled are all treated here", {"denominator_rule": "all_enrolled"}, (4, 8)),
    ("not stated is taken as followed", {"denominator_rule": "unstated"}, (4, 6)),
    ("imaged: F was, H was not; who broke counts", {"denominator_rule": "imaged"}, (4, 5)),
    ("a mean is a window for everybody", {"window_kind": "mean", "window_days": 150.0}, (2, 8)),
    ("a maximum is a window for everybody", {"window_kind": "maximum", "window_days": 730.0}, (5, 8)),
    ("a minimum asks for follow-up, also of the broken", {"window_kind": "minimum"}, (4, 6)),
    ("no window is all follow-up", {"window_kind": "none", "window_days": np.nan}, (5, 8)),
    ("the day of the window counts", {"window_days": 100.0, "denominator_rule": "all_treated"}, (2, 8)),
    ("the day before does not", {"window_days": 99.0, "denominator_rule": "all_treated"}, (1, 8)),
    ("same level", {"relation": "same"}, (1, 6)),
    ("adjacent", {"relation": "adjacent"}, (2, 6)),
    ("remote", {"relation": "remote"}, (1, 6)),
    ("symptomatic: G felt nothing", {"relation": "adjacent", "tier": "clinical"}, (1, 6)),
    ("any of the untreated only", {"counts": "untreated"}, (3, 6)),
    ("treated again at the level", {"relation": "same", "tier": "retreated", "window_days": 730.0}, (1, 6)),
    ("treated again at any level, a curve",
     {"event": "reaugmentation", "tier": "retreated", "basis": "survival", "window_days": 730.0}, (1, 8)),
    ("an arm by technique", {"arm": "technique=kyphoplasty"}, (1, 2)),
    ("an arm by sex and technique", {"arm": "technique=vertebroplasty; sex=female"}, (2, 2)),
    ("an arm by age", {"arm": "age=50 or more"}, (4, 5)),
    ("an arm by levels", {"arm": "n_levels=2"}, (1, 1)),
    ("what is not recorded is not restricted", {"arm": "cement_pattern=solid"}, (4, 6)),
    ("no part of a registry", {"arm": "cohort=training"}, (4, 6)),
    ("treated vertebrae: A has two, H's first ends at its second",
     {"relation": "same", "unit": "treated_vertebra", "denominator_rule": "all_treated"}, (1, 10)),
    ("adjacent vertebrae: two each, A's are T12 and L3",
     {"relation": "adjacent", "unit": "adjacent_vertebra", "denominator_rule": "all_treated"}, (2, 16)),
    ("augmented vertebrae with a fracture next to them", {"relation": "adjacent", "unit": "treated_vertebra"}, (2, 7)),
    ("procedures: H has two", {"unit": "procedure", "denominator_rule": "all_treated"}, (4, 9)),
    ("adjacent among the new fractures",
     {"kind": "share_of_cases", "unit": "new_fracture", "relation": "adjacent", "window_kind": "none",
      "window_days": np.nan, "basis": "cases"}, (2, 3)),
    ("new fractures in the first hundred days",
     {"kind": "share_of_cases", "unit": "new_fracture", "window_days": 100.0, "basis": "cases"}, (1, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_unit_and_way_of_counting_as_by_hand(count, changed, expected):
    assert count(**changed) == expected


def test_distances_are_those_in_the_words_of_the_quantity(hand):
    two_away = facts().query("study_key == 'dir2024' and quantity == 'untreated vertebrae fractured, 2 segments away'")
    row = like_for_like(hand, two_away).figures.frame.iloc[0]
    # Nobody broke exactly two levels away; B and C had a new fracture with pain, with T11 and L3 two levels away each.
    assert (row["n_events"], row["n"]) == (0, 4)
    within_five = facts()[lambda f: f["study_key"].eq("kimsh2004") & f["kind"].eq("proportion")]
    row = like_for_like(hand, within_five.assign(arm="")).figures.frame.iloc[0]
    # L1: T8-T12 and L2-L5, nine each; A has L1 and L2: T8-T12, L3-L5. T8 lies five levels above.
    assert (row["n_events"], row["n"]) == (3, 7 * 9 + 8)


def test_patients_have_the_exact_interval_and_vertebrae_one_over_patients(hand, figures):
    patients = like_for_like(hand, figures()).figures.frame.iloc[0]
    exact = cohort.proportion(4, 6, method="exact").frame.iloc[0]
    assert (patients["conf_low"], patients["conf_high"]) == pytest.approx((exact["conf_low"], exact["conf_high"]))
    vertebrae = like_for_like(
        hand, figures(relation="adjacent", unit="adjacent_vertebra", denominator_rule="all_treated")
    ).figures.frame.iloc[0]
    assert vertebrae["n_patients"] == 8
    assert vertebrae["conf_low"] < 2 / 16 < vertebrae["conf_high"]


def test_a_ratio_adds_the_two_variances_on_the_log_scale(hand, figures):
    row = like_for_like(hand, figures()).figures.frame.iloc[0]
    reach = 1.959964 * np.sqrt((1 - 4 / 6) / 4 + 0.8 / 20)
    assert row["ratio"] == pytest.approx(4 / 6 / 0.2)
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx(
        tuple(row["ratio"] * np.exp(sign * reach) for sign in (-1, 1)), rel=1e-5
    )
    assert (row["published_low"], row["published_high"]) == pytest.approx((0.126656, 0.291843), abs=1e-5)


def test_blanks_stay_blank(hand, figures):
    row = like_for_like(hand, figures(numerator=np.nan, denominator=np.nan)).figures.frame.iloc[0]
    assert row[["numerator", "denominator", "published_low", "published_high"]].isna().all()
    assert row["ratio"] == pytest.approx(4 / 6 / 0.2)
    assert row[["ratio_low", "ratio_high"]].isna().all()
    assert "No number is printed" in row["note"]
    # With the denominator the printed per cent has a variance, though no exact interval.
    row = like_for_like(hand, figures(numerator=np.nan)).figures.frame.iloc[0]
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert np.isnan(row["published_low"])
    printed = like_for_like(hand, figures(numerator=np.nan, ci_low=12.0, ci_high=30.0)).figures.frame.iloc[0]
    assert (printed["published_low"], printed["published_high"]) == (0.12, 0.30)
    assert "printed one" in printed["note"]


def test_nobody_of_an_arm_gives_no_number_and_says_so(hand, figures):
    found = like_for_like(hand, figures(arm="n_levels=5"))
    row = found.figures.frame.iloc[0]
    assert row["n"] == 0
    assert row[["estimate", "ratio"]].isna().all()
    assert "Nobody in the registry" in row["note"]
    step = found.steps.set_index("step").loc["case_mix"]
    assert (step["log_ratio"], step["note"]) == (0, "Nobody of the arm is counted in the registry.")


def test_what_still_differs_is_told(hand, figures):
    told = like_for_like(hand, figures(relation="same", tier="radiographic", arm="cement_pattern=solid; drug=placebo"))
    words = told.figures.frame["differs"].iloc[0]
    for part in ("loss of 15 %", "Films by plan", "Not restricted", "cement pattern solid", "not by allocation"):
        assert part in words
    assert "not stated" not in words
    open_ended = like_for_like(hand, figures(window_kind="none", window_days=np.nan)).figures.frame["differs"].iloc[0]
    assert "No window is given" in open_ended


# Which figures


def test_every_published_figure_is_counted_or_left_out_with_a_reason(found):
    assert len(found.figures) + len(found.left_out) == len(facts())
    assert len(found.figures) >= 80
    assert (found.left_out["reason"] != "").all()
    assert list(found.figures.frame.columns) == list(FIGURE_COLUMNS)
    assert list(found.steps.columns) == list(STEP_COLUMNS)
    assert list(found.left_out.columns) == list(LEFT_OUT_COLUMNS)


def test_no_figure_without_source_and_confidence(found):
    for frame in (found.figures.frame, found.steps, found.left_out):
        assert (frame["source"] != "").all()
        assert (frame["confidence"] != "").all()
        assert frame[["source", "confidence"]].notna().all(axis=None)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"arm": "not augmented"}, "of patients who were not augmented"),
        ({"arm": "augmented or not"}, "not only of patients who were augmented"),
        ({"event": "leak", "relation": "none"}, "no refracture: leak"),
        ({"kind": "pooled"}, "put together from several studies with other definitions and follow-up"),
        ({"kind": "count"}, "a count without a denominator"),
        ({"kind": "share_of_cases", "unit": "case"}, "a share of those with the event, no share of those at risk"),
        ({"percent": np.nan}, "no per cent is printed or can be had from what is"),
        ({"arm": "refractured=adjacent"}, "its follow-up begins with the treatment of a refracture, which is no first "
         "procedure"),
        ({"basis": "survival", "unit": "untreated_vertebra"}, "a survival curve of something else than patients"),
        ({"tier": "retreated", "unit": "treated_vertebra"}, "treated again, counted by something else than patients or "
         "procedures"),
        ({"unit": "leak"}, "counted by leak, which the registry has no count of"),
    ],
)  # fmt: skip
def test_why_a_figure_is_left_out(hand, changed, reason, figures):
    found = like_for_like(hand, figures(**changed))
    assert found.figures.frame.empty
    assert found.left_out["reason"].tolist() == [reason]


def test_figures_without_a_definition_are_refused(hand):
    with pytest.raises(DefinitionError, match="lack the column 'tier'"):
        like_for_like(hand, facts().drop(columns="tier"))


def test_a_published_threshold_goes_by_film(found, synthetic):
    row = found.figures.frame.set_index("study_key").loc["lin2008"]
    by_film = cohort.by_definition(synthetic.registry).set_index("definition").loc["lin2008"]
    assert row["measure"].startswith("share of the vertebrae treated first that the definition can be told of")
    assert 0 < row["n_events"] <= row["n"] < by_film["n"]
    steps = found.steps[found.steps["study_key"] == "lin2008"].set_index("step")
    assert (steps.loc[["unit", "window", "censoring"], "log_ratio"] == 0).all()
    assert steps.loc[["unit", "window", "censoring"], "note"].str.contains("together with the definition").all()


def test_counts_of_an_arm_are_part_of_those_of_everybody(found):
    frame = found.figures.frame
    assert (frame["n_events"] <= frame["n_events_all"]).all()
    assert (frame["n"] <= frame["n_all"]).all()
    one_text = frame.groupby("counted_as")[["n_events_all", "n_all"]].nunique()
    assert (one_text == 1).all(axis=None)


def test_order_of_the_patients_changes_nothing(synthetic):
    few = facts().query("study_key in ('hiwatashi2009', 'zhangzj_pvp_pkp', 'china_claims2020', 'kimsh2004')")
    once = of_cohort(synthetic, few)
    registry = synthetic.registry
    shuffled = {name: frame.sample(frac=1, random_state=3).reset_index(drop=True) for name, frame in
                registry.tables.items()}  # fmt: skip
    again = like_for_like(type(registry).of(shuffled, registry.study), few)
    pd.testing.assert_frame_equal(once.figures.frame, again.figures.frame)
    pd.testing.assert_frame_equal(once.steps, again.steps)
