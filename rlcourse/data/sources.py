"""Sources: environments that remember where they are, R runs × N of them side by side.

A `Dynamics` is a set of functions; a source adds what a rollout needs besides: the current
states, a step counter for the time limit, and the reset.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..core.check import require, require_count
from ..core.seeding import uniforms
from ..core.spaces import Box, Discrete
from ..envs.dynamics import Dynamics


class SourceStep(NamedTuple):
    """One step of all R × N environments.

    `obs` [R, N, …] is what to act on next: after an end it is the first observation of the next
    episode. `next_obs` [R, N, …] is the true successor, also at an end. `reward` [R, N];
    `terminated` and `truncated` [R, N] (bool), the second being the time limit and nothing else.
    A step that ends on both counts has both.
    """

    obs: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    truncated: Tensor


@runtime_checkable
class Source(Protocol):
    """What an algorithm may ask of an environment it does not know."""

    action_space: Discrete | Box
    obs_shape: tuple[int, ...]
    time_limit: int | None
    runs: int
    environments: int
    obs: Tensor

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the observations [R, N, …]."""

    def step(self, action: Tensor) -> SourceStep:
        """Act once everywhere."""


class DynamicsSource:
    """R × N copies of a `Dynamics`, advanced together and each reset in the very step of its end.

    `random` is the source's own generator. Every step draws the same number of uniforms whatever
    happens, so that an episode which ends earlier in one environment changes no other one's luck.
    `time_limit` replaces the limit of the dynamics if it is given. Public besides `reset` and
    `step`: `state` [R, N, …] and `obs` [R, N, …] (the present ones, one and the same tensor where states are
    seen as they are: do not write into it) and `steps_taken` [R, N] (int64).
    """

    def __init__(self, dynamics: Dynamics, runs: int, environments: int, *, random: torch.Generator,
                 time_limit: int | None = None, dtype: torch.dtype = torch.float32):
        require_count("runs", runs)
        require_count("environments", environments)
        self.dynamics, self.runs, self.environments = dynamics, runs, environments
        self.random, self.dtype = random, dtype
        self.action_space, self.obs_shape = dynamics.action_space, dynamics.obs_shape
        self.time_limit = dynamics.max_episode_steps if time_limit is None else time_limit
        if self.time_limit is not None:
            require_count("time_limit", self.time_limit)
        self.reset()

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the observations [R, N, …]."""
        self.state = self._initial_state()
        self.obs = self._observe(self.state)
        self.steps_taken = torch.zeros(self.runs, self.environments, dtype=torch.int64,
                                       device=self.random.device)
        return self.obs

    def step(self, action: Tensor) -> SourceStep:
        """Take `action` [R, N, …] everywhere; environments whose episode ended begin the next one.

        Errors: ValueError if `action` has another shape.
        """
        wanted = (self.runs, self.environments, *self.action_space.shape)
        require(tuple(action.shape) == wanted, "action", f"shape {list(wanted)}", list(action.shape))
        step_noise = self._uniforms(self.dynamics.step_noise) if self.dynamics.step_noise else None
        result = self.dynamics.step(self.state, action, step_noise)
        steps_taken = self.steps_taken + 1
        truncated = steps_taken >= self.time_limit if self.time_limit is not None else \
            torch.zeros_like(result.terminated)
        ended = result.terminated | truncated
        fresh = self._initial_state()
        self.state = torch.where(_like(ended, fresh), fresh, result.next_state)
        # One draw of observation noise for all: only those that ended use it.
        fresh_obs = self._observe(fresh)
        if fresh_obs is fresh and result.next_obs is result.next_state:  # states are seen as they are
            self.obs = self.state
        else:
            self.obs = torch.where(_like(ended, fresh_obs), fresh_obs, result.next_obs)
        self.steps_taken = steps_taken.masked_fill_(ended, 0)
        return SourceStep(self.obs, result.reward.to(self.dtype), result.next_obs, result.terminated,
                          truncated)

    def _initial_state(self) -> Tensor:
        return self.dynamics.initial_state(self._uniforms(self.dynamics.initial_noise))

    def _observe(self, state: Tensor) -> Tensor:
        count = self.dynamics.observation_noise
        return self.dynamics.observe(state, self._uniforms(count) if count else None)

    def _uniforms(self, count: int) -> Tensor:
        return uniforms((self.runs, self.environments, count), self.random, self.dtype)


def _like(flag: Tensor, other: Tensor) -> Tensor:
    """`flag` [R, N] with as many axes as `other` [R, N, …]."""
    return flag.reshape(*flag.shape, *[1] * (other.ndim - flag.ndim))
