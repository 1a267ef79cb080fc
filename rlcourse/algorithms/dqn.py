"""Deep Q-learning: regress on r + γ max Q' from a replay, with a target network that stands still or follows slowly.

Mnih and others 2015, "Human-level control through deep reinforcement learning"; with van Hasselt, Guez, Silver 2016
(double), Schaul and others 2016 (priorities) and n-step targets as options. Told in lectures/05a_q_learning, section
Q4, and lectures/05b_q_in_practice, sections Q6, Q7 and Q9.

| quick facts       |                                                                                   |
|-------------------|-----------------------------------------------------------------------------------|
| learns from       | a replay of its own past, each transition many times                              |
| action spaces     | Discrete                                                                          |
| guarantee         | none with networks                                                                |
| details that help | a target network, double Q, n steps, a bounded slope of the loss, a falling rate  |
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.check import require, require_count, require_unit_interval
from ..core.runs import socket
from ..core.seeding import generator
from ..core.spaces import Discrete
from ..data.n_step import NStepSample, from_window, n_step_sample
from ..data.prioritised import PrioritisedReplay
from ..data.progress import EpisodeReturns
from ..data.replay import Replay
from ..data.rollout import rollout
from ..data.sources import Source
from ..equations import td
from ..equations.q_policies import linear_schedule
from ..nets.optim import Adam, descend
from ..nets.q_actors import EpsilonGreedy
from ..nets.q_values import follow


@dataclass(frozen=True)
class Config:
    """Values that balance CartPole within 25,000 steps, with 8 environments for each run and tanh networks.

    With n-step targets that ignore who acted, as these do, the replay has to be young: its capacity is small.
    """

    total_steps: int = 40_000  # environment steps of each run
    random_steps: int = 1000  # of them at the start, with uniform actions and before anything is learned
    horizon: int = 8  # steps of each environment between two rounds of updates
    updates: int = 8  # updates in a round
    batch_size: int = 64  # transitions of each run in an update
    capacity: int = 1250  # steps of each environment that the replay holds
    learning_rate: float = 1e-2  # at the start; falls linearly to zero
    discount: float = 0.99
    n_step: int = 10  # rewards in a target, fewer where the episode ends; 1: the off-policy Q-learning target
    double: bool = True  # the critic chooses the next action and the target network only evaluates it
    follow_every: int = 64  # updates of the critic between two of the target network
    polyak_rate: float = 1.0  # how far the target then moves towards the critic; 1: a copy
    huber: float | None = 10.0  # the error beyond which the loss is linear, in units of the value; None: never
    clip_norm: float | None = 10.0  # the largest gradient norm of a run; None: any
    epsilon_start: float = 0.5  # probability of an action other than the greedy one, after the random steps
    epsilon_end: float = 0.02  # and from `epsilon_steps` on
    epsilon_steps: int = 10_000  # environment steps of each run over which it falls linearly
    prioritised: bool = False  # draw transitions by their last error
    priority_exponent: float = 0.6  # 0: uniform, 1: in proportion to the error
    correction: float = 0.4  # of the importance weights at the start; rises linearly to 1

    def __post_init__(self):
        for name in ("total_steps", "random_steps", "horizon", "updates", "batch_size", "capacity", "n_step",
                     "follow_every", "epsilon_steps"):
            require_count(name, getattr(self, name))
        for name in ("discount", "polyak_rate", "epsilon_start", "epsilon_end", "priority_exponent", "correction"):
            require_unit_interval(name, getattr(self, name))
        for name in ("learning_rate", "huber", "clip_norm"):
            value = getattr(self, name)
            require(value is None or value > 0, name, "a positive number", value)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `episode_return` [R]: the mean over the episodes that ended last, exploration included, undiscounted. `predicted`
    [R]: the mean of max_a Q over the observations at which training began, starts of episodes if the source was new:
    to be compared with the *discounted* return of the greedy policy. `curve` lists (step, episode_return) for this
    and all earlier snapshots; it is shared and grows. `policy` (ε-greedy; greedy without noise), `critic` and
    `target` are live.
    """

    step: int
    episode_return: Tensor
    predicted: Tensor
    policy: EpsilonGreedy
    critic: nn.Module
    target: nn.Module
    curve: list[tuple[int, Tensor]]


