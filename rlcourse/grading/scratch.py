"""A temporary folder for the time of one grading. One that was killed cannot tidy up: the next one does it.

The folder holds a file that is locked for as long as its process lives; the system lets go of it in any case.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .process import remove

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where nothing is graded
    fcntl = None

_PREFIX = "rlcourse-grading-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder through which every account may pass, but which it cannot list."""
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    folder.chmod(0o711)
    try:
        with open(folder / "new", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(folder / "new", folder / "lock")  # nobody ever finds it unlocked
            yield folder
    finally:
        remove(folder)


def _remove_abandoned() -> None:
    """Remove the folders of this account whose grading is no longer there."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/lock"):
        try:
            about = lock.parent.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            with open(lock) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # somebody is grading there, or tidies up as well
        for entry in lock.parent.iterdir():
            if entry != lock:
                remove(entry)
        if os.listdir(lock.parent) == ["lock"]:  # the lock last, so that what is left is found again
            shutil.rmtree(lock.parent)
