"""What the DAgger widget shows: after each round, where the learner is and where the labels are.

Exact: every round's drives are replaced by their expectation. A place counts as covered from
the round on after which all drives so far are expected to have visited it at least once.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from ...equations.imitation import clone, imperfect, most_frequent_action
from ...exact.propagation import exact_cost, state_marginals, total_variation
from .controls import Choice, Slider
from .distribution_shift import PLACES, ROPE_PLACES, WORLDS, on_axis, world_tables

ROUNDS = 6
HORIZON = 100

CONTROLS = (
    Slider("round", "rounds of DAgger", tuple(range(ROUNDS + 1)), 0),
    Slider("episodes", "drives per round", (1, 2, 5, 10, 20), 1),
    Slider("epsilon", "error rate ε", (0.001, 0.002, 0.005, 0.01, 0.02, 0.05), 0.01),
    Choice("world", "world", WORLDS, WORLDS[0]),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls; densities are averages over the 100 steps of a drive."""

    round: int
    world: str
    places: tuple[str, str, str]  # what bottom, middle and top of the axis are called
    epsilon: float
    covered: np.ndarray  # [2W + 1] bool: places with a label by now
    data_density: np.ndarray  # [2W + 1], all labels so far
    learner_density: np.ndarray  # [2W + 1], the learner that they taught
    learner_by_step: np.ndarray  # [T + 1, 2W + 1]
    shift: float  # total variation between the two
    costs: np.ndarray  # [ROUNDS + 1] expected mistakes in a drive after each round
    promised: float  # εT
    worst: float  # cost at round 0 if nothing is recovered


@cache
def all_rounds(world: str, episodes: int, epsilon: float) -> tuple:
    """For every round: (policy, covered, mean density of the labels so far)."""
    mdp, expert_policy, _, _ = world_tables(world)
    visits = torch.zeros(mdp.num_states, dtype=torch.float64)
    driver, rounds = expert_policy, []
    for _ in range(ROUNDS + 1):
        visits = visits + episodes * state_marginals(mdp, driver, HORIZON)[:-1].sum(0)
        covered = visits >= 1
        counts = torch.where(covered[:, None], visits[:, None] * expert_policy, 0.0)
        driver = imperfect(clone(counts, most_frequent_action(counts)), covered, epsilon)
        rounds.append((driver, covered, visits / visits.sum()))
    return tuple(rounds)


@cache
def all_costs(world: str, episodes: int, epsilon: float) -> np.ndarray:
    """Expected mistakes in one drive after each round [ROUNDS + 1]."""
    mdp, _, cost_table, _ = world_tables(world)
    return np.array([float(exact_cost(state_marginals(mdp, policy, HORIZON), policy, cost_table).sum())
                     for policy, _, _ in all_rounds(world, episodes, epsilon)])


def compute(round: int, episodes: int, epsilon: float, world: str) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    mdp, _, _, row = world_tables(world)
    policy, covered, data = all_rounds(world, episodes, epsilon)[round]
    by_step = state_marginals(mdp, policy, HORIZON)
    learner = by_step[:-1].mean(0)
    steps = np.arange(1, HORIZON + 1)
    return Frame(
        round, world, PLACES.get(world, ROPE_PLACES), epsilon,
        covered=on_axis(covered, row), data_density=on_axis(data, row), learner_density=on_axis(learner, row),
        learner_by_step=on_axis(by_step, row), shift=float(total_variation(data, learner)),
        costs=all_costs(world, episodes, epsilon),
        promised=epsilon * HORIZON, worst=float(np.sum(1 - (1 - epsilon) ** steps)))
