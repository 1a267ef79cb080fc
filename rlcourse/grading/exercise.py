"""What a student's notebook calls: `exercise("02_imitation")` with check, score, demo and mine."""

import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ..core.check import require
from ..core.workfolder import keep, recall
from . import mine
from .answers import Answers
from .cases import Question, mark
from .report import Report, Score

PROGRESS = "progress.json"


def exercise(name: str, namespace: MutableMapping[str, object] | None = None) -> "Exercise":
    """The exercise `name`, such as "02_imitation".

    The student's functions are looked up in `namespace`, by default in the running notebook.
    """
    notebook = sys.modules["__main__"].__dict__ if namespace is None else namespace
    return Exercise(name, questions(name), notebook)


def questions(name: str) -> tuple[Question, ...]:
    """The questions of an exercise, from its module of checks."""
    known = exercise_names()
    require(name in known, "name", f"one of {', '.join(known)}", repr(name))
    return import_module(f"rlcourse.grading.checks.ex{name}").QUESTIONS


def exercise_names() -> list[str]:
    """The names of all exercises, in order."""
    return sorted(path.stem[2:] for path in (Path(__file__).parent / "checks").glob("ex*.py"))


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise in one notebook."""

    name: str
    questions: tuple[Question, ...]
    namespace: MutableMapping[str, object]

    def __repr__(self) -> str:
        points = sum(question.points for question in self.questions)
        return f"exercise {self.name}: {len(self.questions)} questions, {points} points"

    def check(self, id: str) -> Report:
        """Check one question at once: which cases pass, and the likely mistake where one does not."""
        question = self._question(id)
        report = mark(question, Answers(self.namespace))
        self._remember({id: report})
        if report.full:
            mine.save(self.name, question, self.namespace)
        return report

    def score(self) -> Score:
        """All questions with the points that they earn now."""
        reports = {question.id: mark(question, Answers(self.namespace)) for question in self.questions}
        self._remember(reports)
        return Score(self.name, tuple((question.id, question.title, question.topic, question.minutes,
                                       reports[question.id]) for question in self.questions))

    def demo(self, id: str, function: Callable[[], object]) -> object:
        """Run `function` and return what it returns, once question `id` is answered in full."""
        if not mark(self._question(id), Answers(self.namespace)).full:
            print(f"This opens when {id} is right: ex.check({id!r}) says what is missing.")
            return None
        return function()

    def mine(self, function: str) -> Callable:
        """The student's own saved function of this name if it still passes, else the library's.

        Says in one line which it is.
        """
        names = [name for question in self.questions for name in question.functions]
        require(function in names, "function", f"one of {', '.join(names)}", repr(function))
        question = next(question for question in self.questions if function in question.functions)
        return mine.load(self.name, question, function)

    def _question(self, id: str) -> Question:
        ids = [question.id for question in self.questions]
        require(id in ids, "id", f"one of {', '.join(ids)}", repr(id))
        return self.questions[ids.index(id)]

    def _remember(self, reports: dict[str, Report]) -> None:
        """Keep the best result of each question for the start page; nothing in builds, tests and grading."""
        if not mine.remembers():
            return
        kept = recall(PROGRESS).get("exercises", {})
        before = kept.get(self.name, {})
        best = {id: max(report.earned, before.get(id, {}).get("earned", 0)) for id, report in reports.items()}
        now = {id: {"earned": best[id], "points": report.points} for id, report in reports.items()}
        keep(PROGRESS, exercises={**kept, self.name: {**before, **now}})
