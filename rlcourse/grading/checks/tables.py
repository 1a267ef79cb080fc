"""What the checks on tables share: float64 tables from lists, and random distributions."""

import torch
from torch import Tensor


def table(rows: list | float) -> Tensor:
    """The numbers as a float64 tensor."""
    return torch.tensor(rows, dtype=torch.float64)


def numbers(value: object) -> Tensor:
    """An answer as a float64 tensor; it may be a tensor, a number, or nested lists of either."""
    if isinstance(value, list):
        return torch.stack([numbers(entry) for entry in value])
    return torch.as_tensor(value, dtype=torch.float64)


def random_distributions(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Distributions along the last axis, in which some entries are clearly larger than others."""
    return (3 * torch.randn(shape, generator=random, dtype=torch.float64)).softmax(-1)
