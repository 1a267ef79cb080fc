"""What the distribution-shift widget shows: where expert and imitator are, and what it costs.

Everything is exact forward propagation except the eight drives, which are samples under luck
that stays the same while a control moves.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from ...algorithms.tabular_imitation import drive
from ...core.seeding import generator
from ...envs import lane, tightrope
from ...equations.imitation import (clone, distribution_shift_bound, expectation_bound, imperfect,
                                    most_frequent_action, no_recovery_cost, noisy_expert)
from ...exact.propagation import exact_cost, state_marginals, total_variation
from .controls import Choice, Slider

HALF_WIDTH = 6  # the lane; a tightrope is drawn on the same axis
LONGEST = 200  # the longest horizon offered
DEMONSTRATIONS, DEMONSTRATION_STEPS = 20, 100
DRIVES = 8
WORLDS = ("lane", "rope, a fall is final", "rope, climbing back is possible")
PLACES = {WORLDS[0]: ("ditch", "crown", "ditch")}  # names of the axis: bottom, middle, top
ROPE_PLACES = ("fallen", "rope", "")

CONTROLS = (
    Slider("horizon", "horizon T", (1, 5, 10, 25, 50, 100, 150, 200), 50),
    Slider("epsilon", "error rate ε", (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1), 0.01),
    Slider("noise", "noise in the expert η", (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3), 0.0),
    Choice("world", "world", WORLDS, WORLDS[0]),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls. Rows run over t = 0 … LONGEST, columns over the offset."""

    world: str
    places: tuple[str, str, str]  # what bottom, middle and top of the axis are called
    epsilon: float
    horizon: int
    noise: float
    covered: np.ndarray  # [2W + 1] bool: places that the data show
    data_density: np.ndarray  # [LONGEST + 1, 2W + 1], the expert that made the data
    learner_density: np.ndarray  # [LONGEST + 1, 2W + 1]
    drives: np.ndarray  # [LONGEST + 1, DRIVES] offsets of sampled imitators
    shift: np.ndarray  # [LONGEST + 1] total variation between imitator and noise-free expert
    shift_bound: np.ndarray  # [LONGEST + 1] min(1, εt)
    cost: np.ndarray  # [2 LONGEST] expected mistakes up to T = 1 … 2 LONGEST
    promised: np.ndarray  # [2 LONGEST] εT
    quadratic: np.ndarray  # [2 LONGEST] εT(T + 1)/2, the bound of proof B
    worst: np.ndarray  # [2 LONGEST] the bound of proof A: the cost if nothing is ever recovered
    cost_here: float  # at the chosen horizon
    doubling: float | None  # cost at twice the horizon over cost here; None if nothing is lost


@cache
def world_tables(world: str):
    """(mdp, expert policy, cost table, row on the picture's axis of every state)."""
    if world == WORLDS[0]:
        return (lane.lane(HALF_WIDTH), lane.expert_policy(HALF_WIDTH), lane.mistake_cost(HALF_WIDTH),
                list(range(2 * HALF_WIDTH + 1)))
    recoverable = world == WORLDS[2]
    return (tightrope.tightrope(recoverable), tightrope.expert_policy(),
            tightrope.mistake_cost(recoverable), [HALF_WIDTH, 0])


@cache
def expert_marginals(world: str, noise: float) -> torch.Tensor:
    """p(sₜ) of the expert with noise in what it executes [LONGEST + 1, S]; remembered."""
    mdp, expert_policy, _, _ = world_tables(world)
    return state_marginals(mdp, noisy_expert(expert_policy, noise), LONGEST)


def cloned_policy(world: str, noise: float, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(π, covered): the clone of 20 noisy demonstrations of 100 steps, and what they cover.

    A state counts as covered if the demonstrations are expected to visit it at least once. Its
    label is the expert's own action, and the clone errs there with probability ε; elsewhere it
    takes the most frequent action of the data.
    """
    visits = DEMONSTRATIONS * expert_marginals(world, noise)[:DEMONSTRATION_STEPS].sum(0)
    covered = visits >= 1
    counts = torch.where(covered[:, None], visits[:, None] * world_tables(world)[1], 0.0)
    return imperfect(clone(counts, most_frequent_action(counts)), covered, epsilon), covered


@cache
def every_horizon(epsilon: float, noise: float, world: str) -> Frame:
    """All that does not depend on the horizon, as the frame of T = 1; remembered."""
    mdp, _, cost_table, row = world_tables(world)
    policy, covered = cloned_policy(world, noise, epsilon)
    learner = state_marginals(mdp, policy, 2 * LONGEST)
    data, clean = expert_marginals(world, noise), expert_marginals(world, 0.0)
    drives = drive(mdp, policy[None], DRIVES, LONGEST + 1, generator(0, "distribution-shift drives"))
    cost = exact_cost(learner, policy, cost_table).cumsum(0)
    steps = torch.arange(1, 2 * LONGEST + 1, dtype=torch.float64)
    rate = torch.tensor(epsilon, dtype=torch.float64)
    return Frame(
        world, PLACES.get(world, ROPE_PLACES), epsilon, 1, noise, on_axis(covered, row),
        data_density=on_axis(data, row), learner_density=on_axis(learner[:LONGEST + 1], row),
        drives=np.asarray(row)[drives[:, 0].numpy()] - HALF_WIDTH,
        shift=total_variation(learner[:LONGEST + 1], clean).numpy(),
        shift_bound=distribution_shift_bound(rate, torch.arange(LONGEST + 1)).numpy(),
        cost=cost.numpy(), promised=(rate * steps).numpy(), quadratic=expectation_bound(rate, steps).numpy(),
        worst=no_recovery_cost(rate, steps).numpy(), cost_here=float(cost[0]), doubling=None)


def compute(horizon: int, epsilon: float, noise: float, world: str) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    frame = every_horizon(epsilon, noise, world)
    here, twice = float(frame.cost[horizon - 1]), float(frame.cost[2 * horizon - 1])
    return replace(frame, horizon=horizon, cost_here=here, doubling=twice / here if here > 0 else None)


def on_axis(by_state: torch.Tensor, row: list[int]) -> np.ndarray:
    """Lay values by state [..., S] out on the common axis of 2W + 1 offsets."""
    laid_out = by_state.new_zeros(*by_state.shape[:-1], 2 * HALF_WIDTH + 1)
    laid_out[..., row] = by_state
    return laid_out.numpy()
