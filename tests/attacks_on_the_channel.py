"""Attacks on the pipe to the grader and on what travels through it: frames, values, the encoder."""

from attack_notebooks import (BY_HEART, FULL, MAYBE, NONE, ONE, ZEROS, blank, lure, returns, row, spoiled,
                              with_right)
from sample_exercise import RIGHT_RETURNS, notebook

PIPES = """\
import os
import stat
import struct
import time


def pipes():
    for number in range(256):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            yield number


def shout(data):
    for number in pipes():
        try:
            os.write(number, data)
        except OSError:
            pass


def frame(text, blobs=b"", announced=None):
    return struct.pack(">II", len(text) if announced is None else announced, len(blobs)) + text + blobs

"""
# A well-formed frame as the worker's own module writes it, for whatever number comes next.
FORGE = PIPES + """
def forged(kind, body):
    from rlcourse.grading.wire import pack
    return [pack(number, kind, body) for number in range(-1, 60)]

"""


def shouted(data: str, q1: str = ZEROS, **others) -> tuple[str, ...]:
    """A notebook with a cell that writes `data` into every pipe, and a wrong q1."""
    return spoiled(q1, before=(f"{PIPES}\nshout({data})",), **others)


FRAMES = (
    row("garbage into every pipe from a cell", shouted('b"garbage" * 100'), ONE, noted=True),
    row("garbage into every pipe from a function", spoiled(PIPES + with_right(
        'shout(b"garbage" * 100)\nreturn right(rewards, ends, discount)')), ONE, FULL),
    row("half a frame and silence", shouted('b"\\0\\0\\1\\0\\0\\0\\0\\0["); time.sleep(60'), ONE, noted=True),
    row("a frame of 4 GB announced", shouted('b"\\xff" * 8); time.sleep(60'), ONE, noted=True),
    row("4 GB announced and being sent",
        shouted('b"\\xff" * 8)\nwhile True: shout(b"[" * 65536'), ONE, noted=True),
    row("an endless stream of frames from a thread", spoiled(ZEROS, before=(PIPES + """
import threading


def for_ever():
    while True:
        shout(frame(b'[1, "value", 0]'))
        time.sleep(0.001)


threading.Thread(target=for_ever, daemon=True).start()""",)), *MAYBE),
    row("JSON nested a million deep", shouted('frame(b"[" * 1_000_000)'), ONE, noted=True),
    row("JSON of a million items", shouted('frame(b"[1, \\"value\\", [" + b"0, " * 1_000_000 + b"0]]")'), ONE,
        noted=True),
    row("JSON with a number of a million digits", shouted('frame(b"[1, \\"value\\", " + b"9" * 1_000_000 + b"]")'),
        ONE, noted=True),
    row("JSON with NaN for a number", shouted('frame(b"[NaN, \\"value\\", Infinity]")'), ONE, noted=True),
    row("JSON with the same key twice", shouted(
        'frame(b"[1, \\"value\\", {\\"tensor\\": [\\"bool\\", [1]], \\"tensor\\": [\\"float64\\", [3]]}]", b"x")'),
        ONE, noted=True),
    row("JSON that is no UTF-8", shouted('frame(b"[1, \\"value\\", \\"\\xff\\xfe\\"]")'), ONE, noted=True),
    row("a tensor longer than its bytes", shouted(
        'frame(b"[1, \\"value\\", {\\"tensor\\": [\\"float64\\", [1000000000]]}]", b"12345678")'),
        ONE, noted=True),
    row("a tensor of a negative shape", shouted(
        'frame(b"[1, \\"value\\", {\\"tensor\\": [\\"float64\\", [-1, -3]]}]", b"x" * 24)'), ONE, noted=True),
    row("a tensor of shape 2^31 × 2^31 × 0", shouted(
        'frame(b"[1, \\"value\\", {\\"tensor\\": [\\"float64\\", [2147483647, 2147483647, 0]]}]")'),
        ONE, noted=True),
    row("a tensor of pickled objects", shouted(
        'frame(b"[1, \\"value\\", {\\"tensor\\": [\\"object\\", [1]]}]", '
        'b"cos\\nsystem\\n(S\'touch @FOLDER@/pickled\'\\ntR.")'),
        ONE, noted=True),
    row("true answers sent ahead for every number", spoiled(ZEROS, before=(FORGE + """
for data in forged("value", torch.tensor([3.0, 4, 4], dtype=torch.float64)):
    shout(data)""",)), *MAYBE),
    row("a forged report for every number", blank(FORGE + """
for kind in ("report", "graded", "mark", "passed", "earned", "result", "ran", "hello", "callback"):
    for data in forged(kind, {"q1": 4, "q2": 3, "earned": 1000, "passed": True, "status": "passed"}):
        shout(data)"""), NONE),
    row("a reply with the wrong number", spoiled(FORGE + returns("""\
from rlcourse.grading.wire import pack
shout(pack(999_999, "value", torch.tensor([3.0, 4, 4], dtype=torch.float64)))
shout(pack(-5, "value", torch.tensor([3.0, 4, 4], dtype=torch.float64)))
return torch.zeros(3)""")), ONE),
    row("every kind of reply to one call", spoiled(FORGE + returns("""\
for kind in ("ran", "hello", "missing", "unanswered", "unusable", "failed", "callback", "nonsense"):
    for data in forged(kind, ["type", "", "", ""]):
        shout(data)
return torch.zeros(3)""")), ONE),
    row("odd bodies in well-formed replies", spoiled(FORGE + returns("""\
for kind in ("ran", "missing", "unanswered", "unusable", "failed", "callback", "value"):
    for body in (None, 1, "x", [], [None] * 3, {"a": 1}, [[[]]], torch.zeros(3), 1e400, -1, [1, 2, 3, 4, 5, 6]):
        for data in forged(kind, body):
            shout(data)
return torch.zeros(3)""")), ONE),
    row("asks back without end", spoiled(FORGE + returns("""\
while True:
    for data in forged("callback", [torch.zeros(3)]):
        shout(data)""")), ONE),
    row("a child that answers too", spoiled(with_right("""\
import os
os.fork()
return right(rewards, ends, discount)""")), ONE, FULL),
    row("a child that answers first", spoiled(returns("""\
import os
import time
if os.fork():
    time.sleep(0.3)
return torch.zeros(3)""")), ONE),
    row("the requests are read by a thread", spoiled(ZEROS, before=(PIPES + """
import threading


def steal(number):
    while True:
        try:
            if not os.read(number, 65536):
                return
        except OSError:
            return


for number in pipes():
    threading.Thread(target=steal, args=(number,), daemon=True).start()""",)), *MAYBE),
    row("all files closed in a cell, with a right answer", spoiled(
        RIGHT_RETURNS + "\n\n\nimport os\nos.closerange(0, 1024)"), FULL, noted=True),
    row("all files closed in a function", spoiled("import os\n\n\n" + with_right(
        "os.closerange(0, 1024)\nreturn right(rewards, ends, discount)")), ONE),
    row("every file replaced by /dev/null", spoiled(ZEROS, before=("""\
import os
null = os.open("/dev/null", os.O_RDWR)
for number in range(64):
    os.dup2(number if number == null else null, number)""",)), ONE, noted=True),
)

