"""The small problems on which policy gradients are checked over all that can happen."""

import torch
from random_problems import random_mdp

from rlcourse.envs.tabular import TabularMDP

double = torch.float64


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
