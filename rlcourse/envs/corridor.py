"""Corridors in which credit comes late: small enough to be solved.

Lecture 04 measures estimates of the advantage on the first: what a step is worth shows many steps later, or at
once in the values of a critic, if these are right. In the second (A2) the two options of the discount disagree.
"""

import torch
from torch import Tensor

from ..core.check import require_count
from .tabular import TabularMDP

CELLS = 8
SLIP = 0.2  # chance that a step goes the other way


def corridor() -> TabularMDP:
    """Eight cells, actions (back, forward); a step goes the other way with probability 0.2.

    A step forward out of the last cell leads to the first one and pays 1, in the table on average: 0.2 for back
    and 0.8 for forward. A step back in the first cell stays there. The problem never ends.
    """
    transition_probs = torch.zeros(CELLS, 2, CELLS, dtype=torch.float64)
    forward = torch.tensor([SLIP, 1 - SLIP], dtype=torch.float64)  # by action
    for cell in range(CELLS):
        transition_probs[cell, :, (cell + 1) % CELLS] += forward
        transition_probs[cell, :, max(cell - 1, 0)] += 1 - forward
    reward = torch.zeros(CELLS, 2, dtype=torch.float64)
    reward[-1] = forward
    start = torch.eye(CELLS, dtype=torch.float64)[0]
    return TabularMDP(transition_probs, reward, start, action_names=("back", "forward"),
                      state_names=tuple(f"cell {cell}" for cell in range(CELLS)))


def corridor_policy() -> Tensor:
    """[S, A]: forward with probability 0.6 in every cell, a policy with much to learn."""
    return torch.tensor([0.4, 0.6], dtype=torch.float64).repeat(CELLS, 1)


def blind_corridor(length: int) -> TabularMDP:
    """The way always leads on; action 0 pays 1 on the first step, action 1 pays 2 on the last, `length` steps later.

    Every other step pays nothing, and after the last the problem is over. Meant for policies that cannot see where
    they are: one π(1) for all length + 1 steps. From the start the late reward is worth 2 γ^length, and 2 from where
    it is paid. Errors: ValueError for a length below 1.
    """
    require_count("length", length)
    states = length + 2  # the last one is the end
    onwards = torch.eye(states, dtype=torch.float64)[[*range(1, states), states - 1]]
    reward = torch.zeros(states, 2, dtype=torch.float64)
    reward[0, 0], reward[length, 1] = 1.0, 2.0
    return TabularMDP(onwards[:, None].repeat(1, 2, 1), reward, torch.eye(states, dtype=torch.float64)[0],
                      torch.arange(states) == states - 1)