HOSTILE = '''\
class Hostile:
    """Says that it is a tensor, and runs whatever the other side asks of it."""
    __class__ = torch.Tensor
    shape, dtype, ndim, layout, device = torch.Size([3]), torch.float64, 1, torch.strided, torch.device("cpu")

    def __eq__(self, other):
        return True

    def __float__(self):
        return float("nan")

    def __len__(self):
        return 10 ** 9

    def __iter__(self):
        while True:
            yield self

    def __array__(self, *args, **kwargs):
        raise SystemExit

    @classmethod
    def __torch_function__(cls, *args, **kwargs):
        return cls()

    def __getattr__(self, name):
        return lambda *args, **kwargs: self'''


def gives(expression: str, before: str = "") -> tuple[str, ...]:
    """A notebook whose q1 gives this value."""
    return spoiled((before + "\n\n\n" if before else "") + returns(f"return {expression}"))


def right_as(expression: str, before: str = "") -> tuple[str, ...]:
    """A notebook whose q1 gives the right value (`answer`) in another form."""
    return spoiled((before + "\n\n\n" if before else "") + with_right(
        f"answer = right(rewards, ends, discount)\nreturn {expression}"))


VALUES = (
    row("hostile object", gives("Hostile()", HOSTILE), ONE),
    row("list of hostile objects", gives("[Hostile()] * 3", HOSTILE), ONE),
    row("text that equals everything", gives("Text('x')", """\
class Text(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__

    def __str__(self):
        return "1" * 10 ** 8"""), ONE),
    row("numbers that equal everything", gives("[Whole(1), Whole(2), Real(3)]", """\
class Whole(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__


class Real(float):
    __eq__ = lambda self, other: True
    __hash__ = float.__hash__
    __float__ = lambda self: 4.0"""), ONE),
    row("tensor that lies about shape and dtype", gives("Liar()", """\
class Liar(torch.Tensor):
    shape = property(lambda self: torch.Size([3]))
    dtype = property(lambda self: torch.float64)
    ndim = property(lambda self: 1)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return torch.zeros(10 ** 6) if "clone" in str(function) else super().__torch_function__(
            function, types, args, kwargs or {})"""), ONE),
    row("tensor whose methods never end", gives("Sleeper()", """\
class Sleeper(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *args, **kwargs):
        while True:
            pass"""), ONE),
    row("array that lies", gives("np.zeros(3).view(Array)", """\
class Array(np.ndarray):
    __array_interface__ = {"shape": (10 ** 9,), "typestr": "<f8", "data": (8, False), "version": 3}
    shape = (3,)

    def __array__(self, *args, **kwargs):
        return self"""), ONE),
    row("infinite generator", spoiled(returns("while True:\n    yield 1.0")), ONE),
    row("infinite iterator of slow items", gives("iter(lambda: time.sleep(0.01), 1)", "import time"), ONE),
    row("list that contains itself", spoiled(returns("answer = []\nanswer.append(answer)\nreturn answer")), ONE),
    row("list 100,000 deep", spoiled(returns(
        "answer = 1.0\nfor _ in range(100_000):\n    answer = [answer]\nreturn answer")), ONE),
    row("list of ten million", gives("[0.0] * 10_000_000"), ONE),
    row("dictionary of a million", gives("dict.fromkeys(range(1_000_000), 1.0)"), ONE),
    row("dictionary with hostile keys", gives("{Key(): 1.0}", """\
class Key:
    def __str__(self):
        return "k" * 10 ** 8"""), ONE),
    row("dictionary that pretends to be a message", gives('{"tensor": ["float64", [3]]}'), ONE),
    row("dictionary that pretends to be a function", gives('{"function": 0}'), ONE),
    row("number of 5000 digits", gives("10 ** 5000"), ONE),
    row("list with numbers of 300 digits", gives("[10 ** 300, -10 ** 300, 10 ** 309]"), ONE),
    row("NaN, infinity and minus zero", gives('[float("nan"), float("inf"), -0.0]'), ONE),
    row("lone surrogates", gives(r'"\ud800" * 1000'), ONE),
    row("view of 10^12 numbers", gives("torch.zeros(1).expand(1_000_000, 1_000_000)"), ONE),
    row("array view of 10^12 numbers", gives("np.broadcast_to(0.0, (1_000_000, 1_000_000))"), ONE),
    row("sparse tensor", gives("torch.zeros(3).to_sparse()"), ONE),
    row("sparse tensor of a huge shape", gives("torch.sparse_coo_tensor([[0]], [1.0], (2 ** 60,))"), ONE),
    row("quantised tensor", gives("torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.quint8)"), ONE),
    row("meta tensor", gives('torch.zeros(10 ** 12, device="meta")'), ONE),
    row("right real parts, wrong imaginary parts", right_as("answer + 5j"), ONE),
    row("nested tensor", gives("torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])"), ONE),
    row("structured array", gives('np.zeros(3, dtype=[("a", "f8"), ("b", "O")])'), ONE),
    row("array of dates", gives('np.zeros(3, dtype="datetime64[s]")'), ONE),
    row("array of text", gives('np.array(["3", "4", "4"])'), ONE),
    row("tensor subclass with the right numbers", right_as("answer.as_subclass(Mine)", """\
class Mine(torch.Tensor):
    pass"""), FULL),
    row("right, as a few numbers of a huge tensor",
        right_as("torch.cat([answer, torch.zeros(10 ** 7)])[:len(answer)]"),
        FULL),
    row("right, on every second place", right_as("torch.stack([answer, answer], 1)[:, 0]"), FULL),
    row("right, in float32", right_as("answer.float()"), FULL),
    row("right, as an array", right_as("answer.numpy()"), FULL),
    row("right, as an array turned round twice", right_as("answer.numpy()[::-1].copy()[::-1]"), FULL),
    row("right, as a list of tensors", right_as("list(answer)"), FULL),
    row("right, as a tuple of numpy numbers", right_as("tuple(answer.numpy())"), FULL),
    row("right, in a graph", right_as("answer.requires_grad_() * 1.0"), FULL),
    row("right, but its arguments are spoiled", spoiled(with_right("""\
answer = right(rewards, ends, discount)
rewards.fill_(float("nan"))
ends.fill_(True)
rewards.resize_(0)
return answer""")), FULL),
    row("right, in place in its argument", spoiled(returns("""\
for t in reversed(range(len(rewards) - 1)):
    if not ends[t]:
        rewards[t] += discount * rewards[t + 1]
return rewards""")), FULL),
    row("changed after it was given", spoiled(with_right("""\
import threading
import time
answer = right(rewards, ends, discount)


def later():
    time.sleep(0.05)
    answer.fill_(0.0)


threading.Thread(target=later, daemon=True).start()
return answer""")), FULL),
    row("the numbers shown, by heart", spoiled(BY_HEART), ONE),
    row("the numbers shown, by the number of the call", spoiled("""\
calls = 0


def discounted_returns(rewards, ends, discount):
    global calls
    calls += 1
    return [[3.0, 4, 4], None, None, None, [2.0, 2, 8, 8]][min(calls - 1, 4)] or rewards"""), ONE),
    row("answers remembered in files across restarts", spoiled("""\
import os
import pathlib

kept = pathlib.Path.home() / "kept"
before = kept.read_text() if kept.exists() else ""


def discounted_returns(rewards, ends, discount):
    kept.write_text(before + "x")
    if len(before) == 0:
        os._exit(1)
    return torch.tensor([3.0, 4, 4])"""), ONE),
)

