"""What the importance-weights widget shows, against loops and enumeration, and what its texts promise."""

import math

import numpy as np
import pytest
import torch

from rlcourse.envs.two_rooms import behaviour_logits, policy_logits, two_rooms
from rlcourse.exact.enumeration import enumerate_trajectories
from rlcourse.exact.policy_gradient import gradient_by_autograd
from rlcourse.widgets.app.importance_weights import describe
from rlcourse.widgets.models.importance_weights import (LONGEST, MOST, PRODUCT, SINGLE, behaviour_episodes,
                                                        compute, log_weights)


def probabilities(table):
    return [[math.exp(x) / sum(math.exp(y) for y in row) for x in row] for row in table.tolist()]


def test_the_episodes_are_those_of_the_behaviour_policy():
    """10 000 episodes: each frequency within 4.5 standard errors of its probability (seed 0). The target's actions
    would be hundreds away; seven comparisons fail by chance for about one seed in 20 000."""
    states, actions = behaviour_episodes()
    assert states.shape == actions.shape == (LONGEST, MOST)
    behaviour, mdp = probabilities(behaviour_logits()), two_rooms()

    def distance(hits, total, probability):
        return abs(hits / total - probability) / math.sqrt(probability * (1 - probability) / total)

    far = [distance(int((states[0] == 0).sum()), MOST, 0.75)]
    for s in (0, 1):
        here = states == s
        far.append(distance(int((here & (actions == 1)).sum()), int(here.sum()), behaviour[s][1]))
        for a in (0, 1):
            before = here[:-1] & (actions[:-1] == a)
            far.append(distance(int((before & (states[1:] == 1)).sum()), int(before.sum()),
                                float(mdp.transition_probs[s, a, 1])))
    assert len(far) == 7 and max(far) < 4.5


@pytest.mark.parametrize("weights", (PRODUCT, SINGLE))
def test_what_is_sampled_against_a_loop_over_ten_episodes(weights):
    frame = compute(20, 1.25, 10, weights)
    states, actions = (table.tolist() for table in behaviour_episodes())
    new = probabilities(-0.25 * behaviour_logits() + 1.25 * policy_logits())
    old = probabilities(behaviour_logits())
    weight = np.ones((LONGEST + 1, 10))
    for i in range(10):
        for t in range(LONGEST):
            s, a = states[t][i], actions[t][i]
            weight[t + 1, i] = new[s][a] / old[s][a] * (weight[t, i] if weights == PRODUCT else 1.0)
    assert np.allclose(10.0 ** frame.paths, weight, rtol=1e-10, atol=0)
    assert np.allclose(10.0 ** frame.sample_mean, weight.mean(1), rtol=1e-10, atol=0)
    assert np.allclose(frame.left, weight.sum(1) ** 2 / (weight ** 2).sum(1) / 10, rtol=1e-10, atol=0)
    assert frame.top_count == 1 and np.allclose(frame.top_share, weight.max(1) / weight.sum(1))
    assert 10.0 ** frame.heaviest[20] == pytest.approx(weight[20].max())
    if weights == PRODUCT:
        assert np.allclose(10.0 ** frame.heaviest, weight[:, weight[20].argmax()], rtol=1e-10, atol=0)


def test_the_heaviest_of_a_thousand():
    frame = compute(30, 0.5, 1000, PRODUCT)
    weight = np.sort(np.exp(log_weights(0.5, PRODUCT, slice(1000))[30].numpy()))
    assert frame.top_count == 10 and frame.paths.shape == (LONGEST + 1, 60)
    assert frame.top_share[30] == pytest.approx(weight[-10:].sum() / weight.sum())


def test_what_is_exact_against_all_episodes_of_four_steps():
    old, new = (np.array(probabilities(table)) for table in (behaviour_logits(), policy_logits()))
    every = enumerate_trajectories(two_rooms(), torch.softmax(behaviour_logits(), -1), 4)
    prob, state, action = every.prob.numpy(), every.state[:, :-1].numpy(), every.action.numpy()
    ratio = new[state, action] / old[state, action]
    products, singles = (compute(1, 1.0, 100, weights).left_exact for weights in (PRODUCT, SINGLE))
    assert products[0] == singles[0] == 1.0
    for t in range(1, 5):
        assert products[t] == pytest.approx(1 / (prob @ ratio[:, :t].prod(1) ** 2), abs=1e-12)
        assert singles[t] == pytest.approx(1 / (prob @ ratio[:, t - 1] ** 2), abs=1e-12)
    assert compute(1, 1.0, 100, PRODUCT).epsilon == pytest.approx(np.abs(new - old).sum(1).max() / 2)


