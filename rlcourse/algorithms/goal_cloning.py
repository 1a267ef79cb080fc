"""Goal-conditioned cloning in tables: relabel drives in hindsight, clone, pursue goals, repeat.

Ghosh et al. 2021, "Learning to reach goals via iterated supervised learning" (GCSL), after Kaelbling
1993. Told in lectures/02_imitation, section I6; what it learns from endless data, and where luck
misleads it, is computed in `exact.goals`.

| quick facts       |                                                                       |
|-------------------|-----------------------------------------------------------------------|
| learns from       | any drives at all; goals are states that were reached                 |
| guarantee         | none where outcomes depend on luck (the ferry of section I6)          |
| details that help | goals that are asked for must be goals that the data contain          |
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape
from ..core.seeding import generator, uniforms
from ..envs.tabular import TabularMDP, sample_index
from ..equations.imitation import clone
from ..equations.imitation_goals import relabel as library_relabel


@dataclass(frozen=True)
class Config:
    """How much is driven."""

    rounds: int = 2  # times that drives are collected, relabelled and cloned
    drives: int = 500  # in each round, for each run
    horizon: int = 20  # steps in each drive

    def __post_init__(self):
        require_count("rounds", self.rounds)
        require_count("drives", self.drives)
        require_count("horizon", self.horizon)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After a round: the goal-conditioned policies [R, G, S, A] and the counts they were cloned from."""

    step: int  # the round
    policy: Tensor
    counts: Tensor


def pursue(mdp: TabularMDP, policy: Tensor, goal: Tensor, horizon: int,
           random: torch.Generator) -> tuple[Tensor, Tensor]:
    """(states [T + 1, R, N], actions [T, R, N]) of drives towards `goal` [R, N] by π(a|s, g) [R, G, S, A]."""
    runs, drives = goal.shape
    row = torch.arange(runs)[:, None].expand(runs, drives)
    states, actions = [mdp.initial_state(uniforms((runs, drives, 1), random))], []
    for _ in range(horizon):
        noise = uniforms((runs, drives, 2), random)
        actions.append(sample_index(policy[row, goal, states[-1]], noise[..., 0]))
        states.append(mdp.transition(states[-1], actions[-1], noise[..., 1:]))
    return torch.stack(states), torch.stack(actions)


def count_triples(triples: tuple[Tensor, Tensor, Tensor], num_states: int, num_actions: int) -> Tensor:
    """n(g, s, a) [R, G, S, A] from (state, goal, action), each [M, R, N] (int64), with G = S."""
    state, goal, action = triples
    cells = ((goal * num_states + state) * num_actions + action).movedim(1, 0).flatten(1)
    counts = torch.zeros(cells.shape[0], num_states * num_states * num_actions, dtype=torch.float64)
    counts.scatter_add_(1, cells, torch.ones_like(cells, dtype=counts.dtype))
    return counts.view(-1, num_states, num_states, num_actions)


def train(mdp: TabularMDP, demonstrator: Tensor, config: Config, *, seed: int, runs: int = 8,
          goal_probs: Tensor | None = None, relabel: Callable = library_relabel) -> Iterator[Snapshot]:
    """R independent learners; yields a Snapshot a round.

    The first round's drives are the demonstrator's: π(a|s) [S, A], or π(a|s, g) [G, S, A] pursuing
    commands. Later ones are the learner's own, pursuing goals drawn from `goal_probs` [G] (by default
    all states alike). Every round clones its own drives alone; where it has no data the policy acts at
    random. `relabel(states, actions) → (state, goal, action)` is the socket; it gets [T + 1, R · N] and
    [T, R · N].
    """
    goals, actions = mdp.num_states, mdp.num_actions
    require(demonstrator.ndim in (2, 3), "demonstrator", "shape [S, A] or [G, S, A]", list(demonstrator.shape))
    require_shape("demonstrator", demonstrator, (goals, goals, actions)[-demonstrator.ndim:])
    require_probabilities("demonstrator", demonstrator)
    require_count("runs", runs)
    require(callable(relabel), "relabel", "a function", type(relabel).__name__)
    goal_probs = torch.full((goals,), 1 / goals, dtype=torch.float64) if goal_probs is None else goal_probs
    require_shape("goal_probs", goal_probs, (goals,))
    require_probabilities("goal_probs", goal_probs)
    return _rounds(mdp, demonstrator.expand(runs, goals, goals, actions), goal_probs, config, relabel,
                   generator(seed, "goal cloning"))


def _rounds(mdp, policy, goal_probs, config, relabel, random):
    runs, anything = policy.shape[0], torch.full((mdp.num_actions,), 1 / mdp.num_actions, dtype=torch.float64)
    for step in range(1, config.rounds + 1):
        goal = sample_index(goal_probs, uniforms((runs, config.drives), random))
        states, actions = pursue(mdp, policy, goal, config.horizon, random)
        triples = tuple(part.unflatten(1, goal.shape) for part in relabel(states.flatten(1), actions.flatten(1)))
        counts = count_triples(triples, mdp.num_states, mdp.num_actions)
        policy = clone(counts, anything)
        yield Snapshot(step, policy, counts)
