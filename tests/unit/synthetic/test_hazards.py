"""Counting fractures over time at risk gives back the hazards that were put in, one effect at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cohort.domain.clock import DAYS_PER_YEAR
from cohort.domain.spine import CODE
from cohort.synthetic.intervals import ADJACENT, REMOTE, TREATED, segments, stages, vertebra_rows
from cohort.synthetic.truth import DEFAULT

# Nobody differs from anybody, and nothing changes a hazard: what is left is the baseline by level.
PLAIN = replace(
    DEFAULT,
    role_adjacent=1.0, role_treated=1.0, role_treated_prophylactic=1.0, role_treated_tumour=1.0,
    cleft_filled=1.0, cleft_unfilled=1.0, height_restoration_per_10=1.0, disc_leak_on_neighbour=1.0,
    t_score_per_sd_lower=1.0, corticosteroids=1.0, age_per_10_years=1.0, female=1.0, per_prior_fracture=1.0,
    anti_osteoporotic=1.0, early=1.0, frailty_variance=1e-9,
)  # fmt: skip

N = 50_000


@pytest.fixture
def counts(histories):
    return lambda truth: _counts(histories, truth)


def _counts(histories, truth, n=N, seed=2):
    """Segments and vertebra-rows by role of patients followed from their first session."""
    people, done, broken = histories(truth, n, seed)
    cut_history = stages(done)
    cut = segments(people, done, broken, cut_history, truth, np.ones(n, dtype=bool))
    kept = broken.day > people.entry[broken.patient]
    assert kept.any()
    rows = {role: vertebra_rows(cut, cut_history, broken, role) for role in (TREATED, ADJACENT, REMOTE)}
    return people, cut, rows, broken


def rate_and_error(rows, where=slice(None)):
    """Events per vertebra-day and the standard error of its logarithm."""
    days = (rows.count * (rows.stop - rows.start))[where].sum()
    events = rows.events[where].sum()
    return events / days, 1 / np.sqrt(events)


def assert_ratio(exposed, reference, expected):
    (rate, error), (base, base_error) = exposed, reference
    z = (np.log(rate / base) - np.log(expected)) / np.hypot(error, base_error)
    assert abs(z) < 4, f"ratio {rate / base:.3f} instead of {expected}, z = {z:.1f}"


def test_without_effects_each_level_breaks_at_its_baseline(counts):
    people, cut, _, broken = counts(PLAIN)
    codes = people.codes()
    at_risk = cut.role >= 0
    days = np.bincount(
        codes[cut.patient][at_risk],
        weights=np.broadcast_to((cut.stop - cut.start)[:, None], cut.role.shape)[at_risk],
        minlength=len(CODE),
    )
    kept = broken.day > people.entry[broken.patient]
    events = np.bincount(codes[broken.patient, broken.column][kept], minlength=len(CODE))
    for label, per_1000 in PLAIN.baseline_per_1000:
        expected = days[CODE[label]] / DAYS_PER_YEAR / 1000 * per_1000
        assert abs(events[CODE[label]] - expected) < 4.5 * np.sqrt(expected) + 1, label


@pytest.mark.parametrize(
    ("change", "role", "expected"),
    [({"role_adjacent": 4.0}, ADJACENT, 4.0), ({"role_treated": 0.34}, TREATED, 0.34)],
)
def test_role_multiplies_the_hazard(change, role, expected, counts):
    # A flat baseline, so that where cement lies does not matter.
    flat = tuple((label, 4.0) for label, _ in PLAIN.baseline_per_1000)
    _, _, rows, _ = counts(replace(PLAIN, baseline_per_1000=flat, **change))
    assert_ratio(rate_and_error(rows[role]), rate_and_error(rows[REMOTE]), expected)


def test_the_first_90_days_after_a_session_are_worse(histories):
    people, done, broken = histories(replace(PLAIN, early=2.5), N, seed=3)
    # Delayed patients were not watched from day 1; the latest session is the first one until a second comes.
    second = np.full(N, 10**7)
    later = done.day > 0
    np.minimum.at(second, done.patient[later], done.day[later])
    end = np.minimum(people.exit, second)
    early_days = np.minimum(end, 90).sum()
    late_days = np.maximum(end - 90, 0).sum()
    before_second = broken.day <= end[broken.patient]
    early = (before_second & (broken.day <= 90)).sum()
    late = (before_second & (broken.day > 90)).sum()
    z = (np.log(early / early_days / (late / late_days)) - np.log(2.5)) / np.sqrt(1 / early + 1 / late)
    # Healing vertebrae take a little time away, less than 1 %.
    assert abs(z) < 4


EFFECTS = [
    ({"cleft_filled": 2.5, "cleft_unfilled": 2.5}, TREATED, "cleft", 2.5),
    ({"disc_leak_on_neighbour": 2.2}, ADJACENT, "leak", 2.2),
    ({"disc_leak_on_neighbour": 2.2}, TREATED, "leak", 1.0),
    ({"anti_osteoporotic": 0.5}, REMOTE, "on_drug", 0.5),
]


@pytest.mark.parametrize(("change", "role", "exposure", "expected"), EFFECTS)
def test_an_exposure_multiplies_the_hazard_where_it_acts_and_nowhere_else(change, role, exposure, expected, counts):
    flat = tuple((label, 5.0) for label, _ in PLAIN.baseline_per_1000)
    _, _, rows, _ = counts(replace(PLAIN, baseline_per_1000=flat, **change))
    exposed = getattr(rows[role], exposure)
    assert_ratio(rate_and_error(rows[role], exposed), rate_and_error(rows[role], ~exposed), expected)


@pytest.mark.parametrize(("name", "effect"), [("corticosteroids", 1.9), ("female", 1.3)])
def test_a_patient_covariate_multiplies_every_hazard(name, effect, counts):
    people, _, rows, _ = counts(replace(PLAIN, **{name: effect}))
    exposed = getattr(people, name)[rows[REMOTE].patient]
    assert_ratio(rate_and_error(rows[REMOTE], exposed), rate_and_error(rows[REMOTE], ~exposed), effect)


def test_low_density_and_regained_height_act_per_unit(counts):
    people, _, rows, _ = counts(replace(PLAIN, t_score_per_sd_lower=1.35, height_restoration_per_10=1.15))
    for role, measure, per_unit in (
        (REMOTE, -people.t_score[rows[REMOTE].patient], 1.35),
        (TREATED, 10 * rows[TREATED].restoration, 1.15),
    ):
        # Under the truth the hazard-weighted mean of the measure among events equals that over time at risk.
        row = rows[role]
        weight = row.count * (row.stop - row.start) * per_unit**measure
        if role == TREATED:
            weight = weight * 1.35 ** -people.t_score[row.patient]
        mean = np.average(measure, weights=weight)
        spread = np.sqrt(np.average((measure - mean) ** 2, weights=weight))
        observed = np.average(measure, weights=row.events)
        assert abs(observed - mean) < 4 * spread / np.sqrt(row.events.sum())


def test_falls_break_several_vertebrae_at_once(histories):
    _, _, broken = histories(DEFAULT, 30_000, seed=6)
    same_day = np.zeros(len(broken.day), dtype=bool)
    same_day[1:] = (broken.patient[1:] == broken.patient[:-1]) & (broken.day[1:] == broken.day[:-1])
    # Two hazards may also meet on one day by chance, once in hundreds.
    assert broken.fall[same_day].mean() > 0.98
    assert 0.15 < broken.fall.mean() < 0.30  # near the share of hazard that comes as falls


def test_deaths_follow_age_and_sex(histories):
    people, _, _ = histories(DEFAULT, N, seed=7, potential=True)
    died = people.death <= 365
    assert died[people.age > 84].mean() > 2 * died[people.age < 70].mean()
    old = np.abs(people.age - 80) < 4
    assert died[old & ~people.female].mean() > 1.25 * died[old & people.female].mean()
