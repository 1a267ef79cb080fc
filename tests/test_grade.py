"""`rlcourse grade` over a folder: complete, the same twice, taken up where it ended, and one line for bad input.

Most tests mark in this process (students here are made up), which is quick; the last ones use the real box.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlcourse import cli
from rlcourse.grading import grade as grading
from rlcourse.grading.answers import Answers
from rlcourse.grading.cases import Case, Question, mark
from rlcourse.grading.check import check
from rlcourse.grading.exercise import exercise_names
from rlcourse.grading.grade import grade
from rlcourse.grading.limits import Limits
from rlcourse.grading.master import code_sources, read_master
from rlcourse.grading.records import from_json
from rlcourse.grading.remote import Marked, NotGraded
from rlcourse.grading.sandbox import NoSandbox

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = (
    Question("q1", "A third", "I1", {"third": lambda x: x / 3}, 1, 1, 1,
             values=(Case("one", lambda f: f.third(3.0), 1.0, "Divide by three.", points=2),),
             seeded=lambda seed: [Case("more", lambda f: f.third(3.0 * seed + 6), seed + 2.0, "Divide.",
                                       confirms="one")]),
    Question("q2", "A half", "I1", {"half": lambda x: x / 2}, 1, 1, 1,
             values=(Case("one", lambda f: f.half(2.0), 1.0, "Divide by two.", points=3),)))
THIRD, HALF = "def third(x): return x / 3", "def half(x): return x / 2"
OURS = 'exercise("02_imitation")'


def notebook(*sources) -> str:
    cells = [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


CLASS = {
    "anna.ipynb": (notebook(THIRD, HALF), "graded", 5),
    "Zoë Müller/work/2.ipynb": (notebook(THIRD), "graded", 2),
    "=cmd()/x.ipynb": (notebook(OURS, "def half(x): return 1.0"), "graded", 3),
    "by heart.ipynb": (notebook("def third(x): return 1.0"), "graded", 0),
    "blank.ipynb": (notebook("def third(x): raise NotImplementedError\ndef half(x): raise NotImplementedError"),
                    "graded", 0),
    "two/a.ipynb": (notebook(THIRD), "graded", 5),
    "two/b.ipynb": (notebook(THIRD, HALF), "graded", 5),
    "two/broken.ipynb": ("{", "graded", 5),
    "other.ipynb": (notebook('exercise("01_foundations")', THIRD), "not graded", 0),
    "poem.ipynb": (notebook("print(1)"), "not graded", 0),
    "lecture.ipynb": (notebook(OURS, "print(1)"), "not graded", 0),
    "broken.ipynb": ("nonsense", "not graded", 0),
    "empty/readme.txt": ("", "not graded", 0),
    "names.csv": ("", None, 0),
}


def hand_in(folder, files=CLASS):
    for name, (text, *_) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def here(cells, questions, sandbox, seed=None, further=None) -> Marked:
    """Marks in this process: for students who are made up."""
    space: dict[str, object] = {"exercise": print}
    for source in cells:
        exec(source, space)
    return Marked(tuple(mark(question, Answers(space), seed, (further or {}).get(question.id, ()))
                        for question in questions), (), True)


@contextmanager
def box(questions, isolation="auto", limits=Limits(), kind="bubblewrap"):
    yield SimpleNamespace(kind=kind, gaps=("A gap.",), limits=limits)


def run(folder, out, mark=here, **options):
    options = {"exercise": "02_imitation", "seed": 3, "questions": QUESTIONS, "sandbox": box, **options}
    return grade(folder, out=out, mark=mark, **options)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(out):
    return list(csv.DictReader(io.StringIO((out / "grades.csv").read_bytes().decode("utf-8-sig"), newline="")))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The folder of the class, what grading it once gave, and what was printed."""
    folder = hand_in(tmp_path_factory.mktemp("class"))
    out = tmp_path_factory.mktemp("out")
    assert run(folder, out) == 1
    return folder, out


