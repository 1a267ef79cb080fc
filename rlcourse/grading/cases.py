"""Questions and their cases, and `mark`, which puts them to a student's functions.

A case asks for a value and knows what is right. Value cases come first, at least one of them worked
out by hand; property cases ("rows sum to 1") wait until all value cases pass, because a function
that does nothing useful often has a nice property. Seeded cases have other numbers for every seed and
run only when grading: they carry no points of their own but confirm a value or property case,
whose points are lost if one of them fails.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..core.check import require
from . import hints
from .answers import Failed, Missing, Unanswered, Unusable
from .compare import Difference, difference
from .report import OTHER_NUMBERS, Report, Result

UNANSWERED = "not answered yet"  # the message of a report on a function that still says NotImplementedError
NO_FUNCTION = "there is no function"  # begins the message of a report on a function that is not defined


@dataclass(frozen=True, eq=False)
class Case:
    """One thing that an answer must get right.

    `call(f)` asks the student's functions and gives plain data; `want` is what must come out.
    `mistakes` are (value, hint) pairs: what a known slip would give here. Where none of them
    fits, `hint` says what to look at.
    """

    title: str
    call: Callable
    want: object
    hint: str
    points: int = 0
    mistakes: tuple[tuple[object, str], ...] = ()
    by_hand: bool = False  # the expected value is a literal, with its arithmetic in a comment
    confirms: str = ""  # seeded cases: the title of the case whose points depend on this one
    rtol: float = 1e-5
    atol: float = 1e-7


@dataclass(frozen=True, eq=False)
class Question:
    """One question of an exercise. Points are the sum over its cases."""

    id: str
    title: str
    topic: str  # of the syllabus, such as "I2"
    functions: dict[str, Callable]  # what the student writes, and the library's own
    difficulty: int  # 1 (a line) … 5 (an evening)
    importance: int  # 1 (nice to know) … 5 (everything later leans on it)
    minutes: int
    values: tuple[Case, ...]
    properties: tuple[Case, ...] = ()
    seeded: Callable[[int], Iterable[Case]] = lambda seed: ()

    @property
    def points(self) -> int:
        """What a full answer earns."""
        return sum(case.points for case in (*self.values, *self.properties))


def mark(question: Question, f: object, seed: int | None = None,
         further: Iterable[Case] = ()) -> Report:
    """Put the question's cases to the student's functions `f` (an `Answers`, or a proxy like it).

    With a `seed` the seeded cases run as well, and `further` cases, such as an instructor's own.
    """
    return confirm(ask(question, f), f, seed, further)


@dataclass(frozen=True, eq=False)
class Asked:
    """What came of the cases that students see: their results, each with the hints of all mistakes that fit.

    `message` stands in their place where there is nothing to mark.
    """

    question: Question
    found: tuple[tuple[Result, tuple[str, ...]], ...]
    message: str = ""


def ask(question: Question, f: object) -> Asked:
    """Put the visible cases to `f`: the values, and if they are right the properties."""
    try:
        found = [_run(case, f) for case in question.values]
        right = all(result.passed for result, _ in found)
        found += [_run(case, f) if right else _waiting(case) for case in question.properties]
        return Asked(question, tuple(found))
    except (Missing, Unanswered) as error:
        message = UNANSWERED if isinstance(error, Unanswered) else (
            f"{NO_FUNCTION} `{error}` yet: has the cell with your answer run without an error?")
        cases = (*question.values, *question.properties)
        return Asked(question, tuple((Result(case.title, case.points, "open"), ()) for case in cases), message)


def confirm(asked: Asked, f: object, seed: int | None = None, further: Iterable[Case] = ()) -> Report:
    """Put seeded and `further` cases to `f`, each where the visible case that it confirms has passed."""
    question, (values, properties) = asked.question, _split(asked)
    confirming = [*(question.seeded(seed) if seed is not None else ()), *further]
    titles = [case.title for case in (*question.values, *question.properties)]
    for case in confirming:
        require(case.confirms in titles, "confirms", f"the title of a case of {question.id}", repr(case.confirms))
    if not asked.message:
        values = [_confirmed_by(confirming, f, *pair) for pair in values]
        if all(result.passed for result, _ in values):
            properties = [_confirmed_by(confirming, f, *pair) for pair in properties]
        else:
            properties = [_waiting(case) for case in question.properties]
    return Report(question.id, question.title, tuple(_explained([*values, *properties])), asked.message)


def _split(asked: Asked) -> tuple[list, list]:
    count = len(asked.question.values)
    return list(asked.found[:count]), list(asked.found[count:])


def _waiting(case: Case) -> tuple[Result, tuple[str, ...]]:
    return Result(case.title, case.points, "waiting"), ()


def _confirmed_by(confirming: list[Case], f: object, result: Result,
                  fitting: tuple[str, ...]) -> tuple[Result, tuple[str, ...]]:
    """A visible result after the cases that confirm it, up to the first that fails."""
    for case in confirming:
        if case.confirms == result.title and result.passed:
            try:
                seeded, fitting = _run(case, f)
            except (Missing, Unanswered):  # of a function that was there a moment ago
                seeded, fitting = _failed(case, f, case.hint, ""), ()
            result = _confirmed(result, seeded)
    return result, fitting


def _explained(found: list[tuple[Result, tuple[str, ...]]]) -> list[Result]:
    """The results; where several known mistakes fit a case, its hint is the one that fits most cases."""
    every = [hint for _, fitting in found for hint in fitting]
    return [replace(result, hint=result.hint.replace(fitting[0], max(fitting, key=every.count)))
            if len(fitting) > 1 else result for result, fitting in found]


def run_case(case: Case, f: object) -> Result:
    """The result of one case. `Missing` and `Unanswered` are passed on: they concern the whole question."""
    return _run(case, f)[0]


def _run(case: Case, f: object) -> tuple[Result, tuple[str, ...]]:
    """The result of one case, and the hints of all known mistakes that give the same; its own is the first."""
    try:
        got = case.call(f)
        found = difference(got, case.want, case.rtol, case.atol)
        if found is None:
            return Result(case.title, case.points, "passed"), ()
        fitting = tuple(dict.fromkeys(hint for value, hint in case.mistakes
                                      if difference(got, value, case.rtol, case.atol) is None))
        return _failed(case, f, fitting[0] if fitting else _likely(case, got, found), found.text), fitting
    except (Missing, Unanswered):
        raise
    except Unusable as error:
        return _failed(case, f, error.hint, error.shown), ()
    except Failed as error:
        shown = f"{error}" + (f"   in the line   {error.line}" if error.line else "")
        return _failed(case, f, hints.error_hint(error.error, error.message), shown), ()
    except Exception as error:  # an answer of an odd kind may break the case itself: it costs this case only
        return _failed(case, f, hints.TYPE, f"{type(error).__name__}: {error}"), ()


def _likely(case: Case, got: object, found: Difference) -> str:
    """The hint for this kind of difference, which is none of the known mistakes."""
    if found.kind == "shape" and isinstance(case.want, (list, dict)):
        return case.hint  # of one of several values: the text says which, the hint of the case what it is
    if found.kind == "shape":
        have, want = tuple(getattr(got, "shape", ())), tuple(getattr(case.want, "shape", ()))
        if tuple(n for n in have if n != 1) == tuple(n for n in want if n != 1):
            return hints.EXTRA_AXIS
        return hints.TURNED if sorted(have) == sorted(want) else hints.SHAPE
    return {"length": hints.LENGTH, "nan": hints.NAN, "type": hints.TYPE}.get(found.kind, case.hint)


def _failed(case: Case, f: object, hint: str, shown: str) -> Result:
    return Result(case.title, case.points, "failed", hint, getattr(f, "asked", ""), shown)


def _confirmed(visible: Result, seeded: Result) -> Result:
    """A visible result after a seeded case: its hint is told, its numbers are not."""
    if seeded.passed:
        return visible
    hint = f"{OTHER_NUMBERS} {seeded.hint}"
    return replace(visible, status="failed", hint=hint)
