"""Returns, rewards-to-go and GAE, for every placement of ends in rollouts of up to four steps."""

from itertools import product

import pytest
import torch

from rlcourse.core.seeding import generator
from rlcourse.equations.foundations import discounted_objective
from rlcourse.equations.returns import discounted_return, episode_step, gae, reward_to_go

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)


def every_placement(steps):
    """(terminated, truncated) [T, 4^T]: none, one, the other or both ends at each step."""
    kinds = torch.tensor(list(product(range(4), repeat=steps))).T
    return kinds % 2 == 1, kinds >= 2


def numbers(shape, name):
    return torch.randn(shape, generator=generator(3, name), dtype=double)


def pieces(terminated, truncated):
    """The (first, last) steps of the episodes of one column, by reading the flags from left to right."""
    first, found = 0, []
    for t in range(len(terminated)):
        if terminated[t] or truncated[t] or t == len(terminated) - 1:
            found.append((first, t))
            first = t + 1
    return found


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
def test_returns_for_every_placement_of_ends(steps, discount):
    terminated, truncated = every_placement(steps)
    reward = numbers(terminated.shape, "reward")
    later, whole, counted = (torch.full_like(reward, torch.nan) for _ in range(3))
    for column in range(reward.shape[1]):
        for first, last in pieces(terminated[:, column], truncated[:, column]):
            for t in range(first, last + 1):
                later[t, column] = sum(discount ** (k - t) * reward[k, column] for k in range(t, last + 1))
                whole[t, column] = sum(discount ** (k - first) * reward[k, column] for k in range(first, last + 1))
                counted[t, column] = t - first
    torch.testing.assert_close(reward_to_go(reward, terminated, truncated, discount=discount), later, **EXACT)
    torch.testing.assert_close(discounted_return(reward, terminated, truncated, discount=discount), whole, **EXACT)
    assert torch.equal(episode_step(terminated, truncated).to(double), counted)


def test_returns_by_hand():
    reward = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=double)
    never = torch.zeros(4, dtype=torch.bool)
    after_two = torch.tensor([False, True, False, False])
    assert reward_to_go(reward, never, never, discount=0.5).tolist() == [4.0, 6.0, 8.0, 8.0]
    for ends in ((after_two, never), (never, after_two)):
        assert reward_to_go(reward, *ends, discount=0.5).tolist() == [2.0, 2.0, 8.0, 8.0]
        assert discounted_return(reward, *ends, discount=0.5).tolist() == [2.0, 2.0, 8.0, 8.0]
        assert discounted_return(reward, *ends).tolist() == [3.0, 3.0, 12.0, 12.0]
        assert episode_step(*ends).tolist() == [0, 1, 0, 1]


def test_the_return_of_one_long_episode_is_the_discounted_objective():
    reward, never = numbers((9, 2, 3), "long"), torch.zeros(9, 2, 3, dtype=torch.bool)
    expected = discounted_objective(reward, discount=0.9).expand(9, 2, 3)
    torch.testing.assert_close(discounted_return(reward, never, never, discount=0.9), expected, **EXACT)