def test_everybody_gets_a_row_a_result_and_a_page(clean):
    folder, out = clean
    found = {row["student"]: row for row in rows(out)}
    wanted = {}
    for name, (_, status, points) in CLASS.items():
        if status:
            wanted[name.split("/")[0].removesuffix(".ipynb")] = (status, points)
    assert {name.removeprefix("'"): (row["status"], int(row["points"] or 0)) for name, row in found.items()} == wanted
    assert len(list((out / "results").iterdir())) == len(list((out / "feedback").iterdir())) == len(wanted)
    assert found["two"]["reason"] == ("the best of 2 notebooks counts: two/b.ipynb; "
                                      "two/broken.ipynb: is no notebook: not JSON")
    assert found["two"]["file"] == "two/b.ipynb" and found["anna"]["reason"] == ""
    assert "none of the functions of 02_imitation" in found["lecture"]["reason"]
    assert (found["poem"]["q1"], found["poem"]["points"], found["blank"]["q1"]) == ("", "", "0")


def test_the_instructor_reads_who_was_not_graded_and_why(tmp_path, capsys):
    folder = hand_in(tmp_path / "class", {"anna.ipynb": CLASS["anna.ipynb"], "bob.ipynb": ("{",)})
    assert run(folder, tmp_path / "out") == 1
    told = capsys.readouterr().out
    assert "isolation: bubblewrap\n  warning: A gap.\n" in told and "2 students: 1 graded, 0 partial, 1 not" in told
    assert "not graded: bob: bob.ipynb: is no notebook: not JSON\n" in told
    (folder / "bob.ipynb").unlink()
    assert run(folder, tmp_path / "out") == 0
    assert "kept but not in grades.csv: bob" in capsys.readouterr().out


def counted(calls, stop_at=None):
    lock = threading.Lock()

    def mark(cells, *args, **options):
        with lock:
            calls.append(cells)
            if len(calls) == stop_at:
                raise KeyboardInterrupt
        return here(cells, *args, **options)

    return mark


def test_a_second_run_marks_nothing_and_changes_nothing(clean, capsys):
    folder, out = clean
    before, calls = content(out), []
    assert run(folder, out, counted(calls)) == 1
    assert not calls and content(out) == before
    assert "11 of 11 are as they were" in capsys.readouterr().out


@pytest.mark.parametrize("stop_at", [1, 4, 8])
def test_stopped_in_the_middle_and_taken_up_it_ends_as_if_run_at_once(clean, tmp_path, capsys, stop_at):
    folder, out = clean
    calls = []
    assert run(folder, tmp_path, counted(calls, stop_at)) == 130
    assert "the same command goes on from there" in capsys.readouterr().out
    assert not (tmp_path / "grades.csv").exists()
    kept = {path.stem for path in (tmp_path / "results").iterdir()}
    again = []
    assert run(folder, tmp_path, counted(again)) == 1
    assert content(tmp_path) == content(out)
    marked_once = sum(from_json((tmp_path / "results" / f"{name}.json").read_text("utf-8")).status == "graded"
                      for name in kept)
    assert len(again) <= 8 - marked_once


def test_only_what_changed_is_marked_again(tmp_path):
    folder = hand_in(tmp_path / "class", {name: CLASS[name] for name in ("anna.ipynb", "by heart.ipynb")})
    run(folder, tmp_path / "out")
    hand_in(folder, {"by heart.ipynb": (notebook(THIRD),), "new.ipynb": (notebook(HALF),)})
    calls = []
    assert run(folder, tmp_path / "out", counted(calls)) == 0
    assert sorted(calls) == [(HALF,), (THIRD,)]
    assert [row["points"] for row in rows(tmp_path / "out")] == ["5", "2", "3"]


