"""Notebooks of honest people that a careless grader would treat unfairly, and odd ways to raise and to define."""

from attack_notebooks import FULL, NONE, ONE, ZEROS, blank, returns, row, spoiled, with_right
from sample_exercise import CHECK1, CHECK2, RIGHT_RETURNS, RIGHT_TARGET, SCORE, SETUP, STEP, notebook

CALL = "return right(rewards, ends, discount)"


def before(*cells: str) -> tuple[str, ...]:
    """A right notebook after these cells."""
    return notebook(before=cells)


def raises(statement: str, setting: str = "") -> tuple[str, ...]:
    """A notebook whose q1 raises."""
    return spoiled((setting + "\n\n\n" if setting else "") + returns(statement))


RAISES = (
    row("raises SystemExit", raises("raise SystemExit"), ONE),
    row("raises KeyboardInterrupt", raises("raise KeyboardInterrupt"), ONE),
    row("raises GeneratorExit", raises("raise GeneratorExit"), ONE),
    row("raises StopIteration", raises("raise StopIteration"), ONE),
    row("raises BaseException of its own", raises("raise Mine", "class Mine(BaseException):\n    pass"), ONE),
    row("raises cancellation", raises("raise asyncio.CancelledError", "import asyncio"), ONE),
    row("raises MemoryError", raises("raise MemoryError"), ONE),
    row("raises without end", raises("return discounted_returns(rewards, ends, discount)"), ONE),
    row("raises with a text that never ends", raises("raise Mine", """\
class Mine(Exception):
    def __str__(self):
        while True:
            pass"""), ONE),
    row("raises with 100 MB of text", raises('raise ValueError("x" * 10 ** 8)'), ONE),
    row("raises with a text that raises", raises("raise Mine", """\
class Mine(Exception):
    def __str__(self):
        raise SystemExit

    __repr__ = __str__"""), ONE),
    row("raises with a text that is none", raises("raise Mine", """\
class Mine(Exception):
    def __str__(self):
        return 7"""), ONE),
    row("raises with lone surrogates and control characters", raises(
        r'raise ValueError("\ud800\x1b[31m\x00\r\n<script>alert(1)</script>=1+1")'), ONE),
    row("raises a class with a hostile name",
        raises('raise type("<b>" * 10_000 + "\\ud800", (Exception,), {})()'), ONE),
    row("raises a class whose class lies", raises("raise Mine", """\
class Meta(type):
    __name__ = property(lambda cls: 1 / 0)


class Mine(Exception, metaclass=Meta):
    pass"""), ONE),
    row("raises a chain of a thousand", raises("""\
error = None
for number in range(1000):
    try:
        raise ValueError(number) from error
    except ValueError as caught:
        error = caught
raise error"""), ONE),
    row("raises a group of ten thousand",
        raises('raise ExceptionGroup("all", [ValueError(i) for i in range(10_000)])'),
        ONE),
    row("raises the grader's own error", raises("raise Unusable", """\
try:
    from rlcourse.grading.answers import Unusable
except ImportError:
    Unusable = ValueError
Unusable.hint = property(lambda self: 1 / 0)"""), ONE),
    row("NotImplementedError on the second call only", spoiled("calls = []\n\n\n" + with_right(
        "calls.append(1)\nif len(calls) == 2:\n    raise NotImplementedError\n" + CALL)), ONE),
    row("stops the loop in a cell", before("raise KeyboardInterrupt"), FULL),
    row("raises in a cell", before("1 / 0"), FULL),
    row("raises with a text that never ends, in a cell", before("""\
class Mine(Exception):
    def __str__(self):
        while True:
            pass


raise Mine"""), FULL),
    row("crashes the interpreter", spoiled("import ctypes\n\n\n" + returns("ctypes.string_at(0)")), ONE),
    row("crashes the interpreter in a cell, after the answer", spoiled(
        RIGHT_RETURNS + "\n\n\nimport ctypes\nctypes.string_at(0)"), FULL, noted=True),
)

