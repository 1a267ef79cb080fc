"""The closed forms of the two-parameter linear problem against enumeration, quadrature and Riccati."""

from itertools import product
from math import exp

import pytest
import scipy.linalg
import scipy.special
import torch

from rlcourse.equations.natural_gradient import gaussian_fisher, gaussian_kl, natural_gradient, pulled_back_fisher
from rlcourse.exact import linear_gain

double = torch.float64
GAINS = torch.tensor([-1.7, -1.0, -0.6, -0.2, 0.0, 0.03], dtype=double)
LOG_STDS = torch.tensor([-2.0, -0.5, 0.0, 0.3, -1.0, 0.1], dtype=double)
LIMITS = [(0.9, None), (0.5, None), (0.9, 20), (1.0, 7), (0.0, 3), (0.8, 1)]


@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_the_objective_by_enumeration_of_coin_flips(discount):
    """Only second moments matter: noise of ±σ gives the same J, and 2⁶ paths are all there is. Two starts."""
    horizon = 6
    for gain, log_std in zip(GAINS.tolist(), LOG_STDS.tolist()):
        total, moment = 0.0, 0.0
        for flips in product((-1.0, 1.0), repeat=horizon):
            for state in (0.5, -1.5):
                for t, flip in enumerate(flips):
                    action = gain * state + exp(log_std) * flip
                    total -= discount ** t * (state ** 2 + action ** 2) / 2 ** (horizon + 1)
                    moment += discount ** t * state ** 2 / 2 ** (horizon + 1)
                    state += action
        arguments = torch.tensor(gain, dtype=double), torch.tensor(log_std, dtype=double)
        keywords = dict(discount=discount, horizon=horizon, start_second_moment=(0.25 + 2.25) / 2)
        assert float(linear_gain.objective(*arguments, **keywords)) == pytest.approx(total, rel=1e-10)
        mean = moment / sum(discount ** t for t in range(horizon))
        assert float(linear_gain.second_moment(*arguments, **keywords)) == pytest.approx(mean, rel=1e-10)


def test_for_ever_is_the_limit_of_long():
    for function in (linear_gain.objective, linear_gain.gradient, linear_gain.fisher):
        forever = function(GAINS, LOG_STDS, discount=0.9)
        long = function(GAINS, LOG_STDS, discount=0.9, horizon=600)
        torch.testing.assert_close(long, forever, rtol=1e-9, atol=1e-9)
        assert float((function(GAINS, LOG_STDS, discount=0.9, horizon=20) - forever).abs().max()) > 0.01


@pytest.mark.parametrize("discount, horizon", LIMITS)
def test_the_gradient_is_that_of_the_objective(discount, horizon):
    gain, log_std = GAINS.clone().requires_grad_(), LOG_STDS.clone().requires_grad_()
    keywords = dict(discount=discount, horizon=horizon, start_second_moment=0.7)
    expected = torch.autograd.grad(linear_gain.objective(gain, log_std, **keywords).sum(), (gain, log_std))
    got = linear_gain.gradient(GAINS, LOG_STDS, **keywords)
    torch.testing.assert_close(got, torch.stack(expected, -1), rtol=1e-11, atol=1e-11)


def test_reinforce_by_quadrature_gives_the_gradient():
    """E[Σₜ ∇log π Rₜ] over three Gaussian draws: Gauss–Hermite with 6 nodes each, exact for its polynomials."""
    gain, log_std, discount, start = -0.4, -0.3, 0.8, 1.3
    spread = torch.tensor(log_std, dtype=double).exp()
    nodes, weights = (torch.tensor(part) for part in scipy.special.roots_hermitenorm(6))
    noise = torch.cartesian_prod(nodes, nodes, nodes)
    prob = torch.cartesian_prod(*[weights / weights.sum()] * 3).prod(-1)
    state, states, rewards = torch.full((len(prob),), start, dtype=double), [], []
    for t in range(3):
        action = gain * state + spread * noise[:, t]
        states.append(state)
        rewards.append(-discount ** t * (state.square() + action.square()))
        state = state + action
    by_gain = sum(noise[:, t] * states[t] / spread * sum(rewards[t:]) for t in range(3))
    by_log_std = sum((noise[:, t].square() - 1) * sum(rewards[t:]) for t in range(3))
    got = linear_gain.gradient(torch.tensor(gain, dtype=double), torch.tensor(log_std, dtype=double),
                               discount=discount, horizon=3, start_second_moment=start ** 2)
    assert got.tolist() == pytest.approx([float(prob @ by_gain), float(prob @ by_log_std)], rel=1e-10)


