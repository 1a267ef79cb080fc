"""`rlcourse grade`: the notebooks of a class of strangers, marked two at a time.

Each result is written as soon as it is known, so a run that was stopped is taken up where it ended, and a
later run marks only what has changed. Whatever goes wrong with one submission, the others are marked.
What the machine could not mark is "not graded", which is never a mark.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from ..core.check import require
from .answers import Answers
from .cases import Question
from .cases import mark as mark_question
from .copied import Trees, published_trees, same_as_published
from .exercise import exercise_names
from .exercise import questions as questions_of
from .gradebook import Gradebook, finish, open_gradebook, require_folders, save, saved
from .limits import Limits
from .lockdown import hide_memory
from .overlay import Overlay, load_overlay
from .records import Graded
from .remote import Marked, NotGraded, mark_notebook
from .sandbox import NoSandbox, Sandbox, open_sandbox
from .stoppable import Stoppable
from .submissions import Found, Notebook, Submission, find, printable, submission

ROOT = Path(__file__).resolve().parents[2]
AT_A_TIME = 2


@dataclass(frozen=True)
class Batch:
    """What all submissions of a run are marked with. `setting` identifies it, apart from the submission."""

    folder: Path
    exercise: str
    questions: tuple[Question, ...]
    seed: int | None
    overlay: Overlay
    published: Trees
    setting: str
    mark: Callable[..., Marked]


def grade(folder: Path | str, exercise: str, seed: int, out: Path | str, private: Path | str | None = None,
          isolation: str = "auto", require_isolation: bool = False, limits: Limits = Limits(),
          questions: Sequence[Question] | None = None, mark: Callable[..., Marked] = mark_notebook,
          sandbox: Callable = open_sandbox) -> int:
    """Grade every submission in `folder` into `out` and return the exit status.

    0: all are graded; 1: some are not, or only in part, and the last lines say which; 2: a wrong argument, or
    a machine that cannot grade; 130: stopped with Ctrl-C.
    """
    folder, out = Path(folder), Path(out)
    try:
        known = exercise_names()
        require(exercise in known, "--exercise", f"one of {', '.join(known)}", repr(exercise))
        questions = tuple(questions_of(exercise) if questions is None else questions)
        overlay = load_overlay(Path(private) if private else None, exercise, questions, seed)
        marker = {"exercise": exercise, "seed": seed, "private": overlay.digest}
        require_folders(folder, out, marker)
        found = find(folder)
        require(bool(found), "FOLDER", "a notebook, or a folder, of each student in it", f"{folder} without any")
        require_sound(questions, seed, overlay)
        with guarded(), sandbox(questions, isolation, limits) as box:
            say_isolation(box, require_isolation)
            book = open_gradebook(out, exercise, questions, marker, [each.student for each in found])
            setting = _digest([marker, box.kind, asdict(limits), _sources(exercise)])
            published = published_trees(exercise, ROOT / "solutions")
            batch = Batch(folder, exercise, questions, seed, overlay, published, setting, mark)
            results = _all(found, batch, book, box)
        return _report(results, finish(book, results, box.gaps), out)
    except KeyboardInterrupt:
        print(f"\nStopped. What was done is kept in {out}: the same command goes on from there.")
        return 130
    except (ValueError, NoSandbox) as error:
        print(f"rlcourse grade: {error}")
    except OSError as error:
        print(f"rlcourse grade: {error.filename or out}: {error.strerror or error}")
    return 2


def require_sound(questions: Sequence[Question], seed: int | None, overlay: Overlay) -> None:
    """Mark the library's own functions first: nobody is marked with checks that refuse these."""
    for question in questions:
        report = mark_question(question, Answers(question.functions), seed, overlay.cases.get(question.id, ()))
        failed = next((result for result in report.results if not result.passed), None)
        require(failed is None, question.id, "checks that the library's own functions pass",
                failed and f"{failed.title}: {report.message or failed.hint} {failed.shown}".strip())


def mark_submission(given: Submission, batch: Batch, box: Sandbox) -> Graded:
    """Mark the notebooks of a student; of several the best counts, the first where they are equal.

    A result without a digest is not to be trusted for another run: the machine is to blame for it.
    """
    none = Graded(given.student, given.file, "not graded", given.reason, digest=_digest_of(given, batch))
    if not given.notebooks:
        return none
    results = []
    for notebook in given.notebooks:
        try:
            results.append(_marked(notebook, none, batch, box))
        except NotGraded as error:
            return replace(none, file=notebook.file, reason=printable(str(error)), digest="")
        except Exception as error:  # a fault of the grader's own costs neither this student a point nor the others
            why = f"the grader itself failed: {type(error).__name__}: {error}"
            return replace(none, file=notebook.file, reason=printable(why)[:300], digest="")
    there = [result for result in results if result.status != "not graded"]
    if not there:
        return results[0]
    best = max(there, key=lambda result: result.earned)  # the first of the best
    several = f"the best of {len(there)} notebooks counts: {best.file}" if len(there) > 1 else ""
    return replace(best, reason="; ".join(part for part in (best.reason, several, given.reason) if part))