PATCHES = (
    row("json patched",
        spoiled(ZEROS, before=("import json\n\njson.dumps = lambda *a, **k: '[1, \"value\", true]'",)),
        *MAYBE),
    row("struct patched",
        spoiled(ZEROS, before=("import struct\n\nstruct.pack = lambda *a: b''\nstruct.Struct = None",)),
        *MAYBE),
    row("os.write patched",
        spoiled(ZEROS, before=("import os\n\nos.write = lambda number, data: len(data)",)), *MAYBE),
    row("builtins patched", spoiled(ZEROS, before=("""\
import builtins

builtins.isinstance = lambda *args: True
builtins.len = lambda value: 0
builtins.getattr = lambda *args: None""",)), *MAYBE),
    row("tensors patched", spoiled(ZEROS, before=("""\
torch.Tensor.numpy = lambda self, *a, **k: np.array([3.0, 4, 4])
for name in ("contiguous", "clone", "detach", "cpu"):
    setattr(torch.Tensor, name, lambda self, *a, **k: self)""",)),
        *MAYBE),
    row("the worker's own modules patched", spoiled(ZEROS, before=("""\
import sys

for name, module in list(sys.modules.items()):
    if name.startswith("rlcourse.grading"):
        for word in dir(module):
            if not word.startswith("__"):
                try:
                    setattr(module, word, lambda *args, **kwargs: torch.tensor([3.0, 4, 4]))
                except Exception:
                    pass""",)), *MAYBE),
    row("expected values by trace, frames and garbage collector", notebook(lure("""\
import gc
import sys

frame = sys._getframe()
while frame is not None:
    for name, value in {**frame.f_locals, **frame.f_globals}.items():
        if name in ("want", "case", "cases", "question", "questions", "confirming", "seed"):
            won = True
    frame = frame.f_back
for thing in gc.get_objects():
    if type(thing).__name__ in ("Case", "Question") or isinstance(thing, dict) and "by_hand" in thing:
        won = True""")), ONE),
    row("expected values by a trace on the comparison", spoiled("""\
import sys

seen = []


def spy(frame, event, argument):
    for name in ("want", "wanted", "expected"):
        if name in frame.f_locals:
            seen.append(frame.f_locals[name])
    return spy


sys.settrace(spy)
sys.setprofile(spy)


""" + returns("return seen[-1] if seen else torch.zeros(3)")), ONE),
    row("the title of the case, the seed or the answer in the arguments' frames", notebook(lure("""\
import inspect

for info in inspect.stack(context=0):
    text = repr(info.frame.f_locals).lower()
    won = won or "one" + " episode" in text or "by" + "_hand" in text""")), ONE),
)
