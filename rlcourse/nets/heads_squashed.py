"""The head of soft actor-critic: a Gaussian pressed into a box by tanh, sampled with its gradient."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.check import require, require_shape
from .distributions import DiagGaussian
from .inputs import require_noise, require_pairs
from .mlp import MLP


@dataclass(frozen=True, eq=False)
class SquashedGaussian:
    """a = c + h tanh(u), u ~ N(mean, diag exp(log_std)²): `mean` and `log_std` [*B, D].

    c and h are the middle and half the width of the box [`low`, `high`]. Densities and entropies are those
    of a itself, in its own units. In units of the box (−1, 1)ᴰ log-densities are larger by D log h.
    """

    mean: Tensor
    log_std: Tensor
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self):
        require_shape("log_std", self.log_std, tuple(self.mean.shape))
        require(self.low < self.high, "low", f"a number below high = {self.high}", self.low)

    def sample(self, noise: Tensor) -> Tensor:
        """An action [*B, D] for uniforms [*B, D]; differentiable in mean and log_std."""
        return self._squashed(self._gaussian.sample(noise))

    def sample_with_log_prob(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(a [*B, D], log π(a) [*B]) for uniforms [*B, D], both with their whole gradient.

        Exact also where tanh(u) rounds to ±1, since u = μ + σε is at hand and need not be recovered from a; for
        the same reason log N(u) is −½ε² − log σ − ½ log 2π, without μ.
        """
        require_shape("noise", noise, tuple(self.mean.shape))
        normal = torch.special.ndtri(noise)
        unsquashed = self.mean + torch.exp(self.log_std) * normal
        log_normal = (-0.5 * normal.square() - self.log_std - 0.5 * math.log(2.0 * math.pi)).sum(-1)
        return self._squashed(unsquashed), log_normal - self._log_slope(unsquashed)

    def log_prob(self, action: Tensor) -> Tensor:
        """The log density [*B] of given actions [*B, D], log N(u) − Σ_d log(h (1 − tanh² u_d)).

        u = artanh((a − c)/h). Actions on the edge of the box, where u would be infinite, count as the nearest
        number inside it; for own samples `sample_with_log_prob` loses nothing.
        """
        require_shape("action", action, tuple(self.mean.shape))
        inside = 1.0 - torch.finfo(action.dtype).eps
        scaled = (action - self._middle) / self._half
        require(bool((scaled.abs() <= 1.0 + 1e-6).all()), "action", f"numbers in [{self.low}, {self.high}]",
                f"one of {float(action.flatten()[scaled.abs().flatten().argmax()]):.6g}")
        unsquashed = torch.atanh(scaled.clamp(-inside, inside))
        return self._gaussian.log_prob(unsquashed) - self._log_slope(unsquashed)

    @property
    def mode(self) -> Tensor:
        """c + h tanh(mean) [*B, D]: the median, and the action without noise (the density may peak elsewhere)."""
        return self._squashed(self.mean)

    @property
    def _gaussian(self) -> DiagGaussian:
        return DiagGaussian(self.mean, self.log_std)

    @property
    def _middle(self) -> float:
        return 0.5 * (self.low + self.high)

    @property
    def _half(self) -> float:
        return 0.5 * (self.high - self.low)

    def _squashed(self, unsquashed: Tensor) -> Tensor:
        return self._middle + self._half * torch.tanh(unsquashed)

    def _log_slope(self, unsquashed: Tensor) -> Tensor:
        """Σ_d log |da/du| = Σ_d log(h (1 − tanh² u_d)) [*B]."""
        # log(1 − tanh² u) = 2 (log 2 − u − softplus(−2u)): the left side is log 0 from u = 19 on.
        slope = 2.0 * (math.log(2.0) - unsquashed - nn.functional.softplus(-2.0 * unsquashed))
        return (slope + math.log(self._half)).sum(-1)


class SquashedGaussianHead(nn.Module):
    """p(a|o): a `SquashedGaussian` in the box [`low`, `high`]ᴰ whose mean and width depend on o. `noise_size` D.

    log σ runs smoothly from `least_log_std` to `most_log_std`, the middle of which is where it begins (up to the
    small random weights of the last layer): with a hard clamp a width beyond the bounds would have no gradient
    to return by. Haarnoja, Zhou, Abbeel, Levine 2018. (Lecture 04, A8.)
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, low: float = -1.0,
                 high: float = 1.0, hidden: tuple[int, ...] = (64, 64), activation: str = "relu",
                 least_log_std: float = -5.0, most_log_std: float = 2.0, dtype: torch.dtype = torch.float64):
        super().__init__()
        require(least_log_std < most_log_std, "least_log_std", f"a number below most_log_std = {most_log_std}",
                least_log_std)
        self.obs_size, self.action_size, self.noise_size = obs_size, action_size, action_size
        self.low, self.high = low, high
        self.least_log_std, self.most_log_std = least_log_std, most_log_std
        self.net = MLP((obs_size, *hidden, 2 * action_size), runs=runs, seed=seed, name="squashed Gaussian head",
                       activation=activation, output_scale=0.1, dtype=dtype)

    def distribution(self, obs: Tensor) -> SquashedGaussian:
        """p(·|o) for `obs` [R, B, O]."""
        mean, raw = self.net(obs).chunk(2, dim=-1)
        log_std = self.least_log_std + 0.5 * (self.most_log_std - self.least_log_std) * (1.0 + torch.tanh(raw))
        return SquashedGaussian(mean, log_std, self.low, self.high)

    def log_prob(self, obs: Tensor, action: Tensor) -> Tensor:
        """log p(a|o) [R, B] of given actions [R, B, D] inside the box."""
        require_pairs(obs, action, self.net.runs, self.obs_size, self.action_size)
        return self.distribution(obs).log_prob(action)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B, D] for uniforms [R, B, D]; c + h tanh(mean) without noise."""
        distribution = self.distribution(obs)
        if noise is None:
            return distribution.mode
        return distribution.sample(require_noise(noise, obs, self.noise_size))

    def sample_with_log_prob(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(a [R, B, D], log p(a|o) [R, B]) for uniforms [R, B, D], both with their whole gradient."""
        return self.distribution(obs).sample_with_log_prob(require_noise(noise, obs, self.noise_size))
