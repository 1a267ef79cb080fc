"""Networks for values: V(o), a number for each observation."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .mlp import MLP, take_run


class ValueNet(nn.Module):
    """V(o) for R runs: obs [R, B, O] → [R, B], never [R, B, 1]."""

    def __init__(self, obs_size: int, *, runs: int, seed: int, hidden: tuple[int, ...] = (64, 64),
                 activation: str = "tanh", encode: Callable[[Tensor], Tensor] | None = None,
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        self.encode = encode
        self.net = MLP((obs_size, *hidden, 1), runs=runs, seed=seed, name="value", activation=activation,
                       dtype=dtype)

    def forward(self, obs: Tensor) -> Tensor:
        """The values [R, B]."""
        return self.net(obs if self.encode is None else self.encode(obs)).squeeze(-1)

    def run(self, r: int) -> "ValueNet":
        """An independent copy of run r alone (R = 1)."""
        return take_run(self, r)
