"""The partial likelihood against sums written out risk set by risk set."""

import numpy as np
import pytest

from cohort.estimate.kernel import PartialLikelihood
from cohort.estimate.risk_sets import RiskSets


def test_a_row_is_at_risk_after_entry_and_on_the_day_of_exit():
    #                entry  exit
    rows = np.array([[0, 5], [5, 9], [4, 5], [6, 9]], dtype=float)
    sets = RiskSets.of(rows[:, 1], np.array([True, True, False, False]), rows[:, 0])
    assert sets.time.tolist() == [5, 9]
    assert sets.sums(np.ones(4)).tolist() == [2, 2]  # day 5: the first and third; day 9: the second and fourth


def test_strata_have_their_own_risk_sets():
    exit_ = np.array([1.0, 2.0, 1.0, 2.0, 3.0])
    sets = RiskSets.of(exit_, np.ones(5, bool), None, np.array([0, 0, 1, 1, 1]))
    assert sets.stratum.tolist() == [0, 0, 1, 1, 1]
    assert sets.sums(np.ones(5)).tolist() == [2, 1, 3, 2, 1]


def test_two_tied_events_of_four_worked_by_hand():
    """Leaks 1, 1, 0, 0; the first two rows break on day 1, hazard ratio h: Efron's denominators 2h + 2 and h + 2."""
    x = np.array([[1.0], [1.0], [0.0], [0.0]])
    event = np.array([True, True, False, False])
    sets = RiskSets.of(np.array([1.0, 1.0, 2.0, 2.0]), event)
    h = np.exp(0.7)
    for ties, denominators in (("efron", [2 * h + 2, h + 2]), ("breslow", [2 * h + 2] * 2)):
        likelihood = PartialLikelihood.of(sets, x, event, np.ones(4), ties)
        expected = 2 * 0.7 - np.log(denominators).sum()
        assert likelihood.at(np.array([0.7])).loglik == pytest.approx(expected, rel=1e-14)


def by_hand(d, x, beta, ties):
    """Efron or Breslow summed in plain loops: log-likelihood, score, information, score residuals."""
    entry, exit_, event, w = (d[c].to_numpy(float) for c in ("entry", "exit", "event", "w"))
    r = np.exp(x @ beta)
    p = x.shape[1]
    loglik, score, information, residual = 0.0, np.zeros(p), np.zeros((p, p)), np.zeros_like(x)
    for s in np.unique(d["stratum"]):
        mine = d["stratum"].to_numpy() == s
        for t in np.unique(exit_[mine & (event == 1)]):
            risk = np.flatnonzero(mine & (entry < t) & (t <= exit_))
            died = np.flatnonzero(mine & (exit_ == t) & (event == 1))
            m = len(died)
            means = []
            for j in range(m):
                share = np.ones(len(x))
                share[died] = 1 - (j / m if ties == "efron" else 0)
                weight = share[risk] * w[risk] * r[risk]
                total = weight.sum()
                mean = weight @ x[risk] / total
                square = (weight[:, None] * x[risk]).T @ x[risk] / total
                each = w[died].mean()
                loglik -= each * np.log(total)
                score -= each * mean
                information += each * (square - np.outer(mean, mean))
                residual[risk] -= (each * share[risk] * r[risk] / total)[:, None] * (x[risk] - mean)
                means.append(mean)
            loglik += w[died] @ (x[died] @ beta)
            score += w[died] @ x[died]
            residual[died] += x[died] - np.mean(means, axis=0)
    return loglik, score, information, residual


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("seed", range(4))
def test_sums_over_risk_sets_equal_loops_over_them(vertebra_rows, seed, ties):
    d = vertebra_rows(seed).assign(stratum=lambda d: d["patient"] % 3, w=lambda d: 0.5 + d["patient"] % 4)
    x = d[["leak", "age"]].to_numpy(float) - [0.5, 75.0]
    beta = np.array([0.4, -0.03])
    sets = RiskSets.of(
        d["exit"].to_numpy(), d["event"].to_numpy() == 1, d["entry"].to_numpy(), d["stratum"].to_numpy(np.int64)
    )
    likelihood = PartialLikelihood.of(sets, x, d["event"].to_numpy() == 1, d["w"].to_numpy(float), ties)
    loglik, score, information = likelihood.evaluate(beta)
    expected = by_hand(d, x, beta, ties)
    assert loglik == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(score, expected[1], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(information, expected[2], rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(likelihood.score_residuals(beta), expected[3], rtol=1e-9, atol=1e-11)


def test_schoenfeld_residuals_and_weighted_score_residuals_sum_to_the_score(vertebra_rows):
    d = vertebra_rows(3)
    x = d[["leak", "age"]].to_numpy(float) - [0.5, 75.0]
    w = 1.0 + d["patient"].to_numpy(float) % 2
    event = d["event"].to_numpy() == 1
    sets = RiskSets.of(d["exit"].to_numpy(), event, d["entry"].to_numpy())
    likelihood = PartialLikelihood.of(sets, x, event, w)
    beta = np.array([0.2, 0.01])
    score = likelihood.at(beta).score
    rows, residual = likelihood.schoenfeld(beta)
    np.testing.assert_allclose(w[rows] @ residual, score, rtol=1e-10)
    np.testing.assert_allclose(w @ likelihood.score_residuals(beta), score, rtol=1e-10)


def test_a_risk_set_of_ten_keeps_its_digits_after_a_million_rows():
    exit_ = np.append(np.full(1_000_000, 1.0), np.arange(2.0, 12.0))
    event = np.append(np.zeros(1_000_000, bool), np.ones(10, bool))
    weights = np.append(np.full(1_000_000, 1e6), np.full(10, 0.1))
    assert RiskSets.of(exit_, event).sums(weights)[0] == pytest.approx(1.0, rel=1e-15)
