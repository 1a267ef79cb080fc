"""A cambered lane: the smallest car. The state is how far from the crown of the road it is.

State: the lateral offset −W … W in cells, counted from the left edge (index 0 … 2W). A step
moves the car by its action, then perhaps by a gust to a random side; and from two cells off the
crown on, the slope of the road may roll it one cell further out. The cells |offset| = W are the
ditch.

| index | meaning               | range   | unit |
|-------|-----------------------|---------|------|
| s     | offset + W            | 0 … 2W  | cell |
| a     | left, straight, right | 0, 1, 2 |      |

The expert steers towards the crown whenever it is off it. It therefore sees the crown and its
two neighbours and nothing else: what to do further out stands in no demonstration.
"""

import torch
from torch import Tensor

from ..core.check import require_count, require_unit_interval
from .tabular import TabularMDP

LEFT, STRAIGHT, RIGHT = 0, 1, 2
SLOPE_BEGINS = 2  # cells off the crown


def lane(half_width: int = 6, wind: float = 0.3, camber: float = 0.5) -> TabularMDP:
    """The lane as a TabularMDP with 2W + 1 states and three actions.

    `half_width` W in cells; `wind` is the probability of a gust, `camber` that of rolling
    outwards, both per step. The expert climbs out of the ditch at 1 − camber cells a step.
    """
    require_count("half_width", half_width, least=SLOPE_BEGINS + 1)
    require_unit_interval("wind", wind)
    require_unit_interval("camber", camber)
    size = 2 * half_width + 1
    transition_probs = torch.zeros(size, 3, size, dtype=torch.float64)
    for state in range(size):
        offset = state - half_width
        outwards = (offset > 0) - (offset < 0)
        roll = camber if abs(offset) >= SLOPE_BEGINS else 0.0
        for action in (LEFT, STRAIGHT, RIGHT):
            for gust, p_gust in ((-1, wind / 2), (0, 1 - wind), (1, wind / 2)):
                for slide, p_slide in ((0, 1 - roll), (outwards, roll)):
                    target = state + (action - STRAIGHT) + gust + slide
                    transition_probs[state, action, min(max(target, 0), size - 1)] += p_gust * p_slide
    initial = torch.zeros(size, dtype=torch.float64)
    initial[half_width] = 1.0
    names = tuple(f"{offset:+d}" if offset else "crown" for offset in range(-half_width, half_width + 1))
    return TabularMDP(transition_probs, -mistake_cost(half_width), initial,
                      state_names=names, action_names=("left", "straight", "right"))


def expert_policy(half_width: int = 6) -> Tensor:
    """π*(a|s) [S, 3]: left when right of the crown, right when left of it, else straight."""
    offset = torch.arange(-half_width, half_width + 1)
    return torch.nn.functional.one_hot(STRAIGHT - offset.sign(), 3).to(torch.float64)


def mistake_cost(half_width: int = 6) -> Tensor:
    """c(s, a) [S, 3]: 1 for an action that the expert would not take."""
    return 1.0 - expert_policy(half_width)


def ditch_cost(half_width: int = 6) -> Tensor:
    """c(s, a) [S, 3]: 1 for every step that begins in the ditch, whatever the action."""
    cost = torch.zeros(2 * half_width + 1, 3, dtype=torch.float64)
    cost[0] = cost[-1] = 1.0
    return cost
