"""Tabular learners that update after every step: Q-learning, SARSA, expected SARSA and double Q-learning.

One loop; the rules differ in the target of Q(s, a) alone. Told in lectures/05a_q_learning, sections Q1 and Q3, double
Q-learning in lectures/05b_q_in_practice, section Q6.

| rule           | value of the next state                 | learns                        | paper                  |
|----------------|-----------------------------------------|-------------------------------|------------------------|
| q              | maxₐ Q(s', a)                           | Q*, whoever acts              | Watkins, Dayan 1992    |
| sarsa          | Q(s', a'), a' taken next                | Q of the policy that acts     | Rummery, Niranjan 1994 |
| expected_sarsa | Σₐ π(a|s') Q(s', a), π ε-greedy         | Q of ε-greedy, whoever acts   | Van Seijen et al. 2009 |
| double_q       | Q_B(s', argmaxₐ Q_A(s', a)), or A for B | Q*, whoever acts              | Van Hasselt 2010       |

If every pair is visited for ever, Σ rate = ∞ and Σ rate² < ∞ (over the updates of each pair), they all converge
with probability 1; with a fixed ε the middle two to the best policy that keeps exploring, and as ε falls to 0
to Q* (Singh, Jaakkola, Littman, Szepesvári 2000). A constant rate leaves noise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape, require_unit_interval
from ..core.runs import socket
from ..core.seeding import generator, uniforms
from ..core.spaces import Discrete
from ..data.progress import EpisodeReturns
from ..data.rollout import to_batch
from ..data.sources import Source
from ..envs.tabular import sample_index
from ..equations import td
from ..equations.q_policies import epsilon_greedy_probs, linear_schedule

RULES = ("q", "sarsa", "expected_sarsa", "double_q")


@dataclass(frozen=True)
class Config:
    """Values for gridworlds of some dozens of states, one environment for each run."""

    rule: str = "q"  # "q", "sarsa", "expected_sarsa" or "double_q"
    total_steps: int = 20_000  # environment steps of each run
    report_every: int = 1000  # environment steps of each run between two snapshots, rounded up to whole steps of all
    learning_rate: float = 0.5  # constant, unless `rate_offset` is given
    rate_offset: float | None = None  # c: the rate is c / (c + earlier updates of this pair), 1 at first
    discount: float = 0.99
    epsilon: float = 0.1  # share of exploration at the start
    final_epsilon: float | None = None  # after `epsilon_steps`, linearly; None: it stays
    epsilon_steps: int = 10_000  # environment steps of each run until `final_epsilon`
    initial_value: float = 0.0  # of all Q(s, a); above the true values it makes the learner try everything

    def __post_init__(self):
        require(self.rule in RULES, "rule", f"one of {list(RULES)}", repr(self.rule))
        for name in ("total_steps", "report_every", "epsilon_steps"):
            require_count(name, getattr(self, name))
        for name in ("learning_rate", "discount", "epsilon"):
            require_unit_interval(name, getattr(self, name))
        require(self.learning_rate > 0, "learning_rate", "a positive number", self.learning_rate)
        require(self.rate_offset is None or self.rate_offset > 0, "rate_offset", "a positive number or None",
                self.rate_offset)
        if self.final_epsilon is not None:
            require_unit_interval("final_epsilon", self.final_epsilon)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` environment steps of each run.

    `q_values` [R, S, A] is what the policy is greedy about: the table, for double Q-learning the mean of both.
    `tables` [R, 1 or 2, S, A] are all of them. `episode_return` [R]: the mean over the episodes that ended last,
    exploration included (NaN before the first). `epsilon` is the present one. `curve` lists (step, episode_return)
    for this and all earlier snapshots; it is shared and grows. The tables are copies.
    """

    step: int
    q_values: Tensor
    tables: Tensor
    episode_return: Tensor
    epsilon: float
    curve: list[tuple[int, Tensor]]


class Targets(NamedTuple):
    """The equations in use, one for each rule: the library's, or a student's in its socket."""

    q: Callable
    sarsa: Callable
    expected_sarsa: Callable
    double_q: Callable


