"""`CartPole`: balance a pole on a cart by pushing left or right (Barto, Sutton & Anderson 1983).

Step for step Gymnasium's CartPole-v1, as pure functions of a batch of states.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.spaces import Discrete
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class CartPole(Dynamics):
    """A cart on a rail with a pole that tips over.

    | index | state = observation | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | position of the cart x | −2.4 | 2.4 | m |
    | 1 | its velocity | | | m/s |
    | 2 | angle of the pole θ, 0 is upright | −12° | 12° | rad |
    | 3 | its angular velocity | | | rad/s |

    Actions: 0 pushes to the left, 1 to the right. The reward is 1 for every step, the last one
    included. The episode terminates once |x| or |θ| is beyond its limit; the time limit is 500 steps.
    Everything but the start is deterministic.
    """

    gravity: float = 9.8  # m/s²
    cart_mass: float = 1.0  # kg
    pole_mass: float = 0.1  # kg
    half_length: float = 0.5  # m, from the hinge to the pole's centre
    force: float = 10.0  # N
    time_step: float = 0.02  # s
    position_limit: float = 2.4  # m
    angle_limit: float = math.radians(12)  # rad
    start_range: float = 0.05  # every coordinate of the start is uniform on ± this

    @property
    def action_space(self) -> Discrete:
        return Discrete(2)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (4,)

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
        """Nearly at rest, nearly upright, nearly in the middle."""
        return (2 * self.start_range) * noise - self.start_range

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """One step of Euler's method on the equations of motion (Florian 2007, eqs. 23 and 24, no friction).

        With the total mass M, the pole's mass m and half length l, and the push F = ±`force`:

            θ̈ = (g sin θ − u cos θ) / (l (4/3 − (m/M) cos² θ)),   ẍ = u − (ml/M) θ̈ cos θ,

        where u = (F + m l θ̇² sin θ) / M is the cart's acceleration if the pole did not turn.
        """
        _, velocity, angle, angular_velocity = state.unbind(-1)
        mass = self.cart_mass + self.pole_mass
        lever = self.pole_mass * self.half_length / mass
        sin, cos = torch.sin(angle), torch.cos(angle)
        # To the state's dtype first: 0.1 times an integer tensor would be rounded to float32.
        push = (action.to(state.dtype) - 0.5) * (2 * self.force / mass)
        # torch.addcmul(x, y, z, value=c) is x + c·y·z in one call: this is the course's hottest loop.
        unturned = torch.addcmul(push, angular_velocity.square(), sin, value=lever)
        angular_acceleration = torch.addcmul(self.gravity * sin, cos, unturned, value=-1.0) / (
            4 / 3 * self.half_length - lever * cos.square())
        acceleration = torch.addcmul(unturned, angular_acceleration, cos, value=-lever)
        rate = torch.stack((velocity, acceleration, angular_velocity, angular_acceleration), -1)
        return torch.add(state, rate, alpha=self.time_step)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """1 for every step."""
        return torch.ones_like(next_state[..., 0])

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """Whether the cart or the pole has gone too far."""
        position, _, angle, _ = next_state.unbind(-1)
        return (position.abs() > self.position_limit) | (angle.abs() > self.angle_limit)
