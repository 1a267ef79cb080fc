"""Two rooms, two doors, and features that represent every Q function: yet the error may grow without bound.

Made for lecture 05a, section Q5. The idea that one feature twice as large in the next state drives semi-gradient
updates up is Tsitsiklis and Van Roy's (1996); here a second feature lets the approximation be exact.
"""

import torch
from torch import Tensor

from .tabular import TabularMDP

LEFT, RIGHT = 0, 1  # rooms, and the doors that lead to them


def two_doors() -> TabularMDP:
    """Rooms (left, right) and actions (left, right): action a leads to room a; going right pays 1, going left 0.

    Going right is best in both rooms: Q*(·, right) = 1/(1 − γ), Q*(·, left) = γ/(1 − γ). The problem never ends.
    """
    transition_probs = torch.eye(2, dtype=torch.float64).expand(2, 2, 2).clone()
    reward_table = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    return TabularMDP(transition_probs, reward_table, torch.tensor([1.0, 0.0], dtype=torch.float64),
                      state_names=("left", "right"), action_names=("left", "right"))


def two_doors_features() -> Tensor:
    """φ(s, a) [4 pairs, 4 weights], pairs in the order (0, 0), (0, 1), (1, 0), (1, 1); invertible.

    Going left has a weight of its own in each room. Going right has φ(left room) = (1, 0) and
    φ(right room) = (2, 1) in the other two weights.
    """
    return torch.tensor([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 2, 1]], dtype=torch.float64)
