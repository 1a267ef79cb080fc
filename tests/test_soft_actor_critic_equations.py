"""Soft actor-critic's target and losses: by hand, and against maximum-entropy control in closed form."""

import math

import pytest
import scipy.special
import torch

from rlcourse.equations import soft_actor_critic as sac
from rlcourse.exact.soft_lqr import LinearQuadratic, policy_value, quadratic_value, soft_q, solve
from rlcourse.nets.distributions import DiagGaussian

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)
TEMPERATURE, DISCOUNT = 0.35, 0.9
PROBLEM = LinearQuadratic(*(torch.tensor([[number]], dtype=double) for number in (1.2, 0.7, 1.5, 0.4)))
STATES = torch.tensor([[-1.5], [0.2], [0.9]], dtype=double)


def numbers(*values):
    return torch.tensor(values, dtype=double)


def quadrature(count=5):
    """Points and weights of E f(ε), ε ~ N(0, 1), exact for polynomials up to degree 2 · count − 1."""
    points, weights = (torch.tensor(part) for part in scipy.special.roots_hermitenorm(count))
    return points, weights / weights.sum()


def test_the_target_by_hand():
    """r = 1, γ = ½, α = 0.1, log π = −2: 1 + ½ (10 + 0.2) = 6.1, and 1 where the problem is over."""
    arguments = (numbers(1.0, 1.0), numbers(10.0, 10.0), numbers(-2.0, -2.0), torch.tensor([False, True]))
    assert sac.sac_target(*arguments, discount=0.5, temperature=0.1).tolist() == pytest.approx([6.1, 1.0])
    assert sac.soft_value(numbers(10.0), numbers(-2.0), temperature=0.1).tolist() == pytest.approx([10.2])
    assert sac.actor_loss(numbers(-2.0), numbers(10.0), temperature=0.1).tolist() == pytest.approx([-10.2])
    hidden = (arguments[0], numbers(10.0, math.nan), numbers(-2.0, math.inf), arguments[3])
    assert sac.sac_target(*hidden, discount=0.5, temperature=0.1).tolist() == pytest.approx([6.1, 1.0])
    one_per_run = numbers(0.1, 0.5)[:, None]
    both = [part.expand(2, 2) for part in arguments]
    got = sac.sac_target(*both, discount=0.5, temperature=one_per_run)
    torch.testing.assert_close(got, torch.tensor([[6.1, 1.0], [6.5, 1.0]], dtype=double))


def any_policy():
    """A Gaussian policy that is not the best, and the closed form of its soft value."""
    best = solve(PROBLEM, temperature=TEMPERATURE, discount=DISCOUNT)
    gain, cov = 0.7 * best.gain, 1.6 * best.action_cov
    return gain, cov, policy_value(PROBLEM, gain, cov, temperature=TEMPERATURE, discount=DISCOUNT)


def expected_target(gain, cov, q_values, sign=1.0):
    """E_{a'} of the target at (s, a) = every state with a = 0.3, a' by quadrature; `sign` −1 is a mistake."""
    action, (points, prob) = torch.full_like(STATES, 0.3), quadrature()
    reward = -0.5 * (1.5 * STATES.square() + 0.4 * action.square())[:, 0]
    following = 1.2 * STATES + 0.7 * action
    next_action = -following @ gain.T + cov.sqrt() * points  # [3, points]
    next_obs = following.expand_as(next_action)
    policy = DiagGaussian(-next_obs[..., None] @ gain.T, (0.5 * cov.log()).expand(*next_obs.shape, 1))
    log_prob = policy.log_prob(next_action[..., None])
    alone = reward[:, None].expand_as(next_action)
    never = torch.zeros_like(alone, dtype=torch.bool)
    target = sac.sac_target(alone, q_values(next_obs[..., None], next_action[..., None]), sign * log_prob, never,
                            discount=DISCOUNT, temperature=TEMPERATURE)
    return target @ prob, q_values(STATES, action)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_expected_target_of_the_exact_critic_is_the_exact_critic(sign):
    """Q^π of a policy that is not the best is the fixed point of its target; not with the sign wrong."""
    gain, cov, value = any_policy()
    target, q = expected_target(gain, cov, lambda s, a: soft_q(PROBLEM, *value, s, a, discount=DISCOUNT), sign)
    assert torch.allclose(target, q, rtol=0, atol=1e-10) == (sign == 1.0)


