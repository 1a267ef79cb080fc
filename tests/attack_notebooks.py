"""Notebooks of people who try to win, each with the mark that a fair marker would give.

A mark is (points of q1 of 4, points of q2 of 3) of tests/sample_exercise.py. `fair` holds for every
kind of isolation unless a row says otherwise: in plain mode the student's process sees the files of the
machine, and the rows that live on this say what they win there. A *lure* answers
q1 correctly only if something forbidden succeeded, so its mark tells whether it did.

Placeholders that a test fills in: @FOLDER@ a folder of the instructor's, with the solution and the
gradebook; @TCP@, @UDP@, @ABSTRACT@ an accomplice who hands out the solution; @TOKEN@ a secret of the
grader's; @MARK@ a word by which left-over processes and files of this row are found.
"""

from dataclasses import dataclass
from textwrap import indent

from sample_exercise import (BLANK_RETURNS, BLANK_TARGET, CHECK1, CHECK2, RIGHT_RETURNS, RIGHT_TARGET, SETUP, STEP,
                             notebook)

Mark = tuple[int, ...]
NONE, ONE, FULL = (0, 0), (0, 3), (4, 3)
# Whoever breaks his own channel may lose with it what he had earned: how much depends on chance.
MAYBE = tuple((0, points) for points in range(4))


@dataclass(frozen=True)
class Attack:
    """A notebook and the marks that it may get; for plain mode and Landlock only where they differ.

    `own_user`: in plain mode as an ordinary user, where the student's process has the grader's own uid;
    None there means that it is not safe to try. `noted`: the instructor must be told what happened.
    """

    name: str
    cells: tuple[str, ...]
    fair: tuple[Mark, ...]
    plain: tuple[Mark, ...] = ()
    landlock: tuple[Mark, ...] = ()
    own_user: tuple[Mark, ...] | None = ()
    noted: bool = False
    agent: bool = False  # put to the question with the agent
    leaves: bool = False  # in plain mode files may stay where any account may write

    def allowed(self, kind: str, root: bool) -> tuple[Mark, ...] | None:
        """The marks that this row may get in one kind of isolation."""
        if kind == "plain":
            if not root and self.own_user != ():
                return self.own_user
            return self.plain or self.fair
        return (self.landlock if kind == "landlock" else ()) or self.fair


def row(name: str, cells: tuple[str, ...], *fair: Mark, **others) -> Attack:
    """One attack; marks of `others` may be given bare."""
    wrapped = {key: (value,) if isinstance(value, tuple) and value and isinstance(value[0], int) else value
               for key, value in others.items()}
    return Attack(name, tuple(cells), fair, **wrapped)


def returns(body: str) -> str:
    """A cell that answers q1 with these lines."""
    return f"def discounted_returns(rewards, ends, discount):\n{indent(body, '    ')}"


def with_right(body: str) -> str:
    """A cell that answers q1 with these lines, which may use `right(rewards, ends, discount)`."""
    return f"{RIGHT_RETURNS.replace('discounted_returns', 'right')}\n\n\n{returns(body)}"


def lure(attempt: str) -> str:
    """A cell whose answer to q1 is right only if the attempt sets `won` (and wrong whatever it raises)."""
    tried = indent(attempt, "    ")
    return (f"won = False\ntry:\n{tried}\nexcept BaseException as error:\n    print(repr(error))\n\n\n"
            + with_right("return right(rewards, ends, discount) if won else torch.zeros(3)"))


ZEROS = returns("return torch.zeros_like(rewards)")
LEAKS = RIGHT_RETURNS.replace("(0.0 if ends[t] else discount * following)", "discount * following")
POWERS = returns("""\
powers = discount ** torch.arange(len(rewards), dtype=rewards.dtype)
parts, first = [], 0
for last in [t for t in range(len(ends)) if ends[t]]:
    some = powers[first:last + 1]
    parts.append((rewards[first:last + 1] * some).flip(0).cumsum(0).flip(0) / some)
    first = last + 1
return torch.cat(parts)""")
FLOWS = RIGHT_TARGET.replace("next_value.detach()", "next_value")
BY_HEART = returns("""\
if discount == 0:
    return torch.tensor([1.0, 2, 4])
return torch.tensor([3.0, 4, 4]) if len(rewards) == 3 else torch.tensor([2.0, 2, 8, 8])""")
LEFT_BEHIND = """\
import subprocess
import sys

program = [sys.executable, "-c", "import time; time.sleep(300)", "@MARK@"]
subprocess.Popen(program)
subprocess.Popen(program, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"""
NAMED = """\
def call_me_left_behind():
    import ctypes
    ctypes.CDLL(None).prctl(15, b"@MARK@", 0, 0, 0)
"""
ALWAYS_EQUAL = """\
class Equal:
    shape, dtype, ndim = (3,), torch.float64, 1

    def __eq__(self, other):
        return True

    def __array__(self, *args, **kwargs):
        return self

    def __getattr__(self, name):
        return lambda *args, **kwargs: self"""


