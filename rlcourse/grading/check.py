"""`rlcourse check`: a student's own isolated run of one notebook, marked as an instructor would mark it."""

from collections.abc import Callable
from pathlib import Path

from ..core.check import require
from .exercise import exercise_names, questions
from .grade import guarded, require_sound, say_isolation
from .limits import Limits
from .overlay import Overlay
from .remote import Marked, NotGraded, mark_notebook
from .report import Score
from .sandbox import NoSandbox, open_sandbox
from .sources import Unreadable, code_cells, names, read_bytes


def check(notebook: Path | str, exercise: str | None = None, seed: int = 0, isolation: str = "auto",
          limits: Limits = Limits(), mark: Callable[..., Marked] = mark_notebook,
          sandbox: Callable = open_sandbox) -> int:
    """Mark a notebook from top to bottom in a box, print what came out, and return the exit status.

    The exercise is the one that the notebook names. 0: every question is right; 1: not yet, or there was no
    time for all; 2: a wrong argument, or a machine that cannot mark. An instructor's seed will be another.
    """
    path = Path(notebook)
    try:
        require(path.is_file(), "NOTEBOOK", "an existing notebook file", str(path))
        cells = code_cells(read_bytes(path.resolve()))
        name = _chosen(exercise, names(cells, exercise_names()))
        asked = questions(name)
        require_sound(asked, seed, Overlay())
        with guarded(), sandbox(asked, isolation, limits) as box:
            say_isolation(box, required=False)
            marked = mark(cells, asked, box, seed=seed)
    except KeyboardInterrupt:
        return 130
    except Unreadable as error:
        print(f"rlcourse check: {path.name} {error}")
        return 2
    except (ValueError, NoSandbox, NotGraded) as error:
        print(f"rlcourse check: {error}")
        return 2
    for report in marked.reports:
        print(report)
    for note in marked.notes:
        print(f"on the way: {note}")
    reports = {report.id: report for report in marked.reports}
    score = Score(name, tuple((question.id, question.title, question.topic, question.minutes, reports[question.id])
                              for question in asked if question.id in reports))
    print(score)
    return 0 if marked.complete and score.earned == sum(question.points for question in asked) else 1


def _chosen(asked: str | None, named: list[str]) -> str:
    """The exercise that was asked for, or else the only one that the notebook names."""
    known = exercise_names()
    require(asked in known or asked is None, "--exercise", f"one of {', '.join(known)}", repr(asked))
    require(asked is not None or len(named) == 1, "--exercise", f"one of {', '.join(known)}",
            f"nothing, and the notebook names {' and '.join(named) or 'none'}")
    return asked or named[0]
