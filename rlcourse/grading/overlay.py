"""Private cases: `--private DIR` adds cases of the instructor's own, from outside the repository.

DIR holds a file named like the module of checks, such as ex02_imitation.py, with either

    FURTHER = {"q1": (Case("a table of one state", lambda f: …, want, "…", confirms="a title of q1"),)}

or a function `further(seed)` that returns such a dictionary. A private case is like a seeded one: it has no points
but confirms a visible case, whose points are lost if it fails. The library's own functions must pass.
"""

import hashlib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.check import require
from .answers import Answers
from .cases import Case, Question, run_case


@dataclass(frozen=True)
class Overlay:
    """Private cases by question, and the digest of the file that they come from ("" without one)."""

    cases: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)
    digest: str = ""


def load_overlay(folder: Path | None, exercise: str, questions: Sequence[Question], seed: int | None) -> Overlay:
    """The private cases in `folder` (none for None); `ValueError` in one line where something is wrong."""
    if folder is None:
        return Overlay()
    path = folder / f"ex{exercise}.py"
    require(folder.is_dir(), "--private", "an existing folder", str(folder))
    require(path.is_file(), "--private", f"a folder with a file {path.name}", str(folder))
    content = path.read_bytes()
    further = _cases(path, content, seed)
    known = {question.id: question for question in questions}
    for id, cases in further.items():
        require(id in known, path.name, f"questions among {', '.join(known)}", repr(id))
        for case in cases:
            _require_sound(path.name, known[id], case)
    return Overlay(further, hashlib.sha256(content).hexdigest())


def _cases(path: Path, content: bytes, seed: int | None) -> dict[str, tuple[Case, ...]]:
    """What the file defines. It is the instructor's own file: it runs here."""
    defined: dict[str, object] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(content, str(path), "exec"), defined)
        ways = [name for name in ("FURTHER", "further") if name in defined]
        found = defined["further"](seed) if ways == ["further"] else defined.get("FURTHER")
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path.name}: {type(error).__name__} in line {_line(error, path)}: {error}") from error
    require(len(ways) == 1, path.name, "either FURTHER or further(seed)", " and ".join(ways) or "neither")
    require(isinstance(found, Mapping), path.name, "a dictionary of cases by question", type(found).__name__)
    for id, cases in found.items():
        sound = isinstance(cases, (list, tuple)) and all(isinstance(case, Case) for case in cases)
        require(sound, path.name, f"a tuple of Case for {id}", repr(cases)[:100])
    return {id: tuple(cases) for id, cases in found.items()}


def _line(error: BaseException, path: Path) -> int | None:
    """The last line of the file on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else getattr(error, "lineno", None)


def _require_sound(file: str, question: Question, case: Case) -> None:
    """A private case confirms a case that is there, has no points, and the library's own functions pass it."""
    where = f"{file}, {question.id}, {case.title!r}"
    titles = [visible.title for visible in (*question.values, *question.properties)]
    named = ", ".join(map(repr, titles))
    require(case.confirms in titles, where, f"confirms= one of {named}", repr(case.confirms))
    require(case.points == 0, where, "no points of its own", f"points={case.points}")
    result = run_case(case, Answers(question.functions))
    require(result.passed, where, "a case that the library's own functions pass", result.shown or result.hint)