def spoiled(q1: str, **others) -> tuple[str, ...]:
    """A right notebook but for q1."""
    return notebook(returns=q1, **others)


def blank(*before: str, after: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Both answers blank, and cells of the student's own."""
    return notebook(BLANK_RETURNS, BLANK_TARGET, before=before, after=after)


TABLE = (
    row("solution", notebook(), FULL),
    row("blank", blank(), NONE),
    row("leaks across episodes", spoiled(LEAKS), (2, 3)),
    row("gamma 0", spoiled(POWERS), (3, 3)),
    row("gradient flows", notebook(target=FLOWS), (4, 2)),
    row("right but warns", spoiled("import warnings\n\n\n" + with_right(
        'warnings.warn("careful")\nreturn right(rewards, ends, discount)')), FULL),
    row("loop in a cell", spoiled("while True:\n    pass"), ONE, noted=True),
    row("loop in a function", spoiled(returns("while True:\n    pass")), ONE),
    row("loop in a cell that swallows interrupts", spoiled("""\
import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass"""), ONE, noted=True),
    row("loop in a function that swallows interrupts", spoiled(returns("""\
while True:
    try:
        while True:
            pass
    except BaseException:
        pass""")), ONE),
    row("syntax error in q1", spoiled("def discounted_returns(rewards, ends, discount)\n    return rewards"), ONE),
    row("sys.exit in a cell", blank("import sys\n\nsys.exit(0)"), NONE),
    row("sys.exit in both functions", notebook(
        "import sys\n\n\n" + returns("sys.exit(0)"),
        "def td_target(reward, discount, terminated, next_value):\n    sys.exit(0)"), NONE),
    row("os._exit in a cell", spoiled("import os\n\nos._exit(0)"), ONE, noted=True),
    row("os._exit in a function", spoiled("import os\n\n\n" + returns("os._exit(0)")), ONE),
    row("kill -9 in a cell", spoiled("import os\n\nos.kill(os.getpid(), 9)"), ONE, noted=True),
    row("kill -9 in a function", spoiled("import os\n\n\n" + returns("os.kill(os.getpid(), 9)")), ONE),
    row("memory bomb in a cell", spoiled("hoard = []\nwhile True:\n    hoard.append(torch.ones(2 ** 24))"), ONE),
    row("memory bomb in a function", spoiled(returns(
        "hoard = []\nwhile True:\n    hoard.append(torch.ones(2 ** 24))")), ONE),
    row("300 MB printed in a cell", spoiled('for _ in range(300):\n    print("x" * 10 ** 6)'), ONE),
    row("300 MB printed before the answer", spoiled(
        'for _ in range(300):\n    print("x" * 10 ** 6)\n\n\n' + RIGHT_RETURNS), FULL),
    row("30 MB printed in a function", spoiled(with_right(
        'print("x" * 3 * 10 ** 7)\nreturn right(rewards, ends, discount)')), FULL),
    row("leftover processes", spoiled(LEFT_BEHIND), ONE),
    row("leftover processes of a function", spoiled(with_right(
        LEFT_BEHIND + "\nreturn right(rewards, ends, discount)")), FULL),
    row("test cell deleted", (SETUP, BLANK_RETURNS, STEP, RIGHT_TARGET, CHECK2), ONE),
    row("test cell duplicated", (SETUP, BLANK_RETURNS, CHECK1, CHECK1, STEP, RIGHT_TARGET, CHECK2, CHECK2), ONE),
    row("answer cell duplicated", (SETUP, BLANK_RETURNS, STEP, RIGHT_TARGET, RIGHT_TARGET, CHECK2), ONE),
    row("test cells edited", (SETUP, BLANK_RETURNS, "assert True", 'print("q1: 4 of 4 points, all right")',
                              BLANK_TARGET, "ex.check = lambda id: 1000"), NONE),
    row("points edited", (SETUP + "\nex.points = 1000", RIGHT_RETURNS, CHECK1 + "  # 1000 points", STEP,
                          RIGHT_TARGET, CHECK2), FULL),
    row("no test cell at all", (SETUP, RIGHT_RETURNS, STEP, RIGHT_TARGET), FULL),
    row("test cells above the answers", (SETUP, CHECK1, CHECK2, RIGHT_RETURNS, STEP, RIGHT_TARGET), FULL),
    row("answer in a new cell, stub left", blank(after=(RIGHT_RETURNS, RIGHT_TARGET)), FULL),
    row("equal to everything", notebook(
        ALWAYS_EQUAL + "\n\n\n" + returns("return Equal()"),
        "def td_target(reward, discount, terminated, next_value):\n    return Equal()"), NONE),
    row("patched allclose", spoiled(
        "import builtins\n\ntorch.allclose = torch.equal = np.allclose = lambda *args, **kwargs: True\n"
        "torch.isclose = lambda a, b, **kwargs: torch.ones_like(a, dtype=torch.bool)\n"
        "torch.testing.assert_close = np.testing.assert_allclose = lambda *args, **kwargs: None\n\n\n"
        + ZEROS), ONE),
    row("asserts dropped by an AST transformer", spoiled("""\
import ast


class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()


try:
    get_ipython().ast_transformers.append(Drop())
except Exception:
    pass


""" + ZEROS), ONE),
    row("hidden tracebacks", blank("import sys\n\nsys.excepthook = lambda *args: None\n"
                                   "get_ipython()._showtraceback = lambda *args: None"), NONE),
    row("the shell's run_cell replaced", blank("get_ipython().run_cell = lambda *args, **kwargs: None\n"
                                               "type(get_ipython()).run_cell = None"), NONE),
    row("a forged result for the front end", blank("""\
kernel = get_ipython().kernel
kernel.send_response(kernel.iopub_socket, "execute_result",
                     {"data": {"text/plain": "7.0"}, "metadata": {}, "execution_count": 1})"""), NONE),
    row("the checker patched", blank("""\
from rlcourse.grading import answers, cases, compare, report

compare.difference = cases.difference = lambda *args, **kwargs: None
cases.mark = lambda question, *args: report.Report(question.id, "", ())
report.Report.earned = property(lambda self: 1000)
report.Result.passed = property(lambda self: True)"""), NONE),
    row("the test runner patched", blank("""\
import sys
import types

for name, module in list(sys.modules.items()):
    for word in ("mark", "run_case", "difference", "check", "grade", "earned", "points"):
        if name.split(".")[0] in ("rlcourse", "__main__", "pytest") and hasattr(module, word):
            setattr(module, word, lambda *args, **kwargs: 1000)"""), NONE),
    row("writes the gradebook", notebook(lure("""\
with open("@FOLDER@/grades.csv", "a") as book:
    book.write("me,sample,4,3,7,graded,\\n")
won = True""")), ONE, own_user=FULL),
    row("a pickle that runs code where it is opened", notebook("""\
class Bomb:
    def __reduce__(self):
        return (open, ("@FOLDER@/pickled", "w"))


""" + returns("return Bomb()"), """\
def td_target(reward, discount, terminated, next_value):
    return np.array([Bomb(), Bomb()], dtype=object)"""), NONE),
    row("a reply of 160 MB", spoiled(returns("return torch.zeros(20_000_000, dtype=torch.float64)")), ONE),
    row("a reply of 100 MB of text", spoiled(returns('return "x" * 10 ** 8')), ONE),
    row("fake requires_grad", notebook(target="""\
class Constant(torch.Tensor):
    requires_grad = property(lambda self: False)
    grad_fn = property(lambda self: None)
    is_leaf = property(lambda self: True)


def td_target(reward, discount, terminated, next_value):
    target = reward + discount * torch.where(terminated, torch.zeros_like(next_value), next_value)
    return target.as_subclass(Constant)"""), (4, 2)),
    row("the environment's step patched", (SETUP, """\
from rlcourse.envs import tabular, tightrope

tabular.TabularMDP.transition = lambda self, state, action, noise: torch.tensor(0)
tightrope.mistake_cost = lambda recoverable: torch.zeros(2, 2)


def act(observation):
    return 0"""), (1,), agent=True),
    row("the right agent", (SETUP, "def act(observation):\n    return 1 if int(observation) == 1 else 0"), (3,),
        agent=True),
    row("kills the parent", spoiled("import os\n\nos.kill(os.getppid(), 9)"), ONE),
    row("reads the solution from disk", notebook(lure(
        'exec(open("@FOLDER@/solution.py").read())\nwon = True')), ONE, plain=FULL),
    row("copies the hidden tests", notebook(lure("""\
import sample_exercise

won = sample_exercise.QUESTIONS[0].points == 4""")), ONE),
    row("open a TCP connection", notebook(lure("""\
import socket

with socket.create_connection(("127.0.0.1", @TCP@), timeout=1) as line:
    won = b"def discounted_returns" in line.recv(100_000)""")), ONE),
)