DEFINITIONS = (
    row("a class", spoiled(with_right(CALL) + """


class discounted_returns:
    def __new__(cls, rewards, ends, discount):
        return right(rewards, ends, discount)"""), FULL),
    row("a callable object", spoiled(with_right(CALL) + """


class Returns:
    def __call__(self, rewards, ends, discount):
        return right(rewards, ends, discount)


discounted_returns = Returns()"""), FULL),
    row("a partial", spoiled("import functools\n\n\n" + with_right(CALL) + """


discounted_returns = functools.partial(lambda factor, *args: factor * right(*args), 1.0)"""), FULL),
    row("a lambda", spoiled(with_right(CALL) + "\n\n\ndiscounted_returns = lambda *args: right(*args)"), FULL),
    row("a bound method", spoiled(with_right(CALL) + """


class Answers:
    def give(self, rewards, ends, discount):
        return right(rewards, ends, discount)


discounted_returns = Answers().give"""), FULL),
    row("a decorated function", spoiled("import functools\n\n\n" + with_right(CALL) +
                                        "\n\n\ndiscounted_returns = functools.lru_cache(discounted_returns)"), FULL),
    row("a module of torch", spoiled(with_right(CALL) + """


class Returns(torch.nn.Module):
    def forward(self, rewards, ends, discount):
        return right(rewards, ends, discount)


discounted_returns = Returns()"""), FULL),
    row("a scripted function", spoiled("""\
@torch.jit.script
def discounted_returns(rewards: torch.Tensor, ends: torch.Tensor, discount: float):
    returns = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[0])
    for k in range(len(rewards)):
        t = len(rewards) - 1 - k
        if bool(ends[t]):
            following = rewards[t]
        else:
            following = rewards[t] + discount * following
        returns[t] = following
    return returns"""), FULL),
    row("a generator",
        spoiled(with_right("for value in right(rewards, ends, discount):\n    yield float(value)")), FULL),
    row("no function, a tensor", spoiled("discounted_returns = torch.tensor([3.0, 4, 4])"), ONE),
    row("a coroutine", spoiled(with_right(CALL).replace("def discounted", "async def discounted")), ONE),
    row("too few arguments", spoiled("def discounted_returns(rewards):\n    return rewards"), ONE),
    row("other names of arguments",
        spoiled(RIGHT_RETURNS.replace("rewards", "récompenses").replace("ends", "終")), FULL),
    row("within `if __name__`",
        spoiled('if __name__ == "__main__":\n    ' + RIGHT_RETURNS.replace("\n", "\n    ")),
        FULL),
    row("wrong first, right afterwards", notebook(returns=ZEROS, after=(RIGHT_RETURNS,)), FULL),
    row("right first, wrong afterwards", notebook(after=(ZEROS,)), ONE),
    row("deleted afterwards", notebook(after=("del discounted_returns",)), ONE),
    row("everything in one cell",
        ("\n".join((SETUP, RIGHT_RETURNS, STEP, RIGHT_TARGET, CHECK1, CHECK2, SCORE)),), FULL),
    row("no cells at all", (), NONE),
    row("blank and a trained network",
        blank("net = torch.nn.Linear(3, 3)\nfor _ in range(100):\n    net(torch.ones(3))"),
        NONE),
)

