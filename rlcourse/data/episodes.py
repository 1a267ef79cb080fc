"""Whole episodes: every environment from a fresh start to its first end."""

from dataclasses import replace

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require
from ..core.seeding import generator, uniforms
from ..envs.dynamics import Dynamics
from .rollout import Driver, choose, to_batch
from .sources import Source


def episodes(source: Source, driver: Driver, *, random: torch.Generator | None = None) -> Batch:
    """One whole episode of each of the R × N environments: a Batch [T, R, N, …] with `valid`.

    T is the length of the longest. `valid[t]` is True up to and including the step that ends the
    episode; behind it rewards are 0 and both end flags False, so that sums need no mask. The
    source is reset before and after. The driver is that of `rollout`.
    Errors: ValueError for a source without a time limit, whose episodes need not end.
    """
    return episodes_with_states(source, driver, random=random, keep_states=False)[0]


def episodes_with_states(source: Source, driver: Driver, *, random: torch.Generator | None = None,
                         keep_states: bool = True) -> tuple[Batch, Tensor | None]:
    """The same, with the states [T, R, N, …] in which the actions were taken."""
    require(source.time_limit is not None, "source", "a time limit, so that every episode ends", None)
    source.reset()
    running = torch.ones(source.runs, source.environments, dtype=torch.bool, device=source.obs.device)
    obs, actions, results, states, valid = [], [], [], [], []
    while bool(running.any()):
        obs.append(source.obs)
        if keep_states:
            states.append(source.state)
        actions.append(choose(source, driver, random))
        results.append(source.step(actions[-1]))
        valid.append(running)
        running = running & ~(results[-1].terminated | results[-1].truncated)
    source.reset()
    batch = to_batch(obs, actions, results, torch.stack(valid))
    batch = replace(batch, reward=torch.where(batch.valid, batch.reward, 0.0),
                    terminated=batch.terminated & batch.valid, truncated=batch.truncated & batch.valid)
    return batch, torch.stack(states) if keep_states else None


@torch.no_grad()
def one_episode(dynamics: Dynamics, policy, *, run: int = 0, seed: int) -> Tensor:
    """The states [T + 1, …] of one greedy episode of run `run` of a policy, the first and the last included.

    For a film of what was learned. T is where the episode terminates, or the time limit of the dynamics.
    Errors: ValueError for dynamics without a time limit, another action space, or a run that is not there.
    """
    require(dynamics.max_episode_steps is not None, "dynamics", "a time limit, so that the episode ends", None)
    require(policy.action_space == dynamics.action_space, "policy", f"actions in {dynamics.action_space}",
            policy.action_space)
    require(0 <= run < policy.runs, "run", f"a run from 0 to {policy.runs - 1}", run)
    alone, random, dtype = policy.run(run).cpu(), generator(seed, "one episode"), next(policy.parameters()).dtype

    def noise(count: int) -> Tensor:
        return uniforms((1, 1, count), random, dtype)

    states = [dynamics.initial_state(noise(dynamics.initial_noise))]
    obs = dynamics.observe(states[0], noise(dynamics.observation_noise))
    for _ in range(dynamics.max_episode_steps):
        state, obs, _, terminated = dynamics.step(states[-1], alone.act(obs), noise(dynamics.step_noise))
        states.append(state)
        if bool(terminated):
            break
    return torch.stack(states)[:, 0, 0]
