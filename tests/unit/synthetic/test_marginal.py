"""The marginal values: right arithmetic, within the calibration bands, and what simple counting finds again."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from cohort.domain.clock import NEVER
from cohort.synthetic.calibration import bands
from cohort.synthetic.intervals import first_days
from cohort.synthetic.marginal import cox, logistic, marginal_values, stored_values
from cohort.synthetic.truth import DEFAULT

STORED = stored_values()
VALUES = {record["key"]: record["value"] for record in STORED["values"]}
ERRORS = {record["key"]: record["monte_carlo_std_error"] for record in STORED["values"]}


def test_stored_values_belong_to_the_default_truth_and_rest_on_two_million_patients():
    assert STORED["parameters_sha256"] == DEFAULT.digest
    assert min(STORED["n_patients_uncensored"], STORED["n_patients_as_followed"]) >= 2_000_000


@pytest.mark.parametrize(("key", "band"), bands().items())
def test_one_year_incidence_lies_in_the_published_band(key, band):
    assert band[0] < VALUES[key] < band[1]


def test_half_of_the_first_years_refractures_come_in_its_first_quarter():
    for outcome in ("same", "adjacent", "remote"):
        share = VALUES[f"incidence/{outcome}/90"] / VALUES[f"incidence/{outcome}/365"]
        assert 0.40 < share < 0.60


def test_composite_causes_add_up_to_any():
    for window in (90, 365, 730):
        causes = sum(
            VALUES[f"incidence/composite/{name}/{window}"] for name in ("same", "adjacent", "remote", "several")
        )
        assert causes == pytest.approx(VALUES[f"incidence/any/{window}"])


def test_incidences_are_known_to_half_a_thousandth_and_log_ratios_to_a_fiftieth():
    for key, error in ERRORS.items():
        if key.startswith("incidence/"):
            assert error < 5e-4, key
        if key.startswith(("cox/", "logistic/")):
            assert error < 0.02, key


def aalen_johansen(entry, exit, event_day, died, window):
    """Cumulative incidence on day counts, death competing, late entries left-truncated."""
    stop = np.minimum(event_day, exit)
    happened = event_day <= exit
    at_risk = np.cumsum(np.bincount(entry + 1, minlength=window + 2)[: window + 2])
    at_risk = at_risk - np.cumsum(np.bincount(np.minimum(stop, window) + 1, minlength=window + 2)[: window + 2])
    events = np.bincount(np.minimum(stop, window + 1)[happened], minlength=window + 2)[: window + 1]
    deaths = np.bincount(np.minimum(stop, window + 1)[~happened & died], minlength=window + 2)[: window + 1]
    free, incidence = 1.0, 0.0
    for day in range(1, window + 1):
        if at_risk[day]:
            incidence += free * events[day] / at_risk[day]
            free *= 1 - (events[day] + deaths[day]) / at_risk[day]
    return incidence


@pytest.mark.parametrize("outcome", ["same", "adjacent", "remote", "any"])
def test_followed_patients_with_late_entry_and_loss_have_the_incidence_of_the_uncensored(history, outcome):
    people, _, broken = history
    day = first_days(people, broken)[outcome]
    chosen = ~people.tumour & ~(day <= people.entry)
    found = aalen_johansen(people.entry[chosen], people.exit[chosen], day[chosen], people.died[chosen], window=365)
    truth = VALUES[f"incidence/{outcome}/365"]
    assert abs(found - truth) < 4 * np.sqrt(truth * (1 - truth) / chosen.sum()) * 1.15


def test_counting_on_other_patients_gives_the_stored_incidence(histories):
    people, _, broken = histories(DEFAULT, 50_000, seed=99, potential=True)
    first = first_days(people, broken)
    main = ~people.tumour
    for outcome in ("same", "adjacent", "remote", "any"):
        truth = VALUES[f"incidence/{outcome}/365"]
        found = (first[outcome][main] <= 365).mean()
        assert abs(found - truth) < 4 * np.hypot(np.sqrt(truth / main.sum()), ERRORS[f"incidence/{outcome}/365"])


def test_a_seed_gives_the_same_values():
    first = marginal_values(1, seed=3, per_chunk=3000)
    assert first == marginal_values(1, seed=3, per_chunk=3000)
    assert {record["key"] for record in first["values"]} >= {"cox/adjacent/leak/adjusted", "logistic/same/cleft/crude"}


def breslow(start, stop, count, events, design):
    """Coefficients by brute force: every risk set summed on its own."""
    beta = np.zeros(design.shape[1])
    for _ in range(30):
        score, information = np.zeros_like(beta), np.zeros((len(beta), len(beta)))
        weight = count * np.exp(design @ beta)
        for row in np.flatnonzero(events):
            risk = (start < stop[row]) & (stop[row] <= stop)
            mean = weight[risk] @ design[risk] / weight[risk].sum()
            second = (design[risk] * weight[risk, None]).T @ design[risk] / weight[risk].sum()
            score += events[row] * (design[row] - mean)
            information += events[row] * (second - np.outer(mean, mean))
        beta = beta + np.linalg.solve(information, score)
    return beta


def test_cox_from_sums_by_day_equals_every_risk_set_summed_on_its_own():
    rng = np.random.default_rng(2)
    n = 120
    start = rng.integers(0, 30, n)
    stop = start + rng.integers(1, 60, n)
    count = rng.integers(1, 4, n)
    events = (rng.random(n) < 0.4).astype(int)
    design = rng.normal(size=(n, 2))
    assert cox(start, stop, count, events, design) == pytest.approx(breslow(start, stop, count, events, design))


def test_logistic_equals_statsmodels():
    rng = np.random.default_rng(5)
    design = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    outcome = (rng.random(400) < 0.3).astype(float)
    reference = sm.Logit(outcome, design).fit(disp=0).params
    assert logistic(design, outcome) == pytest.approx(reference, rel=1e-6)


def test_nobody_without_a_refracture_has_a_first_day(history):
    people, _, broken = history
    first = first_days(people, broken)
    unbroken = ~np.isin(np.arange(len(people)), broken.patient)
    assert all((day[unbroken] == NEVER).all() for day in first.values())
