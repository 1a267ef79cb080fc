"""What a student's process gives up, for good, before it reads a line of the student's code.

Each function is one lock of the operating system, turned from inside; `lock` turns all of them. Standard library
only. The calls that Python lacks go through ctypes, with the numbers of Linux on every architecture.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from pathlib import Path

from .limits import Limits
from .syscalls import refuse_calls

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 1, 4, 8, 38
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_CAPSET = {"x86_64": 126}.get(os.uname().machine, 91)
_CAP_VERSION_3, _CAP_DAC_READ_SEARCH = 0x20080522, 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_RULE_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3


def lock(limits: Limits, user: int | None, home: Path, readable: list[str], writable: list[str],
         landlock: bool) -> None:
    """Turn every lock that this system has. `user`: an unused account to become, if started as root."""
    for folder in filter(os.path.isdir, (home, *writable)):
        if user is not None and os.stat(folder).st_uid != user:
            os.chmod(folder, 0o777)  # in memory, and in this box only
    close_network()
    set_limits(limits, user)
    if landlock:
        close_files(readable, [str(home), *writable])
    if user is not None:
        become(user, sys.base_prefix)
    if _LINUX:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
        refuse_calls()
    os.chdir(home)


def close_network() -> bool:
    """Move to a network and shared memory of our own, where nobody else is; whether that was possible."""
    if not _LINUX:
        return False
    apart = _CLONE_NEWNET | _CLONE_NEWIPC
    if os.geteuid() == 0:
        return _libc().unshare(apart) == 0
    if _libc().unshare(apart | _CLONE_NEWUSER) != 0:
        return False
    _keep_capabilities(0)  # those of the new namespace, which an ordinary user had not asked for
    return True


def set_limits(limits: Limits, user: int | None) -> None:
    """Address space, file size, files, processor time, no core dumps, and the number of processes."""
    seconds = int(limits.notebook) + 10
    wanted = {resource.RLIMIT_FSIZE: limits.file, resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: seconds,
              resource.RLIMIT_NOFILE: 256}
    if _LINUX:  # macOS refuses the first, and counts the user's other programs in the second
        wanted |= {resource.RLIMIT_AS: limits.memory,
                   resource.RLIMIT_NPROC: limits.processes + (_threads_of(os.getuid()) if user is None else 0)}
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def become(user: int, interpreter: str) -> None:
    """From root to an account without a name, without groups and without rights.

    If only root may enter the interpreter's folder, the right to read files is kept: Python could not load
    another module without it.
    """
    keep = _LINUX and not _open_to_all(Path(interpreter))
    if keep:
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if keep:
        _keep_capabilities(1 << _CAP_DAC_READ_SEARCH)


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0 if there is none."""
    return max(0, _libc().syscall(_LANDLOCK_CREATE, None, 0, 1)) if _LINUX else 0


def close_files(readable: list[str], writable: list[str]) -> None:
    """Landlock: from now on only what lies below these paths. TCP (version 4) and signals (6) are closed too."""
    version = landlock_version()
    rights = (1 << {1: 13, 2: 14}.get(version, 15 if version < 5 else 16)) - 1
    # struct landlock_ruleset_attr: file rights, TCP bind and connect, abstract sockets and signals.
    attributes = struct.pack("QQQ", rights, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    length = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _called(_libc().syscall(_LANDLOCK_CREATE, attributes[:length], length, 0))
    for path in readable:
        _allow(ruleset, path, rights & (_EXECUTE | _READ_FILE | _READ_DIR))
    for path in writable:
        _allow(ruleset, path, rights)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _called(_libc().syscall(_LANDLOCK_RESTRICT, ruleset, 0))
    os.close(ruleset)


def hide_memory(hidden: bool) -> None:
    """Whether other processes of the same user may not read this one's memory."""
    if _LINUX:
        _prctl(_PR_SET_DUMPABLE, 0 if hidden else 1)


def _allow(ruleset: int, path: str, rights: int) -> None:
    if not os.path.exists(path):
        return
    folder = os.path.isdir(path)
    # Only these rights make sense for a single file: execute, write, read, truncate, device control.
    rights = rights if folder else rights & (0b111 | 1 << 14 | 1 << 15)
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, handle)
        _called(_libc().syscall(_LANDLOCK_ADD, ruleset, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(handle)


def _open_to_all(path: Path) -> bool:
    """Whether every account may enter this folder."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _threads_of(user: int) -> int:
    """How many threads an account has already: they count against its limit of processes."""
    threads = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid == user:
                threads += len(os.listdir(entry / "task"))
        except OSError:
            continue  # it ended while we looked
    return threads


def _keep_capabilities(mask: int) -> None:
    header = struct.pack("Ii", _CAP_VERSION_3, 0)
    _called(_libc().syscall(_CAPSET, header, struct.pack("6I", mask, mask, 0, 0, 0, 0)))


def _prctl(option: int, value: int) -> None:
    _called(_libc().prctl(option, value, 0, 0, 0))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _called(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
