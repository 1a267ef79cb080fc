"""The first thing in a student's process: close every door, say what is still open, then serve.

Nothing large is loaded before the doors are closed. Standard library only, up to the last line.
"""

import io
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from .limits import Limits
from .lockdown import lock
from .supervisor import supervise


def main(config: dict) -> None:
    """Serve until the pipe is closed. `config` comes from `sandbox.Sandbox.start`."""
    requests, replies = _private_pipes()
    limits, home = Limits(**config["limits"]), Path(config["home"])
    supervise(requests.fileno(), replies.fileno(), home, limits)
    lock(limits, config["user"], home, config["readable"], config["writable"],
         config["landlock"])
    reached = [name for name, argument in config["probes"].items() if _succeeds(PROBES[name], argument)]
    sys.argv[:] = [""]
    from .worker import Student

    Student(requests, replies, limits, home).serve(reached)


def _read(path: str) -> None:
    Path(path).read_bytes()


def _write(folder: str) -> None:
    Path(folder, "probe").touch()


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), 1).close()


def _service(kind: str) -> None:
    socket.socket(socket.AF_UNIX).close()


def _signal(process: int) -> None:
    os.kill(process, 0)


# What a locked process must not be able to do; each is tried on something that the marking side has prepared.
PROBES: dict[str, Callable] = {"read": _read, "write": _write, "connect": _connect, "service": _service,
                               "signal": _signal}


def _succeeds(attempt: Callable, argument: object) -> bool:
    try:
        attempt(argument)
    except OSError:
        return False  # the door is closed
    return True


def _private_pipes() -> tuple[io.BufferedReader, io.FileIO]:
    """The pipes to the other side under new numbers; what is printed or read goes nowhere."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
    return requests, replies
