"""The mixture head: several Gaussians, weighted by the observation (a mixture density network)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.check import require_count
from ..core.runs import socket
from ..core.seeding import generator
from ..equations.imitation_heads import mixture_log_prob
from .distributions import GaussianMixture, bounded_log_std
from .inputs import require_noise, require_pairs
from .mlp import MLP


class MixtureHead(nn.Module):
    """p(a|o) = Σ_k w_k(o) N(μ_k(o), diag σ_k(o)²), trained on −log p(a|o) (Bishop 1994).

    `components` K is the number of modes that it can hold, chosen beforehand. The means start at
    random within ±`spread`: components that start alike receive the same gradient and stay alike.
    `noise_size` 1 + D, `loss_noise_size` 0. `log_prob_equation` is the socket for the mixture's
    log-likelihood.
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, components: int = 5,
                 hidden: tuple[int, ...] = (64, 64), activation: str = "tanh", least_std: float = 0.01,
                 spread: float = 1.0, log_prob_equation: Callable = mixture_log_prob,
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        require_count("components", components)
        self.obs_size, self.action_size, self.components = obs_size, action_size, components
        self.least_std = least_std
        self.noise_size, self.loss_noise_size = 1 + action_size, 0
        self.log_prob_equation = socket("log_prob_equation", log_prob_equation, mixture_log_prob, axis=0)
        self.net = MLP((obs_size, *hidden, components * (1 + 2 * action_size)), runs=runs, seed=seed,
                       name="mixture head", activation=activation, output_scale=0.1, dtype=dtype)
        means = slice(components, components + components * action_size)
        with torch.no_grad():
            for r in range(runs):
                draw = torch.rand(components * action_size, dtype=torch.float64,
                                  generator=generator(seed, f"mixture head's means, run {r}"))
                self.net.biases[-1][r, 0, means] = (spread * (2.0 * draw - 1.0)).to(dtype)

    def distribution(self, obs: Tensor) -> GaussianMixture:
        """p(·|o) for `obs` [R, B, O]."""
        size = self.components * self.action_size
        logits, mean, raw = self.net(obs).split((self.components, size, size), dim=-1)
        shape = (*obs.shape[:-1], self.components, self.action_size)
        log_std = bounded_log_std(raw, self.least_std)
        return GaussianMixture(logits, mean.reshape(shape), log_std.reshape(shape))

    def log_prob(self, obs: Tensor, action: Tensor) -> Tensor:
        """log p(a|o) [R, B]."""
        require_pairs(obs, action, self.net.runs, self.obs_size, self.action_size)
        mixture = self.distribution(obs)
        return self.log_prob_equation(action, mixture.logits, mixture.mean, mixture.log_std)

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """−log p(a|o) [R, B]; `noise` is not used."""
        return -self.log_prob(obs, action)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B, D] for uniforms [R, B, 1 + D]; without noise the heaviest component's mean."""
        mixture = self.distribution(obs)
        if noise is None:
            return mixture.heaviest_mean
        return mixture.sample(require_noise(noise, obs, self.noise_size))
