"""`Batch`: what happened, one tensor per quantity, with the two ends kept apart."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .check import require


@dataclass(frozen=True, eq=False)
class Batch:
    """Transitions (oₜ, aₜ, rₜ, oₜ₊₁): rollouts are [T, R, N, …], samples [R, B, …].

    `reward[t]` belongs to `action[t]`. `terminated` means that the problem ended (no value
    follows); `truncated` means that the time limit cut the episode (a value does follow).
    They are never merged. `next_obs` is the true next observation, also at an end.
    `valid` is False on padding behind the end of an episode.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    truncated: Tensor
    behaviour_log_prob: Tensor | None = None
    valid: Tensor | None = None

    def __post_init__(self):
        shape = self.reward.shape
        for name in ("terminated", "truncated", "behaviour_log_prob", "valid"):
            value = getattr(self, name)
            require(value is None or value.shape == shape, name, f"the shape of reward, {list(shape)}",
                    None if value is None else list(value.shape))
        for name in ("obs", "action", "next_obs"):
            value = getattr(self, name)
            require(value.shape[:len(shape)] == shape, name, f"leading shape {list(shape)}", list(value.shape))
        for name in ("terminated", "truncated"):
            require(getattr(self, name).dtype == torch.bool, name, "dtype bool", getattr(self, name).dtype)

    def map(self, function) -> "Batch":
        """A new batch with `function` applied to every tensor that is present."""
        present = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: function(v) for k, v in present.items() if v is not None})
