"""DDPG and TD3: Q-learning with continuous actions, where a second network learns the action that is best.

DDPG (Lillicrap and others 2015, "Continuous control with deep reinforcement learning") is DQN with μ(s) in the place
of argmax_a Q(s, a), trained by ∇_θ Q(s, μ(s)). TD3 (Fujimoto, van Hoof, Meger 2018, "Addressing function
approximation error in actor-critic methods") adds three things against the errors of Q that such an actor
climbs: the smaller of two critics, noise on the target's action, and an actor that moves less often than its
critics. One flag chooses. Told in lectures/05b_q_in_practice, section Q8.

| quick facts       |                                                                                     |
|-------------------|-------------------------------------------------------------------------------------|
| learns from       | a replay of its own past, each transition many times                                |
| action spaces     | Box                                                                                 |
| guarantee         | none with networks                                                                  |
| details that help | rewards of a size that critics reach soon, noise in what it does                    |
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
from ..nets.optim import Adam, descend
from ..nets.policies import Policy
from ..nets.q_values import QNet, follow
from .sac import UniformActions


@dataclass(frozen=True)
class Config:
    """Values that swing the pendulum up and hold it, with 8 environments for each run.

    Noises are standard deviations, in units of half the width of the box of actions.
    """

    td3: bool = True  # False: DDPG, with one critic, no noise on the target's action, and no delay
    total_steps: int = 12_000  # environment steps of each run
    random_steps: int = 1000  # of them at the start, with uniform actions and before anything is learned
    horizon: int = 8  # steps of each environment between two rounds of updates
    updates: int = 8  # updates in a round
    batch_size: int = 128  # transitions of each run in an update
    capacity: int = 4000  # steps of each environment that the replay holds
    learning_rate: float = 7e-3  # of critics and actor at the start; falls linearly to zero
    discount: float = 0.97
    polyak_rate: float = 0.08  # how far the targets move towards critics and actor whenever they move
    reward_scale: float = 0.1  # the critics learn the values of reward_scale · reward
    exploration_noise: float = 0.3  # on the actions in the environments
    smoothing_noise: float = 0.2  # TD3 only: on the target's action
    smoothing_clip: float = 0.5  # TD3 only: and no further than this, in the same unit
    actor_delay: int = 2  # TD3 only: updates of the critics for each of the actor and of the targets

    def __post_init__(self):
        for name in ("total_steps", "random_steps", "horizon", "updates", "batch_size", "capacity", "actor_delay"):
            require_count(name, getattr(self, name))
        for name in ("discount", "polyak_rate"):
            require_unit_interval(name, getattr(self, name))
        for name in ("learning_rate", "reward_scale"):
            require(getattr(self, name) > 0, name, "a positive number", getattr(self, name))
        for name in ("exploration_noise", "smoothing_noise", "smoothing_clip"):
            require(getattr(self, name) >= 0, name, "a number of at least 0", getattr(self, name))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `episode_return` [R]: the mean over the episodes that ended last, with the noise of exploration. `predicted` [R],
    in units of reward: what the first critic says of the actor's actions where the source stood when training began
    (the starts, if it was fresh), on average; to be held against discounted returns from there. `curve` lists
    (step, episode_return) for this and all earlier snapshots; it is shared and grows. `policy` and
    `critic` are live.
    """

    step: int
    episode_return: Tensor
    predicted: Tensor
    policy: Policy
    critic: QNet
    curve: list[tuple[int, Tensor]]


