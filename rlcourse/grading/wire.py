"""How plain data travel between the process that marks and the one that holds a student's code.

A frame is two lengths, a JSON text and the bytes of the tensors in it:

    4 bytes      4 bytes      JSON                      bytes
    len(JSON)    len(bytes)   [number, kind, body]      one tensor after the other, C order

In the body a tensor is {"tensor": [dtype, shape]}, a dictionary {"dict": {…}} and a function of the
side that sends it {"function": index}; everything else is itself. Nothing is ever unpickled or evaluated, so the
worst that a forged frame can do is to be refused (`Garbled`) or to be another value.
"""

import json
import math
import re
import struct
from collections.abc import Callable

import torch
from torch import Tensor

LENGTHS = struct.Struct(">II")
MAX_JSON = 4 * 1024**2  # of what comes from a student's process
MAX_REQUEST = 64 * 1024**2  # of what goes there, a cell for example
MAX_ITEMS = 100_000
MAX_DEPTH = 20
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")  # of an object in memory

_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.float32, torch.float64)}


class Garbled(ValueError):
    """A frame that follows no rule, or breaks a limit."""


def pack(number: int, kind: str, body: object, functions: list[Callable] | None = None,
         longest: int = MAX_JSON) -> bytes:
    """A frame. Functions in the body are appended to `functions` and travel as their index.

    Raises `Garbled` for a value that is no plain data or too large to be sent, with a text of more than `longest`.
    """
    blobs: list[bytes] = []
    text = json.dumps([number, kind, _encode(body, blobs, functions)]).encode()
    joined = b"".join(blobs)
    if len(text) > longest or len(joined) >= 2**32:
        raise Garbled("too much to send")
    return LENGTHS.pack(len(text), len(joined)) + text + joined


def unpack(text: bytes, blobs: bytes, function: Callable[[int], Callable] | None = None,
           tidy: Callable[[str], str] | None = None) -> tuple[int, str, object]:
    """(number, kind, body) of a frame's two parts, or `Garbled`.

    `function` makes the stand-in for a function of the other side; without it none is accepted. Every text
    goes through `tidy`, by default `clean`.
    """
    try:
        number, kind, body = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise Garbled(f"no message: {type(error).__name__}") from error
    if type(number) is not int or type(kind) is not str:
        raise Garbled("no message: number or kind is missing")
    reader = _Reader(blobs, function, tidy or clean)
    decoded = reader.decode(body)
    if reader.used != len(blobs):
        raise Garbled("bytes that belong to no tensor")
    return number, kind, decoded


def clean(text: str, longest: int = 2000) -> str:
    """Text without what could disturb a page or a terminal, or differ from run to run, cut at `longest` characters."""
    kept = "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text[:longest])
    kept = _ADDRESS.sub("0x…", kept)
    return kept + ("…" if len(text) > longest else "")


def _encode(value: object, blobs: list[bytes], functions: list[Callable] | None) -> object:
    if isinstance(value, Tensor):
        array = (value.float() if value.dtype == torch.bfloat16 else value).detach().cpu().contiguous()
        name = str(array.dtype).removeprefix("torch.")
        if name not in _DTYPES:
            raise Garbled(f"a tensor of {name}")
        blobs.append(array.numpy().tobytes())
        return {"tensor": [name, list(array.shape)]}
    if isinstance(value, dict):
        return {"dict": {str(key): _encode(entry, blobs, functions) for key, entry in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_encode(entry, blobs, functions) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if callable(value) and functions is not None:
        functions.append(value)
        return {"function": len(functions) - 1}
    raise Garbled(f"an object of type {type(value).__name__}")


class _Reader:
    """Takes a body apart, counting what it uses."""

    def __init__(self, blobs: bytes, function: Callable[[int], Callable] | None, tidy: Callable[[str], str]):
        self.blobs, self.function, self.tidy = blobs, function, tidy
        self.used = self.items = 0

    def decode(self, value: object, depth: int = 0) -> object:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            raise Garbled("nested too deeply" if depth > MAX_DEPTH else "too many items")
        if isinstance(value, list):
            return [self.decode(entry, depth + 1) for entry in value]
        if isinstance(value, str):
            return self.tidy(value)
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise Garbled("neither a tensor nor a dictionary nor a function")
        (kind, content), = value.items()
        if kind == "dict" and isinstance(content, dict):
            return {self.tidy(key): self.decode(entry, depth + 1) for key, entry in content.items()}
        if kind == "tensor" and isinstance(content, list) and len(content) == 2:
            return self._tensor(*content)
        if kind == "function" and type(content) is int and self.function is not None:
            return self.function(content)
        raise Garbled("neither a tensor nor a dictionary nor a function")

    def _tensor(self, name: object, shape: object) -> Tensor:
        if not isinstance(name, str) or name not in _DTYPES or not isinstance(shape, list) or len(shape) > MAX_DEPTH:
            raise Garbled("a tensor without a dtype or shape")
        if not all(type(length) is int and 0 <= length < 2**31 for length in shape):
            raise Garbled("a tensor of an impossible shape")
        dtype, count = _DTYPES[name], math.prod(shape)
        if count == 0:
            if max(shape) > MAX_ITEMS:  # rows without anything in them cost no bytes to send, but many to look at
                raise Garbled("a tensor of an impossible shape")
            return torch.zeros(shape, dtype=dtype)
        end = self.used + count * dtype.itemsize
        if end > len(self.blobs):
            raise Garbled("a tensor without its bytes")
        piece, self.used = bytearray(self.blobs[self.used:end]), end
        if dtype == torch.bool:  # a byte of 2 would be neither True nor False
            return torch.frombuffer(piece, dtype=torch.uint8).ne(0).reshape(shape)
        return torch.frombuffer(piece, dtype=dtype).reshape(shape)
