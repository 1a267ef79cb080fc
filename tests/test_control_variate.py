"""Critics as baselines: unbiased or not, over all trajectories and by quadrature."""

import pytest
import scipy.special
import torch
from random_problems import random_mdp
from small_problems import bandit, with_an_end

from rlcourse.core.seeding import generator
from rlcourse.equations import control_variate as cv
from rlcourse.equations.returns import reward_to_go
from rlcourse.exact.evaluation import finite_horizon_values
from rlcourse.exact.policy_gradient import every_batch, gradient_by_autograd, softmax_scores

double = torch.float64
EXACT = dict(rtol=0, atol=1e-11)
LOGITS = torch.tensor([[0.4, -0.3], [0.1, 0.6], [-0.7, 0.2]], dtype=double)
HORIZON = 3
PROBLEMS = {"random": random_mdp(0), "with an end": with_an_end(0)}


def numbers(shape, name):
    return torch.randn(shape, generator=generator(6, name), dtype=double)


def every_estimate(mdp, critic):
    """Over all trajectories: (prob, score, Ψ, c(s, a), correction) with Q-table `critic` [T, S, A]."""
    every = every_batch(mdp, LOGITS, HORIZON)
    policy, (states, actions) = torch.softmax(LOGITS, -1), LOGITS.shape
    s, a = torch.meshgrid(torch.arange(states), torch.arange(actions), indexing="ij")
    table = cv.discrete_correction(softmax_scores(LOGITS, s, a).expand(HORIZON, -1, -1, -1),
                                   policy.expand(HORIZON, -1, -1), critic)  # [T, S, P]
    step = torch.arange(HORIZON)[:, None, None]
    here = every.state[:-1]
    correction = torch.where(every.valid[..., None], table[step, here], 0.0)
    control = critic[step, here, every.action] * every.valid
    weight = reward_to_go(every.reward, every.terminated, every.truncated)
    return every.prob, every.score, weight, control, correction


def moments(prob, estimate):
    """Mean [P] and total variance of the episode's sum over time."""
    total = estimate.sum(0)[:, 0]
    mean = prob @ total
    return mean, float(prob @ (total - mean).square().sum(-1))


@pytest.mark.parametrize("name", PROBLEMS)
def test_with_the_correction_any_critic_leaves_the_gradient_as_it_is(name):
    mdp = PROBLEMS[name]
    gradient = gradient_by_autograd(mdp, LOGITS, HORIZON).flatten()
    exact = finite_horizon_values(mdp, torch.softmax(LOGITS, -1), HORIZON)[1]
    spread = {}
    for label, critic in (("exact", exact), ("wrong", 10 * numbers(exact.shape, "critic")), ("none", 0 * exact)):
        prob, score, weight, control, correction = every_estimate(mdp, critic)
        mean, spread[label] = moments(prob, cv.control_variate_estimate(score, weight, control, correction))
        torch.testing.assert_close(mean, gradient, **EXACT)
        mean, _ = moments(prob, cv.control_variate_estimate(score, weight, 0.3 * control, 0.3 * correction))
        torch.testing.assert_close(mean, gradient, **EXACT)
        uncorrected, _ = moments(prob, cv.uncorrected_estimate(score, weight, control))
        assert torch.allclose(uncorrected, gradient, **EXACT) == (label == "none")
        expected, _ = moments(prob, -correction)
        torch.testing.assert_close(uncorrected - gradient, expected, **EXACT)
        if label == "exact":
            torch.testing.assert_close(uncorrected, torch.zeros_like(gradient), **EXACT)
    assert spread["exact"] < spread["none"] < spread["wrong"]


def test_state_baselines_may_be_anything_and_the_value_helps_less_than_the_critic():
    mdp = PROBLEMS["random"]
    every = every_batch(mdp, LOGITS, HORIZON)
    gradient = gradient_by_autograd(mdp, LOGITS, HORIZON).flatten()
    weight = reward_to_go(every.reward, every.terminated, every.truncated)
    values, exact = finite_horizon_values(mdp, torch.softmax(LOGITS, -1), HORIZON)
    step, spread = torch.arange(HORIZON)[:, None, None], {}
    for label, table in (("value", values[:-1]), ("anything", 5 * numbers((HORIZON, 3), "value"))):
        estimate = cv.state_baseline_estimate(every.score, weight, table[step, every.state[:-1]])
        mean, spread[label] = moments(every.prob, estimate)
        torch.testing.assert_close(mean, gradient, **EXACT)
    prob, score, weight, control, correction = every_estimate(mdp, exact)
    _, with_actions = moments(prob, cv.control_variate_estimate(score, weight, control, correction))
    assert with_actions < spread["value"] < spread["anything"]


