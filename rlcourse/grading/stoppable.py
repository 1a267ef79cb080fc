"""A box that can be stopped from another thread, so that Ctrl-C need not wait for a student's loop to end."""

import threading
import weakref

from .process import Process
from .sandbox import NoAnswer, Sandbox


class Stoppable:
    """A sandbox that remembers which processes it has started: after `stop` they end, and no other starts."""

    def __init__(self, sandbox: Sandbox):
        self.kind, self.gaps, self.limits = sandbox.kind, sandbox.gaps, sandbox.limits
        self._sandbox, self._lock, self._stopped = sandbox, threading.Lock(), False
        self._started: weakref.WeakSet[Process] = weakref.WeakSet()

    def start(self) -> tuple[Process, list[str]]:
        """As `Sandbox.start`; `NoAnswer` once it is stopped."""
        if self._stopped:
            raise NoAnswer("grading was stopped")
        process, reached = self._sandbox.start()
        with self._lock:
            self._started.add(process)
            if self._stopped:
                process.hang_up()
        return process, reached

    def stop(self) -> None:
        """End every process; whoever waits for an answer from one learns that it is gone."""
        with self._lock:
            self._stopped = True
            for process in self._started:
                process.hang_up()
