"""What the three-processes widget shows: collect, regress, move the target, each at a rate of its own.

The problem is `envs.two_doors` with noise of size 1 in the rewards. A behaviour that goes right with probability p
fills a replay; each regression step is one step of gradient descent on the mean squared error over the whole replay;
every k steps the target is copied. The clock counts regression steps. Near Q*, where going right is greedy, and for a
replay that holds just the expected shares, the mean dynamics of the error are linear: their spectral radius is the
factor by which small errors grow or shrink in the long run. Far from Q* the maximum may choose going left; then the
coupling is off, and a run that has grown comes back.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from ...core.seeding import generator, uniforms
from ...envs.two_doors import RIGHT, two_doors, two_doors_features
from ...exact.evaluation import q_from_value, value_iteration
from .controls import Slider

RUNS, STEPS, EVERY, FILLED = 8, 1024, 8, 20  # FILLED transitions are there when regression begins
PERIODS = (1, 4, 16, 64, 256)
DISCOUNT = 0.8
HUGE = 1e30  # where weights are stopped
SMALLEST = 1e-3  # what an error below counts as in the picture

CONTROLS = (
    Slider("collect", "collected per step", (0.0625, 0.25, 1.0, 4.0, 16.0), 4.0),
    Slider("capacity", "replay holds", (20, 100, 1000, 20_000), 1000),
    Slider("rate", "regression rate α", (0.1, 0.25, 0.5, 1.0, 1.5), 1.0),
    Slider("period", "target copied every", PERIODS, 1),
    Slider("share", "data: goes right", (0.1, 0.2, 0.3, 0.5), 0.2),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls. Errors are √mean (Q − Q*)² over the four pairs."""

    collect: float
    capacity: int
    rate: float
    period: int
    share: float
    times: np.ndarray  # [K] regression steps done
    error: np.ndarray  # [RUNS, K]
    best: float  # Q*(right room, right)
    estimate: np.ndarray  # [K] Q of that pair in run 1
    target: np.ndarray  # [K] and r + γ max Q', what the target says it should be
    growth: np.ndarray  # [len(PERIODS)] long-run factor of a small error around Q* per 100 steps


@cache
def exact_q() -> np.ndarray:
    """Q* [4 pairs]."""
    problem = two_doors()
    return q_from_value(problem, value_iteration(problem, DISCOUNT)[0], DISCOUNT).flatten().numpy()


@cache
def collected(share: float) -> np.ndarray:
    """How often each pair was met, and the sum of its rewards, after n transitions: [n, RUNS, 4 pairs, 2]."""
    count = FILLED + int(CONTROLS[0].values[-1] * STEPS)
    random = generator(0, "three processes")
    action = (uniforms((count, RUNS), random) < share).numpy().astype(int)
    room = np.concatenate([np.zeros((1, RUNS), int), action[:-1]])  # action a leads to room a; all begin on the left
    noise = torch.randn(count, RUNS, generator=random, dtype=torch.float64).numpy()
    pair = np.eye(4)[2 * room + action]
    reward = two_doors().reward_table.numpy()[room, action] + noise
    sums = np.cumsum(np.stack([pair, pair * reward[..., None]], -1), 0)
    return np.concatenate([np.zeros((1, RUNS, 4, 2)), sums])


def replayed(collect: float, capacity: int, share: float) -> np.ndarray:
    """What the replay holds at every regression step, per transition: shares and mean rewards [STEPS, RUNS, 4, 2]."""
    written = FILLED + np.floor(collect * np.arange(STEPS)).astype(int)
    sums, oldest = collected(share), np.maximum(written - capacity, 0)
    return (sums[written] - sums[oldest]) / (written - oldest)[:, None, None, None]


def run(collect: float, capacity: int, rate: float, period: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(Q [STEPS + 1, RUNS, 4 pairs], the targets' γ max Q' of both rooms [STEPS, RUNS, 2]), from Q = 0."""
    features = two_doors_features().numpy()
    held = np.ascontiguousarray(np.moveaxis(replayed(collect, capacity, share), -1, 0))
    weights, values, futures = np.zeros((RUNS, 4)), np.zeros((STEPS + 1, RUNS, 4)), np.zeros((STEPS, RUNS, 2))
    future = np.zeros((RUNS, 2))
    for step, (often, paid) in enumerate(zip(*held)):
        if step % period == 0:
            future = DISCOUNT * values[step].reshape(RUNS, 2, 2).max(-1)
        error = paid + often * (np.concatenate([future, future], 1) - values[step])  # action a leads to room a
        weights = np.clip(weights + rate * error @ features, -HUGE, HUGE)
        values[step + 1], futures[step] = weights @ features.T, future
    return values, futures


@cache
def growth(rate: float, share: float) -> np.ndarray:
    """Per 100 steps, the spectral radius of the mean error's map near Q*, for each of PERIODS: [len(PERIODS)].

    Between two copies k steps of regression take w towards M w', the least squares fit to the target's values:
    w ← Gᵏ w + (I − Gᵏ) M w' with G = I − α C, C = Φᵀ D Φ; and w' = w at the copy.
    """
    features = two_doors_features().numpy()
    room = np.array([1 - share, share])
    often = (room[:, None] * room).ravel()  # of (room, action): both independent, the room is the last action
    follows = np.zeros((4, 4))
    follows[[0, 1, 2, 3], [1, 2 + RIGHT, 1, 2 + RIGHT]] = 1.0  # (·, a) leads to (room a, right), the greedy pair there
    square = features.T @ (often[:, None] * features)
    fitted = np.linalg.solve(square, features.T @ (often[:, None] * (DISCOUNT * follows @ features)))
    kept, factors = np.eye(4) - rate * square, []
    for period in PERIODS:
        regressed = np.linalg.matrix_power(kept, period)
        factor = np.abs(np.linalg.eigvals(regressed + (np.eye(4) - regressed) @ fitted)).max()
        factors.append(math.exp(100 / period * math.log(factor)))
    return np.array(factors)


def compute(collect: float, capacity: int, rate: float, period: int, share: float) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    values, futures = run(collect, capacity, rate, period, share)
    times = np.arange(0, STEPS + 1, EVERY)
    best, pair = exact_q(), 2 * RIGHT + RIGHT
    error = np.sqrt(((values[times] - best) ** 2).mean(-1)).T
    return Frame(collect, capacity, rate, period, share, times, np.maximum(error, SMALLEST), float(best[pair]),
                 values[times, 0, pair], 1.0 + futures[np.minimum(times, STEPS - 1), 0, RIGHT], growth(rate, share))
