"""Published figures counted alike: on a registry counted by hand, and on registries that are the studies themselves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cohort
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.literature import facts, reconstruct, reconstructed_studies
from cohort.pipeline import prepare
from cohort.pipeline.like_for_like import like_for_like, of_cohort
from cohort.pipeline.like_for_like_steps import MAIN_DAYS
from cohort.pipeline.occurrence import incidence
from cohort.pipeline.reproduce import registry_of
from cohort.tables.like_for_like import FIGURE_COLUMNS, LEFT_OUT_COLUMNS, STEP_COLUMNS, STEPS

# All treated on 2020-01-01 (day 0). A: L1 broke again on day 100, L2 treated too; B: T12, next to L1, on day 50; C: T8,
# far away, on day 200; D: died on day 60; E: lost on day 90; F and G: followed for two years, nothing; G: T12 without
# pain on day 300; H: L1 treated again on day 400.
PATIENTS = """patient_id,sex,follow_up_end,death_date,age_at_index
A,female,2021-12-31,,70
B,female,2021-12-31,,71
C,male,2021-12-31,,72
D,male,2020-03-01,2020-03-01,73
E,female,2020-03-31,,74
F,female,2021-12-31,,75
G,female,2021-12-31,,76
H,male,2021-12-31,,45
"""
AUGMENTATIONS = """patient_id,date,level,technique,indication
A,2020-01-01,L1,vertebroplasty,fracture
A,2020-01-01,L2,vertebroplasty,fracture
B,2020-01-01,L1,vertebroplasty,fracture
C,2020-01-01,L1,vertebroplasty,fracture
D,2020-01-01,L1,kyphoplasty,fracture
E,2020-01-01,L1,kyphoplasty,fracture
F,2020-01-01,L1,kyphoplasty,fracture
G,2020-01-01,L1,kyphoplasty,fracture
H,2020-01-01,L1,,fracture
H,2021-02-04,L1,,fracture
"""
FRACTURES = """patient_id,date,level,kind,symptomatic,last_clear_date
A,2020-04-10,L1,progression,yes,2020-02-01
B,2020-02-20,T12,new,yes,2020-01-10
C,2020-07-19,T8,new,yes,2020-01-10
G,2020-10-27,T12,new,no,2020-01-10
H,2021-02-04,L1,progression,yes,2020-06-01
"""
IMAGING = "patient_id,date,level\nA,2020-06-01,L1\nB,2020-06-01,L1\nF,2020-06-01,L1\n"

PUBLISHED = {
    "study_key": "hand", "quantity": "hand", "citation": "Hand A et al. 2020", "year": 2020.0, "population": "",
    "numerator": 20.0, "denominator": 100.0, "percent": 20.0, "ci_low": np.nan, "ci_high": np.nan, "kind": "proportion",
    "event": "fracture", "relation": "any", "tier": "unstated", "unit": "patient", "window_kind": "fixed",
    "window_days": 365.0, "counting": "first_event_per_unit", "denominator_rule": "followed", "basis": "crude",
    "counts": "", "arm": "", "printed": "", "derived": "", "placed": "yes", "remark": "", "source": "by hand",
    "confidence": "certain",
}  # fmt: skip


def figures(**changed):
    """One published figure, 20 of 100 by one year unless told otherwise."""
    return pd.DataFrame([PUBLISHED | changed])


@pytest.fixture(scope="module")
def hand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hand")
    for name, text in (
        ("patients", PATIENTS), ("augmentations", AUGMENTATIONS), ("fractures", FRACTURES), ("imaging", IMAGING),
    ):  # fmt: skip
        (folder / f"{name}.csv").write_text(text)
    return cohort.read(folder)


@pytest.fixture
def count(hand):
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
    # Nobody broke exactly two levels away; B, C and G had a new fracture, with T11 and L3 two levels away each.
    assert (row["n_events"], row["n"]) == (0, 6)
    within_five = facts()[lambda f: f["study_key"].eq("kimsh2004") & f["kind"].eq("proportion")]
    row = like_for_like(hand, within_five.assign(arm="")).figures.frame.iloc[0]
    # L1: T8-T12 and L2-L5, nine each; A has L1 and L2: T8-T12, L3-L5. T8 lies five levels above.
    assert (row["n_events"], row["n"]) == (3, 7 * 9 + 8)


def test_patients_have_the_exact_interval_and_vertebrae_one_over_patients(hand):
    patients = like_for_like(hand, figures()).figures.frame.iloc[0]
    exact = cohort.proportion(4, 6, method="exact").frame.iloc[0]
    assert (patients["conf_low"], patients["conf_high"]) == pytest.approx((exact["conf_low"], exact["conf_high"]))
    vertebrae = like_for_like(
        hand, figures(relation="adjacent", unit="adjacent_vertebra", denominator_rule="all_treated")
    ).figures.frame.iloc[0]
    assert vertebrae["n_patients"] == 8
    assert vertebrae["conf_low"] < 2 / 16 < vertebrae["conf_high"]


def test_a_ratio_adds_the_two_variances_on_the_log_scale(hand):
    row = like_for_like(hand, figures()).figures.frame.iloc[0]
    reach = 1.959964 * np.sqrt((1 - 4 / 6) / 4 + 0.8 / 20)
    assert row["ratio"] == pytest.approx(4 / 6 / 0.2)
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx(
        tuple(row["ratio"] * np.exp(sign * reach) for sign in (-1, 1)), rel=1e-5
    )
    assert (row["published_low"], row["published_high"]) == pytest.approx((0.126656, 0.291843), abs=1e-5)


def test_blanks_stay_blank(hand):
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


def test_nobody_of_an_arm_gives_no_number_and_says_so(hand):
    found = like_for_like(hand, figures(arm="n_levels=5"))
    row = found.figures.frame.iloc[0]
    assert row["n"] == 0
    assert row[["estimate", "ratio"]].isna().all()
    assert "Nobody in the registry" in row["note"]
    step = found.steps.set_index("step").loc["case_mix"]
    assert (step["log_ratio"], step["note"]) == (0, "Nobody of the arm is counted in the registry.")


def test_what_still_differs_is_told(hand):
    told = like_for_like(hand, figures(relation="same", tier="radiographic", arm="cement_pattern=solid; drug=placebo"))
    words = told.figures.frame["differs"].iloc[0]
    for part in ("loss of 15 %", "Films by plan", "Not restricted", "cement pattern solid", "not by allocation"):
        assert part in words
    assert "not stated" not in words
    open_ended = like_for_like(hand, figures(window_kind="none", window_days=np.nan)).figures.frame["differs"].iloc[0]
    assert "No window is given" in open_ended


# The gap


@pytest.fixture(scope="module")
def synthetic():
    return prepare(cohort.read(Path(__file__).parents[3] / "data" / "synthetic"))


@pytest.fixture(scope="module")
def found(synthetic):
    return of_cohort(synthetic)


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


def test_a_step_to_zero_has_no_size_and_the_rest_still_adds_up(hand):
    steps = like_for_like(hand, figures(relation="remote", window_days=100.0)).steps.set_index("step")
    # C's fracture at day 200 is the only remote one: none by day 100.
    assert steps.loc["window", "to_estimate"] == 0
    assert np.isnan(steps.loc["window", "log_ratio"])
    assert "No event is left" in steps.loc["window", "note"]
    main = steps["from_estimate"].iloc[0]
    assert steps["log_ratio"].sum() == pytest.approx(np.log(0.2 / main))
    assert steps.loc["remains", "from_estimate"] == pytest.approx(main)


def test_a_step_that_cannot_be_made_is_zero_and_says_why(hand):
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
def test_why_a_figure_is_left_out(hand, changed, reason):
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


# The studies themselves


@pytest.fixture(scope="module")
def own_figures():
    """Every reconstruction put through: a study counted as it counted is itself."""
    known, parts = facts(), []
    for study in reconstructed_studies():
        made = reconstruct(study)
        keys = set(zip(made.figures["study_key"], made.figures["quantity"], strict=True))
        mine = known[[key in keys for key in zip(known["study_key"], known["quantity"], strict=True)]]
        if len(mine):
            parts.append(like_for_like(registry_of(made), mine).figures.frame.assign(study=study))
    return pd.concat(parts, ignore_index=True)


def test_a_reconstructed_study_returns_its_own_figures(own_figures):
    exact = own_figures[own_figures["numerator"].notna() & own_figures["denominator"].notna()]
    alike = np.isclose(exact["ratio"], 1)
    # An arm that a reconstruction marks by a column of its own has no counterpart in a registry.
    assert alike.sum() >= 60
    assert exact.loc[~alike, "study"].isin(["nomo403_2021", "komemushi2006", "bmc2016_adjcollapse", "hu2020zol"]).all()
    assert {"patient", "treated_vertebra", "untreated_vertebra", "new_fracture"} <= set(exact.loc[alike, "unit"])
    rounded = own_figures[own_figures["numerator"].isna() | own_figures["denominator"].isna()]
    assert (abs(100 * rounded["estimate"] - rounded["percent"]) <= 0.5).all()