def weighted_n_step(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    """One column: (1 − λ) Σ_n λⁿ⁻¹ Aⁿ over the n-step estimates, the longest with the leftover weight."""
    advantage = torch.full_like(reward, torch.nan)
    for first, last in pieces(terminated, truncated):
        for t in range(first, last + 1):
            estimates = []
            for n in range(1, last - t + 2):
                end = t + n - 1
                total = sum(discount ** k * reward[t + k] for k in range(n))
                bootstrap = torch.zeros((), dtype=double) if terminated[end] else discount ** n * next_value[end]
                estimates.append(total + bootstrap - value[t])
            weights = [(1 - gae_lambda) * gae_lambda ** k for k in range(len(estimates) - 1)]
            weights.append(gae_lambda ** (len(estimates) - 1))
            advantage[t] = sum(w * e for w, e in zip(weights, estimates))
    return advantage


def gae_problem(steps):
    """Random numbers in which next_value agrees with value inside an episode and nowhere else."""
    terminated, truncated = every_placement(steps)
    reward, value, beyond = (numbers(terminated.shape, name) for name in ("reward", "value", "beyond"))
    ended = terminated | truncated
    ended[-1] = True
    next_value = torch.where(ended, beyond, value.roll(-1, 0))
    return reward, value, next_value, terminated, truncated


def gae_oracle(problem, discount, gae_lambda):
    columns = [weighted_n_step(*(part[:, c] for part in problem), discount, gae_lambda)
               for c in range(problem[0].shape[1])]
    return torch.stack(columns, 1)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("discount, gae_lambda", [(0.9, 0.0), (0.9, 0.6), (1.0, 0.95), (0.8, 1.0), (0.0, 0.5)])
def test_gae_is_the_weighted_sum_of_n_step_estimates(steps, discount, gae_lambda):
    problem = gae_problem(steps)
    got = gae(*problem, discount=discount, gae_lambda=gae_lambda)
    torch.testing.assert_close(got, gae_oracle(problem, discount, gae_lambda), **EXACT)


def loop_gae(reward, value, next_value, terminated, truncated, *, bootstrap, carry, follow):
    """The recursion with its three decisions open: γ = 0.9, λ = 0.6."""
    total, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        td_error = reward[t] + 0.9 * bootstrap[t] * follow[t] - value[t]
        total = td_error + 0.54 * carry[t] * total
        rows.insert(0, total)
    return torch.stack(rows)


@pytest.mark.parametrize("mistake", ["none", "ends merged", "sum flows over truncation", "sum flows over ends",
                                     "value of the next row", "bootstrap at termination"])
def test_the_oracle_tells_the_usual_mistakes(mistake):
    problem = gae_problem(3)
    reward, value, next_value, terminated, truncated = problem
    ended = terminated | truncated
    bootstrap, carry, follow = ~terminated, ~ended, next_value
    if mistake == "ends merged":
        bootstrap = ~ended
    elif mistake == "sum flows over truncation":
        carry = ~terminated
    elif mistake == "sum flows over ends":
        carry = torch.ones_like(ended)
    elif mistake == "value of the next row":
        follow = torch.cat([value[1:], next_value[-1:]])
    elif mistake == "bootstrap at termination":
        bootstrap = torch.ones_like(ended)
    got = loop_gae(*problem, bootstrap=bootstrap, carry=carry, follow=follow)
    right = torch.allclose(got, gae_oracle(problem, 0.9, 0.6), atol=1e-9)
    assert right == (mistake == "none")


def test_lambda_one_telescopes_with_any_wrong_value_function():
    """Rewards-to-go with the final value, minus V(s): whatever V is inside the episode."""
    reward, value = numbers((6, 2), "reward"), numbers((7, 2), "value")
    never = torch.zeros(6, 2, dtype=torch.bool)
    got = gae(reward, value[:-1], value[1:], never, never, discount=0.9, gae_lambda=1.0)
    left = 0.9 ** torch.arange(6, 0, -1, dtype=double)[:, None]
    expected = reward_to_go(reward, never, never, discount=0.9) + left * value[-1] - value[:-1]
    torch.testing.assert_close(got, expected, **EXACT)


def test_what_lies_behind_a_terminal_state_does_not_matter():
    reward, value, next_value, terminated, truncated = gae_problem(2)
    terminated[1] = True
    hidden = next_value.clone()
    hidden[terminated] = torch.inf
    got = gae(reward, value, hidden, terminated, truncated, discount=0.9, gae_lambda=0.5)
    torch.testing.assert_close(got, gae(reward, value, next_value, terminated, truncated, discount=0.9,
                                        gae_lambda=0.5), **EXACT)


def test_rollouts_that_make_no_sense_are_refused():
    reward, flag = torch.zeros(3, 2, dtype=double), torch.zeros(3, 2, dtype=torch.bool)
    for function in (reward_to_go, discounted_return):
        with pytest.raises(ValueError, match=r"reward: expected at least one step, .*, got \[0, 2\]"):
            function(reward[:0], flag[:0], flag[:0])
        with pytest.raises(ValueError, match="reward: expected finite numbers, got NaN or infinity"):
            function(reward.fill_(torch.nan), flag, flag)
        reward.fill_(0.0)
        with pytest.raises(ValueError, match=r"truncated: expected the shape of reward, \[3, 2\], got \[3, 1\]"):
            function(reward, flag, flag[:, :1])
        with pytest.raises(ValueError, match="terminated: expected dtype bool"):
            function(reward, flag.to(double), flag)
        with pytest.raises(ValueError, match=r"discount: expected a number in \[0, 1\], got 1.1"):
            function(reward, flag, flag, discount=1.1)
    with pytest.raises(ValueError, match=r"next_value: expected the shape of reward, \[3, 2\], got \[3, 2, 1\]"):
        gae(reward, reward, reward[..., None], flag, flag, discount=0.9, gae_lambda=0.9)
    with pytest.raises(ValueError, match="gae_lambda"):
        gae(reward, reward, reward, flag, flag, discount=0.9, gae_lambda=-0.1)
