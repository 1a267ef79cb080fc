"""`Acrobot`: two links that hang from a bar, a motor only at the elbow; swing the tip above the bar (Sutton 1996).

Step for step Gymnasium's Acrobot-v1 (the equations of Sutton & Barto's book), as pure functions of a batch of
states.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.spaces import Discrete
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class Acrobot(Dynamics):
    """Two rods, joined by a motor.

    | index | state | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | angle of the upper link θ₁, 0 hangs down | −π | π | rad |
    | 1 | angle of the lower link relative to the upper θ₂ | −π | π | rad |
    | 2 | angular velocity of θ₁ | −4π | 4π | rad/s |
    | 3 | angular velocity of θ₂ | −9π | 9π | rad/s |

    The observation is (cos θ₁, sin θ₁, cos θ₂, sin θ₂, θ̇₁, θ̇₂). Actions: 0, 1, 2 are a torque of −1, 0, 1 N m.
    The reward is −1 for every step and 0 for the one that brings the tip a link's length above the bar, which
    terminates the episode; the time limit is 500 steps. Everything but the start is deterministic.
    """

    link_length: float = 1.0  # m
    link_mass: float = 1.0  # kg
    centre: float = 0.5  # m, from a joint to its link's centre of mass
    inertia: float = 1.0  # kg m²
    gravity: float = 9.8  # m/s²
    time_step: float = 0.2  # s
    max_speed_1: float = 4 * math.pi  # rad/s
    max_speed_2: float = 9 * math.pi  # rad/s

    @property
    def action_space(self) -> Discrete:
        return Discrete(3)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (6,)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (4,)

    @property
    def max_episode_steps(self) -> int | None:
        return 500

    @property
    def initial_noise(self) -> int:
        return 4

    def initial_state(self, noise: Tensor) -> Tensor:
        """Nearly hanging, nearly at rest."""
        return 0.2 * noise - 0.1

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """One step of the classical Runge–Kutta method, then angles wrapped and speeds clamped."""
        torque, step = action.to(state.dtype) - 1, self.time_step
        k1 = self._rate(state, torque)
        k2 = self._rate(state + step / 2 * k1, torque)
        k3 = self._rate(state + step / 2 * k2, torque)
        k4 = self._rate(state + step * k3, torque)
        angle_1, angle_2, speed_1, speed_2 = (state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)).unbind(-1)
        return torch.stack((_wrapped(angle_1), _wrapped(angle_2),
                            speed_1.clamp(-self.max_speed_1, self.max_speed_1),
                            speed_2.clamp(-self.max_speed_2, self.max_speed_2)), -1)

    def _rate(self, state: Tensor, torque: Tensor) -> Tensor:
        """The time derivative of the state (Sutton & Barto 1998, section 11.3)."""
        angle_1, angle_2, speed_1, speed_2 = state.unbind(-1)
        mass, length, centre = self.link_mass, self.link_length, self.centre
        sin_2, cos_2 = torch.sin(angle_2), torch.cos(angle_2)
        d1 = mass * centre**2 + mass * (length**2 + centre**2 + 2 * length * centre * cos_2) + 2 * self.inertia
        d2 = mass * (centre**2 + length * centre * cos_2) + self.inertia
        # cos(x − π/2) = sin x: the weight pulls with its lever arm.
        phi_2 = mass * centre * self.gravity * torch.sin(angle_1 + angle_2)
        phi_1 = (-mass * length * centre * sin_2 * (speed_2.square() + 2 * speed_2 * speed_1)
                 + (mass * centre + mass * length) * self.gravity * torch.sin(angle_1) + phi_2)
        acceleration_2 = (torque + d2 / d1 * phi_1 - mass * length * centre * speed_1.square() * sin_2 - phi_2) / (
            mass * centre**2 + self.inertia - d2.square() / d1)
        acceleration_1 = -(d2 * acceleration_2 + phi_1) / d1
        return torch.stack((speed_1, speed_2, acceleration_1, acceleration_2), -1)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """−1, or 0 where the episode terminates."""
        return self.terminated(state, action, next_state).to(next_state.dtype) - 1.0

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """Whether the tip is more than one link's length above the bar."""
        angle_1, angle_2 = next_state[..., 0], next_state[..., 1]
        return -torch.cos(angle_1) - torch.cos(angle_1 + angle_2) > 1.0

    def observe(self, state: Tensor, noise: Tensor | None = None) -> Tensor:
        """Cosine and sine of both angles, and both speeds."""
        angle_1, angle_2, speed_1, speed_2 = state.unbind(-1)
        return torch.stack((torch.cos(angle_1), torch.sin(angle_1), torch.cos(angle_2), torch.sin(angle_2),
                            speed_1, speed_2), -1)


def _wrapped(angle: Tensor) -> Tensor:
    """The same direction in [−π, π]; an angle that lies there already keeps every bit."""
    return angle - 2 * math.pi * torch.round(angle / (2 * math.pi))