@pytest.mark.parametrize("discount, horizon", LIMITS)
def test_the_fisher_matrix_is_the_curvature_of_the_kl(discount, horizon):
    """sₜ given s₀ = 1 is Gaussian; its KL to a neighbour is quadratic in s, so two nodes of s give its mean."""
    for gain, log_std in zip(GAINS[2:], LOG_STDS[2:]):
        mean, variance, states, prob = 1.0, 0.0, [], []
        for t in range(horizon or 500):
            for sign in (-1.0, 1.0):
                states.append(mean + sign * variance ** 0.5)
                prob.append(0.5 * discount ** t)
            mean, variance = (1 + float(gain)) * mean, (1 + float(gain)) ** 2 * variance + exp(2 * float(log_std))
        states = torch.tensor(states, dtype=double)[:, None]
        prob = torch.tensor(prob, dtype=double) / sum(prob)

        def kl(x, states=states, prob=prob, gain=gain, log_std=log_std):
            old = log_std.expand_as(states)
            return prob @ gaussian_kl(gain * states, old, x[0] * states, x[1].expand_as(states))

        expected = torch.autograd.functional.hessian(kl, torch.stack([gain, log_std]))
        got = linear_gain.fisher(gain, log_std, discount=discount, horizon=horizon)
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
        jacobian = torch.zeros(len(states), 2, 2, dtype=double)
        jacobian[:, 0, 0], jacobian[:, 1, 1] = states[:, 0], 1.0
        pulled = pulled_back_fisher(jacobian, gaussian_fisher(log_std[None]).expand(len(states), 2, 2), prob)
        torch.testing.assert_close(got, pulled, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("discount", [0.3, 0.9, 0.99])
def test_the_best_gain_solves_riccati_and_stops_the_gradient(discount):
    root = discount ** 0.5 * torch.eye(1, dtype=double).numpy()
    curvature = float(scipy.linalg.solve_discrete_are(root, root, [[1.0]], [[1.0]]).item())
    best = linear_gain.best_gain(discount)
    assert best == pytest.approx(-discount * curvature / (1 + discount * curvature), abs=1e-12)
    for log_std, start in ((-3.0, 1.0), (0.5, 0.1)):
        got = linear_gain.gradient(torch.tensor(best, dtype=double), torch.tensor(log_std, dtype=double),
                                   discount=discount, start_second_moment=start)
        assert float(got[0]) == pytest.approx(0.0, abs=1e-9) and float(got[1]) < 0
    assert linear_gain.best_gain(1 - 1e-9) == pytest.approx(-(5 ** 0.5 - 1) / 2, abs=1e-8)


def test_the_vanilla_arrow_turns_and_the_natural_one_does_not():
    """k = −0.2, γ = 0.9, from σ = 1 to σ = 0.03: the vanilla arrow comes down from 41° to 0.4° against the
    axis of the gain. The direction of the natural one is the same at *every* σ (and m₀): 45.7°."""
    gain, log_std = torch.tensor([-0.2, -0.2], dtype=double), torch.tensor([1.0, 0.03], dtype=double).log()
    gradient = linear_gain.gradient(gain, log_std, discount=0.9)
    natural = natural_gradient(linear_gain.fisher(gain, log_std, discount=0.9), gradient)
    vanilla_angle, natural_angle = (torch.atan2(-arrow[:, 1], -arrow[:, 0]).rad2deg().tolist()
                                    for arrow in (gradient, natural))
    assert vanilla_angle == pytest.approx([40.972, 0.444], abs=1e-3)
    assert natural_angle == pytest.approx([45.682, 45.682], abs=1e-3)
    elsewhere = natural_gradient(linear_gain.fisher(gain, log_std, discount=0.9, start_second_moment=7.0),
                                 linear_gain.gradient(gain, log_std, discount=0.9, start_second_moment=7.0))
    torch.testing.assert_close(elsewhere, natural, rtol=1e-10, atol=0)


def test_what_diverges_is_refused():
    unstable = torch.tensor([0.1], dtype=double), torch.tensor([0.0], dtype=double)
    for function in (linear_gain.objective, linear_gain.gradient, linear_gain.fisher, linear_gain.second_moment):
        with pytest.raises(ValueError, match=r"gain: expected gains k with .*\(1 \+ k\)² < 1, got one with 1.089"):
            function(*unstable, discount=0.9)
        with pytest.raises(ValueError, match=r"discount: expected a number in \[0, 1\), got 1.0"):
            function(*unstable, discount=1.0)
        with pytest.raises(ValueError, match="start_second_moment: expected a number of at least 0, got -1.0"):
            function(*unstable, discount=0.9, horizon=3, start_second_moment=-1.0)
        assert bool(torch.isfinite(function(*unstable, discount=1.0, horizon=3)).all())
    with pytest.raises(ValueError, match=r"discount: expected a number in \(0, 1\), got 1"):
        linear_gain.best_gain(1)
