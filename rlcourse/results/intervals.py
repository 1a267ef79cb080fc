"""Intervals over runs: every curve of the course is drawn with one, and says which.

`mean_interval` is for a mean over a few runs of something roughly normal; `interquartile_mean`
with `bootstrap_interval` for returns, whose outliers a mean would follow (Agarwal, Schwarzer,
Castro, Courville and Bellemare 2021, "Deep reinforcement learning at the edge of the statistical
precipice").
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from ..core.check import require, require_count


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high) with mean ± t s/√n, Student's interval for n independent values [n].

    s is the standard deviation with n − 1 in the denominator and t the quantile for n − 1
    degrees of freedom: 2.36 for eight runs, not the 1.96 of infinitely many.
    """
    values = np.asarray(values, dtype=float)
    require(values.ndim == 1 and len(values) >= 2, "values", "at least two numbers, shape [n]", list(values.shape))
    require(bool(np.isfinite(values).all()), "values", "finite numbers", "NaN or infinity")
    mean = float(values.mean())
    half = student_quantile(level, len(values) - 1) * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


@cache
def student_quantile(level: float, degrees: int) -> float:
    """The t with P(|T| ≤ t) = level for Student's distribution, to about eight digits.

    Substitute T = √ν tan θ: the density of θ is proportional to cos^{ν−1} θ on (−π/2, π/2), a
    smooth function on a finite interval that the trapezium rule integrates well.
    """
    require(0 < level < 1, "level", "a number in (0, 1)", level)
    require_count("degrees", degrees)
    angle = np.linspace(0.0, np.pi / 2, 20_001)
    density = np.cos(angle) ** (degrees - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(degrees**0.5 * np.tan(np.interp(level, mass / mass[-1], angle)))


def interquartile_mean(values: np.ndarray, axis: int = -1) -> float | np.ndarray:
    """The mean of the middle half of `values` along `axis`: the lowest and the highest quarter are left out.

    Where the number of values is no multiple of four, those at the edges count in part.
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=float), axis, -1), -1)
    count = ordered.shape[-1]
    require(count > 0, "values", "at least one number", "none")
    edges = np.arange(count + 1) / count
    inside = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None)
    return ordered @ inside / inside.sum()


def bootstrap_interval(values: np.ndarray, random: torch.Generator, *, level: float = 0.95,
                       statistic: Callable = interquartile_mean,
                       resamples: int = 2000) -> tuple[float, float, float] | tuple[np.ndarray, ...]:
    """(statistic, low, high): the percentile bootstrap over n independent runs [n] (Efron 1979).

    Draws n of the n values with replacement, `resamples` times, and takes the middle `level` of
    `statistic(values, axis=-1)`. For values [*B, n] the same draws of runs serve every row, and the three
    results are [*B]. With few runs it is narrower than it should be; the course prints it for eight.
    """
    values = np.asarray(values, dtype=float)
    count = values.shape[-1] if values.ndim else 0
    require(count >= 2, "values", "at least two numbers, shape [n]", list(values.shape))
    require(0 < level < 1, "level", "a number in (0, 1)", level)
    rows = torch.randint(count, (resamples, count), generator=random).numpy()
    drawn = statistic(values[..., rows], axis=-1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    results = statistic(values, axis=-1), low, high
    return results if values.ndim > 1 else tuple(float(number) for number in results)