def train(source: Source, policy: Policy, critic: QNet, config: Config = Config(), *, seed: int,
          td3_target: Callable = continuous_q.td3_target,
          actor_loss: Callable = continuous_q.deterministic_actor_loss) -> Iterator[Snapshot]:
    """Train R actors and their critics on R × N environments; yields a Snapshot after every round.

    `critic` has two critics for each run with `config.td3`, one without. `td3_target` (not used by DDPG) and
    `actor_loss` are sockets: a student's function for one run may take their place. Errors: ValueError on runs,
    spaces, critics or heads that do not fit, before training starts, and on rewards that are not finite;
    FloatingPointError on a loss that is not finite.
    """
    space = source.action_space
    require(isinstance(space, Box), "source", "actions in a Box", space)
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(critic.runs == source.runs, "critic", f"{source.runs} runs, as many as the source", critic.runs)
    critics = 2 if config.td3 else 1
    require(critic.critics == critics, "critic", f"{critics} for each run with td3 = {config.td3}", critic.critics)
    require(policy.action_space == space, "policy", f"actions in {space}", policy.action_space)
    require(hasattr(policy.head, "squash") and policy.noise_size == 0, "policy", "a DeterministicHead",
            type(policy.head).__name__)
    require(not policy.head.squash or (policy.head.low, policy.head.high) == (space.low, space.high), "policy",
            f"a head that squashes into [{space.low}, {space.high}]", f"[{policy.head.low}, {policy.head.high}]")
    rows = min(math.ceil(config.random_steps / source.environments), config.capacity)
    require(config.batch_size <= rows * source.environments, "batch_size",
            f"at most the {rows * source.environments} transitions stored at the start", config.batch_size)
    return _rounds(source, policy, critic, config, seed, rows,
                   socket("td3_target", td3_target, continuous_q.td3_target, axis=0),
                   socket("actor_loss", actor_loss, continuous_q.deterministic_actor_loss, axis=0))


def _rounds(source, policy, critic, config, seed, rows, td3_target, actor_loss):
    explore, draws, noise = (generator(seed, f"td3 {name}") for name in ("actions", "replay", "smoothing"))
    target_policy, target = copy.deepcopy(policy), copy.deepcopy(critic)
    critic_optimiser, actor_optimiser = (Adam(network.parameters(), config.learning_rate)
                                         for network in (critic, policy))
    space = source.action_space
    half_width = 0.5 * (space.high - space.low)
    explorer = NoisyActor(policy, space, config.exploration_noise * half_width)
    delay = config.actor_delay if config.td3 else 1

    @torch.no_grad()
    def goal(stored):
        """y [R, B]: the next action is that of the target actor; what it is worth says the target critic."""
        action = target_policy.act(stored.next_obs)
        reward = config.reward_scale * stored.reward
        if not config.td3:
            next_q = target(stored.next_obs, action)[:, 0]
            return td_target(reward, next_q, stored.terminated, discount=config.discount)
        normal = torch.randn(action.shape, generator=noise, dtype=action.dtype).to(action.device)
        action = continuous_q.smoothed_action(
            action, normal, noise_std=config.smoothing_noise * half_width,
            noise_clip=config.smoothing_clip * half_width, low=space.low, high=space.high)
        next_q = target(stored.next_obs, action)
        return td3_target(reward, next_q[:, 0], next_q[:, 1], stored.terminated, discount=config.discount)

    replay = Replay(config.capacity, source.runs, source.environments)
    progress, curve = EpisodeReturns(source.runs, source.environments), []
    starts = source.obs.clone()
    step = updates = 0
    while step < config.total_steps:
        for optimiser in (critic_optimiser, actor_optimiser):
            optimiser.learning_rate = config.learning_rate * (1 - step / config.total_steps)
        first = step == 0
        batch = rollout(source, UniformActions(space) if first else explorer, rows if first else config.horizon,
                        random=explore)
        replay.add(batch)
        step += batch.reward.shape[0] * source.environments
        for _ in range(config.updates):
            stored = replay.sample(config.batch_size, draws)
            critic_loss = (critic(stored.obs, stored.action) - goal(stored).unsqueeze(1)).square()
            descend(critic_optimiser, critic_loss)
            updates += 1
            if updates % delay == 0:
                action = policy.distribution(stored.obs).mode  # not the stored action
                descend(actor_optimiser, actor_loss(critic(stored.obs, action)[:, 0]))
                follow(target, critic, config.polyak_rate)
                follow(target_policy, policy, config.polyak_rate)
        finite = torch.isfinite(critic_loss).all(-1).all(-1)
        if not bool(finite.all()):
            raise FloatingPointError(f"critic loss: not finite at step {step} in runs "
                                     f"{torch.where(~finite)[0].tolist()}")
        curve.append((step, progress.add(batch)))
        with torch.no_grad():
            predicted = critic(starts, policy.act(starts))[:, 0].mean(-1) / config.reward_scale
        yield Snapshot(step, curve[-1][1], predicted, policy, critic, curve)
