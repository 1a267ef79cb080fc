"""A corridor with one reward at its far end: small enough to be solved, long enough for credit to come late.

Lecture 04 measures estimates of the advantage on it: what a step is worth shows many steps later, or at
once in the values of a critic, if these are right.
"""

import torch
from torch import Tensor

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
