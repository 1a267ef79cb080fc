"""Rollouts: T steps of all environments, whatever ends and begins meanwhile."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require, require_count
from ..core.seeding import uniforms
from .sources import Source, SourceStep


@runtime_checkable
class Actor(Protocol):
    """Whatever acts on observations, such as `nets.policies.Policy`.

    `act(obs [R, N, …], noise [R, N, noise_size]) → action [R, N, …]`.
    """

    noise_size: int

    def act(self, obs: Tensor, noise: Tensor | None = None) -> Tensor: ...


Driver = Actor | Callable[[Tensor], Tensor]


def rollout(source: Source, driver: Driver, steps: int, *,
            random: torch.Generator | None = None) -> Batch:
    """`steps` transitions of every environment: a Batch [T, R, N, …]. See `rollout_with_states`."""
    return _collect(source, driver, steps, random, keep_states=False)[0]


def rollout_with_states(source: Source, driver: Driver, steps: int, *,
                        random: torch.Generator | None = None) -> tuple[Batch, Tensor]:
    """The same, with the states in which the actions were taken [T, R, N, …].

    The driver is either an `Actor`, which sees the observation, or a plain function, which sees
    the *state*: an expert. An actor with `noise_size` > 0 needs `random`; without a generator it gets
    no noise, which for most heads means its greedy action. The rollout goes on where the source
    stands; it does not reset it.
    Errors: ValueError if a driver asks for states of a source that has none.
    """
    return _collect(source, driver, steps, random, keep_states=True)


def choose(source: Source, driver: Driver, random: torch.Generator | None = None) -> Tensor:
    """The driver's actions [R, N, …] where the source stands."""
    if not hasattr(driver, "act"):
        return driver(_state_of(source))
    noise = None
    if random is not None and driver.noise_size > 0:
        dtype = source.obs.dtype if source.obs.is_floating_point() else torch.float64
        noise = uniforms((source.runs, source.environments, driver.noise_size), random, dtype)
    return driver.act(source.obs, noise)


def _state_of(source: Source) -> Tensor:
    require(hasattr(source, "state"), "source", "one with states (DynamicsSource), because the "
            "driver is a function of the state", type(source).__name__)
    return source.state


def _collect(source, driver, steps, random, keep_states):
    require_count("steps", steps)
    obs, actions, results, states = [], [], [], []
    for _ in range(steps):
        obs.append(source.obs)
        if keep_states:
            states.append(_state_of(source))
        actions.append(choose(source, driver, random))
        results.append(source.step(actions[-1]))
    batch = to_batch(obs, actions, results)
    return batch, torch.stack(states) if keep_states else None


def to_batch(obs: list[Tensor], actions: list[Tensor], results: list[SourceStep],
             valid: Tensor | None = None) -> Batch:
    """Stack what T steps gave into one Batch [T, R, N, …]."""
    _, reward, next_obs, terminated, truncated = (torch.stack(part) for part in zip(*results))
    return Batch(torch.stack(obs), torch.stack(actions), reward, next_obs, terminated, truncated,
                 valid=valid)
