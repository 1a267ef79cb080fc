"""`MountainCar` and `ContinuousMountainCar`: a car too weak for its hill first drives away from it (Moore 1990).

Step for step Gymnasium's MountainCar-v0 and MountainCarContinuous-v0, as pure functions of a batch of states.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.spaces import Box, Discrete
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class MountainCar(Dynamics):
    """A car in a valley.

    | index | state = observation | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | position; the bottom of the valley is at −π/6, the goal at 0.5 | −1.2 | 0.6 | m |
    | 1 | velocity | −0.07 | 0.07 | m per step |

    Actions: 0 accelerates to the left, 1 not at all, 2 to the right. The reward is −1 for every step. The
    episode terminates at the goal; the time limit is 200 steps. Everything but the start is deterministic.
    """

    force: float = 0.001  # m per step², at full throttle
    gravity: float = 0.0025  # m per step², on the steepest slope
    max_speed: float = 0.07
    left_wall: float = -1.2
    right_wall: float = 0.6
    goal: float = 0.5

    @property
    def action_space(self) -> Discrete:
        return Discrete(3)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def max_episode_steps(self) -> int | None:
        return 200

    @property
    def initial_noise(self) -> int:
        return 1

    def initial_state(self, noise: Tensor) -> Tensor:
        """At rest, between −0.6 and −0.4."""
        position = 0.2 * noise[..., 0] - 0.6
        return torch.stack((position, torch.zeros_like(position)), -1)

    def throttle(self, action: Tensor, dtype: torch.dtype) -> Tensor:
        """The action as a share of the force: −1, 0 or 1."""
        return action.to(dtype) - 1

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """Velocity first, then position; the wall on the left stops the car."""
        position, velocity = state.unbind(-1)
        push = self.force * self.throttle(action, state.dtype)
        velocity = velocity + push - self.gravity * torch.cos(3 * position)
        velocity = velocity.clamp(-self.max_speed, self.max_speed)
        position = (position + velocity).clamp(self.left_wall, self.right_wall)
        stopped = (position == self.left_wall) & (velocity < 0)
        return torch.stack((position, torch.where(stopped, 0.0, velocity)), -1)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """−1 for every step."""
        return -torch.ones_like(next_state[..., 0])

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """Whether the car is at the goal, not rolling back."""
        position, velocity = next_state.unbind(-1)
        return (position >= self.goal) & (velocity >= 0)


@dataclass(frozen=True, eq=False)
class ContinuousMountainCar(MountainCar):
    """The same valley with a throttle that can be set anywhere, and with fuel to be paid for.

    | index | action | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | throttle, a share of the force | −1 | 1 | none |

    The reward is −0.1 throttle² for every step and 100 more at the goal. The time limit is 999 steps.
    """

    force: float = 0.0015
    goal: float = 0.45

    @property
    def action_space(self) -> Box:
        return Box(-1.0, 1.0, 1)

    @property
    def max_episode_steps(self) -> int | None:
        return 999

    def throttle(self, action: Tensor, dtype: torch.dtype) -> Tensor:
        """The action within [−1, 1]."""
        return action[..., 0].to(dtype).clamp(-1.0, 1.0)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """100 at the goal, less the fuel; the fuel is that of the action as given, even outside its box."""
        reached = self.terminated(state, action, next_state)
        return 100.0 * reached - 0.1 * action[..., 0].square()
