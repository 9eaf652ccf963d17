"""Published figures counted alike: what is printed, what is hidden, and that nothing hidden can be worked out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cohort.present.disclosure import Disclosure
from cohort.present.figures import gap, literature
from cohort.present.tables import alike as tables
from cohort.present.tables.alike import STEP_NUMBERS, TOO_FEW, chosen_gaps, main_figures, shown
from cohort.tables.like_for_like import LikeForLike
from cohort.tables.results import Estimates

RULE = Disclosure(5)


def changed(found, study, **values):
    """The same with other values of one figure."""
    frame = found.figures.frame.copy()
    for name, value in values.items():
        frame.loc[frame["study_key"] == study, name] = value
    return replace(found, figures=Estimates(frame))


def hidden(found, withheld=frozenset(), rule=RULE):
    frame = shown(found, set(withheld), rule).figures.frame
    return frame.loc[frame["estimate"].isna(), "study_key"].tolist()


def test_nothing_small_nothing_hidden(alike):
    assert hidden(alike) == []
    assert shown(alike, set(), RULE).steps["log_ratio"].notna().all()


@pytest.mark.parametrize(
    ("study", "values"),
    [
        ("three", {"n_events": 3.0, "n_events_all": 3.0}),
        ("three", {"n_events": 997.0, "n_events_all": 997.0}),
        ("five", {"n_events": 4.0, "n": 4.0, "n_patients": 4.0}),
        ("six", {"n_patients": 3.0}),
    ],
    ids=["few events", "few without", "few patients", "vertebrae of few patients"],
)
def test_few_of_anything_are_hidden_with_all_that_rests_on_them(alike, study, values):
    found = shown(changed(alike, study, **values), set(), RULE)
    row = found.figures.frame.set_index("study_key").loc[study]
    for name in tables.REGISTRY_COLUMNS:
        assert np.isnan(row[name]), name
    assert row["published"] > 0
    assert row["note"] == TOO_FEW
    steps = found.steps[found.steps["study_key"] == study]
    assert steps[list(STEP_NUMBERS)].isna().all(axis=None)
    assert found.steps.loc[found.steps["study_key"] != study, "log_ratio"].notna().all()


def test_none_is_no_small_number(alike):
    assert hidden(changed(alike, "three", n_events=0.0, n_events_all=0.0, estimate=0.0)) == []


def test_inside_the_registry_everything_is_shown(alike):
    few = changed(alike, "three", n_events=3.0)
    assert hidden(few, {"any"}, Disclosure(5, internal=True)) == []


def test_an_outcome_that_is_withheld_does_not_come_back_under_another_definition(alike):
    assert hidden(alike, {"same"}) == ["one", "two"]


def test_an_arm_does_not_tell_of_the_other_by_the_total(alike):
    """Of 60 with the event 30 had one technique and 28 the other: that two had neither may not be told."""
    assert hidden(changed(alike, "two", n_events=28.0)) == ["two"]
    # Where one arm is small, the other goes with it: 60 less both leaves the same.
    assert hidden(changed(changed(alike, "two", n_events=3.0), "one", n_events=57.0)) == ["one", "two"]


def test_patients_of_neither_arm_are_not_told_either(alike):
    assert hidden(changed(changed(alike, "one", n=698.0), "two", n=300.0)) == ["two"]


def test_a_narrower_arm_does_not_tell_what_it_leaves_of_the_wider(alike):
    narrower = changed(alike, "two", arm="technique=vertebroplasty; n_levels=1", n_events=28.0, n=500.0)
    assert hidden(narrower) == ["two"]
    far = changed(alike, "two", arm="technique=vertebroplasty; n_levels=1", n_events=20.0, n=500.0)
    assert hidden(far) == []


def test_a_step_that_rests_on_few_hides_the_steps_and_not_the_figure(alike):
    steps = alike.steps.copy()
    steps.loc[(steps["study_key"] == "three") & (steps["step"] == "window"), "n_events"] = 2.0
    found = shown(replace(alike, steps=steps), set(), RULE)
    assert found.figures.frame["estimate"].notna().all()
    assert found.steps.loc[found.steps["study_key"] == "three", list(STEP_NUMBERS)].isna().all(axis=None)


def test_the_table_prints_both_and_the_ratio_and_marks_what_differs(alike):
    table = tables.figures(shown(alike, set(), RULE), RULE)
    first = [(cell.text, cell.interval) for cell in table.rows[1].cells]
    assert first == [
        ("a figure of one: One 2020 [1]", ""), ("1 y", ""), ("29 / 536", ""), ("5.4", "(3.8-7.0)"), ("30 / 600", ""),
        ("5.0", "(4.0-6.0)"), ("0.92", "(0.65-1.29)"),
    ]  # fmt: skip
    assert table.rows[0].cells[0].text == "Same level, by film"
    assert table.footnotes[0] == "[1] Whether all were followed is not stated."
    assert "worked" not in " ".join(table.footnotes)
    public = tables.figures(shown(changed(alike, "three", n_events=3.0), set(), RULE), RULE)
    assert any("count of 1 to 4" in note for note in public.footnotes)


def test_figures_of_subgroups_stand_in_the_csv_only(alike):
    some = changed(alike, "two", placed="no")
    table = tables.figures(some, RULE)
    assert sum(row.kind == "row" for row in table.rows) == 5
    assert len(table.data) == 6
    assert "In the CSV only: 1 " in table.footnotes[-1]


def test_a_public_csv_says_no_more_than_the_page(alike):
    data = tables.figures(alike, RULE).data
    assert data["estimate"].tolist() == [0.05, 0.067, 0.11, 0.08, 0.07, 0.18]
    inside = tables.figures(alike, Disclosure(5, internal=True)).data
    assert inside["estimate"].iloc[1] == 20 / 300
    assert data[["source", "confidence"]].notna().all(axis=None)


def test_the_gap_is_shown_of_the_largest_and_of_the_highest_same_level_figure(alike):
    assert [key for key, _ in chosen_gaps(alike)] == ["one", "two", "three", "five", "six"]
    table = tables.gaps(alike, RULE)
    cells = [cell.text for cell in table.rows[0].cells]
    assert cells[1:] == ["5.0", "1.50", "1.00", "0.80", "0.92", "0.91", "1.08", "5.4"]
    assert len(table.data) == 36


def test_a_relation_without_a_main_figure_shows_what_is_published_of_patients(alike):
    frame = alike.figures.frame.query("relation != 'remote'").assign(placed="yes")
    remote = frame.iloc[[0]].assign(study_key="far", relation="remote", placed="no")
    frame = pd.concat([frame, remote, remote.assign(study_key="levels", unit="untreated_vertebra")], ignore_index=True)
    assert "far" in set(main_figures(frame)["study_key"])
    assert "levels" not in set(main_figures(frame)["study_key"])
    placed = frame.assign(placed=["yes"] * (len(frame) - 1) + ["no"])
    assert "levels" not in set(main_figures(placed)["study_key"])


def test_a_page_holds_the_largest_studies_of_each_relation(alike):
    one = alike.figures.frame.iloc[[0]].assign(placed="yes")
    many = [one.assign(relation="same", study_key=f"s{k}", denominator=float(k)) for k in range(30)]
    few = [one.assign(relation="remote", study_key="r", denominator=5.0)]
    rows = literature.chosen(pd.concat([*many, *few], ignore_index=True))
    assert rows["relation"].value_counts().to_dict() == {"same": 23, "remote": 1}
    assert "s29" in set(rows["study_key"])
    assert "s6" not in set(rows["study_key"])


def test_a_gap_that_is_hidden_is_not_drawn(alike):
    found = shown(alike, {"same"}, RULE)
    assert [key for key, _ in chosen_gaps(found)] == ["three", "five", "six"]
    assert "one" not in gap.alt(found).lower().split()
    assert tables.gaps(shown(alike, {"same", "adjacent", "remote", "any"}, RULE), RULE) is None
    assert gap.draw(shown(alike, {"same", "adjacent", "remote", "any"}, RULE)) is None


def test_an_empty_comparison_makes_no_table():
    assert tables.figures(LikeForLike(), RULE) is None
    assert tables.gaps(LikeForLike(), RULE) is None
    assert shown(LikeForLike(), {"same"}, RULE).figures.frame.empty


def test_hidden_numbers_are_not_drawn_and_the_published_ones_stay(alike):
    frame = shown(alike, {"same"}, RULE).figures.frame
    words = [text.get_text() for axis in literature.draw(frame).axes for text in axis.texts]
    assert words.count("–") == 4
    assert "5.4" in words
    assert "this registry's too few to show" in literature.alt(frame)


def test_a_registry_without_the_event_still_has_its_upper_limit_drawn(alike):
    none = changed(alike, "three", estimate=0.0, conf_low=0.0, conf_high=0.004, ratio=np.nan)
    figure = literature.draw(none.figures.frame)
    low, high = figure.axes[1].get_xlim()
    assert np.isfinite([low, high]).all()
    assert low < 0.4
    assert high == 100


@pytest.mark.parametrize(
    ("kind", "days", "words"),
    [("fixed", 365, "1 y"), ("mean", 466, "~466 d"), ("minimum", 730, "≥2 y"), ("maximum", 730, "≤2 y"),
     ("none", np.nan, "not given")],
)  # fmt: skip
def test_a_window_is_told_with_what_kind_it_is(alike, kind, days, words):
    found = changed(alike, "one", window_kind=kind, window_days=days)
    assert tables.figures(found, RULE).rows[1].cells[1].text == words
