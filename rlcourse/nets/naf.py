"""`NAFNet`: a Q-function that is quadratic in the action, so that its maximum can be read off."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.check import require
from ..core.spaces import Box
from ..equations.continuous_q import naf_advantage
from .heads_deterministic import into_box
from .inputs import require_pairs
from .mlp import MLP, take_run


class NAFNet(nn.Module):
    """Q(o, a) = V(o) − ½ (a − μ(o))ᵀ L(o) L(o)ᵀ (a − μ(o)), for R runs: the best action is μ(o), worth V(o).

    One network gives V, μ and the lower triangle of L, whose diagonal is `least_diagonal` + softplus: positive. The
    gradient of μ is L Lᵀ times an error: where actions seem to matter little, a fit without that floor flattens
    L to nothing, and μ then stands still wherever it is. (The paper has an exponential and no floor.) μ is pressed
    into the box [`low`, `high`]ᴰ by tanh; without `squash` it is the plain output. On linear–quadratic problems
    the optimal Q has this form: `hidden=()`, `squash=False` and an `encode` that gives the observation with its
    products represent it if the diagonal of its curvature's Cholesky factor is above `least_diagonal`.
    `encode` (optional) turns observations [R, B, …] into the network's
    vectors [R, B, O]. It acts like a `Policy`: `act`, `copy`, `run`. Gu, Lillicrap, Sutskever, Levine 2016,
    "Continuous deep Q-learning with model-based acceleration". (Lecture 05b, Q8.)
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, low: float = -1.0,
                 high: float = 1.0, hidden: tuple[int, ...] = (64, 64), activation: str = "relu",
                 squash: bool = True, least_diagonal: float = 0.3,
                 encode: Callable[[Tensor], Tensor] | None = None, dtype: torch.dtype = torch.float64):
        super().__init__()
        require(low < high, "low", f"a number below high = {high}", low)
        self.obs_size, self.action_size, self.low, self.high = obs_size, action_size, low, high
        require(least_diagonal >= 0, "least_diagonal", "a number of at least 0", least_diagonal)
        self.noise_size, self.squash, self.least_diagonal, self.encode = 0, squash, least_diagonal, encode
        outputs = 1 + action_size + action_size * (action_size + 1) // 2
        self.net = MLP((obs_size, *hidden, outputs), runs=runs, seed=seed, name="normalised advantage",
                       activation=activation, output_scale=0.1, dtype=dtype)

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return self.net.runs

    @property
    def action_space(self) -> Box:
        """The box of μ."""
        return Box(self.low, self.high, self.action_size)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(V [R, B], μ [R, B, D], L [R, B, D, D]) for `obs` [R, B, …]."""
        size = self.action_size
        outputs = self.net(obs if self.encode is None else self.encode(obs))
        value, raw, diagonal, below = outputs.split([1, size, size, size * (size - 1) // 2], -1)
        cholesky = torch.diag_embed(self.least_diagonal + nn.functional.softplus(diagonal))
        row, column = torch.tril_indices(size, size, -1, device=obs.device)
        cholesky[..., row, column] = below  # row by row: (1, 0), (2, 0), (2, 1), …
        return value.squeeze(-1), into_box(raw, self.low, self.high) if self.squash else raw, cholesky

    def q(self, obs: Tensor, action: Tensor) -> Tensor:
        """Q(o, a) [R, B] for actions [R, B, D]."""
        value, mean, cholesky = self(obs)
        require_pairs(mean, action, self.runs, self.action_size, self.action_size)
        return value + naf_advantage(action, mean, cholesky)

    def value(self, obs: Tensor) -> Tensor:
        """V(o) = max_a Q(o, a) [R, B]."""
        return self(obs)[0]

    @torch.no_grad()
    def act(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """μ(o) [R, B, D], the best action; `noise` is not used. No gradient."""
        return self(obs)[1]

    def run(self, r: int) -> "NAFNet":
        """An independent copy of run r alone (R = 1)."""
        return take_run(self, r)

    def copy(self) -> "NAFNet":
        """An independent copy that further training does not touch."""
        return copy.deepcopy(self)
