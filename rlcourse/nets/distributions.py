"""Distributions over actions: small frozen dataclasses of tensors.

Each has `log_prob(action)`, `sample(noise)` and a `mode` where there is one in closed form.
Noise comes in as uniforms on (0, 1) (`core.seeding.uniforms`); sampling is by inverse cdf, so
the same noise gives the same action, and a slightly other policy a slightly other one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_shape
from ..equations.imitation_heads import gaussian_nll, mixture_log_prob


def bounded_log_std(raw: Tensor, least_std: float) -> Tensor:
    """log σ with σ = least_std + softplus(raw), elementwise.

    The floor is not a numerical nicety: on demonstrations that repeat an action exactly, the
    likelihood of a Gaussian is unbounded as σ → 0, and training would chase it.
    """
    return torch.log(least_std + torch.nn.functional.softplus(raw))


def inverse_cdf_index(probs: Tensor, noise: Tensor) -> Tensor:
    """The smallest k with noise < p_0 + … + p_k: `probs` [*B, A], `noise` [*B] → int64 [*B].

    The cumulative sums are divided by their last, which then is exactly 1: a rounding error below it
    could let the largest draws fall on an outcome without any probability.
    """
    require(noise.shape == probs.shape[:-1], "noise", f"shape {list(probs.shape[:-1])}", list(noise.shape))
    cumulative = probs.cumsum(-1)
    return (noise.unsqueeze(-1) >= cumulative[..., :-1] / cumulative[..., -1:]).sum(-1)


@dataclass(frozen=True, eq=False)
class Categorical:
    """P(a) = softmax(logits)_a over the actions 0 … A − 1; `logits` [*B, A]."""

    logits: Tensor

    @property
    def probs(self) -> Tensor:
        """The probabilities [*B, A]."""
        return torch.softmax(self.logits, dim=-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """log P(action) [*B] in nats, for int64 actions [*B]."""
        require(action.dtype == torch.int64, "action", "dtype int64", action.dtype)
        require(action.shape == self.logits.shape[:-1], "action", f"shape {list(self.logits.shape[:-1])}",
                list(action.shape))
        return torch.log_softmax(self.logits, dim=-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def sample(self, noise: Tensor) -> Tensor:
        """One action [*B] for uniforms `noise` [*B]."""
        return inverse_cdf_index(self.probs, noise)

    def entropy(self) -> Tensor:
        """−Σ_a P(a) log P(a) [*B] in nats; an action of probability 0 adds nothing."""
        return torch.special.entr(self.probs).sum(-1)

    def kl(self, other: "Categorical") -> Tensor:
        """KL(self ‖ other) = Σ_a P(a) (log P(a) − log P_other(a)) [*B]."""
        difference = torch.log_softmax(self.logits, -1) - torch.log_softmax(other.logits, -1)
        probs = self.probs
        return torch.where(probs > 0, probs * difference, torch.zeros_like(probs)).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The most probable action [*B] (the first of several)."""
        return self.logits.argmax(-1)


@dataclass(frozen=True, eq=False)
class DiagGaussian:
    """N(mean, diag exp(log_std)²); `mean` and `log_std` [*B, D]."""

    mean: Tensor
    log_std: Tensor

    def __post_init__(self):
        require_shape("log_std", self.log_std, tuple(self.mean.shape))

    def log_prob(self, action: Tensor) -> Tensor:
        """The log density [*B] of `action` [*B, D]."""
        return -gaussian_nll(action, self.mean, self.log_std)

    def sample(self, noise: Tensor) -> Tensor:
        """μ + σ Φ⁻¹(noise) [*B, D] for uniforms [*B, D]; differentiable in μ and σ."""
        require_shape("noise", noise, tuple(self.mean.shape))
        return self.mean + torch.exp(self.log_std) * torch.special.ndtri(noise)

    def entropy(self) -> Tensor:
        """Σ_d [ log σ_d + ½ log 2πe ]   [*B], in nats."""
        return (self.log_std + 0.5 * math.log(2.0 * math.pi * math.e)).sum(-1)

    def kl(self, other: "DiagGaussian") -> Tensor:
        """KL(self ‖ other) = Σ_d [ log(σ′/σ) + (σ² + (μ − μ′)²) / 2σ′² − ½ ]   [*B]."""
        ratio = self.log_std - other.log_std
        distance = (self.mean - other.mean) * torch.exp(-other.log_std)
        return (0.5 * (torch.exp(2.0 * ratio) + distance.square() - 1.0) - ratio).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The mean [*B, D]."""
        return self.mean


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Σ_k w_k N(μ_k, diag σ_k²) with w = softmax(logits).

    `logits` [*B, K]; `mean` and `log_std` [*B, K, D].
    """

    logits: Tensor
    mean: Tensor
    log_std: Tensor

    def log_prob(self, action: Tensor) -> Tensor:
        """The log density [*B] of `action` [*B, D]."""
        return mixture_log_prob(action, self.logits, self.mean, self.log_std)

    def sample(self, noise: Tensor) -> Tensor:
        """[*B, D] for uniforms [*B, 1 + D]: the first picks the component, the others the point."""
        component = inverse_cdf_index(torch.softmax(self.logits, dim=-1), noise[..., 0])
        return self._component(component).sample(noise[..., 1:])

    @property
    def heaviest_mean(self) -> Tensor:
        """The mean [*B, D] of the component with the largest weight.

        Not always the mode: a light but narrow component can have the higher peak.
        """
        return self._component(self.logits.argmax(-1)).mean

    def _component(self, index: Tensor) -> DiagGaussian:
        where = index[..., None, None].expand(*index.shape, 1, self.mean.shape[-1])
        mean, log_std = self.mean.gather(-2, where), self.log_std.gather(-2, where)
        return DiagGaussian(mean.squeeze(-2), log_std.squeeze(-2))
