"""The head for a finite choice of actions: a softmax over logits."""

import torch
from torch import Tensor, nn

from ..core.check import require_shape
from .distributions import Categorical
from .inputs import require_noise
from .mlp import MLP


class CategoricalHead(nn.Module):
    """P(a|o) = softmax(net(o))_a over `actions` choices; trained on −log P(a|o).

    Actions are int64 [R, B], not vectors. A softmax can hold several modes; discrete cloning
    therefore never needed the other heads. `noise_size` 1, `loss_noise_size` 0.
    """

    def __init__(self, obs_size: int, actions: int, *, runs: int, seed: int,
                 hidden: tuple[int, ...] = (64, 64), activation: str = "tanh",
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        self.obs_size, self.actions = obs_size, actions
        self.noise_size, self.loss_noise_size = 1, 0
        self.net = MLP((obs_size, *hidden, actions), runs=runs, seed=seed, name="categorical head",
                       activation=activation, output_scale=0.1, dtype=dtype)

    def distribution(self, obs: Tensor) -> Categorical:
        """P(·|o) for `obs` [R, B, O]."""
        return Categorical(self.net(obs))

    def log_prob(self, obs: Tensor, action: Tensor) -> Tensor:
        """log P(a|o) [R, B] for actions [R, B] int64."""
        require_shape("action", action, tuple(obs.shape[:-1]))
        return self.distribution(obs).log_prob(action)

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """−log P(a|o) [R, B]; `noise` is not used."""
        return -self.log_prob(obs, action)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B] for uniforms [R, B, 1]; the most probable one without noise."""
        distribution = self.distribution(obs)
        if noise is None:
            return distribution.mode
        return distribution.sample(require_noise(noise, obs, 1).squeeze(-1))