CELLS = (
    row("an endless loop after the answer",
        spoiled(RIGHT_RETURNS + "\n\n\nwhile True:\n    pass"), FULL, noted=True),
    row("an endless loop before the answer",
        spoiled("while True:\n    pass\n\n\n" + RIGHT_RETURNS), FULL, noted=True),
    row("os._exit after the answer", spoiled(RIGHT_RETURNS + "\n\n\nimport os\nos._exit(1)"), FULL, noted=True),
    row("sys.exit after the answer", spoiled(RIGHT_RETURNS + "\n\n\nimport sys\nsys.exit(1)"), FULL),
    row("a constant before an endless loop", spoiled(
        "ONE = 1.0\n\n\n" + with_right("return ONE * right(rewards, ends, discount)") + "\n\n\nwhile True:\n    pass"),
        FULL, noted=True),
    row("a long training that is no answer",
        before("for step in range(10 ** 12):\n    step += 1"), FULL, noted=True),
    row("an import that is not there, before the answer", spoiled(
        "from rlcourse.plots.curves import curves\nimport no_such_package\n\n\n" + RIGHT_RETURNS), FULL),
    row("a file that is not there, before the answer",
        spoiled('open("data.csv").read()\n\n\n' + RIGHT_RETURNS), FULL),
    row("asks the user before the answer", spoiled('name = input("Your name? ")\n\n\n' + RIGHT_RETURNS), FULL),
    row("a constant after an error", spoiled(
        "1 / 0\nONE = 1.0\n\n\n" + with_right("return ONE * right(rewards, ends, discount)")), FULL),
    row("magics", before("%matplotlib inline", "%load_ext autoreload\n%autoreload 2", "!echo hello", "files = !ls",
                         "torch.zeros?", "?torch", "%time sum(range(10))", "%%bash\necho hello", "%config x",
                         "%%writefile x.py\nx = 1", "%pip install torch"), FULL),
    row("magics in the cell of the answer",
        spoiled("%matplotlib inline\n!ls\n" + RIGHT_RETURNS + "\n%time 1 + 1\n!ls"),
        FULL),
    row("%%time over the answer", spoiled("%%time\n" + RIGHT_RETURNS), FULL),
    row("%%capture over the answer", spoiled("%%capture printed\n" + RIGHT_RETURNS), FULL),
    row("await at the top of the cell of the answer", spoiled(
        "import asyncio\n\nawait asyncio.sleep(0)\n\n\n" + RIGHT_RETURNS), FULL),
    row("async for at the top", before("""\
import asyncio


async def numbers():
    yield 1


async for number in numbers():
    print(number)""", "async with asyncio.Lock():\n    pass"), FULL),
    row("a cell that is no Python", before("this is no Python", "def (", "'''", "\\", "\tx = 1\n  y = 2"), FULL),
    row("null bytes", before("x = 1\0", "\0" * 1000, 'x = "\0"'), FULL),
    row("odd spaces and line ends", spoiled(RIGHT_RETURNS.replace("\n", "\r\n") + "\f\n"), FULL),
    row("lone surrogates in the source", before('x = "\ud800"', "\udfff"), FULL),
    row("5 MB of source", before("x = [" + "1, " * 1_700_000 + "]"), FULL),
    row("5 MB of one comment in the cell of the answer", spoiled("#" * 5_000_000 + "\n" + RIGHT_RETURNS), FULL),
    row("source that nests too deeply for the parser", before("(" * 100_000, "x = " + "-" * 100_000 + "1",
                                                              "[" * 90 + "]" * 90, "a" + ".a" * 100_000), FULL),
    row("two thousand cells", before(*(f"x{number} = {number}" for number in range(2000))), FULL),
    row("empty cells", before("", "   ", "\n\n", "# only a comment", "...", "pass", "'text'"), FULL),
    row("from __future__ in the middle", before("x = 1\n\n\nfrom __future__ import annotations",
                                                "from __future__ import annotations"), FULL),
    row("names of the notebook's own", before("display(1)", "print(In, Out, _, __)", "exit", "quit()",
                                              "from IPython.display import clear_output, display\ndisplay('x')",
                                              "get_ipython().run_line_magic('matplotlib', 'inline')"), FULL),
    row("display in the cell of the answer", spoiled("display('here it comes')\n" + RIGHT_RETURNS), FULL),
    row("plots", before("import matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nplt.show()"), FULL),
    row("plots in the cell of the answer", spoiled(
        "import matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nplt.show()\n\n\n" + RIGHT_RETURNS), FULL),
    row("ex used for something else",
        before("ex = 3", "exercise = None", "start = start()", "f = g = call = 1"), FULL),
    row("builtins used for something else", before(
        "list = [1]\nstr = 'x'\ntype = max = min = sum = int = float = id = input = 0\nprint = None\n"
        "dict = isinstance = callable = getattr = tuple = bool = range_ = object = None"), FULL),
    row("the worker's names used for something else", before(
        "rlcourse = sys = os = json = struct = name = value = self = namespace = cell = answers = 1"), FULL),
    row("float32 by default", before("torch.set_default_dtype(torch.float32)"), FULL),
    row("float64 by default", before("torch.set_default_dtype(torch.float64)"), FULL),
    row("no gradients by default", spoiled(RIGHT_RETURNS, before=("torch.set_grad_enabled(True)",)), FULL),
    row("within inference mode", spoiled(with_right(f"with torch.inference_mode():\n    {CALL}")), FULL),
    row("another default device",
        before('torch.set_default_device("meta")', 'torch.set_default_device("cpu")'), FULL),
    row("warnings are errors",
        before('import warnings\n\nwarnings.simplefilter("error")\nnp.seterr(all="raise")'), FULL),
    row("a low recursion limit", before("import sys\n\nsys.setrecursionlimit(200)"), FULL),
    row("output closed", before("import sys\n\nsys.stdout.close()\nsys.stderr = None", "print(1)"), FULL),
    row("output redirected", before("import sys\n\nsys.stdout = open('log.txt', 'w')\nprint(1)"), FULL),
    row("file descriptors of the output closed",
        before("import os\n\nos.close(0)\nos.close(1)\nos.close(2)"), FULL),
    row("elsewhere and without an environment", before(
        "import os\nimport sys\n\nos.chdir('/')\nos.environ.clear()\nsys.path.clear()\nsys.argv.clear()"), FULL),
    row("modules deleted", before("import sys\n\nfor name in ('json', 'struct', 'io', 'linecache', 'traceback'):\n"
                                  "    sys.modules.pop(name, None)"), FULL),
    row("no garbage collection", before("import gc\n\ngc.disable()\ngc.freeze()"), FULL),
    row("logs a lot", before("import logging\n\nlogging.basicConfig(level=0)\nfor i in range(10_000):\n"
                             "    logging.debug(i)"), FULL),
)

