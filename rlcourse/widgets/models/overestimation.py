"""What the overestimation widget shows: the largest of noisy estimates, and what a second estimator does about it.

One action is worth 0, all others −gap. An estimate is the mean of n samples with Gaussian noise; a second estimator has
n samples too, of which it shares a part c with the first: that is the correlation of their estimates. Single:
Q̂(a*), a* = argmax Q̂. Double: Q̂'(a*). Clipped double: the smaller of both. Means are exact; in the drawn repetitions
the luck stays the same while a control moves.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from ...core.seeding import generator
from ...exact.max_bias import expected_clipped_double, expected_double, expected_max, selection_probs
from .controls import Slider

ACTIONS = (1, 2, 3, 5, 10, 30)
REPETITIONS = 4000
SHOWN = 8  # repetitions of which one is shown action by action
SINGLE, DOUBLE, CLIPPED = ESTIMATORS = ("single", "double", "clipped double")

CONTROLS = (
    Slider("actions", "actions", ACTIONS, 10),
    Slider("noise", "noise of a sample", (0.1, 0.25, 0.5, 0.75, 1.0), 1.0),
    Slider("samples", "samples n", (1, 2, 4, 9, 16, 36, 100), 4),
    Slider("gap", "best action ahead by", (0.0, 0.1, 0.25, 0.5, 1.0), 0.0),
    Slider("shared", "shared samples c", (0.0, 0.25, 0.5, 0.75, 0.9, 1.0), 0.0),
    Slider("repetition", "repetition", tuple(range(1, SHOWN + 1)), 1),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls. Rows of arrays are `ESTIMATORS`; the largest true value is 0."""

    actions: int
    noise: float
    samples: int
    gap: float
    shared: float
    repetition: int
    true: np.ndarray  # [A] μ
    first: np.ndarray  # [A] Q̂ in the repetition shown
    second: np.ndarray  # [A] Q̂'
    chosen: int  # argmax Q̂ there
    drawn: np.ndarray  # [3, REPETITIONS] what the estimators say
    exact: np.ndarray  # [3] and what they say on average
    by_actions: np.ndarray  # [3, len(ACTIONS)] the same for every number of actions
    right: float  # probability that the best action is chosen
    doubled: float  # mean of a single estimator with 2n samples


@cache
def luck() -> np.ndarray:
    """Standard normal numbers [2, REPETITIONS, A]: Q̂'s, and what Q̂' does not share."""
    return torch.randn(2, REPETITIONS, ACTIONS[-1], generator=generator(0, "overestimation luck"),
                       dtype=torch.float64).numpy()


def true_values(actions: int, gap: float) -> torch.Tensor:
    """μ [A]: 0 for the first action, −gap for all others."""
    value = torch.full((actions,), -gap, dtype=torch.float64)
    value[0] = 0.0
    return value


@cache
def exact_means(actions: int, std: float, gap: float, shared: float) -> tuple[float, float, float]:
    """(E single, E double, E clipped double) for estimates of standard deviation `std`."""
    means = true_values(actions, gap)
    stds = torch.full_like(means, std)
    return (expected_max(means, stds), expected_double(means, stds, correlation=shared),
            expected_clipped_double(means, stds, correlation=shared))


def estimates(actions: int, std: float, gap: float, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """(Q̂, Q̂') [REPETITIONS, A] each."""
    own, fresh = luck()[:, :, :actions] * std
    value = true_values(actions, gap).numpy()
    return value + own, value + shared * own + math.sqrt(1 - shared**2) * fresh


def compute(actions: int, noise: float, samples: int, gap: float, shared: float, repetition: int) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    std = noise / math.sqrt(samples)
    first, second = estimates(actions, std, gap, shared)
    best = first.argmax(1)
    chosen, judged = (np.take_along_axis(values, best[:, None], 1)[:, 0] for values in (first, second))
    means = true_values(actions, gap)
    return Frame(
        actions, noise, samples, gap, shared, repetition, means.numpy(), first[repetition - 1], second[repetition - 1],
        int(best[repetition - 1]), np.stack([chosen, judged, np.minimum(chosen, judged)]),
        np.array(exact_means(actions, std, gap, shared)),
        np.array([exact_means(count, std, gap, shared) for count in ACTIONS]).T,
        float(selection_probs(means, torch.full_like(means, std))[0]),
        exact_means(actions, std / math.sqrt(2), gap, shared)[0])
