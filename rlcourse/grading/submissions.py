"""Finds the notebooks of a class in a folder, and keeps those that are for the exercise.

Symbolic links are never followed: they could point at somebody else's work. Names are made printable before
anything is done with them.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .sources import Unreadable, code_cells, names, read_bytes

MOST_ENTRIES = 20_000  # files and folders of one student that are looked at
MOST_MARKED = 5  # notebooks of one student for the same exercise
_IGNORED = {"__MACOSX"}  # hidden names, .ipynb_checkpoints among them, are ignored as well


class OtherExercise(Unreadable):
    """A sound notebook that is not for this exercise."""


@dataclass(frozen=True)
class Found:
    """What lies in the folder under one student's name: the paths of notebooks, and remarks on the rest.

    `asides` are remarks that matter only where there is nothing to mark.
    """

    student: str
    paths: tuple[Path, ...]
    remarks: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notebook:
    """A notebook that can be marked: where it lies below the folder, and its code cells."""

    file: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Submission:
    """What one student handed in for one exercise.

    `notebooks` are to be marked. Where there are none, `reason` says why; otherwise it lists files that
    could not be read. `digest` identifies the contents of all the student's notebooks.
    """

    student: str
    file: str
    notebooks: tuple[Notebook, ...]
    reason: str
    digest: str


def find(folder: Path) -> list[Found]:
    """What each student handed in, in the order of their names: a file, or a folder with anything in it."""
    paths: dict[str, list[Path]] = {}
    remarks: dict[str, list[str]] = {}
    asides: dict[str, list[str]] = {}
    for entry in _entries(folder):
        inner, link = entry.is_dir(follow_symlinks=False), entry.is_symlink()
        if not (inner or link or _is_notebook(entry)):
            continue  # a list of names, a zip: nobody's notebook
        student = printable(entry.name if inner or not _is_notebook(entry) else Path(entry.name).stem)
        for known in (paths, remarks, asides):
            known.setdefault(student, [])
        if link:
            remarks[student].append(_link(entry, folder))
        elif inner:
            _look_inside(Path(entry.path), folder, paths[student], remarks[student], asides[student])
        else:
            paths[student].append(Path(entry.path))
    return [Found(student, tuple(sorted(paths[student])), tuple(remarks[student]), tuple(asides[student]))
            for student in sorted(paths)]


def submission(found: Found, folder: Path, exercise: str, known: Collection[str],
               functions: Collection[str]) -> Submission:
    """Read a student's notebooks and keep those for `exercise`, one of the `known` names.

    A notebook that calls `exercise("NAME")` for other exercises only is for those. One that names none is
    kept if the name of one of the `functions` stands in it.
    """
    kept, remarks, asides, seen = [], list(found.remarks), list(found.asides), hashlib.sha256()
    for path in found.paths:
        file = below(path, folder)
        try:
            content = read_bytes(path)
            seen.update(f"{file}\0{hashlib.sha256(content).hexdigest()}\0".encode())
            notebook = Notebook(file, code_cells(content))
            _require_for(notebook, exercise, known, functions)
            kept.append(notebook)
        except OtherExercise as error:
            asides.append(f"{file}: {error}")
        except Unreadable as error:
            seen.update(f"{file}\0{error}\0".encode())
            remarks.append(f"{file}: {error}")
    if len(kept) > MOST_MARKED:
        remarks, kept = [f"{len(kept)} notebooks for this exercise, at most {MOST_MARKED} are marked: "
                         "keep those that should count"], []
    elif not kept:
        remarks = remarks + asides or ["there is no notebook in the folder"]
    first = kept[0].file if kept else below(found.paths[0], folder) if found.paths else ""
    reason = "; ".join(remarks[:3]) + (f"; and {len(remarks) - 3} more" if len(remarks) > 3 else "")
    return Submission(found.student, first, tuple(kept), reason, seen.hexdigest())


def below(path: Path, folder: Path) -> str:
    """A path below `folder` with slashes, printable."""
    return "/".join(printable(part) for part in path.relative_to(folder).parts)


def printable(name: str) -> str:
    r"""A file name as NFC text on one line: what has no picture of its own is spelt out, such as \n.

    Also bytes that are no UTF-8, and marks that turn the direction of writing. Two joiners without which some
    languages cannot be written are left.
    """
    return "".join(letter if letter.isprintable() or letter in "\u200c\u200d"
                   else letter.encode("unicode_escape").decode("ascii")
                   for letter in unicodedata.normalize("NFC", name))


def _require_for(notebook: Notebook, exercise: str, known: Collection[str], functions: Collection[str]) -> None:
    """Raise `OtherExercise` if the notebook is not for the exercise."""
    named = names(notebook.cells, known)
    if named and exercise not in named:
        raise OtherExercise(f"is for exercise {', '.join(named)}")
    words = re.compile(rf"\b({'|'.join(map(re.escape, functions))})\b")
    if not named and not any(words.search(cell) for cell in notebook.cells):
        raise OtherExercise(f"has none of the functions of {exercise}: another notebook?")


def _look_inside(top: Path, folder: Path, paths: list[Path], remarks: list[str], asides: list[str]) -> None:
    """Add the notebooks in a student's folder, and the remarks on what was left out."""
    waiting, seen = [top], 0
    while waiting:
        here = waiting.pop()
        try:
            entries = _entries(here)
        except OSError as error:  # among them paths longer than the system allows
            remarks.append(f"{_short(below(here, folder))}: cannot be read: {error.strerror}")
            continue
        seen += len(entries)
        if seen > MOST_ENTRIES:
            remarks.append(f"more than {MOST_ENTRIES} files in the folder: not all were looked at")
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif entry.is_symlink():
                (remarks if _is_notebook(entry) else asides).append(_link(entry, folder))
            elif _is_notebook(entry):
                paths.append(Path(entry.path))


def _entries(folder: Path) -> list[os.DirEntry]:
    """What is in a folder and not ignored, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.name[0] != "." and entry.name not in _IGNORED),
                      key=lambda entry: entry.name)


def _is_notebook(entry: os.DirEntry) -> bool:
    return Path(entry.name).suffix.lower() == ".ipynb"


def _link(entry: os.DirEntry, folder: Path) -> str:
    return f"{_short(below(Path(entry.path), folder))}: is a symbolic link, which is not followed"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
