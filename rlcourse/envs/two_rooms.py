"""Two rooms, two actions: small enough that everything which can happen in a few steps can be listed.

Work tends to lead to room 1, where the rewards are, and to keep one there; in room 0 it costs a half. Lecture 03
measures every estimate of the policy gradient on these rooms against the exact gradient.
"""

import torch
from torch import Tensor

from .tabular import TabularMDP

HORIZON = 3  # of the lecture's numbers


def two_rooms() -> TabularMDP:
    """The rooms as a TabularMDP: states (room 0, room 1), actions (rest, work)."""
    to_one = torch.tensor([[0.1, 0.7], [0.4, 0.9]], dtype=torch.float64)
    reward = torch.tensor([[0.0, -0.5], [1.0, 2.0]], dtype=torch.float64)
    return TabularMDP(torch.stack([1 - to_one, to_one], -1), reward,
                      torch.tensor([0.75, 0.25], dtype=torch.float64),
                      state_names=("room 0", "room 1"), action_names=("rest", "work"))


def policy_logits() -> Tensor:
    """[S, A]: the policy at which the lecture's gradients are taken, neither good nor certain."""
    return torch.tensor([[0.3, -0.2], [-0.5, 0.4]], dtype=torch.float64)


def behaviour_logits() -> Tensor:
    """[S, A]: another policy, whose trajectories section P6 learns from."""
    return torch.tensor([[-0.4, 0.5], [0.2, -0.1]], dtype=torch.float64)
