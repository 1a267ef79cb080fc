"""Learning curves [runs, checkpoints]: a line and its band, and when a threshold is crossed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..core.check import require
from .intervals import bootstrap_interval, interquartile_mean, mean_interval


@dataclass(frozen=True, eq=False)
class Band:
    """An estimate at each checkpoint with its interval: `centre`, `low`, `high` [checkpoints].

    `label` says in words which estimator and interval it is, for the legend.
    """

    centre: np.ndarray
    low: np.ndarray
    high: np.ndarray
    label: str


def steps_and_returns(curve: Sequence[tuple[int, torch.Tensor]]) -> tuple[np.ndarray, np.ndarray]:
    """What a learner keeps as `curve`, a list of (step, return [R]), as steps [C] and values [R, C].

    A checkpoint before the first episode of any run has ended has no value in that run (NaN) and is left out.
    """
    require(len(curve) > 0, "curve", "at least one (step, return)", "none")
    steps = np.array([step for step, _ in curve])
    values = np.stack([np.asarray(value, dtype=float) for _, value in curve], -1)
    known = ~np.isnan(values).any(0)
    return steps[known], values[:, known]


def mean_band(values: np.ndarray, level: float = 0.95) -> Band:
    """The mean over runs and Student's interval, for every column of `values` [runs, checkpoints]."""
    columns = _columns(values)
    centre, low, high = np.array([mean_interval(column, level) for column in columns]).T
    return Band(centre, low, high, f"mean of {len(columns[0])} runs, {level:.0%} Student interval")


def interquartile_band(values: np.ndarray, random: torch.Generator, *, level: float = 0.95,
                       resamples: int = 1000) -> Band:
    """The interquartile mean over runs and its bootstrap interval, column by column.

    The interval is that of each checkpoint alone: the whole true curve need not lie inside. Whole runs are
    drawn, the same for every checkpoint, so that a checkpoint's interval does not depend on the others.
    """
    columns = np.stack(_columns(values))
    rows = bootstrap_interval(columns, random, level=level, statistic=interquartile_mean, resamples=resamples)
    return Band(*rows, f"interquartile mean of {columns.shape[1]} runs, {level:.0%} bootstrap interval")


def first_crossing(values: np.ndarray, threshold: float) -> np.ndarray:
    """The first checkpoint at which each run reaches `threshold` [runs] (int), −1 where it never does."""
    values = np.stack(_columns(values, least=1), -1)
    reached = values >= threshold
    return np.where(reached.any(-1), reached.argmax(-1), -1)


def _columns(values: np.ndarray, least: int = 2) -> list[np.ndarray]:
    values = np.asarray(values, dtype=float)
    require(values.ndim == 2 and values.shape[0] >= least and values.shape[1] > 0, "values",
            f"shape [runs, checkpoints] with at least {least} runs", list(values.shape))
    require(bool(np.isfinite(values).all()), "values", "finite numbers", "NaN or infinity")
    return list(values.T)
