"""One-line errors for wrong input: the argument, what was expected, what came."""

import torch
from torch import Tensor


def require(condition: bool, argument: str, expected: str, got: object) -> None:
    """Raise `ValueError("argument: expected …, got …")` unless `condition` holds."""
    if not condition:
        raise ValueError(f"{argument}: expected {expected}, got {got}")


def require_shape(argument: str, tensor: Tensor, shape: tuple[int | str | None, ...]) -> None:
    """Check `tensor.shape` against `shape`, where a name or None stands for any length.

    A repeated name must stand for one length: `("S", "A", "S")`. A leading "..." allows
    any number of axes in front.
    """
    require(isinstance(tensor, Tensor), argument, "a torch.Tensor", type(tensor).__name__)
    got, wanted = tuple(tensor.shape), tuple(shape)
    if wanted[:1] == ("...",):
        wanted = wanted[1:]
        got = got[len(got) - len(wanted):] if len(got) >= len(wanted) else got
    lengths: dict[str, int] = {}
    fits = len(got) == len(wanted)
    for have, want in zip(got, wanted):
        if isinstance(want, int):
            fits = fits and have == want
        elif isinstance(want, str):
            fits = fits and lengths.setdefault(want, have) == have
    text = ", ".join("*" if want is None else str(want) for want in shape)
    require(fits, argument, f"shape [{text}]", list(tensor.shape))


def require_probabilities(argument: str, probs: Tensor, tolerance: float = 1e-6) -> None:
    """Check that the last axis of `probs` holds probability distributions."""
    probs = probs.detach()
    require(bool(torch.isfinite(probs).all()), argument, "finite numbers", "NaN or infinity")
    low = float(probs.min())
    require(low >= -tolerance, argument, "probabilities of at least 0", f"{low:.6g}")
    error, where = (probs.sum(-1) - 1.0).abs().flatten().max(0)
    total = float(probs.sum(-1).flatten()[where])
    require(float(error) <= tolerance, argument, "probabilities that sum to 1 along the last axis",
            f"a sum of {total:.6g} in row {int(where)}")


def require_unit_interval(argument: str, value: float, *, closed: bool = True) -> None:
    """Check that a number lies in [0, 1] (or, if not `closed`, in [0, 1))."""
    inside = 0.0 <= value <= 1.0 if closed else 0.0 <= value < 1.0
    require(inside, argument, "a number in [0, 1]" if closed else "a number in [0, 1)", value)


def require_count(argument: str, value: int, *, least: int = 1) -> None:
    """Check that `value` is a whole number of at least `least`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    require(whole and value >= least, argument, f"a whole number of at least {least}", repr(value))
