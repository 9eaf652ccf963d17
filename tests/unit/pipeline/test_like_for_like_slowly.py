"""Every published figure counted twice: by the toolkit, and by `tests/reference/slow_like_for_like.py`, which goes from
patient to patient and follows the words of the guide. Figures that nobody published stand beside them, so that every
unit meets every window and denominator."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cohort as toolkit
from cohort.tables.results import Registry

sys.path.insert(0, str(Path(__file__).parents[2] / "reference"))
from random_registry import random_registry, tables_of
from slow_like_for_like import count, is_told

ROOT = Path(__file__).parents[3]
KEY = ["study_key", "quantity"]
NOBODY = float("nan")
WINDOWS = (("fixed", 60.0), ("mean", 30.0), ("minimum", 90.0), ("none", NOBODY))
RULES = ("all_treated", "followed", "imaged")
UNITS = {
    "patient": ("same", "adjacent", "remote", "any"),
    "procedure": ("same", "adjacent", "remote", "any"),
    "treated_vertebra": ("same", "adjacent"),
    "adjacent_vertebra": ("adjacent",),
    "untreated_vertebra": ("remote", "any"),
    "new_fracture": ("adjacent", "remote", "any"),
}
ARMS = (
    "technique=vertebroplasty", "n_levels=2", "cleft=yes", "corticosteroids=no", "anti_osteoporotic=yes", "sex=female",
    "age=75 or more", "technique=kyphoplasty; n_levels=1",
)  # fmt: skip


def unpublished(template: pd.DataFrame, arms: Iterable[str] = ("",)) -> pd.DataFrame:
    """Every unit with its relations, every window and denominator."""
    rows = []
    base = template.iloc[0].to_dict()
    for unit, relations in UNITS.items():
        fractures = unit == "new_fracture"
        rules = ("events",) if fractures else RULES
        for relation, (kind, days), rule, arm in product(relations, WINDOWS, rules, arms):
            changed = {"unit": unit, "relation": relation, "window_kind": kind, "window_days": days, "arm": arm}
            if rule != rules[0] and kind != "fixed":
                continue
            changed |= {"tier": "radiographic", "denominator_rule": rule, "quantity": f"unpublished {len(rows)}"}
            changed |= {"kind": "share_of_cases", "basis": "cases"} if fractures else {}
            rows.append(base | changed)
    return pd.DataFrame(rows)


def compared(registry: Registry, figures: pd.DataFrame | None = None) -> int:
    """Assert that both count alike; gives the number of figures compared."""
    facts = toolkit.literature.facts() if figures is None else figures
    by_key = {(row["study_key"], row["quantity"]): row for row in facts.to_dict("records")}
    known: dict[str, Any] = {}
    wrong, n = [], 0
    for row in toolkit.like_for_like(registry, figures).figures.frame.to_dict("records"):
        figure = by_key[row["study_key"], row["quantity"]]
        by_film_or_curve = row["counted_as"].startswith("film") or row["counted_as"].endswith("curve")
        if by_film_or_curve:
            continue
        slow = count(figure, registry.tables, registry.study, known)
        n += 1
        told = {"n_events_all": slow.n_events_all, "n_all": slow.n_all}
        told |= {"n_events": slow.n_events, "n": slow.n} if is_told(figure) else {}
        wrong += [
            f"{row['study_key']}, {row['quantity']} ({row['counted_as']}; {figure['arm']}): {name} is {row[name]:g}, "
            f"counted slowly {number}"
            for name, number in told.items()
            if row[name] != number
        ]
    assert not wrong, "\n".join(wrong[:20])
    return n


def test_the_published_cases_are_counted_alike():
    assert compared(toolkit.read(ROOT / "data" / "cases")) == 75


def test_a_synthetic_registry_is_counted_alike():
    assert compared(Registry.of(toolkit.simulate(100, 71))) > 60


def test_a_random_registry_is_counted_alike():
    assert compared(Registry.of(random_registry(30, 501))) == 75


def test_every_unit_window_and_denominator_is_counted_alike(figures):
    grid = unpublished(figures())
    assert compared(Registry.of(random_registry(30, 511)), grid) > 40


def test_every_arm_known_at_entry_is_counted_alike(figures):
    grid = unpublished(figures(), arms=ARMS).query(
        "window_kind == 'none' and unit != 'procedure' and relation != 'remote'"
    )
    assert compared(Registry.of(random_registry(30, 520)), grid) > 40


@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(1000, 10**6), n_patients=st.integers(1, 6))
def test_small_registries_are_counted_alike(seed, n_patients, figures):
    grid = unpublished(figures()).query("denominator_rule != 'all_treated'").iloc[::4]
    compared(Registry.of(random_registry(n_patients, seed)), grid)


# ---------------- what was once counted unlike: the smallest registries that show it


def registry(augmentations: list[tuple], fractures: list[tuple] = (), **more: list[dict[str, Any]]) -> Registry:
    """One patient, treated first on 2020-01-01 (day 0), followed for two years.

    augmentations : day, level, indication. fractures : day, level, kind, symptomatic.
    """
    rows: dict[str, list[dict[str, Any]]] = {
        "patients": [{"follow_up_end": on(730), "incomplete": "no"}],
        "augmentations": [
            {"augmentation_id": f"a{n}", "date": on(day), "level": level, "indication": indication}
            for n, (day, level, indication) in enumerate(augmentations)
        ],
        "fractures": [
            {"fracture_id": f"f{n}", "date": on(day), "level": level, "kind": kind, "symptomatic": symptomatic}
            for n, (day, level, kind, symptomatic) in enumerate(fractures)
        ],
        **more,
    }
    return Registry.of(tables_of({name: [{"patient_id": "p", **row} for row in each] for name, each in rows.items()}))


def on(day: int) -> pd.Timestamp:
    return pd.Timestamp("2020-01-01") + pd.Timedelta(days=day)


def both(made: Registry, figure: pd.DataFrame) -> tuple[tuple[int, int], tuple[int, int]]:
    """Events and units, by the toolkit and slowly."""
    row = toolkit.like_for_like(made, figure).figures.frame.iloc[0]
    slow = count(figure.iloc[0].to_dict(), made.tables, made.study)
    return (int(row["n_events"]), int(row["n"])), (slow.n_events, slow.n)


NO_WINDOW = {"window_kind": "none", "window_days": np.nan}


@pytest.mark.parametrize("relation", ["same", "any"])
def test_symptomatic_leaves_out_what_was_painless_at_a_treated_vertebra_too(relation, figures):
    made = registry([(0, "L1", "fracture")], [(100, "L1", "new", "no")])
    fast, slow = both(made, figures(relation=relation, tier="clinical", **NO_WINDOW))
    assert slow == (0, 1)
    assert fast == slow


def test_only_those_with_such_a_fracture_are_those_the_figure_counts(figures):
    made = registry([(0, "L1", "fracture")], [(100, "T12", "new", "no")])
    figure = figures(unit="adjacent_vertebra", relation="adjacent", tier="clinical", arm="refractured=any", **NO_WINDOW)
    fast, slow = both(made, figure)
    assert slow == (0, 0)
    assert fast == slow


def test_a_study_that_does_not_say_what_it_shows_is_no_film(figures):
    study = [{"date": on(20), "last_level": "L5"}]
    film = [{"date": on(400), "level": "L1"}]
    made = registry([(0, "L1", "fracture")], imaging_studies=study, imaging=film)
    fast, slow = both(made, figures(denominator_rule="imaged"))
    assert slow == (0, 0)
    assert fast == slow


def test_the_days_of_a_vertebra_made_adjacent_later_are_those_of_its_patient(figures):
    # T12 and L2 are adjacent from day 0, L3 and L5 from day 90; L5 breaks on day 100.
    made = registry([(0, "L1", "fracture"), (90, "L4", "prophylactic")], [(100, "L5", "new", "yes")])
    for window, expected in ((60.0, (0, 2)), (100.0, (1, 4))):
        figure = figures(
            unit="adjacent_vertebra", relation="adjacent", window_days=window, denominator_rule="all_treated"
        )
        fast, slow = both(made, figure)
        assert slow == expected
        assert fast == slow


def test_untreated_leaves_treated_vertebrae_out_for_procedures_too(figures):
    made = registry([(0, "L1", "fracture")], [(100, "L1", "new", "yes")])
    fast, slow = both(made, figures(unit="procedure", counts="untreated", **NO_WINDOW))
    assert slow == (0, 1)
    assert fast == slow


def test_early_fractures_of_who_came_late_are_not_seen_so_that_a_window_leaves_them_out(figures):
    made = registry([(0, "L1", "fracture")], [(150, "T12", "new", "yes")], patients=[
        {"follow_up_end": on(730), "incomplete": "no", "enrolled_on": on(100)}
    ])  # fmt: skip
    fractures = {"unit": "new_fracture", "relation": "any", "kind": "share_of_cases", "basis": "cases"}
    fast, slow = both(made, figures(**fractures))
    assert slow == (0, 0)
    assert fast == slow
    fast, slow = both(made, figures(**fractures, **NO_WINDOW))
    assert slow == (1, 1)
    assert fast == slow
