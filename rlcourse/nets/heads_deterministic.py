"""The deterministic head: one action for each observation; and the actor that explores around it."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..core.check import require
from ..core.spaces import Box
from .inputs import require_noise
from .mlp import MLP


@dataclass(frozen=True, eq=False)
class Point:
    """All probability on one action, `mode` [*B, D]; like other distributions, except that it has no density."""

    mode: Tensor


class DeterministicHead(nn.Module):
    """a = μ(o) = c + h tanh(f(o)) in the box [`low`, `high`]ᴰ, c its middle, h half its width. `noise_size` 0.

    `Policy(head, space).distribution(obs).mode` is the action with its gradient, `Policy.act` the action without
    one. Without `squash` a = f(o), which with `hidden=()` is linear: the exact form on linear–quadratic problems.
    Lillicrap and others 2015. (Lecture 05b, Q8.)
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, low: float = -1.0,
                 high: float = 1.0, hidden: tuple[int, ...] = (64, 64), activation: str = "relu",
                 squash: bool = True, dtype: torch.dtype = torch.float64):
        super().__init__()
        require(low < high, "low", f"a number below high = {high}", low)
        self.obs_size, self.action_size, self.noise_size = obs_size, action_size, 0
        self.low, self.high, self.squash = low, high, squash
        self.net = MLP((obs_size, *hidden, action_size), runs=runs, seed=seed, name="deterministic head",
                       activation=activation, output_scale=0.1, dtype=dtype)

    def distribution(self, obs: Tensor) -> Point:
        """μ(o) [R, B, D] for `obs` [R, B, O], differentiable in the parameters."""
        raw = self.net(obs)
        return Point(into_box(raw, self.low, self.high) if self.squash else raw)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """μ(o) [R, B, D]; `noise` is not used."""
        return self.distribution(obs).mode


@dataclass(frozen=True, eq=False)
class NoisyActor:
    """a = clip(μ(o) + noise_std · ε, box), ε ~ N(0, 1) in every coordinate: how a deterministic actor explores.

    `actor` is whatever has `act`, `copy` and `run`, such as a `Policy` or a `NAFNet`, and stays live. `noise_std`
    is in units of the action. The normal number is the inverse cdf of a uniform, so that the same noise explores
    in the same direction. Clipped, not folded: at an edge of the box half of the explored actions are the edge.
    """

    actor: Any
    space: Box
    noise_std: float

    def __post_init__(self):
        require(self.noise_std >= 0, "noise_std", "a number of at least 0", self.noise_std)

    @property
    def noise_size(self) -> int:
        """How many uniforms `act` takes per observation: D."""
        return self.space.size

    @torch.no_grad()
    def act(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, N, D] for `obs` [R, N, …] and uniforms [R, N, D]; without noise μ(o), clipped."""
        action = self.actor.act(obs)
        if noise is not None:
            action = action + self.noise_std * torch.special.ndtri(require_noise(noise, action, self.space.size))
        return action.clamp(self.space.low, self.space.high)

    def copy(self) -> "NoisyActor":
        """An independent copy that further training does not touch."""
        return copy.deepcopy(self)

    def run(self, r: int) -> "NoisyActor":
        """An independent copy of run r alone (R = 1)."""
        return NoisyActor(self.actor.run(r), self.space, self.noise_std)


def into_box(raw: Tensor, low: float, high: float) -> Tensor:
    """c + h tanh(raw), elementwise: the real line pressed into (low, high)."""
    return 0.5 * (low + high) + 0.5 * (high - low) * torch.tanh(raw)
