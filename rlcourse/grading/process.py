"""The marking side of one student's process: frames with a deadline, and an end that leaves nothing behind.

Everything that comes in is bounded before it is read: its lengths, its time, and what `wire` accepts.
"""

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .limits import Limits
from .supervisor import end_descendants
from .wire import LENGTHS, MAX_JSON, MAX_REQUEST, Garbled, pack, unpack

_PATIENCE = 5.0  # seconds for the supervisor to end what is left


class Ended(Exception):
    """The process is gone."""


class TooSlow(Exception):
    """The deadline has passed."""


class Process:
    """A started process and the two pipes to it. The home folder is removed with it."""

    def __init__(self, command: list[str], environment: Mapping[str, str], home: Path, limits: Limits):
        self._home, self._limits = home, limits
        self._popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                       stderr=subprocess.DEVNULL, env=dict(environment), cwd="/",
                                       start_new_session=True)
        self._requests, self._replies = self._popen.stdin.fileno(), self._popen.stdout.fileno()
        os.set_blocking(self._requests, False)
        os.set_blocking(self._replies, False)

    def send(self, number: int, kind: str, body: object, deadline: float,
             functions: list[Callable] | None = None) -> None:
        """One frame. Raises `Ended`, `TooSlow`, and `Garbled` for what cannot be sent."""
        view = memoryview(pack(number, kind, body, functions, MAX_REQUEST))
        while view:
            self._wait(self._requests, deadline, writing=True)
            try:
                view = view[os.write(self._requests, view):]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Ended from error

    def receive(self, deadline: float) -> tuple[int, str, object]:
        """The next frame. Raises `Ended`, `TooSlow`, and `Garbled` for what no honest process sends."""
        text, blobs = LENGTHS.unpack(self._read(LENGTHS.size, deadline))
        if text > MAX_JSON or blobs > self._limits.reply:
            raise Garbled("a frame that is too long")
        return unpack(self._read(text, deadline), self._read(blobs, deadline))

    def hang_up(self) -> None:
        """Have the process ended soon, also while another thread waits for its answer: that sees `Ended`."""
        self._popen.stdin.close()  # the supervisor sees that, and kills

    def stop(self) -> None:
        """End the process with everything that it has started, and remove its home."""
        self.hang_up()
        try:
            self._popen.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            end_descendants(self._popen.pid)  # first, as nobody looks for them once the supervisor is gone
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()
        remove(self._home)

    def _read(self, count: int, deadline: float) -> bytes:
        pieces = []
        while count:
            self._wait(self._replies, deadline, writing=False)
            try:
                piece = os.read(self._replies, min(count, 1 << 20))
            except BlockingIOError:
                continue
            if not piece:
                raise Ended
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _wait(self, pipe: int, deadline: float, writing: bool) -> None:
        left = deadline - time.monotonic()
        poller = select.poll()
        poller.register(pipe, select.POLLOUT if writing else select.POLLIN)
        if left <= 0 or not poller.poll(left * 1000):
            raise TooSlow


def remove(folder: Path) -> None:
    """Delete a folder that a stranger filled: folders without rights, or nested deeper than Python can recurse.

    What cannot be deleted within a minute is left to a later try.
    """
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        try:
            subprocess.run([*command, folder], stderr=subprocess.DEVNULL, check=False, timeout=60)
        except subprocess.TimeoutExpired:
            continue
