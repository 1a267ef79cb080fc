"""Spaces translated between the course and Gymnasium."""

import gymnasium
import numpy as np

from ..core.check import require
from ..core.spaces import Box, Discrete
from ..envs.dynamics import Dynamics

# The checker of Gymnasium warns of an infinite limit; this is what "no limit" means in float32.
NO_LIMIT = float(np.finfo(np.float32).max)


def our_action_space(space: gymnasium.Space) -> Discrete | Box:
    """Our space for Gymnasium's.

    Errors: ValueError for a space that is neither `Discrete` nor a `Box` of one axis with the same limits
    everywhere.
    """
    if isinstance(space, gymnasium.spaces.Discrete):
        return Discrete(int(space.n))
    good = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f"
    require(good, "action_space", "Discrete, or a Box of real numbers with one axis", space)
    even = bool((space.low == space.low[0]).all() and (space.high == space.high[0]).all())
    require(even, "action_space",
            "the same limits in every coordinate (gymnasium.wrappers.RescaleAction makes them so)", space)
    return Box(float(space.low[0]), float(space.high[0]), space.shape[0])


def our_obs_shape(space: gymnasium.Space) -> tuple[int, ...]:
    """The shape of one observation: () for `Discrete` (an index), that of the array for a `Box`.

    Errors: ValueError for any other space.
    """
    require(isinstance(space, (gymnasium.spaces.Discrete, gymnasium.spaces.Box)), "observation_space",
            "Box or Discrete (gymnasium.wrappers.FlattenObservation makes a Box of the others)", space)
    return tuple(space.shape)


def gymnasium_action_space(dynamics: Dynamics, normalised: bool) -> gymnasium.Space:
    """Gymnasium's space for the actions of `dynamics`; `normalised` makes every Box [−1, 1]."""
    ours = dynamics.action_space
    if isinstance(ours, Discrete):
        return gymnasium.spaces.Discrete(ours.n)
    low, high = (-1.0, 1.0) if normalised else (ours.low, ours.high)
    return gymnasium.spaces.Box(low, high, ours.shape, np.float32)


def gymnasium_obs_space(dynamics: Dynamics) -> gymnasium.Space:
    """Gymnasium's space for the observations: an index of a table, or float32 numbers of unknown limits."""
    if dynamics.obs_shape == () and hasattr(dynamics, "num_states"):
        return gymnasium.spaces.Discrete(getattr(dynamics, "num_observations", dynamics.num_states))
    return gymnasium.spaces.Box(-NO_LIMIT, NO_LIMIT, dynamics.obs_shape, np.float32)