def train(source: Source, num_states: int, config: Config = Config(), *, seed: int,
          initial_tables: Tensor | None = None, behaviour: Tensor | None = None,
          q_target: Callable = td.q_target, sarsa_target: Callable = td.sarsa_target,
          expected_sarsa_target: Callable = td.expected_sarsa_target,
          double_q_target: Callable = td.double_q_target) -> Iterator[Snapshot]:
    """Train R independent tables, each on N environments; yields a Snapshot every `report_every` steps.

    The observation is the index of the state, int64 [R, N]. `initial_tables` [R, 1 or 2, S, A] replaces
    `initial_value`. `behaviour` [S, A] acts instead of the ε-greedy policy, if it is given: what is learned then is
    off-policy (but for SARSA, which learns the behaviour's Q). Where several environments of a run are at the same
    pair, it moves once, towards the mean of their targets. Only termination ends the sum: at a time limit the target
    bootstraps. Errors: ValueError on observations or tables that do not fit, before training starts, and on an
    observation that is no state.
    """
    space = source.action_space
    require(isinstance(space, Discrete), "source", "a finite choice of actions (Discrete)", space)
    require(source.obs_shape == () and source.obs.dtype == torch.int64, "source",
            "observations that are states' indices, int64", f"shape {list(source.obs_shape)}, {source.obs.dtype}")
    require_count("num_states", num_states)
    shape = (source.runs, 2 if config.rule == "double_q" else 1, num_states, space.n)
    if initial_tables is None:
        initial_tables = torch.full(shape, config.initial_value, dtype=torch.float64)
    require_shape("initial_tables", initial_tables, shape)
    if behaviour is not None:
        require_shape("behaviour", behaviour, shape[2:])
        require_probabilities("behaviour", behaviour)
    targets = Targets(*(socket(f"{rule}_target", function, getattr(td, f"{rule}_target"), 0) for rule, function in
                        zip(RULES, (q_target, sarsa_target, expected_sarsa_target, double_q_target))))
    return _steps(source, config, seed, initial_tables.to(torch.float64).clone(), behaviour, targets)


def _steps(source, config, seed, tables, behaviour, targets):
    explore, coins = generator(seed, "q-learning actions"), generator(seed, "q-learning coins")
    shape = (source.runs, source.environments)
    run = torch.arange(source.runs)[:, None].expand(shape)
    updates = torch.zeros_like(tables)  # how often each pair has moved; as int64 it would make the rates float32
    progress, curve, step = EpisodeReturns(*shape), [], 0
    final = config.epsilon if config.final_epsilon is None else config.final_epsilon

    def probs(obs: Tensor) -> Tensor:
        """π(·|s) [R, N, A] of the ε-greedy policy as it is now."""
        return epsilon_greedy_probs(tables.mean(1)[run, obs] if tables.shape[1] > 1 else tables[run, 0, obs],
                                    epsilon=epsilon)

    def act(obs: Tensor) -> Tensor:
        require(0 <= int(obs.min()) and int(obs.max()) < tables.shape[2], "source",
                f"observations from 0 to {tables.shape[2] - 1}", f"{int(obs.min())} to {int(obs.max())}")
        return sample_index(probs(obs) if behaviour is None else behaviour[obs], uniforms(shape, explore))

    epsilon = config.epsilon
    obs, action, seen = source.obs, act(source.obs), []
    while step < config.total_steps:
        result = source.step(action)
        reward, after, terminated = result.reward.to(tables.dtype), result.next_obs, result.terminated
        table = torch.zeros(shape, dtype=torch.int64)  # the table that learns from this step
        if config.rule == "q":
            target = targets.q(reward, tables[run, 0, after], terminated, discount=config.discount)
        elif config.rule == "sarsa":
            next_action = act(after)
            target = targets.sarsa(reward, tables[run, 0, after, next_action], terminated, discount=config.discount)
        elif config.rule == "expected_sarsa":
            target = targets.expected_sarsa(reward, tables[run, 0, after], probs(after), terminated,
                                            discount=config.discount)
        else:
            table = (uniforms(shape, coins) < 0.5).long()
            target = targets.double_q(reward, tables[run, table, after], tables[run, 1 - table, after], terminated,
                                      discount=config.discount)
        _move(tables, updates, (run, table, obs, action), target, config)

        seen.append((obs, action, result))
        step += source.environments
        epsilon = linear_schedule(step, start=config.epsilon, end=final, steps=config.epsilon_steps)
        obs, fresh = result.obs, act(result.obs)
        # SARSA takes the action that stands in its target, unless a new episode has begun.
        action = fresh if config.rule != "sarsa" else torch.where(terminated | result.truncated, fresh, next_action)
        if len(seen) * source.environments >= config.report_every or step >= config.total_steps:
            curve.append((step, progress.add(to_batch(*map(list, zip(*seen))))))
            yield Snapshot(step, tables.mean(1), tables.clone(), curve[-1][1], epsilon, curve)
            seen = []


def _move(tables: Tensor, updates: Tensor, where: tuple[Tensor, ...], target: Tensor, config: Config) -> None:
    """Q(s, a) ← Q(s, a) + rate · mean (y − Q(s, a)), in place; `where` is the four indices [R, N]."""
    q = tables[where]
    if config.rate_offset is None:
        rate = config.learning_rate
    else:
        rate = config.rate_offset / (config.rate_offset + updates[where])
    error = target - q
    if q.shape[1] > 1:
        _, table, obs, action = where
        cell = (table * tables.shape[2] + obs) * tables.shape[3] + action
        same = (cell.unsqueeze(-1) == cell.unsqueeze(-2)).to(error.dtype)  # [R, N, N]: environments at one pair
        error = (same * error.unsqueeze(-2)).sum(-1) / same.sum(-1)
    tables[where] = q + rate * error  # environments at one pair all write the same number
    updates[where] += 1
