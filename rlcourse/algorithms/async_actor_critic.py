"""Asynchronous advantage actor-critic: several processes improve one set of parameters, nobody waits for a rollout.

Mnih and others 2016, "Asynchronous methods for deep reinforcement learning" (A3C). Told in
lectures/04_actor_critic, section A5. Each worker is a process (a thread in the paper) with its own environments and
its own copy of both networks. It reads the shared parameters, collects a short rollout, computes a gradient with
its copy, and applies it to the shared parameters, which others have changed meanwhile: the gradient is *stale* by
as many updates. The worker itself is in `async_worker`; how processes start and end in `core.processes`.

| quick facts       |                                                                                   |
|-------------------|-----------------------------------------------------------------------------------|
| learns from       | rollouts of several workers, each used for one gradient step and then thrown away |
| action spaces     | Discrete and Box                                                                  |
| guarantee         | with one worker it is `a2c`, number for number; with more, no run can be repeated |
| details that help | as many workers as cores; short rollouts; one Adam whose averages are shared too  |
"""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..core.check import require, require_count
from ..core.processes import CONTEXT, Worker, crew, messages, pickled, require_on_cpu
from ..core.seeding import generator
from ..data.sources import DynamicsSource
from ..envs.dynamics import Dynamics
from ..nets.policies import Policy
from . import a2c
from .async_worker import Shared, copy_into, share, work


@dataclass(frozen=True)
class Config:
    """Values for CartPole on two cores: an update sees as much as one of `a2c` with its own values."""

    workers: int = 2  # processes; more than the machine has cores only makes gradients staler
    environments: int = 8  # of each run, in every worker
    learner: a2c.Config = field(default_factory=a2c.Config)  # `total_steps` counts those of all workers together
    report_every: int = 10  # updates from one snapshot to the next

    def __post_init__(self):
        for name in ("workers", "environments", "report_every"):
            require_count(name, getattr(self, name))
        require(isinstance(self.learner, a2c.Config), "learner", "an a2c.Config", type(self.learner).__name__)

    @property
    def rollout_steps(self) -> int:
        """Environment steps of each run behind one update."""
        return self.learner.horizon * self.environments

    @property
    def total_updates(self) -> int:
        """Updates by all workers together."""
        return math.ceil(self.learner.total_steps / self.rollout_steps)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `update` updates, and `step` environment steps of each run, by all workers together.

    `episode_return` [R]: the mean over the workers of the episodes of each that ended last. `curve` lists
    (step, episode_return) for this and all earlier snapshots; it is shared and grows. `policy` and `critic` are
    live. `staleness` [K] (int64): how many gradients were k = 0 … K − 1 updates old when they were applied.
    `updates_by_worker` [W] (int64). `start_seconds`: until every worker had imported what it needs.
    """

    update: int
    step: int
    episode_return: Tensor
    policy: Policy
    critic: nn.Module
    curve: list[tuple[int, Tensor]]
    staleness: Tensor
    updates_by_worker: Tensor
    start_seconds: float

    @property
    def mean_staleness(self) -> float:
        """The mean over all gradients applied so far: at most W − 1, and close to it once there are many.

        Between two updates of one worker, every update by another makes its next gradient one update staler. So an
        update counts once for each of the W − 1 others, but for those at the very start and the very end. Which
        machine it runs on, and how fast, changes only how the staleness is spread about this mean.
        """
        return float((torch.arange(len(self.staleness)) * self.staleness).sum() / self.staleness.sum())


def train(dynamics: Dynamics, policy: Policy, critic: nn.Module, config: Config = Config(), *,
          seed: int) -> Iterator[Snapshot]:
    """Train R policies and critics with `config.workers` processes; yields a Snapshot every few updates.

    It takes a Dynamics, not a source: every worker makes its own environments. No sockets either: a function from
    a notebook cannot travel to another process. The workers start with the first snapshot asked for, and end with
    the training, an interrupt, an error, the parent, or the generator (`close`, or when nobody refers to it any
    more); the policy keeps what was learned. The seed fixes what each worker draws, but not who comes first: with
    more than one worker, results differ from run to run.
    Errors, before training starts: ValueError on runs or spaces that do not fit, without a time limit, and for
    what another process could not load; during training, RuntimeError when a worker fails or dies.
    """
    require(isinstance(dynamics, Dynamics), "dynamics",
            "a Dynamics, of which every worker makes its own environments", type(dynamics).__name__)
    require(dynamics.max_episode_steps is not None, "dynamics", "a time limit, so that every episode ends", None)
    require_on_cpu("policy", list(policy.parameters()))
    require_on_cpu("critic", list(critic.parameters()))
    one_worker = DynamicsSource(dynamics, policy.runs, config.environments, random=generator(seed, "fit"))
    a2c.require_fit(one_worker, policy, critic)
    task = pickled(dynamics=dynamics, policy=policy, critic=critic, config=config, seed=seed)
    return _train(policy, critic, config, task)


def _train(policy, critic, config, task):
    optimisers = a2c.make_optimisers(policy, critic, config.learner)
    parameters = [optimiser.parameters for optimiser in optimisers]
    shared, lock, began = share(optimisers), CONTEXT.Lock(), time.perf_counter()
    try:
        with crew(work, [(shared, lock, task, number) for number in range(config.workers)]) as workers:
            inbox = messages(workers)
            _start_together(workers, inbox)
            start_seconds = time.perf_counter() - began
            yield from _snapshots(inbox, policy, critic, parameters, config, shared, lock, start_seconds)
    finally:
        copy_into(parameters, shared)  # nobody writes there any more


def _start_together(workers: list[Worker], inbox: Iterator) -> None:
    """Let all begin when the last one is ready, so that none trains alone for a while."""
    for _ in workers:
        next(inbox)
    for worker in workers:
        with suppress(BrokenPipeError):  # it has died since; the inbox will say so
            worker.connection.send("go")


def _snapshots(inbox, policy, critic, parameters, config, shared: Shared, lock, start_seconds):
    latest = torch.full((config.workers, policy.runs), torch.nan, dtype=shared.groups[0].dtype)
    by_worker, ages, curve = torch.zeros(config.workers, dtype=torch.int64), [], []
    for number, applied in inbox:
        by_worker[number] += 1
        ages.append(applied.staleness)
        latest[number] = torch.tensor(applied.episode_return, dtype=latest.dtype)
        if len(ages) % config.report_every and len(ages) < config.total_updates:
            continue
        if not lock.acquire(timeout=5.0):
            continue  # whoever holds it has died; the inbox will say so
        try:
            copy_into(parameters, shared)
        finally:
            lock.release()
        step = len(ages) * config.rollout_steps
        curve.append((step, latest.nanmean(0)))
        yield Snapshot(len(ages), step, curve[-1][1], policy, critic, curve, torch.bincount(torch.tensor(ages)),
                       by_worker.clone(), start_seconds)
