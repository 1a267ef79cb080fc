"""How much time and room a stranger's notebook gets. Standard library only: it is read in the box too."""

from dataclasses import dataclass

MB = 1024**2


@dataclass(frozen=True)
class Limits:
    """Seconds of wall clock, bytes, and numbers of things.

    The address space is a limit for each process; what all processes of a notebook hold together, and what
    its home folder holds, is looked at twice a second.
    """

    seconds: float = 10.0  # one cell, or one call of a function
    notebook: float = 120.0  # everything of one notebook
    start: float = 60.0  # until an empty process is ready: the machine's business, not the student's
    memory: int = 6144 * MB
    file: int = 20 * MB  # one file
    home: int = 200 * MB  # all files together
    reply: int = 64 * MB  # one value that comes back
    processes: int = 64
    callbacks: int = 10_000  # calls of the checker's own functions within one call
