"""`Fork`: a tree in the middle of the road, and two good ways round it whose mean is a bad one.

The smallest task on which a policy that predicts the mean action fails, however much data it
has: half of the demonstrators pass on the left, half on the right, from the same place.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require
from ..core.spaces import Box
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class Fork(Dynamics):
    """A car that approaches a tree; it chooses how fast to move sideways.

    | index | state = observation | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | distance driven x; the tree stands at `tree_at` | 0 | `tree_at` + 1 step | m |
    | 1 | lateral offset y, left is positive | −`barrier` | `barrier` | m |

    | index | action | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | sideways speed, as a fraction of `side_speed`; left is positive | −1 | 1 | none |

    Every step drives `stride` metres ahead and |action| × `side_speed` metres aside. The step that
    reaches the tree ends the episode: with |y| ≥ `tree_radius` the car has passed (reward 1), else it
    has hit the tree (reward 0). Everything but the start is deterministic.
    """

    stride: float = 1.0         # m per step
    side_speed: float = 0.5     # m per step at full action
    tree_at: float = 8.0        # m
    tree_radius: float = 1.0    # m, the car's half width included
    barrier: float = 3.0        # m
    start_offset: float = 0.1   # m, largest lateral offset at the start

    def __post_init__(self):
        require(0 < self.tree_radius < self.barrier, "tree_radius",
                f"a length in (0, barrier = {self.barrier})", self.tree_radius)
        require(self.side_speed * self.steps_to_tree > self.tree_radius + self.start_offset, "side_speed",
                "a speed that can still get round the tree", self.side_speed)

    @property
    def steps_to_tree(self) -> int:
        """How many steps an episode has."""
        return round(self.tree_at / self.stride)

    @property
    def action_space(self) -> Box:
        return Box(-1.0, 1.0, 1)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def max_episode_steps(self) -> int | None:
        return self.steps_to_tree + 1

    @property
    def initial_noise(self) -> int:
        return 1

    def initial_state(self, noise: Tensor) -> Tensor:
        """At x = 0, within `start_offset` of the middle."""
        offset = self.start_offset * (2 * noise[..., 0] - 1)
        return torch.stack((torch.zeros_like(offset), offset), -1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """x ← x + `stride`, y ← y + action · `side_speed`, kept between the barriers."""
        ahead, offset = state.unbind(-1)
        aside = offset + self.side_speed * action[..., 0].clamp(-1.0, 1.0)
        return torch.stack((ahead + self.stride, aside.clamp(-self.barrier, self.barrier)), -1)

    def reaches_tree(self, next_state: Tensor) -> Tensor:
        """Whether the car is now beside the tree, or in it [*B] (bool)."""
        return next_state[..., 0] > self.tree_at - self.stride / 2

    def hits_tree(self, next_state: Tensor) -> Tensor:
        """Whether the step ended in the tree [*B] (bool)."""
        return self.reaches_tree(next_state) & (next_state[..., 1].abs() < self.tree_radius)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor,
               noise: Tensor | None = None) -> Tensor:
        """1 for passing the tree [*B], else 0."""
        passed = self.reaches_tree(next_state) & ~self.hits_tree(next_state)
        return passed.to(next_state.dtype)

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """At the tree, either way [*B]."""
        return self.reaches_tree(next_state)
