"""`Answers`: the student's functions, found by name; what checks call `f`.

The isolated runner has a proxy of the same kind: attributes are functions, plain data go in (or
functions of plain data, which are called back on this side) and plain data come out; what can go
wrong is one of the errors below. Checks therefore need not know where the student's code runs.
"""

import traceback
from collections.abc import Callable, MutableMapping

from torch import Tensor

from . import hints
from .compare import NotPlain, describe, plain


class Missing(Exception):
    """There is no function of this name."""


class Unanswered(Exception):
    """The function still says NotImplementedError."""


class Failed(Exception):
    """The student's code raised: the type's name, the message, and the line of code."""

    def __init__(self, error: str, message: str, line: str = ""):
        super().__init__(f"{error}: {message}")
        self.error, self.message, self.line = error, message, line


class Unusable(Exception):
    """No value to compare: None came back, or something that is no plain data."""

    def __init__(self, hint: str, shown: str):
        super().__init__(shown)
        self.hint, self.shown = hint, shown


class Answers:
    """Calls the functions in a namespace, which is read at each call: a cell run again counts at once."""

    def __init__(self, namespace: MutableMapping[str, object]):
        self._namespace = namespace
        self.asked = ""  # the latest call, as a student would type it

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._namespace:
            raise Missing(name)
        function = self._namespace[name]
        if not callable(function):
            raise Unusable(f"`{name}` {hints.NOT_A_FUNCTION}", f"{name} is {describe(function)}")

        def call(*args):
            self.asked = f"{name}({', '.join(describe(argument) for argument in args)})"
            try:
                # Copies go in: an answer that writes into its arguments must not spoil the next case.
                value = plain(function(*(_copied(argument) for argument in args)))
            except NotPlain as error:
                raise Unusable(hints.TYPE, f"got {error}") from error
            except (Exception, SystemExit) as error:
                line = self._line_of(error)
                # torch says NotImplementedError too, of an operation that it lacks: that is an answer, a failed one.
                if isinstance(error, NotImplementedError) and (not line or "NotImplementedError" in line):
                    raise Unanswered(name) from error
                raise Failed(type(error).__name__, _first_line(error), line) from error
            if value is None:
                raise Unusable(hints.NONE, "got None")
            return value

        return call

    def _line_of(self, error: BaseException) -> str:
        """The last line of code in the student's own notebook on the way to the error."""
        frames = [(frame, number) for frame, number in traceback.walk_tb(error.__traceback__)
                  if frame.f_globals is self._namespace]
        if not frames:
            return ""
        summary = traceback.StackSummary.extract(iter(frames[-1:]))
        return (summary[0].line or "").strip()


def _copied(argument: object) -> object:
    return argument.clone() if isinstance(argument, Tensor) else argument


def _first_line(error: BaseException) -> str:
    """The first line of the message; torch's list of what it would have taken is left out."""
    return (str(error).strip().splitlines() or [""])[0].removesuffix(", but expected one of:")
