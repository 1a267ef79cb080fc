"""The box around a student's process: bubblewrap, else Landlock, else a plain process with limits.

`open_sandbox` tries the kind out before anybody is marked with it: an empty process must answer and must not reach
a file, a folder, a port and a process that were prepared for it.
"""

import itertools
import json
import os
import pwd
import secrets
import shutil
import socket
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .box import LIBRARY, make_box
from .cases import Question
from .limits import Limits
from .lockdown import landlock_version
from .process import Ended, Process, TooSlow
from .scratch import scratch_folder
from .wire import Garbled

ISOLATION = ("auto", "bubblewrap", "landlock", "plain")
_GAPS = {
    "read": "A notebook can read files of this machine, the published solutions among them.",
    "write": "A notebook can write files where this account may.",
    "connect": "A notebook can use the network.",
    "service": "A notebook can ask services of this machine, which may run programs for this account.",
    "signal": "A notebook can stop other programs of this account, this one included.",
}
_SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
            "/sys/devices/system/cpu")
_START = ("import json, sys; config = json.loads(sys.argv[1]); sys.path[:] = config['paths']; "
          "from rlcourse.grading.entry import main; main(config)")


class NoSandbox(Exception):
    """The kind that was asked for does not work here; the message says why."""


class NoAnswer(Exception):
    """A process did not come up; that says nothing about the student."""


@dataclass(frozen=True, eq=False)
class Sandbox:
    """A kind of box that works here, and `gaps`: a sentence for each thing that it leaves open."""

    kind: str
    box: Path
    limits: Limits
    gaps: tuple[str, ...] = ()
    _users: Iterator[int] | None = None  # started as root: unused accounts, one for each process
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, probes: dict[str, object] | None = None) -> tuple[Process, list[str]]:
        """An empty process that has closed its doors and said so, and which `probes` got through.

        Raises `NoAnswer`, never anything that could be taken for a student's mistake.
        """
        home = Path(tempfile.mkdtemp(prefix="home-", dir=self.box.parent))
        with self._lock:
            user = next(self._users) if self._users else None
        boxed = self.kind == "bubblewrap"
        if user is not None and not boxed:
            os.chown(home, user, user)  # this student's alone
        config = {"limits": asdict(self.limits), "user": user, "probes": probes or {},
                  "home": "/home" if boxed else str(home), "writable": ["/dev/null", *["/dev/shm"][:boxed]],
                  "paths": ["/box" if boxed else str(self.box), *_packages()],
                  "landlock": self.kind == "landlock" or boxed and landlock_version() > 0,
                  "readable": ["/"] if boxed else [str(self.box), *_system(), *_DEVICES]}
        command = [os.path.realpath(sys.executable), "-s", "-S", "-P", "-c", _START, json.dumps(config)]
        if boxed:
            command = [*_bubblewrap(self.box), *command]
        process = Process(command, _environment(config["home"]), home, self.limits)
        try:
            _, kind, reached = process.receive(time.monotonic() + self.limits.start)
            if kind != "hello":
                raise Garbled("no greeting")
        except (Ended, TooSlow, Garbled) as error:
            process.stop()
            raise NoAnswer(f"the student's process did not start ({self.kind}, {type(error).__name__})") from error
        return process, reached


@contextmanager
def open_sandbox(questions: Iterable[Question], isolation: str = "auto",
                 limits: Limits = Limits()) -> Iterator[Sandbox]:
    """A box for the answers to `questions`, tried out. Raises `NoSandbox` if there is none of this kind."""
    if isolation not in ISOLATION:
        raise NoSandbox(f"isolation: expected one of {', '.join(ISOLATION)}, got {isolation!r}")
    if os.name != "posix":
        raise NoSandbox("isolation: needs Linux or macOS (on Windows: WSL); ex.check in the notebook works everywhere")
    with scratch_folder() as folder:
        box = make_box(folder / "box", questions)
        yield _first_that_works(ISOLATION[1:] if isolation == "auto" else (isolation,), box, limits)


