"""The process that holds a student's code. It runs cells and calls functions, and knows nothing else.

Neither checks nor expected values are ever here. What it answers is data that the other side
distrusts, so nothing in this file is a defence: a student's code may rewrite all of it and gains no more than
a function that returns the same. Standard library, numpy and torch only (and, for cells with
magics, IPython's translation of them).
"""

import ast
import asyncio
import builtins
import codeop
import inspect
import io
import linecache
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import torch

from . import hints
from .answers import Answers, Failed, Missing, Unanswered, Unusable
from .compare import NotPlain, plain
from .limits import Limits
from .supervisor import bytes_in
from .wire import LENGTHS, Garbled, pack, unpack

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_WRITTEN_OUT = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.unaryop, ast.Load)


class Student:
    """A student's namespace, and the conversation about it."""

    def __init__(self, requests: io.BufferedReader, replies: io.FileIO, limits: Limits, home: Path):
        torch.set_num_threads(1)
        self.process = os.getpid()
        self.requests, self.replies, self.limits, self.home = requests, replies, limits, home
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        self.namespace = module.__dict__
        self.namespace["get_ipython"] = lambda: Shell(self.namespace)
        self.answers = Answers(self.namespace)
        self.compile = codeop.Compile()  # remembers `from __future__` from cell to cell, as a notebook does
        self.compile.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def serve(self, reached: list[str]) -> None:
        """Answer one request after the other."""
        self.send(0, "hello", reached)
        while (request := self.receive()) is not None:
            number, kind, body = request
            if kind == "run":
                title, source, whole = body
                self.send(number, "ran", self.run(title, source, whole))
            elif kind == "call":
                name, arguments = body
                self.call(number, name, arguments)

    def run(self, title: str, source: str, whole: bool) -> str | None:
        """Run a cell. After an error (or if not `whole`) only its imports, definitions and constants count: a
        function is not lost because the line above it failed. The error as one line, or None.
        """
        problem, stopped = None, not whole
        try:
            statements = _parsed(source).body
        except Exception as error:
            return _one_line(error)
        linecache.cache[title] = (len(source), None, source.splitlines(keepends=True), title)
        for statement in statements:
            if stopped and not _defines(statement):
                continue
            try:
                code = self.compile(ast.Module([statement], []), title, "exec")
                value = eval(code, self.namespace)
                if code.co_flags & inspect.CO_COROUTINE:
                    asyncio.run(value)
            except BaseException as error:  # sys.exit() in a cell is one more way to fail
                problem = problem or f"{_one_line(error)} (in the line  {_line(source, statement)})"
                stopped = stopped or not _is_absent_here(error)
        return problem

    def call(self, number: int, name: str, arguments: list) -> None:
        """Call one function and send what came of it."""
        try:
            value = getattr(self.answers, name)(*arguments)
        except Missing:
            self.send(number, "missing", name)
        except Unanswered:
            self.send(number, "unanswered", name)
        except Unusable as error:
            self.send(number, "unusable", [hints.code(error.hint), error.shown[:500]])
        except Failed as error:
            self.send(number, "failed", [error.error[:100], error.message[:500], error.line[:500]])
        except BaseException as error:  # KeyboardInterrupt and its like, which a notebook would not survive
            self.send(number, "failed", [type(error).__name__[:100], str(error)[:500], ""])
        else:
            try:
                self.send(number, "value", value)
            except Exception as error:  # too large, or of a kind that only looks plain
                self.send(number, "unusable", ["type", f"got {_one_line(error)}"])

    def callback(self, index: int) -> Callable:
        """A stand-in for a function of the checking side: its arguments travel there, its value comes back."""
        def function(*arguments, **named):
            try:
                self.send(index, "callback", [plain(list(arguments)), plain(named)])
            except (Garbled, NotPlain) as error:
                raise TypeError(f"that function takes plain data, not {error}") from None
            _, kind, body = self.receive()
            if kind == "raised":
                raise _exception(*body)
            return body
        return function

    def send(self, number: int, kind: str, body: object) -> None:
        """One frame, if it is not too large."""
        if os.getpid() != self.process:
            os._exit(0)  # a student's fork that comes back here: only one of the two may answer
        if bytes_in(self.home, self.limits.home) > self.limits.home:
            os._exit(1)  # now, while it is known whose doing that is: the supervisor would come during a later call
        frame = pack(number, kind, body)
        if len(frame) > self.limits.reply:
            raise Garbled(f"more than {self.limits.reply >> 20} MB")
        view = memoryview(frame)
        while view:
            view = view[os.write(self.replies.fileno(), view):]

    def receive(self) -> tuple[int, str, object] | None:
        """The next frame, or None at the end."""
        lengths = self.requests.read(LENGTHS.size)
        if len(lengths) < LENGTHS.size:
            return None
        text, blobs = (self.requests.read(length) for length in LENGTHS.unpack(lengths))
        return unpack(text, blobs, self.callback, tidy=str)


class Shell:
    """What `get_ipython()` gives in the box: timing magics run their code, all others do nothing."""

    def __init__(self, namespace: dict):
        self.namespace = namespace

    def run_line_magic(self, name: str, line: str, *rest: object) -> None:
        """`%time f()` runs f()."""
        if name in ("time", "timeit"):
            exec(line, self.namespace)

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        """`%%time` and `%%capture` run the cell."""
        if name in ("time", "timeit", "capture", "prun"):
            exec(cell, self.namespace)

    def __getattr__(self, name: str) -> Callable:
        return lambda *arguments, **options: None


def _defines(statement: ast.stmt) -> bool:
    """Whether a statement only gives a name to something that is written out there."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        return all(isinstance(part, _WRITTEN_OUT) for part in ast.walk(statement.value)) or isinstance(
            statement.value, ast.Lambda)
    return isinstance(statement, _DEFINITIONS)


def _is_absent_here(error: BaseException) -> bool:
    """Whether a part of the course was to be imported that is not in the box: what does not need it goes on."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "rlcourse"


def _parsed(source: str) -> ast.Module:
    """A cell as Python; lines such as `%matplotlib inline` and `!ls` as the calls that they are."""
    try:
        return ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        return ast.parse(TransformerManager().transform_cell(source))


def _exception(kind: str, message: str) -> Exception:
    """The exception that the other side raised, if Python has one of that name."""
    known = getattr(builtins, kind, None)
    return (known if isinstance(known, type) and issubclass(known, Exception) else RuntimeError)(message)


def _one_line(error: BaseException) -> str:
    line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    text = str(error.msg if isinstance(error, SyntaxError) else error)[:500]
    return f"{type(error).__name__}: {(text.strip().splitlines() or [''])[0]}{line}"[:600]


def _line(source: str, statement: ast.stmt) -> str:
    lines = source.splitlines()
    return lines[statement.lineno - 1].strip()[:200] if statement.lineno <= len(lines) else ""