@pytest.mark.parametrize("change", [{"limits": Limits(seconds=2)}, {"sandbox": lambda *a: box(*a, kind="landlock")}])
def test_other_limits_or_another_box_mark_everybody_again(tmp_path, change):
    folder, calls = hand_in(tmp_path / "class", {"anna.ipynb": CLASS["anna.ipynb"]}), []
    run(folder, tmp_path / "out")
    assert run(folder, tmp_path / "out", counted(calls), **change) == 0 and len(calls) == 1


@pytest.mark.parametrize("error, reason", [(NotGraded("no process\ncame up"), "no process\\ncame up"),
                                           (ZeroDivisionError("oh"), "the grader itself failed: ZeroDivisionError: oh")])
def test_the_machines_failure_is_no_mark_costs_nobody_else_and_is_tried_again(tmp_path, error, reason):
    folder = hand_in(tmp_path / "class", {name: CLASS[name] for name in ("anna.ipynb", "two/a.ipynb", "two/b.ipynb")})

    def fails(cells, *args, **options):
        if cells == (THIRD,):
            raise error
        return here(cells, *args, **options)

    assert run(folder, tmp_path / "out", fails) == 1
    anna, two = rows(tmp_path / "out")
    assert (anna["points"], two["points"], two["status"], two["reason"]) == ("5", "", "not graded", reason)
    assert run(folder, tmp_path / "out") == 0 and rows(tmp_path / "out")[1]["points"] == "5"


def test_time_that_ran_out_is_partial_and_tried_again_by_the_next_run(tmp_path):
    folder, calls = hand_in(tmp_path / "class", {"anna.ipynb": CLASS["anna.ipynb"]}), []

    def slow(*args, **options):
        calls.append(1)
        return Marked(here(*args, **options).reports[:1], ("the time ran out",), False)

    assert run(folder, tmp_path / "out", slow) == run(folder, tmp_path / "out", slow) == 1
    row = rows(tmp_path / "out")[0]
    assert (row["status"], row["q1"], row["q2"], len(calls)) == ("partial", "2", "", 2)
    assert run(folder, tmp_path / "out") == 0 and rows(tmp_path / "out")[0]["status"] == "graded"


def test_of_equally_good_notebooks_the_first_by_path_counts(tmp_path):
    folder = hand_in(tmp_path / "class", {f"anna/{n}.ipynb": (notebook(THIRD, f"x = {n}"),) for n in (2, 1, 3)})
    assert run(folder, tmp_path / "out") == 0
    row = rows(tmp_path / "out")[0]
    assert (row["file"], row["reason"]) == ("anna/1.ipynb", "the best of 3 notebooks counts: anna/1.ipynb")


def test_two_at_a_time(tmp_path):
    folder = hand_in(tmp_path / "class", {f"{n}.ipynb": CLASS["anna.ipynb"] for n in range(6)})
    at_once, most = [], []

    def mark(*args, **options):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.02)
        at_once.pop()
        return here(*args, **options)

    assert run(folder, tmp_path / "out", mark) == 0 and max(most) == 2


def test_answers_written_as_the_solution_are_flagged(tmp_path, monkeypatch):
    folder = hand_in(tmp_path / "class", {"anna.ipynb": CLASS["anna.ipynb"]})
    (tmp_path / "02_imitation.py").write_text(
        '# %% q="q1"\ndef third(x):\n    ### SOLUTION\n    return x / 3\n    ### END\n\n# %%\n1')
    trees = grading.published_trees
    monkeypatch.setattr(grading, "published_trees", lambda name, solutions: trees(name, tmp_path))
    assert run(folder, tmp_path / "out") == 0
    assert rows(tmp_path / "out")[0]["same_as_solution"] == "q1"


# Bad input: one line, status 2, nothing written.


BROKEN = (Question("q1", "A third", "I1", {"third": lambda x: x / 4}, 1, 1, 1, values=QUESTIONS[0].values),)


def no_sandbox(*args):
    raise NoSandbox("landlock: this system's kernel has none")


