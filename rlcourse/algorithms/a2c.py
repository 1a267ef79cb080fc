"""Advantage actor-critic: a critic is fitted to what follows, and the actor climbs the critic's advantages.

Barto, Sutton, Anderson 1983 and Konda, Tsitsiklis 2000 for the two learners; Mnih and others 2016 for many
environments at once. Told in lectures/04_actor_critic, sections A1 to A6. Batch: a rollout of several steps for
every update. Online: one step of every environment (`online`). Two networks, or one trunk with two heads
(`nets.shared_trunk`).

| quick facts       |                                                                                    |
|-------------------|------------------------------------------------------------------------------------|
| learns from       | its own rollouts, each used for one gradient step and then thrown away             |
| action spaces     | Discrete and Box                                                                   |
| guarantee         | none with a learned critic: its error biases the gradient unless λ = 1             |
| details that help | many environments, a learning rate that falls to zero, λ between 0 and 1           |
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.check import require, require_count, require_unit_interval
from ..core.runs import rollout_by_run, samples_by_run, socket
from ..core.seeding import generator
from ..data.progress import EpisodeReturns
from ..data.rollout import rollout
from ..data.sources import Source
from ..equations import actor_critic, policy_gradient, returns
from ..nets.optim import Adam
from ..nets.policies import Policy

ADVANTAGES = ("gae", "td")


@dataclass(frozen=True)
class Config:
    """Values for CartPole with 8 environments for each run, hidden layers of 32: the slowest of eight takes 16,000 to
    70,000 steps."""

    total_steps: int = 80_000  # environment steps of each run
    horizon: int = 16  # steps of each environment in a rollout; 1 is online actor-critic
    learning_rate: float = 5e-3  # of the policy, a shared trunk included, at the start; falls linearly to zero
    critic_learning_rate: float = 2e-2  # of what only the critic has; the same
    discount: float = 0.99
    advantage: str = "gae"  # "gae", or "td": r + γV(s') − V(s), with the target r + γV(s') for the critic
    gae_lambda: float = 0.9
    discount_option: int = 1  # 1: every step weighs alike; 2: step t of an episode weighs γᵗ in the actor's gradient
    normalise: bool = False  # the advantages of a rollout, to mean 0 and deviation 1
    value_weight: float = 0.5  # of the critic's loss beside the actor's: it matters where they share something
    entropy_weight: float = 0.0
    clip_norm: float | None = 0.5  # of each run's gradient, both networks together

    def __post_init__(self):
        for name in ("total_steps", "horizon"):
            require_count(name, getattr(self, name))
        for name in ("discount", "gae_lambda"):
            require_unit_interval(name, getattr(self, name))
        require(self.advantage in ADVANTAGES, "advantage", f"one of {list(ADVANTAGES)}", repr(self.advantage))
        require(self.discount_option in (1, 2), "discount_option", "1 or 2", self.discount_option)
        for name in ("learning_rate", "critic_learning_rate"):
            require(getattr(self, name) > 0, name, "a positive number", getattr(self, name))
        for name in ("value_weight", "entropy_weight"):
            require(getattr(self, name) >= 0, name, "a number of at least 0", getattr(self, name))
        require(self.clip_norm is None or self.clip_norm > 0, "clip_norm", "a positive number or None", self.clip_norm)


def online(config: Config = Config()) -> Config:
    """An update after every single step, on CartPole with 16 environments for each run.

    The batches are small, so the steps are too; and a critic of a nearer future, which is learned sooner. Until it
    knows that rewards go on, every advantage is positive and whatever was done is reinforced: with the discount 0.99
    about one run in ten fixes on one action that way and stays there (6 of 64).
    """
    return replace(config, horizon=1, advantage="td", learning_rate=5e-4, critic_learning_rate=5e-3, discount=0.95)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `episode_return` [R]: the mean over the episodes that ended last. `curve` lists (step, episode_return)
    for this and all earlier snapshots; it is shared and grows. `policy` and `critic` are live.
    """

    step: int
    episode_return: Tensor
    policy: Policy
    critic: nn.Module
    curve: list[tuple[int, Tensor]]


class Sockets(NamedTuple):
    """The equations of the loop, each the library's or a student's."""

    td_target: Callable
    gae: Callable
    surrogate: Callable


def train(source: Source, policy: Policy, critic: nn.Module, config: Config = Config(), *, seed: int,
          td_target: Callable = actor_critic.td_target, gae: Callable = returns.gae,
          surrogate: Callable = policy_gradient.surrogate_loss) -> Iterator[Snapshot]:
    """Train R policies and critics on R × N environments; yields a Snapshot after every update.

    `critic` is a `ValueNet`, or the `TrunkValue` of the trunk that is the policy's head. `td_target` (used with
    `advantage="td"`), `gae` and `surrogate` are sockets: a student's function for one run may take their place.
    Errors, before training starts: ValueError on runs or spaces that do not fit; during training,
    FloatingPointError on a loss that is not finite.
    """
    require_fit(source, policy, critic)
    return _updates(source, policy, critic, config, seed, sockets(td_target, gae, surrogate))


