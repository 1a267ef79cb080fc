"""Actor-critic from a replay: the naive version, which is wrong in two places, and the corrected one.

A teaching object, for a finite choice of actions. The replay holds actions of *old* policies, and they creep in at
two places, each with its switch in `Config`:

- `target_action`: "stored" puts the stored next action into the target, y = r + γ Q(s', a'_stored). The critic
  then learns the values of the policies that filled the replay. Right is "policy": a' drawn now from π_θ(·|s').
- `gradient_action`: "stored" weighs ∇log π_θ(a_stored|s) by Q(s, a_stored). The mean of that is
  Σₐ β(a|s) Q(s, a) ∇log π_θ(a|s) with the replay's action frequencies β, which is not the policy gradient: where
  the Q are positive it comes to rest at π(a|s) ∝ β(a|s) Q(s, a), which imitates β. Right is "policy": a drawn now.

Both "stored" is the naive version, both "policy" (the default) the corrected one. The stored s' is fine in both:
it depends on (s, a) alone. What the correction leaves wrong is the distribution of s: that of the old policies.
Degris, White, Sutton 2012, "Off-policy actor-critic"; told in lectures/04_actor_critic, section A8.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..core.check import require, require_count, require_unit_interval
from ..core.seeding import generator, uniforms
from ..core.spaces import Discrete
from ..data.progress import EpisodeReturns
from ..data.replay import Replay
from ..data.rollout import Driver, rollout
from ..data.sources import Source
from ..equations.actor_critic import td_target
from ..equations.policy_gradient import surrogate_loss
from ..nets.optim import Adam, descend
from ..nets.policies import Policy
from ..nets.q_values import DiscreteQNet, follow

ACTIONS = ("policy", "stored")


@dataclass(frozen=True)
class Config:
    """Values for problems of a few states, with 4 environments for each run."""

    target_action: str = "policy"  # whose next action the target takes: "policy" (drawn now) or "stored"
    gradient_action: str = "policy"  # whose action ∇log π is taken of: "policy" (drawn now) or "stored"
    action_samples: int = 4  # actions drawn at each state for the gradient, where they are drawn: they are free
    total_steps: int = 8000  # environment steps of each run
    horizon: int = 4  # steps of each environment between two updates
    batch_size: int = 64  # transitions of each run in an update
    capacity: int = 2000  # steps of each environment that the replay holds
    critic_learning_rate: float = 0.05
    actor_learning_rate: float = 0.02
    discount: float = 0.9
    polyak_rate: float = 0.2  # how far the target critic moves towards the critic in each update

    def __post_init__(self):
        for name in ("target_action", "gradient_action"):
            require(getattr(self, name) in ACTIONS, name, f"one of {list(ACTIONS)}", repr(getattr(self, name)))
        for name in ("action_samples", "total_steps", "horizon", "batch_size", "capacity"):
            require_count(name, getattr(self, name))
        for name in ("discount", "polyak_rate"):
            require_unit_interval(name, getattr(self, name))
        for name in ("critic_learning_rate", "actor_learning_rate"):
            require(getattr(self, name) > 0, name, "a positive number", getattr(self, name))


def naive(config: Config) -> Config:
    """The same settings with the stored action in both places."""
    return replace(config, target_action="stored", gradient_action="stored")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `episode_return` [R]: the mean over the episodes that ended last (NaN for problems without ends). `curve` lists
    (step, episode_return) for this and all earlier snapshots; it is shared and grows. `policy` and `critic`
    are live.
    """

    step: int
    episode_return: Tensor
    policy: Policy
    critic: DiscreteQNet
    curve: list[tuple[int, Tensor]]


def train(source: Source, policy: Policy, critic: DiscreteQNet, config: Config = Config(), *, seed: int,
          behaviour: Driver | None = None) -> Iterator[Snapshot]:
    """Train R policies and critics on R × N environments; yields a Snapshot after every update.

    `behaviour` fills the replay instead of the policy that learns, if it is given: then it is known whose values
    the naive critic learns. Errors: ValueError on runs or spaces that do not fit, before training starts;
    FloatingPointError on a loss that is not finite.
    """
    space = source.action_space
    require(isinstance(space, Discrete), "source", "a finite choice of actions (Discrete)", space)
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(critic.runs == source.runs, "critic", f"{source.runs} runs, as many as the source", critic.runs)
    require(policy.action_space == space, "policy", f"actions in {space}", policy.action_space)
    require(critic.actions == space.n, "critic", f"values of {space.n} actions", critic.actions)
    rows = math.ceil(config.batch_size / source.environments) + 1  # a batch of them, each with a successor
    require(rows <= config.capacity, "capacity", f"room for a batch, at least {rows} steps", config.capacity)
    return _updates(source, policy, critic, config, seed, behaviour or policy, rows)


def _updates(source, policy, critic, config, seed, behaviour, rows):
    explore, draws, noise = (generator(seed, f"off-policy {name}") for name in ("actions", "replay", "updates"))
    target = copy.deepcopy(critic)
    critic_optimiser = Adam(critic.parameters(), config.critic_learning_rate)
    actor_optimiser = Adam(policy.parameters(), config.actor_learning_rate)
    replay = Replay(config.capacity, source.runs, source.environments)
    progress, curve, step = EpisodeReturns(source.runs, source.environments), [], 0

    def act(obs: Tensor) -> Tensor:
        """Actions [R, B] of the policy as it is now."""
        return policy.act(obs, uniforms((*obs.shape[:2], policy.noise_size), noise).to(obs.device))

    while step < config.total_steps:
        batch = rollout(source, behaviour, config.horizon if step else max(rows, config.horizon), random=explore)
        replay.add(batch)
        step += batch.reward.shape[0] * source.environments
        pair = replay.sample_windows(2, config.batch_size, draws)
        stored, following = pair.map(lambda field: field[0]), pair.map(lambda field: field[1])

        next_action = following.action if config.target_action == "stored" else act(stored.next_obs)
        with torch.no_grad():
            target_q = td_target(stored.reward, of_action(target(stored.next_obs), next_action), stored.terminated,
                                 discount=config.discount)
        # At a time limit the next row belongs to another episode: no next action of this one was ever stored.
        known = ~stored.truncated if config.target_action == "stored" else torch.ones_like(stored.truncated)
        error = (of_action(critic(stored.obs), stored.action) - target_q).square()
        descend(critic_optimiser, torch.where(known, error, 0.0))

        obs, action = stored.obs, stored.action
        if config.gradient_action == "policy":
            obs = obs.repeat_interleave(config.action_samples, 1)
            action = act(obs)
        loss = surrogate_loss(policy.distribution(obs).log_prob(action), of_action(critic(obs), action))
        descend(actor_optimiser, loss)
        follow(target, critic, config.polyak_rate)
        if not bool(torch.isfinite(error).all()):
            bad = torch.where(~torch.isfinite(error).all(-1))[0].tolist()
            raise FloatingPointError(f"critic loss: not finite at step {step} in runs {bad}")
        curve.append((step, progress.add(batch)))
        yield Snapshot(step, curve[-1][1], policy, critic, curve)


def of_action(q_values: Tensor, action: Tensor) -> Tensor:
    """Q(s, a) [R, B] of the actions [R, B] among the values of all of them [R, B, A]."""
    return q_values.gather(-1, action.unsqueeze(-1)).squeeze(-1)
