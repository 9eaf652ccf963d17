"""Published ratios beside the registry's own: what is printed and drawn, and that nothing hidden comes back."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.study import StudyDefinition
from cohort.literature.beside_effects import COLUMNS, STEP_WORDS, beside_effects
from cohort.present.disclosure import Disclosure
from cohort.present.figures import published_ratios as figure
from cohort.present.tables import published_ratios as tables
from cohort.present.tables.alike import TOO_FEW
from cohort.tables.compared import NO_ESTIMATE
from cohort.tables.results import Estimates

RULE = Disclosure(5)
INSIDE = Disclosure(5, internal=True)
EXPOSURES = ("cleft", "leak", "height_restoration", "t_score", "corticosteroids", "anti_osteoporotic")


def results(**values):
    """Every exposure of every relation, crude and adjusted; values change the cleft's ratios of the same level."""
    rows = []
    for exposure in EXPOSURES:
        for relation in ("same", "adjacent", "remote", "any"):
            for model in ("crude", "adjusted"):
                row = {
                    "exposure": exposure, "outcome": relation, "model": model, "estimate": 1.8123, "conf_low": 1.1234,
                    "conf_high": 2.9234, "n_events": 60.0, "n_patients": 900.0, "adjusted_for": "",
                }  # fmt: skip
                rows.append({**row, **values} if (exposure, relation) == ("cleft", "same") else row)
    return Estimates(pd.DataFrame(rows))


def compared(**values):
    ratios = results(**values)
    return beside_effects(ratios, ratios, StudyDefinition())


def cleft(frame):
    return frame[frame["registry_exposure"] == "cleft"].iloc[0]


def words(drawn):
    return [text.get_text() for axis in drawn.axes for text in axis.texts]


@pytest.mark.parametrize("values", [{"n_events": 3.0}, {"n_patients": 4.0}], ids=["few events", "few patients"])
def test_a_ratio_that_rests_on_few_is_hidden_with_all_that_would_give_it_away(values):
    row = cleft(tables.shown(compared(**values), RULE))
    assert row[list(tables.OWN)].isna().all()
    assert row["published"] == 2.97
    assert row["note"] == TOO_FEW
    assert row["compares"] == ""
    data = cleft(tables.ratios(tables.shown(compared(**values), RULE), RULE).data)
    assert pd.isna(data["ratio"])
    assert data["n_events"] == ""


def test_a_few_events_without_a_ratio_look_like_a_few_events_with_one():
    none = cleft(tables.shown(compared(n_events=3.0, estimate=np.nan, conf_low=np.nan, conf_high=np.nan), RULE))
    one = cleft(tables.shown(compared(n_events=3.0), RULE))
    pd.testing.assert_series_equal(none, one)
    assert NO_ESTIMATE not in none["differs"]


def test_none_is_no_small_number_and_inside_the_registry_everything_is_shown():
    assert cleft(tables.shown(compared(n_events=5.0), RULE))["ratio"] > 0
    assert cleft(tables.shown(compared(n_events=3.0), INSIDE))["ratio"] == pytest.approx(1.8123 / 2.97)


def test_the_table_prints_both_with_what_they_are_and_divides_like_by_like():
    table = tables.ratios(tables.shown(compared(), RULE), RULE)
    assert table.rows[0].cells[0].text == "Intravertebral cleft before treatment"
    cells = [(cell.text, cell.interval) for cell in table.rows[1].cells]
    name = "Preoperative intravertebral cleft, recollapse of cemented vertebra; OR, crude: Ma 2021, abstract [1"
    assert cells[0][0].startswith(name)
    assert cells[1:] == [
        ("2.97", "(1.93-4.57)"), ("same level, OR, crude", ""), ("60 / 900", ""), ("1.81", "(1.12-2.92)"),
        ("0.61", "(0.32-1.16)"), ("in part", ""),
    ]  # fmt: skip
    assert table.footnotes[0].startswith("[1] ")


def test_a_ratio_that_was_turned_round_says_what_it_then_is():
    table = tables.ratios(compared(), RULE)
    low = [row.cells[0].text for row in table.rows if row.cells[0].text.startswith("Low lumbar BMD")]
    assert "(turned round: 0.12)" in low[0]


def test_what_is_done_to_a_ratio_is_told_in_words():
    frame = pd.DataFrame(
        {"published": [2.0, 2.0, 2.0, 2.0], "taken": [2.0, 0.5, 1024.0, np.nan],
         "direction": ["as is", "inverted", "as is", "unstated"]}
    )  # fmt: skip
    assert [tables.turned(r) for r in frame.itertuples()] == ["", "turned round", "for the registry's step", ""]