def _updates(source, policy, critic, config, seed, equations):
    actions = generator(seed, "a2c actions")
    optimisers = make_optimisers(policy, critic, config)
    progress, curve = EpisodeReturns(source.runs, source.environments), []
    clock = EpisodeClock(source)
    rollout_steps = config.horizon * source.environments
    updates = math.ceil(config.total_steps / rollout_steps)
    for done in range(updates):
        slow_down(optimisers, config, 1 - done / updates)
        batch = rollout(source, policy, config.horizon, random=actions)
        loss = losses(batch, clock.add(batch), policy, critic, config, equations)
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.sum().backward()
        for optimiser in optimisers:
            optimiser.step()
        step = (done + 1) * rollout_steps
        require_finite(loss, step)
        curve.append((step, progress.add(batch)))
        yield Snapshot(step, curve[-1][1], policy, critic, curve)


def losses(batch: Batch, episode_step: Tensor, policy: Policy, critic: nn.Module, config: Config,
           equations: Sockets) -> Tensor:
    """The loss of each run on a rollout [T, R, N], actor's and critic's together: [R].

    `episode_step` [T, R, N] counts the steps since each episode began.
    """
    obs = samples_by_run(batch.obs)
    fitted = critic(obs)
    value = rollout_by_run(fitted.detach(), len(batch.reward))
    with torch.no_grad():
        next_value = rollout_by_run(critic(samples_by_run(batch.next_obs)), len(batch.reward))
    if config.advantage == "td":
        target = equations.td_target(batch.reward, next_value, batch.terminated, discount=config.discount)
        advantage = target - value
    else:
        advantage = equations.gae(batch.reward, value, next_value, batch.terminated, batch.truncated,
                                  discount=config.discount, gae_lambda=config.gae_lambda)
        target = advantage + value
    if config.discount_option == 2:
        advantage = config.discount ** episode_step.to(advantage.dtype) * advantage
    weight = samples_by_run(advantage)
    if config.normalise:
        weight = policy_gradient.normalised(weight)
    distribution = policy.distribution(obs)
    actor_loss = equations.surrogate(distribution.log_prob(samples_by_run(batch.action)), weight).mean(1)
    critic_loss = (fitted - samples_by_run(target)).square().mean(1)
    loss = actor_loss + config.value_weight * critic_loss
    if config.entropy_weight:
        loss = loss - config.entropy_weight * distribution.entropy().mean(1)
    return loss


class EpisodeClock:
    """How old every episode is, over rollouts that do not stop at its end; it starts with the training."""

    def __init__(self, source: Source):
        self._age = torch.zeros(source.runs, source.environments, dtype=torch.int64, device=source.obs.device)

    def add(self, batch: Batch) -> Tensor:
        """Take in the next rollout; the steps [T, R, N] since each episode began."""
        ended = batch.terminated | batch.truncated
        first = ended.cumsum(0) - ended.long() == 0  # still in the episode that was running
        step = returns.episode_step(batch.terminated, batch.truncated) + torch.where(first, self._age, 0)
        self._age = torch.where(ended[-1], 0, step[-1] + 1)
        return step


def sockets(td_target: Callable, gae: Callable, surrogate: Callable) -> Sockets:
    """Each equation as a function of all runs."""
    return Sockets(socket("td_target", td_target, actor_critic.td_target, axis=1),
                   socket("gae", gae, returns.gae, axis=1),
                   socket("surrogate", surrogate, policy_gradient.surrogate_loss, axis=0))


def make_optimisers(policy: Policy, critic: nn.Module, config: Config) -> tuple[Adam, Adam]:
    """One for the policy, a shared trunk included, and one for what only the critic has."""
    actor = list(policy.parameters())
    own = [parameter for parameter in critic.parameters() if not any(parameter is other for other in actor)]
    return (Adam(actor, config.learning_rate, clip_norm=config.clip_norm),
            Adam(own, config.critic_learning_rate, clip_norm=config.clip_norm))


def slow_down(optimisers: tuple[Adam, Adam], config: Config, factor: float) -> None:
    """Both learning rates, times `factor`."""
    actor, critic = optimisers
    actor.learning_rate = config.learning_rate * factor
    critic.learning_rate = config.critic_learning_rate * factor


def require_fit(source: Source, policy: Policy, critic: nn.Module) -> None:
    """ValueError, in one line, on runs or spaces that do not fit."""
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(critic.net.runs == source.runs, "critic", f"{source.runs} runs, as many as the source", critic.net.runs)
    require(policy.action_space == source.action_space, "policy", f"actions in {source.action_space}",
            policy.action_space)
    require(not policy.clamp, "policy", "one that keeps its actions as drawn (clamp=False)", "clamp=True")


def require_finite(loss: Tensor, step: int) -> None:
    """FloatingPointError, with the step and the runs, on a loss that is not finite."""
    if not bool(torch.isfinite(loss).all()):
        raise FloatingPointError(f"loss: not finite at step {step} in runs "
                                 f"{torch.where(~torch.isfinite(loss))[0].tolist()}")
