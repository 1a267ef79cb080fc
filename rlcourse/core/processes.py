"""Worker processes that leave nothing behind: they end with their parent, however that ends.

Started with "spawn" on every system: a new interpreter that imports what it needs, so it costs an `import torch`
each (a second or two), and works beside threads and inside Jupyter, where a fork may hang. Four things can end
before their time, and what then happens:

| what ends                      | how it is noticed                    | what follows                            |
|--------------------------------|--------------------------------------|-----------------------------------------|
| the parent, even by SIGKILL    | a pipe to it closes; a thread waits  | the worker exits at once                |
| the `with` block, by any error | the connection closes                | the worker's next `send` fails; it ends |
| a worker, by its own error     | it sends the error                   | RuntimeError in the parent              |
| a worker, by a signal          | its connection closes, its exit code | RuntimeError in the parent              |

An interrupt (Ctrl-C, Jupyter's stop button) reaches all processes of a terminal; workers ignore it, because the
parent ends them. A main module without a guard is not run a second time.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from typing import Any, NamedTuple

import torch
import torch.multiprocessing

from .check import require

CONTEXT = torch.multiprocessing.get_context("spawn")
PATIENCE = 2.0  # seconds that a worker has to end by itself


class Worker(NamedTuple):
    """A process that was started, and the parent's end of the connection to it."""

    process: multiprocessing.process.BaseProcess
    connection: connection.Connection


class Failure(NamedTuple):
    """What a worker sends when its function raises."""

    line: str
    trace: str


def pickled(**objects: Any) -> bytes:
    """The objects, in order, as bytes that another process can read: `pickle.loads` gives a list.

    Errors: ValueError, with the name of the first that cannot travel: a lambda, or a class or function that was
    defined in the notebook or script itself, where no other process can find it.
    """
    with _without_main():
        for name, value in objects.items():
            try:
                pickle.dumps(value)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                expected = "what another process can load: classes and functions from a module's file, no lambda"
                raise ValueError(f"{name}: expected {expected}, got: {error}") from None
        return pickle.dumps(list(objects.values()))  # together: what two of them share stays shared


@contextmanager
def crew(function: Callable, arguments: Sequence[tuple]) -> Iterator[list[Worker]]:
    """One process `function(connection, *arguments[w])` for each w; all have ended when the block is left.

    `function` must stand in a module's file. Tensors among the arguments are moved into shared memory.
    """
    workers: list[Worker] = []
    try:
        with _interrupts_held(), _without_main():
            for number, own in enumerate(arguments):
                ours, theirs = CONTEXT.Pipe()
                process = CONTEXT.Process(target=_run, args=(function, theirs, own), daemon=True,
                                          name=f"worker {number}")
                process.start()
                theirs.close()  # the worker then holds the only one: its death closes the connection
                workers.append(Worker(process, ours))
        yield workers
    finally:
        _end(workers)


def messages(workers: Sequence[Worker]) -> Iterator[tuple[int, Any]]:
    """(number of the worker, what it sent), as it comes in, until every worker has ended.

    Errors: RuntimeError, in one line, when a worker fails or dies.
    """
    waiting = {worker.connection: number for number, worker in enumerate(workers)}
    while waiting:
        for ready in connection.wait(list(waiting)):
            for number, worker in enumerate(workers):  # before anything that it sent: it may have died with a lock
                _require_good_end(number, worker.process.exitcode)
            number = waiting[ready]
            try:
                message = ready.recv()
            except (EOFError, ConnectionResetError):
                del waiting[ready]
                workers[number].process.join()
                _require_good_end(number, workers[number].process.exitcode)
                continue
            if isinstance(message, Failure):
                error = RuntimeError(f"worker {number} failed: {message.line}")
                error.add_note(f"There:\n{message.trace}")
                raise error
            yield number, message


def _run(function: Callable, own_end: connection.Connection, arguments: tuple) -> None:
    """The whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        function(own_end, *arguments)
    except Exception as error:
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        with suppress(BrokenPipeError, ConnectionResetError):  # the parent has gone on: that was the error
            own_end.send(Failure(line, traceback.format_exc()))


def _die_with_parent() -> None:
    """Exit when the parent has ended, wherever the worker is: also while it waits for a lock."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _require_good_end(number: int, code: int | None) -> None:
    if code is None or code == 0:  # it runs, or it is done
        return
    if code < 0:
        raise RuntimeError(f"worker {number} was killed by {signal.Signals(-code).name}")
    raise RuntimeError(f"worker {number} ended with exit code {code}")


def _end(workers: list[Worker]) -> None:
    """Close the connections, wait a moment, kill those that are still there."""
    for worker in workers:
        worker.connection.close()
    deadline = time.monotonic() + PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module: spawn would run a script again, and what it defines cannot be found elsewhere."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep an interrupt for later. New processes inherit that: none hits them in the midst of their imports."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # multiprocessing's own helper; to start it would let interrupts through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def require_on_cpu(argument: str, tensors: Sequence[torch.Tensor]) -> None:
    """Check that tensors can be put into memory that processes share."""
    devices = {tensor.device.type for tensor in tensors} - {"cpu"}
    require(not devices, argument, "parameters on the CPU, where processes can share them", sorted(devices))
