"""Targets and advantages of a critic, for every placement of both ends in rollouts of up to four steps."""

from itertools import product

import pytest
import torch
from small_problems import with_an_end

from rlcourse.core.seeding import generator
from rlcourse.equations import actor_critic as ac
from rlcourse.equations.returns import gae, reward_to_go
from rlcourse.exact.policy_gradient import every_batch

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)
SETTINGS = [(0.9, 0.0), (0.9, 0.6), (1.0, 0.95), (0.8, 1.0), (0.0, 0.5)]


def numbers(shape, name):
    return torch.randn(shape, generator=generator(4, name), dtype=double)


def every_placement(steps):
    """(terminated, truncated) [T, 4^T]: none, one, the other or both ends at each step."""
    kinds = torch.tensor(list(product(range(4), repeat=steps))).T
    return kinds % 2 == 1, kinds >= 2


def rollouts(steps):
    """reward, value, next_value, terminated, truncated: next_value is value[t + 1] inside an episode alone."""
    terminated, truncated = every_placement(steps)
    reward, value, beyond = (numbers(terminated.shape, name) for name in ("reward", "value", "beyond"))
    last = terminated | truncated
    last[-1] = True
    return reward, value, torch.where(last, beyond, value.roll(-1, 0)), terminated, truncated


def walk(reward, next_value, terminated, truncated, start, steps, discount):
    """One column from `start`: add rewards one by one until n of them, an end, or the last row; then the value."""
    total, weight = 0.0, 1.0
    for t in range(start, len(reward)):
        total += weight * reward[t]
        weight *= discount
        if terminated[t]:
            return total
        if truncated[t] or t == len(reward) - 1 or t == start + steps - 1:
            return total + weight * next_value[t]
    raise AssertionError("no step")


def walked(problem, steps, discount):
    """The n-step targets [T, 4^T] by walking, column by column."""
    reward, _, *rest = (part.T.tolist() for part in problem)
    return torch.tensor([[walk(*column, t, steps, discount) for t in range(len(column[0]))]
                         for column in zip(reward, *rest)], dtype=double).T


@pytest.mark.parametrize("length", [1, 2, 3, 4])
@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
def test_targets_for_every_placement_of_ends(length, discount):
    problem = rollouts(length)
    reward, value, next_value, terminated, truncated = problem
    ends = (next_value, terminated, truncated)
    for steps in range(1, length + 3):
        expected = walked(problem, steps, discount)
        got = ac.n_step_target(reward, *ends, discount=discount, steps=steps)
        torch.testing.assert_close(got, expected, **EXACT)
        advantage = ac.n_step_advantage(reward, value, *ends, discount=discount, steps=steps)
        torch.testing.assert_close(advantage, expected - value, **EXACT)
    everything = walked(problem, 99, discount)
    torch.testing.assert_close(ac.monte_carlo_target(reward, *ends, discount=discount), everything, **EXACT)
    one = walked(problem, 1, discount)
    torch.testing.assert_close(ac.td_target(reward, next_value, terminated, discount=discount), one, **EXACT)
    error = ac.td_error(reward, value, next_value, terminated, discount=discount)
    torch.testing.assert_close(error, one - value, **EXACT)


