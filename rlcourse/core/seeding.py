"""Randomness comes in through arguments: named generators from one integer seed."""

import hashlib

import torch
from torch import Tensor

from .check import require_count


def generator(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """An independent random generator for one purpose.

    The same (seed, name) always gives the same stream; different names give unrelated
    streams, so drawing more of one kind of number never shifts another kind.
    """
    require_count("seed", seed, least=0)
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def uniforms(shape: tuple[int, ...], random: torch.Generator,
             dtype: torch.dtype = torch.float64) -> Tensor:
    """Uniform random numbers on the *open* interval (0, 1).

    `torch.rand` returns exactly 0 now and then (in float32 once in 2²⁴ draws), and an inverse
    cdf or a logarithm of 0 is then infinite; the ends are therefore clamped away.
    """
    tiny = torch.finfo(dtype).eps / 2
    draw = torch.rand(shape, generator=random, dtype=dtype, device=random.device)
    return draw.clamp_(tiny, 1.0 - tiny)
