"""`register()`: the course's environments under `rlcourse/Name-v0`, for `gymnasium.make` and other libraries."""

from collections.abc import Callable
from functools import partial

import gymnasium

from ..core.spaces import Box
from ..envs.acrobot import Acrobot
from ..envs.car import Car
from ..envs.cartpole import CartPole
from ..envs.dynamics import Dynamics
from ..envs.fork import Fork
from ..envs.linear_gain import LinearGain
from ..envs.maps import cliff, four_rooms, windy
from ..envs.mountain_car import ContinuousMountainCar, MountainCar
from ..envs.pendulum import Pendulum
from ..envs.pomdp import corridor
from ..envs.probes import PROBES
from ..envs.tightrope import tightrope
from .export import DynamicsEnv, DynamicsVectorEnv

# Name → what makes the dynamics; keyword arguments of `gymnasium.make` are passed on to it.
ENVIRONMENTS: dict[str, Callable[..., Dynamics]] = {
    "CartPole": CartPole, "Pendulum": Pendulum, "MountainCar": MountainCar, "Acrobot": Acrobot,
    "ContinuousMountainCar": ContinuousMountainCar, "Car": Car, "Fork": Fork,
    "LinearGain": partial(LinearGain, action_limit=1.0),  # a box of ±1e6 cannot be explored
    "Tightrope": partial(tightrope, recoverable=True), "Corridor": corridor,
    "Cliff": lambda **options: cliff(**options).mdp, "FourRooms": lambda **options: four_rooms(**options).mdp,
    "Windy": lambda **options: windy(**options).mdp,
    **{f"Probe{number}": (lambda probe=probe: probe.dynamics) for number, probe in enumerate(PROBES, start=1)},
}


def register() -> list[str]:
    """Enter every environment of `ENVIRONMENTS` into Gymnasium's registry; their ids, such as `rlcourse/Car-v0`.

    Calling it again changes nothing. The time limit is that of the dynamics (None for some tables: give
    `max_episode_steps` to `gymnasium.make`). Actions of a Box are in [−1, 1], stretched onto the box of the
    dynamics: a torque of 2 N m at the Pendulum is an action of 1. Physical constants may be given to
    `gymnasium.make`, for instance `half_length=1.0` for CartPole.
    """
    ids = []
    for name, make in ENVIRONMENTS.items():
        ids.append(f"rlcourse/{name}-v0")
        if ids[-1] not in gymnasium.registry:
            gymnasium.register(
                ids[-1], entry_point="rlcourse.gym.register:make_env",
                vector_entry_point="rlcourse.gym.register:make_vector_env",
                max_episode_steps=make().max_episode_steps, kwargs={"name": name})
    return ids


def make_env(name: str, render_mode: str | None = None, **constants) -> DynamicsEnv:
    """The environment that is registered as `rlcourse/{name}-v0`, without its time limit."""
    dynamics = ENVIRONMENTS[name](**constants)
    return DynamicsEnv(dynamics, normalised=isinstance(dynamics.action_space, Box), render_mode=render_mode)


def make_vector_env(name: str, num_envs: int, max_episode_steps: int | None = None,
                    render_mode: str | None = None, **constants) -> DynamicsVectorEnv:
    """Many of them in one batch, each with its time limit."""
    dynamics = ENVIRONMENTS[name](**constants)
    return DynamicsVectorEnv(dynamics, num_envs, normalised=isinstance(dynamics.action_space, Box),
                             max_episode_steps=max_episode_steps, render_mode=render_mode)