WAYS = (
    row("prints in every call", spoiled(with_right('print("here", rewards)\n' + CALL)), FULL),
    row("takes its time", spoiled("import time\n\n\n" + with_right("time.sleep(0.3)\n" + CALL)), FULL),
    row("a pool of threads", spoiled("from concurrent.futures import ThreadPoolExecutor\n\n\n" + with_right(
        "with ThreadPoolExecutor(2) as pool:\n    return pool.submit(right, rewards, ends, discount).result()")), FULL),
    row("a pool of processes", spoiled("import multiprocessing\n\n\n" + with_right("""\
with multiprocessing.get_context("fork").Pool(2) as pool:
    return pool.apply(float_returns, (rewards.tolist(), ends.tolist(), discount))""") + """


def float_returns(rewards, ends, discount):
    answer, following = [], 0.0
    for reward, end in zip(reversed(rewards), reversed(ends)):
        following = reward + (0.0 if end else discount * following)
        answer.append(following)
    return answer[::-1]"""), FULL,
        landlock=(ONE, FULL)),  # its locks need /dev/shm, which Landlock must keep closed
    row("a loader with workers", before("""\
data = torch.utils.data.DataLoader(torch.zeros(8, 2), batch_size=4, num_workers=1)
print([batch.shape for batch in data])"""), FULL),
    row("an event loop of its own", spoiled("import asyncio\n\n\n" + with_right("""\
async def later():
    return right(rewards, ends, discount)


return asyncio.new_event_loop().run_until_complete(later())""")), FULL),
    row("its own class, pickled", spoiled("""\
import copy
import dataclasses
import pickle


@dataclasses.dataclass
class Box:
    value: object


""" + with_right("return pickle.loads(pickle.dumps(copy.deepcopy(Box(right(rewards, ends, discount))))).value")), FULL),
    row("its own source", spoiled("import inspect\n\n\n" + with_right(
        'assert "def right" in inspect.getsource(right)\n' + CALL)), FULL),
    row("a subprocess", spoiled("import subprocess\nimport sys\n\n\n" + with_right(
        'subprocess.run([sys.executable, "-c", "print(1)"], check=True, capture_output=True)\n' + CALL)), FULL),
    row("files of its own", spoiled("import tempfile\n\n\n" + with_right("""\
with tempfile.TemporaryFile() as file:
    torch.save(right(rewards, ends, discount), file)
    file.seek(0)
    return torch.load(file)""")), FULL),
    row("files that an earlier cell wrote", spoiled("from pathlib import Path\n\n\n" + with_right(
        'return float(Path("one.txt").read_text()) * right(rewards, ends, discount)'),
        before=("from pathlib import Path\n\nPath('one.txt').write_text('1.0')",)), FULL),
    row("environments of the course", spoiled("""\
from rlcourse.core.seeding import generator
from rlcourse.envs.tightrope import tightrope

rope = tightrope(True)


""" + with_right("return right(rewards, ends, discount) * rope.initial[0]")), FULL),
    row("numpy throughout", spoiled(returns("""\
rewards, answer, following = np.asarray(rewards), [], 0.0
for reward, end in zip(rewards[::-1], np.asarray(ends)[::-1]):
    following = reward + discount * following * (not end)
    answer.insert(0, following)
return np.array(answer)""")), FULL),
    row("a helper in a later cell", notebook(
        returns=with_right("return helper(right(rewards, ends, discount))"), after=("def helper(x):\n    return x",)),
        FULL),
)
