"""What the objective widget shows: the state marginal, step by step, and what it earns.

Everything is exact. The goal of each map leads back to the start, so that all three objectives
(finite, discounted, average) exist for every setting.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from ...envs.maps import CLIFF, FOUR_ROOMS, GridMap, grid_map
from ...equations.foundations import expected_reward
from ...exact.evaluation import policy_iteration
from ...exact.propagation import state_marginals
from ...exact.stationary import stationary_distribution
from .controls import Choice, Slider

LONGEST = 60  # steps shown
PLANNING_DISCOUNT = 0.99  # "best" means best for this discount
SIDE = 13  # cells on each side of the picture; the cliff is laid into the middle
MAPS = {"cliff": CLIFF, "four rooms": FOUR_ROOMS}
DIRECTIONS = torch.tensor([[0.0, 1.0], [0.0, -1.0], [-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)

CONTROLS = (  # the problem, the policy, what to look at, the objective
    Choice("world", "map", tuple(MAPS), "cliff"),
    Slider("slip", "slip", (0.0, 0.05, 0.1, 0.2, 0.3), 0.0),
    Slider("share", "share of the best policy", (0.0, 0.5, 0.8, 0.9, 0.95, 1.0), 0.9, "{:.0%}"),
    Slider("time", "time t", tuple(range(LONGEST + 1)), 10),
    Slider("discount", "discount γ", (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99), 0.95),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls. Curves run over t = 0 … LONGEST − 1."""

    world: str
    time: int
    share: float
    slip: float
    discount: float
    floor: np.ndarray  # [SIDE, SIDE] bool: cells that are states
    marginal: np.ndarray  # [SIDE, SIDE] p(sₜ) at the chosen time; 0 where there is no state
    arrows: np.ndarray  # [SIDE, SIDE, 2] mean direction (right, up) of the policy; 0 likewise
    start: tuple[int, int]  # (row, column)
    goal: tuple[int, int]
    edge: np.ndarray  # [n, 2] rows and columns of the cliff
    step_reward: np.ndarray  # [LONGEST] E r(sₜ, aₜ)
    running_average: np.ndarray  # [LONGEST] (1/(t+1)) Σ_{k≤t} E r(s_k, a_k)
    total: np.ndarray  # [LONGEST] Σ_{k≤t} E r(s_k, a_k)
    discounted: np.ndarray  # [LONGEST] Σ_{k≤t} γᵏ E r(s_k, a_k)
    average: float  # the average reward of the stationary distribution


@cache
def world_grid(world: str, slip: float) -> tuple[GridMap, torch.Tensor]:
    """The map with its goal leading back to the start, and the best policy for it."""
    grid = grid_map(MAPS[world], slip=slip, restart=True)
    return grid, policy_iteration(grid.mdp, PLANNING_DISCOUNT)[0]


@cache
def everything_over_time(world: str, share: float, slip: float):
    """(policy [S, A], marginals [LONGEST + 1, S], E r by step [LONGEST], average reward)."""
    grid, best = world_grid(world, slip)
    policy = share * best + (1.0 - share) / best.shape[1]
    marginals = state_marginals(grid.mdp, policy, LONGEST)
    step_reward = expected_reward(marginals[:-1], policy, grid.mdp.reward_table)
    average = expected_reward(stationary_distribution(grid.mdp, policy), policy, grid.mdp.reward_table)
    return policy, marginals, step_reward, float(average)


def compute(world: str, time: int, share: float, slip: float, discount: float) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    grid, _ = world_grid(world, slip)
    policy, marginals, step_reward, average = everything_over_time(world, share, slip)
    steps = torch.arange(LONGEST, dtype=torch.float64)
    places = {letter: [(r, c) for r, row in enumerate(grid.rows) for c, x in enumerate(row) if x == letter]
              for letter in "SGC"}
    margin = np.array([(SIDE - len(grid.rows)) // 2, (SIDE - len(grid.rows[0])) // 2])
    cells = tuple((np.array(grid.cells) + margin).T)
    return Frame(
        world, time, share, slip, discount,
        floor=on_square(cells, torch.ones(len(grid.cells), dtype=torch.bool)),
        marginal=on_square(cells, marginals[time]), arrows=on_square(cells, policy @ DIRECTIONS),
        start=tuple((margin + places["S"][0]).tolist()), goal=tuple((margin + places["G"][0]).tolist()),
        edge=np.array(places["C"], dtype=np.int64).reshape(-1, 2) + margin,
        step_reward=step_reward.numpy(), running_average=(step_reward.cumsum(0) / (steps + 1)).numpy(),
        total=step_reward.cumsum(0).numpy(), discounted=(discount ** steps * step_reward).cumsum(0).numpy(),
        average=average)


def on_square(cells: tuple[np.ndarray, np.ndarray], by_state: torch.Tensor) -> np.ndarray:
    """Lay values by state [S, …] out on the square of SIDE cells, zero elsewhere."""
    square = np.zeros((SIDE, SIDE, *by_state.shape[1:]), dtype=by_state.numpy().dtype)
    square[cells] = by_state.numpy()
    return square
