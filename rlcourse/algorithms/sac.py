"""Soft actor-critic: reward plus entropy, learned off-policy from a replay.

Haarnoja, Zhou, Abbeel, Levine 2018, "Soft actor-critic: off-policy maximum entropy deep reinforcement learning
with a stochastic actor"; twin critics after Fujimoto, van Hoof, Meger 2018; the tuned
temperature after Haarnoja and others 2018. Told in lectures/04_actor_critic, section A8.

| quick facts       |                                                                                  |
|-------------------|----------------------------------------------------------------------------------|
| learns from       | a replay of its own past, each transition many times                             |
| action spaces     | Box                                                                              |
| guarantee         | none with networks; with tables, and exact steps, the best soft policy           |
| details that help | rewards of a size that critics reach soon, a target that follows, twin critics   |
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count, require_unit_interval
from ..core.runs import socket
from ..core.seeding import generator, uniforms
from ..core.spaces import Box
from ..data.progress import EpisodeReturns
from ..data.replay import Replay
from ..data.rollout import rollout
from ..data.sources import Source
from ..equations import soft_actor_critic
from ..nets.optim import Adam, descend
from ..nets.policies import Policy
from ..nets.q_values import QNet, follow


@dataclass(frozen=True)
class Config:
    """Values that swing the pendulum up and hold it after about 9,000 steps, with 8 environments for each run."""

    total_steps: int = 15_000  # environment steps of each run
    random_steps: int = 1000  # of them at the start, with uniform actions and before anything is learned
    horizon: int = 8  # steps of each environment between two rounds of updates
    updates: int = 4  # updates in a round
    batch_size: int = 128  # transitions of each run in an update
    capacity: int = 4000  # steps of each environment that the replay holds
    learning_rate: float = 7e-3  # of critics, actor and temperature at the start; falls linearly to zero
    discount: float = 0.97
    polyak_rate: float = 0.08  # how far the target critics move towards the critics in each update
    reward_scale: float = 0.1  # the critics learn the values of reward_scale · reward
    temperature: float = 0.1  # at the start, in units of scaled reward per nat
    tune_temperature: bool = True
    target_entropy: float | None = None  # in nats, of the density of the action; None: log h − 1 a coordinate

    def __post_init__(self):
        for name in ("total_steps", "random_steps", "horizon", "updates", "batch_size", "capacity"):
            require_count(name, getattr(self, name))
        for name in ("discount", "polyak_rate"):
            require_unit_interval(name, getattr(self, name))
        for name in ("learning_rate", "reward_scale", "temperature"):
            require(getattr(self, name) > 0, name, "a positive number", getattr(self, name))
        require(self.target_entropy is None or math.isfinite(self.target_entropy), "target_entropy",
                "a finite number or None", self.target_entropy)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `episode_return` [R]: the mean over the episodes that ended last, with the noise of exploration. `temperature`
    [R], in units of scaled reward. `curve` lists (step, episode_return) for this and all earlier snapshots; it is
    shared and grows. `policy` and `critic` are live.
    """

    step: int
    episode_return: Tensor
    temperature: Tensor
    policy: Policy
    critic: QNet
    curve: list[tuple[int, Tensor]]


