"""Networks for action values: Q(o, a) for actions that are vectors, and Q(o, ·) for a finite choice of them."""

import copy

import torch
from torch import Tensor, nn

from ..core.check import require, require_count, require_unit_interval
from .inputs import require_pairs
from .mlp import MLP, take_run


class QNet(nn.Module):
    """Q_c(o, a) for R runs with C critics each: obs [R, B, O] and action [R, B, D] → [R, C, B].

    The critics of a run differ in their initial weights alone; two of them are "twins". Critic c of run r is row
    r·C + c of one stack of networks, so that all of them cost one forward pass.
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, critics: int = 2,
                 hidden: tuple[int, ...] = (64, 64), activation: str = "relu", dtype: torch.dtype = torch.float64):
        super().__init__()
        require_count("runs", runs)
        require_count("critics", critics)
        self.obs_size, self.action_size, self.critics = obs_size, action_size, critics
        self.net = MLP((obs_size + action_size, *hidden, 1), runs=runs * critics, seed=seed, name="q value",
                       activation=activation, dtype=dtype)

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return self.net.runs // self.critics

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """The values [R, C, B]; differentiable in the action."""
        require_pairs(obs, action, self.runs, self.obs_size, self.action_size)
        pairs = torch.cat([obs, action], -1).repeat_interleave(self.critics, 0)
        return self.net(pairs).squeeze(-1).unflatten(0, (self.runs, self.critics))

    def run(self, r: int) -> "QNet":
        """An independent copy of run r alone (R = 1, with all its critics)."""
        require(0 <= r < self.runs, "r", f"a run from 0 to {self.runs - 1}", r)
        alone = copy.deepcopy(self)
        for parameters in (alone.net.weights, alone.net.biases):
            for layer, stacked in enumerate(parameters):
                parameters[layer] = nn.Parameter(stacked.detach()[r * self.critics:(r + 1) * self.critics].clone())
        return alone


class DiscreteQNet(nn.Module):
    """Q(o, a) of all A actions at once, for R runs: obs [R, B, O] → [R, B, A]."""

    def __init__(self, obs_size: int, actions: int, *, runs: int, seed: int, hidden: tuple[int, ...] = (64, 64),
                 activation: str = "relu", encode=None, dtype: torch.dtype = torch.float64):
        super().__init__()
        self.actions, self.encode = actions, encode
        self.net = MLP((obs_size, *hidden, actions), runs=runs, seed=seed, name="discrete q value",
                       activation=activation, dtype=dtype)

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return self.net.runs

    def forward(self, obs: Tensor) -> Tensor:
        """The values [R, B, A] for observations [R, B, …] (after `encode`, if there is one)."""
        return self.net(obs if self.encode is None else self.encode(obs))

    def run(self, r: int) -> "DiscreteQNet":
        """An independent copy of run r alone (R = 1)."""
        return take_run(self, r)


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, polyak_rate: float) -> None:
    """φ' ← φ' + polyak_rate · (φ − φ'): the target's parameters φ' move towards the source's φ, in place.

    The rate multiplies the *new* parameters: 1 copies them, 0 leaves the target alone. Papers disagree, and many
    call 1 − polyak_rate by the same letter. Polyak, Juditsky 1992; as a target Lillicrap and others 2015.
    Errors: ValueError for a rate outside [0, 1].
    """
    require_unit_interval("polyak_rate", polyak_rate)
    for behind, ahead in zip(target.parameters(), source.parameters(), strict=True):
        behind.lerp_(ahead, polyak_rate)
