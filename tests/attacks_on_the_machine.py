"""Attacks on processes, files, the network and the memory of the machine that grades."""

from attack_notebooks import FULL, MAYBE, NAMED, ONE, ZEROS, lure, returns, row, spoiled, with_right
from sample_exercise import RIGHT_RETURNS, notebook

DAEMON = NAMED + """
import os
import time


def daemon():
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    call_me_left_behind()
    for number in range(64):
        try:
            os.close(number)
        except OSError:
            pass
    while True:
        time.sleep(1)

"""

PROCESSES = (
    row("daemon", spoiled(DAEMON + "\ndaemon()"), ONE),
    row("daemon of a function",
        spoiled(DAEMON + with_right("daemon()\nreturn right(rewards, ends, discount)")), FULL),
    row("daemon after the parent-death signal and the subreaper are reset", spoiled(DAEMON + """
import ctypes
import signal

libc = ctypes.CDLL(None)
libc.prctl(1, 0, 0, 0, 0)
libc.prctl(36, 1, 0, 0, 0)
libc.prctl(4, 0, 0, 0, 0)
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
daemon()"""), ONE),
    row("daemons that start daemons", spoiled(DAEMON + """
if not os.fork():
    call_me_left_behind()
    os.setsid()
    while True:
        if os.fork():
            os._exit(0)
        time.sleep(0.002)"""), ONE),
    row("fork bomb in a cell",
        spoiled(NAMED + "\nimport os\n\ncall_me_left_behind()\nwhile True:\n    os.fork()"), ONE,
        noted=True),
    row("fork bomb that swallows errors", spoiled(NAMED + """
import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
call_me_left_behind()
while True:
    try:
        os.fork()
    except OSError:
        pass"""), ONE, noted=True),
    row("fork bomb in a function", spoiled(NAMED + "\nimport os\n\n\n" + returns(
        "call_me_left_behind()\nwhile True:\n    os.fork()")), ONE),
    row("thirty processes that take memory", spoiled(NAMED + """
import os
import time

call_me_left_behind()
for _ in range(30):
    if not os.fork():
        hoard = torch.ones(25_000_000)
        time.sleep(300)"""), *MAYBE),
    row("threads that go on after the reply", spoiled(with_right("""\
import threading


def busy():
    while True:
        sum(range(1000))


threading.Thread(target=busy, daemon=True).start()
return right(rewards, ends, discount)""")), FULL),
    row("threads that keep the process from ending", spoiled(RIGHT_RETURNS + """


import threading
import time

threading.Thread(target=lambda: time.sleep(300)).start()"""), FULL),
    row("atexit that never ends", spoiled(RIGHT_RETURNS + """


import atexit
import time

atexit.register(lambda: time.sleep(300))
atexit.register(print, "x" * 10 ** 7)"""), FULL),
    row("alarms that raise between the calls", spoiled(ZEROS, before=("""\
import signal


def ring(*args):
    raise SystemExit


signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)""",)), *MAYBE),
    row("stops itself in a cell", spoiled("import os\nimport signal\n\nos.kill(os.getpid(), signal.SIGSTOP)"), ONE,
        noted=True),
    row("stops itself in a function", spoiled("import os\nimport signal\n\n\n" + returns(
        "os.kill(os.getpid(), signal.SIGSTOP)\nreturn rewards")), ONE),
    row("stops its whole group",
        spoiled("import os\nimport signal\n\nos.killpg(0, signal.SIGSTOP)"), ONE, noted=True),
    row("kills its whole group", spoiled("import os\n\nos.killpg(0, 9)"), ONE, noted=True),
    row("stops its parent", spoiled("import os\nimport signal\n\nos.kill(os.getppid(), signal.SIGSTOP)"), ONE,
        own_user=None),
    row("kills everything that it may", spoiled("import os\n\nos.kill(-1, 9)"), ONE, own_user=None),
    row("kills its supervisor and leaves a daemon", spoiled(DAEMON + "\ndaemon()\nos.kill(os.getppid(), 9)"), ONE),
    row("raises its own limits", notebook(lure("""\
import resource

for what in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE):
    resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
won = True""")), ONE),
    row("memory of the parent", notebook(lure("""\
import os

with open(f"/proc/{os.getppid()}/mem", "rb") as memory:
    won = True""")), ONE),
    row("traces the parent", notebook(lure("""\
import ctypes
import os

won = ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0""")), ONE),
    row("open files of the parent", notebook(lure("""\
import os

for number in os.listdir(f"/proc/{os.getppid()}/fd"):
    won = bool(os.readlink(f"/proc/{os.getppid()}/fd/{number}"))""")), ONE),
    row("environment of the grader", notebook(lure("""\
import os

for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            won = won or b"@TOKEN@-secret" in open(f"/proc/{name}/environ", "rb").read()
        except OSError:
            pass""")), ONE, own_user=FULL),
    row("the seed in a command line", notebook(lure("""\
import os

for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            won = won or b"@TOKEN@-seed" in open(f"/proc/{name}/cmdline", "rb").read()
        except OSError:
            pass""")), ONE, plain=FULL),
    row("secrets in its own environment", notebook(lure("""\
import os

won = any("@TOKEN@" in value for value in os.environ.values())""")), ONE),
    row("becomes root again", notebook(lure("""\
import ctypes
import os

won = os.getuid() == 0 or ctypes.CDLL(None).setuid(0) == 0 or ctypes.CDLL(None).setgid(0) == 0""")), ONE),
)