def _marked(notebook: Notebook, none: Graded, batch: Batch, box: Sandbox) -> Graded:
    """The result of one notebook."""
    marked = batch.mark(notebook.cells, batch.questions, box, seed=batch.seed, further=batch.overlay.cases)
    if marked.complete and all(report.message.startswith("there is no function") for report in marked.reports):
        why = f"has none of the functions of {batch.exercise}: another notebook?"
        return replace(none, file=notebook.file, reason=f"{notebook.file}: {why}", notes=marked.notes)
    status, reason = ("graded", "") if marked.complete else (
        "partial", "time ran out before every question was asked")
    same = same_as_published(notebook.cells, batch.questions, batch.published)
    # Whose time ran out may have met a busy machine: the next run tries once more.
    digest = none.digest if marked.complete else ""
    return Graded(none.student, notebook.file, status, reason, marked.reports, marked.notes, same, digest)


def _all(found: Sequence[Found], batch: Batch, book: Gradebook, box: Sandbox) -> list[Graded]:
    """The result of every student, in order; each is written at once."""
    known, functions = exercise_names(), [name for question in batch.questions for name in question.functions]
    box = Stoppable(box)

    def one(each: Found) -> tuple[Graded, bool]:
        """A student's result, and whether it is new."""
        given = submission(each, batch.folder, batch.exercise, known, functions)
        before = saved(book, each.student)
        if before is not None and before.digest == _digest_of(given, batch):
            return before, False
        return mark_submission(given, batch, box), True

    results, again, pool = {}, 0, ThreadPoolExecutor(AT_A_TIME)
    try:
        waiting = {pool.submit(one, each) for each in found}
        with tqdm(total=len(found), unit="notebook", disable=None) as bar:
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for graded, new in (future.result() for future in done):
                    if new:
                        save(book, graded)
                    again += not new
                    results[graded.student] = graded
                    bar.update()
    finally:  # after Ctrl-C two notebooks are still being marked: nobody waits for them
        pool.shutdown(wait=False, cancel_futures=True)
        box.stop()
        pool.shutdown()
    if again:
        print(f"{again} of {len(found)} are as they were and were not marked again")
    return [results[each.student] for each in found]


def _report(results: Sequence[Graded], lines: Sequence[str], out: Path) -> int:
    """Tell the instructor what came out."""
    counts = {status: sum(result.status == status for result in results)
              for status in ("graded", "partial", "not graded")}
    print(*lines, sep="\n", end="\n" if lines else "")
    for result in results:
        if result.status != "graded":
            print(f"{result.status}: {result.student}: {result.reason}")
    print(f"{len(results)} students: " + ", ".join(f"{number} {status}" for status, number in counts.items()))
    print(f"{out / 'grades.csv'} has the marks, {out / 'index.html'} the class at a glance")
    return 0 if counts["graded"] == len(results) else 1


def say_isolation(box: Sandbox, required: bool) -> None:
    """Say how students' code is kept apart, and what that leaves open; refuse plain where more is `required`."""
    require(not (required and box.kind == "plain"), "--require-isolation", "bubblewrap or Landlock",
            "a plain process: neither works here, or --isolation asked for it")
    print(f"isolation: {box.kind}")
    for gap in box.gaps:
        print(f"  warning: {gap}")


@contextmanager
def guarded() -> Iterator[None]:
    """Memory that other processes cannot read, and no remarks of the parser on what students write."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        warnings.filterwarnings("ignore", "invalid", DeprecationWarning)
        hide_memory(True)
        try:
            yield
        finally:
            hide_memory(False)


def _digest_of(given: Submission, batch: Batch) -> str:
    return _digest([given.student, given.digest, batch.setting])


def _sources(exercise: str) -> str:
    """Identifies the library and the published solution: a result depends on all of it."""
    paths = [*sorted((ROOT / "rlcourse").rglob("*.py")), *(ROOT / "solutions").glob(f"{exercise}.py")]
    return _digest([[path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")] for path in paths])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