def test_targets_by_hand():
    """Rewards 1 2 4 8, γ = ½, values behind the steps 16 32 64 128."""
    reward = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=double)
    behind = torch.tensor([16.0, 32.0, 64.0, 128.0], dtype=double)
    never, second = torch.zeros(4, dtype=torch.bool), torch.tensor([False, True, False, False])
    goes_on, ends = (behind, never, never), (behind, second, never)
    cut = (behind, never, second)
    assert ac.td_target(reward, behind, second, discount=0.5).tolist() == [9.0, 2.0, 36.0, 72.0]
    assert ac.n_step_target(reward, *goes_on, discount=0.5, steps=2).tolist() == [10.0, 20.0, 40.0, 72.0]
    assert ac.n_step_target(reward, *ends, discount=0.5, steps=2).tolist() == [2.0, 2.0, 40.0, 72.0]
    assert ac.n_step_target(reward, *cut, discount=0.5, steps=3).tolist() == [10.0, 18.0, 40.0, 72.0]
    assert ac.monte_carlo_target(reward, *goes_on, discount=0.5).tolist() == [12.0, 22.0, 40.0, 72.0]
    assert ac.monte_carlo_target(reward, *ends, discount=0.5).tolist() == [2.0, 2.0, 40.0, 72.0]
    assert ac.n_step_weights(4, 0.5).tolist() == [0.5, 0.25, 0.125, 0.125]
    assert ac.n_step_weights(3, 1.0).tolist() == [0.0, 0.0, 1.0]
    assert ac.n_step_weights(3, 0.0).tolist() == [1.0, 0.0, 0.0] and ac.n_step_weights(1, 0.3).tolist() == [1.0]


def wrong_n_step(problem, mistake, discount=0.9, steps=2):
    """n-step targets by a loop with one decision changed."""
    reward, _, next_value, terminated, truncated = problem
    rows = []
    for start in range(len(reward)):
        total, weight, open_still = torch.zeros_like(reward[0]), 1.0, torch.ones_like(terminated[0])
        for t in range(start, len(reward)):
            total = total + weight * reward[t] * open_still
            weight *= discount
            last_of_all = t == len(reward) - 1 or t == start + steps - 1 + (mistake == "one step more")
            stops = truncated[t] | last_of_all | terminated[t]
            if mistake == "leak across resets":
                stops = terminated[t] | torch.tensor(last_of_all)
            bootstraps = stops & ~terminated[t] & open_still
            if mistake == "bootstrap through termination":
                bootstraps = stops & open_still
            elif mistake == "no bootstrap at truncation":
                bootstraps = bootstraps & ~truncated[t]
            exponent = weight / discount if mistake == "exponent n - 1" else weight
            total = total + exponent * next_value[t] * bootstraps
            open_still = open_still & ~stops
            if last_of_all:
                break
        if mistake == "rewards up to t + n" and start + steps < len(reward):
            total = total + weight * reward[start + steps] * ~(terminated | truncated)[start:start + steps].any(0)
        rows.append(total)
    return torch.stack(rows)


@pytest.mark.parametrize("mistake", ["none", "one step more", "rewards up to t + n", "exponent n - 1",
                                     "leak across resets", "bootstrap through termination",
                                     "no bootstrap at truncation"])
def test_the_walk_tells_the_usual_mistakes(mistake):
    problem = rollouts(4)
    right = torch.allclose(wrong_n_step(problem, mistake), walked(problem, 2, 0.9), atol=1e-9)
    assert right == (mistake == "none")


@pytest.mark.parametrize("discount, gae_lambda", SETTINGS)
def test_lambda_returns_and_gae_are_weighted_sums_of_n_step_estimates(discount, gae_lambda):
    """The weights of n_step_weights over the steps left, at each of 4⁴ placements of the ends."""
    problem = rollouts(4)
    reward, value, next_value, terminated, truncated = problem
    last = terminated | truncated
    last[-1] = True
    estimates = torch.stack([walked(problem, n, discount) for n in range(1, 5)])  # [n, T, 4^T]
    target = torch.full_like(reward, torch.nan)
    for t, left in ((t, left) for t in range(4) for left in range(1, 5 - t)):
        these = last[t + left - 1] & ~last[t:t + left - 1].any(0)  # the columns in which so many steps are left
        target[t, these] = ac.n_step_weights(left, gae_lambda) @ estimates[:left, t, these]
    keywords = dict(discount=discount, gae_lambda=gae_lambda)
    torch.testing.assert_close(ac.lambda_return(*problem, **keywords), target, **EXACT)
    torch.testing.assert_close(gae(*problem, **keywords), target - value, **EXACT)


