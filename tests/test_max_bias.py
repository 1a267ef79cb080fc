"""Expected maxima of noisy values: order statistics, SciPy's integrals, Monte Carlo, and what must hold in the limits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from rlcourse.core.seeding import generator
from rlcourse.exact.max_bias import expected_clipped_double, expected_double, expected_max, selection_probs


def tensor(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


UNEQUAL = tensor(0.3, -0.2, 0.9, 0.5), tensor(0.5, 1.1, 0.4, 0.8)
VALUES = st.lists(st.tuples(st.floats(-2, 2), st.floats(0.2, 1.5)), min_size=1, max_size=5)


@pytest.mark.parametrize("actions, largest", [  # means of the largest of A standard normal numbers, in closed form
    (1, 0.0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)),
    (4, 3 / math.sqrt(math.pi) * (0.5 + math.asin(1 / 3) / math.pi)),
    (5, 5 / math.sqrt(math.pi) * (0.25 + 1.5 * math.asin(1 / 3) / math.pi))])
def test_equal_actions_have_the_mean_of_the_order_statistic(actions, largest):
    means, stds = torch.full((actions,), 2.0, dtype=torch.float64), torch.full((actions,), 0.7, dtype=torch.float64)
    assert expected_max(means, stds) == pytest.approx(2.0 + 0.7 * largest, abs=1e-12)
    assert expected_double(means, stds) == pytest.approx(2.0, abs=1e-12)
    assert torch.allclose(selection_probs(means, stds), torch.full((actions,), 1 / actions, dtype=torch.float64))


def test_two_actions_against_the_closed_form_for_two():
    (a, b), (s, t) = (0.4, -0.1), (0.6, 0.9)
    spread = math.hypot(s, t)
    z = (a - b) / spread
    assert expected_max(tensor(a, b), tensor(s, t)) == pytest.approx(
        a * stats.norm.cdf(z) + b * stats.norm.cdf(-z) + spread * stats.norm.pdf(z), abs=1e-12)
    assert float(selection_probs(tensor(a, b), tensor(s, t))[0]) == pytest.approx(stats.norm.cdf(z), abs=1e-12)


def test_unequal_actions_against_adaptive_integration():
    means, stds = (column.numpy() for column in UNEQUAL)

    def not_yet_passed(x):  # E max = ∫ over x > 0 of P(max > x), minus ∫ over x < 0 of P(max < x)
        return stats.norm.cdf(x, means, stds).prod()

    upper = integrate.quad(lambda x: 1 - not_yet_passed(x), 0, 12, epsabs=1e-12)[0]
    lower = integrate.quad(not_yet_passed, -12, 0, epsabs=1e-12)[0]
    assert expected_max(*UNEQUAL) == pytest.approx(upper - lower, abs=1e-9)


@pytest.mark.parametrize("correlation", (-0.6, 0.0, 0.5, 0.95, 1.0))
def test_all_three_estimators_against_many_draws(correlation):
    means, stds = UNEQUAL
    draws = 400_000  # fixed seed; a correct result is off by more than 5 standard errors once in two million
    one, other = torch.randn(2, draws, 4, generator=generator(0, "draws"), dtype=torch.float64)
    first = means + stds * one
    second = means + stds * (correlation * one + math.sqrt(1 - correlation**2) * other)
    best = first.argmax(1, keepdim=True)
    chosen, judged = first.gather(1, best), second.gather(1, best)
    for drawn, exact in ((chosen, expected_max(means, stds)),
                         (judged, expected_double(means, stds, correlation=correlation)),
                         (torch.minimum(chosen, judged),
                          expected_clipped_double(means, stds, correlation=correlation))):
        assert abs(float(drawn.mean()) - exact) < 5 * float(drawn.std()) / math.sqrt(draws)
    assert np.allclose(selection_probs(means, stds), best.flatten().bincount() / draws, atol=4e-3)


@settings(deadline=None, max_examples=40)
@given(VALUES, st.floats(-1, 1))
def test_what_holds_for_every_problem(values, correlation):
    means, stds = (torch.tensor(column, dtype=torch.float64) for column in zip(*values))
    largest, single = float(means.max()), expected_max(means, stds)
    double = expected_double(means, stds, correlation=correlation)
    assert float(selection_probs(means, stds).sum()) == pytest.approx(1, abs=1e-9)
    assert single >= largest - 1e-9  # E max ≥ max E
    assert expected_double(means, stds) <= largest + 1e-9  # independent: never too high
    assert expected_double(means, stds, correlation=1) == pytest.approx(single, abs=1e-9)
    assert expected_clipped_double(means, stds, correlation=1) == pytest.approx(single, abs=1e-9)
    assert expected_clipped_double(means, stds, correlation=correlation) <= min(double, single) + 1e-9
    shifted = expected_clipped_double(means + 3, stds, correlation=correlation)
    assert shifted == pytest.approx(3 + expected_clipped_double(means, stds, correlation=correlation), abs=1e-9)


def test_double_q_can_underestimate():
    assert expected_double(tensor(1, 0), tensor(1, 1)) < 0.8 < 1 < expected_max(tensor(1, 0), tensor(1, 1))


@pytest.mark.parametrize("call, message", [
    (lambda: expected_max(tensor(0, 1), tensor(1, 0)), "stds: expected positive numbers"),
    (lambda: expected_max(tensor(0, 1), tensor(1)), "stds: expected shape"),
    (lambda: expected_max(tensor(0, math.nan), tensor(1, 1)), "means: expected finite"),
    (lambda: expected_max(tensor(0, 1000), tensor(1e-4, 1)), "comparable size"),
    (lambda: expected_double(tensor(0, 1), tensor(1, 1), correlation=2), "correlation")])
def test_wrong_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
