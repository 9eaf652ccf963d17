"""What a model assumes, drawn from tidy frames alone."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cohort.estimate import functional_form, schoenfeld_smooth
from cohort.present.figures import diagnostics


@pytest.fixture
def rows():
    random = np.random.default_rng(4)
    leak, age = (random.random(400) < 0.4).astype(float), random.normal(75, 8, 400)
    time = np.ceil(random.exponential(500 * np.exp(-0.7 * leak - 0.03 * (age - 75))))
    return pd.DataFrame({"exit": np.minimum(time, 700), "event": (time <= 700) * 1, "leak": leak, "age": age})


def test_a_ratio_over_time_has_its_band_its_line_and_one(rows):
    what = {"exit": "exit", "event": "event"}
    smooth = schoenfeld_smooth(rows, ["leak", "age"], **what).frame
    ax = diagnostics.proportionality(smooth[smooth["term"] == "leak"], Figure().add_subplot())
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "Months since the origin"
    assert len(ax.collections) == 1  # the band
    assert any(np.allclose(line.get_ydata(), 1.0) for line in ax.lines)


def test_the_shape_of_an_effect_passes_through_one_at_the_reference(rows):
    frame = functional_form(
        rows, "age", adjust=["leak"], exit="exit", event="event", reference=75, at=[65, 75, 85]
    ).frame
    ax = diagnostics.functional_form(frame, Figure().add_subplot(), label="Age, years")
    line = ax.lines[0]
    assert line.get_ydata()[list(line.get_xdata()).index(75)] == pytest.approx(1.0)


def test_nothing_to_draw_gives_an_empty_axis():
    nothing = pd.DataFrame(
        {name: [] for name in ("time", "estimate", "conf_low", "conf_high", "term", "measure", "value")}
    )
    assert not diagnostics.proportionality(nothing, Figure().add_subplot()).lines
    assert not diagnostics.functional_form(nothing, Figure().add_subplot()).lines
