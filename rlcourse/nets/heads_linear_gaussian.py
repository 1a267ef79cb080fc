"""The smallest head for continuous actions: a mean that is linear in the observation, and one width for all."""

import torch
from torch import Tensor, nn

from ..core.check import require, require_count
from .distributions import DiagGaussian
from .inputs import require_noise


class LinearGaussianHead(nn.Module):
    """p(a|o) = N(o·K, diag σ²) with K = `unit` · θ and σ = exp(log_std), the same for every o.

    θ [R, O, D] and `log_std` [R, 1, D] are the parameters; all runs start at the same `gain` (in every entry of
    K) and `log_std`. `unit` measures the gain in another unit: the policies are the same, the gradients are
    not. `noise_size` D. (Lecture 03, P9.)
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, gain: float = 0.0, log_std: float = 0.0,
                 unit: float = 1.0, dtype: torch.dtype = torch.float64):
        super().__init__()
        for name, count in (("obs_size", obs_size), ("action_size", action_size), ("runs", runs)):
            require_count(name, count)
        require(unit > 0, "unit", "a positive number", unit)
        self.obs_size, self.action_size, self.unit, self.noise_size = obs_size, action_size, unit, action_size
        self.theta = nn.Parameter(torch.full((runs, obs_size, action_size), gain / unit, dtype=dtype))
        self.log_std = nn.Parameter(torch.full((runs, 1, action_size), log_std, dtype=dtype))

    @property
    def gain(self) -> Tensor:
        """K [R, O, D]."""
        return self.unit * self.theta

    def distribution(self, obs: Tensor) -> DiagGaussian:
        """p(·|o) for `obs` [R, B, O]."""
        mean = obs @ self.gain
        return DiagGaussian(mean, self.log_std.expand_as(mean))

    def log_prob(self, obs: Tensor, action: Tensor) -> Tensor:
        """log p(a|o) [R, B]."""
        return self.distribution(obs).log_prob(action)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B, D] for uniforms [R, B, D]; the mean without noise."""
        distribution = self.distribution(obs)
        if noise is None:
            return distribution.mode
        return distribution.sample(require_noise(noise, obs, self.noise_size))