def test_the_errors_are_those_of_the_lecture():
    """Variances 9.532 and 4.105 of one episode, bias 0.228 of the gradient's length, at three steps."""
    frame = compute(3, 1.0, 100, PRODUCT)
    size = float(gradient_by_autograd(two_rooms(), policy_logits(), 3).norm())
    assert frame.product_error[2] == pytest.approx(math.sqrt(9.532 / 100) / size, rel=1e-3)
    assert frame.single_bias[2] == pytest.approx(0.228, abs=1e-3)
    assert frame.single_error[2] == pytest.approx(math.hypot(math.sqrt(4.105 / 100) / size, 0.228), rel=1e-3)


def test_at_distance_zero_nothing_is_weighted():
    frame = compute(100, 0.0, 1000, PRODUCT)
    assert np.allclose(frame.left, 1) and np.allclose(frame.left_exact, 1) and frame.growth == pytest.approx(1.0)
    assert np.abs(frame.paths).max() < 1e-12 and frame.epsilon == 0 and frame.single_bias.max() == 0
    assert np.allclose(frame.product_error, frame.single_error)


def test_many_episodes_meet_the_exact_line_where_weights_are_mild():
    """Within 3 % of it at d = 0.25 and ten steps; the sampled share deviates by about 1 % there."""
    frame = compute(10, 0.25, MOST, PRODUCT)
    assert frame.left[10] == pytest.approx(frame.left_exact[10], rel=0.03)
    assert abs(frame.sample_mean[10]) < 0.02


def test_what_the_prediction_says():
    frame = compute(50, 0.75, 1000, PRODUCT)
    assert frame.epsilon < 0.25 and round(frame.epsilon, 2) == 0.25
    assert 1000 * frame.left[50] == pytest.approx(9.9, abs=0.05) and 0.6 < frame.top_share[50] < 0.7
    assert 10.0 ** frame.sample_mean[50] == pytest.approx(0.42, abs=0.005)
    assert 1 / frame.left_exact[50] == pytest.approx(64_000, rel=0.01)
    assert frame.growth == pytest.approx(1.25, abs=0.005)
    words = describe(frame)
    assert "1000 episodes" in words and "are worth 9.9 " in words and "the factor 1.25 a step" in words
    # Not by the luck of these thousand alone: ten other thousands are worth between 2 and 21.
    others = np.exp(log_weights(0.75, PRODUCT, slice(MOST))[50].numpy()).reshape(10, 1000)
    worth = others.sum(1) ** 2 / (others ** 2).sum(1)
    assert 2 < worth.min() and worth.max() < 21 and 7 < np.median(worth) < 12


def test_what_the_first_two_suggestions_ask():
    """Half of the episodes are lost between 20 and 30 steps, a fixed share a step; at d = 1, ten times as many
    episodes last six steps longer: 1.44⁶ is about nine."""
    frame = compute(20, 0.25, 1000, PRODUCT)
    assert frame.epsilon < 0.08 and frame.left[20] > 0.5 > frame.left[30]
    shares = frame.left_exact[11:] / frame.left_exact[10:-1]
    assert np.allclose(shares, 1 / frame.growth, atol=1e-6) and shares[0] == pytest.approx(0.975, abs=1e-3)
    crossed = [int(np.argmax(compute(50, 1.0, n, PRODUCT).left_exact * n < 1)) for n in (1000, MOST)]
    assert crossed == [19, 25] and compute(50, 1.0, MOST, PRODUCT).growth ** 6 == pytest.approx(9.1, abs=0.05)


def test_what_the_last_two_suggestions_ask():
    """The mean of the weights is far below 1 and the sampled size flatters; single ratios keep 70 % of the
    episodes, and products are better up to 14 steps with 10 000 episodes, nowhere with 100."""
    frame = compute(100, 1.5, 1000, PRODUCT)
    assert 10.0 ** frame.sample_mean[100] < 1e-8 and 1000 * frame.left[100] > 1 > 1e20 * frame.left_exact[100]
    product, single = (compute(100, 1.0, MOST, weights) for weights in (PRODUCT, SINGLE))
    assert product.left[100] < 0.001 and single.left[100] == pytest.approx(0.70, abs=0.01)
    assert np.ptp(single.paths) < 0.8 < 8 < np.ptp(product.paths)
    better = 2 + np.flatnonzero(product.product_error[1:] < product.single_error[1:])
    assert better.tolist() == list(range(2, 15))
    few = compute(100, 1.0, 100, PRODUCT)
    assert (few.product_error[1:] > few.single_error[1:]).all()
    # More episodes do not help the single ratio: what is left is bias.
    assert single.single_error[-1] / single.single_bias[-1] < 1.02 and single.single_bias[-1] > 0.3


def test_the_horizon_only_chooses_where_to_look():
    near, far = (compute(horizon, 0.5, 1000, PRODUCT) for horizon in (5, 75))
    assert near.left is far.left and near.horizon == 5 and far.horizon == 75
    assert far.heaviest[75] >= near.heaviest[75] and near.heaviest[5] >= far.heaviest[5]
