"""Stacked states: nothing overlaps, the layers are the shares, few moves are not shown, and few followed end it."""

import numpy as np
import pandas as pd
import pytest

from cohort.present import theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures import states

RULE = Disclosure(5)
YEAR = {"same": 0.004, "adjacent": 0.03, "remote": 0.02, "re_augmented": 0.06, "dead": 0.10}
MOVES = {"no_event": 0, "same": 12, "adjacent": 90, "remote": 55, "re_augmented": 80, "dead": 120}


@pytest.fixture
def shares():
    rows = []
    for day in range(10, 760, 10):
        of = {state: year * day / 365 for state, year in YEAR.items()}
        for state, share in {"no_event": 1 - sum(of.values()), **of}.items():
            followed = {"no_event": 1200 - day, "dead": 0}.get(state, 40)
            rows.append((state, day, share, followed, MOVES[state]))
    return pd.DataFrame(rows, columns=["outcome", "time", "estimate", "n_risk", "n_events_total"])


@pytest.fixture
def followed():
    days = (0, 91, 183, 274, 365, 457, 548, 639, 730)
    rows = [
        (state, day, 1200 - day if state == "no_event" else 4) for state in MOVES for day in days if state != "dead"
    ]
    return pd.DataFrame(rows, columns=["outcome", "time", "n_risk"])


def words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def boxes(figure):
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for ax in figure.axes for t in ax.texts if t.get_text()]


def test_no_words_overlap_none_are_cut_and_none_are_small(shares, followed):
    figure = states.draw(shares, followed, RULE)
    found = boxes(figure)
    for k, (one, a) in enumerate(found):
        for two, b in found[k + 1 :]:
            apart = a.x1 < b.x0 + 1 or b.x1 < a.x0 + 1 or a.y1 < b.y0 + 1 or b.y1 < a.y0 + 1
            assert apart, (one, two)
    width, height = figure.get_size_inches() * figure.dpi
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for _, b in found)
    assert min(t.get_fontsize() for ax in figure.axes for t in ax.texts) >= 8
    assert figure.get_size_inches()[0] == pytest.approx(theme.WIDTH)


def test_the_layers_are_the_shares_and_the_rest_had_no_event(shares):
    found = states.stack(shares, RULE)
    assert [layer.words for layer in found.layers] == ["same level", "adjacent", "remote", "treated again", "dead"]
    at_end = {state: 100 * year * 730 / 365 for state, year in YEAR.items()}
    np.testing.assert_allclose([layer.height[-1] for layer in found.layers], list(at_end.values()))
    assert found.rest == pytest.approx(100 - sum(at_end.values()))
    assert all(layer.height[0] == 0 for layer in found.layers)
    assert (found.month[0], found.month[-1], found.cut) == (0, 24, False)


def test_every_layer_is_named_with_its_share_and_patients_are_counted_below(shares, followed):
    said = words(states.draw(shares, followed, RULE))
    for end in ("same level 0.80 %", "adjacent 6.0 %", "remote 4.0 %", "treated again 12.0 %", "dead 20.0 %"):
        assert end in said
    assert "blank up to 100 %: no event, 57.2 % at month 24" in said
    assert said.count("<5") == 4 * 9
    assert "1,200" in said


def test_states_that_few_entered_are_drawn_as_one(shares, followed):
    shares.loc[shares["outcome"] == "same", "n_events_total"] = 3
    said = words(states.draw(shares, followed, RULE))
    assert any(text.startswith("other states") for text in said)
    # The next smallest hides with it: alone, the small one could be read off.
    assert not any(text.startswith(("same level 0", "remote 4")) for text in said)
    inside = words(states.draw(shares, followed, Disclosure(5, internal=True)))
    assert "same level 0.80 %" in inside


def test_layers_end_where_fewer_than_ten_are_followed(shares, followed):
    shares.loc[shares["time"] >= 600, "n_risk"] = 1
    found = states.stack(shares, RULE)
    assert found.cut
    assert found.month[-1] == pytest.approx(600 / (365.25 / 12))
    assert states.cut_note(shares, RULE) == "Layers end where fewer than 10 patients are followed (month 20)."
    assert states.draw(shares, followed, RULE) is not None


def test_a_long_follow_up_needs_no_sentence(shares):
    assert states.cut_note(shares, RULE) == ""


@pytest.mark.parametrize(
    "change", [{"estimate": 0.0}, {"n_events_total": 0}, {"n_events_total": 1}, {"n_risk": 1}], ids=str
)
def test_too_few_patients_draw_no_figure_and_the_words_say_so(shares, followed, change):
    few = shares.assign(**change)
    if change.get("n_events_total"):
        few = few[few["outcome"].isin(["no_event", "same"])]
    assert states.draw(few, followed, RULE) is None
    assert "too few events to show" in states.alt(few, RULE)


def test_the_words_for_who_cannot_see_it_state_the_finding(shares):
    assert states.alt(shares, RULE) == (
        "Where patients stand at month 24 by what happened last: no event 57.2 %, same level 0.80 %, adjacent 6.0 %, "
        "remote 4.0 %, treated again 12.0 %, dead 20.0 %."
    )


def test_the_same_frame_gives_the_same_picture(shares, followed):
    one, two = (theme.svg(states.draw(shares, followed, RULE), "figure-states", "alt") for _ in range(2))
    assert one == two
