"""The code cells of a notebook file that a stranger wrote.

Only their sources are wanted, so the file is read as the JSON that it is: nothing that outputs or metadata
hold can matter, fail, or take time.
"""

import json
import os
import re
import stat
from collections.abc import Collection
from pathlib import Path

LARGEST = 20 * 10**6  # bytes; larger files are not even read
MOST_CELLS = 5_000
_NAMED = re.compile(r"""^[^#\n]*?\bexercise\(\s*(?:name\s*=\s*)?["'](\w+)["']\s*[,)]""", re.MULTILINE)


class Unreadable(ValueError):
    """A file that cannot be marked; the message is the reason in one line."""


def read_bytes(path: Path) -> bytes:
    """The bytes of a plain file of sane size; `Unreadable` for anything else."""
    flags = (os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
             | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        with open(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise Unreadable("is no plain file")
            if about.st_size > LARGEST:
                raise Unreadable(f"is too large: {about.st_size / 1e6:.0f} MB, at most {LARGEST / 1e6:.0f} MB "
                                 "are read (clear the outputs)")
            return file.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error


def code_cells(content: bytes) -> tuple[str, ...]:
    """The sources of the code cells of a notebook file of format 4; `Unreadable` if it is no such file."""
    if not content.strip():
        raise Unreadable("is empty")
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unreadable("is no notebook: not UTF-8 text") from error
    except RecursionError as error:
        raise Unreadable("is no notebook: nested too deeply") from error
    except ValueError as error:  # JSONDecodeError, and a number of too many digits
        raise Unreadable("is no notebook: not JSON") from error
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise Unreadable("is no notebook: JSON of another kind")
    if notebook["nbformat"] != 4:
        raise Unreadable("is a notebook of another format than 4: open it in JupyterLab and save it")
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise Unreadable("is a broken notebook: its cells are missing")
    if len(cells) > MOST_CELLS:
        raise Unreadable(f"has {len(cells)} cells, at most {MOST_CELLS} are read")
    return tuple(_source(cell) for cell in cells if cell.get("cell_type") == "code")


def names(cells: Collection[str], known: Collection[str]) -> list[str]:
    """The known exercises that code cells call by name, in order."""
    called = {name for cell in cells for name in _NAMED.findall(cell)}
    return sorted(called & set(known))


def _source(cell: dict) -> str:
    """The source of a cell: text, or a list of lines."""
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        raise Unreadable("is a broken notebook: the source of a cell is no text")
    return "".join(lines)
