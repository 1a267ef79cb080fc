"""`Pendulum`: swing a weight up and hold it there with a motor too weak to lift it.

Step for step Gymnasium's Pendulum-v1, as pure functions of a batch of states.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.spaces import Box
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class Pendulum(Dynamics):
    """A rod that hangs from a motor.

    | index | state | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | angle θ, 0 is upright | −π at the start | π at the start | rad |
    | 1 | angular velocity | −8 | 8 | rad/s |

    The observation is (cos θ, sin θ, angular velocity).

    | index | action | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | torque | −2 | 2 | N m |

    The reward is −(θ² + 0.1 θ̇² + 0.001 torque²), with θ in [−π, π) and before the step: from −16.27 to 0.
    Episodes do not terminate; the time limit is 200 steps. Everything but the start is deterministic.
    """

    gravity: float = 10.0  # m/s²
    mass: float = 1.0  # kg
    length: float = 1.0  # m
    time_step: float = 0.05  # s
    max_torque: float = 2.0  # N m
    max_speed: float = 8.0  # rad/s

    @property
    def action_space(self) -> Box:
        return Box(-self.max_torque, self.max_torque, 1)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (3,)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def max_episode_steps(self) -> int | None:
        return 200

    @property
    def initial_noise(self) -> int:
        return 2

    def initial_state(self, noise: Tensor) -> Tensor:
        """Any angle, any angular velocity up to 1 rad/s."""
        centred = 2 * noise - 1
        return torch.stack((math.pi * centred[..., 0], centred[..., 1]), -1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """Semi-implicit Euler: θ̇ ← θ̇ + (3g/2l · sin θ + 3/ml² · torque) Δt, then θ ← θ + θ̇ Δt."""
        angle, speed = state.unbind(-1)
        torque = action[..., 0].clamp(-self.max_torque, self.max_torque)
        acceleration = (1.5 * self.gravity / self.length) * torch.sin(angle) + (
            3 / (self.mass * self.length**2)) * torque
        speed = (speed + self.time_step * acceleration).clamp(-self.max_speed, self.max_speed)
        return torch.stack((angle + self.time_step * speed, speed), -1)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """−(θ² + 0.1 θ̇² + 0.001 torque²)."""
        angle, speed = state.unbind(-1)
        wrapped = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
        torque = action[..., 0].clamp(-self.max_torque, self.max_torque)
        return -(wrapped.square() + 0.1 * speed.square() + 0.001 * torque.square())

    def observe(self, state: Tensor, noise: Tensor | None = None) -> Tensor:
        """(cos θ, sin θ, angular velocity)."""
        angle, speed = state.unbind(-1)
        return torch.stack((torch.cos(angle), torch.sin(angle), speed), -1)
