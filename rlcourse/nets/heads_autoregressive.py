"""The autoregressive head: one action dimension after the other, each a choice among bins."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.check import require, require_count
from ..core.runs import socket
from ..equations.imitation_heads import autoregressive_log_prob, bin_index
from .distributions import inverse_cdf_index
from .inputs import require_noise, require_pairs
from .mlp import MLP


class AutoregressiveHead(nn.Module):
    """p(a|o) = Π_d p(a_d | a_<d, o), every factor constant on each of `bins` bins of [low, high].

    A softmax over bins can take any shape, and conditioning on the earlier dimensions lets the
    dimensions depend on each other without a table of M^D cells. One network per dimension sees the
    observation and the centres of the bins chosen before, scaled to ±1.
    `noise_size` D (one uniform picks the bin and the place in it), `loss_noise_size` 0.
    `log_prob_equation` is the socket for the chain rule.
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, bins: int = 32,
                 low: float = -1.0, high: float = 1.0, hidden: tuple[int, ...] = (64, 64),
                 activation: str = "tanh", log_prob_equation: Callable = autoregressive_log_prob,
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        require_count("bins", bins, least=2)
        require(low < high, "low", f"a number below high = {high}", low)
        self.obs_size, self.action_size = obs_size, action_size
        self.bins, self.low, self.high = bins, low, high
        self.bin_width = (high - low) / bins
        self.noise_size, self.loss_noise_size = action_size, 0
        self.log_prob_equation = socket("log_prob_equation", log_prob_equation,
                                        autoregressive_log_prob, axis=0)
        self.nets = nn.ModuleList(
            MLP((obs_size + d, *hidden, bins), runs=runs, seed=seed,
                name=f"autoregressive head, dimension {d}", activation=activation,
                output_scale=0.1, dtype=dtype) for d in range(action_size))

    def logits(self, obs: Tensor, index: Tensor) -> Tensor:
        """The scores [R, B, D, M] of all conditionals, given the true bins `index` [R, B, D]."""
        earlier = self._scaled_centre(index, obs.dtype)
        rows = [net(torch.cat((obs, earlier[..., :d]), dim=-1)) for d, net in enumerate(self.nets)]
        return torch.stack(rows, dim=-2)

    def log_prob(self, obs: Tensor, action: Tensor) -> Tensor:
        """log p(a|o) [R, B], a density; actions outside [low, high] are an error."""
        require_pairs(obs, action, self.nets[0].runs, self.obs_size, self.action_size)
        index = bin_index(action, low=self.low, high=self.high, bins=self.bins)
        return self.log_prob_equation(self.logits(obs, index), index, bin_width=self.bin_width)

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """−log p(a|o) [R, B]; `noise` is not used."""
        return -self.log_prob(obs, action)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B, D] for uniforms [R, B, D].

        Without noise the centre of the most probable bin, dimension by dimension: greedy, and not
        always the most probable action as a whole.
        """
        if noise is not None:
            require_noise(noise, obs, self.noise_size)
        inputs, action = obs, []
        for d, net in enumerate(self.nets):
            probs = torch.softmax(net(inputs), dim=-1)
            if noise is None:
                index, place = probs.argmax(-1), 0.5
            else:
                index = inverse_cdf_index(probs, noise[..., d])
                place = self._place_in_bin(probs, index, noise[..., d])
            action.append(self.low + self.bin_width * (index + place))
            inputs = torch.cat((inputs, self._scaled_centre(index, obs.dtype).unsqueeze(-1)), dim=-1)
        return torch.stack(action, dim=-1).clamp(self.low, self.high)

    def _scaled_centre(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        return (2.0 * index.to(dtype) + 1.0) / self.bins - 1.0

    @staticmethod
    def _place_in_bin(probs: Tensor, index: Tensor, noise: Tensor) -> Tensor:
        """(u − P(k′ < k)) / P(k): what is left of the uniform is uniform inside the bin."""
        chosen = probs.gather(-1, index.unsqueeze(-1)).squeeze(-1)
        below = probs.cumsum(-1).gather(-1, index.unsqueeze(-1)).squeeze(-1) - chosen
        return ((noise - below) / chosen).clamp(0.0, 1.0)
