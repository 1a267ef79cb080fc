"""What an agent may do: a finite choice (`Discrete`) or a box of real numbers (`Box`)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .check import require, require_count


@dataclass(frozen=True)
class Discrete:
    """The actions 0, 1, …, n − 1, as int64 tensors of shape [*B]."""

    n: int

    def __post_init__(self):
        require_count("n", self.n)

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    def contains(self, action: Tensor) -> bool:
        """Whether every entry of `action` [*B] is one of the n actions."""
        return action.dtype == torch.int64 and bool(((action >= 0) & (action < self.n)).all())


@dataclass(frozen=True)
class Box:
    """Real vectors with `low <= action <= high` in every coordinate, of shape [*B, size]."""

    low: float
    high: float
    size: int

    def __post_init__(self):
        require(self.low < self.high, "low", f"a number below high = {self.high}", self.low)
        require_count("size", self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,)

    def contains(self, action: Tensor) -> bool:
        """Whether every vector of `action` [*B, size] lies in the box."""
        right_size = action.ndim >= 1 and action.shape[-1] == self.size
        return right_size and bool(((action >= self.low) & (action <= self.high)).all())
