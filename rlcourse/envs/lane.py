"""A windy lane: the smallest car. The state is how far from the middle it is.

State: the lateral offset −W … W, in cells, counted from the left edge (index 0 … 2W); actions:
steer left, keep straight, steer right. Each step moves the car by its action and then, with
probability `wind`, by one cell to a random side. The cells |offset| = W are the ditch.

| index | meaning            | range   | unit |
|-------|--------------------|---------|------|
| s     | offset + W         | 0 … 2W  | cell |
| a     | left/straight/right| 0, 1, 2 |      |

The expert steers towards the middle whenever it is off it. It therefore sees the middle cell
and its two neighbours and nothing else: what to do further out stands in no demonstration.
"""

import torch
from torch import Tensor

from ..core.check import require_count, require_unit_interval
from .tabular import TabularMDP

LEFT, STRAIGHT, RIGHT = 0, 1, 2


def lane(half_width: int = 6, wind: float = 0.3, recoverable: bool = True) -> TabularMDP:
    """The lane as a TabularMDP with 2W + 1 states and three actions.

    `half_width` W in cells; `wind` is the probability of a gust. In a recoverable lane the car
    in the ditch can steer out; otherwise it stays there for ever.
    """
    require_count("half_width", half_width, least=2)
    require_unit_interval("wind", wind)
    size = 2 * half_width + 1
    transition_probs = torch.zeros(size, 3, size, dtype=torch.float64)
    for state in range(size):
        for action in range(3):
            for gust, probability in ((-1, wind / 2), (0, 1 - wind), (1, wind / 2)):
                target = min(max(state + (action - 1) + gust, 0), size - 1)
                transition_probs[state, action, target] += probability
    if not recoverable:
        for ditch in (0, size - 1):
            transition_probs[ditch] = 0.0
            transition_probs[ditch, :, ditch] = 1.0
    initial = torch.zeros(size, dtype=torch.float64)
    initial[half_width] = 1.0
    names = tuple(f"{offset:+d}" if offset else "middle" for offset in range(-half_width, half_width + 1))
    return TabularMDP(transition_probs, -mistake_cost(half_width, recoverable), initial,
                      state_names=names, action_names=("left", "straight", "right"))


def expert_policy(half_width: int = 6) -> Tensor:
    """π*(a|s) [S, 3]: left when right of the middle, right when left of it, else straight."""
    offset = torch.arange(-half_width, half_width + 1)
    action = 1 - offset.sign()
    return torch.nn.functional.one_hot(action, 3).to(torch.float64)


def mistake_cost(half_width: int = 6, recoverable: bool = True) -> Tensor:
    """c(s, a) [S, 3]: 1 for an action that the expert would not take.

    In a ditch without a way out every action costs 1, as on the unrecoverable tightrope.
    """
    cost = 1.0 - expert_policy(half_width)
    if not recoverable:
        cost[0] = cost[-1] = 1.0
    return cost
