"""n-step samples: what a learner with n-step targets needs of a window of a replay.

Lecture section Q7. Sutton 1988, "Learning to predict by the methods of temporal differences".
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require, require_unit_interval
from .replay import Replay


class NStepSample(NamedTuple):
    """From (o, a) to m steps later, m ≤ n: so far as the episode goes on within the window.

    `obs` and `action` [R, B, …] are the window's first; `reward` [R, B] is r₀ + γ r₁ + … + γᵐ⁻¹ rₘ₋₁; `next_obs` and
    `terminated` [R, B] belong to the last row used: behind a truncation a value follows, behind a termination none.
    `steps` [R, B] (int64) is m and `discount` [R, B] is γᵐ, so that the target is
    reward + discount · (1 − terminated) · V(next_obs).
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    steps: Tensor
    discount: Tensor


def n_step_sample(replay: Replay, steps: int, batch_size: int, random: torch.Generator, *,
                  discount: float) -> NStepSample:
    """`batch_size` samples of at most `steps` steps for each run, uniform over the starts of stored windows.

    The newest `steps` − 1 rows are never a start: what follows them has not been seen yet. Errors as those of
    `Replay.sample_windows` and `from_window`.
    """
    return from_window(replay.sample_windows(steps, batch_size, random), discount=discount)


def from_window(window: Batch, *, discount: float) -> NStepSample:
    """The sample of each window [n, R, B, …] of successive rows, cut at the first end, whichever end it is.

    Errors: ValueError for a discount outside [0, 1], or a batch without a time axis.
    """
    require_unit_interval("discount", discount)
    require(window.reward.ndim >= 2, "window", "rewards of shape [n, R, B]", list(window.reward.shape))
    goes_on = ~(window.terminated | window.truncated)
    # A row is used if no row before it was an end.
    used = torch.cat([torch.ones_like(goes_on[:1]), goes_on[:-1].cumprod(0).bool()])
    powers = discount ** torch.arange(len(used) + 1, dtype=window.reward.dtype, device=window.reward.device)
    steps = used.sum(0)
    weight = powers[:-1].reshape(-1, *[1] * (used.ndim - 1)) * used
    return NStepSample(window.obs[0], window.action[0], (weight * window.reward).sum(0),
                       _row(window.next_obs, steps - 1), _row(window.terminated, steps - 1), steps, powers[steps])


def _row(field: Tensor, index: Tensor) -> Tensor:
    """Entry [index] of `field` [n, R, B, …] for each `index` [R, B]."""
    wide = index.reshape(1, *index.shape, *[1] * (field.ndim - 1 - index.ndim))
    return field.gather(0, wide.expand(1, *field.shape[1:]))[0]