def _first_that_works(kinds: tuple[str, ...], box: Path, limits: Limits) -> Sandbox:
    reasons = []
    for kind in kinds:
        users = _unused_accounts() if os.geteuid() == 0 else None
        try:
            reached = _tried(Sandbox(kind, box, limits, _users=users))
        except NoSandbox as error:
            reasons.append(str(error))
        else:
            return Sandbox(kind, box, limits, tuple(_GAPS[name] for name in reached), users)
    raise NoSandbox("; ".join(reasons))


def _tried(sandbox: Sandbox) -> list[str]:
    """The names of the doors that are open in this kind of box; `NoSandbox` if that makes it none."""
    if sandbox.kind == "bubblewrap" and shutil.which("bwrap") is None:
        raise NoSandbox("bubblewrap: the command bwrap is not installed (on Debian and Ubuntu: package bubblewrap)")
    if sandbox.kind == "landlock" and landlock_version() == 0:
        raise NoSandbox("landlock: this system's kernel has none (Linux 5.13 or newer has)")
    folder = tempfile.mkdtemp(prefix="probe-", dir=sandbox.box.parent)
    os.chmod(folder, 0o777)  # closed by the box or not at all: any account may write here
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            probes = {"read": str(LIBRARY / "grading" / "cases.py"), "write": folder,
                      "connect": server.getsockname()[1], "service": sandbox.kind, "signal": os.getpid()}
            if sandbox.kind == "bubblewrap":
                del probes["service"]  # none is in sight there
            process, reached = sandbox.start(probes)
        process.stop()
    except NoAnswer as error:
        raise NoSandbox(f"{sandbox.kind}: does not work on this machine ({error})") from error
    finally:
        shutil.rmtree(folder)
    if sandbox.kind != "plain" and {"read", "write"} & set(reached):
        raise NoSandbox(f"{sandbox.kind}: lets a notebook read the course's own files here")
    return reached


def _packages() -> list[str]:
    """The folders that Python imports from, without the course itself."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    return list(dict.fromkeys([*folders, os.path.join(sysconfig.get_path("platstdlib"), "lib-dynload"),
                               *(path for path in sys.path if path.endswith(("lib-dynload", "site-packages")))]))


def _system() -> list[str]:
    """What Python, its packages and the libraries under them need to read."""
    return [*(path for path in _SYSTEM if os.path.exists(path)), sys.base_prefix, *_packages()]


def _bubblewrap(box: Path) -> list[str]:
    """The command in front: everything read-only, a home in memory, no network and no other process in sight."""
    root = os.geteuid() == 0
    arguments = [shutil.which("bwrap"), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
                 "--die-with-parent"]
    if root:  # stays root until the process has become another account, in `lockdown.become`
        rights = ("SETUID", "SETGID", "KILL", "SYS_PTRACE")  # the last to look at another account's open files
        arguments += [word for right in rights for word in ("--cap-add", f"CAP_{right}")]
    else:
        arguments += ["--unshare-user"]
    for path in _SYSTEM:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            arguments += ["--ro-bind", path, path]
    arguments += ["--tmpfs", str(LIBRARY.parent)]  # in case the course lies under one of those
    for path in dict.fromkeys((sys.base_prefix, *_packages())):
        if os.path.exists(path) and not any(path.startswith(f"{above}/") for above in (*_SYSTEM, sys.base_prefix)):
            arguments += ["--ro-bind", path, path]
    return [*arguments, "--ro-bind", str(box), "/box", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/home",
            "--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/home", "--"]


def _environment(home: str) -> dict[str, str]:
    return {"HOME": home, "TMPDIR": home, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg", "RLCOURSE_DEVICE": "cpu",
            "RLCOURSE_CHECKING": "1", "PYTHONHASHSEED": "0"}


def _unused_accounts() -> Iterator[int]:
    """User numbers that nobody has: no name, no process. A new one for each, so that none can touch another."""
    known = {account.pw_uid for account in pwd.getpwall()}
    for user in itertools.count(60_000 + secrets.randbelow(4000)):
        if user not in known and user not in _owners_of_processes():
            yield user


def _owners_of_processes() -> set[int]:
    owners = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            owners.add(entry.stat().st_uid)
        except OSError:
            continue  # it ended while we looked
    return owners
