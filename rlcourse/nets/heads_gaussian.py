"""The unimodal head: a Gaussian whose mean and width depend on the observation."""

import torch
from torch import Tensor, nn

from .distributions import DiagGaussian, bounded_log_std
from .inputs import require_noise, require_pairs
from .mlp import MLP


class GaussianHead(nn.Module):
    """p(a|o) = N(μ(o), diag σ(o)²), trained on −log p(a|o).

    Fitted to two modes it takes their mean, and widens until it covers both: most of its mass then
    lies where nobody has demonstrated anything. `noise_size` D, `loss_noise_size` 0.
    `least_std` is the floor of σ, in units of the action.
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int,
                 hidden: tuple[int, ...] = (64, 64), activation: str = "tanh", least_std: float = 0.01,
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        self.obs_size, self.action_size, self.least_std = obs_size, action_size, least_std
        self.noise_size, self.loss_noise_size = action_size, 0
        self.net = MLP((obs_size, *hidden, 2 * action_size), runs=runs, seed=seed, name="Gaussian head",
                       activation=activation, output_scale=0.1, dtype=dtype)

    def distribution(self, obs: Tensor) -> DiagGaussian:
        """p(·|o) for `obs` [R, B, O]."""
        mean, raw = self.net(obs).chunk(2, dim=-1)
        return DiagGaussian(mean, bounded_log_std(raw, self.least_std))

    def log_prob(self, obs: Tensor, action: Tensor) -> Tensor:
        """log p(a|o) [R, B]."""
        require_pairs(obs, action, self.net.runs, self.obs_size, self.action_size)
        return self.distribution(obs).log_prob(action)

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """−log p(a|o) [R, B]; `noise` is not used."""
        return -self.log_prob(obs, action)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B, D] for uniforms [R, B, D]; the mean without noise."""
        distribution = self.distribution(obs)
        if noise is None:
            return distribution.mode
        return distribution.sample(require_noise(noise, obs, self.noise_size))
