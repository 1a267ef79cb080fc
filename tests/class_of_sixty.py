"""Makes a folder with the submissions of sixty students to exercise 02, and says what each should get.

By hand: `python tests/class_of_sixty.py FOLDER`, then `python -m rlcourse grade FOLDER --exercise 02_imitation …`.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rlcourse.grading.exercise import questions
from rlcourse.grading.master import Wrong, read_master, solution_source

ROOT = Path(__file__).resolve().parents[1]
MASTER = read_master(ROOT / "solutions/02_imitation.py")
EXERCISE = "02_imitation"
POINTS = {question.id: question.points for question in questions(EXERCISE)}


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Hole:
    """A file of this size without content: it takes no room."""

    size: int


@dataclass(frozen=True)
class Pipe:
    """A named pipe, from which nothing ever comes."""


@dataclass(frozen=True)
class Student:
    """What one student handed in, and the fair result.

    `files`: paths below the folder and what lies there. `lost`: the questions without full marks, with their
    points, or the wrong answer that was given to them. `reason`: words of the reason, for those who are not graded.
    """

    shown: str  # the name in the table
    files: dict[str | bytes, object]
    lost: dict[str, int | Wrong] = field(default_factory=dict)
    status: str = "graded"
    reason: str = ""
    same: tuple[str, ...] | None = None  # questions whose answer is the published one, where that is certain
    notes: bool = False  # something happened that the instructor must be told


def cell(kind: str, source: str, **more: object) -> dict:
    """A cell of a notebook file."""
    outputs = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True), **outputs, **more}


def file(cells: list[dict], **more: object) -> bytes:
    """A notebook file."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5, **more},
                      ensure_ascii=False).encode()


