"""Exact moments of importance weights and of off-policy gradient estimates, against all trajectories."""

import pytest
import torch
from random_problems import random_mdp
from small_problems import with_an_end

from rlcourse.core.seeding import generator
from rlcourse.envs.tabular import TabularMDP
from rlcourse.envs.two_rooms import behaviour_logits, policy_logits, two_rooms
from rlcourse.equations import importance as im
from rlcourse.equations.policy_gradient import gradient_estimate
from rlcourse.exact import importance as exact
from rlcourse.exact.enumeration import enumerate_trajectories
from rlcourse.exact.policy_gradient import every_batch, gradient_by_autograd, moments

double = torch.float64


def logits(seed, name):
    return torch.randn(3, 2, generator=generator(seed, name), dtype=double)


PROBLEMS = [pytest.param(two_rooms(), policy_logits(), behaviour_logits(), id="two rooms"),
            pytest.param(random_mdp(1), logits(1, "new"), logits(1, "old"), id="random"),
            pytest.param(with_an_end(2), logits(2, "new"), logits(2, "old"), id="with an end")]
WEIGHT = {"product": im.causal_weight, "single": im.single_ratio_weight}


def enumerated(mdp, target, behaviour, horizon):
    """All episodes of the behaviour policy, their ratios and ends."""
    batches = every_batch(mdp, target, horizon, behaviour_logits=behaviour)
    return batches, im.importance_ratio(batches.log_prob, batches.behaviour_log_prob), (
        batches.terminated, batches.truncated)


@pytest.mark.parametrize("mdp, target, behaviour", PROBLEMS)
def test_the_second_moment_of_the_weights_over_all_trajectories(mdp, target, behaviour):
    new, old = torch.softmax(target, -1), torch.softmax(behaviour, -1)
    got = exact.log_second_moment_of_weights(mdp, new, old, 5).exp()
    assert got.shape == (6,) and float(got[0]) == 1.0
    for horizon in range(1, 6):
        batches, ratio, ends = enumerated(mdp, target, behaviour, horizon)
        weight = im.trajectory_ratio(ratio, *ends)[0, :, 0]
        assert float(got[horizon]) == pytest.approx(float(batches.prob @ weight ** 2), abs=1e-10)


def test_the_second_moments_in_two_rooms():
    new, old = (torch.softmax(table, -1) for table in (policy_logits(), behaviour_logits()))
    got = exact.log_second_moment_of_weights(two_rooms(), new, old, 6).exp()
    assert got.tolist() == pytest.approx([1.0, 1.4890, 2.1931, 3.2082, 4.6726, 6.7861, 9.8375], abs=1e-4)


def test_growth_is_the_ratio_of_late_second_moments():
    new, old = (torch.softmax(table, -1) for table in (policy_logits(), behaviour_logits()))
    growth = exact.weight_growth(two_rooms(), new, old)
    assert growth == pytest.approx(1.444618, abs=1e-6)
    # A 2 × 2 matrix has λ = (tr + √(tr² − 4 det))/2.
    probs = two_rooms().transition_probs
    (a, b), (c, d) = [[float(sum(new[s, k] ** 2 / old[s, k] * probs[s, k, x] for k in (0, 1)))
                       for x in (0, 1)] for s in (0, 1)]
    assert growth == pytest.approx(((a + d) + ((a + d) ** 2 - 4 * (a * d - b * c)) ** 0.5) / 2, abs=1e-12)
    # 5000 steps: far beyond what a float64 could hold outside a logarithm.
    late = exact.log_second_moment_of_weights(two_rooms(), new, old, 5000)
    assert float(late[-1]) > 1800 and float((late[-1] - late[-2]).exp()) == pytest.approx(growth, abs=1e-9)
    assert exact.weight_growth(two_rooms(), old, old) == pytest.approx(1.0, abs=1e-12)
    assert exact.log_second_moment_of_weights(two_rooms(), old, old, 50).abs().max() < 1e-12


@pytest.mark.parametrize("weight", exact.WEIGHTS)
@pytest.mark.parametrize("mdp, target, behaviour", PROBLEMS)
def test_gradient_moments_over_all_trajectories(mdp, target, behaviour, weight):
    mean, variance = exact.off_policy_gradient_moments(mdp, target, behaviour, 3, weight)
    for horizon in range(1, 4):
        batches, ratio, ends = enumerated(mdp, target, behaviour, horizon)
        estimate = gradient_estimate(batches.score, WEIGHT[weight](batches.reward, ratio, *ends))
        expected, covariance = moments(batches.prob, estimate)
        torch.testing.assert_close(mean[horizon - 1], expected, rtol=0, atol=1e-10)
        assert float(variance[horizon - 1]) == pytest.approx(float(covariance.trace()), abs=1e-9)


def test_products_are_unbiased_at_long_horizons_and_single_ratios_are_not():
    gradient = gradient_by_autograd(two_rooms(), policy_logits(), 30).flatten()
    problem = (two_rooms(), policy_logits(), behaviour_logits(), 30)
    products, singles = (exact.off_policy_gradient_moments(*problem, weight) for weight in exact.WEIGHTS)
    torch.testing.assert_close(products[0][-1], gradient, rtol=0, atol=1e-9)
    assert float((singles[0][-1] - gradient).norm() / gradient.norm()) > 0.3
    # What the lecture's table says of three steps.
    assert float(products[1][2]) == pytest.approx(9.532, abs=1e-3)
    assert float(singles[1][2]) == pytest.approx(4.105, abs=1e-3)


def test_an_action_that_neither_policy_takes():
    new = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0]], dtype=double)
    old = torch.tensor([[0.3, 0.7, 0.0], [0.6, 0.4, 0.0]], dtype=double)
    probs = torch.full((2, 3, 2), 0.5, dtype=double)
    mdp = TabularMDP(probs, torch.zeros(2, 3, dtype=double), torch.tensor([1.0, 0.0], dtype=double))
    ratio = exact.policy_ratio(mdp, new, old)
    assert ratio[:, 2].tolist() == [0.0, 0.0] and float(ratio[1, 1]) == pytest.approx(2.0)
    every = enumerate_trajectories(mdp, old, 3)
    square = ratio[every.state[:, :-1], every.action].prod(-1) ** 2
    got = exact.log_second_moment_of_weights(mdp, new, old, 3)[-1].exp()
    assert float(got) == pytest.approx(float(every.prob @ square), abs=1e-12)


def test_wrong_input_is_named():
    new, old = (torch.softmax(table, -1) for table in (policy_logits(), behaviour_logits()))
    never = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=double)
    with pytest.raises(ValueError, match="behaviour: expected a positive probability"):
        exact.log_second_moment_of_weights(two_rooms(), new, never, 3)
    with pytest.raises(ValueError, match="policy: expected shape"):
        exact.weight_growth(two_rooms(), new[:1], old)
    with pytest.raises(ValueError, match="horizon: expected a whole number"):
        exact.log_second_moment_of_weights(two_rooms(), new, old, -1)
    with pytest.raises(ValueError, match="weight: expected one of product, single, got 'whole'"):
        exact.off_policy_gradient_moments(two_rooms(), policy_logits(), behaviour_logits(), 3, "whole")
    with pytest.raises(ValueError, match="behaviour: expected shape"):
        exact.off_policy_gradient_moments(two_rooms(), policy_logits(), behaviour_logits()[:1], 3, "single")
