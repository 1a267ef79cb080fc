"""Exact bias and variance of advantage estimates and critic targets, against the list of all trajectories."""

import math

import pytest
import torch
from random_problems import random_mdp, random_policy
from small_problems import with_an_end

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.tabular import TabularMDP
from rlcourse.equations.actor_critic import n_step_advantage
from rlcourse.equations.returns import gae
from rlcourse.exact.actor_critic import advantage_moments, target_moments
from rlcourse.exact.enumeration import enumerate_trajectories

double = torch.float64
POLICY = random_policy(5)
PROBLEMS = {"random": random_mdp(5), "with an end": with_an_end(5)}
DISCOUNT = 0.8


def exact_value(mdp, policy, discount=DISCOUNT):
    """V^π by repeating V ← r_π + γ P_π V."""
    value = torch.zeros(mdp.num_states, dtype=double)
    for _ in range(200):
        value = (policy * (mdp.reward_table + discount * mdp.transition_probs @ value)).sum(-1)
    return value


def exact_advantage(mdp, policy, discount=DISCOUNT):
    value = exact_value(mdp, policy, discount)
    return mdp.reward_table + discount * mdp.transition_probs @ value - value[:, None]


def from_everywhere(mdp):
    """The same problem, begun with equal chance in every state that is not over."""
    alive = torch.ones(mdp.num_states, dtype=double) if mdp.terminal is None else (~mdp.terminal).double()
    return TabularMDP(mdp.transition_probs, mdp.reward_table, alive / alive.sum(), terminal=mdp.terminal)


def listed(mdp, policy, critic, horizon, estimate):
    """(mean, variance) of the estimate at step 0 by (state, action), over all trajectories of `horizon` steps."""
    paths = enumerate_trajectories(from_everywhere(mdp), policy, horizon)
    state, reward = paths.state.T, paths.reward.T
    over = torch.zeros_like(state, dtype=torch.bool) if mdp.terminal is None else mdp.terminal[state]
    terminated = ~over[:-1] & over[1:]
    got = estimate(reward, critic[state[:-1]], critic[state[1:]], terminated, torch.zeros_like(terminated))[0]
    mean, variance = (torch.zeros(mdp.num_states, mdp.num_actions, dtype=double) for _ in range(2))
    for s in range(mdp.num_states):
        for a in range(mdp.num_actions):
            here = (state[0] == s) & (paths.action[:, 0] == a)
            if here.any():
                prob = paths.prob[here] / paths.prob[here].sum()
                mean[s, a] = prob @ got[here]
                variance[s, a] = prob @ (got[here] - mean[s, a]).square()
    return mean, variance


def critics(mdp):
    right = exact_value(mdp, POLICY)
    wrong = right + torch.tensor([1.0, -2.0, 0.5], dtype=double)  # also where nothing follows: that may not count
    return {"right": right, "wrong": wrong}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("critic", ["right", "wrong"])
@pytest.mark.parametrize("steps, gae_lambda", [(1, 1.0), (2, 1.0), (4, 1.0), (3, 0.7), (4, 0.0)])
def test_moments_against_all_trajectories(name, critic, steps, gae_lambda):
    """n-step advantages, and GAE on a rollout that stops, by the equations of the course on every path."""
    mdp, values = PROBLEMS[name], critics(PROBLEMS[name])[critic]
    keywords = dict(discount=DISCOUNT)
    if gae_lambda == 1.0:
        mean, variance = listed(mdp, POLICY, values, steps,
                                lambda *rollout: n_step_advantage(*rollout, steps=steps, **keywords))
    else:
        mean, variance = listed(mdp, POLICY, values, steps,
                                lambda *rollout: gae(*rollout, gae_lambda=gae_lambda, **keywords))
    bias, spread = advantage_moments(mdp, POLICY, values, discount=DISCOUNT, steps=steps, gae_lambda=gae_lambda)
    alive = torch.ones(3, dtype=torch.bool) if mdp.terminal is None else ~mdp.terminal
    expected = mean - exact_advantage(mdp, POLICY)
    torch.testing.assert_close(bias[alive], expected[alive], rtol=0, atol=1e-10)
    torch.testing.assert_close(spread[alive], variance[alive], rtol=0, atol=1e-10)
    assert (float(bias.abs().max()) < 1e-10) == (critic == "right")
    assert bool((bias[~alive] == 0).all()) and bool((spread[~alive] == 0).all())


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 0.95, 1.0])
def test_for_ever_is_the_limit_of_long(name, gae_lambda):
    mdp = PROBLEMS[name]
    for values in critics(mdp).values():
        keywords = dict(discount=DISCOUNT, gae_lambda=gae_lambda)
        long = advantage_moments(mdp, POLICY, values, steps=200, **keywords)
        for one, two in zip(advantage_moments(mdp, POLICY, values, **keywords), long):
            torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


