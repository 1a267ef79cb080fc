"""Imitation in tables: eight learners at once, cloned from drives or taught by DAgger."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.check import (require, require_count, require_probabilities, require_shape,
                          require_unit_interval)
from ..core.seeding import generator, uniforms
from ..envs.tabular import TabularMDP, sample_index
from ..equations.imitation import clone, imperfect, most_frequent_action
from .dagger import dagger


@dataclass(frozen=True)
class Config:
    """What is fixed before the first drive."""

    rounds: int = 8  # rounds after the first fit; 0 is plain behaviour cloning
    episodes: int = 5  # drives in each round, for each run
    horizon: int = 100  # steps in each drive
    epsilon: float = 0.01  # error probability that remains in every state with data
    learner_drives: bool = True  # False: the expert drives in every round (cloning with as many labels)

    def __post_init__(self):
        require_count("rounds", self.rounds, least=0)
        require_count("episodes", self.episodes)
        require_count("horizon", self.horizon)
        require_unit_interval("epsilon", self.epsilon)


class Learned(NamedTuple):
    """What the data taught: policies [R, S, A], from counts of labels [R, S, A]."""

    policy: Tensor
    counts: Tensor


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One round: its number, the policies [R, S, A], the counts of labels [R, S, A]."""

    round: int
    policy: Tensor
    counts: Tensor


def drive(mdp: TabularMDP, policy: Tensor, episodes: int, horizon: int, random: torch.Generator) -> Tensor:
    """States [T, R, N] visited by R policies [R, S, A], each on N drives of T steps."""
    runs = policy.shape[0]
    row = torch.arange(runs)[:, None].expand(runs, episodes)
    state = mdp.initial_state(uniforms((runs, episodes, 1), random))
    visited = []
    for _ in range(horizon):
        visited.append(state)
        noise = uniforms((runs, episodes, 2), random)
        action = sample_index(policy[row, state], noise[..., 0])
        state = mdp.transition(state, action, noise[..., 1:])
    return torch.stack(visited)


def count_labels(states: Tensor, labels: Tensor, num_states: int, num_actions: int) -> Tensor:
    """n(s, a) [R, S, A] from states and expert actions, both [T, R, N] (int64)."""
    cells = (states * num_actions + labels).movedim(1, 0).flatten(1)
    counts = torch.zeros(cells.shape[0], num_states * num_actions, dtype=torch.float64)
    return counts.scatter_add_(1, cells, torch.ones_like(cells, dtype=counts.dtype)).view(
        -1, num_states, num_actions)


def train(mdp: TabularMDP, expert_policy: Tensor, config: Config, *, seed: int, runs: int = 8,
          data_policy: Tensor | None = None, dagger: Callable = dagger) -> Iterator[Snapshot]:
    """DAgger (or cloning) by R independent learners; yields a Snapshot a round.

    The expert is deterministic: its label is argmaxₐ π*(a|s). When it drives, it follows
    `data_policy` (by default π* itself; with noise injected, DART). A learner clones its counts,
    takes the most frequent action where it has none, and errs with probability `epsilon`
    where it has some. `dagger` is the socket for another loop with the same arguments.
    """
    require_shape("expert_policy", expert_policy, (mdp.num_states, mdp.num_actions))
    require_probabilities("expert_policy", expert_policy)
    require_count("runs", runs)
    data_policy = expert_policy if data_policy is None else data_policy
    require_shape("data_policy", data_policy, (mdp.num_states, mdp.num_actions))
    require(callable(dagger), "dagger", "a function", type(dagger).__name__)
    random = generator(seed, "drives")
    tally = partial(count_labels, num_states=mdp.num_states, num_actions=mdp.num_actions)
    best_action = expert_policy.argmax(-1)

    def collect(learned):
        expert_drives = learned is None or not config.learner_drives
        driver = data_policy.expand(runs, -1, -1) if expert_drives else learned.policy
        return drive(mdp, driver, config.episodes, config.horizon, random)

    def label(states):
        return best_action[states]

    def fit(dataset):
        counts = sum(tally(states, labels) for states, labels in dataset)
        policy = clone(counts, most_frequent_action(counts))
        return Learned(imperfect(policy, counts.sum(-1) > 0, config.epsilon), counts)

    learners = dagger(config.rounds, collect, label, fit)
    return (Snapshot(number, *learned) for number, learned in enumerate(learners))
