"""The maximisation-bias problem: its tables, its noise, and its exact values."""

import pytest
import torch
from scipy import stats

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.maximisation_bias import CASINO, END, ENTER, LEAVE, START, NoisyTabularMDP, maximisation_bias
from rlcourse.exact.evaluation import q_from_value, value_iteration


def test_exact_values_say_leave():
    problem = maximisation_bias(4, mean=-0.1)
    value = value_iteration(problem, 0.9)[0]
    q_values = q_from_value(problem, value, 0.9)
    assert torch.allclose(q_values[START], torch.tensor([0.0, -0.09, 0.0, 0.0], dtype=torch.float64), atol=1e-10)
    assert torch.allclose(q_values[CASINO], torch.full((4,), -0.1, dtype=torch.float64), atol=1e-10)


def test_a_walk_by_hand():
    problem, noise = maximisation_bias(3), torch.tensor([0.5, 0.5], dtype=torch.float64)
    start, enter, leave = torch.tensor(START), torch.tensor(ENTER), torch.tensor(LEAVE)
    entered = problem.step(start, enter, noise)
    assert (int(entered.next_state), float(entered.reward), bool(entered.terminated)) == (CASINO, 0.0, False)
    left = problem.step(start, leave, noise)
    assert (int(left.next_state), float(left.reward), bool(left.terminated)) == (END, 0.0, True)
    played = problem.step(entered.next_state, torch.tensor(2), noise)
    assert float(played.reward) == pytest.approx(-0.1) and bool(played.terminated)


def test_the_reward_is_gaussian():
    problem, n = maximisation_bias(3, mean=0.5, std=2.0), 20_000
    state, action = torch.full((n,), CASINO), torch.zeros(n, dtype=torch.int64)
    reward = problem.reward(state, action, state, uniforms((n, 1), generator(0, "pay")))
    assert stats.kstest(reward.numpy(), "norm", args=(0.5, 2.0)).pvalue > 1e-3  # fixed seed


def test_wrong_input_gets_one_clear_line():
    with pytest.raises(ValueError, match="actions: expected a whole number of at least 2"):
        maximisation_bias(1)
    tables = maximisation_bias(2)
    with pytest.raises(ValueError, match="reward_std: expected shape"):
        NoisyTabularMDP(tables.transition_probs, tables.reward_table, tables.initial)
    with pytest.raises(ValueError, match="noise: expected uniforms"):
        tables.reward(torch.tensor(CASINO), torch.tensor(0), torch.tensor(END))
