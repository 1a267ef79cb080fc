"""Maximum-entropy control of linear systems in closed form: against SciPy's Riccati solver and quadrature."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import torch
from lq_problems import ONE, PROBLEMS, TWO, matrix

from rlcourse.envs.linear_gain import LinearGain
from rlcourse.exact import linear_gain, soft_lqr
from rlcourse.exact.soft_lqr import LinearQuadratic, policy_value, quadratic_value, soft_q, solve, solve_finite

double = torch.float64
TEMPERATURE, DISCOUNT = 0.35, 0.9


def nodes(count):
    """Points and weights of E f(ε), ε ~ N(0, 1): exact for polynomials up to degree 2 · count − 1."""
    points, weights = (torch.tensor(part) for part in scipy.special.roots_hermitenorm(count))
    return points, weights / weights.sum()


def gaussian_points(cov, count=3):
    """Points [n, d] and weights [n] of N(0, cov), exact for polynomials up to degree 5."""
    points, weights = nodes(count)
    size = len(cov)
    grid = torch.cartesian_prod(*[points] * size).reshape(-1, size)
    prob = torch.cartesian_prod(*[weights] * size).reshape(-1, size).prod(-1)
    values, vectors = torch.linalg.eigh(cov)
    return grid @ (vectors * values.clamp(min=0).sqrt()).T, prob


def q_by_quadrature(problem, value, state, action, discount=DISCOUNT):
    """r + γ E V(s') by hand and by Gauss–Hermite; state [n], action [d]."""
    noise, prob = gaussian_points(problem.noise)
    cost = state @ problem.state_cost @ state + action @ problem.action_cost @ action
    following = problem.dynamics @ state + problem.control @ action + noise
    return -0.5 * cost + discount * (prob @ value(following))


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_the_curvature_solves_the_riccati_equation(name, discount):
    """γ enters SciPy's undiscounted equation as √γ A and √γ B."""
    problem = PROBLEMS[name]
    root = math.sqrt(discount)
    expected = scipy.linalg.solve_discrete_are(root * problem.dynamics.numpy(), root * problem.control.numpy(),
                                               problem.state_cost.numpy(), problem.action_cost.numpy())
    found = solve(problem, temperature=TEMPERATURE, discount=discount)
    np.testing.assert_allclose(found.curvature.numpy(), expected, rtol=1e-9, atol=1e-10)
    hotter = solve(problem, temperature=10.0, discount=discount)
    assert torch.equal(hotter.curvature, found.curvature) and torch.equal(hotter.gain, found.gain)
    torch.testing.assert_close(hotter.action_cov, found.action_cov * 10.0 / TEMPERATURE)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_soft_bellman_equation_by_quadrature(name):
    """V(s) = α log ∫ exp(Q(s, a)/α) da on a grid of actions, with Q by hand: the closed form has no residual."""
    problem = PROBLEMS[name]
    found = solve(problem, temperature=TEMPERATURE, discount=DISCOUNT)
    size = problem.control.shape[1]
    spread = found.action_cov.diagonal().sqrt()
    line = torch.linspace(-9, 9, 81 if size > 1 else 401, dtype=double)
    cell = (line[1] - line[0]) ** size * spread.prod()
    for state in (torch.full((len(problem.dynamics),), 0.7, dtype=double),
                  torch.linspace(-1.5, 0.4, len(problem.dynamics), dtype=double)):
        grid = -found.gain @ state + torch.cartesian_prod(*[line] * size).reshape(-1, size) * spread
        noise, prob = gaussian_points(problem.noise)
        following = state @ problem.dynamics.T + grid @ problem.control.T
        ahead = sum(p * found.value(following + w) for p, w in zip(prob, noise))
        cost = state @ problem.state_cost @ state + ((grid @ problem.action_cost) * grid).sum(-1)
        q_values = -0.5 * cost + DISCOUNT * ahead
        soft_max = TEMPERATURE * (torch.logsumexp(q_values / TEMPERATURE, 0) + torch.log(cell))
        assert float(soft_max) == pytest.approx(float(found.value(state)), abs=1e-9)
        density = torch.distributions.MultivariateNormal(-found.gain @ state, found.action_cov).log_prob(grid)
        torch.testing.assert_close((q_values - soft_max) / TEMPERATURE, density, rtol=0, atol=1e-8)
        torch.testing.assert_close(
            soft_q(problem, found.curvature, found.constant, state.expand(len(grid), -1), grid, discount=DISCOUNT),
            q_values, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_value_of_a_policy_solves_its_soft_bellman_equation(name):
    """V(s) = E[Q(s, a)] + α H(Σ), both expectations by quadrature, for a policy that is not the best."""
    problem = PROBLEMS[name]
    best = solve(problem, temperature=TEMPERATURE, discount=DISCOUNT)
    gain, cov = 0.8 * best.gain, 1.7 * best.action_cov
    curvature, constant = policy_value(problem, gain, cov, temperature=TEMPERATURE, discount=DISCOUNT)
    offset, prob = gaussian_points(cov)
    entropy = torch.distributions.MultivariateNormal(torch.zeros(len(cov), dtype=double), cov).entropy()

    def value(state):
        return quadratic_value(state, curvature, constant)

    for scale in (0.0, 1.0, -2.0):
        state = scale * torch.linspace(1.0, 0.3, len(problem.dynamics), dtype=double)
        mean = -gain @ state
        q_values = torch.stack([q_by_quadrature(problem, value, state, mean + change) for change in offset])
        assert float(prob @ q_values + TEMPERATURE * entropy) == pytest.approx(float(value(state)), abs=1e-10)
        assert float(value(state)) < float(best.value(state)) - 1e-3


def test_the_best_policy_has_the_best_value_and_no_neighbour_does_better():
    for problem in PROBLEMS.values():
        best = solve(problem, temperature=TEMPERATURE, discount=DISCOUNT)
        curvature, constant = policy_value(problem, best.gain, best.action_cov, temperature=TEMPERATURE,
                                           discount=DISCOUNT)
        torch.testing.assert_close(curvature, best.curvature, rtol=1e-9, atol=1e-9)
        assert float(constant) == pytest.approx(float(best.constant), abs=1e-8)
        gain, log_scale = best.gain.clone().requires_grad_(), torch.zeros((), dtype=double, requires_grad=True)
        state = torch.ones(len(problem.dynamics), dtype=double)
        value = quadratic_value(state, *policy_value(problem, gain, best.action_cov * log_scale.exp(),
                                                     temperature=TEMPERATURE, discount=DISCOUNT))
        slopes = torch.autograd.grad(value, (gain, log_scale))
        assert max(float(slope.abs().max()) for slope in slopes) < 1e-9


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_finite_horizon(name):
    """One step to go is the cost alone; every step is the soft maximum over the next; long ones settle."""
    problem = PROBLEMS[name]
    found = solve_finite(problem, 4, temperature=TEMPERATURE, discount=DISCOUNT)
    size = problem.control.shape[1]
    assert found.gain.shape == (4, size, len(problem.dynamics)) and found.constant.shape == (4,)
    torch.testing.assert_close(found.curvature[-1], problem.state_cost)
    assert float(found.gain[-1].abs().max()) == 0.0
    torch.testing.assert_close(found.action_cov[-1], TEMPERATURE * torch.linalg.inv(problem.action_cost))
    state = torch.linspace(1.0, -0.5, len(problem.dynamics), dtype=double)
    for t in range(4):
        curvature = found.curvature[t + 1] if t < 3 else torch.zeros_like(problem.dynamics)
        constant = found.constant[t + 1] if t < 3 else 0.0
        # For every a: V(s) = Q(s, a) − α log π(a|s) if π is the soft optimum.
        policy = torch.distributions.MultivariateNormal(-found.gain[t] @ state, found.action_cov[t])
        for offset in (0.0, 0.4, -1.1):
            action = policy.mean + offset
            q = q_by_quadrature(problem, lambda s: quadratic_value(s, curvature, constant), state, action)
            value = quadratic_value(state, found.curvature[t], found.constant[t])
            assert float(q - TEMPERATURE * policy.log_prob(action)) == pytest.approx(float(value), abs=1e-10)
    long, forever = (solve_finite(problem, 400, temperature=TEMPERATURE, discount=DISCOUNT),
                     solve(problem, temperature=TEMPERATURE, discount=DISCOUNT))
    torch.testing.assert_close(long.gain[0], forever.gain, rtol=1e-9, atol=1e-10)
    assert float(long.constant[0]) == pytest.approx(float(forever.constant), abs=1e-9)


def test_the_linear_gain_problem_and_its_own_closed_forms():
    """A = B = 1, C = D = 2: the environment's reward, and what `exact.linear_gain` says of it (α = 0)."""
    two = matrix([2.0])
    problem = LinearQuadratic(matrix([1.0]), matrix([1.0]), two, two)
    state, action = matrix([0.7]), matrix([-0.3])
    step = LinearGain().step(state, action)
    assert float(soft_q(problem, 0 * two, 0.0, state, action, discount=0.9)) == pytest.approx(float(step.reward))
    found = solve(problem, temperature=0.1, discount=0.9)
    assert float(-found.gain) == pytest.approx(linear_gain.best_gain(0.9), abs=1e-12)
    gain, log_std = torch.tensor(-0.4, dtype=double), torch.tensor(-0.3, dtype=double)
    curvature, constant = policy_value(problem, -gain.reshape(1, 1), torch.exp(2 * log_std).reshape(1, 1),
                                       temperature=0.0, discount=0.9)
    expected = linear_gain.objective(gain, log_std, discount=0.9, start_second_moment=1.3)
    assert float(-0.5 * curvature * 1.3 + constant) == pytest.approx(float(expected), rel=1e-12)


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="temperature: expected a positive number, got 0"):
        solve(ONE, temperature=0.0, discount=0.9)
    with pytest.raises(ValueError, match="discount"):
        solve(ONE, temperature=1.0, discount=1.0)
    with pytest.raises(ValueError, match="horizon"):
        solve_finite(ONE, 0, temperature=1.0)
    with pytest.raises(ValueError, match="action_cost: expected eigenvalues above 0, got 0"):
        replace(ONE, action_cost=matrix([0.0]))
    with pytest.raises(ValueError, match="state_cost: expected a symmetric matrix"):
        replace(TWO, state_cost=matrix([1.0, 0.5], [0.0, 1.0]))
    with pytest.raises(ValueError, match="noise_cov: expected eigenvalues of at least 0, got -1"):
        replace(ONE, noise_cov=matrix([-1.0]))
    with pytest.raises(ValueError, match=r"dynamics: expected shape \[1, 1\]"):
        replace(ONE, dynamics=TWO.dynamics)
    with pytest.raises(ValueError, match=r"gain: expected discount · \(spectral radius .*\)² below 1, got 1"):
        policy_value(ONE, matrix([0.0]), matrix([1.0]), temperature=0.1, discount=0.9)
    with pytest.raises(RuntimeError, match="did not settle in 200 steps"):
        soft_lqr.solve(replace(ONE, dynamics=matrix([2.0]), control=matrix([0.0])), temperature=1.0, discount=0.9,
                       max_iterations=200)
