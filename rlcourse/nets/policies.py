"""`Policy`: a head that acts, and can be kept, copied, saved and taken apart by run."""

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..core.check import require
from ..core.spaces import Box, Discrete
from .mlp import take_run


def one_hot(index: Tensor, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """The unit vector of each index: int64 [*B] → [*B, size]. How a table enters a network."""
    require(index.dtype == torch.int64, "index", "dtype int64", index.dtype)
    inside = bool(((index >= 0) & (index < size)).all())
    require(inside, "index", f"0 to {size - 1}", f"{int(index.min())} to {int(index.max())}")
    return nn.functional.one_hot(index, size).to(dtype)


class Policy(nn.Module):
    """A head with its action space: `act(obs, noise)` for rollouts, `loss(…)` for cloning.

    Memoryless. Actions for a `Box` are clamped into it, unless `clamp` is False: a policy gradient needs
    log π of the very action that was drawn, and leaves the clamping to the environment. `encode` (optional) turns raw
    observations [R, B, …] into the head's vectors [R, B, O], for instance
    `lambda obs: one_hot(obs, 16)`.
    """

    def __init__(self, head: nn.Module, action_space: Box | Discrete,
                 encode: Callable[[Tensor], Tensor] | None = None, clamp: bool = True):
        super().__init__()
        if isinstance(action_space, Box):
            size = getattr(head, "action_size", None)
            require(size == action_space.size, "head", f"one for actions of size {action_space.size}", size)
        else:
            actions = getattr(head, "actions", None)
            require(actions == action_space.n, "head", f"one for {action_space.n} discrete actions", actions)
        self.head, self.action_space, self.encode = head, action_space, encode
        self.clamp = clamp and isinstance(action_space, Box)

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return next(self.parameters()).shape[0]

    @property
    def noise_size(self) -> int:
        """How many uniforms `act` takes per observation."""
        return self.head.noise_size

    @property
    def loss_noise_size(self) -> int:
        """How many uniforms `loss` takes per observation."""
        return self.head.loss_noise_size

    @torch.no_grad()
    def act(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions [R, N, D] (or int64 [R, N]) for `obs` [R, N, …] and uniforms [R, N, noise_size].

        Without noise the greedy action, for heads that have one. No gradient.
        """
        action = self.head.sample(self._encoded(obs), noise)
        if self.clamp:
            return action.clamp(self.action_space.low, self.action_space.high)
        return action

    def distribution(self, obs: Tensor):
        """The distribution over actions [R, B] for `obs` [R, B, …], for heads that have one in closed form."""
        return self.head.distribution(self._encoded(obs))

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """The head's loss [R, B] for demonstrations; `noise` [R, B, loss_noise_size]."""
        return self.head.loss(self._encoded(obs), action, noise)

    def _encoded(self, obs: Tensor) -> Tensor:
        return obs if self.encode is None else self.encode(obs)

    def run(self, r: int) -> "Policy":
        """An independent copy of run r alone (R = 1)."""
        return take_run(self, r)

    def copy(self) -> "Policy":
        """An independent copy that further training does not touch."""
        return copy.deepcopy(self)

    def save(self, path: Path | str) -> None:
        """Write the parameters, and nothing else, to `path`."""
        torch.save(self.state_dict(), path)

    def load(self, path: Path | str) -> "Policy":
        """Read parameters that `save` wrote; tensors only, so that a file cannot run code.

        Errors: ValueError if the file belongs to a policy of another shape.
        """
        saved, own = torch.load(path, map_location="cpu", weights_only=True), self.state_dict()
        require(saved.keys() == own.keys(), "path", f"the parameters of {type(self.head).__name__}",
                sorted(saved.keys() ^ own.keys()))
        for name, value in own.items():
            require(saved[name].shape == value.shape, "path", f"{name} of shape {list(value.shape)}",
                    list(saved[name].shape))
        self.load_state_dict(saved)
        return self