@pytest.mark.parametrize("options, words", [
    ({"questions": None, "exercise": "02_imitatoin"}, "--exercise: expected one of 01_foundations, 02_imitation"),
    ({"folder": "nowhere"}, "FOLDER: expected an existing folder"),
    ({"folder": "nobody"}, "FOLDER: expected a notebook, or a folder, of each student in it"),
    ({"out": "class/out"}, "--out: expected a folder outside FOLDER"),
    ({"out": "full"}, "--out: expected a new or empty folder"),
    ({"private": "nowhere"}, "--private: expected an existing folder"),
    ({"sandbox": no_sandbox}, "landlock: this system's kernel has none"),
    ({"sandbox": lambda *a: box(*a, kind="plain"), "require_isolation": True}, "--require-isolation: expected bubble"),
    ({"questions": BROKEN}, "q1: expected checks that the library's own functions pass, got one: Divide by three."),
])
def test_bad_input_is_one_line(tmp_path, capsys, options, words):
    hand_in(tmp_path, {"class/anna.ipynb": CLASS["anna.ipynb"], "full/thesis.txt": ("dear",), "nobody/x.txt": ("",)})
    before = content(tmp_path)
    paths = {name: tmp_path / options.get(name, name) for name in ("folder", "out")}
    paths["folder"] = tmp_path / options.get("folder", "class")
    others = {name: value for name, value in options.items() if name not in ("folder", "out")}
    if "private" in others:
        others["private"] = tmp_path / others["private"]
    assert run(**paths, **others) == 2
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 1 and told[0].startswith("rlcourse grade: ") and words in told[0], told
    assert content(tmp_path) == before and not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys, monkeypatch):
    folder = hand_in(tmp_path / "class", {"anna.ipynb": CLASS["anna.ipynb"]})

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert run(folder, tmp_path / "out") == 2
    assert "out/results: Permission denied" in capsys.readouterr().out.splitlines()[-1]


def test_the_private_cases_count_and_belong_to_the_folder(tmp_path, capsys):
    folder = hand_in(tmp_path / "class", {"anna.ipynb": (notebook("def half(x): return 1.0"),)})
    (tmp_path / "ex02_imitation.py").write_text(
        "from rlcourse.grading.cases import Case\n"
        'FURTHER = {"q2": (Case("more", lambda f: f.half(8.0), 4.0, "No.", confirms="one"),)}')
    assert run(folder, tmp_path / "out") == 0 and rows(tmp_path / "out")[0]["q2"] == "3"
    assert run(folder, tmp_path / "out", private=tmp_path) == 2
    assert "the same private as before" in capsys.readouterr().out
    assert run(folder, tmp_path / "new", private=tmp_path) == 0 and rows(tmp_path / "new")[0]["q2"] == "0"


# The command line


@pytest.fixture
def calls(monkeypatch):
    made = []
    for name in ("check", "grade"):
        monkeypatch.setattr(f"rlcourse.grading.{name}.{name}",
                            lambda path, name=name, **options: made.append((name, path, options)) or 3)
    return made


def test_the_commands_are_one_call_each(calls):
    assert cli.main(["grade", "class", "--exercise", "02_imitation", "--seed", "7", "--out", "o", "--private", "p",
                     "--isolation", "plain", "--require-isolation", "--seconds", "2"]) == 3
    assert cli.main(["check", "work/x.ipynb"]) == 3
    limits = Limits(seconds=2, notebook=24)
    assert calls == [("grade", "class", dict(exercise="02_imitation", seed=7, out="o", private="p", limits=limits,
                                             isolation="plain", require_isolation=True)),
                     ("check", "work/x.ipynb", dict(exercise=None, seed=0, isolation="auto", limits=Limits()))]


@pytest.mark.parametrize("arguments", [
    "grade", "grade class", "grade class --exercise x --seed seven --out o", "grade class --exercise x --seed 1",
    "grade class --exercise x --seed 1 --out o --isolation docker", "check", "check x.ipynb --seconds 0",
    "check x.ipynb --seconds nan", "check x.ipynb --seed 1.5"])
