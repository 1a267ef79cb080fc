"""Nobody wins by an attack and nobody loses by an oddity: every notebook of the corpus gets its fair mark.

In every kind of isolation that this machine has, two notebooks at a time, with short limits; the few rows
where it matters once more with the limits of real use. After each notebook nothing of it is left.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from attack_notebooks import FULL, ONE, TABLE, Attack, lure
from attacks_on_the_channel import FRAMES, PATCHES, VALUES
from attacks_on_the_machine import FILES, NETWORK, PROCESSES
from honest_oddities import CELLS, DEFINITIONS, RAISES, WAYS
from sample_exercise import AGENT, QUESTIONS, RIGHT_RETURNS, notebook

import rlcourse.grading
import rlcourse.notebook
from rlcourse.grading import silent
from rlcourse.grading.answers import Answers
from rlcourse.grading.cases import mark
from rlcourse.grading.limits import Limits
from rlcourse.grading.process import remove
from rlcourse.grading.remote import mark_notebook
from rlcourse.grading.sandbox import NoSandbox, open_sandbox

ON_THE_MACHINE = (*PROCESSES, *FILES, *NETWORK)
ELSEWHERE = (*FRAMES, *VALUES, *PATCHES, *RAISES, *DEFINITIONS, *CELLS, *WAYS)  # no box makes a difference
CORPUS = (*TABLE, *ON_THE_MACHINE, *ELSEWHERE)
KINDS = ("plain", "landlock", "bubblewrap")
EVERYTHING = os.environ.get("RLCOURSE_ATTACKS") == "all"  # every row in every kind: three quarters of an hour
SEED = 7
SHORT = Limits(seconds=2, notebook=60)
ROOT = os.geteuid() == 0
ANYBODYS = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/dev/mqueue", "/")


@dataclass(frozen=True)
class Outcome:
    """What grading one notebook gave, and what it left behind."""

    marks: tuple[int, ...]
    notes: tuple[str, ...]
    complete: bool
    left: tuple[str, ...]
    seconds: float


def rows_for(kind: str) -> list[tuple[int, Attack]]:
    """The rows that are tried in a kind of box, with their numbers in the corpus.

    The table in all, attacks on the machine in both boxes, and a third of the rest, a ninth in each kind.
    """
    chosen = {attack.name for attack in (*TABLE, *(ON_THE_MACHINE if kind != "plain" else ()),
                                         *(ELSEWHERE[KINDS.index(kind)::9]))}
    return [(number, attack) for number, attack in enumerate(CORPUS)
            if (EVERYTHING or attack.name in chosen) and attack.allowed(kind, ROOT) is not None]


def filled(cells: tuple[str, ...], **words: object) -> tuple[str, ...]:
    """The cells with their placeholders filled in."""
    for name, word in words.items():
        cells = tuple(cell.replace(f"@{name}@", str(word)) for cell in cells)
    return cells


def processes_with(word: str) -> list[str]:
    """The processes, zombies apart, whose name or command line holds this word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            shown = (entry / "comm").read_text() + (entry / "cmdline").read_text(errors="replace")
            if word in shown and "State:\tZ" not in (entry / "status").read_text():
                found.append(f"process {entry.name}")
        except OSError:
            continue  # it ended while we looked
    return found


def left_by(word: str) -> list[str]:
    """Processes and files of this word, which are removed. Processes get a moment to be gone."""
    end = time.monotonic() + 1
    while (found := processes_with(word)) and time.monotonic() < end:
        time.sleep(0.05)
    for process in found:
        os.kill(int(process.split()[1]), 9)
    for folder in (*ANYBODYS, tempfile.gettempdir(), os.path.dirname(torch.__file__)):
        for path in Path(folder).glob(f"*{word}*") if os.path.isdir(folder) else ():
            found.append(f"file {path}")
            path.unlink()
    return found


def graded(attack: Attack, number: int, sandbox, words: dict) -> Outcome:
    """One notebook of the corpus, graded."""
    mark_of_row = f"{words['TOKEN']}{number:03d}"
    cells = filled(attack.cells, **words, MARK=mark_of_row)
    begun = time.monotonic()
    marked = mark_notebook(cells, (AGENT,) if attack.agent else QUESTIONS, sandbox, seed=SEED)
    seconds = time.monotonic() - begun
    return Outcome(tuple(report.earned for report in marked.reports), marked.notes, marked.complete,
                   tuple(left_by(mark_of_row)), seconds)


def snapshot(folder: Path) -> dict[str, object]:
    """Everything in a folder: mode, owner and content."""
    return {str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_uid,
                                            path.read_bytes() if path.is_file() else None)
            for path in (folder, *folder.rglob("*"))}


