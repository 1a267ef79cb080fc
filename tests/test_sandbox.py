"""The boxes themselves: what is in them, what they close, and what happens where one does not work."""

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlcourse.grading import sandbox as sandbox_module
from rlcourse.grading.box import make_box
from rlcourse.grading.cases import Case, Question
from rlcourse.grading.exercise import exercise_names, questions
from rlcourse.grading.limits import Limits
from rlcourse.grading.lockdown import landlock_version
from rlcourse.grading.remote import NotGraded, mark_notebook
from rlcourse.grading.sandbox import NoSandbox, open_sandbox

KINDS = ("bubblewrap", "landlock", "plain")
HERE = Path(__file__).resolve()


def ask(body: str, want: object, kind: str, limits=Limits(seconds=5)) -> object:
    """What the function with this body gives in such a box, as the feedback shows it where it is not `want`."""
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("value", lambda f: f.answer(), want, "a hint", points=1),))
    source = "def answer():\n" + "\n".join(f"    {line}" for line in body.splitlines())
    with boxes(kind, limits) as box:
        result = mark_notebook([source], [question], box).reports[0].results[0]
    return want if result.passed else result.shown


def boxes(kind: str, limits=Limits()):
    missing = {"bubblewrap": not any(Path(folder, "bwrap").exists() for folder in os.get_exec_path()),
               "landlock": landlock_version() == 0}.get(kind, False)
    if missing and not os.environ.get("RLCOURSE_REQUIRE_SANDBOX"):
        pytest.skip(f"this machine has no {kind}")
    return open_sandbox([], kind, limits)


@pytest.mark.parametrize("name", exercise_names())
def test_no_answer_and_no_check_is_in_the_box(name, tmp_path):
    make_box(tmp_path, questions(name))
    inside = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.py")}
    everything = "\n".join(inside.values())
    for question in questions(name):
        for function in question.functions.values():
            body = inspect.getsource(function).split('"""')[-1].strip()
            assert len(body) > 15 and body not in everything, f"{function.__name__} is in the box"
        assert question.title not in everything
    assert "rlcourse/envs/tabular.py" in inside and "rlcourse/core/check.py" in inside
    assert not [path for path in inside if "checks" in path or "exact" in path or "equations" in path]


def test_a_module_with_an_answer_is_left_out_of_a_room_that_is_open(tmp_path):
    from rlcourse.envs.tightrope import tightrope

    question = Question("q1", "t", "T1", {"tightrope": tightrope}, 1, 1, 1, values=())
    make_box(tmp_path, [question])
    assert not (tmp_path / "rlcourse/envs/tightrope.py").exists() and (tmp_path / "rlcourse/envs/lane.py").exists()


@pytest.mark.parametrize("isolation, complaint", [("docker", "one of auto, bubblewrap, landlock, plain, got 'docker'")])
def test_an_unknown_kind_is_refused(isolation, complaint):
    with pytest.raises(NoSandbox, match=complaint):
        with open_sandbox([], isolation):
            pass


def test_a_kind_that_is_not_there_is_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(sandbox_module.shutil, "which", lambda name: None)
    monkeypatch.setattr(sandbox_module, "landlock_version", lambda: 0)
    for kind, reason in (("bubblewrap", "not installed"), ("landlock", "kernel has none")):
        with pytest.raises(NoSandbox, match=reason):
            with open_sandbox([], kind):
                pass


