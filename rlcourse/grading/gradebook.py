"""The folder that grading writes, and nothing else writes:

grading.json            what was graded: exercise, seed, digest of the private cases, digest of the last table
results/STUDENT.json    everything known of one submission (`records.Graded`)
feedback/STUDENT.html   the same as a page for the student
grades.csv              one row a student; two columns for the instructor
index.html              the class at a glance

Every file is written aside and then moved into place, so that one that is there is whole. No time stands in
any: the same submissions give the same bytes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.check import require
from .cases import Question
from .classpage import class_page
from .feedback import feedback_page
from .filenames import file_names
from .gradetable import read_table, table_digest, table_rows, table_text
from .records import Graded, from_json, to_json

MARKER, TABLE, INDEX = "grading.json", "grades.csv", "index.html"


@dataclass(frozen=True)
class Gradebook:
    """The folder `out` for one exercise. `names`: the name of each student's files."""

    out: Path
    exercise: str
    questions: tuple[Question, ...]
    names: Mapping[str, str]


def require_folders(folder: Path, out: Path, marker: Mapping[str, object]) -> None:
    """Refuse folders that cannot be meant: `out` must be new, empty, or hold this very grading."""
    require(folder.is_dir(), "FOLDER", "an existing folder of submissions", str(folder))
    require(folder.resolve() not in (out.resolve(), *out.resolve().parents), "--out",
            "a folder outside FOLDER", str(out))
    require(not out.exists() or out.is_dir(), "--out", "a folder", f"the file {out}")
    if not out.exists() or not any(out.iterdir()):
        return
    found = _marker(out)
    require(found is not None, "--out", f"a new or empty folder, or one with the {MARKER} of an earlier run",
            f"{out}, which holds something else")
    for what, value in marker.items():
        require(found.get(what) == value, "--out", f"the same {what} as before, or another folder",
                f"{value!r}, where {out} holds {found.get(what)!r}")


def open_gradebook(out: Path, exercise: str, questions: Sequence[Question], marker: Mapping[str, object],
                   students: Sequence[str]) -> Gradebook:
    """Make the folder, or take up the one that is there. `OSError` where nothing can be written."""
    for part in ("results", "feedback"):
        (out / part).mkdir(parents=True, exist_ok=True)
    _write_marker(out, {**marker, "tables": (_marker(out) or {}).get("tables", [])})
    return Gradebook(out, exercise, tuple(questions), file_names(students))


def save(book: Gradebook, graded: Graded) -> None:
    """Write what is known of a student; the result comes last, so that it says that both are there."""
    name = book.names[graded.student]
    page = feedback_page(book.exercise, book.questions, graded)
    _write(book.out / "feedback" / f"{name}.html", page.encode("utf-8", "backslashreplace"))
    _write(book.out / "results" / f"{name}.json", to_json(graded).encode("utf-8", "backslashreplace"))


def saved(book: Gradebook, student: str) -> Graded | None:
    """The student's result of an earlier run; None if there is none, or none that can be read."""
    name = book.names[student]
    try:
        graded = from_json((book.out / "results" / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return graded if graded.student == student and (book.out / "feedback" / f"{name}.html").exists() else None


def finish(book: Gradebook, results: Sequence[Graded], gaps: Sequence[str]) -> list[str]:
    """Write the table and the page of the class. Lines tell the instructor what was found there."""
    rows = table_rows(book.exercise, book.questions, results)
    lines = _write_table(book.out, rows)
    links = {graded.student: f"feedback/{book.names[graded.student]}.html" for graded in results}
    page = class_page(book.exercise, book.questions, results, gaps, links=links)
    _write(book.out / INDEX, page.encode("utf-8", "backslashreplace"))
    gone = sorted(path.stem for path in (book.out / "results").glob("*.json")
                  if path.stem not in book.names.values())
    if gone:
        lines.append(f"results without a submission in FOLDER, kept but not in {TABLE}: {', '.join(gone)}")
    return lines


def _write_table(out: Path, rows: list[dict[str, str]]) -> list[str]:
    """Write grades.csv. A table that was changed elsewhere than in the instructor's columns is kept aside."""
    path, lines, marker, new = out / TABLE, [], _marker(out) or {}, table_digest(rows)
    before = path.read_bytes() if path.exists() else None
    earlier = read_table(before or b"")
    lost = sorted(earlier.by_hand.keys() - {row["student"] for row in rows})
    if before is not None and (lost or earlier.digest not in marker.get("tables", [])):
        aside = _unused(out)
        _write(aside, before)
        lines.append(f"{TABLE} had been edited: kept as {aside.name}, and by_hand and comment carried over")
    if lost:
        lines.append(f"by_hand or comment of students who are no longer there stand in {aside.name} only: "
                     f"{', '.join(lost)}")
    # Both digests count while the table changes: killed in between, it must not look edited.
    _write_marker(out, {**marker, "tables": [*marker.get("tables", []), new]})
    _write(path, table_text(rows, earlier.by_hand))
    _write_marker(out, {**marker, "tables": [new]})
    return lines


def _unused(out: Path) -> Path:
    number = 1
    while (path := out / f"grades.edited{f'-{number}' if number > 1 else ''}.csv").exists():
        number += 1
    return path


def _marker(out: Path) -> dict | None:
    """What the folder says that it holds; None if it is no folder of grades."""
    try:
        found = json.loads((out / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "exercise" in found else None


def _write_marker(out: Path, marker: Mapping[str, object]) -> None:
    _write(out / MARKER, (json.dumps(marker, indent=1, ensure_ascii=False) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
