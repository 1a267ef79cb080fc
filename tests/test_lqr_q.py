"""Linear–quadratic Q-functions: against SciPy's Riccati solver, rollouts, quadrature and autograd."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from lq_problems import ONE, PROBLEMS, matrix

from rlcourse.core.seeding import generator
from rlcourse.equations.continuous_q import deterministic_actor_loss
from rlcourse.exact.lqr_q import best_q, gain_gradient, objective, policy_q, state_moment

double = torch.float64
DISCOUNT = 0.9


def points(*shape, name="points"):
    return torch.randn(shape, generator=generator(0, name), dtype=double)


def square_root(cov):
    values, vectors = np.linalg.eigh(cov.numpy())
    return torch.tensor(vectors * np.sqrt(values.clip(min=0)))


def moments(problem, gain, start, discount=DISCOUNT, steps=900):
    """Σ γᵗ E[sₜ sₜᵀ], one step after the other."""
    closed, now, total = problem.dynamics - problem.control @ gain, start, torch.zeros_like(start)
    for t in range(steps):
        total = total + discount**t * now
        now = closed @ now @ closed.T + problem.noise
    return total


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_the_best_gain_is_that_of_scipy(name, discount):
    """γ enters SciPy's undiscounted equation as √γ A and √γ B."""
    problem, root = PROBLEMS[name], math.sqrt(discount)
    dynamics, control = root * problem.dynamics.numpy(), root * problem.control.numpy()
    riccati = scipy.linalg.solve_discrete_are(dynamics, control, problem.state_cost.numpy(),
                                              problem.action_cost.numpy())
    steepness = problem.action_cost.numpy() + control.T @ riccati @ control
    best = best_q(problem, discount=discount)
    np.testing.assert_allclose(best.steepness.numpy(), steepness, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(best.gain.numpy(), np.linalg.solve(steepness, control.T @ riccati @ dynamics),
                               rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(best.curvature.numpy(), riccati, rtol=1e-9, atol=1e-9)  # its top is V*
    assert float(best.constant) == pytest.approx(-0.5 * discount / (1 - discount) * np.trace(
        riccati @ problem.noise.numpy()), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", PROBLEMS)
def test_q_of_a_policy_is_the_discounted_sum_of_rewards(name):
    """Mean and covariance of the state, step by step: E[sᵀ C s] = mᵀ C m + tr(C Σ)."""
    problem = PROBLEMS[name]
    gain = 0.7 * best_q(problem, discount=DISCOUNT).gain
    state, action = points(len(problem.dynamics)), points(problem.control.shape[1], name="action")
    total, mean, cov, act = 0.0, state, torch.zeros_like(problem.dynamics), action
    closed = problem.dynamics - problem.control @ gain
    for t in range(600):
        cost = problem.state_cost if t == 0 else problem.state_cost + gain.T @ problem.action_cost @ gain
        first = action @ problem.action_cost @ action if t == 0 else 0.0
        total += DISCOUNT**t * -0.5 * float(mean @ cost @ mean + torch.trace(cost @ cov) + first)
        mean = problem.dynamics @ mean + problem.control @ act if t == 0 else closed @ mean
        cov = closed @ cov @ closed.T + problem.noise
    assert float(policy_q(problem, gain, discount=DISCOUNT).q(state, action)) == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_top_is_the_maximum_and_the_greedy_gain_finds_it(name):
    problem = PROBLEMS[name]
    q = policy_q(problem, 0.5 * best_q(problem, discount=DISCOUNT).gain, discount=DISCOUNT)
    state = points(6, len(problem.dynamics))
    action = (-state @ q.gain.T).requires_grad_()
    at_top = q.q(state, action)
    torch.testing.assert_close(at_top, q.top(state), rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(at_top.sum(), action)
    assert float(slope.abs().max()) < 1e-12
    assert bool((q.q(state, action + points(6, problem.control.shape[1], name="aside")) < at_top).all())


@pytest.mark.parametrize("name", PROBLEMS)
def test_greedy_gains_are_policy_improvement_and_end_at_the_best(name):
    problem = PROBLEMS[name]
    best, start = best_q(problem, discount=DISCOUNT), torch.eye(len(problem.dynamics), dtype=double)
    gain, values = 0.4 * best.gain, []
    for _ in range(8):
        values.append(float(objective(problem, gain, start, discount=DISCOUNT)))
        gain = policy_q(problem, gain, discount=DISCOUNT).gain
    assert all(after >= before - 1e-12 for before, after in zip(values, values[1:])) and values[1] > values[0] + 1e-3
    torch.testing.assert_close(gain, best.gain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_deterministic_policy_gradient(name):
    """In closed form, by autograd through J, and as DDPG's actor has it: −Q(s, −K s) on states of the occupancy."""
    problem = PROBLEMS[name]
    gain = (0.6 * best_q(problem, discount=DISCOUNT).gain).requires_grad_()
    size = len(problem.dynamics)
    start = matrix([0.8]) if size == 1 else matrix([0.8, 0.1], [0.1, 0.5])
    (slope,) = torch.autograd.grad(objective(problem, gain, start, discount=DISCOUNT), gain)
    found = gain_gradient(problem, gain.detach(), start, discount=DISCOUNT)
    torch.testing.assert_close(found, slope, rtol=1e-9, atol=1e-10)
    moment = state_moment(problem, gain.detach(), start, discount=DISCOUNT)
    torch.testing.assert_close(moment, moments(problem, gain.detach(), start), rtol=1e-9, atol=1e-10)
    # Q is quadratic: n states with Σ s sᵀ = M stand for the whole occupancy; the critic is fixed, and exact.
    q, states = policy_q(problem, gain.detach(), discount=DISCOUNT), square_root(moment).T
    loss = deterministic_actor_loss(q.q(states, -states @ gain.T)).sum()
    torch.testing.assert_close(-torch.autograd.grad(loss, gain)[0], slope, rtol=1e-9, atol=1e-10)
    # With a replay's states it is another direction, unless there is but one number.
    other = deterministic_actor_loss(q.q(torch.eye(size, dtype=double), -gain.T)).sum()
    replayed = -torch.autograd.grad(other, gain)[0]
    cosine = float((replayed * slope).sum() / replayed.norm() / slope.norm())
    assert cosine > 0.0 and (size == 1) == (cosine > 1 - 1e-9)


def test_a_gain_with_infinite_cost_is_refused():
    with pytest.raises(ValueError, match=r"gain: expected discount · \(spectral radius .*\)² below 1"):
        policy_q(ONE, matrix([0.0]), discount=0.9)
