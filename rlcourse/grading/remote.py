"""Marks a notebook whose code runs in another process. Checks, seeds and comparisons stay on this side.

    cells → process → calls of functions by name → plain data → comparison here

A process that hangs or dies is replaced, and the cells are run again: what one question does never costs another.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.check import require
from . import hints
from .answers import Failed, Missing, Unanswered, Unusable
from .cases import Case, Question, ask, confirm
from .compare import describe
from .process import Ended, Process, TooSlow
from .report import NOT_MARKED, Report
from .sandbox import NoAnswer, Sandbox
from .wire import Garbled, clean

_MOST_DEATHS = 2  # of the process within one question, before its other cases are given up
_MOST_NOTES = 10
_FREE_STARTS = 5  # of a process; those beyond are on the notebook's clock, or cells that end it could go on for hours


class NotGraded(Exception):
    """There can be no mark, for a reason that says nothing about the answers."""


@dataclass(frozen=True)
class Marked:
    """One report for each question. `complete` is False if the time for the notebook ran out before the end."""

    reports: tuple[Report, ...]
    notes: tuple[str, ...]
    complete: bool


def mark_notebook(cells: Sequence[str], questions: Sequence[Question], sandbox: Sandbox, seed: int | None = None,
                  further: Mapping[str, Sequence[Case]] | None = None) -> Marked:
    """Run the code cells of a notebook in a process of its own and mark every question.

    With a `seed` the seeded cases run as well; `further` are an instructor's own, by question.
    Raises `NotGraded` if no process can be had.
    """
    notebook = Notebook(cells, sandbox, [name for question in questions for name in question.functions])
    answers = [RemoteAnswers(notebook) for _ in questions]
    try:
        asked = [ask(question, f) for question, f in zip(questions, answers)]
        # From here on inputs are hidden. Nothing that the student's code says about them is shown any more.
        notebook.silent = True
        reports = [confirm(visible, f, seed, (further or {}).get(visible.question.id, ()))
                   for visible, f in zip(asked, answers)]
    finally:
        notebook.close()
    if notebook.broken:
        raise NotGraded(notebook.broken)
    reports = [_not_asked(report) if f.late else report for report, f in zip(reports, answers)]
    return Marked(tuple(reports), tuple(notebook.notes), not notebook.out_of_time)


class Notebook:
    """A student's cells in a process, which is started again whenever it is lost."""

    def __init__(self, cells: Sequence[str], sandbox: Sandbox, asked: Sequence[str] = ()):
        self.cells, self.sandbox, self.asked = cells, sandbox, asked
        self.notes: list[str] = []
        self.broken = ""
        self.out_of_time = self.silent = False
        self._end = time.monotonic() + sandbox.limits.notebook
        self._attempts = [0] * len(cells)  # how often a cell took the process with it
        self._process: Process | None = None
        self._number = self._starts = 0

    def exchange(self, kind: str, body: object, functions: list[Callable] | None = None) -> tuple[str, object]:
        """One request and its answer; calls of `functions` are served meanwhile.

        Raises `TooSlow`, `Ended` or `Garbled`, and the process is gone then.
        """
        self._number += 1
        number, deadline = self._number, self._deadline()
        try:
            self._process.send(number, kind, body, deadline, functions)
            for _ in range(self.sandbox.limits.callbacks):
                answered, kind, body = self._process.receive(deadline)
                if kind == "callback" and functions and 0 <= answered < len(functions):
                    self._process.send(number, *_served(functions[answered], body), deadline)
                elif answered == number:
                    return kind, body
                else:
                    raise Garbled("an answer to another question")
            raise TooSlow
        except (TooSlow, Ended, Garbled) as failure:
            self.close()
            if isinstance(failure, TooSlow) and time.monotonic() >= self._end:
                self._run_out()
            raise

    def ready(self) -> bool:
        """A process in which every cell has run that can; False if there is no time, or no process, left."""
        while self._process is None and not self.broken and not self.out_of_time:
            if self._deadline() <= time.monotonic():
                self._run_out()
                return False
            try:
                begun = time.monotonic()
                self._process, _ = self.sandbox.start()
                self._starts += 1
                if self._starts <= _FREE_STARTS:
                    self._end += time.monotonic() - begun  # the machine's time is not the student's
            except NoAnswer as error:
                self.broken = str(error)
                return False
            self._run_cells()
        return self._process is not None

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def _run_out(self) -> None:
        self.out_of_time = True
        self._note("the time for the whole notebook ran out")

    def _deadline(self) -> float:
        return min(time.monotonic() + self.sandbox.limits.seconds, self._end)

    def _run_cells(self) -> None:
        """All cells in order. One that takes the process with it counts with its definitions next time, then not."""
        for index, source in enumerate(self.cells):
            if self._attempts[index] > 1:
                continue
            try:
                kind, error = self.exchange("run", [f"<cell {index + 1}>", source, self._attempts[index] == 0])
            except (TooSlow, Ended, Garbled) as failure:
                self._attempts[index] += 1
                rest = ("its functions and imports still count" if self._attempts[index] == 1
                        else "not even its functions could be defined")
                self._note(f"code cell {index + 1} {_ending(failure)}; {rest}")
                return
            if kind == "ran" and isinstance(error, str) and not self.silent and not _expected(error, self.asked):
                self._note(f"code cell {index + 1}: {error}")

    def _note(self, text: str) -> None:
        text = clean(text, 500)
        if text not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(text)