def test_without_the_leftover_weight_the_sum_is_another():
    problem = rollouts(3)
    weights = ac.n_step_weights(3, 0.6)
    weights[-1] *= 0.4
    estimates = torch.stack([walked(problem, n, 0.9) for n in (1, 2, 3)])[:, 0, 0]  # no end in column 0
    right = ac.lambda_return(*problem, discount=0.9, gae_lambda=0.6)[0, 0]
    assert abs(float(weights @ estimates - right)) > 0.05 and float(weights.sum()) == pytest.approx(1 - 0.6 ** 3)


@pytest.mark.parametrize("length, gae_lambda", [(1, 0.3), (2, 0.0), (5, 0.95), (40, 0.5), (7, 1.0)])
def test_the_weights_sum_to_one(length, gae_lambda):
    weights = ac.n_step_weights(length, gae_lambda)
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-14) and weights.dtype == double
    expected = [(1 - gae_lambda) * gae_lambda ** n for n in range(length - 1)] + [gae_lambda ** (length - 1)]
    assert weights.tolist() == pytest.approx(expected, abs=1e-15)


def test_lambda_one_telescopes_with_any_wrong_value_function():
    """All ends: whatever V is inside an episode, the λ = 1 return holds only rewards and the value at its end."""
    reward, value, next_value, terminated, truncated = rollouts(4)
    one = ac.lambda_return(reward, value, next_value, terminated, truncated, discount=0.9, gae_lambda=1.0)
    whole = ac.monte_carlo_target(reward, next_value, terminated, truncated, discount=0.9)
    torch.testing.assert_close(one, whole, **EXACT)
    last = terminated | truncated
    last[-1] = True
    inside = torch.where(last, next_value, 100.0 + next_value)  # a worse critic, but the same at the ends
    worse = ac.lambda_return(reward, value + 100.0, inside, terminated, truncated, discount=0.9, gae_lambda=1.0)
    torch.testing.assert_close(worse, whole, rtol=0, atol=1e-10)
    less = ac.lambda_return(reward, value + 100.0, inside, terminated, truncated, discount=0.9, gae_lambda=0.9)
    assert float((less - whole).abs().max()) > 1.0


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_halves_make_the_whole(cut):
    """Two rollouts, the first of which simply stops, are as good as one that is truncated in between."""
    reward, value, next_value, terminated, truncated = rollouts(4)
    truncated = truncated.clone()
    truncated[cut - 1] = True
    problem = (reward, value, next_value, terminated, truncated)
    first, second = [part[:cut] for part in problem], [part[cut:] for part in problem]
    first[4] = first[4].clone()
    first[4][-1] = False  # the first half simply stops there
    for function, keywords in ((ac.lambda_return, dict(gae_lambda=0.7)), (ac.n_step_advantage, dict(steps=3)),
                               (gae, dict(gae_lambda=0.7))):
        whole = function(*problem, discount=0.9, **keywords)
        parts = [function(*half, discount=0.9, **keywords) for half in (first, second)]
        torch.testing.assert_close(torch.cat(parts), whole, **EXACT)
    parts = [ac.monte_carlo_target(half[0], *half[2:], discount=0.9) for half in (first, second)]
    whole = ac.monte_carlo_target(reward, next_value, terminated, truncated, discount=0.9)
    torch.testing.assert_close(torch.cat(parts), whole, **EXACT)


def test_monte_carlo_without_values_is_the_reward_to_go():
    reward, _, next_value, terminated, truncated = rollouts(4)
    got = ac.monte_carlo_target(reward, torch.zeros_like(reward), terminated, truncated, discount=0.9)
    torch.testing.assert_close(got, reward_to_go(reward, terminated, truncated, discount=0.9), **EXACT)


def test_what_lies_behind_a_terminal_state_does_not_matter():
    reward, value, next_value, terminated, truncated = rollouts(3)
    for behind in (torch.inf, torch.nan):
        hidden = torch.where(terminated, behind, next_value)
        for function, keywords in ((ac.n_step_advantage, dict(steps=2)), (ac.lambda_return, dict(gae_lambda=0.5))):
            torch.testing.assert_close(
                function(reward, value, hidden, terminated, truncated, discount=0.9, **keywords),
                function(reward, value, next_value, terminated, truncated, discount=0.9, **keywords), **EXACT)
        got = ac.monte_carlo_target(reward, hidden, terminated, truncated, discount=0.9)
        assert bool(torch.isfinite(got).all())


