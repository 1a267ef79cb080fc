"""Relabelling in hindsight against two nested loops, and against the expected counts of a known world."""

import pytest
import torch
from random_problems import random_mdp, random_policy

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.tabular import sample_index
from rlcourse.equations.imitation_goals import relabel
from rlcourse.exact.goals import relabelled_counts


def test_two_steps_by_hand():
    state, goal, action = relabel(torch.tensor([4, 7, 5]), torch.tensor([1, 0]))
    assert (state.tolist(), goal.tolist(), action.tolist()) == ([4, 4, 7], [7, 5, 5], [1, 1, 0])
    assert state.dtype == goal.dtype == action.dtype == torch.int64


@pytest.mark.parametrize("batch", [(), (3,), (2, 4)])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_every_pair_of_times_in_order(batch, steps):
    random = generator(0, f"relabel {batch} {steps}")
    states = torch.randn(steps + 1, *batch, generator=random, dtype=torch.float64)
    actions = torch.randint(0, 5, (steps, *batch), generator=random)
    pairs = [(t, k) for t in range(steps) for k in range(t + 1, steps + 1)]
    state, goal, action = relabel(states, actions)
    assert len(pairs) == steps * (steps + 1) // 2 == len(state)
    for row, (t, k) in enumerate(pairs):
        assert torch.equal(state[row], states[t])
        assert torch.equal(goal[row], states[k])
        assert torch.equal(action[row], actions[t])


def test_many_drives_give_the_expected_counts():
    """Counts of pairs are in the mean what `exact.goals` computes; seed 0.

    Each of the 18 cells is a mean of 40,000 independent numbers in [0, 6]: standard deviation at most
    3, standard error at most 0.015. The threshold is 4.5 of these: false failure below 2·10⁻⁴.
    """
    mdp, policy, drives, steps = random_mdp(0), random_policy(0), 40_000, 3
    random = generator(0, "drives")
    states = [mdp.initial_state(uniforms((drives, 1), random))]
    actions = []
    for _ in range(steps):
        noise = uniforms((drives, 2), random)
        actions.append(sample_index(policy[states[-1]], noise[:, 0]))
        states.append(mdp.transition(states[-1], actions[-1], noise[:, 1:]))
    state, goal, action = relabel(torch.stack(states), torch.stack(actions))
    counts = torch.zeros(3, 3, 2, dtype=torch.float64)
    counts.index_put_((goal, state, action), torch.ones((), dtype=torch.float64), accumulate=True)
    expected = relabelled_counts(mdp, policy[None], torch.ones(1, dtype=torch.float64), steps)
    assert (counts / drives - expected).abs().max() < 4.5 * 0.015
    assert expected.max() > 10 * 4.5 * 0.015


@pytest.mark.parametrize("states, actions, message", [
    (torch.zeros(3), torch.zeros(3), r"states: expected shape \[4\], got \[3\]"),
    (torch.zeros(4, 2), torch.zeros(3, 5), r"states: expected shape \[4, 5\], got \[4, 2\]"),
    (torch.zeros(1), torch.zeros(0), r"actions: expected at least one step, shape \[T, \*B\], got \[0\]"),
    (torch.zeros(1), [], r"actions: expected a torch.Tensor, got list"),
])
def test_wrong_shapes_are_refused_in_one_line(states, actions, message):
    with pytest.raises(ValueError, match=message):
        relabel(states, actions)