class RemoteAnswers:
    """What checks call `f`, for one question: `Answers` with the student's code in another process."""

    def __init__(self, notebook: Notebook):
        self._notebook = notebook
        self._given_up: Failed | None = None
        self._deaths = 0
        self.late = False  # whether the time for the notebook ended before an answer of this question came
        self.asked = ""  # the latest call, as a student would type it

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args):
            self.asked = f"{name}({', '.join(describe(argument) for argument in args)})"
            return self._call(name, args)

        return call

    def _call(self, name: str, args: tuple) -> object:
        if self._given_up:
            raise self._given_up
        if not self._notebook.ready():
            self.late = self._notebook.out_of_time
            raise Failed("TimeoutError", "the time for the whole notebook ran out")
        try:
            kind, body = self._notebook.exchange("call", [name, list(args)], functions=[])
        except TooSlow as error:
            self.late = self._notebook.out_of_time
            seconds = self._notebook.sandbox.limits.seconds
            self._given_up = Failed("TimeoutError", f"stopped after {seconds:g} seconds")
            raise self._given_up from error
        except (Ended, Garbled) as error:
            failed = Failed("SystemExit", f"{name} {_ending(error)}")
            self._deaths += 1
            self._given_up = failed if self._deaths >= _MOST_DEATHS else None
            raise failed from error
        return _value(kind, body, name)


def _value(kind: str, body: object, name: str) -> object:
    """The value that came back, or the error that it stands for."""
    texts = [entry for entry in body if isinstance(entry, str)] if isinstance(body, list) else []
    if kind == "value" and body is not None:
        return body
    if kind == "missing":
        raise Missing(name)
    if kind == "unanswered":
        raise Unanswered(name)
    if kind == "failed" and len(texts) == 3:
        raise Failed(*texts)
    code, shown = texts if kind == "unusable" and len(texts) == 2 else ("none", "got None")
    raise Unusable(hints.unusable(code, name), shown)


def _served(function: Callable, body: object) -> tuple[str, object]:
    """The checker's own function, called with what a student's code gave it: any error goes back to that code."""
    try:
        arguments, named = body
        return "returned", function(*arguments, **named)
    except Exception as error:
        return "raised", [type(error).__name__, str(error)]


def _ending(failure: Exception) -> str:
    return {TooSlow: "ran too long and was stopped", Ended: "ended the whole process",
            Garbled: "sent what no function returns"}[type(failure)]


def _expected(error: str, asked: Sequence[str]) -> bool:
    """Whether a cell failed only because it is still to be written, or what it shows is not in the box.

    An import of the very function that is asked for is worth a note.
    """
    if error.startswith("ModuleNotFoundError: No module named 'rlcourse"):
        return not set(re.findall(r"\w+", error)) & set(asked)
    return error.startswith("NotImplementedError")


def _not_asked(report: Report) -> Report:
    results = tuple(replace(result, status="open", hint="", asked="", shown="") for result in report.results)
    return replace(report, results=results, message=f"{NOT_MARKED}: the time for the whole notebook ran out before")
