"""The parent of a student's process: when that ends, or the grader goes away, nothing of it stays alive.

It holds no secret and runs no student's code; it is a fork made before anything was loaded. Standard
library only. Where there is no /proc (macOS) it can only end the session that it started.
"""

import ctypes
import errno
import os
import select
import signal
import stat
import sys
import time
from pathlib import Path

from .limits import Limits

_SET_CHILD_SUBREAPER = 36
_LOOK_EVERY = 0.5  # seconds between two looks at memory and files
_MOST_ENTRIES = 2000  # files and folders


def supervise(request: int, reply: int, home: Path, limits: Limits) -> None:
    """Fork. The child returns; the parent stays until the child ends or the pipe `request` is closed, and exits.

    Orphans of the child become the parent's own children (a Linux "subreaper"), so that whoever ran
    away is found. Too much memory or too many files end the child as well.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        os.setsid()
        return
    status = 1
    try:
        os.close(reply)  # so that the grader sees the end of the stream when the child's end is closed
        _stay(child, request, home, limits)
        status = 0
    finally:
        _end_all(child)
        os._exit(status)


def _stay(child: int, request: int, home: Path, limits: Limits) -> None:
    hung_up = select.poll()
    hung_up.register(request, 0)  # only that the grader has closed it: the requests are the child's
    looked = time.monotonic()
    while not hung_up.poll(50):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        if time.monotonic() - looked > _LOOK_EVERY:
            looked = time.monotonic()
            # One process alone meets the limit of its own first, always in the same way.
            if _memory() > limits.memory * 5 // 4 or bytes_in(home, limits.home) + _nameless() > limits.home:
                return


def descendants(of: int | None = None) -> list[int]:
    """The living processes below this one, or below `of`."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # "pid (name) state parent …": the name may hold anything, brackets too.
            state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry.name)] = int(parent)
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked
    found, new = set(), {of or os.getpid()}
    while new:
        new = {process for process, parent in parents.items() if parent in new} - found
        found |= new
    return sorted(found)


def end_descendants(of: int) -> None:
    """Kill until nobody is left below a process: one that forks as fast as it can is caught in a later round."""
    for _ in range(1000):
        left = descendants(of)
        for process in left:
            _kill(os.kill, process)
        if not left:
            return
        time.sleep(0.002)


def bytes_in(folder: Path, most: int) -> int:
    """Bytes in a folder, or more than `most` if there are too many files to count, or some that cannot be."""
    total = entries = 0
    hidden: list[OSError] = []
    for where, _, names in os.walk(folder, onerror=hidden.append):
        entries += 1 + len(names)
        if entries > _MOST_ENTRIES:
            return most + 1
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except OSError:
                continue
    if any(error.errno in (errno.ENAMETOOLONG, errno.EACCES) for error in hidden):
        return most + 1
    return total


def _end_all(child: int) -> None:
    """End everything below this process, and wait until it is gone."""
    if not Path("/proc/self").exists():
        _kill(os.killpg, child)
        return
    end_descendants(os.getpid())
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # all are gone


def _kill(how, process: int) -> None:
    try:
        how(process, signal.SIGKILL)
    except OSError:
        pass  # it ended by itself


def _memory() -> int:
    """Resident bytes of all descendants; pages that they share count once for each."""
    pages = 0
    for process in descendants():
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def _nameless() -> int:
    """Bytes in open files that stand in no folder: deleted ones, and those that are in memory only."""
    sizes = {}
    for process in descendants():
        try:
            for number in os.listdir(f"/proc/{process}/fd"):
                about = os.stat(f"/proc/{process}/fd/{number}")
                if stat.S_ISREG(about.st_mode) and about.st_nlink == 0:
                    sizes[about.st_dev, about.st_ino] = about.st_blocks * 512
        except OSError:
            continue  # it ended, or closed the file, while we looked
    return sum(sizes.values())
