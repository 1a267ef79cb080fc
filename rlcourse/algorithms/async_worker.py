"""What one worker of asynchronous actor-critic does: read the shared parameters, collect, apply its gradient.

The parent is `async_actor_critic.train`. Told in lectures/04_actor_critic, section A5.
"""

import pickle
from collections.abc import Sequence
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..core.seeding import generator
from ..data.progress import EpisodeReturns
from ..data.rollout import rollout
from ..data.sources import DynamicsSource
from ..equations import actor_critic, policy_gradient, returns
from ..nets.optim import Adam
from . import a2c

EQUATIONS = a2c.sockets(actor_critic.td_target, returns.gae, policy_gradient.surrogate_loss)


class Shared(NamedTuple):
    """What all processes see.

    `groups` has one tensor [3, R, P] for each optimiser: its parameters, every network of a run in one row, and
    Adam's averages of the gradient and of its square. `updates` is int64 [].
    """

    groups: list[Tensor]
    updates: Tensor


class Applied(NamedTuple):
    """One gradient that a worker has applied.

    `staleness` counts the updates by others between reading the parameters and applying the gradient computed
    from them. `episode_return` holds R numbers: of this worker's episodes that ended last, NaN before the first.
    """

    staleness: int
    episode_return: list[float]


def share(optimisers: Sequence[Adam]) -> Shared:
    """Copies of the optimisers' parameters [R, …] in shared memory, with the averages before Adam's first step."""
    rows = [torch.cat([parameter.detach().flatten(1) for parameter in optimiser.parameters], dim=1)
            for optimiser in optimisers]
    groups = [torch.stack([row, torch.zeros_like(row), torch.zeros_like(row)]).share_memory_() for row in rows]
    return Shared(groups, torch.zeros((), dtype=torch.int64).share_memory_())


def views(shared: Shared, parameters: Sequence[list[Tensor]]) -> list[list[Tensor]]:
    """The shared parameters in the shapes of those of each optimiser: the same memory."""
    rows = [group[0].split([parameter[0].numel() for parameter in own], dim=1)
            for group, own in zip(shared.groups, parameters)]
    return [[part.view_as(parameter) for part, parameter in zip(row, own)] for row, own in zip(rows, parameters)]


@torch.no_grad()
def copy_into(parameters: Sequence[list[Tensor]], shared: Shared) -> None:
    """Give the parameters, those of each optimiser in a list, the shared values."""
    for own, common in zip(parameters, views(shared, parameters)):
        for one, other in zip(own, common):
            one.copy_(other)


class Replica:
    """A worker's own copy of actor and critic, with its own environments: `read`, then `compute` and `apply`.

    All that touches shared memory happens under the lock. Without it (Recht et al. 2011, "Hogwild!") two updates
    might mix in the midst of a weight matrix, a reader might catch half of one, and "how many updates in between"
    would have no answer. Those were costs worth paying where the lock was the bottleneck: here it is held for a
    small part of the time that a rollout takes.
    """

    def __init__(self, shared: Shared, lock: Any, dynamics, policy, critic, config, seed: int, number: int):
        self.shared, self.lock, self.policy, self.critic, self.config = shared, lock, policy, critic, config
        self.optimisers = a2c.make_optimisers(policy, critic, config.learner)
        self.own = [optimiser.parameters for optimiser in self.optimisers]
        # The optimisers of this worker step on the shared parameters, with the shared averages.
        for optimiser, common, group in zip(self.optimisers, views(shared, self.own), shared.groups):
            optimiser.parameters = [view.detach().requires_grad_() for view in common]
            optimiser.mean, optimiser.square = group[1], group[2]
        dtype = self.own[0][0].dtype
        self.source = DynamicsSource(dynamics, policy.runs, config.environments, dtype=dtype,
                                     random=generator(seed, f"worker {number}: environments"))
        self.actions = generator(seed, f"worker {number}: actions")
        self.clock, self.version = a2c.EpisodeClock(self.source), 0
        self.progress = EpisodeReturns(self.source.runs, self.source.environments, dtype)

    def read(self) -> None:
        """Take over the shared parameters, and remember how many updates they have seen."""
        with self.lock:
            self._read()

    def _read(self) -> None:
        copy_into(self.own, self.shared)
        self.version = int(self.shared.updates)

    def compute(self) -> None:
        """A rollout with the own copy, and the gradient at the own copy. Errors: FloatingPointError."""
        batch = rollout(self.source, self.policy, self.config.learner.horizon, random=self.actions)
        loss = a2c.losses(batch, self.clock.add(batch), self.policy, self.critic, self.config.learner, EQUATIONS)
        a2c.require_finite(loss, self.version * self.config.rollout_steps)
        self.progress.add(batch)
        for parameter in chain(*self.own):
            parameter.grad = None
        loss.sum().backward()

    def apply(self) -> Applied | None:
        """One step of the shared Adam with the own gradient, then `read` before anyone else writes.

        None, and nothing is changed, if all updates have been made.
        """
        with self.lock:
            updates, total = int(self.shared.updates), self.config.total_updates
            if updates >= total:
                return None
            a2c.slow_down(self.optimisers, self.config.learner, 1 - updates / total)
            for optimiser, own in zip(self.optimisers, self.own):
                for common, parameter in zip(optimiser.parameters, own):
                    common.grad = parameter.grad
                optimiser.steps = updates
                optimiser.step()
            self.shared.updates.add_(1)
            staleness = updates - self.version
            self._read()
        return Applied(staleness, self.progress.latest.tolist())


def work(connection: Connection, shared: Shared, lock: Any, task: bytes, number: int) -> None:
    """The life of worker `number`: say "ready", wait for the start, then work until all updates are made."""
    replica = Replica(shared, lock, *pickle.loads(task), number)
    connection.send("ready")
    connection.recv()
    replica.read()
    while True:
        replica.compute()
        applied = replica.apply()
        if applied is None:
            return
        connection.send(applied)
