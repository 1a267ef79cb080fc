"""A class of sixty is graded completely through the command line, the same way every time, and nothing is left."""

import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import class_of_sixty
import pytest
from class_of_sixty import EXERCISE, MASTER, POINTS
from test_attacks import processes_with

import rlcourse.grading
import rlcourse.notebook
from rlcourse.grading import silent
from rlcourse.grading.answers import Answers
from rlcourse.grading.cases import mark
from rlcourse.grading.exercise import questions
from rlcourse.grading.master import Wrong, code_sources, solution_source

SEED = 20_261
QUESTIONS = {question.id: question for question in questions(EXERCISE)}
STUDENTS = {student.shown: student for student in class_of_sixty.students()}


@dataclass(frozen=True)
class Run:
    """One call of the command: its exit status, what it printed, and what it took."""

    status: int
    printed: str
    seconds: float
    own: int  # bytes at most: the grader's own memory
    together: int  # bytes at most: with all the processes below it


@dataclass(frozen=True)
class Place:
    """The folder of submissions, and a temporary folder of our own by which the grader's processes are known."""

    folder: Path
    temporary: Path

    def command(self, out: Path) -> list[str]:
        return [sys.executable, "-m", "rlcourse", "grade", str(self.folder), "--exercise", EXERCISE,
                "--seed", str(SEED), "--out", str(out)]

    def start(self, out: Path) -> subprocess.Popen:
        return subprocess.Popen(self.command(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env={**os.environ, "TMPDIR": str(self.temporary)})

    def run(self, out: Path) -> Run:
        """The whole command, with its memory looked at four times a second."""
        begun, own, together = time.monotonic(), [0], [0]
        process = self.start(out)

        def look():
            while process.poll() is None:
                below = resident(process.pid)
                own[0], together[0] = max(own[0], below.get(process.pid, 0)), max(together[0], sum(below.values()))
                time.sleep(0.25)

        looking = threading.Thread(target=look)
        looking.start()
        with process.stdout:
            printed = process.stdout.read().decode()
        status = process.wait()
        looking.join()
        return Run(status, printed, time.monotonic() - begun, own[0], together[0])


def resident(top: int) -> dict[int, int]:
    """Bytes held by a process and by each one below it."""
    parents, pages = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            pages[int(entry.name)] = int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue  # it ended while we looked
    found, new = set(), {top}
    while new:
        found, new = found | new, {each for each, parent in parents.items() if parent in new} - found
    return {each: pages.get(each, 0) for each in found}


def contents(out: Path) -> dict[str, bytes]:
    """Every file of the results."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """The files that are not in both with the same bytes."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def no_process_is_left(place: Place) -> bool:
    """Whether within two seconds nobody of this grading, or of the students, is there any more."""
    end = time.monotonic() + 2
    while left := processes_with(str(place.temporary)) + processes_with("left-by-the-class"):
        if time.monotonic() > end:
            print(left)
            return False
        time.sleep(0.1)
    return True


def earned(wrong: Wrong) -> int:
    """What a wrong answer of the master earns in the student's own notebook, seeded cases included."""
    namespace = dict(solved())
    exec(solution_source(wrong.source), namespace)
    points = mark(QUESTIONS[wrong.question], Answers(namespace), SEED).earned
    assert points <= wrong.at_most
    return points


_SOLVED: dict = {}


def solved() -> dict:
    """What the solution leaves behind, with its checks silent."""
    if not _SOLVED:
        _SOLVED["__name__"] = "__main__"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rlcourse.grading, "exercise", silent.exercise)
            patch.setattr(rlcourse.notebook, "start", lambda: None)
            for source in code_sources(MASTER.solution_cells()):
                exec(source, _SOLVED)
    return _SOLVED


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The class, and a temporary folder as open as the system's own."""
    folder = tmp_path_factory.mktemp("class") / "submissions of the class"
    assert {student.shown for student in class_of_sixty.write(folder)} == set(STUDENTS)
    temporary = Path(tempfile.mkdtemp(prefix="class-"))
    temporary.chmod(0o1777)
    yield Place(folder, temporary)
    temporary.rmdir()  # fails if anything is left in it