def fake_bubblewrap(folder: Path, script: str) -> None:
    (folder / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bwrap").chmod(0o755)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["exit 1", "echo hello", "sleep 1"])
def test_a_box_that_does_not_start_is_noticed_before_anybody_is_marked(monkeypatch, tmp_path, script):
    fake_bubblewrap(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NoSandbox, match="does not work on this machine"):
        with open_sandbox([], "bubblewrap", Limits(start=5)):
            pass
    with open_sandbox([], "auto", Limits(start=20)) as box:  # and the next kind takes its place
        assert box.kind in ("landlock", "plain")


@pytest.mark.slow
def test_a_box_that_lets_files_be_read_is_none(monkeypatch, tmp_path):
    fake_bubblewrap(tmp_path, 'while [ "$1" != "--" ]; do shift; done; shift; mkdir -p /home; exec "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sandbox_module, "landlock_version", lambda: 0)
    monkeypatch.setattr(sandbox_module, "_START", sandbox_module._START.replace("config['paths']",
                        f"[{str(HERE.parents[1])!r}, *config['paths']]"))
    with pytest.raises(NoSandbox, match="read the course's own files"):
        with open_sandbox([], "bubblewrap", Limits(start=20)):
            pass


@pytest.mark.slow
def test_a_box_that_breaks_later_gives_no_mark(tmp_path):
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("value", lambda f: f.answer(), 1, "a hint", points=1),))
    with open_sandbox([], "plain") as box:
        for file in box.box.rglob("entry.py"):
            file.unlink()
        with pytest.raises(NotGraded, match="did not start"):
            mark_notebook(["def answer():\n    return 1"], [question], box)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_box_closes(kind):
    root = os.geteuid() == 0
    with boxes(kind) as box:
        assert box.kind == kind
        left = " ".join(box.gaps)
        assert ("read files" in left) == ("write files" in left) == (kind == "plain")
        assert ("stop other programs" in left) == (kind == "plain" and not root)
        if root or kind == "bubblewrap":
            assert "network" not in left


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_process_is_poor_and_alone(kind):
    facts = ask('import os, resource, sys\n'
                'home = os.environ["HOME"]\n'
                'return [os.getuid() != 0, os.listdir(home), os.getcwd() == home, sorted(os.environ)[:2],\n'
                '        resource.getrlimit(resource.RLIMIT_FSIZE)[0] >> 20, sys.argv, sys.stdin.read(),\n'
                '        os.getgroups() in ([], [os.getgid()], [65534])]',
                [True, [], True, ["CUDA_VISIBLE_DEVICES", "HOME"], 20, [""], "", True], kind)
    assert facts[0] is True, facts


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_way_to_a_network(kind):
    if os.geteuid() != 0 and kind == "plain":
        pytest.skip("as an ordinary user only where user namespaces are allowed")
    assert ask('import socket\n'
               'try:\n'
               '    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n'
               '    udp.sendto(b"x", ("192.0.2.1", 53))\n'
               'except OSError:\n'
               '    return "closed"\n'
               'return "open"', "closed", kind) == "closed"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_calls_that_reach_other_processes_and_their_files_are_refused(kind):
    refused = ask('import os, resource, socket\n'
                  'def refused(call, *arguments):\n'
                  '    try:\n'
                  '        call(*arguments)\n'
                  '    except PermissionError as error:\n'
                  '        return error.errno == 13\n'
                  '    return False\n'
                  'open("mine", "w").close()\n'
                  'return [refused(os.chmod, "mine", 0o600), refused(os.utime, "mine", (1, 1)),\n'
                  '        refused(os.sched_setaffinity, 0, {0}), refused(os.setpriority, os.PRIO_PROCESS, 0, 5),\n'
                  '        refused(resource.prlimit, os.getppid(), resource.RLIMIT_CPU), refused(socket.socket),\n'
                  '        resource.prlimit(0, resource.RLIMIT_CORE) == (0, 0)]', [True] * 7, kind)
    assert refused == [True] * 7


WRITES = "open('large', 'wb').write(bytes(2 ** 21))"
SLOW = "    time.sleep(1.2)\n    return 1"


@pytest.mark.slow
@pytest.mark.parametrize("cells, earned, notes", [
    ([WRITES, f"import time\n\ndef answer(name):\n{SLOW}"], [1, 1], ["code cell 1 ended the whole process"]),
    ([f"import time\n\ndef answer(name):\n    if name == 'q1':\n        return {WRITES} >> 21\n{SLOW}"], [0, 1], []),
], ids=["cell", "function"])
def test_too_many_files_count_against_what_wrote_them(cells, earned, notes):
    """The supervisor looks twice a second: it would come while a later call is being answered."""
    both = [Question(name, "t", "T1", {"answer": lambda name: None}, 1, 1, 1, values=(
        Case("value", lambda f, name=name: f.answer(name), 1, "a hint", points=1),)) for name in ("q1", "q2")]
    with open_sandbox([], "plain", Limits(seconds=10, home=2 ** 20)) as box:
        marked = mark_notebook(cells, both, box)
    assert [report.earned for report in marked.reports] == earned
    assert [note.split(";")[0] for note in marked.notes] == notes


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_box_outlives_a_grader_that_is_killed(kind, tmp_path):
    boxes(kind)  # skips where there is none
    seconds = f"{987 + KINDS.index(kind)}.125"  # tells its `sleep` from every other
    script = ("import time\n"
              "from rlcourse.grading.limits import Limits\n"
              "from rlcourse.grading.remote import Notebook\n"
              "from rlcourse.grading.sandbox import open_sandbox\n"
              f"with open_sandbox([], {kind!r}, Limits(seconds=60)) as box:\n"
              f"    notebook = Notebook(['import subprocess; subprocess.Popen([\"sleep\", \"{seconds}\"])'], box)\n"
              "    notebook.ready()\n"
              "    print('ready', flush=True)\n"
              "    time.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"TMPDIR": tempfile_below(tmp_path)}) as grader:
        try:
            assert grader.stdout.readline() == "ready\n"
            deadline = time.monotonic() + 5  # a busy machine may take a moment to show the process's command
            while not running(seconds) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert running(seconds)
        finally:
            grader.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while running(seconds) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(seconds)


def tempfile_below(folder: Path) -> str:
    """A folder for temporary files that every account may enter."""
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    return str(folder)


def running(word: str) -> list[str]:
    """The processes with this word among their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(entry.name)
        except OSError:
            continue
    return found
