"""How good is a policy: sums over whole episodes."""

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require, require_unit_interval


def episode_returns(batch: Batch, discount: float = 1.0) -> Tensor:
    """Σ_t γᵗ r_t of each episode [R, N], for whole episodes [T, R, N] (`data.episodes`)."""
    _require_whole(batch)
    require_unit_interval("discount", discount)
    steps = torch.arange(batch.reward.shape[0], dtype=batch.reward.dtype, device=batch.reward.device)
    weights = (discount ** steps).reshape(-1, *[1] * (batch.reward.ndim - 1))
    return (weights * batch.reward * batch.valid).sum(0)


def episode_lengths(batch: Batch) -> Tensor:
    """How many steps each episode took [R, N] (int64)."""
    _require_whole(batch)
    return batch.valid.sum(0)


def mean_return(batch: Batch, discount: float = 1.0) -> Tensor:
    """The mean over the N episodes of every run [R]: the estimate of J(π)."""
    return episode_returns(batch, discount).mean(-1)


def _require_whole(batch: Batch) -> None:
    require(batch.valid is not None, "batch", "whole episodes with a mask `valid`", "a batch without one")
