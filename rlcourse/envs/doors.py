"""A fork and two doors: going on is worth it only for somebody who knows the right door.

Lecture 04, A8, fills a replay with somebody who does not, and asks what may be learned from it.
"""

import torch
from torch import Tensor

from .tabular import TabularMDP

FORK, DOORS, END = range(3)


def doors() -> TabularMDP:
    """At the fork action 0 takes 2 and ends, action 1 goes on for nothing; of the doors 0 pays 1 and 1 pays 4.

    Behind the doors the problem is over. States (fork, doors, end).
    """
    transition_probs = torch.zeros(3, 2, 3, dtype=torch.float64)
    transition_probs[FORK, 1, DOORS] = 1.0
    transition_probs[FORK, 0, END] = 1.0
    transition_probs[[DOORS, END], :, END] = 1.0
    reward = torch.tensor([[2.0, 0.0], [1.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    return TabularMDP(transition_probs, reward, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64),
                      torch.tensor([False, False, True]), state_names=("fork", "doors", "end"))


def doors_behaviour() -> Tensor:
    """[S, A]: at the fork either action alike, the good door one time in four.

    Going on is worth γ (¾ · 1 + ¼ · 4) = 1.75 γ to this policy, less than 2, and 4 γ to the best one.
    """
    return torch.tensor([[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]], dtype=torch.float64)
