"""Random tabular problems for the tests: a seed goes in, a small MDP or policy comes out."""

import torch

from rlcourse.core.seeding import generator
from rlcourse.envs.pomdp import TabularPOMDP
from rlcourse.envs.tabular import TabularMDP


def random_rows(shape, random, zeros=0.0):
    """Random distributions along the last axis, about a share `zeros` of the entries 0."""
    weights = torch.rand(shape, generator=random, dtype=torch.float64) + 0.01
    weights *= torch.rand(shape, generator=random, dtype=torch.float64) >= zeros
    weights[..., 0] += (weights.sum(-1) == 0).double()
    return weights / weights.sum(-1, keepdim=True)


def random_mdp(seed, states=3, actions=2, zeros=0.3):
    random = generator(seed, "problem")
    return TabularMDP(random_rows((states, actions, states), random, zeros),
                      torch.randn(states, actions, generator=random, dtype=torch.float64),
                      random_rows((states,), random, zeros))


def random_policy(seed, states=3, actions=2, name="policy", zeros=0.0):
    return random_rows((states, actions), generator(seed, name), zeros)


def random_pomdp(seed, states=3, actions=2, observations=2, zeros=0.3):
    mdp = random_mdp(seed, states, actions, zeros)
    return TabularPOMDP(mdp.transition_probs, mdp.reward_table, mdp.initial,
                        observation_probs=random_rows((states, observations), generator(seed, "seen"), zeros))