def test_the_bias_in_closed_form():
    """γⁿ E[error at the end] less the error at s; for λ = 1 and for ever only the latter."""
    mdp, chain = PROBLEMS["random"], torch.einsum("sa,sax->sx", POLICY, PROBLEMS["random"].transition_probs)
    error = torch.tensor([1.0, -2.0, 0.5], dtype=double)
    values = exact_value(mdp, POLICY) + error
    for steps in (1, 3, 6):
        at_the_end = torch.linalg.matrix_power(chain, steps - 1) @ error
        expected = DISCOUNT ** steps * mdp.transition_probs @ at_the_end - error[:, None]
        bias, _ = advantage_moments(mdp, POLICY, values, discount=DISCOUNT, steps=steps)
        torch.testing.assert_close(bias, expected, rtol=0, atol=1e-10)
    bias, _ = advantage_moments(mdp, POLICY, values, discount=DISCOUNT)
    torch.testing.assert_close(bias, -error[:, None].expand(3, 2), rtol=0, atol=1e-10)


def test_a_right_critic_has_less_variance_with_fewer_steps_and_a_wrong_one_less_bias_with_more():
    mdp, found = PROBLEMS["random"], critics(PROBLEMS["random"])
    spread = [float(advantage_moments(mdp, POLICY, found["right"], discount=0.8, gae_lambda=gae_lambda)[1].mean())
              for gae_lambda in (0.0, 0.5, 1.0)]
    assert spread[0] < spread[1] < spread[2]
    bias, _ = zip(*(target_moments(mdp, POLICY, found["wrong"], discount=0.8, steps=steps)
                    for steps in (1, 4, 16, None)))
    size = [float(part.abs().max()) for part in bias]
    assert size[0] > size[1] > size[2] > size[3] and size[3] < 1e-10


@pytest.mark.parametrize("name", PROBLEMS)
def test_targets_against_all_trajectories(name):
    """The mean and variance of y = V̂(s) + Â, the action drawn as well: mixed from the (s, a) of the list."""
    mdp = PROBLEMS[name]
    values = critics(mdp)["wrong"]
    keywords = dict(discount=DISCOUNT, gae_lambda=0.6)
    mean, variance = listed(mdp, POLICY, values, 3, lambda *rollout: gae(*rollout, **keywords))
    average = (POLICY * mean).sum(-1)
    expected_bias = values + average - exact_value(mdp, POLICY)
    expected_spread = (POLICY * (variance + mean.square())).sum(-1) - average.square()
    bias, spread = target_moments(mdp, POLICY, values, steps=3, **keywords)
    alive = torch.ones(3, dtype=torch.bool) if mdp.terminal is None else ~mdp.terminal
    torch.testing.assert_close(bias[alive], expected_bias[alive], rtol=0, atol=1e-10)
    torch.testing.assert_close(spread[alive], expected_spread[alive], rtol=0, atol=1e-10)
    assert bool((bias[~alive] == 0).all())


