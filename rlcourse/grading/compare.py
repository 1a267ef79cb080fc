"""Compares an answer with the value that is expected. Both are plain data.

Plain data are tensors, numbers, booleans, text, None, and lists and dictionaries of these: what can
travel between a student's process and the one that marks, so that the same comparison serves both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

_MOST_ITEMS = 10_000  # of an iterator, which might have no end


class NotPlain(TypeError):
    """A value that is no plain data."""


@dataclass(frozen=True)
class Difference:
    """How an answer differs: `kind` is "type", "length", "shape", "nan" or "value"; `text` is one line."""

    kind: str
    text: str


def plain(value: object) -> object:
    """The value as plain data: arrays become tensors, iterators lists. `NotPlain` for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_complex():
            raise NotPlain("a tensor without plain real numbers in it (sparse, complex, …)")
        return value.detach().cpu().clone()
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.as_tensor(np.array(value, order="C"))  # torch takes no array that is turned round
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Iterator):
        return [plain(entry) for entry in islice(value, _MOST_ITEMS)]
    raise NotPlain(f"an object of type {type(value).__name__}")


def difference(got: object, want: object, rtol: float = 1e-5, atol: float = 1e-7) -> Difference | None:
    """None if `got` is `want` up to the tolerances, else how they differ.

    Numbers, tensors and lists of numbers are one kind of thing, whatever their dtype. NaN equals NaN.
    The keys of a dictionary say in the text which value differs: {"goal": …}.
    """
    if isinstance(want, (Tensor, int, float)):
        return _number_difference(got, torch.as_tensor(want, dtype=torch.float64), rtol, atol)
    if isinstance(want, list):
        return _list_difference(got, want, rtol, atol)
    if isinstance(want, dict):
        return _dict_difference(got, want, rtol, atol)
    return None if type(got) is type(want) and got == want else Difference(
        "value", f"expected {describe(want)}, got {describe(got)}")


def describe(value: object) -> str:
    """A value in a line of at most about 150 characters: small arrays as nested lists, large by shape."""
    if isinstance(value, Tensor):
        listed = _listed(value.detach().cpu())
        return listed if len(listed) <= 150 else f"tensor of shape {list(value.shape)}"
    if isinstance(value, (list, tuple)):
        listed = "[" + ", ".join(describe(entry) for entry in value) + "]"
        return listed if len(listed) <= 150 else f"list of {len(value)}"
    if isinstance(value, (bool, str)) or value is None:
        return repr(value)
    if isinstance(value, (int, float)):
        return f"{value:.6g}"
    return getattr(value, "__name__", None) or f"an object of type {type(value).__name__}"


def _listed(tensor: Tensor) -> str:
    """Nested lists of four significant digits."""
    if tensor.ndim == 0:
        return str(tensor.item()) if tensor.dtype == torch.bool else f"{tensor.item():.4g}"
    if tensor.numel() > 60 or max(tensor.shape) > 60:  # no numbers in a million rows are long too
        return "…" * 151
    return "[" + ", ".join(_listed(row) for row in tensor) + "]"


def _as_numbers(value: object) -> Tensor | None:
    """A number, a tensor or rectangular nested lists of them as float64; None for anything else."""
    if isinstance(value, int) and abs(value) > 2**63:
        value = float("inf") if value > 0 else float("-inf")  # no float64 could hold it
    if isinstance(value, (Tensor, int, float)):
        return torch.as_tensor(value).detach().cpu().to(torch.float64)
    if isinstance(value, list):
        rows = [_as_numbers(entry) for entry in value]
        if any(row is None for row in rows) or len({tuple(row.shape) for row in rows}) > 1:
            return None
        return torch.stack(rows) if rows else torch.zeros(0, dtype=torch.float64)
    return None


def _number_difference(got: object, want: Tensor, rtol: float, atol: float) -> Difference | None:
    numbers = _as_numbers(got)
    if numbers is None:
        expected = f"a tensor of shape {list(want.shape)}" if want.ndim else "a number"
        return Difference("type", f"expected {expected}, got {describe(got)}")
    if numbers.shape != want.shape:
        return Difference("shape", f"expected shape {list(want.shape)}, got {list(numbers.shape)}")
    close = torch.isclose(numbers, want, rtol=rtol, atol=atol, equal_nan=True)
    if bool(close.all()):
        return None
    bad = ~torch.isfinite(numbers) & torch.isfinite(want)
    kind = "nan" if bool(bad.any()) else "value"
    if len(_listed(want)) <= 150:
        return Difference(kind, f"expected {_listed(want)}, got {_listed(numbers)}")
    where = tuple((bad if kind == "nan" else ~close).nonzero()[0].tolist())
    return Difference(kind, f"at {list(where)}: expected {want[where]:.6g}, got {numbers[where]:.6g}")


def _list_difference(got: object, want: list, rtol: float, atol: float) -> Difference | None:
    items = list(got) if isinstance(got, Tensor) and got.ndim else got
    if not isinstance(items, list):
        return Difference("type", f"expected a list of {len(want)}, got {describe(got)}")
    if len(items) != len(want):
        return Difference("length", f"expected a list of {len(want)}, got {len(items)} items")
    for index, (have, wanted) in enumerate(zip(items, want)):
        found = difference(have, wanted, rtol, atol)
        if found is not None:
            return Difference(found.kind, f"item {index}: {found.text}")
    return None


def _dict_difference(got: object, want: dict, rtol: float, atol: float) -> Difference | None:
    if not isinstance(got, dict):
        return Difference("type", f"expected a list of {len(want)}, got {describe(got)}")
    if list(got) != list(want):
        return Difference("length", f"expected a list of {len(want)}, got {len(got)} items")
    for name, wanted in want.items():
        found = difference(got[name], wanted, rtol, atol)
        if found is not None:
            return Difference(found.kind, f"{name}: {found.text}")
    return None