@dataclass(frozen=True)
class UniformActions:
    """An actor that takes every action of a Box alike: what fills the replay while there is nothing to follow."""

    space: Box

    @property
    def noise_size(self) -> int:
        return self.space.size

    def act(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """low + (high − low) · noise [R, N, D]."""
        require(noise is not None, "noise", f"uniforms of shape {[*obs.shape[:2], self.noise_size]}", None)
        return self.space.low + (self.space.high - self.space.low) * noise


def train(source: Source, policy: Policy, critic: QNet, config: Config = Config(), *, seed: int,
          sac_target: Callable = soft_actor_critic.sac_target,
          actor_loss: Callable = soft_actor_critic.actor_loss) -> Iterator[Snapshot]:
    """Train R policies and their critics on R × N environments; yields a Snapshot after every round.

    `sac_target` and `actor_loss` are sockets: a student's function for one run may take their place; the
    `temperature` it gets is a tensor [1]. Errors: ValueError on runs, spaces or heads that do not fit, before
    training starts, and on rewards that are not finite; FloatingPointError on a loss that is not finite.
    """
    space = source.action_space
    require(isinstance(space, Box), "source", "actions in a Box", space)
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(critic.runs == source.runs, "critic", f"{source.runs} runs, as many as the source", critic.runs)
    require(policy.action_space == space, "policy", f"actions in {space}", policy.action_space)
    require(hasattr(policy.head, "sample_with_log_prob"), "policy",
            "a head whose samples carry a gradient, such as SquashedGaussianHead", type(policy.head).__name__)
    require((policy.head.low, policy.head.high) == (space.low, space.high), "policy",
            f"a head that squashes into [{space.low}, {space.high}]", f"[{policy.head.low}, {policy.head.high}]")
    rows = min(math.ceil(config.random_steps / source.environments), config.capacity)
    require(config.batch_size <= rows * source.environments, "batch_size",
            f"at most the {rows * source.environments} transitions stored at the start", config.batch_size)
    return _rounds(source, policy, critic, config, seed, rows,
                   socket("sac_target", sac_target, soft_actor_critic.sac_target, axis=0),
                   socket("actor_loss", actor_loss, soft_actor_critic.actor_loss, axis=0))


def _rounds(source, policy, critic, config, seed, rows, sac_target, actor_loss):
    explore, draws, noise = (generator(seed, f"sac {name}") for name in ("actions", "replay", "updates"))
    target = copy.deepcopy(critic)
    log_temperature = torch.full((source.runs, 1), math.log(config.temperature), dtype=source.obs.dtype,
                                 device=source.obs.device, requires_grad=True)
    critic_optimiser, actor_optimiser, temperature_optimiser = (
        Adam(parameters, config.learning_rate) for parameters in
        (critic.parameters(), policy.parameters(), [log_temperature]))
    target_entropy = config.target_entropy
    if target_entropy is None:  # −1 for an action scaled to (−1, 1), in the units of the action itself
        target_entropy = source.action_space.size * (math.log((policy.head.high - policy.head.low) / 2) - 1)

    def act(obs: Tensor) -> tuple[Tensor, Tensor]:
        """New actions [R, B, D] and their log π [R, B], both with their gradient."""
        return policy.distribution(obs).sample_with_log_prob(
            uniforms((*obs.shape[:2], policy.noise_size), noise, obs.dtype).to(obs.device))

    replay = Replay(config.capacity, source.runs, source.environments)
    progress, curve = EpisodeReturns(source.runs, source.environments), []
    step = 0
    while step < config.total_steps:
        for optimiser in (critic_optimiser, actor_optimiser, temperature_optimiser):
            optimiser.learning_rate = config.learning_rate * (1 - step / config.total_steps)
        if step == 0:
            batch = rollout(source, UniformActions(source.action_space), rows, random=explore)
        else:
            batch = rollout(source, policy, config.horizon, random=explore)
        replay.add(batch)
        step += batch.reward.shape[0] * source.environments
        for _ in range(config.updates):
            stored = replay.sample(config.batch_size, draws)
            temperature = log_temperature.detach().exp()
            with torch.no_grad():
                next_action, next_log_prob = act(stored.next_obs)  # of the policy as it is now
                next_q = target(stored.next_obs, next_action).amin(1)  # the smaller of the twins
                target_q = sac_target(config.reward_scale * stored.reward, next_q, next_log_prob,
                                      stored.terminated, discount=config.discount, temperature=temperature)
            critic_loss = (critic(stored.obs, stored.action) - target_q.unsqueeze(1)).square()
            descend(critic_optimiser, critic_loss)
            action, log_prob = act(stored.obs)  # not the stored action
            q = critic(stored.obs, action).amin(1)
            descend(actor_optimiser, actor_loss(log_prob, q, temperature=temperature))
            if config.tune_temperature:
                descend(temperature_optimiser, soft_actor_critic.temperature_loss(
                    log_prob, log_temperature=log_temperature, target_entropy=target_entropy))
            follow(target, critic, config.polyak_rate)
        finite = torch.isfinite(critic_loss).all(-1).all(-1)
        if not bool(finite.all()):
            raise FloatingPointError(f"critic loss: not finite at step {step} in runs "
                                     f"{torch.where(~finite)[0].tolist()}")
        curve.append((step, progress.add(batch)))
        yield Snapshot(step, curve[-1][1], temperature.flatten(), policy, critic, curve)