def test_td_target_by_hand():
    """One state that pays 1 and stays or ends with chance ½, V̂ = 4, γ = ½: y is 1 or 3. V^π = 4/3."""
    probs = torch.tensor([[[0.5, 0.5]], [[0.0, 1.0]]], dtype=double)
    mdp = TabularMDP(probs, torch.tensor([[1.0], [0.0]], dtype=double), torch.tensor([1.0, 0.0], dtype=double),
                     terminal=torch.tensor([False, True]))
    policy, values = torch.ones(2, 1, dtype=double), torch.tensor([4.0, 7.0], dtype=double)
    bias, variance = target_moments(mdp, policy, values, discount=0.5, steps=1)
    assert bias.tolist() == pytest.approx([2 - 4 / 3, 0.0]) and variance.tolist() == pytest.approx([1.0, 0.0])
    bias, variance = advantage_moments(mdp, policy, values, discount=0.5, steps=1)
    assert bias[0].tolist() == pytest.approx([-2.0]) and variance[0].tolist() == pytest.approx([1.0])
    # Whole returns: 2 (1 − 2⁻ᴸ) with L geometric: E = 4/3, E y² = 4 (1 − 2/3 + 1/7).
    bias, variance = target_moments(mdp, policy, values, discount=0.5)
    assert bias.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    assert float(variance[0]) == pytest.approx(4 * (1 - 2 / 3 + 1 / 7) - 16 / 9)


def test_rollouts_of_the_course_have_these_moments():
    """20 000 sampled segments of 3 steps against the exact mean: |error| < 5 standard errors at all 6 pairs.

    Fails by chance less than once in 200 000 runs; the seed is fixed.
    """
    mdp = from_everywhere(PROBLEMS["random"])
    values, count = critics(mdp)["wrong"], 20_000
    random = generator(0, "check")
    state, actions = mdp.initial_state(uniforms((count, 1), random)), []
    first, rows = state, []
    for _ in range(3):
        action = (uniforms((count,), random) > POLICY[state, 0]).to(torch.int64)
        step = mdp.step(state, action, uniforms((count, 1), random))
        rows.append((step.reward, values[state], values[step.next_state]))
        actions.append(action)
        state = step.next_state
    reward, value, next_value = (torch.stack(part) for part in zip(*rows))
    never = torch.zeros_like(reward, dtype=torch.bool)
    got = gae(reward, value, next_value, never, never, discount=DISCOUNT, gae_lambda=0.7)[0]
    bias, variance = advantage_moments(mdp, POLICY, values, discount=DISCOUNT, steps=3, gae_lambda=0.7)
    exact = exact_advantage(mdp, POLICY) + bias
    for s in range(3):
        for a in range(2):
            here = got[(first == s) & (actions[0] == a)]
            assert abs(float(here.mean() - exact[s, a])) < 5 * math.sqrt(float(variance[s, a]) / len(here))
            assert float(here.var()) == pytest.approx(float(variance[s, a]), rel=0.15)


def test_arguments_that_make_no_sense_are_refused():
    mdp, values = PROBLEMS["random"], torch.zeros(3, dtype=double)
    for wrong, message in ((dict(discount=1.0), r"discount: expected a number in \[0, 1\), got 1.0"),
                           (dict(discount=0.9, steps=0), "steps: expected a whole number of at least 1, got 0"),
                           (dict(discount=0.9, gae_lambda=1.5), "gae_lambda")):
        for function in (advantage_moments, target_moments):
            with pytest.raises(ValueError, match=message):
                function(mdp, POLICY, values, **wrong)
    with pytest.raises(ValueError, match=r"critic_values: expected shape \[3\], got \[2\]"):
        advantage_moments(mdp, POLICY, values[:2], discount=0.9)
    with pytest.raises(ValueError, match="critic_values: expected finite numbers"):
        advantage_moments(mdp, POLICY, values + torch.nan, discount=0.9)
    with pytest.raises(ValueError, match="policy: expected probabilities"):
        advantage_moments(mdp, 2 * POLICY, values, discount=0.9)