def test_by_hand_on_a_bandit():
    """Two arms, π = ½ each, rewards 1 and 3, c = (1, 3): ∇ = (−½, ½), and every estimate is just that."""
    every = every_batch(bandit(1.0, 3.0), torch.zeros(1, 2, dtype=double), 1)
    scores = torch.tensor([[[0.5, -0.5], [-0.5, 0.5]]], dtype=double)
    correction = cv.discrete_correction(scores, torch.full((1, 2), 0.5, dtype=double),
                                        torch.tensor([[1.0, 3.0]], dtype=double))
    assert correction.tolist() == [[-0.5, 0.5]]
    score, weight = every.score[0, :, 0], every.reward[0, :, 0]
    got = cv.control_variate_estimate(score, weight, weight, correction.expand(2, -1))
    assert got.tolist() == [[-0.5, 0.5]] * 2
    assert cv.uncorrected_estimate(score, weight, weight).tolist() == [[0.0, 0.0]] * 2
    plain = cv.state_baseline_estimate(score, weight, torch.tensor([2.0, 2.0], dtype=double))
    assert plain.tolist() == [[-0.5, 0.5]] * 2  # with two even arms the value does as well


def continuous(mean_of, nodes=6):
    """θ, states s, σ, μ_θ(s), its Jacobian, points of a ~ N(μ_θ(s), σ²), their scores and their weights."""
    points, prob = (torch.tensor(part) for part in scipy.special.roots_hermitenorm(nodes))
    theta = torch.tensor([0.4, -0.6], dtype=double)
    state, std = torch.tensor([0.5, -1.2], dtype=double), 0.7
    mean = mean_of(theta, state)
    jacobian = torch.autograd.functional.jacobian(lambda t: mean_of(t, state), theta)  # [2, P]
    action = mean[:, None] + std * points
    score = (points / std)[None, :, None] * jacobian[:, None]  # ∇_θ log N(a; μ_θ, σ²)
    return theta, state, std, mean, jacobian, action, score, prob / prob.sum()


def mean_of(theta, state):
    return theta[0] * state + theta[1] * torch.sin(state)


def test_the_linearised_critic_in_continuous_actions():
    """Ψ = Q(s, a) = a³ − 2 s a: by Gauss–Hermite, exact here. With the correction the gradient is that of E Q."""
    theta, state, std, mean, jacobian, action, score, prob = continuous(mean_of)
    weight = action ** 3 - 2 * state[:, None] * action
    # E a³ = μ³ + 3 μ σ²: the gradient in closed form.
    gradient = ((3 * mean.square() + 3 * std ** 2 - 2 * state)[:, None] * jacobian)
    for q_slope in (3 * mean.square() - 2 * state, torch.tensor([7.0, -4.0], dtype=double)):  # right, and made up
        control = cv.linear_control(q_slope[:, None, None].expand(2, 6, 1), action[..., None],
                                    mean[:, None, None].expand(2, 6, 1))
        correction = cv.linear_correction(q_slope[:, None], jacobian[:, None])
        expected = torch.einsum("n,snp->sp", prob, score * control[..., None])
        torch.testing.assert_close(expected, correction, **EXACT)
        estimate = cv.control_variate_estimate(score, weight, control, correction[:, None].expand_as(score))
        torch.testing.assert_close(torch.einsum("n,snp->sp", prob, estimate), gradient, **EXACT)
        uncorrected = torch.einsum("n,snp->sp", prob, cv.uncorrected_estimate(score, weight, control))
        assert float((uncorrected - gradient).abs().max()) > 0.1