def cells(answers: dict[str, str] | None = None, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> list:
    """The cells of a notebook in which the solution's answers are replaced, and some cells added."""
    lines = [line for source in MASTER.answers.values() for line in source.splitlines()]
    imports = [line for line in lines if line.startswith("import")]  # they stand in the cells that are replaced
    given = {question: "\n".join([*imports, source]) for question, source in (answers or {}).items()}
    kept = [cell(each.kind, each.source) for each in MASTER.cells_with(given)]
    return [*kept[:2], *(cell("code", source) for source in before), *kept[2:],
            *(cell("code", source) for source in after)]


def work(answers: dict[str, str] | None = None, **cells_added: tuple[str, ...]) -> bytes:
    """A notebook file of the solution with other answers and further cells."""
    return file(cells(answers, **cells_added))


def blank_cells() -> list[dict]:
    """The cells of the exercise as it is handed out."""
    return [cell(each.kind, each.source) for each in MASTER.blank_cells()]


def blank(**added: tuple[str, ...]) -> bytes:
    """The exercise as it is handed out, with cells before and after."""
    kept = blank_cells()
    before, after = ([cell("code", source) for source in added.get(word, ())] for word in ("before", "after"))
    return file([*kept[:2], *before, *kept[2:], *after])


NOTHING = dict.fromkeys(POINTS, 0)
Q1_SPIN = "def clone(counts, fallback):\n    while True:\n        pass"


def rights() -> list[Student]:
    """Right in three ways."""
    ways: dict[int, dict[str, str]] = {0: {}, 1: {}}
    for right in MASTER.right:
        way = 0 if right.question not in ways[0] else 1
        ways[way].setdefault(right.question, right.source)
    return [Student("anna", {"anna.ipynb": work()}, same=tuple(POINTS)),
            Student("ben", {"ben.ipynb": work(ways[0])}, same=()),
            Student("clara", {"clara.ipynb": work(ways[1])}, same=())]


def wrongs() -> list[Student]:
    """Three wrong answers to each question, one a student; and somebody who has the first of each."""
    chosen = [wrong for question in POINTS for wrong in [w for w in MASTER.wrong if w.question == question][:3]]
    students = [Student(f"wrong{number:02d}", {f"wrong{number:02d}.ipynb": work({wrong.question: wrong.source})},
                        lost={wrong.question: wrong}) for number, wrong in enumerate(chosen)]
    first = {wrong.question: wrong for wrong in reversed(chosen)}
    everything = {question: wrong.source for question, wrong in first.items()}
    return [*students,
            Student("wrong in everything", {"wrong in everything.ipynb": work(everything)}, lost=dict(first))]


def unfinished() -> list[Student]:
    """Blank, half done, and done elsewhere in the notebook."""
    blank_answers = {each.question: each.source for each in MASTER.blank_cells() if each.question}
    one = {question: source for question, source in blank_answers.items() if question != "q1"}
    answers = tuple(solution_source(source) for source in MASTER.answers.values())
    return [Student("dora", {"dora.ipynb": blank()}, lost=NOTHING, same=()),
            Student("emil", {"emil.ipynb": work(one)}, lost={q: 0 for q in POINTS if q != "q1"}, same=("q1",)),
            Student("freya", {"freya.ipynb": blank(after=("import math", *answers))}),
            Student("gero", {"gero.ipynb": work({"q3": "def tightrope_cost(epsilon, horizon)\n    return"})},
                    lost={"q3": 0}, notes=True)]


def hostile() -> list[Student]:
    """People who try to win, or to spoil it for all."""
    lookup = "def tightrope_cost(epsilon, horizon):\n    import rlcourse.grading.checks.imitation_tightrope as t\n" \
             "    return t.QUESTION.functions['tightrope_cost'](epsilon, horizon)"
    return [
        Student("hostile loop", {"hostile loop.ipynb": work({"q1": "while True:\n    pass"})}, lost={"q1": 0},
                notes=True),
        Student("hostile function", {"hostile function.ipynb": work({"q1": Q1_SPIN})}, lost={"q1": 0}),
        Student("hostile exit", {"hostile exit.ipynb": work({"q1": "import os\nos._exit(0)"})}, lost={"q1": 0},
                notes=True),
        Student("hostile kill", {"hostile kill.ipynb": work(
            {"q1": "def clone(counts, fallback):\n    import os\n    os.kill(-1, 9)\n    os.kill(os.getpid(), 9)"})},
            lost={"q1": 0}),
        Student("hostile bomb", {"hostile bomb.ipynb": work(
            {"q1": "hoard = []\nwhile True:\n    hoard.append(torch.ones(2 ** 24))"})}, lost={"q1": 0}, notes=True),
        Student("hostile forks", {"hostile forks.ipynb": work(
            {"q1": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"})},
            lost={"q1": 0}, notes=True),
        Student("hostile leftover", {"hostile leftover.ipynb": work(before=(
            "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', "
            "'left-by-the-class'], start_new_session=True)",))}),
        Student("hostile patches", {"hostile patches.ipynb": blank(before=(
            "import rlcourse.grading.cases as cases\ncases.difference = lambda *a, **k: None",
            "torch.isclose = lambda a, *rest, **more: torch.ones_like(a, dtype=torch.bool)",
            "ex.score = ex.check = lambda *a: 1000"))}, lost=NOTHING),
        Student("hostile lookup", {"hostile lookup.ipynb": work({"q3": lookup})}, lost={"q3": 0}),
        Student("hostile pipes", {"hostile pipes.ipynb": work({"q1": """\
import os
for number in range(256):
    try:
        os.write(number, b"\\xff" * 100)
    except OSError:
        pass"""})}, lost={"q1": 0}, notes=True),
        Student("hostile text", {"hostile text.ipynb": work({"q1": (
            "def clone(counts, fallback):\n"
            "    raise ValueError('<script>alert(1)</script>=HYPERLINK(1)\\x1b[2J\\ud800' * 1000)")})},
            lost={"q1": 0}),
    ]


def odd() -> list[Student]:
    """Honest files that have seen something."""
    loud = [{**each, "metadata": {}} for each in cells()]
    for each in loud:
        if each["cell_type"] == "code":
            each["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 20_000}]
    checks_first = sorted(cells(), key=lambda each: "ex.check" not in "".join(each["source"]))
    setup = [each for each in checks_first if "exercise(" in "".join(each["source"])]
    moved = setup + [each for each in checks_first if each not in setup]
    return [Student("ida", {"ida.ipynb": file(loud)}),
            Student("jan", {"jan.ipynb": b"\xef\xbb\xbf" + file(moved)}),
            Student("kim", {"kim.ipynb": json.dumps({"nbformat": 4, "cells": [
                {"cell_type": "code", "source": "".join(each["source"])} for each in cells()]}).encode()}),
            Student("lea", {"lea.ipynb": work(before=("%matplotlib inline", "!pip list", "1 / 0", "%%bash\nls"))})]


def broken() -> list[Student]:
    """Files that nobody can mark."""
    sound = work()
    old = json.dumps({"nbformat": 3, "worksheets": [{"cells": []}], "metadata": {}}).encode()

    def none(name: str, content: object, reason: str) -> Student:
        return Student(name, {f"{name}.ipynb": content}, status="not graded", reason=reason)

    return [none("broken json", b"this is no notebook", "not JSON"),
            none("broken half", sound[:len(sound) // 2], "not JSON"),
            none("broken empty", b"", "is empty"),
            none("broken bytes", b"PK\x03\x04\xff\xfe\x00", "not UTF-8"),
            none("broken list", b"[1, 2, 3]", "JSON of another kind"),
            none("broken old", old, "another format"),
            none("broken huge", Hole(200 * 10**6), "too large"),
            none("broken pipe", Pipe(), "no plain file"),
            none("other course", file([cell("code", "import pandas as pd\npd.DataFrame()")]), "another notebook"),
            none("other exercise", (ROOT / "exercises/01_foundations.ipynb").read_bytes(), "01_foundations"),
            Student("empty folder", {"empty folder/": None}, status="not graded", reason="no notebook"),
            Student("link", {"link.ipynb": Link("anna.ipynb")}, status="not graded", reason="symbolic link")]


def named() -> list[Student]:
    """Names and folders of every kind; the best of two notebooks counts."""
    wrong = next(wrong for wrong in MASTER.wrong if wrong.question == "q3")
    return [Student("Zoë Müller", {"Zoë Müller.ipynb": work()}),
            Student("王小明 🚗", {"王小明 🚗/作业 2.ipynb": work({"q3": wrong.source})}, lost={"q3": wrong}),
            Student("'=1+1,\"x\"; y", {'=1+1,"x"; y.ipynb': work()}),
            Student("new\\nline", {"new\nline.ipynb": work()}),
            Student("\\udcff bytes", {b"\xff bytes.ipynb": work()}),
            Student("deep", {"deep/a/b/c d/02_imitation.ipynb": work(),
                             "deep/.ipynb_checkpoints/02_imitation-checkpoint.ipynb": blank()}),
            Student("two files", {"two files/first.ipynb": work({"q3": wrong.source}),
                                  "two files/second.ipynb": work()})]


def students() -> list[Student]:
    """All sixty."""
    return [*rights(), *wrongs(), *unfinished(), *hostile(), *odd(), *broken(), *named()]


def write(folder: Path) -> list[Student]:
    """Make the folder, which must be new, and give what each should get."""
    folder.mkdir(parents=True)
    everybody = students()
    for student in everybody:
        for name, content in student.files.items():
            path = os.path.join(os.fsencode(folder), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(content, Link):
                os.symlink(content.target, path)
            elif isinstance(content, Pipe):
                os.mkfifo(path)
            elif content is not None:
                with open(path, "wb") as opened:
                    opened.truncate(content.size) if isinstance(content, Hole) else opened.write(content)
    return everybody


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/class_of_sixty.py FOLDER")
    print(f"{len(write(Path(sys.argv[1])))} students in {sys.argv[1]}")
