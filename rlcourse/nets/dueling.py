"""`DuelingQNet`: action values as one value of the observation plus advantages.

Wang and others 2016, "Dueling network architectures for deep reinforcement learning". Lecture section Q9.
"""

import torch
from torch import Tensor, nn

from .mlp import MLP, take_run


class DuelingQNet(nn.Module):
    """Q(o, a) = V(o) + A(o, a) − mean over a' of A(o, a'), for R runs: obs [R, B, O] → [R, B, actions].

    One trunk with a last layer of 1 + `actions` outputs. Every observation teaches V, whichever action was taken.
    Without the mean, V could rise and all A fall by the same amount: the two would not be determined.
    The same interface as `DiscreteQNet`.
    """

    def __init__(self, obs_size: int, actions: int, *, runs: int, seed: int, hidden: tuple[int, ...] = (64, 64),
                 activation: str = "relu", encode=None, dtype: torch.dtype = torch.float64):
        super().__init__()
        self.actions, self.encode = actions, encode
        self.net = MLP((obs_size, *hidden, 1 + actions), runs=runs, seed=seed, name="dueling q value",
                       activation=activation, dtype=dtype)

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return self.net.runs

    def forward(self, obs: Tensor) -> Tensor:
        """The values [R, B, A] for observations [R, B, …] (after `encode`, if there is one)."""
        value, advantage = self.net(obs if self.encode is None else self.encode(obs)).split([1, self.actions], -1)
        return value + advantage - advantage.mean(-1, keepdim=True)

    def run(self, r: int) -> "DuelingQNet":
        """An independent copy of run r alone (R = 1)."""
        return take_run(self, r)
