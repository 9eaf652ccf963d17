"""Figures: nothing overlaps, nothing is cut, nothing small is drawn, and the same frame gives the same bytes."""

import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cohort.present import theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures import flow, forest, gap, incidence, literature, mechanisms, sensitivity, spine
from cohort.tables.like_for_like import LikeForLike
from cohort.tables.results import Estimates

RULE = Disclosure(5)


def smallest_text(figure):
    return min(t.get_fontsize() for ax in figure.axes for t in ax.texts)


@pytest.fixture
def every_figure(rates, models, curves, at_risk, alike):
    patients = pd.DataFrame(
        {
            "step": [1, 2, 3],
            "label": ["Patients accepted", "A long criterion that wraps over two lines " * 2, "Main"],
            "n_patients": [900, 860, 800],
            "n_vertebrae": [1400, 1300, 1200],
            "n_sightings": [300, 290, 280],
            "excluded_patients": [0, 40, 60],
            "reason": ["", "a reason that is long enough to wrap " * 3, "short"],
        }
    )
    sightings = pd.DataFrame(
        {"reason": "counted", "relation": ["same", "adjacent", "remote"], "n_sightings": [30, 90, 60], "n_patients": 9}
    )
    mechanism = pd.DataFrame(
        {
            "mechanism": ["endplate_unfilled", "fracture_missed", "unexplained"],
            "label": "",
            "n_events": [12, 3, 9],
            "n_patients": [12, 3, 9],
            "n_total": 30,
        }
    )
    variants = pd.DataFrame(
        [
            (v, label, g, v == "main", o, 365, 800, 40, 0.05, 0.04, 0.06)
            for v, label, g in (
                ("main", "Main analysis", "main"),
                ("x", "A long label of one variant of all " * 2, "staged"),
            )
            for o in ("same", "adjacent", "remote")
        ],
        columns=[
            "variant",
            "label",
            "group",
            "is_main",
            "outcome",
            "time",
            "n_patients",
            "n_events",
            "estimate",
            "conf_low",
            "conf_high",
        ],
    )
    long = {
        "quantity": alike.figures.frame["quantity"] + " new fracture" * 8,
        "citation": "A long title of a study " * 4,
    }
    alike = LikeForLike(
        Estimates(alike.figures.frame.assign(**long)),
        alike.steps.assign(quantity=alike.steps["quantity"] + " new fracture" * 8),
    )
    return {
        "spine": spine.draw(rates, RULE),
        "apart": incidence.draw_apart(curves, at_risk, RULE),
        "stacked": incidence.draw_stacked(curves, at_risk, RULE),
        "forest": forest.draw(models, "same", RULE),
        "flow": flow.draw(patients, sightings, RULE),
        "mechanisms": mechanisms.draw(mechanism, RULE),
        "sensitivity": sensitivity.draw(variants, RULE),
        "literature": literature.draw(alike.figures.frame),
        "gap": gap.draw(alike),
    }


def test_no_words_overlap_and_none_are_cut(every_figure, overlaps, cut):
    for name, figure in every_figure.items():
        assert figure is not None, name
        assert overlaps(figure) == [], name
        assert cut(figure) == [], name


def test_text_is_never_smaller_than_eight_points_in_print(every_figure):
    assert min(smallest_text(figure) for figure in every_figure.values()) >= 8
    assert {float(figure.get_size_inches()[0]) for figure in every_figure.values()} == {7.2}


def test_the_spine_keeps_apart_when_counts_are_long(rates, overlaps):
    rates["person_years"] = np.where(rates["level"] == "", 999_999.0, 9_999.0)
    rates["n_events"] = np.where(rates["level"] == "", 9_999, 999)
    figure = spine.draw(rates, RULE)
    assert overlaps(figure) == []


def test_the_spine_shows_a_sixth_lumbar_vertebra_only_where_somebody_has_one(rates):
    assert "L6" not in spine.levels_shown(rates)
    more = pd.concat([rates, rates[rates["level"] == "L5"].assign(level="L6")], ignore_index=True)
    assert spine.levels_shown(more)[-3:] == ["L5", "L6", "S1"]


def test_labels_at_the_ends_of_close_curves_are_spread():
    places = theme.spread([5.0, 5.1, 5.2, 9.0], 1.0, 0.0, 10.0)
    assert np.diff(sorted(places)).min() >= 1.0 - 1e-9
    assert max(theme.spread([9.9, 9.95, 10.0], 1.0, 0.0, 10.0)) <= 10.0


