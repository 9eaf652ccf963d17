"""Small frames for figures and tables, each showing its cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.tables.like_for_like import FIGURE_COLUMNS, STEP_COLUMNS, STEPS, LikeForLike
from cohort.tables.results import Estimates

LEVELS = [f"T{k}" for k in range(4, 13)] + [f"L{k}" for k in range(1, 6)]


@pytest.fixture
def rates() -> pd.DataFrame:
    """Every level with events in every role, and the totals."""
    rows = []
    for role, events, years in (("treated", 7, 300.0), ("adjacent", 22, 420.0), ("remote", 12, 2400.0)):
        for level in [*LEVELS, ""]:
            n, time = (events * len(LEVELS), years * len(LEVELS)) if level == "" else (events, years)
            value = n / time * 1000
            rows.append(("vertebra", level, role, "", n, time, value, value * 0.6, value * 1.6, "main"))
    frame = pd.DataFrame(
        rows,
        columns=[
            "unit",
            "level",
            "role",
            "outcome",
            "n_events",
            "person_years",
            "estimate",
            "conf_low",
            "conf_high",
            "variant",
        ],
    )
    return frame.assign(measure="per 1,000 vertebra-years", n_patients=900, std_error=1.0)


@pytest.fixture
def models() -> pd.DataFrame:
    """Two exposures of same-level refracture, crude and adjusted."""
    rows = []
    for exposure, label in (("cleft", "Intravertebral cleft before treatment"), ("t_score", "T-score, per SD higher")):
        for model, value in (("crude", 2.1), ("adjusted", 1.8)):
            rows.append(
                {
                    "outcome": "same",
                    "exposure": exposure,
                    "term": exposure,
                    "label": label,
                    "model": model,
                    "adjusted_for": "t_score, age" if model == "adjusted" else "",
                    "n_patients": 800,
                    "n_units": 1100,
                    "n_events": 30,
                    "n_exposed_events": 12.0 if exposure == "cleft" else np.nan,
                    "estimate": value,
                    "conf_low": value * 0.6,
                    "conf_high": value * 1.7,
                    "coef": 0.6,
                    "std_error": 0.2,
                    "naive_std_error": 0.19,
                    "p_value": 0.01,
                    "note": "",
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture
def curves() -> pd.DataFrame:
    """Three relations and a composite; fewer than ten at risk from day 600."""
    rows = []
    causes = {"same": 0.01, "adjacent": 0.10, "remote": 0.06}
    for curve, outcomes in (("per_relation", causes), ("composite", {**causes, "several": 0.002, "death": 0.05})):
        for outcome, year in outcomes.items():
            for day in range(10, 740, 10):
                value = year * day / 365
                events = {"same": 12, "adjacent": 90, "remote": 55, "several": 6, "death": 45}[outcome]
                rows.append(
                    (curve, outcome, day, 9 if day >= 600 else 900 - day, value, value * 0.8, value * 1.2, events)
                )
    return pd.DataFrame(
        rows, columns=["curve", "outcome", "time", "n_risk", "estimate", "conf_low", "conf_high", "n_events_total"]
    )


@pytest.fixture
def at_risk() -> pd.DataFrame:
    days = (0, 91, 183, 274, 365, 457, 548, 639, 730)
    rows = [(name, day, max(2, 900 - day)) for name in ("same", "adjacent", "remote", "composite") for day in days]
    return pd.DataFrame(rows, columns=["curve", "time", "n_risk"])


def _boxes(figure):
    """Boxes of all words of a figure, in pixels, with the words."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = []
    for ax in figure.axes:
        texts = [*ax.texts]
        if ax.axison:
            texts += [ax.xaxis.label, ax.yaxis.label]
            for axis in (ax.xaxis, ax.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
                texts += [label for place, label in ticks if low <= place <= high]
        found += [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text() and t.get_visible()]
    return found


def _overlaps(figure, slack=1.0):
    found = _boxes(figure)
    return [
        (a, b)
        for k, (a, one) in enumerate(found)
        for b, two in found[k + 1 :]
        if one.x0 + slack < two.x1 and two.x0 + slack < one.x1 and one.y0 + slack < two.y1 and two.y0 + slack < one.y1
    ]


def _cut(figure):
    width, height = figure.get_size_inches() * figure.dpi
    return [t for t, b in _boxes(figure) if b.x0 < -1 or b.y0 < -1 or b.x1 > width + 1 or b.y1 > height + 1]


@pytest.fixture
def boxes():
    """Of a figure, its texts with where they stand."""
    return _boxes


@pytest.fixture
def overlaps():
    """Of a figure, the pairs of texts that lie over each other."""
    return _overlaps


@pytest.fixture
def cut():
    """Of a figure, the texts that run off its edge."""
    return _cut


# study, relation, tier, arm, counted alike with, published n / N, registry n / N, of everybody n / N
ALIKE = (
    ("one", "same", "radiographic", "technique=vertebroplasty", "same", 29, 536, 30, 600, 60, 1000),
    ("two", "same", "radiographic", "technique=kyphoplasty", "same", 34, 273, 20, 300, 60, 1000),
    ("three", "adjacent", "unstated", "", "adjacent", 37, 375, 110, 1000, 110, 1000),
    ("four", "adjacent", "clinical", "", "adjacent, felt", 23, 191, 80, 1000, 80, 1000),
    ("five", "remote", "clinical", "", "remote", 21, 310, 70, 1000, 70, 1000),
    ("six", "any", "unstated", "", "any", 362, 2202, 180, 1000, 180, 1000),
)


@pytest.fixture
def alike() -> LikeForLike:
    """Six published figures counted alike in 1,000 patients; a tenth of them of neither technique."""
    rows, steps = [], []
    for study, relation, tier, arm, counted_as, events, size, own, n, own_all, n_all in ALIKE:
        published, share = events / size, own / n
        said = {"study_key": study, "quantity": f"a figure of {study}", "source": "abstract", "confidence": "sure"}
        rows.append(
            {
                **said, "citation": f"{study.title()} AB et al. A study. 2020", "year": 2020.0, "relation": relation,
                "tier": tier, "unit": "patient", "arm": arm, "window_kind": "fixed", "window_days": 365.0,
                "numerator": float(events), "denominator": float(size), "percent": 100 * published,
                "published": published, "published_low": published * 0.7, "published_high": published * 1.3,
                "counted_as": counted_as, "n_events": float(own), "n": float(n), "n_patients": float(n),
                "n_events_all": float(own_all), "n_all": float(n_all), "estimate": share, "conf_low": share * 0.8,
                "conf_high": share * 1.2, "std_error": 0.01, "ratio": share / published,
                "ratio_low": share / published * 0.7, "ratio_high": share / published * 1.4,
                "differs": "Whether all were followed is not stated.", "note": "", "placed": "yes",
            }
        )  # fmt: skip
        path = [share, share * 1.5, share * 1.5, share * 1.2, share * 1.1, share, published]
        for place, (step, before, after) in enumerate(zip(STEPS, path[:-1], path[1:], strict=True), 1):
            steps.append(
                {
                    **said, "relation": relation, "place": place, "step": step, "from_estimate": before,
                    "to_estimate": after, "log_ratio": np.log(after / before), "percent": 100 * (after / before - 1),
                    "n_events_main": 60.0, "n_events": np.nan if step == "remains" else float(own), "n": float(n),
                    "sentence": "It changes.", "note": "",
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(FIGURE_COLUMNS))
    return LikeForLike(Estimates(frame), pd.DataFrame(steps, columns=list(STEP_COLUMNS)))