def gradients(gain, log_std, loss):
    """d E[loss] / d (gain, log σ), averaged over the three states, the noise by quadrature."""
    gain, log_std = (torch.tensor(number, dtype=double, requires_grad=True) for number in (gain, log_std))
    points, prob = quadrature(8)
    states = STATES.expand(-1, len(points))
    mean = -gain * states
    action = mean + log_std.exp() * points
    policy = DiagGaussian(mean[..., None], log_std.expand_as(mean)[..., None])
    total = (loss(policy, states, action) @ prob).mean()
    return torch.stack(torch.autograd.grad(total, (gain, log_std)))


def exact_q(states, action, value):
    return soft_q(PROBLEM, *value, states[..., None], action[..., None], discount=DISCOUNT)


def reparameterised(value):
    return lambda policy, states, action: sac.actor_loss(
        policy.log_prob(action[..., None]), exact_q(states, action, value), temperature=TEMPERATURE)


def by_score(value, baseline=None):
    def loss(policy, states, action):
        action = action.detach()
        return sac.score_actor_loss(policy.log_prob(action[..., None]), exact_q(states, action, value),
                                    None if baseline is None else baseline(states), temperature=TEMPERATURE)
    return loss


def test_both_gradients_of_the_actor_are_the_derivative_of_the_soft_value():
    """∇ E[Q(s, a) − α log π(a|s)] for fixed Q, in closed form: Q is quadratic in a with curvature −H."""
    gain, cov, value = any_policy()
    for k, log_std in ((0.4, -0.5), (1.1, 0.2)):
        curvature = 0.4 + DISCOUNT * 0.7 ** 2 * float(value[0])  # H
        cross = DISCOUNT * 1.2 * 0.7 * float(value[0])
        # E[−Q] = ½ H (k² s² + σ²) − cross · k s² + …,  α E log π = −α log σ + …
        squares = float(STATES.square().mean())
        expected = torch.tensor([(curvature * k - cross) * squares,
                                 curvature * math.exp(2 * log_std) - TEMPERATURE], dtype=double)
        for loss in (reparameterised(value), by_score(value), by_score(value, lambda s: 3.0 + s)):
            torch.testing.assert_close(gradients(k, log_std, loss), expected, rtol=0, atol=1e-10)


def test_the_best_policy_is_where_the_actor_rests():
    best = solve(PROBLEM, temperature=TEMPERATURE, discount=DISCOUNT)
    value, log_std = (best.curvature, best.constant), float(0.5 * best.action_cov.log())
    at_rest = gradients(float(best.gain), log_std, reparameterised(value))
    assert float(at_rest.abs().max()) < 1e-10
    narrower = gradients(float(best.gain), log_std - 0.1, reparameterised(value))
    assert float(narrower[1]) < -0.01  # descent widens it again
    # With V = b exactly, the score form has no variance at all there: Q − α log π is V for every action.
    points = torch.linspace(-3, 3, 7, dtype=double)
    action = -best.gain * STATES + best.action_cov.sqrt() * points
    states = STATES.expand_as(action)
    log_prob = DiagGaussian(-best.gain * states[..., None], best.action_cov.log().expand(3, 7, 1) / 2).log_prob(
        action[..., None])
    bracket = sac.score_actor_loss(log_prob, exact_q(states, action, value),
                                   quadratic_value(states[..., None], *value), temperature=TEMPERATURE)
    assert float(bracket.abs().max()) < 1e-9


def test_the_score_form_is_the_noisier_one_here():
    """One sample's gradient in the gain, over a fine grid of ε: the same mean, several times the variance."""
    _, _, value = any_policy()
    points, prob = quadrature(8)
    spreads = []
    for loss in (reparameterised(value), by_score(value)):
        each = []
        for index in range(len(points)):
            gain = torch.tensor(0.4, dtype=double, requires_grad=True)
            log_std = torch.tensor(-0.5, dtype=double)
            mean = -gain * STATES[:, 0]
            policy = DiagGaussian(mean[:, None], log_std.expand(3, 1))
            one_draw = loss(policy, STATES[:, 0], mean + log_std.exp() * points[index])
            each.append(torch.autograd.grad(one_draw.mean(), gain)[0])
        each = torch.stack(each)
        spreads.append(float(prob @ (each - prob @ each).square()))
    assert spreads[1] > 5 * spreads[0] > 0


def test_a_replayed_action_in_the_actor_has_another_gradient():
    """The action of an old policy in Q and log π: for the reparameterised form nothing of Q reaches the policy."""
    _, _, value = any_policy()
    right = gradients(0.4, -0.5, reparameterised(value))

    def replayed(policy, states, action):
        old = (-1.3 * states).detach()
        log_prob = policy.log_prob(old[..., None])
        return sac.actor_loss(log_prob, exact_q(states, old, value), temperature=TEMPERATURE)

    assert float((gradients(0.4, -0.5, replayed) - right).abs().min()) > 0.1


