"""Proximal policy optimisation: several passes over each rollout, with a ratio that is clipped.

Schulman et al. 2017, "Proximal policy optimization algorithms". Told in lectures/03_policy_gradients,
sections P9 and P10.

| quick facts       |                                                                            |
|-------------------|----------------------------------------------------------------------------|
| learns from       | its own rollouts, each used `epochs` times and then thrown away            |
| action spaces     | Discrete and Box                                                           |
| guarantee         | none; the clip is a rough stand-in for the trust region of section P9      |
| details that help | a learning rate that falls to zero, advantages normalised, a short horizon |
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count, require_unit_interval
from ..core.runs import rollout_by_run, samples_by_run, socket
from ..core.seeding import generator
from ..data.progress import EpisodeReturns
from ..data.rollout import rollout
from ..data.sources import Source
from ..equations import policy_gradient, returns
from ..nets.optim import Adam
from ..nets.policies import Policy
from ..nets.values import ValueNet


@dataclass(frozen=True)
class Config:
    """Values for CartPole with 16 environments for each run: the slowest of eight takes 14,000 to 27,000 steps."""

    total_steps: int = 60_000  # environment steps of each run
    horizon: int = 32  # steps of each environment in a rollout
    epochs: int = 4  # passes over a rollout
    minibatch_size: int = 128  # samples of each run in an update
    learning_rate: float = 4e-3  # at the start; falls linearly to zero
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.0
    clip_norm: float = 0.5  # of each run's gradient

    def __post_init__(self):
        for name in ("total_steps", "horizon", "epochs", "minibatch_size"):
            require_count(name, getattr(self, name))
        for name in ("discount", "gae_lambda"):
            require_unit_interval(name, getattr(self, name))
        for name in ("learning_rate", "clip_range", "clip_norm"):
            require(getattr(self, name) > 0, name, "a positive number", getattr(self, name))
        for name in ("value_weight", "entropy_weight"):
            require(getattr(self, name) >= 0, name, "a number of at least 0", getattr(self, name))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `episode_return` [R]: the mean over the episodes that ended last. `curve` lists (step, episode_return)
    for this and all earlier snapshots; it is shared and grows. `policy` and `critic` are live.
    """

    step: int
    episode_return: Tensor
    policy: Policy
    critic: ValueNet
    curve: list[tuple[int, Tensor]]


def train(source: Source, policy: Policy, critic: ValueNet, config: Config = Config(), *, seed: int,
          gae: Callable = returns.gae, surrogate: Callable = policy_gradient.clipped_surrogate) -> Iterator[Snapshot]:
    """Train R policies and critics on R × N environments; yields a Snapshot after every rollout.

    `gae` and `surrogate` are sockets: a student's function for one run may take their place. Errors, before
    training starts: ValueError on runs or spaces that do not fit; during training, FloatingPointError on a
    loss that is not finite.
    """
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(critic.net.runs == source.runs, "critic", f"{source.runs} runs, as many as the source", critic.net.runs)
    require(policy.action_space == source.action_space, "policy", f"actions in {source.action_space}",
            policy.action_space)
    require(not policy.clamp, "policy", "one that keeps its actions as drawn (clamp=False)", "clamp=True")
    require(config.minibatch_size <= config.horizon * source.environments, "minibatch_size",
            f"at most the {config.horizon * source.environments} samples of a rollout", config.minibatch_size)
    return _updates(source, policy, critic, config, seed, socket("gae", gae, returns.gae, axis=1),
                    socket("surrogate", surrogate, policy_gradient.clipped_surrogate, axis=0))


def _updates(source, policy, critic, config, seed, gae, surrogate):
    actions, order = generator(seed, "ppo actions"), generator(seed, "ppo minibatches")
    optimiser = Adam([*policy.parameters(), *critic.parameters()], config.learning_rate, clip_norm=config.clip_norm)
    progress, curve = EpisodeReturns(source.runs, source.environments), []
    rollout_steps = config.horizon * source.environments
    rollouts = math.ceil(config.total_steps / rollout_steps)
    for done in range(rollouts):
        optimiser.learning_rate = config.learning_rate * (1 - done / rollouts)
        batch = rollout(source, policy, config.horizon, random=actions)
        obs, action = samples_by_run(batch.obs), samples_by_run(batch.action)
        with torch.no_grad():
            value = rollout_by_run(critic(obs), config.horizon)
            next_value = rollout_by_run(critic(samples_by_run(batch.next_obs)), config.horizon)
            behaviour_log_prob = policy.distribution(obs).log_prob(action)
        advantage = gae(batch.reward, value, next_value, batch.terminated, batch.truncated,
                        discount=config.discount, gae_lambda=config.gae_lambda)
        target = samples_by_run(advantage + value)
        advantage = samples_by_run(advantage)
        for _ in range(config.epochs):
            shuffled = torch.randperm(rollout_steps, generator=order).to(obs.device)
            for pick in shuffled.split(config.minibatch_size):
                picked = obs[:, pick]
                distribution = policy.distribution(picked)
                gain = surrogate(distribution.log_prob(action[:, pick]), behaviour_log_prob[:, pick],
                                 policy_gradient.normalised(advantage[:, pick]), clip_range=config.clip_range)
                error = (critic(picked) - target[:, pick]).square()
                loss = config.value_weight * error.mean(1) - gain.mean(1)
                if config.entropy_weight:
                    loss = loss - config.entropy_weight * distribution.entropy().mean(1)
                optimiser.zero_grad()
                loss.sum().backward()
                optimiser.step()
        step = (done + 1) * rollout_steps
        if not bool(torch.isfinite(loss).all()):
            raise FloatingPointError(f"loss: not finite at step {step} in runs "
                                     f"{torch.where(~torch.isfinite(loss))[0].tolist()}")
        curve.append((step, progress.add(batch)))
        yield Snapshot(step, curve[-1][1], policy, critic, curve)