def train(source: Source, critic: nn.Module, config: Config = Config(), *, seed: int,
          q_target: Callable = td.q_target, double_q_target: Callable = td.double_q_target,
          td_loss: Callable = td.td_loss) -> Iterator[Snapshot]:
    """Train R critics (`DiscreteQNet`, `DuelingQNet`) on R × N environments; yields a Snapshot after every round.

    `q_target`, `double_q_target` (used if `config.double`) and `td_loss` are sockets: a student's function for one
    run may take their place. With n-step targets, `reward` is the discounted sum of up to n rewards. Errors:
    ValueError on runs, spaces or sizes that do not fit, before training starts, and on rewards that are not finite;
    FloatingPointError on errors y − Q that are not finite.
    """
    space = source.action_space
    require(isinstance(space, Discrete), "source", "a finite choice of actions", space)
    require(critic.runs == source.runs, "critic", f"{source.runs} runs, as many as the source", critic.runs)
    policy = EpsilonGreedy(critic, space, config.epsilon_start)
    rows = min(math.ceil(config.random_steps / source.environments), config.capacity)
    require(config.batch_size <= rows * source.environments, "batch_size",
            f"at most the {rows * source.environments} transitions stored at the start", config.batch_size)
    require(config.n_step <= rows, "n_step", f"at most the {rows} rows stored at the start", config.n_step)
    return _rounds(source, policy, config, seed, rows, socket("q_target", q_target, td.q_target, axis=0),
                   socket("double_q_target", double_q_target, td.double_q_target, axis=0),
                   socket("td_loss", td_loss, td.td_loss, axis=0))


def _rounds(source, policy, config, seed, rows, q_target, double_q_target, td_loss):
    explore, draws = generator(seed, "dqn actions"), generator(seed, "dqn replay")
    critic, target, starts = policy.net, copy.deepcopy(policy.net), source.obs.clone()
    optimiser = Adam(critic.parameters(), config.learning_rate, clip_norm=config.clip_norm)
    threshold = math.inf if config.huber is None else config.huber
    sizes = config.capacity, source.runs, source.environments
    replay = PrioritisedReplay(*sizes, exponent=config.priority_exponent) if config.prioritised else Replay(*sizes)
    progress, curve = EpisodeReturns(source.runs, source.environments), []

    def draw(done: float) -> tuple[NStepSample, Tensor | None, Tensor | None]:
        """The batches of a whole round in one draw [R, updates · B], with their weights and places."""
        size = config.updates * config.batch_size
        if not config.prioritised:
            return n_step_sample(replay, config.n_step, size, draws, discount=config.discount), None, None
        correction = config.correction + (1 - config.correction) * done
        window, weight, place = replay.sample_windows(config.n_step, size, draws, correction=correction)
        return from_window(window, discount=config.discount), weight, place

    def update(sample: NStepSample, weight: Tensor | None) -> Tensor:
        """One step on one batch; the errors [R, B] before it."""
        with torch.no_grad():
            next_q_values = target(sample.next_obs)
            if config.n_step > 1:  # the equations discount once: a value that is m steps away comes in as γᵐ⁻¹ Q
                later = config.discount ** (sample.steps - 1).to(next_q_values.dtype)
                next_q_values = later.unsqueeze(-1) * next_q_values
            if config.double:
                target_q = double_q_target(sample.reward, critic(sample.next_obs), next_q_values, sample.terminated,
                                           discount=config.discount)
            else:
                target_q = q_target(sample.reward, next_q_values, sample.terminated, discount=config.discount)
        q = td.taken_q(critic(sample.obs), sample.action)
        loss = td_loss(q, target_q, threshold=threshold)
        descend(optimiser, loss if weight is None else loss * weight)
        return target_q - q.detach()

    step, updates = 0, 0
    while step < config.total_steps:
        optimiser.learning_rate = config.learning_rate * (1 - step / config.total_steps)
        if step == 0:
            policy.epsilon = 1 - 1 / source.action_space.n  # all actions alike
            batch = rollout(source, policy, rows, random=explore)
        else:
            policy.epsilon = linear_schedule(max(0, step - config.random_steps), start=config.epsilon_start,
                                             end=config.epsilon_end, steps=config.epsilon_steps)
            batch = rollout(source, policy, config.horizon, random=explore)
        replay.add(batch)
        step += batch.reward.shape[0] * source.environments
        sample, weight, place = draw(min(1.0, step / config.total_steps))
        errors = []
        for first in range(0, config.updates * config.batch_size, config.batch_size):
            part = slice(first, first + config.batch_size)
            errors.append(update(NStepSample(*(field[:, part] for field in sample)),
                                 None if weight is None else weight[:, part]))
            updates += 1
            if updates % config.follow_every == 0:
                follow(target, critic, config.polyak_rate)
        error = torch.cat(errors, 1)
        finite = torch.isfinite(error).all(-1)
        if not bool(finite.all()):
            raise FloatingPointError(f"td error: not finite at step {step} in runs {torch.where(~finite)[0].tolist()}")
        if config.prioritised:
            replay.update(place, error)
        with torch.no_grad():
            predicted = critic(starts).amax(-1).mean(-1)
        curve.append((step, progress.add(batch)))
        yield Snapshot(step, curve[-1][1], predicted, policy, critic, target, curve)