@pytest.fixture(scope="module")
def instructor():
    """The words for the placeholders: a folder that must stay as it is, and an accomplice at every door."""
    token = "at" + secrets.token_hex(3)
    folder = Path(tempfile.mkdtemp(prefix="instructor-"))
    (folder / "solution.py").write_text(RIGHT_RETURNS + "\n\n\nright = discounted_returns\n")
    (folder / "grades.csv").write_text("student,q1,q2\n")
    solution = RIGHT_RETURNS.encode()
    doors = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    doors[1].bind(f"\0{token}")
    doors[2].bind(str(folder / "socket"))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))

    def serve(door):
        door.listen()
        while True:
            try:
                with door.accept()[0] as line:
                    line.sendall(solution)
            except OSError:
                return

    def answer():
        while True:
            try:
                datagrams.sendto(solution, datagrams.recvfrom(100)[1])
            except OSError:
                return

    threads = [threading.Thread(target=serve, args=(door,), daemon=True) for door in doors]
    threads.append(threading.Thread(target=answer, daemon=True))
    for thread in threads:
        thread.start()
    folder.chmod(0o755)
    (folder / "socket").chmod(0o777)
    os.environ["A_SECRET"] = f"{token}-secret"
    decoy = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(7200)", "--seed", f"{token}-seed"])
    yield {"FOLDER": folder, "TCP": doors[0].getsockname()[1], "UDP": datagrams.getsockname()[1],
           "ABSTRACT": token, "TOKEN": token}
    decoy.kill()
    decoy.wait()
    del os.environ["A_SECRET"]
    for door in (*doors, datagrams):
        door.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def temporary():
    """A temporary folder of our own, so that what stays in it is the grader's."""
    before = tempfile.tempdir
    folder = Path(tempfile.mkdtemp(prefix="temporary-"))
    folder.chmod(0o1777)
    tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = before
    shutil.rmtree(folder)


def opened(kind: str, limits: Limits):
    """The sandbox of this kind; without one the test is skipped, or fails where it has to be there."""
    try:
        return open_sandbox(QUESTIONS, kind, limits)
    except NoSandbox as error:
        if os.environ.get("RLCOURSE_REQUIRE_SANDBOX") == "1":
            raise
        return pytest.skip(str(error))


@pytest.fixture(scope="module")
def runs(instructor, temporary):
    """A function of the kind of box, which tries all its rows once: their outcomes, and what the whole left behind."""
    done = {}

    def run(kind: str) -> dict:
        if kind not in done:
            done[kind] = tried(kind, instructor, temporary)
        return done[kind]

    return run


def tried(kind: str, instructor: dict, temporary: Path) -> dict:
    """The outcome of each row, or what was raised."""
    before, empty = snapshot(instructor["FOLDER"]), sorted(temporary.iterdir())
    with opened(kind, SHORT) as sandbox, ThreadPoolExecutor(2) as pool:
        futures = {attack.name: pool.submit(graded, attack, number, sandbox, instructor)
                   for number, attack in rows_for(kind)}
        outcomes = {name: future.exception() or future.result() for name, future in futures.items()}
        gaps = sandbox.gaps
    return {"kind": kind, "outcomes": outcomes, "gaps": gaps,
            "left": [str(path) for path in sorted(temporary.iterdir()) if path not in empty],
            "changed": before != snapshot(instructor["FOLDER"]), "shared": shared_memory()}


def shared_memory() -> list[str]:
    """Segments of shared memory that a row leaves, by its key; they are removed."""
    found = [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()
             if line.split()[0] == str(0x5ec7e7)]
    for segment in found:
        subprocess.run(["ipcrm", "-m", segment], check=True)
    return found


PAIRS = [(kind, attack) for kind in KINDS for _, attack in rows_for(kind)]


@pytest.mark.slow
@pytest.mark.parametrize("kind, attack", PAIRS, ids=[f"{kind}-{attack.name}" for kind, attack in PAIRS])
def test_every_notebook_gets_its_fair_mark(runs, kind, attack):
    allowed = attack.allowed(kind, ROOT)
    outcome = runs(kind)["outcomes"][attack.name]
    assert isinstance(outcome, Outcome), outcome
    assert outcome.marks in allowed, outcome
    assert outcome.complete, outcome
    assert outcome.notes or not attack.noted, outcome
    assert not outcome.left or kind == "plain" and attack.leaves, outcome


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_grader_is_left_and_nothing_of_the_instructor_is_touched(runs, kind):
    run = runs(kind)
    assert run["left"] == []
    assert not run["changed"] or kind == "plain" and not ROOT
    assert not run["shared"] or kind != "bubblewrap"
    slowest = sorted((outcome.seconds, name) for name, outcome in run["outcomes"].items()
                     if isinstance(outcome, Outcome))[-10:]
    print(f"\n{kind}: {len(run['outcomes'])} notebooks, the slowest:",
          *(f"{seconds:6.1f} s  {name}" for seconds, name in reversed(slowest)), sep="\n")


