"""The small problems on which policy gradients are checked over all that can happen."""

import torch
from random_problems import random_mdp

from rlcourse.envs.tabular import TabularMDP

double = torch.float64


def two_rooms():
    """The problem of the lecture's numbers: two states, two actions.

    Action 1 tends to lead to room 1, where the rewards are; going there from room 0 costs a half.
    """
    to_one = torch.tensor([[0.1, 0.7], [0.4, 0.9]], dtype=double)
    reward = torch.tensor([[0.0, -0.5], [1.0, 2.0]], dtype=double)
    return TabularMDP(torch.stack([1 - to_one, to_one], -1), reward, torch.tensor([0.75, 0.25], dtype=double))


def with_an_end(seed):
    """A random problem whose last state is terminal."""
    mdp = random_mdp(seed)
    probs, reward = mdp.transition_probs.clone(), mdp.reward_table.clone()
    probs[2], reward[2] = torch.tensor([0.0, 0.0, 1.0], dtype=double), 0.0
    return TabularMDP(probs, reward, torch.tensor([0.6, 0.4, 0.0], dtype=double),
                      terminal=torch.tensor([False, False, True]))


def bandit(*rewards):
    """One state, one step: action i pays rewards[i]."""
    return TabularMDP(torch.ones(1, len(rewards), 1, dtype=double), torch.tensor([rewards], dtype=double),
                      torch.ones(1, dtype=double))