def test_what_carries_a_gradient_and_what_does_not():
    q, log_prob, log_temperature, reward = (numbers(*row).requires_grad_() for row in
                                            ((1.0, 2.0), (-1.0, 0.5), (-0.7,), (0.0, 1.0)))
    temperature = log_temperature.exp()
    target = sac.sac_target(reward.detach(), q, log_prob, torch.tensor([False, True]), discount=0.9,
                            temperature=temperature)
    assert not target.requires_grad
    loss = sac.actor_loss(log_prob, q, temperature=temperature)
    by_log_prob, by_q, by_temperature = torch.autograd.grad(loss.sum(), (log_prob, q, log_temperature),
                                                            allow_unused=True)
    assert by_temperature is None and by_q.tolist() == [-1.0, -1.0]
    torch.testing.assert_close(by_log_prob, temperature.detach().expand(2), **EXACT)
    score = sac.score_actor_loss(log_prob, q, numbers(0.5, 0.5), temperature=temperature)
    by_log_prob, by_q = torch.autograd.grad(score.sum(), (log_prob, q), allow_unused=True)
    assert by_q is None
    torch.testing.assert_close(by_log_prob, -(q - temperature * log_prob - 0.5).detach(), **EXACT)


def test_the_temperature_rises_where_there_is_too_little_entropy():
    """A Gaussian of known entropy, −E log π by quadrature: the slope in log α is α (H − H̄), 0 on target."""
    points, prob = quadrature()
    policy = DiagGaussian(torch.zeros(5, 1, dtype=double), torch.full((5, 1), -0.4, dtype=double))
    log_prob = policy.log_prob(math.exp(-0.4) * points[:, None]).requires_grad_()
    entropy = -0.4 + 0.5 * math.log(2 * math.pi * math.e)
    for target_entropy in (entropy - 0.3, entropy, entropy + 0.3):
        log_temperature = torch.tensor(-0.7, dtype=double, requires_grad=True)
        loss = sac.temperature_loss(log_prob, log_temperature=log_temperature, target_entropy=target_entropy)
        assert loss.shape == (5,)
        slope, by_policy = torch.autograd.grad(loss @ prob, (log_temperature, log_prob), allow_unused=True)
        assert by_policy is None
        assert float(slope) == pytest.approx(math.exp(-0.7) * (entropy - target_entropy), abs=1e-12)
    # By hand: log π = −2, H̄ = 1.5, α = 0.5: −0.5 (−2 + 1.5) = 0.25.
    loss = sac.temperature_loss(numbers(-2.0), log_temperature=numbers(math.log(0.5)), target_entropy=1.5)
    assert loss.tolist() == pytest.approx([0.25])
    runs = sac.temperature_loss(torch.zeros(2, 3, dtype=double), log_temperature=numbers(0.0, 1.0)[:, None],
                                target_entropy=-1.0)
    assert runs.shape == (2, 3) and runs[:, 0].tolist() == pytest.approx([1.0, math.e])


def test_arguments_that_make_no_sense_are_refused():
    one, flag = torch.zeros(4, dtype=double), torch.zeros(4, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"log_prob: expected shape \[4\], got \[4, 1\]"):
        sac.sac_target(one, one, one[:, None], flag, discount=0.9, temperature=0.1)
    with pytest.raises(ValueError, match=r"next_value: expected shape \[4\], got \[4, 1\]"):
        sac.sac_target(one, one[:, None], one[:, None], flag, discount=0.9, temperature=0.1)
    with pytest.raises(ValueError, match="terminated: expected dtype bool"):
        sac.sac_target(one, one, one, one, discount=0.9, temperature=0.1)
    with pytest.raises(ValueError, match=r"log_prob: expected shape \[4, 1\], got \[4\]"):
        sac.actor_loss(one, one[:, None], temperature=0.1)
    with pytest.raises(ValueError, match="temperature: expected a number of at least 0, got -0.1"):
        sac.actor_loss(one, one, temperature=-0.1)
    with pytest.raises(ValueError, match=r"temperature: expected a shape that broadcasts to \[4\], got \[2, 4\]"):
        sac.actor_loss(one, one, temperature=torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"temperature: expected a shape that broadcasts to \[4\], got \[3\]"):
        sac.actor_loss(one, one, temperature=torch.ones(3))
    with pytest.raises(ValueError, match=r"baseline: expected shape \[4\], got \[2\]"):
        sac.score_actor_loss(one, one, one[:2], temperature=0.1)
    with pytest.raises(ValueError, match=r"log_temperature: expected a shape that broadcasts to .*, got \[4, 1\]"):
        sac.temperature_loss(one, log_temperature=one[:, None], target_entropy=-1.0)