def test_no_gradient_flows_through_a_target():
    reward, value, next_value, terminated, truncated = rollouts(3)
    value, next_value = value.requires_grad_(), next_value.requires_grad_()
    ends = (terminated, truncated)
    for target in (ac.td_target(reward, next_value, terminated, discount=0.9),
                   ac.monte_carlo_target(reward, next_value, *ends, discount=0.9),
                   ac.n_step_target(reward, next_value, *ends, discount=0.9, steps=2),
                   ac.lambda_return(reward, value, next_value, *ends, discount=0.9, gae_lambda=0.5)):
        assert not target.requires_grad
    error = ac.td_error(reward, value, next_value, terminated, discount=0.9)
    by_value, by_next = torch.autograd.grad(0.5 * error.square().sum(), (value, next_value), allow_unused=True)
    assert by_next is None
    torch.testing.assert_close(by_value, -error.detach(), **EXACT)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_expected_target_of_the_exact_values_is_the_exact_value(steps):
    """With V^π (for ever), over all trajectories of 3 steps: E[y₀|s₀] = V^π(s₀). Not so with another."""
    mdp, logits = with_an_end(3), torch.tensor([[0.4, -0.3], [0.1, 0.6], [-0.7, 0.2]], dtype=double)
    policy = torch.softmax(logits, -1)
    exact = torch.zeros(3, dtype=double)
    for _ in range(2000):  # V ← r_π + γ P_π V
        exact = (policy * (mdp.reward_table + 0.9 * mdp.transition_probs @ exact)).sum(-1)
    every = every_batch(mdp, logits, 3)
    for critic, is_right in ((exact, True), (exact + torch.tensor([0.0, 1.0, 0.0], dtype=double), False)):
        first = ac.n_step_target(every.reward, critic[every.state[1:]], every.terminated, every.truncated,
                                 discount=0.9, steps=steps)[0, :, 0]
        for state in (0, 1):
            here = every.state[0, :, 0] == state
            mean = (every.prob * first)[here].sum() / every.prob[here].sum()
            assert (abs(float(mean - exact[state])) < 1e-10) == is_right


def test_arguments_that_make_no_sense_are_refused():
    reward, flag = torch.zeros(3, 2, dtype=double), torch.zeros(3, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"next_value: expected shape \[3, 2\], got \[3, 2, 1\]"):
        ac.td_target(reward, reward[..., None], flag, discount=0.9)
    with pytest.raises(ValueError, match="terminated: expected dtype bool"):
        ac.td_target(reward, reward, flag.to(double), discount=0.9)
    with pytest.raises(ValueError, match=r"value: expected shape \[3, 2\], got \[3, 1\]"):
        ac.td_error(reward, reward[:, :1], reward, flag, discount=0.9)
    with pytest.raises(ValueError, match="truncated: expected dtype bool"):
        ac.monte_carlo_target(reward, reward, flag, flag.to(double), discount=0.9)
    with pytest.raises(ValueError, match=r"truncated: expected shape \[3, 2\], got \[2, 2\]"):
        ac.n_step_target(reward, reward, flag, flag[:2], discount=0.9, steps=2)
    with pytest.raises(ValueError, match="steps: expected a whole number of at least 1, got 0"):
        ac.n_step_target(reward, reward, flag, flag, discount=0.9, steps=0)
    with pytest.raises(ValueError, match="discount: expected a number in .0, 1., got 1.2"):
        ac.td_target(reward, reward, flag, discount=1.2)
    with pytest.raises(ValueError, match="gae_lambda"):
        ac.n_step_weights(3, 1.5)
    with pytest.raises(ValueError, match="length: expected a whole number"):
        ac.n_step_weights(0, 0.5)
