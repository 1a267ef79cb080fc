"""NAF: Q-learning with continuous actions, where Q is a parabola in the action and its maximum is read off.

Gu, Lillicrap, Sutskever, Levine 2016, "Continuous deep Q-learning with model-based acceleration". The target is that of
Q-learning, r + γ V'(s') with V'(s') = max_a Q'(s', a); there is no actor, and nothing to search.
What it cannot do: a Q with two tops, or one top at the edge of the box that is no top of a parabola.
Told in lectures/05b_q_in_practice, section Q8.

| quick facts       |                                                                                |
|-------------------|--------------------------------------------------------------------------------|
| learns from       | a replay of its own past, each transition many times                           |
| action spaces     | Box                                                                            |
| guarantee         | none with networks; linear–quadratic problems have such a Q                    |
| details that help | much exploring noise, a floor below the curvature, rewards of a moderate size   |
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count, require_unit_interval
from ..core.runs import socket
from ..core.seeding import generator
from ..core.spaces import Box
from ..data.progress import EpisodeReturns
from ..data.replay import Replay
from ..data.rollout import rollout
from ..data.sources import Source
from ..equations import continuous_q
from ..equations.actor_critic import td_target
from ..nets.heads_deterministic import NoisyActor
from ..nets.naf import NAFNet
from ..nets.optim import Adam, descend
from ..nets.q_values import follow
from .sac import UniformActions


@dataclass(frozen=True)
class Config:
    """Values for the pendulum, with 8 environments for each run; lecture 05b trains with 12,000 steps."""

    total_steps: int = 10_000  # environment steps of each run
    random_steps: int = 1000  # of them at the start, with uniform actions and before anything is learned
    horizon: int = 8  # steps of each environment between two rounds of updates
    updates: int = 8  # updates in a round
    batch_size: int = 128  # transitions of each run in an update
    capacity: int = 4000  # steps of each environment that the replay holds
    learning_rate: float = 7e-3  # at the start; falls linearly to zero
    clip_norm: float | None = None  # of each run's gradient; None: not clipped
    discount: float = 0.97
    polyak_rate: float = 0.08  # how far the target moves towards the network in each update
    reward_scale: float = 0.1  # the network learns the values of reward_scale · reward
    exploration_noise: float = 0.6  # standard deviation, in units of half the width of the box of actions

    def __post_init__(self):
        for name in ("total_steps", "random_steps", "horizon", "updates", "batch_size", "capacity"):
            require_count(name, getattr(self, name))
        for name in ("discount", "polyak_rate"):
            require_unit_interval(name, getattr(self, name))
        for name in ("learning_rate", "reward_scale", "clip_norm"):
            value = getattr(self, name)
            require(value is None or value > 0, name, "a positive number", value)
        require(self.exploration_noise >= 0, "exploration_noise", "a number of at least 0", self.exploration_noise)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `episode_return` [R]: the mean over the episodes that ended last, with the noise of exploration. `predicted` [R],
    in units of reward: the mean of V where the source stood when training began (the starts, if it was fresh); to
    be compared with the *discounted* greedy returns from there. `curve` lists (step, episode_return) for this and
    all earlier snapshots; it is shared and grows. `policy`, the network itself, is live.
    """

    step: int
    episode_return: Tensor
    predicted: Tensor
    policy: NAFNet
    curve: list[tuple[int, Tensor]]


def train(source: Source, net: NAFNet, config: Config = Config(), *, seed: int,
          naf_advantage: Callable = continuous_q.naf_advantage) -> Iterator[Snapshot]:
    """Train R networks on R × N environments; yields a Snapshot after every round.

    `naf_advantage` is a socket: a student's function for one run may take its place. Errors: ValueError on runs
    or spaces that do not fit, before training starts, and on rewards that are not finite; FloatingPointError on a
    loss that is not finite.
    """
    space = source.action_space
    require(isinstance(space, Box), "source", "actions in a Box", space)
    require(net.runs == source.runs, "net", f"{source.runs} runs, as many as the source", net.runs)
    require(net.action_size == space.size, "net", f"actions of size {space.size}", net.action_size)
    require(not net.squash or (net.low, net.high) == (space.low, space.high), "net",
            f"one that squashes into [{space.low}, {space.high}]", f"[{net.low}, {net.high}]")
    rows = min(math.ceil(config.random_steps / source.environments), config.capacity)
    require(config.batch_size <= rows * source.environments, "batch_size",
            f"at most the {rows * source.environments} transitions stored at the start", config.batch_size)
    return _rounds(source, net, config, seed, rows,
                   socket("naf_advantage", naf_advantage, continuous_q.naf_advantage, axis=0))


def _rounds(source, net, config, seed, rows, naf_advantage):
    explore, draws = generator(seed, "naf actions"), generator(seed, "naf replay")
    target = copy.deepcopy(net)
    optimiser = Adam(net.parameters(), config.learning_rate, clip_norm=config.clip_norm)
    space = source.action_space
    explorer = NoisyActor(net, space, config.exploration_noise * 0.5 * (space.high - space.low))
    replay = Replay(config.capacity, source.runs, source.environments)
    progress, curve = EpisodeReturns(source.runs, source.environments), []
    starts = source.obs.clone()
    step = 0
    while step < config.total_steps:
        optimiser.learning_rate = config.learning_rate * (1 - step / config.total_steps)
        first = step == 0
        batch = rollout(source, UniformActions(space) if first else explorer, rows if first else config.horizon,
                        random=explore)
        replay.add(batch)
        step += batch.reward.shape[0] * source.environments
        for _ in range(config.updates):
            stored = replay.sample(config.batch_size, draws)
            with torch.no_grad():
                next_value = target.value(stored.next_obs)  # the maximum of Q' over actions
            target_q = td_target(config.reward_scale * stored.reward, next_value, stored.terminated,
                                 discount=config.discount)
            value, mean, cholesky = net(stored.obs)
            loss = (value + naf_advantage(stored.action, mean, cholesky) - target_q).square()
            descend(optimiser, loss)
            follow(target, net, config.polyak_rate)
        finite = torch.isfinite(loss).all(-1)
        if not bool(finite.all()):
            raise FloatingPointError(f"loss: not finite at step {step} in runs {torch.where(~finite)[0].tolist()}")
        curve.append((step, progress.add(batch)))
        with torch.no_grad():
            predicted = net.value(starts).mean(-1) / config.reward_scale
        yield Snapshot(step, curve[-1][1], predicted, net, curve)