def test_a_wrong_command_line_is_refused(calls, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments.split())
    assert stop.value.code == 2 and not calls and "usage: rlcourse" in capsys.readouterr().err


# rlcourse check


def checked(tmp_path, *sources, **options):
    path = hand_in(tmp_path, {"mine.ipynb": (notebook(*sources),)}) / "mine.ipynb"
    return check(path, sandbox=box, mark=lambda cells, questions, *a, **b: here(cells, questions, *a, **b), **options)


def test_a_student_sees_reports_and_points(tmp_path, capsys):
    answers = code_sources(read_master(ROOT / "solutions/01_foundations.py").cells)
    functions = [source for source in answers if source.startswith("def ")][:1]
    assert checked(tmp_path, "import torch", *functions, exercise="01_foundations") == 1
    told = capsys.readouterr().out
    assert "isolation: bubblewrap" in told and "\n01_foundations: " in told and "there is no function" in told


@pytest.mark.parametrize("sources, options, words", [
    (["1"], {}, f"--exercise: expected one of {', '.join(exercise_names())}, got nothing, and the notebook names none"),
    ([OURS, 'exercise("01_foundations")'], {}, "names 01_foundations and 02_imitation"),
    ([OURS], {"exercise": "9"}, f"--exercise: expected one of {', '.join(exercise_names())}, got '9'"),
    ([7], {}, "mine.ipynb is a broken notebook: the source of a cell is no text"),
])
def test_a_notebook_that_cannot_be_checked_is_one_line(tmp_path, capsys, sources, options, words):
    assert checked(tmp_path, *sources, **options) == 2
    told = capsys.readouterr().out
    assert words in told and told.count("\n") == 1


def test_a_missing_notebook_is_named(tmp_path, capsys):
    assert check(tmp_path / "none.ipynb") == 2
    assert "NOTEBOOK: expected an existing notebook file, got " in capsys.readouterr().out


# The real box


def processes_with(home):
    """The command lines of processes that were started with this folder for their homes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path.read_bytes()] if str(home).encode() in path.read_bytes() else []
        except OSError:
            continue  # it ended while we looked
    return found


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_nothing_is_left_and_the_rest_is_done_later(tmp_path, ended_by):
    folder, out = tmp_path / "class", tmp_path / "out"
    files = {f"{n}.ipynb": (notebook("def clone(counts, fallback): return counts / counts.sum(-1, keepdim=True)"),)
             for n in range(2)} | {"x.ipynb": (notebook("def clone(counts, fallback):\n    while True: pass"),)}
    hand_in(folder, files)
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    command = [sys.executable, "-m", "rlcourse", "grade", str(folder), "--exercise", "02_imitation", "--seed", "3",
               "--out", str(out), "--isolation", "plain", "--seconds", "2"]
    environment = {**os.environ, "TMPDIR": str(home)}
    started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    while started.poll() is None and not list(out.glob("results/*.json")):
        time.sleep(0.05)
    started.send_signal(ended_by)
    told, _ = started.communicate(timeout=30)
    assert started.returncode == (130 if ended_by == signal.SIGINT else -signal.SIGKILL)
    until = time.monotonic() + 20
    while processes_with(home) and time.monotonic() < until:
        time.sleep(0.1)
    assert not processes_with(home)
    if ended_by == signal.SIGINT:
        assert "the same command goes on from there" in told and not list(home.iterdir())
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and "3 students: 3 graded" in done.stdout, done.stdout + done.stderr
    assert "are as they were" in done.stdout
    subprocess.run([*command[:-6], "--out", str(tmp_path / "once"), *command[-4:]], cwd=ROOT, env=environment,
                   capture_output=True, timeout=200)
    assert content(out) == content(tmp_path / "once")
