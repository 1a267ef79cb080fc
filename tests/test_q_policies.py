"""ε-greedy in both forms, Boltzmann policies against SciPy and their limits, schedules."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlcourse.core.seeding import generator
from rlcourse.equations import q_policies as qp

double = torch.float64


def numbers(*values):
    return torch.tensor(values, dtype=double)


def drawn(shape, name="q"):
    return torch.randn(shape, generator=generator(5, name), dtype=double)


def test_epsilon_greedy_by_hand():
    """Three actions, ε = 0.3: 0.7 for the best, 0.15 for each of the others; the first of equals is the best."""
    q_values = numbers([1.0, 5.0, 2.0], [7.0, 7.0, 7.0], [0.0, 4.0, 4.0])
    got = qp.epsilon_greedy_probs(q_values, epsilon=0.3)
    expected = [[0.15, 0.7, 0.15], [0.7, 0.15, 0.15], [0.15, 0.7, 0.15]]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=double), rtol=0, atol=1e-15)
    assert q_values[0].tolist() == [1.0, 5.0, 2.0]  # the table is left alone
    stacked = qp.epsilon_greedy_probs(q_values[None, :, None], epsilon=0.3)
    assert torch.equal(stacked, got[None, :, None])
    assert torch.equal(qp.epsilon_greedy_probs(q_values[0], epsilon=0.3), got[0])
    assert qp.epsilon_greedy_probs(q_values.float(), epsilon=0.3).dtype == torch.float32


@pytest.mark.parametrize("actions", [2, 3, 4])
def test_the_first_of_equally_good_actions_gets_the_greedy_share(actions):
    q_values = torch.tensor(list(product([0.0, 1.0], repeat=actions)), dtype=double)
    got = qp.epsilon_greedy_probs(q_values, epsilon=0.0)
    for row, probs in zip(q_values.tolist(), got.tolist()):
        assert probs == [float(a == row.index(max(row))) for a in range(actions)]


@given(st.integers(2, 9), st.floats(0, 1), st.integers(0, 1000))
def test_epsilon_is_the_chance_of_another_action(actions, epsilon, seed):
    q_values = torch.randn(actions, generator=generator(seed, "q"), dtype=double)
    probs = qp.epsilon_greedy_probs(q_values, epsilon=epsilon)
    best = int(np.argmax(q_values.numpy()))
    others = torch.cat([probs[:best], probs[best + 1:]])
    assert float(probs[best]) == pytest.approx(1 - epsilon, abs=1e-15)
    assert float(others.sum()) == pytest.approx(epsilon, abs=1e-14) and bool((others == others[0]).all())


@given(st.integers(2, 9), st.fractions(0, 1))
def test_both_forms_are_one_policy_after_the_translation(actions, share):
    """Uniform form by drawing first whether to explore, then among all A: exact in fractions."""
    epsilon = share * Fraction(actions - 1, actions)
    uniform = Fraction(qp.uniform_epsilon(float(epsilon), actions)).limit_denominator(10 ** 9)
    q_values = torch.arange(actions, dtype=double)
    probs = qp.epsilon_greedy_probs(q_values, epsilon=float(epsilon))
    expected = [uniform / actions + (1 - uniform) * (a == actions - 1) for a in range(actions)]
    assert probs.tolist() == pytest.approx([float(part) for part in expected], abs=1e-8)


def test_the_translation_and_its_direction():
    assert qp.uniform_epsilon(0.1, 2) == pytest.approx(0.2, abs=1e-15)  # another action of two: half the draws
    assert qp.uniform_epsilon(0.3, 4) == pytest.approx(0.4, abs=1e-15)
    assert qp.uniform_epsilon(0.0, 5) == 0.0
    for actions in range(2, 60):
        most = (actions - 1) / actions
        assert qp.uniform_epsilon(most, actions) == 1.0
        flat = qp.epsilon_greedy_probs(torch.arange(actions, dtype=double), epsilon=most)
        torch.testing.assert_close(flat, torch.full((actions,), 1 / actions, dtype=double), rtol=0, atol=1e-14)
    # The other direction, ε (A − 1)/A, is another policy.
    probs = qp.epsilon_greedy_probs(numbers(1.0, 0.0), epsilon=0.1)
    assert float(probs[1]) == pytest.approx(0.1) != pytest.approx(0.1 * (2 - 1) / 2 / 2)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
def test_boltzmann_is_scipys_softmax(temperature):
    q_values = drawn((4, 3, 5))
    expected = scipy.special.softmax(q_values.numpy() / temperature, axis=-1)
    np.testing.assert_allclose(qp.boltzmann_probs(q_values, temperature=temperature).numpy(), expected, rtol=1e-12)


def test_boltzmann_by_hand():
    """T = 2, Q = (0, 2 log 3): odds 1 to 3."""
    got = qp.boltzmann_probs(numbers(0.0, 2 * math.log(3)), temperature=2.0)
    assert got.tolist() == pytest.approx([0.25, 0.75], abs=1e-15)


def test_the_limits_of_the_temperature():
    q_values = numbers([1.0, 3.0, 2.0], [4.0, 0.0, 4.0])
    cold = qp.boltzmann_probs(q_values, temperature=1e-3)
    torch.testing.assert_close(cold, numbers([0.0, 1.0, 0.0], [0.5, 0.0, 0.5]), rtol=0, atol=1e-15)
    hot = qp.boltzmann_probs(q_values, temperature=1e9)
    torch.testing.assert_close(hot, torch.full((2, 3), 1 / 3, dtype=double), rtol=0, atol=1e-8)
    entropies = [float(torch.special.entr(qp.boltzmann_probs(q_values, temperature=t)).sum(-1)[0])
                 for t in (0.1, 0.3, 1.0, 3.0, 10.0)]
    assert entropies == sorted(entropies)


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=6), st.integers(-10 ** 6, 10 ** 6), st.floats(0.1, 100),
       st.sampled_from([0.5, 2.0, 64.0]))
def test_boltzmann_knows_differences_over_the_temperature_alone(values, shift, temperature, scale):
    q_values = torch.tensor(values, dtype=double)
    probs = qp.boltzmann_probs(q_values, temperature=temperature)
    moved = qp.boltzmann_probs(q_values + shift, temperature=temperature)
    torch.testing.assert_close(moved, probs, rtol=1e-10, atol=0)
    scaled = qp.boltzmann_probs(scale * q_values, temperature=scale * temperature)
    torch.testing.assert_close(scaled, probs, rtol=1e-10, atol=0)
    for a, b in product(range(len(values)), repeat=2):
        assert values[a] <= values[b] or float(probs[a]) >= float(probs[b])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_values_and_small_temperatures_do_not_overflow(dtype):
    top = torch.finfo(dtype).max
    rows = [[top, 0.0, -top], [top, top, 0.0], [-top, -top, -top], [0.0, top / 2, top]]
    expected = [[float(value == max(row)) / row.count(max(row)) for value in row] for row in rows]
    for temperature in (1e-12, 1.0, 1e12):
        # All rows in one batch: the largest value of one is not that of another.
        got = qp.boltzmann_probs(torch.tensor(rows, dtype=dtype), temperature=temperature)
        torch.testing.assert_close(got, torch.tensor(expected, dtype=dtype), rtol=0, atol=1e-6)


def test_boltzmann_is_differentiable_and_epsilon_greedy_is_data():
    q_values = drawn((5,)).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: qp.boltzmann_probs(q, temperature=0.7), q_values)
    assert not qp.epsilon_greedy_probs(q_values, epsilon=0.2).requires_grad


def test_the_schedule():
    at = [qp.linear_schedule(step, start=1.0, end=0.1, steps=10) for step in (0, 5, 9, 10, 11, 10 ** 9)]
    assert at == pytest.approx([1.0, 0.55, 0.19, 0.1, 0.1, 0.1], abs=1e-15)
    assert qp.linear_schedule(1, start=0.0, end=3.0, steps=3) == pytest.approx(1.0)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(1, 10 ** 6))
def test_the_schedule_is_exact_at_both_ends_and_a_line_between(start, end, steps):
    def at(step):
        return qp.linear_schedule(step, start=start, end=end, steps=steps)
    assert at(0) == start and at(steps) == end and at(3 * steps) == end
    step = steps // 3
    assert at(step) == pytest.approx(np.interp(step, [0, steps], [start, end]), abs=1e-9)


def test_arguments_that_make_no_sense_are_refused():
    table = torch.zeros(4, 3, dtype=double)
    with pytest.raises(ValueError, match=r"q_values: expected at least two actions, .*, got \[4, 1\]"):
        qp.epsilon_greedy_probs(table[:, :1], epsilon=0.1)
    with pytest.raises(ValueError, match=r"q_values: expected shape \[..., A\], got \[\]"):
        qp.epsilon_greedy_probs(table[0, 0], epsilon=0.1)
    for epsilon in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"epsilon: expected a number in \[0, 1\]"):
            qp.epsilon_greedy_probs(table, epsilon=epsilon)
    with pytest.raises(ValueError, match=r"epsilon: expected a number in \[0, 0.5\] for 2 actions, got 0.6"):
        qp.uniform_epsilon(0.6, 2)
    with pytest.raises(ValueError, match=r"epsilon: expected a number in \[0, 0.5\] for 2 actions, got -0.1"):
        qp.uniform_epsilon(-0.1, 2)
    with pytest.raises(ValueError, match="actions: expected a whole number of at least 2, got 1"):
        qp.uniform_epsilon(0.1, 1)
    for temperature in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="temperature: expected a positive number"):
            qp.boltzmann_probs(table, temperature=temperature)
    with pytest.raises(ValueError, match=r"q_values: expected at least one action, .*, got \[4, 0\]"):
        qp.boltzmann_probs(table[:, :0], temperature=1.0)
    with pytest.raises(ValueError, match=r"q_values: expected shape \[..., A\], got \[\]"):
        qp.boltzmann_probs(table[0, 0], temperature=1.0)
    with pytest.raises(ValueError, match="step: expected a whole number of at least 0, got -1"):
        qp.linear_schedule(-1, start=1.0, end=0.0, steps=10)
    with pytest.raises(ValueError, match="steps: expected a whole number of at least 1, got 0"):
        qp.linear_schedule(0, start=1.0, end=0.0, steps=0)
