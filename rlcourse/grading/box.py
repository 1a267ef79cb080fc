"""The part of the library that a student's code finds when it is marked: a filtered copy.

Environments and the small helpers of `core` are there, and what the process itself needs; checks, and every module
that holds a function which the exercise asks for, are not. Cells that only show something may fail
for that reason, which costs nothing.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from .cases import Question

LIBRARY = Path(__file__).resolve().parents[1]
ROOMS = ("core", "envs")
_GRADING = ("answers", "compare", "entry", "hints", "limits", "lockdown", "silent", "supervisor", "syscalls", "wire",
            "worker")
_NOTEBOOK = '''"""The first line of every notebook; there is nothing to prepare here."""


def start() -> None:
    """Do nothing."""
'''


def make_box(folder: Path, questions: Iterable[Question]) -> Path:
    """Copy the library's open part to `folder`/rlcourse, readable for every account; gives `folder`."""
    asked = {function.__module__ for question in questions for function in question.functions.values()}
    for file in _files():
        module = ".".join(("rlcourse", *file.relative_to(LIBRARY).with_suffix("").parts))
        if module not in asked:
            copy = folder / "rlcourse" / file.relative_to(LIBRARY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    (folder / "rlcourse/notebook.py").write_text(_NOTEBOOK, encoding="utf-8")
    (folder / "rlcourse/grading/__init__.py").write_text("from .silent import exercise\n", encoding="utf-8")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _files() -> list[Path]:
    rooms = [file for room in ROOMS for file in sorted((LIBRARY / room).rglob("*.py"))]
    return [LIBRARY / "__init__.py", *rooms, *(LIBRARY / "grading" / f"{name}.py" for name in _GRADING)]