def test_the_linearised_critic_by_hand():
    """∇ₐQ = (2, −1), a − μ = (3, 4): 2 · 3 − 4 = 2; at the mean 0, as Q(s, μ) belongs to the baseline."""
    q_slope, mean = torch.tensor([[2.0, -1.0]], dtype=double), torch.tensor([[1.0, 1.0]], dtype=double)
    assert cv.linear_control(q_slope, torch.tensor([[4.0, 5.0]], dtype=double), mean).tolist() == [2.0]
    assert cv.linear_control(q_slope, mean, mean).tolist() == [0.0]
    jacobian = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]]], dtype=double)
    assert cv.linear_correction(q_slope, jacobian).tolist() == [[2.0, -3.0, 3.0]]


def test_the_loss_has_minus_the_estimate_as_its_gradient():
    theta, state, std, mean, jacobian, action, score, prob = continuous(mean_of)
    weight, q_slope = numbers((2, 6), "weight"), numbers((2, 1), "slope").requires_grad_()
    free = theta.clone().requires_grad_()
    free_mean = mean_of(free, state)
    log_prob = -0.5 * ((action - free_mean[:, None]) / std).square()
    control = cv.linear_control(q_slope[:, None].expand(2, 6, 1), action[..., None],
                                mean[:, None, None].expand(2, 6, 1))
    expected = (q_slope.detach() * free_mean[:, None]).sum(-1)[:, None].expand(2, 6)
    loss = cv.control_variate_loss(log_prob, weight, control, expected)
    gradient, by_critic = torch.autograd.grad(loss.sum(), (free, q_slope), allow_unused=True)
    assert by_critic is None
    correction = cv.linear_correction(q_slope, jacobian[:, None])[:, None].expand_as(score)
    estimate = cv.control_variate_estimate(score, weight, control, correction)
    torch.testing.assert_close(gradient, -estimate.sum((0, 1)).detach(), **EXACT)

    logits = LOGITS.clone().requires_grad_()
    taken, q_values = torch.tensor([0, 1, 1]), numbers((3, 2), "q")
    log_probs = torch.log_softmax(logits, -1)
    control, weight = q_values[torch.arange(3), taken], numbers((3,), "reward")
    loss = cv.control_variate_loss(log_probs[torch.arange(3), taken], weight, control,
                                   (log_probs.exp() * q_values).sum(-1))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    s, a = torch.meshgrid(torch.arange(3), torch.arange(2), indexing="ij")
    scores = softmax_scores(LOGITS, s, a)
    correction = cv.discrete_correction(scores, torch.softmax(LOGITS, -1), q_values)
    estimate = cv.control_variate_estimate(scores[torch.arange(3), taken], weight, control, correction)
    torch.testing.assert_close(gradient.flatten(), -estimate.sum(0), **EXACT)


def test_arguments_that_make_no_sense_are_refused():
    score, weight = torch.zeros(4, 3, dtype=double), torch.zeros(4, dtype=double)
    with pytest.raises(ValueError, match=r"value: expected shape \[4\], got \[4, 1\]"):
        cv.state_baseline_estimate(score, weight, weight[:, None])
    with pytest.raises(ValueError, match=r"weight: expected shape \[4\], got \[4, 1\]"):
        cv.uncorrected_estimate(score, weight[:, None], weight[:, None])
    with pytest.raises(ValueError, match=r"correction: expected shape \[4, 3\], got \[3\]"):
        cv.control_variate_estimate(score, weight, weight, score[0])
    with pytest.raises(ValueError, match=r"control: expected shape \[4\], got \[1\]"):
        cv.control_variate_estimate(score, weight, weight[:1], score)
    with pytest.raises(ValueError, match=r"probs: expected shape \[4, 2\], got \[4\]"):
        cv.discrete_correction(torch.zeros(4, 2, 3, dtype=double), weight, torch.zeros(4, 2, dtype=double))
    with pytest.raises(ValueError, match=r"mean: expected shape \[4, 1\], got \[4\]"):
        cv.linear_control(weight[:, None], weight[:, None], weight)
    with pytest.raises(ValueError, match=r"mean_jacobian: expected shape \[4, 1, \*\], got \[4, 3\]"):
        cv.linear_correction(weight[:, None], score)
    with pytest.raises(ValueError, match=r"expected_control: expected shape \[4\], got \[\]"):
        cv.control_variate_loss(weight, weight, weight, weight.sum())