def test_hidden_numbers_are_said_to_be_too_few_in_the_table():
    table = tables.ratios(tables.shown(compared(n_events=3.0), RULE), RULE)
    cells = [cell.text for cell in table.rows[1].cells]
    assert cells[3:] == ["–", "too few", "–", "–"]
    assert table.footnotes[-1].startswith("Too few: ")


def test_the_csv_holds_every_published_ratio_and_says_no_more_than_the_page():
    table = tables.ratios(tables.shown(compared(), RULE), RULE)
    data = table.data
    assert list(data.columns) == list(COLUMNS)
    assert len(data) == 88
    assert data[["source", "confidence"]].ne("").all(axis=None)
    assert set(data["estimate"].dropna()) == {1.81}
    assert set(data["conf_low"].dropna()) == {1.12}
    assert set(tables.ratios(compared(), INSIDE).data["estimate"].dropna()) == {1.8123}
    assert "In the CSV only: " in table.footnotes[-1]


def test_only_rows_with_a_ratio_of_the_registry_are_printed():
    frame = compared()
    table = tables.ratios(frame, RULE)
    printed = sum(row.kind == "row" for row in table.rows)
    assert printed == (frame["registry_measure"] != "").sum()
    names = [row.cells[0].text for row in table.rows if row.kind == "row"]
    assert all(", abstract" in name or ", source" in name for name in names)


def test_steps_of_numbers_are_in_the_titles():
    for exposure, step in STEP_WORDS.items():
        title = tables.TITLES[exposure]
        assert step in title or title.endswith("each"), exposure


def test_without_a_registry_there_is_no_table_and_no_figure():
    nothing = Estimates(pd.DataFrame())
    alone = beside_effects(nothing, nothing, StudyDefinition())
    for frame in (alone, pd.DataFrame()):
        assert tables.ratios(tables.shown(frame, RULE), RULE) is None
        assert figure.draw(frame) is None
        assert figure.alt(frame) == "Published ratios and this registry's own: none to set side by side."


def test_the_figure_is_legible(overlaps, cut, boxes):
    drawn = figure.draw(tables.shown(compared(), RULE))
    assert overlaps(drawn) == []
    assert cut(drawn) == []
    left = drawn.axes[1].get_window_extent().x0
    labels = {text.get_text() for text in drawn.axes[0].texts if text.get_gid() in ("label", "group")}
    assert all(box.x1 < left for text, box in boxes(drawn) if text in labels)


def test_a_hidden_ratio_is_not_drawn():
    assert "Intravertebral cleft before treatment" in words(figure.draw(tables.shown(compared(), RULE)))
    few = tables.shown(compared(n_events=3.0), RULE)
    assert "Intravertebral cleft before treatment" not in words(figure.draw(few))
    assert "cleft" not in figure.alt(few)


def test_ratios_of_groups_and_of_an_unknown_direction_are_not_drawn():
    rows = figure.chosen(compared())
    assert set(rows["contrast"]) <= {"yes_no", "per_unit"}
    assert set(rows["direction"]) <= {"as is", "inverted"}


def test_a_page_holds_some_of_every_exposure_and_first_those_that_can_be_divided():
    frame = compared()
    many = pd.concat([frame, *[frame[frame["registry_exposure"] == "anti_osteoporotic"]] * 4], ignore_index=True)
    rows = figure.chosen(many)
    assert len(rows) <= figure.MOST_ROWS
    assert {"cleft", "leak", "corticosteroids", "anti_osteoporotic"} <= set(rows["registry_exposure"])
    drugs = many[(many["registry_exposure"] == "anti_osteoporotic") & many["ratio"].notna()]
    assert drugs.index.isin(rows.index).sum() == min(
        len(drugs), (rows["registry_exposure"] == "anti_osteoporotic").sum()
    )


@pytest.mark.parametrize("limits", [(0.01, 90.0), (np.nan, np.nan), (0.0, np.inf)], ids=["wide", "none", "no ends"])
def test_very_uncertain_ratios_stay_on_the_axis(limits):
    drawn = figure.draw(compared(conf_low=limits[0], conf_high=limits[1]))
    low, high = drawn.axes[1].get_xlim()
    assert 0 < low < 1 < high < 100
    for line in drawn.axes[1].lines[1:]:
        assert (np.asarray(line.get_xdata(), dtype=float) >= low * 0.999).all()
        assert (np.asarray(line.get_xdata(), dtype=float) <= high * 1.001).all()
