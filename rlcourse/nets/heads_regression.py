"""The regression head: one number per action dimension, fitted by squared error."""

import torch
from torch import Tensor, nn

from ..equations.imitation_heads import squared_error
from .inputs import require_pairs
from .mlp import MLP


class RegressionHead(nn.Module):
    """a = f(o), trained on ‖a − f(o)‖². The best f is E[a | o], which no demonstrator may ever do.

    Like every head: `loss(obs, action, noise) → [R, B]`, `sample(obs, noise) → [R, B, D]`, and
    how many uniforms each takes per element in `loss_noise_size` and `noise_size` (here 0).
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int,
                 hidden: tuple[int, ...] = (64, 64), activation: str = "tanh",
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        self.obs_size, self.action_size = obs_size, action_size
        self.noise_size = self.loss_noise_size = 0
        self.net = MLP((obs_size, *hidden, action_size), runs=runs, seed=seed, name="regression head",
                       activation=activation, output_scale=0.1, dtype=dtype)

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """‖a − f(o)‖² [R, B]; `noise` is not used."""
        require_pairs(obs, action, self.net.runs, self.obs_size, self.action_size)
        return squared_error(action, self.net(obs))

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """f(o) [R, B, D]; `noise` is not used."""
        return self.net(obs)
