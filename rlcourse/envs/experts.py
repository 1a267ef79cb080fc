"""Scripted experts: functions that look at the true state and return the action [*B, size].

An expert may see more than the learner. It is passed to an algorithm as a callable, so that a
person, a planner or another network could stand in its place.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.seeding import uniforms
from .car import Car
from .fork import Fork

Expert = Callable[[Tensor], Tensor]


def car_expert(car: Car) -> Expert:
    """A driver who aims at the road's centre `look_ahead` metres in front (d).

    Path curvature u = κ(s + d/3) − (2/d²) (y + d sin ψ): follow the bend, and take back the
    deviation along the arc that meets the centre line after d ("pure pursuit", Coulter 1992).
    On a straight road at small angles y'' + (2/d) y' + (2/d²) y = 0 in the distance driven, which
    is damped at 1/√2 of critical. Returns steering [*B, 1] in [−1, 1].
    """
    d = car.look_ahead

    def steer(state: Tensor) -> Tensor:
        arc_length, offset, heading = state.unbind(-1)
        turn = car.curvature(arc_length + d / 3) - 2 / d**2 * (offset + d * torch.sin(heading))
        return (turn / car.max_steering).clamp(-1.0, 1.0).unsqueeze(-1)

    return steer


def corrected_steering(car: Car, action: Tensor, camera_offset: Tensor | float,
                       camera_yaw: Tensor | float = 0.0) -> Tensor:
    """The label for a picture from a camera beside the real one: `action` [*B, 1] and what it takes
    to come back.

    A camera c to the left and turned by ϑ sees what the real one would see with an offset larger
    by c and a heading larger by ϑ. An arc that ends d ahead and starts c beside its chord has the
    curvature 2c/d²; a wrong direction puts its end d·ϑ aside. Hence −(2/d²) (c + d ϑ), in units
    of the largest steering. The road, and not the driver, gives the correction.
    """
    d = car.look_ahead
    back = 2 / d**2 * (torch.as_tensor(camera_offset) + d * torch.as_tensor(camera_yaw))
    back = back.to(action) / car.max_steering
    return (action - (back.unsqueeze(-1) if back.ndim else back)).clamp(-1.0, 1.0)


def fork_expert(fork: Fork, random: torch.Generator, *, clearance: float = 0.5) -> Expert:
    """A driver who passes the tree on either side with equal probability, and never hits it.

    Within `fork.start_offset` of the middle (and a little more, for rounding) the side is the toss
    of a coin from `random`; further out it is the side on which the car already is, so that one
    toss decides an episode and the demonstrator stays Markov. He heads for `tree_radius` +
    `clearance` at full speed and stays there. His mean action in the middle is 0: into the tree.
    Returns the action [*B, 1].
    """
    undecided = 1.01 * fork.start_offset
    lane = fork.tree_radius + clearance

    def swerve(state: Tensor) -> Tensor:
        offset = state[..., 1]
        coin = uniforms(tuple(offset.shape), random, offset.dtype)
        toss = torch.where(coin < 0.5, torch.ones_like(offset), -torch.ones_like(offset))
        side = torch.where(offset.abs() <= undecided, toss, offset.sign())
        return ((side * lane - offset) / fork.side_speed).clamp(-1.0, 1.0).unsqueeze(-1)

    return swerve