FEW = ("loop in a cell", "loop in a function", "memory bomb in a cell", "memory bomb in a function", "solution")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_with_the_limits_of_real_use(kind, instructor, temporary):
    """Ten seconds a call, two minutes a notebook: no mark changes, and no loop costs more than its share."""
    rows = {number: attack for number, attack in enumerate(CORPUS) if attack.name in FEW}
    with opened(kind, Limits()) as sandbox, ThreadPoolExecutor(2) as pool:
        outcomes = pool.map(lambda number: graded(rows[number], number, sandbox, instructor), rows)
        for attack, outcome in zip(rows.values(), outcomes):
            assert outcome.marks in attack.allowed(kind, ROOT) and outcome.complete, outcome
            assert not outcome.left and outcome.seconds < 60, outcome


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_neighbour_loses_nothing(kind, instructor, temporary):
    """Somebody kills whatever he may and looks for others' files while another notebook is being marked."""
    if kind == "plain" and not ROOT:
        pytest.skip("not safe to try in the grader's own account")
    wild = """\
import glob
import os
import time

end = time.monotonic() + 1.5
found = []
while time.monotonic() < end:
    for path in glob.glob(os.path.expanduser("~/../**/diary*"), recursive=True):
        try:
            found.append(open(path).read())
        except OSError:
            pass
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (os.getpid(), os.getppid()):
            try:
                os.kill(int(name), 9)
            except OSError:
                pass
won = bool(found)"""
    quiet = notebook(before=("from pathlib import Path\n\nPath('diary').write_text('right')",
                             "import time\n\ntime.sleep(1)\nassert Path('diary').read_text() == 'right'"))
    with opened(kind, SHORT) as sandbox, ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            hunter = pool.submit(mark_notebook, notebook(lure(wild)), QUESTIONS, sandbox, SEED)
            marked = pool.map(lambda _: mark_notebook(quiet, QUESTIONS, sandbox, SEED), range(1))
            assert [(tuple(report.earned for report in each.reports), each.notes) for each in marked] == [(FULL, ())]
            found = tuple(report.earned for report in hunter.result().reports)
            assert found == ONE or kind == "plain" and found == FULL, "only in plain mode may files be read"


@pytest.mark.slow
def test_every_lure_would_win_where_nothing_is_locked(instructor, temporary):
    """Negative control: run in one process with the checks, as other graders do, the lures earn what they want.

    Those that need somebody else's process, or would lock this one up, are left out.
    """
    if not ROOT:
        pytest.skip("an ordinary account is already locked out of some")
    elsewhere = {"the solution through the root of another process", "the solution by mounting", "traces the parent"}
    lures = {attack.name: filled(attack.cells, **instructor, MARK=f"{instructor['TOKEN']}999") for attack in CORPUS
             if any(cell.startswith("won = False") for cell in attack.cells) and attack.name not in elsewhere}
    assert len(lures) > 25
    lost = []
    for name, cells in lures.items():
        home = temporary / "home-own"
        for folder in (home, temporary / "home-other"):
            folder.mkdir()
        process = os.fork()
        if process == 0:
            earned = 0
            signal.alarm(20)
            try:
                os.chdir(home)
                os.environ["HOME"] = tempfile.tempdir = str(home)
                (home / "sample_exercise.py").touch()
                question, case = QUESTIONS[0], QUESTIONS[0].values[0]
                earned = mark(question, Answers(lived(cells)), SEED).earned
                assert case in question.values
            finally:
                os._exit(earned)
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != QUESTIONS[0].points:
            lost.append(name)
        remove(temporary / "home-own")
        remove(temporary / "home-other")
    left_by(f"{instructor['TOKEN']}999")
    (instructor["FOLDER"] / "grades.csv").write_text("student,q1,q2\n")
    instructor["FOLDER"].chmod(0o755)
    assert lost == []


def lived(cells: tuple[str, ...]) -> dict:
    """What a notebook leaves behind that is run in this very process, with its checks silent."""
    namespace = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rlcourse.grading, "exercise", silent.exercise)
        patch.setattr(rlcourse.notebook, "start", lambda: None)
        for cell in cells:
            try:
                exec(cell, namespace)
            except Exception:
                continue  # a later cell may be sound, as in a notebook
    return namespace


def test_the_sample_gives_the_marks_of_a_fair_marker_where_nobody_cheats():
    for attack in CORPUS:
        if attack.name in ("solution", "blank", "leaks across episodes", "gamma 0", "gradient flows",
                           "fake requires_grad", "the numbers shown, by heart", "right, in float32"):
            answers = Answers(lived(attack.cells))
            assert tuple(mark(question, answers, SEED).earned for question in QUESTIONS) in attack.fair, attack.name
    assert [mark(AGENT, Answers(lived(attack.cells)), SEED).earned
            for attack in CORPUS if attack.name == "the right agent"] == [AGENT.points]


def test_no_two_rows_have_the_same_name():
    assert len({attack.name for attack in CORPUS}) == len(CORPUS) > 250