@pytest.fixture(scope="module")
def first(place, tmp_path_factory):
    """(run, results) of the class graded from the beginning to the end."""
    out = tmp_path_factory.mktemp("out") / "grades"
    run = place.run(out)
    print(f"\n60 submissions in {run.seconds:.0f} s, {run.own / 1e6:.0f} MB in the grader, "
          f"{run.together / 1e6:.0f} MB with all its processes\n{run.printed}")
    return run, out


@pytest.fixture(scope="module")
def rows(first):
    """The table by student."""
    with open(first[1] / "grades.csv", encoding="utf-8-sig", newline="") as table:
        return {row["student"]: row for row in csv.DictReader(table)}


@pytest.mark.slow
def test_the_command_says_what_it_did(first, place, rows):
    run, out = first
    left_out = [student for student in STUDENTS.values() if student.status == "not graded"]
    assert len(STUDENTS) == 60 and run.status == 1, run.printed
    assert "60 students: " in run.printed and f"{len(left_out)} not graded" in run.printed
    assert "Traceback" not in run.printed
    assert set(rows) == set(STUDENTS)
    assert no_process_is_left(place)
    assert list(place.temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDENTS)
def test_each_student_gets_the_fair_row(rows, name):
    student, row = STUDENTS[name], rows[name]
    assert row["status"] == student.status, row
    if student.status == "not graded":
        assert student.reason in row["reason"], row
        assert [row[question] for question in POINTS] == [""] * len(POINTS) and row["points"] == ""
        return
    want = {**POINTS, **{question: earned(lost) if isinstance(lost, Wrong) else lost
                         for question, lost in student.lost.items()}}
    assert {question: int(row[question]) for question in POINTS} == want, row
    assert int(row["points"]) == sum(want.values()) and int(row["of"]) == sum(POINTS.values())
    assert student.same is None or row["same_as_solution"].split() == list(student.same), row


@pytest.mark.slow
def test_every_student_has_a_page_and_a_result_and_the_instructor_is_told(first):
    _, out = first
    pages, results = sorted((out / "feedback").iterdir()), sorted((out / "results").iterdir())
    assert len(pages) == len(results) == 60
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text and "\x1b" not in text, page.name
        assert not re.search(r"/(tmp|root|work|home)/", text), page.name
    for student in STUDENTS.values():
        if student.notes:
            result = (out / "results" / f"{student.shown}.json").read_text(encoding="utf-8")
            assert "code cell" in result, student.shown


@pytest.mark.slow
def test_a_second_run_changes_nothing_and_marks_nobody_again(first, place):
    before = contents(first[1])
    again = place.run(first[1])
    assert changed(before, contents(first[1])) == []
    assert "60 of 60 are as they were" in again.printed, again.printed
    assert again.status == 1 and again.seconds < max(30, first[0].seconds / 3), again.seconds


@pytest.mark.slow
def test_killed_in_the_middle_and_taken_up_again_gives_the_same_bytes(first, place, tmp_path):
    out = tmp_path / "grades"
    process = place.start(out)
    while len(list((out / "results").glob("*.json")) if out.exists() else ()) < 20:
        assert process.poll() is None, process.stdout.read().decode()
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert no_process_is_left(place)
    done = len(list((out / "results").glob("*.json")))
    assert 20 <= done < 60 and not (out / "grades.csv").exists()
    again = place.run(out)
    assert re.search(r"(\d+) of 60 are as they were", again.printed)[1] in (str(done), str(done - 1)), again.printed
    assert changed(contents(first[1]), contents(out)) == []
    assert no_process_is_left(place)
    assert list(place.temporary.iterdir()) == []
