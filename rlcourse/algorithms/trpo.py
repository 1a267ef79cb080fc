"""Trust-region policy optimisation: the natural gradient, as far as the policy may change.

Schulman, Levine, Moritz, Jordan & Abbeel 2015, "Trust region policy optimization". Told in
lectures/03_policy_gradients, section P9. With `backtracks` = 0 and no check of the surrogate this is the truncated
natural gradient of Kakade 2001 with a step length in nats.

| quick facts       |                                                                               |
|-------------------|-------------------------------------------------------------------------------|
| learns from       | its own rollouts, each used for one step of the policy                        |
| action spaces     | Discrete and Box                                                              |
| guarantee         | a KL of at most `max_kl` on the states of the rollout; no step that looks worse |
| details that help | a good critic, damping, advantages normalised, a part of the states for F     |
"""

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
from ..equations import natural_gradient, policy_gradient, returns
from ..equations.importance import importance_ratio
from ..nets.flat import flatten, write
from ..nets.optim import Adam
from ..nets.policies import Policy
from ..nets.values import ValueNet
from .ppo import Snapshot


@dataclass(frozen=True)
class Config:
    """How far each step may go, and how its direction is found.

    Values that bring CartPole near 500 within 25 rollouts, with 16 environments for each run.
    """

    total_steps: int = 25_600  # environment steps of each run
    horizon: int = 64  # steps of each environment in a rollout
    max_kl: float = 0.02  # nats, on average over the states of the rollout
    fisher_samples: int = 256  # states of each rollout, evenly spaced, whose mean the Fisher matrix is
    damping: float = 0.1  # added to the Fisher matrix
    solver_steps: int = 8  # of the conjugate gradient
    backtracks: int = 10  # halvings of a step that goes too far or looks worse
    critic_updates: int = 20  # for each rollout, on all of it
    critic_learning_rate: float = 5e-3
    discount: float = 0.98
    gae_lambda: float = 0.95

    def __post_init__(self):
        for name in ("total_steps", "horizon", "fisher_samples", "solver_steps", "critic_updates"):
            require_count(name, getattr(self, name))
        require_count("backtracks", self.backtracks, least=0)
        for name in ("discount", "gae_lambda"):
            require_unit_interval(name, getattr(self, name))
        for name in ("max_kl", "critic_learning_rate"):
            require(getattr(self, name) > 0, name, "a positive number", getattr(self, name))
        require(self.damping >= 0, "damping", "a number of at least 0", self.damping)


def train(source: Source, policy: Policy, critic: ValueNet, config: Config = Config(), *, seed: int,
          gae: Callable = returns.gae, ratio: Callable = importance_ratio) -> Iterator[Snapshot]:
    """Train R policies and critics on R × N environments; yields a Snapshot after every rollout.

    `gae` and `ratio` are sockets: a student's function for one run may take their place. Errors, before
    training starts: ValueError on runs or spaces that do not fit.
    """
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(critic.net.runs == source.runs, "critic", f"{source.runs} runs, as many as the source",
            critic.net.runs)
    require(policy.action_space == source.action_space, "policy", f"actions in {source.action_space}",
            policy.action_space)
    require(not policy.clamp, "policy", "one that keeps its actions as drawn (clamp=False)", "clamp=True")
    return _updates(source, policy, critic, config, seed, socket("gae", gae, returns.gae, axis=1),
                    socket("ratio", ratio, importance_ratio, axis=0))


def _updates(source, policy, critic, config, seed, gae, ratio):
    actions, curve = generator(seed, "trpo actions"), []
    optimiser, progress = Adam(critic.parameters(), config.critic_learning_rate), EpisodeReturns(
        source.runs, source.environments)
    rollout_steps = config.horizon * source.environments
    for done in range(-(-config.total_steps // rollout_steps)):
        batch = rollout(source, policy, config.horizon, random=actions)
        obs, action = samples_by_run(batch.obs), samples_by_run(batch.action)
        with torch.no_grad():
            value = rollout_by_run(critic(obs), config.horizon)
            next_value = rollout_by_run(critic(samples_by_run(batch.next_obs)), config.horizon)
        advantage = gae(batch.reward, value, next_value, batch.terminated, batch.truncated,
                        discount=config.discount, gae_lambda=config.gae_lambda)
        target = samples_by_run(advantage + value)
        _improve(policy, obs, action, policy_gradient.normalised(samples_by_run(advantage)), config, ratio)
        for _ in range(config.critic_updates):
            optimiser.zero_grad()
            (critic(obs) - target).square().mean(1).sum().backward()
            optimiser.step()
        step = (done + 1) * rollout_steps
        curve.append((step, progress.add(batch)))
        yield Snapshot(step, curve[-1][1], policy, critic, curve)


def _improve(policy: Policy, obs: Tensor, action: Tensor, advantage: Tensor, config: Config,
             ratio: Callable) -> None:
    """One step of every run's policy along its natural gradient, shortened until it keeps its promises."""
    parameters, some = list(policy.parameters()), obs[:, ::-(-obs.shape[1] // config.fisher_samples)]
    with torch.no_grad():
        old, old_some = policy.distribution(obs), policy.distribution(some)
        old_log_prob, before = old.log_prob(action), flatten(parameters)

    def gain_and_kl() -> tuple[Tensor, Tensor]:
        now = policy.distribution(obs)
        return (ratio(now.log_prob(action), old_log_prob) * advantage).mean(1), old.kl(now).mean(1)

    gain, _ = gain_and_kl()
    gradient = flatten(torch.autograd.grad(gain.sum(), parameters))
    kl = old_some.kl(policy.distribution(some)).mean(1)  # zero, and its Hessian is the Fisher matrix
    natural = natural_gradient.conjugate_gradient(
        lambda vector: natural_gradient.fisher_vector_product(kl, parameters, vector, damping=config.damping),
        gradient, iterations=config.solver_steps)
    length = natural_gradient.trust_region_step_length(gradient, natural, max_kl=config.max_kl)
    with torch.no_grad():
        for _ in range(config.backtracks):
            write(parameters, before + length[:, None] * natural)
            promised, moved = gain_and_kl()
            kept = (promised >= gain) & (moved <= config.max_kl)
            if bool(kept.all()):
                return
            length = torch.where(kept, length, length / 2)
        if config.backtracks:
            length = torch.where(kept, length, 0.0)
        write(parameters, before + length[:, None] * natural)