def test_a_curve_ends_where_fewer_than_ten_remain(curves):
    steps = incidence.steps(curves, "per_relation", "adjacent")
    assert steps is not None
    assert steps.cut == pytest.approx(600 / (365.25 / 12))
    assert steps.month[-1] == pytest.approx(steps.cut)
    assert "fewer than 10" in incidence.cut_note(curves, ("per_relation",))


def test_a_curve_of_too_few_events_is_not_drawn(curves, at_risk):
    curves.loc[curves["outcome"] == "same", "n_events_total"] = 3
    figure = incidence.draw_apart(curves, at_risk, RULE)
    assert len(figure.axes[0].lines) == 3
    assert "same level: too few events to show" in incidence.alt_apart(curves, RULE)
    inside = incidence.draw_apart(curves, at_risk, Disclosure(5, internal=True))
    assert len(inside.axes[0].lines) == 4


def test_hidden_layers_are_stacked_as_one(curves, at_risk):
    curves.loc[(curves["curve"] == "composite") & (curves["outcome"] == "several"), "n_events_total"] = 2
    words = [t.get_text() for t in incidence.draw_stacked(curves, at_risk, RULE).axes[0].texts]
    assert any(w.startswith("other refractures") for w in words)
    assert not any(w.startswith(("several", "same level")) for w in words)


@pytest.mark.parametrize(
    "kind", ["no rates", "no curves", "no models", "no mechanisms", "no variants", "no literature", "no gap"]
)
def test_an_empty_frame_draws_no_empty_figure(kind, rates, curves, at_risk, models):
    drawn = {
        "no rates": lambda: spine.draw(rates.iloc[:0], RULE),
        "no curves": lambda: incidence.draw_apart(curves.assign(estimate=0.0), at_risk, RULE),
        "no models": lambda: forest.draw(models.assign(estimate=np.nan), "same", RULE),
        "no mechanisms": lambda: mechanisms.draw(pd.DataFrame(), RULE),
        "no variants": lambda: sensitivity.draw(
            pd.DataFrame(columns=["variant", "group", "outcome", "is_main", "n_events", "estimate"]), RULE
        ),
        "no literature": lambda: literature.draw(pd.DataFrame()),
        "no gap": lambda: gap.draw(LikeForLike()),
    }[kind]()
    assert drawn is None


def test_an_interval_without_end_stays_on_the_axis(models, overlaps):
    models.loc[0, ["estimate", "conf_low", "conf_high"]] = [3.0, 0.0, np.inf]
    models.loc[1, ["estimate", "conf_low", "conf_high"]] = [np.inf, np.nan, np.nan]
    figure = forest.draw(models, "same", RULE)
    low, high = figure.axes[1].get_xlim()
    assert np.isfinite([low, high]).all()
    assert overlaps(figure) == []


def test_the_same_frame_gives_the_same_bytes_whatever_the_users_settings(rates):
    first = theme.svg(spine.draw(rates, RULE), "figure-spine", "alt")
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        second = theme.svg(spine.draw(rates, RULE), "figure-spine", "alt")
    assert first == second


def test_drawing_leaves_the_users_settings_alone(rates):
    with mpl.rc_context({"font.size": 17}):
        spine.draw(rates, RULE)
        assert mpl.rcParams["font.size"] == 17


def test_text_stays_text_and_is_escaped(models):
    models["label"] = "Leak <b>into</b> $x_1$ & \x07 脊椎"
    picture = theme.svg(forest.draw(models, "same", RULE), "figure-forest-same", 'a "quoted" <alt>')
    root = ET.fromstring(picture)
    words = [e.text for e in root.iter("text")]
    assert any("<b>into</b> $x_1$ &" in (w or "") for w in words)
    assert root.attrib["aria-label"] == 'a "quoted" <alt>'
    assert "<b>" not in picture
    assert "http" not in picture


def test_ids_of_a_figure_start_with_its_key(curves, at_risk):
    picture = theme.svg(incidence.draw_stacked(curves, at_risk, RULE), "figure-stacked", "alt")
    ids = [e.attrib["id"] for e in ET.fromstring(picture).iter() if "id" in e.attrib]
    assert ids
    assert all(i.startswith("figure-stacked-") for i in ids)
    assert len(ids) == len(set(ids))


def test_same_and_remote_differ_in_grey_by_line_and_adjacent_by_lightness():
    grey = {
        name: 0.299 * r + 0.587 * g + 0.114 * b
        for name in ("same", "adjacent", "remote")
        for r, g, b in [mpl.colors.to_rgb(theme.COLOURS[name])]
    }
    assert grey["adjacent"] - max(grey["same"], grey["remote"]) > 0.2
    assert len({str(theme.LINES[name]) for name in ("same", "adjacent", "remote", "death")}) == 4
