"""Two tightropes: one where a fall is final, one where the expert would know how to climb back.

    unrecoverable            recoverable
    rope --forward--> rope   rope --forward--> rope
    rope --other---> fallen  rope --other---> fallen
    fallen --any--> fallen   fallen --climb--> rope,  fallen --other--> fallen

The expert walks `forward` and never falls, so its demonstrations say nothing about the state
`fallen`. The cost is 0/1: one for every step on which the action is not an expert action.
"""

import torch
from torch import Tensor

from .tabular import TabularMDP

ROPE, FALLEN = 0, 1
FORWARD, CLIMB = 0, 1


def tightrope(recoverable: bool) -> TabularMDP:
    """The walk as a TabularMDP with states (rope, fallen) and actions (forward, climb)."""
    transition_probs = torch.zeros(2, 2, 2, dtype=torch.float64)
    transition_probs[ROPE, FORWARD, ROPE] = 1.0
    transition_probs[ROPE, CLIMB, FALLEN] = 1.0
    transition_probs[FALLEN, FORWARD, FALLEN] = 1.0
    transition_probs[FALLEN, CLIMB, ROPE if recoverable else FALLEN] = 1.0
    return TabularMDP(transition_probs, -mistake_cost(recoverable),
                      torch.tensor([1.0, 0.0], dtype=torch.float64),
                      state_names=("on the rope", "fallen"), action_names=("forward", "climb"))


def expert_policy() -> Tensor:
    """π*(a|s) [S, A]: forward on the rope, climb after a fall (where climbing helps)."""
    return torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)


def mistake_cost(recoverable: bool) -> Tensor:
    """c(s, a) [S, A]: 1 for an action that the expert would not take.

    Where a fall is final no action is right any more: after it every action costs 1.
    """
    cost = 1.0 - expert_policy()
    if not recoverable:
        cost[FALLEN] = 1.0
    return cost


def two_ropes() -> TabularMDP:
    """Two ropes on which a fall is final, side by side; half of all walks begin on each.

    States: left rope, right rope, fallen; actions: forward, fall. The counterexample of section I2
    to the argument that decomposes p_θ(sₜ) into a mixture.
    """
    transition_probs = torch.zeros(3, 2, 3, dtype=torch.float64)
    for state in range(3):
        transition_probs[state, 0, state] = 1.0
        transition_probs[state, 1, 2] = 1.0
    cost = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    return TabularMDP(transition_probs, -cost, torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64),
                      state_names=("left rope", "right rope", "fallen"), action_names=("forward", "fall"))