FILES = (
    row("many files of 20 MB in the home", spoiled(RIGHT_RETURNS, before=("""\
import pathlib

for number in range(30):
    try:
        (pathlib.Path.home() / f"big{number}").write_bytes(bytes(19 * 2 ** 20))
    except OSError:
        break""",)), FULL),
    row("600 MB that nobody stops", notebook(lure("""\
import pathlib
import time

for number in range(30):
    (pathlib.Path.home() / f"big{number}").write_bytes(bytes(19 * 2 ** 20))
time.sleep(1)
won = True""")), ONE),
    row("600 MB in a folder that only the student may open", notebook(lure("""\
import os
import pathlib
import time

closed = pathlib.Path.home() / "closed"
closed.mkdir(mode=0o700)
for number in range(30):
    (closed / f"big{number}").write_bytes(bytes(19 * 2 ** 20))
try:
    pathlib.Path.home().chmod(0o700)
except OSError:
    pass
time.sleep(1)
won = True""")), ONE),
    row("600 MB in a folder 2000 levels deep", notebook(lure("""\
import os
import time

os.chdir(os.path.expanduser("~"))
for _ in range(2000):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
for number in range(30):
    open(f"big{number}", "wb").write(bytes(19 * 2 ** 20))
time.sleep(1)
won = True""")), ONE),
    row("600 MB in files that have no name any more", notebook(lure("""\
import os
import tempfile
import time

kept = [tempfile.TemporaryFile() for _ in range(30)]
for file in kept:
    file.write(bytes(19 * 2 ** 20))
    file.flush()
time.sleep(1)
won = True""")), ONE),
    row("600 MB in shared memory without a name", notebook(lure("""\
import os
import time

kept = [os.memfd_create("kept") for _ in range(30)]
for number in kept:
    os.write(number, bytes(19 * 2 ** 20))
time.sleep(1)
won = True""")), ONE),
    row("the home of a neighbour", notebook(lure("""\
import os
import time

above = os.path.dirname(os.path.expanduser("~"))
end = time.monotonic() + 1.2
while time.monotonic() < end and not won:
    for name in os.listdir(above):
        if os.path.join(above, name) != os.path.expanduser("~") and name.startswith(("home-", "rlcourse-")):
            won = won or os.access(os.path.join(above, name), os.W_OK)""")), ONE,
        own_user=(ONE, FULL)),
    row("one file of 100 MB", spoiled(RIGHT_RETURNS, before=("""\
import pathlib

(pathlib.Path.home() / "big").write_bytes(bytes(100 * 2 ** 20))""",)), FULL),
    row("many small files", spoiled(RIGHT_RETURNS, before=("""\
import pathlib

for number in range(5000):
    (pathlib.Path.home() / f"small{number}").touch()""",)), FULL),
    row("a folder 800 levels deep", spoiled(RIGHT_RETURNS, before=("""\
import os

os.chdir(os.path.expanduser("~"))
for _ in range(800):
    os.mkdir("d")
    os.chdir("d")""",)), FULL),
    row("a folder 3000 levels deep", spoiled(RIGHT_RETURNS, before=("""\
import os

os.chdir(os.path.expanduser("~"))
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")""",)), FULL, (3, 3)),  # more folders than a home may have: the process is ended, perhaps in a call
    row("a folder that nobody may open", spoiled(RIGHT_RETURNS, before=("""\
import pathlib

folder = pathlib.Path.home() / "closed"
folder.mkdir()
(folder / "file").touch()
folder.chmod(0)
pathlib.Path.home().chmod(0o500)""",)), FULL),
    row("file names that are no text", spoiled(RIGHT_RETURNS, before=("""\
import os

for name in (b"\\xff\\xfe", b"a\\nb", b"\\x1b[31m", b"-rf", b"x" * 255):
    open(os.path.join(os.fsencode(os.path.expanduser("~")), name), "w").close()""",)), FULL),
    row("symbolic links out of the home", spoiled(RIGHT_RETURNS, before=("""\
import os
import pathlib

home = pathlib.Path.home()
for number, target in enumerate(("@FOLDER@", "/", "/dev/zero", "..", "loop5")):
    os.symlink(target, home / f"loop{number + 1}")
os.mkfifo(home / "pipe")""",)), FULL),
    row("deletes its home", spoiled(RIGHT_RETURNS, before=("""\
import pathlib
import shutil

shutil.rmtree(pathlib.Path.home(), ignore_errors=True)""",)), FULL),
    row("deletes the instructor's folder", spoiled(RIGHT_RETURNS, before=("""\
import shutil

shutil.rmtree("@FOLDER@", ignore_errors=True)""",)), FULL, own_user=None),
    row("leaves files in the temporary folders", spoiled(RIGHT_RETURNS, before=("""\
import os
import tempfile

for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", tempfile.gettempdir(), "/dev/mqueue"):
    try:
        open(os.path.join(folder, "@MARK@-left"), "w").close()
    except OSError:
        pass""",)), FULL, leaves=True),
    row("leaves shared memory and semaphores", spoiled(RIGHT_RETURNS, before=("""\
import ctypes
from multiprocessing import shared_memory

try:
    ctypes.CDLL(None).shmget(0x5ec7e7, 4096, 0o1666)
    shared_memory.SharedMemory("@MARK@-left", create=True, size=4096)
except OSError:
    pass""",)), FULL, leaves=True),
    row("looks for the checks beside its own files", notebook(lure("""\
import os

for folder, folders, names in os.walk(os.path.expanduser("~")):
    won = won or any("sample_exercise" in name or "ex02" in name for name in names)
import rlcourse.grading.checks.ex02_imitation
won = True""")), ONE),
    row("imports the equations", notebook(lure("import rlcourse.equations.imitation\nwon = True")), ONE),
    row("imports the algorithms", notebook(lure("from rlcourse.algorithms import dagger\nwon = True")), ONE),
    row("finds the repository through the packages", notebook(lure("""\
import glob
import json
import os
import sys

for folder in [*sys.path, *glob.glob(sys.prefix + "/lib/python*/site-packages")]:
    for record in glob.glob(folder + "/rlcourse*/direct_url.json"):
        found = json.load(open(record))["url"].removeprefix("file://")
        won = won or bool(os.listdir(found + "/solutions"))
    for link in glob.glob(folder + "/*rlcourse*.pth") + glob.glob(folder + "/__editable__*"):
        for line in open(link).read().splitlines():
            won = won or os.path.isdir(line + "/solutions") and bool(os.listdir(line + "/solutions"))""")),
        ONE, plain=(ONE, FULL)),
    row("finds the repository by walking up", notebook(lure("""\
import os
import rlcourse

for start in (os.getcwd(), os.path.dirname(rlcourse.__file__)):
    while start != "/":
        start = os.path.dirname(start)
        won = won or os.path.isfile(start + "/solutions/02_imitation.py")""")), ONE),
    row("lists the instructor's folder", notebook(lure("import os\n\nwon = bool(os.listdir('@FOLDER@'))")), ONE,
        plain=FULL),
    row("changes the instructor's folder's mode", notebook(lure(
        "import os\n\nos.chmod('@FOLDER@', 0o777)\nwon = True")), ONE, own_user=FULL),
    row("the solution through a symbolic link", notebook(lure("""\
import os

link = os.path.join(os.path.expanduser("~"), "link")
os.symlink("@FOLDER@/solution.py", link)
exec(open(link).read())
won = True""")), ONE, plain=FULL),
    row("the solution through /proc/self/root", notebook(lure(
        'exec(open("/proc/self/root@FOLDER@/solution.py").read())\nwon = True')), ONE, plain=FULL),
    row("the solution through the root of another process", notebook(lure("""\
import os

for name in os.listdir("/proc"):
    try:
        open(f"/proc/{name}/root@FOLDER@/solution.py").read()
        other = name.isdigit() and int(name) != os.getpid()
        won = won or other and not os.path.samefile(f"/proc/{name}/root", "/")
    except OSError:
        pass""")), ONE),
    row("the solution by mounting", notebook(lure("""\
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
libc.unshare(0x10000000 | 0x00020000)
if libc.mount(b"proc", b"/proc", b"proc", 0, None) == 0:
    won = bool(open("/proc/1/root@FOLDER@/solution.py").read())""")), ONE),
    row("a module of the same name beside the worker", spoiled(ZEROS, before=("""\
import os
import sys

for folder in (os.getcwd(), os.path.expanduser("~"), *sys.path):
    for name in ("torch", "json", "struct", "wire", "worker", "sitecustomize", "usercustomize"):
        try:
            open(os.path.join(folder, name + ".py"), "w").write("raise SystemExit('shadowed')")
        except OSError:
            pass
os._exit(0)""",)), ONE, noted=True),
    row("writes into the packages", notebook(lure("""\
import os
import torch

open(os.path.join(os.path.dirname(torch.__file__), "@MARK@-left.py"), "w").close()
won = True""")), ONE, own_user=FULL),
    row("a bytecode cache that is not its own", notebook(lure("""\
import os
import rlcourse.core as core

folder = os.path.join(os.path.dirname(core.__file__), "__pycache__")
os.makedirs(folder, exist_ok=True)
open(os.path.join(folder, "@MARK@-left.pyc"), "w").close()
won = True""")), ONE, own_user=(ONE, FULL)),
)

NETWORK = (
    row("UDP", notebook(lure("""\
import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(1)
    line.sendto(b"help", ("127.0.0.1", @UDP@))
    won = b"def discounted_returns" in line.recv(100_000)""")), ONE),
    row("abstract Unix socket", notebook(lure("""\
import socket

with socket.socket(socket.AF_UNIX) as line:
    line.settimeout(1)
    line.connect("\\0@ABSTRACT@")
    won = b"def discounted_returns" in line.recv(100_000)""")), ONE),
    row("Unix socket in the instructor's folder", notebook(lure("""\
import socket

with socket.socket(socket.AF_UNIX) as line:
    line.settimeout(1)
    line.connect("@FOLDER@/socket")
    won = b"def discounted_returns" in line.recv(100_000)""")), ONE),
    row("waits for an accomplice", notebook(lure("""\
import socket

with socket.create_server(("127.0.0.1", 0)) as door:
    won = True""")), ONE),
    row("opens raw sockets", notebook(lure("""\
import socket

socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
won = True""")), ONE),
)
